"""A thousand probes: who tries numbers and addresses learns nothing from words, status or time."""

import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import select
from starlette.applications import Starlette

import plugin.widget.routes as widget_routes
from plugin import stores
from plugin.crm import sync
from plugin.crm.orders import Order
from plugin.kernel.money import Money
from plugin.kernel.web import Web
from plugin.platform import OrderRecord
from plugin.widget import session
from plugin.widget.session import Pass
from tests.returns.counter import NOW, Desk
from tests.returns.counter import desk as desk

PROBES = 1000


@pytest.fixture
def site(desk: Desk) -> Starlette:
    web = Web(desk.app.catalogues, [Path(widget_routes.__file__).parent / "templates"], "https://ahlan.example")
    return Starlette(routes=widget_routes.routes(desk.app, web), exception_handlers=dict(web.handlers()))


def addresses() -> Iterator[str]:
    for number in range(1 << 16):
        yield f"10.7.{number >> 8}.{number & 255}"


async def test_a_thousand_probes_learn_nothing(desk: Desk, site: Starlette) -> None:
    records = [
        OrderRecord(f"o{n}", NOW, f"#{n}", NOW, Money(100, "SAR", 2), email=f"buyer{n}@shop.example")
        for n in range(1000, 1000 + PROBES // 2)
    ]
    async with desk.app.db.transaction(desk.workspace) as tx:
        store = await stores.get(tx, desk.store.id)
        assert store is not None
        await sync.apply(tx, store, records)
        assert len((await tx.scalars(select(Order.id))).all()) == PROBES // 2
    from_where = addresses()
    answers: dict[bool, list[tuple[int, tuple[str, ...], int]]] = {True: [], False: []}
    times: dict[bool, list[float]] = {True: [], False: []}
    token = ""
    for probe in range(PROBES):
        right = probe % 2 == 0
        if probe % 8 == 0:
            visitor = (await desk.browser()).visitor_id
            token = session.issue(desk.app.vault, Pass(desk.workspace, desk.store.id, visitor, locale="en"))
            transport = httpx.ASGITransport(site, client=(next(from_where), 4000))
            http = httpx.AsyncClient(transport=transport, base_url="https://ahlan.example")
        number = 1000 + probe // 2
        # Half of the wrong ones name an order that is there with an address that is not its own.
        wrong = (
            (str(number), f"other{number}@shop.example")
            if probe % 4 == 1
            else (str(number + 7000), f"nobody{number}@b.example")
        )
        sought = (str(number), f"buyer{number}@shop.example") if right else wrong
        headers = {"authorization": f"Bearer {token}"}
        began = time.perf_counter()
        asked = await http.post(
            "/widget/orders/find", json={"number": sought[0], "contact": sought[1]}, headers=headers
        )
        times[right].append(time.perf_counter() - began)
        assert asked.status_code == 200, asked.text
        if probe % 10 < 2:
            guess = {"asked": asked.json()["asked"], "code": "000000"}
            tried = await http.post("/widget/orders/code", json=guess, headers=headers)
            said = {**tried.json()["error"], "request_id": ""}
            answers[right].append((tried.status_code, tuple(map(str, said.values())), len(tried.content)))
        said = {**asked.json(), "asked": ""}
        answers[right].append((asked.status_code, tuple(map(str, said.items())), len(asked.content)))
    assert set(answers[True]) == set(answers[False])
    for share in (0.25, 0.5, 0.75, 0.9):
        at = [sorted(times[right])[int(share * len(times[right]))] for right in (True, False)]
        assert 0.75 < at[0] / at[1] < 1.33, (share, at)
    assert 0.75 < statistics.fmean(times[True]) / statistics.fmean(times[False]) < 1.33


async def test_a_foreign_request_number_is_answered_like_a_wrong_code(desk: Desk, site: Starlette) -> None:
    visitor = (await desk.browser()).visitor_id
    token = session.issue(desk.app.vault, Pass(desk.workspace, desk.store.id, visitor, locale="en"))
    transport = httpx.ASGITransport(site, client=("10.9.9.9", 4000))
    async with httpx.AsyncClient(transport=transport, base_url="https://ahlan.example") as http:
        headers = {"authorization": f"Bearer {token}"}
        found = await http.post("/widget/orders/find", json={"number": "1", "contact": "a@b.example"}, headers=headers)
        said = []
        for asked in (found.json()["asked"], str(uuid4())):
            tried = await http.post("/widget/orders/code", json={"asked": asked, "code": "123456"}, headers=headers)
            said.append((tried.status_code, {**tried.json()["error"], "request_id": ""}))
    assert said[0] == said[1]
    assert said[0][0] == 403


async def test_a_stranger_who_knows_the_pair_leaves_codes_for_whoever_owns_it(desk: Desk, site: Starlette) -> None:
    """From one network three an hour, with however many browsers; as many for a pair that is nobody's."""
    async with desk.app.db.transaction(desk.workspace) as tx:
        store = await stores.get(tx, desk.store.id)
        assert store is not None
        await sync.apply(
            tx, store, [OrderRecord("o1", NOW, "#1001", NOW, Money(100, "SAR", 2), email="mona@shop.example")]
        )

    async def asks(address: str, contact: str) -> int:
        visitor = (await desk.browser()).visitor_id
        token = session.issue(desk.app.vault, Pass(desk.workspace, desk.store.id, visitor, locale="en"))
        transport = httpx.ASGITransport(site, client=(address, 4000))
        async with httpx.AsyncClient(transport=transport, base_url="https://ahlan.example") as http:
            sought = {"number": "1001", "contact": contact}
            found = await http.post("/widget/orders/find", json=sought, headers={"authorization": f"Bearer {token}"})
            return found.status_code

    for contact in ("mona@shop.example", "nobody@shop.example"):
        assert [await asks("10.66.0.1", contact) for _ask in range(5)] == [200, 200, 200, 429, 429]
    await desk.work()
    assert len(desk.codes()) == 3
    assert await asks("10.66.0.2", "mona@shop.example") == 200
    await desk.work()
    assert len(desk.codes()) == 4, "at home they get theirs"
