"""Searching what is published: by words in every form, by their beginnings, and past a typing error.

The index is one row for each word of a text (`article_terms`), found by equality and by range alone: both are leakproof
in PostgreSQL, so row-level security uses the index, which it does not with full-text operators
(docs/decisions/search-under-rls.md). A word stands as it is, as a stem behind `~`, and the words of titles also by
their groups of three letters behind `#`. Made in the background: a save never waits for it.
"""

# ruff: noqa: S608 (statements are put together from names of our own; values are bound)

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from uuid import UUID

from sqlalchemy import REAL, String, delete, func, select, text
from sqlalchemy.orm import Mapped, mapped_column

from plugin.app import App
from plugin.kernel import bulk, lexemes
from plugin.kernel.db import Base, Tenant, Tx, tenant_key
from plugin.kernel.lexemes import Asked, Piece
from plugin.kernel.personal import nobody
from plugin.kernel.text import language_of
from plugin.knowledge import markdown, reading
from plugin.knowledge.articles import Article, ArticleText, Kind, Listed, by_ids

LONGEST_QUESTION = 400
"""Characters of a question that are read."""

_TITLE, _BODY = 4.0, 1.0
_PREFIX = 0.6
"""What the beginning of a word is worth beside the whole word."""
_CANDIDATES = 60
_ENOUGH = 0.34
"""The share of what a question asks for, by rarity, that an answer must have."""
_ALIKE = 0.62
"""How alike two words are (0 to 1) from which on one is taken for the other mistyped."""


class ArticleTerm(Tenant, Base):
    """A word of a published text and how much it says there."""

    __tablename__ = "article_terms"
    __table_args__ = (
        tenant_key("article_id", "articles"),
        {"info": {"moves": "stays", **nobody("words of what the merchant tells everybody")}},
    )

    term: Mapped[str] = mapped_column(String(collation="C"), primary_key=True)
    article_id: Mapped[UUID] = mapped_column(primary_key=True)
    language: Mapped[str] = mapped_column(primary_key=True)
    weight: Mapped[float] = mapped_column(REAL)


@dataclass(frozen=True, slots=True)
class Found:
    """An answer in the language that it is shown in. `cross`: it is written in another one than was asked for."""

    article_id: UUID
    language: str
    slug: str
    title: Sequence[Piece]
    excerpt: Sequence[Piece]
    score: float
    cross: bool
    kind: str

    @property
    def name(self) -> str:
        """The title without marks."""
        return "".join(piece.text for piece in self.title)


# The index


async def index_article(app: App, workspace_id: UUID, *, event_id: str, subject_id: str) -> None:
    """After an article was published, changed or taken away: its words into the index, or out of it."""
    async with app.db.transaction(workspace_id) as tx:
        await index(tx, [UUID(subject_id)])
        await tx.complete_job()


async def index(tx: Tx, ids: Sequence[UUID]) -> None:
    """Make the words of these articles anew: exactly what shoppers see of them."""
    # Two at once for one article would both write: they go one after the other.
    for id in sorted(ids):
        await tx.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"article {id}", 0))))
    await tx.execute(
        delete(ArticleTerm).where(ArticleTerm.workspace_id == tx.workspace_id, ArticleTerm.article_id.in_(ids))
    )
    rows = await tx.scalars(
        select(ArticleText)
        .join(Article, (Article.workspace_id == ArticleText.workspace_id) & (Article.id == ArticleText.article_id))
        .where(
            ArticleText.workspace_id == tx.workspace_id,
            ArticleText.article_id.in_(ids),
            ArticleText.published.is_not(None),
            Article.deleted_at.is_(None),
        )
        .execution_options(populate_existing=True)
    )
    made = [
        {"term": term, "article_id": row.article_id, "language": row.language, "weight": round(weight, 3)}
        for row in rows
        for term, weight in terms(row.shown, markdown.words_of(row.html)).items()
    ]
    await bulk.insert(tx, ArticleTerm, made, key=("term", "article_id", "language"))


def terms(title: str, body: str) -> Mapping[str, float]:
    """Every form that a text is found by, with its weight: often counts more, but less and less so. Pure."""
    weights: dict[str, float] = defaultdict(float)
    for said, worth in ((title, _TITLE), (body, _BODY)):
        words = lexemes.words(said)
        for form, times in Counter(form for word in words for form in lexemes.kept(word)).items():
            weights[form] = max(weights[form], worth * (1 + math.log(times)))
    for word in lexemes.words(title):
        for gram in grams(word):
            weights[f"#{gram}"] = 1.0
    return weights


def grams(word: str) -> Iterator[str]:
    """A word's groups of three letters, its ends told apart. Pure."""
    padded = f" {word} "
    yield from (padded[at : at + 3] for at in range(len(padded) - 2))


# Asking


async def find(
    tx: Tx,
    store: UUID | None,
    text: str,
    language: str,
    limit: int,
    *,
    kinds: Sequence[Kind] = (Kind.ARTICLE,),
) -> list[Found]:
    """The published texts that answer `text`, the best first, with what was asked for marked.

    `store`: only what is for every shop or for this one (None: for any). An article that is found in another language
    is shown in `language` where it is published in it, else as it was found and marked so (`cross`).
    """
    asked = lexemes.asked(text[:LONGEST_QUESTION].split())
    if not asked:
        return []
    asked = tuple([await _as_written(tx, one) for one in asked])
    scores = await _scores(tx, asked)
    if not scores:
        return []
    best = sorted(scores, key=lambda pair: -scores[pair])[:_CANDIDATES]
    popular = await reading.reads(tx, [id for id, _language in best])
    every = await by_ids(tx, list(dict.fromkeys(id for id, _language in best)))
    found = []
    for one in every:
        # The index follows a moment later: what counts is what is so now.
        public = {code: row for code, row in one.texts.items() if row.published is not None}
        if one.article.kind not in kinds or one.article.store_id not in (None, store):
            continue
        if one.article.deleted_at is not None or not public:
            continue
        matched = {code: scores[id, code] for id, code in scores if id == one.article.id}
        shown = _language(public, matched, language, language_of(text))
        # Weak: what many read is first only among what answers about as well.
        score = max(matched.values()) * (1 + 0.04 * math.log1p(popular.get(one.article.id, 0)))
        score *= 1.15 if shown.language == language else 1.0
        found.append(_answer(one, shown, asked, score, language))
    found.sort(key=lambda one: (-one.score, str(one.article_id)))
    return found[:limit]


def _language(
    public: Mapping[str, ArticleText], matched: Mapping[str, float], language: str, script: str | None
) -> ArticleText:
    """The text to show: the reader's language where it is published, else the one that the question is in."""
    for code in (language, script or language, max(matched, key=lambda code: matched[code])):
        if code in public:
            return public[code]
    return next(iter(public.values()))


def _answer(one: Listed, shown: ArticleText, asked: Sequence[Asked], score: float, language: str) -> Found:
    body = markdown.words_of(shown.html)
    return Found(
        article_id=one.article.id,
        language=shown.language,
        slug=shown.slug,
        title=lexemes.marked(shown.shown, asked),
        excerpt=lexemes.excerpt(lexemes.marked(body[:20_000], asked), before=40, length=180),
        score=score,
        cross=shown.language != language,
        kind=one.article.kind,
    )


async def _scores(tx: Tx, asked: Sequence[Asked]) -> dict[tuple[UUID, str], float]:
    """How well each text answers: words that few texts have say more."""
    total: int = await tx.scalar(
        select(func.count())
        .select_from(ArticleText)
        .where(ArticleText.workspace_id == tx.workspace_id, ArticleText.published.is_not(None))
    )
    hits: dict[tuple[UUID, str], float] = defaultdict(float)
    had: dict[tuple[UUID, str], float] = defaultdict(float)
    worth = 0.0
    for one in asked:
        weights = await _weights(tx, one)
        rarity = math.log(1 + max(1, total) / (len(weights) or 0.5))
        worth += rarity
        for pair, weight in weights.items():
            hits[pair] += rarity * weight
            had[pair] += rarity
    return {
        pair: score * (had[pair] / worth) for pair, score in hits.items() if had[pair] >= _ENOUGH * worth
    }  # fmt: skip


async def _weights(tx: Tx, one: Asked) -> dict[tuple[UUID, str], float]:
    """Every text that has one word of the question, in whatever form. Of a phrase, the texts that have all of it."""
    if len(one.parts) > 1:
        each = [await _weights(tx, Asked((part,), frozenset((part,)))) for part in one.parts]
        both = set(each[0]).intersection(*each[1:])
        return {pair: min(weights[pair] for weights in each) for pair in both}
    values: dict[str, object] = {"workspace": tx.workspace_id, "exact": sorted(one.exact or one.parts)}
    begins = ""
    if one.prefix:
        begins = (
            f"UNION ALL SELECT article_id, language, weight * {_PREFIX} AS weight FROM article_terms "
            "WHERE workspace_id = :workspace AND term > :first AND term < :last"
        )
        values |= {"first": one.parts[0], "last": f"{one.parts[0]}\U0010ffff"}
    rows = await tx.execute(
        text(
            "SELECT article_id, language, max(weight) AS weight FROM ("
            "SELECT article_id, language, weight FROM article_terms "
            f"WHERE workspace_id = :workspace AND term = ANY(:exact) {begins}) f GROUP BY 1, 2"
        ),
        values,
    )
    return {(row.article_id, row.language): float(row.weight) for row in rows}


async def _as_written(tx: Tx, one: Asked) -> Asked:
    """The word of a title that this one is a mistyped form of; itself where it is known, or nothing is like it."""
    if len(one.parts) > 1 or len(one.parts[0]) < 4 or one.parts[0].isdigit() or await _weights(tx, one):
        return one
    word = one.parts[0]
    near = await tx.execute(
        text(
            "SELECT article_id, language FROM article_terms WHERE workspace_id = :workspace AND term = ANY(:grams) "
            "GROUP BY 1, 2 ORDER BY count(*) DESC, article_id LIMIT 30"
        ),
        {"workspace": tx.workspace_id, "grams": [f"#{gram}" for gram in grams(word)]},
    )
    pairs = {(row.article_id, row.language) for row in near}
    if not pairs:
        return one
    titles = await tx.execute(
        select(ArticleText.article_id, ArticleText.language, ArticleText.shown).where(
            ArticleText.workspace_id == tx.workspace_id, ArticleText.article_id.in_([id for id, _code in pairs])
        )
    )
    known = {said for row in titles if (row.article_id, row.language) in pairs for said in lexemes.words(row.shown)}
    best = max(known, key=lambda said: (alike(word, said), said), default="")
    if not best or alike(word, best) < _ALIKE:
        return one
    return next(iter(lexemes.asked([best])), one)


def alike(one: str, other: str) -> float:
    """How alike two words are, 0 to 1, by the letters that they share in order. Pure."""
    return SequenceMatcher(None, one, other, autojunk=False).ratio()
