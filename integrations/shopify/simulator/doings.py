"""What an app does to an order by the Admin API, with Shopify's habits: suggested refunds, keys, user errors.

Payloads of mutations, as dictionaries that GraphQL resolves. Orders keep their payments in ``_paid`` once one is asked
for; what a shop was seeded with has one payment of its whole total.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

from graphql import GraphQLError

from integrations.shopify.simulator import nodes, trade
from integrations.shopify.simulator.shop import INVOICE, OWED, Shop, amount, gid, iso, minor, number_of
from integrations.shopify.simulator.state import Doc

REFUND_FAULTS = "refund_faults"
"""Setting: how many of the next refunds a payment provider refuses after Shopify wrote them down."""


def allowed(shop: Shop, scope: str, name: str) -> None:
    """Raises what Shopify answers to an app without a scope."""
    if not shop.allows(scope):
        raise nodes.Denied(name, scope)


def payload(errors: list[tuple[list[str] | None, str]], **rest: Any) -> Doc:
    """A mutation's payload: what it made, or nothing and plain user errors."""
    told = [{"field": field, "message": message} for field, message in errors]
    return {**(dict.fromkeys(rest) if told else rest), "userErrors": told}


def find_order(shop: Shop, id: str) -> Doc | None:
    wanted = number_of(id, "Order")
    return next((doc for doc in nodes.visible_orders(shop) if doc["id"] == wanted), None)


# --- idempotency (https://shopify.dev/docs/api/usage/idempotent-requests) -------------------------------------------


def once(shop: Shop, name: str, key: str | None, told: Doc, work: Callable[[], Doc]) -> Doc:
    """The first answer again for the same key and parameters; an error without a key, or with other parameters."""
    if key is None:
        raise GraphQLError(
            f"The @idempotent directive is required for this mutation but was not provided: {name}",
            extensions={"code": "BAD_REQUEST"},
        )
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
    held = shop.state.get("idempotency", f"{name}:{key}")
    if held is not None and held["digest"] != digest:
        raise GraphQLError(
            "The idempotency key was used before with other parameters",
            extensions={"code": "IDEMPOTENCY_KEY_PARAMETER_MISMATCH"},
        )
    if held is None:
        done = work()
        if done["userErrors"]:
            return done
        held = {"digest": digest, "made": done["refund"]["id"], "order": done["_order"]}
        shop.state.put("idempotency", f"{name}:{key}", held)
    order = shop.state.get("orders", held["order"]) or {}
    made = next(one for one in order["refunds"] if one["admin_graphql_api_id"] == held["made"])
    return {**payload([], refund=nodes.refund(made, order)), "order": lambda **_: nodes.order(shop, order)}


# --- refunds --------------------------------------------------------------------------------------------------------


def paid_minor(order: Doc) -> int:
    """What was really paid: an order that waits for its money has nothing to give back."""
    return minor(order["total_price"]) if order["financial_status"] not in ("pending", "voided") else 0


def left_minor(order: Doc) -> int:
    return paid_minor(order) - sum(int(held["_total_minor"]) for held in order["refunds"])


def suggested_refund(shop: Shop, order: Doc, **asked: Any) -> Doc:
    """``Order.suggestedRefund``: the wanted lines at their price, delivery, never more than is left."""
    wanted = {number_of(entry["lineItemId"], "LineItem"): entry["quantity"]
              for entry in asked.get("refundLineItems") or ()}  # fmt: skip
    lines = []
    for line in order["line_items"]:
        count = line["current_quantity"] if asked.get("suggestFullRefund") else wanted.get(line["id"], 0)
        count = min(count, line["current_quantity"])
        if count > 0:
            lines.append((line, count, trade.worth(line, count)))
    delivery_left = minor(order["current_shipping_price_set"]["shop_money"]["amount"])
    delivery = delivery_left if asked.get("refundShipping") or asked.get("suggestFullRefund") else 0
    left = left_minor(order)
    back = min(left, sum(value for *_, value in lines) + delivery)
    gateway = order["payment_gateway_names"][0]
    transaction = {
        "gateway": gateway,
        "formattedGateway": gateway.replace("_", " ").capitalize(),
        "amountSet": nodes.bag(amount(back)),
        "parentTransaction": {
            "id": gid("OrderTransaction", order["id"] * 10 + 1),
            "manualPaymentGateway": gateway in trade.MANUAL,
        },
    }
    return {
        "amountSet": nodes.bag(amount(back)),
        "maximumRefundableSet": nodes.bag(amount(left)),
        "totalTaxSet": nodes.bag(amount(sum(trade.vat_inside(value) for *_, value in lines))),
        "shipping": {
            "amountSet": nodes.bag(amount(delivery)),
            "maximumRefundableSet": nodes.bag(amount(delivery_left)),
        },
        "refundLineItems": [
            {
                "quantity": count,
                "subtotalSet": nodes.bag(amount(value)),
                "totalTaxSet": nodes.bag(amount(trade.vat_inside(value))),
                "lineItem": {"id": line["admin_graphql_api_id"]},
            }
            for line, count, value in lines
        ],
        "suggestedTransactions": [transaction] if back > 0 else [],
    }


def refund_create(shop: Shop, told: Doc, key: str | None) -> Doc:
    """``refundCreate``: only with a key since 2026-04, and then once."""
    allowed(shop, "write_orders", "refundCreate")
    return once(shop, "refundCreate", key, told, lambda: _refund(shop, told))


def _refund(shop: Shop, told: Doc) -> Doc:
    order = find_order(shop, told["orderId"])
    if order is None:
        return payload([(["orderId"], "Order does not exist")], refund=None)
    if told.get("currency") not in (None, order["presentment_currency"]):
        return payload([(["currency"], "Currency must match the currency of the order")], refund=None)
    lines = {line["id"]: line for line in order["line_items"]}
    quantities: dict[int, tuple[int, str]] = {}
    for index, entry in enumerate(told.get("refundLineItems") or ()):
        line = lines.get(number_of(entry["lineItemId"], "LineItem") or 0)
        if line is None:
            return payload([(["refundLineItems", str(index), "lineItemId"], "Line item does not exist")], refund=None)
        if not 0 < entry["quantity"] <= line["current_quantity"]:
            said = "Quantity cannot refund more items than were purchased"
            return payload([(["refundLineItems", str(index), "quantity"], said)], refund=None)
        quantities[line["id"]] = entry["quantity"], str(entry.get("restockType") or "NO_RESTOCK")
    money = sum(minor(entry["amount"]) for entry in told.get("transactions") or ())
    if money > left_minor(order) and not told.get("allowOverRefunding"):
        left = f"{left_minor(order) / 100:.2f}"
        return payload([(["transactions"], f"Refund amount can not be greater than {left}")], refund=None)
    delivery = 0
    if (told.get("shipping") or {}).get("fullRefund"):
        delivery = minor(order["current_shipping_price_set"]["shop_money"]["amount"])
    failing = shop.state.setting(REFUND_FAULTS, 0)
    if failing:
        shop.state.set(REFUND_FAULTS, failing - 1)
    made = trade.give_back(
        shop, order["id"], quantities=quantities, delivery=delivery, money=money, note=told.get("note"),
        failed=bool(failing), gateway=order["payment_gateway_names"][0],
    )  # fmt: skip
    return {**payload([], refund=nodes.refund(made, order)), "_order": order["id"]}


# --- the order itself -----------------------------------------------------------------------------------------------


def order_cancel(shop: Shop, **told: Any) -> Doc:
    """``orderCancel``: a job; what cannot be cancelled is told at once."""
    allowed(shop, "write_orders", "orderCancel")

    def refused(message: str, code: str) -> Doc:
        return {"job": None, "orderCancelUserErrors": [{"field": ["orderId"], "message": message, "code": code}]}

    order = find_order(shop, told["orderId"])
    if order is None:
        return refused("Order does not exist", "NOT_FOUND")
    if order["cancelled_at"]:
        return refused("Cannot cancel an order that has already been canceled", "INVALID")
    if order["fulfillments"]:
        return refused("Cannot cancel an order that has fulfillments", "INVALID")
    if any(held["status"] == "open" for held in order["_returns"]):
        return refused("Cannot cancel an order that has open returns", "INVALID")
    back = bool((told.get("refundMethod") or {}).get("originalPaymentMethodsRefund"))
    trade.call_off(shop, order["id"], reason=str(told["reason"]).lower(), refund=back, restock=bool(told["restock"]))
    number = shop.state.next_id("jobs")
    shop.state.put("jobs", number, {"id": number})
    return {"job": {"id": gid("Job", number), "done": False}, "orderCancelUserErrors": []}


def job(shop: Shop, id: str) -> Doc | None:
    """``job``: over by the time somebody asks."""
    found = shop.state.get("jobs", number_of(id, "Job") or 0)
    return {"id": id, "done": True} if found else None


def order_update(shop: Shop, told: Doc) -> Doc:
    """``orderUpdate``: what it names is replaced."""
    allowed(shop, "write_orders", "orderUpdate")
    order = find_order(shop, told["id"])
    if order is None:
        return payload([(["id"], "Order does not exist")], order=None)
    changes: Doc = {name: told[name] for name in ("note", "email", "phone") if name in told}
    if told.get("tags") is not None:
        changes["tags"] = ", ".join(told["tags"])
    wanted = told.get("shippingAddress")
    if wanted is not None:
        needed = {"address1": "Address 1", "city": "City", "countryCode": "Country"}
        missing = [(name, said) for name, said in needed.items() if not wanted.get(name)]
        if missing:
            return payload(
                [(["shippingAddress", name], f"{said} can't be blank") for name, said in missing], order=None
            )
        changes["shipping_address"] = _address(order["shipping_address"] or {}, wanted)
    order = trade.edit_order(shop, order["id"], changes)
    return payload([], order=nodes.order(shop, order))


def _address(held: Doc, wanted: Doc) -> Doc:
    first, last = wanted.get("firstName") or "", wanted.get("lastName") or ""
    return {
        **held, "first_name": first, "last_name": last, "name": f"{first} {last}".strip(),
        "company": wanted.get("company"), "address1": wanted.get("address1"), "address2": wanted.get("address2"),
        "city": wanted.get("city"), "province": wanted.get("provinceCode"), "province_code": wanted.get("provinceCode"),
        "zip": wanted.get("zip"), "country": wanted.get("countryCode"), "country_code": wanted.get("countryCode"),
        "phone": wanted.get("phone"),
    }  # fmt: skip


def change_tags(shop: Shop, name: str, id: str, tags: list[str]) -> Doc:
    """``tagsAdd`` and ``tagsRemove``: a tag counts once, whatever its case."""
    allowed(shop, "write_orders", name)
    order = find_order(shop, id)
    if order is None:
        return payload([(["id"], "Resource does not exist")], node=None)
    held = [tag.strip() for tag in order["tags"].split(",") if tag.strip()]
    folded = {tag.casefold() for tag in tags}
    kept = [tag for tag in held if tag.casefold() not in folded] if name == "tagsRemove" else [
        *held, *(tag for tag in tags if tag.casefold() not in {one.casefold() for one in held})]  # fmt: skip
    if kept != held:
        trade.edit_order(shop, order["id"], {"tags": ", ".join(kept)})
    return payload([], node={"__typename": "Order", "id": id})


# --- discounts and draft orders -------------------------------------------------------------------------------------


def discount_create(shop: Shop, told: Doc) -> Doc:
    """``discountCodeBasicCreate``: a code exists once; a percentage is a share of one (platforms.md A5.7)."""
    allowed(shop, "write_discounts", "discountCodeBasicCreate")

    def refused(field: str, message: str, code: str) -> Doc:
        error = {"field": ["basicCodeDiscount", field], "message": message, "code": code}
        return {"codeDiscountNode": None, "userErrors": [error]}

    code = str(told.get("code") or "")
    share = ((told.get("customerGets") or {}).get("value") or {}).get("percentage")
    if not code:
        return refused("code", "Code can't be blank", "BLANK")
    if discount_of(shop, code) is not None:
        return refused("code", "Code must be unique. Please try a different code.", "TAKEN")
    if share is not None and not 0 < share <= 1:
        return refused("customerGets", "Value must be between 0.0 and 1.0", "VALUE_OUTSIDE_RANGE")
    number = shop.state.next_id("discounts")
    held = shop.state.put("discounts", number, {"id": number, "code": code, "told": told, "active": True})
    return {"codeDiscountNode": discount_node(held), "userErrors": []}


def discount_of(shop: Shop, code: str) -> Doc | None:
    return next((held for held in shop.state.all("discounts") if held["code"].casefold() == code.casefold()), None)


def discount_node(held: Doc) -> Doc:
    return {"id": gid("DiscountCodeNode", held["id"])}


def discount_by_code(shop: Shop, code: str) -> Doc | None:
    allowed(shop, "read_discounts", "codeDiscountNodeByCode")
    held = discount_of(shop, code)
    return discount_node(held) if held else None


def discount_end(shop: Shop, id: str) -> Doc:
    """``discountCodeDeactivate``."""
    allowed(shop, "write_discounts", "discountCodeDeactivate")
    number = number_of(id, "DiscountCodeNode") or 0
    held = shop.state.get("discounts", number)
    if held is None:
        error = {"field": ["id"], "message": "Code discount does not exist.", "code": "INVALID"}
        return {"codeDiscountNode": None, "userErrors": [error]}
    shop.state.put("discounts", number, {**held, "active": False})
    return {"codeDiscountNode": discount_node(held), "userErrors": []}


def draft_create(shop: Shop, told: Doc) -> Doc:
    """``draftOrderCreate``: no order yet, no stock moved, a link to pay."""
    allowed(shop, "write_draft_orders", "draftOrderCreate")
    lines = 0
    errors: list[tuple[list[str] | None, str]] = []
    for index, line in enumerate(told.get("lineItems") or ()):
        if line.get("variantId"):
            try:
                _, variant = trade.find_variant(shop, number_of(line["variantId"], "ProductVariant") or 0)
            except LookupError:
                errors.append((["lineItems", str(index), "variantId"], "Product variant does not exist"))
                continue
            lines += minor(variant["price"]) * line["quantity"]
        else:
            lines += (
                minor(str((line.get("originalUnitPriceWithCurrency") or {}).get("amount") or "0")) * line["quantity"]
            )
    if not told.get("lineItems"):
        errors.append((["lineItems"], "Add at least 1 product"))
    if errors:
        return payload(errors, draftOrder=None)
    share = float((told.get("appliedDiscount") or {}).get("value") or 0)
    number = shop.state.next_id("draft_orders")
    made = shop.state.put(
        "draft_orders",
        number,
        {
            "id": number,
            "name": f"#D{number}",
            "tags": ", ".join(told.get("tags") or ()),
            "email": told.get("email"),
            "status": "OPEN",
            "total": amount(round(lines * (1 - share / 100))),
            "invoice_sent_at": None,
            "created_at": shop.stamp(),
            "updated_at": shop.stamp(),
            "told": told,
        },
    )
    return payload([], draftOrder=draft_node(shop, made))


def draft_node(shop: Shop, held: Doc) -> Doc:
    return {
        "id": gid("DraftOrder", held["id"]),
        "name": held["name"],
        "status": held["status"],
        "invoiceUrl": shop.page_of(INVOICE, held["id"]),
        "invoiceSentAt": held["invoice_sent_at"],
        "totalPriceSet": nodes.bag(held["total"]),
        "order": nodes.order(shop, shop.state.get("orders", held["order"]) or {}) if held.get("order") else None,
    }


def draft_order(shop: Shop, id: str) -> Doc | None:
    allowed(shop, "read_draft_orders", "draftOrder")
    held = shop.state.get("draft_orders", number_of(id, "DraftOrder") or 0)
    return draft_node(shop, held) if held else None


def draft_orders(shop: Shop, **arguments: Any) -> Doc:
    """``draftOrders``: the search knows ``tag:``."""
    allowed(shop, "read_draft_orders", "draftOrders")
    asked = str(arguments.pop("query", None) or "")
    tag = asked.partition("tag:")[2].strip().strip("'\"")
    held = [one for one in shop.state.all("draft_orders") if not tag or tag in one["tags"].split(", ")]
    return nodes.listing(held, lambda one: draft_node(shop, one), arguments, everything=False)


def draft_invoice(shop: Shop, id: str) -> Doc:
    """``draftOrderInvoiceSend``."""
    allowed(shop, "write_draft_orders", "draftOrderInvoiceSend")
    number = number_of(id, "DraftOrder") or 0
    held = shop.state.get("draft_orders", number)
    if held is None:
        return payload([(["id"], "Draft order does not exist")], draftOrder=None)
    if not held["email"]:
        return payload([(None, "To can't be blank")], draftOrder=None)
    held = shop.state.put(
        "draft_orders", number, {**held, "status": "INVOICE_SENT", "invoice_sent_at": iso(shop.now())}
    )
    return payload([], draftOrder=draft_node(shop, held))


def pay_node(shop: Shop, order: Doc) -> Doc:
    """``Order.paymentCollectionDetails``: an address while something is owed."""
    owed = minor(order["total_outstanding"]) > 0 and not order["cancelled_at"]
    return {"additionalPaymentCollectionUrl": shop.page_of(OWED, order["id"]) if owed else None}


def mutations(shop: Shop) -> Doc:
    """The mutations above, by their names."""
    return {
        "refundCreate": lambda **told: refund_create(shop, told["input"], told.get("_key")),
        "orderCancel": lambda **told: order_cancel(shop, **told),
        "orderUpdate": lambda **told: order_update(shop, told["input"]),
        "tagsAdd": lambda **told: change_tags(shop, "tagsAdd", told["id"], told["tags"]),
        "tagsRemove": lambda **told: change_tags(shop, "tagsRemove", told["id"], told["tags"]),
        "discountCodeBasicCreate": lambda **told: discount_create(shop, told["basicCodeDiscount"]),
        "discountCodeDeactivate": lambda **told: discount_end(shop, told["id"]),
        "draftOrderCreate": lambda **told: draft_create(shop, told["input"]),
        "draftOrderInvoiceSend": lambda **told: draft_invoice(shop, told["id"]),
    }


def questions(shop: Shop) -> Doc:
    """The queries above, by their names."""
    return {
        "job": lambda **asked: job(shop, asked["id"]),
        "codeDiscountNodeByCode": lambda **asked: discount_by_code(shop, asked["code"]),
        "draftOrder": lambda **asked: draft_order(shop, asked["id"]),
        "draftOrders": lambda **asked: draft_orders(shop, **asked),
    }


def order_fields(shop: Shop, order: Doc) -> Doc:
    """What of an order only those who act on it ask for."""
    return {
        "suggestedRefund": lambda **asked: suggested_refund(shop, order, **asked),
        "totalOutstandingSet": nodes.bag(order["total_outstanding"]),
        "paymentCollectionDetails": pay_node(shop, order),
    }
