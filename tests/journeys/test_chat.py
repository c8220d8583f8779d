"""Walks c and e: a shopper writes from the storefront, an agent answers from the panel, with the orders beside."""

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import websockets

from plugin.conversations.conversations import Conversation
from plugin.crm.customers import Customer
from plugin.crm.orders import Order
from plugin.stores import Store
from tests.journeys.conftest import SHOP, SHOPIFY_STOREFRONT, WOO, Owner, Shopper, World, csrf


async def _conversation(world: World, store: Store, text: str) -> Conversation:
    async def found() -> Any:
        rows = await world.all(store.workspace_id, Conversation, Conversation.preview == text)
        return rows[0] if rows else None

    conversation: Conversation = await world.until(found, what="the conversation")
    return conversation


async def test_a_visitor_and_an_agent_talk_over_http(
    world: World, woo_store: Store, owner: Owner, shopper: Callable[[Store], Shopper]
) -> None:
    visitor = shopper(woo_store)
    assert (await visitor.open())["conversation"] is None
    client_id = str(uuid4())
    first = await visitor.say("מתי זה מגיע?", client_id)
    assert (await visitor.say("מתי זה מגיע?", client_id))["id"] == first["id"], "a resend is the same message"
    assert first["seq"] == 1

    inbox = await owner.browser.get(f"{world.url}/panel/inbox")
    assert "מתי זה מגיע?" in inbox.text
    conversation = await _conversation(world, woo_store, "מתי זה מגיע?")
    page = await owner.browser.get(f"{world.url}/panel/inbox/{conversation.id}")
    assert page.status_code == 200
    waiting = asyncio.create_task(visitor.hear(after=1, wait=10))
    await asyncio.sleep(0.2)
    reply = f"/panel/conversations/{conversation.id}/reply"
    assert f'data-reply="{reply}"' in page.text
    fields = {"text": "מחר בבוקר", "client_id": str(uuid4())}
    answered = await owner.browser.post(f"{world.url}{reply}", fields, **{"x-csrf-token": csrf(page.text)})
    assert answered.status_code < 300, answered.text
    [heard] = await waiting
    assert (heard["author"], heard["text"], heard["seq"]) == ("agent", "מחר בבוקר", 2)
    assert heard["author_name"] == "Noor"
    back = shopper(woo_store)
    back.secret = visitor.secret
    reopened = await back.open()
    assert (reopened["conversation"]["last_seq"], reopened["unread"]) == (2, 1)


async def test_a_signed_in_customer_of_shopify_is_known_and_their_orders_stand_beside(
    world: World, shopify_store: Store, shopper: Callable[[Store], Shopper]
) -> None:
    await world.history_of(shopify_store)
    known, order = await _somebody_with_an_order(world, shopify_store)
    async with world.client() as storefront:
        token = await _identity(storefront, str(known["id"]))
    visitor = shopper(shopify_store)
    session = await visitor.open(identity=token)
    assert session["visitor"]["identified"] is True
    async with _socket(visitor, await _ticket(visitor)) as line:
        await line.send(
            json.dumps({"type": "message", "client_id": str(uuid4()), "text": "أين طلبي؟", "attachments": []})
        )
        ack = await _frame(line, "ack")
        assert ack["message"]["seq"] == 1
        conversation = await _conversation(world, shopify_store, "أين طلبي؟")
        assert conversation.customer_id == order.customer_id
        bearer = await _staff(world)
        async with world.client(base_url=world.url, headers=bearer) as agent:
            page = await agent.get(f"/shopify/inbox/{conversation.id}")
            assert page.status_code == 200
            assert order.number in page.text
            sent = await agent.post(
                f"/shopify/conversations/{conversation.id}/reply", data={"text": "في الطريق", "client_id": str(uuid4())}
            )
            assert sent.status_code < 300, sent.text
        told = await _frame(line, "message", text="في الطريق")
        assert told["message"]["seq"] == 2


async def test_a_reply_in_the_admin_brings_its_block_back_and_everybody_elses_screen_follows(
    world: World, shopify_store: Store, shopper: Callable[[Store], Shopper]
) -> None:
    visitor = shopper(shopify_store)
    await visitor.open()
    await visitor.say("is anybody there?", str(uuid4()))
    conversation = await _conversation(world, shopify_store, "is anybody there?")
    bearer, colleague = await _staff(world), await _staff(world, user="someone-else")
    async with (
        world.client(base_url=world.url, headers=bearer) as agent,
        world.client(base_url=world.url, headers=colleague) as other,
    ):
        watched = {"conversation": str(conversation.id)}
        async with other.stream("GET", "/shopify/live", params=watched) as screen:
            assert screen.status_code == 200
            lines = screen.aiter_lines()
            assert await anext(lines) == "event: live:open"
            path = f"/shopify/conversations/{conversation.id}/reply"
            block = await agent.post(path, data={"text": "Yes, always", "client_id": str(uuid4())})
            assert "Yes, always" in block.text
            assert "<html" not in block.text, "the block, not the page"
            async with asyncio.timeout(30):
                missing = {"event: live:message", "event: live:queue"}
                while missing:
                    missing.discard(await anext(lines))
        assert "Yes, always" in (await other.get(f"/shopify/inbox/{conversation.id}")).text


async def test_a_socket_that_comes_back_hears_what_it_missed(
    world: World, shopify_store: Store, shopper: Callable[[Store], Shopper]
) -> None:
    visitor = shopper(shopify_store)
    await visitor.open()
    await visitor.say("hello, a first word", str(uuid4()))
    conversation = await _conversation(world, shopify_store, "hello, a first word")
    async with world.client(base_url=world.url, headers=await _staff(world)) as agent:
        for text in ("one", "two", "three"):
            sent = await agent.post(
                f"/shopify/conversations/{conversation.id}/reply", data={"text": text, "client_id": str(uuid4())}
            )
            assert sent.status_code < 300, sent.text
        await agent.post(
            f"/shopify/conversations/{conversation.id}/note", data={"text": "between us", "client_id": str(uuid4())}
        )
    await visitor.open()
    ticket = await _ticket(visitor)
    async with _socket(visitor, ticket, after=2) as line:
        assert [(await _frame(line, "message"))["message"]["text"] for _ in range(2)] == ["two", "three"]
    assert [message["text"] for message in await visitor.hear()] == ["hello, a first word", "one", "two", "three"]
    closed = await _refused(visitor, ticket)
    assert closed, "a ticket opens one socket"


async def test_a_strangers_page_and_a_stranger_get_nothing(
    world: World, woo_store: Store, shopify_store: Store, shopper: Callable[[Store], Shopper]
) -> None:
    visitor = shopper(woo_store)
    await visitor.open()
    await visitor.say("this is mine", str(uuid4()))
    stranger = shopper(woo_store)
    await stranger.open()
    assert await stranger.hear() == []
    elsewhere = shopper(shopify_store)
    elsewhere.secret = visitor.secret
    assert (await elsewhere.open())["conversation"] is None
    async with world.client(base_url=world.url) as http:
        frame = await http.get("/widget/frame", params={"store": woo_store.public_key, "locale": "he"})
    assert f"frame-ancestors {WOO}" in frame.headers["content-security-policy"]


# What people do


async def _somebody_with_an_order(world: World, store: Store) -> tuple[dict[str, Any], Order]:
    people = (await world.control(f"https://{SHOP}", "records/customers"))["customers"]
    for order in await world.all(store.workspace_id, Order, Order.store_id == store.id):
        customer = (await world.all(store.workspace_id, Customer, Customer.id == order.customer_id))[0]
        for person in people:
            if person["email"] and person["email"] == customer.email:
                return person, order
    raise AssertionError("nobody has an order")


async def _identity(storefront: Any, customer_id: str) -> str:
    """Sign in at the storefront and ask for a token through the app proxy, as the loader does."""
    page = await storefront.get(f"https://{SHOPIFY_STOREFRONT}/account/login")
    action = re.search(r'<form[^>]*action="([^"]*)"', page.text)
    assert action is not None, page.text
    await storefront.post(f"https://{SHOPIFY_STOREFRONT}{action[1]}", data={"customer": customer_id})
    answer = await storefront.get(f"https://{SHOPIFY_STOREFRONT}/apps/support/identity")
    assert answer.status_code == 200, answer.text
    token: str = answer.json()["token"]
    return token


async def _staff(world: World, user: str = "") -> dict[str, str]:
    path = f"id-token?user={user}" if user else "id-token"
    token = (await world.control(f"https://{SHOP}", path))["token"]
    return {"authorization": f"Bearer {token}", "hx-request": "true"}


async def _ticket(visitor: Shopper) -> str:
    answer = await visitor.http.post("/widget/ticket")
    assert answer.status_code == 200, answer.text
    ticket: str = answer.json()["ticket"]
    return ticket


def _socket(visitor: Shopper, ticket: str, after: int = 0) -> websockets.connect:
    address = visitor.url.replace("http", "ws", 1)
    return websockets.connect(
        f"{address}/widget/socket?ticket={ticket}&after={after}", origin=websockets.Origin(visitor.url)
    )


async def _refused(visitor: Shopper, ticket: str) -> bool:
    try:
        async with _socket(visitor, ticket) as line:
            await line.recv()
    except websockets.WebSocketException:
        return True
    return False


async def _frame(line: websockets.ClientConnection, kind: str, text: str = "") -> dict[str, Any]:
    async with asyncio.timeout(30):
        while True:
            frame: dict[str, Any] = json.loads(await line.recv())
            if frame["type"] == kind and (not text or frame["message"]["text"] == text):
                return frame
