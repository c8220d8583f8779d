"""`python -m plugin.language`: the language process, as `ahlan language` and the demo start it."""

from __future__ import annotations

import asyncio

from plugin.kernel import config
from plugin.kernel.config import Settings
from plugin.kernel.log import configure
from plugin.kernel.signals import stop_signal
from plugin.language import server
from plugin.language.kept import KeptVectors
from plugin.language.place import socket_path


async def _run(settings: Settings) -> None:
    await server.run(socket_path(settings), stop_signal(), KeptVectors(settings.data_dir / "vectors"))


if __name__ == "__main__":
    settings = config.load()
    configure(format=settings.log_format, level=settings.log_level)
    asyncio.run(_run(settings))
