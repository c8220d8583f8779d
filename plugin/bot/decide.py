"""What is done about a question: answer, offer choices, ask back, or a person. Pure: what it knows it is told.

The gates come with the reading: they were measured on messages that the model did not know (`plugin.language.topics`).
What is decided here on top is manners: a person is always let in, nothing is asked twice, nothing goes in circles, and
whatever touches an order goes through proof of ownership, never through free text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from plugin.bot import lexicon
from plugin.bot.understand import Message
from plugin.kernel.text import search_key

CHOICES = 3
MOST_OFFERS = 2
"""Times in a conversation that choices may be offered in a row: then it is somebody's turn who understands."""


class Outcome(StrEnum):
    """What becomes of a question."""

    ANSWER = "answer"
    OFFER = "offer"
    ASK = "ask"
    PERSON = "person"


class Reason(StrEnum):
    """Why, in a word: for the agent's line and for reports."""

    SURE = "sure"
    UNSURE = "unsure"
    OUTSIDE = "outside"
    WANTED = "person_wanted"
    AWAY = "models_away"
    SILENT = "nothing_said"
    MISSING = "details_missing"
    ENOUGH = "asked_enough"
    CHOSEN = "chosen"
    LEARNT = "learnt"
    FOUND = "found_in_articles"
    WRITTEN = "written_by_model"
    ALIKE = "alike"
    UNCOVERED = "nothing_written"
    RESERVED = "for_a_person"
    REPEATED = "said_already"
    MANNERS = "manners"
    ADDRESS = "address_given"
    FLOW = "flow"


@dataclass(frozen=True, slots=True)
class Read:
    """What the models make of a question: topics with their scores, best first, and the gates."""

    topics: tuple[tuple[str, float], ...]
    confidence: float
    gate: float
    answer_from: float
    offer_from: float


@dataclass(frozen=True, slots=True)
class Said:
    """What was said before in this conversation that matters now."""

    offered: int = 0
    asked: frozenset[str] = frozenset()
    chosen: str | None = None
    known: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do: `topics` are the answer, or the choices; `missing` is what to ask for."""

    outcome: Outcome
    reason: Reason
    topics: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    confidence: float = 0.0


# A person, please: whole wishes, not words that also stand in other questions. Compared by `search_key`, so final
# letters of Hebrew and marks of Arabic are folded. Whoever wants to *speak* may name anybody; whoever just *wants* must
# name staff, and at once: "I want to send it to someone" is about a parcel.
_WANTS_PERSON = lexicon.patterns(lambda person: person.wishes)


def wants_person(text: str) -> bool:
    """Whether somebody asks for a person, in any of our languages; Arabizi as it was transliterated."""
    return _WANTS_PERSON.search(search_key(text)) is not None


_CALL = lexicon.patterns(lambda person: person.calls)


def wants_call(text: str) -> bool:
    """Whether somebody who wants a person wants to be called."""
    return _CALL.search(search_key(text)) is not None


def decide(message: Message, read: Read | None, said: Said, *, heard: str = "", needs: Sequence[str] = ()) -> Decision:
    """What to do about one question.

    `read` is None when the models are away. `heard` is the text in Arabic letters where it was Arabizi. `needs` is what
    the best topic cannot go without (`order`, `proof`, …): what is neither known nor in the message is asked for, once.
    """
    if wants_person(message.text) or (heard and wants_person(heard)):
        return Decision(Outcome.PERSON, Reason.WANTED)
    if said.chosen is not None:
        return _act(said.chosen, 1.0, message, said, needs)
    if message.says_nothing:
        return Decision(Outcome.PERSON, Reason.ENOUGH) if "words" in said.asked else Decision(
            Outcome.ASK, Reason.SILENT, missing=("words",)
        )  # fmt: skip
    if read is None or not read.topics:
        return Decision(Outcome.PERSON, Reason.AWAY)
    if read.gate >= read.answer_from:
        return _act(read.topics[0][0], read.confidence, message, said, needs)
    if read.gate < read.offer_from:
        return Decision(Outcome.PERSON, Reason.OUTSIDE, confidence=read.confidence)
    if said.offered >= MOST_OFFERS:
        return Decision(Outcome.PERSON, Reason.ENOUGH, confidence=read.confidence)
    choices = tuple(topic for topic, _ in read.topics[:CHOICES])
    return Decision(Outcome.OFFER, Reason.UNSURE, choices, confidence=read.confidence)


def _act(topic: str, confidence: float, message: Message, said: Said, needs: Sequence[str]) -> Decision:
    """Answer, or ask for what is missing; what was asked before and did not come is for a person to find out."""
    there = said.known | _named(message)
    missing = tuple(need for need in needs if need not in there)
    if not missing:
        return Decision(Outcome.ANSWER, Reason.SURE, (topic,), confidence=confidence)
    if said.asked.issuperset(missing):
        return Decision(Outcome.PERSON, Reason.ENOUGH, (topic,), missing, confidence)
    return Decision(Outcome.ASK, Reason.MISSING, (topic,), tuple(n for n in missing if n not in said.asked), confidence)


def _named(message: Message) -> frozenset[str]:
    found = {"order": message.orders, "email": message.emails, "phone": message.phones, "date": message.dates,
             "product": message.products}  # fmt: skip
    return frozenset(name for name, values in found.items() if values)
