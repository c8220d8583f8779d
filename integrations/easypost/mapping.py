"""EasyPost's JSON and ours, both ways. Pure. Field names: https://docs.easypost.com/docs/shipments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from plugin.carrier import Label, Movement, Offer, Parcel, Pickup, Place, Stage, Voided, Wanted
from plugin.kernel.money import Money, parse

Node = Mapping[str, Any]

OUNCE: Final = 28.349523125
INCH: Final = 25.4

STAGES: Final[Mapping[str, Stage]] = {
    "pre_transit": Stage.WAITING,
    "in_transit": Stage.MOVING,
    "out_for_delivery": Stage.MOVING,
    "available_for_pickup": Stage.MOVING,
    "delivered": Stage.DELIVERED,
    "return_to_sender": Stage.BACK,
    "failure": Stage.TROUBLE,
    "cancelled": Stage.TROUBLE,
    "error": Stage.TROUBLE,
}
"""https://docs.easypost.com/docs/trackers: what is not here (`unknown`) says nothing."""

REFUNDS: Final[Mapping[str, Voided]] = {
    "submitted": Voided.ASKED, "refunded": Voided.BACK, "rejected": Voided.REFUSED, "not_applicable": Voided.REFUSED,
}  # fmt: skip
"""https://docs.easypost.com/docs/shipments/shipping-refund"""


def address(place: Place) -> dict[str, str]:
    """An address as EasyPost takes it."""
    told = {
        "name": place.name, "company": place.company, "street1": place.line1, "street2": place.line2,
        "city": place.city, "state": place.region, "zip": place.postcode, "country": place.country,
        "phone": place.phone, "email": place.email,
    }  # fmt: skip
    return {name: value for name, value in told.items() if value}


def parcel(parcel: Parcel) -> dict[str, float]:
    """Ounces and inches, one decimal, never nothing: a weight of zero is refused."""
    sizes = {"length": parcel.length, "width": parcel.width, "height": parcel.height}
    told = {name: round(size / INCH, 1) for name, size in sizes.items() if size > 0} if all(sizes.values()) else {}
    return {**told, "weight": max(0.1, round(parcel.grams / OUNCE, 1))}


def shipment(wanted: Wanted) -> dict[str, Any]:
    """A parcel that comes back.

    With `is_return` EasyPost swaps the two: it is told the way the goods went (docs.easypost.com/docs/returns).
    """
    return {
        "shipment": {
            "to_address": address(wanted.sender),
            "from_address": address(wanted.to),
            "parcel": parcel(wanted.parcel),
            "reference": wanted.reference,
            "is_return": True,
            "options": {"label_format": "PDF"},
        }
    }


def offer(told: Node, services: Sequence[str]) -> Offer | None:
    """The cheapest rate of these services, None where there is none. Raises ValueError for what is no shipment."""
    rates = [one for one in told.get("rates") or () if not services or str(one.get("service")) in services]
    if not rates:
        return None
    best = min(rates, key=lambda one: (_money(one).amount, str(one["id"])))
    return Offer(str(told["id"]), str(best["id"]), str(best["carrier"]), str(best["service"]), _money(best))


def label(told: Node) -> Label | None:
    """What was bought, None while nothing is: a shipment has its label once it is paid."""
    bought, rate = told.get("postage_label"), told.get("selected_rate")
    if not bought or not rate:
        return None
    tracker = told.get("tracker") or {}
    return Label(
        external_id=str(told["id"]),
        carrier=str(rate["carrier"]),
        service=str(rate["service"]),
        price=_money(rate),
        tracking_number=str(told.get("tracking_code") or ""),
        tracking_url=str(tracker.get("public_url") or ""),
        url=str(bought.get("label_pdf_url") or bought.get("label_url") or ""),
    )


def code(told: Node) -> str:
    """Where the code lies that stands for a printed label."""
    forms: Iterable[Node] = told.get("forms") or ()
    return next((str(one["form_url"]) for one in forms if one.get("form_type") == "label_qr_code"), "")


def pickup(told: Node) -> Pickup:
    """A pickup: booked once it has a confirmation, else with the cheapest who would come."""
    rates = sorted(told.get("pickup_rates") or (), key=lambda one: (_money(one).amount, str(one.get("service"))))
    best = rates[0] if rates else {}
    return Pickup(
        external_id=str(told["id"]),
        booked=told.get("status") == "scheduled",
        confirmation=str(told.get("confirmation") or ""),
        carrier=str(best.get("carrier") or ""),
        service=str(best.get("service") or ""),
        price=_money(best) if best else None,
    )


def located(told: Node) -> tuple[float, float] | None:
    """Where an address lies on the map (docs.easypost.com/docs/addresses: `verifications.delivery.details`)."""
    details = ((told.get("verifications") or {}).get("delivery") or {}).get("details") or {}
    north, east = details.get("latitude"), details.get("longitude")
    if not isinstance(north, int | float) or not isinstance(east, int | float):
        return None
    return (float(north), float(east)) if -90 <= north <= 90 and -180 <= east <= 180 else None


def movements(event: Any) -> list[Movement]:
    """What an event says of parcels. Raises ValueError for what is no event."""
    if not isinstance(event, dict) or event.get("object") != "Event":
        raise ValueError("no EasyPost event")
    if event.get("description") not in ("tracker.created", "tracker.updated"):
        return []
    told = event.get("result")
    if not isinstance(told, dict):
        raise ValueError("an event without its tracker")
    stage = STAGES.get(str(told.get("status")))
    if stage is None:
        return []
    details = told.get("tracking_details") or ()
    last: Node = details[-1] if details and isinstance(details[-1], dict) else {}
    at = _time(last.get("datetime")) or _time(told.get("updated_at")) or _time(event.get("created_at"))
    if at is None:
        raise ValueError("a tracker without a time")
    return [
        Movement(
            external_id=str(told.get("shipment_id") or ""),
            tracking_number=str(told.get("tracking_code") or ""),
            stage=stage,
            at=at,
            said=str(last.get("message") or told.get("status_detail") or "")[:300],
        )
    ]


def _money(rate: Node) -> Money:
    return parse(str(rate["rate"]), str(rate["currency"]))[0]


def _time(text: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
