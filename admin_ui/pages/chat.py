"""Live chat at the desk: messages changed and signed, cards to send, conversations handed over, what is being typed."""

from __future__ import annotations

from uuid import uuid4

from starlette.responses import Response

from admin_ui.carried import card_of
from admin_ui.desk import Desk, as_id, nothing_here
from admin_ui.pages import conversation
from plugin import privacy, stores, team, workspaces
from plugin.conversations import cards, changes, conversations, messages, presence
from plugin.conversations.conversations import Conversation
from plugin.conversations.messages import Message
from plugin.kernel.db import Tx
from plugin.kernel.i18n import Translator
from plugin.kernel.text import isolate
from plugin.team import Agent, Permission, audit


async def _found(tx: Tx, desk: Desk) -> tuple[Conversation, Message]:
    talk = await conversation.find(tx, desk.path_id())
    return talk, await changes.find(tx, talk.id, desk.path_id("message"))


async def one(desk: Desk) -> Response:
    """One message as it is now, or, with `as=edit`, as a form of its author's."""
    async with desk.transaction() as tx:
        talk, message = await _found(tx, desk)
        line = await conversation.line(tx, desk, talk, message)
        if talk.customer_id is not None:
            await privacy.log_access(tx, desk.agent, talk.customer_id, "conversation")
    editing = desk.request.query_params.get("as") == "edit"
    if editing and not line.more.may_edit:
        raise nothing_here()
    return _line(desk, talk, line, editing=editing)


def _line(desk: Desk, talk: Conversation, line: conversation.Said, *, editing: bool = False) -> Response:
    return desk.page("message.html", item=line, read_seq=talk.shopper_read_seq, editing=editing, block="line")


async def tools(desk: Desk) -> Response:
    """What the reader may do to a message, and what it said before."""
    async with desk.transaction() as tx:
        talk, message = await _found(tx, desk)
        line = await conversation.line(tx, desk, talk, message)
        before = await changes.versions(tx, message.id) if line.more.changed else []
        names = {agent.id: agent.name for agent in await team.agents(tx)} if before else {}
    return desk.page("message.html", item=line, signs=changes.SIGNS, before=before, names=names, block="tools")


async def edit(desk: Desk) -> Response:
    """Say it in other words."""
    form = await desk.request.form()
    async with desk.transaction() as tx:
        talk, message = await _found(tx, desk)
        await stores.standing_still(tx, talk.store_id)
        await changes.edit(tx, message, desk.agent, str(form.get("text", "")))
        return _line(desk, talk, await conversation.line(tx, desk, talk, message))


async def take_back(desk: Desk) -> Response:
    """Delete a message, or bring one's own deletion back (`undo`)."""
    form = await desk.request.form()
    async with desk.transaction() as tx:
        talk, message = await _found(tx, desk)
        await stores.standing_still(tx, talk.store_id)
        verb = changes.bring_back if form.get("undo") else changes.take_back
        await verb(tx, message, desk.agent)
        return _line(desk, talk, await conversation.line(tx, desk, talk, message))


async def sign(desk: Desk) -> Response:
    """Put a sign on a message, or take one's own off."""
    form = await desk.request.form()
    async with desk.transaction() as tx:
        talk, message = await _found(tx, desk)
        await stores.standing_still(tx, talk.store_id)
        await changes.react(tx, message, str(form.get("sign", "")), by=desk.agent, on=form.get("on") != "no")
        return _line(desk, talk, await conversation.line(tx, desk, talk, message))


async def offer(desk: Desk) -> Response:
    """Cards that can be sent in this conversation: its proven orders, and products that `q` names."""
    words = desk.request.query_params.get("q", "")[:100]
    async with desk.transaction() as tx:
        talk = await conversation.find(tx, desk.path_id())
        orders = await cards.orders(tx, talk) if not words.strip() else []
        products = await cards.products(tx, talk, words)
    return desk.page(
        "composing.html",
        orders=[card_of(desk.t, card) for card in orders],
        products=[card_of(desk.t, card, card.get("image_url", "")) for card in products],
        unproven=talk.customer_id is None,
        block="offer",
    )


async def typed(desk: Desk) -> Response:
    """What the shopper is writing just now, where the workspace lets agents read along."""
    async with desk.transaction() as tx:
        talk = await conversation.find(tx, desk.path_id())
        allowed = (await workspaces.chat_rules(tx)).typing_preview
        if talk.customer_id is not None:
            await privacy.log_access(tx, desk.agent, talk.customer_id, "conversation")
    text = await presence.typed_so_far(desk.app.hub, desk.workspace_id, desk.path_id()) if allowed else ""
    return desk.page("message.html", typed_text=text, block="typed")


async def hand_over(desk: Desk) -> Response:
    """Give the conversation to a colleague with a word that only the team reads."""
    form = await desk.request.form()
    words = str(form.get("note", "")).strip()
    async with desk.transaction() as tx:
        talk = await conversation.find(tx, desk.path_id())
        await stores.standing_still(tx, talk.store_id)
        # Held: nobody is let go between this look and the assignment.
        to = await tx.get(Agent, as_id(str(form.get("to", ""))), lock=True)
        if to is None or not to.may(Permission.REPLY):
            raise nothing_here()
        before = talk.assignee_id
        await conversations.assign(tx, talk, to, by=desk.agent, seen=before)
        if words:
            await messages.note(tx, talk, desk.agent, uuid4(), f"{_whisper(desk.t, to)}\n{words}")
        said = desk.t.gettext("Given to %(name)s.", name=isolate(to.name))
        values = {"seen": str(to.id), "to": str(before or "")}
        return await conversation.head_of(tx, desk, talk, said, "assign", values)


def _whisper(t: Translator, to: Agent) -> str:
    return t.gettext("For %(name)s:", name=isolate(to.name))


async def save_rules(desk: Desk) -> Response:
    """How chat works in the workspace."""
    form = await desk.request.form()
    async with desk.transaction() as tx:
        workspace = await workspaces.current(tx)
        assert workspace is not None
        before = dict(workspace.chat)
        workspace.chat = {**before, "typing_preview": "typing_preview" in form, "ratings": "ratings" in form}
        if changed := audit.changed(before, workspace.chat):
            audit.note(tx, "settings.chat", by=desk.agent.id, changes=changed)
    return desk.go("settings", saved="chat")
