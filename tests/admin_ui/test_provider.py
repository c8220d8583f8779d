"""An OpenID provider: bound by issuer and subject, by an invitation or one's own session, never by e-mail."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from urllib.parse import urlencode
from uuid import uuid4

import httpx
import pyotp
import pytest

from plugin import team
from plugin.app import App
from plugin.kernel.config import Oidc
from plugin.kernel.http import Http
from plugin.team import audit, providers, second_factor
from plugin.team.audit import Wanted
from tests.admin_ui.conftest import URL, Browser
from tests.admin_ui.conftest import field as hidden
from tests.admin_ui.shop import PASSWORD, Admin, Shop, assemble
from tests.admin_ui.test_accounts import fill
from tests.kernel.provider import CLIENT, ISSUER, SECRET, OpenIdProvider

CALLBACK = "/sign-in/provider/callback"


@dataclass
class World:
    """The panel with a provider configured, and that provider."""

    app: App
    wire: OpenIdProvider
    site: httpx.ASGITransport
    maya: str = field(default_factory=lambda: uuid4().hex)

    def browser(self) -> Browser:
        return httpx.AsyncClient(transport=self.site, base_url=URL, headers={"sec-fetch-site": "same-origin"})


@pytest.fixture
async def world(app: App, admin: Admin) -> AsyncIterator[World]:
    wire = OpenIdProvider()
    http = Http(transport=wire.transport())
    app = replace(app, http=http, settings=replace(app.settings, oidc=Oidc(ISSUER, CLIENT, SECRET, "Example ID")))
    _app, site = assemble(app, URL, admin)
    yield World(app, wire, httpx.ASGITransport(site, raise_app_exceptions=False))
    await http.close()


@pytest.fixture
async def browser(world: World) -> AsyncIterator[Browser]:
    async with world.browser() as client:
        yield client


async def begin(browser: Browser, path: str = "/sign-in", **more: str) -> str:
    """Press the button; returns where the provider is."""
    page = await browser.get(path)
    assert "Continue with" in page.text
    answer = await browser.post("/sign-in/provider", data={"csrf": hidden(page.text, "csrf"), **more})
    assert answer.status_code == 303
    assert answer.headers["set-cookie"].startswith("ahlan_oidc=")
    return answer.headers["location"]


async def come_back(world: World, browser: Browser, where: str, subject: str, **claims: object) -> httpx.Response:
    query = world.wire.authorize(where, subject, **claims)
    return await browser.get(f"{CALLBACK}?{urlencode(query)}", headers={"sec-fetch-site": "cross-site"})


async def signed_in(world: World, shop: Shop) -> Browser:
    browser = world.browser()
    assert (await fill(browser, "/sign-in", email=shop.email, password=PASSWORD)).status_code == 303
    page = await browser.get("/panel/settings/security")
    browser.headers["x-csrf-token"] = page.text.split('"x-csrf-token": "')[1].split('"')[0]
    return browser


async def link(world: World, shop: Shop, subject: str = "", **claims: object) -> Browser:
    """Link an account from the owner's own session."""
    browser = await signed_in(world, shop)
    away = await browser.post("/panel/settings/security/provider")
    assert away.status_code == 303
    back = await come_back(world, browser, away.headers["location"], subject or world.maya, **claims)
    assert (back.status_code, back.headers["location"]) == (303, "/panel/settings/security?saved=provider")
    return browser


async def test_an_equal_address_signs_nobody_in(world: World, browser: Browser, shop: Shop) -> None:
    where = await begin(browser)
    answer = await come_back(world, browser, where, "stranger", email=shop.email, email_verified=True)
    assert answer.status_code == 403
    assert "not linked to anybody here" in answer.text
    assert "ahlan=" not in answer.headers.get("set-cookie", "").replace("ahlan_oidc=", "")
    assert (await browser.get("/panel")).status_code == 303


async def test_linked_from_ones_own_session_it_signs_in(world: World, browser: Browser, shop: Shop) -> None:
    own = await link(world, shop, email="maya@id.example")
    assert "maya@id.example" in (await own.get("/panel/settings/security")).text
    answer = await come_back(world, browser, await begin(browser), world.maya)
    assert (answer.status_code, answer.headers["location"]) == (303, "/panel")
    assert "Dukkan" in (await browser.get("/panel")).text
    async with world.app.db.transaction(shop.workspace_id) as tx:
        kinds = [(entry.kind, entry.changes) for entry in await audit.entries(tx, Wanted())]
    assert ("sign_in.succeeded", {"method": [None, "oidc"]}) in kinds
    assert ("account.provider_linked", {"account": [None, "maya@id.example"]}) in kinds


async def test_the_same_subject_of_another_issuer_is_somebody_else(world: World, browser: Browser, shop: Shop) -> None:
    async with world.app.db.transaction(shop.workspace_id) as tx:
        await providers.bind(
            tx, world.app.vault, shop.owner, issuer="https://other.example", subject=world.maya, label=""
        )
    assert (await come_back(world, browser, await begin(browser), world.maya)).status_code == 403


async def test_linking_needs_the_very_session_that_asked(world: World, shop: Shop) -> None:
    browser = await signed_in(world, shop)
    away = await browser.post("/panel/settings/security/provider")
    kept = dict(browser.cookies)
    assert (await browser.post("/sign-out")).status_code == 303
    assert (await come_back(world, browser, away.headers["location"], world.maya)).status_code == 403
    browser.cookies.update({"ahlan_oidc": kept["ahlan_oidc"]})
    async with world.app.db.transaction(shop.workspace_id) as tx:
        assert await providers.identities(tx, shop.owner) == []


async def test_an_account_is_one_agents_in_a_workspace(world: World, shop: Shop) -> None:
    await link(world, shop, "shared")
    karim = replace(shop, email=shop.colleagues["karim"].email or "")
    browser = await signed_in(world, karim)
    away = await browser.post("/panel/settings/security/provider")
    answer = await come_back(world, browser, away.headers["location"], "shared")
    assert answer.status_code == 409
    assert "belongs to somebody else" in answer.text


async def test_an_invitation_opened_here_makes_the_account_the_new_agents(
    world: World, browser: Browser, shop: Shop
) -> None:
    async with world.app.db.transaction(shop.workspace_id) as tx:
        _row, secret = await team.invite(tx, email="dana@shop.example", role=team.Role.AGENT, by=shop.owner)
    path = f"/invitations/{shop.workspace_id.hex}/{secret}"
    where = await begin(browser, path, workspace=shop.workspace_id.hex, invitation=secret)
    answer = await come_back(world, browser, where, "dana", name="Dana Levi", email="private@mail.example")
    assert (answer.status_code, answer.headers["location"]) == (303, "/panel")
    async with world.app.db.transaction(shop.workspace_id) as tx:
        dana = await team.by_email(tx, "dana@shop.example")
    assert dana is not None
    assert (dana.name, dana.role, dana.password_hash) == ("Dana Levi", "agent", "")
    browser.cookies.clear()
    assert (await come_back(world, browser, await begin(browser), "dana")).status_code == 303
    browser.cookies.clear()
    forwarded = await begin(browser, workspace=shop.workspace_id.hex, invitation=secret)
    assert (await come_back(world, browser, forwarded, "another")).status_code == 404


async def test_state_ties_the_answer_to_this_browser_and_to_one_look(world: World, shop: Shop) -> None:
    await link(world, shop)
    async with world.browser() as victim, world.browser() as attacker:
        theirs = await begin(attacker)
        query = world.wire.authorize(theirs, world.maya)
        no_cookie = await victim.get(f"{CALLBACK}?{urlencode(query)}")
        assert no_cookie.status_code == 403
        await begin(victim)
        assert (await victim.get(f"{CALLBACK}?{urlencode(query)}")).status_code == 403, "another state"
    async with world.browser() as browser:
        where = await begin(browser)
        held = browser.cookies["ahlan_oidc"]
        query = world.wire.authorize(where, world.maya)
        first = await browser.get(f"{CALLBACK}?{urlencode(query)}")
        assert first.status_code == 303
        assert "ahlan_oidc" not in browser.cookies, "deleted at the first look"
        again = await browser.get(
            f"{CALLBACK}?{urlencode(world.wire.authorize(where, world.maya))}", headers={"cookie": f"ahlan_oidc={held}"}
        )
        assert again.status_code == 403, "a kept cookie is no second look"


async def test_what_the_provider_refuses_is_said_in_words(world: World, browser: Browser, shop: Shop) -> None:
    where = await begin(browser)
    state = httpx.URL(where).params["state"]
    denied = await browser.get(f"{CALLBACK}?error=access_denied&state={state}")
    assert denied.status_code == 403
    assert "did not confirm who you are" in denied.text
    await begin(browser)
    world.wire.down = True
    away = await come_back(world, browser, await begin(browser), world.maya)
    assert away.status_code == 502
    assert "does not answer" in away.text


async def test_a_second_step_is_asked_for_unless_the_provider_asked(world: World, shop: Shop) -> None:
    own = await link(world, shop)
    async with world.app.db.transaction(shop.workspace_id) as tx:
        held = await team.session_agent(tx, own.cookies["ahlan"].partition(".")[2])
        assert held is not None
        secret = await second_factor.begin_factor(tx, world.app.vault, held[1])
        code = pyotp.TOTP(secret).now()

        assert await second_factor.confirm_factor(
            tx, world.app.vault, held[1], code, datetime.now(UTC), session_id=held[0].id
        )
    async with world.browser() as browser:
        asked = await come_back(world, browser, await begin(browser), world.maya)
        assert (asked.status_code, "Second step" in asked.text) == (200, True)
        assert (await browser.get("/panel")).status_code == 303
    async with world.browser() as browser:
        proven = await come_back(world, browser, await begin(browser), world.maya, amr=["pwd", "mfa"])
        assert proven.status_code == 303
        assert (await browser.get("/panel")).status_code == 200


async def test_unlinked_it_signs_in_no_more_and_the_only_way_in_is_kept(
    world: World, browser: Browser, shop: Shop
) -> None:
    own = await link(world, shop)
    async with world.app.db.transaction(shop.workspace_id) as tx:
        (identity,) = await providers.identities(tx, shop.owner)
        owner = await tx.get(team.Agent, shop.owner.id)
        assert owner is not None
        kept, owner.password_hash = owner.password_hash, ""
    path = f"/panel/settings/security/provider/{identity.id}/unlink"
    assert (await own.post(path)).status_code == 409
    async with world.app.db.transaction(shop.workspace_id) as tx:
        owner = await tx.get(team.Agent, shop.owner.id)
        assert owner is not None
        owner.password_hash = kept
    assert (await own.post(path)).status_code == 303
    assert (await come_back(world, browser, await begin(browser), world.maya)).status_code == 403


async def test_who_was_let_go_is_out_by_this_way_too(world: World, browser: Browser, shop: Shop) -> None:
    noa = replace(shop, email=shop.colleagues["noa"].email or "")
    await link(world, noa, "noa")
    async with world.app.db.transaction(shop.workspace_id) as tx:
        row = await tx.get(team.Agent, shop.colleagues["noa"].id, lock=True)
        assert row is not None
        await team.deactivate(tx, row, by=shop.owner)
    assert (await come_back(world, browser, await begin(browser), "noa")).status_code == 403


async def test_without_a_provider_there_is_no_button_and_no_way(visitor: Browser) -> None:
    page = await visitor.get("/sign-in")
    assert "Continue with" not in page.text
    answer = await visitor.post("/sign-in/provider", data={"csrf": hidden(page.text, "csrf")})
    assert answer.status_code == 404


async def test_the_provider_sends_nobody_elsewhere(world: World, browser: Browser, shop: Shop) -> None:
    await link(world, shop)
    page = await browser.get("/sign-in")
    form = {"csrf": hidden(page.text, "csrf")}
    away = await browser.post("/sign-in/provider?next=//evil.example/panel", data=form)
    answer = await come_back(world, browser, away.headers["location"], world.maya)
    assert answer.headers["location"] == "/panel"
    cross = {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}
    assert (await browser.post("/sign-in/provider", data=form, headers=cross)).status_code == 403
