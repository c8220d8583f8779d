"""An agent changes the goods of an order in the panel, on both platforms: seen first, done once, within their limit."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html import unescape

import pytest
from sqlalchemy import select

from plugin.crm import orders, swaps
from plugin.crm.actions import DONE, PREPARED, ActionRow
from plugin.crm.products import Product, Variant
from plugin.kernel.db import new_id
from plugin.platform import Quote
from plugin.team import Role
from tests.actions.conftest import Till
from tests.actions.test_changes import count_of, fewer, given_back, more
from tests.actions.test_panel import Window, choices, confirmed, window


@pytest.fixture
async def desk(till: Till) -> Window:
    return await window(till, till.agent)


def fields(html: str) -> dict[str, str]:
    """The counts of the form, as they stand in it."""
    form = html.split('class="act-fields"')[1].split("</form>")[0]
    found = re.findall(r'name="(count:[^"]*)"[^>]*value="(\d+)"', form)
    return {unescape(name): value for name, value in found}


async def rows(till: Till) -> list[ActionRow]:
    async with till.app.db.transaction(till.workspace) as tx:
        return list(await tx.scalars(select(ActionRow).where(ActionRow.kind == "change")))


async def stocked(till: Till) -> None:
    """The shop's goods as we know them: what is in the order can be had."""
    order = await till.ours()
    async with till.app.db.transaction(till.workspace) as tx:
        view = await orders.get(tx, order.id)
        assert view is not None
        for line in view.lines:
            product = Product(id=new_id(), store_id=order.store_id, external_id=line.product_external_id,
                              version=datetime.now(UTC), title=line.title, status="active")  # fmt: skip
            tx.add(product)
            await tx.flush()
            tx.add(Variant(id=new_id(), store_id=order.store_id, external_id=swaps.own(line), version=datetime.now(UTC),
                           product_id=product.id, title=line.title, stock=50))  # fmt: skip


async def test_one_less_is_seen_confirmed_and_done_once(till: Till, desk: Window) -> None:
    assert "goods" in choices((await desk.get(f"{desk.order}/actions")).text)
    page = (await desk.get(f"{desk.order}/goods")).text
    assert "/confirm" not in page, "nothing is chosen yet"
    (wanted,) = (await fewer(till)).lines
    form = fields(page)
    assert form[f"count:{wanted.line_external_id}"] == "2"
    page = (await desk.post(f"{desk.order}/goods", **{**form, f"count:{wanted.line_external_id}": "1"})).text
    path, amount = confirmed(page)
    assert int(amount) > 0
    assert "Goes back to the customer" in page
    assert till.wire.writes == [], "looking changes nothing"
    (row,) = await rows(till)
    assert (row.state, row.agent_id) == (PREPARED, till.agent.id)
    # The last button twice.
    first, second = await desk.post(path, amount=amount), await desk.post(path, amount=amount)
    assert (first.status_code, second.status_code) == (200, 200)
    await till.work()
    (row,) = await rows(till)
    assert row.state == DONE
    assert row.money is not None
    assert await given_back(till) == row.money.decimal()
    assert await count_of(till, wanted.line_external_id) == 1
    (event,) = await till.events("order.acted")
    assert (event["action"], event["by"]) == ("change", till.agent.name)


async def test_what_costs_more_is_owed_and_no_money_moves(till: Till, desk: Window) -> None:
    await stocked(till)
    (wanted,) = (await more(till)).lines
    page = (await desk.post(f"{desk.order}/goods", **{f"count:{wanted.line_external_id}": "3"})).text
    path, amount = confirmed(page)
    assert amount == ""
    assert "The customer still pays" in page
    await desk.post(path, amount=amount)
    await till.work()
    (row,) = await rows(till)
    assert row.state == DONE
    assert await given_back(till) == 0
    assert await count_of(till, wanted.line_external_id) == 3


async def test_what_makes_no_sense_is_said_and_cannot_be_confirmed(till: Till, desk: Window) -> None:
    (wanted,) = (await fewer(till)).lines
    name = wanted.line_external_id
    count, kind = f"count:{name}", f"kind:{name}"
    for form in ({kind: "999999"}, {"count:999999": "1"}, {count: "-1"}, {count: "1000000"}, {count: "0.5"}):
        page = await desk.post(f"{desk.order}/goods", **form)
        assert page.status_code == 200
        assert "/confirm" not in page.text, form
        unread = "is no number that can be used here" in page.text
        assert unread is (form.get(count) is not None), form
    assert till.wire.writes == []


async def test_who_may_not_give_money_back_changes_no_goods(till: Till, desk: Window) -> None:
    agent = await window(till, await till.person(Role.AGENT))
    assert "goods" not in choices((await agent.get(f"{agent.order}/actions")).text)
    for asked in (agent.get, agent.post):
        assert (await asked(f"{agent.order}/goods")).status_code == 403
    (wanted,) = (await fewer(till)).lines
    page = (await desk.post(f"{desk.order}/goods", **{f"count:{wanted.line_external_id}": "1"})).text
    path, amount = confirmed(page)
    assert (await agent.post(path, amount=amount)).status_code in (403, 404), "what another looked at"


async def test_a_line_of_more_than_a_hundred_pieces_does_not_stand_in_the_way(till: Till, desk: Window) -> None:
    (wanted,) = (await fewer(till)).lines
    order = await till.ours()
    async with till.app.db.transaction(till.workspace) as tx:
        view = await orders.get(tx, order.id)
        assert view is not None
        other = next(line for line in view.lines if line.external_id != wanted.line_external_id)
        other.quantity, other.refunded_quantity = 150, 0
    page = (await desk.get(f"{desk.order}/goods")).text
    form = fields(page)
    assert form[f"count:{other.external_id}"] == "150"
    assert 'max="150"' in page
    page = (await desk.post(f"{desk.order}/goods", **{**form, f"count:{wanted.line_external_id}": "1"})).text
    assert "/confirm" in page


@pytest.mark.parametrize(("code", "what", "how"), [
    ("nothing_left", "Nothing would change.", "Choose another kind or count."),
    ("nothing_stays", "An order needs something in it.", "Cancel it instead."),
    ("one_by_one", "cannot be changed together", "Make one change of what costs less"),
    ("refunded_partly", "was refunded already", "make a new order"),
    ("not_editable", "The store does not let", "Look at the order in the store"),
    ("changed", "The order has changed meanwhile.", "look at the order again"),
    ("sent_already", "was sent already", "ask the carrier"),
    ("Words of the store", "Words of the store", ""),
])  # fmt: skip
async def test_why_goods_cannot_be_changed_is_said_to_the_team_with_what_helps(
    till: Till, desk: Window, monkeypatch: pytest.MonkeyPatch, code: str, what: str, how: str
) -> None:
    async def no(*_asked: object) -> Quote:
        return Quote(refusal=code)

    monkeypatch.setattr(type(till.app.platforms[till.kind]), "quote", no)
    (wanted,) = (await fewer(till)).lines
    page = (await desk.post(f"{desk.order}/goods", **{f"count:{wanted.line_external_id}": "1"})).text
    assert what in page
    assert how in page
    assert "the shop makes changes itself" not in page, "that is for shoppers"


async def test_who_is_mailed_is_asked_where_it_is_ours_to_say(till: Till, desk: Window) -> None:
    page = (await desk.get(f"{desk.order}/goods")).text
    assert ('type="checkbox" name="notify"' in page) is (till.kind == "shopify")
    assert ('type="hidden" name="notify"' in page) is (till.kind != "shopify")
