"""Processes of one installation: their servers, their children, and an end that leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import structlog
import uvicorn

from plugin import bootstrap, worker
from plugin.app import App
from plugin.kernel import embedded
from plugin.kernel.config import Settings
from plugin.kernel.errors import SetupError
from plugin.kernel.signals import PARENT
from plugin.kernel.signals import stop_signal as stop_signal
from plugin.kernel.sockets import Sockets
from plugin.language import place

log = structlog.get_logger(__name__)

_GRACE_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Services:
    """Where PostgreSQL and Valkey are; `owned` when this process started them."""

    database_url: str
    redis_url: str
    owned: bool


@asynccontextmanager
async def services(settings: Settings, *, attach: bool = True) -> AsyncIterator[Services]:
    """The configured servers, those that another process of ours runs in the data directory, or our own.

    With `attach` off a data directory in use is an error that says so.
    """
    if settings.database_url and settings.redis_url:
        yield Services(settings.database_url, settings.redis_url, owned=False)
        return
    running = await embedded.attach(settings.data_dir) if attach else None
    owned = running is None
    servers = running or await embedded.start(settings.data_dir)
    try:
        yield Services(
            settings.database_url or servers.database_url, settings.redis_url or servers.redis_url, owned=owned
        )
    finally:
        await servers.stop()


@asynccontextmanager
async def application(settings: Settings, transport: httpx.AsyncBaseTransport | None = None) -> AsyncIterator[App]:
    """An App for one command."""
    async with (
        services(settings) as found,
        bootstrap.start(
            settings, database_url=found.database_url, redis_url=found.redis_url, transport=transport
        ) as app,
    ):
        yield app


def settle() -> None:
    """Tell the garbage collector that everything loaded so far stays for the life of the process.

    Otherwise it walks all of it again every few thousand objects, which was a third of the worker's time. Batches make
    objects by the ten thousand and no cycles, so it also need not look so often.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


async def run_web(app: App, stop: asyncio.Event) -> None:
    """Serve until `stop` is set. Raises SetupError when the port is taken."""
    settle()
    listening = listen(app.settings.host, app.settings.port)
    config = uvicorn.Config(
        bootstrap.serve(app),
        loop="none",
        http="httptools",
        ws=Sockets,
        # Two windows for every socket would be as much again as the socket, to make messages of a line no shorter.
        ws_per_message_deflate=False,
        ws_max_size=64 * 1024,
        proxy_headers=True,
        forwarded_allow_ips=app.settings.trusted_proxies,
        server_header=False,
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=5,
    )
    server = uvicorn.Server(config)
    # uvicorn's own signal handlers would fight with ours; it has no setting for that, so a method is replaced.
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    server.should_exit = True
    await serving


def listen(host: str, port: int) -> socket.socket:
    """The listening socket. uvicorn's own way ends the whole process without a word of what to do.

    Raises SetupError when the port is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        why = str(error.strerror).partition(" (while")[0]  # Python says again what was attempted
        raise SetupError(
            f"Port {port} of {host} cannot be used ({why}); AHLAN_PORT and AHLAN_HOST choose another."
        ) from error


async def run_worker(app: App, stop: asyncio.Event) -> None:
    """Work until `stop` is set."""
    settle()
    await worker.run(app, stop)


_PAUSE_SECONDS, _LONGEST_PAUSE = 0.25, 15.0


class Child:
    """A process of ours that ends when we do. When it dies on its own it is started again.

    `arguments` begin with the module to run.
    """

    def __init__(self, name: str, arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self.name = name
        self._arguments = arguments
        self._environment = {**os.environ, **(environment or {}), PARENT: "1"}
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def pid(self) -> int | None:
        """The process that runs now."""
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Start it, and again whenever it dies."""
        await self._spawn()
        self._keeper = asyncio.create_task(self._keep())

    async def _spawn(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", *self._arguments, stdin=asyncio.subprocess.PIPE, env=self._environment,
            start_new_session=True,
        )  # fmt: skip

    async def _keep(self) -> None:
        pause = _PAUSE_SECONDS
        while True:
            assert self._process is not None
            began = time.monotonic()
            code = await self._process.wait()
            if self._stopping:
                return
            # One that dies as soon as it starts would otherwise only heat the room.
            pause = _PAUSE_SECONDS if time.monotonic() - began > _LONGEST_PAUSE else min(2 * pause, _LONGEST_PAUSE)
            log.warning("process_restarts", process=self.name, code=code, seconds=pause)
            await asyncio.sleep(pause)
            if self._stopping:
                return
            await self._spawn()

    async def stop(self) -> None:
        """Ask it to end, and make it end when it does not."""
        self._stopping = True
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                async with asyncio.timeout(_GRACE_SECONDS):
                    await process.wait()
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if self._keeper is not None:
            await self._keeper


def language(environment: Mapping[str, str] | None = None) -> Child:
    """The process that holds the models. The only one: it must find its threads counted before it loads them."""
    return Child("language", [place.MODULE], {**(environment or {}), **place.ENVIRONMENT})
