"""The team's notes on a customer, beside every conversation with them and on their own page."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from starlette.responses import Response

from admin_ui.desk import Desk, nothing_here
from plugin import privacy, team
from plugin.crm import customers, identities, notes
from plugin.kernel.db import Tx
from plugin.team import Permission


@dataclass(frozen=True, slots=True)
class Shown:
    """A note as the reader sees it."""

    id: UUID
    text: str
    author: str
    at: datetime
    edited: bool
    may_edit: bool
    may_delete: bool


async def of(tx: Tx, desk: Desk, members: Collection[UUID]) -> Sequence[Shown]:
    """The notes on a person."""
    rows = await notes.of_family(tx, members)
    names = {agent.id: agent.name for agent in await team.agents(tx)} if rows else {}
    boss = desk.agent.may(Permission.MANAGE_TEAM)
    return [
        Shown(
            row.id,
            row.text,
            names.get(row.agent_id, desk.t.gettext("Somebody")),
            row.created_at,
            row.edited_at is not None,
            row.agent_id == desk.agent.id,
            row.agent_id == desk.agent.id or boss,
        )
        for row in rows
    ]


async def index(desk: Desk) -> Response:
    """The notes alone; `edit` names the one that is a form."""
    return await _index(desk, desk.path_id())


async def _index(desk: Desk, customer_id: UUID) -> Response:
    async with desk.transaction() as tx:
        if await customers.get(tx, customer_id) is None:
            raise nothing_here()
        shown = await of(tx, desk, await identities.family(tx, customer_id))
        await privacy.log_access(tx, desk.agent, customer_id, "customer")
    editing = desk.request.query_params.get("edit", "")
    return desk.page("notes.html", block="notes", notes=shown, notes_of=customer_id, editing=editing)


async def add(desk: Desk) -> Response:
    """Write a note."""
    form = await desk.request.form()
    async with desk.transaction() as tx:
        await notes.add(tx, desk.path_id(), str(form.get("text", "")), by=desk.agent)
    return await _index(desk, desk.path_id())


async def edit(desk: Desk) -> Response:
    """Say it in other words."""
    form = await desk.request.form()
    async with desk.transaction() as tx:
        note = await notes.edit(tx, desk.path_id("note"), str(form.get("text", "")), by=desk.agent)
    return await _index(desk, note.customer_id)


async def remove(desk: Desk) -> Response:
    """Delete a note."""
    async with desk.transaction() as tx:
        customer_id = await notes.remove(tx, desk.path_id("note"), by=desk.agent)
    return await _index(desk, customer_id)
