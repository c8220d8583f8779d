from typing import Any
import asyncio
from tests.wordpress.conftest import Shop, Meet, until

OUT = "/tmp/ahlan/w/wordpress-shots"


async def test_shots(shop: Shop, meet: Meet) -> None:
    made = await shop.site.run(
        """
$order = new WC_Order(); $order->set_customer_id( $id ); $order->save(); return $order->get_id();
""",
        id=shop.customers["layla"],
    )
    print("ORDER", made)
    person = await meet()
    await person.sign_in(shop.site, "admin")
    page = await person.open(f"{shop.site.url}/wp-admin/admin.php?page=wc-orders&action=edit&id={made}")
    await page.wait_for_timeout(2500)
    await page.screenshot(path=f"{OUT}/order.png", full_page=True)
    await page.goto(f"{shop.site.url}/wp-admin/site-health.php")
    await page.wait_for_timeout(1500)
    await shop.site.run("update_option('WPLANG','ar'); update_user_meta(1,'locale','ar'); return true;")
    await page.goto(f"{shop.site.url}/wp-admin/admin.php?page=wc-ahlan-settings")
    await page.screenshot(path=f"{OUT}/settings-ar.png", full_page=True)
    await page.goto(f"{shop.site.url}/wp-admin/admin.php?page=wc-ahlan")
    await page.wait_for_timeout(3500)
    await page.screenshot(path=f"{OUT}/panel-ar.png")
    await shop.site.run("update_option('WPLANG','he_IL'); update_user_meta(1,'locale','he_IL'); return true;")
    phone = await meet("he", phone=True)
    p = await phone.sign_in(shop.site, "admin")
    async with shop.ahlan.away():
        await shop.site.run(
            "delete_transient('wc_ahlan_state'); update_option('woocommerce_coming_soon','yes'); $s=get_option('wc_ahlan_connection'); $s['site']=strrev('https://old.example'); update_option('wc_ahlan_clone',$s); return true;"
        )
        await p.goto(f"{shop.site.url}/wp-admin/admin.php?page=wc-ahlan-settings")
        await p.screenshot(path=f"{OUT}/settings-he-phone.png", full_page=True)
        await p.goto(f"{shop.site.url}/wp-admin/admin.php?page=wc-ahlan")
        await p.wait_for_timeout(1500)
        await p.screenshot(path=f"{OUT}/panel-away.png")
    await shop.site.run(
        "delete_transient('wc_ahlan_state'); $c=get_option('wc_ahlan_connection'); update_option('backup_c',$c); $c['site']=strrev('https://old.example'); update_option('wc_ahlan_connection',$c); update_option('woocommerce_coming_soon','no'); return true;"
    )
    await p.goto(f"{shop.site.url}/wp-admin/admin.php?page=wc-ahlan-settings")
    await p.screenshot(path=f"{OUT}/settings-clone-he.png", full_page=True)
    await shop.site.run("update_option('wc_ahlan_connection',get_option('backup_c')); return true;")
    cust = await meet("he")
    c = await cust.sign_in(shop.site, "layla")
    await c.goto(f"{shop.site.url}/my-account/ahlan-support/")
    await c.wait_for_timeout(2500)
    await c.screenshot(path=f"{OUT}/account-he.png")
    print((await c.content())[-2500:])
    print(shop.site.errors())
