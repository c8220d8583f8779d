"""How the team works: teams with their hours, how soon customers have an answer, who gets what."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID
from zoneinfo import available_timezones

from babel.dates import get_day_names
from starlette.datastructures import FormData
from starlette.responses import Response

from admin_ui.desk import Desk, nothing_here
from plugin import stores, team
from plugin.conversations import hours, tags, teams
from plugin.conversations.hours import Span, Special
from plugin.conversations.teams import Team
from plugin.kernel.db import Tx
from plugin.kernel.errors import AhlanError
from plugin.kernel.i18n import Translator, zone_of
from plugin.kernel.lazy import _

_SLOTS = 2
_LANGUAGE = re.compile(r"[a-z]{2,3}")
_MOST_SPECIAL = 100


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
    opens: datetime | None
    who: str
    what: str


async def index(desk: Desk) -> Response:
    """Teams, targets, what happens to what nobody takes."""
    async with desk.transaction() as tx:
        found = await teams.all_teams(tx)
        names = {str(agent.id): agent.name for agent in await team.colleagues(tx)}
        shops = {str(store.id): store.name for store in await stores.all_stores(tx)}
    now = datetime.now(UTC)
    return desk.page(
        "work.html",
        heading=desk.t.gettext("How the team works"),
        teams=[_card(desk.t, one, names, shops, now) for one in found],
        saved=desk.request.query_params.get("saved", ""),
    )


def _card(t: Translator, one: Team, names: dict[str, str], shops: dict[str, str], now: datetime) -> Card:
    rules = one.rules()
    members = [names[id] for id in one.members if id in names]
    what = [
        t.listing([shops[id] for id in one.stores if id in shops]),
        t.listing([language_name(t, code) for code in one.languages]),
        t.listing(one.skills),
    ]
    there = hours.is_open(rules.hours, now)
    return Card(
        one.id,
        one.name,
        there,
        None if there else hours.next_opening(rules.hours, now),
        t.listing(members) or t.gettext("Everybody"),
        " · ".join(part for part in what if part) or t.gettext("All conversations"),
    )


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
        "tags": await tags.all_tags(tx),
        "timezones": sorted(zone for zone in available_timezones() if "/" in zone or zone == "UTC"),
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
        one.languages = [code for code in _words(form, "languages") if _LANGUAGE.fullmatch(code)]
        one.skills = [tags.folded(word) for word in _words(form, "skills")][: tags.MOST]
        one.timezone = zone if zone in available_timezones() else desk.workspace.timezone
        one.hours = {} if form.get("when") == "always" else hours.to_json(_week(desk.t, form), _special(form))
        await teams.save(tx, one)
    return desk.go("settings/work", saved="teams")


async def delete_team(desk: Desk) -> Response:
    """Delete a team; what was its becomes everybody's."""
    async with desk.transaction() as tx:
        await teams.remove(tx, (await _find(tx, desk)).id)
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
