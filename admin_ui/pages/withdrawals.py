"""Withdrawals from contracts (docs/withdrawal.md): the list, one of them, the rules of each store, and the evidence."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from admin_ui import downloads, policy_form
from admin_ui.auth import placed
from admin_ui.desk import Desk, as_id, nothing_here
from admin_ui.pages.return_policy import product_ids, product_titles
from admin_ui.store_choice import Setting, choose, of_path
from admin_ui.words import State as Pill
from admin_ui.words import silence
from plugin import stores
from plugin.app import App
from plugin.crm.orders import Order
from plugin.kernel.db import Tx
from plugin.kernel.digits import whole
from plugin.kernel.errors import AhlanError
from plugin.kernel.i18n import Translator
from plugin.kernel.lazy import Lazy, _
from plugin.platform import PlatformError
from plugin.returns import withdrawal_rules, withdrawals, withdrawing
from plugin.returns.policy import Match
from plugin.returns.records import ReturnRequest
from plugin.returns.withdrawal_receipt import stamp
from plugin.returns.withdrawal_rules import Exemption, Ground, Rules, When
from plugin.returns.withdrawals import OVER, WAITING, Stage, Withdrawal, WithdrawalCase
from plugin.stores import Store
from plugin.team import Agent, Permission, audit

_LINK: Final = "withdrawals"
_PAGE: Final = 50
_CHUNK: Final = 500
_MOST_EXEMPTIONS: Final = 40
_SOON: Final = timedelta(days=4)
_UNSENT_MINUTES: Final = timedelta(minutes=10)

SETTING: Final = Setting(
    "settings/withdrawal",
    _("Right of withdrawal"),
    _("Each store has its own."),
    _("Connect a store first."),
    "undo-2",
)
TABS: Final[Mapping[str, tuple[str, Lazy]]] = {
    "waiting": ("clock", _("Waiting for us")),
    "open": ("inbox", _("Under way")),
    "done": ("check", _("Done")),
    "all": ("archive", _("All withdrawals")),
}
STAGES: Final[Mapping[Stage, Pill]] = {
    Stage.OPEN: Pill(_("Needs a look"), "warn", "clock"),
    Stage.RETURN: Pill(_("Became a return"), "", "undo-2"),
    Stage.CANCEL: Pill(_("Cancel the order"), "warn", "ban"),
    Stage.DONE: Pill(_("Settled"), "good", "circle-check"),
    Stage.REFUSED: Pill(_("Not accepted"), "", "ban"),
}
WHYS: Final[Mapping[str, Lazy]] = {
    "new": _("It came a moment ago and is being looked at."),
    "unmatched": _(
        "No order has this number and this address. Look whether one of these is meant; the statement counts "
        "all the same."
    ),
    "store": _("The store could not be asked about the order. Connect it again, or settle this in the store."),
    "twice": _("This order was withdrawn from before. Look whether both mean the same."),
    "cancelled": _("The order is cancelled already. If everything was paid back, this is settled."),
    "outside": _("The order went to a country outside those in your settings. The law may not apply."),
    "part": _("They withdraw from a part of the order only. Choose the goods that are meant."),
    "late": _("By what the carrier says, the fourteen days were over. Public holidays make them longer; you decide."),
    "exempt": _("Everything in it is exempt by your settings. If you agree, tell the customer why."),
    "nothing": _("Nothing of the order can go back: all of it was returned already."),
    "by_hand": _("Waits for you to choose how it goes on."),
    "not_sent": _("Nothing was sent yet: cancel the order, then the customer gets everything back."),
    "part_unsent": _("A part was never sent: do not send it, and pay it back too."),
    "return_ended": _("Its return ended without money. Look whether the customer still wants to withdraw."),
    "paid": _("What was paid is back with the customer."),
}
GROUNDS: Final[Mapping[Ground, Lazy]] = {
    Ground.MADE_TO_ORDER: _("Made to measure or personalised"),
    Ground.PERISHABLE: _("Spoils or expires soon"),
    Ground.UNSEALED: _("Sealed for health or hygiene, once opened"),
    Ground.MIXED: _("Mixed with other goods for good, once delivered"),
    Ground.RECORDING: _("Sealed recordings or software, once opened"),
    Ground.DIGITAL: _("Digital content that was begun with consent"),
    Ground.NEWSPAPER: _("Newspapers and magazines, except subscriptions"),
    Ground.ALCOHOL: _("Wine and the like, delivered later at a price that moves"),
    Ground.MARKET: _("A price that follows the financial market"),
    Ground.SERVICE: _("A service that was fully performed with consent"),
    Ground.REPAIR: _("Urgent repairs at home"),
    Ground.AUCTION: _("A public auction"),
    Ground.LEISURE: _("Travel, stays, meals or leisure on a date"),
}
WHENS: Final[Mapping[When, tuple[Lazy, Lazy]]] = {
    When.AUTO: (_("While the store sells there"), _("It is in one of these countries, or sent something to one of "
                                                    "them within a year.")),
    When.ON: (_("Always"), _("Whoever the store sells to.")),
    When.OFF: (_("Never"), _("Only if nobody in these countries can buy. What is declared all the same is taken.")),
}  # fmt: skip
RECEIPTS: Final[Mapping[str, Pill]] = {
    "queued": Pill(_("Receipt on its way"), "", "clock"),
    "sent": Pill(_("Receipt sent"), "good", "mail"),
    "failed": Pill(_("Receipt not sent"), "bad", "circle-alert"),
}


# The list


async def index(desk: Desk) -> Response:
    """The list: a tab, page by page; what is due first stands first."""
    query = desk.request.query_params
    words = query.get("q", "").strip()[:100]
    tab = query.get("tab", "")
    tab = tab if tab in TABS else "all" if words else "waiting"
    after = query.get("after", "")
    async with desk.transaction() as tx:
        rows = await withdrawals.page(tx, tab, words=words, after=as_id(after) if after else None, limit=_PAGE + 1)
        held = await withdrawals.counts(tx)
        shops = list(await stores.all_stores(tx))
    names = {store.id: store.name for store in shops} if len(shops) > 1 else {}
    now = datetime.now(UTC)
    return desk.page(
        "withdrawals.html",
        heading=desk.t.gettext("Withdrawals"),
        tab=tab, q=words,
        tabs=[(key, sign, name, held["waiting"] if key == "waiting" else 0) for key, (sign, name) in TABS.items()],
        rows=[(one, STAGES[Stage(one.case.stage)], due(one.case, now), _receipt(one.case, now),
               names.get(one.statement.store_id, "")) for one in rows[:_PAGE]],
        cursor=rows[_PAGE - 1].case.id if len(rows) > _PAGE else None,
        due=held["due"],
    )  # fmt: skip


def due(case: WithdrawalCase, now: datetime) -> str:
    """How near the last day to pay back is: over, soon, or nothing. Pure."""
    if Stage(case.stage) in OVER:
        return ""
    return "over" if case.pay_by < now else "soon" if case.pay_by - now < _SOON else "later"


def _receipt(case: WithdrawalCase, now: datetime) -> Pill | None:
    """What somebody should know about the receipt; None while all is well."""
    if case.receipt_state == "sent" or (case.receipt_state == "queued" and now - case.created_at < _UNSENT_MINUTES):
        return None
    return RECEIPTS[case.receipt_state]


# One


async def one(desk: Desk) -> Response:
    """One withdrawal: what was declared and when, what became of it, and what can be done."""
    return await _one(desk, desk.path_id())


async def _one(desk: Desk, id: UUID) -> Response:
    async with desk.transaction() as tx:
        statement, case = await withdrawals.held(tx, id)
        store = await stores.get(tx, case.store_id)
        order = await tx.get(Order, case.order_id) if case.order_id is not None else None
        request = await tx.get(ReturnRequest, case.request_id) if case.request_id is not None else None
        waits = Stage(case.stage) in WAITING
        found = list(await withdrawing.candidates(tx, statement)) if waits and desk.may(Permission.REPLY) else []
    if store is None:
        raise nothing_here()
    now, trouble, back = datetime.now(UTC), "", []
    if waits and order is not None and desk.may(Permission.REPLY):
        try:
            read, _law, sorted_out = await withdrawing.look(desk.app, desk.workspace_id, store, order, statement)
            back = list(sorted_out.back)
            trouble = "" if read is not None else desk.t.gettext("The store does not know this order any more.")
        except PlatformError as error:
            trouble = silence(desk.t, error)
    return desk.page(
        "withdrawal.html",
        heading=statement.reference,
        statement=statement, case=case, store=store, order=order, request=request,
        stamp=stamp(desk.app.catalogues.translator(desk.t.locale, timezone=statement.zone, digits=desk.t.digits),
                    statement.submitted_at),
        stage=STAGES[Stage(case.stage)], stage_code=case.stage, why=WHYS.get(case.why), due=due(case, now),
        receipt=RECEIPTS[case.receipt_state], receipt_late=_receipt(case, now),
        exempt=[(str(title), GROUNDS[Ground(ground)]) for title, ground in case.exempt],
        candidates=[one for one in found if order is None or one.id != order.id][:8],
        back=back, trouble=trouble, waits=waits, over=Stage(case.stage) in OVER,
        saved=desk.request.query_params.get("saved", ""),
    )  # fmt: skip


async def act(desk: Desk) -> Response:
    """What somebody of the team does about a withdrawal."""
    id, form = desk.path_id(), await desk.request.form()
    how = str(desk.request.path_params["how"])
    if how == "return":
        units = {name.removeprefix("line:"): whole(str(value), 1_000_000) or 0 for name, value in form.items()
                 if name.startswith("line:")}  # fmt: skip
        request = await withdrawing.make_return(desk.app, desk.workspace_id, id, units, by=desk.agent)
        return desk.go(f"returns/{request.id}", saved="start")
    async with desk.transaction() as tx:
        _statement, case = await withdrawals.held(tx, id)
        if form.get("stage") != case.stage:
            raise withdrawals.moved_on()
        match how:
            case "link":
                await withdrawing.link(tx, case, await _meant(tx, case, form), by=desk.agent)
            case "done":
                await withdrawals.finish(tx, case, by=desk.agent)
            case "refuse":
                await withdrawals.refuse(tx, case, str(form.get("note", "")), by=desk.agent)
            case "reopen":
                await withdrawals.reopen(tx, case, by=desk.agent)
            case "receipt":
                await withdrawing.send_again(tx, case, by=desk.agent)
            case _:
                raise nothing_here()
    return desk.go(f"withdrawals/{id}", saved=how)


async def _meant(tx: Tx, case: WithdrawalCase, form: FormData) -> UUID:
    """The order that was chosen, or typed by its number."""
    if chosen := str(form.get("order", "")):
        return as_id(chosen)
    typed = str(form.get("number", "")).strip()
    found = await withdrawing.by_number(tx, case.store_id, typed)
    if found is None:
        raise AhlanError(_("No order has this number."), _("Look at it again."), code="order_number")
    return found


# The evidence


async def export_link(desk: Desk) -> Response:
    """A link that gives all statements out for a minute, as a table, or one of them as it was taken down."""
    one = desk.request.query_params.get("id", "")
    return downloads.link(desk, "/exports/withdrawals", _LINK, {"l": desk.t.locale, "i": one[:36]})


def download(app: App) -> Route:
    """The statements that a signed link names; that they left is a line of the audit log."""

    async def serve(request: Request) -> Response:
        claims = downloads.claims_of(app, request, _LINK)
        workspace_id = UUID(hex=claims["w"])
        async with app.db.transaction(workspace_id) as tx:
            agent = await tx.get(Agent, UUID(hex=claims["a"]))
            if agent is None or not agent.may(Permission.EXPORT):
                raise downloads.expired()
            statement = await tx.get(Withdrawal, as_id(claims["i"])) if claims["i"] else None
            if claims["i"] and statement is None:
                raise downloads.expired()
            audit.note(tx, "data.withdrawals_exported", by=agent.id)
        t = app.catalogues.translator(claims["l"])
        if statement is not None:
            return downloads.attachment(_evidence(statement), f"{statement.reference}.txt", "text/plain; charset=utf-8")
        name = f"withdrawals-{datetime.now(UTC):%Y-%m-%d}.csv"
        return downloads.attachment(_rows(app, workspace_id, t), name, "text/csv; charset=utf-8")

    return Route("/exports/withdrawals/{token}", placed(serve), methods=["GET"])


async def _evidence(statement: Withdrawal) -> AsyncIterator[str]:
    """The receipt as it was mailed, and what proves that it is the one that was written down."""
    at = statement.submitted_at.astimezone(UTC).isoformat()
    yield f"\ufeffTo: {statement.email}\nSubject: {statement.subject}\nSubmitted: {at}\nSHA-256: {statement.digest}\n\n"
    yield statement.receipt


async def _rows(app: App, workspace_id: UUID, t: Translator) -> AsyncIterator[str]:
    """The table, a chunk per transaction, the newest first."""
    # Spreadsheets take a file without this mark for one of their own old alphabets.
    yield "\ufeff" + _csv(
        [t.gettext("Receipt"), t.gettext("Received on"), t.gettext("Name"), t.gettext("E-mail"),
         t.gettext("Order or contract"), t.gettext("What of it"), t.gettext("Language"), t.gettext("Receipt sent"),
         t.gettext("What became of it"), t.gettext("Order"), t.gettext("Pay back by"), "SHA-256"]
    )  # fmt: skip
    after: UUID | None = None
    while True:
        async with app.db.transaction(workspace_id) as tx:
            found = await withdrawals.page(tx, "all", after=after, limit=_CHUNK)
        for one in found:
            said, case = one.statement, one.case
            sent = (
                case.receipt_at.astimezone(UTC).isoformat() if case.receipt_state == "sent" and case.receipt_at else ""
            )
            yield _csv(
                [said.reference, said.submitted_at.astimezone(UTC).isoformat(), said.name, said.email, said.contract,
                 said.goods, said.language, sent, t.gettext(STAGES[Stage(case.stage)].text), one.order,
                 case.pay_by.astimezone(UTC).date().isoformat(), said.digest]
            )  # fmt: skip
        if len(found) < _CHUNK:
            return
        after = found[-1].case.id


def _csv(cells: list[Any]) -> str:
    out = io.StringIO()
    csv.writer(out).writerow([downloads.safe_cell(str(cell)) for cell in cells])
    return out.getvalue()


# The rules


async def stores_with_rules(desk: Desk) -> Response:
    """The only store's rules, or the stores to choose from."""
    return await choose(desk, SETTING)


async def rules(desk: Desk) -> Response:
    """When the function is shown and to whom, what is exempt, and what the receipt says besides."""
    async with desk.transaction() as tx:
        store = await of_path(tx, desk)
        sells = await withdrawals.sells(tx, store)
        held = withdrawals.rules(store)
        titles = [await product_titles(tx, store, one.match.products) for one in held.exemptions]
    t = desk.t
    return desk.page(
        "withdrawal_rules.html",
        heading=t.gettext("Right of withdrawal"),
        store=store, rules=held, sells=sells, places=held.places(sells=sells),
        whens=[(key, t.gettext(name), t.gettext(what)) for key, (name, what) in WHENS.items()],
        grounds=[(key.value, t.gettext(name)) for key, name in GROUNDS.items()],
        exemptions=[(one.ground.value, *map(policy_form.words_text, (one.match.tags, one.match.collections,
                                                                     one.match.types, named)))
                    for one, named in zip(held.exemptions, titles, strict=True)],
        languages=[(language.code, language.name, language.direction) for language in desk.app.catalogues.languages],
        label=withdrawal_rules.label(store.locale),
        official=store.locale.partition("-")[0] not in withdrawal_rules.TRANSLATED,
        links=_links(desk, store),
        saved=desk.request.query_params.get("saved", ""),
    )  # fmt: skip


def _links(desk: Desk, store: Store) -> str:
    """The page that works everywhere, for shops that want to link to it themselves."""
    return f"{desk.app.settings.public_url}/widget/page?store={store.public_key}&screen=withdrawal"


async def save_rules(desk: Desk) -> Response:
    """Keep what the form says."""
    form = await desk.request.form()
    async with desk.transaction() as tx:
        store = await tx.get(Store, desk.path_id(), lock=True)
        if store is None or store.status != stores.CONNECTED:
            raise nothing_here()
        wanted = await _read_rules(tx, store, form, [language.code for language in desk.app.catalogues.languages])
        await withdrawals.keep_rules(tx, store, wanted, by=desk.agent)
    return desk.go(f"settings/withdrawal/{store.id}", saved="rules")


async def _read_rules(tx: Tx, store: Store, form: FormData, languages: Sequence[str]) -> Rules:
    """The rules as the form says them. Raises AhlanError for a product that the store does not have."""
    when = str(form.get("when", ""))
    exemptions = []
    for row in range(_MOST_EXEMPTIONS):
        ground = str(form.get(f"exempt-{row}-ground", ""))
        tags, collections, types = (
            policy_form.split(str(form.get(f"exempt-{row}-{name}", ""))) for name in ("tags", "collections", "types")
        )
        products = tuple(await product_ids(tx, store, str(form.get(f"exempt-{row}-products", ""))))
        match = Match(products=products, collections=collections, tags=tags, types=types)
        # Without goods it would be about everything.
        if ground in set(Ground) and match != Match():
            exemptions.append(Exemption(Ground(ground), match))
    found = withdrawal_rules.countries(str(form.get("countries", "")))
    return Rules(
        when=When(when) if when in set(When) else When.AUTO,
        countries=tuple(found) or withdrawal_rules.EU,
        everyone=form.get("everyone") != "no",
        automatic="automatic" in form,
        exemptions=tuple(exemptions),
        words={code: said for code in languages if (said := str(form.get(f"words-{code}", "")).strip()[:2000])},
    )
