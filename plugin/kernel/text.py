"""Text of three scripts, made comparable: one set of rules for what is indexed and what is asked. Pure.

`normalise` is for understanding (lexical side of search and the bot; never for an embedding model), `search_key` goes
further and is only ever compared with another search key.
"""

from __future__ import annotations

import re
import unicodedata

import phonenumbers

# U+0653-0655 are the madda and hamzas that NFKD splits from alef, waw and ya: dropping them folds the three.
_MARKS = re.compile(
    "["
    "\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed"  # Arabic
    "\u08ca-\u08e1\u08e3-\u08ff"
    "\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7"  # Hebrew points and accents
    "\u0640"  # tatweel
    "\u00ad\u034f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff"  # invisible: joiners, direction marks
    "]+"
)
_FOLDED = str.maketrans(
    {
        "ٱ": "ا", "ٲ": "ا", "ٳ": "ا", "ى": "ي", "ة": "ه", "ء": "", "ۀ": "ه", "ە": "ه", "ہ": "ه", "ھ": "ه", "ۃ": "ه",
        "ی": "ي", "ے": "ي", "ې": "ي", "ک": "ك", "ڪ": "ك",
        "٫": ".", "٬": ",", "،": ",", "؛": ";", "؟": "?", "٪": "%", "۔": ".",
        "׳": "", "״": "", "־": "-",
    }
)  # fmt: skip
# People type an ASCII quote or apostrophe for gershayim and geresh: צה"ל, ג'קט, צ'יפס.
_TYPED_GERESH = re.compile(r"(?<=[\u05d0-\u05ea])['\"’‘”“`´](?=[\u05d0-\u05ea]|\b|$|\s)")
_MARKED_LATIN = re.compile(r"(?<=[a-zα-ω])[^\w\s]+")
_FINALS = str.maketrans("ךםןףץ", "כמנפצ")
_NO_WORD = re.compile(r"[\W_]+")
_BIDI_CONTROLS = re.compile("[\u202a-\u202e\u2066-\u2069]")

_ARABIC = re.compile("[\u0620-\u064a\u066e-\u06d3\u06fa-\u06ff\u0750-\u077f\ufb50-\ufdff\ufe70-\ufefc]")
_HEBREW = re.compile("[\u05d0-\u05ea\ufb1d-\ufb4f]")
_LATIN = re.compile("[A-Za-z\u00c0-\u024f]")
_PERSIAN_OR_URDU = re.compile("[پچژگکیۀہھٹڈڑںےۓ]")
_ARABIC_ONLY = re.compile("[ةيكىأإؤ]")

_EMAIL = re.compile(
    r"[^\s@<>\"(),:;\\\[\]\x00-\x1f\x7f]{1,64}@"
    r"(?=.{4,253}$)(?:[^\s@.,/\\:;()<>]{1,63}\.)+[^\s@.,/\\:;()<>]{2,63}"
)


# More marks on one letter than any language writes (pointed Hebrew with accents has five).
_PILED = (
    "[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f\u0670"
    "\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u08ca-\u08e1\u08e3-\u08ff\u1ab0-\u1aff\u1dc0-\u1dff"
    "\u20d0-\u20ff\ufe20-\ufe2f]"
)
_HEAP = re.compile(f"({_PILED}{{6}}){_PILED}+")
_OVERRIDES = re.compile("[\u202a-\u202e]")
_ISOLATES = re.compile("[\u2066-\u2069]")


def harmless(text: str) -> str:
    """What a person typed, so that it stays inside its own box.

    Marks piled up on one letter ("zalgo") end after six; direction overrides and embeddings, which show a text as what
    it is not, go; isolates stay where they are closed (UAX #9, 2.2 and 2.3).
    """
    # Marks last: what stood between them may be gone.
    return _HEAP.sub(r"\1", _closed(_OVERRIDES.sub("", text)))


def _closed(text: str) -> str:
    """Without isolates that nobody closes, and ends of none."""
    if not _ISOLATES.search(text):
        return text
    keep: set[int] = set()
    opened: list[int] = []
    for found in _ISOLATES.finditer(text):
        if found[0] != "\u2069":
            opened.append(found.start())
        elif opened:
            keep |= {opened.pop(), found.start()}
    return "".join(sign for at, sign in enumerate(text) if at in keep or not "\u2066" <= sign <= "\u2069")


def normalise(text: str) -> str:
    """The same words in one spelling: compatibility forms, case, Arabic and Hebrew marks, letter variants, digits."""
    text = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    text = _MARKS.sub("", text).translate(_FOLDED)
    if not text.isascii():
        text = "".join(map(_ascii_digit, text))
        text = _TYPED_GERESH.sub("", text)
    return " ".join(unicodedata.normalize("NFC", text).split())


def _ascii_digit(character: str) -> str:
    if character.isascii():
        return character
    value = unicodedata.decimal(character, None)
    return character if value is None else str(value)


def search_key(text: str) -> str:
    """What a name, a title or a query is compared by: `normalise`, without accents, final letters and punctuation."""
    text = normalise(text)
    if not text.isascii():
        text = _MARKED_LATIN.sub(_unmarked, unicodedata.normalize("NFD", text))
        text = unicodedata.normalize("NFC", text).translate(_FINALS)
    return " ".join(_NO_WORD.sub(" ", text).split())


def _unmarked(found: re.Match[str]) -> str:
    # Marks of other scripts may stand before the accent: canonical order goes by class, not by script.
    return "".join(sign for sign in found[0] if not unicodedata.combining(sign))


def folded(name: str) -> str:
    """What makes two spellings one tag: case and blanks do not count."""
    return " ".join(name.split()).casefold()


def language_of(text: str) -> str | None:
    """`ar`, `he` or `en` by counting letters of each script; None when there are none, or it is Persian or Urdu.

    Hebrew wins where scripts mix, and both right-to-left scripts win over the Latin product names in their sentences.
    Gaf and tcheh alone do not make a text Persian: Gulf and Iraqi writers use them.
    """
    hebrew, arabic, latin = (len(script.findall(text)) for script in (_HEBREW, _ARABIC, _LATIN))
    if (hebrew + arabic) * 4 < latin:
        return "en"
    if hebrew:
        return "he"
    if arabic:
        foreign = _PERSIAN_OR_URDU.search(text) and not _ARABIC_ONLY.search(text)
        return None if foreign else "ar"
    return None


def normalise_email(text: str) -> str | None:
    """An address as identities are compared by, or None when it is none. Dots and plus parts stay: they may differ."""
    text = _MARKS.sub("", unicodedata.normalize("NFKC", text)).strip().removeprefix("mailto:").strip().lower()
    if not _EMAIL.fullmatch(text):
        return None
    local, _, domain = text.rpartition("@")
    if domain.isascii():
        return text
    try:
        return f"{local}@{domain.encode('idna').decode()}"
    except UnicodeError:
        return None


def normalise_phone(text: str, region: str | None = None) -> str | None:
    """A number as +E.164, or None when it cannot be one. `region` is the store's country (`SA`) for local numbers."""
    text = _MARKS.sub("", text)
    try:
        number = phonenumbers.parse(text, region.upper() if region else None)
    except phonenumbers.NumberParseException:
        return None
    # Not is_valid_number: its tables lag behind new ranges, and a customer must not be lost to that.
    if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def isolate(text: str, direction: str | None = None) -> str:
    """`text` set apart from its line's direction: by its own first letter, or as `ltr` (order numbers, codes) or `rtl`.

    Direction controls inside are dropped, so that nothing typed by a person can reach beyond the isolate.
    """
    opening = {None: "\u2068", "ltr": "\u2066", "rtl": "\u2067"}[direction]
    return f"{opening}{_BIDI_CONTROLS.sub('', text)}\u2069"
