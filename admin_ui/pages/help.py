"""The help centre in the panel: the list, the shelves, what shoppers look for, the starter set, imports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from starlette.datastructures import UploadFile
from starlette.responses import Response

from admin_ui.desk import Desk, as_id, nothing_here
from admin_ui.pages.work import language_name
from plugin import stores
from plugin.bot import coverage, drafting
from plugin.kernel.db import Tx
from plugin.kernel.digits import whole
from plugin.kernel.errors import AhlanError
from plugin.kernel.lazy import Lazy, _
from plugin.knowledge import articles, gaps, importing, meaning, reading, search, site, starters
from plugin.knowledge.articles import Article, Collection, Kind, Listed
from plugin.knowledge.files import MAX_BYTES
from plugin.knowledge.importing import Outcome
from plugin.knowledge.reading import Reason
from plugin.knowledge.rules import State
from plugin.knowledge.search import Found
from plugin.platform import Capability
from plugin.stores import UNINSTALLED, Store
from plugin.team import audit

REPORT_DAYS = 30
_FOUND = 30
MANY_LINKS = _("Choose ten of each at most.")

STATES: dict[State, tuple[Lazy, str, str]] = {
    State.DRAFT: (_("Draft"), "", "pencil"),
    State.SCHEDULED: (_("Planned"), "", "calendar-clock"),
    State.PUBLISHED: (_("Published"), "good", "circle-check"),
    State.CHANGED: (_("Changes not published"), "warn", "circle-dot"),
}
REASONS: dict[str, Lazy] = {
    Reason.UNCLEAR: _("hard to understand"),
    Reason.WRONG: _("wrong or out of date"),
    Reason.MISSING: _("something is missing"),
    Reason.OTHER: _("another reason"),
}
OUTCOMES: dict[Outcome, tuple[Lazy, str]] = {
    Outcome.NEW: (_("New"), "good"),
    Outcome.CHANGED: (_("Updates an article"), ""),
    Outcome.SAME: (_("Is here already"), ""),
    Outcome.EDITED: (_("Was changed here; would be overwritten"), "warn"),
    Outcome.DELETED: (_("Was deleted here; would come back"), "warn"),
}


@dataclass(frozen=True, slots=True)
class Tongue:
    """One language of a line: what shoppers see of it, and whether it is behind."""

    code: str
    name: str
    state: State | None
    outdated: bool


@dataclass(frozen=True, slots=True)
class Line:
    """An article in the list. `first` and `last` of those that it can change places with; `hit`: why it was found."""

    id: UUID
    title: str
    tongues: Sequence[Tongue]
    first: bool
    last: bool
    hit: Found | None = None


@dataclass(frozen=True, slots=True)
class Shelf:
    """A collection (None: without one) and its articles."""

    collection: Collection | None
    name: str
    lines: Sequence[Line]


def tongues(desk: Desk, listed: Listed) -> list[Tongue]:
    """Every language of the product and how far an article is in it."""
    return [
        Tongue(one.code, one.name, listed.state(one.code), listed.outdated(one.code))
        for one in desk.app.catalogues.languages
    ]


async def index(desk: Desk) -> Response:
    """Articles by shelf, or snippets; searched as shoppers search; the deleted ones at the end."""
    asked = desk.request.query_params
    kind = Kind.SNIPPET if asked.get("kind") == Kind.SNIPPET else Kind.ARTICLE
    query = asked.get("q", "")[:80]
    near = await meaning.near(desk.app, desk.workspace_id, query)
    async with desk.transaction() as tx:
        # What shoppers would find, best first; behind it what has the words in a title that is not published.
        hits = await search.find(tx, None, query, desk.t.locale, _FOUND, kinds=(kind,), near=near) if query else []
        found = await articles.listed(tx, kind, query=query)
        away = await articles.listed(tx, kind, deleted=True)
        shelves = await articles.collections(tx) if kind is Kind.ARTICLE else []
        homes = await site.homes(desk.app, tx)
        gone = await tx.get(Article, as_id(asked["deleted"])) if asked.get("deleted") else None
        undo = await articles.find(tx, gone.id) if gone is not None and gone.deleted_at is not None else None
        best = await articles.by_ids(tx, [hit.article_id for hit in hits])
    if query:
        found = list({one.article.id: one for one in (*best, *found)}.values())
        shelves = []
    names: list[tuple[Collection | None, str]] = [(one, one.name(desk.t.locale)) for one in shelves]
    names.append((None, desk.t.gettext("Without a collection") if shelves else ""))
    return desk.page(
        "help.html",
        heading=desk.t.gettext("Help centre"),
        kind=kind,
        query=query,
        shelves=[
            Shelf(
                one,
                name,
                _lines(desk, [row for row in found if query or row.article.collection_id == (one and one.id)], hits),
            )
            for one, name in names
        ],
        any=bool(found),
        away=_lines(desk, away),
        homes=homes,
        undo=undo,
        states=STATES,
        publishes=articles.may_publish(desk.agent),
        saved=asked.get("saved", ""),
    )


async def stand(desk: Desk) -> Response:
    """Whether a shop's help centre stands inside its theme, where the platform can do that."""
    form = await desk.request.form()
    alone = not form.get("themed")
    async with desk.transaction() as tx:
        store = await tx.get(Store, desk.path_id(), lock=True)
        if store is None or Capability.THEMED_PAGES not in desk.app.platforms[store.platform].capabilities:
            raise nothing_here()
        before = bool(store.widget.get(site.HELP_ALONE))
        if before != alone:
            store.widget = {**store.widget, site.HELP_ALONE: alone}
            audit.note(
                tx, "settings.widget", by=desk.agent.id,
                changes={"store": [None, store.name], site.HELP_ALONE: [before, alone]},
            )  # fmt: skip
    return desk.go("help", saved="stand")


def _lines(desk: Desk, found: Sequence[Listed], hits: Sequence[Found] = ()) -> list[Line]:
    known = {hit.article_id: hit for hit in hits}
    return [
        Line(
            one.article.id, one.title(desk.t.locale), tongues(desk, one), at == 0, at == len(found) - 1,
            known.get(one.article.id),
        )
        for at, one in enumerate(found)
    ]  # fmt: skip


# Collections


async def collections(desk: Desk) -> Response:
    """The shelves, to name and to order."""
    return await _collections(desk)


async def _collections(desk: Desk, *, status: int = 200, **more: Any) -> Response:
    async with desk.transaction() as tx:
        every = await articles.collections(tx)
    context = {
        "heading": desk.t.gettext("Collections"),
        "every": every,
        "languages": desk.app.catalogues.languages,
        "errors": {},
        "saved": desk.request.query_params.get("saved", ""),
        **more,
    }
    block = "page" if status != 200 and "hx-request" in desk.request.headers else ""
    return desk.page("help_collections.html", status=status, block=block, **context)


async def save_collection(desk: Desk) -> Response:
    """A new shelf, or other words for one."""
    form = await desk.request.form()
    codes = [one.code for one in desk.app.catalogues.languages]
    names = {code: str(form.get(f"name-{code}", "")) for code in codes}
    about = {code: str(form.get(f"words-{code}", "")) for code in codes}
    try:
        async with desk.transaction() as tx:
            there = await articles.collection(tx, desk.path_id()) if "id" in desk.request.path_params else None
            kept = await articles.write_collection(tx, names, about, there)
    except AhlanError as error:
        if error.status not in (400, 422):
            raise
        return await _collections(desk, status=422, errors=said(desk, error))
    return desk.go("help/collections", saved=f"collection-{kept.id}")


async def move_collection(desk: Desk) -> Response:
    """One place up or down."""
    form = await desk.request.form()
    async with desk.transaction() as tx:
        shelf = await articles.collection(tx, desk.path_id())
        await articles.move_collection(tx, shelf, -1 if form.get("step") == "up" else 1)
    return desk.go("help/collections")


async def remove_collection(desk: Desk) -> Response:
    """Take a shelf away; its articles stay."""
    async with desk.transaction() as tx:
        await articles.remove_collection(tx, await articles.collection(tx, desk.path_id()))
    return desk.go("help/collections")


# What shoppers look for


async def reports(desk: Desk) -> Response:
    """Searches without an answer, and how articles do."""
    async with desk.transaction() as tx:
        missed = await reading.missed(tx, REPORT_DAYS)
        begun = await gaps.drafts(tx, missed)
        told = await reading.told(tx, REPORT_DAYS)
        deflected = await reading.deflection(tx, REPORT_DAYS)
        topics = await coverage.asked(tx, REPORT_DAYS)
        suggested = await coverage.suggestions(tx)
    failing = [one for one in told if one.failed > one.helped]
    return desk.page(
        "help_reports.html",
        heading=desk.t.gettext("What shoppers look for"),
        days=REPORT_DAYS,
        missed=missed,
        begun=begun,
        told=[one for one in told if one not in failing],
        failing=failing,
        deflected=deflected,
        outside=next((one for one in topics if one.topic == coverage.OUTSIDE), None),
        topics=[one for one in topics if one.topic != coverage.OUTSIDE],
        suggested=suggested,
        reasons=REASONS,
        names={one.code: one.name for one in desk.app.catalogues.languages},
    )


async def draft(desk: Desk) -> Response:
    """A draft from a search that found nothing: its words are the title."""
    form = await desk.request.form()
    title, language = str(form.get("title", "")), str(form.get("language", ""))
    if language not in desk.app.catalogues.codes:
        raise nothing_here()
    async with desk.transaction() as tx:
        article = await gaps.draft(tx, title, language, by=desk.agent)
    return desk.go(f"help/{article.id}", language=language)


async def draft_topic(desk: Desk) -> Response:
    """A draft about a topic that is asked about and that no article answers."""
    form = await desk.request.form()
    async with desk.transaction() as tx:
        article = await coverage.draft_topic(tx, str(form.get("topic", "")), desk.workspace.locale, by=desk.agent)
    return desk.go(f"help/{article.id}")


async def take_suggestion(desk: Desk) -> Response:
    """A draft out of what somebody answered, or (`no`) none."""
    form = await desk.request.form()
    async with desk.transaction() as tx:
        if form.get("no"):
            await coverage.dismiss(tx, desk.path_id())
            return desk.go("help/reports")
        return desk.go(f"help/{await drafting.take(tx, desk.path_id(), by=desk.agent)}")


# The starter set


async def policies(desk: Desk) -> Response:
    """Policies to be answered, and those that have been."""
    async with desk.transaction() as tx:
        every = await starters.standing(tx)
    return desk.page(
        "help_policies.html",
        heading=desk.t.gettext("Your shop's rules"),
        every=every,
        tongues={one.policy.key: tongues(desk, one.listed) if one.listed else [] for one in every},
        states=STATES,
    )


async def policy(desk: Desk) -> Response:
    """The questions of one policy, with what was answered the last time."""
    return await _policy(desk)


async def _policy(
    desk: Desk, *, status: int = 200, errors: dict[str, str] | None = None, given: Any = None
) -> Response:
    found = starters.known(desk.request.path_params["key"])
    if found is None:
        raise nothing_here()
    async with desk.transaction() as tx:
        there = next(one for one in await starters.standing(tx) if one.policy is found)
    names = {one.code: one.name for one in desk.app.catalogues.languages}
    block = "page" if status != 200 and "hx-request" in desk.request.headers else ""
    return desk.page(
        "help_policy.html",
        status=status,
        block=block,
        heading=desk.t.gettext(found.title),
        policy=found,
        given=there.answers if given is None else given,
        there=there.listed,
        changed=[names[code] for code in there.changed(desk.app.catalogues)],
        errors=errors or {},
    )


def _answers(form: Any, found: starters.Policy) -> dict[str, list[str]]:
    return {one.name: [str(value) for value in form.getlist(one.name)] for one in found.questions}


async def fill_in(desk: Desk) -> Response:
    """Write the policy from its answers, in every language, as drafts."""
    found = starters.known(desk.request.path_params["key"])
    if found is None:
        raise nothing_here()
    given = _answers(await desk.request.form(), found)
    try:
        async with desk.transaction() as tx:
            article = await starters.fill_in(
                tx, desk.app.catalogues, found, given, by=desk.agent, source=desk.workspace.locale
            )
    except AhlanError as error:
        if error.status not in (400, 422):
            raise
        return await _policy(desk, status=422, errors=said(desk, error), given=given)
    return desk.go(f"help/{article.id}", saved="policy")


# Imports


async def begin_import(desk: Desk) -> Response:
    """Where from."""
    return await _import_form(desk)


async def _import_form(desk: Desk, *, status: int = 200, **more: Any) -> Response:
    async with desk.transaction() as tx:
        here = await shops(tx)
        earlier = [(one, await importing.store_of(tx, one)) for one in await importing.latest(tx)]
    context = {
        "heading": desk.t.gettext("Bring articles in"),
        "languages": desk.app.catalogues.languages,
        "shops": here,
        "earlier": earlier,
        "kinds": ",".join(importing.KINDS),
        "address": "",
        "asks": [],
        "errors": {},
        **more,
    }
    block = "page" if status != 200 and "hx-request" in desk.request.headers else ""
    return desk.page("help_import.html", status=status, block=block, **context)


async def find_import(desk: Desk) -> Response:
    """Read the page, the file or the store, and show what was found."""
    form = await desk.request.form(max_files=1, max_part_size=MAX_BYTES + 1024)
    address, file = str(form.get("address", "")).strip(), form.get("file")
    language = str(form.get("language", desk.t.locale))
    if language not in desk.app.catalogues.codes:
        raise nothing_here()
    asks: tuple[str, ...] = ()
    store = await _store(desk, str(form.get("store", "")))
    try:
        if store is not None:
            source, drafts, asks = await importing.read_store(desk.app.platforms[store.platform], store.connection())
        elif isinstance(file, UploadFile) and file.filename:
            source, drafts = await importing.read_file(file.filename, await file.read(MAX_BYTES + 1))
        else:
            source, drafts = await importing.fetch(desk.app.http, address)
    except AhlanError as error:
        return await _import_form(desk, status=422, errors=said(desk, error), address=address)
    if store is not None and not drafts:
        nothing = {} if asks else {"form": desk.t.gettext("This store has no published pages, posts or policies.")}
        return await _import_form(desk, status=422, asks=_asks(desk, store, asks), errors=nothing)
    async with desk.transaction() as tx:
        kept = await importing.keep(
            tx, desk.agent, source, drafts, language, asks=asks, languages=desk.app.catalogues.codes
        )
    return desk.go(f"help/import/{kept.id}")


@dataclass(frozen=True, slots=True)
class Ask:
    """A permission of the store that would show more. `here`: it is asked for on this page."""

    scope: str
    name: str
    store_id: UUID
    here: bool


_ASKED: dict[str, Lazy] = {
    "read_content": _("its pages and blog posts"),
    "read_legal_policies": _("its policies"),
}


def _asks(desk: Desk, store: Store, scopes: Sequence[str]) -> list[Ask]:
    here = desk.store_id == store.id and desk.may("manage_stores")
    return [Ask(one, desk.t.gettext(_ASKED[one]) if one in _ASKED else one, store.id, here) for one in scopes]


async def _store(desk: Desk, wanted: str) -> Store | None:
    if not wanted:
        return None
    async with desk.transaction() as tx:
        found = next((one for one in await shops(tx) if one.id == as_id(wanted)), None)
    if found is None:
        raise nothing_here()
    return found


async def one_import(desk: Desk) -> Response:
    """What was found and what would become of it; afterwards the report."""
    async with desk.transaction() as tx:
        kept = await importing.find(tx, desk.path_id())
        planned = await importing.plan(tx, kept)
        shelves = await articles.collections(tx)
        source = await importing.store_of(tx, kept)
    return desk.page(
        "help_import_found.html",
        heading=desk.t.gettext("Bring articles in"),
        kept=kept,
        source=source.name if source is not None else kept.where,
        asks=_asks(desk, source, kept.report.get("asks", ())) if source is not None else [],
        planned=planned,
        outcomes=OUTCOMES,
        names={one.code: one.name for one in desk.app.catalogues.languages},
        foreign=[language_name(desk.t, code) for code in kept.report.get("foreign", ())],
        shelves=shelf_choices(desk, shelves),
        publishes=articles.may_publish(desk.agent),
        same=Outcome.SAME,
        unticked=(Outcome.SAME, Outcome.EDITED, Outcome.DELETED),
    )  # fmt: skip


async def take_import(desk: Desk) -> Response:
    """Take over what was ticked."""
    form = await desk.request.form()
    chosen = {number for one in form.getlist("item") if (number := whole(str(one), 10_000)) is not None}
    shelf = str(form.get("collection", ""))
    publish = form.get("publish") == "yes" and articles.may_publish(desk.agent)
    async with desk.transaction() as tx:
        kept = await importing.find(tx, desk.path_id())
        collection = await articles.collection(tx, as_id(shelf)) if shelf else None
        await importing.take(
            tx, kept, chosen, by=desk.agent, collection_id=collection.id if collection else None, publish=publish
        )
    return desk.go(f"help/import/{desk.path_id()}")


async def take_back_import(desk: Desk) -> Response:
    """Undo an import."""
    async with desk.transaction() as tx:
        await importing.take_back(tx, await importing.find(tx, desk.path_id()), by=desk.agent)
    return desk.go(f"help/import/{desk.path_id()}")


def shelf_choices(desk: Desk, shelves: Sequence[Collection]) -> list[tuple[str, str]]:
    """Collections to choose from."""
    return [
        ("", desk.t.gettext("Without a collection")),
        *((str(one.id), one.name(desk.t.locale)) for one in shelves),
    ]


def said(desk: Desk, error: AhlanError) -> dict[str, str]:
    """An error's words for the top of a form."""
    hint = desk.t.gettext(error.hint, **error.values) if error.hint is not None else ""
    return {"form": desk.t.gettext(error.message, **error.values), "hint": hint}


async def shops(tx: Tx) -> list[Store]:
    """The stores that an article may be for."""
    return [one for one in await stores.all_stores(tx) if one.status != UNINSTALLED]
