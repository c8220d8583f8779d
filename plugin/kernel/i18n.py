"""Catalogues, direction, plural forms, dates, numbers and money in the reader's language.

A language is a folder below `plugin/locale` with one .po file per room ("domain"); nothing else has to be touched to
add one. All domains of a language are merged at start; a text without translation shows its English msgid.
`python -m plugin.kernel.i18n check` (part of `make check`) holds catalogues and sources together.
"""

from __future__ import annotations

import gettext
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel import Locale, UnknownLocaleError, dates, lists, numbers
from babel.core import get_global
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from plugin.kernel.errors import SetupError
from plugin.kernel.money import Money
from plugin.kernel.text import isolate

LOCALE_DIR = Path(__file__).parents[1] / "locale"
SOURCE_LANGUAGE = "en"

_LATIN_DIGITS = str.maketrans("٠١٢٣٤٥٦٧٨٩", "0123456789")
_ARABIC_DIGITS = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
_OLD_CODES = {"iw": "he", "in": "id", "ji": "yi"}
_QUOTES = {"ar": ("«", "»"), "he": ("”", "”")}
Style = Literal["short", "medium", "long", "full"]
_RELATIVE_DAYS = 7

Key = tuple[str | None, str]
Plural = Callable[[int], int]


@dataclass(frozen=True, slots=True)
class Language:
    """One language's merged catalogue."""

    code: str
    locale: Locale
    messages: Mapping[Key, str | tuple[str, ...]]
    plural: Plural

    @property
    def direction(self) -> str:
        """`rtl` or `ltr`, for the document's `dir`."""
        return str(self.locale.text_direction)

    @property
    def name(self) -> str:
        """The language's name in itself."""
        return str(self.locale.get_display_name(self.locale) or self.locale)


@dataclass(frozen=True, slots=True)
class Translator:
    """Words, numbers and dates for one reader. `digits` is `latn` or `arab` (Arabic-Indic), by the store's setting."""

    language: Language
    timezone: tzinfo = UTC
    digits: str = "latn"

    @property
    def locale(self) -> str:
        """The language's code, for the document's `lang`: `ar`, `he`, `en`, …"""
        return self.language.code

    @property
    def direction(self) -> str:
        """`rtl` or `ltr`, for the document's `dir`."""
        return self.language.direction

    # Words: `%(name)s` placeholders are filled when values are given, as in Jinja's newstyle gettext.

    def gettext(self, message: str, /, **values: object) -> str:
        """`message` in the reader's language."""
        return _filled(self._one((None, str(message)), str(message)), values)

    def pgettext(self, context: str, message: str, /, **values: object) -> str:
        """The same where one English text has several meanings."""
        return _filled(self._one((context, str(message)), str(message)), values)

    def ngettext(self, singular: str, plural: str, number: int, /, **values: object) -> str:
        """The plural form for `number`, which is also the placeholder `%(num)s`, written in the reader's digits."""
        return self._many((None, str(singular)), str(singular), str(plural), number, values)

    def _one(self, key: Key, default: str) -> str:
        found = self.language.messages.get(key)
        if found is None:
            return default
        return found if isinstance(found, str) else found[0]

    def _many(self, key: Key, singular: str, plural: str, number: int, values: Mapping[str, object]) -> str:
        found = self.language.messages.get(key)
        if found is None:
            text = singular if number == 1 else plural
        else:
            text = found if isinstance(found, str) else found[self.language.plural(abs(number))]
        try:
            return one_stop(text % {"num": self.format_number(number), **values})
        except (KeyError, ValueError):
            # A template's {% trans %} fills its own names afterwards.
            return text

    # Amounts

    @property
    def first_weekday(self) -> int:
        """The day a week begins with where the reader's time zone lies: 0 is Monday, 6 Sunday (CLDR week data)."""
        territory = get_global("zone_territories").get(str(self.timezone), "001")
        there = get_global("likely_subtags").get(f"und_{territory}", "en_001")
        return int(Locale.parse(there).first_week_day)

    def format_number(self, value: int | float | Decimal) -> str:
        """A number with the language's grouping."""
        return self._in_digits(
            numbers.format_decimal(value, locale=self.language.locale, numbering_system=self._numbering)
        )

    def format_percent(self, share: float | Decimal) -> str:
        """`0.25` as 25 %."""
        text = numbers.format_percent(share, locale=self.language.locale, numbering_system=self._numbering)
        return isolate(self._in_digits(text))

    def format_money(self, money: Money) -> str:
        """An amount with its currency, isolated so that it stays in one piece inside text of either direction.

        All decimals of the amount are shown, also where the currency usually has fewer.
        """
        text = numbers.format_currency(
            money.decimal(),
            money.currency,
            locale=self.language.locale,
            decimal_quantization=False,
            numbering_system=self._numbering,
        )
        if money.amount < 0 and self.direction == "rtl":
            # Babel leaves the bare hyphen of the pattern, which jumps behind the digits; CLDR's sign holds its place.
            minus = numbers.get_minus_sign_symbol(self.language.locale, numbering_system=self._numbering)
            text = text.replace(minus, "-").replace("-", minus)
        # The sign of "US$" or "CA$" would jump before its letters in a line from right to left.
        text = re.sub(r"(?<=[A-Z])[$£¥]", "\\g<0>\u200e", text)
        # A currency without a sign of its own keeps its distance (CLDR's currency spacing, which Babel leaves out).
        return isolate(re.sub(r"(?<=[A-Z])(?=[0-9٠-٩])", "\u00a0", self._in_digits(text)))

    # Times

    def format_date(self, moment: datetime | date, style: Style = "medium") -> str:
        """The day, in the reader's time zone. `style` is short, medium, long or full."""
        day = moment.astimezone(self.timezone) if isinstance(moment, datetime) else moment
        if style == "medium" and self._numeric_days:
            return self._in_digits(dates.format_skeleton("yMMMd", day, locale=self.language.locale))
        return self._in_digits(dates.format_date(day, style, locale=self.language.locale))

    def format_time(self, moment: datetime, style: Style = "short") -> str:
        """The time of day, in the reader's time zone."""
        return self._in_digits(dates.format_time(moment, style, tzinfo=self.timezone, locale=self.language.locale))

    def format_datetime(self, moment: datetime, style: Style = "medium") -> str:
        """Day and time, in the reader's time zone."""
        both = str(dates.get_datetime_format(style, locale=self.language.locale)).replace("'", "")
        return both.replace("{0}", self.format_time(moment, style)).replace("{1}", self.format_date(moment, style))

    @property
    def zone(self) -> str:
        """The city that stands for the reader's time zone."""
        return dates.get_timezone_location(self.timezone, locale=self.language.locale, return_city=True)

    @property
    def _numeric_days(self) -> bool:
        # CLDR's medium Arabic day is digits alone: from right to left 10/11/2026 is a guess in either direction.
        return self.locale.partition("-")[0] == "ar"

    def relative(self, moment: datetime, now: datetime | None = None) -> str:
        """ "3 hours ago" while near, the date from a week on; seconds are not counted: a page is read longer."""
        distance = moment - (now or datetime.now(UTC))
        if -60 < distance.total_seconds() <= 0:
            return self.gettext("just now")
        if abs(distance.total_seconds()) >= _RELATIVE_DAYS * 86_400:
            return self.format_date(moment)
        text = dates.format_timedelta(
            distance, granularity="minute", add_direction=True, threshold=1.2, locale=self.language.locale
        )
        return self._in_digits(text)

    def duration(self, seconds: float) -> str:
        """A length of time in its largest unit, a minute at least: "5 minutes"."""
        length = timedelta(seconds=max(60, seconds))
        text = dates.format_timedelta(length, granularity="minute", threshold=1.2, locale=self.language.locale)
        return self._in_digits(text)

    def listing(self, items: Sequence[str], style: Literal["standard", "or"] = "standard") -> str:
        """`a, b and c` as the language writes lists; `style="or"` for alternatives."""
        return lists.format_list(items, style=style, locale=self.language.locale) if items else ""

    def quoted(self, text: str) -> str:
        """`text` in the language's quotation marks, isolated."""
        opening, closing = _QUOTES.get(self.locale, ("“", "”"))
        return f"{opening}{isolate(text)}{closing}"

    @property
    def _numbering(self) -> str:
        return "arab" if self.digits == "arab" and self.locale.partition("-")[0] == "ar" else "latn"

    def _in_digits(self, text: str) -> str:
        # Babel takes a numbering system's separators but not its digits.
        return text.translate(_ARABIC_DIGITS if self._numbering == "arab" else _LATIN_DIGITS)


_TWO_STOPS = re.compile(r"\.([\u200e\u200f\u061c\u2066-\u2069]+)\.(?!\.)")


def _filled(text: str, values: Mapping[str, object]) -> str:
    return one_stop(text % values) if values else text


def one_stop(text: str) -> str:
    """The text with one full stop where a value that ends in one of its own ("5 د.أ.") ends a sentence."""
    return _TWO_STOPS.sub(r".\1", text)


class Catalogues:
    """Every language that has a folder."""

    def __init__(self, languages: Mapping[str, Language]) -> None:
        self._languages = dict(languages)

    @property
    def codes(self) -> tuple[str, ...]:
        """Languages on offer, the source language first."""
        return tuple(sorted(self._languages, key=lambda code: (code != SOURCE_LANGUAGE, code)))

    @property
    def languages(self) -> tuple[Language, ...]:
        """The same with names and directions, for a language menu."""
        return tuple(self._languages[code] for code in self.codes)

    def translator(self, code: str, *, timezone: str | tzinfo = UTC, digits: str = "latn") -> Translator:
        """A translator for `code` (`ar-EG` finds `ar`; an unknown one gives the source language)."""
        zone = zone_of(timezone) if isinstance(timezone, str) else timezone
        return Translator(self._languages[self._match(code) or SOURCE_LANGUAGE], zone, digits)

    def negotiate(self, accept_language: str | None, *, preferred: str = "", default: str = SOURCE_LANGUAGE) -> str:
        """The reader's `preferred` language if we have it, else what Accept-Language (RFC 9110, 12.5.4) likes best."""
        if chosen := self._match(preferred):
            return chosen
        wishes: list[tuple[float, int, str]] = []
        for position, part in enumerate((accept_language or "")[:1000].split(",")):
            tag, _, parameters = part.strip().partition(";")
            quality = re.fullmatch(r"\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*", parameters)
            weight = float(quality[1]) if quality else 1.0
            if weight > 0:
                wishes.append((-weight, position, tag))
        for _, _, tag in sorted(wishes):
            if tag == "*":
                return default
            if code := self._match(tag):
                return code
        return default

    def _match(self, tag: str) -> str | None:
        code = tag.strip().replace("_", "-").lower()
        while code:
            code = _OLD_CODES.get(code, code)
            if code in self._languages:
                return code
            code = code.rpartition("-")[0]
        return None


@lru_cache(maxsize=512)
def zone_of(name: str) -> tzinfo:
    """The time zone of that IANA name; UTC for one that does not exist, so that no page breaks over a setting."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


@cache
def load() -> Catalogues:
    """Our own catalogues, read once in a process: they come with its code. Raises SetupError as `read` does."""
    return read(LOCALE_DIR)


def read(folder: Path) -> Catalogues:
    """Every catalogue of a folder (0.2 s for ours). Raises SetupError on a file that cannot be read."""
    languages = {SOURCE_LANGUAGE: read_language(SOURCE_LANGUAGE, [])}
    for path in sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] not in "._"):
        code = path.name.replace("_", "-").lower()
        languages[code] = read_language(code, sorted(path.glob("*.po")))
    return Catalogues(languages)


def read_language(code: str, files: Sequence[Path]) -> Language:
    """One language out of these catalogues. Raises SetupError on a file that cannot be read."""
    try:
        locale = Locale.parse(code, sep="-")
    except (UnknownLocaleError, ValueError) as error:
        raise SetupError(f"The catalogue folder {code!r} is not the code of a language.") from error
    messages: dict[Key, str | tuple[str, ...]] = {}
    plural: Plural = lambda number: int(number != 1)  # noqa: E731
    for path in files:
        catalog = _read(path, code)
        plural = gettext.c2py(catalog.plural_expr)
        for message in catalog:
            if not message.id or message.fuzzy:
                continue
            key = message.id if isinstance(message.id, str) else message.id[0]
            if isinstance(message.string, str):
                if message.string:
                    messages[(message.context, key)] = message.string
            elif message.string and all(message.string):
                messages[(message.context, key)] = tuple(message.string)
    return Language(code, locale, messages, plural)


def _read(path: Path, code: str) -> Catalog:
    try:
        with path.open("rb") as file:
            return read_po(file, locale=code.replace("-", "_"), domain=path.stem, abort_invalid=True)
    except Exception as error:
        raise SetupError(f"The catalogue {path} cannot be read: {error}") from error


# The check


_EXTRACTED = {
    "**.py": ("python", {}),
    "**.html": ("jinja2", {"encoding": "utf-8", "trimmed": "true"}),
    "**.txt": ("jinja2", {"encoding": "utf-8", "trimmed": "true"}),
}
_KEYWORDS: dict[str, Any] = {
    "_": None,
    "gettext": None,
    "ngettext": (1, 2),
    "pgettext": ((1, "c"), 2),
}
_PLACEHOLDER = re.compile(r"%\((\w+)\)[#0\- +]*[\d.*]*([a-zA-Z])|%(%)|%([a-zA-Z])|\{(\w*)\}")
_FOLDERS = ("plugin", "admin_ui", "integrations", "webhooks")


@dataclass(frozen=True, slots=True)
class _Used:
    """A text in the sources."""

    singular: str
    plural: str | None
    where: str


def used_messages(root: Path) -> dict[Key, _Used]:
    """Every marked text in Python and templates below `root`."""
    found: dict[Key, _Used] = {}
    for folder in _FOLDERS:
        for name, line, message, _, context in extract_from_dir(
            root / folder,
            method_map=[(pattern, method) for pattern, (method, _) in _EXTRACTED.items()],
            options_map={pattern: options for pattern, (_, options) in _EXTRACTED.items()},
            keywords=_KEYWORDS,
            directory_filter=lambda path: Path(path).name not in {"node_modules", "wordpress", "__pycache__", "locale"},
        ):
            singular, plural = (message[0], message[1]) if isinstance(message, tuple) else (message, None)
            known = found.get((context, singular))
            if known is None or (known.plural is None and plural is not None):
                found[(context, singular)] = _Used(singular, plural, f"{folder}/{name}:{line}")
    return found


def check(root: Path, folder: Path = LOCALE_DIR) -> Iterator[str]:
    """Everything wrong with the catalogues, one sentence each."""
    used = used_messages(root)
    for language in sorted(path for path in folder.iterdir() if path.is_dir() and path.name != SOURCE_LANGUAGE):
        seen: dict[Key, tuple[str, str | tuple[str, ...]]] = {}
        for path in sorted(language.glob("*.po")):
            yield from _check_file(path, language.name, used, seen)
        for key, message in used.items():
            if key not in seen:
                yield f"{message.where}: no {language.name} translation of {message.singular!r}"


def _check_file(
    path: Path, code: str, used: Mapping[Key, _Used], seen: dict[Key, tuple[str, str | tuple[str, ...]]]
) -> Iterator[str]:
    catalog = _read(path, code)
    name = f"{code}/{path.name}"
    for obsolete in catalog.obsolete:
        yield f"{name}: obsolete entry {obsolete!r}"
    for message in catalog:
        if not message.id:
            continue
        ids = message.id if isinstance(message.id, tuple | list) else (message.id,)
        strings = message.string if isinstance(message.string, tuple | list) else (message.string or "",)
        key: Key = (message.context, ids[0])
        where = f"{name}:{message.lineno}: {ids[0]!r}"
        usage = used.get(key)
        if message.fuzzy:
            yield f"{where} is fuzzy"
        if usage is None:
            yield f"{where} is not used anywhere"
        if key in seen and seen[key][1] != tuple(strings):
            yield f"{where} is translated differently in {seen[key][0]}"
        seen[key] = (name, tuple(strings))
        wanted = catalog.num_plurals if len(ids) > 1 else 1
        if len(strings) != wanted or not all(strings):
            yield f"{where} has {sum(map(bool, strings))} of {wanted} forms"
        if usage and usage.plural and len(ids) == 1:
            yield f"{where} needs plural forms: {usage.where}"
        yield from _check_placeholders(where, ids, [string for string in strings if string])


def _check_placeholders(where: str, ids: Sequence[str], strings: Sequence[str]) -> Iterator[str]:
    allowed = set().union(*(placeholders(text) for text in ids))
    # A plural form may leave the number out ("one order"), and nothing else.
    required = placeholders(ids[0]) - ({"num", "count", "n"} if len(ids) > 1 else set())
    for string in strings:
        found = placeholders(string)
        if unknown := found - allowed:
            yield f"{where} has unknown placeholders {sorted(unknown)}"
        if missing := required - found:
            yield f"{where} lacks placeholders {sorted(missing)}"


def placeholders(text: str) -> set[str]:
    """The names that a text has filled in."""
    return {next(group for group in match.groups() if group is not None) for match in _PLACEHOLDER.finditer(text)}


def main(arguments: Sequence[str]) -> int:
    """`check`: print what is wrong, exit 1 if anything is."""
    if list(arguments) != ["check"]:
        sys.stderr.write("usage: python -m plugin.kernel.i18n check\n")
        return 2
    problems = list(check(LOCALE_DIR.parents[1]))
    sys.stdout.writelines(f"{problem}\n" for problem in _first(problems, 200))
    if problems:
        sys.stdout.write(f"catalogues: {len(problems)} problems\n")
    return 1 if problems else 0


def _first(problems: Iterable[str], limit: int) -> Iterator[str]:
    for number, problem in enumerate(problems):
        if number == limit:
            yield "…"
            return
        yield problem


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
