"""Open carts and checkouts."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from plugin.kernel.db import Base, TenantRow, tenant_key


class Cart(TenantRow, Base):
    """A cart or checkout (`kind`) with its lines as the store sent them; `token` joins it with a visitor."""

    __tablename__ = "carts"
    __table_args__ = (
        UniqueConstraint("workspace_id", "store_id", "kind", "external_id"),
        Index(None, "workspace_id", "customer_id", "version"),
        Index(None, "workspace_id", "store_id", "token"),
        tenant_key("store_id", "stores"),
        tenant_key("customer_id", "customers", ondelete="RESTRICT"),
    )

    store_id: Mapped[UUID]
    kind: Mapped[str]
    external_id: Mapped[str]
    version: Mapped[datetime]
    customer_id: Mapped[UUID | None]
    token: Mapped[str] = mapped_column(server_default="")
    email: Mapped[str] = mapped_column(server_default="")
    phone: Mapped[str] = mapped_column(server_default="")
    currency: Mapped[str] = mapped_column(server_default="")
    exponent: Mapped[int] = mapped_column(server_default=text("2"))
    total: Mapped[int | None] = mapped_column(BigInteger)
    lines: Mapped[list[Any]] = mapped_column(server_default=text("'[]'"))
    recovery_url: Mapped[str] = mapped_column(server_default="")
    completed_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]
