"""A warm start: from the command to the first 200 of `/readyz`, for `ahlan serve` without configuration.

The baseline starts PostgreSQL and Valkey by their packages and an empty application, on a data directory of its own
that has been used before. Bar: at most twice that.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure import ROOT, free_port, paired, python, ratio

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
LIMIT_SECONDS = 120

COMMANDS = {
    "empty": ("-m", "benchmarks.peers.empty"),
    "ahlan": ("-m", "plugin", "serve"),
}


def main() -> int:
    """Measure and print."""
    home = Path(tempfile.mkdtemp(prefix="ahlan-bench-"))
    seen: dict[str, list[float]] = {name: [] for name in COMMANDS}
    try:
        for number in range(ROUNDS + 1):
            for name, arguments in COMMANDS.items():
                took = start(arguments, home / name)
                # The first one makes the data directory.
                if number:
                    seen[name].append(took)
                    print(f"  round {number} {name:<6} ready after {took:5.2f} s", flush=True)
        return 0 if ratio("start_warm_to_empty", paired(seen["ahlan"], seen["empty"]), "<=", 2) else 1
    finally:
        shutil.rmtree(home, ignore_errors=True)


def start(arguments: Sequence[str], data: Path) -> float:
    """Seconds until the server is ready; it is ended in order before this returns."""
    port = free_port()
    # Bytecode is kept, as it is in an installation.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "AHLAN_DATA_DIR": str(data), "AHLAN_PORT": str(port)}
    began = time.perf_counter()
    running = subprocess.Popen([python(), *arguments], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    try:
        while not ready(port):
            if running.poll() is not None or time.perf_counter() - began > LIMIT_SECONDS:
                raise SystemExit(f"{' '.join(arguments)} did not start")
            time.sleep(0.01)
        return time.perf_counter() - began
    finally:
        running.terminate()
        running.wait(LIMIT_SECONDS)


def ready(port: int) -> bool:
    """Whether the server answers that it is."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


if __name__ == "__main__":
    sys.exit(main())
