"""The stand-in for Shopify's admin: frames the app, serves its App Bridge, and lets one play the merchant."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from integrations.shopify.simulator import embed, oauth, pages, trade
from integrations.shopify.simulator.shop import ADMIN_HOST, Shop
from integrations.shopify.simulator.state import Doc

PAGE = 40


def routes(shop: Shop) -> list[Route]:
    """Every page and action of the admin."""

    def staff() -> str:
        return str(shop.state.setting("staff", oauth.OWNER))

    def render(template: str, section: str, *, status: int = 200, **values: object) -> Response:
        headers = {"Cache-Control": "no-store", "Content-Security-Policy": "frame-ancestors 'none'"}
        return pages.page(
            template, status=status, headers=headers, shop=shop, section=section, staff=oauth.STAFF, user=staff(),
            app=shop.config["name"], handle=shop.config["handle"], **values,
        )  # fmt: skip

    def back(path: str) -> Response:
        return RedirectResponse(path, 303)

    async def orders(request: Request) -> Response:
        wanted = request.query_params.get("q", "").strip().casefold()
        found = sorted(shop.state.all("orders"), key=lambda held: (held["created_at"], held["id"]), reverse=True)
        if wanted:
            found = [held for held in found if wanted in _searchable(held)]
        return render("admin_orders.html", "orders", orders=found[:PAGE], total=len(found), q=wanted)

    async def order(request: Request) -> Response:
        held = shop.state.get("orders", request.path_params["number"])
        if held is None:
            return render("admin_missing.html", "orders", status=404)
        said = request.query_params.get("said", "")
        return render("admin_order.html", "orders", order=held, said=said, can=_possible(held))

    async def act(request: Request) -> Response:
        number, verb = request.path_params["number"], request.path_params["verb"]
        form = await request.form()
        try:
            if verb == "fulfil":
                trade.fulfil(shop, number)
            elif verb == "deliver":
                trade.deliver(shop, number)
            elif verb == "refund":
                line = str(form.get("line", ""))
                trade.refund(shop, number, quantities={int(line): 1} if line else None)
            elif verb == "cancel":
                trade.cancel(shop, number)
            elif verb == "note":
                trade.edit_order(shop, number, {"note": str(form["note"])[:500] or None})
            elif verb == "return-request":
                trade.request_return(shop, number, quantities={int(str(form["line"])): 1})
            elif verb.removeprefix("return-") in trade.RETURN_STEPS:
                trade.move_return(shop, number, int(str(form["return_id"])), verb.removeprefix("return-"))
        except ValueError as error:
            return back(f"/orders/{number}?{urlencode({'said': str(error)})}")
        return back(f"/orders/{number}")

    async def customers(request: Request) -> Response:
        wanted = request.query_params.get("q", "").strip().casefold()
        found = sorted(shop.state.all("customers"), key=lambda held: held["updated_at"], reverse=True)
        if wanted:
            found = [
                held
                for held in found
                if wanted in f"{held['first_name']} {held['last_name']} {held['email']} {held['phone']}".casefold()
            ]
        return render("admin_customers.html", "customers", customers=found[:PAGE], total=len(found), q=wanted)

    async def customer(request: Request) -> Response:
        held = shop.state.get("customers", request.path_params["number"])
        if held is None:
            return render("admin_missing.html", "customers", status=404)
        own = [one for one in shop.state.all("orders") if one["customer"] and one["customer"]["id"] == held["id"]]
        said = {"request": "The app was asked for a copy of their data.", "erase": "The app was told to erase them."}
        return render("admin_customer.html", "customers", customer=held, orders=sorted(
            own, key=lambda one: str(one["created_at"]), reverse=True
        ), said=said.get(request.query_params.get("said", ""), ""))  # fmt: skip

    async def change_customer(request: Request) -> Response:
        number = request.path_params["number"]
        form = {key: str(value).strip() for key, value in (await request.form()).items()}
        changes: Doc = {name: form[name] for name in ("first_name", "last_name") if name in form}
        changes |= {name: form[name] or None for name in ("email", "phone", "note") if name in form}
        if "tags" in form:
            changes["_tags"] = form["tags"]
        held = shop.state.get("customers", number) or {}
        trade.update_customer(shop, number, {k: v for k, v in changes.items() if held.get(k) != v})
        return back(f"/customers/{number}")

    async def customer_consent(request: Request) -> Response:
        number, form = request.path_params["number"], await request.form()
        trade.change_consent(shop, number, email=form.get("email") == "on", sms=form.get("sms") == "on")
        return back(f"/customers/{number}")

    async def customer_privacy(request: Request) -> Response:
        """Request customer data, Erase personal data: told at once here; Shopify itself waits ten days to erase."""
        number, verb = request.path_params["number"], request.path_params["verb"]
        if verb not in ("request", "erase") or shop.state.get("customers", number) is None:
            return render("admin_missing.html", "customers", status=404)
        topic = "customers/redact" if verb == "erase" else "customers/data_request"
        shop.emit(topic, trade.ask_privacy(shop, topic, number))
        return back(f"/customers/{number}?said={verb}")

    async def themes(_: Request) -> Response:
        return render("admin_theme.html", "themes", embed=embed.chosen(shop), settings=embed.settings())

    async def change_theme(request: Request) -> Response:
        form = await request.form()
        held: Doc = {"enabled": form.get("enabled") == "on"}
        for one in embed.settings():
            if one["type"] == "checkbox":
                held[one["id"]] = form.get(one["id"]) == "on"
            elif "id" in one:
                held[one["id"]] = str(form.get(one["id"], one.get("default", "")))
        shop.state.set("embed", held)
        return back("/themes")

    async def deliveries(request: Request) -> Response:
        log = sorted(shop.state.all("deliveries"), key=lambda held: str(held["triggered_at"]), reverse=True)
        return render("admin_deliveries.html", "deliveries", deliveries=log[:120], total=len(log))

    async def framed(request: Request) -> Response:
        if not shop.installed:
            return render("admin_install.html", "app", scopes=shop.required_scopes, optional=shop.optional_scopes)
        path = request.path_params.get("path", "")
        source = oauth.launch_url(shop, path, staff())
        return render("admin_app.html", "app", source=source)

    async def install(request: Request) -> Response:
        extra = [str(scope) for scope in (await request.form()).getlist("scope")]
        oauth.install(shop, extra)
        return back(f"/apps/{shop.config['handle']}")

    async def remove(_: Request) -> Response:
        oauth.uninstall(shop)
        return back(f"/apps/{shop.config['handle']}")

    async def settings(_: Request) -> Response:
        return render("admin_settings.html", "settings", required=shop.required_scopes, optional=shop.optional_scopes)

    async def change_scopes(request: Request) -> Response:
        extra = [str(scope) for scope in (await request.form()).getlist("scope")]
        oauth.change_scopes(shop, [*shop.required_scopes, *(s for s in extra if s in shop.optional_scopes)])
        return back("/settings")

    async def choose_staff(request: Request) -> Response:
        chosen = str((await request.form())["user"])
        if chosen in oauth.STAFF:
            shop.state.set("staff", chosen)
        where = request.headers.get("referer", "/").partition(f"{ADMIN_HOST}:{shop.base_port}")[2]
        return back(where if where.startswith("/") and not where.startswith("//") else "/")

    async def fresh_token(request: Request) -> Response:
        """Asked by the page around the frame, on the frame's behalf; only pages of this origin can read it."""
        if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return JSONResponse({"error": "same origin only"}, 403)
        if not shop.installed:
            return JSONResponse({"error": "not installed"}, 403)
        return JSONResponse({"token": oauth.id_token(shop, staff())}, headers={"Cache-Control": "no-store"})

    async def frame_scopes(request: Request) -> Response:
        """``shopify.scopes`` of the page around the frame.

        GET says what is granted. POST ``request`` says what the merchant has to be asked (``asking``), ``grant`` is
        the merchant's yes, ``revoke`` gives optional ones back. What the app's file does not list is refused.
        """
        if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return JSONResponse({"error": "same origin only"}, 403)
        if not shop.installed:
            return JSONResponse({"error": "not installed"}, 403)
        asking: list[str] = []
        if request.method == "POST":
            sent = await request.json()
            scopes = [str(scope) for scope in sent.get("scopes", [])]
            try:
                if sent["action"] == "revoke":
                    oauth.revoke_scopes(shop, scopes)
                else:
                    asking = oauth.requestable(shop, scopes)
                    if sent["action"] == "grant":
                        oauth.change_scopes(shop, [*shop.granted, *asking])
                        asking = []
            except oauth.ScopeRefused as refused:
                return JSONResponse({"error": str(refused)}, 400)
        return JSONResponse(
            {"granted": shop.granted, "required": shop.required_scopes, "optional": shop.optional_scopes,
             "asking": asking}
        )  # fmt: skip

    async def frame_extensions(_: Request) -> Response:
        """``shopify.app.extensions()``: the embed and whether the theme shows it."""
        status = "active" if embed.chosen(shop).get("enabled") else "available"
        return JSONResponse(
            [{"handle": "support-widget", "type": "theme_app_extension",
              "activations": [{"target": "body", "handle": "support", "name": "Chat and help", "status": status,
                               "activations": [{"target": "body", "themeId": "gid://shopify/OnlineStoreTheme/1"}]}]}]
        )  # fmt: skip

    def static(name: str, kind: str) -> Route:
        async def serve(_: Request) -> Response:
            headers = {"Cache-Control": "no-cache", "Cross-Origin-Resource-Policy": "cross-origin"}
            return FileResponse(pages.STATIC / name, media_type=kind, headers=headers)

        return Route(f"/{name}", serve)

    app_paths = [
        "/apps/{app}",
        "/apps/{app}/{path:path}",
        "/store/{shop}/apps/{app}",
        "/store/{shop}/apps/{app}/{path:path}",
    ]
    return [
        Route("/", orders),
        Route("/orders/{number:int}", order),
        Route("/orders/{number:int}/{verb}", act, methods=["POST"]),
        Route("/customers", customers),
        Route("/customers/{number:int}", customer),
        Route("/customers/{number:int}", change_customer, methods=["POST"]),
        Route("/customers/{number:int}/consent", customer_consent, methods=["POST"]),
        Route("/customers/{number:int}/privacy/{verb}", customer_privacy, methods=["POST"]),
        Route("/themes", themes),
        Route("/themes/current/editor", themes),
        Route("/themes", change_theme, methods=["POST"]),
        Route("/deliveries", deliveries),
        Route("/settings", settings),
        Route("/settings/scopes", change_scopes, methods=["POST"]),
        Route("/settings/staff", choose_staff, methods=["POST"]),
        Route("/apps/install", install, methods=["POST"]),
        Route("/apps/remove", remove, methods=["POST"]),
        Route("/frame/id-token", fresh_token),
        Route("/frame/scopes", frame_scopes, methods=["GET", "POST"]),
        Route("/frame/extensions", frame_extensions),
        *(Route(path, framed) for path in app_paths),
        static("app-bridge.js", "text/javascript"),
        static("admin.js", "text/javascript"),
        static("admin.css", "text/css"),
    ]


def _searchable(order: Doc) -> str:
    who = order["customer"] or {}
    return f"{order['name']} {order['email']} {who.get('first_name')} {who.get('last_name')}".casefold()


def _possible(order: Doc) -> dict[str, bool]:
    """Which buttons make sense."""
    alive = order["cancelled_at"] is None
    kept = any(line["current_quantity"] for line in order["line_items"])
    return {
        "fulfil": alive and any(line["fulfillable_quantity"] for line in order["line_items"]),
        "deliver": any(parcel["_delivered_at"] is None for parcel in order["fulfillments"]),
        "refund": kept and order["financial_status"] != "pending",
        "cancel": alive and not order["fulfillments"],
        "return": alive and bool(order["fulfillments"]),
    }
