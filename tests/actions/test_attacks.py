"""What somebody with a session tries at orders: other people's rights, other amounts, other rows, broken fields."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from plugin import stores
from plugin.crm import actions
from plugin.crm.actions import PREPARED, UNKNOWN
from plugin.kernel.errors import AhlanError, Conflict, NotFound
from plugin.platform import Cancel, Discount, Refund, RefundLine
from plugin.team import Permission, Role
from tests.actions.conftest import Till
from tests.actions.test_panel import window

WHOLE = Refund(whole=True, shipping=True)


async def _prepared(till: Till) -> int:
    async with till.app.db.transaction(till.workspace) as tx:
        return int(
            await tx.scalar(text("SELECT count(*) FROM order_actions WHERE workspace_id = :w"), {"w": till.workspace})
        )


@pytest.mark.parametrize("line", ["abc", "1 OR 1", "-1", "٣", "9" * 60, "\x00", "1e3", "../../customers/1", "gid://x"])
async def test_a_line_that_is_none_is_refused_in_words(till: Till, line: str) -> None:
    desk = await window(till, till.agent)
    answer = await desk.post(f"{desk.order}/refund", **{f"line:{line}": "1", "left:1": "2"})
    assert answer.status_code < 500
    assert "order-actions/" not in answer.text, "nothing that could be confirmed"
    assert await till.refunds() == []


@pytest.mark.parametrize("value", ["9" * 40, "999999999999999", "1e14", "NaN", "-5", "Infinity", "١٠", "0.001", "\x00"])
@pytest.mark.parametrize("unit", ["amount", "percent"])
async def test_a_discount_that_is_none_is_refused_in_words(till: Till, unit: str, value: str) -> None:
    desk = await window(till, till.agent)
    answer = await desk.post(f"{desk.order}/actions/discount", unit=unit, value=value, days="99999999999")
    assert answer.status_code < 500


@pytest.mark.parametrize("kind", ["note", "tags", "address", "cancel", "duplicate"])
async def test_letters_that_nobody_types_break_nothing(till: Till, kind: str) -> None:
    desk = await window(till, till.agent)
    odd = "a\x00b\u202e\ud7ff\x1b<script>"
    answer = await desk.post(
        f"{desk.order}/actions/{kind}", text=odd, tags=odd, add=odd, line1=odd, city=odd, country="IL", note=odd,
        reason=odd,
    )  # fmt: skip
    assert answer.status_code < 500
    assert "<script>" not in answer.text


async def test_who_may_not_give_money_back_finds_no_way_round(till: Till) -> None:
    agent = await till.person(Role.AGENT)
    desk = await window(till, agent)
    for path, form in (
        ("refund", {"shipping": "1"}),
        ("actions/cancel", {"refund": "1"}),
        ("actions/duplicate", {"free": "1"}),
        ("actions/discount", {"unit": "percent", "value": "1"}),
    ):
        answer = await desk.post(f"{desk.order}/{path}", **form)
        assert answer.status_code == 403, path
    assert (await desk.get(f"{desk.order}/refund")).status_code == 403
    assert (await desk.post(f"{desk.order}/actions/refund", shipping="1")).status_code == 404
    assert await _prepared(till) == 0
    row = await till.prepare(WHOLE)
    assert (await desk.post(f"order-actions/{row.id}/confirm", amount=str(row.amount))).status_code == 404
    assert (await desk.get(f"order-actions/{row.id}")).status_code == 404
    assert (await till.row(row)).state == PREPARED


async def test_whoever_only_notes_meets_nothing_but_refusals(till: Till) -> None:
    row = await till.prepare(WHOLE)
    desk = await window(till, await till.person(Role.LIGHT))
    for path in (f"{desk.order}/actions", f"{desk.order}/actions/note", f"order-actions/{row.id}"):
        assert (await desk.get(path)).status_code == 403, path
    for path in (f"{desk.order}/actions/note", f"{desk.order}/link", f"order-actions/{row.id}/again",
                 f"order-actions/{row.id}/confirm", f"order-actions/{row.id}/not-done",
                 f"order-actions/{row.id}/was-done"):  # fmt: skip
        assert (await desk.post(path, text="x", amount=str(row.amount))).status_code == 403, path


async def test_a_limit_in_one_currency_opens_no_other(till: Till) -> None:
    order = await till.ours()
    rich = {"USD": 10**9, "JPY": 10**9, "KWD": 10**9}
    rich.pop(order.currency, None)
    agent = await till.person(Role.AGENT, rights=[Permission.REFUND], refund_limits=rich)
    with pytest.raises(AhlanError) as refused:
        await till.prepare(WHOLE, by=agent)
    assert refused.value.code == "over_limit"


async def test_a_limit_ends_what_discounts_and_refunds_give_together(till: Till) -> None:
    order = await till.ours()
    half = order.total // 2
    agent = await till.person(Role.AGENT, rights=[Permission.REFUND], refund_limits={order.currency: half})
    await till.do(Discount(actions.new_code(), percent=40), by=agent)
    line = next(line for line in (await till.quote(WHOLE)).lines if line.left == 2)
    for action in (
        Discount(actions.new_code(), percent=20),
        Cancel(refund=True),
        WHOLE,
        Refund(lines=(RefundLine(line.external_id, 2),)),
    ):
        quote = await till.quote(action)
        counted = actions.worth(action, quote, order)
        if counted and counted.amount <= half - -(-order.total * 40 // 100):
            continue
        with pytest.raises(AhlanError) as refused:
            await till.prepare(action, by=agent)
        assert refused.value.code == "over_limit"


async def test_nothing_is_confirmed_for_a_store_that_is_gone_or_on_its_way(till: Till) -> None:
    for change, refused in (("status = 'uninstalled'", Conflict), ("moving_since = now()", stores.Moving)):
        row = await till.prepare(WHOLE)
        async with till.app.db.transaction(till.workspace) as tx:
            await tx.execute(
                text(f"UPDATE stores SET {change} WHERE workspace_id = :w AND id = :s"),
                {"w": till.workspace, "s": row.store_id},
            )
        with pytest.raises(refused):
            await till.confirm(row)
        assert (await till.row(row)).state == PREPARED
        async with till.app.db.transaction(till.workspace) as tx:
            await tx.execute(
                text("UPDATE stores SET status = 'connected', moving_since = NULL WHERE workspace_id = :w AND id = :s"),
                {"w": till.workspace, "s": row.store_id},
            )
    assert till.wire.writes == []


async def test_nothing_is_confirmed_for_an_order_that_is_gone(till: Till) -> None:
    row = await till.prepare(WHOLE)
    async with till.app.db.transaction(till.workspace) as tx:
        await tx.execute(
            text("UPDATE orders SET deleted_at = now() WHERE workspace_id = :w AND id = :o"),
            {"w": till.workspace, "o": row.order_id},
        )
    with pytest.raises(NotFound):
        await till.confirm(row)
    assert till.wire.writes == []


async def test_money_is_not_asked_for_again_when_the_platform_may_have_forgotten_our_key(till: Till) -> None:
    """Looked at again a day later: the same request would be a new one, and pay a second time."""
    row = await till.confirm(await till.prepare(WHOLE))
    async with till.app.db.transaction(till.workspace) as tx:
        await tx.execute(
            text("UPDATE order_actions SET attempts = 1 WHERE workspace_id = :w AND id = :id"),
            {"w": till.workspace, "id": row.id},
        )
    await till.age(row, 24 * 60)
    await till.work()
    async with till.app.db.transaction(till.workspace) as tx:
        await actions.look_again(tx, row.id)
    await till.work()
    assert (await till.row(row)).state == UNKNOWN
    assert await till.refunds() == []
    assert till.wire.writes == []
