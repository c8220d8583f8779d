"""The shop's documents as GraphQL objects: dictionaries whose callables are resolved with the field's arguments.

A field the app may not read is a callable that raises ``Denied``: GraphQL then answers null for it and adds the error,
as Shopify does.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from graphql import GraphQLError

from integrations.shopify.simulator import trade
from integrations.shopify.simulator.shop import Shop, amount, gid, minor, parse_iso
from integrations.shopify.simulator.state import Doc

Node = dict[str, Any]
VISIBLE_DAYS = 60


class Denied(GraphQLError):
    """ACCESS_DENIED, the way Shopify says it."""

    def __init__(self, name: str, scope: str) -> None:
        super().__init__(
            f"Access denied for {name} field. Required access: `{scope}` access scope.",
            extensions={
                "code": "ACCESS_DENIED",
                "documentation": "https://shopify.dev/api/usage/access-scopes",
                "requiredAccess": f"`{scope}` access scope.",
            },
        )


def guarded(shop: Shop, scope: str, name: str, value: Callable[[], Any]) -> Callable[..., Any]:
    """A field that only an app with ``scope`` may read."""

    def resolve(**_: Any) -> Any:
        if not shop.allows(scope):
            raise Denied(name, scope)
        return value()

    return resolve


# --- connections ----------------------------------------------------------------------------------------------------


def connection(
    items: Sequence[Doc],
    build: Callable[[Doc], Node],
    key: Callable[[Doc], Any],
    *,
    binding: str = "",
    first: int | None = None,
    after: str | None = None,
    last: int | None = None,
    before: str | None = None,
    everything: bool = False,
) -> Node:
    """A page of ``items`` (sorted already) with cursors that are bound to their query and sort, as Shopify's are.

    ``everything`` is for bulk operations, which need no ``first``.
    """
    if first is None and last is None and not everything:
        raise GraphQLError("you must provide one of first or last", extensions={"code": "BAD_REQUEST"})
    if (first or 0) > 250 or (last or 0) > 250:
        raise GraphQLError("first and last may not exceed 250", extensions={"code": "BAD_REQUEST"})
    window = list(items)
    if after is not None:
        mark = _decode(after, binding)
        window = [item for item in window if _mark(key(item)) > mark] if mark is not None else window
    if before is not None:
        mark = _decode(before, binding)
        window = [item for item in window if _mark(key(item)) < mark] if mark is not None else window
    size = len(window) if everything else (first if first is not None else last or 0)
    more_before, more_after = after is not None, False
    if first is not None and len(window) > size:
        window, more_after = window[:size], True
    elif last is not None and len(window) > size:
        window, more_before = window[-size:], True
    edges = [{"cursor": _encode(key(item), binding), "node": build(item)} for item in window]
    return {
        "edges": edges,
        "nodes": [edge["node"] for edge in edges],
        "pageInfo": {
            "hasNextPage": more_after,
            "hasPreviousPage": more_before,
            "startCursor": edges[0]["cursor"] if edges else None,
            "endCursor": edges[-1]["cursor"] if edges else None,
        },
    }


def _mark(value: Any) -> list[Any]:
    return list(value) if isinstance(value, tuple | list) else [value]


def _encode(value: Any, binding: str) -> str:
    return base64.b64encode(json.dumps({"at": _mark(value), "of": binding}).encode()).decode()


def _decode(cursor: str, binding: str) -> list[Any]:
    try:
        held = json.loads(base64.b64decode(cursor, validate=True))
        mark, bound = list(held["at"]), held["of"]
    except (ValueError, KeyError, TypeError) as error:
        raise GraphQLError("Invalid cursor for current pagination sort.") from error
    if bound != binding:
        raise GraphQLError("Invalid cursor for current pagination sort.")
    return mark


_TERM = re.compile(r"(?P<field>[a-z_]+):(?P<op>>=|<=|>|<)?(?:'(?P<single>[^']*)'|\"(?P<double>[^\"]*)\"|(?P<bare>\S+))")


def matches(query: str | None, doc: Doc) -> bool:
    """Shopify's search syntax as far as we use it: ``field:value`` with comparisons on times, terms joined by AND."""
    for term in _TERM.finditer(query or ""):
        name, op = term["field"], term["op"]
        wanted = term["single"] or term["double"] or term["bare"] or ""
        held = doc.get(name)
        if name.endswith("_at"):
            if held is None or not _compare(parse_iso(held), op, parse_iso(wanted)):
                return False
        elif name == "id":
            if not _compare(int(doc["id"]), op, int(wanted.rsplit("/", 1)[-1])):
                return False
        elif name in doc and name != "status" and str(held).lower() != wanted.lower():
            return False
    return True


def _compare(left: Any, op: str | None, right: Any) -> bool:
    if op == ">=":
        return bool(left >= right)
    if op == "<=":
        return bool(left <= right)
    if op == ">":
        return bool(left > right)
    if op == "<":
        return bool(left < right)
    return bool(left == right)


SORTS: dict[str, Callable[[Doc], Any]] = {
    "UPDATED_AT": lambda doc: (doc["updated_at"], doc["id"]),
    "CREATED_AT": lambda doc: (doc["created_at"], doc["id"]),
    "PROCESSED_AT": lambda doc: (doc["processed_at"], doc["id"]),
    "ORDER_NUMBER": lambda doc: (doc["order_number"], doc["id"]),
    "TITLE": lambda doc: (doc["title"], doc["id"]),
    "ID": lambda doc: (doc["id"],),
}


def listing(items: list[Doc], build: Callable[[Doc], Node], arguments: dict[str, Any], *, everything: bool) -> Node:
    """A root connection with ``query``, ``sortKey`` and ``reverse``."""
    sort_key = arguments.get("sortKey") or "ID"
    key = SORTS.get(sort_key)
    if key is None:
        raise GraphQLError(f"The demo shop does not sort by {sort_key}")
    reverse = bool(arguments.get("reverse"))
    found = sorted((item for item in items if matches(arguments.get("query"), item)), key=key)
    binding = json.dumps([arguments.get("query"), sort_key, reverse])
    page: dict[str, Any] = {name: arguments.get(name) for name in ("first", "after", "last", "before")}
    if not reverse:
        return connection(found, build, key, binding=binding, everything=everything, **page)
    if page["after"] or page["before"]:
        raise GraphQLError("The demo shop pages forward only when reversed")
    return connection(list(reversed(found)), build, key, binding=binding, everything=everything, **page)


def positions(items: Sequence[Doc], build: Callable[[Doc], Node], everything: bool = False) -> Callable[..., Node]:
    """A nested connection in the order of its list, or the other way round."""

    def resolve(**arguments: Any) -> Node:
        ordered = list(reversed(items)) if arguments.get("reverse") else items
        numbered = [{"position": position, "doc": item} for position, item in enumerate(ordered)]
        page: dict[str, Any] = {name: arguments.get(name) for name in ("first", "after", "last", "before")}
        return connection(
            numbered, lambda held: build(held["doc"]), lambda held: held["position"], everything=everything, **page
        )

    return resolve


def _some(items: list[Node]) -> Callable[..., list[Node]]:
    return lambda first=None, **_: items if first is None else items[:first]


# --- objects --------------------------------------------------------------------------------------------------------


def bag(value: str, of: Doc | None = None) -> Node:
    """A MoneyBag of an amount in the shop's currency; with the order ``of`` which it is, in the customer's too."""
    money = {"amount": value, "currencyCode": trade.CURRENCY}
    if of is None or of["presentment_currency"] == trade.CURRENCY:
        return {"shopMoney": money, "presentmentMoney": money}
    return {"shopMoney": money, "presentmentMoney": charged_money(of, trade.charged(of, minor(value)))}


def charged_money(order: Doc, value: int) -> Node:
    """A MoneyV2 in the customer's currency, of minor units of it."""
    return {"amount": trade.charged_text(order, value), "currencyCode": order["presentment_currency"]}


def charged_bag(order: Doc, value: int) -> Node:
    """A MoneyBag of an amount in the customer's currency."""
    return {**bag("0.00"), "presentmentMoney": charged_money(order, value)}


def address(held: Doc | None, number: int | str) -> Node | None:
    if held is None:
        return None
    return {
        "id": gid("MailingAddress", number),
        "name": held["name"],
        "firstName": held["first_name"],
        "lastName": held["last_name"],
        "company": held["company"],
        "address1": held["address1"],
        "address2": held["address2"],
        "city": held["city"],
        "province": held["province"],
        "provinceCode": held["province_code"],
        "zip": held["zip"],
        "countryCodeV2": held["country_code"],
        "phone": held["phone"],
    }


def _tags(text: str) -> list[str]:
    return [tag.strip() for tag in text.split(",") if tag.strip()]


def _upper(text: str | None) -> str | None:
    return text.upper() if text else None


def customer(shop: Shop, doc: Doc, *, everything: bool = False) -> Node:
    consent, sms = doc["email_marketing_consent"] or {}, doc.get("sms_marketing_consent") or {}
    email = doc["email"]
    return {
        "id": doc["admin_graphql_api_id"],
        "legacyResourceId": str(doc["id"]),
        "displayName": f"{doc['first_name']} {doc['last_name']}".strip() or email or "",
        "firstName": doc["first_name"],
        "lastName": doc["last_name"],
        "locale": doc["_locale"],
        "state": doc["state"].upper(),
        "verifiedEmail": doc["verified_email"],
        "tags": _tags(doc["_tags"]),
        "note": doc["note"],
        "createdAt": doc["created_at"],
        "updatedAt": doc["updated_at"],
        "numberOfOrders": str(doc["_orders_count"]),
        "amountSpent": {"amount": amount(doc["_spent_minor"]), "currencyCode": trade.CURRENCY},
        "defaultEmailAddress": {
            "emailAddress": email,
            "validFormat": True,
            "marketingState": _upper(consent.get("state")) or "NOT_SUBSCRIBED",
            "marketingOptInLevel": _upper(consent.get("opt_in_level")),
            "marketingUpdatedAt": consent.get("consent_updated_at"),
        }
        if email
        else None,
        "defaultPhoneNumber": {
            "phoneNumber": doc["phone"],
            "smsMarketingConsent": {
                "state": _upper(sms.get("state")) or "NEVER_SUBSCRIBED",
                "optInLevel": _upper(sms.get("opt_in_level")) or "SINGLE_OPT_IN",
                "updatedAt": sms.get("consent_updated_at"),
            },
        }
        if doc["phone"]
        else None,
        "defaultAddress": address(doc.get("default_address"), (doc.get("default_address") or {}).get("id", 0)),
        "addressesV2": positions(doc["addresses"], lambda held: address(held, held["id"]) or {}, everything),
    }


def variant(shop: Shop, product_doc: Doc, doc: Doc) -> Node:
    option = product_doc["options"][0]["name"] if product_doc["options"] else "Title"
    return {
        "id": doc["admin_graphql_api_id"],
        "legacyResourceId": str(doc["id"]),
        "title": doc["title"],
        "sku": doc["sku"],
        "barcode": doc["barcode"],
        "price": doc["price"],
        "compareAtPrice": doc["compare_at_price"],
        "position": doc["position"],
        "inventoryQuantity": doc["inventory_quantity"],
        "inventoryPolicy": doc["inventory_policy"].upper(),
        "availableForSale": doc["inventory_quantity"] > 0,
        "createdAt": doc["created_at"],
        "updatedAt": doc["updated_at"],
        "selectedOptions": [{"name": option, "value": doc["title"]}],
    }


def product(shop: Shop, doc: Doc, *, everything: bool = False) -> Node:
    picture = f"{shop.storefront_origin}/cdn/products/{doc['handle']}.svg"
    return {
        "id": doc["admin_graphql_api_id"],
        "legacyResourceId": str(doc["id"]),
        "title": doc["title"],
        "handle": doc["handle"],
        "descriptionHtml": doc["body_html"],
        "vendor": doc["vendor"],
        "productType": doc["product_type"],
        "status": doc["status"].upper(),
        "tags": _tags(doc["tags"]),
        "createdAt": doc["created_at"],
        "updatedAt": doc["updated_at"],
        "publishedAt": doc["published_at"],
        "totalInventory": sum(held["inventory_quantity"] for held in doc["variants"]),
        "tracksInventory": True,
        "onlineStoreUrl": f"{shop.storefront_origin}/products/{doc['handle']}",
        "featuredMedia": {
            "__typename": "MediaImage",
            "id": gid("MediaImage", doc["id"]),
            "alt": doc["title"],
            "preview": {"image": {"url": picture, "altText": doc["title"]}},
        },
        "variants": positions(doc["variants"], lambda held: variant(shop, doc, held), everything),
    }


def line(shop: Shop, doc: Doc, of: Doc | None = None) -> Node:
    """A line of the order ``of``."""
    held = shop.state.get("products", doc["product_id"] or 0) or {}
    return {
        "id": doc["admin_graphql_api_id"],
        "title": doc["title"],
        "variantTitle": doc["variant_title"],
        "sku": doc["sku"],
        "vendor": doc["vendor"],
        "quantity": doc["quantity"],
        "currentQuantity": doc["current_quantity"],
        "refundableQuantity": doc["current_quantity"],
        "unfulfilledQuantity": doc["fulfillable_quantity"],
        "requiresShipping": doc["requires_shipping"],
        "originalUnitPriceSet": bag(doc["price"], of),
        "originalTotalSet": bag(amount(minor(doc["price"]) * doc["quantity"]), of),
        "discountedTotalSet": bag(amount(trade.paid_for(doc)), of),
        "discountAllocations": [{"allocatedAmountSet": bag(one["amount"], of)} for one in doc["discount_allocations"]],
        "taxLines": [{"priceSet": bag(amount(trade.vat_inside(trade.paid_for(doc))), of)}],
        "isGiftCard": doc["gift_card"],
        "image": {"url": f"{shop.storefront_origin}/cdn/products/{held['handle']}.svg"} if held else None,
        "lineItemGroup": {"id": gid("LineItemGroup", doc["_group"])} if doc.get("_group") else None,
        "variant": guarded(shop, "read_products", "variant", lambda: {"id": gid("ProductVariant", doc["variant_id"])}),
        "product": guarded(shop, "read_products", "product", lambda: _bought(doc, held)),
    }


def _bought(line: Doc, product: Doc) -> Node:
    """The product of a line; the demo shop has a collection for each tag."""
    tags = _tags(product.get("tags", ""))
    return {
        "id": gid("Product", line["product_id"]),
        "productType": product.get("product_type", ""),
        "tags": tags,
        "collections": positions(
            [{"handle": tag} for tag in tags],
            lambda one: {"id": gid("Collection", sum(one["handle"].encode())), **one},
        ),
    }


def fulfillment(shop: Shop, doc: Doc, *, everything: bool = False) -> Node:
    delivered = doc["_delivered_at"] is not None
    return {
        "id": doc["admin_graphql_api_id"],
        "name": doc["name"],
        "status": doc["status"].upper(),
        "displayStatus": "DELIVERED" if delivered else doc.get("_display") or "IN_TRANSIT",
        "createdAt": doc["created_at"],
        "updatedAt": doc["updated_at"],
        "inTransitAt": doc["_in_transit_at"],
        "estimatedDeliveryAt": doc.get("_estimated_at"),
        "deliveredAt": doc["_delivered_at"],
        "location": guarded(shop, "read_locations", "location", lambda: {"id": gid("Location", doc["location_id"])}),
        "events": lambda **page: guarded(shop, "read_fulfillments", "events", lambda: _scans(doc)(**page))(),
        "trackingInfo": _some(
            [{"company": doc["tracking_company"], "number": doc["tracking_number"], "url": doc["tracking_url"]}]
        ),
        "fulfillmentLineItems": positions(
            doc["line_items"],
            lambda held: {
                "id": gid("FulfillmentLineItem", held["_fulfillment_line_id"]),
                "quantity": held["quantity"],
                "lineItem": {"id": held["admin_graphql_api_id"]},
            },
            everything,
        ),
    }


def _scans(doc: Doc) -> Callable[..., Node]:
    """What the carrier said of a parcel."""
    told = [("IN_TRANSIT", doc["_in_transit_at"]), ("DELIVERED", doc["_delivered_at"])]
    found = [{"status": status, "happenedAt": at, "id": gid("FulfillmentEvent", doc["id"] * 10 + n)}
             for n, (status, at) in enumerate(told) if at]  # fmt: skip

    return positions(found, lambda one: one)


def refund(doc: Doc, of: Doc, *, everything: bool = False) -> Node:
    """A refund of the order ``of``."""
    total = bag(amount(doc["_total_minor"]), of)
    if "_charged_minor" in doc:
        total = {**total, "presentmentMoney": charged_money(of, doc["_charged_minor"])}
    delivery = doc.get("_delivery_charged", 0)
    return {
        "id": doc["admin_graphql_api_id"],
        "createdAt": doc["created_at"],
        "updatedAt": doc["created_at"],
        "note": doc["note"],
        "totalRefundedSet": total,
        "refundShippingLines": positions(
            [{"charged": delivery}] if delivery else [],
            lambda one: {
                "id": gid("RefundShippingLine", doc["id"]),
                "subtotalAmountSet": charged_bag(of, one["charged"]),
                "taxAmountSet": bag("0.00", of),
            },
            everything,
        ),
        "transactions": positions(
            doc["transactions"],
            lambda held: {
                "id": held["admin_graphql_api_id"],
                "status": held["status"].upper(),
                "gateway": held["gateway"],
                "amountSet": {
                    **bag(held["amount"]),
                    "presentmentMoney": charged_money(
                        of, held.get("_charged_minor", trade.charged(of, minor(held["amount"])))
                    ),
                },
            },
            everything,
        ),
        "refundLineItems": positions(
            doc["refund_line_items"],
            lambda held: {
                "id": gid("RefundLineItem", held["id"]),
                "quantity": held["quantity"],
                "restockType": held["restock_type"].upper(),
                "subtotalSet": bag(held["subtotal"], of),
                "lineItem": {"id": gid("LineItem", held["line_item_id"])},
            },
            everything,
        ),
    }


def return_node(doc: Doc) -> Node:
    return {
        "id": doc["admin_graphql_api_id"],
        "name": doc["name"],
        "status": doc["status"].upper(),
        # A demo that was seeded before these were told apart has the one time only.
        "createdAt": doc.get("_created_at") or doc["created_at"],
        "requestApprovedAt": doc.get("_approved_at"),
        "closedAt": doc["_closed_at"],
        "totalQuantity": doc["total_return_line_items"],
    }


FINANCIAL = {
    "paid": "PAID",
    "partially_paid": "PARTIALLY_PAID",
    "pending": "PENDING",
    "refunded": "REFUNDED",
    "partially_refunded": "PARTIALLY_REFUNDED",
    "voided": "VOIDED",
}
FULFILLED = {None: "UNFULFILLED", "partial": "PARTIALLY_FULFILLED", "fulfilled": "FULFILLED"}


def order(shop: Shop, doc: Doc, *, everything: bool = False) -> Node:
    who = shop.state.get("customers", doc["customer"]["id"]) if doc["customer"] else None
    open_returns = {held["status"] for held in doc["_returns"]}
    total_refunded = sum(held["_total_minor"] for held in doc["refunds"])
    charged_back = sum(held.get("_charged_minor", trade.charged(doc, held["_total_minor"])) for held in doc["refunds"])
    return {
        "id": doc["admin_graphql_api_id"],
        "legacyResourceId": str(doc["id"]),
        "name": doc["name"],
        "number": doc["number"],
        "email": doc["email"],
        "phone": doc["phone"],
        "note": doc["note"],
        "tags": _tags(doc["tags"]),
        "test": doc["test"],
        "sourceName": doc["source_name"],
        "customerLocale": doc["customer_locale"],
        "createdAt": doc["created_at"],
        "updatedAt": doc["updated_at"],
        "processedAt": doc["processed_at"],
        "cancelledAt": doc["cancelled_at"],
        "cancelReason": _upper(doc["cancel_reason"]),
        "closedAt": doc["closed_at"],
        "displayFinancialStatus": FINANCIAL[doc["financial_status"]],
        "displayFulfillmentStatus": FULFILLED[doc["fulfillment_status"]],
        "returnStatus": _return_status(open_returns),
        "currencyCode": doc["currency"],
        "presentmentCurrencyCode": doc["presentment_currency"],
        "discountCodes": [held["code"] for held in doc["discount_codes"]],
        "paymentGatewayNames": doc["payment_gateway_names"],
        "cartToken": doc["cart_token"],
        "checkoutToken": doc["checkout_token"],
        "statusPageUrl": doc["order_status_url"],
        "taxesIncluded": doc["taxes_included"],
        "totalPriceSet": bag(doc["total_price"], doc),
        "currentTotalPriceSet": bag(doc["current_total_price"], doc),
        "totalRefundedSet": {**bag(amount(total_refunded)), "presentmentMoney": charged_money(doc, charged_back)},
        "subtotalPriceSet": bag(doc["subtotal_price"]),
        "totalDiscountsSet": bag(doc["total_discounts"]),
        "totalTaxSet": bag(doc["total_tax"]),
        "totalShippingPriceSet": bag(doc["total_shipping_price_set"]["shop_money"]["amount"]),
        "customer": guarded(
            shop, "read_customers", "customer", lambda: customer(shop, who) if who is not None else None
        ),
        "shippingAddress": address(doc["shipping_address"], f"{doc['id']}1?model_name=Address"),
        "billingAddress": address(doc["billing_address"], f"{doc['id']}2?model_name=Address"),
        "shippingLine": next(
            (
                {
                    "id": gid("ShippingLine", held["id"]),
                    "title": held["title"],
                    "deliveryCategory": held.get("delivery_category"),
                }
                for held in doc["shipping_lines"]
            ),
            None,
        ),
        "metafield": lambda **_asked: {"value": doc["_proof"]} if doc.get("_proof") else None,
        "shippingLines": positions(
            doc["shipping_lines"],
            lambda held: {
                "id": gid("ShippingLine", held["id"]),
                "discountedPriceSet": bag(held["price"], doc),
                "taxLines": [],
            },
            everything,
        ),
        "lineItems": positions(doc["line_items"], lambda held: line(shop, held, doc), everything),
        "fulfillments": _some([fulfillment(shop, held) for held in doc["fulfillments"]]),
        "refunds": _some([refund(held, doc) for held in doc["refunds"]]),
        "returns": lambda **arguments: guarded(
            shop,
            "read_returns",
            "returns",
            lambda: positions(doc["_returns"], return_node, everything)(**arguments),
        )(),
    }


def _return_status(states: set[str]) -> str:
    if "requested" in states:
        return "RETURN_REQUESTED"
    if "open" in states:
        return "IN_PROGRESS"
    return "RETURNED" if "closed" in states else "NO_RETURN"


def visible_orders(shop: Shop) -> list[Doc]:
    """What the app may see: 60 days without ``read_all_orders`` (platforms.md A1.8)."""
    orders = shop.state.all("orders")
    if shop.allows("read_all_orders"):
        return orders
    now = shop.now()
    return [held for held in orders if not trade.older_than(held, now, VISIBLE_DAYS)]
