"""Countries that a question names, in any language, with what is written onto them, and by their cities."""

from __future__ import annotations

import pytest

from plugin.bot import delivering, places


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("how much is delivery to Jordan", ["JO"]),
        ("do you ship to Saudi Arabia or Kuwait?", ["SA", "KW"]),
        ("do you deliver to Riyadh", ["SA"]),
        ("shipping to South Africa", ["ZA"]),
        ("كم التوصيل للأردن", ["JO"]),
        ("بتوصلوا على دبي", ["AE"]),
        ("كم الشحن إلى السعودية والكويت", ["SA", "KW"]),
        ("التوصيل لبيروت", ["LB"]),
        ("هل توصلون الى حيفا", ["IL"]),
        ("כמה עולה משלוח לירדן", ["JO"]),
        ("יש משלוחים לארה״ב?", ["US"]),
        ("אתם שולחים לבאר שבע", ["IL"]),
        ("kam el tawsil 3ala 3amman", ["JO"]),
        ("كم يوم للأردن", ["JO"]),
        ("كم يوم التوصيل للاردن", ["JO"]),
        ("kam yom 3ala jordan", ["JO"]),
        ("kam yom el tawseel 3al ordon", ["JO"]),
        ("kam yom tawseel jordan", ["JO"]),
        ("توصيل السعودية", ["SA"]),
        ("كم شحن الكويت؟", ["KW"]),
        ("كم سعر توصيل الرياض وجدة", ["SA"]),
        ("שליחות חיפה", ["IL"]),
        ("כמה עולה משלוח אילת", ["IL"]),
        ("الى مدينة الرياض", ["SA"]),
        ("كم التوصيل لمدينة جدة", ["SA"]),
        ("كم التوصيل لدولة الكويت", ["KW"]),
        ("توصلون للكويت ولدولة قطر", ["KW", "QA"]),
        ("משלוח לעיר חיפה", ["IL"]),
        ("delivery to the city of Riyadh", ["SA"]),
        ("how much is delivery", []),
        ("متى يصل طلبي", []),
        ("כמה עולה המשלוח", []),
    ],
)
def test_a_country_is_known_by_its_names_and_cities(text: str, codes: list[str]) -> None:
    assert places.countries(text) == codes


@pytest.mark.parametrize(
    ("text", "home"),
    [
        ("هل التوصيل بعد المغرب", "AE"),
        ("توصلون قبل المغرب", "AE"),
        ("توصلون بالمغرب ولا بعد العشاء", "AE"),
        ("كم سعر توصيل العباية الزرقاء", "AE"),
        ("بكم توصيل طلبية مالي", "AE"),
        ("كم توصيل رباط الحذاء", "AE"),
        ("كم التوصيل لرباط الحذاء", "AE"),
        ("كم توصيل صحن بقطر 30", "AE"),
        ("كم توصيل قميص السعودية", "SA"),
        ("توصيل الاردن الهاشمي لكرة القدم", "JO"),
        ("توصيل المغرب", "AE"),
        ("توصيل المغرب؟", "MA"),
        ("كم توصيل فاس", "MA"),
        ("كم التوصيل الزرقاء", "JO"),
        ("كم التوصيل من مدينة جدة", "SA"),
        ("صنع في دولة الكويت", "KW"),
        ("مدينة الرياض جميلة", "SA"),
        ("משלוח הודו", "IL"),
        ("משלוח פרו", "IL"),
        ("משלוח ירדן נייק", "IL"),
        ("מאיפה המשלוח? מהעיר חיפה", "IL"),
        ("משלוח של אייפון 15 פרו", "IL"),
        ("כמה עולה משלוח לבנין גבוה", "IL"),
        ("כמה עולה משלוח מירדן", "IL"),
        ("כמה עולה משלוח מירדן לגרמניה", "IL"),
        ("המשלוח של התיק תוצרת טורקיה", "IL"),
        ("delivery of the jersey", "GB"),
        ("nike air jordan", "US"),
        ("how much is delivery of the air jordan", "US"),
        ("how much is delivery of the bag made in Turkey", "US"),
        ("Cairo Illinois", "US"),
        ("delivery to Cairo Illinois", "US"),
        ("delivery to Paris, TX", "US"),
        ("London Ontario canada", "GB"),
        ("delivery to London Ontario canada", "GB"),
        ("delivery from Israel to Germany", "IL"),
        ("delivery to Germany from Israel", "IL"),
        ("كم الشحن من الاردن الى السعودية", "JO"),
        ("I am in Jordan, do you ship to Kuwait", "AE"),
        ("do you ship the air jordan to Georgia", "JO"),
        ("is the jersey Turkey red", "GB"),
    ],
)
def test_ordinary_words_origins_and_parts_of_other_places_name_nothing(text: str, home: str) -> None:
    assert not places.countries(text, home)


@pytest.mark.parametrize(
    ("text", "home", "codes"),
    [
        ("delivery to New Jersey", "US", ["US"]),
        ("delivery to new mexico", "US", ["US"]),
        ("delivery to washington georgia", "US", ["US"]),
        ("delivery to Georgia", "US", ["US"]),
        ("delivery to Northern Ireland", "GB", ["GB"]),
        ("delivery to Ireland", "GB", ["IE"]),
        ("delivery to the UK and to the USA", "GB", ["GB", "US"]),
        ("do you deliver to Amman, Jordan", "JO", ["JO"]),
        ("التوصيل الى المغرب", "AE", ["MA"]),
        ("كم التوصيل للزرقاء", "JO", ["JO"]),
        ("بتوصلوا عالاردن ولبيروت", "JO", ["JO", "LB"]),
        ("توصلون بالكويت", "KW", ["KW"]),
        ("כמה עולה משלוח לגרמניה או לצרפת", "IL", ["DE", "FR"]),
        ("משלוח לניו ג'רזי", "US", ["US"]),
    ],
)
def test_behind_a_word_of_direction_the_whole_name_counts(text: str, home: str, codes: list[str]) -> None:
    assert places.countries(text, home) == codes


def test_the_stores_own_regions_go_before_countries() -> None:
    assert places.countries("delivery to Georgia", "AE") is None
    assert places.countries("delivery to Georgia", "AE", {"US": ("Georgia", "Texas")}) == ["US"]
    assert places.countries("delivery to Jordan", "AE", {"US": ("Georgia", "Texas")}) == ["JO"]


def test_what_two_places_are_called_is_the_stores_own() -> None:
    assert places.countries("كم التوصيل الى عمان", "JO") == ["JO"]
    assert places.countries("كم التوصيل الى عمان", "OM") == ["OM"]
    assert places.countries("كم التوصيل الى عمان", "SA") is None


def test_regions_are_known_by_their_names() -> None:
    assert places.regions("delivery to Giza please", ("Cairo", "Giza")) == ["Giza"]
    assert places.regions("delivery to Aswan", ("Cairo", "Giza")) == []
    assert places.regions("delivery to Egypt, Giza", ("Cairo", "Giza")) == ["Giza"]
    assert places.regions("the giza dress to Egypt", ("Cairo", "Giza")) == []


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("كم سعر التوصيل إلى السعودية؟", "كم سعر التوصيل"),
        ("How much is delivery to the city of Riyadh or Kuwait?", "how much is delivery"),
        ("כמה עולה משלוח לירדן", "כמה עולה משלוח"),
        ("how much is the air jordan", "how much is the air jordan"),
        ("is it from Turkey", "is it from turkey"),
    ],
)
def test_what_is_asked_stays_without_the_place_that_it_goes_to(text: str, left: str) -> None:
    assert places.without(text) == left


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("كم يوم للأردن", True),
        ("كم يوم للأردن؟", True),
        ("كم يوم التوصيل للاردن", True),
        ("مدة الشحن إلى الكويت", True),
        ("كام يوم لدبي لو سمحت", True),
        ("kam yom 3ala jordan", True),
        ("kam yom el tawseel 3al ordon", True),
        ("addesh yom la 3amman", True),
        ("כמה ימים לירדן", True),
        ("כמה זמן לוקח משלוח לאילת", True),
        ("how many days to Jordan?", True),
        ("how long is delivery to Kuwait", False),
        ("كم يوم عندي لإرجاع طلب للأردن", False),
        ("كم يوم التوصيل", False),
        ("كم التوصيل للأردن", False),
        ("kam yom w ana 3ala jordan", False),
        ("בקשתי לפני כמה ימים משלוח לירדן", False),
        ("how many days ago did you send it to Jordan", False),
        ("كم يوم من الأردن", False),
    ],
)
def test_a_place_and_how_many_days_ask_for_the_time_of_delivery(text: str, asks: bool) -> None:
    assert delivering.asks_time(text) is asks
