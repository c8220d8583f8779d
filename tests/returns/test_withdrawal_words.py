"""Both steps, the receipt and what is said about what is missing, in each official language of the Union, and whole."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from babel.messages.pofile import read_po

from plugin.kernel import i18n
from plugin.kernel.errors import AhlanError
from plugin.kernel.i18n import Key, Translator
from plugin.returns import withdrawal_receipt, withdrawal_words, withdrawals
from plugin.returns.withdrawal_rules import LABELS, TRANSLATED, Rules
from plugin.widget.withdrawal_strings import strings

CATALOGUES = i18n.load()
OWN = sorted(set(LABELS) - TRANSLATED - {"en"})
SHOP = SimpleNamespace(name="Shop", url="https://shop.example", email="shop@shop.example")
SAID = withdrawals.Said("Mona Berg", "1001", "mona@x.example")
AT = datetime(2026, 11, 22, 9, 30, 5, tzinfo=UTC)
OF_LIMITS = {"That was a lot in a short time.", "Nothing is lost. Wait a moment, then go on."}
DOOR = {"Within 14 days, without a reason"}


class Asked(Mapping[Key, str]):
    """No translation at all, and which were asked for."""

    def __init__(self) -> None:
        self.of: set[str] = set()

    def __getitem__(self, key: Key) -> str:
        self.of.add(key[1])
        raise KeyError(key)

    def __iter__(self) -> Iterator[Key]:
        return iter(())

    def __len__(self) -> int:
        return 0


def said(words: Translator) -> list[str]:
    """Everything that shoppers read of it."""
    letters = (
        withdrawal_receipt.letter(words, SHOP, Rules(), SAID, "W-1", AT, words.locale),
        withdrawal_receipt.refusal(words, SHOP, "W-1", "note"),
    )
    found = [*strings(words.gettext).values(), *(part for one in letters for part in (one.subject, one.text))]
    for name, contract, email in (("", "1", "a@b.example"), ("A", "", "a@b.example"), ("A", "1", "a@")):
        with pytest.raises(AhlanError) as missing:
            withdrawals.read(name, contract, email)
        found += [words.gettext(one) for one in (missing.value.message, missing.value.hint) if one]
    return found


def wanted() -> set[str]:
    asked = Asked()
    said(Translator(replace(CATALOGUES.translator("en").language, messages=asked)))
    return asked.of | OF_LIMITS | DOOR


def test_every_official_language_has_its_words_and_no_others() -> None:
    assert sorted(path.stem for path in withdrawal_words.FOLDER.glob("*.po")) == OWN
    assert len(OWN) == 23


@pytest.mark.parametrize("code", OWN)
def test_a_language_is_whole_and_fills_what_english_fills(code: str) -> None:
    with (withdrawal_words.FOLDER / f"{code}.po").open("rb") as file:
        held = {str(one.id): str(one.string) for one in read_po(file, locale=code) if one.id}
    assert set(held) == wanted()
    assert all(held.values())
    for english, own in held.items():
        assert i18n.placeholders(own) == i18n.placeholders(english), english
        # "Name" and the like are the same word in some.
        assert own != english or len(english.split()) == 1, english
        assert own[-1:] not in ".:" or english[-1:] in ".:", english
    words = withdrawal_words.translator(CATALOGUES, f"{code.upper()}_XX", timezone="Europe/Vienna")
    assert (words.locale, words.direction) == (code, "ltr")
    everything = said(words)
    assert LABELS[code][1] in "\n".join(everything), "the law's own words stand in the receipt"
    assert not set(everything) & {one for one in wanted() if len(one.split()) > 1}


@pytest.mark.parametrize(
    ("asked", "spoken"), [("ar", "ar"), ("he-IL", "he"), ("en-GB", "en"), ("tr", "en"), ("", "en")]
)
def test_the_others_speak_the_houses_languages(asked: str, spoken: str) -> None:
    assert withdrawal_words.translator(CATALOGUES, asked).locale == spoken


def test_a_german_receipt_reads_as_one() -> None:
    words = withdrawal_words.translator(CATALOGUES, "de", timezone="Europe/Berlin")
    letter = withdrawal_receipt.letter(words, SHOP, Rules(words={"en": "Main Street 1"}), SAID, "W-1", AT, "de")
    assert letter.subject == "Eingangsbestätigung Ihres Widerrufs W-1, Shop"
    for line in ("Das haben Sie erklärt:", "22.11.2026, 10:30:05 (Berlin)", "alles", "Widerruf bestätigen"):
        assert line in letter.text, letter.text
    assert "Main Street 1" in letter.text, "the shop's own words, in the language that it wrote"
    assert 'lang="de"' in withdrawal_receipt.as_html(words, letter)
