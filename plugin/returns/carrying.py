"""Telling a store what it must hear about a return, one step after the other; and what people do when it sticks."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import msgspec
import structlog

from plugin import stores
from plugin.app import App
from plugin.conversations import attachments
from plugin.crm import once, sync
from plugin.crm.once import Verdict
from plugin.crm.orders import Order
from plugin.kernel.db import Tx
from plugin.kernel.errors import Conflict, Forbidden
from plugin.kernel.jobs import TaskError
from plugin.kernel.lazy import _
from plugin.platform import Done, PlatformError
from plugin.return_desk import LabelReturn, OpenReturn, ReturnAction, ReturnQuote
from plugin.returns import moves, records, steps
from plugin.returns.records import ReturnRequest
from plugin.returns.steps import PAY, ReturnStep
from plugin.stores import Store
from plugin.team import Agent, Permission, audit

log = structlog.get_logger(__name__)

_LABEL_SECONDS = 86_400
"""A step is repeated for half a day (`once.KEY_LASTS`), and the store may fetch the file some time after it."""


async def carry_return(app: App, workspace_id: UUID, *, request_id: str) -> None:
    """Task: tell the store everything that it must hear of this return, in order, each thing once."""
    while await _next(app, workspace_id, UUID(request_id)):
        pass


async def _next(app: App, workspace_id: UUID, request_id: UUID) -> bool:
    """One step. Whether another may follow; TaskError asks for another round."""
    async with app.db.transaction(workspace_id) as tx:
        found = await _picked(app, tx, request_id)
        if found is None:
            # The request is held: who adds a step now waits, and finds this job over.
            await tx.complete_job()
            return False
        step, action, store, order = found
        quoted = step.quoted if step.quote else None
    connection = store.connection()
    desk = app.platforms[store.platform]
    if store.status != stores.CONNECTED:
        return await _ended(app, workspace_id, step, _cut_off(step))
    if quoted is None:
        try:
            quoted = await desk.quote_return(connection, order.external_id, action)
        except PlatformError as error:
            waited = datetime.now(UTC) - (step.sent_at or step.created_at)
            if error.retry and waited < once.PATIENCE:
                raise TaskError(error.said, retry=True, after=error.after or 3.0) from error
            return await _ended(app, workspace_id, step, once.Answer(Verdict.FAILED, said=error.said, code=error.code))
        if (refused := _refused(step, quoted)) is not None:
            return await _ended(app, workspace_id, step, refused, quoted)
    async with app.db.transaction(workspace_id) as tx:
        counted = await _counted(tx, request_id, step, action, quoted)
        if counted is None:
            return True
    # As it was kept: what a later attempt is asked by is what this one was.
    asked = (connection, order.external_id, counted.action, counted.quoted, counted.key)
    answer = await once.ask(
        lambda: desk.act_return(*asked), lambda: desk.settle_return(*asked), attempts=counted.attempts,
        since=counted.sent_at or counted.created_at, moves=counted.kind == PAY,
    )  # fmt: skip
    if answer.verdict is Verdict.WAITS:
        if answer.untouched:
            await _untouched(app, workspace_id, counted)
        log.warning("return_step_waits", step=counted.kind, code=answer.code, lost=answer.lost)
        raise answer.later
    went_on = await _ended(app, workspace_id, counted, answer, quoted)
    if answer.done is not None and counted.kind == PAY:
        await _read_anew(app, workspace_id, store, order)
    return went_on


async def _picked(app: App, tx: Tx, request_id: UUID) -> tuple[ReturnStep, ReturnAction, Store, Order] | None:
    request = await tx.get(ReturnRequest, request_id, lock=True)
    step = await steps.next_of(tx, request_id) if request is not None else None
    if request is None or step is None or step.state != steps.QUEUED:
        return None
    store, order = await stores.get(tx, step.store_id), await tx.get(Order, step.order_id)
    if store is None or order is None:
        return None
    if not step.wanted:
        # Its person was erased meanwhile, and with them what was wanted.
        step.state = steps.UNKNOWN if step.attempts else steps.SKIPPED
        step.code, step.finished_at = "erased", datetime.now(UTC)
        if step.state == steps.UNKNOWN:
            await moves.stuck(tx, request, step)
        return None
    step.sent_at = step.sent_at or datetime.now(UTC)
    action = step.action
    if step.attempts == 0 and not isinstance(action, OpenReturn):
        # The store's name of the return may have come with the step before this one.
        # That of a return which was changed is over, and the step says which it was.
        action = replace(action, return_external_id=request.external_id or action.return_external_id)
        if isinstance(action, LabelReturn) and request.label_file is not None:
            action = replace(action, label_url=_label_url(app, tx, request.label_file))
    return step, action, store, order


def _label_url(app: App, tx: Tx, file: UUID) -> str:
    """From where the store fetches a label that somebody uploaded, or that we bought."""
    path = attachments.link(app.vault, tx.workspace_id, str(file), seconds=_LABEL_SECONDS)
    return f"{app.settings.public_url}{path}"


async def _counted(
    tx: Tx, request_id: UUID, step: ReturnStep, action: ReturnAction, quote: ReturnQuote
) -> ReturnStep | None:
    """Counted before anybody is asked: after a kill nobody can tell whether the request went out."""
    await tx.get(ReturnRequest, request_id, lock=True)
    fresh = await tx.get(ReturnStep, step.id, lock=True)
    if fresh is None or fresh.state != steps.QUEUED or fresh.attempts != step.attempts:
        return None
    fresh.attempts += 1
    fresh.wanted, fresh.quote = msgspec.to_builtins(action), msgspec.to_builtins(quote, str_keys=True)
    await tx.flush()
    return fresh


def _refused(step: ReturnStep, quote: ReturnQuote) -> once.Answer | None:
    """What the platform would not do, or not like this: then nobody asks it to."""
    if quote.refusal or quote.ask:
        return once.Answer(Verdict.FAILED, said=quote.refusal, code="permission" if quote.ask else "refused")
    ours = step.money
    theirs = quote.amount
    # What nobody confirmed is not paid against the platform's own reckoning.
    if step.kind == PAY and step.agent_id is None and ours and theirs and theirs.amount < ours.amount:
        return once.Answer(Verdict.FAILED, code="differs")
    return None


def _cut_off(step: ReturnStep) -> once.Answer:
    return once.Answer(Verdict.UNKNOWN if step.attempts else Verdict.FAILED, code="disconnected")


async def _untouched(app: App, workspace_id: UUID, step: ReturnStep) -> None:
    """The request never arrived: the next round is a first one again."""
    async with app.db.transaction(workspace_id) as tx:
        await tx.get(ReturnRequest, step.request_id, lock=True)
        fresh = await tx.get(ReturnStep, step.id, lock=True)
        if fresh is not None and fresh.attempts == 1:
            fresh.attempts = 0


async def _ended(
    app: App, workspace_id: UUID, step: ReturnStep, answer: once.Answer, quote: ReturnQuote | None = None
) -> bool:
    """Write down what became of a step. Whether the next may follow."""
    async with app.db.transaction(workspace_id) as tx:
        request = await tx.get(ReturnRequest, step.request_id, lock=True)
        fresh = await tx.get(ReturnStep, step.id, lock=True)
        if request is None or fresh is None or fresh.state != steps.QUEUED:
            return True
        if quote is not None:
            fresh.quote = msgspec.to_builtins(quote, str_keys=True)
        fresh.said, fresh.code, fresh.finished_at = answer.said[:500], answer.code[:80], datetime.now(UTC)
        if answer.done is None:
            fresh.state = steps.UNKNOWN if answer.verdict is Verdict.UNKNOWN else steps.FAILED
            await moves.stuck(tx, request, fresh)
            return True
        fresh.outcome = msgspec.to_builtins(answer.done)
        if quote is not None and quote.by_hand:
            fresh.state = steps.HAND
            await moves.stuck(tx, request, fresh)
            return True
        fresh.state = steps.DONE
        await _done(tx, request, fresh, answer.done, "system" if fresh.agent_id is None else f"agent:{fresh.agent_id}")
    return True


async def _done(tx: Tx, request: ReturnRequest, step: ReturnStep, done: Done, actor: str) -> None:
    """What is true of the return now."""
    if step.kind == "open" and done.external_id:
        request.external_id, request.name = done.external_id, done.name
        await tx.flush()
    if step.kind == PAY:
        await moves.paid(tx, request, done.amount or step.money or request.money(0), actor=actor)
    if step.kind == steps.INSTEAD:
        await moves.sent_instead(tx, request, done, actor=actor)
    tx.publish("returns", {"request_id": str(request.id)})


async def _read_anew(app: App, workspace_id: UUID, store: Store, order: Order) -> None:
    """The order as it is now, ahead of the store's own news."""
    try:
        read = await app.platforms[store.platform].read_order(store.connection(), order.external_id)
    except PlatformError as error:
        log.warning("order_not_read", code=error.code)
        return
    async with app.db.transaction(workspace_id) as tx:
        await sync.apply_answer(tx, store.id, read)


# By hand


async def step_of(tx: Tx, request: ReturnRequest, step_id: UUID) -> ReturnStep:
    """A step of this return, held. Raises NotFound."""
    step = await tx.get(ReturnStep, step_id, lock=True)
    if step is None or step.request_id != request.id:
        raise records.gone()
    return step


async def look_again(tx: Tx, request: ReturnRequest, step_id: UUID, *, by: Agent) -> None:
    """Ask the store once more: what became of a step, or, where it surely failed, for it anew.

    Raises NotFound, and for money Forbidden and Conflict as `moves.pay`.
    """
    step = await step_of(tx, request, step_id)
    _allowed(step, by)
    if step.state == steps.QUEUED:
        # Its job may have given up on something that nobody foresaw; with one under way this changes nothing.
        await steps.go(tx, request.id)
        return
    if step.state == steps.FAILED:
        if step.kind == PAY:
            await moves.may_pay_again(tx, request, step, by)
        step.attempts, step.quote, step.sent_at, step.tries = 0, {}, None, step.tries + 1
    elif step.state != steps.UNKNOWN:
        return
    step.state, step.said, step.code, step.finished_at = steps.QUEUED, "", "", None
    _note(tx, request, step, by)
    await tx.flush()
    await moves.unstuck(tx, request)


async def was_done(tx: Tx, request: ReturnRequest, step_id: UUID, *, by: Agent) -> None:
    """Somebody did it by hand, or saw in the store that it happened. Raises NotFound, Forbidden."""
    step = await step_of(tx, request, step_id)
    _allowed(step, by)
    if step.state not in (steps.HAND, steps.UNKNOWN):
        return
    step.state, step.finished_at = steps.DONE, datetime.now(UTC)
    done = step.done if step.outcome else Done(amount=step.money)
    _note(tx, request, step, by)
    await tx.flush()
    await _done(tx, request, step, done, by.actor)
    await moves.unstuck(tx, request)


async def not_done(tx: Tx, request: ReturnRequest, step_id: UUID, *, by: Agent) -> None:
    """Somebody looked into the store: it did not happen, so it may be done anew. Raises NotFound, Forbidden."""
    step = await step_of(tx, request, step_id)
    _allowed(step, by)
    if step.state != steps.UNKNOWN:
        return
    step.state, step.code, step.finished_at = steps.FAILED, "not_done", datetime.now(UTC)
    _note(tx, request, step, by)
    await tx.flush()


async def leave(tx: Tx, request: ReturnRequest, step_id: UUID, *, by: Agent) -> None:
    """The store need not be told: what failed is left out, and the rest goes on. Raises NotFound, Forbidden."""
    step = await step_of(tx, request, step_id)
    _allowed(step, by)
    if step.state != steps.FAILED:
        raise Conflict(_("That may have happened in the store."), _("Look there first."))
    step.state, step.finished_at = steps.SKIPPED, datetime.now(UTC)
    _note(tx, request, step, by)
    await tx.flush()
    await moves.unstuck(tx, request)


def _allowed(step: ReturnStep, by: Agent) -> None:
    if not by.may(Permission.REFUND if step.kind == PAY else Permission.REPLY):
        raise Forbidden(_("Your role does not allow that."), _("Ask an owner of this workspace."))


def _note(tx: Tx, request: ReturnRequest, step: ReturnStep, by: Agent) -> None:
    changes: dict[str, list[object]] = {
        "return": ["", request.number], "step": ["", step.kind], "state": ["", step.state],
    }  # fmt: skip
    if step.money is not None:
        changes["amount"] = ["", f"{step.money.decimal()} {step.money.currency}"]
    audit.note(tx, "orders.return_step", by=by.id, subject=request.order_id, changes=changes)
