"""A language model beside a conversation: a draft, a summary, what was written in another language, an answer in it.

Whatever keeps it from answering is said in its place, in words; the agent goes on without.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from starlette.responses import Response

from admin_ui.desk import Desk, as_id
from admin_ui.pages import conversation
from plugin import privacy, stores
from plugin.bot import helping
from plugin.conversations import messages
from plugin.conversations.conversations import Conversation
from plugin.conversations.messages import Message
from plugin.conversations.teams import language_of
from plugin.kernel.db import Tx
from plugin.kernel.errors import AhlanError
from plugin.kernel.lazy import _
from plugin.model import calls, settings
from plugin.model.calls import Unavailable
from plugin.model.settings import Use


@dataclass(frozen=True, slots=True)
class Assist:
    """What a model is offered for beside this conversation. `reads`: the agent's languages, `theirs` the shopper's."""

    uses: frozenset[str]
    reads: Sequence[str]
    theirs: str
    theirs_name: str
    long: bool


async def beside(tx: Tx, desk: Desk, conversation_id: UUID) -> Assist | None:
    """For the thread's page; None where no model is used, or by nobody who may reply."""
    uses = await settings.offered(tx) if desk.may("reply") else frozenset()
    if not uses:
        return None
    talk = await conversation.find(tx, conversation_id)
    reads = await helping.reads(tx, desk.agent.id, desk.t.locale)
    theirs = await helping.answered_in(tx, talk) if Use.TRANSLATION in uses else ""
    return Assist(uses, sorted(reads), theirs, _named(desk, theirs), talk.last_seq >= helping.LONG)


async def draft(desk: Desk) -> Response:
    """A reply to look at; it is written nowhere but on the screen."""
    talk = await _looked_at(desk)
    async with desk.transaction() as tx:
        store = await stores.get(tx, talk.store_id) if talk.store_id is not None else None
    try:
        made = await helping.draft(desk.app, desk.workspace_id, talk, store)
    except (Unavailable, AhlanError) as error:
        return _trouble(desk, error)
    return desk.page("assist.html", block="draft", made=made)


async def summary(desk: Desk) -> Response:
    """What it is about so far, in the agent's language."""
    talk = await _looked_at(desk)
    try:
        words = await helping.summary(desk.app, desk.workspace_id, talk, language_of(desk.t.locale))
    except (Unavailable, AhlanError) as error:
        return _trouble(desk, error)
    return desk.page("assist.html", block="summary", words=words)


async def translations(desk: Desk) -> Response:
    """Messages of the shopper's in the agent's language, by the names that the page calls them."""
    talk = await _looked_at(desk)
    wanted = [as_id(str(one)) for one in (await desk.request.form()).getlist("message")][-helping.MOST_AT_ONCE :]
    async with desk.transaction() as tx:
        rows = await tx.execute(
            select(Message.id, Message.client_id).where(
                Message.workspace_id == tx.workspace_id, Message.conversation_id == talk.id,
                Message.client_id.in_(wanted), Message.author == messages.SHOPPER,
            )
        )  # fmt: skip
        names = {row.id: row.client_id for row in rows}
        reads = await helping.reads(tx, desk.agent.id, desk.t.locale)
    try:
        found = await helping.translations(
            desk.app, desk.workspace_id, talk, list(names), language_of(desk.t.locale), reads
        )
    except (Unavailable, AhlanError) as error:
        return _trouble(desk, error)
    return desk.page("assist.html", block="translated", found=[(names[id], words) for id, words in found.items()])


async def reply(desk: Desk) -> Response:
    """The agent's words in the shopper's language, to look at before anything is sent."""
    talk = await _looked_at(desk)
    said = str((await desk.request.form()).get("text", "")).strip()[: messages.MAX_TEXT]
    async with desk.transaction() as tx:
        into = await helping.answered_in(tx, talk)
    try:
        if not said:
            raise AhlanError(_("Write the answer first, in your own language."), code="nothing_to_translate")
        made = await helping.translated(desk.app, desk.workspace_id, talk, said, into)
    except (Unavailable, AhlanError) as error:
        return _trouble(desk, error)
    return desk.page("assist.html", block="answer", made=made, said=said, into=_named(desk, into))


async def _looked_at(desk: Desk) -> Conversation:
    """The conversation; whoever has it read aloud has looked at its customer."""
    async with desk.transaction() as tx:
        talk = await conversation.find(tx, desk.path_id())
        if talk.customer_id is not None:
            await privacy.log_access(tx, desk.agent, talk.customer_id, "conversation")
    return talk


def _trouble(desk: Desk, error: Unavailable | AhlanError) -> Response:
    words = calls.WHY[error.why] if isinstance(error, Unavailable) else error.message
    hint = error.hint if isinstance(error, AhlanError) else None
    return desk.page(
        "assist.html", block="trouble", words=desk.t.gettext(words), hint=desk.t.gettext(hint) if hint else ""
    )


def _named(desk: Desk, language: str) -> str:
    return next((one.name for one in desk.app.catalogues.languages if one.code == language), language)
