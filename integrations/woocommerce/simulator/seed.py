"""Two years of a small shop's life, the same every time: products, customers, orders, refunds, a coupon."""

from __future__ import annotations

import random
from datetime import timedelta

from integrations.woocommerce.simulator import catalogue
from integrations.woocommerce.simulator.database import Json
from integrations.woocommerce.simulator.shop import Shop, Wanted
from integrations.woocommerce.simulator.wire import stamp

CUSTOMERS = 120
ORDERS = 250
DAYS = 730
CARRIERS = ("Aramex", "DHL Express", "Jordan Post")
NOTES = {
    "en": ("", "", "Please ring the bell", "It is a gift, no invoice in the box"),
    "ar": ("", "", "الرجاء الاتصال قبل الوصول", "هدية، بدون فاتورة داخل الصندوق"),
    "he": ("", "", "נא לצלצל לפני שמגיעים", "זו מתנה, בלי חשבונית בקופסה"),
}


_made: dict[tuple[int, int, str], str] = {}
"""Sites in memory that were filled in this hour, for the next ones: tests make hundreds."""


def seed(shop: Shop, *, customers: int = CUSTOMERS, orders: int = ORDERS) -> None:
    """Fill an empty shop. Deterministic except for keys and the present; webhooks must not exist yet."""
    like = customers, orders, f"{shop.clock():%Y%m%d%H}"
    if not shop.documents.forgetful:
        _fill(shop, customers, orders)
    elif like in _made:
        shop.documents.read(_made[like])
    else:
        _fill(shop, customers, orders)
        _made[like] = shop.documents.written()


def _fill(shop: Shop, customers: int, orders: int) -> None:
    dice = random.Random(7)  # noqa: S311 - no secret
    now = shop.clock()
    opened = stamp(now - timedelta(days=DAYS + 30))
    shop.documents.next_id("post", 10)
    shop.create_customer(
        email="owner@zaytouna.example",
        first_name="Rania",
        last_name="Khoury",
        role="administrator",
        username="admin",
        at=opened,
    )
    for product in catalogue.PRODUCTS:
        shop.create_product(
            product.names,
            default=product.default,
            sku=product.sku,
            price=product.price,
            category=product.category,
            hue=product.hue,
            options=product.options,
            stock=dice.randint(60, 240),
            at=opened,
        )
    _coupon(shop, opened)
    joined = [stamp(now - timedelta(days=dice.randint(1, DAYS))) for _ in range(customers)]
    people = [_person(shop, dice, number, at) for number, at in enumerate(joined)]
    ages = sorted((dice.random() ** 1.6 * DAYS for _ in range(orders)), reverse=True)
    for age in ages:
        _order(shop, dice, people, age)
    for product_id in dice.sample([known["id"] for known in shop.documents.all("product") if known["manage_stock"]], 2):
        shop.update_product(product_id, {"stock_quantity": dice.choice((0, 2))})


def _coupon(shop: Shop, at: str) -> None:
    identifier = shop.documents.next_id("post")
    coupon: Json = {
        "id": identifier, "code": "welcome10", "amount": "10.00", "status": "publish", "date_created_gmt": at,
        "date_modified_gmt": at, "discount_type": "percent", "description": "", "date_expires": None,
        "date_expires_gmt": None, "usage_count": 0, "individual_use": False, "product_ids": [],
        "excluded_product_ids": [], "usage_limit": None, "usage_limit_per_user": None, "limit_usage_to_x_items": None,
        "free_shipping": False, "product_categories": [], "excluded_product_categories": [],
        "exclude_sale_items": False, "minimum_amount": "0.00", "maximum_amount": "0.00", "email_restrictions": [],
        "used_by": [], "meta_data": [],
    }  # fmt: skip
    shop.documents.put("coupon", identifier, coupon)


def _person(shop: Shop, dice: random.Random, number: int, at: str) -> Json:
    language = ("ar", "he", "en", "ar")[number % 4]
    first, last = dice.choice(catalogue.GIVEN[language]), dice.choice(catalogue.FAMILY[language])
    street, city, postcode, country = dice.choice(catalogue.PLACES[language])
    phone = catalogue.PHONES[country] + f"{dice.randint(0, 9_999_999):07d}"[: 13 - len(catalogue.PHONES[country])]
    email = f"{catalogue.LATIN.get(first, first.lower())}{number + 1:03d}@example.com"
    address = {
        "first_name": first,
        "last_name": last,
        "address_1": street,
        "city": city,
        "postcode": postcode,
        "country": country,
    }
    return shop.create_customer(
        email=email,
        first_name=first,
        last_name=last,
        billing={**address, "email": email, "phone": phone},
        shipping=address,
        at=at,
        language=language,
    )


def _order(shop: Shop, dice: random.Random, people: list[Json], age: float) -> None:
    now = shop.clock()
    # A quarter of the people place most orders, as in life.
    person = people[int(dice.random() ** 2 * len(people))]
    language = person["_language"]
    placed = now - timedelta(days=age)
    guest = dice.random() < 0.15
    billing = person["billing"]
    if guest:
        billing = {**billing, "email": f"guest{dice.randint(100, 999)}@example.net"}
    order = shop.create_order(
        _basket(shop, dice, language),
        customer_id=0 if guest else person["id"],
        billing=billing,
        shipping=person["shipping"],
        status="processing",
        payment_method=dice.choice(("cod", "cod", "bacs")),
        created_via="store-api",
        customer_note=dice.choice(NOTES[language]),
        coupon="welcome10" if dice.random() < 0.12 else "",
        at=stamp(placed),
        language=language,
    )
    _fate(shop, dice, order, age)


def _basket(shop: Shop, dice: random.Random, language: str) -> list[Wanted]:
    products = [known for known in shop.documents.all("product") if not known["parent_id"]]
    basket = []
    for product in dice.sample(products, dice.choice((1, 1, 2, 2, 3, 4))):
        variation = dice.choice(product["variations"]) if product["variations"] else 0
        item = shop.item(product["id"], variation)
        name = item["_names"][language]
        basket.append(Wanted(product["id"], variation, dice.choice((1, 1, 1, 2, 3)), name))
    return basket


def _fate(shop: Shop, dice: random.Random, order: Json, age: float) -> None:
    """What became of an order of that age (days)."""
    placed = shop.clock() - timedelta(days=age)
    chance = dice.random()
    later = stamp(min(placed + timedelta(days=dice.uniform(1, 4)), shop.clock()))
    if age < 2:
        return
    if chance < 0.06:
        shop.set_status(order["id"], "cancelled", at=later)
        return
    if chance < 0.09:
        shop.set_status(order["id"], "on-hold", at=later)
        return
    shop.ship(order["id"], dice.choice(CARRIERS), f"{dice.randint(10**11, 10**12 - 1)}JO", at=later)
    if chance > 0.9 and age > 8:
        back = stamp(placed + timedelta(days=dice.uniform(5, 8)))
        line = order["line_items"][0]
        wanted = {"id": line["id"], "quantity": 1, "refund_total": str(line["price"])}
        if line["total"] == line["subtotal"]:
            shop.refund(order["id"], {"line_items": [wanted], "api_refund": False, "reason": "Changed mind"}, at=back)
