"""The hub: tells open sockets and streams of every process what was committed. A hint; the table is the truth.

One Valkey channel per workspace, one subscription per process and workspace that has listeners, one pipelined
publisher: bursts of single `publish()` calls exhaust redis-py's pool and drop sockets (NUMBERS: chat).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import orjson
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from plugin.kernel.waiting import Waiting

log = structlog.get_logger(__name__)

_QUEUE_LIMIT = 256
_AGAIN = (0.05, 0.2, 0.5, 1.0, 2.0, 4.0)
"""Seconds between tries to publish. A hint that comes twice does no harm."""


class Listener:
    """One open socket or stream. `get` waits for the next (topic, payload); `lagging` says that hints were dropped.

    For one reader.
    """

    __slots__ = ("_hints", "lagging", "topics")

    def __init__(self, topics: frozenset[str]) -> None:
        self.topics = topics
        self.lagging = False
        self._hints: Waiting[tuple[str, dict[str, Any]]] = Waiting()

    async def get(self) -> tuple[str, dict[str, Any]]:
        """The next hint; topic `hub.resync` means: hints may have been missed, read the table."""
        return await self._hints.get()

    def offer(self, topic: str, payload: dict[str, Any]) -> None:
        """Queue a hint; a listener that does not keep up is told to read the table instead."""
        if len(self._hints) < _QUEUE_LIMIT:
            self._hints.put_nowait((topic, payload))
            return
        self.lagging = True
        self._hints.clear()
        self._hints.put_nowait(("hub.resync", {}))


class Hub:
    """Publish after commit, listen while a socket is open."""

    def __init__(self, redis_url: str) -> None:
        self._redis: Redis = Redis.from_url(
            redis_url, socket_timeout=5, socket_connect_timeout=2, health_check_interval=30
        )
        self._subscriber: Redis = Redis.from_url(redis_url, socket_connect_timeout=2)
        self._listeners: dict[str, dict[str, set[Listener]]] = {}
        self._outgoing: list[tuple[str, bytes]] = []
        self._flushing: asyncio.Task[None] | None = None
        self._reader: asyncio.Task[None] | None = None
        self._pubsub: Any = None
        self._deaf = False
        self._changed = asyncio.Event()

    @property
    def live(self) -> bool:
        """Whether hints reach this process now; while not, whoever waits must look into the table themselves."""
        return self._pubsub is not None

    async def publish(self, workspace_id: UUID, hints: Sequence[tuple[str, Any]]) -> None:
        """Send hints to every process; bursts travel in one pipeline. Never raises: a lost hint is only late."""
        channel = _channel(workspace_id)
        self._outgoing.extend((channel, orjson.dumps(hint)) for hint in hints)
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush())

    async def _flush(self) -> None:
        while self._outgoing:
            batch, self._outgoing = self._outgoing, []
            # A process that is back at Valkey before us has read the table already, and hears of this from nobody else.
            for pause in _AGAIN:
                try:
                    async with self._redis.pipeline(transaction=False) as pipeline:
                        for channel, message in batch:
                            pipeline.publish(channel, message)
                        await pipeline.execute()
                    break
                except (OSError, RedisError, TimeoutError) as error:
                    failed = error
                    await asyncio.sleep(pause)
            else:
                log.warning("hints_lost", count=len(batch), error=repr(failed))

    @asynccontextmanager
    async def listen(self, workspace_id: UUID, *topics: str) -> AsyncIterator[Listener]:
        """Hints of `topics` for as long as the block lasts."""
        listener = Listener(frozenset(topics))
        channel = _channel(workspace_id)
        fresh = channel not in self._listeners
        by_topic = self._listeners.setdefault(channel, {})
        for topic in listener.topics:
            by_topic.setdefault(topic, set()).add(listener)
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._read())
        if fresh:
            await self._subscribe(channel)
        try:
            yield listener
        finally:
            for topic in listener.topics:
                by_topic[topic].discard(listener)
                if not by_topic[topic]:
                    del by_topic[topic]
            if not by_topic:
                del self._listeners[channel]
                if self._pubsub is not None:
                    with contextlib.suppress(OSError, RedisError):
                        await self._pubsub.unsubscribe(channel)

    async def _subscribe(self, channel: str) -> None:
        if self._pubsub is None:
            self._changed.set()
            return
        try:
            await self._pubsub.subscribe(channel)
        except (OSError, RedisError):
            # While nobody listened nothing was read, so the reader does not know that this connection is gone.
            self._deaf = True

    async def _read(self) -> None:
        while True:
            if not self._listeners:
                self._changed.clear()
                await self._changed.wait()
            try:
                async with self._subscriber.pubsub(ignore_subscribe_messages=True) as pubsub:
                    subscribed: set[str] = set()
                    # Until `_pubsub` is set newcomers subscribe to nothing themselves: look again after each await.
                    while missing := self._listeners.keys() - subscribed:
                        await pubsub.subscribe(*missing)
                        subscribed |= missing
                    self._pubsub, self._deaf = pubsub, False
                    self._tell_everyone("hub.resync", {})
                    while not self._deaf:
                        # Without a channel get_message raises; waiting for a listener is cheaper.
                        if not pubsub.subscribed:
                            await asyncio.sleep(0.05)
                            continue
                        message = await pubsub.get_message(timeout=5)
                        if message is not None:
                            self._deliver(message["channel"].decode(), message["data"])
                    raise ConnectionError("a channel could not be subscribed to")
            except (OSError, RedisError, TimeoutError, RuntimeError) as error:
                log.warning("hub_reconnects", error=repr(error))
                self._pubsub = None
                self._tell_everyone("hub.resync", {})
                await asyncio.sleep(0.5)
            finally:
                self._pubsub = None

    def _deliver(self, channel: str, data: bytes) -> None:
        topic, payload = orjson.loads(data)
        for listener in tuple(self._listeners.get(channel, {}).get(topic, ())):
            listener.offer(topic, payload)

    def _tell_everyone(self, topic: str, payload: dict[str, Any]) -> None:
        topics = [listeners for by_topic in self._listeners.values() for listeners in by_topic.values()]
        for listener in set[Listener]().union(*topics):
            listener.offer(topic, payload)

    async def remember(self, key: str, value: bytes, seconds: int) -> None:
        """Keep a short-lived value that every process may take (one-time tickets, presence)."""
        await self._redis.set(key, value, ex=seconds)

    async def take(self, key: str) -> bytes | None:
        """The value, once: a second taker gets None."""
        value: bytes | None = await self._redis.getdel(key)
        return value

    async def peek(self, key: str) -> bytes | None:
        """The value, left in place."""
        value: bytes | None = await self._redis.get(key)
        return value

    async def peek_all(self, keys: Sequence[str]) -> list[bytes | None]:
        """The values of several keys, left in place, in their order."""
        found: list[bytes | None] = await self._redis.mget(keys) if keys else []
        return found

    async def count(self, key: str, seconds: int, by: int = 1) -> int:
        """Add one, or `by`, to a counter that forgets itself after `seconds`: for rate limits."""
        async with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.incr(key, by)
            pipeline.expire(key, seconds, nx=True)
            counted, _ = await pipeline.execute()
        return int(counted)

    async def appear(self, group: str, member: str, seconds: int) -> bool:
        """Count `member` among those present in `group` for the next `seconds`; say it again before they are over.

        Returns whether it was not there before.
        """
        now = time.time()
        async with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.zremrangebyscore(group, "-inf", now)
            pipeline.zadd(group, {member: now + seconds})
            pipeline.expire(group, seconds, gt=True)
            pipeline.expire(group, seconds, nx=True)
            _forgotten, added, *_rest = await pipeline.execute()
        return bool(added)

    async def vanish(self, group: str, member: str) -> bool:
        """Take `member` out of `group` at once; returns whether it was there."""
        return bool(await self._redis.zrem(group, member))

    async def present(self, group: str) -> int:
        """How many are in `group` now."""
        return int(await self._redis.zcount(group, time.time(), "+inf"))

    async def among(self, group: str, member: str) -> bool:
        """Whether `member` is in `group` now."""
        until = await self._redis.zscore(group, member)
        return until is not None and float(until) > time.time()

    async def members(self, group: str) -> list[str]:
        """Who is in `group` now."""
        found: list[bytes] = await self._redis.zrangebyscore(group, time.time(), "+inf")
        return [member.decode() for member in found]

    async def append_only(self) -> bool:
        """Whether Valkey survives its own death; False also where a managed one does not say."""
        try:
            said: dict[str, str] = await self._redis.config_get("appendonly")
        except RedisError:
            return False
        return said.get("appendonly") == "yes"

    async def ping(self) -> None:
        """Raise unless Valkey answers."""
        await self._redis.ping()

    async def close(self) -> None:
        """Stop reading and close both connections."""
        for task in (self._reader, self._flushing):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        await self._redis.aclose()
        await self._subscriber.aclose()


def _channel(workspace_id: UUID) -> str:
    return f"ahlan:{workspace_id}"
