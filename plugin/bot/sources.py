"""The merchant's own words as answers: which article answers, which of its paragraphs, and how surely.

What an article says is data: it is quoted, never followed, and nothing in it is filled in or carried out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from plugin.bot import lexicon
from plugin.kernel import lexemes
from plugin.kernel.db import Tx
from plugin.kernel.lexemes import Asked
from plugin.kernel.text import language_of
from plugin.knowledge import articles, markdown, search, site
from plugin.knowledge.articles import ArticleText, Kind, Listed
from plugin.knowledge.meaning import NOTHING, Near
from plugin.stores import Store

WHOLE = 600
"""Characters of an article that is quoted as a whole; of a longer one the part that answers best is."""

LONGEST = 520
SURE, LIKELY = 0.6, 0.5
LEAD = 1.25
"""How much better than the next one an article must be to be the answer and not one of the choices."""

# Words count as before, and each hundredth of a cosine above what is usual besides; more, from lower on, where the
# article is in another language. Weights and bars were chosen on the seed phrasings, with their own topic taken out
# for "outside", so that no more wrong answers pass than by words alone (benchmarks/RESULTS.md).
_USUAL, _WORTH = 0.85, 12.0
_USUAL_ACROSS, _WORTH_ACROSS = 0.81, 28.0
_MEANT_SURE, _MEANT_LEAD = 0.85, 0.7
_KNOWN_SURE, _KNOWN_LEAD = 0.6, 0.42
"""The same where the topic is known already, and only its article is looked for."""

_KINDS = (Kind.ARTICLE, Kind.SNIPPET)
_READ = 20_000
_SMALL = lexicon.keys(lambda one: one.small)


@dataclass(frozen=True, slots=True)
class Source:
    """An article as an answer. `text` is what is quoted; `cross`: in another language than was asked in.

    `strength`: how much of the question it speaks of, 0 to 1 by words alone; where it is known what the question means
    (`meant`), that is added, and it may be below and above.
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
    meant: bool = False
    rival: float = -math.inf
    """What the nearest of the other articles would have by its meaning alone."""

    @property
    def confidence(self) -> float:
        """The strength as a share."""
        return min(1.0, max(0.0, self.strength))

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


async def find(
    tx: Tx, store_id: UUID, question: str, language: str, limit: int = 3, *, near: Near = NOTHING
) -> list[Source]:
    """The articles and snippets that speak of a question, the best first. `near` is what it means (`meaning.near`)."""
    said = " ".join(content(question)) or question
    hits = await search.ranked(tx, store_id, said, language, limit + 3, kinds=_KINDS, near=near)
    every = {one.article.id: one for one in await articles.by_ids(tx, [hit.article_id for hit in hits])}
    made = [
        source
        for hit in hits
        if hit.article_id in every
        and (source := _source(every[hit.article_id], store_id, language, question, hit.language, near)) is not None
    ]
    best = sorted(made, key=lambda one: -one.strength)[:limit]
    if best and near.texts:
        spoken = language_of(question) or language
        others = [
            with_meaning(0.0, one.likeness, cross=code != spoken)
            for (id, code), one in near.texts.items()
            if id != best[0].article_id
        ]
        best[0] = replace(best[0], rival=max(others, default=-math.inf))
    return best


def sure(found: Sequence[Source], *, known: bool = False) -> Source | None:
    """The one that answers; None when none does, or two do about as well. `known`: the topic is sure. Pure."""
    if not found:
        return None
    best, second = found[0], max((one.strength for one in found[1:]), default=-math.inf)
    if best.meant:
        bar, lead = (_KNOWN_SURE, _KNOWN_LEAD) if known else (_MEANT_SURE, _MEANT_LEAD)
        return best if best.strength >= bar and best.strength - max(second, best.rival) >= lead else None
    return best if best.strength >= SURE and best.strength >= LEAD * second else None


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
    in_title = lexemes.present(title, asked)
    covered = sum(one or other for one, other in zip(in_title, lexemes.present(body, asked), strict=True)) / len(asked)
    # A title of a word or two that the question names is what it is about.
    about = min(1.0, sum(in_title) / max(1, min(len(named), len(asked))))
    return round(0.5 * covered + 0.5 * about, 3)


def passage(body: str, question: str) -> tuple[str, bool]:
    """What of a text is quoted, and whether it is all: of a long one the paragraphs that answer best. Pure."""
    if len(body) <= WHOLE:
        return body, True
    lines = [line for line in body.split("\n") if line.strip()]
    asked = _asked(question)
    best = max(range(len(lines)), key=lambda at: (sum(lexemes.present(lines[at], asked)), -at))
    said = lines[best]
    after = best + 1
    while after < len(lines) and len(said) + len(lines[after]) < LONGEST:
        said = f"{said}\n{lines[after]}"
        after += 1
    if len(said) > LONGEST:
        cut = max(said.rfind(end, LONGEST // 2, LONGEST) for end in (". ", "؟ ", "? ", "! ", "۔ ", "\n"))
        said = said[: cut + 1].strip() if cut > 0 else f"{said[: said.rfind(' ', 0, LONGEST)]}…"
    return said, False


def with_meaning(words: float, likeness: float, *, cross: bool) -> float:
    """How strongly an article answers: by words (0 to 1), and by the cosine of what it and the question mean. Pure."""
    usual, worth = (_USUAL_ACROSS, _WORTH_ACROSS) if cross else (_USUAL, _WORTH)
    return round(words + worth * (likeness - usual), 3)


def _source(
    one: Listed, store_id: UUID, language: str, question: str, matched: str = "", near: Near = NOTHING
) -> Source | None:
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
    if near.texts:
        # In its own language or in the question's: whichever is nearer by what is usual there.
        how = max(
            with_meaning(how, near.likeness(one.article.id, code), cross=code != (language_of(question) or language))
            for code in public
        )
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
        bool(near.texts),
    )


def _asked(question: str) -> tuple[Asked, ...]:
    words = content(question)
    # Every word as it stands: an unfinished last one is for a search field.
    return tuple(Asked(one.parts, one.exact, prefix=False) for one in lexemes.asked(words))
