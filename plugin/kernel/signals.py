"""When a process of ours is to end: a signal, or the end of the process that started it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys

PARENT = "AHLAN_PARENT_PIPE"
"""Set for processes whose standard input is a pipe that only their parent holds."""


def stop_signal() -> asyncio.Event:
    """An event that SIGINT, SIGTERM, or the end of the process that started us sets."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if os.environ.get(PARENT):
        # Our standard input is a pipe that only our parent holds: it ends with the parent, also by SIGKILL.
        os.set_blocking(sys.stdin.fileno(), False)

        def ended() -> None:
            with contextlib.suppress(BlockingIOError):
                if not os.read(sys.stdin.fileno(), 4096):
                    loop.remove_reader(sys.stdin.fileno())
                    stop.set()

        loop.add_reader(sys.stdin.fileno(), ended)
    return stop
