"""Orders and returns inside the shop's own pages: a shortcode, a block and a tab lead a shopper to the same screens."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import expect

from plugin.analytics import hints
from plugin.analytics.hints import Hint
from plugin.conversations.messages import Message
from plugin.kernel.db import Tx
from plugin.stores import Store
from tests.wordpress.conftest import Meet, Shop, Visitor, attribute
from tests.wordpress.test_storefront import look_of
from tests.wordpress.wordpress import ADMIN

WAYS = {"shortcode": "[ahlan_returns]", "block": "<!-- wp:wc-ahlan/returns /-->"}


@asynccontextmanager
async def page_of(shop: Shop, content: str, *, name: str = "send-it-back") -> AsyncIterator[str]:
    """A page of the shop with this in it, for a while; its address."""
    made = await shop.site.run(
        "return wp_insert_post( array( 'post_type' => 'page', 'post_status' => 'publish', 'post_title' => 'Returns', "
        "'post_name' => $name, 'post_content' => $content ) );",
        name=name, content=content,
    )  # fmt: skip
    try:
        yield f"{shop.site.url}/{name}/"
    finally:
        await shop.site.run("return wp_delete_post( $id, true );", id=made)


@pytest.mark.parametrize("way", list(WAYS))
async def test_a_page_holds_the_screens_and_nothing_about_anybody(
    shop: Shop, visitor: Callable[[], Visitor], way: str
) -> None:
    layla = visitor()
    await layla.sign_in(shop.site, "layla")
    async with page_of(shop, WAYS[way]) as address:
        for person in (visitor(), layla):
            html = (await person.get(address)).text
            (tag,) = re.findall(r"<script\b[^>]*widget/page\.js[^>]*>", html)
            assert attribute(tag, "src") == f"{shop.ahlan.url}/widget/page.js"
            assert attribute(tag, "data-store") == shop.store.public_key
            assert attribute(tag, "data-identity") == "/wp-json/wc-ahlan/v1/identity"
            assert "layla@" not in tag, "a page cache hands it to the next one"
            assert (await shop.connection())["secret"] not in html


async def test_the_editor_offers_a_block_for_each(shop: Shop, meet: Meet) -> None:
    person = await meet()
    page = await person.sign_in(shop.site, ADMIN)
    # The picture of the editor's welcome lies elsewhere.
    await page.route("https://s.w.org/**", lambda route: route.fulfill(body=""))
    await page.goto(f"{shop.site.url}/wp-admin/post-new.php?post_type=page")
    offered = await page.wait_for_function(
        "() => window.wp?.blocks?.getBlockType('wc-ahlan/withdrawal')"
        " && wp.blocks.getBlockTypes().filter(one => one.name.startsWith('wc-ahlan/'))"
        ".map(one => [one.name, one.title, one.icon.src, Object.keys(one.attributes).includes('product')])"
    )
    assert sorted(await offered.json_value()) == [
        ["wc-ahlan/fit", "Fit from returns", "tag", True],
        ["wc-ahlan/returns", "Returns", "undo", False],
        ["wc-ahlan/withdrawal", "Withdraw from contract here", "dismiss", False],
    ]
    # Chosen by a click like any other block, it shows what it keeps beside the page.
    await page.evaluate(
        "wp.data.dispatch('core/preferences').set('core/edit-post', 'welcomeGuide', false);"
        "wp.data.dispatch('core/block-editor').insertBlock(wp.blocks.createBlock('wc-ahlan/fit'));"
        "wp.data.dispatch('core/block-editor').clearSelectedBlock();"
        "wp.data.dispatch('core/interface').enableComplementaryArea('core', 'edit-post/block')"
    )
    await page.wait_for_function(
        "() => [document, ...[...document.querySelectorAll('iframe')].map(one => one.contentDocument)]"
        ".some(one => { const block = one?.querySelector('[data-block][data-type=\"wc-ahlan/fit\"]');"
        " block?.focus(); return block; })"
    )
    await page.get_by_label("Number of the product; empty: that of the page").fill("12")
    kept = "() => wp.data.select('core/block-editor').getBlocks().map(one => one.attributes.product).includes(12)"
    await page.wait_for_function(kept)


async def test_the_tab_in_my_account_holds_them_too(shop: Shop, visitor: Callable[[], Visitor]) -> None:
    layla = visitor()
    await layla.sign_in(shop.site, "layla")
    html = (await layla.get(f"{shop.site.url}/my-account/ahlan-returns/")).text
    assert len(re.findall(r"<script\b[^>]*widget/page\.js", html)) == 1


async def test_every_order_that_was_sent_has_a_button_that_leads_to_it(
    shop: Shop, visitor: Callable[[], Visitor]
) -> None:
    made = await shop.site.run(
        """$ids = array();
        foreach ( array( 'completed', 'processing' ) as $status ) {
            $order = new WC_Order();
            $order->set_customer_id( $who );
            $order->save();
            $order->update_status( $status );
            $ids[ $status ] = $order->get_id();
        }
        return $ids;""",
        who=shop.customers["layla"],
    )
    layla = visitor()
    await layla.sign_in(shop.site, "layla")
    page = (await layla.get(f"{shop.site.url}/my-account/orders/")).text
    rows = re.findall(r"<tr\b.*?</tr>", page, re.DOTALL)
    (sent,) = (row for row in rows if f"#{made['completed']}<" in row)
    (fresh,) = (row for row in rows if f"#{made['processing']}<" in row)
    assert f"/my-account/ahlan-returns/?order={made['completed']}" in sent
    assert "ahlan-return" not in fresh, "nothing was sent: nothing can come back"


async def test_the_plugin_says_where_letters_lead_to(shop: Shop) -> None:
    """A page that everybody may open; one that only speaks of the shortcode, waits or has a password is none."""
    where = "return Ahlan_Pairing::status()['returns'];"
    tab = f"{shop.site.url}/my-account/ahlan-returns/"
    async with page_of(shop, "Write [[ahlan_returns]] into a page.", name="how-to"):
        assert await shop.site.run(where) == {"page": "", "account": tab}
        for content in WAYS.values():
            async with page_of(shop, content) as address:
                assert await shop.site.run(where) == {"page": address, "account": tab}
                hide = "wp_update_post( array( 'ID' => get_page_by_path( 'send-it-back' )->ID, $name => $value ) ); "
                for name, value in (("post_password", "hush"), ("post_status", "draft")):
                    assert (await shop.site.run(hide + where, name=name, value=value))["page"] == "", name


async def test_a_shopper_finishes_on_the_page_without_leaving_the_shop(shop: Shop, meet: Meet) -> None:
    """In Arabic, on a phone, in a shop that sends no codes yet: then a person calls back first."""
    person = await meet("ar", phone=True)
    async with look_of(shop.site, language="ar"), page_of(shop, WAYS["shortcode"]) as address:
        page = await person.open(address)
        frame = page.frame_locator("iframe[title='الطلبات والإرجاع']")
        phone = frame.locator("input[type=tel]")
        await expect(phone).to_be_visible(timeout=30_000)
        assert await frame.locator("html").get_attribute("dir") == "rtl"
        await frame.locator("input[type=text], input:not([type])").first.fill("٩٠٠١")
        await phone.fill("0791234567")
        await frame.locator("textarea").fill("الصابون مكسور")
        await frame.locator("button[type=submit]").click()
        await expect(phone).to_have_count(0, timeout=30_000)
    talks = await shop.ahlan.all(shop.store.workspace_id, Message, Message.text.contains("الصابون مكسور"))
    assert len(talks) == 1, "the shop has it in its inbox, once"


async def test_a_product_page_says_what_runs_small_and_keeps_the_answer(
    shop: Shop, visitor: Callable[[], Visitor], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0

    async def sure(tx: Tx, store: object) -> list[Hint]:
        nonlocal asked
        asked += 1
        return [Hint(shop.store.id, str(shop.products["soap"]), "too_small", 12, 40, 0.01, 0.0001)]

    monkeypatch.setattr(hints, "of_store", sure)
    async with shop.ahlan.app.db.transaction(shop.store.workspace_id) as tx:
        store = await tx.get(Store, shop.store.id, lock=True)
        assert store is not None
        store.widget = {**store.widget, hints.SWITCH: True}
    soap, oil = (f'[ahlan_fit product="{shop.products[name]}"]' for name in ("soap", "oil"))
    async with look_of(shop.site, language="ar"), page_of(shop, f"{soap}<hr>{oil}[ahlan_fit product='x']") as address:
        html = (await visitor().get(address)).text
        words = shop.ahlan.app.catalogues.translator("ar").gettext(hints.WORDS["too_small"])
        assert re.findall(r'<p class="wc-ahlan-fit">([^<]*)</p>', html) == [words]
        async with shop.ahlan.away():
            again = (await visitor().get(address)).text
        assert words in again, "kept for half a day, also while we are away"
        assert asked == 1
    async with page_of(shop, f'<!-- wp:wc-ahlan/fit {{"product":{shop.products["soap"]}}} /-->') as address:
        english = shop.ahlan.app.catalogues.translator("en").gettext(hints.WORDS["too_small"])
        assert english in (await visitor().get(address)).text
