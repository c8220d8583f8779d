"""The port over the simulator: history with checkpoints, changes, webhooks, health, and who is asking."""

import dataclasses
import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import func, update

from integrations.shopify import platform as platform_module
from integrations.shopify import webhooks
from integrations.shopify.install import REQUIRED_SCOPES
from integrations.shopify.platform import check_download
from integrations.shopify.simulator import embed, oauth, trade
from plugin import stores
from plugin.kernel.config import Demo
from plugin.platform import Connection, CustomerRecord, OrderRecord, Page, PlatformError, Record, Resource
from tests.integrations.shopify.conftest import PUBLIC_URL, World


async def _all(world: World, connection: Connection, resource: Resource, cursor: str | None = None) -> list[Page]:
    pages: list[Page] = []
    while True:
        page = await world.platform.history(connection, resource, cursor)
        pages.append(page)
        cursor = page.cursor
        if cursor is None:
            return pages


def _ids(records: list[Record]) -> list[str]:
    return [record.external_id for record in records]


async def test_history_is_everything_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform_module, "PAGE_ROOTS", 70)
    connection = await world.connect(scopes=["read_all_orders"])
    shop = world.sim.shop
    for resource in Resource:
        kind = str(resource)
        pages = await _all(world, connection, resource)
        records = [record for page in pages for record in page.records]
        wanted = [doc["admin_graphql_api_id"] for doc in shop.state.all(kind)]
        assert sorted(_ids(records)) == sorted(wanted)
        assert pages[-1].total == len(wanted)
        assert all(page.limited_before is None for page in pages)
        if resource is Resource.ORDERS:
            assert len([page for page in pages if page.records]) == -(-len(wanted) // 70)
            lines = {doc["admin_graphql_api_id"]: len(doc["line_items"]) for doc in shop.state.all("orders")}
            assert {one.external_id: len(one.lines or ()) for one in records if isinstance(one, OrderRecord)} == lines
    assert world.wire.count("mutation BulkRun") == 3


async def test_history_resumes_where_it_stopped_in_another_process(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform_module, "PAGE_ROOTS", 50)
    connection = await world.connect()
    cursor, first = None, Page((), None)
    while not first.records:
        first = await world.platform.history(connection, Resource.CUSTOMERS, cursor)
        cursor = first.cursor
    assert cursor is not None
    assert cursor.startswith("bulk:gid://shopify/BulkOperation/")
    world.platform = world.another_process()
    rest = [record for page in await _all(world, connection, Resource.CUSTOMERS, cursor) for record in page.records]
    again = await world.platform.history(connection, Resource.CUSTOMERS, cursor)
    assert _ids(list(again.records)) == _ids(rest)[:50], "a page asked for twice is the same page"
    found = [*_ids(list(first.records)), *_ids(rest)]
    assert len(found) == len(set(found)) == world.sim.shop.state.count("customers")
    assert world.wire.count("mutation BulkRun") == 1


async def test_a_server_that_knows_ranges_sends_the_rest_only(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform_module, "PAGE_ROOTS", 50)
    connection = await world.connect()
    sent: list[str] = []

    async def storage(request: httpx.Request) -> httpx.Response | None:
        if request.url.host != "storage.googleapis.com":
            return None
        name = request.url.path.rpartition("/")[2].removesuffix(".jsonl")
        held = world.sim.shop.state.get("files", name)
        assert held is not None
        start = int(request.headers["range"].removeprefix("bytes=").removesuffix("-"))
        sent.append(request.headers["range"])
        body = held["text"].encode()
        if start >= len(body):
            return httpx.Response(416)
        return httpx.Response(206, content=body[start:])

    world.wire.before = storage
    pages = await _all(world, connection, Resource.CUSTOMERS)
    found = _ids([record for page in pages for record in page.records])
    assert len(found) == len(set(found)) == world.sim.shop.state.count("customers")
    assert sent[0] == "bytes=0-"
    assert len(set(sent)) == len(sent) == 3
    cursor = next(page.cursor for page in pages if page.cursor)
    past = await world.platform.history(connection, Resource.CUSTOMERS, cursor.rpartition(":")[0] + ":99999999")
    assert (past.records, past.cursor) == ((), None)


async def test_without_read_all_orders_history_says_how_far_back_it_reaches(world: World) -> None:
    connection = await world.connect()
    pages = await _all(world, connection, Resource.ORDERS)
    found = [record for page in pages for record in page.records]
    assert 0 < len(found) < world.sim.shop.state.count("orders")
    limit = pages[-1].limited_before
    assert pages[-1].limited_by == "read_all_orders"
    assert limit is not None
    assert abs(limit - (datetime.now(UTC) - timedelta(days=60))) < timedelta(minutes=1)
    assert min(one.placed_at for one in found if isinstance(one, OrderRecord)) >= limit - timedelta(minutes=1)
    assert (await _all(world, connection, Resource.PRODUCTS))[-1].limited_by == ""


async def test_a_shop_with_nothing_has_a_history_of_nothing(world: World) -> None:
    connection = await world.connect()
    world.sim.shop.state.clear("orders")
    pages = await _all(world, connection, Resource.ORDERS)
    assert [page.records for page in pages if page.records] == []


@pytest.mark.parametrize("why", ["refused", "failed", "expired", "scattered"])
async def test_where_bulk_cannot_be_had_history_goes_page_by_page(world: World, why: str) -> None:
    connection = await world.connect(scopes=["read_all_orders"])
    shop = world.sim.shop
    cursor: str | None = None
    if why == "refused":
        for number in range(5):
            shop.state.put("bulk", number, {"id": number, "status": "RUNNING"})
    else:
        page = await world.platform.history(connection, Resource.ORDERS, None)
        cursor = f"{page.cursor or ''}".rpartition(":")[0] + ":0" if page.cursor else None
        (doc,) = shop.state.all("bulk")
        cursor = f"bulk:gid://shopify/BulkOperation/{doc['id']}:0"
        if why == "failed":
            doc["status"] = "FAILED"
        if why == "expired":
            shop.state.clear("bulk")
        if why == "scattered":
            held = shop.state.get("files", doc["file"])
            assert held is not None
            lines = held["text"].splitlines()
            held["text"] = "\n".join(sorted(lines, key=lambda line: "__parentId" in line)) + "\n"
    pages = await _all(world, connection, Resource.ORDERS, cursor)
    assert any((page.cursor or "").startswith("page:") for page in pages)
    found = [record for page in pages for record in page.records]
    wanted = {doc["admin_graphql_api_id"]: len(doc["line_items"]) for doc in shop.state.all("orders")}
    assert {one.external_id: len(one.lines or ()) for one in found if isinstance(one, OrderRecord)} == wanted


async def test_history_waits_for_the_operation_without_holding_its_caller(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform_module, "_POLL_SECONDS", (0.01, 0.01))
    world.sim.shop.time_scale = 1000
    connection = await world.connect()
    page = await world.platform.history(connection, Resource.ORDERS, None)
    assert page.records == ()
    assert page.cursor is not None
    assert page.cursor == (await world.platform.history(connection, Resource.ORDERS, page.cursor)).cursor


@pytest.mark.parametrize(
    "url",
    [
        "http://storage.googleapis.com/x", "https://storage.googleapis.com.evil.com/x", "https://evil.com/x",
        "https://evilstorage.googleapis.com/x", "https://storage.googleapis.com:8443/x", "file:///etc/passwd",
        "https://storage.googleapis.com@evil.com/x", "",
    ],
)  # fmt: skip
def test_bulk_files_come_from_googles_storage_only(url: str) -> None:
    with pytest.raises(PlatformError):
        check_download(url)


def test_bulk_files_of_a_bucket_pass() -> None:
    check_download("https://storage.googleapis.com/a/b.jsonl?x=1")
    check_download("https://bucket.storage.googleapis.com/a/b.jsonl")


# --- changes --------------------------------------------------------------------------------------------------------


async def test_changes_are_what_changed_since(world: World) -> None:
    connection = await world.connect()
    shop = world.sim.shop
    since = datetime.now(UTC).replace(microsecond=0)
    shop.state.set("clock_offset", 60)
    changed = [doc["id"] for doc in shop.state.all("customers")[:60]]
    for number in changed:
        trade.update_customer(shop, number, {"note": "again"})
    found: list[str] = []
    cursor: str | None = None
    while True:
        page = await world.platform.changes(connection, Resource.CUSTOMERS, since, cursor)
        found += _ids(list(page.records))
        cursor = page.cursor
        if cursor is None:
            break
    assert sorted(found) == sorted(f"gid://shopify/Customer/{number}" for number in changed)


async def test_every_address_of_a_customer_is_read_the_default_first(world: World) -> None:
    """A page shows five; what a webhook brought must not shrink to them when the store is compared."""
    connection = await world.connect()
    shop = world.sim.shop
    doc = next(one for one in shop.state.all("customers") if one.get("default_address"))
    default = doc["default_address"]
    others = [{**default, "id": default["id"] + number, "address1": f"Street {number}"} for number in range(1, 8)]
    shop.state.set("clock_offset", 60)
    since = datetime.now(UTC).replace(microsecond=0)
    trade.update_customer(shop, doc["id"], {"addresses": [*others, default]})
    (found,) = (await world.platform.changes(connection, Resource.CUSTOMERS, since, None)).records
    assert isinstance(found, CustomerRecord)
    assert [address.line1 for address in found.addresses] == [
        default["address1"], *(f"Street {number}" for number in range(1, 8))
    ]  # fmt: skip


async def test_the_stores_language_is_the_one_of_its_primary_domain(world: World) -> None:
    world.sim.shop.state.set("primary_locale", "he-IL")
    await world.connect()
    assert (await world.store()).locale == "he"


async def test_a_long_order_is_read_to_its_last_line(world: World) -> None:
    connection = await world.connect()
    shop = world.sim.shop
    variants = [variant["id"] for product in shop.state.all("products") for variant in product["variants"]][:65]
    since = datetime.now(UTC) - timedelta(seconds=1)
    order = trade.place_order(shop, [(one, 1) for one in variants], customer=None, email="a@example.com")
    for line in order["line_items"][:7]:
        trade.fulfil(shop, order["id"], quantities={line["id"]: 1})
    page = await world.platform.changes(connection, Resource.ORDERS, since, None)
    (record,) = page.records
    assert isinstance(record, OrderRecord)
    assert len(record.lines or ()) == 65
    assert len(record.fulfilments or ()) == 7


# --- webhooks and health --------------------------------------------------------------------------------------------


async def test_optional_topics_follow_their_scope(world: World) -> None:
    connection = await world.connect()
    findings = await world.platform.register_webhooks(connection)
    assert [(one.code, one.ok) for one in findings] == [("webhooks", True)]
    shop = world.sim.shop
    oauth.change_scopes(shop, [*shop.granted, "read_customer_merge"])
    assert [one.code for one in await world.platform.register_webhooks(connection)] == ["webhook_added"]
    (held,) = shop.state.all("subscriptions")
    assert (held["topic"], held["uri"]) == ("CUSTOMERS_MERGE", f"{PUBLIC_URL}/webhooks/shopify")
    assert [one.code for one in await world.platform.register_webhooks(connection)] == ["webhook_kept"]
    held["uri"] = "https://old.example.com/webhooks/shopify"
    mended = {one.code for one in await world.platform.register_webhooks(connection)}
    assert mended == {"webhook_moved", "webhook_removed"}, "one of ours at an old address did not go missing"
    shop.state.set("granted", list(REQUIRED_SCOPES))
    assert [one.code for one in await world.platform.register_webhooks(connection)] == ["webhook_removed"]
    assert shop.state.all("subscriptions") == []


async def test_the_theme_is_told_the_widgets_key(world: World) -> None:
    connection = await world.connect()
    await world.platform.register_webhooks(connection)
    held = world.sim.shop.state.setting("metafields")
    assert held["ahlan.public_key"] == (await world.store()).public_key
    assert held["ahlan.server"] == PUBLIC_URL
    assert held["ahlan.proxy_path"] == "/apps/support"


async def test_a_renamed_proxy_is_noticed_and_the_theme_follows(world: World) -> None:
    connection = await world.connect()

    async def noticed() -> list[tuple[bool, str]]:
        found = await world.platform.check(connection)
        return [(one.ok, one.detail) for one in found if one.code == "proxy_renamed"]

    assert await noticed() == [(True, "")]
    world.sim.shop.state.set("proxy_prefix", "/tools/help")
    assert await noticed() == [(False, "/apps/support")]
    assert world.session is not None
    where = (world.session.workspace_id, world.session.store_id)
    for stranger in ("/apps/support", "//evil.example/x", "/a/b/c", "/tools/help?x="):
        await world.platform.proxy_seen(where, stranger)
    assert "proxy_path" not in (await world.store()).widget
    await world.platform.proxy_seen(where, "/tools/help")
    assert await noticed() == [(True, "")]
    await world.platform.register_webhooks(connection)
    assert world.sim.shop.state.setting("metafields")["ahlan.proxy_path"] == "/tools/help"
    world.sim.shop.state.set("embed", {"enabled": True})
    tag = embed.tag(world.sim.shop, "en")
    assert tag is not None
    assert tag["data-identity"] == "/tools/help/identity"


async def test_check_says_what_is_missing(world: World) -> None:
    connection = await world.connect()
    good = {finding.code: finding for finding in await world.platform.check(connection)}
    assert good["credentials"].ok
    assert good["scopes"].ok
    shop = world.sim.shop
    home = f"https://{world.domain}/admin/apps/{world.settings.shopify.client_id}"
    for code, scope in (("history_limited", "read_all_orders"), ("merges_unseen", "read_customer_merge")):
        assert (good[code].ok, good[code].detail, good[code].ask) == (False, home, scope)
    shop.state.set("granted", [scope for scope in shop.granted if scope != "read_returns"])
    bad = [finding for finding in await world.platform.check(connection) if finding.code == "scope_missing"]
    assert [(finding.ok, finding.detail) for finding in bad] == [(False, "read_returns")]
    assert "read_returns" not in (await world.store()).scopes
    shop.state.clear("tokens")
    shop.state.clear("refresh")
    (dead,) = await world.platform.check(connection)
    assert (dead.code, dead.ok) == ("credentials", False)
    assert (await world.store()).status == stores.NEEDS_REAUTH


async def test_customers_that_shopify_hides_are_noticed(world: World) -> None:
    """Not approved for customers' data: status 200, nothing where the customer was, and an error beside it."""
    connection = await world.connect()

    async def redacted(request: httpx.Request) -> httpx.Response | None:
        if b"query OrdersPage" not in request.content:
            return None
        answer = await world.wire._inner.handle_async_request(request)
        told = json.loads(await answer.aread())
        for node in told["data"]["orders"]["nodes"]:
            node["customer"] = None
        words = "This app is not approved to access the Customer object."
        told["errors"] = [{"message": words, "path": ["orders"], "extensions": {"code": "ACCESS_DENIED"}}]
        return httpx.Response(200, json=told, headers={"x-shopify-api-version": "2026-10"})

    assert {one.code: one.ok for one in await world.platform.check(connection)}["data_withheld"]
    world.wire.before = redacted
    (found,) = [one for one in await world.platform.check(connection) if one.code == "data_withheld"]
    assert (found.ok, "not approved" in found.detail) == (False, True)


async def test_a_version_that_is_not_ours_is_found(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = await world.connect()

    async def older(request: httpx.Request, answer: httpx.Response) -> None:
        if "graphql" in str(request.url):
            answer.headers["x-shopify-api-version"] = "2026-01"

    world.wire.after = older
    found = {finding.code: finding for finding in await world.platform.check(connection)}
    assert found["api_version"].detail == "2026-01"


async def _store_says(world: World, connection: Connection, **values: object) -> None:
    async with world.app.db.transaction(connection.workspace_id) as tx:
        await tx.execute(update(stores.Store).where(stores.Store.id == connection.store_id).values(**values))


async def test_the_embed_is_on_when_its_loader_was_seen(world: World) -> None:
    connection = await world.connect()
    off = await world.platform.embed_state(connection)
    assert (off.code, off.ok) == ("embed_unseen", False)
    assert off.detail == (
        f"https://{world.domain}/admin/themes/current/editor"
        f"?context=apps&template=product&activateAppId={world.settings.shopify.client_id}/support"
    )
    await _store_says(world, connection, embed_seen_at=func.now())
    assert (await world.platform.embed_state(connection)).ok
    await _store_says(world, connection, embed_seen_at=datetime.now(UTC) - timedelta(days=8))
    assert not (await world.platform.embed_state(connection)).ok, "a week without a visit says nothing any more"


async def test_what_shopifys_admin_says_of_the_embed_counts_more(world: World) -> None:
    connection = await world.connect()
    await _store_says(world, connection, embed_seen_at=func.now(), embed_active=False)
    off = await world.platform.embed_state(connection)
    assert (off.code, off.ok) == ("embed", False)
    assert off.detail.endswith("/support")
    await _store_says(world, connection, embed_seen_at=None, embed_active=True)
    assert (await world.platform.embed_state(connection)).ok, "a quiet shop is not one that is switched off"


async def test_in_the_demo_the_deep_link_leads_into_the_stand_in_admin(world: World) -> None:
    connection = await world.connect()
    admin = "http://admin-shopify-demo.localhost:8001"
    object.__setattr__(world.settings, "demo", Demo(app_bridge_url=f"{admin}/app-bridge.js"))
    assert (await world.platform.embed_state(connection)).detail.startswith(f"{admin}/themes/current/editor?")


# --- who is asking --------------------------------------------------------------------------------------------------


async def test_a_shopper_token_is_good_for_its_store_only(world: World) -> None:
    connection = await world.connect()
    gid = "gid://shopify/Customer/7"
    token = world.platform.shopper_token((connection.workspace_id, connection.store_id), gid)
    identity = await world.platform.shopper_identity(connection, token)
    assert identity is not None
    assert (identity.customer_external_id, identity.store_id) == (gid, connection.store_id)
    elsewhere = dataclasses.replace(connection, store_id=uuid4())
    assert await world.platform.shopper_identity(elsewhere, token) is None
    for bad in ("", "x.y", token[:-2], world.app.vault.sign("other", {"store": str(connection.store_id)}, 60),
                world.app.vault.sign("shopper", {"store": str(connection.store_id)}, -1)):  # fmt: skip
        assert await world.platform.shopper_identity(connection, bad) is None


async def test_the_panels_head(world: World) -> None:
    assert world.platform.panel_head() == {
        "script": "https://cdn.shopify.com/shopifycloud/app-bridge.js",
        "api_key": world.settings.shopify.client_id,
        "frame_ancestors": "https://admin.shopify.com",
        "embed": "support",
        "install_url": "",
    }


async def test_an_address_that_nobody_proved_is_not_taken(world: World) -> None:
    oauth.install(world.sim.shop)

    async def unproved(request: httpx.Request) -> httpx.Response | None:
        if b"online-access-token" not in request.content or b"offline" in request.content:
            return None
        person = {"id": int(oauth.OWNER), "first_name": "X", "email": "victim@example.com", "email_verified": False}
        return httpx.Response(200, json={"access_token": "t", "scope": "", "associated_user": person})

    world.wire.before = unproved
    assert (await world.platform.admin_session(world.token())).staff_email == ""


async def test_a_panel_without_names_is_better_than_none(world: World) -> None:
    await world.connect()

    async def down(request: httpx.Request) -> httpx.Response | None:
        return httpx.Response(400, json={"error": "temporarily_unavailable"})

    world.wire.before = down
    session = await world.platform.admin_session(world.token(user="548380011"))
    assert (session.staff_id, session.staff_name, session.administrator) == ("548380011", "", False)


async def test_webhooks_are_read_for_the_store_they_were_sent_to(world: World) -> None:
    connection = await world.connect()
    body = f'{{"shop_id":1,"shop_domain":"{world.domain}"}}'.encode()
    (notice,) = world.platform.read_webhook("shop/redact", body, datetime.now(UTC), connection)
    assert notice.kind == "shop_redact"
    with pytest.raises(ValueError):
        world.platform.read_webhook("shop/redact", body.replace(b"shop-", b"shap-"), datetime.now(UTC), connection)
    assert set(webhooks.COMPLIANCE_TOPICS) <= set(webhooks.TOPICS)
