"""Two shops, one team: a WooCommerce store joins another workspace through its own wp-admin, in one browser."""

import re
from html import unescape
from urllib.parse import urlsplit

import httpx

from integrations.woocommerce.install import RETURN
from integrations.woocommerce.simulator import create_app as woocommerce_simulator
from plugin.demo import Browser
from plugin.stores import Store
from tests.journeys.conftest import World, csrf

HOST = "second-woo.localhost"
SITE = f"https://{HOST}"


async def sign_up(world: World, browser: Browser, name: str, team: str) -> None:
    page = await browser.get(f"{world.url}/sign-up?another=1")
    fields = {"name": name, "workspace": team, "email": f"{name.lower()}@{HOST}", "password": "a calm long evening"}
    done = await browser.submit(page, "password", fields)
    assert urlsplit(str(done.url)).path == "/panel", done.text


async def in_wp_admin(world: World, browser: Browser, place: str) -> httpx.Response:
    """The panel as the plugin opens it: a token from wp-admin, handed to the frame in a form's body."""
    asked = await browser.post(f"{SITE}/wp-admin/admin-ajax.php", {"action": "wc_ahlan_token"})
    assert asked.status_code == 200, asked.text
    shown = await browser.post(
        f"{world.url}/plugin/woocommerce/enter", {"token": asked.json()["data"], "to": place}, origin=SITE,
        **{"sec-fetch-site": "cross-site"},
    )  # fmt: skip
    assert shown.status_code == 200, shown.text
    return shown


async def invitable(world: World, browser: Browser, team: httpx.Response) -> str:
    """The page of the colleague who comes through a store's admin and can be invited to link."""
    for found in re.findall(r'href="(/panel/team/[0-9a-f-]{36})"', team.text):
        if f"{found}/link" in (await browser.get(world.url + found)).text:
            return str(found)
    raise AssertionError(team.text)


def words(page: httpx.Response) -> str:
    return " ".join(re.sub(r"<[^>]+>|[\u2066-\u2069]", " ", unescape(page.text)).split())


async def test_a_woocommerce_store_joins_through_its_own_door(world: World) -> None:
    shop = woocommerce_simulator(
        None, server=world.url, site=SITE, public=SITE, trusted=[world.url], cron_seconds=0.2,
        http=httpx.AsyncClient(transport=world.network, timeout=20),
    )  # fmt: skip
    world.network.add(shop, HOST)
    browser = world.browser()
    await sign_up(world, browser, "Dalia", "Dalia's lamps")
    await browser.post(f"{SITE}/wp-login.php", {})
    asked = await browser.post(f"{SITE}/wp-admin/admin-post.php", {"action": "connect"})
    done = await browser.click(await browser.submit(asked, "site", {}), "approve")
    assert urlsplit(str(done.url)).path == RETURN
    store = await world.store(SITE)
    assert store is not None

    # Whoever administers WordPress does not own the workspace yet: nothing to type a code into, but what to do.
    stranger = await in_wp_admin(world, browser, "stores")
    assert 'name="side"' not in stranger.text
    assert "an owner invites to link the two accounts" in words(stranger)

    # Dalia invites that member and links the two; from then on wp-admin opens as her.
    team = await browser.get(f"{world.url}/panel/team")
    member = await invitable(world, browser, team)
    proof = {"x-csrf-token": csrf(team.text)}
    assert (await browser.post(f"{world.url}{member}/link", {}, **proof)).status_code == 200
    security = await in_wp_admin(world, browser, "settings/security")
    linking = await browser.submit(security, "word", {})
    linked = await browser.submit(linking, "csrf", {})
    assert linked.status_code == 200, linked.text

    # Another team in the same browser makes a code; her own wp-admin is where it is typed.
    await sign_up(world, browser, "Samir", "Samir's house")
    stores_page = await browser.get(f"{world.url}/panel/stores")
    assert "Samir" in words(stores_page)
    made = await browser.post(f"{world.url}/panel/join", {})
    code = re.search(r"<bdi>([2-9A-Z]{4}-[2-9A-Z]{4})</bdi>", made.text)
    assert code, made.text
    door = await in_wp_admin(world, browser, "stores")
    offer = await browser.submit(door, "code", {"code": code[1]})
    assert offer.status_code == 200, offer.text
    for said in (store.name, "Samir's house", "Samir", "Move this store?"):
        assert said in words(offer), said
    going = await browser.submit(offer, "asked", {"sure": "yes"})
    assert going.status_code == 200, going.text

    async def moved() -> Store | None:
        now = await world.store(SITE)
        return now if now is not None and now.workspace_id != store.workspace_id else None

    await world.until(moved, 60, "the move")

    async def told() -> bool:
        return "The store has moved" in (await browser.get(f"{world.url}/panel/join")).text

    await world.until(told, 20, "the word that it moved")
    assert store.name in words(await browser.get(f"{world.url}/panel/stores"))
    inside = await in_wp_admin(world, browser, "stores")
    assert "Samir's house" in words(inside)
    # The workspace it left is still this browser's too, without the store.
    choice = await browser.get(f"{world.url}/sign-in/workspace")
    assert "Dalia's lamps" in words(choice)
    left = await browser.post(
        f"{world.url}/sign-in/workspace",
        {"csrf": choice.text.split('name="csrf" value="')[1].split('"')[0], "workspace": store.workspace_id.hex},
    )
    assert "Dalia's lamps" in words(left)
