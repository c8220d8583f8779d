"""Many rows in one statement: the rows travel as one JSON parameter, the database unfolds them.

One INSERT … SELECT for a batch instead of one per row is what makes the inbox forty times faster than row by row
(docs/decisions/set-based.md). Rows are dicts of column name to JSON value; UUIDs and datetimes are taken as they are.
"""

# ruff: noqa: S608 (statements are put together from constants only; values are bound)

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields, is_dataclass
from decimal import Decimal
from functools import lru_cache
from operator import attrgetter
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Row, Table, text
from sqlalchemy.dialects import postgresql

from plugin.kernel.db import Tenant, Tx

Values = Mapping[str, Any]

# text and jsonb of PostgreSQL cannot hold U+0000 (https://www.postgresql.org/docs/18/datatype-json.html).
_NUL = b"\\u0000"


async def insert(
    tx: Tx,
    model: type[Tenant],
    rows: Sequence[Values],
    *,
    key: Collection[str] = (),
    update: Collection[str] | None = None,
    rule: str = "",
    returning: Collection[str] = (),
) -> Sequence[Row[Any]]:
    """Insert `rows`, which all have the same columns; those whose `key` exists are updated or left alone.

    `update` names the columns to overwrite (None: all that were given; empty: leave the row alone). `rule` is SQL over
    `excluded` and `stored` that must hold for an update; a row that would stay the same is never rewritten. Returns the
    `returning` columns of the rows that were really written.
    """
    if not rows:
        return ()
    columns = tuple(rows[0])
    statement = _insert(
        model.__table__,  # type: ignore[attr-defined]
        columns,
        tuple(key),
        None if update is None else tuple(update),
        rule,
        tuple(returning),
    )
    result = await tx.execute(text(statement), {"workspace": tx.workspace_id, "rows": dump(rows)})
    return result.all() if returning else ()


def dump(rows: Any) -> str:
    """JSON for a json parameter. Raises TypeError on what JSON cannot hold."""
    encoded = orjson.dumps(rows, default=_plain)
    if _NUL in encoded:
        encoded = orjson.dumps(_without_nul(orjson.loads(encoded)))
    return encoded.decode()


def check(value: Any) -> None:
    """Raise TypeError on what `dump` could not hold. A third of its work: the fields of records without their names."""
    orjson.dumps(value, default=_bare, option=orjson.OPT_PASSTHROUGH_DATACLASS)


def _bare(value: Any) -> Any:
    kind: type[Any] = type(value)
    return _fields(kind)(value) if is_dataclass(kind) else _plain(value)


@lru_cache(maxsize=64)
def _fields(kind: type[Any]) -> Callable[[Any], Any]:
    return attrgetter(*(field.name for field in fields(kind)))


def recordset(columns: Mapping[str, str], parameter: str = "rows", alias: str = "r") -> str:
    """The FROM item that unfolds a parameter made by `dump` into rows of `columns` (name to SQL type)."""
    typed = ", ".join(f"{name} {kind}" for name, kind in columns.items())
    # json, not jsonb: it is read once, and taking it apart costs half.
    return f"json_to_recordset(CAST(:{parameter} AS json)) AS {alias}({typed})"


@lru_cache(maxsize=256)
def _insert(
    table: Table,
    columns: tuple[str, ...],
    key: tuple[str, ...],
    update: tuple[str, ...] | None,
    rule: str,
    returning: tuple[str, ...],
) -> str:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    types = {name: table.c[name].type.compile(dialect) for name in columns}
    names = ", ".join(columns)
    statement = (
        f"INSERT INTO {table.name} AS stored (workspace_id, {names}) "
        f"SELECT CAST(:workspace AS uuid), {names} FROM {recordset(types)}"
    )
    changing = [name for name in (columns if update is None else update) if name not in key and name != "id"]
    if key:
        statement += f" ON CONFLICT (workspace_id, {', '.join(key)}) DO "
        if changing:
            news = ", ".join(f"excluded.{name}" for name in changing)
            olds = ", ".join(f"stored.{name}" for name in changing)
            assignments = ", ".join(f"{name} = excluded.{name}" for name in changing)
            statement += f"UPDATE SET {assignments} WHERE ({olds}) IS DISTINCT FROM ({news})"
            statement += f" AND ({rule})" if rule else ""
        else:
            statement += "NOTHING"
    if returning:
        statement += f" RETURNING {', '.join(f'stored.{name}' for name in returning)}"
    return statement


def _plain(value: Any) -> Any:
    # A UUID of asyncpg's own class, as raw statements return them.
    if isinstance(value, Decimal | UUID):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} does not fit into JSON")


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, dict):
        return {_without_nul(name): _without_nul(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_without_nul(item) for item in value]
    return value
