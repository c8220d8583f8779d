"""Conversations tied to orders by hand: shown, listed, undone, meant by macros and rules, inside one store."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from plugin.app import App
from plugin.automations import facts
from plugin.conversations import conversations as threads
from plugin.conversations import filling, filters, merging, messages, ties, views
from plugin.conversations.conversations import Conversation, Shopper
from plugin.conversations.ties import Thing
from plugin.conversations.views import Reader
from plugin.conversations.wording import Name
from plugin.crm import sync
from plugin.crm.orders import Order
from plugin.kernel.db import Tx, new_id
from plugin.kernel.errors import AhlanError
from plugin.kernel.events import Event
from plugin.kernel.money import Money
from plugin.platform import CustomerRecord, OrderRecord
from plugin.stores import Store
from plugin.team import Agent
from tests.conversations.conftest import MakeShopper

T = datetime(2026, 11, 1, tzinfo=UTC)
LAYLA, DANA = CustomerRecord("1", T, "layla@example.com"), CustomerRecord("2", T, "dana@example.com")


def placed(number: str, by: str, day: int) -> OrderRecord:
    return OrderRecord(f"o{number}", T, number, T.replace(day=day), Money(9900, "SAR", 2), customer_external_id=by)


@pytest.fixture
async def orders(app: App, workspace: UUID, store: Store) -> dict[str, Thing]:
    """Two of Layla's, the later one #1002, and one of Dana's."""
    async with app.db.transaction(workspace) as tx:
        records = [LAYLA, DANA, placed("#1001", "1", 2), placed("#1002", "1", 3), placed("AR-1003", "2", 4)]
        await sync.apply(tx, store, records)
        rows = await tx.scalars(select(Order))
        return {row.name: Thing(ties.ORDER, row.id, row.name, row.store_id) for row in rows}


async def begin(app: App, workspace: UUID, shopper: Shopper, customer: str = "layla@example.com") -> UUID:
    async with app.db.transaction(workspace) as tx:
        await messages.receive(tx, shopper, uuid4(), "hello")
        head = await threads.current(tx, shopper)
        assert head is not None
        talk = await found(tx, head.id)
        talk.customer_id = await tx.scalar(select(Order.customer_id).where(Order.email == "", Order.name == "#1001"))
        return head.id


async def found(tx: Tx, id: UUID) -> Conversation:
    talk = await tx.get(Conversation, id)
    assert talk is not None
    return talk


async def listed(tx: Tx, agent: Agent, asked: str) -> set[UUID]:
    page = await views.queue(tx, filters.parse(asked), Reader(agent.id, UTC))
    return {row.conversation.id for row in page.rows}


async def test_a_tie_is_said_once_recorded_listed_and_taken_back(
    app: App, workspace: UUID, shopper: Shopper, make_shopper: MakeShopper, noa: Agent, orders: dict[str, Thing]
) -> None:
    talk_id, other_id = await begin(app, workspace, shopper), await begin(app, workspace, await make_shopper())
    async with app.db.transaction(workspace) as tx:
        talk = await found(tx, talk_id)
        assert await ties.tie(tx, talk, orders["AR-1003"], by=noa)
        assert not await ties.tie(tx, talk, orders["AR-1003"], by=noa)
        assert [order.name for order in await ties.orders(tx, talk_id)] == ["AR-1003"]
        for asked in ("order:1003", "order:AR-1003", "order:١٠٠٣", "order:any", "-order:none"):
            assert await listed(tx, noa, asked) == {talk_id}, asked
        assert await listed(tx, noa, "order:none") == {other_id}
        assert await listed(tx, noa, "order:1001") == set()
    async with app.db.transaction(workspace) as tx:
        talk = await found(tx, talk_id)
        assert await ties.untie(tx, talk, orders["AR-1003"], by=noa)
        assert not await ties.untie(tx, talk, orders["AR-1003"], by=noa)
        assert await ties.orders(tx, talk_id) == []
        told = list(await tx.scalars(select(Event).where(Event.kind.in_(("conversation.tied", "conversation.untied")))))
    assert sorted((one.kind, one.actor, one.data["name"]) for one in told) == [
        ("conversation.tied", noa.actor, "AR-1003"), ("conversation.untied", noa.actor, "AR-1003"),
    ]  # fmt: skip


async def test_what_another_store_sold_is_refused_and_another_workspace_sees_nothing(
    app: App, workspace: UUID, other_workspace: UUID, shopper: Shopper, noa: Agent, orders: dict[str, Thing]
) -> None:
    talk_id = await begin(app, workspace, shopper)
    async with app.db.transaction(workspace) as tx:
        talk = await found(tx, talk_id)
        with pytest.raises(AhlanError) as refused:
            await ties.tie(tx, talk, Thing(ties.ORDER, orders["#1001"].id, "#1001", new_id()), by=noa)
        assert refused.value.code == "tie_store"
        await ties.tie(tx, talk, orders["#1001"], by=noa)
    async with app.db.transaction(other_workspace) as tx:
        assert await ties.orders(tx, talk_id) == []


async def test_a_merge_shows_what_both_were_about_and_its_undoing_parts_them_again(
    app: App, workspace: UUID, shopper: Shopper, make_shopper: MakeShopper, noa: Agent, orders: dict[str, Thing]
) -> None:
    into, other = await begin(app, workspace, shopper), await begin(app, workspace, await make_shopper())
    async with app.db.transaction(workspace) as tx:
        await ties.tie(tx, await found(tx, into), orders["#1001"], by=noa)
        await ties.tie(tx, await found(tx, other), orders["#1002"], by=noa)
    async with app.db.transaction(workspace) as tx:
        (join,) = await merging.merge(tx, into, [other], by=noa)
        assert {order.name for order in await ties.orders(tx, into)} == {"#1001", "#1002"}
        assert await listed(tx, noa, "order:1002") == {into}
    async with app.db.transaction(workspace) as tx:
        await merging.undo(tx, join.id, by=noa)
        assert [order.name for order in await ties.orders(tx, into)] == ["#1001"]
        assert [order.name for order in await ties.orders(tx, other)] == ["#1002"]


async def test_macros_and_rules_mean_the_tied_order_and_say_nothing_of_a_strangers_by_themselves(
    app: App, workspace: UUID, shopper: Shopper, noa: Agent, orders: dict[str, Thing]
) -> None:
    talk_id = await begin(app, workspace, shopper)
    t = app.catalogues.translator("en")

    async def number(agent: Agent | None) -> str:
        async with app.db.transaction(workspace) as tx:
            return (await filling.values(tx, await found(tx, talk_id), agent, t))[Name.ORDER_NUMBER]

    assert await number(noa) == "#1002", "the latest"
    async with app.db.transaction(workspace) as tx:
        await ties.tie(tx, await found(tx, talk_id), orders["#1001"], by=noa)
    assert [await number(noa), await number(None)] == ["#1001", "#1001"]
    async with app.db.transaction(workspace) as tx:
        known = await facts.of_moment(tx, talk_id)
        assert known is not None
        assert known.facts.order is not None
        assert known.facts.order.placed_at.day == 2
    async with app.db.transaction(workspace) as tx:
        await ties.untie(tx, await found(tx, talk_id), orders["#1001"], by=noa)
        await ties.tie(tx, await found(tx, talk_id), orders["AR-1003"], by=noa)
    assert [await number(noa), await number(None)] == ["AR-1003", "#1002"]
