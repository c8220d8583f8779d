"""Memory that is free goes back to the system."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache


@cache
def _trim() -> Callable[[int], int] | None:
    """`malloc_trim` of the GNU C library, which no other has. https://man7.org/linux/man-pages/man3/malloc_trim.3.html"""
    try:
        found: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError):
        return None
    return found


def give_back() -> None:
    """Give free memory back, holes within what is used included; some milliseconds, nothing where it cannot be done."""
    trim = _trim()
    if trim is not None:
        trim(0)
