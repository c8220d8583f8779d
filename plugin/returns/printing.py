"""Slips become PDFs: a page costs some hundredths of a second, the first of a process about two seconds.

So they are made off the event loop, one at a time.
"""

from __future__ import annotations

import asyncio

from plugin.returns.slips import Slip

_making = asyncio.Semaphore(1)


async def make(slip: Slip) -> bytes:
    """The PDF, made in a thread."""
    async with _making:
        return await asyncio.to_thread(_drawn, slip)


def _drawn(slip: Slip) -> bytes:
    # What draws brings numpy along, 30 megabytes that no process needs that draws nothing.
    from plugin.returns.slip_pages import draw  # noqa: PLC0415 - loaded by the first slip

    return draw(slip)
