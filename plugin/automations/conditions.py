"""What a rule asks before it acts, in the language of filters: `channel:email says:"my order" orders:>2`. Pure.

The grammar is that of lists (`plugin/conversations/filters.py`, docs/filters.md), the keys are a rule's own: beside the
conversation they ask what was said just now, who said it, and how their latest order stands. All terms have to hold; of
several values between commas one; a `-` turns a term round. A comparison with what is not known does not hold, and
turned round it does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from functools import lru_cache
from typing import Any
from uuid import UUID

from plugin.conversations.filters import (
    ME,
    NOBODY,
    PRIORITIES,
    SOMEBODY,
    STATUSES,
    WEEKDAYS,
    FilterError,
    quoted,
    span_of,
    tokens,
    values_of,
)
from plugin.kernel import lexemes
from plugin.kernel.lazy import Lazy, _
from plugin.kernel.text import folded, normalise

LONGEST = 4000
MOST = 20
"""Conditions of one rule, at most."""
MOST_VALUES = 60

LATE_TO_LEAVE = timedelta(days=5)
LATE_TO_ARRIVE = timedelta(days=10)
"""From when on an order is late: paid and not sent, or sent and on its way."""


class Key(StrEnum):
    """What can be asked."""

    SAYS = "says"
    ONLY = "only"
    SUBJECT = "subject"
    FILES = "files"
    CHANNEL = "channel"
    LANGUAGE = "language"
    STORE = "store"
    STATUS = "status"
    BEFORE = "before"
    ASSIGNEE = "assignee"
    TEAM = "team"
    PRIORITY = "priority"
    TAG = "tag"
    FIELD = "field"
    ANSWERED = "answered"
    WAITING = "waiting"
    RATING = "rating"
    OPEN = "open"
    WEEKDAY = "weekday"
    HOUR = "hour"
    KNOWN = "known"
    ORDERS = "orders"
    SPENT = "spent"
    CUSTOMER = "customer"
    ORDER = "order"
    TOTAL = "total"
    ORDERTAG = "ordertag"
    ORDERED = "ordered"


class Shape(StrEnum):
    """What the values of a key look like."""

    WORD = "word"
    CHOICE = "choice"
    RANK = "rank"
    NUMBER = "number"
    SPAN = "span"


YES, NO = "yes", "no"
ORDER_STATES = ("none", "unpaid", "unshipped", "shipped", "delivered", "late", "failed", "cancelled", "refunded")

SHAPES: Mapping[Key, Shape] = {
    Key.SAYS: Shape.WORD,
    Key.ONLY: Shape.WORD,
    Key.SUBJECT: Shape.WORD,
    Key.FILES: Shape.CHOICE,
    Key.CHANNEL: Shape.WORD,
    Key.LANGUAGE: Shape.WORD,
    Key.STORE: Shape.WORD,
    Key.STATUS: Shape.CHOICE,
    Key.BEFORE: Shape.CHOICE,
    Key.ASSIGNEE: Shape.WORD,
    Key.TEAM: Shape.WORD,
    Key.PRIORITY: Shape.RANK,
    Key.TAG: Shape.WORD,
    Key.FIELD: Shape.WORD,
    Key.ANSWERED: Shape.CHOICE,
    Key.WAITING: Shape.SPAN,
    Key.RATING: Shape.RANK,
    Key.OPEN: Shape.CHOICE,
    Key.WEEKDAY: Shape.CHOICE,
    Key.HOUR: Shape.NUMBER,
    Key.KNOWN: Shape.CHOICE,
    Key.ORDERS: Shape.NUMBER,
    Key.SPENT: Shape.NUMBER,
    Key.CUSTOMER: Shape.WORD,
    Key.ORDER: Shape.CHOICE,
    Key.TOTAL: Shape.NUMBER,
    Key.ORDERTAG: Shape.WORD,
    Key.ORDERED: Shape.SPAN,
}
CHOICES: Mapping[Key, tuple[str, ...]] = {
    Key.FILES: (YES, NO),
    Key.STATUS: STATUSES,
    Key.BEFORE: STATUSES,
    Key.PRIORITY: PRIORITIES,
    Key.ANSWERED: (YES, NO),
    Key.RATING: ("1", "2", "3", "4", "5"),
    Key.OPEN: (YES, NO),
    Key.WEEKDAY: WEEKDAYS,
    Key.KNOWN: (YES, NO),
    Key.ORDER: ORDER_STATES,
}
OF_MESSAGES = frozenset({Key.SAYS, Key.ONLY, Key.FILES, Key.BEFORE})
"""What can only be asked when somebody has just written."""

_COMPARED = re.compile(r"(>=|<=|>|<|=)?(.*)", re.DOTALL)
_AMOUNT = re.compile(r"[0-9]{1,12}(\.[0-9]{1,4})?")
_ASKED_FIELD = re.compile(r"(.+?)\s*(>=|<=|=|>|<)\s*(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Value:
    """One value. `compare` is `=`, or one of `> >= < <=` for ranks, numbers and spans."""

    text: str
    compare: str = "="
    span: timedelta | None = None
    number: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Term:
    """One condition: any of `values` holds, or none of them when `negated`."""

    key: Key
    values: tuple[Value, ...]
    negated: bool = False

    def __str__(self) -> str:
        said = ",".join(f"{'' if one.compare == '=' else one.compare}{quoted(one.text)}" for one in self.values)
        return f"{'-' if self.negated else ''}{self.key.value}:{said}"


@dataclass(frozen=True, slots=True)
class Spent:
    """What a customer has paid in one currency, refunds and cancelled orders not in it."""

    currency: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class OrderFacts:
    """The order that it is tied to, else the latest of whoever writes: in the conversation's store rather than
    elsewhere, standing rather than not.

    `parcels`: (status, when it left) of each.
    """

    total: Decimal
    placed_at: datetime
    payment_status: str = ""
    fulfilment_status: str = ""
    cancelled: bool = False
    tags: frozenset[str] = frozenset()
    parcels: tuple[tuple[str, datetime | None], ...] = ()

    def states(self, now: datetime) -> frozenset[str]:
        """Everything that is true of it, of ORDER_STATES."""
        if self.cancelled:
            return frozenset({"cancelled"})
        found = set()
        sent = [one for one in self.parcels if one[0] not in ("", "pending", "ready_for_pickup", "cancelled")]
        if self.payment_status in ("pending", "failed", "expired"):
            found.add("unpaid")
        if self.payment_status == "refunded":
            found.add("refunded")
        if sent and all(status == "delivered" for status, _left in sent):
            found.add("delivered")
        elif sent or self.fulfilment_status == "fulfilled":
            found.add("shipped")
        else:
            found.add("unshipped")
        if any(status == "failed" for status, _left in sent):
            found.add("failed")
        ready = any(status == "ready_for_pickup" for status, _left in self.parcels)
        waits = "unshipped" in found and not ready and self.payment_status in ("paid", "partially_refunded")
        under_way = [
            left for status, left in sent if left is not None and status in ("in_transit", "out_for_delivery", "failed")
        ]
        if (waits and now - self.placed_at > LATE_TO_LEAVE) or any(now - left > LATE_TO_ARRIVE for left in under_way):
            found.add("late")
        return frozenset(found)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known when something happens to a conversation. `now` stands in the workspace's time zone.

    `kind` is the event's, empty where time has passed. `text` is what was written just now, None where nothing was;
    `first`: by whom nothing was written before; `before`: the status until then; `machine`: a list or bulk mail, which
    nothing may answer by itself. `idle` is how long the customer has not answered us. `stores` are names that the store
    goes by. Tags are folded. `currency` is the store's.
    """

    kind: str
    now: datetime
    conversation_id: UUID
    text: str | None = None
    first: bool = False
    before: str = ""
    files: bool = False
    machine: bool = False
    subject: str = ""
    channel: str = ""
    language: str = ""
    stores: frozenset[str] = frozenset()
    status: str = "open"
    assignee: str = ""
    assignee_names: frozenset[str] = frozenset()
    team: str = ""
    team_tags: Mapping[str, str] = field(default_factory=dict)
    priority: int = 1
    tags: frozenset[str] = frozenset()
    fields: Mapping[str, str] = field(default_factory=dict)
    answered: bool = False
    waiting: timedelta | None = None
    idle: timedelta | None = None
    rating: int | None = None
    open: bool = True
    known: bool = False
    orders: int = 0
    spent: tuple[Spent, ...] = ()
    currency: str = ""
    customer_tags: frozenset[str] = frozenset()
    order: OrderFacts | None = None
    replied: bool = False


@lru_cache(maxsize=4096)
def parse(text: str) -> tuple[Term, ...]:
    """Read the conditions of a rule. Raises FilterError with words for whoever wrote them."""
    terms = []
    for token in tokens(text, LONGEST):
        if not token.key:
            raise FilterError(
                _("%(name)s is no condition."), _("Write what is asked, a colon, and a value."),
                values={"name": token.said[:40]},
            )  # fmt: skip
        terms.append(term(token.key, values_of(token.said), negated=token.negated))
    if len(terms) > MOST:
        raise FilterError(_("A rule has 20 conditions at most."), _("Make two rules of it."))
    return tuple(terms)


def written(terms: Sequence[Term]) -> str:
    """Conditions as they are kept: one spelling, that `parse` reads."""
    return " ".join(map(str, terms))


def term(name: str, said: Sequence[str], *, negated: bool = False) -> Term:
    """One condition from its parts. Raises FilterError."""
    if name not in set(Key):
        raise FilterError(
            _("There is no condition %(name)s."), _("These exist: %(names)s."),
            values={"name": name[:40], "names": ", ".join(Key)},
        )  # fmt: skip
    key = Key(name)
    values = tuple(dict.fromkeys(_value(key, " ".join(one.replace('"', " ").split())) for one in said if one.strip()))
    if not values:
        raise FilterError(_("%(name)s has no value."), _("Write one behind the colon."), values={"name": name})
    if len(values) > MOST_VALUES:
        raise FilterError(_("A condition has 60 values at most."), _("Make two rules of it."))
    return Term(key, values, negated)


def _value(key: Key, said: str) -> Value:
    if SHAPES[key] is Shape.WORD:
        # What has no letter could never be found.
        if key in (Key.SAYS, Key.ONLY, Key.SUBJECT) and not lexemes.words(said):
            raise _wrong(key, said, _("Write words or numbers."))
        return Value(said)
    found = _COMPARED.fullmatch(said)
    assert found is not None
    compare, text = found[1] or "=", normalise(found[2])
    match SHAPES[key]:
        case Shape.CHOICE | Shape.RANK:
            if text not in CHOICES[key] or (compare != "=" and SHAPES[key] is Shape.CHOICE):
                raise FilterError(
                    _("%(name)s cannot be %(value)s."), _("These exist: %(names)s."),
                    values={"name": key.value, "value": said[:40], "names": ", ".join(CHOICES[key])},
                )  # fmt: skip
            return Value(text, compare)
        case Shape.NUMBER:
            if (number := _number(text)) is None or (key is Key.HOUR and number > 23):
                raise _wrong(key, said, _("Write a number such as 3 or 250."))
            return Value(f"{number.normalize():f}", compare, number=number)
    if (span := span_of(text)) is None or compare == "=":
        raise _wrong(key, said, _("Write > or < and a span such as 30m, 4h, 2d or 1w."))
    return Value(text, compare, span=span)


def _wrong(key: Key, said: str, hint: Lazy) -> FilterError:
    return FilterError(_("%(name)s cannot be %(value)s."), hint, values={"name": key.value, "value": said[:40]})


def _number(text: str) -> Decimal | None:
    try:
        return Decimal(text) if _AMOUNT.fullmatch(text) else None
    except InvalidOperation:
        return None


# Whether a condition holds


def holds(term: Term, facts: Facts) -> bool:
    """Whether a condition is true of what is known."""
    if term.key is Key.ONLY:
        # All its values together are what may be said.
        inside = not facts.files and only(facts.text or "", [value.text for value in term.values])
    else:
        inside = any(_ASK[term.key](value, facts) for value in term.values)
    return inside != term.negated


def failing(terms: Sequence[Term], facts: Facts) -> Term | None:
    """The first condition that does not hold: the one that decided. None when all do."""
    return next((term for term in terms if not holds(term, facts)), None)


def _yes(value: Value, truth: bool) -> bool:
    return truth == (value.text == YES)


def _assignee(value: Value, facts: Facts) -> bool:
    if value.text == NOBODY:
        return not facts.assignee
    if value.text in (SOMEBODY, ME):
        return bool(facts.assignee)
    return value.text == facts.assignee or folded(value.text) in facts.assignee_names


def _rank(value: Value, priority: int) -> bool:
    return _compared(priority, value.compare, PRIORITIES.index(value.text))


def _field(value: Value, facts: Facts) -> bool:
    found = _ASKED_FIELD.fullmatch(value.text)
    if found is None:
        return normalise(value.text) in facts.fields
    kept = facts.fields.get(normalise(found[1]))
    if kept is None:
        return False
    wanted = " ".join(found[3].split())
    ours, theirs = _number(normalise(kept)), _number(normalise(wanted))
    if ours is not None and theirs is not None:
        return _compared(ours, found[2], theirs)
    # Days are written so that their letters compare as they do.
    return _compared(normalise(kept), found[2], normalise(wanted))


def _spent(value: Value, facts: Facts) -> bool:
    """In the store's own currency; where it is not known, in any."""
    counted = [one.amount for one in facts.spent if not facts.currency or one.currency == facts.currency]
    assert value.number is not None
    number = value.number
    return any(_compared(amount, value.compare, number) for amount in counted or [Decimal(0)])


def _order(value: Value, facts: Facts) -> bool:
    if facts.order is None:
        return value.text == "none"
    return value.text in facts.order.states(facts.now)


def _compared(left: Any, compare: str, right: Any) -> bool:
    if left is None or right is None:
        return False
    match compare:
        case ">":
            return bool(left > right)
        case ">=":
            return bool(left >= right)
        case "<":
            return bool(left < right)
        case "<=":
            return bool(left <= right)
    return bool(left == right)


_ASK: Mapping[Key, Callable[[Value, Facts], bool]] = {
    Key.SAYS: lambda value, facts: says(facts.text or "", value.text),
    Key.SUBJECT: lambda value, facts: says(facts.subject, value.text),
    Key.FILES: lambda value, facts: facts.text is not None and _yes(value, facts.files),
    Key.CHANNEL: lambda value, facts: folded(value.text) == facts.channel,
    Key.LANGUAGE: lambda value, facts: folded(value.text).partition("-")[0] == facts.language,
    Key.STORE: lambda value, facts: folded(value.text) in facts.stores,
    Key.STATUS: lambda value, facts: value.text == facts.status,
    Key.BEFORE: lambda value, facts: value.text == facts.before,
    Key.ASSIGNEE: _assignee,
    Key.TEAM: lambda value, facts: folded(value.text) == (folded(facts.team) or NOBODY),
    Key.PRIORITY: lambda value, facts: _rank(value, facts.priority),
    Key.TAG: lambda value, facts: folded(value.text) in facts.tags,
    Key.FIELD: _field,
    Key.ANSWERED: lambda value, facts: _yes(value, facts.answered),
    Key.WAITING: lambda value, facts: _compared(facts.waiting, value.compare, value.span),
    Key.RATING: lambda value, facts: _compared(facts.rating, value.compare, int(value.text)),
    Key.OPEN: lambda value, facts: _yes(value, facts.open),
    Key.WEEKDAY: lambda value, facts: WEEKDAYS[facts.now.weekday()] == value.text,
    Key.HOUR: lambda value, facts: _compared(Decimal(facts.now.hour), value.compare, value.number),
    Key.KNOWN: lambda value, facts: _yes(value, facts.known),
    Key.ORDERS: lambda value, facts: _compared(Decimal(facts.orders), value.compare, value.number),
    Key.SPENT: _spent,
    Key.CUSTOMER: lambda value, facts: folded(value.text) in facts.customer_tags,
    Key.ORDER: _order,
    Key.TOTAL: lambda value, facts: (
        facts.order is not None and _compared(facts.order.total, value.compare, value.number)
    ),
    Key.ORDERTAG: lambda value, facts: facts.order is not None and folded(value.text) in facts.order.tags,
    Key.ORDERED: lambda value, facts: (
        facts.order is not None and _compared(facts.now - facts.order.placed_at, value.compare, value.span)
    ),
}


@lru_cache(maxsize=1024)
def _heard(text: str) -> tuple[str, ...]:
    return tuple(lexemes.words(text))


@lru_cache(maxsize=65_536)
def _alike(word: str) -> frozenset[str]:
    return frozenset((word, *lexemes.stems(word)))


def says(text: str, phrase: str) -> bool:
    """Whether a text has these words side by side, each in whichever of its forms."""
    heard, wanted = _heard(text), _heard(phrase)
    if not wanted:
        return False
    return any(
        all(_same(word, asked) for word, asked in zip(heard[at : at + len(wanted)], wanted, strict=True))
        for at in range(len(heard) - len(wanted) + 1)
    )


def _same(word: str, asked: str) -> bool:
    return word == asked or not _alike(word).isdisjoint(_alike(asked))


def only(text: str, phrases: Sequence[str]) -> bool:
    """Whether a text consists of these phrases and nothing else, in whatever order and however often."""
    heard = _heard(text)
    wanted = sorted((_heard(phrase) for phrase in phrases), key=len, reverse=True)
    at = 0
    while at < len(heard):
        step = next((len(one) for one in wanted if one and heard[at : at + len(one)] == one), 0)
        if not step:
            return False
        at += step
    return bool(heard)
