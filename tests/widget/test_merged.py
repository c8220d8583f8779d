"""A shopper whose conversation is put into another one, or taken apart, reads every word once."""

from typing import Any
from uuid import UUID, uuid4

from plugin.conversations import blocked, merging, messages
from plugin.conversations.blocked import Kind
from plugin.conversations.conversations import Conversation, Shopper
from plugin.kernel.db import new_id
from plugin.team import Agent
from tests.widget.conftest import Browser


async def second(browser: Browser, text: str) -> UUID:
    """Another thread of the same browser, which its widget does not show."""
    app, visitor = browser.site.app, UUID(browser.session["visitor"]["id"])
    async with app.db.transaction(browser.store.workspace_id) as tx:
        talk = Conversation(id=new_id(), store_id=browser.store.id, visitor_id=visitor, channel="widget")
        tx.add(talk)
        await tx.flush()
        bound = Shopper(visitor, browser.store.id, conversation_id=talk.id)
        await messages.receive(tx, bound, uuid4(), text)
        return talk.id


async def merge(browser: Browser, into: UUID, other: UUID, by: Agent) -> UUID:
    async with browser.site.app.db.transaction(browser.store.workspace_id) as tx:
        return (await merging.merge(tx, into, [other], by=by))[0].id


async def everything(browser: Browser) -> tuple[str, list[str]]:
    page = await browser.poll()
    return page["conversation"]["id"], [message["text"] for message in page["messages"]]


async def test_an_open_chat_goes_over_into_the_thread_that_goes_on(browser: Browser, answer: Any, noa: Agent) -> None:
    await browser.open()
    await browser.say("one")
    await browser.open()
    mine = browser.session["conversation"]["id"]
    other = await second(browser, "two")
    async with browser.socket(after=1, thread=mine) as line:
        await line.frame("conversation")
        join = await merge(browser, other, UUID(mine), noa)
        moved = await line.until(lambda one: one["type"] == "conversation" and one["conversation"]["id"] != mine, 20)
        told = moved["conversation"]
        assert told["last_seq"] == 2
        # Over the line whose session still names the one that was merged.
        await line.send(type="message", client_id=str(uuid4()), text="three", attachments=[])
        assert (await line.frame("ack"))["message"]["seq"] == 3
    assert await everything(browser) == (told["id"], ["one", "two", "three"])
    # Another tab of the same browser, with the numbers of before.
    stale = await browser.poll(after=1, thread=mine)
    assert stale["messages"] == [], "numbers of another thread continue nothing"
    assert stale["conversation"]["id"] == told["id"]
    async with browser.site.app.db.transaction(browser.store.workspace_id) as tx:
        await merging.undo(tx, join, by=noa)
    name, said = await everything(browser)
    assert name not in (mine, told["id"]), "it has other numbers than before"
    assert said in (["one"], ["two", "three"])


async def test_whoever_comes_back_with_numbers_of_before_begins_anew(browser: Browser, noa: Agent) -> None:
    await browser.open()
    for text in ("one", "two"):
        await browser.say(text)
    await browser.open()
    mine = browser.session["conversation"]["id"]
    other = await second(browser, "between")
    await merge(browser, UUID(mine), other, noa)
    async with browser.socket(after=2, thread=mine) as line:
        told = (await line.frame("conversation"))["conversation"]
        assert told["id"] == f"{mine}~1"
        await browser.say("next")
        assert (await line.message("next"))["seq"] == 4, "and nothing that the page reads itself"


async def test_a_waiting_poll_hears_that_the_thread_has_other_numbers(browser: Browser, noa: Agent) -> None:
    await browser.open()
    await browser.say("one")
    await browser.open()
    mine = browser.session["conversation"]["id"]
    await merge(browser, UUID(mine), await second(browser, "two"), noa)
    page = await browser.poll(after=2, wait=20, thread=mine)
    assert page["conversation"]["id"] == f"{mine}~1"


async def test_whoever_is_blocked_is_told_politely_and_kept(browser: Browser, noa: Agent) -> None:
    await browser.open()
    await browser.say("pills")
    app, workspace = browser.site.app, browser.store.workspace_id
    session = await browser.open()
    assert "closed" not in session["conversation"]
    async with app.db.transaction(workspace) as tx:
        talk = await tx.get(Conversation, UUID(session["conversation"]["id"]))
        assert talk is not None
        await blocked.block(tx, talk, Kind.VISITOR, by=noa)
    assert (await browser.open())["conversation"]["closed"] is True
    await browser.say("more pills")
    assert await browser.texts() == ["pills", "more pills"]
