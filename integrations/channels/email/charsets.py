"""Bytes to text for mail as it is: what was declared may be wrong, above all for Arabic and Hebrew. Pure.

Half of the Arabic and Hebrew mail that older programs send says iso-8859-1, us-ascii, or nothing, and is windows-1256
or windows-1255; some says iso-8859-6 or -8 and uses letters that only the Windows page has.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

# What programs write when they do not know: believed last when there are bytes above 127.
_LAZY = frozenset({"ascii", "iso8859-1", "cp1252", "latin-1"})
_KIN = {"iso8859-6": "cp1256", "iso8859-8": "cp1255", "cp864": "cp1256", "cp862": "cp1255"}
_LETTER_OF_WINDOWS = re.compile(rb"[\x80-\x9f]")
_ONE_BYTE = re.compile(r"cp12|cp8[56]|iso8859|koi8|mac|latin|ascii")
_LETTER_OF_UTF8 = re.compile(rb"[\xc2-\xf4][\x80-\xbf]")
_ARABIC = frozenset({"cp1256", "iso8859-6", "cp864"})
_HIGH_WORD = re.compile(rb"[\x80-\xff]{2,}")
_HALF = re.compile("[\ud800-\udfff]")
# Spellings of names and of programs' texts: no page of any mail, and the first two take ever longer with its length.
_NO_PAGES = frozenset({"punycode", "idna", "unicode-escape", "unicode_escape", "raw-unicode-escape",
                       "raw_unicode_escape", "undefined"})  # fmt: skip
# How often the commonest letters stand in running text: enough to tell two pages of one script apart.
_COMMON = {**dict.fromkeys("اليمونرت", 2), **dict.fromkeys("بدسعفكهحقأةى", 1)}


def decode(content: bytes, declared: str = "") -> str:
    """The text, never an error: the declared page if it fits, else the one that makes words of it."""
    page = _known(declared)
    if content.isascii() and page not in ("utf-7", "utf-16", "utf-16-le", "utf-16-be", "iso2022_jp"):
        return content.decode("ascii")
    for candidate in _candidates(content, page):
        try:
            text = content.decode(candidate)
        except (UnicodeDecodeError, LookupError):
            continue
        # UTF-7 can say half a character, which nobody can write down again.
        return _HALF.sub("\ufffd", text).removeprefix("\ufeff")
    return _HALF.sub("\ufffd", content.decode(page or "utf-8", "replace")).removeprefix("\ufeff")


def _known(declared: str) -> str:
    try:
        name = codecs.lookup(declared.strip().strip("\"'").lower()).name if declared else ""
        # base64, rot13 and the like are codecs too, but no pages.
        "".encode(name or "ascii")
    except (LookupError, ValueError, UnicodeError, TypeError):
        return ""
    return "" if name in _NO_PAGES else name


def _candidates(content: bytes, page: str) -> Iterator[str]:
    # Text of another page is hardly ever UTF-8 by accident, where a letter is a byte.
    if _ONE_BYTE.match(page) and len(_LETTER_OF_UTF8.findall(content)) >= 2:
        yield "utf-8"
    if page in _ARABIC and _is_hebrew(content):
        yield "cp1255"
    if page and page not in _LAZY:
        # ISO pages have control characters where the Windows ones have letters.
        if page in _KIN and _LETTER_OF_WINDOWS.search(content):
            yield _KIN[page]
        yield page
        if page in _KIN:
            yield _KIN[page]
    yield "utf-8"
    if found := _script(content):
        yield found
    if page:
        yield "cp1252" if page in _LAZY else page
    yield "cp1252"
    yield "latin-1"


def _script(content: bytes) -> str:
    """The page of the script that long runs of high bytes suggest; empty where they look like accents."""
    runs = b"".join(_HIGH_WORD.findall(content))
    high = sum(byte > 127 for byte in content)
    if len(runs) < 4 or len(runs) * 2 < high:
        return ""
    if sum(0xE0 <= byte <= 0xFA for byte in runs) >= 0.9 * len(runs):
        return "cp1255"
    return max(("cp1256", "iso8859-6"), key=lambda page: _sounds(runs, page))


def _is_hebrew(content: bytes) -> bool:
    """Some words of nothing but Hebrew letters; in the pages of Arabic these bytes lack its commonest one, the alef."""
    runs = b"".join(_HIGH_WORD.findall(content))
    return len(runs) >= 12 and all(0xE0 <= byte <= 0xFA for byte in runs)


def _sounds(runs: bytes, page: str) -> int:
    return sum(_COMMON.get(letter, 0) for letter in runs.decode(page, "ignore"))
