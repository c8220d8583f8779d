"""What the bot knows of one help centre: topics by their phrasings, articles by their words, ranked together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from plugin.kernel.text import language_of
from plugin.language.arabizi import is_arabizi
from plugin.language.embedder import DIMENSION, MOST_OF_MESSAGE, OF_MESSAGE, Embedder, both_ends
from plugin.language.kept import KeptVectors
from plugin.language.memory import give_back
from plugin.language.shelf import Passage, Shelf, embedded
from plugin.language.topics import Example, Reading, Topics
from plugin.language.transliteration import Transliterator

Floats = NDArray[np.float32]

WRONG = 0.05
"""The share of outside messages that may be answered at most."""

UNSURE = 0.3
"""The share of outside messages that may be offered choices."""

# Below, another topic is more probable than the first one.
_CERTAIN = 0.5

# What the articles' own words weigh against the phrasings.
_ARTICLES = 0.5


@dataclass(frozen=True, slots=True)
class Article:
    """An article in one language; its translations have the same id."""

    id: str
    title: str
    body: str
    language: str
    phrasings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Heard:
    """A message as the models take it: Arabizi is in Arabic letters."""

    text: str
    language: str | None
    arabizi: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """What a message is about: topics best first, how sure, and the two gates in between which choices are offered.

    `confidence`: how probable it is that the first topic is right. `certainty`: the same, if it is about any at all.
    """

    ranking: tuple[tuple[str, float], ...]
    confidence: float
    certainty: float
    gate: float
    answer_from: float
    offer_from: float


class Listener:
    """Reads messages: transliterates what is Arabizi, says the language by the script."""

    def __init__(self, transliterator: Transliterator | None = None) -> None:
        self._transliterator = transliterator or Transliterator()

    def hear(self, text: str) -> Heard:
        """The message in the form in which it is compared. Long ones by their two ends."""
        text = both_ends(text, MOST_OF_MESSAGE)
        language = language_of(text)
        if language == "en" and is_arabizi(text):
            return Heard(self._transliterator.arabic(text), "ar", arabizi=True)
        return Heard(text, language, arabizi=False)


class Book:
    """Answers about one set of articles, or of topics without articles."""

    def __init__(self, topics: Topics, shelf: Shelf | None = None, owners: Sequence[str] = ()) -> None:
        self._topics, self._shelf = topics, shelf
        place = {name: at for at, name in enumerate(topics.names)}
        self._owners = np.array([place[owner] for owner in owners], dtype=np.int64)
        self.answer_from = topics.threshold(WRONG)
        self.offer_from = min(topics.threshold(UNSURE), self.answer_from)

    @classmethod
    def of_examples(
        cls, embedder: Embedder, listener: Listener, examples: Sequence[Example], *, grows: bool = False,
        kept: KeptVectors | None = None,
    ) -> Book:  # fmt: skip
        """Learnt from messages whose topics are known. A topic whose id is words is taken for an example of itself.

        `grows`: workspaces can add to it (`plugin.language.own`). `kept`: where the vectors may be from before.
        """
        topics = sorted({example.topic for example in examples if example.topic is not None})
        named = [Example(words, topic, language_of(words) or "") for topic in topics if (words := _words(topic))]
        return cls(_learnt(embedder, listener, [*examples, *named], grows=grows, kept=kept))

    @classmethod
    def of_articles(
        cls, embedder: Embedder, listener: Listener, articles: Sequence[Article], examples: Sequence[Example] = ()
    ) -> Book:
        """Learnt from articles, their titles and phrasings, and what else is known (`examples`, also outside)."""
        passages = [
            Passage(str(at), f"{article.title}\n{article.body}", article.language, article.phrasings)
            for at, article in enumerate(articles)
        ]
        named = [
            Example(text, article.id, article.language)
            for article in articles
            for text in (article.title, *article.phrasings)
        ]
        shelf = Shelf(passages, [embedded(embedder, passage) for passage in passages])
        topics = _learnt(embedder, listener, [*named, *examples])
        return cls(topics, shelf, [article.id for article in articles])

    @property
    def topics(self) -> Topics:
        """The trained model."""
        return self._topics

    @property
    def size(self) -> int:
        """Bytes that it takes, about."""
        return self._topics.size + (self._shelf.size if self._shelf else 0)

    def answer(self, heard: Sequence[Heard], vectors: Floats) -> list[Answer]:
        """What these messages are about. `vectors` are `Embedder.messages` of their texts."""
        readings = self._topics.read([one.text for one in heard], vectors, [one.language or "" for one in heard])
        found = []
        for one, vector, reading in zip(heard, vectors, readings, strict=True):
            ranking = reading.ranking
            if self._shelf is not None:
                ranking = self._together(ranking, self._shelf.scores(one.text, vector, language=one.language))
            found.append(answered(self._topics, reading, ranking, self.answer_from, self.offer_from))
        return found

    def _together(self, ranking: tuple[tuple[str, float], ...], passages: Floats) -> tuple[tuple[str, float], ...]:
        best = np.full(len(self._topics.names), -np.inf, dtype=np.float32)
        np.maximum.at(best, self._owners, passages)
        best[np.isinf(best)] = passages.min()
        said = dict(ranking)
        topics = np.array([said[name] for name in self._topics.names], dtype=np.float32)
        scores = _standard(topics) + _ARTICLES * _standard(best)
        return tuple((self._topics.names[at], float(scores[at])) for at in np.argsort(-scores, kind="stable"))


def answered(
    topics: Topics, reading: Reading, ranking: tuple[tuple[str, float], ...], answer_from: float, offer_from: float
) -> Answer:
    """The answer that a reading is, with its topics in the order of `ranking`."""
    gate, certainty = reading.gate, topics.certainty(reading, ranking[0][0])
    if certainty < _CERTAIN:
        # It is about one of these, and most probably not the first: choices are offered.
        gate = min(gate, float(np.nextafter(np.float32(answer_from), np.float32(-np.inf))))
    return Answer(ranking, reading.confidence, certainty, gate, answer_from, offer_from)


_NAME = re.compile(r"[^\W\d_]{3,}")


def _words(topic: str) -> str:
    """What the id of a topic says, such as `lost_or_stolen_card`; nothing where it is a number or a code."""
    words = re.sub(r"[\W_]+", " ", topic).strip()
    return words if len(_NAME.findall(words)) * 2 > len(words.split()) else ""


def _standard(scores: Floats) -> Floats:
    spread = float(scores.std())
    found: Floats = (scores - scores.mean()) / spread if spread > 1e-6 else np.zeros_like(scores)
    return found


def _learnt(
    embedder: Embedder, listener: Listener, examples: Sequence[Example], *, grows: bool = False,
    kept: KeptVectors | None = None,
) -> Topics:  # fmt: skip
    """Topics of these examples; what a speaker wrote in Arabizi is learnt as it will be heard."""
    heard = [listener.hear(example.text) for example in examples]
    read = [
        Example(one.text, example.topic, one.language or example.language)
        for one, example in zip(heard, examples, strict=True)
    ]
    texts = [one.text for one in heard]
    make = partial(in_batches, embedder)
    return Topics.learn(read, kept.of(texts, make) if kept is not None else make(texts), grows=grows)


_BATCH = 32


def in_batches(embedder: Embedder, texts: Sequence[str]) -> Floats:
    """`Embedder.messages` of many texts, a few at a time: what is asked meanwhile waits for a batch at most."""
    found = np.empty((len(texts), OF_MESSAGE * DIMENSION), dtype=np.float32)
    for at in range(0, len(texts), _BATCH):
        found[at : at + _BATCH] = embedder.messages(texts[at : at + _BATCH])
        # What the model took on the way would stay beside what the next batch takes, in holes of other sizes.
        give_back()
    return found
