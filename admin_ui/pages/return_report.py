"""The report of returns: how much, why, what, which size, what is kept, how long, who. Numbers open their returns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from admin_ui import downloads
from admin_ui import return_words as words
from admin_ui.auth import placed
from admin_ui.desk import Desk, nothing_here
from admin_ui.pages.reports import PERIODS, Tile, change_of, days_of, share_of, time_of
from plugin import stores
from plugin.analytics import hints, label_costs, return_figures
from plugin.analytics.hints import Hint
from plugin.analytics.label_costs import Labels
from plugin.analytics.reports import LONGEST, Days
from plugin.analytics.return_figures import By, Figures, Kept, Line, Pace, Person, Question, Sold
from plugin.app import App
from plugin.kernel.db import Tx
from plugin.kernel.errors import AhlanError
from plugin.kernel.i18n import Translator
from plugin.kernel.lazy import Lazy, _
from plugin.returns.narrowing import Part as Stays
from plugin.returns.narrowing import Way
from plugin.returns.policy import Resolution
from plugin.returns.records import STORES
from plugin.stores import Store
from plugin.team import audit

_LINK: Final = "return report export"
TABLES: Final[Mapping[str, Lazy]] = {
    By.DAY: _("By day"),
    By.REASON: _("Why it comes back"),
    By.PRODUCT: _("What comes back"),
    By.SIZE: _("Which size or kind"),
    By.RESOLUTION: _("What customers get"),
    By.STORE: _("By store"),
    "money": _("The money"),
    "pace": _("How long it takes"),
    "people": _("Who returns often"),
    "labels": _("What labels cost"),
}
_NAMES: Final = ("days", "from", "to", "store", "product")
_SHOWN: Final = 12
_CROSSED: Final = 8
_SHADES: Final = 5


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table; `path` opens its returns."""

    label: str
    figures: Figures
    path: str
    image: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a bar: words, amount, width of 100, colour's name, and the returns in it."""

    label: str
    amount: str
    width: float
    kind: str
    path: str


@dataclass(frozen=True, slots=True)
class Cell:
    """How many returns hold a product for a reason, and how dark that is, 0 to 5."""

    label: str
    count: int
    shade: int
    path: str


@dataclass(frozen=True, slots=True)
class Said:
    """A hint in words."""

    title: str
    image: str
    text: str
    why: str
    advice: str
    store: str
    path: str


@dataclass(frozen=True, slots=True)
class Found:
    """Everything that the page shows, as figures."""

    total: Figures
    sales: Sold
    tables: Mapping[By, Sequence[Line]]
    money: Sequence[Kept]
    paces: Mapping[Way, Pace]
    people: Sequence[Person]
    labels: Sequence[Labels]


async def index(desk: Desk) -> Response:
    """The whole report. `days`, `from`, `to`, `store`, `product` choose."""
    t = desk.t
    async with desk.transaction() as tx:
        shops = list(await stores.all_stores(tx))
        question, picked, problem = _read(desk.request.query_params, shops, t)
        found = await _look(tx, question)
        before = await return_figures.total(tx, question.before, await return_figures.sold(tx, question.before))
        earlier = await return_figures.paces(tx, question.before)
        every = replace(question, product="")
        goods = found.tables[By.PRODUCT]
        if question.product:
            goods = await return_figures.lines(tx, every, By.PRODUCT, found.sales)
        crossed = await return_figures.crossed(tx, question, found.tables[By.PRODUCT][:_CROSSED])
        told = [one for shop in _of(shops, question) for one in await hints.of_store(tx, shop.id)]
    several = len(shops) > 1
    names = {shop.id: shop.name for shop in shops}
    standing = {(one.store_id, one.product): words.hint(t, one.reason) for one in told}
    rows = {by: _rows(desk, question, by, lines, names, standing) for by, lines in found.tables.items()}
    return desk.page(
        "return_report.html",
        heading=t.gettext("Returns report"),
        problem=problem,
        picked=picked,
        periods=[(key, t.gettext(text)) for key, text in PERIODS.items()],
        shops=shops if several else [],
        products=_products(t, goods, names if several else {}, picked),
        whole_days=question.days,
        total=found.total,
        tiles=_tiles(desk, question, found, before, earlier),
        columns=_columns(t, question.days, found.tables[By.DAY]),
        rows=rows,
        shown=_SHOWN,
        names=TABLES,
        money=[_bar(desk, question, one) for one in found.money],
        heat=_heat(desk, question, found, crossed, names),
        paces=_paces(desk, question, found.paces),
        people=[(one, _link(desk, question, customer=str(one.id))) for one in found.people],
        labels=found.labels,
        hints=_hints(desk, told, found.tables[By.PRODUCT], names if several else {}),
        hint_rule={"least": hints.LEAST, "days": hints.SPAN.days, "false": hints.FALSE},
        saying=[shop for shop in shops if shop.status == stores.CONNECTED],
        switch=hints.SWITCH,
        serial=return_figures.SERIAL,
        serial_share=return_figures.SERIAL_SHARE,
        saved=desk.request.query_params.get("saved", ""),
        address=lambda table: desk.url("reports/returns/export", table=table, **picked),
    )


async def save_switch(desk: Desk) -> Response:
    """Whether the product pages of a store may say what stands out about a size."""
    form = await desk.request.form()
    wanted = bool(form.get("said"))
    async with desk.transaction() as tx:
        store = await tx.get(Store, desk.path_id(), lock=True)
        if store is None:
            raise nothing_here()
        before = bool(store.widget.get(hints.SWITCH))
        if before != wanted:
            store.widget = {**store.widget, hints.SWITCH: wanted}
            audit.note(
                tx, "settings.widget", by=desk.agent.id,
                changes={"store": [None, store.name], hints.SWITCH: [before, wanted]},
            )  # fmt: skip
    return desk.go("reports/returns", saved="fit")


async def _look(tx: Tx, question: Question) -> Found:
    sales = await return_figures.sold(tx, question)
    return Found(
        await return_figures.total(tx, question, sales),
        sales,
        {by: await return_figures.lines(tx, question, by, sales) for by in By},
        await return_figures.money(tx, question),
        await return_figures.paces(tx, question),
        await return_figures.people(tx, question),
        await label_costs.costs(tx, question),
    )


def _of(shops: Sequence[Store], question: Question) -> Sequence[Store]:
    return [shop for shop in shops if question.store_id in (None, shop.id)]


def _read(query: Mapping[str, str], shops: Sequence[Store], t: Translator) -> tuple[Question, dict[str, str], str]:
    """What is asked, the choices that stand in the address, and what was wrong with the days."""
    today = datetime.now(t.timezone).date()
    period = query.get("days", "")
    period = period if period in PERIODS else "30"
    problem = ""
    first, last = days_of(period, today)
    if period == "own":
        try:
            first, last = (date.fromisoformat(query.get(name, "")) for name in ("from", "to"))
            if not 0 <= (last - first).days < LONGEST or first.year < 2000 or last.year > 2100:
                raise ValueError
        except ValueError:
            problem = t.gettext("Choose two days, the first before the second, at most a year apart.")
            first, last = days_of("30", today)
    picked = {"days": period}
    if period == "own":
        picked |= {"from": first.isoformat(), "to": last.isoformat()}
    # A product's id is one in its store only: the choice names both.
    store, _between, product = query.get("product", "")[:240].partition("/")
    store = store if product else query.get("store", "")
    store_id = next((shop.id for shop in shops if str(shop.id) == store), None)
    if store_id is not None:
        picked["store"] = str(store_id)
    product = product if store_id is not None else ""
    if product:
        picked["product"] = f"{store_id}/{product}"
    return Question(Days(first, last, t.timezone), store_id, product), picked, problem


def _products(
    t: Translator, goods: Sequence[Line], names: Mapping[UUID, str], picked: Mapping[str, str]
) -> list[tuple[str, str]]:
    found = [
        (f"{one.store_id}/{one.key}", " · ".join(filter(None, (one.title, names.get(one.store_id or UUID(int=0), "")))))
        for one in goods[:100]
    ]
    chosen = picked.get("product", "")
    if chosen and chosen not in {key for key, _name in found}:
        found.append((chosen, t.gettext("This product")))
    return [("", t.gettext("All products")), *found] if found else []


def _link(desk: Desk, question: Question, **more: str) -> str:
    """The queue with what a number counted; an empty value of `more` takes a condition away."""
    asked = question.asked
    place = {"tab": asked.tab.value, "store": str(asked.store_id or ""), **asked.narrowed.place, **more}
    return desk.url("returns", **{name: value for name, value in place.items() if value})


def _rows(
    desk: Desk, question: Question, by: By, lines: Sequence[Line], names: Mapping[UUID, str],
    standing: Mapping[tuple[UUID, str], str],
) -> list[Row]:  # fmt: skip
    t = desk.t
    if by is By.DAY:
        found = {one.key: one.figures for one in lines}
        return [
            Row(t.format_date(day, "medium"), found.get(day.isoformat(), Figures()),
                _link(desk, question, **{"from": day.isoformat(), "to": day.isoformat()}))
            for day in question.days.days
        ]  # fmt: skip
    rows = []
    for one in lines:
        more = _more(by, one)
        hint = standing.get((one.store_id, one.key), "") if by is By.PRODUCT and one.store_id else ""
        path = _link(desk, question, **more) if more else ""
        rows.append(Row(_label(t, by, one, names, question), one.figures, path, one.image, hint))
    return rows


def _more(by: By, one: Line) -> dict[str, str]:
    """What narrows the queue to a line."""
    store = {"store": str(one.store_id)}
    match by:
        case By.REASON:
            return {"reason": one.key} if one.key else {"origin": STORES}
        case By.RESOLUTION:
            return {"resolution": one.key} if one.key in set(Resolution) else {"origin": STORES}
        case By.PRODUCT:
            return {**store, "product": one.key}
        case By.SIZE:
            return {**store, "product": one.product, "variant": one.key} if one.key else {}
    return store


def _label(t: Translator, by: By, one: Line, names: Mapping[UUID, str], question: Question) -> str:
    """What a line is called. Goods are called after their store too where those of several stand side by side."""
    store = names.get(one.store_id, "") if one.store_id and len(names) > 1 and question.store_id is None else ""
    match by:
        case By.REASON:
            return words.reason_name(t, one.key)
        case By.RESOLUTION:
            return words.resolution_name(t, one.key)
        case By.STORE:
            return names.get(one.store_id or UUID(int=0), "?")
        case By.SIZE:
            return " · ".join(filter(None, (one.title, one.variant, store)))
    return " · ".join(filter(None, (one.title or one.key, store)))


def _tiles(desk: Desk, question: Question, found: Found, before: Figures, earlier: Mapping[Way, Pace]) -> list[Tile]:
    t, total = desk.t, found.total
    pace, old = found.paces.get(Way.WHOLE), earlier.get(Way.WHOLE)
    tiles = [
        Tile(
            t.gettext("Returns"), t.format_number(total.returns), "", _link(desk, question),
            *change_of(t, total.returns, before.returns, -1),
        ),
        Tile(
            t.gettext("Return rate"),
            share_of(t, total.rate) if total.rate is None else t.format_percent(round(total.rate, 3)),
            t.gettext("%(back)s of %(sold)s pieces", back=t.format_number(total.pieces),
                      sold=t.format_number(total.sold or 0)),
            "",
            *change_of(t, total.rate, before.rate, -1),
        ),
    ]  # fmt: skip
    tiles += [
        Tile(
            t.gettext("Kept of what came back, %(currency)s", currency=one.back.currency), share_of(t, one.share),
            t.format_money(one.kept), "",
        )
        for one in found.money if one.share is not None
    ]  # fmt: skip
    if pace is not None:
        tiles.append(
            Tile(
                t.gettext("From request to money"), time_of(t, pace.median),
                t.gettext("nine of ten within %(time)s", time=time_of(t, pace.p90)), "",
                *change_of(t, pace.median, old.median if old is not None else None, -1),
            )
        )  # fmt: skip
    return tiles


def _columns(t: Translator, days: Days, lines: Sequence[Line]) -> list[tuple[str, int, float]]:
    """The days as columns: what a pointer reads, how many, and how high of 100."""
    found = {one.key: one.figures.returns for one in lines}
    most = max(found.values(), default=0)
    share = 100 / most if most else 0
    return [
        (f"{t.format_date(day, 'medium')}: {t.format_number(count)}", count, round(share * count, 2))
        for day in days.days
        for count in (found.get(day.isoformat(), 0),)
    ]


def _bar(desk: Desk, question: Question, one: Kept) -> tuple[Kept, list[Part]]:
    """The money of a currency as a bar: what stays, then what leaves."""
    amounts = {
        Stays.EXCHANGED: one.exchanged, Stays.REPLACED: one.replaced, Stays.CREDIT: one.credit, Stays.BACK: one.back,
    }  # fmt: skip
    whole = (one.kept + one.back).amount
    return one, [
        Part(
            desk.t.gettext(words.PARTS[part]), desk.t.format_money(amount),
            round(100 * amount.amount / whole, 2) if whole else 0, part.value,
            _link(desk, question, part=part.value, currency=one.back.currency),
        )
        for part, amount in amounts.items() if amount.amount
    ]  # fmt: skip


def _heat(
    desk: Desk,
    question: Question,
    found: Found,
    crossed: Mapping[tuple[UUID, str, str], int],
    names: Mapping[UUID, str],
) -> tuple[list[str], list[tuple[str, list[Cell]]]]:
    """Products against reasons: the reasons' names, and a row of cells for each product."""
    t = desk.t
    reasons = [one.key for one in found.tables[By.REASON] if one.key][:_CROSSED]
    most = max(crossed.values(), default=0)
    rows = []
    for one in found.tables[By.PRODUCT][:_CROSSED]:
        assert one.store_id is not None
        label = _label(t, By.PRODUCT, one, names, question)
        cells = []
        for reason in reasons:
            count = crossed.get((one.store_id, one.key, reason), 0)
            said = f"{label}, {words.reason_name(t, reason)}: {t.format_number(count)}"
            path = _link(desk, question, store=str(one.store_id), product=one.key, reason=reason) if count else ""
            cells.append(Cell(said, count, -(-_SHADES * count // most) if most else 0, path))
        rows.append((label, cells))
    return [words.reason_name(t, reason) for reason in reasons], rows


def _paces(desk: Desk, question: Question, paces: Mapping[Way, Pace]) -> list[tuple[str, Pace, str]]:
    return [
        (
            desk.t.gettext(words.WAYS[way]),
            pace,
            # A decision may be a no: that counts here alone.
            _link(desk, question, way=way.value, counted=""),
        )
        for way, pace in paces.items()
    ]


def _hints(desk: Desk, told: Sequence[Hint], goods: Sequence[Line], names: Mapping[UUID, str]) -> list[Said]:
    t = desk.t
    known = {(one.store_id, one.key): one for one in goods}
    found = []
    for one in sorted(told, key=lambda one: one.chance):
        line = known.get((one.store_id, one.product))
        if line is None:
            continue
        why = t.gettext(
            "%(returned)s of %(bought)s orders with it came back for this (%(share)s; other products: %(elsewhere)s).",
            returned=t.format_number(one.returned), bought=t.format_number(one.bought),
            share=t.format_percent(round(one.share, 2)), elsewhere=t.format_percent(round(one.elsewhere, 3)),
        )  # fmt: skip
        since = (datetime.now(t.timezone) - hints.SPAN).date().isoformat()
        path = desk.url("returns", tab="all", store=str(one.store_id), product=one.product, reason=one.reason,
                        counted="yes", **{"from": since})  # fmt: skip
        found.append(
            Said(line.title, line.image, words.hint(t, one.reason), why, words.advice(t, one.reason),
                 names.get(one.store_id, ""), path)
        )  # fmt: skip
    return found


# Files


async def export_link(desk: Desk) -> Response:
    """A link that gives a table out for a minute, as a file."""
    query = desk.request.query_params
    table = query.get("table", "")
    if table not in TABLES:
        raise AhlanError(_("There is no such table."), code="table")
    asked = {name: query[name][:240] for name in _NAMES if query.get(name)}
    return downloads.link(desk, "/exports/return-report", _LINK, {"l": desk.t.locale, "table": table, **asked})


def download(app: App) -> Route:
    """The table that a signed link names, as a CSV file; times are seconds, amounts have their currency beside them."""

    async def serve(request: Request) -> Response:
        claims = downloads.claims_of(app, request, _LINK)
        async with app.db.transaction(UUID(hex=claims["w"])) as tx:
            _agent, t = await downloads.reader_of(app, tx, claims)
            shops = list(await stores.all_stores(tx))
            question, _picked, _problem = _read(claims, shops, t)
            found = await _look(tx, question)
        names = {shop.id: shop.name for shop in shops}
        table = claims["table"]
        name = f"returns-{table}-{question.days.first}-{question.days.last}.csv"
        return downloads.attachment(
            downloads.sheet(_cells(t, table, found, names, question)), name, "text/csv; charset=utf-8"
        )

    return Route("/exports/return-report/{token}", placed(serve), methods=["GET"])


def _cells(
    t: Translator, table: str, found: Found, names: Mapping[UUID, str], question: Question
) -> Iterator[list[Any]]:
    say: Callable[[str | Lazy], str] = t.gettext
    head = say(TABLES[table])
    match table:
        case "money":
            columns = (_("Currency"), _("Returns"), _("Money back"), _("Store credit"), _("Exchanged"),
                       _("The same again"), _("Bonus on store credit"))  # fmt: skip
            yield [say(column) for column in columns]
            for kept in found.money:
                amounts = (kept.back, kept.credit, kept.exchanged, kept.replaced, kept.bonus)
                yield [kept.back.currency, kept.returns, *(amount.decimal() for amount in amounts)]
        case "labels":
            yield [say(column) for column in (_("Currency"), _("Labels"), _("Cost"))]
            for labels in found.labels:
                yield [labels.cost.currency, labels.returns, labels.cost.decimal()]
        case "pace":
            yield [head, say(_("Returns")), say(_("Half within")), say(_("Nine of ten within"))]
            for way, pace in found.paces.items():
                yield [say(words.WAYS[way]), pace.returns, round(pace.median), round(pace.p90)]
        case "people":
            yield [head, say(_("Returns")), say(_("Orders"))]
            for person in found.people:
                yield [person.name, person.returns, person.orders]
        case _:
            by = By(table)
            sold = by in (By.PRODUCT, By.SIZE, By.STORE)
            yield [head, say(_("Returns")), say(_("Pieces")), *([say(_("Sold"))] if sold else [])]
            for one in found.tables[by]:
                figures = one.figures
                name = one.key if by is By.DAY else _label(t, by, one, names, question)
                yield [name, figures.returns, figures.pieces, *([figures.sold or 0] if sold else [])]
