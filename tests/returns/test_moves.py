"""Any interleaving of moves, and the drawing of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from plugin.app import App
from plugin.kernel.errors import AhlanError
from plugin.return_desk import Disposition
from plugin.returns import records, states, steps
from plugin.returns.policy import PayWhen, Policy
from plugin.returns.records import ReturnRequest
from plugin.returns.states import ENDED, MOVES, State, Who, possible
from plugin.stores import Store
from plugin.team import Agent
from tests.returns.desk import Shop, open_shop

ROOT = Path(__file__).parents[2]


def _drawn() -> set[tuple[str, str, str]]:
    chart = (ROOT / "docs" / "returns.md").read_text().split("```mermaid", 1)[1].split("```", 1)[0]
    return set(re.findall(r"^\s*(\w+) --> (\w+): (\w+)$", chart, re.MULTILINE))


def test_the_documents_diagram_is_the_table_of_moves() -> None:
    table = {(str(source), str(one.target), one.name) for one in MOVES for source in one.sources}
    assert _drawn() == table


def test_every_state_can_be_reached_and_only_ends_stand_still() -> None:
    reached, grown = {State.REQUESTED}, True
    while grown:
        new = {one.target for one in MOVES if reached & set(one.sources)} - reached
        reached |= new
        grown = bool(new)
    assert reached == set(State)
    for state in State:
        assert possible(state, Who.AGENT), f"nobody gets out of {state}"
        assert bool(set(possible(state, Who.SYSTEM)) - {"pay", "complete"}) or state in ENDED | {
            State.REQUESTED, State.DECLINED, State.CANCELLED,
        }  # fmt: skip


def test_a_shopper_moves_only_what_is_theirs() -> None:
    assert {one.name for one in MOVES if Who.SHOPPER in one.by} == {"answer", "ship", "cancel", "change"}
    assert "cancel" not in possible(State.IN_TRANSIT, Who.SHOPPER)


def test_what_stands_still_has_a_timer_that_may_move_it() -> None:
    for state, timer in states.timers(states.Times()).items():
        assert not timer.move or timer.move in possible(state, Who.SYSTEM)


# Any interleaving

_DEEDS = st.lists(
    st.tuples(
        st.sampled_from(["approve", "decline", "ask", "answer", "label", "ship", "receive", "inspect", "damaged", "pay",
                         "close", "cancel", "reopen", "work"]),
        st.sampled_from([Who.AGENT, Who.SHOPPER, Who.SYSTEM, Who.STORE]),
    ),
    min_size=3,
    max_size=14,
)  # fmt: skip


@dataclass(frozen=True)
class _Walk:
    app: App
    workspace: Any
    store: Store
    owner: Agent


_names = iter(range(10_000, 1_000_000))


@pytest.fixture
def walk(app: App, workspace: Any, store: Store, owner: Agent) -> _Walk:
    return _Walk(app, workspace, store, owner)


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.generate],
)  # fmt: skip
@given(deeds=_DEEDS, automatic=st.booleans(), when=st.sampled_from(list(PayWhen)))
async def test_whatever_is_done_in_whatever_order_the_money_moves_once_at_most(
    walk: _Walk, deeds: list[tuple[str, Who]], *, automatic: bool, when: PayWhen
) -> None:
    shop = await open_shop(walk.app, walk.workspace, walk.store, walk.owner, name=str(next(_names)))
    await shop.policy(Policy(automatic=automatic, pay_when=when))
    request = await shop.submit()
    for name, who in deeds:
        before = await shop.request(request)
        try:
            if name == "work":
                await shop.work("carry_return")
            else:
                await _do(shop, before, name, who)
        except AhlanError:
            after = await shop.request(request)
            assert (after.state, after.moves) == (before.state, before.moves), "what is refused changes nothing"
        await _holds(shop, before)
    await shop.work("carry_return")
    await _holds(shop, request)


async def _do(shop: Shop, request: ReturnRequest, name: str, who: Who) -> None:
    by: Agent | Who = shop.agent if who is Who.AGENT else who
    more: dict[str, Any] = {"by": by}
    if name in ("inspect", "damaged", "receive") and who is not Who.AGENT:
        return
    if name in ("ask", "decline"):
        more |= {"note": "why"} | ({"why": "other"} if name == "decline" else {})
    if name == "answer":
        more |= {"words": "this"}
    if name == "label":
        more |= {"tracking_number": "RR1"}
    if name in ("inspect", "damaged"):
        kind = Disposition.RESTOCK if name == "inspect" else Disposition.DAMAGED
        async with shop.app.db.transaction(shop.workspace) as tx:
            more |= {"found": {line.id: {kind: line.quantity} for line in await records.lines_of(tx, request.id)}}
    if name == "ask" and who is not Who.AGENT:
        return
    await shop.move(request, "inspect" if name == "damaged" else name, **more)


async def _holds(shop: Shop, before: ReturnRequest) -> None:
    request = await shop.request(before)
    told = await shop.steps(request)
    happened = await shop.events(request)
    assert len(shop.desk.ledger) <= 1
    assert shop.desk.moved <= request.promised.amount + request.bonus
    assert request.moves >= before.moves
    assert (request.state != before.state) is (request.moves != before.moves) or request.moves > before.moves
    assert len([step for step in told if step.kind == "pay" and step.state != steps.SKIPPED]) <= 1
    assert (request.paid_at is not None) is ("paid" in happened)
    assert happened.count("paid") <= 1
    if request.paid_at is not None:
        assert shop.desk.moved == request.paid
        assert request.state not in (State.CANCELLED, State.DECLINED)
    if request.state == State.PAID:
        assert request.paid_at is not None
    if State(request.state) in ENDED:
        assert request.waiting_since is None or request.stuck
    # Every move is an event, and nothing else is one.
    quiet = {"requested", "reminded", "stuck"}
    early = "paid" in happened
    counted = [kind for kind in happened if kind not in quiet]
    assert request.moves in (len(counted), len(counted) - early)
