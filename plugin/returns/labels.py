"""Labels that are bought for returns: once each, whatever is lost or killed; their price, their news, their way back.

A row says what is wanted and how far it is. The parcel is prepared first, which costs nothing, and its id at the
carrier is kept before anything is bought; the attempt is counted before the network is touched, and whoever finds a
counted one only asks what became of that parcel (docs/decisions/carriers.md).
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from uuid import UUID

import structlog
from sqlalchemy import BigInteger, Index, select, text
from sqlalchemy.orm import Mapped, mapped_column

from plugin import stores
from plugin.app import App
from plugin.carrier import Carrier, Label, Movement, Offer, Pickup, Stage, Voided, Wanted
from plugin.conversations import attachments
from plugin.crm import once
from plugin.crm.once import Verdict
from plugin.crm.orders import Order
from plugin.kernel.db import Base, TenantRow, Tx, new_id, tenant_key
from plugin.kernel.errors import AhlanError, Conflict
from plugin.kernel.i18n import zone_of
from plugin.kernel.jobs import TaskError
from plugin.kernel.lazy import Lazy, _
from plugin.kernel.money import Money
from plugin.kernel.personal import kept
from plugin.platform import Done, PlatformError
from plugin.returns import moves, records, shipping
from plugin.returns.records import ReturnRequest
from plugin.returns.shipping import BOUGHT as METHODS
from plugin.returns.shipping import Method
from plugin.returns.states import WAITING_FOR_GOODS, Overdue, State, Who
from plugin.stores import Store
from plugin.team import Agent, Permission, audit

log = structlog.get_logger(__name__)

WANTED, PREPARED, BOUGHT, READY = "wanted", "prepared", "bought", "ready"
FAILED, UNKNOWN, VOIDING, VOID, KEPT = "failed", "unknown", "voiding", "void", "kept"
LIVE = (WANTED, PREPARED, BOUGHT, READY, UNKNOWN)
"""A return has one of these at a time. `kept`: the carrier gives no money back for it."""
COSTS = (BOUGHT, READY, VOIDING, KEPT)
"""What the shop has paid for, as far as anybody knows."""
BOOKED = "booked"

VOID_AGAIN = timedelta(days=1)
VOID_PATIENCE = timedelta(days=40)
"""Carriers take up to 30 days to give money back (docs.easypost.com/docs/shipments/shipping-refund)."""
_FETCHED_FROM, _FETCHED_TO = time(9), time(17)


class ReturnLabel(TenantRow, Base):
    """A label of a return. `amount` is its price in minor units of `currency`; `external_id` the parcel at the carrier.

    `stage` and `stage_at` are the carrier's last news; `pickup_state` is empty, prepared, booked or failed. `agent_id`:
    who bought it, null where the settings did. `said` are the carrier's words, `code` a name for them.
    """

    __tablename__ = "return_labels"
    __table_args__ = (
        # Bought once: a second one only after the first is out of the way.
        Index(
            "uq_return_labels_live",
            "workspace_id",
            "request_id",
            unique=True,
            postgresql_where=text("state IN ('wanted', 'prepared', 'bought', 'ready', 'unknown')"),
        ),
        Index(None, "workspace_id", "request_id"),
        Index(None, "workspace_id", "store_id", "external_id"),
        Index(None, "workspace_id", "store_id", "tracking_number"),
        tenant_key("request_id", "return_requests"),
        {
            "info": kept(
                "the merchant's books: what labels cost",
                blank=("tracking_number", "tracking_url", "url", "said", "confirmation"),
                plain=("state", "method", "external_id", "rate", "carrier", "service", "currency", "code", "stage",
                       "pickup_id", "pickup_state"),
            )
        },
    )  # fmt: skip

    store_id: Mapped[UUID]
    order_id: Mapped[UUID]
    request_id: Mapped[UUID]
    agent_id: Mapped[UUID | None]
    method: Mapped[str]
    state: Mapped[str] = mapped_column(server_default=WANTED)
    external_id: Mapped[str] = mapped_column(server_default="")
    rate: Mapped[str] = mapped_column(server_default="")
    carrier: Mapped[str] = mapped_column(server_default="")
    service: Mapped[str] = mapped_column(server_default="")
    amount: Mapped[int | None] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(server_default="")
    exponent: Mapped[int] = mapped_column(server_default=text("2"))
    tracking_number: Mapped[str] = mapped_column(server_default="")
    tracking_url: Mapped[str] = mapped_column(server_default="")
    url: Mapped[str] = mapped_column(server_default="")
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    said: Mapped[str] = mapped_column(server_default="")
    code: Mapped[str] = mapped_column(server_default="")
    stage: Mapped[str] = mapped_column(server_default="")
    stage_at: Mapped[datetime | None]
    pickup_id: Mapped[str] = mapped_column(server_default="")
    pickup_state: Mapped[str] = mapped_column(server_default="")
    confirmation: Mapped[str] = mapped_column(server_default="")
    sent_at: Mapped[datetime | None]
    bought_at: Mapped[datetime | None]

    @property
    def price(self) -> Money | None:
        """What it costs."""
        return Money(self.amount, self.currency, self.exponent) if self.amount is not None else None

    @property
    def offer(self) -> Offer:
        """What is to be bought. Raises ValueError before it was prepared."""
        if self.price is None:
            raise ValueError("nothing was prepared")
        return Offer(self.external_id, self.rate, self.carrier, self.service, self.price)


STATES: Mapping[str, tuple[Lazy, str, str]] = {
    WANTED: (_("Being bought"), "", "clock"),
    PREPARED: (_("Being bought"), "", "clock"),
    BOUGHT: (_("Bought"), "", "clock"),
    READY: (_("With the customer"), "good", "check"),
    FAILED: (_("Not bought"), "bad", "circle-x"),
    UNKNOWN: (_("Look into it"), "warn", "triangle-alert"),
    VOIDING: (_("Given back, money asked for"), "", "clock"),
    VOID: (_("Given back"), "", "ban"),
    KEPT: (_("Paid for, not used"), "warn", "ban"),
}
STAGES: Mapping[str, Lazy] = {
    Stage.WAITING: _("The carrier waits for the parcel."),
    Stage.MOVING: _("The carrier has the parcel."),
    Stage.DELIVERED: _("The carrier says that it was delivered to you."),
    Stage.BACK: _("The parcel goes back to the customer."),
    Stage.TROUBLE: _("The carrier reports trouble with the parcel."),
}
TROUBLES: Mapping[str, Lazy] = {
    "no_address": _("The order has no address that a parcel could come from."),
    "no_carrier": _("No carrier is connected. Connect one under Settings, Return policy, Shipping."),
    "no_rate": _("No carrier of yours takes this parcel. Look at both addresses and the parcel's size."),
    "document": _("The label is paid for, but its document does not come. Try again, or send the number alone."),
}


# Wanting one


async def of_request(tx: Tx, request_id: UUID) -> Sequence[ReturnLabel]:
    """The labels of a return, the newest first."""
    rows = await tx.scalars(
        select(ReturnLabel)
        .where(ReturnLabel.workspace_id == tx.workspace_id, ReturnLabel.request_id == request_id)
        .order_by(ReturnLabel.id.desc())
        .execution_options(populate_existing=True)
    )
    return list(rows)


async def live(tx: Tx, request_id: UUID) -> ReturnLabel | None:
    """The label that counts, held; None where there is none."""
    found: ReturnLabel | None = await tx.scalar(
        select(ReturnLabel)
        .where(
            ReturnLabel.workspace_id == tx.workspace_id,
            ReturnLabel.request_id == request_id,
            ReturnLabel.state.in_(LIVE),
        )
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return found


async def want_label(app: App, workspace_id: UUID, *, event_id: str, subject_id: str) -> None:
    """Task, after a return was approved: where the shop buys labels by itself, one is bought."""
    async with app.db.transaction(workspace_id) as tx:
        request = await tx.get(ReturnRequest, UUID(subject_id), lock=True)
        if request is not None and State(request.state) is State.APPROVED and await _by_itself(tx, request):
            await _add(tx, request, Method(request.method), by=None)
        await tx.complete_job()


async def _by_itself(tx: Tx, request: ReturnRequest) -> bool:
    settings = await shipping.of_store(tx, request.store_id)
    return (
        settings is not None and settings.automatic and bool(settings.carrier) and not request.keep
        and request.method in METHODS and request.label_file is None and await live(tx, request.id) is None
    )  # fmt: skip


async def quote(app: App, workspace_id: UUID, request_id: UUID) -> Offer:
    """What a label would cost now; nothing is bought. Raises AhlanError, PlatformError."""
    async with app.db.transaction(workspace_id) as tx:
        request = await records.get(tx, request_id)
        carrier, key, wanted = await _asked(app, tx, request)
    return await carrier.prepare(key, wanted)


async def buy(tx: Tx, request: ReturnRequest, offer: Offer, *, by: Agent) -> ReturnLabel:
    """Buy exactly what was shown; the caller holds the request. Raises Conflict when there is one, Forbidden."""
    if not by.may(Permission.REPLY):
        raise moves.forbidden()
    if State(request.state) not in WAITING_FOR_GOODS or await live(tx, request.id) is not None:
        raise Conflict(_("This return needs no label now."), _("Look at it again; nothing was bought."), code="label")
    method = Method(request.method) if request.method in METHODS else Method.LABEL
    label = await _add(tx, request, method, by=by, offer=offer)
    audit.note(
        tx, "orders.label_bought", by=by.id, subject=request.order_id,
        changes={"return": ["", request.number], "amount": ["", f"{offer.price.decimal()} {offer.price.currency}"]},
    )  # fmt: skip
    return label


async def _add(
    tx: Tx, request: ReturnRequest, method: Method, *, by: Agent | None, offer: Offer | None = None
) -> ReturnLabel:
    label = ReturnLabel(
        id=new_id(), store_id=request.store_id, order_id=request.order_id, request_id=request.id,
        agent_id=by.id if by is not None else None, method=method, state=WANTED, attempts=0, said="", code="",
        stage="", pickup_state="", pickup_id="", confirmation="",
    )  # fmt: skip
    if offer is not None:
        _prepared(label, offer)
    tx.add(label)
    await tx.flush()
    await _go(tx, label)
    return label


async def _go(tx: Tx, label: ReturnLabel) -> None:
    await tx.enqueue("buy_label", unique=f"label:{label.id}", label_id=label.id)


def _prepared(label: ReturnLabel, offer: Offer) -> None:
    label.state, label.external_id, label.rate = PREPARED, offer.external_id, offer.rate
    label.carrier, label.service = offer.carrier[:80], offer.service[:80]
    label.amount, label.currency, label.exponent = offer.price.amount, offer.price.currency, offer.price.exponent


async def _asked(app: App, tx: Tx, request: ReturnRequest) -> tuple[Carrier, str, Wanted]:
    """What a carrier is asked for. Raises AhlanError by a name of TROUBLES."""
    settings = await shipping.of_store(tx, request.store_id)
    carrier = app.carriers.get(settings.carrier) if settings is not None else None
    key = await shipping.key_of(tx, app.vault, request.store_id)
    if settings is None or carrier is None or not key:
        raise AhlanError(TROUBLES["no_carrier"], code="no_carrier")
    order = await tx.get(Order, request.order_id)
    sender = shipping.sender_of(order) if order is not None else None
    if sender is None:
        raise AhlanError(TROUBLES["no_address"], code="no_address")
    return carrier, key, Wanted(request.number, sender, settings.to, settings.usual, tuple(settings.services))


# Buying it


async def buy_label(app: App, workspace_id: UUID, *, label_id: str) -> None:
    """Task: bring a label as far as it can be brought, each thing once."""
    while await _next(app, workspace_id, UUID(label_id)):
        pass


async def _next(app: App, workspace_id: UUID, label_id: UUID) -> bool:
    """One piece of the way. Whether another may follow; TaskError asks for another round."""
    async with app.db.transaction(workspace_id) as tx:
        label, request = await _held(tx, label_id)
        if label is None or request is None or _over(label, request):
            await tx.complete_job()
            return False
        if label.state in (WANTED, PREPARED) and not label.attempts and not _needed(request):
            label.state = VOID
            return True
        label.sent_at = label.sent_at or datetime.now(UTC)
        try:
            carrier, key, wanted = await _asked(app, tx, request)
        except AhlanError as error:
            await _stopped(tx, label, request, UNKNOWN if label.attempts else FAILED, error.code)
            return True
        store = await stores.get(tx, label.store_id)
        state = label.state
        if state == PREPARED:
            # Counted before anybody is asked: after a kill nobody can tell whether the request went out.
            label.attempts += 1
    if state == WANTED:
        return await _prepare(app, workspace_id, label, carrier, key, wanted)
    if state == PREPARED:
        return await _buy(app, workspace_id, label, carrier, key)
    if state == BOUGHT:
        return await _fetch(app, workspace_id, label, carrier, key)
    return await _have_fetched(app, workspace_id, label, request, store, carrier, key, wanted)


def _over(label: ReturnLabel, request: ReturnRequest) -> bool:
    if label.state == READY:
        return label.method != Method.PICKUP or label.pickup_state in (BOOKED, FAILED) or request.pickup_on is None
    return label.state not in (WANTED, PREPARED, BOUGHT)


def _needed(request: ReturnRequest) -> bool:
    return State(request.state) in WAITING_FOR_GOODS and not request.keep


async def _held(tx: Tx, label_id: UUID) -> tuple[ReturnLabel | None, ReturnRequest | None]:
    """The label and its return, in the order in which everybody holds them."""
    found = await tx.get(ReturnLabel, label_id)
    request = await tx.get(ReturnRequest, found.request_id, lock=True) if found is not None else None
    return await tx.get(ReturnLabel, label_id, lock=True), request


async def _stopped(tx: Tx, label: ReturnLabel, request: ReturnRequest, state: str, code: str, said: str = "") -> None:
    """It goes no further by itself: somebody of the team has to look."""
    label.state, label.code, label.said = state, code[:80], said[:300]
    await tx.flush()
    await moves.overdue(tx, request, Overdue.LABEL)


async def _prepare(
    app: App, workspace_id: UUID, label: ReturnLabel, carrier: Carrier, key: str, wanted: Wanted
) -> bool:
    trouble: PlatformError | None = None
    offer: Offer | None = None
    try:
        offer = await carrier.prepare(key, wanted)
    except PlatformError as error:
        # Nothing was bought by it, whatever became of the request.
        trouble = error
    if trouble is not None and trouble.retry and _waited(label) < once.PATIENCE:
        raise TaskError(trouble.said, retry=True, after=trouble.after or 3.0) from trouble
    async with app.db.transaction(workspace_id) as tx:
        fresh, request = await _held(tx, label.id)
        if fresh is None or request is None or fresh.state != WANTED:
            return True
        if offer is not None:
            _prepared(fresh, offer)
        elif trouble is not None:
            await _stopped(tx, fresh, request, FAILED, trouble.code, trouble.said)
    return True


def _waited(label: ReturnLabel) -> timedelta:
    return datetime.now(UTC) - (label.sent_at or label.created_at)


async def _buy(app: App, workspace_id: UUID, label: ReturnLabel, carrier: Carrier, key: str) -> bool:
    bought: list[Label] = []

    async def act() -> Done:
        bought.append(await carrier.buy(key, label.offer))
        return Done(label.external_id)

    async def settle() -> Done | None:
        found = await carrier.find(key, label.external_id)
        if found is None:
            return None
        bought.append(found)
        return Done(label.external_id)

    answer = await once.ask(act, settle, attempts=label.attempts, since=label.sent_at or label.created_at, moves=False)
    if answer.verdict is Verdict.WAITS:
        if answer.untouched:
            async with app.db.transaction(workspace_id) as tx:
                fresh, _request = await _held(tx, label.id)
                if fresh is not None and fresh.attempts == 1:
                    fresh.attempts = 0
        raise answer.later
    async with app.db.transaction(workspace_id) as tx:
        fresh, request = await _held(tx, label.id)
        if fresh is None or request is None or fresh.state != PREPARED:
            return True
        if not bought:
            state = UNKNOWN if answer.verdict is Verdict.UNKNOWN else FAILED
            await _stopped(tx, fresh, request, state, answer.code, answer.said)
            return True
        await _write(tx, fresh, request, bought[-1])
    return True


async def _write(tx: Tx, label: ReturnLabel, request: ReturnRequest, bought: Label) -> None:
    label.state, label.bought_at, label.code, label.said = BOUGHT, datetime.now(UTC), "", ""
    label.carrier, label.service = bought.carrier[:80], bought.service[:80]
    label.amount, label.currency = bought.price.amount, bought.price.currency
    label.exponent = bought.price.exponent
    label.tracking_number, label.tracking_url = bought.tracking_number[:100], bought.tracking_url[:1000]
    label.url = bought.url[:2000]
    await _reckon(tx, request)


async def _reckon(tx: Tx, request: ReturnRequest) -> None:
    """What the labels of a return cost the shop, in the currency of the newest one that it paid for."""
    await tx.flush()
    paid = [one for one in await of_request(tx, request.id) if one.state in COSTS and one.amount is not None]
    if not paid:
        request.label_cost, request.label_currency = None, ""
    else:
        request.label_currency, request.label_exponent = paid[0].currency, paid[0].exponent
        request.label_cost = sum(one.amount or 0 for one in paid if one.currency == paid[0].currency)
    await tx.flush()


async def _fetch(app: App, workspace_id: UUID, label: ReturnLabel, carrier: Carrier, key: str) -> bool:
    """Get the document and hand it to the shopper; who no longer wants to send anything gets none."""
    upload, trouble = None, ""
    try:
        upload = await _document(label, carrier, key)
    except PlatformError as error:
        if error.retry and datetime.now(UTC) - (label.bought_at or label.created_at) < once.PATIENCE:
            raise TaskError(error.said, retry=True, after=error.after or 3.0) from error
        trouble = error.said
    except AhlanError as error:
        # What came is no document.
        trouble = error.code
    async with app.db.transaction(workspace_id) as tx:
        fresh, request = await _held(tx, label.id)
        if fresh is None or request is None or fresh.state != BOUGHT:
            return True
        if not _needed(request):
            await _give_back(tx, fresh)
            return True
        if upload is None and fresh.code != "document":
            # Told once; the number goes out all the same when somebody says so.
            fresh.code, fresh.said = "document", trouble[:300]
            await tx.flush()
            await moves.overdue(tx, request, Overdue.LABEL)
            await tx.complete_job()
            return False
        file = None
        if upload is not None:
            kept_file = await attachments.save(tx, upload, uploader="system", store_id=fresh.store_id)
            file = UUID(kept_file["id"])
        fresh.state, fresh.code, fresh.said = READY, "", ""
        await tx.flush()
        await moves.label(
            tx, request, carrier=fresh.carrier, tracking_number=fresh.tracking_number,
            tracking_url=fresh.tracking_url, file=file, by=Who.SYSTEM,
        )  # fmt: skip
    return True


async def _document(label: ReturnLabel, carrier: Carrier, key: str) -> attachments.Upload:
    url = await carrier.code(key, label.external_id) if label.method == Method.CODE else ""
    name = f"code-{label.tracking_number}" if url else f"label-{label.tracking_number}"
    content = await carrier.document(url or label.url)
    return await attachments.inspect(name, content)


async def _have_fetched(
    app: App, workspace_id: UUID, label: ReturnLabel, request: ReturnRequest, store: Store | None, carrier: Carrier,
    key: str, wanted: Wanted,
) -> bool:  # fmt: skip
    """Have the courier come on the day that was chosen: prepared, kept, then booked."""
    assert request.pickup_on is not None
    zone = zone_of(store.timezone if store is not None else "")
    window = (
        datetime.combine(request.pickup_on, _FETCHED_FROM, zone), datetime.combine(request.pickup_on, _FETCHED_TO, zone)
    )  # fmt: skip
    pickup: Pickup | None = None
    try:
        if not label.pickup_id:
            pickup = await carrier.prepare_pickup(key, label.external_id, wanted.sender, window, request.number)
        else:
            pickup = await carrier.find_pickup(key, label.pickup_id)
            if not pickup.booked and label.pickup_state == PREPARED:
                pickup = await carrier.book_pickup(key, pickup)
    except PlatformError as error:
        if error.retry and datetime.now(UTC) - (label.bought_at or label.created_at) < 2 * once.PATIENCE:
            raise TaskError(error.said, retry=True, after=error.after or 3.0) from error
        async with app.db.transaction(workspace_id) as tx:
            fresh, held = await _held(tx, label.id)
            if fresh is not None and held is not None:
                fresh.pickup_state = FAILED
                await _stopped(tx, fresh, held, fresh.state, error.code, error.said)
        return True
    async with app.db.transaction(workspace_id) as tx:
        fresh, held = await _held(tx, label.id)
        if fresh is not None and held is not None:
            fresh.pickup_id = pickup.external_id
            fresh.pickup_state = BOOKED if pickup.booked else PREPARED
            fresh.confirmation = pickup.confirmation[:80]
            if pickup.booked:
                await moves.no_longer_overdue(tx, held, Overdue.LABEL)
    return True


# When a person looks


async def look_again(tx: Tx, request: ReturnRequest, label_id: UUID, *, by: Agent) -> None:
    """Ask the carrier once more what became of a label, or fetch its document again. Raises NotFound, Forbidden."""
    label = await _of(tx, request, label_id, by)
    if label.state == UNKNOWN:
        label.state, label.sent_at = PREPARED, datetime.now(UTC)
    elif label.state == READY and label.pickup_state == FAILED:
        label.pickup_state = PREPARED if label.pickup_id else ""
    await tx.flush()
    await _go(tx, label)


async def not_bought(tx: Tx, request: ReturnRequest, label_id: UUID, *, by: Agent) -> None:
    """Somebody looked at the carrier's: it was not bought. Raises NotFound, Forbidden."""
    label = await _of(tx, request, label_id, by)
    if label.state == UNKNOWN:
        label.state, label.code = FAILED, "not_done"
        await tx.flush()


async def give_back(tx: Tx, request: ReturnRequest, label_id: UUID, *, by: Agent) -> None:
    """Nobody will use it: ask for its money. Raises NotFound, Forbidden, Conflict for one that travels."""
    label = await _of(tx, request, label_id, by)
    if label.state not in (BOUGHT, READY):
        return
    if label.stage not in ("", Stage.WAITING):
        raise Conflict(_("This label is in use."), _("The carrier has the parcel."), code="label_used")
    await _give_back(tx, label)
    audit.note(tx, "orders.label_given_back", by=by.id, subject=request.order_id,
               changes={"return": ["", request.number]})  # fmt: skip


async def _of(tx: Tx, request: ReturnRequest, label_id: UUID, by: Agent) -> ReturnLabel:
    if not by.may(Permission.REPLY):
        raise moves.forbidden()
    label = await tx.get(ReturnLabel, label_id, lock=True)
    if label is None or label.request_id != request.id:
        raise records.gone()
    return label


# Giving it back


async def drop_label(app: App, workspace_id: UUID, *, event_id: str, subject_id: str) -> None:
    """Task, after a return was called off: what was not bought is not wanted, what was not used is given back."""
    async with app.db.transaction(workspace_id) as tx:
        request = await tx.get(ReturnRequest, UUID(subject_id), lock=True)
        label = await live(tx, request.id) if request is not None else None
        if request is not None and label is not None and not _needed(request):
            if label.state in (WANTED, PREPARED) and not label.attempts:
                label.state = VOID
            elif label.state in (BOUGHT, READY) and label.stage in ("", Stage.WAITING):
                await _give_back(tx, label)
        await tx.complete_job()


async def stand_down(tx: Tx, request: ReturnRequest) -> None:
    """The return is asked for anew: a label that nobody bought yet is not wanted. Raises Conflict for one that is."""
    label = await live(tx, request.id)
    if label is None:
        return
    if label.state not in (WANTED, PREPARED) or label.attempts:
        raise Conflict(_("The label for it is being bought."), _("Look again in a minute."), code="label_under_way")
    label.state = VOID
    await tx.flush()


async def _give_back(tx: Tx, label: ReturnLabel) -> None:
    label.state = VOIDING
    await tx.flush()
    await tx.enqueue("void_label", unique=f"void:{label.id}", label_id=label.id)


async def void_label(app: App, workspace_id: UUID, *, label_id: str) -> None:
    """Task: ask for the money of an unused label, and how far that is, until the carrier has said yes or no."""
    async with app.db.transaction(workspace_id) as tx:
        label, request = await _held(tx, UUID(label_id))
        if label is None or request is None or label.state != VOIDING:
            await tx.complete_job()
            return
        settings = await shipping.of_store(tx, label.store_id)
        carrier = app.carriers.get(settings.carrier) if settings is not None else None
        key = await shipping.key_of(tx, app.vault, label.store_id)
        if carrier is None or not key:
            await tx.complete_job()
            return
    try:
        if label.pickup_id and label.pickup_state == BOOKED:
            await carrier.cancel_pickup(key, label.pickup_id)
        answer = await carrier.void(key, label.external_id)
    except PlatformError as error:
        if error.retry:
            raise TaskError(error.said, retry=True, after=error.after or 30.0) from error
        answer = Voided.REFUSED
    async with app.db.transaction(workspace_id) as tx:
        # First, so that the next look may stand in the table beside this one.
        await tx.complete_job()
        fresh, request = await _held(tx, label.id)
        if fresh is None or request is None or fresh.state != VOIDING:
            return
        if answer is Voided.ASKED and datetime.now(UTC) - (fresh.bought_at or fresh.created_at) < VOID_PATIENCE:
            await tx.enqueue(
                "void_label", delay=VOID_AGAIN.total_seconds(), unique=f"void:{fresh.id}", label_id=fresh.id
            )
            return
        fresh.state = VOID if answer is Voided.BACK else KEPT
        await _reckon(tx, request)
        tx.publish("returns", {"request_id": str(request.id)})


# News of the parcel


async def moved(tx: Tx, store_id: UUID, movement: Movement) -> bool:
    """What a carrier says of a parcel. Whether it is one of ours; what is older than the last news does nothing."""
    found = await _by_parcel(tx, store_id, movement)
    label, request = await _held(tx, found) if found is not None else (None, None)
    if label is None or request is None:
        return False
    if label.stage_at is not None and movement.at <= label.stage_at:
        return True
    label.stage, label.stage_at = movement.stage, movement.at
    await tx.flush()
    state = State(request.state)
    on_its_way = movement.stage in (Stage.MOVING, Stage.DELIVERED)
    if on_its_way and state in WAITING_FOR_GOODS and label.state == READY:
        await moves.ship(
            tx, request, carrier=label.carrier, tracking_number=label.tracking_number,
            tracking_url=label.tracking_url, by=Who.SYSTEM,
        )  # fmt: skip
    trouble = movement.stage in (Stage.BACK, Stage.TROUBLE)
    if (movement.stage is Stage.DELIVERED and State(request.state) is State.IN_TRANSIT) or trouble:
        # Whether the goods are in the parcel is for somebody to see.
        await moves.overdue(tx, request, Overdue.PARCEL)
    tx.publish("returns", {"request_id": str(request.id)})
    return True


async def _by_parcel(tx: Tx, store_id: UUID, movement: Movement) -> UUID | None:
    for column, value in (
        (ReturnLabel.external_id, movement.external_id), (ReturnLabel.tracking_number, movement.tracking_number),
    ):  # fmt: skip
        if not value:
            continue
        found: UUID | None = await tx.scalar(
            select(ReturnLabel.id)
            .where(ReturnLabel.workspace_id == tx.workspace_id, ReturnLabel.store_id == store_id, column == value)
            .order_by(ReturnLabel.id.desc())
            .limit(1)
        )
        if found is not None:
            return found
    return None
