"""What was on its way to a store when the store moved goes on where the store is now, and once."""

from __future__ import annotations

import pytest
from sqlalchemy import select, text

from plugin.app import App
from plugin.crm import actions
from plugin.crm.actions import PREPARED, SENT, ActionRow
from plugin.crm.orders import Order
from plugin.kernel.db import new_id
from tests.joining.conftest import Make, joined


@pytest.mark.parametrize("attempts", [0, 1])
async def test_money_on_its_way_goes_on_where_the_store_went(app: App, merchant: Make, attempts: int) -> None:
    guest, host = await merchant("oud"), await merchant("kad")
    async with app.db.transaction(guest.workspace_id) as tx:
        order = await tx.scalar(select(Order).where(Order.workspace_id == tx.workspace_id).limit(1))
        assert order is not None
        row = ActionRow(
            id=new_id(), store_id=order.store_id, order_id=order.id, agent_id=new_id(), kind="note", state=SENT,
            moves=True, attempts=attempts, wanted={"text": "x"},
        )  # fmt: skip
        looked = ActionRow(
            id=new_id(), store_id=order.store_id, order_id=order.id, agent_id=new_id(), kind="note", state=PREPARED,
            moves=True, wanted={"text": "x"},
        )  # fmt: skip
        tx.add(row)
        tx.add(looked)
    await joined(app, guest, host)
    async with app.db.transaction(host.workspace_id) as tx:
        moved = await tx.get(ActionRow, row.id)
        assert moved is not None
        assert (moved.state, moved.attempts) == (SENT, attempts), "it is not forgotten that it may have happened"
    async with app.db.queue.connect() as connection:
        waiting = await connection.scalars(
            text("SELECT arguments ->> 'action_id' FROM jobs WHERE workspace_id = :w AND task = 'carry_out' "
                 "AND done_at IS NULL"),
            {"w": host.workspace_id},
        )  # fmt: skip
        assert list(waiting) == [str(row.id)]
    # The job that it had where it was finds nothing there, and does nothing.
    async with app.db.transaction(guest.workspace_id) as tx:
        assert await tx.get(ActionRow, row.id) is None
        assert (await actions.of_orders(tx, [order.id])) == {}
