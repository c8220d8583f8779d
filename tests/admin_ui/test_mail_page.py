"""The mailbox of a store in the panel, and a mail in its thread."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
from PIL import Image
from sqlalchemy import select

from admin_ui.pages.mail import TROUBLES
from integrations.channels.email.imap import Mailboxes
from plugin import stores
from plugin.app import App
from plugin.channel import Inbound
from plugin.conversations import letters, mailboxes
from plugin.conversations.conversations import Conversation
from plugin.conversations.messages import Message
from plugin.kernel.http import Http
from plugin.stores import Store
from plugin.team.audit import AuditEntry
from tests.admin_ui.conftest import Browser, SignIn
from tests.admin_ui.shop import Shop
from tests.mailroom import PASSWORD, SERVERS, USER, MailServer, Post, imap_server, smtp_server

FORM = {
    "address": "help@dukkan.example",
    "provider": "mailgun",
    "key": "a-key-of-mailguns-own",
    "smtp_host": "localhost",
    "smtp_port": "25",
    "smtp_user": "",
}


@pytest.fixture
async def maya(shop: Shop, sign_in: SignIn) -> Browser:
    return await sign_in(shop.email)


@pytest.fixture
async def store(app: App, shop: Shop) -> Store:
    async with app.db.transaction(shop.workspace_id) as tx:
        return next(store for store in await stores.all_stores(tx) if store.status == stores.CONNECTED)


@pytest.fixture
async def post() -> AsyncIterator[Post]:
    async with smtp_server() as post:
        yield post


async def test_a_mailbox_is_set_up_and_its_secrets_are_never_shown(
    app: App, shop: Shop, store: Store, maya: Browser
) -> None:
    page = f"/panel/settings/mail/{store.id}"
    answer = await maya.post(page, data={**FORM, "smtp_user": "u", "smtp_password": "very-secret"})
    assert answer.status_code in (200, 204, 303), answer.text
    shown = (await maya.get(page)).text
    assert "help@dukkan.example" in shown
    assert re.search(r"/webhooks/mail/[\w-]{24}/mime", shown)
    assert "very-secret" not in shown
    assert FORM["key"] not in shown
    assert page.removeprefix("/panel/") in (await maya.get("/panel/settings")).text
    async with app.db.transaction(shop.workspace_id) as tx:
        assert await mailboxes.key_of(tx, app.vault, store.id) == FORM["key"]
        noted = (await tx.scalars(select(AuditEntry).where(AuditEntry.kind == "settings.mailbox"))).one()
    assert noted.changes["smtp_host"] == ["", "localhost"]
    assert "secret" not in str(noted.changes)


async def test_what_does_not_fit_is_said_at_its_field_and_changes_nothing(
    app: App, shop: Shop, store: Store, maya: Browser
) -> None:
    wrong = {**FORM, "address": "nobody", "smtp_port": "70000", "key": "short"}
    answer = await maya.post(f"/panel/settings/mail/{store.id}", data=wrong)
    assert answer.status_code == 422
    assert answer.text.count('aria-invalid="true"') == 3
    async with app.db.transaction(shop.workspace_id) as tx:
        assert await mailboxes.of_store(tx, store.id) is None


async def test_a_test_says_what_the_server_said(
    app: App, shop: Shop, store: Store, maya: Browser, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.http.guard, "permits", lambda host, address: True)
    page = f"/panel/settings/mail/{store.id}"
    await maya.post(page, data={**FORM, "smtp_host": "127.0.0.1", "smtp_port": str(post.port)})
    good = await maya.post(f"{page}/test")
    assert f"Sent to {shop.email}" in good.text
    assert len(post.mails) == 1
    post.refusal = "554 5.7.1 this sender is not ours"
    bad = await maya.post(f"{page}/test")
    assert "5.7.1 this sender is not ours" in bad.text
    assert 'class="notice bad"' in bad.text


async def arrive(app: App, shop: Shop, store: Store, mail: Inbound) -> tuple[UUID, UUID]:
    async with app.db.transaction(shop.workspace_id) as tx:
        box = await mailboxes.save(tx, app.vault, store.id, mailboxes.checked(FORM), actor="system")
        assert await letters.take(tx, store, box, await letters.prepare(mail)) == letters.Outcome.TAKEN
        talk = (await tx.scalars(select(Conversation).where(Conversation.reply_email == mail.sender))).one()
        message = (await tx.scalars(select(Message).where(Message.conversation_id == talk.id))).one()
        return talk.id, message.id


async def test_a_mail_in_the_thread_shows_its_sender_and_folds_the_rest(
    app: App, shop: Shop, store: Store, maya: Browser
) -> None:
    raw = (
        f"From: ليلى <layla-{uuid4().hex}@example.com>\nSubject: الطلب\nMessage-ID: <{uuid4()}@x>\n"
        'Content-Type: text/html; charset=utf-8\n\n<p>أين طلبي؟</p><script>x()</script><img src="https://t.example/p.gif">'
        "<p>-- </p><p>ليلى</p>"
    )
    mail = app.channels["email"].read("mime", {}, raw.encode())
    talk, message = await arrive(app, shop, store, mail)
    page = (await maya.get(f"/panel/inbox/{talk}")).text
    assert mail.sender in page
    assert "Address not proven" in page
    assert "Quotes and signature" in page
    assert "Your answer goes out as an e-mail to" in page
    assert "t.example" not in page
    whole = f"/panel/conversations/{talk}/mail/{message}"
    shown = (await maya.get(whole)).text
    assert "أين طلبي؟" in shown
    assert "t.example" not in shown
    assert "1 picture is not shown" in shown
    assert "x()" not in shown
    asked = (await maya.get(whole, params={"images": "1"})).text
    assert re.search(r'src="/mail-pictures/[\w.-]+"', asked)
    assert "t.example" not in asked, "the server asks there, not the reader's browser"
    other = next(iter(shop.talks.values()))
    assert (await maya.get(f"/panel/conversations/{other}/mail/{message}")).status_code == 404


@pytest.fixture(params=SERVERS)
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[MailServer]:
    async with imap_server(request.param, tmp_path) as made:
        yield made


async def test_a_mailbox_that_we_read_is_tried_and_each_failure_has_its_words(
    app: App, shop: Shop, store: Store, maya: Browser, server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    boxes = Mailboxes(lambda host, port: ["127.0.0.1"], server.trust)
    monkeypatch.setattr(app.channels["email"], "_mailboxes", boxes)
    await server.deliver(b"Subject: one\n\none\n")
    page = f"/panel/settings/mail/{store.id}"
    form = {
        "address": USER, "provider": "imap", "imap_host": "localhost", "imap_port": str(server.port),
        "imap_user": USER, "imap_password": PASSWORD, "imap_folder": "INBOX", "imap_wrapped": "1", "plus": "1",
    }  # fmt: skip
    missing = await maya.post(page, data={**form, "imap_host": "", "imap_user": "", "imap_port": "x"})
    assert missing.status_code == 422
    assert missing.text.count('aria-invalid="true"') == 3
    assert (await maya.post(page, data=form)).status_code in (200, 204, 303)
    shown = (await maya.get(page)).text
    assert PASSWORD not in shown
    assert "/webhooks/mail/" not in shown, "nobody posts here"
    good = await maya.post(f"{page}/look")
    assert "The mailbox opens; 1 message is in it." in good.text
    for change, words in (
        ({"imap_folder": "Nowhere"}, "no folder of this name"),
        ({"imap_password": "wrong"}, "refuses this user and password"),
        ({"imap_port": "9", "imap_password": PASSWORD}, "Nobody answers at this server and port"),
    ):
        await maya.post(page, data={**form, "imap_password": "", **change})
        bad = await maya.post(f"{page}/look")
        assert words in bad.text
        assert 'class="notice bad"' in bad.text
    elsewhere = await maya.post(page, data={**form, "imap_host": "evil.example", "imap_password": ""})
    assert elsewhere.status_code == 422, "a password is for the server that it was typed for"
    async with app.db.transaction(shop.workspace_id) as tx:
        row = await stores.credential(tx, app.vault, store.id, mailboxes.IMAP)
    assert row is not None
    assert PASSWORD.encode() not in row[1].sealed
    boxes.close()


async def test_a_private_mail_server_is_refused_in_words(app: App, shop: Shop, store: Store, maya: Browser) -> None:
    page = f"/panel/settings/mail/{store.id}"
    form = {"address": USER, "provider": "imap", "imap_user": USER, "imap_password": "x"}
    for host in ("127.0.0.1", "169.254.169.254"):
        await maya.post(page, data={**form, "imap_host": host})
        assert "private network" in (await maya.post(f"{page}/look")).text


async def test_why_a_mailbox_is_not_read_stands_on_its_page(app: App, shop: Shop, store: Store, maya: Browser) -> None:
    page = f"/panel/settings/mail/{store.id}"
    form = {"address": USER, "provider": "imap", "imap_host": "mail.example", "imap_user": USER, "imap_password": "x"}
    await maya.post(page, data=form)
    assert "The mailbox is opened within seconds." in (await maya.get(page)).text
    for trouble, words in TROUBLES.items():
        async with app.db.transaction(shop.workspace_id) as tx:
            box = await mailboxes.of_store(tx, store.id)
            assert box is not None
            box.unread, box.unread_said = trouble.value, "[ALERT] as the server said it"
        shown = unescape((await maya.get(page)).text)
        assert str(words) in shown
        assert "[ALERT] as the server said it" in shown


# Pictures that lie elsewhere


def _picture(size: tuple[int, int] = (3, 2)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, "teal").save(file, "PNG", pnginfo=None)
    return file.getvalue()


async def links_of(app: App, shop: Shop, store: Store, maya: Browser, *sources: str) -> list[str]:
    images = "".join(f'<img src="{source}">' for source in sources)
    raw = (
        f"From: layla-{uuid4().hex}@example.com\nSubject: x\nMessage-ID: <{uuid4()}@x>\n"
        f"Content-Type: text/html; charset=utf-8\n\n<p>look</p>{images}"
    )
    talk, message = await arrive(app, shop, store, app.channels["email"].read("mime", {}, raw.encode()))
    page = (await maya.get(f"/panel/conversations/{talk}/mail/{message}", params={"images": "1"})).text
    return re.findall(r'src="(/mail-pictures/[\w.-]+)"', page)


async def test_a_picture_that_lies_elsewhere_is_fetched_by_the_server_and_drawn_anew(
    app: App, shop: Shop, store: Store, maya: Browser, visitor: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        if request.url.path == "/moved":
            return httpx.Response(302, headers={"location": "https://cdn.example/p.png"})
        if request.url.path == "/round":
            return httpx.Response(302, headers={"location": "/round"})
        if request.url.path == "/nowhere":
            return httpx.Response(302, headers={"location": "http://[1"})
        if request.url.path == "/page":
            return httpx.Response(200, text="<script>x()</script>", headers={"content-type": "image/png"})
        if request.url.path == "/svg":
            return httpx.Response(200, text='<svg xmlns="http://www.w3.org/2000/svg" onload="x()"/>')
        return httpx.Response(200, content=_picture() + b"<script>hidden</script>")

    monkeypatch.setattr(app.http, "_client", httpx.AsyncClient(transport=httpx.MockTransport(answer)))
    good, moved, round_, page, svg, nowhere = await links_of(
        app,
        shop,
        store,
        maya,
        *(f"https://t.example/{name}" for name in ("p.png?to=layla", "moved", "round", "page", "svg", "nowhere")),
    )
    assert asked == [], "nothing is fetched before a browser asks for it"
    served = await visitor.get(good)
    assert served.status_code == 200, "a frame inside an admin has no cookie: the link itself is the key"
    assert served.headers["content-type"] == "image/png"
    assert b"hidden" not in served.content
    assert served.headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert str(asked[0].url) == "https://t.example/p.png?to=layla"
    assert not {"cookie", "referer", "authorization"} & set(asked[0].headers)
    assert (await visitor.get(moved)).status_code == 200
    for broken in (round_, page, svg, nowhere):
        assert (await visitor.get(broken)).status_code == 404
    assert len([one for one in asked if one.url.path == "/round"]) == 4
    assert (await visitor.get(good[:-4] + "AAAA")).status_code == 404, "a link cannot be made up"
    other = app.vault.sign("file", {"w": str(shop.workspace_id), "l": str(uuid4()), "n": 0}, 60)
    assert (await visitor.get(f"/mail-pictures/{other}")).status_code == 404, "nor one made for something else"


async def test_a_picture_leads_nobody_into_the_private_network(
    app: App, shop: Shop, store: Store, maya: Browser, visitor: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    knocked = 0

    async def knock(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal knocked
        knocked += 1
        writer.close()

    server = await asyncio.start_server(knock, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    monkeypatch.setattr(app.http, "_client", Http()._client)
    links = await links_of(
        app,
        shop,
        store,
        maya,
        f"http://127.0.0.1:{port}/x",
        f"http://localhost:{port}/x",
        "http://169.254.169.254/latest",
    )
    assert len(links) == 3
    for one in links:
        assert (await visitor.get(one)).status_code == 404
    assert knocked == 0
    server.close()
