"""Stores: how each stands in words, how far its history is read, what to mend and how, what it sent us."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from starlette.responses import Response

from admin_ui import words
from admin_ui.desk import Desk, nothing_here
from admin_ui.words import State
from plugin import deliveries, stores, team
from plugin.crm.backfill import Backfill, restart
from plugin.kernel.db import Tx
from plugin.kernel.i18n import Translator
from plugin.kernel.lazy import Lazy, _
from plugin.stores import Store
from plugin.team import Permission

_RESOURCES: dict[str, Lazy] = {
    "customers": _("Customers"), "products": _("Products"), "orders": _("Orders"),
}  # fmt: skip
_PLATFORMS = {"shopify": "Shopify", "woocommerce": "WooCommerce"}


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
class Repair:
    """Something that is not as it must be, and what to do about it."""

    what: str
    how: str
    detail: str


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
    repairs: Sequence[Repair]
    checked_at: datetime | None
    embed: str
    embed_told: bool | None
    embed_link: str
    embed_seen_at: datetime | None
    permissions: Sequence[OpenPermission]
    history_from: datetime | None
    limited: bool
    connected: bool


def card(t: Translator, store: Store, backfills: Sequence[Backfill]) -> StoreCard:
    """A store's row in words. Pure."""
    shown = [_progress(t, row) for row in sorted(backfills, key=lambda row: list(_RESOURCES).index(row.resource))]
    return StoreCard(
        id=store.id,
        name=store.name,
        platform=_PLATFORMS.get(store.platform, store.platform),
        kind=store.platform,
        url=store.url,
        state=words.STORE.get(store.status, State(Lazy(store.status))),
        reason=store.status_reason,
        progress=shown,
        reading=any(row.state == "running" for row in backfills),
        repairs=[_repair(t, one) for one in store.findings if _broken(one)],
        checked_at=store.checked_at,
        embed=_embed(store),
        embed_told=store.embed_active,
        embed_link=_embed_link(store),
        embed_seen_at=store.embed_seen_at,
        permissions=[_permission(t, one) for one in store.findings if one.get("code") in words.PERMISSIONS],
        history_from=store.history_from,
        limited=bool(store.history_limited_by),
        connected=store.status == stores.CONNECTED,
    )


def _broken(finding: dict[str, Any]) -> bool:
    """Whether the merchant should mend it: what may be allowed or not is nothing to mend."""
    return not finding.get("ok") and finding.get("code") not in words.PERMISSIONS


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
    return Progress(t.gettext(_RESOURCES[row.resource]), row.state, text, row.done_count, total, row.last_error)


def _repair(t: Translator, finding: dict[str, Any]) -> Repair:
    what, how = words.FINDINGS.get(str(finding.get("code")), words.UNKNOWN_FINDING)
    return Repair(t.gettext(what), t.gettext(how), str(finding.get("detail") or ""))


async def cards(tx: Tx, t: Translator) -> list[StoreCard]:
    """Every store of the workspace."""
    shown = []
    for store in await stores.all_stores(tx):
        shown.append(card(t, store, await _backfills(tx, store.id)))
    return shown


async def _backfills(tx: Tx, store_id: UUID) -> Sequence[Backfill]:
    return list(
        await tx.scalars(
            select(Backfill).where(Backfill.workspace_id == tx.workspace_id, Backfill.store_id == store_id)
        )
    )


async def index(desk: Desk) -> Response:
    """All stores, and how to connect another."""
    async with desk.transaction() as tx:
        shown = await cards(tx, desk.t)
    return desk.page("stores.html", stores=shown, heading=desk.t.gettext("Stores"), **connecting(desk))


def connecting(desk: Desk) -> dict[str, Any]:
    """Where each platform's own way in begins. A WooCommerce address is asked for; a Shopify one never is."""
    installs = {kind: platform.panel_head().get("install_url", "") for kind, platform in desk.app.platforms.items()}
    # Inside a store's admin there is no session that the new window could know us by.
    word = team.hand_over(desk.app.vault, desk.agent) if desk.embedded and desk.may(Permission.MANAGE_STORES) else ""
    return {"install_urls": installs, "hand_over": word}


async def one(desk: Desk) -> Response:
    """One store with what it sent us; `parked` shows only what could not be read."""
    parked = "parked" in desk.request.query_params
    async with desk.transaction() as tx:
        store = await _find(tx, desk)
        shown = card(desk.t, store, await _backfills(tx, store.id))
        sent = await deliveries.latest(tx, store.id, parked=parked)
        tally = await deliveries.tally(tx, store.id)
    return desk.page(
        "store.html",
        store=shown,
        sent=sent,
        tally=tally,
        parked=parked,
        heading=store.name,
        checking="checking" in desk.request.query_params,
        embedding=[desk.t.gettext(step) for step in words.EMBEDDING.get(store.platform, ())],
    )


async def replay(desk: Desk) -> Response:
    """Read what was set aside once more."""
    form = await desk.request.form()
    delivery = str(form.get("delivery", ""))
    async with desk.transaction() as tx:
        store = await _find(tx, desk)
        count = await deliveries.replay(
            tx, store.id, delivery_id=int(delivery) if delivery.isascii() and delivery.isdigit() else None
        )
    if count:
        # A worker looks every few seconds anyway; this only spares the wait.
        with contextlib.suppress(*desk.app.jobs.unavailable):
            await (await desk.app.jobs.pool()).enqueue_job("drain_inbox", _job_id="drain_inbox")
    return desk.go(f"stores/{store.id}")


async def check(desk: Desk) -> Response:
    """Look at the store now instead of within the hour."""
    async with desk.transaction() as tx:
        store = await _find(tx, desk)
        await tx.enqueue("check_store", store_id=store.id)
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
    """Read the store's history again from the beginning: what is known already is only confirmed."""
    async with desk.transaction() as tx:
        store = await _find(tx, desk)
        await restart(tx, store.id)
        await tx.enqueue("start_backfill", unique=f"backfill:{store.id}", store_id=store.id)
    return desk.go(f"stores/{store.id}")


async def _find(tx: Tx, desk: Desk) -> Store:
    store = await stores.get(tx, desk.path_id())
    if store is None:
        raise nothing_here()
    return store
