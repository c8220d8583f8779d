"""What a process remembers for a while and then forgets."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Remembered(Generic[K, V]):
    """A value per key for `seconds`, of the `most` newest keys: one per store that ever had a visitor would stay.

    Entries stand in the order in which they were put, so the old ones are all in front.
    """

    def __init__(self, seconds: float, *, most: int = 10_000, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._most = most
        self._clock = clock
        self._kept: dict[K, tuple[float, V]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: K) -> V | None:
        """The value, or None when there is none or it is too old."""
        at, value = self._kept.get(key, (0.0, None))
        return value if value is not None and self._clock() - at <= self._seconds else None

    def put(self, key: K, value: V) -> V:
        """Remember `value` from now on, forget what is over, and give it back."""
        now = self._clock()
        self._kept.pop(key, None)
        self._kept[key] = (now, value)
        while len(self._kept) > self._most or now - next(iter(self._kept.values()))[0] > self._seconds:
            del self._kept[next(iter(self._kept))]
        return value
