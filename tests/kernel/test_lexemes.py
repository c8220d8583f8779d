"""What is indexed under one spelling is found under any other; marks lie on the writer's own letters."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugin.kernel import lexemes
from plugin.kernel.lexemes import asked, kept, marked, stems, words

ARABIC = [
    "الطلب",
    "شحنتي",
    "إرجاع",
    "أبغى",
    "مكسورة",
    "فستان",
    "آخر",
    "لؤلؤ",
    "مسؤول",
    "قرآن",
    "هدية",
    "على",
    "مبخرة",
    "توصيل",
]
HEBREW = ["הזמנה", "החבילה", "שלום", "צבעים", "מעיל", "תיקון", "כסף", "ארץ", "משלוחים", "נעליים", "קופון"]
LATIN = ["Refund", "café", "Größe", "order", "naïve", "SHIPPING", "İstanbul", "façade"]
NUMBERS = ["1001", "#1001", "500123", "RB123456789SA", "2026"]

_HARAKAT = "\u064b\u064c\u064d\u064e\u064f\u0650\u0651\u0652\u0670"
_NIQQUD = "\u05b0\u05b4\u05b5\u05b7\u05b8\u05b9\u05bc\u05c1"
_INVISIBLE = "\u200b\u200e\u200f\u2067\u2069\ufeff\u00ad"
_ALIKE = {
    "أ": "اأإآٱ", "إ": "اأإآ", "آ": "اأآ", "ا": "اأإآ", "ى": "ىي", "ي": "يىی", "ة": "ةه", "ه": "هةہ",
    "ك": "كک", "ؤ": "ؤو",
    "כ": "כך", "מ": "מם", "נ": "נן", "פ": "פף", "צ": "צץ", "ם": "םמ", "ץ": "ץצ",
}  # fmt: skip
_DIGITS = {str(digit): [str(digit), chr(0x660 + digit), chr(0x6F0 + digit), chr(0xFF10 + digit)] for digit in range(10)}


@st.composite
def spelled(draw: st.DrawFn, word: str) -> str:
    """The same word as somebody else may write it."""
    letters = []
    for letter in unicodedata.normalize(draw(st.sampled_from(["NFC", "NFD"])), word):
        one = draw(st.sampled_from([*_ALIKE.get(letter, letter), *_DIGITS.get(letter, ())]))
        if one.isascii() and one.isalpha():
            one = draw(st.sampled_from([one.lower(), one.upper()]))
        letters.append(one)
        inside = "\u0600" <= letter <= "\u06ff" or "\u0590" <= letter <= "\u05ff"
        marks = _HARAKAT + "ـ" if "\u0600" <= letter <= "\u06ff" else _NIQQUD if inside else ""
        if marks and draw(st.booleans()):
            letters.append(draw(st.sampled_from([*marks, *_INVISIBLE])))
    return (
        draw(st.sampled_from(["", "(", "«", "#", "\u2067", "!! "]))
        + "".join(letters)
        + draw(st.sampled_from(["", ".", "؟", "»", "\u2069", ",", "…"]))
    )


@given(st.sampled_from(ARABIC + HEBREW + LATIN + NUMBERS).flatmap(lambda word: st.tuples(spelled(word), spelled(word))))
def test_every_spelling_finds_every_other(pair: tuple[str, str]) -> None:
    written, typed = pair
    (question,) = asked([typed])
    (word,) = words(written)
    assert question.finds(word)
    assert not set(kept(word)).isdisjoint(question.exact), "the index finds it by more than its beginning"
    assert "".join(piece.text for piece in marked(f"x {written} y", [question])) == f"x {written} y"
    found = [piece.text for piece in marked(f"x {written} y", [question]) if piece.found]
    assert len(found) == 1
    assert words(found[0]) == [word]


@given(st.text())
def test_words_of_a_text_are_those_of_its_pieces_and_need_no_quoting(text: str) -> None:
    found = words(text)
    assert found == words(" ".join(found)), "a word is its own spelling"
    for word in found:
        assert word
        assert len(word) <= lexemes.LONGEST
        for form in kept(word):
            assert not set(form) & set("'\\:&|!() \0")


@given(st.text(), st.lists(st.text(min_size=1), max_size=3))
def test_marking_changes_no_letter(text: str, said: list[str]) -> None:
    pieces = marked(text, asked([*said, text[:5]]))
    assert "".join(piece.text for piece in pieces) == text
    assert all(piece.text for piece in pieces)


@given(st.lists(st.sampled_from(ARABIC + HEBREW + LATIN + NUMBERS), min_size=1, max_size=60), st.data())
def test_an_excerpt_is_short_and_holds_the_first_mark(said: list[str], data: st.DataObject) -> None:
    word = data.draw(st.sampled_from(said))
    line = lexemes.excerpt(marked("\n".join(said), asked([word])))
    assert any(piece.found for piece in line)
    assert len("".join(piece.text for piece in line)) < 170
    assert "\n" not in "".join(piece.text for piece in line)


@pytest.mark.parametrize(
    ("typed", "written"),
    [
        ("طلب", "الطلب طلبي والطلب بالطلب للطلب طلبات طلبها"),
        ("شحنة", "الشحنة شحنتي والشحنات شحنتنا"),
        ("مكسور", "مكسورة المكسور"),
        ("חבילה", "החבילה והחבילה שהחבילה בחבילה חבילות לחבילה"),
        ("הזמנה", "ההזמנה הזמנות להזמנה מההזמנה"),
        ("refund", "refunds refunded refunding Refund's"),
        ("refunded", "refund refunds"),
        ("ship", "shipping shipment ships"),
        ("١٠٠١", "1001 #1001 ۱۰۰۱"),
        ("#1001", "1001 ١٠٠١"),
    ],
)
def test_other_forms_of_a_word_are_found(typed: str, written: str) -> None:
    (question,) = asked([typed])
    for said in written.split():
        assert any(question.finds(word) for word in words(said)), said


@pytest.mark.parametrize(
    ("typed", "written"),
    [("1001", "10015 21001"), ("ab", "abc"), ("cart", "car art"), ("משלוח", "שלום"), ("طلب", "كلب قلب")],
)
def test_others_are_not(typed: str, written: str) -> None:
    (question,) = asked([typed])
    assert not any(question.finds(word) for word in words(written))


def test_a_beginning_finds_its_word_from_a_few_letters_on() -> None:
    enough = {"refu": True, "ref": False, "500123": False, "RB12": True, "gift card": False, "מעי": True, "مع": False}
    assert {word: asked([word])[0].prefix for word in enough} == enough
    assert [question.prefix for question in asked(["refund", "parc"])] == [False, True], "the last word is unfinished"
    (question,) = asked(["מעי"])
    assert question.finds(words("מעיל")[0])
    (question,) = asked(["שלום"])
    assert question.finds(words("שלומי")[0]), "a final letter inside a longer word"


def test_a_phrase_is_marked_as_one_and_only_in_a_row() -> None:
    questions = asked(["gift card"])
    assert [p.text for p in marked("My gift,  CARD and a card gift", questions) if p.found] == ["gift,  CARD"]
    (address,) = asked(["noa@shop.example"])
    assert address.parts == ("noa", "shop", "example")
    assert [p.text for p in marked("to Noa@Shop.example!", [address]) if p.found] == ["Noa@Shop.example"]


def test_the_writers_own_letters_are_marked() -> None:
    assert [p.text for p in marked("הַזְמָנָה מִצָּה״ל, וְהַהַזְמָנָה", asked(["הזמנה"])) if p.found] == ["הַזְמָנָה", "וְהַהַזְמָנָה"]
    assert [p.text for p in marked("أرسلتُ الطَّلَــبَ أمس", asked(["طلب"])) if p.found] == ["الطَّلَــبَ"]
    assert [p.text for p in marked("(REFUND!) re-fund <b>refunds</b>", asked(["refund"])) if p.found] == [
        "REFUND",
        "refunds",
    ]


def test_stems_are_never_empty() -> None:
    for word in words(" ".join(ARABIC + HEBREW + LATIN + NUMBERS)):
        assert stems(word)
        assert all(stems(word))
