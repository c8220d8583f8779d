"""Automatic answers by e-mail: they say what they are, and never begin a conversation between machines."""

from email.message import EmailMessage
from uuid import UUID

import httpx
import pytest
from sqlalchemy import func, select, update

from plugin.app import App
from plugin.automations import automation
from plugin.conversations.conversations import Conversation
from plugin.conversations.mailboxes import Mailbox
from plugin.conversations.messages import Message
from plugin.kernel import jobs
from plugin.kernel.jobs import JobRow
from plugin.reactions import TASKS
from tests.automations.conftest import Write, deed
from tests.conversations.test_mail import Deliver, mail
from tests.conversations.test_mail import box as box
from tests.conversations.test_mail import deliver as deliver
from tests.conversations.test_mail import edge as edge
from tests.conversations.test_mail import mailing as mailing
from tests.conversations.test_mail import post as post
from tests.mailroom import Post


async def settle(app: App, workspace: UUID) -> None:
    """What follows, and the time until a mail goes out."""
    for _ in range(3):
        await jobs.drain(app.db, app, TASKS, workspace_id=workspace)
        async with app.db.transaction(workspace) as tx:
            await tx.execute(
                update(JobRow).where(JobRow.task == "send_replies", JobRow.done_at.is_(None)).values(run_at=func.now())
            )


async def answers(app: App, workspace: UUID) -> int:
    async with app.db.transaction(workspace) as tx:
        return int(await tx.scalar(select(func.count()).where(Message.author == "bot")))


async def test_an_automatic_answer_says_so_and_goes_into_the_thread(
    mailing: App, workspace: UUID, write: Write, deliver: Deliver, post: Post
) -> None:
    await write("started", "channel:email", deed("reply", en="We have your mail.", ar="وصلتنا رسالتكم."))
    await deliver(mail("أين طلبي؟", message_id="<first@example.com>"))
    await settle(mailing, workspace)
    (sent,) = post.mails
    assert (sent["To"], sent["Subject"], sent["Auto-Submitted"]) == (
        "layla@example.com",
        "Re: My order",
        "auto-replied",
    )
    assert sent["In-Reply-To"] == "<first@example.com>"
    body = sent.get_body(("plain",))
    assert isinstance(body, EmailMessage)
    assert body.get_content().split("\r\n")[:2] == ["Dukkan:", "وصلتنا رسالتكم."]


@pytest.mark.parametrize(
    "machine",
    [{"List_Id": "<news.example.com>"}, {"Precedence": "bulk"}, {"Auto_Submitted": "auto-replied"}],
)
async def test_a_newsletter_and_a_holiday_notice_get_no_answer(
    mailing: App, workspace: UUID, write: Write, deliver: Deliver, post: Post, machine: dict[str, str]
) -> None:
    rule = await write("received", "", deed("reply", en="We have your mail."), deed("tag", "seen"))
    await deliver(mail("Our offers of the week", **machine))
    await settle(mailing, workspace)
    assert (await answers(mailing, workspace), post.mails) == (0, [])
    async with mailing.db.transaction(workspace) as tx:
        for talk in list(await tx.scalars(select(Conversation))):
            (run,) = await automation.of_conversation(tx, talk.id)
            assert (run.rule_id, [one["why"] for one in run.done]) == (rule.id, ["", "machine"])


async def test_two_machines_that_do_not_know_each_other_stop(
    mailing: App, workspace: UUID, write: Write, deliver: Deliver, post: Post, box: Mailbox, edge: httpx.AsyncClient
) -> None:
    await write("received", "", deed("reply", en="We have your mail."))
    await deliver(mail("begin", message_id="<m0@example.com>"))
    for number in range(1, 9):
        await settle(mailing, workspace)
        references = str(post.mails[-1]["Message-ID"])
        await deliver(mail(f"We have yours {number}", message_id=f"<m{number}@example.com>", In_Reply_To=references))
    await settle(mailing, workspace)
    assert len(post.mails) == 5
