"""Marks text for the catalogues where the reader, and so the language, is not known yet."""

from __future__ import annotations


class Lazy(str):
    """An English msgid that `Translator.gettext` turns into the reader's language at the edge."""

    __slots__ = ()


def _(msgid: str) -> Lazy:
    """Mark `msgid` for extraction without translating it yet."""
    return Lazy(msgid)
