"""Searching in the inbox: the marked line, the message it leads to, what is said when nothing is found."""

import re
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from plugin.app import App
from plugin.conversations import messages, search
from plugin.conversations.conversations import Conversation
from tests.admin_ui.conftest import Browser, SignIn
from tests.admin_ui.shop import Shop


@pytest.fixture
async def maya(shop: Shop, sign_in: SignIn) -> Browser:
    return await sign_in(shop.email)


async def say(app: App, shop: Shop, *said: str) -> UUID:
    """Emma's conversation, with these notes at its end."""
    async with app.db.transaction(shop.workspace_id) as tx:
        talk = await tx.get(Conversation, shop.talks["emma"])
        assert talk is not None
        for one in said:
            await messages.note(tx, talk, shop.owner, uuid4(), one)
    await search.drain(app)
    return shop.talks["emma"]


def lines(html: str) -> list[str]:
    return re.findall(r'<span class="row-words row-hit" dir="auto">(.*?)</span>', html)


async def test_a_result_shows_its_line_with_the_words_marked(app: App, shop: Shop, maya: Browser) -> None:
    id = await say(app, shop, "ask <b>the</b> xylophone's supplier", "something else")
    page = await maya.get("/panel/inbox", params={"q": "xylophones"})
    assert lines(page.text) == ["… &lt;b&gt;the&lt;/b&gt; <mark>xylophone</mark>&#39;s supplier"]
    assert "Note, only for the team" in page.text
    async with app.db.transaction(shop.workspace_id) as tx:
        position = await tx.scalar(select(messages.Message.position).where(messages.Message.text.startswith("ask <b>")))
    assert f"/panel/inbox/{id}?at={position}&amp;q=xylophones" in page.text


async def test_a_result_opens_at_its_message_however_far_back(app: App, shop: Shop, maya: Browser) -> None:
    id = await say(app, shop, "where the xylophone stands", *(f"note {number}" for number in range(80)))
    page = await maya.get("/panel/inbox", params={"q": "xylophone"})
    (link,) = set(re.findall(rf'href="(/panel/inbox/{id}[^"]*)"', page.text))
    opened = await maya.get(link.replace("&amp;", "&"))
    (position,) = re.findall(r'data-found="(\d+)"', opened.text)
    assert re.search(rf'data-position="{position}" data-order="1"', opened.text), "the message itself is on the page"
    assert """data-marks='["xylophone"]'""" in opened.text
    plain = await maya.get(f"/panel/inbox/{id}")
    assert "where the xylophone" not in plain.text
    assert "data-found" not in plain.text
    for wrong in ("x", "-1", "99999999999", ""):
        assert (await maya.get(f"/panel/inbox/{id}", params={"at": wrong, "q": "note"})).status_code == 200


async def test_a_subject_and_a_person_are_found(app: App, shop: Shop, maya: Browser) -> None:
    id = shop.talks["emma"]
    assert (
        await maya.post(f"/panel/conversations/{id}/subject", data={"subject": "A broken zither"})
    ).status_code < 400
    await search.drain(app)
    page = await maya.get("/panel/inbox", params={"q": "zither"})
    assert lines(page.text) == ["A broken <mark>zither</mark>"]
    person = await maya.get("/panel/inbox", params={"q": "emma"})
    assert f"row-{id}" in person.text


async def test_nothing_found_says_what_to_try(shop: Shop, maya: Browser) -> None:
    page = await maya.get("/panel/inbox", params={"q": "qqqqq"})
    assert "Nothing found" in page.text
    assert "Try fewer words" in page.text


async def test_common_words_say_that_the_latest_are_shown(
    app: App, shop: Shop, maya: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    await say(app, shop, "zebra")
    plain = await maya.get("/panel/inbox", params={"q": "zebra"})
    assert "Many conversations have these words" not in plain.text
    monkeypatch.setattr(search, "MOST", 1)
    cut = await maya.get("/panel/inbox", params={"q": "zebra"})
    assert "Many conversations have these words" in cut.text


async def test_another_shops_words_are_not_found(
    app: App, shop: Shop, maya: Browser, empty_shop: Shop, sign_in: SignIn
) -> None:
    await say(app, shop, "quokka")
    assert len(lines((await maya.get("/panel/inbox", params={"q": "quokka"})).text)) == 1
    other = await sign_in(empty_shop.email)
    assert lines((await other.get("/panel/inbox", params={"q": "quokka"})).text) == []


async def test_a_slip_of_the_finger_is_offered_mended_in_both_lists(shop: Shop, sign_in: SignIn) -> None:
    browser = await sign_in(shop.email)
    people = await browser.get("/panel/customers?q=tammar")
    assert '/panel/customers?q=tamar"' in people.text
    found = await browser.get("/panel/inbox?q=status:open tammar")
    assert "Did you mean" in found.text
    assert "q=status%3Aopen+tamar" in found.text
    assert "Did you mean" not in (await browser.get("/panel/inbox?q=tamar")).text
    assert "Did you mean" not in (await browser.get("/panel/inbox?q=xxyyzz")).text
