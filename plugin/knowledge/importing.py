"""Bringing articles in: fetched or uploaded, looked at, then taken over. The same source again never doubles."""

import hashlib
import re
from collections import Counter
from collections.abc import Collection as Many
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import PurePath
from typing import Any, Final
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit
from uuid import UUID

import orjson
from sqlalchemy import delete, select
from sqlalchemy.orm import Mapped

from plugin import stores
from plugin.kernel.db import Base, TenantRow, Tx
from plugin.kernel.errors import AhlanError, NotFound, TooLarge
from plugin.kernel.http import Http, HttpError, spelled
from plugin.kernel.lazy import _
from plugin.kernel.personal import nobody
from plugin.kernel.text import search_key
from plugin.knowledge import articles, files, reader
from plugin.knowledge.articles import Article, ArticleText, Kind, Listed
from plugin.knowledge.files import MAX_BYTES, MOST, Draft
from plugin.platform import Connection, Platform, PlatformError
from plugin.stores import Store
from plugin.team import Agent, audit

KEPT_DAYS = 30
_REDIRECTS = 3
_PATIENCE = 15.0
_STORE_PAGES = 40
_STORE_BYTES = 20 * 1024 * 1024
KINDS: Final = (
    ".md", ".markdown", ".txt", ".html", ".htm", ".csv", ".docx", ".pdf", ".json", ".jsonl", ".zip",
)  # fmt: skip
"""Endings of files that can be read."""
WITH_IDS: Final = frozenset({"export", "page", "post", "policy"})
"""Ways of recognition whose keys are ids of the source."""
_FILE: Final = "file:"
_OWN_ANSWER: Final = 20
"""Characters of an answer that no other question has too: "Yes." says nothing about which one it was."""
_COUNTED = re.compile(r" ?\(\d{1,3}\)$")
_TRACKING = re.compile(
    r"utm_\w+|gclid|gclsrc|dclid|gbraid|wbraid|srsltid|_ga|_gl|fbclid|igshid|igsh|msclkid|ttclid|twclid|yclid|epik|"
    r"mc_cid|mc_eid|_hsenc|_hsmi|mkt_tok",
    re.IGNORECASE,
)
"""Parameters that say how somebody came to a page, and never which page it is."""


class ArticleImport(TenantRow, Base):
    """What was found in a page or file, until it is taken over; then the report of that."""

    __tablename__ = "article_imports"
    __table_args__ = ({"info": {"moves": "stays", **nobody("what the merchant tells everybody")}},)

    agent_id: Mapped[UUID]
    source: Mapped[str]
    language: Mapped[str]
    items: Mapped[list[Any]]
    report: Mapped[dict[str, Any]]
    done_at: Mapped[datetime | None]

    @property
    def where(self) -> str:
        """The page's address or the file's name, to be read."""
        return self.source.removeprefix(_FILE) if self.source.startswith(_FILE) else unquote(self.source)


class Outcome(StrEnum):
    """What taking an item over would do. `edited`: the article was changed here since it was brought in."""

    NEW = "new"
    CHANGED = "changed"
    SAME = "same"
    EDITED = "edited"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Step:
    """A text that was taken over: as which version, which one was the latest `before` it and which one shoppers saw
    (`shown`); `fresh`: its article was made for it, `revived`: it had been deleted. `came` is the digest of what had
    been brought in before it. `published`: shoppers saw it at once, by the import."""

    article: str
    language: str
    version: int
    before: int
    shown: int | None
    fresh: bool
    revived: bool = False
    came: str | None = None
    published: bool = True


@dataclass(frozen=True, slots=True)
class Planned:
    """An item of an import and what would become of it."""

    draft: Draft
    outcome: Outcome
    listed: Listed | None


async def fetch(http: Http, address: str) -> tuple[str, list[Draft]]:
    """Read a page of questions and answers; returns the address that it is known by: where it really was, in one
    spelling. Raises AhlanError.

    By the guarded client: private addresses are refused, also where a redirect leads to one, and five megabytes are
    the most that is read.
    """
    url = address.strip()
    url = url if "://" in url else f"https://{url}"
    try:
        for _hop in range(_REDIRECTS + 1):
            answer = await http.request(
                "GET", url, headers={"Accept": "text/html,application/xhtml+xml,text/markdown;q=0.8"},
                timeout=_PATIENCE, max_bytes=MAX_BYTES, attempts=2, patience=2.0,
            )  # fmt: skip
            if answer.status not in (301, 302, 303, 307, 308):
                break
            url = urljoin(url, answer.headers.get("location", ""))
        else:
            raise AhlanError(_("This page leads from one address to the next without end."), code="import_loop")
    except HttpError as error:
        raise AhlanError(
            _("This page could not be read: %(why)s."), _("Check the address, or save the page and upload it."),
            code="import_unreachable", values={"why": str(error)},
        ) from error  # fmt: skip
    kind, _semicolon, more = answer.headers.get("content-type", "").partition(";")
    if kind.strip() and not kind.strip().startswith("text/") and "html" not in kind:
        raise _nothing()
    charset = more.partition("charset=")[2].strip(" \"'")
    return _address(url), await _read("page", answer.body, url=url, charset=charset)


def _address(url: str) -> str:
    """A page's address, the same however somebody came there and however their browser writes its letters. Pure."""
    parts = urlsplit(spelled(url))
    query = "&".join(one for one in parts.query.split("&") if not _TRACKING.fullmatch(one.partition("=")[0]))
    return urlunsplit(parts._replace(path=parts.path or "/", query=query, fragment=""))


async def read_file(name: str, content: bytes) -> tuple[str, list[Draft]]:
    """Read an uploaded file by its name's ending. Raises AhlanError."""
    ending = PurePath(name).suffix.lower()
    if ending not in KINDS:
        raise AhlanError(
            _("Files of this kind cannot be read."),
            _("HTML, Markdown, CSV, Word, PDF, JSON and ZIP files can."), code="import_kind",
        )  # fmt: skip
    if len(content) > MAX_BYTES:
        raise TooLarge(_("This file is larger than 5 MB."), _("Make several of it."))
    path = PurePath(name)
    # A browser counts what it downloads again: "faq (1).docx".
    short = f"{_COUNTED.sub('', path.stem)}{path.suffix}"[-100:]
    return f"{_FILE}{short}", await _read("file", content, name=short)


async def read_store(platform: Platform, connection: Connection) -> tuple[str, list[Draft], tuple[str, ...]]:
    """The pages, posts and policies of a shop as its platform has them; and the permissions without which some of them
    are not shown to us. Raises AhlanError. Not to be called inside a transaction."""
    items: list[dict[str, str]] = []
    asks: list[str] = []
    cursor: str | None = None
    size = 0
    try:
        for _page in range(_STORE_PAGES):
            page = await platform.writings(connection, cursor)
            asks += page.asks
            for one in page.items:
                size += len(one.html)
                items.append(
                    {"id": one.external_id, "kind": one.kind, "title": one.title, "html": one.html, "url": one.url,
                     "language": one.language, "collection": one.collection}
                )  # fmt: skip
            cursor = page.cursor
            if cursor is None or len(items) >= MOST or size > _STORE_BYTES:
                break
    except PlatformError as error:
        raise AhlanError(
            _("The store did not show its pages: %(why)s."), _("Try again in a minute."), code="import_store",
            values={"why": error.said},
        ) from error  # fmt: skip
    found = await _read("writings", orjson.dumps(items), empty=True) if items else []
    found = [*found, files.unread()] if cursor is not None or len(items) > MOST else found
    return f"store:{connection.store_id}", found, tuple(dict.fromkeys(asks))


async def keep(
    tx: Tx,
    agent: Agent,
    source: str,
    drafts: Sequence[Draft],
    language: str,
    *,
    asks: Sequence[str] = (),
    languages: Many[str] = (),
) -> ArticleImport:
    """Keep what was found, for the preview; `asks` are permissions with which there would be more.

    What could not be read, and (where `languages` are given) what is in none of them, is only reported.
    """
    readable = [one for one in drafts if one.way != files.UNREAD]
    foreign = Counter(one.language for one in readable if languages and (one.language or language) not in languages)
    unread = [one.title for one in drafts if one.way == files.UNREAD]
    report = {
        "asks": list(asks),
        "foreign": dict(foreign),
        "unread": [name for name in unread if name],
        "more": "" in unread or len(readable) >= MOST,
        "as": await _known_as(tx, source, readable),
    }
    items = [
        {"title": one.title, "body": one.body, "key": one.key, "way": one.way, "language": one.language or language,
         "collection": one.collection}
        for one in readable
        if one.language not in foreign
    ]  # fmt: skip
    kept = ArticleImport(
        agent_id=agent.id,
        source=source[:500],
        language=language,
        items=items,
        report={name: said for name, said in report.items() if said},
    )
    tx.add(kept)
    await tx.flush()
    return kept


async def find(tx: Tx, import_id: UUID) -> ArticleImport:
    """An import of this workspace. Raises NotFound."""
    found = await tx.get(ArticleImport, import_id, lock=True)
    if found is None:
        raise NotFound(_("This import is no longer there."), _("Begin a new one."))
    return found


async def latest(tx: Tx, limit: int = 5) -> list[ArticleImport]:
    """What was taken over lately, the latest first."""
    rows = await tx.scalars(
        select(ArticleImport)
        .where(ArticleImport.workspace_id == tx.workspace_id, ArticleImport.done_at.is_not(None))
        .order_by(ArticleImport.id.desc())
        .limit(limit)
    )
    return list(rows)


async def store_of(tx: Tx, kept: ArticleImport) -> Store | None:
    """The shop whose own texts these are; None for a page or a file."""
    kind, _colon, id = kept.source.partition(":")
    return await stores.get(tx, UUID(id)) if kind == "store" else None


async def plan(tx: Tx, kept: ArticleImport) -> list[Planned]:
    """What each item would do, as things are now."""
    drafts = [Draft(**item) for item in kept.items]
    rows = await tx.execute(
        select(Article.origin, Article.id).where(
            Article.workspace_id == tx.workspace_id, Article.origin.in_({_origin(kept, one) for one in drafts})
        )
    )
    ids = {row.origin: row.id for row in rows}
    known = {one.article.id: one for one in await articles.by_ids(tx, list(ids.values()))}
    reworded = await _reworded(tx, kept, [one for one in drafts if _origin(kept, one) not in ids])
    planned = []
    for draft in drafts:
        origin = _origin(kept, draft)
        there = known.get(ids[origin]) if origin in ids else reworded.get(origin)
        planned.append(Planned(draft, _outcome(draft, there), there))
    return planned


async def _reworded(tx: Tx, kept: ArticleImport, unknown: Sequence[Draft]) -> dict[str, Listed]:
    """Articles whose question is not in this source any more, by the origin of the one that has their answer now.

    Only where one answer is of one article and of one question; what has an id is known by that.
    """
    unknown = [one for one in unknown if one.way not in WITH_IDS and len(one.body) >= _OWN_ANSWER]
    if not unknown:
        return {}
    here = {_origin(kept, Draft(**item)) for item in kept.items}
    rows = await tx.execute(
        select(Article.origin, Article.id).where(
            Article.workspace_id == tx.workspace_id, Article.deleted_at.is_(None),
            Article.origin.startswith(f"{kept.source}#", autoescape=True),
        )
    )  # fmt: skip
    gone = await articles.by_ids(tx, [row.id for row in rows if row.origin not in here])
    answers = Counter((code, row.body) for one in gone for code, row in one.texts.items())
    asked = Counter((one.language, one.body) for one in unknown)
    alone = {one: there for there in gone for one in ((code, row.body) for code, row in there.texts.items())
             if answers[one] == asked[one] == 1}  # fmt: skip
    return {_origin(kept, one): alone[one.language, one.body] for one in unknown if (one.language, one.body) in alone}


def _outcome(draft: Draft, there: Listed | None) -> Outcome:
    if there is None:
        return Outcome.NEW
    if there.article.deleted_at is not None:
        return Outcome.DELETED
    row = there.texts.get(draft.language)
    if row is None:
        return Outcome.CHANGED
    if (row.title, row.body) == (draft.title, draft.body):
        return Outcome.SAME
    came = there.article.imported.get(draft.language)
    if came is not None and came != _digest(row.title, row.body):
        return Outcome.SAME if came == _digest(draft.title, draft.body) else Outcome.EDITED
    return Outcome.CHANGED


async def take(
    tx: Tx, kept: ArticleImport, chosen: Many[int], *, by: Agent, collection_id: UUID | None, publish: bool
) -> ArticleImport:
    """Take the chosen items over, as drafts unless `publish`. Done once: a second time changes nothing."""
    if kept.done_at is not None:
        return kept
    shelves = {search_key(name): one.id for one in await articles.collections(tx) for name in one.names.values()}
    counts = dict.fromkeys(("new", "changed", "same", "left"), 0)
    made: dict[str, Article] = {}
    steps: list[Step] = []
    for at, one in enumerate(await plan(tx, kept)):
        if at not in chosen or one.outcome is Outcome.SAME:
            counts["same" if one.outcome is Outcome.SAME else "left"] += 1
            continue
        draft = one.draft
        # Another language of what was made a moment ago.
        article = one.listed.article if one.listed is not None else made.get(_origin(kept, draft))
        if article is None:
            shelf = shelves.get(search_key(draft.collection), collection_id) if draft.collection else collection_id
            article = await articles.create(
                tx, by.id, Kind.ARTICLE, draft.language, collection_id=shelf, origin=_origin(kept, draft)
            )
            made[article.origin] = article
        revived = article.deleted_at is not None
        if revived:
            await articles.remove(tx, article, by=by, back=True)
        before = one.listed.texts.get(draft.language) if one.listed is not None else None
        was = (before.version, before.published) if before is not None else (0, None)
        row = await articles.write(tx, article, draft.language, draft.title, draft.body, by=by.id)
        came = article.imported.get(draft.language)
        steps.append(
            Step(str(article.id), draft.language, row.version, *was, one.listed is None, revived, came, publish)
        )
        article.imported = {**article.imported, draft.language: _digest(draft.title, draft.body)}
        article.origin = _origin(kept, draft)
        if publish:
            await articles.publish(tx, article, draft.language, by=by)
        counts["new" if one.outcome is Outcome.NEW else "changed"] += 1
    kept.report = {**kept.report, **counts, "steps": [asdict(one) for one in steps]}
    kept.done_at, kept.items = datetime.now(UTC), []
    audit.note(tx, "settings.articles_imported", by=by.id, subject=kept.id, changes={"source": ["", kept.source]})
    await tx.flush()
    return kept


async def take_back(tx: Tx, kept: ArticleImport, *, by: Agent) -> ArticleImport:
    """Undo a taking over: what it made or brought back is deleted, what it changed has its former words again, also for
    shoppers, and a language that it added is gone again. Where that is the one that others follow, it stays as a draft.

    What somebody wrote on or published since stays as it is. Done once. Raises Forbidden for who may not change what
    shoppers see.
    """
    if kept.done_at is None or "back" in kept.report:
        return kept
    steps = [Step(**one) for one in kept.report.get("steps", ())]
    counts = dict.fromkeys(("deleted", "restored", "gone", "off", "stayed"), 0)
    for id in dict.fromkeys(one.article for one in steps):
        mine = [one for one in steps if one.article == id]
        found = await articles.find(tx, UUID(id), lock=True)
        if found.article.deleted_at is not None:
            continue
        still = [one for one in mine if _still(found, one)]
        if mine[0].fresh and {one.language for one in still} == set(found.texts):
            await articles.remove(tx, found.article, by=by)
            counts["deleted"] += 1
            continue
        untouched = _untouched(found, mine, still, kept.done_at)
        for one in still:
            await _as_before(tx, found.article, found.texts[one.language], one, by)
        if untouched and any(one.revived for one in mine):
            await articles.remove(tx, found.article, by=by)
            counts["deleted"] += 1
        elif any(one.before or one.shown for one in still):
            counts["restored"] += 1
        elif any(_added(found.article, one) for one in still):
            counts["gone"] += 1
        else:
            counts["off" if still else "stayed"] += 1
    kept.report = {**kept.report, "back": counts}
    audit.note(tx, "settings.import_taken_back", by=by.id, subject=kept.id, changes={"source": [kept.source, ""]})
    await tx.flush()
    return kept


def _still(found: Listed, step: Step) -> bool:
    """Whether a text is as it was taken over: nobody wrote on, or published what came as a draft."""
    row = found.texts.get(step.language)
    return row is not None and row.version == step.version and (step.published or row.published != step.version)


def _untouched(found: Listed, mine: Sequence[Step], still: Sequence[Step], since: datetime) -> bool:
    """Whether nobody has written in an article since, in the languages that were brought in or in another."""
    brought = {one.language for one in mine}
    others = [row for code, row in found.texts.items() if code not in brought]
    return len(still) == len(mine) and all(row.updated_at <= since for row in others)


def _added(article: Article, step: Step) -> bool:
    """Whether there was nothing in this language, which others do not follow."""
    return not step.before and step.language != article.source_language


async def _as_before(tx: Tx, article: Article, row: ArticleText, step: Step, by: Agent) -> None:
    shown = row.published == step.version
    if shown and step.shown is None:
        await articles.unpublish(tx, article, step.language, by=by)
    elif shown and step.shown != step.version:
        await _words_of(tx, article, step.language, step.shown or 0, by)
        await articles.publish(tx, article, step.language, by=by)
    if step.before:
        await _words_of(tx, article, step.language, step.before, by)
    elif _added(article, step):
        await articles.drop(tx, article, step.language)
    # Else the next import would take what is here for a change that somebody made here.
    imported = {code: came for code, came in article.imported.items() if code != step.language}
    article.imported = imported if step.came is None else {**imported, step.language: step.came}


async def _words_of(tx: Tx, article: Article, language: str, number: int, by: Agent) -> None:
    """The words of an earlier version. A translation counts as made from its source as before: that goes back too."""
    old = await articles.version(tx, article.id, language, number)
    await articles.write(tx, article, language, old.title, old.body, by=by.id)


async def prune(tx: Tx) -> None:
    """Forget imports that are a month old."""
    await tx.execute(
        delete(ArticleImport).where(
            ArticleImport.workspace_id == tx.workspace_id,
            ArticleImport.created_at < datetime.now(UTC) - timedelta(days=KEPT_DAYS),
        )
    )


async def _known_as(tx: Tx, source: str, drafts: Sequence[Draft]) -> str:
    """The file that an export was brought in from before, where this one is another of the same system; else empty.

    Its name says nothing, mostly it has a date. The ids do, where half of those that both have are of the same title:
    another system may count from one too.
    """
    texts = [one for one in drafts if one.way == "export"]
    if not source.startswith(_FILE) or not texts:
        return ""
    rows = await tx.execute(
        select(Article.origin, Article.id).where(
            Article.workspace_id == tx.workspace_id, Article.origin.startswith(_FILE)
        )
    )
    keys = {one.key for one in texts}
    found = {row.id: row.origin.rpartition("#") for row in rows if row.origin.rpartition("#")[2] in keys}
    titles = {(one.key, one.language, one.title) for one in texts}
    shared: Counter[str] = Counter()
    alike: Counter[str] = Counter()
    for one in await articles.by_ids(tx, list(found)):
        earlier, _sign, key = found[one.article.id]
        shared[earlier] += 1
        alike[earlier] += any((key, code, row.title) in titles for code, row in one.texts.items())
    if source in shared:
        return ""
    best, same = max(alike.items(), key=lambda pair: pair[1], default=("", 0))
    return best if same and 2 * same >= shared[best] else ""


def _origin(kept: ArticleImport, draft: Draft) -> str:
    """What an article is known by at its source. Exports and stores have ids: a translation has its article's."""
    if draft.way in WITH_IDS:
        return f"{kept.report.get('as', kept.source)}#{draft.key}"
    return f"{kept.source}#{draft.language}:{draft.key}"


def _digest(title: str, body: str) -> str:
    return hashlib.sha256(f"{title}\n{body}".encode()).hexdigest()[:24]


async def _read(
    kind: str, content: bytes, *, name: str = "", url: str = "", charset: str = "", empty: bool = False
) -> list[Draft]:
    try:
        # In a process of its own: whatever a stranger put into it, others are served meanwhile.
        drafts = await reader.read(kind, content, name=name, url=url, charset=charset)
    except files.Unreadable as error:
        raise _nothing() from error
    if not empty and all(one.way == files.UNREAD for one in drafts):
        raise _nothing()
    return drafts


def _nothing() -> AhlanError:
    return AhlanError(
        _("No questions and answers were found in it."),
        _("A page with headings, a list or folding answers works best; CSV needs columns for question and answer."),
        code="import_nothing",
    )
