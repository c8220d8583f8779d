"""Visitors: browsers on a storefront, known by a secret that only that browser holds."""

import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Index, LargeBinary, Table, UniqueConstraint, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, mapped_column

from plugin.kernel.db import Base, TenantRow, Tx, new_id, tenant_key
from plugin.kernel.text import normalise_email
from plugin.stores import Store


class Visitor(TenantRow, Base):
    """One browser on one store. `customer_id` is set when the store's signed identity, or a code, proved who it is.

    `signed_in_until`: they signed in here themselves, with their account at the shop; until then no page of the
    storefront has to say so once more.
    """

    __tablename__ = "visitors"
    __table_args__ = (
        UniqueConstraint("workspace_id", "secret_hash"),
        Index(None, "workspace_id", "customer_id"),
        Index(None, "workspace_id", "store_id", "last_seen_at"),
        tenant_key("store_id", "stores"),
        tenant_key("customer_id", "customers", ondelete="RESTRICT"),
    )

    store_id: Mapped[UUID]
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary)
    customer_id: Mapped[UUID | None]
    identified_at: Mapped[datetime | None]
    signed_in_until: Mapped[datetime | None]
    typed_email: Mapped[str] = mapped_column(server_default="")
    typed_name: Mapped[str] = mapped_column(server_default="")
    locale: Mapped[str] = mapped_column(server_default="")
    page: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    cart_token: Mapped[str] = mapped_column(server_default="")
    last_seen_at: Mapped[datetime] = mapped_column(server_default=func.now())


SIGNED_IN = timedelta(hours=24)
"""As long as whoever gave an order's code may see it."""
_PREFIX = "vs_"


def new_secret() -> str:
    """A secret for a new browser: 256 random bits."""
    return _PREFIX + secrets.token_urlsafe(32)


def hash_of(secret: str) -> bytes:
    """What is stored of a visitor's secret. Plain SHA-256 is enough for 256 random bits."""
    return hashlib.sha256(secret.encode()).digest()


async def open_visitor(
    tx: Tx,
    store: Store,
    secret: str | None,
    *,
    locale: str = "",
    page: dict[str, Any] | None = None,
    cart_token: str = "",
    issued: bool = False,
) -> tuple[Visitor, str]:
    """The browser with this secret on this store, or a new one: (visitor, its secret).

    A secret of another store, a made-up one or none opens a new visitor with a new secret: nobody chooses their own.
    `issued`: we gave it to a browser that only looked around, of which no row was kept.
    """
    visitor = await by_secret(tx, store.id, secret) if secret else None
    if visitor is None and issued and secret:
        visitor = await meet(tx, store.id, hash_of(secret))
    if visitor is None or secret is None:
        secret = new_secret()
        visitor = Visitor(id=new_id(), store_id=store.id, secret_hash=hash_of(secret))
        tx.add(visitor)
    visitor.last_seen_at = datetime.now(UTC)
    visitor.locale = locale or visitor.locale or ""
    visitor.page = page if page is not None else visitor.page or {}
    visitor.cart_token = cart_token or visitor.cart_token or ""
    await tx.flush()
    return visitor, secret


async def meet(tx: Tx, store_id: UUID, secret_hash: bytes) -> Visitor:
    """The visitor whose secret has this hash, kept from now on. Two who ask at once get the same one."""
    table = cast(Table, Visitor.__table__)
    await tx.execute(
        insert(table)
        .values(workspace_id=tx.workspace_id, id=new_id(), store_id=store_id, secret_hash=secret_hash)
        .on_conflict_do_nothing()
    )
    found: Visitor = (
        await tx.scalars(
            select(Visitor).where(Visitor.workspace_id == tx.workspace_id, Visitor.secret_hash == secret_hash)
        )
    ).one()
    return found


async def by_secret(tx: Tx, store_id: UUID, secret: str) -> Visitor | None:
    """The visitor whose browser holds this secret, on this store."""
    if not secret.startswith(_PREFIX) or len(secret) > 200:
        return None
    found: Visitor | None = await tx.scalar(
        select(Visitor).where(
            Visitor.workspace_id == tx.workspace_id,
            Visitor.secret_hash == hash_of(secret),
            Visitor.store_id == store_id,
        )
    )
    return found


async def identify(tx: Tx, visitor: Visitor, customer_id: UUID) -> bool:
    """The store's signature, or a code, says who this browser is. False when it is somebody else's already.

    A browser that signs in as another person must become a new visitor (`open_visitor` without a secret): what the
    first one said there is not for the second.
    """
    if visitor.customer_id is not None:
        return visitor.customer_id == customer_id
    visitor.customer_id, visitor.identified_at = customer_id, datetime.now(UTC)
    await tx.flush()
    await tx.record(
        "visitor.identified",
        subject_id=visitor.id,
        store_id=visitor.store_id,
        customer_id=customer_id,
        actor=f"shopper:{visitor.id}",
    )
    return True


async def sign_in(tx: Tx, visitor: Visitor, customer_id: UUID) -> None:
    """They signed in with their account at the shop: good for `SIGNED_IN`, by the database's clock.

    Raises ValueError for a browser that is somebody else's already.
    """
    if not await identify(tx, visitor, customer_id):
        raise ValueError("this browser is somebody else's")
    visitor.identified_at = datetime.now(UTC)
    visitor.signed_in_until = await tx.scalar(select(func.now() + SIGNED_IN))
    await tx.flush()


async def sign_out(tx: Tx, visitor: Visitor) -> None:
    """They leave: whoever comes next in this browser is new."""
    visitor.signed_in_until = visitor.identified_at = None
    await tx.flush()


async def signed_in(tx: Tx, visitor: Visitor) -> UUID | None:
    """The customer who signed in here themselves, while that is good."""
    found: UUID | None = await tx.scalar(
        select(Visitor.customer_id).where(
            Visitor.workspace_id == tx.workspace_id,
            Visitor.id == visitor.id,
            Visitor.signed_in_until > func.now(),
        )
    )
    return found


async def typed_email(tx: Tx, visitor: Visitor, email: str, name: str = "") -> bool:
    """Keep the address somebody typed, to answer to; it is unverified and joins nobody. False when it is none."""
    address = normalise_email(email)
    if address is None:
        return False
    visitor.typed_email = address
    visitor.typed_name = name.strip()[:200] or visitor.typed_name or ""
    await tx.flush()
    return True
