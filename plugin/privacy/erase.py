"""Erasing one store's share of a person, or of everybody: in the tables, the search words, the raw inbox, the jobs.

Which tables is read from the tables themselves (`places`), so a new one is erased without a word here. What other
stores know of the same person stays, and the person is computed again from that.
"""

# ruff: noqa: S608 (statements are put together from constants only; values are bound)

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select, text

from plugin import stores
from plugin.app import App
from plugin.crm import terms
from plugin.crm.batch import lock
from plugin.crm.identities import EMAIL, Identity, regroup
from plugin.crm.profiles import remove
from plugin.crm.recount import recount
from plugin.kernel.db import Tx
from plugin.kernel.jobs import TaskError
from plugin.privacy import places, subjects
from plugin.privacy.requests import DATA_REQUEST, DONE, OPEN, READY, SKIPPED, PrivacyRequest, settle
from plugin.privacy.subjects import ENDS, OF_PEOPLE, OF_STORE, TALKS, about

# Deliveries about the person that are being worked on are waited for, so that nothing is written behind our back.
PATIENCE = timedelta(minutes=5)


async def redact_customer(app: App, workspace_id: UUID, *, request_id: str) -> None:
    """Task: erase one person's share of one store: profile, handles, carts, chats, files; orders lose the person.

    Orders keep their lines and amounts, which are the merchant's books and name nobody any more.
    """
    async with app.db.transaction(workspace_id) as tx:
        await lock(tx)
        row = await tx.get(PrivacyRequest, UUID(request_id), lock=True)
        if row is None or row.state != OPEN or row.store_id is None:
            return
        ids = await subjects.people(tx, row.store_id, row.subject)
        counts = await erase(tx, row.store_id, ids, row.subject, row.asked_at, since=row.created_at)
        settle(row, DONE, {"counts": counts})
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
        store = await stores.to_change(tx, row.store_id)
        if store is None or store.status != stores.UNINSTALLED:
            row.state, row.done_at, row.result = SKIPPED, datetime.now(UTC), {"reason": "the store is connected again"}
            await tx.complete_job()
            return
        counts = await _erase_store(tx, store.id)
        store.email, store.findings, store.widget = "", [], {}
        settle(row, DONE, {"counts": counts})
        await tx.record("privacy.redacted", subject_id=row.id, store_id=None, data={"counts": counts})
        await tx.complete_job()


# Rows that exist only because this store knew somebody.
_STORE_PEOPLE = """
SELECT customer_id FROM store_customers WHERE workspace_id = :workspace AND store_id = :store
UNION SELECT customer_id FROM identities WHERE workspace_id = :workspace AND store_id = :store
"""


async def _erase_store(tx: Tx, store_id: UUID) -> dict[str, int]:
    parameters = about(tx, store_id)
    ids = list(await tx.scalars(text(_STORE_PEOPLE), parameters))
    browsers = list(await tx.scalars(text(f"SELECT id FROM visitors WHERE {OF_STORE}"), parameters))
    talks = list(await tx.scalars(text(TALKS.format(which=OF_STORE)), parameters))
    counts = await _erase_talks(tx, talks, browsers)
    for table in places.with_store():
        counts[table] += await _run(tx, f"DELETE FROM {table} WHERE {OF_STORE}", parameters)
    counts["webhook_inbox"] = await _run(
        tx, f"UPDATE webhook_inbox SET body = '', headers = '{{}}', error = '' WHERE {OF_STORE} AND body <> ''",
        parameters,
    )  # fmt: skip
    counts["jobs"] = await _forget_jobs(tx, [str(store_id), *map(str, ids), *map(str, talks), *map(str, browsers)])
    counts["privacy_requests"] = await _close(tx, select(PrivacyRequest).where(PrivacyRequest.store_id == store_id))
    counts["customers"] = await _drop_empty(tx, ids)
    return dict(counts)


async def erase(
    tx: Tx, store_id: UUID, ids: Sequence[UUID], subject: Mapping[str, Any], at: datetime, *, since: datetime
) -> dict[str, int]:
    """Erase these rows of people from one store, and what `subject` names besides; returns how much of what.

    `at`: news of them from before are no news. `since`: when we began to wait for deliveries that are being worked on.
    Raises TaskError while there are any.
    """
    parameters = about(tx, store_id, ids=list(ids), at=at)
    words = await subjects.spoken(tx, parameters, subject)
    if datetime.now(UTC) - since < PATIENCE and await tx.scalar(text(_UNDER_WAY), {**parameters, "words": words}):
        raise TaskError("deliveries about this person are being worked on", retry=True, after=20)
    parameters |= {"words": words, "orders": [str(order) for order in subject.get("orders") or ()]}
    browsers = await subjects.browsers(tx, store_id, ids, subject)
    talks = set(await tx.scalars(text(TALKS.format(which=OF_PEOPLE)), parameters))
    talks |= set(await tx.scalars(text(_TALKS_OF_BROWSERS), {**parameters, "browsers": browsers}))
    bought = list(await tx.scalars(text(_ORDERS), parameters))
    await _bury_accounts(tx, {**parameters, "account": str(subject.get("customer_id") or "")})
    counts = await _erase_talks(tx, list(talks), browsers)
    owners = {**parameters, "customer_id": ids, "visitor_id": browsers, "conversation_id": list(talks),
              "order_id": bought}  # fmt: skip
    for place in places.known():
        counts[place.table] += await _empty(tx, place, owners)
    counts["webhook_inbox"] = await _run(tx, _BLANK_INBOX, parameters)
    counts["order_events"] = await _run(
        tx, "DELETE FROM events WHERE workspace_id = :workspace AND subject_id = ANY(CAST(:order_id AS uuid[]))", owners
    )
    about_them = [*words, *map(str, ids), *map(str, talks), *map(str, browsers)]
    counts["jobs"] = await _forget_jobs(tx, about_them)
    counts["privacy_requests"] = await _close_those_about(tx, store_id, ids, words, subject)
    counts["customers"] = await _drop_empty(tx, ids)
    return {table: count for table, count in counts.items() if count}


async def _empty(tx: Tx, place: places.Place, owners: Mapping[str, Any]) -> int:
    """One table: rows that go, or their columns that are emptied."""
    if place.table in _BY_HAND:
        return 0
    within = f"workspace_id = :workspace{' AND store_id = :store' if place.by_store else ''}"
    if place.table == "orders":
        forgotten = f"UPDATE orders SET customer_id = NULL, erased_at = now(), {place.emptied}"
        return await _run(tx, f"{forgotten} WHERE {within} AND id = ANY(CAST(:order_id AS uuid[]))", owners)
    columns = {name: name for name in place.owners} | ({"visitor_id": "id"} if place.table == "visitors" else {})
    theirs = " OR ".join(f"{column} = ANY(CAST(:{name} AS uuid[]))" for name, column in columns.items())
    if theirs and not place.stays:
        return await _run(tx, f"DELETE FROM {place.table} WHERE {within} AND ({theirs})", owners)
    if not place.blank:
        return 0
    if not theirs:
        # Nothing says whose a row is but what it says itself.
        said = " || ' ' || ".join(f"coalesce(CAST({column} AS text), '')" for column, _ in place.blank)
        theirs = _SAID.format(said)
    return await _run(tx, f"UPDATE {place.table} SET {place.emptied} WHERE {within} AND ({theirs})", owners)


_SAID = "EXISTS (SELECT 1 FROM unnest(CAST(:words AS text[])) word WHERE position(word IN lower({0})) > 0)"
# What needs more than its own row, below.
_BY_HAND = frozenset({places.ROOT, "customer_terms", "jobs", "privacy_requests", "webhook_inbox"})

_ORDERS = f"""
SELECT id FROM orders WHERE {OF_PEOPLE} OR ({OF_STORE}
    AND EXISTS (SELECT 1 FROM unnest(CAST(:orders AS text[])) named WHERE {ENDS.format("external_id", "named")}))
"""

_TALKS_OF_BROWSERS = f"SELECT id FROM conversations WHERE {OF_STORE} AND visitor_id = ANY(CAST(:browsers AS uuid[]))"

# A body is looked at as text whatever its bytes are: what is not ASCII comes out escaped, and no word has any.
_BODY = _SAID.format("encode(body, 'escape')")
# A parked delivery too, and one that waits after all: nothing of it is left to read again.
_BLANK_INBOX = f"""
UPDATE webhook_inbox SET body = '', headers = '{{}}', error = '', done_at = coalesce(done_at, now()), parked_at = NULL
WHERE {OF_STORE} AND body <> '' AND {_BODY}
"""
_UNDER_WAY = f"""
SELECT 1 FROM webhook_inbox WHERE {OF_STORE} AND done_at IS NULL AND parked_at IS NULL AND body <> '' AND {_BODY}
LIMIT 1
"""


async def _erase_talks(tx: Tx, talks: Sequence[UUID], browsers: Sequence[UUID]) -> Counter[str]:
    """Conversations with all they hold, and what their browsers uploaded and never sent."""
    parameters = {
        "workspace": tx.workspace_id, "talks": list(talks), "browsers": list(browsers),
        "actors": [f"shopper:{id}" for id in browsers],
    }  # fmt: skip
    mine = "workspace_id = :workspace AND {} = ANY(CAST(:talks AS uuid[]))"
    counts: Counter[str] = Counter()
    counts["attachments"] = await _run(
        tx, f"DELETE FROM attachments WHERE ({mine.format('conversation_id')}) OR (workspace_id = :workspace "
        "AND uploader = ANY(CAST(:actors AS text[])))", parameters
    )  # fmt: skip
    counts["messages"] = await _run(tx, f"DELETE FROM messages WHERE {mine.format('conversation_id')}", parameters)
    counts["events"] = await _run(
        tx, f"DELETE FROM events WHERE ({mine.format('subject_id')}) OR (workspace_id = :workspace "
        "AND (actor = ANY(CAST(:actors AS text[])) OR subject_id = ANY(CAST(:browsers AS uuid[]))))", parameters
    )  # fmt: skip
    # What was merged into somebody else's and taken apart again left its address and its last words there.
    counts["conversation_joins"] = await _run(
        tx, f"DELETE FROM conversation_joins WHERE {mine.format('other_id')}", parameters
    )
    counts["conversations"] = await _run(tx, f"DELETE FROM conversations WHERE {mine.format('id')}", parameters)
    return counts


async def _bury_accounts(tx: Tx, parameters: Mapping[str, Any]) -> None:
    """A late webhook from before the request must not bring the account back, also one that we have not met yet.

    A guest's number is their address, and stays behind.
    """
    known = (
        "SELECT workspace_id, gen_random_uuid(), store_id, 'customers', external_id, CAST(:at AS timestamptz) "
        f"FROM store_customers WHERE {OF_PEOPLE} AND NOT starts_with(external_id, 'guest:')"
    )
    named = (
        "SELECT CAST(:workspace AS uuid), gen_random_uuid(), CAST(:store AS uuid), 'customers', "
        "CAST(:account AS text), CAST(:at AS timestamptz) "
        "WHERE :account <> '' AND NOT starts_with(:account, 'guest:')"
    )
    for accounts in (known, named):
        await tx.execute(
            text(
                f"INSERT INTO tombstones (workspace_id, id, store_id, resource, external_id, version) {accounts} "
                "ON CONFLICT (workspace_id, store_id, resource, external_id) "
                "DO UPDATE SET version = greatest(tombstones.version, excluded.version)"
            ),
            parameters,
        )


async def _forget_jobs(tx: Tx, said: Sequence[str]) -> int:
    """Jobs that speak of what is gone; recurring ones and those under way go on and forget their last error."""
    parameters = {"workspace": tx.workspace_id, "words": list(said)}
    spoken = _SAID.format(
        "CAST(arguments AS text) || ' ' || coalesce(unique_key, '') || ' ' || coalesce(last_error, '')"
    )
    await tx.execute(
        text(f"UPDATE jobs SET last_error = NULL WHERE workspace_id = :workspace AND last_error <> '' AND {spoken}"),
        parameters,
    )
    return await _run(
        tx, "DELETE FROM jobs WHERE workspace_id = :workspace AND every IS NULL "
        f"AND (leased_until IS NULL OR leased_until < now()) AND {spoken}", parameters
    )  # fmt: skip


async def _close_those_about(
    tx: Tx, store_id: UUID, ids: Sequence[UUID], words: Sequence[str], subject: Mapping[str, Any]
) -> int:
    """An export must not outlive the erasure of whom it is about, nor an older request go on naming them."""
    account = str(subject.get("customer_id") or "").rpartition("/")[2]
    theirs = text(
        "((privacy_requests.result -> 'people' ?| CAST(:people AS text[])) "
        "OR lower(privacy_requests.subject ->> 'email') = ANY(CAST(:words AS text[])) "
        "OR (:account <> '' AND right('/' || (privacy_requests.subject ->> 'customer_id'), length(:account) + 1) "
        "= '/' || :account))"
    ).bindparams(people=[str(id) for id in ids], words=list(words), account=account)
    return await _close(
        tx,
        select(PrivacyRequest).where(PrivacyRequest.store_id == store_id, PrivacyRequest.kind == DATA_REQUEST, theirs),
    )


async def _close(tx: Tx, which: Any) -> int:
    """Requests of which nothing is left to collect, to erase or to hand over."""
    rows = list(await tx.scalars(which.where(PrivacyRequest.workspace_id == tx.workspace_id).with_for_update()))
    for row in rows:
        done_at, state = row.done_at, row.state
        fell_away = row.kind == DATA_REQUEST and state in (OPEN, READY)
        settle(row, SKIPPED if fell_away else state if state in (DONE, SKIPPED) else DONE,
               {name: row.result[name] for name in ("counts", "reason") if name in row.result})  # fmt: skip
        row.done_at = done_at or row.done_at
    await tx.flush()
    return len(rows)


async def _drop_empty(tx: Tx, ids: Sequence[UUID]) -> int:
    """Delete rows of people of whom nothing is left, and compute those who were one person with them again."""
    parameters = {"workspace": tx.workspace_id, "ids": list(ids)}
    empty = list(await tx.scalars(text(_EMPTY), parameters))
    dropped, touched = 0, set(ids)
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
    await _forget_words(tx, [id for id in left if id in set(ids)])
    await regroup(tx, left)
    await recount(tx, left)
    return dropped


_EMPTY = """
SELECT c.id FROM customers c WHERE c.workspace_id = :workspace AND c.id = ANY(CAST(:ids AS uuid[]))
    AND NOT EXISTS (SELECT 1 FROM store_customers p WHERE p.workspace_id = :workspace AND p.customer_id = c.id)
    AND NOT EXISTS (SELECT 1 FROM identities i WHERE i.workspace_id = :workspace AND i.customer_id = c.id)
"""


async def _forget_words(tx: Tx, ids: Sequence[UUID]) -> None:
    """Somebody whom no store describes any more is found by what they proved, and by nothing else; nor noted about."""
    if not ids:
        return
    parameters = {"workspace": tx.workspace_id, "ids": list(ids)}
    nameless = list(await tx.scalars(text(_NAMELESS), parameters))
    parameters["ids"] = nameless
    await tx.execute(
        text("UPDATE customers SET note = '' WHERE workspace_id = :workspace AND id = ANY(CAST(:ids AS uuid[]))"),
        parameters,
    )
    await terms.forget(tx, nameless, terms.PROFILE)
    await terms.forget(tx, nameless, terms.PROOF)
    proven = await tx.scalars(
        select(Identity).where(
            Identity.workspace_id == tx.workspace_id,
            Identity.customer_id.in_(nameless),
            Identity.proven_at.is_not(None),
        )
    )
    for handle in proven:
        email, phone = (handle.value, "") if handle.kind == EMAIL else ("", handle.value)
        await terms.write(tx, {handle.customer_id: terms.words_of("", email, phone)}, terms.PROOF)


_NAMELESS = """
SELECT c.id FROM customers c WHERE c.workspace_id = :workspace AND c.id = ANY(CAST(:ids AS uuid[]))
    AND NOT EXISTS (SELECT 1 FROM store_customers p WHERE p.workspace_id = :workspace AND p.customer_id = c.id)
"""


async def _run(tx: Tx, statement: str, parameters: Mapping[str, Any]) -> int:
    result = await tx.execute(text(statement), parameters)
    return max(0, int(result.rowcount))  # type: ignore[attr-defined]
