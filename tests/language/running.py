"""A language process within the test, that can be stopped and started."""

from __future__ import annotations

import asyncio
from pathlib import Path

from plugin.kernel.text import language_of
from plugin.language.book import Heard
from plugin.language.client import Away, Language
from plugin.language.server import Library, Server
from tests.language.stand_in import WordEmbedder


class AsItIs:
    """Hears what was typed."""

    def hear(self, text: str) -> Heard:
        """The text itself."""
        return Heard(text, language_of(text), arabizi=False)


class Running:
    """Models that stand in, the process's own code around them."""

    def __init__(self, path: Path, embedder: WordEmbedder) -> None:
        self.path, self.embedder = path, embedder
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """With empty shelves."""
        self._stop = asyncio.Event()
        library = Library(self.embedder, AsItIs())
        self._task = asyncio.create_task(Server(library).serve(self.path, self._stop))
        client = Language(self.path)
        async with asyncio.timeout(20):
            while True:
                try:
                    await client.ping()
                    break
                except Away:
                    await asyncio.sleep(0.02)
        await client.close()

    async def stop(self) -> None:
        """As if it were killed."""
        self._stop.set()
        if self._task is not None:
            await self._task
            self._task = None
