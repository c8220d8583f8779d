"""The words of macros: names are filled in once, what is missing is told, nothing else can be said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugin.conversations.wording import Filled, Name, WordingError, check, fill, glimpse, plain, snippets, unfilled


def test_names_are_filled_in_and_what_is_missing_stays_and_is_told() -> None:
    text = "Hello {{customer.first_name}}, {{ order.number }} comes with {{ tracking.carrier | the post }}."
    filled = fill(text, {Name.CUSTOMER_FIRST_NAME: "هدى"})
    assert filled == Filled("Hello هدى, {{ order.number }} comes with the post.", (Name.ORDER_NUMBER,))
    assert unfilled(filled.text) == (Name.ORDER_NUMBER,)
    assert fill("{{ order.number | }}!", {}) == Filled("!", ())


@pytest.mark.parametrize(
    "text",
    [
        "{{ customer }}",
        "{{ customer.password }}",
        "{{ customer.name.__class__ }}",
        "{{ agent.name() }}",
        "{{ 7 * 7 }}",
        "{{ }}",
        "{{ customer.name",
        "customer.name }}",
        "{{ {{ customer.name }} }}",
        "{{ snippet. }}",
        "{{ snippet.two words }}",
    ],
)
def test_what_is_no_name_is_refused_when_it_is_written(text: str) -> None:
    with pytest.raises(WordingError):
        check(text)


def test_a_snippet_stands_where_it_is_named_and_is_told_where_it_is_not_there() -> None:
    text = "{{ snippet.מדיניות-החזרה }} {{snippet.gone}} {{ snippet.gone | Ask us. }}"
    check(text)
    assert snippets(text) == ("מדיניות-החזרה", "gone")
    filled = fill(text, {"snippet.מדיניות-החזרה": "14 {{ agent.name }}"})
    assert filled == Filled("14 {{ agent.name }} {{ snippet.gone }} Ask us.", ("snippet.gone",))
    assert unfilled("{{ snippet.gone }}") == ("snippet.gone",)


def test_a_glimpse_reads_like_a_sentence() -> None:
    text = "Hello {{ customer.first_name | there }},\nyour order {{ order.number }} is on its way."
    assert glimpse(text) == "Hello there, your order … is on its way."


def test_one_brace_is_only_a_brace() -> None:
    check("{size} and } and {")
    assert fill("{size}", {}) == Filled("{size}", ())


_NAMES = st.sampled_from(Name)
_PLAIN = st.text(st.characters(exclude_characters="{}", exclude_categories=["Cs"]), max_size=20)
_VALUES = st.dictionaries(_NAMES, st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30))


@given(st.lists(st.tuples(_PLAIN, _NAMES), max_size=6), _VALUES)
def test_every_name_is_filled_in_or_told_as_missing(pieces: list[tuple[str, Name]], values: dict[Name, str]) -> None:
    text = "".join(f"{before}{{{{ {name.value} }}}}" for before, name in pieces)
    check(text)
    filled = fill(text, values)
    said = "".join(f"{before}{values.get(name, f'{{{{ {name.value} }}}}')}" for before, name in pieces)
    assert filled.text == said
    assert set(filled.missing) == {name for _before, name in pieces} - set(values)


@given(_VALUES)
def test_what_a_customer_calls_themselves_is_never_read_as_wording(values: dict[Name, str]) -> None:
    values[Name.CUSTOMER_NAME] = "{{ agent.name }}"
    values[Name.AGENT_NAME] = "secret"
    assert fill("Hello {{ customer.name }}", values).text == "Hello {{ agent.name }}"


@given(st.text(max_size=200))
def test_any_text_can_be_filled_in_and_looked_through(text: str) -> None:
    assert fill(text, {}).text is not None
    assert {name for name in unfilled(text) if not name.startswith("snippet.")} <= set(Name)
    assert len(plain(text)) <= len(text) + 1
