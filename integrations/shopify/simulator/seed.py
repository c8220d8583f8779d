"""The shop's first two years: products, customers of three languages, orders with all that happens to orders."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from integrations.shopify.simulator import merchandise as goods
from integrations.shopify.simulator import trade
from integrations.shopify.simulator.shop import Shop, amount, gid, iso
from integrations.shopify.simulator.state import Doc

CUSTOMERS = 120
ORDERS = 300
DAYS = 730
LANGUAGES = ("he", "ar", "en")

_ANY_DOMAIN = b"the-domain-of-this-shop"
_made: dict[tuple[int, int, int, str], dict[str, bytes]] = {}
"""Shops in memory that were filled in this hour, for the next ones: tests make hundreds."""


def seed(shop: Shop, *, customers: int = CUSTOMERS, orders: int = ORDERS, number: int = 7) -> None:
    """Fills an empty shop; the same ``number`` gives the same shop, told relative to now. Does nothing twice."""
    if shop.state.setting("seeded"):
        return
    like = customers, orders, number, f"{shop.now():%Y%m%d%H}"
    if shop.state.forgetful and like in _made:
        shop.state.read(_renamed(_made[like], _ANY_DOMAIN, shop.domain.encode()))
        return
    dice = random.Random(number)  # noqa: S311 - a shop must come out the same each time
    with shop.state.batch():
        _products(shop, dice)
        _customers(shop, dice, customers)
        history(shop, orders, days=DAYS, dice=dice)
        shop.state.set("seeded", True)
        shop.state.set("embed", {"enabled": False})
    if shop.state.forgetful:
        _made[like] = _renamed(shop.state.written(), shop.domain.encode(), _ANY_DOMAIN)


def _renamed(written: dict[str, bytes], old: bytes, new: bytes) -> dict[str, bytes]:
    return {kind: held.replace(old, new) for kind, held in written.items()}


def _products(shop: Shop, dice: random.Random) -> None:
    born = shop.now() - timedelta(days=DAYS + 30)
    for index, item in enumerate(goods.ITEMS):
        number = shop.state.next_id("products")
        native = LANGUAGES[index % 3]
        handle = item.en.lower().replace("'", "").replace(",", "").replace(" ", "-")
        created = iso(born + timedelta(hours=index))
        variants = []
        for position, option in enumerate(item.options or ("Default Title",), start=1):
            variant_id = shop.state.next_id("variants")
            step = position - 1 if item.options in (goods.SIZES, goods.WEIGHTS) else 0
            variants.append(
                {
                    "id": variant_id,
                    "admin_graphql_api_id": gid("ProductVariant", variant_id),
                    "barcode": f"72900{10000000 + variant_id % 9999999}",
                    "compare_at_price": amount(item.price + 2000) if index % 9 == 0 else None,
                    "created_at": created,
                    "inventory_item_id": shop.state.next_id("inventory"),
                    "inventory_policy": "deny",
                    "inventory_quantity": 0 if index == 37 else dice.choice((2, 8, 14, 30, 55)),
                    "old_inventory_quantity": 0,
                    "option1": option,
                    "position": position,
                    "price": amount(item.price + step * item.price * 3 // 10 // 100 * 100),
                    "product_id": number,
                    "sku": f"{item.family[:2].upper()}-{index + 1:02d}{f'-{position}' if item.options else ''}",
                    "taxable": True,
                    "title": goods.OPTION_WORDS[option][native] if option in goods.OPTION_WORDS else option,
                    "updated_at": created,
                    "_option": option,
                }
            )
        product: Doc = {
            "id": number,
            "admin_graphql_api_id": gid("Product", number),
            "body_html": f"<p>{goods.STORY[item.family][native]}</p>",
            "created_at": created,
            "handle": handle,
            "product_type": goods.FAMILIES[item.family][native],
            "published_at": created,
            "template_suffix": None,
            "title": item.name(native),
            "updated_at": created,
            "vendor": "Bustan",
            "status": "active",
            "published_scope": "global",
            "tags": item.family,
            "variants": variants,
            "options": [
                {
                    "name": "Size" if item.options in (goods.SIZES, goods.WEIGHTS) else "Colour",
                    "values": [variant["title"] for variant in variants],
                }
            ]
            if item.options
            else [],
            "images": [],
            "image": None,
            "_index": index,
        }
        shop.state.put("products", number, product)


def _customers(shop: Shop, dice: random.Random, count: int) -> None:
    born = shop.now() - timedelta(days=DAYS)
    for index in range(count):
        locale = LANGUAGES[index % 3]
        person(shop, dice, locale, at=born + timedelta(days=dice.uniform(0, DAYS - 2)), quiet=True)


def person(shop: Shop, dice: random.Random, locale: str, *, at: datetime | None = None, quiet: bool = False) -> Doc:
    """A made-up customer: names in their script, address where they live, mail at example.com."""
    first, first_latin = dice.choice(goods.FIRST_NAMES[locale])
    last, last_latin = dice.choice(goods.LAST_NAMES[locale])
    place = dice.choice(goods.PLACES[locale])
    suffix = shop.state.count("customers") + 1
    phone = f"{place.dial}{dice.randrange(10**6):06d}"
    address: Doc = {
        "first_name": first,
        "last_name": last,
        "company": None,
        "address1": f"{dice.choice(place.streets)} {dice.randrange(1, 90)}",
        "address2": "",
        "city": place.city,
        "province": place.province or None,
        "country": place.country_name,
        "zip": place.zip,
        "phone": phone,
        "name": f"{first} {last}",
        "province_code": place.province or None,
        "country_code": place.country,
        "country_name": place.country_name,
    }
    return trade.create_customer(
        shop,
        first_name=first,
        last_name=last,
        email=f"{first_latin}.{last_latin}{suffix}@example.com",
        phone=phone if dice.random() < 0.8 else None,
        locale=locale,
        address=address,
        tags=dice.choice(("", "", "", "VIP", "wholesale")),
        note=None,
        at=at,
        quiet=quiet,
    )


def history(shop: Shop, count: int, *, days: int = DAYS, dice: random.Random | None = None) -> None:
    """Adds ``count`` past orders over ``days``, oldest first, silently; a third of them within the last 60 days."""
    dice = dice or random.Random(shop.state.count("orders") + 11)  # noqa: S311 - no secret
    now = shop.now()
    ages = sorted(
        (dice.uniform(0.02, min(60, days)) if dice.random() < 0.33 else dice.uniform(0.02, days) for _ in range(count)),
        reverse=True,
    )
    customers = shop.state.all("customers")
    variants = [variant["id"] for product in shop.state.all("products") for variant in product["variants"]]
    regulars = customers[: max(1, len(customers) // 3)]
    with shop.state.batch():
        for age in ages:
            _one_order(shop, dice, customers, regulars, variants, now - timedelta(days=age), age)


def _one_order(
    shop: Shop, dice: random.Random, customers: list[Doc], regulars: list[Doc], variants: list[int], at: datetime,
    age: float,
) -> None:  # fmt: skip
    known = [c for c in (regulars if dice.random() < 0.5 else customers) if c["created_at"] <= iso(at)] or customers
    customer = dice.choice(known)
    lines = [(variant, dice.choice((1, 1, 1, 2, 4))) for variant in dice.sample(variants, dice.choice((1, 1, 2, 3)))]
    order = trade.place_order(
        shop, lines, customer=customer, locale=customer["_locale"], at=at, paid=dice.random() > 0.04, quiet=True
    )
    luck = dice.random()
    if luck < 0.05:
        trade.cancel(shop, order["id"], reason=dice.choice(("customer", "inventory")),
                     at=at + timedelta(hours=min(5, age * 12)), quiet=True)  # fmt: skip
        return
    if age < 1.5 or luck < 0.08:
        return
    trade.fulfil(shop, order["id"], at=at + timedelta(days=min(1.2, age * 0.6)), quiet=True)
    if age < 5:
        return
    trade.deliver(shop, order["id"], at=at + timedelta(days=min(4.0, age * 0.8)), quiet=True)
    if luck > 0.86:
        first = order["line_items"][0]
        words = dice.choice(goods.RETURN_NOTES[customer["_locale"]])
        asked = trade.request_return(
            shop, order["id"], quantities={first["id"]: 1}, note=words, at=at + timedelta(days=age * 0.85), quiet=True
        )
        if luck > 0.93:
            trade.move_return(shop, order["id"], asked["id"], "approve", at=at + timedelta(days=age * 0.9), quiet=True)
            if age > 20:
                trade.refund(shop, order["id"], quantities={first["id"]: 1}, note=words,
                             at=at + timedelta(days=age * 0.95), quiet=True)  # fmt: skip
                trade.move_return(shop, order["id"], asked["id"], "close",
                                  at=at + timedelta(days=age * 0.96), quiet=True)  # fmt: skip
    elif luck > 0.82:
        trade.refund(shop, order["id"], at=at + timedelta(days=age * 0.9), quiet=True)


def tick(shop: Shop, dice: random.Random) -> str:
    """One small thing that happens in a shop: a cart, an order, a parcel; says which."""
    recent = [o for o in shop.state.all("orders") if not o["cancelled_at"] and not trade.older_than(o, shop.now(), 20)]
    waiting = [o for o in recent if o["fulfillment_status"] is None]
    moving = [o for o in recent if any(parcel["_delivered_at"] is None for parcel in o["fulfillments"])]
    luck = dice.random()
    if luck < 0.3 and waiting:
        order = dice.choice(waiting)
        trade.fulfil(shop, order["id"])
        return f"{order['name']} sent"
    if luck < 0.45 and moving:
        order = dice.choice(moving)
        trade.deliver(shop, order["id"])
        return f"{order['name']} delivered"
    customer = dice.choice(shop.state.all("customers"))
    if luck > 0.92:
        customer = person(shop, dice, dice.choice(LANGUAGES))
    stocked = [
        variant["id"]
        for product in shop.state.all("products")
        for variant in product["variants"]
        if variant["inventory_quantity"] > 3
    ]
    lines = [(variant, 1) for variant in dice.sample(stocked, 2)]
    if luck > 0.7:
        token = f"{dice.getrandbits(128):032x}"
        trade.set_cart(shop, token, dict(lines))
        trade.begin_checkout(shop, token, customer, customer["_locale"])
        return "checkout begun"
    order = trade.place_order(shop, lines, customer=customer, locale=customer["_locale"])
    return f"{order['name']} placed"
