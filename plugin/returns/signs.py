"""What a shop itself knows of an order's person that may ask for a second look, whichever store they bought in."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, exists, func, literal, literal_column, select, tuple_

from plugin.conversations import blocked
from plugin.crm import identities
from plugin.crm.orders import Order
from plugin.kernel.db import Tx
from plugin.return_desk import Sign
from plugin.returns.policy import Customer, Policy
from plugin.returns.records import ReturnLine, ReturnRequest
from plugin.returns.states import State

_NO_RETURN = (State.CANCELLED, State.DECLINED)
"""What counts as no return when somebody's are counted."""


async def person_of(
    tx: Tx, order: Order, rules: Policy, *, apart: UUID | None = None, everything: bool = False
) -> Customer:
    """The person of an order as `policy.quote` asks about them, within the policy's `most_days` before now.

    Somebody without an account is known by the order's address, in its store alone. `apart` from one of their returns.
    What the policy asks nobody about is counted only with `everything`.
    """
    family = await identities.family(tx, order.customer_id) if order.customer_id is not None else []
    theirs = _theirs(order, family)
    since = datetime.now(UTC) - timedelta(days=rules.most_days)
    returns = (
        select(func.count())
        .select_from(ReturnRequest)
        .join(Order, tuple_(Order.workspace_id, Order.id) == tuple_(ReturnRequest.workspace_id, ReturnRequest.order_id))
        .where(
            ReturnRequest.workspace_id == tx.workspace_id,
            ReturnRequest.created_at > since,
            ReturnRequest.state.not_in(_NO_RETURN),
            *([ReturnRequest.id != apart] if apart is not None else []),
            *theirs,
        )
    )
    missing = returns.where(
        exists().where(
            ReturnLine.workspace_id == tx.workspace_id,
            ReturnLine.request_id == ReturnRequest.id,
            ReturnLine.missing > 0,
        )
    )
    failed = (
        select(func.count())
        .select_from(Order)
        .where(
            Order.workspace_id == tx.workspace_id,
            Order.id != order.id,
            # Written out, so that the index of failed payments serves it whatever plan is kept.
            Order.payment_status == literal_column("'failed'"),
            Order.placed_at > since,
            Order.deleted_at.is_(None),
            *theirs,
        )
    )
    tried = failed.scalar_subquery() if everything or Sign.PAYMENTS in rules.signs else literal(0)
    counted = await tx.execute(select(returns.scalar_subquery(), missing.scalar_subquery(), tried))
    asked, parcels, unpaid = map(int, counted.one())
    signs = [Sign.MISSING] if parcels else []
    if await blocked.is_person_blocked(tx, family, order.email):
        signs.append(Sign.BLOCKED)
    return Customer(returns=asked, failed_payments=unpaid, signs=tuple(signs))


def _theirs(order: Order, family: Sequence[UUID]) -> Sequence[ColumnElement[Any]]:
    if family:
        return (Order.customer_id.in_(family),)
    return (Order.email == order.email, Order.store_id == order.store_id) if order.email else (Order.id == order.id,)
