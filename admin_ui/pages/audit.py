"""The audit log: who came in, who tried, who changed what. Filtered, page by page, and as a file."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from admin_ui import downloads, words
from admin_ui.auth import placed
from admin_ui.desk import Desk, nothing_here
from admin_ui.pages.privacy import KEPT
from plugin import team
from plugin.app import App
from plugin.kernel.i18n import Translator
from plugin.kernel.lazy import Lazy, _
from plugin.kernel.text import isolate
from plugin.returns import words as return_words
from plugin.team import Agent, AuditEntry, Permission, audit
from plugin.team.audit import Wanted

PAGE: Final = 50
_LINK: Final = "audit export"
_CHUNK: Final = 500

TOPICS: Final[dict[str, tuple[Lazy, str]]] = {
    "sign_in": (_("Sign-ins"), "log-in"),
    "account": (_("Accounts"), "key-round"),
    "team": (_("Team"), "users-round"),
    "settings": (_("Settings"), "settings"),
    "data": (_("Data that left"), "download"),
    "orders": (_("Orders"), "hand-coins"),
}
PERIODS: Final[dict[str, tuple[Lazy, int]]] = {
    "": (_("All that is kept"), 0),
    "1": (_("Last 24 hours"), 1),
    "7": (_("Last 7 days"), 7),
    "30": (_("Last 30 days"), 30),
}
KINDS: Final[dict[str, Lazy]] = {
    "sign_in.succeeded": _("Signed in"),
    "sign_in.failed": _("Sign-in failed"),
    "sign_in.ended": _("Signed out"),
    "account.password_changed": _("Password changed"),
    "account.session_ended": _("A session was ended"),
    "account.sessions_ended": _("Signed out elsewhere"),
    "account.second_factor_on": _("Second step switched on"),
    "account.second_factor_off": _("Second step switched off"),
    "account.second_factor_reset": _("Second step taken away"),
    "account.second_factor_recovered": _("Second step switched off with an operator's link"),
    "account.codes_renewed": _("New recovery codes"),
    "account.recovery_code_used": _("A recovery code was used"),
    "account.provider_linked": _("Sign-in provider linked"),
    "account.provider_unlinked": _("Sign-in provider unlinked"),
    "account.staff_linked": _("Store's admin linked"),
    "account.staff_unlinked": _("Store's admin unlinked"),
    "team.joined": _("Joined the team"),
    "team.invited": _("Invitation made"),
    "team.invitation_withdrawn": _("Invitation taken back"),
    "team.link_invited": _("Invited to link a stand-alone account"),
    "team.role_changed": _("Role changed"),
    "team.rights_changed": _("Rights changed"),
    "team.owner_confirmed": _("Confirmed as owner"),
    "team.deactivated": _("Access ended"),
    "team.reactivated": _("Let in again"),
    "settings.workspace": _("Workspace settings changed"),
    "settings.widget": _("Chat settings changed"),
    "settings.blocked": _("A sender was blocked"),
    "settings.chat": _("Rules of the chat changed"),
    "settings.bot": _("Bot changed"),
    "settings.flow_made": _("Flow made"),
    "settings.flow_published": _("Flow published"),
    "settings.flow_restored": _("Older version of a flow made the draft"),
    "settings.flow_on": _("Flow switched on"),
    "settings.flow_off": _("Flow switched off"),
    "settings.flow_moved": _("Flow moved"),
    "settings.flow_deleted": _("Flow deleted"),
    "settings.flow_brought_back": _("Flow brought back"),
    "orders.call_confirmed": _("Order opened to a shopper after a call"),
    "orders.call_declined": _("Request for an order closed: not them"),
    "orders.call_undone": _("Answer to a request for an order taken back"),
    "orders.discount_declined": _("Discount by the bot declined"),
    "settings.model": _("Language model changed"),
    "settings.bot_taught": _("Lesson of the bot approved"),
    "settings.bot_untaught": _("Lesson of the bot declined or taken out"),
    "settings.bot_model_back": _("An older model of the bot answers again"),
    "settings.bot_rolled_back": _("Lessons of the bot brought back to a version"),
    "settings.rule_made": _("Rule made"),
    "settings.rule_changed": _("Rule changed"),
    "settings.rule_on": _("Rule switched on"),
    "settings.rule_off": _("Rule switched off"),
    "settings.rule_moved": _("Rule moved to another place"),
    "settings.rule_deleted": _("Rule deleted"),
    "settings.rule_restored": _("Deleted rule brought back"),
    "settings.unblocked": _("A sender was unblocked"),
    "settings.visits": _("Looking at visitors changed"),
    "settings.mailbox": _("E-mail settings changed"),
    "settings.shipping": _("Return shipping changed"),
    "settings.return_place": _("Place for returns changed"),
    "settings.sign_in": _("Sign-in rules changed"),
    "settings.return_policy": _("Return policy changed"),
    "settings.withdrawal": _("Right of withdrawal changed"),
    "settings.order_self_service": _("What customers do themselves changed"),
    "settings.keeping": _("Times of keeping changed"),
    "settings.article_published": _("Article published"),
    "settings.article_unpublished": _("Article taken off the help centre"),
    "settings.article_scheduled": _("Article planned"),
    "settings.article_deleted": _("Article deleted"),
    "settings.article_restored": _("Article brought back"),
    "settings.articles_imported": _("Articles brought in"),
    "settings.import_taken_back": _("Articles that were brought in taken back"),
    "data.customer_exported": _("A shopper's data was downloaded"),
    "data.withdrawals_exported": _("Withdrawals were downloaded"),
    "data.audit_exported": _("The audit log was downloaded"),
    "orders.refund": _("Refund"),
    "orders.cancel": _("Cancel the order"),
    "orders.address": _("Change the address"),
    "orders.note": _("Note on the order"),
    "orders.tags": _("Tags of the order"),
    "orders.discount": _("Discount code"),
    "orders.end_discount": _("Discount code ended"),
    "orders.duplicate": _("Send the goods again"),
    "orders.change": _("Goods of an order changed"),
    "orders.return_moved": _("Return moved on"),
    "orders.label_bought": _("Return label bought"),
    "orders.label_given_back": _("Return label given back"),
    "orders.return_paid": _("Return paid"),
    "orders.return_step": _("A return's step with the store decided by hand"),
    "orders.withdrawal": _("Withdrawal moved on"),
    "orders.withdrawal_receipt": _("Receipt of a withdrawal sent again"),
}
FIELDS: Final[dict[str, Lazy]] = {
    "by": _("Who did it"),
    "again": _("Order the same again"),
    "orders": _("See where an order is"),
    "returns": _("Send something back"),
    "claims": _("Report a problem with an order"),
    "change": _("Change a size or a number"),
    "address": _("Send it to another address"),
    "cancel": _("Cancel the order"),
    "minutes": _("Minutes for a conversation"),
    "hour": _("An hour of your team"),
    "month": _("Ahlan in a month"),
    "currency": _("Currency"),
    "role": _("Role"),
    "target": _("What answers it"),
    "email": _("E-mail"),
    "name": _("Name"),
    "locale": _("Language"),
    "timezone": _("Time zone"),
    "greeting": _("Greeting"),
    "answer_time": _("How soon you answer"),
    "help_alone": _("Help centre outside the theme"),
    "fit": _("Product pages say what runs small or large"),
    "method": _("How"),
    "step": _("Step"),
    "refund": _("Refunds"),
    "version": _("Version"),
    "endpoint": _("Address of the model"),
    "model": _("Model"),
    "model_key": _("Key of the model"),
    "model_price": _("Prices of the model"),
    "model_money": _("Limits in money"),
    "uses": _("Used for"),
    "seconds": _("Seconds to wait"),
    "tokens_day": _("Tokens a day"),
    "tokens_month": _("Tokens a month"),
    "export": _("Exports"),
    "manage_settings": _("Settings"),
    "second_factor_roles": _("Two steps for"),
    "sessions": _("Sessions"),
    "codes": _("Codes left"),
    "account": _("Account"),
    "staff": _("In the store's admin"),
    "store": _("Store"),
    "order": _("Order"),
    "return": _("Return"),
    "withdrawal": _("Withdrawal"),
    "countries": _("Countries"),
    "everyone": _("Shown to everybody"),
    "automatic": _("By itself"),
    "exemptions": _("Exempt goods"),
    "amount": _("Amount"),
    "state": _("What became of it"),
    "typing_preview": _("Reading along"),
    "ratings": _("Ratings"),
    "rule": _("Rule"),
    "flow": _("Flow"),
    "off": _("Taken off"),
    "segments": _("Segments"),
    "may": _("What it may do"),
    "discount": _("Discounts"),
    "event": _("When"),
    "conditions": _("Conditions"),
    "actions": _("What is done"),
    "stop": _("Ends the list"),
    "place": _("Place"),
    "following": _("Visitors shown"),
    "first_word": _("Writing first"),
    "days": _("Remembered for days"),
    "title": _("Title"),
    "language": _("Language"),
    "source": _("Source"),
}
VALUES: Final[dict[str, Lazy]] = {
    "password": _("password"),
    "code": _("second step"),
    "oidc": _("sign-in provider"),
    "invitation": _("invitation"),
    "unlimited": _("without a limit"),
    "off": _("nobody"),
    "asked": _("whoever agreed"),
    "all": _("whoever did not refuse"),
    **{state.value: name for state, name in return_words.STATES.items()},
    **return_words.STEPS,
    **{state: name for state, (name, _kind, _sign) in return_words.STEP_STATES.items()},
}
WAYS: Final[dict[str, Lazy]] = {
    "panel": _("stand-alone"),
    "shopify": _("Shopify admin"),
    "woocommerce": _("wp-admin"),
}


@dataclass(frozen=True, slots=True)
class Line:
    """An entry in words. `who` is empty for a stranger; `about` where it is somebody else than who did it."""

    id: UUID
    what: str
    sign: str
    bad: bool
    who: str
    about: str
    changes: list[tuple[str, str, str]]
    where: str
    at: datetime


def line(t: Translator, entry: AuditEntry, names: Mapping[UUID, str]) -> Line:
    """An entry in the reader's words. Pure."""
    way = WAYS.get(entry.way)
    where = [entry.browser, isolate(entry.address, "ltr") if entry.address else "", t.gettext(way) if way else ""]
    about = entry.subject_id if entry.subject_id != entry.agent_id else None
    return Line(
        id=entry.id,
        what=t.gettext(KINDS[entry.kind]) if entry.kind in KINDS else entry.kind,
        sign=TOPICS[entry.topic][1],
        bad=entry.kind == "sign_in.failed",
        who=names.get(entry.agent_id, "") if entry.agent_id else "",
        about=names.get(about, "") if about else "",
        changes=[
            (t.gettext(_field(name)), value(t, name, before), value(t, name, after))
            for name, (before, after) in entry.changes.items()
        ],
        where=" · ".join(part for part in where if part),
        at=entry.created_at,
    )


def _field(name: str) -> Lazy:
    return FIELDS[name] if name in FIELDS else KEPT[name][0] if name in KEPT else Lazy(name)


def value(t: Translator, name: str, given: object) -> str:
    """What a field was or is, in words; empty for nothing."""
    if given is None or given == "":
        return ""
    if isinstance(given, bool):
        return t.gettext("yes") if given else t.gettext("no")
    if isinstance(given, list):
        return t.listing([value(t, "role", one) for one in given]) or t.gettext("nobody")
    if isinstance(given, int):
        return t.format_number(given)
    text = str(given)
    if name == "role" and text in words.ROLES:
        return t.gettext(words.ROLES[text][0])
    return t.gettext(VALUES[text]) if text in VALUES else text


async def index(desk: Desk) -> Response:
    """The newest entries that fit the filters, or those before one."""
    query = desk.request.query_params
    wanted = _wanted(query)
    before = _id(query.get("before", ""))
    async with desk.transaction() as tx:
        people = await team.agents(tx)
        names = {agent.id: agent.name for agent in people}
        found = await audit.entries(tx, wanted, before=before, limit=PAGE + 1)
    t = desk.t
    filters = {name: query[name] for name in ("topic", "agent", "days") if query.get(name)}
    return desk.page(
        "audit.html",
        heading=t.gettext("Audit log"),
        lines=[line(t, entry, names) for entry in found[:PAGE]],
        older=found[PAGE - 1].id if len(found) > PAGE else None,
        first=before is None,
        filters=filters,
        topics=[("", t.gettext("Everything")), *((key, t.gettext(text)) for key, (text, _sign) in TOPICS.items())],
        people=[("", t.gettext("Everybody")), *((str(agent.id), agent.name) for agent in people)],
        periods=[(key, t.gettext(text)) for key, (text, _days) in PERIODS.items()],
        kept=desk.app.settings.audit_retention_days,
    )


def _wanted(query: Mapping[str, str]) -> Wanted:
    topic = query.get("topic", "")
    days = PERIODS.get(query.get("days", ""), PERIODS[""])[1]
    return Wanted(
        topic=topic if topic in TOPICS else "",
        agent_id=_id(query.get("agent", "")),
        since=datetime.now(UTC) - timedelta(days=days) if days else None,
    )


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


async def export_link(desk: Desk) -> Response:
    """A link that gives the filtered log out for a minute."""
    query = desk.request.query_params
    if not desk.may(Permission.MANAGE_TEAM):
        raise nothing_here()
    filters = {name: query.get(name, "")[:40] for name in ("topic", "agent", "days")}
    return downloads.link(desk, "/exports/audit", _LINK, {"l": desk.t.locale, **filters})


def download(app: App) -> Route:
    """The log that a signed link names, as a CSV file; that it left is a line of it."""

    async def serve(request: Request) -> Response:
        claims = downloads.claims_of(app, request, _LINK)
        workspace_id = UUID(hex=claims["w"])
        async with app.db.transaction(workspace_id) as tx:
            agent = await tx.get(Agent, UUID(hex=claims["a"]))
            if agent is None or not (agent.may(Permission.EXPORT) and agent.may(Permission.MANAGE_TEAM)):
                raise downloads.expired()
            audit.note(tx, "data.audit_exported", by=agent.id)
            names = {one.id: one.name for one in await team.agents(tx)}
        rows = _rows(app, workspace_id, _wanted(claims), names, app.catalogues.translator(claims["l"]))
        return downloads.attachment(rows, f"audit-log-{datetime.now(UTC):%Y-%m-%d}.csv", "text/csv; charset=utf-8")

    return Route("/exports/audit/{token}", placed(serve), methods=["GET"])


async def _rows(
    app: App, workspace_id: UUID, wanted: Wanted, names: Mapping[UUID, str], t: Translator
) -> AsyncIterator[str]:
    """The file, a chunk per transaction."""
    # Spreadsheets take a file without this mark for one of their own old alphabets.
    yield "\ufeff" + _csv(
        [t.gettext("When"), t.gettext("What"), t.gettext("Who"), t.gettext("About"), t.gettext("Changes"),
         t.gettext("From where")]
    )  # fmt: skip
    before: UUID | None = None
    while True:
        async with app.db.transaction(workspace_id) as tx:
            found = await audit.entries(tx, wanted, before=before, limit=_CHUNK)
        for entry in found:
            told = line(t, entry, names)
            changes = "; ".join(f"{name}: {was or '–'} → {now or '–'}" for name, was, now in told.changes)
            at = entry.created_at.astimezone(UTC).isoformat(timespec="seconds")
            yield _csv([at, told.what, told.who, told.about, changes, told.where])
        if len(found) < _CHUNK:
            return
        before = found[-1].id


def _csv(cells: list[Any]) -> str:
    out = io.StringIO()
    csv.writer(out).writerow([downloads.safe_cell(str(cell)) for cell in cells])
    return out.getvalue()
