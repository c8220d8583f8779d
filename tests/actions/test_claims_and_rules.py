"""Beside the conversation: claims settled with one press. In the settings: what shoppers may do alone."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text

from integrations.shopify.redirect_queries import NAVIGATION
from integrations.shopify.simulator import oauth
from plugin.conversations.conversations import Conversation, Shopper
from plugin.crm import orders
from plugin.crm.actions import FAILED, ActionRow
from plugin.crm.visitors import Visitor
from plugin.kernel.db import new_id
from plugin.kernel.errors import AhlanError, Conflict
from plugin.returns import claims, self_service
from plugin.returns.claims import DECLINED, OPEN, SETTLED, Claim, OrderClaim, Wish
from plugin.returns.self_service import Allowance, Door, Rules
from plugin.stores import Store
from plugin.team import Permission, Role
from tests.actions.conftest import Till
from tests.actions.test_changes import line_of
from tests.actions.test_panel import Window, desk, window

__all__ = ["desk"]


async def claim(till: Till, kind: Claim = Claim.MISSING_ITEM, wish: Wish = Wish.REFUND, times: int = 1) -> OrderClaim:
    """A shopper says that one of two is wrong. `times`: how often the request arrives."""
    await tell(till, kind, wish, [uuid4()] * times)
    async with till.app.db.transaction(till.workspace) as tx:
        (found,) = (await tx.scalars(select(OrderClaim).where(OrderClaim.workspace_id == till.workspace))).all()
    return found


async def tell(till: Till, kind: Claim, wish: Wish, clients: Sequence[UUID]) -> None:
    """Requests that arrive one after the other from one browser, about one of two."""
    line = line_of(till, await till.store_order(), 2)
    async with till.app.db.transaction(till.workspace) as tx:
        visitor = Visitor(id=new_id(), store_id=till.connection.store_id, secret_hash=uuid4().bytes)
        tx.add(visitor)
        await tx.flush()
        shopper = Shopper(visitor.id, till.connection.store_id)
    for client in clients:
        async with till.app.db.transaction(till.workspace) as tx:
            store = await tx.get(Store, till.connection.store_id)
            view = await orders.get(tx, till.order_id)
            assert store is not None
            assert view is not None
            words = till.app.catalogues.translator("en")
            await claims.report(
                tx, shopper, client, store, view, kind, {line: 1}, "It was not in the box", [],
                words=words, catalogues=till.app.catalogues, wish=wish,
            )  # fmt: skip


async def stands(till: Till) -> OrderClaim:
    async with till.app.db.transaction(till.workspace) as tx:
        found = await tx.scalar(select(OrderClaim).where(OrderClaim.workspace_id == till.workspace))
    assert found is not None
    return found


def offered(html: str) -> dict[str, str]:
    """What each button of the card would do: the wish, and the amount it names."""
    return dict(re.findall(r'name="wish" value="(\w+)"><input type="hidden" name="amount" value="(\d*)"', html))


async def test_what_is_wrong_is_a_record_that_lies_beside_its_conversation(till: Till, desk: Window) -> None:
    made = await claim(till, times=2)
    assert (made.state, made.kind, made.wish) == (OPEN, "missing_item", "refund")
    assert list(made.lines.values()) == [1]
    assert made.conversation_id
    card = (await desk.get(f"conversations/{made.conversation_id}/claims")).text
    assert "An item is missing" in card
    assert set(offered(card)) == {"replacement", "refund"}
    assert int(offered(card)["refund"]) > 0
    async with till.app.db.transaction(till.workspace) as tx:
        kinds = await tx.execute(text("SELECT kind FROM events WHERE workspace_id = :w AND kind LIKE 'claim.%'"),
                                 {"w": till.workspace})  # fmt: skip
        assert [row.kind for row in kinds] == ["claim.made"]


async def test_one_press_gives_the_money_of_its_goods_back_once(till: Till, desk: Window) -> None:
    made = await claim(till)
    amount = offered((await desk.get(f"conversations/{made.conversation_id}/claims")).text)["refund"]
    ends = await asyncio.gather(
        *(desk.post(f"claims/{made.id}/settle", wish="refund", amount=amount) for _time in range(2))
    )
    assert sorted(one.status_code for one in ends) == [204, 409]
    await till.work()
    assert len(await till.refunds()) == 1
    settled = await stands(till)
    assert (settled.state, settled.agent_id) == (SETTLED, till.agent.id)
    card = (await desk.get(f"conversations/{made.conversation_id}/claims")).text
    assert "Settled" in card
    assert offered(card) == {}


async def test_no_more_is_claimed_than_was_bought_and_what_is_said_beyond_that_is_a_message(till: Till) -> None:
    await tell(till, Claim.MISSING_ITEM, Wish.REPLACEMENT, [uuid4(), uuid4(), uuid4()])
    async with till.app.db.transaction(till.workspace) as tx:
        made = (await tx.scalars(select(OrderClaim).where(OrderClaim.workspace_id == till.workspace))).all()
        said = await tx.scalar(
            text("SELECT count(*) FROM messages WHERE workspace_id = :w AND author = 'shopper'"), {"w": till.workspace}
        )
    assert [sum(one.lines.values()) for one in made] == [1, 1]
    assert said == 3


async def test_claims_are_shown_where_their_conversation_was_merged_into(till: Till, desk: Window) -> None:
    made = await claim(till)
    async with till.app.db.transaction(till.workspace) as tx:
        talk = await tx.get(Conversation, made.conversation_id)
        assert talk is not None
        other = Conversation(id=new_id(), store_id=talk.store_id, channel=talk.channel, visitor_id=talk.visitor_id)
        tx.add(other)
        await tx.flush()
        talk.merged_into = other.id
    assert "An item is missing" in (await desk.get(f"conversations/{other.id}/claims")).text


async def test_one_press_sends_the_goods_again_free(till: Till, desk: Window) -> None:
    made = await claim(till, wish=Wish.REPLACEMENT)
    amount = offered((await desk.get(f"conversations/{made.conversation_id}/claims")).text)["replacement"]
    assert (await desk.post(f"claims/{made.id}/settle", wish="replacement", amount=amount)).status_code == 204
    await till.work()
    assert await till.refunds() == []
    (event,) = await till.events("order.acted")
    assert event["action"] == "duplicate"
    assert (await stands(till)).state == SETTLED


async def test_only_what_was_shown_is_done_and_only_by_who_may(till: Till, desk: Window) -> None:
    made = await claim(till)
    assert (await desk.post(f"claims/{made.id}/settle", wish="refund", amount="1")).status_code == 409
    assert (await desk.post(f"claims/{made.id}/settle", wish="everything", amount="")).status_code == 404
    agent = await window(till, await till.person(Role.AGENT))
    assert (await agent.post(f"claims/{made.id}/settle", wish="refund", amount="1")).status_code == 403
    assert offered((await agent.get(f"conversations/{made.conversation_id}/claims")).text) == {}
    poor = await till.person(Role.ADMIN, rights=[Permission.REFUND.value], refund_limits={"ILS": 1, "JOD": 1})
    limited = await window(till, poor)
    amount = offered((await limited.get(f"conversations/{made.conversation_id}/claims")).text)["refund"]
    assert (await limited.post(f"claims/{made.id}/settle", wish="refund", amount=amount)).status_code == 403
    assert till.wire.writes == []
    assert (await stands(till)).state == OPEN


async def test_what_the_store_refuses_settles_nothing(till: Till, desk: Window) -> None:
    made = await claim(till)
    amount = offered((await desk.get(f"conversations/{made.conversation_id}/claims")).text)["refund"]
    await desk.post(f"claims/{made.id}/settle", wish="refund", amount=amount)
    till.wire.cut = 99
    await _old(till)
    await till.work()
    till.wire.cut = 0
    card = (await desk.get(f"conversations/{made.conversation_id}/claims")).text
    assert "The store refused it" in card
    again = offered(card)["refund"]
    assert (await desk.post(f"claims/{made.id}/settle", wish="refund", amount=again)).status_code == 204
    await till.work()
    assert len(await till.refunds()) == 1


async def _old(till: Till) -> None:
    async with till.app.db.transaction(till.workspace) as tx:
        await tx.execute(text("UPDATE order_actions SET sent_at = sent_at - interval '10 minutes' "
                              "WHERE workspace_id = :w"), {"w": till.workspace})  # fmt: skip


async def test_a_claim_is_declined_in_words(till: Till, desk: Window) -> None:
    made = await claim(till)
    assert (await desk.post(f"claims/{made.id}/decline", note=" ")).status_code == 400
    assert (await desk.post(f"claims/{made.id}/decline", note="It was in the box, on the photo")).status_code == 204
    assert (await stands(till)).state == DECLINED
    assert "on the photo" in (await desk.get(f"conversations/{made.conversation_id}/claims")).text
    async with till.app.db.transaction(till.workspace) as tx:
        with pytest.raises(Conflict):
            await claims.open_one(tx, made.id)
        with pytest.raises(Conflict):
            await claims.open_one(tx, UUID(int=1))


# The settings


async def rules_of(till: Till) -> Rules:
    async with till.app.db.transaction(till.workspace) as tx:
        return await self_service.rules_of(tx, till.connection.store_id)


async def test_a_merchant_says_what_shoppers_may_do_and_it_is_written_down(till: Till, desk: Window) -> None:
    path = f"settings/self-service/{till.connection.store_id}"
    assert await rules_of(till) == Rules(), "nothing that moves goods or money before somebody says so"
    async with till.app.db.transaction(till.workspace) as tx:
        store = await tx.get(Store, till.connection.store_id)
        assert store is not None
        store.currency = (await till.ours()).currency
    form = {
        "cancel-on": "on", "cancel-until": "minutes", "cancel-minutes": "٤٥", "cancel-paid": "on", "cancel-most": "250",
        "address-on": "on", "address-until": "packed", "address-paid": "on", "address-unpaid": "on",
        "change-until": "packed",
    }  # fmt: skip
    assert (await desk.post(path, **form)).status_code in (200, 204, 303)
    kept = await rules_of(till)
    exponent = 2 if till.kind == "shopify" else 3
    assert kept.cancel == Allowance(on=True, minutes=45, paid=True, unpaid=False, most=250 * 10**exponent)
    assert kept.address == Allowance(on=True, minutes=0)
    assert (kept.change.on, kept.again) == (False, False)
    shown = (await desk.get(path)).text
    assert 'value="45"' in shown
    async with till.app.db.transaction(till.workspace) as tx:
        await tx.execute(text("UPDATE agents SET locale = 'he' WHERE workspace_id = :w"), {"w": till.workspace})
    hebrew = (await desk.get(path)).text
    assert "Send it to another address" not in hebrew
    assert "שליחה לכתובת אחרת" in hebrew
    assert "A permission is missing" not in shown
    async with till.app.db.transaction(till.workspace) as tx:
        rows = await tx.execute(
            text("SELECT agent_id, changes FROM audit_log WHERE workspace_id = :w AND kind LIKE 'settings.order_%'"),
            {"w": till.workspace},
        )
        line = rows.one()
    assert line.agent_id == till.agent.id
    assert line.changes["cancel"][0] == "off"
    assert "minutes 45" in line.changes["cancel"][1]


@pytest.mark.parametrize(
    "wrong",
    [
        {"cancel-until": "minutes", "cancel-minutes": "0"}, {"cancel-until": "minutes", "cancel-minutes": "-5"},
        {"cancel-until": "minutes", "cancel-minutes": "9999999"}, {"cancel-most": "0"}, {"cancel-most": "much"},
    ],
)  # fmt: skip
@pytest.mark.parametrize("till", ["shopify"], indirect=True)
async def test_what_is_no_number_changes_nothing(till: Till, desk: Window, wrong: dict[str, str]) -> None:
    answer = await desk.post(f"settings/self-service/{till.connection.store_id}", **{"cancel-on": "on", **wrong})
    assert answer.status_code == 400
    assert await rules_of(till) == Rules()


@pytest.mark.parametrize("till", ["shopify"], indirect=True)
async def test_a_permission_that_is_missing_is_told_where_it_is_allowed(till: Till, desk: Window) -> None:
    path = f"settings/self-service/{till.connection.store_id}"
    await desk.post(path, **{"orders": "on", "change-on": "on", "change-until": "packed", "change-paid": "on"})
    async with till.app.db.transaction(till.workspace) as tx:
        store = await tx.get(Store, till.connection.store_id)
        assert store is not None
        store.scopes = [one for one in store.scopes if one != "write_order_edits"]
    assert "A permission is missing" in (await desk.get(path)).text
    agent = await window(till, await till.person(Role.AGENT))
    assert (await agent.get(path)).status_code == 403
    assert (await agent.post(path, again="on")).status_code == 403


async def test_claims_need_their_goods(till: Till) -> None:
    with pytest.raises(AhlanError):
        await claim(till, kind=Claim.DAMAGED)


async def test_open_claims_are_listed_counted_and_settled_from_there(till: Till, desk: Window) -> None:
    assert "No open claims" in (await desk.get("claims")).text
    made = await claim(till)
    page = (await desk.get("claims")).text
    assert "It was not in the box" in page
    assert re.search(r'href="[^"]*/claims"[^>]*>.*?<span class="count">1</span>', (await desk.get("returns")).text)
    card = (await desk.get(f"claims/{made.id}")).text
    amount = offered(card)["refund"]
    assert (await desk.post(f"claims/{made.id}/settle", wish="refund", amount=amount)).status_code == 204
    assert "No open claims" in (await desk.get("claims")).text
    assert "It was not in the box" in (await desk.get("claims?show=all")).text
    assert (await desk.get(f"claims/{uuid4()}")).status_code == 404
    async with till.app.db.transaction(till.workspace) as tx:
        held = await tx.get(OrderClaim, made.id)
        action = await tx.get(ActionRow, held.action_id) if held is not None and held.action_id else None
        assert action is not None
        action.state = FAILED
        await tx.flush()
        assert await claims.count_open(tx) == 1, "what the store refused is to be settled again"


async def test_a_merchant_keeps_orders_returns_or_claims_to_the_shop(till: Till, desk: Window) -> None:
    path = f"settings/self-service/{till.connection.store_id}"
    assert len(re.findall(r'name="(?:orders|returns|claims)" checked', (await desk.get(path)).text)) == 3
    await desk.post(path, orders="on", claims="on", again="on")
    assert (await rules_of(till)).doors == {Door.ORDERS, Door.CLAIMS}
    async with till.app.db.transaction(till.workspace) as tx:
        with pytest.raises(AhlanError):
            await self_service.open_door(tx, till.connection.store_id, Door.RETURNS)
        assert not Rules(orders=False, cancel=Allowance(on=True)).may(self_service.Doing.CANCEL).on


@pytest.mark.parametrize("till", ["shopify"], indirect=True)
async def test_the_short_address_is_made_and_taken_away_in_the_settings(till: Till, desk: Window) -> None:
    path = f"settings/self-service/{till.connection.store_id}"
    assert "has to allow Ahlan to make redirects" in (await desk.get(path)).text
    assert "has to allow Ahlan" in (await desk.post(f"{path}/short", on="yes")).text
    oauth.change_scopes(till.sim.shop, [*till.sim.shop.granted, NAVIGATION])
    async with till.app.db.transaction(till.workspace) as tx:
        store = await tx.get(Store, till.connection.store_id)
        assert store is not None
        store.scopes = [*store.scopes, NAVIGATION]
    held = till.sim.shop.state
    assert "Take it away</button>" in (await desk.post(f"{path}/short", on="yes")).text
    assert [one["path"] for one in held.all("redirects")] == ["/returns"]
    assert "Make it</button>" in (await desk.post(f"{path}/short", on="")).text
    assert held.all("redirects") == []
    await desk.post(f"{path}/short", on="yes")
    await desk.post(path, orders="on")
    assert len(held.all("redirects")) == 1, "something is left behind it"
    await desk.post(path, again="on")
    assert held.all("redirects") == [], "a shop that keeps all of it to itself"
