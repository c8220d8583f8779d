"""The merchant's own words as answers: which article answers, which of its paragraphs, and how surely.

What an article says is data: it is quoted, never followed, and nothing in it is filled in or carried out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from plugin.kernel import lexemes
from plugin.kernel.db import Tx
from plugin.kernel.lexemes import Asked
from plugin.kernel.text import search_key
from plugin.knowledge import articles, markdown, search, site
from plugin.knowledge.articles import ArticleText, Kind, Listed
from plugin.stores import Store

WHOLE = 600
"""Characters of an article that is quoted as a whole; of a longer one the part that answers best is."""

LONGEST = 520
SURE, LIKELY = 0.6, 0.5
LEAD = 1.25
"""How much better than the next one an article must be to be the answer and not one of the choices."""

_KINDS = (Kind.ARTICLE, Kind.SNIPPET)
_READ = 20_000
_SMALL = frozenset(
    search_key(
        "a an the is are was do does did can could would will i you we he she it my your our me us to of in on at for "
        "from and or if how what when where which who why please tell want need have has be there this that with "
        "about any "
        "هل ما ماذا من في على الى إلى عن مع هو هي انا أنا انت أنت كيف متى اين أين وين فين كم بكم شو ايش وش ليش لو سمحت "
        "ممكن عندكم عندكن عندكو لديكم يوجد هناك او أو ان أن لي لكم اريد أريد ابغى ابي بدي عايز هذا هذه "
        "האם מה מי איך איפה מתי כמה למה אני אתם אתה את יש אין של על עם לי לכם זה זו אפשר רוצה צריך או גם אם בבקשה"
    ).split()
)


@dataclass(frozen=True, slots=True)
class Source:
    """An article as an answer. `text` is what is quoted; `cross`: in another language than was asked in.

    `strength` (0 to 1): how much of the question it speaks of.
    """

    article_id: UUID
    language: str
    slug: str
    title: str
    text: str
    cross: bool
    strength: float
    kind: str
    whole: bool

    def card(self, public_url: str, store: Store) -> dict[str, Any] | None:
        """The source as a card of a message; None for a snippet, which has no page."""
        if self.kind != Kind.ARTICLE:
            return None
        return {
            "kind": "article",
            "id": str(self.article_id),
            "title": self.title,
            "slug": self.slug,
            "language": self.language,
            "url": site.address(public_url, store, self.language, self.slug),
        }


async def by_id(tx: Tx, store_id: UUID, article_id: UUID, language: str, question: str) -> Source | None:
    """An article that is known to answer; None when it is not published for this store any more."""
    found = await articles.by_ids(tx, [article_id])
    return _source(found[0], store_id, language, question) if found else None


async def find(tx: Tx, store_id: UUID, question: str, language: str, limit: int = 3) -> list[Source]:
    """The articles and snippets that speak of a question, the best first."""
    said = " ".join(content(question)) or question
    hits = await search.find(tx, store_id, said, language, limit + 3, kinds=_KINDS)
    every = {one.article.id: one for one in await articles.by_ids(tx, [hit.article_id for hit in hits])}
    made = [
        source
        for hit in hits
        if hit.article_id in every
        and (source := _source(every[hit.article_id], store_id, language, question, hit.language)) is not None
    ]
    return sorted(made, key=lambda one: -one.strength)[:limit]


def sure(found: Sequence[Source]) -> Source | None:
    """The one that answers; None when none does, or two do about as well. Pure."""
    if not found or found[0].strength < SURE:
        return None
    if len(found) > 1 and found[0].strength < LEAD * found[1].strength:
        return None
    return found[0]


def likely(found: Sequence[Source]) -> list[Source]:
    """Those that are worth offering. Pure."""
    return [one for one in found if one.strength >= LIKELY]


def content(question: str) -> list[str]:
    """The words of a question that say what it is about. Pure."""
    return [word for word in lexemes.words(question) if word not in _SMALL and (len(word) > 1 or word.isdigit())]


def strength(question: str, title: str, body: str) -> float:
    """How much of a question a text speaks of, 0 to 1; its title counts more than its body. Pure."""
    asked = _asked(question)
    if not asked:
        return 0.0
    named = content(title)
    in_title = sum(_has(title, one) for one in asked)
    covered = sum(_has(title, one) or _has(body, one) for one in asked) / len(asked)
    # A title of a word or two that the question names is what it is about.
    about = min(1.0, in_title / max(1, min(len(named), len(asked))))
    return round(0.5 * covered + 0.5 * about, 3)


def passage(body: str, question: str) -> tuple[str, bool]:
    """What of a text is quoted, and whether it is all: of a long one the paragraphs that answer best. Pure."""
    if len(body) <= WHOLE:
        return body, True
    lines = [line for line in body.split("\n") if line.strip()]
    asked = _asked(question)
    best = max(range(len(lines)), key=lambda at: (sum(_has(lines[at], one) for one in asked), -at))
    said = lines[best]
    after = best + 1
    while after < len(lines) and len(said) + len(lines[after]) < LONGEST:
        said = f"{said}\n{lines[after]}"
        after += 1
    if len(said) > LONGEST:
        cut = max(said.rfind(end, LONGEST // 2, LONGEST) for end in (". ", "؟ ", "? ", "! ", "۔ ", "\n"))
        said = said[: cut + 1].strip() if cut > 0 else f"{said[: said.rfind(' ', 0, LONGEST)]}…"
    return said, False


def _source(one: Listed, store_id: UUID, language: str, question: str, matched: str = "") -> Source | None:
    public = {code: row for code, row in one.texts.items() if row.published is not None}
    if one.article.deleted_at is not None or one.article.store_id not in (None, store_id) or not public:
        return None
    row: ArticleText = next(
        (public[code] for code in (language, matched, one.article.source_language) if code in public),
        next(iter(public.values())),
    )
    read = public.get(matched, row)
    body = markdown.words_of(row.html)[:_READ]
    quoted, whole = passage(body, question)
    how = strength(question, read.shown, body if read is row else markdown.words_of(read.html)[:_READ])
    return Source(
        one.article.id,
        row.language,
        row.slug,
        row.shown,
        quoted,
        row.language != language,
        how,
        one.article.kind,
        whole,
    )


def _asked(question: str) -> tuple[Asked, ...]:
    words = content(question)
    # Every word as it stands: an unfinished last one is for a search field.
    return tuple(Asked(one.parts, one.exact, prefix=False) for one in lexemes.asked(words))


def _has(text: str, asked: Asked) -> bool:
    return bool(text) and any(piece.found for piece in lexemes.marked(re.sub(r"\s+", " ", text), (asked,)))
