"""A merchant connects a store with a browser: the plugin's button, our page, the store's grant page, and back."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select, text
from starlette.applications import Starlette

import admin_ui
from integrations.woocommerce import routes
from integrations.woocommerce.platform import WooCommercePlatform
from integrations.woocommerce.simulator import HOST, create_app
from plugin import stores, team
from plugin.app import App
from plugin.kernel.config import Demo
from plugin.kernel.http import Http
from plugin.kernel.web import Web
from plugin.team import Agent, Role

SITE = f"https://{HOST}"
PUBLIC = f"http://{HOST}:8001"
SAME = {"Sec-Fetch-Site": "same-origin"}


class ByHost(httpx.AsyncBaseTransport):
    """Our server and the store, told apart by host, as browser and server both see them."""

    ends: dict[str, httpx.AsyncBaseTransport]

    def __init__(self) -> None:
        self.ends = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self.ends[request.url.host].handle_async_request(request)


@pytest.fixture
async def browser(app: App, workspace: UUID) -> AsyncIterator[httpx.AsyncClient]:
    wires = ByHost()
    settings = replace(app.settings, demo=Demo(simulator_url="http://127.0.0.1:8001"))
    http = Http(transport=wires)
    platform = WooCommercePlatform(app.db, app.vault, http, settings)
    ours = replace(app, http=http, settings=settings, platforms={"woocommerce": platform})
    web = Web(app.catalogues, [Path(str(admin_ui.__file__)).parent / "templates"], settings.public_url)
    # The page's frame belongs to the panel; its script is an asset that the panel registers.
    web.environment.globals["asset"] = lambda name: f"/assets/x/{name}"
    server = Starlette(routes=routes.routes(ours, web), exception_handlers=dict(web.handlers()))
    simulator = create_app(
        None, server=settings.public_url, public=PUBLIC, http=httpx.AsyncClient(transport=wires), cron_seconds=None
    )
    wires.ends = {"localhost": httpx.ASGITransport(server), HOST: httpx.ASGITransport(simulator)}
    async with app.db.app.connect() as connection:
        lookup = text("SELECT * FROM ahlan_lookup('store', :key)")
        found = (await connection.execute(lookup, {"key": f"woocommerce:{SITE}"})).all()
    for row in found:
        async with app.db.transaction(row.workspace_id) as tx:
            await stores.release(tx, "store", f"woocommerce:{SITE}")
    async with httpx.AsyncClient(transport=wires, base_url=settings.public_url, follow_redirects=True) as client:
        yield client
    await http.close()


async def sign_in(app: App, browser: httpx.AsyncClient, workspace: UUID, role: Role) -> None:
    async with app.db.transaction(workspace) as tx:
        agent = Agent(name="Noor", email="noor@example.com", role=role.value)
        tx.add(agent)
        await tx.flush()
        secret = await team.open_session(tx, agent, "test")
    browser.cookies.set("ahlan", f"{workspace.hex}.{secret}", domain="localhost.local")


def action(page: httpx.Response, pattern: str) -> str:
    found = re.search(pattern, page.text)
    assert found, page.text
    return unescape(found[1])


async def test_from_the_plugins_button_to_a_connected_store(
    app: App, browser: httpx.AsyncClient, workspace: UUID
) -> None:
    await sign_in(app, browser, workspace, Role.OWNER)
    await browser.post(f"{PUBLIC}/wp-login.php")
    asked = await browser.post(f"{PUBLIC}/wp-admin/admin-post.php", data={"action": "connect"})
    assert asked.url.path == "/panel/connect/woocommerce", asked.text
    assert f'value="{SITE}"' in asked.text
    assert asked.headers["content-security-policy"].count("frame-ancestors 'none'") == 1
    grant = await browser.post(str(asked.url), headers={"Sec-Fetch-Site": "same-origin"})
    assert (grant.url.host, grant.url.path) == (HOST, "/wc-auth/v1/authorize"), grant.text
    approve = action(grant, r'href="([^"]+)" id="approve"')
    done = await browser.get(f"{PUBLIC}{approve}")
    assert (done.status_code, done.url.path) == (200, "/install/woocommerce/return"), done.text
    async with app.db.transaction(workspace) as tx:
        (store,) = await stores.all_stores(tx)
    assert (store.status, store.name, store.external_id) == ("connected", "Zaytouna", SITE)
    assert store.origins == [PUBLIC, SITE], "where browsers find the shop, and where we do"
    state = (await browser.get(f"{PUBLIC}/__sim/state")).json()
    assert state["paired"]["public_key"] == store.public_key


async def test_connecting_waits_for_the_second_step_that_is_demanded(
    app: App, browser: httpx.AsyncClient, workspace: UUID
) -> None:
    await sign_in(app, browser, workspace, Role.ADMIN)
    assert (await browser.get("/panel/connect/woocommerce")).status_code == 200
    async with app.db.transaction(workspace) as tx:
        await tx.execute(text("UPDATE workspaces SET second_factor_roles = '[\"admin\"]'"))
    for method in ("GET", "POST"):
        refused = await browser.request(
            method, "/panel/connect/woocommerce", headers={"Sec-Fetch-Site": "same-origin"}, data={"site": HOST}
        )
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "second_step_needed")


@pytest.mark.parametrize("first", ["merchant", "stranger"])
async def test_a_forwarded_grant_link_hands_nobodys_shop_to_a_stranger(
    app: App, browser: httpx.AsyncClient, workspace: UUID, first: str
) -> None:
    """The one who approves is not the one who began, and the one who began is quick to come back alone."""
    await sign_in(app, browser, workspace, Role.OWNER)
    begun = await browser.post(
        "/panel/connect/woocommerce", data={"site": HOST}, headers={"Sec-Fetch-Site": "same-origin"},
        follow_redirects=False,
    )  # fmt: skip
    session = browser.cookies.get("ahlan")
    browser.cookies.clear()
    await browser.post(f"{PUBLIC}/wp-login.php")
    grant = await browser.get(begun.headers["location"])
    approve = action(grant, r'href="([^"]+)" id="approve"')
    approved = await browser.get(f"{PUBLIC}{approve}", follow_redirects=False)
    back = approved.headers["location"]
    async with app.db.transaction(workspace) as tx:
        assert await stores.all_stores(tx) == [], "keys that were tried wait for the browser that began"

    async def come_back(who: str) -> httpx.Response:
        browser.cookies.clear()
        if who == "stranger":
            browser.cookies.set("ahlan", session, domain="localhost.local")
        return await browser.get(back)

    answers = {who: await come_back(who) for who in sorted(("merchant", "stranger"), key=lambda who: who != first)}
    assert answers["merchant"].status_code == 422
    assert "another browser" in answers["merchant"].text
    assert (await come_back("stranger")).status_code == 422
    async with app.db.transaction(workspace) as tx:
        left = [store.status for store in await stores.all_stores(tx)]
        assert left == (["uninstalled"] if first == "stranger" else [])
        assert (await tx.scalars(select(stores.Credential))).all() == []


async def test_another_session_of_the_same_workspace_does_not_finish_it(
    app: App, browser: httpx.AsyncClient, workspace: UUID
) -> None:
    """The keys wait for the browser that began, not for a colleague whom the link was forwarded to."""
    await sign_in(app, browser, workspace, Role.OWNER)
    begun = await browser.post("/panel/connect/woocommerce", data={"site": HOST}, headers=SAME, follow_redirects=False)
    async with app.db.transaction(workspace) as tx:
        colleague = Agent(name="Colleague", email="c@example.com", role=Role.ADMIN)
        tx.add(colleague)
        await tx.flush()
        secret = await team.open_session(tx, colleague, "test")
    browser.cookies.clear()
    browser.cookies.set("ahlan", f"{workspace.hex}.{secret}", domain="localhost.local")
    await browser.post(f"{PUBLIC}/wp-login.php")
    grant = await browser.get(begun.headers["location"])
    approve = action(grant, r'href="([^"]+)" id="approve"')
    back = await browser.get(f"{PUBLIC}{approve}")
    assert back.status_code == 422
    assert "another browser" in back.text
    async with app.db.transaction(workspace) as tx:
        assert await stores.all_stores(tx) == []


async def from_admin(app: App, workspace: UUID, role: Role = Role.ADMIN) -> str:
    """What the embedded panel puts into its form for somebody without a password."""
    async with app.db.transaction(workspace) as tx:
        agent = Agent(name="Salma", email=None, role=role.value)
        tx.add(agent)
        await tx.flush()
        return team.hand_over(app.vault, agent)


async def test_who_works_only_inside_an_admin_connects_from_there(
    app: App, browser: httpx.AsyncClient, workspace: UUID, other_workspace: UUID
) -> None:
    await sign_in(app, browser, other_workspace, Role.OWNER)
    await browser.post(f"{PUBLIC}/wp-login.php")
    word = await from_admin(app, workspace)
    page = await browser.post("/panel/connect/woocommerce", data={"hand_over": word}, headers=SAME)
    assert (page.status_code, page.url.query) == (200, b"admin=1")
    assert word not in page.text
    assert word not in str(page.url)
    grant = await browser.post(str(page.url), data={"site": HOST}, headers=SAME)
    approve = action(grant, r'href="([^"]+)" id="approve"')
    done = await browser.get(f"{PUBLIC}{approve}")
    assert done.status_code == 200, done.text
    assert "close this window" in done.text
    for tenant, count in ((workspace, 1), (other_workspace, 0)):
        async with app.db.transaction(tenant) as tx:
            assert len(await stores.all_stores(tx)) == count, "the one whose admin it began in, whoever is signed in"


async def test_nobody_lends_their_name_by_a_link(app: App, browser: httpx.AsyncClient, workspace: UUID) -> None:
    word = await from_admin(app, workspace)
    cross = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    refused = await browser.post("/panel/connect/woocommerce", data={"hand_over": word}, headers=cross)
    assert refused.status_code == 403
    assert "ahlan-admin" not in browser.cookies
    late = await browser.get("/panel/connect/woocommerce?admin=1")
    assert late.status_code == 403
    assert "press Continue in WordPress again" in late.text
    forged = await browser.post("/panel/connect/woocommerce", data={"hand_over": f"{word}x"}, headers=SAME)
    assert forged.status_code == 403
    less = await from_admin(app, workspace, Role.AGENT)
    assert (await browser.post("/panel/connect/woocommerce", data={"hand_over": less}, headers=SAME)).status_code == 403


async def test_no_is_said_in_words(app: App, browser: httpx.AsyncClient, workspace: UUID) -> None:
    await sign_in(app, browser, workspace, Role.ADMIN)
    await browser.post(f"{PUBLIC}/wp-login.php")
    headers = {"Sec-Fetch-Site": "same-origin"}
    grant = await browser.post("/panel/connect/woocommerce", data={"site": HOST}, headers=headers)
    back = await browser.get(action(grant, r'href="([^"]+)" id="deny"'))
    assert back.status_code == 422
    assert "access was not granted" in back.text


async def test_a_wrong_address_keeps_what_was_typed(app: App, browser: httpx.AsyncClient, workspace: UUID) -> None:
    await sign_in(app, browser, workspace, Role.OWNER)
    headers = {"Sec-Fetch-Site": "same-origin", "Accept-Language": "ar"}
    page = await browser.post("/panel/connect/woocommerce", data={"site": "not a shop"}, headers=headers)
    assert page.status_code == 422
    assert 'value="not a shop"' in page.text
    assert "هذا ليس عنوان متجر" in page.text
    assert 'dir="rtl"' in page.text


async def test_who_may_connect(app: App, browser: httpx.AsyncClient, workspace: UUID) -> None:
    stranger = await browser.get("/panel/connect/woocommerce", follow_redirects=False)
    assert stranger.status_code == 303
    assert stranger.headers["location"].startswith("/sign-in?next=/panel/connect/woocommerce")
    await sign_in(app, browser, workspace, Role.AGENT)
    assert (await browser.get("/panel/connect/woocommerce")).status_code == 403


async def test_another_sites_page_cannot_connect_its_store_here(
    app: App, browser: httpx.AsyncClient, workspace: UUID
) -> None:
    await sign_in(app, browser, workspace, Role.OWNER)
    headers: dict[str, Any] = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    answer = await browser.post("/panel/connect/woocommerce", data={"site": HOST}, headers=headers)
    assert answer.status_code == 403


async def test_a_stranger_at_the_return_learns_nothing(browser: httpx.AsyncClient) -> None:
    for token in ("", "x", "a" * 43, "نور"):
        page = await browser.get("/install/woocommerce/return", params={"success": "1", "user_id": token})
        assert page.status_code == 422
        assert urlsplit(str(page.url)).path == "/install/woocommerce/return"
