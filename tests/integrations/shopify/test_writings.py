"""Pages, posts and policies of a shop: what is read with which permission, and taken into the help centre."""

from __future__ import annotations

import pytest

from integrations.shopify import writings as reading
from integrations.shopify.simulator import oauth
from integrations.shopify.simulator.writings import PAGES
from plugin import team
from plugin.knowledge import articles, importing
from plugin.knowledge.articles import Kind
from plugin.knowledge.importing import Outcome
from plugin.team import Role
from tests.integrations.shopify.conftest import World

CONTENT = ["read_content", "read_legal_policies"]


async def test_what_the_merchant_has_not_allowed_is_named_and_the_rest_is_read(world: World) -> None:
    connection = await world.connect()
    source, drafts, asks = await importing.read_store(world.platform, connection)
    assert (source, drafts, asks) == (f"store:{connection.store_id}", [], ("read_legal_policies", "read_content"))
    oauth.change_scopes(world.sim.shop, [*world.sim.shop.granted, "read_legal_policies"])
    _source, drafts, asks = await importing.read_store(world.platform, connection)
    assert ([one.title for one in drafts], asks) == (["Refund policy", "Shipping policy"], ("read_content",))


async def test_pages_posts_and_policies_come_in_once_and_are_updated_the_second_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = await world.connect()
    shop = world.sim.shop
    oauth.change_scopes(shop, [*shop.granted, *CONTENT])
    monkeypatch.setattr(reading, "PAGE", 2)
    source, drafts, asks = await importing.read_store(world.platform, connection)
    assert asks == ()
    assert [(one.way, one.title, one.language) for one in drafts] == [
        ("policy", "Refund policy", "en"), ("policy", "Shipping policy", "en"), ("page", "Shipping information", "en"),
        ("page", "مقاسات الملابس", "ar"), ("page", "שאלות נפוצות", "he"), ("post", "How to wash linen", "en"),
        ("post", "العناية بالسيراميك", "ar"),
    ]  # fmt: skip
    assert "track()" not in drafts[2].body
    assert f"{connection.url}/policies/refund-policy" in drafts[2].body
    workspace = connection.workspace_id
    async with world.app.db.transaction(workspace) as tx:
        maya = await team.add(tx, name="Maya", email="maya@shop.example", role=Role.ADMIN)
        kept = await importing.keep(tx, maya, source, drafts, "en")
        await importing.take(tx, kept, set(range(7)), by=maya, collection_id=None, publish=True)
        assert kept.report["new"] == 7
    pages = [dict(one) for one in PAGES]
    pages[0]["body"] = "<p>Parcels leave on the same day.</p>"
    shop.state.set("written_pages", pages)
    source, drafts, _asks = await importing.read_store(world.platform, connection)
    async with world.app.db.transaction(workspace) as tx:
        kept = await importing.keep(tx, maya, source, drafts, "en")
        outcomes = [one.outcome for one in await importing.plan(tx, kept)]
        assert outcomes.count(Outcome.SAME) == 6
        assert outcomes[2] is Outcome.CHANGED
        await importing.take(tx, kept, {2}, by=maya, collection_id=None, publish=False)
        every = await articles.listed(tx, Kind.ARTICLE)
    assert len(every) == 7
    changed = next(one for one in every if one.title("en") == "Shipping information")
    assert changed.texts["en"].body == "Parcels leave on the same day."
