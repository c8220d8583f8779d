"""The stand-in of our own WordPress plugin (docs/woocommerce-plugin-protocol.md): pairing, identity, cart events."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Final
from urllib.parse import urlencode, urlsplit

import httpx

from integrations.woocommerce import pairing
from integrations.woocommerce.simulator import wire
from integrations.woocommerce.simulator.database import Documents, Json
from integrations.woocommerce.simulator.shop import Shop
from integrations.woocommerce.simulator.wire import WpError, php_json

VERSION: Final = "0.1.0"
NONCE_LIFETIME: Final = 15 * 60
EVENT_ATTEMPTS: Final = 12
EVENTS_AT_ONCE: Final = 50


class Plugin:
    """What `wc-ahlan` keeps and does on the site. `server` is where Ahlan lives; a real copy has it built in."""

    def __init__(self, shop: Shop, *, site: str, public: str, server: str, http: httpx.AsyncClient) -> None:
        self._shop = shop
        self._site = site
        self._public = public
        self._http = http
        self.server = server.rstrip("/")

    @property
    def _documents(self) -> Documents:
        return self._shop.documents

    def _now(self) -> int:
        return int(self._shop.clock().timestamp())

    @property
    def paired(self) -> Json | None:
        """store_id, public_key, secret, server: what our server delivered, or None."""
        return self._documents.get("option", "ahlan_paired")

    def connect_url(self, locale: str) -> str:
        """The Connect button: a fresh one-time nonce, of which the site keeps only the hash."""
        nonce = pairing.new_nonce()
        hashed = hashlib.sha256(nonce.encode()).hexdigest()
        self._documents.put("option", "ahlan_nonce", {"hash": hashed, "until": self._now() + NONCE_LIFETIME})
        query = urlencode({"site": self._site, "nonce": nonce, "locale": locale, "plugin": VERSION})
        return f"{self.server}/install/woocommerce?{query}"

    def pair(self, body: Json) -> Json:
        """POST wc-ahlan/v1/pair: takes the secret from the one who holds this button's nonce, once (B4)."""
        kept = self._documents.get("option", "ahlan_nonce")
        given = hashlib.sha256(str(body.get("nonce") or "").encode()).hexdigest()
        if kept is None or kept["until"] < self._now() or not hmac.compare_digest(kept["hash"], given):
            raise WpError("ahlan_nonce_invalid", "This pairing link was used already or is too old.", 403)
        if str(body.get("site") or "").rstrip("/") != self._site:
            raise WpError("ahlan_site_mismatch", "This site has another address than the one that was connected.", 409)
        try:
            pairing.derive_keys(str(body.get("secret") or ""))
        except pairing.PairingError:
            raise WpError("rest_invalid_param", "Invalid parameter(s): secret", 400) from None
        fields = ("store_id", "public_key", "secret", "server")
        if not all(isinstance(body.get(name), str) and body[name] for name in fields):
            raise WpError("rest_missing_callback_param", "Missing parameter(s)", 400, params=list(fields))
        self._documents.delete("option", "ahlan_nonce")
        self._documents.put("option", "ahlan_paired", {name: body[name] for name in fields} | {"site": self._site})
        return self.status()

    def status(self) -> Json:
        """What our server may ask with a signed request: the embed's real state."""
        return {
            "paired": self.paired is not None,
            "site": self._site,
            "version": VERSION,
            "widget": bool(self._shop.option("widget", True)),
            "coming_soon": bool(self._shop.option("coming_soon", False)),
            "returns": {
                "page": str(self._shop.option("returns_page", "") or ""),
                "account": f"{self._public}/my-account/ahlan-returns/",
            },
            "origins": [self._site],
        }

    def signed_call(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Json:
        """Requests of our server after pairing: status, rotate, disconnect. Raises WpError."""
        paired = self.paired
        if paired is None:
            raise WpError("ahlan_not_paired", "This site is not connected to Ahlan.", 403)
        keys = pairing.derive_keys(paired["secret"])
        try:
            nonce = pairing.verify(
                keys.requests,
                method=method,
                path=path,
                timestamp=headers.get(pairing.TIMESTAMP_HEADER.lower()),
                nonce=headers.get(pairing.NONCE_HEADER.lower()),
                signature=headers.get(pairing.SIGNATURE_HEADER.lower()),
                body=body,
                now=self._now(),
            )
        except pairing.PairingError as error:
            raise WpError(f"ahlan_{error.code}", "This request is not signed as it must be.", 401) from None
        if self._documents.get("nonce", nonce) is not None:
            raise WpError("ahlan_replayed", "This request was seen before.", 401)
        self._documents.put("nonce", nonce, {"nonce": nonce, "at": self._now()})
        route = path.partition("?")[0].rpartition("/")[2]
        if (method, route) == ("GET", "status"):
            return self.status()
        if (method, route) == ("POST", "rotate"):
            fresh = pairing.renewed(paired["secret"], str(json.loads(body)["salt"]))
            self._documents.put("option", "ahlan_paired", {**paired, "secret": fresh})
            return self.status()
        if (method, route) == ("DELETE", "pair"):
            self._documents.delete("option", "ahlan_paired")
            return self.status()
        raise WpError("rest_no_route", "No route was found matching the URL and request method.", 404)

    def script_tag(self, language: str) -> Json | None:
        """The widget's script tag in the storefront, or None when nothing may be shown."""
        paired = self.paired
        if paired is None or not self._shop.option("widget", True):
            return None
        return {
            "src": f"{paired['server']}/widget/loader.js?store={paired['public_key']}",
            "data-server": paired["server"],
            "data-store": paired["public_key"],
            "data-identity": "/wp-json/wc-ahlan/v1/identity",
            "data-locale": language,
            "data-side": "end",
            "data-accent": "#56682c",
        }

    def returns_tag(self, language: str) -> Json | None:
        """The script of the Returns tab, the shortcode and the block, or None while the site is not connected."""
        paired = self.paired
        if paired is None:
            return None
        return {
            "src": f"{paired['server']}/widget/page.js",
            "data-server": paired["server"],
            "data-store": paired["public_key"],
            "data-identity": "/wp-json/wc-ahlan/v1/identity",
            "data-locale": language,
            "data-accent": "#56682c",
        }

    def withdrawal_tag(self, language: str) -> Json | None:
        """The script of the page on which shoppers withdraw from a contract, or None while nothing is connected."""
        tag = self.returns_tag(language)
        return {**tag, "data-screen": "withdrawal", "data-title": _withdrawal(language)} if tag is not None else None

    def withdrawal_link(self, language: str) -> str:
        """What the link at the end of every page says; empty where there is none. This shop sells everywhere."""
        chosen = self._shop.option("withdrawal", "auto")
        return _withdrawal(language) if self.paired is not None and chosen != "off" else ""

    async def help(self, home: str, path: str, query: Mapping[str, str], language: str, agent: str) -> Json | None:
        """A page of the help centre in parts, as class-ahlan-help.php asks for it; None while nobody answers."""
        paired = self.paired
        if paired is None:
            return None
        url = f"{paired['server']}/plugin/woocommerce/{paired['store_id']}/help"
        body = php_json(
            {
                "path": path,
                "base": f"{home}/help",
                "query": {name: query[name] for name in ("q", "thanks", "vote") if name in query},
                "languages": language,
                "agent": agent,
            }
        )
        headers = pairing.signed_headers(
            pairing.derive_keys(paired["secret"]).requests,
            method="POST",
            path=urlsplit(url).path,
            timestamp=self._now(),
            body=body,
        )
        try:
            answer = await self._http.post(url, content=body, headers={**headers, "Content-Type": "application/json"})
        except httpx.HTTPError:
            return None
        made: Json | None = answer.json() if answer.status_code == 200 else None
        return made

    def identity(self, session: Json | None, origin: str, own_origin: str) -> str | None:
        """The signed statement of who is signed in here, or None for a stranger.

        WordPress echoes any Origin into its CORS headers on REST routes, so a foreign one is refused here (403).
        """
        if origin and origin != own_origin:
            raise WpError("ahlan_foreign_origin", "This is only for the shop's own pages.", 403)
        paired = self.paired
        customer = self._documents.get("customer", (session or {}).get("customer_id", 0))
        if paired is None or customer is None:
            return None
        return pairing.shopper_token(
            pairing.derive_keys(paired["secret"]),
            site=self._site,
            store=paired["public_key"],
            customer_id=str(customer["id"]),
            email=customer["email"],
            name=f"{customer['first_name']} {customer['last_name']}".strip(),
            locale=customer["_language"],
            now=self._now(),
        )

    def agent(self, locale: str) -> str:
        """The signed statement that the site's administrator is signed in to wp-admin; empty while not paired."""
        paired, user = self.paired, self._documents.get("customer", 1)
        if paired is None or user is None:
            return ""
        return pairing.agent_token(
            pairing.derive_keys(paired["secret"]),
            site=self._site,
            store=paired["public_key"],
            user_id=str(user["id"]),
            email=user["email"],
            name=f"{user['first_name']} {user['last_name']}".strip(),
            locale=locale,
            administrator=True,
            now=self._now(),
        )

    def panel(self) -> Json | None:
        """What the real plugin's panel.js is told; None while not paired."""
        paired = self.paired
        if paired is None:
            return None
        return {
            "frame": f"{paired['server']}/plugin/woocommerce/frame?{urlencode({'store': paired['public_key']})}",
            "origin": paired["server"],
            "ajax": "/wp-admin/admin-ajax.php",
            "nonce": "",
            "title": "Ahlan",
        }

    def cart_event(self, kind: str, session: Json, *, email: str = "", order_id: int = 0) -> None:
        """Queue a cart event: `cart.updated`, `checkout.started` or `order.placed`."""
        if self.paired is None:
            return
        identifier = secrets.token_hex(16)
        customer = self._documents.get("customer", session["customer_id"])
        cart: Json = {
            "token": session["cart"],
            "customer_id": str(session["customer_id"]) if session["customer_id"] else "",
            "email": email or (customer or {}).get("email", ""),
            "currency": wire.CURRENCY,
            "items": [self._item(item, session["language"]) for item in session["items"]],
            "coupons": list(session["coupons"]),
            "total": wire.money(self._total(session)),
        }
        if order_id:
            cart["order_id"] = str(order_id)
        event = {"id": identifier, "kind": kind, "at": f"{self._shop.now()}Z", "cart": cart}
        self._documents.put("cart_event", identifier, {"event": event, "attempts": 0})

    def _item(self, item: Json, language: str) -> Json:
        product = self._shop.item(item["product_id"], item["variation_id"])
        return {
            "product_id": str(item["product_id"]),
            "variation_id": str(item["variation_id"]) if item["variation_id"] else "",
            "name": product["_names"][language],
            "quantity": item["quantity"],
            "price": wire.money(product["price"]),
        }

    def _total(self, session: Json) -> Decimal:
        return sum(
            (
                Decimal(self._shop.item(item["product_id"], item["variation_id"])["price"]) * item["quantity"]
                for item in session["items"]
            ),
            Decimal(0),
        )

    async def send_events(self) -> int:
        """Send what waits, oldest first, in one signed request; on failure it waits for the next turn of the cron."""
        paired = self.paired
        waiting = list(self._documents.all("cart_event"))[:EVENTS_AT_ONCE]
        if paired is None or not waiting:
            return 0
        # The server that paired decides where to; the path is the one protocol fixes.
        url = f"{paired['server']}/webhooks/woocommerce/{paired['store_id']}/cart"
        body = php_json({"events": [entry["event"] for entry in waiting]})
        headers = pairing.signed_headers(
            pairing.derive_keys(paired["secret"]).requests,
            method="POST",
            path=urlsplit(url).path,
            timestamp=self._now(),
            body=body,
        )
        try:
            answer = await self._http.post(url, content=body, headers={**headers, "Content-Type": "application/json"})
            done = answer.status_code == 200 or (400 <= answer.status_code < 500 and answer.status_code != 429)
        except httpx.HTTPError:
            done = False
        for entry in waiting:
            entry["attempts"] += 1
            if done or entry["attempts"] >= EVENT_ATTEMPTS:
                self._documents.delete("cart_event", entry["event"]["id"])
            else:
                self._documents.put("cart_event", entry["event"]["id"], entry)
        return len(waiting) if done else 0


@cache
def _withdrawals() -> Mapping[str, str]:
    """The labels as the plugin's own file has them, by language."""
    file = Path(__file__).parents[1] / "wordpress/wc-ahlan/includes/class-ahlan-withdrawal.php"
    return dict(re.findall(r"^\t\t\t'([a-z]{2})' => '(.+)',$", file.read_text(encoding="utf-8"), re.MULTILINE))


def _withdrawal(language: str) -> str:
    labels = _withdrawals()
    return labels.get(language, labels["en"])
