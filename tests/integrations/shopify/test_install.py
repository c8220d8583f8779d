"""Installing by token exchange, and coming back: once per shop, whatever comes at the same time."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from integrations.shopify.install import REQUIRED_SCOPES
from integrations.shopify.simulator import oauth
from plugin import stores, workspaces
from plugin.platform import PlatformError, StaleToken
from tests.integrations.shopify.conftest import World


async def test_the_first_good_token_is_the_install(world: World) -> None:
    oauth.install(world.sim.shop)
    session = world.session = await world.platform.admin_session(world.token())
    store = await world.store()
    assert (store.platform, store.external_id, store.status) == ("shopify", world.domain, stores.CONNECTED)
    assert store.name == "Bustan"
    assert f"https://{world.domain}" in store.origins
    assert store.currency == "ILS"
    assert set(store.scopes) == set(REQUIRED_SCOPES)
    assert session.staff_name == "Dana Levi"
    assert session.staff_email == "dana@bustan.example.com"
    assert session.administrator
    assert session.frame_ancestors == (f"https://{world.domain}", "https://admin.shopify.com")
    access, row = await world.secret("access")
    assert access.startswith("shpat_")
    assert row.expires_at is not None
    assert timedelta(minutes=58) < row.expires_at - datetime.now(UTC) <= timedelta(hours=1)
    assert (await world.secret("refresh"))[0].startswith("shprt_")
    assert b"shpat_" not in row.sealed
    async with world.app.db.transaction(session.workspace_id) as tx:
        workspace = await workspaces.current(tx)
    assert workspace is not None
    assert workspace.name == "Bustan"


async def test_a_healthy_store_asks_shopify_for_nothing(world: World) -> None:
    await world.connect()
    before = len(world.wire.requests)
    again = await world.platform.admin_session(world.token())
    assert world.session is not None
    assert (again.workspace_id, again.store_id) == (world.session.workspace_id, world.session.store_id)
    assert len(world.wire.requests) == before


async def test_a_second_staff_member_is_no_administrator(world: World) -> None:
    await world.connect()
    other = await world.platform.admin_session(world.token(user="548380010"))
    assert (other.staff_name, other.administrator, other.locale) == ("Rami Haddad", False, "ar")


async def test_an_agency_that_installs_is_not_taken_for_the_accounts_owner(world: World) -> None:
    """It confirms in the panel that it runs the store; the owner of the account is known by the online token."""
    oauth.install(world.sim.shop)
    first = world.session = await world.platform.admin_session(world.token(user="548380010"))
    assert not first.administrator
    assert first.expires_at is not None
    assert timedelta(0) < first.expires_at - datetime.now(UTC) <= timedelta(minutes=1), "what is open ends with it"
    assert (await world.platform.admin_session(world.token())).administrator


async def test_first_requests_at_once_make_one_workspace_with_one_exchange(world: World) -> None:
    oauth.install(world.sim.shop)
    processes = [world.platform, world.another_process(), world.another_process()]
    sessions = await asyncio.gather(*(one.admin_session(world.token()) for one in processes * 2))
    assert len({(session.workspace_id, session.store_id) for session in sessions}) == 1
    assert len(await world.workspaces_of_shop()) == 1
    assert world.wire.count("offline-access-token") == 1


@pytest.mark.parametrize(
    "overrides",
    [
        {"aud": "another-app"},
        {"exp": None},
        {"dest": "https://evil.myshopify.com"},
        {"seconds": -60},
    ],
)
async def test_a_token_that_is_not_good_installs_nothing(world: World, overrides: dict[str, Any]) -> None:
    oauth.install(world.sim.shop)
    with pytest.raises(StaleToken):
        await world.platform.admin_session(world.token(**overrides))
    assert await world.workspaces_of_shop() == []
    assert world.wire.requests == []


async def test_a_token_that_shopify_finds_stale_is_stale(world: World) -> None:
    """Good by our clock, too old by Shopify's: the page fetches another one, nobody sees a 500."""
    oauth.install(world.sim.shop)
    token = world.token()
    world.sim.shop.state.set("clock_offset", 3600)
    with pytest.raises(StaleToken):
        await world.platform.admin_session(token)


async def test_a_store_of_another_tenant_is_not_reached(world: World, other_workspace: Any) -> None:
    await world.connect()
    assert world.session is not None
    async with world.app.db.transaction(other_workspace) as tx:
        assert await stores.get(tx, world.session.store_id) is None


async def test_a_failed_exchange_leaves_nothing_behind_and_can_be_repeated(world: World) -> None:
    oauth.install(world.sim.shop)

    async def frozen(request: httpx.Request) -> httpx.Response | None:
        return httpx.Response(402) if "graphql" in str(request.url) else None

    world.wire.before = frozen
    with pytest.raises(PlatformError) as error:
        await world.platform.admin_session(world.token())
    assert error.value.code == "shop_frozen"
    assert await world.workspaces_of_shop() == []
    world.wire.before = None
    await world.platform.admin_session(world.token())
    assert len(await world.workspaces_of_shop()) == 1


async def test_a_wrong_client_secret_says_so(world: World) -> None:
    oauth.install(world.sim.shop)

    async def unknown(request: httpx.Request) -> httpx.Response | None:
        return httpx.Response(401, json={"error": "invalid_client"})

    world.wire.before = unknown
    with pytest.raises(PlatformError) as error:
        await world.platform.admin_session(world.token())
    assert (error.value.code, error.value.retry) == ("invalid_client", False)


async def test_uninstalled_and_installed_again_it_is_the_same_store(world: World) -> None:
    connection = await world.connect()
    first = await world.secret("access")
    oauth.uninstall(world.sim.shop)
    async with world.app.db.transaction(connection.workspace_id) as tx:
        store = await stores.get(tx, connection.store_id)
        assert store is not None
        assert await stores.uninstalled(tx, store, datetime.now(UTC))
        await world.platform.disconnected(tx, connection.store_id)
        assert await stores.credential(tx, world.app.vault, connection.store_id, "access") is None
    oauth.install(world.sim.shop)
    again = await world.platform.admin_session(world.token())
    assert (again.workspace_id, again.store_id) == (connection.workspace_id, connection.store_id)
    assert again.administrator
    assert (await world.secret("access"))[0] != first[0]
    # The notice of its earlier life arrives last: it changes nothing.
    async with world.app.db.transaction(connection.workspace_id) as tx:
        store = await stores.get(tx, connection.store_id)
        assert store is not None
        assert not await stores.uninstalled(tx, store, store.installed_at - timedelta(seconds=5))
    assert (await world.store()).status == stores.CONNECTED


async def test_a_store_whose_tokens_died_wakes_when_its_merchant_comes(world: World) -> None:
    connection = await world.connect()
    async with world.app.db.transaction(connection.workspace_id) as tx:
        await stores.needs_reauth(tx, connection.store_id, "test")
    await world.platform.admin_session(world.token())
    assert (await world.store()).status == stores.CONNECTED


async def test_the_previous_secret_opens_the_panel_during_a_rotation(world: World) -> None:
    await world.connect()
    assert world.session is not None
    shop = world.sim.shop
    shop.client_secret = world.settings.shopify.previous_secret
    session = await world.platform.admin_session(world.token())
    assert session.store_id == world.session.store_id
