"""The team's list of returns: filters as SQL, page by page at any depth, and how many wait."""

import base64
import binascii
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import func, literal, select, tuple_, union_all

from plugin.crm.orders import Order, number_of
from plugin.kernel.db import Tx
from plugin.returns import narrowing
from plugin.returns.narrowing import EVERYTHING, Narrowed
from plugin.returns.records import ReturnLine, ReturnRequest
from plugin.returns.states import ENDED, State

PAGE = 50
COUNT_LIMIT = 999


class Tab(StrEnum):
    """waiting: for somebody of the team, who waits longest first · the others by what moved last."""

    WAITING = "waiting"
    OPEN = "open"
    DONE = "done"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Asked:
    """Which returns. `days`: begun at least so many days ago; `words`: a number of ours, or of an order.

    `narrowed`: what a report counted.
    """

    tab: Tab = Tab.WAITING
    state: State | None = None
    store_id: UUID | None = None
    resolution: str = ""
    reason: str = ""
    days: int = 0
    words: str = ""
    narrowed: Narrowed = EVERYTHING


@dataclass(frozen=True, slots=True)
class Listed:
    """One row. `title` is the first of its `items` goods, `image` its picture."""

    request: ReturnRequest
    order: str
    customer: str
    items: int
    title: str
    image: str


@dataclass(frozen=True, slots=True)
class Page:
    """Rows in their order; `cursor` continues after the last one, None at the end."""

    rows: Sequence[Listed]
    cursor: str | None


async def page(tx: Tx, asked: Asked, *, cursor: str | None = None, limit: int = PAGE) -> Page:
    """A page of the returns that `asked` lets through. A cursor that is none begins at the top."""
    waiting = asked.tab is Tab.WAITING
    moment: Any = ReturnRequest.waiting_since if waiting else ReturnRequest.moved_at
    order = (moment, ReturnRequest.id) if waiting else (moment.desc(), ReturnRequest.id.desc())
    found_by = conditions(tx, asked)
    if (rare := await _rare(tx, asked)) is not None:
        if not rare:
            return Page((), None)
        found_by.append(ReturnRequest.id.in_(rare))
    if (place := _read_cursor(cursor)) is not None:
        here = tuple_(moment, ReturnRequest.id)
        found_by.append(here > tuple_(*place) if waiting else here < tuple_(*place))
    found = await tx.execute(
        select(ReturnRequest, Order.name, Order.customer_name)
        .join(Order, tuple_(Order.workspace_id, Order.id) == tuple_(ReturnRequest.workspace_id, ReturnRequest.order_id))
        .where(*found_by)
        .order_by(*order)
        .limit(limit + 1)
    )
    rows: list[Any] = list(found)
    shown = rows[:limit]
    goods = await _goods(tx, [row[0].id for row in shown])
    listed = []
    for row in shown:
        count, title, image = goods.get(row[0].id, (0, "", ""))
        listed.append(Listed(row[0], row[1], row[2], count, title, image))
    more = _write_cursor(shown[-1][0], waiting=waiting) if len(rows) > limit else None
    return Page(listed, more)


_RARE = 500


async def _rare(tx: Tx, asked: Asked) -> Sequence[UUID] | None:
    """The returns about these goods or this reason, if they are few; None where they are many, or none were named.

    Read in the order of the list, few of many are found late and none at all only at its end; many are found at once.
    """
    goods = narrowing.about(asked.narrowed, reason=asked.reason)
    if not goods:
        return None
    meant = select(ReturnLine.request_id).where(ReturnLine.workspace_id == tx.workspace_id, *goods)
    found = (await tx.scalars(meant.limit(_RARE + 1))).all()
    return None if len(found) > _RARE else list(dict.fromkeys(found))


async def counts(tx: Tx) -> dict[Tab, int]:
    """How many are in each tab that asks for work, in one query; counting stops at 999."""
    parts = []
    for tab in (Tab.WAITING, Tab.OPEN):
        inside = select(ReturnRequest.id).where(*conditions(tx, Asked(tab))).limit(COUNT_LIMIT).subquery()
        parts.append(select(literal(tab.value).label("tab"), func.count().label("held")).select_from(inside))
    return {Tab(row.tab): row.held for row in await tx.execute(union_all(*parts))}


async def reasons(tx: Tx) -> Sequence[str]:
    """The reasons that were ever given, for the filter."""
    found = await tx.scalars(
        select(ReturnLine.reason)
        .where(ReturnLine.workspace_id == tx.workspace_id, ReturnLine.reason != "")
        .distinct()
        .order_by(ReturnLine.reason)
        .limit(50)
    )
    return list(found)


def conditions(tx: Tx, asked: Asked) -> list[Any]:
    """As SQL over `ReturnRequest`; `words` that name an order speak of `Order`, which must be joined then."""
    found: list[Any] = [ReturnRequest.workspace_id == tx.workspace_id]
    match asked.tab:
        case Tab.WAITING:
            found.append(ReturnRequest.waiting_since.is_not(None))
        case Tab.OPEN:
            # As the partial index says it.
            found.append(ReturnRequest.state.not_in([literal(state.value, literal_execute=True) for state in _ENDED]))
        case Tab.DONE:
            found.append(ReturnRequest.state.in_([*ENDED]))
    if asked.state is not None:
        found.append(ReturnRequest.state == asked.state)
    if asked.store_id is not None:
        found.append(ReturnRequest.store_id == asked.store_id)
    if asked.resolution:
        found.append(ReturnRequest.resolution == asked.resolution)
    if asked.days:
        found.append(ReturnRequest.created_at <= datetime.now(UTC) - timedelta(days=asked.days))
    found += narrowing.conditions(tx, asked.narrowed, reason=asked.reason)
    if asked.words:
        ours = asked.words.strip().upper().removeprefix("R-")
        found.append(
            (ReturnRequest.serial == int(ours)) if ours != asked.words.strip().upper() and _is_number(ours)
            else (Order.number == number_of(asked.words))
        )  # fmt: skip
    return found


# In the order that the index has them.
_ENDED = (State.DECLINED, State.CLOSED, State.CANCELLED)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10


async def _goods(tx: Tx, ids: Collection[UUID]) -> Mapping[UUID, tuple[int, str, str]]:
    """How many things each sends back, and what the first of them is."""
    if not ids:
        return {}
    rows = await tx.execute(
        select(ReturnLine.request_id, ReturnLine.quantity, ReturnLine.title, ReturnLine.image_url)
        .where(ReturnLine.workspace_id == tx.workspace_id, ReturnLine.request_id.in_(ids))
        .order_by(ReturnLine.request_id, ReturnLine.position)
    )
    found: dict[UUID, tuple[int, str, str]] = {}
    for row in rows:
        count, title, image = found.get(row.request_id, (0, row.title, row.image_url))
        found[row.request_id] = (count + row.quantity, title, image)
    return found


def _write_cursor(request: ReturnRequest, *, waiting: bool) -> str:
    at = request.waiting_since if waiting else request.moved_at
    return base64.urlsafe_b64encode(orjson.dumps([at, str(request.id)])).decode().rstrip("=")


def _read_cursor(cursor: str | None) -> tuple[datetime, UUID] | None:
    if not cursor:
        return None
    try:
        at, id = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        return datetime.fromisoformat(at), UUID(id)
    except (ValueError, TypeError, AttributeError, binascii.Error):
        return None
