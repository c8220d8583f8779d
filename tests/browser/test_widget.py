"""The storefront widget in a real browser: shop and server on different sites, third-party cookies blocked."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Error, Frame, Locator, Page, Request, WebSocket, expect

from admin_ui.look import typed
from plugin.kernel.i18n import load
from plugin.widget import page as widget_page
from plugin.widget.strings import SAMPLES, help_strings, strings
from tests.browser.chrome import OPEN_ROOTS, needs_browser
from tests.browser.chrome import strict_browser as strict_browser
from tests.browser.widget_stub import Peer, history

PANEL = widget_page.STATIC / "panel"
RATING = widget_page.STATIC / "rating"
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)
Visit = Callable[..., Awaitable["Shopper"]]


@pytest.fixture
def peer() -> Iterator[Peer]:
    peer = Peer()
    yield peer
    peer.close()


class Shopper:
    """One browser tab on the shop."""

    def __init__(self, page: Page, errors: list[str]) -> None:
        self.page = page
        self.errors = errors
        self.lines: list[WebSocket] = []
        """Its sockets on which something was heard: what is sent now goes over the newest."""
        page.on("websocket", lambda line: line.once("framereceived", lambda _: self.lines.append(line)))

    @property
    def launcher(self) -> Locator:
        return self.page.locator("ahlan-widget button.l")

    @property
    def panel(self) -> Locator:
        return self.page.locator("ahlan-widget [role=dialog]")

    @property
    def frame(self) -> Frame:
        return next(frame for frame in self.page.frames if "/widget/frame" in frame.url)

    def find(self, selector: str) -> Locator:
        return self.frame.locator(selector)

    async def open(self) -> None:
        await self.launcher.click()
        await expect(self.page.locator("ahlan-widget .r iframe")).to_be_visible()

    async def chat(self) -> None:
        await self.open()
        await self.find(".door").first.click()
        await expect(self.find("textarea")).to_be_visible()

    async def on_line(self, times: int = 1) -> None:
        """The socket is open, for the how manieth time; until then everything goes by request."""
        await until(lambda: len(self.lines) >= times)

    async def close(self) -> None:
        """Shut, and the panel inside knows it: what comes now is not read."""
        await self.launcher.click()
        await expect(self.panel).to_be_hidden()
        await self.frame.evaluate(
            """() => {
              window.told = false;
              window.onmessage = ({ data }) => { window.told ||= data === "that is all"; };
            }"""
        )
        # Messages from one window to another keep their order.
        await self.page.evaluate(
            "document.querySelector('ahlan-widget').shadowRoot.querySelector('iframe')"
            ".contentWindow.postMessage('that is all', '*')"
        )
        async with asyncio.timeout(40):
            while not await self.frame.evaluate("window.told"):
                await asyncio.sleep(0.05)

    async def send(self, text: str) -> None:
        await self.find("textarea").fill(text)
        await self.find("textarea").press("Enter")

    async def texts(self, *, own: bool = False) -> list[str]:
        return await self.find(f".message{'.own' if own else ''} .text").all_inner_texts()

    async def shows(self, *texts: str, own: bool = False) -> None:
        await expect(self.find(f".message{'.own' if own else ':not(.own):not(.typing)'} .text")).to_have_text(
            list(texts), timeout=15_000
        )


@pytest_asyncio.fixture(loop_scope="session")
async def visit(browser: Browser, peer: Peer) -> AsyncIterator[Visit]:
    contexts: list[BrowserContext] = []
    shoppers: list[Shopper] = []

    async def visit(
        locale: str = "en",
        *,
        context: BrowserContext | None = None,
        extra: str = "",
        body: str = "",
        wait: bool = True,
        data: dict[str, str] | None = None,
        **options: Any,
    ) -> Shopper:
        if context is None:
            options.setdefault("viewport", {"width": 1280, "height": 800})
            context = await browser.new_context(locale=locale, timezone_id="Asia/Jerusalem", **options)
            await context.add_init_script(OPEN_ROOTS)
            contexts.append(context)
        page = await context.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        shopper = Shopper(page, errors)
        shoppers.append(shopper)
        await page.goto(peer.shop(locale, extra, body, **(data or {})))
        if wait:
            await expect(shopper.launcher).to_be_visible()
        return shopper

    yield visit
    for context in contexts:
        await context.close()
    assert [error for shopper in shoppers for error in shopper.errors] == []


PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


async def until(truth: Callable[[], bool], seconds: float = 40) -> None:
    for _ in range(int(seconds * 20)):
        if truth():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it did not happen in time")


# Weight and words: no browser needed


def test_loader_fits_four_kilobytes() -> None:
    assert len(gzip.compress(widget_page.loader(), 6)) <= 4000


@pytest.mark.parametrize("locale", ["en", "ar", "he"])
def test_whole_panel_fits_forty_kilobytes(peer: Peer, locale: str) -> None:
    translator = peer.catalogues.translator(locale)
    html = peer._environment.get_template("frame.html").render(
        lang=locale,
        dir="rtl",
        nonce="n" * 22,
        config={"shop": "Noor", "strings": strings(translator.gettext, translator.ngettext)},
        static="/widget/static/0123456789ab",
        modules=widget_page.modules(),
        icons=widget_page.ICONS,
    )
    files = [path.read_bytes() for path in [*PANEL.glob("*.js"), widget_page.STATIC / "panel.css"]]
    assert sum(len(gzip.compress(content, 6)) for content in [*files, html.encode()]) <= 40_960


def test_the_panel_asks_for_exactly_the_words_there_are() -> None:
    source = "\n".join(path.read_text() for folder in (PANEL, RATING) for path in folder.glob("*.js"))
    plurals = set(re.findall(r'plural\("([\w.]+)"', source))
    plain = set(re.findall(r'"((?:home|chat|presence|email|file)\.\w+|title|close)"', source)) - plurals
    words = set(strings(str, lambda one, many, n: one if n == 1 else many))
    assert words == plain | {f"{key}.{category}" for key in plurals for category in SAMPLES}


def test_the_help_centre_asks_for_exactly_the_words_that_come_with_it() -> None:
    source = "\n".join(path.read_text() for path in (widget_page.STATIC / "help").glob("*.js"))
    assert set(re.findall(r'"(help\.\w+)"', source)) == set(help_strings(str))


def test_every_icon_is_delivered_and_used() -> None:
    source = "\n".join(
        path.read_text() for folder in (PANEL, RATING, widget_page.STATIC / "help") for path in folder.glob("*.js")
    )
    used = set(re.findall(r'icon(?:Button)?\("([\w-]+)"', source)) | set(
        re.findall(r'\w+: \["([\w-]+)", "chat', source)
    )
    for chosen in re.findall(r"icon\(([^)]*)\)", source):
        used |= set(re.findall(r'[?:] "([\w-]+)"', chosen))
    assert used == set(widget_page.ICONS)


@pytest.mark.parametrize("locale", ["en", "ar", "he"])
def test_loader_says_what_the_catalogue_says(locale: str) -> None:
    translator = load().translator(locale)
    loader = (widget_page.STATIC / "loader.js").read_text()
    assert f'["{translator.gettext("Chat with us")}", "{translator.gettext("Close")}", ' in loader


# Before the first touch


@needs_browser
async def test_nothing_is_loaded_before_the_first_touch(browser: Browser, peer: Peer) -> None:
    context = await browser.new_context(viewport={"width": 390, "height": 844})
    page = await context.new_page()
    requests: list[Request] = []
    page.on("request", lambda request: requests.append(request))
    await page.add_init_script(
        """window.shift = 0;
        const watch = new PerformanceObserver((list) => list.getEntries().forEach(({ value }) => (shift += value)));
        watch.observe({ type: 'layout-shift', buffered: true })"""
    )
    await page.goto(peer.shop("en"))
    await page.mouse.wheel(0, 900)
    await asyncio.sleep(2.5)
    assert [
        request.url.removeprefix(peer.server_url) for request in requests if request.url.startswith(peer.server_url)
    ] == ["/widget/loader.js"]
    assert peer.calls == {"loader": 1}
    assert await page.evaluate(
        "[document.querySelector('ahlan-widget').shadowRoot, localStorage.length, frames.length, shift]"
    ) == [None, 0, 0, 0]
    await context.close()


@needs_browser
async def test_the_launcher_survives_hostile_styles_and_a_policy(visit: Visit) -> None:
    extra = (
        "<style>* { display: none } html, body { display: block }"
        "ahlan-widget, button { display: none !important; opacity: 0 !important }</style>"
        "<meta http-equiv='content-security-policy' content=\"style-src 'none'\">"
    )
    shopper = await visit(extra=extra)
    box = await shopper.launcher.bounding_box()
    assert box == {"x": 1280 - 16 - 56, "y": 800 - 16 - 56, "width": 56, "height": 56}


@needs_browser
async def test_the_launcher_stands_where_the_shop_leaves_room(visit: Visit) -> None:
    bar = "<div id='buy' style='position:fixed;inset:auto 0 0;height:64px;background:#222'></div>"
    shopper = await visit(body=bar, data={"side": "start", "hide": ".no-chat"}, **PHONE)
    await stands(shopper.launcher, 844 - 64 - 16)
    box = await shopper.launcher.bounding_box()
    assert box
    assert box["x"] == 16
    await shopper.page.evaluate(
        "buy.remove(); document.body.classList.add('no-chat'); dispatchEvent(new Event('resize'))"
    )
    await expect(shopper.launcher).to_be_hidden()
    await shopper.page.evaluate("document.body.classList.remove('no-chat'); dispatchEvent(new Event('resize'))")
    await expect(shopper.launcher).to_be_visible()
    await stands(shopper.launcher, 844 - 16)


async def stands(launcher: Locator, floor: int) -> None:
    """Its lower edge is there; it looks for its place a moment after the page has changed."""
    for _ in range(200):
        box = await launcher.bounding_box()
        if box and box["y"] + box["height"] == floor:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"it stands at {box}")


@needs_browser
async def test_in_the_theme_editor_it_is_a_picture(visit: Visit, peer: Peer) -> None:
    shopper = await visit(extra="<script>window.Shopify = { designMode: true }</script>")
    await shopper.launcher.click()
    await asyncio.sleep(0.5)
    assert peer.calls == {"loader": 1}


@needs_browser
async def test_it_survives_a_shop_that_swaps_its_body(visit: Visit, peer: Peer) -> None:
    shopper = await visit()
    await shopper.chat()
    await shopper.send("first")
    await shopper.page.evaluate(
        "history.pushState({}, '', '/en/other'); document.body.replaceWith(document.createElement('body'))"
    )
    await shopper.send("second")
    await until(lambda: peer.texts() == ["first", "second"])
    assert peer.calls["frame"] == 1


# Talking


@needs_browser
async def test_shopper_and_agent_talk(visit: Visit, peer: Peer) -> None:
    peer.identity = "Maya Cohen"
    shopper = await visit()
    await shopper.open()
    await expect(shopper.find("h1")).to_contain_text("Maya")
    await expect(shopper.find(".presence")).to_have_text(re.compile("Here now · Answers in about .5 minutes"))
    await shopper.on_line()
    await shopper.find(".door").first.click()
    await shopper.send("Is the shirt back?")
    await until(lambda: peer.texts() == ["Is the shirt back?"])
    await expect(shopper.find(".own .state")).to_have_text("Sent")
    peer.seen(1)
    await expect(shopper.find(".own .state")).to_have_text("Seen")
    peer.tell({"type": "typing", "who": "Dana Levi"})
    await expect(shopper.find(".typing")).to_be_visible()
    peer.say("Yes, on Thursday")
    await shopper.shows("Yes, on Thursday")
    await expect(shopper.find(".typing")).to_be_hidden()
    await expect(shopper.find("h1")).to_have_text("Dana Levi")
    conversation = peer.visitor().conversation
    assert conversation
    await until(lambda: conversation.read_seq == 2)
    assert peer.calls["socket message"] == 1
    assert peer.calls["post"] == 0


@needs_browser
async def test_unread_is_counted_while_closed_and_on_the_next_page(visit: Visit, peer: Peer) -> None:
    shopper = await visit()
    await shopper.chat()
    await shopper.send("Hello")
    await until(lambda: peer.texts() == ["Hello"])
    await shopper.close()
    peer.say("Hello, how can I help?")
    peer.say("Are you there?")
    badge = shopper.page.locator("ahlan-widget .b")
    await expect(badge).to_have_text("2")
    await expect(shopper.launcher).to_have_attribute("aria-label", "Chat with us, Unread: 2")
    await shopper.page.reload()
    await expect(badge).to_have_text("2")  # from the shop's own storage, before anything else is loaded
    peer.say("Still here if needed")
    await expect(badge).to_have_text("3")  # a conversation of this half hour goes on by itself
    await shopper.open()
    await shopper.shows("Hello, how can I help?", "Are you there?", "Still here if needed")
    await expect(badge).to_be_hidden()
    conversation = peer.visitor().conversation
    assert conversation
    await until(lambda: conversation.read_seq == 4)


@needs_browser
async def test_what_is_typed_is_text_and_nothing_else(visit: Visit, peer: Peer) -> None:
    shopper = await visit()
    await shopper.chat()
    nasty = "<img src=x onerror=alert(1)> javascript:alert(1) https://shop.example/a?b=1."
    await shopper.send(nasty)
    await shopper.shows(nasty, own=True)
    await until(lambda: peer.texts() == [nasty])
    peer.say(nasty, name="<b>Dana</b>")
    await shopper.shows(nasty)
    assert await shopper.find(".text img, .text b").count() == 0
    assert (
        await shopper.find(".text a").evaluate_all("links => links.map(link => link.href)")
        == ["https://shop.example/a?b=1"] * 2
    )
    await expect(shopper.find("h1")).to_have_text("<b>Dana</b>")


DRAW = """async ([texts, theirs]) => {
  const { typed } = await import(document.querySelector("link[href$='/text.js']").href);
  const node = document.createElement("p");
  const drawn = texts.map((text) => (node.replaceChildren(...typed(text)), node.innerHTML));
  return [drawn, theirs.map((html) => new DOMParser().parseFromString(html, "text/html").body.innerHTML)];
}"""
MIXED = (
    "رقم الطلب #1042-B؟ والهاتف +962 79-123-4567.",
    "הזמנהAB-1042, קוד A-1 ו־#7",
    "aAB-12 _AB-12 x#A-1 #-1 A- -A",
    "+972\u00a054-123-4567 و+1 2",
    "A-" + "B" * 40,
    "see https://shop.example/a?b=1. Then (https://shop.example/c)!",
)
HOSTILE = ("A" * 200_000, "#A" * 100_000, "+1 " * 60_000, "https://x" + "." * 200_000 + "x", "A-" * 100_000)


@needs_browser
async def test_numbers_are_whole_here_as_in_the_panel_of_the_team(visit: Visit) -> None:
    shopper = await visit()
    await shopper.chat()
    ours, theirs = await shopper.frame.evaluate(DRAW, [MIXED, [str(typed(text)) for text in MIXED]])
    assert ours == theirs


@needs_browser
async def test_no_message_keeps_the_page_busy(visit: Visit) -> None:
    shopper = await visit()
    await shopper.chat()
    # Far longer than a message may be: code that looks at each letter anew takes ten seconds for these.
    began = time.monotonic()
    await shopper.frame.evaluate(DRAW, [HOSTILE, []])
    assert time.monotonic() - began < 4


@needs_browser
async def test_quick_replies_system_lines_bot_and_edits(visit: Visit, peer: Peer) -> None:
    shopper = await visit()
    await shopper.chat()
    await shopper.send("Where is my order?")
    await until(lambda: len(peer.texts()) == 1)
    peer.say(
        "Which one?",
        author="bot",
        name="Noor",
        replies=[{"id": "a", "text": "The last one"}, {"id": "b", "text": "Another"}],
    )
    await expect(shopper.find(".mark")).to_have_text("Automatic answer")
    await shopper.find(".chip").first.click()
    await until(lambda: peer.texts() == ["Where is my order?", "The last one"])
    await expect(shopper.find(".chip")).to_have_count(0)
    peer.say("Dana joined", author="system", name=None)
    await expect(shopper.find(".system")).to_have_text("Dana joined")
    message = peer.say("It arives today")
    message.update(text="It arrives today", edited_at=message["at"])
    peer.tell({"type": "message", "message": message})
    await shopper.shows("Which one?", "It arrives today")
    await expect(shopper.find(".message.agent .meta")).to_contain_text("Edited")


@needs_browser
async def test_a_refused_message_can_be_sent_again_or_removed(visit: Visit, peer: Peer) -> None:
    shopper = await visit()
    await shopper.chat()
    await shopper.send("refuse this")
    await expect(shopper.find(".state.failed")).to_have_text("This message cannot be sent.")
    await shopper.send("and this goes")
    await until(lambda: peer.texts() == ["and this goes"])
    before = peer.calls["post"]
    await shopper.frame.get_by_role("button", name="Try again").click()
    await until(lambda: peer.calls["post"] == before + 1)
    await expect(shopper.find(".state.failed")).to_be_visible()
    await shopper.frame.get_by_role("button", name="Remove").click()
    await shopper.shows("and this goes", own=True)


@needs_browser
async def test_away_offers_an_answer_by_email(visit: Visit, peer: Peer) -> None:
    peer.config.update(agents=0, back_at="2099-01-05T07:00:00Z")
    shopper = await visit()
    await shopper.chat()
    await expect(shopper.find(".presence")).to_contain_text(re.compile("Away just now · Back .Monday"))
    await expect(shopper.find(".away")).to_be_hidden()
    await shopper.send("Anyone?")
    await shopper.find("#email").fill("maya")
    await shopper.frame.get_by_role("button", name="Save").click()
    await expect(shopper.find("#email-error")).to_have_text("This address looks incomplete.")
    await shopper.find("#email").fill("maya@example.com")
    await shopper.find("#email").press("Enter")
    await expect(shopper.find(".away")).to_contain_text("maya@example.com")
    assert peer.visitor().email == "maya@example.com"


@needs_browser
async def test_away_promises_only_what_can_be_kept(visit: Visit, peer: Peer) -> None:
    peer.config.update(agents=0, mails=False)
    shopper = await visit()
    await shopper.chat()
    await expect(shopper.find(".presence")).to_have_text("Away just now · The answer comes as soon as we are back")
    await shopper.send("Anyone?")
    await expect(shopper.find(".away label")).to_contain_text("Leave an e-mail address")
    await shopper.find("#email").fill("maya@example.com")
    await shopper.find("#email").press("Enter")
    await expect(shopper.find(".away")).to_contain_text("You can be reached at")


@needs_browser
@pytest.mark.parametrize(
    ("told", "line"),
    [
        ({"agents": 0, "away_minutes": 410}, "Away just now · Answers in about .7 hours"),
        ({"agents": 1, "answers": "hours"}, "Here now · Usually answers within a few hours"),
        ({"agents": 0, "answers": "none", "away_minutes": 410}, "Away just now · The answer comes as soon as"),
    ],
)
async def test_how_soon_is_said_in_words(visit: Visit, peer: Peer, told: dict[str, Any], line: str) -> None:
    peer.config.update(told)
    shopper = await visit()
    await shopper.open()
    await expect(shopper.find(".presence")).to_have_text(re.compile(line))


@needs_browser
async def test_a_greeting_of_the_shops_own_is_isolated(visit: Visit, peer: Peer) -> None:
    peer.greeting = "أهلًا بكم في Zaytouna!"
    shopper = await visit()
    await shopper.open()
    hello = shopper.find("#hello")
    await expect(hello).to_have_text("أهلًا بكم في Zaytouna!")
    # The greeting is drawn again when the session's answer is in: look until it stands.
    await expect(hello.locator(".own")).to_have_css("direction", "rtl")
    await expect(hello.locator(".own")).to_have_css("text-align", "left")


@needs_browser
async def test_files_are_checked_uploaded_and_shown(visit: Visit, peer: Peer) -> None:
    shopper = await visit()
    await shopper.chat()
    picker = shopper.find("input[type=file]")
    await picker.set_input_files({"name": "virus.exe", "mimeType": "application/x-msdownload", "buffer": b"MZ"})
    await expect(shopper.find(".note")).to_contain_text("virus.exe")
    await picker.set_input_files({"name": "huge.png", "mimeType": "image/png", "buffer": b"0" * 1_000_001})
    await expect(shopper.find(".note")).to_contain_text("too large")
    await picker.set_input_files(
        [
            {"name": "صورة.png", "mimeType": "image/png", "buffer": PIXEL},
            {"name": "bill.pdf", "mimeType": "application/pdf", "buffer": b"%PDF"},
        ]
    )
    await expect(shopper.find(".tray .file.here")).to_have_count(2)
    await shopper.find("textarea").evaluate(
        """(field, data) => {
          const transfer = new DataTransfer();
          const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
          transfer.items.add(new File([bytes], "pasted.png", { type: "image/png" }));
          field.dispatchEvent(new ClipboardEvent("paste", { clipboardData: transfer, cancelable: true }));
        }""",
        base64.b64encode(PIXEL).decode(),
    )
    await expect(shopper.find(".tray .file.here")).to_have_count(3)
    await shopper.frame.get_by_role("button", name=re.compile("Remove .pasted.png")).click()
    await shopper.find("textarea").press("Enter")
    await until(lambda: len(peer.texts()) == 1)
    conversation = peer.visitor().conversation
    assert conversation
    assert [file["name"] for file in conversation.messages[0]["attachments"]] == ["صورة.png", "bill.pdf"]
    await expect(shopper.find(".own a.image img")).to_have_js_property("complete", True)
    await expect(shopper.find(".own a.file")).to_contain_text("bill.pdf")
    await expect(shopper.find(".tray")).to_be_hidden()


@needs_browser
async def test_a_long_history_comes_in_pages(visit: Visit, peer: Peer) -> None:
    shopper = await visit()
    await shopper.open()
    await until(lambda: peer.calls["socket"] == 1)
    history(peer, 70)
    await shopper.page.reload()
    await shopper.chat()
    await expect(shopper.find(".list .message")).to_have_count(30)
    await expect(shopper.find(".list .message").last).to_contain_text("Message 70")
    assert await shopper.find(".day").count() >= 1
    for count in (60, 70):
        await shopper.find(".scroller").evaluate("scroller => (scroller.scrollTop = 0)")
        await expect(shopper.find(".list .message")).to_have_count(count)
    await expect(shopper.find(".older")).to_be_hidden()
    assert (await shopper.texts())[0] == "Message 1"
    peer.say("News")
    await expect(shopper.find(".pill")).to_have_text("1 new message")
    await shopper.find(".pill").click()
    await expect(shopper.find(".pill")).to_be_hidden()
    await expect(shopper.find(".list .message").last).to_be_in_viewport()


# Nothing is lost


@needs_browser
async def test_offline_and_back_loses_nothing_and_doubles_nothing(visit: Visit, peer: Peer) -> None:
    shopper = await visit()
    await shopper.chat()
    await shopper.send("one")
    await until(lambda: peer.texts() == ["one"])
    await shopper.page.context.set_offline(True)
    peer.cut()
    for text in ("two", "three"):
        await shopper.send(text)
    await expect(shopper.find(".line-note")).to_be_visible()
    await expect(shopper.find(".state.waiting").first).to_be_visible()
    peer.say("are you still there?")
    await shopper.page.context.set_offline(False)
    await shopper.shows("one", "two", "three", own=True)
    await shopper.shows("are you still there?")
    await expect(shopper.find(".line-note")).to_be_hidden()
    await expect(shopper.find(".own .state")).to_have_text("Sent")
    assert peer.texts() == ["one", "two", "three"]


@needs_browser
async def test_unsent_messages_and_drafts_survive_the_page(visit: Visit, peer: Peer) -> None:
    shopper = await visit()
    await shopper.chat()
    await expect(shopper.find(".presence")).to_be_visible()
    await shopper.on_line()
    peer.stop()
    await shopper.send("typed while the server was gone")
    await shopper.find("textarea").fill("half a thou")
    await expect(shopper.find(".state")).to_have_text("Waiting for a connection")
    await until_kept(shopper, ":draft")
    context = shopper.page.context
    await shopper.page.close()
    peer.start()
    again = await visit(context=context)
    await until(lambda: peer.texts() == ["typed while the server was gone"])  # without being touched
    await again.chat()
    await again.shows("typed while the server was gone", own=True)
    await expect(again.find("textarea")).to_have_value("half a thou")
    await expect(again.find(".own .state")).to_have_text("Sent")
    await until_kept(again, ":out:", gone=True)


@needs_browser
async def test_a_line_that_dies_between_send_and_answer_doubles_nothing(visit: Visit, peer: Peer) -> None:
    shopper = await visit()
    await shopper.chat()
    await shopper.on_line()
    peer.hold()
    await shopper.send("once")
    await until(lambda: peer.calls["socket message"] == 1)
    peer.cut()
    await until(lambda: peer.calls["post"] == 1)
    peer.go_on()
    await expect(shopper.find(".own .state")).to_have_text("Sent")
    await until(lambda: peer.accepted == 2)
    assert peer.texts() == ["once"]
    await shopper.shows("once", own=True)


@needs_browser
async def test_a_server_restart_is_survived(visit: Visit, peer: Peer) -> None:
    shopper = await visit()
    await shopper.chat()
    await shopper.send("before")
    await until(lambda: peer.texts() == ["before"])
    peer.stop()
    await shopper.send("during")
    peer.say("from elsewhere, meanwhile")
    await asyncio.sleep(1)
    peer.start()
    await shopper.shows("before", "during", own=True)
    await shopper.shows("from elsewhere, meanwhile")
    await until(lambda: peer.calls["socket"] == 2)
    peer.say("after")
    await shopper.shows("from elsewhere, meanwhile", "after")
    await until(lambda: peer.texts() == ["before", "during"])


@needs_browser
async def test_a_laptop_that_slept_is_up_to_date_soon(visit: Visit, peer: Peer) -> None:
    shopper = await visit()
    await shopper.chat()
    await shopper.send("before")
    await until(lambda: peer.texts() == ["before"] and peer.calls["socket"] == 1)
    peer.lose()
    peer.say("while the lid was closed")
    # A clock that jumped is how a page knows that it slept.
    await shopper.frame.evaluate("() => { const now = Date.now; Date.now = () => now() + 3600e3; }")
    await shopper.shows("while the lid was closed")
    await until(lambda: peer.calls["socket"] == 2)
    await shopper.send("after")
    await until(lambda: peer.texts() == ["before", "after"])


@needs_browser
@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
async def test_nothing_moves_for_those_who_asked_for_calm(visit: Visit, peer: Peer, motion: Any) -> None:
    moves: list[int] = []
    count = """root => [...root.querySelectorAll("*")]
        .filter((node) => {
            const { animationName, transitionDuration } = getComputedStyle(node);
            return animationName !== "none" || parseFloat(transitionDuration) > 0;
        }).length"""
    shopper = await visit(reduced_motion=motion)
    await shopper.chat()
    await shopper.send("hello")
    await shopper.shows("hello", own=True)
    await shopper.on_line()
    peer.tell({"type": "typing", "who": "Dana"})
    await expect(shopper.find(".typing")).to_be_visible()
    moves.append(await shopper.page.evaluate(f"({count})(document.querySelector('ahlan-widget').shadowRoot)"))
    moves.append(await shopper.frame.evaluate(f"({count})(document)"))
    assert (min(moves) > 0) if motion == "no-preference" else (moves == [0, 0])


@needs_browser
async def test_long_polling_takes_over_where_sockets_fail(visit: Visit, peer: Peer) -> None:
    peer.sockets_refused = True
    shopper = await visit()
    await shopper.chat()
    await shopper.send("by request")
    await until(lambda: peer.texts() == ["by request"])
    peer.say("by poll")
    await shopper.shows("by poll")
    peer.say("and again")
    await shopper.shows("by poll", "and again")
    await expect(shopper.find(".line-note")).to_be_hidden()
    assert peer.calls["socket"] == 0


@needs_browser
async def test_a_gap_is_noticed_and_filled(visit: Visit, peer: Peer) -> None:
    shopper = await visit()
    await shopper.chat()
    await shopper.send("one")
    await until(lambda: peer.texts() == ["one"])
    await shopper.on_line()
    sockets = peer.visitor().sockets.copy()
    peer.visitor().sockets.clear()
    peer.say("unheard")
    peer.visitor().sockets.update(sockets)
    peer.say("heard")
    await shopper.shows("unheard", "heard")


@needs_browser
async def test_a_slow_shop_that_says_late_who_is_signed_in_is_heard(visit: Visit, peer: Peer) -> None:
    """The chat goes on without it; what was begun as a stranger is then of whom the shop vouches for."""
    peer.identity = "Maya Cohen"
    peer.hold_shop()
    shopper = await visit()
    await shopper.chat()
    await shopper.send("Where is it?")
    await until(lambda: bool(peer.visitors) and peer.texts() == ["Where is it?"])
    assert peer.visitor().name != "Maya Cohen"
    peer.shop_goes_on()
    await until(lambda: peer.visitor().name == "Maya Cohen")
    assert len(peer.visitors) == 1
    assert peer.calls["identity"] == 1


@needs_browser
async def test_a_slow_shop_that_says_late_that_nobody_is_signed_in_is_heard(visit: Visit, peer: Peer) -> None:
    """Who had signed out on a shared computer is not served on for as long as a shop is slow."""
    peer.identity = "Maya Cohen"
    shopper = await visit()
    await shopper.open()
    await until(lambda: bool(peer.visitors) and peer.visitor().name == "Maya Cohen")
    await until_kept(shopper, ":secret")
    peer.identity = None
    peer.hold_shop()
    await shopper.page.reload()
    await shopper.open()
    await until(lambda: peer.identities[-1] is ...)
    peer.shop_goes_on()
    await until(lambda: None in peer.identities)
    assert peer.identities[-2:] == [..., None], "unknown at first, then nobody"


@needs_browser
async def test_an_expired_token_is_renewed_with_a_fresh_identity(visit: Visit, peer: Peer) -> None:
    peer.identity = "Maya"
    peer.sockets_refused = True
    peer.token_life = 1.0
    shopper = await visit()
    await shopper.chat()
    await asyncio.sleep(1.2)
    await shopper.send("late")
    await until(lambda: peer.texts() == ["late"])
    assert peer.calls["session"] >= 2
    assert peer.calls["identity"] >= 2
    assert len(peer.visitors) == 1


@needs_browser
async def test_another_visitor_starts_with_an_empty_page(visit: Visit, peer: Peer) -> None:
    shopper = await visit()
    await shopper.chat()
    await shopper.send("mine")
    await until(lambda: peer.texts() == ["mine"])
    peer.forget()
    await shopper.shows(own=True)
    await until(lambda: len(peer.visitors) == 1)
    await shopper.send("new here")
    await until(lambda: peer.texts() == ["new here"])
    await shopper.shows("new here", own=True)


@needs_browser
async def test_two_tabs_stay_in_step(visit: Visit, peer: Peer) -> None:
    one = await visit()
    await one.chat()
    await one.send("from the first tab")
    await until(lambda: peer.texts() == ["from the first tab"])
    two = await visit(context=one.page.context)
    await two.chat()
    await two.shows("from the first tab", own=True)
    await two.send("from the second tab")
    await one.shows("from the first tab", "from the second tab", own=True)
    await two.close()
    await one.close()
    peer.say("to both")
    badges = [tab.page.locator("ahlan-widget .b") for tab in (one, two)]
    for badge in badges:
        await expect(badge).to_have_text("1")
    await two.page.bring_to_front()
    await two.open()
    for badge in badges:
        await expect(badge).to_be_hidden()
    assert len(peer.visitors) == 1


@needs_browser
async def test_a_server_that_is_down_at_the_first_touch_says_so(visit: Visit, peer: Peer) -> None:
    shopper = await visit()
    peer.stop()
    await shopper.launcher.click()
    retry = shopper.page.locator("ahlan-widget .n")
    await expect(retry).to_have_text("No connection. Try again", timeout=40_000)
    peer.start()
    await retry.click()
    await expect(shopper.page.locator("ahlan-widget .r iframe")).to_be_visible()
    await expect(shopper.find(".door").first).to_be_visible()


# Keyboard, phone, language, colour


@needs_browser
async def test_everything_by_keyboard(visit: Visit, peer: Peer) -> None:
    shopper = await visit()
    keys = shopper.page.keyboard
    await shopper.page.locator("#link").focus()
    await keys.press("Tab")
    await keys.press("Enter")
    await expect(shopper.page.locator("ahlan-widget .r iframe")).to_be_visible()
    await expect(shopper.find("h1")).to_be_focused()
    await keys.press("Tab")
    await expect(shopper.find(".door").first).to_be_focused()
    await keys.press("Enter")
    await expect(shopper.find("textarea")).to_be_focused()
    await keys.type("line one")
    await keys.press("Shift+Enter")
    await keys.type("line two")
    await keys.press("Enter")
    await until(lambda: peer.texts() == ["line one\nline two"])
    await keys.press("Escape")
    await expect(shopper.panel).to_be_hidden()
    assert await shopper.page.evaluate("document.activeElement.tagName") == "AHLAN-WIDGET"
    await keys.press("Enter")
    await expect(shopper.find("textarea")).to_be_focused()


@needs_browser
async def test_on_a_phone_it_fills_the_screen_and_holds_the_page(visit: Visit) -> None:
    shopper = await visit(**PHONE)
    await shopper.page.evaluate("scrollTo(0, 300)")
    await shopper.open()
    assert await shopper.panel.bounding_box() == {"x": 0, "y": 0, "width": 390, "height": 844}
    await expect(shopper.launcher).to_be_hidden()
    await expect(shopper.find("h1")).to_be_focused()
    state = """[document.documentElement.style.overflow, document.body.inert, scrollY,
      document.querySelector('ahlan-widget').shadowRoot.querySelector('[role=dialog]').ariaModal]"""
    assert await shopper.page.evaluate(state) == ["hidden", True, 300, "true"]
    for _ in range(6):  # focus goes round inside
        await shopper.page.keyboard.press("Tab")
        assert await shopper.frame.evaluate("document.hasFocus() && document.activeElement !== document.body")
    await shopper.find(".icon-button").first.click()
    await expect(shopper.launcher).to_be_visible()
    assert await shopper.page.evaluate(state) == ["", False, 300, "false"]


@needs_browser
@pytest.mark.parametrize(("locale", "hello", "minutes"), [("ar", "أهلًا", "5 دقائق"), ("he", "שלום", "5 דקות")])
async def test_right_to_left(visit: Visit, peer: Peer, locale: str, hello: str, minutes: str) -> None:
    shopper = await visit(locale)
    box = await shopper.launcher.bounding_box()
    assert box
    assert box["x"] == 16
    await shopper.open()
    assert await shopper.frame.evaluate("document.dir") == "rtl"
    await expect(shopper.find("h1")).to_contain_text(hello)
    await expect(shopper.find(".presence")).to_contain_text(minutes)
    await shopper.find(".door").first.click()
    assert await shopper.find("textarea").evaluate("field => getComputedStyle(field).direction") == "rtl"
    await shopper.find("textarea").fill("English here")
    assert await shopper.find("textarea").evaluate("field => getComputedStyle(field).direction") == "ltr"
    await shopper.send("הזמנה AB-1042 #77 +972 54-123-4567")
    await expect(shopper.find(".own .text")).to_have_css("direction", "rtl")
    assert await shopper.find(".own bdi[dir=ltr]").all_inner_texts() == ["AB-1042", "#77", "+972 54-123-4567"]
    # Asked in one go: once it was sent, the bubble is drawn anew. Own messages stand at the end edge.
    assert await shopper.find(".own .text").evaluate("bubble => bubble.getBoundingClientRect().x") == 16


@needs_browser
async def test_every_merchant_colour_becomes_readable(visit: Visit, peer: Peer) -> None:
    shopper = await visit(data={"accent": "#ffe14d"})
    await shopper.open()
    worst = await shopper.frame.evaluate(
        """async (base) => {
          const { palette, contrast, parse } = await import(`${base}/panel/colour.js`);
          const of = (one, other) => contrast(parse(one), parse(other));
          let worst = 21;
          for (let r = 0; r < 256; r += 51) for (let g = 0; g < 256; g += 51) for (let b = 0; b < 256; b += 51) {
            const hex = `#${[r, g, b].map((part) => part.toString(16).padStart(2, "0")).join("")}`;
            for (const [surface, dark] of [["#ffffff", false], ["#171a1c", true]]) {
              const { fill, ink, text, tint } = palette(hex, surface, dark);
              worst = Math.min(worst, of(fill, ink), of(text, surface), of(text, tint));
            }
          }
          return worst;
        }""",
        f"{peer.server_url}/widget/static/{widget_page.version()}",
    )
    assert worst >= 4.5
    door = shopper.find(".door .picture").first
    assert await door.evaluate("node => getComputedStyle(node).color") != "rgb(255, 225, 77)"


@needs_browser
async def test_controls_are_big_enough_and_named(visit: Visit, peer: Peer) -> None:
    shopper = await visit(**PHONE)
    await shopper.chat()
    await shopper.send("hello")
    await until(lambda: len(peer.texts()) == 1)
    peer.say("hello", replies=[{"id": "a", "text": "Yes"}])
    await expect(shopper.find(".chip")).to_be_visible()
    controls = await shopper.frame.evaluate(
        """() => [...document.querySelectorAll("button, textarea")].filter((node) => node.offsetParent).map((node) => {
          const { width, height } = node.getBoundingClientRect();
          return [node.ariaLabel || node.textContent, Math.min(width, height)];
        })"""
    )
    assert len(controls) >= 6
    assert all(name and size >= 44 for name, size in controls), controls
    await expect(shopper.frame.get_by_role("log", name="Messages")).to_have_attribute("aria-live", "polite")


# Strangers


@needs_browser
async def test_messages_from_strangers_are_ignored(visit: Visit, peer: Peer) -> None:
    shopper = await visit(body="<iframe id='evil' src='data:text/html,<p>evil</p>'></iframe>")
    await shopper.chat()
    await shopper.send("mine")
    await until(lambda: peer.texts() == ["mine"])
    secret = peer.visitor().secret
    await until_kept(shopper, ":secret")
    evil = next(frame for frame in shopper.page.frames if frame.url.startswith("data:"))
    key = next(key for key in await shopper.page.evaluate("Object.keys(localStorage)") if key.endswith(":secret"))
    await evil.evaluate(
        """() => {
          const mean = [
            { type: "ahlan:keep", key: "secret", value: "vs_evil" },
            { type: "ahlan:close" },
            { type: "ahlan:ready" },
            { type: "ahlan:hello", kept: { secret: "vs_evil" } },
            { type: "ahlan:visible", open: false },
            { type: "ahlan:identity", identity: "Mallory" },
            null,
            "text",
          ];
          for (const message of mean) {
            parent.postMessage(message, "*");
            for (let i = 0; i < parent.frames.length; i++) parent.frames[i].postMessage(message, "*");
          }
        }"""
    )
    await asyncio.sleep(0.3)
    await expect(shopper.panel).to_be_visible()
    assert await shopper.page.evaluate("key => localStorage[key]", key) == secret
    # Our own frame may only keep what the protocol names.
    await shopper.frame.evaluate(
        "origin => parent.postMessage({ type: 'ahlan:keep', key: '../cart', value: 'x' }, origin)", peer.shop_url
    )
    await asyncio.sleep(0.2)
    assert "cart" not in json.dumps(await shopper.page.evaluate("Object.keys(localStorage)"))
    peer.say("still here")
    await shopper.shows("still here")


@needs_browser
async def test_only_the_stores_own_pages_may_frame_the_panel(browser: Browser, peer: Peer) -> None:
    context = await browser.new_context()
    page = await context.new_page()
    await page.route(
        "http://other.localhost/",
        lambda route: route.fulfill(
            body=f"<iframe src='{peer.server_url}/widget/frame?store=x&locale=en'></iframe>", content_type="text/html"
        ),
    )
    await page.goto("http://other.localhost/")
    await asyncio.sleep(0.5)
    assert all(not frame.url.startswith(peer.server_url) for frame in page.frames)
    await context.close()


@needs_browser
async def test_the_frame_keeps_nothing_of_its_own(visit: Visit, peer: Peer) -> None:
    shopper = await visit()
    await shopper.chat()
    await shopper.send("hello")
    await until(lambda: len(peer.texts()) == 1)
    peer.say("everything works")
    await shopper.shows("everything works")
    # The browser of these tests blocks third-party storage, so whatever worked in them worked without any.
    with pytest.raises(Error, match="Access is denied"):
        await shopper.frame.evaluate("localStorage.length")
    await shopper.frame.evaluate("document.cookie = 'probe=1; SameSite=None; Secure'")
    assert await shopper.frame.evaluate("document.cookie") == ""


# Consent


BANNERS = {
    "shopify": "window.Shopify = { customerPrivacy: { analyticsProcessingAllowed: () => %s, "
    "preferencesProcessingAllowed: () => %s } }",
    "wordpress": "window.wp_has_consent = (what) => ({ statistics: %s, preferences: %s })[what]",
}


@needs_browser
@pytest.mark.parametrize("banner", BANNERS)
async def test_nothing_is_kept_or_followed_that_the_shops_banner_refuses(visit: Visit, banner: str) -> None:
    said: list[dict[str, Any]] = []

    def heard(request: Request) -> None:
        if request.url.endswith("/widget/session"):
            said.append(json.loads(request.post_data or "{}"))

    shopper = await visit(extra=f"<script>{BANNERS[banner] % ('window.yes === true', 'window.yes === true')}</script>")
    shopper.page.on("request", heard)
    await shopper.chat()
    await shopper.send("Hello")
    await shopper.shows("Hello", own=True)
    await expect(shopper.find(".own .state")).to_have_text("Sent")
    assert said[0]["page"] == {"consent": {"analytics": False, "preferences": False}}
    await until_kept(shopper, ":secret", where="sessionStorage")
    kept = await shopper.page.evaluate("Object.keys(localStorage)")
    assert kept == [], "the chat goes on in this tab, and leaves nothing behind"
    await shopper.page.reload()
    await shopper.open()
    await until(lambda: len(said) == 2)
    assert said[1]["secret"], "it is the same shopper still"
    # They change their mind.
    await shopper.page.evaluate("window.yes = true")
    await shopper.find(".door").first.click()
    await shopper.find("textarea").fill("A draft")
    await until_kept(shopper, ":draft")


async def until_kept(shopper: Shopper, name: str = "", *, gone: bool = False, where: str = "localStorage") -> None:
    """Something is kept whose key has this in it, or nothing; what is typed is kept a moment after its typing."""
    found = f"(name) => Object.keys({where}).some((key) => key.includes(name))"
    for _ in range(400):
        if await shopper.page.evaluate(found, name) is not gone:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{name} was {'still' if gone else 'never'} kept")


@needs_browser
async def test_a_shop_that_asks_nobody_is_not_asked_for_more(visit: Visit) -> None:
    said: list[dict[str, Any]] = []
    shopper = await visit()
    shopper.page.on(
        "request",
        lambda request: said.append(json.loads(request.post_data)) if request.url.endswith("/widget/session") else None,
    )
    await shopper.open()
    await until(lambda: bool(said))
    assert said[0]["page"]["url"]
    assert said[0]["page"]["consent"] == {}
    await until_kept(shopper)


@needs_browser
async def test_a_conversation_with_other_numbers_is_read_anew_and_goes_on(visit: Visit, peer: Peer) -> None:
    shopper = await visit()
    await shopper.chat()
    await shopper.send("one")
    await shopper.shows("one", own=True)
    await until(lambda: peer.texts() == ["one"])
    await shopper.on_line()
    talk = peer.visitor().conversation
    assert talk
    # The shop put another conversation of theirs into this one: it has another name, and its messages other numbers.
    talk.messages.insert(0, {**talk.messages[0], "id": "earlier", "client_id": "earlier", "text": "zero", "seq": 1})
    talk.messages[1] = {**talk.messages[1], "seq": 2}
    talk.id = f"{talk.id}~1"
    peer.tell({"type": "conversation", "conversation": talk.public()})
    await shopper.shows("zero", "one", own=True)
    await shopper.send("two")
    await shopper.shows("zero", "one", "two", own=True)
    await until(lambda: [message["seq"] for message in talk.messages] == [1, 2, 3])
    peer.tell({"type": "conversation", "conversation": {**talk.public(), "closed": True}})
    await expect(shopper.find("text=This chat is closed")).to_be_visible(timeout=15_000)
    assert shopper.errors == []


# Seen before the first touch, where that is allowed

AGREED = "<script>wp_has_consent = () => window.agreed</script>"


async def visited(peer: Peer, times: int) -> list[dict[str, Any]]:
    await until(lambda: len(peer.visits) >= times)
    await asyncio.sleep(0.5)
    assert len(peer.visits) == times, "one for each page view"
    assert all(len(told) <= 1024 for told in peer.visits)
    return [json.loads(told) for told in peer.visits]


@needs_browser
@pytest.mark.parametrize(
    ("following", "consent"), [("", "true"), ("asked", "undefined"), ("asked", "false"), ("all", "false")]
)
async def test_no_page_tells_of_itself_where_it_may_not(visit: Visit, peer: Peer, following: str, consent: str) -> None:
    peer.reaches = peer.server_url
    answer = "" if consent == "undefined" else f"<script>wp_has_consent = () => {consent}</script>"
    await visit(extra=answer, data={"visits": following})
    await asyncio.sleep(1.5)
    assert peer.calls == {"loader": 1}


@needs_browser
async def test_a_page_tells_of_itself_once_and_as_soon_as_it_may(visit: Visit, peer: Peer) -> None:
    peer.reaches = peer.server_url
    shopper = await visit(extra="<script>agreed = false</script>" + AGREED, data={"visits": "asked"})
    await asyncio.sleep(1)
    assert peer.visits == []
    await shopper.page.evaluate(
        "document.cookie = 'cart=c1-abc?key=secret'; document.title = 'قدح '.repeat(90); agreed = true;"
        "document.dispatchEvent(new Event('wp_listen_for_consent_change'))"
    )
    [told] = await visited(peer, 1)
    assert told["url"] == f"{peer.shop_url}/en"
    assert (told["cart"], told["zone"], told["consent"]["analytics"]) == ("c1-abc", "Asia/Jerusalem", True)
    assert "secret" not in told
    await shopper.page.evaluate("history.pushState({}, '', '/en/' + '%D9%82'.repeat(200)); scrollBy(0, 50)")
    assert (await visited(peer, 2))[1]["secret"] == "vs_given"


@needs_browser
async def test_a_first_word_stands_beside_the_launcher_until_it_is_opened_or_waved_away(
    visit: Visit, peer: Peer
) -> None:
    peer.reaches, peer.first_word = peer.server_url, "Noa: Can I help?"
    shopper = await visit("ar", extra="<script>agreed = true</script>" + AGREED, data={"visits": "asked"}, **PHONE)
    word = shopper.page.locator("ahlan-widget .t")
    await expect(word).to_contain_text("Can I help?", timeout=15_000)
    await expect(shopper.page.locator("ahlan-widget .b")).to_have_text("1")
    box = await word.bounding_box()
    assert box
    assert box["x"] >= 16
    assert box["x"] + box["width"] <= 390
    await word.get_by_role("button", name="إغلاق").click()
    await expect(word).to_be_hidden()
    peer.first_word = ""
    await shopper.page.reload()
    assert (await visited(peer, 2))[1]["hush"] == "1"
    await shopper.page.evaluate("localStorage.clear()")
    peer.first_word = "Noa: Can I help?"
    await shopper.page.reload()
    await word.get_by_role("button").first.click()
    await expect(shopper.page.locator("ahlan-widget .r iframe")).to_be_visible(timeout=15_000)
    await expect(word).to_be_hidden()
