"""The panel's scripts: one page, one set of names."""

import re
from collections import defaultdict
from pathlib import Path

import admin_ui

HERE = Path(admin_ui.__file__).parent
DECLARED = re.compile(r"^(?:async )?(?:function|const|let|class) (\w+)", re.MULTILINE)


def test_no_two_scripts_of_the_panel_give_the_same_name() -> None:
    """A second function of one name silently replaces the first; a second const keeps its whole script from running."""
    loaded = re.findall(r"asset\('panel/([\w.]+)'\)", (HERE / "templates" / "panel.html").read_text())
    assert {"panel.js", "writing.js", "chat.js"} <= set(loaded)
    where = defaultdict(list)
    for script in loaded:
        for name in DECLARED.findall((HERE / "static" / script).read_text()):
            where[name].append(script)
    assert len(where) > 100
    assert {name: scripts for name, scripts in where.items() if len(scripts) > 1} == {}
