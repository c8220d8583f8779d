"""Joining by hand: the code in one panel, the confirmation from the other's admin, one browser; and leaving again."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html import unescape
from uuid import UUID, uuid4

import httpx
import pyotp
import pytest
from sqlalchemy import select, text

from admin_ui.auth import hash_password
from plugin import joining, stores, team
from plugin.app import App
from tests.admin_ui.conftest import Browser, SignIn, field
from tests.admin_ui.shop import Admin, Shop, open_shop
from tests.joining.conftest import Make, Merchant, run_move


def embedded(admin: Admin, merchant: Merchant, staff: str, role: str = "admin") -> dict[str, str]:
    """The headers of a frame in this merchant's admin."""
    admin.workspace_id, admin.store_id = merchant.workspace_id, merchant.store.id
    return {"authorization": f"Bearer good:{staff}:{role}"}


async def code_shown(browser: Browser) -> str:
    page = await browser.post("/panel/join")
    assert page.status_code == 200, page.text
    found = re.search(r"<bdi>([2-9A-Z]{4}-[2-9A-Z]{4})</bdi>", page.text)
    assert found, page.text
    return found[1]


async def side_of(browser: Browser, admin: Admin, merchant: Merchant, staff: str, role: str = "admin") -> str:
    page = await browser.get("/shopify/stores", headers=embedded(admin, merchant, staff, role))
    assert page.status_code == 200, page.text
    return field(page.text, "side") if 'name="side"' in page.text else ""


async def test_a_code_of_one_panel_is_confirmed_in_the_other(
    app: App, sign_in: SignIn, admin: Admin, shop: Shop, merchant: Make
) -> None:
    guest = await merchant("oud")
    browser = await sign_in(shop.email)
    page = await browser.get("/panel/stores")
    assert 'action="/panel/join"' in page.text
    assert 'name="side"' not in page.text, "the stand-alone panel vouches for no store"
    code = await code_shown(browser)
    side = await side_of(browser, admin, guest, "staff-oud")
    asked = await browser.post("/panel/join/code", data={"side": side, "code": code.lower()})
    assert asked.status_code == 200, asked.text
    for said in ("oud store", "Dukkan", "Maya Haddad", "2 customers", "All 4 people", "oud owner"):
        assert said in re.sub(r"<[^>]+>|[\u2066-\u2069]", "", unescape(asked.text)), said
    assert code not in asked.text
    form = {"side": side, "asked": field(asked.text, "asked")}
    unsure = await browser.post("/panel/join/confirm", data=form)
    assert unsure.status_code == 422
    going = await browser.post("/panel/join/confirm", data={**form, "sure": "yes"})
    assert (going.status_code, going.headers["location"]) == (303, "/panel/join")
    waiting = await browser.get("/panel/join")
    assert 'http-equiv="refresh"' in waiting.text
    async with app.db.transaction(shop.workspace_id) as tx:
        move_id = await tx.scalar(select(joining.StoreMove.id).where(joining.StoreMove.state == "agreed"))
    assert await run_move(app, shop.workspace_id, move_id) == joining.DONE
    done = await browser.get("/panel/join")
    assert "The store has moved" in done.text
    assert 'http-equiv="refresh"' not in done.text
    again = await browser.post("/panel/join/confirm", data={**form, "sure": "yes"})
    assert again.status_code == 422, "a replayed confirmation does nothing"
    assert "oud store" in (await browser.get("/panel/stores")).text


async def test_another_browser_confirms_nothing(
    app: App, sign_in: SignIn, admin: Admin, shop: Shop, merchant: Make, visitor: Browser
) -> None:
    guest = await merchant("oud")
    browser = await sign_in(shop.email)
    code = await code_shown(browser)
    side = await side_of(visitor, admin, guest, "staff-oud")
    forwarded = await visitor.post("/panel/join/code", data={"side": side, "code": code})
    assert forwarded.status_code == 422
    assert "another browser" in forwarded.text
    mine = await browser.post("/panel/join/code", data={"side": side, "code": code})
    assert mine.status_code == 422, "and it is good no longer"


async def test_who_may_make_a_code(
    app: App, sign_in: SignIn, admin: Admin, shop: Shop, merchant: Make, visitor: Browser
) -> None:
    for who in ("karim", "noa"):
        browser = await sign_in(shop.colleagues[who].email or "")
        assert 'action="/panel/join"' not in (await browser.get("/panel/stores")).text
        assert (await browser.post("/panel/join")).status_code == 422
    assert (await visitor.post("/panel/join")).status_code == 422
    assert (await visitor.post("/panel/join", data={"hand_over": "made up"})).status_code == 422
    host = await merchant("kad")
    page = await visitor.get("/shopify/stores", headers=embedded(admin, host, "staff-kad"))
    word = page.text.split('action="/panel/join"')[1].split('name="hand_over" value="')[1].split('"')[0]
    made = await visitor.post("/panel/join", data={"hand_over": word})
    assert made.status_code == 200, "an owner who has no password, from inside a store's admin"


async def test_only_an_administrators_own_admin_gives_the_word(
    app: App, admin: Admin, merchant: Make, visitor: Browser
) -> None:
    guest = await merchant("oud")
    assert await side_of(visitor, admin, guest, "staff-oud") != ""
    assert await side_of(visitor, admin, guest, "staff-oud", role="staff") == ""
    assert await side_of(visitor, admin, guest, "second", role="admin") == ""


async def test_another_sites_page_joins_nothing(sign_in: SignIn, shop: Shop) -> None:
    browser = await sign_in(shop.email)
    foreign = {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}
    for path in ("/panel/join", "/panel/join/code", "/panel/join/confirm"):
        assert (await browser.post(path, headers=foreign)).status_code == 403


async def test_guessing_ends(app: App, admin: Admin, merchant: Make, visitor: Browser) -> None:
    guest = await merchant("oud", talk=False)
    side = await side_of(visitor, admin, guest, "staff-oud")
    answers = [(await visitor.post("/panel/join/code", data={"side": side, "code": f"AAAA-{n:04}"})) for n in range(12)]
    assert [answer.status_code for answer in answers] == [422] * 10 + [429] * 2


async def test_leaving_needs_the_name_and_opens_a_workspace_of_its_own(app: App, sign_in: SignIn, shop: Shop) -> None:
    store = shop.stores["oud"]
    browser = await sign_in(shop.email)
    one = await browser.get(f"/panel/stores/{store.id}")
    assert f"/panel/stores/{store.id}/part" in one.text
    preview = await browser.get(f"/panel/stores/{store.id}/part")
    assert "What leaves with the store" in preview.text
    wrong = await browser.post(f"/panel/stores/{store.id}/part", data={"name": "kad"})
    assert wrong.status_code == 422
    going = await browser.post(f"/panel/stores/{store.id}/part", data={"name": " oud &  amber"})
    assert going.status_code == 303, going.text
    page = await browser.get(going.headers["location"])
    assert "The store is moving" in page.text
    # As htmx asks after it was sent on: the page alone, not a panel within the panel.
    sent_on = {"hx-request": "true", "hx-target": "body", "hx-request-type": "partial"}
    inner = await browser.get(going.headers["location"], headers=sent_on)
    assert "The store is moving" in inner.text
    assert "<nav" not in inner.text
    assert "Being moved" in (await browser.get(f"/panel/stores/{store.id}")).text
    move_id = UUID(going.headers["location"].rpartition("/")[2])
    refused = await browser.post(f"/panel/stores/moves/{move_id}/open")
    assert refused.status_code == 404, "not before it is there"
    async with app.db.transaction(shop.workspace_id) as tx:
        row = await joining.standing(tx, move_id)
        assert row is not None
        assert row.other is not None
    assert await run_move(app, row.other, move_id) == joining.DONE
    assert "Open the new workspace" in (await browser.get(going.headers["location"])).text
    entered = await browser.post(f"/panel/stores/moves/{move_id}/open")
    assert entered.status_code == 303
    there = await browser.get("/panel/stores")
    assert "Oud &amp; Amber" in there.text
    assert "כד וקערה" not in there.text
    async with app.db.transaction(row.other) as tx:
        assert [found.id for found in await stores.all_stores(tx)] == [store.id]


@pytest.mark.parametrize("since", ["second step", "another password"])
async def test_a_session_here_opens_nothing_there_that_was_locked_since(
    app: App, sign_in: SignIn, shop: Shop, since: str
) -> None:
    browser = await sign_in(shop.email)
    store = shop.stores["oud"]
    going = await browser.post(f"/panel/stores/{store.id}/part", data={"name": store.name})
    move_id = UUID(going.headers["location"].rpartition("/")[2])
    async with app.db.transaction(shop.workspace_id) as tx:
        row = await joining.standing(tx, move_id)
        assert row is not None
        assert row.other is not None
    assert await run_move(app, row.other, move_id) == joining.DONE
    async with app.db.transaction(row.other) as tx:
        owner = await tx.get(team.Agent, shop.owner.id, lock=True)
        assert owner is not None
        if since == "second step":
            key = await team.second_factor.begin_factor(tx, app.vault, owner)
            code, now = pyotp.TOTP(key).now(), datetime.now(UTC)
            assert await team.second_factor.confirm_factor(tx, app.vault, owner, code, now, session_id=uuid4())
        else:
            await team.set_password(tx, owner, await hash_password("a new one for there"))
    answer = await browser.post(f"/panel/stores/moves/{move_id}/open")
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert ("Second step" if since == "second step" else 'name="password"') in answer.text


async def test_a_code_waits_for_the_second_step_that_is_demanded(app: App, sign_in: SignIn, shop: Shop) -> None:
    browser = await sign_in(shop.email)
    async with app.db.transaction(shop.workspace_id) as tx:
        await tx.execute(text("UPDATE workspaces SET second_factor_roles = '[\"owner\"]'"))
    refused = await browser.post("/panel/join")
    assert refused.status_code == 403
    assert "two steps" in refused.text
    assert "set-cookie" not in refused.headers


async def test_only_owners_see_the_way_out(app: App, sign_in: SignIn, shop: Shop) -> None:
    browser: httpx.AsyncClient = await sign_in(shop.colleagues["karim"].email or "")
    store = shop.stores["oud"]
    assert f"stores/{store.id}/part" not in (await browser.get(f"/panel/stores/{store.id}")).text
    assert (await browser.get(f"/panel/stores/{store.id}/part")).status_code == 403
    assert (await browser.post(f"/panel/stores/{store.id}/part", data={"name": store.name})).status_code == 403


async def test_nothing_is_under_way_for_a_stranger(app: App, visitor: Browser) -> None:
    await open_shop(app)
    page = await visitor.get("/panel/join")
    assert page.status_code == 200
    assert "No store is being moved" in page.text
