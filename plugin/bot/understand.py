"""What can be read in a message without any model: its language, its questions, and what it names. Pure.

Digits may be Arabic-Indic or Persian, letters stretched, directions marked: everything is found in one spelling and
told with its place in the text as it was typed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import pairwise

from plugin.bot import lexicon
from plugin.kernel.text import harmless, language_of, normalise_email, normalise_phone, search_key
from plugin.language.arabizi import is_arabizi

MOST = 4_000
"""Characters of a message that are read; what is longer is read by its beginning."""

MOST_QUESTIONS = 4
_MOST_FOUND = 10


@dataclass(frozen=True, slots=True)
class Found:
    """Something named in a message: in the form we compare, and where it stands."""

    value: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Product:
    """What a message may call a product by: its titles in every language, its codes."""

    id: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it was understood."""

    text: str
    language: str | None
    arabizi: bool
    questions: tuple[str, ...]
    orders: tuple[Found, ...] = ()
    emails: tuple[Found, ...] = ()
    phones: tuple[Found, ...] = ()
    dates: tuple[Found, ...] = ()
    products: tuple[str, ...] = field(default=())

    @property
    def says_nothing(self) -> bool:
        """Only signs, or pictures: there is nothing to look up."""
        return not self.questions


def understand(text: str, *, today: date, region: str | None = None, products: Sequence[Product] = ()) -> Message:
    """Read a message. `region` is the store's country (`SA`), for local phone numbers; `today` the shopper's."""
    text = harmless(text)[:MOST]
    plain = _digits(text)
    emails = _emails(plain)
    # An address is in no language.
    language = spoken_in(_without(plain, emails))
    if language == "en" and not _WORDS.search(plain):
        # "L" is a size in every language.
        language = None
    arabizi = language == "en" and is_arabizi(text)
    # In some countries a day with its year could be dialled.
    days = _whole_days(_without(plain, emails), today)
    phones = _phones(_without(plain, [*emails, *days]), region)
    dates = _dates(_without(plain, [*emails, *phones]), today)
    orders = _orders(_without(plain, [*emails, *phones, *dates]))
    return Message(
        text, "ar" if arabizi else language, arabizi, _questions(text), tuple(orders), tuple(emails), tuple(phones),
        tuple(dates), _products(text, products),
    )  # fmt: skip


_OWN_KEYS = {
    language: own
    for language, one in lexicon.languages().items()
    if (own := frozenset(map(search_key, lexicon.split(one.own))))
}


def spoken_in(text: str) -> str | None:
    """The language of a message. Where scripts mix, a product's name may be in another one than the rest: then it is
    the one whose small words are said, if that is only one; else by counting letters."""
    counted = language_of(text)
    words = search_key(text).split()
    said = {language for language, own in _OWN_KEYS.items() if sum(word in own for word in words) >= _ENOUGH[language]}
    return said.pop() if counted is not None and len(said) == 1 else counted


# A Latin brand name may hold an English word or two; Arabic and Hebrew ones stand in no other script by chance.
_ENOUGH = {"en": 2, "ar": 1, "he": 1}

_JOINED = tuple(lexicon.said(lambda one: one.questions.joined))
"""Letters that say "and", written onto the next word."""

_CONTINUES = re.compile(
    rf"^(?:{lexicon.any_said(lambda one: one.questions.goes_on)}\b|(?:{'|'.join(_JOINED)}))", re.IGNORECASE
)
# These begin with the letter and do not say "and".
_NOT_AND = lexicon.keys(lambda one: one.questions.not_and)
_POINTS = lexicon.keys(lambda one: one.questions.points)
_FEW_WORDS = 4


def continues(question: str) -> bool:
    """Whether a question goes on from the one before it: "and who pays for it", "وكم ياخذ وقت"."""
    words = search_key(question).split()
    if not words or words[0] in _NOT_AND or not _CONTINUES.match(question.strip()):
        return False
    return len(words) <= _FEW_WORDS or not _POINTS.isdisjoint(words)


def without_and(question: str) -> str:
    """What stands behind the "and" of a question that goes on."""
    return _CONTINUES.sub("", question.strip()).strip()


def _digits(text: str) -> str:
    """The same text with ASCII digits, sign for sign, so that places stay what they are."""
    return "".join(
        sign if sign.isascii() or (value := unicodedata.decimal(sign, None)) is None else str(value) for sign in text
    )


def _without(text: str, found: Sequence[Found]) -> str:
    """The text with blanks where something was found already."""
    for one in found:
        text = text[: one.start] + " " * (one.end - one.start) + text[one.end :]
    return text


# Questions

# Where one question ends: a question mark, the end of a sentence or line.
_END = re.compile(r"(?<=[?؟!])\s*|(?<=[.۔])\s+|\n+")
_WORDS = re.compile(r"[^\W_]{2,}")
_MARKS = ("?", "؟")


def _questions(text: str) -> tuple[str, ...]:
    """The questions of a message, each to be answered by itself.

    A greeting alone belongs to the question behind it, and a story told before one question is part of that.
    """
    found = [question for part in _asked_apart(text) for question in _sentences(part)]
    return tuple(found[:MOST_QUESTIONS])


_ALSO = lexicon.keys(lambda one: one.questions.also)
_OPENERS = lexicon.keys(lambda one: one.questions.openers)
_EMPTY = lexicon.keys(lambda one: one.questions.empty)
_GREETINGS = frozenset(word for said in lexicon.keys(lambda one: one.manners.greetings) for word in said.split())
_PAUSED = re.compile(r"[,،;؛]|[.۔]\s|\n")
_TOKEN = re.compile(r"[^\s,،;؛]+[,،;؛]*")
_RELATIVE = lexicon.keys(lambda one: one.questions.relative)
_CLAUSES = lexicon.keys(lambda one: one.questions.clauses)
_AUXILIARIES = lexicon.keys(lambda one: one.questions.auxiliaries)
_UNASKED = lexicon.keys(lambda one: one.questions.unasked)


def _asked_apart(text: str) -> list[str]:
    """A text in parts, each from where a question begins: "… and also how much is …", "how much is it, can I …".

    "And" before a question word begins one wherever it stands; a pause only between two questions that ask something.
    What somebody tells before they ask stays with it, and "can you help me, where is …" is one.
    """
    words = list(_TOKEN.finditer(text))
    keys = [search_key(word[0]) for word in words]
    starts = [0]
    asking = joined = False
    for at, word in enumerate(words):
        said = keys[starts[-1] : at]
        paused = at > 0 and _PAUSED.search(text, words[at - 1].end() - 1, word.start() + 1) is not None
        opens = keys[at] in _OPENERS and at + 1 < len(words)
        if not joined and _joins(keys, at):
            starts.append(at)
            asking = True
        elif (
            opens
            and paused
            and asking
            and not _goes_on(keys, at)
            and not _EMPTY.issuperset(said)
            and not _EMPTY.issuperset(keys[at:])
        ):
            starts.append(at)
        elif opens and (paused or _GREETINGS.issuperset(said)):
            asking = True
        joined = keys[at] in _ALSO
    places = [*(words[at].start() for at in dict.fromkeys(starts)), len(text)] if words else []
    return [text[begin:end].rstrip(" \t\n,،;؛") for begin, end in pairwise(places)]


def _goes_on(keys: Sequence[str], at: int) -> bool:
    """Whether a word that may begin a question goes on from what stands before it: "my order, which I placed"."""
    word, behind = keys[at], " ".join(keys[at + 1 : at + 3])
    if word in _CLAUSES:
        return keys[at + 1] not in _AUXILIARIES
    if word in _RELATIVE or f"{word} {behind[:1]}" in _RELATIVE:
        return True
    return any(f"{word} {behind} ".startswith(f"{one} ") for one in _UNASKED)


def _joins(keys: Sequence[str], at: int) -> bool:
    """Whether a word says "and", or has it written onto it, and a question begins behind that."""
    word = keys[at]
    if word.startswith(_JOINED) and word not in _NOT_AND and word[1:] in _OPENERS:
        return at + 1 < len(keys)
    if word not in _ALSO and not (word.startswith(_JOINED) and word[1:] in _ALSO):
        return False
    behind = next((place for place in range(at + 1, len(keys)) if keys[place] not in _ALSO), len(keys))
    return behind + 1 < len(keys) and keys[behind] in _OPENERS


def _sentences(text: str) -> list[str]:
    found: list[str] = []
    held = ""
    for sentence in _END.split(text):
        said = f"{held} {sentence.strip()}".strip()
        words = len(_WORDS.findall(said))
        held = ""
        if words == 1 and not said.endswith(_MARKS):
            held = said
        elif words:
            found.append(said)
    if held:
        found[-1:] = [f"{found[-1]} {held}" if found else held]
    asked = sum(one.endswith(_MARKS) for one in found)
    return found if asked > 1 or asked == len(found) else [" ".join(found)]


# Orders

_NUMBER_WORD = lexicon.any_said(lambda one: one.orders.number)
_ORDER_WORD = lexicon.any_said(lambda one: f"{one.orders.names}, {one.orders.number}")
_BETWEEN = lexicon.any_said(lambda one: f"{one.orders.between}, {one.orders.number}")
_NAMED_ORDER = re.compile(
    rf"(?<![^\W_]){_ORDER_WORD}(?:[\s:.'’׳\-]|{_BETWEEN}\b)*#?\s*"
    r"(?P<number>[a-z]{0,5}-?\d{3,12}(?:-[a-z0-9]{1,5})?)(?![\d@])",
    re.IGNORECASE,
)
_MARKED_ORDER = re.compile(r"(?<![\w&])#\s?(?P<number>[a-z]{0,5}-?\d{2,12}(?:-[a-z0-9]{1,5})?)\b", re.IGNORECASE)
_BARE_ORDER = re.compile(
    r"(?<![\w.,#/\-+])(?P<number>[a-z]{1,5}-?\d{4,12}|\d{4,10})"
    rf"(?![\w/\-]|[.,]\d|\s*(?:{lexicon.any_said(lambda one: one.orders.currencies)}|₪|\$|€|%))",
    re.IGNORECASE,
)


def _orders(text: str) -> list[Found]:
    """Order numbers: those that are named or marked; else what stands alone and looks like one."""
    found: dict[tuple[int, int], Found] = {}
    for pattern in (_NAMED_ORDER, _MARKED_ORDER):
        for match in pattern.finditer(text):
            place = match.span("number")
            found.setdefault(place, Found(match["number"].upper(), *place))
    if not found:
        for match in _BARE_ORDER.finditer(text):
            found[match.span("number")] = Found(match["number"].upper(), *match.span("number"))
    return [found[place] for place in sorted(found)][:_MOST_FOUND]


# Addresses and numbers of people

_EMAIL = re.compile(r"[^\s@<>\"(),:;\\\[\]،؛]{1,64}@[^\s@<>\"(),:;\\\[\]،؛]{1,253}")


def _emails(text: str) -> list[Found]:
    found = []
    for match in _EMAIL.finditer(text):
        typed = match[0].rstrip(".!?؟'")
        address = normalise_email(typed)
        if address is not None:
            found.append(Found(address, match.start(), match.start() + len(typed)))
    return found[:_MOST_FOUND]


_PHONE = re.compile(r"(?<![\w#/.,+-])(?:\+|00)?\d(?:[ ().\-/\u00a0]{0,2}\d){6,16}(?![\w/]|[.,]\d)")


def _phones(text: str, region: str | None) -> list[Found]:
    """Numbers that can be dialled: with a plus or zeros before the country, or with the zero of the store's own."""
    found = []
    for match in _PHONE.finditer(text):
        typed = match[0]
        typed = f"+{typed[2:]}" if typed.startswith("00") else typed
        number = normalise_phone(typed, region) if typed.startswith(("+", "0")) else None
        if number is not None:
            found.append(Found(number, match.start(), match.end()))
    return found[:_MOST_FOUND]


_DIALLED = re.compile(r"(?<!\w)\+?\d(?:[ ()./-]{0,2}\d){6,14}(?!\w)")
# "Number" alone may be a telephone's.
_ANY_NUMBER = re.compile(_NUMBER_WORD, re.IGNORECASE)
_MOST_BESIDE = 8
_BLANKED = re.compile(r"[\d\W]+")


def dialled(text: str, *, alone: bool = False) -> str:
    """A number as somebody typed it who was asked for one, or who wants to be called; empty where there is none.

    What is an order's, a day or an address is none. `alone`: only where the text says little else.
    """
    plain = _digits(harmless(text)[:MOST])
    plain = _without(plain, _emails(plain))
    plain = _without(plain, _whole_days(plain, date(2000, 1, 1)))
    orders = [
        Found(match["number"], *match.span("number"))
        for pattern in (_NAMED_ORDER, _MARKED_ORDER)
        for match in pattern.finditer(plain)
        if not _ANY_NUMBER.match(match[0])
    ]
    found = _DIALLED.search(_without(plain, orders))
    if found is None or (alone and len(_WORDS.findall(_BLANKED.sub(" ", plain))) > _MOST_BESIDE):
        return ""
    return found[0]


# Days

_ISO = re.compile(r"(?<!\d)(20\d\d)[-/.](\d{1,2})[-/.](\d{1,2})(?!\d)")
_DAY_FIRST = re.compile(r"(?<!\d)(\d{1,2})[-/.](\d{1,2})(?:[-/.](20\d\d|\d\d))?(?!\d|[-/.]\d)")
_DAYS = {
    day: days
    for days, listed in (
        (0, lexicon.keys(lambda one: one.days.today)),
        (-1, lexicon.keys(lambda one: one.days.yesterday)),
        (1, lexicon.keys(lambda one: one.days.tomorrow)),
        (-2, lexicon.keys(lambda one: one.days.before_yesterday)),
        (2, lexicon.keys(lambda one: one.days.after_tomorrow)),
    )
    for day in listed
}
_NAMED_DAYS = lexicon.any_said(
    lambda one: ",".join(
        (one.days.today, one.days.yesterday, one.days.tomorrow, one.days.before_yesterday, one.days.after_tomorrow)
    )
)
_DAY_WORD = re.compile(rf"(?<![^\W_]){_NAMED_DAYS}(?![^\W_])", re.IGNORECASE)


def _dates(text: str, today: date) -> list[Found]:
    """Days, as ISO dates. Where the year is missing it is the one that is nearest; the day stands before the month."""
    found: dict[int, Found] = {}
    for match in _ISO.finditer(text):
        _keep(found, match, _day(int(match[1]), int(match[2]), int(match[3])))
    for match in _DAY_FIRST.finditer(text):
        if any(one.start <= match.start() < one.end for one in found.values()):
            continue
        if match[3] is None and "." in match[0]:
            continue  # a price or a version
        day, month, year = int(match[1]), int(match[2]), match[3]
        if year is not None:
            _keep(found, match, _day(int(year) + (2000 if len(year) == 2 else 0), month, day))
            continue
        near = [one for year in (today.year - 1, today.year, today.year + 1) if (one := _day(year, month, day))]
        _keep(found, match, min(near, key=lambda one: abs(one - today), default=None))
    for match in _DAY_WORD.finditer(text):
        _keep(found, match, today + timedelta(days=_DAYS[search_key(match[0])]))
    return [found[start] for start in sorted(found)][:_MOST_FOUND]


def _whole_days(text: str, today: date) -> list[Found]:
    """Days that are written with all four figures of their year."""
    return [one for one in _dates(text, today) if _YEAR.search(text[one.start : one.end])]


_YEAR = re.compile(r"20\d\d")


def _keep(found: dict[int, Found], match: re.Match[str], day: date | None) -> None:
    if day is not None:
        found[match.start()] = Found(day.isoformat(), match.start(), match.end())


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


# Products


def _products(text: str, products: Sequence[Product]) -> tuple[str, ...]:
    """Ids of the products that are named, those with the longest names first; part of a longer name is not named."""
    said = f" {search_key(text)} "
    names = sorted(
        ((key, product.id) for product in products for name in product.names if len(key := search_key(name)) > 2),
        key=lambda one: (-len(one[0]), one[1]),
    )
    found: list[str] = []
    for key, product in names:
        if f" {key} " in said and product not in found:
            said = said.replace(f" {key} ", " \0 ")
            found.append(product)
    return tuple(found[:_MOST_FOUND])
