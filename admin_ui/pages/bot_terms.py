"""What a store's bot may do where, when and for whom, the discounts it gives, and those that an agent decides on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

import msgspec
from starlette.datastructures import FormData
from starlette.responses import Response

from admin_ui import flow_words
from admin_ui.desk import Desk, nothing_here
from admin_ui.words import State
from plugin import stores
from plugin.bot import bots, gifts, people, seeds
from plugin.bot.allowed import TAGGED, Deed, Giving, Hours, Terms
from plugin.bot.bots import Bot
from plugin.bot.gifts import BotGift
from plugin.conversations.conversations import Conversation
from plugin.crm.orders import Order
from plugin.kernel.db import Tx
from plugin.kernel.digits import whole
from plugin.kernel.errors import AhlanError
from plugin.kernel.lazy import Lazy, _
from plugin.kernel.money import Money, exponent_of, parse
from plugin.kernel.text import isolate, normalise
from plugin.stores import Store
from plugin.team import Permission

DEEDS: Mapping[Deed, tuple[Lazy, Lazy]] = {
    Deed.ORDERS: (_("Look up orders"), _("Of somebody whose order is proven.")),
    Deed.SCREENS: (_("Lead to returns, problems and changes"), _("Nothing is carried out without their own screens.")),
    Deed.GOODS: (_("Look into the catalogue"), _("Stock, prices, variants.")),
    Deed.FLOWS: (_("Lead through flows"), _("Those that are switched on.")),
    Deed.DISCOUNT: (_("Give discounts"), _("Within the limits below.")),
}
HOURS: Mapping[Hours, Lazy] = {
    Hours.ANY: _("at any time"),
    Hours.OPEN: _("while the team keeps its hours"),
    Hours.CLOSED: _("outside of the team's hours"),
}
_STATES: Mapping[str, State] = {
    gifts.ASKED: State(_("Waits for you"), "warn", "clock"),
    gifts.GOING: State(_("Being made"), "info", "clock"),
    gifts.MADE: State(_("Made"), "good", "check"),
    gifts.FAILED: State(_("Not made"), "bad", "circle-x"),
    gifts.UNSURE: State(_("Unsure: look into the store"), "bad", "circle-alert"),
    gifts.DECLINED: State(_("Declined"), "", "x"),
}


async def shown(tx: Tx, desk: Desk, store: Store, bot: Bot) -> dict[str, Any]:
    """What the part of the page needs."""
    t = desk.t
    segments = [(str(key), t.gettext(name)) for key, name in flow_words.SEGMENTS.items()]
    segments += [(tag, t.gettext(_("Tag %(tag)s"), tag=isolate(tag.removeprefix(TAGGED)))) for tag in
                 await people.known_tags(tx)]  # fmt: skip
    known = {value for value, _name in segments}
    used = {*bot.segments, *(one for deed in Deed for one in bot.terms(deed).segments)} - known
    giving, exponent = bot.giving, exponent_of(store.currency)
    return {
        "segments": [*segments, *((one, one.removeprefix(TAGGED)) for one in sorted(used))],
        "deeds": [(deed.value, t.gettext(name), t.gettext(what), bot.terms(deed)) for deed, (name, what) in
                  DEEDS.items()],
        "hour_names": [(key.value, t.gettext(name)) for key, name in HOURS.items()],
        "channel_names": [(key, t.gettext(name)) for key, name in flow_words.CHANNELS.items()],
        "giving": giving,
        "amounts": {name: str(Money(getattr(giving, name), store.currency, exponent).decimal()) if
                    getattr(giving, name) else "" for name in ("amount", "free_amount")},
    }  # fmt: skip


async def save(desk: Desk) -> Response:
    """Keep whom it answers and what it may do (`part` is `terms`), or how it gives discounts (`discount`)."""
    form = await desk.request.form()
    part = "discount" if form.get("part") == "discount" else "terms"
    async with desk.transaction() as tx:
        store = await stores.get(tx, desk.path_id())
        if store is None:
            raise nothing_here()
        bot = await bots.ready(tx, store.id)
        before = bots.told(bot)
        if part == "discount":
            bot.discount = msgspec.to_builtins(_giving(form, store))
        else:
            bot.segments = [str(one)[:100] for one in form.getlist("segments")]
            bot.may = {deed.value: msgspec.to_builtins(_terms(form, deed)) for deed in Deed}
        await bots.save(tx, bot, before, by=desk.agent, languages=seeds.LANGUAGES)
    return desk.go(f"settings/bot/{store.id}", saved=part)


def _terms(form: FormData, deed: Deed) -> Terms:
    said = str(form.get(f"{deed}-hours", ""))
    return Terms(
        f"{deed}-on" in form,
        tuple(one for one in flow_words.CHANNELS if one in form.getlist(f"{deed}-channels")),
        Hours(said) if said in set(Hours) else Hours.ANY,
        tuple(str(one)[:100] for one in form.getlist(f"{deed}-segments")),
    )


def _giving(form: FormData, store: Store) -> Giving:
    def number(name: str) -> int:
        said = whole(normalise(str(form.get(name, "")).strip() or "0"), 10**6)
        if said is None:
            raise _unread()
        return said

    def amount(name: str) -> int:
        said = str(form.get(name, "")).strip()
        if not said:
            return 0
        try:
            return parse(Decimal(normalise(said).replace(",", ".")), store.currency)[0].amount
        except (InvalidOperation, ValueError) as error:
            raise _unread() from error

    return Giving(
        "on" in form, number("percent"), amount("amount"), number("free_percent"), amount("free_amount"),
        number("per_customer"), number("within_days"), number("per_day"), number("days"), number("asked_percent"),
        str(form.get("public_code", "")).strip(),
    )  # fmt: skip


def _unread() -> AhlanError:
    return AhlanError(
        _("One of the figures for discounts cannot be so."), _("Look at them again; nothing was changed."),
        code="bot_discount",
    )  # fmt: skip


# What an agent decides on


@dataclass(frozen=True, slots=True)
class GiftLine:
    """A discount of the bot's as it stands beside its conversation."""

    id: UUID
    off: str
    order: str
    code: str
    proven: str
    state: State
    waits: bool
    said: str
    at: Any


async def beside(desk: Desk) -> Response:
    """The discounts that the bot gave in a conversation, or asks an agent for."""
    async with desk.transaction() as tx:
        talk = await tx.get(Conversation, desk.path_id())
        if talk is None:
            raise nothing_here()
        lines = [await _line(tx, desk, one) for one in await gifts.waiting(tx, talk.id)]
    return desk.page("gifts_beside.html", block="gifts", gifts=lines, may_decide=desk.may(Permission.REFUND))


_PROOFS: Mapping[str, Lazy] = {
    "account": _("signed in at the store"),
    "code": _("by a code to the address on the order"),
    "call": _("by a call to the number on the order"),
}


async def _line(tx: Tx, desk: Desk, gift: BotGift) -> GiftLine:
    store, order = await stores.get(tx, gift.store_id), await tx.get(Order, gift.order_id)
    assert store is not None
    how = _PROOFS.get(gift.proof, _PROOFS["code"])
    return GiftLine(
        gift.id, gifts.off(desk.t, gift.wish, store), order.name if order is not None else "",
        gift.code if gift.state == gifts.MADE else "", desk.t.gettext(how), _STATES[gift.state],
        gift.state == gifts.ASKED, gift.said, gift.created_at,
    )  # fmt: skip


async def approve(desk: Desk) -> Response:
    """Yes: the code is made, by the one who says so."""
    return await _decide(desk, True)


async def decline(desk: Desk) -> Response:
    """No: the shopper is told."""
    return await _decide(desk, False)


async def _decide(desk: Desk, yes: bool) -> Response:
    async with desk.transaction() as tx:
        if yes:
            gift = await gifts.approve(tx, desk.path_id(), by=desk.agent)
        else:
            gift = await gifts.decline(desk.app, tx, desk.path_id(), by=desk.agent)
        lines = [await _line(tx, desk, one) for one in await gifts.waiting(tx, gift.conversation_id)]
    return desk.page("gifts_beside.html", block="gifts", gifts=lines, may_decide=desk.may(Permission.REFUND))
