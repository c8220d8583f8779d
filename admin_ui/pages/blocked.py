"""Who is blocked: the list in the settings, where it is taken back."""

from __future__ import annotations

from starlette.responses import Response

from admin_ui.desk import Desk
from plugin import team
from plugin.conversations import blocked
from plugin.conversations.blocked import BlockedSender, Kind
from plugin.kernel.errors import AhlanError
from plugin.kernel.i18n import Translator
from plugin.kernel.lazy import Lazy, _
from plugin.team import audit

_SIGNS: dict[Kind, tuple[str, Lazy]] = {
    Kind.VISITOR: ("globe", _("A browser")),
    Kind.EMAIL: ("mail", _("An address")),
    Kind.DOMAIN: ("at-sign", _("A domain")),
}


async def index(desk: Desk) -> Response:
    """Everybody who is blocked."""
    return await _index(desk)


async def _index(desk: Desk, *, status: int = 200, said: str = "", error: str = "") -> Response:
    async with desk.transaction() as tx:
        rows = await blocked.everybody(tx)
        names = {agent.id: agent.name for agent in await team.agents(tx)}
    return desk.page(
        "blocked.html",
        status=status,
        heading=desk.t.gettext("Blocked senders"),
        rows=rows,
        names=names,
        signs=_SIGNS,
        shown={row.id: _shown(desk.t, row) for row in rows},
        said=said,
        error=error,
        saved=desk.request.query_params.get("saved", ""),
    )


def _shown(t: Translator, row: BlockedSender) -> str:
    if row.kind == Kind.VISITOR:
        return t.gettext("Browser %(code)s", code=row.value[-6:])
    return row.value if row.kind == Kind.EMAIL else f"@{row.value}"


async def add(desk: Desk) -> Response:
    """Block an address or a domain."""
    form = await desk.request.form()
    said = str(form.get("sender", ""))
    try:
        async with desk.transaction() as tx:
            row = await blocked.add(tx, said, by=desk.agent)
            audit.note(tx, "settings.blocked", by=desk.agent.id, changes={"email": ["", row.value]})
    except AhlanError as error:
        words = [desk.t.gettext(part) for part in (error.message, error.hint) if part]
        return await _index(desk, status=422, said=said, error=" ".join(words))
    return desk.go("settings/blocked", saved="added")


async def unblock(desk: Desk) -> Response:
    """Hear them again."""
    async with desk.transaction() as tx:
        value = await blocked.unblock(tx, desk.path_id(), by=desk.agent)
        audit.note(tx, "settings.unblocked", by=desk.agent.id, changes={"email": [value, ""]})
    return desk.go("settings/blocked", saved="removed")
