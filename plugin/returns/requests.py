"""Requests to send goods back: how one is made, who moves it on, and what the store is told of each move.

Every move is a compare-and-set on the state, a row of `states.MOVES`, and an event; what the store must hear of it is a
step in the same transaction (`steps.py`). Messages to the shopper follow the events (`telling.py`).
"""

import hashlib
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, cast
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import BigInteger, Index, Table, UniqueConstraint, func, select, text, tuple_, update
from sqlalchemy.orm import Mapped, mapped_column

from plugin import stores
from plugin.app import App
from plugin.conversations import conversations as threads
from plugin.conversations import messages
from plugin.crm import actions, identities
from plugin.crm.orders import Order
from plugin.crm.products import Product, Variant
from plugin.kernel.db import Base, TenantRow, Tx, new_id, tenant_key
from plugin.kernel.errors import AhlanError, Conflict, Forbidden, NotFound
from plugin.kernel.events import Event
from plugin.kernel.lazy import _
from plugin.kernel.money import Money
from plugin.kernel.personal import kept
from plugin.kernel.text import harmless
from plugin.return_desk import (
    DecideReturn,
    Disposed,
    Disposition,
    Ending,
    EndReturn,
    ExchangePart,
    LabelReturn,
    OpenReturn,
    PayReturn,
    ReceiveReturn,
    ReturnableLine,
    ReturnableOrder,
    ReturnPart,
)
from plugin.returns import policies, policy, states, steps
from plugin.returns.policies import PolicyVersion
from plugin.returns.policy import Choice, Customer, Decision, Eligibility, PayWhen, Promised, Resolution
from plugin.returns.states import OPEN, State, Who
from plugin.returns.steps import ReturnStep
from plugin.team import Agent, Permission, audit

OURS, STORES = "ahlan", "store"
"""Where a return was begun: here, or in the store's own admin."""

MAX_WORDS = 2000
_FIRST_NUMBER = 1001
_NO_RETURN = (State.CANCELLED, State.DECLINED)
"""What counts as no return when somebody's are counted."""


class ReturnRequest(TenantRow, Base):
    """A return. `choice` and `decision` are what was asked and judged, by the version `policy_version`.

    `worth` is what the goods count for and `cash`, `credit`, `bonus` what of it was promised, minor units of `currency`
    with `exponent` decimals; `paid` is what moved. `moves` counts the moves. `pays` is the step at which the money
    moves by itself, empty where somebody has to say so, and `payer_id` whose right it is then (null: the policy's).
    `waiting_since`: it waits for somebody of the team; `stuck`: because the store did not do what it was told.
    `external_id` is the store's return, `conversation_id` where the shopper is told of it, `photos` and `label_file`
    are attachments.
    """

    __tablename__ = "return_requests"
    __table_args__ = (
        UniqueConstraint("workspace_id", "store_id", "serial"),
        UniqueConstraint("workspace_id", "public_id"),
        UniqueConstraint("workspace_id", "store_id", "client_id"),
        Index(None, "workspace_id", "serial"),
        Index(None, "workspace_id", "order_id"),
        Index("ix_return_requests_queue", "workspace_id", "state", "moved_at", "id"),
        Index("ix_return_requests_newest", "workspace_id", "moved_at", "id"),
        Index(
            "ix_return_requests_waiting",
            "workspace_id",
            "waiting_since",
            "id",
            postgresql_where=text("waiting_since IS NOT NULL"),
        ),
        Index(
            "ix_return_requests_conversation",
            "workspace_id",
            "conversation_id",
            postgresql_where=text("conversation_id IS NOT NULL"),
        ),
        Index(
            "uq_return_requests_external",
            "workspace_id",
            "store_id",
            "external_id",
            unique=True,
            postgresql_where=text("external_id <> ''"),
        ),
        tenant_key("store_id", "stores"),
        tenant_key("order_id", "orders"),
        tenant_key("policy_version", "return_policies", ondelete="RESTRICT"),
        {
            "info": kept(
                "the merchant's books: what was sent back and what was given for it",
                blank=("public_id", "choice", "note", "own_words", "tracking_number", "tracking_url", "photos"),
                plain=("origin", "state", "resolution", "decision", "language", "method", "why", "external_id", "name",
                       "carrier", "currency", "pays", "asked_by", "review"),
            )
        },
    )  # fmt: skip

    store_id: Mapped[UUID]
    order_id: Mapped[UUID]
    conversation_id: Mapped[UUID | None]
    client_id: Mapped[UUID]
    serial: Mapped[int]
    public_id: Mapped[str]
    origin: Mapped[str] = mapped_column(server_default=OURS)
    asked_by: Mapped[str] = mapped_column(server_default=Who.SHOPPER)
    state: Mapped[str] = mapped_column(server_default=State.REQUESTED)
    moves: Mapped[int] = mapped_column(server_default=text("0"))
    moved_at: Mapped[datetime] = mapped_column(server_default=func.now())
    waiting_since: Mapped[datetime | None]
    stuck: Mapped[bool] = mapped_column(server_default=text("false"))
    reminded_at: Mapped[datetime | None]
    resolution: Mapped[str] = mapped_column(server_default="")
    policy_version: Mapped[UUID | None]
    verified: Mapped[bool] = mapped_column(server_default=text("false"))
    language: Mapped[str] = mapped_column(server_default="")
    choice: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    decision: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    review: Mapped[list[str]] = mapped_column(server_default=text("'[]'"))
    keep: Mapped[bool] = mapped_column(server_default=text("false"))
    pays: Mapped[str] = mapped_column(server_default="")
    payer_id: Mapped[UUID | None]
    worth: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    cash: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    credit: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    bonus: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    delivery: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    paid: Mapped[int | None] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(server_default="")
    exponent: Mapped[int] = mapped_column(server_default=text("2"))
    external_id: Mapped[str] = mapped_column(server_default="")
    name: Mapped[str] = mapped_column(server_default="")
    method: Mapped[str] = mapped_column(server_default="")
    carrier: Mapped[str] = mapped_column(server_default="")
    tracking_number: Mapped[str] = mapped_column(server_default="")
    tracking_url: Mapped[str] = mapped_column(server_default="")
    label_file: Mapped[UUID | None]
    photos: Mapped[list[str]] = mapped_column(server_default=text("'[]'"))
    why: Mapped[str] = mapped_column(server_default="")
    note: Mapped[str] = mapped_column(server_default="")
    own_words: Mapped[str] = mapped_column(server_default="")
    received_at: Mapped[datetime | None]
    inspected_at: Mapped[datetime | None]
    paid_at: Mapped[datetime | None]

    @property
    def number(self) -> str:
        """Its name for people: in the store's books, in messages, on the parcel."""
        return f"R-{self.serial}"

    @property
    def decided(self) -> Decision:
        """What was shown and agreed to."""
        return msgspec.convert(self.decision, Decision)

    @property
    def chosen(self) -> Choice | None:
        """What was asked for; None once its person was erased, and for the store's own returns."""
        return msgspec.convert(self.choice, Choice) if self.choice else None

    @property
    def promised(self) -> Money:
        """What moves once it is paid: money or credit, without a bonus."""
        return self.money(self.cash or self.credit)

    def money(self, amount: int) -> Money:
        """An amount of this return."""
        return Money(amount, self.currency, self.exponent)


class ReturnLine(TenantRow, Base):
    """So many of one line of the order that go back, and what became of them: `restock`, `damaged` and `missing` add up
    to `quantity` once they were looked at.
    """

    __tablename__ = "return_lines"
    __table_args__ = (
        Index("ix_return_lines_request", "workspace_id", "request_id", "position"),
        tenant_key("request_id", "return_requests"),
        {
            "info": kept(
                "the merchant's books: what was sent back, and why",
                blank=("words", "answers"),
                plain=("line_external_id", "title", "variant_title", "sku", "image_url", "product_external_id",
                       "variant_external_id", "reason"),
            )
        },
    )  # fmt: skip

    store_id: Mapped[UUID]
    order_id: Mapped[UUID]
    request_id: Mapped[UUID]
    position: Mapped[int]
    line_external_id: Mapped[str]
    title: Mapped[str]
    variant_title: Mapped[str] = mapped_column(server_default="")
    sku: Mapped[str] = mapped_column(server_default="")
    image_url: Mapped[str] = mapped_column(server_default="")
    product_external_id: Mapped[str] = mapped_column(server_default="")
    variant_external_id: Mapped[str] = mapped_column(server_default="")
    quantity: Mapped[int]
    reason: Mapped[str]
    words: Mapped[str] = mapped_column(server_default="")
    answers: Mapped[list[str]] = mapped_column(server_default=text("'[]'"))
    goods: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    fee: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    restock: Mapped[int] = mapped_column(server_default=text("0"))
    damaged: Mapped[int] = mapped_column(server_default=text("0"))
    missing: Mapped[int] = mapped_column(server_default=text("0"))


REQUESTS = cast(Table, ReturnRequest.__table__)
LINES = cast(Table, ReturnLine.__table__)


@dataclass(frozen=True, slots=True)
class Offer:
    """What of an order may come back today. `open` are its returns that are under way."""

    order: ReturnableOrder
    policy: PolicyVersion
    lines: tuple[tuple[ReturnableLine, Eligibility], ...]
    customer: Customer
    promised: Promised
    open: tuple[ReturnRequest, ...] = ()


# Asking


async def offer(app: App, workspace_id: UUID, order_id: UUID, *, gift: bool = False) -> Offer:
    """What may come back. Asks the store: raises PlatformError, NotFound, Conflict when its store is disconnected."""
    read = await _read(app, workspace_id, order_id)
    async with app.db.transaction(workspace_id) as tx:
        judged = await _judge(tx, order_id)
    rules, today = judged.version.policy, judged.today
    lines = tuple(
        (line, policy.eligibility(rules, read, line, today, gift=gift, promised=judged.promised)) for line in read.lines
    )
    return Offer(read, judged.version, lines, judged.customer, judged.promised, judged.open)


async def decide(app: App, workspace_id: UUID, order_id: UUID, choice: Choice) -> Decision:
    """What comes back, line by line. Changes nothing. Raises as `offer`."""
    read = await _read(app, workspace_id, order_id)
    async with app.db.transaction(workspace_id) as tx:
        judged = await _judge(tx, order_id)
        choice = await _priced(tx, judged.store_id, choice)
    return policy.quote(
        judged.version.policy, read, choice, judged.today, customer=judged.customer, promised=judged.promised
    )


def digest(decision: Decision) -> str:
    """A short name for exactly this decision: what was shown and what is confirmed must have the same."""
    return hashlib.sha256(msgspec.json.encode(decision)).hexdigest()[:32]


async def submit(
    app: App,
    workspace_id: UUID,
    order_id: UUID,
    choice: Choice,
    *,
    client_id: UUID,
    decision_digest: str,
    language: str,
    verified: bool,
    conversation_id: UUID | None = None,
    by: Agent | None = None,
    photos: Sequence[UUID] = (),
    uploader: str = "",
    method: str = "",
) -> ReturnRequest:
    """Ask for a return; the same `client_id` twice is one request. `photos` are `uploader`'s own attachments.

    `verified`: they proved that the order is theirs; otherwise nothing happens before an agent has asked them. Raises as
    `offer`, Conflict when what comes back is no longer what was shown, AhlanError when it cannot come back.
    """
    async with app.db.transaction(workspace_id) as tx:
        if (known := await _by_client_id(tx, order_id, client_id)) is not None:
            return known
    read = await _read(app, workspace_id, order_id)
    async with app.db.transaction(workspace_id) as tx:
        order, _store = await _order(tx, order_id, hold=True)
        if (known := await _by_client_id(tx, order_id, client_id)) is not None:
            return known
        judged = await _judge(tx, order_id)
        choice = await _priced(tx, order.store_id, choice)
        decision = policy.quote(
            judged.version.policy, read, choice, judged.today, customer=judged.customer, promised=judged.promised
        )
        if not decision.allowed:
            raise AhlanError(
                _("This cannot be sent back like that."), _("Look again at what may come back."), code="return_refused"
            )
        if digest(decision) != decision_digest:
            raise Conflict(
                _("What comes back has changed meanwhile."), _("Look at the new amounts, then confirm again."),
                code="decision_changed",
            )  # fmt: skip
        request = await _write(
            tx, order, read, choice, decision, judged, client_id=client_id, language=language, verified=verified,
            conversation_id=conversation_id, by=by, photos=photos, uploader=uploader, method=method,
        )  # fmt: skip
        at_once = judged.version.policy.automatic and verified and not decision.review
        await _record(
            tx, "return_request.requested", request, order, _actor(request, by or Who.SHOPPER),
            {"at_once": at_once, "reasons": sorted({line.reason for line in choice.lines})},
        )  # fmt: skip
        await _tell_store(tx, request, await _opening(tx, request, approved=at_once), by)
        if at_once:
            await _shift(tx, request, "approve", Who.SYSTEM)
            await _go_on(tx, request)
        else:
            await _reckon(tx, request)
        return request


# Reading


async def get(tx: Tx, request_id: UUID) -> ReturnRequest:
    """A return. Raises NotFound."""
    found = await tx.get(ReturnRequest, request_id)
    if found is None:
        raise _gone()
    return found


async def held(tx: Tx, request_id: UUID) -> ReturnRequest:
    """The same, kept as it is until the end of the transaction: whoever else moves it waits. Raises NotFound."""
    found = await tx.get(ReturnRequest, request_id, lock=True)
    if found is None:
        raise _gone()
    return found


async def by_public_id(tx: Tx, public_id: str) -> ReturnRequest | None:
    """The return behind a link that nobody guesses."""
    found: ReturnRequest | None = await tx.scalar(
        select(ReturnRequest).where(
            ReturnRequest.workspace_id == tx.workspace_id,
            ReturnRequest.public_id == public_id,
            ReturnRequest.public_id != "",
        )
    )
    return found


async def of_order(tx: Tx, order_id: UUID) -> Sequence[ReturnRequest]:
    """The returns of an order, the newest first."""
    return await _of(tx, ReturnRequest.order_id == order_id)


async def of_orders(tx: Tx, order_ids: Collection[UUID]) -> Sequence[ReturnRequest]:
    """The returns of several orders, the newest first."""
    return await _of(tx, ReturnRequest.order_id.in_(order_ids)) if order_ids else []


async def of_conversation(tx: Tx, conversation_id: UUID) -> Sequence[ReturnRequest]:
    """The returns that a conversation is about, the newest first."""
    return await _of(tx, ReturnRequest.conversation_id == conversation_id)


async def _of(tx: Tx, condition: Any) -> Sequence[ReturnRequest]:
    rows = await tx.scalars(
        select(ReturnRequest)
        .where(ReturnRequest.workspace_id == tx.workspace_id, condition)
        .order_by(ReturnRequest.created_at.desc(), ReturnRequest.id.desc())
        .limit(50)
    )
    return list(rows)


async def lines_of(tx: Tx, request_id: UUID) -> Sequence[ReturnLine]:
    """What goes back, in the order's order."""
    rows = await tx.scalars(
        select(ReturnLine)
        .where(ReturnLine.workspace_id == tx.workspace_id, ReturnLine.request_id == request_id)
        .order_by(ReturnLine.position)
        .execution_options(populate_existing=True)
    )
    return list(rows)


async def history(tx: Tx, request: ReturnRequest) -> Sequence[Event]:
    """What happened to it, the oldest first."""
    rows = await tx.scalars(
        select(Event)
        .where(Event.workspace_id == tx.workspace_id, Event.subject_id == request.id)
        .order_by(Event.at, Event.id)
        .limit(200)
    )
    return list(rows)


async def steps_of(tx: Tx, request: ReturnRequest) -> list[tuple[State, datetime]]:
    """What a shopper may see of its way: each state that it came to, and when; the last is where it stands."""
    reached = {one.event: one.target for one in states.MOVES} | {"return_request.requested": State.REQUESTED}
    found: list[tuple[State, datetime]] = []
    for event in await history(tx, request):
        target = reached.get(event.kind)
        if event.kind == "return_request.reopened":
            target = State(event.data.get("to", State.REQUESTED))
        if target is not None and (not found or found[-1][0] is not target):
            found.append((target, event.at))
    return found


# Moves


async def approve(tx: Tx, request: ReturnRequest, *, by: Agent | Who) -> None:
    """Yes. Where the policy pays by itself, it does so in the name of whoever says so, within their limit.

    Raises Conflict when it is elsewhere by now, Moving while its store moves.
    """
    await _still(tx, request)
    if isinstance(by, Agent):
        # The policy's own hand pays what the policy agreed to; what a person agrees to is theirs to give.
        may = await _may_give(tx, request, by)
        request.pays, request.payer_id = (request.pays, by.id) if may else ("", None)
        request.verified = True
    await _shift(tx, request, "approve", by)
    if by is not Who.STORE:
        await _tell_store(tx, request, DecideReturn(request.number, request.external_id, approve=True), by)
    await _go_on(tx, request)


async def decline(tx: Tx, request: ReturnRequest, *, why: str, note: str = "", by: Agent | Who) -> None:
    """No, and why: final_sale, too_late or other, with words for the shopper. Raises Conflict, Moving."""
    await _still(tx, request)
    note = _cleaned(note)
    if why not in ("final_sale", "too_late", "other"):
        raise AhlanError(_("Choose why."), code="why")
    if why == "other" and not note and by is not Who.STORE:
        raise AhlanError(_("Say why, in your own words."), code="note_missing")
    await _shift(tx, request, "decline", by, why=why, note=note)
    if by is not Who.STORE:
        said = DecideReturn(request.number, request.external_id, approve=False, why=why, note=note)
        await _tell_store(tx, request, said, by)
    await _reckon(tx, request)


async def ask(tx: Tx, request: ReturnRequest, *, note: str, by: Agent) -> None:
    """Something is missing: the shopper is asked for it. Raises Conflict, Moving, AhlanError without words."""
    await _still(tx, request)
    note = _cleaned(note)
    if not note:
        raise AhlanError(_("Write what you need to know."), code="note_missing")
    await _shift(tx, request, "ask", by, note=note)
    await _reckon(tx, request)


async def answer(
    tx: Tx, request: ReturnRequest, words: str, photos: Sequence[UUID] = (), *, uploader: str = "",
    by: Agent | Who = Who.SHOPPER,
) -> None:  # fmt: skip
    """The shopper says what was asked for. Raises Conflict, Moving, AhlanError when nothing is said."""
    await _still(tx, request)
    words = _cleaned(words)
    if not words and not photos:
        raise AhlanError(_("There is nothing in this answer."), code="answer_empty")
    await _shift(tx, request, "answer", by, own_words=words)
    await _keep_photos(tx, request, photos, uploader, f"answer {request.moves}", words)
    await _reckon(tx, request)


async def label(
    tx: Tx, request: ReturnRequest, *, carrier: str = "", tracking_number: str = "", tracking_url: str = "",
    file: UUID | None = None, by: Agent | Who,
) -> None:  # fmt: skip
    """The shopper has what they need to send it. `file` is the attachment of a label, `by`'s own.

    Raises Conflict, Moving, AhlanError when there is neither a label nor a number.
    """
    await _still(tx, request)
    values = _parcel(carrier, tracking_number, tracking_url)
    if file is None and request.label_file is None and not values["tracking_number"]:
        raise AhlanError(_("Add the label, or the parcel's number."), code="label_missing")
    if file is not None:
        await _keep_photos(tx, request, [file], f"agent:{by.id}" if isinstance(by, Agent) else "", f"label {file}", "")
        values["label_file"] = file
    await _shift(tx, request, "label", by, **values)
    await _tell_store(tx, request, _labelled(request), by)
    await _reckon(tx, request)


async def ship(
    tx: Tx, request: ReturnRequest, *, carrier: str = "", tracking_number: str = "", tracking_url: str = "",
    by: Agent | Who,
) -> None:  # fmt: skip
    """The goods are on their way. Raises Conflict, Moving."""
    await _still(tx, request)
    values = {name: value for name, value in _parcel(carrier, tracking_number, tracking_url).items() if value}
    await _shift(tx, request, "ship", by, **values)
    if values.get("tracking_number"):
        await _tell_store(tx, request, _labelled(request), by)
    await _go_on(tx, request)


async def receive(tx: Tx, request: ReturnRequest, *, by: Agent) -> None:
    """The parcel is here. Raises Conflict, Moving."""
    await _still(tx, request)
    await _shift(tx, request, "receive", by, received_at=datetime.now(UTC))
    await _go_on(tx, request)


async def inspect(
    tx: Tx, request: ReturnRequest, found: Mapping[UUID, Mapping[Disposition, int]], *, by: Agent
) -> None:
    """What became of every line, by its id: all of a line is restocked, damaged or missing.

    Where something is not as it should be, nothing is paid by itself. Raises Conflict, Moving, AhlanError when the
    numbers do not add up.
    """
    await _still(tx, request)
    lines = await lines_of(tx, request.id)
    goods: list[Disposed] = []
    for line in lines:
        counts = {kind: int(found.get(line.id, {}).get(kind, 0)) for kind in Disposition}
        if sum(counts.values()) != line.quantity or min(counts.values()) < 0:
            raise AhlanError(_("Say of every item what became of it."), code="inspection")
        line.restock, line.damaged, line.missing = (counts[kind] for kind in
                                                    (Disposition.RESTOCK, Disposition.DAMAGED, Disposition.MISSING))  # fmt: skip
        goods += [Disposed(line.line_external_id, count, kind) for kind, count in counts.items() if count]
    whole = all(one.disposition is Disposition.RESTOCK for one in goods)
    await _shift(tx, request, "inspect", by, inspected_at=datetime.now(UTC), **({} if whole else {"pays": ""}))
    if goods:
        await _tell_store(tx, request, ReceiveReturn(request.number, request.external_id, tuple(goods)), by)
    if request.paid_at is not None:
        await _shift(tx, request, "complete", Who.SYSTEM)
    await _go_on(tx, request)


async def pay(tx: Tx, request: ReturnRequest, *, by: Agent | Who, amount: int | None = None) -> ReturnStep:
    """Have the store give back what was promised, or `amount` (minor units) of it. Once: asked again it is the same.

    Raises Forbidden beyond an agent's rights and limit, Conflict when it is no time for it or money of the order is on
    its way already, AhlanError for more than was promised, Moving while the store moves.
    """
    await _still(tx, request)
    # Two at one order: the second sees what the first did.
    await tx.get(Order, request.order_id, lock=True)
    if (before := await steps.payment(tx, request.id)) is not None:
        return before
    if request.origin != OURS or request.paid_at is not None or State(request.state) not in _PAYABLE:
        raise _elsewhere(request)
    decision, promised = request.decided, request.promised
    money = promised if amount is None else request.money(amount)
    if not 0 <= money.amount <= promised.amount:
        raise AhlanError(_("That is more than was promised."), _("Look again at the amount."), code="too_much")
    bonus = request.money(request.bonus if money == promised else request.bonus * money.amount // promised.amount)
    payer = by.id if isinstance(by, Agent) else request.payer_id
    agent = by if isinstance(by, Agent) else await tx.get(Agent, payer) if payer is not None else None
    if payer is not None and not await _may_give(tx, request, agent, money + bonus):
        raise Forbidden(
            _("That is more than you may give back on one order."),
            _("Somebody with a higher limit can do it; nothing was changed."),
            code="over_limit",
        )
    if await actions.under_way(tx, request.order_id, besides=request.id):
        raise Conflict(
            _("Money of this order is on its way already."), _("Wait until that is done, then look again."),
            code="money_under_way",
        )  # fmt: skip
    fees = [fee for fee in (decision.restocking_fee, decision.shipping_fee) if fee is not None and fee.amount]
    wanted = PayReturn(
        request.number,
        request.external_id,
        await _parts(tx, request),
        money,
        delivery=request.money(min(request.delivery, money.amount)) if request.delivery else None,
        fees=sum(fees[1:], fees[0]) if fees else None,
        credit=bool(request.credit),
        bonus=bonus if bonus.amount else None,
    )
    step = await steps.add(
        tx, request_id=request.id, order_id=request.order_id, store_id=request.store_id, action=wanted, by=payer
    )
    if isinstance(by, Agent):
        audit.note(
            tx, "orders.return_paid", by=by.id, subject=request.order_id,
            changes={"return": ["", request.number], "amount": ["", f"{money.decimal()} {money.currency}"]},
        )  # fmt: skip
    await _reckon(tx, request)
    return step


async def close(tx: Tx, request: ReturnRequest, *, by: Agent | Who, why: str = "") -> None:
    """Nothing more is to be done about it. `why`: not_sent where nothing ever came. Raises Conflict, Moving."""
    await _still(tx, request)
    await _no_money_under_way(tx, request)
    await _shift(tx, request, "close", by, why=why)
    if by is not Who.STORE:
        await _tell_store(tx, request, EndReturn(request.number, request.external_id, Ending.CLOSE), by)
    await _reckon(tx, request)


async def cancel(tx: Tx, request: ReturnRequest, *, by: Agent | Who) -> None:
    """Call it off, as long as the goods are with the shopper and no money moved. Raises Conflict, Moving."""
    await _still(tx, request)
    await _no_money_under_way(tx, request)
    if request.paid_at is not None:
        raise _elsewhere(request)
    await _shift(tx, request, "cancel", by)
    if by is not Who.STORE and not await _never_told(tx, request):
        await _tell_store(tx, request, EndReturn(request.number, request.external_id, Ending.CANCEL), by)
    await _reckon(tx, request)


async def reopen(tx: Tx, request: ReturnRequest, *, by: Agent | Who) -> None:
    """Take it up again: what was closed goes on where the goods are, what was declined or cancelled is asked anew.

    Raises Conflict, Moving.
    """
    await _still(tx, request)
    if State(request.state) is State.CLOSED:
        await _shift(tx, request, "resume_received" if request.received_at else "resume", by)
        if by is not Who.STORE:
            await _tell_store(tx, request, EndReturn(request.number, request.external_id, Ending.REOPEN), by)
    else:
        if request.origin != OURS:
            raise _elsewhere(request)
        # For the store what was declined or cancelled is over: it gets a new return.
        await _shift(tx, request, "reopen", by, external_id="", name="")
        await _tell_store(tx, request, await _opening(tx, request, approved=False), by)
    await _reckon(tx, request)


async def paid(tx: Tx, request: ReturnRequest, step: ReturnStep, amount: Money, *, actor: str) -> None:
    """The money has moved: written down once, and told. What is left to do about the goods goes on."""
    if request.paid_at is not None:
        return
    data = {"amount": amount.amount, "currency": amount.currency, "exponent": amount.exponent}
    values = {"paid_at": datetime.now(UTC), "paid": amount.amount}
    state = State(request.state)
    if state is State.INSPECTED or (state is State.APPROVED and request.keep):
        await _shift(tx, request, "pay", Who.SYSTEM, data=data, actor=actor, **values)
    else:
        await _set(tx, request, **values)
        order = await tx.get(Order, request.order_id)
        await _record(tx, "return_request.paid", request, order, actor, data)
    await _reckon(tx, request)


async def stuck(tx: Tx, request: ReturnRequest, step: ReturnStep) -> None:
    """The store did not do what it was told, or did not say: somebody of the team has to look."""
    await _set(tx, request, stuck=True)
    order = await tx.get(Order, request.order_id)
    data = {"step": step.kind, "state": step.state, "code": step.code}
    await _record(tx, "return_request.stuck", request, order, "system", data)
    await _reckon(tx, request)


async def unstuck(tx: Tx, request: ReturnRequest) -> None:
    """Somebody looked; the steps go on."""
    if request.stuck:
        await _set(tx, request, stuck=False)
    await _reckon(tx, request)
    await steps.go(tx, request.id)


async def remind(tx: Tx, request: ReturnRequest) -> None:
    """The shopper is reminded that something is theirs to do."""
    await _set(tx, request, reminded_at=datetime.now(UTC))
    order = await tx.get(Order, request.order_id)
    await _record(tx, "return_request.reminded", request, order, "system", {"state": request.state})


def may(request: ReturnRequest, name: str, who: Who) -> bool:
    """Whether a move is possible from here, as far as the request itself tells. Pure."""
    if name not in states.possible(State(request.state), who):
        return False
    if name == "cancel":
        return request.paid_at is None
    if name == "reopen":
        return request.origin == OURS
    if name in ("receive", "inspect"):
        return request.origin == OURS
    if name in ("resume", "resume_received"):
        return (name == "resume_received") is (request.received_at is not None)
    return True


_PAYABLE = frozenset({State.APPROVED, State.SENT, State.IN_TRANSIT, State.RECEIVED, State.INSPECTED})
_REACHED: Mapping[State, PayWhen] = {
    State.APPROVED: PayWhen.APPROVED,
    State.SENT: PayWhen.APPROVED,
    State.IN_TRANSIT: PayWhen.IN_TRANSIT,
    State.RECEIVED: PayWhen.RECEIVED,
    State.INSPECTED: PayWhen.INSPECTED,
}
_STEPS = tuple(PayWhen)


def pay_is_due(request: ReturnRequest) -> bool:
    """Whether what was promised should move now, by itself or by somebody's hand. Pure."""
    reached = _REACHED.get(State(request.state))
    if reached is None or request.paid_at is not None or request.origin != OURS:
        return False
    if request.keep:
        return True
    return not request.pays or _STEPS.index(reached) >= _STEPS.index(PayWhen(request.pays))


# Inside


@dataclass(frozen=True, slots=True)
class _Judged:
    """What a judgement needs besides the order itself."""

    store_id: UUID
    version: PolicyVersion
    customer: Customer
    promised: Promised
    today: date
    open: tuple[ReturnRequest, ...] = field(default=())


async def _order(tx: Tx, order_id: UUID, *, hold: bool = False) -> tuple[Order, stores.Store]:
    order, store = await actions.order_of(tx, order_id)
    await stores.standing_still(tx, store.id)
    if hold:
        await stores.held(tx, store.id)
        await stores.standing_still(tx, store.id)
        await tx.get(Order, order_id, lock=True)
    return order, store


async def _read(app: App, workspace_id: UUID, order_id: UUID) -> ReturnableOrder:
    async with app.db.transaction(workspace_id) as tx:
        order, store = await _order(tx, order_id)
    read = await app.platforms[store.platform].returnable(store.connection(), order.external_id)
    if read is None:
        raise NotFound(_("There is nothing here."), _("Check the address, or go back."))
    return read


async def _judge(tx: Tx, order_id: UUID) -> _Judged:
    order, store = await _order(tx, order_id)
    version = await policies.current(tx, store)
    rules = version.policy
    under_way = tuple(one for one in await of_order(tx, order_id) if State(one.state) in OPEN and one.origin == OURS)
    return _Judged(
        store.id,
        version,
        Customer(returns=await _returns_of(tx, order, rules.most_days)),
        await _promised(tx, under_way),
        datetime.now(ZoneInfo(rules.zone)).date(),
        under_way,
    )


async def _returns_of(tx: Tx, order: Order, days: int) -> int:
    """How many returns the order's person asked for lately."""
    theirs = [Order.id == order.id]
    if order.customer_id is not None:
        theirs = [Order.customer_id.in_(await identities.family(tx, order.customer_id))]
    elif order.email:
        theirs = [Order.email == order.email, Order.store_id == order.store_id]
    found = await tx.scalar(
        select(func.count())
        .select_from(ReturnRequest)
        .join(Order, tuple_(Order.workspace_id, Order.id) == tuple_(ReturnRequest.workspace_id, ReturnRequest.order_id))
        .where(
            ReturnRequest.workspace_id == tx.workspace_id,
            ReturnRequest.created_at > datetime.now(UTC) - timedelta(days=days),
            ReturnRequest.state.not_in(_NO_RETURN),
            *theirs,
        )
    )
    return int(found)


async def _promised(tx: Tx, under_way: Sequence[ReturnRequest]) -> Promised:
    """What these still take. The store counts what it knows: its own open returns, and what was paid."""
    unpaid = [one for one in under_way if one.paid_at is None]
    unknown = [one.id for one in unpaid if not one.external_id]
    units: dict[str, int] = {}
    if unknown:
        for line in await tx.scalars(
            select(ReturnLine).where(ReturnLine.workspace_id == tx.workspace_id, ReturnLine.request_id.in_(unknown))
        ):
            units[line.line_external_id] = units.get(line.line_external_id, 0) + line.quantity
    return Promised(
        amount=sum(one.cash + one.credit for one in unpaid), delivery=sum(one.delivery for one in unpaid), units=units
    )


async def _priced(tx: Tx, store_id: UUID, choice: Choice) -> Choice:
    """The choice with what is sent instead at the store's own prices: what a browser says of them counts for nothing."""
    if not choice.exchange:
        return choice
    wanted = {part.variant_external_id for part in choice.exchange}
    rows = await tx.execute(
        select(Variant, Product.title)
        .join(Product, tuple_(Product.workspace_id, Product.id) == tuple_(Variant.workspace_id, Variant.product_id))
        .where(
            Variant.workspace_id == tx.workspace_id,
            Variant.store_id == store_id,
            Variant.external_id.in_(wanted),
            Variant.available,
            Product.deleted_at.is_(None),
        )
    )
    known = {row.Variant.external_id: (row.Variant, row.title) for row in rows}
    parts = []
    for part in choice.exchange:
        variant, title = known.get(part.variant_external_id, (None, part.title))
        price = None
        if variant is not None and variant.price is not None:
            price = Money(variant.price, variant.currency, variant.exponent)
        named = " · ".join(filter(None, (title, variant.title if variant else "")))
        parts.append(ExchangePart(part.variant_external_id, part.quantity, named, price))
    return replace(choice, exchange=tuple(parts))


async def _by_client_id(tx: Tx, order_id: UUID, client_id: UUID) -> ReturnRequest | None:
    found: ReturnRequest | None = await tx.scalar(
        select(ReturnRequest).where(
            ReturnRequest.workspace_id == tx.workspace_id,
            ReturnRequest.order_id == order_id,
            ReturnRequest.client_id == client_id,
        )
    )
    return found


async def next_serial(tx: Tx) -> int:
    """The next number of this workspace. Held until the end of the transaction: nobody gets it twice."""
    await tx.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"return number {tx.workspace_id}", 0))))
    last = await tx.scalar(select(func.max(ReturnRequest.serial)).where(ReturnRequest.workspace_id == tx.workspace_id))
    return (last or _FIRST_NUMBER - 1) + 1


async def _write(
    tx: Tx, order: Order, read: ReturnableOrder, choice: Choice, decision: Decision, judged: _Judged, *,
    client_id: UUID, language: str, verified: bool, conversation_id: UUID | None, by: Agent | None,
    photos: Sequence[UUID], uploader: str, method: str,
) -> ReturnRequest:  # fmt: skip
    nothing = Money(0, read.paid.currency, read.paid.exponent)
    rules = judged.version.policy
    automatic = verified and rules.automatic and not decision.review
    request = ReturnRequest(
        id=new_id(),
        store_id=order.store_id,
        order_id=order.id,
        client_id=client_id,
        serial=await next_serial(tx),
        public_id=secrets.token_urlsafe(16),
        origin=OURS,
        asked_by=Who.AGENT if by is not None else Who.SHOPPER,
        state=State.REQUESTED,
        moves=0,
        resolution=choice.resolution,
        policy_version=judged.version.id,
        verified=verified,
        language=language,
        choice=msgspec.to_builtins(choice),
        decision=msgspec.to_builtins(decision),
        review=[*decision.review, *([] if verified else ["unverified"])],
        keep=decision.keep,
        # Agreed to by a person it is paid in their name: `approve` says whether it still goes by itself.
        pays=rules.pay_when,
        payer_id=None if automatic or by is None else by.id,
        worth=(decision.worth or nothing).amount,
        cash=(decision.cash or nothing).amount,
        credit=(decision.credit or nothing).amount,
        bonus=(decision.bonus or nothing).amount,
        delivery=(decision.delivery or nothing).amount,
        currency=nothing.currency,
        exponent=nothing.exponent,
        method=method,
        conversation_id=await _conversation(tx, order, conversation_id, verified=verified),
        stuck=False,
        external_id="",
        photos=[],
    )
    tx.add(request)
    await tx.flush()
    await _write_lines(tx, request, read, choice, decision)
    said = "\n".join(filter(None, (_cleaned(line.words) for line in choice.lines)))
    await _keep_photos(tx, request, photos, uploader, "request", said)
    await tx.session.refresh(request)
    return request


async def _write_lines(
    tx: Tx, request: ReturnRequest, read: ReturnableOrder, choice: Choice, decision: Decision
) -> None:
    sold = {line.external_id: (position, line) for position, line in enumerate(read.lines)}
    # A decision has its lines in an order of its own.
    chosen = sorted(choice.lines, key=lambda one: (one.line_external_id, one.reason, one.words, one.quantity))
    for one, decided in zip(chosen, decision.lines, strict=True):
        position, line = sold[one.line_external_id]
        tx.add(
            ReturnLine(
                id=new_id(),
                store_id=request.store_id,
                order_id=request.order_id,
                request_id=request.id,
                position=position,
                line_external_id=line.external_id,
                title=line.title,
                variant_title=line.variant_title,
                sku=line.sku,
                image_url=line.image_url,
                product_external_id=line.product_external_id,
                variant_external_id=line.variant_external_id,
                quantity=one.quantity,
                reason=one.reason,
                words=_cleaned(one.words),
                answers=list(one.kept),
                goods=decided.goods.amount,
                fee=decided.fee.amount,
            )  # fmt: skip
        )
    await tx.flush()


async def _conversation(tx: Tx, order: Order, given: UUID | None, *, verified: bool) -> UUID:
    """Where the shopper is told: the conversation they came from, or one of its own by mail, which wakes nobody."""
    if given is not None:
        found = await tx.get(threads.Conversation, given)
        if found is None or found.store_id != order.store_id:
            raise NotFound(_("This conversation is no longer there."))
        return given
    return await threads.begin_quietly(
        tx, order.store_id, order.email, order.name, customer_id=order.customer_id if verified else None,
        locale=order.locale,
    )  # fmt: skip


async def _keep_photos(
    tx: Tx, request: ReturnRequest, files: Sequence[UUID], uploader: str, mark: str, words: str
) -> None:
    """Files go into the conversation as a note for the team: what nothing names is deleted after a day."""
    if not files or request.conversation_id is None:
        return
    await messages.keep_files(
        tx, request.conversation_id, uuid5(request.id, mark), "\n".join(filter(None, (request.number, words))), files,
        uploader=uploader,
    )  # fmt: skip
    if not mark.startswith("label"):
        await _set(tx, request, photos=[*(request.photos or []), *map(str, files)])


async def _opening(tx: Tx, request: ReturnRequest, *, approved: bool) -> OpenReturn:
    decision, choice = request.decided, request.chosen
    exchange: tuple[ExchangePart, ...] = choice.exchange if choice is not None else ()
    if request.resolution == Resolution.REPLACEMENT:
        exchange = tuple(
            ExchangePart(line.variant_external_id, line.quantity, line.title)
            for line in await lines_of(tx, request.id)
            if line.variant_external_id
        )
    fees = [fee if fee is not None and fee.amount else None for fee in (decision.restocking_fee, decision.shipping_fee)]
    return OpenReturn(
        request.number, await _parts(tx, request), approved, exchange=exchange, restocking_fee=fees[0],
        shipping_fee=fees[1], note=request.own_words,
    )  # fmt: skip


async def _parts(tx: Tx, request: ReturnRequest) -> tuple[ReturnPart, ...]:
    return tuple(
        ReturnPart(line.line_external_id, line.quantity, line.reason, line.words)
        for line in await lines_of(tx, request.id)
    )


def _labelled(request: ReturnRequest) -> LabelReturn:
    return LabelReturn(
        request.number, request.external_id, request.tracking_number, request.tracking_url, request.carrier
    )


def _parcel(carrier: str, number: str, url: str) -> dict[str, Any]:
    address = url.strip()[:1000]
    if address and not address.startswith(("https://", "http://")):
        raise AhlanError(_("The tracking link must begin with https://."), code="tracking_url")
    return {
        "carrier": " ".join(harmless(carrier).split())[:100],
        "tracking_number": "".join(harmless(number).split())[:100],
        "tracking_url": address,
    }


def _cleaned(words: str) -> str:
    return harmless(words).strip()[:MAX_WORDS]


async def _tell_store(tx: Tx, request: ReturnRequest, action: Any, by: Agent | Who | None) -> None:
    await steps.add(
        tx, request_id=request.id, order_id=request.order_id, store_id=request.store_id, action=action,
        by=by.id if isinstance(by, Agent) else None,
    )  # fmt: skip


async def _never_told(tx: Tx, request: ReturnRequest) -> bool:
    """Whether the store has heard nothing of it yet: then it need not hear of its end either."""
    rows = await steps.of_request(tx, request.id)
    if any(row.attempts or row.state != steps.QUEUED for row in rows):
        return False
    for row in rows:
        row.state, row.finished_at = steps.SKIPPED, datetime.now(UTC)
    return bool(rows)


async def _no_money_under_way(tx: Tx, request: ReturnRequest) -> None:
    step = await steps.payment(tx, request.id)
    if step is not None and step.state not in steps.OVER:
        raise Conflict(
            _("Money of this return is on its way."), _("Wait until that is done, then look again."),
            code="money_under_way",
        )  # fmt: skip


async def _may_give(tx: Tx, request: ReturnRequest, agent: Agent | None, money: Money | None = None) -> bool:
    """Whether this agent may give that much back on the order, with what they gave before."""
    if agent is None or not agent.may(Permission.REFUND):
        return False
    money = money or request.promised + request.money(request.bonus)
    if money.amount == 0:
        return True
    spent = await actions.given(tx, request.order_id, agent.id, money.currency)
    return agent.may_refund(money, already=Money(spent, money.currency, money.exponent))


async def _still(tx: Tx, request: ReturnRequest) -> None:
    """The store stays where it is until the end of the transaction."""
    await stores.held(tx, request.store_id)
    await stores.standing_still(tx, request.store_id)


async def _go_on(tx: Tx, request: ReturnRequest) -> None:
    """Pay where the policy does it at this step."""
    if request.pays and pay_is_due(request) and await steps.payment(tx, request.id) is None:
        try:
            await pay(tx, request, by=Who.SYSTEM)
        except (Forbidden, Conflict):
            # Their right is gone, or money of the order is on its way: somebody decides.
            await _set(tx, request, pays="", payer_id=None)
    await _reckon(tx, request)


async def _reckon(tx: Tx, request: ReturnRequest) -> None:
    """Whether it waits for somebody of the team, and since when; and when to look at it again by itself."""
    waits = request.stuck or State(request.state) in (State.REQUESTED, State.RECEIVED)
    if not waits and pay_is_due(request):
        waits = await steps.payment(tx, request.id) is None
    if waits != (request.waiting_since is not None):
        await _set(tx, request, waiting_since=datetime.now(UTC) if waits else None)


async def _shift(
    tx: Tx, request: ReturnRequest, name: str, by: Agent | Who, *, data: Mapping[str, Any] | None = None,
    actor: str = "", **values: Any,
) -> None:  # fmt: skip
    """Make a move: compare and set. Raises Conflict when the return is elsewhere, or was moved a moment ago."""
    one = states.move(name)
    who = Who.AGENT if isinstance(by, Agent) else by
    if State(request.state) not in one.sources or who not in one.by:
        raise _elsewhere(request)
    if isinstance(by, Agent) and not by.may(Permission.REPLY):
        raise Forbidden(_("Your role does not allow that."), _("Ask an owner of this workspace."))
    before = request.state
    await tx.flush()
    moved = await tx.scalar(
        update(REQUESTS)
        .where(
            REQUESTS.c.workspace_id == tx.workspace_id,
            REQUESTS.c.id == request.id,
            REQUESTS.c.state == before,
            REQUESTS.c.moves == request.moves,
        )
        .values(
            state=one.target,
            moves=REQUESTS.c.moves + 1,
            moved_at=datetime.now(UTC),
            reminded_at=None,
            waiting_since=None,
            **values,
        )  # fmt: skip
        .returning(REQUESTS.c.id)
    )
    if moved is None:
        raise _elsewhere(request)
    await tx.session.refresh(request)
    order = await tx.get(Order, request.order_id)
    told = {"from": before, "to": one.target, **(data or {})}
    if isinstance(by, Agent):
        told["by"] = by.name
    if by is Who.STORE:
        told["store"] = True
    if request.why and one.target in (State.DECLINED, State.CLOSED):
        told["why"] = request.why
    await _record(tx, one.event, request, order, actor or _actor(request, by), told)
    if one.target in states.TIMED:
        await tx.enqueue(
            "wake_return", delay=states.TIMED[one.target].first.total_seconds(),
            unique=f"return-wake:{request.id}:{request.moves}", request_id=request.id, moves=request.moves,
        )  # fmt: skip
    if isinstance(by, Agent):
        audit.note(
            tx, f"orders.return_{name}", by=by.id, subject=request.order_id,
            changes={"return": ["", request.number], "state": [before, one.target.value]},
        )  # fmt: skip


async def _set(tx: Tx, request: ReturnRequest, **values: Any) -> None:
    """Write columns that are no move."""
    for name, value in values.items():
        setattr(request, name, value)
    await tx.flush()


async def _record(
    tx: Tx, event: str, request: ReturnRequest, order: Order | None, actor: str, data: Mapping[str, Any]
) -> None:
    await tx.record(
        event,
        subject_id=request.id,
        store_id=request.store_id,
        customer_id=order.customer_id if order is not None else None,
        actor=actor,
        data={"number": request.number, "order": order.name if order is not None else "", "moves": request.moves,
              **data},
    )  # fmt: skip
    tx.publish("returns", {"request_id": str(request.id)})
    if request.conversation_id is not None:
        tx.publish(f"panel:conversation:{request.conversation_id}", {"type": "assigned"})


def _actor(request: ReturnRequest, by: Agent | Who) -> str:
    if isinstance(by, Agent):
        return by.actor
    return {Who.SHOPPER: f"shopper:{request.id}", Who.STORE: f"store:{request.store_id}"}.get(by, "system")


def _elsewhere(request: ReturnRequest) -> Conflict:
    return Conflict(
        _("This return has moved on meanwhile."), _("Look where it stands now; nothing was changed."), code="moved_on"
    )


def _gone() -> NotFound:
    return NotFound(_("There is nothing here."), _("Check the address, or go back."))
