"""What merchants write and what pages of others hold: never more than words, links and pictures."""

import asyncio
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugin.knowledge import markdown

HOSTILE = [
    "<script>alert(1)</script>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "![x](javascript:alert(1))",
    '![x"onerror="alert(1)](https://a.example/x.png)',
    '[x](https://a.example "onmouseover=alert(1)")',
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<iframe src=https://evil.example></iframe>",
    "`<img src=x onerror=alert(1)>`",
    "[x]: javascript:alert(1)\n\n[x]",
    "<a href='vbscript:x'>y</a>",
    "<style>*{display:none}</style>",
]
_TAGS = re.compile(r"<\s*/?\s*([a-zA-Z0-9]+)((?:\"[^\"]*\"|[^>\"])*)>")


def check(html: str) -> None:
    for tag, more in _TAGS.findall(html):
        assert tag in markdown._TAGS, html
        names = re.findall(r"([a-z-]+)=\"", more)
        assert not [name for name in names if name.startswith("on") or name == "style"], html
        for value in re.findall(r"(?:href|src)=\"([^\"]*)\"", more):
            assert re.match(r"(https?:|mailto:|tel:|[^:]*$)", value), html


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_that_runs_comes_through(text: str) -> None:
    check(markdown.render(text))
    check(markdown.render(markdown.from_html(text)))
    check(markdown.render(markdown.from_html(markdown.render(text))))


@given(st.text(alphabet="<>\"'`=()[]!/:&;#*_ \nabjsonerrimgxscriptאב", max_size=200))
def test_whatever_is_typed_stays_within_the_allowed(text: str) -> None:
    check(markdown.render(text))
    check(markdown.render(markdown.from_html(text)))


def test_headings_begin_below_the_title_and_blocks_have_their_own_direction() -> None:
    html = markdown.render("# أ\n\ntext\n\n- one\n- שתיים")
    assert html.startswith('<h2 dir="auto">')
    assert html.count('dir="auto"') == 4


def test_html_becomes_markdown_that_says_the_same() -> None:
    html = (
        "<h3>Sizes</h3><p>We have <strong>three</strong> sizes, see <a href='/sizes'>the table</a>.</p>"
        "<ul><li>S</li><li>M<ul><li>M long</li></ul></li></ul><ol><li>Choose</li><li>Order</li></ol>"
        "<p>2 * 3 = 6 &lt;b&gt;</p>"
    )
    text = markdown.from_html(html, "https://shop.example/faq")
    assert "### Sizes" in text
    assert "**three** sizes, see [the table](https://shop.example/sizes)." in text
    assert "- S\n- M\n   - M long" in text
    assert "1. Choose\n2. Order" in text
    assert markdown.plain(text).splitlines()[-1] == "2 * 3 = 6 <b>"


def test_a_summary_ends_at_a_word() -> None:
    made = markdown.summary("**Delivery** takes " + "a while " * 50)
    assert made.startswith("Delivery takes a while")
    assert made.endswith("…")
    assert len(made) <= 161


async def test_a_text_of_nothing_but_tables_holds_nobody_up() -> None:
    """60 kB of cells took three seconds of the event loop: it goes on meanwhile, and they are not drawn as a table."""
    text = "|a|b|\n|-|-|\n" + "|x|y|\n" * 10_000
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(others())
    html = await markdown.rendered(text)
    beside.cancel()
    assert turns > 5
    assert "<table" not in html
    assert "x|y" in html.replace(" ", "")
    assert "<table" in markdown.render("|a|b|\n|-|-|\n|x|y|")
