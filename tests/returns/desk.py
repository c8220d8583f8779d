"""A store that takes returns, in memory: with a ledger of what really moved, and ways to die, refuse and be silent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text

from plugin.app import App
from plugin.crm.orders import Order
from plugin.kernel import jobs
from plugin.kernel.db import new_id
from plugin.kernel.money import Money
from plugin.platform import Connection, Done, PlatformError
from plugin.reactions import TASKS
from plugin.return_desk import (
    OpenReturn,
    Paid,
    PayReturn,
    ReturnableLine,
    ReturnableOrder,
    ReturnAction,
    ReturnQuote,
    Shipped,
)
from plugin.returns import moves, policies, records, requests, steps
from plugin.returns.policy import Choice, ChoiceLine, Policy, Resolution
from plugin.returns.records import ReturnRequest
from plugin.returns.steps import ReturnStep
from plugin.stores import Store
from plugin.team import Agent

SHIRT, MUG = "gid://line/1", "gid://line/2"


class Killed(BaseException):
    """The process is gone: nothing after this runs, not even error handling."""


def ils(amount: int) -> Money:
    return Money(amount, "ILS", 2)


@dataclass
class Desk:
    """What it did is in `ledger` (money) and `heard` (everything), each under the key it was asked with.

    `kill`: die at this point ("quote", "before" the deed, "after" it) of the kinds in `of`. `lose`: so many answers of
    deeds get lost; `cut`: so many requests never arrive; `refuse`: what it says no to.
    `owing`: where a difference is paid.
    """

    order: ReturnableOrder
    ledger: list[tuple[str, int, int]] = field(default_factory=list)
    heard: list[tuple[str, ReturnAction]] = field(default_factory=list)
    kill: str = ""
    of: type[Any] | None = None
    lose: int = 0
    cut: int = 0
    refuse: dict[type[Any], str] = field(default_factory=dict)
    blind: bool = False
    by_hand: bool = False
    less: int = 0
    returns: frozenset[Any] = frozenset()
    asked: Counter[str] = field(default_factory=Counter)
    owing: str | Exception = ""

    async def pay_link(self, connection: Connection, order: str, made: str = "") -> str:
        if isinstance(self.owing, Exception):
            raise self.owing
        return self.owing

    async def account_sign_in(self, connection: Connection) -> str:
        return ""

    async def returnable(self, connection: Connection, order: str) -> ReturnableOrder | None:
        return self.order

    def _die(self, point: str, action: ReturnAction) -> None:
        if self.kill == point and (self.of is None or isinstance(action, self.of)):
            self.kill = ""
            raise Killed

    async def quote_return(self, connection: Connection, order: str, action: ReturnAction) -> ReturnQuote:
        self._die("quote", action)
        pays = isinstance(action, PayReturn)
        amount = action.amount - ils(self.less) if isinstance(action, PayReturn) else None
        return ReturnQuote(
            ours=action.amount if isinstance(action, PayReturn) else None, amount=amount, by_hand=self.by_hand and pays,
            refusal=self.refuse.get(type(action), ""),
        )  # fmt: skip

    async def act_return(
        self, connection: Connection, order: str, action: ReturnAction, quote: ReturnQuote, key: str
    ) -> Done:
        self.asked[key] += 1
        assert self.asked[key] == 1, "asked to do the same twice"
        if self.cut:
            self.cut -= 1
            self.asked[key] -= 1
            raise PlatformError("nobody there", retry=True, code="unreachable")
        self._die("before", action)
        done = self._do(action, key)
        self._die("after", action)
        if self.lose:
            self.lose -= 1
            raise PlatformError("no answer", retry=True, code="unreachable", lost=True)
        return done

    def _do(self, action: ReturnAction, key: str) -> Done:
        self.heard.append((key, action))
        if isinstance(action, PayReturn):
            self.ledger.append((key, action.amount.amount, action.bonus.amount if action.bonus else 0))
            return Done(external_id=f"refund-{key}", amount=action.amount)
        return Done(external_id=f"return-{key}", name="#1001-R1") if isinstance(action, OpenReturn) else Done()

    async def settle_return(
        self, connection: Connection, order: str, action: ReturnAction, quote: ReturnQuote, key: str
    ) -> Done | None:
        self._die("settle", action)
        if self.blind or all(known != key for known, _action in self.heard):
            return None
        if isinstance(action, PayReturn):
            return Done(external_id=f"refund-{key}", amount=action.amount)
        return Done(external_id=f"return-{key}", name="#1001-R1") if isinstance(action, OpenReturn) else Done()

    async def read_order(self, connection: Connection, order: str) -> Sequence[Any]:
        return []

    def told(self) -> list[str]:
        return [type(action).__name__ for _key, action in self.heard]

    @property
    def moved(self) -> int:
        """All that went back, bonuses included."""
        return sum(amount + bonus for _key, amount, bonus in self.ledger)


def returnable(paid: int = 12_000) -> ReturnableOrder:
    """Two shirts and a mug, delivered yesterday."""
    yesterday = datetime.now(UTC) - timedelta(days=1)
    lines = (
        ReturnableLine(
            SHIRT, "Linen shirt", 2, 0, 2, ils(10_000), ils(0), variant_title="M", sku="SH-M",
            product_external_id="p1", variant_external_id="v1", needs_shipping=True,
            shipped=(Shipped("f1", 2, yesterday - timedelta(days=2), yesterday),),
        ),
        ReturnableLine(
            MUG, "Mug", 1, 0, 1, ils(2_000), ils(0), product_external_id="p2", variant_external_id="v2",
            shipped=(Shipped("f2", 1, yesterday - timedelta(days=2), yesterday),),
        ),
    )  # fmt: skip
    return ReturnableOrder(
        "gid://order/1", "#1001", yesterday - timedelta(days=3), ils(paid), ils(0), ils(0), ils(0), lines,
        payments=(Paid("visa", ils(paid)),), country="IL", store_credit=True,
    )  # fmt: skip


@dataclass
class Shop:
    """One order with a store that keeps a ledger, and somebody of the team."""

    app: App
    workspace: UUID
    store: Store
    order_id: UUID
    desk: Desk
    agent: Agent

    async def policy(self, policy: Policy) -> None:
        async with self.app.db.transaction(self.workspace) as tx:
            store = await tx.get(Store, self.store.id)
            assert store is not None
            version = await policies.current(tx, store)
            await policies.publish(tx, store, replace(policy, zone="Asia/Jerusalem"), after=version.number,
                                   by=self.agent)  # fmt: skip

    async def submit(self, choice: Choice | None = None, **more: Any) -> ReturnRequest:
        choice = choice or want()
        decision = await requests.decide(self.app, self.workspace, self.order_id, choice)
        assert decision.allowed, decision.refused
        more = {"client_id": uuid4(), "language": "en", "verified": True, **more}
        return await requests.submit(
            self.app, self.workspace, self.order_id, choice, decision_digest=requests.digest(decision), **more
        )

    async def request(self, request: ReturnRequest | UUID) -> ReturnRequest:
        async with self.app.db.transaction(self.workspace) as tx:
            return await records.get(tx, request if isinstance(request, UUID) else request.id)

    async def steps(self, request: ReturnRequest) -> list[ReturnStep]:
        async with self.app.db.transaction(self.workspace) as tx:
            return list(await steps.of_request(tx, request.id))

    async def move(self, request: ReturnRequest, name: str, **arguments: Any) -> ReturnRequest:
        """One of the verbs of `moves`, by somebody of the team unless said otherwise."""
        async with self.app.db.transaction(self.workspace) as tx:
            held = await records.held(tx, request.id)
            await getattr(moves, name)(tx, held, **{"by": self.agent, **arguments})
        return await self.request(request)

    async def work(self, *tasks: str) -> None:
        """A worker takes what is due here, again and again until nothing is."""
        for _round in range(30):
            waiting = await self._due(tasks)
            if not waiting:
                return
            for id in waiting:
                await jobs.run(self.app.db, self.app, TASKS, self.workspace, id)

    async def _due(self, tasks: Sequence[str]) -> list[UUID]:
        wanted = list(tasks or ("carry_return", "tell_return", "follow_store", "wake_return"))
        async with self.app.db.queue.connect() as connection:
            found = await connection.execute(
                text("SELECT id FROM jobs WHERE workspace_id = :w AND task = ANY(:tasks) AND done_at IS NULL "
                     "AND failed_at IS NULL AND run_at <= now() AND (leased_until IS NULL OR leased_until < now()) "
                     "ORDER BY run_at, id"),
                {"w": self.workspace, "tasks": wanted},
            )  # fmt: skip
            return list(found.scalars())

    async def hurry(self, task: str = "carry_return") -> None:
        """Time passes: whatever waits for its next attempt, or for a dead worker's lease, is due now."""
        async with self.app.db.queue.begin() as connection:
            await connection.execute(
                text("UPDATE jobs SET run_at = now(), leased_until = NULL WHERE workspace_id = :w AND done_at IS NULL "
                     "AND failed_at IS NULL AND task = :t"),
                {"w": self.workspace, "t": task},
            )  # fmt: skip

    async def later(self, hours: float) -> None:
        """What was sent was sent so long ago."""
        async with self.app.db.transaction(self.workspace) as tx:
            await tx.execute(
                text("UPDATE return_steps SET sent_at = sent_at - make_interval(secs => :s) WHERE workspace_id = :w"),
                {"s": hours * 3600, "w": self.workspace},
            )

    async def events(self, request: ReturnRequest) -> list[str]:
        async with self.app.db.transaction(self.workspace) as tx:
            return [event.kind.removeprefix("return_request.") for event in await records.history(tx, request)]

    async def said(self, request: ReturnRequest) -> list[str]:
        """What the shopper was told, in its order."""
        async with self.app.db.transaction(self.workspace) as tx:
            rows = await tx.execute(
                text("SELECT text FROM messages WHERE workspace_id = :w AND conversation_id = :c AND seq IS NOT NULL "
                     "ORDER BY seq"),
                {"w": self.workspace, "c": request.conversation_id},
            )  # fmt: skip
            return [row.text for row in rows]


def want(*lines: tuple[str, int], resolution: Resolution = Resolution.REFUND, reason: str = "too_small") -> Choice:
    """A choice, by default one shirt that is too small."""
    return Choice(tuple(ChoiceLine(line, quantity, reason) for line, quantity in lines or ((SHIRT, 1),)), resolution)


async def open_shop(app: App, workspace: UUID, store: Store, agent: Agent, *, name: str = "1001") -> Shop:
    """A store with one order, and its desk in the app."""
    desk = Desk(replace(returnable(), external_id=f"gid://order/{name}", name=f"#{name}"))
    async with app.db.transaction(workspace) as tx:
        order = Order(
            id=new_id(), store_id=store.id, external_id=desk.order.external_id, version=datetime.now(UTC),
            customer_id=None, name=f"#{name}", number=name, placed_at=desk.order.placed_at, status="open",
            payment_status="paid", fulfilment_status="fulfilled", currency="ILS", exponent=2, total=12_000,
            email="layla@x.example", customer_name="Layla H", locale="en",
        )  # fmt: skip
        tx.add(order)
    return Shop(replace(app, platforms={store.platform: desk}), workspace, store, order.id, desk, agent)
