"""What is done to a whole conversation: merged, split, forwarded, blocked, given out as a copy."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from admin_ui import downloads
from admin_ui.auth import placed
from admin_ui.desk import Desk, as_id, nothing_here
from admin_ui.pages import conversation, person
from plugin import privacy, stores, workspaces
from plugin.app import App
from plugin.conversations import blocked, changes, forwarding, merging, transcripts
from plugin.conversations.blocked import Kind
from plugin.conversations.conversations import Conversation
from plugin.conversations.forwarding import Wanted
from plugin.conversations.merging import ConversationJoin, Fit
from plugin.kernel.db import Tx
from plugin.kernel.errors import AhlanError
from plugin.kernel.i18n import zone_of
from plugin.kernel.lazy import Lazy, _
from plugin.kernel.text import isolate
from plugin.team import Agent, Permission

_LINK: Final = "transcript"
_OFFERED = 20

BLOCKS: dict[Kind, tuple[Lazy, Lazy]] = {
    Kind.VISITOR: (_("This browser"), _("What is written from it becomes spam; the chat says that it is closed.")),
    Kind.EMAIL: (_("This address"), _("E-mails from it become spam. Nobody is told.")),
    Kind.DOMAIN: (_("Everybody at this domain"), _("E-mails from any address there become spam.")),
}


@dataclass(frozen=True, slots=True)
class Twin:
    """Another conversation that could be put into this one; `fit` says what that means."""

    id: UUID
    name: str
    channel: tuple[str, str]
    preview: str
    at: datetime
    status: str
    fit: Fit
    messages: int


async def _twins(tx: Tx, desk: Desk, talk: Conversation) -> list[Twin]:
    return [await _twin(tx, desk, one, Fit.SAME) for one in await merging.twins(tx, talk, limit=_OFFERED)]


async def _twin(tx: Tx, desk: Desk, talk: Conversation, fit: Fit) -> Twin:
    return Twin(
        talk.id,
        await person.name_of(tx, desk.t, talk),
        conversation.channel_of(desk.t, talk.channel),
        talk.subject or talk.preview or desk.t.gettext("No message yet"),
        talk.last_message_at,
        talk.status,
        fit,
        talk.last_seq,
    )


# Merging


async def look_at_merge(desk: Desk) -> Response:
    """What could be put into this conversation: the same person's, and one that is named by `other`."""
    async with desk.transaction() as tx:
        talk = await conversation.find(tx, desk.path_id())
        found = await _twins(tx, desk, talk)
        said = desk.request.query_params.get("other", "")
        named = _named(said)
        asked = await _asked(tx, desk, talk, named) if named is not None else None
        if talk.customer_id is not None:
            await privacy.log_access(tx, desk.agent, talk.customer_id, "conversation")
    known = {one.id for one in found}
    if asked is not None and asked.id not in known:
        found = [asked, *found]
    return desk.page(
        "thread_act.html", block="merge", talk=talk, twins=found, said=said, missing=bool(said) and asked is None
    )


def _named(said: str) -> UUID | None:
    """The conversation that a pasted address or an id names."""
    tail = said.strip().partition("?")[0].rstrip("/").rpartition("/")[2]
    try:
        return UUID(tail)
    except ValueError:
        return None


async def _asked(tx: Tx, desk: Desk, talk: Conversation, other_id: UUID) -> Twin | None:
    other = await tx.get(Conversation, await merging.surviving(tx, other_id) or other_id)
    if other is None or other.id == talk.id:
        return None
    heads = await merging.heads_of(tx, [talk, other])
    if other.customer_id is not None:
        await privacy.log_access(tx, desk.agent, other.customer_id, "conversation")
    return await _twin(tx, desk, other, merging.fit(talk, other, heads))


async def merge(desk: Desk) -> Response:
    """Put the chosen conversations into this one."""
    form = await desk.request.form()
    others = [as_id(str(value)) for value in form.getlist("other")]
    async with desk.transaction() as tx:
        talk = await conversation.find(tx, desk.path_id())
        await stores.standing_still(tx, talk.store_id)
        joins = await merging.merge(tx, talk.id, others, by=desk.agent, sure=form.get("sure") == "yes")
    return joined(desk, talk.id, joins)


async def merge_many(desk: Desk, ids: Sequence[UUID]) -> Response:
    """Put the conversations that were chosen in the list into the one with the latest message."""
    async with desk.transaction() as tx:
        rows = [row for row in [await tx.get(Conversation, id) for id in ids] if row is not None]
        if len(rows) < 2:
            raise AhlanError(_("Choose two conversations or more."), code="merge_few")
        for row in rows:
            await stores.standing_still(tx, row.store_id)
        rows.sort(key=lambda row: (row.last_message_at, row.id), reverse=True)
        joins = await merging.merge(tx, rows[0].id, [row.id for row in rows[1:]], by=desk.agent)
    return joined(desk, rows[0].id, joins)


def joined(desk: Desk, talk: UUID, joins: Sequence[ConversationJoin]) -> Response:
    """What to do on the screen after a merge: read the thread anew, and offer to take it back."""
    count = len(joins) + 1
    said = desk.t.ngettext(
        "%(count)s conversation is one now.", "%(count)s conversations are one now.", count, count=count
    )
    return _done(desk, talk, said, "joins/undo", {"join": " ".join(str(join.id) for join in reversed(joins))})


def _done(desk: Desk, talk: UUID, said: str, undo: str = "", values: Mapping[str, str] | None = None) -> Response:
    toast: dict[str, Any] = {"text": said}
    if undo:
        toast |= {"action": desk.url(undo), "undo": desk.t.gettext("Undo"), "values": values or {}}
    events = {"ahlan:toast": toast, "ahlan:thread": {"id": str(talk)}, "ahlan:changed": {}}
    return Response(status_code=204, headers={**desk.headers(), "hx-trigger": json.dumps(events)})


async def undo(desk: Desk) -> Response:
    """Take joins back, the latest first."""
    form = await desk.request.form()
    ids = [as_id(id) for id in str(form.get("join", "")).split()[: merging.AT_ONCE]]
    if not ids:
        raise nothing_here()
    async with desk.transaction() as tx:
        for id in ids:
            talk = await merging.undo(tx, id, by=desk.agent)
    return _done(desk, talk.id, desk.t.gettext("As it was before."))


# Splitting


async def look_at_split(desk: Desk) -> Response:
    """What goes into a conversation of its own, from one message on."""
    async with desk.transaction() as tx:
        talk = await conversation.find(tx, desk.path_id())
        message = await changes.find(tx, talk.id, desk.path_id("message"))
        rest = talk.last_position - message.position + 1
    return desk.page("thread_act.html", block="split", talk=talk, message=message, rest=rest)


async def split(desk: Desk) -> Response:
    """Split what follows off."""
    form = await desk.request.form()
    async with desk.transaction() as tx:
        talk = await conversation.find(tx, desk.path_id())
        await stores.standing_still(tx, talk.store_id)
        message = await changes.find(tx, talk.id, desk.path_id("message"))
        join = await merging.split(tx, talk.id, message.position, by=desk.agent, subject=str(form.get("subject", "")))
    said = desk.t.gettext("A conversation of its own now.")
    return _done(desk, join.other_id, said, "joins/undo", {"join": str(join.id)})


# Forwarding


async def forward(desk: Desk) -> Response:
    """Send the thread, or one message of it, to somebody outside; the note that keeps it comes back."""
    form = await desk.request.form()
    client_id = as_id(str(form.get("client_id", "")))
    only = as_id(str(form["only"])) if form.get("only") else None
    files = [as_id(str(value)) for value in form.getlist("attachment")]
    wanted = Wanted(
        str(form.get("to", "")), str(form.get("subject", "")), str(form.get("text", "")), only,
        form.get("files") == "yes",
    )  # fmt: skip
    async with desk.transaction() as tx:
        talk = await conversation.find(tx, desk.path_id())
        await stores.standing_still(tx, talk.store_id)
        note = await forwarding.forward(desk.app, tx, talk, wanted, files, by=desk.agent, client_id=client_id)
    return await conversation.written(desk, note)


# Blocking


async def look_at_block(desk: Desk) -> Response:
    """Who could be blocked because of this conversation."""
    async with desk.transaction() as tx:
        talk = await conversation.find(tx, desk.path_id())
        choices = []
        for kind, value in blocked.choices(talk):
            email, visitor = (value, None) if kind is not Kind.VISITOR else ("", UUID(value))
            known = kind is not Kind.DOMAIN and await blocked.is_blocked(tx, visitor_id=visitor, email=email)
            choices.append((kind, "" if kind is Kind.VISITOR else value, known))
    return desk.page("thread_act.html", block="block_sender", talk=talk, choices=choices, names=BLOCKS)


async def block(desk: Desk) -> Response:
    """Block whoever writes here: this conversation, and their other open ones, are spam."""
    form = await desk.request.form()
    kind = str(form.get("kind", ""))
    if kind not in set(Kind):
        raise nothing_here()
    async with desk.transaction() as tx:
        talk = await conversation.find(tx, desk.path_id())
        await blocked.block(tx, talk, Kind(kind), by=desk.agent)
    return _done(desk, talk.id, desk.t.gettext("Blocked. Their words are kept as spam; Settings takes it back."))


# A copy


async def look_at_copy(desk: Desk) -> Response:
    """A copy of the conversation: by mail to the customer, or as a file."""
    async with desk.transaction() as tx:
        talk = await conversation.find(tx, desk.path_id())
        to = await transcripts.sendable_to(desk.app, tx, talk)
        if to and talk.customer_id is not None:
            await privacy.log_access(tx, desk.agent, talk.customer_id, "conversation")
    return desk.page("thread_act.html", block="copy", talk=talk, to=to)


async def send_copy(desk: Desk) -> Response:
    """Have the copy mailed."""
    async with desk.transaction() as tx:
        talk = await conversation.find(tx, desk.path_id())
        to = await transcripts.send_to_customer(desk.app, tx, talk, by=desk.agent)
    return _done(desk, talk.id, desk.t.gettext("The copy goes to %(email)s.", email=isolate(to)))


async def copy_link(desk: Desk) -> Response:
    """A link that gives the copy out for a minute, as a file."""
    async with desk.transaction() as tx:
        talk = await conversation.find(tx, desk.path_id())
        if talk.customer_id is not None:
            await privacy.log_access(tx, desk.agent, talk.customer_id, "conversation")
    return downloads.link(desk, "/exports/transcript", _LINK, {"l": desk.t.locale, "c": talk.id.hex})


def download(app: App) -> Route:
    """The copy that a signed link names, as a text file."""

    async def serve(request: Request) -> Response:
        claims = downloads.claims_of(app, request, _LINK)
        async with app.db.transaction(UUID(hex=claims["w"])) as tx:
            agent = await tx.get(Agent, UUID(hex=claims["a"]))
            workspace = await workspaces.current(tx)
            talk = await tx.get(Conversation, UUID(hex=claims["c"]))
            store = await stores.get(tx, talk.store_id) if talk is not None and talk.store_id is not None else None
            if agent is None or workspace is None or talk is None or store is None or not agent.may(Permission.REPLY):
                raise downloads.expired()
            zone = zone_of(agent.timezone or workspace.timezone)
            words = app.catalogues.translator(claims["l"], timezone=zone)
            text = await transcripts.as_text(words, tx, talk, store)
        return downloads.attachment(_file(text), f"conversation-{talk.id}.txt", "text/plain; charset=utf-8")

    return Route("/exports/transcript/{token}", placed(serve), methods=["GET"])


async def _file(text: str) -> AsyncIterator[str]:
    yield "\ufeff"
    yield text
