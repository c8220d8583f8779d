"""Who is who, over HTTP: rights on every route, two steps, sessions, linking, letting go, the audit log."""

from __future__ import annotations

import ast
import csv
import html
import io
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pyotp
import pytest
from sqlalchemy import select, text, update

from admin_ui.desk import GuardedRoute
from admin_ui.downloads import safe_cell
from admin_ui.pages.audit import FIELDS, KINDS
from plugin import privacy, stores, team
from plugin.app import App
from plugin.conversations.conversations import Conversation
from plugin.crm import actions
from plugin.platform import StoreProfile
from plugin.team import Agent, AuditEntry, Permission, Session, audit, second_factor
from plugin.team.audit import Wanted
from tests.admin_ui.conftest import URL, Browser, SignIn, field
from tests.admin_ui.shop import PASSWORD, Admin, Shop
from tests.admin_ui.test_accounts import fill
from tests.admin_ui.test_door import panel_routes
from tests.admin_ui.test_privacy_page import ask

OWN = ("/settings/me", "/settings/alerts", "/settings/password", "/settings/security/second-step",
       "/settings/security/sessions", "/settings/security/provider", "/settings/security/stores")  # fmt: skip
# Whoever answers writes macros: their own, and the team's.
# Macros, and drafts of articles as in the help centre.
OF_WHO_ANSWERS = ("/settings/macros", "/settings/bot/learning/articles")


@pytest.fixture
def framed(admin: Admin, shop: Shop) -> Admin:
    admin.workspace_id, admin.store_id = shop.workspace_id, shop.stores["oud"].id
    return admin


async def log_of(app: App, shop: Shop, topic: str = "") -> list[AuditEntry]:
    async with app.db.transaction(shop.workspace_id) as tx:
        return list(await audit.entries(tx, Wanted(topic=topic), limit=200))


async def agent_of(app: App, agent: Agent) -> Agent:
    async with app.db.transaction(agent.workspace_id) as tx:
        found = await tx.get(Agent, agent.id)
        assert found is not None
        return found


# Every action names its right


def test_money_exports_and_settings_each_name_their_own_right(app: App) -> None:
    guarded = [route for route in panel_routes(app) if isinstance(route, GuardedRoute)]
    seen = dict.fromkeys(Permission, 0)
    for route in guarded:
        path, writes = re.sub(r"^/(panel|shopify)", "", route.path), "POST" in (route.methods or ())
        seen[route.permission] += 1
        if path.endswith("/export"):
            assert route.permission is Permission.EXPORT, path
        if "refund" in path:
            assert route.permission is Permission.REFUND, path
        if (
            writes
            and path.startswith("/settings")
            and not path.startswith((*OWN, "/settings/privacy", "/settings/blocked", *OF_WHO_ANSWERS))
        ):
            assert route.permission in (Permission.MANAGE_SETTINGS, Permission.MANAGE_WORKSPACE), path
        if writes and path.startswith("/team") and path != "/team/confirm-owner":
            assert route.permission is Permission.MANAGE_TEAM, path
        if writes and route.permission is Permission.READ:
            assert path.startswith((*OWN, "/live/ticket", "/team/confirm-owner")) or path.endswith("/read"), path
    unused = {permission for permission, count in seen.items() if not count}
    assert unused == set()


async def test_a_right_given_beside_the_role_opens_its_routes_and_no_others(
    app: App, shop: Shop, sign_in: SignIn
) -> None:
    owner, noa = await sign_in(shop.email), await sign_in(shop.colleagues["noa"].email or "")
    path = f"/panel/settings/widget/{shop.stores['oud'].id}"
    assert (await noa.post(path, data={"greeting": "x"})).status_code == 403
    rights = f"/panel/team/{shop.colleagues['noa'].id}/rights"
    saved = await owner.post(rights, data={"manage_settings": "on", "refund": "on", "limit-SAR": "٢٠٠٫٥٠"})
    assert saved.status_code == 303
    assert (await noa.post(path, data={"greeting": "x"})).status_code == 303
    assert (await noa.get("/panel/team/log/export")).status_code == 403
    held = (await agent_of(app, shop.colleagues["noa"])).beside
    assert (held.given, held.limits) == ({Permission.REFUND, Permission.MANAGE_SETTINGS}, {"SAR": 20050})
    page = await owner.get(f"/panel/team/{shop.colleagues['noa'].id}")
    assert 'name="limit-SAR" value="200.50"' in page.text
    await owner.post(rights, data={})
    assert (await noa.post(path, data={"greeting": "x"})).status_code == 403


@pytest.mark.parametrize("typed", ["-1", "abc", "1.005", "1e99", "NaN", "１２"])
async def test_what_is_no_amount_is_said_and_nothing_is_saved(
    app: App, shop: Shop, sign_in: SignIn, typed: str
) -> None:
    owner = await sign_in(shop.email)
    noa = shop.colleagues["noa"]
    answer = await owner.post(f"/panel/team/{noa.id}/rights", data={"refund": "on", "limit-SAR": typed})
    if typed == "１２":
        assert (await agent_of(app, noa)).beside.limits == {"SAR": 1200}, "digits of any script are digits"
        return
    assert answer.status_code == 422
    assert "not an amount" in answer.text
    assert not (await agent_of(app, noa)).beside.given


async def test_an_admin_gives_no_money_rights_and_the_page_does_not_offer_them(shop: Shop, sign_in: SignIn) -> None:
    karim = await sign_in(shop.colleagues["karim"].email or "")
    path = f"/panel/team/{shop.colleagues['noa'].id}"
    assert (await karim.post(f"{path}/rights", data={"refund": "on", "limit-SAR": "1"})).status_code == 403
    assert re.search(r'name="refund"\s+disabled', (await karim.get(path)).text)


async def test_personal_data_leaves_only_with_both_rights(app: App, shop: Shop, sign_in: SignIn) -> None:
    request = await ask(app, shop, privacy.DATA_REQUEST)
    path = f"/panel/settings/privacy/{request}/export"
    owner, noa = await sign_in(shop.email), await sign_in(shop.colleagues["noa"].email or "")
    await owner.post(f"/panel/team/{shop.colleagues['noa'].id}/rights", data={"export": "on"})
    assert (await noa.get(path)).status_code == 403, "may take data out, but not this"
    link = (await owner.get(path)).json()["url"]
    assert (await owner.get(link)).status_code == 200
    [line] = await log_of(app, shop, "data")
    assert (line.kind, line.way) == ("data.customer_exported", "panel")
    assert line.address, "a copy that leaves says where it went"


# Two steps


async def second_step(browser: Browser) -> tuple[str, list[str]]:
    """Set it up as a person does; returns the secret and the recovery codes."""
    assert (await browser.post("/panel/settings/security/second-step")).status_code == 303
    page = await browser.get("/panel/settings/security")
    assert 'src="data:image/svg+xml' in page.text
    found = re.search(r'class="key" dir="ltr">([A-Z2-7]{32})<', page.text)
    assert found is not None
    wrong = await browser.post("/panel/settings/security/second-step/confirm", data={"code": "000000"})
    assert wrong.status_code == 422
    code = pyotp.TOTP(found[1]).now()
    done = await browser.post("/panel/settings/security/second-step/confirm", data={"code": code})
    assert done.status_code == 200, done.text
    codes = re.findall(r"<li><code>([a-z0-9-]{14})</code></li>", done.text)
    assert len(codes) == second_factor.RECOVERY_CODES
    return found[1], codes


async def forget_steps(app: App, agent: Agent) -> None:
    """As if an hour had gone by: codes of now count again."""
    async with app.db.transaction(agent.workspace_id) as tx:
        await tx.execute(text("UPDATE second_factors SET last_step = 0"))


async def test_a_password_alone_no_longer_opens_a_session(
    app: App, shop: Shop, sign_in: SignIn, visitor: Browser
) -> None:
    secret, codes = await second_step(await sign_in(shop.email))
    asked = await fill(visitor, "/sign-in", email=shop.email, password=PASSWORD)
    assert asked.status_code == 200
    assert "set-cookie" not in asked.headers
    assert "Second step" in asked.text
    form = {"csrf": field(asked.text, "csrf"), "proof": field(asked.text, "proof")}
    replay = await visitor.post("/sign-in/code", data={**form, "code": pyotp.TOTP(secret).now()})
    assert replay.status_code == 422, "the code that switched it on"
    await forget_steps(app, shop.owner)
    right = await visitor.post("/sign-in/code", data={**form, "code": pyotp.TOTP(secret).now()})
    assert (right.status_code, right.headers["location"]) == (303, "/panel")
    visitor.cookies.clear()
    by_recovery = await visitor.post("/sign-in/code", data={**form, "code": codes[3]})
    assert by_recovery.status_code == 303
    visitor.cookies.clear()
    assert (await visitor.post("/sign-in/code", data={**form, "code": codes[3]})).status_code == 422
    kinds = [entry.kind for entry in await log_of(app, shop)]
    assert kinds.count("sign_in.failed") == 2
    assert "account.recovery_code_used" in kinds


async def test_guessing_codes_stops_soon(shop: Shop, sign_in: SignIn, visitor: Browser) -> None:
    secret, codes = await second_step(await sign_in(shop.email))
    asked = await fill(visitor, "/sign-in", email=shop.email, password=PASSWORD)
    form = {"csrf": field(asked.text, "csrf"), "proof": field(asked.text, "proof")}
    # One wrong try, one right one, when it was switched on.
    answers = [(await visitor.post("/sign-in/code", data={**form, "code": f"{n:06}"})).status_code for n in range(7)]
    assert answers == [422] * 6 + [429]
    assert (await visitor.post("/sign-in/code", data={**form, "code": codes[0]})).status_code == 429
    assert secret


async def test_a_first_step_is_good_for_its_own_password_and_agent_only(
    app: App, shop: Shop, sign_in: SignIn, visitor: Browser
) -> None:
    browser = await sign_in(shop.email)
    _secret, codes = await second_step(browser)
    asked = await fill(visitor, "/sign-in", email=shop.email, password=PASSWORD)
    form = {"csrf": field(asked.text, "csrf"), "proof": field(asked.text, "proof")}
    forged = form["proof"][:-4] + "AAAA"
    assert (await visitor.post("/sign-in/code", data={**form, "proof": forged, "code": codes[0]})).headers[
        "location"
    ] == "/sign-in"
    changed = await browser.post("/panel/settings/password", data={"current": PASSWORD, "new": "another long evening"})
    assert changed.status_code == 303
    assert (await visitor.post("/sign-in/code", data={**form, "code": codes[0]})).status_code == 422
    assert (await visitor.get("/sign-in/code")).headers["location"] == "/sign-in"


async def test_where_a_role_needs_two_steps_nothing_opens_before_it_has_them(
    app: App, shop: Shop, sign_in: SignIn
) -> None:
    owner, karim = await sign_in(shop.email), await sign_in(shop.colleagues["karim"].email or "")
    noa = await sign_in(shop.colleagues["noa"].email or "")
    assert (await karim.post("/panel/settings/security/rules", data={"roles": "agent"})).status_code == 403
    assert (await owner.post("/panel/settings/security/rules", data={"roles": "admin"})).status_code == 303
    assert (await noa.get("/panel/inbox")).status_code == 200
    for path in ("/panel", "/panel/inbox", "/panel/team", "/panel/settings/privacy"):
        answer = await karim.get(path)
        assert (answer.status_code, answer.headers.get("location")) == (303, "/panel/settings/security"), path
    refused = await karim.post(f"/panel/conversations/{shop.talks['huda']}/status")
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "second_step_needed")
    page = await karim.get("/panel/settings/security")
    assert "Your role signs in with two steps" in page.text
    await second_step(karim)
    assert (await karim.get("/panel/inbox")).status_code == 200
    off = await karim.post("/panel/settings/security/second-step/off", data={"code": "000000"})
    assert off.status_code == 422
    (rule,) = await log_of(app, shop, "settings")
    assert rule.changes == {"second_factor_roles": [[], ["admin"]]}


async def test_every_route_but_the_way_to_two_steps_waits_for_them(app: App, shop: Shop, sign_in: SignIn) -> None:
    karim = await sign_in(shop.colleagues["karim"].email or "")
    async with app.db.transaction(shop.workspace_id) as tx:
        await tx.execute(text("UPDATE workspaces SET second_factor_roles = '[\"admin\"]'"))
    walked = 0
    for route in panel_routes(app):
        if not isinstance(route, GuardedRoute) or not route.path.startswith("/panel") or route.before_proof:
            continue
        # What this role may not open at all is refused before the second step is asked for.
        if route.permission in (Permission.MANAGE_WORKSPACE, Permission.REFUND) or route.path.endswith("/live"):
            continue
        method = "POST" if "POST" in (route.methods or ()) else "GET"
        answer = await karim.request(method, re.sub(r"\{\w+\}", str(uuid4()), route.path))
        assert answer.status_code == (403 if method == "POST" else 303), route.path
        walked += 1
    assert walked > 50


async def test_a_lost_phone_is_taken_away_by_a_colleague(app: App, shop: Shop, sign_in: SignIn) -> None:
    noa = await sign_in(shop.colleagues["noa"].email or "")
    await second_step(noa)
    owner = await sign_in(shop.email)
    path = f"/panel/team/{shop.colleagues['noa'].id}"
    assert "Phone lost" in (await owner.get(path)).text
    assert (await owner.post(f"{path}/second-step")).status_code == 303
    assert (await noa.get("/panel")).status_code == 303
    assert await sign_in(shop.colleagues["noa"].email or "") is not None


# Sessions


async def test_one_sees_where_one_is_signed_in_and_ends_it(app: App, shop: Shop, sign_in: SignIn) -> None:
    here, there, third = await sign_in(shop.email), await sign_in(shop.email), await sign_in(shop.email)
    firefox = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
    async with app.db.transaction(shop.workspace_id) as tx:
        held = await team.session_agent(tx, there.cookies["ahlan"].partition(".")[2])
        assert held is not None
        await tx.execute(
            update(Session)
            .where(Session.workspace_id == shop.workspace_id, Session.id == held[0].id)
            .values(user_agent=firefox, address="198.51.100.0/24")
        )
    page = await here.get("/panel/settings/security")
    assert "Firefox, Windows" in page.text
    assert "198.51.100.0/24" in page.text
    assert page.text.count("this browser") == 1
    assert (await here.post(f"/panel/settings/security/sessions/{held[0].id}/end")).status_code == 303
    assert (await there.get("/panel")).status_code == 303
    assert (await third.get("/panel")).status_code == 200
    assert (await here.post("/panel/settings/security/sessions/end-others")).status_code == 303
    assert (await third.get("/panel")).status_code == 303
    assert (await here.get("/panel")).status_code == 200


async def test_nobody_ends_somebody_elses_session_by_its_id(app: App, shop: Shop, sign_in: SignIn) -> None:
    noa, owner = await sign_in(shop.colleagues["noa"].email or ""), await sign_in(shop.email)
    async with app.db.transaction(shop.workspace_id) as tx:
        theirs = await tx.scalar(select(Session.id).where(Session.agent_id == shop.owner.id))
    assert (await noa.post(f"/panel/settings/security/sessions/{theirs}/end")).status_code == 404
    assert (await owner.get("/panel")).status_code == 200


async def test_whoever_runs_the_team_signs_somebody_out_everywhere(shop: Shop, sign_in: SignIn) -> None:
    owner, noa = await sign_in(shop.email), await sign_in(shop.colleagues["noa"].email or "")
    karim = await sign_in(shop.colleagues["karim"].email or "")
    assert (await karim.post(f"/panel/team/{shop.owner.id}/end-sessions")).status_code == 403
    assert (await owner.post(f"/panel/team/{shop.colleagues['noa'].id}/end-sessions")).status_code == 303
    assert (await noa.get("/panel")).status_code == 303


# Letting go


async def test_letting_go_hands_the_open_conversations_over(app: App, shop: Shop, sign_in: SignIn) -> None:
    owner = await sign_in(shop.email)
    noa, karim = shop.colleagues["noa"], shop.colleagues["karim"]
    async with app.db.transaction(shop.workspace_id) as tx:
        await tx.execute(
            update(Conversation)
            .where(Conversation.workspace_id == shop.workspace_id, Conversation.id == shop.talks["tamar"])
            .values(assignee_id=noa.id)
        )
    page = await owner.get(f"/panel/team/{noa.id}")
    assert "1 open conversation is theirs" in page.text
    assert f'value="{karim.id}"' in page.text
    bad = await owner.post(f"/panel/team/{noa.id}/deactivate", data={"to": str(shop.colleagues["lior"].id)})
    assert bad.status_code == 404
    assert (await agent_of(app, noa)).deactivated_at is None
    assert (await owner.post(f"/panel/team/{noa.id}/deactivate", data={"to": str(karim.id)})).status_code == 303
    async with app.db.transaction(shop.workspace_id) as tx:
        talk = await tx.get(Conversation, shop.talks["tamar"])
        assert talk is not None
        assert talk.assignee_id == karim.id
    refused = await owner.post(f"/panel/conversations/{shop.talks['huda']}/assign", data={"to": str(noa.id)})
    assert refused.status_code == 404


# Who runs a new store


async def test_who_opens_first_confirms_on_the_home_page(app: App, admin: Admin, visitor: Browser,
                                                         workspace: UUID) -> None:  # fmt: skip
    profile = StoreProfile("New", "https://new.example", (), "SAR", 2, "UTC", "en")
    async with app.db.transaction(workspace) as tx:
        store = await stores.connect(tx, platform="shopify", external_id=f"{uuid4().hex}.example", profile=profile)
    admin.workspace_id, admin.store_id = workspace, store.id
    agency, clerk = ({"authorization": f"Bearer good:{name}:staff"} for name in ("agency", "clerk"))
    assert "I run this store" in (await visitor.get("/shopify", headers=agency)).text
    assert "I run this store" not in (await visitor.get("/shopify", headers=clerk)).text
    assert (await visitor.post("/shopify/team/confirm-owner", headers=clerk)).status_code == 403
    assert (await visitor.post("/shopify/team/confirm-owner", headers=agency)).status_code == 303
    assert (await visitor.post("/shopify/team/confirm-owner", headers=clerk)).status_code == 409
    assert "I run this store" not in (await visitor.get("/shopify", headers=agency)).text
    async with app.db.transaction(workspace) as tx:
        assert {agent.name: agent.role for agent in await team.agents(tx)} == {"Agency": "owner", "Clerk": "agent"}


# Linking


async def linked_word(visitor: Browser, name: str) -> str:
    page = await visitor.get("/shopify/settings/security", headers={"authorization": f"Bearer good:{name}:staff"})
    return field(page.text, "word")


async def test_linking_needs_an_invitation_and_both_sign_ins_in_one_browser(
    app: App, framed: Admin, shop: Shop, sign_in: SignIn, visitor: Browser
) -> None:
    bearer = {"authorization": "Bearer good:rami:staff"}
    assert (await visitor.get("/shopify", headers=bearer)).status_code == 200
    async with app.db.transaction(shop.workspace_id) as tx:
        rami = next(agent for agent in await team.agents(tx) if agent.name == "Rami")
    assert 'name="word"' not in (await visitor.get("/shopify/settings/security", headers=bearer)).text
    owner, noa = await sign_in(shop.email), await sign_in(shop.colleagues["noa"].email or "")
    assert (await noa.post(f"/panel/team/{rami.id}/link")).status_code == 403
    assert (await owner.post(f"/panel/team/{rami.id}/link")).status_code == 303
    word = await linked_word(visitor, "rami")

    # Another site's page cannot put a word into this browser, and nobody who is signed out goes on.
    cross = {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}
    assert (await noa.post("/panel/link", data={"word": word}, headers=cross)).status_code == 403
    assert (await noa.get("/panel/link")).status_code == 404
    assert (await visitor.post("/panel/link", data={"word": word})).status_code == 303
    assert (await visitor.get("/panel/link")).headers["location"] == "/sign-in?next=/panel/link"

    assert (await noa.post("/panel/link", data={"word": word})).headers["location"] == "/panel/link"
    page = await noa.get("/panel/link")
    assert "Rami" in page.text
    assert "נועה" in page.text
    # Shopify says who somebody is; of a site that signs for its people itself, those who run it can say anything.
    assert "can then speak as you" not in page.text
    framed.head["self_signed"] = "WordPress"
    warned = await noa.get("/panel/link")
    assert "can then speak as you" in warned.text
    assert "WordPress" in warned.text
    del framed.head["self_signed"]
    assert (await noa.post("/panel/link", data={"csrf": "made up"})).status_code == 403
    assert (await noa.post("/panel/link", data={"csrf": field(page.text, "csrf")})).status_code == 303
    again = await visitor.get("/shopify/settings/security", headers=bearer)
    assert again.status_code == 200
    async with app.db.transaction(shop.workspace_id) as tx:
        agents = {agent.name: agent for agent in await team.agents(tx)}
    assert agents["Rami"].deactivated_at is not None
    assert "Oud &amp; Amber" in (await noa.get("/panel/settings/security")).text


async def test_the_proof_of_one_session_links_nothing_in_another(
    app: App, framed: Admin, shop: Shop, sign_in: SignIn, visitor: Browser
) -> None:
    await visitor.get("/shopify", headers={"authorization": "Bearer good:rami:staff"})
    owner, noa = await sign_in(shop.email), await sign_in(shop.colleagues["noa"].email or "")
    async with app.db.transaction(shop.workspace_id) as tx:
        rami = next(agent for agent in await team.agents(tx) if agent.name == "Rami")
    await owner.post(f"/panel/team/{rami.id}/link")
    word = await linked_word(visitor, "rami")
    for browser in (owner, noa):
        await browser.post("/panel/link", data={"word": word})
    proof = field((await owner.get("/panel/link")).text, "csrf")
    assert (await noa.post("/panel/link", data={"csrf": proof})).status_code == 403
    assert (await agent_of(app, rami)).deactivated_at is None


async def test_an_account_of_another_workspace_cannot_be_linked(
    app: App, framed: Admin, shop: Shop, empty_shop: Shop, sign_in: SignIn, visitor: Browser
) -> None:
    await visitor.get("/shopify", headers={"authorization": "Bearer good:rami:staff"})
    async with app.db.transaction(shop.workspace_id) as tx:
        rami = next(agent for agent in await team.agents(tx) if agent.name == "Rami")
    await (await sign_in(shop.email)).post(f"/panel/team/{rami.id}/link")
    word = await linked_word(visitor, "rami")
    stranger = await sign_in(empty_shop.email)
    await stranger.post("/panel/link", data={"word": word})
    page = await stranger.get("/panel/link")
    assert page.status_code == 403
    assert "another workspace" in page.text


# What went wrong


async def test_an_agents_errors_are_in_their_own_language_and_at_home(
    shop: Shop, sign_in: SignIn, framed: Admin, visitor: Browser
) -> None:
    noa = await sign_in(shop.colleagues["noa"].email or "")
    await noa.post("/panel/settings/me", data={"name": "נועה לוי", "locale": "he", "timezone": "UTC"})
    page = await noa.get("/panel/team/log", headers={"accept": "text/html", "accept-language": "en"})
    assert page.status_code == 403
    assert ('lang="he"' in page.text, 'class="languages"' in page.text) == (True, False)
    assert 'href="/panel"' in page.text
    told = (await noa.get("/panel/team/log", headers={"accept-language": "en"})).json()["error"]["message"]
    assert told == "התפקיד שלכם לא מאפשר את זה."
    inside = await visitor.get(
        "/shopify/team/log", headers={"accept": "text/html", "authorization": "Bearer good:yara:staff"}
    )
    assert inside.status_code == 403
    assert 'class="public-bar"' not in inside.text, "a frame has the admin's own bar above it"
    assert 'href="/shopify"' in inside.text, "the start page cannot be framed"


# The audit log


async def test_the_log_says_who_when_what_and_from_where(
    app: App, panel: httpx.ASGITransport, shop: Shop, sign_in: SignIn
) -> None:
    owner = await sign_in(shop.email)
    away = httpx.ASGITransport(panel.app, client=("198.51.100.77", 1))
    chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
    async with httpx.AsyncClient(transport=away, base_url=URL, headers={"user-agent": chrome}) as stranger:
        assert (await fill(stranger, "/sign-in", email=shop.email, password="not the password")).status_code == 422
        assert (await fill(stranger, "/sign-in", email="nobody@x.example", password="not the one")).status_code == 422
    await owner.post("/panel/settings/workspace", data={"name": "Dukkan & Sons", "locale": "ar"})
    await owner.post(f"/panel/settings/widget/{shop.stores['oud'].id}", data={"greeting": "مرحبًا"})
    await owner.post(f"/panel/team/{shop.colleagues['noa'].id}/role", data={"role": "light"})
    entries = {entry.kind: entry for entry in await log_of(app, shop)}
    failed = entries["sign_in.failed"]
    assert (failed.agent_id, failed.subject_id) == (None, shop.owner.id)
    assert (failed.address, failed.browser, failed.way) == ("198.51.100.0/24", "Chrome, Linux", "panel")
    assert entries["settings.workspace"].changes == {"name": ["Dukkan", "Dukkan & Sons"], "locale": ["en", "ar"]}
    assert entries["settings.workspace"].agent_id == shop.owner.id
    assert entries["settings.widget"].changes["greeting"] == ["أهلًا وسهلًا", "مرحبًا"]
    assert entries["team.role_changed"].changes == {"role": ["agent", "light"]}
    assert all(entry.request_id for entry in entries.values())
    page = await owner.get("/panel/team/log")
    assert "Sign-in failed" in page.text
    assert "Dukkan &amp; Sons" in page.text
    assert "198.51.100.0/24" in page.text
    assert "198.51.100.77" not in page.text
    assert PASSWORD not in page.text


async def test_the_log_filters_and_pages_without_a_gap(app: App, shop: Shop, sign_in: SignIn) -> None:
    owner = await sign_in(shop.email)
    async with app.db.transaction(shop.workspace_id) as tx:
        for number in range(120):
            audit.note(tx, "team.invited", by=shop.owner.id, changes={"email": [None, f"n{number:03}@x.example"]})
        audit.note(tx, "team.role_changed", by=shop.colleagues["karim"].id, changes={"role": ["agent", "light"]})
    seen: list[str] = []
    path = "/panel/team/log?topic=team"
    for _ in range(5):
        page = await owner.get(path)
        assert page.status_code == 200
        seen += re.findall(r"n\d\d\d@x\.example", page.text)
        older = re.search(r'href="([^"]*before=[^"]*)"', page.text)
        if older is None:
            break
        path = html.unescape(older[1])
    assert seen == [f"n{number:03}@x.example" for number in reversed(range(120))]
    karims = await owner.get(f"/panel/team/log?agent={shop.colleagues['karim'].id}")
    assert "Role changed" in karims.text
    assert "x.example" not in karims.text
    assert "Signed in" not in (await owner.get("/panel/team/log?topic=settings")).text
    for query in ("?agent=nobody&before=nothing&days=x&topic=evil", "?days=1"):
        assert (await owner.get(f"/panel/team/log{query}")).status_code == 200
    noa = await sign_in(shop.colleagues["noa"].email or "")
    assert (await noa.get("/panel/team/log")).status_code == 403


async def test_the_log_leaves_as_a_file_by_a_link_of_a_minute(
    app: App, shop: Shop, empty_shop: Shop, sign_in: SignIn, visitor: Browser
) -> None:
    owner = await sign_in(shop.email)
    await owner.post("/panel/settings/workspace", data={"name": "=HYPERLINK(1)"})
    link = (await owner.get("/panel/team/log/export?topic=settings")).json()["url"]
    answer = await visitor.get(link)
    assert answer.status_code == 200
    assert answer.headers["content-disposition"].startswith('attachment; filename="audit-log-')
    head, *rows = csv.reader(io.StringIO(answer.text.removeprefix("\ufeff")))
    assert head == ["When", "What", "Who", "About", "Changes", "From where"]
    ((_at, what, who, _about, changes, _where),) = rows
    assert (what, who) == ("Workspace settings changed", "Maya Haddad")
    assert changes == "Name: Dukkan → =HYPERLINK(1)"
    assert [entry.kind for entry in await log_of(app, shop, "data")] == ["data.audit_exported"]
    assert (await visitor.get(link[:-3] + "abc")).status_code == 404
    async with app.db.transaction(shop.workspace_id) as tx:
        await tx.execute(text("UPDATE agents SET role = 'light' WHERE email = :email"), {"email": shop.email})
    assert (await visitor.get(link)).status_code == 404, "whoever lost the right loses the link"


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\u2068=1\u2069"])
def test_no_cell_of_the_file_is_a_formula(cell: str) -> None:
    assert safe_cell(cell)[0] == "'"
    assert safe_cell("plain") == "plain"


async def test_the_log_is_kept_as_long_as_was_said_and_changed_by_nobody(app: App, shop: Shop) -> None:
    async with app.db.transaction(shop.workspace_id) as tx:
        audit.note(tx, "team.invited", by=shop.owner.id)
        audit.note(tx, "team.joined", by=shop.owner.id)
    async with app.db.app.connect() as connection:
        with pytest.raises(Exception, match="permission denied"):
            await connection.execute(text("UPDATE audit_log SET kind = 'x'"))
    entries = await log_of(app, shop, "team")
    aged = replace(app, settings=replace(app.settings, audit_retention_days=1))
    async with app.db.transaction(shop.workspace_id) as tx:
        old = AuditEntry(
            topic="team", kind="team.left_long_ago", changes={}, agent_id=None, subject_id=None,
            created_at=datetime.now(UTC) - timedelta(days=2),
        )  # fmt: skip
        tx.add(old)
    await privacy.retention(aged, shop.workspace_id)
    assert {entry.id for entry in await log_of(app, shop, "team")} == {entry.id for entry in entries}


def test_every_kind_and_field_that_is_noted_has_words() -> None:
    noted, fields = noted_kinds()
    # What is done to orders is noted under the action's own name, what is done to articles by one verb for all.
    articles = {f"settings.article_{done}" for done in ("published", "unpublished", "deleted", "restored")}
    assert noted | articles | {f"orders.{kind}" for kind in actions.KINDS} == set(KINDS)
    assert fields | {"order", "amount", "state"} <= set(FIELDS)


def noted_kinds() -> tuple[set[str], set[str]]:
    """What the sources note, read from them."""
    kinds: set[str] = set()
    fields: set[str] = set()
    for room in ("plugin", "admin_ui"):
        for path in (Path(__file__).parents[2] / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "note" and len(node.args) == 2:
                    kind = node.args[1]
                    if isinstance(kind, ast.Constant) and "." in str(kind.value):
                        kinds.add(str(kind.value))
                        for keyword in node.keywords:
                            if keyword.arg == "changes" and isinstance(keyword.value, ast.Dict):
                                fields |= {str(key.value) for key in keyword.value.keys
                                           if isinstance(key, ast.Constant)}  # fmt: skip
    return kinds, fields
