"""Mail to a store: posted by its provider, durable before it is answered, in the right thread, believed no more than
it proves."""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from email.message import EmailMessage
from typing import Any
from uuid import UUID, uuid4

import httpx
import orjson
import pytest
from sqlalchemy import func, select, update

from integrations.channels.email import inbound
from integrations.channels.email.send import EmailChannel
from integrations.channels.email.source import MailSource
from plugin import stores
from plugin.app import App
from plugin.conversations import conversations as threads
from plugin.conversations import delivery, letters, mailboxes, messages
from plugin.conversations.conversations import Conversation, Shopper, Status
from plugin.conversations.letters import Letter
from plugin.conversations.mailboxes import Mailbox
from plugin.conversations.messages import Message
from plugin.crm import identities
from plugin.crm.customers import Customer
from plugin.crm.identities import Identity, Proof
from plugin.kernel import jobs
from plugin.kernel.db import new_id
from plugin.kernel.events import Event
from plugin.kernel.jobs import JobRow
from plugin.stores import Store
from plugin.team import Agent
from tests.mailroom import Post, parsed, smtp_server
from webhooks import handlers
from webhooks.inbox import InboxRow
from webhooks.receiver import Inbox, Receiver

KEY = "the-key-of-this-mailbox"
RELAY = "mx.relay.example"
TASKS = {"deliver_reply": delivery.deliver_reply, "send_replies": delivery.send_replies}


@pytest.fixture
async def post() -> AsyncIterator[Post]:
    async with smtp_server() as post:
        yield post


@pytest.fixture
async def mailing(app: App, post: Post) -> AsyncIterator[App]:
    channel = EmailChannel(f"smtp://127.0.0.1:{post.port}", "chat@ahlan.example")
    yield replace(app, channels={"email": channel})
    await channel.close()


def wanted(**changes: str) -> mailboxes.Wanted:
    form = {"address": "help@dukkan.example", "provider": "mime", "relay": RELAY, "key": KEY}
    return mailboxes.checked({**form, **changes})


@pytest.fixture
async def box(mailing: App, workspace: UUID, store: Store) -> Mailbox:
    return await set_up(mailing, workspace, store)


async def set_up(app: App, workspace: UUID, store: Store, **changes: str) -> Mailbox:
    async with app.db.transaction(workspace) as tx:
        return await mailboxes.save(tx, app.vault, store.id, wanted(**changes), actor="system")


async def _silent() -> None:
    """The tests take from the inbox themselves."""


@pytest.fixture
async def edge(mailing: App) -> AsyncIterator[httpx.AsyncClient]:
    inbox = Inbox(mailing.queue_url, _silent)

    async def elsewhere(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("not for the inbox")

    receiver = Receiver(elsewhere, inbox, {"mail": MailSource(mailing.db, mailing.vault)})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(receiver), base_url="http://ahlan") as client:
        yield client
    await inbox.close()


Deliver = Callable[..., Awaitable[None]]


@pytest.fixture
def deliver(mailing: App, edge: httpx.AsyncClient, box: Mailbox) -> Deliver:
    async def post_one(raw: bytes) -> None:
        answer = await edge.post(f"/webhooks/mail/{box.token}", content=raw, headers=signed(raw))
        assert answer.status_code == 200
        await handlers.drain(mailing)

    return post_one


def signed(raw: bytes, key: str = KEY) -> dict[str, str]:
    return {"x-ahlan-signature": inbound.sign(raw, key), "content-type": "message/rfc822"}


def mail(
    text: str = "where is my order",
    *,
    sender: str = "Layla <layla@example.com>",
    to: str = "help@dukkan.example",
    subject: str = "My order",
    passed: str = "",
    relay: str = RELAY,
    **headers: str,
) -> bytes:
    made = EmailMessage()
    if passed:
        made["Authentication-Results"] = f"{relay}; dkim=pass header.d={passed}; dmarc=pass header.from={passed}"
    made["From"], made["To"], made["Subject"] = sender, to, subject
    made["Message-ID"] = headers.pop("message_id", f"<{uuid4()}@example.com>")
    for name, value in headers.items():
        made[name.replace("_", "-")] = value
    made.set_content(text)
    return made.as_bytes()


async def talks(app: App, workspace: UUID) -> list[Conversation]:
    async with app.db.transaction(workspace) as tx:
        return list(await tx.scalars(select(Conversation).order_by(Conversation.id)))


async def said(app: App, workspace: UUID, conversation_id: UUID) -> list[tuple[str, str]]:
    async with app.db.transaction(workspace) as tx:
        return [(one.author, one.text) for one in await messages.thread(tx, conversation_id)]


async def answer(app: App, workspace: UUID, by: Agent, conversation_id: UUID, text: str) -> None:
    """An agent answers, and the time until it goes out has passed."""
    async with app.db.transaction(workspace) as tx:
        talk = await tx.get(Conversation, conversation_id)
        assert talk is not None
        await messages.reply(tx, talk, by, uuid4(), text)
        await tx.enqueue("deliver_reply", event_id=new_id(), subject_id=talk.id)
    for _ in range(3):
        for workspace_id, job_id, *_rest in await jobs.due(app.db, 100_000):
            if workspace_id == workspace:
                await jobs.run(app.db, app, TASKS, workspace_id, job_id)
        async with app.db.transaction(workspace) as tx:
            await tx.execute(
                update(JobRow)
                .where(JobRow.workspace_id == workspace, JobRow.task == "send_replies", JobRow.done_at.is_(None))
                .values(run_at=func.now())
            )


# In


async def test_a_mail_begins_a_conversation_that_believes_nothing(
    mailing: App, workspace: UUID, deliver: Deliver
) -> None:
    await deliver(mail(passed="example.com"))
    (talk,) = await talks(mailing, workspace)
    assert (talk.channel, talk.subject, talk.reply_email) == ("email", "My order", "layla@example.com")
    assert talk.customer_id is None, "even a passed DMARC answers nothing of ours yet"
    assert await said(mailing, workspace, talk.id) == [("shopper", "where is my order")]
    async with mailing.db.transaction(workspace) as tx:
        assert await tx.scalar(select(func.count()).select_from(Identity)) == 0


async def test_the_same_mail_is_taken_once_however_it_comes(mailing: App, workspace: UUID, deliver: Deliver) -> None:
    id = f"<{uuid4()}@example.com>"
    await deliver(mail(message_id=id))
    await deliver(mail(message_id=id, X_Other="the same mail by another way"))
    (talk,) = await talks(mailing, workspace)
    assert len(await said(mailing, workspace, talk.id)) == 1


@pytest.mark.parametrize("key", ["", "another key"])
async def test_a_mail_without_the_key_is_refused_and_not_kept(
    edge: httpx.AsyncClient, mailing: App, box: Mailbox, key: str
) -> None:
    raw = mail()
    headers = signed(raw, key) if key else {}
    assert (await edge.post(f"/webhooks/mail/{box.token}", content=raw, headers=headers)).status_code == 401
    assert (await edge.post("/webhooks/mail/unknown", content=raw, headers=signed(raw))).status_code == 401
    async with mailing.db.queue.connect() as connection:
        rows = await connection.scalar(select(func.count()).where(InboxRow.store_key.in_([box.token, "unknown"])))
        assert rows == 0


async def test_what_was_answered_200_is_durable(edge: httpx.AsyncClient, mailing: App, box: Mailbox) -> None:
    raw = mail("x" * 6_000_000)
    answered = await edge.post(f"/webhooks/mail/{box.token}", content=raw, headers=signed(raw))
    assert answered.status_code == 200, "six megabytes are more than a platform may send, and fine for a mail"
    async with mailing.db.queue.connect() as connection:
        kept = await connection.scalar(select(InboxRow.body).where(InboxRow.store_key == box.token))
    assert kept == raw
    await handlers.drain(mailing)


async def test_mailgun_signs_a_token_that_serves_once(
    edge: httpx.AsyncClient, mailing: App, workspace: UUID, store: Store
) -> None:
    box = await set_up(mailing, workspace, store, provider="mailgun")

    def form(raw: bytes, token: str, key: str = KEY) -> dict[str, Any]:
        signature = hmac.new(key.encode(), f"1790000000{token}".encode(), hashlib.sha256).hexdigest()
        return {"timestamp": "1790000000", "token": token, "signature": signature, "body-mime": raw.decode()}

    address = f"/webhooks/mail/{box.token}/mime"
    assert (await edge.post(address, data=form(mail("one"), "t1"))).status_code == 200
    assert (await edge.post(address, data=form(mail("replayed with other words"), "t1"))).status_code == 200
    assert (await edge.post(address, data=form(mail(), "t2", "no"))).status_code == 401
    # As a form with files: fields taken apart by Mailgun, the kind that an address without `mime` gets.
    fields = {
        **form(b"", "t3"),
        "from": "Omar <omar@example.com>",
        "subject": "תמונה",
        "message-headers": orjson.dumps(
            [["From", "Omar <omar@example.com>"], ["Subject", "תמונה"], ["Message-Id", "<m3@example.com>"]]
        ).decode(),
        "body-plain": "שלום עולם",
    }
    del fields["body-mime"]
    files = {"attachment-1": ("notes.txt", b"some notes", "text/plain")}
    assert (await edge.post(f"/webhooks/mail/{box.token}", data=fields, files=files)).status_code == 200
    await handlers.drain(mailing)
    first, second = await talks(mailing, workspace)
    assert await said(mailing, workspace, first.id) == [("shopper", "one")]
    assert (second.subject, second.reply_email) == ("תמונה", "omar@example.com")
    async with mailing.db.transaction(workspace) as tx:
        (message,) = await messages.thread(tx, second.id)
    assert message.text == "שלום עולם"
    assert [file["name"] for file in message.data["attachments"]] == ["notes.txt"]


async def test_postmark_is_known_by_the_password_in_its_address(
    edge: httpx.AsyncClient, mailing: App, workspace: UUID, store: Store
) -> None:
    box = await set_up(mailing, workspace, store, provider="postmark")
    told = {
        "From": "layla@example.com",
        "Subject": "شكوى",
        "TextBody": "مرحبا",
        "HtmlBody": "<p>مرحبا</p><img src='cid:pic'>",
        "Headers": [{"Name": "Message-ID", "Value": "<pm@example.com>"}],
        "Attachments": [{"Name": "a.txt", "Content": base64.b64encode(b"hello").decode(), "ContentType": "text/plain"}],
    }
    address, body = f"/webhooks/mail/{box.token}", orjson.dumps(told)
    assert (await edge.post(address, content=body)).status_code == 401
    assert (await edge.post(address, content=body, auth=("ahlan", "wrong"))).status_code == 401
    assert (await edge.post(address, content=body, auth=("ahlan", KEY))).status_code == 200
    await handlers.drain(mailing)
    (talk,) = await talks(mailing, workspace)
    assert (talk.subject, talk.reply_email) == ("شكوى", "layla@example.com")
    assert await said(mailing, workspace, talk.id) == [("shopper", "مرحبا")]


async def test_a_stranger_cannot_make_us_read_a_large_body(mailing: App, box: Mailbox) -> None:
    read = 0

    async def receive() -> dict[str, Any]:
        nonlocal read
        read += 1
        return {"type": "http.request", "body": b"x" * 1024, "more_body": True}

    answers: list[int] = []

    async def send(message: Any) -> None:
        answers.extend([message["status"]] if "status" in message else [])

    async def elsewhere(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("not for the inbox")

    inbox = Inbox(mailing.queue_url, _silent)
    receiver = Receiver(elsewhere, inbox, {"mail": MailSource(mailing.db, mailing.vault)})
    for token in ("unknown", "x" * 500, ""):
        scope = {"type": "http", "path": f"/webhooks/mail/{token}", "method": "POST", "headers": []}
        await receiver(scope, receive, send)
    assert (answers, read) == ([401, 401, 401], 0)
    await inbox.close()


# Out and back


async def test_the_thread_goes_on_by_mail_and_the_answer_comes_back_into_the_open_chat(
    mailing: App, workspace: UUID, shopper: Shopper, noa: Agent, post: Post, deliver: Deliver
) -> None:
    async with mailing.db.transaction(workspace) as tx:
        await messages.receive(tx, shopper, uuid4(), "is it in stock?")
        assert await threads.ask_email(tx, shopper, "layla@example.com")
        head = await threads.current(tx, shopper)
    assert head is not None
    await answer(mailing, workspace, noa, head.id, "It is back on Monday.")
    (first,) = post.mails
    assert first["From"] == "Dukkan <chat@ahlan.example>"
    assert first["Auto-Submitted"] is None, "a person wrote it"
    assert str(first["Reply-To"]).startswith("help+")
    async with mailing.hub.listen(workspace, f"conversation:{head.id}") as chat:
        await deliver(
            mail(
                "I will wait.\n\nOn Mon, Nov 2, 2026 at 3:00 PM Dukkan <help@dukkan.example> wrote:\n> It is back.",
                to=str(first["Reply-To"]),
                In_Reply_To=str(first["Message-ID"]),
            )
        )
        payload: dict[str, Any] = {}
        while "message" not in payload:
            _topic, payload = await asyncio.wait_for(chat.get(), 30)
    assert payload["message"]["text"] == "I will wait."
    assert (payload["message"]["author"], payload["message"]["seq"]) == ("shopper", 3)
    (talk,) = await talks(mailing, workspace)
    assert talk.channel == "widget"
    assert (await said(mailing, workspace, talk.id))[-1] == ("shopper", "I will wait.")
    async with mailing.db.transaction(workspace) as tx:
        seen = [one.text for one in await messages.messages_after(tx, talk.id, 2)]
    assert seen == ["I will wait."], "a chat that comes back reads it by its number like every other message"
    await answer(mailing, workspace, noa, talk.id, "We set one aside.")
    second = post.mails[1]
    assert str(second["References"]).split()[-1] == str(second["In-Reply-To"])
    assert str(first["Message-ID"]) in str(second["References"])
    assert "back on Monday" not in second.get_body(("plain",)).get_content()
    assert len(post.sessions) == 1, "the second mail went out on the first one's connection"


async def test_the_mark_finds_the_thread_where_a_program_drops_the_references(
    mailing: App, workspace: UUID, noa: Agent, post: Post, deliver: Deliver
) -> None:
    await deliver(mail())
    (talk,) = await talks(mailing, workspace)
    await answer(mailing, workspace, noa, talk.id, "On its way.")
    (ours,) = post.mails
    assert ours["Subject"] == "Re: My order"
    await deliver(mail("thanks", to=str(ours["Reply-To"])))
    await deliver(mail("from my other address", sender="layla@work.example", to=str(ours["Reply-To"])))
    assert [text for _author, text in await said(mailing, workspace, talk.id)] == [
        "where is my order", "On its way.", "thanks", "from my other address"
    ]  # fmt: skip
    async with mailing.db.transaction(workspace) as tx:
        rows = list(await tx.scalars(select(Letter).where(Letter.incoming.is_(True)).order_by(Letter.created_at)))
    assert [row.other_sender for row in rows] == [False, False, True]
    await answer(mailing, workspace, noa, talk.id, "Welcome.")
    assert post.mails[-1]["To"] == "layla@example.com", "who writes into a thread does not get its answers"


async def test_a_guessed_mark_and_a_strangers_reference_open_no_thread(
    mailing: App, workspace: UUID, noa: Agent, post: Post, deliver: Deliver
) -> None:
    await deliver(mail())
    (talk,) = await talks(mailing, workspace)
    await answer(mailing, workspace, noa, talk.id, "On its way.")
    reference = str(post.mails[0]["Message-ID"])
    await deliver(mail("let me in", sender="eve@example.net", In_Reply_To=reference, References=reference))
    await deliver(mail("me too", sender="eve@example.net", to="help+aaaaaaaaaaaaaaaaaaaa@dukkan.example"))
    assert len(await said(mailing, workspace, talk.id)) == 2
    assert len(await talks(mailing, workspace)) == 3
    await deliver(mail("it is me", References=reference))
    assert (await said(mailing, workspace, talk.id))[-1] == ("shopper", "it is me")


async def test_only_an_answer_that_the_relay_saw_authenticated_proves_an_address(
    mailing: App, workspace: UUID, store: Store, noa: Agent, post: Post, deliver: Deliver
) -> None:
    async with mailing.db.transaction(workspace) as tx:
        # What the shop knows of the real Layla hangs on this row.
        from_shop = await _customer(tx, store, "layla@example.com")
    await deliver(mail())
    (talk,) = await talks(mailing, workspace)
    await answer(mailing, workspace, noa, talk.id, "Which one?")
    to = str(post.mails[0]["Reply-To"])
    reference = str(post.mails[0]["Message-ID"])
    for raw in (
        mail("nobody vouches", to=to),
        mail("another relay vouches", to=to, passed="example.com", relay="mx.evil.example"),
        mail("for another domain", to=to, passed="evil.example"),
        mail("another address of the domain", sender="eve@example.com", to=to, passed="example.com"),
        mail("without the mark", passed="example.com", In_Reply_To=reference),
    ):
        await deliver(raw)
        (talk,) = await talks(mailing, workspace)
        assert talk.customer_id is None
    await deliver(mail("the blue one", to=to, passed="example.com"))
    (talk,) = await talks(mailing, workspace)
    assert talk.customer_id is not None
    async with mailing.db.transaction(workspace) as tx:
        assert from_shop in await identities.family(tx, talk.customer_id)
        proofs = list(await tx.scalars(select(Identity.proof).where(Identity.customer_id == talk.customer_id)))
    assert proofs == [Proof.ANSWERED_MAIL]


async def test_an_address_typed_into_a_chat_stays_typed_whoever_answers(
    mailing: App, workspace: UUID, shopper: Shopper, noa: Agent, post: Post, deliver: Deliver
) -> None:
    """The owner of the address answers a chat that somebody else began: the chat is still not theirs."""
    async with mailing.db.transaction(workspace) as tx:
        await messages.receive(tx, shopper, uuid4(), "I am Layla, cancel my order")
        assert await threads.ask_email(tx, shopper, "layla@example.com")
        head = await threads.current(tx, shopper)
    assert head is not None
    await answer(mailing, workspace, noa, head.id, "Which order?")
    await deliver(mail("what order?", to=str(post.mails[0]["Reply-To"]), passed="example.com"))
    (talk,) = await talks(mailing, workspace)
    assert talk.customer_id is None
    async with mailing.db.transaction(workspace) as tx:
        letter = (await tx.scalars(select(Letter).where(Letter.incoming.is_(True)))).one()
    assert letter.verified, "the agent is told that the mail itself is from that address"


async def _customer(tx: Any, store: Store, address: str) -> UUID:
    from_shop = new_id()
    tx.add(Customer(id=from_shop))
    await tx.flush()
    await identities.prove(tx, from_shop, "email", address, Proof.PLATFORM, store.id)
    return from_shop


# Machines


async def test_machines_wake_nobody(mailing: App, workspace: UUID, noa: Agent, post: Post, deliver: Deliver) -> None:
    await deliver(mail())
    (talk,) = await talks(mailing, workspace)
    await answer(mailing, workspace, noa, talk.id, "On its way.")
    async with mailing.db.transaction(workspace) as tx:
        found = await tx.get(Conversation, talk.id)
        assert found is not None
        await threads.turn(tx, found, Status.RESOLVED, by=noa)
    ours = post.mails[0]
    await deliver(mail("I am away", to=str(ours["Reply-To"]), subject="Away", Auto_Submitted="auto-replied"))
    await deliver(bounce(str(ours["Message-ID"]), "layla@example.com"))
    await deliver(mail("loop", sender="Dukkan <help@dukkan.example>"))
    await deliver(mail("a holiday notice to nobody", Auto_Submitted="auto-replied"))
    await deliver(bounce("<unknown@example.org>", "stranger@example.com"))
    (talk,) = await talks(mailing, workspace)
    assert talk.status == Status.RESOLVED
    assert len(await said(mailing, workspace, talk.id)) == 2
    async with mailing.db.transaction(workspace) as tx:
        kinds = await tx.scalars(select(Event.kind).where(Event.subject_id == talk.id, Event.kind.like("mail.%")))
        assert sorted(kinds) == ["mail.answered_itself", "mail.bounced"]
        failed = await tx.scalar(select(Letter.failed).where(Letter.incoming.is_(False)))
    assert failed == "layla@example.com: 5.1.1: smtp; 550 no such user"


def bounce(about: str, address: str) -> bytes:
    report = f"""From: MAILER-DAEMON@mx.example.org
To: help@dukkan.example
Subject: Undelivered
Message-ID: <{uuid4()}@mx.example.org>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

It could not be delivered.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.org

Final-Recipient: rfc822; {address}
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 no such user
--b
Content-Type: text/rfc822-headers

From: help@dukkan.example
Message-ID: {about}
--b--
"""
    return report.encode()


async def test_a_refused_address_is_said_in_the_thread(
    mailing: App, workspace: UUID, noa: Agent, post: Post, deliver: Deliver
) -> None:
    await deliver(mail())
    (talk,) = await talks(mailing, workspace)
    post.refusal = "550 no such user"
    await answer(mailing, workspace, noa, talk.id, "On its way.")
    async with mailing.db.transaction(workspace) as tx:
        event = (await tx.scalars(select(Event).where(Event.kind == "mail.refused"))).one()
    assert "550 no such user" in event.data["reason"]
    assert event.subject_id == talk.id


async def test_a_flood_from_one_sender_is_one_conversation_and_ends(
    mailing: App, workspace: UUID, deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(letters, "BEGIN_AN_HOUR", 2)
    monkeypatch.setattr(letters, "TAKEN_AN_HOUR", 4)
    for number in range(6):
        await deliver(mail(f"again {number}"))
    await deliver(mail("somebody else", sender="omar@example.com"))
    assert len(await talks(mailing, workspace)) == 3
    async with mailing.db.transaction(workspace) as tx:
        assert await tx.scalar(select(func.count()).select_from(Message)) == 5
    async with mailing.db.queue.connect() as connection:
        aside = await connection.scalar(
            select(func.count()).where(InboxRow.workspace_id == workspace, InboxRow.parked_at.is_not(None))
        )
    assert aside == 2, "set aside with the reason, not lost"


async def test_machines_that_answer_each_other_end_too(
    mailing: App, workspace: UUID, deliver: Deliver, noa: Agent, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(letters, "TAKEN_AN_HOUR", 3)
    await deliver(mail())
    (talk,) = await talks(mailing, workspace)
    await answer(mailing, workspace, noa, talk.id, "On its way.")
    ours = post.mails[0]
    for _time in range(5):
        await deliver(mail("I am away", to=str(ours["Reply-To"]), Auto_Submitted="auto-replied"))
    async with mailing.db.transaction(workspace) as tx:
        assert await tx.scalar(select(func.count()).select_from(Letter).where(Letter.incoming)) == 3
        assert await tx.scalar(select(func.count()).where(Event.kind == "mail.answered_itself")) == 2


async def test_half_letters_and_odd_names_of_a_mail_are_kept_readable(
    mailing: App, workspace: UUID, deliver: Deliver
) -> None:
    head = b"From: layla@example.com\nTo: help@dukkan.example\nSubject: a\x00b\nMessage-ID: <a\x00b@c>\n"
    await deliver(head + b"Content-Type: text/html; charset=utf-7\n\n<p>hello +2AA-</p>")
    (talk,) = await talks(mailing, workspace)
    async with mailing.db.transaction(workspace) as tx:
        (message,) = await tx.scalars(select(Message).where(Message.conversation_id == talk.id))
    assert message.text.startswith("hello")


async def test_files_are_checked_and_those_that_cannot_be_kept_are_named(
    mailing: App, workspace: UUID, deliver: Deliver
) -> None:
    made = parsed(mail("see here"))
    made.add_attachment(b"MZ\x90\x00", maintype="application", subtype="octet-stream", filename="virus.exe")
    made.add_attachment("hello", filename="note.txt")
    await deliver(made.as_bytes())
    (talk,) = await talks(mailing, workspace)
    async with mailing.db.transaction(workspace) as tx:
        (message,) = await messages.thread(tx, talk.id)
        letter = (await letters.of_messages(tx, [message.id]))[message.id]
    assert [file["name"] for file in message.data["attachments"]] == ["note.txt"]
    assert letter.left_out == ["virus.exe"]


async def test_25_megabytes_are_named_and_the_words_arrive(mailing: App, workspace: UUID, deliver: Deliver) -> None:
    made = parsed(mail("the film of the damage"))
    made.add_attachment("hello", filename="note.txt")
    made.add_attachment("[film]", filename="film.mp4")
    # Put in afterwards: the library would take seconds to fold it.
    await deliver(made.as_bytes().replace(b"[film]", b"\r\n".join([b"A" * 76] * (25 * 1024 * 1024 // 76))))
    (talk,) = await talks(mailing, workspace)
    async with mailing.db.transaction(workspace) as tx:
        (message,) = await messages.thread(tx, talk.id)
        letter = (await letters.of_messages(tx, [message.id]))[message.id]
    assert message.text == "the film of the damage"
    assert ([file["name"] for file in message.data["attachments"]], letter.left_out) == (["note.txt"], ["film.mp4"])


# The store's own server


async def test_a_store_sends_by_its_own_server_under_its_own_name(
    app: App, workspace: UUID, store: Store, noa: Agent, post: Post
) -> None:
    channel = EmailChannel("", "", check_host=lambda host, port: ["127.0.0.1"])
    own = replace(app, channels={"email": channel})
    await set_up(own, workspace, store, smtp_host="localhost", smtp_port=str(post.port))
    async with own.db.transaction(workspace) as tx:
        assert await mailboxes.can_send(own, tx, store.id)
        id = await threads.begin_by_mail(tx, store.id, "layla@example.com", "سؤال")
        await messages.receive_mail(tx, id, uuid4(), "سؤال", [], actor=f"shopper:{uuid4()}")
    await answer(own, workspace, noa, id, "جواب")
    (ours,) = post.mails
    assert ours["From"] == "Dukkan <help@dukkan.example>"
    assert post.senders == ["help@dukkan.example"]
    assert str(ours["Message-ID"]).endswith("@dukkan.example>")
    await channel.close()


async def test_a_private_server_is_refused_and_said(app: App, workspace: UUID, store: Store, noa: Agent) -> None:
    channel = EmailChannel("", "", check_host=app.http.check_host)
    own = replace(app, channels={"email": channel})
    await set_up(own, workspace, store, smtp_host="127.0.0.2", smtp_port="25")
    async with own.db.transaction(workspace) as tx:
        id = await threads.begin_by_mail(tx, store.id, "layla@example.com", "x")
    await answer(own, workspace, noa, id, "y")
    async with own.db.transaction(workspace) as tx:
        box = await mailboxes.of_store(tx, store.id)
    assert box is not None
    assert "AddressRefused" in box.trouble


async def test_passwords_are_sealed_and_belong_to_one_server(app: App, workspace: UUID, store: Store) -> None:
    await set_up(app, workspace, store, smtp_host="mail.example", smtp_user="u", smtp_password="very secret")
    async with app.db.transaction(workspace) as tx:
        row = await stores.credential(tx, app.vault, store.id, mailboxes.SMTP)
    assert row is not None
    assert row[0] == "very secret"
    assert b"very secret" not in row[1].sealed
    with pytest.raises(mailboxes.Unfit) as refused:
        await set_up(app, workspace, store, smtp_host="evil.example", smtp_user="u")
    assert set(refused.value.fields) == {"smtp_password"}
