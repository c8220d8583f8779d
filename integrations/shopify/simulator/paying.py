"""Pages that open for whoever has their address: an invoice, what an order still owes, an order's status."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from integrations.shopify.simulator import edits, trade
from integrations.shopify.simulator.shop import INVOICE, OWED, SHOP_NUMBER, Shop, gid, minor
from integrations.shopify.simulator.state import Doc

Show = Callable[..., Response]
"""The storefront's theme around a template: `(request, template, status=, **values)`."""


def routes(shop: Shop, show: Show) -> list[Route]:
    """Each page with its one button. A second press, and a second window, find it paid already."""

    def page(request: Request, **shown: Any) -> Response:
        return (
            show(request, "pay.html", **{"state": "", **shown}) if shown else show(request, "missing.html", status=404)
        )

    async def invoice(request: Request) -> Response:
        draft = next((one for one in shop.state.all("draft_orders") if _is(shop, INVOICE, one, request)), None)
        if draft is None:
            return page(request)
        if request.method == "POST":
            edits.pay_draft(shop, draft["id"])
            return RedirectResponse(str(request.url), 303)
        return page(request, name=draft["name"], lines=_drafted(shop, draft), due=draft["total"],
                    paid=draft["status"] == "COMPLETED")  # fmt: skip

    async def rest(request: Request) -> Response:
        order = next((one for one in shop.state.all("orders") if _is(shop, OWED, one, request)), None)
        if order is None:
            return page(request)
        if request.method == "POST":
            trade.pay_rest(shop, order["id"])
            return RedirectResponse(str(request.url), 303)
        return page(request, name=order["name"], lines=_bought(order), due=order["total_outstanding"],
                    paid=minor(order["total_outstanding"]) <= 0)  # fmt: skip

    async def status(request: Request) -> Response:
        wanted = request.path_params["token"]
        order = next((one for one in shop.state.all("orders") if f"/{wanted}/" in one["order_status_url"]), None)
        if order is None:
            return page(request)
        return page(request, name=order["name"], lines=_bought(order), due=order["current_total_price"],
                    state=trade.order_state(order), paid=None)  # fmt: skip

    return [
        Route(f"/{SHOP_NUMBER}/{INVOICE}/{{secret}}", invoice, methods=["GET", "POST"]),
        Route(f"/{SHOP_NUMBER}/{OWED}/{{secret}}", rest, methods=["GET", "POST"]),
        Route(f"/{SHOP_NUMBER}/orders/{{token}}/authenticate", status),
    ]


def _is(shop: Shop, kind: str, one: Doc, request: Request) -> bool:
    return shop.secret(kind, one["id"]) == str(request.path_params["secret"])


def _bought(order: Doc) -> list[Doc]:
    return [{"name": one["name"], "quantity": one["current_quantity"]}
            for one in order["line_items"] if one["current_quantity"]]  # fmt: skip


def _drafted(shop: Shop, draft: Doc) -> list[Doc]:
    by_variant = {
        gid("ProductVariant", variant["id"]): product["title"]
        for product in shop.state.all("products") for variant in product["variants"]
    }  # fmt: skip
    return [
        {"name": line.get("title") or by_variant.get(line.get("variantId") or "", ""), "quantity": line["quantity"]}
        for line in draft["told"]["lineItems"]
    ]
