"""What a Shopify shop calls its goods in other languages: read with a permission that may be given and taken back, and
again after a product changed, from where it stopped.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import delete, select, text, update

from integrations.shopify import translations as reading
from integrations.shopify.simulator import oauth, trade
from integrations.shopify.simulator.shop import gid
from plugin.bot import stocklist
from plugin.crm import reconcile, sync, translations
from plugin.crm.products import Product
from plugin.kernel import jobs
from plugin.platform import ACCESS_DENIED, Connection, PlatformError, ProductTranslation, Resource
from plugin.reactions import TASKS
from plugin.stores import Store
from tests.integrations.shopify.conftest import World, with_platform

SCOPE = "read_translations"
BOWL = {"ar": {"title": "سلطانية سلطة", "choices": {"Sand": "رملي"}}, "he": {"title": "קערת סלט"}}


@pytest.fixture
async def shop(world: World, monkeypatch: pytest.MonkeyPatch) -> Connection:
    """A shop of three goods with English titles, of which one has translations; the permission is not given."""
    monkeypatch.setattr(stocklist, "_kept", {})
    connection = await world.connect()
    held = world.sim.shop
    for doc in held.state.all("products")[3:]:
        held.state.delete("products", doc["id"])
    for doc, title in zip(held.state.all("products"), ("Salad bowl", "Tea towel", "Candle"), strict=True):
        trade.update_product(held, doc["id"], {"title": title})
    first = held.state.all("products")[0]
    first["options"] = [{"name": "Colour", "values": ["Sand", "Olive"]}]
    held.state.put("products", first["id"], first)
    held.state.set("translations", {str(first["id"]): BOWL})
    await take(world, connection)
    return connection


async def take(world: World, connection: Connection) -> None:
    """The catalogue as the shop tells it now."""
    page = await world.platform.changes(connection, Resource.PRODUCTS, datetime(2020, 1, 1, tzinfo=UTC), None)
    async with world.app.db.transaction(connection.workspace_id) as tx:
        store = await tx.get(Store, connection.store_id)
        assert store is not None
        await sync.apply(tx, store, page.records)


async def allow(world: World, *, yes: bool) -> None:
    granted = [scope for scope in world.sim.shop.granted if scope != SCOPE]
    oauth.change_scopes(world.sim.shop, [*granted, SCOPE] if yes else granted)


async def check(world: World, connection: Connection, *, profile: bool = False) -> None:
    """The hourly check of the store, and what follows it."""
    await reconcile.check_store(
        with_platform(world), connection.workspace_id, store_id=str(connection.store_id), profile=profile
    )
    await work(world, connection)


async def work(world: World, connection: Connection, *, later: bool = False) -> int:
    """Run what waits about translations; returns how many jobs ran. `later`: a minute has passed."""
    ran = 0
    row = jobs.JobRow
    if later:
        async with world.app.db.transaction(connection.workspace_id) as tx:
            await tx.execute(update(row).where(row.task == "read_translations").values(run_at=text("now()")))
    while True:
        async with world.app.db.transaction(connection.workspace_id) as tx:
            due = await tx.scalar(
                select(row.id)
                .where(row.task.in_(("begin_translations", "read_translations")), row.run_at <= text("now()"))
                .where(row.done_at.is_(None), row.failed_at.is_(None))
                .limit(1)
            )
        if due is None:
            return ran
        await jobs.run(world.app.db, with_platform(world), TASKS, connection.workspace_id, due)
        ran += 1


async def kept(world: World, connection: Connection) -> dict[str, dict[str, Any]]:
    """The translations that stand in the catalogue, by title."""
    async with world.app.db.transaction(connection.workspace_id) as tx:
        rows = await tx.scalars(select(Product).where(Product.store_id == connection.store_id))
        return {row.title: row.translations for row in rows}


async def named(world: World, connection: Connection, question: str) -> list[str]:
    async with world.app.db.transaction(connection.workspace_id) as tx:
        found = await stocklist.find(tx, connection.store_id, question)
        rows = await tx.scalars(select(Product.title).where(Product.id.in_(map(UUID, found.ids))))
        return list(rows)


def first_id(world: World) -> str:
    return gid("Product", world.sim.shop.state.all("products")[0]["id"])


async def test_without_the_permission_nothing_is_told_and_nothing_is_asked_for_again(
    world: World, shop: Connection
) -> None:
    with pytest.raises(PlatformError) as refused:
        await world.platform.product_translations(shop, [first_id(world)], ["ar"])
    assert refused.value.code == ACCESS_DENIED
    asked = world.wire.count("ProductTranslations")
    await check(world, shop)
    assert world.wire.count("ProductTranslations") == asked
    assert not any((await kept(world, shop)).values())
    assert await named(world, shop, "هل لديكم سلطانية سلطة؟") == []
    assert await named(world, shop, "do you have the salad bowl") == ["Salad bowl"]


async def test_with_it_titles_and_choices_are_read_by_pages(
    world: World, shop: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await allow(world, yes=True)
    monkeypatch.setattr(reading, "PRODUCTS", 2)
    all_of_them = [gid("Product", one["id"]) for one in world.sim.shop.state.all("products")]
    before = world.wire.count("ProductTranslations")
    told = await world.platform.product_translations(shop, [*all_of_them, gid("Product", 1)], ["ar", "he"])
    assert told == [
        ProductTranslation(first_id(world), "ar", "سلطانية سلطة", {"Sand": "رملي"}),
        ProductTranslation(first_id(world), "he", "קערת סלט"),
    ]
    assert world.wire.count("ProductTranslations") - before == 4


async def test_once_it_is_given_goods_are_named_in_the_shoppers_language_and_no_more_once_it_is_taken_back(
    world: World, shop: Connection
) -> None:
    await check(world, shop)
    await allow(world, yes=True)
    await check(world, shop)
    titles = await kept(world, shop)
    assert titles == {
        "Salad bowl": {"ar": {"title": "سلطانية سلطة", "choices": {"Sand": "رملي"}},
                       "he": {"title": "קערת סלט", "choices": {}}},
        "Tea towel": {}, "Candle": {},
    }  # fmt: skip
    for question in ("هل لديكم السلطانية؟", "יש לכם את קערת הסלט?", "is the salad bowl there?"):
        assert await named(world, shop, question) == ["Salad bowl"], question
    await allow(world, yes=False)
    await check(world, shop)
    assert not any((await kept(world, shop)).values())
    assert await named(world, shop, "هل لديكم سلطانية سلطة؟") == []
    assert await named(world, shop, "is the salad bowl there?") == ["Salad bowl"]


async def test_a_product_that_changes_is_read_again_soon_and_the_others_are_not(
    world: World, shop: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await allow(world, yes=True)
    await check(world, shop)
    held = world.sim.shop
    towel = held.state.all("products")[1]
    held.state.set("clock_offset", 3600)
    trade.update_product(held, towel["id"], {"tags": "linen"})
    held.state.set("translations", {str(towel["id"]): {"ar": {"title": "فوطة مطبخ"}}})
    await take(world, shop)
    asked = world.wire.count("ProductTranslations")
    assert await work(world, shop) == 0, "stock changes by the minute: what follows waits for them"
    assert await work(world, shop, later=True) == 1
    assert world.wire.count("ProductTranslations") - asked == 2
    titles = await kept(world, shop)
    assert titles["Tea towel"]["ar"]["title"] == "فوطة مطبخ"
    assert titles["Salad bowl"]["ar"]["title"] == "سلطانية سلطة"
    assert await named(world, shop, "عندكم فوط المطبخ؟") == ["Tea towel"]


async def test_a_translation_that_changes_by_itself_is_read_within_a_day(world: World, shop: Connection) -> None:
    await allow(world, yes=True)
    await check(world, shop)
    changed = {"ar": {"title": "وعاء خزفي"}}
    world.sim.shop.state.set("translations", {str(world.sim.shop.state.all("products")[0]["id"]): changed})
    await check(world, shop)
    assert (await kept(world, shop))["Salad bowl"]["ar"]["title"] == "سلطانية سلطة"
    await check(world, shop, profile=True)
    assert (await kept(world, shop))["Salad bowl"] == {"ar": {"title": "وعاء خزفي", "choices": {}}}
    assert await named(world, shop, "بكم الوعاء الخزفي") == ["Salad bowl"]


async def test_a_shop_that_does_not_answer_is_asked_on_where_the_reading_stopped(
    world: World, shop: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await allow(world, yes=True)
    monkeypatch.setattr(translations, "AT_ONCE", 1)
    answers = 0

    async def stop(request: httpx.Request) -> httpx.Response | None:
        nonlocal answers
        if b"ProductTranslations" not in request.content:
            return None
        answers += 1
        return httpx.Response(429) if answers > 2 else None

    world.wire.before = stop
    await reconcile.check_store(with_platform(world), shop.workspace_id, store_id=str(shop.store_id))
    await work(world, shop)
    async with world.app.db.transaction(shop.workspace_id) as tx:
        read = list(await tx.scalars(select(Product.title).where(Product.translated_version.is_not(None))))
        waiting = await tx.scalar(
            select(jobs.JobRow.run_at).where(jobs.JobRow.task == "read_translations", jobs.JobRow.done_at.is_(None))
        )
    assert len(read) == 1
    assert waiting is not None
    assert waiting > datetime.now(UTC) + timedelta(seconds=1)
    world.wire.before = None
    answers = world.wire.count("ProductTranslations")
    async with world.app.db.transaction(shop.workspace_id) as tx:
        await tx.execute(delete(jobs.JobRow).where(jobs.JobRow.task == "read_translations"))
    await check(world, shop)
    assert world.wire.count("ProductTranslations") - answers == 4, "two that were left, in two languages"
    async with world.app.db.transaction(shop.workspace_id) as tx:
        unread = select(Product.title).where(Product.translated_version.is_(None))
        assert list(await tx.scalars(unread)) == []


async def test_the_demo_shop_has_its_goods_in_three_languages(world: World) -> None:
    connection = await world.connect()
    await allow(world, yes=True)
    salad, plate = (world.sim.shop.state.all("products")[at] for at in (0, 1))
    assert (salad["title"], plate["title"]) == ("קערת סלט בעבודת יד", "صحن عشاء")
    ids = [salad["admin_graphql_api_id"], plate["admin_graphql_api_id"]]
    told = await world.platform.product_translations(connection, ids, ["en", "ar", "he"])
    assert [(one.external_id, one.language, one.title) for one in told] == [
        (ids[0], "ar", "سلطانية سلطة من الفخّار"),
        (ids[1], "he", "צלחת מנה עיקרית"),
    ]
    assert told[0].choices == {"חול": "رملي", "זית": "زيتي", "ים": "بحري"}
    assert told[1].choices == {"رملي": "חול", "زيتي": "זית", "بحري": "ים"}


async def test_an_answer_of_another_shape_is_said_to_be_one(world: World, shop: Connection) -> None:
    await allow(world, yes=True)

    async def odd(request: httpx.Request) -> httpx.Response | None:
        if b"ProductTranslations" not in request.content:
            return None
        return httpx.Response(200, json={"data": {"nodes": [{"id": "gid://shopify/Product/1", "translations": 7}]}})

    world.wire.before = odd
    with pytest.raises(PlatformError) as garbage:
        await world.platform.product_translations(shop, [first_id(world)], ["ar"])
    assert garbage.value.code == "garbage"
