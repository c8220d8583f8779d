"""Money goes back once, whatever is lost, killed, clicked twice or done by two people, on both platforms."""

from __future__ import annotations

import asyncio
import contextlib
from decimal import Decimal

import pytest
from sqlalchemy import text

from plugin.crm import actions
from plugin.crm.actions import DONE, FAILED, PREPARED, SENT, UNKNOWN
from plugin.kernel.errors import Conflict, Forbidden, NotFound
from plugin.kernel.jobs import TaskError
from plugin.platform import Cancel, Refund, RefundLine
from plugin.team import Permission, Role
from tests.actions.conftest import Killed, Till

WHOLE = Refund(whole=True, shipping=True, restock=True, reason="broken")


async def total(till: Till) -> Decimal:
    order = await till.ours()
    return Decimal(order.total).scaleb(-order.exponent)


async def given(till: Till) -> Decimal:
    return sum((Decimal(one) for one in await till.refunds()), Decimal(0))


async def test_a_whole_refund_gives_everything_back_and_the_crm_shows_it(till: Till) -> None:
    row = await till.do(WHOLE)
    assert (row.state, row.said, row.attempts) == (DONE, "", 1)
    assert await given(till) == await total(till)
    order = await till.ours()
    assert (order.payment_status, order.refunded) == ("refunded", order.total)
    (event,) = await till.events("order.acted")
    assert (event["action"], event["by"], event["amount"]) == ("refund", "Maya", order.total)
    assert await till.events("order.refunded"), "the store's own news of it"


async def test_some_of_a_line_is_refunded_and_the_rest_stays(till: Till) -> None:
    first = await till.quote(WHOLE)
    line = next(line for line in first.lines if line.left == 2)
    assert line.amount
    row = await till.do(Refund(lines=(RefundLine(line.external_id, 1),)))
    assert row.state == DONE
    assert await given(till) * 2 == line.amount.decimal()
    assert (await till.ours()).payment_status == "partially_refunded"
    left = await till.quote(WHOLE)
    assert next(one.left for one in left.lines if one.external_id == line.external_id) == 1
    assert left.amount
    assert left.amount.decimal() == await total(till) - await given(till)


async def test_delivery_goes_back_alone_and_only_once(till: Till) -> None:
    quote = await till.quote(Refund(shipping=True))
    assert quote.shipping
    assert quote.shipping.amount > 0
    assert quote.amount == quote.shipping
    assert (await till.do(Refund(shipping=True))).state == DONE
    again = await till.quote(Refund(shipping=True))
    assert again.refusal == "nothing_left"


async def test_looking_changes_nothing(till: Till) -> None:
    before = await till.store_order()
    row = await till.prepare(WHOLE)
    assert (row.state, row.moves) == (PREPARED, True)
    assert await till.refunds() == []
    assert (await till.store_order())["updated_at" if till.kind == "shopify" else "date_modified_gmt"] == before[
        "updated_at" if till.kind == "shopify" else "date_modified_gmt"
    ]
    assert till.wire.writes == []


async def test_restock_puts_goods_back_and_its_absence_does_not(till: Till) -> None:
    (row,) = [await till.do(Refund(whole=True, shipping=True, restock=False))]
    assert row.state == DONE
    said = till.wire.writes[-1]
    assert ('"restockType":"NO_RESTOCK"' in said) or ('"api_restock":false' in said)


# Lost, killed, clicked twice


async def test_a_lost_answer_is_found_again_and_nothing_goes_twice(till: Till) -> None:
    till.wire.lose = 1
    row = await till.do(WHOLE)
    assert row.state == SENT, "it may have happened: nobody says so yet"
    assert len(await till.refunds()) == 1
    await till.hurry()
    await till.work()
    row = await till.row(row)
    assert (row.state, row.attempts) == (DONE, 2)
    assert len(await till.refunds()) == 1
    assert await given(till) == await total(till)


async def test_a_process_killed_between_the_call_and_the_commit_refunds_once(till: Till) -> None:
    row = await till.confirm(await till.prepare(WHOLE))
    till.wire.kill = 1
    with pytest.raises(Killed):
        await till.work()
    assert (await till.row(row)).state == SENT
    assert len(await till.refunds()) == 1
    await till.hurry()
    await till.work()
    assert (await till.row(row)).state == DONE
    assert len(await till.refunds()) == 1


async def test_a_process_killed_before_the_call_never_lets_it_out_twice(till: Till) -> None:
    """The attempt was counted, the request never left. Shopify repeats by its key; elsewhere a person is asked."""
    row = await till.confirm(await till.prepare(WHOLE))
    async with till.app.db.transaction(till.workspace) as tx:
        await tx.execute(
            text("UPDATE order_actions SET attempts = 1 WHERE workspace_id = :w AND id = :id"),
            {"w": till.workspace, "id": row.id},
        )
    await till.age(row, 5)
    await till.work()
    row = await till.row(row)
    if till.kind == "shopify":
        assert (row.state, len(await till.refunds())) == (DONE, 1)
        return
    assert (row.state, row.code, await till.refunds()) == (UNKNOWN, "no_trace", [])
    with pytest.raises(Conflict):
        await till.confirm(await till.prepare(WHOLE))
    async with till.app.db.transaction(till.workspace) as tx:
        await actions.not_done(tx, row.id, by=till.agent)
    assert (await till.do(WHOLE)).state == DONE
    assert len(await till.refunds()) == 1


async def test_a_request_that_never_arrived_is_sent_again(till: Till) -> None:
    till.wire.cut = 9
    row = await till.confirm(await till.prepare(WHOLE))
    await till.work()
    row = await till.row(row)
    assert (row.state, row.attempts) == (SENT, 0)
    till.wire.cut = 0
    await till.hurry()
    await till.work()
    assert (await till.row(row)).state == DONE
    assert len(await till.refunds()) == 1


async def test_a_store_that_stays_away_changes_nothing_and_does_not_act_hours_later(till: Till) -> None:
    row = await till.confirm(await till.prepare(WHOLE))
    till.wire.cut = 99
    await till.age(row, 10)
    await till.work()
    row = await till.row(row)
    assert row.state == FAILED
    till.wire.cut = 0
    await till.hurry()
    await till.work()
    assert await till.refunds() == []
    assert len(await till.events("order.act_failed")) == 1


async def test_a_double_click_refunds_once(till: Till) -> None:
    row = await till.prepare(WHOLE)
    first, second = await till.confirm(row), await till.confirm(row)
    assert first.id == second.id
    await till.work()
    late = await till.confirm(row)
    await till.work()
    assert late.state == DONE
    assert len(await till.refunds()) == 1


async def test_two_agents_at_once_refund_once(till: Till) -> None:
    noa = await till.person(Role.OWNER)
    mine, hers = await till.prepare(WHOLE), await till.prepare(WHOLE, by=noa)
    ends = await asyncio.gather(
        till.confirm(mine), till.confirm(hers, by=noa), return_exceptions=True
    )  # fmt: skip
    assert sorted(type(end).__name__ for end in ends) == ["ActionRow", "Conflict"]
    await till.work()
    assert len(await till.refunds()) == 1


async def test_what_somebody_else_refunded_meanwhile_is_noticed_before_and_after_the_news(till: Till) -> None:
    line = (await till.quote(WHOLE)).lines[0]
    one = Refund(lines=(RefundLine(line.external_id, 1),))
    noa = await till.person(Role.OWNER)
    stale, fresh = await till.prepare(one), await till.prepare(one, by=noa)
    await till.confirm(fresh, by=noa)
    await till.work()
    with pytest.raises(Conflict):
        await till.confirm(stale)
    assert len(await till.refunds()) == 1


async def test_only_the_amount_that_was_shown_is_confirmed(till: Till) -> None:
    row = await till.prepare(WHOLE)
    for amount in ("", "1", str((row.amount or 0) + 1), "all"):
        with pytest.raises(Conflict):
            await till.confirm(row, amount=amount)
    assert (await till.row(row)).state == PREPARED
    await till.age(row, 60)
    with pytest.raises(Conflict, match="too long ago"):
        await till.confirm(row)


async def test_what_was_shown_to_one_agent_is_confirmed_by_nobody_else(till: Till) -> None:
    noa = await till.person(Role.OWNER)
    with pytest.raises(NotFound):
        await till.confirm(await till.prepare(WHOLE), by=noa)


# Rights


async def test_light_agents_and_agents_without_the_right_give_nothing_back(till: Till) -> None:
    light, agent = await till.person(Role.LIGHT), await till.person(Role.AGENT)
    for who in (light, agent):
        with pytest.raises(Forbidden):
            await till.prepare(WHOLE, by=who)


async def test_the_limit_counts_everything_that_one_agent_gave_back_on_the_order(till: Till) -> None:
    quote = await till.quote(WHOLE)
    assert quote.amount
    line = next(line for line in quote.lines if line.left == 2)
    assert line.amount
    each = line.amount.amount // 2
    limits = {quote.amount.currency: each}
    agent = await till.person(Role.AGENT, rights=[Permission.REFUND.value], refund_limits=limits)
    one = Refund(lines=(RefundLine(line.external_id, 1),))
    assert (await till.do(one, by=agent)).state == DONE
    with pytest.raises(Forbidden, match="more than you may") as refused:
        await till.do(one, by=agent)
    assert refused.value.code == "over_limit"
    assert len(await till.refunds()) == 1
    account = await till.person(Role.ADMIN, rights=[Permission.REFUND.value], refund_limits=limits)
    async with till.app.db.transaction(till.workspace) as tx:
        await actions.inherit(tx, agent.id, account.id)
    with pytest.raises(Forbidden, match="more than you may"):
        await till.do(one, by=account)


async def test_a_right_that_was_taken_away_between_looking_and_confirming_is_gone(till: Till) -> None:
    quote = await till.quote(WHOLE)
    assert quote.amount
    agent = await till.person(Role.AGENT, rights=[Permission.REFUND.value], refund_unlimited=True)
    row = await till.prepare(WHOLE, by=agent)
    agent.rights = []
    with pytest.raises(Forbidden):
        await till.confirm(row, by=agent)
    assert await till.refunds() == []


# The platform says no


async def test_the_platforms_own_words_are_kept(till: Till) -> None:
    quote = await till.quote(WHOLE)
    if till.kind == "shopify":
        line = dict(quote.plan["refundLineItems"][0], quantity=99)
        quote.plan["refundLineItems"] = [line]
        words = "Quantity cannot refund more items than were purchased"
    else:
        quote.plan["amount"] = "99999.000"
        words = "Invalid refund amount."
    row = await till.confirm(await till.prepare(WHOLE, quote=quote))
    await till.work()
    row = await till.row(row)
    assert row.state == FAILED
    assert words in row.said
    assert await till.refunds() == []
    assert not await till.events("order.acted")


async def test_what_was_done_is_in_the_audit_log(till: Till) -> None:
    await till.do(WHOLE)
    async with till.app.db.transaction(till.workspace) as tx:
        (entry,) = (
            await tx.execute(
                text("SELECT agent_id, changes FROM audit_log WHERE workspace_id = :w AND kind = 'orders.refund'"),
                {"w": till.workspace},
            )
        ).all()
    assert entry.agent_id == till.agent.id
    assert entry.changes["state"] == [SENT, DONE]
    assert entry.changes["amount"][1].startswith(f"{await total(till)} ")


# Cancelling


async def test_cancelling_gives_the_money_back_and_is_done_once(till: Till) -> None:
    till.wire.lose = 1
    row = await till.do(Cancel(note="asked for it"))
    for _round in range(3):
        await till.hurry()
        await till.work()
    row = await till.row(row)
    assert row.state == DONE, (row.said, row.code)
    assert await given(till) == await total(till)
    assert len(await till.refunds()) == 1
    order = await till.ours()
    assert order.cancelled_at is not None
    assert (await till.quote(Cancel())).refusal == "cancelled_already"


async def test_an_order_is_cancelled_without_money_too(till: Till) -> None:
    row = await till.do(Cancel(refund=False))
    assert (row.state, row.amount) == (DONE, None)
    assert await till.refunds() == []
    assert (await till.ours()).cancelled_at is not None


# WooCommerce's gateway


@pytest.mark.parametrize(
    ("mode", "money"), [("die_before", 0), ("die_during", 1), ("timeout", 1), ("die_after", 1), ("refuse", 0)]
)
async def test_a_refund_that_the_gateway_says_nothing_about_waits_for_a_person(
    woo_till: Till, mode: str, money: int
) -> None:
    """Written down by the store is not paid: it is neither done nor sent again, and a person says what they found."""
    till = woo_till
    await till.sim.sim("gateway", {"mode": mode})
    row = await till.confirm(await till.prepare(WHOLE))
    for _round in range(3):
        with contextlib.suppress(TaskError):
            await till.work()
        await till.hurry()
    await till.age(row, 5)
    await till.work()
    row = await till.row(row)
    ledger = (await till.sim.sim("ledger", method="GET"))["ledger"]
    assert len(ledger) == money, "asked once, whatever came of it"
    if mode == "refuse":
        assert (row.state, row.code) == (FAILED, "woocommerce_rest_cannot_create_order_refund")
        return
    if mode == "die_after":
        assert row.state == DONE, "the gateway's word was written down before the answer was lost"
        return
    assert row.state == UNKNOWN
    with pytest.raises(Conflict):
        await till.confirm(await till.prepare(Refund(shipping=True)))
    async with till.app.db.transaction(till.workspace) as tx:
        await (actions.was_done if money else actions.not_done)(tx, row.id, by=till.agent)
    row = await till.row(row)
    assert (row.state, row.code) == ((DONE, "was_done") if money else (FAILED, "not_done"))
    await till.work()
    assert len((await till.sim.sim("ledger", method="GET"))["ledger"]) == money
    if money:
        assert row.done.amount == row.money
        agent = await till.person(Role.AGENT)
        async with till.app.db.transaction(till.workspace) as tx:
            assert await actions.given(tx, till.order_id, till.agent.id, row.currency) == row.worth
            with pytest.raises(Forbidden):
                await actions.was_done(tx, row.id, by=agent)
