"""Arabizi in Arabic letters: known words from our own list, the others by a small model of characters."""

from __future__ import annotations

from egyptian_arabizi_franco import Converter

from plugin.language.arabizi import plain, spelled_out

# The article stands before its noun without a blank.
_ARTICLE = "ال"


class Transliterator:
    """The model, on one thread."""

    def __init__(self) -> None:
        self._model = Converter(threads=1)

    def arabic(self, text: str) -> str:
        """`text` in Arabic letters. What is no word, and numbers, stay as they are."""
        pieces = spelled_out(text)
        unknown = [plain(piece.text) for piece in pieces if piece.arabic is None]
        written = iter(self._model.convert(unknown) if unknown else ())
        found = ""
        article = False
        for piece in pieces:
            arabic = next(written) if piece.arabic is None else piece.arabic
            if article and arabic.isspace():
                article = False
                continue
            article = arabic == _ARTICLE
            found += arabic
        return found
