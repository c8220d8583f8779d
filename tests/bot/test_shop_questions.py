"""The frozen questions of a shop: enough of them, about topics that exist, and none that a seed gives away."""

from __future__ import annotations

import tomllib
from collections import Counter
from pathlib import Path

from benchmarks.shop import apart
from plugin.bot import seeds
from plugin.kernel.text import search_key
from plugin.language import arabizi
from plugin.language.book import Listener
from tests.language.stand_in import WordEmbedder


def test_there_are_enough_questions_in_every_language_and_variety() -> None:
    questions = apart.frozen()
    assert len({one.text for one in questions}) == len(questions) >= 600
    assert sum(one.topic is None for one in questions) >= 200
    assert {one.topic for one in questions} - {None} == {topic.id for topic in seeds.pack()}
    assert {one.language for one in questions} == set(seeds.LANGUAGES)
    varieties = Counter(one.variety for one in questions)
    assert set(varieties) == {"en", "he", "ar", "gulf", "egyptian", "levantine", "maghrebi", "arabizi"}
    assert min(varieties.values()) >= 50


def test_no_question_is_spelled_like_a_seed() -> None:
    """Where this fails the seed goes or says something else: the questions stay as they are."""
    assert [*apart.spelled_alike([one.text for one in apart.frozen()], apart.phrasings())] == []


def test_no_question_teaches_what_arabizi_is() -> None:
    data = tomllib.loads((Path(arabizi.__file__).parent / "latin.toml").read_text(encoding="utf-8"))
    taught = {search_key(line) for kind in ("arabizi", "other") for line in data[kind].splitlines()}
    assert [one.text for one in apart.frozen() if search_key(one.text) and search_key(one.text) in taught] == []


def test_what_is_spelled_alike_is_found() -> None:
    lines = ["Where is my order?", "أين طلبي الآن", "מה שעות הפתיחה?"]
    near = ["wher is my ordr", "اين طلبى الان؟؟", "מה שעת הפתיחה", "😀"]
    assert [line for _, line in apart.spelled_alike(near, lines)] == lines
    far = ["where was his old order", "متى يصل طلبي", "שעות"]
    assert [*apart.spelled_alike(far, lines)] == []
    assert [*apart.spelled_alike(["ok"], ["oh"])] == [("ok", "oh")]


def test_what_is_meant_alike_is_found() -> None:
    """By the words, without the model: `python -m benchmarks shop` asks the model itself."""
    pair = ("is my order where", "where is my order")
    found = [*apart.meant_alike(WordEmbedder(), Listener(), [pair[0], "sing a song"], [pair[1], "gift wrap"])]
    assert found == [pair]
