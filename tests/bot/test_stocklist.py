"""The names of a store's goods: kept, read anew when something changes, and found in a shop with more than are kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import event, update

from plugin.app import App
from plugin.bot import stocklist
from plugin.crm import sync
from plugin.crm.products import Product
from plugin.kernel.db import Tx
from plugin.platform import ProductRecord
from plugin.stores import Store

NOW = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stocklist, "_kept", {})


async def stock(app: App, workspace: UUID, store: Store, *records: ProductRecord) -> None:
    async with app.db.transaction(workspace) as tx:
        row = await tx.get(Store, store.id)
        assert row is not None
        await sync.apply(tx, row, list(records))


def product(number: int, title: str, **more: object) -> ProductRecord:
    return replace(ProductRecord(f"p{number}", NOW + timedelta(seconds=number), title, "active"), **more)


async def read(tx: Tx, store: Store, text: str) -> tuple[int, int]:
    """(goods that are named, statements that it took)."""
    statements: list[str] = []

    def note(*arguments: object) -> None:
        statements.append(str(arguments[2]))

    connection = (await tx.session.connection()).sync_connection
    event.listen(connection, "before_cursor_execute", note)
    found = await stocklist.find(tx, store.id, text)
    event.remove(connection, "before_cursor_execute", note)
    return len(found.ids), len(statements)


async def test_names_are_read_once_and_again_when_the_store_changes_one(
    app: App, workspace: UUID, store: Store
) -> None:
    await stock(app, workspace, store, product(1, "Linen shirt"), product(2, "Blue mug"))
    async with app.db.transaction(workspace) as tx:
        assert await read(tx, store, "the linen shirt") == (1, 2)
        assert await read(tx, store, "the blue mug") == (1, 1)
        assert await read(tx, store, "how much is it?") == (0, 0)
    # In the same second: the platforms' clocks know no less.
    await stock(app, workspace, store, product(2, "Red mug"))
    async with app.db.transaction(workspace) as tx:
        assert await read(tx, store, "the red mug") == (1, 2)
        assert await read(tx, store, "something blue") == (0, 1)
    await stock(app, workspace, store, product(1, "Linen shirt", version=NOW + timedelta(days=1), status="draft"))
    async with app.db.transaction(workspace) as tx:
        assert (await read(tx, store, "the linen shirt"))[0] == 0


async def test_in_a_shop_with_more_than_are_kept_an_exact_name_is_found(
    app: App, workspace: UUID, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stocklist, "KEPT", 3)
    titles = ["قدر فخّار للطبخ", "100% Wool socks", *(f"Linen shirt {at}" for at in "abcdef")]
    await stock(app, workspace, store, *(product(at, title) for at, title in enumerate(titles)))
    async with app.db.transaction(workspace) as tx:
        assert len((await stocklist.find(tx, store.id, "بكم قدر فخّار للطبخ؟")).ids) == 1
        assert len((await stocklist.find(tx, store.id, "do you have wool socks?")).ids) == 1
        assert not (await stocklist.find(tx, store.id, "do you have % or _ of umbrellas?")).ids


async def test_other_stores_are_let_go_before_there_are_too_many_names(
    app: App, workspace: UUID, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stocklist, "_KEPT_IN_ALL", 2)
    await stock(app, workspace, store, product(1, "Linen shirt"), product(2, "Blue mug"))
    old = {(workspace, workspace): stocklist._Kept((), stocklist.Goods([stocklist.Named("x", "Old hat")]))}
    monkeypatch.setattr(stocklist, "_kept", old)
    async with app.db.transaction(workspace) as tx:
        await stocklist.find(tx, store.id, "the linen shirt")
    assert list(old) == [(workspace, store.id)]


async def translate(app: App, workspace: UUID, title: str, **told: str) -> None:
    async with app.db.transaction(workspace) as tx:
        known = {code: {"title": words, "choices": {}} for code, words in told.items()}
        await tx.execute(update(Product).where(Product.title == title).values(translations=known))


async def test_a_translation_counts_as_a_name_at_once_though_its_product_did_not_change(
    app: App, workspace: UUID, store: Store
) -> None:
    await stock(app, workspace, store, product(1, "Linen shirt"), product(2, "Blue mug"))
    async with app.db.transaction(workspace) as tx:
        assert await read(tx, store, "هل لديكم كوب أزرق") == (0, 2)
    await translate(app, workspace, "Blue mug", ar="كوب أزرق", he="ספל כחול")
    async with app.db.transaction(workspace) as tx:
        assert await read(tx, store, "هل لديكم الكوب الأزرق؟") == (1, 2)
        assert await read(tx, store, "כמה עולה הספל הכחול") == (1, 1)
        assert await read(tx, store, "the blue mug") == (1, 1)
    await translate(app, workspace, "Blue mug", ar="فنجان أزرق")
    async with app.db.transaction(workspace) as tx:
        assert (await read(tx, store, "כמה עולה ספל כחול"))[0] == 0
        assert (await read(tx, store, "بكم الفنجان الأزرق"))[0] == 1


async def test_in_a_shop_with_more_than_are_kept_an_exact_translation_is_found(
    app: App, workspace: UUID, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stocklist, "KEPT", 3)
    await stock(app, workspace, store, product(1, "Clay pot"), *(product(at + 2, f"Shirt {at}") for at in range(6)))
    await translate(app, workspace, "Clay pot", ar="قدر فخّار", he="סיר חרס")
    async with app.db.transaction(workspace) as tx:
        for text in ("بكم قدر فخّار؟", "כמה עולה סיר חרס", "how much is the clay pot"):
            assert len((await stocklist.find(tx, store.id, text)).ids) == 1, text
