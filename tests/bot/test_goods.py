"""What a question asks about goods, and which it names: titles in three languages, as people type them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugin.bot import goods
from plugin.bot.goods import Goods, Named, Want, fitting, named, naming, wants

TITLES = (
    "Olive wood board", "Olive oil soap", "Olive oil, first press 1 l", "Olive oil, first press 500 ml",
    "Medjool dates", "Tea glass, set of six", "Zaytouna T-shirt", "קערת סלט בעבודת יד", "קנקן מים", "ספל בוקר",
    "סבון דפנה", "סל קלוע", "شمعة ياسمين", "سمّاق", "قدر فخّار للطبخ", "فنجان إسبريسو", "صحن عشاء",
)  # fmt: skip
GOODS = Goods(Named(title, title) for title in TITLES)


@pytest.mark.parametrize(
    ("text", "want", "titles"),
    [
        ("how much is the olive wood board?", Want.PRICE, ["Olive wood board"]),
        ("Do you have the Medjool dates in 500 g?", Want.STOCK, ["Medjool dates"]),
        ("tea glas price plz", Want.PRICE, ["Tea glass, set of six"]),
        (
            "compare olive oil 1 l and 500 ml",
            Want.COMPARE,
            list(TITLES[2:4]),
        ),
        ("is the קנקן מים available", Want.STOCK, ["קנקן מים"]),
        ("which soaps do you have?", Want.STOCK, ["Olive oil soap"]),
        ("كم سعر قدر الفخار؟", Want.PRICE, ["قدر فخّار للطبخ"]),
        ("قديش حق السماق عندكن", Want.PRICE, ["سمّاق"]),
        ("بكام الشمعه", Want.PRICE, ["شمعة ياسمين"]),
        ("شحال olive wood board", Want.PRICE, ["Olive wood board"]),
        ("شو الفرق بين فنجان الإسبرسو وصحن العشا", Want.COMPARE, ["فنجان إسبريسو", "صحن عشاء"]),
        ("איזה מידות יש לכם בסל קלוע", Want.CHOICE, ["סל קלוע"]),
        ("כמה עולה קנקן המים", Want.PRICE, ["קנקן מים"]),
        ("מה ההבדל בין ספל בוקר לקנקן מים", Want.COMPARE, ["ספל בוקר", "קנקן מים"]),
        ("יש לכם סבונים?", Want.STOCK, ["סבון דפנה"]),
        ("bkam el olive wood board", Want.PRICE, ["Olive wood board"]),
    ],
)
def test_goods_are_named_in_any_language_with_slips(text: str, want: Want, titles: list[str]) -> None:
    found = named(text, GOODS)
    assert list(found.ids) == titles
    assert found.sure
    assert want in wants(text)


@pytest.mark.parametrize("text", ["how much is delivery to Haifa", "כמה עולה המשלוח", "بكم التوصيل", "where is it"])
def test_what_is_no_product_is_none(text: str) -> None:
    assert named(text, GOODS).ids == ()


def test_half_a_name_among_other_words_is_not_sure() -> None:
    assert not named("is the linen shirt there", Goods([Named("t", "Cotton shirt")])).sure


def test_an_address_in_latin_letters_names_what_has_another_title() -> None:
    bowl = Named("bowl", "קערת סלט", more="hand thrown salad bowl")
    assert named("how much is the salad bowl", Goods([bowl]), GOODS).ids == ("bowl",)


@pytest.mark.parametrize(
    ("text", "choice", "is_it"),
    [("and XL?", "XL", True), ("is it in L", "XL", False), ("and 250?", "250 g", True), ("و٢٥٠", "٢٥٠ غ", True),
     ("طيب والكبير؟", "كبير", True), ("יש בזית?", "זית", True), ("in 500 g", "250 g", False)],
)  # fmt: skip
def test_a_size_or_colour_is_named_as_people_do(text: str, choice: str, is_it: bool) -> None:
    assert fitting(text, [choice]) == ([0] if is_it else [])


@pytest.mark.parametrize(
    ("text", "choices", "meant"),
    [
        ("is the black 42 in stock?", ["42 / White", "42 / Black", "43 / Black"], ["42 / Black"]),
        ("42?", ["42 / White", "42 / Black", "43 / Black"], ["42 / White", "42 / Black"]),
        ("the blue 42", ["42 / White", "43 / Blue"], []),
        ("and in L?", ["Red / L", "Blue / L", "Red / M"], ["Red / L", "Blue / L"]),
        ("the large one", ["Large", "Extra large"], ["Large"]),
        ("extra large?", ["Large", "Extra large"], ["Extra large"]),
        ("xl", ["L", "XL", "2XL"], ["XL"]),
        ("2xl", ["L", "XL", "2XL"], ["2XL"]),
        ("it's broken and I'm sad", ["S", "M", "L"], []),
        ("عندكم ٤٢ أسود؟", ["42 / أبيض", "42 / أسود"], ["42 / أسود"]),
        ("יש 42 בשחור?", ["42 / לבן", "42 / שחור"], ["42 / שחור"]),
        ("comes with your name?", ["With box", "Without box"], []),
    ],
)
def test_all_that_is_said_of_a_choice_counts_and_several_may_be_meant(
    text: str, choices: list[str], meant: list[str]
) -> None:
    assert [choices[at] for at in fitting(text, choices)] == meant


@pytest.mark.parametrize(
    "text",
    [
        "The olive oil soap gave me a rash, what now?",
        "Medjool dates arrived with worms",
        "שמן על קנקן המים, הכול נשבר",
        "שבור לי ספל בוקר",
        "قدر الفخار وصل مكسور",
    ],
)
def test_who_tells_what_happened_to_a_product_asks_nothing_about_it(text: str) -> None:
    found = named(text, GOODS)
    assert found.ids
    assert not found.sure
    assert found.left
    assert not wants(text, found.title)


def test_a_word_that_stands_on_a_shelf_is_no_slip_of_another() -> None:
    shop = Goods([Named("shirt", "Linen shirt"), Named("shorts", "Linen shorts"), Named("c", "Cotton shorts")])
    assert named("do you have the linen shirt", shop).ids == ("shirt",)
    assert named("do you have linen shorts", shop).ids == ("shorts",)
    assert named("do you have the linen shrit", shop).ids == ("shirt",)


def test_an_asking_word_names_where_a_title_has_it() -> None:
    shop = Goods([Named("better", "Better Sleep Tea"), Named("sleep", "Sleep Tea")])
    found = named("The Better Sleep Tea tastes of nothing", shop)
    assert found.ids == ("better",)
    assert not wants("The Better Sleep Tea tastes of nothing", found.title)
    assert named("how much is the sleep tea", shop).ids == ("sleep",)
    assert Want.COMPARE in wants("is sleep tea better than mint", named("is sleep tea better than mint", shop).title)


@pytest.mark.parametrize("text", ["when will I get it?", "it broke again", "when will my parcel come"])
def test_when_and_again_alone_ask_for_no_restocking(text: str) -> None:
    assert wants(text) == frozenset()


def test_a_message_of_a_thousand_words_costs_no_more_than_a_question(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted, not timed: pairs of words that are held against each other letter by letter."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    shop = Goods(Named(str(at), f"{letters[at % 26]}{letters[at // 26 % 26]}thing{at % 7}x") for at in range(2_000))
    compared = 0
    slip = goods._slip

    def counted(one: str, other: str) -> bool:
        nonlocal compared
        compared += 1
        return slip(one, other)

    monkeypatch.setattr(goods, "_slip", counted)
    junk = " ".join(f"{letters[at % 26]}{letters[at // 26 % 26]}junks" for at in range(1_000))
    named(junk, shop)
    fitting(junk, [f"{letters[at]}colour" for at in range(26)])
    assert compared < 20_000


_SAID = (
    "zaytouna",
    "jug",
    "jugs",
    "better",
    "soap",
    "42",
    "2xl",
    "الزيتون",
    "وسماق",
    "בסבון",
    "it's",
    "\u202e",
    "%",
    "😀",
)
_TYPED = st.builds(
    lambda some, odd: " ".join((*some, odd)), st.lists(st.sampled_from(_SAID), max_size=8), st.text(max_size=9)
)


@given(_TYPED, st.lists(_TYPED, max_size=3))
def test_whatever_is_typed_names_only_what_is_there(text: str, titles: list[str]) -> None:
    shop = Goods(Named(str(at), title) for at, title in enumerate([*titles, "Zaytouna jug"]))
    planted = str(len(titles))
    found = named(text, shop)
    assert set(found.ids) <= {str(at) for at in range(len(titles) + 1)}
    assert len(set(found.ids)) == len(found.ids)
    # Whatever else is there and is said, the one that is named by its whole name is found.
    assert planted in named(f"Zaytouna jug {text}", shop).ids or any(
        {"zaytouna", "jug"} <= {form for word in naming(title) for form in (word, word.rstrip("s"))} for title in titles
    )


@given(st.sampled_from(TITLES), st.sampled_from(["how much is the", "بكم", "כמה עולה", "bkam"]))
def test_a_whole_title_is_found_whatever_language_asks(title: str, question: str) -> None:
    found = named(f"{question} {title}", GOODS)
    assert title in found.ids
    assert found.sure


TRANSLATED = (
    ("soap", ("Olive oil soap", "صابون زيت الزيتون", "סבון שמן זית")),
    ("towel", ("Tea towel", "فوطة مطبخ", "מגבת מטבח")),
    ("bath", ("Cotton bath towel", "منشفة حمّام قطنية", "מגבת רחצה מכותנה")),
    ("sumac", ("Sumac", "سمّاق", "סומק")),
    ("jasmine", ("Jasmine candle", "شمعة ياسمين", "נר יסמין")),
    ("wax", ("Beeswax candle", "شمعة شمع العسل", "נר דבורים")),
    ("cup", ("Espresso cup", "فنجان إسبريسو", "ספל אספרסו")),
)
IN_THREE = Goods(Named(id, title, f"address of {id}") for id, titles in TRANSLATED for title in titles)


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("هل لديكم صابون زيت الزيتون؟", ["soap"]),
        ("بكم الصابون", ["soap"]),
        ("سعر صابون بزيت الزيتون", ["soap"]),
        ("عندكم فوط مطبخ؟", ["towel"]),
        ("بدي فوطة المطبخ والسماق", ["towel", "sumac"]),
        ("قديش المناشف القطنية", ["bath"]),
        ("وفنجان الإسبرسو متوفر؟", ["cup"]),
        ("شو الفرق بين شمعة الياسمين وشمعة شمع العسل", ["jasmine", "wax"]),
        ("יש לכם את הסבון?", ["soap"]),
        ("כמה עולה מגבת המטבח", ["towel"]),
        ("מה ההבדל בין נר יסמין לנר דבורים", ["jasmine", "wax"]),
        ("וספלי אספרסו יש?", ["cup"]),
        ("כמה עולים הנרות", ["jasmine", "wax"]),
        ("is the tea towel there", ["towel"]),
        ("how much are the candles", ["jasmine", "wax"]),
        ("عندكم espresso cup؟", ["cup"]),
    ],
)
def test_goods_with_a_name_in_each_language_are_named_in_any_once(text: str, ids: list[str]) -> None:
    found = named(text, IN_THREE)
    assert list(found.ids) == ids
    assert found.sure


@pytest.mark.parametrize("text", ["هل لديكم حذاء رياضي", "כמה עולה ארנק עור", "do you have a bicycle"])
def test_what_no_language_calls_so_is_not_named(text: str) -> None:
    assert named(text, IN_THREE).ids == ()
