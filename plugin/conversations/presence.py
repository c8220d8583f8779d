"""Who is here now: agents in the panel, shoppers in the widget. Known while Valkey answers; nobody otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from redis.exceptions import RedisError

from plugin.realtime import Hub

SECONDS = 45
"""How long a sign of life counts: say it again every 20 s."""

WRITING_SECONDS = 7
"""How long somebody counts as writing after a key: said again every 3 s while they go on."""

AGENTS = "agents"
"""The topic that tells how many agents are here when that changes."""

_PATIENCE = 1.0
_TYPED_SECONDS = 8
_TYPED_LENGTH = 500

T = TypeVar("T")


async def agent_here(hub: Hub, workspace_id: UUID, agent_id: UUID) -> None:
    """An agent who takes conversations has the panel open. Open widgets hear of the first sign at once."""
    if await answered(hub.appear(_agents(workspace_id), str(agent_id), SECONDS), False):
        await _tell(hub, workspace_id)


async def agent_gone(hub: Hub, workspace_id: UUID, agent_id: UUID) -> None:
    """The agent left, or switched availability off."""
    if await answered(hub.vanish(_agents(workspace_id), str(agent_id)), False):
        await _tell(hub, workspace_id)


async def agents_here(hub: Hub, workspace_id: UUID) -> int:
    """How many agents are there to answer."""
    return await answered(hub.present(_agents(workspace_id)), 0)


async def shopper_here(hub: Hub, workspace_id: UUID, conversation_id: UUID, connection: str) -> None:
    """A shopper has the conversation open, in one browser tab more. The panel hears of the first sign at once."""
    if await answered(hub.appear(_shoppers(workspace_id, conversation_id), connection, SECONDS), False):
        await _tell_panel(hub, workspace_id, conversation_id)


async def shopper_gone(hub: Hub, workspace_id: UUID, conversation_id: UUID, connection: str) -> None:
    """The tab was closed."""
    if await answered(hub.vanish(_shoppers(workspace_id, conversation_id), connection), False):
        await _tell_panel(hub, workspace_id, conversation_id)


async def shopper_is_here(hub: Hub, workspace_id: UUID, conversation_id: UUID) -> bool:
    """Whether an answer is seen where it was asked; when we cannot know, it may have to follow by e-mail."""
    return await answered(hub.present(_shoppers(workspace_id, conversation_id)), 0) > 0


@dataclass(frozen=True, slots=True)
class Colleagues:
    """Agents with one conversation open: those who write into it just now, and those who look at it."""

    writing: frozenset[UUID] = frozenset()
    looking: frozenset[UUID] = frozenset()


async def agent_looks(hub: Hub, workspace_id: UUID, conversation_id: UUID, agent_id: UUID, window: str) -> None:
    """An agent has the conversation open, in one window more. Colleagues hear of the first sign at once."""
    if await answered(hub.appear(_looking(workspace_id, conversation_id), f"{agent_id}:{window}", SECONDS), False):
        await _tell_colleagues(hub, workspace_id, conversation_id)


async def agent_looks_away(hub: Hub, workspace_id: UUID, conversation_id: UUID, agent_id: UUID, window: str) -> None:
    """That window shows something else, or was closed."""
    if await answered(hub.vanish(_looking(workspace_id, conversation_id), f"{agent_id}:{window}"), False):
        await _tell_colleagues(hub, workspace_id, conversation_id)


async def agent_writes(hub: Hub, workspace_id: UUID, conversation_id: UUID, agent_id: UUID) -> None:
    """An agent is writing: good for a few seconds, said again while they go on."""
    if await answered(hub.appear(_writing(workspace_id, conversation_id), str(agent_id), WRITING_SECONDS), False):
        await _tell_colleagues(hub, workspace_id, conversation_id)


async def agent_wrote(hub: Hub, workspace_id: UUID, conversation_id: UUID, agent_id: UUID) -> None:
    """What they were writing is sent."""
    if await answered(hub.vanish(_writing(workspace_id, conversation_id), str(agent_id)), False):
        await _tell_colleagues(hub, workspace_id, conversation_id)


async def colleagues_here(hub: Hub, workspace_id: UUID, conversation_id: UUID, *, but: UUID) -> Colleagues:
    """Who else has the conversation open; nobody when we cannot know."""
    looking = await answered(hub.members(_looking(workspace_id, conversation_id)), [])
    writing = await answered(hub.members(_writing(workspace_id, conversation_id)), [])
    wrote = frozenset(UUID(member) for member in writing) - {but}
    looked = frozenset(UUID(member.partition(":")[0]) for member in looking) - {but}
    return Colleagues(wrote, looked - wrote)


async def shopper_types(hub: Hub, workspace_id: UUID, conversation_id: UUID, text: str) -> None:
    """What a shopper has typed and not sent, for a few seconds; kept nowhere else."""
    words = text[:_TYPED_LENGTH].encode()
    await answered(hub.remember(_typed(workspace_id, conversation_id), words, _TYPED_SECONDS), None)


async def typed_so_far(hub: Hub, workspace_id: UUID, conversation_id: UUID) -> str:
    """What a shopper is typing just now; empty when nobody may know, or nothing is typed."""
    found = await answered(hub.peek(_typed(workspace_id, conversation_id)), None)
    return found.decode(errors="replace") if found else ""


async def _tell(hub: Hub, workspace_id: UUID) -> None:
    count = await agents_here(hub, workspace_id)
    await hub.publish(workspace_id, [(AGENTS, {"type": AGENTS, "agents": count})])


async def _tell_panel(hub: Hub, workspace_id: UUID, conversation_id: UUID) -> None:
    await hub.publish(workspace_id, [(f"panel:conversation:{conversation_id}", {"type": "here"})])


async def _tell_colleagues(hub: Hub, workspace_id: UUID, conversation_id: UUID) -> None:
    await hub.publish(workspace_id, [(f"panel:conversation:{conversation_id}", {"type": "colleagues"})])


def _looking(workspace_id: UUID, conversation_id: UUID) -> str:
    return f"here:{workspace_id}:{conversation_id}:looking"


def _writing(workspace_id: UUID, conversation_id: UUID) -> str:
    return f"here:{workspace_id}:{conversation_id}:writing"


def _agents(workspace_id: UUID) -> str:
    return f"here:{workspace_id}:agents"


def _typed(workspace_id: UUID, conversation_id: UUID) -> str:
    return f"typed:{workspace_id}:{conversation_id}"


def _shoppers(workspace_id: UUID, conversation_id: UUID) -> str:
    return f"here:{workspace_id}:{conversation_id}"


async def answered(call: Awaitable[T], otherwise: T) -> T:
    """What Valkey answers within a second, else `otherwise`."""
    try:
        async with asyncio.timeout(_PATIENCE):
            return await call
    except (OSError, RedisError, TimeoutError):
        return otherwise
