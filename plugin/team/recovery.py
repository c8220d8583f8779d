"""A lone owner lost their phone and every recovery code: an operator of the installation hands them one sealed link.

Nothing is stored for it. The word stands on the password and on the second step as they are, so it ends with its use,
with another password, and with another second step. It proves that the operator vouches; who opens it proves the
password besides, because the link may go astray.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from plugin.kernel.crypto import Vault
from plugin.kernel.db import Tx
from plugin.kernel.errors import SetupError
from plugin.team import audit, second_factor
from plugin.team.agents import Agent
from plugin.team.rights import Role
from plugin.team.sessions import close_sessions

SECONDS: Final = 900
PATH: Final = "/sign-in/recover"
_PURPOSE: Final = "owner recovery"


async def recovery_word(tx: Tx, vault: Vault, agent: Agent) -> str:
    """The sealed word of an owner's link, good for 15 minutes and once.

    Raises SetupError, in a sentence for the operator, where there is nothing to recover or another way is right.
    """
    if agent.deactivated_at is not None or agent.role != Role.OWNER:
        raise SetupError("not an owner: an owner can take the second step away under Team.")
    if not agent.password_hash:
        raise SetupError("without a password: they sign in with the OpenID provider, which is to be asked.")
    standing = await _standing(tx, vault, agent)
    if standing is None:
        raise SetupError("without a second step: the password is enough.")
    return vault.sign(_PURPOSE, {"w": agent.workspace_id.hex, "a": agent.id.hex, "s": standing}, SECONDS)


def meant(vault: Vault, word: str) -> tuple[UUID, UUID] | None:
    """(workspace, agent) of a word that is ours and not too old. Whether it still counts, `recoverable` says."""
    said = vault.verify(_PURPOSE, word)
    return (UUID(hex=said["w"]), UUID(hex=said["a"])) if said else None


async def recoverable(tx: Tx, vault: Vault, word: str, *, lock: bool = False) -> Agent | None:
    """The owner whose second step this word still takes away, or None. `lock` holds them until the transaction ends."""
    said = vault.verify(_PURPOSE, word)
    if said is None or said["w"] != tx.workspace_id.hex:
        return None
    agent = await tx.get(Agent, UUID(hex=said["a"]), lock=lock)
    if agent is None or agent.deactivated_at is not None or agent.role != Role.OWNER:
        return None
    return agent if await _standing(tx, vault, agent) == said["s"] else None


async def recover(tx: Tx, vault: Vault, word: str) -> Agent | None:
    """The password was right: the second step and every session end. None: somebody was faster, or it changed."""
    agent = await recoverable(tx, vault, word, lock=True)
    if agent is None:
        return None
    await second_factor.forget(tx, agent)
    await close_sessions(tx, agent)
    await tx.record("agent.second_factor_off", subject_id=agent.id, actor=agent.actor)
    audit.note(tx, "account.second_factor_recovered", by=agent.id, subject=agent.id)
    return agent


async def _standing(tx: Tx, vault: Vault, agent: Agent) -> str | None:
    """What a word stands on: password and second step of this agent; None without a second step."""
    row = await second_factor.factor(tx, agent.id)
    if row is None:
        return None
    return vault.fingerprint(_PURPOSE, f"{agent.id.hex}:{agent.password_hash}:{row.id.hex}:{row.sealed.hex()}")
