"""The `ahlan` command as an operator types it: what works, and the one sentence that says why something does not."""

import asyncio
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pyotp
import pytest
from redis.asyncio import Redis
from sqlalchemy import text
from typer.testing import CliRunner

from plugin import bootstrap, cli, demo, doctor, stores, team, workspaces
from plugin.app import App
from plugin.kernel import crypto, embedded
from plugin.kernel.config import Demo, Settings, ShopifyApp
from plugin.kernel.embedded import Servers
from plugin.kernel.errors import SetupError
from plugin.platform import StoreProfile
from plugin.team import Role, recovery, second_factor
from webhooks.receiver import Inbox

_OURS = ("AHLAN_", "DATABASE_URL", "REDIS_URL", "SHOPIFY_")


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    code: int
    out: str
    error: str


async def ahlan(*arguments: str, seconds: float = 40, **environment: str) -> Said:
    """Run the command in a process of its own, with nothing of ours in its environment but what is given."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "plugin", *arguments, env={**clean, "COLUMNS": "40", **environment},
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        out, error = await asyncio.wait_for(process.communicate(), seconds)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    assert process.returncode is not None
    return Said(process.returncode, out.decode(), error.decode())


def one_sentence(said: Said) -> str:
    """The sentence of a command that refused; a traceback is none."""
    assert said.code == 1, said
    assert "Traceback" not in said.error
    assert said.error.startswith("ahlan: ")
    assert len(said.error.strip().splitlines()) == 1
    return said.error


Here = Callable[..., Awaitable[Said]]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Here:
    """The same in this process, for what needs no signals: it spares each command the start of a Python."""
    monkeypatch.setattr(cli, "configure", lambda **_: None)
    monkeypatch.setenv("COLUMNS", "400")
    for name in list(os.environ):
        if name.startswith(_OURS):
            monkeypatch.delenv(name)

    async def run(*arguments: str, **environment: str) -> Said:
        runner = CliRunner()
        result = await asyncio.to_thread(runner.invoke, cli.cli, arguments, env=environment)
        if isinstance(result.exception, SetupError):
            return Said(1, result.stdout, f"ahlan: {result.exception}\n")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Said(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture(scope="module")
async def house() -> AsyncIterator[Servers]:
    """A data directory with its servers running, as a first `ahlan serve` would have left it."""
    data_dir = Path(tempfile.mkdtemp(prefix="ahlan-cli-"))
    servers = await embedded.start(data_dir)
    yield servers
    await servers.stop()
    shutil.rmtree(data_dir, ignore_errors=True)


DEMO_SETTINGS = [
    {"AHLAN_DEMO_FRAME_ANCESTORS": "http://admin-shopify-demo.localhost:8001"},
    {"AHLAN_DEMO_APP_BRIDGE_URL": "http://localhost:8001/app-bridge.js"},
    {"AHLAN_DEMO_SIMULATOR_URL": "http://127.0.0.1:8001"},
    {"SHOPIFY_API_KEY": demo.CLIENT_ID, "SHOPIFY_API_SECRET": "mine"},
    {"SHOPIFY_API_KEY": "mine", "SHOPIFY_API_SECRET": demo.CLIENT_SECRET},
    {"SHOPIFY_API_KEY": "mine", "SHOPIFY_API_SECRET": "x", "SHOPIFY_API_SECRET_PREVIOUS": demo.CLIENT_SECRET},
]


@pytest.mark.parametrize("setting", DEMO_SETTINGS, ids=lambda setting: list(setting)[-1])
@pytest.mark.parametrize("command", ["serve", "worker", "migrate"])
async def test_everything_of_the_demo_is_refused(
    here: Here, command: str, setting: dict[str, str], tmp_path: Path
) -> None:
    said = one_sentence(await here(command, AHLAN_DATA_DIR=str(tmp_path / "data"), **setting))
    assert "demo" in said.lower()
    assert not (tmp_path / "data").exists(), "refused before anything was started"


async def test_serve_refuses_in_a_terminal_too(tmp_path: Path) -> None:
    said = one_sentence(await ahlan("serve", AHLAN_DATA_DIR=str(tmp_path / "data"), **DEMO_SETTINGS[0]))
    assert "AHLAN_DEMO_… variables are set" in said


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"AHLAN_PORT": "eighty"}, "AHLAN_PORT must be a whole number"),
        ({"AHLAN_PORT": "65536"}, "of at most 65535"),
        ({"AHLAN_EVENT_RETENTION_DAYS": "9" * 5000}, "AHLAN_EVENT_RETENTION_DAYS must be a whole number"),
        ({"AHLAN_LOG_FORMAT": "xml"}, "AHLAN_LOG_FORMAT must be one of"),
        ({"AHLAN_PUBLIC_URL": "support.example"}, "AHLAN_PUBLIC_URL must look like https://support.example.com"),
        ({"AHLAN_PUBLIC_URL": "https://x.example/ahlan"}, "AHLAN_PUBLIC_URL must look like"),
        ({"AHLAN_PUBLIC_URL": "https://x.example:99999"}, "AHLAN_PUBLIC_URL must look like"),
        ({"DATABASE_URL": "nonsense"}, "DATABASE_URL must look like postgresql://"),
        ({"DATABASE_URL": "mysql://x/y"}, "DATABASE_URL must look like postgresql://"),
        ({"DATABASE_URL": "postgresql://me:hush@x:port/y"}, "DATABASE_URL must look like postgresql://"),
        ({"REDIS_URL": "http://x"}, "REDIS_URL must look like redis://"),
        ({"REDIS_URL": "redis://me:hush@x:port"}, "REDIS_URL must look like redis://"),
        ({"AHLAN_DATA_DIR": "/proc/nowhere"}, "/proc/nowhere cannot be used"),
        ({"AHLAN_DATA_DIR": "/dev/null"}, "/dev/null cannot be used"),
        (
            {"DATABASE_URL": "postgresql://localhost/x", "REDIS_URL": "redis://localhost"},
            "AHLAN_ENCRYPTION_KEYS is empty",
        ),
        ({"AHLAN_ENCRYPTION_KEYS": "short:abc"}, "32 bytes in base64"),
    ],
    ids=lambda setting: "" if isinstance(setting, str) else "-".join(setting),
)
async def test_a_setting_that_cannot_work_is_named(
    here: Here, house: Servers, setting: dict[str, str], words: str
) -> None:
    said = one_sentence(await here("migrate", **{"AHLAN_DATA_DIR": str(house.data_dir), **setting}))
    assert words in said
    assert "hush" not in said


async def test_a_database_that_is_not_there_is_one_sentence(here: Here, tmp_path: Path) -> None:
    said = one_sentence(
        await here(
            "migrate", AHLAN_DATA_DIR=str(tmp_path), AHLAN_ENCRYPTION_KEYS=crypto.new_master_key("a"),
            DATABASE_URL="postgresql://postgres@127.0.0.1:1/x", REDIS_URL="redis://127.0.0.1:1",
        )
    )  # fmt: skip
    assert "DATABASE_URL" in said


async def test_a_second_start_on_the_same_directory_says_so(house: Servers) -> None:
    environment = {"AHLAN_DATA_DIR": str(house.data_dir), "AHLAN_PORT": str(_free_port())}
    for said in await asyncio.gather(*(ahlan(command, **environment) for command in ("serve", "demo"))):
        assert f"already runs on {house.data_dir}" in one_sentence(said)
    assert await embedded.attach(house.data_dir) is not None, "the first one goes on"


async def test_a_taken_port_is_one_sentence(house: Servers) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = one_sentence(
            await ahlan(
                "serve", AHLAN_DATA_DIR=str(house.data_dir), AHLAN_PORT=str(port), DATABASE_URL=house.database_url,
                REDIS_URL=house.redis_url, AHLAN_ENCRYPTION_KEYS=_local_key(house),
            )
        )  # fmt: skip
    assert f"Port {port} of 127.0.0.1 cannot be used" in said


async def test_a_demo_does_not_take_what_else_answers_on_its_ports_for_its_own() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with tempfile.TemporaryDirectory(prefix="ahlan-cli-") as folder:
            said = await ahlan("demo", AHLAN_DATA_DIR=f"{folder}/data", AHLAN_PORT=str(port - 1))
    assert f"Port {port} of 127.0.0.1 cannot be used" in one_sentence(said)
    assert "ready" not in said.out


@pytest.mark.parametrize("command", ["serve", "worker"])
async def test_a_demos_data_is_not_served_to_the_world(here: Here, tmp_path: Path, command: str) -> None:
    (tmp_path / "data" / demo.STORES).mkdir(parents=True)
    said = one_sentence(await here(command, AHLAN_DATA_DIR=str(tmp_path / "data")))
    assert "holds the demo's data" in said
    assert [path.name for path in (tmp_path / "data").iterdir()] == [demo.STORES], "nothing was started"


async def test_a_demo_does_not_move_into_a_real_installation() -> None:
    data = Path(tempfile.mkdtemp(prefix="ahlan-real-"))
    try:
        await (await embedded.start(data)).stop()
        said = one_sentence(await ahlan("demo", AHLAN_DATA_DIR=str(data), AHLAN_PORT=str(_free_port())))
        assert f"{data} holds a real installation" in said
        assert not demo.is_demo(data)
    finally:
        shutil.rmtree(data, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _local_key(house: Servers) -> str:
    return crypto.local_keys(house.data_dir)[0]


async def test_migrate_may_be_repeated(here: Here, house: Servers) -> None:
    for _ in range(2):
        said = await here("migrate", AHLAN_DATA_DIR=str(house.data_dir))
        assert (said.code, said.error) == (0, ""), said
        assert "up to date" in said.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["replay", "99999999999999999999"], "9223372036854775807"),
        (["replay", "0"], "greater than or equal to 1"),
        (["replay", "--hours", "0"], "greater than or equal to 1"),
        (["replay", "--hours", "999999999"], "less than or equal to 876000"),
        (["replay", "1", "--hours", "3"], "rows or hours, not both"),
        (["reconcile", "--hours", "-3"], "greater than or equal to 1"),
        (["reconcile", "--hours", "9" * 5000], "integer"),
        (["frobnicate"], "No such command"),
        (["serve", "--nope"], "No such option"),
        (["migrate", "now"], "unexpected extra argument"),
        (["keys", "new"], "Missing argument"),
    ],
    ids=lambda one: "" if isinstance(one, str) else " ".join(one)[:40],
)
async def test_wrong_usage_is_named_before_anything_starts(
    here: Here, tmp_path: Path, arguments: list[str], words: str
) -> None:
    said = await here(*arguments, AHLAN_DATA_DIR=str(tmp_path / "data"))
    assert said.code == 2, said
    assert words in said.error
    assert not (tmp_path / "data").exists()


async def test_a_command_without_a_store_says_so(here: Here, house: Servers) -> None:
    for command in ("backfill", "reconcile"):
        assert "No store is connected yet" in one_sentence(await here(command, AHLAN_DATA_DIR=str(house.data_dir)))


async def test_a_new_key_is_one_that_is_taken(here: Here) -> None:
    said = await here("keys", "new", "2026-11")
    assert set(crypto.read_keys((said.out.strip(),))) == {"2026-11"}


# Keys


async def test_keys_are_rotated_and_the_old_one_may_go(here: Here, house: Servers) -> None:
    old, new = _local_key(house), crypto.new_master_key("fresh")
    settings = Settings(data_dir=house.data_dir, shopify=ShopifyApp("id", "secret"))

    def start(*keys: str) -> AbstractAsyncContextManager[App]:
        return bootstrap.start(
            replace(settings, encryption_keys=keys), database_url=house.database_url, redis_url=house.redis_url
        )

    async with start(old) as app:
        workspace_id = workspaces.new_workspace_id()
        profile = StoreProfile("Shop", "https://s.example", (), "ILS", 2, "UTC", "he")
        async with app.db.transaction(workspace_id) as tx:
            await workspaces.create(tx, "Sealed")
            store = await stores.connect(tx, platform="shopify", external_id="sealed.myshopify.com", profile=profile)
            await stores.put_credential(tx, app.vault, store.id, "access", "shpat_secret")
        before = app.vault.fingerprint("email", "noa@example.com")

    environment = {"AHLAN_DATA_DIR": str(house.data_dir)}
    refused = one_sentence(await here("migrate", **environment, AHLAN_ENCRYPTION_KEYS=new))
    assert "'local' is missing from AHLAN_ENCRYPTION_KEYS" in refused
    first = await here("keys", "rotate", **environment, AHLAN_ENCRYPTION_KEYS=f"{new},{old}")
    assert first.code == 0, first
    assert not first.out.startswith("0 ")
    again = await here("keys", "rotate", **environment, AHLAN_ENCRYPTION_KEYS=f"{new},{old}")
    assert again.out.startswith("0 data keys"), again
    told = await here("doctor", **environment, AHLAN_ENCRYPTION_KEYS=f"{new},{old}")
    assert "Nothing is sealed with the encryption key 'local'" in told.out

    async with start(new) as app:
        async with app.db.transaction(workspace_id) as tx:
            found = await stores.credential(tx, app.vault, store.id, "access")
        assert found is not None
        assert found[0] == "shpat_secret"
        assert app.vault.fingerprint("email", "noa@example.com") == before, "people find their accounts again"
    # Back to the directory's own key, for the tests that follow.
    assert (await here("keys", "rotate", **environment, AHLAN_ENCRYPTION_KEYS=f"{old},{new}")).code == 0


# Owners


async def test_an_owner_without_phone_and_codes_is_let_in_by_an_operator(here: Here, house: Servers) -> None:
    settings = Settings(data_dir=house.data_dir, encryption_keys=(_local_key(house),))
    email, environment = f"{uuid4().hex}@dukkan.example", {"AHLAN_DATA_DIR": str(house.data_dir)}
    unknown = one_sentence(await here("owner", "recover", email, **environment))
    assert "Nobody signs in with" in unknown
    async with bootstrap.start(settings, database_url=house.database_url, redis_url=house.redis_url) as app:
        workspace_id, now = workspaces.new_workspace_id(), datetime.now(UTC)
        async with app.db.transaction(workspace_id) as tx:
            await workspaces.create(tx, "Dukkan")
            owner = await team.add(tx, name="Maya", email=email, role=Role.OWNER, password_hash="a hash")
            await stores.claim(tx, "sign_in", app.vault.fingerprint("email", email))
        plain = one_sentence(await here("owner", "recover", email, **environment))
        assert "the password is enough" in plain
        async with app.db.transaction(workspace_id) as tx:
            secret = await second_factor.begin_factor(tx, app.vault, owner)
            session = await team.session_agent(tx, await team.open_session(tx, owner, ""))
            assert session is not None
            code = pyotp.TOTP(secret).at(now)
            await second_factor.confirm_factor(tx, app.vault, owner, code, now, session_id=session[0].id)
        said = await here("owner", "recover", f" {email.upper()} ", **environment)
        assert said.code == 0, said
        (line,) = said.out.splitlines()
        assert line.startswith("Dukkan: http")
        async with app.db.transaction(workspace_id) as tx:
            await team.add(tx, name="Noa", email=f"{uuid4().hex}@x.example", role=Role.OWNER, password_hash="another")
        assert "Another owner" in (await here("owner", "recover", email, **environment)).out
        async with app.db.transaction(workspace_id) as tx:
            assert await recovery.recover(tx, app.vault, line.rpartition("/")[2]) is not None
            assert await second_factor.factor(tx, owner.id) is None


# Replay


async def test_replay_reads_what_was_parked_once_more(here: Here, house: Servers) -> None:
    settings = Settings(data_dir=house.data_dir, encryption_keys=(_local_key(house),))
    async with bootstrap.start(settings, database_url=house.database_url, redis_url=house.redis_url) as app:
        workspace_id = workspaces.new_workspace_id()
        profile = StoreProfile("Shop", "https://r.example", (), "ILS", 2, "UTC", "he")
        async with app.db.transaction(workspace_id) as tx:
            await workspaces.create(tx, "Replayed")
            await stores.connect(tx, platform="shopify", external_id="replayed.myshopify.com", profile=profile)
        door = Inbox(app.queue_url, _silence)
        body = b'{"id": 7, "admin_graphql_api_id": "gid://shopify/Customer/7", "email": "seven@example.com"}'
        for content in (b'{"broken', body):
            key = str(uuid4())
            await door.put(
                ("shopify", key, "store", "shopify:replayed.myshopify.com", "customers/create", content, "{}")
            )
        await door.close()
    environment = {"AHLAN_DATA_DIR": str(house.data_dir)}
    nothing = await here("replay", **environment)
    assert "0 put back, 1 read, 1 parked now." in nothing.out, nothing
    parked = await here("replay", **environment)
    assert "1 put back, 0 read, 1 parked now." in parked.out, parked
    whole = await here("replay", "--hours", "1", **environment)
    assert "2 put back, 1 read, 1 parked now." in whole.out, whole


async def _silence() -> None:
    """No worker listens."""


# Reconcile


async def test_a_store_that_cannot_be_asked_is_named_in_a_line(here: Here, house: Servers) -> None:
    settings = Settings(data_dir=house.data_dir, encryption_keys=(_local_key(house),))
    url = "https://keyless.example"
    profile = StoreProfile("Keyless", url, (), "ILS", 2, "UTC", "he")
    async with (
        bootstrap.start(settings, database_url=house.database_url, redis_url=house.redis_url) as app,
        app.db.transaction(workspaces.new_workspace_id()) as tx,
    ):
        await workspaces.create(tx, "Keyless")
        await stores.connect(tx, platform="woocommerce", external_id=url, profile=profile)
    said = await here("reconcile", "--store", url, AHLAN_DATA_DIR=str(house.data_dir))
    assert (said.code, said.out.strip()) == (1, "Keyless: not compared, this store has no keys")


# Doctor


def _by_words(findings: list[doctor.Diagnosis]) -> str:
    return "\n".join(f"{'ok' if one.ok else 'NOT'} {one.what} {one.remedy}" for one in findings)


@pytest.fixture
def good(settings: Settings, database_url: str, redis_url: str) -> Settings:
    return replace(
        settings, database_url=database_url, redis_url=redis_url, public_url="https://support.example",
    )  # fmt: skip


async def test_doctor_finds_a_good_set_up_good(app: App, good: Settings, valkey: Redis) -> None:
    await valkey.set("arq:queue:health-check", "j_complete=0", ex=60)
    # What other tests left lying in the queue is not looked at.
    said = _by_words([one for one in await doctor.examine(good) if "failed for good" not in one.what
                      and "webhook" not in one.what and not one.store])  # fmt: skip
    await valkey.delete("arq:queue:health-check")
    assert "NOT" not in said
    for words in ("PostgreSQL answers", "keys fit", "cannot bypass row-level security", "append-only", "at work"):
        assert words in said


Bad = Callable[[Settings], Settings]


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (
            lambda good: replace(good, encryption_keys=("tests:" + crypto.new_master_key("x").partition(":")[2],)),
            "NOT The encryption key 'tests' is not the one that this database's data is sealed with",
        ),
        (
            lambda good: replace(good, encryption_keys=(crypto.new_master_key("another"),)),
            "NOT The encryption key 'tests' is missing from AHLAN_ENCRYPTION_KEYS",
        ),
        (lambda good: replace(good, encryption_keys=()), "NOT AHLAN_ENCRYPTION_KEYS is empty"),
        (
            lambda good: replace(good, database_url="postgresql://postgres@127.0.0.1:1/x"),
            "NOT PostgreSQL does not let us in at DATABASE_URL",
        ),
        (lambda good: replace(good, redis_url="redis://127.0.0.1:1"), "NOT Valkey does not answer"),
        (lambda good: replace(good, public_url="http://support.example"), "put TLS in front"),
        (lambda good: replace(good, shopify=ShopifyApp()), "NOT No Shopify app is configured."),
        (lambda good: replace(good, demo=Demo(simulator_url="http://x")), "NOT AHLAN_DEMO_"),
        (lambda good: replace(good, extra_ca_file="/nowhere.pem"), "NOT AHLAN_EXTRA_CA_FILE '/nowhere.pem'"),
    ],
    ids=["wrong key", "missing key", "no keys", "no database", "no valkey", "no tls", "no app", "demo", "no authority"],
)
async def test_doctor_says_what_is_wrong(app: App, good: Settings, bad: Bad, words: str) -> None:
    assert words in _by_words(await doctor.examine(bad(good)))


async def test_doctor_misses_a_worker(app: App, good: Settings, valkey: Redis) -> None:
    await valkey.delete("arq:queue:health-check")
    assert "NOT No worker is running. Start `ahlan worker`" in _by_words(await doctor.examine(good))


async def test_doctor_counts_what_was_left_lying(app: App, good: Settings, workspace: UUID) -> None:
    async with app.db.transaction(workspace) as tx:
        await tx.enqueue("nothing", unique="doctor")
    row = (
        "INSERT INTO webhook_inbox (source, key, store_kind, store_key, topic, body, headers, received_at, parked_at) "
    )
    left = (
        (
            f"{row} SELECT 'doctor', 'late', '', '', '', '', '{{}}', now() - interval '6 minutes', NULL",
            "more than five",
        ),
        (f"{row} SELECT 'doctor', 'parked', '', '', '', '', '{{}}', now(), now()", "`ahlan replay` reads them again"),
        ("UPDATE jobs SET failed_at = now() WHERE unique_key = 'doctor'", "failed for good"),
    )
    before = {one.what for one in await doctor.examine(good)}
    try:
        for statement, _ in left:
            async with app.db.queue.begin() as connection:
                await connection.execute(text(statement))
        news = [one for one in await doctor.examine(good) if one.what not in before and not one.ok]
        assert len(news) == len(left)
        for (_, words), one in zip(left, news, strict=True):
            assert words in f"{one.what} {one.remedy}"
    finally:
        async with app.db.queue.begin() as connection:
            await connection.execute(text("DELETE FROM webhook_inbox WHERE source = 'doctor'"))
            await connection.execute(text("UPDATE jobs SET done_at = now() WHERE unique_key = 'doctor'"))


@pytest.mark.parametrize(("count", "said"), [(0, "0 dogs are"), (1, "1 dog is"), (2, "2 dogs are")])
def test_doctor_counts_as_people_do(count: int, said: str) -> None:
    assert doctor._counted(count, "dog is", "dogs are") == said


async def test_doctors_command_fails_when_something_is_wrong(here: Here, house: Servers) -> None:
    said = await here("doctor", AHLAN_DATA_DIR=str(house.data_dir), AHLAN_DEMO_SIMULATOR_URL="http://x")
    assert said.code == 1
    assert "AHLAN_DEMO_… variables are set" in said.out
    assert "Traceback" not in said.out + said.error
