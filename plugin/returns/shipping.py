"""How goods get back to a store: its carrier account, the ways that it offers by country, and the places of its own."""

import math
import re
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Index, func, select, text
from sqlalchemy.orm import Mapped, mapped_column

from plugin import stores
from plugin.carrier import Parcel, Place
from plugin.crm.orders import Order
from plugin.kernel.crypto import Vault
from plugin.kernel.db import Base, Tenant, TenantRow, Tx, new_id, tenant_key
from plugin.kernel.digits import whole
from plugin.kernel.errors import AhlanError, NotFound
from plugin.kernel.lazy import Lazy, _
from plugin.kernel.personal import nobody
from plugin.kernel.text import harmless, normalise_email

DIRECTORY = "carrier"
"""Kind of the directory entry that says whose posted news of parcels are; its key is the settings' `token`."""
KEY, HOOK = "carrier_key", "carrier_hook"
"""Kinds of sealed credentials: what opens the merchant's account, and what posted news are signed with."""

MOST_PLACES: Final = 200
MOST_DAYS: Final = 7
"""How many days ahead a courier can be asked for."""


class Method(StrEnum):
    """How a parcel comes back. `own`: the shop sends what is needed, or the shopper posts it."""

    LABEL = "label"
    CODE = "code"
    PICKUP = "pickup"
    POINT = "point"
    STORE = "store"
    OWN = "own"


BOUGHT: Final = frozenset({Method.LABEL, Method.CODE, Method.PICKUP})
"""For these a label is bought."""

NAMES: Final[Mapping[Method, Lazy]] = {
    Method.LABEL: _("With a label that you print"),
    Method.CODE: _("With a code, nothing to print"),
    Method.PICKUP: _("A courier collects it"),
    Method.POINT: _("At a collection point"),
    Method.STORE: _("In one of our shops"),
    Method.OWN: _("By post, as you like"),
}


class Kind(StrEnum):
    """What stands at an address: a shop of theirs, or somebody who takes parcels for them."""

    STORE = "store"
    POINT = "point"


class ReturnShipping(Tenant, Base):
    """How a store gets its goods back. `methods`: the countries of each way, none named: every country.

    `place` is where parcels go, `parcel` what one is like, `services` which of the carrier's may be bought (empty: the
    cheapest). `automatic`: a label is bought when a return is approved. `token` is the address of the carrier's news.
    """

    __tablename__ = "return_shipping"
    __table_args__ = (tenant_key("store_id", "stores"), {"info": nobody("the shop's own way of getting goods back")})

    store_id: Mapped[UUID] = mapped_column(primary_key=True)
    carrier: Mapped[str] = mapped_column(server_default="")
    token: Mapped[str]
    place: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    parcel: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    methods: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    services: Mapped[list[str]] = mapped_column(server_default=text("'[]'"))
    automatic: Mapped[bool] = mapped_column(server_default=text("false"))
    trouble: Mapped[str] = mapped_column(server_default="")

    @property
    def to(self) -> Place:
        """Where parcels go."""
        return msgspec.convert(self.place, Place)

    @property
    def usual(self) -> Parcel:
        """What a parcel is like."""
        return msgspec.convert(self.parcel, Parcel)

    def offers(self, method: Method, country: str) -> bool:
        """Whether this way is there for orders that went to `country`."""
        countries = self.methods.get(method)
        if countries is None or (method in BOUGHT and not (self.carrier and self.place)):
            return False
        return not countries or country.upper() in countries


class ReturnPlace(TenantRow, Base):
    """A shop or a collection point where goods are handed over. `hours` as the shop words them, one line a day."""

    __tablename__ = "return_places"
    __table_args__ = (
        Index("ix_return_places_store", "workspace_id", "store_id", "kind"),
        tenant_key("store_id", "stores"),
        {"info": nobody("the shop's own addresses")},
    )

    store_id: Mapped[UUID]
    kind: Mapped[str]
    name: Mapped[str]
    line1: Mapped[str] = mapped_column(server_default="")
    city: Mapped[str] = mapped_column(server_default="")
    postcode: Mapped[str] = mapped_column(server_default="")
    country: Mapped[str] = mapped_column(server_default="")
    hours: Mapped[str] = mapped_column(server_default="")
    latitude: Mapped[float | None]
    longitude: Mapped[float | None]

    @property
    def address(self) -> str:
        """In one line."""
        return ", ".join(filter(None, (self.line1, " ".join(filter(None, (self.postcode, self.city))), self.country)))

    @property
    def where(self) -> tuple[float, float] | None:
        """On the map, where that is known."""
        return (self.latitude, self.longitude) if self.latitude is not None and self.longitude is not None else None


@dataclass(frozen=True, slots=True)
class Near:
    """A place, and how far it is: kilometres, None where nobody knows."""

    place: ReturnPlace
    km: float | None


# Reading


async def of_store(tx: Tx, store_id: UUID) -> ReturnShipping | None:
    """The store's settings; without them its shoppers are told nothing about the way back."""
    found: ReturnShipping | None = await tx.get(ReturnShipping, store_id)
    return found


async def of_stores(tx: Tx, store_ids: Collection[UUID]) -> Mapping[UUID, ReturnShipping]:
    """The settings of several stores; those without any are not in it."""
    rows = await tx.scalars(
        select(ReturnShipping).where(
            ReturnShipping.workspace_id == tx.workspace_id, ReturnShipping.store_id.in_(store_ids)
        )
    )
    return {one.store_id: one for one in rows}


async def places_by_id(tx: Tx, ids: Collection[UUID]) -> Mapping[UUID, ReturnPlace]:
    """Places that parcels are handed over at."""
    rows = await tx.scalars(
        select(ReturnPlace).where(ReturnPlace.workspace_id == tx.workspace_id, ReturnPlace.id.in_(ids))
    )
    return {one.id: one for one in rows}


async def key_of(tx: Tx, vault: Vault, store_id: UUID) -> str:
    """What opens the store's carrier account; empty where it has none."""
    found = await stores.credential(tx, vault, store_id, KEY)
    return found[0] if found else ""


async def hook_of(tx: Tx, vault: Vault, store_id: UUID) -> str:
    """What news of the store's parcels are signed with; empty where there is no account."""
    found = await stores.credential(tx, vault, store_id, HOOK)
    return found[0] if found else ""


async def places_of(tx: Tx, store_id: UUID, kind: Kind | None = None) -> Sequence[ReturnPlace]:
    """The store's places, by name."""
    narrowed = [ReturnPlace.kind == kind] if kind is not None else []
    rows = await tx.scalars(
        select(ReturnPlace)
        .where(ReturnPlace.workspace_id == tx.workspace_id, ReturnPlace.store_id == store_id, *narrowed)
        .order_by(ReturnPlace.name, ReturnPlace.id)
        .limit(MOST_PLACES)
    )
    return list(rows)


async def offered(tx: Tx, store_id: UUID, country: str) -> Sequence[Method]:
    """The ways back from a country, best first; where goods are handed over, there must be a place for it."""
    settings = await of_store(tx, store_id)
    if settings is None:
        return ()
    there = set(
        await tx.scalars(
            select(ReturnPlace.kind)
            .where(ReturnPlace.workspace_id == tx.workspace_id, ReturnPlace.store_id == store_id)
            .distinct()
        )
    )
    needs = {Method.POINT: Kind.POINT, Method.STORE: Kind.STORE}
    return [one for one in Method if settings.offers(one, country) and (one not in needs or needs[one] in there)]


def sender_of(order: Order) -> Place | None:
    """Where the goods went, as the place that they come from; None without an address."""
    told = order.shipping_address or {}
    if not told.get("line1") or not told.get("country"):
        return None
    text = {name: str(told.get(name) or "") for name in ("company", "line1", "line2", "city", "postcode", "country")}
    return Place(
        name=str(told.get("name") or order.customer_name), region=str(told.get("province") or ""),
        phone=str(told.get("phone") or order.phone), email=order.email, **text,
    )  # fmt: skip


def country_of(order: Order) -> str:
    """The country that an order went to, two letters, or nothing."""
    return str((order.shipping_address or {}).get("country") or "").upper()


# What is near. Pure.

_EARTH_KM = 6371.0


def distance(here: tuple[float, float], there: tuple[float, float]) -> float:
    """Kilometres between two places on the map, by air."""
    north, east = (math.radians(there[0] - here[0]), math.radians(there[1] - here[1]))
    part = math.sin(north / 2) ** 2 + math.cos(math.radians(here[0])) * math.cos(math.radians(there[0])) * (
        math.sin(east / 2) ** 2
    )
    return 2 * _EARTH_KM * math.asin(min(1.0, math.sqrt(part)))


def near(
    places: Collection[ReturnPlace], *, postcode: str, city: str, country: str,
    here: tuple[float, float] | None = None, most: int = 8,
) -> list[Near]:  # fmt: skip
    """The nearest, in the same country where there are any. Where the map says nothing, a postcode or a town that is
    alike counts as near: the first signs of a postcode are a region nearly everywhere.
    """
    code, town = _plain(postcode), _plain(city)
    same = [one for one in places if not country or not one.country or one.country.upper() == country.upper()]

    def rank(one: Near) -> tuple[bool, float, int, bool, str]:
        alike = len(_common(_plain(one.place.postcode), code))
        return (one.km is None, one.km or 0.0, -alike, _plain(one.place.city) != town, one.place.name)

    found = [Near(one, distance(here, one.where) if here and one.where else None) for one in same or places]
    return sorted(found, key=rank)[:most]


def _plain(text: str) -> str:
    return re.sub(r"\W", "", text).casefold()


def _common(one: str, other: str) -> str:
    length = 0
    while length < min(len(one), len(other)) and one[length] == other[length]:
        length += 1
    return one[:length]


def days(today: date) -> list[date]:
    """The days that a courier can be asked for: from tomorrow on, a week."""
    return [today + timedelta(days=ahead) for ahead in range(1, MOST_DAYS + 1)]


# Choosing


@dataclass(frozen=True, slots=True)
class Way:
    """How a shopper wants to send it: for a shop or a collection point `place_id`, for a courier the day."""

    method: Method | None = None
    place_id: UUID | None = None
    on: date | None = None


async def checked_way(tx: Tx, order: Order, way: Way, today: date) -> Way:
    """The way, if it is offered for this order. Raises AhlanError."""
    if way.method is None:
        return Way()
    if way.method not in await offered(tx, order.store_id, country_of(order)):
        raise AhlanError(_("This way of sending it back is not there any more."), _("Choose another."), code="method")
    if way.method is Method.PICKUP and way.on not in days(today):
        raise AhlanError(_("Choose a day for the courier."), code="pickup_day")
    if way.method not in (Method.POINT, Method.STORE):
        return Way(way.method, on=way.on if way.method is Method.PICKUP else None)
    place = await tx.get(ReturnPlace, way.place_id) if way.place_id is not None else None
    if place is None or place.store_id != order.store_id or place.kind != way.method.value:
        raise AhlanError(_("Choose where you bring it."), code="place")
    return Way(way.method, place_id=place.id)


# Changing


class Unfit(AhlanError):
    """Settings cannot be like this; `fields` says why, by the form's names."""

    status = 422
    code = "shipping_unfit"

    def __init__(self, fields: Mapping[str, Lazy]) -> None:
        super().__init__(_("Something in these settings does not fit."))
        self.fields = fields


@dataclass(frozen=True, slots=True)
class Wished:
    """Settings as the page says them; an empty `key` keeps the one that is there."""

    carrier: str
    key: str
    place: Place
    parcel: Parcel
    methods: Mapping[str, Sequence[str]]
    services: Sequence[str]
    automatic: bool


_COUNTRY = re.compile(r"[A-Z]{2}")
_GRAMS, _MM = 70_000, 3_000


def checked(form: Mapping[str, str], kinds: Collection[str]) -> Wished:
    """What a form says; `kinds` are the carriers that there are. Raises Unfit with a sentence for each field."""
    wrong: dict[str, Lazy] = {}
    names = ("name", "company", "line1", "line2", "city", "region", "postcode", "country", "phone", "email")
    said = {name: " ".join(harmless(form.get(name, "")).split())[:120] for name in names}
    said["country"] = said["country"].upper()
    carrier = form.get("carrier", "")
    if carrier and carrier not in kinds:
        wrong["carrier"] = _("Choose one of these.")
    if said["country"] and not _COUNTRY.fullmatch(said["country"]):
        wrong["country"] = _("A country has two letters, such as SA or IL.")
    if said["email"] and not normalise_email(said["email"]):
        wrong["email"] = _("This is no e-mail address.")
    needed = {"line1": _("Name the street."), "city": _("Name the town."), "country": _("Name the country.")}
    if carrier:
        wrong |= {name: words for name, words in needed.items() if not said[name]}
    grams, sizes = whole(form.get("grams", "") or "1000", _GRAMS), {}
    if not grams:
        wrong["grams"] = _("A parcel weighs 1 to 70000 grams.")
    for name in ("length", "width", "height"):
        centimetres = whole(form.get(name, "") or "0", _MM // 10)
        if centimetres is None:
            wrong[name] = _("At most 300 centimetres.")
        sizes[name] = (centimetres or 0) * 10
    methods: dict[str, list[str]] = {}
    for method in Method:
        if form.get(f"method:{method}") != "1":
            continue
        countries = [one for one in re.split(r"[\s,،;]+", form.get(f"countries:{method}", "").upper()) if one]
        if any(not _COUNTRY.fullmatch(one) for one in countries) or len(countries) > 250:
            wrong[f"countries:{method}"] = _("Countries have two letters each, such as SA, IL.")
        methods[method.value] = sorted(set(countries))
    key = form.get("key", "").strip()
    if key and (len(key) > 200 or not key.isascii() or not key.isprintable() or ":" in key):
        wrong["key"] = _("This is no key.")
    services = [one for one in re.split(r"[\s,،;]+", form.get("services", "")) if one][:20]
    if wrong:
        raise Unfit(wrong)
    return Wished(
        carrier, key, Place(**said), Parcel(grams or 1, **sizes), methods, [one[:60] for one in services],
        form.get("automatic", "") == "1",
    )  # fmt: skip


async def save(tx: Tx, vault: Vault, store_id: UUID, wished: Wished, *, actor: str) -> ReturnShipping:
    """Set it up or change it. Raises Unfit where a carrier has no key."""
    row = await tx.get(ReturnShipping, store_id, lock=True)
    if row is None:
        row = ReturnShipping(store_id=store_id, carrier="", token=secrets.token_urlsafe(18))
        tx.add(row)
        await tx.flush()
        await stores.claim(tx, DIRECTORY, row.token, store_id)
    if wished.key:
        await stores.put_credential(tx, vault, store_id, KEY, wished.key)
    elif wished.carrier and (row.carrier != wished.carrier or not await key_of(tx, vault, store_id)):
        raise Unfit({"key": _("Type the key of the account.")})
    if wished.carrier and not await hook_of(tx, vault, store_id):
        await stores.put_credential(tx, vault, store_id, HOOK, secrets.token_urlsafe(32))
    row.carrier, row.automatic, row.trouble = wished.carrier, wished.automatic, ""
    row.place, row.parcel = asdict(wished.place), asdict(wished.parcel)
    row.methods, row.services = {name: list(one) for name, one in wished.methods.items()}, list(wished.services)
    await tx.flush()
    await tx.record("return_shipping.changed", subject_id=store_id, store_id=store_id, actor=actor)
    return row


async def put_place(
    tx: Tx, store_id: UUID, place_id: UUID | None, form: Mapping[str, str], where: tuple[float, float] | None
) -> ReturnPlace:
    """Add a place or change one; `where` is its place on the map. Raises AhlanError, NotFound."""
    kind = form.get("kind", "")
    name = " ".join(harmless(form.get("name", "")).split())[:120]
    if kind not in set(Kind) or not name or not form.get("line1", "").strip():
        raise AhlanError(_("A place has a name and an address."), code="place_unfit", status=422)
    if place_id is None:
        held = await tx.scalar(
            select(func.count()).select_from(ReturnPlace)
            .where(ReturnPlace.workspace_id == tx.workspace_id, ReturnPlace.store_id == store_id)
        )  # fmt: skip
        if held >= MOST_PLACES:
            raise AhlanError(_("There are 200 places already."), _("Remove one first."), code="too_many_places")
        row = ReturnPlace(id=new_id(), store_id=store_id, kind=kind, name=name)
        tx.add(row)
    else:
        row = await place(tx, store_id, place_id)
    row.kind, row.name = kind, name
    for field in ("line1", "city", "postcode", "country"):
        setattr(row, field, " ".join(harmless(form.get(field, "")).split())[:120])
    row.country = row.country.upper()
    lines = [" ".join(line.split())[:80] for line in harmless(form.get("hours", "")).splitlines()]
    row.hours = "\n".join(filter(None, lines))[:800]
    row.latitude, row.longitude = where or (None, None)
    await tx.flush()
    return row


async def place(tx: Tx, store_id: UUID, place_id: UUID) -> ReturnPlace:
    """One of the store's places. Raises NotFound."""
    found = await tx.get(ReturnPlace, place_id)
    if found is None or found.store_id != store_id:
        raise NotFound(_("There is nothing here."), _("Check the address, or go back."))
    return found


async def drop_place(tx: Tx, store_id: UUID, place_id: UUID) -> None:
    """It is not there any more. Raises NotFound."""
    await tx.session.delete(await place(tx, store_id, place_id))
    await tx.flush()
