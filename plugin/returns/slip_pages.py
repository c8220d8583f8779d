"""The pages of a slip: one font for three scripts, shaped by HarfBuzz, in lines that run the way of their language.

Pure but for its font.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

import segno
from fontTools.ttLib import TTFont
from fontTools.varLib import instancer
from fpdf import FPDF

from plugin.kernel.text import harmless
from plugin.returns.slips import MOST_ITEMS, Item, Slip

MOST_LETTERS: Final = 200

_WEIGHTS: Final = {"": 400, "B": 600}
_INK, _FAINT, _RULE, _TINT = (28, 28, 28), (96, 96, 96), (205, 205, 205), (242, 246, 246)
_MARGIN, _WIDTH = 16.0, 210.0
_HEBREW, _ARABIC = re.compile("[\u05d0-\u05ea]"), re.compile("[\u0620-\u06ff]")


@cache
def _fonts() -> dict[str, Path]:
    """The two weights cut out of the variable font, once for each process."""
    folder = Path(tempfile.mkdtemp(prefix="ahlan-fonts-"))
    made = {}
    with as_file(files("fontpkg_rubik") / "files" / "Rubik[wght].ttf") as source:
        for style, weight in _WEIGHTS.items():
            font = instancer.instantiateVariableFont(TTFont(source), {"wght": weight})
            made[style] = folder / f"{weight}.ttf"
            font.save(made[style])
    return made


def draw(slip: Slip) -> bytes:
    """The PDF: instructions above, the slip below or on a page of its own."""
    page = _Page(slip)
    page.instructions()
    page.slip()
    return bytes(page.pdf.output())


class _Page:
    def __init__(self, slip: Slip) -> None:
        self.it = slip
        self.pdf = FPDF(format="A4", unit="mm")
        for style, path in _fonts().items():
            self.pdf.add_font("text", style, path)
        self.pdf.set_auto_page_break(True, _MARGIN)
        self.pdf.set_margin(_MARGIN)
        self.pdf.c_margin = 0
        self.pdf.set_title(_plain(f"{slip.title} {slip.number}"))
        self.pdf.add_page()
        self.inner = _WIDTH - 2 * _MARGIN

    def text(
        self, said: str, *, size: float = 11, bold: bool = False, faint: bool = False, width: float | None = None,
        x: float | None = None, y: float | None = None, end: bool = False, own: bool = False,
    ) -> float:  # fmt: skip
        """Lines of text from the start edge, or the `end` one; returns where the next begins.

        They run the way of the page, or with `own` the way of their first letter.
        """
        pdf, width = self.pdf, width or self.inner
        pdf.set_font("text", "B" if bold else "", size)
        pdf.set_text_color(*(_FAINT if faint else _INK))
        start = _MARGIN if x is None else x
        pdf.set_xy(start, pdf.get_y() if y is None else y)
        align = "R" if self.it.rtl is not end else "L"
        # HarfBuzz takes a run for one script, that of its first letter, and joins no Arabic letters in a Hebrew one.
        script = "arab" if _HEBREW.search(said) and _ARABIC.search(said) else None
        pdf.set_text_shaping(True, direction=None if own else "rtl" if self.it.rtl else "ltr", script=script)
        pdf.multi_cell(width, size * 0.55, _plain(said), align=align, new_x="LMARGIN", new_y="NEXT", padding=0)
        return pdf.get_y()

    def _from_start(self, offset: float, width: float) -> float:
        """Where a box of `width` lies that begins `offset` from the start edge."""
        return _WIDTH - _MARGIN - offset - width if self.it.rtl else _MARGIN + offset

    def rule(self, *, dashed: bool = False) -> None:
        pdf = self.pdf
        pdf.set_draw_color(*_RULE)
        pdf.set_line_width(0.3)
        if dashed:
            pdf.set_dash_pattern(2, 2)
        pdf.line(_MARGIN, pdf.get_y(), _WIDTH - _MARGIN, pdf.get_y())
        pdf.set_dash_pattern()

    def facts(self, facts: Sequence[tuple[str, str]], *, width: float) -> None:
        name = 42.0
        for label, value in facts:
            top = self.pdf.get_y()
            below = self.text(label, size=10, faint=True, width=name, x=self._from_start(0, name), y=top)
            wide = width - name
            after = self.text(value, size=10, width=wide, x=self._from_start(name, wide), y=top)
            self.pdf.set_y(max(below, after) + 0.8)

    def instructions(self) -> None:
        it = self.it
        self.text(it.shop, size=12, faint=True)
        self.text(f"{it.title} {it.number}", size=22, bold=True)
        self.pdf.ln(3)
        self.facts(it.facts, width=self.inner)
        self.pdf.ln(4)
        self.text(it.steps_title, size=14, bold=True)
        self.pdf.ln(1.5)
        for place, step in enumerate(it.steps, start=1):
            top = self.pdf.get_y()
            mark = 9.0
            self._circle(place, top)
            below = self.text(step, size=11, width=self.inner - mark, x=self._from_start(mark, self.inner - mark),
                              y=top + 0.6)  # fmt: skip
            self.pdf.set_y(max(below, top + 7) + 1.6)

    def _circle(self, number: int, top: float) -> None:
        pdf, size = self.pdf, 7.0
        x = self._from_start(0, size)
        pdf.set_fill_color(*_TINT)
        pdf.ellipse(x, top, size, size, style="F")
        pdf.set_font("text", "B", 10)
        pdf.set_text_color(*_INK)
        pdf.set_xy(x, top)
        pdf.cell(size, size, str(number), align="C")

    def slip(self) -> None:
        it, pdf = self.it, self.pdf
        needed = 62 + 9 * min(len(it.items), 8) + 5 * len(it.to)
        if pdf.get_y() + needed > pdf.h - _MARGIN:
            pdf.add_page()
        else:
            pdf.ln(5)
            self.rule(dashed=True)
            pdf.ln(1.5)
            self.text(it.cut, size=9, faint=True)
            pdf.ln(4)
        square = 34.0
        top = pdf.get_y()
        self._code(self._from_start(self.inner - square, square), top, square)
        wide = self.inner - square - 6
        x = self._from_start(0, wide)
        self.text(it.slip_title, size=16, bold=True, width=wide, x=x, y=top)
        self.text(f"{it.shop} · {it.number}", size=11, width=wide, x=x)
        pdf.ln(3)
        self.text(it.to_title, size=10, faint=True, width=wide, x=x)
        for line in it.to:
            self.text(line, size=11, width=wide, x=x, own=True)
        pdf.set_y(max(pdf.get_y(), top + square) + 5)
        self._items()

    def _items(self) -> None:
        it, pdf = self.it, self.pdf
        count = 22.0
        wide = self.inner - count
        self._row(Item(it.items_title, "", it.quantity_title), wide, count, head=True)
        for item in it.items[:MOST_ITEMS]:
            self._row(item, wide, count)
        if it.more:
            pdf.ln(1.5)
            self.text(it.more, size=10, faint=True)

    def _row(self, item: Item, wide: float, count: float, *, head: bool = False) -> None:
        pdf = self.pdf
        if pdf.get_y() + 14 > pdf.h - _MARGIN:
            pdf.add_page()
        self.rule()
        pdf.ln(1.8)
        top, size = pdf.get_y(), 10.0 if head else 11.0
        self.text(item.quantity, size=size, faint=head, width=count, x=self._from_start(wide, count), y=top, end=True)
        below = self.text(item.title, size=size, faint=head, width=wide, x=self._from_start(0, wide), y=top)
        if item.detail:
            below = self.text(item.detail, size=9.5, faint=True, width=wide, x=self._from_start(0, wide), y=below)
        pdf.set_y(below + 1.8)

    def _code(self, x: float, y: float, size: float) -> None:
        """Drawn as squares: sharp on every printer."""
        matrix = list(segno.make(self.it.code, error="m", micro=False).matrix)
        cell = size / (len(matrix) + 4)
        self.pdf.set_fill_color(0, 0, 0)
        for row, cells in enumerate(matrix):
            for column, dark in enumerate(cells):
                if dark:
                    # A hair more than a square, so that no printer leaves a white line between two.
                    self.pdf.rect(x + (column + 2) * cell, y + (row + 2) * cell, cell + 0.02, cell + 0.02, style="F")


def _plain(said: str) -> str:
    """What a shop or a shopper wrote, on one line, without what a font has no sign for."""
    kept = "".join(letter for letter in harmless(said) if ord(letter) <= 0xFFFF or letter.isalnum())
    return " ".join(kept.split())[: 4 * MOST_LETTERS]
