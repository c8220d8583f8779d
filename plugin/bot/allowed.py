"""What the bot may do where, when and for whom, and how much it may give away. Pure.

Each thing that it does by itself has terms of its own besides those of the whole bot: channels, hours, segments of
customers. What gives something away has a limit, a cap by customer and by day, and an amount above which an agent
decides.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Any

import msgspec

from plugin.conversations.targets import Segment

LONGEST_CODE = 60

TAGGED = "tag:"
"""How a segment is written that is a tag of the customer in the store: `tag:vip`."""


class Deed(StrEnum):
    """What the bot does by itself."""

    ORDERS = "orders"
    SCREENS = "screens"
    GOODS = "goods"
    FLOWS = "flows"
    DISCOUNT = "discount"


class Hours(StrEnum):
    """While the team keeps its hours, or outside of them."""

    ANY = ""
    OPEN = "open"
    CLOSED = "closed"


class Terms(msgspec.Struct, frozen=True):
    """Where, when and for whom. Empty means everywhere, always, for everybody; `on` false: not at all."""

    on: bool = True
    channels: tuple[str, ...] = ()
    hours: Hours = Hours.ANY
    segments: tuple[str, ...] = ()

    def hold(self, *, channel: str, open: bool, segments: Collection[str]) -> bool:
        """Whether it may be done there, then and for somebody of these segments."""
        if not self.on or (self.channels and channel not in self.channels):
            return False
        if self.hours and (self.hours is Hours.OPEN) is not open:
            return False
        return among(self.segments, segments)


def among(wanted: Collection[str], segments: Collection[str]) -> bool:
    """Whether somebody of these segments is meant; an empty list means everybody."""
    return not wanted or not {one.casefold() for one in wanted}.isdisjoint(segments)


def segments_of(orders: int, tags: Collection[str]) -> frozenset[str]:
    """The segments of a customer with so many orders and these tags in the store."""
    return frozenset({Segment.of(orders).value, *(f"{TAGGED}{tag.casefold()}" for tag in tags)})


class Giving(msgspec.Struct, frozen=True):
    """How discount codes are given. Amounts are minor units of the store's currency; 0: none of that kind.

    `percent`, `amount`: the most that a code may take off. `free_percent`, `free_amount`: up to there the bot gives by
    itself, above an agent decides. `per_customer` codes in `within_days` days, `per_day` in the store in 24 hours.
    `days`: how long a code is good. `asked_percent`: what somebody gets who asks for a discount; 0: only flows give.
    `public_code`: a code of the shop's own for everybody who asks; limits and caps are the store's, which made it.
    """

    on: bool = False
    percent: int = 10
    amount: int = 0
    free_percent: int = 10
    free_amount: int = 0
    per_customer: int = 1
    within_days: int = 90
    per_day: int = 20
    days: int = 30
    asked_percent: int = 0
    public_code: str = ""

    def wrong(self) -> str:
        """The name of the first figure that cannot be so; empty: all can."""
        checks = {
            "percent": 0 <= self.percent <= 100,
            "amount": 0 <= self.amount <= 10**12,
            "free_percent": 0 <= self.free_percent <= 100,
            "free_amount": 0 <= self.free_amount <= 10**12,
            "per_customer": 1 <= self.per_customer <= 100,
            "within_days": 1 <= self.within_days <= 3650,
            "per_day": 1 <= self.per_day <= 10_000,
            "days": 1 <= self.days <= 365,
            "asked_percent": 0 <= self.asked_percent <= self.percent,
            "public_code": len(self.public_code) <= LONGEST_CODE and not self.public_code.split()[1:],
        }
        return next((name for name, fits in checks.items() if not fits), "")


class Wish(msgspec.Struct, frozen=True):
    """What is to be taken off: a whole percentage, or an amount in minor units of the store's currency."""

    percent: int = 0
    amount: int = 0

    @classmethod
    def of(cls, said: str) -> Wish | None:
        """From `10%`, or from minor units; None for what is neither."""
        number = said.removesuffix("%")
        if not number.isascii() or not number.isdigit() or len(number) > 12 or int(number) == 0:
            return None
        if said.endswith("%"):
            return cls(percent=int(number)) if int(number) <= 100 else None
        return cls(amount=int(number))

    def __str__(self) -> str:
        return f"{self.percent}%" if self.percent else str(self.amount)


class Verdict(StrEnum):
    """What becomes of a wish for a discount."""

    GIVEN = "given"
    ASKED = "asked"
    OFF = "off"
    TERMS = "terms"
    UNPROVEN = "unproven"
    CURRENCY = "currency"
    LIMIT = "over_limit"
    CUSTOMER = "customer_cap"
    DAY = "day_cap"


GIVES = frozenset({Verdict.GIVEN, Verdict.ASKED})


def judge(giving: Giving, wish: Wish, *, customers: int, today: int) -> Verdict:
    """What becomes of a wish by the limits. `customers`: codes that this customer got within the days, `today`: all."""
    if not giving.on:
        return Verdict.OFF
    if wish.percent > giving.percent or wish.amount > giving.amount or not (wish.percent or wish.amount):
        return Verdict.LIMIT
    if customers >= giving.per_customer:
        return Verdict.CUSTOMER
    if today >= giving.per_day:
        return Verdict.DAY
    if wish.percent > giving.free_percent or wish.amount > giving.free_amount:
        return Verdict.ASKED
    return Verdict.GIVEN


def terms_of(may: Mapping[str, Any], deed: Deed) -> Terms:
    """The terms of a deed as a bot keeps them."""
    return msgspec.convert(may.get(deed.value, {}), Terms)
