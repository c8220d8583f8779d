"""What a store must be told about a return, step by step: a row in the transaction of the move that needs it.

The rows of a return are worked off in their order by `carrying.carry_return`: the attempt is counted before the network
is touched, and whoever finds a counted one asks the store what became of it, never anew
(docs/decisions/order-actions.md). A step that went wrong holds back those behind it until somebody has looked.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

import msgspec
from sqlalchemy import BigInteger, Index, UniqueConstraint, func, select, text
from sqlalchemy.orm import Mapped, mapped_column

from plugin.kernel.db import Base, TenantRow, Tx, new_id, tenant_key
from plugin.kernel.money import Money
from plugin.kernel.personal import kept
from plugin.platform import Done
from plugin.return_desk import (
    DecideReturn,
    EndReturn,
    LabelReturn,
    OpenReturn,
    PayReturn,
    ReceiveReturn,
    ReturnAction,
    ReturnQuote,
    SendInstead,
)

QUEUED, HAND, DONE, FAILED, UNKNOWN, SKIPPED = "queued", "by_hand", "done", "failed", "unknown", "skipped"
OVER = (DONE, SKIPPED)
"""What no step waits for any more."""
STUCK = (HAND, FAILED, UNKNOWN)
"""What waits for somebody of the team."""

KINDS: Mapping[str, type[ReturnAction]] = {
    "open": OpenReturn,
    "decide": DecideReturn,
    "label": LabelReturn,
    "receive": ReceiveReturn,
    "pay": PayReturn,
    "instead": SendInstead,
    "end": EndReturn,
}
_NAMES = {shape: name for name, shape in KINDS.items()}
PAY, INSTEAD = "pay", "instead"


class ReturnStep(TenantRow, Base):
    """Something that a store is told about a return. `tries` counts how often it was begun anew.

    `wanted` is the action, `quote` what the platform said would happen, `outcome` what did. `amount` is what moves, in
    minor units of `currency` with `exponent` decimals, and `worth` what it counts against the agent's limit, a bonus
    included; `agent_id` is null where the policy decided. `said` is the platform's answer in its own words, `code` a
    name for it.
    """

    __tablename__ = "return_steps"
    __table_args__ = (
        UniqueConstraint("workspace_id", "request_id", "position"),
        # Money of a return moves once: what failed before anything moved may be tried by another row.
        Index(
            "uq_return_steps_pay",
            "workspace_id",
            "request_id",
            unique=True,
            postgresql_where=text("kind = 'pay' AND state <> 'skipped'"),
        ),
        Index(None, "workspace_id", "order_id"),
        tenant_key("request_id", "return_requests"),
        {
            "info": kept(
                "the merchant's books: what the store was told of a return",
                blank=("wanted", "quote", "outcome", "said"),
                plain=("kind", "state", "currency", "code"),
            )
        },
    )

    store_id: Mapped[UUID]
    order_id: Mapped[UUID]
    request_id: Mapped[UUID]
    position: Mapped[int]
    agent_id: Mapped[UUID | None]
    kind: Mapped[str]
    state: Mapped[str] = mapped_column(server_default=QUEUED)
    wanted: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    quote: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    outcome: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    amount: Mapped[int | None] = mapped_column(BigInteger)
    worth: Mapped[int | None] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(server_default="")
    exponent: Mapped[int] = mapped_column(server_default=text("2"))
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    tries: Mapped[int] = mapped_column(server_default=text("0"))
    said: Mapped[str] = mapped_column(server_default="")
    code: Mapped[str] = mapped_column(server_default="")
    sent_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    @property
    def key(self) -> str:
        """What the platform knows this try by: what failed for certain is tried under a new one."""
        return str(uuid5(self.id, str(self.tries)) if self.tries else self.id)

    @property
    def action(self) -> ReturnAction:
        """What was wanted."""
        return msgspec.convert(self.wanted, KINDS[self.kind])

    @property
    def quoted(self) -> ReturnQuote:
        """What the platform said would happen."""
        return msgspec.convert(self.quote, ReturnQuote)

    @property
    def done(self) -> Done:
        """What came of it, once it is done."""
        return msgspec.convert(self.outcome, Done)

    @property
    def money(self) -> Money | None:
        """What was to move."""
        return Money(self.amount, self.currency, self.exponent) if self.amount is not None else None


async def add(
    tx: Tx, *, request_id: UUID, order_id: UUID, store_id: UUID, action: ReturnAction, by: UUID | None
) -> ReturnStep:
    """The next thing that the store is told; the caller holds the request. Its job runs after the commit."""
    last = await tx.scalar(
        select(func.coalesce(func.max(ReturnStep.position), 0)).where(
            ReturnStep.workspace_id == tx.workspace_id, ReturnStep.request_id == request_id
        )
    )
    row = ReturnStep(
        id=new_id(), store_id=store_id, order_id=order_id, request_id=request_id, position=last + 1, agent_id=by,
        kind=_NAMES[type(action)], state=QUEUED, wanted=msgspec.to_builtins(action), attempts=0, tries=0,
    )  # fmt: skip
    if isinstance(action, PayReturn):
        bonus = action.bonus.amount if action.bonus else 0
        row.amount, row.worth = action.amount.amount, action.amount.amount + bonus
        row.currency, row.exponent = action.amount.currency, action.amount.exponent
    tx.add(row)
    await tx.flush()
    await go(tx, request_id)
    return row


async def go(tx: Tx, request_id: UUID) -> None:
    """Have the steps of a return worked off; the caller holds the request."""
    await tx.enqueue("carry_return", unique=f"return-steps:{request_id}", request_id=request_id)


async def of_request(tx: Tx, request_id: UUID) -> Sequence[ReturnStep]:
    """What the store was and will be told, in its order."""
    rows = await tx.scalars(
        select(ReturnStep)
        .where(ReturnStep.workspace_id == tx.workspace_id, ReturnStep.request_id == request_id)
        .order_by(ReturnStep.position)
        .execution_options(populate_existing=True)
    )
    return list(rows)


async def held_back(tx: Tx, request_ids: Collection[UUID]) -> Mapping[UUID, str]:
    """In which state the step stands that each of these returns waits for somebody with: one of STUCK."""
    rows = await tx.execute(
        select(ReturnStep.request_id, ReturnStep.state)
        .where(
            ReturnStep.workspace_id == tx.workspace_id,
            ReturnStep.request_id.in_(request_ids),
            ReturnStep.state.in_(STUCK),
        )
        .order_by(ReturnStep.position.desc())
    )
    return {row.request_id: row.state for row in rows}


async def next_of(tx: Tx, request_id: UUID) -> ReturnStep | None:
    """The first step that is not over, whatever it waits for."""
    found: ReturnStep | None = await tx.scalar(
        select(ReturnStep)
        .where(
            ReturnStep.workspace_id == tx.workspace_id,
            ReturnStep.request_id == request_id,
            ReturnStep.state.not_in(OVER),
        )
        .order_by(ReturnStep.position)
        .limit(1)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return found


async def payment(tx: Tx, request_id: UUID) -> ReturnStep | None:
    """The step that moves the money, unless it was left out."""
    found: ReturnStep | None = await tx.scalar(
        select(ReturnStep).where(
            ReturnStep.workspace_id == tx.workspace_id,
            ReturnStep.request_id == request_id,
            ReturnStep.kind == PAY,
            ReturnStep.state != SKIPPED,
        )
    )
    return found
