"""Shared by the scripts: processes under test, their CPU time, a load of keep-alive requests, the RATIO line."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Measured:
    """One round: CPU of the process tree in µs a request, and requests a second."""

    cpu: float
    rate: float


def ratio(name: str, value: float, operator: str, bar: float) -> bool:
    """Print one line and say whether the bar is met."""
    passed = value <= bar if operator == "<=" else value >= bar
    print(f"RATIO {name} {value:.3g} bar {operator} {bar:g} {'PASS' if passed else 'FAIL'}", flush=True)
    return passed


def median(values: Sequence[float]) -> float:
    """The middle one: shared machines have outliers."""
    return statistics.median(values)


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def process(
    command: Sequence[str], port: int, environment: Mapping[str, str] | None = None
) -> Iterator[psutil.Process]:
    """Run a server until it answers on `port`, and end it with all its children."""
    running = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **(environment or {})})
    tree = psutil.Process(running.pid)
    try:
        for _ in range(300):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
                break
            if running.poll() is not None:
                raise SystemExit(f"{' '.join(command)} ended with {running.returncode}")
            time.sleep(0.1)
        yield tree
    finally:
        family = [tree, *tree.children(recursive=True)] if tree.is_running() else []
        for member in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.terminate()
        _, alive = psutil.wait_procs(family, timeout=5)
        for member in alive:
            member.kill()
        running.wait()


def cpu_seconds(tree: psutil.Process) -> float:
    """User and system time of a process and its children so far."""
    total = 0.0
    for member in (tree, *tree.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = member.cpu_times()
            total += times.user + times.system
    return total


async def load(port: int, requests: Sequence[bytes], connections: int, expect: bytes = b" 200 ") -> None:
    """Send every raw request over keep-alive connections; any other status than the expected one is an error."""
    waiting = iter(requests)

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for request in waiting:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if expect not in head[:20]:
                raise SystemExit(f"unexpected answer: {head[:200]!r}")
            if b"chunked" in head.lower():
                while (await reader.readline()).strip() != b"0":
                    pass
                await reader.readline()
            else:
                length = next(
                    (
                        int(line.split(b":")[1])
                        for line in head.lower().split(b"\r\n")
                        if line.startswith(b"content-length")
                    ),
                    0,
                )
                if length:
                    await reader.readexactly(length)
        writer.close()

    await asyncio.gather(*(one() for _ in range(connections)))


def round_of(tree: psutil.Process, port: int, requests: Sequence[bytes], connections: int = 64) -> Measured:
    """Load a running server once and say what it took."""
    before, started = cpu_seconds(tree), time.perf_counter()
    asyncio.run(load(port, requests, connections))
    elapsed, used = time.perf_counter() - started, cpu_seconds(tree) - before
    return Measured(cpu=used / len(requests) * 1e6, rate=len(requests) / elapsed)


def interleaved(rounds: int, work: Mapping[str, Callable[[], Measured]]) -> dict[str, list[Measured]]:
    """Run everybody once a round, so that noise hits all alike."""
    seen: dict[str, list[Measured]] = {name: [] for name in work}
    for number in range(rounds):
        for name, measure in work.items():
            latest = measure()
            seen[name].append(latest)
            print(
                f"  round {number + 1} {name:<12} {latest.cpu:7.0f} µs CPU a request {latest.rate:8.0f} requests/s",
                flush=True,
            )
    return seen


def paired(numerators: Sequence[float], denominators: Sequence[float]) -> float:
    """The median of each round's own ratio: a machine that is slow for a while is slow for both."""
    return median([one / other for one, other in zip(numerators, denominators, strict=True)])


def python() -> str:
    """This interpreter."""
    return sys.executable
