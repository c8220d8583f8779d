"""Live updates: one stream per window tells which block is out of date; the block is then read again, checked again.

Nothing personal travels here, so a stream that outlives a right tells nothing. It ends after five minutes at the
latest and htmx opens it again through the whole door (platforms.md A1.4: tokens live one minute).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import orjson
from starlette.responses import Response, StreamingResponse

from admin_ui.desk import Desk, as_id
from admin_ui.pages import conversation as conversation_page
from plugin.conversations import presence
from plugin.team import Permission

STREAM_SECONDS = 270
_HEARTBEAT_SECONDS = 15

# What the panel does on each hint; `panel.js` listens to these names.
_EVENTS = {
    "message": "live:message",
    "note": "live:message",
    "typing": "live:typing",
    "read": "live:read",
    "status": "live:head",
    "assigned": "live:head",
    "customer": "live:customer",
    "here": "live:reach",
}


async def live(desk: Desk) -> Response:
    """The stream of this window; `conversation` adds the open one's own hints."""
    topics = ["queue", "stores", "backfill"]
    asked = desk.request.query_params.get("conversation", "")
    if asked:
        conversation_id = as_id(asked)
        async with desk.transaction() as tx:
            await conversation_page.find(tx, conversation_id)
        topics += [f"conversation:{conversation_id}", f"panel:conversation:{conversation_id}"]
    headers = {**desk.headers(), "x-accel-buffering": "no"}
    return StreamingResponse(_stream(desk, topics), media_type="text/event-stream", headers=headers)


async def _stream(desk: Desk, topics: list[str]) -> AsyncIterator[bytes]:
    ends = time.monotonic() + STREAM_SECONDS
    async with desk.app.hub.listen(desk.workspace_id, *topics) as listener:
        # Whoever comes back may have missed hints: the first event makes the window look again.
        yield _event("live:open", {})
        await _here(desk)
        while (left := ends - time.monotonic()) > 0:
            try:
                topic, payload = await asyncio.wait_for(listener.get(), min(_HEARTBEAT_SECONDS, left))
            except TimeoutError:
                # A comment keeps proxies from closing the stream and finds out that the reader has gone.
                yield b": still here\n\n"
                await _here(desk)
                continue
            if (event := _translate(topic, payload)) is not None:
                yield event


async def _here(desk: Desk) -> None:
    """Shoppers are told that somebody is there: whoever has the panel open and may answer."""
    if desk.agent.available and desk.agent.may(Permission.REPLY):
        await presence.agent_here(desk.app.hub, desk.workspace_id, desk.agent.id)


def _translate(topic: str, payload: dict[str, Any]) -> bytes | None:
    if topic == "hub.resync":
        return _event("live:open", {})
    if topic in ("queue", "stores", "backfill"):
        return _event(f"live:{topic}", {key: payload[key] for key in ("store_id",) if key in payload})
    name = _EVENTS.get(str(payload.get("type")))
    if name is None or (name == "live:typing" and payload.get("who") == "agent"):
        return None
    kept: dict[str, Any] = {key: payload[key] for key in ("seq", "who") if key in payload}
    return _event(name, kept)


def _event(name: str, data: dict[str, Any]) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(data) + b"\n\n"
