"""The embedded servers, started, killed, and started again the way an operator's day may go."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
from redis.asyncio import Redis

from plugin.kernel import embedded
from plugin.kernel.errors import SetupError


@pytest.fixture(scope="module")
def data_dir() -> Iterator[Path]:
    """One cluster for the module: initdb is the slow part."""
    path = Path(tempfile.mkdtemp(prefix="ahlan-embedded-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
async def servers(data_dir: Path) -> AsyncIterator[embedded.Servers]:
    running = await embedded.start(data_dir)
    yield running
    await running.stop()


async def _eventually(question: str, ready, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            if await ready():
                return
        except (OSError, asyncpg.PostgresError, SetupError):
            pass
        assert time.monotonic() < deadline, question
        await asyncio.sleep(0.05)


def _processes_of(path: Path) -> list[int]:
    """Processes whose command line names the directory (PostgreSQL's, Valkey's), or that hold its lock open."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and str(path).encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


async def test_answers_and_keeps_data_across_a_restart(data_dir: Path) -> None:
    servers = await embedded.start(data_dir)
    connection = await asyncpg.connect(servers.database_url)
    await connection.execute("CREATE TABLE kept (word text)")
    await connection.execute("INSERT INTO kept VALUES ('مرحبا')")
    assert await connection.fetchval("SHOW max_connections") == "200"
    assert await connection.fetchval("SHOW synchronous_commit") == "on"
    assert await connection.fetchval("SHOW fsync") == "on"
    await connection.close()
    async with Redis.from_url(servers.redis_url) as valkey:
        assert (await valkey.config_get("appendonly"))["appendonly"] == "yes"
        await valkey.set("kept", "yes")
    await servers.stop()

    begun = time.monotonic()
    servers = await embedded.start(data_dir)
    warm = time.monotonic() - begun
    connection = await asyncpg.connect(servers.database_url)
    assert await connection.fetchval("SELECT word FROM kept") == "مرحبا"
    await connection.execute("DROP TABLE kept")
    await connection.close()
    async with Redis.from_url(servers.redis_url) as valkey:
        assert await valkey.get("kept") == b"yes"
    await servers.stop()
    assert _processes_of(data_dir) == []
    assert warm < 5, "a warm start takes a tenth of a second; this one was far off"


async def test_letters_of_all_three_scripts_are_letters(servers: embedded.Servers) -> None:
    connection = await asyncpg.connect(servers.database_url)
    await connection.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    assert await connection.fetchval("SELECT similarity('محمد علي', 'محمد') > 0.3")
    assert await connection.fetchval("SELECT similarity('יוסי כהן', 'כהן') > 0.3")
    assert await connection.fetchval("SELECT lower('ÉCOLE')") == "école"
    await connection.close()


async def test_a_second_start_says_so_in_one_sentence(servers: embedded.Servers) -> None:
    with pytest.raises(SetupError) as refused:
        await embedded.start(servers.data_dir)
    assert str(refused.value) == (
        f"Ahlan already runs on {servers.data_dir} (process {os.getpid()}): "
        "stop it first, or choose another AHLAN_DATA_DIR."
    )
    connection = await asyncpg.connect(servers.database_url)
    await connection.close()


async def test_attach_believes_a_connection_and_stops_nothing(servers: embedded.Servers) -> None:
    attached = await embedded.attach(servers.data_dir)
    assert attached is not None
    assert attached.database_url == servers.database_url
    assert attached.postgres_pid == servers.postgres_pid
    await attached.stop()
    assert await embedded.attach(servers.data_dir) is not None


async def test_attach_does_not_believe_a_file(data_dir: Path) -> None:
    state = data_dir / "servers.json"
    state.write_text(json.dumps({"postgres": os.getpid(), "valkey": os.getpid()}))
    assert await embedded.attach(data_dir) is None
    state.unlink()


@pytest.mark.parametrize("name", ["postgres", "valkey"])
async def test_a_killed_server_comes_back_with_what_it_acknowledged(servers: embedded.Servers, name: str) -> None:
    connection = await asyncpg.connect(servers.database_url)
    await connection.execute("CREATE TABLE IF NOT EXISTS acknowledged (number int)")
    before = await connection.fetchval(
        "INSERT INTO acknowledged VALUES (1) RETURNING (SELECT count(*) FROM acknowledged)"
    )
    async with Redis.from_url(servers.redis_url) as valkey:
        await valkey.set("acknowledged", name)
    victim = servers.postgres_pid if name == "postgres" else servers.valkey_pid

    os.kill(victim, signal.SIGKILL)

    async def restarted() -> bool:
        pid = servers.postgres_pid if name == "postgres" else servers.valkey_pid
        return pid != victim and await embedded.attach(servers.data_dir) is not None

    await _eventually(f"{name} is running again", restarted)
    await connection.close()
    connection = await asyncpg.connect(servers.database_url)
    assert await connection.fetchval("SELECT count(*) FROM acknowledged") == before + 1
    await connection.close()
    async with Redis.from_url(servers.redis_url) as valkey:
        assert await valkey.get("acknowledged") == name.encode()


async def test_a_stale_pid_file_with_a_living_pid_does_not_stop_the_start(data_dir: Path) -> None:
    first = await embedded.start(data_dir)
    await first.stop()
    (data_dir / "postgres" / "postmaster.pid").write_text(f"{os.getpid()}\n{data_dir}/postgres\n1\n5432\n")
    (data_dir / "run" / ".s.PGSQL.5432.lock").write_text(f"{os.getpid()}\n")
    servers = await embedded.start(data_dir)
    assert servers.postgres_pid != os.getpid()
    await servers.stop()


_OWNER = """
import asyncio, sys
from pathlib import Path
from plugin.kernel import embedded

async def main():
    servers = await embedded.start(Path(sys.argv[1]))
    print(servers.postgres_pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("victim", ["owner", "supervisor"])
async def test_nothing_is_left_behind_after_sigkill(data_dir: Path, victim: str) -> None:
    owner = subprocess.Popen([sys.executable, "-c", _OWNER, str(data_dir)], stdout=subprocess.PIPE, text=True)
    assert owner.stdout
    assert owner.stdout.readline().strip().isdigit()
    supervisor = json.loads((data_dir / "servers.json").read_text())["supervisor"]

    os.kill(owner.pid if victim == "owner" else supervisor, signal.SIGKILL)

    async def gone() -> bool:
        return [pid for pid in _processes_of(data_dir) if pid != owner.pid] == []

    await _eventually("PostgreSQL and Valkey have ended", gone)
    owner.kill()
    owner.wait()
    # And the directory is free at once, without any hand-made cleaning.
    servers = await embedded.start(data_dir)
    assert await embedded.attach(data_dir) is not None
    await servers.stop()


async def test_a_server_that_cannot_start_says_why(data_dir: Path) -> None:
    with pytest.raises(SetupError, match=r"The embedded postgres did not start.*shared_buffers"):
        await embedded.start(data_dir, postgres_settings={"shared_buffers": "none"})
    servers = await embedded.start(data_dir)
    await servers.stop()


async def test_data_of_another_major_version_is_not_touched(tmp_path: Path) -> None:
    cluster = tmp_path / "postgres"
    cluster.mkdir()
    (cluster / "PG_VERSION").write_text("15\n")
    with pytest.raises(SetupError, match="made by PostgreSQL 15, installed is 18"):
        await embedded.start(tmp_path)


def test_a_long_path_gets_short_sockets(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    servers = embedded.Servers(deep, embedded._socket_dir(deep), None, None)
    assert len(f"{servers.socket_dir}/.s.PGSQL.5432") < 104
    assert embedded._socket_dir(deep) != embedded._socket_dir(tmp_path / ("e" * 100))
