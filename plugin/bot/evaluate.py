"""`ahlan bot evaluate`, `ahlan bot train-evaluate`, `ahlan search evaluate`: production's code on files, no server.

Each message is heard, embedded and answered by itself, as it would be in a chat; that is what the times are of.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from plugin.bot import files
from plugin.bot.measures import BotFigures, Tried, bot_figures, by_language, latency, search_figures
from plugin.kernel.errors import SetupError
from plugin.language.book import Article, Book, Listener
from plugin.language.embedder import E5Embedder, Embedder
from plugin.language.shelf import Passage, Shelf, embedded
from plugin.language.topics import Example


def bot(embedder: Embedder, questions: Path, help_centre: Path, *, seed: int) -> dict[str, Any]:
    """How well a help centre answers these questions. Raises SetupError."""
    articles = files.read(help_centre, files.Article, _Once("id", "language"))
    ids = {article.id for article in articles}
    if len(ids) < 2:
        raise SetupError(f"{help_centre}: there must be at least two articles.")
    asked = files.read(questions, files.Question, _Known("topic", ids, help_centre))
    listener = Listener()
    _say(f"Reading {len(articles)} articles …")
    book = Book.of_articles(
        embedder, listener, [Article(one.id, one.title, one.body, one.language, one.phrasings) for one in articles]
    )
    return {**_tried(embedder, listener, book, asked, seed), "articles": len(articles)}


def train(embedder: Embedder, train_file: Path, test_file: Path, *, per_class: int | None, seed: int) -> dict[str, Any]:
    """How well topics are learnt from labelled messages: trained on one, measured on another. Raises SetupError."""
    labelled = _sample(files.read(train_file, files.Question), per_class, seed)
    topics = {one.topic for one in labelled if one.topic is not None}
    if len(topics) < 2:
        raise SetupError(f"{train_file}: there must be messages of at least two topics.")
    asked = files.read(test_file, files.Question, _Known("topic", topics, train_file))
    listener = Listener()
    _say(f"Learning {len(topics)} topics from {len(labelled)} messages …")
    began = time.perf_counter()
    book = Book.of_examples(embedder, listener, [Example(one.text, one.topic, one.language) for one in labelled])
    took = time.perf_counter() - began
    found = _tried(embedder, listener, book, asked, seed)
    return {
        **found, "examples": len(labelled), "topics": len(topics), "per_class": per_class,
        "unseen_right": float(book.topics.measured.right.mean()), "training_seconds": round(took, 1),
    }  # fmt: skip


def search(embedder: Embedder, questions: Path, passages: Path) -> dict[str, Any]:
    """How often the right passage comes first, and among the first five. Raises SetupError."""
    there = files.read(passages, files.Passage, _Once("id"))
    asked = files.read(questions, files.Wanted, _Known("passage_id", {one.id for one in there}, passages))
    listener = Listener()
    _say(f"Reading {len(there)} passages …")
    kept = [Passage(one.id, one.text, one.language) for one in there]
    shelf = Shelf(kept, [embedded(embedder, passage) for passage in kept])
    _say(f"Asking {len(asked)} questions …")
    places: list[int | None] = []
    took = []
    for one in asked:
        began = time.perf_counter()
        heard = listener.hear(one.text)
        vectors = embedder.messages([heard.text])
        hits = shelf.search(heard.text, vectors[0], language=heard.language, count=5)
        took.append((time.perf_counter() - began) * 1000)
        places.append(next((at for at, hit in enumerate(hits) if hit.id == one.passage_id), None))
    languages = [one.language for one in asked]
    return {
        "figures": by_language(languages, lambda own: search_figures([places[at] for at in own])),
        "passages": len(there),
        "latency_ms": latency(took),
    }


def _tried(
    embedder: Embedder, listener: Listener, book: Book, asked: Sequence[files.Question], seed: int
) -> dict[str, Any]:
    _say(f"Asking {len(asked)} questions …")
    tried, took = [], []
    for one in asked:
        began = time.perf_counter()
        heard = listener.hear(one.text)
        (answer,) = book.answer([heard], embedder.messages([heard.text]))
        took.append((time.perf_counter() - began) * 1000)
        ranked = [topic for topic, _ in answer.ranking]
        place = ranked.index(one.topic) if one.topic is not None else None
        accepted = answer.gate >= answer.answer_from
        tried.append(Tried(one.language, one.topic is not None, place, answer.gate, answer.certainty, accepted))

    def figures(own: NDArray[np.int64]) -> BotFigures:
        return bot_figures([tried[at] for at in own], seed)

    varieties = by_language([one.variety for one in asked], figures)
    del varieties["all"]
    varieties.pop("", None)
    return {
        "figures": by_language([one.language for one in tried], figures),
        "varieties": varieties,
        "seed": seed,
        "answer_from": book.answer_from,
        "latency_ms": latency(took),
    }


def _sample(labelled: Sequence[files.Question], per_class: int | None, seed: int) -> list[files.Question]:
    """So many messages of each topic, by chance; what is outside stays whole: it is no class that anybody counts."""
    if per_class is None:
        return list(labelled)
    chance = np.random.default_rng(seed)
    places: dict[str, list[int]] = {}
    for at, one in enumerate(labelled):
        if one.topic is not None:
            places.setdefault(one.topic, []).append(at)
    chosen = {int(at) for name in sorted(places) for at in chance.permutation(places[name])[:per_class]}
    return [one for at, one in enumerate(labelled) if one.topic is None or at in chosen]


class _Known:
    """A field that names something which must be in the other file."""

    def __init__(self, field: str, known: set[str], where: Path) -> None:
        self._field, self._known, self._where = field, known, where

    def __call__(self, one: object) -> tuple[str, str] | None:
        value = getattr(one, self._field)
        if value is None or value in self._known:
            return None
        return self._field, f"{value!r} is not in {self._where}."


class _Once:
    """Fields that no two lines may have the same of."""

    def __init__(self, *fields: str) -> None:
        self._fields = fields
        self._seen: set[tuple[str, ...]] = set()

    def __call__(self, one: object) -> tuple[str, str] | None:
        key = tuple(getattr(one, field) for field in self._fields)
        if key in self._seen:
            return self._fields[0], f"{key[0]!r} was there before."
        self._seen.add(key)
        return None


def _say(words: str) -> None:
    Console(stderr=True).print(words, style="dim", highlight=False)


_SHOWN = {
    "questions": "questions", "outside": "outside", "accuracy": "accuracy", "recall_at_1": "recall@1",
    "recall_at_3": "recall@3", "recall_at_5": "recall@5", "auroc": "AUROC",
    "answered_correctly": "answered right at 5 %", "wrong_acceptance": "wrong accepted",
    "precision_at_80": "precision at 80 %",
}  # fmt: skip


def shown(figures: dict[str, dict[str, Any]]) -> Table:
    """The figures as a table: one row for each, one column for each language or variety."""
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for column in figures:
        table.add_column(column, justify="right", no_wrap=True)
    for name, words in _SHOWN.items():
        if any(name in own for own in figures.values()):
            table.add_row(words, *(_cell(own[name]) for own in figures.values()))
    return table


def _cell(value: float | int | None) -> str:
    if value is None:
        return "–"
    return str(value) if isinstance(value, int) else f"{100 * value:.2f} %"


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ahlan")
    rooms = parser.add_subparsers(dest="what", required=True)
    one = rooms.add_parser("bot")
    one.add_argument("questions", type=Path)
    one.add_argument("--help-centre", type=Path, required=True)
    one.add_argument("--seed", type=int, default=0)
    two = rooms.add_parser("train")
    two.add_argument("--train", type=Path, required=True)
    two.add_argument("--test", type=Path, required=True)
    two.add_argument("--per-class", type=int)
    two.add_argument("--seed", type=int, default=0)
    three = rooms.add_parser("search")
    three.add_argument("--questions", type=Path, required=True)
    three.add_argument("--passages", type=Path, required=True)
    for each in (one, two, three):
        each.add_argument("--json", action="store_true")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print. A file that cannot be used is a sentence, and 1."""
    said = _arguments().parse_args(arguments)
    try:
        embedder = E5Embedder()
        if said.what == "bot":
            found = bot(embedder, said.questions, said.help_centre, seed=said.seed)
        elif said.what == "train":
            found = train(embedder, said.train, said.test, per_class=said.per_class, seed=said.seed)
        else:
            found = search(embedder, said.questions, said.passages)
    except SetupError as error:
        Console(stderr=True).print(f"[bold red]ahlan:[/] {error}", highlight=False, soft_wrap=True)
        return 1
    if said.json:
        sys.stdout.write(json.dumps(found, ensure_ascii=False) + "\n")
        return 0
    console = Console()
    figures = found["figures"]
    console.print(shown(figures if len(figures) > 2 else dict(list(figures.items())[1:])))
    if found.get("varieties"):
        console.print()
        console.print(shown(found["varieties"]))
    told = ("figures", "varieties", "latency_ms")
    rest = {name: value for name, value in found.items() if name not in told and value is not None}
    words = ", ".join(f"{name.replace('_', ' ')} {value:.4g}" if isinstance(value, float) else
                      f"{name.replace('_', ' ')} {value}" for name, value in rest.items())  # fmt: skip
    times = found["latency_ms"]
    console.print(f"{words + '; ' if words else ''}{times['p50']} ms a question at the median, {times['p95']} ms p95",
                  highlight=False)  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
