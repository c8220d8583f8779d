"""Chat over the wire: changes that nobody misses, ratings, signs, places, typing; and people who do harm."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import websockets
from sqlalchemy import func, select, update

import plugin.widget.routes as widget_routes
from plugin import workspaces
from plugin.app import App
from plugin.conversations import changes, presence, ratings
from plugin.conversations import conversations as threads
from plugin.conversations.conversations import RESOLVED, Conversation
from plugin.conversations.messages import Message
from plugin.kernel import jobs
from plugin.reactions import TASKS
from plugin.team import Agent
from plugin.widget import limits
from plugin.widget.limits import Limits
from tests.widget.conftest import Browser, Site


async def change(browser: Browser, verb: Callable[..., Awaitable[Any]], seq: int, *args: Any, **more: Any) -> None:
    async with browser.site.app.db.transaction(browser.store.workspace_id) as tx:
        message = (await tx.scalars(select(Message).where(Message.seq == seq))).one()
        await verb(tx, message, *args, **more)


async def test_whoever_was_away_learns_what_became_of_earlier_messages(
    browser: Browser, answer: Any, noa: Agent
) -> None:
    await browser.say("hello")
    await answer(browser, noa, "it costs 50")
    await answer(browser, noa, "wrong chat")
    page = (await browser.http.get("/widget/messages", params={"before": 4})).json()
    assert page["changed"] == []
    await change(browser, changes.edit, 2, noa, "it costs 15")
    await change(browser, changes.take_back, 3, noa)
    later = await browser.poll(after=3, mark=page["mark"])
    assert later["messages"] == []
    assert [(one["seq"], one["text"], "deleted_at" in one) for one in later["changed"]] == [
        (2, "it costs 15", False), (3, "", True),
    ]  # fmt: skip
    assert (await browser.poll(after=3, mark=later["mark"]))["changed"] == []
    # The same over the socket, which was not open meanwhile either.
    await browser.open()
    async with browser.socket(after=3, mark=page["mark"]) as line:
        assert (await line.frame("message"))["message"]["text"] == "it costs 15"
        assert (await line.frame("message"))["message"]["seq"] == 3
        assert (await line.frame("mark"))["mark"] == later["mark"]
        await change(browser, changes.edit, 2, noa, "it costs 12")
        assert (await line.message("it costs 12"))["edited_at"]


async def test_a_long_poll_hears_of_a_change(browser: Browser, answer: Any, noa: Agent) -> None:
    await browser.say("hello")
    await answer(browser, noa, "tomorow")
    await browser.open()
    mark = (await browser.poll(after=2, mark=""))["mark"]
    waiting = asyncio.create_task(browser.poll(after=2, wait=20, mark=mark))
    await asyncio.sleep(0.3)
    await change(browser, changes.edit, 2, noa, "tomorrow")
    assert [one["text"] for one in (await asyncio.wait_for(waiting, 30))["changed"]] == ["tomorrow"]


async def work(browser: Browser) -> None:
    app = browser.site.app
    for workspace_id, job_id, *_rest in await jobs.due(app.db, 100_000):
        if workspace_id == browser.store.workspace_id:
            await jobs.run(app.db, app, TASKS, workspace_id, job_id)


async def test_the_question_how_it_was_comes_into_the_open_chat(browser: Browser, answer: Any, noa: Agent) -> None:
    await browser.say("hello")
    await answer(browser, noa, "hi")
    await browser.open()
    assert (await browser.post("rating", score=5)).status_code == 404
    async with browser.socket(after=2) as line:
        await line.frame("presence")
        async with browser.site.app.db.transaction(browser.store.workspace_id) as tx:
            talk = (await tx.scalars(select(Conversation))).one()
            await threads.turn(tx, talk, RESOLVED, by=noa)
        await work(browser)
        frame = await line.until(
            lambda frame: frame["type"] == "conversation" and frame["conversation"]["rating"] is not None
        )
        assert frame["conversation"]["rating"] == {"score": None, "comment": ""}
    assert (await browser.post("rating", score=9)).status_code == 400
    rated = await browser.post("rating", score=4, comment="quick")
    assert rated.json() == {"rating": {"score": 4, "comment": "quick"}}
    assert (await browser.open())["conversation"]["rating"] == {"score": 4, "comment": "quick"}
    async with browser.site.app.db.transaction(browser.store.workspace_id) as tx:
        assert (await tx.scalars(select(ratings.Rating.score))).one() == 4


async def test_signs_go_both_ways(browser: Browser, another: Browser, answer: Any, noa: Agent) -> None:
    await browser.say("hello")
    await answer(browser, noa, "hi")
    await browser.open()
    put = await browser.post("sign", seq=2, sign="👍")
    assert put.json()["message"]["signs"] == [{"sign": "👍", "own": True, "count": 1}]
    assert (await browser.post("sign", seq=3, sign="👍")).status_code == 404
    assert (await browser.post("sign", seq=2, sign="<b>")).status_code == 400
    await another.open()
    assert (await another.post("sign", seq=2, sign="👍")).status_code == 404
    async with browser.socket(after=2) as line:
        await change(browser, changes.react, 1, "🙏", by=noa, on=True)
        heard = await line.until(lambda frame: frame["type"] == "message" and frame["message"]["seq"] == 1)
    assert heard["message"]["signs"] == [{"sign": "🙏", "own": False, "count": 1}]


@pytest.fixture
def of_the_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """How many are here and what the store has ruled are remembered for a moment, not for seconds."""
    monkeypatch.setattr(widget_routes, "_AGENTS_SECONDS", 0.1)
    monkeypatch.setattr(widget_routes, "_RULES_SECONDS", 0.1)


@pytest.mark.usefixtures("of_the_moment")
async def test_the_place_is_told_while_somebody_is_there_to_answer(browser: Browser, noa: Agent, answer: Any) -> None:
    async def place() -> Any:
        return (await browser.post("place")).json()["place"]

    await browser.say("hello")
    await browser.open()
    assert await place() is None
    await presence.agent_here(browser.site.app.hub, browser.store.workspace_id, noa.id)
    await asyncio.sleep(0.15)
    assert await place() == {"position": 1, "minutes": None}
    await answer(browser, noa, "hi")
    assert await place() is None


async def typed(browser: Browser) -> str:
    app, talk = browser.site.app, browser.session["conversation"]["id"]
    return await presence.typed_so_far(app.hub, browser.store.workspace_id, UUID(talk))


async def test_nobody_reads_along_before_the_workspace_decides_it(browser: Browser) -> None:
    await browser.say("hello")
    session = await browser.open()
    assert session["config"]["typing_preview"] is False
    await browser.post("typing", text="my secret")
    async with browser.socket(after=1) as line:
        await line.send(type="typing", text="my secret")
        await line.send(type="ping")
        await line.frame("pong")
    assert await typed(browser) == ""


@pytest.mark.usefixtures("of_the_moment")
async def test_agents_read_along_where_shoppers_are_told(app: App, workspace: UUID, browser: Browser) -> None:
    async with app.db.transaction(workspace) as tx:
        row = await workspaces.current(tx)
        assert row is not None
        row.chat = {"typing_preview": True}
    await browser.say("hello")
    async with asyncio.timeout(30):  # the rule is remembered for a while
        while not (await browser.open())["config"]["typing_preview"]:
            await asyncio.sleep(0.1)
    await browser.post("typing", text="is it " + "x" * 900)
    assert (await typed(browser)).startswith("is it xxx")
    assert len(await typed(browser)) == 500
    async with browser.socket(after=1) as line:
        await line.send(type="typing", text="")
        await line.send(type="ping")
        await line.frame("pong")
    assert await typed(browser) == ""


async def test_a_copy_is_for_whom_the_shop_vouches_for(browser: Browser) -> None:
    await browser.say("hello")
    await browser.open()
    refused = await browser.post("transcript")
    assert refused.status_code in (400, 403)
    assert refused.json()["error"]["message"]


# Harm


async def test_64_kilobytes_are_refused_in_words_and_the_chat_goes_on(browser: Browser) -> None:
    refused = await browser.post("messages", client_id=str(uuid4()), text="x" * 65_536, attachments=[])
    assert refused.status_code == 413
    assert refused.json()["error"]["message"]
    await browser.say("hello")
    await browser.open()
    async with browser.socket(after=1) as line:
        with pytest.raises(websockets.ConnectionClosed):
            await line.send(type="message", client_id=str(uuid4()), text="x" * 65_536, attachments=[])
            await line.frame("never")
    assert await browser.texts() == ["hello"]
    assert (await browser.say("still here"))["seq"] == 2


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("H" + "\u0336\u0352\u0314\u0302" * 300 + "i", "H\u0336\u0352\u0314\u0302\u0336\u0352i"),
        ("pay\u202e001\u202c now", "pay001 now"),
        ("\u2067open", "open"),
        ("null\x00byte\x1b[31m", "nullbyte[31m"),
    ],
)
async def test_text_that_wants_out_of_its_box(browser: Browser, sent: str, kept: str) -> None:
    assert (await browser.say(sent))["text"] == kept


async def test_a_thousand_messages_in_a_minute_harm_nobody_else(
    browser: Browser, another: Browser, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MESSAGE", limits.Limit("message", 60, visitor=60, address=100))
    began = time.monotonic()
    told = []
    # A flood does not wait for answers.
    for begin in range(0, 1000, 10):
        told += await asyncio.gather(*(
            browser.post("messages", client_id=str(uuid4()), text=str(number), attachments=[])
            for number in range(begin, begin + 10)
        ))  # fmt: skip
    # A slow machine sees more than one minute go by.
    minutes = 1 + int((time.monotonic() - began) // 60)
    assert 60 <= sum(one.status_code == 200 for one in told) <= 60 * minutes
    refused = next(one for one in told if one.status_code != 200)
    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "60"
    assert refused.json()["error"]["message"] == "That was a lot in a short time."
    # The same address, far beyond its share: somebody else's words go through.
    await another.open()
    for number in range(limits.FREE_MESSAGES):
        assert (await another.say(str(number)))["seq"] == number + 1


async def test_an_address_with_many_visitors_is_no_flood(app: App) -> None:
    counted = Limits(app.hub)
    store, other = uuid4(), uuid4()
    family = [uuid4() for _ in range(300)]
    for visitor in family:
        for _ in range(limits.FREE_MESSAGES):
            await counted.spend_message(visitor, store, "198.51.100.7")
    # Of a flooder with many faces each is stopped, and another shop knows nothing of it.
    with pytest.raises(Exception, match="a lot"):
        for visitor in (uuid4() for _ in range(100)):
            for _ in range(40):
                await counted.spend_message(visitor, store, "198.51.100.7")
    for visitor in family[:20]:
        await counted.spend_message(visitor, other, "198.51.100.7")


async def test_more_tabs_are_not_more_messages(browser: Browser) -> None:
    await browser.say("hello")
    await browser.open()
    async with browser.socket(after=1) as first, browser.socket(after=1) as second:
        for number in range(30):
            line = (first, second)[number % 2]
            await line.send(type="message", client_id=str(uuid4()), text=str(number), attachments=[])
        for line in (first, second):
            assert (await line.frame("error"))["code"] == "too_many"
    assert len(await browser.texts()) < 30


async def test_a_question_of_long_ago_is_gone(browser: Browser, answer: Any, noa: Agent) -> None:
    await browser.say("hello")
    await answer(browser, noa, "hi")
    async with browser.site.app.db.transaction(browser.store.workspace_id) as tx:
        talk = (await tx.scalars(select(Conversation))).one()
        await threads.turn(tx, talk, RESOLVED, by=noa)
    await work(browser)
    async with browser.site.app.db.transaction(browser.store.workspace_id) as tx:
        await tx.execute(update(ratings.Rating).values(created_at=func.now() - ratings.ASKED_FOR - timedelta(hours=1)))
    assert (await browser.open())["conversation"]["rating"] is None
