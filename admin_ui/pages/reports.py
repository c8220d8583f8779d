"""The service report: what came in, how soon it was answered and settled; every number leads to its conversations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from typing import Any, Final
from uuid import UUID

from babel.dates import get_day_names
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from admin_ui import downloads
from admin_ui.auth import placed
from admin_ui.desk import Desk
from admin_ui.pages import conversation
from admin_ui.pages.work import language_name
from plugin import team
from plugin.analytics import reports
from plugin.analytics.reports import By, Days, Figures, Question
from plugin.app import App
from plugin.bot import book
from plugin.conversations.filters import NOBODY, WEEKDAYS, Filter, Key, Term, Value
from plugin.conversations.teams import Team, all_teams
from plugin.conversations.views import Reader
from plugin.kernel.db import Tx
from plugin.kernel.digits import whole
from plugin.kernel.errors import AhlanError
from plugin.kernel.i18n import Translator
from plugin.kernel.lazy import Lazy, _
from plugin.stores import Store, all_stores
from plugin.team import Agent, Permission

_LINK: Final = "report export"
PERIODS: Final[dict[str, Lazy]] = {
    "7": _("Last 7 days"),
    "30": _("Last 30 days"),
    "90": _("Last 90 days"),
    "month": _("This month"),
    "last": _("Last month"),
    "own": _("From … to …"),
}
TABLES: Final[dict[By, Lazy]] = {
    By.DAY: _("By day"),
    By.HOUR: _("By weekday and hour"),
    By.CHANNEL: _("By channel"),
    By.TOPIC: _("What they ask about"),
    By.TAG: _("By tag"),
    By.AGENT: _("By agent"),
    By.TEAM: _("By team"),
    By.STORE: _("By store"),
    By.LANGUAGE: _("By language"),
}
COLUMNS: Final[tuple[Lazy, ...]] = (
    _("Conversations"),
    _("Answered"),
    _("First answer: half within"),
    _("First answer: nine of ten within"),
    _("Resolved"),
    _("Resolution: half within"),
    _("Resolution: nine of ten within"),
    _("With a target"),
    _("Target missed"),
    _("Rated"),
    _("Rated 4 or 5"),
)
_NARROWED: Final = {
    "store": Key.STORE,
    "team": Key.TEAM,
    "agent": Key.ASSIGNEE,
    "language": Key.LANGUAGE,
    "channel": Key.CHANNEL,
}
_SHADES: Final = 5
_WORTH_SAYING: Final = 0.02


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table. `path` shows the conversations in the inbox; empty where no filter can say which."""

    label: str
    figures: Figures
    path: str


@dataclass(frozen=True, slots=True)
class Tile:
    """One number at a glance. `change` compares with as many days before; `meaning` says whether that is good."""

    label: str
    value: str
    note: str = ""
    path: str = ""
    change: str = ""
    grew: bool = False
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """An hour of a weekday: how many conversations began then, and how dark that is, 0 to 5."""

    label: str
    count: int
    shade: int
    path: str


@dataclass(frozen=True, slots=True)
class Choices:
    """What may be chosen, and the words for the keys of the tables."""

    stores: Sequence[Store]
    agents: Sequence[Agent]
    teams: Sequence[Team]


async def index(desk: Desk) -> Response:
    """The whole report. `days`, `from`, `to`, `store`, `team`, `agent`, `language`, `channel`, `hours` choose."""
    t = desk.t
    query = desk.request.query_params
    async with desk.transaction() as tx:
        choices = await _choices(tx, whole=desk.may("manage_team"), me=desk.agent)
        question, picked, problem = _question(desk, query, choices)
        total = (await reports.figures(tx, question)).get("", Figures())
        before = (await reports.figures(tx, _earlier(question))).get("", Figures())
        left = await reports.backlog(tx, question)
        tables: dict[By, dict[str, Figures]] = {by: await reports.figures(tx, question, by) for by in TABLES}
    if not desk.may("manage_team"):
        tables[By.AGENT] = {key: found for key, found in tables[By.AGENT].items() if key == str(desk.agent.id)}
    hours = tables.pop(By.HOUR)
    rows = {by: _rows(desk, question, by, found, choices) for by, found in tables.items()}
    for by, many in ((By.TEAM, choices.teams), (By.STORE, choices.stores[1:])):
        if not many:
            rows.pop(by)
    return desk.page(
        "reports.html",
        heading=t.gettext("Reports"),
        problem=problem,
        picked=picked,
        periods=[(key, t.gettext(text)) for key, text in PERIODS.items()],
        fields=_fields(desk, choices, tables),
        whole_days=question.days,
        total=total,
        tiles=_tiles(desk, question, total, before, left),
        columns=_columns(t, question.days, tables[By.DAY]),
        line=_line(left),
        left=[(date.fromisoformat(day), number) for day, number in left.items()],
        rows=rows,
        names=TABLES,
        week=_week(desk, question, hours),
        address=lambda by: desk.url("reports/export", by=str(by), **picked),
    )


async def _choices(tx: Tx, *, whole: bool, me: Agent) -> Choices:
    return Choices(await all_stores(tx), await team.agents(tx) if whole else [me], await all_teams(tx))


def _question(desk: Desk, query: Mapping[str, str], choices: Choices) -> tuple[Question, dict[str, str], str]:
    """What is asked, the choices that stand in the address, and what was wrong with the days."""
    zone = desk.t.timezone
    return _read(query, choices, Reader(desk.agent.id, zone), desk.t)


def _read(
    query: Mapping[str, str], choices: Choices, reader: Reader, t: Translator
) -> tuple[Question, dict[str, str], str]:
    days, chosen, problem = span(query, reader.zone, t)
    known = {
        Key.STORE: {str(one.id): _of_store(one) for one in choices.stores},
        Key.TEAM: {str(one.id): one.name for one in choices.teams} | {NOBODY: NOBODY},
        Key.ASSIGNEE: {str(one.id): one.email or one.name for one in choices.agents} | {NOBODY: NOBODY},
        Key.LANGUAGE: {code: code for code in (query.get("language", "")[:8],) if code.isalpha()},
        Key.CHANNEL: {code: code for code in conversation.CHANNELS},
    }
    said = {name: query.get(name, "") for name in _NARROWED}
    picked = {name: value for name, value in said.items() if value in known[_NARROWED[name]]}
    terms = tuple(Term(_NARROWED[name], (Value(known[_NARROWED[name]][value]),)) for name, value in picked.items())
    picked |= chosen
    business = query.get("hours") == "business"
    if business:
        picked["hours"] = "business"
    return Question(Filter(terms), days, reader, business), picked, problem


def span(query: Mapping[str, str], zone: tzinfo, t: Translator) -> tuple[Days, dict[str, str], str]:
    """The days that an address asks for, how it says so, and what was wrong with them."""
    today = datetime.now(zone).date()
    period = query.get("days", "")
    period = period if period in PERIODS else "30"
    problem = ""
    first, last = days_of(period, today)
    if period == "own":
        try:
            first, last = (date.fromisoformat(query.get(name, "")) for name in ("from", "to"))
            if not 0 <= (last - first).days < reports.LONGEST or first.year < 2000 or last.year > 2100:
                raise ValueError
        except ValueError:
            problem = t.gettext("Choose two days, the first before the second, at most a year apart.")
            first, last = days_of("30", today)
    own = {"from": first.isoformat(), "to": last.isoformat()} if period == "own" else {}
    return Days(first, last, zone), {"days": period, **own}, problem


def days_of(name: str, today: date) -> tuple[date, date]:
    """The first and the last day of a period of PERIODS."""
    month = today.replace(day=1)
    if name == "month":
        return month, today
    if name == "last":
        end = month - timedelta(days=1)
        return end.replace(day=1), end
    return today - timedelta(days=(whole(name, reports.LONGEST) or 30) - 1), today


def _of_store(store: Store) -> str:
    return store.url.partition("://")[2].rstrip("/") or store.external_id


def _earlier(question: Question) -> Question:
    return Question(question.asked, question.days.before, question.reader, question.business)


def _fields(
    desk: Desk, choices: Choices, tables: Mapping[By, Mapping[str, Figures]]
) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """What can be narrowed: name, label, and what there is to choose."""
    t = desk.t
    languages = {key for key in tables[By.LANGUAGE] if key}
    chosen = desk.request.query_params.get("language", "")[:8]
    if chosen.isalpha():
        languages.add(chosen)
    channels = [(one, conversation.channel_of(t, one)[1]) for one in conversation.CHANNELS]
    found = [
        ("store", _("Store"), _("All stores"), [(str(one.id), one.name) for one in choices.stores], 2),
        ("team", _("Team"), _("All teams"), [(str(one.id), one.name) for one in choices.teams], 1),
        ("agent", _("Who"), _("Everybody"), [(str(one.id), one.name) for one in choices.agents], 2),
        ("language", _("Language"), _("All languages"), [(one, language_name(t, one)) for one in sorted(languages)], 2),
        ("channel", _("Channel"), _("All channels"), channels, 2),
    ]
    return [
        (name, t.gettext(label), [("", t.gettext(every)), *options])
        for name, label, every, options, least in found
        if len(options) >= least or desk.request.query_params.get(name)
    ]


def _tiles(desk: Desk, question: Question, total: Figures, before: Figures, left: Mapping[str, int]) -> list[Tile]:
    t = desk.t
    missing = total.begun - total.answered
    unanswered = _path(desk, question, Term(Key.ANSWERED, (Value("no"),)))
    overdue = _path(desk, question, Term(Key.BREACHED, (Value("yes"),)))
    now, then = (one.answered / one.begun if one.begun else None for one in (total, before))
    found = [
        Tile(
            t.gettext("New conversations"),
            t.format_number(total.begun),
            "",
            _path(desk, question),
            *change_of(t, total.begun, before.begun, 0),
        ),
        Tile(
            t.gettext("First answer"),
            time_of(t, total.first_median),
            _most(t, total.first_p90),
            "",
            *change_of(t, total.first_median, before.first_median, -1),
        ),
        Tile(
            t.gettext("Resolution"),
            time_of(t, total.resolution_median),
            _most(t, total.resolution_p90),
            "",
            *change_of(t, total.resolution_median, before.resolution_median, -1),
        ),
        Tile(
            t.gettext("Answered"),
            share_of(t, now),
            t.ngettext("%(num)s without an answer", "%(num)s without an answer", missing) if missing else "",
            unanswered if missing else "",
            *change_of(t, now, then, 1),
        ),
        Tile(t.gettext("Unfinished"), t.format_number(list(left.values())[-1]), t.gettext("when the last day ended")),
    ]
    if total.promised:
        missed = t.ngettext("%(num)s missed", "%(num)s missed", total.broken) if total.broken else ""
        found.append(
            Tile(
                t.gettext("Targets kept"),
                share_of(t, total.kept),
                missed,
                overdue if total.broken else "",
                *change_of(t, total.kept, before.kept, 1),
            )
        )
    if total.rated:
        found.append(
            Tile(
                t.gettext("Satisfaction"),
                share_of(t, total.satisfaction),
                t.ngettext("%(num)s rated", "%(num)s rated", total.rated),
                _path(desk, question, Term(Key.RATING, (Value("1", ">="),))),
                *change_of(t, total.satisfaction, before.satisfaction, 1),
            )
        )
    return found


def _most(t: Translator, seconds: float | None) -> str:
    return "" if seconds is None else t.gettext("nine of ten within %(time)s", time=time_of(t, seconds))


def share_of(t: Translator, share: float | None) -> str:
    """A share in words; a dash where there is none."""
    return "–" if share is None else t.format_percent(round(share, 2))


def change_of(t: Translator, now: float | None, then: float | None, better: int) -> tuple[str, bool, str]:
    """How a number moved since the days before: in words, whether it grew, whether that is good or bad."""
    if now is None or not then or abs(now / then - 1) < _WORTH_SAYING:
        return "", False, ""
    grew = now > then
    share = t.format_percent(round(abs(now / then - 1), 2))
    text = t.gettext("%(share)s more", share=share) if grew else t.gettext("%(share)s less", share=share)
    return text, grew, "" if not better else "good" if grew == (better > 0) else "bad"


def time_of(t: Translator, seconds: float | None) -> str:
    """A span in words; a dash where there is none."""
    return "–" if seconds is None else t.duration(seconds)


def _path(desk: Desk, question: Question, *terms: Term, days: Days | None = None) -> str:
    """The inbox with what a number counted."""
    asked = Question(question.asked, days or question.days, question.reader).filter
    return desk.url("inbox", q=str(Filter((*asked.terms, *terms), asked.words, asked.without)))


def _rows(desk: Desk, question: Question, by: By, found: Mapping[str, Figures], choices: Choices) -> list[Row]:
    t = desk.t
    if by is By.DAY:
        return [
            Row(
                t.format_date(day, "medium"),
                found.get(day.isoformat(), Figures()),
                _path(desk, question, days=Days(day, day, question.days.zone)),
            )
            for day in question.days.days
        ]
    naming = _naming(t, by, choices)
    rows = []
    for key, figures in sorted(found.items(), key=lambda one: (-one[1].begun, one[0])):
        label, value = naming(key)
        term = (Term(_KEYS[by], (Value(value),)),) if value else ()
        path = _path(desk, question, *term) if value else ""
        rows.append(Row(label, figures, path))
    return rows


_KEYS: Final = {
    By.CHANNEL: Key.CHANNEL,
    By.TOPIC: Key.TOPIC,
    By.TAG: Key.TAG,
    By.AGENT: Key.ASSIGNEE,
    By.TEAM: Key.TEAM,
    By.STORE: Key.STORE,
    By.LANGUAGE: Key.LANGUAGE,
}


def _naming(t: Translator, by: By, choices: Choices) -> Callable[[str], tuple[str, str]]:
    """The words for a key of a table, and what a filter calls it ("" where none can say it)."""
    stores = {str(one.id): (one.name, _of_store(one)) for one in choices.stores}
    agents = {str(one.id): (one.name, one.email or one.name) for one in choices.agents}
    teams = {str(one.id): (one.name, one.name) for one in choices.teams}
    match by:
        case By.STORE:
            return lambda key: stores.get(key, (t.gettext("No store"), ""))
        case By.AGENT:
            return lambda key: agents.get(key, ("?", "")) if key else (t.gettext("Nobody"), NOBODY)
        case By.TEAM:
            return lambda key: teams.get(key, ("?", "")) if key else (t.gettext("No team"), NOBODY)
        case By.CHANNEL:
            return lambda key: (conversation.channel_of(t, key)[1], key)
        case By.TOPIC:
            return lambda key: (topic_name(t, key), key or NOBODY)
        case By.LANGUAGE:
            return lambda key: (language_name(t, key), key) if key else (t.gettext("Not known"), "")
    return lambda key: (key, key)


def topic_name(t: Translator, topic: str) -> str:
    """What a topic is called; what was not understood, or before topics were kept, is something else."""
    known = book.topics().get(topic)
    if known is None:
        return t.gettext("Something else")
    return known.title.get(t.locale.partition("-")[0]) or known.title["en"]


def _columns(t: Translator, days: Days, found: Mapping[str, Figures]) -> list[tuple[str, int, float]]:
    """The days as columns: what a pointer reads, how many, and how high of 100."""
    most = max((figures.begun for figures in found.values()), default=0)
    return [
        (
            f"{t.format_date(day, 'medium')}: {t.format_number(figures.begun)}",
            figures.begun,
            round(100 * figures.begun / most, 2) if most else 0,
        )
        for day in days.days
        for figures in (found.get(day.isoformat(), Figures()),)
    ]


def _line(left: Mapping[str, int]) -> str:
    """The backlog as the points of a line: a day is ten wide, the most is 100 high."""
    most = max(left.values(), default=0)
    heights = [100 - (100 * number / most if most else 0) for number in left.values()]
    return " ".join(f"{10 * place + 5},{round(height, 2)}" for place, height in enumerate(heights))


def _week(desk: Desk, question: Question, found: Mapping[str, Figures]) -> list[tuple[str, list[Cell]]]:
    """Weekdays from the one that the reader's week begins with, each with its 24 hours."""
    t = desk.t
    most = max((figures.begun for figures in found.values()), default=0)
    names = get_day_names("abbreviated", locale=t.language.locale)
    week = []
    for ahead in range(7):
        weekday = (t.first_weekday + ahead) % 7
        name = str(names[weekday])
        cells = []
        for hour in range(24):
            count = found.get(f"{WEEKDAYS[weekday]} {hour}", Figures()).begun
            wall = t.format_time(datetime(2024, 1, 1, hour, tzinfo=t.timezone))
            terms = (Term(Key.WEEKDAY, (Value(WEEKDAYS[weekday]),)), Term(Key.HOUR, (Value(str(hour)),)))
            shade = -(-_SHADES * count // most) if most else 0
            path = _path(desk, question, *terms) if count else ""
            cells.append(Cell(f"{name} {wall}: {t.format_number(count)}", count, shade, path))
        week.append((name, cells))
    return week


async def export_link(desk: Desk) -> Response:
    """A link that gives a table out for a minute, as a file."""
    query = desk.request.query_params
    by = query.get("by", "")
    if by not in TABLES:
        raise AhlanError(_("There is no such table."), code="table")
    names = ("days", "from", "to", "store", "team", "agent", "language", "channel", "hours")
    asked = {name: query[name][:40] for name in names if query.get(name)}
    return downloads.link(desk, "/exports/report", _LINK, {"l": desk.t.locale, "by": by, **asked})


def download(app: App) -> Route:
    """The table that a signed link names, as a CSV file; times are seconds."""

    async def serve(request: Request) -> Response:
        claims = downloads.claims_of(app, request, _LINK)
        async with app.db.transaction(UUID(hex=claims["w"])) as tx:
            agent, t = await downloads.reader_of(app, tx, claims)
            choices = await _choices(tx, whole=agent.may(Permission.MANAGE_TEAM), me=agent)
            question, _picked, _problem = _read(claims, choices, Reader(agent.id, t.timezone), t)
            by = By(claims["by"])
            found = await reports.figures(tx, question, by)
        if by is By.AGENT and not agent.may(Permission.MANAGE_TEAM):
            found = {key: figures for key, figures in found.items() if key == str(agent.id)}
        rows = _cells(t, by, found, _naming(t, by, choices))
        name = f"report-{by.value}-{question.days.first}-{question.days.last}.csv"
        return downloads.attachment(downloads.sheet(rows), name, "text/csv; charset=utf-8")

    return Route("/exports/report/{token}", placed(serve), methods=["GET"])


def _cells(
    t: Translator, by: By, found: Mapping[str, Figures], naming: Callable[[str], tuple[str, str]]
) -> Iterator[list[Any]]:
    yield [t.gettext(TABLES[by]), *(t.gettext(column) for column in COLUMNS)]
    for key, one in sorted(found.items()):
        times = (one.first_median, one.first_p90, one.resolution_median, one.resolution_p90)
        half, most, done_half, done_most = ("" if time is None else round(float(time)) for time in times)
        yield [
            naming(key)[0], one.begun, one.answered, half, most, one.resolved, done_half, done_most,
            one.promised, one.broken, one.rated, one.pleased,
        ]  # fmt: skip
