"""Time zones that somebody may choose."""

from __future__ import annotations

from functools import cache
from zoneinfo import available_timezones


@cache
def time_zones() -> tuple[str, ...]:
    """Every zone of a place, and UTC, by name. Read once: the database of zones is a thousand files."""
    return tuple(sorted(zone for zone in available_timezones() if "/" in zone or zone == "UTC"))
