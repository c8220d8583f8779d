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
    """The milestones of an order, in their order; the last two are instead of those before."""

    ORDERED = "ordered"
    PACKED = "packed"
    SHIPPED = "shipped"
    OUT_FOR_DELIVERY = "out_for_delivery"
    DELIVERED = "delivered"


COURSE = tuple(Step)

_REACHED = {
    "pending": Step.PACKED,
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


@dataclass(frozen=True, slots=True)
class Usual:
    """What the store's latest parcels took, nine of ten of them at most. None: too few to say."""

    packing: timedelta | None = None
    carrying: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Parcel:
    """A parcel as its reader sees it. `link` leads to the carrier's page, empty where nobody knows it."""

    step: Step
    carrier: str
    number: str
    link: str
    failed: bool
    shipped_at: datetime | None
    delivered_at: datetime | None


@dataclass(frozen=True, slots=True)
class Standing:
    """How far an order is: `reached` of COURSE, with the moments that are known. `parts`: not all of it is as far.

    `late`: it takes longer than nine of ten orders of this shop did; `usual` is how long those took at most.
    """

    reached: Step
    moments: tuple[tuple[Step, datetime | None], ...]
    parcels: tuple[Parcel, ...]
    cancelled: bool
    parts: bool
    late: bool = False
    usual: timedelta | None = None


def standing(
    placed_at: datetime,
    fulfilment_status: str,
    cancelled_at: datetime | None,
    parcels: Sequence[Sent],
    usual: Usual,
    now: datetime | None = None,
) -> Standing:
    """How far an order is. What the parcels say goes before the platform's word for the whole."""
    now = now or datetime.now(UTC)
    sent = tuple(_parcel(one) for one in parcels if one.status != "cancelled")
    reached = max((COURSE.index(one.step) for one in sent), default=0)
    partly = fulfilment_status == "partial" or len({one.step for one in sent}) > 1
    if not sent and fulfilment_status in ("fulfilled", "partial"):
        reached = COURSE.index(Step.SHIPPED)
    shipped = _first(one.shipped_at for one in sent)
    delivered = _last(one.delivered_at for one in sent) if all(one.delivered_at for one in sent) else None
    known = {Step.ORDERED: placed_at, Step.SHIPPED: shipped, Step.DELIVERED: delivered}
    moments = tuple((step, known.get(step)) for step in COURSE[: reached + 1])
    late, took = (False, None) if cancelled_at else _late(placed_at, shipped, COURSE[reached], usual, now)
    return Standing(COURSE[reached], moments, sent, cancelled_at is not None, partly, late, took)


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
        one.shipped_at, one.delivered_at,
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
