"""Vectors of the seeds on disk: used when they are the right ones, made where they are not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from plugin.language.frames import Taught, Teach
from plugin.language.kept import KeptVectors
from plugin.language.server import Library
from tests.language.running import AsItIs
from tests.language.stand_in import WordEmbedder
from tests.language.test_process import EXAMPLES

TEXTS = ("where is my order", "refund please")


def make(texts: Sequence[str]) -> NDArray[np.float32]:
    return WordEmbedder().messages(texts)


def nobody(texts: Sequence[str]) -> NDArray[np.float32]:
    raise AssertionError("they are kept")


def test_vectors_are_the_same_from_disk(tmp_path: Path) -> None:
    made = KeptVectors(tmp_path).of(TEXTS, make)
    assert np.array_equal(KeptVectors(tmp_path).of(TEXTS, nobody), made)


def test_other_texts_take_their_place(tmp_path: Path) -> None:
    KeptVectors(tmp_path).of(TEXTS, make)
    others = KeptVectors(tmp_path).of(TEXTS[::-1], make)
    assert np.array_equal(others, make(TEXTS[::-1]))
    assert len(list(tmp_path.iterdir())) == 1


def test_another_model_makes_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    KeptVectors(tmp_path).of(TEXTS, make)
    monkeypatch.setattr("plugin.language.kept.version", lambda _name: "999")
    with pytest.raises(AssertionError):
        KeptVectors(tmp_path).of(TEXTS, nobody)


@pytest.mark.parametrize("left", [0, 5, 100, 400])
def test_a_file_that_was_cut_off_is_made_again(tmp_path: Path, left: int) -> None:
    made = KeptVectors(tmp_path).of(TEXTS, make)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:left])
    assert np.array_equal(KeptVectors(tmp_path).of(TEXTS, make), made)
    assert np.array_equal(KeptVectors(tmp_path).of(TEXTS, nobody), made)


def test_a_folder_that_cannot_be_written_costs_only_time(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert len(KeptVectors(tmp_path / "file" / "below").of(TEXTS, make)) == 2


def test_a_process_that_starts_again_learns_topics_without_reading_them_anew(tmp_path: Path) -> None:
    first, again = WordEmbedder(), WordEmbedder()
    for embedder in (first, again):
        answer = Library(embedder, AsItIs(), KeptVectors(tmp_path)).patiently(Teach("b", "1", EXAMPLES))
        assert isinstance(answer, Taught)
    assert first.asked > 0
    assert again.asked == 0
