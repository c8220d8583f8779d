"""The rules of a workspace, in their order, and the log of what each did and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Index, Table, UniqueConstraint, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, mapped_column

from plugin.automations import conditions
from plugin.automations.rules import OF_MESSAGES, TIMED, Deed, Do, Rule, Trigger
from plugin.conversations import fields, tags, wording
from plugin.conversations.conversations import LONGEST_SNOOZE, Priority, Status
from plugin.conversations.macros import Macro
from plugin.conversations.messages import MAX_TEXT
from plugin.conversations.teams import Team
from plugin.kernel.db import Base, TenantRow, Tx, new_id, tenant_key
from plugin.kernel.errors import AhlanError, NotFound
from plugin.kernel.lazy import _
from plugin.kernel.personal import nobody
from plugin.knowledge import snippets
from plugin.team import Agent, Permission, audit

MOST = 100
"""Rules of a workspace, at most; deleted ones do not count."""
LONGEST_NAME = 80
MOST_DEEDS = 10
LONGEST_NOTE = 1000
SHORTEST, LONGEST = timedelta(minutes=5), timedelta(days=90)
"""How long a rule of time may wait."""
STATUSES = (Status.OPEN, Status.PENDING, Status.RESOLVED, Status.SPAM)

KEPT_DAYS = 90
"""Days that the log says what a rule did."""
PASSED_DAYS = 7
"""Days that it says why a rule did nothing."""


class RuleRow(TenantRow, Base):
    """A rule. `conditions` is what `conditions.parse` reads, `actions` what `Deed.of` does, `after` minutes.

    `since`: a rule of time is about what comes due later than that, so that switching it on touches nothing old.
    Deleted ones stay, so that the log can name them.
    """

    __tablename__ = "rules"
    __table_args__ = (
        Index(None, "workspace_id", "position"),
        {"info": nobody("what a merchant has done by itself")},
    )

    position: Mapped[int]
    name: Mapped[str]
    enabled: Mapped[bool] = mapped_column(server_default=text("true"))
    event: Mapped[str]
    after: Mapped[int | None]
    conditions: Mapped[str] = mapped_column(server_default="")
    actions: Mapped[list[Any]] = mapped_column(server_default=text("'[]'"))
    stop: Mapped[bool] = mapped_column(server_default=text("false"))
    since: Mapped[datetime] = mapped_column(server_default=func.now())
    deleted_at: Mapped[datetime | None]

    def rule(self) -> Rule:
        """The same without the row: what is asked."""
        return rule_of({name: getattr(self, name) for name in _NAMES})

    def draft(self) -> "Draft":
        """The same as somebody writes it."""
        one = self.rule()
        return Draft(self.name, one.trigger, one.terms, one.deeds, one.stop, one.after)


_NAMES = ("id", "name", "event", "after", "conditions", "actions", "stop")


def rule_of(row: Any) -> Rule:
    """A rule from its row, or from the row's JSON."""
    return Rule(
        UUID(str(row["id"])),
        row["name"],
        Trigger(row["event"]),
        conditions.parse(row["conditions"]),
        tuple(Deed.of(said) for said in row["actions"]),
        row["stop"],
        timedelta(minutes=row["after"]) if row["after"] is not None else None,
    )


class RuleRun(TenantRow, Base):
    """That a rule was asked about one event in a conversation: once, whatever is repeated.

    `event` is what happened, `event_key` which one: an event's id, or the message since which time has passed.
    `decided` is the condition that did not hold; null: the rule acted, and `done` says what came of each of its
    actions: {do, value, state, why, detail}.
    """

    __tablename__ = "rule_runs"
    __table_args__ = (
        UniqueConstraint("workspace_id", "conversation_id", "event_key", "rule_id"),
        Index(None, "workspace_id", "rule_id", "id"),
        Index("ix_rule_runs_age", "workspace_id", "created_at"),
        tenant_key("rule_id", "rules"),
        tenant_key("conversation_id", "conversations"),
        # Rules do not move with a store, and what they did means nothing without them.
        {"info": {"moves": "stays"}},
    )

    rule_id: Mapped[UUID]
    conversation_id: Mapped[UUID]
    event: Mapped[str]
    event_key: Mapped[str]
    decided: Mapped[str | None]
    done: Mapped[list[Any]] = mapped_column(server_default=text("'[]'"))


RUNS = cast(Table, RuleRun.__table__)


@dataclass(frozen=True, slots=True)
class Draft:
    """A rule as somebody writes it."""

    name: str
    trigger: Trigger
    terms: tuple[conditions.Term, ...] = ()
    deeds: tuple[Deed, ...] = ()
    stop: bool = False
    after: timedelta | None = None

    def rule(self) -> Rule:
        """As it would be asked."""
        return Rule(new_id(), self.name, self.trigger, self.terms, self.deeds, self.stop, self.after)


async def all_rules(tx: Tx) -> Sequence[RuleRow]:
    """Every rule in its order; deleted ones are not among them."""
    rows = await tx.scalars(
        select(RuleRow)
        .where(RuleRow.workspace_id == tx.workspace_id, RuleRow.deleted_at.is_(None))
        .order_by(RuleRow.position, RuleRow.id)
    )
    return list(rows)


async def find(tx: Tx, rule_id: UUID, *, deleted: bool = False) -> RuleRow:
    """A rule of this workspace, held until the end of the transaction. Raises NotFound, for a deleted one too."""
    row = await tx.get(RuleRow, rule_id, lock=True)
    if row is None or (row.deleted_at is not None and not deleted):
        raise NotFound(_("This rule is no longer there."), _("Open the list again."))
    return row


async def names(tx: Tx) -> dict[UUID, str]:
    """What every rule is called, deleted ones too."""
    rows = await tx.execute(select(RuleRow.id, RuleRow.name).where(RuleRow.workspace_id == tx.workspace_id))
    return {row.id: row.name for row in rows}


async def save(tx: Tx, draft: Draft, row: RuleRow | None = None, *, by: Agent, enabled: bool = True) -> RuleRow:
    """Keep a new rule, at the end, or a changed one. Raises AhlanError for what is none."""
    name, trigger, after = await _checked(tx, draft)
    before = _told(row) if row is not None else {}
    fresh = row is None
    if row is None:
        await _one_at_a_time(tx)
        have = await all_rules(tx)
        _room(have)
        row = RuleRow(id=new_id(), position=have[-1].position + 1 if have else 0, enabled=enabled)
    row.name, row.event, row.stop = name, trigger, draft.stop
    row.after = round(after.total_seconds() / 60) if after is not None else None
    row.conditions, row.actions = conditions.written(draft.terms), [deed.kept() for deed in draft.deeds]
    row.since = await tx.scalar(select(func.now()))
    tx.add(row)
    await tx.flush()
    changes = audit.changed(before, _told(row))
    if fresh:
        audit.note(tx, "settings.rule_made", by=by.id, changes={"rule": [None, row.name], **changes})
    elif changes:
        audit.note(tx, "settings.rule_changed", by=by.id, changes={"rule": [None, row.name], **changes})
    await watch(tx)
    return row


def _told(row: RuleRow) -> dict[str, object]:
    """A rule as a line of the audit log names it."""
    return {
        "name": row.name,
        "event": row.event if row.after is None else f"{row.event} {row.after}m",
        "conditions": row.conditions,
        "actions": ", ".join(_in_short(Deed.of(said)) for said in row.actions),
        "stop": row.stop,
    }


def _in_short(deed: Deed) -> str:
    said = deed.value or " / ".join(deed.texts.values())
    return f"{deed.do.value}:{said[:120]}"


async def switch(tx: Tx, row: RuleRow, on: bool, *, by: Agent) -> None:
    """Switch a rule on or off."""
    if row.enabled == on:
        return
    row.enabled = on
    row.since = await tx.scalar(select(func.now()))
    await tx.flush()
    if on:
        audit.note(tx, "settings.rule_on", by=by.id, changes={"rule": [None, row.name]})
    else:
        audit.note(tx, "settings.rule_off", by=by.id, changes={"rule": [None, row.name]})
    await watch(tx)


async def move(tx: Tx, row: RuleRow, step: int, *, by: Agent) -> None:
    """Ask a rule before (-1), or after (1), its neighbour."""
    await _one_at_a_time(tx)
    order = list(await all_rules(tx))
    at = next(place for place, one in enumerate(order) if one.id == row.id)
    if not 0 <= at + step < len(order):
        return
    order[at], order[at + step] = order[at + step], order[at]
    for position, one in enumerate(order):
        one.position = position
    await tx.flush()
    place = [at + 1, at + step + 1]
    audit.note(tx, "settings.rule_moved", by=by.id, changes={"rule": [None, row.name], "place": place})


async def duplicate(tx: Tx, row: RuleRow, name: str, *, by: Agent) -> RuleRow:
    """The same rule once more under another name, right behind it and switched off."""
    await _one_at_a_time(tx)
    order = list(await all_rules(tx))
    _room(order)
    at = next(place for place, one in enumerate(order) if one.id == row.id)
    copy = RuleRow(
        id=new_id(), position=0, name=name[:LONGEST_NAME], enabled=False, event=row.event, after=row.after,
        conditions=row.conditions, actions=list(row.actions), stop=row.stop,
    )  # fmt: skip
    tx.add(copy)
    for place, one in enumerate([*order[: at + 1], copy, *order[at + 1 :]]):
        one.position = place
    await tx.flush()
    audit.note(tx, "settings.rule_made", by=by.id, changes={"rule": [None, copy.name]})
    return copy


async def remove(tx: Tx, row: RuleRow, *, by: Agent) -> None:
    """Delete a rule; `restore` brings it back."""
    row.deleted_at = datetime.now(UTC)
    await tx.flush()
    audit.note(tx, "settings.rule_deleted", by=by.id, changes={"rule": [None, row.name]})


async def restore(tx: Tx, row: RuleRow, *, by: Agent) -> None:
    """Bring a deleted rule back to its place. Raises AhlanError where there are too many by now."""
    if row.deleted_at is None:
        return
    await _one_at_a_time(tx)
    _room(await all_rules(tx))
    row.deleted_at, row.since = None, await tx.scalar(select(func.now()))
    await tx.flush()
    audit.note(tx, "settings.rule_restored", by=by.id, changes={"rule": [None, row.name]})
    await watch(tx)


async def plant(tx: Tx, drafts: Sequence[Draft]) -> int:
    """Write the starter set, switched on, where there has never been a rule. Returns how many were written."""
    await _one_at_a_time(tx)
    if await tx.scalar(select(RuleRow.id).where(RuleRow.workspace_id == tx.workspace_id).limit(1)):
        return 0
    for place, draft in enumerate(drafts):
        tx.add(
            RuleRow(
                id=new_id(), position=place, name=draft.name, enabled=True, event=draft.trigger,
                after=round(draft.after.total_seconds() / 60) if draft.after is not None else None,
                conditions=conditions.written(draft.terms), actions=[deed.kept() for deed in draft.deeds],
                stop=draft.stop,
            )
        )  # fmt: skip
    await tx.flush()
    await watch(tx)
    return len(drafts)


async def watch(tx: Tx) -> None:
    """Have somebody look within a minute for what time alone makes due, and from then on while there is anything."""
    await tx.enqueue("watch_rules", delay=60, unique="watch_rules")


async def runs(tx: Tx, rule_id: UUID, *, acted: bool, limit: int = 50) -> Sequence[RuleRun]:
    """What a rule did last, or when it last did nothing, the newest first."""
    rows = await tx.scalars(
        select(RuleRun)
        .where(
            RuleRun.workspace_id == tx.workspace_id,
            RuleRun.rule_id == rule_id,
            RuleRun.decided.is_(None) if acted else RuleRun.decided.is_not(None),
        )
        .order_by(RuleRun.id.desc())
        .limit(limit)
    )
    return list(rows)


async def of_conversation(tx: Tx, conversation_id: UUID, *, limit: int = 100) -> Sequence[RuleRun]:
    """Every rule that was asked about a conversation, the latest event first, its rules in their order."""
    rows = await tx.scalars(
        select(RuleRun)
        .join(RuleRow, (RuleRow.workspace_id == RuleRun.workspace_id) & (RuleRow.id == RuleRun.rule_id))
        .where(RuleRun.workspace_id == tx.workspace_id, RuleRun.conversation_id == conversation_id)
        .order_by(RuleRun.created_at.desc(), RuleRow.position, RuleRun.id)
        .limit(limit)
    )
    return list(rows)


@dataclass(frozen=True, slots=True)
class Count:
    """How often a rule acted in the last 30 days, and when last."""

    acted: int
    last_at: datetime | None


async def counts(tx: Tx) -> dict[UUID, Count]:
    """By rule; those that never acted are missing."""
    rows = await tx.execute(
        select(RUNS.c.rule_id, func.count().label("acted"), func.max(RUNS.c.created_at).label("last"))
        .where(
            RUNS.c.workspace_id == tx.workspace_id,
            RUNS.c.decided.is_(None),
            RUNS.c.created_at > func.now() - timedelta(days=30),
        )
        .group_by(RUNS.c.rule_id)
    )
    return {row.rule_id: Count(row.acted, row.last) for row in rows}


async def note_runs(tx: Tx, rows: Sequence[dict[str, Any]]) -> set[UUID]:
    """Write that rules were asked. Returns the rules whose row is new: whoever finds one there leaves it alone."""
    if not rows:
        return set()
    written = await tx.scalars(
        insert(RUNS)
        .values([{"workspace_id": tx.workspace_id, "id": new_id(), **row} for row in rows])
        .on_conflict_do_nothing(index_elements=["workspace_id", "conversation_id", "event_key", "rule_id"])
        .returning(RUNS.c.rule_id)
    )
    return set(written)


async def _one_at_a_time(tx: Tx) -> None:
    await tx.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"rules {tx.workspace_id}", 0))))


def _room(have: Sequence[RuleRow]) -> None:
    if len(have) >= MOST:
        raise AhlanError(_("There are 100 rules already."), _("Delete one first."), code="rules_full")


# What a rule may be


async def _checked(tx: Tx, draft: Draft) -> tuple[str, Trigger, timedelta | None]:
    name = " ".join(draft.name.split())
    if not name or len(name) > LONGEST_NAME:
        raise AhlanError(_("Give the rule a name of at most 80 characters."), code="rule_name")
    after = None
    if draft.trigger in TIMED:
        after = draft.after
        if after is None or not SHORTEST <= after <= LONGEST:
            raise AhlanError(_("Say after how long: between five minutes and 90 days."), code="rule_after")
    about = {term.key for term in draft.terms} & conditions.OF_MESSAGES
    if about and draft.trigger not in OF_MESSAGES:
        raise AhlanError(
            _("What a message says can only be asked when a message arrives."),
            _("Choose another moment, or take the condition out."),
            code="rule_condition",
        )
    if not draft.deeds:
        raise AhlanError(_("A rule does something."), _("Add what is done."), code="rule_empty")
    if len(draft.deeds) > MOST_DEEDS:
        raise AhlanError(_("A rule does ten things at most."), _("Make two rules of it."), code="rule_deeds")
    if sum(deed.do is Do.REPLY for deed in draft.deeds) > 1:
        raise AhlanError(_("A rule answers once."), _("Take one of the answers out."), code="rule_replies")
    for deed in draft.deeds:
        await _check(tx, deed)
    return name, draft.trigger, after


async def _check(tx: Tx, deed: Deed) -> None:
    """Raises AhlanError for what cannot be done."""
    value = deed.value
    match deed.do:
        case Do.TAG | Do.UNTAG:
            fits = 0 < len(value) <= tags.LONGEST and '"' not in value
        case Do.PRIORITY:
            fits = value.upper() in Priority.__members__
        case Do.STATUS:
            fits = value in STATUSES
        case Do.SNOOZE:
            fits = value.isascii() and value.isdigit() and 0 < int(value) <= LONGEST_SNOOZE.days * 24
        case Do.ASSIGN:
            fits = not value or await _replier(tx, value) is not None
        case Do.NOTIFY:
            fits = await _replier(tx, value) is not None
        case Do.TEAM:
            found = await tx.get(Team, UUID(value)) if _is_id(value) else None
            fits = found is not None and bool(found.skills)
        case Do.NOTE:
            fits = 0 < len(value.strip()) <= LONGEST_NOTE
        case Do.FIELD:
            fits = await _fits_field(tx, value)
        case Do.REPLY:
            fits = await _fits_reply(tx, deed)
    if not fits:
        raise AhlanError(
            _("One of the actions is not complete, or what it names is no longer there."),
            _("Look at what is done, and choose again."),
            code="rule_action",
        )


async def _replier(tx: Tx, value: str) -> Agent | None:
    found = await tx.get(Agent, UUID(value)) if _is_id(value) else None
    return found if found is not None and found.may(Permission.REPLY) else None


async def _fits_field(tx: Tx, value: str) -> bool:
    name, _equals, said = value.partition("=")
    field = next((one for one in await fields.all_fields(tx) if one.key == fields.folded(name)), None)
    if field is None:
        return False
    if said.strip():
        fields.read(fields.Kind(field.kind), said, field.options)
    return True


async def _fits_reply(tx: Tx, deed: Deed) -> bool:
    if deed.value:
        macro = await tx.get(Macro, UUID(deed.value)) if _is_id(deed.value) else None
        # A colleague's own may say anything tomorrow: only the team's are sent in the team's name.
        return macro is not None and macro.agent_id is None and macro.archived_at is None and bool(macro.texts)
    for said in deed.texts.values():
        if len(said) > MAX_TEXT:
            raise AhlanError(_("An answer has at most 4000 characters."), code="rule_text")
        wording.check(said)
        await snippets.check(tx, wording.snippets(said))
    return any(said.strip() for said in deed.texts.values())


def _is_id(value: str) -> bool:
    try:
        return str(UUID(value)) == value
    except ValueError:
        return False
