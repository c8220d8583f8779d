"""The bot of a store as its merchant set it: on or off, where, when, in which languages, as whom, and what it says.

A store without a row has a bot that is off. What it answers a topic with is chosen by the merchant (`answers`), else
found by itself among what is published (`found`).
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import UniqueConstraint, func, select, text
from sqlalchemy.orm import Mapped, mapped_column

from plugin.bot import seeds
from plugin.bot.allowed import Deed, Giving, Terms, among, terms_of
from plugin.conversations.conversations import EMAIL, WIDGET, Conversation
from plugin.conversations.teams import language_of
from plugin.kernel.db import Base, TenantRow, Tx, new_id, tenant_key
from plugin.kernel.errors import AhlanError
from plugin.kernel.lazy import _
from plugin.kernel.personal import nobody
from plugin.team import Agent, audit

LONGEST_NAME = 40
PERSON = "person"
"""In `answers`: this topic is always for a person."""

REFRESH_SECONDS = 600


class When(StrEnum):
    """When the bot answers: whoever is there, or only while nobody is."""

    ALWAYS = "always"
    AWAY = "away"


class Tone(StrEnum):
    """How it speaks: to the point, or with a kind word before."""

    PLAIN = "plain"
    WARM = "warm"


class Group(StrEnum):
    """What a topic belongs to, for who gets it when the bot hands over."""

    ORDERS = "orders"
    RETURNS = "returns"
    DELIVERY = "delivery"
    PAYMENT = "payment"
    PRODUCTS = "products"
    OTHER = "other"


_GROUPS: Mapping[Group, frozenset[str]] = {
    Group.ORDERS: frozenset(
        {"track_order", "cancel_order", "change_address", "change_order", "delivery_late", "marked_delivered",
         "missing_item", "invoice"}
    ),
    Group.RETURNS: frozenset(
        {"return_item", "return_policy", "exchange", "refund_status", "damaged_item", "wrong_item", "warranty"}
    ),
    Group.DELIVERY: frozenset({"delivery_cost", "delivery_time", "delivery_area", "customs", "pickup_location"}),
    Group.PAYMENT: frozenset(
        {"payment_methods", "payment_failed", "cash_on_delivery", "double_charge", "installments", "code_not_working",
         "discounts", "gift_card"}
    ),
    Group.PRODUCTS: frozenset(
        {"availability", "back_in_stock", "size_guide", "material_care", "authenticity", "gift_wrap", "wholesale"}
    ),
}  # fmt: skip


def group_of(topic: str) -> Group:
    """What a topic belongs to. Pure."""
    return next((group for group, topics in _GROUPS.items() if topic in topics), Group.OTHER)


class Bot(TenantRow, Base):
    """A store's bot. Empty `languages`: all of ours. `answers`: topic to article id or `person`, as chosen.

    `found` is what was found by itself: topic to article id. `teams`: group of topics to the team that gets it.
    Empty `segments`: it answers everybody. `may`: deed to `allowed.Terms`; `discount`: `allowed.Giving`.
    """

    __tablename__ = "bots"
    __table_args__ = (
        UniqueConstraint("workspace_id", "store_id"),
        tenant_key("store_id", "stores"),
        {"info": nobody("how the merchant set the bot")},
    )

    store_id: Mapped[UUID]
    enabled: Mapped[bool] = mapped_column(server_default=text("false"))
    chat: Mapped[bool] = mapped_column(server_default=text("true"))
    email: Mapped[bool] = mapped_column(server_default=text("false"))
    hours: Mapped[str] = mapped_column(server_default=When.ALWAYS)
    languages: Mapped[list[str]] = mapped_column(server_default=text("'[]'"))
    name: Mapped[str] = mapped_column(server_default="")
    tone: Mapped[str] = mapped_column(server_default=Tone.PLAIN)
    answers: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    found: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    teams: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    segments: Mapped[list[str]] = mapped_column(server_default=text("'[]'"))
    may: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    discount: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())

    @property
    def giving(self) -> Giving:
        """How it gives discount codes."""
        return msgspec.convert(self.discount, Giving)

    def terms(self, deed: Deed) -> Terms:
        """Where, when and for whom it does something."""
        return terms_of(self.may, deed)

    def serves(self, segments: Collection[str]) -> bool:
        """Whether it answers a customer of these segments."""
        return among(self.segments, segments)

    def on_channel(self, talk: Conversation) -> bool:
        """Whether it may answer where this conversation is held."""
        return (talk.channel == WIDGET and self.chat) or (talk.channel == EMAIL and self.email)

    def speaks(self, language: str) -> bool:
        """Whether it may answer in a language."""
        return not self.languages or language_of(language) in self.languages

    def article(self, topic: str) -> UUID | None:
        """The article that answers a topic; None: none is known, or it is for a person."""
        said = self.answers.get(topic) or self.found.get(topic)
        return UUID(said) if said and said != PERSON else None

    def for_a_person(self, topic: str) -> bool:
        """Whether the merchant wants a person to answer this, always."""
        return bool(self.answers.get(topic) == PERSON)


async def of_store(tx: Tx, store_id: UUID) -> Bot | None:
    """A store's bot; None where nobody ever set one."""
    found: Bot | None = await tx.scalar(
        select(Bot).where(Bot.workspace_id == tx.workspace_id, Bot.store_id == store_id)
    )
    return found


async def ready(tx: Tx, store_id: UUID) -> Bot:
    """A store's bot; a new one, switched off, where there is none. The caller keeps it by `save`."""
    bot = await of_store(tx, store_id)
    if bot is None:
        bot = Bot(
            id=new_id(), store_id=store_id, enabled=False, chat=True, email=False, hours=When.ALWAYS, languages=[],
            name="", tone=Tone.PLAIN, answers={}, found={}, teams={}, segments=[], may={}, discount={},
        )  # fmt: skip
    return bot


async def enabled(tx: Tx) -> list[Bot]:
    """Every bot of the workspace that is switched on."""
    rows = await tx.scalars(select(Bot).where(Bot.workspace_id == tx.workspace_id, Bot.enabled).order_by(Bot.store_id))
    return list(rows)


async def save(tx: Tx, bot: Bot, before: Mapping[str, Any], *, by: Agent, languages: Collection[str]) -> None:
    """Keep a bot; `before` is `told` of how it was, `languages` are those that there are. Raises AhlanError."""
    bot.name = " ".join(bot.name.split())
    if len(bot.name) > LONGEST_NAME:
        raise AhlanError(_("A name has at most 40 characters."), code="bot_name")
    if not set(bot.languages) <= set(languages):
        raise AhlanError(_("The bot does not speak one of these languages."), code="bot_language")
    topics = {topic.id for topic in seeds.pack()}
    if not set(bot.answers) <= topics or not set(bot.teams) <= {group.value for group in Group}:
        raise AhlanError(_("One of these topics is not known."), _("Open the page again."), code="bot_topic")
    if not set(bot.may) <= set(Deed):
        raise AhlanError(_("One of these topics is not known."), _("Open the page again."), code="bot_deed")
    if wrong := bot.giving.wrong():
        raise AhlanError(
            _("One of the figures for discounts cannot be so."), _("Look at them again; nothing was changed."),
            code=f"bot_{wrong}",
        )  # fmt: skip
    bot.updated_at = await tx.scalar(select(func.now()))
    tx.add(bot)
    await tx.flush()
    if changed := audit.changed(dict(before), told(bot)):
        audit.note(tx, "settings.bot", by=by.id, subject=bot.store_id, changes=changed)
    if bot.enabled:
        await tx.enqueue("teach_bot", unique="teach_bot")
        await tx.enqueue("keep_bot", unique="keep_bot", every=REFRESH_SECONDS)


def told(bot: Bot) -> dict[str, object]:
    """A bot as a line of the audit log names it."""
    return {
        "enabled": bot.enabled,
        "chat": bot.chat,
        "email": bot.email,
        "hours": bot.hours,
        "languages": ", ".join(bot.languages),
        "name": bot.name,
        "tone": bot.tone,
        "answers": ", ".join(f"{topic}={said}" for topic, said in sorted(bot.answers.items())),
        "teams": ", ".join(f"{group}={team}" for group, team in sorted(bot.teams.items())),
        "segments": ", ".join(bot.segments),
        "may": ", ".join(f"{deed}: {_short(bot.terms(Deed(deed)))}" for deed in sorted(bot.may)),
        "discount": ", ".join(f"{name}={value}" for name, value in sorted(bot.discount.items())),
    }


def _short(terms: Terms) -> str:
    said = ["on" if terms.on else "off", *terms.channels, terms.hours.value, *terms.segments]
    return " ".join(filter(None, said))
