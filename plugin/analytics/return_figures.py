"""The report of returns: how much comes back, why, which goods and sizes, what is kept, how long it takes, who.

Everything is about the returns that were asked for in a span of days. What was declined or cancelled counts nowhere,
except in how long a decision took. Every figure's returns are what the queue shows for the same conditions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, DateTime, Float, and_, func, literal, select
from sqlalchemy import cast as sql_cast

from plugin.analytics.reports import Days
from plugin.crm.customers import Customer
from plugin.crm.orders import Order, OrderLine
from plugin.kernel.db import Tx
from plugin.kernel.events import Event
from plugin.kernel.money import Money
from plugin.returns import narrowing, queue
from plugin.returns.narrowing import Narrowed, Way
from plugin.returns.queue import Asked, Tab
from plugin.returns.records import OURS, ReturnLine, ReturnRequest

SERIAL = 3
"""Returns in the days asked about from which somebody counts as returning often."""
SERIAL_SHARE = 0.5
"""And the share of their orders that came back, at least."""
_SERIALS = 50
_LINES = 500


class By(StrEnum):
    """What one row of a table stands for."""

    DAY = "day"
    REASON = "reason"
    PRODUCT = "product"
    SIZE = "size"
    RESOLUTION = "resolution"
    STORE = "store"


@dataclass(frozen=True, slots=True)
class Question:
    """Which returns: asked for in `days`, of one store or all, with one product (the store's id) or any."""

    days: Days
    store_id: UUID | None = None
    product: str = ""

    @property
    def asked(self) -> Asked:
        """What the queue shows for it."""
        narrowed = Narrowed(self.days.first, self.days.last, self.days.zone, product=self.product, counted=True)
        return Asked(Tab.ALL, store_id=self.store_id, narrowed=narrowed)

    @property
    def before(self) -> "Question":
        """The same of as many days, right before."""
        return replace(self, days=self.days.before)


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one group: returns, pieces that come back with them, and pieces sold in the same days (None: no sense)."""

    returns: int = 0
    pieces: int = 0
    sold: int | None = None

    @property
    def rate(self) -> float | None:
        """Pieces that come back for each that was sold in these days; None where nothing was sold.

        Goods of the last days of a span come back after it, and goods from before it within it: over spans longer than
        a shop's return window the two weigh the same.
        """
        return self.pieces / self.sold if self.sold else None


@dataclass(frozen=True, slots=True)
class Line:
    """A row: its `key` (a reason, a product's or variant's id, a day…), how the goods are called, its figures."""

    key: str
    figures: Figures
    store_id: UUID | None = None
    title: str = ""
    variant: str = ""
    image: str = ""
    product: str = ""


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of the money, in one currency: promised, or paid where it was paid.

    `back` leaves as money. `credit` stays as store credit, `exchanged` and `replaced` as goods that go out instead.
    `bonus` was given on top of credit.
    """

    returns: int
    back: Money
    credit: Money
    exchanged: Money
    replaced: Money
    bonus: Money

    @property
    def kept(self) -> Money:
        """What the shop keeps: exchanges, the same again and credit."""
        return self.exchanged + self.replaced + self.credit

    @property
    def share(self) -> float | None:
        """The kept part of all that came back; None where nothing had a price."""
        whole = (self.kept + self.back).amount
        return self.kept.amount / whole if whole else None


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a part of the way took: of so many returns half within `median` seconds, nine of ten within `p90`."""

    returns: int
    median: float
    p90: float


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who sends much back: returns of these days, of their `orders` in all."""

    id: UUID
    name: str
    returns: int
    orders: int

    @property
    def share(self) -> float:
        """Returns for each order."""
        return self.returns / self.orders if self.orders else 1.0


@dataclass(frozen=True, slots=True)
class Sold:
    """Pieces sold in a span of days, by what they were."""

    variants: Mapping[tuple[UUID, str, str], int] = field(default_factory=dict)

    @property
    def all(self) -> int:
        """Every piece."""
        return sum(self.variants.values())

    def of_store(self, store_id: UUID) -> int:
        """Pieces of one store."""
        return sum(count for (store, _p, _v), count in self.variants.items() if store == store_id)

    def of_product(self, store_id: UUID, product: str) -> int:
        """Pieces of one product."""
        return sum(count for (store, one, _v), count in self.variants.items() if (store, one) == (store_id, product))


async def sold(tx: Tx, question: Question) -> Sold:
    """What was sold in these days: orders placed in them, without those that were cancelled or deleted."""
    days = question.days
    conditions: list[Any] = [
        Order.workspace_id == tx.workspace_id,
        Order.placed_at >= days.bounds[0],
        Order.placed_at < days.bounds[-1],
        Order.cancelled_at.is_(None),
        Order.deleted_at.is_(None),
    ]
    if question.store_id is not None:
        conditions.append(Order.store_id == question.store_id)
    if question.product:
        conditions.append(OrderLine.product_external_id == question.product)
    rows = await tx.execute(
        select(
            Order.store_id,
            OrderLine.product_external_id,
            OrderLine.variant_external_id,
            func.sum(OrderLine.quantity).label("pieces"),
        )
        .join(OrderLine, and_(OrderLine.workspace_id == Order.workspace_id, OrderLine.order_id == Order.id))
        .where(*conditions)
        .group_by(Order.store_id, OrderLine.product_external_id, OrderLine.variant_external_id)
    )
    return Sold({(row.store_id, row.product_external_id, row.variant_external_id): int(row.pieces) for row in rows})


async def total(tx: Tx, question: Question, sales: Sold) -> Figures:
    """All of it."""
    row = (await tx.execute(_counting(tx, question))).one()
    return Figures(row.returns, int(row.pieces or 0), sales.all)


async def lines(tx: Tx, question: Question, by: By, sales: Sold) -> Sequence[Line]:
    """A table, what comes back most first; days in their order, without those on which nothing was asked for."""
    match by:
        case By.DAY:
            place = func.width_bucket(
                ReturnRequest.created_at, literal(question.days.bounds, ARRAY(DateTime(timezone=True)))
            )
            rows = await tx.execute(_counting(tx, question, place.label("key")).group_by(place).order_by(place))
            days = question.days.days
            return [Line(days[int(row.key) - 1].isoformat(), _read(row)) for row in rows]
        case By.REASON:
            return [Line(row.key or "", _read(row)) for row in await _by(tx, question, ReturnLine.reason)]
        case By.RESOLUTION:
            return [Line(row.key or "", _read(row)) for row in await _by(tx, question, ReturnRequest.resolution)]
        case By.STORE:
            return [
                Line(str(row.key), _read(row, sales.of_store(row.key)), row.key)
                for row in await _by(tx, question, ReturnRequest.store_id)
            ]
        case By.PRODUCT:
            return await _goods(tx, question, sales, sized=False)
        case By.SIZE:
            return await _goods(tx, question, sales, sized=True)


async def crossed(tx: Tx, question: Question, products: Sequence[Line]) -> Mapping[tuple[UUID, str, str], int]:
    """How many returns hold a product for a reason: by store, product and reason."""
    wanted = [one.key for one in products]
    if not wanted:
        return {}
    rows = await tx.execute(
        _counting(
            tx, question, ReturnRequest.store_id.label("store"), ReturnLine.product_external_id.label("product"),
            ReturnLine.reason.label("reason"),
        )
        .where(ReturnLine.product_external_id.in_(wanted))
        .group_by(ReturnRequest.store_id, ReturnLine.product_external_id, ReturnLine.reason)
    )  # fmt: skip
    return {(row.store, row.product, row.reason): row.returns for row in rows}


async def money(tx: Tx, question: Question) -> Sequence[Kept]:
    """What became of the money, a row for each currency, never added up across them."""
    parts = {part: func.sum(amount).label(part.value) for part, amount in narrowing.amounts().items()}
    rows = await tx.execute(
        select(
            ReturnRequest.currency,
            ReturnRequest.exponent,
            func.count().label("returns"),
            func.sum(ReturnRequest.bonus).label("bonus"),
            *parts.values(),
        )
        .where(*queue.conditions(tx, question.asked), ReturnRequest.origin == OURS, ReturnRequest.currency != "")
        .group_by(ReturnRequest.currency, ReturnRequest.exponent)
        .order_by(func.count().desc(), ReturnRequest.currency)
    )
    return [
        Kept(row.returns, *(Money(int(amount or 0), row.currency, row.exponent) for amount in
                            (row.back, row.credit, row.exchanged, row.replaced, row.bonus)))
        for row in rows
    ]  # fmt: skip


async def paces(tx: Tx, question: Question) -> Mapping[Way, Pace]:
    """How long each part of the way took, of the returns that have it behind them."""
    first = {
        name: func.min(Event.at).filter(Event.kind.in_(kinds)).label(name) for name, kinds in narrowing.EVENTS.items()
    }
    told = (
        select(Event.subject_id, *first.values())
        .where(
            Event.workspace_id == tx.workspace_id,
            Event.kind.in_([kind for kinds in narrowing.EVENTS.values() for kind in kinds]),
            Event.at >= question.days.bounds[0],
        )
        .group_by(Event.subject_id)
        .subquery()
    )
    asked = question.asked
    asked = replace(asked, narrowed=replace(asked.narrowed, counted=False))
    columns = []
    for way, names in narrowing.ENDS.items():
        begin, end = (told.c[name] if name in first else getattr(ReturnRequest, name) for name in names)
        seconds = sql_cast(func.extract("epoch", end - begin), Float)
        columns.append(func.count().filter(end >= begin).label(f"{way}_returns"))
        columns.append(
            func.percentile_disc(literal([0.5, 0.9], ARRAY(Float)))
            .within_group(seconds)
            .filter(end >= begin)
            .label(f"{way}_seconds")
        )
    row = (
        await tx.execute(
            select(*columns)
            .select_from(ReturnRequest)
            .outerjoin(told, told.c.subject_id == ReturnRequest.id)
            .where(*queue.conditions(tx, asked))
        )
    ).one()
    found = {}
    for way in Way:
        many = getattr(row, f"{way}_returns")
        if many:
            found[way] = Pace(many, *getattr(row, f"{way}_seconds"))
    return found


async def people(tx: Tx, question: Question) -> Sequence[Person]:
    """Who returned often: SERIAL returns in these days, of at least SERIAL_SHARE of all their orders."""
    head = func.coalesce(Customer.merged_into, Customer.id)
    counted = (
        select(head.label("id"), func.count().label("returns"))
        .select_from(ReturnRequest)
        .join(Order, and_(Order.workspace_id == ReturnRequest.workspace_id, Order.id == ReturnRequest.order_id))
        .join(Customer, and_(Customer.workspace_id == Order.workspace_id, Customer.id == Order.customer_id))
        .where(*queue.conditions(tx, question.asked))
        .group_by(head)
        .having(func.count() >= SERIAL)
        .subquery()
    )
    rows = await tx.execute(
        select(Customer.id, Customer.name, counted.c.returns, Customer.orders_count)
        .join(counted, counted.c.id == Customer.id)
        .where(
            Customer.workspace_id == tx.workspace_id,
            Customer.anonymised_at.is_(None),
            counted.c.returns >= SERIAL_SHARE * Customer.orders_count,
        )
        .order_by(counted.c.returns.desc(), Customer.orders_count, Customer.id)
        .limit(_SERIALS)
    )
    return [Person(row.id, row.name, row.returns, row.orders_count) for row in rows]


# Inside


def _counting(tx: Tx, question: Question, *keys: Any) -> Any:
    """Returns and their pieces; the store's own returns tell no pieces."""
    return (
        select(
            *keys,
            func.count(ReturnRequest.id.distinct()).label("returns"),
            func.sum(ReturnLine.quantity).label("pieces"),
        )
        .select_from(ReturnRequest)
        .outerjoin(
            ReturnLine,
            and_(
                ReturnLine.workspace_id == ReturnRequest.workspace_id,
                ReturnLine.request_id == ReturnRequest.id,
                *narrowing.about(question.asked.narrowed),
            ),
        )
        .where(*queue.conditions(tx, question.asked))
    )


async def _by(tx: Tx, question: Question, key: Any) -> Any:
    statement = _counting(tx, question, key.label("key")).group_by(key)
    return await tx.execute(statement.order_by(func.count(ReturnRequest.id.distinct()).desc(), key).limit(_LINES))


def _read(row: Any, sales: int | None = None) -> Figures:
    return Figures(row.returns, int(row.pieces or 0), sales)


async def _goods(tx: Tx, question: Question, sales: Sold, *, sized: bool) -> Sequence[Line]:
    keys: list[Any] = [ReturnRequest.store_id, ReturnLine.product_external_id]
    if sized:
        keys.append(ReturnLine.variant_external_id)
    named = (
        func.max(ReturnLine.title).label("title"),
        func.max(ReturnLine.variant_title).label("variant"),
        func.max(ReturnLine.image_url).label("image"),
    )
    many = func.sum(ReturnLine.quantity)
    rows = await tx.execute(
        _counting(tx, question, *keys, *named)
        .where(ReturnLine.product_external_id != "", *([ReturnLine.variant_title != ""] if sized else []))
        .group_by(*keys)
        .order_by(many.desc(), *keys)
        .limit(_LINES)
    )
    found = []
    for row in rows:
        product = row.product_external_id
        if sized:
            key, title = row.variant_external_id, row.variant
            count = sales.variants.get((row.store_id, product, key), 0)
        else:
            key, count, title = product, sales.of_product(row.store_id, product), ""
        found.append(Line(key, _read(row, count), row.store_id, row.title, title, row.image, product))
    return found
