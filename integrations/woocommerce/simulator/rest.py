"""The REST API `wc/v3`, as far as Ahlan and curious developers use it, with the habits of platforms.md B3."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from integrations.woocommerce.simulator import shipping, wire
from integrations.woocommerce.simulator.database import Json
from integrations.woocommerce.simulator.hooks import Hooks
from integrations.woocommerce.simulator.shop import GATEWAYS, STATUSES, Shop, Wanted, invalid_status
from integrations.woocommerce.simulator.wire import WpError, stamp

NAMESPACES = ["oembed/1.0", "wc/v1", "wc/v2", "wc/v3", "wc/store", "wc/store/v1", "wc-ahlan/v1", "wp/v2"]
_YES = (True, 1, "1", "true", "yes")


@dataclass(slots=True)
class Call:
    """One REST request, its key already checked (None: a stranger)."""

    method: str
    path: str
    params: Mapping[str, str]
    body: Json
    base: str
    key: Json | None
    ids: tuple[int, ...] = ()

    def flag(self, name: str) -> bool:
        """A boolean parameter, from the query or the body."""
        return self.params.get(name, self.body.get(name)) in _YES

    def listed(self, name: str) -> list[str]:
        """A list parameter: `a,b`, `name[]=a`, `name[0]=a`."""
        found = [value for key, value in self.params.items() if key == name or key.startswith(f"{name}[")]
        return [part.strip() for value in found for part in value.split(",") if part.strip()]


@dataclass(slots=True)
class Answer:
    """What goes back; `allow` is the Allow header."""

    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    allow: tuple[str, ...] = ()


Handler = Callable[["Rest", Call], Awaitable[Answer] | Answer]


class Rest:
    """Answers `wc/v3` calls."""

    def __init__(self, shop: Shop, hooks: Hooks) -> None:
        self.shop = shop
        self.hooks = hooks

    async def answer(self, call: Call) -> Answer:
        """Route one call. Raises WpError."""
        matching = [
            (method, found, handler) for method, pattern, handler in _ROUTES if (found := pattern.fullmatch(call.path))
        ]
        verbs = [("POST", "PUT", "PATCH") if method == "PUT" else (method,) for method, _, _ in matching]
        allow = tuple(verb for group in verbs for verb in group)
        for method, found, handler in matching:
            if method != call.method and not (method == "PUT" and call.method in ("POST", "PATCH")):
                continue
            if call.key is None:
                verb = "list" if method == "GET" and not found.groups() else "view" if method == "GET" else "create"
                noun = "resources" if verb in ("list", "create") else "this resource"
                code = "cannot_create" if method == "POST" else "cannot_view"
                raise WpError(f"woocommerce_rest_{code}", f"Sorry, you cannot {verb} {noun}.", 401)
            call.ids = tuple(int(text) for text in found.groups() if text and text.isdecimal())
            result = handler(self, call)
            answer = result if isinstance(result, Answer) else await result
            answer.allow = allow
            return answer
        message = "No route was found matching the URL and request method."
        raise WpError("rest_no_route", message, 404)

    def resource(self, name: str, resource_id: int, base: str) -> Json:
        """What a webhook carries. Raises WpError with the code that a delivery then carries instead (B7)."""
        kind, code = {
            "order": ("order", "woocommerce_rest_shop_order_invalid_id"),
            "product": ("product", "woocommerce_rest_product_invalid_id"),
            "customer": ("customer", "woocommerce_rest_invalid_id"),
            "coupon": ("coupon", "woocommerce_rest_shop_coupon_invalid_id"),
        }.get(name, ("", "rest_no_route"))
        found = self.shop.documents.get(kind, resource_id)
        if found is None:
            raise WpError(code, "Invalid ID." if kind != "customer" else "Invalid resource ID.", 404)
        return _RENDER[kind](found, base, self.shop.zone)

    def page(self, call: Call, documents: Iterable[Json], render: Callable[[Json, str, ZoneInfo], Json]) -> Answer:
        """A slice with its totals in headers; the Link header repeats the query, secrets and all (B21, B23)."""
        size, number = _bounded(call, "per_page", 10, 1, 100), _bounded(call, "page", 1, 1, None)
        rows = list(documents)
        start = (number - 1) * size + int(call.params.get("offset") or 0)
        pages = math.ceil(len(rows) / size)
        headers = {"X-WP-Total": str(len(rows)), "X-WP-TotalPages": str(pages)}
        if number < pages:
            query = urlencode({**call.params, "page": str(number + 1)})
            headers["Link"] = f'<{call.base}/wp-json/wc/v3/{call.path}?{query}>; rel="next"'
        body = [self.shown(call, render(row, call.base, self.shop.zone)) for row in rows[start : start + size]]
        return Answer(body, headers=headers)

    def shown(self, call: Call, body: Json) -> Json:
        """Only the `_fields` that were asked for."""
        wanted = call.listed("_fields")
        return {name: value for name, value in body.items() if name in wanted} if wanted else body

    def one(self, call: Call, kind: str, document: Json, status: int = 200) -> Answer:
        """One thing, rendered."""
        return Answer(self.shown(call, _RENDER[kind](document, call.base, self.shop.zone)), status)


_RENDER: dict[str, Callable[[Json, str, ZoneInfo], Json]] = {
    "order": wire.order_json,
    "product": wire.product_json,
    "customer": wire.customer_json,
    "coupon": wire.coupon_json,
    "refund": wire.refund_json,
    "note": wire.note_json,
    "webhook": wire.webhook_json,
}


# Selecting and sorting


def _bounded(call: Call, name: str, default: int, low: int, high: int | None) -> int:
    text = call.params.get(name)
    if text is None or text == "":
        return default
    value = int(text) if re.fullmatch(r"-?[0-9]{1,18}", text) else None
    if value is not None and value >= low and (high is None or value <= high):
        return value
    limit = f"between {low} (inclusive) and {high} (inclusive)" if high else f"greater than or equal to {low}"
    message = f"{name} must be {limit}" if value is not None else f"{name} is not of type integer."
    code = "rest_out_of_bounds" if value is not None else "rest_invalid_type"
    raise WpError(
        "rest_invalid_param",
        f"Invalid parameter(s): {name}",
        400,
        params={name: message},
        details={name: {"code": code, "message": message, "data": None}},
    )


def _moment(call: Call, name: str, zone: ZoneInfo) -> str | None:
    """A date parameter in UTC. Without an offset it is site-local unless dates_are_gmt (B25)."""
    text = call.params.get(name)
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        message = "Invalid date."
        raise WpError("rest_invalid_param", f"Invalid parameter(s): {name}", 400, params={name: message}) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC if call.flag("dates_are_gmt") else zone)
    return stamp(moment)


def _in_time(call: Call, rows: Iterable[Json], zone: ZoneInfo, *, modified: bool = True) -> Iterable[Json]:
    """after, before, modified_after, modified_before: exclusive, one second fine (B25)."""
    bounds = [("after", "date_created_gmt", 1), ("before", "date_created_gmt", -1)]
    if modified:
        bounds += [("modified_after", "date_modified_gmt", 1), ("modified_before", "date_modified_gmt", -1)]
    for name, column, sign in bounds:
        limit = _moment(call, name, zone)
        if limit is not None:
            rows = [row for row in rows if (row[column] > limit if sign > 0 else row[column] < limit)]
    return rows


def _chosen(call: Call, rows: Iterable[Json]) -> Iterable[Json]:
    include = {int(text) for text in call.listed("include") if text.isdecimal()}
    exclude = {int(text) for text in call.listed("exclude") if text.isdecimal()}
    return [row for row in rows if (not include or row["id"] in include) and row["id"] not in exclude]


def _sorted(call: Call, rows: Iterable[Json], columns: Mapping[str, str], default: str, descending: bool) -> list[Json]:
    name = call.params.get("orderby") or default
    if name not in columns:
        allowed = ", ".join(columns)
        message = f"orderby is not one of {allowed}."
        raise WpError("rest_invalid_param", "Invalid parameter(s): orderby", 400, params={"orderby": message})
    down = call.params["order"].lower() == "desc" if call.params.get("order") else descending
    column = columns[name]
    return sorted(rows, key=lambda row: (str(row[column]) if column != "id" else "", row["id"]), reverse=down)


_BY_DATE = {"date": "date_created_gmt", "id": "id", "modified": "date_modified_gmt", "include": "id", "title": "id"}


# Orders


def _list_orders(rest: Rest, call: Call) -> Answer:
    statuses = [text.removeprefix("wc-") for text in call.listed("status")] or ["any"]
    for status in statuses:
        if status not in ("any", "trash", "auto-draft", *STATUSES):
            raise invalid_status(status)
    rows = [
        order
        for order in rest.shop.orders()
        if order["status"] in statuses or ("any" in statuses and order["status"] != "trash")
    ]
    if call.params.get("customer", "").isdecimal():
        rows = [row for row in rows if row["customer_id"] == int(call.params["customer"])]
    if call.params.get("product", "").isdecimal():
        wanted = int(call.params["product"])
        rows = [row for row in rows if any(line["product_id"] == wanted for line in row["line_items"])]
    needle = call.params.get("search", "").casefold()
    if needle:
        rows = [row for row in rows if needle in _searchable(row)]
    found = _in_time(call, _chosen(call, rows), rest.shop.zone)
    return rest.page(call, _sorted(call, found, _BY_DATE, "date", True), wire.order_json)


def _searchable(order: Json) -> str:
    """Substring search over number, names, e-mail and phone (B24)."""
    parts = [str(order["id"]), *order["billing"].values(), *order["shipping"].values()]
    return " ".join(str(part) for part in parts).casefold()


def _order(rest: Rest, order_id: int) -> Json:
    found = rest.shop.documents.get("order", order_id)
    if found is None:
        raise WpError("woocommerce_rest_shop_order_invalid_id", "Invalid ID.", 404)
    return found


def _get_order(rest: Rest, call: Call) -> Answer:
    return rest.one(call, "order", _order(rest, call.ids[0]))


def _create_order(rest: Rest, call: Call) -> Answer:
    body = call.body
    lines = [
        Wanted(int(line.get("product_id") or 0), int(line.get("variation_id") or 0), int(line.get("quantity") or 1))
        for line in body.get("line_items") or ()
    ]
    status = str(body.get("status") or "pending")
    if status not in STATUSES:
        raise invalid_status(status)
    if body.get("set_paid") in _YES and status == "pending":
        status = "processing"
    order = rest.shop.create_order(
        lines,
        customer_id=int(body.get("customer_id") or 0),
        billing=body.get("billing"),
        shipping=body.get("shipping"),
        status=status,
        payment_method=str(body.get("payment_method") or ""),
        customer_note=str(body.get("customer_note") or ""),
        ship=bool(body.get("shipping_lines")),
    )
    order = rest.shop.reprice(order, body.get("line_items") or (), body.get("fee_lines") or ())
    for meta in body.get("meta_data") or ():
        rest.shop.set_order_meta(order, str(meta["key"]), meta["value"])
    rest.shop.documents.put("order", order["id"], order)
    return rest.one(call, "order", order, 201)


_TEMPLATES = ("customer_invoice", "customer_processing_order", "customer_completed_order", "customer_refunded_order")


def _send_email(rest: Rest, call: Call) -> Answer:
    """One of WooCommerce's own mails about an order, since 9.8."""
    order = _order(rest, call.ids[0])
    template = str(call.body.get("template_id") or "")
    if template not in _TEMPLATES:
        message = f"{template} is not a valid template for this order."
        raise WpError("woocommerce_rest_invalid_email_template", message, 400)
    if not order["billing"]["email"]:
        raise WpError("woocommerce_rest_missing_email", "Order does not have an email address.", 400)
    text = f'Email template "{template}" sent to {order["billing"]["email"]}, via REST API.'
    rest.shop.add_note(order["id"], text)
    return Answer({"message": text})


def _update_order(rest: Rest, call: Call) -> Answer:
    return rest.one(call, "order", rest.shop.update_order(call.ids[0], call.body))


def _delete_order(rest: Rest, call: Call) -> Answer:
    return rest.one(call, "order", rest.shop.trash_order(call.ids[0], force=call.flag("force")))


async def _batch_orders(rest: Rest, call: Call) -> Answer:
    """Always 200: each item that failed carries its own error (B28)."""
    result: dict[str, list[Json]] = {}
    verbs = {"create": ("POST", _create_order), "update": ("PUT", _update_order), "delete": ("DELETE", _delete_order)}
    for verb, (method, handler) in verbs.items():
        for item in call.body.get(verb) or ():
            identifier = int(item if isinstance(item, int) else item.get("id") or 0)
            body = item if isinstance(item, dict) else {}
            single = Call(method, f"orders/{identifier}", {}, body, call.base, call.key, (identifier,))
            try:
                outcome = handler(rest, single).body
            except WpError as error:
                outcome = {"id": identifier, "error": error.body}
            result.setdefault(verb, []).append(outcome)
    return Answer(result)


# Refunds and notes


def _list_refunds(rest: Rest, call: Call) -> Answer:
    order = _order(rest, call.ids[0])
    rows = [rest.shop.documents.get("refund", entry["id"]) for entry in order["refunds"]]
    return rest.page(call, [row for row in rows if row], wire.refund_json)


def _refund(rest: Rest, call: Call) -> Json:
    found = rest.shop.documents.get("refund", call.ids[1])
    if found is None or found["order_id"] != call.ids[0]:
        raise WpError("woocommerce_rest_invalid_order_refund_id", "Invalid order refund ID.", 404)
    return found


def _get_refund(rest: Rest, call: Call) -> Answer:
    return rest.one(call, "refund", _refund(rest, call))


def _create_refund(rest: Rest, call: Call) -> Answer:
    order_id = call.ids[0]
    refund = rest.shop.refund(order_id, call.body)
    answer = rest.one(call, "refund", refund, 201)
    # The real thing forgets to fill in its own route here; recorded in rest.refund-create.txt.
    answer.headers["Location"] = rf"{call.base}/wp-json/wc/v3/orders/(?P<order_id>[\d]+)/refunds/{refund['id']}"
    return answer


def _delete_refund(rest: Rest, call: Call) -> Answer:
    _refund(rest, call)
    if not call.flag("force"):
        raise WpError("woocommerce_rest_trash_not_supported", "Refunds do not support trashing.", 501)
    return rest.one(call, "refund", rest.shop.delete_refund(*call.ids))


def _list_notes(rest: Rest, call: Call) -> Answer:
    order = _order(rest, call.ids[0])
    rows = [note for note in rest.shop.documents.all("note") if note["order_id"] == order["id"]]
    kind = call.params.get("type")
    if kind in ("customer", "internal"):
        rows = [note for note in rows if note["customer_note"] == (kind == "customer")]
    return Answer([rest.shown(call, wire.note_json(note, call.base, rest.shop.zone)) for note in reversed(rows)])


def _create_note(rest: Rest, call: Call) -> Answer:
    order = _order(rest, call.ids[0])
    text = str(call.body.get("note") or "")
    if not text:
        raise WpError("rest_missing_callback_param", "Missing parameter(s): note", 400, params=["note"])
    customer = call.body.get("customer_note") in _YES
    author = "Rania" if call.body.get("added_by_user") in _YES else "WooCommerce"
    return rest.one(call, "note", rest.shop.add_note(order["id"], text, customer=customer, author=author), 201)


# Customers


def _list_customers(rest: Rest, call: Call) -> Answer:
    """role=customer unless said otherwise; `search` sees no names; modified_after is not looked at (B24, B25)."""
    role = call.params.get("role") or "customer"
    rows = [row for row in rest.shop.documents.all("customer") if role in ("all", row["role"])]
    email = call.params.get("email", "").lower()
    if email:
        rows = [row for row in rows if row["email"].lower() == email]
    needle = call.params.get("search", "").lower()
    if needle:
        rows = [row for row in rows if needle in row["email"].lower() or needle in row["username"].lower()]
    columns = {"name": "username", "id": "id", "include": "id", "registered_date": "date_created_gmt"}
    return rest.page(call, _sorted(call, _chosen(call, rows), columns, "name", False), wire.customer_json)


def _customer(rest: Rest, customer_id: int) -> Json:
    found = rest.shop.documents.get("customer", customer_id)
    if found is None:
        raise WpError("woocommerce_rest_invalid_id", "Invalid resource ID.", 404)
    return found


def _get_customer(rest: Rest, call: Call) -> Answer:
    return rest.one(call, "customer", _customer(rest, call.ids[0]))


def _create_customer(rest: Rest, call: Call) -> Answer:
    email = str(call.body.get("email") or "")
    if not email:
        raise WpError("rest_missing_callback_param", "Missing parameter(s): email", 400, params=["email"])
    customer = rest.shop.create_customer(
        email=email,
        first_name=str(call.body.get("first_name") or ""),
        last_name=str(call.body.get("last_name") or ""),
        username=call.body.get("username"),
        billing=call.body.get("billing"),
        shipping=call.body.get("shipping"),
    )
    return rest.one(call, "customer", customer, 201)


def _update_customer(rest: Rest, call: Call) -> Answer:
    return rest.one(call, "customer", rest.shop.update_customer(call.ids[0], call.body))


def _delete_customer(rest: Rest, call: Call) -> Answer:
    customer = _customer(rest, call.ids[0])
    if not call.flag("force"):
        raise WpError("woocommerce_rest_trash_not_supported", "Customers do not support trashing.", 501)
    answer = rest.one(call, "customer", customer)
    rest.shop.delete_customer(customer["id"])
    return answer


# Products


def _list_products(rest: Rest, call: Call) -> Answer:
    rows = [row for row in rest.shop.documents.all("product") if not row["parent_id"]]
    status = call.params.get("status") or "any"
    rows = [row for row in rows if row["status"] == status or (status == "any" and row["status"] != "trash")]
    if call.params.get("type"):
        rows = [row for row in rows if row["type"] == call.params["type"]]
    skus = call.listed("sku")
    if skus:
        rows = [row for row in rest.shop.documents.all("product") if row["sku"] in skus]
    needle = call.params.get("search", "").casefold()
    if needle:
        rows = [row for row in rows if needle in row["name"].casefold()]
    columns = {**_BY_DATE, "title": "name", "slug": "slug"}
    found = _in_time(call, _chosen(call, rows), rest.shop.zone)
    return rest.page(call, _sorted(call, found, columns, "date", True), wire.product_json)


def _product(rest: Rest, product_id: int) -> Json:
    found = rest.shop.documents.get("product", product_id)
    if found is None:
        raise WpError("woocommerce_rest_product_invalid_id", "Invalid ID.", 404)
    return found


def _get_product(rest: Rest, call: Call) -> Answer:
    return rest.one(call, "product", _product(rest, call.ids[0]))


def _update_product(rest: Rest, call: Call) -> Answer:
    _product(rest, call.ids[0])
    return rest.one(call, "product", rest.shop.update_product(call.ids[0], call.body))


def _delete_product(rest: Rest, call: Call) -> Answer:
    return rest.one(call, "product", rest.shop.trash_product(call.ids[0], force=call.flag("force")))


def _list_variations(rest: Rest, call: Call) -> Answer:
    parent = _product(rest, call.ids[0])
    rows = [row for row in rest.shop.documents.all("product") if row["parent_id"] == parent["id"]]
    found = _in_time(call, _chosen(call, rows), rest.shop.zone)
    return rest.page(call, _sorted(call, found, _BY_DATE, "date", True), _variation_json)


def _get_variation(rest: Rest, call: Call) -> Answer:
    found = rest.shop.documents.get("product", call.ids[1])
    if found is None or found["parent_id"] != call.ids[0]:
        raise WpError("woocommerce_rest_product_variation_invalid_id", "Invalid ID.", 404)
    return Answer(rest.shown(call, _variation_json(found, call.base, rest.shop.zone)))


def _variation_json(product: Json, base: str, zone: ZoneInfo) -> Json:
    """A variation in its own collection: one `image` where a product has `images`."""
    body = wire.product_json(product, base, zone)
    images = body.pop("images")
    parent = f"products/{product['parent_id']}"
    block = wire.links(base, f"{parent}/variations/{product['id']}", f"{parent}/variations", up=parent)
    return {**body, "image": images[0] if images else None, "_links": block}


# Webhooks


def _list_webhooks(rest: Rest, call: Call) -> Answer:
    rows: Iterable[Json] = rest.shop.documents.all("webhook")
    if call.params.get("status") in ("active", "paused", "disabled"):
        rows = [row for row in rows if row["status"] == call.params["status"]]
    columns = {"date": "date_created_gmt", "id": "id"}
    return rest.page(call, _sorted(call, rows, columns, "date", True), wire.webhook_json)


def _get_webhook(rest: Rest, call: Call) -> Answer:
    return rest.one(call, "webhook", rest.hooks.existing(call.ids[0]))


async def _create_webhook(rest: Rest, call: Call) -> Answer:
    return rest.one(call, "webhook", await rest.hooks.create(call.body, rest.shop.now()), 201)


def _update_webhook(rest: Rest, call: Call) -> Answer:
    return rest.one(call, "webhook", rest.hooks.update(call.ids[0], call.body, rest.shop.now()))


def _delete_webhook(rest: Rest, call: Call) -> Answer:
    return rest.one(call, "webhook", rest.hooks.delete(call.ids[0], force=call.flag("force")))


# Coupons, settings, system


def _list_coupons(rest: Rest, call: Call) -> Answer:
    rows = rest.shop.documents.all("coupon")
    code = call.params.get("code", "").lower()
    chosen = [row for row in rows if not code or row["code"] == code]
    return rest.page(call, _sorted(call, chosen, _BY_DATE, "date", True), wire.coupon_json)


def _create_coupon(rest: Rest, call: Call) -> Answer:
    return rest.one(call, "coupon", rest.shop.create_coupon(call.body), 201)


def _delete_coupon(rest: Rest, call: Call) -> Answer:
    answer = _get_coupon(rest, call)
    if call.flag("force"):
        rest.shop.documents.delete("coupon", call.ids[0])
        return answer
    found = rest.shop.documents.get("coupon", call.ids[0]) or {}
    rest.shop.documents.put("coupon", call.ids[0], {**found, "status": "trash"})
    return answer


def _get_coupon(rest: Rest, call: Call) -> Answer:
    found = rest.shop.documents.get("coupon", call.ids[0])
    if found is None:
        raise WpError("woocommerce_rest_shop_coupon_invalid_id", "Invalid ID.", 404)
    return rest.one(call, "coupon", found)


def _list_gateways(rest: Rest, call: Call) -> Answer:
    allowed = ["GET", "POST", "PUT", "PATCH"]
    body = [
        {
            "id": name,
            "title": title,
            "description": "",
            "order": position,
            "enabled": enabled,
            "method_title": title,
            "method_supports": ["products", *(["refunds"] if name in rest.shop.refunding_gateways() else [])],
            "settings": {},
            "_links": wire.links(call.base, f"payment_gateways/{name}", "payment_gateways", allowed),
        }
        for position, (name, title, enabled) in enumerate(GATEWAYS)
    ]
    headers = {"X-WP-Total": str(len(body)), "X-WP-TotalPages": "1"}
    return Answer([rest.shown(call, gateway) for gateway in body], headers=headers)


def _list_zones(rest: Rest, call: Call) -> Answer:
    return Answer([rest.shown(call, zone) for zone in shipping.zones()])


def _list_of_zone(rest: Rest, call: Call) -> Answer:
    read = shipping.methods if call.path.endswith("methods") else shipping.locations
    found = read(int(call.path.split("/")[-2]))
    if found is None:
        raise WpError("woocommerce_rest_shipping_zone_invalid", "Resource does not exist.", 404)
    return Answer([rest.shown(call, one) for one in found])


def _system_status(rest: Rest, call: Call) -> Answer:
    environment = {
        "home_url": call.base,
        "site_url": call.base,
        "version": wire.VERSION,
        "wp_version": wire.WORDPRESS,
        "wp_multisite": False,
        "wp_cron": True,
        "language": "en_US",
        "php_version": "8.2.36",
        "default_timezone": "UTC",
    }
    settings = {
        "api_enabled": False,
        "force_ssl": False,
        "currency": wire.CURRENCY,
        "currency_symbol": wire.SYMBOL,
        "currency_position": "right_space",
        "thousand_separator": ",",
        "decimal_separator": ".",
        "number_of_decimals": wire.DECIMALS,
        "HPOS_enabled": True,
    }
    plugin = {"plugin": "wc-ahlan/wc-ahlan.php", "name": "Ahlan", "version": "0.1.0"}
    security = {"secure_connection": True, "hide_errors": True}
    report = {"environment": environment, "active_plugins": [plugin], "settings": settings, "security": security}
    return Answer(rest.shown(call, report))


_SETTINGS: tuple[tuple[str, str, str | list[str]], ...] = (
    ("woocommerce_store_address", "text", "شارع الرينبو ٢٢"),
    ("woocommerce_store_city", "text", "Amman"),
    ("woocommerce_default_country", "select", "JO"),
    ("woocommerce_allowed_countries", "select", "all"),
    ("woocommerce_all_except_countries", "multiselect", []),
    ("woocommerce_specific_allowed_countries", "multiselect", []),
    ("woocommerce_ship_to_countries", "select", ""),
    ("woocommerce_specific_ship_to_countries", "multiselect", []),
    ("woocommerce_currency", "select", wire.CURRENCY),
    ("woocommerce_currency_pos", "select", "right_space"),
    ("woocommerce_price_num_decimals", "number", str(wire.DECIMALS)),
)


def _list_settings(rest: Rest, call: Call) -> Answer:
    return Answer([_setting(call, *setting) for setting in _SETTINGS])


def _get_setting(rest: Rest, call: Call) -> Answer:
    name = call.path.rpartition("/")[2]
    for setting in _SETTINGS:
        if setting[0] == name:
            return Answer(_setting(call, *setting))
    raise WpError("rest_setting_setting_invalid", "Invalid setting.", 404)


def _setting(call: Call, name: str, kind: str, value: str | list[str]) -> Json:
    block = wire.links(call.base, f"settings/general/{name}", "settings/general", ["GET", "POST", "PUT", "PATCH"])
    label = name.removeprefix("woocommerce_").replace("_", " ").capitalize()
    shown = {"label": label, "description": "", "type": kind, "default": "", "tip": "", "value": value}
    return {"id": name, **shown, "group_id": "general", "_links": block}


def _current_currency(rest: Rest, call: Call) -> Answer:
    links = {"self": [{"href": f"{call.base}/wp-json/wc/v3/data/currencies/{wire.CURRENCY}"}]}
    return Answer({"code": wire.CURRENCY, "name": "Jordanian dinar", "symbol": wire.SYMBOL, "_links": links})


_ROUTES: tuple[tuple[str, re.Pattern[str], Handler], ...] = tuple(
    (method, re.compile(pattern), handler)
    for method, pattern, handler in (
        ("GET", r"orders", _list_orders),
        ("POST", r"orders", _create_order),
        ("POST", r"orders/batch", _batch_orders),
        ("GET", r"orders/(\d+)", _get_order),
        ("PUT", r"orders/(\d+)", _update_order),
        ("DELETE", r"orders/(\d+)", _delete_order),
        ("GET", r"orders/(\d+)/refunds", _list_refunds),
        ("POST", r"orders/(\d+)/refunds", _create_refund),
        ("GET", r"orders/(\d+)/refunds/(\d+)", _get_refund),
        ("DELETE", r"orders/(\d+)/refunds/(\d+)", _delete_refund),
        ("POST", r"orders/(\d+)/actions/send_email", _send_email),
        ("GET", r"orders/(\d+)/notes", _list_notes),
        ("POST", r"orders/(\d+)/notes", _create_note),
        ("GET", r"customers", _list_customers),
        ("POST", r"customers", _create_customer),
        ("GET", r"customers/(\d+)", _get_customer),
        ("PUT", r"customers/(\d+)", _update_customer),
        ("DELETE", r"customers/(\d+)", _delete_customer),
        ("GET", r"products", _list_products),
        ("GET", r"products/(\d+)", _get_product),
        ("PUT", r"products/(\d+)", _update_product),
        ("DELETE", r"products/(\d+)", _delete_product),
        ("GET", r"products/(\d+)/variations", _list_variations),
        ("GET", r"products/(\d+)/variations/(\d+)", _get_variation),
        ("GET", r"webhooks", _list_webhooks),
        ("POST", r"webhooks", _create_webhook),
        ("GET", r"webhooks/(\d+)", _get_webhook),
        ("PUT", r"webhooks/(\d+)", _update_webhook),
        ("DELETE", r"webhooks/(\d+)", _delete_webhook),
        ("GET", r"coupons", _list_coupons),
        ("POST", r"coupons", _create_coupon),
        ("GET", r"coupons/(\d+)", _get_coupon),
        ("DELETE", r"coupons/(\d+)", _delete_coupon),
        ("GET", r"payment_gateways", _list_gateways),
        ("GET", r"shipping/zones", _list_zones),
        ("GET", r"shipping/zones/(\d+)/(locations|methods)", _list_of_zone),
        ("GET", r"system_status", _system_status),
        ("GET", r"settings/general", _list_settings),
        ("GET", r"settings/general/([a-z_]+)", _get_setting),
        ("GET", r"data/currencies/current", _current_currency),
    )
)


def index(base: str, home: str, zone: ZoneInfo, name: str) -> Json:
    """`/wp-json/`: what a stranger may know of the site. `home` is where its visitors are."""
    offset = datetime.now(zone).utcoffset()
    return {
        "name": name,
        "description": "",
        "url": base,
        "home": home,
        "gmt_offset": offset.total_seconds() / 3600 if offset else 0,
        "timezone_string": zone.key,
        "namespaces": NAMESPACES,
        "authentication": {},
        "routes": {},
    }


def read_body(raw: bytes) -> Json:
    """A JSON body, or none. Raises WpError on broken JSON."""
    if not raw:
        return {}
    try:
        body = json.loads(raw)
    except ValueError:
        raise WpError("rest_invalid_json", "Invalid JSON body passed.", 400) from None
    return body if isinstance(body, dict) else {}
