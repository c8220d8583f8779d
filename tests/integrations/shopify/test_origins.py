"""Where the chat may be shown: the shop's own domains as Shopify names them, and what follows when they change."""

import json
import re
from datetime import UTC, datetime

import httpx
import pytest
from sqlalchemy import text
from starlette.applications import Starlette

from integrations.shopify import install
from integrations.shopify.simulator import oauth
from plugin import stores
from plugin.crm import reconcile
from plugin.kernel.web import Web
from plugin.platform import Connection, StoreNotice
from plugin.widget import routes as widget
from tests.integrations.shopify.conftest import PUBLIC_URL, TEMPLATES, World, with_platform
from webhooks import handlers


def shop_with(*hosts: str, primary: str = "") -> dict[str, object]:
    """An answer to `Shop` with these domains."""
    urls = [{"url": host if "://" in host else f"https://{host}"} for host in hosts]
    return {
        "shop": {
            "name": "Bustan", "primaryDomain": {"url": f"https://{primary or hosts[0]}", "localization": None},
            "domains": urls, "myshopifyDomain": "bustan.myshopify.com", "currencyCode": "ILS",
            "ianaTimezone": "Asia/Jerusalem", "contactEmail": "", "email": "",
        }
    }  # fmt: skip


def test_every_domain_and_the_permanent_one() -> None:
    found = install.profile_of(shop_with("bustan.example", "www.bustan.example", "bustan.co.il"))
    assert set(found.origins) == {
        "https://bustan.example", "https://www.bustan.example", "https://bustan.co.il", "https://bustan.myshopify.com",
    }  # fmt: skip
    assert found.url == "https://bustan.example"


@pytest.mark.parametrize(
    ("told", "origin"),
    [
        ("بستان.com", "https://xn--mgbbg9azg.com"), ("https://בוסתן.co.il", "https://xn--5dbi4ah9b.co.il"),
        ("https://Bustan.Example/", "https://bustan.example"), ("https://bustan.example:443", "https://bustan.example"),
        ("http://bustan.example:80/x", "http://bustan.example"),
        ("https://bustan.example:8443", "https://bustan.example:8443"),
        ("https://user:secret@bustan.example", "https://bustan.example"),
    ],
)  # fmt: skip
def test_an_origin_is_spelt_as_browsers_spell_it(told: str, origin: str) -> None:
    """A name in Arabic or Hebrew letters stands in a page's origin, and in our header, in its ASCII form."""
    assert set(install.profile_of(shop_with("a.example", told)).origins) == {
        "https://a.example", "https://bustan.myshopify.com", origin,
    }  # fmt: skip


@pytest.mark.parametrize(
    "told", ["javascript://x", "https://", "//x", "https://[::1", "", "https://x:99999", "https://a..b"]
)
def test_what_is_no_address_is_no_origin(told: str) -> None:
    answer = shop_with("a.example")
    answer["shop"]["domains"].append({"url": told})
    assert set(install.profile_of(answer).origins) == {"https://a.example", "https://bustan.myshopify.com"}


def test_shared_previews_are_nobodys_in_particular() -> None:
    """Every shop's previews share one host, so allowing it would let any shop frame this one's chat."""
    origins = install.profile_of(shop_with("a.example")).origins
    assert not [origin for origin in origins if "shopifypreview" in origin or "*" in origin]


async def _framed_by(world: World) -> set[str]:
    pages = Web(world.app.catalogues, TEMPLATES, PUBLIC_URL)
    site = Starlette(routes=widget.routes(with_platform(world), pages), exception_handlers=dict(pages.handlers()))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(site), base_url=PUBLIC_URL) as client:
        answer = await client.get("/widget/frame", params={"store": (await world.store()).public_key})
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    allowed = set(policy.rpartition("frame-ancestors ")[2].split())
    config = json.loads(re.search(r'id="config"[^>]*>(.*?)</script>', answer.text, re.DOTALL)[1])
    assert set(config["origins"]) == allowed, "messages go to whom the policy names"
    return allowed


async def _follow(world: World, connection: Connection) -> None:
    """What the webhooks said, read and carried out; several of one change are one piece of work each."""
    sent = [doc for doc in world.sim.shop.state.all("deliveries") if doc["topic"].startswith(("domains/", "shop/"))]
    assert sent
    app = with_platform(world)
    for doc in sent:
        at = datetime.fromisoformat(doc["triggered_at"])
        (notice,) = world.platform.read_webhook(doc["topic"], doc["body"].encode(), at, connection)
        assert isinstance(notice, StoreNotice)
        async with app.db.transaction(connection.workspace_id) as tx:
            store = await stores.get(tx, connection.store_id)
            assert store is not None
            await handlers.notice(app, tx, store, notice)
    async with app.db.transaction(connection.workspace_id) as tx:
        asked = list(
            await tx.scalars(text("SELECT arguments FROM jobs WHERE unique_key LIKE 'profile:%' AND done_at IS NULL"))
        )
        await tx.execute(text("UPDATE jobs SET done_at = now() WHERE unique_key LIKE 'profile:%'"))
    assert asked, "somebody has to look"
    for arguments in asked:
        await reconcile.check_store(app, connection.workspace_id, **arguments)
    world.sim.shop.state.clear("deliveries")


@pytest.mark.parametrize(
    ("address", "country"), [({"countryCodeV2": "IL"}, "IL"), ({"countryCodeV2": None}, ""), (None, "")]
)
def test_the_shops_country_is_its_address(address: dict[str, str | None] | None, country: str) -> None:
    """Phone numbers are typed without a country at home."""
    answer = shop_with("a.example")
    answer["shop"] = {**answer["shop"], "shopAddress": address}  # a dict by `shop_with`
    assert install.profile_of(answer).country == country


async def test_the_chat_follows_the_shops_domains(world: World) -> None:
    """Added, made the first, removed: the frame is for the shop's addresses of now, within the time of a webhook."""
    connection = await world.connect()
    always = {world.sim.shop.storefront_origin, f"https://{world.domain}"}
    assert await _framed_by(world) == always
    store = await world.store()
    assert store.profiled_at is not None
    assert datetime.now(UTC) - store.profiled_at < reconcile.PROFILE_EVERY, "it is not the day that is over"

    oauth.change_domains(world.sim.shop, ["bustan.example", "www.bustan.example"])
    await _follow(world, connection)
    assert await _framed_by(world) == always | {"https://bustan.example", "https://www.bustan.example"}

    oauth.change_domains(world.sim.shop, ["bustan.example", "www.bustan.example"], "bustan.example")
    await _follow(world, connection)
    assert (await world.store()).url == "https://bustan.example"

    oauth.change_domains(world.sim.shop, ["bustan.example"], "bustan.example")
    await _follow(world, connection)
    assert await _framed_by(world) == always | {"https://bustan.example"}, "who lost a domain shows the chat no more"
