"""Requests: what a platform or a person asked for, by when it must be done, and the evidence that it was."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Index, UniqueConstraint, select
from sqlalchemy.orm import Mapped, mapped_column

from plugin.kernel import bulk
from plugin.kernel.db import Base, TenantRow, Tx, new_id
from plugin.kernel.personal import kept
from plugin.stores import Store
from plugin.team import Agent

DATA_REQUEST = "data_request"
CUSTOMER_REDACT = "customer_redact"
SHOP_REDACT = "shop_redact"

OPEN = "open"
READY = "ready"
DONE = "done"
SKIPPED = "skipped"

# Shopify: "within 30 days" (https://shopify.dev/docs/apps/build/compliance/privacy-law-compliance).
DEADLINE = timedelta(days=30)
_TASKS = {DATA_REQUEST: "data_request", CUSTOMER_REDACT: "redact_customer", SHOP_REDACT: "redact_store"}


class PrivacyRequest(TenantRow, Base):
    """A data request or redaction that a platform or a person asked for, and the evidence that it was done.

    `kind`: data_request, customer_redact, shop_redact. `state`: open, ready (an export waits to be handed over), done,
    skipped. `result` counts what was erased, or holds the export and its `people` until it is handed over.
    `fingerprint` tells a repeated notice from a new one.
    """

    __tablename__ = "privacy_requests"
    __table_args__ = (
        UniqueConstraint("workspace_id", "fingerprint"),
        Index(None, "workspace_id", "state", "due_at"),
        {
            "info": kept(
                "the evidence that it was done",
                blank=("subject", "result"),
                plain=("kind", "fingerprint", "state"),
            )
        },
    )

    store_id: Mapped[UUID | None]
    kind: Mapped[str]
    fingerprint: Mapped[str]
    subject: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(server_default=OPEN)
    result: Mapped[dict[str, Any]]
    asked_at: Mapped[datetime]
    due_at: Mapped[datetime]
    done_at: Mapped[datetime | None]


async def receive(tx: Tx, store: Store, kind: str, data: Mapping[str, Any], at: datetime) -> bool:
    """Take a platform's compliance notice: a row with its deadline, and the job that does it. False: known already.

    `data` is the notice as the port tells it (`StoreNotice`): `customer_external_id`, `email`, `phone`, `orders` (their
    external ids) and `request_id`; each may be missing.
    """
    subject = {
        "customer_id": str(data.get("customer_external_id") or ""),
        "email": str(data.get("email") or ""),
        "phone": str(data.get("phone") or ""),
        "orders": [str(order) for order in data.get("orders") or ()],
        "request": str(data.get("request_id") or ""),
    }
    return await request(tx, kind, store.id, subject, at)


async def request(tx: Tx, kind: str, store_id: UUID, subject: Mapping[str, Any], at: datetime) -> bool:
    """Open a request about a person or a whole store; the same one asked twice is one."""
    asked = subject.get("request") or at.isoformat()
    asked_for = f"{kind}:{store_id}:{subject.get('customer_id', '')}:{subject.get('email', '')}:{asked}"
    # Hashed: the row outlives the person's data as evidence.
    fingerprint = hashlib.sha256(asked_for.encode()).hexdigest()
    id = new_id()
    written = await bulk.insert(
        tx,
        PrivacyRequest,
        [
            {"id": id, "store_id": store_id, "kind": kind, "fingerprint": fingerprint, "subject": subject,
             "result": {}, "asked_at": at, "due_at": at + DEADLINE}
        ],
        key=("fingerprint",),
        update=(),
        returning=("id",),
    )  # fmt: skip
    if not written:
        return False
    await tx.record(f"privacy.{kind}", subject_id=id, store_id=store_id, data={"due_at": (at + DEADLINE).isoformat()})
    await tx.enqueue(_TASKS[kind], request_id=id)
    return True


async def open_requests(tx: Tx) -> Sequence[PrivacyRequest]:
    """What waits for us or for the merchant, the most urgent first."""
    return list(
        await tx.scalars(
            select(PrivacyRequest)
            .where(PrivacyRequest.workspace_id == tx.workspace_id, PrivacyRequest.state.in_([OPEN, READY]))
            .order_by(PrivacyRequest.due_at, PrivacyRequest.id)
        )
    )


async def settled_requests(tx: Tx, limit: int) -> Sequence[PrivacyRequest]:
    """What was done or fell away, the latest first: the evidence."""
    return list(
        await tx.scalars(
            select(PrivacyRequest)
            .where(PrivacyRequest.workspace_id == tx.workspace_id, PrivacyRequest.state.in_([DONE, SKIPPED]))
            .order_by(PrivacyRequest.done_at.desc(), PrivacyRequest.id)
            .limit(limit)
        )
    )


async def handed_over(tx: Tx, request_id: UUID, agent: Agent) -> bool:
    """The merchant gave the export to the shopper: it is deleted here, the evidence stays. False: none was waiting."""
    row = await tx.get(PrivacyRequest, request_id, lock=True)
    if row is None or row.state != READY:
        return False
    settle(row, DONE, {"counts": row.result.get("counts", {}), "handed_over_by": str(agent.id)})
    return True


async def fetched(tx: Tx, request_id: UUID, *, by: str) -> Mapping[str, Any] | None:
    """The export, taken by the shop's own system, which hands it on: our copy is deleted, the evidence stays.

    `by` names that system in the evidence. None: no export was waiting.
    """
    row = await tx.get(PrivacyRequest, request_id, lock=True)
    if row is None or row.state != READY:
        return None
    export: Mapping[str, Any] = row.result.get("export") or {}
    settle(row, DONE, {"counts": row.result.get("counts", {}), "handed_over_by": by})
    return export


def settle(row: PrivacyRequest, state: str, result: Mapping[str, Any]) -> None:
    """Close a request: what names or reaches the person goes, the platform's own numbers stay as evidence."""
    row.state, row.done_at, row.result = state, datetime.now(UTC), dict(result)
    said = {name: str(row.subject.get(name) or "") for name in ("customer_id", "request")}
    # A guest's number is the address that they were known by.
    row.subject = {name: "" if "@" in value or value.startswith("guest:") else value for name, value in said.items()}
