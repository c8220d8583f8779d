"""What a store calls its goods in other languages, where its platform keeps that beside the product and the merchant
lets us read it.

Nothing tells when a translation changes, so a product's are read after each change of the product and once a day. What
remains to be read stands in the rows themselves, so that the reading goes on where it stopped.
"""

# ruff: noqa: S608 (statements are put together from constants only; values are bound)

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import or_, select, text, update

from plugin import stores
from plugin.app import App
from plugin.crm.batch import lock
from plugin.crm.products import Product, Translation
from plugin.kernel import bulk
from plugin.kernel.db import Tx
from plugin.kernel.jobs import TaskError
from plugin.platform import (
    ACCESS_DENIED,
    TITLES_UNTRANSLATED,
    Finding,
    PlatformError,
    ProductTranslation,
    Translating,
)
from plugin.stores import Store

AT_ONCE: Final = 100
"""Products whose translations are asked for and written together."""
_SOON: Final = 60.0
"""Seconds that a change waits for others: stock changes by the minute, and each change of it is one of the product."""
# A job may run for jobs.TASK_LIMIT; one that has worked this long hands over to a fresh one.
_SECONDS: Final = 240.0


def allowed(store: Store) -> bool:
    """Whether the store's last check found that they may be read."""
    return any(one.get("code") == TITLES_UNTRANSLATED and one.get("ok") for one in store.findings)


async def changed(tx: Tx, store: Store) -> None:
    """Goods of a store were written: read what they are called, soon."""
    if allowed(store):
        await _enqueue(tx, store.id, _SOON)


async def checked(tx: Tx, store: Store, findings: Collection[Finding], *, daily: bool) -> None:
    """After a check of the store, before its findings are noted: what is due is read, everything once a day and once it
    is allowed; what we may read no more is forgotten.
    """
    before, now = allowed(store), any(one.code == TITLES_UNTRANSLATED and one.ok for one in findings)
    if now is not before or (now and daily):
        await tx.enqueue("begin_translations", unique=f"translations-anew:{store.id}", store_id=store.id)
    elif now:
        await _enqueue(tx, store.id, 0)


async def _enqueue(tx: Tx, store_id: UUID, delay: float) -> None:
    await tx.enqueue("read_translations", delay=delay, unique=f"translations:{store_id}", store_id=store_id)


async def begin_translations(app: App, workspace_id: UUID, *, store_id: str) -> None:
    """Task: have the translations of all goods read anew, or forget them where they may not be read."""
    async with app.db.transaction(workspace_id) as tx:
        await lock(tx)
        store = await stores.get(tx, UUID(store_id))
        if store is None:
            return
        told: dict[str, Any] = {} if allowed(store) else {"translations": {}}
        await tx.execute(
            update(Product)
            .where(
                Product.workspace_id == tx.workspace_id,
                Product.store_id == store.id,
                or_(Product.translated_version.is_not(None), Product.translations != {}),
            )
            .values(translated_version=None, **told)
            .execution_options(synchronize_session=False)
        )
        if allowed(store):
            await _enqueue(tx, store.id, 0)


async def read_translations(app: App, workspace_id: UUID, *, store_id: str) -> None:
    """Task: read the translations of all goods that changed since theirs were read. Raises TaskError when the platform
    could not be asked; what was read until then stays.
    """
    asked = UUID(store_id)
    deadline = time.monotonic() + _SECONDS
    while True:
        async with app.db.transaction(workspace_id) as tx:
            store = await stores.get(tx, asked)
            if store is None or store.status != stores.CONNECTED or not allowed(store):
                return
            due = await _due(tx, asked)
            if due and time.monotonic() > deadline:
                await tx.complete_job()
                await _enqueue(tx, asked, 0)
                return
        platform = app.platforms[store.platform]
        if not due or not isinstance(platform, Translating):
            return
        languages = [code for code in app.catalogues.codes if code != store.locale.partition("-")[0].lower()]
        try:
            told = await platform.product_translations(store.connection(), list(due), languages)
        except PlatformError as error:
            if error.code == ACCESS_DENIED:
                # Taken back a moment ago: the check that follows says so and forgets what was read.
                return
            raise TaskError(error.said, retry=error.retry, after=error.after) from error
        async with app.db.transaction(workspace_id) as tx:
            await _write(tx, asked, due, told)


async def _due(tx: Tx, store_id: UUID) -> Mapping[str, datetime]:
    """Some goods whose translations were not read since they changed, each with its version."""
    rows = await tx.execute(
        select(Product.external_id, Product.version)
        .where(
            Product.workspace_id == tx.workspace_id,
            Product.store_id == store_id,
            Product.deleted_at.is_(None),
            Product.title != "",
            or_(Product.translated_version.is_(None), Product.translated_version != Product.version),
        )
        .order_by(Product.id)
        .limit(AT_ONCE)
    )
    return {row.external_id: row.version for row in rows}


async def _write(tx: Tx, store_id: UUID, due: Mapping[str, datetime], told: Sequence[ProductTranslation]) -> None:
    known: dict[str, dict[str, Translation]] = {}
    for one in told:
        known.setdefault(one.external_id, {})[one.language] = {"title": one.title, "choices": dict(one.choices)}
    rows = [{"external_id": id, "version": version, "translations": known.get(id, {})} for id, version in due.items()]
    await lock(tx)
    await tx.execute(_WRITTEN, {"workspace": tx.workspace_id, "store": store_id, "rows": bulk.dump(rows)})


_ROWS = bulk.recordset({"external_id": "text", "version": "timestamptz", "translations": "jsonb"})
# One that changed meanwhile keeps its older version here and is due again.
_WRITTEN = text(
    f"UPDATE products p SET translations = r.translations, translated_version = r.version FROM {_ROWS} "
    "WHERE p.workspace_id = :workspace AND p.store_id = :store AND p.external_id = r.external_id"
)
