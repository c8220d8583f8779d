"""What counts as a number when somebody else wrote it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from plugin.kernel.digits import whole

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("plugin", "integrations", "webhooks", "admin_ui")
ASKED = {"isdigit", "isdecimal", "isnumeric"}


@pytest.mark.parametrize(
    ("written", "most", "number"),
    [("0", 9, 0), ("9", 9, 9), ("10", 9, None), ("007", 999, 7), ("", 9, None), ("-1", 9, None), ("+1", 9, None),
     ("1_0", 99, None), (" 1", 99, None), ("1\n", 99, None), ("²", 9, None), ("٣", 9, None), ("1e3", 9999, None),
     ("9" * 5000, 2**63, None)],
)  # fmt: skip
def test_a_number_is_digits_within_bounds(written: str, most: int, number: int | None) -> None:
    assert whole(written, most) == number


def _trusted(source: str) -> list[str]:
    """Texts that a function asks for digits, whatever their length, and hands to `int`."""
    found = []
    for function in ast.walk(ast.parse(source)):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
        asked = {ast.unparse(call.func.value) for call in calls if getattr(call.func, "attr", "") in ASKED}
        named = {name: {ast.unparse(call.args[0]) for call in calls if call.args and ast.unparse(call.func) == name}
                 for name in ("int", "len")}  # fmt: skip
        found += [f"{function.name}: {text}" for text in asked & named["int"] - named["len"]]
    return found


def test_no_text_becomes_a_number_because_it_looks_like_one() -> None:
    paths = [path for room in ROOMS for path in (ROOT / room).rglob("*.py") if "simulator" not in path.parts]
    found = {str(path.relative_to(ROOT)): _trusted(path.read_text(encoding="utf-8")) for path in paths}
    assert {path: texts for path, texts in found.items() if texts} == {}
    assert _trusted("def f(x):\n    return int(x) if x.isdigit() else 0") == ["f: x"]
