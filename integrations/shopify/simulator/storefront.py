"""The demo shop's storefront in three languages: goods, cart, checkout, account, the app proxy and the app embed."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from integrations.shopify.simulator import embed, extension, pages, paying, pictures, proxy, redirects, trade, writings
from integrations.shopify.simulator import merchandise as goods
from integrations.shopify.simulator.shop import Shop, amount, minor
from integrations.shopify.simulator.state import Doc
from plugin.kernel.digits import whole

COOKIE = "demo_shop"
CURRENT = {"en": "English", "ar": "العربية", "he": "עברית"}
Handler = Callable[[Request, "Visit"], Awaitable[Response]]


class Unreadable(Exception):
    """A form names something by no number, or by one that nothing has."""


@dataclass(slots=True)
class Visit:
    """One request's shopper: language, session, who is signed in, what lies in the cart."""

    shop: Shop
    locale: str
    session: str
    fresh: bool
    held: Doc

    @property
    def customer(self) -> Doc | None:
        return self.shop.state.get("customers", self.held["customer"]) if self.held.get("customer") else None

    @property
    def cart(self) -> Doc | None:
        return self.shop.state.get("carts", self.held["cart"]) if self.held.get("cart") else None

    def save(self) -> None:
        self.shop.state.put("sessions", self.session, self.held)

    def at(self, path: str, locale: str | None = None) -> str:
        """``path`` in this (or another) language."""
        chosen = locale or self.locale
        return path if chosen == "en" else f"/{chosen}{path if path != '/' else ''}"

    def word(self, name: str) -> str:
        return goods.TEXTS[name][self.locale]


def visit_of(shop: Shop, request: Request, locale: str) -> Visit:
    """Reads the shopper from the cookie; a new one gets a session when something has to be remembered."""
    locale = locale if locale in goods.LOCALES else "en"
    asked = request.query_params.get("locale", locale)
    session = request.cookies.get(COOKIE, "")
    held = shop.state.get("sessions", session) if session else None
    chosen = asked if asked in goods.LOCALES else locale
    return Visit(shop, chosen, session if held else secrets.token_urlsafe(18), held is None, held or {})


def routes(shop: Shop, transport: httpx.AsyncBaseTransport | None) -> list[Route]:
    """Every storefront route, in each language."""

    def render(visit: Visit, template: str, *, status: int = 200, path: str = "/", **values: Any) -> Response:
        cart = visit.cart
        answer = pages.page(
            template,
            status=status,
            visit=visit,
            t=visit.word,
            locale=visit.locale,
            direction="rtl" if visit.locale in goods.RTL else "ltr",
            languages={code: (name, visit.at(path, code)) for code, name in CURRENT.items()},
            cart_count=sum(line["quantity"] for line in cart["line_items"]) if cart else 0,
            embed=embed.tag(shop, visit.locale, template),
            withdrawal=embed.withdrawal(shop, visit.locale, "IL"),
            families=goods.FAMILIES,
            **values,
        )
        if visit.fresh and visit.held:
            _remember(answer, visit)
        return answer

    def shown(request: Request, template: str, *, status: int = 200, **values: Any) -> Response:
        return render(visit_of(shop, request, "en"), template, status=status, path=request.url.path, **values)

    def bounce(visit: Visit, path: str) -> Response:
        answer = RedirectResponse(visit.at(path), 303)
        visit.save()
        _remember(answer, visit)
        return answer

    # --- goods ------------------------------------------------------------------------------------------------------

    async def home(request: Request, visit: Visit) -> Response:
        family = request.query_params.get("family")
        shown = [card(visit, doc) for doc in shop.state.all("products")]
        if family in goods.FAMILIES:
            shown = [held for held in shown if held["family"] == family]
        return render(visit, "home.html", cards=shown, family=family)

    async def product(request: Request, visit: Visit) -> Response:
        handle = request.path_params["handle"]
        found = next((doc for doc in shop.state.all("products") if doc["handle"] == handle), None)
        if found is None:
            return render(visit, "missing.html", status=404)
        return render(visit, "product.html", path=f"/products/{handle}", product=card(visit, found))

    async def written(request: Request, visit: Visit) -> Response:
        kind = {"pages": "pages", "policies": "policies"}.get(request.url.path.strip("/").split("/")[-2], "posts")
        text = writings.shown(shop, kind, request.path_params["handle"])
        if text is None:
            return render(visit, "missing.html", status=404)
        return render(visit, "written.html", path=request.url.path, text=text)

    async def picture(request: Request) -> Response:
        handle = request.path_params["handle"]
        found = next((doc for doc in shop.state.all("products") if doc["handle"] == handle), None)
        if found is None:
            return PlainTextResponse("not found", 404)
        headers = {"Cache-Control": "public, max-age=86400"}
        return Response(pictures.draw(found["_index"]), media_type="image/svg+xml", headers=headers)

    # --- cart -------------------------------------------------------------------------------------------------------

    def put_in_cart(visit: Visit, changes: dict[int, int], *, add: bool) -> Doc | None:
        cart = visit.cart
        quantities = {line["variant_id"]: line["quantity"] for line in cart["line_items"]} if cart else {}
        for variant_id, quantity in changes.items():
            try:
                stock = trade.find_variant(shop, variant_id)[1]["inventory_quantity"]
            except LookupError as error:
                raise Unreadable(str(error)) from error
            wanted = quantities.get(variant_id, 0) + quantity if add else quantity
            quantities[variant_id] = max(0, min(wanted, stock, 20))
        visit.held["cart"] = visit.held.get("cart") or secrets.token_hex(16)
        made = trade.set_cart(shop, visit.held["cart"], quantities)
        visit.save()
        return made

    async def cart_page(request: Request, visit: Visit) -> Response:
        return render(visit, "cart.html", path="/cart", **basket(visit))

    async def cart_permalink(request: Request, visit: Visit) -> Response:
        """`/cart/{variant}:{quantity},…`: a cart of these goods and nothing else, straight to its checkout."""
        wanted = [one.partition(":")[::2] for one in request.path_params["items"].split(",")]
        visit.held["cart"] = None
        put_in_cart(visit, {_number(variant): _number(quantity) for variant, quantity in wanted}, add=False)
        return bounce(visit, "/checkout")

    async def cart_add(request: Request, visit: Visit) -> Response:
        form = await request.form()
        put_in_cart(visit, {_number(form["id"]): _number(form.get("quantity", "1"))}, add=True)
        return bounce(visit, "/cart")

    async def cart_change(request: Request, visit: Visit) -> Response:
        form = await request.form()
        put_in_cart(visit, {_number(form["id"]): _number(form["quantity"])}, add=False)
        return bounce(visit, "/cart")

    async def cart_js(request: Request, visit: Visit) -> Response:
        return cart_answer(visit)

    async def cart_add_js(request: Request, visit: Visit) -> Response:
        sent = await request.json()
        items = sent.get("items") or [sent]
        put_in_cart(visit, {_number(item["id"]): _number(item.get("quantity", 1)) for item in items}, add=True)
        return cart_answer(visit)

    async def cart_change_js(request: Request, visit: Visit) -> Response:
        sent = await request.json()
        put_in_cart(visit, {_number(sent["id"]): _number(sent["quantity"])}, add=False)
        return cart_answer(visit)

    def cart_answer(visit: Visit) -> Response:
        cart = visit.cart
        lines = cart["line_items"] if cart else []
        answer = JSONResponse(
            {
                "token": visit.held.get("cart") or "",
                "note": "",
                "attributes": {},
                "total_price": sum(minor(line["line_price"]) for line in lines),
                "item_count": sum(line["quantity"] for line in lines),
                "currency": trade.CURRENCY,
                "items": [
                    {
                        "id": line["variant_id"],
                        "variant_id": line["variant_id"],
                        "product_id": line["product_id"],
                        "key": line["key"],
                        "quantity": line["quantity"],
                        "title": line["title"],
                        "price": minor(line["price"]),
                        "line_price": minor(line["line_price"]),
                        "sku": line["sku"],
                        "vendor": line["vendor"],
                    }
                    for line in lines
                ],
            },
            headers={"Cache-Control": "no-store"},
        )
        if visit.fresh and visit.held:
            _remember(answer, visit)
        return answer

    def basket(visit: Visit) -> Doc:
        cart = visit.cart
        lines = []
        for line in cart["line_items"] if cart else []:
            held, variant = trade.find_variant(shop, line["variant_id"])
            shown = card(visit, held)
            lines.append({**line, "card": shown, "option": option_name(variant, visit.locale)})
        subtotal = sum(minor(line["line_price"]) for line in lines)
        delivery = 0 if not lines or subtotal >= goods.FREE_DELIVERY_MINOR else goods.DELIVERY_MINOR
        return {
            "lines": lines,
            "subtotal": amount(subtotal),
            "delivery": amount(delivery),
            "free": delivery == 0,
            "total": amount(subtotal + delivery),
        }

    # --- checkout ---------------------------------------------------------------------------------------------------

    async def checkout_page(request: Request, visit: Visit) -> Response:
        if visit.cart is None or not visit.cart["line_items"]:
            return bounce(visit, "/cart")
        begun = trade.begin_checkout(shop, visit.held["cart"], visit.customer, visit.locale)
        visit.held["checkout"] = begun["token"]
        visit.save()
        return render(visit, "checkout.html", path="/checkout", customer=visit.customer, **basket(visit))

    async def checkout_place(request: Request, visit: Visit) -> Response:
        cart = visit.cart
        if cart is None or not cart["line_items"]:
            return bounce(visit, "/cart")
        form = {key: str(value).strip() for key, value in (await request.form()).items()}
        customer = visit.customer
        base = (customer or {}).get("default_address") or {
            "company": None, "address2": "", "province": None, "province_code": None, "country": "Israel", "zip": "",
            "country_code": "IL", "country_name": "Israel",
        }  # fmt: skip
        address = {
            **base,
            "first_name": form.get("first_name", ""),
            "last_name": form.get("last_name", ""),
            "name": f"{form.get('first_name', '')} {form.get('last_name', '')}".strip(),
            "address1": form.get("address", ""),
            "city": form.get("city", ""),
            "phone": form.get("phone") or None,
        }
        if customer is None:
            known = [held for held in shop.state.all("customers") if held["email"] == form["email"]]
            customer = known[0] if known else trade.create_customer(
                shop, first_name=address["first_name"], last_name=address["last_name"], email=form["email"],
                phone=address["phone"], locale=visit.locale, address=address,
            )  # fmt: skip
        order = trade.place_order(
            shop,
            [(line["variant_id"], line["quantity"]) for line in cart["line_items"]],
            customer=customer,
            email=form["email"],
            address=address,
            locale=visit.locale,
            cart_token=cart["token"],
            checkout_token=visit.held.get("checkout"),
        )
        shop.state.delete("carts", cart["token"])
        visit.held.update(cart=None, checkout=None, thanks=order["id"])
        return bounce(visit, "/checkout/thanks")

    async def thanks(request: Request, visit: Visit) -> Response:
        order = shop.state.get("orders", visit.held.get("thanks") or 0)
        if order is None:
            return bounce(visit, "/")
        return render(visit, "thanks.html", path="/checkout/thanks", order=order)

    # --- account ----------------------------------------------------------------------------------------------------

    async def account(request: Request, visit: Visit) -> Response:
        customer = visit.customer
        if customer is None:
            return bounce(visit, "/account/login")
        own = [one for one in shop.state.all("orders") if one["customer"] and one["customer"]["id"] == customer["id"]]
        own.sort(key=lambda held: held["created_at"], reverse=True)
        return render(visit, "account.html", path="/account", customer=customer, orders=[
            {**held, "state": trade.order_state(held), "parcels": held["fulfillments"]} for held in own
        ])  # fmt: skip

    async def account_order(request: Request, visit: Visit) -> Response:
        """The order status page of the customer accounts, with the app's extension in it."""
        order = shop.state.get("orders", request.path_params["number"])
        if visit.customer is None:
            return bounce(visit, "/account/login")
        if order is None or (order["customer"] or {}).get("id") != visit.customer["id"]:
            return render(visit, "missing.html", status=404)
        shown = list(extension.targets()) if shop.installed else []
        path = f"/account/orders/{order['id']}"
        return render(
            visit, "account_order.html", path=path, order=order, state=trade.order_state(order), targets=shown
        )

    async def login(request: Request, visit: Visit) -> Response:
        everyone = shop.state.all("customers")
        ordered = sorted(everyone, key=lambda held: -held["_orders_count"])
        choices = {code: [held for held in ordered if held["_locale"] == code][:6] for code in CURRENT}
        first = {visit.locale: choices.pop(visit.locale)}
        return render(visit, "login.html", path="/account/login", choices={**first, **choices}, names=CURRENT)

    async def sign_in(request: Request, visit: Visit) -> Response:
        visit.held["customer"] = _number((await request.form())["customer"])
        return bounce(visit, "/account")

    async def sign_out(request: Request, visit: Visit) -> Response:
        visit.held["customer"] = None
        return bounce(visit, "/")

    # --- what belongs to the app ------------------------------------------------------------------------------------

    async def anything_else(request: Request) -> Response:
        """The app proxy, wherever the merchant put it; otherwise a page that is not here."""
        visit = visit_of(shop, request, request.url.path.strip("/").partition("/")[0])
        start = f"{proxy.prefix(shop)}/"
        path = request.url.path
        # Below each language of the shop too, in the theme's words of that language.
        if visit.locale != "en" and path.startswith(f"/{visit.locale}{start}"):
            path = path.removeprefix(f"/{visit.locale}")
        if not path.startswith(start):
            # A redirect works where the store has nothing of its own, and keeps what was asked with.
            if leads := redirects.target_of(shop, request.url.path.rstrip("/")):
                return RedirectResponse(f"{leads}?{request.url.query}" if request.url.query else leads, 301)
            return render(visit, "missing.html", status=404)
        customer = visit.customer
        rest = path.removeprefix(start)
        answer = await proxy.forward(shop, request, rest, customer["id"] if customer else None, transport)
        if answer.headers.get("content-type", "").partition(";")[0] != "application/liquid":
            return answer
        # Rendered in the theme's layout. We run no Liquid, so there must be none in it.
        liquid = bytes(answer.body).decode()
        if "{{" in liquid or "{%" in liquid:
            return PlainTextResponse("Liquid error", 500)
        return render(visit, "proxied.html", status=answer.status_code, path=path, liquid=liquid)

    async def loader(_: Request) -> Response:
        """The extension's asset as Shopify's CDN would hold it after a deploy: the app's own file."""
        async with httpx.AsyncClient(transport=transport, timeout=5, trust_env=False) as http:
            try:
                answer = await http.get(f"{shop.app_url}/widget/loader.js")
            except httpx.HTTPError:
                return PlainTextResponse("not deployed", 502)
        headers = {"Cache-Control": "no-cache"}
        return Response(answer.content, answer.status_code, headers, media_type="text/javascript")

    async def consent(_: Request) -> Response:
        return FileResponse(pages.STATIC / "consent.js", media_type="text/javascript")

    async def stylesheet(_: Request) -> Response:
        return FileResponse(pages.STATIC / "storefront.css", media_type="text/css")

    # --- helpers ----------------------------------------------------------------------------------------------------

    def card(visit: Visit, doc: Doc) -> Doc:
        item = goods.ITEMS[doc["_index"]]
        return {
            "handle": doc["handle"],
            "title": item.name(visit.locale),
            "family": item.family,
            "family_name": goods.FAMILIES[item.family][visit.locale],
            "story": goods.STORY[item.family][visit.locale],
            "price": doc["variants"][0]["price"],
            "before": doc["variants"][0]["compare_at_price"],
            "stock": sum(held["inventory_quantity"] for held in doc["variants"]),
            "picture": pictures.draw(doc["_index"]),
            "variants": [
                {
                    "id": held["id"],
                    "name": option_name(held, visit.locale),
                    "price": held["price"],
                    "stock": held["inventory_quantity"],
                }
                for held in doc["variants"]
            ],
        }

    def option_name(variant: Doc, locale: str) -> str:
        words = goods.OPTION_WORDS.get(variant["_option"])
        return words[locale] if words else ""

    def localized(path: str, handler: Handler, method: str = "GET") -> list[Route]:
        def bound(locale: str) -> Callable[[Request], Awaitable[Response]]:
            async def endpoint(request: Request) -> Response:
                try:
                    return await handler(request, visit_of(shop, request, locale))
                except Unreadable as error:
                    return PlainTextResponse(str(error), 422)

            return endpoint

        return [
            Route(path if locale == "en" else f"/{locale}{path.rstrip('/')}", bound(locale), methods=[method])
            for locale in goods.LOCALES
        ]

    return [
        *localized("/", home),
        *localized("/pages/{handle}", written),
        *localized("/policies/{handle}", written),
        *localized("/blogs/{blog}/{handle}", written),
        *localized("/products/{handle}", product),
        Route("/cdn/products/{handle}.svg", picture),
        *localized("/cart", cart_page),
        *localized("/cart/{items}", cart_permalink),
        *localized("/cart/add", cart_add, "POST"),
        *localized("/cart/change", cart_change, "POST"),
        *localized("/cart.js", cart_js),
        *localized("/cart/add.js", cart_add_js, "POST"),
        *localized("/cart/change.js", cart_change_js, "POST"),
        *localized("/checkout", checkout_page),
        *localized("/checkout", checkout_place, "POST"),
        *localized("/checkout/thanks", thanks),
        *localized("/account", account),
        *localized("/account/orders/{number:int}", account_order),
        *localized("/account/login", login),
        *localized("/account/login", sign_in, "POST"),
        *localized("/account/logout", sign_out, "POST"),
        *paying.routes(shop, shown),
        Route(embed.LOADER_PATH, loader),
        Route("/cdn/theme/consent.js", consent),
        Route("/cdn/theme/storefront.css", stylesheet),
        Route("/{path:path}", anything_else, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
    ]


def _number(said: object) -> int:
    if (number := whole(str(said), 2**53)) is None:
        raise Unreadable("that is no number")
    return number


def _remember(answer: Response, visit: Visit) -> None:
    if visit.held.get("cart"):
        # Shopify's own: scripts may read it, as /cart.js says it too.
        answer.set_cookie("cart", visit.held["cart"], samesite="lax", max_age=14 * 86400, path="/")
    answer.set_cookie(COOKIE, visit.session, httponly=True, samesite="lax", max_age=30 * 86400, path="/")
