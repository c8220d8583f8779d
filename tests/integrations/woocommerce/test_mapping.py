"""wc/v3 JSON to records, held to what a live WooCommerce 11.0.1 sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.woocommerce import mapping
from plugin.kernel.money import Money
from plugin.platform import CartRecord, CustomerRecord, Deletion, OrderRecord, ProductRecord, StoreNotice

SAMPLES = Path(__file__).parents[2] / "payloads" / "woocommerce"
NOW = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)


def body_of(name: str) -> bytes:
    return (SAMPLES / f"{name}.http").read_bytes().replace(b"\r\n", b"\n").partition(b"\n\n")[2].rstrip(b"\n")


def rest(name: str) -> Any:
    text = (SAMPLES / f"rest.{name}.txt").read_text()
    return mapping.decode(text[text.index("\n\n", text.index("HTTP ")) :].encode())


def usd(cents: int) -> Money:
    return Money(cents, "USD", 2)


def test_an_order_with_two_refunds_keeps_its_total_and_says_partially_refunded() -> None:
    (order,) = mapping.read_webhook("order.updated", body_of("order.updated.after-two-refunds"), NOW)
    assert isinstance(order, OrderRecord)
    assert (order.external_id, order.name, order.customer_external_id) == ("91", "#91", "2")
    assert order.version == datetime(2026, 11, 22, 1, 27, 34, tzinfo=UTC)
    assert order.placed_at == datetime(2026, 11, 22, 1, 26, 31, tzinfo=UTC)
    assert (order.total, order.refunded, order.shipping_total) == (usd(4690), usd(2000), usd(500))
    assert order.current_total == usd(2690)
    assert (order.status, order.payment_status, order.fulfilment_status) == (
        "closed",
        "partially_refunded",
        "fulfilled",
    )
    assert order.refunds is not None
    assert [(refund.external_id, refund.amount, refund.reason) for refund in order.refunds] == [
        ("94", usd(1600), ""),
        ("93", usd(400), "late"),
    ]
    assert order.lines is not None
    assert [(line.title, line.quantity, line.unit_price) for line in order.lines] == [
        ("قهوة عربية بالهيل ٢٥٠ غرام", 2, usd(1600)),
        ("תה ירוק יסמין 100 גרם", 1, usd(990)),
    ]
    assert order.note == "שלום / مرحبا – please gift-wrap 🎁"
    assert order.shipping_address is not None
    assert order.shipping_address.line1 == "1 Main St"


def test_a_guest_has_no_customer_but_an_address_to_be_reached_at() -> None:
    (order,) = mapping.read_webhook("order.created", body_of("guest-checkout.2-order.created"), NOW)
    assert isinstance(order, OrderRecord)
    assert order.customer_external_id == ""
    assert (order.email, order.phone, order.customer_name) == ("noa@example.net", "+972500000000", "נועה בר")
    assert order.payment_status == "pending", "cash on delivery is not paid while it is being packed"
    assert order.lines is not None
    assert order.lines[0].unit_price == usd(1450)


def test_raw_is_kept_and_can_be_stored_as_json() -> None:
    (order,) = mapping.read_webhook("order.created", body_of("guest-checkout.2-order.created"), NOW)
    assert isinstance(order, OrderRecord)
    assert json.loads(json.dumps(order.raw))["line_items"][0]["price"] == "14.5", "the text of the float, not a float"


def test_a_rest_order_is_read_like_a_delivered_one() -> None:
    delivered = mapping.order(mapping.decode(body_of("order.updated.after-two-refunds")))
    asked = mapping.order(rest("order-91"))
    assert asked.lines == delivered.lines
    assert asked.refunds == delivered.refunds
    assert (asked.version, asked.total) == (delivered.version, delivered.total)


def test_refunds_of_their_own_collection_know_when() -> None:
    refunds = [mapping.refund(entry, "USD") for entry in rest("order-91-refunds")]
    assert [(refund.external_id, refund.amount) for refund in refunds] == [("94", usd(1600)), ("93", usd(400))]
    assert refunds[0].at == datetime(2026, 11, 22, 1, 27, 34, tzinfo=UTC)


def test_tracking_of_the_usual_plugins_is_found() -> None:
    document = dict(rest("order-91"))
    document["meta_data"] = [
        {"id": 1, "key": "_tracking_number", "value": "111JO"},
        {"id": 2, "key": "_tracking_provider", "value": "Aramex"},
        {
            "id": 3,
            "key": "_wc_shipment_tracking_items",
            "value": [
                {"tracking_provider": "dhl", "tracking_number": "222", "date_shipped": "1795310854"},
                {"tracking_number": "", "tracking_provider": "none"},
                {"tracking_number": "333", "custom_tracking_link": "javascript:alert(1)"},
            ],
        },
    ]
    parcels = mapping.order(document).fulfilments
    assert parcels is not None
    found = [(parcel.tracking_number, parcel.carrier, parcel.status) for parcel in parcels]
    assert found == [("222", "dhl", "in_transit"), ("333", "", "in_transit"), ("111JO", "Aramex", "in_transit")]
    assert all(parcel.tracking_url == "" for parcel in parcels), "a link that is no web address is not one"
    assert parcels[0].shipped_at == datetime.fromtimestamp(1795310854, UTC)


def test_a_line_says_once_which_variation_it_is() -> None:
    entry = {
        "id": 1, "name": "T-shirt - S", "parent_name": "T-shirt", "product_id": 22, "variation_id": 26, "quantity": 1,
        "total": "20.00", "meta_data": [{"key": "pa_size", "display_key": "Size", "display_value": "S"}],
    }  # fmt: skip
    plain = {**entry, "id": 2, "meta_data": []}
    old = {**entry, "id": 3, "parent_name": None}
    lines = mapping.order({**rest("order-91"), "line_items": [entry, plain, old]}).lines
    assert lines is not None
    assert [(line.title, line.variant_title) for line in lines] == [
        ("T-shirt", "S"),
        ("T-shirt - S", ""),
        ("T-shirt - S", "S"),
    ]


def test_customers_are_people_and_staff_are_not() -> None:
    (dana,) = mapping.read_webhook("customer.updated", body_of("customer.updated"), NOW)
    assert isinstance(dana, CustomerRecord)
    assert (dana.first_name, dana.last_name, dana.phone) == ("דנה", "לוי-כהן", "+972501234567")
    assert dana.created_at == datetime(2026, 11, 22, 1, 27, 24, tzinfo=UTC)
    administrator = {**mapping.decode(body_of("customer.updated")), "role": "administrator"}
    assert mapping.read_webhook("customer.updated", json.dumps(administrator).encode(), NOW) == ()
    assert mapping.customer(rest("customer-2")).addresses[0].city == "City 0"


def test_a_variation_alone_names_its_parent() -> None:
    (variation,) = mapping.read_webhook("product.updated", body_of("product.updated.variation"), NOW, currency="USD")
    assert isinstance(variation, ProductRecord)
    assert (variation.external_id, variation.parent_external_id) == ("26", "22")
    (variant,) = variation.variants
    assert (variant.title, variant.sku, variant.price, variant.stock) == ("XL", "TS-XL", usd(2200), 7)


def test_a_simple_product_is_its_own_variant() -> None:
    (product,) = mapping.read_webhook("product.updated", body_of("product.updated.arabic-title"), NOW, currency="USD")
    assert isinstance(product, ProductRecord)
    assert product.title == "قهوة عربية بالهيل ٢٥٠ غرام"
    assert product.product_type == "Coffee"
    assert [(variant.external_id, variant.price, variant.stock) for variant in product.variants] == [
        ("15", usd(1600), 12)
    ]


def test_a_variable_product_says_nothing_of_variations_it_did_not_bring() -> None:
    (document,) = rest("product-variable")
    assert mapping.product(document, currency="USD").variants == ()


def test_deletions_leave_a_tombstone_of_the_time_they_came() -> None:
    assert mapping.read_webhook("order.deleted", body_of("order.deleted"), NOW) == (Deletion("orders", "98", NOW),)
    assert mapping.read_webhook("customer.deleted", body_of("customer.deleted"), NOW) == (
        Deletion("customers", "31", NOW),
    )


def test_error_bodies_are_told_apart() -> None:
    (notice,) = mapping.read_webhook("order.updated", body_of("order.updated.error-body-webhook-owner-demoted"), NOW)
    assert isinstance(notice, StoreNotice)
    assert (notice.kind, notice.data["topic"]) == ("webhook_owner_demoted", "order.updated")
    gone = body_of("product.created.error-body-deleted-before-delivery")
    assert mapping.read_webhook("product.created", gone, NOW) == ()


def test_binned_and_draft_orders() -> None:
    document = {**rest("order-91"), "status": "trash"}
    (deletion,) = mapping.record_of("order", document)
    assert deletion == Deletion("orders", "91", datetime(2026, 11, 22, 1, 27, 34, tzinfo=UTC))
    assert mapping.record_of("order", {**document, "status": "checkout-draft"}) == ()


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"code":7}', b'\xff\xfe{"id":1}', b"[" * 100_000])
def test_broken_bodies_are_value_errors(body: bytes) -> None:
    with pytest.raises(ValueError):
        mapping.read_webhook("order.updated", body, NOW)


def cart_event(kind: str, **cart: object) -> bytes:
    contents = {
        "token": "t1",
        "customer_id": "7",
        "email": "a@example.com",
        "currency": "JOD",
        "items": [{"product_id": "11", "variation_id": "12", "name": "زيت", "quantity": 2, "price": "7.500"}],
        "coupons": [],
        "total": "15.000",
        **cart,
    }
    return json.dumps({"events": [{"id": "e1", "kind": kind, "at": "2026-11-22T01:00:00Z", "cart": contents}]}).encode()


def test_cart_events_of_our_plugin() -> None:
    (cart,) = mapping.read_webhook("ahlan.cart", cart_event("cart.updated"), NOW)
    assert isinstance(cart, CartRecord)
    assert (cart.kind, cart.total, cart.completed_at) == ("cart", Money(15000, "JOD", 3), None)
    assert cart.lines[0].unit_price == Money(7500, "JOD", 3)
    assert cart.lines[0].variant_external_id == "12"
    (placed,) = mapping.read_webhook("ahlan.cart", cart_event("order.placed"), NOW)
    assert isinstance(placed, CartRecord)
    assert placed.completed_at == datetime(2026, 11, 22, 1, tzinfo=UTC)
    with pytest.raises(ValueError):
        mapping.read_webhook("ahlan.cart", cart_event("cart.exploded"), NOW)


def priced(total: str, currency: str, refunds: list[str]) -> Mapping[str, Any]:
    entries = [{"id": number, "reason": "", "total": f"-{amount}"} for number, amount in enumerate(refunds, 1)]
    return {**rest("order-91"), "currency": currency, "total": total, "line_items": [], "refunds": entries}


minor = st.integers(min_value=0, max_value=10**11)
currency = st.sampled_from([("USD", 2), ("JOD", 3), ("JPY", 0), ("ILS", 2), ("KWD", 3)])


@given(minor, currency)
def test_every_amount_of_every_currency_is_exact(amount: int, shape: tuple[str, int]) -> None:
    code, exponent = shape
    text = str(Decimal(amount).scaleb(-exponent))
    assert mapping.order(priced(text, code, [])).total == Money(amount, code, exponent)


@given(st.lists(st.integers(min_value=1, max_value=10**8), max_size=5), currency)
def test_refunds_add_up_exactly(amounts: list[int], shape: tuple[str, int]) -> None:
    code, exponent = shape
    texts = [str(Decimal(amount).scaleb(-exponent)) for amount in amounts]
    order = mapping.order(priced("999999999", code, texts))
    assert order.refunded == Money(sum(amounts), code, exponent)
    assert order.payment_status == ("partially_refunded" if amounts else "paid")


@given(st.integers(min_value=1, max_value=10**9), st.integers(min_value=1, max_value=99), currency)
def test_the_price_of_one_comes_from_the_subtotal(each: int, quantity: int, shape: tuple[str, int]) -> None:
    code, exponent = shape
    subtotal = str(Decimal(each * quantity).scaleb(-exponent))
    line = {"id": 1, "name": "x", "quantity": quantity, "subtotal": subtotal, "price": "0.1"}
    (read,) = mapping.order({**priced("1", code, []), "line_items": [line]}).lines or ()
    assert read.unit_price == Money(each, code, exponent)


@given(st.text(max_size=12))
def test_what_is_no_amount_is_a_value_error_or_a_number(text: str) -> None:
    try:
        total = mapping.order(priced(text, "USD", [])).total
    except ValueError:
        return
    assert total.currency == "USD"


@pytest.mark.parametrize("bad", ["NaN", "Infinity", "-inf", "1e400", "12,50", "١٢x", True, 1.5, [], {}])
def test_bad_amounts_are_refused(bad: object) -> None:
    with pytest.raises(ValueError):
        mapping.order({**priced("1", "USD", []), "total": bad})
