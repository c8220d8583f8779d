"""Every resolution on both platforms, to the minor unit on the store's own books; and changing what was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from integrations.shopify.identity import gid
from plugin.crm.products import Product, Variant
from plugin.kernel.db import new_id
from plugin.kernel.errors import AhlanError, Conflict
from plugin.kernel.money import Money, parse
from plugin.return_desk import ExchangePart, Sign
from plugin.returns import moves, records, requests, steps
from plugin.returns.policy import Choice, ChoiceLine, PayWhen, Policy, Resolution, Terms, share
from plugin.returns.records import ReturnRequest
from plugin.returns.states import State, Times, Who
from plugin.stores import Store
from plugin.team import Agent, Role
from tests.desks.conftest import Counter, rest
from tests.desks.conftest import counter as counter
from tests.desks.conftest import shop as shop
from tests.desks.conftest import shopify as shopify
from tests.desks.conftest import woo as woo
from tests.desks.conftest import world as world
from tests.returns.desk import MUG, SHIRT, Shop, open_shop, want
from tests.returns.test_journey import till as till

AT_ONCE = Policy(automatic=True, pay_when=PayWhen.APPROVED)


async def shelf(till: Shop, counter: Counter) -> Sequence[Variant]:
    """Two things that the store sells, in the CRM: the cheapest and the dearest."""
    if counter.kind == "shopify":
        sold = [(gid("Product", one["id"]), gid("ProductVariant", one["variants"][0]["id"]), one["title"],
                 one["variants"][0]["price"]) for one in counter.sim.shop.state.all("products")]  # fmt: skip
    else:
        listed = await rest(counter.sim, "products?type=simple&per_page=100")
        sold = [(str(one["id"]), str(one["id"]), one["name"], one["price"]) for one in listed if one["price"]]
    paid = (await counter.read()).paid
    made = []
    async with till.app.db.transaction(till.workspace) as tx:
        ordered = sorted(sold, key=lambda one: float(one[3]))
        for product_id, variant_id, title, price in (ordered[0], ordered[-1]):
            product = Product(id=new_id(), store_id=till.store.id, external_id=product_id, version=datetime.now(UTC),
                              title=title, status="active")  # fmt: skip
            tx.add(product)
            await tx.flush()
            money = parse(str(price), paid.currency, paid.exponent)[0]
            variant = Variant(id=new_id(), store_id=till.store.id, product_id=product.id, external_id=variant_id,
                              version=datetime.now(UTC), title=title, price=money.amount,
                              currency=money.currency, exponent=money.exponent, stock=9, available=True)  # fmt: skip
            tx.add(variant)
            made.append(variant)
    return made


async def settled(till: Shop, choice: Choice) -> ReturnRequest:
    request = await till.submit(choice)
    for _round in range(3):
        await till.work("carry_return", "tell_return")
    found = await till.request(request)
    told = [(step.kind, step.state, step.code, step.said) for step in await till.steps(request)]
    assert {state for _kind, state, _code, _said in told} == {steps.DONE}, told
    for step in await till.steps(request):
        # What WooCommerce reckons is of the same things: what new goods use up is off it, too.
        if step.kind == steps.PAY and till.store.platform == "woocommerce":
            assert step.quoted.amount == step.money
    return found


async def instead(counter: Counter, request: ReturnRequest) -> Any:
    """The order that what was chosen instead is on, as the store has it."""
    if counter.kind == "shopify":
        return next(one for one in counter.sim.shop.state.all("orders")
                    if one["admin_graphql_api_id"] == request.sent_external_id)  # fmt: skip
    return await rest(counter.sim, f"orders/{request.sent_external_id}")


@pytest.mark.parametrize("dearer", [True, False])
async def test_an_exchange_for_another_product_pays_or_owes_the_difference(
    till: Shop, counter: Counter, dearer: bool
) -> None:
    await till.policy(AT_ONCE)
    sold = await shelf(till, counter)
    line = (min if dearer else max)(await counter.lines(), key=lambda one: one.paid.amount / one.quantity)
    new = sold[-1] if dearer else sold[0]
    assert new.external_id != line.variant_external_id
    many = 1 if dearer else line.quantity
    choice = Choice((ChoiceLine(line.external_id, many, "changed_mind"),), Resolution.EXCHANGE,
                    (ExchangePart(new.external_id, 1),))  # fmt: skip
    request = await settled(till, choice)
    assert new.price is not None
    assert [part.title for part in request.chosen.exchange] == [new.title], "one name is said once"
    owed = request.decided.owed.amount if request.decided.owed else 0
    assert (owed, request.cash) == (max(0, new.price - request.worth), max(0, request.worth - new.price))
    assert sum(await counter.moved()) == request.cash == request.paid
    made = await instead(counter, request)
    link = await counter.platform.pay_link(counter.connection, request.sent_external_id)
    said = (await till.said(request))[-1]
    if dearer:
        assert owed > 0
        assert link
        assert link in said
        if counter.kind == "woocommerce":
            assert made["status"] == "pending", "nothing is packed before it is paid"
            assert round(float(made["total"]) * 10**request.exponent) == owed
    else:
        assert request.cash > 0
        assert not link
        assert "still to pay" not in said
        if counter.kind == "woocommerce":
            assert (made["status"], float(made["total"])) == ("processing", 0)
    if counter.kind == "woocommerce":
        assert [item["product_id"] for item in made["line_items"]] == [int(new.external_id)]
    else:
        assert new.external_id.endswith(str(made["line_items"][-1]["variant_id"]))


async def test_a_replacement_goes_out_for_nothing(till: Shop, counter: Counter) -> None:
    await till.policy(AT_ONCE)
    line = (await counter.lines())[0]
    choice = Choice((ChoiceLine(line.external_id, 1, "changed_mind"),), Resolution.REPLACEMENT)
    request = await settled(till, choice)
    made = await instead(counter, request)
    assert (sum(await counter.moved()), request.paid) == (0, 0)
    if counter.kind == "woocommerce":
        assert (made["status"], float(made["total"])) == ("processing", 0)
        assert made["line_items"][0]["product_id"] == int(line.product_external_id)


@pytest.mark.parametrize(("dearer", "below"), [(0, True), (0, False), (1_000, True)])
async def test_for_goods_of_less_an_exchange_goes_out_before_they_are_here(
    till: Shop, counter: Counter, dearer: int, below: bool
) -> None:
    new = (await shelf(till, counter))[-1]
    line = min(await counter.lines(), key=lambda one: one.paid.amount / one.quantity)
    worth = share(line.paid.amount, line.quantity, line.gone, 1)
    async with till.app.db.transaction(till.workspace) as tx:
        priced = await tx.get(Variant, new.id, lock=True)
        assert priced is not None
        priced.price = worth + dearer
    limit = replace(line.paid, amount=worth + 1 if below else 1)
    await till.policy(replace(AT_ONCE, pay_when=PayWhen.INSPECTED, instant_below=(limit,)))
    choice = Choice((ChoiceLine(line.external_id, 1, "changed_mind"),), Resolution.EXCHANGE,
                    (ExchangePart(new.external_id, 1),))  # fmt: skip
    request = await settled(till, choice)
    assert request.state == State.APPROVED
    # What is still to be paid leaves no shop before it is.
    goes = below and not dearer
    assert (bool(request.sent_external_id), await counter.moved()) == (goes, [])
    told = " ".join(await till.said(request))
    assert ("does not wait for the goods" in told, "once the goods are here" in told) == (goes, not goes)
    assert ("is paid" in told) is bool(dearer)
    for _look in range(2):
        await till.hurry("wake_return")
        await till.work("wake_return")
    late = await till.request(request)
    # What went out for nothing does not end by itself: the team is told what is missing.
    assert (late.state, late.waiting_since is not None) == ((State.APPROVED, True) if goes else (State.CLOSED, False))


@pytest.mark.parametrize("says_sent", [False, True])
@pytest.mark.parametrize("times", [Times(), Times(parcel_reminder=None, parcel_end=None, transit=None),
                                   Times(parcel_end=None, transit=None)])  # fmt: skip
async def test_goods_that_do_not_come_for_what_went_out_are_looked_for_by_the_team(
    till_in_memory: Shop, times: Times, says_sent: bool
) -> None:
    shop = till_in_memory
    await shop.policy(Policy(pay_when=PayWhen.INSPECTED, instant_below=(Money(999_999, "ILS", 2),), times=times))
    request = await shop.submit(Choice((ChoiceLine(SHIRT, 1, "too_small"),), Resolution.REPLACEMENT))
    await shop.work()
    if says_sent:
        request = await shop.move(request, "ship", by=Who.SHOPPER)
    assert not moves.goods_are_late(await shop.request(request))
    for _look in range(2):
        await shop.hurry("wake_return")
        await shop.work("wake_return")
    late = await shop.request(request)
    assert moves.goods_are_late(late)
    assert late.waiting_since is not None
    found = await shop.move(late, "receive")
    assert not moves.goods_are_late(found)


async def test_what_the_shop_lets_stand_for_ever_stands_where_nothing_went_out(till_in_memory: Shop) -> None:
    shop = till_in_memory
    await shop.policy(Policy(times=Times(parcel_end=None)))
    request = await shop.submit()
    for _look in range(2):
        await shop.hurry("wake_return")
        await shop.work("wake_return")
    assert (await shop.request(request)).waiting_since is None
    paid = await shop.move(request, "pay")
    await shop.work()
    assert (paid.waiting_since, shop.desk.moved) == (None, 5_000)
    await shop.hurry("wake_return")
    await shop.work("wake_return")
    assert moves.goods_are_late(await shop.request(request)), "money went back before the goods came"


async def test_what_a_person_had_to_look_at_waits_for_the_goods(till_in_memory: Shop) -> None:
    shop = till_in_memory
    shop.desk.order = replace(shop.desk.order, signs=(Sign.RISK,))
    rules = Policy(pay_when=PayWhen.INSPECTED, instant_below=(Money(999_999, "ILS", 2),))
    wanted = Choice((ChoiceLine(SHIRT, 1, "too_small"),), Resolution.REPLACEMENT)
    for signs, sent in (((Sign.RISK,), False), ((), True)):
        await shop.policy(replace(rules, signs=signs))
        request = await shop.submit(wanted)
        if signs:
            await shop.move(request, "approve")
        await shop.work()
        assert ((await shop.request(request)).sent_at is not None) is sent
    await shop.policy(replace(rules, automatic=False))
    by_hand = await shop.submit(replace(wanted, lines=(ChoiceLine(MUG, 1, "other"),)))
    await shop.move(by_hand, "approve")
    await shop.work()
    assert (await shop.request(by_hand)).sent_at is None, "the shop agrees to nothing by itself"
    await shop.move(by_hand, "cancel")
    await shop.policy(rules)
    unproven = await shop.submit(replace(wanted, lines=(ChoiceLine(MUG, 1, "other"),)), verified=False)
    assert unproven.pays == PayWhen.INSPECTED


async def test_what_need_not_come_back_is_paid_all_the_same(till: Shop, counter: Counter) -> None:
    line = (await counter.lines())[0]
    above = replace(line.paid, amount=line.paid.amount * 10)
    await till.policy(replace(AT_ONCE, pay_when=PayWhen.INSPECTED, keep_below=(above,)))
    request = await settled(till, want((line.external_id, 1)))
    assert (State(request.state), request.keep) == (State.PAID, True)
    assert sum(await counter.moved()) == request.cash == request.paid > 0


@pytest.mark.parametrize("counter", ["woo"], indirect=True)
async def test_an_order_whose_answer_got_lost_is_made_once(till: Shop, counter: Counter) -> None:
    await till.policy(AT_ONCE)
    line = (await counter.lines())[0]
    counter.wire.on, counter.wire.lose = "POST /wp-json/wc/v3/orders {", 1
    request = await till.submit(Choice((ChoiceLine(line.external_id, 1, "changed_mind"),), Resolution.REPLACEMENT))
    for _round in range(6):
        await till.work("carry_return")
        await till.hurry()
    assert (await till.request(request)).sent_at is not None
    made = [one for one in await rest(counter.sim, "orders?per_page=100") if one["customer_note"] == request.number]
    assert len(made) == 1


async def test_a_return_that_was_asked_for_is_changed_at_the_store_too(till: Shop, counter: Counter) -> None:
    await till.policy(replace(AT_ONCE, pay_when=PayWhen.RECEIVED))
    first, second = (await counter.lines())[:2]
    request = await till.submit(want((second.external_id, 3)))
    await till.work("carry_return", "tell_return")
    number, link = request.number, request.public_id
    choice = want((first.external_id, 1), (second.external_id, 2))
    decision = await requests.change_decision(till.app, till.workspace, request.id, choice)
    assert decision.allowed, decision.refused
    await requests.change(till.app, till.workspace, request.id, choice, decision_digest=requests.digest(decision))
    for _round in range(3):
        await till.work("carry_return", "tell_return", "follow_store")
    found = await till.request(request)
    assert {step.state for step in await till.steps(request)} == {steps.DONE}
    assert (found.number, found.public_id, State(found.state)) == (number, link, State.APPROVED)
    assert [line.returnable for line in await counter.lines()] == [0, 1]
    async with till.app.db.transaction(till.workspace) as tx:
        assert [one.id for one in await records.of_order(tx, till.order_id)] == [request.id], "no stranger in the queue"
    await till.move(found, "ship", by=Who.SHOPPER)
    await till.move(found, "receive")
    for _round in range(3):
        await till.work("carry_return")
    found = await till.request(request)
    assert sum(await counter.moved()) == found.cash == found.paid
    with pytest.raises(Conflict):
        await requests.change_decision(till.app, till.workspace, request.id, choice)


# The same in a store in memory


async def _change(shop: Shop, request: ReturnRequest, choice: Choice) -> ReturnRequest:
    decision = await requests.change_decision(shop.app, shop.workspace, request.id, choice)
    return await requests.change(
        shop.app, shop.workspace, request.id, choice, decision_digest=requests.digest(decision)
    )


@pytest.fixture
async def till_in_memory(app: Any, workspace: Any) -> Shop:
    async with app.db.transaction(workspace) as tx:
        store = Store(
            id=new_id(), platform="shopify", external_id=f"{uuid4().hex}.myshopify.com",
            public_key=f"st_{uuid4().hex[:22]}", name="Dukkan", url="https://dukkan.example", timezone="Asia/Riyadh",
        )  # fmt: skip
        agent = Agent(id=new_id(), name="Maya", email=f"{uuid4().hex}@shop.example", role=Role.OWNER)
        tx.add(store)
        tx.add(agent)
    return await open_shop(app, workspace, store, agent)


async def test_what_the_store_never_heard_of_is_changed_here_alone(till_in_memory: Shop) -> None:
    shop = till_in_memory
    request = await shop.submit(want((SHIRT, 2)))
    await _change(shop, request, want((MUG, 1)))
    await shop.work()
    assert shop.desk.told() == ["OpenReturn"]
    assert [part.line_external_id for _key, action in shop.desk.heard for part in action.parts] == [MUG]
    assert (await shop.events(request))[:4] == ["requested", "approved", "changed", "approved"]


async def test_all_units_can_be_asked_for_again_and_no_more(till_in_memory: Shop) -> None:
    shop = till_in_memory
    await shop.policy(Policy(automatic=False))
    request = await shop.submit(want((SHIRT, 2)))
    assert (await requests.change_decision(shop.app, shop.workspace, request.id, want((SHIRT, 2)))).allowed
    refused = await requests.change_decision(shop.app, shop.workspace, request.id, want((SHIRT, 3)))
    assert [one.code for one in refused.refused] == ["quantity"]


async def test_who_changes_a_return_before_its_yes_was_told_is_told_once(till_in_memory: Shop) -> None:
    """The worker was busy: both agreements wait, and they would say the same of the return as it is now."""
    await till_in_memory.policy(replace(AT_ONCE, pay_when=PayWhen.RECEIVED))
    request = await till_in_memory.submit()
    await _change(till_in_memory, request, want((MUG, 1)))
    await till_in_memory.work("tell_return")
    (told,) = await till_in_memory.said(request)
    assert "is approved" in told


async def test_who_changes_a_return_after_its_yes_is_told_anew(till_in_memory: Shop) -> None:
    await till_in_memory.policy(replace(AT_ONCE, pay_when=PayWhen.RECEIVED))
    request = await till_in_memory.submit()
    await till_in_memory.work("tell_return")
    await _change(till_in_memory, request, want((MUG, 1)))
    await till_in_memory.work("tell_return")
    assert ["is approved" in told for told in await till_in_memory.said(request)] == [True, True]


async def test_the_second_of_two_changes_sees_the_first(till_in_memory: Shop) -> None:
    shop = till_in_memory
    request = await shop.submit(want((SHIRT, 2)))
    decision = await requests.change_decision(shop.app, shop.workspace, request.id, want((SHIRT, 1)))
    with pytest.raises(Conflict):
        await requests.change(shop.app, shop.workspace, request.id, want((MUG, 1)),
                              decision_digest=requests.digest(decision))  # fmt: skip
    await shop.move(request, "ship", by=Who.SHOPPER)
    with pytest.raises(Conflict):
        await _change(shop, request, want((SHIRT, 1)))


async def test_goods_of_another_return_are_not_promised_by_a_change_that_asked_the_store_before(
    till_in_memory: Shop,
) -> None:
    shop = till_in_memory
    request = await shop.submit(want((MUG, 1)))
    decision = await requests.change_decision(shop.app, shop.workspace, request.id, want((SHIRT, 2)))
    slow, before, told = shop.desk.returnable, shop.desk.order, []

    async def returnable(*asked: Any) -> Any:
        answer = await slow(*asked)
        if not told:
            told.append(answer)
            await shop.submit(want((SHIRT, 2)))
            await shop.work()
            shirt, mug = before.lines
            shop.desk.order = replace(before, lines=(replace(shirt, returnable=0), mug))
        return answer

    shop.desk.returnable = returnable
    with pytest.raises(AhlanError) as refused:
        await requests.change(
            shop.app, shop.workspace, request.id, want((SHIRT, 2)), decision_digest=requests.digest(decision)
        )
    assert refused.value.code == "return_refused"


async def test_an_exchange_that_a_person_decides_reaches_the_store_once_it_is_agreed(till_in_memory: Shop) -> None:
    shop = till_in_memory
    await shop.policy(Policy(automatic=False))
    request = await shop.submit(Choice((ChoiceLine(SHIRT, 1, "too_small"),), Resolution.REPLACEMENT))
    await shop.work()
    assert shop.desk.told() == []
    await shop.move(request, "approve")
    await shop.work()
    assert [type(action).__name__ for _key, action in shop.desk.heard] == ["OpenReturn"]
    assert shop.desk.heard[0][1].approved
    other = await shop.submit(Choice((ChoiceLine(MUG, 1, "too_small"),), Resolution.REPLACEMENT))
    await shop.move(other, "decline", why="too_late")
    await shop.work()
    assert len(shop.desk.heard) == 1, "of what was never agreed the store hears nothing"


async def test_a_shop_may_keep_exchanges_to_the_same_product(till_in_memory: Shop) -> None:
    shop = till_in_memory
    only = Terms(days={Resolution.EXCHANGE: 30})
    for policy, code in (
        (Policy(exchange_any=False), "other_currency"), (Policy(terms=only), "other_currency"),
    ):  # fmt: skip
        await shop.policy(policy)
        choice = Choice((ChoiceLine(SHIRT, 1, "too_small"),), Resolution.EXCHANGE, (ExchangePart("nothing", 1),))
        decision = await requests.decide(shop.app, shop.workspace, shop.order_id, choice)
        assert [one.code for one in decision.refused] == [code]
        with pytest.raises(AhlanError):
            await requests.submit(
                shop.app, shop.workspace, shop.order_id, choice, client_id=uuid4(), decision_digest="x", language="en",
                verified=True,
            )  # fmt: skip
    assert moves.ALL
