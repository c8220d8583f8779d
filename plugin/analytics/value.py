"""What support brings and saves: contacts for each hundred orders, reasons by product, sales after talks, hours saved.

Each figure states its formula on the page, and none of them is guessed: an order counts as sold after a talk only where
the same customer was answered in the days before it, and an hour counts as saved only where a shopper was helped, or
helped themselves, without a person.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Select, and_, case, func, or_, select, true
from sqlalchemy.orm import aliased

from plugin.analytics import reports
from plugin.bot.turns import BotTurn
from plugin.conversations.conversations import Conversation, Status
from plugin.conversations.messages import AGENT, BOT, MESSAGE, SHOPPER, Message
from plugin.conversations.ties import ConversationOrder
from plugin.crm.actions import DONE, ActionRow
from plugin.crm.orders import Order, OrderLine
from plugin.kernel.db import Tx
from plugin.kernel.money import Money
from plugin.knowledge.reading import ArticleDay
from plugin.returns.records import OURS, ReturnRequest
from plugin.returns.states import Who
from plugin.workspaces import Workspace

WITHIN: Final = (1, 3, 7)
"""Days between an answer and an order that one may choose; Gorgias counts 3 (docs/compare.md, row 152)."""
USUAL_WITHIN: Final = 3
MOST_PRODUCTS: Final = 8
_LOOKED_BACK = timedelta(days=60)
_LISTED = 20


@dataclass(frozen=True, slots=True)
class Question:
    """The conversations of `about`, the orders placed in its days, of one store or all; `within` days for sales."""

    about: reports.Question
    store_id: UUID | None = None
    within: int = USUAL_WITHIN


@dataclass(frozen=True, slots=True)
class Terms:
    """What the merchant says: minutes that a person needs for a conversation, and what an hour and Ahlan cost.

    Amounts are minor units of `currency`; None where nothing was said.
    """

    minutes: int = 6
    currency: str = ""
    exponent: int = 2
    hour: int | None = None
    month: int | None = None

    def money(self, amount: int) -> Money:
        """An amount in the merchant's currency."""
        return Money(amount, self.currency, self.exponent)


@dataclass(frozen=True, slots=True)
class Sale:
    """Orders placed after an answer, in one currency: how many, what was paid less what was given back.

    `agent_id` wrote the last answer before the order; None is the bot.
    """

    agent_id: UUID | None
    orders: int
    amount: Money


@dataclass(frozen=True, slots=True)
class Sold:
    """One order placed after an answer."""

    order_id: UUID
    name: str
    placed_at: datetime
    amount: Money
    conversation_id: UUID
    agent_id: UUID | None


@dataclass(frozen=True, slots=True)
class Crossed:
    """A product that conversations are about: how many, by topic."""

    store_id: UUID
    product: str
    title: str
    topics: Mapping[str, int]

    @property
    def times(self) -> int:
        """All topics together."""
        return sum(self.topics.values())


@dataclass(frozen=True, slots=True)
class Alone:
    """What was settled without a person: by the bot, by shoppers themselves, by an article that helped."""

    bot: int = 0
    returns: int = 0
    orders: int = 0
    articles: int = 0

    @property
    def all(self) -> int:
        """Together."""
        return self.bot + self.returns + self.orders + self.articles

    def seconds(self, terms: Terms) -> int:
        """The time that people would have needed."""
        return self.all * terms.minutes * 60

    def worth(self, terms: Terms) -> Money | None:
        """What that time costs; None where no hour has a price."""
        if terms.hour is None:
            return None
        return terms.money(round(terms.hour * self.seconds(terms) / 3600))

    def gain(self, terms: Terms, days: int) -> float | None:
        """(Saved − price) ÷ price, for so many days of a month of 30; None where either is unknown."""
        saved = self.worth(terms)
        if saved is None or not terms.month:
            return None
        price = terms.month * days / 30
        return (saved.amount - price) / price


async def terms(tx: Tx) -> Terms:
    """What was said in this workspace."""
    kept = await tx.scalar(select(Workspace.value).where(Workspace.workspace_id == tx.workspace_id))
    return Terms(**(kept or {}))


async def orders(tx: Tx, question: Question) -> dict[UUID, int]:
    """Orders placed in these days by store, without those that were cancelled or deleted."""
    rows = await tx.execute(select(Order.store_id, func.count()).where(*_placed(tx, question)).group_by(Order.store_id))
    return {store_id: int(count) for store_id, count in map(tuple, rows)}


async def sales(tx: Tx, question: Question) -> Sequence[Sale]:
    """Who answered last before an order, and what those orders came to."""
    found = _after_an_answer(tx, question).subquery()
    rows = await tx.execute(
        select(
            found.c.agent_id, found.c.currency, found.c.exponent, func.count().label("orders"),
            func.sum(found.c.amount).label("amount"),
        ).group_by(found.c.agent_id, found.c.currency, found.c.exponent)
    )  # fmt: skip
    return sorted(
        (Sale(row.agent_id, row.orders, Money(int(row.amount), row.currency, row.exponent)) for row in rows),
        key=lambda one: (one.amount.currency, -one.amount.amount),
    )


async def turnover(tx: Tx, question: Question) -> Sequence[Money]:
    """All orders of these days, less what was given back, by currency."""
    rows = await tx.execute(
        select(Order.currency, Order.exponent, func.sum(_net))
        .where(*_placed(tx, question))
        .group_by(Order.currency, Order.exponent)
    )
    return [Money(int(amount), currency, exponent) for currency, exponent, amount in map(tuple, rows)]


async def newest_sales(tx: Tx, question: Question, limit: int = _LISTED) -> Sequence[Sold]:
    """The orders behind the figures, the newest first."""
    rows = await tx.execute(_after_an_answer(tx, question).order_by(Order.placed_at.desc(), Order.id).limit(limit))
    return [
        Sold(row.id, row.name, row.placed_at, Money(int(row.amount), row.currency, row.exponent), row.talk,
             row.agent_id)
        for row in rows
    ]  # fmt: skip


async def products(tx: Tx, question: Question) -> Sequence[Crossed]:
    """What conversations are about, by the goods of the order that they are about.

    That is an order somebody tied the conversation to, else the customer's newest of the 60 days before.
    """
    talks = (
        select(Conversation.id, Conversation.topic, Conversation.customer_id, Conversation.created_at)
        .where(*await reports.conditions(tx, question.about))
        .subquery()
    )
    tied = select(ConversationOrder.order_id).where(
        ConversationOrder.workspace_id == tx.workspace_id, ConversationOrder.conversation_id == talks.c.id
    )
    newest = (
        select(Order.id)
        .where(
            Order.workspace_id == tx.workspace_id,
            Order.customer_id == talks.c.customer_id,
            Order.placed_at <= talks.c.created_at,
            Order.placed_at > talks.c.created_at - _LOOKED_BACK,
            Order.deleted_at.is_(None),
        )
        .order_by(Order.placed_at.desc())
        .limit(1)
    )
    about = or_(
        Order.id.in_(tied.correlate(talks)),
        and_(~tied.correlate(talks).exists(), Order.id == newest.correlate(talks).scalar_subquery()),
    )
    rows = await tx.execute(
        select(
            Order.store_id, OrderLine.product_external_id.label("product"), talks.c.topic,
            func.max(OrderLine.title).label("title"), func.count(talks.c.id.distinct()).label("times"),
        )
        .select_from(talks)
        .join(Order, and_(Order.workspace_id == tx.workspace_id, about))
        .join(OrderLine, and_(OrderLine.workspace_id == Order.workspace_id, OrderLine.order_id == Order.id))
        .where(OrderLine.product_external_id != "")
        .group_by(Order.store_id, OrderLine.product_external_id, talks.c.topic)
    )  # fmt: skip
    goods: dict[tuple[UUID, str], tuple[str, dict[str, int]]] = {}
    for row in rows:
        _title, topics = goods.setdefault((row.store_id, row.product), (row.title, {}))
        topics[row.topic] = int(row.times)
    found = [Crossed(store_id, product, title, topics) for (store_id, product), (title, topics) in goods.items()]
    return sorted(found, key=lambda one: (-one.times, one.title))


async def alone(tx: Tx, question: Question) -> Alone:
    """What nobody of the team had to do."""
    begun = await reports.conditions(tx, question.about)
    bounds = question.about.days.bounds
    wrote = aliased(Message)
    by_a_person = (
        select(wrote.id)
        .where(
            wrote.workspace_id == tx.workspace_id,
            wrote.conversation_id == Conversation.id,
            wrote.author == AGENT,
            wrote.kind == MESSAGE,
        )
        .exists()
    )
    turns = select(BotTurn.id).where(
        BotTurn.workspace_id == tx.workspace_id, BotTurn.conversation_id == Conversation.id
    )
    by_the_bot = select(func.count()).where(
        *begun,
        Conversation.waiting_since.is_(None),
        turns.where(BotTurn.sent).exists(),
        ~turns.where(BotTurn.data["handed"].is_not(None)).exists(),
        ~by_a_person,
    )
    of_store = () if question.store_id is None else (question.store_id,)
    themselves = select(func.count()).where(
        ReturnRequest.workspace_id == tx.workspace_id,
        ReturnRequest.origin == OURS,
        ReturnRequest.asked_by == Who.SHOPPER,
        ReturnRequest.created_at >= bounds[0],
        ReturnRequest.created_at < bounds[-1],
        *(ReturnRequest.store_id == one for one in of_store),
    )
    changed = select(func.count()).where(
        ActionRow.workspace_id == tx.workspace_id,
        ActionRow.visitor_id.is_not(None),
        ActionRow.agent_id.is_(None),
        ActionRow.state == DONE,
        ActionRow.created_at >= bounds[0],
        ActionRow.created_at < bounds[-1],
        *(ActionRow.store_id == one for one in of_store),
    )
    helped = select(func.coalesce(func.sum(ArticleDay.helped), 0)).where(
        ArticleDay.workspace_id == tx.workspace_id,
        ArticleDay.day >= question.about.days.first,
        ArticleDay.day <= question.about.days.last,
    )
    return Alone(
        int(await tx.scalar(by_the_bot) or 0),
        int(await tx.scalar(themselves) or 0),
        int(await tx.scalar(changed) or 0),
        # Articles are read by the people of every store.
        0 if of_store else int(await tx.scalar(helped) or 0),
    )


_net = Order.total - func.coalesce(Order.refunded, 0)


def _placed(tx: Tx, question: Question) -> list[Any]:
    bounds = question.about.days.bounds
    conditions: list[Any] = [
        Order.workspace_id == tx.workspace_id,
        Order.placed_at >= bounds[0],
        Order.placed_at < bounds[-1],
        Order.cancelled_at.is_(None),
        Order.deleted_at.is_(None),
    ]
    if question.store_id is not None:
        conditions.append(Order.store_id == question.store_id)
    return conditions


def _after_an_answer(tx: Tx, question: Question) -> Select[Any]:
    """Orders with the newest answer that their customer had in the days before, in a talk that they took part in."""
    since = Order.placed_at - timedelta(days=question.within)
    asked = aliased(Message)
    took_part = (
        select(asked.id)
        .where(
            asked.workspace_id == tx.workspace_id,
            asked.conversation_id == Conversation.id,
            asked.author == SHOPPER,
            asked.created_at <= Order.placed_at,
        )
        .correlate(Conversation, Order)
        .exists()
    )
    answer = (
        select(
            Conversation.id.label("talk"),
            case((Message.author == BOT, None), else_=Message.agent_id).label("agent_id"),
        )
        .join(
            Message,
            and_(Message.workspace_id == Conversation.workspace_id, Message.conversation_id == Conversation.id),
        )
        .where(
            Conversation.workspace_id == tx.workspace_id,
            Conversation.customer_id == Order.customer_id,
            Conversation.last_message_at >= since,
            Conversation.status != Status.SPAM,
            Message.author.in_([AGENT, BOT]),
            Message.kind == MESSAGE,
            Message.deleted_at.is_(None),
            Message.created_at >= since,
            Message.created_at <= Order.placed_at,
            took_part,
        )
        .order_by(Message.created_at.desc())
        .limit(1)
        .correlate(Order)
        .lateral("answer")
    )
    return (
        select(
            Order.id, Order.name, Order.placed_at, Order.currency, Order.exponent, _net.label("amount"),
            answer.c.talk, answer.c.agent_id,
        )
        .select_from(Order)
        .join(answer, true())
        .where(*_placed(tx, question))
    )  # fmt: skip
