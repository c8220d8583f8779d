"""Macros: the palette behind `/` in the reply box, and the settings where they are written."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from starlette.responses import Response

from admin_ui import words
from admin_ui.desk import Desk, as_id
from admin_ui.pages import conversation, help_article
from plugin import team
from plugin.conversations import conversations, filling, filters, macros, starters, views, wording
from plugin.conversations.conversations import Conversation, Priority, Status
from plugin.conversations.macros import SNOOZES, Action, Do, Draft, Listed, Macro
from plugin.conversations.views import Reader
from plugin.conversations.wording import Filled, Name
from plugin.kernel.db import Tx
from plugin.kernel.errors import AhlanError
from plugin.kernel.i18n import Translator
from plugin.kernel.lazy import Lazy, _
from plugin.kernel.text import isolate
from plugin.knowledge import snippets

_OFFERED = 30
_RECENT = 12
_SNIPPETS = 8

_SIGNS = {
    Do.TAG: "tag",
    Do.ASSIGN: "user-check",
    Do.PRIORITY: "flag",
    Do.STATUS: "check",
    Do.SNOOZE: "alarm-clock",
}
_TURNS: dict[str, Lazy] = {
    Status.PENDING: _("Wait for the customer"),
    Status.RESOLVED: _("Resolve"),
}


@dataclass(frozen=True, slots=True)
class Deed:
    """An action in words. `done` is False where it cannot be done any more."""

    said: str
    sign: str
    text: str
    done: bool = True


@dataclass(frozen=True, slots=True)
class Offer:
    """A macro in the palette: its first words in the language of the conversation."""

    id: UUID
    name: str
    words: str
    own: bool
    deeds: Sequence[Deed]


# In the reply box


async def palette(desk: Desk) -> Response:
    """The macros that fit what was typed after `/`, the most used first."""
    query = desk.request.query_params.get("q", "")[:80]
    async with desk.transaction() as tx:
        talk = await conversation.find(tx, desk.path_id())
        found = await macros.available(tx, desk.agent, query=query, limit=_OFFERED)
        names = await _names(tx)
    known = await help_article.offers(desk, talk, query)
    wanted = (talk.locale, desk.workspace.locale)
    offers = [
        Offer(
            one.macro.id,
            one.macro.name,
            _first_words(one.macro.texts, macros.in_language(one.macro.texts, *wanted)),
            one.macro.agent_id is not None,
            [_deed(desk.t, action, names) for action in one.macro.deeds()],
        )
        for one in found
    ]
    return desk.page("macros_parts.html", block="palette", offers=offers, known=known, query=query)


async def chosen(desk: Desk) -> Response:
    """One macro, filled in for this conversation; `locale` asks for another of its languages than the shopper's."""
    async with desk.transaction() as tx:
        talk = await conversation.find(tx, desk.path_id())
        macro = await macros.find(tx, desk.agent, desk.path_id("macro"))
        code = macros.in_language(
            macro.texts, desk.request.query_params.get("locale", ""), talk.locale, desk.workspace.locale
        )
        filled, abroad = await _filled(tx, desk, talk, macro.texts.get(code, ""), code)
        names = await _names(tx)
        deeds = [_deed(desk.t, action, names) for action in macro.deeds()]
    return desk.page(
        "macros_parts.html",
        block="strip",
        macro=macro,
        code=code,
        languages=[(one.code, one.name) for one in _languages(desk) if macro.texts.get(one.code)],
        filled=filled,
        abroad=abroad,
        deeds=deeds,
        conversation_id=desk.path_id(),
    )


async def do(desk: Desk) -> Response:
    """What a macro does, without a word to the customer; `action` names what is left of it."""
    form = await desk.request.form()
    kept = {str(said) for said in form.getlist("action")}
    async with desk.transaction() as tx:
        talk = await conversation.find(tx, desk.path_id())
        macro = await macros.find(tx, desk.agent, desk.path_id("macro"))
        await conversations.lock(tx, talk.id)
        await macros.perform(tx, talk, [one for one in macro.deeds() if str(one) in kept], by=desk.agent)
        await macros.used(tx, macro, desk.agent)
    return Response(status_code=204, headers=desk.headers())


async def _filled(tx: Tx, desk: Desk, talk: Conversation, text: str, code: str) -> tuple[Filled, list[str]]:
    """A text filled in, and the snippets in it that are not there in its language, in words."""
    t = desk.app.catalogues.translator(code, timezone=desk.t.timezone)
    used = await snippets.named(tx, wording.snippets(text), talk.store_id, code)
    values = {f"{wording.SNIPPET}{name}": one.words for name, one in used.items()}
    languages = {one.code: one.name for one in _languages(desk)}
    abroad = [
        desk.t.gettext("%(title)s: not there in the language of the answer, put in as %(language)s",
                       title=isolate(one.title), language=isolate(languages[one.language]))
        for one in used.values() if one.language != code
    ]  # fmt: skip
    return wording.fill(text, {**await filling.values(tx, talk, desk.agent, t), **values}), abroad


def _first_words(texts: Mapping[str, str], code: str) -> str:
    return wording.glimpse(texts.get(code, ""))[:140]


async def _names(tx: Tx) -> Mapping[str, str]:
    return {str(agent.id): agent.name for agent in await team.colleagues(tx)}


def _deed(t: Translator, action: Action, names: Mapping[str, str]) -> Deed:
    sign, value = _SIGNS[action.do], action.value
    match action.do:
        case Do.TAG:
            return Deed(str(action), sign, isolate(value))
        case Do.PRIORITY:
            rank = t.gettext(words.PRIORITIES[Priority(int(value))][1])
            return Deed(str(action), sign, t.gettext("Priority: %(name)s", name=rank))
        case Do.STATUS:
            return Deed(str(action), words.STATUSES[Status(value)][0], t.gettext(_TURNS[value]))
        case Do.SNOOZE:
            return Deed(str(action), sign, t.gettext("Snooze for %(time)s", time=t.duration(int(value) * 3600)))
        case Do.ASSIGN:
            return _given(t, action, names)


def _given(t: Translator, action: Action, names: Mapping[str, str]) -> Deed:
    said, value = str(action), action.value
    if not value:
        return Deed(said, "user-x", t.gettext("Give to nobody"))
    if value == macros.ME:
        return Deed(said, "user-check", t.gettext("Give to me"))
    if value in names:
        return Deed(said, "user-check", t.gettext("Give to %(name)s", name=isolate(names[value])))
    return Deed(said, "user-x", t.gettext("Whom it was given to has no conversations any more"), done=False)


# In the settings


@dataclass(frozen=True, slots=True)
class Line:
    """A macro in the list of the settings. `first` and `last` of those that it can change places with."""

    macro: Macro
    languages: Sequence[str]
    deeds: Sequence[Deed]
    words: str
    mine: int
    all: int
    changeable: bool
    first: bool
    last: bool


async def index(desk: Desk) -> Response:
    """The team's macros, one's own, and those that were put away."""
    async with desk.transaction() as tx:
        found = await macros.listed(tx, desk.agent)
        away = await macros.listed(tx, desk.agent, archived=True)
        names = await _names(tx)
    shared = [one for one in found if one.macro.agent_id is None]
    own = [one for one in found if one.macro.agent_id is not None]
    return desk.page(
        "macros.html",
        heading=desk.t.gettext("Macros"),
        shared=_lines(desk, shared, names),
        own=_lines(desk, own, names),
        away=_lines(desk, away, names),
        saved=desk.request.query_params.get("saved", ""),
    )


def _lines(desk: Desk, found: Sequence[Listed], names: Mapping[str, str]) -> list[Line]:
    known = {one.code: one.name for one in _languages(desk)}
    return [
        Line(
            one.macro,
            [name for code, name in known.items() if one.macro.texts.get(code)],
            [_deed(desk.t, action, names) for action in one.macro.deeds()],
            _first_words(one.macro.texts, macros.in_language(one.macro.texts, desk.t.locale)),
            one.mine,
            one.all,
            macros.may_change(desk.agent, one.macro),
            at == 0,
            at == len(found) - 1,
        )
        for at, one in enumerate(found)
    ]


async def new(desk: Desk) -> Response:
    """An empty macro."""
    async with desk.transaction() as tx:
        context = await _form(tx, desk, Draft("", {}, shared=True), None)
    return desk.page("macro.html", **context)


async def one(desk: Desk) -> Response:
    """One macro to change."""
    async with desk.transaction() as tx:
        macro = await macros.find(tx, desk.agent, desk.path_id())
        draft = Draft(macro.name, macro.texts, macro.actions, shared=macro.agent_id is None)
        context = await _form(tx, desk, draft, macro)
    return desk.page("macro.html", **context)


async def save(desk: Desk) -> Response:
    """Keep what was written; what is no macro comes back with what is wrong about it, and nothing is lost."""
    form = await desk.request.form()
    draft = _draft(desk, form)
    async with desk.transaction() as tx:
        macro = await macros.find(tx, desk.agent, desk.path_id()) if "id" in desk.request.path_params else None
        try:
            await snippets.check(tx, [name for said in draft.texts.values() for name in wording.snippets(said)])
            await macros.write(tx, desk.agent, draft, macro)
        except AhlanError as error:
            if error.status not in (400, 422):
                raise
            said = [desk.t.gettext(part, **error.values) for part in (error.message, error.hint) if part]
            context = await _form(tx, desk, draft, macro)
            block = "page" if "hx-request" in desk.request.headers else ""
            shown = {"form": said[0], "hint": " ".join(said[1:])}
            return desk.page("macro.html", status=422, block=block, **{**context, "errors": shown})
    return desk.go("settings/macros", saved="macro")


async def preview(desk: Desk) -> Response:
    """What is being written, filled in from a real conversation, in each of its languages."""
    form = await desk.request.form()
    texts = _draft(desk, form).texts
    asked = str(form.get("conversation", ""))
    shown: list[tuple[str, str, Filled | None, Sequence[str]]] = []
    async with desk.transaction() as tx:
        talk = await conversation.find(tx, as_id(asked)) if asked else None
        for language in _languages(desk):
            text = texts.get(language.code, "").strip()
            if not text or talk is None:
                continue
            try:
                wording.check(text)
                shown.append((language.code, language.name, *await _filled(tx, desk, talk, text, language.code)))
            except AhlanError as error:
                shown.append((language.code, language.name, None, [desk.t.gettext(error.message, **error.values)]))
    return desk.page("macro.html", block="preview", previews=shown)


async def known_snippets(desk: Desk) -> Response:
    """The snippets that can be put into a macro: those whose titles have what is typed."""
    query = desk.request.query_params.get("find-snippet", "")[:80]
    async with desk.transaction() as tx:
        every = await snippets.offered(tx, query, desk.t.locale, _SNIPPETS)
    return desk.page("macro.html", block="snippets", known=every, query=query)


async def move(desk: Desk) -> Response:
    """One place up or down."""
    form = await desk.request.form()
    step = -1 if form.get("step") == "up" else 1
    async with desk.transaction() as tx:
        await macros.move(tx, desk.agent, await macros.find(tx, desk.agent, desk.path_id()), step)
    return desk.go("settings/macros")


async def archive(desk: Desk) -> Response:
    """Put a macro away, or take it out again (`back`)."""
    form = await desk.request.form()
    async with desk.transaction() as tx:
        macro = await macros.find(tx, desk.agent, desk.path_id())
        await macros.archive(tx, desk.agent, macro, back=form.get("back") == "yes")
    return desk.go("settings/macros")


async def plant(desk: Desk) -> Response:
    """The starter set, for a workspace that is older than macros are."""
    async with desk.transaction() as tx:
        await starters.plant(tx, desk.app.catalogues)
    return desk.go("settings/macros")


def _languages(desk: Desk) -> Sequence[Any]:
    return desk.app.catalogues.languages


def _draft(desk: Desk, form: Any) -> Draft:
    texts = {one.code: str(form.get(f"text-{one.code}", "")).replace("\r\n", "\n") for one in _languages(desk)}
    actions = [f"tag:{tag.strip()}" for tag in re.split(r"[,،]", str(form.get("tags", ""))) if tag.strip()]
    for do in (Do.ASSIGN, Do.PRIORITY):
        if said := str(form.get(do.value, "")):
            actions.append(f"{do.value}:{'' if said == 'nobody' else said}")
    # `status:resolved` or `snooze:24`: a conversation ends up in one state.
    if said := str(form.get("then", "")):
        actions.append(said)
    return Draft(str(form.get("name", "")), texts, actions, shared=form.get("shared") == "yes")


async def _form(tx: Tx, desk: Desk, draft: Draft, macro: Macro | None) -> dict[str, Any]:
    t = desk.t
    reader = Reader(desk.agent.id, t.timezone)
    page = await views.queue(tx, filters.parse("-status:spam"), reader, limit=_RECENT)
    recent = [
        (
            str(row.conversation.id),
            conversation.called(t, row.customer_name, row.customer_email, row.typed_name, row.typed_email),
            row.conversation.preview[:60],
        )
        for row in page.rows
    ]
    given = {said.partition(":")[0]: said.partition(":")[2] for said in draft.actions}
    then = next((said for said in draft.actions if said.startswith(("status:", "snooze:"))), "")
    return {
        "heading": draft.name or t.gettext("New macro"),
        "macro": macro,
        "draft": draft,
        "languages": _languages(desk),
        "names": [(name.value, t.gettext(words.FILLED[name])) for name in Name],
        "tags": ", ".join(said.partition(":")[2] for said in draft.actions if said.startswith("tag:")),
        "assign": ("nobody" if given["assign"] == "" else given["assign"]) if "assign" in given else "",
        "colleagues": [
            ("", t.gettext("Leave it")),
            (macros.ME, t.gettext("Whoever uses it")),
            ("nobody", t.gettext("Nobody")),
            *((str(agent.id), agent.name) for agent in await team.colleagues(tx)),
        ],
        "priority": given.get("priority", ""),
        "priorities": [
            ("", t.gettext("Leave it")),
            *((str(int(rank)), t.gettext(name)) for rank, (_key, name) in words.PRIORITIES.items()),
        ],
        "then": then,
        "thens": [
            ("", t.gettext("Leave it")),
            *((f"status:{status}", t.gettext(text)) for status, text in _TURNS.items()),
            *((f"snooze:{h}", t.gettext("Snooze for %(time)s", time=t.duration(h * 3600))) for h in SNOOZES),
        ],
        "changeable": macro is None or macros.may_change(desk.agent, macro),
        "others": macro is not None and macro.created_by not in (None, desk.agent.id),
        "recent": recent,
        "previews": [],
        "known": await snippets.offered(tx, "", t.locale, _SNIPPETS),
        "errors": {},
    }
