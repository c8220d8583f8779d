"""Fields that a team adds to its conversations: a text, a number, a choice, a day; shown, filled in, asked for."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Date, Index, Numeric, UniqueConstraint, delete, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, mapped_column

from plugin.conversations.conversations import ByRule, Conversation
from plugin.kernel.db import Base, Tenant, TenantRow, Tx, tenant_key
from plugin.kernel.errors import AhlanError, Conflict, NotFound
from plugin.kernel.lazy import _
from plugin.kernel.personal import nobody
from plugin.kernel.text import normalise
from plugin.team import Agent

LONGEST_NAME, LONGEST_VALUE = 40, 200
MOST, MOST_OPTIONS = 20, 50


class Kind(StrEnum):
    """What a field holds."""

    TEXT = "text"
    NUMBER = "number"
    CHOICE = "choice"
    DATE = "date"


class Field(TenantRow, Base):
    """A field of the team's. `key` is its first name, folded, and never changes: values are kept under it."""

    __tablename__ = "fields"
    __table_args__ = (
        UniqueConstraint("workspace_id", "key"),
        {"info": nobody("what a team notes about its conversations")},
    )

    key: Mapped[str]
    name: Mapped[str]
    kind: Mapped[str]
    options: Mapped[list[str]] = mapped_column(server_default=text("'[]'"))
    place: Mapped[int]
    archived_at: Mapped[datetime | None]


class FieldValue(Tenant, Base):
    """What a conversation has in a field. By the field's key: a conversation that moves takes it along.

    `number` and `day` repeat what `value` says, so that more and less can be asked for.
    """

    __tablename__ = "field_values"
    __table_args__ = (
        tenant_key("conversation_id", "conversations"),
        Index(None, "workspace_id", "key", "conversation_id"),
    )

    conversation_id: Mapped[UUID] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]
    number: Mapped[Decimal | None] = mapped_column(Numeric(20, 6))
    day: Mapped[date | None] = mapped_column(Date)


@dataclass(frozen=True, slots=True)
class Value:
    """A value as it is kept."""

    text: str
    number: Decimal | None = None
    day: date | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A condition on a field: `compare` and `value` are empty where only whether there is a value is asked."""

    key: str
    compare: str = ""
    value: str = ""


_CONDITION = re.compile(r"(.+?)\s*(>=|<=|=|>|<)\s*(.*)", re.DOTALL)
_NUMBER = re.compile(r"-?[0-9]{1,14}(\.[0-9]{1,6})?")


def folded(name: str) -> str:
    """What makes two spellings of a field's name one. Pure."""
    return normalise(name)


def asked(said: str) -> Asked:
    """A condition as a filter says it: `size`, `size=42`, `weight>=3`, `due<2026-12-01`. Pure."""
    found = _CONDITION.fullmatch(said)
    if found is None:
        return Asked(folded(said))
    return Asked(folded(found[1]), found[2], " ".join(found[3].split()))


def read(kind: Kind, said: str, options: Sequence[str] = ()) -> Value:
    """What somebody typed into a field, as it is kept. Pure. Raises AhlanError for what is none of its kind."""
    said = " ".join(said.split())
    match kind:
        case Kind.TEXT:
            if len(said) <= LONGEST_VALUE:
                return Value(said)
            raise AhlanError(_("At most 200 characters fit into this field."), code="field_value")
        case Kind.CHOICE:
            if said in options:
                return Value(said)
            raise AhlanError(_("That is none of the choices of this field."), code="field_value")
        case Kind.NUMBER:
            if (number := as_number(said)) is not None:
                return Value(f"{number.normalize():f}", number=number)
            raise AhlanError(_("This field holds a number."), _("Write digits, such as 12.50."), code="field_value")
        case Kind.DATE:
            if (day := as_day(said)) is not None:
                return Value(day.isoformat(), day=day)
            raise AhlanError(_("This field holds a day."), _("Write it as 2026-11-22."), code="field_value")


def as_number(said: str) -> Decimal | None:
    """A number of at most 14 digits and 6 decimals, in any script's digits; None when it is none. Pure."""
    plain = normalise(said)
    try:
        return Decimal(plain) if _NUMBER.fullmatch(plain) else None
    except InvalidOperation:
        return None


def as_day(said: str) -> date | None:
    """A calendar day such as 2026-11-22; None when it is none. Pure."""
    plain = normalise(said)
    try:
        return date.fromisoformat(plain) if len(plain) == 10 else None
    except ValueError:
        return None


async def all_fields(tx: Tx, *, archived: bool = False) -> Sequence[Field]:
    """The fields in their order; archived ones instead when asked for."""
    put_away = Field.archived_at.is_not(None) if archived else Field.archived_at.is_(None)
    rows = await tx.scalars(
        select(Field).where(Field.workspace_id == tx.workspace_id, put_away).order_by(Field.place, Field.id)
    )
    return list(rows)


async def find(tx: Tx, field_id: UUID) -> Field:
    """A field of this workspace. Raises NotFound."""
    field = await tx.get(Field, field_id)
    if field is None:
        raise NotFound(_("This field is no longer there."), _("Open the page again."))
    return field


async def make(tx: Tx, name: str, kind: Kind, options: Sequence[str] = ()) -> Field:
    """A new field at the end. Raises AhlanError for a name or choices that cannot be, Conflict for a name in use."""
    name, options = _checked(name, kind, options)
    await tx.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"fields {tx.workspace_id}", 0))))
    here = await all_fields(tx)
    if len(here) >= MOST:
        raise AhlanError(_("There are 20 fields already."), _("Archive one first."), code="fields_full")
    key = folded(name)
    if await tx.scalar(select(Field.id).where(Field.workspace_id == tx.workspace_id, Field.key == key)):
        raise Conflict(_("There is a field with this name already."), _("It may be among the archived ones."))
    field = Field(key=key, name=name, kind=kind, options=list(options), place=here[-1].place + 1 if here else 0)
    tx.add(field)
    await tx.flush()
    return field


async def change(tx: Tx, field: Field, name: str, options: Sequence[str]) -> None:
    """Another name or other choices; its kind stays, and so does what conversations have in it."""
    field.name, chosen = _checked(name, Kind(field.kind), options)
    field.options = list(chosen)
    await tx.flush()


async def archive(tx: Tx, field: Field, *, back: bool = False) -> None:
    """Put a field away, or take it out again; values stay."""
    field.archived_at = None if back else datetime.now(UTC)
    await tx.flush()


async def move(tx: Tx, field: Field, step: int) -> None:
    """Let a field change places with the one before (-1) or after (1) it."""
    row = list(await all_fields(tx))
    at = next((place for place, one in enumerate(row) if one.id == field.id), None)
    if at is None or not 0 <= at + step < len(row):
        return
    row[at], row[at + step] = row[at + step], row[at]
    for place, one in enumerate(row):
        one.place = place
    await tx.flush()


async def values(tx: Tx, conversation_id: UUID) -> Mapping[str, str]:
    """What a conversation has, by the keys of the fields."""
    rows = await tx.execute(
        select(FieldValue.key, FieldValue.value).where(
            FieldValue.workspace_id == tx.workspace_id, FieldValue.conversation_id == conversation_id
        )
    )
    return {row.key: row.value for row in rows}


async def fill(tx: Tx, conversation: Conversation, field: Field, said: str, *, by: Agent | ByRule | None) -> bool:
    """Put a value into a field, or take it out with an empty one. Returns whether that was news.

    Raises AhlanError for what is none of the field's kind. The event names the field, never the value.
    """
    here = (
        FieldValue.workspace_id == tx.workspace_id,
        FieldValue.conversation_id == conversation.id,
        FieldValue.key == field.key,
    )
    if not said.strip():
        news = await tx.scalar(delete(FieldValue).where(*here).returning(FieldValue.key))
    else:
        value = read(Kind(field.kind), said, field.options)
        fresh = insert(FieldValue).values(
            workspace_id=tx.workspace_id, conversation_id=conversation.id, key=field.key, value=value.text,
            number=value.number, day=value.day,
        )  # fmt: skip
        kept = fresh.excluded
        news = await tx.scalar(
            fresh.on_conflict_do_update(
                index_elements=["workspace_id", "conversation_id", "key"],
                set_={"value": kept.value, "number": kept.number, "day": kept.day},
                where=FieldValue.value != kept.value,
            ).returning(FieldValue.key)
        )
    if news is None:
        return False
    await tx.record(
        "conversation.field_changed",
        subject_id=conversation.id,
        store_id=conversation.store_id,
        customer_id=conversation.customer_id,
        actor=by.actor if by is not None else "system",
        data={"field": field.name},
    )
    tx.publish(f"panel:conversation:{conversation.id}", {"type": "customer"})
    tx.publish("queue", {"conversation_id": str(conversation.id)})
    return True


def condition(tx: Tx, asked_for: Asked) -> Any:
    """A condition of a filter as SQL: numbers and days compare by size, everything else by its letters, in any case."""
    here = select(FieldValue.key).where(
        FieldValue.workspace_id == tx.workspace_id,
        FieldValue.conversation_id == Conversation.id,
        FieldValue.key == asked_for.key,
    )
    if not asked_for.compare:
        return here.exists()
    number, day = as_number(asked_for.value), as_day(asked_for.value)
    column: Any = func.lower(FieldValue.value)
    wanted: Any = asked_for.value.lower()
    if asked_for.compare != "=" and number is not None:
        column, wanted = FieldValue.number, number
    elif asked_for.compare != "=" and day is not None:
        column, wanted = FieldValue.day, day
    elif number is not None:
        # 42, 42.0 and ٤٢ are one number; a text field may hold it too.
        return here.where((FieldValue.number == number) | (column == wanted)).exists()
    compared = {"=": column == wanted, ">": column > wanted, ">=": column >= wanted, "<": column < wanted,
                "<=": column <= wanted}  # fmt: skip
    return here.where(compared[asked_for.compare]).exists()


def _checked(name: str, kind: Kind, options: Sequence[str]) -> tuple[str, Sequence[str]]:
    name = " ".join(name.split())
    if not folded(name) or len(name) > LONGEST_NAME or any(sign in name for sign in '",<>='):
        raise AhlanError(
            _("A field's name is a word or a few, at most 40 characters, without signs of comparison."),
            code="field_name",
        )
    if kind is not Kind.CHOICE:
        return name, ()
    chosen = list(dict.fromkeys(" ".join(option.split()) for option in options if option.strip()))
    if len(chosen) < 2 or len(chosen) > MOST_OPTIONS or any(len(option) > LONGEST_VALUE for option in chosen):
        raise AhlanError(_("Give at least two choices, and at most 50, one on each line."), code="field_options")
    return name, chosen
