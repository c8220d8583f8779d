"""An open stream and a ticketed socket stand on what they were opened with, and end with it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import httpx
import orjson
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from plugin import team
from plugin.app import App
from plugin.team import Agent, Session
from tests.admin_ui.conftest import field
from tests.admin_ui.shop import PASSWORD, Admin, Panel, Shop, serving

BEARER = {"authorization": "Bearer good:yara:staff"}


@pytest.fixture
async def served(app: App, shop: Shop, admin: Admin) -> AsyncIterator[Panel]:
    admin.workspace_id, admin.store_id = shop.workspace_id, shop.stores["oud"].id
    async with serving(app, admin) as panel:
        yield panel


@asynccontextmanager
async def browser(panel: Panel, email: str = "") -> AsyncIterator[httpx.AsyncClient]:
    """A browser over the network; signed in, with an address."""
    async with httpx.AsyncClient(base_url=panel.url, headers={"origin": panel.url}, timeout=20) as client:
        if email:
            page = await client.get("/sign-in")
            form = {"email": email, "password": PASSWORD, "csrf": field(page.text, "csrf")}
            assert (await client.post("/sign-in", data=form)).status_code == 303
            settings = await client.get("/panel/settings")
            client.headers["x-csrf-token"] = settings.text.split('"x-csrf-token": "')[1].split('"')[0]
        yield client


@asynccontextmanager
async def both(
    panel: Panel, client: httpx.AsyncClient, base: str, **headers: str
) -> AsyncIterator[list[asyncio.Task[float]]]:
    """A stream and a socket, open and greeted; each task ends with the seconds that it lived from now on."""
    ticket = (await client.post(f"{base}/live/ticket", headers=headers)).json()["ticket"]
    address = f"{panel.url.replace('http', 'ws', 1)}/live/socket?ticket={ticket}"
    async with (
        client.stream("GET", f"{base}/live", headers={**headers, "accept": "text/event-stream"}) as stream,
        connect(address, origin=panel.url) as socket,
    ):
        assert stream.status_code == 200
        lines = stream.aiter_lines()
        assert await anext(lines) == "event: live:open"
        assert orjson.loads(await socket.recv()) == ["live:open", {}]
        began = time.monotonic()
        tasks = [asyncio.create_task(_read(lines, began)), asyncio.create_task(_hear(socket, began))]
        yield tasks
        for task in tasks:
            task.cancel()


async def _read(lines: AsyncIterator[str], began: float) -> float:
    async for _line in lines:
        continue
    return time.monotonic() - began


async def _hear(socket: ClientConnection, began: float) -> float:
    with pytest.raises(ConnectionClosed) as closed:
        while True:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401
    return time.monotonic() - began


async def lives(tasks: list[asyncio.Task[float]]) -> list[float]:
    async with asyncio.timeout(30):
        return list(await asyncio.gather(*tasks))


async def test_staff_removed_on_the_platform_are_out_when_their_token_ends(
    served: Panel, shop: Shop, admin: Admin
) -> None:
    """The platform gives no further token: what was opened with the last one ends with it."""
    async with browser(served) as client:
        admin.expires_at = datetime.now(UTC) + timedelta(seconds=2)
        async with both(served, client, "/shopify", **BEARER) as tasks:
            seconds = await lives(tasks)
        assert all(0.5 < lived < 3 for lived in seconds), seconds
        again = await client.get("/shopify/live", headers={"authorization": "Bearer stale", "hx-request": "true"})
        assert again.status_code == 401
        assert (await client.post("/shopify/live/ticket", headers={"authorization": "Bearer x"})).status_code == 401


async def agent_named(app: App, shop: Shop, name: str) -> Agent:
    async with app.db.transaction(shop.workspace_id) as tx:
        return next(agent for agent in await team.agents(tx) if agent.name == name)


async def test_staff_let_go_here_are_out_at_once_also_inside_the_stores_admin(served: Panel, shop: Shop) -> None:
    async with browser(served) as client, both(served, client, "/shopify", **BEARER) as tasks:
        yara = await agent_named(served.app, shop, "Yara")
        async with served.app.db.transaction(shop.workspace_id) as tx:
            row = await tx.get(Agent, yara.id, lock=True)
            assert row is not None
            await team.deactivate(tx, row, by=shop.owner)
        assert max(await lives(tasks)) < 3


@pytest.mark.parametrize("how", ["sign-out", "ended from elsewhere", "let go"])
async def test_a_session_that_ends_takes_what_is_open_along(served: Panel, shop: Shop, how: str) -> None:
    noa = shop.colleagues["noa"]
    async with browser(served, noa.email or "") as client, browser(served, shop.email) as owner:
        async with both(served, client, "/panel") as tasks:
            if how == "sign-out":
                assert (await client.post("/sign-out")).status_code == 303
            elif how == "let go":
                assert (await owner.post(f"/panel/team/{noa.id}/deactivate")).status_code == 303
            else:
                assert (await owner.post(f"/panel/team/{noa.id}/end-sessions")).status_code == 303
            assert max(await lives(tasks)) < 3
        assert (await client.get("/panel/live")).status_code == 303


async def test_another_session_of_the_same_agent_goes_on(served: Panel, shop: Shop) -> None:
    async with (
        browser(served, shop.email) as one,
        browser(served, shop.email) as other,
        both(served, other, "/panel") as tasks,
    ):
        assert (await one.post("/sign-out")).status_code == 303
        await asyncio.sleep(0.5)
        assert not any(task.done() for task in tasks)


async def test_what_ended_between_the_door_and_the_stream_is_noticed(served: Panel, shop: Shop) -> None:
    async with browser(served, shop.email) as client:
        ticket = (await client.post("/panel/live/ticket")).json()["ticket"]
        async with served.app.db.transaction(shop.workspace_id) as tx:
            for session in await team.sessions(tx, shop.owner):
                assert isinstance(session, Session)
                await team.close_session(tx, session.id)
        address = f"{served.url.replace('http', 'ws', 1)}/live/socket?ticket={ticket}"
        async with connect(address, origin=served.url) as socket:
            with pytest.raises(ConnectionClosed):
                await asyncio.wait_for(socket.recv(), 30)


async def test_a_ticket_is_good_once_for_our_own_pages_and_never_made_up(served: Panel, shop: Shop) -> None:
    base = f"{served.url.replace('http', 'ws', 1)}/live/socket?ticket="
    async with browser(served, shop.email) as client:
        ticket = (await client.post("/panel/live/ticket")).json()["ticket"]
        with pytest.raises(InvalidStatus):
            await connect(base + ticket, origin="https://evil.example")
        async with connect(base + ticket, origin=served.url) as socket:
            assert orjson.loads(await asyncio.wait_for(socket.recv(), 30))[0] == "live:open"
        for bad in (ticket, "", "made-up", "x" * 200):
            with pytest.raises(InvalidStatus):
                await connect(base + bad, origin=served.url)
