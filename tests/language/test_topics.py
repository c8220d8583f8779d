"""Topics: what is said of unseen messages is what a model without them says, and so are the promises made by it."""

from __future__ import annotations

import numpy as np
import pytest

from plugin.language import topics
from plugin.language.embedder import DIMENSION, OF_MESSAGE
from plugin.language.topics import Centres, Example, Topics
from tests.language.stand_in import WordEmbedder

EXAMPLES = [
    *(Example(text, "track", "en") for text in ("where is my order", "track my order", "my parcel")),
    *(Example(text, "return", "en") for text in ("return a dress", "i want a refund", "send it back", "refund")),
    *(Example(text, "cost", "en") for text in ("what does delivery cost", "how much is delivery", "costs")),
    *(Example(text, None, "en") for text in ("tell me a joke", "what is the weather")),
]  # fmt: skip


def learn(examples: list[Example]) -> Topics:
    return Topics.learn(examples, WordEmbedder().messages([one.text for one in examples]))


def read(model: Topics, text: str, language: str = "en") -> topics.Reading:
    return model.read([text], WordEmbedder().messages([text]), [language])[0]


@pytest.mark.parametrize(
    ("text", "topic"),
    [("where is the order", "track"), ("refund please", "return"), ("how much is the delivery", "cost")],
)
def test_a_message_is_about_what_is_most_like_it(text: str, topic: str) -> None:
    reading = read(learn(EXAMPLES), text)
    assert reading.ranking[0][0] == topic
    assert sorted(name for name, _ in reading.ranking) == ["cost", "return", "track"]


def test_the_same_examples_make_the_same_model() -> None:
    assert read(learn(EXAMPLES), "refund") == read(learn(EXAMPLES), "refund")


def test_what_is_like_nothing_has_a_lower_gate_and_confidence() -> None:
    model = learn(EXAMPLES)
    inside, outside = read(model, "where is my order now"), read(model, "sing something")
    assert inside.gate > outside.gate
    assert 0 <= outside.confidence < inside.confidence <= 1


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    points = rng.standard_normal((24, 6)).astype(np.float32)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    topic = np.array([at % 4 for at in range(20)] + [-1] * 4)
    near = points @ points.T
    return points, topics.alike(near, np.eye(24, dtype=np.float32), 0.1), topics._wanted(topic, 4), topic


def test_what_is_said_of_an_unseen_example_is_what_a_model_without_it_says(system) -> None:
    _, alike, wanted, _ = system
    weights, inverse = topics._solve(alike.copy(), wanted, 0.1)
    shortcut = wanted - weights / np.diag(inverse)[:, None]
    for at in (0, 7, 22):
        others = np.arange(24) != at
        without, _ = topics._solve(alike[np.ix_(others, others)], wanted[others], 0.1)
        assert np.allclose(shortcut[at], alike[at, others] @ without, atol=1e-3)


def test_what_is_said_of_an_unseen_topic_is_what_a_model_without_it_says(system) -> None:
    points, alike, wanted, topic = system
    near = points @ points.T
    weights, inverse = topics._solve(alike.copy(), wanted, 0.1)
    strange = topics._measure(weights, inverse, wanted, topic, *topics._nearest(points, topic)).outside[
        4:
    ]  # labelled ones stand first
    for name in range(4):
        own, others = topic == name, topic != name
        without, _ = topics._solve(alike[np.ix_(others, others)], wanted[others], 0.1)
        said = alike[np.ix_(own, others)] @ without
        said[:, name] = -np.inf
        gates = topics.gate_of(said, near[np.ix_(own, others & (topic >= 0))].max(axis=1))
        assert np.allclose(strange[5 * name : 5 * name + 5], gates, atol=1e-3)


def test_the_threshold_is_held_by_the_messages_that_it_was_measured_on() -> None:
    model = learn(EXAMPLES)
    for wrong in (0.05, 0.3):
        accepted = (model.measured.outside >= model.threshold(wrong)).mean()
        assert accepted <= wrong
    assert model.threshold(0.05) >= model.threshold(0.3)


def test_few_messages_promise_less_than_many() -> None:
    assert topics._upper(0, 10) > topics._upper(0, 100) > topics._upper(0, 1000)
    assert topics._upper(5, 100) > 0.05


@pytest.mark.parametrize(
    "examples", [[], [Example("a", None, "en")], [Example("a", "t", "en"), Example("b", "t", "en")]]
)
def test_fewer_than_two_topics_teach_nothing(examples: list[Example]) -> None:
    with pytest.raises(ValueError, match="two topics"):
        learn(examples)


def test_examples_that_are_the_same_do_not_stop_it() -> None:
    model = learn([Example("same words", "a", "en")] * 30 + [Example("other things", "b", "en")] * 30)
    assert read(model, "same words").ranking[0][0] == "a"


@pytest.mark.parametrize("text", ["", "👍👍👍", "\u202e\u2066", "x" * 20_000, "?" * 300])
def test_odd_messages_are_read(text: str) -> None:
    reading = read(learn(EXAMPLES), text, "")
    assert np.isfinite(reading.gate)
    assert 0 <= reading.confidence <= 1


def test_a_message_between_two_topics_is_less_certain_than_one_that_is_clearly_about_one() -> None:
    model = learn(EXAMPLES)
    clear, between = read(model, "track my order"), read(model, "refund delivery")
    assert model.certainty(clear, "track") > model.certainty(between, between.ranking[0][0])
    first, second = (name for name, _score in clear.ranking[:2])
    assert model.certainty(clear, second) <= model.certainty(clear, first), "not the topic that is ahead"


@pytest.mark.parametrize("few", [0, 1_000])
def test_spelling_and_smoothness_are_those_that_are_right_most_often_of_unseen_examples(
    few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topics, "_FEW", few)
    vectors = WordEmbedder().messages([one.text for one in EXAMPLES])
    tried = topics._choices(len(EXAMPLES))
    alone = {}
    for choice in tried:
        monkeypatch.setattr(topics, "_choices", lambda count, choice=choice: [choice])
        alone[choice] = float(Topics.learn(EXAMPLES, vectors).measured.right.mean())
    # What was chosen, wherever it stood among the tried ones, is what others are added to.
    for order in (tried, tried[::-1]):
        monkeypatch.setattr(topics, "_choices", lambda count, order=order: order)
        model = Topics.learn(EXAMPLES, vectors, grows=True)
        assert model.ground is not None
        assert alone[model.spelling, model.ground.smooth] == max(alone.values()) == model.measured.right.mean()
        near = model.known @ model.known.T
        among = topics.system(len(near), lambda at, end, near=near: near[at:end], model.spelled, model.spelling)
        among[np.diag_indices_from(among)] += model.ground.smooth
        assert np.allclose(model.ground.inverse @ among, np.eye(len(among)), atol=1e-3)


@pytest.mark.parametrize(("examples", "share"), [(2_000, 0.25), (2_001, 1.0)])
def test_with_few_examples_the_layer_below_weighs_a_quarter(examples: int, share: float) -> None:
    vectors = np.random.default_rng(1).normal(size=(examples, OF_MESSAGE * DIMENSION)).astype(np.float32)
    centres = Centres.of(vectors, ["en"] * examples, np.ones(examples, dtype=bool))
    centred = centres.taken_from(vectors[:50], ["en"] * 50)
    assert np.allclose(np.linalg.norm(centred, axis=1), 1, atol=1e-5)
    last, below, *_ = np.linalg.norm(centred.reshape(50, OF_MESSAGE, DIMENSION), axis=2).T ** 2
    assert np.allclose(below / last, share, atol=1e-4)
