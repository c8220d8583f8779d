"""A browser whose shopper signed in with their account at the shop: what it sees, for how long, and how it ends."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, update

from plugin.crm import sync
from plugin.crm.visitors import SIGNED_IN, Visitor
from plugin.kernel.events import Event
from plugin.kernel.money import Money
from plugin.platform import CustomerRecord, OrderRecord
from plugin.stores import Store

NOOR, SAMI = "gid://shopify/Customer/7", "gid://shopify/Customer/8"


@pytest.fixture
async def orders(browser: Any) -> None:
    """One order of Noor's and one of Sami's."""
    store: Store = browser.store
    now = datetime.now(UTC)
    async with browser.site.app.db.transaction(store.workspace_id) as tx:
        people = [CustomerRecord(NOOR, now, first_name="Noor"), CustomerRecord(SAMI, now, first_name="Sami")]
        bought = [
            OrderRecord(
                f"gid://shopify/Order/{number}",
                now,
                f"#{number}",
                now,
                Money(1000, "SAR", 2),
                customer_external_id=whose,
            )
            for number, whose in ((1001, NOOR), (1002, SAMI))
        ]
        await sync.apply(tx, store, [*people, *bought])


async def sign_in(browser: Any, whose: str = NOOR) -> None:
    """What the widget does when the window of the sign-in has handed it a word."""
    answer = await browser.post("orders/sign-in", word=f"signed:{whose}")
    assert answer.status_code == 200, answer.text
    browser.secret = answer.json()["secret"] or browser.secret
    await browser.open(identity=None)


async def shown(browser: Any) -> dict[str, Any]:
    answer: dict[str, Any] = (await browser.http.get("/widget/orders")).json()
    return {**answer, "orders": [one["name"] for one in answer["orders"]]}


async def test_signing_in_shows_the_orders_of_the_account_and_no_others(browser: Any, orders: None) -> None:
    before = browser.secret
    assert (await shown(browser)) == {
        "signed_in": False, "sign_in": "/elsewhere/sign-in", "sign_out": False, "codes": False, "orders": [],
    }  # fmt: skip
    await sign_in(browser)
    after = await shown(browser)
    assert (after["signed_in"], after["sign_in"], after["sign_out"], after["orders"]) == (True, "", True, ["#1001"])
    assert browser.secret == before, "what was said before stays theirs"
    assert browser.session["visitor"]["name"] == "Noor"


async def test_it_outlasts_a_reload_though_no_page_of_the_shop_says_who_is_signed_in(
    browser: Any, orders: None
) -> None:
    await browser.say("before")
    await sign_in(browser)
    for identity in ({"identity": None}, {}):
        await browser.open(**identity)
        assert (await shown(browser))["orders"] == ["#1001"]
        assert await browser.texts() == ["before"]


async def test_it_ends_after_a_day_and_then_nothing_of_it_is_left(browser: Any, orders: None) -> None:
    await browser.say("before")
    await sign_in(browser)
    async with browser.site.app.db.transaction(browser.store.workspace_id) as tx:
        ends = await tx.scalar(select(Visitor.signed_in_until - func.now()))
        assert timedelta(0) < ends <= SIGNED_IN
        await tx.execute(update(Visitor).values(signed_in_until=func.now() - timedelta(seconds=1)))
    await browser.open(identity=None)
    assert ((await shown(browser))["orders"], await browser.texts()) == ([], [])


async def test_signing_out_leaves_nothing_to_whoever_comes_next(browser: Any, orders: None) -> None:
    await browser.say("before")
    await sign_in(browser)
    old = browser.secret
    assert (await browser.post("orders/sign-out")).status_code == 204
    await browser.open()
    assert browser.secret != old
    assert (await shown(browser))["signed_in"] is False
    assert ((await shown(browser))["orders"], await browser.texts()) == ([], [])


async def test_another_account_begins_anew_in_the_same_browser(browser: Any, orders: None) -> None:
    await browser.say("of Noor")
    await sign_in(browser)
    old = browser.secret
    await sign_in(browser, SAMI)
    assert browser.secret != old
    assert ((await shown(browser))["orders"], await browser.texts()) == (["#1002"], [])


async def test_the_shops_own_word_for_somebody_else_counts_more(browser: Any, orders: None) -> None:
    await sign_in(browser)
    await browser.open(identity=f"signed:{SAMI}")
    assert (await shown(browser))["orders"] == ["#1002"]


@pytest.mark.parametrize("word", ["", "made-up", "نور"])
async def test_a_word_that_the_platform_never_gave_signs_nobody_in(browser: Any, orders: None, word: str) -> None:
    answer = await browser.post("orders/sign-in", word=word)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "account_unsigned")
    await browser.open(identity=None)
    assert (await shown(browser))["signed_in"] is False


async def test_signing_in_stands_in_the_customers_story(browser: Any, orders: None) -> None:
    await sign_in(browser)
    async with browser.site.app.db.transaction(browser.store.workspace_id) as tx:
        told = await tx.scalars(select(Event.customer_id).where(Event.kind == "visitor.identified"))
        customer: UUID | None = await tx.scalar(select(Visitor.customer_id))
        assert list(told) == [customer]
