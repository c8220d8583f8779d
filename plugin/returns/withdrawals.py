"""Withdrawals: what a consumer declared, kept as it came, and what becomes of it.

A statement is evidence. It is written once, with the receipt that is mailed for it; our own role cannot change it
afterwards, and retention deletes it whole. Beside it stands the case, which is worked on: it becomes a return, a wish
to cancel what was not sent, or waits for somebody of the team. Nothing here says whether there is an order.
"""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from typing import Any, cast
from uuid import UUID

import msgspec
import orjson
from sqlalchemy import Index, Table, UniqueConstraint, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, mapped_column

from plugin.crm.orders import Order
from plugin.kernel.db import Base, TenantRow, Tx, new_id, tenant_key
from plugin.kernel.errors import AhlanError, Conflict, NotFound
from plugin.kernel.i18n import Catalogues, zone_of
from plugin.kernel.lazy import _
from plugin.kernel.personal import kept
from plugin.kernel.text import harmless, normalise_email
from plugin.returns import withdrawal_receipt, withdrawal_rules, withdrawal_words
from plugin.returns.withdrawal_rules import Rules
from plugin.stores import Store
from plugin.team import Agent, audit

SETTING = "withdrawal"
"""Where a store's rules lie in its widget's settings."""
_LONGEST_NAME, _LONGEST_CONTRACT, _LONGEST_GOODS = 120, 120, 1000
_SOLD_LATELY = timedelta(days=365)
_LATEST = 5000
_WARN_BEFORE = timedelta(days=4)
_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_EVIDENCE = "evidence in a legal claim, kept whole for its time: Regulation (EU) 2016/679, 17(3)(e)"


class Stage(StrEnum):
    """open: somebody of the team has to look · return: it is a return · cancel: to be cancelled before it is sent ·
    done: settled · refused: there was no right to withdraw.
    """

    OPEN = "open"
    RETURN = "return"
    CANCEL = "cancel"
    DONE = "done"
    REFUSED = "refused"


OVER = (Stage.DONE, Stage.REFUSED)
WAITING = (Stage.OPEN, Stage.CANCEL)
"""What somebody of the team has to do."""


class Withdrawal(TenantRow, Base):
    """A statement, as it was confirmed. `contract` and `goods` are the consumer's own words; `label` is what the button
    said. `subject` and `receipt` are what is mailed to `email`. `digest` is SHA-256 over all that was declared.

    No foreign key to the browser: the evidence outlives it.
    """

    __tablename__ = "withdrawal_statements"
    __table_args__ = (
        UniqueConstraint(
            "workspace_id", "store_id", "visitor_id", "client_id", name="uq_withdrawal_statements_client"
        ),
        UniqueConstraint("workspace_id", "reference"),
        Index(None, "workspace_id", "created_at"),
        tenant_key("store_id", "stores"),
        {
            "info": {
                "grants": "SELECT, INSERT, DELETE",
                **kept(_EVIDENCE, plain=("reference", "name", "contract", "goods", "email", "language", "label",
                                         "zone", "subject", "receipt", "digest")),
            }
        },
    )  # fmt: skip

    store_id: Mapped[UUID]
    visitor_id: Mapped[UUID]
    client_id: Mapped[UUID]
    reference: Mapped[str]
    name: Mapped[str]
    contract: Mapped[str]
    goods: Mapped[str] = mapped_column(server_default="")
    email: Mapped[str]
    language: Mapped[str]
    label: Mapped[str]
    submitted_at: Mapped[datetime]
    zone: Mapped[str]
    subject: Mapped[str]
    receipt: Mapped[str]
    digest: Mapped[str]


class WithdrawalCase(TenantRow, Base):
    """What becomes of a statement; its id is the statement's. `why`: what a person has to look at, or how it ended.

    `verified`: the order is the one of the address that was given. `pay_by`: until when what was paid has to go back.
    `receipt_state`: queued, sent or failed. `customer_id` is no key: whose account the browser was signed in to.
    """

    __tablename__ = "withdrawals"
    __table_args__ = (
        tenant_key("id", "withdrawal_statements"),
        tenant_key("store_id", "stores"),
        tenant_key("order_id", "orders"),
        tenant_key("request_id", "return_requests"),
        Index(None, "workspace_id", "order_id"),
        Index(None, "workspace_id", "request_id", postgresql_where=text("request_id IS NOT NULL")),
        Index("ix_withdrawals_queue", "workspace_id", "stage", "pay_by", "id"),
        {"info": kept("what became of a statement, without the person", blank=("note",),
                      plain=("stage", "why", "receipt_state", "exempt"))},
    )  # fmt: skip

    store_id: Mapped[UUID]
    order_id: Mapped[UUID | None]
    request_id: Mapped[UUID | None]
    stage: Mapped[str] = mapped_column(server_default=Stage.OPEN)
    why: Mapped[str] = mapped_column(server_default="")
    verified: Mapped[bool] = mapped_column(server_default=text("false"))
    exempt: Mapped[list[Any]] = mapped_column(server_default=text("'[]'"))
    unsent: Mapped[int] = mapped_column(server_default=text("0"))
    pay_by: Mapped[datetime]
    warned_at: Mapped[datetime | None]
    receipt_state: Mapped[str] = mapped_column(server_default="queued")
    receipt_at: Mapped[datetime | None]
    note: Mapped[str] = mapped_column(server_default="")
    closed_at: Mapped[datetime | None]


_CASES = cast(Table, WithdrawalCase.__table__)


@dataclass(frozen=True, slots=True)
class Said:
    """A statement as it was typed: who, which contract, which goods of it (empty: all), where the receipt goes."""

    name: str
    contract: str
    email: str
    goods: str = ""


def read(name: str, contract: str, email: str, goods: str = "") -> Said:
    """What was typed, cleaned. Pure. Raises AhlanError for what is missing; that says nothing about any order."""
    name, contract = _line(name, _LONGEST_NAME), _line(contract, _LONGEST_CONTRACT)
    if not name:
        raise AhlanError(_("Write your name."), code="name")
    if not contract:
        raise AhlanError(
            _("Which contract is it?"), _("Write the order number, or what you bought and when."), code="contract"
        )
    address = normalise_email(email.strip()) if len(email) <= 200 else None
    if not address:
        raise AhlanError(_("This address looks incomplete."), _("The receipt goes there."), code="email")
    return Said(name, contract, address, harmless(goods).strip()[:_LONGEST_GOODS])


def _line(words: str, longest: int) -> str:
    return " ".join(harmless(words).split())[:longest]


# The shop's rules


def rules(store: Store) -> Rules:
    """The rules of a store; what nobody decided is as in a new one."""
    held = store.widget.get(SETTING)
    return msgspec.convert(held, Rules, strict=False) if held else Rules()


async def keep_rules(tx: Tx, store: Store, wanted: Rules, *, by: Agent) -> None:
    """Change a store's rules. Its pages are told, so that they show the function or take it away."""
    before = rules(store)
    if before == wanted:
        return
    store.widget = {**store.widget, SETTING: msgspec.to_builtins(wanted)}
    changes: dict[str, Sequence[object]] = {
        "store": [None, store.name],
        **audit.changed(
            {"withdrawal": before.when, "countries": " ".join(before.countries), "everyone": before.everyone,
             "automatic": before.automatic, "exemptions": len(before.exemptions)},
            {"withdrawal": wanted.when, "countries": " ".join(wanted.countries), "everyone": wanted.everyone,
             "automatic": wanted.automatic, "exemptions": len(wanted.exemptions)},
        ),
    }  # fmt: skip
    audit.note(tx, "settings.withdrawal", by=by.id, changes=changes)
    await tx.record("store.widget_changed", subject_id=store.id, store_id=store.id, actor=by.actor)
    await tx.enqueue("check_store", unique=f"check-now:{store.id}", store_id=store.id)


async def sells(tx: Tx, store: Store) -> bool:
    """Whether a store sells into one of its countries: it stands in one, or sent something there within a year.

    The latest orders alone are looked at, so that it costs the same in a shop of any size.
    """
    wanted = rules(store).countries
    if store.country in wanted:
        return True
    latest = (
        select(Order.placed_at, Order.shipping_address["country"].astext.label("country"))
        .where(Order.workspace_id == tx.workspace_id, Order.store_id == store.id)
        .order_by(Order.id.desc())
        .limit(_LATEST)
        .subquery()
    )
    found = await tx.scalar(
        select(func.count())
        .select_from(latest)
        .where(latest.c.placed_at > func.now() - _SOLD_LATELY, latest.c.country.in_(wanted))
    )
    return bool(found)


async def shown(tx: Tx, store: Store, country: str = "") -> bool:
    """Whether the function is shown to somebody in `country`, which may be unknown."""
    return rules(store).shown_to(country, sells=await sells(tx, store))


# Declaring


async def declare(
    tx: Tx, store: Store, visitor_id: UUID, client_id: UUID, said: Said, *, language: str, catalogues: Catalogues
) -> Withdrawal:
    """Take a statement down with the moment it came, and have its receipt mailed. The same `client_id` is once.

    Whether there is such an order is looked for by a job: whoever declares gets the same answer from the same work.
    """
    at = await tx.scalar(select(func.date_trunc("second", func.clock_timestamp())))
    zone = store.timezone or "UTC"
    words = withdrawal_words.translator(catalogues, language or store.locale, timezone=zone)
    reference = "W-" + "".join(secrets.choice(_ALPHABET) for _ in range(8))
    letter = withdrawal_receipt.letter(words, store, rules(store), said, reference, at, language)
    declared = {
        "store": str(store.id), "reference": reference, "name": said.name, "contract": said.contract,
        "goods": said.goods, "email": said.email, "submitted_at": at.astimezone(UTC).isoformat(),
        "receipt": letter.text,
    }  # fmt: skip
    id = new_id()
    written = await tx.scalar(
        insert(Withdrawal)
        .values(
            workspace_id=tx.workspace_id, id=id, store_id=store.id, visitor_id=visitor_id, client_id=client_id,
            reference=reference, name=said.name, contract=said.contract, goods=said.goods, email=said.email,
            language=words.locale, label=withdrawal_rules.label(language)[1], submitted_at=at, zone=zone,
            subject=letter.subject, receipt=letter.text,
            digest=hashlib.sha256(orjson.dumps(declared, option=orjson.OPT_SORT_KEYS)).hexdigest(),
        )
        .on_conflict_do_nothing(constraint=None, index_elements=["workspace_id", "store_id", "visitor_id", "client_id"])
        .returning(Withdrawal.id)
    )  # fmt: skip
    if written is None:
        known: Withdrawal = (
            await tx.scalars(
                select(Withdrawal).where(
                    Withdrawal.workspace_id == tx.workspace_id,
                    Withdrawal.store_id == store.id,
                    Withdrawal.visitor_id == visitor_id,
                    Withdrawal.client_id == client_id,
                )
            )
        ).one()
        return known
    day = withdrawal_rules.pay_by(at, zone)
    pay_by = datetime.combine(day, time(23, 59, 59), zone_of(zone))
    tx.add(WithdrawalCase(id=id, store_id=store.id, pay_by=pay_by, why="new", exempt=[]))
    await tx.flush()
    await tx.record(
        "withdrawal.declared", subject_id=id, store_id=store.id, actor=f"shopper:{visitor_id}",
        data={"reference": reference},
    )  # fmt: skip
    await tx.enqueue("send_withdrawal_receipt", unique=f"withdrawal-receipt:{id}", withdrawal_id=id)
    await tx.enqueue("sort_withdrawal", unique=f"withdrawal-sort:{id}", withdrawal_id=id)
    for name, when in (("soon", pay_by - _WARN_BEFORE), ("over", pay_by)):
        await tx.enqueue(
            "warn_withdrawal", delay=max(0.0, (when - at).total_seconds()), unique=f"withdrawal-{name}:{id}",
            withdrawal_id=id, over=name == "over",
        )  # fmt: skip
    tx.publish("returns", {"withdrawal_id": str(id)})
    found = await tx.get(Withdrawal, id)
    if found is None:
        raise LookupError("a statement that was just written is not there")
    return found


# What becomes of it


async def held(tx: Tx, withdrawal_id: UUID) -> tuple[Withdrawal, WithdrawalCase]:
    """A statement and its case, kept as they are until the end of the transaction. Raises NotFound."""
    case = await tx.get(WithdrawalCase, withdrawal_id, lock=True)
    statement = await tx.get(Withdrawal, withdrawal_id)
    if case is None or statement is None:
        raise NotFound(_("There is nothing here."), _("Check the address, or go back."))
    return statement, case


async def move(
    tx: Tx, case: WithdrawalCase, stage: Stage, *, by: Agent | None = None, why: str = "", note: str = "",
    values: Mapping[str, Any] | None = None,
) -> None:  # fmt: skip
    """Put a case elsewhere, if it still stands where the caller saw it, and write `values` of it with that.

    Raises Conflict when it stands elsewhere by now.
    """
    before = Stage(case.stage)
    ended = func.now() if stage in OVER else None
    changed = await tx.scalar(
        update(_CASES)
        .where(_CASES.c.workspace_id == tx.workspace_id, _CASES.c.id == case.id, _CASES.c.stage == before)
        .values(stage=stage, why=why, note=note or case.note, closed_at=ended, **(values or {}))
        .returning(_CASES.c.id)
    )
    if changed is None:
        raise moved_on()
    await tx.session.refresh(case)
    statement = await tx.get(Withdrawal, case.id)
    reference = statement.reference if statement is not None else ""
    await tx.record(
        "withdrawal.moved", subject_id=case.id, store_id=case.store_id, actor=by.actor if by is not None else "system",
        data={"reference": reference, "from": before, "to": stage, "why": why,
              **({"by": by.name} if by is not None else {})},
    )  # fmt: skip
    if by is not None:
        audit.note(
            tx, "orders.withdrawal", by=by.id, subject=case.order_id,
            changes={"withdrawal": ["", reference], "state": [before, stage.value]},
        )  # fmt: skip
    tx.publish("returns", {"withdrawal_id": str(case.id)})


async def finish(tx: Tx, case: WithdrawalCase, *, by: Agent) -> None:
    """It is settled: paid back or cancelled elsewhere. Raises Conflict when it is over already."""
    if Stage(case.stage) in OVER:
        raise moved_on()
    await move(tx, case, Stage.DONE, by=by, why="by_hand")


async def refuse(tx: Tx, case: WithdrawalCase, note: str, *, by: Agent) -> None:
    """There was no right to withdraw; the consumer is told why, in the team's words. Raises Conflict, AhlanError."""
    note = harmless(note).strip()[:2000]
    if not note:
        raise AhlanError(_("Say why, in your own words."), code="note_missing")
    if Stage(case.stage) not in WAITING:
        raise moved_on()
    await move(tx, case, Stage.REFUSED, by=by, note=note)
    await tx.enqueue("answer_withdrawal", unique=f"withdrawal-answer:{case.id}", withdrawal_id=case.id)


async def reopen(tx: Tx, case: WithdrawalCase, *, by: Agent) -> None:
    """Look at it once more. Raises Conflict when it is open."""
    if Stage(case.stage) in (Stage.OPEN, Stage.RETURN):
        raise moved_on()
    await move(tx, case, Stage.OPEN, by=by, why="by_hand")


def moved_on() -> Conflict:
    """Somebody else, or a job, was faster."""
    return Conflict(
        _("This withdrawal has moved on meanwhile."), _("Look where it stands now; nothing was changed."),
        code="moved_on",
    )  # fmt: skip


# The team's list


@dataclass(frozen=True, slots=True)
class Listed:
    """A row of the list. `order` is empty where none was found."""

    statement: Withdrawal
    case: WithdrawalCase
    order: str


async def page(tx: Tx, tab: str, *, words: str = "", after: UUID | None = None, limit: int = 50) -> Sequence[Listed]:
    """The cases of a tab (waiting, open, done, all), what is due first; `words`: a reference, a contract or a name."""
    stages = {"waiting": WAITING, "open": tuple(set(Stage) - set(OVER)), "done": OVER}.get(tab, tuple(Stage))
    conditions: list[Any] = [WithdrawalCase.workspace_id == tx.workspace_id, WithdrawalCase.stage.in_(stages)]
    if words:
        like = f"%{words.strip()[:100].replace('%', '').replace('_', '')}%"
        conditions.append(
            Withdrawal.reference.ilike(like) | Withdrawal.contract.ilike(like) | Withdrawal.name.ilike(like)
            | Withdrawal.email.ilike(like)
        )  # fmt: skip
    newest = tab in ("done", "all")
    # Ids are made in the order of time, and whoever was first has to be paid first.
    order = WithdrawalCase.id.desc() if newest else WithdrawalCase.id
    if after is not None:
        conditions.append(WithdrawalCase.id < after if newest else WithdrawalCase.id > after)
    rows: Any = await tx.execute(
        select(Withdrawal, WithdrawalCase, Order.name)
        .join(
            WithdrawalCase,
            (WithdrawalCase.workspace_id == Withdrawal.workspace_id) & (WithdrawalCase.id == Withdrawal.id),
        )
        .outerjoin(Order, (Order.workspace_id == WithdrawalCase.workspace_id) & (Order.id == WithdrawalCase.order_id))
        .where(*conditions)
        .order_by(order)
        .limit(limit)
    )
    return [Listed(statement, case, order or "") for statement, case, order in rows]


async def counts(tx: Tx) -> Mapping[str, int]:
    """How many wait for somebody, and how many of all that are not over are due within four days, or overdue."""
    row = (
        await tx.execute(
            select(
                func.count().filter(WithdrawalCase.stage.in_(WAITING)).label("waiting"),
                func.count().filter(WithdrawalCase.pay_by < func.now() + _WARN_BEFORE).label("due"),
            ).where(WithdrawalCase.workspace_id == tx.workspace_id, WithdrawalCase.stage.not_in(OVER))
        )
    ).one()
    return {"waiting": row.waiting, "due": row.due}


async def of_request(tx: Tx, request_id: UUID) -> WithdrawalCase | None:
    """The withdrawal that a return came of."""
    found: WithdrawalCase | None = await tx.scalar(
        select(WithdrawalCase).where(
            WithdrawalCase.workspace_id == tx.workspace_id, WithdrawalCase.request_id == request_id
        )
    )
    return found
