"""Bringing articles in: what is recognised, what is done the second time, and pages that mean harm."""

import asyncio
import gzip
import json
import socket
import time
from dataclasses import replace
from typing import Any
from uuid import UUID

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugin.app import App
from plugin.kernel.errors import AhlanError
from plugin.kernel.http import Http
from plugin.knowledge import articles, files, importing, markdown, search
from plugin.knowledge.articles import Kind
from plugin.knowledge.files import Draft
from plugin.knowledge.importing import Outcome
from plugin.team import Agent

FAQ = {
    "@context": "https://schema.org",
    "@graph": [
        {"@type": "WebSite"},
        {
            "@type": ["WebPage", "FAQPage"],
            "mainEntity": [
                {"@type": "Question", "name": "Do you ship abroad?",
                 "acceptedAnswer": {"@type": "Answer", "text": "<p>Yes, to <b>20</b> countries.</p>"}},
                {"@type": "Question", "name": "هل يوجد دفع عند الاستلام؟",
                 "acceptedAnswer": [{"@type": "Answer", "text": "نعم."}]},
            ],
        },
    ],
}  # fmt: skip
PAGES = {
    "faq": f'<script type="application/ld+json">{json.dumps(FAQ)}</script><h2>x</h2><p>y</p>',
    "details": "<details><summary>Do you ship abroad?</summary><p>Yes, to <b>20</b> countries.</p></details>"
    "<details><summary>هل يوجد دفع عند الاستلام؟</summary>نعم.</details>",
    "accordion": '<h3><button aria-controls="a">Do you ship abroad?</button></h3><div id="a">Yes, to <b>20</b> '
    'countries.</div><h3><button aria-controls="b">هل يوجد دفع عند الاستلام؟</button></h3>'
    '<div id="b"><p>نعم.</p></div>',
    "list": "<dl><dt>Do you ship abroad?</dt><dd>Yes, to <b>20</b> countries.</dd><dt>هل يوجد دفع عند الاستلام؟</dt>"
    "<dd>نعم.</dd></dl>",
    "headings": "<nav><h3>Menu</h3><p>no</p></nav><h1>FAQ</h1><p>Intro</p><div><h2>Do you ship abroad?</h2></div>"
    "<div><p>Yes, to <b>20</b> countries.</p></div><h2>هل يوجد دفع عند الاستلام؟</h2><p>نعم.</p><footer>x</footer>",
}


@pytest.mark.parametrize("way", sorted(PAGES))
def test_questions_are_recognised_however_a_page_is_built(way: str) -> None:
    first, second = files.read_page(f"<html><body>{PAGES[way]}</body></html>".encode())
    assert (first.title, first.body, first.language, first.way) == (
        "Do you ship abroad?", "Yes, to **20** countries.", "en", way,
    )  # fmt: skip
    assert (second.title, second.body, second.language) == ("هل يوجد دفع عند الاستلام؟", "نعم.", "ar")


@pytest.mark.parametrize(
    ("said", "words", "found"),
    [('lang="fr"', "Expédiez-vous à l'étranger ?", "fr"), ("lang=en-GB", "Do you ship abroad?", "en"),
     ('class="no-js" LANG="FR_ca"', "Expédiez-vous ?", "fr"), ('lang="fa"', "آیا ارسال می‌شود؟", "fa"),
     # A theme that was never translated says English over Arabic words.
     ('lang="en"', "هل يوجد دفع عند الاستلام؟", "ar"), ('lang="ar" dir="rtl"', "Do you ship abroad?", "en"),
     ('lang="iw"', "האם יש משלוחים?", "he"), ('lang=""', "Do you ship abroad?", "en"),
     ('data-lang="fr"', "Do you ship abroad?", "en"), ('lang="ru"', "Есть ли доставка?", "ru")],
)  # fmt: skip
def test_a_page_is_in_the_language_that_it_says_where_its_letters_can_be_of_it(
    said: str, words: str, found: str
) -> None:
    page = f"<!doctype html><html {said}><body><details><summary>{words}</summary>20</details></body></html>"
    (one,) = files.read_page(page.encode())
    assert one.language == found


def test_links_of_a_page_lead_where_they_led() -> None:
    page = b"<h2>A?</h2><p><a href='/x'>x</a> <a href='javascript:alert(1)'>y</a></p><h2>B?</h2><p>b</p>"
    assert files.read_page(page, url="https://shop.example/faq")[0].body == "[x](https://shop.example/x) y"


def test_markdown_and_tables() -> None:
    parts = files.read_markdown(b"# FAQ\n\n## One?\n\nfirst\n\n## Two?\n\nsecond\n", "faq.md")
    assert [(one.title, one.body) for one in parts] == [("One?", "first"), ("Two?", "second")]
    (whole,) = files.read_markdown(b"# Sizes\n\nS and M", "x.md")
    assert (whole.title, whole.body) == ("Sizes", "S and M")
    assert files.read_markdown(b"just words", "opening_hours.txt")[0].title == "opening hours"
    table = "id;السؤال;الجواب;القسم\n7;هل تشحنون؟;<p>نعم <b>طبعًا</b></p>;الشحن\n8;;x;\n"
    (row,) = files.read_csv(b"\xef\xbb\xbf" + table.encode())
    assert (row.title, row.body, row.key, row.collection) == ("هل تشحنون؟", "نعم **طبعًا**", "7", "الشحن")
    (row,) = files.read_csv(b'Question,Answer,Locale\nHow?,"So, and so",he-IL\n')
    assert (row.title, row.body, row.language) == ("How?", "So, and so", "he")


HOSTILE = [
    b"<h2>A?</h2><p>" + b"<div>" * 20_000 + b"x</p><h2>B?</h2><p>y</p>",
    b"<details><summary>Q</summary>" * 3_000 + b"x",
    b'<script type="application/ld+json">' + b'{"mainEntity":[' * 900 + b"</script>",
    b"<h2>A<script>alert(1)</script></h2><p onclick=x>y<script>alert(1)</script></p><h2>B</h2><p>z</p>",
    b"\x00\x01\x02PK\x03\x04",
    b"\xff\xfe<\x00h\x00",
    b"<meta charset=rot13><h2>A</h2><p>b</p>",
    b"<dl>" + b"<dt>q</dt><dd>a</dd>" * 20_000,
    b"",
]


@pytest.mark.parametrize("content", HOSTILE)
def test_a_page_that_means_harm_yields_words_or_nothing(content: bytes) -> None:
    try:
        drafts = files.read_page(content)
    except files.Unreadable:
        return
    assert len(drafts) <= files.MOST
    for one in drafts:
        assert "<script" not in one.title + one.body
        assert "alert" not in one.body


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    for reader in (files.read_page, files.read_csv, lambda data: files.read_markdown(data, "x.md")):
        try:
            drafts = reader(content)
        except files.Unreadable:
            continue
        assert all(one.title and one.key and len(one.title) <= 200 for one in drafts)


# Over the network


def _http(answer: object) -> Http:
    return Http(transport=httpx.MockTransport(answer))


async def test_a_page_is_fetched_through_its_redirects() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/faq":
            return httpx.Response(301, headers={"location": "/help"})
        return httpx.Response(200, html=PAGES["list"])

    where, drafts = await importing.fetch(_http(answer), "shop.example/faq")
    assert (where, len(drafts)) == ("https://shop.example/help", 2)


SAME_PAGE = (
    "https://shop.example/pages/أسئلة?view=all&utm_source=mail&utm_campaign=eid",
    "https://Shop.example:443/pages/%D8%A3%D8%B3%D8%A6%D9%84%D8%A9?gclid=Cj0&view=all&srsltid=Afm#delivery",
    "shop.example/pages/أسئلة?view=all&FBCLID=IwAR&mc_cid=1&mc_eid=2",
)


async def test_how_somebody_came_to_a_page_makes_no_other_source_of_it(app: App, workspace: UUID, maya: Agent) -> None:
    http = _http(lambda request: httpx.Response(200, html=PAGES["list"]))
    async with app.db.transaction(workspace) as tx:
        for number, address in enumerate(SAME_PAGE):
            kept = await importing.keep(tx, maya, *await importing.fetch(http, address), "en")
            await importing.take(tx, kept, {0, 1}, by=maya, collection_id=None, publish=False)
            assert kept.report["new"] == (0 if number else 2), address
            assert kept.where == "https://shop.example/pages/أسئلة?view=all", "as it is read"
        # What says which page it is stays.
        for other in ("https://shop.example/pages/أسئلة?view=some", "https://shop.example/pages/أسئلة"):
            kept = await importing.keep(tx, maya, *await importing.fetch(http, other), "en")
            assert [one.outcome for one in await importing.plan(tx, kept)] == [Outcome.NEW, Outcome.NEW]


@pytest.mark.parametrize(
    "address",
    ["http://127.0.0.1:5432/", "http://2130706433/", "http://0x7f.1/", "http://127.1/", "http://[::ffff:127.0.0.1]/",
     "http://[fd00:ec2::254]/", "http://0.0.0.0/", "http://169.254.169.254/latest/meta-data/", "http://[::1]/", "http://localhost/x",
     "file:///etc/passwd", "ftp://a.example/x", "https://user:pw@shop.example/", "javascript:alert(1)"],
)  # fmt: skip
async def test_private_addresses_and_other_schemes_are_refused(address: str) -> None:
    http = Http()
    with pytest.raises(AhlanError) as caught:
        await importing.fetch(http, address)
    await http.close()
    assert caught.value.code == "import_unreachable"


async def test_a_redirect_into_the_house_is_refused() -> None:
    guarded = Http()
    real = guarded._client

    class Bent(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if request.url.host == "shop.example":
                return httpx.Response(302, headers={"location": "http://127.0.0.1:1/secret"})
            return await real._transport.handle_async_request(request)

    bent = Http(transport=Bent())
    with pytest.raises(AhlanError) as caught:
        await importing.fetch(bent, "https://shop.example/faq")
    await guarded.close()
    assert caught.value.code == "import_unreachable"


async def test_a_name_that_is_public_once_and_private_on_its_redirect_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """DNS rebinding across a redirect: each hop is resolved, checked and connected to anew."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def rebinding(host: str | bytes, port: int, *rest: Any, **options: Any) -> list[Any]:
        if host not in ("rebind.example", b"rebind.example"):
            return real(host, port, *rest, **options)
        asked.append(str(host))
        # 127.0.0.2 stands for a public address (allowed below).
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.2" if len(asked) == 1 else "127.0.0.1", port))]

    reached: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.append((await reader.readline()).decode())
        port = writer.get_extra_info("sockname")[1]
        head = f"HTTP/1.1 302 Found\r\nLocation: http://rebind.example:{port}/inside\r\n"
        writer.write(f"{head}Content-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.2", 0)
    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    http = Http(allow_private_hosts=["127.0.0.2"])
    try:
        with pytest.raises(AhlanError) as caught:
            await importing.fetch(http, f"http://rebind.example:{server.sockets[0].getsockname()[1]}/faq")
    finally:
        await http.close()
        server.close()
    assert caught.value.code == "import_unreachable"
    assert len(asked) == 2
    assert len(reached) == 1, "only the public address was spoken to"


async def test_pages_without_end_are_not_read() -> None:
    loop = _http(lambda request: httpx.Response(302, headers={"location": request.url.path + "x"}))
    with pytest.raises(AhlanError) as caught:
        await importing.fetch(loop, "https://shop.example/")
    assert caught.value.code == "import_loop"

    sent = 0

    async def endless() -> object:
        nonlocal sent
        while sent < 100 << 20:
            sent += 1 << 20
            yield b"x" * (1 << 20)

    huge = _http(lambda request: httpx.Response(200, content=endless(), headers={"content-type": "text/html"}))
    with pytest.raises(AhlanError):
        await importing.fetch(huge, "https://shop.example/")
    assert sent < 20 << 20

    said = _http(
        lambda request: httpx.Response(
            200, content=endless(), headers={"content-type": "text/html", "content-length": str(100 << 20)}
        )
    )
    sent = 0
    with pytest.raises(AhlanError):
        await importing.fetch(said, "https://shop.example/")
    assert sent <= 1 << 20, "a page that says how long it is is not begun"

    bomb = gzip.compress(b"x" * (50 << 20))
    packed = _http(
        lambda request: httpx.Response(
            200, content=bomb, headers={"content-encoding": "gzip", "content-type": "text/html"}
        )
    )
    with pytest.raises(AhlanError):
        await importing.fetch(packed, "https://shop.example/")
    with pytest.raises(AhlanError) as caught:
        await importing.fetch(
            _http(lambda request: httpx.Response(200, content=b"%PDF", headers={"content-type": "application/pdf"})),
            "https://shop.example/",
        )
    assert caught.value.code == "import_nothing"


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [("x.exe", b"MZ", "import_kind"), ("x.zip", b"PK", "import_nothing"), ("x.csv", b"a,b\n1,2\n", "import_nothing"),
     ("x.md", b"\x00\x00", "import_nothing"), ("x.html", b"x" * (6 << 20), "too_large")],
)  # fmt: skip
async def test_files_that_are_none_are_refused(name: str, content: bytes, code: str) -> None:
    with pytest.raises(AhlanError) as caught:
        await importing.read_file(name, content)
    assert caught.value.code == code


# Taking over


async def bring(
    app: App, workspace: UUID, by: Agent, drafts: list[Draft], chosen: set[int] | None = None, publish: bool = False
) -> tuple[dict[str, int], list[Outcome]]:
    async with app.db.transaction(workspace) as tx:
        kept = await importing.keep(tx, by, "https://shop.example/faq", drafts, "en")
        planned = [one.outcome for one in await importing.plan(tx, kept)]
        which = set(range(len(drafts))) if chosen is None else chosen
        done = await importing.take(tx, kept, which, by=by, collection_id=None, publish=publish)
        assert await importing.take(tx, kept, which, by=by, collection_id=None, publish=publish) is done
        return {name: done.report[name] for name in ("new", "changed", "same", "left")}, planned


async def count(app: App, workspace: UUID) -> int:
    async with app.db.transaction(workspace) as tx:
        return len(await articles.listed(tx, Kind.ARTICLE))


async def test_the_same_page_again_updates_and_never_doubles(app: App, workspace: UUID, maya: Agent) -> None:
    drafts = files.read_page(PAGES["faq"].encode())
    report, planned = await bring(app, workspace, maya, drafts)
    assert (report["new"], planned) == (2, [Outcome.NEW, Outcome.NEW])
    report, planned = await bring(app, workspace, maya, drafts)
    assert (report, planned) == ({"new": 0, "changed": 0, "same": 2, "left": 0}, [Outcome.SAME, Outcome.SAME])
    newer = files.read_page(PAGES["faq"].replace("20", "25").encode())
    report, planned = await bring(app, workspace, maya, newer)
    assert (report["changed"], planned) == (1, [Outcome.CHANGED, Outcome.SAME])
    assert await count(app, workspace) == 2


async def test_a_question_in_other_words_with_its_old_answer_is_the_same_article(
    app: App, workspace: UUID, maya: Agent
) -> None:
    await bring(app, workspace, maya, files.read_page(PAGES["faq"].encode()))
    reworded = files.read_page(PAGES["faq"].replace("Do you ship abroad?", "Is there shipping abroad?").encode())
    report, planned = await bring(app, workspace, maya, reworded)
    assert (report["changed"], report["new"], planned) == (1, 0, [Outcome.CHANGED, Outcome.SAME])
    # From now on it is known by its new words: its answer may change too.
    newer = [replace(one, body=f"{one.body} And more.") for one in reworded]
    assert (await bring(app, workspace, maya, newer))[0]["changed"] == 2
    assert await count(app, workspace) == 2
    async with app.db.transaction(workspace) as tx:
        titles = {row.title for one in await articles.listed(tx, Kind.ARTICLE) for row in one.texts.values()}
    assert "Is there shipping abroad?" in titles


def answered(answer: str, *questions: str) -> list[Draft]:
    """Questions that all have the same answer."""
    return [Draft(one, answer, one, "list", "en") for one in questions]


async def test_the_answer_of_a_question_that_is_still_there_makes_no_other_one_its_article(
    app: App, workspace: UUID, maya: Agent
) -> None:
    answer = "Yes, within fourteen days."
    await bring(app, workspace, maya, answered(answer, "Shoes?"))
    assert (await bring(app, workspace, maya, answered(answer, "Shoes?", "Hats?")))[1] == [Outcome.SAME, Outcome.NEW]
    # Two new questions with the answer of one that is gone: nobody knows which of them it was.
    other = answered(answer, "Socks?", "Gloves?", "Hats?")
    assert (await bring(app, workspace, maya, other, set()))[1] == [Outcome.NEW, Outcome.NEW, Outcome.SAME]


async def test_an_answer_of_a_word_tells_no_questions_apart(app: App, workspace: UUID, maya: Agent) -> None:
    await bring(app, workspace, maya, answered("Yes.", "Do you ship to Jordan?"))
    assert (await bring(app, workspace, maya, answered("Yes.", "May I pay in cash?")))[1] == [Outcome.NEW]


async def test_what_was_changed_here_is_said_before_it_is_overwritten(app: App, workspace: UUID, maya: Agent) -> None:
    drafts = files.read_page(PAGES["faq"].encode())
    await bring(app, workspace, maya, drafts)
    async with app.db.transaction(workspace) as tx:
        first = (await articles.listed(tx, Kind.ARTICLE))[0]
        await articles.write(tx, first.article, "en", "Do you ship abroad?", "Ours.", by=maya.id)
    assert (await bring(app, workspace, maya, drafts, set()))[1][0] is Outcome.SAME, "nothing new came from there"
    newer = files.read_page(PAGES["faq"].replace("20", "25").encode())
    report, planned = await bring(app, workspace, maya, newer, set())
    assert planned[0] is Outcome.EDITED
    assert report["left"] == 1
    async with app.db.transaction(workspace) as tx:
        assert (await articles.listed(tx, Kind.ARTICLE))[0].texts["en"].body == "Ours."


async def test_a_deleted_article_comes_back_only_when_it_is_chosen(app: App, workspace: UUID, maya: Agent) -> None:
    drafts = files.read_page(PAGES["faq"].encode())
    await bring(app, workspace, maya, drafts)
    async with app.db.transaction(workspace) as tx:
        await articles.remove(tx, (await articles.listed(tx, Kind.ARTICLE))[0].article, by=maya)
    assert (await bring(app, workspace, maya, drafts, {1}))[1][0] is Outcome.DELETED
    assert await count(app, workspace) == 1
    await bring(app, workspace, maya, drafts)
    assert await count(app, workspace) == 2


async def test_an_import_is_taken_back_and_what_was_written_since_stays(app: App, workspace: UUID, maya: Agent) -> None:
    first = files.read_page(PAGES["faq"].encode())
    await bring(app, workspace, maya, first[:1], publish=True)
    async with app.db.transaction(workspace) as tx:
        (old,) = await articles.listed(tx, Kind.ARTICLE)
        await articles.write(tx, old.article, "en", "Do you ship abroad?", "Ours.", by=maya.id)
    newer = files.read_page(PAGES["faq"].replace("20", "25").encode())
    async with app.db.transaction(workspace) as tx:
        kept = await importing.keep(tx, maya, "https://shop.example/faq", newer, "en")
        await importing.take(tx, kept, {0, 1}, by=maya, collection_id=None, publish=True)
        assert (await articles.find(tx, old.article.id)).texts["en"].shown == newer[0].title
        await importing.take_back(tx, kept, by=maya)
        assert kept.report["back"] == {"deleted": 1, "restored": 1, "gone": 0, "off": 0, "stayed": 0}
        assert await importing.take_back(tx, kept, by=maya) is kept
        (left,) = await articles.listed(tx, Kind.ARTICLE)
        row = left.texts["en"]
        assert (row.body, row.published) == ("Ours.", row.version - 1), "the draft is the draft again"
        assert markdown.words_of(row.html) == first[0].body.replace("*", ""), "and shoppers see what they saw"
        kept = await importing.keep(tx, maya, "https://shop.example/other", newer, "en")
        await importing.take(tx, kept, {0}, by=maya, collection_id=None, publish=False)
        made = next(one for one in await articles.listed(tx, Kind.ARTICLE) if one.article.id != old.article.id)
        await articles.write(tx, made.article, "en", "Mine", "Written on.", by=maya.id)
        assert (await importing.take_back(tx, kept, by=maya)).report["back"]["stayed"] == 1
        assert (await articles.find(tx, made.article.id)).article.deleted_at is None


async def taken(app: App, workspace: UUID, by: Agent, drafts: list[Draft], *, publish: bool = False) -> UUID:
    """Everything taken over; the import's id."""
    async with app.db.transaction(workspace) as tx:
        kept = await importing.keep(tx, by, "https://shop.example/faq", drafts, "en")
        await importing.take(tx, kept, set(range(len(drafts))), by=by, collection_id=None, publish=publish)
        return kept.id


async def undone(app: App, workspace: UUID, by: Agent, id: UUID) -> dict[str, int]:
    async with app.db.transaction(workspace) as tx:
        kept = await importing.take_back(tx, await importing.find(tx, id), by=by)
        return dict(kept.report["back"])


async def test_what_was_taken_back_can_be_brought_in_again(app: App, workspace: UUID, maya: Agent) -> None:
    first = [Draft("Shipping", "To 20 countries.", "1", "export", "en")]
    second = [Draft("Shipping", "To 25 countries.", "1", "export", "en")]
    third = [Draft("Shipping", "To 30 countries.", "1", "export", "en")]
    await taken(app, workspace, maya, first)
    for _time in range(2):
        id = await taken(app, workspace, maya, second)
        assert (await undone(app, workspace, maya, id))["restored"] == 1
        assert (await bring(app, workspace, maya, second, set()))[1] == [Outcome.CHANGED], "it is not here"
        assert (await bring(app, workspace, maya, third, set()))[1] == [Outcome.CHANGED], "nobody changed it here"
    report, planned = await bring(app, workspace, maya, second)
    assert (report["changed"], planned) == (1, [Outcome.CHANGED])
    async with app.db.transaction(workspace) as tx:
        (one,) = await articles.listed(tx, Kind.ARTICLE)
        assert one.texts["en"].body == second[0].body


async def test_a_deleted_article_that_an_import_brought_back_is_deleted_again(
    app: App, workspace: UUID, maya: Agent
) -> None:
    both = [Draft("Shipping", "Abroad.", "1", "export", "en"), Draft("الشحن", "للخارج.", "1", "export", "ar")]
    newer = [Draft("Shipping", "To 25 countries.", "1", "export", "en")]
    await taken(app, workspace, maya, both, publish=True)
    async with app.db.transaction(workspace) as tx:
        (old,) = await articles.listed(tx, Kind.ARTICLE)
        await articles.remove(tx, old.article, by=maya)
    for drafts in (newer, both):
        id = await taken(app, workspace, maya, drafts, publish=True)
        assert await count(app, workspace) == 1
        assert await undone(app, workspace, maya, id) == {"deleted": 1, "restored": 0, "gone": 0, "off": 0, "stayed": 0}
        assert await count(app, workspace) == 0
        async with app.db.transaction(workspace) as tx:
            now = await articles.find(tx, old.article.id)
            assert (now.texts["en"].body, now.texts["en"].published is not None) == ("Abroad.", True)
            assert (now.texts["ar"].body, now.texts["ar"].published) == ("للخارج.", 1), "all as it was"
    id = await taken(app, workspace, maya, newer)
    async with app.db.transaction(workspace) as tx:
        back = await articles.find(tx, old.article.id)
        await articles.write(tx, back.article, "ar", "الشحن", "خمسة أيام.", by=maya.id)
    assert (await undone(app, workspace, maya, id))["restored"] == 1
    assert await count(app, workspace) == 1, "somebody went on writing in it"


async def test_the_report_of_taking_back_says_what_was_done(app: App, workspace: UUID, maya: Agent) -> None:
    both = [Draft("Shipping", "Abroad.", "1", "export", "en"), Draft("الشحن", "للخارج.", "1", "export", "ar")]
    id = await taken(app, workspace, maya, both, publish=True)
    async with app.db.transaction(workspace) as tx:
        (made,) = await articles.listed(tx, Kind.ARTICLE)
        await articles.write(tx, made.article, "en", "Shipping", "Ours.", by=maya.id)
    said = await undone(app, workspace, maya, id)
    assert said == {"deleted": 0, "restored": 0, "gone": 1, "off": 0, "stayed": 0}, "it has no former words"
    async with app.db.transaction(workspace) as tx:
        now = await articles.find(tx, made.article.id)
        assert (now.state("ar"), now.texts["en"].body) == (None, "Ours.")
    # What translations follow is not thrown away below one that somebody wrote on.
    id = await taken(app, workspace, maya, [replace(one, key="2") for one in both], publish=True)
    async with app.db.transaction(workspace) as tx:
        made = next(one for one in await articles.listed(tx, Kind.ARTICLE) if one.article.id != made.article.id)
        await articles.write(tx, made.article, "ar", "الشحن", "لنا.", by=maya.id)
    assert (await undone(app, workspace, maya, id))["off"] == 1
    async with app.db.transaction(workspace) as tx:
        now = await articles.find(tx, made.article.id)
        assert (now.state("en"), now.texts["ar"].body) == ("draft", "لنا.")


@pytest.mark.parametrize("publish", [False, True])
async def test_a_language_that_an_import_added_is_gone_when_it_is_taken_back(
    app: App, workspace: UUID, maya: Agent, publish: bool
) -> None:
    english = [Draft("Shipping", "Abroad.", "1", "export", "en")]
    arabic = [Draft("الشحن", "للخارج.", "1", "export", "ar")]
    await taken(app, workspace, maya, english, publish=True)
    async with app.db.transaction(workspace) as tx:
        (before,) = await articles.listed(tx, Kind.ARTICLE)
        await articles.write(tx, before.article, "en", "Shipping", "Ours.", by=maya.id)
    for _time in range(2):
        id = await taken(app, workspace, maya, arabic, publish=publish)
        assert (await undone(app, workspace, maya, id))["gone"] == 1
        async with app.db.transaction(workspace) as tx:
            (now,) = await articles.listed(tx, Kind.ARTICLE)
            assert set(now.texts) == {"en"}, "as it was: nobody ever wrote it in Arabic"
            assert await articles.versions(tx, now.article.id, "ar") == []
            assert set(now.article.imported) == {"en"}
            await search.index(tx, [now.article.id])
            assert not await search.find(tx, None, "الشحن", "ar", 3)
            assert (now.texts["en"].published, now.texts["en"].body) == (1, "Ours.")


@pytest.mark.parametrize("before", [(), ("en",), ("en", "ar")])
async def test_what_somebody_published_since_stays_when_an_import_is_taken_back(
    app: App, workspace: UUID, maya: Agent, before: tuple[str, ...]
) -> None:
    arabic = Draft("الشحن", "للخارج.", "1", "export", "ar")
    older = {"en": Draft("Shipping", "Abroad.", "1", "export", "en"), "ar": replace(arabic, body="قديم.")}
    if before:
        await taken(app, workspace, maya, [older[code] for code in before], publish=True)
    id = await taken(app, workspace, maya, [arabic])
    async with app.db.transaction(workspace) as tx:
        (one,) = await articles.listed(tx, Kind.ARTICLE)
        await articles.publish(tx, one.article, "ar", by=maya)
    assert (await undone(app, workspace, maya, id))["stayed"] == 1
    async with app.db.transaction(workspace) as tx:
        (now,) = await articles.listed(tx, Kind.ARTICLE)
        row = now.texts["ar"]
        assert (row.body, row.published) == ("للخارج.", row.version)


async def test_what_is_not_read_is_said(app: App, workspace: UUID, maya: Agent) -> None:
    drafts = [Draft("Versand", "Drei Tage", "1", "export", "de"), Draft("Ship", "x", "1", "export", "en"),
              files.unread("photo.jpg"), files.unread()]  # fmt: skip
    async with app.db.transaction(workspace) as tx:
        kept = await importing.keep(tx, maya, "file:x.zip", drafts, "en", languages=("en", "ar", "he"))
    assert [one["title"] for one in kept.items] == ["Ship"]
    assert kept.report == {"foreign": {"de": 1}, "unread": ["photo.jpg"], "more": True}


_LD = b'<script type="application/ld+json">'
_WORDS = b"<p>" + b"word " * 20_000


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(_LD * 20_000, id="beginnings without end"),
        pytest.param(
            _LD + b'{"@type":"Question","name":"' + b"<" * 100_000 + b'","acceptedAnswer":{"text":"a"}}</script>',
            id="a name of tags",
        ),
        pytest.param(b"".join(b"<dl><dt>q<dd>" for _ in range(150)) + _WORDS, id="lists in lists"),
        pytest.param(b"<button aria-controls=x>q</button>" * 2_000 + b"<div id=x>" + _WORDS, id="one answer for all"),
    ],
)  # fmt: skip
def test_no_page_takes_longer_than_it_is_long(content: bytes) -> None:
    began = time.process_time()
    files.read_page(content)
    assert time.process_time() - began < 5


def test_no_line_of_blanks_takes_longer_than_it_is_long() -> None:
    began = time.process_time()
    (found,) = files.read_markdown(b"# Sizes ##" + b" " * 3_000 + b"y\n\nAs usual.", "sizes.md")
    files.decoded(b"abc-" + b"a" * 1_000_000, "punycode")
    assert time.process_time() - began < 5
    assert found.title.startswith("Sizes")
    assert [one.title for one in files.read_markdown(b"## One ##\na\n## C # two\t# \nb\n", "x.md")] == [
        "One",
        "C # two",
    ]
