"""EasyPost behind the carrier port: one account, a hundred carriers (https://docs.easypost.com/docs)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

import orjson

from integrations.easypost import mapping
from integrations.easypost.client import Client
from plugin.carrier import Can, Label, Movement, Offer, Pickup, Place, Voided, Wanted
from plugin.kernel.http import Http
from plugin.platform import PlatformError

T = TypeVar("T")


class EasyPost:
    """See the port."""

    kind = "easypost"
    can = frozenset(Can)

    def __init__(self, http: Http) -> None:
        self._client = Client(http)

    async def check(self, key: str) -> None:
        """See the port: webhooks are the smallest thing that every key may read."""
        await self._client.call(key, "GET", "webhooks")

    async def subscribe(self, key: str, url: str, secret: str) -> None:
        """See the port. EasyPost would post twice to an address that it is told twice."""
        held = (await self._client.call(key, "GET", "webhooks")).get("webhooks") or ()
        known = next((one for one in held if one.get("url") == url), None)
        if known is not None:
            body = {"webhook": {"webhook_secret": secret}}
            await self._client.call(key, "PATCH", f"webhooks/{known['id']}", body)
            return
        await self._client.call(key, "POST", "webhooks", {"webhook": {"url": url, "webhook_secret": secret}})

    async def prepare(self, key: str, wanted: Wanted) -> Offer:
        """See the port. A shipment without postage costs nothing and is forgotten by itself."""
        told = await self._client.call(key, "POST", "shipments", mapping.shipment(wanted))
        found = _understood(lambda: mapping.offer(told, wanted.services))
        if found is None:
            said = "; ".join(str(one.get("message")) for one in (told.get("messages") or ())[:3])
            raise PlatformError(said[:300] or "nobody carries this parcel", retry=False, code="no_rate")
        return found

    async def buy(self, key: str, offer: Offer) -> Label:
        """See the port. EasyPost refuses to sell postage for one shipment twice; then what it sold is read."""
        try:
            told = await self._client.call(
                key, "POST", f"shipments/{offer.external_id}/buy", {"rate": {"id": offer.rate}}
            )
        except PlatformError as error:
            if "POSTAGE" not in error.code:
                raise
            found = await self.find(key, offer.external_id)
            if found is None:
                raise
            return found
        found = _understood(lambda: mapping.label(told), lost=True)
        if found is None:
            raise PlatformError("EasyPost did not say what it sold", retry=True, code="garbage", lost=True)
        return found

    async def find(self, key: str, external_id: str) -> Label | None:
        """See the port."""
        told = await self._client.call(key, "GET", f"shipments/{external_id}")
        return _understood(lambda: mapping.label(told))

    async def document(self, url: str) -> bytes:
        """See the port."""
        return await self._client.document(url)

    async def code(self, key: str, external_id: str) -> str:
        """See the port. Not every carrier has one: then EasyPost refuses the form."""
        try:
            told = await self._client.call(
                key, "POST", f"shipments/{external_id}/forms", {"form": {"type": "label_qr_code"}}
            )
        except PlatformError as error:
            if error.retry or error.reauthorize:
                raise
            return ""
        return mapping.code(told)

    async def void(self, key: str, external_id: str) -> Voided:
        """See the port: asking again answers how far it is."""
        told = await self._client.call(key, "POST", f"shipments/{external_id}/refund")
        return mapping.REFUNDS.get(str(told.get("refund_status")), Voided.ASKED)

    async def prepare_pickup(
        self, key: str, external_id: str, at: Place, window: tuple[datetime, datetime], reference: str
    ) -> Pickup:
        """See the port."""
        told = await self._client.call(key, "POST", "pickups", {
            "pickup": {
                "address": mapping.address(at), "shipment": {"id": external_id}, "reference": reference,
                "min_datetime": window[0].isoformat(), "max_datetime": window[1].isoformat(),
                "is_account_address": False,
            }
        })  # fmt: skip
        found = _understood(lambda: mapping.pickup(told))
        if not found.service:
            raise PlatformError("no courier comes there on that day", retry=False, code="no_rate")
        return found

    async def book_pickup(self, key: str, pickup: Pickup) -> Pickup:
        """See the port."""
        body = {"carrier": pickup.carrier, "service": pickup.service}
        told = await self._client.call(key, "POST", f"pickups/{pickup.external_id}/buy", body)
        return _understood(lambda: mapping.pickup(told), lost=True)

    async def find_pickup(self, key: str, external_id: str) -> Pickup:
        """See the port."""
        told = await self._client.call(key, "GET", f"pickups/{external_id}")
        return _understood(lambda: mapping.pickup(told))

    async def cancel_pickup(self, key: str, external_id: str) -> None:
        """See the port."""
        try:
            await self._client.call(key, "POST", f"pickups/{external_id}/cancel")
        except PlatformError as error:
            if error.retry or error.reauthorize:
                raise

    async def locate(self, key: str, place: Place) -> tuple[float, float] | None:
        """See the port."""
        told = await self._client.call(key, "POST", "addresses", {"address": mapping.address(place), "verify": True})
        return mapping.located(told)

    def read(self, body: bytes) -> Sequence[Movement]:
        """See the port."""
        return mapping.movements(orjson.loads(body))


def _understood(read: Callable[[], T], *, lost: bool = False) -> T:
    """What an answer says. One that says something else is trouble of theirs; the deed may be done all the same."""
    try:
        return read()
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise PlatformError("EasyPost answered with something else", retry=True, code="garbage", lost=lost) from error
