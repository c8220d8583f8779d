"""Slugs, states, translations that are behind, differences: for any text and any order of saving."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from plugin.knowledge import rules
from plugin.knowledge.rules import Standing, State

TITLES = st.text(max_size=200)


@given(TITLES, st.sets(TITLES.map(rules.slug), max_size=20))
def test_a_slug_is_never_empty_taken_reserved_or_too_long(title: str, taken: set[str]) -> None:
    made = rules.slug(title, taken)
    assert made
    assert made not in taken
    assert made not in rules.RESERVED
    assert len(made) <= rules.LONGEST_SLUG
    assert not set(made) & set(" /?#%&<>\"'\\\u202e\u200f")


@given(TITLES)
def test_a_slug_names_itself(title: str) -> None:
    assert rules.slug(rules.slug(title)) == rules.slug(title) or rules.slug(title) == "article"


def test_slugs_keep_their_script() -> None:
    assert rules.slug("كَمْ يستغرق التوصيل؟") == "كم-يستغرق-التوصيل"
    assert rules.slug("כמה זמן לוקח משלוח?") == "כמה-זמן-לוקח-משלוח"
    assert rules.slug("Café & Crème: Returns!") == "cafe-creme-returns"
    assert rules.slug("Search") == "search-2"
    assert rules.slug("Returns", {"returns", "returns-2"}) == "returns-3"


VERSIONS = st.integers(1, 50)


@given(VERSIONS, st.one_of(st.none(), VERSIONS), st.integers(0, 50))
def test_a_translation_is_behind_exactly_when_its_source_counts_a_later_version(
    version: int, published: int | None, made_from: int
) -> None:
    source = Standing(version, published)
    behind = rules.outdated(Standing(1, 1, None, made_from), source)
    assert behind == (made_from < (published if published is not None else version))
    assert not rules.outdated(Standing(1, 1, None, source.counts), source)
    assert not rules.outdated(Standing(1), None)


@given(VERSIONS, st.one_of(st.none(), VERSIONS), st.booleans())
def test_every_text_is_in_one_state(version: int, published: int | None, planned: bool) -> None:
    at = datetime.now(UTC) if planned else None
    state = Standing(version, published, at).state
    if planned:
        assert state is State.SCHEDULED
    elif published is None:
        assert state is State.DRAFT
    else:
        assert (state is State.PUBLISHED) == (published == version)


LINES = st.lists(st.text(alphabet="ab שלום مرحبا", max_size=12), max_size=12).map("\n".join)


@given(LINES, LINES)
def test_a_difference_shows_what_went_and_what_came_and_nothing_else(before: str, after: str) -> None:
    lines = rules.difference(before, after)
    changed = [line for line in lines if line.sign in "-+"]
    assert bool(changed) == (before.splitlines() != after.splitlines())
    for line in changed:
        whole = "".join(piece.text for piece in line.pieces)
        assert whole in (before if line.sign == "-" else after).splitlines()


def test_of_a_changed_line_the_words_are_told_apart() -> None:
    gone, come = rules.difference("Delivery takes 3 days.", "Delivery takes 5 days.")
    assert [piece.text for piece in gone.pieces if piece.sign == "-"] == ["3"]
    assert [piece.text for piece in come.pieces if piece.sign == "+"] == ["5"]
