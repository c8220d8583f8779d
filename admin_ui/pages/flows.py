"""Flows of the bot at the desk: the list, the editor with a walk beside it, drafts, versions, the switch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from starlette.datastructures import FormData
from starlette.responses import Response

from admin_ui import flow_form, flow_words
from admin_ui.desk import Desk, as_id
from plugin import stores, team
from plugin.bot import flow_book, flow_starters, flowing, flows, people, seeds
from plugin.bot.allowed import TAGGED, Wish
from plugin.bot.decide import wants_person
from plugin.bot.flow_book import BotFlow
from plugin.bot.flows import About, Do, Ending, Facts, Flow, Turn
from plugin.bot.thinking import HUMAN, title_of
from plugin.bot.understand import understand
from plugin.conversations import fields, tags, teams
from plugin.kernel.db import Tx
from plugin.kernel.i18n import Translator
from plugin.kernel.lazy import Lazy, _
from plugin.kernel.money import Money, exponent_of
from plugin.kernel.text import isolate
from plugin.knowledge.articles import Article, ArticleText, Kind

_SNOOZES = (1, 3, 24, 72, 168)
_MOST_SAID = 40
_LONGEST_SAID = 500
_MOST_ARTICLES = 500


@dataclass(frozen=True, slots=True)
class Line:
    """A flow in the list."""

    id: UUID
    name: str
    on: bool
    live: bool
    begins: str
    steps: int
    problems: int
    changed: bool
    count: flow_book.Count


async def index(desk: Desk) -> Response:
    """All flows in the order in which they are asked."""
    async with desk.transaction() as tx:
        rows = await flow_book.all_flows(tx)
        counts = await flow_book.counts(tx)
        lines = [await _line(tx, desk.t, row, counts) for row in rows]
        deleted = await _deleted(tx, desk)
        missing = len(flow_starters.starters(desk.app.catalogues, desk.t.locale)) - sum(
            bool(one.starter) for one in rows
        )
    return desk.page(
        "flows.html", heading=desk.t.gettext("Flows"), lines=lines, deleted=deleted, missing=missing,
        saved=desk.request.query_params.get("saved", ""),
    )  # fmt: skip


async def _line(tx: Tx, t: Translator, row: BotFlow, counts: Mapping[UUID, flow_book.Count]) -> Line:
    flow = row.flow
    live = await flow_book.version(tx, row.id, row.live) if row.live is not None else None
    return Line(
        row.id, row.name, row.enabled, live is not None, flow_words.begins(t, flow), len(flow.steps),
        len(flows.problems(flow)), live is not None and live.flow != flow,
        counts.get(row.id, flow_book.Count(0, 0, 0)),
    )  # fmt: skip


async def _deleted(tx: Tx, desk: Desk) -> BotFlow | None:
    """The flow that was deleted just now, to offer it back."""
    said = desk.request.query_params.get("deleted", "")
    row = await tx.get(BotFlow, as_id(said)) if said else None
    return row if row is not None and row.deleted_at is not None else None


async def make(desk: Desk) -> Response:
    """A new flow with nothing in it."""
    form = await desk.request.form()
    spoken = tuple(code for code, _name, _way in _languages(desk))
    async with desk.transaction() as tx:
        row = await flow_book.make(tx, str(form.get("name", "")), Flow(languages=spoken), by=desk.agent)
    return desk.go(f"settings/flows/{row.id}")


async def plant(desk: Desk) -> Response:
    """The starter flows that are not there, switched off."""
    async with desk.transaction() as tx:
        await flow_starters.plant(tx, desk.app.catalogues, desk.t.locale)
    return desk.go("settings/flows", saved="starters")


async def switch(desk: Desk) -> Response:
    """On, or off."""
    on = (await desk.request.form()).get("to") == "on"
    async with desk.transaction() as tx:
        row = await flow_book.find(tx, desk.path_id())
        await flow_book.switch(tx, row, on, by=desk.agent)
    return desk.go("settings/flows", saved=f"flow-{row.id}")


async def move(desk: Desk) -> Response:
    """One place up or down."""
    step = -1 if (await desk.request.form()).get("step") == "up" else 1
    async with desk.transaction() as tx:
        row = await flow_book.find(tx, desk.path_id())
        await flow_book.move(tx, row, step, by=desk.agent)
    return desk.go("settings/flows", saved=f"flow-{row.id}")


async def delete(desk: Desk) -> Response:
    """Delete; the list offers it back."""
    async with desk.transaction() as tx:
        row = await flow_book.find(tx, desk.path_id())
        await flow_book.remove(tx, row, by=desk.agent)
    return desk.go("settings/flows", deleted=str(row.id))


async def restore(desk: Desk) -> Response:
    """Bring back what was deleted, switched off."""
    async with desk.transaction() as tx:
        row = await flow_book.find(tx, desk.path_id(), deleted=True)
        await flow_book.restore(tx, row, by=desk.agent)
    return desk.go("settings/flows", saved=f"flow-{row.id}")


# The editor


async def one(desk: Desk) -> Response:
    """The steps of a flow with what is wrong at which, and a walk beside them."""
    async with desk.transaction() as tx:
        row = await flow_book.find(tx, desk.path_id())
        shown = await _editor(tx, desk, row)
    return desk.page("flow.html", saved=desk.request.query_params.get("saved", ""), **shown)


async def edit(desk: Desk) -> Response:
    """Keep the draft as the form says it, and do what the pressed button says."""
    form = await desk.request.form()
    said = str(form.get("act", "save"))
    async with desk.transaction() as tx:
        row = await flow_book.find(tx, desk.path_id())
        seen = _number(form, "revision")
        if said == "undo":
            await flow_book.undo(tx, row, seen=seen)
            changed = flow_form.Changed(row.flow)
        else:
            flow = flow_form.read(form, seeds.LANGUAGES, await _decimals(tx))
            changed = flow_form.act(flow, said)
            await flow_book.save(tx, row, str(form.get("name", "")), changed.flow, seen=seen)
        if said == "publish":
            await flow_book.publish(tx, row, by=desk.agent)
            if row.enabled is False and "on" in form:
                await flow_book.switch(tx, row, True, by=desk.agent)
        shown = await _editor(tx, desk, row)
    told = "publish" if said == "publish" else "draft" if said == "save" else ""
    return desk.page("flow.html", block="editor", saved=told, at=changed.at, did=said.partition(":")[0], **shown)


async def bring_back(desk: Desk) -> Response:
    """Make an older version the draft."""
    form = await desk.request.form()
    async with desk.transaction() as tx:
        row = await flow_book.find(tx, desk.path_id())
        await flow_book.bring_back(tx, row, _number(form, "version"), by=desk.agent)
    return desk.go(f"settings/flows/{row.id}", saved="draft")


def _number(form: FormData, name: str) -> int:
    said = str(form.get(name, ""))
    return int(said) if said.isascii() and said.isdigit() and len(said) < 10 else 0


async def _decimals(tx: Tx) -> int:
    return exponent_of(await _currency(tx))


async def _currency(tx: Tx) -> str:
    shops = [one for one in await stores.all_stores(tx) if one.currency]
    return shops[0].currency if shops else "USD"


async def _editor(tx: Tx, desk: Desk, row: BotFlow) -> dict[str, Any]:
    t, flow = desk.t, row.flow
    code = _code(t)
    names = {code: name for code, name, _way in _languages(desk)}
    told: dict[str, list[str]] = {}
    for problem in flows.problems(flow):
        lines = told.setdefault(problem.step, [])
        if (said := flow_words.wrong(t, problem, names)) not in lines:
            lines.append(said)
    versions = await flow_book.history(tx, row.id)
    people_names = {agent.id: agent.name for agent in await team.agents(tx)}
    live = next((one for one in versions if one.number == row.live), None)
    return {
        "heading": row.name, "row": row, "flow": flow, "told": told, "step_kinds": _kinds(t), "kind_of": flows.kind_of,
        "goals": [(step.id, flow_words.step_name(t, step, at, code, flow.languages))
                  for at, step in enumerate(flow.steps, 1)],
        "languages": _languages(desk),
        "spoken": [(code, name) for code, name, _way in _languages(desk)], "versions": versions, "people": people_names,
        "outlines": {one.number: flow_words.outline(t, one.flow, code) for one in versions},
        "changed": live is None or live.flow != flow, "problems": sum(map(len, told.values())),
        "longest": flows.LONGEST_TEXT, "longest_option": flows.LONGEST_OPTION, "most_options": flows.MOST_OPTIONS,
        "answer_keys": [key for step in flow.steps if (key := getattr(step, "key", ""))],
        **await _choices(tx, desk), **_walk(desk, flow, [], FormData()),
    }  # fmt: skip


def _kinds(t: Translator) -> list[tuple[str, str, str, str]]:
    return [(kind, sign, t.gettext(name), t.gettext(what)) for kind, (sign, name, what) in flow_words.KINDS.items()]


def _code(t: Translator) -> str:
    return t.locale.partition("-")[0]


def _languages(desk: Desk) -> list[tuple[str, str, str]]:
    known = {one.code: one for one in desk.app.catalogues.languages}
    return [(code, known[code].name, known[code].direction) for code in seeds.LANGUAGES if code in known]


def _named(t: Translator, names: Mapping[Any, Lazy]) -> list[tuple[str, str]]:
    return [(str(key), t.gettext(name)) for key, name in names.items()]


async def _choices(tx: Tx, desk: Desk) -> dict[str, Any]:
    """What the selects of the editor offer."""
    t = desk.t
    shops = [(str(one.id), one.name) for one in await stores.all_stores(tx)]
    segments = _named(t, flow_words.SEGMENTS)
    segments += [(tag, t.gettext(_("Tag %(tag)s"), tag=isolate(tag.removeprefix(TAGGED)))) for tag in
                 await people.known_tags(tx)]  # fmt: skip
    topics = [(one.id, title_of(one.id, _code(t))) for one in seeds.pack() if one.id != HUMAN]
    currency = await _currency(tx)
    return {
        "asks": _named(t, flow_words.ASKS), "abouts": _named(t, flow_words.ABOUTS), "dos": _named(t, flow_words.DOS),
        "topics": sorted(topics, key=lambda pair: pair[1]), "shops": shops, "channels": _named(t, flow_words.CHANNELS),
        "about_values": {
            About.LANGUAGE: [(code, name) for code, name, _way in _languages(desk)],
            About.CHANNEL: _named(t, flow_words.CHANNELS), About.STORE: shops,
            About.HOURS: _named(t, flow_words.HOURS), About.SEGMENT: segments,
            About.ORDER: _named(t, flow_words.ORDERS),
        },
        "do_values": {
            Do.TEAM: [(str(one.id), one.name) for one in await teams.all_teams(tx) if one.skills],
            Do.PRIORITY: _named(t, flow_words.PRIORITIES),
            Do.SNOOZE: [(str(hours), t.duration(hours * 3600)) for hours in _SNOOZES],
            Do.ARTICLE: await _articles(tx, desk), Do.SCREEN: _named(t, flow_words.SCREENS),
        },
        "teams": [(str(one.id), one.name) for one in await teams.all_teams(tx) if one.skills],
        "known_fields": [(one.key, one.name) for one in await fields.all_fields(tx)],
        "known_tags": await tags.all_tags(tx), "currency": currency,
        "discount": lambda value: _discount(value, currency),
    }  # fmt: skip


def _discount(value: str, currency: str) -> tuple[str, str]:
    """A wish as its two fields: the number, and `percent` or `amount`."""
    wish = Wish.of(value)
    if wish is None:
        return "", "percent"
    if wish.percent:
        return str(wish.percent), "percent"
    return str(Money(wish.amount, currency, exponent_of(currency)).decimal()), "amount"


async def _articles(tx: Tx, desk: Desk) -> list[tuple[str, str]]:
    """Published articles by their title in the reader's language, else in any."""
    rows = await tx.execute(
        select(Article.id, ArticleText.language, ArticleText.shown.label("title"))
        .join(ArticleText, (ArticleText.workspace_id == Article.workspace_id) & (ArticleText.article_id == Article.id))
        .where(
            Article.workspace_id == tx.workspace_id, Article.deleted_at.is_(None), Article.kind == Kind.ARTICLE,
            ArticleText.published.is_not(None),
        )
        .limit(_MOST_ARTICLES * 3)
    )  # fmt: skip
    found: dict[str, str] = {}
    for row in rows:
        if str(row.id) not in found or row.language == _code(desk.t):
            found[str(row.id)] = row.title
    return sorted(found.items(), key=lambda pair: pair[1])


# The walk beside it


@dataclass(frozen=True, slots=True)
class Told:
    """One line of a walk: `who` is bot, me, did, or end."""

    who: str
    text: str
    options: Sequence[str] = ()


async def attempt(desk: Desk) -> Response:
    """Walk the draft as the form has it, by the engine that shoppers get. Nothing is kept, done or sent."""
    form = await desk.request.form()
    async with desk.transaction() as tx:
        await flow_book.find(tx, desk.path_id())
        flow = flow_form.read(form, seeds.LANGUAGES, await _decimals(tx))
        names = {value: name for pairs in (await _choices(tx, desk))["do_values"].values() for value, name in pairs}
    said = [str(one)[:_LONGEST_SAID] for one in form.getlist("said")][:_MOST_SAID]
    if "over" in form:
        said = []
    elif fresh := str(form.get("say") or form.get("typed") or "").strip():
        said.append(fresh[:_LONGEST_SAID])
    return desk.page(
        "flow.html", block="tried", languages=_languages(desk), flow=flow, **_walk(desk, flow, said, form, names)
    )


def _walk(
    desk: Desk, flow: Flow, said: Sequence[str], form: FormData, names: Mapping[str, str] | None = None
) -> dict[str, Any]:
    mine = _code(desk.t)
    language = str(
        form.get("try-language") or next((one for one in (mine, *flow.languages) if one in flow.languages), mine)
    )
    order = str(form.get("try-order") or "unproven")
    facts = Facts(
        language, str(form.get("try-channel") or "chat"), str(form.get("try-store") or ""),
        form.get("try-hours", "open") == "open", frozenset({str(form.get("try-segment") or "new")}),
        frozenset({"proven", order}) if order != "unproven" else frozenset(),
    )  # fmt: skip
    speaker = desk.app.catalogues.translator(language if language in desk.app.catalogues.codes else "en")
    lines: list[Told] = []
    turn = flows.start(flow, facts) if flow.steps else None
    if turn is not None:
        _tell(desk, speaker, flow, turn, lines, names or {})
    kept = []
    for one in said:
        if turn is None or turn.state is None:
            break
        kept.append(one)
        lines.append(Told("me", one))
        message = understand(one, today=datetime.now(UTC).date())
        turn = flows.answer(flow, turn.state, message, facts, person=wants_person(one))
        _tell(desk, speaker, flow, turn, lines, names or {})
    return {
        "lines": lines, "said": kept, "waits": turn is not None and turn.state is not None, "try_language": language,
        "try_order": order, "try_hours": "open" if facts.open else "closed",
        "try_segment": next(iter(facts.segments)), "try_channel": facts.channel, "try_store": facts.store,
        "try_orders": _named(desk.t, flow_words.ORDERS), "try_hour_names": _named(desk.t, flow_words.HOURS),
        "try_segments": _named(desk.t, flow_words.SEGMENTS), "try_locale": speaker.locale,
        "try_channels": _named(desk.t, flow_words.CHANNELS),
    }  # fmt: skip


def _tell(desk: Desk, speaker: Translator, flow: Flow, turn: Turn, lines: list[Told], names: Mapping[str, str]) -> None:
    for step in turn.passed:
        if isinstance(step, flows.Say):
            lines.append(Told("bot", flowing.said(flow, step.text, _code(speaker), turn.collected)))
        else:
            lines.append(Told("did", flow_words.deed(desk.t, step, names)))
    if turn.asks is not None:
        asks = flowing.said(flow, turn.asks.text, _code(speaker), turn.collected)
        options: Sequence[str] = ()
        if isinstance(turn.asks, flows.Choice):
            options = [flows.words(one.text, _code(speaker), flow.languages) for one in turn.asks.options]
        lines.append(Told("bot", f"{flowing.unlike(speaker, turn)} {asks}" if turn.again else asks, options))
    if turn.hands is not None and turn.hands.text:
        lines.append(Told("bot", flowing.said(flow, turn.hands.text, _code(speaker), turn.collected)))
    if turn.ending is not Ending.WAITS:
        lines.append(Told("end", desk.t.gettext(flow_words.ENDINGS[turn.ending])))
