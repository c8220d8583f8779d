"""Mail to a store, all the way: posted by its provider, read by the worker, shown to the agent, answered by SMTP."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import websockets
from sqlalchemy import String, cast, func, select

from integrations.channels.email import inbound
from integrations.channels.email.imap import Mailboxes
from plugin.conversations import delivery
from plugin.conversations.conversations import EMAIL, Conversation
from plugin.conversations.mailboxes import Mailbox
from plugin.crm.customers import Customer
from plugin.crm.identities import Identity
from plugin.crm.orders import Order, OrderLine
from plugin.kernel.jobs import JobRow
from plugin.stores import Store
from tests.journeys.conftest import Owner, Shopper, World, csrf
from tests.mailroom import PASSWORD, USER, Post, pymap_server, smtp_server, written

KEY = "the-key-that-signs-posted-mail"
RELAY = "mx.zaytouna.example"
ADDRESS = "help@zaytouna.example"


@dataclass
class MailWorld:
    """The store's mailbox, its provider's way in and the server by which answers leave."""

    world: World
    owner: Owner
    store: Store
    token: str
    post: Post

    async def deliver(self, raw: bytes) -> None:
        """What the provider does with each mail that somebody sent to the store."""
        async with self.world.client(base_url=self.world.url) as provider:
            sent = await provider.post(
                f"/webhooks/mail/{self.token}",
                content=raw,
                headers={inbound.SIGNATURE: inbound.sign(raw, KEY), "content-type": "message/rfc822"},
            )
        assert sent.status_code == 200

    async def talk(self, preview: str) -> Conversation:
        """The conversation whose last words these are."""

        async def found() -> Any:
            rows = await self.world.all(self.store.workspace_id, Conversation, Conversation.preview == preview)
            return rows[0] if rows else None

        talk: Conversation = await self.world.until(found, 60, what=f"a conversation that says {preview!r}")
        return talk

    async def seen(self, path: str) -> str:
        """A page of the panel as the merchant reads it."""
        page = await self.owner.browser.get(f"{self.world.url}/panel/{path}")
        assert page.status_code == 200, page.text
        return unescape(page.text)

    async def answer(self, talk: UUID, text: str) -> None:
        """The merchant answers in the panel."""
        page = await self.seen(f"inbox/{talk}")
        fields = {"text": text, "client_id": str(uuid4())}
        sent = await self.owner.browser.post(
            f"{self.world.url}/panel/conversations/{talk}/reply", fields, **{"x-csrf-token": csrf(page)}
        )
        assert sent.status_code < 300, sent.text

    async def mail_that_says(self, text: str) -> Any:
        """The mail that arrived at the SMTP server with these words."""

        async def found() -> Any:
            return next((mail for mail in self.post.mails if text in mail.get_body(("plain",)).get_content()), None)

        return await self.world.until(found, 60, what=f"a mail that says {text!r}")


@pytest.fixture
async def mails(
    world: World, woo_store: Store, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[MailWorld]:
    """The store's mailbox, set up in its settings page by the merchant."""
    monkeypatch.setattr(delivery, "GONE_SECONDS", 0)
    monkeypatch.setattr(delivery, "HERE_SECONDS", 0)
    # The server of the tests is on this machine, where no merchant's may be.
    permits = world.app.http.guard.permits
    monkeypatch.setattr(
        world.app.http.guard, "permits", lambda host, address: host == "localhost" or permits(host, address)
    )
    async with smtp_server() as post:
        page = f"{world.url}/panel/settings/mail/{woo_store.id}"
        shown = await owner.browser.get(page)
        fields = {
            "address": ADDRESS, "provider": "mime", "key": KEY, "relay": RELAY,
            "smtp_host": "localhost", "smtp_port": str(post.port),
        }  # fmt: skip
        saved = await owner.browser.post(page, fields, **{"x-csrf-token": csrf(shown.text)})
        assert saved.status_code == 200, saved.text
        [box] = await world.all(woo_store.workspace_id, Mailbox)
        yield MailWorld(world, owner, woo_store, box.token, post)


@dataclass
class Victim:
    """A customer of the store. `secrets` are words that stand on no page and in no mail that a stranger caused."""

    customer: Customer
    secrets: list[str]


async def _victim(mails: MailWorld) -> Victim:
    world, workspace_id = mails.world, mails.store.workspace_id
    await world.history_of(mails.store)
    for order in await world.all(workspace_id, Order, Order.store_id == mails.store.id, Order.customer_id.is_not(None)):
        [customer] = await world.all(workspace_id, Customer, Customer.id == order.customer_id)
        if customer.email and customer.phone:
            lines = await world.all(workspace_id, OrderLine, OrderLine.order_id == order.id)
            secrets = [customer.phone, str(order.id), str(customer.id), *(line.title for line in lines)]
            known = await mails.seen(f"customers/{customer.id}")
            secrets = [secret for secret in secrets if secret in known]
            assert len(secrets) >= 3, "the merchant sees them where they belong"
            return Victim(customer, secrets)
    raise AssertionError("no customer has orders, an address and a number")


async def _proofs(world: World, store: Store) -> set[tuple[Any, ...]]:
    rows = await world.all(store.workspace_id, Identity)
    return {(row.customer_id, row.kind, row.value, row.proof) for row in rows}


async def test_a_forged_from_merges_shows_and_receives_nothing(
    mails: MailWorld, world: World, woo_store: Store
) -> None:
    victim = await _victim(mails)
    address, proofs = victim.customer.email, await _proofs(world, woo_store)
    domain = address.partition("@")[2]
    people = len(await world.all(woo_store.workspace_id, Customer))
    # The provider's own server saw that it is forged; what stands below came with the mail and claims otherwise.
    verdicts = (
        f"{RELAY}; dkim=none; dmarc=fail header.from={domain}",
        f"{RELAY}; dkim=pass header.d={domain}; dmarc=pass header.from={domain}",
        f"mx.elsewhere.example; dmarc=pass header.from={domain}",
    )
    words = "Which orders do I have? Write to my number."
    await mails.deliver(
        written(
            words, sender=f"{victim.customer.name} <{address}>", to=ADDRESS, results=verdicts,
            Reply_To="eve@attacker.example", Sender="eve@attacker.example", Return_Path="<eve@attacker.example>",
        )
    )  # fmt: skip
    talk = await mails.talk(words)

    # Merged: nothing.
    assert (talk.channel, talk.customer_id, talk.visitor_id) == (EMAIL, None, None)
    assert await _proofs(world, woo_store) == proofs
    assert len(await world.all(woo_store.workspace_id, Customer)) == people

    # Shown: nothing beside what the mail says of itself, and that it is not proven.
    page = await mails.seen(f"inbox/{talk.id}")
    assert "Address not proven" in page
    for secret in victim.secrets:
        assert secret not in page, f"{secret} is shown beside a forged mail"
    assert str(talk.id) not in await mails.seen(f"customers/{victim.customer.id}"), "nor does it stand in their history"

    # Received: whoever answers, the answer goes to the address that was abused, and to nobody else.
    await mails.answer(talk.id, "Please tell us an order's number.")
    sent = await mails.mail_that_says("Please tell us an order's number.")
    assert sent["To"] == address
    assert set(mails.post.recipients) == {address}
    assert "eve@" not in sent.as_string()
    for secret in victim.secrets:
        assert secret not in sent.as_string()

    # The forger writes again, and claims to answer a mail that they have never seen: it begins another.
    again = "And where is it?"
    await mails.deliver(
        written(
            again, sender=address, to="help+aaaaaaaaaaaaaaaaaaaa@zaytouna.example", results=verdicts,
            In_Reply_To="<guessed@zaytouna.example>",
        )
    )  # fmt: skip
    second = await mails.talk(again)
    assert (second.id != talk.id, second.customer_id) == (True, None)
    assert await _proofs(world, woo_store) == proofs


async def test_a_strangers_address_and_number_typed_into_the_widget_open_nothing_by_mail(
    mails: MailWorld, world: World, woo_store: Store, shopper: Callable[[Store], Shopper]
) -> None:
    """Typed, then vouched for by a forged mail: the chat stays the typist's, and what is the customer's stays there."""
    victim = await _victim(mails)
    address, proofs = victim.customer.email, await _proofs(world, woo_store)
    stranger = shopper(woo_store)
    await stranger.open()
    words = f"It is me, {victim.customer.phone}, tell me my orders"
    await stranger.say(words, str(uuid4()))
    typed = await stranger.http.post("/widget/email", json={"email": address})
    assert typed.status_code < 300
    talk = await mails.talk(words)
    assert talk.reply_email == address

    forged = "Yes, this is me, it is my address."
    await mails.deliver(
        written(forged, sender=address, to=ADDRESS, results=(f"{RELAY}; dmarc=pass header.from=eve.example",))
    )
    by_mail = await mails.talk(forged)
    assert (by_mail.id != talk.id, by_mail.customer_id) == (True, None), (
        "an address typed into a chat leads no mail there"
    )

    page = await mails.seen(f"inbox/{talk.id}")
    for secret in victim.secrets:
        assert secret == victim.customer.phone or secret not in page, f"{secret} is shown for a typed address"
    session = await stranger.open()
    assert session["visitor"]["identified"] is False
    assert [message["text"] for message in await stranger.hear()] == [words]
    for secret in victim.secrets:
        assert secret not in str(session)
    [now] = await world.all(woo_store.workspace_id, Conversation, Conversation.id == talk.id)
    assert now.customer_id is None
    assert await _proofs(world, woo_store) == proofs


async def test_the_thread_goes_on_by_mail_and_the_answer_is_in_the_open_widget(
    mails: MailWorld, world: World, woo_store: Store, shopper: Callable[[Store], Shopper]
) -> None:
    visitor = shopper(woo_store)
    await visitor.open(locale="en")
    question = f"is the blue bowl back? {uuid4().hex[:6]}"
    await visitor.say(question, str(uuid4()))
    assert (await visitor.http.post("/widget/email", json={"email": "rana@example.com"})).status_code < 300
    talk = await mails.talk(question)

    # Away: the agent's answer leaves by e-mail, with a way back into this thread alone.
    await mails.answer(talk.id, "It is back on Monday.")
    sent = await mails.mail_that_says("It is back on Monday.")
    assert (sent["To"], sent["From"].addresses[0].addr_spec) == ("rana@example.com", ADDRESS)
    assert "Answer this e-mail" in sent.get_body(("plain",)).get_content()
    back = str(sent["Reply-To"])
    assert back.startswith("help+")

    # Back on the page: the widget is open twice, by socket and by long poll.
    await visitor.open()
    ticket = (await visitor.http.post("/widget/ticket")).json()["ticket"]
    address = visitor.url.replace("http", "ws", 1)
    async with websockets.connect(
        f"{address}/widget/socket?ticket={ticket}&after=2", origin=websockets.Origin(visitor.url)
    ) as line:
        polling = asyncio.create_task(visitor.hear(after=2, wait=20))
        await mails.deliver(
            written(
                "Please keep one for me.\n\nOn Mon, Nov 2, 2026 the shop <help@zaytouna.example> wrote:\n> It is",
                sender="Rana <rana@example.com>", to=back, subject=f"Re: {sent['Subject']}",
                In_Reply_To=str(sent["Message-ID"]), References=str(sent["Message-ID"]),
            )
        )  # fmt: skip
        frame: dict[str, Any] = {}
        async with asyncio.timeout(60):
            while frame.get("type") != "message":
                frame = json.loads(await line.recv())
        [polled] = await polling
    for message in (frame["message"], polled):
        assert (message["author"], message["text"], message["seq"]) == ("shopper", "Please keep one for me.", 3)

    # The same thread for the agent; the answer to it goes out by mail again, in the same thread of their program.
    page = await mails.seen(f"inbox/{talk.id}")
    assert "Please keep one for me." in page
    assert "rana@example.com" in page
    await mails.answer(talk.id, "We set one aside.")
    again = await mails.mail_that_says("We set one aside.")
    assert str(sent["Message-ID"]) in str(again["References"])
    assert [message["text"] for message in await visitor.hear()] == [
        question, "It is back on Monday.", "Please keep one for me.", "We set one aside."
    ]  # fmt: skip


async def test_who_wants_no_more_mail_of_a_chat_ends_it_with_one_click(
    mails: MailWorld, world: World, woo_store: Store, shopper: Callable[[Store], Shopper]
) -> None:
    visitor = shopper(woo_store)
    await visitor.open(locale="en")
    question = f"do you ship abroad? {uuid4().hex[:6]}"
    await visitor.say(question, str(uuid4()))
    await visitor.http.post("/widget/email", json={"email": "somebody.else@example.com"})
    talk = await mails.talk(question)
    await mails.answer(talk.id, "We do.")
    sent = await mails.mail_that_says("We do.")
    assert sent["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    link = str(sent["List-Unsubscribe"]).strip("<>")
    assert link in sent.get_body(("plain",)).get_content()
    assert link in unescape(sent.get_body(("html",)).get_content())

    async with world.client() as program:
        looked = await program.get(link)
        assert "Stop the e-mails about this conversation?" in looked.text
        assert "somebody.else" not in looked.text + link, "who finds the link learns nothing"
        await mails.answer(talk.id, "To every country.")
        await mails.mail_that_says("To every country.")
        assert (await program.post(link[:-3] + "AAA", content="List-Unsubscribe=One-Click")).status_code == 404
        clicked = await program.post(
            link, content="List-Unsubscribe=One-Click", headers={"content-type": "application/x-www-form-urlencoded"}
        )
        assert clicked.status_code == 200
        assert (await program.post(link)).status_code == 200, "clicking twice is no mistake"
    page = await mails.seen(f"inbox/{talk.id}")
    assert page.count("wants no more e-mail about this conversation") == 1
    assert "no more e-mail is wanted" in page
    before = len(mails.post.mails)
    await mails.answer(talk.id, "And the bowl is packed well.")
    done = await world.until(lambda: _replies_sent(world, talk.id), 60, what="looking for who wants the answer")
    assert done
    assert len(mails.post.mails) == before
    assert [message["text"] for message in await visitor.hear()][-1] == "And the bowl is packed well."

    # Writing again by mail is asking for an answer by mail.
    back = str(sent["Reply-To"])
    await mails.deliver(written("One more question", sender="somebody.else@example.com", to=back))
    await mails.talk("One more question")
    await mails.answer(talk.id, "Gladly.")
    assert (await mails.mail_that_says("Gladly."))["To"] == "somebody.else@example.com"


async def _replies_sent(world: World, talk: UUID) -> bool:
    async with world.app.db.queue.connect() as connection:
        waiting = await connection.scalar(
            select(func.count()).where(
                JobRow.task.in_(["deliver_reply", "send_replies"]), JobRow.done_at.is_(None),
                cast(JobRow.arguments, String).contains(str(talk)),
            )
        )  # fmt: skip
        return waiting == 0


async def test_who_wrote_by_mail_gets_an_answer_that_needs_no_way_out(mails: MailWorld) -> None:
    words = f"hello by mail {uuid4().hex[:6]}"
    await mails.deliver(written(words, sender="nadia@example.com", to=ADDRESS))
    talk = await mails.talk(words)
    await mails.answer(talk.id, "Hello Nadia.")
    sent = await mails.mail_that_says("Hello Nadia.")
    assert sent["List-Unsubscribe"] is None
    assert sent["Auto-Submitted"] is None, "a person answered"


async def test_a_mailbox_that_the_worker_reads_is_a_way_in_and_back(
    mails: MailWorld, world: World, owner: Owner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pymap_server(tmp_path) as server:
        boxes = Mailboxes(world.app.http.check_host, server.trust)
        monkeypatch.setattr(world.app.channels[EMAIL], "_mailboxes", boxes)
        await server.deliver(written("from long before", sender="old@example.com", to=USER), at=time.time() - 400_000)
        form = {
            "address": ADDRESS, "provider": "imap", "imap_host": "localhost", "imap_port": str(server.port),
            "imap_user": USER, "imap_password": PASSWORD, "plus": "1", "smtp_host": "localhost",
            "smtp_port": str(mails.post.port),
        }  # fmt: skip
        page = f"{world.url}/panel/settings/mail/{mails.store.id}"
        shown = await owner.browser.get(page)
        await owner.browser.post(page, form, **{"x-csrf-token": csrf(shown.text)})

        async def being_read() -> bool:
            return "The mailbox is being read" in (await owner.browser.get(page)).text

        await world.until(being_read, 60, what="reading the mailbox")
        words = f"by IMAP {uuid4().hex[:6]}"
        await server.deliver(written(words, sender="Nadia <nadia@example.com>", to=ADDRESS))
        talk = await mails.talk(words)
        await mails.answer(talk.id, "An answer by SMTP.")
        sent = await mails.mail_that_says("An answer by SMTP.")
        back = f"and back {uuid4().hex[:6]}"
        await server.deliver(written(back, sender="nadia@example.com", to=str(sent["Reply-To"])))
        assert (await mails.talk(back)).id == talk.id
        assert await server.count("SEEN") == 2
        shown = await owner.browser.get(page)
        await owner.browser.post(page, {"address": ADDRESS, "provider": ""}, **{"x-csrf-token": csrf(shown.text)})
        boxes.close()
