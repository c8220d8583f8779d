"""Where an order is: its milestones, its parcels, and whether it takes longer than it usually does. Pure.

What a platform does not tell is not made up: a milestone without its moment is shown without one, and an order is
called late only against what this very store's parcels took.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Protocol
from urllib.parse import quote


class Step(StrEnum):
    """The milestones of an order, in their order. What is fetched is READY where what is sent is SHIPPED."""

    ORDERED = "ordered"
    PACKED = "packed"
    SHIPPED = "shipped"
    OUT_FOR_DELIVERY = "out_for_delivery"
    DELIVERED = "delivered"
    READY = "ready"
    FETCHED = "fetched"


COURSE = (Step.ORDERED, Step.PACKED, Step.SHIPPED, Step.OUT_FOR_DELIVERY, Step.DELIVERED)
FETCHING = (Step.ORDERED, Step.READY, Step.FETCHED)
"""The course of an order that its shopper fetches."""

_REACHED = {
    "pending": Step.PACKED,
    "ready_for_pickup": Step.PACKED,
    "in_transit": Step.SHIPPED,
    "unknown": Step.SHIPPED,
    "failed": Step.SHIPPED,
    "out_for_delivery": Step.OUT_FOR_DELIVERY,
    "delivered": Step.DELIVERED,
}


class Sent(Protocol):
    """A parcel as it is stored (`plugin.crm.orders.Fulfilment`)."""

    @property
    def status(self) -> str: ...
    @property
    def carrier(self) -> str: ...
    @property
    def tracking_number(self) -> str: ...
    @property
    def tracking_url(self) -> str: ...
    @property
    def shipped_at(self) -> datetime | None: ...
    @property
    def delivered_at(self) -> datetime | None: ...
    @property
    def estimated_at(self) -> datetime | None: ...
    @property
    def proof_url(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Usual:
    """What the store's latest parcels took, nine of ten of them at most. None: too few to say."""

    packing: timedelta | None = None
    carrying: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Parcel:
    """A parcel as its reader sees it. `link` leads to the carrier's page, empty where nobody knows it.

    `proof`: a picture of where it was left. `expected_at`: when its carrier expects to deliver it.
    """

    step: Step
    carrier: str
    number: str
    link: str
    failed: bool
    shipped_at: datetime | None
    delivered_at: datetime | None
    proof: str = ""
    expected_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How far an order is: `reached` of COURSE, with the moments that are known. `parts`: not all of it is as far.

    `late`: it takes longer than nine of ten orders of this shop did, or the carrier's own day is over; `usual` is how
    long those took at most. `expected`: when it should be there, `promised` where its carrier says so; else by when
    nine of ten were. `fetched`: its shopper fetches it, from the place so called. `rest`: how far the rest is where a
    part was delivered already; an order whose rest is waited for is not delivered.
    """

    reached: Step
    moments: tuple[tuple[Step, datetime | None], ...]
    parcels: tuple[Parcel, ...]
    cancelled: bool
    parts: bool
    late: bool = False
    usual: timedelta | None = None
    expected: datetime | None = None
    promised: bool = False
    fetched: str = ""
    rest: Step | None = None

    @property
    def shown(self) -> Step:
        """The milestone that it reached, in the words of its own course."""
        if not self.fetched:
            return self.reached
        place = COURSE.index(self.reached)
        return Step.ORDERED if place == 0 else Step.FETCHED if self.reached is Step.DELIVERED else Step.READY


def standing(
    placed_at: datetime,
    fulfilment_status: str,
    cancelled_at: datetime | None,
    parcels: Sequence[Sent],
    usual: Usual,
    now: datetime | None = None,
    pickup: str = "",
) -> Standing:
    """How far an order is. What the parcels say goes before the platform's word for the whole."""
    now = now or datetime.now(UTC)
    sent = tuple(_parcel(one) for one in parcels if one.status != "cancelled")
    reached = max((COURSE.index(one.step) for one in sent), default=0)
    partly = fulfilment_status == "partial" or len({one.step for one in sent}) > 1
    if not sent and fulfilment_status in ("fulfilled", "partial"):
        reached = COURSE.index(Step.SHIPPED)
    waiting = tuple(one for one in sent if one.step is not Step.DELIVERED)
    rest = None
    if COURSE[reached] is Step.DELIVERED and (waiting or fulfilment_status == "partial"):
        rest = COURSE[max((COURSE.index(one.step) for one in waiting), default=0)]
        reached = max(COURSE.index(rest), COURSE.index(Step.SHIPPED))
    shipped = _first(one.shipped_at for one in sent)
    delivered = _last(one.delivered_at for one in sent) if all(one.delivered_at for one in sent) else None
    known = {Step.ORDERED: placed_at, Step.SHIPPED: shipped, Step.DELIVERED: delivered}
    moments = tuple((step, known.get(step)) for step in COURSE[: reached + 1])
    step = COURSE[reached]
    if cancelled_at is not None or step is Step.DELIVERED:
        return Standing(step, moments, sent, cancelled_at is not None, partly, fetched=pickup, rest=rest)
    if pickup:
        late, took = _late(placed_at, None, step, usual, now)
        return Standing(step, moments, sent, False, partly, late, took, fetched=pickup, rest=rest)
    if rest is not None:
        shipped = _first(one.shipped_at for one in waiting)
    late, took = _late(placed_at, shipped, rest or step, usual, now)
    promise = _last(one.expected_at for one in waiting)
    expected = promise or _expected(placed_at, shipped, usual)
    # The carrier's own word goes before what others took; a day that is over is not shown again, and neither is a day
    # that others took where the carrier could not deliver.
    late = now > promise + timedelta(days=1) if promise else late
    failed = promise is None and any(one.failed for one in waiting)
    if expected is not None and (late or failed or expected < now - timedelta(days=1)):
        expected = None
    return Standing(step, moments, sent, False, partly, late, took, expected, promise is not None, rest=rest)


def _expected(placed_at: datetime, shipped: datetime | None, usual: Usual) -> datetime | None:
    """By when nine of ten were there; of what was not sent only where both parts of the way are known."""
    if usual.carrying is None:
        return None
    if shipped is not None:
        return shipped + usual.carrying
    return placed_at + usual.packing + usual.carrying if usual.packing is not None else None


def _late(
    placed_at: datetime, shipped: datetime | None, reached: Step, usual: Usual, now: datetime
) -> tuple[bool, timedelta | None]:
    if reached is Step.DELIVERED:
        return False, None
    if shipped is not None and usual.carrying is not None:
        return now - shipped > usual.carrying, usual.carrying
    if shipped is None and COURSE.index(reached) < COURSE.index(Step.SHIPPED) and usual.packing is not None:
        return now - placed_at > usual.packing, usual.packing
    return False, None


def _parcel(one: Sent) -> Parcel:
    step = Step.DELIVERED if one.delivered_at else _REACHED.get(one.status, Step.SHIPPED)
    number = one.tracking_number.strip()
    return Parcel(
        step, one.carrier, number, link(one.carrier, number, one.tracking_url), one.status == "failed",
        one.shipped_at, one.delivered_at, one.proof_url if one.proof_url.startswith("https://") else "",
        one.estimated_at,
    )  # fmt: skip


def _first(moments: Iterable[datetime | None]) -> datetime | None:
    return min((moment for moment in moments if moment), default=None)


def _last(moments: Iterable[datetime | None]) -> datetime | None:
    return max((moment for moment in moments if moment), default=None)


# Carriers: the name as stores write it → their own tracking page. Shopify builds these addresses itself for those that
# it knows (https://shopify.dev/docs/api/admin-graphql/2025-10/objects/FulfillmentTrackingInfo): this is for the rest.
_CARRIERS: tuple[tuple[str, str], ...] = (
    (r"aramex|أرامكس|ارامكس", "https://www.aramex.com/track/results?ShipmentNumber={number}"),
    (r"smsa|سمسا", "https://www.smsaexpress.com/trackingdetails?tracknumbers={number}"),
    (r"israel post|דואר ישראל", "https://mypost.israelpost.co.il/itemtrace?itemcode={number}"),
    (r"\bdhl\b", "https://www.dhl.com/en/express/tracking.html?AWB={number}"),
    (r"\bups\b", "https://www.ups.com/track?tracknum={number}"),
    (r"\busps\b", "https://tools.usps.com/go/TrackConfirmAction?tLabels={number}"),
    (r"\bfedex\b", "https://www.fedex.com/fedextrack/?trknbr={number}"),
    (r"royal mail", "https://www.royalmail.com/track-your-item#/tracking-results/{number}"),
    (r"canada post", "https://www.canadapost-postescanada.ca/track-reperage/en#/search?searchFor={number}"),
    (r"australia post|auspost", "https://auspost.com.au/mypost/track/#/details/{number}"),
    (r"la poste|colissimo", "https://www.laposte.fr/outils/suivre-vos-envois?code={number}"),
    (r"postnl", "https://postnl.nl/tracktrace/?B={number}"),
)  # fmt: skip
_PATTERNS = tuple((re.compile(name, re.IGNORECASE), address) for name, address in _CARRIERS)
_NUMBER = re.compile(r"[A-Za-z0-9][A-Za-z0-9 -]{3,48}")


def link(carrier: str, number: str, told: str) -> str:
    """Where a parcel is followed: the address that the store told, else the carrier's own page, else nothing."""
    if told.startswith(("https://", "http://")):
        return told
    if not _NUMBER.fullmatch(number):
        return ""
    for pattern, address in _PATTERNS:
        if pattern.search(carrier):
            return address.format(number=quote(number.replace(" ", ""), safe=""))
    return ""
