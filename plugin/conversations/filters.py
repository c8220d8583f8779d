"""The filter language of lists: `status:open,pending tag:"gift card" -assignee:me waiting:>30m refund`. Pure.

People read and write it in the search field and see it in the address. A filter is a row of terms; all of them hold.
A term is `key:value`, with several values between commas (one of them holds) and a `-` before it to turn it round.
Words without a key are searched for. Spans are written 30m, 4h, 2d, 1w; days as 2026-11-22.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from plugin.kernel.errors import AhlanError
from plugin.kernel.lazy import _

LIMIT = 500
"""Characters of a filter, at most: more is no question of a person."""


class Key(StrEnum):
    """What can be asked of a conversation."""

    STATUS = "status"
    ASSIGNEE = "assignee"
    PRIORITY = "priority"
    TAG = "tag"
    FIELD = "field"
    CHANNEL = "channel"
    STORE = "store"
    LANGUAGE = "language"
    TOPIC = "topic"
    UNREAD = "unread"
    MENTIONS = "mentions"
    WAITING = "waiting"
    DUE = "due"
    BREACHED = "breached"
    ANSWERED = "answered"
    TEAM = "team"
    CREATED = "created"
    WEEKDAY = "weekday"
    HOUR = "hour"
    ACTIVE = "active"
    RATING = "rating"
    ORDER = "order"


class Shape(StrEnum):
    """What the values of a key look like."""

    WORD = "word"
    CHOICE = "choice"
    RANK = "rank"
    SPAN = "span"
    TIME = "time"
    NUMBER = "number"


STATUSES = ("open", "pending", "snoozed", "resolved", "spam")
PRIORITIES = ("low", "normal", "high", "urgent")
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
NOBODY, ME, SOMEBODY = "none", "me", "any"

SHAPES: dict[Key, Shape] = {
    Key.STATUS: Shape.CHOICE,
    Key.ASSIGNEE: Shape.WORD,
    Key.PRIORITY: Shape.RANK,
    Key.TAG: Shape.WORD,
    Key.FIELD: Shape.WORD,
    Key.CHANNEL: Shape.WORD,
    Key.STORE: Shape.WORD,
    Key.LANGUAGE: Shape.WORD,
    Key.TOPIC: Shape.WORD,
    Key.UNREAD: Shape.CHOICE,
    Key.MENTIONS: Shape.CHOICE,
    Key.WAITING: Shape.SPAN,
    Key.DUE: Shape.SPAN,
    Key.BREACHED: Shape.CHOICE,
    Key.ANSWERED: Shape.CHOICE,
    Key.TEAM: Shape.WORD,
    Key.CREATED: Shape.TIME,
    Key.WEEKDAY: Shape.CHOICE,
    Key.HOUR: Shape.NUMBER,
    Key.ACTIVE: Shape.TIME,
    Key.RATING: Shape.RANK,
    Key.ORDER: Shape.WORD,
}
CHOICES: dict[Key, tuple[str, ...]] = {
    Key.STATUS: STATUSES,
    Key.PRIORITY: PRIORITIES,
    Key.UNREAD: ("yes", "no"),
    Key.ANSWERED: ("yes", "no"),
    Key.WEEKDAY: WEEKDAYS,
    Key.BREACHED: ("yes", "no"),
    Key.MENTIONS: ("me", "unread"),
    Key.RATING: ("1", "2", "3", "4", "5"),
}

_UNITS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_LONGEST = timedelta(days=3650)
_PIECES = r'(?:"[^"]*"|[^\s"])'
_TOKEN = re.compile(rf"(?P<not>-?)(?:(?P<key>[a-z]+):(?P<value>{_PIECES}*)|(?P<word>{_PIECES}+))")
_VALUE = re.compile(r'"([^"]*)"|([^,"]+)')
_COMPARED = re.compile(r"(>=|<=|>|<)?(.*)", re.DOTALL)
_SPAN = re.compile(r"([0-9]{1,4})([mhdw])")
_HOUR = re.compile(r"[01]?[0-9]|2[0-3]", re.ASCII)
_PLAIN = re.compile(r'[^\s",]+')


class FilterError(AhlanError):
    """A filter that says something we do not understand; the words tell which part."""

    status = 422
    code = "filter"


@dataclass(frozen=True, slots=True)
class Value:
    """One value. `compare` is `=`, or one of `> >= < <=` for ranks, spans and times.

    A span has `span`, a calendar day `day`; both are None for plain words.
    """

    text: str
    compare: str = "="
    span: timedelta | None = None
    day: date | None = None


@dataclass(frozen=True, slots=True)
class Term:
    """One condition: any of `values` holds, or none of them when `negated`."""

    key: Key
    values: tuple[Value, ...]
    negated: bool = False

    def __str__(self) -> str:
        said = ",".join(f"{'' if value.compare == '=' else value.compare}{quoted(value.text)}" for value in self.values)
        return f"{'-' if self.negated else ''}{self.key.value}:{said}"


@dataclass(frozen=True, slots=True)
class Filter:
    """Conditions that all hold, words to search for, and words that must not be there (`without`).

    `str()` is the text again, in one spelling.
    """

    terms: tuple[Term, ...] = ()
    words: tuple[str, ...] = ()
    without: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join([*map(str, self.terms), *map(_word, self.words), *(f"-{_word(one)}" for one in self.without)])

    def of(self, key: Key) -> tuple[Term, ...]:
        """The conditions on one key."""
        return tuple(term for term in self.terms if term.key is key)


def parse(text: str) -> Filter:
    """Read a filter. Raises FilterError with words for whoever typed it."""
    terms: list[Term] = []
    words: list[str] = []
    without: list[str] = []
    for token in tokens(text, LIMIT):
        if token.key:
            terms.append(_term(token.key, token.said, negated=token.negated))
        else:
            (without if token.negated else words).append(token.said)
    said = [tuple(word for word in some if word.strip()) for some in (words, without)]
    return Filter(tuple(terms), *said)


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a filter as it was written: `key:said`, or a word without a key. `negated`: with a `-` before it."""

    key: str
    said: str
    negated: bool = False


def tokens(text: str, limit: int) -> Iterator[Token]:
    """The pieces of a filter, whatever its keys mean. Raises FilterError for one that is too long, or not closed."""
    if len(text) > limit:
        raise FilterError(_("This filter is too long."), _("Say it with fewer conditions."))
    place = 0
    while (place := _skip(text, place)) < len(text):
        token = _TOKEN.match(text, place)
        if token is None:
            raise FilterError(_("A quotation mark is not closed."), _("Close it, or take it out."))
        place = token.end()
        if token["key"] is None:
            yield Token("", token["word"].replace('"', ""), bool(token["not"]))
        else:
            yield Token(token["key"], token["value"], bool(token["not"]))


def values_of(said: str) -> list[str]:
    """The values behind a key: between commas, each perhaps in quotation marks."""
    parts = (quoted or plain for quoted, plain in _VALUE.findall(said))
    return [part.strip() for part in parts if part.strip()]


def _skip(text: str, place: int) -> int:
    while place < len(text) and text[place].isspace():
        place += 1
    return place


def _term(name: str, said: str, *, negated: bool) -> Term:
    if name not in set(Key):
        raise FilterError(
            _("There is no filter %(name)s."),
            _("These exist: %(names)s."),
            values={"name": name, "names": ", ".join(Key)},
        )
    key = Key(name)
    values = tuple(_value(key, part) for part in values_of(said))
    if not values:
        raise FilterError(_("%(name)s has no value."), _("Write one behind the colon."), values={"name": name})
    return Term(key, values, negated)


def _value(key: Key, said: str) -> Value:
    shape = SHAPES[key]
    if shape is Shape.WORD:
        return Value(said)
    found = _COMPARED.fullmatch(said)
    assert found is not None
    compare, text = found[1] or "=", found[2].strip().lower()
    if shape in (Shape.CHOICE, Shape.RANK):
        if text not in CHOICES[key] or (compare != "=" and shape is Shape.CHOICE):
            raise FilterError(
                _("%(name)s cannot be %(value)s."),
                _("These exist: %(names)s."),
                values={"name": key.value, "value": said, "names": ", ".join(CHOICES[key])},
            )
        return Value(text, compare)
    if shape is Shape.NUMBER:
        if not _HOUR.fullmatch(text):
            raise FilterError(
                _("%(name)s cannot be %(value)s."),
                _("Write an hour from 0 to 23."),
                values={"name": key.value, "value": said},
            )
        return Value(str(int(text)), compare)
    if (span := span_of(text)) is not None:
        if compare == "=":
            raise FilterError(
                _("%(name)s needs > or < before %(value)s."),
                _("For example %(example)s."),
                values={"name": key.value, "value": said, "example": f"{key.value}:>{text}"},
            )
        return Value(text, compare, span=span)
    if shape is Shape.TIME and (day := _day(text)) is not None:
        return Value(text, compare, day=day)
    raise FilterError(
        _("%(name)s cannot be %(value)s."),
        _("Write a span such as 30m, 4h, 2d or 1w.")
        if shape is Shape.SPAN
        else _("Write a span such as 4h or 2d, or a day such as 2026-11-22."),
        values={"name": key.value, "value": said},
    )


def span_of(text: str) -> timedelta | None:
    """A span such as `4h`; None when it is none, ten years when it is longer."""
    found = _SPAN.fullmatch(text)
    if found is None:
        return None
    return min(_LONGEST, timedelta(seconds=int(found[1]) * _UNITS[found[2]]))


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if len(text) == 10 else None
    except ValueError:
        return None


def quoted(text: str) -> str:
    """A value as a filter has to say it: in quotation marks where it has blanks or signs of ours."""
    return text if _PLAIN.fullmatch(text) and text[0] not in "<>" else f'"{text}"'


def _word(text: str) -> str:
    return text if _PLAIN.fullmatch(text) and ":" not in text and not text.startswith("-") else f'"{text}"'
