"""What happens in the simulated shop: orders, stock, refunds, trash, customers. Every change calls `emit`."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

from integrations.woocommerce.simulator import wire
from integrations.woocommerce.simulator.catalogue import LANGUAGES, OPTION_NAMES
from integrations.woocommerce.simulator.database import Documents, Json
from integrations.woocommerce.simulator.wire import WpError, money, php_number, stamp

STATUSES = {
    "pending": "Pending payment",
    "processing": "Processing",
    "on-hold": "On hold",
    "completed": "Completed",
    "cancelled": "Cancelled",
    "refunded": "Refunded",
    "failed": "Failed",
    "checkout-draft": "Draft",
    "ahlan-return": "Return in progress",
}
OWN_STATUS = "ahlan-return"
"""Registered by our plugin, so an older copy of it does not know it (option `return_status` false)."""
PAID = ("processing", "completed")
HOLDS_STOCK = ("processing", "completed", "on-hold")
GATEWAYS = (
    ("bacs", "Direct bank transfer", True),
    ("cheque", "Check payments", False),
    ("cod", "Cash on delivery", True),
)
SHIPPING = Decimal("3.000")


class Died(Exception):
    """PHP died half-way: what was written stays, and the answer is a page of HTML."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One line somebody wants to buy; `name` is what the shopper saw, in the shopper's language."""

    product_id: int
    variation_id: int = 0
    quantity: int = 1
    name: str = ""


@dataclass(slots=True)
class Shop:
    """The shop's verbs over its documents."""

    documents: Documents
    clock: Callable[[], datetime]
    emit: Callable[[str, int], None]
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("Asia/Amman"))

    def now(self) -> str:
        """The present as documents keep it."""
        return stamp(self.clock())

    def option(self, name: str, default: object = None) -> object:
        """A site option."""
        return (self.documents.get("option", "site") or {}).get(name, default)

    def set_option(self, **values: object) -> None:
        """Change site options."""
        self.documents.put("option", "site", {**(self.documents.get("option", "site") or {}), **values})

    # Products

    def item(self, product_id: int, variation_id: int = 0) -> Json:
        """What is bought: the variation, or the product itself. Raises WpError when it does not exist."""
        found = self.documents.get("product", variation_id or product_id)
        if found is None:
            raise WpError("woocommerce_rest_invalid_product_id", "Invalid product ID.", 400)
        return found

    def create_product(
        self,
        names: dict[str, str],
        *,
        default: str,
        sku: str,
        price: str,
        category: str,
        hue: int,
        options: Sequence[str] = (),
        stock: int = 25,
        at: str | None = None,
    ) -> Json:
        """A simple product, or a variable one with a variation per option."""
        identifier = self.documents.next_id("post")
        at = at or self.now()
        slug = sku.lower()
        product = _product(identifier, names[default], sku, slug, price, at)
        product.update(_names=names, _category=category, _hue=hue)
        product["categories"] = [{"id": 15 + _index(category), "name": category.title(), "slug": category}]
        product["images"] = [_image(identifier, names[default], at)]
        if not options:
            product.update(manage_stock=True, stock_quantity=stock)
        else:
            product.update(type="variable", regular_price="", has_options=True)
            name = "Size" if "S" in options else "Colour"
            attribute = {"id": 0, "name": name, "slug": name, "position": 0, "visible": True, "variation": True}
            product["attributes"] = [{**attribute, "options": list(options)}]
            product["variations"] = [self._create_variation(product, name, option, stock, at) for option in options]
        self.documents.put("product", identifier, product)
        self.emit("product.created", identifier)
        return product

    def _create_variation(self, parent: Json, attribute: str, option: str, stock: int, at: str) -> int:
        identifier = self.documents.next_id("post")
        sku = f"{parent['sku']}-{option.upper()}"
        name = f"{parent['name']} - {option}"
        variation = _product(identifier, name, sku, f"{parent['slug']}-{option.lower()}", parent["price"], at)
        variation.update(type="variation", parent_id=parent["id"], manage_stock=True, stock_quantity=stock)
        variation.update(
            permalink=f"{parent['permalink']}?attribute_{attribute.lower()}={option}",
            description="",
            short_description="",
            reviews_allowed=False,
            total_sales="0",
            attributes=[{"id": 0, "name": attribute, "slug": attribute.lower(), "option": option}],
        )
        variation["_names"] = {
            language: f"{parent['_names'][language]} - {OPTION_NAMES.get(option, {}).get(language, option)}"
            for language in LANGUAGES
        }
        self.documents.put("product", identifier, variation)
        return identifier

    def update_product(self, product_id: int, changes: Json) -> Json:
        """Change the fields that merchants change here."""
        product = self._existing("product", product_id, "woocommerce_rest_product_invalid_id")
        for name in ("name", "regular_price", "description", "short_description", "status", "sku"):
            if name in changes:
                product[name] = str(changes[name])
        if "regular_price" in changes:
            product["price"] = product["regular_price"]
        if "stock_quantity" in changes and product["manage_stock"]:
            product["stock_quantity"] = int(changes["stock_quantity"])
        for name in ("categories", "tags", "brands"):
            if name in changes:
                # WooCommerce takes ids of terms that exist; here they come to be by their names.
                product[name] = [
                    {"id": 500 + place, "name": term["name"], "slug": term["name"].casefold().replace(" ", "-")}
                    for place, term in enumerate(changes[name])
                ]
        if "virtual" in changes:
            product["virtual"] = bool(changes["virtual"])
        # `gift-card` is a type of gift-card plugins (https://woocommerce.com/document/gift-cards/).
        if changes.get("type") in ("simple", "gift-card"):
            product["type"] = changes["type"]
        self._touch_product(product)
        return product

    def trash_product(self, product_id: int, *, force: bool) -> Json:
        """Into the bin (product.deleted is sent), or gone (nothing is sent, B8)."""
        product = self._existing("product", product_id, "woocommerce_rest_product_invalid_id")
        if force:
            self.documents.delete("product", product_id)
            return product
        product["status"] = "trash"
        self.documents.put("product", product_id, product)
        self.emit("product.deleted", product_id)
        return product

    def _touch_product(self, product: Json) -> None:
        quantity = product["stock_quantity"]
        product["stock_status"] = "outofstock" if quantity is not None and quantity <= 0 else "instock"
        product["purchasable"] = product["status"] == "publish"
        product["date_modified_gmt"] = self.now()
        self.documents.put("product", product["id"], product)
        self.emit("product.updated", product["id"])

    def _move_stock(self, order: Json, sign: int) -> None:
        for line in order["line_items"]:
            product = self.documents.get("product", line["variation_id"] or line["product_id"])
            if product is None or not product["manage_stock"]:
                continue
            product["stock_quantity"] += sign * line["quantity"]
            counted = self.documents.get("product", line["product_id"]) or product
            counted["total_sales"] -= sign * line["quantity"]
            self._touch_product(product)
        order["_stock_held"] = sign < 0

    # Customers

    def create_customer(
        self, *, email: str, first_name: str, last_name: str, role: str = "customer", **more: object
    ) -> Json:
        """A registered user. `more`: username, billing, shipping, at, language."""
        if any(known["email"].lower() == email.lower() for known in self.documents.all("customer")):
            raise WpError(
                "registration-error-email-exists", "An account is already registered with your email address.", 400
            )
        identifier = self.documents.next_id("user")
        at = str(more.get("at") or self.now())
        billing = {**blank_address(), "email": "", "phone": "", **_mapping(more.get("billing"))}
        shipping = {**blank_address(), "phone": "", **_mapping(more.get("shipping"))}
        avatar = hashlib.sha256(email.lower().encode()).hexdigest()
        customer = {
            "id": identifier,
            "date_created_gmt": at,
            "date_modified_gmt": at,
            "email": email,
            "first_name": first_name,
            "last_name": last_name,
            "role": role,
            "username": str(more.get("username") or email.partition("@")[0]),
            "billing": {key: billing[key] for key in _BILLING_OF_CUSTOMER},
            "shipping": {key: shipping[key] for key in _SHIPPING_OF_CUSTOMER},
            "is_paying_customer": False,
            "avatar_url": f"https://secure.gravatar.com/avatar/{avatar}?s=96&d=mm&r=g",
            "meta_data": [],
            "_language": str(more.get("language") or "en"),
        }
        self.documents.put("customer", identifier, customer)
        self.emit("customer.created", identifier)
        return customer

    def update_customer(self, customer_id: int, changes: Json) -> Json:
        """Change a user; customer.updated follows, whatever the role (B10)."""
        customer = self._existing("customer", customer_id, "woocommerce_rest_invalid_id", "Invalid resource ID.")
        for name in ("email", "first_name", "last_name"):
            if name in changes:
                customer[name] = str(changes[name])
        for name in ("billing", "shipping"):
            customer[name].update({k: str(v) for k, v in _mapping(changes.get(name)).items() if k in customer[name]})
        customer["date_modified_gmt"] = self.now()
        self.documents.put("customer", customer_id, customer)
        self.emit("customer.updated", customer_id)
        return customer

    def set_role(self, customer_id: int, role: str) -> Json:
        """What WordPress' own user screen and plugins do; the REST API shows a role and does not change it."""
        customer = self._existing("customer", customer_id, "woocommerce_rest_invalid_id")
        customer["role"] = role
        self.documents.put("customer", customer_id, customer)
        return self.update_customer(customer_id, {})

    def seen(self, customer_id: int) -> None:
        """A user was active: WooCommerce keeps the day in metadata, which makes a customer.updated."""
        customer = self._existing("customer", customer_id, "woocommerce_rest_invalid_id")
        value = str(int(self.clock().timestamp()))
        last = [meta for meta in customer["meta_data"] if meta["key"] == "wc_last_active"]
        if last:
            last[0]["value"] = value
        else:
            customer["meta_data"].append(self._meta("wc_last_active", value))
        self.update_customer(customer_id, {})

    def delete_customer(self, customer_id: int) -> Json:
        """Remove a user for good; its orders become a guest's."""
        customer = self._existing("customer", customer_id, "woocommerce_rest_invalid_id", "Invalid resource ID.")
        self.documents.delete("customer", customer_id)
        for order in self.documents.all("order"):
            if order["customer_id"] == customer_id:
                order["customer_id"] = 0
                self.documents.put("order", order["id"], order)
        self.emit("customer.deleted", customer_id)
        return customer

    # Orders

    def create_order(
        self,
        lines: Sequence[Wanted],
        *,
        customer_id: int = 0,
        billing: Json | None = None,
        shipping: Json | None = None,
        status: str = "pending",
        payment_method: str = "",
        created_via: str = "rest-api",
        customer_note: str = "",
        coupon: str = "",
        ship: bool = True,
        at: str | None = None,
        language: str = "",
    ) -> Json:
        """A new order. Through the block checkout order.updated is sent before order.created (B6)."""
        identifier = self.documents.next_id("post")
        at = at or self.now()
        billing = {**blank_address(), "email": "", "phone": "", **(billing or {})}
        shipping = {**blank_address(), "phone": "", **(shipping or {})}
        items = [self._line(wanted) for wanted in lines]
        subtotal = sum((Decimal(item["subtotal"]) for item in items), Decimal(0))
        discount = self._discount(coupon, items)
        freight = SHIPPING if ship and items else Decimal(0)
        checkout = created_via == "store-api"
        order: Json = {
            "id": identifier,
            "parent_id": 0,
            "status": "pending",
            "currency": wire.CURRENCY,
            "version": wire.VERSION,
            "prices_include_tax": False,
            "date_created_gmt": at,
            "date_modified_gmt": at,
            "discount_total": money(discount),
            "discount_tax": money(0),
            "shipping_total": money(freight),
            "shipping_tax": money(0),
            "cart_tax": money(0),
            "total": money(subtotal - discount + freight),
            "total_tax": money(0),
            "customer_id": customer_id,
            "order_key": f"wc_order_{secrets.token_hex(7)[:13]}",
            "billing": {key: billing[key] for key in _BILLING_OF_ORDER},
            "shipping": {key: shipping[key] for key in _SHIPPING_OF_ORDER},
            "payment_method": payment_method,
            "payment_method_title": next((title for key, title, _ in GATEWAYS if key == payment_method), ""),
            "transaction_id": "",
            "customer_ip_address": "127.0.0.1" if checkout else "",
            "customer_user_agent": "Mozilla/5.0" if checkout else "",
            "created_via": created_via,
            "customer_note": customer_note,
            "date_completed_gmt": None,
            "date_paid_gmt": None,
            "cart_hash": secrets.token_hex(16) if checkout else "",
            "meta_data": [self._meta("is_vat_exempt", "no")] if checkout else [],
            "line_items": items,
            "tax_lines": [],
            "shipping_lines": [self._shipping_line(freight)] if freight else [],
            "fee_lines": [],
            "coupon_lines": [self._coupon_line(coupon, discount)] if discount else [],
            "refunds": [],
            "_stock_held": False,
        }
        if language:
            order["meta_data"].append(self._meta("wpml_language", language))
        self.documents.put("order", identifier, order)
        topics = ("order.updated", "order.created") if checkout else ("order.created", "order.updated")
        for topic in topics:
            self.emit(topic, identifier)
        if status != "pending":
            self.set_status(identifier, status, at=at)
        if customer_id and checkout:
            self.seen(customer_id)
        return order

    def set_status(self, order_id: int, status: str, *, at: str | None = None) -> Json:
        """Move an order; dates, stock and a note follow. A trashed order that comes back sends nothing (B8)."""
        order = self._existing("order", order_id, "woocommerce_rest_shop_order_invalid_id")
        if status not in STATUSES or (status == OWN_STATUS and not self.option("return_status", True)):
            raise invalid_status(status)
        before = order["status"]
        if before == status:
            return order
        at = at or self.now()
        order["status"] = status
        order["date_modified_gmt"] = at
        if status in PAID and not (status == "processing" and order["payment_method"] == "cod"):
            order["date_paid_gmt"] = order["date_paid_gmt"] or at
        if status == "completed":
            order["date_completed_gmt"] = order["date_completed_gmt"] or at
        if status in HOLDS_STOCK and not order["_stock_held"]:
            self._move_stock(order, -1)
        if status in ("cancelled",) and order["_stock_held"]:
            self._move_stock(order, +1)
        if status in PAID and order["customer_id"]:
            customer = self.documents.get("customer", order["customer_id"])
            if customer is not None:
                customer["is_paying_customer"] = True
        self.documents.put("order", order_id, order)
        if before == "trash":
            return order
        self.add_note(order_id, f"Order status changed from {STATUSES[before]} to {STATUSES[status]}.", at=at)
        self.emit("order.updated", order_id)
        return order

    def update_order(self, order_id: int, changes: Json) -> Json:
        """PUT orders/ID: status, note to us, addresses, metadata."""
        order = self._existing("order", order_id, "woocommerce_rest_shop_order_invalid_id")
        trashed = order["status"] == "trash"
        if "status" in changes:
            order = self.set_status(order_id, str(changes["status"]))
        for name in ("billing", "shipping"):
            order[name].update({k: str(v) for k, v in _mapping(changes.get(name)).items() if k in order[name]})
        if "line_items" in changes:
            self._change_lines(order, changes["line_items"])
        if "customer_note" in changes:
            order["customer_note"] = str(changes["customer_note"])
        for meta in changes.get("meta_data") or ():
            self.set_order_meta(order, str(meta["key"]), meta["value"])
        for told in changes.get("fee_lines") or ():
            for fee in order["fee_lines"]:
                if fee["id"] == told.get("id"):
                    fee["total"] = money(_amount(told["total"]) or Decimal(0))
                    self._sum(order)
        order["date_modified_gmt"] = self.now()
        self.documents.put("order", order_id, order)
        if not trashed:
            self.emit("order.updated", order_id)
        return order

    def _change_lines(self, order: Json, wanted: Sequence[Json]) -> None:
        """Line items of PUT orders/ID: those with an id are changed, of which none are left they go, others are new.

        A line that is not named stays (woocommerce/woocommerce 22177). Stock of an order that holds it follows.
        """
        for told in wanted:
            quantity = int(told.get("quantity", 1))
            if not told.get("id"):
                line = self._line(Wanted(int(told["product_id"]), int(told.get("variation_id") or 0), quantity))
                order["line_items"].append(line)
                self._take(order, line, quantity)
            else:
                line = next((held for held in order["line_items"] if held["id"] == int(told["id"])), {})
                if not line:
                    words = "Order item ID provided is not associated with order."
                    raise WpError("woocommerce_rest_invalid_item_id", words, 400)
                self._take(order, line, quantity - line["quantity"])
                if quantity == 0:
                    order["line_items"].remove(line)
                    continue
                line["quantity"] = quantity
            for name in ("subtotal", "total"):
                if told.get(name) is not None:
                    line[name] = money(_amount(told[name]) or Decimal(0))
            line["price"] = php_number(Decimal(line["total"]) / quantity)
        self._sum(order)

    def _take(self, order: Json, line: Json, count: int) -> None:
        product = self.documents.get("product", line["variation_id"] or line["product_id"])
        if count and order["_stock_held"] and product is not None and product["manage_stock"]:
            product["stock_quantity"] -= count
            self._touch_product(product)

    def reprice(self, order: Json, wanted: Sequence[Json], fees: Sequence[Json] = ()) -> Json:
        """Lines of POST orders that say their own `total`, and fees: the order is summed anew."""
        for line, told in zip(order["line_items"], wanted, strict=True):
            if told.get("total") is not None:
                total = money(_amount(told["total"]) or Decimal(0))
                line.update(total=total, price=php_number(Decimal(total) / line["quantity"]))
                line["subtotal"] = money(_amount(told.get("subtotal", told["total"])) or Decimal(0))
        for fee in fees:
            order["fee_lines"].append({
                "id": self.documents.next_id("item"), "name": str(fee.get("name") or ""), "tax_class": "",
                "tax_status": str(fee.get("tax_status") or "taxable"), "amount": "",
                "total": money(_amount(fee.get("total")) or Decimal(0)), "total_tax": money(0), "taxes": [],
                "meta_data": [],
            })  # fmt: skip
        self._sum(order)
        return self.documents.put("order", order["id"], order)

    @staticmethod
    def _sum(order: Json) -> None:
        parts = [Decimal(line["total"]) for name in ("line_items", "fee_lines") for line in order[name]]
        # A fee below zero takes no more off than there is, as WC_Order::calculate_totals has it.
        order["total"] = money(max(Decimal(0), sum(parts, Decimal(order["shipping_total"]))))

    def create_coupon(self, told: Json) -> Json:
        """A coupon, as POST coupons makes it: codes are kept in lower case and exist once."""
        code = str(told.get("code") or "").lower()
        if not code:
            raise WpError("woocommerce_rest_empty_coupon_code", "The coupon code cannot be empty.", 400)
        if any(known["code"] == code for known in self.documents.all("coupon")):
            raise WpError("woocommerce_rest_coupon_code_already_exists", "The coupon code already exists", 400)
        kind, amount = str(told.get("discount_type") or "fixed_cart"), _amount(told.get("amount")) or Decimal(0)
        if kind == "percent" and amount > 100:
            raise WpError("woocommerce_rest_invalid_coupon_amount", "Invalid discount amount.", 400)
        identifier, at = self.documents.next_id("post"), self.now()
        expires = told.get("date_expires_gmt")
        coupon: Json = {
            "id": identifier, "code": code, "amount": str(amount.quantize(Decimal("0.01"))), "status": "publish",
            "date_created_gmt": at, "date_modified_gmt": at, "discount_type": kind,
            "description": str(told.get("description") or ""),
            "date_expires": expires, "date_expires_gmt": expires, "usage_count": 0, "individual_use": False,
            "product_ids": [], "excluded_product_ids": [], "usage_limit": told.get("usage_limit"),
            "usage_limit_per_user": told.get("usage_limit_per_user"), "limit_usage_to_x_items": None,
            "free_shipping": False, "product_categories": [], "excluded_product_categories": [],
            "exclude_sale_items": False, "minimum_amount": "0.00", "maximum_amount": "0.00",
            "email_restrictions": list(told.get("email_restrictions") or []), "used_by": [], "meta_data": [],
            # Shown with two decimals whatever the shop's are, and kept as it was told.
            "_amount": str(amount),
        }  # fmt: skip
        self.documents.put("coupon", identifier, coupon)
        self.emit("coupon.created", identifier)
        return coupon

    def set_order_meta(self, order: Json, key: str, value: object) -> None:
        """Set one metadata entry of an order; the caller saves."""
        known = [meta for meta in order["meta_data"] if meta["key"] == key]
        if known:
            known[0]["value"] = value
            return
        order["meta_data"].append(self._meta(key, value))

    def assess(self, order_id: int, told: Json) -> Json:
        """What WooPayments writes on an order about its payment, by the names of its own metadata."""
        return self.update_order(order_id, {"meta_data": [{"key": key, "value": told[key]} for key in told]})

    def ship(self, order_id: int, carrier: str, number: str, *, at: str | None = None) -> Json:
        """What shipping plugins do: tracking in metadata and a note to the customer, order completed."""
        order = self._existing("order", order_id, "woocommerce_rest_shop_order_invalid_id")
        self.set_order_meta(order, "_tracking_number", number)
        self.set_order_meta(order, "_tracking_provider", carrier)
        self.documents.put("order", order_id, order)
        self.add_note(order_id, f"Shipped with {carrier}. Tracking number: {number}", customer=True, at=at)
        return self.set_status(order_id, "completed", at=at)

    def trash_order(self, order_id: int, *, force: bool) -> Json:
        """Into the bin (order.deleted is sent), or gone (nothing is sent, B8)."""
        order = self._existing("order", order_id, "woocommerce_rest_shop_order_invalid_id")
        if force:
            self.documents.delete("order", order_id)
            return order
        if order["status"] == "trash":
            raise WpError("woocommerce_rest_already_trashed", "The order has already been deleted.", 410)
        order["status"] = "trash"
        order["date_modified_gmt"] = self.now()
        self.documents.put("order", order_id, order)
        self.emit("order.deleted", order_id)
        return order

    def refund(self, order_id: int, wanted: Json, *, by: int = 1, at: str | None = None) -> Json:
        """POST orders/ID/refunds with its habits (B9, B27): api_refund defaults to true and no gateway here can."""
        order = self._existing("order", order_id, "woocommerce_rest_shop_order_invalid_id")
        kinds: dict[str, list[Json]] = {name: [] for name in ("line_items", "shipping_lines", "fee_lines")}
        for line in wanted.get("line_items") or ():
            kind, made = self._refund_line(order, line)
            kinds[kind].append(made)
        lines = kinds["line_items"]
        amount = _amount(wanted.get("amount"))
        if amount is None:
            amount = -sum((Decimal(line["total"]) + Decimal(line["total_tax"])
                           for made in kinds.values() for line in made), Decimal(0))  # fmt: skip
        left = Decimal(order["total"]) + sum((Decimal(refund["total"]) for refund in order["refunds"]), Decimal(0))
        if amount < 0 or amount > left or not (amount or lines):
            raise _refund_error("Invalid refund amount.")
        automatic = wanted.get("api_refund", True) not in (False, "false", 0, "0")
        if automatic and order["payment_method"] not in self.refunding_gateways():
            raise _refund_error("The payment gateway for this order does not support automatic refunds.")
        identifier = self.documents.next_id("post")
        at = at or self.now()
        full = amount == left and amount > 0
        reason = str(wanted.get("reason") or "")
        refund: Json = {
            "id": identifier,
            "order_id": order_id,
            "date_created_gmt": at,
            "amount": money(amount),
            "reason": reason,
            "refunded_by": by,
            "refunded_payment": False,
            "meta_data": [self._meta("_refund_type", "full" if full else "partial")],
            **kinds,
        }
        # Written down before the gateway is asked, and taken back when it refuses (wc_create_refund).
        self.documents.put("refund", identifier, refund)
        order["refunds"].insert(0, {"id": identifier, "reason": reason, "total": money(-amount), "total_tax": money(0)})
        order["date_modified_gmt"] = at
        self.documents.put("order", order_id, order)
        fault = self._gateway_fault() if automatic else ""
        if automatic:
            self._move_money(order, refund, fault)
        if wanted.get("api_restock", True) not in (False, "false", 0, "0"):
            self._restock(order, lines, at)
        if full:
            self.set_status(order_id, "refunded", at=at)
        self.emit("order.updated", order_id)
        if fault == "die_after":
            raise Died
        # REST writes the metadata when everything else is done.
        refund["meta_data"] += [self._meta(str(meta["key"]), meta["value"]) for meta in wanted.get("meta_data") or ()]
        return self.documents.put("refund", identifier, refund)

    def _gateway_fault(self) -> str:
        """How the gateway fails this time: refuse, timeout, die_before, die_during, die_after, or not at all."""
        held = self.documents.get("option", "gateway") or {}
        if not held.get("left"):
            return ""
        self.documents.put("option", "gateway", {**held, "left": held["left"] - 1})
        return str(held["mode"])

    def _move_money(self, order: Json, refund: Json, fault: str) -> None:
        """The gateway's part: the ledger says what really moved. Raises WpError, Died."""
        if fault == "die_before":
            raise Died
        if fault != "refuse":
            self._enter(order, refund)
        if fault in ("refuse", "timeout"):
            self.delete_refund(order["id"], refund["id"])
            words = "Declined by the bank." if fault == "refuse" else "cURL error 28: Operation timed out."
            raise _refund_error(words)
        if fault == "die_during":
            raise Died
        refund["refunded_payment"] = True
        self.documents.put("refund", refund["id"], refund)

    def _enter(self, order: Json, refund: Json) -> None:
        number = self.documents.next_id("ledger")
        units = int(Decimal(refund["amount"]).scaleb(wire.DECIMALS))
        entry = {"id": number, "order_id": order["id"], "refund": refund["id"], "kind": "refund", "minor": units,
                 "gateway": order["payment_method"], "at": self.now()}  # fmt: skip
        self.documents.put("ledger", number, entry)

    def refunding_gateways(self) -> list[str]:
        """Gateways that give money back by themselves; none unless a test or the control page says so."""
        held = self.option("refunding_gateways")
        return [str(name) for name in held] if isinstance(held, list) else []

    def delete_refund(self, order_id: int, refund_id: int) -> Json:
        """DELETE orders/ID/refunds/ID?force=true."""
        order = self._existing("order", order_id, "woocommerce_rest_shop_order_invalid_id")
        code = "woocommerce_rest_invalid_order_refund_id"
        refund = self._existing("refund", refund_id, code, "Invalid order refund ID.")
        order["refunds"] = [entry for entry in order["refunds"] if entry["id"] != refund_id]
        order["date_modified_gmt"] = self.now()
        self.documents.put("order", order_id, order)
        self.documents.delete("refund", refund_id)
        self.emit("order.updated", order_id)
        return refund

    def ledger(self) -> list[Json]:
        """Money that really moved, in the order in which it did."""
        return list(self.documents.all("ledger"))

    def add_note(
        self, order_id: int, text: str, *, customer: bool = False, author: str = "WooCommerce", at: str | None = None
    ) -> Json:
        """A note on an order: no webhook follows, and the order's own times stay (B9)."""
        identifier = self.documents.next_id("comment")
        note = {"id": identifier, "order_id": order_id, "author": author, "date_created_gmt": at or self.now()}
        return self.documents.put("note", identifier, {**note, "note": text, "customer_note": customer})

    def orders(self) -> Iterable[Json]:
        """Every order, trashed ones too."""
        return self.documents.all("order")

    def _existing(self, kind: str, identifier: int, code: str, message: str = "Invalid ID.") -> Json:
        found = self.documents.get(kind, identifier)
        if found is None:
            raise WpError(code, message, 404)
        return found

    def _meta(self, key: str, value: object) -> Json:
        return {"id": self.documents.next_id("meta"), "key": key, "value": value}

    def _line(self, wanted: Wanted) -> Json:
        item = self.item(wanted.product_id, wanted.variation_id)
        price = Decimal(item["price"] or "0")
        total = money(price * wanted.quantity)
        parent = self.documents.get("product", wanted.product_id) if wanted.variation_id else None
        image = (parent or item)["images"]
        meta = []
        for attribute in item["attributes"] if wanted.variation_id else ():
            shown = {"display_key": attribute["name"], "display_value": attribute["option"]}
            meta.append({**self._meta(attribute["slug"], attribute["option"]), **shown})
        return {
            "id": self.documents.next_id("item"),
            "name": wanted.name or item["name"],
            "product_id": wanted.product_id,
            "variation_id": wanted.variation_id,
            "quantity": wanted.quantity,
            "tax_class": "",
            "subtotal": total,
            "subtotal_tax": money(0),
            "total": total,
            "total_tax": money(0),
            "taxes": [],
            "meta_data": meta,
            "sku": item["sku"],
            "global_unique_id": "",
            "price": php_number(price),
            "image": {"id": str(image[0]["id"]), "src": image[0]["src"]} if image else {"id": "", "src": ""},
            "parent_name": parent["name"] if parent else None,
        }

    def _discount(self, code: str, items: list[Json]) -> Decimal:
        coupon = next((known for known in self.documents.all("coupon") if code and known["code"] == code.lower()), None)
        if coupon is None:
            return Decimal(0)
        coupon["usage_count"] += 1
        self.documents.put("coupon", coupon["id"], coupon)
        total, worth = Decimal(0), Decimal(coupon.get("_amount") or coupon["amount"])
        whole = sum((Decimal(item["subtotal"]) for item in items), Decimal(0))
        for item in items:
            share = (
                worth / 100 if coupon["discount_type"] == "percent" else min(Decimal(1), worth / whole if whole else 0)
            )
            off = Decimal(money(Decimal(item["subtotal"]) * share))
            item["total"] = money(Decimal(item["subtotal"]) - off)
            item["price"] = php_number(Decimal(item["total"]) / item["quantity"])
            total += off
        return total

    def _shipping_line(self, freight: Decimal) -> Json:
        line = {"id": self.documents.next_id("item"), "method_title": "Flat rate", "method_id": "flat_rate"}
        rest = {"total_tax": money(0), "taxes": [], "tax_status": "taxable", "meta_data": []}
        return {**line, "instance_id": "1", "total": money(freight), **rest}

    def _coupon_line(self, code: str, discount: Decimal) -> Json:
        line = {"id": self.documents.next_id("item"), "code": code, "discount": money(discount)}
        return {
            **line,
            "discount_tax": money(0),
            "meta_data": [],
            "discount_type": "percent",
            "nominal_amount": 10,
            "free_shipping": False,
        }

    def _refund_line(self, order: Json, wanted: Json) -> tuple[str, Json]:
        """A line of a refund: products, delivery and fees are told in one list and kept in three."""
        found = [(kind, line) for kind in ("line_items", "shipping_lines", "fee_lines")
                 for line in order[kind] if line["id"] == wanted.get("id")]  # fmt: skip
        if not found:
            raise _refund_error("Invalid refund line.")
        kind, original = found[0]
        quantity = int(wanted.get("quantity") or 0)
        total = _amount(wanted.get("refund_total")) or Decimal(0)
        taxes = [{"id": int(tax["id"]), "total": money(-(_amount(tax.get("refund_total")) or Decimal(0)))}
                 for tax in wanted.get("refund_tax") or ()]  # fmt: skip
        tax = money(sum((Decimal(str(one["total"])) for one in taxes), Decimal(0)))
        meta = self._meta("_refunded_item_id", str(original["id"]))
        meta.update(display_key=meta["key"], display_value=meta["value"])
        own = {"id": self.documents.next_id("item"), "total": money(-total), "total_tax": tax, "taxes": taxes}
        if kind != "line_items":
            return kind, {**original, **own, "meta_data": [meta]}
        more = {"quantity": -quantity, "subtotal": money(-total), "subtotal_tax": tax}
        return kind, {**original, **own, **more, "meta_data": [meta]}

    def _restock(self, order: Json, lines: list[Json], at: str) -> None:
        for line in lines:
            product = self.documents.get("product", line["variation_id"] or line["product_id"])
            if product is None or not product["manage_stock"] or not line["quantity"]:
                continue
            before = product["stock_quantity"]
            product["stock_quantity"] = before - line["quantity"]
            self._touch_product(product)
            text = f"Item #{product['id']} stock increased from {before} to {product['stock_quantity']}."
            self.add_note(order["id"], text, at=at)


def blank_address() -> Json:
    """An address nobody filled in."""
    names = ("first_name", "last_name", "company", "address_1", "address_2", "city", "state", "postcode", "country")
    return dict.fromkeys(names, "")


_BILLING_OF_ORDER = (
    "first_name", "last_name", "company", "address_1", "address_2", "city", "state", "postcode", "country",
    "email", "phone",
)  # fmt: skip
_SHIPPING_OF_ORDER = tuple(name for name in _BILLING_OF_ORDER if name != "email")
_BILLING_OF_CUSTOMER = (
    "first_name", "last_name", "company", "address_1", "address_2", "city", "postcode", "country", "state",
    "email", "phone",
)  # fmt: skip
_SHIPPING_OF_CUSTOMER = tuple(name for name in _BILLING_OF_CUSTOMER if name != "email")


def _mapping(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _index(category: str) -> int:
    return sum(category.encode()) % 40


def _amount(value: object) -> Decimal | None:
    if value in (None, ""):
        return None
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return Decimal(0)


def _refund_error(message: str) -> WpError:
    error = WpError("woocommerce_rest_cannot_create_order_refund", message, 500)
    error.body["data"] = 500
    return error


def invalid_status(status: str) -> WpError:
    """The 400 for a status that WooCommerce does not know."""
    allowed = ", ".join(("auto-draft", *STATUSES))
    return WpError(
        "rest_invalid_param",
        "Invalid parameter(s): status",
        400,
        params={"status": f"status is not one of {allowed}."},
        details={"status": {"code": "rest_not_in_enum", "message": f"status is not one of {allowed}.", "data": None}},
    )


def _image(product_id: int, name: str, at: str) -> Json:
    dates = {"date_created": at, "date_created_gmt": at, "date_modified": at, "date_modified_gmt": at}
    return {"id": product_id * 1000, **dates, "src": f"/picture/{product_id}.svg", "name": name, "alt": name}


def _product(identifier: int, name: str, sku: str, slug: str, price: str, at: str) -> Json:
    """Every field of a product in the recorded order; times are UTC, links relative to the site."""
    return {
        "id": identifier, "name": name, "slug": slug, "permalink": f"/product/{slug}/",
        "date_created_gmt": at, "date_modified_gmt": at, "type": "simple", "status": "publish", "featured": False,
        "catalog_visibility": "visible", "description": f"<p>{name}</p>\n", "short_description": "", "sku": sku,
        "price": price, "regular_price": price, "sale_price": "",
        "date_on_sale_from": None, "date_on_sale_from_gmt": None, "date_on_sale_to": None, "date_on_sale_to_gmt": None,
        "on_sale": False, "purchasable": True, "total_sales": 0, "virtual": False, "downloadable": False,
        "downloads": [], "download_limit": -1, "download_expiry": -1, "external_url": "", "button_text": "",
        "tax_status": "taxable", "tax_class": "", "manage_stock": False, "stock_quantity": None, "backorders": "no",
        "backorders_allowed": False, "backordered": False, "low_stock_amount": None, "sold_individually": False,
        "weight": "0.4", "dimensions": {"length": "", "width": "", "height": ""}, "shipping_required": True,
        "shipping_taxable": True, "shipping_class": "", "shipping_class_id": 0, "reviews_allowed": True,
        "average_rating": "0.00", "rating_count": 0, "upsell_ids": [], "cross_sell_ids": [], "parent_id": 0,
        "purchase_note": "", "categories": [], "brands": [], "tags": [], "images": [], "attributes": [],
        "default_attributes": [], "variations": [], "grouped_products": [], "menu_order": 0,
        "price_html": _price_html(price), "related_ids": [], "meta_data": [], "stock_status": "instock",
        "has_options": False, "post_password": "", "global_unique_id": "",
    }  # fmt: skip


def _price_html(price: str) -> str:
    symbol = f'<span class="woocommerce-Price-currencySymbol" translate="no">{wire.SYMBOL}</span>'
    return f'<span class="woocommerce-Price-amount amount"><bdi>{money(price)}&nbsp;{symbol}</bdi></span>'


def utc_now() -> datetime:
    """The real clock."""
    return datetime.now(UTC)
