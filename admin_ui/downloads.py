"""Files that leave the panel: a signed link that is good for a minute, because a browser sends no token along."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from admin_ui.desk import Desk
from plugin import workspaces
from plugin.app import App
from plugin.kernel.db import Tx
from plugin.kernel.errors import NotFound
from plugin.kernel.i18n import Translator, zone_of
from plugin.kernel.lazy import _
from plugin.team import Agent, Permission

LINK_SECONDS: Final = 60


def link(desk: Desk, path: str, purpose: str, claims: Mapping[str, Any]) -> Response:
    """The address below `path` that gives this agent's file out; `claims` say which file."""
    said = {"w": desk.workspace_id.hex, "a": desk.agent.id.hex, **claims}
    return JSONResponse({"url": f"{path}/{desk.app.vault.sign(purpose, said, LINK_SECONDS)}"}, headers=desk.headers())


def claims_of(app: App, request: Request, purpose: str) -> dict[str, Any]:
    """What a link of `link` says: `w` the workspace, `a` the agent, and which file. Raises NotFound."""
    said = app.vault.verify(purpose, request.path_params["token"])
    if said is None:
        raise expired()
    return said


async def reader_of(app: App, tx: Tx, claims: Mapping[str, Any]) -> tuple[Agent, Translator]:
    """Who asked for the file of a link, and their words. Raises NotFound for whoever may not have it any more."""
    agent = await tx.get(Agent, UUID(hex=claims["a"]))
    workspace = await workspaces.current(tx)
    if agent is None or workspace is None or not agent.may(Permission.EXPORT):
        raise expired()
    return agent, app.catalogues.translator(claims["l"], timezone=zone_of(agent.timezone or workspace.timezone))


def expired() -> NotFound:
    """What a link gets that is too old, or whose agent may not have the file any more."""
    return NotFound(_("This link is no longer good."), _("Press Download again."))


def attachment(pieces: AsyncIterator[str] | AsyncIterator[bytes], name: str, media_type: str) -> Response:
    """A file to keep, in no cache and with no page of ours around it."""
    headers = {
        "content-disposition": f'attachment; filename="{name}"',
        "content-security-policy": "sandbox; default-src 'none'",
        "x-content-type-options": "nosniff",
        "cache-control": "no-store",
        "referrer-policy": "no-referrer",
    }
    return StreamingResponse(pieces, headers=headers, media_type=media_type)


async def sheet(rows: Iterable[Sequence[object]]) -> AsyncIterator[str]:
    """Rows as a CSV file that spreadsheets read as UTF-8 and take no formula from."""
    # Spreadsheets take a file without this mark for one of their own old alphabets.
    yield "\ufeff"
    for cells in rows:
        out = io.StringIO()
        csv.writer(out).writerow([safe_cell(str(cell)) for cell in cells])
        yield out.getvalue()


def safe_cell(text: str) -> str:
    """A cell that no spreadsheet takes for a formula
    (https://owasp.org/www-community/attacks/CSV_Injection)."""
    plain = text.replace("\u2066", "").replace("\u2068", "").replace("\u2069", "")
    return f"'{plain}" if plain[:1] in ("=", "+", "-", "@", "\t", "\r") else plain
