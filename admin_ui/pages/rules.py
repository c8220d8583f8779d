"""Rules: the list in its order, the editor in words, a try against what has been, and why something happened."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from babel.dates import get_day_names
from starlette.datastructures import FormData
from starlette.responses import Response

from admin_ui import rule_words, words
from admin_ui.desk import Desk, nothing_here
from admin_ui.pages import conversation, person
from admin_ui.pages.work import language_name
from admin_ui.rule_words import Deedly, Names
from plugin import stores, team
from plugin.automations import automation, conditions, facts, rules, starters
from plugin.automations.automation import Draft, RuleRow, RuleRun
from plugin.automations.conditions import CHOICES, SHAPES, Key, Term
from plugin.automations.rules import TIMED, Deed, Do, Held, Trigger
from plugin.conversations import fields, macros, tags, teams
from plugin.conversations.conversations import Priority, Status
from plugin.conversations.filters import NOBODY, PRIORITIES, SOMEBODY, WEEKDAYS
from plugin.kernel.db import Tx
from plugin.kernel.digits import whole
from plugin.kernel.errors import AhlanError
from plugin.kernel.i18n import Translator
from plugin.kernel.lazy import Lazy
from plugin.kernel.text import isolate, language_of

TRIED = 100
"""How many of the last times a rule is tried against."""
_SHOWN = 30
_LOGGED = 30
_LANGUAGES = ("ar", "he", "en", "fr", "de", "es", "it", "pt", "nl", "tr", "fa", "ur", "ru", "uk", "am", "hi")
_ROW = re.compile(r"(c|a)-([0-9a-f]{1,16})-(key|do)")
_BETWEEN = re.compile(r"[,،;؛\n]")
_SNOOZES = (1, 3, 24, 72, 168)


@dataclass(frozen=True, slots=True)
class Line:
    """A rule in the list."""

    id: UUID
    name: str
    on: bool
    when: str
    asked: Sequence[str]
    deeds: Sequence[Deedly]
    stop: bool
    acted: int
    last_at: datetime | None


@dataclass(frozen=True, slots=True)
class ConditionRow:
    """A condition in the editor: `shape` says which control; `options` are (value, text, chosen)."""

    n: str
    key: str
    shape: str
    negated: bool = False
    compare: str = ">="
    text: str = ""
    unit: str = "h"
    options: Sequence[tuple[str, str, bool]] = ()


@dataclass(frozen=True, slots=True)
class DeedRow:
    """An action in the editor."""

    n: str
    do: str
    value: str = ""
    field: str = ""
    texts: Mapping[str, str] | None = None
    options: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Tried:
    """One past time: whether the rule would have acted, with what, or which condition decided."""

    id: UUID
    who: str
    said: str
    at: datetime
    deeds: Sequence[Deedly]
    decided: str


# The list


async def index(desk: Desk) -> Response:
    """All rules in the order in which they are asked."""
    async with desk.transaction() as tx:
        rows = await automation.all_rules(tx)
        counts = await automation.counts(tx)
        names = await _names(tx)
        deleted = await _deleted(tx, desk)
    nothing = automation.Count(0, None)
    return desk.page(
        "rules.html",
        heading=desk.t.gettext("Rules"),
        lines=[_line(desk.t, row, names, counts.get(row.id, nothing)) for row in rows],
        deleted=deleted,
        saved=desk.request.query_params.get("saved", ""),
    )


async def _deleted(tx: Tx, desk: Desk) -> RuleRow | None:
    """The rule that was deleted just now, to offer it back."""
    try:
        row = await tx.get(RuleRow, UUID(desk.request.query_params.get("deleted", "")))
    except ValueError:
        return None
    return row if row is not None and row.deleted_at is not None else None


def _line(t: Translator, row: RuleRow, names: Names, count: automation.Count) -> Line:
    rule = row.rule()
    return Line(
        row.id,
        row.name,
        row.enabled,
        rule_words.when(t, rule),
        [rule_words.condition(t, term, names) for term in rule.terms],
        [rule_words.deed(t, deed, names) for deed in rule.deeds],
        row.stop,
        count.acted,
        count.last_at,
    )


async def move(desk: Desk) -> Response:
    """One place up or down."""
    step = -1 if (await desk.request.form()).get("step") == "up" else 1
    async with desk.transaction() as tx:
        row = await automation.find(tx, desk.path_id())
        await automation.move(tx, row, step, by=desk.agent)
    return desk.go("settings/rules", saved=f"moved-{row.id}")


async def switch(desk: Desk) -> Response:
    """On, or off."""
    on = (await desk.request.form()).get("to") == "on"
    async with desk.transaction() as tx:
        row = await automation.find(tx, desk.path_id())
        await automation.switch(tx, row, on, by=desk.agent)
    return desk.go("settings/rules", saved=f"rule-{row.id}")


async def duplicate(desk: Desk) -> Response:
    """The same once more, to change it."""
    async with desk.transaction() as tx:
        row = await automation.find(tx, desk.path_id())
        name = desk.t.gettext("Copy of %(name)s", name=row.name)
        copy = await automation.duplicate(tx, row, name, by=desk.agent)
    return desk.go(f"settings/rules/{copy.id}")


async def delete(desk: Desk) -> Response:
    """Delete; the list offers it back."""
    async with desk.transaction() as tx:
        row = await automation.find(tx, desk.path_id())
        await automation.remove(tx, row, by=desk.agent)
    return desk.go("settings/rules", deleted=str(row.id))


async def restore(desk: Desk) -> Response:
    """Bring back what was deleted."""
    async with desk.transaction() as tx:
        row = await automation.find(tx, desk.path_id(), deleted=True)
        await automation.restore(tx, row, by=desk.agent)
    return desk.go("settings/rules", saved=f"rule-{row.id}")


async def plant(desk: Desk) -> Response:
    """The starter set, for a workspace that is older than rules are."""
    async with desk.transaction() as tx:
        await starters.plant(tx, desk.app.catalogues)
    return desk.go("settings/rules")


# The editor


async def new(desk: Desk) -> Response:
    """An empty rule."""
    async with desk.transaction() as tx:
        context = await _form(tx, desk, Draft("", Trigger.RECEIVED), None)
    return desk.page("rule.html", **context)


async def one(desk: Desk) -> Response:
    """One rule to change, with what it did."""
    async with desk.transaction() as tx:
        row = await automation.find(tx, desk.path_id())
        context = await _form(tx, desk, row.draft(), row)
    return desk.page("rule.html", **context)


async def save(desk: Desk) -> Response:
    """Keep what was written; what is no rule comes back with what is wrong about it, and nothing is lost."""
    form = await desk.request.form()
    async with desk.transaction() as tx:
        row = await automation.find(tx, desk.path_id()) if "id" in desk.request.path_params else None
        draft, trouble = _read(desk, form)
        if trouble is None:
            try:
                kept = await automation.save(tx, draft, row, by=desk.agent)
            except AhlanError as error:
                if error.status not in (400, 422):
                    raise
                trouble = error
        if trouble is not None:
            if row is not None:
                # What was refused must not stand in the session's row either.
                tx.session.expire(row)
                row = await automation.find(tx, row.id)
            context = await _form(tx, desk, draft, row)
            block = "page" if "hx-request" in desk.request.headers else ""
            return desk.page("rule.html", status=422, block=block, **{**context, "errors": _told(desk.t, trouble)})
    return desk.go("settings/rules", saved=f"rule-{kept.id}")


def _told(t: Translator, error: AhlanError) -> dict[str, str]:
    said = [t.gettext(part, **error.values) for part in (error.message, error.hint) if part]
    return {"form": said[0], "hint": " ".join(said[1:])}


async def fresh_row(desk: Desk) -> Response:
    """A condition or an action as it looks once somebody chose what it asks or does."""
    query = desk.request.query_params
    side, n = query.get("side", ""), query.get("row", "") or uuid4().hex[:8]
    if not re.fullmatch("[0-9a-f]{1,16}", n):
        raise nothing_here()
    async with desk.transaction() as tx:
        lists = await _lists(tx, desk)
    if side == "deed":
        do = next((value for name, value in query.items() if name.endswith("-do")), Do.TAG.value)
        if do not in set(Do):
            raise nothing_here()
        return desk.page(
            "rule_parts.html", block="deed", row=_deed_row(desk.t, Deed(Do(do)), lists, n), **_choices(desk)
        )
    key = next((value for name, value in query.items() if name.endswith("-key")), Key.SAYS.value)
    if key not in set(Key):
        raise nothing_here()
    return desk.page("rule_parts.html", block="condition", row=_empty(desk.t, Key(key), lists, n), **_choices(desk))


async def attempt(desk: Desk) -> Response:
    """What the rule of the form would have done the last times; nothing is done."""
    form = await desk.request.form()
    draft, trouble = _read(desk, form)
    t = desk.t
    if trouble is not None:
        return desk.page("rule_parts.html", block="tried", trouble=_told(t, trouble))
    rule = draft.rule()
    async with desk.transaction() as tx:
        past = await facts.of_the_past(tx, draft.trigger, TRIED)
        names = await _names(tx)
    found, passed = list[Tried](), list[Tried]()
    for known in past:
        if draft.trigger in TIMED and not rule.listens(known.facts):
            passed.append(_tried(t, known, (), t.gettext("Not long enough yet")))
            continue
        outcome, _after = rules.ask(rule, known.facts)
        if outcome.decided is not None:
            passed.append(_tried(t, known, (), rule_words.condition(t, outcome.decided, names)))
            continue
        deeds = [_planned(t, planned, names, past=draft.trigger not in TIMED) for planned in outcome.planned]
        found.append(_tried(t, known, deeds, ""))
    return desk.page(
        "rule_parts.html", block="tried", trouble=None, asked=len(past), count=len(found), found=found[:_SHOWN],
        passed=passed[:_SHOWN], timed=draft.trigger in TIMED,
    )  # fmt: skip


def _planned(t: Translator, planned: rules.Planned, names: Names, *, past: bool) -> Deedly:
    said = rule_words.deed(t, planned.deed, names)
    # That it is so by now, perhaps by this very rule, says nothing about then.
    held = "" if past and planned.held is Held.ALREADY else planned.held or ""
    return Deedly(said.sign, said.text, rule_words.why(t, held))


def _tried(t: Translator, known: facts.Known, deeds: Sequence[Deedly], decided: str) -> Tried:
    who = known.name or t.gettext("Visitor")
    return Tried(known.facts.conversation_id, who, " ".join(known.preview.split())[:160], known.at, deeds, decided)


# Forms


@dataclass(frozen=True, slots=True)
class Lists:
    """What can be chosen here."""

    agents: Sequence[tuple[str, str]]
    teams: Sequence[tuple[str, str]]
    skilled: Sequence[tuple[str, str]]
    macros: Sequence[tuple[str, str]]
    stores: Sequence[tuple[str, str]]
    fields: Sequence[tuple[str, str]]
    tags: Sequence[str]


async def _lists(tx: Tx, desk: Desk) -> Lists:
    groups = await teams.all_teams(tx)
    return Lists(
        agents=[(str(agent.id), agent.name) for agent in await team.colleagues(tx)],
        teams=[(group.name, group.name) for group in groups],
        skilled=[(str(group.id), group.name) for group in groups if group.skills],
        macros=[
            (str(one.macro.id), one.macro.name)
            for one in await macros.listed(tx, desk.agent)
            if one.macro.agent_id is None and one.macro.texts
        ],
        stores=[(_address(store), store.name) for store in await stores.all_stores(tx)],
        fields=[(field.key, field.name) for field in await fields.all_fields(tx)],
        tags=await tags.all_tags(tx),
    )


def _address(store: stores.Store) -> str:
    return urlsplit(store.url).netloc or store.external_id


async def _names(tx: Tx) -> Names:
    return Names(
        agents={str(agent.id): agent.name for agent in await team.agents(tx)},
        teams={str(group.id): group.name for group in await teams.all_teams(tx)},
        macros=await macros.names(tx),
        stores={_address(store).casefold(): store.name for store in await stores.all_stores(tx)},
    )


def _choices(desk: Desk) -> dict[str, Any]:
    """Words that every row of the editor needs."""
    t = desk.t
    return {
        "groups": [
            (t.gettext(group), [(key.value, t.gettext(rule_words.KEYS[key])) for key in keys])
            for group, keys in rule_words.GROUPS
        ],
        "dos": [(do.value, t.gettext(name)) for do, (_sign, name) in rule_words.DEEDS.items()],
        "compares": [(key, t.gettext(name)) for key, name in rule_words.COMPARED.items()],
        "units": [(unit, t.gettext(name)) for unit, (name, _seconds) in rule_words.UNITS.items()],
        "answer_languages": desk.app.catalogues.languages,
    }


async def _form(tx: Tx, desk: Desk, draft: Draft, row: RuleRow | None) -> dict[str, Any]:
    t, lists = desk.t, await _lists(tx, desk)
    names = await _names(tx)
    amount, unit = _span_parts(draft.after)
    done = await automation.runs(tx, row.id, acted=True, limit=_LOGGED) if row is not None else ()
    passed = await automation.runs(tx, row.id, acted=False, limit=_LOGGED) if row is not None else ()
    return {
        "heading": draft.name or t.gettext("New rule"),
        "row": row,
        "draft": draft,
        "triggers": [
            (trigger.value, t.gettext(name), trigger in TIMED) for trigger, name in rule_words.TRIGGERS.items()
        ],
        "amount": amount,
        "unit": unit,
        "conditions": [_row_of(t, term, lists, f"{at:x}") for at, term in enumerate(draft.terms)],
        "deeds": [_deed_row(t, deed, lists, f"{at:x}") for at, deed in enumerate(draft.deeds)],
        "known_tags": lists.tags,
        "names": [(name.value, t.gettext(text)) for name, text in words.FILLED.items()],
        "done": [_run(t, run, names, {}) for run in done],
        "passed": [_run(t, run, names, {}) for run in passed],
        "kept_days": (automation.KEPT_DAYS, automation.PASSED_DAYS),
        "errors": {},
        **_choices(desk),
    }


def _span_parts(span: timedelta | None) -> tuple[str, str]:
    """A number and the largest unit in which it is whole."""
    if span is None:
        return "4", "h"
    seconds = round(span.total_seconds())
    unit = next(unit for unit in ("d", "h", "m") if seconds % rule_words.UNITS[unit][1] == 0)
    return str(seconds // rule_words.UNITS[unit][1]), unit


def _row_of(t: Translator, term: Term, lists: Lists, n: str) -> ConditionRow:
    key, first = term.key, term.values[0]
    shape = rule_words.shape_of(key, SHAPES)
    written = [f"{'' if one.compare == '=' else one.compare}{one.text}" for one in term.values]
    if shape == "number" and len(term.values) > 1:
        return ConditionRow(n, key.value, shape, term.negated, "as", ", ".join(written))
    if shape == "span":
        return ConditionRow(n, key.value, shape, term.negated, first.compare, first.text[:-1], first.text[-1])
    chosen = {one.text for one in term.values}
    text = first.text if shape in ("number", "rank", "yes") else _by_language([one.text for one in term.values])
    return ConditionRow(n, key.value, shape, term.negated, first.compare, text, options=_options(t, key, lists, chosen))


def _by_language(values: Sequence[str]) -> str:
    """Words with commas between them, those of one script on a line of their own."""
    return "\n".join(", ".join(part) for _code, part in groupby(values, key=language_of))


def _empty(t: Translator, key: Key, lists: Lists, n: str) -> ConditionRow:
    shape = rule_words.shape_of(key, SHAPES)
    options = _options(t, key, lists, set())
    text = {"yes": "yes", "rank": options[0][0] if options else ""}.get(shape, "")
    return ConditionRow(n, key.value, shape, compare=">" if shape == "span" else ">=", text=text, options=options)


def _options(t: Translator, key: Key, lists: Lists, chosen: set[str]) -> list[tuple[str, str, bool]]:
    """What can be chosen, and whatever was chosen that is no longer among it."""
    days = get_day_names("wide", locale=t.language.locale)
    found: Sequence[tuple[str, str]]
    match key:
        case Key.CHANNEL:
            found = [(name, conversation.channel_of(t, name)[1]) for name in conversation.CHANNELS]
        case Key.LANGUAGE:
            found = [(code, language_name(t, code)) for code in _LANGUAGES]
        case Key.STORE:
            found = lists.stores
        case Key.TEAM:
            found = [(NOBODY, t.gettext("No team")), *lists.teams]
        case Key.ASSIGNEE:
            found = [(NOBODY, t.gettext("Nobody")), (SOMEBODY, t.gettext("Somebody")), *lists.agents]
        case Key.STATUS | Key.BEFORE:
            found = [(status.value, t.gettext(words.STATUSES[status][1])) for status in Status]
        case Key.PRIORITY:
            found = [(name, t.gettext(words.PRIORITIES[Priority[name.upper()]][1])) for name in PRIORITIES]
        case Key.ORDER:
            found = [(state, t.gettext(text)) for state, text in rule_words.ORDER_STATES.items()]
        case Key.WEEKDAY:
            found = [(WEEKDAYS[day], days[day]) for day in _week(t)]
        case Key.RATING:
            found = [(score, t.format_number(int(score))) for score in CHOICES[key]]
        case Key.TAG:
            found = ()
        case _:
            return []
    known = {value.casefold() for value, _text in found}
    gone = [(value, value) for value in chosen if value.casefold() not in known and key is not Key.TAG]
    picked = {value.casefold() for value in chosen}
    return [(value, text, value.casefold() in picked) for value, text in (*found, *gone)]


def _week(t: Translator) -> list[int]:
    return [(t.first_weekday + ahead) % 7 for ahead in range(7)]


def _deed_row(t: Translator, deed: Deed, lists: Lists, n: str) -> DeedRow:
    options: Sequence[tuple[str, str]] = ()
    value, name = deed.value, ""
    match deed.do:
        case Do.PRIORITY:
            options = [(one, t.gettext(words.PRIORITIES[Priority[one.upper()]][1])) for one in reversed(PRIORITIES)]
        case Do.ASSIGN:
            options = [*lists.agents, ("", t.gettext("Nobody"))]
        case Do.NOTIFY:
            options = lists.agents
        case Do.TEAM:
            options = lists.skilled
        case Do.STATUS:
            options = [(one.value, t.gettext(words.STATUSES[one][1])) for one in automation.STATUSES]
        case Do.SNOOZE:
            spans = sorted({*_SNOOZES, *([typed] if (typed := whole(value, 10_000)) is not None else [])})
            options = [(str(hours), t.duration(hours * 3600)) for hours in spans]
        case Do.FIELD:
            options = lists.fields
            name, _equals, value = deed.value.partition("=")
        case Do.REPLY:
            options = [("", t.gettext("The text below")), *lists.macros]
    return DeedRow(n, deed.do.value, value, name, dict(deed.texts), options)


def _read(desk: Desk, form: FormData) -> tuple[Draft, AhlanError | None]:
    """The rule of a form, and what is wrong with its conditions; those that can be read are not lost."""
    trouble: AhlanError | None = None
    terms, deeds = list[Term](), list[Deed]()
    for name, said in form.multi_items():
        found = _ROW.fullmatch(name)
        if found is None:
            continue
        side, n = found[1], found[2]
        if side == "c":
            try:
                if (term := _term(form, n, str(said))) is not None:
                    terms.append(term)
            except AhlanError as error:
                trouble = trouble or error
        elif said in set(Do):
            deeds.append(_deed(desk, form, n, Do(str(said))))
    trigger = str(form.get("trigger", ""))
    if trigger not in set(Trigger):
        raise nothing_here()
    unit = rule_words.UNITS.get(str(form.get("after-unit", "")), (Lazy(""), 60))[1]
    number = whole(str(form.get("after", "")).strip() or "0", 200_000)
    after = timedelta(seconds=(number or 0) * unit) if trigger in TIMED else None
    name = str(form.get("name", ""))
    return Draft(name, Trigger(trigger), tuple(terms), tuple(deeds), form.get("stop") == "yes", after), trouble


def _term(form: FormData, n: str, key: str) -> Term | None:
    if key not in set(Key):
        return None
    values = [str(value) for value in form.getlist(f"c-{n}-value")]
    negated = form.get(f"c-{n}-not") == "yes"
    match rule_words.shape_of(Key(key), SHAPES):
        case "words" if key != Key.FIELD:
            values = [part for value in values for part in _BETWEEN.split(value)]
        case "number" | "rank":
            compare = str(form.get(f"c-{n}-compare", "="))
            if compare == "as":
                values = [part for one in values for part in _BETWEEN.split(one)]
            else:
                values = [f"{_sign(compare)}{one.strip()}" for one in values if one.strip()]
        case "span":
            unit = str(form.get(f"c-{n}-unit", "h"))
            compare = _sign(str(form.get(f"c-{n}-compare", ">"))) or ">"
            values = [f"{compare}{value.strip()}{unit}" for value in values if value.strip()]
    return conditions.term(key, values, negated=negated)


def _sign(compare: str) -> str:
    return compare if compare in (">", ">=", "<", "<=") else ""


def _deed(desk: Desk, form: FormData, n: str, do: Do) -> Deed:
    value = str(form.get(f"a-{n}-value", "")).replace("\r\n", "\n")
    match do:
        case Do.FIELD:
            return Deed(do, f"{form.get(f'a-{n}-field', '')}={' '.join(value.split())}")
        case Do.NOTE:
            return Deed(do, value.strip())
        case Do.REPLY:
            texts = {
                one.code: said
                for one in desk.app.catalogues.languages
                if (said := str(form.get(f"a-{n}-text-{one.code}", "")).replace("\r\n", "\n").strip())
            }
            return Deed(do, value, {} if value else texts)
    return Deed(do, " ".join(value.split()))


# Why


@dataclass(frozen=True, slots=True)
class Run:
    """A line of the log: one rule, one event."""

    rule_id: UUID
    rule: str
    conversation_id: UUID
    event: str
    at: datetime
    deeds: Sequence[Deedly]
    decided: str


def _run(t: Translator, run: RuleRun, names: Names, called: Mapping[UUID, str]) -> Run:
    return Run(
        run.rule_id,
        called.get(run.rule_id, ""),
        run.conversation_id,
        _event(t, run),
        run.created_at,
        [_was_done(t, said, names) for said in run.done],
        _decided(t, run.decided, names),
    )


def _event(t: Translator, run: RuleRun) -> str:
    trigger = Trigger(run.event)
    if trigger in TIMED:
        return t.gettext("Time has passed")
    return t.gettext(rule_words.TRIGGERS[trigger])


def _was_done(t: Translator, said: Mapping[str, str], names: Names) -> Deedly:
    shown = rule_words.deed(t, Deed.of(said), names)
    return Deedly(shown.sign, shown.text, rule_words.why(t, said["why"], said["detail"]))


def _decided(t: Translator, decided: str | None, names: Names) -> str:
    if decided is None:
        return ""
    return " ".join(rule_words.condition(t, term, names) for term in conditions.parse(decided))


async def of_conversation(desk: Desk) -> Response:
    """Every rule that was asked about a conversation, what it did, or which condition decided."""
    async with desk.transaction() as tx:
        talk = await conversation.find(tx, desk.path_id())
        runs = await automation.of_conversation(tx, talk.id)
        names = await _names(tx)
        called = await automation.names(tx)
        who = await person.name_of(tx, desk.t, talk)
    lines = [_run(desk.t, run, names, called) for run in runs]
    return desk.page(
        "rule_log.html",
        heading=desk.t.gettext("What rules did here"),
        who=isolate(who),
        conversation_id=talk.id,
        lines=lines,
        kept_days=(automation.KEPT_DAYS, automation.PASSED_DAYS),
    )
