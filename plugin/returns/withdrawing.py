"""What follows a withdrawal by itself: the receipt, the return or the request to cancel, and warnings in time."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import func, select

from plugin import stores, team, workspaces
from plugin.app import App
from plugin.channel import Outbound
from plugin.conversations import mailboxes
from plugin.conversations.conversations import EMAIL
from plugin.crm import identities
from plugin.crm.identities import Identity
from plugin.crm.orders import Order, number_of
from plugin.kernel.db import Tx
from plugin.kernel.errors import AhlanError, Conflict, NotFound
from plugin.kernel.i18n import Translator
from plugin.kernel.jobs import TaskError
from plugin.kernel.lazy import _
from plugin.kernel.text import isolate, normalise_email, search_key
from plugin.platform import PlatformError
from plugin.return_desk import ReturnableOrder
from plugin.returns import policies, requests, withdrawal_receipt, withdrawal_rules, withdrawal_words, withdrawals
from plugin.returns.policy import Choice, ChoiceLine, Policy, Resolution
from plugin.returns.records import ReturnRequest
from plugin.returns.withdrawal_receipt import Letter
from plugin.returns.withdrawals import OVER, WAITING, Stage, Withdrawal, WithdrawalCase
from plugin.stores import Store
from plugin.team import Agent, Permission

log = structlog.get_logger(__name__)

_ALIKE = 50
_BUSY_SECONDS = 5.0


# Letters


async def send_withdrawal_receipt(app: App, workspace_id: UUID, *, withdrawal_id: str) -> None:
    """Task: mail the receipt as it was written down. Sent twice after a crash, it has the same Message-ID."""
    id = UUID(withdrawal_id)
    async with app.db.transaction(workspace_id) as tx:
        statement, case = await tx.get(Withdrawal, id), await tx.get(WithdrawalCase, id)
        if statement is None or case is None or case.receipt_state == "sent":
            await tx.complete_job()
            return
        letter = Letter(statement.subject, statement.receipt)
        mail = await _mail(app, tx, statement, letter, f"withdrawal.{id}")
        if mail is None:
            await _receipt(tx, case, statement, "failed")
            await tx.complete_job()
            return
    try:
        await app.channels[EMAIL].send(mail)
    except TaskError as error:
        if error.retry:
            raise
        log.warning("withdrawal_receipt_refused", withdrawal=withdrawal_id)
        state = "failed"
    else:
        state = "sent"
    async with app.db.transaction(workspace_id) as tx:
        case = await tx.get(WithdrawalCase, id, lock=True)
        if case is not None:
            await _receipt(tx, case, statement, state)
        await tx.complete_job()


async def _receipt(tx: Tx, case: WithdrawalCase, statement: Withdrawal, state: str) -> None:
    case.receipt_state, case.receipt_at = state, datetime.now(UTC)
    await tx.flush()
    await tx.record(
        "withdrawal.receipt", subject_id=case.id, store_id=case.store_id,
        data={"reference": statement.reference, "state": state},
    )  # fmt: skip
    tx.publish("returns", {"withdrawal_id": str(case.id)})


async def send_again(tx: Tx, case: WithdrawalCase, *, by: Agent) -> None:
    """Somebody of the team has the receipt mailed once more. Raises Conflict while it is on its way."""
    if case.receipt_state != "failed":
        raise withdrawals.moved_on()
    case.receipt_state = "queued"
    await tx.flush()
    team.audit.note(tx, "orders.withdrawal_receipt", by=by.id, subject=case.order_id)
    await tx.enqueue("send_withdrawal_receipt", unique=f"withdrawal-receipt:{case.id}", withdrawal_id=case.id)


async def answer_withdrawal(app: App, workspace_id: UUID, *, withdrawal_id: str) -> None:
    """Task: tell the consumer what the team decided, in the team's words."""
    id = UUID(withdrawal_id)
    async with app.db.transaction(workspace_id) as tx:
        statement, case = await tx.get(Withdrawal, id), await tx.get(WithdrawalCase, id)
        mail = None
        if statement is not None and case is not None and Stage(case.stage) is Stage.REFUSED:
            store = await stores.get(tx, case.store_id)
            if store is not None:
                words = withdrawal_words.translator(app.catalogues, statement.language, timezone=statement.zone)
                letter = withdrawal_receipt.refusal(words, store, statement.reference, case.note)
                mail = await _mail(app, tx, statement, letter, f"withdrawal-answer.{id}")
        if mail is None:
            await tx.complete_job()
            return
    await app.channels[EMAIL].send(mail)
    async with app.db.transaction(workspace_id) as tx:
        await tx.complete_job()


async def _mail(app: App, tx: Tx, statement: Withdrawal, letter: Letter, key: str) -> Outbound | None:
    store = await stores.get(tx, statement.store_id)
    if store is None or not await mailboxes.can_send(app, tx, store.id):
        return None
    box = await mailboxes.of_store(tx, store.id)
    words = withdrawal_words.translator(app.catalogues, statement.language, timezone=statement.zone)
    return Outbound(
        key=key,
        workspace_id=tx.workspace_id,
        recipient=statement.email,
        subject=letter.subject,
        text=letter.text,
        html=withdrawal_receipt.as_html(words, letter),
        sender_name=store.name,
        reply_to=(box.inbox if box is not None else "") or normalise_email(store.email) or "",
        account=await mailboxes.account(tx, app.vault, box),
    )


# Into a return


async def sort_withdrawal(app: App, workspace_id: UUID, *, withdrawal_id: str) -> None:
    """Task: look for the order, and where everything is clear make a return of it, or a request to cancel.

    What is not clear waits for somebody of the team, with the reason why.
    """
    id = UUID(withdrawal_id)
    async with app.db.transaction(workspace_id) as tx:
        statement, case = await tx.get(Withdrawal, id), await tx.get(WithdrawalCase, id, lock=True)
        if statement is None or case is None or case.stage != Stage.OPEN or case.order_id is not None:
            await tx.complete_job()
            return
        store = await stores.get(tx, case.store_id)
        order = await find(tx, statement) if store is not None else None
        if store is None or order is None or store.status != stores.CONNECTED:
            await withdrawals.move(tx, case, Stage.OPEN, why="unmatched" if order is None else "store")
            await tx.complete_job()
            return
        if await _twin(tx, case, order):
            await withdrawals.move(tx, case, Stage.OPEN, why="twice", values={"order_id": order.id, "verified": True})
            await tx.complete_job()
            return
        connection, external = store.connection(), order.external_id
        before = await requests.standing(tx, order.id)
    try:
        read = await app.platforms[store.platform].returnable(connection, external)
    except PlatformError as error:
        if error.retry:
            raise
        read = None
    try:
        async with app.db.transaction(workspace_id) as tx:
            statement, case = await withdrawals.held(tx, id)
            if case.stage == Stage.OPEN and case.order_id is None:
                await _settle(tx, store, order.id, statement, case, read, before)
            await tx.complete_job()
    except Conflict as error:
        # What the store said is no longer so: it is asked anew.
        raise TaskError(error.code, retry=True, after=_BUSY_SECONDS) from error


async def _settle(
    tx: Tx, store: Store, order_id: UUID, statement: Withdrawal, case: WithdrawalCase, read: ReturnableOrder | None,
    before: requests.Known,
) -> None:  # fmt: skip
    known: dict[str, Any] = {"order_id": order_id, "verified": True}
    if read is None:
        await withdrawals.move(tx, case, Stage.OPEN, why="store", values=known)
        return
    rules = withdrawals.rules(store)
    law = withdrawal_rules.statutory((await policies.current(tx, store)).policy, rules)
    found = withdrawal_rules.sort(law, read, statement.submitted_at)
    known |= {
        "exempt": [[line.title, ground] for line, ground in found.exempt],
        "unsent": found.unsent,
    }
    if why := _doubt(rules, read, statement, found):
        await withdrawals.move(tx, case, Stage.OPEN, why=why, values=known)
        return
    if not found.back:
        await withdrawals.move(tx, case, Stage.CANCEL, why="not_sent", values=known)
        return
    choice = whole(found.back)
    request = await requests.by_law(
        tx, order_id, read, choice, law, before=before, language=statement.language, verified=True
    )
    if request is None:
        await withdrawals.move(tx, case, Stage.OPEN, why="nothing", values=known)
        return
    await withdrawals.move(
        tx, case, Stage.RETURN, why="part_unsent" if found.unsent else "", values={**known, "request_id": request.id}
    )


def _doubt(
    rules: withdrawal_rules.Rules, read: ReturnableOrder, statement: Withdrawal, found: withdrawal_rules.Sorted
) -> str:
    """Why a person has to look; empty where everything is clear. Pure."""
    doubts = {
        "cancelled": read.cancelled,
        "outside": bool(read.country) and read.country not in rules.countries,
        "part": bool(statement.goods),
        "late": found.late,
        "exempt": bool(found.exempt) and not found.back and not found.unsent,
        "nothing": not found.back and not found.unsent,
        "by_hand": not rules.automatic,
    }
    return next((why for why, holds in doubts.items() if holds), "")


def whole(back: Sequence[tuple[object, int]]) -> Choice:
    """All that can go back, for money."""
    lines = tuple(
        ChoiceLine(str(getattr(line, "external_id", line)), count, withdrawal_rules.REASON) for line, count in back
    )
    return Choice(lines, Resolution.REFUND)


async def find(tx: Tx, statement: Withdrawal) -> Order | None:
    """The order that is meant: its number, or its very name, and the address that was given with it."""
    alike = await _numbered(tx, statement)
    meant = [order for order in alike if normalise_email(order.email) == statement.email]
    # The very name first: "AR-1001" and "EN-1001" may stand beside each other.
    meant.sort(key=lambda order: search_key(order.name) != search_key(statement.contract))
    return meant[0] if meant else None


async def candidates(tx: Tx, statement: Withdrawal) -> Sequence[Order]:
    """Orders that may be meant: of that number, whoever's they are, and those of that address. For the team alone."""
    found = await _numbered(tx, statement)
    theirs = await tx.scalars(
        select(Order)
        .where(
            *_there(tx, statement),
            Order.customer_id.in_(
                select(Identity.customer_id).where(
                    Identity.workspace_id == tx.workspace_id,
                    Identity.kind == identities.EMAIL,
                    Identity.value == statement.email,
                )
            ),
        )
        .order_by(Order.placed_at.desc(), Order.id.desc())
        .limit(5)
    )
    return [*found, *(order for order in theirs if order.id not in {one.id for one in found})]


async def _numbered(tx: Tx, statement: Withdrawal) -> Sequence[Order]:
    rows = await tx.scalars(
        select(Order)
        .where(*_there(tx, statement), Order.number == number_of(statement.contract), Order.number != "")
        .order_by(Order.placed_at.desc(), Order.id.desc())
        .limit(_ALIKE)
    )
    return list(rows)


def _there(tx: Tx, statement: Withdrawal) -> list[Any]:
    return [
        Order.workspace_id == tx.workspace_id,
        Order.store_id == statement.store_id,
        Order.deleted_at.is_(None),
        Order.erased_at.is_(None),
    ]


async def by_number(tx: Tx, store_id: UUID, typed: str) -> UUID | None:
    """The newest order of a store with the number that somebody of the team typed."""
    number = number_of(typed)
    if not number:
        return None
    found: UUID | None = await tx.scalar(
        select(Order.id)
        .where(
            Order.workspace_id == tx.workspace_id,
            Order.store_id == store_id,
            Order.number == number,
            Order.deleted_at.is_(None),
        )
        .order_by((func.lower(Order.name) == typed.strip().lower()).desc(), Order.placed_at.desc())
        .limit(1)
    )
    return found


async def _twin(tx: Tx, case: WithdrawalCase, order: Order) -> bool:
    """Whether the order was withdrawn from before, and that stands."""
    found = await tx.scalar(
        select(WithdrawalCase.id)
        .where(
            WithdrawalCase.workspace_id == tx.workspace_id,
            WithdrawalCase.order_id == order.id,
            WithdrawalCase.id != case.id,
            WithdrawalCase.stage != Stage.REFUSED,
        )
        .limit(1)
    )
    return found is not None


# By the team


async def link(tx: Tx, case: WithdrawalCase, order_id: UUID, *, by: Agent) -> None:
    """Say which order a statement means. Raises Conflict when it is not open, NotFound for another store's order."""
    if Stage(case.stage) not in WAITING:
        raise withdrawals.moved_on()
    order = await tx.get(Order, order_id)
    if order is None or order.store_id != case.store_id:
        raise NotFound(_("There is nothing here."), _("Check the address, or go back."))
    await withdrawals.move(tx, case, Stage.OPEN, by=by, why="by_hand", values={"order_id": order.id, "verified": False})


async def look(
    app: App, workspace_id: UUID, store: Store, order: Order, statement: Withdrawal
) -> tuple[ReturnableOrder | None, Policy, withdrawal_rules.Sorted]:
    """The order as the store has it now, and what the law takes of it. Asks the store: raises PlatformError."""
    read = await app.platforms[store.platform].returnable(store.connection(), order.external_id)
    async with app.db.transaction(workspace_id) as tx:
        law = withdrawal_rules.statutory((await policies.current(tx, store)).policy, withdrawals.rules(store))
    return read, law, withdrawal_rules.sort(law, read, statement.submitted_at) if read else withdrawal_rules.Sorted()


async def make_return(
    app: App, workspace_id: UUID, withdrawal_id: UUID, units: Mapping[str, int], *, by: Agent
) -> ReturnRequest:
    """A return of these units of the linked order, by the law, begun by an agent within their own rights.

    Raises Conflict when it is over or a return already, PlatformError, AhlanError for what cannot go back.
    """
    async with app.db.transaction(workspace_id) as tx:
        statement, case = await withdrawals.held(tx, withdrawal_id)
        store, order = await stores.get(tx, case.store_id), None
        if case.order_id is not None:
            order = await tx.get(Order, case.order_id)
        if Stage(case.stage) not in WAITING or store is None or order is None:
            raise withdrawals.moved_on()
        before = await requests.standing(tx, order.id)
    read, law, _found = await look(app, workspace_id, store, order, statement)
    chosen = whole([(line, count) for line, count in Counter(units).items() if count])
    if read is None or not chosen.lines:
        raise AhlanError(_("Choose what goes back."), code="nothing_chosen")
    async with app.db.transaction(workspace_id) as tx:
        statement, case = await withdrawals.held(tx, withdrawal_id)
        if Stage(case.stage) not in WAITING:
            raise withdrawals.moved_on()
        request = await requests.by_law(
            tx, order.id, read, chosen, law, before=before, language=statement.language, verified=True, by=by
        )
        if request is None:
            raise AhlanError(
                _("This cannot be sent back like that."), _("Look again at what may come back."), code="return_refused"
            )
        await withdrawals.move(tx, case, Stage.RETURN, by=by, values={"request_id": request.id})
    return request


# News and days


async def follow_withdrawal(app: App, workspace_id: UUID, *, event_id: str, subject_id: str) -> None:
    """Task, after a return ended or an order was cancelled: what was withdrawn from is settled, or needs a look."""
    subject = UUID(subject_id)
    async with app.db.transaction(workspace_id) as tx:
        rows = await tx.scalars(
            select(WithdrawalCase)
            .where(
                WithdrawalCase.workspace_id == tx.workspace_id,
                (WithdrawalCase.request_id == subject) | (WithdrawalCase.order_id == subject),
                WithdrawalCase.stage.not_in(OVER),
            )
            .with_for_update()
        )
        for case in list(rows):
            await _follow(tx, case, subject)
        await tx.complete_job()


async def _follow(tx: Tx, case: WithdrawalCase, subject: UUID) -> None:
    if case.request_id == subject:
        request = await tx.get(ReturnRequest, subject)
        if request is None or Stage(case.stage) is not Stage.RETURN:
            return
        if request.paid_at is not None:
            await withdrawals.move(tx, case, Stage.DONE, why="paid")
        elif request.state in ("declined", "cancelled", "closed"):
            await withdrawals.move(tx, case, Stage.OPEN, why="return_ended", values={"request_id": None})
        return
    order = await tx.get(Order, subject)
    if order is not None and order.cancelled_at is not None and Stage(case.stage) in WAITING:
        await withdrawals.move(tx, case, Stage.DONE, why="cancelled")


async def warn_withdrawal(app: App, workspace_id: UUID, *, withdrawal_id: str, over: bool) -> None:
    """Task, four days before what was paid has to be back and when that day is over: tell whoever can pay it."""
    id = UUID(withdrawal_id)
    async with app.db.transaction(workspace_id) as tx:
        statement, case = await tx.get(Withdrawal, id), await tx.get(WithdrawalCase, id, lock=True)
        if statement is None or case is None or Stage(case.stage) in OVER:
            await tx.complete_job()
            return
        letters = await _warnings(app, tx, statement, case, over=over)
    for letter in letters:
        try:
            await app.channels[EMAIL].send(letter)
        except TaskError as error:
            if error.retry:
                raise
            # One address that does not exist must not keep the others from knowing.
            log.warning("withdrawal_warning_refused", withdrawal=withdrawal_id, error=str(error))
    async with app.db.transaction(workspace_id) as tx:
        case = await tx.get(WithdrawalCase, id, lock=True)
        if case is not None:
            case.warned_at = datetime.now(UTC)
            await tx.record(
                "withdrawal.due", subject_id=id, store_id=case.store_id,
                data={"reference": statement.reference, "over": over},
            )  # fmt: skip
            tx.publish("returns", {"withdrawal_id": str(id)})
        await tx.complete_job()


async def _warnings(app: App, tx: Tx, statement: Withdrawal, case: WithdrawalCase, *, over: bool) -> Sequence[Outbound]:
    workspace = await workspaces.current(tx)
    if workspace is None or not mailboxes.mails(app):
        return []
    found = []
    for agent in await team.agents(tx):
        if not (agent.email and agent.alerts and agent.may(Permission.REFUND)):
            continue
        t = app.catalogues.translator(agent.locale or workspace.locale, timezone=agent.timezone or workspace.timezone)
        letter = warning(t, statement, case, f"{app.settings.public_url}/panel/withdrawals/{case.id}", over=over)
        found.append(
            Outbound(
                key=f"withdrawal-{'over' if over else 'soon'}.{case.id}.{agent.id}",
                workspace_id=tx.workspace_id,
                recipient=agent.email,
                subject=letter.subject,
                text=letter.text,
                html=withdrawal_receipt.as_html(t, letter),
                sender_name="Ahlan",
            )
        )
    return found


def warning(t: Translator, statement: Withdrawal, case: WithdrawalCase, link: str, *, over: bool) -> Letter:
    """What the team is told, in an agent's language. Pure."""
    reference = isolate(statement.reference, "ltr")
    day = t.format_date(case.pay_by, "long")
    said = _("Withdrawal %(reference)s has to be paid back by %(day)s")
    if over:
        said = _("The time to pay back withdrawal %(reference)s is over, since %(day)s")
    subject = t.gettext(said, reference=statement.reference, day=day)
    told = [
        subject,
        t.gettext("Declared on %(day)s by %(name)s.", day=t.format_date(statement.submitted_at, "long"),
                  name=isolate(statement.name)),
        t.gettext("European law gives fourteen days to pay back what was paid. You may wait until the goods are here, "
                  "or until the customer has shown that they were sent."),
        t.gettext("Look at withdrawal %(reference)s: %(address)s", reference=reference, address=link),
    ]  # fmt: skip
    return Letter(subject, "\n\n".join(told) + "\n")
