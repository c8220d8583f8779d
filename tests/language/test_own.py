"""A workspace's own topics: the same as if everything were learnt at once, and as if what is checked were unknown."""

from __future__ import annotations

import numpy as np
import pytest

from plugin.language.book import Book, Heard
from plugin.language.own import OwnBook, Taught
from plugin.language.topics import Example, Topics, alike, gate_of, gate_threshold
from tests.language.running import AsItIs
from tests.language.stand_in import WordEmbedder

WORDS = [
    "where",
    "is",
    "my",
    "order",
    "track",
    "return",
    "a",
    "dress",
    "refund",
    "please",
    "send",
    "it",
    "back",
    "wrap",
    "gift",
    "box",
    "open",
    "today",
    "hours",
    "ship",
]
EMBEDDER = WordEmbedder()


def texts(seed: int, count: int) -> list[str]:
    chance = np.random.default_rng(seed)
    found = dict.fromkeys(" ".join(chance.choice(WORDS, 4)) for _ in range(count * 3))
    return list(found)[:count]


def base(seed: int = 0) -> tuple[Book, list[Example]]:
    examples = [Example(text, f"t{at % 4:03}", "en") for at, text in enumerate(texts(seed, 48))]
    vectors = EMBEDDER.messages([one.text for one in examples])
    return Book(Topics.learn(examples, vectors, grows=True)), examples


OWN = [
    *(Taught(f"can you {word} the ring with {word}", ("article:ring",), "en") for word in ("sign", "mark", "engrave")),
    Taught("track my dress today", ("t001",), "en"),
    Taught("sing a song please", (), "en"),
    Taught("where is a gift box", ("t002", "t003"), "en"),
]


def made(book: Book, own: list[Taught]) -> OwnBook:
    return OwnBook(book, own, EMBEDDER.messages([one.text for one in own]))


def heard(lines: list[str]) -> list[Heard]:
    return [AsItIs().hear(line) for line in lines]


class AtOnce:
    """The larger system, solved the long way."""

    def __init__(self, book: Book, own: OwnBook, examples: list[Example], taught: list[Taught]) -> None:
        shared = book.topics
        self.own, self.shared = own, shared
        lines = [one.text for one in examples] + [one.text for one in taught]
        vectors = EMBEDDER.messages(lines)
        known = shared.centred(vectors, ["en"] * len(lines))
        self.near = known @ known.T
        count = len(examples)
        spelled = np.zeros((len(lines), len(lines)), dtype=np.float32)
        spelled[:count] = np.hstack([shared.spelled.among(), own._spelled.of(lines[:count])])
        spelled[count:, :count] = spelled[:count, count:].T
        spelled[count:, count:] = own._spelled.among()
        assert shared.ground is not None
        self.system = alike(self.near, spelled, shared.spelling).astype(np.float64)
        self.alike = self.system.copy()
        self.system[np.diag_indices(len(lines))] += shared.ground.smooth
        self.topic = np.concatenate([shared.ground.topic, own._topic])
        self.wanted = own._wanted(self.topic).astype(np.float64)

    def without(self, gone: list[int], asked: int) -> np.ndarray:
        """What is said of one message by the model without some."""
        left = np.setdiff1d(np.arange(len(self.system)), gone)
        weights = np.linalg.solve(self.system[np.ix_(left, left)], self.wanted[left])
        return self.alike[asked, left] @ weights

    def nearest(self, asked: int, gone: list[int]) -> float:
        left = [at for at in range(len(self.topic)) if at not in gone and at != asked and self.topic[at] >= 0]
        return float(self.near[asked, left].max())


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_it_answers_as_if_everything_had_been_learnt_at_once(seed: int) -> None:
    book, examples = base(seed)
    own = made(book, OWN)
    whole = AtOnce(book, own, examples, OWN)
    weights = np.linalg.solve(whole.system, whole.wanted)
    lines = [one.text for one in (*examples, *OWN)]
    for at, answer in enumerate(own.answer(heard(lines), EMBEDDER.messages(lines))):
        said = whole.alike[at] @ weights
        scores = dict(answer.ranking)
        np.testing.assert_allclose([scores[name] for name in own.names], said[:-1], atol=0.02)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_check_is_what_a_model_says_that_never_saw_the_message(seed: int) -> None:
    book, examples = base(seed)
    own = made(book, OWN)
    whole = AtOnce(book, own, examples, OWN)
    check = own.check(len(examples), [], [], EMBEDDER.messages([]))
    gates = []
    for at in range(len(examples)):
        said = whole.without([at], at)
        gate = float(
            gate_of(said[None, :].astype(np.float32), np.array([whole.nearest(at, [at])], dtype=np.float32))[0]
        )
        gates.append(gate)
        assert check.first[at] == (said[:-1].argmax() == whole.topic[at])
        if abs(gate - own.answer_from) > 0.01:
            assert check.answered[at] == (check.first[at] and gate >= own.answer_from)
        gone = [one for one in range(len(whole.topic)) if whole.topic[one] == whole.topic[at]]
        said = whole.without(gone, at)
        said[whole.topic[at]] = -np.inf
        near = np.array([whole.nearest(at, gone)], dtype=np.float32)
        gate = float(gate_of(said[None, :].astype(np.float32), near)[0])
        if abs(gate - own.answer_from) > 0.01:
            assert check.strange[at] == (gate >= own.answer_from)
    assert len(set(gates)) > 10, "the messages differ, else this shows nothing"


def test_nothing_taught_is_the_shared_book() -> None:
    book, examples = base()
    lines = [one.text for one in examples[:10]]
    vectors = EMBEDDER.messages(lines)
    for ours, theirs in zip(
        made(book, []).answer(heard(lines), vectors), book.answer(heard(lines), vectors), strict=True
    ):
        assert ours.gate == pytest.approx(theirs.gate, abs=1e-3)
        assert [name for name, _ in ours.ranking] == [name for name, _ in theirs.ranking]


def test_an_article_becomes_a_topic_and_what_is_like_it_is_known() -> None:
    book, _ = base()
    asked = heard(["could you engrave my ring"])
    vectors = EMBEDDER.messages([asked[0].text])
    (before,) = book.answer(asked, vectors)
    (after,) = made(book, OWN).answer(asked, vectors)
    assert after.ranking[0][0] == "article:ring"
    assert after.gate > before.gate


def test_held_out_messages_are_judged_by_what_would_be_done() -> None:
    book, _ = base(1)
    own = made(book, OWN)
    held = [
        Taught("can you sign the ring with sign", ("article:ring",), "en"),
        Taught("can you sign the ring with sign", ("t001",), "en"),
        Taught("completely different thing", (), "en"),
    ]
    lines = [one.text for one in held]
    check = own.check(1, held, heard(lines), EMBEDDER.messages(lines))
    assert check.held.tolist() == [True, False, True]


def test_what_a_team_calls_outside_can_only_tighten_the_gate() -> None:
    book, examples = base()
    assert made(book, OWN).answer_from == book.answer_from
    noise = [Taught(text, (), "en") for text in texts(9, 40) if text not in {one.text for one in examples}]
    own = made(book, noise)
    assert own.answer_from >= book.answer_from
    assert own.offer_from <= own.answer_from


def test_a_gate_lets_no_more_pass_than_is_wanted() -> None:
    chance = np.random.default_rng(0)
    passed = []
    for _ in range(200):
        strange = chance.normal(size=200).astype(np.float32)
        gate = gate_threshold(strange, 0.05)
        passed.append(float((chance.normal(size=2000) >= gate).mean()) <= 0.05)
    assert np.mean(passed) >= 0.85


def test_a_book_that_does_not_grow_says_so() -> None:
    examples = [Example(text, f"t{at % 4}", "en") for at, text in enumerate(texts(0, 20))]
    book = Book(Topics.learn(examples, EMBEDDER.messages([one.text for one in examples])))
    with pytest.raises(ValueError, match="added"):
        made(book, OWN)
