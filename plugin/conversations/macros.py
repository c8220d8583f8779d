"""Macros: answers that a team gives often, in each of its languages, and what is done to a conversation with them."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Index, Table, and_, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, mapped_column

from plugin.conversations import conversations as threads
from plugin.conversations import tags, wording
from plugin.conversations.conversations import Conversation, Priority, Status
from plugin.conversations.messages import MAX_TEXT
from plugin.kernel.db import Base, Tenant, TenantRow, Tx, tenant_key
from plugin.kernel.errors import AhlanError, Forbidden, NotFound
from plugin.kernel.lazy import _
from plugin.kernel.personal import nobody
from plugin.kernel.text import search_key
from plugin.team import Agent, Permission

LONGEST_NAME = 80
MOST = 300
"""Macros of the team, and of each agent, at most; archived ones do not count."""
MOST_ACTIONS = 10
SNOOZES = (1, 3, 24, 72, 168)
"""Hours that a macro may put a conversation off for."""
ME = "me"


class Do(StrEnum):
    """What a macro may do to the conversation."""

    TAG = "tag"
    ASSIGN = "assign"
    PRIORITY = "priority"
    STATUS = "status"
    SNOOZE = "snooze"


_CLOSING = (Status.RESOLVED, Status.PENDING)
# A status comes last: what is done before it would open nothing again, but is read in this order.
_ORDER = {do: place for place, do in enumerate(Do)}


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do: a tag, an agent's id (`me`: whoever uses it, empty: nobody), a priority, a status, hours."""

    do: Do
    value: str

    def __str__(self) -> str:
        return f"{self.do.value}:{self.value}"


class Macro(TenantRow, Base):
    """An answer under a name; with `agent_id` only theirs, without it the whole team's.

    `texts` holds one text a language, `actions` what is done, as `tag:vip`; `key` is what it is found by.
    """

    __tablename__ = "macros"
    __table_args__ = (
        Index(None, "workspace_id", "agent_id"),
        tenant_key("agent_id", "agents"),
        {"info": nobody("what a team answers often")},
    )

    agent_id: Mapped[UUID | None]
    created_by: Mapped[UUID | None]
    name: Mapped[str]
    texts: Mapped[dict[str, Any]]
    actions: Mapped[list[str]] = mapped_column(server_default=text("'[]'"))
    place: Mapped[int]
    key: Mapped[str]
    archived_at: Mapped[datetime | None]

    def deeds(self) -> list[Action]:
        """What is done, in the order in which it is."""
        return sorted((_read(said) for said in self.actions), key=lambda action: _ORDER[action.do])


class MacroUse(Tenant, Base):
    """How often one agent used one macro."""

    __tablename__ = "macro_uses"
    __table_args__ = (
        tenant_key("macro_id", "macros"),
        tenant_key("agent_id", "agents"),
        {"info": nobody("what an agent answers often")},
    )

    macro_id: Mapped[UUID] = mapped_column(primary_key=True)
    agent_id: Mapped[UUID] = mapped_column(primary_key=True)
    times: Mapped[int]
    last_at: Mapped[datetime] = mapped_column(server_default=func.now())


_USES = cast(Table, MacroUse.__table__)


@dataclass(frozen=True, slots=True)
class Listed:
    """A macro and how often it was used: by the one who asks, by everybody."""

    macro: Macro
    mine: int
    all: int


@dataclass(frozen=True, slots=True)
class Draft:
    """A macro as somebody writes it."""

    name: str
    texts: Mapping[str, str]
    actions: Sequence[str] = field(default_factory=tuple)
    shared: bool = False


async def available(
    tx: Tx, agent: Agent, *, query: str = "", limit: int = 2 * MOST, archived: bool = False
) -> list[Listed]:
    """The macros that this agent may use: their most used first, then the team's, then as they are ordered.

    `query` is compared as kernel/text.py says, name and texts; macros whose name has all its words come first.
    """
    uses = (
        select(
            _USES.c.macro_id,
            func.sum(_USES.c.times).label("all"),
            func.coalesce(func.sum(_USES.c.times).filter(_USES.c.agent_id == agent.id), 0).label("mine"),
        )
        .where(_USES.c.workspace_id == tx.workspace_id)
        .group_by(_USES.c.macro_id)
        .subquery()
    )
    own_uses, all_uses = func.coalesce(uses.c.mine, 0), func.coalesce(uses.c.all, 0)
    words = search_key(query).split()
    rows = await tx.execute(
        select(Macro, own_uses, all_uses)
        .outerjoin(uses, uses.c.macro_id == Macro.id)
        .where(
            Macro.workspace_id == tx.workspace_id,
            _visible(agent),
            Macro.archived_at.is_not(None) if archived else Macro.archived_at.is_(None),
            *(Macro.key.contains(word, autoescape=True) for word in words),
        )
        .order_by(own_uses.desc(), all_uses.desc(), Macro.place, Macro.name, Macro.id)
    )
    found = [
        Listed(macro, int(own), int(every)) for macro, own, every in cast("Iterable[tuple[Macro, int, int]]", rows)
    ]
    if words:
        # Stable: within both halves the most used stay first.
        found.sort(key=lambda one: not all(word in search_key(one.macro.name) for word in words))
    return found[:limit]


async def listed(tx: Tx, agent: Agent, *, archived: bool = False) -> list[Listed]:
    """The same in the order of the settings: the team's, then one's own, each as it was ordered."""
    found = await available(tx, agent, archived=archived)
    return sorted(found, key=lambda one: (one.macro.agent_id is not None, one.macro.place, str(one.macro.id)))


async def names(tx: Tx) -> dict[str, str]:
    """What the team's macros are called, by id; archived ones too."""
    rows = await tx.execute(
        select(Macro.id, Macro.name).where(Macro.workspace_id == tx.workspace_id, Macro.agent_id.is_(None))
    )
    return {str(row.id): row.name for row in rows}


async def find(tx: Tx, agent: Agent, macro_id: UUID) -> Macro:
    """A macro that this agent may use. Raises NotFound, for a colleague's own one too."""
    macro = await tx.get(Macro, macro_id)
    if macro is None or macro.agent_id not in (None, agent.id):
        raise NotFound(_("This macro is no longer there."), _("Choose another macro."))
    return macro


def may_change(agent: Agent, macro: Macro) -> bool:
    """One's own, the team's one made oneself, and each of the team's for whom the settings are."""
    if macro.agent_id is not None:
        return macro.agent_id == agent.id
    return macro.created_by == agent.id or agent.may(Permission.MANAGE_SETTINGS)


async def write(tx: Tx, agent: Agent, draft: Draft, macro: Macro | None = None) -> Macro:
    """Make a macro, or change one. Raises AhlanError for what is no macro, WordingError for an unknown name in it.

    Raises Forbidden for the team's that somebody else made.
    """
    checked = await _checked(tx, draft)
    owner = None if draft.shared else agent.id
    if macro is None:
        await _room_for_more(tx, owner)
        macro = Macro(created_by=agent.id, place=await _last_place(tx) + 1)
    else:
        _changeable(agent, macro)
        # What somebody else made for the team stays the team's.
        owner = macro.agent_id if macro.created_by not in (None, agent.id) else owner
    macro.agent_id, macro.name = owner, checked.name
    macro.texts, macro.actions = dict(checked.texts), [*checked.actions]
    macro.key = _key(checked.name, checked.texts)
    tx.add(macro)
    await tx.flush()
    return macro


async def archive(tx: Tx, agent: Agent, macro: Macro, *, back: bool = False) -> None:
    """Put a macro away, or take it out again. Raises Forbidden as `write` does."""
    _changeable(agent, macro)
    if back and macro.archived_at is not None:
        await _room_for_more(tx, macro.agent_id)
    macro.archived_at = None if back else datetime.now(UTC)
    await tx.flush()


async def move(tx: Tx, agent: Agent, macro: Macro, step: int) -> None:
    """Let a macro change places with the one before (-1) or after (1) it in its list. Raises Forbidden as `write`."""
    _changeable(agent, macro)
    row = [one.macro for one in await listed(tx, agent) if one.macro.agent_id == macro.agent_id]
    at = next((place for place, one in enumerate(row) if one.id == macro.id), None)
    if at is None or not 0 <= at + step < len(row):
        return
    row[at], row[at + step] = row[at + step], row[at]
    for place, one in enumerate(row):
        one.place = place
    await tx.flush()


async def used(tx: Tx, macro: Macro, agent: Agent) -> None:
    """Count one use."""
    fresh = insert(_USES).values(workspace_id=tx.workspace_id, macro_id=macro.id, agent_id=agent.id, times=1)
    await tx.execute(
        fresh.on_conflict_do_update(
            index_elements=["workspace_id", "macro_id", "agent_id"],
            set_={"times": _USES.c.times + 1, "last_at": func.now()},
        )
    )


async def inherit(tx: Tx, of: UUID, to: UUID) -> None:
    """Two rows turn out to be one person: the macros of the one are the other's."""
    for column in (Macro.agent_id, Macro.created_by):
        theirs = update(Macro).where(Macro.workspace_id == tx.workspace_id, column == of)
        await tx.execute(theirs.values({column: to}))


async def perform(tx: Tx, conversation: Conversation, actions: Sequence[Action], *, by: Agent) -> None:
    """Do it, where it is not so already. The caller holds the conversation (`conversations.lock`).

    Who cannot have conversations any more is given none, and a conversation that is full of tags gets no more: words
    that go out with it must not be lost over that.
    """
    await tx.session.refresh(conversation)
    for action in sorted(actions, key=lambda action: _ORDER[action.do]):
        await _perform(tx, conversation, action, by)


async def _perform(tx: Tx, conversation: Conversation, action: Action, by: Agent) -> None:
    match action.do:
        case Do.TAG:
            with suppress(AhlanError):
                await tags.put(tx, conversation, action.value, by=by)
        case Do.ASSIGN:
            to = await assignee(tx, action, by)
            if (to is not None or not action.value) and conversation.assignee_id != (to.id if to else None):
                await threads.assign(tx, conversation, to, by=by, seen=conversation.assignee_id)
        case Do.PRIORITY:
            await threads.rank(tx, conversation, Priority(int(action.value)), by=by)
        case Do.STATUS:
            await threads.turn(tx, conversation, Status(action.value), by=by)
        case Do.SNOOZE:
            until = datetime.now(UTC) + timedelta(hours=int(action.value))
            await threads.turn(tx, conversation, Status.SNOOZED, by=by, until=until)


async def assignee(tx: Tx, action: Action, by: Agent) -> Agent | None:
    """Whom an assignment means: None for nobody, and for somebody who cannot have conversations any more."""
    if not action.value:
        return None
    agent = by if action.value == ME else await tx.get(Agent, UUID(action.value), lock=True)
    return agent if agent is not None and agent.may(Permission.REPLY) else None


def in_language(texts: Mapping[str, str], *wanted: str) -> str:
    """The language to answer in: the first of `wanted` (as `ar-SA`) that there is a text in, else English, else any.

    Empty when there is no text at all. Pure.
    """
    for locale in (*wanted, "en", *sorted(texts)):
        code = locale.replace("_", "-").partition("-")[0].lower()
        if texts.get(code):
            return code
    return ""


def parse(said: str) -> Action:
    """An action from a form or a row. Raises AhlanError for what is none."""
    do, _colon, value = said.partition(":")
    value = " ".join(value.split())
    if do not in set(Do) or not _sensible(Do(do), value):
        raise AhlanError(_("That is not something that a macro can do."), code="macro_action")
    return Action(Do(do), value)


def _read(said: str) -> Action:
    do, _colon, value = said.partition(":")
    return Action(Do(do), value)


def _sensible(do: Do, value: str) -> bool:
    match do:
        case Do.TAG:
            return 0 < len(value) <= tags.LONGEST and '"' not in value
        case Do.ASSIGN:
            return value in ("", ME) or _is_id(value)
        case Do.PRIORITY:
            return value in {str(int(rank)) for rank in Priority}
        case Do.STATUS:
            return value in _CLOSING
        case Do.SNOOZE:
            return value in {str(hours) for hours in SNOOZES}


def _is_id(value: str) -> bool:
    try:
        return str(UUID(value)) == value
    except ValueError:
        return False


async def _checked(tx: Tx, draft: Draft) -> Draft:
    name = " ".join(draft.name.split())
    if not name or len(name) > LONGEST_NAME:
        raise AhlanError(_("Give the macro a name of at most 80 characters."), code="macro_name")
    texts = {code: said.strip() for code, said in draft.texts.items() if said.strip()}
    for said in texts.values():
        if len(said) > MAX_TEXT:
            raise AhlanError(_("A macro's text has at most 4000 characters."), code="macro_text")
        wording.check(said)
    actions = [parse(said) for said in dict.fromkeys(draft.actions)][:MOST_ACTIONS]
    if not texts and not actions:
        raise AhlanError(_("A macro says something or does something."), _("Write a text, or choose what is done."),
                         code="macro_empty")  # fmt: skip
    for action in actions:
        if action.do is Do.ASSIGN and action.value not in ("", ME):
            agent = await tx.get(Agent, UUID(action.value))
            if agent is None or not agent.may(Permission.REPLY):
                raise NotFound(_("There is nobody with this name."), _("Choose again."))
    return Draft(name, texts, [str(action) for action in actions], draft.shared)


def _key(name: str, texts: Mapping[str, str]) -> str:
    return search_key(" ".join((name, *map(wording.plain, texts.values()))))


def _visible(agent: Agent) -> Any:
    return or_(Macro.agent_id.is_(None), Macro.agent_id == agent.id)


def _changeable(agent: Agent, macro: Macro) -> None:
    if not may_change(agent, macro):
        raise Forbidden(_("Somebody else made this macro for the team."), _("Ask them, or an administrator."))


async def _last_place(tx: Tx) -> int:
    last: int | None = await tx.scalar(select(func.max(Macro.place)).where(Macro.workspace_id == tx.workspace_id))
    return -1 if last is None else last


async def _room_for_more(tx: Tx, owner: UUID | None) -> None:
    have = await tx.scalar(
        select(func.count())
        .select_from(Macro)
        .where(
            and_(Macro.workspace_id == tx.workspace_id, Macro.archived_at.is_(None)),
            Macro.agent_id.is_(None) if owner is None else Macro.agent_id == owner,
        )
    )
    if have >= MOST:
        raise AhlanError(_("There are 300 macros already."), _("Archive one first."), code="macros_full")


async def plant(tx: Tx, starters: Sequence[Draft]) -> int:
    """Write the starter set where there has never been a macro. Returns how many were written."""
    await tx.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"macros {tx.workspace_id}", 0))))
    if await tx.scalar(select(Macro.id).where(Macro.workspace_id == tx.workspace_id).limit(1)):
        return 0
    for place, draft in enumerate(starters):
        tx.add(
            Macro(
                agent_id=None, created_by=None, name=draft.name, texts=dict(draft.texts), actions=list(draft.actions),
                place=place, key=_key(draft.name, draft.texts),
            )
        )  # fmt: skip
    await tx.flush()
    return len(starters)
