"""Asking somebody outside: what goes out, what comes back, and what the shopper never hears of."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from plugin.app import App
from plugin.conversations import (
    attachments,
    blocked,
    changes,
    delivery,
    forwarding,
    letters,
    mentions,
    merging,
    messages,
)
from plugin.conversations import conversations as threads
from plugin.conversations.conversations import Conversation, Status
from plugin.conversations.forwarding import Wanted
from plugin.conversations.messages import Message
from plugin.kernel import jobs
from plugin.kernel.errors import AhlanError, Forbidden
from plugin.kernel.events import Event
from plugin.kernel.jobs import JobRow
from plugin.stores import Store
from plugin.team import Agent
from tests.conversations.test_mail import Deliver, box, deliver, edge, mail, mailing, post, talks
from tests.mailroom import Post
from webhooks.inbox import InboxRow

__all__ = ["box", "deliver", "edge", "mailing", "post"]

CARRIER = "desk@carrier.example"


async def run(app: App, workspace: UUID, name: str, task: Any) -> None:
    """The jobs of one kind that wait."""
    async with app.db.queue.begin() as queue:
        rows = (
            await queue.execute(
                select(JobRow.id, JobRow.arguments).where(
                    JobRow.workspace_id == workspace, JobRow.task == name, JobRow.done_at.is_(None)
                )
            )
        ).all()
    for row in rows:
        await jobs.run(app.db, app, {name: task}, workspace, row.id)


async def forward(app: App, workspace: UUID, by: Agent, to: str = CARRIER, **more: Any) -> dict[str, Any]:
    async with app.db.transaction(workspace) as tx:
        talk = (await tx.scalars(select(Conversation).order_by(Conversation.id))).first()
        assert talk is not None
        files = more.pop("carries", ())
        client_id = more.pop("client_id", uuid4())
        wanted = Wanted(to, **{"subject": "Where is it?", "body": "Please look.", **more})
        note = await forwarding.forward(app, tx, talk, wanted, files, by=by, client_id=client_id)
    await run(app, workspace, "send_forward", forwarding.send_forward)
    return dict(note)


async def said(app: App, workspace: UUID) -> list[tuple[str, str, str]]:
    (talk, *_more) = await talks(app, workspace)
    async with app.db.transaction(workspace) as tx:
        return [(one.author, one.kind, one.text) for one in await messages.thread(tx, talk.id)]


async def test_the_thread_goes_out_and_the_answer_comes_back_as_a_note(
    mailing: App, workspace: UUID, deliver: Deliver, post: Post, noa: Agent, store: Store
) -> None:
    await deliver(mail("where is <b>my</b> order"))
    (talk,) = await talks(mailing, workspace)
    async with mailing.db.transaction(workspace) as tx:
        held = await tx.get(Conversation, talk.id)
        assert held is not None
        await messages.note(tx, held, noa, uuid4(), "she is angry")
        upload = attachments.read("slip.txt", b"a slip")
        slip = await attachments.save(tx, upload, uploader=noa.actor, store_id=store.id)
    await forward(mailing, workspace, noa, carries=[UUID(slip["id"])])
    (sent,) = post.mails
    assert (sent["To"], sent["Subject"]) == (CARRIER, "Where is it?")
    plain, html = sent.get_body(("plain",)), sent.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert "Please look." in plain.get_content()
    assert "> where is <b>my</b> order" in plain.get_content()
    for part in (plain, html):
        assert "angry" not in part.get_content(), "notes stay here"
        assert "layla@example.com" not in part.get_content(), "and so does the customer's address"
    assert "&lt;b&gt;my" in html.get_content()
    assert [part.get_filename() for part in sent.iter_attachments()] == ["slip.txt"]
    assert "References" not in sent, "no letter of the customer is named to others"
    async with mailing.db.transaction(workspace) as tx:
        row = await tx.get(Conversation, talk.id)
        assert row is not None
        await threads.turn(tx, row, Status.PENDING, by=noa)
    await deliver(
        mail(
            "It is <i>in Haifa</i>",
            sender=f"Desk <{CARRIER}>",
            to=str(sent["Reply-To"]),
            in_reply_to=sent["Message-ID"],
        )
    )
    assert (await said(mailing, workspace))[-1] == ("outside", "note", "It is <i>in Haifa</i>")
    (talk,) = await talks(mailing, workspace)
    assert (talk.status, talk.last_seq, talk.preview) == ("open", 1, "where is <b>my</b> order"), (
        "it is looked at again"
    )
    async with mailing.db.transaction(workspace) as tx:
        (call,) = await tx.scalars(select(mentions.Mention))
        assert call.agent_id == noa.id, "who asked is called"
        assert [one.text for one in await messages.messages_after(tx, talk.id, 0)] == ["where is <b>my</b> order"]
    # What goes to the customer now names none of the carrier's letters.
    async with mailing.db.transaction(workspace) as tx:
        held = await tx.get(Conversation, talk.id)
        assert held is not None
        await messages.reply(tx, held, noa, uuid4(), "It is in Haifa.")
        await tx.enqueue("send_replies", conversation_id=talk.id)
    await run(mailing, workspace, "send_replies", delivery.send_replies)
    answer = post.mails[-1]
    assert answer["To"] == "layla@example.com"
    assert sent["Message-ID"] not in str(answer["References"])
    assert CARRIER not in answer.as_string()
    # The next question to the carrier goes on in their own thread.
    await forward(mailing, workspace, noa)
    again = post.mails[-1]
    assert sent["Message-ID"] in again["References"]
    assert answer["Message-ID"] not in again["References"]


async def test_one_message_alone_and_never_its_files_when_they_stay(
    mailing: App, workspace: UUID, deliver: Deliver, post: Post, noa: Agent
) -> None:
    await deliver(mail("first"))
    await deliver(mail("second"))
    async with mailing.db.transaction(workspace) as tx:
        (one, *_rest) = await tx.scalars(select(Message).order_by(Message.id))
    await forward(mailing, workspace, noa, only=one.id, files=False)
    text = post.mails[-1].get_body(("plain",))
    assert text is not None
    assert "> first" in text.get_content()
    assert "second" not in text.get_content()


async def test_a_resend_is_one_letter(mailing: App, workspace: UUID, deliver: Deliver, post: Post, noa: Agent) -> None:
    await deliver(mail())
    id = uuid4()
    await forward(mailing, workspace, noa, client_id=id)
    await forward(mailing, workspace, noa, client_id=id)
    assert len(post.mails) == 1
    async with mailing.db.transaction(workspace) as tx:
        (event,) = await tx.scalars(select(Event).where(Event.kind == "mail.forwarded"))
        assert event.actor == noa.actor
        (note,) = await tx.scalars(select(Message).where(Message.kind == "note"))
        assert note.data["forward"]["state"] == "sent"


@pytest.mark.parametrize(
    "to", ["", "nobody", "a@b", "two@x.example, more@x.example", "x@y.example\nBcc: z@y.example", "help@dukkan.example",
           "layla@example.com"],
)  # fmt: skip
async def test_only_one_address_of_somebody_else_is_written_to(
    mailing: App, workspace: UUID, deliver: Deliver, post: Post, noa: Agent, to: str
) -> None:
    await deliver(mail())
    with pytest.raises(AhlanError):
        await forward(mailing, workspace, noa, to=to)
    assert post.mails == []


async def test_a_refused_letter_is_said_in_the_thread(
    mailing: App, workspace: UUID, deliver: Deliver, post: Post, noa: Agent
) -> None:
    await deliver(mail())
    post.refusal = "550 no such desk"
    await forward(mailing, workspace, noa)
    async with mailing.db.transaction(workspace) as tx:
        (note,) = await tx.scalars(select(Message).where(Message.kind == "note"))
        assert note.data["forward"]["state"] == "failed"
        (event,) = await tx.scalars(select(Event).where(Event.kind == "mail.refused"))
        assert event.data["party"] == CARRIER


async def test_a_flood_of_ever_new_senders_is_set_aside(
    mailing: App, workspace: UUID, deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(letters, "BEGUN_AN_HOUR", 3)
    for number in range(5):
        await deliver(mail(sender=f"new{number}@flood.example"))
    assert len(await talks(mailing, workspace)) == 3
    async with mailing.db.queue.begin() as queue:
        errors = (await queue.execute(select(InboxRow.error).where(InboxRow.parked_at.is_not(None)))).scalars()
        assert sum("within an hour" in error for error in errors) >= 2, "kept, with the reason"


async def test_letters_of_a_blocked_sender_are_spam_and_others_threads_stay_free_of_them(
    mailing: App, workspace: UUID, deliver: Deliver, noa: Agent
) -> None:
    await deliver(mail("buy", sender="junk@spam.example"))
    async with mailing.db.transaction(workspace) as tx:
        await blocked.add(tx, "spam.example", by=noa)
    await deliver(mail("buy more", sender="junk@spam.example"))
    await deliver(mail("me too", sender="other@spam.example"))
    for talk in await talks(mailing, workspace):
        assert (talk.status, talk.waiting_since) == (Status.SPAM, None)
    assert [talk.last_seq for talk in await talks(mailing, workspace)] == [2, 1]


async def test_what_left_as_a_letter_is_not_edited(mailing: App, workspace: UUID, deliver: Deliver, noa: Agent) -> None:
    await deliver(mail())
    note = await forward(mailing, workspace, noa)
    async with mailing.db.transaction(workspace) as tx:
        message = await tx.get(Message, UUID(note["id"]))
        assert message is not None
        with pytest.raises(Forbidden):
            await changes.edit(tx, message, noa, "something else")


async def test_an_answer_to_a_merged_letter_lands_in_the_thread_that_goes_on(
    mailing: App, workspace: UUID, deliver: Deliver, post: Post, noa: Agent
) -> None:
    await deliver(mail("first", subject="One"))
    await deliver(mail("second", subject="Two"))
    one, two = await talks(mailing, workspace)
    for talk in (one, two):
        async with mailing.db.transaction(workspace) as tx:
            held = await tx.get(Conversation, talk.id)
            assert held is not None
            await messages.reply(tx, held, noa, uuid4(), f"answer to {talk.subject}")
            if talk is two:
                await tx.enqueue("send_replies", conversation_id=talk.id)
    await run(mailing, workspace, "send_replies", delivery.send_replies)
    (sent,) = post.mails
    async with mailing.db.transaction(workspace) as tx:
        await merging.merge(tx, one.id, [two.id], by=noa)
    async with mailing.db.transaction(workspace) as tx:
        await tx.enqueue("send_replies", conversation_id=one.id)
    await run(mailing, workspace, "send_replies", delivery.send_replies)
    late = post.mails[-1].get_body(("plain",))
    assert late is not None
    assert "answer to One" in late.get_content(), "what had not left yet leaves from here"
    assert "answer to Two" not in late.get_content(), "and what had, not again"
    assert len({one["Message-ID"] for one in post.mails}) == len(post.mails) == 2
    await deliver(mail("by its mark", to=sent["Reply-To"], subject="Re: Two"))
    await deliver(mail("by its references", in_reply_to=sent["Message-ID"], subject="Re: Two"))
    texts = [text for _author, _kind, text in await said(mailing, workspace)]
    assert texts[-2:] == ["by its mark", "by its references"]
    assert len(texts) == 6
