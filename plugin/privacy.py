"""Privacy: who read whose data, what must be erased, what has been kept long enough."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from plugin.kernel.db import Base, TenantRow


class AccessLog(TenantRow, Base):
    """An agent opened a customer's data."""

    __tablename__ = "access_log"
    __table_args__ = (Index(None, "workspace_id", "customer_id", "created_at"),)

    agent_id: Mapped[UUID]
    customer_id: Mapped[UUID]
    what: Mapped[str]
    request_id: Mapped[str] = mapped_column(server_default="")


class PrivacyRequest(TenantRow, Base):
    """A data request or redaction that a platform or a person asked for, and the evidence that it was done."""

    __tablename__ = "privacy_requests"

    store_id: Mapped[UUID | None]
    kind: Mapped[str]
    subject: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(server_default="open")
    result: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    due_at: Mapped[datetime]
    done_at: Mapped[datetime | None]
