"""Around the reply box in a real browser: macros, mentions, two agents at once, keys."""

from __future__ import annotations

import asyncio
import re
from uuid import UUID, uuid4

import pytest
from playwright.async_api import Page, Route, expect

from admin_ui.keys import KEYS
from plugin.app import App
from plugin.conversations import fields, macros, messages, starters
from plugin.conversations.conversations import Conversation
from plugin.conversations.fields import Kind
from plugin.conversations.macros import Draft
from plugin.knowledge import articles
from plugin.team import Agent
from tests.admin_ui.shop import Panel, Shop
from tests.browser.chrome import needs_browser
from tests.browser.chrome import strict_browser as strict_browser
from tests.browser.test_panel import Open, shopper_writes, texts
from tests.browser.test_panel import open_as as open_as
from tests.browser.test_panel import panel as panel
from tests.browser.test_panel import shop as shop

pytestmark = needs_browser
SOON = 30_000


async def write(app: App, shop: Shop, name: str, texts: dict[str, str], *actions: str) -> UUID:
    async with app.db.transaction(shop.workspace_id) as tx:
        return (await macros.write(tx, shop.owner, Draft(name, texts, actions, shared=True))).id


async def answer(app: App, shop: Shop, name: str, by: Agent, text: str, *, note: bool = False) -> None:
    async with app.db.transaction(shop.workspace_id) as tx:
        talk = await tx.get(Conversation, shop.talks[name])
        assert talk is not None
        await (messages.note if note else messages.reply)(tx, talk, by, uuid4(), text)


async def state(app: App, shop: Shop, name: str) -> Conversation:
    async with app.db.transaction(shop.workspace_id) as tx:
        talk = await tx.get(Conversation, shop.talks[name])
    assert talk is not None
    return talk


async def test_a_macro_is_found_filled_in_and_done_by_keys_alone(panel: Panel, shop: Shop, open_as: Open) -> None:
    await write(panel.app, shop, "Greeting", {"en": "Hello"})
    await write(
        panel.app, shop, "أين الطلب", {"ar": "أهلًا {{ customer.first_name }}، طلبكم {{ order.number }} في الطريق.",
        "en": "Hi {{ customer.first_name }}, {{ order.number }} is on its way."}, "tag:delivery", "status:pending",
    )  # fmt: skip
    page = await open_as(shop.email, f"inbox/{shop.talks['huda']}")
    await page.keyboard.press("m")
    await expect(page.locator("#palette [role=option]")).to_have_count(2, timeout=SOON)
    # Without the hamza and with the other ta marbuta: found all the same.
    await page.keyboard.type("اين")
    await expect(page.locator("#palette [role=option]")).to_have_count(1, timeout=SOON)
    await page.keyboard.press("Enter")
    await expect(page.locator("#words")).to_have_value("أهلًا هدى، طلبكم #1042 في الطريق.", timeout=SOON)
    await expect(page.locator("#strip [data-deed]")).to_have_count(2)
    await page.select_option("#strip-language", "en")
    await expect(page.locator("#words")).to_have_value("Hi هدى, #1042 is on its way.", timeout=SOON)
    await page.select_option("#strip-language", "ar")
    await expect(page.locator("#words")).to_have_value("أهلًا هدى، طلبكم #1042 في الطريق.", timeout=SOON)
    await page.locator("#words").press("Control+Enter")
    await expect(page.locator("#thread-head")).to_have_attribute("data-status", "pending", timeout=SOON)
    await expect(page.locator(".thread-marks .tag bdi")).to_have_text("delivery")
    await expect(page.locator("#strip .strip")).to_have_count(0)
    assert (await texts(panel.app, shop, "huda")).count("أهلًا هدى، طلبكم #1042 في الطريق.") == 1
    await page.keyboard.press("Escape")
    await page.keyboard.press("m")
    await expect(page.locator("#palette [role=option]").first).to_contain_text("أين الطلب", timeout=SOON)


async def test_what_is_missing_is_shown_and_never_sent_silently(panel: Panel, shop: Shop, open_as: Open) -> None:
    await write(panel.app, shop, "Tracking", {"en": "Follow it: {{ tracking.link }} ({{ tracking.number }})"})
    page = await open_as(shop.email, f"inbox/{shop.talks['visitor']}")
    await page.fill("#words", "")
    await page.locator("#words").press_sequentially("/track", delay=20)
    await page.keyboard.press("Enter")
    await expect(page.locator("#unfilled")).to_contain_text("the carrier's page and the tracking number", timeout=SOON)
    assert await page.evaluate("getSelection().toString() || document.activeElement.value.slice("
                               "document.activeElement.selectionStart, document.activeElement.selectionEnd)"
                               ) == "{{ tracking.link }}"  # fmt: skip
    await page.keyboard.type("https://smsa.example/1")
    await expect(page.locator("#unfilled")).not_to_contain_text("carrier's page")
    await page.locator("#words").press("Control+Enter")
    held = page.locator(".message.is-held")
    await expect(held.locator("[data-held]")).to_contain_text("the tracking number", timeout=SOON)
    assert not [text for text in await texts(panel.app, shop, "visitor") if "smsa" in text], "nothing went out"
    await held.locator("[data-change-held]").click()
    await expect(page.locator("#words")).to_have_value("Follow it: https://smsa.example/1 ({{ tracking.number }})")
    await page.keyboard.type("AR77")
    await page.locator("#words").press("Control+Enter")
    await expect(page.locator(".message.by-agent .text").last).to_have_text("Follow it: https://smsa.example/1 (AR77)")
    await expect(page.locator(".message.is-held, .message.is-pending")).to_have_count(0, timeout=SOON)
    assert (await texts(panel.app, shop, "visitor"))[-1] == "Follow it: https://smsa.example/1 (AR77)"


async def test_a_stroke_inside_a_word_and_a_sent_away_palette_stay_text(
    panel: Panel, shop: Shop, open_as: Open
) -> None:
    await write(panel.app, shop, "And or", {"en": "never"})
    page = await open_as(shop.email, f"inbox/{shop.talks['emma']}")
    asked = []
    page.on("request", lambda request: asked.append(request.url) if "/macros?" in request.url else None)
    await page.locator("#words").press_sequentially("and/or https://x.example/a", delay=5)
    assert asked == []
    await expect(page.locator("#palette")).to_be_hidden()
    await page.fill("#words", "")
    await page.locator("#words").press_sequentially("/and", delay=20)
    await expect(page.locator("#palette")).to_be_visible(timeout=SOON)
    await page.keyboard.press("Escape")
    await expect(page.locator("#palette")).to_be_hidden()
    await expect(page.locator("#words")).to_be_focused()
    await page.keyboard.type(" or")
    await expect(page.locator("#palette")).to_be_hidden()
    await expect(page.locator("#words")).to_have_value("/and or")


async def test_a_macro_without_words_is_done_without_a_message(panel: Panel, shop: Shop, open_as: Open) -> None:
    await write(panel.app, shop, "Spam it no more", {}, "priority:3", "status:resolved")
    page = await open_as(shop.email, f"inbox/{shop.talks['emma']}")
    before = await texts(panel.app, shop, "emma")
    await page.keyboard.press("m")
    await expect(page.locator("#palette [role=option]")).to_have_count(1, timeout=SOON)
    await page.keyboard.press("Enter")
    await expect(page.locator("#strip [data-deed]")).to_have_count(2, timeout=SOON)
    await page.locator("[data-undeed]").first.click()
    await page.locator("#words").press("Control+Enter")
    await expect(page.locator("#thread-head")).to_have_attribute("data-status", "resolved", timeout=SOON)
    assert (await state(panel.app, shop, "emma")).priority == 1, "what was taken out is not done"
    assert await texts(panel.app, shop, "emma") == before


async def test_a_reply_is_held_back_when_a_colleague_was_faster(panel: Panel, shop: Shop, open_as: Open) -> None:
    maya = await open_as(shop.email, f"inbox/{shop.talks['emma']}")
    karim = await open_as(shop.colleagues["karim"].email or "", f"inbox/{shop.talks['emma']}")
    await maya.fill("#words", "Only ambers, I believe.")

    async def late(route: Route) -> None:
        await asyncio.sleep(0.4)
        await route.continue_()

    await maya.route("**/messages?after=*", late)
    await karim.fill("#words", "All five are ambers.")
    await karim.press("#words", "Control+Enter")
    await expect(karim.locator(".message.by-agent:not(.is-pending)")).to_have_count(1, timeout=SOON)
    await maya.press("#words", "Control+Enter")
    held = maya.locator(".message.is-held")
    await expect(held.locator("[data-held]")).to_contain_text("has answered meanwhile", timeout=SOON)
    await expect(maya.locator(".message .text", has_text="All five are ambers.")).to_be_visible()
    assert await texts(panel.app, shop, "emma") == [
        "Hi! Does the discovery set include the cambodi oud, or only ambers?", "All five are ambers."
    ]  # fmt: skip
    # Sent all the same, with a double click: once.
    await held.locator("[data-send-held]").dblclick()
    await expect(maya.locator(".message.is-held, .message.is-pending, .message.is-failed")).to_have_count(
        0, timeout=SOON
    )
    await expect(karim.locator(".message .text", has_text="Only ambers, I believe.")).to_be_visible(timeout=SOON)
    assert (await texts(panel.app, shop, "emma")).count("Only ambers, I believe.") == 1


async def test_a_second_change_while_deciding_holds_it_back_again(panel: Panel, shop: Shop, open_as: Open) -> None:
    page = await open_as(shop.email, f"inbox/{shop.talks['emma']}")

    async def never(route: Route) -> None:
        await route.abort()

    await page.route("**/messages?after=*", never)
    await page.click("#answers > summary")
    await page.fill("[data-answers]", "Yes please")
    await page.click("[data-answers-add]")
    await page.fill("#words", "Mine")
    await answer(panel.app, shop, "emma", shop.colleagues["noa"], "wait, I asked the warehouse", note=True)
    await page.press("#words", "Control+Enter")
    held = page.locator(".message.is-held [data-held]")
    await expect(held).to_contain_text("has written a note meanwhile", timeout=SOON)
    await shopper_writes(panel.app, shop, "emma", "Never mind!")
    await page.click("[data-send-held]")
    await expect(held).to_contain_text("The customer has written meanwhile.", timeout=SOON)
    await page.unroute("**/messages?after=*")
    await page.click("[data-change-held]")
    await expect(page.locator("#words")).to_have_value("Mine")
    await expect(page.locator("#files [data-carried=answer]")).to_contain_text("Yes please")
    assert "Mine" not in await texts(panel.app, shop, "emma")


async def test_colleagues_see_who_looks_and_who_writes(panel: Panel, shop: Shop, open_as: Open) -> None:
    maya = await open_as(shop.email, f"inbox/{shop.talks['tamar']}")
    await expect(maya.locator("#colleagues")).to_be_hidden()
    karim = await open_as(shop.colleagues["karim"].email or "", f"inbox/{shop.talks['tamar']}")
    await expect(maya.locator("#colleagues")).to_contain_text("كريم سعيد\u2069 is looking at this too", timeout=SOON)
    await karim.locator("#words").press_sequentially("ab", delay=10)
    await expect(maya.locator("#colleagues")).to_contain_text("كريم سعيد\u2069 is writing here", timeout=SOON)
    # Who stops writing is looking again, and who leaves is gone.
    await expect(maya.locator("#colleagues")).to_contain_text("looking at this too", timeout=30_000)
    await karim.goto(f"{panel.url}/panel/customers")
    await expect(maya.locator("#colleagues")).to_be_hidden(timeout=SOON)


async def test_a_note_calls_a_colleague_who_finds_it(panel: Panel, shop: Shop, open_as: Open) -> None:
    noa = await open_as(shop.colleagues["noa"].email or "", "inbox")
    await expect(noa.locator("a[href*='view=mentions'] .count")).to_have_count(0)
    maya = await open_as(shop.email, f"inbox/{shop.talks['huda']}")
    await maya.keyboard.press("n")
    await maya.keyboard.type("@נוע")
    await expect(maya.locator("#palette [role=option]")).to_have_count(1, timeout=SOON)
    await maya.keyboard.press("Enter")
    await expect(maya.locator("#words")).to_have_value("@נועה לוי ")
    await maya.keyboard.type("can you call the warehouse?")
    await maya.keyboard.press("Control+Enter")
    await expect(maya.locator(".is-note .mention")).to_have_text("@נועה לוי", timeout=SOON)
    await expect(noa.locator("a[href*='view=mentions'] .count")).to_have_text("1", timeout=SOON)
    await noa.goto(f"{panel.url}/panel/inbox?view=mentions")
    row = noa.locator(f"#row-{shop.talks['huda']}")
    await expect(row.locator(".called")).to_be_visible(timeout=SOON)
    await row.click()
    await expect(noa.locator(".is-note .mention")).to_be_visible(timeout=SOON)
    await expect(row.locator(".called")).to_have_count(0, timeout=SOON)
    await expect(noa.locator("a[href*='view=mentions'] .count")).to_have_count(0, timeout=SOON)
    await expect(row).to_be_visible()


async def focused(page: Page) -> str:
    return str(await page.evaluate("document.activeElement.id"))


async def test_every_key_of_the_list_does_something_and_only_those_of_the_page_are_listed(
    shop: Shop, open_as: Open
) -> None:
    page = await open_as(shop.email, f"inbox/{shop.talks['huda']}")
    names = [key.act for group in KEYS for key in group.keys]
    assert len(names) == len(set(names))
    assert sorted(await page.evaluate("Object.keys(acts)")) == sorted(names), "the table and what is bound are one"
    await page.keyboard.press("?")
    shown = page.locator("#keys [data-key]:visible")
    assert {"reply", "macro", "tag"} <= set(await shown.evaluate_all("rows => rows.map(row => row.dataset.key)"))
    await page.keyboard.press("Escape")
    for key, where in (
        ("b", "subject"),
        ("p", "priority"),
        ("i", "assign"),
        ("t", "tag"),
        ("f", "find"),
        ("r", "words"),
    ):
        await page.locator("#scroller").focus()
        await page.keyboard.press(key)
        assert await focused(page) == where, key
        await page.keyboard.press("Escape")
    await page.locator("#scroller").focus()
    await page.keyboard.press("l")
    await expect(page.locator("#more[open] :focus")).to_have_count(1, timeout=SOON)
    await page.keyboard.press("Escape")
    await page.locator("#scroller").focus()
    await page.keyboard.press("w")
    await expect(page.locator("#thread-head")).to_have_attribute("data-status", "pending", timeout=SOON)
    await expect(page.locator(".toast [data-undo]")).to_be_visible()
    await page.keyboard.press("z")
    await expect(page.locator("#thread-head")).to_have_attribute("data-status", "open", timeout=SOON)
    await page.keyboard.press("Shift+Digit1")
    await expect(page.locator("#thread-head")).to_have_attribute("data-status", "spam", timeout=SOON)
    await page.keyboard.press("g")
    await page.keyboard.press("e")
    await expect(page).to_have_url(re.compile("/panel/settings$"), timeout=SOON)
    await page.keyboard.press("?")
    there = set(await shown.evaluate_all("rows => rows.map(row => row.dataset.key)"))
    assert "reply" not in there
    assert {"inbox", "keys", "search"} <= there
    await page.keyboard.press("Escape")
    await page.keyboard.press("g")
    await page.keyboard.press("i")
    await expect(page.locator("#queue")).to_be_visible(timeout=SOON)
    await page.keyboard.press("v")
    await expect(page.locator("#views a:focus")).to_have_count(1, timeout=SOON)


async def test_a_messages_menu_stays_open_when_the_message_is_drawn_anew(
    panel: Panel, shop: Shop, open_as: Open
) -> None:
    await answer(panel.app, shop, "huda", shop.owner, "it left today")
    page = await open_as(shop.email, f"inbox/{shop.talks['huda']}")
    drawn = asyncio.Event()

    async def slow(route: Route) -> None:
        await drawn.wait()
        await route.continue_()

    await page.route("**/tools", slow)
    last = page.locator("#messages > .message").last
    plain = await last.evaluate("(line) => line.outerHTML")
    async with page.expect_request("**/tools"):
        await last.locator("details.tools summary").click()
    await page.evaluate("place", plain)
    drawn.set()
    await expect(last.locator("details.tools[open] :focus")).to_have_count(1, timeout=SOON)


async def test_one_message_and_one_note_are_marked_and_acted_on_by_keys(
    panel: Panel, shop: Shop, open_as: Open
) -> None:
    await answer(panel.app, shop, "huda", shop.owner, "it left todaj")
    page = await open_as(shop.email, f"inbox/{shop.talks['huda']}")
    keys, last = page.keyboard, page.locator("#messages > .message").last
    marked = page.locator(".is-marked")
    await page.locator("#scroller").focus()
    await keys.press(",")
    await expect(last).to_be_focused()
    await keys.press("2")
    await expect(last.locator(".sign-chip")).to_have_text("❤️", timeout=SOON)
    await expect(last).to_have_class(re.compile("is-marked"))
    await keys.press("2")
    await expect(last.locator(".sign-chip")).to_have_count(0, timeout=SOON)
    await keys.press(";")
    await keys.press("e")
    await expect(last.locator("textarea")).to_be_focused(timeout=SOON)
    await keys.press("Backspace")
    await keys.type("y")
    await keys.press("Control+Enter")
    await expect(last.locator(".bubble > .text")).to_have_text("it left today", timeout=SOON)
    await page.locator("#scroller").focus()
    await keys.press(";")
    await keys.press("d")
    await expect(last.locator(".gone")).to_be_visible(timeout=SOON)
    await keys.press(";")
    await keys.press("b")
    await expect(last.locator(".bubble > .text")).to_have_text("it left today", timeout=SOON)
    await keys.press(";")
    await keys.press("m")
    await expect(last.locator("details.tools[open] :focus")).to_have_count(1, timeout=SOON)
    await keys.press("Escape")
    await keys.press(";")
    await keys.press("f")
    await expect(page.locator("#forward-to")).to_be_focused(timeout=SOON)
    await keys.press("Escape")
    await page.locator("#scroller").focus()
    await keys.press(";")
    await keys.press("s")
    await expect(page.locator("#split-subject")).to_be_focused(timeout=SOON)
    await keys.press("Escape")
    await page.locator("#scroller").focus()
    await keys.press(",")
    await expect(marked).to_have_class(re.compile("by-shopper"))
    await keys.press(";")
    await keys.press("e")
    await expect(page.get_by_text("This cannot be done here.")).to_be_visible(timeout=SOON)
    await keys.press(".")
    await expect(last).to_be_focused()
    await keys.press("Escape")
    await expect(marked).to_have_count(0)

    await keys.press(";")
    await keys.press("o")
    tie = page.locator(".tie-list li", has_text="#1042")
    await tie.get_by_role("button").click(timeout=SOON)
    await expect(page.locator(".ties")).to_contain_text("#1042", timeout=SOON)
    await page.locator(".ties a").first.click()
    await expect(page.locator("#act .order-sheet")).to_contain_text("Refund, cancel and more", timeout=SOON)
    await keys.press("Escape")
    await keys.press("z")
    await expect(page.locator(".ties")).to_have_count(0, timeout=SOON)

    await page.locator("#scroller").focus()
    await keys.press(";")
    await keys.press("n")
    await expect(page.locator("#note-new")).to_be_focused()
    await keys.type("calls before noon")
    await keys.press("Control+Enter")
    await expect(page.locator("#notes li")).to_contain_text("calls before noon", timeout=SOON)
    await page.locator("#scroller").focus()
    await keys.press(";")
    await keys.press("k")
    await expect(page.locator("#notes li")).to_be_focused()
    await keys.press(";")
    await keys.press("e")
    await expect(page.locator("#notes li textarea")).to_have_value("calls before noon", timeout=SOON)


async def test_what_is_written_while_somebody_cannot_be_asked_is_shown_once_they_can(
    panel: Panel, shop: Shop, open_as: Open
) -> None:
    page = await open_as(shop.email, f"inbox/{shop.talks['huda']}")
    refused: list[str] = []

    async def refuse_twice(route: Route) -> None:
        if len(refused) == 2:
            await route.continue_()
            return
        refused.append(route.request.url)
        await (route.abort() if len(refused) == 1 else route.fulfill(status=503, json={}))

    await page.route("**/messages?after=**", refuse_twice)
    await shopper_writes(panel.app, shop, "huda", "still there?")
    await expect(page.locator("#messages .text").last).to_have_text("still there?", timeout=SOON)
    assert len(refused) == 2


@pytest.mark.parametrize("size", ["desk", "phone"])
async def test_a_macro_is_written_seen_as_the_customer_reads_it_and_used(
    panel: Panel, shop: Shop, open_as: Open, size: str
) -> None:
    page = await open_as(shop.email, "settings/macros/new", size=size)
    await page.fill("#f-name", "Where is it")
    await page.fill("#text-ar", "طلبكم ")
    await page.locator("[data-put='{{ order.number }}']").click()
    await page.select_option("#preview-of", str(shop.talks["huda"]))
    await page.locator("#text-ar").press("End")
    await expect(page.locator("#preview .text")).to_have_text("طلبكم #1042", timeout=SOON)
    await page.fill("#text-en", "{{ order.colour }}")
    await expect(page.locator("#preview .error")).to_contain_text("order.colour", timeout=SOON)
    assert await page.evaluate("document.documentElement.scrollWidth") <= (390 if size == "phone" else 1440)
    await page.click("#macro .primary")
    await expect(page.locator("[role=alert] strong")).to_contain_text("order.colour", timeout=SOON)
    await expect(page.locator("#text-ar")).to_have_value("طلبكم {{ order.number }}")
    await page.fill("#text-en", "It is on its way")
    await page.click("#macro .primary")
    await expect(page.locator(".macro-row")).to_contain_text("Where is it", timeout=SOON)


async def test_a_snippet_is_put_into_a_macro_by_its_title_and_answers_with_it(
    panel: Panel, shop: Shop, open_as: Open
) -> None:
    async with panel.app.db.transaction(shop.workspace_id) as tx:
        for title, body in (("Gift wrapping", "We wrap it free of charge."), ("Opening hours", "From 9 to 5.")):
            made = await articles.create(tx, shop.owner.id, articles.Kind.SNIPPET, "en")
            await articles.write(tx, made, "en", title, body, by=shop.owner.id)
            await articles.publish(tx, made, "en", by=shop.owner)
    page = await open_as(shop.email, "settings/macros/new")
    await page.fill("#f-name", "Hours")
    await page.fill("#text-en", "Hello. ")
    await page.locator("#text-en").press("End")
    await page.locator("#find-snippet").press_sequentially("opening")
    await expect(page.locator("#snippets")).to_have_attribute("data-found-for", "opening", timeout=SOON)
    await page.locator("#find-snippet").press("Enter")
    await expect(page.locator("#text-en")).to_have_value("Hello. {{ snippet.opening-hours }}")
    assert page.url.endswith("/new"), "Enter in the field that finds saves nothing"
    await page.select_option("#preview-of", str(shop.talks["emma"]))
    await page.locator("#text-en").press("End")
    await expect(page.locator("#preview .text")).to_have_text("Hello. From 9 to 5.", timeout=SOON)
    await page.click("#macro .primary")
    await expect(page.locator(".macro-row")).to_contain_text("Hours", timeout=SOON)
    await page.goto(f"{panel.url}/panel/inbox/{shop.talks['emma']}")
    await page.fill("#words", "{{ snippet.gone }}")
    await expect(page.locator("#unfilled")).to_contain_text("the snippet \u2068gone\u2069")
    await page.fill("#words", "")
    await page.locator("#words").press_sequentially("/hours")
    await expect(page.locator("#palette [role=option]").first).to_contain_text("Hours", timeout=SOON)
    await page.keyboard.press("Enter")
    await expect(page.locator("#words")).to_have_value("Hello. From 9 to 5.", timeout=SOON)


async def test_an_older_workspace_begins_with_the_set_by_a_click(panel: Panel, shop: Shop, open_as: Open) -> None:
    page = await open_as(shop.email, "settings/macros")
    await page.click("text=Begin with the set")
    planted = len(starters.starters(panel.app.catalogues, "en"))
    await expect(page.locator(".macro-row")).to_have_count(planted, timeout=SOON)
    first = await page.locator(".macro-row a").first.inner_text()
    await page.locator(".macro-row [value=down]").first.click()
    await expect(page.locator(".macro-row a").nth(1)).to_have_text(first, timeout=SOON)
    await page.locator(".macro-row [title=Archive]").nth(1).click()
    await expect(page.locator("#macros-shared .macro-row")).to_have_count(planted - 1, timeout=SOON)
    await expect(page.locator("#macros-away")).to_contain_text("1 archived")


async def test_a_field_is_filled_in_beside_the_conversation_and_a_colleague_sees_it(
    panel: Panel, shop: Shop, open_as: Open
) -> None:
    async with panel.app.db.transaction(shop.workspace_id) as tx:
        await fields.make(tx, "المقاس", Kind.NUMBER)
        await fields.make(tx, "Reason", Kind.CHOICE, ["Damaged", "Too late"])
    maya = await open_as(shop.email, f"inbox/{shop.talks['huda']}")
    karim = await open_as(shop.colleagues["karim"].email or "", f"inbox/{shop.talks['huda']}")
    await expect(karim.locator("#colleagues")).to_be_visible(timeout=SOON)
    await maya.get_by_label("المقاس").fill("42")
    await maya.keyboard.press("Tab")
    await maya.get_by_label("Reason").select_option("Damaged")
    await expect(karim.get_by_label("المقاس")).to_have_value("42", timeout=SOON)
    await expect(karim.get_by_label("Reason")).to_have_value("Damaged", timeout=SOON)
    await maya.get_by_label("المقاس").fill("large")
    await maya.keyboard.press("Tab")
    await expect(maya.locator(".toast")).to_contain_text("This field holds a number.", timeout=SOON)
