"""Returns over HTTP: the queue, one return moved from its request to the money, and who may do what."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape
from uuid import UUID, uuid4

import pytest

from plugin import workspaces
from plugin.app import App
from plugin.crm.orders import Order, OrderLine, OrderReturn, Refund
from plugin.kernel.db import new_id
from plugin.kernel.money import Money
from plugin.platform import PlatformError
from plugin.return_desk import PayReturn, ReturnPart, Sign, mark
from plugin.returns import records, shipping, steps, words
from plugin.returns.policy import PayWhen, Policy, Resolution
from plugin.returns.records import ReturnRequest
from plugin.returns.states import State, Times
from plugin.stores import Store
from plugin.team import Permission
from tests.admin_ui.conftest import Browser, SignIn
from tests.admin_ui.shop import Admin, Shop
from tests.returns.desk import MUG, SHIRT, Killed, open_shop, want
from tests.returns.desk import Shop as Till

HX = {"hx-request": "true", "hx-request-type": "partial"}
BY_HAND = Policy(automatic=False, pay_when=PayWhen.INSPECTED)


@pytest.fixture
async def maya(shop: Shop, sign_in: SignIn) -> Browser:
    return await sign_in(shop.email)


@pytest.fixture
async def till(app: App, shop: Shop, admin: Admin) -> Till:
    """An order of the panel's shop whose store takes returns."""
    store = next(iter(shop.stores.values()))
    till = await open_shop(app, shop.workspace_id, store, shop.owner, name="7001")
    for name in ("returnable", "quote_return", "act_return", "settle_return", "read_order"):
        setattr(admin, name, getattr(till.desk, name))
    await till.policy(BY_HAND)
    return till


def bare(page: str) -> str:
    """Without the marks that keep amounts and numbers whole in any text."""
    return page.replace("\u2068", "").replace("\u2069", "").replace("\u2066", "")


async def moved(browser: Browser, request: ReturnRequest, name: str, **form: str) -> int:
    answer = await browser.post(f"/panel/returns/{request.id}/moves/{name}", data={"state": request.state, **form},
                                headers=HX)  # fmt: skip
    return answer.status_code


async def test_the_queue_shows_what_waits_and_what_it_is_about(till: Till, maya: Browser) -> None:
    request = await till.submit(want((SHIRT, 1), (MUG, 1)))
    page = bare((await maya.get("/panel/returns")).text)
    assert request.number in page
    assert "Layla H" in page
    assert "Linen shirt and 1 more" in page
    assert not re.search(r"<bdi>[^<]*and 1 more", page), "the sentence runs in its reader's direction, not the goods'"
    assert "Money back · ₪70.00" in page
    assert (await maya.get("/panel/returns", params={"tab": "done"})).text.count(request.number) == 0
    for query in (
        {"q": request.number}, {"q": "7001"}, {"state": "requested"}, {"resolution": "refund"}, {"reason": "too_small"},
        {"store": str(till.store.id)},
    ):  # fmt: skip
        assert request.number in (await maya.get("/panel/returns", params=query)).text, query
    for query in ({"q": "R-9"}, {"state": "received"}, {"resolution": "credit"}, {"reason": "other"}, {"days": "3"}):
        assert request.number not in (await maya.get("/panel/returns", params=query)).text, query
    assert "Nothing waits" not in page
    assert 'href="/panel/returns"' in (await maya.get("/panel")).text


async def test_a_store_that_does_not_allow_returns_is_named_above_the_queue(
    app: App, till: Till, maya: Browser
) -> None:
    said = "does not let us make returns in it yet"
    assert said not in (await maya.get("/panel/returns")).text
    async with app.db.transaction(till.store.workspace_id) as tx:
        store = await tx.get(Store, till.store.id)
        assert store is not None
        store.findings = [{"code": "returns_untouched", "ok": False, "ask": "write_returns", "detail": ""}]
    page = (await maya.get("/panel/returns")).text
    assert said in page
    assert f"/panel/stores/{till.store.id}" in page
    async with app.db.transaction(till.store.workspace_id) as tx:
        store = await tx.get(Store, till.store.id)
        assert store is not None
        store.findings = [{"code": "returns_untouched", "ok": True, "ask": "write_returns", "detail": ""}]
    assert said not in (await maya.get("/panel/returns")).text, "allowed by now"


async def test_a_store_without_an_address_for_parcels_is_named_before_the_yes(
    app: App, till: Till, maya: Browser
) -> None:
    request = await till.submit()
    page = (await maya.get(f"/panel/returns/{request.id}")).text
    assert "no address for returned parcels" in page
    assert f"/panel/settings/shipping/{till.store.id}" in page
    look = (await maya.get("/panel/returns/approve", params={"id": [str(request.id)]}, headers=HX)).text
    assert "For 1 of them the store has no address" in look
    async with app.db.transaction(till.store.workspace_id) as tx:
        wished = shipping.checked({"line1": "12 Olaya Street", "city": "Riyadh", "country": "SA"}, ())
        await shipping.save(tx, app.vault, till.store.id, wished, actor="system")
    assert "no address for returned parcels" not in (await maya.get(f"/panel/returns/{request.id}")).text
    look = (await maya.get("/panel/returns/approve", params={"id": [str(request.id)]}, headers=HX)).text
    assert "the store has no address" not in look


async def test_where_the_goods_stay_no_parcel_is_sent_and_none_is_waited_for(till: Till, maya: Browser) -> None:
    sent_back = await till.submit(want((SHIRT, 1)))
    await till.policy(replace(BY_HAND, keep_below=(Money(3_000, "ILS", 2),)))
    kept = await till.submit(want((MUG, 1)))
    offers = ("The parcel is here", "moves/label", "moves/ship")
    for request, there in ((sent_back, True), (kept, False)):
        assert await moved(maya, request, "approve") == 204
        page = (await maya.get(f"/panel/returns/{request.id}")).text
        assert ("The customer keeps the goods." in page) is not there
        assert [offer in page for offer in offers] == [there] * len(offers)
    assert await moved(maya, await till.request(kept), "receive") == 409
    assert (await till.request(kept)).state == State.APPROVED


async def test_goods_that_are_looked_at_again_begin_with_what_was_found(till: Till, maya: Browser) -> None:
    request = await till.move(await till.move(await till.submit(want((SHIRT, 2))), "approve"), "receive")
    async with till.app.db.transaction(till.workspace) as tx:
        (line,) = await records.lines_of(tx, request.id)

    async def found() -> list[str]:
        page = (await maya.get(f"/panel/returns/{request.id}")).text
        kinds = ("restock", "damaged", "missing")
        return [re.search(rf'name="{kind}:{line.id}"[^>]* value="(\d)"', page)[1] for kind in kinds]

    assert await found() == ["2", "0", "0"]
    assert await moved(maya, request, "inspect", **{f"restock:{line.id}": "1", f"damaged:{line.id}": "1"}) == 204
    request = await till.move(await till.move(await till.request(request), "close"), "reopen")
    assert await found() == ["1", "1", "0"]


async def test_one_return_from_its_request_to_the_money(till: Till, maya: Browser) -> None:
    request = await till.submit(want((SHIRT, 2)))
    page = bare((await maya.get(f"/panel/returns/{request.id}")).text)
    for said in ("Linen shirt", "Too small", "₪100.00", "Approve", "Decline", "Ask for more information"):
        assert said in page, said
    assert await moved(maya, request, "approve") == 204
    assert await moved(maya, request, "approve") == 409, "the page showed another state"
    request = await till.request(request)
    assert await moved(maya, request, "label", carrier="DHL", tracking_number="RR 12", tracking_url="ftp://x") == 400
    assert await moved(maya, request, "label", carrier="DHL", tracking_number="RR 12") == 204
    for name in ("ship", "receive"):
        request = await till.request(request)
        assert await moved(maya, request, name) == 204
    request = await till.request(request)
    async with till.app.db.transaction(till.workspace) as tx:
        (line,) = await records.lines_of(tx, request.id)
    assert await moved(maya, request, "inspect", **{f"restock:{line.id}": "1"}) == 400
    assert await moved(maya, request, "inspect", **{f"restock:{line.id}": "1", f"damaged:{line.id}": "1"}) == 204
    request = await till.request(request)
    till.desk.less = 1_000
    look = await maya.get(f"/panel/returns/{request.id}/pay", headers=HX)
    assert "The store itself would give" in look.text
    assert "₪90.00" in look.text
    assert re.search(r'class="warn"><dt>Difference</dt><dd>₪10.00<', bare(look.text))
    assert "Goods for ₪50.00 came back damaged or not at all." in bare(look.text)
    assert "Not everything is as it should be" in (await maya.get(f"/panel/returns/{request.id}")).text
    other = await maya.post(f"/panel/returns/{request.id}/payment", data={"amount": "50"}, headers=HX)
    assert 'name="confirmed" value="5000"' in other.text
    paid = await maya.post(f"/panel/returns/{request.id}/pay", data={"confirmed": "5000"}, headers=HX)
    assert paid.status_code == 204
    await maya.post(f"/panel/returns/{request.id}/pay", data={"confirmed": "5000"}, headers=HX)
    await till.work()
    page = bare((await maya.get(f"/panel/returns/{request.id}")).text)
    assert "Paid: ₪50.00" in page
    assert "Back on the shelf: 1 · Damaged: 1" in page
    assert "Not everything is as it should be" not in page, "somebody has decided"
    assert "The store reckons ₪40.00, a difference of ₪10.00." in page
    assert till.desk.moved == 5_000
    log = (await maya.get("/panel/team/log")).text
    assert request.number in log


async def test_a_button_of_a_page_that_is_no_longer_true_does_nothing(till: Till, maya: Browser) -> None:
    """Cancelling is possible before and after the yes; whoever did not see the yes is asked to look again."""
    request = await till.submit()
    await till.move(request, "approve")
    assert await moved(maya, request, "cancel") == 409
    assert (await till.request(request)).state == State.APPROVED


async def test_what_happens_by_itself_is_said_with_its_day(till: Till, maya: Browser) -> None:
    await till.policy(replace(BY_HAND, times=Times(3, 14, 7, 30, 21, 3)))
    request = await till.submit()

    async def said(**days: int) -> None:
        page = bare((await maya.get(f"/panel/returns/{request.id}")).text)
        t = till.app.catalogues.translator("en")
        for sentence, after in days.items():
            day = t.format_date((await till.request(request)).moved_at + timedelta(days=after))
            assert f"{sentence.replace('_', ' ')} {day}" in page
        for sentence in ("customer is reminded on", "cancelled by itself on", "closed by itself on", "comes until"):
            assert (sentence in page) is (sentence.replace(" ", "_") in days)

    await said()
    await till.move(request, "ask", note="Which size?")
    await said(customer_is_reminded_on=3, cancelled_by_itself_on=14)
    await till.hurry("wake_return")
    await till.work()
    await said(cancelled_by_itself_on=11)
    await till.move(request, "approve")
    await said(customer_is_reminded_on=7, closed_by_itself_on=30)
    await till.move(request, "ship")
    await said(comes_until=21)
    await till.hurry("wake_return")
    await till.work()
    await said()


async def test_refunds_of_the_stores_books_stand_with_the_return_that_made_them(till: Till, maya: Browser) -> None:
    """By the id that paying gave us, or by our number in the reason; nobody else's are this return's."""
    await till.policy(Policy(automatic=True, pay_when=PayWhen.APPROVED))
    request = await till.submit(want((SHIRT, 1)))
    await till.work()
    paid = next(step for step in await till.steps(request) if step.kind == steps.PAY)

    async def shown() -> int:
        return (await maya.get(f"/panel/returns/{request.id}")).text.count("In the store&#39;s books")

    assert await shown() == 0
    for external_id, reason, found in (
        (paid.done.external_id, "", 1), ("another", mark(request.number, "key"), 2), ("theirs", "R-9 (key)", 2),
    ):  # fmt: skip
        async with till.app.db.transaction(till.workspace) as tx:
            tx.add(Refund(id=new_id(), store_id=till.store.id, external_id=external_id, order_id=till.order_id,
                          order_external_id="x", version=datetime.now(UTC), reason=reason, amount=5_000,
                          currency="ILS", exponent=2))  # fmt: skip
        assert await shown() == found


async def test_several_are_approved_after_a_look_at_the_sum(till: Till, maya: Browser) -> None:
    first, second = await till.submit(want((SHIRT, 1))), await till.submit(want((MUG, 1)))
    unproven = await till.submit(want((SHIRT, 1)), verified=False)
    ids = [str(one.id) for one in (first, second, unproven)]
    look = (await maya.get("/panel/returns/approve", params={"id": ids}, headers=HX)).text
    assert "Approve 2 returns" in look
    assert "₪70.00" in look
    assert "1 is left out" in look
    done = await maya.post("/panel/returns/approve", data={"id": ids}, headers=HX)
    assert "2 returns approved." in done.headers["hx-trigger"]
    states = [(await till.request(UUID(id))).state for id in ids]
    assert states == [State.APPROVED, State.APPROVED, State.REQUESTED]
    again = await maya.post("/panel/returns/approve", data={"id": ids}, headers=HX)
    assert "0 returns approved." in again.headers["hx-trigger"]


async def test_a_page_that_waits_for_the_store_is_drawn_anew_only_when_something_changed(
    till: Till, maya: Browser
) -> None:
    await till.policy(Policy(automatic=True, pay_when=PayWhen.APPROVED))
    request = await till.submit(want((SHIRT, 1)))
    waiting = re.search(r'hx-get="([^"]+[?]seen=[0-9a-f]+)" hx-trigger="every 2s"', await _shown(maya, request))
    assert waiting is not None
    assert (await maya.get(waiting[1], headers=HX)).status_code == 204
    await till.work("carry_return")
    after = await maya.get(waiting[1], headers=HX)
    assert after.status_code == 200
    assert "every 2s" not in after.text, "it is paid: nothing is waited for any more"


async def _shown(browser: Browser, request: ReturnRequest) -> str:
    return (await browser.get(f"/panel/returns/{request.id}")).text


async def test_who_may_not_pay_does_not(till: Till, shop: Shop, sign_in: SignIn) -> None:
    request = await till.move(await till.submit(), "approve")
    request = await till.move(request, "receive")
    noor = next(agent for agent in shop.colleagues.values() if not agent.may(Permission.REFUND) and agent.email)
    browser = await sign_in(str(noor.email))
    for answer in (
        await browser.get(f"/panel/returns/{request.id}/pay", headers=HX),
        await browser.post(f"/panel/returns/{request.id}/pay", data={"confirmed": "100"}, headers=HX),
    ):
        assert answer.status_code == 403
    async with till.app.db.transaction(till.workspace) as tx:
        agent = await tx.get(type(noor), noor.id)
        assert agent is not None
        agent.rights, agent.refund_limits = [Permission.REFUND], {"ILS": 1_000}
    answer = await browser.post(f"/panel/returns/{request.id}/pay", data={"confirmed": "5000"}, headers=HX)
    assert answer.status_code == 403
    assert till.desk.moved == 0


async def test_other_peoples_returns_are_not_there(app: App, till: Till, maya: Browser) -> None:
    theirs = workspaces.new_workspace_id()
    async with app.db.transaction(theirs) as tx:
        await workspaces.create(tx, "Others")
    request = await till.submit()
    for id in (uuid4(), theirs):
        assert (await maya.get(f"/panel/returns/{id}")).status_code == 404
        assert (await maya.post(f"/panel/returns/{id}/moves/approve", data={}, headers=HX)).status_code == 404
        assert (await maya.get(f"/panel/orders/{id}/returns/new")).status_code == 404
        assert (await maya.get(f"/panel/conversations/{id}/returns", headers=HX)).status_code == 404
    step = (await till.steps(request))[0]
    other = await till.submit()
    answer = await maya.post(f"/panel/returns/{other.id}/steps/{step.id}/again", headers=HX)
    assert answer.status_code == 404


async def test_a_step_that_stuck_is_shown_with_the_stores_words(till: Till, maya: Browser) -> None:
    request = await till.submit()
    await till.work()
    till.desk.by_hand = True
    request = await till.move(request, "approve")
    request = await till.move(request, "receive")
    await till.move(request, "pay")
    await till.work()
    page = bare((await maya.get(f"/panel/returns/{request.id}")).text)
    assert "Give ₪50.00 back to Layla H yourselves" in page
    assert "this way of paying gives nothing back by itself" in page
    assert 'href="#store-steps"' in page, "from the warning to what it is about"
    assert 'id="store-steps"' in page
    assert "did not come through" not in page
    assert "End it" not in page, "not while it is open what became of the money"
    listed = (await maya.get("/panel/returns")).text
    assert "Money by hand" in listed
    assert "The store needs a look" not in listed, "it did what it could"
    step = (await till.steps(request))[-1]
    assert step.state == steps.HAND
    assert page.count(f"/steps/{step.id}/done") == 1, "one button, at the top"
    assert "Money to give back by hand" in page.partition("History")[2]
    await maya.post(f"/panel/returns/{request.id}/steps/{step.id}/done", headers=HX)
    assert (await till.request(request)).paid == 5_000


@pytest.mark.parametrize(("language", "asked"), [("en", "bank transfer"), ("ar", "تحويل بنكي"), ("he", "העברה בנקאית")])
async def test_money_to_give_by_hand_comes_with_the_words_for_bank_and_customer(
    till: Till, maya: Browser, language: str, asked: str
) -> None:
    """A task says how much, to whom, and what to write, in the language of whoever reads it in the end."""
    await till.policy(Policy(automatic=True, pay_when=PayWhen.APPROVED))
    till.desk.by_hand = True
    request = await till.submit(want((SHIRT, 1)), language=language)
    await till.work()
    page = bare((await maya.get(f"/panel/returns/{request.id}")).text)
    transfer, customer = re.findall(r"<textarea[^>]* readonly[^>]*>([^<]+)<", page)
    t = till.app.catalogues.translator(language)
    for said in (transfer, customer):
        assert request.number in said
        assert "#7001" in said
    assert t.format_money(Money(5_000, "ILS", 2)).strip("\u200f\u200e\u2068\u2069") in customer
    assert asked in customer


async def test_a_refund_that_may_have_happened_asks_somebody_to_look_with_the_amount(till: Till, maya: Browser) -> None:
    await till.policy(Policy(automatic=True, pay_when=PayWhen.APPROVED))
    request = await till.submit(want((SHIRT, 1)))
    till.desk.kill, till.desk.of, till.desk.blind = "after", PayReturn, True
    for _life in range(3):
        with suppress(Killed):
            await till.work()
        await till.hurry()
    await till.later(hours=1)
    await till.hurry()
    await till.work()
    page = bare((await maya.get(f"/panel/returns/{request.id}")).text)
    assert "₪50.00 may have gone back already" in page
    assert f"Look in the refunds of order #7001 for {request.number}" in page
    for how in ("again", "done", "not-done"):
        assert f"/{how}" in page
    assert "The store needs a look" in (await maya.get("/panel/returns")).text
    assert till.desk.moved == 5_000


async def test_a_return_made_in_the_stores_admin_is_here_with_its_goods(
    till: Till, admin: Admin, maya: Browser
) -> None:
    now = datetime.now(UTC)
    async with till.app.db.transaction(till.workspace) as tx:
        tx.add(OrderReturn(id=new_id(), store_id=till.store.id, external_id="gid://return/9", order_id=till.order_id,
                           order_external_id="x", version=now, status="requested", name="#7001-R1"))  # fmt: skip
        tx.add(OrderLine(order_id=till.order_id, external_id=SHIRT, store_id=till.store.id, version=now, position=0,
                         title="Linen shirt", variant_title="M", quantity=2))  # fmt: skip
        await tx.record("return.requested", subject_id=till.order_id, store_id=till.store.id)
    await till.work()
    async with till.app.db.transaction(till.workspace) as tx:
        (request,) = await records.of_order(tx, till.order_id)

    async def parts(_connection: object, of: str) -> list[ReturnPart]:
        assert of == "gid://return/9"
        return [ReturnPart(SHIRT, 2, words="It is <too> small"), ReturnPart("gid://line/unknown", 1)]

    admin.return_parts = parts
    listed = bare((await maya.get("/panel/returns")).text)
    assert "Made in the store: #7001-R1" in listed
    page = (await maya.get(f"/panel/returns/{request.id}")).text
    path = f"/panel/returns/{request.id}/goods"
    assert f'hx-get="{path}"' in page
    assert "Ask for more information" not in page, "nobody would read it"
    for name in ("approve", "decline", "cancel"):
        assert f"/moves/{name}" in page
    shown = (await maya.get(path, headers=HX)).text
    for said in ("Linen shirt", "It is &lt;too&gt; small", "Goods that this order does not name"):
        assert said in shown, said

    async def away(*_asked: object) -> None:
        raise PlatformError("no answer", retry=True, code="unreachable")

    admin.return_parts = away
    assert "The store cannot be asked right now" in (await maya.get(path, headers=HX)).text
    ours = await till.submit(want((MUG, 1)))
    assert (await maya.get(f"/panel/returns/{ours.id}/goods", headers=HX)).status_code == 404


async def test_why_it_was_declined_stays_on_its_page(till: Till, maya: Browser) -> None:
    request = await till.submit()
    assert await moved(maya, request, "decline", why="too_late") == 204
    page = (await maya.get(f"/panel/returns/{request.id}")).text
    assert "<p>Too late</p>" in page


@pytest.mark.parametrize("code", words.REFUSALS)
async def test_what_the_store_would_refuse_is_said_in_words_before_and_after(
    till: Till, maya: Browser, code: str
) -> None:
    request = await till.move(await till.move(await till.submit(), "approve"), "receive")
    till.desk.refuse = {PayReturn: code}
    look = unescape(bare((await maya.get(f"/panel/returns/{request.id}/pay", headers=HX)).text))
    what, how = (str(text) for text in words.REFUSALS[code])
    assert "The store would refuse this" in look
    assert what in look
    assert how in look
    assert f">{code}<" not in look
    assert "act-money" not in look, "what is refused has no button"
    assert ('name="amount"' in look) is (code == "more_than_paid"), "less may go"
    await till.move(request, "pay")
    await till.work()
    page = unescape(bare((await maya.get(f"/panel/returns/{request.id}")).text))
    assert f"{what} {how}" in page
    assert f">{code}<" not in page


async def test_a_return_is_begun_from_an_order_and_stands_beside_the_conversation(
    till: Till, shop: Shop, maya: Browser
) -> None:
    talk = shop.talks["huda"]
    async with till.app.db.transaction(till.workspace) as tx:
        order = await tx.get(Order, till.order_id)
        assert order is not None
        order.customer_id = shop.people["huda"]
    beside = await maya.get(f"/panel/conversations/{talk}/returns", headers=HX)
    assert f"/panel/orders/{till.order_id}/returns/new?conversation={talk}" in beside.text
    assert "<h3>" not in beside.text, "no heading over nothing"
    page = (await maya.get(f"/panel/orders/{till.order_id}/returns/new", params={"conversation": str(talk)})).text
    assert "Linen shirt" in page
    client_id = page.split('name="client_id" value="')[1].split('"')[0]
    form = {"client_id": client_id, f"line:{SHIRT}": "1", f"reason:{SHIRT}": "too_large", "resolution": "refund",
            "conversation": str(talk)}  # fmt: skip
    path = f"/panel/orders/{till.order_id}/returns"
    shown = (await maya.post(f"{path}/preview", data=form, headers=HX)).text
    assert "₪50.00" in shown
    too_many = await maya.post(f"{path}/preview", data={**form, f"line:{SHIRT}": "9"}, headers=HX)
    assert "At most 2" in too_many.text
    form["digest"] = shown.split('name="digest" value="')[1].split('"')[0]
    begun = await maya.post(path, data=form, headers=HX)
    assert begun.status_code == 204, begun.text
    await maya.post(path, data=form, headers=HX)
    async with till.app.db.transaction(till.workspace) as tx:
        (request,) = await records.of_order(tx, till.order_id)
    assert (request.asked_by, request.language) == ("agent", "ar")
    beside = await maya.get(f"/panel/conversations/{talk}/returns", headers=HX)
    assert request.number in beside.text
    assert f"/panel/inbox/{talk}" in (await maya.get(f"/panel/returns/{request.id}")).text


async def test_an_agent_changes_a_return_as_long_as_nothing_was_sent(till: Till, maya: Browser) -> None:
    request = await till.submit(want((SHIRT, 1)))
    path = f"/panel/returns/{request.id}/change"
    page = (await maya.get(path)).text
    assert f"Change return {request.number}" in bare(page)
    chosen = page.split(f'name="line:{SHIRT}"')[1].split(">")[0]
    assert 'value="1"' in chosen, "what it says so far is chosen"
    form = {f"line:{SHIRT}": "2", f"reason:{SHIRT}": "too_large", f"line:{MUG}": "1", f"reason:{MUG}": "changed_mind",
            "resolution": "credit"}  # fmt: skip
    shown = (await maya.post(f"{path}/preview", data=form, headers=HX)).text
    assert "₪120.00" in shown
    assert (await till.request(request)).moves == request.moves, "looking changes nothing"
    form["digest"] = shown.split('name="digest" value="')[1].split('"')[0]
    stale = await maya.post(path, data={**form, f"line:{SHIRT}": "1"}, headers=HX)
    assert stale.status_code == 409, "what is confirmed is what was shown"
    assert (await maya.post(path, data=form, headers=HX)).status_code == 204
    found = await till.request(request)
    assert (found.number, found.resolution, found.credit, found.cash) == (request.number, "credit", 12_000, 0)
    async with till.app.db.transaction(till.workspace) as tx:
        lines = await records.lines_of(tx, request.id)
    assert [(line.title, line.quantity, line.reason) for line in lines] == [
        ("Linen shirt", 2, "too_large"), ("Mug", 1, "changed_mind"),
    ]  # fmt: skip
    await moved(maya, found, "approve")
    await till.move(found, "ship")
    late = await maya.get(path)
    assert late.status_code == 409
    assert "This return has moved on meanwhile." in late.text


async def test_why_a_person_decides_is_said_with_what_the_check_found(till: Till, maya: Browser) -> None:
    till.desk.order = replace(till.desk.order, signs=(Sign.RISK,), risk_words=("Card used from <two> countries",))
    await till.policy(replace(BY_HAND, automatic=True, signs=(Sign.RISK,)))
    request = await till.submit()
    page = (await maya.get(f"/panel/returns/{request.id}")).text
    assert "The store&#39;s own check of this order asks for a second look." in page
    assert "Card used from &lt;two&gt; countries" in page


async def test_goods_that_never_come_for_what_went_out_are_named_with_what_they_were_worth(
    till: Till, maya: Browser
) -> None:
    await till.policy(replace(BY_HAND, automatic=True, instant_below=(Money(999_999, "ILS", 2),)))
    request = await till.submit(want((SHIRT, 1), resolution=Resolution.REPLACEMENT))
    await till.work()
    page = f"/panel/returns/{request.id}"
    assert "The goods have not come" not in (await maya.get(page)).text
    for _look in range(2):
        await till.hurry("wake_return")
        await till.work()
    late = bare((await maya.get(page)).text)
    assert "The goods have not come" in late
    assert "goods for ₪50.00 are missing" in late
    assert request.number in (await maya.get("/panel/returns")).text, "it waits for the team"


async def test_what_goes_out_with_the_yes_is_said_before_it(till: Till, maya: Browser) -> None:
    sentence = "goes out as soon as you approve"
    await till.policy(replace(BY_HAND, automatic=False, pay_when=PayWhen.INSPECTED))
    waits = await till.submit(want((SHIRT, 1), resolution=Resolution.REPLACEMENT))
    await till.policy(replace(BY_HAND, automatic=False, pay_when=PayWhen.APPROVED))
    goes = await till.submit(want((SHIRT, 1), resolution=Resolution.REPLACEMENT))
    for request, said in ((waits, False), (goes, True)):
        assert (sentence in (await maya.get(f"/panel/returns/{request.id}")).text) is said
        many = await maya.get("/panel/returns/approve", params={"id": [str(request.id)]}, headers=HX)
        assert (sentence in many.text) is said
    begun = {f"line:{MUG}": "1", f"reason:{MUG}": "other", "resolution": "replacement"}
    for rules, said in ((replace(BY_HAND, automatic=True, instant_below=(Money(999_999, "ILS", 2),)), True),
                        (BY_HAND, False)):  # fmt: skip
        await till.policy(rules)
        page = (await maya.post(f"/panel/orders/{till.order_id}/returns/preview", data=begun, headers=HX)).text
        assert ("goes out at once" in page) is said


async def test_an_orders_total_is_the_sum_of_what_is_shown(till: Till, maya: Browser) -> None:
    async with till.app.db.transaction(till.workspace) as tx:
        order = await tx.get(Order, till.order_id, lock=True)
        assert order is not None
        order.shipping_total, order.discount_total = 1_500, 300
    page = re.sub(r"<[^>]+>", " ", bare((await maya.get(f"/panel/orders/{till.order_id}")).text))
    assert re.search(r"Discount\s+-₪3.00\s+Delivery\s+₪15.00", page)
    assert "All that was ordered" not in page


async def test_an_order_beside_a_conversation_is_told_with_what_it_comes_to_now(till: Till, maya: Browser) -> None:
    async with till.app.db.transaction(till.workspace) as tx:
        order = await tx.get(Order, till.order_id, lock=True)
        assert order is not None
        order.total, order.current_total = 12_000, 7_000
    page = bare((await maya.get(f"/panel/orders/{till.order_id}")).text)
    assert re.search(r"order-total[^₪]*₪70.00", page)
    assert re.search(r"All that was ordered\s+₪120.00", re.sub(r"<[^>]+>", " ", page))


async def test_a_store_that_does_not_answer_is_said(till: Till, maya: Browser, admin: Admin) -> None:
    async def away(*_asked: object) -> None:
        raise PlatformError("no answer", retry=True, code="unreachable")

    request = await till.move(await till.move(await till.submit(), "approve"), "receive")
    admin.returnable = away
    page = await maya.get(f"/panel/orders/{till.order_id}/returns/new")
    assert page.status_code == 200
    assert "The store cannot be asked right now" in page.text
    assert "Check that the store is online, then try again." in page.text
    admin.quote_return = away
    look = (await maya.get(f"/panel/returns/{request.id}/pay", headers=HX)).text
    assert "Check that the store is online, then try again." in look
