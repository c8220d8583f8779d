"""From an upload of the zip to a connected shop, in a real WordPress."""

from typing import Any

from integrations.woocommerce.platform import PLUGIN
from integrations.woocommerce.webhooks import TOPICS
from plugin import stores
from tests.wordpress.conftest import Shop, until


async def test_the_button_connects_and_pairs(shop: Shop) -> None:
    assert (shop.store.platform, shop.store.status) == ("woocommerce", stores.CONNECTED)
    kept = await shop.connection()
    assert kept["store_id"] == str(shop.store.id)
    assert kept["public_key"] == shop.store.public_key
    assert (kept["server"], kept["site"]) == (shop.ahlan.url, shop.site.url)
    async with shop.ahlan.app.db.transaction(shop.store.workspace_id) as tx:
        held = await stores.credential(tx, shop.ahlan.app.vault, shop.store.id, PLUGIN)
    assert held is not None
    assert held[0] == kept["secret"]


async def test_nothing_of_ours_or_of_php_complained(shop: Shop) -> None:
    assert shop.site.errors() == ""


async def test_every_webhook_is_registered_once(shop: Shop) -> None:
    async def all_there() -> Any:
        rows = await shop.site.sql("SELECT topic FROM wp_wc_webhooks")
        return sorted(row["topic"] for row in rows) == sorted(TOPICS)

    await until(all_there, "the registration of the webhooks")
