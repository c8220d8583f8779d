"""Stand-alone sign-ins: the sessions of an agent, and the word that carries an embedded one to a page of its own."""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import LargeBinary, UniqueConstraint, and_, delete, func, select, text, update
from sqlalchemy.orm import Mapped, mapped_column

from plugin.kernel.crypto import Vault
from plugin.kernel.db import Base, TenantRow, Tx, tenant_key
from plugin.kernel.personal import nobody
from plugin.team import audit
from plugin.team.agents import Agent
from plugin.team.devices import browser_of, origin

SESSION_DAYS = 30
HAND_OVER_SECONDS = 3600
_HAND_OVER = "from an admin"


class Session(TenantRow, Base):
    """A stand-alone sign-in; the cookie holds the secret, the row its hash.

    `method` is how they came in (password, oidc, invitation); `second_factor` whether a second proof was given too.
    """

    __tablename__ = "sessions"
    __table_args__ = (
        UniqueConstraint("workspace_id", "secret_hash"),
        tenant_key("agent_id", "agents"),
        {"info": nobody("the team")},
    )

    agent_id: Mapped[UUID]
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary)
    expires_at: Mapped[datetime]
    user_agent: Mapped[str] = mapped_column(server_default="")
    address: Mapped[str] = mapped_column(server_default="")
    method: Mapped[str] = mapped_column(server_default="password")
    second_factor: Mapped[bool] = mapped_column(server_default=text("false"))
    last_seen_at: Mapped[datetime] = mapped_column(server_default=func.now())

    @property
    def browser(self) -> str:
        """Browser and system in two words; empty when they are not known."""
        return browser_of(self.user_agent)


async def open_session(
    tx: Tx, agent: Agent, user_agent: str, *, method: str = "password", second_factor: bool = False
) -> str:
    """Start a stand-alone session of 30 days; returns the secret for the cookie, of which only the hash is kept."""
    secret = secrets.token_urlsafe(32)
    tx.add(
        Session(
            agent_id=agent.id,
            secret_hash=hashed(secret),
            expires_at=datetime.now(UTC) + timedelta(days=SESSION_DAYS),
            user_agent=user_agent[:200],
            address=origin.get().address,
            method=method,
            second_factor=second_factor,
        )
    )
    await tx.execute(delete(Session).where(Session.expires_at < func.now()))
    await seen(tx, agent)
    audit.note(tx, "sign_in.succeeded", by=agent.id, changes={"method": [None, method]})
    return secret


async def session_agent(tx: Tx, secret: str) -> tuple[Session, Agent] | None:
    """Who holds this secret, or None when the session ended or the agent left."""
    row: Any = (
        await tx.execute(
            select(Session, Agent)
            .join(Agent, and_(Agent.workspace_id == Session.workspace_id, Agent.id == Session.agent_id))
            .where(
                Session.secret_hash == hashed(secret), Session.expires_at > func.now(), Agent.deactivated_at.is_(None)
            )
        )
    ).one_or_none()
    if row is None:
        return None
    session, agent = row
    await seen(tx, agent)
    if session.last_seen_at < _a_minute_ago():
        await tx.execute(
            update(Session)
            .where(Session.workspace_id == tx.workspace_id, Session.id == session.id)
            .values(last_seen_at=func.now())
            .execution_options(synchronize_session=False)
        )
    return session, agent


async def still_here(tx: Tx, agent_id: UUID, session_id: UUID | None) -> bool:
    """Whether an open stream or socket may go on: the agent works here and, stand-alone, the session is alive."""
    statement = select(Agent.id).where(Agent.id == agent_id, Agent.deactivated_at.is_(None))
    if session_id is not None:
        alive = select(Session.id).where(
            Session.workspace_id == tx.workspace_id, Session.id == session_id, Session.expires_at > func.now()
        )
        statement = statement.where(alive.exists())
    return await tx.scalar(statement) is not None


async def sessions(tx: Tx, agent: Agent) -> Sequence[Session]:
    """Where an agent is signed in, the latest used first."""
    return list(
        await tx.scalars(
            select(Session)
            .where(Session.agent_id == agent.id, Session.expires_at > func.now())
            .order_by(Session.last_seen_at.desc(), Session.id.desc())
        )
    )


async def close_session(tx: Tx, session_id: UUID) -> None:
    """Sign out."""
    agent_id = await tx.scalar(delete(Session).where(Session.id == session_id).returning(Session.agent_id))
    if agent_id is not None:
        audit.note(tx, "sign_in.ended", by=agent_id)
        tx.publish(access_topic(agent_id), {})


async def end_session(tx: Tx, agent: Agent, session_id: UUID) -> bool:
    """An agent ends one of their own sessions. False: it was not theirs, or had ended."""
    ended = await tx.scalar(
        delete(Session).where(Session.id == session_id, Session.agent_id == agent.id).returning(Session.id)
    )
    if ended is None:
        return False
    audit.note(tx, "account.session_ended", by=agent.id, subject=agent.id)
    tell(tx, agent)
    return True


async def close_sessions(tx: Tx, agent: Agent, *, keep: UUID | None = None) -> int:
    """Sign an agent out everywhere, but for the session `keep`. Returns how many sessions ended."""
    statement = delete(Session).where(Session.agent_id == agent.id).returning(Session.id)
    ended = list(await tx.scalars(statement if keep is None else statement.where(Session.id != keep)))
    if ended:
        tell(tx, agent)
    return len(ended)


async def end_sessions(tx: Tx, agent: Agent, *, by: Agent, keep: UUID | None = None) -> int:
    """The same because somebody asked for it: the agent themselves, or whoever runs the team."""
    ended = await close_sessions(tx, agent, keep=keep)
    audit.note(tx, "account.sessions_ended", by=by.id, subject=agent.id, changes={"sessions": [ended, 0]})
    return ended


async def set_password(tx: Tx, agent: Agent, password_hash: str, *, keep: UUID | None = None) -> None:
    """Store a new password and end every other session: whoever knew the old one is out."""
    agent.password_hash = password_hash
    await close_sessions(tx, agent, keep=keep)
    await tx.record("agent.password_changed", subject_id=agent.id, actor=agent.actor)
    audit.note(tx, "account.password_changed", by=agent.id, subject=agent.id)


def access_topic(agent_id: UUID) -> str:
    """The hub's topic on which this agent's open streams and sockets hear that they must ask again."""
    return f"access:{agent_id}"


def tell(tx: Tx, agent: Agent) -> None:
    """After commit, every open stream and socket of this agent asks whether it may go on."""
    tx.publish(access_topic(agent.id), {})


def hand_over(vault: Vault, agent: Agent) -> str:
    """A sealed word, good for an hour, that says to another page of ours who works in an embedded panel.

    Those who only come through a store's admin have no session in the browser, and a page that has to stand alone,
    such as a grant of another store, cannot know them otherwise.
    """
    return vault.sign(_HAND_OVER, {"w": agent.workspace_id.hex, "a": agent.id.hex}, HAND_OVER_SECONDS)


def handed_over(vault: Vault, word: str) -> tuple[UUID, UUID] | None:
    """(workspace, agent) of a word of `hand_over`, or None. Whether the agent still may is the caller's to ask."""
    said = vault.verify(_HAND_OVER, word) if word else None
    return (UUID(hex=said["w"]), UUID(hex=said["a"])) if said else None


async def seen(tx: Tx, agent: Agent) -> None:
    """Remember that an agent was here: once a minute is enough, and spares each click a write."""
    if agent.last_seen_at is None or agent.last_seen_at < _a_minute_ago():
        await tx.execute(
            update(Agent)
            .where(Agent.workspace_id == tx.workspace_id, Agent.id == agent.id)
            .values(last_seen_at=func.now())
            .execution_options(synchronize_session=False)
        )


def hashed(secret: str) -> bytes:
    """What is kept of a secret of 256 random bits."""
    return hashlib.sha256(secret.encode()).digest()


def _a_minute_ago() -> datetime:
    return datetime.now(UTC) - timedelta(minutes=1)
