"""The second proof at a stand-alone sign-in: a code from an authenticator app (RFC 6238), or a recovery code.

A code is good once: the time step that it was made for is kept, and only a later one counts
(https://datatracker.ietf.org/doc/html/rfc6238#section-5.2). Recovery codes are kept as keyed hashes.
"""

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import cast
from uuid import UUID

import pyotp
from sqlalchemy import BigInteger, CursorResult, LargeBinary, UniqueConstraint, delete, func, select, text, update
from sqlalchemy.orm import Mapped, mapped_column

from plugin.kernel.crypto import Vault
from plugin.kernel.db import Base, TenantRow, Tx, tenant_key
from plugin.kernel.errors import Conflict, Forbidden
from plugin.kernel.lazy import _
from plugin.kernel.personal import nobody
from plugin.team import audit
from plugin.team.agents import Agent, may_give, not_yours
from plugin.team.rights import Role
from plugin.team.sessions import Session, close_sessions
from plugin.workspaces import Workspace, current

STEP_SECONDS = 30
# One step either side: phones' clocks, and the time that typing takes (RFC 6238, 5.2 recommends no more).
_WINDOW = 1
RECOVERY_CODES = 10
_PURPOSE = "second factor"
_DIGITS = str.maketrans("٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹", "01234567890123456789")
# Without letters and digits that look alike.
_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"


class SecondFactor(TenantRow, Base):
    """An agent's authenticator: its secret sealed, and the last time step used. Unconfirmed until its first code."""

    __tablename__ = "second_factors"
    __table_args__ = (
        UniqueConstraint("workspace_id", "agent_id"),
        tenant_key("agent_id", "agents"),
        {"info": nobody("the team")},
    )

    agent_id: Mapped[UUID]
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    last_step: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    confirmed_at: Mapped[datetime | None]


class RecoveryCode(TenantRow, Base):
    """A way in for whoever lost their phone, once; only its keyed hash is kept."""

    __tablename__ = "recovery_codes"
    __table_args__ = (
        UniqueConstraint("workspace_id", "agent_id", "code_hash"),
        tenant_key("agent_id", "agents"),
        {"info": nobody("the team")},
    )

    agent_id: Mapped[UUID]
    code_hash: Mapped[str]
    used_at: Mapped[datetime | None]


async def factor(tx: Tx, agent_id: UUID) -> SecondFactor | None:
    """The agent's confirmed authenticator."""
    row: SecondFactor | None = await tx.scalar(
        select(SecondFactor).where(SecondFactor.agent_id == agent_id, SecondFactor.confirmed_at.is_not(None))
    )
    return row


async def agents_with_factor(tx: Tx) -> set[UUID]:
    """Everybody who has one."""
    return set(
        await tx.scalars(
            select(SecondFactor.agent_id).where(
                SecondFactor.workspace_id == tx.workspace_id, SecondFactor.confirmed_at.is_not(None)
            )
        )
    )


async def begin_factor(tx: Tx, vault: Vault, agent: Agent) -> str:
    """A new secret for the agent's app, in base32; it counts once a code of it was entered. Raises Conflict if on."""
    if await factor(tx, agent.id) is not None:
        raise Conflict(_("The second step is on already."), _("Switch it off first to use another phone."))
    await tx.execute(delete(SecondFactor).where(SecondFactor.agent_id == agent.id))
    secret = pyotp.random_base32()
    tx.add(SecondFactor(agent_id=agent.id, sealed=await vault.encrypt(tx, secret, _PURPOSE)))
    await tx.flush()
    return secret


async def unconfirmed(tx: Tx, vault: Vault, agent: Agent) -> str | None:
    """The secret that waits for its first code."""
    row = await tx.scalar(
        select(SecondFactor).where(SecondFactor.agent_id == agent.id, SecondFactor.confirmed_at.is_(None))
    )
    return await vault.decrypt(tx, row.sealed, _PURPOSE) if row is not None else None


def otpauth(agent: Agent, secret: str) -> str:
    """What the QR code says (https://github.com/google/google-authenticator/wiki/Key-Uri-Format)."""
    return pyotp.TOTP(secret).provisioning_uri(name=agent.email or agent.name, issuer_name="Ahlan")


async def confirm_factor(
    tx: Tx, vault: Vault, agent: Agent, code: str, now: datetime, *, session_id: UUID
) -> list[str] | None:
    """The first code switches the second step on; returns the recovery codes, to be shown once. None: a wrong code.

    Every other session ends, and this one counts as proven twice.
    """
    row = await tx.scalar(
        select(SecondFactor)
        .where(SecondFactor.agent_id == agent.id, SecondFactor.confirmed_at.is_(None))
        .with_for_update()
    )
    if row is None or not await _fresh(tx, vault, row, code, now):
        return None
    row.confirmed_at = now
    await close_sessions(tx, agent, keep=session_id)
    await tx.execute(
        update(Session)
        .where(Session.workspace_id == tx.workspace_id, Session.id == session_id)
        .values(second_factor=True)
    )
    await tx.record("agent.second_factor_on", subject_id=agent.id, actor=agent.actor)
    audit.note(tx, "account.second_factor_on", by=agent.id, subject=agent.id)
    return await _new_codes(tx, vault, agent)


async def renew_codes(tx: Tx, vault: Vault, agent: Agent) -> list[str]:
    """New recovery codes in place of the old ones, to be shown once."""
    audit.note(tx, "account.codes_renewed", by=agent.id, subject=agent.id)
    return await _new_codes(tx, vault, agent)


async def _new_codes(tx: Tx, vault: Vault, agent: Agent) -> list[str]:
    await tx.execute(delete(RecoveryCode).where(RecoveryCode.agent_id == agent.id))
    # 59 bits each, behind the same limits as a password.
    codes = ["-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(3)) for _ in range(
        RECOVERY_CODES)]  # fmt: skip
    tx.add(*(RecoveryCode(agent_id=agent.id, code_hash=_hash(vault, agent, code)) for code in codes))
    await tx.flush()
    return codes


async def codes_left(tx: Tx, agent: Agent) -> int:
    """How many recovery codes were not used yet."""
    count: int = await tx.scalar(
        select(func.count())
        .select_from(RecoveryCode)
        .where(RecoveryCode.agent_id == agent.id, RecoveryCode.used_at.is_(None))
    )
    return count


async def proves(tx: Tx, vault: Vault, agent: Agent, code: str, now: datetime) -> bool:
    """Whether this is a code of the agent's app that was not used before, or an unused recovery code, which it uses up.

    `now` is in UTC. Two requests with one code: one of them wins.
    """
    row = await factor(tx, agent.id)
    if row is None:
        return False
    typed = _typed(code)
    if typed.isascii() and typed.isdigit():
        return await _fresh(tx, vault, row, typed, now)
    used = await tx.scalar(
        update(RecoveryCode)
        .where(
            RecoveryCode.workspace_id == tx.workspace_id,
            RecoveryCode.agent_id == agent.id,
            RecoveryCode.code_hash == _hash(vault, agent, typed),
            RecoveryCode.used_at.is_(None),
        )
        .values(used_at=now)
        .returning(RecoveryCode.id)
    )
    if used is None:
        return False
    left = await codes_left(tx, agent)
    audit.note(tx, "account.recovery_code_used", by=agent.id, subject=agent.id, changes={"codes": [left + 1, left]})
    return True


async def _fresh(tx: Tx, vault: Vault, row: SecondFactor, code: str, now: datetime) -> bool:
    app = pyotp.TOTP(await vault.decrypt(tx, row.sealed, _PURPOSE), interval=STEP_SECONDS)
    step = int(now.timestamp()) // STEP_SECONDS
    typed = _typed(code)
    fits = [at for at in range(step - _WINDOW, step + _WINDOW + 1) if secrets.compare_digest(
        app.generate_otp(at).encode(), typed.encode())]  # fmt: skip
    if not fits:
        return False
    moved = cast(
        "CursorResult[object]",
        await tx.execute(
            update(SecondFactor)
            .where(
                SecondFactor.workspace_id == tx.workspace_id,
                SecondFactor.id == row.id,
                SecondFactor.last_step < max(fits),
            )
            .values(last_step=max(fits))
            .execution_options(synchronize_session=False)
        ),
    )
    return moved.rowcount == 1


def _typed(code: str) -> str:
    """A code as it was meant: without gaps, and Arabic keyboards' digits as the app's."""
    return "".join(code.split()).translate(_DIGITS)


async def drop_factor(tx: Tx, workspace: Workspace, agent: Agent) -> None:
    """The agent switches their own second step off. Raises Conflict where their role has to have it."""
    if agent.role in workspace.second_factor_roles:
        raise Conflict(
            _("In this workspace your role signs in with two steps."), _("An owner can change that in the settings.")
        )
    await forget(tx, agent)
    await tx.record("agent.second_factor_off", subject_id=agent.id, actor=agent.actor)
    audit.note(tx, "account.second_factor_off", by=agent.id, subject=agent.id)


async def reset_factor(tx: Tx, agent: Agent, *, by: Agent) -> None:
    """A colleague lost their phone: their second step and every session end. Raises Forbidden beyond `by`'s rights."""
    if not may_give(by, agent) and not (by.id != agent.id and by.role == Role.OWNER):
        raise not_yours()
    await forget(tx, agent)
    await close_sessions(tx, agent)
    await tx.record("agent.second_factor_off", subject_id=agent.id, actor=by.actor)
    audit.note(tx, "account.second_factor_reset", by=by.id, subject=agent.id)


async def forget(tx: Tx, agent: Agent) -> None:
    """The second step and its recovery codes are gone; whoever calls has seen to who may."""
    await tx.execute(delete(RecoveryCode).where(RecoveryCode.agent_id == agent.id))
    await tx.execute(delete(SecondFactor).where(SecondFactor.agent_id == agent.id))


async def require_factor(tx: Tx, workspace: Workspace, roles: Sequence[Role], *, by: Agent) -> None:
    """Which roles have to sign in with two steps; who has none yet is led to set it up before anything else."""
    before, after = sorted(workspace.second_factor_roles), sorted(role.value for role in roles)
    workspace.second_factor_roles = after
    if before != after:
        await tx.record("workspace.sign_in_changed", subject_id=tx.workspace_id, actor=by.actor)
        audit.note(tx, "settings.sign_in", by=by.id, changes={"second_factor_roles": [before, after]})


def owes_factor(workspace: Workspace, agent: Agent, session: Session) -> bool:
    """Whether this session has to prove itself twice before it may do anything else."""
    return not session.second_factor and agent.role in workspace.second_factor_roles


async def demand_factor(tx: Tx, agent: Agent, session: Session) -> None:
    """For pages that stand alone, outside the panel's door. Raises Forbidden for a session that owes a second step."""
    workspace = await current(tx)
    if workspace is None or owes_factor(workspace, agent, session):
        raise Forbidden(
            _("In this workspace your role signs in with two steps."),
            _("Set up the second step under Settings, Signing in."),
            code="second_step_needed",
        )


def _hash(vault: Vault, agent: Agent, code: str) -> str:
    plain = code.lower().replace("-", "")
    return vault.fingerprint("recovery code", f"{agent.workspace_id.hex}:{agent.id.hex}:{plain}")
