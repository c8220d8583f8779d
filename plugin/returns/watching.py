"""What goes on by itself: returns that stand still, and what happens to them in the store's own admin."""

import secrets
from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, func, select

from plugin.app import App
from plugin.crm.orders import Order, OrderReturn
from plugin.kernel.db import Tx, new_id
from plugin.kernel.errors import Conflict
from plugin.kernel.jobs import TaskError
from plugin.returns import moves, requests, states, steps
from plugin.returns.records import STORES, ReturnRequest
from plugin.returns.states import Overdue, State, Who
from plugin.returns.steps import ReturnStep

_A_DAY = 86_400.0


async def wake_return(app: App, workspace_id: UUID, *, request_id: str, count: int) -> None:
    """Task: a return has stood still since its move number `count`: remind, later end it."""
    async with app.db.transaction(workspace_id) as tx:
        request = await tx.get(ReturnRequest, UUID(request_id), lock=True)
        # First, so that the next look may stand in the table beside this one.
        await tx.complete_job()
        if request is None or request.moves != count:
            return
        timer = await moves.timer_of(tx, request)
        if timer is None:
            return
        if timer.reminds and request.reminded_at is None:
            await moves.remind(tx, request)
            if timer.then is not None:
                await _again(tx, request, timer.then.total_seconds())
            return
        if not timer.move or moves.gave_before_the_goods(request):
            await moves.overdue(tx, request, Overdue.LATE)
            return
        try:
            if timer.move == "cancel":
                await moves.cancel(tx, request, by=Who.SYSTEM)
            else:
                why = "not_sent" if State(request.state) in states.WAITING_FOR_GOODS else ""
                await moves.close(tx, request, by=Who.SYSTEM, why=why)
        except Conflict:
            # Its money is on its way.
            await _again(tx, request, _A_DAY)


async def _again(tx: Tx, request: ReturnRequest, seconds: float) -> None:
    await tx.enqueue(
        "wake_return", delay=seconds, unique=f"return-wake:{request.id}:{request.moves}", request_id=request.id,
        count=request.moves,
    )  # fmt: skip


# The store's own news


async def follow_store(app: App, workspace_id: UUID, *, event_id: str, subject_id: str) -> None:
    """Task, after the store told of a return of its own: ours is found by the store's id, and one made there is added.

    What we did ourselves and hear of again changes nothing.
    """
    async with app.db.transaction(workspace_id) as tx:
        await _follow_order(tx, UUID(subject_id))
        await tx.complete_job()


async def take_over_returns(app: App, workspace_id: UUID, *, event_id: str, subject_id: str) -> None:
    """Task, after a store's history was read: what lies open there since before we came waits here too, each once.

    News of it from before the install start nothing, and what nobody touches any more sends no webhook.
    """
    async with app.db.transaction(workspace_id) as tx:
        orders = await _left_open(tx, UUID(subject_id))
    later = None
    for id in orders:
        try:
            async with app.db.transaction(workspace_id) as tx:
                await _follow_order(tx, id, OrderReturn.status.in_(_LIE_OPEN))
        except TaskError as error:
            later = error
    if later is not None:
        raise later


async def _left_open(tx: Tx, store_id: UUID) -> Sequence[UUID]:
    """Orders with a return that lies open in the store and stands nowhere here, what has lain longest first."""
    known = select(ReturnRequest.id).where(
        ReturnRequest.workspace_id == tx.workspace_id,
        ReturnRequest.store_id == store_id,
        ReturnRequest.external_id == OrderReturn.external_id,
    )
    rows = await tx.scalars(
        select(Order.id)
        .join(OrderReturn, (OrderReturn.workspace_id == Order.workspace_id) & (OrderReturn.order_id == Order.id))
        .where(
            Order.workspace_id == tx.workspace_id,
            Order.store_id == store_id,
            Order.deleted_at.is_(None),
            OrderReturn.status.in_(_LIE_OPEN),
            ~known.exists(),
        )
        .group_by(Order.id)
        .order_by(func.min(OrderReturn.version), Order.id)
    )
    return list(rows)


async def _follow_order(tx: Tx, order_id: UUID, *which: ColumnElement[bool]) -> None:
    """Take over what the store says of the returns of an order, or of `which`. Raises TaskError: not yet."""
    order = await tx.get(Order, order_id, lock=True)
    if order is None:
        return
    told = await tx.scalars(
        select(OrderReturn)
        .where(OrderReturn.workspace_id == tx.workspace_id, OrderReturn.order_id == order.id, *which)
        .order_by(OrderReturn.version, OrderReturn.id)
    )
    for one in list(told):
        await _follow(tx, order, one)


async def _follow(tx: Tx, order: Order, told: OrderReturn) -> None:
    found = await _by_external_id(tx, order, told.external_id)
    if found is None:
        if await _being_opened(tx, order):
            # It may be the one that we are opening at this moment; its number is written down in a moment.
            raise TaskError("a return of this order is being opened", retry=True, after=3)
        if await _was_ours(tx, order, told.external_id):
            return
        await _adopt(tx, order, told)
        return
    # Of what we are telling the store ourselves this is the echo.
    if await steps.next_of(tx, found.id) is not None:
        return
    name = _MOVES.get((State(found.state), told.status))
    if name == "approve":
        await moves.approve(tx, found, by=Who.STORE)
    elif name == "decline":
        await moves.decline(tx, found, why="other", by=Who.STORE)
    elif name == "cancel":
        await moves.cancel(tx, found, by=Who.STORE)
    elif name == "close":
        await moves.close(tx, found, by=Who.STORE)
    elif name == "reopen":
        await moves.reopen(tx, found, by=Who.STORE)


_MOVES: Mapping[tuple[State, str], str] = {
    (State.REQUESTED, "open"): "approve",
    (State.ASKED, "open"): "approve",
    (State.REQUESTED, "declined"): "decline",
    (State.ASKED, "declined"): "decline",
    (State.REQUESTED, "cancelled"): "cancel",
    (State.ASKED, "cancelled"): "cancel",
    (State.APPROVED, "cancelled"): "cancel",
    (State.SENT, "cancelled"): "cancel",
    (State.APPROVED, "closed"): "close",
    (State.SENT, "closed"): "close",
    (State.IN_TRANSIT, "closed"): "close",
    (State.RECEIVED, "closed"): "close",
    (State.INSPECTED, "closed"): "close",
    (State.PAID, "closed"): "close",
    (State.CLOSED, "open"): "reopen",
}
"""What the store's status makes of a return that stands elsewhere here; everything else changes nothing."""
_LIE_OPEN = ("requested", "open")

_ADOPTED: Mapping[str, State] = {
    "requested": State.REQUESTED,
    "open": State.APPROVED,
    "declined": State.DECLINED,
    "cancelled": State.CANCELLED,
    "closed": State.CLOSED,
}


async def _by_external_id(tx: Tx, order: Order, external_id: str) -> ReturnRequest | None:
    found: ReturnRequest | None = await tx.scalar(
        select(ReturnRequest)
        .where(
            ReturnRequest.workspace_id == tx.workspace_id,
            ReturnRequest.store_id == order.store_id,
            ReturnRequest.external_id == external_id,
        )
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return found


async def _being_opened(tx: Tx, order: Order) -> bool:
    found = await tx.scalar(
        select(ReturnStep.id)
        .where(
            ReturnStep.workspace_id == tx.workspace_id,
            ReturnStep.order_id == order.id,
            ReturnStep.kind == "open",
            ReturnStep.state == steps.QUEUED,
            ReturnStep.attempts > 0,
        )
        .limit(1)
    )
    return found is not None


async def _was_ours(tx: Tx, order: Order, external_id: str) -> bool:
    """Whether it is what we opened before a return was changed or asked for anew: its end is our own doing."""
    found = await tx.scalar(
        select(ReturnStep.id)
        .where(
            ReturnStep.workspace_id == tx.workspace_id,
            ReturnStep.order_id == order.id,
            ReturnStep.kind == "open",
            ReturnStep.outcome["external_id"].astext == external_id,
        )
        .limit(1)
    )
    return found is not None


async def _adopt(tx: Tx, order: Order, told: OrderReturn) -> None:
    """A return that was made in the store's own admin stands in the queue like ours."""
    state = _ADOPTED.get(told.status)
    if state is None:
        return
    id = new_id()
    at = told.at
    tx.add(
        ReturnRequest(
            id=id,
            store_id=order.store_id,
            order_id=order.id,
            client_id=id,
            serial=await requests.next_serial(tx),
            public_id=secrets.token_urlsafe(16),
            origin=STORES,
            asked_by=Who.STORE,
            state=state,
            verified=True,
            external_id=told.external_id,
            name=told.name,
            # It began there, however late we hear of it.
            created_at=at,
            moved_at=at,
            currency=order.currency,
            exponent=order.exponent,
            waiting_since=at if state is State.REQUESTED else None,
        )
    )
    await tx.flush()
    tx.publish("returns", {"request_id": str(id)})
