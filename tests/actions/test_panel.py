"""The dialog of an order: who may open what, what is shown before money moves, and how it ends, on both platforms."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import unescape
from pathlib import Path
from urllib.parse import quote as spelled

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware

import admin_ui.routes
from plugin import team
from plugin.crm import actions
from plugin.crm.actions import DONE, FAILED, UNKNOWN, ActionRow
from plugin.kernel.web import RequestId, Web
from plugin.platform import Retag
from plugin.team import Agent, Permission, Role
from tests.actions.conftest import Till, _rest

URL = "http://localhost:8000"
TEMPLATES = Path(admin_ui.routes.__file__ or "").parent / "templates"


class Window:
    """A browser of one agent; everything is asked for as htmx asks."""

    def __init__(self, till: Till, client: httpx.AsyncClient) -> None:
        self.till = till
        self.client = client

    async def get(self, path: str) -> httpx.Response:
        return await self.client.get(f"/panel/{path}")

    async def post(self, path: str, **form: object) -> httpx.Response:
        body = "&".join(f"{spelled(name)}={spelled(str(value))}" for name, value in form.items())
        kind = {"content-type": "application/x-www-form-urlencoded"}
        return await self.client.post(f"/panel/{path}", content=body, headers=kind)

    @property
    def order(self) -> str:
        return f"orders/{self.till.order_id}"


async def window(till: Till, agent: Agent) -> Window:
    async with till.app.db.transaction(till.workspace) as tx:
        secret = await team.open_session(tx, agent, "test")
        found = await team.session_agent(tx, secret)
    assert found is not None
    web = Web(till.app.catalogues, [TEMPLATES], URL)
    site = Starlette(
        routes=admin_ui.routes.routes(till.app, web),
        exception_handlers=dict(web.handlers()),
        middleware=[Middleware(RequestId)],
    )
    headers = {
        "sec-fetch-site": "same-origin",
        "hx-request": "true",
        "x-csrf-token": till.app.vault.sign("csrf", {"s": found[0].id.hex}, 3600),
        "cookie": f"ahlan={till.workspace.hex}.{secret}",
    }
    transport = httpx.ASGITransport(site, raise_app_exceptions=True)
    return Window(till, httpx.AsyncClient(transport=transport, base_url=URL, headers=headers))


@pytest.fixture
async def desk(till: Till) -> Window:
    return await window(till, till.agent)


def choices(html: str) -> list[str]:
    return re.findall(r'class="act-choice" data-act="[^"]*/(\w+)"', html)


def fields(html: str) -> dict[str, str]:
    """Every field of the form as a browser would send it."""
    found: dict[str, str] = {}
    for tag in re.findall(r"<input[^>]*>", html.split('class="act-fields"')[1].split("</form>")[0]):
        name, value = re.search(r' name="([^"]*)"', tag), re.search(r' value="([^"]*)"', tag)
        if name and ("checkbox" not in tag or " checked" in tag):
            found[unescape(name[1])] = unescape(value[1]) if value else ""
    return found


def confirmed(html: str) -> tuple[str, str]:
    """Where the confirmation goes, and the amount it names."""
    found = re.search(r'hx-post="/panel/(order-actions/[^"]+/confirm)".*?name="amount" value="(\d*)"', html, re.DOTALL)
    assert found, html
    return found[1], found[2]


async def test_the_menu_offers_what_the_platform_and_the_agent_can(till: Till, desk: Window) -> None:
    offered = choices((await desk.get(f"{desk.order}/actions")).text)
    everything = ["refund", "cancel", "address", "goods", "duplicate", "discount", "note", "tags"]
    assert offered == [name for name in everything if name != "tags" or till.kind == "shopify"]
    agent = await window(till, await till.person(Role.AGENT))
    without = choices((await agent.get(f"{agent.order}/actions")).text)
    assert {"refund", "goods", "discount"}.isdisjoint(without)
    assert "note" in without
    assert (await agent.get(f"{agent.order}/refund")).status_code == 403
    assert (await agent.post(f"{agent.order}/refund")).status_code == 403
    light = await window(till, await till.person(Role.LIGHT))
    for path in (f"{light.order}/actions", f"{light.order}/actions/note", f"{light.order}/refund"):
        assert (await light.get(path)).status_code == 403
    assert (await light.post(f"{light.order}/actions/note", text="x")).status_code == 403
    assert till.wire.writes == []


async def test_typed_tags_are_told_apart_by_arabic_commas_too(shopify_till: Till) -> None:
    till = shopify_till
    desk = await window(till, await till.person(Role.OWNER))
    await till.do(Retag(add=("شحن، سريع",)))
    await till.work()
    assert (await desk.post(f"{desk.order}/actions/tags", tags="شحن، سريع, هدية، عاجل")).status_code == 200
    await till.work()
    assert (await till.ours()).tags == ["شحن، سريع", "هدية", "عاجل"], "a tag that the store has stays whole"


async def test_money_is_shown_confirmed_and_told(till: Till, desk: Window) -> None:
    page = (await desk.get(f"{desk.order}/refund")).text
    order = await till.ours()
    path, amount = confirmed(page)
    assert amount == str(order.total)
    # One unit less of what there are two of: the store counts anew, and the old confirmation is gone.
    form = fields(page)
    two = next(name for name, value in form.items() if name.startswith("line:") and value == "2")
    page = (await desk.post(f"{desk.order}/refund", **{**form, two: "1"})).text
    less, smaller = confirmed(page)
    assert less != path
    assert int(smaller) < order.total
    assert (await desk.post(path, amount=amount)).status_code == 404
    assert (await desk.post(less, amount=amount)).status_code == 409, "another sum than the one that was shown"
    sent = await desk.post(less, amount=smaller)
    assert "every 1s" in sent.text
    assert "hx-trigger" not in sent.headers
    await till.work()
    done = await desk.get(less.removesuffix("/confirm"))
    assert done.headers["hx-trigger"] == "ahlan:acted"
    assert "circle-check" in done.text or "act-big good" in done.text
    assert (await till.ours()).refunded == int(smaller)
    assert len(await till.refunds()) == 1


async def test_beyond_the_limit_there_is_nothing_to_confirm(till: Till) -> None:
    order = await till.ours()
    agent = await till.person(
        Role.AGENT, rights=[Permission.REFUND.value], refund_limits={order.currency: order.total - 1}
    )
    one = await window(till, agent)
    page = (await one.get(f"{one.order}/refund")).text
    assert "more than you may give back" in page
    assert "/confirm" not in page


async def test_the_stores_words_and_what_to_do_are_shown(till: Till, desk: Window) -> None:
    page = (await desk.get(f"{desk.order}/refund")).text
    path, amount = confirmed(page)
    assert (await desk.post(path, amount=amount)).status_code == 200
    till.wire.cut = 99
    (row,) = await rows(till)
    await till.age(row, 10)
    await till.work()
    assert (await till.row(row)).state == FAILED
    shown = (await desk.get(f"order-actions/{row.id}")).text
    assert "That was not done" in shown
    assert "The store says:" in shown
    assert "Nothing was changed." in shown


async def test_a_store_that_does_not_answer_is_told_at_once(till: Till, desk: Window) -> None:
    till.wire.broken = True
    shown = await desk.get(f"{desk.order}/actions/cancel")
    assert shown.status_code == 200
    assert "The store does not answer that" in shown.text
    assert "Try again" in shown.text


async def test_what_nobody_knows_is_decided_by_a_person(woo_till: Till) -> None:
    till = woo_till
    desk = await window(till, till.agent)
    path, amount = confirmed((await desk.get(f"{desk.order}/refund")).text)
    till.wire.lose = 1
    await desk.post(path, amount=amount)
    await till.work()
    (before,) = await till.refunds()
    (row,) = await rows(till)
    # Somebody deletes it in wp-admin before we look: there is no trace.
    await delete_refunds(till)
    await till.age(row, 10)
    await till.hurry()
    await till.work()
    assert (await till.row(row)).state == UNKNOWN
    shown = (await desk.get(f"order-actions/{row.id}")).text
    assert "has not said what became of it" in shown
    pane = (await desk.get(f"{desk.order}/actions")).text
    assert "Look into it" in pane
    assert "not done" in (await desk.post(f"order-actions/{row.id}/not-done")).text
    path, amount = confirmed((await desk.get(f"{desk.order}/refund")).text)
    await desk.post(path, amount=amount)
    await till.work()
    assert await till.refunds() == [before]


async def rows(till: Till) -> Sequence[ActionRow]:
    async with till.app.db.transaction(till.workspace) as tx:
        return (await actions.of_orders(tx, [till.order_id]))[till.order_id]


async def delete_refunds(till: Till) -> None:
    for one in await _rest(till.sim, f"orders/{till.order}/refunds"):
        await _rest(till.sim, f"orders/{till.order}/refunds/{one['id']}?force=true", "DELETE")


async def test_an_address_is_typed_sent_and_taken_back(till: Till, desk: Window) -> None:
    page = (await desk.get(f"{desk.order}/actions/address")).text
    form = fields(page)
    assert form["city"]
    wrong = await desk.post(f"{desk.order}/actions/address", **{**form, "country": "Israel"})
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, "address")
    sent = (await desk.post(f"{desk.order}/actions/address", **{**form, "city": "Nazareth"})).text
    await till.work()
    assert (await till.ours()).shipping_address["city"] == "Nazareth"
    done = (await desk.get(re.search(r'hx-get="/panel/(order-actions/[^"]+)"', sent)[1])).text
    undo = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', done))
    assert undo["city"] == form["city"]
    await desk.post(f"{desk.order}/actions/address", **{key: unescape(value) for key, value in undo.items()})
    await till.work()
    assert (await till.ours()).shipping_address["city"] == form["city"]


async def test_a_code_is_shown_to_copy_and_can_be_ended(till: Till, desk: Window) -> None:
    for wrong in ({"value": "0"}, {"value": "101"}, {"value": "ten"}, {"value": "0", "unit": "amount"}):
        answer = await desk.post(f"{desk.order}/actions/discount", **{"unit": "percent", "days": "5", **wrong})
        assert answer.status_code == 400, wrong
    sent = (await desk.post(f"{desk.order}/actions/discount", value="15", unit="percent", days="7")).text
    await till.work()
    done = (await desk.get(re.search(r'hx-get="/panel/(order-actions/[^"]+)"', sent)[1])).text
    code = re.search(r'data-copy-from readonly dir="ltr" value="(\w{13})"', done)
    assert code
    hidden = {key: unescape(value) for key, value in re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', done)}
    assert hidden["code"] == code[1]
    strange = await desk.post(f"{desk.order}/actions/end_discount", **{**hidden, "id": "1"})
    assert strange.status_code == 404, "only what was made from here for this order"
    ended = await desk.post(f"{desk.order}/actions/end_discount", **hidden)
    assert ended.status_code == 200
    await till.work()
    assert [row.state for row in await rows(till)] == [DONE, DONE]


async def test_a_draft_and_its_link_are_handed_over(till: Till, desk: Window) -> None:
    assert "Nothing is owed" in (await desk.post(f"{desk.order}/link")).text
    path, amount = confirmed((await desk.get(f"{desk.order}/actions/duplicate")).text)
    assert amount == ""
    await desk.post(path, amount="")
    await till.work()
    done = (await desk.get(path.removesuffix("/confirm"))).text
    made = unescape(re.search(r'name="made" value="([^"]+)"', done)[1])
    link = (await desk.post(f"{desk.order}/link", made=made)).text
    assert re.search(r'data-copy-from readonly dir="ltr" value="https?://[^"]+"', link)
    assert (await desk.post(f"{desk.order}/link", made="gid://shopify/DraftOrder/999")).status_code == 404


async def test_the_order_shows_what_was_done_in_arabic_too(till: Till) -> None:
    noa = await till.person(Role.OWNER, locale="ar")
    desk = await window(till, noa)
    page = (await desk.get(f"{desk.order}/refund")).text
    assert "ردّ المبلغ" in page
    assert "يعود إلى العميل" in page
    path, amount = confirmed(page)
    await desk.post(path, amount=amount)
    await till.work()
    order = await till.ours()
    person = await desk.get(f"customers/{order.customer_id}")
    assert "ردّ المبلغ" in person.text
    assert f'data-act="/panel/{path.removesuffix("/confirm")}"' in person.text
