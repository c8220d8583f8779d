"""The engine of flows: whatever the steps are and whatever is answered, a walk ends, and never nags."""

from dataclasses import dataclass
from datetime import date

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugin.bot import flows
from plugin.bot.flows import (
    END,
    About,
    Action,
    Ask,
    Choice,
    Condition,
    Do,
    Ending,
    Facts,
    Flow,
    HandOver,
    Opening,
    Option,
    Question,
    Say,
    State,
    Step,
    Trigger,
    Turn,
    Wrong,
)
from plugin.bot.understand import Message, understand

TODAY = date(2026, 11, 22)


def heard(text: str) -> Message:
    return understand(text, today=TODAY, region="SA")


def en(text: str) -> dict[str, str]:
    return {"en": text}


def choice(id: str, *options: tuple[str, str], key: str = "") -> Choice:
    return Choice(id, en("Which?"), tuple(Option(en(text), to) for text, to in options), key)


# Flows of every shape, also wrong ones: targets that are not there, circles, choices without options.

_IDS = [f"s{at}" for at in range(6)]
_TO = st.sampled_from(["", END, "nowhere", *_IDS])
_TEXTS = st.fixed_dictionaries({"en": st.sampled_from(["yes", "no", "one", "two words", ""])})
_KEYS = st.sampled_from(["", "order", "name"])


def _step(id: str) -> st.SearchStrategy[Step]:
    return st.one_of(
        st.builds(Say, st.just(id), _TEXTS, _TO),
        st.builds(Question, st.just(id), _TEXTS, st.sampled_from(Ask), _KEYS, _TO),
        st.builds(
            Choice, st.just(id), _TEXTS,
            st.lists(st.builds(Option, _TEXTS, _TO), max_size=5).map(tuple), _KEYS,
        ),
        st.builds(
            Condition, st.just(id), st.sampled_from(About),
            st.lists(st.sampled_from(["en", "ar", "chat", "open", "closed", "new", "shipped", "yes"]), max_size=2).map(
                tuple
            ),
            _KEYS, _TO, _TO,
        ),
        st.builds(Action, st.just(id), st.sampled_from(Do), st.just("x"), _TO),
        st.builds(HandOver, st.just(id), _TEXTS),
    )  # fmt: skip


_FLOWS = st.integers(0, 6).flatmap(
    lambda count: st.tuples(*[_step(id) for id in _IDS[:count]]).map(lambda steps: Flow(Trigger(), tuple(steps)))
)
_SAID = st.sampled_from(["yes", "no", "2", "the first one", "order 1001", "a@b.co", "17", "24/12", "hmm", "😀", "one"])
_FACTS = st.builds(
    Facts, st.sampled_from(["en", "ar"]), st.sampled_from(["chat", "email"]), st.just(""), st.booleans(),
    st.sampled_from([frozenset({"new"}), frozenset()]), st.sampled_from([frozenset({"shipped"}), frozenset()]),
    st.sampled_from([{}, {"order": "1001"}]),
)  # fmt: skip


def walk(flow: Flow, said: list[str], facts: Facts) -> list[Turn]:
    turns = [flows.start(flow, facts)]
    for text in said:
        state = turns[-1].state
        if state is None:
            break
        turns.append(flows.answer(flow, state, heard(text), facts))
    return turns


@given(_FLOWS, st.lists(_SAID, min_size=20, max_size=20), _FACTS)
@settings(max_examples=40, deadline=None)
def test_a_walk_always_ends_and_no_step_asks_more_than_twice(flow: Flow, said: list[str], facts: Facts) -> None:
    turns = walk(flow, said, facts)
    assert turns[-1].ending is not Ending.WAITS
    asked = [turn.asks.id for turn in turns if turn.asks is not None]
    assert all(asked.count(id) <= flows.MOST_ASKED for id in asked)
    for turn in turns:
        # Nothing is passed twice without an answer between, and only where it waits does it ask.
        assert len(set(turn.path)) == len(turn.path)
        assert (turn.asks is None) == (turn.state is None) == (turn.ending is not Ending.WAITS)


@given(_FLOWS, st.lists(_SAID, max_size=3), _FACTS, _SAID)
@settings(max_examples=25, deadline=None)
def test_a_wish_for_a_person_always_leaves(flow: Flow, said: list[str], facts: Facts, last: str) -> None:
    turn = walk(flow, said, facts)[-1]
    if turn.state is not None:
        left = flows.answer(flow, turn.state, heard(last), facts, person=True)
        assert (left.ending, left.state, list(left.passed)) == (Ending.WANTED, None, [])
        assert left.collected == turn.collected


@given(_FLOWS, st.lists(_SAID, max_size=6), _FACTS)
@settings(max_examples=15, deadline=None)
def test_it_goes_on_from_what_a_table_kept(flow: Flow, said: list[str], facts: Facts) -> None:
    again = msgspec.convert(msgspec.json.decode(msgspec.json.encode(flow)), Flow)
    assert again == flow
    for turn in walk(flow, said, facts):
        if turn.state is not None:
            assert msgspec.convert(msgspec.json.decode(msgspec.json.encode(turn.state)), State) == turn.state


@given(_FLOWS, st.lists(_SAID, min_size=12, max_size=12), _FACTS)
@settings(max_examples=30, deadline=None)
def test_a_flow_with_nothing_wrong_never_breaks_and_never_circles(flow: Flow, said: list[str], facts: Facts) -> None:
    whole = Flow(Trigger(words=("go",)), flow.steps)
    if not flows.problems(whole) and not facts.known:
        assert {turn.ending for turn in walk(whole, said, facts)}.isdisjoint({Ending.BROKEN, Ending.LOOP})


def test_a_question_whose_answer_is_kept_may_not_lead_to_itself() -> None:
    asked = Question("s0", {"en": "Which order?"}, Ask.TEXT, "order", "s0")
    assert flows.problems(Flow(Trigger(words=("go",)), (asked,)))


@pytest.mark.parametrize(
    ("ask", "said", "kept"),
    [
        (Ask.ORDER, "it is #1001", "1001"),
        (Ask.ORDER, "رقم الطلب ١٠٠١", "1001"),
        (Ask.ORDER, "I have none", None),
        (Ask.EMAIL, "dana@example.com please", "dana@example.com"),
        (Ask.EMAIL, "dana at example", None),
        (Ask.PHONE, "0501234567", "+966501234567"),
        (Ask.NUMBER, "about 3 pieces", "3"),
        (Ask.NUMBER, "٣", "3"),
        (Ask.NUMBER, "2,5", "2.5"),
        (Ask.NUMBER, "3 or 4", None),
        (Ask.DATE, "24/12", "2026-12-24"),
        (Ask.DATE, "soon", None),
        (Ask.TEXT, "  the  lid is\nbroken ", "the lid is broken"),
        (Ask.TEXT, "😀", None),
    ],
)
def test_an_answer_is_what_was_asked_for_or_none(ask: Ask, said: str, kept: str | None) -> None:
    found = flows.read(Question("q", en("?"), ask, "key"), heard(said))
    assert (found[0] if found is not None else None) == kept


@pytest.mark.parametrize("said", ["Broken", "تالف", "שבור", "1", "the first one", "الأول"])
def test_an_option_is_meant_by_its_words_in_any_language_or_by_its_place(said: str) -> None:
    asked = Choice("c", en("?"), (Option({"en": "Broken", "ar": "تالف", "he": "שבור"}), Option(en("Wrong"))))
    assert flows.chosen(asked, said) == 0


def test_what_is_known_is_not_asked() -> None:
    flow = Flow(Trigger(), (Question("q", en("Number?"), Ask.ORDER, "order"), Say("s", en("Thanks for {order}"))))
    turn = flows.start(flow, Facts(known={"order": "1001"}))
    assert (turn.ending, turn.collected) == (Ending.DONE, {"order": "1001"})
    assert [step.id for step in turn.passed] == ["s"]


def test_words_fall_back_to_the_first_language_of_the_flow() -> None:
    texts = {"ar": "مرحبا", "en": "Hello"}
    assert flows.words(texts, "en", ("ar", "en")) == "Hello"
    assert flows.words(texts, "he", ("ar", "en")) == "مرحبا"
    assert flows.words({"he": "שלום"}, "en", ("ar",)) == "שלום"


@pytest.mark.parametrize(
    ("test", "values", "facts", "so"),
    [
        (About.LANGUAGE, ("ar", "he"), Facts(language="he"), True),
        (About.CHANNEL, ("email",), Facts(channel="chat"), False),
        (About.STORE, ("a",), Facts(store="a"), True),
        (About.HOURS, ("closed",), Facts(open=False), True),
        (About.SEGMENT, ("tag:VIP",), Facts(segments=frozenset({"tag:vip", "new"})), True),
        (About.ORDER, ("late",), Facts(order=frozenset({"proven", "shipped", "late"})), True),
        (About.ORDER, ("unproven",), Facts(), True),
        (About.ORDER, ("proven",), Facts(), False),
    ],
)
def test_a_condition_asks_what_is_known(test: About, values: tuple[str, ...], facts: Facts, so: bool) -> None:
    assert flows.holds(Condition("c", test, values), facts, {}) is so


def test_a_condition_asks_what_was_answered() -> None:
    asked = Condition("c", About.COLLECTED, ("big",), "size")
    assert flows.holds(asked, Facts(), {"size": "a BIG one"})
    assert not flows.holds(asked, Facts(), {"size": "bigger"})
    assert flows.holds(Condition("c", About.COLLECTED, (), "size"), Facts(), {"size": "any"})


# What begins it


@pytest.mark.parametrize(
    ("trigger", "opening", "fits"),
    [
        (Trigger(button={"ar": "أين طلبي؟"}), Opening("اين طلبي"), 4),
        (Trigger(words=("where is",)), Opening("hi, where is my parcel"), 3),
        (Trigger(words=("where is",)), Opening("nowhere is"), 0),
        (Trigger(topics=("track_order",)), Opening("x", "track_order"), 2),
        (Trigger(pages=("/wholesale",)), Opening("hi", page="https://shop.example/en/WHOLESALE"), 1),
        (Trigger(pages=("/wholesale",)), Opening("hi", page="https://shop.example/wholesale", first=False), 0),
        (Trigger(topics=("a",), pages=("/b",)), Opening("x", "a", page="https://shop.example/c"), 0),
        (Trigger(topics=("a",), stores=("other",)), Opening("x", "a", store="mine"), 0),
        (Trigger(topics=("a",)), Opening("x", "a", channel="email"), 0),
        (Trigger(), Opening("anything"), 0),
    ],
)
def test_what_begins_a_flow(trigger: Trigger, opening: Opening, fits: int) -> None:
    assert flows.begins(trigger, opening) == fits


# What is wrong with one


def wrong(*steps: Step, trigger: Trigger | None = None, languages: tuple[str, ...] = ("en",)) -> set[tuple[str, str]]:
    flow = Flow(trigger or Trigger(words=("go",)), steps, languages)
    return {(one.step, one.wrong.value) for one in flows.problems(flow)}


def test_a_good_flow_has_no_problems() -> None:
    assert not wrong(Say("a", en("Hi")), choice("b", ("Yes", ""), ("No", END)), HandOver("c"))


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (wrong(), ("", Wrong.EMPTY)),
        (wrong(Say("a", en("x")), trigger=Trigger()), ("", Wrong.NO_TRIGGER)),
        (wrong(Say("a", en("x")), trigger=Trigger(words=("x",), channels=())), ("", Wrong.NO_CHANNEL)),
        (wrong(Say("a", en("x"), "gone")), ("a", Wrong.TARGET)),
        (wrong(Say("a", en("x"), END), Say("b", en("y"))), ("b", Wrong.UNREACHABLE)),
        (wrong(Say("a", en("x"), "b"), Say("b", en("y"), "a")), ("a", Wrong.CIRCLE)),
        (wrong(Say("a", en("x")), languages=("en", "ar")), ("a", Wrong.WORDS)),
        (wrong(choice("a", ("Yes", ""))), ("a", Wrong.OPTIONS)),
        (wrong(choice("a", ("Yes", ""), ("yes", ""))), ("a", Wrong.OPTIONS_ALIKE)),
        (wrong(Question("a", en("x"), Ask.TEXT, "Not good")), ("a", Wrong.KEY)),
        (wrong(Condition("a", About.COLLECTED, (), "never")), ("a", Wrong.KEY_UNKNOWN)),
        (wrong(Condition("a", About.HOURS)), ("a", Wrong.VALUES)),
        (wrong(Action("a", Do.TAG)), ("a", Wrong.VALUE)),
        (wrong(Say("a", en("x" * 1501))), ("a", Wrong.TOO_LONG)),
    ],
)
def test_each_thing_that_is_wrong_is_told_at_its_step(found: set[tuple[str, str]], said: tuple[str, str]) -> None:
    assert said in found


def test_a_circle_through_a_question_is_a_menu_and_no_mistake() -> None:
    flow = (choice("a", ("More", "b"), ("Done", END)), Say("b", en("x"), "a"))
    assert not wrong(*flow)
    turns = walk(Flow(Trigger(), flow), ["More", "More", "More"], Facts())
    assert [turn.ending for turn in turns] == [Ending.WAITS, Ending.WAITS, Ending.ASKED]


# The table of docs/bot.md


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the state table: a step that waits, what comes, and the ending it leads to."""

    step: str
    comes: str
    ending: str


_WAITING: dict[str, Flow] = {
    "question": Flow(Trigger(), (Question("q", en("Number?"), Ask.ORDER, "order"), Say("s", en("Thanks")))),
    "choice": Flow(Trigger(), (choice("c", ("Yes", ""), ("No", "h")), Say("s", en("Good"), END), HandOver("h"))),
}
_GOOD = {"question": "order 1001", "choice": "Yes"}


def reached(step: str, comes: str) -> Turn:
    """The turn that a row of the table is about."""
    flow = _WAITING[step]
    state = flows.start(flow, Facts()).state
    assert state is not None
    match comes:
        case "an answer":
            return flows.answer(flow, state, heard(_GOOD[step]), Facts())
        case "an option that hands over":
            return flows.answer(flow, state, heard("No"), Facts())
        case "no answer":
            return flows.answer(flow, state, heard("hmm"), Facts())
        case "no answer again":
            once = flows.answer(flow, state, heard("hmm"), Facts()).state
            assert once is not None
            return flows.answer(flow, once, heard("hmm"), Facts())
        case "a wish for a person":
            return flows.answer(flow, state, heard("x"), Facts(), person=True)
        case "the step was taken out":
            return flows.answer(Flow(), state, heard("x"), Facts())
        case "asked for the third time":
            menu = Flow(Trigger(), (choice("c", ("Yes", "c"), ("No", END)),))
            return flows.answer(menu, State("c", {"c": 2}), heard("yes"), Facts())
    raise AssertionError(comes)


def test_the_docs_tell_the_states_of_a_walk(pytestconfig: pytest.Config) -> None:
    text = (pytestconfig.rootpath / "docs" / "bot.md").read_text()
    table = text.split("| waits at | comes | then |\n|---|---|---|\n", 1)[1].split("\n\n", 1)[0]
    rows = [Row(*(cell.strip() for cell in line.strip("|").split("|"))) for line in table.splitlines()]
    assert len(rows) >= 10
    for row in rows:
        assert reached(row.step, row.comes).ending.value == row.ending.split("`")[1], row
    told = {row.ending.split("`")[1] for row in rows}
    assert told == {ending.value for ending in Ending} - {Ending.LOOP.value}
    assert f"`{Ending.LOOP.value}`" in text
