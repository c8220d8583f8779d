"""What happens in the shop: customers, carts, orders, parcels, refunds, returns; each tells the subscribers.

Documents are kept in the shape of webhook payloads (REST-like); ``nodes`` turns them into GraphQL. Keys that start
with an underscore never leave the simulator.
"""

from __future__ import annotations

import secrets
import uuid
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

from integrations.shopify.simulator import merchandise as goods
from integrations.shopify.simulator.shop import SHOP_NUMBER, Shop, amount, gid, iso, minor, parse_iso
from integrations.shopify.simulator.state import Doc
from plugin.kernel.money import exponent_of

CURRENCY = "ILS"
VAT_RATE = 0.18
MANUAL = ("manual", "cash_on_delivery")
"""Gateways of which Shopify only writes down what somebody did."""


def money_set(value: str) -> Doc:
    """A price in the shop's and the shopper's currency, which are the same here."""
    return {
        "shop_money": {"amount": value, "currency_code": CURRENCY},
        "presentment_money": {"amount": value, "currency_code": CURRENCY},
    }


# --- customers ------------------------------------------------------------------------------------------------------


def create_customer(
    shop: Shop,
    *,
    first_name: str,
    last_name: str,
    email: str | None,
    phone: str | None = None,
    locale: str = "en",
    address: Doc | None = None,
    tags: str = "",
    note: str | None = None,
    at: datetime | None = None,
    quiet: bool = False,
) -> Doc:
    """A new customer record, ``customers/create``."""
    number = shop.state.next_id("customers")
    moment = iso(at or shop.now())
    customer: Doc = {
        "id": number,
        "admin_graphql_api_id": gid("Customer", number),
        "email": email,
        "created_at": moment,
        "updated_at": moment,
        "first_name": first_name,
        "last_name": last_name,
        "state": "enabled" if email and number % 3 else "disabled",
        "note": note,
        "verified_email": True,
        "multipass_identifier": None,
        "tax_exempt": False,
        "phone": phone,
        "currency": CURRENCY,
        "addresses": [],
        "tax_exemptions": [],
        "email_marketing_consent": {
            "state": "subscribed" if number % 2 else "not_subscribed",
            "opt_in_level": "single_opt_in",
            "consent_updated_at": moment if number % 2 else None,
        },
        "sms_marketing_consent": _sms_consent(moment) if phone and number % 3 == 0 else None,
        "_locale": locale,
        "_tags": tags,
        "_orders_count": 0,
        "_spent_minor": 0,
    }
    if address is not None:
        held = {**address, "id": shop.state.next_id("addresses"), "customer_id": number, "default": True}
        customer["addresses"] = [held]
        customer["default_address"] = held
    shop.state.put("customers", number, customer)
    if not quiet:
        shop.emit("customers/create", customer)
    return customer


def update_customer(shop: Shop, number: int, changes: Doc) -> Doc:
    """Writes fields of a customer; tags are told by their own topics since they left ``customers/*`` (2025)."""
    customer = need(shop, "customers", number)
    before = set(_tags(customer["_tags"]))
    customer.update(changes)
    customer["updated_at"] = shop.stamp()
    shop.state.put("customers", number, customer)
    event = str(uuid.uuid4())
    if set(changes) - {"_tags"}:
        shop.emit("customers/update", customer, event)
    for topic, tags in (
        ("customer.tags_added", set(_tags(customer["_tags"])) - before),
        ("customer.tags_removed", before - set(_tags(customer["_tags"]))),
    ):
        if tags:
            told = {"customerId": customer["admin_graphql_api_id"], "tags": sorted(tags), "occurredAt": shop.stamp()}
            shop.emit(topic, told, event)
    return customer


def _sms_consent(moment: str, state: str = "subscribed") -> Doc:
    return {"state": state, "opt_in_level": "confirmed_opt_in", "consent_updated_at": moment,
            "consent_collected_from": "SHOPIFY"}  # fmt: skip


def change_consent(shop: Shop, number: int, *, email: bool, sms: bool) -> Doc:
    """What a customer wants to hear of; a consent to e-mail has a topic of its own besides ``customers/update``."""
    customer = need(shop, "customers", number)
    moment, changes = shop.stamp(), {}
    for name, wanted in (("email_marketing_consent", email), ("sms_marketing_consent", sms)):
        held = customer[name] or {"state": "not_subscribed", "opt_in_level": "single_opt_in"}
        if wanted == (held["state"] == "subscribed"):
            continue
        changes[name] = {**held, "state": "subscribed" if wanted else "unsubscribed", "consent_updated_at": moment}
    if not changes:
        return customer
    customer = update_customer(shop, number, changes)
    if "email_marketing_consent" in changes:
        told = {"customer_id": number, "email_address": customer["email"],
                "email_marketing_consent": changes["email_marketing_consent"]}  # fmt: skip
        shop.emit("customers_email_marketing_consent/update", told)
    return customer


def ask_privacy(shop: Shop, topic: str, number: int = 0) -> Doc:
    """The body of a compliance notice, ``customers/data_request``, ``customers/redact`` or ``shop/redact``."""
    payload: Doc = {"shop_id": SHOP_NUMBER, "shop_domain": shop.domain}
    if topic == "shop/redact":
        return payload
    customer = shop.state.get("customers", number) or {"id": number}
    bought = [held["id"] for held in shop.state.all("orders") if held["customer"] and held["customer"]["id"] == number]
    payload["customer"] = {key: customer.get(key) for key in ("id", "email", "phone")}
    payload["orders_requested" if topic == "customers/data_request" else "orders_to_redact"] = bought
    if topic == "customers/data_request":
        payload["data_request"] = {"id": shop.state.next_id("data_requests")}
    return payload


def delete_customer(shop: Shop, number: int) -> None:
    """Removes a customer without orders; Shopify refuses others."""
    customer = need(shop, "customers", number)
    if customer["_orders_count"]:
        raise ValueError("A customer with orders cannot be deleted")
    shop.state.delete("customers", number)
    shop.emit("customers/delete", {"id": number, "admin_graphql_api_id": gid("Customer", number)})


def _tags(text: str) -> list[str]:
    return [tag.strip() for tag in text.split(",") if tag.strip()]


def need(shop: Shop, kind: str, number: int) -> Doc:
    """A document that has to be there. Raises LookupError."""
    found = shop.state.get(kind, number)
    if found is None:
        raise LookupError(f"no {kind} with id {number}")
    return found


# --- goods ----------------------------------------------------------------------------------------------------------


def find_variant(shop: Shop, variant_id: int) -> tuple[Doc, Doc]:
    """The product and the variant of a variant id."""
    for product in shop.state.all("products"):
        for variant in product["variants"]:
            if variant["id"] == variant_id:
                return product, variant
    raise LookupError(f"no variant with id {variant_id}")


def change_stock(shop: Shop, variant_id: int, by: int, *, quiet: bool = False) -> None:
    """Moves stock, tells ``products/update`` and, across zero, ``variants/out_of_stock`` or ``in_stock``."""
    product, variant = find_variant(shop, variant_id)
    before = variant["inventory_quantity"]
    variant["old_inventory_quantity"] = before
    variant["inventory_quantity"] = before + by
    variant["updated_at"] = product["updated_at"] = shop.stamp()
    shop.state.put("products", product["id"], product)
    if quiet:
        return
    shop.emit("products/update", _pictured(shop, product))
    if before > 0 >= before + by:
        shop.emit("variants/out_of_stock", variant)
    if before <= 0 < before + by:
        shop.emit("variants/in_stock", variant)


def _pictured(shop: Shop, product: Doc) -> Doc:
    """A product as webhooks tell it: with its picture, where this shop stands now."""
    image = {"id": product["id"], "product_id": product["id"], "position": 1, "alt": product["title"],
             "src": f"{shop.storefront_origin}/cdn/products/{product['handle']}.svg"}  # fmt: skip
    return {**product, "image": image, "images": [image]}


def update_product(shop: Shop, number: int, changes: Doc) -> Doc:
    """Writes fields of a product, ``products/update``."""
    product = need(shop, "products", number)
    product.update(changes)
    product["updated_at"] = shop.stamp()
    shop.state.put("products", number, product)
    shop.emit("products/update", _pictured(shop, product))
    return product


# --- carts and checkouts --------------------------------------------------------------------------------------------


def set_cart(shop: Shop, token: str, quantities: dict[int, int]) -> Doc | None:
    """Makes a cart hold exactly these quantities by variant id; a no-op tells nobody (since 12 October 2026)."""
    held = shop.state.get("carts", token)
    wanted = {variant: quantity for variant, quantity in quantities.items() if quantity > 0}
    if held is not None and {line["variant_id"]: line["quantity"] for line in held["line_items"]} == wanted:
        return held
    if held is None and not wanted:
        return None
    moment = shop.stamp()
    lines = []
    for variant_id, quantity in wanted.items():
        product, variant = find_variant(shop, variant_id)
        lines.append(
            {
                "id": variant_id,
                "properties": None,
                "quantity": quantity,
                "variant_id": variant_id,
                "key": f"{variant_id}:{token[:16]}",
                "discounted_price": variant["price"],
                "discounts": [],
                "gift_card": False,
                "grams": 400,
                "line_price": amount(minor(variant["price"]) * quantity),
                "original_line_price": amount(minor(variant["price"]) * quantity),
                "original_price": variant["price"],
                "price": variant["price"],
                "product_id": product["id"],
                "sku": variant["sku"],
                "taxable": True,
                "title": product["title"],
                "total_discount": "0.00",
                "vendor": product["vendor"],
            }
        )
    cart: Doc = {
        "id": token,
        "token": token,
        "line_items": lines,
        "note": "",
        "created_at": held["created_at"] if held else moment,
        "updated_at": moment,
    }
    shop.state.put("carts", token, cart)
    shop.emit("carts/update" if held else "carts/create", cart)
    return cart


def begin_checkout(shop: Shop, cart_token: str, customer: Doc | None, locale: str, email: str | None = None) -> Doc:
    """The shopper opened the checkout page (``checkouts/create``) or came back to it (``checkouts/update``)."""
    cart = shop.state.get("carts", cart_token)
    if cart is None:
        raise LookupError("no such cart")
    known = next((c for c in shop.state.all("checkouts") if c["cart_token"] == cart_token), None)
    moment = shop.stamp()
    total = sum(minor(line["line_price"]) for line in cart["line_items"])
    token = known["token"] if known else secrets.token_hex(16)
    checkout: Doc = {
        "token": token,
        "cart_token": cart_token,
        "email": email or (customer or {}).get("email"),
        "gateway": None,
        "buyer_accepts_marketing": False,
        "created_at": known["created_at"] if known else moment,
        "updated_at": moment,
        "landing_site": "/",
        "note": "",
        "note_attributes": [],
        "referring_site": "",
        "shipping_lines": [],
        "taxes_included": True,
        "total_weight": 400,
        "currency": CURRENCY,
        "completed_at": None,
        "phone": None,
        "customer_locale": locale,
        "line_items": [
            {
                **{k: line[k] for k in ("title", "variant_id", "product_id", "quantity", "price", "sku", "vendor")},
                "line_price": line["line_price"],
                "key": line["key"],
            }
            for line in cart["line_items"]
        ],
        "name": f"#{token[:12]}",
        "abandoned_checkout_url": f"{shop.storefront_origin}/checkout?recover={token}",
        "discount_codes": [],
        "tax_lines": [],
        "presentment_currency": CURRENCY,
        "source_name": "web",
        "total_discounts": "0.00",
        "total_line_items_price": amount(total),
        "total_price": amount(total),
        "total_tax": amount(vat_inside(total)),
        "subtotal_price": amount(total),
        "total_duties": None,
        "customer": _customer_summary(customer) if customer else None,
        "shipping_address": (customer or {}).get("default_address"),
        "billing_address": (customer or {}).get("default_address"),
    }
    shop.state.put("checkouts", token, checkout)
    shop.emit("checkouts/update" if known else "checkouts/create", checkout)
    return checkout


def vat_inside(total: int) -> int:
    return round(total * VAT_RATE / (1 + VAT_RATE))


def _customer_summary(customer: Doc) -> Doc:
    return {key: value for key, value in customer.items() if not key.startswith("_") and key != "addresses"}


# --- orders ---------------------------------------------------------------------------------------------------------


def place_order(
    shop: Shop,
    lines: list[tuple[int, int]],
    *,
    customer: Doc | None,
    email: str | None = None,
    address: Doc | None = None,
    locale: str = "en",
    cart_token: str | None = None,
    checkout_token: str | None = None,
    note: str | None = None,
    at: datetime | None = None,
    paid: bool = True,
    discount: int = 0,
    gateway: str = "bogus",
    currency: str = CURRENCY,
    rate: str = "1",
    quiet: bool = False,
) -> Doc:
    """An order of (variant id, quantity) pairs: ``orders/create``, ``orders/paid``, stock, spending.

    ``discount`` is in percent and the whole order's; ``currency`` is what the customer is charged in, at ``rate``.
    ``quiet`` writes history: no events, no stock. Raises LookupError for an unknown variant.
    """
    number = shop.state.next_id("orders")
    order_number = shop.state.next_id("order_numbers") + 1000
    moment = iso(at or shop.now())
    items: list[Doc] = []
    for variant_id, quantity in lines:
        product, variant = find_variant(shop, variant_id)
        line_id = shop.state.next_id("lines")
        title = variant["title"] if variant["title"] != "Default Title" else None
        items.append(
            {
                "id": line_id,
                "admin_graphql_api_id": gid("LineItem", line_id),
                "current_quantity": quantity,
                "fulfillable_quantity": quantity,
                "fulfillment_service": "manual",
                "fulfillment_status": None,
                "gift_card": False,
                "grams": 400,
                "name": f"{product['title']} - {title}" if title else product["title"],
                "price": variant["price"],
                "price_set": money_set(variant["price"]),
                "product_exists": True,
                "product_id": product["id"],
                "properties": [],
                "quantity": quantity,
                "requires_shipping": True,
                "sku": variant["sku"],
                "taxable": True,
                "title": product["title"],
                "total_discount": "0.00",
                "total_discount_set": money_set("0.00"),
                "variant_id": variant_id,
                "variant_inventory_management": "shopify",
                "variant_title": title,
                "vendor": product["vendor"],
                "tax_lines": [],
                "duties": [],
                "discount_allocations": _allocated(minor(variant["price"]) * quantity, discount),
                "selling_plan_id": None,
            }
        )
    subtotal = sum(paid_for(item) for item in items)
    off = sum(minor(held["amount"]) for item in items for held in item["discount_allocations"])
    delivery = 0 if subtotal >= goods.FREE_DELIVERY_MINOR else goods.DELIVERY_MINOR
    total = subtotal + delivery
    where = address or (customer or {}).get("default_address")
    order: Doc = {
        "id": number,
        "admin_graphql_api_id": gid("Order", number),
        "app_id": 580111,
        "browser_ip": None,
        "buyer_accepts_marketing": False,
        "cancel_reason": None,
        "cancelled_at": None,
        "cart_token": cart_token,
        "checkout_token": checkout_token,
        "closed_at": None,
        "confirmation_number": secrets.token_hex(5).upper()[:9],
        "confirmed": True,
        "contact_email": email or (customer or {}).get("email"),
        "created_at": moment,
        "currency": CURRENCY,
        "current_shipping_price_set": money_set(amount(delivery)),
        "current_subtotal_price": amount(subtotal),
        "current_subtotal_price_set": money_set(amount(subtotal)),
        "current_total_discounts": "0.00",
        "current_total_discounts_set": money_set("0.00"),
        "current_total_price": amount(total),
        "current_total_price_set": money_set(amount(total)),
        "current_total_tax": amount(vat_inside(total)),
        "current_total_tax_set": money_set(amount(vat_inside(total))),
        "customer_locale": locale,
        "discount_codes": [],
        "email": email or (customer or {}).get("email"),
        "estimated_taxes": False,
        "financial_status": "paid" if paid else "pending",
        "fulfillment_status": None,
        "landing_site": "/",
        "name": f"#{order_number}",
        "note": note,
        "note_attributes": [],
        "number": order_number - 1000,
        "order_number": order_number,
        "order_status_url": f"{shop.storefront_origin}/{SHOP_NUMBER}/orders/{secrets.token_hex(16)}/authenticate"
        f"?key={secrets.token_hex(8)}",
        "payment_gateway_names": [gateway],
        "phone": (customer or {}).get("phone"),
        "presentment_currency": currency,
        "processed_at": moment,
        "referring_site": "",
        "source_name": "web",
        "subtotal_price": amount(subtotal),
        "subtotal_price_set": money_set(amount(subtotal)),
        "tags": "",
        "tax_exempt": False,
        "tax_lines": [{"price": amount(vat_inside(total)), "rate": VAT_RATE, "title": "VAT"}],
        "taxes_included": True,
        "test": False,
        "total_discounts": amount(off),
        "total_discounts_set": money_set(amount(off)),
        "total_line_items_price": amount(subtotal + off),
        "total_outstanding": "0.00" if paid else amount(total),
        "total_price": amount(total),
        "total_price_set": money_set(amount(total)),
        "total_shipping_price_set": money_set(amount(delivery)),
        "total_tax": amount(vat_inside(total)),
        "total_tax_set": money_set(amount(vat_inside(total))),
        "total_tip_received": "0.00",
        "total_weight": 400 * sum(item["quantity"] for item in items),
        "updated_at": moment,
        "user_id": None,
        "billing_address": _order_address(where),
        "customer": _customer_summary(customer) if customer else None,
        "discount_applications": [],
        "fulfillments": [],
        "line_items": items,
        "payment_terms": None,
        "refunds": [],
        "shipping_address": _order_address(where),
        "shipping_lines": [
            {
                "id": number + 7,
                "code": "standard",
                "price": amount(delivery),
                "price_set": money_set(amount(delivery)),
                "source": "shopify",
                "title": goods.TEXTS["shipping"]["en"],
                "tax_lines": [],
            }
        ],
        "_returns": [],
        "_rate": rate,
    }
    shop.state.put("orders", number, order)
    if customer is not None:
        _count_spending(shop, customer, orders=1, spent=total, order=order, quiet=quiet)
    if quiet:
        return order
    event = str(uuid.uuid4())
    shop.emit("orders/create", order, event)
    if paid:
        shop.emit("orders/paid", order, event)
    for variant_id, quantity in lines:
        change_stock(shop, variant_id, -quantity)
    if checkout_token is not None:
        checkout = shop.state.get("checkouts", checkout_token)
        if checkout is not None:
            checkout["completed_at"] = checkout["updated_at"] = moment
            shop.state.put("checkouts", checkout_token, checkout)
            shop.emit("checkouts/update", checkout)
    return order


def _allocated(price: int, percent: int) -> list[Doc]:
    """The part of an order's discount that falls on a line."""
    off = share(price, percent, 100)
    return (
        [{"amount": amount(off), "amount_set": money_set(amount(off)), "discount_application_index": 0}] if off else []
    )


def _order_address(address: Doc | None) -> Doc | None:
    if address is None:
        return None
    return {key: value for key, value in address.items() if key not in {"id", "customer_id", "default"}}


def _count_spending(shop: Shop, customer: Doc, *, orders: int, spent: int, order: Doc, quiet: bool) -> None:
    customer["_orders_count"] += orders
    customer["_spent_minor"] += spent
    shop.state.put("customers", customer["id"], customer)
    if not quiet:
        shop.emit(
            "customers/purchasing_summary",
            {
                "customerId": customer["admin_graphql_api_id"],
                "numberOfOrders": customer["_orders_count"],
                "amountSpent": {"amount": amount(customer["_spent_minor"]), "currencyCode": CURRENCY},
                "lastOrderId": order["admin_graphql_api_id"],
                "occurredAt": shop.stamp(),
            },
        )


def paid_for(line: Doc) -> int:
    """What a line cost in agorot, after every discount, all of its units together."""
    return minor(line["price"]) * int(line["quantity"]) - sum(
        minor(held["amount"]) for held in line["discount_allocations"]
    )


def worth(line: Doc, count: int) -> int:
    """What the next ``count`` units bring back: shares are taken along the line, so that all together are all of it."""
    gone = line["quantity"] - line["current_quantity"]
    return share(paid_for(line), gone + count, line["quantity"]) - share(paid_for(line), gone, line["quantity"])


def share(whole: int, count: int, of: int) -> int:
    """``count`` parts of so many, rounded half up."""
    return (2 * whole * count + of) // (2 * of) if of else 0


def rate_of(order: Doc) -> Decimal:
    """Units of the customer's currency for one of the shop's."""
    return Decimal(order.get("_rate") or "1")


def charged(order: Doc, agorot: int) -> int:
    """An amount of the shop's in the customer's currency, in its minor units."""
    currency = order["presentment_currency"]
    if currency == CURRENCY:
        return agorot
    units = Decimal(agorot) / 100 * rate_of(order)
    return int(units.scaleb(exponent_of(currency)).to_integral_value(ROUND_HALF_UP))


def charged_for(order: Doc, line: Doc) -> int:
    """What a line cost the customer, in their currency, all of its units together."""
    return charged(order, minor(line["price"]) * int(line["quantity"])) - sum(
        charged(order, minor(held["amount"])) for held in line["discount_allocations"]
    )


def charged_worth(order: Doc, line: Doc, count: int) -> int:
    """The same as ``worth`` in the customer's currency."""
    whole, gone = charged_for(order, line), line["quantity"] - line["current_quantity"]
    return share(whole, gone + count, line["quantity"]) - share(whole, gone, line["quantity"])


def charged_total(order: Doc) -> int:
    """What the customer was charged for everything that was ordered, exchanges aside."""
    goods_total = sum(charged_for(order, line) for line in order["line_items"] if not line.get("_exchange"))
    return goods_total + charged(order, minor(order["total_shipping_price_set"]["shop_money"]["amount"]))


def delivery_left(order: Doc) -> int:
    """What of the delivery's price has not gone back, in the customer's currency."""
    whole = charged(order, minor(order["total_shipping_price_set"]["shop_money"]["amount"]))
    return whole - sum(int(held.get("_delivery_charged", 0)) for held in order["refunds"])


def charged_left(order: Doc) -> int:
    """What of the customer's payment has not gone back."""
    if order["financial_status"] in ("pending", "voided"):
        return 0
    return charged_total(order) - sum(
        int(held.get("_charged_minor", charged(order, held["_total_minor"]))) for held in order["refunds"]
    )


def charged_text(order: Doc, value: int) -> str:
    """Minor units of the customer's currency as Shopify prints them."""
    return str(Decimal(value).scaleb(-exponent_of(order["presentment_currency"])))


def save(shop: Shop, order: Doc, at: datetime | None = None) -> str:
    """Writes an order down; the id of what happened to it."""
    order["updated_at"] = iso(at or shop.now())
    shop.state.put("orders", order["id"], order)
    return str(uuid.uuid4())


def fulfil(
    shop: Shop,
    number: int,
    *,
    quantities: dict[int, int] | None = None,
    at: datetime | None = None,
    quiet: bool = False,
) -> Doc:
    """Sends a parcel with what is left (or ``quantities`` by line id): ``fulfillments/create``, ``orders/fulfilled``.

    Raises ValueError when nothing is left to send or the order was cancelled.
    """
    order = need(shop, "orders", number)
    if order["cancelled_at"]:
        raise ValueError("The order was cancelled")
    moment = iso(at or shop.now())
    parcel_id = shop.state.next_id("fulfillments")
    sent = []
    for line in order["line_items"]:
        quantity = min(line["fulfillable_quantity"], (quantities or {}).get(line["id"], 0 if quantities else 10**6))
        if quantity <= 0:
            continue
        line["fulfillable_quantity"] -= quantity
        line["fulfillment_status"] = "partial" if line["fulfillable_quantity"] else "fulfilled"
        sent.append({**line, "quantity": quantity, "_fulfillment_line_id": shop.state.next_id("fulfillment_lines")})
    if not sent:
        raise ValueError("Nothing is left to send")
    carrier, link, prefix = goods.CARRIERS[parcel_id % len(goods.CARRIERS)]
    tracking = f"{prefix}{100000000 + parcel_id * 7919 % 899999999}IL"
    parcel: Doc = {
        "id": parcel_id,
        "admin_graphql_api_id": gid("Fulfillment", parcel_id),
        "created_at": moment,
        "location_id": 88100001,
        "name": f"{order['name']}.{len(order['fulfillments']) + 1}",
        "order_id": number,
        "origin_address": {},
        "receipt": {},
        "service": "manual",
        "shipment_status": "in_transit",
        "status": "success",
        "tracking_company": carrier,
        "tracking_number": tracking,
        "tracking_numbers": [tracking],
        "tracking_url": link.format(tracking),
        "tracking_urls": [link.format(tracking)],
        "updated_at": moment,
        "line_items": sent,
        "email": order["email"],
        "destination": order["shipping_address"],
        "_in_transit_at": moment,
        "_delivered_at": None,
    }
    order["fulfillments"].append(parcel)
    done = all(line["fulfillable_quantity"] == 0 for line in order["line_items"])
    order["fulfillment_status"] = "fulfilled" if done else "partial"
    event = save(shop, order, at)
    if not quiet:
        shop.emit("fulfillments/create", parcel, event)
        shop.emit("orders/fulfilled" if done else "orders/partially_fulfilled", order, event)
        shop.emit("orders/updated", order, event)
    return parcel


def deliver(shop: Shop, number: int, *, at: datetime | None = None, quiet: bool = False) -> Doc:
    """Every parcel of the order arrives: ``fulfillment_events/create``, ``fulfillments/update``."""
    order = need(shop, "orders", number)
    moment = iso(at or shop.now())
    waiting = [parcel for parcel in order["fulfillments"] if parcel["_delivered_at"] is None]
    if not waiting:
        raise ValueError("No parcel is on its way")
    for parcel in waiting:
        parcel["shipment_status"] = "delivered"
        parcel["_delivered_at"] = parcel["updated_at"] = moment
    event = save(shop, order, at)
    if not quiet:
        for parcel in waiting:
            happened = shop.state.next_id("fulfillment_events")
            shop.emit(
                "fulfillment_events/create",
                {
                    "id": happened,
                    "fulfillment_id": parcel["id"],
                    "status": "delivered",
                    "message": None,
                    "happened_at": moment,
                    "city": (order["shipping_address"] or {}).get("city"),
                    "country": (order["shipping_address"] or {}).get("country_code"),
                    "created_at": moment,
                    "updated_at": moment,
                    "estimated_delivery_at": None,
                    "shop_id": 1,
                    "order_id": number,
                    "admin_graphql_api_id": gid("FulfillmentEvent", happened),
                },
                event,
            )
            shop.emit("fulfillments/update", parcel, event)
        shop.emit("orders/updated", order, event)
    return order


def refund(
    shop: Shop,
    number: int,
    *,
    quantities: dict[int, int] | None = None,
    note: str | None = None,
    restock: bool = True,
    at: datetime | None = None,
    quiet: bool = False,
) -> Doc:
    """Gives money back for all remaining units (or ``quantities`` by line id): ``refunds/create``, ``orders/updated``.

    Delivery is given back only with a full refund. Raises ValueError when nothing is left.
    """
    order = need(shop, "orders", number)
    wanted = {
        line["id"]: (count, "RETURN" if restock else "NO_RESTOCK")
        for line in order["line_items"]
        if (count := min(line["current_quantity"], (quantities or {}).get(line["id"], 0 if quantities else 10**6))) > 0
    }
    if not wanted:
        raise ValueError("Nothing is left to refund")
    goods_minor = sum(worth(line, wanted[line["id"]][0]) for line in order["line_items"] if line["id"] in wanted)
    whole = all(line["current_quantity"] == wanted.get(line["id"], (0, ""))[0] for line in order["line_items"])
    delivery = minor(order["current_shipping_price_set"]["shop_money"]["amount"]) if whole else 0
    back = goods_minor + delivery
    return give_back(
        shop, number, quantities=wanted, delivery=delivery, money=back, note=note, gateway="bogus", at=at, quiet=quiet
    )


def give_back(
    shop: Shop,
    number: int,
    *,
    quantities: dict[int, tuple[int, str]],
    delivery: int,
    money: int,
    note: str | None,
    gateway: str,
    failed: bool = False,
    returned: Doc | None = None,
    credit: int = 0,
    charge: int | None = None,
    delivery_charge: int | None = None,
    at: datetime | None = None,
    quiet: bool = False,
) -> Doc:
    """A refund as it is: (quantity, restock type) by line id, delivery and money in agorot, which may be none at all.

    ``failed``: Shopify writes it down and the payment provider refuses it, so no money moves. ``charge``,
    ``credit`` and ``delivery_charge`` are minor units of the customer's currency: what goes to the original payment,
    what as store credit, and what of it is for delivery.
    """
    order = need(shop, "orders", number)
    moment = iso(at or shop.now())
    lines = []
    for line in order["line_items"]:
        quantity, restock_type = quantities.get(line["id"], (0, "NO_RESTOCK"))
        if quantity <= 0:
            continue
        value = amount(worth(line, quantity))
        line["current_quantity"] -= quantity
        line["fulfillable_quantity"] = min(line["fulfillable_quantity"], line["current_quantity"])
        lines.append(
            {
                "id": shop.state.next_id("refund_lines"),
                "line_item_id": line["id"],
                "line_item": line,
                "location_id": 88100001,
                "quantity": quantity,
                "restock_type": restock_type.lower(),
                "subtotal": value,
                "subtotal_set": money_set(value),
                "total_tax": amount(vat_inside(minor(value))),
                "total_tax_set": money_set(amount(vat_inside(minor(value)))),
            }
        )
    refund_id = shop.state.next_id("refunds")
    transaction_id = shop.state.next_id("transactions")
    transaction: Doc = {
        "id": transaction_id,
        "admin_graphql_api_id": gid("OrderTransaction", transaction_id),
        "order_id": number,
        "kind": "refund",
        "gateway": gateway,
        "status": "failure" if failed else "success",
        "amount": amount(money),
        "currency": CURRENCY,
        "created_at": moment,
        "processed_at": moment,
        "parent_id": None,
        "test": False,
        "_charged_minor": charged(order, money) if charge is None else charge,
    }
    kept = agorot(order, credit)
    moved = kept + (0 if failed else money)
    given = credit + (0 if failed else transaction["_charged_minor"] if money else 0)
    if money and not failed and not quiet and gateway not in MANUAL:
        write_ledger(shop, order, "refund", transaction["_charged_minor"], gateway, refund_id)
    made: Doc = {
        "id": refund_id,
        "admin_graphql_api_id": gid("Refund", refund_id),
        "order_id": number,
        "created_at": moment,
        "processed_at": moment,
        "note": note,
        "restock": any(line["restock_type"] != "no_restock" for line in lines),
        "user_id": 548380009,
        "refund_line_items": lines,
        "transactions": [transaction] if money else [],
        "order_adjustments": [],
        "duties": [],
        "total_duties_set": money_set("0.00"),
        "return": {name: returned[name] for name in ("id", "admin_graphql_api_id")} if returned else None,
        "_total_minor": moved,
        "_charged_minor": given,
        "_delivery_charged": charged(order, delivery) if delivery_charge is None else delivery_charge,
    }
    order["refunds"].append(made)
    retotal(order, delivery_back=delivery)
    over = minor(order["total_outstanding"])
    if over < 0 and not lines and not failed:
        # What an edit made too much is what goes back here.
        order["total_outstanding"] = amount(min(0, over + money))
    total_given = sum(held["_total_minor"] for held in order["refunds"])
    if total_given:
        order["financial_status"] = "refunded" if total_given >= minor(order["total_price"]) else "partially_refunded"
    event = save(shop, order, at)
    customer = shop.state.get("customers", order["customer"]["id"]) if order["customer"] else None
    if customer is not None and moved:
        _count_spending(shop, customer, orders=0, spent=-moved, order=order, quiet=quiet)
    if quiet:
        return made
    shop.emit("refunds/create", made, event)
    if money:
        shop.emit("order_transactions/create", transaction, event)
    shop.emit("orders/updated", order, event)
    for entry in lines:
        if entry["restock_type"] != "no_restock" and entry["line_item"]["variant_id"]:
            change_stock(shop, entry["line_item"]["variant_id"], entry["quantity"])
    return made


def agorot(order: Doc, value: int) -> int:
    """The inverse of ``charged``, as good as it goes."""
    if order["presentment_currency"] == CURRENCY:
        return value
    units = Decimal(value).scaleb(-exponent_of(order["presentment_currency"])) / rate_of(order)
    return int((units * 100).to_integral_value(ROUND_HALF_UP))


def write_ledger(shop: Shop, order: Doc, kind: str, value: int, gateway: str, of: int | str) -> None:
    """Money really moved: the one place that says so."""
    number = shop.state.next_id("ledger")
    entry = {"id": number, "order_id": order["id"], "kind": kind, "minor": value, "gateway": gateway, "of": of,
             "currency": order["presentment_currency"], "at": shop.stamp()}  # fmt: skip
    shop.state.put("ledger", number, entry)


def retotal(order: Doc, *, delivery_back: int = 0) -> None:
    """The order's current sums, after lines or delivery went back."""
    subtotal = sum(worth(line, line["current_quantity"]) for line in order["line_items"])
    delivery = minor(order["current_shipping_price_set"]["shop_money"]["amount"]) - delivery_back
    for name, value in (
        ("current_subtotal_price", subtotal),
        ("current_total_price", subtotal + delivery),
        ("current_total_tax", vat_inside(subtotal + delivery)),
    ):
        order[name] = amount(value)
        order[f"{name}_set"] = money_set(amount(value))
    order["current_shipping_price_set"] = money_set(amount(delivery))


def cancel(
    shop: Shop, number: int, *, reason: str = "customer", at: datetime | None = None, quiet: bool = False
) -> Doc:
    """Cancels an order of which nothing left the house, and gives the money back: ``orders/cancelled``."""
    order = need(shop, "orders", number)
    if order["cancelled_at"]:
        raise ValueError("The order is cancelled already")
    if order["fulfillments"]:
        raise ValueError("A parcel has left already")
    return call_off(shop, number, reason=reason, at=at, quiet=quiet)


def call_off(
    shop: Shop,
    number: int,
    *,
    reason: str,
    refund: bool = True,
    restock: bool = True,
    at: datetime | None = None,
    quiet: bool = False,
) -> Doc:
    """The order is cancelled, with what is left of its money going back or not."""
    order = need(shop, "orders", number)
    left = minor(order["total_price"]) - sum(held["_total_minor"] for held in order["refunds"])
    if order["financial_status"] not in ("paid", "partially_paid", "partially_refunded"):
        order["financial_status"] = "voided"
    elif refund and left:
        kind = "CANCEL" if restock else "NO_RESTOCK"
        units = {line["id"]: (line["current_quantity"], kind) for line in order["line_items"]}
        delivery = minor(order["current_shipping_price_set"]["shop_money"]["amount"])
        give_back(
            shop, number, quantities=units, delivery=delivery, money=left, note=reason, gateway="bogus", at=at,
            quiet=quiet,
        )  # fmt: skip
    order["cancelled_at"] = order["closed_at"] = iso(at or shop.now())
    order["cancel_reason"] = reason
    event = save(shop, order, at)
    if not quiet:
        shop.emit("orders/cancelled", order, event)
        shop.emit("orders/updated", order, event)
    return order


def edit_order(shop: Shop, number: int, changes: Doc) -> Doc:
    """Writes note, tags, e-mail or address of an order: ``orders/updated``."""
    order = need(shop, "orders", number)
    order.update(changes)
    event = save(shop, order)
    shop.emit("orders/updated", order, event)
    return order


def edit_quantity(shop: Shop, number: int, line_id: int, quantity: int) -> Doc:
    """An order edit that lowers a line nobody sent yet: ``orders/edited``, ``orders/updated``."""
    order = need(shop, "orders", number)
    line = next((line for line in order["line_items"] if line["id"] == line_id), None)
    if (
        line is None
        or not 0 <= quantity < line["current_quantity"]
        or line["fulfillable_quantity"] < (line["current_quantity"] - quantity)
    ):
        raise ValueError("This line cannot be changed to that quantity")
    removed = line["current_quantity"] - quantity
    line["current_quantity"] = quantity
    line["fulfillable_quantity"] -= removed
    retotal(order)
    event = save(shop, order)
    shop.emit(
        "orders/edited",
        {
            "order_edit": {
                "id": shop.state.next_id("order_edits"),
                "app_id": None,
                "created_at": shop.stamp(),
                "notify_customer": False,
                "order_id": number,
                "staff_note": "",
                "user_id": 548380009,
                "line_items": {"additions": [], "removals": [{"id": line_id, "delta": removed}]},
                "discounts": {"line_item": {"additions": [], "removals": []}},
                "shipping_lines": {"additions": [], "removals": []},
            }
        },
        event,
    )
    shop.emit("orders/updated", order, event)
    return order


def each(line: Doc) -> int:
    """What one of a line costs in agorot, as an order edit counts it."""
    return share(paid_for(line), 1, line["quantity"])


def edit_goods(
    shop: Shop, number: int, quantities: dict[int, int], added: list[tuple[int, int]], *, note: str | None = None
) -> Doc:
    """An order edit: what each line becomes, and (variant id, quantity) of what is new. What is owed follows.

    ``orders/edited``, ``orders/updated``. Stock moves by the difference.
    """
    order = need(shop, "orders", number)
    before = minor(order["current_total_price"])
    removals = []
    for line in order["line_items"]:
        wanted = quantities.get(line["id"], line["current_quantity"])
        delta = wanted - line["current_quantity"]
        if not delta:
            continue
        if delta > 0:
            # A line that grows costs as much more: its discount grows with it.
            one = each(line)
            line["quantity"] += delta
            off = minor(line["price"]) * line["quantity"] - one * line["quantity"]
            line["discount_allocations"] = [{"amount": amount(off), "amount_set": money_set(amount(off)),
                                             "discount_application_index": 0}] if off else []  # fmt: skip
        line["current_quantity"] = wanted
        line["fulfillable_quantity"] += delta
        removals.append({"id": line["id"], "delta": -delta})
        change_stock(shop, line["variant_id"], -delta)
    additions = []
    for variant_id, count in added:
        product, variant = find_variant(shop, variant_id)
        line_id = shop.state.next_id("lines")
        title = variant["title"] if variant["title"] != "Default Title" else None
        template = dict(order["line_items"][0])
        order["line_items"].append(
            {
                **template, "id": line_id, "admin_graphql_api_id": gid("LineItem", line_id), "quantity": count,
                "current_quantity": count, "fulfillable_quantity": count, "price": variant["price"],
                "price_set": money_set(variant["price"]), "product_id": product["id"], "sku": variant["sku"],
                "title": product["title"], "variant_id": variant_id, "variant_title": title,
                "name": f"{product['title']} - {title}" if title else product["title"], "discount_allocations": [],
            }
        )  # fmt: skip
        additions.append({"id": line_id, "delta": count})
        change_stock(shop, variant_id, -count)
    retotal(order)
    delta = minor(order["current_total_price"]) - before
    order["total_outstanding"] = amount(minor(order["total_outstanding"]) + delta)
    if minor(order["total_outstanding"]) > 0 and order["financial_status"] == "paid":
        order["financial_status"] = "partially_paid"
    event = save(shop, order)
    told: Doc = {
        "id": shop.state.next_id("edits_told"), "app_id": None, "created_at": shop.stamp(), "notify_customer": False,
        "order_id": number, "staff_note": note or "", "user_id": None,
        "line_items": {"additions": additions, "removals": removals},
        "discounts": {"line_item": {"additions": [], "removals": []}},
        "shipping_lines": {"additions": [], "removals": []},
    }  # fmt: skip
    shop.emit("orders/edited", {"order_edit": told}, event)
    shop.emit("orders/updated", order, event)
    return order


def pay_rest(shop: Shop, number: int) -> Doc:
    """The customer pays what an order still owes: nothing where it owes nothing, or ended."""
    order = need(shop, "orders", number)
    owed = minor(order["total_outstanding"])
    if owed <= 0 or order["cancelled_at"]:
        return order
    order["total_outstanding"] = "0.00"
    order["financial_status"] = "partially_refunded" if any(one["_total_minor"] for one in order["refunds"]) else "paid"
    write_ledger(shop, order, "sale", charged(order, owed), order["payment_gateway_names"][0], number)
    event = save(shop, order)
    shop.emit("orders/paid", order, event)
    shop.emit("orders/updated", order, event)
    return order


def delete_order(shop: Shop, number: int) -> None:
    """Deletes a cancelled order for good: ``orders/delete`` carries the id alone."""
    order = need(shop, "orders", number)
    if not order["cancelled_at"]:
        raise ValueError("Only a cancelled order can be deleted")
    shop.state.delete("orders", number)
    shop.emit("orders/delete", {"id": number})


def request_return(
    shop: Shop,
    number: int,
    *,
    quantities: dict[int, int],
    note: str = "",
    at: datetime | None = None,
    quiet: bool = False,
) -> Doc:
    """The shopper asks to send units back: ``returns/request``. Raises ValueError when they were never sent."""
    order = need(shop, "orders", number)
    return_id = shop.state.next_id("returns")
    lines: list[Doc] = []
    for parcel in order["fulfillments"]:
        for sent in parcel["line_items"]:
            quantity = min(sent["quantity"], quantities.get(sent["id"], 0))
            if quantity > 0:
                lines.append(
                    {
                        "id": return_id * 10 + len(lines),
                        "admin_graphql_api_id": gid("ReturnLineItem", return_id * 10 + len(lines)),
                        "fulfillment_line_item": {
                            "id": sent["_fulfillment_line_id"],
                            "admin_graphql_api_id": gid("FulfillmentLineItem", sent["_fulfillment_line_id"]),
                            "line_item": {
                                "id": sent["id"],
                                "admin_graphql_api_id": gid("LineItem", sent["id"]),
                            },
                        },
                        "quantity": quantity,
                        "return_reason": "other",
                        "return_reason_note": "",
                        "customer_note": note,
                    }
                )
    if not lines:
        raise ValueError("Nothing of this was sent")
    moment = iso(at or shop.now())
    made: Doc = {
        "id": return_id,
        "admin_graphql_api_id": gid("Return", return_id),
        "name": f"{order['name']}-R{len(order['_returns']) + 1}",
        "order": {"id": number, "admin_graphql_api_id": gid("Order", number)},
        "status": "requested",
        "total_return_line_items": sum(line["quantity"] for line in lines),
        "return_line_items": lines,
        "return_shipping_fees": [],
        "total_exchange_line_items": 0,
        "exchange_line_items": [],
        "_created_at": moment,
        "_approved_at": None,
        "_closed_at": None,
    }
    order["_returns"].append(made)
    event = save(shop, order, at)
    if not quiet:
        shop.emit("returns/request", return_body("request", made), event)
        shop.emit("orders/updated", order, event)
    return made


RETURN_STEPS = {
    "approve": ("requested", "open"),
    "decline": ("requested", "declined"),
    "cancel": ("open", "canceled"),
    "close": ("open", "closed"),
    "reopen": ("closed", "open"),
}


def move_return(
    shop: Shop, number: int, return_id: int, step: str, *, at: datetime | None = None, quiet: bool = False
) -> Doc:
    """One step of a return: ``returns/<step>``. Raises ValueError from the wrong state."""
    order = need(shop, "orders", number)
    found: Doc | None = next((held for held in order["_returns"] if held["id"] == return_id), None)
    if found is None:
        raise LookupError(f"no return with id {return_id}")
    needed, becomes = RETURN_STEPS[step]
    if found["status"] != needed:
        raise ValueError(f"The return is {found['status']}")
    found["status"] = becomes
    if step == "approve":
        found["_approved_at"] = iso(at or shop.now())
    found["_closed_at"] = iso(at or shop.now()) if becomes == "closed" else None
    event = save(shop, order, at)
    if not quiet:
        shop.emit(f"returns/{step}", return_body(step, found), event)
        shop.emit("orders/updated", order, event)
    return found


def return_body(step: str, held: Doc) -> Doc:
    """What the webhook of a step tells: a request and its approval everything, the others no more than where it is.

    https://shopify.dev/docs/api/webhooks/2026-10 (returns/*): none of them carries a time.
    """
    if step in {"request", "approve"}:
        return held
    order = held["order"]
    names = {"order": order} if step == "decline" else {"order_id": order["id"]}
    body = {"id": held["id"], "admin_graphql_api_id": held["admin_graphql_api_id"], "status": held["status"], **names}
    return {**body, "decline": {"reason": "other", "note": ""}} if step == "decline" else body


def older_than(order: Doc, moment: datetime, days: int) -> bool:
    """Whether an order was processed more than ``days`` before ``moment``."""
    return parse_iso(order["processed_at"]) < moment - timedelta(days=days)


def order_state(order: Doc) -> str:
    """The word a shopper is shown for an order."""
    if order["cancelled_at"]:
        return "cancelled"
    if order["financial_status"] == "refunded":
        return "refunded"
    if not order["fulfillments"]:
        return "preparing"
    return "delivered" if all(parcel["_delivered_at"] for parcel in order["fulfillments"]) else "on_its_way"
