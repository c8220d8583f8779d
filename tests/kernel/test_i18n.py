"""Words, numbers and times in three languages, and the check that keeps sources and catalogues together."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from plugin.kernel import i18n
from plugin.kernel.errors import SetupError
from plugin.kernel.money import Money

_HEADER = """msgid ""
msgstr ""
"Language: {code}\\n"
"Content-Type: text/plain; charset=UTF-8\\n"
"Plural-Forms: {plural}\\n"

"""
_PLURALS = {
    "ar": "nplurals=6; plural=(n==0 ? 0 : n==1 ? 1 : n==2 ? 2 : n%100>=3 && n%100<=10 ? 3 : n%100>=11 ? 4 : 5);",
    "he": "nplurals=3; plural=(n==1 ? 0 : n==2 ? 1 : 2);",
    "fr": "nplurals=2; plural=(n > 1);",
}
_ORDERS = {
    "ar": ["لا طلبات", "طلب واحد", "طلبان", "%(num)s طلبات", "%(num)s طلبًا", "%(num)s طلب"],
    "he": ["הזמנה אחת", "שתי הזמנות", "%(num)s הזמנות"],
    "fr": ["%(num)s commande", "%(num)s commandes"],
}


def _write(folder: Path, code: str, domain: str, body: str) -> None:
    (folder / code).mkdir(parents=True, exist_ok=True)
    (folder / code / f"{domain}.po").write_text(_HEADER.format(code=code, plural=_PLURALS[code]) + body)


def _orders(code: str) -> str:
    forms = "".join(f'msgstr[{number}] "{form}"\n' for number, form in enumerate(_ORDERS[code]))
    return f'msgid "%(num)s order"\nmsgid_plural "%(num)s orders"\n{forms}\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tmp_path = tmp_path / "locale"
    _write(tmp_path, "ar", "panel", 'msgid "Open"\nmsgstr "مفتوحة"\n\n' + _orders("ar"))
    _write(
        tmp_path,
        "ar",
        "widget",
        'msgctxt "verb"\nmsgid "Open"\nmsgstr "فتح"\n\nmsgid "Hi %(name)s"\nmsgstr "أهلًا %(name)s"\n',
    )
    _write(tmp_path, "he", "panel", 'msgid "Open"\nmsgstr "פתוחה"\n\n' + _orders("he"))
    return tmp_path


@pytest.fixture
def catalogues(folder: Path) -> i18n.Catalogues:
    return i18n.read(folder)


def test_domains_are_merged_and_contexts_are_apart(catalogues: i18n.Catalogues) -> None:
    arabic = catalogues.translator("ar")
    assert arabic.gettext("Open") == "مفتوحة"
    assert arabic.pgettext("verb", "Open") == "فتح"
    assert arabic.gettext("Hi %(name)s", name="دانة") == "أهلًا دانة"
    assert arabic.gettext("Never translated, 100%") == "Never translated, 100%"
    assert catalogues.translator("en").gettext("Open") == "Open"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "لا طلبات"),
        (1, "طلب واحد"),
        (2, "طلبان"),
        (3, "3 طلبات"),
        (11, "11 طلبًا"),
        (100, "100 طلب"),
        (103, "103 طلبات"),
    ],
)
def test_all_six_arabic_plurals(catalogues: i18n.Catalogues, number: int, text: str) -> None:
    assert catalogues.translator("ar").ngettext("%(num)s order", "%(num)s orders", number) == text


@pytest.mark.parametrize(("number", "text"), [(1, "הזמנה אחת"), (2, "שתי הזמנות"), (5, "5 הזמנות")])
def test_hebrew_plurals(catalogues: i18n.Catalogues, number: int, text: str) -> None:
    assert catalogues.translator("he").ngettext("%(num)s order", "%(num)s orders", number) == text


def test_english_plurals_need_no_catalogue(catalogues: i18n.Catalogues) -> None:
    english = catalogues.translator("en")
    assert english.ngettext("%(num)s order", "%(num)s orders", 1) == "1 order"
    assert english.ngettext("%(num)s order", "%(num)s orders", 1234) == "1,234 orders"
    # What a template's {% trans %} fills later stays.
    assert english.ngettext("%(count)s left", "%(count)s left", 3) == "%(count)s left"


def test_direction_and_own_names(catalogues: i18n.Catalogues) -> None:
    assert [(each.code, each.direction, each.name) for each in catalogues.languages] == [
        ("en", "ltr", "English"),
        ("ar", "rtl", "العربية"),
        ("he", "rtl", "עברית"),
    ]


def test_a_further_language_is_one_folder(folder: Path) -> None:
    _write(folder, "fr", "panel", 'msgid "Open"\nmsgstr "Ouverte"\n\n' + _orders("fr"))
    french = i18n.read(folder).translator("fr-CA")
    assert (french.gettext("Open"), french.direction) == ("Ouverte", "ltr")
    assert french.ngettext("%(num)s order", "%(num)s orders", 0) == "0 commande"


@pytest.mark.parametrize(
    ("header", "preferred", "code"),
    [
        ("ar-EG,ar;q=0.9,en;q=0.8", "", "ar"),
        ("iw-IL", "", "he"),
        ("fr, de;q=0.9, he;q=0.2, en;q=0.1", "", "he"),
        ("en;q=0.3, ar;q=0.7", "", "ar"),
        ("ar;q=0, en", "", "en"),
        ("ar", "he", "he"),
        ("ar", "xx", "ar"),
        ("*", "", "en"),
        ("", "", "en"),
        (None, "", "en"),
        (";;;q=,,x" * 300, "", "en"),
    ],
)
def test_negotiation(catalogues: i18n.Catalogues, header: str | None, preferred: str, code: str) -> None:
    assert catalogues.negotiate(header, preferred=preferred) == code


@pytest.mark.parametrize(
    ("language", "digits", "money", "text"),
    [
        ("en", "latn", Money(123450, "USD", 2), "\u2068$1,234.50\u2069"),
        ("en", "latn", Money(123450, "SAR", 2), "\u2068SAR\u00a01,234.50\u2069"),
        ("en", "arab", Money(123450, "USD", 2), "\u2068$1,234.50\u2069"),
        ("ar", "latn", Money(123450, "SAR", 2), "\u2068\u200f1,234.50\u00a0ر.س.\u200f\u2069"),
        ("ar", "arab", Money(123450, "SAR", 2), "\u2068\u200f١٬٢٣٤٫٥٠\u00a0ر.س.\u200f\u2069"),
        ("ar", "latn", Money(1500, "KWD", 3), "\u2068\u200f1.500\u00a0د.ك.\u200f\u2069"),
        ("ar", "latn", Money(752, "USD", 2), "\u2068\u200f7.52\u00a0US$\u200e\u2069"),
        ("he", "latn", Money(752, "CAD", 2), "\u2068\u200f7.52\u00a0\u200fCA$\u200e\u2069"),
        ("he", "latn", Money(-9990, "ILS", 2), "\u2068\u200f\u200e-99.90\u00a0\u200f₪\u2069"),
        ("en", "latn", Money(500, "JPY", 0), "\u2068¥500\u2069"),
        ("en", "latn", Money(1005, "USD", 3), "\u2068$1.005\u2069"),
    ],
)
def test_money(catalogues: i18n.Catalogues, language: str, digits: str, money: Money, text: str) -> None:
    assert catalogues.translator(language, digits=digits).format_money(money) == text


def test_an_amount_that_ends_in_a_full_stop_ends_its_sentence() -> None:
    t = i18n.load().translator("ar")
    amount = t.format_money(Money(5000, "JOD", 3))
    assert amount.rstrip("\u200f\u2069").endswith("."), "the dinar's own sign"
    told = [t.gettext(text, amount=amount, number="R-1", names="x") for text in (
        "You have %(amount)s of store credit for your return %(number)s.", "At most %(amount)s was promised.",
        "On approval %(amount)s.",
    )]  # fmt: skip
    told.append(t.ngettext("%(num)s for %(amount)s.", "%(num)s for %(amount)s.", 2, amount=amount))
    for one in told:
        assert amount in one
        assert f"{amount}." not in one
    assert t.gettext("Wait ... %(name)s.", name="x") == "Wait ... x."
    assert t.gettext("%(name)s...", name=amount) == f"{amount}...", "what goes on is no end"


def test_times_are_in_the_readers_zone_and_digits(catalogues: i18n.Catalogues) -> None:
    moment = datetime(2026, 11, 22, 22, 30, tzinfo=UTC)
    english = catalogues.translator("en", timezone="Asia/Riyadh")
    assert english.format_date(moment) == "Nov 23, 2026"
    assert english.format_time(moment) == "1:30\u202fAM"
    arabic = catalogues.translator("ar", timezone="Asia/Riyadh", digits="arab")
    assert "٢٣" in arabic.format_datetime(moment)
    assert not any(character in "0123456789" for character in arabic.format_datetime(moment))
    assert catalogues.translator("en", timezone="Mars/Olympus").format_date(moment) == "Nov 22, 2026"


def test_an_arabic_day_names_its_month(catalogues: i18n.Catalogues) -> None:
    moment = datetime(2026, 11, 10, 22, 30, tzinfo=UTC)
    arabic = catalogues.translator("ar", timezone="Asia/Amman")
    assert arabic.format_date(moment) == "11 نوفمبر 2026"
    assert arabic.format_date(moment, "full") == "الأربعاء، 11 نوفمبر 2026"
    assert arabic.format_datetime(moment) == "11 نوفمبر 2026، 1:30:00 ص"
    assert catalogues.translator("ar", digits="arab").format_date(moment) == "١٠ نوفمبر ٢٠٢٦"


def test_day_and_time_stand_together_as_the_language_writes_them(catalogues: i18n.Catalogues) -> None:
    moment = datetime(2026, 11, 22, 22, 30, tzinfo=UTC)
    assert catalogues.translator("en").format_datetime(moment) == "Nov 22, 2026, 10:30:00\u202fPM"
    assert catalogues.translator("he").format_datetime(moment) == "22 בנוב׳ 2026, 22:30:00"


@pytest.mark.parametrize(
    ("language", "timezone", "city"),
    [
        ("en", "Asia/Jerusalem", "Jerusalem"),
        ("ar", "Asia/Amman", "عمّان"),
        ("he", "America/New_York", "ניו יורק"),
        ("ar", "UTC", "UTC"),
    ],
)
def test_a_time_zone_has_a_city(catalogues: i18n.Catalogues, language: str, timezone: str, city: str) -> None:
    assert catalogues.translator(language, timezone=timezone).zone == city


def test_relative_while_near_and_the_date_when_far(catalogues: i18n.Catalogues) -> None:
    now = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
    assert catalogues.translator("en").relative(now - timedelta(seconds=40), now) == "just now"
    assert i18n.load().translator("ar").relative(now, now) == "الآن"
    assert [catalogues.translator("en").duration(seconds) for seconds in (0, 3, 61)] == ["1 minute"] * 3
    for seconds in (60, 69, 89):
        assert catalogues.translator("en").relative(now - timedelta(seconds=seconds), now) == "1 minute ago"
    assert catalogues.translator("en").relative(now - timedelta(hours=3), now) == "3 hours ago"
    assert catalogues.translator("en").relative(now + timedelta(minutes=5), now) == "in 5 minutes"
    assert catalogues.translator("ar").relative(now - timedelta(hours=3), now) == "قبل 3 ساعات"
    assert catalogues.translator("he").relative(now - timedelta(hours=3), now) == "לפני 3 שעות"
    assert catalogues.translator("en").relative(now - timedelta(days=30), now) == "Oct 23, 2026"


def test_lists_and_quotes(catalogues: i18n.Catalogues) -> None:
    assert catalogues.translator("en").listing(["a", "b", "c"]) == "a, b, and c"
    assert catalogues.translator("ar").listing(["أ", "ب"]) == "أ وب"
    assert catalogues.translator("en").listing([]) == ""
    assert catalogues.translator("ar").quoted("x") == "«\u2068x\u2069»"


def test_a_broken_catalogue_or_folder_is_one_sentence(folder: Path) -> None:
    (folder / "ar" / "broken.po").write_text('msgid "never closed')
    with pytest.raises(SetupError, match=r"broken\.po cannot be read"):
        i18n.read(folder)
    (folder / "ar" / "broken.po").unlink()
    (folder / "not-a-language").mkdir()
    with pytest.raises(SetupError, match="not-a-language"):
        i18n.read(folder)


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    for name in ("plugin", "admin_ui", "integrations", "webhooks"):
        (root / name).mkdir(parents=True)
    (root / "plugin" / "room.py").write_text('a = _("Open")\nb = ngettext("%(num)s order", "%(num)s orders", 2)\n')
    (root / "admin_ui" / "page.html").write_text(
        "{{ pgettext('verb', 'Open') }}{% trans name=n %}Hi {{ name }}{% endtrans %}"
    )
    return root


def _problems(root: Path, folder: Path) -> list[str]:
    return sorted(i18n.check(root, folder))


def test_the_check_is_content_with_whole_catalogues(folder: Path, sources: Path) -> None:
    _write(
        folder,
        "he",
        "widget",
        'msgctxt "verb"\nmsgid "Open"\nmsgstr "לפתוח"\n\nmsgid "Hi %(name)s"\nmsgstr "היי %(name)s"\n',
    )
    assert _problems(sources, folder) == []


def test_the_check_finds_every_kind_of_fault(folder: Path, sources: Path) -> None:
    _write(
        folder,
        "he",
        "widget",
        '#, fuzzy\nmsgctxt "verb"\nmsgid "Open"\nmsgstr "לפתוח"\n\n'
        'msgid "Hi %(name)s"\nmsgstr "היי %(nom)s"\n\n'
        'msgid "Gone"\nmsgstr "הלך"\n\n'
        '#~ msgid "Old"\n#~ msgstr "ישן"\n',
    )
    _write(folder, "he", "zz", 'msgid "Open"\nmsgstr "אחרת"\n')
    (sources / "plugin" / "new.py").write_text('c = _("Brand new")\n')
    problems = "\n".join(_problems(sources, folder))
    for expected in (
        "'Open' is fuzzy",
        "unknown placeholders ['nom']",
        "lacks placeholders ['name']",
        "'Gone' is not used anywhere",
        "obsolete entry 'Old'",
        "translated differently in he/panel.po",
        "plugin/new.py:1: no he translation of 'Brand new'",
        "plugin/new.py:1: no ar translation of 'Brand new'",
    ):
        assert expected in problems


def test_the_check_counts_plural_forms(folder: Path, sources: Path) -> None:
    _write(
        folder,
        "ar",
        "panel",
        'msgid "Open"\nmsgstr "مفتوحة"\n\nmsgid "%(num)s order"\nmsgid_plural "%(num)s orders"\nmsgstr[0] "طلب"\n',
    )
    assert any("has 1 of 6 forms" in problem for problem in _problems(sources, folder))
