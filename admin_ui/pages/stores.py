"""Stores: how each stands in words, how far its history is read, what to mend and how, what it sent us."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from starlette.responses import Response

from admin_ui import words
from admin_ui.desk import Desk, nothing_here
from admin_ui.look import file_size
from admin_ui.words import State
from plugin import deliveries, joining, stores, team
from plugin.conversations import clocks, routing
from plugin.crm.backfill import RUNNING, Backfill, resync
from plugin.crm.reconcile import compare_now
from plugin.deliveries import Delivery
from plugin.health import incidents, state
from plugin.health.incidents import Past
from plugin.health.rules import MENDED, Problem, Severity
from plugin.health.state import Freshness, Gap, Health
from plugin.health.words import RESOURCES, cause, say
from plugin.kernel.db import Tx
from plugin.kernel.digits import whole
from plugin.kernel.i18n import Translator
from plugin.kernel.lazy import Lazy, _
from plugin.kernel.text import isolate
from plugin.platform import Platform, Resource
from plugin.stores import Store
from plugin.team import Permission

_PLATFORMS = {"shopify": "Shopify", "woocommerce": "WooCommerce"}
_REPLAY_SECONDS = 5
_MOST = 2**63 - 1

# Findings whose detail is the place in the store's own admin where they are mended.
_PLACES: Mapping[str, Lazy] = {
    "embed": _("Open the theme editor"),
    "embed_unseen": _("Open the theme editor"),
    "coming_soon": _("Open it in WordPress"),
    "plugin_missing": _("Open it in WordPress"),
    "plugin_unpaired": _("Open it in WordPress"),
    "widget": _("Open it in WordPress"),
}

MOVING = State(_("Being moved to another workspace"), "warn", "truck")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one kind of thing is read. `total` 0: nobody knows how many there are."""

    label: str
    state: str
    done: str
    amount: int
    total: int
    error: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that is not as it must be, what to do about it, and the one button that does it."""

    what: str
    how: str
    detail: str
    kind: str
    remedy: str
    opens: str
    """What the button says that leads to where it is mended; empty where `detail` is no such place."""


@dataclass(frozen=True, slots=True)
class Fresh:
    """How up to date one kind of thing is."""

    resource: str
    label: str
    compared_until: datetime | None
    old: bool
    mended: int
    reading: bool
    progress: Progress | None


@dataclass(frozen=True, slots=True)
class Mended:
    """What a comparison found that nobody had told us."""

    at: datetime
    what: str
    names: str


@dataclass(frozen=True, slots=True)
class Bygone:
    """An incident: what it was, when, and whether it was mailed."""

    what: str
    opened_at: datetime
    lasted: str
    mailed: bool


@dataclass(frozen=True, slots=True)
class Row:
    """A delivery in words: never what it held."""

    id: int
    topic: str
    state: str
    why: str
    triggered_at: datetime | None
    received_at: datetime
    done_at: datetime | None
    took: str
    size: str


@dataclass(frozen=True, slots=True)
class OpenPermission:
    """What the merchant may allow or not. `ask` is the platform's name for it, `where` the admin that asks."""

    name: str
    brings: str
    allowed: bool
    ask: str
    where: str


@dataclass(frozen=True, slots=True)
class StoreCard:
    """A store as the merchant sees it.

    `embed`: on, off, or unseen, where neither the store's admin nor a storefront said anything yet; `embed_link`
    leads to where it is switched on.
    """

    id: UUID
    name: str
    platform: str
    kind: str
    url: str
    state: State
    reason: str
    progress: Sequence[Progress]
    reading: bool
    troubles: Sequence[Trouble]
    well: bool
    checked_at: datetime | None
    embed: str
    embed_told: bool | None
    embed_link: str
    embed_seen_at: datetime | None
    permissions: Sequence[OpenPermission]
    history_from: datetime | None
    limited: bool
    connected: bool
    gone: bool
    moving: bool
    ways_back: Mapping[str, str]


def card(t: Translator, health: Health, platforms: Mapping[str, Platform]) -> StoreCard:
    """A store's row in words. Pure."""
    store = health.store
    backfills = [one.backfill for one in health.freshness if one.backfill is not None]
    shown = [_progress(t, row) for row in backfills]
    return StoreCard(
        id=store.id,
        name=store.name,
        platform=_PLATFORMS.get(store.platform, store.platform),
        kind=store.platform,
        url=store.url,
        state=MOVING if store.moving_since else words.STORE.get(store.status, State(Lazy(store.status))),
        reason=store.status_reason,
        progress=shown,
        reading=any(row.state == "running" for row in backfills),
        troubles=[_trouble(t, problem) for problem in health.problems],
        well=not health.problems,
        checked_at=store.checked_at,
        embed=_embed(store),
        embed_told=store.embed_active,
        embed_link=_embed_link(store),
        embed_seen_at=store.embed_seen_at,
        permissions=[_permission(t, one) for one in store.findings if one.get("code") in words.PERMISSIONS],
        history_from=store.history_from,
        limited=bool(store.history_limited_by),
        connected=store.status == stores.CONNECTED and store.moving_since is None,
        gone=store.status == stores.UNINSTALLED,
        moving=store.moving_since is not None,
        ways_back=platforms[store.platform].ways_back(store.connection()) if store.platform in platforms else {},
    )


def _permission(t: Translator, finding: dict[str, Any]) -> OpenPermission:
    name, brings = words.PERMISSIONS[finding["code"]]
    return OpenPermission(
        t.gettext(name), t.gettext(brings), bool(finding.get("ok")), str(finding.get("ask") or ""),
        _address(finding.get("detail")),
    )  # fmt: skip


def _embed(store: Store) -> str:
    if store.embed_active is None:
        return "on" if store.embed_seen_at else "unseen"
    return "on" if store.embed_active else "off"


def _embed_link(store: Store) -> str:
    found = [one for one in store.findings if one.get("code") in {"embed", "embed_unseen"} and not one.get("ok")]
    return _address(found[0].get("detail")) if found else ""


def _address(detail: object) -> str:
    """What is shown as a link: an address, whatever else a finding says."""
    text = str(detail or "")
    return text if text.startswith(("https://", "http://")) else ""


def _progress(t: Translator, row: Backfill) -> Progress:
    done = t.format_number(row.done_count)
    total = max(row.total or 0, row.done_count) if row.total else 0
    if row.state == "done":
        text = t.gettext("%(done)s, complete", done=done)
    elif total:
        text = t.gettext("%(done)s of about %(total)s", done=done, total=t.format_number(total))
    else:
        text = done
    return Progress(t.gettext(RESOURCES[row.resource]), row.state, text, row.done_count, total, row.last_error)


def _trouble(t: Translator, problem: Problem) -> Trouble:
    said = say(t, problem)
    # What mended itself is told, and asks for nothing.
    kind = "bad" if problem.severity == Severity.BAD and problem.code not in MENDED else "warn"
    opens = t.gettext(_PLACES[problem.code]) if problem.code in _PLACES and _address(problem.detail) else ""
    return Trouble(said.what, said.how, problem.detail, kind, problem.remedy, opens)


async def cards(tx: Tx, desk: Desk) -> list[StoreCard]:
    """Every store of the workspace."""
    platforms = desk.app.platforms
    return [card(desk.t, await state.read(tx, store), platforms) for store in await stores.all_stores(tx)]


async def index(desk: Desk) -> Response:
    """All stores, and how to connect another."""
    async with desk.transaction() as tx:
        shown = await cards(tx, desk)
    return desk.page("stores.html", stores=shown, heading=desk.t.gettext("Stores"), **connecting(desk))


def connecting(desk: Desk) -> dict[str, Any]:
    """Where each platform's own way in begins. A WooCommerce address is asked for; a Shopify one never is."""
    installs = {kind: platform.panel_head().get("install_url", "") for kind, platform in desk.app.platforms.items()}
    # Inside a store's admin there is no session that the new window could know us by.
    word = team.hand_over(desk.app.vault, desk.agent) if desk.embedded and desk.may(Permission.MANAGE_STORES) else ""
    return {"install_urls": installs, "hand_over": word, "store_side": _store_side(desk)}


def _store_side(desk: Desk) -> str:
    """What proves on the page that confirms a join that an administrator came through this store's admin."""
    if desk.store_id is None or not desk.administrator or not desk.may(Permission.MANAGE_WORKSPACE):
        return ""
    return joining.store_side(desk.app.vault, desk.agent, desk.store_id)


async def one(desk: Desk) -> Response:
    """One store: how it stands, how fresh it is, what was mended, and what it sent; `parked` shows only failures."""
    query = desk.request.query_params
    parked, before = "parked" in query, query.get("before", "")
    async with desk.transaction() as tx:
        store = await _find(tx, desk)
        health = await state.read(tx, store)
        sent = await deliveries.latest(tx, store.id, parked=parked, before=_number(before))
        past = await incidents.history(tx, store.id)
        await _up_to_date(tx, health, past)
        others = len(await stores.all_stores(tx)) > 1
    t = desk.t
    return desk.page(
        "store.html",
        store=card(t, health, desk.app.platforms),
        tally=health.tally,
        arriving=_seconds(t, health.lag.arriving),
        writing=_seconds(t, health.lag.writing),
        freshness=[_fresh(t, one, health) for one in health.freshness],
        mended=[_mended(t, one) for one in health.gaps],
        bygones=[_bygone(t, one) for one in past],
        sent=[_row(t, one) for one in sent],
        older=sent[-1].id if len(sent) == deliveries.LIMIT else None,
        before=before,
        parked=parked,
        heading=store.name,
        checking="checking" in query,
        embedding=[t.gettext(step) for step in words.EMBEDDING.get(store.platform, ())],
        others=others and store.moving_since is None and store.status != stores.UNINSTALLED,
    )


async def _up_to_date(tx: Tx, health: Health, past: Sequence[Past]) -> None:
    """What somebody sees here, the banner and the mails should know too: have the store looked at if they differ."""
    shown = {problem.code for problem in health.problems if problem.severity == Severity.BAD}
    if shown != {one.incident.code for one in past if one.incident.recovered_at is None}:
        await stores.watch(tx, health.store.id)


def _fresh(t: Translator, one: Freshness, health: Health) -> Fresh:
    stale = {resource for problem in health.problems if problem.code == "stale" for resource in problem.resources}
    away = any(problem.code == "unreachable" for problem in health.problems)
    return Fresh(
        one.resource,
        t.gettext(RESOURCES[one.resource]),
        one.compared_until,
        away or one.resource in stale,
        one.mended,
        one.backfill is not None and one.backfill.state == RUNNING,
        _progress(t, one.backfill) if one.backfill is not None else None,
    )


def _mended(t: Translator, gap: Gap) -> Mended:
    what = {
        "orders": lambda: t.ngettext("%(num)s order", "%(num)s orders", gap.count),
        "customers": lambda: t.ngettext("%(num)s customer", "%(num)s customers", gap.count),
        "products": lambda: t.ngettext("%(num)s product", "%(num)s products", gap.count),
    }[gap.resource]()
    named = [isolate(name, "ltr") for name in gap.names]
    if named and gap.count > len(named):
        named.append(t.ngettext("%(num)s more", "%(num)s more", gap.count - len(named)))
    return Mended(gap.at, what, t.listing(named))


def _bygone(t: Translator, one: Past) -> Bygone:
    incident = one.incident
    lasted = ""
    if incident.recovered_at is not None:
        lasted = t.duration((incident.recovered_at - incident.opened_at).total_seconds())
    return Bygone(say(t, incidents.remembered(incident)).what, incident.opened_at, lasted, one.mailed_at is not None)


def _row(t: Translator, one: Delivery) -> Row:
    took = _seconds(t, (one.done_at - one.received_at).total_seconds()) if one.done_at is not None else ""
    return Row(
        id=one.id,
        topic=one.topic,
        state=one.state,
        why=cause(t, one.error) if one.error else "",
        triggered_at=one.triggered_at,
        received_at=one.received_at,
        done_at=one.done_at,
        took=took,
        size=file_size(t, one.size),
    )


def _seconds(t: Translator, seconds: float | None) -> str:
    """A short time as people say it: parts of a second are one moment to them."""
    if seconds is None:
        return ""
    if seconds < 1:
        return t.gettext("under a second")
    if seconds < 60:
        return t.ngettext("%(num)s second", "%(num)s seconds", round(seconds))
    return t.duration(seconds)


def _number(text: str) -> int | None:
    """A delivery's number; what is none, or larger than any, is nothing."""
    return whole(text, _MOST)


async def banner(desk: Desk) -> Response:
    """What is wrong with any store, above every page of those who can do something about it; nothing when all is well.

    It is asked for by every open window, so it reads the open incidents and nothing else.
    """
    async with desk.transaction() as tx:
        found = await incidents.open_now(tx) if desk.may(Permission.MANAGE_STORES) else []
        replies = desk.may(Permission.REPLY)
        waiting = await routing.unattended(tx) if replies else None
        pressing = await clocks.pressing(tx, desk.agent.id) if replies else 0
    shown = [(one, say(desk.t, one.problem).what) for one in found]
    waited = (datetime.now(UTC) - waiting.since).total_seconds() if waiting else 0
    return desk.page("alerts.html", shown=shown, waiting=waiting, waited=waited, pressing=pressing)


async def replay(desk: Desk) -> Response:
    """Read what was set aside once more: one delivery, or all of the store's."""
    form = await desk.request.form()
    asked = str(form.get("delivery", ""))
    delivery = _number(asked)
    async with desk.transaction() as tx:
        store = await _find(tx, desk)
        count = await deliveries.replay(tx, store.id, delivery_id=delivery) if delivery or not asked else 0
        if count:
            # Once it is read, or set aside again, everybody sees how it went.
            await stores.watch(tx, store.id, delay=_REPLAY_SECONDS)
    if count:
        # A worker looks every few seconds anyway; this only spares the wait.
        with contextlib.suppress(*desk.app.jobs.unavailable):
            await (await desk.app.jobs.pool()).enqueue_job("drain_inbox", _job_id="drain_inbox")
    return desk.go(f"stores/{store.id}", parked=1 if "parked" in desk.request.query_params else None)


async def check(desk: Desk) -> Response:
    """Look at the store now instead of within the hour, and compare it as well; pressed twice, it is done once."""
    async with desk.transaction() as tx:
        store = await _find(tx, desk)
        await tx.enqueue("check_store", unique=f"check-now:{store.id}", store_id=store.id)
        await compare_now(tx, store.id)
    return desk.go(f"stores/{store.id}", checking=1)


async def embed(desk: Desk) -> Response:
    """What the store's own admin says of the chat in its theme, reported by the panel that is open there."""
    form = await desk.request.form()
    async with desk.transaction() as tx:
        store = await _find(tx, desk)
        if store.id != desk.store_id:
            raise nothing_here()
        await stores.embed_told(tx, store.id, form.get("active") == "yes")
    return Response(status_code=204, headers=desk.headers())


async def read_again(desk: Desk) -> Response:
    """Read one kind of thing, or all, again from the beginning: what is known already is only confirmed."""
    form = await desk.request.form()
    asked = str(form.get("resource", ""))
    if asked and asked not in set(Resource):
        raise nothing_here()
    async with desk.transaction() as tx:
        store = await _find(tx, desk)
        if store.status == stores.CONNECTED:
            await resync(tx, store.id, Resource(asked) if asked else None)
    return desk.go(f"stores/{store.id}")


async def read_on(desk: Desk) -> Response:
    """Go on reading a history that stopped, from where it stopped."""
    async with desk.transaction() as tx:
        store = await _find(tx, desk)
        await tx.enqueue("start_backfill", unique=f"backfill:{store.id}", store_id=store.id)
        await stores.watch(tx, store.id, delay=_REPLAY_SECONDS)
    return desk.go(f"stores/{store.id}")


async def _find(tx: Tx, desk: Desk) -> Store:
    store = await stores.get(tx, desk.path_id())
    if store is None:
        raise nothing_here()
    return store
