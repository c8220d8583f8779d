"""An attempt that dies before, during or after moves money once or not at all, on both platforms, whatever is tried."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest

from integrations.shopify import returns as shopify_returns
from plugin.platform import Done, PlatformError
from plugin.return_desk import (
    DecideReturn,
    Disposed,
    Disposition,
    Ending,
    EndReturn,
    LabelReturn,
    OpenReturn,
    PayReturn,
    ReceiveReturn,
    ReturnAction,
    ReturnPart,
    ReturnQuote,
)
from tests.desks.conftest import Counter, rest, some

KEY = "0b1c9f3e-0000-4000-8000-00000000000a"


def kept(quote: ReturnQuote) -> ReturnQuote:
    """As a row of the database gives it back."""
    plan = json.loads(json.dumps(quote.plan))
    return ReturnQuote(quote.ours, quote.amount, quote.by_hand, quote.refusal, quote.ask, quote.notes, plan)


async def carry(counter: Counter, action: ReturnAction, quote: ReturnQuote, rounds: int = 4) -> Done | None:
    """What a room does with a step: once `act`, then `settle` for as long as nobody knows."""
    done: Done | None = None
    try:
        return await counter.platform.act_return(counter.connection, counter.order, action, quote, KEY)
    except PlatformError as error:
        if not error.lost:
            raise
    for _ in range(rounds):
        try:
            done = await counter.settle(action, kept(quote), KEY)
        except PlatformError as error:
            if not error.lost:
                raise
        if done is not None:
            return done
    return None


@dataclass
class Slow(httpx.AsyncBaseTransport):
    """Holds the first refund back until the second is on its way."""

    inner: httpx.AsyncBaseTransport
    held: httpx.Request | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if b"mutation ProcessReturn" in request.content:
            if self.held is None:
                self.held = request
                raise httpx.ReadTimeout("slow", request=request)
            await self.inner.handle_async_request(self.held)
        return await self.inner.handle_async_request(request)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shopify_returns, "CREDIT_AFTER", timedelta(0))


async def money(counter: Counter, kind: str) -> tuple[PayReturn, list[int]]:
    """A step that moves money, and what the books have to say when it did."""
    order = await counter.read()
    worth = order.lines[1].paid
    id = await counter.open(0, 3)
    if kind == "delivery":
        more = some(worth, worth.amount + order.delivery.amount)
        return await counter.pay(id, more, 0, 3, delivery=order.delivery), [more.amount]
    if kind == "credit":
        bonus = some(worth, 100)
        moved = [worth.amount, 100] if counter.kind == "shopify" else []
        return await counter.pay(id, worth, 0, 3, credit=True, bonus=bonus), moved
    return await counter.pay(id, worth, 0, 3), [worth.amount]


@pytest.mark.parametrize(
    ("kind", "death"),
    [("goods", "before"), ("delivery", "after"), ("credit", "before"), ("credit", "after"), ("credit", "twice after")],
)
async def test_money_moves_once_or_never(counter: Counter, kind: str, death: str) -> None:
    action, moved = await money(counter, kind)
    quote = await counter.quote(action)
    if death == "before":
        counter.wire.cut = 9
        with pytest.raises(PlatformError) as caught:
            await counter.platform.act_return(counter.connection, counter.order, action, quote, KEY)
        assert (caught.value.lost, caught.value.retry) == (False, True), "it never arrived, and that is known"
        assert await counter.moved() == []
        counter.wire.cut = 0
        done = await carry(counter, action, quote)
    else:
        counter.wire.lose = 1 if death == "after" else 2
        done = await carry(counter, action, quote)
    assert done is not None
    assert done.amount == action.amount
    assert await counter.moved() == moved
    # Whoever asks again, as often as they like, changes nothing.
    for _ in range(3):
        assert await counter.settle(action, kept(quote), KEY) == done
    assert await counter.moved() == moved


async def test_a_process_that_died_before_it_asked_gives_nothing_twice(counter: Counter) -> None:
    """The attempt was counted and nothing was sent. Shopify would refuse to give it twice, so it is asked."""
    action, moved = await money(counter, "goods")
    quote = await counter.quote(action)
    done = await counter.settle(action, kept(quote), KEY)
    if counter.kind == "shopify":
        assert done is not None
        assert await counter.moved() == moved
        assert await counter.settle(action, kept(quote), KEY) == done
    else:
        assert done is None, "no key, no trace: a person decides"
        assert await counter.moved() == []
    late = await counter.settle(action, kept(quote), KEY)
    assert late == done
    assert len(await counter.moved()) == (1 if counter.kind == "shopify" else 0)


async def test_what_shopify_might_give_twice_is_left_to_a_person(shopify: Counter) -> None:
    """One of three units: a second request would find two more to take."""
    id = await shopify.open(0, 3)
    line = (await shopify.lines())[1]
    action = await shopify.pay(id, some(line.paid, line.paid.amount // 3), 0, 1)
    quote = await shopify.quote(action)
    assert await shopify.settle(action, kept(quote), KEY) is None
    assert await shopify.moved() == []
    shopify.wire.lose = 1
    assert await carry(shopify, action, quote)
    assert len(await shopify.moved()) == 1


async def test_a_request_that_came_through_while_we_looked_is_not_repeated(shopify: Counter) -> None:
    """The first one is slow: it lands between our look and our second request, which Shopify refuses."""
    action, moved = await money(shopify, "goods")
    quote = await shopify.quote(action)
    shopify.wire.inner = Slow(shopify.wire.inner)
    done = await carry(shopify, action, quote)
    assert done is not None
    assert await shopify.moved() == moved


async def test_two_steps_of_one_amount_are_two_refunds(counter: Counter) -> None:
    """The same sum for the same return, asked for in two steps: neither takes the other's refund for its own."""
    id = await counter.open(0, 2)
    line = (await counter.lines())[1]
    action = await counter.pay(id, some(line.paid, 500), 0, 1)
    first = await counter.act(action, key="step-1")
    quote = await counter.quote(action)
    counter.wire.lose = 1
    second = await carry(counter, action, quote)
    assert second is not None
    assert second.external_id != first.external_id
    assert await counter.moved() == [500, 500]


@pytest.mark.parametrize(
    ("what", "death"),
    [
        ("open", "before"), ("open", "after"), ("request", "after"), ("approve", "after"), ("decline", "before"),
        ("label", "after"), ("receive", "before"), ("receive", "after"), ("close", "after"), ("cancel", "before"),
    ],
)  # fmt: skip
async def test_a_step_without_money_is_done_once(counter: Counter, what: str, death: str) -> None:
    """Where an answer is lost the step is found done, and where nothing was sent it is brought to an end."""
    line = (await counter.lines())[1]
    part = ReturnPart(line.external_id, 2, "too_small", "pinches")
    if what in ("open", "request"):
        action: ReturnAction = OpenReturn(counter.number, (part,), approved=what == "open")
    else:
        id = await counter.open(0, 2, approved=what not in ("approve", "decline"))
        action = {
            "approve": DecideReturn(counter.number, id, approve=True),
            "decline": DecideReturn(counter.number, id, approve=False, why="too_late"),
            "label": LabelReturn(counter.number, id, "RR1", "https://track.example/RR1"),
            "receive": ReceiveReturn(counter.number, id, (Disposed(line.external_id, 2, Disposition.RESTOCK),)),
            "close": EndReturn(counter.number, id, Ending.CLOSE),
            "cancel": EndReturn(counter.number, id, Ending.CANCEL),
        }[what]
    quote = await counter.quote(action)
    assert not quote.refusal
    if death == "before":
        done = await counter.settle(action, kept(quote), KEY)
    else:
        counter.wire.lose = 1
        done = await carry(counter, action, quote)
    assert done is not None
    before = await books(counter)
    assert await counter.settle(action, kept(quote), KEY) == done
    assert await books(counter) == before, "once more changes nothing"
    assert await counter.moved() == []


async def books(counter: Counter) -> Any:
    """What the store itself has about returns."""
    if counter.kind == "shopify":
        order = counter.sim.shop.state.get("orders", int(counter.order.rsplit("/", 1)[-1]))
        return json.dumps(order["_returns"])
    found = await counter.platform.returnable(counter.connection, counter.order)
    notes = await rest(counter.sim, f"orders/{counter.order}/notes?type=internal")
    return found, [note["note"] for note in notes]
