"""A queue that costs little while nobody has said anything."""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

T = TypeVar("T")


class Waiting(Generic[T]):
    """A queue for one reader: a list, and a future while somebody waits.

    asyncio.Queue has four deques for many readers and writers, three kilobytes that every open socket pays for twice.
    """

    __slots__ = ("_items", "_waiter")

    def __init__(self) -> None:
        self._items: list[T] = []
        self._waiter: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        return len(self._items)

    def put_nowait(self, item: T) -> None:
        """Add one; whoever waits wakes up."""
        self._items.append(item)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def empty(self) -> bool:
        """Whether there is nothing to take."""
        return not self._items

    def clear(self) -> None:
        """Forget what nobody has taken."""
        self._items.clear()

    async def get(self) -> T:
        """The oldest, as soon as there is one. Cancelled, it takes none."""
        while not self._items:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._items.pop(0)
