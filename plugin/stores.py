"""Stores of a workspace: connected, asleep until the merchant comes back, or gone; and their sealed credentials."""

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import LargeBinary, UniqueConstraint, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, mapped_column

from plugin.kernel.crypto import Vault
from plugin.kernel.db import Base, Directory, Tenant, TenantRow, Tx, tenant_key
from plugin.kernel.errors import AhlanError, Conflict
from plugin.kernel.lazy import _
from plugin.kernel.personal import nobody
from plugin.platform import Connection, StoreProfile

CONNECTED = "connected"
NEEDS_REAUTH = "needs_reauth"
UNINSTALLED = "uninstalled"

RECONCILE_SECONDS = 900
HEALTH_SECONDS = 3600


class Store(TenantRow, Base):
    """One shop. `external_id` is the platform's own permanent name: the myshopify domain, the WordPress home URL."""

    __tablename__ = "stores"
    __table_args__ = (
        UniqueConstraint("workspace_id", "platform", "external_id"),
        UniqueConstraint("workspace_id", "public_key"),
        {"info": nobody("the shop itself and its merchant")},
    )

    platform: Mapped[str]
    external_id: Mapped[str]
    public_key: Mapped[str]
    name: Mapped[str]
    url: Mapped[str]
    status: Mapped[str] = mapped_column(server_default=CONNECTED)
    status_reason: Mapped[str] = mapped_column(server_default="")
    origins: Mapped[list[str]] = mapped_column(server_default=text("'[]'"))
    currency: Mapped[str] = mapped_column(server_default="")
    currency_decimals: Mapped[int | None]
    timezone: Mapped[str] = mapped_column(server_default="UTC")
    locale: Mapped[str] = mapped_column(server_default="en")
    email: Mapped[str] = mapped_column(server_default="")
    country: Mapped[str] = mapped_column(server_default="")
    profiled_at: Mapped[datetime | None]
    scopes: Mapped[list[str]] = mapped_column(server_default=text("'[]'"))
    findings: Mapped[list[Any]] = mapped_column(server_default=text("'[]'"))
    checked_at: Mapped[datetime | None]
    embed_seen_at: Mapped[datetime | None]
    # What the store's own admin said last of the embed in its theme; None where none ever did.
    embed_active: Mapped[bool | None]
    history_from: Mapped[datetime | None]
    history_limited_by: Mapped[str] = mapped_column(server_default="")
    widget: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    # `Deliveries` as plain values, as the platform told them last; empty: it never did.
    deliveries: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    installed_at: Mapped[datetime] = mapped_column(server_default=func.now())
    uninstalled_at: Mapped[datetime | None]
    # On its way into another workspace (plugin/joining): what is written to it now waits.
    moving_since: Mapped[datetime | None]

    def connection(self) -> Connection:
        """What the port needs to talk to this store."""
        return Connection(self.workspace_id, self.id, self.external_id, self.url, self.timezone, self.currency)


class Credential(Tenant, Base):
    """A sealed secret of a store. `kind` is the integration's own word: access, refresh, key, webhook, plugin."""

    __tablename__ = "store_credentials"
    __table_args__ = (tenant_key("store_id", "stores"), {"info": nobody("the shop's own secrets")})

    store_id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    # Sealed for its workspace: whoever moves the row seals it anew.
    sealed: Mapped[bytes] = mapped_column(LargeBinary, info={"sealed": "credential {kind}"})
    expires_at: Mapped[datetime | None]
    data: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())


class ConnectGrant(TenantRow, Base):
    """A store authorization under way, one-time and bound to one store address and one browser or agent."""

    __tablename__ = "connect_grants"
    __table_args__ = {"info": nobody("a merchant who connects a shop")}  # noqa: RUF012 - read once, by SQLAlchemy

    platform: Mapped[str]
    token_hash: Mapped[str]
    store_url: Mapped[str]
    data: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    state: Mapped[str] = mapped_column(server_default="open")
    reason: Mapped[str] = mapped_column(server_default="")
    expires_at: Mapped[datetime]


async def connect(tx: Tx, *, platform: str, external_id: str, profile: StoreProfile, actor: str = "system") -> Store:
    """Create or revive the store of this platform and permanent name, and start what follows an install.

    Safe to repeat: a store that is already connected gets its profile refreshed and is checked at once, as whoever
    connects it again may have lost our webhooks. Raises Conflict when another workspace has it.
    """
    store: Store | None = await tx.scalar(
        select(Store).where(Store.platform == platform, Store.external_id == external_id).with_for_update()
    )
    revived = store is None or store.status != CONNECTED
    if store is None:
        store = Store(
            platform=platform,
            external_id=external_id,
            public_key=f"st_{secrets.token_urlsafe(16)}",
            name=profile.name,
            url=profile.url,
        )
        tx.add(store)
        await tx.flush()
        await _claim_alone(tx, f"{platform}:{external_id}", store.id)
        await claim(tx, "widget", store.public_key, store.id)
    apply_profile(store, profile)
    store.status, store.status_reason, store.uninstalled_at = CONNECTED, "", None
    if revived:
        store.installed_at = await tx.scalar(select(func.now()))
        await tx.flush()
        await tx.record("store.connected", subject_id=store.id, store_id=store.id, actor=actor)
        await tx.enqueue(
            "reconcile_store",
            every=RECONCILE_SECONDS,
            delay=RECONCILE_SECONDS,
            unique=f"reconcile:{store.id}",
            store_id=store.id,
        )
        await tx.enqueue(
            "check_store", every=HEALTH_SECONDS, delay=HEALTH_SECONDS, unique=f"check:{store.id}", store_id=store.id
        )
        tx.publish("stores", {"store_id": str(store.id)})
    else:
        await tx.enqueue("check_store", unique=f"check-now:{store.id}", store_id=store.id)
    await tx.flush()
    return store


def apply_profile(store: Store, profile: StoreProfile) -> None:
    """Copy what the platform says about the store."""
    store.name = profile.name or store.name
    store.url = profile.url or store.url
    store.origins = sorted(set(profile.origins))
    store.currency = profile.currency
    store.currency_decimals = profile.currency_decimals
    store.timezone = profile.timezone or "UTC"
    store.locale = profile.locale or store.locale or "en"
    store.email = profile.email
    store.country = profile.country
    store.profiled_at = datetime.now(UTC)


async def claim(tx: Tx, kind: str, key: str, store_id: UUID | None = None) -> None:
    """Point an external key at this workspace in the directory."""
    await tx.execute(
        insert(Directory)
        .values(kind=kind, key=key, workspace_id=tx.workspace_id, store_id=store_id)
        .on_conflict_do_nothing()
    )


async def _claim_alone(tx: Tx, key: str, store_id: UUID) -> None:
    """Point a store's name at this workspace unless another has it; two who try at once go one after the other."""
    await tx.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"store {key}", 0))))
    owners = await tx.scalars(text("SELECT workspace_id FROM ahlan_lookup('store', :key)"), {"key": key})
    if any(owner != tx.workspace_id for owner in owners):
        raise Conflict(
            _("This shop is connected to another workspace already."),
            _("Disconnect it there first, or sign in to that workspace."),
            code="store_taken",
        )
    await claim(tx, "store", key, store_id)


async def release(tx: Tx, kind: str, key: str) -> None:
    """Take an external key of this workspace out of the directory."""
    await tx.execute(
        delete(Directory).where(Directory.kind == kind, Directory.key == key, Directory.workspace_id == tx.workspace_id)
    )


async def get(tx: Tx, store_id: UUID) -> Store | None:
    """A store of this workspace."""
    return await tx.get(Store, store_id)


class Moving(AhlanError):
    """The store is on its way into another workspace; the same succeeds in a moment."""

    status = 503
    code = "store_moving"
    retry_after = 5


async def standing_still(tx: Tx, store_id: UUID | None) -> None:
    """Raises Moving while the store is being moved: what is written meanwhile would wait for the end of it."""
    if await tx.scalar(
        select(Store.id).where(
            Store.workspace_id == tx.workspace_id, Store.id == store_id, Store.moving_since.is_not(None)
        )
    ):
        raise Moving(
            _("This shop is being moved to another workspace right now."), _("Try again in a minute; nothing is lost.")
        )


async def held(tx: Tx, store_id: UUID) -> Store | None:
    """The store, kept where it is until the end of the transaction: nobody moves it meanwhile."""
    statement = select(Store).where(Store.workspace_id == tx.workspace_id, Store.id == store_id)
    found: Store | None = await tx.scalar(
        statement.with_for_update(read=True, key_share=True).execution_options(populate_existing=True)
    )
    return found


async def to_change(tx: Tx, store_id: UUID) -> Store | None:
    """The store, ours alone to change until the end of the transaction, while others go on writing rows that name it.

    For who has the workspace's turn (`plugin/crm/batch.lock`) already: who has the store `held` may wait for that.
    """
    statement = select(Store).where(Store.workspace_id == tx.workspace_id, Store.id == store_id)
    found: Store | None = await tx.scalar(
        statement.with_for_update(key_share=True).execution_options(populate_existing=True)
    )
    return found


async def all_stores(tx: Tx) -> Sequence[Store]:
    """Every store of the workspace, oldest first, also those that are gone."""
    return list(await tx.scalars(select(Store).order_by(Store.id)))


async def uninstalled(tx: Tx, store: Store, at: datetime) -> bool:
    """Mark the store as gone and stop its jobs; its data stays for the redaction window.

    Returns False for a notice that is older than the latest install: it belongs to an earlier life.
    """
    if store.status == UNINSTALLED or at < store.installed_at:
        return False
    store.status, store.uninstalled_at = UNINSTALLED, at
    # The theme lost our block with the app; who comes back has to switch it on again.
    store.embed_active = store.embed_seen_at = None
    await tx.execute(delete(Credential).where(Credential.store_id == store.id))
    await stop_jobs(tx, store.id)
    await tx.record("store.uninstalled", subject_id=store.id, store_id=store.id, at=at)
    await watch(tx, store.id)
    tx.publish("stores", {"store_id": str(store.id)})
    return True


async def watch(tx: Tx, store_id: UUID, *, delay: float = 0) -> None:
    """Have the store's health looked at after commit, `delay` seconds later; asked often, it is done once."""
    await tx.enqueue("watch_store", delay=delay, unique=f"watch:{store_id}", store_id=store_id)


async def stop_jobs(tx: Tx, store_id: UUID) -> None:
    """End the recurring work of a store."""
    await tx.execute(
        text(
            "UPDATE jobs SET done_at = now() WHERE workspace_id = :workspace AND done_at IS NULL "
            "AND every IS NOT NULL AND arguments ->> 'store_id' = :store"
        ),
        {"workspace": tx.workspace_id, "store": str(store_id)},
    )


async def needs_reauth(tx: Tx, store_id: UUID, reason: str) -> None:
    """The platform refuses our credentials: pause and ask the merchant; webhooks keep flowing in."""
    changed = await tx.scalar(
        update(Store)
        .where(Store.workspace_id == tx.workspace_id, Store.id == store_id, Store.status == CONNECTED)
        .values(status=NEEDS_REAUTH, status_reason=reason)
        .returning(Store.id)
    )
    if changed:
        await tx.record("store.needs_reauth", subject_id=store_id, store_id=store_id, data={"reason": reason})
        await watch(tx, store_id)
        tx.publish("stores", {"store_id": str(store_id)})


async def embed_told(tx: Tx, store_id: UUID, active: bool) -> None:
    """The store's admin says whether the chat is switched on in its theme; news is checked and shown at once."""
    changed = await tx.scalar(
        update(Store)
        .where(Store.workspace_id == tx.workspace_id, Store.id == store_id)
        .where(Store.embed_active.is_distinct_from(active))
        .values(embed_active=active)
        .returning(Store.id)
    )
    if changed:
        await tx.enqueue("check_store", unique=f"check-now:{store_id}", store_id=store_id)
        tx.publish("stores", {"store_id": str(store_id)})


async def put_credential(
    tx: Tx,
    vault: Vault,
    store_id: UUID,
    kind: str,
    secret: str,
    *,
    expires_at: datetime | None = None,
    data: dict[str, Any] | None = None,
) -> None:
    """Seal and store a secret, replacing the one of the same kind."""
    sealed = await vault.encrypt(tx, secret, f"credential {kind}")
    values = {"sealed": sealed, "expires_at": expires_at, "data": data or {}, "updated_at": func.now()}
    await tx.execute(
        insert(Credential)
        .values(workspace_id=tx.workspace_id, store_id=store_id, kind=kind, **values)
        .on_conflict_do_update(index_elements=["workspace_id", "store_id", "kind"], set_=values)
    )


async def credential(
    tx: Tx, vault: Vault, store_id: UUID, kind: str, *, lock: bool = False
) -> tuple[str, Credential] | None:
    """The opened secret and its row, or None; `lock` makes this transaction its one writer."""
    statement = select(Credential).where(Credential.store_id == store_id, Credential.kind == kind)
    if lock:
        statement = statement.with_for_update().execution_options(populate_existing=True)
    row = await tx.scalar(statement)
    if row is None:
        return None
    return await vault.decrypt(tx, row.sealed, f"credential {kind}"), row
