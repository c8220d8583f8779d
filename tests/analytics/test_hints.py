"""A hint is a claim about a product: it is made where chance is a poor explanation, and nowhere else."""

from datetime import UTC, datetime, timedelta
from math import comb
from random import Random
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert

from plugin.analytics import hints
from plugin.analytics.hints import FALSE, FLOOR, LEAST, Shelf, as_uneven, at_least, standing_out
from plugin.app import App
from plugin.crm.orders import Order, OrderLine
from plugin.kernel.db import new_id
from plugin.returns.records import LINES, REQUESTS
from plugin.stores import Store

SHOP = UUID(int=1)


@given(st.integers(0, 40), st.integers(1, 40), st.sampled_from([0.02, 0.1, 0.5]))
def test_chances_of_a_share_are_the_binomial_tail(hits: int, of: int, share: float) -> None:
    expected = sum(comb(of, one) * share**one * (1 - share) ** (of - one) for one in range(hits, of + 1))
    assert at_least(hits, of, share) == pytest.approx(expected, abs=1e-9)


@given(st.integers(1, 12), st.integers(0, 12), st.data())
def test_chances_of_an_uneven_spread_are_fishers(of: int, others: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, of))
    rest = data.draw(st.integers(0, others))
    every, every_hit = of + others, hits + rest
    ways = sum(comb(of, one) * comb(others, every_hit - one) for one in range(hits, min(of, every_hit) + 1))
    assert as_uneven(hits, of, every_hit, every) == pytest.approx(ways / comb(every, every_hit), abs=1e-9)


def test_a_few_returns_say_nothing_however_large_their_share_is() -> None:
    assert not standing_out(SHOP, {"a": 4, "b": 500}, {("a", "too_small"): 4})
    (hint,) = standing_out(SHOP, {"a": 8, "b": 500}, {("a", "too_small"): 7})
    assert (hint.product, hint.reason, hint.returned, hint.bought) == ("a", "too_small", 7, 8)


def test_what_comes_back_from_everywhere_is_no_hint_about_one_product() -> None:
    bought = dict.fromkeys("abcd", 100)
    assert not standing_out(SHOP, bought, {(name, "changed_mind"): 12 for name in "abcd"})
    returned = {(name, "changed_mind"): 12 for name in "bcd"} | {("a", "changed_mind"): 45}
    assert [one.product for one in standing_out(SHOP, bought, returned)] == ["a"]


def test_what_is_too_small_and_too_large_alike_runs_neither() -> None:
    both = {("a", "too_small"): 20, ("a", "too_large"): 18}
    assert not standing_out(SHOP, {"a": 100, "b": 400}, both)
    (hint,) = standing_out(SHOP, {"a": 100, "b": 400}, both | {("a", "too_large"): 4})
    assert hint.reason == "too_small"


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 300), min_size=1),
    st.dictionaries(
        st.tuples(st.sampled_from("abcdef"), st.sampled_from(["too_small", "too_large", "defective"])),
        st.integers(0, 60),
    ),
)
def test_every_hint_keeps_the_rule(bought: dict[str, int], returned: dict[tuple[str, str], int]) -> None:
    found = standing_out(SHOP, bought, returned)
    assert len({one.product for one in found}) == len(found), "one a product"
    for one in found:
        assert one.returned >= LEAST
        assert one.share > max(one.elsewhere, FLOOR)
        assert one.chance <= FALSE


def test_where_nothing_is_the_matter_next_to_no_shop_sees_a_hint() -> None:
    dice, fooled, shops = Random(11), 0, 200
    for _shop in range(shops):
        bought = {str(number): 150 for number in range(20)}
        returned = {
            (product, reason): sum(dice.random() < 0.03 for _one in range(count))
            for product, count in bought.items()
            for reason in ("too_small", "other")
        }
        fooled += bool(standing_out(SHOP, bought, returned))
    assert fooled <= FALSE * shops


async def test_product_pages_say_it_only_where_the_shop_wants_that(app: App, workspace: UUID) -> None:
    async with app.db.transaction(workspace) as tx:
        store = Store(
            id=new_id(), platform="shopify", external_id=f"{uuid4().hex}.myshopify.com",
            public_key=f"st_{uuid4().hex[:22]}", name="Dukkan", url="https://dukkan.example",
        )  # fmt: skip
        tx.add(store)
        await tx.flush()
        at = datetime.now(UTC) - timedelta(days=20)
        for number in range(40):
            product = "shirt" if number < 20 else "mug"
            order = Order(
                id=new_id(), store_id=store.id, external_id=f"o{number}", version=at, name=f"#{number}",
                number=str(number), customer_id=None, placed_at=at, status="open", payment_status="paid",
                fulfilment_status="fulfilled", currency="ILS", exponent=2, total=1,
            )  # fmt: skip
            tx.add(order)
            await tx.flush()
            tx.add(OrderLine(order_id=order.id, external_id="1", store_id=store.id, version=at, position=0, title="x",
                             quantity=9, product_external_id=product, variant_external_id="v"))  # fmt: skip
            if number >= 12:
                continue
            request = new_id()
            # The last two were declined: nothing came back.
            await tx.execute(insert(REQUESTS).values(
                workspace_id=workspace, id=request, store_id=store.id, order_id=order.id, client_id=uuid4(),
                serial=1001 + number, public_id=uuid4().hex, choice={}, decision={}, review=[], photos=[],
                state="declined" if number >= 10 else "paid",
            ))  # fmt: skip
            await tx.execute(insert(LINES).values(
                workspace_id=workspace, id=new_id(), store_id=store.id, order_id=order.id, request_id=request,
                position=0, line_external_id="1", title="x", quantity=9, product_external_id=product,
                variant_external_id="v", reason="too_small", answers=[],
            ))  # fmt: skip
        (hint,) = await hints.of_store(tx, store.id)
        assert (hint.returned, hint.bought) == (10, 20), "an order counts once, however many pieces it holds"
    shelf = Shelf(app)
    assert await shelf.said(store, "shirt") == ""
    store.widget = {"fit": True}
    assert await shelf.said(store, "shirt") == "too_small"
    assert await shelf.said(store, "mug") == await shelf.said(store, "nothing") == ""
