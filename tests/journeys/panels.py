"""An open agent panel as static/panel.js is one: the page once, then hints, and what is new read again after each."""

import asyncio
import contextlib
import random
import re
from collections.abc import Sequence

import httpx

_LINE = re.compile(
    r'<li class="message[^>]*id="m-([0-9a-f-]{36})"\s+data-position="(\d+)" data-order="1" data-seq="(\d*)"'
)
_MARK = re.compile(r'data-mark="([^"]*)"')
_LOOKS = ("live:open", "live:message", "live:head")


class OpenPanel:
    """One window. Behind a proxy its stream and what it asks for may reach different processes."""

    def __init__(self, http: httpx.AsyncClient, urls: Sequence[str], conversation_id: str) -> None:
        self.http = http
        self.urls = urls
        self.path = f"/panel/conversations/{conversation_id}/messages"
        self.page = f"/panel/inbox/{conversation_id}"
        self.hints = f"/panel/live?conversation={conversation_id}"
        self.shown: dict[int, tuple[int, str]] = {}
        self.mark = ""
        self.opened = asyncio.Event()
        self.doing = "opening"
        self._look = asyncio.Event()
        self._stream: asyncio.Task[None] | None = None
        self._offline_until = 0.0

    @property
    def lines(self) -> list[tuple[int, str]]:
        """Numbers and ids of the messages, as they stand on the screen."""
        return [self.shown[position] for position in sorted(self.shown)]

    def __str__(self) -> str:
        return f"{len(self.shown)} messages, {self.doing}"

    def cut(self, seconds: float) -> None:
        """The network is gone, without a goodbye."""
        self._offline_until = asyncio.get_running_loop().time() + seconds
        if self._stream is not None:
            self._stream.cancel()

    async def live(self) -> None:
        """The page, then whatever hints come; nothing is ever read without one."""
        await self._insist(self.page)
        self.opened.set()
        looking = asyncio.create_task(self._looking())
        try:
            while True:
                if looking.done():
                    looking.result()
                self.doing = "offline"
                await self._online()
                self.doing = "connecting"
                self._stream = asyncio.create_task(self._listen(random.choice(self.urls)))
                await asyncio.wait({self._stream})
                error = None if self._stream.cancelled() else self._stream.exception()
                if error is not None and not isinstance(error, httpx.HTTPError):
                    raise error
                await asyncio.sleep(random.uniform(0.35, 0.65))
        finally:
            for task in (looking, self._stream):
                if task is not None:
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError, httpx.HTTPError):
                        await task

    async def _online(self) -> None:
        await asyncio.sleep(max(0.0, self._offline_until - asyncio.get_running_loop().time()))

    async def _listen(self, url: str) -> None:
        async with self.http.stream("GET", f"{url}{self.hints}", timeout=httpx.Timeout(5, read=60)) as stream:
            async for line in stream.aiter_lines():
                self.doing = f"heard {line!r} of {url}" if line else self.doing
                if line.removeprefix("event: ") in _LOOKS:
                    self._look.set()

    async def _looking(self) -> None:
        while True:
            await self._look.wait()
            self._look.clear()
            await self._insist(f"{self.path}?after={max(self.shown, default=0)}&mark={self.mark}")

    async def _insist(self, path: str) -> None:
        pause = 0.5
        while True:
            await self._online()
            with contextlib.suppress(httpx.HTTPError):
                answer = await self.http.get(f"{random.choice(self.urls)}{path}")
                if answer.status_code == 200:
                    return self._place(answer.text)
                assert answer.status_code >= 500, answer.text
            await asyncio.sleep(pause)
            pause = min(4.0, 2 * pause)

    def _place(self, html: str) -> None:
        for client_id, position, seq in _LINE.findall(html):
            line = (int(seq), client_id)
            assert self.shown.setdefault(int(position), line) == line, (
                f"{position} was {self.shown[int(position)]}, now {line}"
            )
        if mark := _MARK.search(html):
            self.mark = mark[1]
