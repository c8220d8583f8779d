"""Shopify's JSON into our records. Pure.

One thing comes in three spellings: REST-shaped webhook bodies, GraphQL nodes, and bulk lines (GraphQL nodes whose
connections arrive as lines of their own). Ids become gids, times UTC, money the shop's own currency from the text as
sent: numbers with a point are decoded as text, never as floats. Words we do not know become `unknown`, not errors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any, Final

import msgspec

from integrations.shopify.identity import gid, shop_domain
from integrations.shopify.webhooks import TOPICS, payload_shop
from plugin.kernel import money
from plugin.kernel.money import Money
from plugin.platform import (
    Address,
    CartRecord,
    Connection,
    ConsentRecord,
    CustomerPart,
    CustomerRecord,
    Deletion,
    FulfilmentRecord,
    LineRecord,
    MergeRecord,
    OrderPart,
    OrderRecord,
    ProductRecord,
    Record,
    RefundRecord,
    ReturnRecord,
    StoreNotice,
    VariantRecord,
)

Doc = Mapping[str, Any]

UNKNOWN: Final = "unknown"

_PAYMENT = frozenset(
    {
        "pending", "authorized", "partially_paid", "paid", "partially_refunded", "refunded", "voided", "expired",
    }
)  # fmt: skip
# REST says nothing, partial, fulfilled or restocked; what GraphQL tells apart beyond that is no parcel yet.
_FULFILMENT = {
    "": "unfulfilled", "unfulfilled": "unfulfilled", "open": "unfulfilled", "in_progress": "unfulfilled",
    "on_hold": "unfulfilled", "scheduled": "unfulfilled", "pending_fulfillment": "unfulfilled",
    "request_declined": "unfulfilled", "partial": "partial", "partially_fulfilled": "partial",
    "fulfilled": "fulfilled", "restocked": "restocked", "fulfillment_not_required": "not_required",
}  # fmt: skip
# shipment_status and events of REST, displayStatus of GraphQL: one vocabulary, spelled alike but for the case.
_PARCEL = {
    "confirmed": "pending", "label_purchased": "pending", "label_printed": "pending", "submitted": "pending",
    "pending": "pending", "open": "pending", "ready_for_pickup": "ready_for_pickup",
    "in_transit": "in_transit", "carrier_picked_up": "in_transit", "delayed": "in_transit",
    "fulfilled": "in_transit", "marked_as_fulfilled": "in_transit", "success": "in_transit",
    "out_for_delivery": "out_for_delivery", "attempted_delivery": "out_for_delivery",
    "delivered": "delivered", "picked_up": "delivered",
    "failure": "failed", "error": "failed", "not_delivered": "failed",
    "cancelled": "cancelled", "canceled": "cancelled", "label_voided": "cancelled",
}  # fmt: skip
# ReturnStatus; older API versions called the last one `close` in its webhook.
_RETURN = {
    "requested": "requested", "open": "open", "declined": "declined", "canceled": "cancelled", "cancelled": "cancelled",
    "closed": "closed", "close": "closed",
}  # fmt: skip
_SUBSCRIBED = {"subscribed": True, "not_subscribed": False, "unsubscribed": False, "redacted": False, "invalid": False}


# --- reading --------------------------------------------------------------------------------------------------------

_decode = msgspec.json.Decoder(float_hook=str).decode


def parse(body: bytes) -> dict[str, Any]:
    """A JSON object, numbers with a point as their text. Raises ValueError on anything else.

    PostgreSQL's text and jsonb hold no NUL, and shoppers have typed it: it is dropped.
    """
    try:
        value = _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ValueError(f"not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    cleaned: dict[str, Any] = _without_nul(value) if b"\\u0000" in body else value
    return cleaned


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\x00", "")
    if isinstance(value, list):
        return [_without_nul(item) for item in value]
    if isinstance(value, dict):
        return {_without_nul(key): _without_nul(item) for key, item in value.items()}
    return value


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _time(value: Any) -> datetime | None:
    """A time in UTC, or None where there is none. Raises ValueError on what is no time."""
    if not value:
        return None
    moment = datetime.fromisoformat(value)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def _whole(value: Any) -> int:
    return value if type(value) is int else int(Decimal(str(value or 0)))


def _word(value: Any) -> str:
    return _text(value).lower()


def _docs(value: Any) -> list[Doc]:
    """The members of a REST array, a GraphQL list, or a connection in either spelling."""
    if isinstance(value, Mapping):
        value = value["nodes"] if "nodes" in value else [edge["node"] for edge in value.get("edges") or ()]
    return [item for item in value or () if item]


def _amount(value: Any, currency: Any) -> Money | None:
    if value is None or value == "" or not currency:
        return None
    return money.parse(str(value), str(currency))[0]


def _shop_money(bag: Any) -> Money | None:
    """The shop's side of a price that is told in two currencies, REST or GraphQL."""
    if bag is None or not isinstance(bag, Mapping):
        return None
    side = bag.get("shop_money") or bag.get("shopMoney") or {}
    return _amount(side.get("amount"), side.get("currency_code") or side.get("currencyCode"))


def _priced(doc: Doc, name: str, currency: Any) -> Money | None:
    """`name_set` in the shop's currency, else the bare `name`, which REST gives in `currency`."""
    found = _shop_money(doc.get(f"{name}_set"))
    return found if found is not None else _amount(doc.get(name), currency)


def _tags(value: Any) -> tuple[str, ...]:
    parts = value.split(",") if isinstance(value, str) else value or ()
    return tuple(tag.strip() for tag in parts if tag.strip())


def _address(doc: Doc | None) -> Address | None:
    if not doc:
        return None
    given, family = doc.get("first_name") or doc.get("firstName"), doc.get("last_name") or doc.get("lastName")
    return Address(
        name=_text(doc.get("name")) or _full_name(given, family),
        company=_text(doc.get("company")),
        line1=_text(doc.get("address1")),
        line2=_text(doc.get("address2")),
        city=_text(doc.get("city")),
        province=_text(doc.get("province")),
        postcode=_text(doc.get("zip")),
        country=_text(doc.get("country_code") or doc.get("countryCodeV2") or doc.get("country")),
        phone=_text(doc.get("phone")),
    )


def _full_name(first: Any, last: Any) -> str:
    return " ".join(part for part in (_text(first).strip(), _text(last).strip()) if part)


def _payment_status(value: Any) -> str:
    word = _word(value)
    return word if word in _PAYMENT or not word else UNKNOWN


def _order_status(cancelled: Any, closed: Any) -> str:
    return "cancelled" if cancelled else "closed" if closed else "open"


def _cart_token(value: Any) -> str:
    # Carts since 2024 are named `token?key=secret`; only the first half names the cart, the other opens it.
    return _text(value).partition("?")[0]


class _Words(HTMLParser):
    _BREAKS = frozenset({"p", "br", "li", "div", "h1", "h2", "h3", "h4", "tr"})
    _HIDDEN = frozenset({"script", "style"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self._hidden += tag in self._HIDDEN
        if tag in self._BREAKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._hidden = max(0, self._hidden - (tag in self._HIDDEN))

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(data)


def _plain(html: Any) -> str:
    """The words of a merchant's HTML, a line per block."""
    words = _Words()
    words.feed(_text(html))
    words.close()
    lines = (" ".join(line.split()) for line in "".join(words.parts).split("\n"))
    return "\n".join(line for line in lines if line)


# --- customers ------------------------------------------------------------------------------------------------------


def customer(doc: Doc, at: datetime) -> CustomerRecord:
    """A customer from a webhook. Tags, counts and spending left these bodies in 2025: then they were not told."""
    consent = doc.get("email_marketing_consent") or {}
    spent = _amount(doc.get("total_spent"), doc.get("currency"))
    default = _address(doc.get("default_address"))
    addresses = [found for found in map(_address, doc.get("addresses") or ()) if found]
    return CustomerRecord(
        external_id=_gid_of("Customer", doc),
        version=_time(doc.get("updated_at")) or at,
        email=_text(doc.get("email")),
        phone=_text(doc.get("phone")),
        first_name=_text(doc.get("first_name")),
        last_name=_text(doc.get("last_name")),
        locale=_text(doc.get("locale")),
        tags=_tags(doc["tags"]) if "tags" in doc else None,
        note=_text(doc.get("note")),
        addresses=_default_first(default, addresses),
        accepts_marketing=_SUBSCRIBED.get(_word(consent.get("state"))),
        consents=_consents(doc, _time(doc.get("updated_at")) or at),
        orders_count=_whole(doc["orders_count"]) if doc.get("orders_count") is not None else None,
        total_spent=spent,
        created_at=_time(doc.get("created_at")),
        raw=doc,
    )


def _default_first(default: Address | None, addresses: list[Address]) -> tuple[Address, ...]:
    """All of a customer's addresses: the first is the one that counts where only one is shown."""
    rest = [address for address in addresses if address != default]
    return (default, *rest) if default else tuple(rest)


def customer_node(node: Doc) -> CustomerRecord:
    """A customer from GraphQL."""
    email, phone = node.get("defaultEmailAddress") or {}, node.get("defaultPhoneNumber") or {}
    spent, sms = node.get("amountSpent") or {}, phone.get("smsMarketingConsent") or {}
    addresses = [found for found in map(_address, _docs(node.get("addressesV2"))) if found]
    default = _address(node.get("defaultAddress"))
    return CustomerRecord(
        external_id=_text(node["id"]),
        version=_needed_time(node, "updatedAt"),
        email=_text(email.get("emailAddress")),
        phone=_text(phone.get("phoneNumber")),
        first_name=_text(node.get("firstName")),
        last_name=_text(node.get("lastName")),
        locale=_text(node.get("locale")),
        tags=_tags(node.get("tags")),
        note=_text(node.get("note")),
        addresses=_default_first(default, addresses),
        accepts_marketing=_SUBSCRIBED.get(_word(email.get("marketingState"))),
        consents=_told_consents(
            (
                "email_marketing",
                email.get("marketingState"),
                email.get("marketingOptInLevel"),
                email.get("marketingUpdatedAt"),
                "",
            ),
            ("sms_marketing", sms.get("state"), sms.get("optInLevel"), sms.get("updatedAt"), ""),
            at=_needed_time(node, "updatedAt"),
        ),
        orders_count=_whole(node["numberOfOrders"]) if node.get("numberOfOrders") is not None else None,
        total_spent=_amount(spent.get("amount"), spent.get("currencyCode")),
        created_at=_time(node.get("createdAt")),
        raw=node,
    )


_STANCES = {"subscribed": "granted", "unsubscribed": "denied", "pending": "pending"}
_Consent = tuple[str, Any, Any, Any, Any]


def _consents(doc: Doc, at: datetime) -> tuple[ConsentRecord, ...]:
    """The answers to marketing of a webhook's customer, with their own times where it tells them."""
    found: list[_Consent] = []
    for purpose, held in (
        ("email_marketing", doc.get("email_marketing_consent") or {}),
        ("sms_marketing", doc.get("sms_marketing_consent") or {}),
    ):
        found.append((purpose, held.get("state"), held.get("opt_in_level"), held.get("consent_updated_at"),
                      held.get("consent_collected_from")))  # fmt: skip
    return _told_consents(*found, at=at)


def _told_consents(*found: _Consent, at: datetime) -> tuple[ConsentRecord, ...]:
    """Those that somebody gave or took back. Never having been asked is no answer, unless it has a time
    (https://shopify.dev/docs/api/admin-graphql/latest/enums/CustomerEmailMarketingState).
    """
    told = []
    for purpose, state, level, when, collected in found:
        moment = _time(when)
        stance = _STANCES.get(_word(state)) or ("denied" if _word(state) == "not_subscribed" and moment else None)
        if stance is not None:
            source = "elsewhere" if _word(collected) == "other" else "store"
            told.append(ConsentRecord(purpose, stance, moment or at, _word(level), source, moment is not None))
    return tuple(told)


# --- orders ---------------------------------------------------------------------------------------------------------


def order(doc: Doc, at: datetime) -> OrderRecord:
    """An order from a webhook, with what of its lines, parcels and refunds the body holds.

    Amounts are before refunds, so that they add up; `refunded` and `current_total` are told beside them.
    """
    currency = doc.get("currency")
    person = doc.get("customer") or {}
    shipping, billing = _address(doc.get("shipping_address")), _address(doc.get("billing_address"))
    refunds = tuple(_refund(held, currency) for held in doc["refunds"]) if "refunds" in doc else None
    return OrderRecord(
        external_id=_gid_of("Order", doc),
        version=_time(doc.get("updated_at")) or at,
        name=_text(doc.get("name")),
        placed_at=_time(doc.get("processed_at")) or _needed_time(doc, "created_at"),
        total=_needed_money(_priced(doc, "total_price", currency)),
        status=_order_status(doc.get("cancelled_at"), doc.get("closed_at")),
        payment_status=_payment_status(doc.get("financial_status")),
        fulfilment_status=_FULFILMENT.get(_word(doc.get("fulfillment_status")), UNKNOWN),
        customer_external_id=_gid_of("Customer", person) if person else "",
        email=_text(doc.get("email") or doc.get("contact_email")),
        phone=_text(doc.get("phone")),
        customer_name=_customer_name(person.get("first_name"), person.get("last_name"), shipping, billing),
        locale=_text(doc.get("customer_locale")),
        cancelled_at=_time(doc.get("cancelled_at")),
        subtotal=_priced(doc, "subtotal_price", currency),
        shipping_total=_priced(doc, "total_shipping_price", currency),
        discount_total=_priced(doc, "total_discounts", currency),
        tax_total=_priced(doc, "total_tax", currency),
        refunded=_refunded(refunds, currency),
        current_total=_priced(doc, "current_total_price", currency),
        payment_method=", ".join(map(_text, doc.get("payment_gateway_names") or ())),
        note=_text(doc.get("note")),
        tags=_tags(doc.get("tags")),
        shipping_address=shipping,
        cart_token=_cart_token(doc.get("cart_token")),
        status_url=_text(doc.get("order_status_url")),
        pickup=_pickup(next(iter(_docs(doc.get("shipping_lines"))), {}), "delivery_category"),
        lines=tuple(_line(held, currency) for held in doc["line_items"]) if "line_items" in doc else None,
        fulfilments=tuple(map(_fulfilment, doc["fulfillments"])) if "fulfillments" in doc else None,
        refunds=refunds,
        raw=doc,
    )


def order_node(node: Doc) -> OrderRecord:
    """An order from GraphQL."""
    person = node.get("customer") or {}
    shipping, billing = _address(node.get("shippingAddress")), _address(node.get("billingAddress"))
    return OrderRecord(
        external_id=_text(node["id"]),
        version=_needed_time(node, "updatedAt"),
        name=_text(node.get("name")),
        placed_at=_time(node.get("processedAt")) or _needed_time(node, "createdAt"),
        total=_needed_money(_shop_money(node.get("totalPriceSet"))),
        status=_order_status(node.get("cancelledAt"), node.get("closedAt")),
        payment_status=_payment_status(node.get("displayFinancialStatus")),
        fulfilment_status=_FULFILMENT.get(_word(node.get("displayFulfillmentStatus")), UNKNOWN),
        customer_external_id=_text(person.get("id")),
        email=_text(node.get("email")),
        phone=_text(node.get("phone")),
        customer_name=_customer_name(person.get("firstName"), person.get("lastName"), shipping, billing),
        locale=_text(node.get("customerLocale")),
        cancelled_at=_time(node.get("cancelledAt")),
        subtotal=_shop_money(node.get("subtotalPriceSet")),
        shipping_total=_shop_money(node.get("totalShippingPriceSet")),
        discount_total=_shop_money(node.get("totalDiscountsSet")),
        tax_total=_shop_money(node.get("totalTaxSet")),
        refunded=_shop_money(node.get("totalRefundedSet")),
        current_total=_shop_money(node.get("currentTotalPriceSet")),
        payment_method=", ".join(map(_text, node.get("paymentGatewayNames") or ())),
        note=_text(node.get("note")),
        tags=_tags(node.get("tags")),
        shipping_address=shipping,
        cart_token=_cart_token(node.get("cartToken")),
        status_url=_text(node.get("statusPageUrl")),
        pickup=_pickup(node.get("shippingLine") or {}, "deliveryCategory"),
        lines=tuple(map(_line_node, _docs(node["lineItems"]))) if "lineItems" in node else None,
        fulfilments=_parcels(node) if "fulfillments" in node else None,
        refunds=tuple(map(_refund_node, _docs(node["refunds"]))) if "refunds" in node else None,
        returns=tuple(map(_return_node, _docs(node["returns"]))) if "returns" in node else None,
        raw=node,
    )


def _customer_name(first: Any, last: Any, shipping: Address | None, billing: Address | None) -> str:
    return _full_name(first, last) or (shipping.name if shipping else "") or (billing.name if billing else "")


def _line(doc: Doc, currency: Any) -> LineRecord:
    quantity = _whole(doc.get("quantity"))
    left = doc.get("current_quantity")
    return LineRecord(
        external_id=_gid_of("LineItem", doc),
        title=_text(doc.get("title")),
        quantity=quantity,
        unit_price=_priced(doc, "price", currency),
        variant_title=_text(doc.get("variant_title")),
        sku=_text(doc.get("sku")),
        product_external_id=gid("Product", doc.get("product_id")),
        variant_external_id=gid("ProductVariant", doc.get("variant_id")),
        refunded_quantity=max(0, quantity - _whole(left)) if left is not None else 0,
    )


def _line_node(node: Doc) -> LineRecord:
    quantity, left = _whole(node.get("quantity")), node.get("currentQuantity")
    return LineRecord(
        external_id=_text(node["id"]),
        title=_text(node.get("title")),
        quantity=quantity,
        unit_price=_shop_money(node.get("originalUnitPriceSet")),
        variant_title=_text(node.get("variantTitle")),
        sku=_text(node.get("sku")),
        product_external_id=_text((node.get("product") or {}).get("id")),
        variant_external_id=_text((node.get("variant") or {}).get("id")),
        refunded_quantity=max(0, quantity - _whole(left)) if left is not None else 0,
    )


def _fulfilment(doc: Doc) -> FulfilmentRecord:
    own = _word(doc.get("status"))
    # A cancelled or failed parcel is that, wherever its last scan was.
    decisive = own if own in {"cancelled", "error", "failure"} else _word(doc.get("shipment_status")) or own
    status = _PARCEL.get(decisive, UNKNOWN)
    return FulfilmentRecord(
        external_id=_gid_of("Fulfillment", doc),
        status=status,
        tracking_number=_text(doc.get("tracking_number")),
        tracking_url=_text(doc.get("tracking_url")),
        carrier=_text(doc.get("tracking_company")),
        shipped_at=_time(doc.get("created_at")),
        # The body has no delivery time; the update that says "delivered" is the closest there is.
        delivered_at=_time(doc.get("updated_at")) if status == "delivered" else None,
    )


def _pickup(line: Doc, category: str) -> str:
    """How the store calls fetching it oneself; empty where it is sent."""
    return _text(line.get("title")) or "pickup" if "pick" in _word(line.get(category)) else ""


def _parcels(node: Doc) -> tuple[FulfilmentRecord, ...]:
    """The parcels of an order. A picture of where the last was left is a metafield that a carrier's app writes."""
    found = [_fulfilment_node(parcel) for parcel in _docs(node["fulfillments"])]
    proof = _text((node.get("metafield") or {}).get("value"))
    last = max((one for one in found if one.delivered_at), key=lambda one: str(one.delivered_at), default=None)
    if last is not None and proof.startswith("https://"):
        found[found.index(last)] = replace(last, proof_url=proof)
    return tuple(found)


def _fulfilment_node(node: Doc) -> FulfilmentRecord:
    own = _word(node.get("status"))
    decisive = own if own in {"cancelled", "error", "failure"} else _word(node.get("displayStatus")) or own
    tracking: Doc = next(iter(_docs(node.get("trackingInfo"))), {})
    status = _PARCEL.get(decisive, UNKNOWN)
    return FulfilmentRecord(
        external_id=_text(node["id"]),
        status=status,
        tracking_number=_text(tracking.get("number")),
        tracking_url=_text(tracking.get("url")),
        carrier=_text(tracking.get("company")),
        shipped_at=_time(node.get("createdAt")),
        delivered_at=(_time(node.get("deliveredAt")) or _time(node.get("updatedAt")))
        if status == "delivered"
        else None,
        estimated_at=_time(node.get("estimatedDeliveryAt")),
    )


def _refund(doc: Doc, currency: Any) -> RefundRecord:
    return RefundRecord(
        external_id=_gid_of("Refund", doc),
        amount=_refund_amount(doc, currency),
        reason=_text(doc.get("note")),
        at=_time(doc.get("processed_at")) or _time(doc.get("created_at")),
    )


def _refund_amount(doc: Doc, currency: Any) -> Money | None:
    """Money that went back, in the shop's currency.

    Transactions say it exactly; where they are in the shopper's currency only, the refunded lines say it.
    """
    given = [
        _shop_money(held.get("amount_set"))
        or (_amount(held.get("amount"), currency) if held.get("currency", currency) == currency else None)
        for held in doc.get("transactions") or ()
        if _word(held.get("kind") or "refund") == "refund" and _word(held.get("status") or "success") == "success"
    ]
    if given and None not in given:
        return _sum([one for one in given if one is not None])
    lines = [
        part
        for held in doc.get("refund_line_items") or ()
        for part in (_priced(held, "subtotal", currency), _priced(held, "total_tax", currency))
        if part is not None
    ]
    return _sum(lines) or (None if given else _amount("0", currency))


def _currency_in(doc: Doc) -> str:
    """The shop's currency, from whatever a refund tells in two."""
    lines = doc.get("refund_line_items") or ()
    for held in (doc.get("total_duties_set"), *(line.get("subtotal_set") for line in lines)):
        found = _shop_money(held)
        if found is not None:
            return found.currency
    return ""


def _sum(parts: Sequence[Money]) -> Money | None:
    if not parts:
        return None
    total = parts[0]
    for part in parts[1:]:
        total += part
    return total


def _refund_node(node: Doc) -> RefundRecord:
    return RefundRecord(
        external_id=_text(node["id"]),
        amount=_shop_money(node.get("totalRefundedSet")),
        reason=_text(node.get("note")),
        at=_time(node.get("createdAt")),
    )


def _return_node(node: Doc) -> ReturnRecord:
    status = _RETURN.get(_word(node.get("status")), UNKNOWN)
    moments = {
        "requested": node.get("createdAt"),
        # One that the merchant opened was never requested, nor approved.
        "open": node.get("requestApprovedAt") or node.get("createdAt"),
        "closed": node.get("closedAt"),
    }
    return ReturnRecord(_text(node["id"]), status, _text(node.get("name")), _time(moments.get(status)))


def _refunded(refunds: Sequence[RefundRecord] | None, currency: Any) -> Money | None:
    if refunds is None:
        return None
    return _sum([held.amount for held in refunds if held.amount is not None]) or _amount("0", currency)


# --- carts ----------------------------------------------------------------------------------------------------------


def cart(doc: Doc, at: datetime, store: Connection | None) -> CartRecord:
    """A cart of the online store. It carries no customer: the storefront joins them by the cart's token.

    Stores that sell in several currencies send every price in two; bare prices are in the store's only one.
    """
    currency = store.currency if store else ""
    lines = tuple(_cart_line(held, currency) for held in doc.get("line_items") or ())
    token = _cart_token(doc.get("token") or doc.get("id"))
    total = _sum([part for held in doc.get("line_items") or () if (part := _priced(held, "line_price", currency))])
    return CartRecord(
        external_id=gid("Cart", token),
        version=_time(doc.get("updated_at")) or at,
        kind="cart",
        currency=total.currency if total else currency,
        total=total,
        token=token,
        lines=lines,
        raw=doc,
    )


def checkout(doc: Doc, at: datetime) -> CartRecord:
    """A checkout. Since March 2026 it is named by its token alone."""
    # Bare amounts are in the shopper's currency: where that is another, only what names its currency is taken.
    currency = doc.get("currency")
    bare = currency if doc.get("presentment_currency") in {None, currency} else None
    person = doc.get("customer") or {}
    return CartRecord(
        external_id=gid("Checkout", doc.get("token") or doc.get("id")),
        version=_time(doc.get("updated_at")) or at,
        kind="checkout",
        currency=_text(currency),
        total=_priced(doc, "total_price", bare),
        customer_external_id=_gid_of("Customer", person) if person else "",
        email=_text(doc.get("email")),
        phone=_text(doc.get("phone")),
        token=_cart_token(doc.get("cart_token")),
        recovery_url=_text(doc.get("abandoned_checkout_url")),
        completed_at=_time(doc.get("completed_at")),
        lines=tuple(_cart_line(held, bare) for held in doc.get("line_items") or ()),
        raw=doc,
    )


def _cart_line(doc: Doc, currency: Any) -> LineRecord:
    return LineRecord(
        external_id=_cart_token(doc.get("key")) or gid("ProductVariant", doc.get("variant_id")),
        title=_text(doc.get("title")),
        quantity=_whole(doc.get("quantity")),
        unit_price=_priced(doc, "price", currency),
        variant_title=_text(doc.get("variant_title")),
        sku=_text(doc.get("sku")),
        product_external_id=gid("Product", doc.get("product_id")),
        variant_external_id=gid("ProductVariant", doc.get("variant_id")),
    )


# --- products -------------------------------------------------------------------------------------------------------


def product(doc: Doc, at: datetime, store: Connection | None) -> ProductRecord:
    """A product from a webhook; its prices are in the store's currency, which the body does not name."""
    currency = store.currency if store else ""
    image = doc.get("image") or next(iter(doc.get("images") or ()), None) or {}
    return ProductRecord(
        external_id=_gid_of("Product", doc),
        version=_time(doc.get("updated_at")) or at,
        title=_text(doc.get("title")),
        status=_product_status(doc.get("status")),
        url=_product_url(store, doc.get("handle"), doc.get("published_at")),
        image_url=_text(image.get("src")),
        description=_plain(doc.get("body_html")),
        vendor=_text(doc.get("vendor")),
        product_type=_text(doc.get("product_type")),
        tags=_tags(doc.get("tags")),
        variants=tuple(_variant(held, currency) for held in doc.get("variants") or ()),
        raw=doc,
    )


def product_node(node: Doc, store: Connection) -> ProductRecord:
    """A product from GraphQL."""
    image = ((node.get("featuredMedia") or {}).get("preview") or {}).get("image") or {}
    counted = node.get("tracksInventory") is not False
    return ProductRecord(
        external_id=_text(node["id"]),
        version=_needed_time(node, "updatedAt"),
        title=_text(node.get("title")),
        status=_product_status(node.get("status")),
        url=_product_url(store, node.get("handle"), node.get("publishedAt")),
        image_url=_text(image.get("url")),
        description=_plain(node.get("descriptionHtml")),
        vendor=_text(node.get("vendor")),
        product_type=_text(node.get("productType")),
        tags=_tags(node.get("tags")),
        variants=tuple(_variant_node(held, store.currency, counted) for held in _docs(node.get("variants"))),
        raw=node,
    )


def lone_variant(doc: Doc, at: datetime, store: Connection | None) -> ProductRecord:
    """A variant that arrived without its product: merged into it."""
    return ProductRecord(
        external_id=_gid_of("ProductVariant", doc),
        version=_time(doc.get("updated_at")) or at,
        title=_text(doc.get("title")),
        variants=(_variant(doc, store.currency if store else ""),),
        parent_external_id=gid("Product", doc.get("product_id")),
        raw=doc,
    )


def _variant(doc: Doc, currency: str) -> VariantRecord:
    counted = doc.get("inventory_management", "shopify") is not None
    stock = _whole(doc["inventory_quantity"]) if counted and doc.get("inventory_quantity") is not None else None
    return VariantRecord(
        external_id=_gid_of("ProductVariant", doc),
        title=_kind(doc.get("title")),
        price=_amount(doc.get("price"), currency),
        sku=_text(doc.get("sku")),
        stock=stock,
        available=stock is None or stock > 0 or _word(doc.get("inventory_policy")) == "continue",
    )


def _variant_node(node: Doc, currency: str, counted: bool) -> VariantRecord:
    quantity = node.get("inventoryQuantity")
    return VariantRecord(
        external_id=_text(node["id"]),
        title=_kind(node.get("title")),
        price=_amount(node.get("price"), currency),
        sku=_text(node.get("sku")),
        stock=_whole(quantity) if counted and quantity is not None else None,
        available=bool(node.get("availableForSale", True)),
    )


def _kind(title: Any) -> str:
    """A product without kinds has one of this name, which no shopper ever sees (ProductVariant.title)."""
    return "" if title == "Default Title" else _text(title)


def _product_status(value: Any) -> str:
    word = _word(value) or "active"
    return word if word in {"active", "draft", "archived", "unlisted"} else UNKNOWN


def _product_url(store: Connection | None, handle: Any, published_at: Any) -> str:
    return f"{store.url.rstrip('/')}/products/{handle}" if store and handle and published_at else ""


# --- ids ------------------------------------------------------------------------------------------------------------


def _gid_of(kind: str, doc: Doc) -> str:
    found = gid(kind, doc.get("admin_graphql_api_id") or doc.get("id"))
    if not found:
        raise ValueError(f"a {kind} without an id")
    return found


def _needed_time(doc: Doc, name: str) -> datetime:
    found = _time(doc.get(name))
    if found is None:
        raise ValueError(f"no {name}")
    return found


def _needed_money(found: Money | None) -> Money:
    if found is None:
        raise ValueError("no total")
    return found


# --- webhooks -------------------------------------------------------------------------------------------------------


def webhook(topic: str, body: bytes, at: datetime, store: Connection | None = None) -> tuple[Record, ...]:
    """Our records from a delivered body. `at` is when it happened, the version of what carries none.

    Raises ValueError on a body that is not what its topic promises, or that names another shop than the one it was
    addressed to: only the body is signed, the address is not.
    """
    payload = parse(body)
    named = payload_shop(topic, payload)
    if store is not None and named is not None and shop_domain(named) != store.external_id:
        raise ValueError("the body names another shop than its header")
    if topic not in TOPICS:
        return (StoreNotice("unknown_topic", at, {"topic": topic}),)
    reader = _READERS.get(topic)
    try:
        return reader(payload, at, store) if reader else ()
    except (ArithmeticError, AttributeError, LookupError, TypeError) as error:
        raise ValueError(f"not the body of {topic}: {type(error).__name__} {error}") from error


Reader = Callable[[Doc, datetime, Connection | None], tuple[Record, ...]]


def _order_fulfilment(doc: Doc, at: datetime, store: Connection | None) -> tuple[Record, ...]:
    part = OrderPart(gid("Order", doc["order_id"]), _time(doc.get("updated_at")) or at, fulfilment=_fulfilment(doc))
    return (part,)


def _fulfilment_event(doc: Doc, at: datetime, store: Connection | None) -> tuple[Record, ...]:
    status = _PARCEL.get(_word(doc.get("status")))
    if status is None:
        return ()
    happened = _time(doc.get("happened_at"))
    # A carrier reports late: what counts for order is when Shopify wrote it down. The parcel's own update, which says
    # more, has the same time and has to win.
    version = (_time(doc.get("updated_at")) or _time(doc.get("created_at")) or at) - timedelta(microseconds=1)
    parcel = FulfilmentRecord(
        gid("Fulfillment", doc["fulfillment_id"]), status, delivered_at=happened if status == "delivered" else None,
        estimated_at=_time(doc.get("estimated_delivery_at")),
    )  # fmt: skip
    return (OrderPart(gid("Order", doc["order_id"]), version, fulfilment=parcel),)


def _order_refund(doc: Doc, at: datetime, store: Connection | None) -> tuple[Record, ...]:
    version = _time(doc.get("updated_at")) or _time(doc.get("processed_at")) or _time(doc.get("created_at")) or at
    currency = _currency_in(doc) or (store.currency if store else "")
    return (OrderPart(gid("Order", doc["order_id"]), version, refund=_refund(doc, currency)),)


def _order_return(step: str) -> Reader:
    """A return in the status it came to by this step; the body has no time, so that of the delivery counts.

    Cancel, close and reopen name the order by `order_id` and have no name, the others have an `order`.
    """

    def read(doc: Doc, at: datetime, store: Connection | None) -> tuple[Record, ...]:
        order_id = _gid_of("Order", doc.get("order") or {"id": doc.get("order_id")})
        status = _RETURN.get(_word(doc.get("status") or step), UNKNOWN)
        found = ReturnRecord(_gid_of("Return", doc), status, _text(doc.get("name")), at)
        return (OrderPart(order_id, at, returned=found),)

    return read


def _return_changed(doc: Doc, at: datetime, store: Connection | None) -> tuple[Record, ...]:
    """What became of lines and fees, without the order or a status: somebody has to ask."""
    return (StoreNotice("return_changed", at, {"return_external_id": _gid_of("Return", doc)}),)


def _deleted(resource: str, kind: str) -> Reader:
    def read(doc: Doc, at: datetime, store: Connection | None) -> tuple[Record, ...]:
        named = doc.get("admin_graphql_api_id") or doc.get("token") or doc.get("id")
        external_id = gid(kind, named)
        if not external_id:
            raise ValueError(f"a deleted {kind} without an id")
        return (Deletion(resource, external_id, at),)

    return read


def _merged(doc: Doc, at: datetime, store: Connection | None) -> tuple[Record, ...]:
    kept, gone = doc.get("admin_graphql_api_customer_kept_id"), doc.get("admin_graphql_api_customer_deleted_id")
    if _word(doc.get("status") or "completed") != "completed" or not kept or not gone:
        return ()
    return (MergeRecord(gid("Customer", kept), gid("Customer", gone), at),)


def _tagged(direction: str) -> Reader:
    def read(doc: Doc, at: datetime, store: Connection | None) -> tuple[Record, ...]:
        changed: dict[str, Any] = {direction: _tags(doc.get("tags"))}
        return (CustomerPart(_told_customer(doc), _time(doc.get("occurredAt")) or at, **changed),)

    return read


def _spending(doc: Doc, at: datetime, store: Connection | None) -> tuple[Record, ...]:
    spent = doc.get("amountSpent") or {}
    count = doc.get("numberOfOrders")
    part = CustomerPart(
        _told_customer(doc),
        _time(doc.get("occurredAt")) or at,
        orders_count=_whole(count) if count is not None else None,
        total_spent=_amount(spent.get("amount"), spent.get("currencyCode") or spent.get("currency_code")),
    )
    return (part,)


def _consent(doc: Doc, at: datetime, store: Connection | None) -> tuple[Record, ...]:
    consent = doc.get("email_marketing_consent") or {}
    part = CustomerPart(
        _told_customer(doc),
        _time(consent.get("consent_updated_at")) or at,
        accepts_marketing=_SUBSCRIBED.get(_word(consent.get("state"))),
        consents=_consents(doc, at),
    )
    return (part,)


def _told_customer(doc: Doc) -> str:
    found = gid("Customer", doc.get("customerId") or doc.get("customer_id"))
    if not found:
        raise ValueError("no customer named")
    return found


def _notice(kind: str, data: Callable[[Doc], dict[str, Any]] = lambda doc: {}) -> Reader:
    def read(doc: Doc, at: datetime, store: Connection | None) -> tuple[Record, ...]:
        return (StoreNotice(kind, at, data(doc)),)

    return read


def _person(orders: str) -> Callable[[Doc], dict[str, Any]]:
    """Whom a compliance notice is about: the id, or the address alone; handlers match on both."""

    def read(doc: Doc) -> dict[str, Any]:
        who = doc.get("customer") or {}
        return {
            "customer_external_id": gid("Customer", who.get("id")),
            "email": _text(who.get("email")),
            "phone": _text(who.get("phone")),
            "orders": [gid("Order", number) for number in doc.get(orders) or ()],
            "request_id": _text((doc.get("data_request") or {}).get("id")),
        }

    return read


def _read_order(doc: Doc, at: datetime, store: Connection | None) -> tuple[Record, ...]:
    return (order(doc, at),)


def _read_customer(doc: Doc, at: datetime, store: Connection | None) -> tuple[Record, ...]:
    return (customer(doc, at),)


def _read_product(doc: Doc, at: datetime, store: Connection | None) -> tuple[Record, ...]:
    return (product(doc, at, store),)


def _read_variant(doc: Doc, at: datetime, store: Connection | None) -> tuple[Record, ...]:
    return (lone_variant(doc, at, store),)


def _read_cart(doc: Doc, at: datetime, store: Connection | None) -> tuple[Record, ...]:
    return (cart(doc, at, store),)


def _read_checkout(doc: Doc, at: datetime, store: Connection | None) -> tuple[Record, ...]:
    return (checkout(doc, at),)


# Topics that TOPICS has and this table has not say nothing that another delivery of the same action does not say
# better: orders/edited and order_transactions/create come with orders/updated, which is read.
_READERS: Final[Mapping[str, Reader]] = {
    **dict.fromkeys(
        (
            "orders/create", "orders/updated", "orders/cancelled", "orders/fulfilled", "orders/partially_fulfilled",
            "orders/paid",
        ),
        _read_order,
    ),
    "orders/delete": _deleted("orders", "Order"),
    "orders/link_requested": _notice(
        "order_link_requested", lambda doc: {"order_external_id": gid("Order", doc.get("order_id") or doc.get("id"))}
    ),
    "refunds/create": _order_refund,
    **dict.fromkeys(("fulfillments/create", "fulfillments/update"), _order_fulfilment),
    "fulfillment_events/create": _fulfilment_event,
    "returns/request": _order_return("requested"),
    "returns/approve": _order_return("open"),
    "returns/decline": _order_return("declined"),
    "returns/cancel": _order_return("cancelled"),
    "returns/close": _order_return("closed"),
    "returns/reopen": _order_return("open"),
    **dict.fromkeys(("returns/update", "returns/process"), _return_changed),
    **dict.fromkeys(("carts/create", "carts/update"), _read_cart),
    **dict.fromkeys(("checkouts/create", "checkouts/update"), _read_checkout),
    "checkouts/delete": _deleted("checkouts", "Checkout"),
    **dict.fromkeys(("customers/create", "customers/update", "customers/enable", "customers/disable"), _read_customer),
    "customers/delete": _deleted("customers", "Customer"),
    "customers/merge": _merged,
    "customers/purchasing_summary": _spending,
    "customer.tags_added": _tagged("tags_added"),
    "customer.tags_removed": _tagged("tags_removed"),
    "customers_email_marketing_consent/update": _consent,
    **dict.fromkeys(("products/create", "products/update"), _read_product),
    "products/delete": _deleted("products", "Product"),
    **dict.fromkeys(("variants/in_stock", "variants/out_of_stock"), _read_variant),
    "app/uninstalled": _notice("uninstalled"),
    "app/scopes_update": _notice("scopes_updated", lambda doc: {"current": list(doc.get("current") or ())}),
    "shop/update": _notice("shop_updated", lambda doc: {"locale": _text(doc.get("primary_locale"))}),
    # A domain that came, went or became the first one: the chat is shown on other addresses from now on.
    **dict.fromkeys(("domains/create", "domains/update", "domains/destroy"), _notice("shop_updated")),
    "bulk_operations/finish": _notice(
        "bulk_finished",
        lambda doc: {
            "operation": _text(doc.get("admin_graphql_api_id")),
            "status": _word(doc.get("status")),
            "error": _word(doc.get("error_code")),
        },
    ),
    "customers/data_request": _notice("data_request", _person("orders_requested")),
    "customers/redact": _notice("customer_redact", _person("orders_to_redact")),
    "shop/redact": _notice("shop_redact"),
}  # fmt: skip


# --- bulk files -----------------------------------------------------------------------------------------------------

_CHILDREN: Final = {
    "LineItem": "lineItems",
    "Return": "returns",
    "MailingAddress": "addressesV2",
    "ProductVariant": "variants",
}
_CONNECTIONS: Final = {
    "orders": ("lineItems", "returns"),
    "customers": ("addressesV2",),
    "products": ("variants",),
}


def adopt(parent: dict[str, Any], child: dict[str, Any]) -> bool:
    """Put a bulk line with `__parentId` back into the node it was torn from; False when it belongs to another one."""
    if child.get("__parentId") != parent.get("id"):
        return False
    kind = _text(child.get("id")).removeprefix("gid://shopify/").partition("/")[0]
    if kind in _CHILDREN:
        own = {name: value for name, value in child.items() if name != "__parentId"}
        parent.setdefault(_CHILDREN[kind], {"nodes": []})["nodes"].append(own)
    return True


def whole(node: dict[str, Any], resource: str) -> dict[str, Any]:
    """A bulk node without children had empty connections, which is not the same as not having been asked."""
    for name in _CONNECTIONS.get(resource, ()):
        node.setdefault(name, {"nodes": []})
    return node


def nodes(resource: str, found: Iterable[Doc], store: Connection) -> tuple[Record, ...]:
    """Records of GraphQL nodes of one resource (`customers`, `products`, `orders`)."""
    if resource == "orders":
        return tuple(order_node(node) for node in found)
    if resource == "customers":
        return tuple(customer_node(node) for node in found)
    return tuple(product_node(node, store) for node in found)
