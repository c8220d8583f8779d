"""EasyPost as far as we use it, for the demo and the tests: an account with a ledger, parcels, news, and bad days.

Held to https://docs.easypost.com/docs (shipments, forms, refunds, pickups, trackers, webhooks, addresses). What it
sells stands in `ledger`; `fail` lets the next calls of a kind go wrong before or after they did what was asked.
"""

from __future__ import annotations

import base64
import hashlib
import io
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import httpx
import orjson
import segno
from PIL import Image, ImageDraw
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from integrations.easypost.client import HOST
from integrations.easypost.webhooks import HEADER, signature

FILES: Final = "easypost-files.s3.us-west-2.amazonaws.com"
KEY: Final = "EZTKdemo0000000000000000000000"
_MOST_HELD: Final = 2_000
# Where towns of the demo's customers lie; a street moves it by some hundred metres.
_TOWNS: Final = {
    "riyadh": (24.7136, 46.6753), "jeddah": (21.4858, 39.1925), "dubai": (25.2048, 55.2708),
    "tel aviv": (32.0853, 34.7818), "jerusalem": (31.7683, 35.2137), "haifa": (32.7940, 34.9896),
    "الرياض": (24.7136, 46.6753), "جدة": (21.4858, 39.1925), "دبي": (25.2048, 55.2708), "amman": (31.9539, 35.9106),
    "תל אביב": (32.0853, 34.7818), "ירושלים": (31.7683, 35.2137), "חיפה": (32.7940, 34.9896),
    "san francisco": (37.7749, -122.4194), "london": (51.5074, -0.1278), "berlin": (52.5200, 13.4050),
}  # fmt: skip


@dataclass
class Account:
    """One merchant at EasyPost. `ledger`: (shipment, amount) of every label that was sold, and minus for money back."""

    shipments: dict[str, dict[str, Any]] = field(default_factory=dict)
    pickups: dict[str, dict[str, Any]] = field(default_factory=dict)
    webhooks: dict[str, dict[str, Any]] = field(default_factory=dict)
    ledger: list[tuple[str, str]] = field(default_factory=list)


class Simulator:
    """ASGI app under EasyPost's two names. `calls` are the kinds that were asked, in their order.

    `fail[kind]` is a list of what happens to the next calls: a status, "garbage", "cut" (done, then the wire breaks)
    or "before" (the wire breaks before anything is done). `refunds`: what the next refund answers.
    """

    hosts = frozenset({HOST, FILES})

    def __init__(self, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.accounts: dict[str, Account] = {}
        self.calls: list[str] = []
        self.fail: dict[str, list[int | str]] = {}
        self.refunds = "submitted"
        self._transport = transport
        self._ids = itertools.count(1)
        self._app = Starlette(routes=self._routes())

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._app(scope, receive, send)

    def account(self, key: str = KEY) -> Account:
        """What one key opens."""
        return self.accounts.setdefault(key, Account())

    def _routes(self) -> list[Route]:
        def route(path: str, kind: str, answer: Callable[[Account, Request], Awaitable[Any]], method: str) -> Route:
            async def endpoint(request: Request) -> Response:
                return await self._answer(kind, answer, request)

            return Route(path, endpoint, methods=[method])

        return [
            route("/v2/webhooks", "webhooks", self._webhooks, "GET"),
            route("/v2/webhooks", "subscribe", self._subscribe, "POST"),
            route("/v2/webhooks/{id}", "subscribe", self._resubscribe, "PATCH"),
            route("/v2/addresses", "address", self._address, "POST"),
            route("/v2/shipments", "prepare", self._ship, "POST"),
            route("/v2/shipments/{id}", "find", self._shipment, "GET"),
            route("/v2/shipments/{id}/buy", "buy", self._buy, "POST"),
            route("/v2/shipments/{id}/forms", "form", self._form, "POST"),
            route("/v2/shipments/{id}/refund", "refund", self._refund, "POST"),
            route("/v2/pickups", "prepare_pickup", self._pickup, "POST"),
            route("/v2/pickups/{id}", "find_pickup", self._pickup_of, "GET"),
            route("/v2/pickups/{id}/buy", "book", self._book, "POST"),
            route("/v2/pickups/{id}/cancel", "unbook", self._unbook, "POST"),
            Route("/labels/{name}.pdf", self._label),
            Route("/codes/{name}.png", self._code),
            Route("/_control/{tracking}/{status}", self._control, methods=["POST"]),
        ]

    async def _answer(
        self, kind: str, answer: Callable[[Account, Request], Awaitable[Any]], request: Request
    ) -> Response:
        key = _key(request)
        if not key:
            return _error(401, "APIKEY.INACTIVE", "This api key is no longer active.")
        self.calls.append(kind)
        planned = self.fail.get(kind) or []
        what = planned.pop(0) if planned else None
        if what == "before":
            raise httpx.ReadError("the wire broke")
        if isinstance(what, int):
            headers = {"Retry-After": "1"} if what == 429 else None
            return PlainTextResponse("try again later", what, headers=headers)
        try:
            done = await answer(self.account(key), request)
        except _Refused as error:
            return _error(error.status, error.code, str(error))
        if what == "cut":
            raise httpx.ReadError("the wire broke")
        if what == "garbage":
            return PlainTextResponse("<html>Bad gateway</html>")
        return JSONResponse(done, 201 if request.method == "POST" else 200)

    def _id(self, prefix: str) -> str:
        return f"{prefix}_{next(self._ids):032x}"

    # Webhooks

    async def _webhooks(self, account: Account, request: Request) -> Any:
        hooks = account.webhooks.items()
        return {"webhooks": [{"id": id, "object": "Webhook", "url": one["url"]} for id, one in hooks]}

    async def _subscribe(self, account: Account, request: Request) -> Any:
        told = (await request.json())["webhook"]
        id = self._id("hook")
        account.webhooks[id] = {"url": told["url"], "secret": told.get("webhook_secret", "")}
        return {"id": id, "object": "Webhook", "url": told["url"]}

    async def _resubscribe(self, account: Account, request: Request) -> Any:
        held = account.webhooks.get(request.path_params["id"])
        if held is None:
            raise _Refused(404, "NOT_FOUND", "The requested resource could not be found.")
        held["secret"] = (await request.json())["webhook"].get("webhook_secret", "")
        return {"id": request.path_params["id"], "object": "Webhook", "url": held["url"]}

    # Addresses

    async def _address(self, account: Account, request: Request) -> Any:
        told = (await request.json())["address"]
        where = _TOWNS.get(str(told.get("city", "")).lower())
        details = {}
        if where is not None:
            shift = int(hashlib.sha256(str(told.get("street1")).encode()).hexdigest()[:4], 16) / 65535 * 0.04 - 0.02
            details = {"latitude": where[0] + shift, "longitude": where[1] + shift}
        return {"id": self._id("adr"), "object": "Address", **told,
                "verifications": {"delivery": {"success": where is not None, "details": details}}}  # fmt: skip

    # Parcels

    async def _ship(self, account: Account, request: Request) -> Any:
        told = (await request.json())["shipment"]
        for end in ("to_address", "from_address"):
            if not told.get(end, {}).get("street1") or not told[end].get("country"):
                raise _Refused(422, "ADDRESS.PARAMETERS.INVALID", f"{end} is incomplete.")
        weight = float(told.get("parcel", {}).get("weight") or 0)
        if weight <= 0:
            raise _Refused(422, "PARCEL.WEIGHT.INVALID", "Weight must be greater than zero.")
        id = self._id("shp")
        # Seventy pounds are what the postal carriers take.
        rates = [] if weight > 1120 else [
            {"id": self._id("rate"), "object": "Rate", "carrier": "USPS", "service": service, "currency": "USD",
             "rate": f"{base + weight / 16:.2f}"}
            for service, base in (("Priority", 7.40), ("GroundAdvantage", 5.10))
        ]  # fmt: skip
        messages = [] if rates else [{"carrier": "USPS", "message": "weight exceeds the maximum", "type": "rate_error"}]
        made = {
            "id": id, "object": "Shipment", "reference": told.get("reference"),
            "is_return": bool(told.get("is_return")),
            "to_address": told["to_address"], "from_address": told["from_address"], "parcel": told["parcel"],
            "rates": rates, "messages": messages, "postage_label": None, "selected_rate": None, "tracking_code": None,
            "tracker": None, "forms": [], "refund_status": None,
        }  # fmt: skip
        while len(account.shipments) >= _MOST_HELD:
            account.shipments.pop(next(iter(account.shipments)))
        account.shipments[id] = made
        return made

    def _held(self, account: Account, request: Request) -> dict[str, Any]:
        found = account.shipments.get(request.path_params["id"])
        if found is None:
            raise _Refused(404, "NOT_FOUND", "The requested resource could not be found.")
        return found

    async def _shipment(self, account: Account, request: Request) -> Any:
        return self._held(account, request)

    async def _buy(self, account: Account, request: Request) -> Any:
        held = self._held(account, request)
        if held["postage_label"]:
            raise _Refused(422, "SHIPMENT.POSTAGE.EXISTS", "Postage already exists for this shipment.")
        wanted = ((await request.json()).get("rate") or {}).get("id")
        rate = next((one for one in held["rates"] if one["id"] == wanted), None)
        if rate is None:
            raise _Refused(422, "RATE.NOT_FOUND", "Unable to find rate.")
        tracking = f"94{int(held['id'][4:], 16):020d}"
        account.ledger.append((held["id"], rate["rate"]))
        held |= {
            "selected_rate": rate, "tracking_code": tracking,
            "postage_label": {
                "object": "PostageLabel", "label_url": f"https://{FILES}/labels/{tracking}.pdf",
                "label_pdf_url": f"https://{FILES}/labels/{tracking}.pdf",
            },
            "tracker": {"object": "Tracker", "public_url": f"https://track.easypost.com/{tracking}"},
        }  # fmt: skip
        return held

    async def _form(self, account: Account, request: Request) -> Any:
        held = self._held(account, request)
        kind = (await request.json())["form"]["type"]
        if not held["postage_label"]:
            raise _Refused(422, "SHIPMENT.POSTAGE.REQUIRED", "Postage must be bought first.")
        held["forms"] = [{"object": "Form", "form_type": kind,
                          "form_url": f"https://{FILES}/codes/{held['tracking_code']}.png"}]  # fmt: skip
        return held

    async def _refund(self, account: Account, request: Request) -> Any:
        held = self._held(account, request)
        if not held["postage_label"]:
            raise _Refused(422, "SHIPMENT.REFUND.NOT_PURCHASED", "Only bought shipments can be refunded.")
        if held["refund_status"] in (None, "submitted", "rejected"):
            held["refund_status"] = self.refunds
            if self.refunds == "refunded":
                account.ledger.append((held["id"], f"-{held['selected_rate']['rate']}"))
        return held

    # Pickups

    async def _pickup(self, account: Account, request: Request) -> Any:
        told = (await request.json())["pickup"]
        shipment = account.shipments.get(str((told.get("shipment") or {}).get("id")))
        if shipment is None or not shipment["postage_label"]:
            raise _Refused(422, "PICKUP.SHIPMENT.INVALID", "A pickup needs a bought shipment.")
        if datetime.fromisoformat(told["max_datetime"]) <= datetime.fromisoformat(told["min_datetime"]):
            raise _Refused(422, "PICKUP.WINDOW.INVALID", "max_datetime must be later than min_datetime.")
        id = self._id("pickup")
        account.pickups[id] = {
            "id": id, "object": "Pickup", "status": "unknown", "confirmation": None, "reference": told.get("reference"),
            "min_datetime": told["min_datetime"], "max_datetime": told["max_datetime"], "address": told["address"],
            "pickup_rates": [{"id": self._id("pickuprate"), "object": "PickupRate", "carrier": "USPS",
                              "service": "NextDay", "rate": "0.00", "currency": "USD"}],
        }  # fmt: skip
        return account.pickups[id]

    def _pickup_held(self, account: Account, request: Request) -> dict[str, Any]:
        found = account.pickups.get(request.path_params["id"])
        if found is None:
            raise _Refused(404, "NOT_FOUND", "The requested resource could not be found.")
        return found

    async def _pickup_of(self, account: Account, request: Request) -> Any:
        return self._pickup_held(account, request)

    async def _book(self, account: Account, request: Request) -> Any:
        held = self._pickup_held(account, request)
        if held["status"] == "scheduled":
            raise _Refused(422, "PICKUP.ALREADY.SCHEDULED", "Pickup has already been purchased.")
        held |= {"status": "scheduled", "confirmation": f"WTC{int(held['id'][7:], 16):06d}"}
        return held

    async def _unbook(self, account: Account, request: Request) -> Any:
        held = self._pickup_held(account, request)
        held["status"] = "canceled"
        return held

    # Documents

    async def _label(self, request: Request) -> Response:
        return Response(_label_pdf(request.path_params["name"]), media_type="application/pdf")

    async def _code(self, request: Request) -> Response:
        out = io.BytesIO()
        segno.make(f"EASYPOST {request.path_params['name']}", error="m").save(out, kind="png", scale=8, border=4)
        return Response(out.getvalue(), media_type="image/png")

    # News

    async def _control(self, request: Request) -> Response:
        """The demo's own lever: something happened to a parcel."""
        sent = await self.happened(request.path_params["tracking"], request.path_params["status"])
        return JSONResponse({"sent": sent}, 200 if sent else 404)

    def news(self, tracking: str, status: str, *, at: datetime | None = None) -> tuple[Account, bytes] | None:
        """The event that EasyPost would post about a parcel, and whose it is."""
        at = at or datetime.now(UTC)
        for account in self.accounts.values():
            for shipment in account.shipments.values():
                if shipment["tracking_code"] == tracking:
                    told = {
                        "id": self._id("evt"), "object": "Event", "description": "tracker.updated",
                        "created_at": at.isoformat(),
                        "result": {
                            "id": f"trk_{tracking}", "object": "Tracker", "tracking_code": tracking, "status": status,
                            "shipment_id": shipment["id"], "updated_at": at.isoformat(),
                            "tracking_details": [{"object": "TrackingDetail", "status": status,
                                                  "message": status.replace("_", " "), "datetime": at.isoformat()}],
                        },
                    }  # fmt: skip
                    return account, orjson.dumps(told)
        return None

    async def happened(self, tracking: str, status: str) -> int:
        """Post the news to whoever subscribed; how many took it."""
        found = self.news(tracking, status)
        if found is None:
            return 0
        account, body = found
        taken = 0
        async with httpx.AsyncClient(transport=self._transport, timeout=10) as client:
            for hook in account.webhooks.values():
                headers = {"Content-Type": "application/json", HEADER: signature(hook["secret"], body)}
                answer = await client.post(hook["url"], content=body, headers=headers)
                taken += answer.is_success
        return taken


class _Refused(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


def _error(status: int, code: str, message: str) -> Response:
    return JSONResponse({"error": {"code": code, "message": message, "errors": []}}, status)


def _key(request: Request) -> str:
    kind, _blank, value = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return ""
    try:
        key = base64.b64decode(value).decode().partition(":")[0]
    except ValueError:
        return ""
    return key if key.startswith(("EZTK", "EZAK")) else ""


def _label_pdf(tracking: str) -> bytes:
    """A label of 4 by 6 inches; what is on it is a picture, as with the carriers' own."""
    image = Image.new("1", (800, 1200), 1)
    draw = ImageDraw.Draw(image)
    draw.rectangle((8, 8, 791, 1191), outline=0, width=4)
    draw.text((60, 60), f"USPS  RETURN SERVICE  {tracking}", fill=0)
    bars = bin(int.from_bytes(hashlib.sha256(tracking.encode()).digest()[:20], "big"))[2:].ljust(160, "1")
    for place, bit in enumerate(bars):
        if bit == "1":
            draw.rectangle((80 + place * 4, 500, 82 + place * 4, 800), fill=0)
    out = io.BytesIO()
    image.convert("L").save(out, "PDF", resolution=200)
    return out.getvalue()
