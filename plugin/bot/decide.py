"""What is done about a question: answer, offer choices, ask back, or a person. Pure: what it knows it is told.

The gates come with the reading: they were measured on messages that the model did not know (`plugin.language.topics`).
What is decided here on top is manners: a person is always let in, nothing is asked twice, nothing goes in circles, and
whatever touches an order goes through proof of ownership, never through free text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

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


# A person, please: whole wishes, not words that also stand in other questions. Compared by `search_key`.
_PERSON = (
    r"(?:(?:talk|speak|chat|connect me|transfer me|put me through|get me)(?: (?:to|with))?"
    r"|(?:want|need|give me|can i have|call)) "
    r"(?:an? |the |some |your |with |to )*(?:real |live |actual |human )*"
    r"(?:person|human|agent|representative|rep|operator|someone|somebody"
    r"|manager|supervisor|staff|support team|employee|advisor)",
    r"(?:real|live|human|actual) (?:person|human|agent|being|support)",
    r"^(?:agent|human|person|operator|representative|customer service|support)(?: please| pls)?$",
    r"(?:not|stop|hate|no) (?:a |the |talking to (?:a |the )?|this )?(?:ro)?bot",
    r"(?:اكلم|اتكلم|نتكلم|تكلم|احكي|احاكي|نحكي|نهدر|اتواصل|التواصل|التحدث|اتحدث|تحدث|حولني"
    r"|حولوني|وصلني|اريد|ابي|ابغي|ابغا|عايز|عاوز|بدي|بغيت|نحب)(?: \S+){0,2}? "
    r"(?:مع |الي |ل |ب )?(?:ال|لل|ل|ب)?(?:موظف|موظفه|شخص|انسان|حد|احد|حدا|واحد"
    r"|شي واحد|خدمه العملا|خدمه الزباين|ممثل|مندوب خدمه|مشرف|مدير|بشر|عبد)",
    r"^(?:موظف|انسان|خدمه العملا|شخص حقيقي)(?: لو سمحت| من فضلك)?$",
    r"(?:לדבר|לשוחח|להתכתב|תעבירו אותי|תעביר אותי|תעבירי אותי"
    r"|העבירו אותי|צריכ|צריכה|רוצה|תנו לי|אפשר|מבקש|מבקשת)(?: \S+){0,2}? "
    r"(?:עמ |אל |ל)?(?:ה|ל)?(?:נציג|נציגה|נציגת|בנ אדמ|בנאדמ|אדמ אמיתי|מישהו|מישהי"
    r"|אנושי|מנהל|מנהלת|שירות לקוחות|מוקדנ)",
    r"^(?:נציג|נציגה|נציג אנושי|בנ אדמ|שירות לקוחות)(?: בבקשה)?$",
)  # fmt: skip
_WANTS_PERSON = re.compile("|".join(f"(?:{pattern})" for pattern in _PERSON))


def wants_person(text: str) -> bool:
    """Whether somebody asks for a person, in any of our languages; Arabizi as it was transliterated."""
    return _WANTS_PERSON.search(search_key(text)) is not None


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
