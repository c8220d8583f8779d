"""The sockets that we give uvicorn: cheap while nothing is said, which is nearly all of them nearly always."""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from plugin.kernel.waiting import Waiting


class Sockets(WebSocketsSansIOProtocol):
    """uvicorn's WebSockets, with a smaller queue for what arrives: only the application reads from it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.queue = Waiting()  # type: ignore[assignment]
