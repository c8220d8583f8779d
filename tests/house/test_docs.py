"""The documents and the code say the same: settings, events, tasks, commands."""

import ast
import dataclasses
import re
from pathlib import Path

import pytest
from typer.main import get_command

from plugin import cli
from plugin.kernel import config
from plugin.reactions import REACTIONS, TASKS

ROOT = Path(__file__).parents[2]
ROOMS = ("plugin", "integrations", "webhooks", "admin_ui")
_KIND = re.compile(r"[a-z_]+\.[a-z_]+")
# How an event is recorded, wherever.
_RECORDERS = {"record", "_record", "happened", "Happening", "_Turn"}


def _document(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


@pytest.fixture(scope="module")
def nodes() -> dict[Path, list[ast.AST]]:
    """The whole product, read once."""
    return {
        path: list(ast.walk(ast.parse(path.read_text())))
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        if "simulator" not in path.parts
    }


@pytest.fixture(scope="module")
def calls(nodes: dict[Path, list[ast.AST]]) -> list[tuple[str, ast.Call]]:
    """Every call in it, by the name that is called."""
    return [
        (node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", ""), node)
        for found in nodes.values()
        for node in found
        if isinstance(node, ast.Call)
    ]


def _texts(nodes: list[ast.expr]) -> list[str]:
    return [leaf.value for node in nodes for leaf in ast.walk(node)
            if isinstance(leaf, ast.Constant) and isinstance(leaf.value, str)]  # fmt: skip


# Settings


class _Asked(dict[str, str]):
    """An environment that remembers what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def get(self, name: str, default: object = None) -> object:
        self.names.add(name)
        return default


def test_every_setting_is_documented_and_every_documented_one_exists() -> None:
    asked = _Asked()
    config.load(asked)
    documented = set(re.findall(r"`((?:AHLAN|SHOPIFY)_[A-Z_]+|DATABASE_URL|REDIS_URL)`", _document("settings.md")))
    assert documented == asked.names


def test_the_documented_defaults_are_the_codes() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", _document("settings.md"), re.MULTILINE))
    defaults = {field.name: field.default for field in dataclasses.fields(config.Settings)}
    for variable, field in (
        ("AHLAN_PORT", "port"), ("AHLAN_HOST", "host"), ("AHLAN_TRUSTED_PROXIES", "trusted_proxies"),
        ("AHLAN_LOG_FORMAT", "log_format"), ("AHLAN_LOG_LEVEL", "log_level"),
        ("AHLAN_WEBHOOK_RETENTION_DAYS", "webhook_retention_days"),
        ("AHLAN_EVENT_RETENTION_DAYS", "event_retention_days"),
        ("AHLAN_ACCESS_LOG_RETENTION_DAYS", "access_log_retention_days"),
        ("AHLAN_CONVERSATION_RETENTION_DAYS", "conversation_retention_days"),
    ):  # fmt: skip
        assert rows[variable].strip("`") == str(defaults[field]), variable


# Events and tasks


@pytest.fixture(scope="module")
def recorded(calls: list[tuple[str, ast.Call]]) -> set[str]:
    """The kinds of the events that happen."""
    kinds = set()
    for name, call in calls:
        if name in _RECORDERS:
            kinds |= {text for text in _texts(call.args[:2]) if _KIND.fullmatch(text)}
        kinds |= {text for keyword in call.keywords if keyword.arg == "event" for text in _texts([keyword.value])}
    return {kind for kind in kinds if _KIND.fullmatch(kind)}


def _table(heading: str) -> dict[str, str]:
    part = _document("events.md").split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return dict(re.findall(r"^\| `([\w.]+)` \| (.+?) ?\|$", part, re.MULTILINE))


def test_every_event_is_documented_and_every_documented_one_happens(recorded: set[str]) -> None:
    assert set(_table("Events")) == recorded


def test_reactions_are_documented_beside_their_event() -> None:
    for kind, told in _table("Events").items():
        assert set(re.findall(r"`(\w+)`", told.rpartition("|")[2])) == set(REACTIONS.get(kind, ())), kind


def test_every_reaction_follows_an_event_that_happens(recorded: set[str]) -> None:
    assert set(REACTIONS) <= recorded
    assert {task for tasks in REACTIONS.values() for task in tasks} <= set(TASKS)


def test_every_task_is_documented() -> None:
    assert set(_table("Tasks")) == set(TASKS)


def test_every_task_that_is_asked_for_exists_and_none_is_forgotten(
    nodes: dict[Path, list[ast.AST]], calls: list[tuple[str, ast.Call]]
) -> None:
    asked = {text for name, call in calls if name == "enqueue" for text in _texts(call.args[:2])}
    assert asked
    assert asked <= set(TASKS)
    named = {task for tasks in REACTIONS.values() for task in tasks}
    for path, found in nodes.items():
        if path.name != "reactions.py":
            named |= {node.value for node in found if isinstance(node, ast.Constant) and node.value in TASKS}
    assert named >= set(TASKS)


def test_every_events_words_in_the_timeline_are_of_an_event_that_happens(recorded: set[str]) -> None:
    tree = ast.parse((ROOT / "plugin" / "crm" / "timeline.py").read_text())
    told = {text for node in ast.walk(tree) if isinstance(node, ast.Dict)
            for text in _texts([key for key in node.keys if key is not None]) if _KIND.fullmatch(text)}  # fmt: skip
    assert told
    assert told <= recorded


# The command


def test_the_readme_or_the_documents_name_every_command() -> None:
    documents = "\n".join(path.read_text() for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
    commands = get_command(cli.cli).commands
    for name, command in commands.items():
        if not command.hidden:
            assert f"ahlan {name}" in documents or f"make {name}" in documents, name


# Rules of the platforms


def test_every_rule_that_a_comment_names_is_written_down() -> None:
    written = set(re.findall(r"^\| ([AB][\d.]*) \|", _document("platforms.md"), re.MULTILINE)) | {"B"}
    named = {
        rule.rstrip(".")
        for room in (*ROOMS, "tests")
        for path in (ROOT / room).rglob("*.py")
        for rule in re.findall(r"platforms\.md ([AB][\d.]*)", path.read_text())
    }
    assert named, "nothing names a rule"
    assert named <= written
