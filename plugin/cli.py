"""The `ahlan` command."""

from __future__ import annotations

import json as json_text
import os
import sys
from collections import Counter
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, NoReturn
from uuid import UUID

import typer
import uvloop
from rich.console import Console

from plugin import demo as demo_story
from plugin import doctor as doctor_story
from plugin import processes, stores, team, workspaces
from plugin import seed as seeding
from plugin.app import App
from plugin.bot import seeds
from plugin.crm import backfill as crm_backfill
from plugin.crm import reconcile as crm_reconcile
from plugin.kernel import config, crypto
from plugin.kernel.config import Settings
from plugin.kernel.db import Busy
from plugin.kernel.errors import SetupError
from plugin.kernel.log import configure
from plugin.kernel.text import normalise_email
from plugin.language import place
from plugin.platform import PlatformError
from plugin.progress import follow, follow_backfills
from webhooks import handlers, inbox

cli = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Ahlan: customer support inside Shopify and WooCommerce stores.",
)
keys = typer.Typer(no_args_is_help=True, help="Encryption keys.")
cli.add_typer(keys, name="keys")
owner = typer.Typer(no_args_is_help=True, help="Owners of workspaces.")
cli.add_typer(owner, name="owner")
bot = typer.Typer(no_args_is_help=True, help="How well the bot understands.")
cli.add_typer(bot, name="bot")
search = typer.Typer(no_args_is_help=True, help="How well articles are found.")
cli.add_typer(search, name="search")
console = Console()

_MOST_HOURS = config.MOST_DAYS * 24
StoreOption = Annotated[str, typer.Option(help="Only this store: its id, address or myshopify domain.")]


def main() -> None:
    """Entry point: errors of set-up are one sentence, not a traceback."""
    try:
        cli()
    except SetupError as error:
        Console(stderr=True).print(f"[bold red]ahlan:[/] {error}", highlight=False, soft_wrap=True)
        raise SystemExit(1) from None


def _run(work: Coroutine[Any, Any, None]) -> None:
    uvloop.run(work)


def _settings(*, demo: bool = False) -> Settings:
    settings = config.load()
    configure(format=settings.log_format, level=settings.log_level)
    if settings.demo and not demo:
        raise SetupError(
            "AHLAN_DEMO_… variables are set: they open the panel to foreign pages and belong to `ahlan demo` alone. "
            "Unset them to serve real stores."
        )
    app = settings.shopify
    if not demo and (app.client_id == demo_story.CLIENT_ID or demo_story.CLIENT_SECRET in app.secrets):
        raise SetupError("SHOPIFY_API_KEY or its secret is the demo's, which is public: set your own app's.")
    return settings


def _real(settings: Settings) -> Settings:
    """Of an installation that is nobody's demo: the password of a demo's owner is public."""
    if not settings.database_url and demo_story.is_demo(settings.data_dir):
        raise SetupError(f"{settings.data_dir} holds the demo's data: choose another AHLAN_DATA_DIR for real stores.")
    return settings


@cli.command()
def serve(
    worker: Annotated[bool, typer.Option(help="Also run a worker when PostgreSQL and Valkey are embedded.")] = True,
) -> None:
    """Serve the panel, the widget and the webhooks; embedded PostgreSQL and Valkey unless configured.

    Where they are embedded a worker and the language process run along.
    """
    settings = _real(_settings())

    async def run() -> None:
        stop = processes.stop_signal()
        async with processes.services(settings, attach=False) as found:
            alone = found.owned and worker
            children = [processes.Child("worker", ["plugin", "worker"]), processes.language()] if alone else []
            for child in children:
                await child.start()
            try:
                async with processes.application(settings) as app:
                    console.print(f"Ahlan on {settings.public_url}", highlight=False)
                    await processes.run_web(app, stop)
            finally:
                for child in children:
                    await child.stop()

    _run(run())


@cli.command()
def worker() -> None:
    """Run jobs and empty the webhook inbox. Any number of workers may run."""
    _work(_real(_settings()))


def _work(settings: Settings) -> None:
    async def run() -> None:
        stop = processes.stop_signal()
        async with processes.application(settings, demo_story.transport(settings)) as app:
            await processes.run_worker(app, stop)

    _run(run())


@cli.command()
def language() -> None:
    """Hold the models that understand messages and find articles; web and worker ask it over a socket."""
    _with_models(place.MODULE)


AsJson = Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")]
Seed = Annotated[int, typer.Option(help="What chance begins with.", min=0)]


def _file(text: str) -> Any:
    return typer.Option(help=text, dir_okay=False)


@bot.command("evaluate")
def bot_evaluate(
    questions: Annotated[Path, typer.Argument(help="Lines of {text, topic or null, language}.")],
    help_centre: Annotated[Path, _file("Lines of {id, title, body, language, phrasings}.")],
    seed: Seed = 0,
    json: AsJson = False,
) -> None:
    """How well a help centre answers questions: accuracy, recall, AUROC, what is answered at 5 % wrong acceptance."""
    _measure("bot", str(questions), "--help-centre", str(help_centre), "--seed", str(seed), json=json)


@bot.command("train-evaluate")
def bot_train_evaluate(
    train: Annotated[Path, _file("Lines of {text, topic or null, language} to learn from.")],
    test: Annotated[Path, _file("Lines of the same to measure with.")],
    per_class: Annotated[int | None, typer.Option(help="Learn from so many of each topic, by chance.", min=1)] = None,
    seed: Seed = 0,
    json: AsJson = False,
) -> None:
    """How well topics are learnt from labelled messages, measured on others."""
    few = ["--per-class", str(per_class)] if per_class else []
    _measure("train", "--train", str(train), "--test", str(test), *few, "--seed", str(seed), json=json)


@bot.command("articles")
def bot_articles() -> None:
    """The usual topics of a shop as articles: their titles and phrasings, for `ahlan bot evaluate --help-centre`."""
    for topic in seeds.pack():
        for article in topic.articles():
            typer.echo(json_text.dumps(article, ensure_ascii=False))


@bot.command("refit")
def bot_refit(workspace: Annotated[UUID, typer.Argument(help="The workspace's id.")]) -> None:
    """Make a workspace's own model of what counts now; it answers if the check lets it. A running worker does it."""
    settings = _settings()

    async def run() -> None:
        async with processes.application(settings) as app, app.db.transaction(workspace) as tx:
            if await workspaces.current(tx) is None:
                raise SetupError(f"There is no workspace {workspace}.")
            await tx.enqueue("refit_bot", unique="refit_bot")
            console.print("Asked for. The bot's page says what became of it.")

    _run(run())


@search.command("evaluate")
def search_evaluate(
    questions: Annotated[Path, _file("Lines of {text, passage_id, language}.")],
    passages: Annotated[Path, _file("Lines of {id, text, language}.")],
    json: AsJson = False,
) -> None:
    """How often the right passage comes first, and among the first five."""
    _measure("search", "--questions", str(questions), "--passages", str(passages), json=json)


def _measure(*arguments: str, json: bool) -> NoReturn:
    _with_models("plugin.bot.evaluate", *arguments, *(["--json"] if json else []))


def _with_models(module: str, *arguments: str) -> NoReturn:
    """Become the process that loads the models: no other imports them, and they must find their threads counted."""
    sys.stdout.flush()
    os.execve(  # noqa: S606 - our own Python, no shell
        sys.executable, [sys.executable, "-m", module, *arguments], {**os.environ, **place.ENVIRONMENT}
    )


@cli.command()
def demo(
    orders: Annotated[bool, typer.Option(help="Let orders and carts trickle in.")] = True,
) -> None:
    """Everything at once, with a Shopify and a WooCommerce store that live on this machine."""
    configure(format="console", level="warning")
    _run(demo_story.run(config.load(), console, trickle=orders))


@cli.command(hidden=True)
def demo_web() -> None:
    """The demo's web process: the only one that may frame the panel in simulated admins."""
    settings = _settings(demo=True)

    async def run() -> None:
        stop = processes.stop_signal()
        async with processes.application(settings, demo_story.transport(settings)) as app:
            await processes.run_web(app, stop)

    _run(run())


@cli.command(hidden=True)
def demo_worker() -> None:
    """The demo's worker process."""
    _work(_settings(demo=True))


@cli.command()
def migrate() -> None:
    """Bring the database to this version: roles, schema, row-level security."""
    settings = _settings()

    async def run() -> None:
        async with processes.application(settings):
            console.print("The database is up to date.")

    _run(run())


@cli.command()
def backfill(store: StoreOption = "", again: Annotated[bool, typer.Option(help="From the beginning.")] = False) -> None:
    """Fetch the history of stores, with a progress bar. Interrupted, it goes on where it stopped."""
    settings = _settings()

    async def run() -> None:
        async with processes.application(settings) as app:
            chosen = await _stores(app, store)
            for workspace_id, store_id, _ in chosen:
                if again:
                    async with app.db.transaction(workspace_id) as tx:
                        await crm_backfill.restart(tx, store_id)
                await crm_backfill.start_backfill(app, workspace_id, store_id=str(store_id))
            await follow_backfills(app, chosen, console, work=True)

    _run(run())


@cli.command()
def reconcile(
    store: StoreOption = "",
    hours: Annotated[int, typer.Option(help="How far back to compare, in hours.", min=1, max=_MOST_HOURS)] = 48,
) -> None:
    """Compare stores with what we have and fetch what was missed."""
    settings = _settings()

    async def run() -> None:
        async with processes.application(settings) as app:
            since, refused = datetime.now(UTC) - timedelta(hours=hours), 0
            for workspace_id, store_id, name in await _stores(app, store):
                try:
                    found = await crm_reconcile.reconcile(app, workspace_id, store_id, since=since)
                except PlatformError as error:
                    refused += 1
                    console.print(f"{name}: not compared, {error.said}", highlight=False)
                else:
                    console.print(f"{name}: {_compared(found)}", highlight=False)
            if refused:
                raise SystemExit(1)

    _run(run())


def _compared(found: crm_reconcile.Found) -> str:
    """What a comparison found, in a line."""
    said = f"{found.seen} looked at, {found.changed} were missing or old"
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(Counter(c.resource for c in found.changes).items()))
    missed = f"; no webhook had told of {len(found.missed)}" if found.missed else ""
    return said + (f": {kinds}" if kinds else "") + missed


@cli.command()
def replay(
    ids: Annotated[
        list[int] | None,
        typer.Argument(help="Rows of the webhook inbox; none: every parked one.", min=1, max=2**63 - 1),
    ] = None,
    hours: Annotated[
        int | None, typer.Option(help="Everything received in the last hours instead.", min=1, max=_MOST_HOURS)
    ] = None,
) -> None:
    """Read webhooks again: parked ones, those named, or the last hours. Doing it twice changes nothing."""
    if ids and hours:
        raise typer.BadParameter("Name rows or hours, not both.")
    settings = _settings()

    async def run() -> None:
        async with processes.application(settings) as app:
            since = datetime.now(UTC) - timedelta(hours=hours) if hours else None
            count = await inbox.replay(app.db, ids=ids or (), since=since)
            done = await handlers.drain(app)
            console.print(f"{count} put back, {done} read, {await inbox.parked(app.db)} parked now.")

    _run(run())


@cli.command()
def seed(
    conversations: Annotated[int, typer.Option(min=1, help="How many conversations.")] = 1_000,
    messages: Annotated[int, typer.Option(min=1, help="How many messages in all.")] = 10_000,
    store: StoreOption = "",
    remove: Annotated[bool, typer.Option(help="Take out what was seeded instead.")] = False,
    anyway: Annotated[bool, typer.Option(help="Also where real shoppers may be.")] = False,
) -> None:
    """Fill a store's inbox with made-up conversations in three languages, tagged `seeded`, to try things at size."""
    settings = _settings(demo=True)
    if not anyway:
        seeding.refuse(settings)
    if messages < conversations:
        raise SetupError("A conversation has a message at least: --messages must not be less than --conversations.")

    async def run() -> None:
        async with processes.application(settings) as app:
            workspace_id, store_id, name = (await _stores(app, store))[0]
            if remove:
                gone = await seeding.remove(app, workspace_id)
                console.print(f"{name}: {gone} seeded conversations taken out.", highlight=False)
                return
            await follow(
                seeding.seed(app, workspace_id, store_id, conversations=conversations, messages=messages), console
            )
            console.print(f"{name}: {conversations} conversations, {messages} messages.", highlight=False)

    _run(run())


@cli.command()
def doctor() -> None:
    """Say in plain words what is wrong with this set-up."""

    async def run() -> None:
        findings = await doctor_story.examine(config.load())
        for finding in findings:
            mark = "[green]✓[/]" if finding.ok else "[red]✗[/]"
            console.print(f"{mark} {finding.what}", highlight=False, soft_wrap=True)
            if finding.remedy:
                console.print(f"  → {finding.remedy}", highlight=False, soft_wrap=True)
        if not all(finding.ok for finding in findings):
            raise SystemExit(1)

    _run(run())


@keys.command("new")
def keys_new(name: Annotated[str, typer.Argument(help="A name for the key, for example 2026-11.")]) -> None:
    """Print a fresh key for AHLAN_ENCRYPTION_KEYS."""
    typer.echo(crypto.new_master_key(name))


@keys.command("rotate")
def keys_rotate(
    plugins: Annotated[
        bool, typer.Option(help="Also renew the secrets that stores' own plugins share with us, now.")
    ] = False,
) -> None:
    """Wrap every workspace's data key with the first key of AHLAN_ENCRYPTION_KEYS.

    Put the new key first, keep the old one behind it, restart, run this. Then `ahlan doctor` says that the old one may
    go: take it out and restart every process.

    The secret that each store's plugin shares with us is renewed by itself every 90 days; `--plugins` does it now.
    """
    settings = _settings()

    async def run() -> None:
        async with processes.application(settings) as app:
            changed = 0
            for workspace_id in await app.db.workspaces():
                async with app.db.transaction(workspace_id) as tx:
                    changed += await app.vault.rewrap(tx)
            await app.vault.retire(app.db.app)
            console.print(f"{changed} data keys wrapped with the current key.")
            for workspace_id, store_id, name in await _stores(app, "") if plugins else ():
                try:
                    renewed = await crm_reconcile.rotate_secret(app, workspace_id, store_id)
                except (PlatformError, Busy) as error:
                    reason = error.said if isinstance(error, PlatformError) else "it is being checked just now"
                    console.print(f"{name}: not renewed, {reason}", highlight=False)
                else:
                    console.print(f"{name}: {'renewed' if renewed else 'no plugin secret'}", highlight=False)

    _run(run())


@owner.command("recover")
def owner_recover(email: Annotated[str, typer.Argument(help="The address that the owner signs in with.")]) -> None:
    """Print a link for an owner who lost their phone and every recovery code; good for 15 minutes, and once.

    Be sure that it is them who ask. Opened, it asks for their password, switches the second step off and signs them out
    everywhere else; the audit log of the workspace keeps it.
    """
    settings = _settings()

    async def run() -> None:
        async with processes.application(settings) as app:
            for name, alone, link in await _recovery_links(app, email):
                console.print(f"{name}: {link}", highlight=False, markup=False, soft_wrap=True)
                if not alone:
                    console.print("  Another owner can take the second step away too, under Team.", highlight=False)

    _run(run())


async def _recovery_links(app: App, typed: str) -> list[tuple[str, bool, str]]:
    """(workspace, whether they are its only owner, link) for each workspace of this owner. Raises SetupError."""
    email = normalise_email(typed) or ""
    links, refused = [], f"Nobody signs in with {typed!r}."
    for workspace_id, _store in sorted(await app.db.lookup("sign_in", app.vault.fingerprint("email", email))):
        async with app.db.transaction(workspace_id) as tx:
            agent, workspace = await team.by_email(tx, email), await workspaces.current(tx)
            if agent is None or workspace is None:
                continue
            try:
                word = await team.recovery.recovery_word(tx, app.vault, agent)
            except SetupError as error:
                refused = f"{typed} is, in {workspace.name!r}, {error}"
                continue
            links.append((workspace.name, not await team.has_owner(tx, but=agent.id),
                          f"{app.settings.public_url}{team.recovery.PATH}/{word}"))  # fmt: skip
    if not links:
        raise SetupError(refused)
    return links


async def _stores(app: App, wanted: str) -> list[tuple[UUID, UUID, str]]:
    """(workspace, store, name) of connected stores, all or the one named. Raises SetupError when there is none."""
    found: list[tuple[UUID, UUID, str]] = []
    for workspace_id in await app.db.workspaces():
        async with app.db.transaction(workspace_id) as tx:
            if await workspaces.current(tx) is None:
                continue
            for store in await stores.all_stores(tx):
                named = {str(store.id), store.external_id, store.url, store.public_key}
                if store.status == stores.CONNECTED and (not wanted or wanted in named):
                    found.append((workspace_id, store.id, store.name))
    if not found:
        raise SetupError(f"There is no connected store {wanted!r}." if wanted else "No store is connected yet.")
    return found
