"""Visitors: browsers on a storefront, known by a secret that only that browser holds."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import LargeBinary, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from plugin.kernel.db import Base, TenantRow, tenant_key


class Visitor(TenantRow, Base):
    """One browser on one store. `customer_id` is set when the store's signed identity, or a code, proved who it is."""

    __tablename__ = "visitors"
    __table_args__ = (
        UniqueConstraint("workspace_id", "secret_hash"),
        tenant_key("store_id", "stores"),
        tenant_key("customer_id", "customers", ondelete="RESTRICT"),
    )

    store_id: Mapped[UUID]
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary)
    customer_id: Mapped[UUID | None]
    identified_at: Mapped[datetime | None]
    typed_email: Mapped[str] = mapped_column(server_default="")
    typed_name: Mapped[str] = mapped_column(server_default="")
    locale: Mapped[str] = mapped_column(server_default="")
    page: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    cart_token: Mapped[str] = mapped_column(server_default="")
    last_seen_at: Mapped[datetime] = mapped_column(server_default=func.now())
