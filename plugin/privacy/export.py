"""A copy of what one store's share holds about a person: collected by a job, given out as one ZIP, streamed.

The ZIP holds `data.json` for machines, a page for people (the edge writes it, in the person's language) and the files
that were sent. Tables are read from `places`, so a new one is in the copy without a word here.
"""

# ruff: noqa: S608 (statements are put together from constants only; values are bound)

import io
import re
import zipfile
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text

from plugin import stores
from plugin.app import App
from plugin.kernel.db import Tx
from plugin.privacy import places, subjects
from plugin.privacy.requests import OPEN, READY, PrivacyRequest
from plugin.privacy.subjects import TALKS, about

# What a person may know of themselves; the rest is how we find them, or who of the team looked.
_NOT_THEIRS = frozenset({"access_log", "customer_terms", "conversation_words", "customer_merges", "tombstones"})
_NAMES = {
    "store_customers": "profiles",
    "identities": "handles",
    "fulfilments": "parcels",
    "order_returns": "returns",
    "visitors": "browsers",
    "attachments": "files",
}
# Whose, rather than what; and what only we can read.
_LEFT_OUT = ("workspace_id", "secret_hash", "uploader", "agent_id", "assignee_id", "client_id")
# The platforms give a month; a history that takes longer than this to read does not hold up the copy.
_PATIENCE = timedelta(days=3)
_AGAIN_SECONDS = 600
_ORDER = {"messages": "created_at, position", "events": "at"}


async def data_request(app: App, workspace_id: UUID, *, request_id: str) -> None:
    """Task: collect everything one store's share holds about a person, for the merchant to hand over."""
    async with app.db.transaction(workspace_id) as tx:
        row = await tx.get(PrivacyRequest, UUID(request_id), lock=True)
        if row is None or row.state != OPEN or row.store_id is None:
            return
        if row.created_at > datetime.now(UTC) - _PATIENCE and await _still_reading(tx, row.store_id):
            # A copy of half a history would be handed over as a whole one.
            await tx.enqueue("data_request", delay=_AGAIN_SECONDS, request_id=row.id)
            await tx.complete_job()
            return
        ids = await subjects.people(tx, row.store_id, row.subject)
        export = await collect(tx, row.store_id, ids)
        store = await stores.get(tx, row.store_id)
        row.state = READY
        row.result = {
            "counts": {name: len(rows) for name, rows in export.items()},
            "people": [str(id) for id in ids],
            "locale": _language(export) or (store.locale if store is not None else ""),
            "export": export,
        }
        await tx.record("privacy.export_ready", subject_id=row.id, store_id=row.store_id)
        await tx.complete_job()


async def _still_reading(tx: Tx, store_id: UUID) -> bool:
    found = await tx.scalar(
        text("SELECT 1 FROM backfills WHERE workspace_id = :workspace AND store_id = :store AND state = 'running'"),
        about(tx, store_id),
    )
    return found is not None


async def collect(tx: Tx, store_id: UUID, ids: Sequence[UUID]) -> dict[str, list[Any]]:
    """The rows of each table that belong to these people in one store, as JSON, by names that people understand."""
    parameters = about(tx, store_id, ids=list(ids))
    found: dict[str, list[Any]] = {}
    for place in reversed(places.known()):
        which = _which(place)
        if which is None:
            continue
        out = [*_LEFT_OUT, *place.binary]
        document = await tx.scalar(
            text(
                "SELECT CAST(coalesce(jsonb_agg(to_jsonb(found) - CAST(:out AS text[])), '[]') AS text) FROM "
                f"(SELECT * FROM {place.table} WHERE workspace_id = :workspace AND {which} "
                f"ORDER BY {_ORDER.get(place.table, '1, 2')}) found"
            ),
            {**parameters, "out": out},
        )
        found[_NAMES.get(place.table, place.table)] = orjson.loads(document)
    for row in (*found["profiles"], *found["orders"]):
        row["raw"] = orjson.loads(row["raw"])
    return found


def _which(place: places.Place) -> str | None:
    """The rows of one table that are theirs, or None for what is not handed out."""
    if place.table in _NOT_THEIRS or place.table == places.ROOT:
        return None
    ways = {
        "customer_id": "customer_id = ANY(CAST(:ids AS uuid[]))",
        "conversation_id": f"conversation_id IN ({TALKS.format(which=subjects.OF_PEOPLE)})",
        "order_id": f"order_id IN (SELECT id FROM orders WHERE {subjects.OF_PEOPLE})",
        "visitor_id": f"visitor_id IN (SELECT id FROM visitors WHERE {subjects.OF_PEOPLE})",
    }
    found = " OR ".join(ways[owner] for owner in place.owners)
    if not found:
        return None
    return f"({found}){' AND store_id = :store' if place.by_store else ''}"


def _language(export: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """The language that the person was last known to read; empty when nobody said."""
    for name in ("profiles", "orders", "conversations", "browsers"):
        for row in reversed(export.get(name, ())):
            if row.get("locale"):
                return str(row["locale"])
    return ""


# The file


class _Drain(io.RawIOBase):
    """What zipfile writes, to be taken away piece by piece; it cannot be rewound, so zipfile does not try."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, piece: Any) -> int:
        self._pieces.append(bytes(piece))
        return len(piece)

    def taken(self) -> bytes:
        """What was written since the last time."""
        found, self._pieces = b"".join(self._pieces), []
        return found


def filename(file: Mapping[str, Any]) -> str:
    """Where an attachment lies in the ZIP: its own name behind its id, without anything that a path could do. Pure."""
    safe = re.sub(r"[^\w.() -]", "_", str(file["name"])).strip(". ") or "file"
    return f"files/{str(file['id'])[-8:]}-{safe}"


async def archive(
    app: App, workspace_id: UUID, export: Mapping[str, Any], page: str, read_me: str
) -> AsyncIterator[bytes]:
    """The ZIP, piece by piece: the data, the page (HTML, named `read_me`), and each file as it is read.

    No transaction is open while a piece travels, and no more than one file is in memory.
    """
    drain = _Drain()
    with zipfile.ZipFile(drain, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("data.json", orjson.dumps(export, option=orjson.OPT_INDENT_2))
        packed.writestr(read_me, page)
        yield drain.taken()
        for file in export.get("files", ()):
            async with app.db.transaction(workspace_id) as tx:
                content = await tx.scalar(
                    text("SELECT content FROM attachments WHERE workspace_id = :workspace AND id = :id"),
                    {"workspace": workspace_id, "id": UUID(file["id"])},
                )
            if content is not None:
                # Pictures and films do not get smaller.
                packed.writestr(filename(file), bytes(content), zipfile.ZIP_STORED)
                yield drain.taken()
    yield drain.taken()
