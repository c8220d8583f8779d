"""A lone owner without phone and recovery codes: an operator's link and their password, nothing else."""

from __future__ import annotations

import time

import httpx
import pytest
from sqlalchemy import text

from plugin import team
from plugin.app import App
from plugin.kernel.errors import SetupError
from plugin.team import Agent, recovery, second_factor
from tests.admin_ui.conftest import Browser, SignIn, field
from tests.admin_ui.shop import PASSWORD, Shop
from tests.admin_ui.test_access import log_of, second_step
from tests.admin_ui.test_accounts import fill


async def link_of(app: App, agent: Agent) -> str:
    """The path that `ahlan owner recover` prints for this agent."""
    async with app.db.transaction(agent.workspace_id) as tx:
        row = await tx.get(Agent, agent.id)
        assert row is not None
        return f"{recovery.PATH}/{await recovery.recovery_word(tx, app.vault, row)}"


async def opened(browser: Browser, path: str, password: str = PASSWORD) -> httpx.Response:
    """The page is opened and the password typed."""
    page = await browser.get(path)
    if 'name="csrf"' not in page.text:
        return page
    return await browser.post(path, data={"csrf": field(page.text, "csrf"), "password": password})


async def has_second_step(app: App, agent: Agent) -> bool:
    async with app.db.transaction(agent.workspace_id) as tx:
        return await second_factor.factor(tx, agent.id) is not None


async def test_the_link_and_the_password_switch_the_second_step_off_once(
    app: App, shop: Shop, sign_in: SignIn, visitor: Browser
) -> None:
    elsewhere = await sign_in(shop.email)
    await second_step(elsewhere)
    path = await link_of(app, shop.owner)
    for _ in range(2):
        assert (await visitor.get(path)).status_code == 200, "looking at it uses nothing up"
    done = await opened(visitor, path)
    assert (done.status_code, done.headers["location"]) == (303, "/panel/settings/security")
    assert (await visitor.get("/panel")).status_code == 200
    assert not await has_second_step(app, shop.owner)
    assert (await elsewhere.get("/panel")).status_code == 303, "every other session ended"
    assert "account.second_factor_recovered" in [entry.kind for entry in await log_of(app, shop)]
    again = await opened(visitor, path)
    assert again.status_code == 404
    assert "no longer good" in again.text
    plain = await fill(visitor, "/sign-in?another=1", email=shop.email, password=PASSWORD)
    assert plain.status_code == 303, "the password alone signs in again"


async def test_of_two_who_open_it_at_once_one_gets_in(app: App, shop: Shop, sign_in: SignIn, visitor: Browser) -> None:
    await second_step(await sign_in(shop.email))
    word = (await link_of(app, shop.owner)).rpartition("/")[2]
    async with app.db.transaction(shop.workspace_id) as first:
        assert await recovery.recover(first, app.vault, word) is not None
    async with app.db.transaction(shop.workspace_id) as second:
        assert await recovery.recover(second, app.vault, word) is None


async def test_without_the_password_nothing_happens_and_guessing_stops(
    app: App, shop: Shop, sign_in: SignIn, visitor: Browser
) -> None:
    await second_step(await sign_in(shop.email))
    path = await link_of(app, shop.owner)
    answers = [(await opened(visitor, path, f"guess number {number}")).status_code for number in range(9)]
    assert answers == [422] * 8 + [429]
    assert (await opened(visitor, path)).status_code == 429, "not even the right one now"
    assert await has_second_step(app, shop.owner)
    assert "ahlan" not in visitor.cookies
    assert [entry.kind for entry in await log_of(app, shop, "sign_in")].count("sign_in.failed") == 8


async def test_a_link_is_good_for_a_quarter_of_an_hour(
    app: App, shop: Shop, sign_in: SignIn, visitor: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    await second_step(await sign_in(shop.email))
    now = time.time()
    path = await link_of(app, shop.owner)
    monkeypatch.setattr("plugin.kernel.crypto.time.time", lambda: now + 899)
    assert (await visitor.get(path)).status_code == 200
    monkeypatch.setattr("plugin.kernel.crypto.time.time", lambda: now + 902)
    assert (await opened(visitor, path)).status_code == 404
    assert await has_second_step(app, shop.owner)


@pytest.mark.parametrize("change", ["password", "second step", "role", "left"])
async def test_a_link_ends_with_what_it_stood_on(
    app: App, shop: Shop, sign_in: SignIn, visitor: Browser, change: str
) -> None:
    browser = await sign_in(shop.email)
    await second_step(browser)
    path = await link_of(app, shop.owner)
    async with app.db.transaction(shop.workspace_id) as tx:
        owner = await tx.get(Agent, shop.owner.id)
        assert owner is not None
        if change == "password":
            await team.set_password(tx, owner, shop.owner.password_hash[:-4] + "AAAA")
        if change == "second step":
            await second_factor.forget(tx, owner)
        if change == "role":
            owner.role = "admin"
        if change == "left":
            await tx.execute(text("UPDATE agents SET deactivated_at = now() WHERE id = :id"), {"id": owner.id})
    if change == "second step":
        # On a new phone: the link for the old one must not take it away.
        await second_step(browser)
    assert (await opened(visitor, path)).status_code == 404
    assert await has_second_step(app, shop.owner)


async def test_a_link_opens_nobody_elses_account(
    app: App, shop: Shop, empty_shop: Shop, sign_in: SignIn, visitor: Browser
) -> None:
    for email in (shop.email, empty_shop.email):
        await second_step(await sign_in(email))
    word = (await link_of(app, shop.owner)).rpartition("/")[2]
    said = app.vault.verify("owner recovery", word)
    assert said is not None
    theirs = {**said, "w": empty_shop.workspace_id.hex, "a": empty_shop.owner.id.hex}
    for made_up in (
        app.vault.sign("owner recovery", theirs, 900),
        app.vault.sign("owner recovery", {**said, "a": shop.colleagues["karim"].id.hex}, 900),
        app.vault.sign("something else", said, 900),
        word[:-4] + "AAAA",
        "nothing",
    ):
        assert (await opened(visitor, f"{recovery.PATH}/{made_up}")).status_code == 404
    async with app.db.transaction(empty_shop.workspace_id) as tx:
        assert await recovery.recover(tx, app.vault, word) is None, "a word of another workspace"
    assert await has_second_step(app, shop.owner)
    assert await has_second_step(app, empty_shop.owner)


async def test_where_two_steps_are_demanded_the_new_phone_comes_first(
    app: App, shop: Shop, sign_in: SignIn, visitor: Browser
) -> None:
    await second_step(await sign_in(shop.email))
    async with app.db.transaction(shop.workspace_id) as tx:
        await tx.execute(text("UPDATE workspaces SET second_factor_roles = '[\"owner\"]'"))
    assert (await opened(visitor, await link_of(app, shop.owner))).status_code == 303
    assert (await visitor.get("/panel/customers")).headers["location"] == "/panel/settings/security"


async def test_only_an_owner_with_a_second_step_gets_a_link(app: App, shop: Shop) -> None:
    with pytest.raises(SetupError, match="without a second step"):
        await link_of(app, shop.owner)
    with pytest.raises(SetupError, match="not an owner"):
        await link_of(app, shop.colleagues["karim"])
