"""The widget's protocol over HTTP and socket: nothing lost, nothing doubled, with and without Valkey."""

import asyncio
import time
from typing import Any
from uuid import uuid4

import httpx
import pytest
import websockets
from sqlalchemy import delete, select

from plugin.app import App
from plugin.conversations import conversations as threads
from plugin.conversations import messages, presence
from plugin.conversations.conversations import Conversation
from plugin.crm.visitors import Visitor
from plugin.team import Agent


async def test_first_message_and_answer(browser: Any, answer: Any, noa: Agent) -> None:
    assert browser.session["conversation"] is None
    sent = await browser.say("وين طلبي؟")
    assert (sent["seq"], sent["author"], sent["text"]) == (1, "shopper", "وين طلبي؟")
    await answer(browser, noa, "في الطريق")
    page = await browser.poll()
    assert [(m["seq"], m["author"], m.get("author_name")) for m in page["messages"]] == [
        (1, "shopper", None),
        (2, "agent", "Noa"),
    ]
    assert page["last_seq"] == 2
    session = await browser.open()
    assert session["conversation"]["last_seq"] == 2
    assert session["unread"] == 1
    assert (await browser.post("read", seq=2)).status_code == 204
    assert (await browser.open())["unread"] == 0


async def test_twenty_senders_at_once(browser: Any) -> None:
    sent = await asyncio.gather(*(browser.say(str(number)) for number in range(20)))
    assert sorted(message["seq"] for message in sent) == list(range(1, 21))
    assert len((await browser.poll())["messages"]) == 20


async def test_resend_gets_the_same_answer(browser: Any) -> None:
    client_id = str(uuid4())
    first, second = [await browser.say("once", client_id=client_id) for _ in range(2)]
    assert first == second
    assert (await browser.say("twice"))["seq"] == 2


async def test_a_visitor_who_was_erased_meanwhile_begins_anew(browser: Any, app: App) -> None:
    async with app.db.transaction(browser.store.workspace_id) as tx:
        await tx.execute(delete(Visitor).where(Visitor.workspace_id == tx.workspace_id))
    said = await browser.post("messages", client_id=str(uuid4()), text="am I still here?", attachments=[])
    typed = await browser.post("email", email="me@example.com")
    assert (said.status_code, typed.status_code) == (401, 401)
    await browser.open()
    assert (await browser.say("now I am"))["seq"] == 1


async def test_pages(browser: Any) -> None:
    for number in range(1, 8):
        await browser.say(str(number))
    assert [m["seq"] for m in (await browser.poll(after=3, limit=2))["messages"]] == [4, 5]
    response = await browser.http.get("/widget/messages", params={"before": 6, "limit": 3})
    assert [m["seq"] for m in response.json()["messages"]] == [3, 4, 5]


async def test_long_poll_hears_the_answer(browser: Any, answer: Any, noa: Agent) -> None:
    await browser.say("hello")
    await browser.open()
    waiting = asyncio.create_task(browser.poll(after=1, wait=20))
    await asyncio.sleep(0.3)
    started = time.monotonic()
    await answer(browser, noa, "hi")
    page = await waiting
    assert time.monotonic() - started < 2
    assert [m["text"] for m in page["messages"]] == ["hi"]


async def test_long_poll_hears_of_a_conversation_begun_in_another_tab(browser: Any) -> None:
    waiting = asyncio.create_task(browser.poll(wait=20))
    await asyncio.sleep(0.3)
    await browser.say("from the other tab")
    page = await asyncio.wait_for(waiting, 30)
    assert [m["text"] for m in page["messages"]] == ["from the other tab"]
    assert page["conversation"]["last_seq"] == 1


async def test_long_poll_ends_by_itself(browser: Any) -> None:
    await browser.say("hello")
    started = time.monotonic()
    assert (await browser.poll(after=1, wait=1))["messages"] == []
    assert 0.9 < time.monotonic() - started < 3


async def test_socket_talks_both_ways(browser: Any, answer: Any, noa: Agent) -> None:
    async with browser.socket() as line:
        client_id = str(uuid4())
        await line.send(type="message", client_id=client_id, text="hello", attachments=[])
        ack = await line.frame("ack")
        assert (ack["client_id"], ack["message"]["seq"]) == (client_id, 1)
        await answer(browser, noa, "hi")
        heard = await line.message("hi")
        assert (heard["seq"], heard["author_name"]) == (2, "Noa")
        await line.send(type="read", seq=2)
        read = await line.frame("read")
        assert (read["seq"], read["by"]) == (2, "shopper")
        await line.send(type="ping")
        await line.frame("pong")


async def test_socket_resumes_after_a_number(browser: Any, answer: Any, noa: Agent) -> None:
    for number in range(3):
        await browser.say(str(number))
    await answer(browser, noa, "last")
    await browser.open()
    async with browser.socket(after=2) as line:
        assert (await line.frame("message"))["message"]["seq"] == 3
        assert (await line.frame("message"))["message"]["seq"] == 4


async def test_socket_opened_before_the_first_message_of_another_tab(browser: Any) -> None:
    async with browser.socket() as line:
        await browser.say("from the other tab")
        assert (await line.message("from the other tab"))["seq"] == 1


async def test_every_tab_hears_every_message_once(browser: Any, answer: Any, noa: Agent) -> None:
    await browser.say("0")
    await browser.open()
    async with browser.socket(after=1) as one, browser.socket(after=1) as other:
        for line in (one, other):
            await line.frame("presence")
        await asyncio.gather(*(answer(browser, noa, str(number)) for number in range(1, 16)))
        for line in (one, other):
            seqs = [(await line.frame("message"))["message"]["seq"] for _ in range(15)]
            assert sorted(seqs) == list(range(2, 17))
            with pytest.raises(TimeoutError):
                await line.frame("message", 0.3)


async def test_notes_and_typing_of_the_shopper_stay_on_our_side(browser: Any, answer: Any, noa: Agent) -> None:
    await browser.say("hello")
    await browser.open()
    app, store = browser.site.app, browser.store
    async with app.db.transaction(store.workspace_id) as tx:
        conversation = (await tx.scalars(select(Conversation))).one()
    async with (
        browser.socket(after=1) as line,
        app.hub.listen(store.workspace_id, f"panel:conversation:{conversation.id}") as team,
    ):
        async with app.db.transaction(store.workspace_id) as tx:
            await messages.note(tx, await tx.get(Conversation, conversation.id), noa, uuid4(), "difficult one")
        await line.send(type="typing")
        heard = []
        while "typing" not in heard:
            heard.append((await asyncio.wait_for(team.get(), 5))[1].get("type"))
        await answer(browser, noa, "hi")
        assert (await line.frame("message"))["message"]["text"] == "hi"
    assert [m["text"] for m in (await browser.poll())["messages"]] == ["hello", "hi"]


async def test_agent_typing_and_reading_reach_the_shopper(browser: Any, answer: Any, noa: Agent) -> None:
    await browser.say("hello")
    await browser.open()
    app, store = browser.site.app, browser.store
    async with app.db.transaction(store.workspace_id) as tx:
        conversation = (await tx.scalars(select(Conversation))).one()
    async with browser.socket(after=1) as line:
        await line.frame("presence")
        await app.hub.publish(
            store.workspace_id, [(f"conversation:{conversation.id}", {"type": "typing", "who": "Noa"})]
        )
        assert (await line.frame("typing"))["who"] == "Noa"
        async with app.db.transaction(store.workspace_id) as tx:
            await threads.mark_read(tx, conversation.id, who="agent", seq=1)
        read = await line.frame("read")
        assert (read["seq"], read["by"]) == (1, "agent")


async def test_ticket_is_good_once(browser: Any) -> None:
    ticket = await browser.ticket()
    async with browser.socket(ticket=ticket):
        pass
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with browser.socket(ticket=ticket):
            pass
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://dukkan.example"])
async def test_socket_is_for_our_own_frame(browser: Any, origin: str) -> None:
    address = f"{browser.site.ws}/widget/socket?ticket={await browser.ticket()}&after=0"
    with pytest.raises(websockets.InvalidStatus):
        async with websockets.connect(address, origin=origin):
            pass


async def test_broken_and_oversized_frames(browser: Any) -> None:
    async with browser.socket() as line:
        for broken in (
            "{",
            "[]",
            '{"type":"nonsense"}',
            '{"type":"message","client_id":"x"}',
            '{"type":"read","seq":"x"}',
        ):
            await line.raw.send(broken)
            assert (await line.frame("error"))["code"] == "bad_frame"
        await line.send(type="message", client_id=str(uuid4()), text="a" * 4001)
        assert (await line.frame("error"))["code"] == "message_too_long"
        await line.raw.send("x" * 40_000)
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await line.frame("never")
    assert closed.value.rcvd.code == 1009


async def test_socket_that_floods_is_slowed_then_closed(browser: Any) -> None:
    async with browser.socket() as line:
        for number in range(50):
            await line.send(type="message", client_id=str(uuid4()), text=str(number))
        assert (await line.frame("error"))["code"] == "too_many"

        async def flood() -> None:
            for _ in range(400):
                await line.send(type="ping")
            await line.frame("never")

        with pytest.raises(websockets.ConnectionClosed):
            await flood()
    assert 20 <= len((await browser.poll())["messages"]) < 50


async def test_visitor_who_floods_by_request_is_told_to_wait(browser: Any) -> None:
    for number in range(60):
        await browser.say(str(number))
    refused = await browser.post("messages", client_id=str(uuid4()), text="more", attachments=[])
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) > 0
    assert refused.json()["error"]["code"] == "too_many"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"text": "no id"}, 422),
        ({"client_id": "not-a-uuid", "text": "x"}, 422),
        ({"client_id": str(uuid4()), "text": ""}, 400),
        ({"client_id": str(uuid4()), "text": "x" * 40_000}, 413),
        ({"client_id": str(uuid4()), "text": "x", "attachments": [str(uuid4())]}, 400),
    ],
)
async def test_bad_messages(browser: Any, body: dict[str, Any], status: int) -> None:
    refused = await browser.post("messages", **body)
    assert refused.status_code == status
    assert refused.json()["error"]["message"]


async def test_a_form_of_another_site_is_refused(browser: Any) -> None:
    refused = await browser.http.post(
        "/widget/messages", content='{"client_id":"x"}', headers={"content-type": "text/plain"}
    )
    assert refused.status_code == 415


@pytest.mark.parametrize("given", ["Basic eDp5", "Bearer nonsense", "Bearer a.b", "Bearer Zm9v.Zm9v"])
async def test_without_a_session(browser: Any, given: str) -> None:
    async with httpx.AsyncClient(base_url=browser.site.url, headers={"authorization": given}) as stranger:
        for method, path in (
            ("GET", "messages"), ("POST", "messages"), ("POST", "attachments"), ("POST", "typing"),
            ("POST", "read"), ("POST", "email"), ("POST", "ticket"),
        ):  # fmt: skip
            assert (await stranger.request(method, f"/widget/{path}")).status_code == 401


async def test_presence_of_agents(browser: Any, answer: Any, noa: Agent) -> None:
    app, store = browser.site.app, browser.store
    async with browser.socket() as line:
        assert (await line.frame("presence"))["agents"] == 0
        # At once, not with the next pulse: the shopper waits.
        await presence.agent_here(app.hub, store.workspace_id, noa.id)
        assert (await asyncio.wait_for(line.frame("presence"), 5))["agents"] == 1
        await presence.agent_gone(app.hub, store.workspace_id, noa.id)
        assert (await asyncio.wait_for(line.frame("presence"), 5))["agents"] == 0


async def test_shopper_is_here_while_the_panel_is_open(browser: Any) -> None:
    await browser.say("hello")
    await browser.open()
    app, store = browser.site.app, browser.store
    conversation = browser.session["conversation"]["id"]
    async with browser.socket(after=1) as line:
        await line.frame("presence")
        assert await presence.shopper_is_here(app.hub, store.workspace_id, conversation)
    for _ in range(50):
        if not await presence.shopper_is_here(app.hub, store.workspace_id, conversation):
            return
        await asyncio.sleep(0.1)
    raise AssertionError("the shopper left, and nobody noticed")


async def test_who_comes_while_others_are_there_is_here_at_once(browser: Any, another: Any) -> None:
    await another.open()
    await browser.say("hello")
    await browser.open()
    app, store = browser.site.app, browser.store
    conversation = browser.session["conversation"]["id"]
    topic = f"panel:conversation:{conversation}"
    async with another.socket() as first:
        await first.frame("presence")
        async with app.hub.listen(store.workspace_id, topic) as panel, browser.socket(after=1) as line:
            await line.frame("conversation")
            assert (await asyncio.wait_for(panel.get(), 5))[1] == {"type": "here"}, "not only with the next pulse"
            assert await presence.shopper_is_here(app.hub, store.workspace_id, conversation)


# Without Valkey


async def test_without_valkey_messages_and_polls_go_on(offline: Any, answer: Any, noa: Agent) -> None:
    started = time.monotonic()
    assert (await offline.say("hello"))["seq"] == 1
    assert time.monotonic() - started < 2
    waiting = asyncio.create_task(offline.poll(after=1, wait=15))
    await asyncio.sleep(0.5)
    await answer(offline, noa, "hi")
    assert [m["text"] for m in (await asyncio.wait_for(waiting, 6))["messages"]] == ["hi"]
    assert (await offline.post("ticket")).status_code == 503
