"""What is personal in a text becomes a placeholder before it leaves, and comes back in what is answered. Pure.

Known values (names, addresses, order numbers of this customer) are hidden wherever they stand; e-mail addresses, links,
telephone, card, account, order and parcel numbers, handles, and names and streets that somebody tells are known by
their shape. More is hidden than has to be: every row of four digits is, whatever it counts. What looks like one of our
placeholders already is hidden too, so that nobody can have another one's value filled in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum

_UNSEEN = "\u00ad\u034f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff"
_BETWEEN = rf"[ \t\u00a0\u202f().,/\\\-\u2010-\u2015_{_UNSEEN}]{{0,4}}"
_MARKS = "[\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670]*"
_ALIKE = {"ا": "[اأإآٱ]", "ه": "[هة]", "ي": "[يىی]", "و": "[وؤ]", "ك": "[كک]"}
_TWIN = {other: letters for letters in _ALIKE.values() for other in letters.strip("[]")}


class Kind(StrEnum):
    """What a placeholder stands for, as the model reads it."""

    EMAIL = "EMAIL"
    LINK = "LINK"
    ACCOUNT = "ACCOUNT"
    NAME = "NAME"
    ADDRESS = "ADDRESS"
    NUMBER = "NUMBER"
    HANDLE = "HANDLE"
    TEXT = "TEXT"


_PLACE = rf"\[?\b(?:{'|'.join(Kind)})_[0-9]+\b\]?"
_PLACES = re.compile(_PLACE)
_WORD = r"[^\W\d_][\w'’\-]*"
_NAMED = (
    r"(?:(?:\b(?i:my name is|my name's|name\s*:)|\bاسمي|\bإسمي|\bالاسم\s*:|(?<!\w)שמי|(?<!\w)קוראים לי|"
    r"(?<!\w)השם שלי(?: הוא)?|(?<!\w)שם\s*:|\b(?i:regards|sincerely|cheers)\s*,|تحياتي\s*[،,]|בברכה\s*,)\s+)"
)
_HOUSE = (
    rf"\b\d{{1,5}}\w?,?\s+(?:{_WORD}\s+){{1,4}}(?i:street|st|road|rd|avenue|ave|lane|ln|drive|dr|boulevard|blvd|square)\b"
    rf"|(?<!\w)(?:ב|ל|מ)?(?:רחוב|רח['’׳]|שדרות|שד['’׳]|סמטת)\s+{_WORD}(?:\s+{_WORD}){{0,2}}(?:\s+\d{{1,5}})?"
    rf"|(?<!\w)(?:ب|ل|و)?(?:شارع|حي|طريق الملك|زنقة|زقاق)\s+{_WORD}(?:\s+{_WORD}){{0,2}}(?:\s+\d{{1,5}})?"
)
_SHAPES = {
    Kind.TEXT: _PLACE,
    # From the beginning of its word on: looked for at each letter, a long word would keep the process busy.
    Kind.EMAIL: r"""(?<![^\s@<>"(),:;\\\[\]])[^\s@<>"(),:;\\\[\]]+@[^\s@<>"(),:;\\\[\]]+""",
    Kind.LINK: r"""(?i:https?://|www\.)[^\s<>"]+""",
    Kind.ACCOUNT: (
        rf"\b[A-Za-z]{{2}}\d{{2}}(?=(?:[ A-Za-z{_UNSEEN}]{{0,6}}\d){{8}})"
        rf"(?:[ {_UNSEEN}]?[A-Za-z0-9]{{1,4}}){{3,9}}\b"
    ),
}
_LATER_SHAPES = {
    Kind.ADDRESS: _HOUSE,
    # Letters and digits of one code, or a number behind its sign, however short.
    Kind.NUMBER: (
        rf"\#\w+(?:-\w+)*|[+(]?\d(?:{_BETWEEN}\d){{3,}}\w*"
        r"|(?<![\w\-])(?=[\w\-]*\d[\w\-]*\d[\w\-]*\d)(?=[\w\-]*[^\W\d_])[\w\-]{5,}"
    ),
    Kind.HANDLE: r"(?<!\w)@\w{2,}",
}


class Mask:
    """Hides and shows again. One for everything that leaves together: a value has one placeholder in all of it."""

    def __init__(
        self, *, names: Iterable[str] = (), addresses: Iterable[str] = (), numbers: Iterable[str] = ()
    ) -> None:
        known = {
            Kind.NUMBER: _known(numbers, 2),
            Kind.ADDRESS: _known(addresses, 3),
            Kind.NAME: _known(_with_parts(names), 2),
        }
        groups = [f"(?P<{kind}>{shape})" for kind, shape in _SHAPES.items()]
        groups += [f"(?P<KNOWN_{kind}>{values})" for kind, values in known.items() if values]
        groups.append(f"(?P<SAID>{_NAMED})(?P<NAME>{_WORD}(?:[ ]{_WORD}){{0,2}})")
        groups += [f"(?P<{kind}>{shape})" for kind, shape in _LATER_SHAPES.items()]
        self._shapes = re.compile("|".join(groups))
        self._places: dict[str, str] = {}
        self._values: dict[str, str] = {}
        self._counts: dict[Kind, int] = {}

    def hide(self, text: str) -> str:
        """The text as it may leave."""
        return self._shapes.sub(self._hidden, text)

    def show(self, text: str) -> str:
        """An answer with what was hidden back in its places; a placeholder that nobody gave out stays as it is."""
        return _PLACES.sub(lambda found: self._values.get(found[0].strip("[]"), found[0]), text)

    @property
    def values(self) -> frozenset[str]:
        """Everything that was hidden."""
        return frozenset(self._values.values())

    def _hidden(self, found: re.Match[str]) -> str:
        name = found.lastgroup or ""
        if name == Kind.NAME and found["SAID"] is not None:
            return found["SAID"] + self._place(Kind.NAME, found["NAME"])
        return self._place(Kind(name.removeprefix("KNOWN_")), found[0])

    def _place(self, kind: Kind, value: str) -> str:
        if value not in self._places:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self._places[value] = f"{kind}_{self._counts[kind]}"
            self._values[self._places[value]] = value
        return f"[{self._places[value]}]"


def places(text: str) -> frozenset[str]:
    """The placeholders in a text."""
    return frozenset(found[0].strip("[]") for found in _PLACES.finditer(text))


def _with_parts(names: Iterable[str]) -> list[str]:
    """Each name, and its words: people sign with one of them. Two Latin letters are as often another word."""
    found: list[str] = []
    for name in names:
        parts = name.split()
        found += [" ".join(parts), *(part for part in parts if len(part) > 2 or not part.isascii())]
    return found


def _known(values: Iterable[str], least: int) -> str:
    """A pattern for values, the longest first; letters of Arabic that people exchange stand for each other."""
    kept = {re.sub(_MARKS, "", " ".join(one.split())) for one in values}
    return "|".join(
        # ve-, le-, wa-, bi- and their like are written onto a name.
        rf"(?:(?<!\w)|(?<=\b[ولبفكהובכלמש]))(?i:{spelled(one)})(?!\w)"
        for one in sorted(kept, key=len, reverse=True)
        if len(one) >= least and any(sign.isalnum() for sign in one)
    )


def spelled(value: str) -> str:
    """A pattern for a value as people type it: marks between letters, blanks of any kind, exchanged Arabic letters."""
    return "".join(r"[\s,\u00a0]+" if sign == " " else f"{_TWIN.get(sign, re.escape(sign))}{_MARKS}" for sign in value)
