"""Every move of a return: a compare-and-set on the state, a row of `states.MOVES`, and an event.

What the store must hear of it is a step in the same transaction (`steps.py`); messages to the shopper follow the events
(`telling.py`).
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import update

from plugin import stores
from plugin.conversations import messages
from plugin.crm import actions
from plugin.crm.orders import Order
from plugin.kernel.db import Tx
from plugin.kernel.errors import AhlanError, Conflict, Forbidden
from plugin.kernel.lazy import _
from plugin.kernel.money import Money
from plugin.kernel.text import harmless
from plugin.platform import Done
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
    ReturnPart,
    SendInstead,
)
from plugin.returns import policies, states, steps
from plugin.returns.policy import PayWhen, Resolution
from plugin.returns.records import OURS, REQUESTS, ReturnRequest, lines_of
from plugin.returns.states import Overdue, State, Timer, Who
from plugin.returns.steps import ReturnStep
from plugin.team import Agent, Permission, audit

MAX_WORDS = 2000


async def begun(
    tx: Tx,
    request: ReturnRequest,
    *,
    by: Agent | Who,
    at_once: bool,
    photos: Sequence[UUID],
    uploader: str,
    words: str,
) -> None:
    """It was asked for a moment ago: the store hears of it, and where nobody need look it is agreed `at_once`."""
    order = await tx.get(Order, request.order_id)
    await _keep_photos(tx, request, photos, uploader, "request", words)
    reasons = sorted({line.reason for line in await lines_of(tx, request.id)})
    data = {"at_once": at_once, "reasons": reasons, "resolution": request.resolution}
    await _record(tx, "return_request.requested", request, order, _actor(request, by), data)
    await _open(tx, request, by, at_once=at_once)


async def _open(tx: Tx, request: ReturnRequest, by: Agent | Who, *, at_once: bool) -> None:
    """The store hears of it, and where nobody need look it is agreed. With an exchange it hears of it once agreed."""
    opening = await _opening(tx, request, approved=at_once)
    if at_once or not opening.exchange:
        await _tell_store(tx, request, opening, by)
    if isinstance(by, Agent):
        await _in_the_name_of(tx, request, by)
    if at_once:
        await _shift(tx, request, "approve", Who.SYSTEM)
    await _go_on(tx, request)


async def changed(
    tx: Tx, request: ReturnRequest, *, by: Agent | Who, at_once: bool, photos: Sequence[UUID], uploader: str, words: str
) -> None:
    """Its rows say something else by now: for the store that was one return, and this is another.

    Raises Conflict once something is paid or the store is just being told of it.
    """
    await _still(tx, request)
    if request.paid_at is not None or await steps.payment(tx, request.id) is not None:
        raise _elsewhere(request)
    rows = await steps.of_request(tx, request.id)
    if any(row.kind == "open" and row.state == steps.QUEUED and row.attempts for row in rows):
        raise Conflict(
            _("The store is just being told of this return."), _("Try again in a minute; nothing was changed."),
            code="being_opened",
        )  # fmt: skip
    was = request.external_id
    reasons = sorted({line.reason for line in await lines_of(tx, request.id)})
    data = {"at_once": at_once, "reasons": reasons, "resolution": request.resolution}
    if was:
        await _tell_store(tx, request, EndReturn(request.number, was, Ending.CANCEL), by)
    else:
        await _never_told(tx, request)
    await _shift(tx, request, "change", by, data=data, external_id="", name="")
    await _keep_photos(tx, request, photos, uploader, f"change {request.moves}", words)
    await _open(tx, request, by, at_once=at_once)


async def approve(tx: Tx, request: ReturnRequest, *, by: Agent | Who) -> None:
    """Yes. Where the policy pays by itself, it does so in the name of whoever says so, within their limit.

    Raises Conflict when it is elsewhere by now, Moving while its store moves.
    """
    await _still(tx, request)
    if isinstance(by, Agent):
        await _in_the_name_of(tx, request, by)
        await _set(tx, request, verified=True)
    await _shift(tx, request, "approve", by)
    if by is not Who.STORE:
        known = await _is_opened(tx, request)
        yes = DecideReturn(request.number, request.external_id, approve=True, notify=_is_the_stores(request))
        await _tell_store(tx, request, yes if known else await _opening(tx, request, approved=True), by)
    await _go_on(tx, request)


async def decline(tx: Tx, request: ReturnRequest, *, why: str, note: str = "", by: Agent | Who) -> None:
    """No, and why: final_sale, too_late or other, with words for the shopper. Raises Conflict, Moving."""
    await _still(tx, request)
    note = cleaned(note)
    if why not in ("final_sale", "too_late", "other"):
        raise AhlanError(_("Choose why."), code="why")
    if why == "other" and not note and by is not Who.STORE:
        raise AhlanError(_("Say why, in your own words."), code="note_missing")
    await _shift(tx, request, "decline", by, why=why, note=note)
    if by is not Who.STORE and await _is_opened(tx, request):
        said = DecideReturn(
            request.number, request.external_id, approve=False, why=why, note=note, notify=_is_the_stores(request)
        )
        await _tell_store(tx, request, said, by)
    await _reckon(tx, request)


async def ask(tx: Tx, request: ReturnRequest, *, note: str, by: Agent) -> None:
    """Something is missing: the shopper is asked for it. Raises Conflict, Moving, AhlanError without words."""
    await _still(tx, request)
    note = cleaned(note)
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
    words = cleaned(words)
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
        values["label_file"] = file
    # The message to the shopper carries the file.
    await _shift(tx, request, "label", by, data={"file": str(file)} if file is not None else None, **values)
    await _tell_store_that_knows(tx, request, _labelled(request), by)
    await _reckon(tx, request)


async def ship(
    tx: Tx, request: ReturnRequest, *, carrier: str = "", tracking_number: str = "", tracking_url: str = "",
    by: Agent | Who,
) -> None:  # fmt: skip
    """The goods are on their way. What the shopper alone says moves no money: then somebody of the team looks at it.

    Raises Conflict, Moving.
    """
    await _still(tx, request)
    values: dict[str, Any] = {
        name: value for name, value in _parcel(carrier, tracking_number, tracking_url).items() if value
    }
    await _shift(tx, request, "ship", by, **values)
    if values.get("tracking_number"):
        await _tell_store_that_knows(tx, request, _labelled(request), by)
    await (_reckon if by is Who.SHOPPER else _go_on)(tx, request)


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
        line.restock, line.damaged = counts[Disposition.RESTOCK], counts[Disposition.DAMAGED]
        line.missing = counts[Disposition.MISSING]
        goods += [Disposed(line.line_external_id, count, kind) for kind, count in counts.items() if count]
    whole = all(one.disposition is Disposition.RESTOCK for one in goods)
    await _shift(tx, request, "inspect", by, inspected_at=datetime.now(UTC), **_paid_by_hand(whole))
    if goods:
        received = ReceiveReturn(request.number, request.external_id, tuple(goods))
        await _tell_store_that_knows(tx, request, received, by)
    if request.paid_at is not None:
        await _shift(tx, request, "complete", Who.SYSTEM)
    await _go_on(tx, request)


def _paid_by_hand(whole: bool) -> dict[str, Any]:
    """Where something is not as it should be, somebody says what is paid."""
    return {} if whole else {"pays": ""}


async def payment(tx: Tx, request: ReturnRequest, amount: int | None = None) -> PayReturn:
    """What the store is asked to give back: all that was promised, or `amount` (minor units) of it.

    Raises AhlanError for more than was promised.
    """
    decision, promised = request.decided, request.promised
    money = promised if amount is None else request.money(amount)
    if not 0 <= money.amount <= promised.amount:
        raise AhlanError(_("That is more than was promised."), _("Look again at the amount."), code="too_much")
    bonus = request.bonus if money == promised else request.bonus * money.amount // promised.amount
    fees = [fee for fee in (decision.restocking_fee, decision.shipping_fee) if fee is not None and fee.amount]
    # What goes out instead, or again, uses up what the goods are worth; to a refund or a credit all of it goes.
    used = request.worth - promised.amount
    return PayReturn(
        request.number,
        request.external_id,
        await _parts(tx, request),
        money,
        delivery=request.money(min(request.delivery, money.amount)) if request.delivery else None,
        fees=sum(fees[1:], fees[0]) if fees else None,
        used=request.money(used) if used > 0 else None,
        credit=bool(request.credit),
        bonus=request.money(bonus) if bonus else None,
    )


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
    if request.origin != OURS or request.paid_at is not None or State(request.state) not in PAYABLE:
        raise _elsewhere(request)
    if not isinstance(by, Agent) and not (by is Who.SYSTEM and request.pays and pay_is_due(request)):
        raise _elsewhere(request)
    wanted = await payment(tx, request, amount)
    money, bonus = wanted.amount, wanted.bonus or request.money(0)
    payer = by.id if isinstance(by, Agent) else request.payer_id
    agent = by if isinstance(by, Agent) else await tx.get(Agent, payer) if payer is not None else None
    if payer is not None:
        await _within_limit(tx, request, agent, money + bonus)
    await _nothing_under_way(tx, request)
    step = await steps.add(
        tx, request_id=request.id, order_id=request.order_id, store_id=request.store_id, action=wanted, by=payer
    )
    if instead := await _instead_of(tx, request):
        owed = request.decided.owed or request.money(0)
        await _tell_store(tx, request, SendInstead(request.number, request.external_id, instead, owed), by)
    if isinstance(by, Agent):
        audit.note(
            tx, "orders.return_paid", by=by.id, subject=request.order_id,
            changes={"return": ["", request.number], "amount": ["", f"{money.decimal()} {money.currency}"]},
        )  # fmt: skip
    await _reckon(tx, request)
    return step


async def may_pay_again(tx: Tx, request: ReturnRequest, step: ReturnStep, by: Agent) -> None:
    """What surely failed is to be tried anew: what was given since counts, and it is `by` who gives it now.

    Raises Forbidden beyond their limit, Conflict when money of the order is on its way.
    """
    await tx.get(Order, request.order_id, lock=True)
    if step.agent_id is not None:
        await _within_limit(tx, request, by, request.money(step.worth or 0))
        step.agent_id = by.id
    await _nothing_under_way(tx, request)


async def _within_limit(tx: Tx, request: ReturnRequest, agent: Agent | None, money: Money) -> None:
    if not await _may_give(tx, request, agent, money):
        raise Forbidden(
            _("That is more than you may give back on one order."),
            _("Somebody with a higher limit can do it; nothing was changed."),
            code="over_limit",
        )


async def _nothing_under_way(tx: Tx, request: ReturnRequest) -> None:
    if await actions.under_way(tx, request.order_id, besides=request.id):
        raise Conflict(
            _("Money of this order is on its way already."), _("Wait until that is done, then look again."),
            code="money_under_way",
        )  # fmt: skip


async def close(tx: Tx, request: ReturnRequest, *, by: Agent | Who, why: str = "") -> None:
    """Nothing more is to be done about it. `why`: not_sent where nothing ever came. Raises Conflict, Moving."""
    await _still(tx, request)
    await _no_money_under_way(tx, request)
    await _shift(tx, request, "close", by, why=why)
    if by is not Who.STORE:
        await _tell_store_that_knows(tx, request, _ended(request, Ending.CLOSE), by)
    await _reckon(tx, request)


async def cancel(tx: Tx, request: ReturnRequest, *, by: Agent | Who) -> None:
    """Call it off, as long as the goods are with the shopper and no money moved. Raises Conflict, Moving."""
    await _still(tx, request)
    await _no_money_under_way(tx, request)
    if request.paid_at is not None:
        raise _elsewhere(request)
    await _shift(tx, request, "cancel", by)
    if by is not Who.STORE and await _is_opened(tx, request) and not await _never_told(tx, request):
        await _tell_store(tx, request, _ended(request, Ending.CANCEL), by)
    await _reckon(tx, request)


async def reopen(tx: Tx, request: ReturnRequest, *, by: Agent | Who) -> None:
    """Take it up again: what was closed goes on where the goods are, what was declined or cancelled is asked anew.

    Raises Conflict, Moving.
    """
    await _still(tx, request)
    if State(request.state) is State.CLOSED:
        await _shift(tx, request, "resume_received" if request.received_at else "resume", by)
        if by is not Who.STORE:
            await _tell_store_that_knows(tx, request, _ended(request, Ending.REOPEN), by)
    else:
        if request.origin != OURS:
            raise _elsewhere(request)
        # For the store what was declined or cancelled is over: it gets a new return.
        await _shift(tx, request, "reopen", by, external_id="", name="")
        opening = await _opening(tx, request, approved=False)
        if not opening.exchange:
            await _tell_store(tx, request, opening, by)
    await _reckon(tx, request)


async def paid(tx: Tx, request: ReturnRequest, amount: Money, *, actor: str) -> None:
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
        await _look_for_the_goods(tx, request)
    await _reckon(tx, request)


async def sent_instead(tx: Tx, request: ReturnRequest, done: Done, *, actor: str) -> None:
    """What was chosen instead is on an order of the store: written down once, and told with what is still owed."""
    if request.sent_at is not None:
        return
    await _set(tx, request, sent_external_id=done.external_id, sent_name=done.name, sent_at=datetime.now(UTC))
    order = await tx.get(Order, request.order_id)
    owed = request.decided.owed
    data = {"sent": done.name, "owed": owed.amount if owed is not None else 0}
    await _record(tx, "return_request.sent_instead", request, order, actor, data)
    await _look_for_the_goods(tx, request)
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


async def overdue(tx: Tx, request: ReturnRequest, why: Overdue) -> None:
    """Something should have happened by now that only the team can look into: it waits for them until it moves."""
    await _set(tx, request, overdue=why)
    await _reckon(tx, request)
    tx.publish("returns", {"request_id": str(request.id)})


async def no_longer_overdue(tx: Tx, request: ReturnRequest, why: Overdue) -> None:
    """That happened after all, without a move."""
    if request.overdue == why:
        await _set(tx, request, overdue="")
        await _reckon(tx, request)


def gave_before_the_goods(request: ReturnRequest) -> bool:
    """Whether goods or money went out for goods that the shop still expects: that does not end by itself. Pure."""
    waits = State(request.state) in _EXPECTED and not request.keep
    return waits and (request.sent_at is not None or bool(request.paid))


def goods_are_late(request: ReturnRequest) -> bool:
    """Whether the time of goods for which something went out already is over. Pure."""
    return request.overdue == Overdue.LATE and gave_before_the_goods(request)


async def gives_with_yes(tx: Tx, request: ReturnRequest, agent: Agent) -> bool:
    """Whether what is wanted instead goes out with this agent's yes, before anything came back."""
    swaps = request.resolution in (Resolution.EXCHANGE, Resolution.REPLACEMENT)
    if not swaps or request.pays != PayWhen.APPROVED or not may(request, "approve", Who.AGENT):
        return False
    return await _may_give(tx, request, agent)


def may(request: ReturnRequest, name: str, who: Who) -> bool:
    """Whether a move is possible from here, as far as the request itself tells. Pure."""
    if name not in states.possible(State(request.state), who):
        return False
    if request.keep and name in _OF_GOODS and who in (Who.AGENT, Who.SHOPPER):
        return False
    if name in ("cancel", "change"):
        return request.paid_at is None and (name == "cancel" or request.origin == OURS)
    if name in ("ask", "answer", "receive", "inspect", "reopen"):
        return request.origin == OURS
    if name in ("resume", "resume_received"):
        return (name == "resume_received") is (request.received_at is not None)
    return True


_OF_GOODS = frozenset({"label", "ship", "receive"})
"""Moves of a parcel: there is none where the goods stay with the shopper."""
PAYABLE = frozenset({State.APPROVED, State.SENT, State.IN_TRANSIT, State.RECEIVED, State.INSPECTED})
"""Where money can move."""
ALL = states.MOVES
_REACHED: Mapping[State, PayWhen] = {
    State.APPROVED: PayWhen.APPROVED,
    State.SENT: PayWhen.APPROVED,
    State.IN_TRANSIT: PayWhen.IN_TRANSIT,
    State.RECEIVED: PayWhen.RECEIVED,
    State.INSPECTED: PayWhen.INSPECTED,
}
_STEPS = tuple(PayWhen)
_EXPECTED = states.WAITING_FOR_GOODS | {State.IN_TRANSIT}
"""That it is on its way may be the shopper's word alone."""


def pay_is_due(request: ReturnRequest) -> bool:
    """Whether what was promised should move now, by itself or by somebody's hand. Pure."""
    reached = _REACHED.get(State(request.state))
    if reached is None or request.paid_at is not None or request.origin != OURS:
        return False
    if request.keep:
        return True
    return not request.pays or _STEPS.index(reached) >= _STEPS.index(PayWhen(request.pays))


# Inside


def forbidden() -> Forbidden:
    """What somebody without the right is told."""
    return Forbidden(_("Your role does not allow that."), _("Ask an owner of this workspace."))


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
    await _set(tx, request, photos=[*(request.photos or []), *map(str, files)])


async def _opening(tx: Tx, request: ReturnRequest, *, approved: bool) -> OpenReturn:
    decision = request.decided
    exchange = await _instead_of(tx, request)
    before = tuple(
        row.done.external_id for row in await steps.of_request(tx, request.id) if row.kind == "open" and row.outcome
    )
    fees = [fee if fee is not None and fee.amount else None for fee in (decision.restocking_fee, decision.shipping_fee)]
    return OpenReturn(
        request.number, await _parts(tx, request), approved, exchange=exchange, restocking_fee=fees[0],
        shipping_fee=fees[1], note=request.own_words, besides=before,
    )  # fmt: skip


async def _instead_of(tx: Tx, request: ReturnRequest) -> tuple[ExchangePart, ...]:
    """What goes out instead: what was chosen, or the same goods once more, for nothing."""
    if request.resolution == Resolution.REPLACEMENT:
        return tuple(
            ExchangePart(line.variant_external_id, line.quantity, line.title, None, line.product_external_id)
            for line in await lines_of(tx, request.id)
            if line.variant_external_id
        )
    choice = request.chosen
    return choice.exchange if choice is not None and request.resolution == Resolution.EXCHANGE else ()


async def _is_opened(tx: Tx, request: ReturnRequest) -> bool:
    """Whether the store knows of it as it is now, or hears of it before anything that is told from here on."""
    known = _is_the_stores(request)
    for row in await steps.of_request(tx, request.id):
        if row.kind == "open" and row.state != steps.SKIPPED:
            known = True
        elif row.kind == "end" and row.state != steps.SKIPPED and row.wanted.get("how") == Ending.CANCEL:
            known = False
    return known


async def _parts(tx: Tx, request: ReturnRequest) -> tuple[ReturnPart, ...]:
    return tuple(
        ReturnPart(line.line_external_id, line.quantity, line.reason, line.words)
        for line in await lines_of(tx, request.id)
    )


def _is_the_stores(request: ReturnRequest) -> bool:
    """Begun in the store itself: nobody but the store writes to its customer about it."""
    return request.origin != OURS


def _labelled(request: ReturnRequest) -> LabelReturn:
    return LabelReturn(
        request.number, request.external_id, request.tracking_number, request.tracking_url, request.carrier,
        notify=_is_the_stores(request),
    )  # fmt: skip


def _ended(request: ReturnRequest, how: Ending) -> EndReturn:
    return EndReturn(request.number, request.external_id, how, notify=_is_the_stores(request))


def _parcel(carrier: str, number: str, url: str) -> dict[str, Any]:
    address = url.strip()[:1000]
    if address and not address.startswith(("https://", "http://")):
        raise AhlanError(_("The tracking link must begin with https://."), code="tracking_url")
    return {
        "carrier": " ".join(harmless(carrier).split())[:100],
        "tracking_number": "".join(harmless(number).split())[:100],
        "tracking_url": address,
    }


def cleaned(words: str) -> str:
    """What somebody wrote, without what could harm, as much as is kept."""
    return harmless(words).strip()[:MAX_WORDS]


async def _tell_store(tx: Tx, request: ReturnRequest, action: Any, by: Agent | Who | None) -> None:
    await steps.add(
        tx, request_id=request.id, order_id=request.order_id, store_id=request.store_id, action=action,
        by=by.id if isinstance(by, Agent) else None,
    )  # fmt: skip


async def _tell_store_that_knows(tx: Tx, request: ReturnRequest, action: Any, by: Agent | Who) -> None:
    """What a store can only do about a return that it has: making it known may have been left out."""
    if await _is_opened(tx, request):
        await _tell_store(tx, request, action, by)


async def _never_told(tx: Tx, request: ReturnRequest) -> bool:
    """Whether the store has heard nothing of it yet: then it need not hear of its end either."""
    rows = await steps.of_request(tx, request.id)
    if any(row.attempts or row.state != steps.QUEUED for row in rows):
        return False
    for row in rows:
        row.state, row.finished_at = steps.SKIPPED, datetime.now(UTC)
    return bool(rows)


async def money_under_way(tx: Tx, request: ReturnRequest) -> bool:
    """Whether the store was told to give its money back, and it is not known to be over."""
    step = await steps.payment(tx, request.id)
    return step is not None and step.state not in steps.OVER


async def _no_money_under_way(tx: Tx, request: ReturnRequest) -> None:
    if await money_under_way(tx, request):
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


async def _in_the_name_of(tx: Tx, request: ReturnRequest, agent: Agent) -> None:
    """What the policy agreed to is paid by its own hand; what a person begins or agrees to is theirs to give."""
    may_give = await _may_give(tx, request, agent)
    await _set(tx, request, pays=request.pays if may_give else "", payer_id=agent.id if may_give else None)


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
    waits = request.stuck or bool(request.overdue) or State(request.state) in (State.REQUESTED, State.RECEIVED)
    if not waits and pay_is_due(request):
        waits = await steps.payment(tx, request.id) is None
    if waits != (request.waiting_since is not None):
        await _set(tx, request, waiting_since=datetime.now(UTC) if waits else None)


async def _shift(
    tx: Tx, request: ReturnRequest, name: str, by: Agent | Who, /, *, data: Mapping[str, Any] | None = None,
    actor: str = "", **values: Any,
) -> None:  # fmt: skip
    """Make a move: compare and set. Raises Conflict when the return is elsewhere, or was moved a moment ago."""
    one = states.move(name)
    who = Who.AGENT if isinstance(by, Agent) else by
    if not may(request, name, who):
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
            overdue="",
            **values,
        )
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
    if (timer := await timer_of(tx, request)) is not None:
        await _wake(tx, request, timer.first)
    if isinstance(by, Agent):
        audit.note(
            tx, "orders.return_moved", by=by.id, subject=request.order_id,
            changes={"return": ["", request.number], "state": [before, one.target.value]},
        )  # fmt: skip


async def timer_of(tx: Tx, request: ReturnRequest) -> Timer | None:
    """How long a return may stand as it does; None for ever. The store's own end where they were made."""
    if _is_the_stores(request):
        return None
    times = await policies.times_of(tx, request.store_id, request.policy_version)
    return states.timers(times, gave=gave_before_the_goods(request)).get(State(request.state))


async def _wake(tx: Tx, request: ReturnRequest, after: timedelta) -> None:
    await tx.enqueue(
        "wake_return", delay=after.total_seconds(), unique=f"return-wake:{request.id}:{request.moves}",
        request_id=request.id, count=request.moves,
    )  # fmt: skip


async def _look_for_the_goods(tx: Tx, request: ReturnRequest) -> None:
    """Something went out for goods that did not come: their end is awaited, unless it is already."""
    timer = await timer_of(tx, request) if gave_before_the_goods(request) else None
    if timer is not None:
        await _wake(tx, request, timer.first + (timer.then or timedelta(0)))


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
