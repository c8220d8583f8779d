"""An answer follows who left, to the right address, once, and carries nothing but itself."""

import asyncio
import email
import email.policy
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from email.generator import BytesGenerator
from email.header import decode_header, make_header
from email.message import EmailMessage
from io import BytesIO
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, update

from integrations.channels.email.send import EmailChannel, compose, server_of
from plugin.app import App
from plugin.channel import Outbound
from plugin.conversations import cards, changes, delivery, messages, presence
from plugin.conversations import conversations as threads
from plugin.conversations.conversations import Conversation, Shopper
from plugin.crm import identities
from plugin.crm.customers import Customer
from plugin.crm.identities import Proof
from plugin.kernel import jobs
from plugin.kernel.db import new_id
from plugin.kernel.errors import SetupError
from plugin.kernel.jobs import JobRow, TaskError
from plugin.team import Agent

TASKS = {"deliver_reply": delivery.deliver_reply, "send_replies": delivery.send_replies}


@dataclass
class MailServer:
    """Enough of SMTP (RFC 5321) to take mail, and to refuse it."""

    url: str = ""
    refuse: dict[str, str] = field(default_factory=dict)
    mails: list[EmailMessage] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 test\r\n")
        while line := (await reader.readline()).decode().strip():
            verb = line.split(" ")[0].split(":")[0].upper()
            if answer := self.refuse.get(verb):
                writer.write(f"{answer}\r\n".encode())
            elif verb == "DATA":
                writer.write(b"354 go on\r\n")
                content = await reader.readuntil(b"\r\n.\r\n")
                mail = email.message_from_bytes(content[:-5], policy=email.policy.default)
                assert isinstance(mail, EmailMessage)
                self.mails.append(mail)
                writer.write(b"250 kept\r\n")
            elif verb == "QUIT":
                writer.write(b"221 bye\r\n")
                break
            else:
                writer.write(b"250 ok\r\n")
        writer.close()


@pytest.fixture
async def mail() -> AsyncIterator[MailServer]:
    server = MailServer()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.url = f"smtp://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    yield server
    listening.close()


@pytest.fixture
def mailing(app: App, mail: MailServer) -> App:
    return replace(app, channels={"email": EmailChannel(mail.url, "chat@ahlan.example")})


async def begin(app: App, workspace: UUID, shopper: Shopper, address: str = "") -> None:
    async with app.db.transaction(workspace) as tx:
        await messages.receive(tx, shopper, uuid4(), "secret question of the shopper")
        if address:
            assert await threads.ask_email(tx, shopper, address)


async def answer(app: App, workspace: UUID, noa: Agent, text: str) -> Conversation:
    async with app.db.transaction(workspace) as tx:
        conversation = (await tx.scalars(select(Conversation))).one()
        await messages.reply(tx, conversation, noa, uuid4(), text)
        await tx.enqueue("deliver_reply", event_id=new_id(), subject_id=conversation.id)
    return conversation


async def run_due(app: App, workspace: UUID) -> None:
    """Like `jobs.drain`, without what other tests left behind."""
    for workspace_id, job_id, *_ in await jobs.due(app.db, 100_000):
        if workspace_id == workspace:
            await jobs.run(app.db, app, TASKS, workspace_id, job_id)


async def work(app: App, workspace: UUID) -> None:
    """Run what is due now, and what would be due in an hour."""
    for _ in range(3):
        await run_due(app, workspace)
        async with app.db.transaction(workspace) as tx:
            await tx.execute(
                update(JobRow)
                .where(JobRow.workspace_id == workspace, JobRow.task == "send_replies", JobRow.done_at.is_(None))
                .values(run_at=func.now())
            )


async def test_answers_follow_as_one_mail_with_nothing_but_themselves(
    mailing: App, workspace: UUID, shopper: Shopper, noa: Agent, mail: MailServer
) -> None:
    await begin(mailing, workspace, shopper, "layla@example.com")
    async with mailing.db.transaction(workspace) as tx:
        conversation = (await tx.scalars(select(Conversation))).one()
        conversation.locale = "ar"
        await messages.note(tx, conversation, noa, uuid4(), "secret note of the team")
    await answer(mailing, workspace, noa, "طلبك في الطريق <b>")
    await answer(mailing, workspace, noa, "يصل غدًا: https://dukkan.example/?a=1&b=2.")
    await work(mailing, workspace)
    (letter,) = mail.mails
    assert letter["To"] == "layla@example.com"
    assert letter["From"] == "Dukkan <chat@ahlan.example>"
    plain = letter.get_body(("plain",)).get_content()
    html = letter.get_body(("html",)).get_content()
    for part in (plain, html):
        assert part.index("طلبك في الطريق") < part.index("يصل غدًا")
        assert "secret" not in part
    assert "&lt;b&gt;" in html
    assert 'dir="rtl"' in html
    assert "<p><strong><bdi>" in html, "who wrote it begins where the words do, whatever the script of the name"
    assert '<a dir="ltr" href="https://dukkan.example/?a=1&amp;b=2">' in html, "the full stop is the sentence's"
    await work(mailing, workspace)
    assert len(mail.mails) == 1
    await answer(mailing, workspace, noa, "وصل")
    await work(mailing, workspace)
    assert "طلبك" not in mail.mails[1].get_body(("plain",)).get_content()
    assert mail.mails[0]["Message-ID"] != mail.mails[1]["Message-ID"]


@pytest.mark.parametrize(("spoken", "frame"), [(("en", "en"), "en"), (("en", ""), "ar"), (("en", "he"), "ar")])
async def test_a_letter_of_our_own_words_is_in_their_language(
    mailing: App, workspace: UUID, shopper: Shopper, mail: MailServer, spoken: tuple[str, ...], frame: str
) -> None:
    """A return made in English is told in English, in an Arabic conversation too; beside other words it is theirs."""
    await begin(mailing, workspace, shopper, "layla@example.com")
    async with mailing.db.transaction(workspace) as tx:
        conversation = (await tx.scalars(select(Conversation))).one()
        conversation.locale = "ar"
        for language in spoken:
            assert await messages.tell(tx, conversation.id, uuid4(), "Your return.", name="Dukkan", language=language)
        await tx.enqueue("deliver_reply", event_id=new_id(), subject_id=conversation.id)
    await work(mailing, workspace)
    (letter,) = mail.mails
    html = letter.get_body(("html",)).get_content()
    assert f'<html lang="{frame}" dir="{"ltr" if frame == "en" else "rtl"}">' in html
    assert ("An answer from" in letter["Subject"]) == (frame == "en")


async def test_the_first_letter_of_a_thread_that_we_begin_answers_nothing(
    mailing: App, workspace: UUID, shopper: Shopper, noa: Agent, mail: MailServer
) -> None:
    await begin(mailing, workspace, shopper, "layla@example.com")
    async with mailing.db.transaction(workspace) as tx:
        conversation = (await tx.scalars(select(Conversation))).one()
        conversation.channel, conversation.subject = "email", "#1303"
    for words in ("Your return is here.", "It is paid."):
        await answer(mailing, workspace, noa, words)
        await work(mailing, workspace)
    assert [letter["Subject"] for letter in mail.mails] == ["#1303", "Re: #1303"]


async def test_what_was_read_in_the_chat_is_not_mailed(
    mailing: App, workspace: UUID, shopper: Shopper, noa: Agent, mail: MailServer
) -> None:
    await begin(mailing, workspace, shopper, "layla@example.com")
    conversation = await answer(mailing, workspace, noa, "hi")
    async with mailing.db.transaction(workspace) as tx:
        await threads.mark_read(tx, conversation.id, who="shopper", seq=2)
    await work(mailing, workspace)
    assert mail.mails == []


async def test_what_was_taken_back_is_not_mailed_and_nothing_is_when_that_was_all(
    mailing: App, workspace: UUID, shopper: Shopper, noa: Agent, mail: MailServer
) -> None:
    await begin(mailing, workspace, shopper, "layla@example.com")
    for words in ("to the wrong person", "also wrong"):
        conversation = await answer(mailing, workspace, noa, words)
        async with mailing.db.transaction(workspace) as tx:
            await changes.take_back(tx, (await messages.thread(tx, conversation.id))[-1], noa)
    await work(mailing, workspace)
    assert mail.mails == []
    await answer(mailing, workspace, noa, "to you")
    await work(mailing, workspace)
    (letter,) = mail.mails
    assert letter.get_body(("plain",)).get_content().count(f"{noa.name}:") == 1


async def test_cards_and_answers_to_choose_from_are_in_the_mail_as_words(
    mailing: App, workspace: UUID, shopper: Shopper, noa: Agent, mail: MailServer
) -> None:
    await begin(mailing, workspace, shopper, "layla@example.com")
    oud = {"kind": "product", "id": "1", "title": "Oud <3", "url": "https://dukkan.example/oud"}
    order = {"kind": "order", "id": "2", "title": "#1001", "url": "https://dukkan.example/orders/key"}
    async with mailing.db.transaction(workspace) as tx:
        conversation = (await tx.scalars(select(Conversation))).one()
        more = {"cards": [oud, order], "replies": cards.answers(["Small", "Large"])}
        await messages.reply(tx, conversation, noa, uuid4(), "", more=more)
    await work(mailing, workspace)
    (letter,) = mail.mails
    plain = letter.get_body(("plain",)).get_content()
    assert "Oud <3 https://dukkan.example/oud\n#1001\n– Small\n– Large" in plain.replace("\r\n", "\n")
    assert "orders/key" not in str(letter), "whoever was named in a chat is nobody proven"
    assert "Oud &lt;3" in letter.get_body(("html",)).get_content()


async def test_who_has_the_chat_open_gets_time_to_read(
    mailing: App, workspace: UUID, shopper: Shopper, noa: Agent
) -> None:
    await begin(mailing, workspace, shopper, "layla@example.com")
    conversation = await answer(mailing, workspace, noa, "hi")
    await presence.shopper_here(mailing.hub, workspace, conversation.id, "tab")
    await run_due(mailing, workspace)
    async with mailing.db.transaction(workspace) as tx:
        row = (await tx.scalars(select(JobRow).where(JobRow.task == "send_replies"))).one()
        wait = (row.run_at - await tx.scalar(select(func.now()))).total_seconds()
    assert 150 < wait <= delivery.HERE_SECONDS


async def test_no_address_no_mail(
    mailing: App, workspace: UUID, shopper: Shopper, noa: Agent, mail: MailServer
) -> None:
    await begin(mailing, workspace, shopper)
    await answer(mailing, workspace, noa, "hi")
    await work(mailing, workspace)
    assert mail.mails == []


async def test_a_proven_address_goes_before_a_typed_one(
    mailing: App, workspace: UUID, shopper: Shopper, noa: Agent, mail: MailServer
) -> None:
    await begin(mailing, workspace, shopper, "somebody.else@example.com")
    async with mailing.db.transaction(workspace) as tx:
        customer = Customer(id=new_id())
        tx.add(customer)
        await tx.flush()
        await identities.prove(tx, customer.id, "email", "layla@example.com", Proof.PLATFORM, shopper.store_id)
        await threads.attach(tx, shopper.visitor_id, customer.id)
    await answer(mailing, workspace, noa, "hi")
    await work(mailing, workspace)
    assert [letter["To"] for letter in mail.mails] == ["layla@example.com"]


@pytest.mark.parametrize(
    ("refusal", "retry"),
    [({"RCPT": "550 no such user"}, False), ({"RCPT": "450 busy"}, True), ({"MAIL": "421 go away"}, True)],
)
async def test_refusals_say_whether_to_try_again(mail: MailServer, refusal: dict[str, str], retry: bool) -> None:
    mail.refuse = refusal
    outbound = Outbound("k", uuid4(), "a@b.example", "s", "t", "<p>t</p>")
    with pytest.raises(TaskError) as refused:
        await EmailChannel(mail.url, "chat@ahlan.example").send(outbound)
    assert refused.value.retry is retry


async def test_a_server_that_is_away_is_tried_again() -> None:
    outbound = Outbound("k", uuid4(), "a@b.example", "s", "t", "<p>t</p>")
    with pytest.raises(TaskError) as refused:
        await EmailChannel("smtp://127.0.0.1:1", "chat@ahlan.example").send(outbound)
    assert refused.value.retry


def test_headers_cannot_be_slipped_in() -> None:
    outbound = Outbound(
        "k", uuid4(), "a@b.example", "hi\r\nBcc: x@y.example", "t", "t", sender_name="Shop\r\nBcc: x@y.example"
    )
    mail = compose(outbound, "chat@ahlan.example")
    assert mail["Bcc"] is None
    assert b"\nBcc" not in mail.as_bytes()


@pytest.mark.parametrize("url", ["http://x", "smtp://", "smtp://host:port", "host:25"])
def test_a_wrong_url_says_so(url: str) -> None:
    with pytest.raises(SetupError):
        server_of(url)


@pytest.mark.parametrize(
    "words",
    [
        "Απόδειξη παραλαβής της υπαναχώρησής σας W-HM8Y5QB6, Dukkan",
        "تم استلام طلب الإرجاع الخاص بكم وسنراسلكم بالخطوات التالية خلال يومي عمل من متجر الأقمشة والأزياء",
        "בקשת ההחזרה שלכם התקבלה ונחזור אליכם עם הצעדים הבאים בתוך שני ימי עסקים מחנות הבדים והאופנה",
        "Order 1001 ✓ was sent to you today by the carrier, and this is a subject of more than a line of text ✓",
        "ö" * 150,
    ],
)
def test_a_long_subject_and_name_arrive_with_every_blank(words: str) -> None:
    wanted = " ".join(words.split())[:200]
    outbound = Outbound("k", uuid4(), "a@b.example", words, "t", "<p>t</p>", sender_name=words)
    wire = BytesIO()
    BytesGenerator(wire).flatten(compose(outbound, "chat@ahlan.example"), linesep="\r\n")  # as smtplib writes it
    head = wire.getvalue().partition(b"\r\n\r\n")[0]
    assert all(len(line) <= 78 and line.isascii() and b"\n" not in line for line in head.split(b"\r\n"))
    # By the letter of RFC 2047: this Python's newer parser puts blanks between encoded words of a name.
    read = email.message_from_bytes(wire.getvalue(), policy=email.policy.compat32)
    assert str(make_header(decode_header(read["Subject"]))) == wanted
    name, _open, address = read["From"].rpartition("\r\n <")
    assert str(make_header(decode_header(name))).strip('"') == wanted
    assert address == "chat@ahlan.example>"
