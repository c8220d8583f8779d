"""The catalogue, as far as support needs it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from plugin.kernel.db import Base, TenantRow, tenant_key


class Product(TenantRow, Base):
    """A product of one store."""

    __tablename__ = "products"
    __table_args__ = (
        UniqueConstraint("workspace_id", "store_id", "external_id"),
        tenant_key("store_id", "stores"),
    )

    store_id: Mapped[UUID]
    external_id: Mapped[str]
    version: Mapped[datetime]
    title: Mapped[str]
    status: Mapped[str]
    url: Mapped[str] = mapped_column(server_default="")
    image_url: Mapped[str] = mapped_column(server_default="")
    description: Mapped[str] = mapped_column(server_default="")
    vendor: Mapped[str] = mapped_column(server_default="")
    product_type: Mapped[str] = mapped_column(server_default="")
    tags: Mapped[list[str]] = mapped_column(server_default=text("'[]'"))
    raw: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    deleted_at: Mapped[datetime | None]


class Variant(TenantRow, Base):
    """What can be bought."""

    __tablename__ = "variants"
    __table_args__ = (
        UniqueConstraint("workspace_id", "store_id", "external_id"),
        tenant_key("product_id", "products"),
    )

    store_id: Mapped[UUID]
    external_id: Mapped[str]
    product_id: Mapped[UUID]
    title: Mapped[str]
    sku: Mapped[str] = mapped_column(server_default="")
    price: Mapped[int | None] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(server_default="")
    exponent: Mapped[int] = mapped_column(server_default=text("2"))
    stock: Mapped[int | None]
    available: Mapped[bool] = mapped_column(server_default=text("true"))
