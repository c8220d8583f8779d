"""What agents do all day: reply, note, assign, close, undo, look up people, join them, mend stores."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from html import unescape
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import func, select, text

from plugin import privacy, team
from plugin.app import App
from plugin.conversations import messages, presence
from plugin.conversations.conversations import Conversation, Shopper
from plugin.kernel.db import new_id
from plugin.stores import Store
from tests.admin_ui.conftest import Browser, SignIn
from tests.admin_ui.shop import PASSWORD, Shop, seed, serving


@pytest.fixture
async def maya(shop: Shop, sign_in: SignIn) -> Browser:
    return await sign_in(shop.email)


def at(shop: Shop, name: str, path: str = "") -> str:
    return f"/panel/conversations/{shop.talks[name]}{path}"


async def said(app: App, shop: Shop, name: str) -> list[messages.Message]:
    async with app.db.transaction(shop.workspace_id) as tx:
        return await messages.thread(tx, shop.talks[name])


async def test_a_reply_comes_back_as_its_own_line_and_a_resend_changes_nothing(
    app: App, shop: Shop, maya: Browser
) -> None:
    form = {"client_id": str(uuid4()), "text": "Yes: <b>all six</b> & the oud"}
    first = await maya.post(at(shop, "emma", "/reply"), data=form)
    again = await maya.post(at(shop, "emma", "/reply"), data=form)
    for answer in (first, again):
        assert answer.status_code == 200
        assert f'id="m-{form["client_id"]}"' in answer.text
        assert "&lt;b&gt;all six&lt;/b&gt; &amp; the oud" in answer.text
    assert [message.text for message in await said(app, shop, "emma")].count(form["text"]) == 1
    async with app.db.transaction(shop.workspace_id) as tx:
        talk = await tx.get(Conversation, shop.talks["emma"])
    assert talk is not None
    assert talk.assignee_id == shop.owner.id


async def test_a_note_stays_in_the_team(app: App, shop: Shop, sign_in: SignIn) -> None:
    light = await sign_in(shop.colleagues["lior"].email or "")
    form = {"client_id": str(uuid4()), "text": "She is a friend of the house"}
    assert (await light.post(at(shop, "emma", "/reply"), data=form)).status_code == 403
    answer = await light.post(at(shop, "emma", "/note"), data=form)
    assert "is-note" in answer.text
    last = (await said(app, shop, "emma"))[-1]
    assert (last.kind, last.seq) == ("note", None)
    page = await light.get(f"/panel/inbox/{shop.talks['emma']}")
    assert 'value="reply"' not in page.text
    assert "/assign" not in page.text


async def test_new_messages_are_asked_for_by_position(app: App, shop: Shop, maya: Browser) -> None:
    known = (await said(app, shop, "emma"))[-1].position
    async with app.db.transaction(shop.workspace_id) as tx:
        talk = await tx.get(Conversation, shop.talks["emma"])
        assert talk is not None
        assert talk.visitor_id is not None
        assert talk.store_id is not None
        shopper = Shopper(talk.visitor_id, talk.store_id, talk.customer_id)
        await messages.receive(tx, shopper, uuid4(), "Are you there?")
    answer = await maya.get(at(shop, "emma", f"/messages?after={known}"))
    assert answer.text.count('class="message ') == 1
    assert "Are you there?" in answer.text
    assert "<html" not in answer.text


async def test_resolving_offers_to_take_it_back(app: App, shop: Shop, maya: Browser) -> None:
    hx = {"hx-request": "true", "hx-target": "header#thread-head", "hx-request-type": "partial"}
    resolved = await maya.post(at(shop, "huda", "/status"), data={"to": "resolved", "seen": "open"}, headers=hx)
    assert 'data-status="resolved"' in resolved.text
    assert "<html" not in resolved.text
    toast = json.loads(resolved.headers["hx-trigger"])["ahlan:toast"]
    assert toast["text"] == "Resolved."
    opened = await maya.post(toast["action"], data=toast["values"], headers=hx)
    assert 'data-status="open"' in opened.text
    page = await maya.get(f"/panel/inbox/{shop.talks['huda']}")
    assert "resolved this" in page.text
    assert "opened this again" in page.text


async def test_two_who_take_it_at_once_do_not_both_have_it(shop: Shop, maya: Browser, sign_in: SignIn) -> None:
    karim = await sign_in(shop.colleagues["karim"].email or "")
    first = await maya.post(at(shop, "emma", "/assign"), data={"to": str(shop.owner.id), "seen": ""})
    second = await karim.post(at(shop, "emma", "/assign"), data={"to": str(shop.colleagues["karim"].id), "seen": ""})
    assert first.status_code == 200
    assert second.status_code == 409
    assert second.json()["error"]["code"] == "assigned_meanwhile"


async def test_nobody_is_given_work_they_may_not_do(shop: Shop, maya: Browser) -> None:
    light = str(shop.colleagues["lior"].id)
    answer = await maya.post(at(shop, "emma", "/assign"), data={"to": light, "seen": ""})
    assert answer.status_code == 404
    page = await maya.get(f"/panel/inbox/{shop.talks['emma']}")
    assert f'<option value="{light}"' not in page.text


async def test_the_list_names_who_waits_and_how_long(app: App, shop: Shop, maya: Browser) -> None:
    async with app.db.transaction(shop.workspace_id) as tx:
        # Nobody has promised anything until somebody does.
        for name, minutes in (("huda", -5), ("emma", 20)):
            talk = await tx.get(Conversation, shop.talks[name])
            assert talk is not None
            talk.due_at = datetime.now(UTC) + timedelta(minutes=minutes, seconds=10)
    page = await maya.get("/panel/inbox", headers={"hx-request": "true", "hx-target": "section#queue",
                                                   "hx-request-type": "partial"})  # fmt: skip
    assert page.text.lstrip().startswith("<section")
    assert page.text.count('class="row') >= 4
    assert re.search(r'class="waiting late".{0,1500}5 minutes overdue', page.text, re.DOTALL)
    assert "20 minutes left" in page.text
    due = await maya.get("/panel/inbox?view=breaching")
    assert due.text.index(str(shop.talks["huda"])) < due.text.index(str(shop.talks["emma"]))
    assert str(shop.talks["tamar"]) not in due.text
    mine = await maya.get("/panel/inbox?view=mine")
    assert str(shop.talks["huda"]) in mine.text
    assert str(shop.talks["emma"]) not in mine.text
    closed = await maya.get("/panel/inbox?view=resolved")
    assert str(shop.talks["salem"]) in closed.text


async def test_the_list_says_what_is_at_stake(shop: Shop, maya: Browser) -> None:
    page = (await maya.get("/panel/inbox")).text
    # A page without the row fails right here, which is what the check that is switched off would ask for.
    rows = {id: re.search(rf'id="row-{id}".*?</a>', page, re.DOTALL)[0] for id in shop.talks.values()
            if f'id="row-{id}"' in page}  # fmt: skip
    emma, huda, unknown = (rows[shop.talks[name]] for name in ("emma", "huda", "visitor"))
    assert "#1051" in emma, "a parcel on its way goes before the open cart"
    assert "#1042" in huda
    assert "Not shipped yet" in huda
    assert "row-stake" not in unknown
    assert "Oud &amp; Amber" in emma
    assert ">Chat</span>" in emma


async def test_who_took_it_stands_between_the_messages_at_once(shop: Shop, maya: Browser) -> None:
    form = {"client_id": str(uuid4()), "text": "On its way."}
    answer = await maya.post(at(shop, "emma", "/reply"), data=form)
    assert "Maya Haddad\u2069 took this" in answer.text
    last = re.findall(r'data-position="(\d+)"', answer.text)[-1]
    await maya.post(at(shop, "emma", "/status"), data={"to": "resolved"})
    new = (await maya.get(at(shop, "emma", f"/messages?after={last}"))).text
    assert "resolved this" in new
    assert "took this" not in new
    assert 'class="message ' not in new


async def test_it_says_where_an_answer_goes_while_nobody_is_there(app: App, shop: Shop, maya: Browser) -> None:
    async def line(name: str) -> str:
        return unescape((await maya.get(at(shop, name, "/reach"))).text)

    assert "E-mail is not set up" in await line("emma")
    assert "emma.clarke@mail.example" in await line("emma")
    assert "answers wait in the chat" in await line("visitor")
    talk = shop.talks["emma"]
    await presence.shopper_here(app.hub, shop.workspace_id, talk, "tab")
    assert "hidden" in await line("emma")
    assert "Not in the chat" not in await line("emma")
    await presence.shopper_gone(app.hub, shop.workspace_id, talk, "tab")
    assert "Not in the chat" in (await maya.get(f"/panel/inbox/{talk}")).text


async def test_what_somebody_typed_is_shown_as_unproven_and_opens_nothing(shop: Shop, maya: Browser) -> None:
    page = await maya.get(f"/panel/inbox/{shop.talks['visitor']}")
    assert "abu.fahad@mail.example" in page.text
    assert "not confirmed" in page.text
    talk = page.text.partition('<section id="thread"')[2]
    assert talk
    assert "#1042" not in talk
    assert 'class="order"' not in page.text


async def test_reading_a_customer_is_written_down(app: App, shop: Shop, maya: Browser) -> None:
    async def looks() -> int:
        async with app.db.transaction(shop.workspace_id) as tx:
            return int(await tx.scalar(select(func.count()).select_from(privacy.AccessLog).where(
                privacy.AccessLog.agent_id == shop.owner.id)))  # fmt: skip

    huda = shop.people["huda"]
    before = await looks()
    for path in (f"/panel/inbox/{shop.talks['huda']}", f"/panel/customers/{huda}", f"/panel/customers/{huda}/timeline"):
        assert (await maya.get(path)).status_code == 200
        assert await looks() > before
        before = await looks()
    await maya.get(f"/panel/inbox/{shop.talks['visitor']}")
    assert await looks() == before


@pytest.mark.parametrize("query", ["هدى", "القحطانى", "huda@mail", "4567", "#1042", "1042"])
async def test_people_are_found_in_their_own_script(shop: Shop, maya: Browser, query: str) -> None:
    page = await maya.get("/panel/customers", params={"q": query})
    assert str(shop.people["huda"]) in page.text
    assert "emma.clarke" not in page.text


async def test_two_profiles_are_joined_and_taken_apart_again(shop: Shop, maya: Browser) -> None:
    emma, tamar = shop.people["emma"], shop.people["tamar"]
    found = await maya.get(f"/panel/customers/{emma}/candidates", params={"q": "תמר"})
    assert str(tamar) in found.text
    assert (await maya.post(f"/panel/customers/{emma}/merge", data={"other": str(tamar)})).status_code == 303
    joined = await maya.get(f"/panel/customers/{emma}")
    assert "#2310" in joined.text
    assert "#1051" in joined.text
    merge = re.search(r'name="merge" value="([^"]+)"', joined.text)
    assert merge is not None
    assert (await maya.post(f"/panel/customers/{emma}/undo-merge", data={"merge": merge[1]})).status_code == 303
    assert "#2310" not in (await maya.get(f"/panel/customers/{emma}")).text


async def test_money_and_dates_are_written_for_the_reader(app: App, shop: Shop, maya: Browser) -> None:
    async with app.db.transaction(shop.workspace_id) as tx:
        owner = await tx.get(team.Agent, shop.owner.id)
        assert owner is not None
        owner.locale = "ar"
    page = await maya.get(f"/panel/customers/{shop.people['huda']}")
    assert '<html lang="ar" dir="rtl">' in page.text
    assert "\u0631.\u0633" in page.text
    assert "المشتريات" in page.text


# Stores


async def deliver(app: App, shop: Shop, store: Store, **columns: object) -> int:
    async with app.db.queue.begin() as connection:
        row = await connection.execute(
            text(
                "INSERT INTO webhook_inbox (source, key, store_kind, store_key, topic, body, headers, workspace_id, "
                "store_id, parked_at, done_at, error) VALUES ('shopify', :key, 'store', 'x', :topic, '{}', '{}', "
                ":workspace, :store, :parked, :done, :error) RETURNING id"
            ),
            {"key": uuid4().hex, "workspace": shop.workspace_id, "store": store.id, "parked": None, "done": None,
             "error": "", "topic": "orders/updated", **columns},
        )  # fmt: skip
        return int(row.scalar_one())


async def test_what_could_not_be_read_is_shown_and_put_back(app: App, shop: Shop, maya: Browser) -> None:
    oud, now = shop.stores["oud"], datetime.now(UTC)
    broken = await deliver(app, shop, oud, parked=now, error="ValueError: <script> Huda is no number")
    also = await deliver(app, shop, oud, parked=now, error="KeyError: 'id'")
    await deliver(app, shop, oud, done=now)
    page = await maya.get(f"/panel/stores/{oud.id}")
    assert page.text.count("It is not written as the platform describes it.") == 2
    assert "is no number" not in page.text, "what an error says may be out of the delivery"
    assert "2 deliveries could not be read" in page.text
    other = shop.stores["kad"].id
    await maya.post(f"/panel/stores/{other}/replay", data={"delivery": str(broken)})
    assert "2 deliveries could not be read" in (await maya.get(f"/panel/stores/{oud.id}?parked=1")).text
    await maya.post(f"/panel/stores/{oud.id}/replay", data={"delivery": str(broken)})
    assert "1 delivery could not be read" in (await maya.get(f"/panel/stores/{oud.id}")).text
    await maya.post(f"/panel/stores/{oud.id}/replay")
    page = await maya.get(f"/panel/stores/{oud.id}")
    assert "could not be read" not in page.text
    async with app.db.queue.begin() as connection:
        rows = await connection.execute(
            text("SELECT parked_at, done_at, error FROM webhook_inbox WHERE id = ANY(:ids)"), {"ids": [broken, also]}
        )
        assert [tuple(row) for row in rows] == [(None, None, "")] * 2


async def test_checking_and_reading_again_leave_jobs(app: App, shop: Shop, maya: Browser) -> None:
    oud = shop.stores["oud"]
    await maya.post(f"/panel/stores/{oud.id}/check")
    await maya.post(f"/panel/stores/{oud.id}/history")
    async with app.db.queue.begin() as connection:
        rows = await connection.execute(
            text("SELECT task FROM jobs WHERE workspace_id = :w AND arguments->>'store_id' = :s AND every IS NULL"),
            {"w": shop.workspace_id, "s": str(oud.id)},
        )
        tasks = {row.task for row in rows}
    assert {"check_store", "start_backfill"} <= tasks


async def test_the_widget_says_what_was_set_and_keeps_only_what_makes_sense(
    app: App, shop: Shop, maya: Browser, visitor: Browser
) -> None:
    oud = shop.stores["oud"]
    path = f"/panel/settings/widget/{oud.id}"
    assert (await maya.post(path, data={"greeting": " مرحبًا ", "answer_time": "hours"})).status_code == 303
    frame = (await visitor.get(f"/widget/frame?store={oud.public_key}")).text
    # A frame without its configuration fails right here.
    config = json.loads(re.search(r'id="config"[^>]*>(.*?)</script>', frame, re.DOTALL)[1])
    assert (config["greeting"], config["answers"]) == ("مرحبًا", "hours")
    assert (await maya.post(path, data={"greeting": "x" * 900, "answer_time": "never"})).status_code == 303
    async with app.db.transaction(shop.workspace_id) as tx:
        store = await tx.get(Store, oud.id)
    assert store is not None
    assert (len(store.widget["greeting"]), store.widget["answer_time"]) == (200, "")


async def test_the_theme_editor_is_one_press_away(app: App, shop: Shop, maya: Browser) -> None:
    editor = "https://x.myshopify.com/admin/themes/current/editor?context=apps&activateAppId=1/a"
    async with app.db.transaction(shop.workspace_id) as tx:
        store = await tx.get(Store, shop.stores["oud"].id)
        assert store is not None
        store.findings = [{"code": "embed", "ok": False, "detail": editor}]
    for path in ("/panel", "/panel/stores", f"/panel/stores/{shop.stores['oud'].id}"):
        page = (await maya.get(path)).text
        button = re.search(r'<a class="button" href="([^"]+)"[^>]*>Open the theme editor', page)
        assert button is not None, path
        assert unescape(button[1]) == editor


async def test_a_shopify_address_is_never_asked_for(shop: Shop, empty_shop: Shop, sign_in: SignIn) -> None:
    for one in (shop, empty_shop):
        page = await (await sign_in(one.email)).get("/panel/stores")
        fields = re.findall(r'<input[^>]*name="([^"]+)"', page.text)
        assert fields == ["site"]
        assert "myshopify" not in page.text


# Files


async def test_a_file_link_is_for_those_who_may_see_it_and_for_a_minute(
    app: App, shop: Shop, empty_shop: Shop, maya: Browser, sign_in: SignIn
) -> None:
    uploaded = await maya.post(at(shop, "emma", "/attachments"), files={"file": ("прайс.txt", b"six ambers\n")})
    assert uploaded.status_code == 200, uploaded.text
    file_id = uploaded.json()["id"]
    form = {"client_id": str(uuid4()), "text": "", "attachment": file_id}
    assert "data-file" in (await maya.post(at(shop, "emma", "/reply"), data=form)).text
    link = (await maya.get(f"/panel/files/{file_id}")).json()["url"]
    served = await maya.get(link)
    assert served.content == b"six ambers\n"
    assert served.headers["content-disposition"].startswith("attachment")
    stranger = await sign_in(empty_shop.email)
    assert (await stranger.get(f"/panel/files/{file_id}")).status_code == 404
    program = await maya.post(at(shop, "emma", "/attachments"), files={"file": ("x.html", b"MZ\x90\x00")})
    assert program.status_code == 415


# Live


async def test_a_stream_tells_what_is_new_and_nothing_of_it(app: App) -> None:
    shop = await seed(app)
    async with serving(app) as panel, httpx.AsyncClient(base_url=panel.url) as client:
        page = await client.get("/sign-in")
        csrf = page.text.split('name="csrf" value="')[1].split('"')[0]
        await client.post("/sign-in", data={"email": shop.email, "password": PASSWORD, "csrf": csrf})
        async with client.stream("GET", f"/panel/live?conversation={shop.talks['emma']}") as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            lines = response.aiter_lines()
            assert await anext(lines) == "event: live:open"
            async with app.db.transaction(shop.workspace_id) as tx:
                talk = await tx.get(Conversation, shop.talks["emma"])
                assert talk is not None
                await messages.note(tx, talk, shop.owner, new_id(), "nobody else may read this")
                await messages.reply(tx, talk, shop.owner, new_id(), "a secret reply")
            seen: list[str] = []
            async with asyncio.timeout(30):
                while sum("live:message" in line for line in seen) < 2 or not any(
                    "live:queue" in line for line in seen
                ):
                    seen.append(await anext(lines))
    assert "secret" not in "".join(seen)
    assert "nobody else" not in "".join(seen)


async def test_a_stream_of_a_strangers_conversation_is_not_found(shop: Shop, empty_shop: Shop, sign_in: SignIn) -> None:
    browser = await sign_in(empty_shop.email)
    assert (await browser.get(f"/panel/live?conversation={shop.talks['emma']}")).status_code == 404
    assert (await browser.get(f"/panel/live?conversation={UUID(int=1)}")).status_code == 404
    assert (await browser.get("/panel/live?conversation=x")).status_code == 404


@pytest.mark.parametrize(
    ("language", "asked", "done", "told"),
    [
        ("en", "Return requested", "Return completed", "Return of order"),
        ("ar", "إرجاع مطلوب", "إرجاع مكتمل", "اكتمل إرجاع من الطلب"),
        ("he", "התבקשה החזרה", "החזרה הושלמה", "הושלמה החזרה מהזמנה"),
    ],
)
async def test_an_order_says_what_became_of_its_return(
    app: App, sign_in: SignIn, language: str, asked: str, done: str, told: str
) -> None:
    shop = await seed(app, locale=language)
    maya = await sign_in(shop.email)
    talk = (await maya.get(f"/panel/inbox/{shop.talks['huda']}")).text
    found = re.search(r"/panel/customers/([0-9a-f-]{36})", talk)
    assert found
    page = (await maya.get(f"/panel/customers/{found[1]}")).text
    for one in (talk, page):
        cards = {
            card[0]: card[1] for card in re.findall(r'order-name" dir="ltr">(#\d+)</bdi>(.*?)</details>', one, re.S)
        }
        assert asked in cards["#1017"].partition("</summary>")[0], "also while the card is closed"
        assert "#1017-R1" in cards["#1017"]
        assert done in cards["#988"].partition("</summary>")[2]
        assert done not in cards["#988"].partition("</summary>")[0], "what is over waits for nobody"
        assert asked not in cards["#1042"]
    assert told in page


async def test_a_return_that_nobody_answered_is_what_to_do_next(shop: Shop, maya: Browser, app: App) -> None:
    async with app.db.transaction(shop.workspace_id) as tx:
        # What was worse about the other order is settled.
        await tx.execute(text("UPDATE orders SET fulfilment_status = 'fulfilled' WHERE name = '#1042'"))
    talk = unescape((await maya.get(f"/panel/inbox/{shop.talks['huda']}")).text)
    assert "Answer the return request" in talk
    assert "A return of order \u2066#1017\u2069 was requested" in talk
    async with app.db.transaction(shop.workspace_id) as tx:
        await tx.execute(text("UPDATE order_returns SET status = 'open'"))
    assert "Answer the return request" not in (await maya.get(f"/panel/inbox/{shop.talks['huda']}")).text
