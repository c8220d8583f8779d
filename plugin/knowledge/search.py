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
from dataclasses import dataclass, replace
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
from plugin.knowledge.articles import Article, ArticleText, Kind
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


@dataclass(frozen=True, slots=True)
class Ranked:
    """What shoppers see of a text, but for its body, and how well it answers."""

    article_id: UUID
    language: str
    slug: str
    shown: str
    kind: str
    since: datetime | None
    reads: int = 0
    score: float = 0.0


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
    asked, found = await _ranked(tx, store, text, language, kinds, near)
    bodies = await _bodies(tx, found[:limit]) if found else {}
    return [
        _answer(one, bodies.get((one.article_id, one.language), ""), asked, one.score, one.language != language)
        for one in found[:limit]
    ]


async def ranked(
    tx: Tx,
    store: UUID | None,
    text: str,
    language: str,
    limit: int,
    *,
    kinds: Sequence[Kind] = (Kind.ARTICLE,),
    near: Near = NOTHING,
) -> list[Ranked]:
    """The same texts as `find`, for whoever reads them otherwise: nothing is fetched of them, and nothing marked."""
    return (await _ranked(tx, store, text, language, kinds, near))[1][:limit]


async def _ranked(
    tx: Tx, store: UUID | None, text: str, language: str, kinds: Sequence[Kind], near: Near
) -> tuple[Sequence[Asked], list[Ranked]]:
    asked = lexemes.asked(text[:LONGEST_QUESTION].split())
    if not asked:
        return asked, []
    if maybe := [one for one in asked if _may_be_mistyped(one)]:
        meant = await _as_written(tx, maybe)
        asked = tuple(meant.get(one, one) for one in asked)
    scores = _together(await _words(tx, asked, near), near, language_of(text))
    if not scores:
        return asked, []
    best = sorted(scores, key=lambda pair: -scores[pair])[:_CANDIDATES]
    ids = list(dict.fromkeys(id for id, _language in best))
    found: list[Ranked] = []
    for texts in await _public(tx, ids, store, kinds):
        id = texts[0].article_id
        public = {one.language: one for one in texts}
        matched = {code: scores[id, code] for code in _written(scores, id)}
        shown = _language(public, matched, language, language_of(text))
        # Weak: what many read, and what is new, is first only among what answers about as well.
        weak = _POPULAR * math.log1p(shown.reads) + _RECENT * _fresh(shown)
        own = _OWN if shown.language == language else 0.0
        score = max(matched.values())
        score = score + weak + own if near.texts else score * (1 + weak) * (1 + own)
        found.append(replace(shown, score=score))
    found.sort(key=lambda one: (-one.score, str(one.article_id)))
    return asked, found


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


@dataclass(frozen=True, slots=True)
class _Words:
    """What the words of a question say of the texts.

    `scores`: of those that say most, and of what the language process named. `many`, `sum` and `squares` are of all
    that have enough of the question; `total` texts there are.
    """

    scores: Mapping[tuple[UUID, str], float]
    many: int
    sum: float
    squares: float
    total: int


def _together(words: _Words, near: Near, spoken: str | None) -> dict[tuple[UUID, str], float]:
    """Words and meaning added, each in standard deviations; what has no word of the question must mean it clearly."""
    if not near.texts:
        return dict(words.scores)
    count = max(words.total, words.many, 1)
    mean = words.sum / count
    spread = math.sqrt(max(words.squares / count - mean * mean, 0.0)) or 1.0
    nearest = max(one.likeness for one in near.texts.values())
    found = {}
    for pair in {*words.scores, *near.texts}:
        one = near.texts.get(pair)
        if pair not in words.scores and (one is None or one.likeness < max(_bar(pair[1], spoken), nearest - _BESIDE)):
            continue
        spelled = min((words.scores.get(pair, 0.0) - mean) / spread, _FAR)
        found[pair] = (one.score if one is not None else near.least) + _SPELLING * spelled
    return found


def _bar(language: str, spoken: str | None) -> float:
    return _NEAR if language == spoken else _NEAR_ACROSS


def _written(scores: Mapping[tuple[UUID, str], float], id: UUID) -> list[str]:
    return [code for one, code in scores if one == id]


# The index follows a moment later: what counts is what is so now.
_PUBLIC = text(
    "SELECT t.article_id, t.language, t.slug, t.shown, a.kind, "
    "CASE WHEN t.published = t.version THEN t.updated_at ELSE t.published_at END AS since, "
    "coalesce(d.reads, 0) AS reads "
    "FROM article_texts t JOIN articles a ON a.workspace_id = t.workspace_id AND a.id = t.article_id "
    f"LEFT JOIN ({reading.LATELY_READ}) d ON d.article_id = a.id "
    "WHERE t.workspace_id = :workspace AND t.article_id = ANY(:ids) AND t.published IS NOT NULL "
    "AND a.deleted_at IS NULL AND a.kind = ANY(:kinds) "
    "AND (a.store_id IS NULL OR a.store_id = CAST(:store AS uuid))"
)


async def _public(tx: Tx, ids: Sequence[UUID], store: UUID | None, kinds: Sequence[Kind]) -> list[list[Ranked]]:
    """The published texts of these articles, in the order of the ids; without what is of another shop or kind."""
    rows = await tx.execute(
        _PUBLIC,
        {"workspace": tx.workspace_id, "ids": ids, "store": store, "kinds": [str(kind) for kind in kinds],
         "lately": reading.lately()},
    )  # fmt: skip
    texts: dict[UUID, list[Ranked]] = defaultdict(list)
    for row in rows:
        texts[row.article_id].append(
            Ranked(row.article_id, row.language, row.slug, row.shown, row.kind, row.since, int(row.reads))
        )
    return [texts[id] for id in ids if id in texts]


_BODIES = text(
    "SELECT t.article_id, t.language, t.html FROM unnest(CAST(:ids AS uuid[]), CAST(:languages AS text[])) "
    "AS w(id, language) JOIN article_texts t ON t.article_id = w.id AND t.language = w.language "
    "WHERE t.workspace_id = :workspace"
)


async def _bodies(tx: Tx, shown: Sequence[Ranked]) -> dict[tuple[UUID, str], str]:
    rows = await tx.execute(
        _BODIES,
        {
            "workspace": tx.workspace_id,
            "ids": [one.article_id for one in shown],
            "languages": [one.language for one in shown],
        },
    )
    return {(row.article_id, row.language): row.html for row in rows}


def _fresh(shown: Ranked) -> float:
    """1 for what was published a moment ago, half of it two months later."""
    days = (datetime.now(UTC) - shown.since).total_seconds() / 86_400 if shown.since is not None else math.inf
    return float(0.5 ** (max(days, 0.0) / _RECENT_DAYS))


def _language(public: Mapping[str, Ranked], matched: Mapping[str, float], language: str, script: str | None) -> Ranked:
    """The text to show: the reader's language where it is published, else the one that the question is in."""
    for code in (language, script or language, max(matched, key=lambda code: matched[code])):
        if code in public:
            return public[code]
    return next(iter(public.values()))


def _answer(shown: Ranked, html: str, asked: Sequence[Asked], score: float, cross: bool) -> Found:
    body = markdown.words_of(html)
    return Found(
        article_id=shown.article_id,
        language=shown.language,
        slug=shown.slug,
        title=lexemes.marked(shown.shown, asked),
        excerpt=lexemes.excerpt(lexemes.marked(body[:20_000], asked), before=40, length=180),
        score=score,
        cross=cross,
        kind=shown.kind,
    )


# A question's words are numbered (`k`). The last one may be unfinished: what begins with it counts as word `begun`.
_HITS = (
    "WITH hits AS ("
    "SELECT w.k, w.n, t.article_id, t.language, t.weight "
    "FROM unnest(CAST(:k AS int[]), CAST(:n AS int[]), CAST(:term AS text[])) AS w(k, n, term) "
    'JOIN article_terms t ON t.workspace_id = :workspace AND t.term = w.term COLLATE "C" '
    "UNION ALL "
    f"SELECT CAST(:begun AS int), 0, article_id, language, weight * {_PREFIX} FROM article_terms "
    "WHERE workspace_id = :workspace AND term > :first AND term < :last), "
)
_SINGLE = "wholes AS MATERIALIZED (SELECT k, article_id, language, max(weight) AS weight FROM hits GROUP BY 1, 2, 3), "
# A text has what consists of several words (`n`) when it has each of them.
_PHRASES = (
    "parts AS (SELECT k, n, article_id, language, max(weight) AS weight FROM hits GROUP BY 1, 2, 3, 4), "
    "wholes AS MATERIALIZED (SELECT k, article_id, language, min(weight) AS weight FROM parts GROUP BY 1, 2, 3 "
    "HAVING count(*) = (CAST(:parts AS int[]))[k + 1]), "
)
_SCORED = (
    "total AS MATERIALIZED (SELECT count(*) AS texts FROM article_texts WHERE workspace_id = :workspace), "
    "rare AS MATERIALIZED (SELECT g AS k, "
    "ln(1 + greatest(1, total.texts) / coalesce(c.many, 0.5)::float8) AS rarity "
    "FROM generate_series(0, cardinality(CAST(:parts AS int[])) - 1) AS g CROSS JOIN total "
    "LEFT JOIN (SELECT k, count(*) AS many FROM wholes GROUP BY 1) c ON c.k = g), "
    "scored AS (SELECT article_id, language, sum(rarity * weight) AS score, sum(rarity) AS had "
    "FROM wholes JOIN rare USING (k) GROUP BY 1, 2), "
    "kept AS MATERIALIZED (SELECT article_id, language, score * had / worth AS score FROM scored "
    f"CROSS JOIN (SELECT sum(rarity) AS worth FROM rare) w WHERE had >= {_ENOUGH} * worth) "
    "(SELECT article_id, language, score, 0 AS many, 0 AS total, 0 AS squares "
    f"FROM kept ORDER BY score DESC, article_id LIMIT {_CANDIDATES}) "
    "UNION ALL SELECT article_id, language, score, 0, 0, 0 FROM kept "
    "WHERE (article_id, language) IN (SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:languages AS text[]))) "
    "UNION ALL SELECT NULL, NULL, coalesce(sum(score), 0), count(*), (SELECT texts FROM total), "
    "coalesce(sum(score * score), 0) FROM kept"
)
_OF_WORDS, _OF_PHRASES = text(_HITS + _SINGLE + _SCORED), text(_HITS + _PHRASES + _SCORED)


async def _words(tx: Tx, asked: Sequence[Asked], near: Near) -> _Words:
    """How well texts answer by their words: those that few texts have say more. One statement for all words."""
    wanted = _wanted(asked)
    rows = await tx.execute(
        _OF_PHRASES if any(len(one.parts) > 1 for one in asked) else _OF_WORDS,
        {
            "workspace": tx.workspace_id,
            "k": [k for k, _n, _term in wanted],
            "n": [n for _k, n, _term in wanted],
            "term": [term for _k, _n, term in wanted],
            "parts": [len(one.parts) for one in asked],
            **_begun(asked),
            "ids": [id for id, _language in near.texts],
            "languages": [language for _id, language in near.texts],
        },
    )
    scores: dict[tuple[UUID, str], float] = {}
    many = total = 0
    sum = squares = 0.0
    for row in rows:
        if row.article_id is not None:
            scores[row.article_id, row.language] = float(row.score)
        else:
            many, total, sum, squares = row.many, row.total, float(row.score), float(row.squares)
    return _Words(scores, many, sum, squares, total)


def _wanted(asked: Sequence[Asked]) -> list[tuple[int, int, str]]:
    """(word, part of it, form) of everything that is looked for."""
    return [
        (k, n, term)
        for k, one in enumerate(asked)
        for n, part in enumerate(one.parts)
        for term in (sorted(one.exact) if len(one.parts) == 1 and one.exact else [part])
    ]


def _begun(asked: Sequence[Asked]) -> dict[str, object]:
    """The unfinished word and what lies between it and all that begins with it."""
    begun = next((k for k, one in enumerate(asked) if one.prefix), -1)
    first = asked[begun].parts[0] if begun >= 0 else ""
    # Without an unfinished word nothing is greater than nothing and less than it.
    return {"begun": max(begun, 0), "first": first, "last": f"{first}\U0010ffff" if begun >= 0 else ""}


def _may_be_mistyped(one: Asked) -> bool:
    return len(one.parts) == 1 and len(one.parts[0]) >= 4 and not one.parts[0].isdigit()


# For each word that no text has the thirty texts whose titles share most groups of three letters with it. Asked before
# the words are scored: most questions would have to be scored twice.
_ALIKE_TITLES = text(
    "WITH missing AS MATERIALIZED (SELECT unnest(CAST(:k AS int[])) AS k "
    "EXCEPT SELECT w.k FROM unnest(CAST(:k AS int[]), CAST(:term AS text[])) AS w(k, term) CROSS JOIN LATERAL ("
    'SELECT 1 FROM article_terms WHERE workspace_id = :workspace AND term = w.term COLLATE "C" LIMIT 1) t '
    "EXCEPT (SELECT CAST(:begun AS int) FROM article_terms "
    "WHERE workspace_id = :workspace AND term > :first AND term < :last LIMIT 1)), "
    "shared AS (SELECT w.k, t.article_id, t.language, row_number() OVER ("
    "PARTITION BY w.k ORDER BY count(*) DESC, t.article_id) AS place "
    "FROM unnest(CAST(:of AS int[]), CAST(:gram AS text[])) AS w(k, gram) JOIN missing ON missing.k = w.k "
    'JOIN article_terms t ON t.workspace_id = :workspace AND t.term = w.gram COLLATE "C" GROUP BY 1, 2, 3) '
    # One look by its key for each: joined, every text of the workspace would be read.
    "SELECT s.k, x.shown FROM (SELECT * FROM shared WHERE place <= 30 OFFSET 0) s CROSS JOIN LATERAL ("
    "SELECT shown FROM article_texts WHERE workspace_id = :workspace AND article_id = s.article_id "
    "AND language = s.language LIMIT 1) x"
)


async def _as_written(tx: Tx, asked: Sequence[Asked]) -> dict[Asked, Asked]:
    """For those words that no text has, the words of titles that they are mistyped forms of, where there are such."""
    wanted = _wanted(asked)
    pieces = [(k, f"#{gram}") for k, one in enumerate(asked) for gram in dict.fromkeys(grams(one.parts[0]))]
    rows = await tx.execute(
        _ALIKE_TITLES,
        {
            "workspace": tx.workspace_id,
            "k": [k for k, _n, _term in wanted],
            "term": [term for _k, _n, term in wanted],
            **_begun(asked),
            "of": [k for k, _gram in pieces],
            "gram": [gram for _k, gram in pieces],
        },
    )
    titles: dict[int, set[str]] = defaultdict(set)
    for row in rows:
        titles[row.k].update(lexemes.words(row.shown))
    found = {}
    for k, known in titles.items():
        word = asked[k].parts[0]
        # What cannot be alike enough by its letters alone is most of it, and not compared in their order.
        near = [(alike(word, said), said) for said in known if at_most(word, said) >= _ALIKE]
        likeness, best = max(near, default=(0.0, ""))
        if likeness >= _ALIKE and (meant := lexemes.asked([best])):
            found[asked[k]] = meant[0]
    return found


def at_most(one: str, other: str) -> float:
    """What `alike` of two words cannot exceed, by how many letters they share in whatever order. Pure."""
    shorter, longer = sorted((one, other), key=len)
    most = 2 * len(shorter) / max(len(one) + len(other), 1)
    if most < _ALIKE:
        return most
    return 2 * sum(min(one.count(sign), other.count(sign)) for sign in set(shorter)) / (len(shorter) + len(longer))


def alike(one: str, other: str) -> float:
    """How alike two words are, 0 to 1, by the letters that they share in order. Pure."""
    return SequenceMatcher(None, one, other, autojunk=False).ratio()
