"""wc/v3 JSON into the port's records: pure, no clock. The same shapes come by webhook and by REST (platforms.md B).

Times are read from the `*_gmt` fields (UTC without a Z, B25). Amounts are strings; the one that PHP writes as a float,
a line's `price`, is kept as the text it was written in and never becomes a float of ours.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import msgspec

from integrations.woocommerce import webhooks
from plugin.kernel.digits import whole
from plugin.kernel.money import Money, parse
from plugin.platform import (
    Address,
    CartRecord,
    ConsentRecord,
    CustomerRecord,
    Deletion,
    FulfilmentRecord,
    LineRecord,
    OrderRecord,
    ProductRecord,
    Record,
    RefundRecord,
    Resource,
    StoreNotice,
    VariantRecord,
)

Json = Mapping[str, Any]

STAFF_ROLES: Final = frozenset({"administrator", "shop_manager", "editor", "author", "contributor", "super_admin"})
DRAFTS: Final = frozenset({"checkout-draft", "auto-draft", "draft"})
_DECODER: Final = msgspec.json.Decoder(float_hook=str)
_TAG = re.compile(r"<[^>]*>")
_TRACKING_ITEMS = ("_wc_shipment_tracking_items", "_ast_tracking_items")
_TRACKING_NUMBERS = ("_tracking_number", "_aftership_tracking_number", "tracking_number", "_wcst_tracking_number")
# https://github.com/mailchimp/mc-woocommerce keeps it as user meta.
_NEWSLETTER = ("mailchimp_woocommerce_is_subscribed",)
_SUBSCRIBED = {"1": True, "0": False}
_TRACKING_CARRIERS = ("_tracking_provider", "_aftership_tracking_provider_name", "tracking_provider")
_TRACKING_URLS = ("_tracking_link", "_custom_tracking_link", "tracking_url")
_PROOFS = ("_proof_of_delivery", "_pod_image", "proof_of_delivery")
"""Where delivery plugins put the picture of a parcel that was left."""
_LANGUAGES = ("wpml_language", "_wpml_language", "trp_language", "_order_language")
_PLACEHOLDER = "woocommerce-placeholder"


def decode(body: bytes) -> Any:
    """JSON with every float kept as the text it was written in. Raises ValueError on broken JSON."""
    try:
        return _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError("not JSON") from error


def read_webhook(topic: str, body: bytes, received_at: datetime, *, currency: str = "") -> Sequence[Record]:
    """Records of one delivery whose signature was good. `currency` prices the products, whose JSON names none.

    Raises ValueError on broken JSON and on what has neither an id nor an error code.
    """
    document = decode(body)
    if topic == webhooks.CART_TOPIC:
        return tuple(cart(event) for event in document["events"])
    if not isinstance(document, dict):
        raise ValueError("a webhook body must be an object")
    resource, _, event = topic.partition(".")
    if "id" not in document:
        return _error_body(document, topic, received_at)
    if event == "deleted":
        kind = {"order": Resource.ORDERS, "customer": Resource.CUSTOMERS, "product": Resource.PRODUCTS}.get(resource)
        return (Deletion(kind.value, str(document["id"]), received_at),) if kind else ()
    return record_of(resource, document, currency=currency)


def record_of(resource: str, document: Json, *, currency: str = "", decimals: int | None = None) -> Sequence[Record]:
    """Our records of one WooCommerce object; none for drafts, staff accounts and resources we do not keep."""
    if resource == "order":
        if document["status"] in DRAFTS:
            return ()
        if document["status"] == "trash":
            return (Deletion(Resource.ORDERS.value, str(document["id"]), _version(document)),)
        return (order(document),)
    if resource == "customer":
        return () if document.get("role") in STAFF_ROLES else (customer(document),)
    if resource == "product":
        if document.get("status") == "trash":
            return (Deletion(Resource.PRODUCTS.value, str(document["id"]), _version(document)),)
        return (product(document, currency=currency, decimals=decimals),)
    return ()


def _error_body(document: Json, topic: str, received_at: datetime) -> Sequence[Record]:
    """A signed error object (B7): gone before it was delivered, or the webhook's owner lost rights."""
    code = document.get("code")
    if not isinstance(code, str):
        raise ValueError("neither an id nor an error code")
    if webhooks.owner_demoted(code):
        return (StoreNotice("webhook_owner_demoted", received_at, {"topic": topic, "code": code}),)
    return ()


# Orders


def order(document: Json) -> OrderRecord:
    """An order with its lines, refunds and whatever a shipping plugin left in its metadata."""
    currency = str(document["currency"])
    billing, shipping = document.get("billing") or {}, document.get("shipping") or {}
    total = _money(document["total"], currency)
    if total is None:
        raise ValueError("an order needs a total")
    refunds = tuple(_refund(entry, currency) for entry in document.get("refunds") or ())
    refunded = _sum([refund.amount for refund in refunds], total)
    lines = tuple(_line(entry, currency) for entry in document.get("line_items") or ())
    status = str(document["status"])
    return OrderRecord(
        external_id=str(document["id"]),
        version=_version(document),
        name=f"#{document.get('number') or document['id']}",
        placed_at=_time(document.get("date_created_gmt")) or _version(document),
        total=total,
        status=_STATUS.get(status, ("open", ""))[0],
        payment_status=_payment(status, document, total, refunded),
        fulfilment_status="fulfilled" if status in SENT else "unfulfilled",
        customer_external_id=str(document["customer_id"]) if document.get("customer_id") else "",
        email=str(billing.get("email") or ""),
        phone=str(billing.get("phone") or shipping.get("phone") or ""),
        customer_name=_full_name(billing) or _full_name(shipping),
        locale=_meta(document, _LANGUAGES),
        cancelled_at=_version(document) if status == "cancelled" else None,
        subtotal=_sum([_money(entry.get("subtotal"), currency) for entry in document.get("line_items") or ()], total),
        shipping_total=_money(document.get("shipping_total"), currency),
        discount_total=_money(document.get("discount_total"), currency),
        tax_total=_money(document.get("total_tax"), currency),
        refunded=refunded,
        # A change of its goods changes the total itself; a refund does not (B9).
        current_total=total - refunded,
        payment_method=str(document.get("payment_method_title") or document.get("payment_method") or ""),
        note=str(document.get("customer_note") or ""),
        shipping_address=_address(shipping) or _address(billing),
        cart_token=_meta(document, ("_ahlan_cart_token",)),
        status_url="",
        pickup=_pickup(document),
        lines=lines,
        fulfilments=_fulfilments(document),
        refunds=refunds,
        raw=document,
    )


RETURN_STATUS: Final = "ahlan-return"
"""The status of an order with a return under way, which our plugin registers (`wc-` comes before it there)."""
SENT: Final = frozenset({"completed", RETURN_STATUS})
"""Statuses of an order whose goods have left."""

_STATUS: Final[dict[str, tuple[str, str]]] = {
    "pending": ("open", "pending"),
    "on-hold": ("open", "pending"),
    "processing": ("open", "paid"),
    "completed": ("closed", "paid"),
    RETURN_STATUS: ("closed", "paid"),
    "cancelled": ("cancelled", ""),
    "refunded": ("closed", "refunded"),
    "failed": ("open", "failed"),
}


def _payment(status: str, document: Json, total: Money, refunded: Money) -> str:
    """A partial refund leaves WooCommerce's own status alone (B9), so the refunds are counted."""
    if refunded.amount and refunded.amount >= total.amount:
        return "refunded"
    if refunded.amount:
        return "partially_refunded"
    if status in ("processing", *SENT) and not document.get("date_paid_gmt"):
        return "pending"
    return _STATUS.get(status, ("", ""))[1]


def _line(entry: Json, currency: str) -> LineRecord:
    quantity = int(entry.get("quantity") or 0)
    image = entry.get("image") or {}
    shown = [
        str(meta.get("display_value") or "")
        for meta in entry.get("meta_data") or ()
        if not str(meta.get("key", "_")).startswith("_") and isinstance(meta.get("display_value"), str)
    ]
    variant = " / ".join(part for part in shown if part) if entry.get("variation_id") else ""
    return LineRecord(
        external_id=str(entry["id"]),
        # A variation's own name repeats what was chosen ("T-shirt - S").
        title=html.unescape(str((variant and entry.get("parent_name")) or entry.get("name") or "")),
        quantity=quantity,
        unit_price=_each(entry, quantity, currency),
        variant_title=variant,
        sku=str(entry.get("sku") or ""),
        product_external_id=str(entry["product_id"]) if entry.get("product_id") else "",
        variant_external_id=str(entry.get("variation_id") or entry.get("product_id") or ""),
        image_url=str(image.get("src") or ""),
    )


def _each(entry: Json, quantity: int, currency: str) -> Money | None:
    """The price of one before discounts; `price` is after them and a PHP float."""
    subtotal = _decimal(entry.get("subtotal"))
    if subtotal is not None and quantity:
        return parse(subtotal / quantity, currency)[0]
    return _money(entry.get("price"), currency)


def _refund(entry: Json, currency: str) -> RefundRecord:
    """`refunds[]` of an order: totals are negative strings (B9)."""
    total = _decimal(entry.get("total"))
    amount = parse(abs(total), currency)[0] if total is not None else None
    return RefundRecord(str(entry["id"]), amount, reason=str(entry.get("reason") or ""))


def refund(document: Json, currency: str) -> RefundRecord:
    """A refund of its own collection: `amount` is positive, and it knows when."""
    return RefundRecord(
        str(document["id"]),
        _money(document.get("amount"), currency),
        reason=str(document.get("reason") or ""),
        at=_time(document.get("date_created_gmt")),
    )


def _fulfilments(document: Json) -> tuple[FulfilmentRecord, ...]:
    """Parcels, from the metadata of the usual shipping plugins (B30). WooCommerce itself knows none."""
    sent = _time(document.get("date_completed_gmt"))
    status = "in_transit" if document["status"] in SENT else "unknown"
    parcels: dict[str, FulfilmentRecord] = {}
    for item in _tracking_items(document):
        number = str(item.get("tracking_number") or "")
        if not number:
            continue
        shipped = whole(str(item.get("date_shipped") or ""), 9_999_999_999)
        parcels[number] = FulfilmentRecord(
            external_id=f"{document['id']}:{number}",
            status=status,
            tracking_number=number,
            tracking_url=_web(item.get("custom_tracking_link") or item.get("tracking_link")),
            carrier=str(item.get("tracking_provider") or item.get("custom_tracking_provider") or ""),
            shipped_at=sent if shipped is None else datetime.fromtimestamp(shipped, UTC),
        )
    number = _meta(document, _TRACKING_NUMBERS)
    if number and number not in parcels:
        parcels[number] = FulfilmentRecord(
            external_id=f"{document['id']}:{number}",
            status=status,
            tracking_number=number,
            tracking_url=_web(_meta(document, _TRACKING_URLS)),
            carrier=_meta(document, _TRACKING_CARRIERS),
            shipped_at=sent,
        )
    proof = _web(_meta(document, _PROOFS))
    if proof and parcels:
        last = next(reversed(parcels))
        parcels[last] = replace(parcels[last], proof_url=proof)
    return tuple(parcels.values())


def _pickup(document: Json) -> str:
    """How the shop calls fetching it oneself: WooCommerce's two ways of it; empty where it is sent."""
    for line in document.get("shipping_lines") or ():
        if line.get("method_id") in ("local_pickup", "pickup_location"):
            return str(line.get("method_title") or "pickup")
    return ""


def _tracking_items(document: Json) -> list[Json]:
    for meta in document.get("meta_data") or ():
        if meta.get("key") in _TRACKING_ITEMS and isinstance(meta.get("value"), list):
            return [item for item in meta["value"] if isinstance(item, dict)]
    return []


# Customers


def customer(document: Json) -> CustomerRecord:
    """A registered user. Guests have no record at all: they come with their orders (B24)."""
    billing, shipping = document.get("billing") or {}, document.get("shipping") or {}
    addresses = tuple(address for address in (_address(billing), _address(shipping)) if address)
    return CustomerRecord(
        external_id=str(document["id"]),
        version=_version(document),
        email=str(document.get("email") or billing.get("email") or ""),
        phone=str(billing.get("phone") or shipping.get("phone") or ""),
        first_name=str(document.get("first_name") or billing.get("first_name") or ""),
        last_name=str(document.get("last_name") or billing.get("last_name") or ""),
        addresses=addresses,
        created_at=_time(document.get("date_created_gmt")),
        accepts_marketing=_SUBSCRIBED.get(_meta(document, _NEWSLETTER)),
        consents=_consents(document),
        raw=document,
    )


def _consents(document: Json) -> tuple[ConsentRecord, ...]:
    """WooCommerce itself asks for nothing; a newsletter plugin leaves its answer, without a time, with the user."""
    answer = _SUBSCRIBED.get(_meta(document, _NEWSLETTER))
    if answer is None:
        return ()
    state = "granted" if answer else "denied"
    return (ConsentRecord("email_marketing", state, _version(document), source="mailchimp", dated=False),)


def _address(part: Json) -> Address | None:
    address = Address(
        name=_full_name(part),
        company=str(part.get("company") or ""),
        line1=str(part.get("address_1") or ""),
        line2=str(part.get("address_2") or ""),
        city=str(part.get("city") or ""),
        province=str(part.get("state") or ""),
        postcode=str(part.get("postcode") or ""),
        country=str(part.get("country") or ""),
        phone=str(part.get("phone") or ""),
    )
    return address if address.line1 or address.city or address.postcode else None


def _full_name(part: Json) -> str:
    return f"{part.get('first_name') or ''} {part.get('last_name') or ''}".strip()


# Products


def product(
    document: Json, variations: Sequence[Json] | None = None, *, currency: str = "", decimals: int | None = None
) -> ProductRecord:
    """A product; a variation that arrives alone (B10) names its parent and is its own only variant.

    A variable product without its `variations` at hand says nothing about them: `variants` is empty.
    """
    alone = document.get("type") == "variation" or bool(document.get("parent_id"))
    own = [document] if alone or document.get("type") != "variable" else list(variations or ())
    images = document.get("images") or ([document["image"]] if document.get("image") else [])
    return ProductRecord(
        external_id=str(document["id"]),
        version=_version(document),
        title=html.unescape(str(document.get("name") or "")),
        status="active" if document.get("status") == "publish" else "draft",
        url=str(document.get("permalink") or ""),
        image_url=_picture(images),
        description=_plain(document.get("short_description")) or _plain(document.get("description")),
        product_type=", ".join(term_name(category) for category in document.get("categories") or ()),
        tags=tuple(term_name(tag) for tag in document.get("tags") or ()),
        variants=tuple(_variant(entry, currency, decimals, alone or entry is not document) for entry in own),
        parent_external_id=str(document["parent_id"]) if document.get("parent_id") else "",
        raw=document,
    )


def term_name(term: Json) -> str:
    """The name of a category, a tag or a brand as people read it: WooCommerce tells it with HTML's entities."""
    return html.unescape(str(term.get("name") or ""))


def _picture(images: Sequence[Json]) -> str:
    sources = [str(image.get("src") or "") for image in images]
    return next((source for source in sources if source and _PLACEHOLDER not in source), "")


def _variant(document: Json, currency: str, decimals: int | None, named: bool) -> VariantRecord:
    options = [str(attribute.get("option") or "") for attribute in document.get("attributes") or ()]
    title = " / ".join(option for option in options if option) if named else ""
    stock = document.get("stock_quantity") if document.get("manage_stock") else None
    return VariantRecord(
        external_id=str(document["id"]),
        title=title or html.unescape(str(document.get("name") or "")),
        price=_money(document.get("price"), currency, decimals) if currency else None,
        sku=str(document.get("sku") or ""),
        stock=int(stock) if stock is not None else None,
        available=document.get("stock_status") != "outofstock",
    )


# Carts, from our own plugin


def cart(event: Json) -> CartRecord:
    """One cart event of our plugin (docs/woocommerce-plugin-protocol.md). Raises ValueError on an unknown kind."""
    kind, contents = str(event["kind"]), event["cart"]
    if kind not in ("cart.updated", "checkout.started", "order.placed"):
        raise ValueError(f"unknown cart event: {kind[:40]!r}")
    at = _time(event["at"])
    token, currency = str(contents["token"]), str(contents.get("currency") or "")
    if at is None or not token:
        raise ValueError("a cart event needs a time and a token")
    return CartRecord(
        external_id=token,
        version=at,
        kind="cart" if kind == "cart.updated" else "checkout",
        currency=currency,
        total=_money(contents.get("total"), currency) if currency else None,
        customer_external_id=str(contents.get("customer_id") or ""),
        email=str(contents.get("email") or ""),
        phone=str(contents.get("phone") or ""),
        token=token,
        completed_at=at if kind == "order.placed" else None,
        lines=tuple(_cart_line(item, currency) for item in contents.get("items") or ()),
        raw=event,
    )


def _cart_line(item: Json, currency: str) -> LineRecord:
    product_id, variation = str(item.get("product_id") or ""), str(item.get("variation_id") or "")
    return LineRecord(
        external_id=f"{product_id}:{variation}",
        title=str(item.get("name") or ""),
        quantity=int(item.get("quantity") or 0),
        unit_price=_money(item.get("price"), currency) if currency else None,
        product_external_id=product_id,
        variant_external_id=variation or product_id,
    )


# Small things


def _version(document: Json) -> datetime:
    moment = _time(document.get("date_modified_gmt")) or _time(document.get("date_created_gmt"))
    if moment is None:
        raise ValueError("neither date_modified_gmt nor date_created_gmt")
    return moment


def _time(text: object) -> datetime | None:
    """A `*_gmt` time: UTC, usually without saying so (B25). Raises ValueError on what is no time."""
    if not text:
        return None
    moment = datetime.fromisoformat(str(text))
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _decimal(value: object) -> Decimal | None:
    """An amount as written; None for an empty one. Raises ValueError on what is no number."""
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(f"not an amount: {value!r}")
    try:
        amount = Decimal(value.strip() if isinstance(value, str) else value)
    except InvalidOperation as error:
        raise ValueError(f"not an amount: {value!r}") from error
    if not amount.is_finite():
        raise ValueError(f"not an amount: {value!r}")
    return amount


def _money(value: object, currency: str, decimals: int | None = None) -> Money | None:
    amount = _decimal(value)
    return None if amount is None else parse(amount, currency, decimals)[0]


def _sum(amounts: Sequence[Money | None], like: Money) -> Money:
    return Money(sum(amount.amount for amount in amounts if amount), like.currency, like.exponent)


def _meta(document: Json, names: Sequence[str]) -> str:
    for meta in document.get("meta_data") or ():
        if meta.get("key") in names and isinstance(meta.get("value"), str | int) and meta["value"]:
            return str(meta["value"])
    return ""


def _web(value: object) -> str:
    """A link that may be shown: http or https only."""
    text = str(value or "")
    return text if text.startswith(("https://", "http://")) else ""


def _plain(value: object) -> str:
    return html.unescape(_TAG.sub(" ", str(value or ""))).strip()
