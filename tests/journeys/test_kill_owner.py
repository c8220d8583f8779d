"""`ahlan serve` alone, as on one machine: it owns PostgreSQL, Valkey and a worker, and is killed with -9.

Started again on the same data directory it comes up, and whatever was acknowledged before or meanwhile is there.
"""

import asyncio
import itertools
import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import httpx
import pytest

from plugin.kernel import crypto, embedded
from plugin.kernel.config import Settings
from plugin.kernel.embedded import Servers
from plugin.processes import Child
from tests.journeys.test_kill import (
    PATIENCE,
    SECRET,
    SETTLED_SECONDS,
    Installation,
    _a_store,
    _answers,
    _every_order_once,
    _until,
    deliver,
)

KILLS = int(os.environ.get("AHLAN_KILL_ROUNDS", "1"))
BETWEEN = 25


async def _up(url: str, data_dir: Path) -> Servers:
    """Wait until everything answers; the servers as somebody else sees them."""
    async with httpx.AsyncClient(base_url=url) as http, asyncio.timeout(PATIENCE):
        while not await _answers(http):
            await asyncio.sleep(0.05)
    servers = await embedded.attach(data_dir)
    assert servers is not None
    return servers


@pytest.fixture
async def alone() -> AsyncIterator[tuple[Installation, Path]]:
    # Not pytest's own folder: it is closed to the servers' user again whenever another run begins.
    data_dir = Path(tempfile.mkdtemp(prefix="ahlan-owner-"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    environment = {
        "AHLAN_DATA_DIR": str(data_dir), "AHLAN_PORT": str(port), "AHLAN_PUBLIC_URL": url,
        "AHLAN_LOG_LEVEL": "warning", "AHLAN_ENCRYPTION_KEYS": "", "DATABASE_URL": "", "REDIS_URL": "",
        "SHOPIFY_API_KEY": "kill-client", "SHOPIFY_API_SECRET": SECRET,
    }  # fmt: skip
    owner = Child("owner", ["plugin", "serve"], environment)
    await owner.start()
    try:
        servers = await _up(url, data_dir)
        made = Installation(servers, {"owner": owner}, url)
        made.store_key = await _a_store(Settings(data_dir, encryption_keys=crypto.local_keys(data_dir)), servers)
        yield made, data_dir
    finally:
        await owner.stop()
        shutil.rmtree(data_dir, ignore_errors=True)


async def test_the_owner_of_everything_is_killed_and_nothing_acknowledged_is_lost(
    alone: tuple[Installation, Path],
) -> None:
    made, data_dir = alone
    numbers = itertools.count(1)
    world = [asyncio.create_task(deliver(made, numbers)) for _ in range(2)]
    for _ in range(KILLS):
        taken = len(made.orders)
        await _until(lambda taken=taken: len(made.orders) >= taken + BETWEEN, PATIENCE, "nothing is taken")
        before, postgres = made.pid("owner"), made.servers.postgres_pid
        assert before is not None
        os.kill(before, signal.SIGKILL)
        await _until(lambda before=before: made.pid("owner") not in (None, before), PATIENCE, "not started again")
        made.servers = await _up(made.url, data_dir)
        assert made.servers.postgres_pid != postgres, "its own servers, not the dead one's"
    taken = len(made.orders)
    await _until(lambda: len(made.orders) >= taken + BETWEEN, PATIENCE, "nothing is taken after the owner died")
    made.over.set()
    await asyncio.gather(*world)
    database = await asyncpg.connect(made.servers.database_url)
    try:
        deadline = time.monotonic() + SETTLED_SECONDS
        while await database.fetchval("SELECT count(*) FROM webhook_inbox WHERE done_at IS NULL AND parked_at IS NULL"):
            assert time.monotonic() < deadline, "webhooks still wait"
            await asyncio.sleep(0.1)
        await _every_order_once(database, made)
    finally:
        await database.close()
