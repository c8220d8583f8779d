"""A workspace that was made once with the product's own verbs, and is written again for each test that wants one.

A seed asks the database some four hundred things; its copy is one statement. Every id in it is new, in the same order,
so that a copy is as much somebody else's workspace as one that was seeded by itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

import orjson
from sqlalchemy import Table, text

from plugin.app import App
from plugin.kernel.db import new_id
from plugin.schema import metadata

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def _tables() -> list[Table]:
    return [table for table in metadata.sorted_tables if "workspace_id" in table.c]


@dataclass(frozen=True)
class Original:
    """What a workspace holds: its rows as JSON by table, and its ids in order."""

    workspace_id: UUID
    rows: str = field(repr=False)
    ids: tuple[str, ...] = field(repr=False)

    @classmethod
    async def of(cls, app: App, workspace_id: UUID) -> Original:
        """Read a workspace whole."""
        asked = " UNION ALL ".join(
            f"SELECT '{table.name}' AS name, jsonb_agg(to_jsonb(one)) AS rows FROM {table.name} one"
            " WHERE workspace_id = :workspace"
            for table in _tables()
        )
        async with app.db.transaction(workspace_id) as tx:
            found = await tx.execute(text(asked), {"workspace": workspace_id})
            rows = {name: held for name, held in found if held}
        written = orjson.dumps(rows).decode()
        return cls(workspace_id, written, tuple(sorted(set(_ID.findall(written)))))

    async def copied(
        self, app: App, others: Mapping[str, str], *, fixed: Mapping[UUID, UUID] | None = None
    ) -> dict[UUID, UUID]:
        """Write it again under new ids; `others` are further texts that must be new (names that only one may have).

        `fixed` says what some ids become: rows of different tables may come to have the same.

        Returns the new id of each old one, the workspace's among them.
        """
        fresh = {old: str(new_id()) for old in self.ids} | {str(old): str(new) for old, new in (fixed or {}).items()}
        rows = _ID.sub(lambda found: fresh[found[0]], self.rows)
        for old, new in others.items():
            rows = rows.replace(old, new)
        names = orjson.loads(rows)
        # Triggers write some rows by themselves: those stand.
        written = ", ".join(
            f"{table.name}_ AS (INSERT INTO {table.name} ({columns}) SELECT {columns}"
            f" FROM jsonb_populate_recordset(NULL::{table.name}, CAST(:rows AS jsonb) -> '{table.name}')"
            " ON CONFLICT DO NOTHING)"
            for table in _tables()
            if table.name in names
            for columns in [", ".join(f'"{column.name}"' for column in table.c if column.computed is None)]
        )
        async with app.db.transaction(UUID(fresh[str(self.workspace_id)])) as tx:
            await tx.execute(text(f"WITH {written} SELECT 1"), {"rows": rows})
        return {UUID(old): UUID(new) for old, new in fresh.items()}
