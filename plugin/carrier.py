"""The port to a company that carries parcels, or to a service that speaks to many of them: labels, codes, pickups.

A label is bought in two breaths: `prepare` costs nothing and names what would be bought, `buy` buys exactly that, and
`find` says what became of it. A carrier sells a prepared parcel once; an answer that was lost is looked for, never
bought anew (docs/decisions/carriers.md). All methods raise `plugin.platform.PlatformError`, which says whether trying
again can help and whether the request may have had its effect. Weights are grams, lengths millimetres, amounts minor
units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from plugin.kernel.money import Money


@dataclass(frozen=True, slots=True)
class Place:
    """Where a parcel is fetched or brought. `region` is a state or province, `country` ISO 3166 in two letters."""

    name: str = ""
    company: str = ""
    line1: str = ""
    line2: str = ""
    city: str = ""
    region: str = ""
    postcode: str = ""
    country: str = ""
    phone: str = ""
    email: str = ""

    @property
    def lines(self) -> tuple[str, ...]:
        """As it is written on a parcel, without empty lines."""
        town = " ".join(filter(None, (self.postcode, self.city)))
        return tuple(filter(None, (self.name, self.company, self.line1, self.line2, town, self.region, self.country)))


@dataclass(frozen=True, slots=True)
class Parcel:
    """How heavy and how large it is; a length of nothing is not told."""

    grams: int = 1000
    length: int = 0
    width: int = 0
    height: int = 0


@dataclass(frozen=True, slots=True)
class Wanted:
    """A parcel that shall go from `sender` (the shopper) to `to` (the shop).

    `reference` is our number of it. Of `services` (names of the carrier's, empty: any) the cheapest is taken.
    """

    reference: str
    sender: Place
    to: Place
    parcel: Parcel = field(default_factory=Parcel)
    services: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Offer:
    """What would be bought: the parcel's id at the carrier, and the price of one of its services."""

    external_id: str
    rate: str
    carrier: str
    service: str
    price: Money


@dataclass(frozen=True, slots=True)
class Label:
    """What was bought. `url` is where its document lies."""

    external_id: str
    carrier: str
    service: str
    price: Money
    tracking_number: str
    tracking_url: str
    url: str


class Voided(StrEnum):
    """What a carrier says about money for a label that nobody used: asked for it, given back, or no."""

    ASKED = "asked"
    BACK = "back"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Pickup:
    """A courier comes: `confirmation` is what they are asked by. Not `booked`: prepared, which costs nothing."""

    external_id: str
    booked: bool
    confirmation: str = ""
    carrier: str = ""
    service: str = ""
    price: Money | None = None


class Stage(StrEnum):
    """Where a parcel is. `waiting`: nobody has it yet; `back`: on its way to its sender."""

    WAITING = "waiting"
    MOVING = "moving"
    DELIVERED = "delivered"
    BACK = "back"
    TROUBLE = "trouble"


@dataclass(frozen=True, slots=True)
class Movement:
    """News of a parcel: of which one (`external_id`, else `tracking_number`), and since when it is so."""

    external_id: str
    tracking_number: str
    stage: Stage
    at: datetime
    said: str = ""


class Can(StrEnum):
    """What not every carrier does."""

    CODE = "code"
    PICKUP = "pickup"
    LOCATE = "locate"


class Carrier(Protocol):
    """One carrier, or one service that speaks to many. `key` opens the merchant's own account there."""

    kind: str
    can: frozenset[Can]

    async def check(self, key: str) -> None:
        """Raises PlatformError (`reauthorize`) for a key that opens nothing."""
        ...

    async def subscribe(self, key: str, url: str, secret: str) -> None:
        """Have news of parcels posted to `url`, signed with `secret`; done again it is the same."""
        ...

    async def prepare(self, key: str, wanted: Wanted) -> Offer:
        """What it would cost. Raises PlatformError (`no_rate`) where nobody carries it."""
        ...

    async def buy(self, key: str, offer: Offer) -> Label:
        """Buy exactly this. Raises PlatformError; with `lost` it may have been bought."""
        ...

    async def find(self, key: str, external_id: str) -> Label | None:
        """What became of a parcel that was prepared; None while it is not bought."""
        ...

    async def document(self, url: str) -> bytes:
        """The label itself, a PDF or a picture of at most 10 MB."""
        ...

    async def code(self, key: str, external_id: str) -> str:
        """Where the picture of a code lies that is shown at the counter instead of a printed label; empty: none."""
        ...

    async def void(self, key: str, external_id: str) -> Voided:
        """Give an unused label back; asked again, it says how far that is."""
        ...

    async def prepare_pickup(
        self, key: str, external_id: str, at: Place, window: tuple[datetime, datetime], reference: str
    ) -> Pickup:
        """Ask who would fetch a bought parcel then. Raises PlatformError (`no_rate`) where nobody comes."""
        ...

    async def book_pickup(self, key: str, pickup: Pickup) -> Pickup:
        """Have the courier come. Raises PlatformError; with `lost` it may be booked."""
        ...

    async def find_pickup(self, key: str, external_id: str) -> Pickup:
        """How it stands with a pickup."""
        ...

    async def cancel_pickup(self, key: str, external_id: str) -> None:
        """Nobody need come; done again it is the same."""
        ...

    async def locate(self, key: str, place: Place) -> tuple[float, float] | None:
        """Latitude and longitude of an address, None where it is not found."""
        ...

    def read(self, body: bytes) -> Sequence[Movement]:
        """What a posted piece of news says; nothing where it speaks of something else. Raises ValueError."""
        ...
