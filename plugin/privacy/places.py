"""Where a person's data lies, read from the tables themselves, so that a new table is not forgotten.

A row belongs to a person by its `customer_id`, or by what it hangs on: a conversation, a browser, an order. What tables
say beside their columns is in `plugin/kernel/personal.py`. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from sqlalchemy import Column, LargeBinary, MetaData, String, Table
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA, JSONB, TSVECTOR

from plugin.kernel.db import Base
from plugin.kernel.personal import NOBODY, Kept, said

ROOT = "customers"
# What says whose a row is: the person, or what it hangs on.
OWNERS = ("customer_id", "conversation_id", "visitor_id", "order_id")


@dataclass(frozen=True, slots=True)
class Place:
    """A table that may hold a person's data. `owners`: columns by which its rows are theirs; none: only their words.

    `stays`: the row itself outlives them, and its `blank` columns are emptied.
    """

    table: str
    owners: tuple[str, ...]
    by_store: bool
    stays: bool
    blank: tuple[tuple[str, str], ...] = ()
    binary: tuple[str, ...] = ()

    @property
    def emptied(self) -> str:
        """The assignments that empty it."""
        return ", ".join(f"{column} = {value}" for column, value in self.blank)


def holds_words(column: Column[object]) -> bool:
    """Whether a column can hold anything that somebody wrote."""
    return isinstance(column.type, String | JSONB | LargeBinary | BYTEA | ARRAY | TSVECTOR)


def places(metadata: MetaData) -> tuple[Place, ...]:
    """Every table that may hold a person's data; what hangs on others comes before them."""
    return tuple(
        place for table in reversed(metadata.sorted_tables) if (place := _place(table)) is not None
    )  # fmt: skip


def _place(table: Table) -> Place | None:
    told = said(table.info)
    if told == NOBODY:
        return None
    owners = tuple(name for name in OWNERS if name in table.c)
    blank: tuple[tuple[str, str], ...] = ()
    if isinstance(told, Kept):
        blank = tuple((name, _nothing(table.c[name])) for name in told.blank)
    binary = tuple(column.name for column in table.c if isinstance(column.type, LargeBinary))
    return Place(str(table.name), owners, "store_id" in table.c, isinstance(told, Kept), blank, binary)


def _nothing(column: Column[object]) -> str:
    """What an emptied column holds, as SQL."""
    if column.nullable:
        return "NULL"
    if isinstance(column.type, JSONB):
        default = getattr(column.server_default, "arg", "'{}'")
        return str(getattr(default, "text", default))
    default = getattr(column.server_default, "arg", "")
    return f"'{getattr(default, 'text', default)}'"


def gaps(metadata: MetaData) -> Sequence[str]:
    """What nobody has thought of, in words for whoever added it. Empty: everything is erased, or names nobody."""
    found = []
    for table in metadata.sorted_tables:
        told = said(table.info)
        if told == NOBODY:
            continue
        words = {column.name for column in table.c if holds_words(column)}
        if isinstance(told, Kept):
            named = {*told.blank, *told.plain}
            found += [f"{table.name}.{name}: blank, or plain: does it name nobody?" for name in words - named]
            found += [f"{table.name}.{name}: no such column" for name in named - set(table.c.keys())]
        elif words and not _goes(table):
            found.append(
                f"{table.name}: whose are its rows? Give it customer_id, or what it hangs on, or say nobody()."
            )
    return sorted(found)


def _goes(table: Table) -> bool:
    """Whether its rows go with the person: they have their number, or what they hang on goes and takes them along."""
    if table.name == ROOT or any(name in table.c for name in ("customer_id", "conversation_id", "visitor_id")):
        return True
    return any(
        constraint.ondelete == "CASCADE"
        and constraint.referred_table.name != table.name
        and said(constraint.referred_table.info) is None
        and _goes(constraint.referred_table)
        for constraint in table.foreign_key_constraints
    )


@cache
def known() -> tuple[Place, ...]:
    """The places of the product's own tables."""
    return places(Base.metadata)


def with_store() -> Sequence[str]:
    """Tables whose rows came from one store and go with it, what hangs on others first."""
    return [
        str(table.name)
        for table in reversed(Base.metadata.sorted_tables)
        if "store_id" in table.c and table.name not in _OUTLIVE_A_STORE
    ]


# The doorman's book of names, the raw inbox (emptied, another role's), and the evidence itself.
_OUTLIVE_A_STORE = frozenset({"directory", "webhook_inbox", "privacy_requests"})
