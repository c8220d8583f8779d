"""What is read in a message without a model: languages, questions, numbers, addresses, days, products."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugin.bot.understand import MOST, MOST_QUESTIONS, Found, Message, Product, continues, dialled, understand

TODAY = date(2026, 11, 22)
_DIGITS = {"ascii": "0123456789", "arabic": "٠١٢٣٤٥٦٧٨٩", "persian": "۰۱۲۳۴۵۶۷۸۹"}


def read(text: str, region: str | None = "SA", products: tuple[Product, ...] = ()) -> Message:
    return understand(text, today=TODAY, region=region, products=products)


def values(found: tuple[Found, ...]) -> list[str]:
    return [one.value for one in found]


@pytest.mark.parametrize(
    ("text", "language", "arabizi"),
    [
        ("where is my order", "en", False),
        ("وين طلبي", "ar", False),
        ("איפה ההזמנה שלי", "he", False),
        ("wen talabi ya jama3a", "ar", True),
        ("3ayez araga3 el montag", "ar", True),
        ("do you have the abaya in size xl", "en", False),
        ("بدي iPhone 15 كفر", "ar", False),
        ("👍👍👍", None, False),
    ],
)
def test_the_language_is_told_by_script_and_arabizi_is_arabic(text: str, language: str | None, arabizi: bool) -> None:
    said = read(text)
    assert (said.language, said.arabizi) == (language, arabizi)


@pytest.mark.parametrize(
    ("text", "orders"),
    [
        ("Where is my order #1042?", ["1042"]),
        ("وين طلبي رقم ١٠٢٣٤", ["10234"]),
        ("הזמנה מספר 5567 לא הגיעה", ["5567"]),
        ("my order EN1001-A please", ["EN1001-A"]),
        ("talab raqam 10234 wen", ["10234"]),
        ("מס' הזמנה: 5567", ["5567"]),
        ("מס' 556 לא הגיע", ["556"]),
        ("10234", ["10234"]),
        ("#1001 and #1002", ["1001", "1002"]),
        ("I paid 4500 SAR for it", []),
        ("دفعت 4500 ريال", []),
        ("size 42 please", []),
        ("call 0501234567", []),
        ("noa1234@shop.co.il", []),
        ("it came on 2026-11-12", []),
        ("version 1.2345", []),
    ],
)
def test_order_numbers_are_told_from_prices_sizes_phones_and_days(text: str, orders: list[str]) -> None:
    assert values(read(text).orders) == orders


@given(number=st.integers(1000, 99_999_999), script=st.sampled_from(sorted(_DIGITS)),
       words=st.sampled_from(["order {}", "طلبي رقم {}", "הזמנה {}", "#{}", "where is order no. {}?"]))  # fmt: skip
def test_a_number_is_found_in_every_script_where_it_stands(number: int, script: str, words: str) -> None:
    typed = "".join(_DIGITS[script][int(digit)] for digit in str(number))
    text = words.format(typed)
    (found,) = read(text, region=None).orders
    assert found.value == str(number)
    assert text[found.start : found.end] == typed


@given(local=st.from_regex(r"[a-z][a-z0-9]{0,12}(\.[a-z0-9]{1,8})?", fullmatch=True),
       domain=st.from_regex(r"[a-z]{1,12}\.(com|co\.il|sa)", fullmatch=True),
       around=st.sampled_from(["{}", "mail me at {}.", "بريدي {}، شكرا", "המייל שלי {}!", "<{}>"]))  # fmt: skip
def test_addresses_are_found_whatever_stands_around_them(local: str, domain: str, around: str) -> None:
    said = read(around.format(f"{local}@{domain}"))
    assert values(said.emails) == [f"{local}@{domain}"]
    assert said.orders == ()


@pytest.mark.parametrize(
    ("text", "region", "phones"),
    [
        ("call me +966 50 123 4567", None, ["+966501234567"]),
        ("رقمي ٠٥٠١٢٣٤٥٦٧", "SA", ["+966501234567"]),
        ("הטלפון שלי 052-1234567", "IL", ["+972521234567"]),
        ("00971 50 123 4567", "SA", ["+971501234567"]),
        ("order 10234567", "SA", []),
        ("1234", "SA", []),
    ],
)
def test_phones_are_told_by_their_zero_or_plus(text: str, region: str | None, phones: list[str]) -> None:
    assert values(read(text, region).phones) == phones


@pytest.mark.parametrize("region", ["LB", "IL", "EG", "AE", "SA"])
def test_a_day_with_its_year_is_no_phone_wherever_the_shop_is(region: str) -> None:
    said = read("it was on 03/11/2026", region)
    assert values(said.phones) == []
    assert values(said.dates) == ["2026-11-03"]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("050 123 4567", "050 123 4567"),
        ("my number is 0501234567", "0501234567"),
        ("رقم ٠٥٠١٢٣٤٥٦٧", "0501234567"),
        ("call me back about order 10012345", ""),
        ("my order is 10012345", ""),
        ("طلبي رقم 10012345", ""),
        ("הזמנה 10012345", ""),
        ("#10012345", ""),
        ("I bought it on 23/11/2026", ""),
        ("mine1234567@shop.example", ""),
        ("order 10012345, reach me at 0501234567", "0501234567"),
    ],
)
def test_a_number_to_call_is_no_order_no_day_and_no_address(text: str, number: str) -> None:
    assert dialled(text) == number


def test_who_says_much_more_than_a_number_gives_none() -> None:
    story = "I stood in the shop and they told me the parcel 10012345 would come by the end of the week"
    assert dialled(story) == "10012345"
    assert dialled(story, alone=True) == ""


@pytest.mark.parametrize(
    ("text", "goes_on"),
    [("and to Haifa?", True), ("وكم ياخذ وقت", True), ("והאם זה עולה כסף", True), ("ولو رجعته؟", True),
     ("وين طلبي؟", False), ("وش الحل؟", False), ("واش كاين توصيل؟", False), ("وقتاش يوصل؟", False),
     ("وصلني ناقص", False), ("where is it", False)],
)  # fmt: skip
def test_a_question_word_that_begins_like_and_goes_on_from_nothing(text: str, goes_on: bool) -> None:
    assert continues(text) is goes_on


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("it came on 2026-11-12", ["2026-11-12"]),
        ("since 3/11", ["2026-11-03"]),
        ("on 28/12/25", ["2025-12-28"]),
        ("on 28/12", ["2026-12-28"]),
        ("on 2/1", ["2027-01-02"]),
        ("yesterday", ["2026-11-21"]),
        ("وصل أمس", ["2026-11-21"]),
        ("מחר", ["2026-11-23"]),
        ("32/13", []),
        ("2.50", []),
    ],
)
def test_days_are_read_day_first_and_nearest(text: str, days: list[str]) -> None:
    assert values(read(text).dates) == days


@given(st.dates(TODAY - timedelta(days=150), TODAY + timedelta(days=150)))
def test_a_day_without_its_year_is_the_nearest(day: date) -> None:
    assert values(read(f"on {day.day}/{day.month}").dates) == [day.isoformat()]


def test_the_longer_name_of_a_product_is_meant() -> None:
    products = (Product("1", ("Oud perfume", "عطر العود")), Product("2", ("Oud perfume gift set",)))
    assert read("I ordered the OUD PERFUME GIFT SET", products=products).products == ("2",)
    assert read("هل عِطر العُود متوفر؟", products=products).products == ("1",)
    assert read("is the oud perfume as strong as the oud perfume gift set", products=products).products == ("2", "1")
    assert read("cloud perfumes", products=products).products == ()


@pytest.mark.parametrize(
    ("text", "questions"),
    [
        ("Where is my order? How much is shipping?", 2),
        ("where is my order and also how much is shipping", 2),
        ("وين طلبي وكم سعر التوصيل؟", 2),
        ("איפה ההזמנה ואיך מחזירים?", 2),
        ("Hello. I bought a dress. It is too small. How do I return it?", 1),
        ("hi", 1),
        ("مرحبا", 1),
        ("black and white shirt", 1),
        ("do you ship to Haifa, how much is shipping and can I pay by card", 3),
        ("how much is shipping, can I pay by card", 2),
        ("how much is it\ncan I pay by card", 2),
        ("hi, how much is shipping and can I pay by card", 2),
        ("كم التوصيل وممكن ادفع عند الاستلام", 2),
        ("هلا، بكم الشحن، هل اقدر ادفع بالبطاقة", 2),
        ("كم التوصيل و هل فيه دفع عند الاستلام ومتى يوصل", 3),
        ("כמה עולה משלוח, אפשר לשלם באשראי", 2),
        ("שלום, כמה עולה משלוח ומתי זה מגיע ואפשר באשראי", 3),
        ("kam el tawseel w momken adfa3 cash", 2),
        ("can you help me, where is my order", 1),
        ("where is my order, can you please check", 1),
        ("ممكن تساعدني، وين طلبي", 1),
        ("אפשר לשאול, איפה ההזמנה", 1),
        ("I bought a shirt, it is too small, can I return it", 1),
        ("what are the shipping times and costs", 1),
        ("do you have it in black or white and in size 42", 1),
        ("بعد كم يوم يوصل الطلب", 1),
        ("הזמנתי שתי חולצות ויש בעיה עם אחת", 1),
        ("how much is it,can I pay", 2),
        ("how much is it, where is your shop", 2),
        ("where is my order, which I placed last week?", 1),
        ("Can I return it, when it does not fit?", 1),
        ("I ordered in April and May 3rd orders are missing", 1),
        ("Do you ship to Haifa, where I live?", 1),
        ("Is this cream safe for kids, who are under 3?", 1),
        ("do you have this dress in red, which I saw on Instagram?", 1),
        ("do you have this dress in red\nwhich I saw on Instagram?", 1),
        ("can you deliver on Sunday, may be at noon", 1),
        ("why was my order cancelled, could be my card", 1),
        ("איך מחזירים, מה שקניתי לא מתאים", 1),
        ("متى يوصل الطلب، ممكن قبل الجمعة", 1),
        ("متى يوصل الطلب، ممكن ارجعه", 2),
        ("👍", 0),
        ("", 0),
    ],
)
def test_several_questions_are_several_and_a_story_is_one(text: str, questions: int) -> None:
    said = read(text)
    assert len(said.questions) == questions
    assert said.says_nothing is (questions == 0)


@given(st.text(max_size=400))
def test_whatever_is_typed_is_read(text: str) -> None:
    said = read(text)
    assert len(said.questions) <= MOST_QUESTIONS
    for found in (*said.orders, *said.emails, *said.phones, *said.dates):
        assert 0 <= found.start < found.end <= len(said.text)
        assert found.value


def test_a_message_without_end_and_hidden_directions_are_read_in_time() -> None:
    said = read("وين طلبي " * 2500)
    assert len(said.text) <= MOST
    assert said.language == "ar"
    hidden = read("where is \u202eredro ym\u202c #1042\u2066")
    assert values(hidden.orders) == ["1042"]
    assert "\u202e" not in hidden.text
