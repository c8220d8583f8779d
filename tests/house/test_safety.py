"""What keeps an installation safe beyond its rooms: TLS only, metrics for nobody else, nothing slow or left behind."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis
from sqlalchemy import text
from structlog.testing import capture_logs

from plugin import bootstrap, doctor
from plugin.app import App
from plugin.kernel import jobs

LOOPBACK = ("127.0.0.1", 5000)


def browser(app: App, client: tuple[str, int] = LOOPBACK, **settings: Any) -> httpx.AsyncClient:
    served = bootstrap.serve(replace(app, settings=replace(app.settings, **settings)))
    transport = httpx.ASGITransport(served, client=client)
    return httpx.AsyncClient(transport=transport, base_url=app.settings.public_url)


@pytest.mark.parametrize("path", ["/healthz", "/sign-in", "/nothing/here", "/widget/loader.js"])
async def test_over_https_browsers_are_told_to_stay_there(app: App, path: str) -> None:
    async with browser(app, public_url="https://support.example") as http:
        assert (await http.get(path)).headers["strict-transport-security"] == "max-age=31536000"
    async with browser(app) as http:
        assert "strict-transport-security" not in (await http.get(path)).headers


@pytest.mark.parametrize(
    ("client", "set_up", "headers", "status"),
    [
        (LOOPBACK, {}, {}, 200),
        (("203.0.113.9", 5000), {}, {}, 404),
        (LOOPBACK, {}, {"x-forwarded-for": "127.0.0.1"}, 404),
        (LOOPBACK, {}, {"via": "1.1 proxy"}, 404),
        (LOOPBACK, {"public_url": "https://support.example"}, {}, 404),
        (LOOPBACK, {"metrics_token": "right"}, {}, 404),
        (LOOPBACK, {"metrics_token": "right"}, {"authorization": "Bearer wrong"}, 404),
        (
            ("203.0.113.9", 5000),
            {"metrics_token": "right", "public_url": "https://support.example"},
            {"authorization": "Bearer right", "x-forwarded-for": "203.0.113.9"},
            200,
        ),
    ],
    ids=["here", "elsewhere", "forwarded", "via", "a proxy that says nothing", "no token", "wrong token", "token"],
)
async def test_metrics_are_for_this_machine_or_the_tokens_holder(
    app: App, client: tuple[str, int], set_up: dict[str, str], headers: dict[str, str], status: int
) -> None:
    async with browser(app, client, **set_up) as http:
        answer = await http.get("/metrics", headers=headers)
    assert answer.status_code == status
    assert ("ahlan_jobs" in answer.text) is (status == 200)


def test_no_password_is_hashed_before_somebody_signs_in() -> None:
    """It takes a fifth of a second, and every command of `ahlan` imports the panel."""
    program = (
        "import argon2\n"
        "def hashed(*_): raise SystemExit('hashed at import')\n"
        "argon2.PasswordHasher.hash = hashed\n"
        "import admin_ui.auth"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


async def test_doctor_notices_a_pooler_that_lends_per_transaction(app: App) -> None:
    assert (await doctor._pooling(app.db.app)).ok

    class Pooled:
        """Both clients end up at one server process, as behind a pooler in transaction mode."""

        @asynccontextmanager
        async def connect(self) -> AsyncIterator[Any]:
            yield connection

    async with app.db.app.connect() as connection:
        found = await doctor._pooling(Pooled())
    assert not found.ok
    assert "session pooling" in found.remedy


async def test_a_worker_that_stops_warns_of_nothing(app: App, redis_url: str, valkey: Redis) -> None:
    # What other tests left to do is not this worker's: it knows no task.
    async with app.db.queue.begin() as connection:
        await connection.execute(text("UPDATE jobs SET done_at = now() WHERE done_at IS NULL"))
    stop = asyncio.Event()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        running = asyncio.create_task(jobs.run_worker(lambda: jobs.worker(redis_url, app.db, app, {}, bells={}), stop))
        async with asyncio.timeout(30):
            while not await valkey.exists("arq:queue:health-check"):
                await asyncio.sleep(0.05)
        stop.set()
        await running
    assert [str(one.message) for one in said if "close" in str(one.message)] == []


async def test_who_leaves_in_the_middle_of_a_question_is_no_fault_of_ours(app: App) -> None:
    served = bootstrap.serve(app)
    begun = [{"type": "http.request", "body": b"email=", "more_body": True}, {"type": "http.disconnect"}]
    sent: list[Any] = []

    async def receive() -> Any:
        return begun.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/x-www-form-urlencoded"), (b"content-length", b"60")]
    scope = {
        "type": "http", "method": "POST", "path": "/sign-in", "raw_path": b"/sign-in", "query_string": b"",
        "headers": [(b"host", b"localhost"), *headers], "scheme": "http", "client": LOOPBACK,
        "server": ("localhost", 80), "http_version": "1.1", "root_path": "", "asgi": {"version": "3.0"},
    }  # fmt: skip
    with capture_logs() as logs:
        await served(scope, receive, send)
    assert [message["status"] for message in sent if message["type"] == "http.response.start"] in ([], [400])
    assert "unhandled" not in {entry["event"] for entry in logs}
