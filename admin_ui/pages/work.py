"""How the team works: teams with their hours, how soon customers have an answer, who gets what."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from babel.dates import get_day_names
from starlette.datastructures import FormData
from starlette.responses import Response

from admin_ui import words
from admin_ui.desk import Desk, nothing_here
from admin_ui.pages.conversation import CHANNELS, channel_of
from admin_ui.zones import time_zones
from plugin import stores, team, workspaces
from plugin.conversations import clocks, hours, presence, tags, teams
from plugin.conversations.clocks import AnswerTarget
from plugin.conversations.conversations import Priority
from plugin.conversations.hours import Span, Special
from plugin.conversations.targets import Segment
from plugin.conversations.teams import Giving, Team
from plugin.kernel.db import Tx
from plugin.kernel.digits import whole
from plugin.kernel.errors import AhlanError
from plugin.kernel.i18n import Translator, zone_of
from plugin.kernel.lazy import Lazy, _
from plugin.kernel.text import folded, isolate
from plugin.team import Agent

_SLOTS = 2
# What shoppers mostly write, in this order; a team's own others stay beside them.
_LANGUAGES = ("ar", "he", "en", "fr", "de", "es", "it", "pt", "nl", "tr", "fa", "ur", "ru", "uk", "am", "hi")
_MOST_SPECIAL = 100


GIVINGS: dict[Giving, tuple[Lazy, Lazy]] = {
    Giving.MANUAL: (_("People take them"), _("Nothing is given by itself.")),
    Giving.TURNS: (_("In turn"), _("Whoever got one longest ago gets the next.")),
    Giving.LOAD: (_("To whoever has the fewest"), _("By how many open conversations somebody has.")),
}
SEGMENTS: dict[Segment, Lazy] = {
    Segment.NEW: _("No order yet"),
    Segment.ONCE: _("One order"),
    Segment.RETURNING: _("Several orders"),
}
_UNITS = {"minutes": 1, "hours": 60, "days": 1440}
_KINDS = ("first", "next", "resolution")
_MOST_CAPACITY = 1000
_MOST_MINUTES = 60 * 24 * 30


@dataclass(frozen=True, slots=True)
class Day:
    """A weekday of the form; `slots` are pairs of wall times, empty ones to fill in."""

    number: int
    name: str
    slots: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Card:
    """A team in the list: its name and what there is to know, a line each."""

    id: UUID
    name: str
    open: bool
    opens: str
    who: str
    what: str


async def index(desk: Desk) -> Response:
    """Teams, targets, what happens to what nobody takes."""
    async with desk.transaction() as tx:
        found = await teams.all_teams(tx)
        names = {str(agent.id): agent.name for agent in await team.colleagues(tx)}
        shops = {str(store.id): store.name for store in await stores.all_stores(tx)}
        promises = await clocks.all_targets(tx)
        people = await team.colleagues(tx)
        limits = await workspaces.current(tx)
    now = datetime.now(UTC)
    return desk.page(
        "work.html",
        heading=desk.t.gettext("How the team works"),
        teams=[_card(desk.t, one, names, shops, now) for one in found],
        targets=[_promise(desk.t, one, shops) for one in promises],
        people=people,
        limits=limits,
        gives=any(one.giving != Giving.MANUAL for one in found),
        saved=desk.request.query_params.get("saved", ""),
    )


@dataclass(frozen=True, slots=True)
class Promise:
    """A policy in the list: what it promises, and to whom."""

    id: UUID
    name: str
    what: str
    whom: str


def _promise(t: Translator, one: AnswerTarget, shops: dict[str, str]) -> Promise:
    said = [
        t.gettext(text, time=t.duration(minutes * 60))
        for text, minutes in (
            (_("First answer: %(time)s"), one.first),
            (_("Next answers: %(time)s"), one.next),
            (_("Resolution: %(time)s"), one.resolution),
        )
        if minutes is not None
    ]
    whom = [
        t.listing([t.gettext(words.PRIORITIES[Priority(rank)][1]) for rank in one.priorities], "or"),
        t.listing([channel_of(t, channel)[1] for channel in one.channels], "or"),
        t.listing([isolate(shops[id]) for id in one.stores if id in shops], "or"),
        t.listing([t.gettext(SEGMENTS[Segment(key)]) for key in one.segments], "or"),
        t.listing([isolate(tag) for tag in one.tags], "or"),
    ]
    return Promise(
        one.id, one.name, " · ".join(said), " · ".join(part for part in whom if part) or t.gettext("All conversations")
    )


def _card(t: Translator, one: Team, names: dict[str, str], shops: dict[str, str], now: datetime) -> Card:
    rules = one.rules()
    members = [isolate(names[id]) for id in one.members if id in names]
    what = [
        t.listing([isolate(shops[id]) for id in one.stores if id in shops]),
        t.listing([language_name(t, code) for code in one.languages]),
        t.listing([isolate(skill) for skill in one.skills]),
    ]
    there = hours.is_open(rules.hours, now)
    return Card(
        one.id,
        one.name,
        there,
        _opening(t, hours.next_opening(rules.hours, now), now),
        t.listing(members) or t.gettext("Everybody"),
        " · ".join(part for part in what if part) or t.gettext("All conversations"),
    )


def _opening(t: Translator, moment: datetime | None, now: datetime) -> str:
    """As short as it can be said: the time today, the weekday within a week, else the day."""
    if moment is None:
        return ""
    there = moment.astimezone(t.timezone)
    match (there.date() - now.astimezone(t.timezone).date()).days:
        case 0:
            return t.format_time(moment)
        case 1 | 2 | 3 | 4 | 5 | 6:
            day = get_day_names("wide", locale=t.language.locale)[there.weekday()]
            return f"{day} {t.format_time(moment)}"
    return t.format_datetime(moment, "short")


def language_name(t: Translator, code: str) -> str:
    """A language by its name in the reader's own."""
    return str(t.language.locale.languages.get(code, code))


async def new_team(desk: Desk) -> Response:
    """The form of a team that is not there yet."""
    async with desk.transaction() as tx:
        fresh = Team(name="", members=[], stores=[], languages=[], skills=[], timezone=str(desk.workspace.timezone),
                     hours={}, giving=teams.Giving.MANUAL)  # fmt: skip
        context = await _form(tx, desk, fresh)
    return desk.page("work_team.html", heading=desk.t.gettext("New team"), **context)


async def team_page(desk: Desk) -> Response:
    """The form of a team."""
    async with desk.transaction() as tx:
        found = await _find(tx, desk)
        context = await _form(tx, desk, found)
    return desk.page("work_team.html", heading=found.name, **context)


async def _form(tx: Tx, desk: Desk, one: Team) -> dict[str, Any]:
    t = desk.t
    when = one.rules().hours if one.id else hours.from_json(one.hours, zone_of(one.timezone))
    names = get_day_names("wide", locale=t.language.locale)
    shops = await stores.all_stores(tx)
    return {
        "team": one,
        "always": not one.hours,
        "days": [
            Day(day, names[day], _slots(when.of_day_of_week(day) if one.hours else ())) for day in
            hours.days_from(t.first_weekday)
        ],
        "special": [
            (day.isoformat(), inside.name, *(_pair(inside.spans[0]) if inside.spans else ("", "")))
            for day, inside in sorted(when.special.items())
        ],
        "people": await team.colleagues(tx),
        "shops": shops if len(shops) > 1 else [],
        "languages": [(code, language_name(t, code)) for code in dict.fromkeys((*_LANGUAGES, *one.languages))],
        "givings": [(key, t.gettext(name), t.gettext(what)) for key, (name, what) in GIVINGS.items()],
        "timezones": time_zones(),
    }  # fmt: skip


def _slots(spans: Sequence[Span]) -> list[tuple[str, str]]:
    filled = [_pair(span) for span in spans]
    return filled + [("", "")] * max(0, _SLOTS - len(filled))


def _pair(span: Span) -> tuple[str, str]:
    return hours.clock(span.start), hours.clock(span.end)


async def save_team(desk: Desk) -> Response:
    """Keep a team as its form says."""
    form = await desk.request.form()
    zone = str(form.get("timezone", ""))
    async with desk.transaction() as tx:
        one = await _find(tx, desk) if "id" in desk.request.path_params else Team()
        people = {str(agent.id) for agent in await team.colleagues(tx)}
        shops = {str(store.id) for store in await stores.all_stores(tx)}
        one.name = str(form.get("name", ""))
        one.members = _chosen(form, "member", people)
        one.stores = _chosen(form, "store", shops)
        one.languages = _chosen(form, "language", {*_LANGUAGES, *(one.languages or ())})
        one.skills = _tags(form, "skills")
        giving = str(form.get("giving", ""))
        one.giving = giving if giving in set(Giving) else Giving.MANUAL
        one.timezone = zone if zone in time_zones() else desk.workspace.timezone
        one.hours = {} if form.get("when") == "always" else hours.to_json(_week(desk.t, form), _special(form))
        await teams.save(tx, one)
        await clocks.reckon(tx)
    return desk.go("settings/work", saved="teams")


async def delete_team(desk: Desk) -> Response:
    """Delete a team; what was its becomes everybody's."""
    async with desk.transaction() as tx:
        await teams.remove(tx, (await _find(tx, desk)).id)
        await clocks.reckon(tx)
    return desk.go("settings/work", saved="teams")


async def _find(tx: Tx, desk: Desk) -> Team:
    found = await tx.get(Team, desk.path_id(), lock=True)
    if found is None:
        raise nothing_here()
    return found


def _chosen(form: FormData, name: str, known: set[str]) -> list[str]:
    return sorted({str(value) for value in form.getlist(name)} & known)


def _words(form: FormData, name: str) -> list[str]:
    found = (" ".join(part.split()).lower() for part in re.split(r"[,،;]", str(form.get(name, ""))))
    return list(dict.fromkeys(part for part in found if part))


def _tags(form: FormData, name: str) -> list[str]:
    return [folded(word) for word in _words(form, name)][: tags.MOST]


def _week(t: Translator, form: FormData) -> list[list[Span]]:
    names = get_day_names("wide", locale=t.language.locale)
    return [
        [
            span
            for opens, closes in zip(form.getlist(f"open-{day}"), form.getlist(f"close-{day}"), strict=False)
            if (span := _span(str(opens), str(closes), names[day])) is not None
        ]
        for day in range(7)
    ]


def _special(form: FormData) -> dict[date, Special]:
    found: dict[date, Special] = {}
    parts = [[str(value) for value in form.getlist(f"special-{name}")] for name in ("day", "name", "open", "close")]
    for said, name, opens, closes in list(zip(*parts, strict=False))[:_MOST_SPECIAL]:
        if not said:
            continue
        try:
            day = date.fromisoformat(said)
        except ValueError as error:
            raise AhlanError(_("%(day)s is no date."), values={"day": said}, code="hours") from error
        span = _span(opens, closes, said)
        found[day] = Special((span,) if span else (), " ".join(name.split())[:60])
    return found


def _span(opens: str, closes: str, day: str) -> Span | None:
    if not opens and not closes:
        return None
    try:
        return hours.span(opens, closes)
    except ValueError as error:
        raise AhlanError(
            _("%(day)s: say from when until when."),
            _("Both times are needed; leave both empty for a closed day."),
            values={"day": day},
            code="hours",
        ) from error


async def new_target(desk: Desk) -> Response:
    """The form of a promise that is not there yet."""
    async with desk.transaction() as tx:
        shops = await stores.all_stores(tx)
    fresh = AnswerTarget(name="", priorities=[], channels=[], stores=[], segments=[], tags=[],
                         first=60, next=240, resolution=None)  # fmt: skip
    return _target(desk, fresh, shops, desk.t.gettext("New answer target"))


async def target_page(desk: Desk) -> Response:
    """The form of a promise."""
    async with desk.transaction() as tx:
        found = await _find_target(tx, desk)
        shops = await stores.all_stores(tx)
    return _target(desk, found, shops, found.name)


def _target(desk: Desk, one: AnswerTarget, shops: Sequence[stores.Store], heading: str) -> Response:
    t = desk.t
    labels = {
        "first": t.gettext("First answer within"),
        "next": t.gettext("Next answers within"),
        "resolution": t.gettext("Resolved within"),
    }
    return desk.page(
        "work_target.html",
        heading=heading,
        target=one,
        times=[(kind, labels[kind], *_in_units(getattr(one, kind))) for kind in _KINDS],
        units=[
            ("minutes", t.gettext("minutes")),
            ("hours", t.gettext("hours")),
            ("days", t.gettext("days of 24 hours")),
        ],
        channels=[(key, channel_of(t, key)[1]) for key in CHANNELS],
        shops=shops if len(shops) > 1 else [],
        segments=[(key, t.gettext(name)) for key, name in SEGMENTS.items()],
    )


def _in_units(minutes: int | None) -> tuple[str, str]:
    """A number and the largest unit in which it is whole."""
    if minutes is None:
        return "", "hours"
    unit = next(name for name in ("days", "hours", "minutes") if minutes % _UNITS[name] == 0)
    return str(minutes // _UNITS[unit]), unit


async def save_target(desk: Desk) -> Response:
    """Keep a promise as its form says."""
    form = await desk.request.form()
    async with desk.transaction() as tx:
        one = await _find_target(tx, desk) if "id" in desk.request.path_params else AnswerTarget()
        shops = {str(store.id) for store in await stores.all_stores(tx)}
        one.name = str(form.get("name", ""))
        one.priorities = [int(rank) for rank in _chosen(form, "priority", {str(int(rank)) for rank in Priority})]
        one.channels = _chosen(form, "channel", set(CHANNELS))
        one.stores = _chosen(form, "store", shops)
        one.segments = _chosen(form, "segment", set(Segment))
        one.tags = _tags(form, "tags")
        for kind in _KINDS:
            setattr(one, kind, _minutes(str(form.get(kind, "")), str(form.get(f"{kind}-unit", ""))))
        await clocks.save(tx, one)
    return desk.go("settings/work", saved="targets")


def _minutes(number: str, unit: str) -> int | None:
    if not number.strip():
        return None
    return _number(number, clocks.LONGEST) * _UNITS.get(unit, 1)


def _number(text: str, most: int) -> int:
    text = text.strip()
    if (number := whole(text, most)) is None:
        raise AhlanError(_("%(value)s is no number that can be used here."), values={"value": text[:20]}, code="number")
    return number


async def move_target(desk: Desk) -> Response:
    """Ask it sooner, or later, than its neighbour."""
    form = await desk.request.form()
    async with desk.transaction() as tx:
        await clocks.move(tx, await _find_target(tx, desk), up=form.get("to") == "up")
    return desk.go("settings/work", saved="targets")


async def delete_target(desk: Desk) -> Response:
    """Take a promise back; its clocks go."""
    async with desk.transaction() as tx:
        await clocks.remove(tx, (await _find_target(tx, desk)).id)
    return desk.go("settings/work", saved="targets")


async def _find_target(tx: Tx, desk: Desk) -> AnswerTarget:
    found = await tx.get(AnswerTarget, desk.path_id(), lock=True)
    if found is None:
        raise nothing_here()
    return found


async def save_limits(desk: Desk) -> Response:
    """When what nobody takes is told, and when who is away gives back what they have."""
    form = await desk.request.form()
    async with desk.transaction() as tx:
        workspace = await workspaces.current(tx)
        assert workspace is not None
        workspace.unattended_minutes = _number(str(form.get("unattended", "")) or "0", _MOST_MINUTES)
        workspace.away_minutes = _number(str(form.get("away", "")) or "0", _MOST_MINUTES)
        await clocks.watch(tx)
    return desk.go("settings/work", saved="limits")


async def save_people(desk: Desk) -> Response:
    """How many open conversations each may be given at once."""
    form = await desk.request.form()
    async with desk.transaction() as tx:
        for one in await team.colleagues(tx):
            if (said := form.get(f"capacity-{one.id}")) is not None:
                one.capacity = _number(str(said) or "0", _MOST_CAPACITY)
        await clocks.watch(tx)
    return desk.go("settings/work", saved="people")


async def switch_away(desk: Desk) -> Response:
    """One's own switch: away, or back."""
    here = (await desk.request.form()).get("to") == "here"
    async with desk.transaction() as tx:
        me = await tx.get(Agent, desk.agent.id, lock=True)
        assert me is not None
        await team.set_available(tx, me, here)
        await clocks.watch(tx)
        desk.agent.available = me.available
    if not desk.agent.available:
        await presence.agent_gone(desk.app.hub, desk.workspace_id, desk.agent.id)
    return desk.page("away.html")
