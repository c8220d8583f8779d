"""`/metrics`: Prometheus text, for whoever holds the token; without one for this machine, while it is only tried."""

from __future__ import annotations

import hmac
from ipaddress import ip_address
from typing import Protocol
from urllib.parse import urlsplit

from prometheus_client import CONTENT_TYPE_LATEST, Gauge, generate_latest
from sqlalchemy import text
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from plugin.kernel.config import Settings
from plugin.kernel.db import Database

JOBS = Gauge("ahlan_jobs", "Job rows by state", ["state"])
INBOX = Gauge("ahlan_webhook_inbox_rows", "Webhook rows by state", ["state"])

_LOCAL = ("localhost", "127.0.0.1", "::1")
_FORWARDED = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip")

_COUNTS = text(
    """
    SELECT (SELECT count(*) FROM jobs WHERE done_at IS NULL AND failed_at IS NULL AND run_at <= now()) AS due,
           (SELECT count(*) FROM jobs WHERE failed_at IS NOT NULL) AS failed,
           (SELECT count(*) FROM webhook_inbox WHERE done_at IS NULL AND parked_at IS NULL) AS waiting,
           (SELECT count(*) FROM webhook_inbox WHERE parked_at IS NOT NULL) AS parked
    """
)


class Measured(Protocol):
    """What the page needs of the App."""

    @property
    def settings(self) -> Settings: ...

    @property
    def db(self) -> Database: ...


async def exposition(app: Measured, request: Request) -> Response:
    """Every counter of this process, with the backlog as the queue role sees it."""
    if not _allowed(app.settings, request):
        return PlainTextResponse("", 404)
    async with app.db.queue.connect() as connection:
        row = (await connection.execute(_COUNTS)).one()
    JOBS.labels("due").set(row.due)
    JOBS.labels("failed").set(row.failed)
    INBOX.labels("waiting").set(row.waiting)
    INBOX.labels("parked").set(row.parked)
    return Response(generate_latest(), headers={"content-type": CONTENT_TYPE_LATEST})


def _allowed(settings: Settings, request: Request) -> bool:
    """The token's holder; without a token this machine alone, and only while it serves nobody else.

    Behind a proxy on this machine every stranger comes from loopback, and not every proxy says that it is one: an
    installation with a public address needs the token.
    """
    if settings.metrics_token:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        return hmac.compare_digest(given.encode(), settings.metrics_token.encode())
    if urlsplit(settings.public_url).hostname not in _LOCAL or any(name in request.headers for name in _FORWARDED):
        return False
    try:
        return request.client is not None and ip_address(request.client.host).is_loopback
    except ValueError:
        return False
