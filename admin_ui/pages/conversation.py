"""One conversation: what was said, what happened, who it is with, and everything an agent does to it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID

from starlette.datastructures import FormData
from starlette.responses import JSONResponse, Response

from admin_ui import joins, order_links, sending, words
from admin_ui.carried import Carried, carried
from admin_ui.desk import Desk, as_id, nothing_here
from admin_ui.pages import person
from plugin import privacy, stores, team, workspaces
from plugin.automations import automation
from plugin.bot import words as bot_words
from plugin.channel import Automatic
from plugin.conversations import (
    attachments,
    cards,
    changes,
    clocks,
    conversations,
    delivery,
    fields,
    history,
    letters,
    mailboxes,
    mentions,
    merging,
    messages,
    presence,
    ratings,
    tags,
)
from plugin.conversations.conversations import Conversation, Priority, Status
from plugin.kernel.db import Tx
from plugin.kernel.digits import whole
from plugin.kernel.errors import AhlanError, NotFound, TooLarge
from plugin.kernel.events import Event
from plugin.kernel.i18n import Translator
from plugin.kernel.lazy import Lazy, _
from plugin.kernel.text import isolate
from plugin.model import settings
from plugin.model.settings import Use
from plugin.team import Agent

CHANNELS: dict[str, tuple[str, Lazy]] = {"widget": ("message-circle", _("Chat")), "email": ("mail", _("E-mail"))}
_MORNING = time(9)
# A message that a search found: how many before it are shown, and how far back a page reaches at most.
_BEFORE_FOUND, _MOST_BACK = 10, 1000

_TURNED: dict[Status, Lazy] = {
    Status.OPEN: _("Open again."),
    Status.PENDING: _("Waiting for the customer."),
    Status.SNOOZED: _("Snoozed."),
    Status.RESOLVED: _("Resolved."),
    Status.SPAM: _("Marked as spam."),
}


@dataclass(frozen=True, slots=True)
class Said:
    """A message as the thread shows it. `day` is set on the first of a day."""

    client_id: str
    position: int
    seq: int | None
    author: str
    note: bool
    name: str
    text: str
    files: Sequence[Mapping[str, Any]]
    at: datetime
    edited: bool
    day: str
    day_key: str
    talk_id: UUID
    more: Carried
    mail: MailView | None = None
    mentions: Sequence[str] = ()
    rule: str = ""
    bot: str = ""
    forward: Mapping[str, Any] | None = None
    original: Mapping[str, str] | None = None
    orders: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    kind: str = "message"


@dataclass(frozen=True, slots=True)
class Happened:
    """A small line between messages. `position` is the message it follows."""

    id: UUID
    position: int
    text: str
    at: datetime
    why: str = ""
    path: str = ""
    undo: str = ""
    kind: str = "happening"


@dataclass(frozen=True, slots=True)
class Later:
    """A moment to snooze until."""

    text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Thread:
    """Everything of the middle pane."""

    id: UUID
    key: str
    name: str
    store: str
    channel: str
    status: Status
    status_sign: str
    status_text: str
    snoozed_until: datetime | None
    priority: int
    subject: str
    tags: Sequence[str]
    known_tags: Sequence[str]
    laters: Sequence[Later]
    sums_up: bool
    assignee_id: UUID | None
    colleagues: Sequence[Agent]
    items: Sequence[Said | Happened]
    older: bool
    first_position: int
    last_seq: int
    shopper_read_seq: int
    rating: ratings.Rating | None
    typing_preview: bool
    mark: str
    clocks: Sequence[tuple[str, Clock]] = ()
    fields: Sequence[fields.Field] = ()
    field_values: Mapping[str, str] = field(default_factory=dict)
    twins: Sequence[UUID] = ()


@dataclass(frozen=True, slots=True)
class Clock:
    """How long is left until something is due, or how long it is overdue; `urgency` is late, soon or nothing."""

    text: str
    title: str
    due_at: datetime | None
    urgency: str


def clock_of(t: Translator, one: Conversation | clocks.ConversationClock, now: datetime) -> Clock | None:
    """The clock that runs out first, or this one; None while none runs."""
    if one.due_at is None:
        return None
    left = (one.due_at - now).total_seconds()
    when = isolate(t.format_datetime(one.due_at, "short"))
    if left <= 0:
        text = t.gettext("%(time)s overdue", time=t.duration(-left))
        return Clock(text, t.gettext("Was due %(when)s", when=when), one.due_at, "late")
    soon = one.warn_at is not None and one.warn_at <= now
    text = t.gettext("%(time)s left", time=t.duration(left))
    return Clock(text, t.gettext("Due %(when)s", when=when), one.due_at, "soon" if soon else "")


_KINDS: dict[str, Lazy] = {
    "first": _("First answer"),
    "next": _("Next answer"),
    "resolution": _("Resolution"),
}


def called(t: Translator, name: str, email: str, typed_name: str = "", typed_email: str = "") -> str:
    """What we call somebody: their name, else their address, else what they typed, else a visitor."""
    return name or email or typed_name or typed_email or t.gettext("Visitor")


def channel_of(t: Translator, channel: str) -> tuple[str, str]:
    """A channel's sign and name."""
    sign, name = CHANNELS.get(channel, ("message-circle", Lazy(channel)))
    return sign, t.gettext(name)


async def find(tx: Tx, conversation_id: UUID) -> Conversation:
    """The conversation of this workspace; of one that was merged, where its messages stand. Raises NotFound."""
    found = await tx.get(Conversation, conversation_id)
    if found is not None and found.merged_into is not None:
        found = await tx.get(Conversation, found.merged_into)
    if found is None:
        raise NotFound(_("This conversation is not here."), _("Whoever wrote may have been erased, as they asked."))
    return found


@dataclass(frozen=True, slots=True)
class Reach:
    """Where an answer goes while the shopper is not in the chat."""

    text: str
    sign: str
    meaning: str = ""
    email: str = ""


async def is_here(desk: Desk, conversation_id: UUID) -> bool:
    """Whether the shopper has the chat open. Asks the hub, so never inside a transaction."""
    return await presence.shopper_is_here(desk.app.hub, desk.workspace_id, conversation_id)


@dataclass(frozen=True, slots=True)
class MailView:
    """What a message that came as a mail shows besides its words."""

    message_id: UUID
    sender: str
    sender_name: str
    subject: str
    verified: bool
    other_sender: bool
    bulk: bool
    folded: str
    html: bool
    left_out: Sequence[str]


def _answers(subject: str, first: str) -> bool:
    return bool(first) and subject != first and subject.casefold().endswith(first.casefold())


async def mails_among(tx: Tx, talk: Conversation, page: Sequence[messages.Message]) -> Mapping[UUID, MailView]:
    """The mails among messages. An answer does not say again what the first one was about."""
    theirs = (messages.SHOPPER, messages.OUTSIDE)
    if (
        talk.channel == conversations.WIDGET
        and talk.emailed_seq == 0
        and all(message.author != messages.OUTSIDE for message in page)
    ):
        # Nothing was mailed from here that a letter could have answered.
        return {}
    found = await letters.of_messages(tx, [message.id for message in page if message.author in theirs])
    return {
        id: MailView(
            message_id=id,
            sender=letter.party,
            sender_name=letter.party_name,
            subject="" if _answers(letter.subject, talk.subject) else letter.subject,
            verified=letter.verified,
            other_sender=letter.other_sender,
            bulk=letter.automatic == Automatic.BULK,
            folded=letter.folded,
            html=bool(letter.html),
            left_out=letter.left_out,
        )
        for id, letter in found.items()
    }


async def _reach(tx: Tx, desk: Desk, talk: Conversation, here: bool) -> Reach | None:
    if here or talk.channel not in (conversations.WIDGET, conversations.EMAIL) or talk.status != conversations.OPEN:
        return None
    t = desk.t
    email = await delivery.recipient(tx, talk)
    if talk.channel == conversations.EMAIL:
        if await mailboxes.can_send(desk.app, tx, talk.store_id):
            return Reach(t.gettext("Your answer goes out as an e-mail to"), "mail", email=email)
        return Reach(
            t.gettext("E-mail is not set up: nothing would go out. To write yourself:"), "mail-warning", "warn", email
        )
    if not email:
        return Reach(t.gettext("Not in the chat just now: answers wait in the chat."), "clock")
    if talk.emailed_seq and await letters.is_stopped(tx, talk.id, email):
        return Reach(
            t.gettext("Not in the chat just now; no more e-mail is wanted, so answers wait in the chat."), "clock"
        )
    if await mailboxes.can_send(desk.app, tx, talk.store_id):
        return Reach(t.gettext("Not in the chat just now. Answers also go to"), "mail", email=email)
    text = t.gettext("Not in the chat just now. E-mail is not set up, so answers wait there. To write yourself:")
    return Reach(text, "mail-warning", "warn", email)


async def reach(desk: Desk) -> Response:
    """The line that says where an answer goes, alone."""
    here = await is_here(desk, desk.path_id())
    async with desk.transaction() as tx:
        talk = await find(tx, desk.path_id())
        found = await _reach(tx, desk, talk, here)
        if found is not None and found.email and talk.customer_id is not None:
            await privacy.log_access(tx, desk.agent, talk.customer_id, "conversation")
    return desk.page("inbox.html", block="reach", reach=found)


async def context(tx: Tx, desk: Desk, conversation_id: UUID, here: bool, *, at: int = 0) -> dict[str, Any]:
    """What the thread, its head and the customer pane show; writes the access log. `here`: the shopper is.

    With `at`, a message's position, the page reaches back to it and a little further.
    """
    talk = await find(tx, conversation_id)
    # Held until the end: whatever asks for one of them later finds it here.
    shops = await stores.all_stores(tx)
    who = await person.beside(tx, desk, talk, shops)
    # Before the messages: what changes while they are read is told again rather than never.
    mark = await changes.mark(tx, talk.id, team=True)
    back = talk.last_position - at + _BEFORE_FOUND if at else 0
    limit = min(_MOST_BACK, max(messages.PAGE, back))
    page = await messages.thread(tx, talk.id, before=talk.last_position + 1, limit=limit)
    older = bool(page) and page[0].position > 1
    since = page[0].created_at if older else talk.created_at
    happened = await history.happenings(tx, talk.id, since=since)
    agents = await team.agents(tx)
    names = await _who(tx, desk.t, happened, agents)
    mails = await mails_among(tx, talk, page)
    numbers = await _numbers(tx, desk, talk, page, mails)
    items = _woven(desk, talk, page, happened, names, mails=mails, orders=numbers)
    twins = await _twins(tx, talk, who.talks) if desk.agent.may(team.Permission.REPLY) else ()
    first = page[0].position if page else 0
    thread = await _thread(tx, desk, talk, who.name, items, older, first, mark, twins, team.can_be_given(agents))
    reach = await _reach(tx, desk, talk, here)
    return {"thread": thread, "person": who, "heading": who.name, "reach": reach, "found": at}


async def _twins(tx: Tx, talk: Conversation, talks: Sequence[Conversation]) -> Sequence[UUID]:
    """Unfinished ones of the same person; `talks` are a known customer's other conversations, the latest."""
    if talk.customer_id is None:
        return [one.id for one in await merging.twins(tx, talk)]
    going = (Status.OPEN, Status.PENDING, Status.SNOOZED)
    return [one.id for one in talks if one.status in going and one.store_id == talk.store_id]


async def _thread(
    tx: Tx,
    desk: Desk,
    talk: Conversation,
    name: str,
    items: Sequence[Said | Happened] = (),
    older: bool = False,
    first_position: int = 0,
    mark: str = "",
    twins: Sequence[UUID] = (),
    colleagues: Sequence[Agent] | None = None,
) -> Thread:
    store = await stores.get(tx, talk.store_id) if talk.store_id else None
    status = Status(talk.status)
    own_fields = await fields.all_fields(tx)
    return Thread(
        id=talk.id,
        key=str(talk.customer_id or talk.visitor_id or talk.id),
        name=name,
        store=store.name if store else "",
        channel=channel_of(desk.t, talk.channel)[1],
        status=status,
        status_sign=words.STATUSES[status][0],
        status_text=desk.t.gettext(words.STATUSES[status][1]),
        snoozed_until=talk.snoozed_until,
        priority=talk.priority,
        subject=talk.subject,
        tags=(await tags.of_conversations(tx, [talk.id])).get(talk.id, ()),
        known_tags=await tags.all_tags(tx),
        laters=laters(desk.t, datetime.now(UTC)),
        sums_up=desk.may("reply") and Use.SUMMARY in await settings.offered(tx),
        assignee_id=talk.assignee_id,
        colleagues=await team.colleagues(tx) if colleagues is None else colleagues,
        items=items,
        older=older,
        first_position=first_position,
        last_seq=talk.last_seq,
        shopper_read_seq=talk.shopper_read_seq,
        clocks=[_promise(desk.t, one) for one in await clocks.of_conversation(tx, talk.id)],
        fields=own_fields,
        field_values=await fields.values(tx, talk.id) if own_fields else {},
        rating=await ratings.of(tx, talk.id),
        typing_preview=workspaces.rules_of(desk.workspace).typing_preview,
        mark=mark,
        twins=twins,
    )


def _promise(t: Translator, one: clocks.ConversationClock) -> tuple[str, Clock]:
    """What a clock counts to, and what it shows."""
    clock = clock_of(t, one, datetime.now(UTC))
    if clock is None:
        why = t.gettext("It goes on when it is your turn again.")
        clock = Clock(t.gettext("stands still"), why, None, "late" if one.breached_at else "")
    return t.gettext(_KINDS[one.kind]), clock


def _woven(
    desk: Desk,
    talk: Conversation,
    page: Sequence[messages.Message],
    happened: Sequence[Event],
    names: Mapping[UUID, str],
    previous: messages.Message | None = None,
    mails: Mapping[UUID, MailView] | None = None,
    orders: Numbers | None = None,
) -> list[Said | Happened]:
    """Messages with the days they fall on, and what happened between them; `previous` is the message before."""
    woven: list[Said | Happened] = []
    waiting = list(happened)
    position = previous.position if previous else page[0].position - 1 if page else 0
    day = _day_key(desk, previous) if previous else ""
    for message in page:
        while waiting and waiting[0].at < message.created_at:
            woven.append(_happened(desk, waiting.pop(0), position, names, happened))
        said = _said(desk, talk, message, day, (mails or {}).get(message.id), orders)
        day = said.day_key
        position = message.position
        woven.append(said)
    woven.extend(_happened(desk, event, position, names, happened) for event in waiting)
    return woven


Numbers = Mapping[str, tuple[str, str]]


async def _numbers(
    tx: Tx, desk: Desk, talk: Conversation, page: Sequence[messages.Message], mails: Mapping[UUID, MailView]
) -> Numbers:
    """The orders that these messages name."""
    texts = [message.text for message in page] + [mail.folded for mail in mails.values()]
    return await order_links.of_talk(tx, desk, talk, texts)


def _said(
    desk: Desk,
    talk: Conversation,
    message: messages.Message,
    day_before: str,
    mail: MailView | None = None,
    orders: Numbers | None = None,
) -> Said:
    t = desk.t
    shown = attachments.with_links(desk.app.vault, desk.workspace_id, messages.as_json(message))
    day_key = _day_key(desk, message)
    # Who wrote stands in the head already; only colleagues and the bot have to be told apart.
    names = {"bot": t.gettext("Bot")}
    return Said(
        client_id=str(message.client_id),
        position=message.position,
        seq=message.seq,
        author=message.author,
        note=message.kind == messages.NOTE,
        name=message.author_name or names.get(message.author, ""),
        text=message.text,
        files=shown["attachments"],
        at=message.created_at,
        edited=message.edited_at is not None,
        day=t.format_date(message.created_at, "full") if day_key != day_before else "",
        day_key=day_key,
        talk_id=talk.id,
        mail=mail,
        mentions=message.data.get("mentions", ()),
        rule=message.data.get("rule", {}).get("name", ""),
        bot=bot_words.line(t, message.data["bot"]) if "bot" in message.data else "",
        forward=message.data.get("forward"),
        original=message.data.get("original"),
        orders=orders or {},
        more=carried(desk, talk, message, shown),
    )


async def line(tx: Tx, desk: Desk, talk: Conversation, message: messages.Message) -> Said:
    """One message that is on the screen already, as it is now."""
    return (await lines(tx, desk, talk, [message]))[0]


async def lines(tx: Tx, desk: Desk, talk: Conversation, page: Sequence[messages.Message]) -> list[Said]:
    """Messages that are on the screen already, as they are now."""
    mails = await mails_among(tx, talk, page)
    orders = await _numbers(tx, desk, talk, page, mails)
    return [_said(desk, talk, message, _day_key(desk, message), mails.get(message.id), orders) for message in page]


def _day_key(desk: Desk, message: messages.Message) -> str:
    return message.created_at.astimezone(desk.t.timezone).strftime("%Y%m%d")


_SAID: dict[str, Lazy] = {
    "mail.bounced": _("The mail to %(party)s came back: %(reason)s"),
    "mail.refused": _("The mail to %(party)s could not be sent: %(reason)s"),
    "mail.stopped": _("%(party)s wants no more e-mail about this conversation"),
    "mail.answered_itself": _("An automatic answer came from %(party)s: %(reason)s"),
    "conversation.resolved": _("%(name)s resolved this"),
    "conversation.reopened": _("%(name)s opened this again"),
    "conversation.pending": _("%(name)s waits for the customer"),
    "conversation.snoozed": _("%(name)s snoozed this until %(when)s"),
    "conversation.woken": _("The snooze is over"),
    "conversation.overdue": _("Overdue: %(what)s"),
    "conversation.unattended": _("Everybody was told that nobody has taken this"),
    "conversation.marked_spam": _("%(name)s marked this as spam"),
    "conversation.ranked": _("%(name)s set the priority to %(what)s"),
    "conversation.rated": _("%(name)s rated this with %(what)s of 5"),
    "conversation.retitled": _("%(name)s changed the subject"),
    "conversation.transcript_asked": _("%(name)s asked for a copy by e-mail"),
    "conversation.tagged": _("%(name)s added the tag %(what)s"),
    "conversation.field_changed": _("%(name)s changed the field %(what)s"),
    "conversation.untagged": _("%(name)s took off the tag %(what)s"),
}


def laters(t: Translator, now: datetime) -> list[Later]:
    """The moments that are offered for a snooze, in the agent's time zone: mornings are at nine."""
    here = now.astimezone(t.timezone)

    def morning(days: int) -> datetime:
        return datetime.combine(here.date() + timedelta(days=days), _MORNING, t.timezone)

    # The next first day of a week, which is Sunday in one country and Monday in another.
    week = (t.first_weekday - here.weekday() - 1) % 7 + 1
    offered = [
        Later(t.gettext("In three hours"), now + timedelta(hours=3)),
        Later(t.gettext("Tomorrow morning"), morning(1)),
        Later(t.gettext("At the beginning of the next week"), morning(week)),
        Later(t.gettext("In a week"), morning(7)),
    ]
    return list({later.at: later for later in reversed(offered)}.values())[::-1]


def moment_of(desk: Desk, said: str) -> datetime | None:
    """A moment from a form: with its offset, or as a clock on the agent's wall shows it. None when it is none."""
    try:
        moment = datetime.fromisoformat(said)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=desk.t.timezone)).astimezone(UTC)


def _happened(desk: Desk, event: Event, position: int, names: Mapping[UUID, str], others: Sequence[Event]) -> Happened:
    t = desk.t
    who = isolate(_actor_name(t, event.actor, names))
    if (joined := joins.happened(t, event, who, others)) is not None:
        text, other, undo = joined
        return Happened(event.id, position, text, event.at, path=f"inbox/{other}" if other else "", undo=undo)
    if event.kind in _SAID:
        until = event.data.get("until")
        when = t.format_datetime(datetime.fromisoformat(until), "short") if until else ""
        # A priority's name, or a tag.
        what = str(event.data.get("tag") or event.data.get("field", ""))
        if event.kind == "conversation.ranked":
            what = t.gettext(words.PRIORITIES[Priority(event.data["to"])][1])
        if event.kind == "conversation.overdue":
            kind = event.data["target"]
            what = t.gettext(_KINDS[kind])
        if event.kind == "conversation.rated":
            what = t.format_number(event.data["score"])
        party = isolate(str(event.data.get("party", "")))
        reason = isolate(str(event.data.get("reason") or event.data.get("said") or ""))
        text = t.gettext(
            _SAID[event.kind], name=who, when=isolate(when), what=isolate(what), party=party, reason=reason
        )
    elif event.data.get("to") is None:
        text = t.gettext("%(name)s gave this back to everybody", name=who)
    elif event.actor == f"agent:{event.data['to']}":
        text = t.gettext("%(name)s took this", name=who)
    else:
        text = t.gettext(
            "%(name)s gave this to %(other)s",
            name=who,
            other=isolate(names.get(UUID(event.data["to"]), t.gettext("Somebody"))),
        )
    by_rule = event.actor.startswith("rule:")
    why = desk.url(f"conversations/{event.subject_id}/rules") if by_rule else ""
    return Happened(event.id, position, text, event.at, why)


async def _who(tx: Tx, t: Translator, happened: Sequence[Event], agents: Sequence[Agent]) -> Mapping[UUID, str]:
    """What agents and rules are called, for the lines that say what they did."""
    found = {agent.id: agent.name for agent in agents}
    if any(event.actor.startswith("rule:") for event in happened):
        called = await automation.names(tx)
        found |= {id: t.gettext("The rule %(name)s", name=t.quoted(isolate(name))) for id, name in called.items()}
    return found


def _actor_name(t: Translator, actor: str, names: Mapping[UUID, str]) -> str:
    kind, _colon, identity = actor.partition(":")
    if kind in ("agent", "rule"):
        return names.get(UUID(identity), t.gettext("Somebody"))
    return t.gettext("Customer") if kind == "shopper" else t.gettext("Ahlan")


async def more(desk: Desk) -> Response:
    """What is new after a position, or the page before one (what is older), as list items."""
    query = desk.request.query_params
    changed: list[messages.Message] = []
    mark = ""
    async with desk.transaction() as tx:
        talk = await find(tx, desk.path_id())
        if "mark" in query:
            changed, mark = await changes.since(tx, talk.id, query["mark"], team=True)
        if "before" in query:
            page = await messages.thread(tx, talk.id, before=number(query["before"]))
            previous = None
        else:
            after = number(query.get("after", "0"))
            page = await messages.thread(tx, talk.id, after=after)
            previous = await _before(tx, talk, after + 1)
        since = page[0].created_at if "before" in query and page else previous.created_at if previous else None
        happened = await history.happenings(tx, talk.id, since=since or talk.created_at)
        if "before" in query:
            happened = [event for event in happened if page and event.at <= page[-1].created_at]
        names = await _who(tx, desk.t, happened, await team.agents(tx) if happened else ())
        mails = await mails_among(tx, talk, page)
        fresh = {message.id for message in page}
        orders = await _numbers(tx, desk, talk, page, mails)
        again = await lines(tx, desk, talk, [message for message in changed if message.id not in fresh])
        if talk.customer_id is not None:
            await privacy.log_access(tx, desk.agent, talk.customer_id, "conversation")
    items: list[Said | Happened] = [*again]
    items += _woven(desk, talk, page, happened, names, previous, mails, orders)
    older = "before" in query and bool(page) and page[0].position > 1
    return desk.page(
        "messages.html",
        items=items,
        older=desk.url(f"conversations/{talk.id}/messages", before=page[0].position) if older else "",
        mark=mark,
        read_seq=talk.shopper_read_seq,
        block="items",
    )


async def _before(tx: Tx, talk: Conversation, position: int) -> messages.Message | None:
    """The message before a position: what comes next follows its day and what happened since."""
    found = await messages.thread(tx, talk.id, before=position, limit=1)
    return found[0] if found else None


async def reply(desk: Desk) -> Response:
    """Answer the customer, with what a macro does besides; held back where the writer should look again first."""
    form = await desk.request.form()
    client_id, conversation_id = as_id(str(form.get("client_id", ""))), desk.path_id()
    async with desk.transaction() as tx:
        talk = await find(tx, conversation_id)
        await stores.standing_still(tx, talk.store_id)
        await conversations.lock(tx, talk.id)
        fresh = not await messages.is_there(tx, talk.id, client_id)
        if fresh and (held := await sending.held(tx, desk, talk, form)) is not None:
            return held
        text, more = str(form.get("text", "")), await carried_by(tx, talk, form)
        said = await messages.reply(tx, talk, desk.agent, client_id, text, _files(form), more=more)
        if fresh:
            await sending.follow(tx, desk, talk, form)
    await presence.agent_wrote(desk.app.hub, desk.workspace_id, conversation_id, desk.agent.id)
    return await written(desk, said)


async def carried_by(tx: Tx, talk: Conversation, form: FormData) -> dict[str, Any]:
    """What a reply carries besides words and files, from the composer's form."""
    wanted: Sequence[str] = [str(value) for value in form.getlist("card")]
    answers = cards.answers([str(value) for value in form.getlist("answer")])
    more: dict[str, Any] = {}
    if wanted:
        more["cards"] = await cards.chosen(tx, talk, wanted)
    if answers:
        more["replies"] = answers
    if original := messages.cleaned(str(form.get("original", "")))[: messages.MAX_TEXT]:
        # What the agent wrote before it was translated: never sent, kept beside what was.
        more["original"] = {"text": original}
    return more


async def note(desk: Desk) -> Response:
    """Write to the team; `mention` are those who were chosen from the list of names."""
    form = await desk.request.form()
    client_id, chosen = as_id(str(form.get("client_id", ""))), [as_id(str(id)) for id in form.getlist("mention")]
    async with desk.transaction() as tx:
        talk = await find(tx, desk.path_id())
        await stores.standing_still(tx, talk.store_id)
        body = str(form.get("text", ""))
        said = await messages.note(tx, talk, desk.agent, client_id, body, _files(form), chosen=chosen)
    await presence.agent_wrote(desk.app.hub, desk.workspace_id, desk.path_id(), desk.agent.id)
    return await written(desk, said)


def _files(form: Any) -> list[UUID]:
    return [as_id(str(value)) for value in form.getlist("attachment")]


async def written(desk: Desk, said: Mapping[str, Any]) -> Response:
    """What was just written, as the thread shows it."""
    async with desk.transaction() as tx:
        talk = await find(tx, desk.path_id())
        written = await tx.get(messages.Message, UUID(said["id"]))
        assert written is not None
        previous = await _before(tx, talk, written.position)
        # The first answer takes what nobody had: the line that says so comes along.
        happened = await history.happenings(tx, talk.id, since=previous.created_at if previous else talk.created_at)
        names = await _who(tx, desk.t, happened, await team.agents(tx) if happened else ())
        orders = await _numbers(tx, desk, talk, [written], {})
    happened = [event for event in happened if event.at <= written.created_at]
    return desk.page(
        "messages.html",
        items=_woven(desk, talk, [written], happened, names, previous, orders=orders),
        older="",
        mark="",
        read_seq=talk.shopper_read_seq,
        block="items",
    )


async def head(desk: Desk) -> Response:
    """The head alone: somebody took, closed or opened it meanwhile."""
    async with desk.transaction() as tx:
        return await head_of(tx, desk, await find(tx, desk.path_id()))


async def head_of(
    tx: Tx, desk: Desk, talk: Conversation, said: str = "", undo: str = "", values: Mapping[str, Any] | None = None
) -> Response:
    """The head as it is now, with what was just done and how it is undone."""
    who = await person.name_of(tx, desk.t, talk)
    shown = desk.page("inbox.html", block="thread_head", thread=await _thread(tx, desk, talk, who), place={})
    if said:
        # As an event, not as part of the page: it arrives even where somebody else's change was faster on the screen.
        toast = {"text": said, "action": desk.url(f"conversations/{talk.id}/{undo}"), "undo": desk.t.gettext("Undo"),
                 "values": values or {}}  # fmt: skip
        shown.headers["hx-trigger"] = json.dumps({"ahlan:toast": toast})
    return shown


async def assign(desk: Desk) -> Response:
    """Give the conversation to somebody, or to nobody."""
    form = await desk.request.form()
    seen = as_id(str(form["seen"])) if form.get("seen") else None
    async with desk.transaction() as tx:
        talk = await find(tx, desk.path_id())
        to: Agent | None = None
        if form.get("to"):
            # Held: nobody is let go between this look and the assignment.
            to = await tx.get(Agent, as_id(str(form["to"])), lock=True)
            if to is None or not to.may(team.Permission.REPLY):
                raise nothing_here()
        before = talk.assignee_id
        await conversations.assign(tx, talk, to, by=desk.agent, seen=seen)
        t = desk.t
        said = t.gettext("Given to %(name)s.", name=isolate(to.name)) if to else t.gettext("Nobody has it now.")
        values = {"seen": str(talk.assignee_id or ""), "to": str(before or "")}
        return await head_of(tx, desk, talk, said, "assign", values)


async def turn(desk: Desk) -> Response:
    """Another status: `to`, with `until` for a snooze; `seen` is what it was when the agent decided."""
    form = await desk.request.form()
    to, seen = str(form.get("to", "")), str(form.get("seen", ""))
    if to not in set(Status):
        raise nothing_here()
    async with desk.transaction() as tx:
        talk = await find(tx, desk.path_id())
        was, was_until = talk.status, talk.snoozed_until
        turned = await conversations.turn(
            tx,
            talk,
            Status(to),
            by=desk.agent,
            until=moment_of(desk, str(form.get("until", ""))),
            seen=Status(seen) if seen in set(Status) else None,
        )
        if not turned:
            return await head_of(tx, desk, talk)
        values = {"to": was, "seen": to, "until": was_until.isoformat() if was_until else ""}
        return await head_of(tx, desk, talk, desk.t.gettext(_TURNED[Status(to)]), "status", values)


async def rank(desk: Desk) -> Response:
    """Another priority."""
    form = await desk.request.form()
    value = number(str(form.get("priority", "")))
    if value not in set(Priority):
        raise nothing_here()
    async with desk.transaction() as tx:
        talk = await find(tx, desk.path_id())
        await conversations.rank(tx, talk, Priority(value), by=desk.agent)
        return await head_of(tx, desk, talk)


async def tag(desk: Desk) -> Response:
    """Put a tag on."""
    return await _tag(desk, tags.put)


async def untag(desk: Desk) -> Response:
    """Take a tag off."""
    return await _tag(desk, tags.take_off)


async def _tag(desk: Desk, verb: Any) -> Response:
    form = await desk.request.form()
    async with desk.transaction() as tx:
        talk = await find(tx, desk.path_id())
        await verb(tx, talk, str(form.get("tag", "")), by=desk.agent)
        return await head_of(tx, desk, talk)


async def retitle(desk: Desk) -> Response:
    """Say what it is about."""
    form = await desk.request.form()
    async with desk.transaction() as tx:
        talk = await find(tx, desk.path_id())
        await conversations.retitle(tx, talk, str(form.get("subject", "")), by=desk.agent)
        return await head_of(tx, desk, talk)


async def read(desk: Desk) -> Response:
    """The agent has seen up to `seq`."""
    form = await desk.request.form()
    async with desk.transaction() as tx:
        talk = await find(tx, desk.path_id())
        await conversations.read_by(tx, talk.id, desk.agent, number(str(form.get("seq", "0"))))
        await mentions.read(tx, talk.id, desk.agent, number(str(form.get("position", "0"))))
    return Response(status_code=204, headers=desk.headers())


async def typing(desk: Desk) -> Response:
    """Tell the shopper that somebody is writing; forgotten after a few seconds."""
    conversation_id = desk.path_id()
    async with desk.transaction() as tx:
        await find(tx, conversation_id)
    payload = {"type": "typing", "who": "agent", "name": desk.agent.name}
    await desk.app.hub.publish(desk.workspace_id, [(f"conversation:{conversation_id}", payload)])
    return Response(status_code=204, headers=desk.headers())


async def attach(desk: Desk) -> Response:
    """Upload a file for the next message."""
    if (whole(desk.request.headers.get("content-length", ""), sys.maxsize) or 0) > attachments.MAX_BYTES + 65_536:
        raise attachments.too_large()
    form = await desk.request.form(max_files=1, max_part_size=attachments.MAX_BYTES)
    file = form.get("file")
    if file is None or isinstance(file, str):
        raise AhlanError(_("There is no file in this upload."), _("Choose it again."), code="no_file")
    content = await file.read(attachments.MAX_BYTES + 1)
    if len(content) > attachments.MAX_BYTES:
        raise TooLarge(_("This file is larger than 10 MB."), _("Send a smaller one, or a link to it."))
    upload = await attachments.inspect(file.filename or "", content)
    async with desk.transaction() as tx:
        talk = await find(tx, desk.path_id())
        saved = await attachments.save(tx, upload, uploader=desk.actor, store_id=talk.store_id)
    return JSONResponse(saved, headers=desk.headers())


async def file_link(desk: Desk) -> Response:
    """A link that serves one file of a conversation for a minute: browsers send no token with images and downloads."""
    async with desk.transaction() as tx:
        if await tx.get(attachments.Attachment, desk.path_id()) is None:
            raise nothing_here()
    link = attachments.link(desk.app.vault, desk.workspace_id, str(desk.path_id()))
    return JSONResponse({"url": link}, headers=desk.headers())


async def customer(desk: Desk) -> Response:
    """The customer pane alone."""
    async with desk.transaction() as tx:
        talk = await find(tx, desk.path_id())
        who = await person.beside(tx, desk, talk)
        thread = await _thread(tx, desk, talk, who.name)
    return desk.page("inbox.html", block="customer", thread=thread, person=who)


def number(text: str) -> int:
    """A whole number of somebody's address or form; 0 when it is none."""
    return whole(text, 999_999_999) or 0
