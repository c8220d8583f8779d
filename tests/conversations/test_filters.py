"""The filter language: what people write is read, said back in one spelling, or refused with words."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugin.conversations.filters import CHOICES, LIMIT, SHAPES, Filter, FilterError, Key, Shape, Term, Value, parse


def test_a_filter_is_read() -> None:
    found = parse('status:open,pending tag:"gift card",vip -assignee:me waiting:>30m created:>=2026-11-01 refund')
    assert found == Filter(
        (
            Term(Key.STATUS, (Value("open"), Value("pending"))),
            Term(Key.TAG, (Value("gift card"), Value("vip"))),
            Term(Key.ASSIGNEE, (Value("me"),), negated=True),
            Term(Key.WAITING, (Value("30m", ">", span=timedelta(minutes=30)),)),
            Term(Key.CREATED, (Value("2026-11-01", ">=", day=date(2026, 11, 1)),)),
        ),
        ("refund",),
    )


def test_words_of_every_script_and_order_numbers_are_searched_for() -> None:
    assert parse(' #1001  "أين طلبي" איפה -x ').words == ("#1001", "أين طلبي", "איפה")
    assert parse("").words == ()
    assert str(parse("  ")) == ""


@pytest.mark.parametrize(
    "wrong",
    ["status:closed", "status:>open", "priority:>=7", "waiting:30m", "waiting:>soon", "created:2026-02-30",
     "colour:red", "tag:", 'tag:""', 'tag:"vip', "x" * (LIMIT + 1), "created:2026-11-22T00:00",
     "hour:24", "hour:-1", "hour:noon", "hour:²", "weekday:>mon", "answered:maybe"],
)  # fmt: skip
def test_what_is_no_filter_is_refused_with_words(wrong: str) -> None:
    with pytest.raises(FilterError) as refused:
        parse(wrong)
    said = refused.value
    assert said.message % said.values
    assert said.hint
    assert said.hint % said.values


_SPANS = st.builds(lambda n, unit: f"{n}{unit}", st.integers(0, 9999), st.sampled_from("mhdw"))
_DAYS = st.dates(date(1990, 1, 1), date(2099, 12, 31)).map(date.isoformat)
_WORDS = st.text(st.characters(exclude_characters='"', exclude_categories=("Cs", "Cc", "Z")), min_size=1, max_size=12)
_COMPARED = st.sampled_from([">", ">=", "<", "<="])


def _values(key: Key) -> st.SearchStrategy[str]:
    shape = SHAPES[key]
    if shape is Shape.WORD:
        return _WORDS.map(lambda word: f'"{word}"')
    if shape is Shape.CHOICE:
        return st.sampled_from(CHOICES[key])
    if shape is Shape.RANK:
        return st.builds(str.__add__, st.sampled_from(["", ">", ">=", "<", "<="]), st.sampled_from(CHOICES[key]))
    if shape is Shape.NUMBER:
        return st.builds(str.__add__, st.sampled_from(["", ">", ">=", "<", "<="]), st.integers(0, 23).map(str))
    compared = st.builds(str.__add__, _COMPARED, _SPANS)
    return compared if shape is Shape.SPAN else st.one_of(compared, _DAYS, st.builds(str.__add__, _COMPARED, _DAYS))


_TERMS = st.sampled_from(Key).flatmap(
    lambda key: st.builds(
        lambda no, values: f"{no}{key.value}:{','.join(values)}",
        st.sampled_from(["", "-"]),
        st.lists(_values(key), min_size=1, max_size=3),
    )
)


@given(st.lists(st.one_of(_TERMS, _WORDS.map(lambda word: f'"{word}"')), max_size=6).map(" ".join))
def test_a_filter_said_back_means_the_same(text: str) -> None:
    if len(text) > LIMIT:
        return
    found = parse(text)
    said = str(found)
    assert parse(said) == found
    assert str(parse(said)) == said


@given(st.text(max_size=80))
def test_whatever_is_typed_is_read_or_refused(text: str) -> None:
    try:
        found = parse(text)
    except FilterError:
        return
    assert parse(str(found)) == found


@pytest.mark.parametrize(
    ("said", "words", "without"),
    [
        ("-refund", (), ("refund",)),
        ("parcel -refund", ("parcel",), ("refund",)),
        ('-"of course"', (), ("of course",)),
        # In quotation marks it is what it says.
        ('"-refund"', ("-refund",), ()),
        ("-", ("-",), ()),
    ],
)
def test_a_word_with_a_minus_must_not_be_there(said: str, words: tuple[str, ...], without: tuple[str, ...]) -> None:
    found = parse(said)
    assert (found.words, found.without) == (words, without)
    assert parse(str(found)) == found
