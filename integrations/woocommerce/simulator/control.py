"""`/__sim/…`: what tests and the demo ask of the simulator itself. JSON in, JSON out."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from integrations.woocommerce.simulator import catalogue, keys
from integrations.woocommerce.simulator.database import Json
from integrations.woocommerce.simulator.pages import Pages
from integrations.woocommerce.simulator.seed import seed
from integrations.woocommerce.simulator.wire import WpError

CRITICAL_ERROR = "<html><body><h1>There has been a critical error on this website.</h1></body></html>"
GATEWAY_FAULTS = ("refuse", "timeout", "die_before", "die_during", "die_after")
FAILURES = ("", "429", "500", "503", "garbage", "slow", "drop")


class Control:
    """The simulator's own buttons. `failing` is the failure that REST answers with while `left` lasts."""

    def __init__(self, pages: Pages, run_cron: Callable[[], Awaitable[int]]) -> None:
        self._pages = pages
        self._shop = pages.shop
        self._run_cron = run_cron
        self._dice = random.Random()  # noqa: S311 - no secret

    async def failure(self) -> Response | None:
        """What goes wrong with this REST call, if anything was asked for."""
        asked = self._shop.documents.get("option", "failure")
        if not asked or not asked["left"]:
            return None
        asked["left"] -= 1
        self._shop.documents.put("option", "failure", asked)
        mode = asked["mode"]
        if mode == "slow":
            await asyncio.sleep(float(asked["seconds"]))
            return None
        if mode == "429":
            return Response("Too many requests", 429, headers={"Retry-After": str(asked["seconds"])})
        if mode == "garbage":
            html = "<br />\n<b>Warning</b>: Undefined array key in <b>/wp-content/plugins/x.php</b><br />\n[{"
            return Response(html, 200, media_type="text/html")
        return Response(CRITICAL_ERROR, int(mode))

    async def set_failure(self, request: Request) -> Response:
        """`{"mode": "429|500|503|garbage|slow|", "count": 3, "seconds": 1}` for the next REST calls."""
        body = await _json(request)
        mode = str(body.get("mode") or "")
        if mode not in FAILURES:
            return JSONResponse({"error": f"mode must be one of {FAILURES}"}, 400)
        left = int(body.get("count", 1)) if mode else 0
        option = {"mode": mode, "left": left, "seconds": body.get("seconds", 1)}
        self._shop.documents.put("option", "failure", option)
        return JSONResponse(option)

    async def reset(self, request: Request) -> Response:
        """Empty the shop and seed it again: `{"customers": 120, "orders": 250}`."""
        body = await _json(request)
        self._shop.documents.clear()
        seed(self._shop, customers=int(body.get("customers", 120)), orders=int(body.get("orders", 250)))
        return await self.state(request)

    async def place_order(self, request: Request) -> Response:
        """A block checkout: `{"customer_id", "email", "language", "items": [{product_id, variation_id, quantity}]}`."""
        return JSONResponse(self.order(await _json(request)), 201)

    def order(self, wanted: Json) -> Json:
        """Place the order that is described, the rest by chance."""
        documents = self._shop.documents
        people = [row for row in documents.all("customer") if row["role"] == "customer"]
        guest = "email" in wanted and "customer_id" not in wanted
        person = documents.get("customer", int(wanted.get("customer_id") or 0)) or self._dice.choice(people)
        language = str(wanted.get("language") or person["_language"])
        items = wanted.get("items") or [self._item() for _ in range(self._dice.choice((1, 2, 3)))]
        session = {
            "customer_id": 0 if guest else person["id"],
            "cart": f"sim{self._dice.getrandbits(96):024x}",
            "coupons": [],
            "language": language if language in catalogue.LANGUAGES else "en",
            "items": [
                {
                    "product_id": int(item["product_id"]),
                    "variation_id": int(item.get("variation_id") or 0),
                    "quantity": int(item.get("quantity") or 1),
                }
                for item in items
            ],
        }
        address = {**person["billing"], "email": str(wanted.get("email") or person["email"])}
        address.pop("state", None)
        return self._pages.place(session, address, method=str(wanted.get("payment_method") or "cod"))

    def _item(self) -> Json:
        products = [
            row
            for row in self._shop.documents.all("product")
            if row["status"] == "publish"
            and row["type"] in ("simple", "variation")
            and row["stock_status"] == "instock"
        ]
        product = self._dice.choice(products)
        parent = product["parent_id"]
        return {"product_id": parent or product["id"], "variation_id": product["id"] if parent else 0}

    async def make_product(self, request: Request) -> Response:
        """A product: `{"name": "Shirt", "options": ["38 blue", …]}`, with a variation per option."""
        body = await _json(request)
        name = str(body.get("name") or "Shirt")
        made = self._shop.create_product(
            dict.fromkeys(catalogue.LANGUAGES, name),
            default="en",
            sku=f"SIM-{self._dice.getrandbits(24):06x}",
            price="12.500",
            category="clothes",
            hue=200,
            options=[str(option) for option in body.get("options") or ()],
        )
        return JSONResponse({"id": made["id"], "variations": made.get("variations", [])}, 201)

    async def tick(self, request: Request) -> Response:
        """One moment of the shop's day: an order, a parcel, a refund, a filled cart or a new price."""
        return JSONResponse(self.moment())

    def moment(self) -> Json:
        """Something small happens; says what."""
        chance = self._dice.random()
        waiting = [order for order in self._shop.orders() if order["status"] == "processing"]
        if chance < 0.45 or not waiting:
            return {"did": "order", "id": self.order({})["id"]}
        order = self._dice.choice(waiting)
        if chance < 0.7:
            self._shop.ship(order["id"], "Aramex", f"{self._dice.randrange(10**11, 10**12)}JO")
            return {"did": "ship", "id": order["id"]}
        if chance < 0.85:
            person = self._dice.choice(self._pages.demo_customers())
            item = {**self._item(), "quantity": self._dice.choice((1, 2))}
            # WooCommerce keeps one cart per account.
            session = {"customer_id": person["id"], "cart": f"sim{person['id']:029x}", "coupons": []}
            session.update(items=[item], language=person["_language"])
            self._pages.plugin.cart_event("cart.updated", session)
            return {"did": "cart", "id": person["id"]}
        product = self._item()["product_id"]
        stock = self._shop.item(product)["stock_quantity"]
        self._shop.update_product(product, {"stock_quantity": (stock or 0) + 5})
        return {"did": "restock", "id": product}

    async def cron(self, request: Request) -> Response:
        """Run the cron once, now: webhooks, then cart events."""
        return JSONResponse({"sent": await self._run_cron()})

    async def deliveries(self, request: Request) -> Response:
        """The delivery log, newest first, and what waits."""
        documents = self._shop.documents
        rows = list(documents.all("delivery"))[::-1]
        waiting = [*documents.all("job"), *documents.all("cart_event")]
        return JSONResponse({"deliveries": rows, "waiting": len(waiting)})

    async def set_options(self, request: Request) -> Response:
        """Site switches: permalinks, coming_soon, widget, cron (false: only `/__sim/cron` delivers).

        `refunding_gateways` is the list of those that give money back by themselves; `return_status` false: an older
        copy of the plugin, which has no status for returns. `returns_page`: the page with our shortcode or block.
        """
        body = await _json(request)
        if "refunding_gateways" in body:
            self._shop.set_option(refunding_gateways=[str(name) for name in body["refunding_gateways"]])
        known = {
            name: bool(body[name])
            for name in ("permalinks", "coming_soon", "widget", "cron", "return_status")
            if name in body
        }
        self._shop.set_option(**known)
        if "returns_page" in body:
            self._shop.set_option(returns_page=str(body["returns_page"]))
        return await self.state(request)

    async def ledger(self, request: Request) -> Response:
        """Money that really moved."""
        return JSONResponse({"ledger": self._shop.ledger()})

    async def set_gateway(self, request: Request) -> Response:
        """`{"mode": "refuse|timeout|die_before|die_during|die_after", "count": 1}` for the gateway's next refunds."""
        body = await _json(request)
        mode = str(body.get("mode") or "")
        if mode not in GATEWAY_FAULTS:
            return JSONResponse({"error": f"mode must be one of {GATEWAY_FAULTS}"}, 400)
        held = self._shop.documents.put("option", "gateway", {"mode": mode, "left": int(body.get("count", 1))})
        return JSONResponse(held)

    async def assess(self, request: Request) -> Response:
        """What WooPayments found out: `{"order": 12, "meta": {"_charge_risk_level": "elevated"}}`."""
        body = await _json(request)
        return JSONResponse(self._shop.assess(int(body["order"]), body["meta"]))

    async def set_role(self, request: Request) -> Response:
        """`{"customer": 2, "role": "wholesale"}`."""
        body = await _json(request)
        return JSONResponse(self._shop.set_role(int(body["customer"]), str(body["role"])))

    async def make_key(self, request: Request) -> Response:
        """An API key without the grant page: `{"permissions": "read_write"}`."""
        body = await _json(request)
        key = keys.make_key(
            self._shop.documents, description="by hand", permissions=str(body.get("permissions") or "read_write")
        )
        return JSONResponse(key, 201)

    async def revoke_keys(self, request: Request) -> Response:
        """Revoke every API key; webhooks go on (B13)."""
        for key in self._shop.documents.all("key"):
            self._shop.documents.delete("key", key["key_id"])
        return await self.state(request)

    async def demote(self, request: Request) -> Response:
        """The webhooks' owner loses or regains rights: `{"can_view": false}`; bodies become error objects (B7)."""
        can_view = bool((await _json(request)).get("can_view", False))
        for webhook in self._shop.documents.all("webhook"):
            webhook["owner_can_view"] = can_view
            self._shop.documents.put("webhook", webhook["id"], webhook)
        return await self.state(request)

    async def state(self, request: Request) -> Response:
        """Counts and switches."""
        documents = self._shop.documents
        kinds = ("product", "customer", "order", "refund", "webhook", "key", "job", "cart_event", "delivery")
        counts = {kind: sum(1 for _ in documents.all(kind)) for kind in kinds}
        paired = self._pages.plugin.paired
        return JSONResponse(
            {
                "counts": counts,
                "options": documents.get("option", "site") or {},
                "paired": None
                if paired is None
                else {"store_id": paired["store_id"], "public_key": paired["public_key"]},
                "demo_customers": [row["id"] for row in self._pages.demo_customers()],
            }
        )

    def routes(self) -> list[Route]:
        """Every button."""
        table: list[tuple[str, Callable[[Request], Awaitable[Response]], str]] = [
            ("state", self.state, "GET"),
            ("seed", self.reset, "POST"),
            ("order", self.place_order, "POST"),
            ("product", self.make_product, "POST"),
            ("tick", self.tick, "POST"),
            ("cron", self.cron, "POST"),
            ("deliveries", self.deliveries, "GET"),
            ("options", self.set_options, "POST"),
            ("failure", self.set_failure, "POST"),
            ("assess", self.assess, "POST"),
            ("role", self.set_role, "POST"),
            ("gateway", self.set_gateway, "POST"),
            ("ledger", self.ledger, "GET"),
            ("keys", self.make_key, "POST"),
            ("keys", self.revoke_keys, "DELETE"),
            ("demote", self.demote, "POST"),
        ]
        return [Route(f"/__sim/{name}", _told(endpoint), methods=[method]) for name, endpoint, method in table]


def _told(endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    async def told(request: Request) -> Response:
        try:
            return await endpoint(request)
        except WpError as error:
            return JSONResponse(error.body, error.status)

    return told


async def _json(request: Request) -> dict[str, Any]:
    raw = await request.body()
    return dict(await request.json()) if raw else {}
