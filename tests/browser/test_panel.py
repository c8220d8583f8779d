"""The panel in a real browser: replies that survive, live updates, keys, a phone's way back, an admin's frame."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, Route, expect
from sqlalchemy import select, update

from plugin import privacy, team, workspaces
from plugin.app import App
from plugin.conversations import conversations, messages
from plugin.conversations.conversations import Conversation, Shopper
from plugin.crm.backfill import Backfill
from plugin.kernel.config import Demo
from plugin.team import Agent
from tests.admin_ui.shop import PASSWORD, Admin, Panel, Shop, seed, serving
from tests.admin_ui.test_privacy_page import ask
from tests.browser.chrome import needs_browser
from tests.browser.chrome import strict_browser as strict_browser

SIZES = {"desk": (1440, 900), "tablet": (820, 1180), "phone": (390, 844)}
# App Bridge's one promise: every fetch to the app's own origin carries a fresh token.
BRIDGE = """
const plain = window.fetch;
window.asked = 0;
window.fetch = (resource, options = {}) => {
  window.asked += 1;
  const headers = new Headers(options.headers || {});
  headers.set("Authorization", "Bearer good:yara:admin");
  return plain(resource, { ...options, headers });
};
"""

# What the stream brings is told from what the page came with.
HEARD = "document.addEventListener('live:open', () => document.documentElement.setAttribute('data-heard', ''))"

pytestmark = needs_browser
Open = Callable[..., Awaitable[Page]]


@pytest.fixture
async def shop(app: App) -> Shop:
    return await seed(app)


@pytest.fixture
async def panel(app: App, shop: Shop) -> AsyncIterator[Panel]:
    admin = Admin()
    admin.workspace_id, admin.store_id = shop.workspace_id, shop.stores["oud"].id
    async with serving(app, admin) as panel:
        yield panel


@pytest_asyncio.fixture(loop_scope="session")
async def open_as(browser: Browser, panel: Panel, shop: Shop) -> AsyncIterator[Open]:
    """Opens a page of the panel, signed in; fails the test on any script error or broken policy."""
    contexts: list[BrowserContext] = []
    problems: list[str] = []

    async def open_as(email: str, path: str, *, size: str = "desk", locale: str = "en") -> Page:
        width, height = SIZES[size]
        context = await browser.new_context(viewport={"width": width, "height": height}, locale=locale)
        contexts.append(context)
        await context.add_init_script(HEARD)
        page = await context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda said: problems.append(said.text) if "Security Policy" in said.text else None)
        # By the form: test_signing_in.py and test_walks.py.
        session = await session_of(panel.app, email)
        await context.add_cookies([{"name": "ahlan", "value": session, "url": panel.url}])
        await page.goto(f"{panel.url}/panel/{path}")
        return page

    yield open_as
    for context in contexts:
        await context.close()
    assert problems == []


async def session_of(app: App, email: str) -> str:
    """What the browser of somebody who has signed in holds."""
    [(workspace_id, _store)] = await app.db.lookup("sign_in", app.vault.fingerprint("email", email))
    async with app.db.transaction(workspace_id) as tx:
        agent = (await tx.scalars(select(Agent).where(Agent.email == email))).one()
        return f"{workspace_id.hex}.{await team.open_session(tx, agent, 'test')}"


async def hears(page: Page) -> None:
    """News reach this page: what happens from now on is told to it."""
    await expect(page.locator("html[data-heard]")).to_have_count(1)


async def shopper_writes(app: App, shop: Shop, name: str, words: str) -> None:
    async with app.db.transaction(shop.workspace_id) as tx:
        talk = await tx.get(Conversation, shop.talks[name])
        assert talk is not None
        assert talk.visitor_id is not None
        assert talk.store_id is not None
        await messages.receive(tx, Shopper(talk.visitor_id, talk.store_id, talk.customer_id), uuid4(), words)


async def texts(app: App, shop: Shop, name: str) -> list[str]:
    async with app.db.transaction(shop.workspace_id) as tx:
        return [message.text for message in await messages.thread(tx, shop.talks[name])]


async def test_a_reply_is_there_at_once_and_in_the_other_window_soon(panel: Panel, shop: Shop, open_as: Open) -> None:
    here = await open_as(shop.email, f"inbox/{shop.talks['emma']}")
    there = await open_as(shop.colleagues["karim"].email or "", f"inbox/{shop.talks['emma']}")
    await hears(there)
    await here.fill("#words", "All five are ambers, the oud is separate.")
    await here.press("#words", "Control+Enter")
    await expect(here.locator(".message.by-agent .text")).to_have_text("All five are ambers, the oud is separate.")
    await expect(here.locator(".message.is-pending")).to_have_count(0)
    await expect(here.locator("#words")).to_have_value("")
    await expect(there.locator(".message.by-agent .text")).to_have_text("All five are ambers, the oud is separate.")
    await expect(there.locator("#assign")).to_have_value(str(shop.owner.id))
    assert (await texts(panel.app, shop, "emma")).count("All five are ambers, the oud is separate.") == 1


async def test_what_the_shopper_writes_appears_and_moves_the_list(panel: Panel, shop: Shop, open_as: Open) -> None:
    page = await open_as(shop.email, f"inbox/{shop.talks['huda']}")
    await hears(page)
    await expect(page.locator(".row").first).not_to_contain_text("هدى")
    await shopper_writes(panel.app, shop, "huda", "وصلني رقم التتبع، شكرًا")
    await expect(page.locator(".message .text").last).to_have_text("وصلني رقم التتبع، شكرًا")
    await expect(page.locator(".row").first).to_contain_text("هدى")
    await expect(page.locator(".row[aria-current]")).to_have_attribute("data-row", str(shop.talks["huda"]))
    await expect(page.locator(".row").first.locator(".count")).to_have_count(0)


async def test_a_reply_without_a_network_waits_with_its_words(panel: Panel, shop: Shop, open_as: Open) -> None:
    page = await open_as(shop.email, f"inbox/{shop.talks['emma']}")

    async def cut(route: Route) -> None:
        await route.abort()

    await page.route("**/reply", cut)
    await page.fill("#words", "Held up on the way")
    await page.press("#words", "Control+Enter")
    failed = page.locator(".message.is-failed")
    await expect(failed.locator(".text")).to_have_text("Held up on the way")
    await page.unroute("**/reply")
    await failed.locator("[data-retry]").click()
    await expect(page.locator(".message.is-failed, .message.is-pending")).to_have_count(0)
    assert (await texts(panel.app, shop, "emma")).count("Held up on the way") == 1


async def test_an_answer_lost_on_the_way_back_is_not_sent_twice(panel: Panel, shop: Shop, open_as: Open) -> None:
    page = await open_as(shop.email, f"inbox/{shop.talks['emma']}")
    lost = asyncio.Event()

    async def lose(route: Route) -> None:
        await route.fetch()
        await route.abort()
        lost.set()

    await page.route("**/reply", lose)
    await page.fill("#words", "Once is enough")
    await page.press("#words", "Control+Enter")
    async with asyncio.timeout(15):
        await lost.wait()
    await page.unroute_all(behavior="wait")
    await expect(page.locator(".message.is-pending")).to_have_count(0)
    # In one go: what the socket brings may put the sent message in the failed one's place at any moment.
    await page.evaluate("document.querySelector('.message.is-failed [data-retry]')?.click()")
    await expect(page.locator(".message .text", has_text="Once is enough")).to_have_count(1)
    await expect(page.locator(".message.is-failed, .message.is-pending")).to_have_count(0)
    assert (await texts(panel.app, shop, "emma")).count("Once is enough") == 1


async def test_keys_walk_reply_note_and_close(panel: Panel, shop: Shop, open_as: Open) -> None:
    page = await open_as(shop.email, "inbox")
    await page.keyboard.press("j")
    await expect(page.locator("#thread[data-conversation]")).to_have_count(1)
    first = await page.locator("#thread").get_attribute("data-conversation")
    await page.keyboard.press("j")
    await expect(page.locator("#thread")).not_to_have_attribute("data-conversation", first or "")
    await page.keyboard.press("k")
    await expect(page.locator("#thread")).to_have_attribute("data-conversation", first or "")
    await page.keyboard.press("n")
    await expect(page.locator("#words")).to_be_focused()
    await page.keyboard.type("kept among us")
    await page.keyboard.press("Control+Enter")
    await expect(page.locator(".message.is-note .text").last).to_have_text("kept among us")
    await page.keyboard.press("Escape")
    await page.keyboard.press("a")
    await expect(page.locator("#assign")).to_have_value(str(shop.owner.id))
    await page.keyboard.press("e")
    await expect(page.locator("#thread-head")).to_have_attribute("data-status", "resolved")
    await page.locator(".toast", has_text="Resolved.").get_by_role("button", name="Undo").click()
    await expect(page.locator("#thread-head")).to_have_attribute("data-status", "open")
    await page.keyboard.press("?")
    await expect(page.locator("#keys")).to_be_visible()


async def test_resolving_while_an_assignment_is_under_way_shows_both(panel: Panel, shop: Shop, open_as: Open) -> None:
    page = await open_as(shop.email, f"inbox/{shop.talks['emma']}")
    answered = asyncio.Event()

    async def slow(route: Route) -> None:
        response = await route.fetch()
        await answered.wait()
        await route.fulfill(response=response)

    await page.route("**/status", slow)
    await page.keyboard.press("a")
    await page.keyboard.press("e")
    await expect(page.locator("#assign option[selected]")).to_have_attribute("value", str(shop.owner.id))
    answered.set()
    await expect(page.locator("#thread-head")).to_have_attribute("data-status", "resolved")
    await expect(page.locator("#assign")).to_have_value(str(shop.owner.id))


async def test_a_draft_waits_for_its_own_conversation(shop: Shop, open_as: Open) -> None:
    page = await open_as(shop.email, f"inbox/{shop.talks['emma']}")
    await page.fill("#words", "half a sent")
    await page.click(f"[data-row='{shop.talks['huda']}']")
    await expect(page.locator("#thread")).to_have_attribute("data-conversation", str(shop.talks["huda"]))
    await expect(page.locator("#words")).to_have_value("")
    await page.click(f"[data-row='{shop.talks['emma']}']")
    await expect(page.locator("#words")).to_have_value("half a sent")


async def test_on_a_phone_back_leads_to_the_list(shop: Shop, open_as: Open) -> None:
    page = await open_as(shop.email, "inbox", size="phone")
    await page.click(f"[data-row='{shop.talks['huda']}']")
    await expect(page.locator("#queue")).to_be_hidden()
    await expect(page.locator("#words")).to_be_visible()
    await page.click(".thread-actions .customer-toggle")
    await expect(page.locator("#customer")).to_be_visible()
    await page.click("#customer .customer-toggle")
    await expect(page.locator("#customer")).to_be_hidden()
    await page.go_back()
    await expect(page.locator("#queue")).to_be_visible()
    await expect(page.locator("#thread")).to_be_hidden()
    await page.click(f"[data-row='{shop.talks['emma']}']")
    await page.click(".back")
    await expect(page.locator("#queue")).to_be_visible()


# In Hebrew: test_walks.py.
@pytest.mark.parametrize("locale", ["en", "ar"])
async def test_nothing_sticks_out_in_any_language_or_size(app: App, panel: Panel, open_as: Open, locale: str) -> None:
    localised = await seed(app, locale=locale)
    page = await open_as(localised.email, "", size="phone")
    direction = "ltr" if locale == "en" else "rtl"
    for path in ("", "inbox", f"inbox/{localised.talks['huda']}", "customers", f"customers/{localised.people['huda']}",
                 "stores", f"stores/{localised.stores['kad'].id}", "team", "settings"):  # fmt: skip
        # It is loaded on a phone; the device is then turned, and the window drawn out.
        width, height = SIZES["phone"]
        await page.set_viewport_size({"width": width, "height": height})
        await page.goto(f"{panel.url}/panel/{path}")
        assert await page.evaluate("document.documentElement.dir") == direction
        for size in ("phone", "tablet", "desk"):
            width, height = SIZES[size]
            await page.set_viewport_size({"width": width, "height": height})
            await nothing_sticks_out(page, f"{path} {size}")


async def nothing_sticks_out(page: Page, where: str) -> None:
    sticking = await page.evaluate(
        """() => [...document.querySelectorAll("body *")].filter((element) => {
            const box = element.getBoundingClientRect();
            const style = getComputedStyle(element);
            const hides = (e) => e && (/auto|scroll|hidden/.test(getComputedStyle(e).overflowX)
                || hides(e.parentElement));
            return box.width > 1 && style.visibility === "visible" && style.clipPath === "none"
                && (box.right > innerWidth + 1 || box.left < -1) && !element.closest(".hidden, .skip")
                && !hides(element.parentElement);
        }).map((element) => element.outerHTML.slice(0, 120))"""
    )
    assert sticking == [], where
    assert await page.evaluate(
        "document.querySelector('#page').scrollWidth <= document.querySelector('#page').clientWidth + 1"
    ), where


async def test_on_a_phone_everything_is_as_big_as_a_thumb(shop: Shop, panel: Panel, open_as: Open) -> None:
    page = await open_as(shop.email, "", size="phone")
    for path in ("", "inbox", f"inbox/{shop.talks['huda']}", "customers", f"customers/{shop.people['huda']}",
                 "stores", f"stores/{shop.stores['kad'].id}", "team", "settings"):  # fmt: skip
        await page.goto(f"{panel.url}/panel/{path}")
        # A finger 22 px beside the middle still meets the control. Links inside sentences and lines are text.
        small = await page.evaluate(
            """() => [...document.querySelectorAll("button, .button, .icon, select, textarea, .tabs a, .person, "
                + ".rail a, .composer-modes input, [type=text], [type=search], [type=email], [type=password]")]
                .filter((element) => element.checkVisibility({ visibilityProperty: true }))
                .filter((element) => !element.closest(".hidden, .link, .text"))
                .filter((element) => {
                  element.scrollIntoView({ block: "center" });
                  const box = element.getBoundingClientRect();
                  return [-21, 21].some((beside) => {
                    const met = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2 + beside);
                    return !element.contains(met) && !met?.contains(element);
                  });
                }).map((element) => element.outerHTML.slice(0, 120))"""
        )
        assert small == [], path


async def test_on_a_phone_one_can_sign_out(shop: Shop, open_as: Open) -> None:
    page = await open_as(shop.email, "settings", size="phone")
    await page.click(".sign-out button")
    await page.wait_for_url("**/sign-in**")


@pytest.mark.parametrize(("zone", "shown"), [("Asia/Tokyo", True), ("Asia/Riyadh", False)])
async def test_the_time_zone_is_named_where_the_device_has_another(
    app: App, browser: Browser, panel: Panel, shop: Shop, zone: str, shown: bool
) -> None:
    async with app.db.transaction(shop.workspace_id) as tx:
        workspace = await workspaces.current(tx)
        assert workspace is not None
        workspace.timezone = "Asia/Riyadh"
    context = await browser.new_context(locale="en", timezone_id=zone)
    page = await context.new_page()
    await page.goto(f"{panel.url}/sign-in")
    await page.fill("input[name=email]", shop.email)
    await page.fill("input[name=password]", PASSWORD)
    await page.click("main button")
    await page.wait_for_url("**/panel")
    await page.goto(f"{panel.url}/panel/inbox/{shop.talks['huda']}")
    name = page.locator(".day .zone").first
    await (expect(name).to_be_visible() if shown else expect(name).to_be_hidden())
    await expect(name).to_have_text("· Riyadh time")
    await context.close()


async def has_read(app: App, shop: Shop, done: int) -> None:
    """So many of the store's 500 orders."""
    async with app.db.transaction(shop.workspace_id) as tx:
        await tx.execute(
            update(Backfill)
            .where(Backfill.store_id == shop.stores["oud"].id, Backfill.resource == "orders")
            .values(state="running", done_count=done, total=500)
        )
        tx.publish("backfill", {"store_id": str(shop.stores["oud"].id)})


async def test_the_reading_of_a_history_is_watched_live(app: App, shop: Shop, open_as: Open) -> None:
    page = await open_as(shop.email, "stores")
    card = page.locator(f"#store-{shop.stores['oud'].id}")
    await expect(card.locator("progress").first).to_be_visible()
    await page.evaluate("window.here = true")
    await hears(page)
    for done, shown in ((120, "120 of about 500"), (360, "360 of about 500")):
        await has_read(app, shop, done)
        line = card.locator(".progress", has_text=shown)
        await expect(line.locator("progress")).to_have_attribute("value", str(done))
    assert await page.evaluate("window.here"), "without loading the page anew"


@pytest.mark.parametrize("path", ["", "stores", "stores/{store}"])
async def test_what_changes_between_a_page_and_its_stream_is_shown(
    app: App, shop: Shop, panel: Panel, open_as: Open, path: str
) -> None:
    """A slow line: the page is there, and the news of what has changed since went to nobody."""
    page = await open_as(shop.email, "settings")
    changed = asyncio.Event()

    async def slow(route: Route) -> None:
        await changed.wait()
        await route.continue_()

    await page.route("**/panel/live**", slow)
    await page.goto(f"{panel.url}/panel/{path.format(store=shop.stores['oud'].id)}")
    await has_read(app, shop, 120)
    changed.set()
    await expect(page.get_by_text("120 of about 500")).to_be_visible()


async def test_every_control_has_a_name(shop: Shop, open_as: Open) -> None:
    page = await open_as(shop.email, f"inbox/{shop.talks['huda']}")
    for path in (f"inbox/{shop.talks['huda']}", "customers", "stores", "team", "settings"):
        await page.goto(re.sub(r"/panel/.*", f"/panel/{path}", page.url))
        nameless = await page.evaluate(
            """() => [...document.querySelectorAll("button, a[href], input:not([type=hidden]), select, textarea")]
                .filter((element) => !(element.textContent.trim() || element.getAttribute("aria-label")
                    || element.title || element.labels?.length))
                .map((element) => element.outerHTML.slice(0, 160))"""
        )
        assert nameless == [], path


@asynccontextmanager
async def an_admin(source: list[str]) -> AsyncIterator[str]:
    """Another site, on a real socket, whose page frames the panel."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = f"<iframe src='{source[0]}' style='border:0;width:100%;height:95vh'></iframe>".encode()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\n\r\n" + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://admin.localhost:{server.sockets[0].getsockname()[1]}"


async def test_inside_an_admin_everything_goes_by_token_and_nothing_by_cookie(
    browser: Browser, panel: Panel, shop: Shop
) -> None:
    source = [""]
    async with (
        an_admin(source) as outer,
        serving(panel.app, panel.admin, demo=Demo(frame_ancestors=(outer,))) as framed,
    ):
        source[0] = f"{framed.url}/shopify/inbox?id_token=good:yara:admin"
        context = await browser.new_context(viewport={"width": 1200, "height": 800})
        await context.add_init_script(BRIDGE)
        page = await context.new_page()
        problems: list[str] = []
        page.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
        await page.goto(f"{outer}/")
        frame = page.frame_locator("iframe")
        await frame.locator(f"[data-row='{shop.talks['emma']}']").click()
        await frame.locator("#words").fill("From inside the admin")
        await frame.locator("#words").press("Control+Enter")
        await expect(frame.locator(".message.by-agent .text")).to_have_text("From inside the admin")
        await expect(frame.locator(".is-pending")).to_have_count(0)
        await shopper_writes(framed.app, shop, "emma", "Thank you!")
        await expect(frame.locator(".message .text").last).to_have_text("Thank you!")
        await frame.locator("[data-nav$='/customers']").click()
        await expect(frame.locator("h1")).to_have_text("Customers")
        await frame.locator(".person").first.click()
        await expect(frame.locator(".timeline")).to_be_visible()
        assert page.frames[1].url.startswith(f"{framed.url}/shopify/customers/")
        assert await context.cookies() == []
        assert problems == []
        assert (await texts(framed.app, shop, "emma")).count("From inside the admin") == 1
        await context.close()


async def test_resolving_elsewhere_shows_here(panel: Panel, shop: Shop, open_as: Open) -> None:
    page = await open_as(shop.email, f"inbox/{shop.talks['emma']}")
    await hears(page)
    async with panel.app.db.transaction(shop.workspace_id) as tx:
        talk = await tx.get(Conversation, shop.talks["emma"])
        assert talk is not None
        await conversations.turn(tx, talk, conversations.RESOLVED, by=shop.colleagues["karim"])
    await expect(page.locator("#thread-head")).to_have_attribute("data-status", "resolved")


async def test_a_new_language_turns_the_whole_page(shop: Shop, open_as: Open) -> None:
    page = await open_as(shop.email, "settings")
    await page.select_option("#me select[name=locale]", "ar")
    await page.click("#me button")
    await expect(page.locator("html")).to_have_attribute("dir", "rtl")
    await expect(page.locator("#me .saved")).to_be_visible()


async def test_a_copy_of_somebodys_data_is_downloaded_and_handed_over(
    app: App, panel: Panel, shop: Shop, open_as: Open
) -> None:
    await ask(app, shop, privacy.CUSTOMER_REDACT, email="gone@mail.example")
    await ask(app, shop, privacy.DATA_REQUEST, days_ago=40)
    page = await open_as(shop.email, "settings/privacy", size="phone")
    assert await page.evaluate("document.documentElement.scrollWidth") <= SIZES["phone"][0]
    async with page.context.expect_page() as window, page.expect_response("**/export") as asked:
        await page.click("[data-file]")
    assert (await asked.value).ok
    await (await window.value).close()
    await page.click("text=Handed over, delete our copy")
    await expect(page.locator("#settled")).to_contain_text("A shopper wants a copy of their data")
    await expect(page.locator("[data-file]")).to_have_count(0)
    await expect(page.locator(".duty")).to_have_count(1)


async def test_many_are_chosen_changed_and_taken_back(panel: Panel, shop: Shop, open_as: Open) -> None:
    page = await open_as(shop.email, "inbox")
    before = await page.locator(".row").count()
    for name in ("emma", "huda"):
        await page.locator(f".row-item:has(#row-{shop.talks[name]}) .row-pick").click(force=True)
    await expect(page.locator("[data-many-count]")).to_have_text("Chosen: 2")
    # The list is read again while somebody chooses, and while they type.
    await page.fill("#find", "status:o")
    await shopper_writes(panel.app, shop, "emma", "One more thing")
    await expect(page.locator(".row").first).to_contain_text("One more thing")
    await expect(page.locator("[data-many-count]")).to_have_text("Chosen: 2")
    await expect(page.locator("#find")).to_have_value("status:o")
    await page.locator("#many-more summary").click()
    await page.locator("#many-more").get_by_role("button", name="Spam").click()
    await expect(page.locator(".row")).to_have_count(before - 2)
    await expect(page.locator("#many")).to_be_hidden()
    await page.locator(".toast", has_text="2 conversations changed.").get_by_role("button", name="Undo").click()
    await expect(page.locator(".row")).to_have_count(before)


async def test_a_conversation_is_snoozed_and_tagged_by_keys(panel: Panel, shop: Shop, open_as: Open) -> None:
    page = await open_as(shop.email, f"inbox/{shop.talks['emma']}")
    await page.keyboard.press("t")
    await page.keyboard.type("perfume")
    await page.keyboard.press("Enter")
    await expect(page.locator(".thread-marks .tag bdi")).to_have_text("perfume")
    await page.keyboard.press("Escape")
    await page.locator("#scroller").focus()
    await page.keyboard.press("s")
    await page.keyboard.press("Enter")
    await expect(page.locator("#thread-head")).to_have_attribute("data-status", "snoozed")
    await expect(page.locator(f"#row-{shop.talks['emma']}")).to_have_count(0)
    await page.fill("#find", "tag:perfume status:snoozed")
    await page.press("#find", "Enter")
    await expect(page.locator(".row")).to_have_count(1)
    await page.locator(".toast", has_text="Snoozed.").get_by_role("button", name="Undo").click()
    await expect(page.locator("#thread-head")).to_have_attribute("data-status", "open")
