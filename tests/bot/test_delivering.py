"""What delivery to a place costs is said by the store's own zones; what they do not decide is left to the articles."""

from __future__ import annotations

from uuid import UUID

import msgspec
import pytest

from plugin.app import App
from plugin.bot.delivering import Reached, reached, says_when
from plugin.kernel.money import parse
from plugin.platform import Deliveries, DeliveryRate, DeliveryZone
from plugin.stores import Store
from plugin.team import Agent
from tests.bot.conftest import UNSURE, Chat, Models, set_bot
from tests.bot.test_dialogues import plain


def rate(name: str, price: str | None, least: str = "", most: str = "", about: str = "") -> DeliveryRate:
    money = [parse(one, "ILS")[0] if one else None for one in (price or "", least, most)]
    return DeliveryRate(name, money[0], least=money[1], most=money[2], about=about)


HOME = DeliveryZone({"IL": ()}, (rate("Courier", "25", most="300"), rate("Big basket", "0", least="300")))
NEAR = DeliveryZone({"JO": (), "EG": ("Cairo", "Giza")}, (rate("International", "60"), rate("DHL", None)))
EMPTY = DeliveryZone({"LB": ()}, ())
REST = DeliveryZone({}, (rate("Post", "90"),), everywhere=True)


def test_the_first_zone_that_fits_counts() -> None:
    known = Deliveries((HOME, NEAR, EMPTY, REST))
    assert reached(known, "IL").zone is HOME
    assert reached(known, "US").zone is REST
    assert reached(known, "EG", "to Giza").zone is NEAR
    assert not reached(known, "EG", "to Egypt").sure
    # A zone without a way of delivering serves nobody.
    assert reached(known, "LB").zone is None
    assert reached(Deliveries((HOME,)), "US").zone is None


def test_a_country_that_the_store_leaves_out_is_reached_by_no_zone() -> None:
    assert reached(Deliveries((HOME, REST), only=("IL",)), "US") == Reached(None)
    assert reached(Deliveries((HOME, REST), never=("US",)), "US") == Reached(None)
    assert reached(Deliveries((HOME, REST), only=("IL",), never=("US",)), "IL").zone is HOME


def test_two_regions_of_a_country_are_one_too_many() -> None:
    assert not reached(Deliveries((NEAR, REST)), "EG", "to Giza or Cairo").sure


def test_a_zone_of_some_postcodes_decides_nothing() -> None:
    some = DeliveryZone({"IL": ()}, (rate("Same day", "40"),), partly=True)
    assert not reached(Deliveries((some, HOME)), "IL").sure


@pytest.fixture
async def zones(app: App, workspace: UUID, store: Store, models: Models) -> None:
    for text, topic in (
        ("how much is delivery to Jordan", "delivery_cost"), ("كم التوصيل لإسرائيل", "delivery_cost"),
        ("כמה עולה משלוח לירדן", "delivery_cost"), ("do you ship to Lebanon", "delivery_area"),
        ("how much is delivery", "delivery_cost"), ("do you ship to Jordan or Lebanon", "delivery_area"),
        ("how long does it take to Jordan", "delivery_time"), ("كم يستغرق التوصيل إلى الأردن", "delivery_time"),
        ("כמה זמן לוקח משלוח לירדן", "delivery_time"),
        ("how long does it take to Lebanon", "delivery_time"), ("how much is delivery to Egypt", "delivery_cost"),
        ("How long does delivery take, and what does it cost?", "delivery_cost"),
    ):  # fmt: skip
        models.reads(text, topic)
    await keep(app, workspace, store, Deliveries((HOME, NEAR, EMPTY)))


@pytest.mark.parametrize(
    "text",
    ["كم يوم للأردن؟", "كم يوم التوصيل للاردن", "kam yom 3ala jordan", "כמה ימים לירדן", "how many days to Jordan"],
)
async def test_a_place_and_how_many_days_are_answered_by_time_whatever_the_models_say(
    chat: Chat, app: App, workspace: UUID, store: Store, models: Models, shop: dict[str, UUID], text: str
) -> None:
    models.reads(text, "track_order", gate=UNSURE, heard="كم يوم على جردن" if text.startswith("kam") else "")
    parcel = DeliveryZone({"JO": ()}, (rate("International", "60", about="7 to 10 business days"),))
    await keep(app, workspace, store, Deliveries((HOME, parcel)))
    said = await chat.say(text)
    assert "7 to 10 business days" in plain(said)
    assert said is not None
    assert said.data["bot"]["parts"][0]["topic"] == "delivery_time"


async def keep(app: App, workspace: UUID, store: Store, known: Deliveries) -> None:
    async with app.db.transaction(workspace) as tx:
        row = await tx.get(Store, store.id)
        assert row is not None
        row.deliveries = msgspec.to_builtins(known)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("how much is delivery to Jordan", ("Jordan", "International: ₪60", "DHL: reckoned at checkout")),
        ("كم التوصيل لإسرائيل", ("إسرائيل", "Courier", "25", "Big basket: مجانًا", "300")),
        ("כמה עולה משלוח לירדן", ("ירדן", "International", "60")),
        ("do you ship to Lebanon", ("Nothing is delivered to this place: Lebanon.",)),
        ("how long does it take to Lebanon", ("Nothing is delivered to this place: Lebanon.",)),
    ],
)
async def test_the_price_to_a_place_is_told_in_the_language_of_the_question(
    chat: Chat, zones: None, shop: dict[str, UUID], text: str, words: tuple[str, ...]
) -> None:
    said = await chat.say(text)
    assert [word for word in words if word not in plain(said)] == []
    assert said is not None
    assert said.data["bot"]["parts"][0]["tool"] == "deliveries"


@pytest.mark.parametrize(
    ("text", "begins"), [("כמה עולה משלוח לירדן", "\u200f•"), ("how much is delivery to Jordan", "•")]
)
async def test_a_line_of_latin_letters_runs_as_its_reader_reads(
    chat: Chat, zones: None, shop: dict[str, UUID], text: str, begins: str
) -> None:
    said = await chat.say(text)
    assert said is not None
    assert [line.startswith(begins) for line in said.text.splitlines() if "DHL" in line] == [True]


@pytest.mark.parametrize(
    "text", ["how much is delivery", "how much is delivery to Egypt", "how long does it take to Jordan"]
)
async def test_without_a_place_or_where_its_region_decides_an_article_answers(
    chat: Chat, zones: None, shop: dict[str, UUID], text: str
) -> None:
    assert "Parcels arrive in five days" in plain(await chat.say(text))


async def test_where_some_goods_have_zones_of_their_own_nobody_is_told_no(
    app: App, workspace: UUID, store: Store, chat: Chat, zones: None, shop: dict[str, UUID]
) -> None:
    await keep(app, workspace, store, Deliveries((HOME, NEAR, EMPTY), varies=True))
    assert "Nothing is delivered" not in plain(await chat.say("do you ship to Lebanon"))
    assert "Some goods cost something else" in plain(await chat.say("how much is delivery to Jordan"))


async def test_of_two_places_none_is_said_to_get_nothing(chat: Chat, zones: None, shop: dict[str, UUID]) -> None:
    assert "Nothing is delivered" not in plain(await chat.say("do you ship to Jordan or Lebanon"))


async def test_more_ways_than_are_told_are_said_to_be_more(
    app: App, workspace: UUID, store: Store, chat: Chat, zones: None, shop: dict[str, UUID]
) -> None:
    zone = DeliveryZone({"JO": ()}, tuple(rate(f"Way {number}", str(number)) for number in range(1, 8)))
    await keep(app, workspace, store, Deliveries((zone,)))
    said = plain(await chat.say("how much is delivery to Jordan"))
    assert ("Way 6" in said, "Way 7" in said) == (True, False)
    assert "The checkout shows more ways." in said


async def test_tax_on_top_is_said(
    app: App, workspace: UUID, store: Store, chat: Chat, zones: None, shop: dict[str, UUID]
) -> None:
    await keep(app, workspace, store, Deliveries((HOME, NEAR), taxed=True))
    assert "Tax may come on top" in plain(await chat.say("how much is delivery to Jordan"))


async def test_an_article_that_the_merchant_chose_goes_before_the_zones(
    app: App, workspace: UUID, store: Store, maya: Agent, chat: Chat, zones: None, shop: dict[str, UUID]
) -> None:
    await set_bot(app, workspace, store, maya, answers={"delivery_cost": str(shop["delivery"])})
    assert "Parcels arrive in five days" in plain(await chat.say("how much is delivery to Jordan"))


async def test_what_was_told_already_is_for_a_person(chat: Chat, zones: None, shop: dict[str, UUID]) -> None:
    await chat.say("how much is delivery to Jordan")
    assert "a colleague looks into it" in plain(await chat.say("how much is delivery to Jordan"))


@pytest.mark.parametrize("text", ["كم سعر التوصيل إلى الأردن؟", "מה המחיר של משלוח לירדן", "ship to Jordan, how much?"])
async def test_while_the_models_are_away_a_place_says_nothing_about_what_is_asked(
    chat: Chat, zones: None, shop: dict[str, UUID], models: Models, text: str
) -> None:
    await chat.settle_first()
    models.forgets = True
    assert "International" in plain(await chat.say(text))


@pytest.mark.parametrize("text", ["طلبي إلى الأردن وصل مكسور", "I moved to Jordan last month", "my gift to Jordan"])
async def test_while_the_models_are_away_a_place_alone_asks_for_no_price(
    chat: Chat, zones: None, shop: dict[str, UUID], models: Models, text: str
) -> None:
    await chat.settle_first()
    models.forgets = True
    assert "International" not in plain(await chat.say(text))


async def test_what_is_unsure_between_cost_and_area_is_told_for_the_place_that_is_named(
    chat: Chat, zones: None, shop: dict[str, UUID], models: Models
) -> None:
    models.reads("شحن الأردن", "delivery_area", "delivery_cost", "delivery_time", gate=UNSURE)
    assert "International" in plain(await chat.say("شحن الأردن"))
    models.reads("kinds of shipping to Jordan", "delivery_time", "delivery_area", "delivery_cost", gate=UNSURE)
    models.reads("a parcel broke on its way to Jordan", "damaged_item", "delivery_area", "delivery_cost", gate=UNSURE)
    for other in ("kinds of shipping to Jordan", "a parcel broke on its way to Jordan"):
        assert "International" not in plain(await chat.say(other))


async def test_what_is_unsure_and_kept_for_people_stays_theirs(
    app: App, workspace: UUID, store: Store, maya: Agent, chat: Chat, zones: None, models: Models
) -> None:
    await set_bot(app, workspace, store, maya, answers={"delivery_area": "person"})
    models.reads("شحن الأردن", "delivery_area", "delivery_cost", "delivery_time", gate=UNSURE)
    assert "International" not in plain(await chat.say("شحن الأردن"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("how long does it take to Jordan", ("Delivery to this place: Jordan", "Plane: ₪60.00, 7 to 10 business days")),
        ("كم يستغرق التوصيل إلى الأردن", ("التوصيل إلى هذا المكان: الأردن", "Plane", "7 to 10 business days")),
        ("כמה זמן לוקח משלוח לירדן", ("משלוח למקום הזה: ירדן", "Plane", "7 to 10 business days")),
    ],
)
async def test_how_long_it_takes_to_a_place_is_said_as_the_shops_checkout_says_it(
    app: App, workspace: UUID, store: Store, chat: Chat, zones: None, shop: dict[str, UUID],
    text: str, words: tuple[str, ...],
) -> None:  # fmt: skip
    ways = (rate("Plane", "60", about="7 to 10 business days"), rate("Van", "90"))
    await keep(app, workspace, store, Deliveries((HOME, DeliveryZone({"JO": ()}, ways))))
    said = await chat.say(text)
    assert [word for word in words if word not in plain(said)] == []
    assert "Van" in plain(said)
    assert said is not None
    assert said.data["bot"]["parts"][0]["tool"] == "deliveries"


@pytest.mark.parametrize(
    ("way", "times"),
    [
        (rate("Standard", "25", about="3–5 business days"), True),
        (rate("Express 24h", "45"), True),
        (rate("Same-day", "45"), True),
        (rate("Overnight", "45"), True),
        (rate("توصيل خلال ٣ أيام عمل", "25"), True),
        (rate("يصل بيومين", "25"), True),
        (rate("שליח עד 5 ימי עסקים", "25"), True),
        (rate("מגיע תוך יומיים", "25"), True),
        (rate("Post", "9", about="Next Monday or never"), False),
        (rate("Free delivery", "0", least="300"), False),
        (rate("Holiday Express", "9"), False),
        (rate("H&M courier", "9"), False),
        (rate("אקספרס", "9"), False),
        (rate("توصيل سريع", "9"), False),
    ],
)
def test_a_way_tells_its_time_in_any_language(way: DeliveryRate, times: bool) -> None:
    assert says_when(way) is times
