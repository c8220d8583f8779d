"""Accounts: the first one, signing in and out, limits that are fair, passwords, invitations, the last owner."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import replace
from uuid import uuid4

import httpx
import pytest
from argon2 import extract_parameters
from argon2.profiles import RFC_9106_LOW_MEMORY

from admin_ui.auth import own_path
from plugin import stores, team
from plugin.app import App
from plugin.kernel.errors import Conflict, Forbidden
from plugin.team import Role
from tests.admin_ui.conftest import URL, Browser, SignIn, field
from tests.admin_ui.shop import PASSWORD, Admin, Shop, assemble, member, open_shop


def test_passwords_are_hashed_as_rfc_9106_asks() -> None:
    """Read anew, because the tests' own copy hashes quickly (tests/conftest.py)."""
    spec = importlib.util.find_spec("admin_ui.auth")
    assert spec is not None
    assert spec.loader is not None
    fresh = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fresh)
    chosen = extract_parameters(fresh._HASHER.hash("x"))
    least = RFC_9106_LOW_MEMORY
    assert chosen.type is least.type
    assert chosen.memory_cost >= least.memory_cost
    assert chosen.time_cost >= least.time_cost


async def fill(browser: Browser, path: str, **values: str) -> httpx.Response:
    page = await browser.get(path)
    return await browser.post(path, data={**values, "csrf": field(page.text, "csrf")})


def sign_up_form(email: str) -> dict[str, str]:
    return {"workspace": "בית הקפה", "name": "Rana", "email": email, "password": PASSWORD,
            "timezone": "Asia/Amman"}  # fmt: skip


async def test_the_first_account_makes_a_workspace_and_its_owner(visitor: Browser, app: App) -> None:
    email = "Rana@Cafe.example"
    answer = await fill(visitor, "/sign-up", **sign_up_form(email))
    assert answer.status_code == 303
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "secure" not in cookie
    page = await visitor.get("/panel")
    assert "בית הקפה" in page.text
    (workspace_id, _store), *others = await app.db.lookup("sign_in", app.vault.fingerprint("email", email.lower()))
    assert others == []
    async with app.db.transaction(workspace_id) as tx:
        (owner,) = await team.agents(tx)
    assert (owner.role, owner.name, owner.email) == ("owner", "Rana", "rana@cafe.example")
    assert owner.password_hash.startswith("$argon2id$")


async def test_who_begins_at_a_connect_link_without_an_account_comes_back_to_it(visitor: Browser) -> None:
    link = "/panel/connect/woocommerce?request=sealed.word"
    page = await visitor.get("/sign-in", params={"next": link})
    assert "open Ahlan there, go to Stores" in page.text, "what to do without a password"
    sign_up = re.search(r'href="(/sign-up[^"]*)"', page.text)
    assert sign_up is not None
    wrong = await fill(visitor, sign_up[1], **{**sign_up_form("back@cafe.example"), "name": " "})
    assert wrong.status_code == 422
    onward = re.search(r'action="(/sign-up[^"]*)"', wrong.text)
    assert onward is not None
    answer = await fill(visitor, onward[1], **sign_up_form("back@cafe.example"))
    assert (answer.status_code, answer.headers["location"]) == (303, link)
    again = await visitor.get(onward[1])
    assert again.headers["location"] == link, "who is signed in already goes on"
    elsewhere = await visitor.get("/sign-up", params={"next": "//evil.example/panel"})
    assert elsewhere.headers["location"] == "/panel"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"email": "no address"}, "not an e-mail address"),
        ({"password": "short"}, "at least 10 characters"),
        ({"password": "aaaaaaaaaaaaaa"}, "too easy to guess"),
        ({"name": "  "}, "what we should call you"),
    ],
)
async def test_what_is_wrong_is_said_and_what_was_typed_stays(
    visitor: Browser, change: dict[str, str], said: str
) -> None:
    answer = await fill(visitor, "/sign-up", **{**sign_up_form("new@cafe.example"), **change})
    assert answer.status_code == 422
    assert said in answer.text
    assert "בית הקפה" in answer.text
    assert PASSWORD not in answer.text


async def test_over_tls_the_cookie_is_secure_and_bound_to_the_host(app: App, shop: Shop) -> None:
    secure = replace(app, settings=replace(app.settings, public_url="https://ahlan.example"))
    _app, site = assemble(secure, "https://ahlan.example", Admin())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(site), base_url="https://ahlan.example") as browser:
        answer = await fill(browser, "/sign-in", email=shop.email, password=PASSWORD)
    assert answer.headers["set-cookie"].startswith("__Host-ahlan=")
    assert "; Secure" in answer.headers["set-cookie"]
    assert "domain" not in answer.headers["set-cookie"].lower()


async def test_a_wrong_password_and_an_unknown_address_read_the_same(visitor: Browser, shop: Shop) -> None:
    wrong = await fill(visitor, "/sign-in", email=shop.email, password="not the password")
    unknown = await fill(visitor, "/sign-in", email="nobody-at-all@cafe.example", password="not the password")
    assert wrong.status_code == unknown.status_code == 422
    strip = {shop.email: "", "nobody-at-all@cafe.example": ""}
    texts = []
    for answer in (wrong, unknown):
        text = answer.text.replace(field(answer.text, "csrf"), "")
        for email in strip:
            text = text.replace(email, "")
        texts.append(text)
    assert texts[0] == texts[1]


async def test_guessing_one_account_stops_soon_while_the_same_network_goes_on(
    panel: httpx.ASGITransport, visitor: Browser, shop: Shop
) -> None:
    page = await visitor.get("/sign-in")
    csrf = field(page.text, "csrf")
    answers = [
        await visitor.post("/sign-in", data={"email": shop.email, "password": f"guess {n} guess", "csrf": csrf})
        for n in range(9)
    ]
    assert [answer.status_code for answer in answers] == [422] * 8 + [429]
    right = await visitor.post("/sign-in", data={"email": shop.email, "password": PASSWORD, "csrf": csrf})
    assert right.status_code == 429
    karim = shop.colleagues["karim"].email or ""
    neighbour = await visitor.post("/sign-in", data={"email": karim, "password": PASSWORD, "csrf": csrf})
    assert neighbour.status_code == 303
    elsewhere = httpx.ASGITransport(panel.app, client=("198.51.100.7", 1))
    async with httpx.AsyncClient(transport=elsewhere, base_url=URL) as away:
        assert (await fill(away, "/sign-in", email=shop.email, password=PASSWORD)).status_code == 303


async def test_signing_out_ends_the_session_itself(shop: Shop, sign_in: SignIn) -> None:
    browser = await sign_in(shop.email)
    stolen = dict(browser.cookies)
    assert (await browser.post("/sign-out")).status_code == 303
    browser.cookies.update(stolen)
    assert (await browser.get("/panel")).status_code == 303


async def test_a_new_password_ends_the_other_sessions_and_keeps_this_one(shop: Shop, sign_in: SignIn) -> None:
    here, elsewhere = await sign_in(shop.email), await sign_in(shop.email)
    wrong = await here.post("/panel/settings/password", data={"current": "no", "new": "another long evening"})
    assert wrong.status_code == 422
    assert "not your current password" in wrong.text
    assert (await elsewhere.get("/panel")).status_code == 200
    changed = await here.post("/panel/settings/password", data={"current": PASSWORD, "new": "another long evening"})
    assert changed.status_code == 303
    assert (await here.get("/panel")).status_code == 200
    assert (await elsewhere.get("/panel")).status_code == 303


async def test_a_deactivated_agent_is_out_at_once(app: App, shop: Shop, sign_in: SignIn) -> None:
    noa = await sign_in(shop.colleagues["noa"].email or "")
    owner = await sign_in(shop.email)
    answer = await owner.post(f"/panel/team/{shop.colleagues['noa'].id}/deactivate")
    assert answer.status_code == 303
    assert (await noa.get("/panel/inbox")).status_code == 303
    await owner.post(f"/panel/team/{shop.colleagues['noa'].id}/reactivate")
    assert (await sign_in(shop.colleagues["noa"].email or "")) is not None


async def test_an_invitation_works_once_and_gives_its_role(
    app: App, shop: Shop, sign_in: SignIn, visitor: Browser
) -> None:
    owner = await sign_in(shop.email)
    page = await owner.post("/panel/team/invitations", data={"email": "New@Cafe.example", "role": "light"})
    link = httpx.URL(page.text.split("data-copy-from")[0].rsplit('value="', 1)[1].split('"')[0])
    answer = await fill(visitor, link.path, name="Dana", password=PASSWORD)
    assert answer.status_code == 303, answer.text
    team_page = await owner.get("/panel/team")
    assert "Dana" in team_page.text
    visitor.cookies.clear()
    again = await visitor.get(link.path)
    assert again.status_code == 404
    assert "no longer good" in again.text
    assert str(link) not in team_page.text
    async with app.db.transaction(shop.workspace_id) as tx:
        dana = await team.by_email(tx, "new@cafe.example")
    assert dana is not None
    assert dana.role == "light"


async def test_an_invitation_taken_back_or_of_another_workspace_is_gone(
    shop: Shop, empty_shop: Shop, sign_in: SignIn, visitor: Browser
) -> None:
    owner = await sign_in(shop.email)
    page = await owner.post("/panel/team/invitations", data={"email": "late@cafe.example", "role": "agent"})
    link = httpx.URL(page.text.split("data-copy-from")[0].rsplit('value="', 1)[1].split('"')[0])
    elsewhere = link.path.replace(shop.workspace_id.hex, empty_shop.workspace_id.hex)
    assert (await visitor.get(elsewhere)).status_code == 404
    invitation = page.text.split("/panel/team/invitations/")[1].split("/")[0]
    await owner.post(f"/panel/team/invitations/{invitation}/withdraw")
    assert (await visitor.get(link.path)).status_code == 404


async def test_an_admin_cannot_make_or_touch_owners(shop: Shop, sign_in: SignIn) -> None:
    admin = await sign_in(shop.colleagues["karim"].email or "")
    assert (await admin.post(f"/panel/team/{shop.owner.id}/deactivate")).status_code == 403
    assert (
        await admin.post(f"/panel/team/{shop.colleagues['noa'].id}/role", data={"role": "owner"})
    ).status_code == 403
    invited = await admin.post("/panel/team/invitations", data={"email": "boss@cafe.example", "role": "owner"})
    assert invited.status_code == 403
    assert (await admin.post("/panel/settings/security/rules", data={"roles": "owner"})).status_code == 403


async def test_a_workspace_keeps_an_owner(app: App, shop: Shop) -> None:
    async with app.db.transaction(shop.workspace_id) as tx:
        owner = await tx.get(team.Agent, shop.owner.id)
        assert owner is not None
        with pytest.raises(Conflict):
            await team.change_role(tx, owner, Role.ADMIN, by=owner)
        with pytest.raises(Conflict):
            await team.deactivate(tx, owner, by=owner)
    second = await member(app, shop.workspace_id, "second", "Second Owner", Role.OWNER, "")
    async with app.db.transaction(shop.workspace_id) as tx:
        owner, by = await tx.get(team.Agent, shop.owner.id), await tx.get(team.Agent, second.id)
        assert owner is not None
        assert by is not None
        await team.change_role(tx, owner, Role.AGENT, by=by)
        with pytest.raises(Forbidden):
            await team.change_role(tx, by, Role.ADMIN, by=owner)


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/panel/inbox?view=mine", True),
        ("/panel", True),
        ("//evil.example/panel", False),
        ("/\\evil.example", False),
        ("https://evil.example/panel", False),
        ("/panel/../../evil", False),
        ("/panel\n//evil.example", False),
        ("/panel.evil.example", False),
        ("/shopify", False),
    ],
)
def test_onward_addresses_stay_here(path: str, kept: bool) -> None:
    assert bool(own_path(path)) is kept


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/shopify/callback?shop=x.myshopify.com&state=//y", True),
        ("/nothing/here", True),
        ("//evil.example/", False),
        ("/\\evil.example", False),
        ("https://evil.example/", False),
        ("evil.example", False),
        ("/a/../b", False),
        ("/a\n//evil.example", False),
        ("/a?b=\r\nset-cookie:x", False),
    ],
)
async def test_after_a_change_of_language_the_same_page_of_ours_is_shown(
    visitor: Browser, path: str, shown: bool
) -> None:
    answer = await visitor.post("/language", data={"locale": "he", "next": path})
    assert (answer.status_code, answer.headers["location"]) == (303, path if shown else "/")
    assert visitor.cookies["ahlan_locale"] == "he"


async def test_a_page_that_says_what_went_wrong_has_the_brand_and_the_languages(visitor: Browser) -> None:
    headers = {"accept": "text/html", "accept-language": "ar"}
    page = await visitor.get("/nothing/here?a=1", headers=headers)
    assert page.status_code == 404
    assert 'class="brand"' in page.text
    assert field(page.text, "next") == "/nothing/here?a=1"
    assert "لا يوجد شيء هنا" in page.text
    sent = await visitor.post("/nothing/here", headers=headers)
    assert field(sent.text, "next") == "/", "what a form sent cannot be asked for again"
    await visitor.post("/language", data={"locale": "he", "next": "/nothing/here?a=1"})
    assert 'lang="he"' in (await visitor.get("/nothing/here?a=1", headers=headers)).text


async def test_strangers_cannot_crowd_somebody_out_of_their_own_address(
    visitor: Browser, sign_in: SignIn, app: App
) -> None:
    """Nobody proves an address when signing up: accounts made with it beforehand must not hide its owner's."""
    email = f"{uuid4().hex}@cafe.example"
    for _ in range(5):
        answer = await fill(visitor, "/sign-up", **{**sign_up_form(email), "password": "a stranger's password"})
        assert answer.status_code == 303
        visitor.cookies.clear()
    assert (await fill(visitor, "/sign-up", **sign_up_form(email))).status_code == 422, "enough for one day"
    shop = await open_shop(app)
    async with app.db.transaction(shop.workspace_id) as tx:
        await team.add(tx, name="Rana", email=email, role=Role.AGENT, password_hash=shop.owner.password_hash)
        await stores.claim(tx, "sign_in", app.vault.fingerprint("email", email))
    browser = await sign_in(email)
    assert "Dukkan" in (await browser.get("/panel")).text
