"""Search: pieces of words, postings that grow and shrink, and passages found by meaning and by spelling together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugin.language.embedder import DIMENSION
from plugin.language.grams import BUCKETS, features, pieces
from plugin.language.lexical import Postings
from plugin.language.shelf import MOST_PARTS, WIDTH, Passage, Shelf, embedded, packed, parts
from tests.language.stand_in import WordEmbedder

TEXTS = st.lists(st.text("abcdef ابتث אבגד", max_size=30), min_size=1, max_size=8)


@given(st.text(max_size=200))
def test_whatever_is_typed_has_pieces_below_the_limit(text: str) -> None:
    for found in (pieces(text), features(text)):
        assert ((found >= 0) & (found < BUCKETS)).all()


@pytest.mark.parametrize(
    ("one", "other"), [("الطَّلَب", "الطلب"), ("أحمد", "احمد"), ("שָׁלוֹם", "שלום"), ("١٢٣٤", "1234"), ("Café", "cafe")]
)
def test_spellings_of_one_word_have_the_same_pieces(one: str, other: str) -> None:
    assert pieces(one).tolist() == pieces(other).tolist()


def test_no_piece_spans_two_words() -> None:
    apart = {*pieces("ab").tolist(), *pieces("cd").tolist()}
    assert set(pieces("ab cd").tolist()) == apart


@settings(max_examples=60)
@given(first=TEXTS, second=TEXTS, question=st.text("abcdef ابتث", max_size=20), data=st.data())
def test_postings_that_were_changed_are_those_that_are_made_anew(
    first: list[str], second: list[str], question: str, data: st.DataObject
) -> None:
    gone = np.array([data.draw(st.booleans()) for _ in first], dtype=bool)
    changed = Postings.of(first).without(gone).joined(Postings.of(second))
    anew = Postings.of([*(text for text, out in zip(first, gone, strict=True) if not out), *second])
    assert np.allclose(changed.scores(question), anew.scores(question), atol=1e-5)


def test_a_rare_word_weighs_more_than_a_common_one() -> None:
    scores = Postings.of(["the dress is red", "the dress is blue", "the dress is linen"]).scores("the linen")
    assert scores.argmax() == 2


def test_a_typing_error_still_finds() -> None:
    scores = Postings.of(["shipping to jeddah", "returns and refunds", "gift cards"]).scores("retuns")
    assert scores.argmax() == 1


@given(st.text(max_size=3_000))
def test_parts_of_a_passage_are_bounded_and_never_empty(text: str) -> None:
    found = parts(text)
    assert len(found) <= MOST_PARTS
    assert all(part.strip() for part in found)


ARTICLES = [
    Passage("ship", "Delivery takes three days. It costs twenty riyals.", "en"),
    Passage("return", "Send it back within fourteen days and get a refund.", "en", ("how do i return this",)),
    Passage("شحن", "التوصيل يستغرق ثلاثة أيام ويكلف عشرين ريالا", "ar"),
    Passage("החזרה", "אפשר להחזיר תוך ארבעה עשר ימים ולקבל זיכוי", "he"),
]


def stocked(embedder: WordEmbedder, passages: list[Passage]) -> Shelf:
    return Shelf(passages, [embedded(embedder, passage) for passage in passages])


@pytest.mark.parametrize(
    ("text", "language", "first"),
    [
        ("how much does delivery cost", "en", "ship"),
        ("i want to return something", "en", "return"),
        ("كم يستغرق التوصيل", "ar", "شحن"),
        ("תוך כמה ימים אפשר להחזיר", "he", "החזרה"),
    ],
)
def test_the_passage_that_answers_comes_first(text: str, language: str, first: str) -> None:
    embedder = WordEmbedder()
    hits = stocked(embedder, ARTICLES).search(text, embedder.messages([text])[0], language=language)
    assert hits[0].id == first
    assert hits[0].language == language
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_a_shelf_that_was_changed_is_one_that_is_filled_anew() -> None:
    embedder = WordEmbedder()
    new = Passage("ship", "Delivery is free.", "en")
    changed = stocked(embedder, ARTICLES).changed([new], [packed(embedded(embedder, new))], gone=["return"])
    anew = stocked(embedder, [ARTICLES[2], ARTICLES[3], new])
    assert len(changed) == 3
    assert "return" not in changed
    vector = embedder.messages(["free delivery"])[0]
    assert changed.search("free delivery", vector) == anew.search("free delivery", vector)
    assert changed.size > 0


def test_what_stays_on_the_shelf_is_not_read_again() -> None:
    embedder = WordEmbedder()
    shelf = stocked(embedder, ARTICLES)
    before = embedder.asked
    shelf.changed([], [], gone=["ship"])
    assert embedder.asked == before


def test_an_empty_shelf_finds_nothing() -> None:
    assert Shelf().search("anything", WordEmbedder().messages(["anything"])[0]) == []


def test_a_vector_in_bytes_says_what_it_said_before() -> None:
    """Far below what lies between two passages of the model, about 0.02."""
    rng = np.random.default_rng(5)
    vectors = rng.standard_normal((200, DIMENSION)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    shelf = Shelf([Passage(str(at), "", "en") for at in range(200)], [row[None] for row in vectors])
    found = {hit.id: hit.likeness for hit in shelf.search("?", vectors[7], count=200)}
    exact = vectors @ vectors[7]
    assert max(abs(found[str(at)] - exact[at]) for at in range(200)) < 0.002
    assert packed(vectors).shape == (200, WIDTH)
