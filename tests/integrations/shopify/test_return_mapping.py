"""An order of Shopify's as something that may go back: taxes, discounts, parcels, payments, to the minor unit."""

from __future__ import annotations

from typing import Any

from integrations.shopify import return_mapping
from integrations.shopify.return_mapping import Unit
from plugin.kernel.money import Money
from plugin.return_desk import OpenReturn, ReturnPart, mark, marked


def bag(amount: str, currency: str = "KWD") -> dict[str, Any]:
    return {"presentmentMoney": {"amount": amount, "currencyCode": currency}}


def head(**more: Any) -> dict[str, Any]:
    """A tax-exclusive order in dinars: two payments, one parcel cancelled, one delivered by a scan."""
    return {
        "id": "o", "name": "#1", "processedAt": "2026-11-01T10:00:00Z", "cancelledAt": None, "taxesIncluded": False,
        "presentmentCurrencyCode": "KWD", "totalRefundedSet": bag("1.250"), "customer": None,
        "shippingAddress": None, "billingAddress": {"countryCodeV2": "KW"},
        "shippingLines": {"nodes": [
            {"id": "s", "discountedPriceSet": bag("2.000"), "taxLines": [{"priceSet": bag("0.100")}]}]},
        "transactions": [
            sale("t1", "5.000"), sale("t2", "10.000", gateway="gift_card"), sale("t3", "9.000", status="FAILURE"),
            {**sale("r1", "1.250"), "kind": "REFUND", "parentTransaction": {"id": "t1"}},
        ],
        "refunds": [{"id": "f", "refundShippingLines": {"nodes": [
            {"id": "x", "subtotalAmountSet": bag("0.500"), "taxAmountSet": bag("0.025")}]}}],
        "fulfillments": [
            {"id": "p0", "status": "CANCELLED", "createdAt": None, "deliveredAt": None, "events": {"nodes": []},
             "fulfillmentLineItems": {"nodes": [{"id": "u0", "quantity": 3, "lineItem": {"id": "l"}}]}},
            {"id": "p1", "status": "SUCCESS", "createdAt": "2026-11-02T10:00:00Z", "deliveredAt": None,
             "events": {"nodes": [{"id": "e", "status": "DELIVERED", "happenedAt": "2026-11-05T08:00:00Z"}]},
             "fulfillmentLineItems": {"nodes": [{"id": "u1", "quantity": 3, "lineItem": {"id": "l"}}]}},
        ],
        **more,
    }  # fmt: skip


def sale(id: str, amount: str, *, gateway: str = "card", status: str = "SUCCESS") -> dict[str, Any]:
    return {"id": id, "kind": "SALE", "status": status, "gateway": gateway, "formattedGateway": gateway.title(),
            "manualPaymentGateway": False, "amountSet": bag(amount), "parentTransaction": None}  # fmt: skip


def line(**more: Any) -> dict[str, Any]:
    return {
        "id": "l", "title": "Soap", "quantity": 3, "currentQuantity": 2, "refundableQuantity": 2,
        "originalTotalSet": bag("12.000"),
        # A line's own discount, and its part of the order's.
        "discountAllocations": [{"allocatedAmountSet": bag("1.000")}, {"allocatedAmountSet": bag("0.333")}],
        "taxLines": [{"priceSet": bag("0.533")}], "lineItemGroup": {"id": "g"}, "isGiftCard": False,
        "requiresShipping": True, "product": None, "variant": None, **more,
    }  # fmt: skip


def test_what_was_paid_is_after_every_discount_and_with_its_taxes() -> None:
    order = return_mapping.order(head(), [line()], [Unit("u1", "l", 2)])
    (found,) = order.lines
    assert (found.paid, found.tax) == (Money(11_200, "KWD", 3), Money(533, "KWD", 3))
    assert (found.quantity, found.gone, found.returnable, found.bundle) == (3, 1, 2, "g")
    included = return_mapping.order(head(taxesIncluded=True), [line()], [])
    assert included.lines[0].paid.amount == 10_667
    assert included.lines[0].returnable == 0
    assert (order.delivery.amount, order.delivery_gone.amount) == (2_100, 525)
    assert (order.paid.amount, order.refunded.amount) == (15_000, 1_250)
    assert (order.country, order.store_credit, order.customer_external_id) == ("KW", False, "")


def test_parcels_that_were_called_off_count_for_nothing_and_a_scan_says_when_it_arrived() -> None:
    (found,) = return_mapping.order(head(), [line()], []).lines
    (shipped,) = found.shipped
    assert (shipped.external_id, shipped.quantity) == ("u1", 3)
    assert str(shipped.delivered_at) == "2026-11-05 08:00:00+00:00"


def test_each_payment_holds_what_did_not_go_back_to_it() -> None:
    assert [(one.id, one.left.amount) for one in return_mapping.payments(head())] == [("t1", 3_750), ("t2", 10_000)]
    # More went back than the payments say: as store credit.
    credit = return_mapping.payments(head(totalRefundedSet=bag("4.250")))
    assert [(one.id, one.left.amount) for one in credit] == [("t1", 3_750), ("t2", 7_000)]


def test_delivery_is_asked_for_as_the_shop_writes_prices() -> None:
    def asked(amount: int, **more: Any) -> Any:
        return return_mapping.shipping_refund(head(**more), Money(amount, "KWD", 3))

    assert asked(1_575) == {"fullRefund": True}
    assert asked(1_050) == {"shippingRefundAmount": {"amount": "1.000", "currencyCode": "KWD"}}
    assert asked(1_050, taxesIncluded=True) == {"shippingRefundAmount": {"amount": "1.050", "currencyCode": "KWD"}}
    assert asked(0) is None


def test_our_reasons_are_shopifys_where_it_has_them() -> None:
    handles = {"size-too-small": "1", "other": "2", "comfort": "3"}
    assert [return_mapping.reason(code, handles) for code in ("too_small", "comfort", "no such", "")] == [
        "1", "3", "2", "2",
    ]  # fmt: skip
    assert return_mapping.reason("x", {}) is None


def test_words_of_shoppers_stay_below_shopifys_limits_and_our_number_is_found() -> None:
    action = OpenReturn("RET-7", (ReturnPart("l", 1, words="ض" * 900),), approved=True)
    (made,) = return_mapping.opening(action, "o", [Unit("u1", "l", 2)], [], {})["returnLineItems"]
    assert len(made["returnReasonNote"]) == 255
    assert return_mapping.is_ours(made, "RET-7")
    assert not return_mapping.is_ours(made, "RET-70")
    assert not return_mapping.is_ours({"customerNote": None, "returnReasonNote": "RET-77: x"}, "RET-7")


def test_a_mark_is_read_back_and_nobody_elses_words_are_one() -> None:
    assert marked(mark("RET-7", "abc-1")) == ("RET-7", "abc-1")
    for words in ("", "broken", "broken (twice over)", "a b (c)", "(c)"):
        assert marked(words) is None, words
