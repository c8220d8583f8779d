"""How WordPress writes: PHP's JSON, its dates, its links, its errors (platforms.md B3, and the recorded samples)."""

from __future__ import annotations

import json
from datetime import UTC, datetime, tzinfo
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from integrations.woocommerce.simulator.database import Json

VERSION = "11.0.1"
WORDPRESS = "7.0.4"
DECIMALS = 3
CURRENCY = "JOD"
SYMBOL = "د.ا"
ALLOW_ITEM = ["GET", "POST", "PUT", "PATCH", "DELETE"]


class WpError(Exception):
    """An error as the REST API gives it: a code, a message, a status, and sometimes more."""

    def __init__(self, code: str, message: str, status: int, **data: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body: Json = {"code": code, "message": message, "data": {"status": status, **data}}


def php_json(value: object) -> bytes:
    """`json_encode` as PHP does it by default: ASCII only, slashes escaped, no blanks."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).replace("/", "\\/").encode()


def money(value: Decimal | str | int) -> str:
    """An amount with the shop's number of decimals."""
    return str(Decimal(value).quantize(Decimal(1).scaleb(-DECIMALS), ROUND_HALF_UP))


def php_number(value: Decimal) -> int | float:
    """A PHP float in JSON: whole numbers lose their point."""
    return int(value) if value == value.to_integral_value() else float(value)


def local(moment: str | None, zone: tzinfo) -> str | None:
    """A stored UTC time ("2026-11-22T01:26:31") as the site writes it: local, without an offset."""
    if moment is None:
        return None
    return datetime.fromisoformat(moment).replace(tzinfo=UTC).astimezone(zone).strftime("%Y-%m-%dT%H:%M:%S")


def stamp(moment: datetime) -> str:
    """A time as documents keep it: UTC, whole seconds, no offset."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")


def links(base: str, path: str, collection: str, allow: list[str] | None = None, **more: str) -> Json:
    """The `_links` block: self, collection, and whatever else points somewhere."""
    block: Json = {
        "self": [{"href": f"{base}/wp-json/wc/v3/{path}", "targetHints": {"allow": allow or ALLOW_ITEM}}],
        "collection": [{"href": f"{base}/wp-json/wc/v3/{collection}"}],
    }
    block.update({name: [{"href": f"{base}/wp-json/wc/v3/{target}"}] for name, target in more.items()})
    return block


def order_json(order: Json, base: str, zone: tzinfo) -> Json:
    """An order as REST and webhooks give it, in the recorded order of fields."""
    identifier = order["id"]
    own: Json = {key: order[key] for key in _ORDER_HEAD}
    own["date_created"] = local(order["date_created_gmt"], zone)
    own["date_modified"] = local(order["date_modified_gmt"], zone)
    for field in _ORDER_MONEY:
        own[field] = order[field]
    for field in ("customer_id", "order_key", "billing", "shipping", "payment_method", "payment_method_title"):
        own[field] = order[field]
    for field in ("transaction_id", "customer_ip_address", "customer_user_agent", "created_via", "customer_note"):
        own[field] = order[field]
    own["date_completed"] = local(order["date_completed_gmt"], zone)
    own["date_paid"] = local(order["date_paid_gmt"], zone)
    own["cart_hash"] = order["cart_hash"]
    own["number"] = str(identifier)
    own["meta_data"] = order["meta_data"]
    own["line_items"] = [_with_image(line, base) for line in order["line_items"]]
    for field in ("tax_lines", "shipping_lines", "fee_lines", "coupon_lines", "refunds"):
        own[field] = order[field]
    pay = f"{base}/checkout/order-pay/{identifier}/?pay_for_order=true&key={order['order_key']}"
    own["payment_url"] = pay
    unpaid = order["status"] in ("pending", "failed")
    own["is_editable"] = order["status"] in ("pending", "on-hold", "auto-draft")
    own["needs_payment"] = unpaid and Decimal(order["total"]) > 0
    own["needs_processing"] = True
    for field in ("date_created_gmt", "date_modified_gmt", "date_completed_gmt", "date_paid_gmt"):
        own[field] = order[field]
    own["currency_symbol"] = SYMBOL
    block = links(base, f"orders/{identifier}", "orders")
    templates = f"{base}/wp-json/wc/v3/orders/{identifier}/actions/email_templates"
    block["email_templates"] = [{"embeddable": True, "href": templates}]
    if order["customer_id"]:
        block["customer"] = [{"href": f"{base}/wp-json/wc/v3/customers/{order['customer_id']}"}]
    return {**own, "_links": block}


_ORDER_HEAD = ("id", "parent_id", "status", "currency", "version", "prices_include_tax")
_ORDER_MONEY = (
    "discount_total", "discount_tax", "shipping_total", "shipping_tax", "cart_tax", "total", "total_tax",
)  # fmt: skip


def _with_image(line: Json, base: str) -> Json:
    image = line["image"]
    return {**line, "image": {**image, "src": f"{base}{image['src']}"}} if image["src"] else line


def refund_json(refund: Json, base: str, zone: tzinfo) -> Json:
    """A refund: `amount` positive, its lines negative."""
    order = f"orders/{refund['order_id']}"
    fields = ("amount", "reason", "refunded_by", "refunded_payment", "meta_data", "line_items")
    return {
        "id": refund["id"],
        "date_created": local(refund["date_created_gmt"], zone),
        "date_created_gmt": refund["date_created_gmt"],
        **{field: refund[field] for field in fields},
        # A demo that was seeded before delivery could go back has none of these.
        "shipping_lines": refund.get("shipping_lines", []),
        "tax_lines": [],
        "fee_lines": refund.get("fee_lines", []),
        "_links": links(base, f"{order}/refunds/{refund['id']}", f"{order}/refunds", ["GET", "DELETE"], up=order),
    }


def note_json(note: Json, base: str, zone: tzinfo) -> Json:
    """An order note; notes send no webhook (B9)."""
    order = f"orders/{note['order_id']}"
    return {
        "id": note["id"],
        "author": note["author"],
        "date_created": local(note["date_created_gmt"], zone),
        "date_created_gmt": note["date_created_gmt"],
        "note": note["note"],
        "customer_note": note["customer_note"],
        "_links": links(base, f"{order}/notes/{note['id']}", f"{order}/notes", ["GET", "DELETE"], up=order),
    }


def customer_json(customer: Json, base: str, zone: tzinfo) -> Json:
    """A user, also an administrator: `role` tells (B10)."""
    identifier = customer["id"]
    return {
        "id": identifier,
        "date_created": local(customer["date_created_gmt"], zone),
        "date_created_gmt": customer["date_created_gmt"],
        "date_modified": local(customer["date_modified_gmt"], zone),
        "date_modified_gmt": customer["date_modified_gmt"],
        **{field: customer[field] for field in ("email", "first_name", "last_name", "role", "username")},
        **{field: customer[field] for field in ("billing", "shipping", "is_paying_customer", "avatar_url")},
        "meta_data": customer["meta_data"],
        "_links": links(base, f"customers/{identifier}", "customers"),
    }


def product_json(product: Json, base: str, zone: tzinfo) -> Json:
    """A product, or a variation as product.updated delivers it (`type: variation`, `parent_id`)."""
    body: Json = {}
    for field, value in product.items():
        if field.startswith("_"):
            continue
        if field == "date_created_gmt":
            body["date_created"] = local(value, zone)
        if field == "date_modified_gmt":
            body["date_modified"] = local(value, zone)
        body[field] = value
    body["permalink"] = f"{base}{product['permalink']}"
    body["images"] = [{**image, "src": f"{base}{image['src']}"} for image in product["images"]]
    body["_links"] = links(base, f"products/{product['id']}", "products")
    if product["parent_id"]:
        body["_links"]["up"] = [{"href": f"{base}/wp-json/wc/v3/products/{product['parent_id']}"}]
    return body


def webhook_json(webhook: Json, base: str, zone: tzinfo) -> Json:
    """A webhook: never its secret, never its failure counter (B4, B13)."""
    identifier = webhook["id"]
    own = {field: webhook[field] for field in ("id", "name", "status", "topic", "resource", "event", "hooks")}
    return {
        **own,
        "delivery_url": webhook["delivery_url"],
        "date_created": local(webhook["date_created_gmt"], zone),
        "date_created_gmt": webhook["date_created_gmt"],
        "date_modified": local(webhook["date_modified_gmt"], zone),
        "date_modified_gmt": webhook["date_modified_gmt"],
        "_links": links(base, f"webhooks/{identifier}", "webhooks"),
    }


def coupon_json(coupon: Json, base: str, zone: tzinfo) -> Json:
    """A coupon."""
    body: Json = {}
    for field, value in coupon.items():
        if field == "date_created_gmt":
            body["date_created"] = local(value, zone)
        if field == "date_modified_gmt":
            body["date_modified"] = local(value, zone)
        if not field.startswith("_"):
            body[field] = value
    return {**body, "_links": links(base, f"coupons/{coupon['id']}", "coupons")}
