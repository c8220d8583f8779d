"""`ahlan doctor`: says in plain words what is wrong with a set-up, and what to do about it."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from plugin import bootstrap, processes, stores
from plugin.app import App
from plugin.health import state
from plugin.health.rules import Severity
from plugin.health.state import Health
from plugin.health.words import say
from plugin.kernel import http, volumes
from plugin.kernel.config import Settings
from plugin.kernel.errors import SetupError
from plugin.kernel.i18n import SOURCE_LANGUAGE, Translator
from plugin.language.client import Away

_FREE_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One thing that was looked at; `remedy` says what to do when it is not well, `store` which store it is about."""

    ok: bool
    what: str
    remedy: str = ""
    store: str = ""


async def examine(settings: Settings) -> list[Diagnosis]:
    """Look at everything that can be looked at without changing anything but the schema."""
    findings = [*_settings(settings), *_machine(settings)]
    try:
        async with processes.application(settings) as app:
            findings += [finding async for finding in _running(app)]
    except SetupError as error:
        findings.append(Diagnosis(False, str(error)))
    except OSError as error:
        findings.append(
            Diagnosis(False, f"PostgreSQL or Valkey does not answer: {error}", "Check DATABASE_URL and REDIS_URL.")
        )
    return findings


def _settings(settings: Settings) -> list[Diagnosis]:
    findings = []
    url = urlsplit(settings.public_url)
    local = url.hostname in ("localhost", "127.0.0.1", "::1")
    if local:
        findings.append(
            Diagnosis(
                True, f"AHLAN_PUBLIC_URL is {settings.public_url}: good for trying things, stores cannot reach it.",
                "For real stores set AHLAN_PUBLIC_URL to the https address that the world sees.",
            )
        )  # fmt: skip
    else:
        findings.append(
            Diagnosis(
                settings.secure, f"AHLAN_PUBLIC_URL is {settings.public_url}.",
                "" if settings.secure else "Shopify and WooCommerce only deliver to https: put TLS in front.",
            )
        )  # fmt: skip
    known = bool(settings.shopify.client_id and settings.shopify.secret)
    findings.append(
        Diagnosis(
            known or local, "The Shopify app's key and secret are set." if known else "No Shopify app is configured.",
            "" if known else "Set SHOPIFY_API_KEY and SHOPIFY_API_SECRET from the Dev Dashboard; without them only "
            "WooCommerce stores can connect.",
        )
    )  # fmt: skip
    if settings.demo:
        findings.append(Diagnosis(False, "AHLAN_DEMO_… variables are set.", "Unset them: `ahlan serve` refuses them."))
    if settings.extra_ca_file:
        try:
            http.tls_context(settings.extra_ca_file)
        except SetupError as error:
            findings.append(Diagnosis(False, str(error)))
    return findings


def _machine(settings: Settings) -> list[Diagnosis]:
    folder = settings.data_dir
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    findings = [
        Diagnosis(
            free > _FREE_BYTES, f"{free / (1 << 30):.1f} GiB are free where the data lives ({settings.data_dir}).",
            "" if free > _FREE_BYTES else "Make room: PostgreSQL stops when the disk is full.",
        )
    ]  # fmt: skip
    findings.append(_encryption(settings, folder))
    packages = Path(bootstrap.__file__).parent.parent / "node_modules" / "htmx.org"
    findings.append(
        Diagnosis(
            packages.is_dir(), "The panel's npm packages are installed." if packages.is_dir() else "The panel's npm "
            "packages are missing.", "" if packages.is_dir() else "Run `make set-up`.",
        )
    )  # fmt: skip
    return findings


def _encryption(settings: Settings, folder: Path) -> Diagnosis:
    """What can be seen of the encryption of volumes; of backups nothing can, and that is said too."""
    backups = "Whether backups are encrypted, and go within 30 days, cannot be seen from here: docs/deployment.md."
    if settings.database_url:
        return Diagnosis(True, "Whether PostgreSQL's volumes are encrypted cannot be seen from here.", backups)
    if volumes.encrypted(folder):
        return Diagnosis(True, "The data lies on an encrypted volume.", backups)
    return Diagnosis(
        True, "No encrypted volume is seen below the data; what your provider encrypts cannot be seen from here.",
        f"Personal data must lie on one. {backups}",
    )  # fmt: skip


async def _running(app: App) -> AsyncIterator[Diagnosis]:
    yield Diagnosis(True, "PostgreSQL answers, the schema is up to date, the encryption keys fit.")
    for name in await app.vault.idle(app.db.app):
        yield Diagnosis(
            True, f"Nothing is sealed with the encryption key {name!r} any more.",
            "It may go from AHLAN_ENCRYPTION_KEYS; restart every process then.",
        )  # fmt: skip
    yield await _isolation(app)
    yield await _pooling(app.db.app)
    async for finding in _valkey(app):
        yield finding
    yield await _language(app)
    async for finding in _backlog(app):
        yield finding
    async for finding in _stores(app):
        yield finding


async def _pooling(engine: AsyncEngine) -> Diagnosis:
    """Two clients that are connected at once and share one server process: a pooler lends it per transaction."""
    backend = text("SELECT pg_backend_pid()")
    async with engine.connect() as one, engine.connect() as other:
        for connection in (one, other):
            await connection.execution_options(isolation_level="AUTOCOMMIT")
        shared = await one.scalar(backend) == await other.scalar(backend)
    return Diagnosis(
        not shared, "DATABASE_URL leads through a pooler that lends connections per transaction." if shared else
        "Each connection to PostgreSQL is our own for as long as we hold it.",
        "Switch it to session pooling, or go past it: advisory locks, which keep two processes from refreshing one "
        "store's token at once, outlive a transaction." if shared else "",
    )  # fmt: skip


async def _isolation(app: App) -> Diagnosis:
    async with app.db.app.connect() as connection:
        role = (
            await connection.execute(
                text("SELECT rolname, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user")
            )
        ).one()
        unforced = (
            await connection.execute(
                text(
                    "SELECT count(*) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
                    "WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace "
                    "AND a.attname = 'workspace_id' AND NOT c.relrowsecurity"
                )
            )
        ).scalar_one()
    safe = not role.rolsuper and not role.rolbypassrls and unforced == 0
    return Diagnosis(
        safe, f"Tenants are kept apart: {role.rolname} cannot bypass row-level security." if safe else
        f"Tenants are NOT kept apart: {role.rolname} can bypass row-level security, or {unforced} tables lack it.",
        "" if safe else "Run `ahlan migrate` with a DATABASE_URL whose role may create roles.",
    )  # fmt: skip


async def _valkey(app: App) -> AsyncIterator[Diagnosis]:
    try:
        await app.hub.ping()
    except Exception as error:
        yield Diagnosis(
            False, f"Valkey does not answer: {error}",
            "Check REDIS_URL. Until then work is only picked up by the sweep, and screens do not follow by themselves.",
        )  # fmt: skip
        return
    durable = await app.hub.append_only()
    yield Diagnosis(
        durable, f"Valkey answers and keeps {'an' if durable else 'NO'} append-only file.",
        "" if durable else "Set `appendonly yes`; nothing is lost without it, but jobs start later after a restart.",
    )  # fmt: skip
    alive = await app.jobs.worker_alive()
    yield Diagnosis(
        alive, "A worker is at work." if alive else "No worker is running.",
        "" if alive else "Start `ahlan worker`: without it webhooks wait in the inbox.",
    )  # fmt: skip


async def _language(app: App) -> Diagnosis:
    try:
        pong = await app.language.ping()
    except Away:
        return Diagnosis(
            True, "No language process answers: chat goes on, and every question goes to a person.",
            "Start `ahlan language` on each machine that serves; AHLAN_LANGUAGE_SOCKET is where it is looked for.",
        )  # fmt: skip
    return Diagnosis(True, f"The language process is at work and takes {pong.megabytes} MB.")


async def _backlog(app: App) -> AsyncIterator[Diagnosis]:
    async with app.db.queue.connect() as connection:
        row = (
            await connection.execute(
                text(
                    "SELECT (SELECT count(*) FROM jobs WHERE failed_at IS NOT NULL) AS failed, "
                    "(SELECT count(*) FROM webhook_inbox WHERE parked_at IS NOT NULL) AS parked, "
                    "(SELECT count(*) FROM webhook_inbox WHERE done_at IS NULL AND parked_at IS NULL "
                    " AND received_at < now() - interval '5 minutes') AS late"
                )
            )
        ).one()
    yield Diagnosis(
        row.late == 0, f"{_counted(row.late, 'webhook waits', 'webhooks wait')} for more than five minutes.",
        "" if row.late == 0 else "Start more workers, or look at their logs.",
    )  # fmt: skip
    yield Diagnosis(
        row.parked == 0, f"{_counted(row.parked, 'webhook is', 'webhooks are')} parked.",
        "" if row.parked == 0 else "Stores → webhook log shows why; `ahlan replay` reads them again.",
    )  # fmt: skip
    yield Diagnosis(
        row.failed == 0, f"{_counted(row.failed, 'job', 'jobs')} failed for good.",
        "" if row.failed == 0 else "Their errors are in the table jobs, column last_error.",
    )  # fmt: skip


async def _stores(app: App) -> AsyncIterator[Diagnosis]:
    """What the merchants' own pages say, store by store; those that are well are only counted."""
    words, well = app.catalogues.translator(SOURCE_LANGUAGE), 0
    for workspace_id in await app.db.workspaces():
        async with app.db.transaction(workspace_id) as tx:
            found = [
                await state.read(tx, store)
                for store in await stores.all_stores(tx)
                if store.status != stores.UNINSTALLED
            ]
        for health in found:
            well += not health.problems
            for finding in of_store(words, health):
                yield finding
    if well:
        yield Diagnosis(True, f"{_counted(well, 'store is', 'stores are')} well: connected, heard and compared.")


def _counted(count: int, one: str, more: str) -> str:
    return f"{count} {one if count == 1 else more}"


def of_store(words: Translator, health: Health) -> list[Diagnosis]:
    """A store's problems in the words of its page. What only concerns its storefront is told and fails nothing."""
    store = health.store
    findings = []
    for problem in health.problems:
        said = say(words, problem)
        detail = f" ({problem.detail})" if problem.detail else ""
        findings.append(
            Diagnosis(
                problem.severity == Severity.NOTE, f"{store.name} ({store.external_id}): {said.what}{detail}", said.how,
                store=store.external_id,
            )
        )  # fmt: skip
    return findings
