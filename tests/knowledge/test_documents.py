"""Documents and exports: what is read out of them, and that nothing in them does anything else."""

import io
import sys
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import UUID

import orjson
import psutil
import pytest
from fpdf import FPDF

from plugin.app import App
from plugin.kernel.errors import AhlanError
from plugin.knowledge import articles, documents, files, importing, reader
from plugin.knowledge.articles import Kind
from plugin.knowledge.files import Unreadable
from plugin.team import Agent

PAYLOADS = Path(__file__).parent.parent / "payloads/knowledge"

_TYPES = (
    '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.'
    'wordprocessingml.document.main+xml"/></Types>'
)
_RELS = (
    '<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" '
    'Target="word/document.xml"/></Relationships>'
)


def docx(*paragraphs: tuple[str, str], head: str = "") -> bytes:
    """A Word document of (style, text) paragraphs."""
    body = "".join(
        f'<w:p><w:pPr><w:pStyle w:val="{style}"/></w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>'
        if style
        else f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"
        for style, text in paragraphs
    )
    document = (
        f'<?xml version="1.0"?>{head}<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">'
        f"<w:body>{body}</w:body></w:document>"
    )
    return packed({"[Content_Types].xml": _TYPES, "_rels/.rels": _RELS, "word/document.xml": document})


def packed(members: dict[str, str | bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return made.getvalue()


# What is in them


@pytest.mark.parametrize(
    ("code", "first", "second", "says"),
    [
        ("en", "How long does delivery take?", "How do I return something?",
         "Delivery takes 3 to 5 working days. The order number AB-1042 comes by e-mail."),
        ("ar", "كم يستغرق التوصيل؟", "كيف أرجع منتجًا؟",
         "يستغرق التوصيل من 3 إلى 5 أيام عمل داخل المملكة. رقم الطلب AB-1042 يصل بالبريد."),
        ("he", "כמה זמן לוקח משלוח?", "איך מחזירים?",
         "המשלוח מגיע תוך 3 עד 5 ימי עסקים. מספר הזמנה AB-1042 נשלח במייל."),
    ],
)  # fmt: skip
def test_a_pdf_is_read_in_the_order_of_its_language_letters_as_they_are_typed(
    code: str, first: str, second: str, says: str
) -> None:
    drafts = documents.read_pdf((PAYLOADS / f"policy.{code}.pdf").read_bytes(), "policy.pdf")
    assert [one.title for one in drafts] == [first, second]
    assert says in drafts[0].body.replace("\\", "")
    assert {one.language for one in drafts} == {code}


def test_a_word_document_is_an_article_for_each_of_its_headings() -> None:
    made = docx(("Heading1", "Delivery"), ("", "Three days &amp; free."), ("Heading1", "إرجاع"), ("", "خلال أسبوعين."))
    assert [(one.title, one.body, one.language) for one in documents.read_docx(made, "x.docx")] == [
        ("Delivery", "Three days & free.", "en"), ("إرجاع", "خلال أسبوعين.", "ar")
    ]  # fmt: skip
    (alone,) = documents.read_docx(docx(("", "Only this.")), "our-hours.docx")
    assert (alone.title, alone.body) == ("our hours", "Only this.")


ZENDESK = {
    "articles": [
        {"id": 11, "title": "Delivery", "body": "<p>Three <b>days</b></p>", "locale": "en-us", "section_id": 5,
         "translations": [{"locale": "ar", "title": "التوصيل", "body": "<p>ثلاثة أيام</p>"},
                          {"locale": "he", "title": "טיוטה", "body": "<p>לא</p>", "draft": True}]},
        {"id": 12, "title": "Hidden", "body": "<p>x</p>", "locale": "en-us", "draft": True},
    ],
    "sections": [{"id": 5, "name": "Shipping"}],
}  # fmt: skip
GORGIAS = {"data": [{"id": 7, "translation": {"title": "Delivery", "content": "<p>Three days</p>", "locale": "en-US"}}]}
INTERCOM = {
    "type": "list",
    "data": [
        {"type": "article", "id": "9", "title": "Delivery", "body": "<p>Three days</p>", "state": "published",
         "default_locale": "en", "translated_content": {"type": "article_translated_content",
            "he": {"type": "article_content", "title": "משלוח", "body": "<p>שלושה ימים</p>", "state": "published"},
            "ar": {"type": "article_content", "title": "توصيل", "body": "<p>x</p>", "state": "draft"}}},
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (ZENDESK, {("11", "en", "Delivery", "Shipping"), ("11", "ar", "التوصيل", "Shipping")}),
        (GORGIAS, {("7", "en", "Delivery", "")}),
        (INTERCOM, {("9", "en", "Delivery", ""), ("9", "he", "משלוח", "")}),
    ],
    ids=["zendesk", "gorgias", "intercom"],
)
def test_an_export_is_read_with_its_translations_and_without_its_drafts(data: object, wanted: set[object]) -> None:
    found = documents.read_json(orjson.dumps(data))
    assert {(one.key, one.language, one.title, one.collection) for one in found} == wanted
    assert documents.read_zip(packed({"export/articles.json": orjson.dumps(data)})) == found


def test_an_archive_is_read_file_by_file_and_what_is_none_is_left_out() -> None:
    made = packed(
        {"a/delivery.md": "# Delivery\nThree days", "b/delivery.html": "<h1>Returns</h1><p>Two weeks</p>",
         "words.docx": docx(("", "Hello")), "photo.jpg": b"\xff\xd8", "__MACOSX/a/._delivery.md": "# no",
         "inner.zip": packed({"x.md": "# never"}), "broken.pdf": b"%PDF-1.7 nothing"}
    )  # fmt: skip
    found = documents.read_zip(made)
    assert [one.title for one in found if one.way != files.UNREAD] == ["Delivery", "Returns", "words"]
    assert [one.title for one in found if one.way == files.UNREAD] == ["photo.jpg", "inner.zip", "broken.pdf"]


# What they try


BOMB = packed({"word/document.xml": b"0" * (61 << 20)})


def lying(archive: bytes) -> bytes:
    """The same archive, whose members say that they hold ten bytes each."""
    made = bytearray(archive)
    for sign, at in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        place = -1
        while (place := made.find(sign, place + 1)) >= 0:
            made[place + at : place + at + 4] = (10).to_bytes(4, "little")
    return bytes(made)


LAUGHS = "<!DOCTYPE a [" + '<!ENTITY l0 "ha">' + "".join(
    f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10)
) + "]>"  # fmt: skip
DEEP = b'{"data":' * 5_000 + b"[]" + b"}" * 5_000
ENDLESS = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[2 0 R]/Count 1>>endobj\n"
    b"trailer<</Root 1 0 R>>\n%%EOF"
)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("bomb.docx", BOMB), ("bomb.zip", BOMB), ("lying.docx", lying(BOMB)), ("lying.zip", lying(BOMB)),
        ("laughs.docx", docx(("", "&l9;"), head=LAUGHS)), ("deep.json", DEEP),
        ("endless.pdf", ENDLESS), ("broken.pdf", b"%PDF-1.7\n" + b"\x00\xff" * 5_000), ("empty.pdf", b""),
        ("half.pdf", (PAYLOADS / "policy.en.pdf").read_bytes()[:9_000]), ("none.docx", b"PK\x03\x04nothing"),
    ],
)  # fmt: skip
async def test_a_file_that_is_made_to_hurt_is_refused_soon(name: str, content: bytes) -> None:
    began = time.monotonic()
    with pytest.raises(AhlanError) as caught:
        await importing.read_file(name, content)
    assert caught.value.code in ("import_nothing", "too_large")
    assert time.monotonic() - began < 3 * reader.SECONDS


def reading(does: str) -> tuple[str, ...]:
    """The reader's own process, with a parser that does this."""
    return (
        sys.executable, "-c",
        "import mmap, os, sys, tempfile, time\nfrom plugin.knowledge import reader\nreader.SECONDS = 1\n"
        f"def found(*asked):\n    {does}\nreader.found = found\nsys.exit(reader.main())",
    )  # fmt: skip


@pytest.mark.parametrize(
    "does",
    [
        pytest.param("while True: pass", id="computes for ever"),
        pytest.param("mmap.mmap(-1, 2 << 30); return []", id="takes all memory"),
        pytest.param("file = tempfile.TemporaryFile(); os.write(file.fileno(), b'x'); return []", id="writes a file"),
        pytest.param("return found(*asked)", id="stands in itself"),
        pytest.param("time.sleep(60)", id="waits for ever"),
        pytest.param("os.abort()", id="breaks"),
    ],
)
async def test_a_parser_that_a_file_leads_astray_ends_alone_and_soon(
    monkeypatch: pytest.MonkeyPatch, does: str
) -> None:
    monkeypatch.setattr(reader, "SECONDS", 2)
    monkeypatch.setattr(reader, "COMMAND", reading(does))
    began = time.monotonic()
    with pytest.raises(Unreadable):
        await reader.read("page", b"x")
    assert time.monotonic() - began < 15
    left = [one for one in psutil.Process().children() if one.status() != psutil.STATUS_ZOMBIE]
    assert not [one for one in left if "reader.found = found" in " ".join(one.cmdline())]


async def test_the_reader_knows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AHLAN_ENCRYPTION_KEYS", "secret")
    told = "return [reader.Draft(' '.join(os.environ), 'x', 'x', 'x')]"
    monkeypatch.setattr(reader, "COMMAND", reading(told))
    (one,) = await reader.read("page", b"x")
    assert "AHLAN" not in one.title


async def test_scripts_and_addresses_of_scripts_are_nowhere_in_what_was_read() -> None:
    html = (
        b"<h1>A</h1><script>alert(1)</script><p onclick=x>Text <a href='javascript:x'>link</a><iframe src=x></iframe>"
    )
    found = await reader.read("file", html, name="x.html")
    assert all("alert" not in one.body and "javascript" not in one.body and "onclick" not in one.body for one in found)


async def test_what_a_shop_has_written_is_told_apart_by_kind_and_id() -> None:
    item = {"id": "gid://shopify/Page/1", "kind": "page", "title": "Sizes", "url": "https://shop.example/pages/sizes",
            "html": "<p>See <a href='/pages/x'>this</a></p>", "language": "", "collection": ""}  # fmt: skip
    found = await reader.read("writings", orjson.dumps([item, {**item, "kind": "policy"}]))
    assert [one.key for one in found] == ["page:gid://shopify/Page/1", "policy:gid://shopify/Page/1"]
    assert "https://shop.example/pages/x" in found[0].body
    assert len(found) <= files.MOST


# The same source again


def paged(words: str) -> bytes:
    """A PDF of one page that says this."""
    made = FPDF()
    made.add_page()
    made.set_font("helvetica", size=12)
    made.multi_cell(0, 8, words)
    return bytes(made.output())


def exported(data: object) -> bytes:
    return orjson.dumps(data)


def page(of: str) -> Callable[[str], bytes]:
    return lambda days: of.replace("DAYS", days).encode()


PAIR = ("How long is delivery?", "It takes DAYS days.", "Do you ship abroad?", "Yes, to Jordan.")
SOURCES: dict[str, tuple[str, Callable[[str], bytes]]] = {
    "a page with structured data": ("faq.html", page(
        '<script type="application/ld+json">{"@type":"FAQPage","mainEntity":['
        '{"@type":"Question","name":"How long?","acceptedAnswer":{"text":"DAYS days."}},'
        '{"@type":"Question","name":"Abroad?","acceptedAnswer":{"text":"Yes."}}]}</script>')),
    "a definition list": ("faq.html", page(
        "<dl><dt>{}</dt><dd>{}</dd><dt>{}</dt><dd>{}</dd></dl>".format(*PAIR))),
    "an accordion": ("faq.html", page(
        '<button aria-controls="a">{}</button><div id="a">{}</div><button aria-controls="b">{}</button>'
        '<div id="b">{}</div>'.format(*PAIR))),
    "what folds": ("faq.html", page(
        "<details><summary>{}</summary>{}</details><details><summary>{}</summary>{}</details>".format(*PAIR))),
    "headings": ("faq.html", page("<h2>{}</h2><p>{}</p><h2>{}</h2><p>{}</p>".format(*PAIR))),
    "Markdown": ("faq.md", page("## {}\n\n{}\n\n## {}\n\n{}\n".format(*PAIR))),
    "a table": ("faq.csv", page('question,answer\n"{}","{}"\n"{}","{}"\n'.format(*PAIR))),
    "Word": ("faq.docx", lambda days: docx(("Heading1", "Delivery"), ("", f"{days} days."), ("Heading1", "Abroad"),
                                           ("", "Yes."))),
    "PDF": ("faq.pdf", lambda days: paged(f"It takes {days} days to deliver, and we deliver abroad too.")),
    "Zendesk": ("articles.json", lambda days: exported(
        {"articles": [{"id": 11, "title": "Delivery", "body": f"<p>{days} days</p>", "locale": "en-us",
                       "translations": [{"locale": "ar", "title": "التوصيل", "body": "<p>ثلاثة</p>"}]}]})),
    "Gorgias": ("articles.json", lambda days: exported(
        {"data": [{"id": 7, "translation": {"title": "Delivery", "content": f"<p>{days} days</p>", "locale": "en"}}]})),
    "Intercom": ("articles.json", lambda days: exported(
        {"type": "list", "data": [{"type": "article", "id": "9", "title": "Delivery", "body": f"<p>{days} days</p>",
                                   "state": "published", "default_locale": "en"}]})),
    "an archive": ("help.zip", lambda days: packed(
        {"en/delivery.md": f"# Delivery\n\n{days} days", "en/abroad.html": "<h1>Abroad</h1><p>Yes</p>"})),
}  # fmt: skip


async def brought(app: App, workspace: UUID, by: Agent, source: str, drafts: Sequence[files.Draft]) -> dict[str, int]:
    """Everything taken over; what became of it, and how many articles there are now."""
    async with app.db.transaction(workspace) as tx:
        kept = await importing.keep(tx, by, source, drafts, "en")
        await importing.take(tx, kept, set(range(len(drafts))), by=by, collection_id=None, publish=False)
        there = len(await articles.listed(tx, Kind.ARTICLE))
        return {name: kept.report[name] for name in ("new", "changed", "same")} | {"there": there}


@pytest.mark.parametrize("source", SOURCES)
async def test_the_same_source_again_updates_and_never_doubles(
    app: App, workspace: UUID, maya: Agent, source: str
) -> None:
    name, written = SOURCES[source]
    three = await importing.read_file(name, written("3"))
    first = await brought(app, workspace, maya, *three)
    texts = len(three[1])
    assert first["new"] == texts >= 1
    assert await brought(app, workspace, maya, *three) == {**first, "new": 0, "same": texts}
    four = await importing.read_file(name, written("4"))
    assert await brought(app, workspace, maya, *four) == {**first, "new": 0, "changed": 1, "same": texts - 1}


@pytest.mark.parametrize("kind", ["page", "post", "policy"])
async def test_a_shops_own_texts_again_update_and_never_double(
    app: App, workspace: UUID, maya: Agent, kind: str
) -> None:
    """Titles and addresses may change: the shop's ids stay."""

    async def read(title: str, days: str) -> list[files.Draft]:
        item = {"id": "7", "kind": kind, "title": title, "url": f"https://shop.example/{title}",
                "html": f"<p>{days} days</p>", "language": "en", "collection": ""}  # fmt: skip
        return await reader.read("writings", orjson.dumps([item]))

    store = f"store:{workspace}"
    assert (await brought(app, workspace, maya, store, await read("Delivery", "3")))["new"] == 1
    again = await brought(app, workspace, maya, store, await read("Our delivery", "4"))
    assert again == {"new": 0, "changed": 1, "same": 0, "there": 1}


@pytest.mark.parametrize("name", ["articles (1).json", "articles-2026-11-23.json", "export.zip"])
@pytest.mark.parametrize("source", ["Zendesk", "Gorgias", "Intercom"])
async def test_an_export_is_known_by_what_is_in_it_whatever_its_file_is_called(
    app: App, workspace: UUID, maya: Agent, source: str, name: str
) -> None:
    first_name, written = SOURCES[source]
    first = await brought(app, workspace, maya, *await importing.read_file(first_name, written("3")))
    later = written("4") if name.endswith(".json") else packed({"export/articles.json": written("4")})
    again = await brought(app, workspace, maya, *await importing.read_file(name, later))
    assert again == {**first, "new": 0, "changed": 1, "same": first["new"] - 1}


async def test_another_systems_export_with_the_same_numbers_is_another_one(
    app: App, workspace: UUID, maya: Agent
) -> None:
    def export(title: str) -> bytes:
        return exported({"data": [{"id": 7, "translation": {"title": title, "content": "x", "locale": "en"}}]})

    await brought(app, workspace, maya, *await importing.read_file("ours.json", export("Delivery")))
    theirs = await brought(app, workspace, maya, *await importing.read_file("theirs.json", export("Our shop")))
    assert theirs == {"new": 1, "changed": 0, "same": 0, "there": 2}


async def test_a_file_that_was_downloaded_twice_is_the_same_file(app: App, workspace: UUID, maya: Agent) -> None:
    name, written = SOURCES["Word"]
    first = await brought(app, workspace, maya, *await importing.read_file(name, written("3")))
    again = await brought(app, workspace, maya, *await importing.read_file("faq (1).docx", written("4")))
    assert again == {**first, "new": 0, "changed": 1, "same": 1}
