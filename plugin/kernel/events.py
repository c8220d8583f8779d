"""The event table: what happened, written in the transaction that made it true.

Timeline, automation, analytics and realtime all read these rows; `plugin/reactions.py` says which tasks follow.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, func
from sqlalchemy.orm import Mapped, mapped_column

from plugin.kernel.db import Base, TenantRow


class Event(TenantRow, Base):
    """One thing that happened. `store_id` is the store it came from, so that store's redaction takes it along."""

    __tablename__ = "events"
    __table_args__ = (
        Index(None, "workspace_id", "customer_id", "at", "id"),
        Index(None, "workspace_id", "kind", "at"),
        Index(None, "workspace_id", "subject_id"),
        Index(None, "workspace_id", "store_id"),
    )

    kind: Mapped[str]
    subject_id: Mapped[UUID]
    store_id: Mapped[UUID | None]
    customer_id: Mapped[UUID | None]
    actor: Mapped[str]
    data: Mapped[dict[str, Any]]
    at: Mapped[datetime] = mapped_column(server_default=func.now())
