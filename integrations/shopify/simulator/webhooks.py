"""Signed deliveries as Shopify makes them: at least once, in no order, eight more tries over four hours.

Deliveries are documents, so those that were due when the process died go out after it starts again.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
import uuid

import httpx

from integrations.shopify.simulator import topics
from integrations.shopify.simulator.shop import Shop, compact, gid
from integrations.shopify.simulator.state import Doc

RETRIES = 8
FOUR_HOURS = 4 * 3600.0
# 1 + 2 + … + 128 = 255 shares of four hours, each wait twice the one before (platforms.md A2.3).
RETRY_WAITS = tuple(FOUR_HOURS / 255 * 2**step for step in range(RETRIES))
CONNECT_SECONDS = 1.0
REQUEST_SECONDS = 5.0
KEPT_DELIVERIES = 1000
PARALLEL = 6

log = logging.getLogger(__name__)


class Deliveries:
    """The sender. ``transport`` replaces the network in tests; waiting times shrink by the shop's ``time_scale``."""

    def __init__(self, shop: Shop, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.shop = shop
        self._transport = transport
        self._wake = asyncio.Event()
        self._runner: asyncio.Task[None] | None = None
        self._sending: set[asyncio.Task[None]] = set()
        self._busy: set[str] = set()
        self._due: dict[str, float] = {
            delivery["id"]: delivery["due"]
            for delivery in shop.state.all("deliveries")
            if delivery["status"] == "waiting"
        }
        self._dice = random.Random()  # noqa: S311 - disorder, not secrets

    # --- subscriptions ----------------------------------------------------------------------------------------------

    def emit(self, topic: str, payload: Doc, event_id: str | None = None) -> list[str]:
        """Queues one delivery for every subscription of ``topic``; their ids."""
        if topic not in topics.COMPLIANCE_TOPICS and not self.shop.installed:
            return []
        if not topics.allowed(self.shop, topic):
            return []
        targets: list[tuple[str, str | None, int | None]] = [
            (uri, name, None) for subscribed, uri, name in topics.toml_subscriptions(self.shop) if subscribed == topic
        ]
        targets += [
            (held["uri"], held["name"], held["id"])
            for held in self.shop.state.all("subscriptions")
            if held["topic"] == topics.enum_name(topic)
        ]
        event = event_id or str(uuid.uuid4())
        return [self.queue(topic, payload, uri, name, subscription, event) for uri, name, subscription in targets]

    def queue(
        self, topic: str, payload: Doc, uri: str, name: str | None, subscription: int | None, event_id: str
    ) -> str:
        """Queues one delivery to one address; the body is fixed now, retries repeat it byte for byte."""
        switches = self.switches()
        delay = self._dice.uniform(0, switches["shuffle_seconds"])
        delivery: Doc = {
            "id": str(uuid.uuid4()),
            "topic": topic,
            "event_id": event_id,
            "name": name,
            "subscription": subscription,
            "uri": uri,
            "body": compact(payload).decode(),
            "triggered_at": self.shop.now().isoformat().replace("+00:00", "Z"),
            "attempts": [],
            "copies": 2 if self._dice.random() < switches["duplicates"] else 1,
            "status": "waiting",
            "due": time.time() + delay,
        }
        if self._dice.random() < switches["loss"]:
            delivery["status"] = "lost"
        self._keep(delivery)
        self._prune()
        self.start()
        return str(delivery["id"])

    def _keep(self, delivery: Doc) -> None:
        self.shop.state.put("deliveries", delivery["id"], delivery)
        if delivery["status"] == "waiting":
            self._due[delivery["id"]] = delivery["due"]
        else:
            self._due.pop(delivery["id"], None)
        self._wake.set()

    def _prune(self) -> None:
        over = self.shop.state.count("deliveries") - KEPT_DELIVERIES
        if over > 100:
            done = [held for held in self.shop.state.all("deliveries") if held["status"] != "waiting"]
            for held in done[:over]:
                self.shop.state.delete("deliveries", held["id"])

    # --- switches ---------------------------------------------------------------------------------------------------

    def switches(self) -> dict[str, float]:
        """How unruly deliveries are: shares ``duplicates`` and ``loss`` of 1, ``shuffle_seconds``, ``paused``."""
        return {
            "duplicates": 0.0, "loss": 0.0, "shuffle_seconds": 0.0, "paused": 0.0,
            **self.shop.state.setting("switches", {}),
        }  # fmt: skip

    def set_switches(self, changes: dict[str, float]) -> dict[str, float]:
        self.shop.state.set("switches", {**self.switches(), **changes})
        self._wake.set()
        return self.switches()

    # --- sending ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Starts the sender where a loop runs; without one, deliveries wait."""
        if self._runner is not None and not self._runner.done():
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        self._runner = loop.create_task(self._run())

    async def stop(self) -> None:
        """Stops; what is under way is sent again next time, at least once being the contract."""
        tasks = [*self._sending, *([self._runner] if self._runner else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._runner = None

    async def settled(self, seconds: float = 10.0) -> bool:
        """Waits until nothing is due any more; False when ``seconds`` pass first."""
        end = time.monotonic() + seconds
        while self._due or self._sending:
            if time.monotonic() > end:
                return False
            await asyncio.sleep(0.01)
        return True

    def retry_now(self) -> int:
        """Turns the clock of waiting deliveries to now; how many there were."""
        waiting = [held for held in self.shop.state.all("deliveries") if held["status"] == "waiting"]
        for held in waiting:
            held["due"] = time.time()
            self._keep(held)
        self.start()
        return len(waiting)

    async def _run(self) -> None:
        limits = httpx.Timeout(REQUEST_SECONDS, connect=CONNECT_SECONDS)
        async with httpx.AsyncClient(transport=self._transport, timeout=limits, trust_env=False) as http:
            while True:
                self._wake.clear()
                now = time.time()
                if not self.switches()["paused"]:
                    ready = sorted((due, key) for key, due in self._due.items() if due <= now and key not in self._busy)
                    for _, key in ready[: PARALLEL - len(self._sending)]:
                        self._busy.add(key)
                        task = asyncio.create_task(self._send(http, key))
                        self._sending.add(task)
                        task.add_done_callback(self._sent)
                upcoming = [due for key, due in self._due.items() if key not in self._busy]
                wait = max(0.005, min(upcoming) - time.time()) if upcoming else None
                if len(self._sending) >= PARALLEL or self.switches()["paused"]:
                    wait = None
                try:
                    async with asyncio.timeout(wait):
                        await self._wake.wait()
                except TimeoutError:
                    continue

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        self._wake.set()
        if not task.cancelled() and task.exception() is not None:
            log.error("delivery failed inside the simulator", exc_info=task.exception())

    async def _send(self, http: httpx.AsyncClient, key: str) -> None:
        try:
            delivery = self.shop.state.get("deliveries", key)
            if delivery is None:
                self._due.pop(key, None)
                return
            outcome = await self._attempt(http, delivery)
            for _ in range(delivery["copies"] - 1):
                await self._attempt(http, delivery)
            delivery["attempts"].append(outcome)
            self._settle(delivery, outcome)
        finally:
            self._busy.discard(key)

    async def _attempt(self, http: httpx.AsyncClient, delivery: Doc) -> Doc:
        body = delivery["body"].encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Shopify-Captain-Hook",
            "X-Shopify-Topic": delivery["topic"],
            "X-Shopify-Hmac-Sha256": self.shop.sign_body(body),
            "X-Shopify-Shop-Domain": self.shop.domain,
            "X-Shopify-API-Version": self.shop.config["webhooks"]["api_version"],
            "X-Shopify-Webhook-Id": delivery["id"],
            "X-Shopify-Event-Id": delivery["event_id"],
            "X-Shopify-Triggered-At": delivery["triggered_at"],
        }
        if delivery["name"]:
            headers["X-Shopify-Name"] = delivery["name"]
        began = time.monotonic()
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                answer = await http.post(delivery["uri"], content=body, headers=headers)
            said: int | str = answer.status_code
        except TimeoutError:
            said = "no answer within 5 seconds"
        except httpx.HTTPError as error:
            said = type(error).__name__
        return {"said": said, "milliseconds": round((time.monotonic() - began) * 1000), "at": self.shop.stamp()}

    def _settle(self, delivery: Doc, outcome: Doc) -> None:
        good = isinstance(outcome["said"], int) and 200 <= outcome["said"] < 300
        if good:
            delivery["status"] = "delivered"
            self._count_failures(delivery, reset=True)
        elif len(delivery["attempts"]) > RETRIES:
            delivery["status"] = "failed"
        else:
            wait = RETRY_WAITS[len(delivery["attempts"]) - 1] * self.shop.time_scale
            delivery["due"] = time.time() + wait
        if not good:
            self._count_failures(delivery, reset=False)
        self._keep(delivery)

    def _count_failures(self, delivery: Doc, *, reset: bool) -> None:
        """Eight failures in a row delete a subscription that was made through the API, never one of the TOML."""
        held = self.shop.state.get("subscriptions", delivery["subscription"]) if delivery["subscription"] else None
        if held is None:
            return
        held["failures"] = 0 if reset else held.get("failures", 0) + 1
        if held["failures"] >= RETRIES:
            self.shop.state.delete("subscriptions", held["id"])
            log.info("subscription %s removed after %d failures", gid("WebhookSubscription", held["id"]), RETRIES)
            return
        self.shop.state.put("subscriptions", held["id"], held)
