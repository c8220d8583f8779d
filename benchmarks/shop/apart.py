"""Whether the frozen questions stand apart from the seed phrasings: else they would measure memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from plugin.bot import files, seeds
from plugin.kernel.text import search_key
from plugin.language.book import Listener, in_batches
from plugin.language.embedder import DIMENSION, OF_MESSAGE, Embedder

QUESTIONS = Path(__file__).parent / "questions.jsonl"
EDITS = 3
COSINE = 0.97


def frozen() -> list[files.Question]:
    """The questions as they were written."""
    return files.read(QUESTIONS, files.Question)


def phrasings() -> list[str]:
    """Every title and phrasing of the pack."""
    return [line for topic in seeds.pack() for line, _ in topic.examples()]


def spelled_alike(questions: Sequence[str], lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Questions with a line that `EDITS` letters or fewer make the same, by what `search_key` leaves of both."""
    by_length: dict[int, list[tuple[str, str]]] = {}
    for line in lines:
        key = search_key(line)
        by_length.setdefault(len(key), []).append((key, line))
    for question in questions:
        key = search_key(question)
        # So few changes leave one of so many parts as it was.
        step = max(1, -(-len(key) // (EDITS + 1)))
        parts = [key[at : at + step] for at in range(0, len(key), step)]
        for length in range(len(key) - EDITS, len(key) + EDITS + 1):
            for other, line in by_length.get(length, ()):
                shared = len(parts) <= EDITS or any(part in other for part in parts)
                if shared and _within(key, other):
                    yield question, line


def _within(one: str, other: str) -> bool:
    """Whether `EDITS` or fewer letters are put in, left out or changed (Levenshtein)."""
    row = list(range(len(other) + 1))
    for at, letter in enumerate(one, 1):
        new = [at]
        for place, opposite in enumerate(other, 1):
            new.append(min(row[place] + 1, new[-1] + 1, row[place - 1] + (letter != opposite)))
        if min(new) > EDITS:
            return False
        row = new
    return row[-1] <= EDITS


def meant_alike(
    embedder: Embedder, listener: Listener, questions: Sequence[str], lines: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """Questions with a line whose vector is as near as `COSINE`, as a question or as a statement, both as heard."""
    asked, known = (in_batches(embedder, [listener.hear(text).text for text in texts]) for texts in (questions, lines))
    # By the last layer: what the one below says is near for any two texts.
    parts = [slice(at * DIMENSION, (at + 1) * DIMENSION) for at in range(0, OF_MESSAGE, 2)]
    near = np.maximum.reduce([asked[:, part] @ known[:, part].T for part in parts])
    for question, line in np.argwhere(near >= COSINE):
        yield questions[question], lines[line]
