"""The composition root: the one file that knows everybody. Only the entry points import it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import structlog
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

import admin_ui.routes
import integrations.shopify.routes
import integrations.woocommerce.routes
import plugin.widget.help
import plugin.widget.routes
from integrations.channels.email.send import EmailChannel
from integrations.channels.email.source import MailSource
from integrations.easypost.carrier import EasyPost
from integrations.easypost.source import EasyPostSource
from integrations.shopify.platform import ShopifyPlatform
from integrations.shopify.webhooks import ShopifySource
from integrations.woocommerce.platform import WooCommercePlatform
from integrations.woocommerce.source import WooCommerceSource
from plugin.app import App
from plugin.kernel import crypto, db, i18n, migrate, web
from plugin.kernel.config import Settings
from plugin.kernel.db import Database
from plugin.kernel.errors import SetupError
from plugin.kernel.http import Http, tls_context
from plugin.kernel.jobs import Jobs, wake
from plugin.kernel.metrics import exposition
from plugin.language.client import Language
from plugin.language.place import socket_path
from plugin.platform import Platform, WebhookSource
from plugin.reactions import REACTIONS
from plugin.realtime import Hub
from plugin.schema import metadata
from webhooks.receiver import Inbox, Receiver

log = structlog.get_logger(__name__)

DRAIN = "drain_inbox"
BODY_LIMIT = 12 * 1024 * 1024


def vault(settings: Settings) -> crypto.Vault:
    """The master keys from the environment, or those of the data directory when PostgreSQL is embedded."""
    keys = settings.encryption_keys
    if not keys and settings.database_url:
        raise SetupError(
            "AHLAN_ENCRYPTION_KEYS is empty, but DATABASE_URL is set: every process of an installation needs the same "
            f"keys. A fresh one: AHLAN_ENCRYPTION_KEYS={crypto.new_master_key('first')}"
        )
    return crypto.Vault(crypto.read_keys(keys or crypto.local_keys(settings.data_dir)))


@asynccontextmanager
async def start(
    settings: Settings,
    *,
    database_url: str,
    redis_url: str,
    transport: httpx.AsyncBaseTransport | None = None,
    pool_size: int = 10,
) -> AsyncIterator[App]:
    """An App on a migrated database for as long as the block lasts.

    `database_url` belongs to a role that may create roles; `transport` replaces the guarded outgoing one (the demo and
    the tests send platform hosts to the simulators). Raises SetupError with one sentence.
    """
    sealed = vault(settings)
    urls = await migrate.prepare(database_url, migrate.derived_passwords(sealed.oldest), metadata, sealed.opens)
    database = db.connect(urls.app, urls.queue, pool_size=pool_size)
    jobs = Jobs(redis_url, REACTIONS)
    hub = Hub(redis_url)
    http = Http(
        allow_private_hosts=settings.allow_private_hosts, extra_ca_file=settings.extra_ca_file, transport=transport
    )
    email = EmailChannel(
        settings.smtp_url, settings.mail_from, check_host=http.check_host, context=tls_context(settings.extra_ca_file)
    )
    language = Language(socket_path(settings))
    database.outbox = jobs
    jobs.publisher = hub.publish
    try:
        await sealed.check(database.app)
        yield App(
            settings=settings,
            db=database,
            jobs=jobs,
            http=http,
            vault=sealed,
            hub=hub,
            catalogues=i18n.load(),
            platforms=_platforms(settings, database, sealed, http),
            channels={email.kind: email},
            carriers={one.kind: one for one in (EasyPost(http),)},
            language=language,
            queue_url=urls.queue,
            redis_url=redis_url,
        )
    finally:
        await language.close()
        await email.close()
        await hub.close()
        await jobs.close()
        await http.close()
        await database.close()


def _platforms(settings: Settings, database: Database, sealed: crypto.Vault, http: Http) -> Mapping[str, Platform]:
    # Every platform is made of the same parts; the checker sees only that they are of different types.
    parts = {"db": database, "vault": sealed, "http": http, "settings": settings}
    return {
        "shopify": ShopifyPlatform(**parts),  # type: ignore[arg-type]
        "woocommerce": WooCommercePlatform(**parts),  # type: ignore[arg-type]
    }


def serve(app: App) -> ASGIApp:
    """The whole web process as one ASGI application."""
    inbox = Inbox(app.queue_url, lambda: ring_inbox(app))
    pages = web.Web(
        app.catalogues,
        [Path(admin_ui.routes.__file__).parent / "templates", Path(plugin.widget.routes.__file__).parent / "templates"],
        app.settings.public_url,
        fresh=bool(app.settings.demo),
    )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await inbox.close()

    site = Starlette(
        routes=[
            *_health(app),
            Route("/assets/{digest}/{name:path}", pages.assets.serve),
            *plugin.widget.routes.routes(app, pages),
            *plugin.widget.help.routes(app, pages),
            *integrations.shopify.routes.routes(app, pages),
            *integrations.woocommerce.routes.routes(app, pages),
            *admin_ui.routes.routes(app, pages),
        ],
        middleware=[
            Middleware(web.StrictTransport, secure=app.settings.secure),
            Middleware(web.RequestId),
            Middleware(web.BodyLimit, limit=BODY_LIMIT),
            Middleware(web.Defects, pages=pages),
        ],
        exception_handlers=dict(pages.handlers()),
        lifespan=lifespan,
    )
    return Receiver(site, inbox, _sources(app))


def _sources(app: App) -> Mapping[str, WebhookSource]:
    return {
        "shopify": ShopifySource(app.settings.shopify.secrets),
        "woocommerce": WooCommerceSource(app.db, app.vault),
        "mail": MailSource(app.db, app.vault),
        "easypost": EasyPostSource(app.db, app.vault),
    }


async def ring_inbox(app: App) -> None:
    """Ask a worker to empty the inbox; asked often, it is asked once. The sweep asks too, should Valkey be away."""
    with contextlib.suppress(*app.jobs.unavailable):
        pool = await app.jobs.pool()
        await pool.enqueue_job(DRAIN, _job_id=DRAIN)
        await wake(pool)


def _health(app: App) -> list[BaseRoute]:
    async def healthz(request: Request) -> Response:
        return PlainTextResponse("ok")

    async def readyz(request: Request) -> Response:
        problems = {}
        for name, answer in (("database", db.ping(app.db.app)), ("valkey", app.hub.ping())):
            try:
                await answer
            except Exception as error:  # Whatever keeps a part from answering, it is not ready.
                log.warning("not_ready", part=name, error=repr(error))
                problems[name] = "does not answer"
        # Chat and webhooks go on without Valkey, only later: it is told, but takes nobody out of service.
        ready = "database" not in problems
        return JSONResponse({"ready": ready, "problems": problems}, 200 if ready else 503)

    async def metrics(request: Request) -> Response:
        return await exposition(app, request)

    return [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)]
