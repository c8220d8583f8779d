"""Who gets in, by which way, and to what: every route, every role, the other tenant, the other site."""

from __future__ import annotations

import re
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
from starlette.routing import Route

import admin_ui.routes
from admin_ui.desk import GuardedRoute
from plugin import stores, team
from plugin.app import App
from plugin.platform import StoreProfile
from plugin.team import ALLOWED, Permission, Role
from tests.admin_ui.conftest import URL, Browser, SignIn
from tests.admin_ui.shop import Admin, Shop, assemble

# Addresses that need nobody signed in; each is listed here on purpose.
PUBLIC = {"/", "/sign-in", "/sign-up", "/sign-out", "/invitations/{workspace}/{secret}", "/language", "/shopify/patch",
          "/exports/{token}", "/panel/join", "/panel/join/code", "/panel/join/confirm",
          "/exports/audit/{token}", "/exports/report/{token}", "/exports/return-report/{token}",
          "/exports/value-report/{token}",
          "/exports/transcript/{token}", "/exports/withdrawals/{token}",
          "/sign-in/recover/{word}", "/mail/stop/{token}",
          "/mail-pictures/{token}",
          "/sign-in/code", "/sign-in/workspace", "/sign-in/provider",
          "/sign-in/provider/callback", "/panel/link"}  # fmt: skip


def panel_routes(app: App) -> list[Route]:
    _app, site = assemble(app, URL, Admin())
    return [
        route
        for route in site.routes
        if isinstance(route, Route) and not route.path.startswith(("/widget", "/files", "/assets", "/help"))
    ]


def filled(path: str, shop: Shop) -> str:
    """The path with ids that exist in this shop."""
    if "{id}" not in path:
        return path
    first = path.split("/")[2]
    ids = {
        "inbox": shop.talks.get("huda"),
        "conversations": shop.talks.get("huda"),
        "stores": shop.stores["oud"].id if shop.stores else None,
        "settings": shop.stores["oud"].id if shop.stores else None,
        "customers": shop.people.get("huda"),
        "team": shop.colleagues["noa"].id if shop.colleagues else None,
    }
    return path.replace("{id}", str(ids.get(first) or uuid4()))


def test_every_route_declares_a_permission_or_is_public_on_purpose(app: App) -> None:
    routes = panel_routes(app)
    open_ones = {route.path for route in routes if not isinstance(route, GuardedRoute)}
    assert open_ones == PUBLIC
    guarded = [route for route in routes if isinstance(route, GuardedRoute)]
    assert len(guarded) > 60
    assert all(isinstance(route.permission, Permission) for route in guarded)


def test_what_changes_something_is_never_a_get(app: App) -> None:
    changing = re.compile(
        r"/(reply|note|handed-over|assign|status|priority|subject|tag|untag|undo|forget|merge|undo-merge|replay|role|deactivate|read|check)$"
    )
    for route in panel_routes(app):
        if changing.search(route.path):
            assert route.methods == {"POST"}, route.path


async def test_nobody_signed_in_reaches_anything(app: App, visitor: Browser, shop: Shop) -> None:
    for route in panel_routes(app):
        if not isinstance(route, GuardedRoute):
            continue
        path, method = filled(route.path, shop), "POST" if "POST" in (route.methods or ()) else "GET"
        answer = await visitor.request(method, path)
        if path.startswith("/shopify"):
            assert answer.status_code in (302, 401), path
            assert answer.status_code == 401 or answer.headers["location"].startswith("/shopify/patch?"), path
        elif method == "GET":
            assert answer.status_code == 303, path
            assert answer.headers["location"].startswith("/sign-in?next="), path
        else:
            assert answer.status_code == 401, path


@pytest.mark.parametrize("name", ["noa", "lior", "karim"])
async def test_each_role_gets_what_its_permissions_say_and_nothing_more(
    app: App, shop: Shop, sign_in: SignIn, name: str
) -> None:
    agent = shop.colleagues[name]
    browser = await sign_in(agent.email or "")
    for route in panel_routes(app):
        if not isinstance(route, GuardedRoute) or route.path.startswith("/shopify") or route.path.endswith("/live"):
            continue
        if route.permission in ALLOWED[Role(agent.role)]:
            continue
        method = "POST" if "POST" in (route.methods or ()) else "GET"
        answer = await browser.request(method, filled(route.path, shop))
        assert answer.status_code == 403, route.path
        assert answer.json()["error"]["code"] == "forbidden"


async def test_a_stranger_finds_nothing_of_another_workspace(
    app: App, shop: Shop, empty_shop: Shop, sign_in: SignIn
) -> None:
    browser = await sign_in(empty_shop.email)
    for route in panel_routes(app):
        if not isinstance(route, GuardedRoute) or "{id}" not in route.path or not route.path.startswith("/panel"):
            continue
        method = "POST" if "POST" in (route.methods or ()) else "GET"
        data = {"client_id": str(uuid4()), "text": "hi", "seq": "1", "role": "agent", "other": str(uuid4()),
                "merge": str(uuid4()), "to": ""}  # fmt: skip
        path = filled(route.path, shop)
        answer = await browser.request(method, path, data=data if method == "POST" else None)
        if path.endswith("/withdraw"):
            continue
        assert answer.status_code in (404, 400), (path, answer.status_code, answer.text[:200])
    for page in ("/panel/inbox", "/panel/customers", "/panel/stores", "/panel/team"):
        text = (await browser.get(page)).text
        assert "huda" not in text
        assert "هدى" not in text
        assert "Oud" not in text


async def test_another_sites_form_is_refused(shop: Shop, sign_in: SignIn) -> None:
    browser = await sign_in(shop.email)
    talk = f"/panel/conversations/{shop.talks['huda']}/status"
    for headers in (
        {"sec-fetch-site": "cross-site", "origin": "https://evil.example"},
        {"sec-fetch-site": "same-site", "origin": "https://evil.localhost"},
    ):
        assert (await browser.post(talk, headers=headers)).status_code == 403
    token = browser.headers.pop("x-csrf-token")
    assert (await browser.post(talk)).status_code == 403
    assert (await browser.post(talk, headers={"x-csrf-token": token[:-2] + "xx"})).status_code == 403
    assert (await browser.post(talk, data={"csrf": token, "to": "resolved"})).status_code in (200, 303)


async def test_the_token_of_another_session_is_refused(shop: Shop, sign_in: SignIn) -> None:
    one, other = await sign_in(shop.email), await sign_in(shop.colleagues["karim"].email or "")
    path = f"/panel/conversations/{shop.talks['huda']}/status"
    assert (await one.post(path, headers={"x-csrf-token": other.headers["x-csrf-token"]})).status_code == 403


async def test_pages_are_never_framed_and_never_kept(shop: Shop, sign_in: SignIn) -> None:
    answer = await (await sign_in(shop.email)).get("/panel/inbox")
    policy = answer.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert answer.headers["cache-control"] == "no-store"


def test_templates_hold_no_inline_code_or_style() -> None:
    for template in (Path(admin_ui.routes.__file__).parent / "templates").glob("*.html"):
        text = template.read_text()
        assert not re.search(r"\shx-on|\son(click|load|submit|change)=|\sstyle=|javascript:|hx-vals=.js:", text), (
            template
        )
        assert not re.search(r"<script(?![^>]*\bsrc=)", text), template


# Embedded


@pytest.fixture
def framed(admin: Admin, shop: Shop) -> Admin:
    admin.workspace_id, admin.store_id = shop.workspace_id, shop.stores["oud"].id
    return admin


async def test_a_good_token_opens_the_document_framed_by_that_shop_alone(framed: Admin, visitor: Browser) -> None:
    answer = await visitor.get("/shopify?id_token=good:yara:staff&shop=evil.example&host=x")
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "frame-ancestors https://dukkan.myshopify.com https://admin.shopify.com" in policy
    assert "evil" not in policy
    assert "set-cookie" not in answer.headers
    assert 'name="shopify-api-key" content="test-client-id"' in answer.text
    assert 'href="/shopify/inbox"' in answer.text
    assert '="/panel' not in answer.text


@pytest.mark.parametrize("token", ["", "stale", "good"])
async def test_a_stale_document_goes_to_the_patch_page_and_comes_back(
    framed: Admin, visitor: Browser, token: str
) -> None:
    query = f"id_token={token if token != 'good' else 'bad'}&shop=dukkan.myshopify.com&host=abc"
    answer = await visitor.get(f"/shopify/inbox?view=mine&{query}")
    assert answer.status_code == 302
    where = httpx.URL(answer.headers["location"])
    assert where.path == "/shopify/patch"
    back = httpx.URL(where.params["shopify-reload"])
    assert f"{back.scheme}://{back.host}:{back.port}" == URL
    assert back.path == "/shopify/inbox"
    assert back.params["view"] == "mine"
    assert "id_token" not in str(where)
    page = await visitor.get(str(where))
    assert "frame-ancestors https://admin.example" in page.headers["content-security-policy"]
    assert "dukkan" not in page.text


async def test_a_stale_fetch_is_told_to_try_again_with_a_fresh_token(framed: Admin, visitor: Browser) -> None:
    for method, path in (("GET", "/shopify/inbox"), ("POST", "/shopify/team/invitations"), ("GET", "/shopify/live")):
        headers = {"hx-request": "true", "authorization": "Bearer stale"}
        answer = await visitor.request(method, path, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["x-shopify-retry-invalid-session-request"] == "1"


async def test_a_cookie_opens_nothing_embedded_and_a_token_nothing_stand_alone(
    framed: Admin, shop: Shop, sign_in: SignIn, visitor: Browser
) -> None:
    browser = await sign_in(shop.email)
    assert (await browser.get("/shopify/inbox")).status_code == 302
    bearer = {"authorization": "Bearer good:yara:admin"}
    assert (await visitor.get("/panel/inbox", headers=bearer)).status_code == 303
    # A token in the query would be in logs and history: it counts for the first document only.
    assert (await visitor.post("/shopify/team/invitations?id_token=good:yara:admin")).status_code == 401


async def test_staff_become_agents_and_the_first_administrator_owner(
    app: App, admin: Admin, visitor: Browser, workspace: UUID
) -> None:
    profile = StoreProfile("New", "https://new.example", (), "SAR", 2, "UTC", "en")
    async with app.db.transaction(workspace) as tx:
        store = await stores.connect(tx, platform="shopify", external_id=f"{uuid4().hex}.example", profile=profile)
    admin.workspace_id, admin.store_id = workspace, store.id
    for token in ("good:clerk:staff", "good:boss:admin", "good:second:admin", "good:boss:admin"):
        assert (await visitor.get("/shopify", headers={"authorization": f"Bearer {token}"})).status_code == 200
    async with app.db.transaction(workspace) as tx:
        roles = {agent.name: agent.role for agent in await team.agents(tx)}
    assert roles == {"Clerk": "agent", "Boss": "owner", "Second": "agent"}


async def test_a_stores_word_does_not_hand_over_somebodys_account(
    app: App, framed: Admin, visitor: Browser, shop: Shop
) -> None:
    async with app.db.transaction(shop.workspace_id) as tx:
        owner = await tx.get(team.Agent, shop.owner.id)
        assert owner is not None
        owner.email = "maya@dukkan.example"
    await visitor.get("/shopify", headers={"authorization": "Bearer good:maya:admin"})
    async with app.db.transaction(shop.workspace_id) as tx:
        made = [agent for agent in await team.agents(tx) if agent.name == "Maya"]
    assert [(agent.role, agent.email) for agent in made] == [("agent", None)]


async def test_a_deactivated_staff_member_stays_out(app: App, framed: Admin, visitor: Browser, shop: Shop) -> None:
    bearer = {"authorization": "Bearer good:yara:staff"}
    assert (await visitor.get("/shopify", headers=bearer)).status_code == 200
    async with app.db.transaction(shop.workspace_id) as tx:
        yara = next(agent for agent in await team.agents(tx) if agent.name == "Yara")
        await team.deactivate(tx, yara, by=shop.owner)
    assert (await visitor.get("/shopify", headers=bearer)).status_code == 403


async def test_the_admins_language_counts_at_each_visit_until_the_agent_chooses(
    framed: Admin, visitor: Browser, shop: Shop
) -> None:
    bearer = {"authorization": "Bearer good:yara:staff"}

    async def spoken() -> str:
        return (await visitor.get("/shopify/settings", headers=bearer)).text.split('<html lang="')[1].split('"')[0]

    for admin_speaks in ("ar", "he-IL", "en"):
        framed.locale = admin_speaks
        assert await spoken() == admin_speaks[:2]
    page = await visitor.get("/shopify/settings", headers=bearer)
    assert '<option value="" selected>As in the store&#39;s admin</option>' in page.text
    mine = {"name": "Yara", "locale": "ar", "timezone": ""}
    assert (await visitor.post("/shopify/settings/me", data=mine, headers=bearer)).status_code < 400
    assert await spoken() == "ar"
    framed.locale = "he"
    assert await spoken() == "ar"
    assert (await visitor.post("/shopify/settings/me", data={**mine, "locale": ""}, headers=bearer)).status_code < 400
    assert await spoken() == "he"
