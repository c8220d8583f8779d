"""Settings, Privacy: what was asked and by when, copies to hand over, how long things are kept, who looked at whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from admin_ui import downloads
from admin_ui.auth import placed
from admin_ui.desk import Desk, as_id, nothing_here
from admin_ui.pages import consent
from admin_ui.words import State
from plugin import privacy, stores, team
from plugin.app import App
from plugin.crm import customers, identities
from plugin.kernel.config import MOST_DAYS
from plugin.kernel.db import Tx
from plugin.kernel.digits import whole
from plugin.kernel.errors import Forbidden
from plugin.kernel.i18n import Translator
from plugin.kernel.lazy import Lazy, _
from plugin.kernel.money import Money
from plugin.kernel.web import Web
from plugin.privacy import PrivacyRequest, access, export, keeping
from plugin.team import Agent, Permission, audit

_LINK: Final = "privacy export"
_SETTLED: Final = 20
_LOOKS: Final = 50

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
KEPT: Final[Mapping[str, tuple[Lazy, Lazy]]] = {
    "conversations": (_("Closed conversations"), _("With their files, from the last message on")),
    "carts": (_("Carts"), _("From the last change on")),
    "visitors": (_("Visitors who never wrote"), _("From their last visit on")),
    "returns": (_("Returns that have ended"), _("With what was sent back and why; orders and refunds stay")),
    "timeline": (_("Timelines of customers"), _("What happened, told on their pages")),
    "webhooks": (_("What stores sent us"), _("The raw messages, once they are worked in")),
    "exports": (_("Copies that wait to be handed over"), _("From the request on")),
    "access_log": (_("Who looked at whom"), _("The list of looks at customers")),
    "withdrawals": (
        _("Withdrawals from contracts"),
        _("The statements, whole, as evidence; nothing before it is settled"),
    ),
    "evidence": (_("Settled privacy requests"), _("They name nobody")),
}
LOOKED_AT: Final[Mapping[str, tuple[Lazy, str]]] = {
    "customer": (_("Customer's page"), "user-round"),
    "timeline": (_("Timeline"), "history"),
    "conversation": (_("Conversation"), "message-circle"),
    "export": (_("Copy of all data"), "download"),
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


@dataclass(frozen=True, slots=True)
class Keeping:
    """One kind of data and how long it is kept; `choices` pair days with words."""

    kind: str
    what: str
    how: str
    days: int
    choices: Sequence[tuple[int, str]]
    goes: int


async def index(desk: Desk) -> Response:
    """What is open, the most urgent first; how long things are kept; what was settled lately."""
    async with desk.transaction() as tx:
        names = {store.id: store.name for store in await stores.all_stores(tx)}
        now = datetime.now(UTC)

        def shown(rows: Sequence[PrivacyRequest]) -> list[Duty]:
            return [duty(desk.t, row, names, now) for row in rows]

        waiting = shown(await privacy.open_requests(tx))
        settled = shown(await privacy.settled_requests(tx, _SETTLED))
        kept = await _keeping(tx, desk)
    return desk.page(
        "privacy.html",
        waiting=waiting,
        settled=settled,
        keeping=kept,
        heading=desk.t.gettext("Privacy"),
        days=privacy.DEADLINE.days,
        saved=desk.request.query_params.get("saved", ""),
    )


# How long things are kept


async def _keeping(tx: Tx, desk: Desk) -> list[Keeping]:
    settings, t = desk.app.settings, desk.t
    chosen = await keeping.periods(tx, settings)
    return [
        Keeping(name, t.gettext(KEPT[name][0]), t.gettext(KEPT[name][1]), chosen[name],
                [(days, period(t, days)) for days in kind.choices],
                await keeping.would_go(tx, settings, name, chosen[name]))
        for name, kind in keeping.kinds(settings).items()
    ]  # fmt: skip


def period(t: Translator, days: int) -> str:
    """Days as people say them: in years and days; 0 is for ever. Pure."""
    if days == keeping.FOR_EVER:
        return t.gettext("Without end")
    if days % 365 == 0:
        return t.ngettext("%(num)s year", "%(num)s years", days // 365)
    return t.ngettext("%(num)s day", "%(num)s days", days)


async def preview(desk: Desk) -> Response:
    """What would be deleted if one kind were kept for as long as is chosen just now."""
    name, days = _asked(desk.request.query_params)
    async with desk.transaction() as tx:
        goes = await keeping.would_go(tx, desk.app.settings, name, days)
    return desk.page("privacy_goes.html", block="goes", one={"kind": name, "goes": goes})


def _asked(said: Mapping[str, Any]) -> tuple[str, int]:
    name = str(said.get("kind", ""))
    days = whole(str(said.get(name, "")), MOST_DAYS)
    if name not in KEPT or days is None:
        raise nothing_here()
    return name, days


async def save_keeping(desk: Desk) -> Response:
    """How long each kind is kept; what is too old then goes with the next night's deletion."""
    form = await desk.request.form()
    async with desk.transaction() as tx:
        before = await keeping.periods(tx, desk.app.settings)
        for name in KEPT:
            if said := str(form.get(name, "")):
                days = whole(said, MOST_DAYS)
                await keeping.keep(tx, desk.app.settings, name, -1 if days is None else days, desk.agent)
        if changes := audit.changed(before, await keeping.periods(tx, desk.app.settings)):
            audit.note(tx, "settings.keeping", by=desk.agent.id, changes=changes)
    return desk.go("settings/privacy", saved="keeping")


# Who looked at whom


@dataclass(frozen=True, slots=True)
class Look:
    """A line of the read log. `customer` is empty for somebody who was erased."""

    who: str
    who_id: UUID
    customer: str
    customer_id: UUID
    what: str
    sign: str
    at: datetime
    until: datetime | None


async def looks(desk: Desk) -> Response:
    """The read log: of everybody, of one agent (`agent`), or about one customer (`customer`)."""
    query = desk.request.query_params
    agent_id = as_id(query["agent"]) if query.get("agent") else None
    customer_id = as_id(query["customer"]) if query.get("customer") else None
    async with desk.transaction() as tx:
        members = await identities.family(tx, customer_id) if customer_id else ()
        page = await access.looks(
            tx, customers=members, agent_id=agent_id, before=_before(query.get("before", "")), limit=_LOOKS
        )
        agents = {one.id: one.name for one in await team.agents(tx)}
        people = await customers.named(tx, [row.customer_id for row in page.rows])
        about = (await customers.named(tx, [customer_id])).get(customer_id) if customer_id else None
    rows = [_look(desk.t, row, agents, people) for row in page.rows]
    return desk.page(
        "access.html",
        block="look_rows" if "more" in query else "",
        rows=rows,
        agents=sorted(agents.items(), key=lambda one: one[1]),
        agent_id=agent_id,
        about=(about.name or about.email or about.phone or desk.t.gettext("Without a name")) if about else "",
        customer_id=customer_id,
        before=f"{page.before.isoformat()}~{page.before_id}" if page.before else "",
        heading=desk.t.gettext("Who looked at whom"),
    )


def _before(said: str) -> tuple[datetime, UUID] | None:
    at, _tilde, id = said.partition("~")
    try:
        return (datetime.fromisoformat(at), as_id(id)) if said else None
    except ValueError:
        raise nothing_here() from None


def _look(
    t: Translator, row: access.AccessLog, agents: Mapping[UUID, str], people: Mapping[UUID, customers.Customer]
) -> Look:
    what, sign = LOOKED_AT[row.what]
    person = people.get(row.customer_id)
    name = (person.name or person.email or person.phone or t.gettext("Without a name")) if person else ""
    return Look(
        who=agents.get(row.agent_id, t.gettext("Somebody")),
        who_id=row.agent_id,
        customer=name,
        customer_id=row.customer_id,
        what=t.gettext(what),
        sign=sign,
        at=row.created_at,
        until=row.until if (row.until - row.created_at).total_seconds() >= 60 else None,
    )


# Copies


async def export_link(desk: Desk) -> Response:
    """A link that gives the export out for a minute."""
    if not desk.may(Permission.MANAGE_PRIVACY):
        raise Forbidden(_("Your role does not allow that."), _("Ask an owner of this workspace."))
    async with desk.transaction() as tx:
        row = await tx.get(PrivacyRequest, desk.path_id())
        if row is None or row.state != privacy.READY:
            raise nothing_here()
    return downloads.link(desk, "/exports", _LINK, {"r": row.id.hex})


async def hand_over(desk: Desk) -> Response:
    """The shopper has it: our copy goes, that it was done stays."""
    async with desk.transaction() as tx:
        if not await privacy.handed_over(tx, desk.path_id(), desk.agent):
            raise nothing_here()
    return desk.go("settings/privacy")


def download(app: App, web: Web) -> Route:
    """The one export that a signed link names, as a ZIP, and a line in the access log for everybody in it."""

    async def serve(request: Request) -> Response:
        claims = downloads.claims_of(app, request, _LINK)
        workspace_id = UUID(hex=claims["w"])
        async with app.db.transaction(workspace_id) as tx:
            agent = await tx.get(Agent, UUID(hex=claims["a"]))
            row = await tx.get(PrivacyRequest, UUID(hex=claims["r"]))
            allowed = agent is not None and agent.may(Permission.MANAGE_PRIVACY) and agent.may(Permission.EXPORT)
            if agent is None or not allowed or row is None or row.state != privacy.READY:
                raise downloads.expired()
            audit.note(tx, "data.customer_exported", by=agent.id, subject=row.id)
            held = row.result["export"]
            for person in row.result["people"]:
                await privacy.log_access(tx, agent, UUID(person), "export")
            store = await stores.get(tx, row.store_id) if row.store_id else None
        # In the language of whom it is about, not of whoever hands it on.
        t = app.catalogues.translator(
            app.catalogues.negotiate(row.result["locale"]), timezone=store.timezone if store else "UTC"
        )
        shop = store.name if store else ""
        page = web.render("privacy_copy.html", t, copy=_copy(t, held), shop=shop, asked_at=row.asked_at)
        name = f"personal-data-{row.asked_at:%Y-%m-%d}-{row.id.hex[-6:]}.zip"
        pieces = export.archive(app, workspace_id, held, page, "data.html")
        return downloads.attachment(pieces, name, "application/zip")

    return Route("/exports/{token}", placed(serve), methods=["GET"])


_AUTHORS: Final[Mapping[str, Lazy]] = {"shopper": _("You"), "bot": _("Bot"), "agent": _("The shop")}


def _copy(t: Translator, held: Mapping[str, Any]) -> dict[str, Any]:
    """What the readable page shows of a copy; everything is in the file for machines. Pure."""
    lines: dict[str, list[Any]] = {}
    for line in held["order_lines"]:
        lines.setdefault(line["order_id"], []).append(line)
    talks: dict[str, list[Any]] = {}
    files: dict[str, list[Any]] = {}
    for file in held["files"]:
        files.setdefault(str(file["message_id"]), []).append({"name": file["name"], "path": export.filename(file)})
    for said in held["messages"]:
        talks.setdefault(said["conversation_id"], []).append({
            "who": said["author_name"] or t.gettext(_AUTHORS.get(said["author"], _AUTHORS["agent"])),
            "mine": said["author"] == "shopper", "text": said["text"], "at": _moment(said["created_at"]),
            "files": files.get(str(said["id"]), ()),
        })  # fmt: skip
    told = {one[name] for one in held["profiles"] for name in ("email", "phone")}
    return {
        "profiles": [
            {**one, "addresses": [_address(t, address) for address in one["addresses"]]} for one in held["profiles"]
        ],
        "handles": sorted({one["value"] for one in held["handles"]} - told),
        "orders": [
            {
                "name": one["name"],
                "at": _moment(one["placed_at"]),
                "total": t.format_money(Money(one["total"], one["currency"], one["exponent"])),
                "lines": lines.get(one["id"], ()),
                "address": _address(t, one["shipping_address"] or {}),
                "note": one["note"],
            }
            for one in held["orders"]
        ],
        "carts": [{"at": _moment(one["version"]), "lines": one["lines"]} for one in held["carts"]],
        "talks": list(talks.values()),
        "pages": [{"at": _moment(one["last_seen_at"]), **one["page"]} for one in held["browsers"] if one.get("page")],
        "consents": [_answer(t, one["purpose"], one["state"], one["at"]) for one in held.get("consents", ())],
    }  # fmt: skip


def _address(t: Translator, held: Mapping[str, Any]) -> list[str]:
    """An address's parts from the door outwards, the country by its name."""
    country = str(held.get("country") or "")
    parts = {**held, "country": t.language.locale.territories.get(country.upper(), country)}
    names = ("name", "company", "line1", "line2", "postcode", "city", "province", "country", "phone")
    return [str(parts[name]) for name in names if parts.get(name)]


def _answer(t: Translator, purpose: str, state: str, at: str) -> dict[str, Any]:
    said = consent.STATES[state]
    return {"purpose": t.gettext(consent.PURPOSES[purpose]), "state": t.gettext(said.text), "at": _moment(at)}


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
