"""A request that nothing vouches for: an agent calls the number on the order, which opens it to that browser."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, update

from plugin.conversations import conversations as threads
from plugin.conversations import merging
from plugin.conversations.conversations import Conversation, Shopper
from plugin.conversations.messages import BOT, Message
from plugin.conversations.tags import ConversationTag
from plugin.crm.orders import Order
from plugin.kernel.db import new_id
from plugin.kernel.errors import AhlanError, Conflict, NotFound
from plugin.kernel.events import Event
from plugin.kernel.text import isolate
from plugin.returns import calls, claims, proof
from plugin.returns.calls import Call, Stands
from plugin.returns.proof import OrderProof
from plugin.team import Agent, AuditEntry
from tests.returns.counter import HOME, Desk
from tests.returns.counter import desk as desk

ON_ORDER, TYPED = "+966501234567", "+966509999999"


async def ask(
    desk: Desk, shopper: Shopper, number: str = "1001", client_id: UUID | None = None, lang: str = "ar"
) -> UUID:
    """The shopper leaves a request; returns its conversation."""
    async with desk.app.db.transaction(desk.workspace) as tx:
        await claims.call_back(
            tx, shopper, client_id or uuid4(), desk.store, number=number, phone=TYPED, text="أريد إرجاعها",
            words=desk.app.catalogues.translator(lang), catalogues=desk.app.catalogues,
        )  # fmt: skip
        head = await threads.current(tx, shopper)
    assert head is not None
    return head.id


async def waiting(desk: Desk, talk: UUID) -> list[Call]:
    async with desk.app.db.transaction(desk.workspace) as tx:
        return list(await calls.of_conversation(tx, talk))


async def sees(desk: Desk, shopper: Shopper) -> list[UUID]:
    async with desk.app.db.transaction(desk.workspace) as tx:
        return [view.order.id for view in await proof.theirs(tx, shopper)]


async def confirm(desk: Desk, talk: UUID, call: UUID, order: UUID, by: Agent, phone: str = ON_ORDER) -> None:
    async with desk.app.db.transaction(desk.workspace) as tx:
        held = await tx.get(Conversation, talk)
        assert held is not None
        await calls.confirm(tx, held, call, order, phone, by=by, catalogues=desk.app.catalogues)


async def decline(desk: Desk, talk: UUID, call: UUID, by: Agent) -> None:
    async with desk.app.db.transaction(desk.workspace) as tx:
        held = await tx.get(Conversation, talk)
        assert held is not None
        await calls.decline(tx, held, call, by=by)


async def undo(desk: Desk, talk: UUID, call: UUID, by: Agent) -> None:
    async with desk.app.db.transaction(desk.workspace) as tx:
        held = await tx.get(Conversation, talk)
        assert held is not None
        await calls.undo(tx, held, call, by=by, catalogues=desk.app.catalogues)


async def audited(desk: Desk) -> list[str]:
    async with desk.app.db.transaction(desk.workspace) as tx:
        return list(await tx.scalars(select(AuditEntry.kind).order_by(AuditEntry.id)))


async def told(desk: Desk) -> list[str]:
    async with desk.app.db.transaction(desk.workspace) as tx:
        return list(await tx.scalars(select(Message.text).where(Message.author == BOT).order_by(Message.position)))


async def test_the_call_opens_that_order_to_that_browser_for_as_long_as_a_code_does(desk: Desk, noa: Agent) -> None:
    order = await desk.order(email="", shipping_address=HOME)
    await desk.order("#1002", email="", shipping_address=HOME)
    mona, other = await desk.browser(), await desk.browser()
    talk, elsewhere = await ask(desk, mona), await ask(desk, other)
    [call] = await waiting(desk, talk)
    assert (call.stands, call.number) == (Stands.WAITING, "1001")
    assert [(one.order.id, one.phone) for one in call.meant] == [(order, ON_ORDER)], "not the number that was typed"
    assert await sees(desk, mona) == []
    await confirm(desk, talk, call.id, order, noa)
    assert await sees(desk, mona) == [order]
    assert await sees(desk, other) == []
    assert [one.stands for one in await waiting(desk, elsewhere)] == [Stands.WAITING]
    async with desk.app.db.transaction(desk.workspace) as tx:
        held = await tx.get(Order, order)
        assert held is not None
        assert await proof.way(tx, mona, held) == "call", "and says so where it is asked how it was proven"
        row = await tx.get(OrderProof, call.id)
        assert row is not None
        assert row.ends_at is not None
        assert row.proved_at is not None
        assert row.ends_at - row.proved_at == proof.GRANT_LASTS
        event = (await tx.scalars(select(Event).where(Event.kind == "order.proved"))).one()
        assert (event.actor, event.data) == (noa.actor, {"order": "#1001", "way": "call"})
        tags = await tx.scalars(select(ConversationTag).where(ConversationTag.conversation_id == talk))
        assert tags.all() == []
    assert await audited(desk) == ["orders.call_confirmed"]
    [said] = await told(desk)
    assert "1001" in said
    assert desk.app.catalogues.translator("ar").gettext("Orders & returns") in said


async def test_twice_and_by_two_agents_at_once_is_once(desk: Desk, noa: Agent, owner: Agent) -> None:
    order = await desk.order(email="", shipping_address=HOME)
    mona = await desk.browser()
    talk = await ask(desk, mona)
    [call] = await waiting(desk, talk)
    await asyncio.gather(*(confirm(desk, talk, call.id, order, by) for by in (noa, owner, noa)))
    assert await sees(desk, mona) == [order]
    assert await audited(desk) == ["orders.call_confirmed"]
    assert len(await told(desk)) == 1


async def test_an_undone_call_closes_the_order_and_waits_again(desk: Desk, noa: Agent) -> None:
    order = await desk.order(email="", shipping_address=HOME)
    mona = await desk.browser()
    talk = await ask(desk, mona)
    [call] = await waiting(desk, talk)
    await confirm(desk, talk, call.id, order, noa)
    for _ in range(2):
        await undo(desk, talk, call.id, noa)
    assert await sees(desk, mona) == []
    async with desk.app.db.transaction(desk.workspace) as tx:
        with pytest.raises(NotFound):
            await proof.order_of(tx, mona, order)
        assert (await tx.scalars(select(Event.data).where(Event.kind == "order.unproved"))).all() == [
            {"order": "#1001"}
        ]
    assert [one.stands for one in await waiting(desk, talk)] == [Stands.WAITING]
    assert await audited(desk) == ["orders.call_confirmed", "orders.call_undone"]
    opened, closed = await told(desk)
    said = desk.app.catalogues.translator("ar").gettext(
        "Order %(order)s is no longer open in your browser. If it is yours, write to us here."
    )
    assert closed == said % {"order": isolate("#1001", "ltr")}
    assert not said.isascii()
    assert closed != opened
    await confirm(desk, talk, call.id, order, noa)
    assert await sees(desk, mona) == [order]


async def test_a_request_goes_with_its_message_when_conversations_are_merged_and_parted(desk: Desk, noa: Agent) -> None:
    order = await desk.order(email="", shipping_address=HOME)
    mona, same = await desk.browser(), await desk.browser()
    first, second = await ask(desk, mona, "1002"), await ask(desk, same)
    [call] = await waiting(desk, second)
    async with desk.app.db.transaction(desk.workspace) as tx:
        await merging.merge(tx, first, [second], by=noa, sure=True)
    assert await waiting(desk, second) == []
    with pytest.raises(NotFound):
        await confirm(desk, second, call.id, order, noa)
    assert [one.number for one in await waiting(desk, first)] == ["1001", "1002"]
    await confirm(desk, first, call.id, order, noa)
    assert (await sees(desk, same), await sees(desk, mona)) == ([order], []), "the browser that asked, and no other"
    async with desk.app.db.transaction(desk.workspace) as tx:
        said = await tx.get(Message, call.id)
        assert said is not None
        join = await merging.split(tx, first, said.position, by=noa)
        parted = join.conversation_id if join.conversation_id != first else join.other_id
    assert [(one.number, one.stands) for one in await waiting(desk, parted)] == [("1001", Stands.OPEN)]
    assert [one.number for one in await waiting(desk, first)] == ["1002"]
    await undo(desk, parted, call.id, noa)
    assert await sees(desk, same) == []
    async with desk.app.db.transaction(desk.workspace) as tx:
        last = await tx.scalar(
            select(Message).where(Message.author == BOT).order_by(Message.created_at.desc()).limit(1)
        )
        assert last is not None
        assert last.conversation_id == parted


async def test_a_second_request_and_the_answer_to_the_first_do_not_wait_for_each_other(desk: Desk, noa: Agent) -> None:
    order = await desk.order(email="", shipping_address=HOME)
    mona = await desk.browser()
    talk = await ask(desk, mona)
    [call] = await waiting(desk, talk)
    async with desk.app.db.transaction(desk.workspace) as tx:
        await threads.lock(tx, talk)
        answered = asyncio.create_task(confirm(desk, talk, call.id, order, noa))
        await asyncio.wait({answered}, timeout=0.3)
        await claims.call_back(
            tx, mona, uuid4(), desk.store, number="1001", phone=TYPED, text="still me",
            words=desk.app.catalogues.translator("en"), catalogues=desk.app.catalogues,
        )  # fmt: skip
    with pytest.raises(Conflict):
        await answered
    assert [one.stands for one in await waiting(desk, talk)] == [Stands.WAITING]


async def test_not_them_ends_the_request_and_tells_nothing(desk: Desk, noa: Agent) -> None:
    order = await desk.order(email="", shipping_address=HOME)
    mona = await desk.browser()
    talk = await ask(desk, mona)
    [call] = await waiting(desk, talk)
    for _ in range(2):
        await decline(desk, talk, call.id, noa)
    assert await waiting(desk, talk) == []
    with pytest.raises(Conflict):
        await confirm(desk, talk, call.id, order, noa)
    assert await sees(desk, mona) == []
    assert await told(desk) == []
    assert await audited(desk) == ["orders.call_declined"]
    await undo(desk, talk, call.id, noa)
    assert [one.stands for one in await waiting(desk, talk)] == [Stands.WAITING]
    await confirm(desk, talk, call.id, order, noa)
    with pytest.raises(Conflict):
        await decline(desk, talk, call.id, noa)
    assert await sees(desk, mona) == [order]


async def test_a_request_is_confirmed_within_a_day_and_what_it_opened_ends(desk: Desk, noa: Agent) -> None:
    order = await desk.order(email="", shipping_address=HOME)
    mona = await desk.browser()
    talk = await ask(desk, mona)
    [call] = await waiting(desk, talk)

    async def later(**values: object) -> None:
        async with desk.app.db.transaction(desk.workspace) as tx:
            await tx.execute(update(OrderProof).values(**values))

    gone, soon = func.now() - timedelta(seconds=1), func.now() + timedelta(hours=23)
    await later(expires_at=gone)
    with pytest.raises(Conflict):
        await confirm(desk, talk, call.id, order, noa)
    assert [one.stands for one in await waiting(desk, talk)] == [Stands.LATE]
    assert await sees(desk, mona) == []
    await later(expires_at=soon)
    await confirm(desk, talk, call.id, order, noa)
    await later(ends_at=gone)
    assert await sees(desk, mona) == []
    assert await waiting(desk, talk) == []
    with pytest.raises(Conflict):
        await confirm(desk, talk, call.id, order, noa)


async def test_only_the_number_on_the_order_counts(desk: Desk, noa: Agent) -> None:
    order = await desk.order(email="", shipping_address=HOME)
    silent = await desk.order("#1002", email="", phone="")
    mona = await desk.browser()
    talk = await ask(desk, mona)
    [call] = await waiting(desk, talk)
    for phone in (TYPED, ""):
        with pytest.raises(Conflict):
            await confirm(desk, talk, call.id, order, noa, phone)
    with pytest.raises(NotFound):
        await confirm(desk, talk, call.id, silent, noa)
    await ask(desk, mona, "1002")
    [unheard, _first] = await waiting(desk, talk)
    assert [(one.order.id, one.phone) for one in unheard.meant] == [(silent, "")]
    with pytest.raises(Conflict):
        await confirm(desk, talk, unheard.id, silent, noa, "")
    assert await sees(desk, mona) == []


async def test_a_request_of_another_conversation_or_workspace_is_not_there(
    desk: Desk, noa: Agent, other_workspace: UUID
) -> None:
    order = await desk.order(email="m@shop.example", shipping_address=HOME)
    mona, other = await desk.browser(), await desk.browser()
    talk, elsewhere = await ask(desk, mona), await ask(desk, other)
    [call] = await waiting(desk, talk)
    wanted = proof.read("1001", "m@shop.example", desk.store.country)
    async with desk.app.db.transaction(desk.workspace) as tx:
        coded = await proof.ask(tx, desk.store, mona.visitor_id, wanted, locale="en")
    for where, what in ((elsewhere, call.id), (talk, coded), (talk, new_id())):
        for press in (
            confirm(desk, where, what, order, noa),
            decline(desk, where, what, noa),
            undo(desk, where, what, noa),
        ):
            with pytest.raises(NotFound):
                await press
    async with desk.app.db.transaction(other_workspace) as tx:
        assert list(await calls.of_conversation(tx, talk)) == []
        stranger = Conversation(id=talk, workspace_id=other_workspace)
        with pytest.raises(NotFound):
            await calls.confirm(tx, stranger, call.id, order, ON_ORDER, by=noa, catalogues=desk.app.catalogues)
    assert (await sees(desk, mona), await sees(desk, other)) == ([], [])


async def test_no_code_opens_a_request_that_waits_for_a_call(desk: Desk, noa: Agent) -> None:
    order = await desk.order(email="", shipping_address=HOME)
    mona = await desk.browser()
    talk = await ask(desk, mona)
    [call] = await waiting(desk, talk)

    async def tried() -> UUID | None:
        async with desk.app.db.transaction(desk.workspace) as tx:
            return await proof.check(
                desk.app.vault, tx, call.id, mona.visitor_id, proof.code_of(desk.app.vault, call.id)
            )

    assert await tried() is None
    await confirm(desk, talk, call.id, order, noa)
    await undo(desk, talk, call.id, noa)
    assert await tried() is None
    assert await sees(desk, mona) == []


async def test_sent_twice_it_is_one_request_and_a_newer_one_takes_its_place(desk: Desk) -> None:
    await desk.order(email="", shipping_address=HOME)
    mona, same = await desk.browser(), uuid4()
    talk = await ask(desk, mona, client_id=same)
    await ask(desk, mona, client_id=same)
    [first] = await waiting(desk, talk)
    await ask(desk, mona, "#١٠٠١")
    [second] = await waiting(desk, talk)
    assert first.id != second.id
    await ask(desk, mona, "1002")
    assert len(await waiting(desk, talk)) == 2


async def test_orders_with_the_same_digits_are_offered_each_and_the_very_name_alone(desk: Desk) -> None:
    for name in ("AR-1001", "EN-1001"):
        await desk.order(name, email="", shipping_address=HOME)
    mona = await desk.browser()
    talk = await ask(desk, mona)
    [call] = await waiting(desk, talk)
    assert {one.order.name for one in call.meant} == {"AR-1001", "EN-1001"}
    talk = await ask(desk, mona, "ar-1001")
    [call] = await waiting(desk, talk)
    assert [one.order.name for one in call.meant] == ["AR-1001"]


async def test_an_erased_order_and_a_request_taken_back_by_its_shopper_open_nothing(desk: Desk, noa: Agent) -> None:
    order = await desk.order(email="", shipping_address=HOME)
    mona = await desk.browser()
    talk = await ask(desk, mona)
    [call] = await waiting(desk, talk)
    async with desk.app.db.transaction(desk.workspace) as tx:
        await tx.execute(update(Order).values(erased_at=func.now()))
    assert [one.meant for one in await waiting(desk, talk)] == [[]]
    with pytest.raises(NotFound):
        await confirm(desk, talk, call.id, order, noa)
    async with desk.app.db.transaction(desk.workspace) as tx:
        await tx.execute(update(Order).values(erased_at=None))
        await tx.execute(update(Message).where(Message.id == call.id).values(deleted_at=func.now()))
    assert await waiting(desk, talk) == []
    with pytest.raises(NotFound):
        await confirm(desk, talk, call.id, order, noa)


async def test_a_request_names_an_order(desk: Desk) -> None:
    with pytest.raises(AhlanError) as refused:
        await ask(desk, await desk.browser(), "!?")
    assert refused.value.code == "order_number"
    async with desk.app.db.transaction(desk.workspace) as tx:
        assert await tx.scalar(select(func.count()).select_from(Message)) == 0
