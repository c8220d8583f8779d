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


def test_a_trigger_looks_where_it_says() -> None:
    """What waits for another element's event finds it by one word, or by a selector in quotes.

    htmx reads up to the next blank: of `from:closest details` it looked for an element `<closest>`, and never heard.
    """
    modifiers = {"once", "changed", "consume", "halt", "prevent", "stop"}
    for page in sorted((HERE / "templates").glob("*.html")):
        for waits in re.findall(r"""hx-trigger=(?:"([^"]*)"|'([^']*)')""", page.read_text()):
            for one in re.split(r",(?![^']*'(?:[^']*'[^']*')*[^']*$)", "".join(waits)):
                _event, _blank, rest = one.strip().partition(" ")
                words = re.sub(r"'[^']*'|\[[^\]]*\]", "", rest).split()
                assert all(":" in word or word in modifiers for word in words if _event != "every"), (
                    f"{page.name}: {one}"
                )
