"""Returns: the queue, one return with everything that can be done to it, starting one, and the return beside a chat."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import blake2b
from typing import Any, Final
from uuid import UUID, uuid4

import orjson
from starlette.datastructures import FormData, UploadFile
from starlette.responses import Response

from admin_ui.desk import Desk, as_id, nothing_here
from admin_ui.pages import return_shipping
from admin_ui.return_words import narrowed_words
from admin_ui.words import State as Pill
from admin_ui.words import silence
from plugin import stores
from plugin.conversations import attachments, ties
from plugin.conversations.conversations import Conversation
from plugin.crm import identities, orders
from plugin.crm.orders import Order, Refund
from plugin.kernel.db import Tx
from plugin.kernel.digits import whole
from plugin.kernel.errors import AhlanError, Conflict, TooLarge
from plugin.kernel.events import Event
from plugin.kernel.i18n import Translator
from plugin.kernel.lazy import Lazy, _
from plugin.kernel.money import Money, parse
from plugin.kernel.text import isolate
from plugin.platform import PlatformError
from plugin.return_desk import Disposition, ExchangePart, PayReturn, ReturnableLine, ReturnPart, Sign
from plugin.returns import (
    carrying,
    claims,
    moves,
    narrowing,
    policies,
    policy_words,
    queue,
    records,
    requests,
    shipping,
    steps,
    withdrawals,
    words,
)
from plugin.returns.goods import products_of
from plugin.returns.policy import Choice, ChoiceLine, Decision, Resolution, leaves, reasons_for
from plugin.returns.queue import Asked, Tab
from plugin.returns.records import ReturnLine, ReturnRequest
from plugin.returns.requests import Offer
from plugin.returns.shipping import Method, Way
from plugin.returns.states import State, Timer, Who
from plugin.returns.steps import ReturnStep
from plugin.team import Agent, Permission

TABS: Final[Mapping[Tab, tuple[str, Lazy]]] = {
    Tab.WAITING: ("clock", _("Waiting for us")),
    Tab.OPEN: ("inbox", _("Under way")),
    Tab.DONE: ("check", _("Done")),
    Tab.ALL: ("archive", _("All returns")),
}
_MEANINGS: Final[Mapping[State, tuple[str, str]]] = {
    State.REQUESTED: ("warn", "clock"),
    State.ASKED: ("", "hourglass"),
    State.APPROVED: ("", "check"),
    State.DECLINED: ("", "ban"),
    State.SENT: ("", "file-text"),
    State.IN_TRANSIT: ("", "truck"),
    State.RECEIVED: ("warn", "package"),
    State.INSPECTED: ("", "package-check"),
    State.PAID: ("good", "circle-check"),
    State.CLOSED: ("good", "circle-check"),
    State.CANCELLED: ("", "ban"),
}
_DAYS = (1, 3, 7, 14, 30)
_UNTOUCHED: Final = "returns_untouched"
"""What a store is found with that did not allow returns in it: a permission of `words.PERMISSIONS`."""
_MOST_AT_ONCE = 50
_LONG = timedelta(minutes=10)
_OFFERED = tuple(Resolution)
_MOST_FOUND = 30
_BY_MONEY: Final = frozenset({"pay", "complete"})
"""What follows the money by itself, once that has moved."""
_ENDS: Final = frozenset({"close", "cancel"})
"""What waits until it is known what became of the money."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the queue."""

    id: UUID
    number: str
    order: str
    customer: str
    store: str
    goods: str
    image: str
    state: Pill
    gets: str
    waiting_since: datetime | None
    at: datetime
    stuck: Pill | None
    approvable: bool


@dataclass(frozen=True, slots=True)
class Step:
    """Something that the store was told, as the page says it. `ours` and `theirs` where the two differ."""

    id: UUID
    name: Lazy
    state: Pill
    said: str
    advice: str
    at: datetime
    ours: str = ""
    theirs: str = ""
    difference: str = ""
    can: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Task:
    """What somebody has to do before a return goes on. `words`: what for, and the text that they may take over."""

    kind: str
    sign: str
    heading: str
    text: str
    words: Sequence[tuple[str, str]] = ()
    done: UUID | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """A line of the history."""

    text: str
    who: str
    at: datetime
    amount: str = ""


def pill(state: State) -> Pill:
    """A state in words."""
    meaning, sign = _MEANINGS[state]
    return Pill(words.STATES[state], meaning, sign)


# The queue


async def index(desk: Desk) -> Response:
    """The queue: a tab, filters beside it, page by page."""
    return await _index(desk)


async def _index(desk: Desk, *, done: str = "") -> Response:
    query = desk.request.query_params
    asked = _asked(query, desk.t)
    async with desk.transaction() as tx:
        page = await queue.page(tx, asked, cursor=query.get("after"))
        held = await queue.counts(tx)
        shops = list(await stores.all_stores(tx))
        given = await queue.reasons(tx)
        withdrawn = await withdrawals.counts(tx)
        claimed = await claims.count_open(tx)
        held_back = await steps.held_back(tx, [one.request.id for one in page.rows if one.request.stuck])
    names = {store.id: store.name for store in shops} if len(shops) > 1 else {}
    rows = [_row(desk.t, one, names, _held_back(one.request, held_back)) for one in page.rows]
    return desk.page(
        "returns.html",
        heading=desk.t.gettext("Returns"),
        asked=asked,
        tabs=[(tab, sign, name, _count(desk.t, held.get(tab, 0))) for tab, (sign, name) in TABS.items()],
        rows=rows,
        cursor=page.cursor,
        place=_place(asked),
        narrowed=any(
            (asked.state, asked.store_id, asked.resolution, asked.reason, asked.days, asked.words, asked.narrowed)
        ),
        counted=await narrowed_words(desk, asked.narrowed),
        state_names=words.STATES,
        shops=shops if len(shops) > 1 else [],
        resolutions=policy_words.RESOLUTIONS,
        given=[(code, _reason(desk.t, code)) for code in given],
        ages=_DAYS,
        withdrawn=withdrawn,
        claimed=claimed,
        done=done,
        untouched=[
            (store.id, store.name) for store in shops
            if store.status == stores.CONNECTED
            and any(one.get("code") == _UNTOUCHED and not one.get("ok") for one in store.findings)
        ],
    )  # fmt: skip


def _asked(query: Mapping[str, str], t: Translator) -> Asked:
    def one_of(kind: type[StrEnum], name: str) -> Any:
        return kind(query[name]) if query.get(name) in set(kind) else None

    store = query.get("store", "")
    words = query.get("q", "").strip()[:100]
    return Asked(
        # Whoever looks for something looks everywhere.
        tab=one_of(Tab, "tab") or (Tab.ALL if words else Tab.WAITING),
        state=one_of(State, "state"),
        store_id=as_id(store) if store else None,
        resolution=query.get("resolution", "") if query.get("resolution") in set(Resolution) else "",
        reason=query.get("reason", "")[:100],
        days=whole(query.get("days", ""), 10_000) or 0,
        words=words,
        narrowed=narrowing.read(query, t.timezone),
    )


def _place(asked: Asked) -> dict[str, Any]:
    return {
        "tab": asked.tab.value, "state": asked.state.value if asked.state else "", "store": asked.store_id or "",
        "resolution": asked.resolution, "reason": asked.reason, "days": asked.days or "", "q": asked.words,
        **asked.narrowed.place,
    }  # fmt: skip


def _count(t: Translator, held: int) -> str:
    if held >= queue.COUNT_LIMIT:
        return f"{t.format_number(queue.COUNT_LIMIT)}+"
    return t.format_number(held) if held else ""


def _held_back(request: ReturnRequest, found: Mapping[UUID, str]) -> Pill | None:
    """What it waits for somebody with, in a word; None where the store does as it is told."""
    return Pill(*words.STUCK[found.get(request.id, steps.FAILED)]) if request.stuck else None


def _row(t: Translator, listed: queue.Listed, names: Mapping[UUID, str], stuck: Pill | None) -> Row:
    request = listed.request
    goods = isolate(listed.title)
    if listed.items > 1:
        goods = t.ngettext("%(title)s and %(num)s more", "%(title)s and %(num)s more", listed.items - 1,
                           title=isolate(listed.title))  # fmt: skip
    if request.origin == records.STORES:
        goods = t.gettext("Made in the store: %(name)s", name=isolate(request.name, "ltr"))
    return Row(
        id=request.id, number=request.number, order=listed.order, customer=listed.customer,
        store=names.get(request.store_id, ""), goods=goods, image=listed.image, state=pill(State(request.state)),
        gets=_gets(t, request), waiting_since=request.waiting_since, at=request.created_at, stuck=stuck,
        approvable=moves.may(request, "approve", Who.AGENT) and request.verified,
    )  # fmt: skip


def _gets(t: Translator, request: ReturnRequest) -> str:
    """What the customer gets, in a few words."""
    if not request.resolution:
        return ""
    name = policy_words.resolution(t, Resolution(request.resolution))
    amount = request.promised + request.money(request.bonus)
    return f"{name} · {t.format_money(amount)}" if amount.amount else name


def _reason(t: Translator, code: str) -> str:
    return t.gettext(policy_words.REASONS[code]) if code in policy_words.REASONS else code


async def look_at_many(desk: Desk) -> Response:
    """What approving the chosen returns comes to."""
    async with desk.transaction() as tx:
        chosen, ready = await _chosen(tx, desk.request.query_params.getlist("id"))
        nowhere = await return_shipping.nowhere(tx, ready)
        giving = [await moves.gives_with_yes(tx, one, desk.agent) for one in ready]
    sums: dict[tuple[str, int], int] = {}
    for one in ready:
        sums[one.currency, one.exponent] = sums.get((one.currency, one.exponent), 0) + one.promised.amount + one.bonus
    return desk.page(
        "returns.html", block="approving", ready=ready, left=len(chosen) - len(ready), nowhere=nowhere,
        giving=sum(giving),
        sums=[desk.t.format_money(Money(amount, *kind)) for kind, amount in sums.items() if amount],
    )  # fmt: skip


async def approve_many(desk: Desk) -> Response:
    """The same yes to every chosen return that is still to be decided."""
    form = await desk.request.form()
    async with desk.transaction() as tx:
        _all, ready = await _chosen(tx, form.getlist("id"))
        for one in ready:
            await moves.approve(tx, one, by=desk.agent)
    said = desk.t.ngettext("%(num)s return approved.", "%(num)s returns approved.", len(ready))
    headers = {"hx-trigger": json.dumps({"ahlan:toast": {"text": said}, "ahlan:returns": {}})}
    return Response(status_code=204, headers={**desk.headers(), **headers})


async def _chosen(tx: Tx, ids: Sequence[Any]) -> tuple[list[ReturnRequest], list[ReturnRequest]]:
    """The returns of these ids, held in one order everywhere, and those of them that can be agreed to."""
    found = [await records.held(tx, id) for id in sorted({as_id(str(value)) for value in ids})[:_MOST_AT_ONCE]]
    return found, [one for one in found if moves.may(one, "approve", Who.AGENT) and one.verified]


# One return


async def one(desk: Desk) -> Response:
    """One return: what goes back, what was promised, what the store was told, and what can be done."""
    return await _one(desk, desk.path_id())


async def _one(desk: Desk, request_id: UUID, *, saved: str = "", block: str = "") -> Response:
    async with desk.transaction() as tx:
        request = await records.get(tx, request_id)
        order, store = await tx.get(Order, request.order_id), await stores.get(tx, request.store_id)
        lines, told = await records.lines_of(tx, request.id), await steps.of_request(tx, request.id)
        happened = await records.history(tx, request)
        names = await _names(tx, happened)
        photos = await _photos(tx, desk, request)
        label = await tx.get(attachments.Attachment, request.label_file) if request.label_file else None
        money_back = await _refunds(tx, request, told)
        siblings = [one for one in await records.of_order(tx, request.order_id) if one.id != request.id]
        version = await policies.version(tx, request.policy_version) if request.policy_version else None
        talk = await tx.get(Conversation, request.conversation_id) if request.conversation_id else None
        way = await return_shipping.shown(tx, desk, request)
        gives_with_yes = await moves.gives_with_yes(tx, request, desk.agent)
        timer = await moves.timer_of(tx, request)
        slip = await tx.get(attachments.Attachment, request.slip_file) if request.slip_file else None
    if order is None or store is None:
        raise nothing_here()
    seen = _seen(request, told)
    if desk.request.query_params.get("seen") == seen:
        # The page that waits for the store stands as it is: nothing is drawn anew under somebody's hands.
        return Response(status_code=204, headers=desk.headers())
    t, state = desk.t, State(request.state)
    decision = request.decided if request.decision else None
    payment = next((step for step in told if step.kind == steps.PAY and step.state != steps.SKIPPED), None)
    return desk.page(
        "return.html",
        block=block,
        heading=request.number,
        request=request,
        order=order,
        store=store,
        talk=talk,
        lines=[(line, _reason(t, line.reason), _answers(t, line), _became(t, line)) for line in lines],
        photos=photos,
        label=label,
        state=pill(state),
        state_code=state.value,
        can=[
            move.name for move in _possible(request)
            if move.name not in _ENDS or payment is None or payment.state in steps.OVER
        ],
        decision=decision,
        money=_amounts(t, decision, request) if decision else [],
        gets=_gets(t, request),
        instead=list(request.chosen.exchange) if request.chosen else [],
        steps=_told(desk, told),
        task=_task(desk, request, order, told),
        by_itself=_by_itself(t, request, timer) if timer is not None and not request.overdue else "",
        wrong=_wrong(t, request, lines) if state in (State.RECEIVED, State.INSPECTED) else "",
        history=[_moment(t, event, names) for event in happened],
        review=[_review(t, code) for code in request.review],
        risk_words=policy_words.risks(t, request.risk_words),
        never_came=t.format_money(request.money(request.worth)) if moves.goods_are_late(request) else "",
        gives_with_yes=gives_with_yes,
        refunds=money_back,
        siblings=[(each, pill(State(each.state))) for each in siblings],
        version=version,
        declined=t.gettext(words.DECLINES[request.why])
        if state is State.DECLINED and request.why in words.DECLINES
        else "",
        pay_due=moves.pay_is_due(request) and payment is None,
        payable=request.origin == records.OURS and request.paid_at is None and payment is None
        and state in moves.PAYABLE and desk.may("refund"),
        paid=request.money(request.paid) if request.paid is not None else None,
        dispositions=words.DISPOSITIONS,
        declines=words.DECLINES,
        saved=saved,
        moving=payment is not None and payment.state == steps.QUEUED,
        seen=seen,
        slip=slip,
        changeable=moves.may(request, "change", Who.AGENT),
        **way,
    )  # fmt: skip


async def goods(desk: Desk) -> Response:
    """What a return of the store's own is about, as the store says it now: it is kept nowhere here."""
    async with desk.transaction() as tx:
        request = await records.get(tx, desk.path_id())
        seen, store = await orders.get(tx, request.order_id), await stores.get(tx, request.store_id)
    if seen is None or store is None or request.origin != records.STORES:
        raise nothing_here()
    sold = {line.external_id: (line, seen.picture(line)) for line in seen.lines}
    parts: Sequence[ReturnPart] = ()
    trouble = ""
    try:
        parts = await desk.app.platforms[store.platform].return_parts(store.connection(), request.external_id)
    except PlatformError as error:
        trouble = silence(desk.t, error)
    return desk.page("return.html", block="goods", trouble=trouble,
                     parts=[(part, *sold.get(part.line_external_id, (None, ""))) for part in parts])  # fmt: skip


def _seen(request: ReturnRequest, told: Sequence[ReturnStep]) -> str:
    """How a return stands with the store, in short: another word means that its page is another."""
    steps_told = [(str(step.id), step.state, step.code, step.said, step.tries) for step in told]
    standing = (request.moves, request.state, request.stuck, request.paid, steps_told)
    return blake2b(orjson.dumps(standing), digest_size=8).hexdigest()


def _possible(request: ReturnRequest) -> list[Any]:
    return [one for one in moves.ALL if one.name not in _BY_MONEY and moves.may(request, one.name, Who.AGENT)]


def _answers(t: Translator, line: ReturnLine) -> str:
    named = [t.gettext(policy_words.CONDITIONS[code]) for code in line.answers if code in policy_words.CONDITIONS]
    return t.listing(named)


def _became(t: Translator, line: ReturnLine) -> str:
    counts = {Disposition.RESTOCK: line.restock, Disposition.DAMAGED: line.damaged, Disposition.MISSING: line.missing}
    return " · ".join(
        f"{t.gettext(words.DISPOSITIONS[kind])}: {t.format_number(count)}" for kind, count in counts.items() if count
    )


def _review(t: Translator, code: str) -> str:
    return t.gettext(words.UNVERIFIED) if code == "unverified" else policy_words.review(t, code)


def _amounts(t: Translator, decision: Decision, request: ReturnRequest) -> list[tuple[str, str, bool]]:
    """What was promised, line by line: words, amount, whether it is the sum."""
    parts: list[tuple[Lazy, Money | None, bool]] = [
        (_("Goods"), decision.goods, False),
        (_("Restocking fee"), _less(decision.restocking_fee), False),
        (_("Return shipping"), _less(decision.shipping_fee), False),
        (_("Delivery of the order"), decision.delivery, False),
        (_("Back to the original payment"), decision.cash, True),
        (_("Store credit"), decision.credit, True),
        (_("Bonus on store credit"), decision.bonus, False),
        (_("Still to pay for what they chose"), decision.owed, True),
    ]
    return [
        (t.gettext(name), t.format_money(amount), whole) for name, amount, whole in parts if amount and amount.amount
    ]


def _less(amount: Money | None) -> Money | None:
    return Money(-amount.amount, amount.currency, amount.exponent) if amount is not None else None


def _told(desk: Desk, told: Sequence[ReturnStep]) -> list[Step]:
    """The steps; what stands behind one that sticks waits for it."""
    shown, held = [], False
    for step in told:
        one = _step(desk, step)
        if held and step.state == steps.QUEUED:
            one = replace(one, state=Pill(_("Waits for the step before"), "", "hourglass"))
        held = held or step.state in steps.STUCK
        shown.append(one)
    return shown


def _step(desk: Desk, step: ReturnStep) -> Step:
    t = desk.t
    name, meaning, sign = words.STEP_STATES[step.state]
    advice = words.TROUBLES.get(step.code)
    if step.state == steps.UNKNOWN and advice is None:
        advice = words.UNKNOWN
    if step.state == steps.HAND:
        advice = words.BY_HAND
    said = t.gettext(advice) if advice else ""
    # A refusal that we know by its code is no word of the store's.
    failed = step.state == steps.FAILED
    known = words.REFUSALS.get(step.said) or words.REFUSALS.get(step.code) if failed else None
    if known is not None:
        said = " ".join(map(t.gettext, known))
    ours, theirs = step.money, step.quoted.amount if step.quote else None
    differ = ours is not None and theirs is not None and ours != theirs
    may = desk.may("refund" if step.kind == steps.PAY else "reply")
    can = {
        steps.FAILED: ("again", "leave"),
        steps.UNKNOWN: ("again", "done", "not-done"),
        steps.HAND: ("done",),
        steps.QUEUED: ("again",) if datetime.now(UTC) - step.created_at > _LONG else (),
    }.get(step.state, ())
    return Step(
        id=step.id,
        name=words.STEPS[step.kind],
        state=Pill(name, meaning, sign),
        said=step.said if known is None else "",
        advice=said if step.state in steps.STUCK else "",
        at=step.finished_at or step.created_at,
        ours=t.format_money(ours) if ours is not None else "",
        theirs=t.format_money(theirs) if theirs is not None and differ else "",
        difference=t.format_money(ours - theirs) if ours is not None and theirs is not None and differ else "",
        can=can if may else (),
    )


def _task(desk: Desk, request: ReturnRequest, order: Order, told: Sequence[ReturnStep]) -> Task | None:
    """What the store left to somebody of the team: money to hand over, to look for, or a step that it refused."""
    step = next((one for one in told if one.state in steps.STUCK), None)
    if step is None or not request.stuck:
        return None
    t = desk.t
    if step.money is None or step.state == steps.FAILED:
        what = t.gettext("What it was told last did not come through. Look at the store's steps below.")
        return Task("bad", "", t.gettext("The store needs a look"), what)
    amount = t.format_money(step.money)
    number, name = isolate(request.number, "ltr"), isolate(order.customer_name or t.gettext("Without a name"))
    if step.state == steps.UNKNOWN:
        heading = t.gettext("%(amount)s may have gone back already", amount=amount)
        what = t.gettext(
            "The store did not say what became of it. Look in the refunds of order %(order)s for %(number)s, then say "
            "below whether it happened. Nothing is sent again by itself.",
            order=isolate(order.name, "ltr"), number=number,
        )  # fmt: skip
        return Task("bad", "", heading, what)
    theirs = desk.app.catalogues.translator(request.language or t.locale)
    said = {
        "number": isolate(request.number, "ltr"), "order": isolate(order.name, "ltr"),
        "amount": theirs.format_money(step.money),
    }  # fmt: skip
    return Task(
        "warn", "hand-coins",
        t.gettext("Give %(amount)s back to %(name)s yourselves", amount=amount, name=name),
        t.gettext(
            "The store has written the refund down, and this way of paying gives nothing back by itself. Transfer the "
            "money or hand it over, then say so here: only then is the customer told."
        ),
        ((t.gettext("Words for the transfer"), theirs.gettext(words.TRANSFER, **said)),
         (t.gettext("Words for the customer"), theirs.gettext(words.ASK_WHERE_TO, **said))),
        step.id if desk.may(Permission.REFUND) else None,
    )  # fmt: skip


_BY_ITSELF: Final[Mapping[str, Lazy]] = {
    "cancel": _("Without an answer it is cancelled by itself on %(day)s."),
    "close": _("It is closed by itself on %(day)s."),
    "": _("If nothing comes until %(day)s, it waits for you."),
}


def _by_itself(t: Translator, request: ReturnRequest, timer: Timer) -> str:
    """What happens without anybody, and when: the shopper is reminded, then the return ends or waits for the team."""
    since, rest = request.moved_at + timer.first, timer.then
    said = []
    if timer.reminds and request.reminded_at is None:
        said.append(t.gettext("The customer is reminded on %(day)s.", day=t.format_date(since)))
    elif timer.reminds:
        since = request.reminded_at or since
    elif rest is None:
        rest = timedelta(0)
    if rest is not None:
        move = "" if moves.gave_before_the_goods(request) else timer.move
        said.append(t.gettext(_BY_ITSELF[move], day=t.format_date(since + rest)))
    return " ".join(said)


def _wrong(t: Translator, request: ReturnRequest, lines: Sequence[ReturnLine]) -> str:
    """What the goods were worth that came back damaged, or not at all; empty where everything is as it should be."""
    worth = sum(line.goods * (line.damaged + line.missing) // line.quantity for line in lines)
    return t.format_money(request.money(worth)) if worth and request.paid_at is None else ""


def _moment(t: Translator, event: Event, names: Mapping[str, str]) -> Moment:
    amount = event.data.get("amount")
    money = Money(int(amount), event.data["currency"], int(event.data["exponent"])) if amount is not None else None
    who = names.get(event.actor, "")
    if not who and event.actor.startswith("shopper:"):
        who = t.gettext("The customer")
    if event.data.get("store"):
        who = t.gettext("In the store")
    text = words.HISTORY.get(event.kind)
    if event.kind == "return_request.stuck" and event.data.get("state") == steps.HAND:
        text = words.HAND_EVENT
    return Moment(t.gettext(text) if text else event.kind, who or t.gettext("By itself"), event.at,
                  t.format_money(money) if money else "")  # fmt: skip


async def _names(tx: Tx, events: Sequence[Event]) -> Mapping[str, str]:
    found = {}
    for actor in {event.actor for event in events if event.actor.startswith("agent:")}:
        agent = await tx.get(Agent, UUID(actor.partition(":")[2]))
        if agent is not None:
            found[actor] = agent.name
    return found


async def _photos(tx: Tx, desk: Desk, request: ReturnRequest) -> list[dict[str, Any]]:
    """What the shopper sent, with links for a minute; what was deleted with its conversation is gone."""
    found = []
    for id in request.photos:
        file = await tx.get(attachments.Attachment, UUID(id))
        if file is not None:
            kind = "image" if file.width else "file"
            shown = {"id": id, "name": file.name, "size": file.size, "kind": kind}
            found.append(attachments.linked_file(desk.app.vault, desk.workspace_id, shown))
    return found


async def _refunds(tx: Tx, request: ReturnRequest, told: Sequence[ReturnStep]) -> list[Refund]:
    """The store's own refunds that are this return's: by the id that paying gave us, or our number in its reason."""
    made = {step.done.external_id for step in told if step.kind == steps.PAY and step.outcome}
    rows = await tx.scalars(records.refunds_of(tx, request.order_id))
    return [row for row in rows if row.external_id in made or request.number in row.reason.split()]


# Moving it


async def move(desk: Desk) -> Response:
    """One move of one return. `state` is where the page saw it: elsewhere by now, nothing happens."""
    form = await desk.request.form(max_files=1, max_part_size=attachments.MAX_BYTES)
    name = str(desk.request.path_params["move"])
    handler = _MOVES.get(name)
    if handler is None:
        raise nothing_here()
    upload = await _uploaded(form)
    async with desk.transaction() as tx:
        request = await records.held(tx, desk.path_id())
        if str(form.get("state", "")) != request.state:
            raise Conflict(
                _("This return has moved on meanwhile."), _("Look where it stands now; nothing was changed."),
                code="moved_on",
            )  # fmt: skip
        await handler(tx, desk, request, form, upload)
    return desk.go(f"returns/{request.id}", saved=name)


async def _uploaded(form: FormData) -> attachments.Upload | None:
    file = form.get("file")
    if not isinstance(file, UploadFile) or not file.filename:
        return None
    content = await file.read(attachments.MAX_BYTES + 1)
    if len(content) > attachments.MAX_BYTES:
        raise TooLarge(_("This file is larger than 10 MB."), _("Send a smaller one, or a link to it."))
    return await attachments.inspect(file.filename, content) if content else None


async def _approve(tx: Tx, desk: Desk, request: ReturnRequest, form: FormData, _upload: object) -> None:
    await moves.approve(tx, request, by=desk.agent)


async def _decline(tx: Tx, desk: Desk, request: ReturnRequest, form: FormData, _upload: object) -> None:
    await moves.decline(tx, request, why=_text(form, "why"), note=_text(form, "note"), by=desk.agent)


async def _ask(tx: Tx, desk: Desk, request: ReturnRequest, form: FormData, _upload: object) -> None:
    await moves.ask(tx, request, note=_text(form, "note"), by=desk.agent)


async def _answer(tx: Tx, desk: Desk, request: ReturnRequest, form: FormData, _upload: object) -> None:
    await moves.answer(tx, request, _text(form, "note"), by=desk.agent)


async def _label(tx: Tx, desk: Desk, request: ReturnRequest, form: FormData, upload: attachments.Upload | None) -> None:
    file = None
    if upload is not None:
        kept = await attachments.save(tx, upload, uploader=desk.actor, store_id=request.store_id)
        file = UUID(kept["id"])
    await moves.label(
        tx, request, carrier=_text(form, "carrier"), tracking_number=_text(form, "tracking_number"),
        tracking_url=_text(form, "tracking_url"), file=file, by=desk.agent,
    )  # fmt: skip


async def _ship(tx: Tx, desk: Desk, request: ReturnRequest, form: FormData, _upload: object) -> None:
    await moves.ship(
        tx, request, carrier=_text(form, "carrier"), tracking_number=_text(form, "tracking_number"),
        tracking_url=_text(form, "tracking_url"), by=desk.agent,
    )  # fmt: skip


async def _receive(tx: Tx, desk: Desk, request: ReturnRequest, form: FormData, _upload: object) -> None:
    await moves.receive(tx, request, by=desk.agent)


async def _inspect(tx: Tx, desk: Desk, request: ReturnRequest, form: FormData, _upload: object) -> None:
    found = {
        line.id: {kind: whole(_text(form, f"{kind}:{line.id}"), 1_000_000) or 0 for kind in Disposition}
        for line in await records.lines_of(tx, request.id)
    }
    await moves.inspect(tx, request, found, by=desk.agent)


async def _close(tx: Tx, desk: Desk, request: ReturnRequest, form: FormData, _upload: object) -> None:
    await moves.close(tx, request, by=desk.agent)


async def _cancel(tx: Tx, desk: Desk, request: ReturnRequest, form: FormData, _upload: object) -> None:
    await moves.cancel(tx, request, by=desk.agent)


async def _reopen(tx: Tx, desk: Desk, request: ReturnRequest, form: FormData, _upload: object) -> None:
    await moves.reopen(tx, request, by=desk.agent)


_MOVES: Final[Mapping[str, Any]] = {
    "approve": _approve, "decline": _decline, "ask": _ask, "answer": _answer, "label": _label, "ship": _ship,
    "receive": _receive, "inspect": _inspect, "close": _close, "cancel": _cancel, "reopen": _reopen,
}  # fmt: skip


def _text(form: FormData, name: str) -> str:
    value = form.get(name, "")
    return value.strip() if isinstance(value, str) else ""


# Paying


async def look_at_payment(desk: Desk) -> Response:
    """What would move: what was promised beside what the store itself reckons."""
    return await _payment(desk, None)


async def change_payment(desk: Desk) -> Response:
    """The same for another amount."""
    return await _payment(desk, await desk.request.form())


async def _payment(desk: Desk, form: FormData | None) -> Response:
    async with desk.transaction() as tx:
        request = await records.get(tx, desk.path_id())
        order, store = await tx.get(Order, request.order_id), await stores.get(tx, request.store_id)
        wanted = await moves.payment(tx, request, _amount(request, form)) if order is not None else None
        wrong = _wrong(desk.t, request, await records.lines_of(tx, request.id))
    if order is None or store is None or wanted is None:
        raise nothing_here()
    quote, trouble = None, ""
    try:
        quote = await desk.app.platforms[store.platform].quote_return(store.connection(), order.external_id, wanted)
    except PlatformError as error:
        trouble = silence(desk.t, error)
    return desk.page("return.html", block="payment", request=request, order=order, store=store, wanted=wanted,
                     quote=quote, trouble=trouble, wrong=wrong, differs=_differs(desk.t, wanted, quote),
                     refusal=_refused(desk.t, quote.refusal) if quote is not None else ())  # fmt: skip


def _refused(t: Translator, refusal: str) -> tuple[str, str] | tuple[()]:
    """Why the store would not do it and what helps; what has no words of ours is said in the store's."""
    if not refusal:
        return ()
    what, how = words.REFUSALS.get(refusal, ("", ""))
    return (t.gettext(what), t.gettext(how)) if what else (refusal, "")


def _differs(t: Translator, wanted: PayReturn, quote: Any) -> str:
    if quote is None or quote.amount is None or quote.amount == wanted.amount:
        return ""
    return t.format_money(wanted.amount - quote.amount)


def _amount(request: ReturnRequest, form: FormData | None) -> int | None:
    """The amount that was typed, in minor units; None for all that was promised."""
    typed = _text(form, "amount") if form is not None else ""
    if not typed:
        return None
    try:
        money, exact = parse(typed.replace(",", "."), request.currency, request.exponent)
    except ValueError:
        exact = False
    if not exact:
        raise AhlanError(_("This is not an amount."), _("Write it like 12.50."), code="amount")
    return money.amount


async def pay(desk: Desk) -> Response:
    """The agent saw the amount and says so."""
    form = await desk.request.form()
    confirmed = whole(_text(form, "confirmed"), 10**15)
    if confirmed is None:
        raise AhlanError(_("This is not an amount."), _("Write it like 12.50."), code="amount")
    async with desk.transaction() as tx:
        request = await records.held(tx, desk.path_id())
        await moves.pay(tx, request, by=desk.agent, amount=confirmed)
    return return_shipping.settled(desk.go(f"returns/{request.id}", saved="pay"))


async def step(desk: Desk) -> Response:
    """What a person says about a step that stuck."""
    how = str(desk.request.path_params["how"])
    verb = {"again": carrying.look_again, "done": carrying.was_done, "not-done": carrying.not_done,
            "leave": carrying.leave}.get(how)  # fmt: skip
    if verb is None:
        raise nothing_here()
    async with desk.transaction() as tx:
        request = await records.held(tx, desk.path_id())
        await verb(tx, request, desk.path_id("step"), by=desk.agent)
    return desk.go(f"returns/{request.id}", saved="step")


# Starting one


async def new(desk: Desk) -> Response:
    """The goods of an order, to choose what goes back."""
    return await _new(desk, None)


async def preview(desk: Desk) -> Response:
    """What would come back for this choice."""
    return await _new(desk, await desk.request.form())


async def change_page(desk: Desk) -> Response:
    """The same for a return that is asked for anew: what it says so far is chosen."""
    return await _change(desk, None)


async def change_preview(desk: Desk) -> Response:
    """What would come of the change."""
    return await _change(desk, await desk.request.form())


async def _change(desk: Desk, form: FormData | None) -> Response:
    async with desk.transaction() as tx:
        request = await records.get(tx, desk.path_id())
    return await _new(desk, form, request)


async def change(desk: Desk) -> Response:
    """Change the return to what was looked at."""
    form = await desk.request.form()
    async with desk.transaction() as tx:
        was = await records.get(tx, desk.path_id())
        order = await tx.get(Order, was.order_id)
        way = Way(Method(was.method) if was.method in set(Method) else None, was.place_id, was.pickup_on)
        still = await shipping.offered(tx, was.store_id, shipping.country_of(order)) if order is not None else ()
    request = await requests.change(
        desk.app, desk.workspace_id, was.id, _choice(form), decision_digest=_text(form, "digest"),
        way=way if way.method in still and way.method is not Method.PICKUP else None, by=desk.agent,
    )  # fmt: skip
    return desk.go(f"returns/{request.id}", saved="change")


async def _new(desk: Desk, form: FormData | None, changed: ReturnRequest | None = None) -> Response:
    order_id = changed.order_id if changed is not None else desk.path_id()
    async with desk.transaction() as tx:
        order = await tx.get(Order, order_id)
    if order is None:
        raise nothing_here()
    heading = desk.t.gettext("Change return %(number)s", number=changed.number) if changed else ""
    scope: dict[str, Any] = {"order": order, "heading": heading or desk.t.gettext("New return"), "talk": _talk(desk),
                             "changed": changed}  # fmt: skip
    app, workspace_id = desk.app, desk.workspace_id
    try:
        offer = await (
            requests.change_offer(app, workspace_id, changed.id)
            if changed is not None
            else requests.offer(app, workspace_id, order_id)
        )
    except PlatformError as error:
        return desk.page("return_new.html", trouble=silence(desk.t, error), lines=[], **scope)
    rules = offer.policy.policy
    known = changed.chosen if changed is not None else None
    choice = _choice(form) if form is not None else known or Choice((), Resolution.REFUND)
    decision = None
    if choice.lines:
        decision = await (
            requests.change_decision(app, workspace_id, changed.id, choice)
            if changed is not None
            else requests.decide(app, workspace_id, order_id, choice)
        )
    async with desk.transaction() as tx:
        swaps = await _swaps(tx, order, offer, choice, _text(form, "find") if form is not None else "")
    t = desk.t
    refused = decision.refused if decision is not None else ()
    chosen = {one.line_external_id: one for one in choice.lines}
    return desk.page(
        "return_new.html",
        lines=[
            {
                "line": line, "judged": judged, "why": policy_words.eligibility(t, judged),
                "until": judged.until, "chosen": chosen.get(line.external_id),
                "reasons": [(one.code, policy_words.reason(t, one))
                            for one in leaves(reasons_for(rules.reasons, line.product_types))],
                "refused": [policy_words.refusal(t, one, judged.terms.conditions) for one in
                            refused if one.line_external_id == line.external_id],
                "conditions": [(one.code, policy_words.condition(t, one)) for one in judged.terms.conditions],
                "swaps": [(id, name, t.format_money(price)) for id, name, price in swaps(line)],
                "instead": _instead_of(choice, line.external_id),
            }
            for line, judged in offer.lines
        ],
        resolutions=[one for one in _OFFERED if any(one in judged.resolutions for _line, judged in offer.lines)],
        resolution_names=policy_words.RESOLUTIONS,
        choice=choice,
        decision=decision,
        refused=[policy_words.refusal(t, one) for one in refused if not one.line_external_id],
        money=_amounts_of(t, decision) if decision and decision.allowed else [],
        review=[_review(t, code) for code in decision.review] if decision else [],
        risk_words=policy_words.risks(t, offer.order.risk_words) if decision and Sign.RISK in decision.review else (),
        at_once=decision is not None and (changed is None or changed.verified) and desk.may("refund")
        and requests.gives_at_once(rules, choice, decision),
        digest=requests.digest(decision) if decision else "",
        client_id=_text(form, "client_id") if form is not None and _text(form, "client_id") else str(uuid4()),
        open=[(each, pill(State(each.state))) for each in offer.open],
        find=_text(form, "find") if form is not None else "",
        any=rules.exchange_any,
        trouble="",
        **scope,
    )  # fmt: skip


async def _swaps(tx: Tx, order: Order, offer: Offer, choice: Choice, find: str) -> Callable[[ReturnableLine], Any]:
    """What may go out instead of a line: its product's variants, what was looked for, and what is chosen already."""
    products = {line.product_external_id for line, _judged in offer.lines} - {""}
    chosen = {part.variant_external_id for part in choice.exchange}
    found = await products_of(tx, order.store_id, order.currency, products=products, variants=chosen, words=find,
                              most=_MOST_FOUND * 3)  # fmt: skip

    def of(line: ReturnableLine) -> list[tuple[str, str, Money]]:
        return [
            (variant.external_id, " · ".join(dict.fromkeys(filter(None, (product.title, variant.title)))),
             Money(variant.price or 0, variant.currency, variant.exponent))
            for variant, product in found
            if (offer.policy.policy.exchange_any or product.external_id == line.product_external_id)
            and (product.external_id == line.product_external_id or product.external_id not in products
                 or variant.external_id in chosen)
            and variant.external_id != line.variant_external_id
        ]  # fmt: skip

    return of


def _instead_of(choice: Choice, line_external_id: str) -> str:
    """What was chosen instead of a line: the parts stand in the order of the lines."""
    if choice.resolution is not Resolution.EXCHANGE or len(choice.exchange) != len(choice.lines):
        return ""
    pairs = zip(choice.lines, choice.exchange, strict=True)
    return next((part.variant_external_id for line, part in pairs if line.line_external_id == line_external_id), "")


def _amounts_of(t: Translator, decision: Decision) -> list[tuple[str, str, bool]]:
    return _amounts(t, decision, ReturnRequest())


def _talk(desk: Desk) -> str:
    given = desk.request.query_params.get("conversation", "")
    return str(as_id(given)) if given else ""


def _choice(form: FormData) -> Choice:
    lines: list[ChoiceLine] = []
    instead: list[ExchangePart] = []
    for name in form:
        if not name.startswith("line:"):
            continue
        id = name.removeprefix("line:")
        if quantity := whole(_text(form, name), 1_000_000):
            # Whoever starts it for the customer has looked at what is asked of them.
            kept = tuple(str(code) for code in form.getlist(f"kept:{id}"))
            lines.append(ChoiceLine(id, quantity, _text(form, f"reason:{id}"), _text(form, "words"), kept,
                                    photos=1))  # fmt: skip
            if variant := _text(form, f"instead:{id}"):
                instead.append(ExchangePart(variant, quantity))
    wanted = _text(form, "resolution")
    resolution = Resolution(wanted) if wanted in set(Resolution) else Resolution.REFUND
    return Choice(tuple(lines), resolution, tuple(instead) if resolution is Resolution.EXCHANGE else ())


async def start(desk: Desk) -> Response:
    """Begin the return that was looked at."""
    form = await desk.request.form()
    talk = _text(form, "conversation")
    async with desk.transaction() as tx:
        found = await tx.get(Conversation, as_id(talk)) if talk else None
        order = await tx.get(Order, desk.path_id())
        if order is None or (talk and found is None):
            raise nothing_here()
        store = await stores.get(tx, order.store_id)
    request = await requests.submit(
        desk.app, desk.workspace_id, order.id, _choice(form), client_id=as_id(_text(form, "client_id")),
        decision_digest=_text(form, "digest"),
        language=(found.locale if found is not None else "") or order.locale or (store.locale if store else ""),
        verified=True, conversation_id=found.id if found is not None and found.store_id == order.store_id else None,
        by=desk.agent,
    )  # fmt: skip
    return desk.go(f"returns/{request.id}", saved="start")


# Beside a conversation


async def beside(desk: Desk) -> Response:
    """The returns that a conversation is about and those of its customer, and orders of which one can be started."""
    async with desk.transaction() as tx:
        talk = await tx.get(Conversation, desk.path_id())
        if talk is None:
            raise nothing_here()
        bought: list[Order] = []
        if talk.customer_id is not None:
            members = await identities.family(tx, talk.customer_id)
            bought = list(await tx.scalars(records.orders_of(tx, members)))
        # Whom nobody vouches for: somebody of the team called them, and said which order it is.
        known = {order.id for order in bought}
        bought = [*(order for order in await ties.orders(tx, talk.id) if order.id not in known), *bought]
        found = {one.id: one for one in await records.of_conversation(tx, talk.id)}
        found |= {one.id: one for one in await records.of_orders(tx, [order.id for order in bought])}
        names = {order.id: order.name for order in bought}
        for request in found.values():
            if request.order_id not in names and (order := await tx.get(Order, request.order_id)) is not None:
                names[order.id] = order.name
        shown = sorted(found.values(), key=lambda one: one.created_at, reverse=True)[:5]
        held_back = await steps.held_back(tx, [one.id for one in shown if one.stuck])
    return desk.page(
        "return_beside.html",
        block="beside",
        talk=talk,
        rows=[
            (one, names.get(one.order_id, ""), pill(State(one.state)), _held_back(one, held_back), _gets(desk.t, one))
            for one in shown
        ],
        orders=bought[:3] if desk.may(Permission.REPLY) else [],
    )
