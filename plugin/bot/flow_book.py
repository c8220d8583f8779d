"""The flows of a workspace: drafts that are worked on, versions that were published, and where shoppers stand in them.

A version never changes: whoever walks one ends in it, whatever is published meanwhile. A draft is saved at every step
of the editor, compare-and-set by its `revision`, and remembers how it was before, so that anything can be undone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Index, UniqueConstraint, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, mapped_column

from plugin.bot import flows
from plugin.bot.flows import Flow, State
from plugin.kernel.db import Base, TenantRow, Tx, new_id, tenant_key
from plugin.kernel.errors import AhlanError, Conflict, NotFound
from plugin.kernel.lazy import _
from plugin.kernel.personal import nobody
from plugin.team import Agent, audit

MOST = 50
"""Flows of a workspace, at most; deleted ones do not count."""
LONGEST_NAME = 80
MOST_UNDONE = 30
"""Steps of the editor that can be undone."""
IDLE = timedelta(hours=24)
"""After so long without an answer a walk is over."""


class BotFlow(TenantRow, Base):
    """A flow. `draft` is `flows.Flow` as JSON, `undo` how it was before, the latest last; `live` is the version that
    shoppers get while it is `enabled`; None: nothing was published yet.
    """

    __tablename__ = "bot_flows"
    __table_args__ = (
        Index(None, "workspace_id", "position"),
        {"info": {**nobody("the ways that a merchant laid out for the bot"), "moves": "stays"}},
    )

    position: Mapped[int]
    name: Mapped[str]
    enabled: Mapped[bool] = mapped_column(server_default=text("false"))
    draft: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    undo: Mapped[list[Any]] = mapped_column(server_default=text("'[]'"))
    revision: Mapped[int] = mapped_column(server_default=text("0"))
    live: Mapped[int | None]
    starter: Mapped[str] = mapped_column(server_default="")
    deleted_at: Mapped[datetime | None]

    @property
    def flow(self) -> Flow:
        """The draft."""
        return msgspec.convert(self.draft, Flow)


class BotFlowVersion(TenantRow, Base):
    """A flow as it was published: `number` counts from 1. No foreign key on the agent: it outlives whoever did it."""

    __tablename__ = "bot_flow_versions"
    __table_args__ = (
        UniqueConstraint("workspace_id", "flow_id", "number"),
        tenant_key("flow_id", "bot_flows"),
        {"info": {**nobody("the ways that a merchant laid out for the bot"), "moves": "stays"}},
    )

    flow_id: Mapped[UUID]
    number: Mapped[int]
    agent_id: Mapped[UUID | None]
    body: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))

    @property
    def flow(self) -> Flow:
        """What is walked."""
        return msgspec.convert(self.body, Flow)


class BotFlowRun(TenantRow, Base):
    """One walk through a version, in a conversation; one at a time. `step` counts its turns: whoever takes one names
    it. `state` is `flows.State`, what was answered with it; `ending` is `flows.Ending` as of the last turn.
    """

    __tablename__ = "bot_flow_runs"
    __table_args__ = (
        Index(
            "uq_bot_flow_runs_open", "workspace_id", "conversation_id", unique=True,
            postgresql_where=text("ending = 'waits'"),
        ),
        Index("ix_bot_flow_runs_flow", "workspace_id", "flow_id", "created_at"),
        tenant_key("conversation_id", "conversations"),
        # Flows do not move with a store, and a walk means nothing without its flow.
        {"info": {"moves": "stays"}},
    )  # fmt: skip

    conversation_id: Mapped[UUID]
    flow_id: Mapped[UUID]
    number: Mapped[int]
    step: Mapped[int] = mapped_column(server_default=text("0"))
    state: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    ending: Mapped[str]
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())

    @property
    def stands(self) -> State:
        """Where they are."""
        return msgspec.convert(self.state, State)


# The list


async def all_flows(tx: Tx) -> list[BotFlow]:
    """Every flow in its order; deleted ones are not among them."""
    rows = await tx.scalars(
        select(BotFlow)
        .where(BotFlow.workspace_id == tx.workspace_id, BotFlow.deleted_at.is_(None))
        .order_by(BotFlow.position, BotFlow.id)
    )
    return list(rows)


async def find(tx: Tx, flow_id: UUID, *, deleted: bool = False) -> BotFlow:
    """A flow of this workspace, held until the end of the transaction. Raises NotFound, for a deleted one too."""
    row = await tx.get(BotFlow, flow_id, lock=True)
    if row is None or (row.deleted_at is not None and not deleted):
        raise NotFound(_("This flow is no longer there."), _("Open the list again."))
    return row


async def make(tx: Tx, name: str, flow: Flow, *, by: Agent | None, starter: str = "") -> BotFlow:
    """A new flow at the end of the list, switched off. Raises AhlanError for no name, or too many flows."""
    name = _name(name)
    await _one_at_a_time(tx)
    have = await all_flows(tx)
    if len(have) >= MOST:
        raise AhlanError(_("A workspace has at most 50 flows."), _("Delete one first."), code="flows_full")
    row = BotFlow(
        id=new_id(), position=have[-1].position + 1 if have else 0, name=name, enabled=False,
        draft=msgspec.to_builtins(flow), undo=[], revision=0, live=None, starter=starter,
    )  # fmt: skip
    tx.add(row)
    await tx.flush()
    audit.note(tx, "settings.flow_made", by=by.id if by else None, changes={"flow": [None, name]})
    return row


def _name(name: str) -> str:
    name = " ".join(name.split())
    if not name or len(name) > LONGEST_NAME:
        raise AhlanError(_("A flow needs a name of at most 80 characters."), code="flow_name")
    return name


async def _one_at_a_time(tx: Tx) -> None:
    """Whoever adds or moves waits for whoever does, so that places are given once."""
    key = {"key": f"bot_flows:{tx.workspace_id}"}
    await tx.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), key)


async def save(tx: Tx, row: BotFlow, name: str, flow: Flow, *, seen: int) -> None:
    """Keep a draft, whatever is still wrong with it. `seen` is the revision that was edited.

    Raises Conflict when somebody changed it meanwhile, AhlanError for no name or too many steps.
    """
    if row.revision != seen:
        raise Conflict(
            _("Somebody else changed this flow meanwhile."), _("Look at theirs, then make your change again.")
        )
    if len(flow.steps) > flows.MOST_STEPS:
        raise AhlanError(_("A flow has at most 60 steps."), code="flow_steps")
    row.name = _name(name)
    if flow != row.flow:
        row.undo = [*row.undo, row.draft][-MOST_UNDONE:]
        row.draft = msgspec.to_builtins(flow)
        row.revision += 1
    await tx.flush()


async def undo(tx: Tx, row: BotFlow, *, seen: int) -> None:
    """How the draft was before its last change. Raises Conflict when somebody changed it meanwhile."""
    if row.revision != seen:
        raise Conflict(
            _("Somebody else changed this flow meanwhile."), _("Look at theirs, then make your change again.")
        )
    if row.undo:
        row.draft, row.undo = row.undo[-1], row.undo[:-1]
        row.revision += 1
        await tx.flush()


async def publish(tx: Tx, row: BotFlow, *, by: Agent) -> BotFlowVersion:
    """Make the draft what shoppers get. Publishing what already holds changes nothing.

    Raises AhlanError while something is wrong with it.
    """
    if flows.problems(row.flow):
        raise AhlanError(
            _("Something is still wrong with this flow."), _("It stands at the steps; nothing was published."),
            code="flow_problems",
        )  # fmt: skip
    live = await version(tx, row.id, row.live) if row.live is not None else None
    if live is not None and live.flow == row.flow:
        return live
    before = row.live
    newest = await history(tx, row.id, limit=1)
    made = BotFlowVersion(
        id=new_id(), flow_id=row.id, number=newest[0].number + 1 if newest else 1, agent_id=by.id, body=row.draft
    )
    tx.add(made)
    row.live = made.number
    await tx.flush()
    changes: dict[str, list[object]] = {"flow": [None, row.name], "version": [before, made.number]}
    audit.note(tx, "settings.flow_published", by=by.id, changes=changes)
    return made


async def bring_back(tx: Tx, row: BotFlow, number: int, *, by: Agent) -> None:
    """Make an older version the draft; it counts once it is published. Raises NotFound."""
    older = await version(tx, row.id, number)
    if older is None:
        raise NotFound(_("This version is no longer there."), _("Open the flow again."))
    await save(tx, row, row.name, older.flow, seen=row.revision)
    audit.note(tx, "settings.flow_restored", by=by.id, changes={"flow": [None, row.name], "version": [None, number]})


async def switch(tx: Tx, row: BotFlow, on: bool, *, by: Agent) -> None:
    """On, or off. Raises AhlanError for one that was never published. Who walks it when it goes off is let go."""
    if row.enabled == on:
        return
    if on and row.live is None:
        raise AhlanError(_("Publish the flow first."), _("Then it can be switched on."), code="flow_unpublished")
    row.enabled = on
    await tx.flush()
    if on:
        audit.note(tx, "settings.flow_on", by=by.id, changes={"flow": [None, row.name]})
    else:
        audit.note(tx, "settings.flow_off", by=by.id, changes={"flow": [None, row.name]})


async def move(tx: Tx, row: BotFlow, step: int, *, by: Agent) -> None:
    """Ask a flow before (-1), or after (1), its neighbour."""
    await _one_at_a_time(tx)
    order = await all_flows(tx)
    at = next(place for place, one in enumerate(order) if one.id == row.id)
    if not 0 <= at + step < len(order):
        return
    order[at], order[at + step] = order[at + step], order[at]
    for position, one in enumerate(order):
        one.position = position
    await tx.flush()
    changes: dict[str, list[object]] = {"flow": [None, row.name], "place": [at + 1, at + step + 1]}
    audit.note(tx, "settings.flow_moved", by=by.id, changes=changes)


async def remove(tx: Tx, row: BotFlow, *, by: Agent) -> None:
    """Delete a flow; `restore` brings it back, switched off."""
    row.deleted_at, row.enabled = datetime.now(UTC), False
    await tx.flush()
    audit.note(tx, "settings.flow_deleted", by=by.id, changes={"flow": [None, row.name]})


async def restore(tx: Tx, row: BotFlow, *, by: Agent) -> None:
    """Bring a deleted flow back to its place, switched off."""
    if row.deleted_at is None:
        return
    row.deleted_at = None
    await tx.flush()
    audit.note(tx, "settings.flow_brought_back", by=by.id, changes={"flow": [None, row.name]})


# Versions


async def history(tx: Tx, flow_id: UUID, limit: int = 30) -> list[BotFlowVersion]:
    """The versions of a flow, the newest first."""
    rows = await tx.scalars(
        select(BotFlowVersion)
        .where(BotFlowVersion.workspace_id == tx.workspace_id, BotFlowVersion.flow_id == flow_id)
        .order_by(BotFlowVersion.number.desc())
        .limit(limit)
    )
    return list(rows)


async def version(tx: Tx, flow_id: UUID, number: int) -> BotFlowVersion | None:
    """One version, whatever came after it."""
    found: BotFlowVersion | None = await tx.scalar(
        select(BotFlowVersion).where(
            BotFlowVersion.workspace_id == tx.workspace_id,
            BotFlowVersion.flow_id == flow_id,
            BotFlowVersion.number == number,
        )
    )
    return found


@dataclass(frozen=True, slots=True)
class Live:
    """A flow that is switched on, as shoppers get it."""

    id: UUID
    name: str
    number: int
    flow: Flow


async def live(tx: Tx) -> list[Live]:
    """Every flow that is switched on, in its order."""
    rows = await tx.execute(
        select(BotFlow.id, BotFlow.name, BotFlowVersion.number, BotFlowVersion.body)
        .join(
            BotFlowVersion,
            (BotFlowVersion.workspace_id == BotFlow.workspace_id)
            & (BotFlowVersion.flow_id == BotFlow.id)
            & (BotFlowVersion.number == BotFlow.live),
        )
        .where(BotFlow.workspace_id == tx.workspace_id, BotFlow.enabled, BotFlow.deleted_at.is_(None))
        .order_by(BotFlow.position, BotFlow.id)
    )
    return [Live(row.id, row.name, row.number, msgspec.convert(row.body, Flow)) for row in rows]


async def buttons(tx: Tx, store_id: UUID, language: str, page: str = "") -> list[str]:
    """The words of the buttons on the widget's first screen, on a page of a store."""
    found = []
    for one in await live(tx):
        trigger = one.flow.trigger
        here = not trigger.stores or str(store_id) in trigger.stores
        there = not trigger.pages or any(part.casefold() in page.casefold() for part in trigger.pages)
        if here and there and "chat" in trigger.channels:
            found.append(flows.words(trigger.button, language, one.flow.languages))
    return list(dict.fromkeys(filter(None, found)))[:MOST_BUTTONS]


MOST_BUTTONS = 4


# Walks


@dataclass(frozen=True, slots=True)
class Walk:
    """A walk that goes on: the version that it began in, and where it stands."""

    run: BotFlowRun
    name: str
    flow: Flow


async def under_way(tx: Tx, conversation_id: UUID, since: datetime | None) -> Walk | None:
    """The walk of a conversation; None where there is none or it is over: resolved since, too old, switched off."""
    run = await tx.scalar(
        select(BotFlowRun).where(
            BotFlowRun.workspace_id == tx.workspace_id,
            BotFlowRun.conversation_id == conversation_id,
            BotFlowRun.ending == flows.Ending.WAITS,
        )
    )
    if run is None:
        return None
    row = await tx.get(BotFlow, run.flow_id)
    found = await version(tx, run.flow_id, run.number)
    old = datetime.now(UTC) - run.updated_at > IDLE or (since is not None and run.created_at <= since)
    if row is None or found is None or old or not row.enabled or row.deleted_at is not None:
        await leave(tx, run)
        return None
    return Walk(run, row.name, found.flow)


LEFT = "left"


async def leave(tx: Tx, run: BotFlowRun, ending: str = LEFT) -> None:
    """The walk ends here."""
    run.ending = ending
    await tx.flush()


async def begin(tx: Tx, conversation_id: UUID, one: Live, turn: flows.Turn) -> UUID | None:
    """Keep a walk that has just begun; None where another goes on in the conversation."""
    run_id: UUID | None = await tx.scalar(
        insert(BotFlowRun)
        .values(
            workspace_id=tx.workspace_id, id=new_id(), conversation_id=conversation_id, flow_id=one.id,
            number=one.number, step=1, state=_kept(turn), ending=turn.ending.value,
        )
        .on_conflict_do_nothing()
        .returning(BotFlowRun.id)
    )  # fmt: skip
    return run_id


async def go_on(tx: Tx, run: BotFlowRun, turn: flows.Turn) -> bool:
    """Take a step, compare-and-set: False where somebody else has taken it."""
    taken = await tx.scalar(
        update(BotFlowRun)
        .where(
            BotFlowRun.workspace_id == tx.workspace_id,
            BotFlowRun.id == run.id,
            BotFlowRun.step == run.step,
            BotFlowRun.ending == flows.Ending.WAITS,
        )
        .values(step=run.step + 1, state=_kept(turn), ending=turn.ending.value, updated_at=func.now())
        .returning(BotFlowRun.id)
        .execution_options(synchronize_session=False)
    )
    return taken is not None


def _kept(turn: flows.Turn) -> Mapping[str, Any]:
    state = turn.state or State("", {}, dict(turn.collected))
    kept: dict[str, Any] = msgspec.to_builtins(state)
    return kept


@dataclass(frozen=True, slots=True)
class Count:
    """Of the last 30 days: walks that began, that came to their end, and that a person went on from."""

    began: int
    done: int
    person: int


async def counts(tx: Tx) -> dict[UUID, Count]:
    """By flow; those that nobody walked are missing."""
    ended = BotFlowRun.ending
    rows = await tx.execute(
        select(
            BotFlowRun.flow_id, func.count().label("began"),
            func.count().filter(ended == flows.Ending.DONE).label("done"),
            func.count().filter(ended.not_in((flows.Ending.DONE, flows.Ending.WAITS, LEFT))).label("person"),
        )
        .where(BotFlowRun.workspace_id == tx.workspace_id, BotFlowRun.created_at > func.now() - timedelta(days=30))
        .group_by(BotFlowRun.flow_id)
    )  # fmt: skip
    return {row.flow_id: Count(row.began, row.done, row.person) for row in rows}


async def plant(tx: Tx, made: Sequence[tuple[str, str, Flow]]) -> int:
    """Write the starter flows that are not there yet, switched off: (id, name, flow). Returns how many were written."""
    have = {row.starter for row in await all_flows(tx)}
    fresh = [one for one in made if one[0] not in have]
    for id, name, flow in fresh:
        await make(tx, name, flow, by=None, starter=id)
    return len(fresh)
