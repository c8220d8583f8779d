"""What can go back of a WooCommerce order: never more than was paid without what went back, to the minor unit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integrations.woocommerce import mapping, refund_mapping
from integrations.woocommerce.refund_mapping import FEE, ITEM, SHIPPING

PAYLOADS = Path(__file__).parents[2] / "payloads" / "woocommerce"


def recorded(name: str) -> Any:
    return mapping.decode((PAYLOADS / f"rest.{name}.txt").read_bytes().split(b"\n\n", 2)[2])


@st.composite
def orders(draw: st.DrawFn) -> dict[str, Any]:
    """An order of some lines with two taxes, delivery and a fee, in a shop of 0 to 3 decimals."""
    places = draw(st.integers(0, 3))
    amounts = st.integers(0, 99_999)

    def line(id: int, total: int, quantity: int | None) -> dict[str, Any]:
        taxes = [{"id": tax, "total": refund_mapping.spelled(draw(st.integers(0, abs(total) // 4)), places)}
                 for tax in draw(st.sets(st.sampled_from([7, 8])))]  # fmt: skip
        found = {"id": id, "name": f"line {id}", "total": refund_mapping.spelled(total, places), "taxes": taxes}
        return found if quantity is None else {**found, "quantity": quantity}

    kinds: dict[str, list[dict[str, Any]]] = {
        ITEM: [line(id, draw(amounts), draw(st.integers(1, 9))) for id in range(1, draw(st.integers(2, 5)))],
        SHIPPING: [line(50, draw(amounts), None)] if draw(st.booleans()) else [],
        FEE: [line(60, draw(amounts), None)] if draw(st.booleans()) else [],
    }
    sums = [refund_mapping.minor(one["total"], places) + sum(refund_mapping.minor(tax["total"], places)
            for tax in one["taxes"]) for lines in kinds.values() for one in lines]  # fmt: skip
    return {"id": 1, "currency": "JOD", "total": refund_mapping.spelled(sum(sums), places), **kinds}


def as_refund(number: int, body: dict[str, Any], order: dict[str, Any]) -> dict[str, Any]:
    """What WooCommerce makes of a request: negative lines in three lists that name what they are of."""
    kinds: dict[str, list[dict[str, Any]]] = {ITEM: [], SHIPPING: [], FEE: []}
    for line in body["line_items"]:
        kind = next(kind for kind in kinds for one in order[kind] if one["id"] == line["id"])
        kinds[kind].append({
            "id": 1000 * number + line["id"],
            "quantity": -line.get("quantity", 0),
            "total": f"-{line['refund_total']}",
            "taxes": [{"id": tax["id"], "total": f"-{tax['refund_total']}"} for tax in line.get("refund_tax", ())],
            "meta_data": [{"key": "_refunded_item_id", "value": str(line["id"])}],
        })  # fmt: skip
    return {"id": number, "amount": body["amount"], **kinds}


steps = st.lists(
    st.tuples(
        st.dictionaries(st.integers(1, 4), st.integers(0, 9)),
        st.booleans(),
        st.sampled_from(["lines", "money", "whole"]),
    ),
    max_size=6,
)


@settings(max_examples=100, deadline=None)
@given(orders(), steps, st.integers(0, 50_000))
def test_whatever_goes_back_in_whatever_order_is_never_more_than_was_paid(
    order: dict[str, Any], wanted: list[Any], money: int
) -> None:
    places, refunds = refund_mapping.places(order), []
    paid = refund_mapping.minor(order["total"], places)
    for number, (quantities, shipping, how) in enumerate(wanted, 1):
        left = {part.id: part.left for part in refund_mapping.parts_of(order, refunds) if part.kind == ITEM}
        some = {id: min(count, left[id]) for id, count in quantities.items() if id in left}
        if how == "money":
            amount = min(money, refund_mapping.left_of(order, refunds))
            if amount:
                refunds.append({"id": number, "amount": refund_mapping.spelled(amount, places)})
            continue
        planned = refund_mapping.plan(
            order, refunds, quantities=some if how == "lines" else {}, shipping=shipping, whole=how == "whole"
        )
        assert 0 <= planned.amount <= planned.left
        assert sum(back.value for back in planned.parts) <= planned.amount
        if how == "lines":
            assert sum(back.value for back in planned.parts) == planned.amount, "the lines sum to the minor unit"
        if planned.amount:
            refunds.append(as_refund(number, refund_mapping.body(planned, places), order))
        gone = sum(refund_mapping.minor(one["amount"], places) for one in refunds)
        assert gone <= paid
        for part in refund_mapping.parts_of(order, refunds):
            assert part.left >= 0
            assert 0 <= part.total_left <= max(part.total, 0)
            assert all(0 <= part.taxes_left[tax] <= part.taxes[tax] for tax in part.taxes)


@settings(max_examples=80, deadline=None)
@given(orders())
def test_one_unit_after_the_other_sums_to_the_whole(order: dict[str, Any]) -> None:
    places, refunds, number = refund_mapping.places(order), [], 0
    for part in refund_mapping.parts_of(order, []):
        for _unit in range(part.left if part.kind == ITEM else 0):
            number += 1
            planned = refund_mapping.plan(order, refunds, quantities={part.id: 1}, shipping=False, whole=False)
            refunds.append(as_refund(number, refund_mapping.body(planned, places), order))
    for part in refund_mapping.parts_of(order, refunds):
        if part.kind == ITEM:
            assert (part.left, part.value_left) == (0, 0)
    rest = refund_mapping.plan(order, refunds, quantities={}, shipping=False, whole=True)
    refunds.append(as_refund(number + 1, refund_mapping.body(rest, places), order))
    assert refund_mapping.left_of(order, refunds) == 0


def test_the_recorded_order_with_two_refunds_has_left_what_woocommerce_says() -> None:
    order, refunds = recorded("order-91"), recorded("order-91-refunds")
    parts = {part.id: part for part in refund_mapping.parts_of(order, refunds)}
    # Two packets of coffee for 32.00: one went back for 16.00; 4.00 more were given without a line.
    assert (parts[188].left, parts[188].total_left) == (1, 1600)
    assert (parts[189].left, parts[189].total_left, parts[190].kind) == (1, 990, SHIPPING)
    assert refund_mapping.left_of(order, refunds) == 4690 - 2000
    planned = refund_mapping.plan(order, refunds, quantities={}, shipping=False, whole=True)
    assert planned.amount == 2690
    assert sum(back.value for back in planned.parts) == 2690, "the 4.00 are taken from the last lines"
    body = refund_mapping.body(planned, 2)
    assert body["amount"] == "26.90"
    assert {line["id"]: line["refund_total"] for line in body["line_items"]} == {188: "16.00", 189: "9.90", 190: "1.00"}


def test_a_line_that_does_not_divide_leaves_the_rest_to_its_last_unit() -> None:
    order = {"total": "10.00", ITEM: [{"id": 1, "quantity": 3, "total": "10.00", "taxes": []}]}
    first = refund_mapping.plan(order, [], quantities={1: 1}, shipping=False, whole=False)
    assert first.amount == 333
    refunds = [as_refund(1, refund_mapping.body(first, 2), {**order, SHIPPING: [], FEE: []})]
    last = refund_mapping.plan(order, refunds, quantities={1: 2}, shipping=False, whole=False)
    assert last.amount == 667


@pytest.mark.parametrize("quantities", [{1: 3}, {1: -1}, {99: 1}])
def test_more_than_is_left_is_refused(quantities: dict[int, int]) -> None:
    order = {"total": "10.00", ITEM: [{"id": 1, "quantity": 2, "total": "10.00", "taxes": []}]}
    with pytest.raises(ValueError):
        refund_mapping.plan(order, [], quantities=quantities, shipping=False, whole=False)
