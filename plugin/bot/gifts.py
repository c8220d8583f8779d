"""Discount codes that the bot gives: judged by the merchant's limits, made on the store like any agent's, told once.

A wish becomes one row, whoever says it how often (`key` is unique in its conversation), and the row one action on an
order that is proven to be the shopper's (`plugin.crm.actions`): that is what makes it once, however often a process
dies. Above the merchant's threshold an agent decides first, and then it is that agent's doing, within their own limit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import structlog
from sqlalchemy import BigInteger, Index, UniqueConstraint, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, mapped_column

from plugin import stores
from plugin.app import App
from plugin.bot import people
from plugin.bot.allowed import GIVES, Deed, Verdict, Wish, judge
from plugin.bot.bots import Bot, of_store
from plugin.bot.scene import Scene
from plugin.conversations import clocks, messages
from plugin.conversations import conversations as threads
from plugin.conversations.teams import language_of
from plugin.crm import actions
from plugin.crm.actions import ActionRow, ByBot
from plugin.crm.orders import Order, OrderView
from plugin.kernel.db import Base, TenantRow, Tx, new_id, tenant_key
from plugin.kernel.errors import AhlanError, Conflict, Forbidden, NotFound
from plugin.kernel.events import Event
from plugin.kernel.i18n import Translator
from plugin.kernel.jobs import TaskError
from plugin.kernel.lazy import _
from plugin.kernel.money import Money, exponent_of
from plugin.kernel.text import isolate
from plugin.platform import Discount, PlatformError, Quote
from plugin.returns import proof
from plugin.stores import Store
from plugin.team import Agent, Permission, audit

log = structlog.get_logger(__name__)

ASKED, GOING, MADE, FAILED, UNSURE, DECLINED = "asked", "going", "made", "failed", "unsure", "declined"
PATIENCE = timedelta(minutes=10)
"""How long a store that does not answer is asked what a code would be; then somebody looks into it."""


class BotGift(TenantRow, Base):
    """A discount that the bot was asked for. `key` names the ask in its conversation: a flow's step, or a message.

    `state`: asked (an agent decides), going, made, failed, unsure, declined. `proof`: how it was known whose order it
    is, `account` or `code`; `counted`: what the limits were judged by. `agent_id` is who decided.
    """

    __tablename__ = "bot_gifts"
    __table_args__ = (
        UniqueConstraint("workspace_id", "conversation_id", "key"),
        Index("ix_bot_gifts_store", "workspace_id", "store_id", "created_at"),
        Index("ix_bot_gifts_action", "workspace_id", "action_id"),
        tenant_key("store_id", "stores"),
        tenant_key("conversation_id", "conversations"),
        tenant_key("order_id", "orders"),
    )

    store_id: Mapped[UUID]
    conversation_id: Mapped[UUID]
    order_id: Mapped[UUID]
    visitor_id: Mapped[UUID]
    customer_id: Mapped[UUID | None]
    key: Mapped[str]
    percent: Mapped[int] = mapped_column(server_default=text("0"))
    amount: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    days: Mapped[int]
    code: Mapped[str]
    locale: Mapped[str] = mapped_column(server_default="")
    proof: Mapped[str]
    counted: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    state: Mapped[str]
    said: Mapped[str] = mapped_column(server_default="")
    agent_id: Mapped[UUID | None]
    action_id: Mapped[UUID | None]
    decided_at: Mapped[datetime | None]

    @property
    def wish(self) -> Wish:
        """What it takes off."""
        return Wish(self.percent, self.amount)

    @property
    def action(self) -> Discount:
        """The same for the platform."""
        return Discount(self.code, self.percent, self.amount, self.days)


@dataclass(frozen=True, slots=True)
class Look:
    """What would become of a wish, and what that was judged by. `view`: the proven order that it is a thank-you for."""

    wish: Wish
    verdict: Verdict
    view: OrderView | None = None
    proof: str = ""
    customers: int = 0
    today: int = 0

    @property
    def gives(self) -> bool:
        """Whether there will be a code, or a colleague is asked for one."""
        return self.verdict in GIVES

    def evidence(self) -> dict[str, Any]:
        """Why, in plain values, for the log of the bot's turns."""
        return {
            "wish": str(self.wish), "verdict": self.verdict.value, "proof": self.proof,
            "order": str(self.view.order.id) if self.view is not None else "", "customer": self.customers,
            "today": self.today,
        }  # fmt: skip


async def look(tx: Tx, scene: Scene, wish: Wish) -> Look:
    """What would become of a wish. Whoever may give holds the store's bot until they commit: caps count one by one."""
    giving, shopper = scene.bot.giving, scene.shopper
    if not giving.on:
        return Look(wish, Verdict.OFF)
    views = await proof.theirs(tx, shopper) if shopper is not None else ()
    standing = [view for view in views if view.order.cancelled_at is None]
    if shopper is None or not standing:
        return Look(wish, Verdict.UNPROVEN)
    view = standing[0]
    order = view.order
    how = await proof.way(tx, shopper, order)
    segments = await people.segments(tx, order.customer_id)
    terms = scene.bot.terms(Deed.DISCOUNT)
    if not terms.hold(channel="chat" if scene.chat else "email", open=scene.back_at is None, segments=segments):
        return Look(wish, Verdict.TERMS, view, how)
    if wish.amount and order.currency != scene.store.currency:
        return Look(wish, Verdict.CURRENCY, view, how)
    await tx.get(Bot, scene.bot.id, lock=True)
    customers, today = await _counts(tx, scene, views, giving.within_days)
    return Look(wish, judge(giving, wish, customers=customers, today=today), view, how, customers, today)


async def _counts(tx: Tx, scene: Scene, views: Sequence[OrderView] | Any, days: int) -> tuple[int, int]:
    """Codes on their way or there: for whoever these orders are, in any of their names, and of the store in a day."""
    assert scene.shopper is not None
    theirs = [BotGift.visitor_id == scene.shopper.visitor_id, BotGift.order_id.in_([one.order.id for one in views])]
    customers = {one.order.customer_id for one in views} | {scene.shopper.customer_id}
    theirs.append(BotGift.customer_id.in_([one for one in customers if one is not None]))
    here = (
        BotGift.workspace_id == tx.workspace_id,
        BotGift.store_id == scene.store.id,
        BotGift.state.not_in((FAILED, DECLINED)),
    )
    since = [func.now() - timedelta(days=days), func.now() - timedelta(days=1)]
    own = await tx.scalar(select(func.count()).select_from(BotGift).where(
        *here, or_(*theirs), BotGift.created_at > since[0]))  # fmt: skip
    every = await tx.scalar(select(func.count()).select_from(BotGift).where(*here, BotGift.created_at > since[1]))
    return int(own), int(every)


async def ask(tx: Tx, scene: Scene, found: Look, *, conversation_id: UUID, key: str) -> UUID | None:
    """Have a code made, or a colleague asked for it. The caller holds the conversation and has just looked.

    Returns the gift's id; None where this very ask was heard before, or nothing is to be given.
    """
    if not found.gives or found.view is None or scene.shopper is None:
        return None
    gift_id: UUID | None = await tx.scalar(
        insert(BotGift)
        .values(
            workspace_id=tx.workspace_id, id=new_id(), store_id=scene.store.id, conversation_id=conversation_id,
            order_id=found.view.order.id, visitor_id=scene.shopper.visitor_id,
            customer_id=found.view.order.customer_id, key=key, percent=found.wish.percent, amount=found.wish.amount,
            days=scene.bot.giving.days, code=actions.new_code(), locale=scene.language, proof=found.proof,
            counted=found.evidence(), state=GOING if found.verdict is Verdict.GIVEN else ASKED,
            decided_at=datetime.now(UTC) if found.verdict is Verdict.GIVEN else None,
        )
        .on_conflict_do_nothing(index_elements=["workspace_id", "conversation_id", "key"])
        .returning(BotGift.id)
    )  # fmt: skip
    if gift_id is not None and found.verdict is Verdict.GIVEN:
        await _go(tx, gift_id)
    if gift_id is not None:
        tx.publish("queue", {"conversation_id": str(conversation_id)})
    return gift_id


async def _go(tx: Tx, gift_id: UUID) -> None:
    await tx.enqueue("give_discount", unique=f"bot-gift:{gift_id}", gift_id=gift_id)


def off(t: Translator, wish: Wish, store: Store) -> str:
    """What is taken off, in words: `10%`, or an amount of money."""
    if wish.percent:
        return isolate(t.format_percent(wish.percent / 100))
    return isolate(t.format_money(Money(wish.amount, store.currency, exponent_of(store.currency))))


def said(scene: Scene, found: Look) -> str:
    """What the shopper is told about a wish."""
    t = scene.t
    match found.verdict:
        case Verdict.GIVEN:
            return t.gettext(
                _("You get %(off)s off your next order. The code comes here in a moment."),
                off=off(t, found.wish, scene.store),
            )
        case Verdict.ASKED:
            return t.gettext(
                _("I have asked a colleague whether %(off)s off is possible. The answer comes here."),
                off=off(t, found.wish, scene.store),
            )
        case Verdict.UNPROVEN:
            return t.gettext(
                _("A discount code is for customers whose order is proven. Find your order here, then ask once more.")
            )
        case Verdict.CUSTOMER:
            return t.gettext(_("There was a discount code for you a short while ago, so there is none just now."))
    return t.gettext(_("I cannot give a discount just now."))


# An agent decides


async def waiting(tx: Tx, conversation_id: UUID) -> list[BotGift]:
    """What was given or asked for in a conversation, the newest first."""
    rows = await tx.scalars(
        select(BotGift)
        .where(BotGift.workspace_id == tx.workspace_id, BotGift.conversation_id == conversation_id)
        .order_by(BotGift.created_at.desc(), BotGift.id.desc())
        .limit(10)
    )
    return list(rows)


async def approve(tx: Tx, gift_id: UUID, *, by: Agent) -> BotGift:
    """A colleague says yes: it is theirs from here on. Raises NotFound, Conflict, Forbidden beyond their limit."""
    gift = await _asked(tx, gift_id, by)
    order, _store = await actions.order_of(tx, gift.order_id)
    amount = Money(gift.amount, order.currency, exponent_of(order.currency)) if gift.amount else None
    await actions.allowed(tx, order, gift.action, Quote(amount=amount), by)
    gift.state, gift.agent_id, gift.decided_at = GOING, by.id, datetime.now(UTC)
    await tx.flush()
    await _go(tx, gift.id)
    return gift


async def decline(app: App, tx: Tx, gift_id: UUID, *, by: Agent) -> BotGift:
    """A colleague says no; the shopper is told. Raises NotFound, Conflict, Forbidden."""
    gift = await _asked(tx, gift_id, by)
    gift.state, gift.agent_id, gift.decided_at = DECLINED, by.id, datetime.now(UTC)
    await tx.flush()
    audit.note(tx, "orders.discount_declined", by=by.id, subject=gift.order_id, changes={"off": ["", str(gift.wish)]})
    t, name = await _voice(app, tx, gift)
    words = t.gettext(_("A colleague has looked at it: a discount is not possible this time."))
    await _tell(tx, gift, "declined", words, name)
    return gift


async def _asked(tx: Tx, gift_id: UUID, by: Agent) -> BotGift:
    gift = await tx.get(BotGift, gift_id, lock=True)
    if gift is None:
        raise NotFound(_("There is nothing here."), _("Check the address, or go back."))
    if not by.may(Permission.REPLY) or not by.may(Permission.REFUND):
        raise Forbidden(_("Your role does not allow that."), _("Ask an owner of this workspace."))
    if gift.state != ASKED:
        raise Conflict(_("Somebody else has decided this meanwhile."), _("Look at the conversation again."))
    return gift


# Making the code


async def give_discount(app: App, workspace_id: UUID, *, gift_id: str) -> None:
    """Task: ask the store what the code would be, and have it made: looked at, kept and confirmed in one go."""
    async with app.db.transaction(workspace_id) as tx:
        gift = await tx.get(BotGift, UUID(gift_id))
        order = await tx.get(Order, gift.order_id) if gift is not None else None
        store = await stores.get(tx, gift.store_id) if gift is not None else None
        if gift is None or order is None or store is None or gift.state != GOING or gift.action_id is not None:
            await tx.complete_job()
            return
    trouble = ""
    try:
        quote = await app.platforms[store.platform].quote(store.connection(), order.external_id, gift.action)
        trouble = quote.refusal
        if not trouble:
            await _confirm(app, workspace_id, gift.id, quote)
    except PlatformError as error:
        if error.retry and not _late(gift):
            raise TaskError(error.said, retry=True, after=error.after or 3.0) from error
        trouble = error.said or error.code
    except Conflict as error:
        if not _late(gift):
            raise TaskError(str(error.message), retry=True, after=5.0) from error
        trouble = str(error.message)
    except AhlanError as error:
        trouble = str(error.message)
    if trouble:
        async with app.db.transaction(workspace_id) as tx:
            await _failed(app, tx, gift.id, FAILED, trouble)
            await tx.complete_job()


def _late(gift: BotGift) -> bool:
    return gift.decided_at is not None and datetime.now(UTC) - gift.decided_at > PATIENCE


async def _confirm(app: App, workspace_id: UUID, gift_id: UUID, quote: Quote) -> None:
    """The action and its number on the gift commit together, so that there is one for each gift and no more."""
    async with app.db.transaction(workspace_id) as tx:
        gift = await tx.get(BotGift, gift_id, lock=True)
        if gift is not None and gift.state == GOING and gift.action_id is None:
            # As `actions.confirm` does, and before its row points at the order: two at once would wait for each other.
            await stores.held(tx, gift.store_id)
            await tx.get(Order, gift.order_id, lock=True)
            order, _store = await actions.order_of(tx, gift.order_id)
            by: Agent | ByBot = ByBot(gift.customer_id, gift.locale)
            if gift.agent_id is not None:
                decided = await tx.get(Agent, gift.agent_id)
                if decided is None:
                    raise Forbidden(_("Your role does not allow that."), _("Ask an owner of this workspace."))
                by = decided
            row = await actions.prepare(tx, order, gift.action, quote, by=by)
            amount = "" if row.amount is None else str(row.amount)
            gift.action_id = (await actions.confirm(tx, row.id, by=by, amount=amount)).id
            await tx.flush()
        await tx.complete_job()


async def tell_gift(app: App, workspace_id: UUID, *, event_id: str, subject_id: str) -> None:
    """Task, after something was done to an order or was not: if it was a code of the bot's, say so in its chat."""
    async with app.db.transaction(workspace_id) as tx:
        event = await tx.get(Event, UUID(event_id))
        action_id = str(event.data.get("action_id", "")) if event is not None else ""
        gift = await tx.scalar(
            select(BotGift).where(BotGift.workspace_id == tx.workspace_id, BotGift.action_id == UUID(action_id))
        ) if action_id else None  # fmt: skip
        row = await tx.get(ActionRow, gift.action_id) if gift is not None else None
        if gift is not None and row is not None and row.state == actions.DONE:
            await _made(app, tx, gift, row)
        elif gift is not None and row is not None and row.state in (actions.FAILED, actions.UNKNOWN):
            state = FAILED if row.state == actions.FAILED else UNSURE
            await _failed(app, tx, gift.id, state, row.said)
        await tx.complete_job()


async def _made(app: App, tx: Tx, gift: BotGift, row: ActionRow) -> None:
    t, name = await _voice(app, tx, gift)
    store = await stores.get(tx, gift.store_id)
    until = (row.finished_at or datetime.now(UTC)) + timedelta(days=gift.days)
    assert store is not None
    words = t.gettext(
        _("Your code: %(code)s. It takes %(off)s off one order, until %(day)s."),
        code=isolate(gift.code, "ltr"), off=off(t, gift.wish, store), day=t.format_date(until, "long"),
    )  # fmt: skip
    gift.state = MADE
    await tx.flush()
    await _tell(tx, gift, "made", words, name)


async def _failed(app: App, tx: Tx, gift_id: UUID, state: str, said: str) -> None:
    """No code: the shopper hears that somebody looks into it, and somebody is told to."""
    gift = await tx.get(BotGift, gift_id, lock=True)
    if gift is None or gift.state not in (GOING, UNSURE):
        return
    gift.state, gift.said = state, said[:500]
    await tx.flush()
    t, name = await _voice(app, tx, gift)
    words = t.gettext(_("The code could not be made just now. A colleague looks into it and answers here."))
    await messages.tell(tx, gift.conversation_id, uuid5(gift.id, "failed"), words, name=name)
    head = await threads.lock_living(tx, gift.conversation_id)
    if head is not None:
        note = t.gettext(_("The discount code that was promised here could not be made: %(why)s"), why=isolate(said))
        await messages.note_by_bot(tx, head, uuid5(gift.id, f"note {state}"), note, name=name)
        await _waits(tx, gift.conversation_id, True)
        await threads.look_again(tx, head)


async def _voice(app: App, tx: Tx, gift: BotGift) -> tuple[Translator, str]:
    store = await stores.get(tx, gift.store_id)
    bot = await of_store(tx, gift.store_id)
    t = app.catalogues.translator(
        app.catalogues.negotiate(language_of(gift.locale)), timezone=store.timezone if store is not None else "UTC"
    )
    return t, (bot.name if bot is not None else "") or t.gettext(_("Assistant"))


async def _tell(tx: Tx, gift: BotGift, what: str, words: str, name: str) -> None:
    """Said once; whoever waited for an agent's word about it no longer does."""
    told = await messages.tell(tx, gift.conversation_id, uuid5(gift.id, what), words, name=name)
    if told and gift.agent_id is not None:
        await _waits(tx, gift.conversation_id, False)


async def _waits(tx: Tx, conversation_id: UUID, waits: bool) -> None:
    since = func.coalesce(threads.TABLE.c.waiting_since, func.now()) if waits else None
    await tx.execute(
        update(threads.TABLE)
        .where(threads.TABLE.c.workspace_id == tx.workspace_id, threads.TABLE.c.id == conversation_id)
        .values(waiting_since=since)
    )
    await clocks.keep(tx, conversation_id)
