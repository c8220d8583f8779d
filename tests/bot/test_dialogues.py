"""Talks as shoppers have them: goods, follow-ups, discounts, call-backs, too much text, too little."""

from uuid import UUID

import pytest
from sqlalchemy import update

from plugin.app import App
from plugin.bot.understand import spoken_in
from plugin.conversations.messages import MAX_TEXT, Message
from plugin.crm.products import Product
from plugin.kernel.errors import AhlanError
from plugin.stores import Store
from plugin.team import Agent
from tests.bot.conftest import UNSURE, Chat, Models, set_bot
from tests.bot.test_answering import offered, reason
from tests.bot.test_tools import goods as goods
from tests.knowledge.conftest import Write


def plain(said: Message | None) -> str:
    assert said is not None
    return said.text.translate(dict.fromkeys(map(ord, "\u2066\u2067\u2068\u2069\u200e\u200f")))


async def test_a_price_is_told_and_what_is_asked_next_is_about_the_same(chat: Chat, goods: dict[str, UUID]) -> None:
    assert "90" in plain(await chat.say("how much is the Linen Shirt"))
    assert "Linen Shirt in M is in stock" in plain(await chat.say("and in M?"))
    assert "Linen Shirt in L is sold out" in plain(await chat.say("L?"))
    assert "50" in plain(await chat.say("and the coton shirt?"))
    # The two that were spoken of, not the one that was shown last.
    assert plain(await chat.say("which one is cheaper?")).startswith("Cotton Shirt costs least")


async def test_choices_that_nobody_took_leave_what_was_shown_as_it_was(
    chat: Chat, goods: dict[str, UUID], models: Models
) -> None:
    models.reads("and is there a nicer one?", "return_item", "track_order", "exchange", gate=UNSURE)
    await chat.say("do you have the Linen Shirt")
    await chat.say("do you have the Cotton Shirt")
    assert "not sure" in plain(await chat.say("and is there a nicer one?"))
    assert plain(await chat.say("which of them is cheaper?")).startswith("Cotton Shirt costs least")


@pytest.mark.parametrize(
    ("text", "language", "words"),
    [
        ("بكم Linen Shirt", "ar", "متوفر"),
        ("כמה עולה Linen Shirt", "he", "במלאי"),
        ("price of linen shirt", "en", "in stock"),
    ],
)
async def test_it_answers_in_the_language_of_the_question_whatever_the_title_is(
    chat: Chat, goods: dict[str, UUID], text: str, language: str, words: str
) -> None:
    said = await chat.say(text)
    assert words in plain(said)
    assert said is not None
    assert said.data["bot"]["language"] == language


@pytest.fixture
async def translated(app: App, workspace: UUID, goods: dict[str, UUID]) -> dict[str, UUID]:
    """The same goods in a shop that translated two of them, and the colours of one."""
    told = {
        "Linen Shirt": {
            "ar": {"title": "قميص كتّان", "choices": {"S": "صغير", "M": "وسط", "L": "كبير"}},
            "he": {"title": "חולצת פשתן", "choices": {"S": "קטן", "M": "בינוני", "L": "גדול"}},
        },
        "Cotton Shirt": {"ar": {"title": "قميص قطن", "choices": {}}, "he": {"title": "חולצת כותנה", "choices": {}}},
    }
    async with app.db.transaction(workspace) as tx:
        for title, known in told.items():
            await tx.execute(update(Product).where(Product.id == goods[title]).values(translations=known))
    return goods


@pytest.mark.parametrize(
    ("text", "words", "card"),
    [
        ("هل لديكم قميص الكتان؟", ("قميص كتّان متوفر", "صغير", "وسط", "90", "كبير"), "قميص كتّان"),
        ("بكم القميص القطن", ("قميص قطن", "50"), "قميص قطن"),
        ("יש לכם את חולצת הפשתן?", ("חולצת פשתן", "קטן", "בינוני", "90", "גדול"), "חולצת פשתן"),
        ("כמה עולה חולצת כותנה", ("חולצת כותנה", "50"), "חולצת כותנה"),
        ("how much is the linen shirt", ("Linen Shirt", "S", "M", "90"), "Linen Shirt"),
        # A language that the shop did not translate this one into.
        ("بكم Blue Mug", ("Blue Mug",), "Blue Mug"),
    ],
)
async def test_goods_are_found_and_shown_by_what_the_shop_calls_them_in_the_shoppers_language(
    chat: Chat, translated: dict[str, UUID], text: str, words: tuple[str, ...], card: str
) -> None:
    said = await chat.say(text)
    assert [word for word in words if word not in plain(said)] == []
    assert said is not None
    assert [one["title"] for one in said.data["cards"]] == [card]


@pytest.mark.parametrize(
    ("first", "then", "sold_out", "compare", "cheaper"),
    [
        ("بكم قميص الكتان", "طيب والوسط؟", "والكبير؟", "شو الفرق بين قميص الكتان وقميص القطن", "قميص قطن"),
        ("כמה עולה חולצת הפשתן", "ובבינוני?", "ובגדול?", "מה ההבדל בין חולצת פשתן לחולצת כותנה", "חולצת כותנה"),
    ],
)
async def test_variants_and_comparisons_go_by_translated_names(
    chat: Chat, translated: dict[str, UUID], first: str, then: str, sold_out: str, compare: str, cheaper: str
) -> None:
    await chat.say(first)
    there = plain(await chat.say(then))
    assert "90" in there
    assert ("وسط" in there) != ("בינוני" in there)
    gone = plain(await chat.say(sold_out))
    assert "90" not in gone
    assert ("كبير" in gone) != ("גדול" in gone)
    compared = plain(await chat.say(compare))
    assert compared.count("•") == 2
    assert cheaper in compared.splitlines()[-1]


async def test_what_may_be_meant_is_offered_by_translated_names(chat: Chat, translated: dict[str, UUID]) -> None:
    said = await chat.say("هل لديكم قميص حرير؟")
    assert said is not None
    assert {one["title"] for one in said.data["cards"]} <= {"قميص كتّان", "قميص قطن"}
    assert "حرير" not in plain(said)
    assert {"قميص كتّان", "قميص قطن"} <= set(offered(said)), "in either order: both came in the same second"


@pytest.mark.parametrize(
    ("text", "language"),
    [("is the מגבת רחצה מכותנה in stock", "en"), ("بكم קערת סלט", "ar"), ("כמה עולה شمعة ياسمين", "he"),
     ("do you have شمعة ياسمين", "en"), ("ابغى Nike Air الجديد", "ar"), ("أين طلبي", "ar"), ("hello", "en")],
)  # fmt: skip
def test_a_name_in_another_script_does_not_change_the_language(text: str, language: str) -> None:
    assert spoken_in(text) == language


async def test_goods_are_compared_by_price(chat: Chat, goods: dict[str, UUID]) -> None:
    said = plain(await chat.say("what is the difference between the linen shirt and the cotton shirt"))
    assert said.count("•") == 2
    assert "Cotton Shirt costs least" in said


async def test_when_it_is_there_again_nobody_invents(chat: Chat, goods: dict[str, UUID], models: Models) -> None:
    assert "sold out" in plain(await chat.say("do you have the blue mug"))
    said = await chat.say("when will it be back in stock")
    assert "do not know when it will be back in stock" in plain(said)
    assert reason(said) == "nothing_written"
    assert (await chat.talk()).waiting_since is not None


async def test_who_asks_for_a_price_of_nothing_is_asked_of_what_once(chat: Chat, goods: dict[str, UUID]) -> None:
    assert "Which product" in plain(await chat.say("how much is it"))
    assert "90" in plain(await chat.say("the linen shirt"))


async def test_a_discount_is_an_honest_no_or_the_shops_own_code(
    chat: Chat, app: App, workspace: UUID, store: Store, maya: Agent, models: Models
) -> None:
    models.reads("any discount?", "discounts")
    said = await chat.say("any discount?")
    assert "no discount code that I could give" in plain(said)
    assert (await chat.talk()).waiting_since is None
    await set_bot(app, workspace, store, maya, discount={"on": False, "public_code": "AHLAN10"})
    assert "AHLAN10" in plain(await chat.say("any discount?"))
    assert reason(await chat.say("any discount?")) == "said_already"


async def test_who_wants_to_be_called_gives_a_number_and_the_team_has_it(chat: Chat) -> None:
    said = await chat.say("can someone call me back please")
    assert "Write your phone number" in plain(said)
    said = await chat.say("050 123 4567")
    assert "050 123 4567" in plain(said)
    notes = [one.text for one in await chat.thread() if one.kind == "note"]
    assert sum("They want to be called back." in one for one in notes) == 1
    assert sum("To be called back at: \u2066050 123 4567\u2069" in one for one in notes) == 1


async def test_an_address_and_a_number_in_one_message_are_both_kept(chat: Chat) -> None:
    asked = plain(await chat.say("can someone call me back please"))
    assert "phone number" in asked
    assert "e-mail address" in asked
    said = plain(await chat.say("0501234567, or rana@example.com"))
    assert "0501234567" in said
    assert "rana@example.com" in said
    assert (await chat.talk()).reply_email == "rana@example.com"
    assert sum("To be called back at" in one.text for one in await chat.thread() if one.kind == "note") == 1


async def test_an_order_number_after_the_number_was_asked_for_is_no_telephone(chat: Chat) -> None:
    said = plain(await chat.say("call me back about order 10012345"))
    assert "Write your phone number" in said
    assert await chat.say("my order is 10012345") is None
    assert not any("called back at" in one.text for one in await chat.thread())


@pytest.mark.parametrize(
    "text",
    ["The Linen Shirt gave me a rash, what now?", "Linen Shirt arrived torn", "قميص Linen Shirt وصل ممزق",
     "Linen Shirt הגיעה קרועה ומלוכלכת"],
)  # fmt: skip
async def test_a_complaint_that_names_a_product_goes_to_a_person(chat: Chat, goods: dict[str, UUID], text: str) -> None:
    said = await chat.say(text)
    assert said is not None
    assert said.data["bot"]["parts"][0]["outcome"] == "person"
    assert (await chat.talk()).waiting_since is not None


@pytest.mark.parametrize(
    "text", ["the second parcel did not arrive", "I bought two, one is torn", "my last order is broken", "my S is torn"]
)
async def test_a_number_or_a_place_in_another_matter_is_no_product(
    chat: Chat, goods: dict[str, UUID], text: str
) -> None:
    await chat.say("do you have the linen shirt or the cotton shirt")
    said = await chat.say(text)
    assert said is not None
    assert said.data["bot"]["parts"][0]["outcome"] == "person"


async def test_when_it_comes_behind_a_product_is_about_delivery(
    chat: Chat, goods: dict[str, UUID], models: Models, shop: dict[str, UUID]
) -> None:
    models.reads("when will I get it?", "delivery_time")
    models.reads("will it come back to me again?", "delivery_time")
    models.reads("How long does delivery take, and what does it cost?", "delivery_time")
    await chat.say("do you have the linen shirt")
    assert "five days" in plain(await chat.say("when will I get it?"))
    assert "Linen Shirt" not in plain(await chat.say("will it come back to me again?"))


async def test_a_question_behind_and_that_has_its_own_matter_does_not_vanish(
    chat: Chat, shop: dict[str, UUID], models: Models
) -> None:
    """Read together they would be sure of the first one's topic: the second would count as answered."""
    models.reads("How long does delivery take, and what does it cost?", "delivery_time")
    models.reads("how long does delivery take?", "delivery_time")
    models.reads("how long does delivery take? and engraved rings?", "delivery_time")
    said = await chat.say("how long does delivery take? and engraved rings?")
    assert "five days" in plain(said)
    assert said is not None
    assert len(said.data["bot"]["parts"]) == 2


async def test_the_rules_that_go_before_the_door_are_quoted_once(
    chat: Chat, app: App, workspace: UUID, store: Store, maya: Agent, models: Models, article: Write
) -> None:
    rules = await article(en=("Returns", "Thirty days, unworn."))
    await set_bot(app, workspace, store, maya, answers={"return_item": str(rules)})
    models.reads("how can I return order", "return_item")
    models.reads("how do I return order", "return_item")
    assert "Thirty days" in plain(await chat.say("how can I return order 1001"))
    again = plain(await chat.say("how do I return order 1002"))
    assert "Thirty days" not in again
    assert "Find my order" in again


@pytest.mark.parametrize("text", ["call me back 0501234567", "اتصلوا علي 0501234567", "תחזרו אליי 0501234567"])
async def test_a_number_that_was_said_is_not_asked_for(chat: Chat, text: str) -> None:
    said = await chat.say(text)
    assert "+966501234567" in plain(said) or "0501234567" in plain(said)
    assert not [word for word in ("@", "e-mail", "البريد", "بريدكم", "אימייל") if word in plain(said)]


async def test_a_number_after_the_door_to_proof_fills_the_door_in(chat: Chat, models: Models) -> None:
    models.reads("where is my order", "track_order")
    await chat.say("where is my order")
    said = await chat.say("1001")
    assert said is not None
    assert said.data["cards"][0]["given"] == {"number": "1001"}


async def test_of_several_questions_what_is_unsure_stands_once_and_last(
    chat: Chat, shop: dict[str, UUID], models: Models
) -> None:
    models.reads("How long does delivery take, and what does it cost?", "delivery_cost")
    models.reads("how much is delivery?", "delivery_cost")
    models.reads("can I send it back to you?", "return_item", "exchange", gate=UNSURE)
    models.reads("what about my purchase of today?", "track_order", "invoice", gate=UNSURE)
    said = await chat.say("how much is delivery? can I send it back to you? what about my purchase of today?")
    assert plain(said).index("25 SAR") < plain(said).index("Is it one of these?")
    assert plain(said).count("Is it one of these?") == 1
    assert offered(said)[-1] == "Talk to a person"


@pytest.mark.parametrize(
    ("text", "order", "delivery"),
    [
        ("where is my order, how much is delivery", "where is my order", "how much is delivery"),
        ("where is my order\nand how much is delivery", "where is my order", "and how much is delivery"),
        ("وين طلبي، بكم التوصيل", "وين طلبي", "بكم التوصيل"),
        ("איפה ההזמנה שלי, כמה עולה משלוח", "איפה ההזמנה שלי", "כמה עולה משלוח"),
    ],
)
async def test_several_questions_without_question_marks_are_each_answered(
    chat: Chat, shop: dict[str, UUID], models: Models, text: str, order: str, delivery: str
) -> None:
    models.reads("How long does delivery take, and what does it cost?", "delivery_cost")
    models.reads(order, "track_order")
    models.reads(delivery, "delivery_cost")
    said = await chat.say(text)
    assert said is not None
    assert "25" in plain(said)
    assert {card["kind"] for card in said.data["cards"]} == {"article", "door"}


async def test_beside_a_hand_over_nothing_is_asked_back(chat: Chat, shop: dict[str, UUID], models: Models) -> None:
    models.reads("can I send it back to you?", "return_item", "exchange", gate=UNSURE)
    said = await chat.say("is the boss married at all? can I send it back to you?")
    assert "Is it one of these?" not in plain(said)
    assert offered(said) == []
    assert "A colleague takes over" in plain(said)


async def test_it_in_another_question_is_no_question_about_stock(
    chat: Chat, goods: dict[str, UUID], models: Models
) -> None:
    models.reads("and if it does not fit, can I bring it back?", "return_item", "exchange", gate=UNSURE)
    await chat.say("how much is the linen shirt")
    said = await chat.say("and if it does not fit, can I bring it back?")
    assert "stock" not in plain(said)
    assert offered(said)


async def test_whether_and_how_much_is_one_question(chat: Chat, goods: dict[str, UUID]) -> None:
    said = plain(await chat.say("do you have the cotton shirt? and how much?"))
    assert said.count("Cotton Shirt") == 1
    assert "50" in said


async def test_the_large_one_behind_a_product_is_no_delivery(
    chat: Chat, goods: dict[str, UUID], models: Models, shop: dict[str, UUID]
) -> None:
    models.reads("how much in M", "delivery_cost")
    models.reads("how much is delivery of it?", "delivery_cost")
    models.reads("How long does delivery take, and what does it cost?", "delivery_cost")
    await chat.say("do you have the linen shirt")
    assert "Linen Shirt in M" in plain(await chat.say("how much in M"))
    assert "25 SAR" in plain(await chat.say("how much is delivery of it?"))


async def test_an_address_is_thanked_for_in_the_language_that_was_spoken(chat: Chat) -> None:
    await chat.say("عايز اتكلم مع موظف")
    assert plain(await chat.say("rana@example.com")).startswith("شكرًا")


async def test_a_word_that_means_nothing_is_asked_about_once(chat: Chat) -> None:
    said = await chat.say("asdkjh qwlekj")
    assert "did not understand" in plain(said)
    assert offered(said)
    assert reason(await chat.say("lkjqwe")) == "outside"


async def test_twenty_thousand_characters_are_refused_in_one_and_read_in_five(
    chat: Chat, shop: dict[str, UUID], models: Models
) -> None:
    """One message holds four thousand; whoever sends more at once is told so, and in pieces it is read in time."""
    with pytest.raises(AhlanError):
        await chat.write("how much is delivery? " * 1_000)
    piece = ("how much is delivery? \u202e😀 \u2066" * 200)[:MAX_TEXT]
    for _piece in range(5):
        await chat.write(piece)
    said = await chat.settle()
    assert said is not None
    assert "\u202e" not in said.text
    assert max(map(len, models.asked)) <= MAX_TEXT
    assert len([one for one in await chat.thread() if one.author == "bot" and one.kind == "message"]) == 1
