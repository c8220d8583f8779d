"""How the bot gets better: what solved conversations suggest, the models that came of it, and whether it slips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from starlette.responses import Response

from admin_ui.desk import Desk, nothing_here
from admin_ui.pages.bot import articles_of
from plugin import stores, team
from plugin.bot import bots, coverage, drafting, drift, lessons, models
from plugin.bot.book import topics
from plugin.bot.models import BotModel, State
from plugin.bot.thinking import HUMAN, title_of
from plugin.kernel.db import Tx
from plugin.kernel.lazy import Lazy, _

_SHOWN = 12

STATES: Mapping[str, tuple[Lazy, str]] = {
    State.LIVE: (_("Answers now"), "good"),
    State.KEPT: (_("Kept"), ""),
    State.REFUSED: (_("Stays off"), "warn"),
    State.BACK: (_("Taken back"), ""),
}
COMPARED: Mapping[str, Lazy] = {
    "topic": _("Usual questions whose topic it finds"),
    "done": _("Usual questions that it handles rightly"),
    "strange": _("Strange questions that it leaves to a person"),
    "person": _("Wishes for a person that it hears"),
    "own": _("Your own questions, kept aside for the check"),
}
ALARMS: Mapping[str, Lazy] = {
    "unsure": _("More questions that it is not sure of"),
    "handed": _("More conversations handed over"),
    "corrected": _("More conversations that the team corrected"),
    "scores": _("The questions are of another kind than before"),
}


@dataclass(frozen=True, slots=True)
class Proposed:
    """A phrasing that waits: how it was asked, what it is about, whose conversation it was."""

    id: UUID
    text: str
    target: str
    says: str
    who: str
    conversation: UUID | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Comparison:
    """One line of a check."""

    name: str
    before: int
    now: int
    count: int
    lost: bool


@dataclass(frozen=True, slots=True)
class Made:
    """A model as its screen shows it."""

    number: int
    state: str
    kind: str
    at: datetime
    who: str
    lessons: int
    titles: int
    compared: Sequence[Comparison]
    refused: bool
    live: bool


@dataclass(frozen=True, slots=True)
class WeekLine:
    """A week of a store's bot."""

    week: date
    talks: int
    unsure: float
    handed: float
    corrected: float
    shift: float | None
    alarms: Sequence[str]


async def index(desk: Desk) -> Response:
    """Suggestions that wait, models, and the weeks."""
    async with desk.transaction() as tx:
        people = {agent.id: agent.name for agent in await team.agents(tx)}
        waiting = await lessons.waiting(tx, lessons.SOLVED)
        choices = [*await articles_of(tx, desk, None), *_topics(desk)]
        names = dict(choices)
        drafts = await coverage.suggestions(tx)
        made = await models.listed(tx)
        working = await models.is_refitting(tx)
        corrections = len(await lessons.waiting(tx, ""))
        shops = await _weeks(tx, desk)
        on = bool(await bots.enabled(tx))
    proposed = [
        Proposed(
            one.id, one.text, one.target, names.get(one.target, one.target), people.get(one.agent_id, ""),
            one.conversation_id, one.created_at,
        )
        for one in waiting
    ]  # fmt: skip
    return desk.page(
        "bot_learning.html", heading=desk.t.gettext("How the bot gets better"), proposed=proposed, choices=choices,
        drafts=drafts, people=people, models=[_made(desk, one, people) for one in made[:_SHOWN]], working=working,
        shops=shops, on=on, corrections=corrections, decides=lessons.may_decide(desk.agent), alone=not any(
            one.state == State.LIVE for one in made
        ), saved=desk.request.query_params.get("saved", ""),
    )  # fmt: skip


def _topics(desk: Desk) -> list[tuple[str, str]]:
    code = desk.t.locale.partition("-")[0]
    return sorted(
        ((f"topic:{topic}", title_of(topic, code)) for topic in topics() if topic != HUMAN), key=lambda pair: pair[1]
    )


def _made(desk: Desk, one: BotModel, people: Mapping[UUID, str]) -> Made:
    name, kind = STATES[one.state]
    compared = [_compared(desk, each) for each in one.compared if each["count"]]
    return Made(
        one.number, desk.t.gettext(name), kind, one.created_at, people.get(one.agent_id, "") if one.agent_id else "",
        int(one.figures.get("lessons", 0)), int(one.figures.get("titles", 0)), compared, one.state == State.REFUSED,
        one.state == State.LIVE,
    )  # fmt: skip


def _compared(desk: Desk, told: Mapping[str, Any]) -> Comparison:
    said = COMPARED[told["name"]]
    return Comparison(desk.t.gettext(said), told["before"], told["now"], told["count"], bool(told["lost"]))


async def _weeks(tx: Tx, desk: Desk) -> list[tuple[str, Sequence[WeekLine]]]:
    """The weeks of each store with a bot that is on, the newest first."""
    found: list[tuple[str, Sequence[WeekLine]]] = []
    on = {bot.store_id for bot in await bots.enabled(tx)}
    for store in await stores.all_stores(tx):
        rows = await drift.weeks(tx, store.id) if store.id in on else []
        if any(row.talks for row in rows):
            found.append((store.name, [_week(desk, rows, at) for at in range(len(rows)) if rows[at].talks]))
    return found


def _week(desk: Desk, rows: Sequence[drift.BotWeek], at: int) -> WeekLine:
    row = rows[at]
    week, before = drift.as_week(row), [drift.as_week(one) for one in rows[at + 1 :]]
    usual = [sum(column) for column in zip(*(one.scores for one in before), strict=True)]
    shift = drift.stability(week.scores, usual) if usual and sum(usual) and sum(week.scores) else None
    return WeekLine(
        row.week, row.talks, week.share("unsure"), week.share("handed"), week.share("corrected"), shift,
        [desk.t.gettext(ALARMS[name]) for name in row.alarms],
    )  # fmt: skip


async def decide(desk: Desk) -> Response:
    """Approve a phrasing, as it stands in the form, or decline it."""
    form = await desk.request.form()
    async with desk.transaction() as tx:
        lesson = await lessons.find(tx, desk.path_id())
        if form.get("to") == "yes":
            if lesson.state == lessons.State.PROPOSED:
                said, target = str(form.get("text") or lesson.text), str(form.get("target") or lesson.target)
                await lessons.revise(tx, lesson, said, target, by=desk.agent)
            await lessons.approve(tx, lesson, by=desk.agent)
        else:
            await lessons.decline(tx, lesson, by=desk.agent)
    return desk.go("settings/bot/learning", saved="phrasings")


async def draft(desk: Desk) -> Response:
    """Make a draft of an answer, as it stands in the form, or (`no`) none."""
    form = await desk.request.form()
    async with desk.transaction() as tx:
        if form.get("no"):
            await coverage.dismiss(tx, desk.path_id())
            return desk.go("settings/bot/learning", saved="drafts")
        title, body = str(form.get("title") or ""), str(form["body"]) if "body" in form else None
        made = await drafting.take(tx, desk.path_id(), by=desk.agent, title=title, body=body)
    return desk.go(f"help/{made}")


async def refit(desk: Desk) -> Response:
    """Have a new model made now."""
    async with desk.transaction() as tx:
        await models.ask_refit(tx, by=desk.agent)
    return desk.go("settings/bot/learning", saved="models")


async def back(desk: Desk) -> Response:
    """Let an older model answer again; 0 is what everybody begins with."""
    form = await desk.request.form()
    wanted = str(form.get("number", ""))
    if not wanted.isascii() or not wanted.isdigit():
        raise nothing_here()
    async with desk.transaction() as tx:
        await models.bring_back(tx, int(wanted[:9]), by=desk.agent)
    return desk.go("settings/bot/learning", saved="models")
