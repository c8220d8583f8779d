"""The law's part of a withdrawal: labels, days, what goes back whatever the shop's policy says, what is exempt."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugin.return_desk import ReturnableOrder, Shipped
from plugin.returns import policy
from plugin.returns.policy import Choice, ChoiceLine, Match, PayWhen, Policy, Resolution, Terms
from plugin.returns.withdrawal_rules import (
    EU,
    LABELS,
    REASON,
    TRANSLATED,
    Exemption,
    Ground,
    Rules,
    When,
    label,
    last_day,
    pay_by,
    sort,
    statutory,
)
from tests.returns.desk import MUG, SHIRT, ils, returnable

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
NEVER = Policy(terms=Terms(barred="final_sale"), rules=(), zone="Europe/Berlin")


def delivered(on: datetime) -> ReturnableOrder:
    order = returnable()
    sent = on - timedelta(days=2)
    lines = tuple(replace(one, shipped=(Shipped("f", one.quantity, sent, on),)) for one in order.lines)
    return replace(order, lines=lines, placed_at=on - timedelta(days=4), country="DE")


def test_every_member_has_its_own_official_words_and_ours_are_said_to_be_ours() -> None:
    assert len(EU) == len(set(EU)) == 27
    official = set(LABELS) - TRANSLATED
    assert len(official) == 24
    assert {"ar", "he"} == TRANSLATED
    words = [word for pair in LABELS.values() for word in pair]
    assert len(set(words)) == len(words), "no language has another's words"


@pytest.mark.parametrize(
    ("page", "says"),
    [("de-AT", "Vertrag widerrufen"), ("DE", "Vertrag widerrufen"), ("pt_BR", "Retrate-se do contrato aqui"),
     ("en", "Withdraw from contract here"), ("xx", "Withdraw from contract here"), ("", "Withdraw from contract here")],
)  # fmt: skip
def test_the_label_is_in_the_pages_language(page: str, says: str) -> None:
    assert label(page)[0] == says


@pytest.mark.parametrize(
    ("when", "sells", "everyone", "country", "shown"),
    [
        (When.AUTO, True, True, "", True), (When.AUTO, False, True, "DE", False), (When.ON, False, True, "US", True),
        (When.OFF, True, True, "DE", False), (When.ON, True, False, "US", False), (When.ON, True, False, "FR", True),
        (When.ON, True, False, "", True),
    ],
)  # fmt: skip
def test_whom_it_is_shown_to(when: When, sells: bool, everyone: bool, country: str, shown: bool) -> None:
    assert Rules(when=when, everyone=everyone).shown_to(country, sells=sells) is shown


def test_rules_survive_their_storage() -> None:
    held = Rules(When.ON, ("DE",), False, False, (Exemption(Ground.PERISHABLE, Match(tags=("fresh",))),), {"en": "So."})
    assert msgspec.convert(msgspec.to_builtins(held), Rules, strict=False) == held


@pytest.mark.parametrize(
    ("day", "ends"),
    [(date(2026, 11, 2), date(2026, 11, 16)), (date(2026, 11, 7), date(2026, 11, 23)),
     (date(2026, 11, 8), date(2026, 11, 23)), (date(2026, 11, 6), date(2026, 11, 20))],
)  # fmt: skip
def test_the_days_end_on_a_working_day(day: date, ends: date) -> None:
    order = delivered(datetime(day.year, day.month, day.day, 9, tzinfo=UTC))
    assert last_day(order, "Europe/Berlin") == ends
    at = datetime(ends.year, ends.month, ends.day, 21, tzinfo=UTC)
    law = statutory(NEVER, Rules())
    assert not sort(law, order, at).late
    assert sort(law, order, at + timedelta(hours=4)).late


def test_nobody_is_late_before_everything_is_known_to_have_arrived() -> None:
    order = delivered(NOW - timedelta(days=90))
    shirt, mug = order.lines
    unknown = replace(order, lines=(shirt, replace(mug, shipped=(Shipped("f", 1, NOW - timedelta(days=80)),))))
    unsent = replace(order, lines=(shirt, replace(mug, shipped=(), returnable=0)))
    assert last_day(unknown, "UTC") is None
    assert last_day(unsent, "UTC") is None


def test_fourteen_days_to_pay_back_count_from_the_day_in_the_shop() -> None:
    assert pay_by(datetime(2026, 11, 1, 23, 30, tzinfo=UTC), "Europe/Berlin") == date(2026, 11, 16)


def test_the_law_goes_before_the_policy() -> None:
    order = delivered(NOW - timedelta(days=3))
    law = statutory(replace(NEVER, pay_when=PayWhen.APPROVED), Rules())
    found = sort(law, order, NOW)
    assert [(line.external_id, count) for line, count in found.back] == [(SHIRT, 2), (MUG, 1)]
    choice = Choice(tuple(ChoiceLine(line.external_id, n, REASON) for line, n in found.back), Resolution.REFUND)
    assert not policy.quote(NEVER, order, choice, NOW.date()).allowed
    decision = policy.quote(law, order, choice, NOW.date())
    assert decision.allowed
    assert decision.cash == ils(12_000)
    assert law.pay_when is PayWhen.RECEIVED, "nobody proved whose the order is: nothing moves before the goods are here"


def test_what_was_not_sent_is_counted_and_not_sent_back() -> None:
    order = delivered(NOW)
    shirt, mug = order.lines
    none = replace(order, lines=tuple(replace(one, shipped=(), returnable=0) for one in order.lines))
    some = replace(order, lines=(shirt, replace(mug, shipped=(), returnable=0)))
    law = statutory(NEVER, Rules())
    assert (sort(law, none, NOW).back, sort(law, none, NOW).unsent) == ((), 3)
    assert ([line.external_id for line, _n in sort(law, some, NOW).back], sort(law, some, NOW).unsent) == ([SHIRT], 1)


def test_exempt_goods_stay_and_what_depends_on_opening_waits_for_a_person() -> None:
    order = delivered(NOW)
    shirt, mug = order.lines
    order = replace(order, lines=(replace(shirt, tags=("Engraved",)), replace(mug, product_types=("Cosmetics",))))
    rules = Rules(exemptions=(
        Exemption(Ground.MADE_TO_ORDER, Match(tags=("engraved",))),
        Exemption(Ground.UNSEALED, Match(types=("cosmetics",))),
    ))  # fmt: skip
    law = statutory(NEVER, rules)
    found = sort(law, order, NOW)
    assert [(line.external_id, ground) for line, ground in found.exempt] == [(SHIRT, Ground.MADE_TO_ORDER)]
    assert [line.external_id for line, _count in found.back] == [MUG]
    choice = Choice((ChoiceLine(MUG, 1, REASON),), Resolution.REFUND)
    assert policy.quote(law, order, choice, NOW.date()).review == ("terms",)


@given(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3))
def test_what_goes_back_and_what_stays_unsent_are_never_more_than_what_was_bought(
    quantity: int, sent: int, gone: int
) -> None:
    order = delivered(NOW)
    sent, gone = min(sent, quantity), min(gone, quantity)
    line = replace(
        order.lines[0], quantity=max(1, quantity), gone=gone, returnable=max(0, sent - gone),
        shipped=(Shipped("f", sent, NOW, NOW),) if sent else (),
    )  # fmt: skip
    found = sort(statutory(NEVER, Rules()), replace(order, lines=(line,)), NOW)
    back = sum(count for _line, count in found.back)
    assert back + found.unsent + gone <= max(1, quantity) + min(gone, sent)
