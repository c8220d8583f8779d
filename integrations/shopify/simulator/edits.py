"""Order editing: a session that is begun, staged and committed; and drafts that become orders.

A session changes nothing before its commit, and is of one state of the order: once the order was edited, older sessions
are refused.
"""

from __future__ import annotations

from typing import Any

from integrations.shopify.simulator import doings, nodes, trade
from integrations.shopify.simulator.doings import allowed, find_order, payload
from integrations.shopify.simulator.shop import Shop, amount, gid, iso, minor, number_of
from integrations.shopify.simulator.state import Doc

SCOPE = "write_order_edits"


def refusals(order: Doc) -> list[str]:
    """Why an order cannot be edited, in Shopify's words."""
    if order["cancelled_at"]:
        return ["Canceled orders can't be edited"]
    if order.get("_locked"):
        return [str(order["_locked"])]
    if order["fulfillment_status"] == "fulfilled":
        return ["Fulfilled orders can't be edited"]
    return []


def begin(shop: Shop, id: str) -> Doc:
    """``orderEditBegin``."""
    allowed(shop, SCOPE, "orderEditBegin")
    order = find_order(shop, id)
    if order is None:
        return payload([(["id"], "The order does not exist.")], calculatedOrder=None)
    told = refusals(order)
    if told:
        return payload([(["id"], said) for said in told], calculatedOrder=None)
    number = shop.state.next_id("order_edits")
    lines = {str(line["id"]): line["current_quantity"] for line in order["line_items"]}
    made = {"id": number, "order": order["id"], "at": order["updated_at"], "lines": lines, "added": [], "done": False}
    return payload([], calculatedOrder=_node(shop, shop.state.put("edits", number, made)))


def set_quantity(shop: Shop, told: Doc) -> Doc:
    """``orderEditSetQuantity``."""
    allowed(shop, SCOPE, "orderEditSetQuantity")
    session, order = _session(shop, told["id"])
    if session is None or order is None:
        return payload([(["id"], "The calculated order does not exist.")], calculatedOrder=None)
    line = _line(order, number_of(told["lineItemId"], "CalculatedLineItem"))
    if line is None:
        return payload([(["lineItemId"], "The line item does not exist.")], calculatedOrder=None)
    sent = line["current_quantity"] - line["fulfillable_quantity"]
    if told["quantity"] < sent:
        return payload([(["quantity"], "Quantity can't be less than what was fulfilled.")], calculatedOrder=None)
    session["lines"][str(line["id"])] = told["quantity"]
    return payload([], calculatedOrder=_node(shop, shop.state.put("edits", session["id"], session)))


def add_variant(shop: Shop, told: Doc) -> Doc:
    """``orderEditAddVariant``."""
    allowed(shop, SCOPE, "orderEditAddVariant")
    session, order = _session(shop, told["id"])
    if session is None or order is None:
        return payload([(["id"], "The calculated order does not exist.")], calculatedOrder=None)
    variant = number_of(told["variantId"], "ProductVariant") or 0
    try:
        trade.find_variant(shop, variant)
    except LookupError:
        return payload([(["variantId"], "The variant does not exist.")], calculatedOrder=None)
    if told["quantity"] < 1:
        return payload([(["quantity"], "must be greater than 0")], calculatedOrder=None)
    session["added"].append([variant, told["quantity"]])
    return payload([], calculatedOrder=_node(shop, shop.state.put("edits", session["id"], session)))


def commit(shop: Shop, told: Doc) -> Doc:
    """``orderEditCommit``: the order is what was staged."""
    allowed(shop, SCOPE, "orderEditCommit")
    session, order = _session(shop, told["id"])
    if session is None or order is None:
        return payload([(["id"], "The calculated order does not exist.")], order=None)
    if session["done"] or session["at"] != order["updated_at"]:
        return payload([(["id"], "The order was edited meanwhile.")], order=None)
    refused = refusals(order)
    if refused:
        return payload([(["id"], said) for said in refused], order=None)
    shop.state.put("edits", session["id"], {**session, "done": True})
    changed = trade.edit_goods(
        shop, order["id"], {int(id): count for id, count in session["lines"].items()},
        [(variant, count) for variant, count in session["added"]], note=told.get("staffNote"),
    )  # fmt: skip
    return payload([], order=nodes.order(shop, changed))


def invoice(shop: Shop, id: str) -> Doc:
    """``orderInvoiceSend``: counted, since the demo shop has no post office."""
    allowed(shop, "write_orders", "orderInvoiceSend")
    order = find_order(shop, id)
    if order is None or not order["email"]:
        return payload([(["id"], "Order does not exist" if order is None else "To can't be blank")], order=None)
    order["_invoices"] = order.get("_invoices", 0) + 1
    shop.state.put("orders", order["id"], order)
    return payload([], order=nodes.order(shop, order))


def draft_complete(shop: Shop, id: str) -> Doc:
    """``draftOrderComplete``: an order of the draft's goods, at its price."""
    allowed(shop, "write_draft_orders", "draftOrderComplete")
    number = number_of(id, "DraftOrder") or 0
    held = shop.state.get("draft_orders", number)
    if held is None:
        return payload([(["id"], "Draft order does not exist")], draftOrder=None)
    if held["status"] == "COMPLETED":
        return payload([(["id"], "This order has been paid")], draftOrder=None)
    return payload([], draftOrder=doings.draft_node(shop, pay_draft(shop, number)))


def pay_draft(shop: Shop, number: int) -> Doc:
    """A draft becomes an order that is paid; one that did so already stays as it is."""
    held: Doc = shop.state.get("draft_orders", number) or {}
    if held["status"] == "COMPLETED":
        return held
    told = held["told"]
    lines = [(number_of(line["variantId"], "ProductVariant") or 0, int(line["quantity"]))
             for line in told["lineItems"] if line.get("variantId")]  # fmt: skip
    share = round(float((told.get("appliedDiscount") or {}).get("value") or 0))
    who = number_of(str((told.get("purchasingEntity") or {}).get("customerId") or ""), "Customer")
    order = trade.place_order(
        shop, lines, customer=shop.state.get("customers", who) if who else None, email=told.get("email"),
        discount=share, note=told.get("note"),
    )  # fmt: skip
    return shop.state.put(
        "draft_orders", number,
        {**held, "status": "COMPLETED", "order": order["id"], "updated_at": iso(shop.now())},
    )  # fmt: skip


def _session(shop: Shop, id: str) -> tuple[Doc | None, Doc | None]:
    held = shop.state.get("edits", number_of(id, "CalculatedOrder") or 0)
    return held, shop.state.get("orders", held["order"]) if held else None


def _line(order: Doc, number: int | None) -> Doc | None:
    return next((line for line in order["line_items"] if line["id"] == number), None)


def _node(shop: Shop, session: Doc) -> Doc:
    """The order as it would be."""
    order = shop.state.get("orders", session["order"]) or {}
    total = minor(order["current_shipping_price_set"]["shop_money"]["amount"])
    lines = []
    for line in order["line_items"]:
        count = session["lines"][str(line["id"])]
        total += trade.each(line) * count
        lines.append({"id": gid("CalculatedLineItem", line["id"]), "quantity": count, "editableQuantity": count})
    for variant_id, count in session["added"]:
        _product, variant = trade.find_variant(shop, variant_id)
        total += minor(variant["price"]) * count
    return {
        "id": gid("CalculatedOrder", session["id"]),
        "totalPriceSet": nodes.bag(amount(total), order),
        "lineItems": nodes.positions(lines, lambda held: held),
    }


def mutations(shop: Shop) -> Doc:
    """The mutations above, by their names."""
    return {
        "orderEditBegin": lambda **told: begin(shop, told["id"]),
        "orderEditSetQuantity": lambda **told: set_quantity(shop, told),
        "orderEditAddVariant": lambda **told: add_variant(shop, told),
        "orderEditCommit": lambda **told: commit(shop, told),
        "orderInvoiceSend": lambda **told: invoice(shop, told["id"]),
        "draftOrderComplete": lambda **told: draft_complete(shop, told["id"]),
    }


def order_fields(order: Doc) -> dict[str, Any]:
    """What of an order only its editing asks for."""
    return {"merchantEditable": not refusals(order), "merchantEditableErrors": refusals(order)}
