"""Files of questions, articles and passages, one JSON object a line. What is wrong is said by line and field."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from plugin.kernel.errors import SetupError

MOST_CHARACTERS = 100_000
"""Of one text."""


class Question(msgspec.Struct, frozen=True):
    """A message and what it is about; None is outside of everything. `variety` is a dialect, a script, or empty."""

    text: str
    topic: str | None
    language: str
    variety: str = ""


class Article(msgspec.Struct, frozen=True):
    """An article of a help centre in one language; its translations have the same id."""

    id: str
    title: str
    body: str
    language: str
    phrasings: tuple[str, ...] = ()


class Wanted(msgspec.Struct, frozen=True):
    """A question and the passage that answers it."""

    text: str
    passage_id: str
    language: str


class Passage(msgspec.Struct, frozen=True):
    """Something to be found."""

    id: str
    text: str
    language: str


_T = TypeVar("_T", Question, Article, Wanted, Passage)


def read(path: Path, kind: type[_T], check: Callable[[_T], tuple[str, str] | None] = lambda _: None) -> list[_T]:
    """The lines of a file. `check` gives the field and what is wrong with it. Raises SetupError with one sentence."""
    decoder = msgspec.json.Decoder(kind)
    found: list[_T] = []
    for number, line in _lines(path):
        try:
            one = decoder.decode(line)
        except msgspec.DecodeError as error:
            raise SetupError(f"{path}, line {number}: {_plain(error)}") from error
        except UnicodeDecodeError as error:
            raise SetupError(f"{path}, line {number}: it is not UTF-8.") from error
        wrong = _empty(one) or check(one)
        if wrong:
            raise SetupError(f"{path}, line {number}, field {wrong[0]!r}: {wrong[1]}")
        found.append(one)
    if not found:
        raise SetupError(f"{path} is empty.")
    return found


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        with path.open("rb") as file:
            begins = file.read(2)
            file.seek(0)
            if begins in (b"\xff\xfe", b"\xfe\xff"):
                raise SetupError(f"{path} is UTF-16, not UTF-8.")
            whole = gzip.GzipFile(fileobj=file) if begins == b"\x1f\x8b" else file
            for number, line in enumerate(whole, 1):
                line = line.removeprefix(b"\xef\xbb\xbf").strip()
                if line:
                    yield number, line
    except (OSError, EOFError, zlib.error) as error:
        raise SetupError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from error


def _plain(error: msgspec.DecodeError) -> str:
    """msgspec's sentence, with the field in our way of naming it."""
    said, _, where = str(error).partition(" - at `$")
    if where:
        return f"field {where.strip('`.[]')!r}: {said[0].lower()}{said[1:]}."
    return f"{said.rstrip('.')}."


def _empty(one: Question | Article | Wanted | Passage) -> tuple[str, str] | None:
    for name in one.__struct_fields__:
        value = getattr(one, name)
        if isinstance(value, str):
            # An article may consist of its title, a question be of no variety in particular.
            if not value.strip() and name not in ("body", "variety"):
                return name, "it is empty."
            if len(value) > MOST_CHARACTERS:
                return name, f"it has more than {MOST_CHARACTERS} characters."
    return None
