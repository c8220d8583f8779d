"""A return as its three people live it: the merchant's rules, the shopper's wish, the agent's work, the store's books.

Real web process, real worker, both simulated stores; the code and the news are read from the mail that left.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect
from sqlalchemy import select

from integrations.shopify.simulator import seed, trade
from plugin.conversations import delivery
from plugin.crm.orders import Order
from plugin.kernel.embedded import Servers
from plugin.kernel.text import normalise
from plugin.returns.records import ReturnRequest
from plugin.stores import Store
from plugin.widget.order_strings import strings
from tests.browser.chrome import DESKTOP, PHONE, Person, needs_browser
from tests.journeys.conftest import SHOP, WOO, World, running
from tests.mailroom import Post, smtp_server

pytestmark = needs_browser
PATIENCE = 30_000
PASSWORD = "a calm long evening"
MERCHANTS = {"shopify": "maya@zaytouna.example", "woocommerce": "noor@zaytouna.example"}
DIRECTION = {"en": "ltr", "ar": "rtl", "he": "rtl"}
DEVICES = {"phone": PHONE, "desktop": DESKTOP}
HANGING = """() => [document.documentElement, ...document.querySelectorAll("#page, .sheet, .card, .orders, .part")]
  .filter((one) => one.checkVisibility() && one.scrollWidth > one.clientWidth + 1)
  .map((one) => `${one.tagName}.${one.className}`)"""
# An icon that stands on a line of its own, above the words that it belongs to.
LONELY = """() => [...document.querySelectorAll(".with-icon > svg:first-child + *")]
  .filter((one) => one.checkVisibility())
  .filter((one) => one.previousElementSibling.getBoundingClientRect().bottom <= one.getBoundingClientRect().top)
  .map((one) => one.textContent)"""


@dataclass
class Place:
    """Both stores in our product, and everything that left it by mail."""

    world: World
    post: Post
    stores: dict[str, Store]

    async def mail(self, to: str, holds: Callable[[str], Any]) -> Any:
        """What `holds` finds in a mail to this address."""

        async def found() -> Any:
            for mail in self.post.mails:
                body = mail.get_body(("plain",))
                if to in str(mail["to"]) and body is not None and (seen := holds(body.get_content())):
                    return seen
            return None

        return await self.world.until(found, 60, what=f"the mail to {to}")

    async def ledger(self, platform: str) -> list[int]:
        """Money that really moved at the store, in minor units."""
        site = f"https://{SHOP}" if platform == "shopify" else WOO
        return [one["minor"] for one in (await self.world.control(site, "ledger"))["ledger"]]

    async def order(self, platform: str, email: str, language: str) -> Order:
        """Two of the same, paid, sent and there; as our product knows it."""
        store = self.stores[platform]
        if platform == "shopify":
            shop = self.world.shopify.shop
            goods = min(shop.state.all("products"), key=lambda one: float(one["variants"][0]["price"]))
            placed = trade.place_order(
                shop, [(goods["variants"][0]["id"], 2)], customer=None, email=email, locale=language, discount=7
            )
            trade.fulfil(shop, placed["id"])
            trade.deliver(shop, placed["id"])
            external_id = placed["admin_graphql_api_id"]
        else:
            key = await self.world.control(WOO, "keys", {"permissions": "read_write"})
            auth = (key["consumer_key"], key["consumer_secret"])
            async with self.world.client(base_url=f"{WOO}/wp-json/wc/v3/", auth=auth) as site:
                goods = (await site.get("products", params={"type": "simple", "per_page": 1})).json()[0]
                asked = {
                    "email": email, "language": language, "payment_method": "bacs",
                    "items": [{"product_id": goods["id"], "quantity": 2}],
                }  # fmt: skip
                placed = await self.world.control(WOO, "order", asked)
                for status in ("processing", "completed"):
                    assert (await site.put(f"orders/{placed['id']}", json={"status": status})).status_code == 200
            external_id = str(placed["id"])

        async def known() -> Any:
            async with self.world.app.db.transaction(store.workspace_id) as tx:
                return await tx.scalar(
                    select(Order).where(Order.store_id == store.id, Order.external_id == external_id,
                                        Order.email == email)
                )  # fmt: skip

        order: Order = await self.world.until(known, what=f"the order of {email}")
        return order


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def place(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    """Two young stores and their merchants, each with an account of their own."""
    with pytest.MonkeyPatch.context() as patched:
        # Who closed the window gets the mail at once.
        patched.setattr(delivery, "GONE_SECONDS", 0)
        patched.setattr(delivery, "HERE_SECONDS", 0)
        async with smtp_server() as post:
            mail = {"smtp_url": f"smtp://localhost:{post.port}", "mail_from": "help@zaytouna.example"}
            folder = tmp_path_factory.mktemp("returns")
            async with running(servers, folder, "returning", seeded=False, **mail) as world:
                permits = world.app.http.guard.permits
                # The mail server of the tests is on this machine, where no merchant's may be.
                patched.setattr(
                    world.app.http.guard, "permits", lambda host, to: host == "localhost" or permits(host, to)
                )
                yield Place(world, post, {"shopify": await _at_shopify(world), "woocommerce": await _at_woo(world)})


async def _at_shopify(world: World) -> Store:
    """Installed from the admin by its owner, who invites themselves to the panel on its own."""
    site = f"https://{SHOP}"
    seed.seed(world.shopify.shop, customers=2, orders=0)
    await world.control(site, "install", {"scopes": ["write_returns"]})
    browser = world.browser()
    opened = await browser.get((await world.control(site, "launch"))["url"])
    assert opened.status_code == 200, opened.text
    bearer = {"authorization": f"Bearer {(await world.control(site, 'id-token'))['token']}"}
    asked = {"email": MERCHANTS["shopify"], "role": "owner"}
    invited = await browser.post(f"{world.url}/shopify/team/invitations", asked, **bearer)
    link = re.search(rf"{re.escape(world.url)}/invitations/[\w-]+/[\w-]+", invited.text)
    assert link is not None, invited.text
    joined = await world.browser().get(link[0])
    assert (await world.browser().submit(joined, "password", {"name": "Maya", "password": PASSWORD})).status_code == 200
    store = await world.store(SHOP)
    assert store is not None
    return store


async def _at_woo(world: World) -> Store:
    """Connected with the plugin's button; paid by a gateway that gives money back by itself."""
    await world.control(WOO, "seed", {"customers": 2, "orders": 0})
    await world.control(WOO, "options", {"refunding_gateways": ["bacs"]})
    browser = world.browser()
    page = await browser.get(f"{world.url}/sign-up")
    fields = {"name": "Noor", "workspace": "Zaytouna", "email": MERCHANTS["woocommerce"], "password": PASSWORD}
    await browser.submit(page, "password", fields)
    await browser.post(f"{WOO}/wp-login.php", {})
    asked = await browser.post(f"{WOO}/wp-admin/admin-post.php", {"action": "connect"})
    done = await browser.click(await browser.submit(asked, "site", {}), "approve")
    assert done.status_code == 200, done.text
    store = await world.store(WOO)
    assert store is not None
    return store


def minor(shown: str, exponent: int) -> int:
    """An amount as people read it, in whatever digits, in minor units."""
    found = re.search(r"\d[\d.,٫٬]*", normalise(shown))
    assert found is not None, shown
    whole, _, rest = found[0].replace("٫", ".").rpartition(".")
    if len(rest) != exponent or not whole:
        whole, rest = found[0], "0" * exponent
    return int(re.sub(r"\D", "", whole) + rest)


async def looks(page: Page, language: str) -> None:
    """In its language's direction, and nothing hangs over the side."""
    html = page.locator("html")
    await expect(html).to_have_attribute("lang", language)
    await expect(html).to_have_attribute("dir", DIRECTION[language])
    assert await page.evaluate(HANGING) == [], page.url
    assert await page.evaluate(LONELY) == [], page.url


@pytest.mark.parametrize(
    ("platform", "language", "device", "fee"),
    [
        ("shopify", "ar", "phone", 10),
        ("woocommerce", "he", "desktop", 0),
        ("woocommerce", "en", "phone", 15),
    ],
)
async def test_from_the_shoppers_hand_to_the_stores_books(
    place: Place, browser: Browser, platform: str, language: str, device: str, fee: int
) -> None:
    email = f"layla.{platform}.{language}@example.com"
    order = await place.order(platform, email, language)
    before = await place.ledger(platform)
    merchant = Person(await browser.new_context(**DEVICES[device]))
    shopper = Person(await browser.new_context(**DEVICES[device], locale=language))
    panel = await signed_in(place, merchant, platform, language)
    await rules(place, panel, platform, language, fee)

    window, shown = await sent_back(place, shopper, platform, language, order)
    assert await place.ledger(platform) == before, "nothing moves before somebody agrees"
    [request] = await place.world.all(order.workspace_id, ReturnRequest, ReturnRequest.order_id == order.id)
    assert request.verified
    assert request.cash == shown
    assert fee == 0 or shown < order.total / 2

    words = strings(translator(place, language).gettext, translator(place, language).ngettext)
    given = await handled(place, panel, request, language, agreed=lambda: papers(place, window, words["o.slip"]))
    assert given == shown
    assert (await place.ledger(platform))[len(before) :] == [shown], "once, and what was shown"

    await window.reload()
    await expect(window.get_by_text(words["o.then.refund"])).to_be_visible(timeout=PATIENCE)
    assert minor(await window.locator(".sum.strong bdi").last.inner_text(), order.exponent) == shown
    await expect(window.get_by_role("link", name=words["o.slip"])).to_have_count(0)
    await looks(window, language)
    sum_ = translator(place, language).format_money(request.money(shown))
    told = translator(place, language).gettext(
        "We have sent back %(amount)s for your return %(number)s to the way you paid. A bank may take some days.",
        amount=sum_, number=f"\u2066{request.number}\u2069",
    )  # fmt: skip
    assert await place.mail(email, lambda text: told in text)

    await panel.goto(f"{place.world.url}/panel/inbox/{request.conversation_id}")
    if device == "phone":
        await panel.locator("#thread-head .customer-toggle").click()
    await expect(panel.locator("#customer .return-beside a", has_text=request.number)).to_be_visible(timeout=PATIENCE)
    await looks(panel, language)
    # The stores of this world have no address that a browser could fetch pictures from.
    unheard = ("/cdn/", "/picture/", "/favicon.ico")
    assert [said for said in merchant.errors + shopper.errors if not any(one in said for one in unheard)] == []
    for person in (merchant, shopper):
        await person.context.close()


def translator(place: Place, language: str) -> Any:
    return place.world.app.catalogues.translator(language)


async def signed_in(place: Place, merchant: Person, platform: str, language: str) -> Page:
    """The merchant's panel, in their language."""
    page = await merchant.open(f"{place.world.url}/sign-in")
    await page.locator("input[name=email]").fill(MERCHANTS[platform])
    await page.locator("input[name=password]").fill(PASSWORD)
    await page.locator("main form button").last.click()
    await page.wait_for_url("**/panel")
    if await page.locator("html").get_attribute("lang") != language:
        await page.goto(f"{place.world.url}/panel/settings")
        await page.locator("#me select[name=locale]").select_option(language)
        await page.locator("#me button.primary").click()
        await expect(page.locator("html")).to_have_attribute("lang", language)
    return page


async def rules(place: Place, page: Page, platform: str, language: str, fee: int) -> None:
    """What is agreed by a person only, and what a return costs: published on its screen."""
    await page.goto(f"{place.world.url}/panel/settings/returns/{place.stores[platform].id}")
    await expect(page.locator("#preview table, #preview li, #preview dl").first).to_be_visible(timeout=PATIENCE)
    await page.locator("input[name=automatic]").uncheck()
    await page.locator("#restocking").fill(str(fee or ""))
    await page.locator("#policy .form-foot button.primary").click()
    await expect(page.locator(".sheet-head .saved, .sheet-head [role=status]").first).to_be_visible(timeout=PATIENCE)
    await looks(page, language)


async def sent_back(place: Place, shopper: Person, platform: str, language: str, order: Order) -> tuple[Page, int]:
    """Four steps, from an order that nobody has proven yet; returns the amount that was shown before they confirmed."""
    key, words = (
        place.stores[platform].public_key,
        strings(translator(place, language).gettext, translator(place, language).ngettext),
    )
    page = await shopper.open(f"{place.world.url}/widget/page?store={key}&locale={language}")
    await page.locator("input[name=number]").fill(order.name, timeout=PATIENCE)
    await page.locator("input[name=contact]").fill(order.email)
    await looks(page, language)
    await page.locator("form button[type=submit]").click()
    code = await place.mail(order.email, lambda text: re.search(r"(?<!\d)\d{6}(?!\d)", text))
    await page.locator("input[name=code]").fill(code[0], timeout=PATIENCE)
    await page.locator("form button[type=submit]").click()
    await page.get_by_role("button", name=words["o.return"]).click(timeout=PATIENCE)

    async def onward(until: Locator) -> None:
        await page.locator("form button[type=submit]").click()
        await expect(until).to_be_visible(timeout=PATIENCE)
        await looks(page, language)

    await page.locator(".stepper button").last.click(timeout=PATIENCE)
    await looks(page, language)
    why = page.locator("form select")
    await onward(why)
    await why.select_option("too_small")
    refund = page.locator("input[name=resolution][value=refund]")
    await onward(refund)
    await refund.check()
    confirm = page.get_by_role("button", name=words["o.confirm"])
    await onward(confirm)
    shown = minor(await page.locator(".sum.strong bdi").inner_text(), order.exponent)
    parts = [minor(await one.inner_text(), order.exponent) for one in await page.locator(".sum:not(.strong) bdi").all()]
    goods = minor(await page.locator(".goods .price").inner_text(), order.exponent)
    assert shown == goods - sum(parts), "the lines make the sum"
    await confirm.click()
    await expect(page.locator(".course")).to_be_visible(timeout=PATIENCE)
    await looks(page, language)
    return page, shown


async def papers(place: Place, window: Page, name: str) -> None:
    """The page to print is with the shopper once it is agreed, and opens."""
    link = window.get_by_role("link", name=name)

    async def there() -> bool:
        await window.reload()
        await expect(window.locator(".course")).to_be_visible(timeout=PATIENCE)
        return await link.count() == 1

    await place.world.until(there, 60, what="the instructions and the slip")
    opened = await window.request.get(await link.evaluate("(one) => one.href"))
    assert opened.headers["content-type"] == "application/pdf"
    assert (await opened.body()).startswith(b"%PDF-")


async def handled(
    place: Place, page: Page, request: ReturnRequest, language: str, *, agreed: Callable[[], Awaitable[None]]
) -> int:
    """The agent's part: yes, here, looked at, paid. Returns the amount on the button that gave it.

    `agreed` happens between the yes and the parcel's arrival.
    """

    async def move(name: str) -> None:
        await page.locator(f"form[hx-post$='/moves/{name}'] button").click(timeout=PATIENCE)

    await page.goto(f"{place.world.url}/panel/returns")
    await looks(page, language)
    await page.locator(".return-main", has_text=request.number).click(timeout=PATIENCE)
    await move("approve")
    await agreed()
    await looks(page, language)
    await move("receive")
    damaged = page.locator("form[hx-post$='/moves/inspect'] input[name^='damaged:']")
    await damaged.fill("1", timeout=PATIENCE)
    await page.locator("form[hx-post$='/moves/inspect'] input[name^='restock:']").fill("0")
    await looks(page, language)
    await move("inspect")
    # Something is damaged: nothing is paid by itself, a person decides.
    await page.locator("button[data-act$='/pay']").click(timeout=PATIENCE)
    give = page.locator("button.act-money")
    given = minor(await give.inner_text(timeout=PATIENCE), request.exponent)
    await give.click()
    await expect(page.locator(".with-icon.good")).to_be_visible(timeout=PATIENCE)
    total = page.locator(".return-money .is-total dd").first
    assert minor(await total.inner_text(), request.exponent) == given
    await looks(page, language)
    return given
