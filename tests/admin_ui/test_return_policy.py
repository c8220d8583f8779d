"""The return policy in the panel: its form says exactly what is stored, and the preview what it would do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from sqlalchemy import select

from plugin.app import App
from plugin.crm.orders import Order
from plugin.crm.products import Product
from plugin.kernel.db import new_id
from plugin.kernel.money import Money
from plugin.platform import PlatformError
from plugin.return_desk import ReturnableLine, ReturnableOrder, Shipped, Sign
from plugin.returns import policies
from plugin.returns.policies import PolicyVersion
from plugin.returns.policy import (
    Condition,
    DeliveryBack,
    Fault,
    Holiday,
    Match,
    Otherwise,
    PayWhen,
    Policy,
    Reason,
    Resolution,
    Rule,
    Terms,
)
from plugin.returns.states import Times
from plugin.stores import Store
from plugin.team import Agent
from tests.admin_ui.conftest import Browser, SignIn
from tests.admin_ui.shop import Admin, Shop

RICH = Policy(
    terms=Terms(
        {Resolution.REFUND: 14, Resolution.CREDIT: None, Resolution.EXCHANGE: 30},
        restocking_percent=10,
        shipping_fee=(Money(2000, "SAR", 2), Money(500, "EUR", 2)),
        fees_for=(Resolution.REFUND, Resolution.EXCHANGE),
        conditions=(Condition("unused"), Condition("own_condition_1", Otherwise.REVIEW, {"ar": "نظيف", "en": "clean"})),
        photo=True,
    ),
    holidays=(Holiday(date(2026, 11, 1), date(2026, 12, 24), date(2027, 1, 15)),),
    reasons=(
        Reason("size", children=(Reason("too_small"),)),
        Reason("defective", Fault.SHOP, photo=True),
        Reason("own_reason_1", Fault.SHOP, words={"he": "מתנה כפולה"}),
    ),
    automatic=False,
    pay_when=PayWhen.RECEIVED,
    delivery=DeliveryBack.FAULT,
    keep_below=(Money(1500, "SAR", 2),),
    bonus_percent=5,
    bonus_most=(Money(5000, "SAR", 2),),
    review_above=(Money(99950, "SAR", 2),),
    most_returns=0,
    most_days=90,
    signs=(Sign.RISK, Sign.PAYMENTS, Sign.BLOCKED),
    most_failed=4,
    instant_below=(Money(30000, "SAR", 2),),
    whole_bundles=True,
    times=Times(None, 10, 2, None, 365, 1),
    zone="Asia/Riyadh",
)


class Fields(HTMLParser):
    """What a browser would send of the form with that id, untouched."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self.form, self.inside, self.select, self.found = form, False, "", list[tuple[str, str]]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        at: Mapping[str, str | None] = dict(attrs)
        if tag == "form":
            self.inside = at.get("id") == self.form or at.get("hx-post") == self.form
        if not self.inside:
            return
        name, value = at.get("name") or "", at.get("value") or ""
        if tag == "select":
            self.select = name
        elif tag == "option" and "selected" in at:
            self.found.append((self.select, value))
        elif tag == "input" and name:
            if at.get("type") in ("checkbox", "radio") and "checked" not in at:
                return
            self.found.append((name, value if at.get("type") not in ("checkbox",) or value else "on"))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.inside = False


def fields(html: str, form: str = "policy") -> dict[str, list[str]]:
    reader = Fields(form)
    reader.feed(html)
    sent: dict[str, list[str]] = {}
    for name, value in reader.found:
        sent.setdefault(name, []).append(value)
    assert sent, f"no form {form}"
    return sent


class Desk(Admin):
    """A store that says how an order stands, or does not answer."""

    standing: ReturnableOrder | None = None

    async def returnable(self, connection: object, order: str) -> ReturnableOrder | None:
        if self.standing is None:
            raise PlatformError("away", retry=True)
        return self.standing


@pytest.fixture
def admin() -> Desk:
    return Desk()


@pytest.fixture
async def owner(shop: Shop, sign_in: SignIn) -> Browser:
    return await sign_in(shop.email)


@pytest.fixture
async def oud(app: App, shop: Shop) -> Store:
    """The seed's shop in riyals."""
    store = next(one for one in shop.stores.values() if one.platform == "shopify")
    async with app.db.transaction(shop.workspace_id) as tx:
        held = await tx.get(Store, store.id, lock=True)
        assert held is not None
        held.currency = "SAR"
    return held


async def publish(app: App, shop: Shop, store: Store, policy: Policy) -> PolicyVersion:
    async with app.db.transaction(shop.workspace_id) as tx:
        now = await policies.current(tx, store)
        return await policies.publish(tx, store, policy, after=now.number, by=shop.owner)


async def now(app: App, shop: Shop, store: Store) -> PolicyVersion:
    async with app.db.transaction(shop.workspace_id) as tx:
        return await policies.current(tx, store)


def at(store: Store, path: str = "") -> str:
    return f"/panel/settings/returns/{store.id}{path}"


@pytest.mark.parametrize("policy", [Policy(zone="Asia/Riyadh"), RICH, replace(RICH, rules=())])
async def test_what_the_form_shows_is_what_is_stored(
    app: App, shop: Shop, oud: Store, owner: Browser, policy: Policy
) -> None:
    before = await publish(app, shop, oud, policy)
    sent = fields((await owner.get(at(oud))).text)
    answer = await owner.post(at(oud), data=sent)
    assert answer.status_code == 200 or answer.status_code == 303, answer.text
    after = await now(app, shop, oud)
    assert after.policy == policy
    assert after.number == before.number


async def test_a_change_makes_a_version_and_an_older_one_comes_back(
    app: App, shop: Shop, oud: Store, owner: Browser
) -> None:
    first = await publish(app, shop, oud, RICH)
    sent = fields((await owner.get(at(oud))).text)
    await owner.post(at(oud), data=sent | {"days-refund": ["٢١"], "restocking": [""]})
    second = await now(app, shop, oud)
    assert second.number == first.number + 1
    assert (second.policy.terms.days[Resolution.REFUND], second.policy.terms.restocking_percent) == (21, 0)
    page = await owner.get(at(oud, f"?version={first.id}"))
    assert "Bring it back" in page.text
    await owner.post(at(oud, "/restore"), data={"version": str(first.id), "after": str(second.number)})
    assert (await now(app, shop, oud)).policy == RICH


async def test_of_two_who_edit_at_once_the_second_is_told(app: App, shop: Shop, oud: Store, owner: Browser) -> None:
    sent = fields((await owner.get(at(oud))).text)
    await owner.post(at(oud), data=sent | {"bonus": ["5"]})
    answer = await owner.post(at(oud), data=sent | {"bonus": ["7"]})
    assert answer.status_code == 409
    assert "Somebody else changed the policy meanwhile." in answer.text
    assert (await now(app, shop, oud)).policy.bonus_percent == 5


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("days-refund", "-1"), ("days-refund", "½"), ("days-refund", "9" * 5000), ("restocking", "101"),
        ("shipping-fee", "a lot"), ("shipping-fee", "20,5"), ("shipping-fee", "-3"), ("shipping-fee", "1.005"),
        ("keep-below", "3 RIYAL"), ("holiday-from", "tomorrow"), ("time-transit", "366"), ("time-parcel-end", "soon"),
    ],
)  # fmt: skip
async def test_what_cannot_be_read_changes_nothing(
    app: App, shop: Shop, oud: Store, owner: Browser, name: str, value: str
) -> None:
    before = await now(app, shop, oud)
    sent = fields((await owner.get(at(oud))).text)
    answer = await owner.post(at(oud), data=sent | {name: [value]})
    assert 400 <= answer.status_code < 500
    assert (await now(app, shop, oud)).number == before.number


async def test_without_any_reason_nothing_could_be_asked(app: App, shop: Shop, oud: Store, owner: Browser) -> None:
    sent = fields((await owner.get(at(oud))).text)
    answer = await owner.post(at(oud), data={name: value for name, value in sent.items() if "reason" not in name})
    assert "Ask for one reason at least." in answer.text


async def test_one_reason_at_least_is_about_every_kind_of_goods(
    app: App, shop: Shop, oud: Store, owner: Browser
) -> None:
    sent = {name: value for name, value in fields((await owner.get(at(oud))).text).items() if "reason" not in name}
    only = {"reason-style": ["on"], "reason-style-types": ["Shirts"]}
    before = (await now(app, shop, oud)).number
    answer = await owner.post(at(oud), data=sent | only)
    assert "Leave one reason at least for every kind of goods." in answer.text
    assert (await now(app, shop, oud)).number == before
    await owner.post(at(oud), data=sent | only | {"reason-other": ["on"]})
    assert (await now(app, shop, oud)).number == before + 1


async def test_an_exception_is_added_changed_moved_and_taken_out(
    app: App, shop: Shop, oud: Store, owner: Browser
) -> None:
    async with app.db.transaction(shop.workspace_id) as tx:
        tx.add(Product(id=new_id(), store_id=oud.id, external_id="gid://p/7", version=datetime.now(UTC),
                       title="Silk scarf, long", status="active", tags=[]))  # fmt: skip
    await publish(app, shop, oud, replace(RICH, rules=()))
    new = fields((await owner.get(at(oud, "/rules/new"))).text, at(oud, "/rules/new"))
    about = {"name": ["Scarves"], "products": ["silk scarf long"], "countries": ["sa, ae"], "price-from": ["10"],
             "about-reason": ["defective"], "barred": ["hygiene"]}  # fmt: skip
    await owner.post(at(oud, "/rules/new"), data=new | about)
    added = (await now(app, shop, oud)).policy.rules
    assert added[0].match == Match(
        products=("gid://p/7",), countries=("SA", "AE"), reasons=("defective",), price_from=(Money(1000, "SAR", 2),)
    )
    assert (added[0].name, added[0].terms.barred) == ("Scarves", "hygiene")
    again = fields((await owner.get(at(oud, "/rules/0"))).text, at(oud, "/rules/0"))
    await owner.post(at(oud, "/rules/0"), data=again)
    assert (await now(app, shop, oud)).policy.rules == added
    second = Rule("VIP", Match(segments=("vip",)), RICH.terms)
    version = await publish(app, shop, oud, replace(RICH, rules=(*added, second)))
    await owner.post(at(oud, "/rules/1/move"), data={"to": "up", "after": str(version.number)})
    assert [one.name for one in (await now(app, shop, oud)).policy.rules] == ["VIP", "Scarves"]
    page = (await owner.get(at(oud))).text
    assert "Scarves" in page
    await owner.post(at(oud, "/rules/0/move"), data={"to": "out", "after": str(version.number + 1)})
    assert [one.name for one in (await now(app, shop, oud)).policy.rules] == ["Scarves"]


async def test_an_exception_needs_something_that_it_is_about(app: App, shop: Shop, oud: Store, owner: Browser) -> None:
    new = fields((await owner.get(at(oud, "/rules/new"))).text, at(oud, "/rules/new"))
    for name, about in (("", {"tags": ["sale"]}), ("All", {}), ("Odd", {"products": ["nowhere"]})):
        answer = await owner.post(at(oud, "/rules/new"), data=new | {"name": [name]} | about)
        assert answer.status_code >= 400
    assert (await now(app, shop, oud)).number == 1


async def test_strangers_and_agents_without_the_right_get_nothing(
    app: App, shop: Shop, oud: Store, owner: Browser, sign_in: SignIn, empty_shop: Shop
) -> None:
    await now(app, shop, oud)
    stranger = await sign_in(empty_shop.email)
    assert (await stranger.get(at(oud))).status_code == 404
    assert (await stranger.post(at(oud), data={"after": "1"})).status_code == 404
    light: Agent = shop.colleagues["lior"]
    assert (await (await sign_in(light.email or "")).get(at(oud))).status_code == 403
    for path in ("/rules/99", "/rules/x", "?version=nonsense"):
        assert (await owner.get(at(oud, path))).status_code == 404


# The preview


def standing(delivered: datetime) -> ReturnableOrder:
    paid = Money(24900, "SAR", 2)
    line = ReturnableLine(
        "l1", "Abaya", 1, 0, 1, paid, Money(0, "SAR", 2), shipped=(Shipped("f", 1, delivered, delivered),)
    )
    nothing = Money(0, "SAR", 2)
    return ReturnableOrder("o", "#1", delivered, paid, nothing, nothing, nothing, (line,), store_credit=True)


async def looked(app: App, shop: Shop, store: Store, owner: Browser, **more: Any) -> str:
    async with app.db.transaction(shop.workspace_id) as tx:
        order = await tx.scalar(
            select(Order.id).where(Order.workspace_id == tx.workspace_id, Order.store_id == store.id).limit(1)
        )
    sent = fields((await owner.get(at(store))).text) | {"order": [str(order)]}
    answer = await owner.post(at(store, "/preview"), data=sent | {name: [value] for name, value in more.items()})
    assert answer.status_code == 200, answer.text
    return answer.text


async def test_the_preview_judges_by_what_is_typed_and_publishes_nothing(
    app: App, shop: Shop, oud: Store, owner: Browser, admin: Desk
) -> None:
    admin.standing = standing(datetime.now(UTC) - timedelta(days=20))
    before = await publish(app, shop, oud, replace(RICH, rules=(), holidays=()))
    late = await looked(app, shop, oud, owner)
    assert "The time for returning it is over." in late
    fine = await looked(app, shop, oud, owner, **{"days-refund": "60", "about": "too_small"})
    assert "May come back" in fine
    assert "SAR" in fine
    assert "204.10" in fine  # 249.00 less a tenth and less 20.00 for the way back
    assert (await now(app, shop, oud)).number == before.number


async def test_the_preview_says_when_the_store_is_away_or_a_number_cannot_be_read(
    app: App, shop: Shop, oud: Store, owner: Browser
) -> None:
    assert "The store does not answer just now" in await looked(app, shop, oud, owner)
    assert "no number that can be used" in await looked(app, shop, oud, owner, **{"days-refund": "soon"})


async def test_the_preview_shows_what_is_known_of_the_order_and_whether_anybody_is_asked(
    app: App, shop: Shop, oud: Store, owner: Browser, admin: Desk
) -> None:
    held = standing(datetime.now(UTC) - timedelta(days=2))
    admin.standing = replace(
        held, signs=(Sign.DISPUTE, Sign.RISK), risk_words=("Two countries", "payments.risk_elevated")
    )
    await publish(app, shop, oud, replace(RICH, rules=(), signs=()))
    idle = await looked(app, shop, oud, owner)
    assert "Known, but nobody is asked: The payment is contested at the bank" in idle
    assert "Two countries" not in idle
    asked = await looked(app, shop, oud, owner, sign="risk")
    assert "The store&#39;s own check of this order asks for a second look." in asked
    assert "Two countries" in asked
    assert "The payment provider sees a raised risk." in asked
    assert "nobody is asked: The payment is contested" in asked


async def test_a_reason_may_stand_under_a_heading_and_be_asked_about_some_goods_only(
    app: App, shop: Shop, oud: Store, owner: Browser
) -> None:
    tree = replace(RICH, reasons=(
        Reason("size", children=(
            Reason("too_small", types=("Abayas", "Shoes")), Reason("own_reason_2", words={"en": "Too wide"}),
        )),
        Reason("own_reason_1", types=("Mugs",), words={"en": "Broken handle"}),
    ))  # fmt: skip
    before = await publish(app, shop, oud, tree)
    sent = fields((await owner.get(at(oud))).text)
    await owner.post(at(oud), data=sent)
    assert (await now(app, shop, oud)).policy == before.policy, "what the form shows is what is stored"
    without = {name: value for name, value in sent.items() if name != "reason-too_small"}
    await owner.post(at(oud), data=without | {"own-reason-0-under": [""]})
    reasons = (await now(app, shop, oud)).policy.reasons
    assert [(one.code, one.children) for one in reasons] == [("own_reason_2", ()), ("own_reason_1", ())]
