"""What shoppers do with carts, told to Ahlan: from classic pages and from the blocks, and while nobody listens."""

import json
import re
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

from plugin.crm.carts import Cart
from plugin.crm.customers import Customer
from plugin.crm.orders import Order
from tests.wordpress.conftest import CUSTOMERS, Shop, Visitor, attribute, until
from tests.wordpress.wordpress import WordPress


async def waiting(site: WordPress) -> list[dict[str, Any]]:
    """The events that wait in the shop, oldest first."""
    rows = await site.sql("SELECT body, attempts FROM wp_wc_ahlan_events ORDER BY created, event_id")
    return [{**json.loads(row["body"]), "attempts": int(row["attempts"])} for row in rows]


async def deliver(site: WordPress) -> None:
    """The minute passes, and WordPress's cron turns: whatever is due goes out."""
    await site.run(
        """global $wpdb;
        $wpdb->query( "UPDATE {$wpdb->prefix}wc_ahlan_events SET due = 0" );
        $wpdb->query( "UPDATE {$wpdb->prefix}actionscheduler_actions SET scheduled_at = 0 WHERE status = 'pending'" );
        foreach ( _get_cron_array() as $at => $hooks ) {
            foreach ( array( 'action_scheduler_run_queue', 'wc_ahlan_send_events' ) as $hook ) {
                foreach ( $hooks[ $hook ] ?? array() as $one ) {
                    wp_unschedule_event( $at, $hook, $one['args'] );
                    $one['schedule'] ? wp_schedule_event( time() - 60, $one['schedule'], $hook, $one['args'] )
                        : wp_schedule_single_event( time() - 60, $hook, $one['args'] );
                }
            }
        }
        delete_transient( 'doing_cron' );
        return true;"""
    )
    await site.cron()


class Classic:
    """The classic pages, by their forms."""

    def __init__(self, shop: Shop, person: Visitor) -> None:
        self.shop, self.person, self.url = shop, person, shop.site.url

    async def add(self, product: str, quantity: int) -> None:
        fields = {"add-to-cart": str(self.shop.products[product]), "quantity": str(quantity)}
        await self.person.post(f"{self.url}/product/{product}/", fields)

    async def _key(self, product: str) -> str:
        page = await self.person.get(f"{self.url}/cart/")
        names = {name: key for key, name in re.findall(r'data-key="(\w+)"><td>([^<]*)<', page.text)}
        return str(names[(await self._titles())[product]])

    async def _titles(self) -> dict[str, str]:
        found: dict[str, str] = await self.shop.site.run(
            "return array_map( function ( $id ) { return esc_html( get_the_title( $id ) ); }, $products );",
            products=dict(self.shop.products),
        )
        return found

    async def change(self, product: str, quantity: int) -> None:
        key = await self._key(product)
        page = await self.person.get(f"{self.url}/cart/")
        await self.person.submit(page, "woocommerce-cart-nonce", **{f"cart[{key}][qty]": str(quantity)})

    async def coupon(self, code: str) -> None:
        page = await self.person.get(f"{self.url}/cart/")
        await self.person.submit(page, "woocommerce-cart-nonce", coupon_code=code, apply_coupon="1")

    async def remove(self, product: str) -> None:
        await self.change(product, 0)

    async def checkout(self) -> None:
        await self.person.get(f"{self.url}/checkout/")

    async def order(self, email: str) -> int:
        page = await self.person.get(f"{self.url}/checkout/")
        nonce = next(tag for tag in re.findall(r"<input[^>]*>", page.text) if "woocommerce-process-checkout" in tag)
        fields = {
            "billing_email": email, "billing_first_name": "Layla", "billing_last_name": "Haddad",
            "woocommerce-process-checkout-nonce": attribute(nonce, "value"),
        }  # fmt: skip
        answer = await self.person.http.post(f"{self.url}/?wc-ajax=checkout", data=fields)
        assert answer.json()["result"] == "success", answer.text
        return int(answer.json()["order_id"])


class Blocks:
    """The same through the Store API, as the cart and checkout blocks speak it."""

    def __init__(self, shop: Shop, person: Visitor) -> None:
        self.shop, self.person = shop, person
        self.url = f"{shop.site.url}/wp-json/wc/store/v1"
        self.nonce = ""

    async def _post(self, path: str, body: dict[str, Any]) -> Any:
        if not self.nonce:
            self.nonce = (await self.person.http.get(f"{self.url}/cart")).headers["nonce"]
        answer = await self.person.http.post(f"{self.url}{path}", json=body, headers={"nonce": self.nonce})
        assert answer.status_code in (200, 201), answer.text
        self.nonce = answer.headers["nonce"]
        return answer.json()

    async def _key(self, product: str) -> str:
        cart = (await self.person.http.get(f"{self.url}/cart")).json()
        return next(str(item["key"]) for item in cart["items"] if item["id"] == self.shop.products[product])

    async def add(self, product: str, quantity: int) -> None:
        await self._post("/cart/add-item", {"id": self.shop.products[product], "quantity": quantity})

    async def change(self, product: str, quantity: int) -> None:
        await self._post("/cart/update-item", {"key": await self._key(product), "quantity": quantity})

    async def coupon(self, code: str) -> None:
        await self._post("/cart/apply-coupon", {"code": code})

    async def remove(self, product: str) -> None:
        await self._post("/cart/remove-item", {"key": await self._key(product)})

    async def checkout(self) -> None:
        page = (await self.person.get(f"{self.shop.site.url}/checkout/")).text
        assert "wp-block-woocommerce-checkout" in page

    async def order(self, email: str) -> int:
        billing = {"email": email, "first_name": "Layla", "last_name": "Haddad"}
        answer = await self._post("/checkout", {"billing_address": billing, "payment_method": "cod"})
        return int(answer["order_id"])


async def set_pages(site: WordPress, kind: type[Classic] | type[Blocks]) -> None:
    """Cart and checkout as classic pages or as blocks."""
    await site.run(
        """foreach ( array( 'cart', 'checkout' ) as $page ) {
            $content = $blocks ? "<!-- wp:woocommerce/$page /-->" : "[woocommerce_$page]";
            wp_update_post( array( 'ID' => wc_get_page_id( $page ), 'post_content' => $content ) );
        }
        return true;""",
        blocks=kind is Blocks,
    )


@pytest.mark.parametrize("kind", [Classic, Blocks])
async def test_a_cart_from_first_thing_to_order(
    shop: Shop, visitor: Callable[[], Visitor], kind: type[Classic] | type[Blocks]
) -> None:
    await set_pages(shop.site, kind)
    # Other tests may have left something in this customer's cart.
    await shop.site.run('Ahlan_Queue::clear(); global $wpdb; $wpdb->query( "DELETE FROM wp_woocommerce_sessions" );')
    person = visitor()
    await person.sign_in(shop.site, "layla")
    await person.get(shop.site.url)
    walk = kind(shop, person)

    async def told() -> dict[str, Any]:
        [event] = [event for event in await waiting(shop.site) if event["kind"] == "cart.updated"]
        cart: dict[str, Any] = event["cart"]
        return cart

    def lines(cart: dict[str, Any]) -> dict[str, tuple[int, str]]:
        by_id = {str(number): name for name, number in shop.products.items()}
        return {by_id[item["product_id"]]: (item["quantity"], item["price"]) for item in cart["items"]}

    await walk.add("soap", 2)
    first = await told()
    assert lines(first) == {"soap": (2, "4.500")}
    assert (first["total"], first["currency"], first["coupons"]) == ("9.000", "JOD", [])
    assert (first["customer_id"], first["email"]) == (str(shop.customers["layla"]), CUSTOMERS["layla"][0])
    assert first["items"][0]["name"] == "صابون زيت الزيتون"
    await walk.add("oil", 1)
    await walk.change("soap", 3)
    await walk.coupon("welcome10")
    changed = await told()
    assert lines(changed) == {"soap": (3, "4.500"), "oil": (1, "12.000")}
    assert (changed["coupons"], changed["total"]) == (["welcome10"], "22.950")
    await walk.remove("oil")
    assert lines(await told()) == {"soap": (3, "4.500")}
    assert {event["cart"]["token"] for event in await waiting(shop.site)} == {first["token"]}, "one cart, one token"

    await deliver(shop.site)
    assert await waiting(shop.site) == []

    async def cart() -> Cart | None:
        rows = await shop.ahlan.all(shop.store.workspace_id, Cart, Cart.external_id == first["token"])
        return rows[0] if rows else None

    known = await until(cart, "the cart in the CRM")
    assert (known.total, known.currency, known.exponent, known.completed_at) == (12150, "JOD", 3, None)
    [customer] = await shop.ahlan.all(shop.store.workspace_id, Customer, Customer.id == known.customer_id)
    assert customer.name == "Layla Haddad"

    await walk.checkout()
    assert [event["kind"] for event in await waiting(shop.site)] == ["checkout.started"]
    number = await walk.order(CUSTOMERS["layla"][0])
    [placed] = [event for event in await waiting(shop.site) if event["kind"] == "order.placed"]
    assert (placed["cart"]["order_id"], placed["cart"]["token"]) == (str(number), first["token"])
    assert lines(placed["cart"]) == {"soap": (3, "4.500")}
    await deliver(shop.site)

    async def finished() -> bool:
        row = await cart()
        return row is not None and row.completed_at is not None

    await until(finished, "the end of the cart")

    async def arrived() -> list[Order]:
        return await shop.ahlan.all(shop.store.workspace_id, Order, Order.external_id == str(number))

    # By WooCommerce's own webhook, in whose metadata the cart's token is.
    [order] = await until(arrived, "the order")
    assert (order.cart_token, order.total, order.currency) == (first["token"], 12150, "JOD")
    assert order.customer_id == known.customer_id

    # The next cart is another one.
    await walk.add("zaatar", 1)
    assert (await told())["token"] != first["token"]
    await walk.remove("zaatar")
    await deliver(shop.site)


async def test_a_guest_is_nobody_until_they_say_so(shop: Shop, visitor: Callable[[], Visitor]) -> None:
    await set_pages(shop.site, Classic)
    await shop.site.run("Ahlan_Queue::clear(); return true;")
    walk = Classic(shop, visitor())
    await walk.add("zaatar", 1)
    [event] = await waiting(shop.site)
    assert (event["cart"]["customer_id"], event["cart"]["email"]) == ("", "")
    await walk.order("guest@customers.example")
    placed = [event for event in await waiting(shop.site) if event["kind"] == "order.placed"]
    assert placed[0]["cart"]["email"] == "guest@customers.example"
    await deliver(shop.site)


async def test_somebody_who_only_looks_leaves_nothing(shop: Shop, visitor: Callable[[], Visitor]) -> None:
    await deliver(shop.site)
    person = visitor()
    for path in ("/", "/shop/", "/product/soap/", "/cart/", "/checkout/"):
        await person.get(f"{shop.site.url}{path}")
    assert await waiting(shop.site) == []
    assert [name for name in person.http.cookies if "ahlan" in name.lower()] == []


async def test_while_nobody_listens_the_shop_goes_on_and_nothing_is_lost(
    shop: Shop, visitor: Callable[[], Visitor]
) -> None:
    await set_pages(shop.site, Classic)
    await shop.site.run("Ahlan_Queue::clear(); return true;")
    walk = Classic(shop, visitor())
    await walk.person.get(shop.site.url)
    seen: list[str] = []
    async with shop.ahlan.away():
        await walk.add("soap", 1)
        number = await walk.order("patient@customers.example")
        [event] = [event for event in await waiting(shop.site) if event["kind"] == "order.placed"]
        seen.append(event["cart"]["token"])
        await deliver(shop.site)
        [again] = [event for event in await waiting(shop.site) if event["kind"] == "order.placed"]
        assert (again["id"], again["attempts"]) == (event["id"], 1)
        [due] = await shop.site.sql("SELECT MIN(due) AS due FROM wp_wc_ahlan_events")
        assert int(due["due"]) >= time.time() + 30, "not at once again"
        page = await shop.owner.get(f"{shop.site.url}/wp-admin/admin.php?page=wc-ahlan-settings")
        assert 'data-problem="server_away"' in page.text
    await shop.site.run("delete_transient( 'wc_ahlan_state' ); return true;")
    await deliver(shop.site)
    assert await waiting(shop.site) == []

    async def arrived() -> list[Cart]:
        return await shop.ahlan.all(shop.store.workspace_id, Cart, Cart.external_id == seen[0])

    carts = await until(arrived, "the cart that waited")
    assert any(cart.completed_at for cart in carts)
    page = await shop.owner.get(f"{shop.site.url}/wp-admin/admin.php?page=wc-ahlan-settings")
    assert "data-problem=" not in page.text
    assert number


async def test_after_twelve_tries_it_is_dropped(shop: Shop, visitor: Callable[[], Visitor]) -> None:
    await shop.site.run("Ahlan_Queue::clear(); return true;")
    walk = Classic(shop, visitor())
    async with shop.ahlan.away():
        await walk.add("soap", 1)
        await shop.site.run('global $wpdb; $wpdb->query( "UPDATE {$wpdb->prefix}wc_ahlan_events SET attempts = 10" );')
        await deliver(shop.site)
        assert [event["attempts"] for event in await waiting(shop.site)] == [11]
        await deliver(shop.site)
        assert await waiting(shop.site) == []


async def test_a_request_never_waits_for_us(shop: Shop, visitor: Callable[[], Visitor]) -> None:
    """No page, cart change or order asks our server anything: PHP's outgoing calls are counted."""
    calls = shop.site.folder / "wp-content" / "mu-plugins" / "calls.php"
    calls.parent.mkdir(exist_ok=True)
    calls.write_text(
        "<?php add_filter( 'pre_http_request', function ( $pre, $args, $url ) {"
        " file_put_contents( WP_CONTENT_DIR . '/calls.txt', $url . \"\\n\", FILE_APPEND ); return $pre; }, 10, 3 );"
    )
    log = shop.site.folder / "wp-content" / "calls.txt"
    try:
        walk = Classic(shop, visitor())
        await walk.person.sign_in(shop.site, "omer")
        for path in ("/", "/shop/", "/product/soap/", "/my-account/", "/my-account/ahlan-support/"):
            await walk.person.get(f"{shop.site.url}{path}")
        await walk.add("oil", 1)
        await walk.change("oil", 2)
        await walk.order(CUSTOMERS["omer"][0])
        assert not log.exists() or shop.ahlan.url not in log.read_text()
        await deliver(shop.site)
        assert f"{shop.ahlan.url}/webhooks/woocommerce/{shop.store.id}/cart" in log.read_text(), "the count counts"
    finally:
        calls.unlink()
        log.unlink(missing_ok=True)


async def test_the_queue_does_not_grow_without_end(shop: Shop) -> None:
    stored = await shop.site.run(
        """Ahlan_Queue::clear();
        $cart = array( 'customer_id' => '', 'email' => '', 'currency' => 'JOD', 'items' => array(),
            'coupons' => array(), 'total' => '0.000' );
        for ( $i = 0; $i < 1005; $i++ ) {
            Ahlan_Queue::add( array( 'id' => sprintf( '%032x', $i ), 'kind' => 'cart.updated',
                'at' => '2026-11-22T01:00:00Z', 'cart' => array( 'token' => "many$i" ) + $cart ) );
        }
        global $wpdb;
        $table = "{$wpdb->prefix}wc_ahlan_events";
        return array( (int) $wpdb->get_var( "SELECT COUNT(*) FROM $table" ),
            (int) $wpdb->get_var( "SELECT COUNT(*) FROM $table WHERE subject = 'cart.updated:many0'" ) );"""
    )
    await shop.site.run("Ahlan_Queue::clear(); return true;")
    assert stored == [1000, 0], "the oldest go first"


async def test_a_cart_that_is_too_large_takes_no_other_along(shop: Shop) -> None:
    """Of a batch over the server's five megabytes, halved until it is alone, the huge cart is lost and nothing else."""
    made = uuid4().hex[:8]
    await shop.site.run(
        """Ahlan_Queue::clear();
        for ( $i = 0; $i < 20; $i++ ) {
            $item = array( 'product_id' => '1', 'variation_id' => '', 'quantity' => 1, 'price' => '1.000',
                'name' => 13 === $i ? str_repeat( 'x', 6000000 ) : 'Soap' );
            Ahlan_Queue::add( array( 'id' => md5( "$made$i" ), 'kind' => 'cart.updated',
                'at' => gmdate( 'Y-m-d\\TH:i:s\\Z' ),
                'cart' => array( 'token' => "$made-$i", 'customer_id' => '', 'email' => '', 'currency' => 'JOD',
                    'items' => array( $item ), 'coupons' => array(), 'total' => '1.000' ) ) );
        }
        return true;""",
        made=made,
    )
    await deliver(shop.site)
    assert await waiting(shop.site) == []

    async def arrived() -> list[str]:
        carts = await shop.ahlan.all(shop.store.workspace_id, Cart, Cart.external_id.startswith(made))
        return sorted(cart.external_id for cart in carts) if len(carts) >= 19 else []

    assert await until(arrived, "the others' carts") == sorted(f"{made}-{i}" for i in range(20) if i != 13)


async def test_what_is_not_signed_with_this_shops_secret_is_refused(shop: Shop) -> None:
    path = f"/webhooks/woocommerce/{shop.store.id}/cart"
    headers: dict[str, str] = await shop.site.run(
        "return Ahlan_Signer::headers( str_repeat( 'A', 43 ), 'POST', $path, '{\"events\":[]}', time() );", path=path
    )
    async with shop.ahlan.client() as http:
        answer: httpx.Response = await http.post(f"{shop.ahlan.url}{path}", content='{"events":[]}', headers=headers)
    assert answer.status_code == 401


async def test_a_product_of_another_plugin_that_breaks_does_not_stop_an_order(
    shop: Shop, visitor: Callable[[], Visitor]
) -> None:
    await set_pages(shop.site, Classic)
    broken = shop.site.folder / "wp-content" / "mu-plugins" / "broken.php"
    broken.parent.mkdir(exist_ok=True)
    walk = Classic(shop, visitor())
    await walk.add("soap", 1)
    # In the middle of our own hooks only: the shop itself goes on.
    broken.write_text(
        "<?php add_filter( 'woocommerce_currency', function ( $currency ) {"
        " foreach ( debug_backtrace( DEBUG_BACKTRACE_IGNORE_ARGS ) as $call ) {"
        " if ( 'Ahlan_Cart' === ( $call['class'] ?? '' ) ) { throw new RuntimeException( 'broken' ); } }"
        " return $currency; } );"
    )
    log = shop.site.folder / "errors.log"
    try:
        assert await walk.order("calm@customers.example")
        assert "RuntimeException: broken" in log.read_text(), "it did break, and WooCommerce's log says so"
    finally:
        broken.unlink()
        log.unlink(missing_ok=True)


async def test_the_carts_cookie_travels_over_tls_alone(shop: Shop, visitor: Callable[[], Visitor]) -> None:
    person = visitor()
    await Classic(shop, person).add("soap", 1)
    kept = {cookie.name: cookie for cookie in person.http.cookies.jar}
    assert re.fullmatch(r"[0-9a-f]{32}", kept["ahlan-cart"].value or "")
    assert kept["ahlan-cart"].secure
    assert kept["ahlan-cart"].discard, "until the browser is closed"
