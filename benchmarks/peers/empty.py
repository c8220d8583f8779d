"""The limit of a start: our embedded servers and an application that does nothing."""

from __future__ import annotations

import os
from pathlib import Path

import uvicorn
import uvloop

from benchmarks.peers.bare import application
from plugin.kernel import embedded


async def main() -> None:
    """Serve until the process is ended."""
    servers = await embedded.start(Path(os.environ["AHLAN_DATA_DIR"]))
    try:
        config = uvicorn.Config(application, port=int(os.environ["AHLAN_PORT"]), log_level="error", loop="none")
        await uvicorn.Server(config).serve()
    finally:
        await servers.stop()


if __name__ == "__main__":
    uvloop.run(main())
