"""What people see: the storefront, the grant page of wc-auth and a stand-in of wp-admin."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from io import BytesIO
from itertools import zip_longest
from pathlib import Path
from urllib.parse import unquote_plus, urlencode, urlsplit

import httpx
from babel.dates import format_date
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_currency
from babel.support import NullTranslations, Translations
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

import plugin as ahlan
from integrations.woocommerce.simulator import catalogue, keys, wire
from integrations.woocommerce.simulator.database import Json
from integrations.woocommerce.simulator.hooks import Hooks
from integrations.woocommerce.simulator.pictures import picture
from integrations.woocommerce.simulator.plugin import Plugin
from integrations.woocommerce.simulator.shop import GATEWAYS, STATUSES, Shop, Wanted
from integrations.woocommerce.simulator.wire import WpError, php_json
from plugin.kernel.digits import whole

HERE = Path(__file__).parent
LOCALE = Path(str(ahlan.__file__)).parent / "locale"
NAMES = {"en": "Zaytouna", "ar": "زيتونة", "he": "זייתונה"}
LANGUAGE_NAMES = {"en": "English", "ar": "العربية", "he": "עברית"}
_PATTERNS = {"en": "¤\u00a0#,##0.000", "ar": "#,##0.000\u00a0¤", "he": "#,##0.000\u00a0¤"}
SESSION = "zaytouna_session"
CART = "ahlan-cart"
ADMIN = "wordpress_logged_in"
SCOPES = {"read": "read", "write": "write", "read_write": "read_write"}


def translations(language: str) -> NullTranslations:
    """The simulator's own catalogue, compiled at start."""
    path = LOCALE / language / "woo_simulator.po"
    if not path.exists():
        return NullTranslations()
    with path.open("rb") as file:
        compiled = BytesIO()
        write_mo(compiled, read_po(file, locale=language))
    compiled.seek(0)
    return Translations(compiled)


@dataclass(slots=True)
class Grant:
    """What an app asks for at `/wc-auth/v1/authorize`, mangled as WooCommerce mangles it (B20)."""

    app_name: str
    user_id: str
    return_url: str
    callback_url: str
    scope: str


def mangle(text: str) -> str:
    """What the grant page's second trip through a URL does to a value: decoded again, one final `=` lost (B20)."""
    text = unquote_plus(text)
    return text[:-1] if text.endswith("=") else text


class Pages:
    """The HTML side of the simulated site."""

    def __init__(
        self,
        shop: Shop,
        plugin: Plugin,
        hooks: Hooks,
        *,
        site: str,
        http: httpx.AsyncClient,
        trusted: frozenset[str],
    ) -> None:
        self.shop = shop
        self.plugin = plugin
        self.hooks = hooks
        self.site = site
        self._http = http
        self._trusted = trusted
        self._environments = {language: self._environment(language) for language in catalogue.LANGUAGES}

    def _environment(self, language: str) -> Environment:
        environment = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            extensions=["jinja2.ext.i18n"],
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.install_gettext_translations(translations(language), newstyle=True)  # type: ignore[attr-defined]
        environment.globals.update(
            language=language,
            direction="ltr" if language == "en" else "rtl",
            shop_name=NAMES[language],
            languages=LANGUAGE_NAMES,
            categories={key: names[language] for key, names in catalogue.CATEGORIES.items()},
            price=lambda value: format_currency(Decimal(value), wire.CURRENCY, _PATTERNS[language], locale=language),
            day=lambda value: format_date(self._local(value), "medium", locale=language),
            name_of=lambda product: product["_names"][language],
            option_of=lambda option: catalogue.OPTION_NAMES.get(option, {}).get(language, option),
        )
        return environment

    def _local(self, moment: str) -> datetime:
        return datetime.fromisoformat(wire.local(moment, self.shop.zone) or moment)

    # Sessions

    def language(self, request: Request) -> str:
        """The language that was asked for last."""
        asked = request.query_params.get("lang") or request.cookies.get("lang") or "en"
        return asked if asked in catalogue.LANGUAGES else "en"

    def session(self, request: Request) -> Json | None:
        """This browser's session, if it has one."""
        return self.shop.documents.get("session", request.cookies.get(SESSION, ""))

    def _session(self, request: Request) -> Json:
        found = self.session(request)
        if found is None:
            found = {"id": secrets.token_urlsafe(18), "customer_id": 0, "cart": secrets.token_hex(16), "items": []}
            found.update(coupons=[], language=self.language(request))
        found["language"] = self.language(request)
        return found

    def _keep(self, response: Response, session: Json) -> Response:
        self.shop.documents.put("session", session["id"], session)
        if session["items"]:
            response.set_cookie(CART, session["cart"], samesite="lax", max_age=2 * 86400)
        else:
            response.delete_cookie(CART)
        response.set_cookie(SESSION, session["id"], httponly=True, samesite="lax", max_age=30 * 86400)
        return response

    def is_admin(self, request: Request) -> bool:
        """Whether the administrator is signed in here."""
        token = request.cookies.get(ADMIN, "")
        return self.shop.documents.get("admin_session", token) is not None

    def render(self, request: Request, template: str, status: int = 200, **values: object) -> HTMLResponse:
        """A page in the reader's language; `?lang=` is remembered."""
        language = self.language(request)
        session = self.session(request)
        customer = self.shop.documents.get("customer", (session or {}).get("customer_id", 0))
        html = (
            self._environments[language]
            .get_template(template)
            .render(
                path=request.url.path,
                customer=customer,
                cart_count=sum(item["quantity"] for item in (session or {}).get("items", [])),
                widget=self.plugin.script_tag(language),
                withdrawal=self.plugin.withdrawal_link(language),
                **values,
            )
        )
        response = HTMLResponse(html, status_code=status)
        if "lang" in request.query_params:
            response.set_cookie("lang", language, samesite="lax", max_age=365 * 86400)
        return response

    def soon(self, request: Request) -> Response | None:
        """The placeholder that strangers get while the shop is "coming soon" (B29)."""
        if not self.shop.option("coming_soon", False) or self.is_admin(request):
            return None
        return self.render(request, "soon.html")

    # Storefront

    async def home(self, request: Request) -> Response:
        """Everything on sale, or one category, or what a search finds."""
        hidden = self.soon(request)
        if hidden:
            return hidden
        chosen, needle = request.query_params.get("category", ""), request.query_params.get("s", "").casefold()
        products = [
            product
            for product in self.shop.documents.all("product")
            if not product["parent_id"]
            and product["status"] == "publish"
            and chosen in ("", product["_category"])
            and (not needle or any(needle in name.casefold() for name in product["_names"].values()))
        ]
        if not chosen and not needle:
            products = _mixed(products)
        return self.render(
            request, "home.html", products=products, chosen=chosen, needle=request.query_params.get("s", "")
        )

    async def product(self, request: Request) -> Response:
        """One product."""
        hidden = self.soon(request)
        if hidden:
            return hidden
        slug = request.path_params["slug"]
        for product in self.shop.documents.all("product"):
            if product["slug"] == slug and not product["parent_id"]:
                variations = [self.shop.documents.get("product", key) for key in product["variations"]]
                related = [
                    other
                    for other in self.shop.documents.all("product")
                    if not other["parent_id"] and other["_category"] == product["_category"] and other is not product
                ][:4]
                return self.render(request, "product.html", product=product, variations=variations, related=related)
        return self.not_found(request)

    async def picture(self, request: Request) -> Response:
        """A product's picture."""
        product = self.shop.documents.get("product", request.path_params["id"])
        if product is None:
            return Response(status_code=404)
        headers = {"Cache-Control": "public, max-age=86400"}
        return Response(
            picture(product["_category"], product["_hue"], product["sku"]), media_type="image/svg+xml", headers=headers
        )

    def not_found(self, request: Request) -> Response:
        """The theme's 404 page; also what `/wp-json/` is without pretty permalinks."""
        return self.render(request, "missing.html", status=404)

    def _cart(self, session: Json) -> Json:
        lines = []
        for item in session["items"]:
            product = self.shop.item(item["product_id"], item["variation_id"])
            parent = self.shop.item(item["product_id"])
            total = Decimal(product["price"]) * item["quantity"]
            lines.append({**item, "product": product, "parent": parent, "total": total})
        subtotal = sum((line["total"] for line in lines), Decimal(0))
        discount = subtotal / 10 if "welcome10" in session["coupons"] else Decimal(0)
        shipping = Decimal("3.000") if lines else Decimal(0)
        total = subtotal - discount + shipping
        return {"lines": lines, "subtotal": subtotal, "discount": discount, "shipping": shipping, "total": total}

    async def cart(self, request: Request) -> Response:
        """The cart page, and every change to it."""
        hidden = self.soon(request)
        if hidden:
            return hidden
        session = self._session(request)
        if request.method == "GET":
            coupon = request.query_params.get("coupon", "")
            return self.render(
                request, "cart.html", cart=self._cart(session), coupons=session["coupons"], coupon=coupon
            )
        form = await request.form()
        action = str(form.get("action") or "add")
        if action == "coupon":
            code = str(form.get("code") or "").strip().lower()
            known = any(row["code"] == code for row in self.shop.documents.all("coupon"))
            if known and code not in session["coupons"]:
                session["coupons"].append(code)
            self.plugin.cart_event("cart.updated", session)
            return self._keep(RedirectResponse("/cart/" if known else "/cart/?coupon=unknown", 303), session)
        product_id, variation_id = _number(form.get("product_id")), _number(form.get("variation_id"))
        try:
            self.shop.item(product_id, variation_id)
        except WpError:
            return self.not_found(request)
        _change(session, product_id, variation_id, _number(form.get("quantity"), 1), add=action == "add")
        self.plugin.cart_event("cart.updated", session)
        return self._keep(RedirectResponse("/cart/", 303), session)

    async def checkout(self, request: Request) -> Response:
        """The block checkout: opening it starts a checkout, sending it makes an order."""
        hidden = self.soon(request)
        if hidden:
            return hidden
        session = self._session(request)
        if not session["items"]:
            return RedirectResponse("/cart/", 303)
        customer = self.shop.documents.get("customer", session["customer_id"])
        if request.method == "GET":
            self.plugin.cart_event("checkout.started", session)
            address = (customer or {}).get("billing") or {}
            methods = [(name, title) for name, title, enabled in GATEWAYS if enabled]
            page = self.render(request, "checkout.html", cart=self._cart(session), address=address, methods=methods)
            return self._keep(page, session)
        form = await request.form()
        address = {name: str(form.get(name) or "").strip() for name in _CHECKOUT_FIELDS}
        order = self.place(
            session, address, method=str(form.get("payment_method") or "cod"), note=str(form.get("note") or "")
        )
        return self._keep(
            RedirectResponse(f"/checkout/order-received/{order['id']}/?key={order['order_key']}", 303), session
        )

    def place(self, session: Json, address: Json, *, method: str, note: str = "") -> Json:
        """Turn a session's cart into an order, as the block checkout does."""
        language = session["language"]
        lines = []
        for item in session["items"]:
            key = item["product_id"], item["variation_id"]
            lines.append(Wanted(*key, item["quantity"], self.shop.item(*key)["_names"][language]))
        order = self.shop.create_order(
            lines,
            customer_id=session["customer_id"],
            billing=address,
            shipping={key: value for key, value in address.items() if key != "email"},
            status="on-hold" if method == "bacs" else "processing",
            payment_method=method,
            created_via="store-api",
            customer_note=note,
            coupon=session["coupons"][0] if session["coupons"] else "",
            language=language,
        )
        self.shop.set_order_meta(order, "_ahlan_cart_token", session["cart"])
        self.shop.documents.put("order", order["id"], order)
        self.plugin.cart_event("order.placed", session, email=address["email"], order_id=order["id"])
        session.update(items=[], coupons=[], cart=secrets.token_hex(16))
        return order

    async def received(self, request: Request) -> Response:
        """Thank you: shown to whoever has the order's key."""
        order = self.shop.documents.get("order", request.path_params["id"])
        if order is None or not secrets.compare_digest(order["order_key"], request.query_params.get("key", "-")):
            return self.not_found(request)
        return self.render(request, "order.html", order=order, thanks=True, notes=[], unpaid=False)

    async def checkout_link(self, request: Request) -> Response:
        """`?products=12:2,15:1`: a cart of these goods and nothing else, straight to its checkout (since 10.0)."""
        session = self._session(request)
        session.update(items=[], coupons=[])
        for wanted in request.query_params.get("products", "").split(","):
            goods, _, quantity = wanted.partition(":")
            try:
                item = self.shop.item(_number(goods))
            except WpError:
                return self.not_found(request)
            parent = item["parent_id"]
            _change(session, parent or item["id"], item["id"] if parent else 0, _number(quantity, 1), add=True)
        self.plugin.cart_event("cart.updated", session)
        return self._keep(RedirectResponse("/checkout/", 303), session)

    async def pay(self, request: Request) -> Response:
        """The order's own payment page, for whoever has its key; a second press finds it paid."""
        order = self.shop.documents.get("order", request.path_params["id"])
        if order is None or not secrets.compare_digest(order["order_key"], request.query_params.get("key", "-")):
            return self.not_found(request)
        unpaid = order["status"] in ("pending", "failed")
        if request.method == "POST":
            if unpaid:
                self.shop.set_status(order["id"], "processing")
            return RedirectResponse(f"/checkout/order-received/{order['id']}/?key={order['order_key']}", 303)
        return self.render(request, "order.html", order=order, thanks=False, notes=[], unpaid=unpaid)

    async def account(self, request: Request) -> Response:
        """My account: pick a demo customer, see their orders."""
        session = self._session(request)
        if request.method == "POST":
            form = await request.form()
            session["customer_id"] = _number(form.get("customer_id"))
            if session["customer_id"]:
                self.shop.seen(session["customer_id"])
                if session["items"]:
                    self.plugin.cart_event("cart.updated", session)
            return self._keep(RedirectResponse("/my-account/", 303), session)
        orders = [
            order
            for order in self.shop.orders()
            if session["customer_id"] and order["customer_id"] == session["customer_id"] and order["status"] != "trash"
        ]
        orders.sort(key=lambda order: order["date_created_gmt"], reverse=True)
        return self.render(request, "account.html", orders=orders, demo=self.demo_customers())

    async def returns(self, request: Request) -> Response:
        """The plugin's Returns tab in My account."""
        return self.render(request, "returns.html", page=self.plugin.returns_tag(self.language(request)))

    async def withdrawal(self, request: Request) -> Response:
        """The plugin's page on which shoppers withdraw from a contract."""
        return self.render(request, "withdrawal.html", page=self.plugin.withdrawal_tag(self.language(request)))

    async def help(self, request: Request) -> Response:
        """The help centre at the shop's own address, inside its theme. Its language is in its address, or ours."""
        path = request.path_params.get("path", "").strip("/")
        said, agent = dict(request.query_params), request.headers.get("user-agent", "")
        home = f"{request.url.scheme}://{request.url.netloc}"
        made = await self.plugin.help(home, path, said, self.language(request), agent)
        if made is None:
            return self.not_found(request)
        if made["location"]:
            return RedirectResponse(made["location"], made["status"])
        if made["kind"] != "text/html":
            return Response(made["body"], made["status"], media_type=made["kind"])
        return self.render(request, "help.html", made["status"], made=made)

    def demo_customers(self) -> list[Json]:
        """Nine customers with orders, three per language."""
        counts: dict[int, int] = {}
        for order in self.shop.orders():
            counts[order["customer_id"]] = counts.get(order["customer_id"], 0) + 1
        people = [
            row for row in self.shop.documents.all("customer") if row["role"] == "customer" and counts.get(row["id"])
        ]
        people.sort(key=lambda row: -counts[row["id"]])
        by_language = [[row for row in people if row["_language"] == language][:3] for language in catalogue.LANGUAGES]
        return [row for group in by_language for row in group]

    async def order(self, request: Request) -> Response:
        """One order of the customer who is signed in."""
        session = self._session(request)
        order = self.shop.documents.get("order", request.path_params["id"])
        if order is None or not session["customer_id"] or order["customer_id"] != session["customer_id"]:
            return self.not_found(request)
        notes = [n for n in self.shop.documents.all("note") if n["order_id"] == order["id"] and n["customer_note"]]
        return self.render(request, "order.html", order=order, thanks=False, notes=notes, unpaid=False)

    async def store_cart(self, request: Request) -> Response:
        """`wc/store/v1/cart` for the shop's own pages: amounts are integer strings in minor units (B11)."""
        session = self._session(request)
        cart = self._cart(session)

        def minor(value: Decimal) -> str:
            return str(int(value.scaleb(wire.DECIMALS)))

        unit = {"currency_code": wire.CURRENCY, "currency_minor_unit": wire.DECIMALS}
        body = {
            "items": [
                {
                    "key": f"{line['product_id']}:{line['variation_id']}",
                    "id": line["variation_id"] or line["product_id"],
                    "quantity": line["quantity"],
                    "name": line["product"]["name"],
                    "prices": {**unit, "price": minor(Decimal(line["product"]["price"]))},
                    "totals": {**unit, "line_total": minor(line["total"])},
                }
                for line in cart["lines"]
            ],
            "coupons": [{"code": code} for code in session["coupons"]],
            "items_count": sum(line["quantity"] for line in cart["lines"]),
            "totals": {**unit, "total_items": minor(cart["subtotal"]), "total_price": minor(cart["total"])},
        }
        return Response(php_json(body), media_type="application/json", headers={"Cache-Control": "no-store"})

    # wp-admin

    async def login(self, request: Request) -> Response:
        """One button: this is a demo. An administrator who signs in was active: customer.updated follows (B10)."""
        target = request.query_params.get("redirect_to", "/wp-admin/")
        if not target.startswith("/") or target.startswith("//"):
            target = "/wp-admin/"
        if request.method == "GET":
            return self.render(request, "login.html", target=target)
        token = secrets.token_urlsafe(18)
        self.shop.documents.put("admin_session", token, {"id": token})
        self.shop.seen(1)
        response = RedirectResponse(target, 303)
        response.set_cookie(ADMIN, token, httponly=True, samesite="lax")
        return response

    def _guard(self, request: Request) -> Response | None:
        if self.is_admin(request):
            return None
        target = f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path
        return RedirectResponse(f"/wp-login.php?{urlencode({'redirect_to': target})}", 302)

    async def admin(self, request: Request) -> Response:
        """`admin.php?page=wc-orders | wc-settings | ahlan`."""
        refused = self._guard(request)
        if refused:
            return refused
        page = request.query_params.get("page", "wc-orders")
        if page == "ahlan":
            return self.render(request, "admin_ahlan.html", page=page, panel=self.plugin.panel())
        if page == "wc-settings":
            state = {name: self.shop.option(name, default) for name, default in _SWITCHES.items()}
            api_keys, webhooks = list(self.shop.documents.all("key")), list(self.shop.documents.all("webhook"))
            return self.render(request, "admin_settings.html", page=page, state=state, keys=api_keys, webhooks=webhooks)
        orders = sorted(self.shop.orders(), key=lambda order: order["date_created_gmt"], reverse=True)[:40]
        return self.render(request, "admin_orders.html", page=page, orders=orders, statuses=STATUSES)

    async def ajax(self, request: Request) -> Response:
        """`admin-ajax.php`: a token for the panel's frame, as the plugin gives it to whoever may manage WooCommerce."""
        form = await request.form()
        token = self.plugin.agent(self.language(request)) if self.is_admin(request) else ""
        if form.get("action") != "wc_ahlan_token" or not token:
            return Response(php_json({"success": False}), 403, media_type="application/json")
        said = php_json({"success": True, "data": token})
        return Response(said, media_type="application/json", headers={"Cache-Control": "no-store"})

    async def admin_action(self, request: Request) -> Response:
        """Every button of the stand-in."""
        refused = self._guard(request)
        if refused:
            return refused
        form = await request.form()
        action, identifier = str(form.get("action")), _number(form.get("id"))
        back = "/wp-admin/admin.php?page=wc-settings"
        if action == "connect":
            return RedirectResponse(self.plugin.connect_url(self.language(request)), 303)
        if action == "switch" and str(form.get("name")) in _SWITCHES:
            name = str(form.get("name"))
            self.shop.set_option(**{name: not self.shop.option(name, _SWITCHES[name])})
        elif action == "revoke":
            self.shop.documents.delete("key", identifier)
        elif action == "disconnect":
            self.shop.documents.delete("option", "ahlan_paired")
            back = "/wp-admin/admin.php?page=ahlan"
        else:
            back = "/wp-admin/admin.php?page=wc-orders"
            order = self.shop.documents.get("order", identifier)
            if order is None:
                return RedirectResponse(back, 303)
            self._order_action(action, order)
        return RedirectResponse(back, 303)

    def _order_action(self, action: str, order: Json) -> None:
        if action == "complete":
            self.shop.ship(order["id"], "Aramex", f"{secrets.randbelow(9 * 10**11) + 10**11}JO")
        elif action == "cancel":
            self.shop.set_status(order["id"], "cancelled")
        elif action == "refund":
            line = next((line for line in order["line_items"] if Decimal(line["total"]) > 0), None)
            wanted: Json = {"api_refund": False, "reason": "Refunded in the shop"}
            if line is not None:
                each = wire.money(Decimal(line["total"]) / line["quantity"])
                wanted["line_items"] = [{"id": line["id"], "quantity": 1, "refund_total": each}]
            try:
                self.shop.refund(order["id"], wanted)
            except WpError:
                return
        elif action == "trash" and order["status"] != "trash":
            self.shop.trash_order(order["id"], force=False)
        elif action == "restore" and order["status"] == "trash":
            self.shop.set_status(order["id"], "processing")

    # wc-auth

    async def authorize(self, request: Request) -> Response:
        """`/wc-auth/v1/authorize` (B16): the merchant signs in and sees what is asked."""
        try:
            grant = self._read_grant(request)
        except WpError as error:
            return self.render(request, "die.html", status=error.status, message=str(error))
        refused = self._guard(request)
        if refused:
            return refused
        query = urlencode(
            {
                name: request.query_params[name]
                for name in ("app_name", "user_id", "return_url", "callback_url", "scope")
            }
        )
        approve = f"/wc-auth/v1/access_granted/?{query}"
        deny = _with(grant.return_url, success="0", user_id=grant.user_id)
        host = urlsplit(grant.callback_url).netloc
        return self.render(request, "grant.html", grant=grant, approve=approve, deny=deny, host=host)

    async def granted(self, request: Request) -> Response:
        """Make a key, hand it over, send the browser back. Opened twice it does all of it twice (B19)."""
        refused = self._guard(request)
        if refused:
            return refused
        try:
            grant = self._read_grant(request)
        except WpError as error:
            return self.render(request, "die.html", status=error.status, message=str(error))
        moment = f"{self.shop.clock():%Y-%m-%d %H:%M:%S}"
        key = keys.make_key(
            self.shop.documents, description=f"{grant.app_name} - API ({moment})", permissions=SCOPES[grant.scope]
        )
        body = {
            "key_id": key["key_id"],
            "user_id": grant.user_id,
            "consumer_key": key["consumer_key"],
            "consumer_secret": key["consumer_secret"],
            "key_permissions": key["permissions"],
        }
        headers = {
            "User-Agent": f"WordPress/{wire.WORDPRESS}; {self.site}",
            "Accept": "*/*",
            "Content-Type": "application/json;charset=UTF-8",
            "Connection": "close",
        }
        try:
            answer = await self._http.post(
                grant.callback_url, content=php_json(body), headers=headers, timeout=60, follow_redirects=False
            )
            status = answer.status_code
        except httpx.HTTPError:
            status = 0
        if status != 200:
            # Exactly 200, or the key is deleted (B18).
            self.shop.documents.delete("key", key["key_id"])
            message = "Error: An error occurred in the request and at the time were unable to send the consumer data."
            return self.render(request, "die.html", status=401, message=message)
        return RedirectResponse(_with(grant.return_url, success="1", user_id=grant.user_id), 302)

    def _read_grant(self, request: Request) -> Grant:
        values = {}
        for name in ("app_name", "user_id", "return_url", "callback_url", "scope"):
            text = request.query_params.get(name, "")
            if not text:
                raise WpError("wc_auth", f"Error: Missing parameter {name}.", 401)
            values[name] = mangle(text)
        grant = Grant(**values)
        if not grant.user_id.isascii():
            raise WpError("wc_auth", "Error: Access denied.", 401)
        if grant.scope not in SCOPES:
            raise WpError("wc_auth", f"Error: Invalid scope {grant.scope}.", 401)
        for name in ("return_url", "callback_url"):
            if urlsplit(getattr(grant, name)).scheme not in ("http", "https"):
                raise WpError("wc_auth", f"Error: The {name} is not a valid URL.", 401)
        target = urlsplit(grant.callback_url)
        if target.scheme != "https" and f"{target.scheme}://{target.netloc}" not in self._trusted:
            raise WpError("wc_auth", "Error: The callback_url needs to be over SSL.", 401)
        return grant

    def routes(self) -> list[Route]:
        """Every page."""
        both = ["GET", "POST"]
        table: list[tuple[str, Callable[[Request], Awaitable[Response]], list[str]]] = [
            ("/shop/", self.home, ["GET"]),
            ("/product/{slug}/", self.product, ["GET"]),
            ("/picture/{id:int}.svg", self.picture, ["GET"]),
            ("/cart/", self.cart, both),
            ("/checkout/", self.checkout, both),
            ("/checkout/order-received/{id:int}/", self.received, ["GET"]),
            ("/checkout/order-pay/{id:int}/", self.pay, both),
            ("/checkout-link/", self.checkout_link, ["GET"]),
            ("/my-account/", self.account, both),
            ("/my-account/view-order/{id:int}/", self.order, ["GET"]),
            ("/my-account/ahlan-returns/", self.returns, ["GET"]),
            ("/withdrawal/", self.withdrawal, ["GET"]),
            ("/help", self.help, ["GET"]),
            ("/help/{path:path}", self.help, ["GET"]),
            ("/wp-login.php", self.login, both),
            ("/wp-admin/", self.admin, ["GET"]),
            ("/wp-admin/admin.php", self.admin, ["GET"]),
            ("/wp-admin/admin-post.php", self.admin_action, ["POST"]),
            ("/wp-admin/admin-ajax.php", self.ajax, ["POST"]),
            ("/wc-auth/v1/authorize", self.authorize, ["GET"]),
            ("/wc-auth/v1/authorize/", self.authorize, ["GET"]),
            ("/wc-auth/v1/access_granted/", self.granted, ["GET"]),
        ]
        return [Route(path, endpoint, methods=methods) for path, endpoint, methods in table]


_SWITCHES: dict[str, bool] = {"coming_soon": False, "permalinks": True, "widget": True}
_CHECKOUT_FIELDS = ("first_name", "last_name", "email", "phone", "address_1", "city", "postcode", "country")


def _mixed(products: list[Json]) -> list[Json]:
    """One of each category in turn: the front page shows all that the shop has."""
    shelves = [[one for one in products if one["_category"] == category] for category in catalogue.CATEGORIES]
    return [one for row in zip_longest(*shelves) for one in row if one is not None]


def _change(session: Json, product_id: int, variation_id: int, quantity: int, *, add: bool) -> None:
    """Add to, or set, a cart line; zero removes it."""
    quantity = max(0, min(quantity, 99))
    for item in session["items"]:
        if (item["product_id"], item["variation_id"]) == (product_id, variation_id):
            item["quantity"] = min(99, item["quantity"] + quantity) if add else quantity
            break
    else:
        session["items"].append({"product_id": product_id, "variation_id": variation_id, "quantity": quantity})
    session["items"] = [item for item in session["items"] if item["quantity"]]


def _number(value: object, default: int = 0) -> int:
    number = whole(str(value or ""), 2**31)
    return default if number is None else number


def _with(url: str, **values: str) -> str:
    return f"{url}{'&' if urlsplit(url).query else '?'}{urlencode(values)}"
