"""A browser that never reads what it is sent harms nobody but itself."""

import asyncio
import contextlib
from typing import Any
from uuid import UUID

import pytest
from starlette.websockets import WebSocket

from plugin.app import App
from plugin.conversations import presence
from plugin.kernel.db import new_id
from plugin.stores import Store
from plugin.widget import socket as sockets
from plugin.widget.session import Pass
from plugin.widget.socket import Sockets
from plugin.workspaces import ChatRules


class Wire:
    """The server's end of a connection; with `reads` off its buffers are full, as behind such a client."""

    def __init__(self, *, reads: bool) -> None:
        self.reads = reads
        self.sent: list[Any] = []

    async def receive(self) -> Any:
        if not hasattr(self, "connected"):
            self.connected = True
            return {"type": "websocket.connect"}
        return await asyncio.Event().wait()

    async def send(self, message: Any) -> None:
        if message["type"] != "websocket.accept" and not self.reads:
            await asyncio.Event().wait()
        self.sent.append(message)


async def as_ever(workspace_id: UUID) -> ChatRules:
    return ChatRules()


async def test_who_does_not_read_stops_the_pulse_of_nobody_else(
    app: App, workspace: UUID, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "_PULSE_SECONDS", 0.05)
    monkeypatch.setattr(sockets, "_PATIENCE", 1.5)
    all_of_them = Sockets(app, as_ever)
    talk = new_id()
    passes = [Pass(workspace, store.id, new_id(), conversation_id=None), Pass(workspace, store.id, new_id())]
    wires = [Wire(reads=False), Wire(reads=True)]
    serving = [
        asyncio.create_task(
            all_of_them.serve(
                WebSocket({"type": "websocket", "headers": []}, wire.receive, wire.send),
                held, 0, app.catalogues.translator("en"),
            )
        )
        for wire, held in zip(wires, passes, strict=True)
    ]  # fmt: skip
    # Both were taken, and the one that reads has looked for its conversation.
    while len(all_of_them._open) < 2 or len(wires[1].sent) < 2:
        await asyncio.sleep(0.01)
    (reader,) = (one for one in all_of_them._open if one.held is passes[1])
    reader._conversation = talk
    async with asyncio.timeout(15):
        while not await presence.shopper_is_here(app.hub, workspace, talk):
            await asyncio.sleep(0.05)
        await asyncio.wait({serving[0]})
    assert serving[0].exception() is None
    assert not serving[1].done()
    assert {one.held for one in all_of_them._open} == {passes[1]}
    serving[1].cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await serving[1]
