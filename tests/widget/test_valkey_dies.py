"""Valkey is killed under open sockets: everything still arrives, and hints come back with it."""

import asyncio
import contextlib
import subprocess
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from plugin.app import App
from plugin.kernel import embedded
from plugin.realtime import Hub
from plugin.team import Agent


class Valkey:
    """A server of this test's own."""

    def __init__(self, directory: Path) -> None:
        self.socket = directory / "valkey.sock"
        self.process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        command = [
            embedded._valkey_binary(),
            "--port",
            "0",
            "--unixsocket",
            self.socket,
            "--save",
            "",
            "--dir",
            self.socket.parent,
        ]
        self.process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL)
        async with Redis(unix_socket_path=str(self.socket)) as client:
            for _ in range(200):
                try:
                    await client.ping()
                    return
                except (OSError, RedisError):
                    await asyncio.sleep(0.02)
        raise AssertionError("valkey did not start")

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@pytest.fixture
async def valkey_of_its_own(tmp_path: Path) -> AsyncIterator[Valkey]:
    server = Valkey(tmp_path)
    await server.start()
    yield server
    server.kill()


async def test_nothing_is_lost(
    app: App, serve_app: Any, open_browser: Any, answer: Any, valkey_of_its_own: Valkey, noa: Agent
) -> None:
    hub = Hub(f"unix://{valkey_of_its_own.socket}")
    async with serve_app(replace(app, hub=hub)) as site:
        browser = await open_browser(site)
        await browser.say("hello")
        await browser.open()
        async with browser.socket(after=1) as line:
            await line.frame("presence")
            valkey_of_its_own.kill()

            await answer(browser, noa, "into the silence")
            assert (await line.message("into the silence", 6))["seq"] == 2
            await line.send(type="message", client_id=str(uuid4()), text="still here")
            assert (await line.frame("ack"))["message"]["seq"] == 3
            started = time.monotonic()
            assert (await browser.say("and by request"))["seq"] == 4
            assert time.monotonic() - started < 3

            await valkey_of_its_own.start()
            async with asyncio.timeout(30):
                while not hub.live:
                    await asyncio.sleep(0.05)
            started = time.monotonic()
            await answer(browser, noa, "heard at once")
            assert (await line.message("heard at once"))["seq"] == 5
            assert time.monotonic() - started < 1
        assert await browser.texts() == ["hello", "into the silence", "still here", "and by request", "heard at once"]
        await browser.http.aclose()
    await hub.close()


async def test_whoever_comes_after_it_died_while_nobody_listened_hears_again(
    app: App, valkey_of_its_own: Valkey
) -> None:
    """Nobody read the connection then, so nobody saw it go: the next listener's channel must be asked for anew."""
    hub, workspace = Hub(f"unix://{valkey_of_its_own.socket}"), uuid4()
    try:
        async with hub.listen(workspace, "queue") as first, asyncio.timeout(10):
            assert (await first.get())[0] == "hub.resync"
        while hub._pubsub.subscribed:
            await asyncio.sleep(0.02)
        valkey_of_its_own.kill()
        async with hub.listen(workspace, "queue") as second, asyncio.timeout(20):
            await valkey_of_its_own.start()
            heard = ""
            while heard != "queue":
                await hub.publish(workspace, [("queue", {})])
                with contextlib.suppress(TimeoutError):
                    heard, _payload = await asyncio.wait_for(second.get(), 0.2)
    finally:
        await hub.close()
