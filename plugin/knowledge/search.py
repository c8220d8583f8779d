"""Searching what is published: by words in every form, by their beginnings, past a typing error, and by meaning.

The index is one row for each word of a text (`article_terms`), found by equality and by range alone: both are leakproof
in PostgreSQL, so row-level security uses the index, which it does not with full-text operators
(docs/decisions/search-under-rls.md). A word stands as it is, as a stem behind `~`, and the words of titles also by
their groups of three letters behind `#`. Made in the background: a save never waits for it.

What a question means comes from the language process (`meaning.near`), asked before the transaction begins. Both sides
are standard deviations and are added; without it, words answer alone.
"""

# ruff: noqa: S608 (statements are put together from names of our own; values are bound)

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
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
from plugin.knowledge import markdown, meaning, reading
from plugin.knowledge.articles import Article, ArticleText, Kind, Listed, by_ids
from plugin.knowledge.meaning import NOTHING, Near

LONGEST_QUESTION = 400
"""Characters of a question that are read."""

_TITLE, _BODY = 4.0, 1.0
_PREFIX = 0.6
"""What the beginning of a word is worth beside the whole word."""
_CANDIDATES = 30
_ENOUGH = 0.34
"""The share of what a question asks for, by rarity, that an answer must have."""
_ALIKE = 0.62
"""How alike two words are (0 to 1) from which on one is taken for the other mistyped."""

_SPELLING = 0.5
"""What a standard deviation by words is worth beside one by meaning (which knows pieces of words besides)."""
_FAR = 6.0
"""Standard deviations by words that count at most: among many articles a rare word would be all that matters."""
_NEAR, _NEAR_ACROSS = 0.85, 0.835
"""Cosines from which on a text answers a question without a word of it, in the same language and in another one.

Seen with multilingual-e5-small on phrasings of the forty topics: a right text 0.86 and 0.84 in the middle, questions
about something else altogether below 0.85 with nineteen chances in twenty."""
_BESIDE = 0.02
"""How far below the nearest text one may be that has no word of the question."""
_OWN = 0.15
_POPULAR, _RECENT, _RECENT_DAYS = 0.04, 0.06, 60.0
_MOST_HITS = 400
"""Texts that are looked at for one word, those that say most of it: what more of them have tells little."""


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
    near: Near = NOTHING,
) -> list[Found]:
    """The published texts that answer `text`, the best first, with what was asked for marked.

    `store`: only what is for every shop or for this one (None: for any). `near` is what the question means, from
    `meaning.near`. An article that is found in another language is shown in `language` where it is published in it,
    else as it was found and marked so (`cross`).
    """
    asked = lexemes.asked(text[:LONGEST_QUESTION].split())
    if not asked:
        return []
    known: dict[Asked, _Hits] = {}
    asked = tuple([await _as_written(tx, one, known) for one in asked])
    total = await _total(tx)
    scores = _together(await _scores(tx, asked, total, known), near, total, language_of(text))
    if not scores:
        return []
    best = sorted(scores, key=lambda pair: -scores[pair])[:_CANDIDATES]
    popular = await reading.reads(tx, [id for id, _language in best])
    every = await by_ids(tx, list(dict.fromkeys(id for id, _language in best)))
    found: list[tuple[float, Listed, ArticleText]] = []
    for one in every:
        # The index follows a moment later: what counts is what is so now.
        public = {code: row for code, row in one.texts.items() if row.published is not None}
        if one.article.kind not in kinds or one.article.store_id not in (None, store):
            continue
        if one.article.deleted_at is not None or not public:
            continue
        matched = {code: scores[id, code] for id, code in scores if id == one.article.id}
        shown = _language(public, matched, language, language_of(text))
        # Weak: what many read, and what is new, is first only among what answers about as well.
        weak = _POPULAR * math.log1p(popular.get(one.article.id, 0)) + _RECENT * _fresh(shown)
        own = _OWN if shown.language == language else 0.0
        score = max(matched.values())
        score = score + weak + own if near.texts else score * (1 + weak) * (1 + own)
        found.append((score, one, shown))
    found.sort(key=lambda one: (-one[0], str(one[1].article.id)))
    return [_answer(one, shown, asked, score, language) for score, one, shown in found[:limit]]


async def answers(
    app: App,
    workspace_id: UUID,
    store: UUID | None,
    text: str,
    language: str,
    limit: int,
    *,
    kinds: Sequence[Kind] = (Kind.ARTICLE,),
) -> list[Found]:
    """`find` with what the question means, in a transaction of its own."""
    near = await meaning.near(app, workspace_id, text[:LONGEST_QUESTION])
    async with app.db.transaction(workspace_id) as tx:
        return await find(tx, store, text, language, limit, kinds=kinds, near=near)


def _together(
    words: Mapping[tuple[UUID, str], float], near: Near, total: int, spoken: str | None
) -> dict[tuple[UUID, str], float]:
    """Words and meaning added, each in standard deviations; what has no word of the question must mean it clearly."""
    if not near.texts:
        return dict(words)
    count = max(total, len(words), 1)
    mean = sum(words.values()) / count
    spread = math.sqrt(max(sum(score * score for score in words.values()) / count - mean * mean, 0.0)) or 1.0
    nearest = max(one.likeness for one in near.texts.values())
    found = {}
    for pair in {*words, *near.texts}:
        one = near.texts.get(pair)
        if pair not in words and (one is None or one.likeness < max(_bar(pair[1], spoken), nearest - _BESIDE)):
            continue
        spelled = min((words.get(pair, 0.0) - mean) / spread, _FAR)
        found[pair] = (one.score if one is not None else near.least) + _SPELLING * spelled
    return found


def _bar(language: str, spoken: str | None) -> float:
    return _NEAR if language == spoken else _NEAR_ACROSS


def _fresh(shown: ArticleText) -> float:
    """1 for what was published a moment ago, half of it two months later."""
    at = shown.updated_at if shown.published == shown.version else shown.published_at
    days = (datetime.now(UTC) - at).total_seconds() / 86_400 if at is not None else math.inf
    return float(0.5 ** (max(days, 0.0) / _RECENT_DAYS))


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


async def _total(tx: Tx) -> int:
    """How many texts there are."""
    return int(
        await tx.scalar(
            select(func.count())
            .select_from(ArticleText)
            .where(ArticleText.workspace_id == tx.workspace_id, ArticleText.published.is_not(None))
        )
    )


@dataclass(frozen=True, slots=True)
class _Hits:
    """The texts that have a word, those that say most of it; and how many have it at all."""

    weights: Mapping[tuple[UUID, str], float]
    many: int


async def _scores(
    tx: Tx, asked: Sequence[Asked], total: int, known: dict[Asked, _Hits]
) -> dict[tuple[UUID, str], float]:
    """How well each text answers: words that few texts have say more."""
    hits: dict[tuple[UUID, str], float] = defaultdict(float)
    had: dict[tuple[UUID, str], float] = defaultdict(float)
    worth = 0.0
    for one in asked:
        found = await _weights(tx, one, known)
        rarity = math.log(1 + max(1, total) / (found.many or 0.5))
        worth += rarity
        for pair, weight in found.weights.items():
            hits[pair] += rarity * weight
            had[pair] += rarity
    return {
        pair: score * (had[pair] / worth) for pair, score in hits.items() if had[pair] >= _ENOUGH * worth
    }  # fmt: skip


async def _weights(tx: Tx, one: Asked, known: dict[Asked, _Hits]) -> _Hits:
    """Every text that has one word of the question, in whatever form. Of a phrase, the texts that have all of it."""
    if one not in known:
        known[one] = await _looked_up(tx, one, known)
    return known[one]


async def _looked_up(tx: Tx, one: Asked, known: dict[Asked, _Hits]) -> _Hits:
    if len(one.parts) > 1:
        each = [(await _weights(tx, Asked((part,), frozenset((part,))), known)).weights for part in one.parts]
        both = set(each[0]).intersection(*each[1:])
        return _Hits({pair: min(weights[pair] for weights in each) for pair in both}, len(both))
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
            "SELECT article_id, language, max(weight) AS weight, count(*) OVER () AS many FROM ("
            "SELECT article_id, language, weight FROM article_terms "
            f"WHERE workspace_id = :workspace AND term = ANY(:exact) {begins}) f GROUP BY 1, 2 "
            f"ORDER BY 3 DESC, article_id LIMIT {_MOST_HITS}"
        ),
        values,
    )
    weights: dict[tuple[UUID, str], float] = {}
    many = 0
    for row in rows:
        weights[row.article_id, row.language] = float(row.weight)
        many = row.many
    return _Hits(weights, many)


async def _as_written(tx: Tx, one: Asked, seen: dict[Asked, _Hits]) -> Asked:
    """The word of a title that this one is a mistyped form of; itself where it is known, or nothing is like it."""
    if len(one.parts) > 1 or len(one.parts[0]) < 4 or one.parts[0].isdigit() or (await _weights(tx, one, seen)).many:
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
