"""The words of each language: every file is whole, no list has an entry twice, and what is wrong with one is said."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hatchling.builders.wheel import WheelBuilder

from plugin.bot import lexicon
from plugin.bot.goods import Want
from plugin.kernel.text import language_of, search_key

HERE = Path(lexicon.__file__).parent
SCRIPTS = {"en": {"en"}, "ar": {"ar"}, "ar-latin": {"en"}, "he": {"he", "en"}}
"""Hebrew is written in Latin letters too: "toda"."""

OWN_ALONE = {
    "small": {"ar-latin"}, "own": {"ar-latin"}, "prefixes": {"en", "ar-latin"}, "goods.units": {"ar-latin"},
    "pointing.one": {"ar-latin"}, "pointing.it": {"ar-latin"}, "questions.joined": {"en", "ar-latin"},
    "questions.not_and": {"en", "ar-latin"}, "questions.goes_on": {"ar-latin", "he"},
    "questions.relative": {"ar", "ar-latin"}, "questions.clauses": {"ar", "ar-latin", "he"},
    "questions.auxiliaries": {"ar", "ar-latin", "he"}, "questions.unasked": {"he"},
    "directions.nouns": {"en"}, "directions.bare": {"en", "ar-latin"},
    "directions.ordinary": {"en", "ar-latin"}, "directions.articles": {"ar", "he"},
    "questions.points": {"ar-latin"}, "questions.asks": {"ar-latin"}, "orders.between": {"ar-latin"},
    "orders.number": {"en"}, "orders.currencies": {"ar-latin"}, "days.before_yesterday": {"ar-latin"},
    "days.after_tomorrow": {"ar-latin"}, "person.courier": {"ar-latin"},
}  # fmt: skip
"""Lists that a language does without: its words are another's letters, or say it in another way."""


def lists(language: str) -> Iterator[tuple[str, str]]:
    """Every list of entries of a language by its name, also those that are not there."""
    one = lexicon.languages()[language]
    for name, value in msgspec.structs.asdict(one).items():
        if isinstance(value, str):
            yield name, value
        elif isinstance(value, dict):
            yield from ((f"{name}.{key}", listed) for key, listed in value.items())
        else:
            for key, listed in msgspec.structs.asdict(value).items():
                if name != "person" or key == "courier":
                    yield f"{name}.{key}", listed


def test_every_file_is_a_language_and_every_language_a_file() -> None:
    assert {path.stem for path in HERE.glob("*.toml")} == set(lexicon.LANGUAGES) == set(lexicon.languages())


def test_the_files_come_with_an_installed_wheel() -> None:
    root = HERE.parent.parent.parent
    packed = {file.distribution_path for file in WheelBuilder(str(root)).recurse_included_files()}
    assert {f"plugin/bot/lexicon/{language}.toml" for language in lexicon.LANGUAGES} <= packed


@pytest.mark.parametrize("language", lexicon.LANGUAGES)
def test_no_list_is_empty_or_has_an_entry_twice(language: str) -> None:
    typed = (HERE / f"{language}.toml").read_text(encoding="utf-8")
    assert not re.search(r"[,،]\s*[,،]|,\s*\"{1,3}$", typed, re.MULTILINE)
    for name, listed in lists(language):
        found = [search_key(entry) for entry in lexicon.split(listed)]
        assert bool(found) is (language not in OWN_ALONE.get(name, ())), name
        assert "" not in found, name
        assert sorted(found) == sorted(set(found)), name


@pytest.mark.parametrize("language", lexicon.LANGUAGES)
def test_words_are_in_the_letters_of_their_language(language: str) -> None:
    for name, listed in lists(language):
        scripts = {language_of(entry) for entry in lexicon.split(listed) if any(sign.isalpha() for sign in entry)}
        assert scripts <= SCRIPTS[language], name


def test_wants_numbers_and_claims_are_those_that_are_known() -> None:
    claims = {language: set(one.claims) for language, one in lexicon.languages().items()}
    assert set(lexicon.Wants.__struct_fields__) == {want.value for want in Want}
    assert claims["he"] | claims["en"] <= claims["ar"]
    assert all(number.isdigit() for one in lexicon.languages().values() for number in one.numbers)


@pytest.mark.parametrize("language", lexicon.LANGUAGES)
def test_every_wish_is_a_pattern_whose_parts_are_there(language: str) -> None:
    person = lexicon.languages()[language].person
    lines = [*person.wishes.splitlines(), *person.calls.splitlines()]
    assert len(lines) >= 2
    for line in (*lines, *person.parts.values()):
        assert line.strip()
        assert set(re.findall(r"<(\w+)>", line)) <= {"courier", *person.parts}
        re.compile(re.sub(r"<\w+>", "x", line))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('smal = "a"', "`smal`"),
        ('[wants]\nprise = "how much"', "`prise`"),
        ("small = 3", "Expected `str`, got `int`"),
        ('small = "', "en.toml"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "en.toml"
    path.write_text(text)
    with pytest.raises(lexicon.BadLexicon, match=re.escape(words)):
        lexicon.read(path)
