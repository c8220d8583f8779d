"""Parent of the embedded servers: starts them, restarts what dies, and stops them when whoever started it is gone.

A script of its own, run by `plugin.kernel.embedded` as `python -I -S supervise.py` (15 ms, imports nothing of ours):
being the servers' parent it knows their death for certain, and being nobody's web process it outlives a SIGKILL of
Ahlan just long enough to shut the servers down cleanly. One line of JSON comes in on standard input:

    {"state": path, "lock_fd": int, "servers": [{"name", "argv", "log", "stop_signal", "uid", "gid"}]}

Standard input then stays open; its end, a SIGTERM or a new parent means: stop. The servers inherit the lock's
descriptor, so the lock on the data directory is free exactly when none of their processes is left.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
# After a SIGKILL of PostgreSQL's first process the others need a moment to notice; until then a new one refuses.
_RETRY_SECONDS = 0.25
# A long query does not notice at all before it ends, so what once ran is tried for a minute; what never ran, for 3 s.
_TRIES_AT_START = 12
_TRIES_LATER = 240
_GRACE_SECONDS = 30.0


class Server:
    """One child process and how to start it again."""

    def __init__(self, plan: dict[str, Any], lock_fd: int) -> None:
        self.name: str = plan["name"]
        self.plan = plan
        self.lock_fd = lock_fd
        self.process: subprocess.Popen[bytes] | None = None
        self.started = 0.0
        self.settled = False
        self.quick_deaths = 0

    def start(self) -> None:
        plan = self.plan
        with Path(plan["log"]).open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603
                plan["argv"],
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(self.lock_fd,),
                preexec_fn=self._die_with_parent if sys.platform == "linux" else None,
                user=plan["uid"],
                group=plan["gid"],
                extra_groups=None if plan["uid"] is None else [],
            )
        self.started = time.monotonic()

    def _die_with_parent(self) -> None:
        # Runs in the child after it has changed its user, which would clear the setting (prctl(2)).
        _LIBC.prctl(_PR_SET_PDEATHSIG, self.plan["stop_signal"])

    def dead(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def revive(self) -> bool:
        """Start it again when it is due; False when it dies so often that nothing will help."""
        lived = time.monotonic() - self.started
        if lived < _RETRY_SECONDS:
            return True
        if lived > 2:
            self.settled = True
            self.quick_deaths = 0
        self.quick_deaths += 1
        if self.quick_deaths > (_TRIES_LATER if self.settled else _TRIES_AT_START):
            return False
        self.start()
        return True


def stop(servers: list[Server]) -> None:
    """Ask politely, wait, then insist."""
    running = [server.process for server in servers if server.process and server.process.poll() is None]
    for server in servers:
        if not server.dead() and server.process:
            server.process.send_signal(server.plan["stop_signal"])
    deadline = time.monotonic() + _GRACE_SECONDS
    for process in running:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGQUIT)  # PostgreSQL: at once, with recovery at the next start
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def write_state(path: Path, servers: list[Server]) -> None:
    """Publish the process ids, whole or not at all."""
    pids = {server.name: server.process.pid for server in servers if server.process and not server.dead()}
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps({"supervisor": os.getpid(), **pids}))
    fresh.replace(path)


def main() -> int:
    parent = os.getppid()
    plan = json.loads(sys.stdin.buffer.readline())
    wake, poke = os.pipe()
    for descriptor in (wake, poke):
        os.set_blocking(descriptor, False)
    signal.set_wakeup_fd(poke)
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: asked.append(number))
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

    state = Path(plan["state"])
    servers = [Server(entry, plan["lock_fd"]) for entry in plan["servers"]]
    code = 0
    try:
        for server in servers:
            server.start()
        write_state(state, servers)
        while not asked and os.getppid() == parent:
            any_dead = any(server.dead() for server in servers)
            readable, _, _ = select.select([0, wake], [], [], 0.05 if any_dead else 1.0)
            if 0 in readable:
                break
            if wake in readable:
                os.read(wake, 512)
            fallen = [server for server in servers if server.dead()]
            if not all(server.revive() for server in fallen):
                code = 1
                break
            if fallen:
                write_state(state, servers)
    finally:
        stop(servers)
        state.unlink(missing_ok=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
