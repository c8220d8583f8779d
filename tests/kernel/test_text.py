"""Normalisation, language, addresses: examples from real shop traffic, and properties for everything else."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from plugin.kernel.text import harmless, isolate, language_of, normalise, normalise_email, normalise_phone, search_key

# Letters, marks and digits of our scripts, mixed as people and keyboards mix them.
_OURS = st.text(
    st.one_of(
        st.characters(min_codepoint=0x0590, max_codepoint=0x06FF),
        st.characters(min_codepoint=0x08A0, max_codepoint=0x08FF),
        st.characters(min_codepoint=0xFB1D, max_codepoint=0xFDFF),
        st.characters(min_codepoint=0xFE70, max_codepoint=0xFEFF),
        st.characters(min_codepoint=0x20, max_codepoint=0x24F),
        st.sampled_from("\u200e\u200f\u2066\u2069'\"’״׳ \t"),
    ),
    max_size=40,
)


@pytest.mark.parametrize(
    ("written", "same"),
    [
        ("أحمد", "احمد"),
        ("إِلى", "الي"),
        ("آخر", "اخر"),
        ("مَدْرَسَة", "مدرسه"),
        ("شـــكـــراً", "شكرا"),
        ("مسؤول", "مسوول"),
        ("شيء", "شي"),
        ("کتاب فارسی", "كتاب فارسي"),
        ("ﻻ", "لا"),
        ("طلب رقم ١٢٣٤", "طلب رقم 1234"),
        ("شماره ۱۲۳۴", "شماره 1234"),
        ("שָׁלוֹם", "שלום"),
        ('צה"ל', "צהל"),
        ("צה״ל", "צהל"),
        ("ג'קט", "גקט"),
        ("צ׳יפס", "ציפס"),
        ("ORDER  #1001\u200f", "order #1001"),
        ("Straße", "strasse"),
        ("", ""),
    ],
)
def test_spellings_meet(written: str, same: str) -> None:
    assert normalise(written) == normalise(same) == same


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("École", "ecole"),
        ("שלום", "שלומ"),
        ("O'Brien-Smith", "o brien smith"),
        ("כהן, דָּן", "כהנ דנ"),
        ("عبد الله؟", "عبد الله"),
        ("#1001", "1001"),
    ],
)
def test_search_keys(written: str, key: str) -> None:
    assert search_key(written) == key


@settings(max_examples=150)
@given(st.one_of(_OURS, st.text(max_size=40)))
@example("\u0345")
@example("ΐ")
@example("İ")
@example("\u05d0'\u05b0'")
@example("\u00c0\ufb1e")
@example("\u00c0\U000115bf")
def test_normalising_again_changes_nothing(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once
    key = search_key(text)
    assert search_key(key) == key
    assert search_key(once) == key


@given(st.lists(_OURS, max_size=5))
def test_words_keep_their_order(words: list[str]) -> None:
    keys = [search_key(word) for word in words]
    assert search_key(" ".join(words)) == " ".join(key for key in keys if key)


@given(st.text(alphabet="0123456789٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹", min_size=1, max_size=12))
def test_every_digit_becomes_ascii(text: str) -> None:
    assert normalise(text) == "".join(str(int(digit)) for digit in text)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("أين طلبي؟", "ar"),
        ("وين طلبي order 1001", "ar"),
        ("ابي اعرف سعر iPhone 17 Pro Max", "ar"),
        ("چم سعر هاي الكنزة", "ar"),
        ("سفارش من کجاست", None),
        ("میرا آرڈر کہاں ہے", None),
        ("איפה ההזמנה שלי", "he"),
        ("איפה ה-MacBook Pro שלי", "he"),
        ("שלום مرحبا", "he"),
        ("Where is my order?", "en"),
        ("I would like to buy the book called שלום please", "en"),
        ("1234 !!", None),
        ("", None),
    ],
)
def test_language(text: str, language: str | None) -> None:
    assert language_of(text) == language


@pytest.mark.parametrize(
    ("typed", "region", "number"),
    [
        ("050-123-4567", "IL", "+972501234567"),
        ("٠٥٠١٢٣٤٥٦٧", "SA", "+966501234567"),
        ("\u202a+966 50 123 4567\u202c", None, "+966501234567"),
        ("00966501234567", "sa", "+966501234567"),
        ("(415) 555-2671", "US", "+14155552671"),
        ("123", "US", None),
        ("0501234567", None, None),
        ("call me", "US", None),
    ],
)
def test_phones(typed: str, region: str | None, number: str | None) -> None:
    assert normalise_phone(typed, region) == number


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        (" Dana@Example.COM ", "dana@example.com"),
        ("mailto:dana@example.com", "dana@example.com"),
        ("\u200fdana@example.com\u200e", "dana@example.com"),
        ("dana+shop@example.co.il", "dana+shop@example.co.il"),
        ("info@مثال.com", "info@xn--mgbh0fb.com"),
        ("no-at.example.com", None),
        ("two@@example.com", None),
        ("dana@localhost", None),
        ("dana@example.com\nBcc: x@example.com", None),
        ("a b@example.com", None),
        ("x" * 65 + "@example.com", None),
        ("<dana@example.com>", None),
    ],
)
def test_emails(typed: str, address: str | None) -> None:
    assert normalise_email(typed) == address


@given(st.text(max_size=30))
def test_emails_are_stable(text: str) -> None:
    address = normalise_email(text + "@example.com")
    assert address is None or normalise_email(address) == address


@given(st.text(max_size=30))
def test_an_isolate_cannot_be_left_from_inside(text: str) -> None:
    inside = isolate(text)[1:-1]
    assert not set(inside) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def test_isolates_state_their_direction() -> None:
    assert isolate("#1001", "ltr") == "\u2066#1001\u2069"
    assert isolate("مرحبا") == "\u2068مرحبا\u2069"


@pytest.mark.parametrize(
    "text",
    [
        "بِسْمِ ٱللَّهِ ٱلرَّحْمَٰنِ",
        "בְּרֵאשִׁ֖ית בָּרָ֣א אֱלֹהִ֑ים",
        "Crème brûlée, tiếng Việt",
        "👩🏽‍🚀 ❤️",
        "the order \u2066#1042\u2069 of \u2067ליאור\u2069",
    ],
)
def test_what_people_write_is_left_alone(text: str) -> None:
    assert harmless(text) == text


def test_marks_piled_on_a_letter_end_soon_and_nothing_turns_a_text_round() -> None:
    zalgo = "H" + "\u0336\u0352\u0314\u0302\u031b\u0344" * 40 + "i"
    assert len(harmless(zalgo)) == 8
    assert len(harmless("ب" + "\u064e\u0651" * 500)) == 7
    assert harmless("invoice\u202efdp.exe") == "invoicefdp.exe"
    assert harmless("\u2067open \u2066closed\u2069 and \u2069more\u2068") == (
        "\u2067open \u2066closed\u2069 and \u2069more"
    )
    assert harmless("\u2069no \u2066end") == "no end"


@given(st.text(st.sampled_from("aب\u0336\u064e\u202e\u2066\u2067\u2069 "), max_size=60))
def test_harmless_text_has_no_open_ends_and_is_harmless_again(text: str) -> None:
    found = harmless(text)
    assert harmless(found) == found
    depth = 0
    for sign in found:
        depth += {"\u2066": 1, "\u2067": 1, "\u2069": -1}.get(sign, 0)
        assert depth >= 0
    assert depth == 0
    assert not re.search("[\u202a-\u202e]|[\u0336\u064e]{7}", found)
