"""A server that speaks the chat completions of OpenAI, on a real port: records what it gets, says what it is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import pytest

from plugin.app import App
from plugin.kernel.http import Http
from plugin.model import settings
from plugin.model.settings import ModelSettings, Use

KEY = "sk-test-0123456789abcdef"


def said(content: str, **more: Any) -> dict[str, Any]:
    """An answer in the shape that servers give."""
    return {
        "id": "chatcmpl-1", "object": "chat.completion", "model": "stub",
        "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content, **more}}
        ],
        "usage": {"prompt_tokens": 120, "completion_tokens": 30, "total_tokens": 150},
    }  # fmt: skip


@dataclass
class Stub:
    """What it was asked, and how it answers: `answer` gets the request's JSON and returns JSON, bytes or a status."""

    answer: Callable[[dict[str, Any]], Any] = lambda body: said('{"refuse": true}')
    bodies: list[dict[str, Any]] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    raw: list[str] = field(default_factory=list)
    port: int = 0
    delay: float = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def says(self, content: str | dict[str, Any]) -> None:
        """From now on it answers with this."""
        text = content if isinstance(content, str) else json.dumps(content)
        self.answer = lambda body: said(text)

    def data(self, at: int = -1) -> dict[str, Any]:
        """The data of a request: what the user message held."""
        found: dict[str, Any] = json.loads(self.bodies[at]["messages"][1]["content"])
        return found

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = next(
                    (int(one[15:]) for one in head.lower().splitlines() if one.startswith("content-length:")), 0
                )
                text = (await reader.readexactly(length)).decode()
                self.heads.append(head)
                self.raw.append(text)
                self.bodies.append(json.loads(text))
                if self.delay:
                    await asyncio.sleep(self.delay)
                writer.write(self._written(self.answer(self.bodies[-1])))
                await writer.drain()
        writer.close()

    @staticmethod
    def _written(answer: Any) -> bytes:
        status, extra = 200, ""
        if isinstance(answer, tuple):
            status, answer, extra = answer
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        return f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\n{extra}\r\n".encode() + body


@pytest.fixture
async def stub() -> AsyncIterator[Stub]:
    """The server, running."""
    found = Stub()
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    yield found
    server.close()


@pytest.fixture
async def local(app: App) -> AsyncIterator[App]:
    """The App of an operator who allows this machine."""
    http = Http(allow_private_hosts=["127.0.0.1"])
    yield replace(app, http=http)
    await http.close()


async def set_model(app: App, workspace: UUID, stub: Stub, **values: object) -> ModelSettings:
    """A model that is on for everything, at the stub."""
    form = {"enabled": "1", "endpoint": stub.url, "key": KEY, "model": "stub-1", "seconds": "5"}
    wished = settings.checked(form, list(Use), Http(allow_private_hosts=["127.0.0.1"]).guard)
    async with app.db.transaction(workspace) as tx:
        row = await settings.save(tx, app.vault, wished)
        for name, value in values.items():
            setattr(row, name, value)
    return row


@pytest.fixture
async def model(local: App, workspace: UUID, stub: Stub) -> ModelSettings:
    """The workspace's model, on."""
    return await set_model(local, workspace, stub)
