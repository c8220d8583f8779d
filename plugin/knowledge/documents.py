"""Articles out of documents and exports: DOCX, PDF, and what Zendesk, Gorgias and Intercom hand out. Pure.

As in `files`: bytes that a stranger may have made. Sizes are capped before anything is unpacked; whatever a parser does
all the same, it does in a process of its own with little room and little time (`plugin.knowledge.reader`).
"""

from __future__ import annotations

import io
import re
import unicodedata
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import mammoth
import orjson
from pypdf import PdfReader
from pypdf.errors import PyPdfError

from plugin.kernel.text import language_of
from plugin.knowledge import files, markdown
from plugin.knowledge.files import MAX_BYTES, MOST, Draft, Unreadable

MOST_PAGES = 300
MOST_MEMBERS = 2_000
MOST_UNREAD = 100
"""Files of an archive that are named as not read."""
UNPACKED = 60 * 1024 * 1024
"""Bytes that an archive may hold when it is unpacked."""
_DEEPEST = 8


def read_docx(content: bytes, name: str) -> list[Draft]:
    """A Word document: an article for each heading of the level that occurs most, else one. Pictures are left out."""
    _bounded(_archive(content))
    try:
        html = mammoth.convert_to_html(io.BytesIO(content), convert_image=mammoth.images.img_element(_no_picture)).value
    except Exception as error:  # Whatever a broken document makes of the parser: it is none.
        raise Unreadable from error
    return files.read_written(html, name)


def _no_picture(image: object) -> dict[str, str]:
    return {"src": ""}


# PDF


def read_pdf(content: bytes, name: str) -> list[Draft]:
    """A PDF: larger lines are headings. Lines that stand on most pages are not of the text."""
    if len(content) > MAX_BYTES:
        raise Unreadable
    try:
        reader = PdfReader(io.BytesIO(content), strict=False)
        if reader.is_encrypted and not reader.decrypt(""):
            raise Unreadable
        pages = [_lines(page) for page in reader.pages[:MOST_PAGES]]
    except (PyPdfError, ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError, OSError) as error:
        raise Unreadable from error
    return files.read_written(_as_html(pages), name)


Line = tuple[str, float]


def _lines(page: Any) -> list[Line]:
    """The lines of a page in reading order, with the height of their letters."""
    lines: list[list[tuple[str, float]]] = [[]]

    def take(text: str, matrix: Sequence[float], at: Sequence[float], font: object, size: float) -> None:
        height = abs(float(size or 0) * float(at[3] or 1) * float(matrix[3] or 1))
        for number, part in enumerate(text.split("\n")):
            if number:
                lines.append([])
            if part:
                lines[-1].append((part, height))

    page.extract_text(visitor_text=take)
    found = []
    for runs in lines:
        said = " ".join(_in_order([text for text, _height in runs]).split())
        if said:
            found.append((said, round(max(height for text, height in runs if text.strip()), 1)))
    return found


def _in_order(runs: Sequence[str]) -> str:
    """The stretches of a line as they are read. They come from left to right, each by itself in the order of its
    letters; a line that is read from the right begins with the last one, and what in it is read from the left stays
    together. Letters that are drawn as they join become the ones that are typed."""
    whole = "".join(runs)
    if language_of(whole) not in ("ar", "he"):
        return unicodedata.normalize("NFKC", whole)
    turned: list[str] = []
    left: list[str] = []
    for run in reversed(runs):
        if run.strip() and not any(unicodedata.bidirectional(sign) in ("R", "AL") for sign in run):
            left.insert(0, run)
            continue
        turned += [*left, run]
        left = []
    return unicodedata.normalize("NFKC", "".join([*turned, *left]))


def _as_html(pages: Sequence[Sequence[Line]]) -> str:
    seen = Counter(text for lines in pages for text in {re.sub(r"\d+", "#", said) for said, _height in lines})
    often = {text for text, times in seen.items() if len(pages) > 3 and times > len(pages) / 2}
    lines = [
        (said, height)
        for page in pages
        for said, height in page
        if re.sub(r"\d+", "#", said) not in often and not said.isdigit()
    ]
    if not lines:
        raise Unreadable
    letters: Counter[float] = Counter()
    for said, height in lines:
        letters[height] += len(said)
    usual = letters.most_common(1)[0][0]
    sizes = sorted({height for said, height in lines if height > usual * 1.12 and len(said) <= 160}, reverse=True)[:3]
    html = []
    paragraph: list[str] = []
    for said, height in [*lines, ("", 0.0)]:
        heading = height in sizes and len(said) <= 160
        # A line that ends a sentence ends its paragraph: a PDF does not say where those end.
        if paragraph and (heading or not said or paragraph[-1].endswith((".", "!", "?", "؟", ":", "。"))):
            html.append(f"<p>{files.escaped(' '.join(paragraph))}</p>")
            paragraph = []
        if heading:
            level = sizes.index(height) + 1
            html.append(f"<h{level}>{files.escaped(said)}</h{level}>")
        elif said:
            paragraph.append(said)
    return "".join(html)


# Exports of other desks

_TITLES = ("title", "name", "question")
_BODIES = ("body", "content", "html_content", "answer")


def read_json(content: bytes) -> list[Draft]:
    """An export as JSON, whoever wrote it: articles with a title and a body, their translations beside or in them.

    Zendesk: `articles` with `title`, `body`, `locale`, `section_id`, `draft`, `translations`
    (https://developer.zendesk.com/api-reference/help_center/help-center-api/articles/).
    Gorgias: `data` with `id` and `translation` {`title`, `content`, `locale`}.
    Intercom: `data` with `title`, `body`, `state`, `default_locale`, `translated_content` by language
    (https://developers.intercom.com/docs/references/rest-api/api.intercom.io/articles/article).
    """
    try:
        data = orjson.loads(files.decoded(content))
    except orjson.JSONDecodeError as error:
        lines = [line for line in files.decoded(content).splitlines() if line.strip()]
        try:
            data = [orjson.loads(line) for line in lines]
        except orjson.JSONDecodeError:
            raise Unreadable from error
    shelves = {} if not isinstance(data, dict) else _shelves(data)
    return files.kept([draft for one in _articles(data, 0) for draft in _translations(one, shelves)])


def _shelves(data: Mapping[str, Any]) -> dict[str, str]:
    """Names of sections and collections by their id."""
    found = {}
    for key in ("sections", "categories", "collections"):
        for one in data.get(key) or () if isinstance(data.get(key), list) else ():
            if isinstance(one, dict) and "id" in one:
                found[str(one["id"])] = str(one.get("name") or one.get("title") or "")
    return found


def _articles(data: Any, depth: int) -> Iterator[Mapping[str, Any]]:
    if depth > _DEEPEST:
        return
    if isinstance(data, list):
        for one in data[: 4 * MOST]:
            yield from _articles(one, depth + 1)
    elif isinstance(data, dict):
        said = _first(data, _TITLES) and _first(data, _BODIES)
        several = isinstance(data.get("translation") or data.get("translated_content"), dict)
        if said or several or isinstance(data.get("translations"), list):
            yield data
        else:
            for key in ("articles", "data", "results", "items", "help_center", "records"):
                if key in data:
                    yield from _articles(data[key], depth + 1)


def _translations(one: Mapping[str, Any], shelves: Mapping[str, str]) -> Iterator[Draft]:
    id = str(one.get("id") or one.get("source_id") or "")
    shelf = shelves.get(str(one.get("section_id") or one.get("parent_id") or one.get("category_id") or ""), "")
    named = one.get("section") or one.get("category") or one.get("collection")
    if not shelf:
        shelf = _first(named, ("name", "title")) if isinstance(named, dict) else str(named or "")
    texts: list[Mapping[str, Any]] = [one]
    if isinstance(one.get("translation"), dict):
        texts.append(one["translation"])
    if isinstance(one.get("translations"), list):
        texts += [text for text in one["translations"] if isinstance(text, dict)]
    if isinstance(one.get("translated_content"), dict):
        texts += [
            {"locale": code, **text} for code, text in one["translated_content"].items() if isinstance(text, dict)
        ]
    for text in texts:
        title, body = _first(text, _TITLES), _first(text, _BODIES)
        hidden = text.get("draft") is True or text.get("state") in ("draft", "unpublished")
        if not title or not body or hidden or (text is not one and one.get("draft") is True):
            continue
        locale = _first(text, ("locale", "default_locale", "language"))
        yield files.made(
            title, markdown.from_html(body), "export", key=id or "", language=locale, collection=shelf
        )  # fmt: skip


def _first(data: Mapping[str, Any], names: Sequence[str]) -> str:
    return next((value for name in names if isinstance(value := data.get(name), str) and value.strip()), "")


# Archives


def read_zip(content: bytes) -> list[Draft]:
    """An archive of any of these files."""
    archive = _archive(content)
    _bounded(archive)
    found: list[Draft] = []
    left: list[Draft] = []
    for info in archive.infolist():
        path = PurePosixPath(info.filename)
        reader = READERS.get(path.suffix.lower())
        if info.is_dir() or any(part.startswith((".", "__")) for part in path.parts):
            continue
        if len(found) >= MOST:
            left.append(files.unread())
            break
        if reader is None or path.suffix.lower() == ".zip" or info.file_size > MAX_BYTES:
            left.append(files.unread(str(path)))
            continue
        try:
            drafts = reader(archive.read(info), path.name)
        except (Unreadable, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError):
            drafts = []
        if not drafts:
            left.append(files.unread(str(path)))
        # One article a file is the file; several are told apart within it.
        found += [one if one.way in ("export", "table") else files.keyed(one, f"{path}#{one.key}") for one in drafts]
    return [*files.kept(found), *left[:MOST_UNREAD]]


def _archive(content: bytes) -> zipfile.ZipFile:
    if len(content) > MAX_BYTES:
        raise Unreadable
    try:
        return zipfile.ZipFile(io.BytesIO(content))
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise Unreadable from error


def _bounded(archive: zipfile.ZipFile) -> None:
    """What an archive says that it holds; a file never gives more than that."""
    members = archive.infolist()
    if len(members) > MOST_MEMBERS or sum(one.file_size for one in members) > UNPACKED:
        raise Unreadable


Reader = Callable[[bytes, str], list[Draft]]

READERS: Mapping[str, Reader] = {
    ".md": files.read_markdown,
    ".markdown": files.read_markdown,
    ".txt": files.read_markdown,
    ".csv": lambda content, _name: files.read_csv(content),
    ".html": lambda content, _name: files.read_page(content),
    ".htm": lambda content, _name: files.read_page(content),
    ".docx": read_docx,
    ".pdf": read_pdf,
    ".json": lambda content, _name: read_json(content),
    ".jsonl": lambda content, _name: read_json(content),
    ".zip": lambda content, _name: read_zip(content),
}
"""How a file is read, by the ending of its name."""
