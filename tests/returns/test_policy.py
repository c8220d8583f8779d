"""The policy judges a choice: what is refused and why, what comes back, and the two laws."""

import inspect
import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugin.kernel import i18n
from plugin.kernel.money import Money
from plugin.return_desk import ExchangePart, Paid, ReturnableLine, ReturnableOrder, Shipped, Sign
from plugin.returns import policy, policy_words
from plugin.returns.policy import (
    Choice,
    ChoiceLine,
    Condition,
    Customer,
    Decision,
    DeliveryBack,
    Fault,
    Holiday,
    Match,
    Otherwise,
    Policy,
    Promised,
    Reason,
    Refusal,
    Resolution,
    Rule,
    Terms,
    eligibility,
    leaves,
    quote,
    reasons_for,
    share,
)

DAY = date(2026, 11, 22)
DELIVERED = datetime(2026, 11, 10, 9, tzinfo=UTC)


def eur(amount: int) -> Money:
    return Money(amount, "EUR", 2)


def line(external_id: str = "1", quantity: int = 2, paid: int = 2000, **more: object) -> ReturnableLine:
    told: dict[str, object] = {
        "gone": 0, "returnable": quantity, "shipped": (Shipped("f1", quantity, DELIVERED, DELIVERED),), **more
    }  # fmt: skip
    return ReturnableLine(external_id, "Shirt", quantity, paid=eur(paid), tax=eur(0), **told)


def order(*lines: ReturnableLine, delivery: int = 500, refunded: int = 0, **more: object) -> ReturnableOrder:
    lines = lines or (line(),)
    paid = sum(one.paid.amount for one in lines) + delivery
    told: dict[str, object] = {"country": "DE", "store_credit": True, **more}
    return ReturnableOrder(
        "o1", "#1001", DELIVERED - timedelta(days=3), eur(paid), eur(refunded), eur(delivery), eur(0), lines,
        payments=(Paid("card", eur(paid - refunded)),), **told,
    )  # fmt: skip


def choose(
    *wanted: tuple[str, int], reason: str = "changed_mind", resolution: str = "refund", **more: object
) -> Choice:
    lines = tuple(ChoiceLine(which, quantity, reason) for which, quantity in wanted)
    return Choice(lines, Resolution(resolution), **more)


def codes(policy: Policy, its_order: ReturnableOrder, choice: Choice, today: date = DAY) -> set[str]:
    return {one.code for one in quote(policy, its_order, choice, today).refused}


class TestWindow:
    def test_counts_from_delivery_and_ends_after_its_last_day(self) -> None:
        judged = eligibility(Policy(), order(), line(), DAY)
        assert (judged.since, judged.counts_from, judged.until) == (date(2026, 11, 10), "delivered", date(2026, 12, 10))
        assert not eligibility(Policy(), order(), line(), date(2026, 12, 10)).code
        assert eligibility(Policy(), order(), line(), date(2026, 12, 11)).code == "too_late"

    def test_counts_from_the_last_parcel_of_the_line(self) -> None:
        late = line(shipped=(Shipped("f1", 1, DELIVERED, DELIVERED), Shipped("f2", 1, None, DELIVERED + timedelta(5))))
        assert eligibility(Policy(), order(late), late, DAY).since == date(2026, 11, 15)

    def test_falls_back_to_shipment_and_then_to_the_order(self) -> None:
        shipped = line(shipped=(Shipped("f1", 2, DELIVERED - timedelta(1)),))
        unknown = line(shipped=(Shipped("f1", 2),))
        assert eligibility(Policy(), order(shipped), shipped, DAY).counts_from == "shipped"
        judged = eligibility(Policy(), order(unknown), unknown, DAY)
        assert (judged.counts_from, judged.since) == ("placed", date(2026, 11, 7))

    def test_ends_with_the_days_of_the_shop_not_of_the_server(self) -> None:
        evening = line(shipped=(Shipped("f1", 2, None, datetime(2026, 11, 10, 22, 30, tzinfo=UTC)),))
        assert eligibility(Policy(zone="Asia/Riyadh"), order(evening), evening, DAY).since == date(2026, 11, 11)

    def test_goes_on_for_exchanges_after_refunds_have_ended(self) -> None:
        policy = Policy(terms=Terms({Resolution.REFUND: 10, Resolution.EXCHANGE: 30, Resolution.CREDIT: None}))
        assert eligibility(policy, order(), line(), DAY).resolutions == {Resolution.EXCHANGE, Resolution.CREDIT}
        assert codes(policy, order(), choose(("1", 1))) == {"too_late"}
        assert eligibility(policy, order(), line(), DAY).until is None

    def test_is_longer_for_what_was_bought_before_a_holiday(self) -> None:
        holiday = Holiday(date(2026, 11, 1), date(2026, 12, 24), date(2027, 1, 31))
        assert eligibility(Policy(holidays=(holiday,)), order(), line(), DAY).until == date(2027, 1, 31)

    def test_may_be_longer_for_a_reason(self) -> None:
        longer = Rule("defects", Match(reasons=("defective",)), Terms({Resolution.REFUND: 700}))
        policy = Policy(rules=(longer,))
        later = DAY + timedelta(days=300)
        assert eligibility(policy, order(), line(), later).until == date(2028, 10, 10)
        assert eligibility(policy, order(), line(), later, reason="style").code == "too_late"
        assert not eligibility(policy, order(), line(), later, reason="defective").code


class TestWhatIsBarred:
    def test_final_sale_by_tag(self) -> None:
        assert eligibility(Policy(), order(), line(tags=("Final Sale",)), DAY).code == "final_sale"

    @pytest.mark.parametrize(
        ("match", "fits"),
        [
            (Match(products=("p1",)), True), (Match(products=("p2",)), False), (Match(collections=("swim",)), True),
            (Match(vendors=("acme",)), True), (Match(types=("shirts",)), True), (Match(countries=("FR",)), False),
            (Match(segments=("vip",)), True), (Match(price_from=(eur(1000),)), True),
            (Match(price_from=(eur(1001),)), False), (Match(price_to=(eur(999),)), False),
            (Match(price_from=(Money(1, "USD", 2),)), False), (Match(tags=("x",), vendors=("acme",)), False),
        ],
    )  # fmt: skip
    def test_a_rule_speaks_of_exactly_its_goods(self, match: Match, fits: bool) -> None:
        it = line(product_external_id="p1", collections=("Swim",), vendor="Acme", product_types=("Shirts",))
        policy = Policy(rules=(Rule("one", match, Terms(barred="hygiene")),))
        judged = eligibility(policy, order(it, customer_tags=("VIP",)), it, DAY)
        assert (judged.code == "hygiene") is fits

    def test_gift_cards_unsent_and_gone_goods_and_cancelled_orders(self) -> None:
        assert eligibility(Policy(), order(), line(gift_card=True), DAY).code == "gift_card"
        assert eligibility(Policy(), order(), line(returnable=0, shipped=()), DAY).code == "not_sent"
        assert eligibility(Policy(), order(), line(returnable=0, gone=2), DAY).code == "nothing_left"
        assert eligibility(Policy(), order(), line(returnable=0), DAY).code == "nothing_left"
        assert eligibility(Policy(), order(cancelled=True), line(), DAY).code == "cancelled"
        assert eligibility(Policy(terms=Terms()), order(), line(), DAY).code == "not_offered"

    def test_credit_is_offered_only_where_the_store_has_it_and_a_gift_never_goes_back_to_whoever_paid(self) -> None:
        assert Resolution.CREDIT not in eligibility(Policy(), order(store_credit=False), line(), DAY).resolutions
        assert Resolution.REFUND not in eligibility(Policy(), order(), line(), DAY, gift=True).resolutions
        assert codes(Policy(), order(), choose(("1", 1), gift=True)) == {"not_this_way"}

    def test_the_rest_of_other_returns(self) -> None:
        promised = Promised(units={"1": 2})
        assert eligibility(Policy(), order(), line(), DAY, promised=promised).code == "nothing_left"


class TestRefusals:
    @pytest.mark.parametrize("quantity", [0, -1, 3, 1_000_000])
    def test_quantities_that_cannot_be(self, quantity: int) -> None:
        refusal = quote(Policy(), order(), choose(("1", quantity)), DAY).refused[0]
        assert (refusal.code, refusal.detail) == ("quantity", "2")

    def test_the_same_line_twice_counts_together(self) -> None:
        assert codes(Policy(), order(), choose(("1", 1), ("1", 1))) == set()
        assert codes(Policy(), order(), choose(("1", 2), ("1", 1))) == {"quantity"}

    def test_strangers(self) -> None:
        assert codes(Policy(), order(), choose(("9", 1))) == {"unknown_line"}
        assert codes(Policy(), order(), choose(("1", 1), reason="size")) == {"unknown_reason"}
        assert codes(Policy(), order(), choose()) == {"nothing_chosen"}

    def test_photos_and_conditions(self) -> None:
        assert codes(Policy(), order(), choose(("1", 1), reason="defective")) == {"photo_needed"}
        policy = Policy(terms=Terms({Resolution.REFUND: 30}, conditions=(Condition("unopened"),)))
        assert codes(policy, order(), choose(("1", 1))) == {"condition"}
        kept = Choice((ChoiceLine("1", 1, "style", kept=("unopened",)),), Resolution.REFUND)
        assert codes(policy, order(), kept) == set()
        asked = Policy(terms=Terms({Resolution.REFUND: 30}, conditions=(Condition("unused", Otherwise.REVIEW),)))
        assert quote(asked, order(), choose(("1", 1)), DAY).review == ("condition",)

    def test_parts_of_a_bundle_come_back_together(self) -> None:
        pair = (line("1", 2, bundle="b"), line("2", 4, bundle="b"))
        policy = Policy(whole_bundles=True)
        assert codes(policy, order(*pair), choose(("1", 1))) == {"bundle"}
        assert codes(policy, order(*pair), choose(("1", 1), ("2", 2))) == set()

    def test_exchanges_need_goods_with_a_price_in_the_currency_of_the_order(self) -> None:
        assert codes(Policy(), order(), choose(("1", 1), resolution="exchange")) == {"nothing_instead"}
        dollars = ExchangePart("v", 1, price=Money(1, "USD", 2))
        assert codes(Policy(), order(), choose(("1", 1), resolution="exchange", exchange=(dollars,))) == {
            "other_currency"
        }


class TestMoney:
    def test_a_part_brings_its_share_without_the_delivery(self) -> None:
        decision = quote(Policy(), order(line(paid=1999)), choose(("1", 1)), DAY)
        assert (decision.goods, decision.delivery, decision.cash) == (eur(999), eur(0), eur(999))

    def test_the_whole_brings_everything(self) -> None:
        assert quote(Policy(), order(line(paid=1999)), choose(("1", 2)), DAY).cash == eur(2499)

    @pytest.mark.parametrize(
        ("back", "reason", "given"),
        [("never", "style", 0), ("whole", "style", 500), ("fault", "style", 0), ("fault", "too_late_delivered", 500)],
    )
    def test_delivery_goes_back_as_the_policy_says(self, back: str, reason: str, given: int) -> None:
        policy = Policy(delivery=DeliveryBack(back))
        assert quote(policy, order(), choose(("1", 2), reason=reason), DAY).delivery == eur(given)

    def test_fees_are_for_the_shoppers_own_reasons_and_never_more_than_the_goods(self) -> None:
        terms = Terms(dict.fromkeys(Resolution, 30), restocking_percent=15, shipping_fee=(eur(700),))
        policy = Policy(terms=terms)
        one = quote(policy, order(), choose(("1", 1)), DAY)
        assert (one.restocking_fee, one.shipping_fee, one.cash) == (eur(150), eur(700), eur(150))
        cheap = quote(policy, order(line(paid=200)), choose(("1", 1)), DAY)
        assert (cheap.shipping_fee, cheap.cash) == (eur(85), eur(0))
        assert quote(policy, order(), choose(("1", 1), reason="too_late_delivered"), DAY).cash == eur(1000)
        assert quote(policy, order(), choose(("1", 1), resolution="credit"), DAY).credit == eur(1000)
        assert quote(policy, order(currency_free := line()), choose((currency_free.external_id, 1)), DAY).cash == eur(
            150
        )

    def test_a_bonus_on_credit_is_capped(self) -> None:
        policy = Policy(bonus_percent=10, bonus_most=(eur(50),))
        decision = quote(policy, order(), choose(("1", 1), resolution="credit"), DAY)
        assert (decision.credit, decision.bonus, decision.cash) == (eur(1000), eur(50), eur(0))

    @pytest.mark.parametrize(("price", "cash", "owed"), [(700, 300, 0), (1000, 0, 0), (1200, 0, 200)])
    def test_an_exchange_settles_the_difference(self, price: int, cash: int, owed: int) -> None:
        part = ExchangePart("v2", 1, price=eur(price))
        decision = quote(Policy(), order(), choose(("1", 1), resolution="exchange", exchange=(part,)), DAY)
        assert (decision.cash, decision.owed, decision.keep) == (eur(cash), eur(owed), False)
        gift = quote(Policy(), order(), choose(("1", 1), resolution="exchange", exchange=(part,), gift=True), DAY)
        assert (gift.cash, gift.credit) == (eur(0), eur(cash))

    def test_a_replacement_moves_no_money(self) -> None:
        decision = quote(Policy(), order(), choose(("1", 1), resolution="replacement"), DAY)
        assert decision.cash == decision.credit == decision.owed == decision.delivery == eur(0)

    def test_what_was_given_back_already_is_not_sent_again_without_a_person(self) -> None:
        policy = Policy(instant_below=(eur(99_999),))
        again = choose(("1", 1), resolution="replacement")
        assert quote(policy, order(), again, DAY).instant
        decision = quote(policy, order(refunded=2500), again, DAY)
        assert (decision.worth, decision.review, decision.instant) == (eur(0), ("capped",), False)

    @pytest.mark.parametrize(("price", "automatic", "instant"), [
        (1000, True, True), (1500, True, False), (999, True, False), (1000, False, False),
    ])  # fmt: skip
    def test_what_goes_out_at_once_is_worth_what_comes_back_and_agreed_by_the_policy(
        self, price: int, automatic: bool, instant: bool
    ) -> None:
        policy = Policy(instant_below=(eur(1001),), automatic=automatic)
        part = ExchangePart("v2", 1, price=eur(price))
        wanted = choose(("1", 1), resolution="exchange", exchange=(part,))
        assert quote(policy, order(), wanted, DAY).instant is instant

    def test_never_more_than_is_left_and_then_a_person_looks(self) -> None:
        decision = quote(Policy(), order(refunded=1800), choose(("1", 2)), DAY)
        assert (decision.cash, decision.capped, decision.review) == (eur(700), True, ("capped",))

    def test_cheap_goods_stay_with_the_shopper_unless_a_person_must_look(self) -> None:
        policy = Policy(keep_below=(eur(1001),))
        assert quote(policy, order(), choose(("1", 1)), DAY).keep
        assert not quote(policy, order(), choose(("1", 2)), DAY).keep
        asked, told = replace(policy, signs=(Sign.BLOCKED,)), Customer(signs=(Sign.BLOCKED,))
        assert not quote(asked, order(), choose(("1", 1)), DAY, customer=told).keep
        assert not quote(Policy(keep_below=(Money(9, "USD", 2),)), order(), choose(("1", 1)), DAY).keep

    @pytest.mark.parametrize(
        ("policy", "customer", "review"),
        [
            (Policy(review_above=(eur(999),)), Customer(), ("value",)),
            (Policy(review_above=(eur(1000),)), Customer(), ()),
            (Policy(review_above=(Money(1, "USD", 2),)), Customer(), ("value",)),
            (Policy(most_returns=2), Customer(2), ("returns",)),
            (Policy(most_returns=2), Customer(1), ()),
            (Policy(terms=Terms({Resolution.REFUND: 30}, review=True)), Customer(), ("terms",)),
            (Policy(signs=(Sign.PAYMENTS,), most_failed=2), Customer(failed_payments=2), ("payments",)),
            (Policy(signs=(Sign.PAYMENTS,), most_failed=2), Customer(failed_payments=1), ()),
            (Policy(most_failed=2), Customer(failed_payments=9, signs=tuple(Sign)), ()),
            (Policy(signs=tuple(Sign)), Customer(signs=(Sign.BLOCKED, Sign.MISSING)), ("missing", "blocked")),
        ],
    )  # fmt: skip
    def test_who_is_asked(self, policy: Policy, customer: Customer, review: tuple[str, ...]) -> None:
        assert quote(policy, order(), choose(("1", 1)), DAY, customer=customer).review == review


class TestReasons:
    def test_are_asked_by_product_type(self) -> None:
        tree = (Reason("size", types=("Shirts",), children=(Reason("too_small"),)), Reason("other"))
        assert [one.code for one in leaves(reasons_for(tree, ("Linen", "shirts")))] == ["too_small", "other"]
        assert [one.code for one in leaves(reasons_for(tree, ("lamps",)))] == ["other"]

    def test_a_heading_whose_finer_reasons_are_all_for_others_is_not_asked(self) -> None:
        tree = (Reason("size", children=(Reason("too_small", types=("Shirts",)),)),)
        assert reasons_for(tree, ("Lamps",)) == ()


def test_a_policy_survives_its_json() -> None:
    policy = Policy(
        holidays=(Holiday(DAY, DAY, DAY),), keep_below=(eur(1),),
        reasons=(Reason("x", Fault.SHOP, words={"ar": "سبب"}, children=(Reason("y"),)),),
    )  # fmt: skip
    assert msgspec.convert(msgspec.json.decode(msgspec.json.encode(policy)), Policy) == policy


def test_a_policy_of_before_asks_nobody_about_signs() -> None:
    older = msgspec.to_builtins(Policy(most_returns=4))
    del older["signs"], older["most_failed"]
    read = msgspec.convert(older, Policy)
    assert (read.signs, read.most_returns) == ((), 4)
    known = Customer(failed_payments=99, signs=tuple(Sign))
    assert quote(read, order(signs=tuple(Sign)), choose(("1", 1)), DAY, customer=known).review == ()


# The laws

LINES = st.builds(
    lambda number, quantity, paid, gone, tags: line(
        str(number), quantity, paid, gone=min(gone, quantity), returnable=quantity - min(gone, quantity), tags=tags
    ),
    st.integers(1, 4), st.integers(1, 7), st.integers(0, 99_999), st.integers(0, 7),
    st.sampled_from([(), ("final sale",), ("swim",)]),
)  # fmt: skip
ORDERS = st.lists(LINES, min_size=1, max_size=4, unique_by=lambda one: one.external_id).flatmap(
    lambda lines: st.builds(
        lambda delivery, part: order(
            *lines, delivery=delivery,
            refunded=sum(share(one.paid.amount, one.quantity, 0, one.gone) for one in lines) * part // 100,
        ),
        st.integers(0, 2000), st.integers(0, 100),
    )
)  # fmt: skip
TERMS = st.builds(
    Terms,
    days=st.dictionaries(st.sampled_from(Resolution), st.one_of(st.none(), st.integers(0, 60))),
    restocking_percent=st.integers(0, 100),
    shipping_fee=st.sampled_from([(), (eur(499),), (Money(1, "USD", 2),)]),
    fees_for=st.lists(st.sampled_from(Resolution), unique=True).map(tuple),
    review=st.booleans(),
)
POLICIES = st.builds(
    Policy,
    terms=TERMS,
    rules=st.lists(
        st.builds(Rule, st.just("r"), st.builds(Match, tags=st.sampled_from([(), ("swim",)]),
                  reasons=st.sampled_from([(), ("style",)])), TERMS), max_size=2,
    ).map(tuple),
    holidays=st.sampled_from([(), (Holiday(date(2026, 11, 1), DAY, date(2027, 1, 31)),)]),
    delivery=st.sampled_from(DeliveryBack),
    bonus_percent=st.integers(0, 50),
    bonus_most=st.sampled_from([(), (eur(100),)]),
    keep_below=st.sampled_from([(), (eur(3000),)]),
    instant_below=st.sampled_from([(), (eur(5000),)]),
    automatic=st.booleans(),
)  # fmt: skip


@st.composite
def choices(draw: st.DrawFn, its_order: ReturnableOrder) -> Choice:
    lines = tuple(
        ChoiceLine(one.external_id, draw(st.integers(1, one.returnable)), draw(st.sampled_from(["style", "other"])))
        for one in its_order.lines
        if one.returnable and draw(st.booleans())
    )
    resolution = draw(st.sampled_from(Resolution))
    exchange = (ExchangePart("v", 1, price=eur(draw(st.integers(0, 5000)))),)
    return Choice(lines, resolution, exchange if resolution is Resolution.EXCHANGE else ())


@given(st.data(), POLICIES, ORDERS)
def test_return_after_return_gives_back_no_more_than_was_paid(
    data: st.DataObject, policy: Policy, its_order: ReturnableOrder
) -> None:
    before = its_order.paid.amount - its_order.refunded.amount
    for _round in range(3):
        decision = quote(policy, its_order, data.draw(choices(its_order)), DAY)
        if decision.refused:
            continue
        assert all(one.goods.amount >= one.fee.amount >= 0 for one in decision.lines)
        assert min(decision.cash.amount, decision.credit.amount, decision.owed.amount, decision.bonus.amount) >= 0
        assert decision.cash.amount + decision.credit.amount <= decision.worth.amount
        if decision.instant:
            assert (decision.cash.amount, decision.credit.amount, decision.owed.amount) == (0, 0, 0)
            assert (decision.review, decision.capped, policy.automatic) == ((), False, True)
        if policy.bonus_most:
            assert decision.bonus.amount <= 100
        its_order = _after(its_order, decision)
    assert its_order.refunded.amount <= its_order.paid.amount
    assert its_order.paid.amount - its_order.refunded.amount <= before


def _after(its_order: ReturnableOrder, decision: Decision) -> ReturnableOrder:
    lines = list(its_order.lines)
    for done in decision.lines:
        at = next(index for index, one in enumerate(lines) if one.external_id == done.line_external_id)
        gone = lines[at].gone + done.quantity
        lines[at] = replace(lines[at], gone=gone, returnable=lines[at].quantity - gone)
    given_back = decision.cash + decision.credit
    return replace(
        its_order, lines=tuple(lines), refunded=its_order.refunded + given_back,
        delivery_gone=its_order.delivery_gone + decision.delivery,
    )  # fmt: skip


SIGNS = st.lists(st.sampled_from(Sign), unique=True).map(tuple)


@given(st.data(), POLICIES, ORDERS, SIGNS, SIGNS, SIGNS, st.integers(0, 9))
def test_what_is_known_against_somebody_refuses_nothing_and_takes_no_money(
    data: st.DataObject, policy: Policy, its_order: ReturnableOrder, asked: tuple[Sign, ...], of: tuple[Sign, ...],
    person: tuple[Sign, ...], failed: int,
) -> None:  # fmt: skip
    choice = data.draw(choices(its_order))
    told = replace(its_order, signs=of, failed_payments=failed)
    plain = quote(policy, its_order, choice, DAY)
    watched = quote(replace(policy, signs=asked), told, choice, DAY, customer=Customer(0, failed, person))
    known = {*of, *person} | ({Sign.PAYMENTS} if failed * 2 >= policy.most_failed else set())
    reasons = () if plain.refused else tuple(one.value for one in Sign if one in known and one in asked)
    assert watched.review == plain.review + reasons
    kept = plain.keep and not reasons
    assert watched == replace(plain, review=watched.review, keep=kept, instant=plain.instant and not reasons)


@given(st.data(), POLICIES, ORDERS)
def test_the_order_of_items_does_not_matter(data: st.DataObject, policy: Policy, its_order: ReturnableOrder) -> None:
    choice = data.draw(choices(its_order))
    shuffled = replace(choice, lines=tuple(data.draw(st.permutations(choice.lines))))
    turned = replace(its_order, lines=tuple(data.draw(st.permutations(its_order.lines))))
    assert quote(policy, its_order, choice, DAY) == quote(policy, turned, shuffled, DAY)


@given(POLICIES, ORDERS, st.integers(0, 90), st.integers(1, 90), st.sampled_from([None, "style", "other"]))
def test_what_is_lost_by_time_does_not_come_back(
    policy: Policy, its_order: ReturnableOrder, first: int, later: int, reason: str | None
) -> None:
    start = date(2026, 11, 1)
    for one in its_order.lines:
        now = eligibility(policy, its_order, one, start + timedelta(first), reason=reason)
        then = eligibility(policy, its_order, one, start + timedelta(first + later), reason=reason)
        assert then.resolutions <= now.resolutions


@given(st.integers(0, 10**9), st.integers(1, 99), st.data())
def test_shares_of_a_line_are_together_exactly_what_was_paid(paid: int, quantity: int, data: st.DataObject) -> None:
    left, gone, given_back = quantity, 0, 0
    while left:
        units = data.draw(st.integers(1, left))
        given_back += share(paid, quantity, gone, units)
        gone, left = gone + units, left - units
    assert given_back == paid


def test_every_refusal_of_the_engine_has_words_of_its_own() -> None:
    """A code without words would be said as goods that are not taken back at all."""
    t = i18n.load().translator("en")
    codes = set(re.findall(r'Refusal\("(\w+)"', inspect.getsource(policy)))
    assert len(codes) > 6
    said = {code: policy_words.refusal(t, Refusal(code)) for code in codes - {"not_offered"}}
    general = policy_words.refusal(t, Refusal("not_offered"))
    assert [code for code, words in said.items() if words == general] == []
