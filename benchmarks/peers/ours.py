"""Our receiver with its real source and inbox, without the rest of the web process."""

from __future__ import annotations

import os

from starlette.types import ASGIApp, Receive, Scope, Send

from integrations.shopify.webhooks import ShopifySource
from webhooks.receiver import Inbox, Receiver


def application() -> ASGIApp:
    """Factory for uvicorn, on a database that the benchmark has migrated."""

    async def silent() -> None:
        """No worker listens."""

    async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
        """Nothing else is served."""

    inbox = Inbox(os.environ["BENCH_QUEUE_URL"], silent)
    return Receiver(nothing, inbox, {"shopify": ShopifySource((os.environ["BENCH_SECRET"],))})
