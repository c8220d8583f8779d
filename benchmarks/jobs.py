"""Picking a job up: from the end of the transaction that asked for it to the first line of its task, as a p50.

The baseline is arq as it comes (a poll every half second), in the same process and on the same Valkey, from the end of
its `enqueue_job` to the first line of its function. Ours does more on the way: it leases the job's row first. Bar: at
most a fiftieth.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

from arq import create_pool
from arq.connections import RedisSettings
from arq.worker import Worker, func

from benchmarks.measure import median, ratio
from plugin import bootstrap, workspaces
from plugin.app import App
from plugin.kernel import crypto, embedded, jobs
from plugin.kernel.config import Settings
from plugin.reactions import TASKS

SAMPLES = int(os.environ.get("BENCH_SAMPLES", "20"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
_QUEUE = "bench:queue"

Probe = Callable[[], Awaitable[float]]


async def main() -> int:
    """Measure and print."""
    data = Path(tempfile.mkdtemp(prefix="ahlan-bench-"))
    servers = await embedded.start(data)
    settings = Settings(data_dir=data, encryption_keys=(crypto.new_master_key("bench"),))
    try:
        async with bootstrap.start(settings, database_url=servers.database_url, redis_url=servers.redis_url) as app:
            workspace_id = workspaces.new_workspace_id()
            async with app.db.transaction(workspace_id) as tx:
                await workspaces.create(tx, "Shop")
            return 0 if await compare(app, workspace_id, servers.redis_url) else 1
    finally:
        await servers.stop()
        shutil.rmtree(data, ignore_errors=True)


async def compare(app: App, workspace_id: UUID, redis_url: str) -> bool:
    """Both workers up, probed in turn."""
    started: asyncio.Queue[float] = asyncio.Queue()

    async def probe(app: App, workspace_id: UUID) -> None:
        started.put_nowait(time.perf_counter())

    async def answer(ctx: dict[str, Any]) -> None:
        started.put_nowait(time.perf_counter())

    own = jobs.worker(redis_url, app.db, app, {**TASKS, "probe": probe}, bells={})
    redis = RedisSettings.from_dsn(redis_url)
    plain = Worker(
        functions=[func(answer, name="answer")], redis_settings=redis, queue_name=_QUEUE, handle_signals=False
    )
    pool = await create_pool(redis)

    async def ours() -> float:
        async with app.db.transaction(workspace_id) as tx:
            await tx.enqueue("probe")
        asked = time.perf_counter()
        return await started.get() - asked

    async def arq() -> float:
        await pool.enqueue_job("answer", _queue_name=_QUEUE)
        asked = time.perf_counter()
        return await started.get() - asked

    running = [asyncio.create_task(worker.async_run()) for worker in (own, plain)]
    seen: dict[str, list[float]] = {"ahlan": [], "arq": []}
    try:
        # The first runs open connections.
        await ours()
        await arq()
        for _ in range(ROUNDS):
            for name, way in (("ahlan", ours), ("arq", arq)):
                seen[name] += [await probed(way) for _ in range(SAMPLES)]
                print(f"  {name:<6} picked up after {median(seen[name][-SAMPLES:]) * 1000:6.1f} ms", flush=True)
    finally:
        for task in running:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await own.close()
        await plain.close()
        await pool.aclose()
    return ratio("jobs_pickup_to_arq_default", median(seen["ahlan"]) / median(seen["arq"]), "<=", 0.02)


async def probed(way: Probe) -> float:
    """One job, at a moment that no poll is in step with."""
    await asyncio.sleep(random.uniform(0, 0.5))
    return await way()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
