"""Which returns a number of the report counted, as conditions of the queue: so that the number opens them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import case, func, select

from plugin.crm.customers import Customer
from plugin.crm.orders import Order
from plugin.kernel.db import Tx
from plugin.kernel.events import Event
from plugin.returns.policy import Resolution
from plugin.returns.records import OURS, STORES, ReturnLine, ReturnRequest
from plugin.returns.states import State

NOT_COUNTED = (State.DECLINED, State.CANCELLED)
"""What came to nothing: nobody sends anything back."""


class Way(StrEnum):
    """A part of a return's way: what is behind it has begun and ended, wherever it stands today."""

    DECISION = "decision"
    SENDING = "sending"
    TRAVEL = "travel"
    INSPECTION = "inspection"
    PAYMENT = "payment"
    WHOLE = "whole"


ENDS: Mapping[Way, tuple[str, str]] = {
    Way.DECISION: ("created_at", "decided"),
    Way.SENDING: ("decided", "sent"),
    Way.TRAVEL: ("sent", "received_at"),
    Way.INSPECTION: ("received_at", "inspected_at"),
    # Money may move before the goods are looked at: that took no time after it.
    Way.PAYMENT: ("inspected_at", "paid_at"),
    Way.WHOLE: ("created_at", "paid_at"),
}
"""Where a part begins and ends: a column of the return, or a name of EVENTS. It counts where it ends after it began."""
EVENTS: Mapping[str, tuple[str, ...]] = {
    "decided": ("return_request.approved", "return_request.declined"),
    "sent": ("return_request.in_transit",),
}
"""Moments that no column holds: the first event of these kinds."""


class Part(StrEnum):
    """What became of a return's money: it leaves as money, or stays as credit or as goods that go out instead."""

    BACK = "back"
    CREDIT = "credit"
    EXCHANGED = "exchanged"
    REPLACED = "replaced"


def amounts() -> Mapping[Part, Any]:
    """Each part as SQL over `ReturnRequest`, minor units: what was promised, or paid where it was paid."""
    paid = func.coalesce(ReturnRequest.paid, ReturnRequest.cash + ReturnRequest.credit)
    in_credit = ReturnRequest.credit > 0
    stays = func.greatest(ReturnRequest.worth - ReturnRequest.cash - ReturnRequest.credit, 0)
    return {
        Part.BACK: case((in_credit, 0), else_=paid),
        Part.CREDIT: case((in_credit, paid), else_=0),
        Part.EXCHANGED: case((ReturnRequest.resolution == Resolution.EXCHANGE, stays), else_=0),
        Part.REPLACED: case((ReturnRequest.resolution == Resolution.REPLACEMENT, stays), else_=0),
    }


@dataclass(frozen=True, slots=True)
class Narrowed:
    """Asked for from `first` to `last`, both counted, where `zone` is; with a line of `product` or `variant` (the
    store's ids); by this person, in this `currency`; with a `part` of the money, or this part of the `way`
    behind it. `counted`: neither
    declined nor cancelled.
    """

    first: date | None = None
    last: date | None = None
    zone: tzinfo = UTC
    product: str = ""
    variant: str = ""
    customer_id: UUID | None = None
    currency: str = ""
    origin: str = ""
    part: Part | None = None
    way: Way | None = None
    counted: bool = False

    def __bool__(self) -> bool:
        return self != Narrowed(zone=self.zone)

    @property
    def place(self) -> dict[str, str]:
        """As parameters of an address."""
        said = {
            "from": self.first.isoformat() if self.first else "",
            "to": self.last.isoformat() if self.last else "",
            "product": self.product,
            "variant": self.variant,
            "customer": str(self.customer_id or ""),
            "currency": self.currency,
            "origin": self.origin,
            "part": self.part.value if self.part else "",
            "way": self.way.value if self.way else "",
            "counted": "yes" if self.counted else "",
        }
        return {name: value for name, value in said.items() if value}


EVERYTHING = Narrowed()


def read(query: Mapping[str, str], zone: tzinfo) -> Narrowed:
    """What an address says; what cannot be read counts as not said. Pure."""
    way, part = query.get("way", ""), query.get("part", "")
    currency = query.get("currency", "")
    return Narrowed(
        first=_day(query.get("from", "")),
        last=_day(query.get("to", "")),
        zone=zone,
        product=query.get("product", "")[:200],
        variant=query.get("variant", "")[:200],
        customer_id=_id(query.get("customer", "")),
        currency=currency if len(currency) == len("SAR") and currency.isalpha() else "",
        origin=query.get("origin", "") if query.get("origin") in (OURS, STORES) else "",
        part=Part(part) if part in set(Part) else None,
        way=Way(way) if way in set(Way) else None,
        counted=query.get("counted") == "yes",
    )


def _day(said: str) -> date | None:
    try:
        day = date.fromisoformat(said)
    except ValueError:
        return None
    # What a database and every time zone can hold.
    return day if 2000 <= day.year <= 2100 else None


def _id(said: str) -> UUID | None:
    try:
        return UUID(said)
    except ValueError:
        return None


def begins(day: date, zone: tzinfo) -> datetime:
    """The midnight (UTC) at which a day begins there."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def conditions(tx: Tx, asked: Narrowed, *, reason: str = "") -> list[Any]:
    """As SQL over `ReturnRequest`; a `reason` is meant of the same goods as the product is."""
    found: list[Any] = []
    if asked.first is not None:
        found.append(ReturnRequest.created_at >= begins(asked.first, asked.zone))
    if asked.last is not None:
        found.append(ReturnRequest.created_at < begins(asked.last + timedelta(days=1), asked.zone))
    if asked.counted:
        found.append(ReturnRequest.state.not_in(NOT_COUNTED))
    if asked.currency:
        found.append(ReturnRequest.currency == asked.currency)
    if asked.origin:
        found.append(ReturnRequest.origin == asked.origin)
    if asked.customer_id is not None:
        found.append(ReturnRequest.order_id.in_(_orders_of(tx, asked.customer_id)))
    if asked.part is not None:
        found += [ReturnRequest.origin == OURS, amounts()[asked.part] != 0]
    if asked.way is not None:
        begin, end = (_moment(name) for name in ENDS[asked.way])
        found.append(end >= begin)
    goods = about(asked, reason=reason)
    if goods:
        found.append(
            select(ReturnLine.id)
            .where(ReturnLine.workspace_id == tx.workspace_id, ReturnLine.request_id == ReturnRequest.id, *goods)
            # Whoever counts goods has them beside: these are looked for anew.
            .correlate(ReturnRequest)
            .exists()
        )  # fmt: skip
    return found


def about(asked: Narrowed, *, reason: str = "") -> list[Any]:
    """Which goods are meant, as SQL over `ReturnLine`."""
    found: list[Any] = []
    if asked.product:
        found.append(ReturnLine.product_external_id == asked.product)
    if asked.variant:
        found.append(ReturnLine.variant_external_id == asked.variant)
    if reason:
        found.append(ReturnLine.reason == reason)
    return found


def _orders_of(tx: Tx, customer_id: UUID) -> Any:
    """The orders of the whole person, whichever of their rows is named."""
    head = (
        select(func.coalesce(Customer.merged_into, Customer.id))
        .where(Customer.workspace_id == tx.workspace_id, Customer.id == customer_id)
        .correlate(None)
        .scalar_subquery()
    )
    rows = (
        select(Customer.id)
        .where(Customer.workspace_id == tx.workspace_id, (Customer.id == head) | (Customer.merged_into == head))
        .correlate(None)
    )
    orders = select(Order.id).where(Order.workspace_id == tx.workspace_id, Order.customer_id.in_(rows))
    return orders.correlate(None)


def _moment(name: str) -> Any:
    kinds = EVENTS.get(name)
    if kinds is None:
        return getattr(ReturnRequest, name)
    return (
        select(func.min(Event.at))
        .where(
            Event.workspace_id == ReturnRequest.workspace_id,
            Event.subject_id == ReturnRequest.id,
            Event.kind.in_(kinds),
        )
        .correlate(ReturnRequest)
        .scalar_subquery()
    )
