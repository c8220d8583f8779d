"""One person in several workspaces: which one is asked once it is proven who they are, and a switch between them."""

from __future__ import annotations

from uuid import UUID, uuid4

import httpx
import pyotp
import pytest

from plugin import stores, team, workspaces
from plugin.app import App
from plugin.team import Role
from tests.admin_ui.conftest import URL, Browser, SignIn, field
from tests.admin_ui.shop import PASSWORD, Shop, open_shop
from tests.admin_ui.test_access import framed as framed
from tests.admin_ui.test_access import second_step
from tests.admin_ui.test_accounts import fill
from tests.admin_ui.test_provider import World, begin, come_back
from tests.admin_ui.test_provider import world as world

PAGE = "/sign-in/workspace"


@pytest.fixture
async def other(app: App, shop: Shop) -> Shop:
    """Another workspace of the owner of `shop`: same address, same password, as after a store parted."""
    made = await open_shop(app)
    await rename(app, made, "Second")
    async with app.db.transaction(made.workspace_id) as tx:
        owner = await tx.get(team.Agent, made.owner.id)
        assert owner is not None
        owner.email, owner.password_hash = shop.email, shop.owner.password_hash
        await stores.claim(tx, "sign_in", app.vault.fingerprint("email", shop.email))
    return made


async def rename(app: App, shop: Shop, name: str) -> None:
    async with app.db.transaction(shop.workspace_id) as tx:
        workspace = await workspaces.current(tx)
        assert workspace is not None
        workspace.name = name


async def choose(browser: Browser, page: httpx.Response, workspace_id: UUID, path: str = PAGE) -> httpx.Response:
    form = {"csrf": field(page.text, "csrf"), "workspace": workspace_id.hex}
    if 'name="ways"' in page.text:
        form["ways"] = field(page.text, "ways")
    return await browser.post(path, data=form)


def shown(browser: Browser) -> list[str]:
    """The workspaces of the browser's cookie, the shown one first."""
    return [one.partition(".")[0] for one in browser.cookies["ahlan"].split("~") if one != "+"]


async def test_a_password_of_several_workspaces_asks_which_and_opens_only_that(
    app: App, visitor: Browser, shop: Shop, other: Shop
) -> None:
    page = await fill(visitor, "/sign-in?next=/panel/team", email=shop.email, password=PASSWORD)
    assert page.status_code == 200
    assert "Which workspace?" in page.text
    assert "Second" in page.text
    assert "ahlan" not in visitor.cookies, "no session before one is chosen"
    answer = await choose(visitor, page, other.workspace_id, f"{PAGE}?next=/panel/team")
    assert (answer.status_code, answer.headers["location"]) == (303, "/panel/team")
    assert shown(visitor) == [other.workspace_id.hex]
    assert "Second" in (await visitor.get("/panel")).text
    async with app.db.transaction(shop.workspace_id) as tx:
        owner = await tx.get(team.Agent, shop.owner.id)
        assert owner is not None
        assert await team.sessions(tx, owner) == []


async def test_nothing_is_named_before_the_password_and_nothing_that_it_does_not_open(
    app: App, visitor: Browser, shop: Shop, other: Shop
) -> None:
    strangers = await open_shop(app)
    await rename(app, strangers, "Taken by a stranger")
    async with app.db.transaction(strangers.workspace_id) as tx:
        await team.add(tx, name="Not them", email=shop.email, role=Role.AGENT, password_hash="")
        await stores.claim(tx, "sign_in", app.vault.fingerprint("email", shop.email))
    wrong = await fill(visitor, "/sign-in", email=shop.email, password="not the password")
    unknown = await fill(visitor, "/sign-in", email=f"{uuid4().hex}@cafe.example", password="not the password")
    assert wrong.status_code == unknown.status_code == 422
    for page in (wrong, unknown):
        assert "Which workspace?" not in page.text
        assert "Second" not in page.text
    right = await fill(visitor, "/sign-in", email=shop.email, password=PASSWORD)
    assert "Second" in right.text
    assert "Taken by a stranger" not in right.text
    refused = await choose(visitor, right, strangers.workspace_id)
    assert (refused.headers["location"], "ahlan" in visitor.cookies) == ("/sign-in", False)


async def test_what_was_proven_is_sealed_and_ends_with_the_password(
    app: App, visitor: Browser, shop: Shop, other: Shop
) -> None:
    page = await fill(visitor, "/sign-in", email=shop.email, password=PASSWORD)
    form = {"csrf": field(page.text, "csrf"), "workspace": other.workspace_id.hex}
    for ways in ("", "made up", field(page.text, "ways")[:-4] + "AAAA"):
        assert (await visitor.post(PAGE, data={**form, "ways": ways})).headers["location"] == "/sign-in"
    # Without a proof only what this browser is signed in to opens.
    assert (await visitor.post(PAGE, data=form)).headers["location"] == "/sign-in?another=1"
    async with app.db.transaction(other.workspace_id) as tx:
        owner = await tx.get(team.Agent, other.owner.id)
        assert owner is not None
        await team.set_password(tx, owner, "another hash")
    assert (await choose(visitor, page, other.workspace_id)).headers["location"] == "/sign-in"
    assert "ahlan" not in visitor.cookies
    assert (await visitor.get(PAGE)).headers["location"] == "/sign-in"


async def test_each_workspace_asks_for_its_own_second_step(
    app: App, visitor: Browser, sign_in: SignIn, shop: Shop, other: Shop, panel: httpx.ASGITransport
) -> None:
    async with httpx.AsyncClient(transport=panel, base_url=URL, headers={"sec-fetch-site": "same-origin"}) as browser:
        page = await fill(browser, "/sign-in", email=shop.email, password=PASSWORD)
        await choose(browser, page, other.workspace_id)
        settings = await browser.get("/panel/settings")
        browser.headers["x-csrf-token"] = settings.text.split('"x-csrf-token": "')[1].split('"')[0]
        secret, codes = await second_step(browser)
    assert pyotp.TOTP(secret)
    page = await fill(visitor, "/sign-in", email=shop.email, password=PASSWORD)
    asked = await choose(visitor, page, other.workspace_id)
    assert (asked.status_code, "Second step" in asked.text) == (200, True)
    assert "ahlan" not in visitor.cookies
    form = {"csrf": field(asked.text, "csrf"), "proof": field(asked.text, "proof"), "code": codes[0]}
    assert (await visitor.post("/sign-in/code", data=form)).status_code == 303
    assert shown(visitor) == [other.workspace_id.hex]
    # The first workspace has none: its password alone opens it, beside the other.
    page = await fill(visitor, "/sign-in?another=1", email=shop.email, password=PASSWORD)
    assert (await choose(visitor, page, shop.workspace_id)).status_code == 303
    assert shown(visitor) == [shop.workspace_id.hex, other.workspace_id.hex]


async def test_the_switch_offers_what_this_browser_is_signed_in_to_and_signing_out_ends_it_all(
    app: App, visitor: Browser, shop: Shop, other: Shop
) -> None:
    for place in (shop, other):
        page = await fill(visitor, "/sign-in?another=1", email=shop.email, password=PASSWORD)
        await choose(visitor, page, place.workspace_id)
    panel = await visitor.get("/panel")
    assert "Second" in panel.text
    assert 'action="/sign-in/workspace"' in panel.text
    token = panel.text.split('"x-csrf-token": "')[1].split('"')[0]
    listed = await visitor.get(PAGE)
    assert "Dukkan" in listed.text
    assert (await choose(visitor, listed, shop.workspace_id)).headers["location"] == "/panel"
    assert shown(visitor) == [shop.workspace_id.hex, other.workspace_id.hex]
    assert "Second" not in (await visitor.get("/panel")).text
    # A page of the other workspace in another tab is loaded anew: it never mixes the two, and changes nothing.
    htmx = {"hx-request": "true", "hx-target": "main#page", "x-csrf-token": token}
    stale = await visitor.get("/panel/inbox", headers=htmx)
    assert (stale.status_code, stale.headers.get("hx-refresh"), stale.text) == (204, "true", "")
    assert (await visitor.post("/panel/settings/me", data={"name": "X"}, headers=htmx)).status_code == 403
    # A session ended by whoever runs that team is no longer offered.
    async with app.db.transaction(other.workspace_id) as tx:
        owner = await tx.get(team.Agent, other.owner.id)
        assert owner is not None
        await team.close_sessions(tx, owner)
    assert "Second" not in (await visitor.get(PAGE)).text
    again = await fill(visitor, "/sign-in?another=1", email=shop.email, password=PASSWORD)
    await choose(visitor, again, other.workspace_id)
    kept = dict(visitor.cookies)
    assert (await visitor.post("/sign-out")).status_code == 303
    visitor.cookies.update(kept)
    assert (await visitor.get(PAGE)).headers["location"] == "/sign-in", "every session of this browser ended"


async def test_the_switch_is_shown_to_those_alone_who_have_something_to_switch_to(
    app: App, visitor: Browser, shop: Shop, other: Shop, sign_in: SignIn
) -> None:
    alone = await sign_in(shop.colleagues["noa"].email or "")
    assert PAGE not in (await alone.get("/panel")).text
    assert "/sign-in?another=1" in (await alone.get("/panel/settings/security")).text, "a way to a second one"
    page = await fill(visitor, "/sign-in", email=shop.email, password=PASSWORD)
    await choose(visitor, page, shop.workspace_id)
    assert PAGE in (await visitor.get("/panel")).text, "proven to belong to two, open in one"
    # The second step in between, and a second visit, do not forget it.
    settings = await visitor.get("/panel/settings/security")
    visitor.headers["x-csrf-token"] = settings.text.split('"x-csrf-token": "')[1].split('"')[0]
    _secret, codes = await second_step(visitor)
    asked = await choose(visitor, await fill(visitor, "/sign-in?another=1", email=shop.email, password=PASSWORD),
                         shop.workspace_id)  # fmt: skip
    visitor.cookies.clear()
    form = {"csrf": field(asked.text, "csrf"), "proof": field(asked.text, "proof"), "code": codes[0]}
    assert (await visitor.post("/sign-in/code", data=form)).status_code == 303
    assert PAGE in (await visitor.get("/panel")).text
    assert (await visitor.post("/sign-out")).status_code == 303
    assert "ahlan" not in visitor.cookies


async def test_inside_a_stores_admin_there_is_no_switch(app: App, framed: object, visitor: Browser) -> None:
    page = await visitor.get("/shopify", headers={"authorization": "Bearer good:yara:staff"})
    assert page.status_code == 200
    assert PAGE not in page.text


async def test_an_account_of_a_provider_in_several_workspaces_asks_which(world: World, shop: Shop, other: Shop) -> None:
    for place in (shop, other):
        browser = world.browser()
        page = await fill(browser, "/sign-in", email=shop.email, password=PASSWORD)
        await choose(browser, page, place.workspace_id)
        settings = await browser.get("/panel/settings/security")
        browser.headers["x-csrf-token"] = settings.text.split('"x-csrf-token": "')[1].split('"')[0]
        away = await browser.post("/panel/settings/security/provider", data={"csrf": field(settings.text, "csrf")})
        back = await come_back(world, browser, away.headers["location"], world.maya)
        assert back.status_code == 303
        await browser.aclose()
    async with world.browser() as browser:
        page = await come_back(world, browser, await begin(browser), world.maya)
        assert page.status_code == 200
        assert "Which workspace?" in page.text
        assert (await choose(browser, page, other.workspace_id)).status_code == 303
        assert shown(browser) == [other.workspace_id.hex]
