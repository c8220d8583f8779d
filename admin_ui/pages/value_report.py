"""What support brings and saves: contacts for each hundred orders, reasons by product, sales after talks, hours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from admin_ui import downloads
from admin_ui.auth import placed
from admin_ui.desk import Desk
from admin_ui.pages.reports import PERIODS, Tile, change_of, share_of, span, topic_name
from plugin import stores, team, workspaces
from plugin.analytics import reports, value
from plugin.analytics.reports import By, Figures
from plugin.analytics.value import Alone, Crossed, Question, Sale, Sold, Terms
from plugin.app import App
from plugin.conversations.filters import NOBODY, Filter, Key, Term, Value
from plugin.conversations.views import Reader
from plugin.kernel import money as moneys
from plugin.kernel.db import Tx
from plugin.kernel.digits import whole
from plugin.kernel.errors import AhlanError
from plugin.kernel.i18n import Translator
from plugin.kernel.lazy import Lazy, _
from plugin.kernel.money import Money
from plugin.kernel.text import normalise
from plugin.stores import Store
from plugin.team import Agent, Permission, audit

_LINK: Final = "value report export"
TABLES: Final[Mapping[str, Lazy]] = {
    "topics": _("What they ask about"),
    "products": _("About which products"),
    "sales": _("Orders after an answer"),
    "alone": _("Settled without a person"),
}
_NAMES: Final = ("days", "from", "to", "store", "within")
_ORDER_TOPIC: Final = "track_order"
_SHADES: Final = 5
_MOST_TOPICS: Final = 8
_MOST_ROWS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic: how many conversations, of all, for each hundred orders; `path` opens them."""

    name: str
    times: int
    share: float
    per_hundred: float | None
    path: str


@dataclass(frozen=True, slots=True)
class Cell:
    """Conversations about a product and a topic, and how dark that is, 0 to 5."""

    label: str
    count: int
    shade: int


@dataclass(frozen=True, slots=True)
class Found:
    """Everything that the page shows, as figures."""

    total: Figures
    topics: Mapping[str, Figures]
    orders: Mapping[UUID, int]
    products: Sequence[Crossed]
    sales: Sequence[Sale]
    turnover: Sequence[Money]
    alone: Alone
    terms: Terms

    @property
    def per_hundred(self) -> float | None:
        """Conversations for each hundred orders of the same days; None without orders."""
        placed = sum(self.orders.values())
        return 100 * self.total.begun / placed if placed else None

    @property
    def where_is_it(self) -> float | None:
        """The share of conversations that ask where an order is; None without conversations."""
        asked = self.topics.get(_ORDER_TOPIC, Figures()).begun
        return asked / self.total.begun if self.total.begun else None


async def index(desk: Desk) -> Response:
    """The whole report. `days`, `from`, `to`, `store`, `within` choose."""
    async with desk.transaction() as tx:
        shops = list(await stores.all_stores(tx))
        question, picked, problem = _read(desk.request.query_params, shops, desk.agent, desk.t)
        context = await _context(tx, desk, question, shops)
    return desk.page("value_report.html", problem=problem, picked=picked, errors={}, **context)


async def _context(tx: Tx, desk: Desk, question: Question, shops: Sequence[Store]) -> dict[str, Any]:
    t = desk.t
    found = await _look(tx, question)
    before = await _look(tx, _earlier(question))
    listed = await value.newest_sales(tx, question)
    names = {one.id: one.name for one in await team.agents(tx)}
    days = question.about.days
    return {
        "heading": t.gettext("Value report"),
        "periods": [(key, t.gettext(text)) for key, text in PERIODS.items()],
        "shops": shops if len(shops) > 1 else [],
        "whole_days": days,
        "tiles": _tiles(desk, question, found, before),
        "topics": _topics(desk, question, found),
        "heat": _heat(t, found.products),
        "sales": [(_who(t, one.agent_id, names), one) for one in found.sales if _may_see(desk.agent, one)],
        "turnover": {one.currency: one for one in found.turnover},
        "listed": [(_who(t, one.agent_id, names), one) for one in listed if _may_see(desk.agent, one)],
        "within": question.within,
        "spans": [(str(days), t.ngettext("%(num)s day", "%(num)s days", days)) for days in value.WITHIN],
        "found": found,
        "alone": alone_rows(found.alone),
        "saved_money": found.alone.worth(found.terms),
        "gain": found.alone.gain(found.terms, days.length),
        "currencies": [(one, one) for one in _currencies(shops, found.terms)],
        "typed": _typed(found.terms),
        "address_of_terms": desk.url("reports/value/terms", **_asked(desk.request.query_params)),
        "names": TABLES,
        "saved": desk.request.query_params.get("saved", ""),
        "address": lambda table: desk.url("reports/value/export", table=table, **_asked(desk.request.query_params)),
    }


async def save_terms(desk: Desk) -> Response:
    """What an hour of the team costs, how long a conversation takes, and what is paid for Ahlan in a month."""
    form = await desk.request.form()
    async with desk.transaction() as tx:
        workspace = await workspaces.current(tx)
        assert workspace is not None
        shops = list(await stores.all_stores(tx))
        before = await value.terms(tx)
        typed = {name: str(form.get(name, "")).strip() for name in ("minutes", "hour", "month")}
        chosen = str(form.get("currency", ""))
        currency = chosen if chosen in _currencies(shops, before) else before.currency
        after, errors = _said(desk.t, typed, currency)
        if errors:
            question, picked, problem = _read(desk.request.query_params, shops, desk.agent, desk.t)
            context = await _context(tx, desk, question, shops)
            context["typed"] = {**typed, "currency": currency}
            return desk.page("value_report.html", status=422, problem=problem, picked=picked, errors=errors, **context)
        if changes := audit.changed(_typed(before), _typed(after)):
            workspace.value = asdict(after)
            audit.note(tx, "settings.workspace", by=desk.agent.id, changes=changes)
    return desk.go("reports/value", saved="terms", **_asked(desk.request.query_params))


def _said(t: Translator, typed: Mapping[str, str], currency: str) -> tuple[Terms, dict[str, str]]:
    errors: dict[str, str] = {}
    exponent = moneys.exponent_of(currency)
    minutes = whole(normalise(typed["minutes"]), 240)
    if not minutes:
        errors["minutes"] = t.gettext("Between 1 and 240 minutes.")
    amounts: dict[str, int | None] = {}
    for name in ("hour", "month"):
        try:
            amounts[name] = _amount(typed[name], currency, exponent)
        except ValueError:
            errors[name] = t.gettext("An amount like 35 or 35.50.")
    if errors or not minutes:
        return Terms(), errors
    return Terms(minutes, currency, exponent, amounts["hour"], amounts["month"]), errors


def _amount(typed: str, currency: str, exponent: int) -> int | None:
    if not typed:
        return None
    money, exact = moneys.parse(normalise(typed).replace("٫", ".").replace(",", "."), currency, exponent)
    if not exact or not 0 <= money.amount <= 10**9:
        raise ValueError(typed)
    return money.amount


def _typed(terms: Terms) -> dict[str, str]:
    amounts = {name: getattr(terms, name) for name in ("hour", "month")}
    return {
        "minutes": str(terms.minutes),
        "currency": terms.currency,
        **{name: "" if one is None else str(terms.money(one).decimal()) for name, one in amounts.items()},
    }


def _currencies(shops: Sequence[Store], terms: Terms) -> list[str]:
    return list(dict.fromkeys(filter(None, [terms.currency, *(shop.currency for shop in shops)]))) or ["USD"]


async def _look(tx: Tx, question: Question) -> Found:
    return Found(
        (await reports.figures(tx, question.about)).get("", Figures()),
        await reports.figures(tx, question.about, By.TOPIC),
        await value.orders(tx, question),
        await value.products(tx, question),
        await value.sales(tx, question),
        await value.turnover(tx, question),
        await value.alone(tx, question),
        await value.terms(tx),
    )


def _asked(query: Mapping[str, str]) -> dict[str, str]:
    return {name: query[name][:40] for name in _NAMES if query.get(name)}


def _read(
    query: Mapping[str, str], shops: Sequence[Store], agent: Agent, t: Translator
) -> tuple[Question, dict[str, str], str]:
    """What is asked, the choices that stand in the address, and what was wrong with the days."""
    days, picked, problem = span(query, t.timezone, t)
    shop = next((one for one in shops if str(one.id) == query.get("store")), None)
    terms: tuple[Term, ...] = ()
    if shop is not None:
        picked["store"] = str(shop.id)
        terms = (Term(Key.STORE, (Value(shop.url.partition("://")[2].rstrip("/") or shop.external_id),)),)
    within = next((one for one in value.WITHIN if str(one) == query.get("within")), value.USUAL_WITHIN)
    picked["within"] = str(within)
    about = reports.Question(Filter(terms), days, Reader(agent.id, t.timezone))
    return Question(about, shop.id if shop is not None else None, within), picked, problem


def _earlier(question: Question) -> Question:
    return replace(question, about=replace(question.about, days=question.about.days.before))


def _path(desk: Desk, question: Question, *terms: Term) -> str:
    """The inbox with what a number counted."""
    asked = question.about.filter
    return desk.url("inbox", q=str(Filter((*asked.terms, *terms), asked.words, asked.without)))


def _of_topic(topic: str) -> Term:
    return Term(Key.TOPIC, (Value(topic or NOBODY),))


def _tiles(desk: Desk, question: Question, found: Found, before: Found) -> list[Tile]:
    t = desk.t
    placed = sum(found.orders.values())
    where = found.topics.get(_ORDER_TOPIC, Figures()).begun
    tiles = [
        Tile(
            t.gettext("Conversations for 100 orders"),
            _one_decimal(t, found.per_hundred),
            t.gettext(
                "%(talks)s for %(orders)s orders", talks=t.format_number(found.total.begun),
                orders=t.format_number(placed),
            ),
            _path(desk, question),
            *change_of(t, found.per_hundred, before.per_hundred, -1),
        ),
        Tile(
            t.gettext("Ask where their order is"),
            share_of(t, found.where_is_it),
            t.ngettext("%(num)s conversation", "%(num)s conversations", where),
            _path(desk, question, _of_topic(_ORDER_TOPIC)) if where else "",
            *change_of(t, found.where_is_it, before.where_is_it, -1),
        ),
        Tile(
            t.gettext("Settled without a person"),
            t.format_number(found.alone.all),
            t.gettext("%(time)s of work", time=t.duration(found.alone.seconds(found.terms))) if found.alone.all else "",
            "",
            *change_of(t, found.alone.all, before.alone.all, 1),
        ),
    ]  # fmt: skip
    earlier = _by_currency(before.sales)
    tiles += [
        Tile(
            t.gettext("Ordered after an answer, %(currency)s", currency=currency),
            t.format_money(amount),
            t.ngettext("%(num)s order", "%(num)s orders", count),
            "",
            *change_of(t, amount.amount, earlier[currency][0].amount if currency in earlier else None, 1),
        )
        for currency, (amount, count) in _by_currency(found.sales).items()
    ]
    return tiles


def _by_currency(sales: Sequence[Sale]) -> dict[str, tuple[Money, int]]:
    found: dict[str, tuple[Money, int]] = {}
    for one in sales:
        amount, count = found.get(one.amount.currency, (Money(0, one.amount.currency, one.amount.exponent), 0))
        found[one.amount.currency] = (amount + one.amount, count + one.orders)
    return found


def _one_decimal(t: Translator, number: float | None) -> str:
    return "–" if number is None else t.format_number(round(number, 1))


def _topics(desk: Desk, question: Question, found: Found) -> list[Topic]:
    placed = sum(found.orders.values())
    rows = sorted(found.topics.items(), key=lambda one: (one[0] == "", -one[1].begun, one[0]))
    return [
        Topic(
            topic_name(desk.t, key),
            one.begun,
            one.begun / found.total.begun,
            100 * one.begun / placed if placed else None,
            _path(desk, question, _of_topic(key)),
        )
        for key, one in rows
    ]


def _heat(t: Translator, products: Sequence[Crossed]) -> tuple[list[str], list[tuple[str, int, list[Cell]]]]:
    """Products against topics: the topics' names, and a row of cells for each product."""
    goods = products[: value.MOST_PRODUCTS]
    times: dict[str, int] = {}
    for one in goods:
        for topic, count in one.topics.items():
            times[topic] = times.get(topic, 0) + count
    shown = sorted(times, key=lambda topic: (topic == "", -times[topic], topic))[:_MOST_TOPICS]
    most = max((count for one in goods for topic, count in one.topics.items() if topic in shown), default=0)
    rows = []
    for one in goods:
        cells = []
        for topic in shown:
            count = one.topics.get(topic, 0)
            said = f"{one.title}, {topic_name(t, topic)}: {t.format_number(count)}"
            cells.append(Cell(said, count, -(-_SHADES * count // most) if most else 0))
        rows.append((one.title, one.times, cells))
    return [topic_name(t, topic) for topic in shown], rows


def _may_see(agent: Agent, one: Sale | Sold) -> bool:
    """Colleagues' figures are for who leads the team."""
    return one.agent_id in (None, agent.id) or agent.may(Permission.MANAGE_TEAM)


def _who(t: Translator, agent_id: UUID | None, names: Mapping[UUID, str]) -> str:
    return t.gettext("The bot") if agent_id is None else names.get(agent_id, t.gettext("Somebody who left"))


# Files


async def export_link(desk: Desk) -> Response:
    """A link that gives a table out for a minute, as a file."""
    table = desk.request.query_params.get("table", "")
    if table not in TABLES:
        raise AhlanError(_("There is no such table."), code="table")
    asked = _asked(desk.request.query_params)
    return downloads.link(desk, "/exports/value-report", _LINK, {"l": desk.t.locale, "table": table, **asked})


def download(app: App) -> Route:
    """The table that a signed link names, as a CSV file; amounts have their currency beside them."""

    async def serve(request: Request) -> Response:
        claims = downloads.claims_of(app, request, _LINK)
        async with app.db.transaction(UUID(hex=claims["w"])) as tx:
            agent, t = await downloads.reader_of(app, tx, claims)
            shops = list(await stores.all_stores(tx))
            question, _picked, _problem = _read(claims, shops, agent, t)
            found = await _look(tx, question)
            listed = await value.newest_sales(tx, question, _MOST_ROWS) if claims["table"] == "sales" else []
            listed = [one for one in listed if _may_see(agent, one)]
            names = {one.id: one.name for one in await team.agents(tx)}
        days = question.about.days
        name = f"value-{claims['table']}-{days.first}-{days.last}.csv"
        rows = _cells(t, claims["table"], found, listed, names)
        return downloads.attachment(downloads.sheet(rows), name, "text/csv; charset=utf-8")

    return Route("/exports/value-report/{token}", placed(serve), methods=["GET"])


def _cells(
    t: Translator, table: str, found: Found, listed: Sequence[Sold], names: Mapping[UUID, str]
) -> Iterator[list[Any]]:
    match table:
        case "topics":
            yield [t.gettext(TABLES[table]), t.gettext("Conversations")]
            for key, one in sorted(found.topics.items()):
                yield [topic_name(t, key), one.begun]
        case "products":
            topics = sorted({topic for one in found.products for topic in one.topics})
            yield [t.gettext("Product"), t.gettext("Conversations"), *(topic_name(t, topic) for topic in topics)]
            for crossed in found.products:
                yield [crossed.title, crossed.times, *(crossed.topics.get(topic, 0) for topic in topics)]
        case "sales":
            columns = (_("Order"), _("Placed"), _("Answered by"), _("Amount"), _("Currency"))
            yield [t.gettext(column) for column in columns]
            for sold in listed:
                placed_at = sold.placed_at.astimezone(t.timezone).isoformat(timespec="seconds")
                yield [sold.name, placed_at, _who(t, sold.agent_id, names), sold.amount.decimal(), sold.amount.currency]
        case _:
            yield [t.gettext(TABLES[table]), ""]
            for label, number in alone_rows(found.alone):
                yield [t.gettext(label), number]


def alone_rows(alone: Alone) -> list[tuple[Lazy, int]]:
    """What was settled without a person, in words."""
    return [
        (_("Conversations that the bot settled"), alone.bot),
        (_("Returns that customers asked for by themselves"), alone.returns),
        (_("Orders that customers changed or cancelled by themselves"), alone.orders),
        (_("Articles that somebody said helped"), alone.articles),
    ]
