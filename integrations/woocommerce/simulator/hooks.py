"""WooCommerce's webhooks with their habits (platforms.md B1): queued, coalesced, signed, sent once, seven chances."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import Callable
from ipaddress import ip_address
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import httpx

from integrations.woocommerce.simulator import wire
from integrations.woocommerce.simulator.database import Documents, Json
from integrations.woocommerce.simulator.wire import WpError, php_json

AGENT = f"WooCommerce/{wire.VERSION} Hookshot (WordPress/{wire.WORDPRESS})"
HOOKS: dict[str, list[str]] = {
    "coupon.created": ["woocommerce_process_shop_coupon_meta", "woocommerce_new_coupon"],
    "coupon.updated": ["woocommerce_process_shop_coupon_meta", "woocommerce_update_coupon"],
    "coupon.deleted": ["wp_trash_post"],
    "coupon.restored": ["untrashed_post"],
    "customer.created": ["user_register", "woocommerce_created_customer", "woocommerce_new_customer"],
    "customer.updated": ["profile_update", "woocommerce_update_customer"],
    "customer.deleted": ["delete_user"],
    "order.created": ["woocommerce_new_order"],
    "order.updated": ["woocommerce_update_order", "woocommerce_order_refunded"],
    "order.deleted": ["wp_trash_post", "woocommerce_trash_order"],
    "order.restored": ["untrashed_post", "woocommerce_untrash_order"],
    "product.created": ["woocommerce_process_product_meta", "woocommerce_new_product"],
    "product.updated": [
        "woocommerce_process_product_meta",
        "woocommerce_update_product",
        "woocommerce_update_product_variation",
    ],
    "product.deleted": ["wp_trash_post"],
    "product.restored": ["untrashed_post"],
}
MAX_FAILURES = 5
"""`woocommerce_max_webhook_delivery_failures`: a failure beyond it disables, and so the seventh in a row does (B4)."""
KEPT_DELIVERIES = 300


class Hooks:
    """The queue, the deliveries and their log. `trusted` origins are delivered to although they are private."""

    def __init__(
        self,
        documents: Documents,
        *,
        zone: ZoneInfo,
        site: Callable[[], str],
        resource: Callable[[str, int], Json],
        http: httpx.AsyncClient,
        trusted: frozenset[str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._documents = documents
        self._zone = zone
        self._site = site
        self._resource = resource
        self._http = http
        self._trusted = trusted
        self._clock = clock
        self._running = asyncio.Lock()

    def emit(self, topic: str, resource_id: int) -> None:
        """Queue one delivery per active webhook of the topic; one that waits already is not queued twice (B5)."""
        for webhook in self._documents.all("webhook"):
            if webhook["status"] != "active" or webhook["topic"] != topic:
                continue
            job = f"{webhook['id']}:{resource_id}"
            if self._documents.get("job", job) is None:
                self._documents.put("job", job, {"webhook_id": webhook["id"], "resource_id": resource_id})

    async def create(self, wanted: Json, now: str) -> Json:
        """POST webhooks: the ping is on its way while the creator still waits for this answer (B2)."""
        topic, url = str(wanted.get("topic") or ""), str(wanted.get("delivery_url") or "")
        if not _valid_topic(topic):
            raise WpError(
                "woocommerce_rest_invalid_webhook_topic", "Webhook topic must be valid.", 400
            )  # B11: cart.* and checkout.* do not exist
        if not url.startswith(("http://", "https://")):
            raise WpError(
                "woocommerce_rest_invalid_webhook_delivery_url", "Webhook delivery URL must be a valid URL.", 400
            )
        identifier = self._documents.next_id("webhook")
        resource, _, event = topic.partition(".")
        webhook = {
            "id": identifier,
            "name": str(wanted.get("name") or f"Webhook created on {now}"),
            "status": str(wanted.get("status") or "active"),
            "topic": topic,
            "resource": resource,
            "event": event,
            "hooks": HOOKS.get(topic, [event]),
            "delivery_url": url,
            "date_created_gmt": now,
            "date_modified_gmt": now,
            "secret": str(wanted.get("secret") or hashlib.sha256(f"{identifier}{now}".encode()).hexdigest()),
            "failures": 0,
            "owner_can_view": True,
        }
        self._documents.put("webhook", identifier, webhook)
        if webhook["status"] == "active":
            await self._ping(webhook)
        return webhook

    def update(self, webhook_id: int, changes: Json, now: str) -> Json:
        """PUT webhooks/ID. Setting it active again leaves the failure counter where it was (B4)."""
        webhook = self.existing(webhook_id)
        if "topic" in changes:
            topic = str(changes["topic"])
            if not _valid_topic(topic):
                raise WpError("woocommerce_rest_invalid_webhook_topic", "Webhook topic must be valid.", 400)
            resource, _, event = topic.partition(".")
            webhook.update(topic=topic, resource=resource, event=event, hooks=HOOKS.get(topic, [event]))
        for name in ("name", "status", "delivery_url", "secret"):
            if changes.get(name):
                webhook[name] = str(changes[name])
        webhook["date_modified_gmt"] = now
        return self._documents.put("webhook", webhook_id, webhook)

    def delete(self, webhook_id: int, *, force: bool) -> Json:
        """DELETE webhooks/ID works only with force=true (B13)."""
        webhook = self.existing(webhook_id)
        if not force:
            raise WpError("woocommerce_rest_trash_not_supported", "Webhooks do not support trashing.", 501)
        self._documents.delete("webhook", webhook_id)
        return webhook

    def existing(self, webhook_id: int) -> Json:
        """The webhook, or a 404."""
        webhook = self._documents.get("webhook", webhook_id)
        if webhook is None:
            raise WpError("woocommerce_rest_shop_webhook_invalid_id", "Invalid ID.", 404)
        return webhook

    async def run(self) -> int:
        """One turn of the cron: everything that waits, one after another. Returns how many were sent."""
        async with self._running:
            sent = 0
            for key, job in [(f"{job['webhook_id']}:{job['resource_id']}", job) for job in self._documents.all("job")]:
                self._documents.delete("job", key)
                webhook = self._documents.get("webhook", job["webhook_id"])
                if webhook is None or webhook["status"] != "active":
                    continue
                await self._deliver(webhook, int(job["resource_id"]))
                sent += 1
            return sent

    def _body(self, webhook: Json, resource_id: int) -> Json:
        """The body as it is now, not as it was when the event happened (B5); an error object counts as one (B7)."""
        if webhook["event"] == "deleted":
            return {"id": resource_id}
        if not webhook["owner_can_view"]:
            return WpError("woocommerce_rest_cannot_view", "Sorry, you cannot view this resource.", 403).body
        try:
            return self._resource(webhook["resource"], resource_id)
        except WpError as error:
            return error.body

    async def _deliver(self, webhook: Json, resource_id: int) -> None:
        body = php_json(self._body(webhook, resource_id))
        signature = base64.b64encode(hmac.new(webhook["secret"].encode(), body, hashlib.sha256).digest()).decode()
        second = int(self._clock())
        headers = {
            "User-Agent": AGENT,
            "Accept": "*/*",
            "Accept-Encoding": "deflate, gzip, br, zstd",
            "Content-Type": "application/json",
            "X-WC-Webhook-Source": f"{self._site()}/",
            "X-WC-Webhook-Topic": webhook["topic"],
            "X-WC-Webhook-Resource": webhook["resource"],
            "X-WC-Webhook-Event": webhook["event"],
            "X-WC-Webhook-Signature": signature,
            "X-WC-Webhook-ID": str(webhook["id"]),
            # Only the webhook and the second go in: two orders in one run share it (B1).
            "X-WC-Webhook-Delivery-ID": _hash(f"{webhook['id']}{second}"),
            "Connection": "close",
        }
        status, reason = await self._post(webhook["delivery_url"], headers, body)
        self._log(webhook, resource_id, status, reason, headers)
        # The webhook may have been changed or deleted while we waited.
        current = self._documents.get("webhook", webhook["id"])
        if current is None:
            return
        if 200 <= status < 303:
            current["failures"] = 0
        elif current["failures"] > MAX_FAILURES:
            current["status"] = "disabled"
        else:
            current["failures"] += 1
        self._documents.put("webhook", current["id"], current)

    async def _ping(self, webhook: Json) -> None:
        body = f"webhook_id={webhook['id']}".encode()
        headers = {
            "User-Agent": AGENT,
            "Accept": "*/*",
            "Accept-Encoding": "deflate, gzip, br, zstd",
            "Connection": "close",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        status, reason = await self._post(webhook["delivery_url"], headers, body)
        self._log(webhook, 0, status, reason, headers)

    async def _post(self, url: str, headers: dict[str, str], body: bytes) -> tuple[int, str]:
        """The status, or 0 and why it was never sent. No redirects, no second try (B3, B4)."""
        refusal = self._refusal(url)
        if refusal:
            return 0, refusal
        try:
            answer = await self._http.post(url, content=body, headers=headers, timeout=60, follow_redirects=False)
        except httpx.HTTPError as error:
            return 0, type(error).__name__
        return answer.status_code, ""

    def _refusal(self, url: str) -> str:
        """Why `wp_safe_remote_post` would not go there: private hosts and odd ports (B15)."""
        parts = urlsplit(url)
        if f"{parts.scheme}://{parts.netloc}" in self._trusted:
            return ""
        host = parts.hostname or ""
        if parts.port not in (None, 80, 443, 8080):
            return "A valid URL was not provided."
        try:
            private = not ip_address(host).is_global
        except ValueError:
            private = host == "localhost" or host.endswith((".localhost", ".local", ".internal"))
        return "A valid URL was not provided." if private else ""

    def _log(self, webhook: Json, resource_id: int, status: int, reason: str, headers: dict[str, str]) -> None:
        identifier = self._documents.next_id("delivery")
        entry = {
            "id": identifier,
            "webhook_id": webhook["id"],
            "topic": webhook["topic"] if "X-WC-Webhook-Topic" in headers else "ping",
            "resource_id": resource_id,
            "status": status,
            "reason": reason,
            "delivery_id": headers.get("X-WC-Webhook-Delivery-ID", ""),
            "at": int(self._clock()),
        }
        self._documents.put("delivery", identifier, entry)
        self._documents.delete("delivery", identifier - KEPT_DELIVERIES)


def _valid_topic(topic: str) -> bool:
    resource, _, event = topic.partition(".")
    return topic in HOOKS or (resource == "action" and bool(event))


def _hash(text: str) -> str:
    """`wp_hash`: an MD5, which nothing depends on for safety."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
