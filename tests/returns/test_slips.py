"""The papers of a return: made in the worker, in the shopper's language, with a code that can be read."""

from __future__ import annotations

import io
import os
import resource
import time
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from fpdf.fonts import TTFFont
from fpdf.line_break import Fragment, TextLine
from sqlalchemy import text

from plugin.kernel import i18n
from plugin.kernel.text import isolate
from plugin.returns import papers, records, shipping, slip_pages
from plugin.returns.shipping import Method, Way
from plugin.returns.slips import Item, Slip
from tests.returns.desk import MUG, SHIRT, Shop, want

WORDS = {
    "en": ("Dukkan", "Linen shirt", "Too small"),
    "ar": ("دكّان الياسمين", "قميص كتّان Linen — مقاس M", "أصغر من اللازم"),
    "he": ("דוכן הבית", "חולצת פשתן (Linen) מידה M", "קטן מדי"),
}


def slip(language: str = "en", **more: object) -> Slip:
    shop, goods, why = WORDS[language]
    made = Slip(
        rtl=language != "en", shop=shop, title="R", number="R-1001", facts=[("Order", "#1001")], steps_title="S",
        steps=[goods] * 3, slip_title="P", to_title="T", to=(shop, "1 Road"), items_title="G", quantity_title="N",
        items=[Item(goods, why, "2")], more="", cut="C", code="https://ahlan.example/panel/returns/1",
    )  # fmt: skip
    return replace(made, **more)


@pytest.mark.parametrize("language", ["en", "ar", "he"])
def test_a_slip_is_a_small_pdf_that_holds_its_font(language: str) -> None:
    content = slip_pages.draw(slip(language))
    assert content.startswith(b"%PDF-")
    assert 5_000 < len(content) < 120_000
    assert b"/FontFile2" in content, "any printer draws it, whatever fonts it has"


def test_whatever_stands_in_an_order_a_slip_is_made_in_bounded_time() -> None:
    slip_pages.draw(slip())
    wild = "\u202e\x00\x1b[31m😀 " + "ﷺ" * 400 + " <b>&amp; a\u0301\u200f\ud7ff" + "x" * 3000
    items = [Item(wild, wild, "1000000")] * 500
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = time.process_time()
    content = slip_pages.draw(slip("ar", items=items, facts=[(wild, wild)] * 3, to=[wild] * 5, shop=wild))
    assert time.process_time() - begun < 20
    assert len(content) < 3_000_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000


def _signs(title: str) -> set[object]:
    """Which signs of the font a slip of this one thing is drawn with: joined Arabic letters have other ones."""
    page = slip_pages._Page(slip("he", shop="", title="", steps=(), items=[Item(title, "", "1")]))
    page.slip()
    font = page.pdf.fonts["text"]
    assert isinstance(font, TTFFont)
    return {glyph.glyph_id for glyph, _ in font.subset.items() if glyph is not None}


def test_arabic_letters_are_joined_in_a_hebrew_line() -> None:
    assert _signs("سلسلة") - _signs("כוס") <= _signs("כוס سلسلة")


def _drawn(monkeypatch: pytest.MonkeyPatch, to: str, language: str) -> list[str]:
    """The runs of a line of the address, as they stand on the page from left to right."""
    runs: list[list[str]] = []
    page = slip_pages._Page(slip(language, to=[to]))

    def note(line: TextLine) -> list[Fragment]:
        ordered = ordered_fragments(line)
        runs.append(["".join(one.characters) for one in ordered])
        return ordered

    ordered_fragments = TextLine.get_ordered_fragments
    monkeypatch.setattr(TextLine, "get_ordered_fragments", note)
    page.slip()
    return next(run for run in runs if "".join(sorted("".join(run))) == "".join(sorted(to)))


@pytest.mark.parametrize("language", ["ar", "he", "en"])
def test_a_line_of_an_address_runs_its_own_way_on_every_page(monkeypatch: pytest.MonkeyPatch, language: str) -> None:
    """Its number in front, and its words in the order in which they were written."""
    runs = _drawn(monkeypatch, "12 Oud & Amber عود وعنبر", language)
    assert "".join(runs).startswith("12 Oud & Amber ")


@pytest.mark.parametrize("locale", ["ar", "he", "en"])
async def test_the_news_that_a_return_is_agreed_brings_its_papers(
    shop: Shop, workspace: UUID, locale: str, tmp_path: Path
) -> None:
    request = await shop.submit(want((SHIRT, 1), (MUG, 1)), language=locale)
    await shop.work()
    found = await shop.request(request)
    assert found.slip_file is not None
    async with shop.app.db.transaction(workspace) as tx:
        row = (await tx.execute(
            text("SELECT name, media_type, content, message_id FROM attachments WHERE id = :id"),
            {"id": found.slip_file},
        )).one()  # fmt: skip
    assert (row.name, row.media_type) == ("R-1001.pdf", "application/pdf")
    assert row.message_id is not None, "it stays as long as its conversation"
    if folder := os.environ.get("AHLAN_KEEP_SLIPS"):
        Path(folder, f"{locale}.pdf").write_bytes(io.BytesIO(row.content).getvalue())
    await shop.hurry("tell_return")
    await shop.work()
    assert (await shop.request(request)).slip_file == found.slip_file, "made once"


async def test_a_slip_says_where_the_goods_go(shop: Shop, workspace: UUID) -> None:
    async with shop.app.db.transaction(workspace) as tx:
        place = await shipping.put_place(
            tx, shop.store.id, None,
            {"kind": "store", "name": "Dukkan Olaya", "line1": "12 Olaya Street", "city": "Riyadh", "country": "sa",
             "hours": "Sun to Thu 9-17"}, None,
        )  # fmt: skip
        wished = shipping.checked({"method:store": "1"}, ())
        await shipping.save(tx, shop.app.vault, shop.store.id, wished, actor="system")
    request = await shop.submit(way=Way(Method.STORE, place_id=place.id))
    async with shop.app.db.transaction(workspace) as tx:
        made = await papers.slip(shop.app, tx, await records.get(tx, request.id), i18n.load().translator("en"))
    assert made is not None
    assert made.to == ("Dukkan Olaya", "12 Olaya Street, Riyadh, SA")
    assert (made.to_title, made.slip_title) == ("Bring it to", "Show this to our team")
    assert "Dukkan Olaya" in made.steps[0]
    assert made.code.endswith(f"/panel/returns/{request.id}")


async def test_a_slip_speaks_of_no_address_that_nobody_gave(shop: Shop, workspace: UUID) -> None:
    request = await shop.submit()
    english = i18n.load().translator("en")
    async with shop.app.db.transaction(workspace) as tx:
        made = await papers.slip(shop.app, tx, await records.get(tx, request.id), english)
    assert made is not None
    assert made.to == (shop.store.name, "The store names the address.")
    assert not any("address below" in step for step in made.steps)
    assert any("tells you where to send it" in step for step in made.steps)
    async with shop.app.db.transaction(workspace) as tx:
        address = {"name": "Dukkan", "line1": "12 Olaya Street", "city": "Riyadh", "country": "SA", "weight": "500"}
        await shipping.save(tx, shop.app.vault, shop.store.id, shipping.checked(address, ()), actor="system")
        made = await papers.slip(shop.app, tx, await records.get(tx, request.id), english)
    assert made is not None
    assert "12 Olaya Street" in made.to
    assert any("address below" in step for step in made.steps)


async def test_what_need_not_come_back_has_no_papers(shop: Shop, workspace: UUID) -> None:
    request = await shop.submit()
    async with shop.app.db.transaction(workspace) as tx:
        found = await records.get(tx, request.id)
        found.keep = True
        assert await papers.slip(shop.app, tx, found, i18n.load().translator("en")) is None


async def test_a_kind_that_the_title_names_already_is_not_said_twice(shop: Shop, workspace: UUID) -> None:
    request = await shop.submit()
    named = []
    for title, kind in (("Linen shirt - XL", "XL"), ("Linen shirt", "XL"), ("Trousers XL", "L"), ("Mug", "")):
        async with shop.app.db.transaction(workspace) as tx:
            [line] = await records.lines_of(tx, request.id)
            line.title, line.variant_title = title, kind
            await tx.flush()
            made = await papers.slip(shop.app, tx, await records.get(tx, request.id), i18n.load().translator("en"))
        assert made is not None
        named.append(made.items[0].title)
    assert named == ["Linen shirt - XL", f"Linen shirt ({isolate('XL')})", f"Trousers XL ({isolate('L')})", "Mug"]
