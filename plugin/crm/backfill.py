"""Backfill: a store's history, page by page, with a checkpoint after each, so that it resumes where it stopped."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from plugin.kernel.db import Base, TenantRow, tenant_key


class Backfill(TenantRow, Base):
    """Progress of one resource of one store. `state`: running, done, failed; `cursor` is the platform's own."""

    __tablename__ = "backfills"
    __table_args__ = (
        UniqueConstraint("workspace_id", "store_id", "resource"),
        tenant_key("store_id", "stores"),
    )

    store_id: Mapped[UUID]
    resource: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="running")
    cursor: Mapped[str | None]
    done_count: Mapped[int] = mapped_column(server_default=text("0"))
    total: Mapped[int | None]
    limited_before: Mapped[datetime | None]
    limited_by: Mapped[str] = mapped_column(server_default="")
    last_error: Mapped[str] = mapped_column(server_default="")
    started_at: Mapped[datetime] = mapped_column(server_default=func.now())
    finished_at: Mapped[datetime | None]
