"""Live updates: one stream per window tells which block is out of date; the block is then read again, checked again.

Nothing personal travels here. A stream stands on what it was opened with: it ends with the admin's token (platforms.md
A1.4: they live one minute), with the session, or at once when the agent's access ends; htmx opens it again through the
whole door. Where something on the way holds streams back, the same hints come over a WebSocket with a one-time ticket.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import orjson
from redis.exceptions import RedisError
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from admin_ui.desk import Desk, as_id
from admin_ui.pages import conversation as conversation_page
from plugin import team
from plugin.app import App
from plugin.conversations import presence, visits
from plugin.kernel.errors import Forbidden
from plugin.kernel.web import AwayForNow, own_origin
from plugin.team import Permission

STREAM_SECONDS = 270
TICKET_SECONDS = 30
_HEARTBEAT_SECONDS = 15

# What the panel does on each hint; `panel.js` listens to these names.
_EVENTS = {
    "message": "live:message",
    "note": "live:message",
    "changed": "live:message",
    "typing": "live:typing",
    "read": "live:read",
    "status": "live:head",
    "assigned": "live:head",
    "rating": "live:head",
    "customer": "live:customer",
    "here": "live:reach",
    "colleagues": "live:colleagues",
    "moved": "live:moved",
    "renumbered": "live:renumbered",
}


@dataclass(frozen=True, slots=True)
class Lease:
    """What an open stream or socket stands on. `until` is in Unix seconds; 0: the session alone decides."""

    workspace_id: UUID
    agent_id: UUID
    session_id: UUID | None
    until: float
    answers: bool
    topics: list[str]
    conversation_id: UUID | None = None


async def live(desk: Desk) -> Response:
    """The stream of this window; `conversation` adds the open one's own hints."""
    lease = await _lease(desk)
    headers = {**desk.headers(), "x-accel-buffering": "no"}
    return StreamingResponse(_stream(desk.app, lease), media_type="text/event-stream", headers=headers)


async def ticket(desk: Desk) -> Response:
    """A key to one socket, good once and for 30 s: a socket's address lands in logs, and carries no token."""
    lease, key = await _lease(desk), secrets.token_urlsafe(24)
    try:
        await desk.app.hub.remember(_ticket(key), msgspec.json.encode(lease), TICKET_SECONDS)
    except (OSError, RedisError) as error:
        raise AwayForNow from error
    return JSONResponse({"ticket": key}, headers=desk.headers())


def socket(app: App) -> WebSocketRoute:
    """The same hints over a WebSocket: `[name, data]` each, `null` while there are none. Nothing is read from it."""

    async def serve(websocket: WebSocket) -> None:
        try:
            own_origin(websocket, app.settings.public_url)
            lease = await _redeem(app, websocket.query_params.get("ticket", ""))
        except Forbidden:
            lease = None
        if lease is None:
            await websocket.close(4403)
            return
        await websocket.accept()
        sending = asyncio.create_task(_send(app, websocket, lease))
        hearing = asyncio.create_task(_hang_up(websocket))
        try:
            await asyncio.wait({sending, hearing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, hearing):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, WebSocketDisconnect):
                    await task
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):
            # 4401: come again through the door; 1001 would be the browser's own leaving.
            await websocket.close(4401)

    return WebSocketRoute("/live/socket", serve)


async def _send(app: App, websocket: WebSocket, lease: Lease) -> None:
    async for event in _events(app, lease):
        await websocket.send_text(orjson.dumps(event).decode())


async def _hang_up(websocket: WebSocket) -> None:
    while (await websocket.receive())["type"] != "websocket.disconnect":
        continue


async def _lease(desk: Desk) -> Lease:
    topics = ["queue", "stores", "backfill", "returns", team.access_topic(desk.agent.id), f"agent:{desk.agent.id}"]
    asked, shown = desk.request.query_params.get("conversation", ""), None
    if asked:
        conversation_id = as_id(asked)
        async with desk.transaction() as tx:
            conversation_id = (await conversation_page.find(tx, conversation_id)).id
        topics += [f"conversation:{conversation_id}", f"panel:conversation:{conversation_id}"]
        shown = conversation_id
    if "visitors" in desk.request.query_params:
        topics.append(visits.TOPIC)
    answers = desk.agent.available and desk.agent.may(Permission.REPLY)
    until = desk.until.timestamp() if desk.until is not None else 0.0
    return Lease(desk.workspace_id, desk.agent.id, desk.session_id, until, answers, topics, shown)


async def _redeem(app: App, key: str) -> Lease | None:
    kept = await app.hub.take(_ticket(key)) if 0 < len(key) < 100 else None
    return msgspec.json.decode(kept, type=Lease) if kept is not None else None


async def _stream(app: App, lease: Lease) -> AsyncIterator[bytes]:
    async for event in _events(app, lease):
        # A comment keeps proxies from closing the stream and finds out that the reader has gone.
        yield b": still here\n\n" if event is None else _written(*event)


async def _events(app: App, lease: Lease) -> AsyncIterator[tuple[str, dict[str, Any]] | None]:
    """The hints of a lease for as long as it is good; None now and then, while there is nothing to tell."""
    seconds = float(STREAM_SECONDS)
    if lease.until:
        seconds = min(seconds, lease.until - datetime.now(UTC).timestamp())
    ends = time.monotonic() + seconds
    access = team.access_topic(lease.agent_id)
    async with app.hub.listen(lease.workspace_id, *lease.topics) as listener:
        # From here on we hear of it; what ended between the door and here is asked for.
        if not await _good(app, lease):
            return
        # Whoever comes back may have missed hints: the first event makes the window look again.
        yield "live:open", {}
        window = secrets.token_hex(8)
        try:
            await _here(app, lease, window)
            while (left := ends - time.monotonic()) > 0:
                try:
                    async with asyncio.timeout(min(_HEARTBEAT_SECONDS, left)):
                        topic, payload = await listener.get()
                    if payload.get("type") == "available":
                        # The switch was used: the window comes again, as somebody who is here or away.
                        return
                except TimeoutError:
                    yield None
                    await _here(app, lease, window)
                    continue
                if topic in (access, "hub.resync") and not await _good(app, lease):
                    return
                if (event := _translate(topic, payload)) is not None:
                    yield event
        finally:
            _gone(app, lease, window)


async def _good(app: App, lease: Lease) -> bool:
    """Whether the agent still works here and, stand-alone, the session is alive."""
    async with app.db.transaction(lease.workspace_id) as tx:
        return await team.still_here(tx, lease.agent_id, lease.session_id)


async def _here(app: App, lease: Lease, window: str) -> None:
    """Shoppers are told that somebody is there: whoever has the panel open and may answer. Colleagues, who looks at
    the same conversation.
    """
    if lease.answers:
        await presence.agent_here(app.hub, lease.workspace_id, lease.agent_id)
    if lease.conversation_id is not None:
        await presence.agent_looks(app.hub, lease.workspace_id, lease.conversation_id, lease.agent_id, window)


_leaving: set[asyncio.Task[None]] = set()


def _gone(app: App, lease: Lease, window: str) -> None:
    """The window shows something else. As a task of its own: a stream that is hung up on may not wait any more."""
    if lease.conversation_id is None:
        return
    leaving = asyncio.create_task(
        presence.agent_looks_away(app.hub, lease.workspace_id, lease.conversation_id, lease.agent_id, window)
    )
    _leaving.add(leaving)
    leaving.add_done_callback(_leaving.discard)


def _translate(topic: str, payload: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
    if topic == "hub.resync":
        return "live:open", {}
    if topic in ("queue", "stores", "backfill", "returns", visits.TOPIC):
        return f"live:{topic}", {key: payload[key] for key in ("store_id",) if key in payload}
    name = _EVENTS.get(str(payload.get("type")))
    if name is None or (name == "live:typing" and payload.get("who") == "agent"):
        return None
    return name, {key: payload[key] for key in ("seq", "who", "into") if key in payload}


def _written(name: str, data: dict[str, Any]) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(data) + b"\n\n"


def _ticket(key: str) -> str:
    return f"panel-ticket:{key}"
