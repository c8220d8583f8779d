"""``/__sim/…``: what tests and the demo do to the shop. JSON in, JSON out, POST to change anything.

| path | body | answer |
| --- | --- | --- |
| GET status | | counts, installed, granted scopes, switches |
| POST install / uninstall | ``{scopes?: [optional]}`` | granted; ``launch`` URL |
| POST scopes | ``{grant?: [], revoke?: []}`` | granted |
| POST domains | ``{hosts: [], primary?}`` | domains of the shop |
| POST embed | ``{enabled?, side?, accent?}`` | the embed |
| GET launch | ``?user=&path=&locale=`` | ``url`` that the admin would frame |
| GET id-token | ``?user=&seconds=`` | ``token`` |
| POST seed | ``{orders, days?}`` | orders (silent history) |
| POST order | ``{customer_id?, email?, lines?: [[variant, n]], locale?}`` | the order |
| POST order/{id}/{verb} | ``{quantities?, note?, reason?, changes?, return_id?}`` | fulfil, deliver, refund, cancel, edit, quantity, delete, return-request, return-approve … |
| POST customer, customer/{id} | fields | the customer |
| POST tick | ``{times?}`` | what happened |
| POST compliance | ``{topic, customer_id?}`` | delivery ids |
| POST emit | ``{topic, payload}`` | delivery ids of any payload |
| GET deliveries | ``?topic=&status=&bodies=1`` | the log |
| POST deliveries | ``{duplicates?, loss?, shuffle_seconds?, paused?, time_scale?, retry_now?}`` | switches |
| POST order/{id}/return-{step} | ``{lines?, exchange?, fee?, return_id?, money?}`` | a return made or moved in the admin |
| GET ledger, POST ledger | ``{refuse?: 1, credit_limit?}`` | money that really moved; what the gateway refuses next |
| POST faults | ``{kind: 429, 500, garbage, slow, lost, throttled, refused, times?, seconds?, on?, code?, oauth?}`` | pending ones; empty body clears |
| POST throttle | ``{size?, rate?, available?}`` | the bucket |
| POST accounts | ``{kind?: new or legacy, fault?}`` | the customer accounts; a fault of ``accounts.FAULTS`` |
| POST clock | ``{advance_seconds}`` or ``{reset: true}`` | now |
| GET records/{kind} | | customers, orders, products, carts, checkouts, subscriptions, bulk |
"""  # noqa: E501

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from integrations.shopify.simulator import accounts, doings, oauth, returns, risk, seed, topics, trade
from integrations.shopify.simulator.admin_api import Throttle
from integrations.shopify.simulator.shop import Fault, Shop, gid
from integrations.shopify.simulator.state import Doc
from integrations.shopify.simulator.webhooks import Deliveries

RECORDS = frozenset({"customers", "orders", "products", "carts", "checkouts", "subscriptions", "bulk"})


def _return_of(shop: Shop, number: int, sent: Doc) -> Doc:
    order = trade.need(shop, "orders", number)
    found: Doc | None = next((held for held in order["_returns"] if held["id"] == int(sent["return_id"])), None)
    if found is None:
        raise LookupError(f"no return with id {sent['return_id']}")
    return found


def _admin_create(shop: Shop, number: int, sent: Doc) -> Doc:
    """Somebody in the admin opens a return: ``lines`` is {line id: quantity}, ``exchange`` [[variant id, quantity]]."""
    wanted = _numbers(sent.get("lines")) or {}
    order = trade.need(shop, "orders", number)
    lines: list[Doc] = []
    for _, of, units in returns.left_to_return(order):
        take = min(units, wanted.pop(of["id"], 0))
        if take:
            lines.append({"fulfillmentLineItemId": gid("FulfillmentLineItem", of["_fulfillment_line_id"]),
                          "quantity": take})  # fmt: skip
    told: Doc = {
        "orderId": order["admin_graphql_api_id"],
        "returnLineItems": lines,
        "exchangeLineItems": [{"variantId": gid("ProductVariant", variant), "quantity": quantity}
                              for variant, quantity in sent.get("exchange") or ()],
    }  # fmt: skip
    if sent.get("fee"):
        told["returnShippingFee"] = {"amount": {"amount": sent["fee"], "currencyCode": order["presentment_currency"]}}
    return _refusable(lambda: returns.open_return(shop, told, status="open"))


def _admin_process(shop: Shop, number: int, sent: Doc) -> Doc:
    """Somebody in the admin takes everything of a return back, and gives ``money`` (as text) for it."""
    order, held = trade.need(shop, "orders", number), _return_of(shop, number, sent)
    lines = [{"id": line["admin_graphql_api_id"], "quantity": line["quantity"] - returns.processed(line)}
             for line in returns.lines_of(held) if line["quantity"] > returns.processed(line)]  # fmt: skip
    told: Doc = {"returnId": held["admin_graphql_api_id"], "returnLineItems": lines, "note": sent.get("note")}
    if sent.get("money"):
        money = {"amount": sent["money"], "currencyCode": order["presentment_currency"]}
        entry = {"parentId": gid("OrderTransaction", order["id"] * 10 + 1), "transactionAmount": money}
        told["financialTransfer"] = {"issueRefund": {"orderTransactions": [entry]}}
    return _refusable(lambda: returns.process(shop, told))


def _admin_remove(shop: Shop, number: int, sent: Doc) -> Doc:
    """Somebody in the admin takes units out of a return again."""
    held = _return_of(shop, number, sent)
    return _refusable(lambda: returns.remove(shop, held["admin_graphql_api_id"], int(sent["line_id"]),
                                             int(sent.get("quantity", 1))))  # fmt: skip


def _refusable(work: Callable[[], Doc]) -> Doc:
    try:
        return work()
    except returns.Refused as refused:
        raise ValueError(refused.message) from refused


ADMIN_RETURNS: dict[str, Callable[[Shop, int, Doc], Doc]] = {
    "return-create": _admin_create,
    "return-process": _admin_process,
    "return-remove": _admin_remove,
}


async def _body(request: Request) -> Doc:
    raw = await request.body()
    sent: Any = await request.json() if raw else {}
    return sent if isinstance(sent, dict) else {}


def _numbers(given: Doc | None) -> dict[int, int] | None:
    return {int(key): int(value) for key, value in given.items()} if given else None


def routes(shop: Shop, deliveries: Deliveries, bucket: Throttle) -> list[Route]:
    """The control routes of one shop."""
    dice = random.Random()  # noqa: S311 - a trickle of orders

    async def status(_: Request) -> Response:
        return JSONResponse(
            {
                "shop": shop.domain,
                "installed": shop.installed,
                "granted": shop.granted,
                "embed": shop.state.setting("embed", {}),
                "metafields": shop.state.setting("metafields", {}),
                "switches": deliveries.switches(),
                "time_scale": shop.time_scale,
                "now": shop.stamp(),
                "counts": {kind: shop.state.count(kind) for kind in sorted(RECORDS)},
            }
        )

    async def install(request: Request) -> Response:
        granted = oauth.install(shop, (await _body(request)).get("scopes"))
        return JSONResponse({"granted": granted, "launch": oauth.launch_url(shop)})

    async def uninstall(_: Request) -> Response:
        oauth.uninstall(shop)
        return JSONResponse({"installed": shop.installed})

    async def scopes(request: Request) -> Response:
        sent = await _body(request)
        granted = [held for held in shop.granted if held not in sent.get("revoke", [])]
        oauth.change_scopes(shop, [*granted, *(new for new in sent.get("grant", []) if new not in granted)])
        return JSONResponse({"granted": shop.granted})

    async def domains(request: Request) -> Response:
        sent = await _body(request)
        oauth.change_domains(shop, [str(host) for host in sent.get("hosts", [])], str(sent.get("primary", "")))
        return JSONResponse({"domains": shop.state.setting("domains")})

    async def embed(request: Request) -> Response:
        shop.state.set("embed", {**shop.state.setting("embed", {}), **(await _body(request))})
        return JSONResponse(shop.state.setting("embed"))

    async def launch(request: Request) -> Response:
        query = request.query_params
        url = oauth.launch_url(shop, query.get("path", ""), query.get("user", oauth.OWNER), query.get("locale"))
        return JSONResponse({"url": url})

    async def token(request: Request) -> Response:
        query = request.query_params
        made = oauth.id_token(shop, query.get("user", oauth.OWNER), seconds=int(query.get("seconds", "60")))
        return JSONResponse({"token": made})

    async def add_history(request: Request) -> Response:
        sent = await _body(request)
        seed.history(shop, int(sent.get("orders", 100)), days=int(sent.get("days", seed.DAYS)))
        return JSONResponse({"orders": shop.state.count("orders")})

    async def order(request: Request) -> Response:
        sent = await _body(request)
        customer = shop.state.get("customers", int(sent["customer_id"])) if sent.get("customer_id") else None
        if customer is None and not sent.get("email"):
            customer = dice.choice(shop.state.all("customers"))
        lines = sent.get("lines") or [[shop.state.all("products")[0]["variants"][0]["id"], 1]]
        made = trade.place_order(
            shop,
            [(int(variant), int(quantity)) for variant, quantity in lines],
            customer=customer,
            email=sent.get("email"),
            address=sent.get("address"),
            locale=sent.get("locale") or (customer or {}).get("_locale", "en"),
            cart_token=sent.get("cart_token"),
        )
        return JSONResponse(made)

    async def act(request: Request) -> Response:
        number, verb = request.path_params["number"], request.path_params["verb"]
        sent = await _body(request)
        quantities = _numbers(sent.get("quantities"))
        made: Doc | None
        if verb == "fulfil":
            made = trade.fulfil(shop, number, quantities=quantities)
        elif verb == "deliver":
            made = trade.deliver(shop, number)
        elif verb == "refund":
            made = trade.refund(shop, number, quantities=quantities, note=sent.get("note"))
        elif verb == "cancel":
            made = trade.cancel(shop, number, reason=sent.get("reason", "customer"))
        elif verb == "edit":
            made = trade.edit_order(shop, number, sent.get("changes", {}))
        elif verb == "quantity":
            made = trade.edit_quantity(shop, number, int(sent["line_id"]), int(sent["quantity"]))
        elif verb == "delete":
            trade.delete_order(shop, number)
            made = None
        elif verb == "return-request":
            made = trade.request_return(shop, number, quantities=quantities or {}, note=sent.get("note", ""))
        elif verb in ADMIN_RETURNS:
            made = ADMIN_RETURNS[verb](shop, number, sent)
        elif verb in risk.VERBS:
            made = risk.VERBS[verb](shop, number, sent)
        elif verb.removeprefix("return-") in trade.RETURN_STEPS:
            made = trade.move_return(shop, number, int(sent["return_id"]), verb.removeprefix("return-"))
        else:
            return JSONResponse({"error": f"unknown verb {verb}"}, 404)
        return JSONResponse(made)

    async def new_customer(request: Request) -> Response:
        sent = await _body(request)
        if not sent:
            return JSONResponse(seed.person(shop, dice, dice.choice(seed.LANGUAGES)))
        return JSONResponse(
            trade.create_customer(
                shop,
                first_name=sent.get("first_name", ""),
                last_name=sent.get("last_name", ""),
                email=sent.get("email"),
                phone=sent.get("phone"),
                locale=sent.get("locale", "en"),
                address=sent.get("address"),
            )
        )

    async def change_customer(request: Request) -> Response:
        sent = await _body(request)
        if "tags" in sent:
            sent["_tags"] = sent.pop("tags")
        return JSONResponse(trade.update_customer(shop, request.path_params["number"], sent))

    async def tick(request: Request) -> Response:
        times = int((await _body(request)).get("times", 1))
        return JSONResponse({"happened": [seed.tick(shop, dice) for _ in range(times)]})

    async def compliance(request: Request) -> Response:
        sent = await _body(request)
        topic = sent["topic"]
        if topic not in topics.COMPLIANCE_TOPICS:
            return JSONResponse({"error": "not a compliance topic"}, 400)
        payload = trade.ask_privacy(shop, topic, int(sent.get("customer_id", 0)))
        return JSONResponse({"deliveries": deliveries.emit(topic, payload)})

    async def emit(request: Request) -> Response:
        sent = await _body(request)
        return JSONResponse({"deliveries": deliveries.emit(sent["topic"], sent["payload"], sent.get("event_id"))})

    async def log(request: Request) -> Response:
        query = request.query_params
        found = [
            held if query.get("bodies") else {key: value for key, value in held.items() if key != "body"}
            for held in shop.state.all("deliveries")
            if all(query.get(name, held[name]) == held[name] for name in ("topic", "status"))
        ]
        return JSONResponse({"deliveries": found})

    async def switch(request: Request) -> Response:
        sent = await _body(request)
        if "time_scale" in sent:
            shop.time_scale = float(sent.pop("time_scale"))
        if sent.pop("retry_now", False):
            deliveries.retry_now()
        return JSONResponse({**deliveries.set_switches(sent), "time_scale": shop.time_scale})

    async def faults(request: Request) -> Response:
        sent = await _body(request)
        if not sent:
            shop.faults.clear()
        elif sent.get("oauth"):
            shop.state.set("oauth_fault", int(sent["kind"]))
        elif sent["kind"] == "refused":
            waiting = [str(sent.get("code", "INVALID_STATE"))] * int(sent.get("times", 1))
            shop.state.set(returns.REFUSALS, [*shop.state.setting(returns.REFUSALS, []), *waiting])
        else:
            seconds, on = float(sent.get("seconds", 0)), str(sent.get("on", ""))
            shop.faults.append(Fault(str(sent["kind"]), int(sent.get("times", 1)), seconds, on))
        return JSONResponse({"faults": [[fault.kind, fault.remaining] for fault in shop.faults]})

    async def ledger(request: Request) -> Response:
        sent = await _body(request)
        if "refuse" in sent:
            shop.state.set(doings.REFUND_FAULTS, int(sent["refuse"]))
        if "credit_limit" in sent:
            shop.state.set("credit_limit", int(sent["credit_limit"]))
        return JSONResponse({"ledger": shop.state.all("ledger")})

    async def throttle(request: Request) -> Response:
        sent = await _body(request)
        bucket.size = float(sent.get("size", bucket.size))
        bucket.rate = float(sent.get("rate", bucket.rate))
        bucket.level = float(sent.get("available", bucket.available()))
        return JSONResponse(bucket.status())

    async def clock(request: Request) -> Response:
        sent = await _body(request)
        offset = 0 if sent.get("reset") else shop.state.setting("clock_offset", 0) + sent.get("advance_seconds", 0)
        shop.state.set("clock_offset", offset)
        return JSONResponse({"now": shop.stamp()})

    async def account_page(request: Request) -> Response:
        sent = await _body(request)
        kind, fault = sent.get("kind", shop.state.setting("accounts", "new")), sent.get("fault", "")
        if kind not in ("new", "legacy") or fault not in ("", *accounts.FAULTS):
            return JSONResponse({"error": "no such kind or fault"}, 422)
        shop.state.set("accounts", kind)
        shop.state.set("account_fault", fault)
        return JSONResponse({"kind": kind, "fault": fault})

    async def records(request: Request) -> Response:
        kind = request.path_params["kind"]
        if kind not in RECORDS:
            return JSONResponse({"error": "no such kind"}, 404)
        return JSONResponse({kind: shop.state.all(kind)})

    return [
        Route("/__sim/status", status),
        Route("/__sim/install", install, methods=["POST"]),
        Route("/__sim/uninstall", uninstall, methods=["POST"]),
        Route("/__sim/scopes", scopes, methods=["POST"]),
        Route("/__sim/domains", domains, methods=["POST"]),
        Route("/__sim/embed", embed, methods=["POST"]),
        Route("/__sim/launch", launch),
        Route("/__sim/id-token", token),
        Route("/__sim/seed", add_history, methods=["POST"]),
        Route("/__sim/order", order, methods=["POST"]),
        Route("/__sim/order/{number:int}/{verb}", act, methods=["POST"]),
        Route("/__sim/customer", new_customer, methods=["POST"]),
        Route("/__sim/customer/{number:int}", change_customer, methods=["POST"]),
        Route("/__sim/tick", tick, methods=["POST"]),
        Route("/__sim/compliance", compliance, methods=["POST"]),
        Route("/__sim/emit", emit, methods=["POST"]),
        Route("/__sim/deliveries", log),
        Route("/__sim/deliveries", switch, methods=["POST"]),
        Route("/__sim/faults", faults, methods=["POST"]),
        Route("/__sim/ledger", ledger, methods=["GET", "POST"]),
        Route("/__sim/throttle", throttle, methods=["POST"]),
        Route("/__sim/accounts", account_page, methods=["POST"]),
        Route("/__sim/clock", clock, methods=["POST"]),
        Route("/__sim/records/{kind}", records),
    ]
