"""Stylesheets close what they open: one brace too few, and a browser leaves out everything behind it without a word."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHEETS = sorted(
    path.relative_to(ROOT)
    for room in ("admin_ui", "plugin", "integrations")
    for path in (ROOT / room).rglob("*.css")
    if "node_modules" not in path.parts
)


@pytest.mark.parametrize("sheet", SHEETS, ids=str)
def test_every_rule_is_closed_where_it_ends(sheet: Path) -> None:
    text = re.sub(r"/\*.*?\*/|\"[^\"\n]*\"", "", (ROOT / sheet).read_text(), flags=re.DOTALL)
    depth = 0
    for line in text.splitlines():
        # A class that stands at the very left begins a rule of its own: nothing here nests by writing at the margin.
        assert depth == 0 or not line.startswith((".", "#", "html")), f"{sheet}: {line} stands inside another rule"
        depth += line.count("{") - line.count("}")
        assert depth >= 0, f"{sheet}: {line}"
    assert depth == 0, sheet
