"""From the inbox to the CRM: set-based batches against one transaction a row, with 1 and with 200 stores.

Bar: at least forty times the rows a second of row by row in the same run.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import orjson
import uvloop

from benchmarks.ingest import order
from benchmarks.measure import median, ratio
from plugin import bootstrap, processes, stores, workspaces
from plugin.app import App
from plugin.crm import sync
from plugin.kernel import crypto, embedded
from plugin.kernel.config import Settings
from plugin.platform import StoreProfile
from plugin.stores import Store
from webhooks import handlers
from webhooks.receiver import Inbox, Row

ROWS = int(os.environ.get("BENCH_ROWS", "10000"))
SINGLE = int(os.environ.get("BENCH_SINGLE", "400"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
STORES = (1, 200)
_number = 0


async def main() -> int:
    """Measure and print."""
    data = Path(tempfile.mkdtemp(prefix="ahlan-bench-"))
    servers = await embedded.start(data)
    settings = Settings(data_dir=data, encryption_keys=(crypto.new_master_key("bench"),))
    try:
        async with bootstrap.start(settings, database_url=servers.database_url, redis_url=servers.redis_url) as app:
            connected = [await connect(app, number) for number in range(max(STORES))]
            processes.settle()
            good = True
            for count in STORES:
                good &= await compare(app, connected[:count])
            return 0 if good else 1
    finally:
        await servers.stop()
        shutil.rmtree(data, ignore_errors=True)


async def connect(app: App, number: int) -> tuple[UUID, Store]:
    """A workspace with one store, as a stranger's shop would be."""
    workspace_id = workspaces.new_workspace_id()
    async with app.db.transaction(workspace_id) as tx:
        await workspaces.create(tx, f"Shop {number}")
        profile = StoreProfile(f"Shop {number}", "https://shop.example", (), "ILS", 2, "UTC", "en")
        store = await stores.connect(
            tx, platform="shopify", external_id=f"bench-{number}.myshopify.com", profile=profile
        )
    return workspace_id, store


async def compare(app: App, connected: list[tuple[UUID, Store]]) -> bool:
    """Both ways in turn, three rounds, medians."""
    single, batched = [], []
    for _ in range(ROUNDS):
        single.append(SINGLE / await seconds(lambda: row_by_row(app, connected, SINGLE)))
        await fill(app, connected, ROWS)
        batched.append(ROWS / await seconds(lambda: drain(app)))
        print(
            f"  {len(connected)} store(s): row by row {single[-1]:6.0f} rows/s, batches {batched[-1]:6.0f} rows/s",
            flush=True,
        )
    suffix = "" if len(connected) == 1 else f"_{len(connected)}_stores"
    return ratio(f"crm_rows_batched_to_row_by_row{suffix}", median(batched) / median(single), ">=", 40)


async def seconds(work: Callable[[], Awaitable[None]]) -> float:
    """How long it takes."""
    started = time.perf_counter()
    await work()
    return time.perf_counter() - started


def next_body() -> bytes:
    """A new order; three in four of its kind are new customers' too."""
    global _number
    _number += 1
    return order(_number)


async def row_by_row(app: App, connected: list[tuple[UUID, Store]], count: int) -> None:
    """What a handler per webhook does: read one, write one, commit one."""
    for number in range(count):
        workspace_id, store = connected[number % len(connected)]
        records = app.platforms["shopify"].read_webhook("orders/updated", next_body(), datetime.now(UTC))
        async with app.db.transaction(workspace_id) as tx:
            await sync.apply(tx, store, records)


async def fill(app: App, connected: list[tuple[UUID, Store]], count: int) -> None:
    """Put deliveries of all stores into the inbox, mixed."""

    async def silent() -> None:
        """No worker listens."""

    inbox = Inbox(app.queue_url, silent)
    head = orjson.dumps({"triggered_at": "2026-11-02T08:00:00+00:00"}).decode()

    def row(number: int) -> Row:
        _, store = connected[number % len(connected)]
        body = next_body()
        return ("shopify", f"bench-{_number}", "store", f"shopify:{store.external_id}", "orders/updated", body, head)

    await asyncio.gather(*(inbox.put(row(number)) for number in range(count)))
    await inbox.close()


async def drain(app: App) -> None:
    """What a worker does."""
    await handlers.drain(app)


if __name__ == "__main__":
    sys.exit(uvloop.run(main()))
