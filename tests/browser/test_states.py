"""Every state that a person can be left in: what went wrong, what is missing, what has ended. In three languages.

Each is brought about, not rendered by itself; its page is read for words in another language and for anything that a
narrow phone would cut off. `AHLAN_PICTURES=folder` keeps a picture of each, to be looked at.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import os
import re
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode
from uuid import uuid4

import jwt
import pyotp
import pytest
import uvicorn
from playwright.async_api import Browser, BrowserContext, Page
from playwright.async_api import Error as PlaywrightError
from sqlalchemy import text, update

from admin_ui import single_sign_on
from admin_ui.auth import hash_password
from integrations.shopify import identity
from integrations.shopify.platform import ShopifyPlatform
from integrations.woocommerce import install
from plugin import bootstrap, joining, privacy, stores, team, workspaces
from plugin.app import App
from plugin.crm.backfill import Backfill
from plugin.health.words import FINDINGS
from plugin.joining import agreement
from plugin.kernel import jobs
from plugin.kernel.config import Oidc
from plugin.kernel.db import new_id
from plugin.kernel.oidc import OidcError, Person, Provider
from plugin.platform import AdminSession, PlatformError, StoreProfile
from plugin.reactions import TASKS
from plugin.stores import ConnectGrant, Store
from plugin.team import Agent, Role, recovery, second_factor
from tests.admin_ui.shop import PASSWORD, Shop, member, seed
from tests.browser.chrome import needs_browser
from tests.browser.chrome import strict_browser as strict_browser

pytestmark = needs_browser

LANGUAGES: Final = ("en", "ar", "he")
WIDTH: Final = int(os.environ.get("AHLAN_PICTURES_WIDTH", "360"))
PICTURES: Final = os.environ.get("AHLAN_PICTURES", "")
SCHEME: Final[Any] = os.environ.get("AHLAN_PICTURES_SCHEME", "light")

# What is written in Latin letters in every language: names, what is typed as it is, and the keys of a keyboard.
NAMES: Final = frozenset(
    [
        "Ahlan",
        "Shopify",
        "WooCommerce",
        "WordPress",
        "https",
        "http",
        "Ctrl",
        "Enter",
        "Example",
        "ID",
        # Shopify's admin speaks neither Arabic nor Hebrew: its menus are named as they are written there.
        "Online",
        "Store",
        "Themes",
        "Customize",
        "embeds",
        "Settings",
        "Apps",
        "Preferences",
        # Technical names that the store's own pages use.
        "webhooks",
        "Authorization",
        "App",
        "proxy",
        "identity",
    ]
)

# What people and machines wrote (names, addresses, codes) is in its own language; everything else on a page is ours.
READ: Final = """(foreign) => {
  const theirs = 'script, style, noscript, bdi, code, kbd, option, [dir=ltr], [dir=auto], .languages';
  const pattern = new RegExp(foreign, 'g'), address = /[a-z0-9-]+(\\.[a-z0-9-]+)+(\\/\\S*)?/gi;
  const isolated = /[\\u2066-\\u2068][^\\u2069]*\\u2069/g;
  const names = new Set([...document.querySelectorAll(theirs)].flatMap((one) => one.textContent.match(pattern) || []));
  const read = (said) => (said || '').replace(isolated, '').replace(address, '').match(pattern) || [];
  const words = read(document.title), walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    const visible = node.parentElement.checkVisibility({ checkVisibilityCSS: true });
    if (visible && !node.parentElement.closest(theirs)) words.push(...read(node.data));
  }
  for (const element of document.querySelectorAll('[aria-label], [title]')) {
    if (element.closest('.languages')) continue;
    words.push(...read(element.getAttribute('aria-label')), ...read(element.getAttribute('title')));
  }
  const { lang, dir } = document.documentElement;
  return { words: words.filter((word) => !names.has(word)), lang, dir };
}"""
# Letters of the other two scripts.
FOREIGN: Final = {
    "en": "[\\u0590-\\u05ff\\u0600-\\u06ff]{2,}",
    "ar": "[A-Za-z\\u0590-\\u05ff]{2,}",
    "he": "[A-Za-z\\u0600-\\u06ff]{2,}",
}

# Boxes that a phone would cut off or that make the page move sideways; what scrolls inside its own box may be wide.
WIDE = """() => {
  const width = document.documentElement.clientWidth, wide = [];
  if (document.scrollingElement.scrollWidth > width) wide.push(`page ${document.scrollingElement.scrollWidth}`);
  const scrolls = (element) => {
    // The panel's main part scrolls too, downwards: what is beyond its side edges is cut off all the same.
    for (let at = element.parentElement; at && at.tagName !== 'MAIN'; at = at.parentElement)
      if (/auto|scroll|hidden|clip/.test(getComputedStyle(at).overflowX)) return true;
    return false;
  };
  for (const element of document.querySelectorAll('main *, header *')) {
    if (!element.checkVisibility() || element.closest('.visually-hidden')) continue;
    const box = element.getBoundingClientRect();
    if (!box.width || scrolls(element)) continue;
    if (box.right > width + 1 || box.left < -1) {
      wide.push(`${element.tagName}.${element.className} ${box.left}..${box.right}`);
    }
  }
  return wide;
}"""


@dataclass
class Scene:
    """One browser in one language, and the house that it stands before."""

    app: App
    url: str
    shop: Shop
    context: BrowserContext
    page: Page
    locale: str
    monkeypatch: pytest.MonkeyPatch
    problems: list[str] = field(default_factory=list)

    async def go(self, path: str) -> None:
        await self.page.goto(f"{self.url}{path}")

    async def send(self, path: str, *, size: int = 0, at: str = "/sign-in", **fields: str) -> None:
        """Send a form from a page of ours."""
        await self.go(at)
        async with self.page.expect_navigation():
            await self.page.evaluate(
                """([path, fields, size]) => {
                  const form = document.createElement('form');
                  form.method = 'post'; form.action = path; form.hidden = true;
                  for (const [name, value] of Object.entries(fields)) {
                    const input = document.createElement('textarea');
                    input.name = name; input.value = value + 'x'.repeat(size); form.append(input);
                  }
                  document.body.append(form); form.submit();
                }""",
                [path, fields, size],
            )

    async def enter(self, who: str = "maya") -> None:
        """A session of this person in this browser, without typing."""
        agent = self.shop.owner if who == "maya" else self.shop.colleagues[who]
        async with self.app.db.transaction(self.shop.workspace_id) as tx:
            await tx.execute(update(Agent).where(Agent.id == agent.id).values(locale=self.locale))
            row = await tx.get(Agent, agent.id)
            assert row is not None
            secret = await team.open_session(tx, row, "")
        await self.keep("ahlan", f"{self.shop.workspace_id.hex}.{secret}")

    async def keep(self, name: str, value: str, path: str = "/") -> None:
        await self.context.add_cookies([{"name": name, "value": value, "domain": "localhost", "path": path}])

    async def store(self, key: str = "oud", **values: Any) -> Store:
        """Let a store stand like this."""
        store = self.shop.stores[key]
        async with self.app.db.transaction(self.shop.workspace_id) as tx:
            await tx.execute(update(Store).where(Store.id == store.id).values(**values))
        return store

    async def from_admin(self, *, says: str = "") -> None:
        """The browser is a store's admin that sends its token with everything."""

        async def vouched(_platform: ShopifyPlatform, token: str) -> AdminSession:
            if says == "away":
                raise PlatformError("away", retry=True)
            return AdminSession(
                self.shop.workspace_id, self.shop.stores["oud"].id, "yara", "Yara", "yara@dukkan.example", False,
                ("https://dukkan.myshopify.com",), locale=self.locale,
            )  # fmt: skip

        self.monkeypatch.setattr(ShopifyPlatform, "admin_session", vouched)
        await self.context.set_extra_http_headers({"authorization": "Bearer good"})


State = Callable[[Scene], Awaitable[None]]
STATES: Final[dict[str, State]] = {}


def state(make: State) -> State:
    STATES[make.__name__.replace("_", "-")] = make
    return make


# Pages that say what went wrong


@state
async def nothing_here(scene: Scene) -> None:
    await scene.go("/nothing/of/this/name")


@state
async def asked_in_another_way(scene: Scene) -> None:
    await scene.go("/sign-out")


@state
async def too_large(scene: Scene) -> None:
    await scene.send("/sign-in", size=bootstrap.BODY_LIMIT + 1, email="")


@state
async def our_defect(scene: Scene) -> None:
    def broken(path: str) -> str:
        raise RuntimeError("planted")

    scene.monkeypatch.setattr("admin_ui.auth.own_path", broken)
    await scene.go("/sign-in")


@state
async def our_records_are_away(scene: Scene) -> None:
    def away(path: str) -> str:
        raise ConnectionRefusedError("planted")

    scene.monkeypatch.setattr("admin_ui.auth.own_path", away)
    await scene.go("/sign-in")


@state
async def another_sites_form(scene: Scene) -> None:
    await scene.send("/sign-in", csrf="made up", email="x@y.example", password="x")


@state
async def forbidden_in_the_panel(scene: Scene) -> None:
    await scene.enter("noa")
    await scene.go("/panel/team/log")


@state
async def nothing_here_in_the_panel(scene: Scene) -> None:
    await scene.enter()
    await scene.go(f"/panel/customers/{uuid4()}")


@state
async def forbidden_in_an_admin(scene: Scene) -> None:
    await scene.from_admin()
    await scene.go("/shopify/team/log")


@state
async def access_ended_in_an_admin(scene: Scene) -> None:
    await scene.from_admin()
    await scene.go("/shopify")
    async with scene.app.db.transaction(scene.shop.workspace_id) as tx:
        await tx.execute(text("UPDATE agents SET deactivated_at = now() WHERE name = 'Yara'"))
    await scene.go("/shopify")


@state
async def the_admin_does_not_answer(scene: Scene) -> None:
    await scene.from_admin(says="away")
    await scene.go("/shopify")


@state
async def an_erased_customer(scene: Scene) -> None:
    await scene.enter()
    await _erase(scene, "huda")
    await scene.go(f"/panel/customers/{scene.shop.people['huda']}")


@state
async def an_erased_visitors_conversation(scene: Scene) -> None:
    await scene.enter()
    await _erase(scene, "huda")
    await scene.go(f"/panel/inbox/{scene.shop.talks['huda']}")


@state
async def the_read_log_of_somebody_erased(scene: Scene) -> None:
    await scene.enter()
    await scene.go(f"/panel/customers/{scene.shop.people['huda']}")
    await _erase(scene, "huda")
    await scene.go("/panel/settings/privacy/access")


async def _erase(scene: Scene, name: str) -> None:
    store = scene.shop.stores["oud"]
    subject = {"customer_external_id": "gid://shopify/Customer/1", "email": "huda@mail.example"}
    async with scene.app.db.transaction(scene.shop.workspace_id) as tx:
        await privacy.receive(
            tx, store, privacy.CUSTOMER_REDACT, {**subject, "request_id": uuid4().hex}, datetime.now(UTC)
        )
        await tx.flush()
        wanted = await tx.scalar(
            text("SELECT id FROM jobs WHERE workspace_id = :w AND task = 'redact_customer'"), {"w": tx.workspace_id}
        )
    assert wanted is not None
    await jobs.run(scene.app.db, scene.app, TASKS, scene.shop.workspace_id, wanted)


# Signing in


@state
async def wrong_password(scene: Scene) -> None:
    await scene.go("/sign-in")
    await scene.page.fill("[name=email]", scene.shop.email)
    await scene.page.fill("[name=password]", "not this one")
    await scene.page.click("main .primary")


async def _second_step(scene: Scene) -> str:
    """The owner has one; their password was typed. Returns the secret."""
    async with scene.app.db.transaction(scene.shop.workspace_id) as tx:
        owner = await tx.get(Agent, scene.shop.owner.id)
        assert owner is not None
        secret = await second_factor.begin_factor(tx, scene.app.vault, owner)
        held = await team.session_agent(tx, await team.open_session(tx, owner, ""))
        assert held is not None
        now = datetime.now(UTC)
        code = pyotp.TOTP(secret).at(now)
        assert await second_factor.confirm_factor(tx, scene.app.vault, owner, code, now, session_id=held[0].id)
    await scene.go("/sign-in")
    await scene.page.fill("[name=email]", scene.shop.email)
    await scene.page.fill("[name=password]", PASSWORD)
    await scene.page.click("main .primary")
    await scene.page.wait_for_selector("#f-code")
    return secret


@state
async def second_step(scene: Scene) -> None:
    await _second_step(scene)


@state
async def second_step_with_a_wrong_code(scene: Scene) -> None:
    await _second_step(scene)
    await scene.page.fill("#f-code", "000000")
    await scene.page.click("main .primary")
    await scene.page.wait_for_selector(".error")


@state
async def second_step_tried_too_often(scene: Scene) -> None:
    await _second_step(scene)
    for _ in range(8):
        await scene.app.hub.count(f"second-step:{scene.shop.owner.id}", 900)
    await scene.page.fill("#f-code", "000000")
    await scene.page.click("main .primary")
    await scene.page.wait_for_selector(".notice")


@state
async def second_step_demanded(scene: Scene) -> None:
    async with scene.app.db.transaction(scene.shop.workspace_id) as tx:
        await tx.execute(text("UPDATE workspaces SET second_factor_roles = '[\"owner\"]'"))
    await scene.enter()
    await scene.go("/panel/inbox")


async def _recovery_link(scene: Scene) -> str:
    await _second_step(scene)
    async with scene.app.db.transaction(scene.shop.workspace_id) as tx:
        owner = await tx.get(Agent, scene.shop.owner.id)
        assert owner is not None
        return f"{recovery.PATH}/{await recovery.recovery_word(tx, scene.app.vault, owner)}"


@state
async def an_operators_link(scene: Scene) -> None:
    await scene.go(await _recovery_link(scene))


@state
async def an_operators_link_with_a_wrong_password(scene: Scene) -> None:
    await scene.go(await _recovery_link(scene))
    await scene.page.fill("[name=password]", "not this one")
    await scene.page.click("main .primary")
    await scene.page.wait_for_selector(".error")


@state
async def an_operators_link_that_was_used(scene: Scene) -> None:
    await scene.go(f"{recovery.PATH}/made.up")


@state
async def an_invitation(scene: Scene) -> None:
    async with scene.app.db.transaction(scene.shop.workspace_id) as tx:
        invited, secret = await team.invite(
            tx, email=f"{uuid4().hex[:6]}@x.example", role=Role.AGENT, by=scene.shop.owner
        )
    await scene.go(f"/invitations/{scene.shop.workspace_id.hex}/{secret}")
    assert invited


@state
async def an_invitation_that_was_used(scene: Scene) -> None:
    await scene.go(f"/invitations/{scene.shop.workspace_id.hex}/used")


@state
async def which_workspace(scene: Scene) -> None:
    await scene.enter()
    await scene.go("/sign-in/workspace")


# The sign-in provider


async def _provider(scene: Scene, failure: OidcError | None) -> None:
    async def redeem(_provider: Provider, *_: Any, **__: Any) -> Person:
        if failure is not None:
            raise failure
        return Person("https://id.example", uuid4().hex, "somebody@id.example", "Somebody", False)

    scene.monkeypatch.setattr(Provider, "redeem", redeem)
    kept = {"s": uuid4().hex, "n": "n", "v": "v", "o": ""}
    cookie = scene.app.vault.sign("oidc", kept, single_sign_on.SECONDS)
    await scene.keep(single_sign_on.COOKIE, cookie, single_sign_on.CALLBACK)
    await scene.go(f"{single_sign_on.CALLBACK}?state={kept['s']}&code=c")


@state
async def a_provider_whose_answer_is_not_believed(scene: Scene) -> None:
    await _provider(scene, OidcError("signature"))


@state
async def a_provider_that_is_away(scene: Scene) -> None:
    await _provider(scene, OidcError("unreachable"))


@state
async def a_providers_account_of_nobody_here(scene: Scene) -> None:
    await _provider(scene, None)


@state
async def a_provider_that_came_back_to_another_browser(scene: Scene) -> None:
    await scene.go(f"{single_sign_on.CALLBACK}?state=x&code=y")


# Linking


async def _linking(scene: Scene, *, platform: str = "oud") -> None:
    """Rami came through a store's admin and was invited to link; this browser holds their word."""
    async with scene.app.db.transaction(scene.shop.workspace_id) as tx:
        owner = await tx.get(Agent, scene.shop.owner.id)
        rami = await team.staff_agent(
            tx, scene.shop.stores[platform].id, staff_id="rami", name="Rami", email="", administrator=False
        )
        assert owner is not None
        assert rami is not None
        invited = await team.staff.invite_link(tx, rami, by=owner)
        await tx.flush()
        word = team.staff.link_word(scene.app.vault, rami, invited)
    await scene.keep("ahlan-link", word)


@state
async def linking(scene: Scene) -> None:
    await scene.enter("noa")
    await _linking(scene)
    await scene.go("/panel/link")


@state
async def linking_where_the_site_speaks_for_itself(scene: Scene) -> None:
    await scene.enter("noa")
    await _linking(scene, platform="kad")
    await scene.go("/panel/link")
    assert await scene.page.locator(".notice.warn").count() == 1


@state
async def nothing_to_link(scene: Scene) -> None:
    await scene.enter()
    await scene.go("/panel/link")


@state
async def a_link_invitation_that_ended(scene: Scene) -> None:
    await scene.enter("noa")
    await _linking(scene)
    async with scene.app.db.transaction(scene.shop.workspace_id) as tx:
        await tx.execute(text("DELETE FROM staff_links"))
    await scene.go("/panel/link")


# Joining


@state
async def a_join_code(scene: Scene) -> None:
    await scene.enter()
    await scene.send("/panel/join", at="/nothing")


@state
async def a_join_code_that_is_refused(scene: Scene) -> None:
    side = joining.store_side(scene.app.vault, scene.shop.owner, scene.shop.stores["oud"].id)
    await scene.send("/panel/join/code", side=side, code="AAAA-AAAA")


@state
async def a_join_page_that_stood_open(scene: Scene) -> None:
    await scene.send("/panel/join/code", side="made up", code="AAAA-AAAA")


@state
async def no_join_under_way(scene: Scene) -> None:
    await scene.go("/panel/join")


async def _move(scene: Scene, state: str, reason: str = "", total: int = 0) -> None:
    move_id = new_id()
    async with scene.app.db.transaction(scene.shop.workspace_id) as tx:
        tx.add(joining.StoreMove(
            id=move_id, side="receives", state=state, agent_id=scene.shop.owner.id, store_name="عود وعنبر",
            reason=reason, done_rows=total // 3, total_rows=total,
            expires_at=datetime.now(UTC) + timedelta(hours=1),
        ))  # fmt: skip
    held = {"w": scene.shop.workspace_id.hex, "m": move_id.hex}
    await scene.keep("ahlan-join", scene.app.vault.sign("join under way here", held, 3600))
    await scene.go("/panel/join")


@state
async def a_store_that_moves(scene: Scene) -> None:
    await _move(scene, "moving", total=9000)


@state
async def a_store_that_moved(scene: Scene) -> None:
    await _move(scene, "done")


def _failed_move(reason: str) -> State:
    async def make(scene: Scene) -> None:
        await _move(scene, "failed", reason)

    return make


STATES.update({f"join-{reason}": _failed_move(reason) for reason in agreement._WORDS})


# Connecting


@state
async def shopify_launch_unproven(scene: Scene) -> None:
    await scene.go("/shopify/install?shop=oud.myshopify.com&hmac=made-up")


@state
async def shopify_callback_unproven(scene: Scene) -> None:
    await scene.go("/shopify/callback?shop=oud.myshopify.com&code=x&state=y")


@state
async def shopify_unfinished(scene: Scene) -> None:
    """Shopify's token endpoint does not answer."""
    asked = _launch(scene, {"shop": "oud.myshopify.com"})
    begun = await scene.context.request.get(f"{scene.url}/shopify/install?{asked}", max_redirects=0)
    found = re.search(r"state=([^&]+)", begun.headers["location"])
    assert found is not None
    back = {"shop": "oud.myshopify.com", "code": "c", "state": found[1], "host": "YWRtaW4uc2hvcGlmeS5jb20vc3RvcmUvb3Vk"}
    await scene.go(f"/shopify/callback?{_launch(scene, back)}")


def _launch(scene: Scene, pairs: dict[str, str]) -> str:
    """A query that Shopify signed."""
    signed = {**pairs, "timestamp": str(int(time.time()))}
    message = identity.oauth_message(sorted(signed.items())).encode()
    proof = hmac.new(scene.app.settings.shopify.secret.encode(), message, hashlib.sha256).hexdigest()
    return urlencode({**signed, "hmac": proof})


def _refused_grant(reason: str) -> State:
    async def make(scene: Scene) -> None:
        await scene.enter()
        token = uuid4().hex + uuid4().hex[:11]
        hashed = install._hash(token)
        async with scene.app.db.transaction(scene.shop.workspace_id) as tx:
            tx.add(ConnectGrant(
                platform="woocommerce", token_hash=hashed, store_url="https://zaytouna.example", state="failed",
                reason=reason, data={}, expires_at=datetime.now(UTC) + timedelta(hours=1),
            ))  # fmt: skip
            await stores.claim(tx, install.GRANT_KIND, hashed)
        await scene.go(f"{install.RETURN}?user_id={token}&success=1")
        assert await scene.page.locator(".notice.bad").count() == 1
        # Tried again, the address need not be typed again; read in another language, it is the same outcome.
        typed = "" if reason == "other_browser" else "https://zaytouna.example"
        assert await scene.page.input_value("[name=site]") == typed
        assert (await scene.page.input_value(".languages [name=next]")).startswith(f"{install.RETURN}?user_id=")

    return make


STATES.update({f"woocommerce-{reason}": _refused_grant(reason) for reason in install._WORDS})


@state
async def woocommerce_connect(scene: Scene) -> None:
    await scene.enter()
    await scene.go("/panel/connect/woocommerce")


@state
async def woocommerce_typed_wrongly(scene: Scene) -> None:
    await scene.enter()
    await scene.go("/panel/connect/woocommerce")
    await scene.page.fill("[name=site]", "not an address")
    await scene.page.click("main .primary")
    await scene.page.wait_for_selector(".notice.bad")


@state
async def woocommerce_by_somebody_who_may_not(scene: Scene) -> None:
    await scene.enter("noa")
    await scene.go("/panel/connect/woocommerce")


@state
async def woocommerce_window_that_stood_open(scene: Scene) -> None:
    await scene.go("/panel/connect/woocommerce?admin=1")


@state
async def woocommerce_frame_refused(scene: Scene) -> None:
    store = await scene.store("kad", origins=["https://kad.example"])
    token = jwt.encode({"store": store.public_key}, "of nobody that we know, so it is not believed")
    await scene.send("/plugin/woocommerce/enter", token=token)


@state
async def woocommerce_frame_of_nobody(scene: Scene) -> None:
    await scene.go("/plugin/woocommerce/frame?store=st_nobody")


# Stores as the panel shows them


@state
async def store_that_asks_again(scene: Scene) -> None:
    await scene.enter()
    store = await scene.store("kad", status=stores.NEEDS_REAUTH, status_reason="", findings=[])
    await scene.go(f"/panel/stores/{store.id}")
    await scene.page.locator("#store-state .notice .primary").wait_for()


@state
async def stores_one_of_which_asks_again(scene: Scene) -> None:
    await scene.enter()
    await scene.store("oud", status=stores.NEEDS_REAUTH, status_reason="")
    await scene.go("/panel/stores")


@state
async def store_whose_plugin_stands_elsewhere(scene: Scene) -> None:
    """A copy of the site: its address is told, and is no place to be led to."""
    await scene.enter()
    found = [{"code": "site_cloned", "ok": False, "detail": "https://staging.kad.example"}]
    store = await scene.store("kad", findings=found)
    await scene.go(f"/panel/stores/{store.id}")
    assert await scene.page.locator('#store-state .notice a[href*="staging"]').count() == 0


@state
async def store_that_can_be_mended_in_wordpress(scene: Scene) -> None:
    await scene.enter()
    place = "https://kad.example/wp-admin/admin.php?page=wc-ahlan-settings"
    store = await scene.store("kad", findings=[{"code": "plugin_unpaired", "ok": False, "detail": place}])
    await scene.go(f"/panel/stores/{store.id}")
    assert await scene.page.locator(f'#store-state .notice a[href="{place}"]').count() == 1


@state
async def store_that_was_uninstalled(scene: Scene) -> None:
    await scene.enter()
    store = await scene.store("oud", status=stores.UNINSTALLED)
    await scene.go(f"/panel/stores/{store.id}")


@state
async def stores_all_of_which_left(scene: Scene) -> None:
    await scene.enter()
    await scene.store("oud", status=stores.UNINSTALLED)
    await scene.store("kad", status=stores.UNINSTALLED)
    await scene.go("/panel")


@state
async def store_that_is_moved(scene: Scene) -> None:
    await scene.enter()
    store = await scene.store("oud", moving_since=datetime.now(UTC))
    await scene.go(f"/panel/stores/{store.id}")


@state
async def store_that_does_not_answer(scene: Scene) -> None:
    await scene.enter()
    long_ago = datetime.now(UTC) - timedelta(hours=5)
    store = await scene.store("kad", installed_at=long_ago, checked_at=long_ago)
    await scene.go(f"/panel/stores/{store.id}")
    assert await scene.page.locator("#store-state .notice.bad").count() == 1


@state
async def store_whose_history_stopped(scene: Scene) -> None:
    await scene.enter()
    store = scene.shop.stores["kad"]
    async with scene.app.db.transaction(scene.shop.workspace_id) as tx:
        tx.add(Backfill(id=new_id(), store_id=store.id, resource="orders", state="failed", done_count=1450, total=3900))
    await scene.go(f"/panel/stores/{store.id}")
    assert await scene.page.locator("#store-state .notice.bad").count() == 1


@state
async def store_with_permissions_open(scene: Scene) -> None:
    await scene.enter()
    found = [{"code": code, "ok": False, "detail": "", "ask": "x"} for code in ("history_limited", "merges_unseen")]
    store = await scene.store("oud", findings=found)
    await scene.go(f"/panel/stores/{store.id}")


def _found(code: str) -> State:
    async def make(scene: Scene) -> None:
        await scene.enter()
        store = await scene.store(
            "kad", findings=[{"code": code, "ok": False, "detail": ""}], embed_active=False if "embed" in code else None
        )
        await scene.go(f"/panel/stores/{store.id}")
        assert await scene.page.locator("#store-state .notice").count() >= 1

    return make


# Read from the store's rows, not from a check: two have states of their own above, the sentences of the others are held
# by tests/health.
_READ = {"silent", "unreachable", "stale", "backfill_stopped", "behind"}
STATES.update({f"finding-{code}": _found(code) for code in FINDINGS if code not in _READ})


@contextlib.asynccontextmanager
async def _serving(app: App) -> AsyncIterator[tuple[App, str]]:
    """The whole web process as it is served, behind uvicorn, in this loop."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    url = f"http://localhost:{listening.getsockname()[1]}"
    oidc = Oidc("https://id.example", "client", "secret", "Example ID")
    app = replace(app, settings=replace(app.settings, public_url=url, oidc=oidc))
    config = uvicorn.Config(bootstrap.serve(app), log_level="critical", lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext
    running = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started:
        await asyncio.sleep(0.01)
    yield app, url
    server.should_exit = True
    await running


def states_in(locale: str) -> dict[str, State]:
    """Each state in two languages: in Arabic, and in one of the others by turns. With pictures, in all three."""
    if locale == "ar" or PICTURES:
        return STATES
    mine = ("en", "he").index(locale)
    return {name: make for at, (name, make) in enumerate(STATES.items()) if at % 2 == mine}


@pytest.mark.parametrize("locale", LANGUAGES)
async def test_every_state_is_whole_in_its_language(
    app: App, browser: Browser, locale: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong: list[str] = []
    only = os.environ.get("AHLAN_STATES", "")
    viewport = {"width": WIDTH, "height": 780}
    context = await browser.new_context(viewport=viewport, locale=locale, color_scheme=SCHEME)
    password_hash = await hash_password(PASSWORD)
    async with _serving(app) as (served, url):
        for name, make in states_in(locale).items():
            if only and not re.search(only, name):
                continue
            shop = await (seed(app, locale=locale) if "erased" in name else _small_shop(app, locale, password_hash))
            await context.clear_cookies()
            await context.set_extra_http_headers({})
            # A page of its own: one that loads itself again must not come between.
            page = await context.new_page()
            with monkeypatch.context() as patches:
                scene = Scene(served, url, shop, context, page, locale, patches)
                try:
                    await make(scene)
                    wrong += [f"{name}: {problem}" for problem in await _looked_at(scene, name)]
                # One state that cannot be reached hides no other.
                except (PlaywrightError, AssertionError, LookupError) as error:
                    wrong.append(f"{name}: {type(error).__name__} {str(error)[:300]}")
            await page.close()
    await context.close()
    assert not wrong, "\n".join(wrong)


async def _small_shop(app: App, locale: str, password_hash: str) -> Shop:
    """A workspace with an owner, an agent and a store of each platform."""
    workspace_id = workspaces.new_workspace_id()
    async with app.db.transaction(workspace_id) as tx:
        await workspaces.create(tx, "Dukkan", locale=locale, timezone="Asia/Jerusalem")
    owner = await member(app, workspace_id, "maya", "Maya Haddad", Role.OWNER, password_hash, locale=locale)
    noa = await member(app, workspace_id, "noa", "נועה לוי", Role.AGENT, password_hash, locale=locale)
    made: dict[str, Store] = {}
    async with app.db.transaction(workspace_id) as tx:
        for key, platform, name in (("oud", "shopify", "Oud & Amber"), ("kad", "woocommerce", "כד וקערה")):
            profile = StoreProfile(name, f"https://{key}.example", (f"https://{key}.example",), "SAR", 2, "UTC", "ar")
            made[key] = await stores.connect(
                tx, platform=platform, external_id=f"{uuid4().hex}.example", profile=profile
            )
    for key in made:
        async with app.db.transaction(workspace_id) as tx:
            await tx.execute(update(Store).where(Store.id == made[key].id).values(checked_at=datetime.now(UTC)))
    return Shop(workspace_id, owner, {"noa": noa}, made, email=owner.email or "")


async def _looked_at(scene: Scene, name: str) -> list[str]:
    said = await scene.page.evaluate(READ, FOREIGN[scene.locale])
    wide = await scene.page.evaluate(WIDE)
    if PICTURES:
        where = Path(PICTURES) / f"{name}-{scene.locale}-{WIDTH}.png"
        await scene.page.screenshot(path=where, full_page=True)
    foreign = [word for word in said["words"] if word not in NAMES]
    found = [f"foreign words {foreign}"] if foreign else []
    found += [f"too wide: {wide[:4]}"] if wide else []
    if (said["lang"], said["dir"]) != (scene.locale, "ltr" if scene.locale == "en" else "rtl"):
        found.append(f"in {said['lang']}")
    return found
