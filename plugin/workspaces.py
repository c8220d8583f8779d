"""A workspace: one merchant with their stores, team and customers. The tenant."""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, text
from sqlalchemy.orm import Mapped, mapped_column

from plugin.kernel.db import Base, Directory, Tenant, Tx, new_id
from plugin.kernel.personal import nobody


class Workspace(Tenant, Base):
    """The tenant itself. `locale` is the panel's default language, `timezone` an IANA name.

    Agents of `second_factor_roles` sign in with two steps where they sign in with us.

    `unattended_minutes`: business time after which what nobody took is told; `away_minutes`: after which an agent who
    is away gives back what they have. 0: never. `value` is what the merchant said an hour of their team costs
    (`plugin/analytics/value.py`).
    """

    __tablename__ = "workspaces"
    __table_args__ = {"info": nobody("the merchant's own")}  # noqa: RUF012 - read once, by SQLAlchemy

    name: Mapped[str]
    locale: Mapped[str] = mapped_column(server_default="en")
    timezone: Mapped[str] = mapped_column(server_default="UTC")
    second_factor_roles: Mapped[list[str]] = mapped_column(server_default=text("'[]'"))
    unattended_minutes: Mapped[int] = mapped_column(server_default=text("60"))
    away_minutes: Mapped[int] = mapped_column(server_default=text("60"))
    chat: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    value: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


@dataclass(frozen=True, slots=True)
class ChatRules:
    """How live chat works in a workspace. `typing_preview`: agents read along while a shopper types, who is told so.

    `ratings`: shoppers are asked once, after their conversation was resolved, how it was.
    """

    typing_preview: bool = False
    ratings: bool = True


async def chat_rules(tx: Tx) -> ChatRules:
    """The rules of this workspace; what nobody decided is as in a new one."""
    return rules_of(await current(tx))


def rules_of(workspace: Workspace | None) -> ChatRules:
    """The same, of a workspace that was read already. Pure."""
    kept = workspace.chat if workspace is not None else {}
    return ChatRules(**{rule.name: bool(kept[rule.name]) for rule in fields(ChatRules) if rule.name in kept})


def new_workspace_id() -> UUID:
    """An id for a workspace that the next transaction will create."""
    return new_id()


async def create(tx: Tx, name: str, *, locale: str = "en", timezone: str = "UTC") -> Workspace:
    """Create the workspace of this transaction, with the housekeeping that every workspace has."""
    workspace = Workspace(workspace_id=tx.workspace_id, name=name, locale=locale, timezone=timezone)
    tx.add(workspace)
    tx.add(Directory(kind="workspace", key=str(tx.workspace_id), workspace_id=tx.workspace_id))
    await tx.flush()
    await tx.enqueue("retention", every=86_400, unique="retention")
    await tx.enqueue("plant_macros")
    await tx.enqueue("plant_rules")
    return workspace


async def current(tx: Tx) -> Workspace | None:
    """The workspace of this transaction."""
    return await tx.session.get(Workspace, tx.workspace_id)
