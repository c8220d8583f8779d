"""How much one visitor and one address may do. An address may be a whole school or a phone network: be generous."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from dataclasses import dataclass
from uuid import UUID

from redis.exceptions import RedisError
from starlette.requests import HTTPConnection

from plugin.kernel.errors import AhlanError, TooMany
from plugin.kernel.lazy import _
from plugin.realtime import Hub

_PATIENCE = 0.5
_AWAY_SECONDS = 5.0
_LOCAL_LIMIT = 50_000
_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Limit:
    """`visitor` and `address` are how often each may do it in `seconds`; 0 leaves that one out."""

    name: str
    seconds: int
    visitor: int = 0
    address: int = 0


class UploadsFull(AhlanError):
    """The store's shoppers have uploaded what they may today. Repeating does not help, so it is no 429."""

    status = 413
    code = "uploads_full"


SESSION = Limit("session", 60, address=1200)
NEW_VISITOR = Limit("visitor", 600, address=600)
MESSAGE = Limit("message", 60, visitor=60, address=1200)
FREE_MESSAGES = 10
"""A visitor's messages in a minute that are nobody else's business."""

VISIT = Limit("visit", 60, visitor=60, address=1200)
NEW_VISIT = Limit("new_visit", 600, address=600)

UPLOAD = Limit("upload", 600, visitor=30, address=600)
EMAIL = Limit("email", 3600, visitor=10, address=200)
TICKET = Limit("ticket", 60, visitor=40, address=2400)
RATING = Limit("rating", 60, visitor=30)
TRANSCRIPT = Limit("transcript", 3600, visitor=3, address=60)
PLACE = Limit("place", 60, visitor=20)
READING = Limit("reading", 60, visitor=300)


class Limits:
    """Counts in Valkey, so that every process counts together; in this process alone while Valkey is away."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._away_until = 0.0
        self._local: dict[str, tuple[float, int]] = {}

    async def spend(self, limit: Limit, *, visitor: str = "", address: str = "") -> None:
        """Count one use. Raises TooMany when it was one too many."""
        for who, allowed in ((visitor, limit.visitor), (address, limit.address)):
            if who and allowed and await self._count(f"limit:{limit.name}:{who}", limit.seconds) > allowed:
                raise TooMany(
                    _("That was a lot in a short time."),
                    _("Nothing is lost. Wait a moment, then go on."),
                    retry_after=limit.seconds,
                )

    async def spend_message(self, visitor_id: UUID, store_id: UUID, address: str) -> None:
        """Count a message. Raises TooMany beyond what one visitor may write, and what an address may beyond that.

        The first ones of every visitor are counted for nobody else: whoever floods a shop from a shared address, a
        school's or a phone network's, takes no word from the many others behind it, in this shop or any other.
        """
        mine = await self._count(f"limit:{MESSAGE.name}:{visitor_id}", MESSAGE.seconds)
        if mine <= FREE_MESSAGES:
            return
        shared = await self._count(f"limit:{MESSAGE.name}:{store_id}:{address}", MESSAGE.seconds)
        if mine > MESSAGE.visitor or shared > MESSAGE.address:
            raise TooMany(
                _("That was a lot in a short time."),
                _("Nothing is lost. Wait a moment, then go on."),
                retry_after=MESSAGE.seconds,
            )

    async def spend_bytes(self, store_id: UUID, size: int, most: int) -> None:
        """Count a file of `size` bytes against what a store's shoppers may upload in a day. Raises UploadsFull.

        Strangers may upload, from as many addresses as they like: this is what keeps a disk from filling. `most` of 0
        is no limit.
        """
        key = f"limit:bytes:{store_id}"
        if most and await self._count(key, _DAY, size) > most:
            # Given back: one file too large for the rest of the day must not refuse the small ones after it.
            await self._count(key, _DAY, -size)
            raise UploadsFull(_("No more files can be taken today."), _("Write without it, or send a link to it."))

    async def _count(self, key: str, seconds: int, by: int = 1) -> int:
        if time.monotonic() >= self._away_until:
            try:
                async with asyncio.timeout(_PATIENCE):
                    counted = await self._hub.count(key, seconds, by)
            except (OSError, RedisError, TimeoutError):
                self._away_until = time.monotonic() + _AWAY_SECONDS
            else:
                # Should Valkey be slow or gone next time, this process goes on from here and not from nothing.
                return self._count_here(key, seconds, counted, anew=True)
        return self._count_here(key, seconds, by)

    def _count_here(self, key: str, seconds: int, by: int, *, anew: bool = False) -> int:
        now = time.monotonic()
        until, count = self._local.get(key, (0.0, 0))
        if now >= until:
            until, count = now + seconds, 0
        if len(self._local) >= _LOCAL_LIMIT:
            self._local = {name: kept for name, kept in self._local.items() if kept[0] > now}
            if len(self._local) >= _LOCAL_LIMIT // 2:
                # So many at once are beyond what one process counts beside Valkey: begin anew rather than look again.
                self._local = {}
        self._local[key] = (until, by if anew else count + by)
        return self._local[key][1]


class Bucket:
    """A token bucket of one socket: `burst` at once, then `rate` a second."""

    __slots__ = ("_at", "_burst", "_level", "_rate")

    def __init__(self, burst: float, rate: float) -> None:
        self._burst, self._rate = burst, rate
        self._level, self._at = burst, time.monotonic()

    def take(self) -> bool:
        """Take one token. False when none is left."""
        now = time.monotonic()
        self._level = min(self._burst, self._level + (now - self._at) * self._rate)
        self._at = now
        if self._level < 1:
            return False
        self._level -= 1
        return True


def address_of(request: HTTPConnection) -> str:
    """Whom to count: the address, and for IPv6 its /64, which is what one subscriber gets (RFC 6177)."""
    host = request.client.host if request.client else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.version == 4:
        return host
    return str(ipaddress.ip_network((address, 64), strict=False).network_address)
