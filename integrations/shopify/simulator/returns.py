"""Returns as Shopify keeps them: what may go back, reverse deliveries, processing with money, store credit.

Documents of a return lie in its order's ``_returns``, in the shape of webhook payloads; what only GraphQL shows is
underscored. Amounts here are minor units of the currency that the customer was charged in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from graphql import GraphQLError

from integrations.shopify.simulator import doings, nodes, risk, trade
from integrations.shopify.simulator.shop import Shop, amount, gid, minor, number_of
from integrations.shopify.simulator.state import Doc
from plugin.kernel.money import parse

REFUSALS = "return_refusals"
"""Setting: codes with which the next return mutations are refused (INVALID_STATE, ALREADY_EXISTS …)."""
REASONS = (
    "arrived-late", "changed-my-mind", "color", "comfort", "damaged-or-defective", "not-as-described", "other",
    "quality", "size-too-large", "size-too-small", "wrong-item",
)  # fmt: skip
_COUNTED = ("requested", "open", "closed")
NOTE_LIMITS = {"customer_note": 300, "return_reason_note": 255}


class Refused(Exception):
    """A user error of a return mutation."""

    def __init__(self, code: str, message: str, *field: str) -> None:
        super().__init__(message)
        self.code, self.message, self.field = code, message, list(field) or None


def answer(shop: Shop, name: str, made: str, work: Callable[[], Any]) -> Doc:
    """The payload of a return mutation: what it made under ``made``, or user errors with their codes."""
    doings.allowed(shop, "write_returns", name)
    waiting = list(shop.state.setting(REFUSALS, []))
    try:
        if waiting:
            shop.state.set(REFUSALS, waiting[1:])
            raise Refused(waiting[0], f"Refused: {waiting[0].lower()}")
        return {made: work(), "userErrors": []}
    except Refused as refused:
        error = {"field": refused.field, "message": refused.message, "code": refused.code}
        return {made: None, "userErrors": [error]}


# --- what may go back -----------------------------------------------------------------------------------------------


def lines_of(held: Doc) -> list[Doc]:
    found: list[Doc] = held["return_line_items"]
    return found


def processed(line: Doc) -> int:
    return int(line.get("_processed", 0))


def left_to_return(order: Doc) -> list[tuple[Doc, Doc, int]]:
    """(parcel, its line, units that may still be returned): sent, in no other return, not refunded before."""
    taken: dict[int, int] = {}
    pending: dict[int, int] = {}
    for held in order["_returns"]:
        for line in lines_of(held) if held["status"] in _COUNTED else ():
            sent = line["fulfillment_line_item"]
            taken[sent["id"]] = taken.get(sent["id"], 0) + line["quantity"]
            if held["status"] != "closed":
                bought = sent["line_item"]["id"]
                pending[bought] = pending.get(bought, 0) + line["quantity"] - processed(line)
    rest = {line["id"]: line["current_quantity"] - line["fulfillable_quantity"] - pending.get(line["id"], 0)
            for line in order["line_items"]}  # fmt: skip
    found = []
    for parcel in order["fulfillments"]:
        for sent in parcel["line_items"]:
            units = min(sent["quantity"] - taken.get(sent["_fulfillment_line_id"], 0), rest[sent["id"]])
            if units > 0:
                rest[sent["id"]] -= units
                found.append((parcel, sent, units))
    return found


def returnable_fulfillments(shop: Shop, **asked: Any) -> Doc:
    """``returnableFulfillments``: parcels of which something may go back."""
    doings.allowed(shop, "read_returns", "returnableFulfillments")
    order = doings.find_order(shop, asked.pop("orderId"))
    parcels: dict[int, list[tuple[Doc, int]]] = {}
    for parcel, sent, units in left_to_return(order) if order else ():
        parcels.setdefault(parcel["id"], []).append((sent, units))
    rows = [{"id": number, "units": units} for number, units in parcels.items()]
    page = {name: asked.get(name) for name in ("first", "after", "last", "before")}
    return nodes.positions(
        rows,
        lambda row: {
            "id": gid("ReturnableFulfillment", row["id"]),
            "returnableFulfillmentLineItems": nodes.positions(
                [{"sent": sent, "units": units} for sent, units in row["units"]],
                lambda one: {
                    "quantity": one["units"],
                    "fulfillmentLineItem": nodes.guarded(
                        shop, "read_orders", "fulfillmentLineItem", lambda: _sent_node(one["sent"])
                    ),
                },
            ),
        },
    )(**page)


def _sent_node(sent: Doc) -> Doc:
    return {
        "id": gid("FulfillmentLineItem", sent["_fulfillment_line_id"]),
        "lineItem": {"id": sent["admin_graphql_api_id"]},
    }


def reasons(shop: Shop, **asked: Any) -> Doc:
    """``returnReasonDefinitions``."""
    doings.allowed(shop, "read_returns", "returnReasonDefinitions")
    rows = [{"id": gid("ReturnReasonDefinition", number), "handle": handle, "deleted": False}
            for number, handle in enumerate(REASONS, 1)]  # fmt: skip
    page = {name: asked.get(name) for name in ("first", "after", "last", "before")}
    return nodes.positions(rows, lambda row: row)(**page)


# --- a return -------------------------------------------------------------------------------------------------------


def find(shop: Shop, id: str) -> tuple[Doc, Doc]:
    """The order and its return. Raises Refused."""
    wanted = number_of(id, "Return")
    for order in nodes.visible_orders(shop):
        for held in order["_returns"]:
            if held["id"] == wanted:
                return order, held
    raise Refused("NOT_FOUND", "Return does not exist", "id")


def open_return(shop: Shop, told: Doc, *, status: str) -> Doc:
    """``returnRequest`` and ``returnCreate``. Raises Refused."""
    order = doings.find_order(shop, told["orderId"])
    if order is None:
        raise Refused("NOT_FOUND", "Order does not exist", "orderId")
    left = {sent["_fulfillment_line_id"]: (sent, units) for _, sent, units in left_to_return(order)}
    return_id = shop.state.next_id("returns")
    lines = []
    for index, entry in enumerate(told["returnLineItems"]):
        at = ("returnLineItems", str(index))
        number = number_of(entry["fulfillmentLineItemId"], "FulfillmentLineItem")
        sent, units = left.get(number or 0, ({}, 0))
        if not sent:
            raise Refused("NOT_FOUND", "Fulfillment line item is not returnable", *at, "fulfillmentLineItemId")
        if not 0 < entry["quantity"] <= units:
            raise Refused("INVALID", "Quantity exceeds the returnable quantity", *at, "quantity")
        left[number or 0] = sent, units - entry["quantity"]
        notes = {
            "customer_note": entry.get("customerNote") or "", "return_reason_note": entry.get("returnReasonNote") or "",
        }  # fmt: skip
        for name, limit in NOTE_LIMITS.items():
            if len(notes[name]) > limit:
                raise Refused("TOO_LONG", f"{name} is too long (maximum is {limit} characters)", *at)
        lines.append(_return_line(shop, sent, entry["quantity"], notes, entry))
    if not lines:
        raise Refused("BLANK", "Return line items can't be blank", "returnLineItems")
    shipping = told.get("returnShippingFee")
    made: Doc = {
        "id": return_id,
        "admin_graphql_api_id": gid("Return", return_id),
        "name": f"{order['name']}-R{len(order['_returns']) + 1}",
        "order": {"id": order["id"], "admin_graphql_api_id": order["admin_graphql_api_id"]},
        "status": status,
        "total_return_line_items": sum(line["quantity"] for line in lines),
        "return_line_items": lines,
        "return_shipping_fees": [],
        "total_exchange_line_items": 0,
        "exchange_line_items": [_exchange_line(shop, entry) for entry in told.get("exchangeLineItems") or ()],
        "_shipping_fee": _input(order, shipping["amount"]) if shipping else 0,
        "_created_at": shop.stamp(),
        "_approved_at": None,
        "_closed_at": None,
        "_refunds": [],
    }
    made["total_exchange_line_items"] = sum(line["quantity"] for line in made["exchange_line_items"])
    if status == "open":
        _expect(shop, made)
    order["_returns"].append(made)
    event = trade.save(shop, order)
    shop.emit("returns/request" if status == "requested" else "returns/approve", made, event)
    shop.emit("orders/updated", order, event)
    return made


def _return_line(shop: Shop, sent: Doc, quantity: int, notes: Mapping[str, str], entry: Doc) -> Doc:
    number = shop.state.next_id("return_lines")
    return {
        "id": number,
        "admin_graphql_api_id": gid("ReturnLineItem", number),
        "fulfillment_line_item": {
            "id": sent["_fulfillment_line_id"],
            "admin_graphql_api_id": gid("FulfillmentLineItem", sent["_fulfillment_line_id"]),
            "line_item": {"id": sent["id"], "admin_graphql_api_id": sent["admin_graphql_api_id"]},
        },
        "quantity": quantity,
        "return_reason": "other",
        **notes,
        "_reason": entry.get("returnReasonDefinitionId"),
        "_fee": str((entry.get("restockingFee") or {}).get("percentage") or 0),
    }


def _exchange_line(shop: Shop, entry: Doc) -> Doc:
    try:
        product, variant = trade.find_variant(shop, number_of(entry.get("variantId") or "", "ProductVariant") or 0)
    except LookupError as error:
        raise Refused("NOT_FOUND", "Product variant does not exist", "exchangeLineItems") from error
    if not entry["quantity"] > 0:
        raise Refused("GREATER_THAN", "Quantity must be greater than 0", "exchangeLineItems")
    number = shop.state.next_id("exchange_lines")
    return {"id": number, "admin_graphql_api_id": gid("ExchangeLineItem", number), "quantity": entry["quantity"],
            "_variant": variant["id"], "_product": product["id"], "_processed": 0}  # fmt: skip


def _expect(shop: Shop, held: Doc) -> None:
    """An open return has a reverse fulfilment order, which says what the warehouse waits for."""
    number = shop.state.next_id("reverse_orders")
    lines = [{"id": shop.state.next_id("reverse_lines"), "line": line["id"], "quantity": line["quantity"],
              "dispositions": []} for line in lines_of(held)]  # fmt: skip
    held["_parcels"] = [{"id": number, "lines": lines, "deliveries": []}]


def _input(order: Doc, money: Doc) -> int:
    """A MoneyInput in the customer's currency. Raises Refused for another one, or for what is no such amount."""
    if money["currencyCode"] != order["presentment_currency"]:
        raise Refused("INVALID", "Currency must be the presentment currency of the order")
    value, exact = parse(str(money["amount"]), money["currencyCode"])
    if not exact or value.amount < 0:
        raise Refused("INVALID", "Amount is not valid for the currency")
    return value.amount


def step(shop: Shop, id: str, verb: str, told: Doc | None = None) -> Doc:
    """Approve, decline, cancel, close or reopen. Raises Refused from the wrong state."""
    order, held = find(shop, id)
    if verb == "cancel" and any(processed(line) for line in lines_of(held)):
        raise Refused("INVALID_STATE", "Return has been worked on and cannot be canceled", "id")
    if told and len(told.get("declineNote") or "") > 500:
        raise Refused("TOO_LONG", "Decline note is too long (maximum is 500 characters)", "declineNote")
    try:
        moved = trade.move_return(shop, order["id"], held["id"], verb)
    except ValueError as error:
        raise Refused("INVALID_STATE", str(error), "id") from error
    if verb == "approve":
        _expect(shop, moved)
        trade.save(shop, order)
    return moved


def remove(shop: Shop, id: str, line_id: int, quantity: int) -> Doc:
    """``removeFromReturn``, as a person in the admin uses it: ``returns/update``. Raises Refused."""
    order, held = find(shop, id)
    line = next((line for line in lines_of(held) if line["id"] == line_id), None)
    if line is None or not 0 < quantity <= line["quantity"] - processed(line):
        raise Refused("INVALID", "Quantity exceeds what can be removed", "returnLineItems")
    line["quantity"] -= quantity
    held["return_line_items"] = [line for line in lines_of(held) if line["quantity"]]
    held["total_return_line_items"] -= quantity
    event = trade.save(shop, order)
    told = {"id": held["id"], "admin_graphql_api_id": held["admin_graphql_api_id"],
            "return_line_items": {"removals": [{"id": line_id, "delta": quantity}]}, "restocking_fees": {},
            "return_shipping_fees": {}, "exchange_line_items": {}}  # fmt: skip
    shop.emit("returns/update", told, event)
    shop.emit("orders/updated", order, event)
    return held


# --- the way back ---------------------------------------------------------------------------------------------------


def _reverse_order(shop: Shop, id: str) -> tuple[Doc, Doc, Doc]:
    wanted = number_of(id, "ReverseFulfillmentOrder")
    for order in nodes.visible_orders(shop):
        for held in order["_returns"]:
            for parcel in held.get("_parcels") or ():
                if parcel["id"] == wanted:
                    return order, held, parcel
    raise Refused("NOT_FOUND", "Reverse fulfillment order does not exist", "reverseFulfillmentOrderId")


def label(shop: Shop, told: Doc) -> Doc:
    """``reverseDeliveryCreateWithShipping``. Raises Refused."""
    order, held, parcel = _reverse_order(shop, told["reverseFulfillmentOrderId"])
    if held["status"] != "open":
        raise Refused("INVALID_STATE", "Return is not open", "reverseFulfillmentOrderId")
    known = {line["id"]: line["quantity"] for line in parcel["lines"]}
    for entry in told["reverseDeliveryLineItems"]:
        number = number_of(entry["reverseFulfillmentOrderLineItemId"], "ReverseFulfillmentOrderLineItem")
        if not 0 < entry["quantity"] <= known.get(number or 0, 0):
            raise Refused("INVALID", "Quantity is not valid", "reverseDeliveryLineItems")
    made = {"id": shop.state.next_id("reverse_deliveries"), "tracking": {}, "label": None}
    parcel["deliveries"].append(made)
    return _labelled(shop, order, held, made, told)


def relabel(shop: Shop, told: Doc) -> Doc:
    """``reverseDeliveryShippingUpdate``. Raises Refused."""
    wanted = number_of(told["reverseDeliveryId"], "ReverseDelivery")
    for order in nodes.visible_orders(shop):
        for held in order["_returns"]:
            for parcel in held.get("_parcels") or ():
                for made in parcel["deliveries"]:
                    if made["id"] == wanted:
                        return _labelled(shop, order, held, made, told)
    raise Refused("NOT_FOUND", "Reverse delivery does not exist", "reverseDeliveryId")


def _labelled(shop: Shop, order: Doc, held: Doc, made: Doc, told: Doc) -> Doc:
    tracking = told.get("trackingInput") or {}
    made["tracking"] = {name: tracking.get(name) for name in ("number", "url")}
    made["label"] = (told.get("labelInput") or {}).get("fileUrl") or made["label"]
    event = trade.save(shop, order)
    told_of = {"id": made["id"], "admin_graphql_api_id": gid("ReverseDelivery", made["id"]),
               "return": {"id": held["id"], "admin_graphql_api_id": held["admin_graphql_api_id"]}}  # fmt: skip
    shop.emit("reverse_deliveries/attach_deliverable", told_of, event)
    return {"id": gid("ReverseDelivery", made["id"])}


def dispose(shop: Shop, wanted: list[Doc]) -> list[Doc]:
    """``reverseFulfillmentOrderDispose``: all of it or nothing. Raises Refused."""
    plan = [(*_reverse_line(shop, entry), entry) for entry in wanted]
    rest: dict[int, int] = {}
    for _, held, line, entry in plan:
        if held["status"] not in ("open", "closed"):
            raise Refused("INVALID_STATE", "Return is not open", "dispositionInputs")
        if entry["dispositionType"] == "RESTOCKED" and not entry.get("locationId"):
            raise Refused("BLANK", "Location can't be blank", "dispositionInputs", "locationId")
        left = rest.setdefault(line["id"], line["quantity"] - sum(one["quantity"] for one in line["dispositions"]))
        if not 0 < entry["quantity"] <= left:
            raise Refused("INVALID", "Quantity exceeds what is left to dispose", "dispositionInputs", "quantity")
        rest[line["id"]] -= entry["quantity"]
    made = []
    for order, held, line, entry in plan:
        line["dispositions"].append({"type": entry["dispositionType"], "quantity": entry["quantity"]})
        event = trade.save(shop, order)
        if entry["dispositionType"] == "RESTOCKED":
            bought = next(one for one in lines_of(held) if one["id"] == line["line"])["fulfillment_line_item"]
            of = next(one for one in order["line_items"] if one["id"] == bought["line_item"]["id"])
            if of["variant_id"]:
                trade.change_stock(shop, of["variant_id"], entry["quantity"])
        told = {"id": line["id"], "quantity": entry["quantity"], "disposition_type": entry["dispositionType"].lower()}
        shop.emit("reverse_fulfillment_orders/dispose", told, event)
        made.append({"id": gid("ReverseFulfillmentOrderLineItem", line["id"])})
    return made


def _reverse_line(shop: Shop, entry: Doc) -> tuple[Doc, Doc, Doc]:
    wanted = number_of(entry["reverseFulfillmentOrderLineItemId"], "ReverseFulfillmentOrderLineItem")
    for order in nodes.visible_orders(shop):
        for held in order["_returns"]:
            for parcel in held.get("_parcels") or ():
                for line in parcel["lines"]:
                    if line["id"] == wanted:
                        return order, held, line
    raise Refused("NOT_FOUND", "Reverse fulfillment order line item does not exist", "dispositionInputs")


# --- money ----------------------------------------------------------------------------------------------------------


def _bought(order: Doc, line: Doc) -> Doc:
    wanted = line["fulfillment_line_item"]["line_item"]["id"]
    found: Doc = next(one for one in order["line_items"] if one["id"] == wanted)
    return found


def _sum(shop: Shop, order: Doc, held: Doc, told: Doc) -> tuple[int, int, int, int]:
    """(goods, delivery, fees, exchange) of what is to be processed. Raises Refused."""
    goods = fees = 0
    ahead: dict[int, int] = {}
    by_id = {line["id"]: line for line in lines_of(held)}
    for entry in told.get("returnLineItems") or ():
        line = by_id.get(number_of(entry["id"], "ReturnLineItem") or 0)
        if line is None:
            raise Refused("NOT_FOUND", "Return line item does not exist", "returnLineItems")
        if not 0 < entry["quantity"] <= line["quantity"] - processed(line):
            raise Refused("INVALID", "Quantity exceeds the processable quantity", "returnLineItems", "quantity")
        of = _bought(order, line)
        before = ahead.get(of["id"], 0)
        after = ahead[of["id"]] = before + entry["quantity"]
        value = trade.charged_worth(order, of, after) - trade.charged_worth(order, of, before)
        goods += value
        fees += int((Decimal(value) * Decimal(line.get("_fee") or 0) / 100).to_integral_value())
    if goods and not held.get("_fee_taken"):
        fees += int(held.get("_shipping_fee") or 0)
    shipping = told.get("refundShipping") or {}
    delivery = 0
    if shipping.get("shippingRefundAmount"):
        delivery = _input(order, shipping["shippingRefundAmount"])
    elif shipping.get("fullRefund"):
        delivery = trade.delivery_left(order)
    if delivery > trade.delivery_left(order):
        raise Refused("INVALID", "Shipping refund exceeds what is left", "refundShipping")
    exchange = 0
    lines = {line["id"]: line for line in held["exchange_line_items"]}
    for entry in told.get("exchangeLineItems") or ():
        new = lines.get(number_of(entry["id"], "ExchangeLineItem") or 0)
        if new is None or not 0 < entry["quantity"] <= new["quantity"] - new["_processed"]:
            raise Refused("INVALID", "Quantity exceeds the processable quantity", "exchangeLineItems")
        _, variant = trade.find_variant(shop, new["_variant"])
        exchange += trade.charged(order, minor(variant["price"]) * entry["quantity"])
    return goods, delivery, fees, exchange


def process(shop: Shop, told: Doc) -> Doc:
    """``returnProcess``: units count as returned, money moves as it is told to, exchanges become order lines.

    Raises Refused, then nothing has happened.
    """
    order, held = find(shop, told["returnId"])
    if held["status"] != "open":
        raise Refused("INVALID_STATE", f"Return is {held['status']}", "returnId")
    goods, delivery, fees, exchange = _sum(shop, order, held, told)
    issue = (told.get("financialTransfer") or {}).get("issueRefund") or {}
    payment = gid("OrderTransaction", order["id"] * 10 + 1)
    cash = 0
    for entry in issue.get("orderTransactions") or ():
        if entry["parentId"] != payment:
            raise Refused("NOT_FOUND", "Parent transaction does not exist", "financialTransfer")
        cash += _input(order, entry["transactionAmount"])
    credit = sum(_input(order, entry["storeCreditRefund"]["amount"]) for entry in issue.get("refundMethods") or ())
    if cash + credit > trade.charged_left(order) and not issue.get("allowOverRefunding"):
        raise Refused("INVALID", "Refund amount exceeds what was paid for the order", "financialTransfer")
    if credit and not order["customer"]:
        raise Refused("INVALID", "Store credit needs a customer", "financialTransfer")
    disposed = [one for entry in told.get("returnLineItems") or () for one in entry.get("dispositions") or ()]
    if disposed:
        dispose(shop, disposed)
    units: dict[int, tuple[int, str]] = {}
    by_id = {line["admin_graphql_api_id"]: line for line in lines_of(held)}
    for entry in told.get("returnLineItems") or ():
        line = by_id[entry["id"]]
        line["_processed"] = processed(line) + entry["quantity"]
        bought = _bought(order, line)["id"]
        units[bought] = units.get(bought, (0, ""))[0] + entry["quantity"], "NO_RESTOCK"
    if goods and fees:
        held["_fee_taken"] = True
    _send_instead(shop, order, held, told)
    if units or cash or credit or delivery:
        _pay(shop, order, held, units=units, cash=cash, credit=credit, delivery=delivery, note=told.get("note"))
    owed = exchange + fees - goods - delivery + cash + credit
    order["total_outstanding"] = amount(max(0, trade.agorot(order, owed)) if exchange else 0)
    event = trade.save(shop, order)
    shop.emit("returns/process", _processed_body(held, told), event)
    shop.emit("orders/updated", order, event)
    return held


def _pay(
    shop: Shop, order: Doc, held: Doc, *, units: dict[int, tuple[int, str]], cash: int, credit: int, delivery: int,
    note: str | None,
) -> None:  # fmt: skip
    failing = shop.state.setting(doings.REFUND_FAULTS, 0) if cash else 0
    if failing:
        shop.state.set(doings.REFUND_FAULTS, failing - 1)
    made = trade.give_back(
        shop, order["id"], quantities=units, delivery=trade.agorot(order, delivery), money=trade.agorot(order, cash),
        charge=cash, credit=credit, delivery_charge=delivery, note=note, failed=bool(failing), returned=held,
        gateway=order["payment_gateway_names"][0],
    )  # fmt: skip
    held.setdefault("_refunds", []).append(made["id"])
    if credit:
        add_credit(shop, order["customer"]["id"], credit, order["presentment_currency"], of=made["id"], order=order)


def _send_instead(shop: Shop, order: Doc, held: Doc, told: Doc) -> None:
    """Exchange lines that were processed are lines of the order from now on, and wait to be sent."""
    wanted = {entry["id"]: entry["quantity"] for entry in told.get("exchangeLineItems") or ()}
    for new in held["exchange_line_items"]:
        quantity = wanted.get(new["admin_graphql_api_id"], 0)
        if not quantity:
            continue
        new["_processed"] += quantity
        product, variant = trade.find_variant(shop, new["_variant"])
        number = shop.state.next_id("lines")
        order["line_items"].append(
            {
                **order["line_items"][0],
                "id": number,
                "admin_graphql_api_id": gid("LineItem", number),
                "current_quantity": quantity,
                "fulfillable_quantity": quantity,
                "fulfillment_status": None,
                "name": product["title"],
                "price": variant["price"],
                "price_set": trade.money_set(variant["price"]),
                "product_id": product["id"],
                "quantity": quantity,
                "sku": variant["sku"],
                "title": product["title"],
                "variant_id": variant["id"],
                "variant_title": variant["title"] if variant["title"] != "Default Title" else None,
                "discount_allocations": [],
                "_exchange": held["id"],
            }
        )
        order["fulfillment_status"] = "partial"
        trade.change_stock(shop, variant["id"], -quantity)
        trade.retotal(order)


def _processed_body(held: Doc, told: Doc) -> Doc:
    """What ``returns/process`` tells: lines, and neither the order nor a status."""
    lines = [{"id": number_of(entry["id"], "ReturnLineItem"), "admin_graphql_api_id": entry["id"],
              "quantity": entry["quantity"]} for entry in told.get("returnLineItems") or ()]  # fmt: skip
    return {"id": held["id"], "admin_graphql_api_id": held["admin_graphql_api_id"], "return_line_items": lines}


def outcome(shop: Shop, order: Doc, held: Doc, **asked: Any) -> Doc:
    """``Return.suggestedFinancialOutcome``: what Shopify itself would give back, or ask for."""
    told = {"returnLineItems": asked["returnLineItems"], "exchangeLineItems": asked["exchangeLineItems"],
            "refundShipping": asked.get("refundShipping")}  # fmt: skip
    try:
        goods, delivery, fees, exchange = _sum(shop, order, held, told)
    except Refused as refused:
        raise GraphQLError(refused.message, extensions={"code": "BAD_USER_INPUT"}) from refused
    left = trade.charged_left(order)
    net = goods + delivery - fees - exchange
    gateway = order["payment_gateway_names"][0]

    def bag(value: int) -> Doc:
        return nodes.charged_bag(order, value)

    parent = {"id": gid("OrderTransaction", order["id"] * 10 + 1), "manualPaymentGateway": gateway in trade.MANUAL}
    transaction = {
        "gateway": gateway,
        "formattedGateway": gateway.replace("_", " ").capitalize(),
        "amountSet": bag(min(net, left)),
        "maximumRefundableSet": bag(left),
        "parentTransaction": nodes.guarded(shop, "read_orders", "parentTransaction", lambda: parent),
    }
    transfer: Doc = {"__typename": "InvoiceReturnOutcome", "amount": bag(-net)}
    if net >= 0:
        transfer = {"__typename": "RefundReturnOutcome", "amount": bag(min(net, left)),
                    "suggestedTransactions": [transaction] if left > 0 else []}  # fmt: skip
    return {
        "maximumRefundable": bag(left),
        "totalAdditionalFees": bag(fees),
        "shipping": {"maximumRefundableSet": bag(trade.delivery_left(order))},
        "financialTransfer": transfer,
    }


# --- store credit ---------------------------------------------------------------------------------------------------


def add_credit(shop: Shop, customer: int, value: int, currency: str, *, of: int | str, order: Doc | None = None) -> Doc:
    """Store credit of a customer grows, in its own currency's account; the ledger says so."""
    accounts = [one for one in shop.state.all("credit_accounts")
                if one["customer"] == customer and one["currency"] == currency]  # fmt: skip
    account: Doc = accounts[0] if accounts else {
        "id": shop.state.next_id("credit_accounts"), "customer": customer, "currency": currency, "transactions": [],
    }  # fmt: skip
    made = {"id": shop.state.next_id("credit_transactions"), "minor": value, "at": shop.stamp()}
    account["transactions"].append(made)
    shop.state.put("credit_accounts", account["id"], account)
    about = order or {"id": 0, "presentment_currency": currency}
    trade.write_ledger(shop, about, "store_credit", value, "store_credit", of)
    return made


def give_credit(shop: Shop, told: Doc) -> Doc:
    """``storeCreditAccountCredit``: no key, no note, and twice is twice."""
    doings.allowed(shop, "write_store_credit_account_transactions", "storeCreditAccountCredit")

    def refused(code: str, message: str) -> Doc:
        error = {"field": ["creditInput"], "message": message, "code": code}
        return {"storeCreditAccountTransaction": None, "userErrors": [error]}

    customer = shop.state.get("customers", number_of(told["id"], "Customer") or 0)
    if customer is None:
        return refused("OWNER_NOT_FOUND", "The owner does not exist")
    money = told["creditInput"]["creditAmount"]
    value, exact = parse(str(money["amount"]), money["currencyCode"])
    if not exact or value.amount <= 0:
        return refused("NEGATIVE_OR_ZERO_AMOUNT", "A positive amount must be used to credit")
    if value.amount > shop.state.setting("credit_limit", 10**9):
        return refused("CREDIT_LIMIT_EXCEEDED", "The credit limit of the account would be exceeded")
    made = add_credit(shop, customer["id"], value.amount, value.currency, of="credit")
    return {
        "storeCreditAccountTransaction": {"id": gid("StoreCreditAccountCreditTransaction", made["id"])},
        "userErrors": [],
    }


def credit_accounts(shop: Shop, customer: int) -> Callable[..., Any]:
    """``Customer.storeCreditAccounts``."""

    def account(held: Doc) -> Doc:
        money = {"currencyCode": held["currency"]}
        about = {"presentment_currency": held["currency"]}

        def transactions(**asked: Any) -> Doc:
            doings.allowed(shop, "read_store_credit_account_transactions", "transactions")
            asked.pop("sortKey", None)
            return nodes.positions(
                held["transactions"],
                lambda one: {
                    "__typename": "StoreCreditAccountCreditTransaction",
                    "id": gid("StoreCreditAccountCreditTransaction", one["id"]),
                    "createdAt": one["at"],
                    "amount": nodes.charged_money(about, one["minor"]),
                },
            )(**asked)

        return {"id": gid("StoreCreditAccount", held["id"]), "balance": money, "transactions": transactions}

    def resolve(**asked: Any) -> Doc:
        doings.allowed(shop, "read_store_credit_accounts", "storeCreditAccounts")
        own = [one for one in shop.state.all("credit_accounts") if one["customer"] == customer]
        return nodes.positions(own, account)(**asked)

    return resolve


# --- as GraphQL -----------------------------------------------------------------------------------------------------


def node(shop: Shop, order: Doc, held: Doc) -> Doc:
    """A return with everything that is asked of one."""
    parcels = held.get("_parcels") or []
    refunds = [one for one in order["refunds"] if one["id"] in (held.get("_refunds") or ())]
    return {
        **nodes.return_node(held),
        "order": nodes.guarded(shop, "read_orders", "order", lambda: nodes.order(shop, order)),
        "returnLineItems": nodes.positions(lines_of(held), lambda line: _line_node(shop, line)),
        "exchangeLineItems": nodes.positions(
            held["exchange_line_items"],
            lambda one: {
                "id": one["admin_graphql_api_id"],
                "quantity": one["quantity"],
                "processableQuantity": one["quantity"] - one["_processed"] if held["status"] == "open" else 0,
            },
        ),
        "refunds": lambda **asked: nodes.guarded(
            shop,
            "read_orders",
            "refunds",
            lambda: nodes.positions(refunds, lambda one: nodes.refund(one, order))(**asked),
        )(),
        "reverseFulfillmentOrders": nodes.positions(parcels, lambda one: _parcel_node(shop, held, one)),
        "suggestedFinancialOutcome": lambda **asked: outcome(shop, order, held, **asked),
    }


def _line_node(shop: Shop, line: Doc) -> Doc:
    sent = line["fulfillment_line_item"]
    return {
        "__typename": "ReturnLineItem",
        "id": line["admin_graphql_api_id"],
        "quantity": line["quantity"],
        "processableQuantity": line["quantity"] - processed(line),
        "processedQuantity": processed(line),
        "refundableQuantity": line["quantity"] - processed(line),
        "customerNote": line["customer_note"] or None,
        "returnReasonNote": line["return_reason_note"],
        "fulfillmentLineItem": nodes.guarded(
            shop, "read_orders", "fulfillmentLineItem",
            lambda: {"id": sent["admin_graphql_api_id"], "lineItem": {"id": sent["line_item"]["admin_graphql_api_id"]}},
        ),
    }  # fmt: skip


def _parcel_node(shop: Shop, held: Doc, parcel: Doc) -> Doc:
    by_id = {line["id"]: line for line in lines_of(held)}

    def line(one: Doc) -> Doc:
        of = by_id.get(one["line"])
        return {
            "id": gid("ReverseFulfillmentOrderLineItem", one["id"]),
            "totalQuantity": one["quantity"],
            "dispositions": one["dispositions"],
            "fulfillmentLineItem": _line_node(shop, of)["fulfillmentLineItem"] if of else None,
        }

    def delivery(one: Doc) -> Doc:
        tracking, link = one["tracking"], one["label"]
        return {
            "id": gid("ReverseDelivery", one["id"]),
            "deliverable": {
                "__typename": "ReverseDeliveryShippingDeliverable",
                "tracking": tracking if any(tracking.values()) else None,
                "label": {"publicFileUrl": link} if link else None,
            },
        }

    return {
        "id": gid("ReverseFulfillmentOrder", parcel["id"]),
        "status": "CLOSED" if held["status"] in ("closed", "canceled") else "OPEN",
        "lineItems": nodes.positions(parcel["lines"], line),
        "reverseDeliveries": nodes.positions(parcel["deliveries"], delivery),
    }


def one(shop: Shop, id: str) -> Doc | None:
    """``return``."""
    doings.allowed(shop, "read_returns", "return")
    try:
        return node(shop, *find(shop, id))
    except Refused:
        return None


def mutations(shop: Shop) -> Doc:
    """The mutations of returns and store credit, by their names."""

    def of(name: str, work: Callable[[Doc], Any], made: str = "return") -> Callable[..., Doc]:
        def shown(told: Doc) -> Any:
            found = work(told)
            return node(shop, *find(shop, found["admin_graphql_api_id"])) if made == "return" else found

        return lambda **told: answer(shop, name, made, lambda: shown(told))

    return {
        "returnRequest": of("returnRequest", lambda told: open_return(shop, told["input"], status="requested")),
        "returnCreate": of("returnCreate", lambda told: open_return(shop, told["returnInput"], status="open")),
        "returnApproveRequest": of("returnApproveRequest", lambda told: step(shop, told["input"]["id"], "approve")),
        "returnDeclineRequest": of(
            "returnDeclineRequest", lambda told: step(shop, told["input"]["id"], "decline", told["input"])
        ),
        "returnCancel": of("returnCancel", lambda told: step(shop, told["id"], "cancel")),
        "returnClose": of("returnClose", lambda told: step(shop, told["id"], "close")),
        "returnReopen": of("returnReopen", lambda told: step(shop, told["id"], "reopen")),
        "returnProcess": of("returnProcess", lambda told: process(shop, told["input"])),
        "reverseDeliveryCreateWithShipping": of(
            "reverseDeliveryCreateWithShipping", lambda told: label(shop, told), "reverseDelivery"
        ),
        "reverseDeliveryShippingUpdate": of(
            "reverseDeliveryShippingUpdate", lambda told: relabel(shop, told), "reverseDelivery"
        ),
        "reverseFulfillmentOrderDispose": of(
            "reverseFulfillmentOrderDispose", lambda told: dispose(shop, told["dispositionInputs"]),
            "reverseFulfillmentOrderLineItems",
        ),
        "storeCreditAccountCredit": lambda **told: give_credit(shop, told),
    }  # fmt: skip


def questions(shop: Shop) -> Doc:
    """The queries above, by their names."""
    return {
        "return": lambda **asked: one(shop, asked["id"]),
        "returnableFulfillments": lambda **asked: returnable_fulfillments(shop, **asked),
        "returnReasonDefinitions": lambda **asked: reasons(shop, **asked),
    }


def order_fields(shop: Shop, order: Doc) -> Doc:
    """What of an order only those who return something ask for."""
    gateway = order["payment_gateway_names"][0]
    paid = trade.charged_total(order) if order["financial_status"] not in ("pending", "voided") else 0
    payment = {
        "id": gid("OrderTransaction", order["id"] * 10 + 1), "kind": "SALE", "status": "SUCCESS", "gateway": gateway,
        "formattedGateway": gateway.replace("_", " ").capitalize(), "manualPaymentGateway": gateway in trade.MANUAL,
        "amountSet": nodes.charged_bag(order, paid), "parentTransaction": None,
    }  # fmt: skip
    back = [
        {**payment, "id": one["admin_graphql_api_id"], "kind": "REFUND", "status": one["status"].upper(),
         "amountSet": nodes.charged_bag(order, one.get("_charged_minor", trade.charged(order, minor(one["amount"])))),
         "parentTransaction": {"id": payment["id"]}}
        for held in order["refunds"] for one in held["transactions"]
    ]  # fmt: skip
    return {
        **risk.fields(order),
        "transactions": lambda **asked: [*risk.failed(order, payment), *([payment] if paid else []), *back][
            : asked.get("first")
        ],
        "returns": lambda **asked: nodes.guarded(
            shop, "read_returns", "returns",
            lambda: nodes.positions(order["_returns"], lambda held: node(shop, order, held))(**asked),
        )(),
    }  # fmt: skip
