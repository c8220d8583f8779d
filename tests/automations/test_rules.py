"""Rules without a database: what holds, what is said, in which order, and that the same is decided every time."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from time import process_time
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from plugin.automations import conditions, rules
from plugin.automations.conditions import (
    CHOICES,
    Facts,
    Key,
    OrderFacts,
    Shape,
    Spent,
    Term,
    failing,
    holds,
    parse,
    written,
)
from plugin.automations.rules import Deed, Do, Held, Rule, Trigger
from plugin.automations.starters import THANKS
from plugin.conversations.filters import FilterError

# A Sunday afternoon.
NOW = datetime(2026, 11, 22, 15, 30, tzinfo=UTC)
FACTS = Facts(
    kind="message.received",
    now=NOW,
    conversation_id=UUID(int=1),
    text="Hi, where is my order? It's urgent!",
    first=True,
    channel="widget",
    language="en",
    stores=frozenset({"dukkan", "dukkan.example"}),
    tags=frozenset({"vip"}),
    fields={"size": "42", "reason": "Too small", "day": "2026-11-20"},
    waiting=timedelta(hours=2),
    known=True,
    orders=6,
    spent=(Spent("SAR", Decimal("1250.50")), Spent("USD", Decimal(20))),
    currency="SAR",
    customer_tags=frozenset({"wholesale"}),
    order=OrderFacts(Decimal("300"), NOW - timedelta(days=6), "paid", "unfulfilled", tags=frozenset({"gift"})),
)


@pytest.mark.parametrize(
    "asked",
    [
        "says:urgent", 'says:"where is my order"', "says:refund,ORDERS", "-says:refund", "channel:widget,email",
        "language:en-GB", "store:Dukkan.example", "status:open", "assignee:none", "-assignee:any", "team:none",
        "priority:normal", "priority:<high", "tag:VIP", "-tag:spammer", "field:size=42", "field:size>=40",
        "field:Reason", 'field:"reason=too small"', "field:day<2026-11-21", "answered:no", "waiting:>90m", "open:yes",
        "weekday:sun,fri", "hour:>=15", "hour:>=20,<16", "known:yes", "orders:>=6", "spent:>1250", "spent:<=1250.5",
        "customer:wholesale", "order:unshipped", "order:late", "-order:shipped", "total:300", "total:>=٣٠٠",
        "ordertag:Gift", "ordered:>5d", "files:no", "-rating:5", "-before:resolved",
    ],
)  # fmt: skip
def test_conditions_that_hold(asked: str) -> None:
    assert failing(parse(asked), FACTS) is None


@pytest.mark.parametrize(
    "asked",
    [
        "says:refund", "says:order -says:urgent", "only:hi,urgent", "channel:email", "language:ar",
        "store:other.example", "status:resolved", "assignee:any", "priority:>=high", "tag:gold", "field:size<40",
        "field:colour", "answered:yes", "waiting:>1d", "open:no", "weekday:mon", "hour:<9", "known:no", "orders:<3",
        "spent:>2000", "customer:vip", "order:none", "order:delivered", "total:<300", "ordertag:sale", "ordered:<2d",
        "files:yes", "rating:>=1", "before:resolved",
    ],
)  # fmt: skip
def test_conditions_that_do_not_hold(asked: str) -> None:
    assert failing(parse(asked), FACTS) is not None


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("أين طلبي؟؟", "اين طلبي"),
        ("وَيْن الطلبات", "وين طلب"),
        ("מתי ההזמנה שלי תגיע", "הזמנה"),
        ("I REFUNDED it", "refund"),
        ("رقم الطلب ١٠٠١", "1001"),
    ],
)
def test_words_are_heard_in_each_of_their_forms(text: str, phrase: str) -> None:
    assert conditions.says(text, phrase)


@pytest.mark.parametrize(
    ("text", "only"),
    [
        ("Thank you so much!!", True), ("Great, thanks 🙏", True), ("شكراً جزيلاً", True), ("תודה רבה!", True),
        ("ok thanks", True), ("thanks but where is the other one?", False), ("شكرا، بس وين الباقي؟", False),
        ("🙏", False), ("", False),
    ],
)  # fmt: skip
def test_a_mere_thank_you_is_told_from_a_question(text: str, only: bool) -> None:
    phrases = [phrase for code in THANKS for phrase in THANKS[code]]
    assert conditions.only(text, phrases) is only


@pytest.mark.parametrize(
    "asked",
    ["refund", "says:", "nothing:x", "status:gone", "status:>open", "hour:25", "orders:many", "waiting:4h", "says:!!",
     'says:"open', "spent:-3", "x" * 5000],
)  # fmt: skip
def test_what_is_no_condition_is_told(asked: str) -> None:
    with pytest.raises(FilterError):
        parse(asked)


ORDER = OrderFacts(Decimal(1), NOW - timedelta(days=20), "paid", "fulfilled")


@pytest.mark.parametrize(
    ("order", "states"),
    [
        (replace(ORDER, fulfilment_status="unfulfilled"), {"unshipped", "late"}),
        (replace(ORDER, fulfilment_status="unfulfilled", payment_status="pending"), {"unshipped", "unpaid"}),
        (ORDER, {"shipped"}),
        (replace(ORDER, parcels=(("in_transit", NOW - timedelta(days=11)),)), {"shipped", "late"}),
        (replace(ORDER, parcels=(("in_transit", NOW - timedelta(days=3)),)), {"shipped"}),
        (replace(ORDER, fulfilment_status="", parcels=(("ready_for_pickup", NOW - timedelta(days=9)),)), {"unshipped"}),
        (replace(ORDER, parcels=(("delivered", NOW - timedelta(days=15)),)), {"delivered"}),
        (replace(ORDER, parcels=(("failed", NOW - timedelta(days=2)),)), {"shipped", "failed"}),
        (replace(ORDER, cancelled=True), {"cancelled"}),
        (replace(ORDER, payment_status="refunded"), {"shipped", "refunded"}),
    ],
)
def test_how_an_order_stands(order: OrderFacts, states: set[str]) -> None:
    assert order.states(NOW) == states


# Whatever the rules are

WORDS = some.text("abc وين הזמנה", min_size=1, max_size=8).filter(
    lambda text: bool(text.strip()) and conditions._heard(text)
)


@some.composite
def terms(draw: some.DrawFn) -> Term:
    key = draw(some.sampled_from(Key))
    negated = draw(some.booleans())
    match conditions.SHAPES[key]:
        case Shape.CHOICE:
            values = draw(some.lists(some.sampled_from(CHOICES[key]), min_size=1, max_size=3))
        case Shape.RANK:
            sign = draw(some.sampled_from(["", ">", ">=", "<", "<="]))
            values = [sign + draw(some.sampled_from(CHOICES[key]))]
        case Shape.NUMBER:
            values = [draw(some.sampled_from(["", ">", ">=", "<", "<="])) + str(draw(some.integers(0, 23)))]
        case Shape.SPAN:
            values = [
                draw(some.sampled_from([">", "<"])) + f"{draw(some.integers(1, 99))}{draw(some.sampled_from('mhdw'))}"
            ]
        case _:
            values = draw(some.lists(WORDS, min_size=1, max_size=3))
    return conditions.term(key, values, negated=negated)


DEEDS = some.sampled_from(
    [
        Deed(Do.TAG, "a"), Deed(Do.TAG, "b"), Deed(Do.UNTAG, "a"), Deed(Do.PRIORITY, "high"), Deed(Do.PRIORITY, "low"),
        Deed(Do.STATUS, "resolved"), Deed(Do.STATUS, "open"), Deed(Do.ASSIGN, str(UUID(int=7))),
        Deed(Do.REPLY, "", {"en": "x"}), Deed(Do.SNOOZE, "3"), Deed(Do.FIELD, "size=1"),
    ]
)  # fmt: skip
RULES = some.lists(
    some.builds(
        Rule,
        some.uuids(),
        some.just("rule"),
        some.sampled_from([Trigger.RECEIVED, Trigger.STARTED, Trigger.RESOLVED]),
        some.lists(some.one_of(terms(), some.builds(lambda: conditions.term("tag", ["a"]))), max_size=2).map(tuple),
        some.lists(DEEDS, min_size=1, max_size=3).map(tuple),
        some.booleans(),
    ),
    max_size=8,
    unique_by=lambda rule: rule.id,
)
KNOWN = some.builds(
    lambda tags, priority, status, text: replace(FACTS, tags=tags, priority=priority, status=status, text=text),
    some.frozensets(some.sampled_from("abc")),
    some.integers(0, 3),
    some.sampled_from(["open", "resolved", "spam"]),
    some.one_of(WORDS, some.just("hello")),
)


@given(some.lists(terms(), max_size=5))
def test_conditions_read_back_as_they_are_written(asked: list[Term]) -> None:
    assert list(parse(written(asked))) == asked


@given(terms(), KNOWN)
def test_turned_round_a_condition_says_the_opposite(term: Term, facts: Facts) -> None:
    assert holds(term, facts) != holds(replace(term, negated=not term.negated), facts)


@settings(max_examples=80)
@given(RULES, KNOWN)
def test_order_end_and_determinism(every: list[Rule], facts: Facts) -> None:
    outcomes = rules.decide(every, facts)
    assert outcomes == rules.decide(every, facts), "the same is decided every time"
    asked = [outcome.rule.id for outcome in outcomes]
    listening = [rule.id for rule in every if rule.listens(facts)]
    assert asked == listening[: len(asked)], "in order, and nobody is passed over"
    ended = [outcome.acts and outcome.rule.stop for outcome in outcomes]
    assert not any(ended[:-1]), "behind a rule that ends it nobody is asked"
    assert len(asked) == len(listening) or ended[-1], "and nothing else ends it"
    replies = [one for outcome in outcomes for one in outcome.planned if one.deed.do is Do.REPLY and one.held is None]
    assert len(replies) <= 1, "at most one answer leaves, whatever the rules"
    assert (
        not replies
        or facts.status != "spam"
        or any(one.deed.do in (Do.STATUS, Do.SNOOZE) for outcome in outcomes for one in outcome.planned)
    )


@given(RULES, KNOWN)
def test_a_rule_that_is_done_finds_nothing_left_to_do(every: list[Rule], facts: Facts) -> None:
    """Asked again right after, no deed that leaves the same state behind is done again."""
    for rule in every:
        _outcome, after = rules.ask(rule, facts)
        for deed in rule.deeds:
            if deed.do in (Do.REPLY, Do.SNOOZE):
                continue
            state = rules._after(deed, after)
            assert rules._held(deed, state) is Held.ALREADY


def test_a_thousand_rules_are_asked_in_an_instant() -> None:
    asked = parse('says:"where is my order","track my order" order:late -tag:seen')
    many = [Rule(uuid4(), "x", Trigger.RECEIVED, asked, (Deed(Do.TAG, f"t{at}"),)) for at in range(1000)]
    begun = process_time()
    assert len(rules.decide(many, FACTS)) == 1000
    assert process_time() - begun < 1


def test_a_machine_and_spam_get_no_answer() -> None:
    rule = Rule(uuid4(), "x", Trigger.RECEIVED, (), (Deed(Do.REPLY, "", {"en": "hello"}),))
    for facts, held in ((replace(FACTS, machine=True), Held.MACHINE), (replace(FACTS, status="spam"), Held.SPAM)):
        (outcome,) = rules.decide([rule], facts)
        assert [one.held for one in outcome.planned] == [held]
