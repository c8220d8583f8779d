"""A question's whole life in three languages: found by searching, answered in the chat, put right by an agent in one
click and right for the next shopper, a return begun by asking for it, and a night's question that goes on by e-mail.

Real web process, real worker, both simulated stores behind their own addresses; mail goes through real servers.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Frame, Locator, Page, Playwright, Route, expect
from sqlalchemy import select

from integrations.channels.email import inbound
from plugin.bot import bots
from plugin.bot.decide import Reason
from plugin.bot.turns import BotTurn
from plugin.bot.words import REASONS as WORDS_OF_REASONS
from plugin.conversations import mailboxes, teams
from plugin.conversations.conversations import Conversation
from plugin.conversations.mailboxes import Mailbox
from plugin.kernel.db import new_id
from plugin.knowledge import articles, reading, search
from plugin.knowledge.articles import Kind
from plugin.returns.records import ReturnRequest
from plugin.stores import Store
from plugin.team import Agent, Role
from plugin.widget.order_strings import strings
from tests.browser.chrome import ARGS, CHROME, DESKTOP, OPEN_ROOTS, PHONE, Person, needs_browser, without
from tests.browser.chrome import playwright as playwright
from tests.browser.test_returns import Place, looks, signed_in, translator
from tests.browser.test_returns import place as place
from tests.journeys.conftest import SHOP, SHOPIFY_STOREFRONT, WOO
from tests.mailroom import written

pytestmark = needs_browser
PATIENCE: Final = 30_000
KEY: Final = "the-key-that-signs-posted-mail"
STOREFRONT: Final = f"http://{SHOPIFY_STOREFRONT}"
SITES: Final = re.compile(rf"^({re.escape(STOREFRONT)}|{re.escape(WOO)})/")
ARTICLES: Final = {
    "delivery": {
        "en": ("Delivery times", "Parcels arrive in **five** days."),
        "ar": ("مدة التوصيل", "تصل الطرود خلال **خمسة** أيام."),
        "he": ("זמני משלוח", "חבילות מגיעות תוך **חמישה** ימים."),
    },
    "shop": {
        "en": ("Our shop", "The shop is in Jaffa Street."),
        "ar": ("متجرنا", "المتجر في شارع يافا."),
        "he": ("החנות שלנו", "החנות ברחוב יפו."),
    },
    "wrapping": {
        "en": ("Presents", "We wrap presents in *silk paper*."),
        "ar": ("الهدايا", "نغلّف الهدايا *بورق الحرير*."),
        "he": ("מתנות", "אנחנו עוטפים מתנות *בנייר משי*."),
    },
}


@dataclass(frozen=True)
class Words:
    """What a shopper types, and what they should read."""

    searched: str
    asked: str
    days: str
    wish: str
    wrapped: str
    back: str
    person: str
    answered: str
    thanks: str


WORDS: Final = {
    "en": Words("delvery", "how long does shipping take", "five days", "can you gift wrap it", "silk paper",
                "i want to return this", "I want to talk to a person", "We are back.", "Tomorrow is fine."),
    # In Arabic as it is typed on a keyboard without Arabic letters.
    "ar": Words("التوصبل", "addeh btakhod wa2t el sha7ne", "خمسة أيام", "betghallefo hadaya?", "بورق الحرير",
                "أريد إرجاع المنتج", "أريد التحدث مع موظف", "عدنا، كيف نساعد؟", "غدًا مناسب."),
    "he": Words("משלוחח", "כמה זמן לוקח המשלוח", "חמישה ימים", "כמה עולה עטיפה", "בנייר משי",
                "אני רוצה להחזיר את זה", "אני רוצה לדבר עם נציג", "חזרנו, במה אפשר לעזור?", "מחר מתאים."),
}  # fmt: skip


@dataclass
class Scene:
    """A store with a help centre and a bot, and its team's hours: always, until `night`."""

    place: Place
    store: Store
    articles: dict[str, UUID]
    mailbox: Mailbox

    async def deliver(self, raw: bytes) -> None:
        """What the store's mail provider does with a mail that somebody sent to it."""
        async with self.place.world.client(base_url=self.place.world.url) as provider:
            sent = await provider.post(
                f"/webhooks/mail/{self.mailbox.token}",
                content=raw,
                headers={inbound.SIGNATURE: inbound.sign(raw, KEY), "content-type": "message/rfc822"},
            )
        assert sent.status_code == 200

    async def mail_that_says(self, text: str) -> Any:
        """The mail that left with these words."""

        async def found() -> Any:
            return next((one for one in self.place.post.mails if text in one.get_body(("plain",)).get_content()), None)

        return await self.place.world.until(found, 60, what=f"a mail that says {text!r}")

    async def night(self) -> None:
        """From now on nobody is there until the day after tomorrow."""
        day = datetime.now(UTC).weekday()
        week = [["09:00-17:00"] if at == (day + 2) % 7 else [] for at in range(7)]
        async with self.place.world.app.db.transaction(self.store.workspace_id) as tx:
            if await tx.scalar(select(teams.Team.id).where(teams.Team.workspace_id == tx.workspace_id)):
                return
            await teams.save(
                tx,
                teams.Team(
                    id=new_id(), name="Everybody", skills=[], members=[], stores=[], languages=[], giving="manual",
                    timezone="UTC", hours={"week": week, "special": []},
                ),
            )  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def browser(playwright: Playwright) -> AsyncIterator[Browser]:
    """One to which the stores' pages, which come from nowhere on a network, may load our server on this machine."""
    browser = await playwright.chromium.launch(
        executable_path=CHROME, args=[*ARGS, without("LocalNetworkAccessChecks")]
    )
    yield browser
    await browser.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def scenes(place: Place) -> AsyncIterator[dict[str, Scene]]:
    """Both stores, each with a bot that was told a wrong article for presents."""
    made = {}
    for platform, store in place.stores.items():
        app = place.world.app
        async with app.db.transaction(store.workspace_id) as tx:
            owner = await tx.scalar(
                select(Agent).where(Agent.workspace_id == tx.workspace_id, Agent.role == Role.OWNER).limit(1)
            )
            assert owner is not None
            ids = {}
            for name, texts in ARTICLES.items():
                row = await articles.create(tx, owner.id, Kind.ARTICLE, "en")
                for code, (title, body) in texts.items():
                    await articles.write(tx, row, code, title, body, by=owner.id)
                    await articles.publish(tx, row, code, by=owner)
                ids[name] = row.id
            await search.index(tx, list(ids.values()))
            bot = await bots.ready(tx, store.id)
            before = bots.told(bot)
            bot.enabled = True
            bot.answers = {"delivery_time": str(ids["delivery"]), "gift_wrap": str(ids["shop"])}
            await bots.save(tx, bot, before, by=owner, languages=app.catalogues.codes)
            wanted = {
                "address": f"help@{platform}.example", "provider": "mime", "key": KEY, "relay": "mx.example",
                "smtp_host": "localhost", "smtp_port": str(place.post.port),
            }  # fmt: skip
            box = await mailboxes.save(tx, app.vault, store.id, mailboxes.checked(wanted), actor="")
        made[platform] = Scene(place, store, ids, box)
    await place.world.control(f"https://{SHOP}", "embed", {"enabled": True})
    yield made


class Shopper:
    """Somebody in a store, whose pages come from the simulators by their own addresses."""

    def __init__(self, scene: Scene, context: BrowserContext, language: str) -> None:
        self.scene, self.context, self.language = scene, context, language
        self.page: Page
        shopify = scene.store.platform == "shopify"
        self.home = f"{STOREFRONT}/{language}" if shopify else f"{WOO}/shop/?lang={language}"
        if shopify and language == "en":
            self.home = f"{STOREFRONT}/"
        prefix = "" if language == "en" else f"/{language}"
        self.help = f"{STOREFRONT}{prefix}/apps/support/help/{language}" if shopify else f"{WOO}/help/{language}"

    async def begin(self) -> None:
        """A tab on the store's first page."""
        await self.context.add_init_script(OPEN_ROOTS)
        site = self.scene.place.world.client()

        async def answer(route: Route) -> None:
            asked = route.request
            headers = {name: value for name, value in (await asked.all_headers()).items() if not name.startswith(":")}
            said = await site.request(asked.method, asked.url, headers=headers, content=asked.post_data_buffer or b"")
            kept = {name: value for name, value in said.headers.items() if name != "content-encoding"}
            await route.fulfill(status=said.status_code, headers=kept, body=said.content)

        await self.context.route(SITES, answer)
        self.page = await self.context.new_page()
        await self.page.goto(self.home)

    async def chat(self) -> Frame:
        """The widget, open on this page."""
        await self.page.wait_for_function("window.Ahlan")
        await self.page.evaluate("Ahlan.open()")
        await expect(self.page.locator("ahlan-widget .r iframe")).to_be_visible(timeout=PATIENCE)
        frame = next(frame for frame in self.page.frames if "/widget/frame" in frame.url)
        await expect(frame.locator(".door").first).to_be_visible(timeout=PATIENCE)
        return frame

    async def finds_by_searching(self) -> None:
        """On the store's help page, past a typing error, while typing."""
        words = WORDS[self.language]
        await self.page.goto(self.help)
        await expect(self.page.locator("header.top")).to_be_visible()
        await expect(self.page.locator("footer")).to_be_visible()
        await self.page.locator("#hc-q").press_sequentially(words.searched, delay=15)
        await expect(self.page.locator("#hc-found [role=option]").first).to_be_visible(timeout=PATIENCE)
        await self.page.locator("#hc-found a").first.click()
        title = ARTICLES["delivery"][self.language][0]
        await expect(self.page.locator(".hc h1")).to_have_text(title, timeout=PATIENCE)
        await expect(self.page).to_have_title(re.compile(re.escape(title)))
        canonical = self.page.locator("head link[rel=canonical]")
        await expect(canonical).to_have_count(1)
        assert await self.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), self.page.url
        # From every article to somebody who answers, without leaving it.
        await self.page.wait_for_function("window.Ahlan")
        await self.page.locator(".hc-contact [data-chat]").click()
        await expect(self.page.locator("ahlan-widget .r iframe")).to_be_visible(timeout=PATIENCE)

    async def finds_in_the_chat(self, frame: Frame) -> None:
        """The same in the widget, and back to its first screen."""
        await frame.locator("[data-door=help]").click()
        await frame.locator(".help-search").press_sequentially(WORDS[self.language].searched, delay=15)
        await frame.locator(".help-line", has_text=ARTICLES["delivery"][self.language][0]).click(timeout=PATIENCE)
        await expect(frame.locator(".help-article")).to_contain_text(WORDS[self.language].days, timeout=PATIENCE)
        buttons = frame.locator(".help-vote button")
        await buttons.last.click()
        await expect(buttons).to_have_count(4, timeout=PATIENCE)
        await buttons.nth(2).click()
        await expect(buttons).to_have_count(0)

        async def kept() -> bool:
            async with self.scene.place.world.app.db.transaction(self.scene.store.workspace_id) as tx:
                told = [one for one in await reading.told(tx, 5) if one.language == self.language]
            return [one.reasons for one in told if one.failed] == [{"missing": 1}]

        await self.scene.place.world.until(kept, what="the reason")
        await frame.locator(".help-chat").click()
        await expect(frame.locator("textarea")).to_be_visible(timeout=PATIENCE)

    async def asks(self, frame: Frame, words: str) -> Locator:
        """The bot's answer behind a question."""
        before = await frame.locator(".message.bot").count()
        await frame.locator("textarea").fill(words)
        await frame.locator("textarea").press("Enter")
        answer = frame.locator(".message.bot").nth(before)
        await expect(answer).to_be_visible(timeout=PATIENCE)
        return answer


async def talk_of(scene: Scene, words: str) -> UUID:
    """The conversation in which the bot was last asked this."""

    async def found() -> Any:
        async with scene.place.world.app.db.transaction(scene.store.workspace_id) as tx:
            return await tx.scalar(
                select(BotTurn.conversation_id)
                .join(
                    Conversation,
                    (Conversation.workspace_id == BotTurn.workspace_id) & (Conversation.id == BotTurn.conversation_id),
                )
                .where(BotTurn.workspace_id == tx.workspace_id, Conversation.store_id == scene.store.id)
                .order_by(BotTurn.created_at.desc())
                .limit(1)
            )

    talk: UUID = await scene.place.world.until(found, what=f"a conversation about {words!r}")
    return talk


@pytest.mark.parametrize(
    ("platform", "language", "device"),
    [("shopify", "ar", PHONE), ("woocommerce", "he", PHONE), ("shopify", "en", DESKTOP)],
    ids=["ar", "he", "en"],
)
async def test_the_life_of_a_question(
    scenes: dict[str, Scene], browser: Browser, platform: str, language: str, device: dict[str, Any]
) -> None:
    scene, words = scenes[platform], WORDS[language]
    place, world = scene.place, scene.place.world
    agent = Person(await browser.new_context(**DESKTOP))
    panel = await signed_in(place, agent, platform, language)

    # Found by searching, on the help page and in the chat; by asking, in Arabizi too.
    first = Shopper(scene, await browser.new_context(**device, locale=language), language)
    await first.begin()
    await first.finds_by_searching()
    await first.page.goto(first.home)
    frame = await first.chat()
    await first.finds_in_the_chat(frame)
    answer = await first.asks(frame, words.asked)
    await expect(answer).to_contain_text(words.days)
    await expect(answer).to_contain_text(ARTICLES["delivery"][language][0])

    # Wrong, and put right in one click.
    answer = await first.asks(frame, words.wish)
    await expect(answer).to_contain_text(ARTICLES["shop"][language][0])
    talk = await talk_of(scene, words.wish)
    await panel.goto(f"{world.url}/panel/inbox/{talk}")
    line = panel.locator(".bot-line").last
    await expect(line).to_be_visible(timeout=PATIENCE)
    await line.locator("summary").click()
    await panel.locator(".bot-correct select").select_option(f"article:{scene.articles['wrapping']}", timeout=PATIENCE)
    await panel.locator(".bot-correct button.primary").click()
    await expect(panel.locator(".bot-wrong .saved")).to_be_visible(timeout=PATIENCE)
    await looks(panel, language)
    await first.context.close()

    second = Shopper(scene, await browser.new_context(**device, locale=language), language)
    await second.begin()
    frame = await second.chat()
    await frame.locator(".door[data-door=chat]").click()
    answer = await second.asks(frame, words.wish)
    await expect(answer).to_contain_text(words.wrapped)

    # A return, begun by saying so: the bot leads there, the shopper proves the order and asks, the agent sees it.
    email = f"sara.{language}@example.com"
    order = await place.order(platform, email, language)
    said = strings(translator(place, language).gettext, translator(place, language).ngettext)
    answer = await second.asks(frame, words.back)
    await answer.locator(".card").last.click()
    await frame.locator("input[name=number]").fill(order.name, timeout=PATIENCE)
    await frame.locator("input[name=contact]").fill(email)
    await frame.locator("form button[type=submit]").click()
    code = await place.mail(email, lambda text: re.search(r"(?<!\d)\d{6}(?!\d)", text))
    await frame.locator("input[name=code]").fill(code[0], timeout=PATIENCE)
    await frame.locator("form button[type=submit]").click()
    stepper = frame.locator(".stepper button").last
    await expect(stepper.or_(frame.get_by_role("button", name=said["o.return"]))).to_be_visible(timeout=PATIENCE)
    if not await stepper.is_visible():
        await frame.get_by_role("button", name=said["o.return"]).click()
    await stepper.click(timeout=PATIENCE)
    await frame.locator("form button[type=submit]").click()
    await frame.locator("form select").select_option("changed_mind", timeout=PATIENCE)
    await frame.locator("form button[type=submit]").click()
    await frame.locator("input[name=resolution][value=refund]").check(timeout=PATIENCE)
    await frame.locator("form button[type=submit]").click()
    await frame.get_by_role("button", name=said["o.confirm"]).click(timeout=PATIENCE)
    await expect(frame.locator(".course")).to_be_visible(timeout=PATIENCE)
    [request] = await world.all(scene.store.workspace_id, ReturnRequest, ReturnRequest.order_id == order.id)
    assert request.verified
    talk = await talk_of(scene, words.back)
    assert request.conversation_id == talk, "it belongs to the conversation in which it began"
    await panel.goto(f"{world.url}/panel/inbox/{talk}")
    await expect(panel.locator("#customer .return-beside a", has_text=request.number)).to_be_visible(timeout=PATIENCE)
    await looks(panel, language)
    await second.context.close()

    # At night: nobody is there, an address is taken, and the thread goes on by e-mail.
    await scene.night()
    third = Shopper(scene, await browser.new_context(**device, locale=language), language)
    await third.begin()
    frame = await third.chat()
    await frame.locator(".door[data-door=chat]").click()
    answer = await third.asks(frame, words.person)
    await expect(answer).to_contain_text(re.compile(r"\d{1,2}:00"))
    night = f"rana.{language}@example.com"
    answer = await third.asks(frame, night)
    await expect(answer).to_contain_text(night)
    talk = await talk_of(scene, words.person)
    await third.page.goto("about:blank")
    await panel.goto(f"{world.url}/panel/inbox/{talk}")
    said_why = translator(place, language).gettext(WORDS_OF_REASONS[Reason.WANTED])
    await expect(panel.locator(".bot-line").first).to_contain_text(said_why, timeout=PATIENCE)
    await looks(panel, language)
    await panel.locator("#words").fill(words.answered)
    await panel.locator("#words").press("Control+Enter")
    mail = await scene.mail_that_says(words.answered)
    assert night in str(mail["To"])
    await third.page.goto(third.home)
    frame = await third.chat()
    await frame.locator(".door[data-door=resume]").click()
    await expect(frame.locator(".message.agent .text")).to_have_text(words.answered, timeout=PATIENCE)
    await scene.deliver(
        written(words.thanks, sender=f"Rana <{night}>", to=str(mail["Reply-To"]), subject=f"Re: {mail['Subject']}",
                In_Reply_To=str(mail["Message-ID"]), References=str(mail["Message-ID"]))
    )  # fmt: skip
    await expect(frame.locator(".message.own .text").last).to_have_text(words.thanks, timeout=PATIENCE)
    await expect(panel.locator("#thread .message .text").last).to_contain_text(words.thanks, timeout=PATIENCE)
    assert agent.errors == []
    await third.context.close()
    await agent.context.close()
