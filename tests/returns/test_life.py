"""A return from its request to its end: who moves it, what the store hears, what the shopper is told, what is paid."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from plugin.conversations import attachments
from plugin.kernel.errors import AhlanError, Conflict, Forbidden, NotFound
from plugin.return_desk import DecideReturn, Disposition, LabelReturn, OpenReturn, PayReturn
from plugin.returns import carrying, moves, records, requests, steps
from plugin.returns.policy import PayWhen, Policy, Resolution
from plugin.returns.records import ReturnRequest
from plugin.returns.states import State, Who
from plugin.team import Agent, Permission, Role
from tests.returns.desk import MUG, SHIRT, Shop, ils, want


async def restocked(shop: Shop, request: ReturnRequest) -> dict[UUID, dict[Disposition, int]]:
    async with shop.app.db.transaction(shop.workspace) as tx:
        return {line.id: {Disposition.RESTOCK: line.quantity} for line in await records.lines_of(tx, request.id)}


async def test_nobody_need_be_awake_for_what_the_policy_agrees_to(shop: Shop) -> None:
    await shop.policy(Policy(automatic=True, pay_when=PayWhen.INSPECTED))
    request = await shop.submit()
    assert (request.number, request.state, request.waiting_since) == ("R-1001", State.APPROVED, None)
    await shop.work()
    assert shop.desk.told() == ["OpenReturn"]
    (key, opened) = shop.desk.heard[0]
    assert getattr(opened, "approved", None) is True
    request = await shop.request(request)
    assert request.external_id == f"return-{key}"
    (said,) = await shop.said(request)
    assert "approved" in said
    assert "₪50.00" in said
    request = await shop.move(request, "ship", by=Who.SHOPPER, tracking_number="RR 123")
    request = await shop.move(request, "receive")
    assert request.waiting_since is not None, "somebody has to look at the goods"
    request = await shop.move(request, "inspect", found=await restocked(shop, request))
    await shop.work()
    request = await shop.request(request)
    assert (request.state, request.paid) == (State.PAID, 5_000)
    assert shop.desk.told() == ["OpenReturn", "LabelReturn", "ReceiveReturn", "PayReturn"]
    assert shop.desk.moved == 5_000
    assert await shop.events(request) == ["requested", "approved", "in_transit", "received", "inspected", "paid"]
    assert len(await shop.said(request)) == 5


async def test_what_the_shopper_alone_says_moves_no_money(shop: Shop) -> None:
    await shop.policy(Policy(pay_when=PayWhen.IN_TRANSIT))
    request = await shop.submit()
    await shop.work()
    request = await shop.move(request, "ship", by=Who.SHOPPER, tracking_number="made up")
    await shop.work()
    request = await shop.request(request)
    assert (request.state, shop.desk.moved) == (State.IN_TRANSIT, 0)
    assert request.waiting_since is not None, "somebody has to look whether it is true"


async def test_what_needs_a_person_waits_for_one(shop: Shop) -> None:
    await shop.policy(Policy(automatic=False))
    request = await shop.submit()
    assert request.state == State.REQUESTED
    assert request.waiting_since is not None
    await shop.work()
    assert [getattr(one, "approved", None) for _key, one in shop.desk.heard] == [False]
    request = await shop.move(request, "approve")
    assert (request.state, request.waiting_since) == (State.APPROVED, None)
    await shop.work()
    assert shop.desk.told() == ["OpenReturn", "DecideReturn"]
    assert getattr(shop.desk.heard[1][1], "return_external_id", "") == (await shop.request(request)).external_id


async def test_without_proof_nothing_happens_by_itself(shop: Shop) -> None:
    await shop.policy(Policy(automatic=True))
    request = await shop.submit(verified=False)
    assert (request.state, request.review) == (State.REQUESTED, ["unverified"])
    request = await shop.move(request, "approve")
    assert request.verified


async def test_the_same_request_twice_is_one(shop: Shop) -> None:
    await shop.policy(Policy(automatic=True))
    id = uuid4()
    one, other = await asyncio.gather(shop.submit(client_id=id), shop.submit(client_id=id), return_exceptions=True)
    kept = [each for each in (one, other) if isinstance(each, ReturnRequest)]
    again = await requests.submit(
        shop.app, shop.workspace, shop.order_id, want(), client_id=id, decision_digest="", language="en", verified=True
    )
    assert {each.id for each in kept} == {again.id}
    await shop.work()
    assert shop.desk.told() == ["OpenReturn"]


async def test_what_is_in_one_return_is_not_in_another(shop: Shop) -> None:
    await shop.policy(Policy(automatic=True))
    await shop.submit(want((SHIRT, 2)))
    offered = await requests.offer(shop.app, shop.workspace, shop.order_id)
    assert {line.external_id: judged.most for line, judged in offered.lines} == {SHIRT: 0, MUG: 1}
    decision = await requests.decide(shop.app, shop.workspace, shop.order_id, want((SHIRT, 1)))
    assert [one.code for one in decision.refused] == ["nothing_left"]


async def test_what_is_confirmed_is_what_was_shown(shop: Shop) -> None:
    decision = await requests.decide(shop.app, shop.workspace, shop.order_id, want())
    dearer = replace(shop.desk.order.lines[0], paid=ils(8_000))
    shop.desk.order = replace(shop.desk.order, lines=(dearer, shop.desk.order.lines[1]))
    with pytest.raises(Conflict) as caught:
        await requests.submit(
            shop.app, shop.workspace, shop.order_id, want(), client_id=uuid4(),
            decision_digest=requests.digest(decision), language="en", verified=True,
        )  # fmt: skip
    assert caught.value.code == "decision_changed"


@pytest.mark.parametrize("quantity", [0, -1, 3, 1_000_000])
async def test_quantities_that_are_none_are_refused(shop: Shop, quantity: int) -> None:
    choice = want((SHIRT, quantity))
    decision = await requests.decide(shop.app, shop.workspace, shop.order_id, choice)
    with pytest.raises(AhlanError):
        await requests.submit(
            shop.app, shop.workspace, shop.order_id, choice, client_id=uuid4(),
            decision_digest=requests.digest(decision), language="en", verified=True,
        )  # fmt: skip
    with pytest.raises(AhlanError):
        await shop.move(await shop.submit(), "decline", why="nonsense")


async def test_declined_with_a_reason_that_the_shopper_reads(shop: Shop) -> None:
    await shop.policy(Policy(automatic=False))
    request = await shop.submit()
    with pytest.raises(AhlanError, match="Say why"):
        await shop.move(request, "decline", why="other")
    request = await shop.move(request, "decline", why="too_late", note="We are sorry.")
    await shop.work()
    assert "The time for sending them back is over" in (await shop.said(request))[-1]
    assert "We are sorry." in (await shop.said(request))[-1]
    decided = shop.desk.heard[-1][1]
    assert (getattr(decided, "approve", None), getattr(decided, "why", None)) == (False, "too_late")


async def test_more_is_asked_and_answered(shop: Shop) -> None:
    await shop.policy(Policy(automatic=False))
    request = await shop.move(await shop.submit(), "ask", note="A photo of the seam, please.")
    assert (request.state, request.waiting_since) == (State.ASKED, None)
    request = await shop.move(request, "answer", words="Here it is.", by=Who.SHOPPER)
    assert (request.state, request.own_words) == (State.REQUESTED, "Here it is.")
    assert request.waiting_since is not None


async def test_two_agents_approve_and_it_is_approved_once(shop: Shop) -> None:
    await shop.policy(Policy(automatic=False))
    request = await shop.submit()
    results = await asyncio.gather(*(shop.move(request, "approve") for _two in range(2)), return_exceptions=True)
    assert sorted(type(one).__name__ for one in results) == ["Conflict", "ReturnRequest"]
    await shop.work()
    assert shop.desk.told() == ["OpenReturn", "DecideReturn"]
    assert (await shop.events(request)).count("approved") == 1


async def test_a_move_is_made_from_where_it_was_seen_even_where_nothing_is_held(shop: Shop) -> None:
    """Two read the same row, and the second comes after the first has committed: its move finds no row to change."""
    await shop.policy(Policy(automatic=False))
    request = await shop.submit()
    for first, second in (("approve", "cancel"), ("cancel", "cancel")):
        async with shop.app.db.transaction(shop.workspace) as tx:
            seen = await records.get(tx, request.id)
            await shop.move(request, first)
            with pytest.raises(Conflict) as caught:
                await getattr(moves, second)(tx, seen, by=Who.SHOPPER)
            assert caught.value.code == "moved_on"
    assert await shop.events(request) == ["requested", "approved", "cancelled"]


async def test_a_shopper_cancels_while_an_agent_approves(shop: Shop) -> None:
    await shop.policy(Policy(automatic=False))
    request = await shop.submit()
    results = await asyncio.gather(
        shop.move(request, "approve"), shop.move(request, "cancel", by=Who.SHOPPER), return_exceptions=True
    )
    # Cancelled it is in any case: what was approved can still be cancelled, what was cancelled not approved.
    final = await shop.request(request)
    assert final.state in (State.CANCELLED, State.APPROVED)
    if final.state == State.APPROVED:
        assert any(isinstance(one, Conflict) for one in results)
    await shop.work()
    assert shop.desk.moved == 0


async def test_an_agent_who_lost_the_right_does_not_pay(shop: Shop) -> None:
    await shop.policy(Policy(automatic=False, pay_when=PayWhen.INSPECTED))
    request = await shop.move(await shop.submit(), "approve")
    assert request.payer_id == shop.agent.id
    async with shop.app.db.transaction(shop.workspace) as tx:
        agent = await tx.get(Agent, shop.agent.id)
        assert agent is not None
        agent.role = Role.AGENT
    request = await shop.move(request, "receive")
    request = await shop.move(request, "inspect", found=await restocked(shop, request))
    await shop.work()
    assert shop.desk.moved == 0
    assert (request.state, request.pays) == (State.INSPECTED, "")
    assert request.waiting_since is not None, "it waits for somebody with the right"


async def test_the_limit_is_of_the_order_and_counts_what_was_given_before(shop: Shop) -> None:
    await shop.policy(Policy(automatic=False, pay_when=PayWhen.INSPECTED))
    async with shop.app.db.transaction(shop.workspace) as tx:
        agent = Agent(
            name="Noor", email=f"{uuid4().hex}@x.example", role=Role.AGENT, rights=[Permission.REFUND],
            refund_limits={"ILS": 6_000},
        )  # fmt: skip
        tx.add(agent)
    first, second = await shop.submit(want((SHIRT, 1))), await shop.submit(want((SHIRT, 1)))
    for each in (first, second):
        request = await shop.move(each, "receive") if each.state == State.APPROVED else await shop.move(each, "approve")
        if request.state == State.APPROVED:
            request = await shop.move(request, "receive")
    await shop.move(first, "pay", by=agent)
    await shop.work()
    with pytest.raises(Forbidden) as caught:
        await shop.move(second, "pay", by=agent)
    assert caught.value.code == "over_limit"
    assert shop.desk.moved == 5_000
    light = replace_role(agent, Role.LIGHT)
    with pytest.raises(Forbidden):
        await shop.move(second, "close", by=light)


def replace_role(agent: Agent, role: Role) -> Agent:
    return Agent(workspace_id=agent.workspace_id, id=agent.id, name=agent.name, email=agent.email, role=role)


async def test_other_peoples_returns_are_not_there(shop: Shop, other_workspace: UUID) -> None:
    request = await shop.submit()
    async with shop.app.db.transaction(other_workspace) as tx:
        with pytest.raises(NotFound):
            await records.held(tx, request.id)
        assert await records.by_public_id(tx, request.public_id) is None
        assert await records.of_order(tx, shop.order_id) == []
    with pytest.raises(NotFound):
        await requests.offer(shop.app, other_workspace, shop.order_id)


async def test_goods_that_need_not_come_back_are_paid_at_once(shop: Shop) -> None:
    await shop.policy(Policy(automatic=True, keep_below=(ils(3_000),), pay_when=PayWhen.INSPECTED))
    request = await shop.submit(want((MUG, 1)))
    await shop.work()
    request = await shop.request(request)
    assert (request.keep, request.state, request.paid) == (True, State.PAID, 2_000)
    assert shop.desk.moved == 2_000


@pytest.mark.parametrize("when", list(PayWhen))
async def test_the_policy_says_when_it_is_paid(shop: Shop, when: PayWhen) -> None:
    await shop.policy(Policy(automatic=True, pay_when=when))
    request = await shop.submit()
    reached = []
    for name, arguments in (("ship", {}), ("receive", {}), ("inspect", {"found": await restocked(shop, request)})):
        await shop.work()
        reached.append(shop.desk.moved)
        request = await shop.move(request, name, **arguments)
    await shop.work()
    assert [*reached, shop.desk.moved] == [0] * list(PayWhen).index(when) + [5_000] * (4 - list(PayWhen).index(when))
    request = await shop.request(request)
    assert (request.state, request.paid) == (State.PAID, 5_000)
    assert (await shop.events(request)).count("paid") == 1


async def test_what_is_not_as_it_should_be_is_paid_by_hand_and_less(shop: Shop) -> None:
    await shop.policy(Policy(automatic=True, pay_when=PayWhen.INSPECTED))
    request = await shop.submit(want((SHIRT, 2)))
    request = await shop.move(request, "receive")
    async with shop.app.db.transaction(shop.workspace) as tx:
        (line,) = await records.lines_of(tx, request.id)
    with pytest.raises(AhlanError):
        await shop.move(request, "inspect", found={line.id: {Disposition.RESTOCK: 1}})
    found = {line.id: {Disposition.RESTOCK: 1, Disposition.DAMAGED: 1}}
    request = await shop.move(request, "inspect", found=found)
    await shop.work()
    assert shop.desk.moved == 0
    assert request.waiting_since is not None
    with pytest.raises(AhlanError, match="more than was promised"):
        await shop.move(request, "pay", amount=10_001)
    await shop.move(request, "pay", amount=5_000)
    await shop.move(request, "pay", amount=5_000)
    await shop.work()
    request = await shop.request(request)
    assert (request.state, request.paid, shop.desk.moved) == (State.PAID, 5_000, 5_000)


async def test_credit_has_its_bonus_beside_it(shop: Shop) -> None:
    await shop.policy(Policy(automatic=True, pay_when=PayWhen.APPROVED, bonus_percent=10))
    await shop.submit(want((SHIRT, 1), resolution=Resolution.CREDIT))
    await shop.work()
    ((_key, action),) = [one for one in shop.desk.heard if isinstance(one[1], PayReturn)]
    assert isinstance(action, PayReturn)
    assert (action.credit, action.amount, action.bonus) == (True, ils(5_000), ils(500))
    assert shop.desk.moved == 5_500


async def test_the_platforms_own_reckoning_stops_what_nobody_confirmed(shop: Shop) -> None:
    await shop.policy(Policy(automatic=True, pay_when=PayWhen.APPROVED))
    shop.desk.less = 300
    request = await shop.submit()
    await shop.work()
    request = await shop.request(request)
    assert (shop.desk.moved, request.stuck) == (0, True)
    step = (await shop.steps(request))[-1]
    assert (step.state, step.code) == (steps.FAILED, "differs")
    assert step.quoted.amount == ils(4_700)
    async with shop.app.db.transaction(shop.workspace) as tx:
        await carrying.leave(tx, await records.held(tx, request.id), step.id, by=shop.agent)
    await shop.move(request, "pay", amount=4_700)
    await shop.work()
    assert shop.desk.moved == 4_700


async def test_money_that_somebody_has_to_move_is_a_task(shop: Shop) -> None:
    await shop.policy(Policy(automatic=True, pay_when=PayWhen.APPROVED))
    shop.desk.by_hand = True
    request = await shop.submit()
    await shop.work()
    request = await shop.request(request)
    step = (await shop.steps(request))[-1]
    assert (step.state, request.stuck, request.paid_at) == (steps.HAND, True, None)
    async with shop.app.db.transaction(shop.workspace) as tx:
        await carrying.was_done(tx, await records.held(tx, request.id), step.id, by=shop.agent)
    request = await shop.request(request)
    assert (request.paid, request.stuck) == (5_000, False)


async def test_a_refused_step_holds_back_the_rest_until_somebody_looked(shop: Shop) -> None:
    from_desk = shop.desk
    await shop.policy(Policy(automatic=False))
    request = await shop.submit()
    await shop.work()
    from_desk.refuse[DecideReturn] = "order_locked"
    request = await shop.move(request, "approve")
    request = await shop.move(request, "label", tracking_number="RR1")
    await shop.work()
    assert from_desk.told() == ["OpenReturn"]
    step = (await shop.steps(request))[1]
    assert (step.state, step.said) == (steps.FAILED, "order_locked")
    del from_desk.refuse[DecideReturn]
    async with shop.app.db.transaction(shop.workspace) as tx:
        await carrying.look_again(tx, await records.held(tx, request.id), step.id, by=shop.agent)
    await shop.work()
    assert from_desk.told() == ["OpenReturn", "DecideReturn", "LabelReturn"]
    assert isinstance(from_desk.heard[-1][1], LabelReturn)
    assert not (await shop.request(request)).stuck


async def test_cancelled_before_the_store_heard_of_it_the_store_never_does(shop: Shop) -> None:
    await shop.policy(Policy(automatic=False))
    request = await shop.submit()
    request = await shop.move(request, "cancel", by=Who.SHOPPER)
    await shop.work()
    assert (request.state, shop.desk.heard) == (State.CANCELLED, [])
    request = await shop.move(request, "reopen")
    await shop.work()
    assert (request.state, shop.desk.told()) == (State.REQUESTED, ["OpenReturn"])


async def test_what_the_store_never_made_it_need_not_end(shop: Shop) -> None:
    """Making it known failed and was left out: nobody asks the store to close what it does not have."""
    await shop.policy(Policy(automatic=False))
    shop.desk.refuse[OpenReturn] = "no"
    request = await shop.submit()
    await shop.work()
    (opening,) = await shop.steps(request)
    async with shop.app.db.transaction(shop.workspace) as tx:
        await carrying.leave(tx, await records.held(tx, request.id), opening.id, by=shop.agent)
    shop.desk.refuse[OpenReturn] = "still no"
    request = await shop.move(request, "approve")
    await shop.work()
    opening = (await shop.steps(request))[-1]
    async with shop.app.db.transaction(shop.workspace) as tx:
        await carrying.leave(tx, await records.held(tx, request.id), opening.id, by=shop.agent)
    request = await shop.move(request, "label", tracking_number="RR1")
    request = await shop.move(request, "close")
    request = await shop.move(request, "reopen")
    await shop.work()
    assert (shop.desk.heard, request.state, request.stuck) == ([], State.APPROVED, False)


async def test_what_was_paid_cannot_be_cancelled_nor_paid_again_after_reopening(shop: Shop) -> None:
    await shop.policy(Policy(automatic=True, pay_when=PayWhen.APPROVED))
    request = await shop.submit()
    with pytest.raises(Conflict):
        await shop.move(request, "cancel", by=Who.SHOPPER)
    await shop.work()
    with pytest.raises(Conflict):
        await shop.move(request, "cancel", by=Who.SHOPPER)
    request = await shop.move(request, "close")
    request = await shop.move(request, "reopen")
    assert request.state == State.APPROVED
    await shop.move(request, "pay")
    request = await shop.move(request, "receive")
    await shop.move(request, "inspect", found=await restocked(shop, request))
    await shop.work()
    assert shop.desk.moved == 5_000
    assert (await shop.request(request)).state == State.PAID


async def test_a_label_file_reaches_the_shopper_once(shop: Shop) -> None:
    await shop.policy(Policy(automatic=True))
    request = await shop.submit()
    upload = attachments.read("label.pdf", b"%PDF-1.4\n%label")
    async with shop.app.db.transaction(shop.workspace) as tx:
        file = await attachments.save(tx, upload, uploader=shop.agent.actor, store_id=shop.store.id)
    request = await shop.move(request, "label", file=UUID(file["id"]))
    await shop.work()
    async with shop.app.db.transaction(shop.workspace) as tx:
        kept = await tx.get(attachments.Attachment, UUID(file["id"]))
        assert kept is not None
        assert kept.message_id is not None, "what nothing names would be deleted after a day"
    assert "Print the label" in (await shop.said(request))[-1]
    told = shop.desk.heard[-1][1]
    assert isinstance(told, LabelReturn)
    address, _, token = told.label_url.partition("/files/")
    assert address == shop.app.settings.public_url
    claims = shop.app.vault.verify("file", token)
    assert claims is not None
    assert (claims["w"], claims["a"]) == (str(shop.workspace), file["id"]), "the store takes its own copy"
    assert claims["exp"] > time.time() + 80_000, "also when it does so later"


async def test_money_that_failed_is_tried_anew_within_the_limit_and_not_beside_other_money(shop: Shop) -> None:
    await shop.policy(Policy(automatic=False, pay_when=PayWhen.INSPECTED))
    async with shop.app.db.transaction(shop.workspace) as tx:
        agent = Agent(
            name="Noor", email=f"{uuid4().hex}@x.example", role=Role.AGENT, rights=[Permission.REFUND],
            refund_limits={"ILS": 6_000},
        )  # fmt: skip
        tx.add(agent)
    first, second = await shop.submit(want((SHIRT, 1))), await shop.submit(want((SHIRT, 1)))
    for each in (first, second):
        await shop.move(each, "approve")
        await shop.move(each, "receive")
    shop.desk.refuse[PayReturn] = "no"
    await shop.move(first, "pay", by=agent)
    await shop.work()
    (failed,) = [step for step in await shop.steps(first) if step.kind == steps.PAY]
    assert failed.state == steps.FAILED
    shop.desk.refuse.clear()
    await shop.move(second, "pay", by=agent)

    async def again(by: Agent) -> None:
        async with shop.app.db.transaction(shop.workspace) as tx:
            await carrying.look_again(tx, await records.held(tx, first.id), failed.id, by=by)

    with pytest.raises(Conflict):
        await again(shop.agent)
    await shop.work()
    with pytest.raises(Forbidden) as caught:
        await again(agent)
    assert caught.value.code == "over_limit"
    await shop.work()
    assert shop.desk.moved == 5_000
    await again(shop.agent)
    await shop.work()
    assert shop.desk.moved == 10_000
    assert [step.agent_id for step in await shop.steps(first) if step.kind == steps.PAY] == [shop.agent.id]


async def test_goods_are_not_promised_twice_when_the_store_was_asked_before_it_heard_of_them(shop: Shop) -> None:
    """Somebody else's return is made and told to the store while the store's answer to ours is on its way."""
    await shop.policy(Policy(automatic=True))
    choice = want((SHIRT, 2))
    decision = await requests.decide(shop.app, shop.workspace, shop.order_id, choice)
    before, first = shop.desk.order, []

    class Slow(type(shop.desk)):
        """Answers what was true when it was asked."""

        async def returnable(self, connection: object, order: str) -> object:
            answer = shop.desk.order
            if not first:
                first.append(None)
                first[0] = await shop.submit(choice)
                await shop.work()
                shirt, mug = before.lines
                shop.desk.order = replace(before, lines=(replace(shirt, returnable=0), mug))
            return answer

    slow = Slow(shop.desk.order)
    app = replace(shop.app, platforms={shop.store.platform: slow})
    with pytest.raises(AhlanError) as refused:
        await requests.submit(
            app, shop.workspace, shop.order_id, choice, client_id=uuid4(), language="en", verified=True,
            decision_digest=requests.digest(decision),
        )  # fmt: skip
    assert refused.value.code == "return_refused"
    async with shop.app.db.transaction(shop.workspace) as tx:
        (only,) = await records.of_order(tx, shop.order_id)
    assert only.id == first[0].id


async def test_a_store_at_which_something_always_happens_is_not_asked_for_ever(shop: Shop) -> None:
    await shop.policy(Policy(automatic=True))
    decision = await requests.decide(shop.app, shop.workspace, shop.order_id, want())
    asked = 0

    class Busy(type(shop.desk)):
        async def returnable(self, connection: object, order: str) -> object:
            nonlocal asked
            asked += 1
            await shop.move(request, "ship" if asked % 2 else "receive") if asked < 3 else await shop.work()
            async with shop.app.db.transaction(shop.workspace) as tx:
                (await records.held(tx, request.id)).moves += 1
            return shop.desk.order

    request = await shop.submit(want((MUG, 1)))
    app = replace(shop.app, platforms={shop.store.platform: Busy(shop.desk.order)})
    with pytest.raises(Conflict) as busy:
        await requests.submit(
            app, shop.workspace, shop.order_id, want(), client_id=uuid4(), language="en", verified=True,
            decision_digest=requests.digest(decision),
        )  # fmt: skip
    assert (busy.value.code, asked) == ("order_busy", 5)


@pytest.mark.parametrize("pays", [PayWhen.APPROVED, PayWhen.INSPECTED])
async def test_two_agents_approve_while_the_shopper_cancels_and_one_story_is_true(shop: Shop, pays: PayWhen) -> None:
    """Whoever is first: what the store was told, what was paid and where the return stands agree."""
    await shop.policy(Policy(automatic=False, pay_when=pays))
    for _round in range(4):
        request = await shop.submit(want((MUG, 1)))
        before = shop.desk.moved
        results = await asyncio.gather(
            shop.move(request, "approve"), shop.move(request, "cancel", by=Who.SHOPPER), shop.move(request, "approve"),
            return_exceptions=True,
        )  # fmt: skip
        assert all(isinstance(one, ReturnRequest | Conflict) for one in results)
        await shop.work()
        events, final = await shop.events(request), await shop.request(request)
        assert events.count("approved") <= 1
        told = [action for _key, action in shop.desk.heard if getattr(action, "number", "") == request.number]
        # What was called off before the store heard of it need not be told at all.
        assert sum(isinstance(one, DecideReturn) for one in told) <= events.count("approved")
        assert sum(isinstance(one, PayReturn) for one in told) <= 1
        if final.state == State.CANCELLED:
            assert shop.desk.moved == before, "what is called off is not paid"
            assert final.paid_at is None
        else:
            assert final.state == State.APPROVED
            assert shop.desk.moved - before == (2_000 if pays is PayWhen.APPROVED else 0)
            break
