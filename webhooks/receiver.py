"""The webhook edge: raw bytes, signature, durable inbox by group commit, 200. Nothing else happens here.

A small ASGI dispatcher before Starlette: 46 µs of CPU a request against 80 inside a route (docs/numbers in
benchmarks/RESULTS.md). There is no timer: what waits while a flush is in flight goes into the next INSERT, a second
one runs beside it once enough waits, and each request is answered after its commit.
"""

from __future__ import annotations

import asyncio
from collections import Counter as Tally
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import asyncpg
import orjson
import structlog
from prometheus_client import Counter
from sqlalchemy.engine import make_url
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from plugin.kernel import bulk
from plugin.platform import WEBHOOK_LIMIT, Answer, Delivery, WebhookSource

log = structlog.get_logger(__name__)

BATCH = 256
BATCH_BYTES = 32 * 1024 * 1024
FLUSHES = 2
WORTH_A_FLUSH = 64
WAITING_LIMIT = 10_000
WAITING_BYTES = 256 * 1024 * 1024

RECEIVED = Counter("ahlan_webhooks_received_total", "Webhook deliveries", ["source", "outcome"])

# Two parameters however many rows: asyncpg looks at every element of an array before it encodes it, which costs more
# than all the rest of a row.
_INSERT = """
INSERT INTO webhook_inbox (source, key, store_kind, store_key, topic, body, headers)
SELECT r.source, r.key, r.store_kind, r.store_key, r.topic, substring($2::bytea FROM r.start FOR r.size), r.headers
FROM json_to_recordset($1::text::json) AS r(source text, key text, store_kind text, store_key text, topic text,
    start integer, size integer, headers jsonb)
ON CONFLICT DO NOTHING
"""

_STATUS = {
    Answer.UNSIGNED: 401,
    Answer.INCOMPLETE: 400,
    Answer.PING: 200,
    Answer.UNKNOWN_TOPIC: 200,
    Answer.UNKNOWN_STORE: 404,
}

Row = tuple[str, str, str, str, str, bytes, str]
"""Source, key, store kind, store key, topic, raw body, and JSON of the headers that reading it later needs."""


class Inbox:
    """Group commit into `webhook_inbox` as the queue role, on raw asyncpg connections."""

    def __init__(self, queue_url: str, ring: Callable[[], Awaitable[None]]) -> None:
        self._url = make_url(queue_url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._ring = ring
        self._idle: list[asyncpg.Connection[asyncpg.Record]] = []
        self._waiting: list[tuple[Row, asyncio.Future[None]]] = []
        self._bytes = 0
        self._flushing = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._ringing = False

    async def put(self, row: Row) -> None:
        """Return once the row is committed. Raises when it is not: then the sender must try again."""
        size = len(row[5])
        if len(self._waiting) >= WAITING_LIMIT or (self._waiting and self._bytes + size > WAITING_BYTES):
            raise ConnectionError("the webhook inbox does not keep up")
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((row, done))
        self._bytes += size
        # A further flush beside one under way has to be worth it: rows that wait for that one to end share the next.
        if not self._flushing or (self._flushing < FLUSHES and len(self._waiting) >= WORTH_A_FLUSH):
            self._flushing += 1
            self._start(self._flush())
        await done

    async def _flush(self) -> None:
        try:
            while self._waiting:
                # One turn of the loop, so that requests which have already arrived come along.
                await asyncio.sleep(0)
                await self._write(self._next())
                if not self._ringing:
                    self._ringing = True
                    self._start(self._bell())
        finally:
            self._flushing -= 1

    def _next(self) -> list[tuple[Row, asyncio.Future[None]]]:
        """As many rows as make a batch; a few of the largest bodies fill one too."""
        count = size = 0
        for row, _ in self._waiting[:BATCH]:
            size += len(row[5])
            if count and size > BATCH_BYTES:
                break
            count += 1
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        self._bytes -= sum(len(row[5]) for row, _ in batch)
        return batch

    async def _write(self, batch: list[tuple[Row, asyncio.Future[None]]]) -> None:
        try:
            await self._insert([row for row, _ in batch])
        except Exception as error:
            # Whatever went wrong, none of these rows may be answered 200.
            log.error("inbox_write_failed", count=len(batch), error=repr(error))
            for _, done in batch:
                if not done.done():
                    done.set_exception(ConnectionError("the webhook inbox is not available"))
            return
        for source, count in Tally(row[0] for row, _ in batch).items():
            RECEIVED.labels(source, "stored").inc(count)
        for _, done in batch:
            if not done.done():
                done.set_result(None)

    async def _insert(self, rows: list[Row]) -> None:
        connection = next((one for one in iter(self._take, None) if not one.is_closed()), None)
        if connection is None:
            connection = await asyncpg.connect(self._url, timeout=3, command_timeout=4)
        try:
            await connection.execute(_INSERT, *_encoded(rows))
        except BaseException:
            # In an unknown state: the next batch opens another.
            connection.terminate()
            raise
        self._idle.append(connection)

    def _take(self) -> asyncpg.Connection[asyncpg.Record] | None:
        return self._idle.pop() if self._idle else None

    async def _bell(self) -> None:
        await asyncio.sleep(0.01)
        self._ringing = False
        await self._ring()

    def _start(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Finish what waits, then close the connections."""
        while self._tasks:
            await asyncio.wait(tuple(self._tasks))
        while (connection := self._take()) is not None:
            await connection.close()


class Receiver:
    """ASGI: answers `/webhooks/<source>[/<tail>]` itself and passes everything else on.

    Order of checks: method 405, size 413, signature 401, other required headers 400; 200 only for what is durable,
    for an unsigned ping, and for topics that we do not want (counted).
    """

    def __init__(self, inner: ASGIApp, inbox: Inbox, sources: Mapping[str, WebhookSource]) -> None:
        self._inner = inner
        self._inbox = inbox
        self._sources = {name: (source, RECEIVED.labels(name, "refused")) for name, source in sources.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/webhooks/"):
            await self._inner(scope, receive, send)
            return
        name, _, tail = scope["path"][10:].partition("/")
        found = self._sources.get(name)
        if found is None:
            await _answer(send, 404)
            return
        if scope["method"] != "POST":
            await _answer(send, 405)
            return
        source, refused = found
        if source.body_limit > WEBHOOK_LIMIT and not await source.knows(tail):
            refused.inc()
            await _answer(send, 401)
            return
        headers = {_name(key): value for key, value in scope["headers"]}
        body = await _body(headers, receive, source.body_limit)
        if body is None:
            refused.inc()
            await _answer(send, 413)
            return
        read = await source.read(tail, headers, body)
        if isinstance(read, Answer):
            RECEIVED.labels(name, read.value).inc()
            await _answer(send, _STATUS[read])
            return
        try:
            await self._inbox.put(_row(name, read, body))
        except ConnectionError:
            refused.inc()
            await _answer(send, 503)
            return
        await send(_OK)
        await send(_END)


def _row(source: str, delivery: Delivery, body: bytes) -> Row:
    headers = orjson.dumps(delivery.headers).decode()
    return (source, delivery.key, delivery.store_kind, delivery.store_key, delivery.topic, body, headers)


def _encoded(rows: Sequence[Row]) -> tuple[str, bytes]:
    """The parameters of `_INSERT`: everything about the rows, and their bodies in one piece."""
    told, start = [], 1
    for source, key, store_kind, store_key, topic, body, headers in rows:
        told.append(
            {
                "source": source,
                "key": key,
                "store_kind": store_kind,
                "store_key": store_key,
                "topic": topic,
                "headers": orjson.Fragment(headers),
                "start": start,
                "size": len(body),
            }
        )
        start += len(body)
    return bulk.dump(told), b"".join(row[5] for row in rows)


@lru_cache(maxsize=1024)
def _name(header: bytes) -> str:
    return header.decode("latin-1")


async def _body(headers: Mapping[str, bytes], receive: Receive, limit: int) -> bytes | None:
    length = headers.get("content-length", b"0")
    if length.isdigit() and (len(length) > 18 or int(length) > limit):
        return None
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        return body if len(body) <= limit else None
    parts, size = [body], len(body)
    while message.get("more_body"):
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            return None
    return b"".join(parts)


_STARTS: dict[int, Message] = {
    status: {
        "type": "http.response.start",
        "status": status,
        "headers": [(b"content-length", b"0")] + ([(b"allow", b"POST")] if status == 405 else []),
    }
    for status in (200, 400, 401, 404, 405, 413, 503)
}
_OK = _STARTS[200]
_END: Message = {"type": "http.response.body", "body": b""}


async def _answer(send: Send, status: int) -> None:
    await send(_STARTS[status])
    await send(_END)
