"""Chat against socket.io: both authenticate, commit one numbered INSERT, publish through Valkey, in two processes.

Shopper and agent of a conversation are connected to different processes. Bars: CPU a message at most socket.io's, half
of the messages there within 1.3 times its time, fan-out to 1 000 sockets within 1.4 times, a socket at most 30 KB.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import asyncpg
import psutil
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.measure import cpu_seconds, free_port, median, paired, process, python, ratio
from benchmarks.peers import chat_work
from plugin.kernel import embedded

SECRET = "bench-secret"
TALKS = int(os.environ.get("BENCH_TALKS", "100"))
MESSAGES = int(os.environ.get("BENCH_MESSAGES", "2400"))
RATE = 400
CROWD = int(os.environ.get("BENCH_CROWD", "1000"))
CALLS = 15
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))


class Wire(Protocol):
    """How a client speaks to a server."""

    async def open(self, port: int, talk: str) -> ClientConnection:
        """A socket that is in the conversation."""

    def said(self, frame: dict[str, str]) -> str:
        """A message on its way."""

    def heard(self, text: str) -> dict[str, Any] | None:
        """The message in a frame, if it is one."""


class Ours:
    """JSON frames."""

    async def open(self, port: int, talk: str) -> ClientConnection:
        address = f"ws://127.0.0.1:{port}/chat?talk={talk}&token={chat_work.token(talk)}"
        return await connect(address, compression=None, ping_interval=None)

    def said(self, frame: dict[str, str]) -> str:
        return json.dumps(frame)

    def heard(self, text: str) -> dict[str, Any] | None:
        found: dict[str, Any] = json.loads(text)
        # "Look into the table": where messages are numbered one by one nothing is missing yet.
        return found or None


class SocketIo:
    """Engine.IO 4 by hand: the client must not be what is measured
    (https://socket.io/docs/v4/socket-io-protocol/)."""

    async def open(self, port: int, talk: str) -> ClientConnection:
        address = f"ws://127.0.0.1:{port}/socket.io/?EIO=4&transport=websocket"
        socket = await connect(address, compression=None, ping_interval=None)
        assert str(await socket.recv()).startswith("0")
        await socket.send("40" + json.dumps({"talk": talk, "token": chat_work.token(talk)}))
        assert str(await socket.recv()).startswith("40")
        return socket

    def said(self, frame: dict[str, str]) -> str:
        return "42" + json.dumps(["message", frame])

    def heard(self, text: str) -> dict[str, Any] | None:
        if not text.startswith("42"):
            return None
        found: dict[str, Any] = json.loads(text[2:])[1]
        return found


@dataclass(frozen=True, slots=True)
class Server:
    """Two processes and how to speak to them."""

    wire: Wire
    ports: tuple[int, int]
    trees: tuple[psutil.Process, psutil.Process]

    def cpu(self) -> float:
        """Seconds of both so far."""
        return sum(cpu_seconds(tree) for tree in self.trees)

    def memory(self) -> int:
        """Bytes of both that nobody shares."""
        return sum(tree.memory_full_info().uss for tree in self.trees)


@asynccontextmanager
async def sockets(server: Server, talks: Sequence[str], side: int) -> AsyncIterator[list[ClientConnection]]:
    """One socket per conversation, at one of the two processes."""
    opened: list[ClientConnection] = []
    try:
        for begin in range(0, len(talks), 50):
            opened += await asyncio.gather(
                *(server.wire.open(server.ports[side], talk) for talk in talks[begin : begin + 50])
            )
        yield opened
    finally:
        await asyncio.gather(*(one.close() for one in opened), return_exceptions=True)


async def listen(server: Server, socket: ClientConnection, told: Callable[[dict[str, Any]], None]) -> None:
    """Pass on what arrives, answer engine.io's pings."""
    async for text in socket:
        if text == "2":
            await socket.send("3")
        elif (message := server.wire.heard(str(text))) is not None:
            told(message)


async def conversation(server: Server, talks: Sequence[str]) -> tuple[float, float]:
    """CPU µs a message, and the median time (ms) from a shopper's send to the agent's receipt."""
    sent: dict[str, float] = {}
    took: list[float] = []
    done = asyncio.Event()

    def told(message: dict[str, Any]) -> None:
        took.append(time.perf_counter() - sent[message["client_id"]])
        if len(took) == MESSAGES:
            done.set()

    async with sockets(server, talks, 0) as shoppers, sockets(server, talks, 1) as agents:
        listeners = [asyncio.create_task(listen(server, one, told)) for one in agents]
        listeners += [asyncio.create_task(listen(server, one, lambda _message: None)) for one in shoppers]
        gc.collect()
        before, begun = server.cpu(), time.perf_counter()
        for number in range(MESSAGES):
            await asyncio.sleep(max(0.0, begun + number / RATE - time.perf_counter()))
            client_id = str(uuid4())
            sent[client_id] = time.perf_counter()
            await shoppers[number % len(shoppers)].send(
                server.wire.said({"client_id": client_id, "text": "أين طلبي رقم 1042؟"})
            )
        await asyncio.wait_for(done.wait(), 60)
        used = server.cpu() - before
        for one in listeners:
            one.cancel()
    return used / MESSAGES * 1e6, median(took) * 1000


async def fan_out(server: Server, talk: str) -> tuple[float, float]:
    """The median time (ms) until the last of a crowd has a message, and bytes a socket."""
    heard = 0
    everybody = asyncio.Event()

    def told(_message: dict[str, Any]) -> None:
        nonlocal heard
        heard += 1
        if heard % CROWD == 0:
            everybody.set()

    # The first socket of a process also pays for its database connections.
    async with sockets(server, [talk], 0), sockets(server, [talk], 1):
        empty = server.memory()
    async with sockets(server, [talk] * (CROWD // 2), 0) as here, sockets(server, [talk] * (CROWD // 2), 1) as there:
        full = server.memory()
        listeners = [asyncio.create_task(listen(server, one, told)) for one in (*here, *there)]
        times = []
        for _call in range(CALLS):
            everybody.clear()
            begun = time.perf_counter()
            await here[0].send(server.wire.said({"client_id": str(uuid4()), "text": "status"}))
            await asyncio.wait_for(everybody.wait(), 60)
            times.append(time.perf_counter() - begun)
        for one in listeners:
            one.cancel()
    return median(times) * 1000, (full - empty) / CROWD


async def compare(servers: dict[str, Server], database_url: str) -> bool:
    """Everybody in turn, so that noise hits all alike."""
    talks = [str(uuid4()) for _ in range(TALKS)]
    crowd = str(uuid4())
    connection = await asyncpg.connect(database_url)
    await connection.executemany("INSERT INTO bench_talks (id) VALUES ($1)", [(one,) for one in (*talks, crowd)])
    await connection.close()
    seen: dict[str, list[tuple[float, ...]]] = {name: [] for name in servers}
    for number in range(ROUNDS):
        for name, server in servers.items():
            last, size = await fan_out(server, crowd)
            cpu, half = await conversation(server, talks)
            seen[name].append((cpu, half, last, size))
            print(f"  round {number + 1} {name:<10} {cpu:6.0f} µs CPU a message, half within {half:6.2f} ms, "
                  f"{CROWD} sockets told in {last:6.1f} ms, {size / 1024:5.1f} KB a socket", flush=True)  # fmt: skip
    ours, theirs = (list(zip(*seen[name], strict=True)) for name in ("ahlan", "socket.io"))
    good = ratio("chat_cpu_to_socketio", paired(ours[0], theirs[0]), "<=", 1.0)
    good &= ratio("chat_half_within_to_socketio", paired(ours[1], theirs[1]), "<=", 1.3)
    good &= ratio("chat_fan_out_to_socketio", paired(ours[2], theirs[2]), "<=", 1.4)
    # The first round's: later ones take again what the allocator kept.
    return good & ratio("chat_kilobytes_a_socket", ours[3][0] / 1024, "<=", 30)


def main() -> int:
    """Measure and print."""
    data = Path(tempfile.mkdtemp(prefix="ahlan-bench-"))
    servers = asyncio.run(embedded.start(data))
    os.environ["BENCH_SECRET"] = SECRET
    environment = {"BENCH_DATABASE_URL": servers.database_url, "BENCH_REDIS_URL": servers.redis_url}
    uvicorn = [python(), "-m", "uvicorn", "--loop", "uvloop", "--http", "httptools", "--factory",
               "--ws-per-message-deflate", "false", "--no-access-log", "--log-level", "error"]  # fmt: skip
    # The socket protocol that each side is carried by: ours is what `ahlan serve` gives uvicorn.
    protocols = {"ahlan": "plugin.kernel.sockets:Sockets", "socket.io": "websockets-sansio"}

    async def prepare() -> None:
        connection = await asyncpg.connect(servers.database_url)
        await connection.execute(chat_work.SCHEMA)
        await connection.close()

    try:
        asyncio.run(prepare())
        with ExitStack() as stack:
            made = {}
            for name, wire, module in (("ahlan", Ours(), "chat_ours"), ("socket.io", SocketIo(), "chat_socketio")):
                ports = free_port(), free_port()
                first, second = (
                    stack.enter_context(
                        process(
                            [
                                *uvicorn,
                                "--ws",
                                protocols[name],
                                "--port",
                                str(port),
                                f"benchmarks.peers.{module}:application",
                            ],
                            port,
                            environment,
                        )
                    )
                    for port in ports
                )
                made[name] = Server(wire, ports, (first, second))
            return 0 if asyncio.run(compare(made, servers.database_url)) else 1
    finally:
        asyncio.run(servers.stop())
        shutil.rmtree(data, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
