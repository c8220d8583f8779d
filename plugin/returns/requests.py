"""Asking for a return: what may come back, what would come of a choice, and the request itself."""

import hashlib
import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import Text, cast, delete, func, literal, select, tuple_, union_all

from plugin import stores
from plugin.app import App
from plugin.conversations import conversations as threads
from plugin.crm import actions
from plugin.crm.actions import ActionRow
from plugin.crm.orders import Order
from plugin.crm.products import Product, Variant
from plugin.kernel.db import Tx, new_id
from plugin.kernel.errors import AhlanError, Conflict, NotFound
from plugin.kernel.lazy import _
from plugin.kernel.money import Money
from plugin.return_desk import ExchangePart, ReturnableLine, ReturnableOrder, Sign
from plugin.returns import labels, moves, policies, policy, shipping, signs, withdrawals
from plugin.returns.policies import PolicyVersion
from plugin.returns.policy import Choice, Customer, Decision, Eligibility, PayWhen, Policy, Promised, Resolution
from plugin.returns.records import LINES, OURS, ReturnLine, ReturnRequest, get, held, lines_of, of_order
from plugin.returns.shipping import Way
from plugin.returns.states import OPEN, State, Who
from plugin.returns.steps import ReturnStep
from plugin.team import Agent


@dataclass(frozen=True, slots=True)
class Offer:
    """What of an order may come back today. `open` are its returns that are under way."""

    order: ReturnableOrder
    policy: PolicyVersion
    lines: tuple[tuple[ReturnableLine, Eligibility], ...]
    customer: Customer
    promised: Promised
    open: tuple[ReturnRequest, ...] = ()


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
        choice = await _priced(tx, judged.store_id, read, choice)
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
    way: Way | None = None,
) -> ReturnRequest:
    """Ask for a return; the same `client_id` twice is one request. `photos` are `uploader`'s own attachments.

    `verified`: they proved that the order is theirs; otherwise nothing happens before an agent has asked them. Raises
    as `offer`, Conflict when what comes back is no longer what was shown, AhlanError when it cannot come back.
    """
    for _attempt in range(_READS):
        async with app.db.transaction(workspace_id) as tx:
            if (known := await _by_client_id(tx, order_id, client_id)) is not None:
                return known
            before = await standing(tx, order_id)
        read = await _read(app, workspace_id, order_id)
        async with app.db.transaction(workspace_id) as tx:
            order, _store = await _order(tx, order_id, hold=True)
            if (known := await _by_client_id(tx, order_id, client_id)) is not None:
                return known
            if await standing(tx, order_id) != before:
                # The store was asked before that: it may know of it or not, and neither could be told apart.
                continue
            return await _submitted(
                tx, order, read, choice, client_id=client_id, decision_digest=decision_digest, language=language,
                verified=verified, conversation_id=conversation_id, by=by, photos=photos, uploader=uploader, way=way,
            )  # fmt: skip
    raise busy()


def busy() -> Conflict:
    """Something happened to the order while its store was asked."""
    return Conflict(
        _("Something else happens to this order just now."), _("Nothing was asked for. Try again in a moment."),
        code="order_busy",
    )  # fmt: skip


_READS = 5
"""How often the store is asked anew when something happened to the order meanwhile."""


Known = frozenset[tuple[str, ...]]
"""How an order stands, as far as we have to do with it."""


async def standing(tx: Tx, order_id: UUID) -> Known:
    """All that we do to an order at its store, and how far it is: what the store answers depends on it."""
    rows = await tx.execute(
        union_all(
            select(
                literal("return"), cast(ReturnRequest.id, Text),
                func.concat(ReturnRequest.moves, ReturnRequest.external_id),
            ).where(ReturnRequest.workspace_id == tx.workspace_id, ReturnRequest.order_id == order_id),
            select(literal("step"), cast(ReturnStep.id, Text), ReturnStep.state)
            .where(ReturnStep.workspace_id == tx.workspace_id, ReturnStep.order_id == order_id),
            select(literal("action"), cast(ActionRow.id, Text), ActionRow.state)
            .where(ActionRow.workspace_id == tx.workspace_id, ActionRow.order_id == order_id),
        )
    )  # fmt: skip
    return frozenset(tuple(map(str, row)) for row in rows)


async def _submitted(
    tx: Tx, order: Order, read: ReturnableOrder, choice: Choice, *, client_id: UUID, decision_digest: str,
    language: str, verified: bool, conversation_id: UUID | None, by: Agent | None, photos: Sequence[UUID],
    uploader: str, way: Way | None,
) -> ReturnRequest:  # fmt: skip
    judged = await _judge(tx, order.id)
    choice = await _priced(tx, order.store_id, read, choice)
    decision = policy.quote(
        judged.version.policy, read, choice, judged.today, customer=judged.customer, promised=judged.promised
    )
    _agreed(decision, decision_digest)
    chosen = await shipping.checked_way(tx, order, way or Way(), judged.today)
    return await _write(
        tx, order, read, choice, decision, judged, client_id=client_id, language=language, verified=verified,
        conversation_id=conversation_id, by=by, photos=photos, uploader=uploader, way=chosen,
    )  # fmt: skip


async def change_offer(app: App, workspace_id: UUID, request_id: UUID, *, gift: bool = False) -> Offer:
    """What may come back when this return is asked for anew. Raises as `offer`, and Conflict once it is too late."""
    async with app.db.transaction(workspace_id) as tx:
        order_id = (await _changeable(tx, request_id)).order_id
    read = await _read(app, workspace_id, order_id)
    async with app.db.transaction(workspace_id) as tx:
        request = await _changeable(tx, request_id)
        judged, read = await _judge(tx, order_id, apart=request), await _without(tx, read, request)
    rules, today = judged.version.policy, judged.today
    lines = tuple(
        (line, policy.eligibility(rules, read, line, today, gift=gift, promised=judged.promised)) for line in read.lines
    )
    return Offer(read, judged.version, lines, judged.customer, judged.promised, judged.open)


async def change_decision(app: App, workspace_id: UUID, request_id: UUID, choice: Choice) -> Decision:
    """What comes back when it is changed to this. Changes nothing. Raises as `change_offer`."""
    async with app.db.transaction(workspace_id) as tx:
        order_id = (await _changeable(tx, request_id)).order_id
    read = await _read(app, workspace_id, order_id)
    async with app.db.transaction(workspace_id) as tx:
        request = await _changeable(tx, request_id)
        judged, read = await _judge(tx, order_id, apart=request), await _without(tx, read, request)
        choice = await _priced(tx, judged.store_id, read, choice)
    return policy.quote(
        judged.version.policy, read, choice, judged.today, customer=judged.customer, promised=judged.promised
    )


async def change(
    app: App, workspace_id: UUID, request_id: UUID, choice: Choice, *, decision_digest: str, way: Way | None = None,
    by: Agent | None = None, photos: Sequence[UUID] = (), uploader: str = "",
) -> ReturnRequest:  # fmt: skip
    """Ask for something else instead, as long as nothing was sent and nothing paid: it keeps its number and its thread.

    What it says already changes nothing, so that a lost answer may be asked for again. Raises as `submit`, and Conflict
    once it is too late.
    """
    for _attempt in range(_READS):
        async with app.db.transaction(workspace_id) as tx:
            if (known := await _says(tx, request_id, choice, way or Way(), photos)) is not None:
                return known
            order_id = (await _changeable(tx, request_id)).order_id
            before = await standing(tx, order_id)
        read = await _read(app, workspace_id, order_id)
        async with app.db.transaction(workspace_id) as tx:
            order, _store = await _order(tx, order_id, hold=True)
            request = await _changeable(tx, request_id, lock=True)
            if await standing(tx, order_id) != before:
                continue
            return await _changed(
                tx, order, read, request, choice, decision_digest=decision_digest, way=way, by=by, photos=photos,
                uploader=uploader,
            )  # fmt: skip
    raise busy()


async def _says(tx: Tx, request_id: UUID, choice: Choice, way: Way, photos: Sequence[UUID]) -> ReturnRequest | None:
    """The return, where it was changed to exactly this before."""
    request = await get(tx, request_id)
    was = request.chosen
    there = (request.method, request.place_id, request.pickup_on) == (way.method or "", way.place_id, way.on)
    if was is None or not there or not {str(one) for one in photos} <= set(request.photos):
        return None
    return request if _asked(was) == _asked(choice) else None


def _asked(choice: Choice) -> tuple[object, ...]:
    """What somebody chose, whatever they sent of it besides: how many photos, and what the store asks for it."""
    lines = sorted((one.line_external_id, one.quantity, one.reason, one.words, *sorted(one.kept))
                   for one in choice.lines)  # fmt: skip
    instead = sorted((part.variant_external_id, part.quantity) for part in choice.exchange)
    return choice.resolution, choice.gift, lines, instead


async def _changed(
    tx: Tx, order: Order, read: ReturnableOrder, request: ReturnRequest, choice: Choice, *, decision_digest: str,
    way: Way | None, by: Agent | None, photos: Sequence[UUID], uploader: str,
) -> ReturnRequest:  # fmt: skip
    judged, read = await _judge(tx, order.id, apart=request), await _without(tx, read, request)
    choice = await _priced(tx, order.store_id, read, choice)
    decision = policy.quote(
        judged.version.policy, read, choice, judged.today, customer=judged.customer, promised=judged.promised
    )
    _agreed(decision, decision_digest)
    chosen = await shipping.checked_way(tx, order, way or Way(), judged.today)
    await labels.stand_down(tx, request)
    await tx.execute(delete(LINES).where(LINES.c.workspace_id == tx.workspace_id, LINES.c.request_id == request.id))
    for name, value in _told(read, choice, decision, judged, chosen, verified=request.verified).items():
        setattr(request, name, value)
    await tx.flush()
    await _write_lines(tx, request, read, choice, decision)
    said = "\n".join(filter(None, (moves.cleaned(line.words) for line in choice.lines)))
    await moves.changed(
        tx, request, by=by or Who.SHOPPER, at_once=_automatic(judged, decision, verified=request.verified),
        photos=photos, uploader=uploader, words=said,
    )  # fmt: skip
    return request


async def _changeable(tx: Tx, request_id: UUID, *, lock: bool = False) -> ReturnRequest:
    request = await (held if lock else get)(tx, request_id)
    if await withdrawals.of_request(tx, request_id) is not None:
        raise Conflict(
            _("This return is a withdrawal from the contract."),
            _("What was stated stays as it is. Write to us, or withdraw from more of it."),
            code="withdrawal",
        )  # fmt: skip
    if not moves.may(request, "change", Who.SHOPPER):
        raise Conflict(
            _("This return has moved on meanwhile."), _("Look where it stands now; nothing was changed."),
            code="moved_on",
        )  # fmt: skip
    return request


def _agreed(decision: Decision, decision_digest: str) -> None:
    """Raises AhlanError for what cannot be, Conflict for what is no longer what was shown."""
    if not decision.allowed:
        raise AhlanError(
            _("This cannot be sent back like that."), _("Look again at what may come back."), code="return_refused"
        )
    if digest(decision) != decision_digest:
        raise Conflict(
            _("What comes back has changed meanwhile."), _("Look at the new amounts, then confirm again."),
            code="decision_changed",
        )  # fmt: skip


async def by_law(
    tx: Tx, order_id: UUID, read: ReturnableOrder, choice: Choice, law: Policy, *, before: Known, language: str,
    verified: bool, by: Agent | None = None,
) -> ReturnRequest | None:  # fmt: skip
    """A return that the law asks for, judged by `law` in place of the shop's policy; None where nothing can go back.

    `read` is the order as the store told it after `before`, its `standing`; raises Conflict when that is another now.
    Whoever calls holds what it comes of, so that it comes of it once.
    """
    order, _store = await _order(tx, order_id, hold=True)
    if await standing(tx, order_id) != before:
        raise busy()
    judged = replace(await _judge(tx, order_id), law=law)
    decision = policy.quote(law, read, choice, judged.today, customer=judged.customer, promised=judged.promised)
    if not decision.allowed:
        return None
    return await _write(
        tx, order, read, choice, decision, judged, client_id=new_id(), language=language, verified=verified,
        conversation_id=None, by=by, photos=(), uploader="", way=Way(),
    )  # fmt: skip


_FIRST_NUMBER = 1001


@dataclass(frozen=True, slots=True)
class _Judged:
    """What a judgement needs besides the order itself."""

    store_id: UUID
    version: PolicyVersion
    customer: Customer
    promised: Promised
    today: date
    open: tuple[ReturnRequest, ...] = field(default=())
    law: Policy | None = None

    @property
    def rules(self) -> Policy:
        """What it is judged by: the shop's policy, or the law that goes before it."""
        return self.law or self.version.policy


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


async def _judge(tx: Tx, order_id: UUID, *, apart: ReturnRequest | None = None) -> _Judged:
    order, store = await _order(tx, order_id)
    version = await policies.current(tx, store)
    rules = version.policy
    under_way = tuple(
        one
        for one in await of_order(tx, order_id)
        if State(one.state) in OPEN and one.origin == OURS and (apart is None or one.id != apart.id)
    )
    return _Judged(
        store.id,
        version,
        # What is changed was counted when it was asked for.
        await signs.person_of(tx, order, rules, apart=apart.id if apart is not None else None),
        await _promised(tx, under_way),
        datetime.now(ZoneInfo(rules.zone)).date(),
        under_way,
    )


async def _without(tx: Tx, read: ReturnableOrder, request: ReturnRequest) -> ReturnableOrder:
    """The order as if this return had not been asked for: what the store holds back for it may go back."""
    if not request.external_id:
        return read
    back = Counter[str]()
    for line in await lines_of(tx, request.id):
        back[line.line_external_id] += line.quantity
    lines = tuple(
        replace(line, returnable=min(line.returnable + back[line.external_id], line.quantity - line.gone))
        for line in read.lines
    )
    return replace(read, lines=lines)


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


async def _priced(tx: Tx, store_id: UUID, read: ReturnableOrder, choice: Choice) -> Choice:
    """The choice with what is sent instead at the store's own prices: what a browser says of them counts nothing.

    What is not in stock has no price here. Piece for piece of the same product is what everybody may have; anything
    else is `other`, and the policy says whether it may be and what becomes of the rest.
    """
    if not choice.exchange:
        return choice
    wanted = {part.variant_external_id for part in choice.exchange}
    rows = await tx.execute(
        select(Variant, Product.title, Product.external_id.label("product"))
        .join(Product, tuple_(Product.workspace_id, Product.id) == tuple_(Variant.workspace_id, Variant.product_id))
        .where(
            Variant.workspace_id == tx.workspace_id,
            Variant.store_id == store_id,
            Variant.external_id.in_(wanted),
            Variant.available,
            Product.deleted_at.is_(None),
        )
    )
    found = rows.all()
    known = {row.Variant.external_id: (row.Variant, row.title) for row in found}
    products = {row.Variant.external_id: row.product for row in found}
    returned, instead = Counter[str](), Counter[str]()
    bought = {line.external_id: line.product_external_id for line in read.lines}
    for one in choice.lines:
        returned[bought.get(one.line_external_id, "")] += one.quantity
    for part in choice.exchange:
        instead[products.get(part.variant_external_id, "")] += part.quantity
    counts = Counter[str]()
    for part in choice.exchange:
        counts[part.variant_external_id] += part.quantity
    parts = []
    for part in choice.exchange:
        variant, title = known.get(part.variant_external_id, (None, part.title))
        price = None
        wanted_of_it = counts[part.variant_external_id]
        there = variant is not None and (variant.stock is None or variant.stock >= wanted_of_it)
        if there and variant is not None and variant.price is not None:
            price = Money(variant.price, variant.currency, variant.exponent)
        # Goods without variants have one that is called as they are.
        named = " · ".join(dict.fromkeys(filter(None, (title, variant.title if variant else ""))))
        product = products.get(part.variant_external_id, "")
        parts.append(ExchangePart(part.variant_external_id, part.quantity, named, price, product))
    return replace(choice, exchange=tuple(parts), other=returned != instead)


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
    photos: Sequence[UUID], uploader: str, way: Way,
) -> ReturnRequest:  # fmt: skip
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
        verified=verified,
        language=language,
        **_told(read, choice, decision, judged, way, verified=verified),
        conversation_id=await _conversation(tx, order, conversation_id, verified=verified),
        stuck=False,
        external_id="",
        photos=[],
    )
    tx.add(request)
    await tx.flush()
    await _write_lines(tx, request, read, choice, decision)
    said = "\n".join(filter(None, (moves.cleaned(line.words) for line in choice.lines)))
    await moves.begun(
        tx, request, by=by or Who.SHOPPER, at_once=_automatic(judged, decision, verified=verified), photos=photos,
        uploader=uploader, words=said,
    )  # fmt: skip
    return request


def _automatic(judged: _Judged, decision: Decision, *, verified: bool) -> bool:
    return verified and judged.rules.automatic and not decision.review


def gives_at_once(rules: Policy, choice: Choice, decision: Decision) -> bool:
    """Whether what is wanted instead goes out as soon as it is asked for, before anything came back. Pure."""
    swaps = choice.resolution in (Resolution.EXCHANGE, Resolution.REPLACEMENT)
    agreed = decision.allowed and rules.automatic and not decision.review
    return swaps and agreed and (decision.instant or rules.pay_when is PayWhen.APPROVED)


def _told(
    read: ReturnableOrder, choice: Choice, decision: Decision, judged: _Judged, way: Way, *, verified: bool
) -> dict[str, Any]:
    """What was asked for and judged, as the columns of a return."""
    nothing = Money(0, read.paid.currency, read.paid.exponent)
    return {
        "resolution": choice.resolution,
        "policy_version": judged.version.id,
        "choice": msgspec.to_builtins(choice),
        "decision": msgspec.to_builtins(decision),
        "review": [*decision.review, *([] if verified else ["unverified"])],
        "risk_words": list(read.risk_words) if Sign.RISK in decision.review else [],
        "keep": decision.keep,
        # No money goes with it: what is sent instead is released by the same step.
        "pays": PayWhen.APPROVED if decision.instant and verified else judged.rules.pay_when,
        "worth": (decision.worth or nothing).amount,
        "cash": (decision.cash or nothing).amount,
        "credit": (decision.credit or nothing).amount,
        "bonus": (decision.bonus or nothing).amount,
        "delivery": (decision.delivery or nothing).amount,
        "currency": nothing.currency,
        "exponent": nothing.exponent,
        "method": way.method or "",
        "place_id": way.place_id,
        "pickup_on": way.on,
    }


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
                words=moves.cleaned(one.words),
                answers=list(one.kept),
                goods=decided.goods.amount,
                fee=decided.fee.amount,
            )
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
