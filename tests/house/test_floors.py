"""Walls that import-linter cannot see: nobody outside `integrations/` asks which platform a store is on."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLATFORMS = {path.parent.name for path in (ROOT / "integrations").glob("*/platform.py")}
# The demo is about these two stores and no others.
DEMO = {"plugin/demo.py", "plugin/demo_stores.py"}


def _asks(source: str) -> list[int]:
    """Lines that compare something with the name of a platform, or branch on it."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare):
            sides: list[ast.AST] = [node.left, *node.comparators]
        elif isinstance(node, ast.MatchValue):
            sides = [node.value]
        else:
            continue
        named = {part.value for side in sides for part in ast.walk(side) if isinstance(part, ast.Constant)}
        if named & PLATFORMS:
            found.append(node.lineno)
    return found


def test_there_are_platforms() -> None:
    assert {"shopify", "woocommerce"} <= PLATFORMS


@pytest.mark.parametrize("room", ["plugin", "webhooks", "admin_ui"])
def test_differences_of_platforms_are_named_capabilities(room: str) -> None:
    paths = {str(path.relative_to(ROOT)): path for path in (ROOT / room).rglob("*.py")}
    asking = {name: _asks(path.read_text(encoding="utf-8")) for name, path in paths.items() if name not in DEMO}
    assert {name: lines for name, lines in asking.items() if lines} == {}
    templates = [
        path for path in (ROOT / room).rglob("*.html") for name in PLATFORMS if f'== "{name}"' in path.read_text()
    ]
    assert templates == []


@pytest.mark.parametrize("source", ['a == "shopify"', 'a in ("x", "woocommerce")', 'match a:\n case "shopify": pass'])
def test_a_question_would_be_noticed(source: str) -> None:
    assert _asks(source)
