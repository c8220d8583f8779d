"""Real servers for every test: one PostgreSQL and one Valkey per run, one database per worker, one workspace per test.

Under pytest-xdist the servers belong to the run's first process, which outlives its workers; without it they start when
the first test asks. Pure tests never ask.
"""

import asyncio
import fcntl
import gc
import importlib
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import hypothesis
import pytest
from argon2 import PasswordHasher
from argon2.profiles import CHEAPEST
from jinja2 import Environment, FileSystemBytecodeCache
from redis.asyncio import Redis
from xdist.scheduler import LoadScopeScheduling

from plugin import workspaces
from plugin.app import App
from plugin.kernel import embedded
from plugin.kernel.config import Settings, ShopifyApp
from plugin.kernel.embedded import Servers

# Until the tests are collected (`_settle`): nothing that is read on the way is garbage.
gc.disable()

# Enough for what is met every day; `--hypothesis-profile=default` tries a hundred. How fast inputs are made says how
# busy the machine is.
hypothesis.settings.register_profile(
    "daily", max_examples=40, suppress_health_check=[hypothesis.HealthCheck.too_slow], deadline=None
)
hypothesis.settings.load_profile("daily")

# One key for all workers: the database roles belong to the whole server, and their passwords are derived from it.
ENCRYPTION_KEY = "tests:" + "dGVzdHMgb25seSwgMzIgYnl0ZXMgb2Yga2V5ISEhISE="
_SERVERS = pytest.StashKey[Servers]()


# What takes long begins first, the longest at the top: begun last, it would keep one worker while the others wait.
# Those who wait for a browser or a killed process and those who compute take turns, so that both go on side by side.
# The marker is looked for in the whole database: while that is small.
_LONG = (
    "tests/privacy/test_marker.py", "tests/wordpress/", "tests/browser/test_walks.py", "tests/contracts/",
    "tests/browser/test_widget.py", "tests/joining/", "tests/browser/test_states.py", "tests/journeys/test_kill.py",
    "tests/browser/test_panel.py", "tests/house/test_routes.py", "tests/browser/test_returns.py", "tests/admin_ui/",
    "tests/browser/test_chat.py", "tests/journeys/", "tests/browser/test_bot_journeys.py", "tests/house/",
    "tests/browser/test_writing.py", "tests/conversations/", "tests/browser/", "tests/returns/", "tests/actions/",
    "tests/integrations/", "tests/widget/", "tests/bot/",
)  # fmt: skip
# One shop serves all of these.
_SHOP = re.compile(r"tests/wordpress/test_(?!life|php|zip)")
# Each of its tests takes as long as other files.
_SPREAD = "tests/browser/test_states.py"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Under pytest-xdist the longest first; everything else, and everywhere else, as it stands."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: next((at for at, name in enumerate(_LONG) if item.nodeid.startswith(name)), 99))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Seven thousand tests and the whole product stay for as long as the run: looking through all of them for garbage
    again and again took a quarter of its time.
    """
    _settle()


def _settle() -> None:
    """What there is now stays; what comes is looked through when there is much of it."""
    gc.enable()
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


class _ByFile(LoadScopeScheduling):
    """`--dist loadfile` in the order given, where a worker is handed more only when it has next to nothing left."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "tests/wordpress" if _SHOP.match(file) else nodeid if file == _SPREAD else file

    def _reschedule(self, node: Any) -> None:
        # A worker must know the test after the one that it runs; what it holds beyond that, nobody else can take.
        if self._pending_of(self.assigned_work[node]) < 2 or not self.workqueue:
            super()._reschedule(node)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling | None:
    return _ByFile(config, log) if config.getoption("dist") == "loadfile" else None


class _ServersForWorkers:
    """Registered with pytest-xdist only: tells each worker where the run's servers are."""

    def pytest_configure_node(self, node: Any) -> None:
        if _SERVERS not in node.config.stash:
            node.config.stash[_SERVERS] = asyncio.run(_start())
        node.workerinput["servers_data_dir"] = str(node.config.stash[_SERVERS].data_dir)


def pytest_configure(config: pytest.Config) -> None:
    if config.pluginmanager.hasplugin("dsession"):
        config.pluginmanager.register(_ServersForWorkers())


def pytest_unconfigure(config: pytest.Config) -> None:
    if (servers := config.stash.get(_SERVERS, None)) is not None:
        asyncio.run(servers.stop())
        shutil.rmtree(servers.data_dir, ignore_errors=True)


def _new_data_dir() -> Path:
    return Path(tempfile.mkdtemp(prefix="ahlan-tests-"))


async def _start() -> Servers:
    """Without waiting for the disk at each of a hundred thousand commits: what is in a test's database may go with the
    machine. Tests that kill servers start their own, as they are in production.
    """
    relaxed = dict.fromkeys(("fsync", "synchronous_commit", "full_page_writes"), "off")
    return await embedded.start(_new_data_dir(), postgres_settings=relaxed)


@contextmanager
def _one_worker_at_a_time(directory: Path) -> Iterator[None]:
    """Roles are created for the whole server, which PostgreSQL does not let two transactions do at once."""
    with (directory / "tests.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
async def servers(request: pytest.FixtureRequest) -> Servers:
    """The run's PostgreSQL and Valkey."""
    shared = getattr(request.config, "workerinput", {}).get("servers_data_dir")
    if shared:
        attached = await embedded.attach(Path(shared))
        assert attached is not None, "the run's servers do not answer"
        return attached
    if _SERVERS not in request.config.stash:
        request.config.stash[_SERVERS] = await _start()
    return request.config.stash[_SERVERS]


@pytest.fixture(scope="session")
async def database_url(servers: Servers) -> str:
    """An empty database of this worker's own, as the superuser."""
    name = f"test_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    connection = await asyncpg.connect(servers.database_url)
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    return servers.database_url_for(name)


@pytest.fixture(scope="session")
async def redis_url(servers: Servers) -> str:
    """A Valkey database of this worker's own."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    return f"{servers.redis_url}?db={int(worker.removeprefix('gw')) + 1}"


@pytest.fixture(scope="session")
async def valkey(redis_url: str) -> AsyncIterator[Redis]:
    """A client of this worker's Valkey database."""
    async with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings that need nothing from the environment."""
    return Settings(
        data_dir=tmp_path_factory.mktemp("data"),
        encryption_keys=(ENCRYPTION_KEY,),
        shopify=ShopifyApp(client_id="test-client-id", secret="test-secret"),
    )


def _folder(path: Path) -> Path:
    path.mkdir(exist_ok=True)
    return path


def _nowhere(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError(f"tests do not leave this machine: {request.method} {request.url}")


@pytest.fixture(scope="session")
async def app(settings: Settings, servers: Servers, database_url: str, redis_url: str) -> AsyncIterator[App]:
    """An App on a migrated database, without a way out: tests that speak to a simulator start their own."""
    # Imported here: pure tests are spared the whole product's start.
    bootstrap = importlib.import_module("plugin.bootstrap")
    # A password takes a fifth of a second on purpose, and nearly every test of the panel signs in. What they are really
    # hashed with is held by tests/admin_ui/test_accounts.py.
    importlib.import_module("admin_ui.auth")._HASHER = PasswordHasher.from_parameters(CHEAPEST)
    # A process makes its templates into code once; a test run puts up hundreds of sites, and workers share it.
    compiled = FileSystemBytecodeCache(str(_folder(servers.data_dir / "templates")))
    importlib.import_module("plugin.kernel.web").Environment = partial(Environment, bytecode_cache=compiled)
    block = bootstrap.start(
        settings, database_url=database_url, redis_url=redis_url, transport=httpx.MockTransport(_nowhere)
    )
    with _one_worker_at_a_time(servers.data_dir):
        app = await block.__aenter__()
    _settle()
    yield app
    await block.__aexit__(None, None, None)


async def _new_workspace(app: App) -> UUID:
    workspace_id = workspaces.new_workspace_id()
    async with app.db.transaction(workspace_id) as tx:
        await workspaces.create(tx, "Test shop")
    return workspace_id


@pytest.fixture
async def workspace(app: App) -> UUID:
    """A fresh workspace's id: what other tests wrote cannot be seen from it."""
    return await _new_workspace(app)


@pytest.fixture
async def other_workspace(app: App) -> UUID:
    """Somebody else's workspace, for everything that must not be reachable from `workspace`."""
    return await _new_workspace(app)
