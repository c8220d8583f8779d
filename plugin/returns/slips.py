"""What a shopper prints for a parcel: instructions, and the slip that goes into it, as one PDF (`slip_pages` draws it).

A page of it costs some hundredths of a second, the first of a process about two seconds: it is made off the event loop,
one at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

MOST_ITEMS: Final = 40
"""Lines of a slip. An order of more says how many more there are: a slip is for hands, not for books."""

_making = asyncio.Semaphore(1)


@dataclass(frozen=True, slots=True)
class Item:
    """So many of something, and why it comes back."""

    title: str
    detail: str
    quantity: str


@dataclass(frozen=True, slots=True)
class Slip:
    """Everything that stands on it, in words of its reader's language.

    `code` is what the picture for the shop's own people holds. `facts` and `labels` are names and what they name.
    """

    rtl: bool
    shop: str
    title: str
    number: str
    facts: Sequence[tuple[str, str]]
    steps_title: str
    steps: Sequence[str]
    slip_title: str
    to_title: str
    to: Sequence[str]
    items_title: str
    quantity_title: str
    items: Sequence[Item]
    more: str
    cut: str
    code: str


async def make(slip: Slip) -> bytes:
    """The PDF, made in a thread."""
    async with _making:
        return await asyncio.to_thread(_drawn, slip)


def _drawn(slip: Slip) -> bytes:
    # What draws brings numpy along, 30 megabytes that no process needs that draws nothing.
    from plugin.returns.slip_pages import draw  # noqa: PLC0415 - loaded by the first slip

    return draw(slip)
