"""The same chat over python-socketio: a room a conversation, its own Redis manager between processes."""

from __future__ import annotations

import asyncio
import os
from typing import Any
from uuid import UUID

import asyncpg
import socketio

from benchmarks.peers import chat_work


def application() -> Any:
    """Factory for uvicorn."""
    server = socketio.AsyncServer(
        async_mode="asgi",
        client_manager=socketio.AsyncRedisManager(os.environ["BENCH_REDIS_URL"]),
        transports=["websocket"],
        cors_allowed_origins=[],
    )
    made: list[asyncpg.Pool] = []
    making = asyncio.Lock()

    async def connections() -> asyncpg.Pool:
        async with making:
            if not made:
                made.append(await chat_work.pool())
        return made[0]

    @server.event
    async def connect(sid: str, _environ: dict[str, Any], auth: dict[str, str]) -> None:
        if not chat_work.known(auth["talk"], auth["token"]):
            raise ConnectionRefusedError
        await connections()
        await server.save_session(sid, {"talk": auth["talk"]})
        await server.enter_room(sid, auth["talk"])

    @server.event
    async def message(sid: str, frame: dict[str, str]) -> None:
        talk = (await server.get_session(sid))["talk"]
        seq = await chat_work.store(made[0], UUID(talk), UUID(frame["client_id"]), frame["text"])
        await server.emit("message", {**frame, "seq": seq}, room=talk)

    return socketio.ASGIApp(server)
