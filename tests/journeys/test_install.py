"""Walk a: a merchant connects a store by the platform's own flow, and its history arrives to the end."""

from urllib.parse import urlsplit

from integrations.woocommerce.install import RETURN
from integrations.woocommerce.webhooks import TOPICS as WOO_TOPICS
from plugin import stores
from plugin.crm.customers import Customer
from plugin.crm.orders import Order, OrderReturn
from plugin.kernel.events import Event
from plugin.returns.records import ReturnRequest
from plugin.stores import Store
from tests.journeys.conftest import SHOP, SHOPIFY_STOREFRONT, WOO, Owner, World


async def test_opening_the_app_in_shopifys_admin_connects_the_store(world: World, shopify_store: Store) -> None:
    assert (shopify_store.platform, shopify_store.status) == ("shopify", stores.CONNECTED)
    assert f"https://{SHOP}" in shopify_store.origins
    launch = await world.control(f"https://{SHOP}", "launch")
    page = await world.browser().get(launch["url"])
    assert page.status_code == 200
    policy = page.headers["content-security-policy"]
    assert f"frame-ancestors https://{SHOP} https://admin.shopify.com" in policy
    assert "shpat_" not in page.text
    connected = await world.all(shopify_store.workspace_id, Event, Event.kind == "store.connected")
    assert len(connected) == 1


async def test_shopifys_history_arrives_to_the_end(world: World, shopify_store: Store) -> None:
    history = await world.history_of(shopify_store)
    counts = (await world.control(f"https://{SHOP}", "status"))["counts"]
    orders = await world.all(shopify_store.workspace_id, Order, Order.store_id == shopify_store.id)
    # Without read_all_orders Shopify shows 60 days, and the panel says so.
    assert 0 < len(orders) < counts["orders"]
    limited = history["orders"]
    assert limited.limited_before is not None
    assert limited.limited_by == "read_all_orders"
    assert min(order.placed_at for order in orders) >= limited.limited_before
    assert len({order.external_id for order in orders}) == len(orders)
    known = await world.all(shopify_store.workspace_id, Customer)
    assert len(known) >= counts["customers"]


async def test_returns_that_lie_open_in_shopify_at_the_install_stand_in_the_queue(
    world: World, shopify_store: Store
) -> None:
    await world.history_of(shopify_store)
    told = await world.all(shopify_store.workspace_id, OrderReturn, OrderReturn.store_id == shopify_store.id)
    lie_open = {one.external_id: one.status for one in told if one.status in ("requested", "open")}
    assert "requested" in lie_open.values()

    async def taken_over() -> dict[str, str]:
        found = await world.all(shopify_store.workspace_id, ReturnRequest, ReturnRequest.external_id.in_(lie_open))
        return {one.external_id: one.state for one in found} if len(found) == len(lie_open) else {}

    states = await world.until(taken_over, what="taking over")
    assert {id: state == "requested" for id, state in states.items()} == {
        id: status == "requested" for id, status in lie_open.items()
    }


async def test_the_plugins_button_connects_a_woocommerce_store(world: World, woo_store: Store, owner: Owner) -> None:
    assert woo_store.workspace_id == owner.workspace_id
    assert (woo_store.platform, woo_store.status, woo_store.external_id) == ("woocommerce", stores.CONNECTED, WOO)
    state = await world.control(WOO, "state")
    assert state["paired"] == {"store_id": str(woo_store.id), "public_key": woo_store.public_key}
    page = await owner.browser.get(f"{world.url}/panel/stores")
    assert woo_store.name in page.text
    async with world.client() as http:
        storefront = await http.get(f"{WOO}/")
    assert f'data-store="{woo_store.public_key}"' in storefront.text


async def test_woocommerces_history_arrives_to_the_end(world: World, woo_store: Store) -> None:
    await world.history_of(woo_store)
    counts = (await world.control(WOO, "state"))["counts"]
    orders = await world.all(woo_store.workspace_id, Order, Order.store_id == woo_store.id)
    assert len(orders) == counts["order"]
    assert {order.currency for order in orders} == {woo_store.currency}


async def test_woocommerces_webhooks_are_registered_once_each(world: World, woo_store: Store) -> None:
    async def all_there() -> bool:
        return int((await world.control(WOO, "state"))["counts"]["webhook"]) == len(WOO_TOPICS)

    await world.until(all_there, what="registration")


async def test_the_widget_is_where_the_merchant_switches_it_on(world: World, shopify_store: Store) -> None:
    async with world.client() as http:
        assert shopify_store.public_key not in (await http.get(f"https://{SHOPIFY_STOREFRONT}/")).text
        await world.control(f"https://{SHOP}", "embed", {"enabled": True})
        page = (await http.get(f"https://{SHOPIFY_STOREFRONT}/")).text
    assert shopify_store.public_key in page
    assert f'data-server="{world.url}"' in page


async def test_a_woocommerce_store_is_connected_without_the_plugin_too(world: World, owner: Owner) -> None:
    """Typed address, page that asks first, grant in the shop, back to the panel: the store that is there stays one."""
    page = await owner.browser.get(f"{world.url}/panel/connect/woocommerce")
    grant = await owner.browser.submit(page, "site", {"site": f"{WOO}/wp-admin/"})
    done = await owner.browser.click(grant, "approve")
    assert urlsplit(str(done.url)).path == RETURN
    found = await world.all(owner.workspace_id, Store, Store.external_id == WOO)
    assert len(found) == 1


async def test_a_denied_grant_connects_nothing(world: World, woo_store: Store, owner: Owner) -> None:
    keys = (await world.control(WOO, "state"))["counts"]["key"]
    page = await owner.browser.get(f"{world.url}/panel/connect/woocommerce")
    grant = await owner.browser.submit(page, "site", {"site": WOO})
    back = await owner.browser.click(grant, "deny")
    assert urlsplit(str(back.url)).path == RETURN
    assert "was not connected" in back.text
    assert (await world.control(WOO, "state"))["counts"]["key"] == keys
    (store,) = await world.all(owner.workspace_id, Store, Store.external_id == WOO)
    assert store.status == stores.CONNECTED, "who said no to a second connection keeps the first"


async def test_a_shop_that_is_somebody_elses_is_asked_for_nothing(world: World, woo_store: Store) -> None:
    stranger = world.browser()
    page = await stranger.get(f"{world.url}/sign-up")
    fields = {"name": "Gal", "workspace": "Other", "email": "gal@other.example", "password": "another long evening"}
    await stranger.submit(page, "password", fields)
    connect = await stranger.get(f"{world.url}/panel/connect/woocommerce")
    refused = await stranger.submit(connect, "site", {"site": WOO})
    # The shop is somebody else's already: nobody is sent there.
    assert refused.status_code == 422
    assert refused.url.path == "/panel/connect/woocommerce"
