"""Flows: a way through steps that a merchant laid out: say, ask, let choose, tell apart, do, hand over. Pure.

The engine knows no database and no clock: a flow, where somebody stands in it, what they said, and it tells what is
said, what is to be done, and where they stand then. It stops at every question until there is an answer, asks nothing
more than twice, passes no step twice without an answer between, and whoever wants a person leaves it at once. So every
walk ends, whatever is answered and however the steps point at one another.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec

from plugin.bot.memory import place
from plugin.bot.understand import Message
from plugin.kernel.text import search_key

MOST_STEPS = 60
FEWEST_OPTIONS, MOST_OPTIONS = 2, 5
LONGEST_TEXT = 1500
LONGEST_OPTION = 60
LONGEST_VALUE = 500
LONGEST_ANSWER = 1000
"""Characters of a free answer that are kept."""
MOST_ASKED = 2
"""How often one step asks in a walk: once, and once more when the answer was none."""

END = "end"
"""A target: the flow ends there. An empty one is the step below."""

Texts = dict[str, str]
"""Words by language."""


class Ask(StrEnum):
    """What an answer has to be."""

    TEXT = "text"
    ORDER = "order"
    EMAIL = "email"
    PHONE = "phone"
    NUMBER = "number"
    DATE = "date"


class About(StrEnum):
    """What a condition asks."""

    LANGUAGE = "language"
    CHANNEL = "channel"
    STORE = "store"
    HOURS = "hours"
    SEGMENT = "segment"
    ORDER = "order"
    COLLECTED = "collected"


class Do(StrEnum):
    """What an action does. The last three show the shopper something, the others are for the team."""

    TAG = "tag"
    TEAM = "team"
    PRIORITY = "priority"
    SNOOZE = "snooze"
    NOTE = "note"
    FIELD = "field"
    ARTICLE = "article"
    SCREEN = "screen"
    DISCOUNT = "discount"


class Say(msgspec.Struct, frozen=True, tag="say"):
    """Something is said, and it goes on."""

    id: str
    text: Texts = {}
    to: str = ""


class Question(msgspec.Struct, frozen=True, tag="question"):
    """Something is asked; the answer is kept under `key`. Not asked where it is known, or was given before."""

    id: str
    text: Texts = {}
    ask: Ask = Ask.TEXT
    key: str = ""
    to: str = ""


class Option(msgspec.Struct, frozen=True):
    """One button of a choice."""

    text: Texts = {}
    to: str = ""


class Choice(msgspec.Struct, frozen=True, tag="choice"):
    """Buttons, each leading somewhere. What was chosen is kept under `key`, where there is one, as its number."""

    id: str
    text: Texts = {}
    options: tuple[Option, ...] = ()
    key: str = ""


class Condition(msgspec.Struct, frozen=True, tag="condition"):
    """Goes to `to` where one of `values` holds, else to `otherwise`. `key`: which answer, of a test of answers."""

    id: str
    test: About = About.HOURS
    values: tuple[str, ...] = ()
    key: str = ""
    to: str = ""
    otherwise: str = END


class Action(msgspec.Struct, frozen=True, tag="action"):
    """Something is done. `value` as `Do` wants it; `{key}` in a note or a field is what was answered."""

    id: str
    do: Do = Do.TAG
    value: str = ""
    to: str = ""


class HandOver(msgspec.Struct, frozen=True, tag="hand_over"):
    """A person takes over: of `team`, where one is named. `text`: own words before the usual ones."""

    id: str
    text: Texts = {}
    team: str = ""


Step = Say | Question | Choice | Condition | Action | HandOver
KINDS: Mapping[str, type[Step]] = {
    "say": Say,
    "question": Question,
    "choice": Choice,
    "condition": Condition,
    "action": Action,
    "hand_over": HandOver,
}


def kind_of(step: Step) -> str:
    """The name of a step's kind."""
    return next(name for name, shape in KINDS.items() if isinstance(step, shape))


class Trigger(msgspec.Struct, frozen=True):
    """What begins a flow: a topic of the bot's, words, its own button, or any first message from certain pages.

    `stores` and `pages` (parts of an address) narrow it, empty they do not; `channels`: `chat`, `email`.
    """

    topics: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    button: Texts = {}
    pages: tuple[str, ...] = ()
    stores: tuple[str, ...] = ()
    channels: tuple[str, ...] = ("chat",)


class Flow(msgspec.Struct, frozen=True):
    """A flow. Every text has words in each of `languages`; in others it speaks the first of them."""

    trigger: Trigger = Trigger()
    steps: tuple[Step, ...] = ()
    languages: tuple[str, ...] = ("en",)


# Words


def words(texts: Mapping[str, str], language: str, languages: Sequence[str]) -> str:
    """What a text says in a language: its own words, else those of the flow's first language that has any."""
    for code in (language, *languages, *texts):
        if said := texts.get(code, "").strip():
            return said
    return ""


_KEY = re.compile(r"\{([a-z][a-z0-9_]{0,29})\}")
KEY = re.compile(r"[a-z][a-z0-9_]{0,29}")


def filled(text: str, collected: Mapping[str, str]) -> str:
    """A text with the answers in it; what was not answered leaves nothing behind."""
    return _KEY.sub(lambda found: collected.get(found[1], ""), text)


# Beginning


@dataclass(frozen=True, slots=True)
class Opening:
    """A message that may begin a flow. `topic`: what it is surely about; `first`: nothing was said before."""

    text: str
    topic: str = ""
    page: str = ""
    store: str = ""
    channel: str = "chat"
    first: bool = True


def begins(trigger: Trigger, opening: Opening) -> int:
    """How closely a message is what a flow begins with; 0: it is not. Its button before words, topics and pages."""
    if opening.channel not in trigger.channels or (trigger.stores and opening.store not in trigger.stores):
        return 0
    if trigger.pages and not any(part.casefold() in opening.page.casefold() for part in trigger.pages):
        return 0
    said = search_key(opening.text)
    if said and any(search_key(label) == said for label in trigger.button.values()):
        return 4
    if any((key := search_key(one)) and f" {key} " in f" {said} " for one in trigger.words):
        return 3
    if opening.topic and opening.topic in trigger.topics:
        return 2
    only_pages = trigger.pages and not (trigger.words or trigger.topics or any(trigger.button.values()))
    return 1 if only_pages and opening.first else 0


# Walking


@dataclass(frozen=True, slots=True)
class Facts:
    """What conditions may ask. `order`: how the proven order stands, empty where none is proven.

    `known`: what need not be asked any more, by `Ask`: it was proven, or given before.
    """

    language: str = "en"
    channel: str = "chat"
    store: str = ""
    open: bool = True
    segments: frozenset[str] = frozenset()
    order: frozenset[str] = frozenset()
    known: Mapping[str, str] = field(default_factory=dict)


class State(msgspec.Struct, frozen=True):
    """Where somebody stands: at which step, how often each has asked, and what was answered."""

    at: str
    asked: dict[str, int] = {}
    collected: dict[str, str] = {}


class Ending(StrEnum):
    """Where a turn leaves the walk. All but WAITS are ends, and all but DONE lead to a person."""

    WAITS = "waits"
    DONE = "done"
    HANDED = "handed_over"
    WANTED = "person_wanted"
    UNCLEAR = "not_understood"
    ASKED = "asked_enough"
    LOOP = "circle"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Turn:
    """What comes of a message. `passed`: the steps said and done on the way, in order; `state`: where it waits.

    `asks` is the step that waits, `again` that it asks once more; `hands` the step that hands over, where one did.
    """

    ending: Ending
    collected: Mapping[str, str]
    passed: Sequence[Say | Action] = ()
    state: State | None = None
    asks: Question | Choice | None = None
    again: bool = False
    hands: HandOver | None = None
    path: Sequence[str] = ()


def start(flow: Flow, facts: Facts) -> Turn:
    """From the first step to the first that waits, or to the end."""
    first = flow.steps[0].id if flow.steps else END
    return _walk(flow, first, State(first), facts)


def answer(flow: Flow, state: State, message: Message, facts: Facts, *, person: bool = False) -> Turn:
    """One step on with what was said. `person`: they want one, which ends it whatever else they said."""
    if person:
        return Turn(Ending.WANTED, state.collected)
    step = next((one for one in flow.steps if one.id == state.at), None)
    if not isinstance(step, Question | Choice):
        return Turn(Ending.BROKEN, state.collected)
    said = read(step, message)
    if said is None:
        times = state.asked.get(step.id, 0)
        if times >= MOST_ASKED:
            return Turn(Ending.UNCLEAR, state.collected)
        again = State(step.id, {**state.asked, step.id: times + 1}, state.collected)
        return Turn(Ending.WAITS, state.collected, state=again, asks=step, again=True, path=(step.id,))
    value, to = said
    collected = {**state.collected, **({step.key: value} if step.key else {})}
    at = _target(flow, step.id, to)
    return _walk(flow, at, State(at, state.asked, collected), facts)


def _walk(flow: Flow, at: str, state: State, facts: Facts) -> Turn:
    steps = {step.id: step for step in flow.steps}
    collected, passed, path = dict(state.collected), list[Say | Action](), list[str]()

    def ends(ending: Ending, hands: HandOver | None = None) -> Turn:
        return Turn(ending, collected, passed, hands=hands, path=path)

    while at != END:
        step = steps.get(at)
        if step is None:
            return ends(Ending.BROKEN)
        if at in path:
            return ends(Ending.LOOP)
        path.append(at)
        match step:
            case Say() | Action():
                passed.append(step)
                at = _target(flow, step.id, step.to)
            case Condition():
                at = _target(flow, step.id, step.to if holds(step, facts, collected) else step.otherwise)
            case HandOver():
                return ends(Ending.HANDED, step)
            case Question() if known := collected.get(step.key) or facts.known.get(step.ask, ""):
                collected[step.key] = known
                at = _target(flow, step.id, step.to)
            case _:
                times = state.asked.get(step.id, 0)
                if times >= MOST_ASKED:
                    return ends(Ending.ASKED)
                waits = State(step.id, {**state.asked, step.id: times + 1}, collected)
                return Turn(Ending.WAITS, collected, passed, waits, step, path=path)
    return ends(Ending.DONE)


def _target(flow: Flow, at: str, to: str) -> str:
    """Where a step leads: the one that it names, else the one below it."""
    if to:
        return to
    ids = [step.id for step in flow.steps]
    below = ids.index(at) + 1
    return ids[below] if below < len(ids) else END


def holds(step: Condition, facts: Facts, collected: Mapping[str, str]) -> bool:
    """Whether one of the values of a condition is so."""
    match step.test:
        case About.LANGUAGE:
            return facts.language in step.values
        case About.CHANNEL:
            return facts.channel in step.values
        case About.STORE:
            return facts.store in step.values
        case About.HOURS:
            return ("open" if facts.open else "closed") in step.values
        case About.SEGMENT:
            return not facts.segments.isdisjoint(_folded(step.values))
        case About.ORDER:
            return not (facts.order or {"unproven"}).isdisjoint(step.values)
        case About.COLLECTED:
            said = collected.get(step.key, "")
            asked = [search_key(one) for one in step.values if one.strip()]
            return bool(said) if not asked else any(f" {one} " in f" {search_key(said)} " for one in asked)


def _folded(values: Sequence[str]) -> frozenset[str]:
    return frozenset(value.casefold() for value in values)


def read(step: Question | Choice, message: Message) -> tuple[str, str] | None:
    """What a message answers to a step: (what is kept, where it leads); None: that is no answer to it."""
    if isinstance(step, Choice):
        at = chosen(step, message.text)
        return (str(at + 1), step.options[at].to) if at is not None else None
    value = _answer(step.ask, message)
    return (value, step.to) if value else None


def chosen(step: Choice, text: str) -> int | None:
    """Which option is meant: by its words in any of its languages, by its number, or by its place."""
    said = search_key(text)
    for at, option in enumerate(step.options):
        if said and any(search_key(one) == said for one in option.text.values()):
            return at
    return place(text, len(step.options))


_NUMBER = re.compile(r"(?<![\w.,])-?\d{1,12}(?:[.,]\d{1,4})?(?![\w.,]*\w)")


def _answer(ask: Ask, message: Message) -> str:
    match ask:
        case Ask.ORDER:
            return message.orders[0].value if message.orders else ""
        case Ask.EMAIL:
            return message.emails[0].value if message.emails else ""
        case Ask.PHONE:
            return message.phones[0].value if message.phones else ""
        case Ask.DATE:
            return message.dates[0].value if message.dates else ""
        case Ask.NUMBER:
            found = _NUMBER.findall(search_key_of_digits(message.text))
            return found[0].replace(",", ".") if len(found) == 1 else ""
    return " ".join(message.text.split())[:LONGEST_ANSWER] if not message.says_nothing else ""


def search_key_of_digits(text: str) -> str:
    """A text with its digits as ASCII ones and nothing else changed."""
    return "".join(str(unicodedata.decimal(sign, sign)) for sign in text).replace("٫", ".")


# What is wrong with one


class Wrong(StrEnum):
    """What keeps a flow from being published."""

    EMPTY = "empty"
    TOO_MANY = "too_many_steps"
    NO_TRIGGER = "no_trigger"
    NO_CHANNEL = "no_channel"
    WORDS = "words_missing"
    TOO_LONG = "too_long"
    TARGET = "target_missing"
    UNREACHABLE = "unreachable"
    CIRCLE = "circle"
    OPTIONS = "options"
    OPTIONS_ALIKE = "options_alike"
    KEY = "key"
    KEY_UNKNOWN = "key_unknown"
    VALUES = "values_missing"
    VALUE = "value_missing"


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong at a step (`step` empty: with the beginning). `detail`: a language, a target, a key."""

    step: str
    wrong: Wrong
    detail: str = ""


def problems(flow: Flow) -> list[Problem]:
    """Everything that is wrong with a flow, in the order of its steps."""
    found = list(_of_trigger(flow))
    ids = {step.id for step in flow.steps}
    reached = _reached(flow)
    keys = {step.key for step in flow.steps if isinstance(step, Question | Choice) and step.key}
    circles = _circles(flow)
    for step in flow.steps:
        found += _of_words(flow, step)
        found += [Problem(step.id, Wrong.TARGET, to) for to in targets(step) if to and to != END and to not in ids]
        if step.id not in reached:
            found.append(Problem(step.id, Wrong.UNREACHABLE))
        if step.id in circles:
            found.append(Problem(step.id, Wrong.CIRCLE))
        found += _of_kind(step, keys)
    return found


def _of_trigger(flow: Flow) -> Iterator[Problem]:
    trigger = flow.trigger
    if not flow.steps:
        yield Problem("", Wrong.EMPTY)
    if len(flow.steps) > MOST_STEPS:
        yield Problem("", Wrong.TOO_MANY)
    button = any(text.strip() for text in trigger.button.values())
    if not (trigger.topics or trigger.words or trigger.pages or button):
        yield Problem("", Wrong.NO_TRIGGER)
    if not trigger.channels:
        yield Problem("", Wrong.NO_CHANNEL)
    if button:
        yield from _missing("", trigger.button, flow.languages, LONGEST_OPTION)


def _of_words(flow: Flow, step: Step) -> Iterator[Problem]:
    match step:
        case Say() | Question() | Choice():
            yield from _missing(step.id, step.text, flow.languages, LONGEST_TEXT)
        case HandOver() if any(text.strip() for text in step.text.values()):
            yield from _missing(step.id, step.text, flow.languages, LONGEST_TEXT)
    if isinstance(step, Choice):
        for option in step.options:
            yield from _missing(step.id, option.text, flow.languages, LONGEST_OPTION)


def _missing(step: str, texts: Mapping[str, str], languages: Sequence[str], longest: int) -> Iterator[Problem]:
    for code in languages:
        said = texts.get(code, "").strip()
        if not said:
            yield Problem(step, Wrong.WORDS, code)
        elif len(said) > longest:
            yield Problem(step, Wrong.TOO_LONG, code)


def _of_kind(step: Step, keys: set[str]) -> Iterator[Problem]:
    match step:
        case Question(key=key) if not KEY.fullmatch(key):
            yield Problem(step.id, Wrong.KEY, key)
        case Choice():
            if step.key and not KEY.fullmatch(step.key):
                yield Problem(step.id, Wrong.KEY, step.key)
            if not FEWEST_OPTIONS <= len(step.options) <= MOST_OPTIONS:
                yield Problem(step.id, Wrong.OPTIONS)
            for code in sorted({code for option in step.options for code in option.text}):
                said = [key for option in step.options if (key := search_key(option.text.get(code, "")))]
                if len(set(said)) < len(said):
                    yield Problem(step.id, Wrong.OPTIONS_ALIKE, code)
        case Condition(test=About.COLLECTED):
            if step.key not in keys:
                yield Problem(step.id, Wrong.KEY_UNKNOWN, step.key)
        case Condition() if not step.values:
            yield Problem(step.id, Wrong.VALUES)
        case Action():
            if not step.value.strip():
                yield Problem(step.id, Wrong.VALUE)
            elif len(step.value) > LONGEST_VALUE:
                yield Problem(step.id, Wrong.TOO_LONG)


def targets(step: Step) -> tuple[str, ...]:
    """Where a step may lead, an empty one being the step below."""
    match step:
        case Choice():
            return tuple(option.to for option in step.options)
        case Condition():
            return (step.to, step.otherwise)
        case HandOver():
            return ()
    return (step.to,)


def _next(flow: Flow, step: Step) -> set[str]:
    return {_target(flow, step.id, to) for to in targets(step)} - {END}


def _reached(flow: Flow) -> set[str]:
    steps = {step.id: step for step in flow.steps}
    found: set[str] = set()
    waiting = [flow.steps[0].id] if flow.steps else []
    while waiting:
        at = waiting.pop()
        if at in steps and at not in found:
            found.add(at)
            waiting += _next(flow, steps[at])
    return found


def _circles(flow: Flow) -> set[str]:
    """Steps that come back to themselves without anybody being asked on the way. What is kept is asked but once."""
    waits = {
        step.id for step in flow.steps if isinstance(step, Choice) or (isinstance(step, Question) and not step.key)
    }
    steps = {step.id: step for step in flow.steps if step.id not in waits}
    found = set()
    for id in steps:
        seen: set[str] = set()
        waiting = list(_next(flow, steps[id]))
        while waiting:
            at = waiting.pop()
            if at in steps and at not in seen:
                seen.add(at)
                waiting += _next(flow, steps[at])
        if id in seen:
            found.add(id)
    return found
