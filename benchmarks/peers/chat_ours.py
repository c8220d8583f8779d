"""Chat as we carry it: Starlette's WebSocket, the hub between processes, a task that sends beside one that reads."""

from __future__ import annotations

import asyncio
import contextlib
import os
from uuid import UUID

import asyncpg
import orjson
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from benchmarks.peers import chat_work
from plugin.realtime import Hub

_WORKSPACE = UUID(int=1)


def application() -> Starlette:
    """Factory for uvicorn."""
    hub = Hub(os.environ["BENCH_REDIS_URL"])
    made: list[asyncpg.Pool] = []
    making = asyncio.Lock()

    async def connections() -> asyncpg.Pool:
        async with making:
            if not made:
                made.append(await chat_work.pool())
        return made[0]

    async def chat(websocket: WebSocket) -> None:
        talk = websocket.query_params["talk"]
        if not chat_work.known(talk, websocket.query_params["token"]):
            await websocket.close(1008)
            return
        await websocket.accept()
        kept = await connections()
        async with hub.listen(_WORKSPACE, talk) as listener:

            async def send() -> None:
                while True:
                    _topic, message = await listener.get()
                    await websocket.send_text(orjson.dumps(message).decode())

            sending = asyncio.create_task(send())
            try:
                while True:
                    frame = orjson.loads(await websocket.receive_text())
                    seq = await chat_work.store(kept, UUID(talk), UUID(frame["client_id"]), frame["text"])
                    await hub.publish(_WORKSPACE, [(talk, {**frame, "seq": seq})])
            except WebSocketDisconnect:
                sending.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await sending

    return Starlette(routes=[WebSocketRoute("/chat", chat)])
