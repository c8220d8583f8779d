"""Privacy: who read whose data, what must be erased or handed out and by when, what has been kept long enough."""

# ruff: noqa: S608 (statements are put together from constants only; values are bound)

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import structlog
from sqlalchemy import Index, UniqueConstraint, select, text
from sqlalchemy.orm import Mapped, mapped_column

from plugin import stores
from plugin.app import App
from plugin.crm.batch import lock
from plugin.crm.identities import regroup
from plugin.crm.profiles import remove
from plugin.crm.recount import recount
from plugin.kernel import bulk
from plugin.kernel.db import Base, TenantRow, Tx, new_id
from plugin.kernel.jobs import TaskError
from plugin.kernel.log import request_id
from plugin.kernel.text import normalise_email, normalise_phone
from plugin.stores import Store
from plugin.team import Agent

log = structlog.get_logger(__name__)

DATA_REQUEST = "data_request"
CUSTOMER_REDACT = "customer_redact"
SHOP_REDACT = "shop_redact"

OPEN = "open"
READY = "ready"
DONE = "done"
SKIPPED = "skipped"

# Shopify: "within 30 days" (https://shopify.dev/docs/apps/build/compliance/privacy-law-compliance).
DEADLINE = timedelta(days=30)
# An export is personal data again: it goes when the merchant has had time to hand it over.
EXPORT_DAYS = 30
# Browsers that never wrote to us, and carts that nobody came back to.
IDLE_DAYS = 180
UNSENT_DAYS = 1
_CHUNK = 5000


class AccessLog(TenantRow, Base):
    """An agent opened a customer's data (`what`: customer, timeline, conversation, export)."""

    __tablename__ = "access_log"
    __table_args__ = (
        Index(None, "workspace_id", "customer_id", "created_at"),
        Index("ix_access_log_age", "workspace_id", "created_at"),
    )

    agent_id: Mapped[UUID]
    customer_id: Mapped[UUID]
    what: Mapped[str]
    request_id: Mapped[str] = mapped_column(server_default="")


class PrivacyRequest(TenantRow, Base):
    """A data request or redaction that a platform or a person asked for, and the evidence that it was done.

    `kind`: data_request, customer_redact, shop_redact. `state`: open, ready (an export waits to be handed over), done,
    skipped. `result` counts what was erased, or holds the export until it is handed over. `fingerprint` tells a
    repeated notice from a new one.
    """

    __tablename__ = "privacy_requests"
    __table_args__ = (
        UniqueConstraint("workspace_id", "fingerprint"),
        Index(None, "workspace_id", "state", "due_at"),
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


async def log_access(tx: Tx, agent: Agent, customer_id: UUID, what: str) -> None:
    """Note that an agent read a customer's data; in the transaction that reads it."""
    tx.add(AccessLog(id=new_id(), agent_id=agent.id, customer_id=customer_id, what=what,
                     request_id=request_id.get() or ""))  # fmt: skip


# Requests


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
    task = {DATA_REQUEST: "data_request", CUSTOMER_REDACT: "redact_customer", SHOP_REDACT: "redact_store"}[kind]
    await tx.enqueue(task, request_id=id)
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
    row.state, row.done_at = DONE, datetime.now(UTC)
    row.result = {"counts": row.result.get("counts", {}), "handed_over_by": str(agent.id)}
    row.subject = _evidence(row.subject)
    return True


def _evidence(subject: Mapping[str, Any]) -> dict[str, Any]:
    """Whose request it was, in the platform's own numbers: what names or reaches the person goes with the rest."""
    return {name: subject.get(name, "") for name in ("customer_id", "request")}


# The people a request is about


# A notice may say 7 where our id is a path that ends in it.
_ENDS = "right('/' || {0}, length({1}) + 1) = '/' || {1}"
_IS_ACCOUNT = f":account <> '' AND {_ENDS.format('p.external_id', ':account')}"


async def _subjects(tx: Tx, store_id: UUID, subject: Mapping[str, Any], country: str) -> list[UUID]:
    """Customer rows of one store whom a request names: by account, and by e-mail or phone where it knows no other.

    A notice may carry only an id or only an address (platforms.md A2.9), and a guest has no account: all are matched.
    But one that names an account reaches no other account: two may share a number, and a shopper who is signed in may
    order with anybody's address.
    """
    handles = [value for value in (
        normalise_email(subject.get("email", "")),
        normalise_phone(subject.get("phone", ""), country or None) if subject.get("phone") else None,
    ) if value]  # fmt: skip
    account = str(subject.get("customer_id") or "")
    rows = await tx.scalars(
        text(
            "SELECT p.customer_id FROM store_customers p WHERE p.workspace_id = :workspace AND p.store_id = :store "
            f"AND {_IS_ACCOUNT} "
            "UNION SELECT f.customer_id FROM ("
            "SELECT i.customer_id FROM identities i WHERE i.workspace_id = :workspace AND i.store_id = :store "
            "AND i.value = ANY(CAST(:handles AS text[])) AND i.proven_at IS NOT NULL "
            "UNION SELECT o.customer_id FROM orders o WHERE o.workspace_id = :workspace AND o.store_id = :store "
            "AND o.customer_id IS NOT NULL AND lower(o.email) = ANY(CAST(:handles AS text[]))) f "
            "WHERE :account = '' OR NOT EXISTS (SELECT 1 FROM store_customers other "
            "WHERE other.workspace_id = :workspace AND other.store_id = :store "
            "AND other.customer_id = f.customer_id AND NOT starts_with(other.external_id, 'guest:'))"
        ),
        {"workspace": tx.workspace_id, "store": store_id, "account": account, "handles": handles},
    )
    return list(rows)


async def redact_customer(app: App, workspace_id: UUID, *, request_id: str) -> None:
    """Task: erase one person's share of one store: profile, handles, carts, chats, files; orders lose the person.

    Orders keep their lines and amounts, which are the merchant's books and name nobody any more. What other stores
    know of the same person stays, and the person is computed again from that.
    """
    async with app.db.transaction(workspace_id) as tx:
        await lock(tx)
        row = await tx.get(PrivacyRequest, UUID(request_id), lock=True)
        if row is None or row.state != OPEN or row.store_id is None:
            return
        store = await stores.get(tx, row.store_id)
        country = store.country if store is not None else ""
        people = await _subjects(tx, row.store_id, row.subject, country)
        counts = await _erase(tx, row.store_id, people, row.subject, row.asked_at)
        row.state, row.done_at, row.result = DONE, datetime.now(UTC), {"counts": counts}
        row.subject = _evidence(row.subject)
        await tx.record("privacy.redacted", subject_id=row.id, store_id=row.store_id, data={"counts": counts})
        await tx.complete_job()


async def redact_store(app: App, workspace_id: UUID, *, request_id: str) -> None:
    """Task: erase everything that came from one store; the store's row stays as the evidence's address.

    Skipped when the store was installed again meanwhile (platforms.md A2.9).
    """
    async with app.db.transaction(workspace_id) as tx:
        await lock(tx)
        row = await tx.get(PrivacyRequest, UUID(request_id), lock=True)
        if row is None or row.state != OPEN or row.store_id is None:
            return
        store = await tx.get(Store, row.store_id, lock=True)
        if store is None or store.status != stores.UNINSTALLED:
            row.state, row.done_at, row.result = SKIPPED, datetime.now(UTC), {"reason": "the store is connected again"}
            await tx.complete_job()
            return
        people = list(await tx.scalars(text(_STORE_PEOPLE), _about(tx, store.id)))
        counts = await _erase_store(tx, store.id, people)
        store.email, store.findings, store.widget = "", [], {}
        row.state, row.done_at, row.result = DONE, datetime.now(UTC), {"counts": counts}
        await tx.record("privacy.redacted", subject_id=row.id, store_id=None, data={"counts": counts})
        await tx.complete_job()


def _about(tx: Tx, store_id: UUID, **parameters: Any) -> dict[str, Any]:
    return {"workspace": tx.workspace_id, "store": store_id, **parameters}


# Rows that exist only because this store knew somebody.
_STORE_PEOPLE = """
SELECT customer_id FROM store_customers WHERE workspace_id = :workspace AND store_id = :store
UNION SELECT customer_id FROM identities WHERE workspace_id = :workspace AND store_id = :store
"""

_OF_STORE = "workspace_id = :workspace AND store_id = :store"
_OF_PEOPLE = f"{_OF_STORE} AND customer_id = ANY(CAST(:ids AS uuid[]))"

# Conversations go with their messages, and those with their files (foreign keys); then what pointed at people.
_TALKS = (
    "SELECT id FROM conversations WHERE {which} OR (workspace_id = :workspace AND visitor_id IN "
    "(SELECT id FROM visitors WHERE {which}))"
)


async def _erase_store(tx: Tx, store_id: UUID, people: Sequence[UUID]) -> dict[str, int]:
    parameters = _about(tx, store_id)
    counts = await _erase_talks(tx, parameters, _OF_STORE)
    for table in (
        "attachments", "carts", "visitors", "order_lines", "fulfilments", "refunds", "order_returns", "orders",
        "variants", "products", "identities", "store_customers", "tombstones", "backfills", "reconciliations",
        "incidents", "events", "store_credentials", "staff_identities",
    ):  # fmt: skip
        counts[table] = await _run(tx, f"DELETE FROM {table} WHERE {_OF_STORE}", parameters)
    counts["webhook_inbox"] = await _run(
        tx, f"UPDATE webhook_inbox SET body = '', headers = '{{}}' WHERE {_OF_STORE} AND body <> ''", parameters
    )
    counts["privacy_requests"] = await _run(tx, _CLOSE_REQUESTS, parameters)
    counts["customers"] = await _drop_empty(tx, people)
    return counts


# There is nothing left to collect or to erase, nor a copy to hand over.
_CLOSE_REQUESTS = f"""
UPDATE privacy_requests SET subject = '{{}}', result = result - 'export', done_at = coalesce(done_at, now()),
    state = CASE WHEN state NOT IN ('open', 'ready') THEN state WHEN kind = 'data_request' THEN 'skipped'
        ELSE 'done' END
WHERE {_OF_STORE}
"""


async def _erase(
    tx: Tx, store_id: UUID, people: Sequence[UUID], subject: Mapping[str, Any], at: datetime
) -> dict[str, int]:
    parameters = _about(tx, store_id, ids=list(people), at=at)
    counts = await _erase_talks(tx, parameters, _OF_PEOPLE)
    await _bury_accounts(tx, parameters)
    parameters["orders"] = [str(order) for order in subject.get("orders") or ()]
    parameters["words"] = await _spoken(tx, parameters, subject)
    counts["webhook_inbox"] = await _run(tx, _BLANK_INBOX, parameters)
    counts["orders"] = await _run(tx, _ANONYMISE_ORDERS, parameters)
    for table in ("carts", "visitors", "identities", "events"):
        counts[table] = await _run(tx, f"DELETE FROM {table} WHERE {_OF_PEOPLE}", parameters)
    counts["store_customers"] = await _run(tx, f"DELETE FROM store_customers WHERE {_OF_PEOPLE}", parameters)
    counts["customers"] = await _drop_empty(tx, people)
    return counts


async def _erase_talks(tx: Tx, parameters: Mapping[str, Any], which: str) -> dict[str, int]:
    """Conversations with all they hold. A person's are also those that their browser began before it was known."""
    ids = list(await tx.scalars(text(_TALKS.format(which=which)), parameters))
    about = {"workspace": parameters["workspace"], "talks": ids}
    mine = "workspace_id = :workspace AND {} = ANY(CAST(:talks AS uuid[]))"
    return {
        "attachments_of_talks": await _run(
            tx, f"DELETE FROM attachments WHERE {mine.format('conversation_id')}", about
        ),
        "messages": await _run(tx, f"DELETE FROM messages WHERE {mine.format('conversation_id')}", about),
        "talk_events": await _run(tx, f"DELETE FROM events WHERE {mine.format('subject_id')}", about),
        "conversations": await _run(tx, f"DELETE FROM conversations WHERE {mine.format('id')}", about),
    }


async def _bury_accounts(tx: Tx, parameters: Mapping[str, Any]) -> None:
    """A late webhook from before the request must not bring the account back."""
    await tx.execute(
        text(
            "INSERT INTO tombstones (workspace_id, id, store_id, resource, external_id, version) "
            "SELECT workspace_id, gen_random_uuid(), store_id, 'customers', external_id, :at FROM store_customers "
            f"WHERE {_OF_PEOPLE} ON CONFLICT (workspace_id, store_id, resource, external_id) "
            "DO UPDATE SET version = greatest(tombstones.version, excluded.version)"
        ),
        parameters,
    )


_TELLING = 20


async def _spoken(tx: Tx, parameters: Mapping[str, Any], subject: Mapping[str, Any]) -> list[str]:
    """Words by which raw webhook bodies name the person: ids, addresses, numbers.

    A return's body quotes the shopper and names nothing but the order; a short order number says too little.
    """
    found = await tx.scalars(
        text(
            f"SELECT unnest(ARRAY[external_id, email, phone]) FROM store_customers WHERE {_OF_PEOPLE} "
            f"UNION SELECT unnest(ARRAY[email, phone]) FROM orders WHERE {_OF_PEOPLE} "
            f"UNION SELECT external_id FROM orders WHERE {_OF_PEOPLE} AND length(external_id) > {_TELLING}"
        ),
        parameters,
    )
    given = (subject.get("email", ""), subject.get("phone", ""))
    said = {str(word).removeprefix("guest:").rpartition("/")[2] for word in (*found, *given) if word}
    # A short number would blank rows of half the store.
    return sorted(word for word in said if len(word) >= 5)


# A parked delivery too: nothing of it is left to replay.
_BLANK_INBOX = f"""
UPDATE webhook_inbox SET body = '', headers = '{{}}', done_at = coalesce(done_at, now()), parked_at = NULL
WHERE {_OF_STORE} AND (done_at IS NOT NULL OR parked_at IS NOT NULL) AND body <> ''
    AND EXISTS (SELECT 1 FROM unnest(CAST(:words AS text[])) word WHERE position(convert_to(word, 'UTF8') IN body) > 0)
"""

_ANONYMISE_ORDERS = f"""
UPDATE orders SET customer_id = NULL, customer_external_id = '', email = '', phone = '', customer_name = '', note = '',
    shipping_address = NULL, status_url = '', cart_token = '', raw = '{{}}'
WHERE {_OF_PEOPLE} OR ({_OF_STORE}
    AND EXISTS (SELECT 1 FROM unnest(CAST(:orders AS text[])) named WHERE {_ENDS.format("external_id", "named")}))
"""


async def _drop_empty(tx: Tx, people: Sequence[UUID]) -> int:
    """Delete rows of people of whom nothing is left, and compute those who were one person with them again."""
    parameters = {"workspace": tx.workspace_id, "ids": list(people)}
    empty = list(await tx.scalars(text(_EMPTY), parameters))
    dropped, touched = 0, set(people)
    for customer_id in empty:
        relatives = await remove(tx, customer_id)
        if relatives is not None:
            dropped += 1
            touched |= relatives
            touched.discard(customer_id)
    left = list(
        await tx.scalars(
            text("SELECT id FROM customers WHERE workspace_id = :workspace AND id = ANY(CAST(:ids AS uuid[]))"),
            {"workspace": tx.workspace_id, "ids": list(touched)},
        )
    )
    await tx.execute(
        text(
            "DELETE FROM customer_terms WHERE workspace_id = :workspace AND customer_id = ANY(CAST(:ids AS uuid[])) "
            "AND customer_id NOT IN (SELECT customer_id FROM store_customers WHERE workspace_id = :workspace "
            "UNION SELECT customer_id FROM identities WHERE workspace_id = :workspace)"
        ),
        {"workspace": tx.workspace_id, "ids": left},
    )
    await regroup(tx, left)
    await recount(tx, left)
    return dropped


_EMPTY = """
SELECT c.id FROM customers c WHERE c.workspace_id = :workspace AND c.id = ANY(CAST(:ids AS uuid[]))
    AND NOT EXISTS (SELECT 1 FROM store_customers p WHERE p.workspace_id = :workspace AND p.customer_id = c.id)
    AND NOT EXISTS (SELECT 1 FROM identities i WHERE i.workspace_id = :workspace AND i.customer_id = c.id)
"""


async def _run(tx: Tx, statement: str, parameters: Mapping[str, Any]) -> int:
    result = await tx.execute(text(statement), parameters)
    return max(0, int(result.rowcount))  # type: ignore[attr-defined]


# Exports


async def data_request(app: App, workspace_id: UUID, *, request_id: str) -> None:
    """Task: collect everything one store's share holds about a person, for the merchant to hand over."""
    async with app.db.transaction(workspace_id) as tx:
        row = await tx.get(PrivacyRequest, UUID(request_id), lock=True)
        if row is None or row.state != OPEN or row.store_id is None:
            return
        store = await stores.get(tx, row.store_id)
        country = store.country if store is not None else ""
        people = await _subjects(tx, row.store_id, row.subject, country)
        export = await _export(tx, row.store_id, people)
        row.state = READY
        row.result = {"counts": {name: len(rows) for name, rows in export.items()}, "export": export}
        await tx.record("privacy.export_ready", subject_id=row.id, store_id=row.store_id)
        await tx.complete_job()


async def _export(tx: Tx, store_id: UUID, people: Sequence[UUID]) -> dict[str, list[Any]]:
    parameters = _about(tx, store_id, ids=list(people))
    talks = _TALKS.format(which=_OF_PEOPLE)
    orders = f"SELECT id FROM orders WHERE {_OF_PEOPLE}"
    wanted = {
        "profiles": f"SELECT * FROM store_customers WHERE {_OF_PEOPLE}",
        "handles": f"SELECT kind, value, proof, proven_at FROM identities WHERE {_OF_PEOPLE}",
        "orders": f"SELECT * FROM orders WHERE {_OF_PEOPLE}",
        "order_lines": f"SELECT * FROM order_lines WHERE workspace_id = :workspace AND order_id IN ({orders})",
        "parcels": f"SELECT * FROM fulfilments WHERE workspace_id = :workspace AND order_id IN ({orders})",
        "refunds": f"SELECT * FROM refunds WHERE workspace_id = :workspace AND order_id IN ({orders})",
        "returns": f"SELECT * FROM order_returns WHERE workspace_id = :workspace AND order_id IN ({orders})",
        "carts": f"SELECT * FROM carts WHERE {_OF_PEOPLE}",
        "browsers": "SELECT typed_email, typed_name, locale, page, created_at, last_seen_at "
        f"FROM visitors WHERE {_OF_PEOPLE}",
        "conversations": f"SELECT * FROM conversations WHERE workspace_id = :workspace AND id IN ({talks})",
        "messages": "SELECT conversation_id, seq, author, author_name, kind, text, created_at FROM messages "
        f"WHERE workspace_id = :workspace AND conversation_id IN ({talks}) ORDER BY created_at",
        "files": "SELECT conversation_id, name, media_type, size, created_at FROM attachments "
        f"WHERE workspace_id = :workspace AND conversation_id IN ({talks})",
        "events": f"SELECT kind, data, at FROM events WHERE {_OF_PEOPLE} ORDER BY at",
    }
    export: dict[str, list[Any]] = {}
    for name, statement in wanted.items():
        document = await tx.scalar(
            text(
                "SELECT CAST(coalesce(jsonb_agg(to_jsonb(found) - 'workspace_id'), '[]') AS text) "
                f"FROM ({statement}) found"
            ),
            parameters,
        )
        export[name] = orjson.loads(document)
    for row in (*export["profiles"], *export["orders"]):
        row["raw"] = orjson.loads(row["raw"])
    return export


# Retention


async def retention(app: App, workspace_id: UUID) -> None:
    """Task, daily: delete what has been kept as long as the operator said; 0 days means for ever."""
    settings = app.settings
    aged = {
        "access log": (
            "access_log WHERE workspace_id = :workspace AND created_at < :before", settings.access_log_retention_days
        ),
        "events": ("events WHERE workspace_id = :workspace AND at < :before", settings.event_retention_days),
        "conversations": (
            "conversations WHERE workspace_id = :workspace AND status = 'closed' AND last_message_at < :before",
            settings.conversation_retention_days,
        ),
        # Strangers may upload too: what they never send must not fill the disk for ever.
        "unsent files": (
            "attachments WHERE workspace_id = :workspace AND message_id IS NULL AND created_at < :before", UNSENT_DAYS
        ),
        "carts": ("carts WHERE workspace_id = :workspace AND version < :before", IDLE_DAYS),
        "visitors": (
            "visitors WHERE workspace_id = :workspace AND last_seen_at < :before AND NOT EXISTS (SELECT 1 FROM "
            "conversations c WHERE c.workspace_id = :workspace AND c.visitor_id = visitors.id)",
            IDLE_DAYS,
        ),
    }  # fmt: skip
    now = datetime.now(UTC)
    deleted = {
        name: await _delete_aged(app, workspace_id, what, now - timedelta(days=days))
        for name, (what, days) in aged.items()
        if days > 0
    }
    async with app.db.transaction(workspace_id) as tx:
        deleted["exports"] = await _run(
            tx,
            "UPDATE privacy_requests SET result = result - 'export', state = 'done', done_at = now(), "
            "subject = subject - 'email' - 'phone' - 'orders' "
            "WHERE workspace_id = :workspace AND state = 'ready' AND due_at < :before",
            {"workspace": workspace_id, "before": now - timedelta(days=EXPORT_DAYS)},
        )
        late = [row.id for row in await open_requests(tx) if row.due_at < now + timedelta(days=3) and row.state == OPEN]
    log.info("retention", **{name.replace(" ", "_"): count for name, count in deleted.items()})
    if late:
        raise TaskError(f"{len(late)} privacy requests are close to their deadline and not done", retry=False)


async def _delete_aged(app: App, workspace_id: UUID, what: str, before: datetime) -> int:
    """In chunks, so that nobody waits for a table."""
    deleted = 0
    table, _, condition = what.partition(" ")
    while True:
        async with app.db.transaction(workspace_id) as tx:
            count = await _run(
                tx,
                f"DELETE FROM {table} WHERE workspace_id = :workspace AND id IN "
                f"(SELECT id FROM {table} {condition} LIMIT {_CHUNK})",
                {"workspace": workspace_id, "before": before},
            )
        deleted += count
        if count < _CHUNK:
            return deleted
