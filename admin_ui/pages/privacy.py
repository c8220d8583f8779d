"""Privacy requests: what shoppers and platforms asked for, by when, and handing over what was collected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from admin_ui.desk import Desk, nothing_here
from admin_ui.words import State
from plugin import privacy, stores
from plugin.app import App
from plugin.kernel.errors import NotFound
from plugin.kernel.i18n import Translator
from plugin.kernel.lazy import Lazy, _
from plugin.privacy import PrivacyRequest
from plugin.team import Agent, Permission

LINK_SECONDS: Final = 60
_LINK: Final = "privacy export"
_SETTLED: Final = 20

KINDS: Final[dict[str, tuple[Lazy, str]]] = {
    privacy.DATA_REQUEST: (_("A shopper wants a copy of their data"), "file-text"),
    privacy.CUSTOMER_REDACT: (_("A shopper is to be forgotten"), "user-x"),
    privacy.SHOP_REDACT: (_("Everything of a store is to be deleted"), "store"),
}
STATES: Final[dict[str, State]] = {
    privacy.OPEN: State(_("In work, nothing to do for you"), "", "clock"),
    privacy.READY: State(_("Ready to hand over"), "warn", "hand-helping"),
    privacy.DONE: State(_("Done"), "good", "circle-check"),
    privacy.SKIPPED: State(_("Not needed any more"), "", "ban"),
}


@dataclass(frozen=True, slots=True)
class Duty:
    """A request as the merchant reads it. `who` is empty once the person is forgotten."""

    id: UUID
    what: str
    sign: str
    state: State
    who: str
    store: str
    asked_at: datetime
    due_at: datetime
    done_at: datetime | None
    late: bool
    ready: bool
    counted: int


def duty(t: Translator, row: PrivacyRequest, names: dict[UUID, str], now: datetime) -> Duty:
    """A request's row in words. Pure."""
    what, sign = KINDS[row.kind]
    subject = row.subject
    account = str(subject.get("customer_id") or "")
    return Duty(
        id=row.id,
        what=t.gettext(what),
        sign=sign,
        state=STATES[row.state],
        who=str(subject.get("email") or subject.get("phone") or account.rpartition("/")[2]),
        store=names.get(row.store_id, "") if row.store_id else "",
        asked_at=row.asked_at,
        due_at=row.due_at,
        done_at=row.done_at,
        late=row.done_at is None and row.due_at < now,
        ready=row.state == privacy.READY,
        counted=sum(count for count in row.result.get("counts", {}).values() if isinstance(count, int)),
    )


async def index(desk: Desk) -> Response:
    """What is open, the most urgent first, and what was settled lately."""
    async with desk.transaction() as tx:
        names = {store.id: store.name for store in await stores.all_stores(tx)}
        now = datetime.now(UTC)

        def shown(rows: Sequence[PrivacyRequest]) -> list[Duty]:
            return [duty(desk.t, row, names, now) for row in rows]

        waiting = shown(await privacy.open_requests(tx))
        settled = shown(await privacy.settled_requests(tx, _SETTLED))
    heading = desk.t.gettext("Privacy requests")
    return desk.page("privacy.html", waiting=waiting, settled=settled, heading=heading, days=privacy.DEADLINE.days)


async def export_link(desk: Desk) -> Response:
    """A link that gives the export out for a minute: a browser sends no token along with a download."""
    async with desk.transaction() as tx:
        row = await tx.get(PrivacyRequest, desk.path_id())
        if row is None or row.state != privacy.READY:
            raise nothing_here()
    claims = {"w": desk.workspace_id.hex, "r": row.id.hex, "a": desk.agent.id.hex}
    link = f"/exports/{desk.app.vault.sign(_LINK, claims, LINK_SECONDS)}"
    return JSONResponse({"url": link}, headers=desk.headers())


async def hand_over(desk: Desk) -> Response:
    """The shopper has it: our copy goes, that it was done stays."""
    async with desk.transaction() as tx:
        if not await privacy.handed_over(tx, desk.path_id(), desk.agent):
            raise nothing_here()
    return desk.go("settings/privacy")


def download(app: App) -> Route:
    """The one export that a signed link names, as a file, and a line in the access log for everybody in it."""

    async def serve(request: Request) -> Response:
        claims = app.vault.verify(_LINK, request.path_params["token"])
        if claims is None:
            raise NotFound(_("This link is no longer good."), _("Press Download again."))
        async with app.db.transaction(UUID(hex=claims["w"])) as tx:
            agent = await tx.get(Agent, UUID(hex=claims["a"]))
            row = await tx.get(PrivacyRequest, UUID(hex=claims["r"]))
            if agent is None or not agent.may(Permission.MANAGE_PRIVACY) or row is None or row.state != privacy.READY:
                raise NotFound(_("This link is no longer good."), _("Press Download again."))
            export = row.result["export"]
            for person in {profile["customer_id"] for profile in export["profiles"]}:
                await privacy.log_access(tx, agent, UUID(person), "export")
        name = f"personal-data-{row.asked_at:%Y-%m-%d}-{row.id.hex[-6:]}.json"
        headers = {
            "content-disposition": f'attachment; filename="{name}"',
            "content-security-policy": "sandbox; default-src 'none'",
            "x-content-type-options": "nosniff",
            "cache-control": "no-store",
            "referrer-policy": "no-referrer",
        }
        text = orjson.dumps(export, option=orjson.OPT_INDENT_2)
        return Response(text, headers=headers, media_type="application/json")

    return Route("/exports/{token}", serve, methods=["GET"])
