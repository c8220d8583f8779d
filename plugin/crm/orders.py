"""Orders with lines, parcels and refunds, as the stores tell us."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from plugin.kernel.db import Base, TenantRow, tenant_key


class Order(TenantRow, Base):
    """An order. Amounts are minor units of `currency` with `exponent` decimals; `version` is the platform's updated_at."""

    __tablename__ = "orders"
    __table_args__ = (
        UniqueConstraint("workspace_id", "store_id", "external_id"),
        Index(None, "workspace_id", "customer_id", "placed_at"),
        Index(None, "workspace_id", "number"),
        tenant_key("store_id", "stores"),
        tenant_key("customer_id", "customers", ondelete="RESTRICT"),
    )

    store_id: Mapped[UUID]
    external_id: Mapped[str]
    version: Mapped[datetime]
    customer_id: Mapped[UUID | None]
    name: Mapped[str]
    number: Mapped[str]
    placed_at: Mapped[datetime]
    status: Mapped[str]
    payment_status: Mapped[str]
    fulfilment_status: Mapped[str]
    cancelled_at: Mapped[datetime | None]
    currency: Mapped[str]
    exponent: Mapped[int]
    total: Mapped[int] = mapped_column(BigInteger)
    subtotal: Mapped[int | None] = mapped_column(BigInteger)
    shipping_total: Mapped[int | None] = mapped_column(BigInteger)
    discount_total: Mapped[int | None] = mapped_column(BigInteger)
    tax_total: Mapped[int | None] = mapped_column(BigInteger)
    refunded: Mapped[int | None] = mapped_column(BigInteger)
    customer_external_id: Mapped[str] = mapped_column(server_default="")
    email: Mapped[str] = mapped_column(server_default="")
    phone: Mapped[str] = mapped_column(server_default="")
    customer_name: Mapped[str] = mapped_column(server_default="")
    payment_method: Mapped[str] = mapped_column(server_default="")
    note: Mapped[str] = mapped_column(server_default="")
    tags: Mapped[list[str]] = mapped_column(server_default=text("'[]'"))
    shipping_address: Mapped[dict[str, Any] | None]
    cart_token: Mapped[str] = mapped_column(server_default="")
    status_url: Mapped[str] = mapped_column(server_default="")
    raw: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    deleted_at: Mapped[datetime | None]


class OrderLine(TenantRow, Base):
    """A line of an order. A payload with fewer lines than stored never deletes lines."""

    __tablename__ = "order_lines"
    __table_args__ = (
        UniqueConstraint("workspace_id", "order_id", "external_id"),
        tenant_key("order_id", "orders"),
    )

    order_id: Mapped[UUID]
    store_id: Mapped[UUID]
    external_id: Mapped[str]
    position: Mapped[int]
    title: Mapped[str]
    variant_title: Mapped[str] = mapped_column(server_default="")
    sku: Mapped[str] = mapped_column(server_default="")
    quantity: Mapped[int]
    unit_price: Mapped[int | None] = mapped_column(BigInteger)
    product_external_id: Mapped[str] = mapped_column(server_default="")
    variant_external_id: Mapped[str] = mapped_column(server_default="")
    image_url: Mapped[str] = mapped_column(server_default="")
    refunded_quantity: Mapped[int] = mapped_column(server_default=text("0"))


class Fulfilment(TenantRow, Base):
    """A parcel with its tracking. May arrive before its order: then `order_id` is filled when the order comes."""

    __tablename__ = "fulfilments"
    __table_args__ = (
        UniqueConstraint("workspace_id", "store_id", "external_id"),
        Index(None, "workspace_id", "order_id"),
        Index(None, "workspace_id", "store_id", "order_external_id"),
        tenant_key("order_id", "orders"),
    )

    store_id: Mapped[UUID]
    external_id: Mapped[str]
    order_id: Mapped[UUID | None]
    order_external_id: Mapped[str]
    version: Mapped[datetime]
    status: Mapped[str]
    tracking_number: Mapped[str] = mapped_column(server_default="")
    tracking_url: Mapped[str] = mapped_column(server_default="")
    carrier: Mapped[str] = mapped_column(server_default="")
    shipped_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]


class Refund(TenantRow, Base):
    """Money given back on the store. May arrive before its order, as a parcel may."""

    __tablename__ = "refunds"
    __table_args__ = (
        UniqueConstraint("workspace_id", "store_id", "external_id"),
        Index(None, "workspace_id", "order_id"),
        Index(None, "workspace_id", "store_id", "order_external_id"),
        tenant_key("order_id", "orders"),
    )

    store_id: Mapped[UUID]
    external_id: Mapped[str]
    order_id: Mapped[UUID | None]
    order_external_id: Mapped[str]
    amount: Mapped[int | None] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(server_default="")
    exponent: Mapped[int] = mapped_column(server_default=text("2"))
    reason: Mapped[str] = mapped_column(server_default="")
    at: Mapped[datetime | None]


class Tombstone(TenantRow, Base):
    """What the platform deleted, so that an older update that comes later cannot bring it back."""

    __tablename__ = "tombstones"
    __table_args__ = (
        UniqueConstraint("workspace_id", "store_id", "resource", "external_id"),
        tenant_key("store_id", "stores"),
    )

    store_id: Mapped[UUID]
    resource: Mapped[str]
    external_id: Mapped[str]
    version: Mapped[datetime]
