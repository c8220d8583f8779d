"""What the bot can look up by itself: orders that are proven to be the shopper's, opening hours. Goods: `catalogue`.

It reads and it opens doors; nothing is carried out here. Whatever changes an order or moves money happens on the
widget's own screens, where the shop's rules and the proof of ownership hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from babel import dates

from plugin.bot.catalogue import OF_PRODUCTS
from plugin.bot.decide import Outcome, Reason
from plugin.bot.memory import Choice, means_it
from plugin.bot.scene import Say, Scene
from plugin.bot.understand import Message
from plugin.conversations import teams
from plugin.conversations.hours import DAY_MINUTES, Span, clock
from plugin.crm import orders, tracking
from plugin.crm.orders import OrderView, number_of
from plugin.crm.tracking import Standing, Step
from plugin.kernel.db import Tx
from plugin.kernel.i18n import Translator
from plugin.kernel.lazy import _
from plugin.kernel.text import isolate
from plugin.returns import proof, records
from plugin.returns import words as return_words
from plugin.returns.self_service import Door
from plugin.returns.states import State

TRACKED = frozenset({"track_order", "delivery_late"})
DOORS = {
    "return_item": "back",
    "exchange": "back",
    "cancel_order": "order",
    "change_address": "order",
    "change_order": "order",
    "invoice": "order",
    "damaged_item": "problem",
    "missing_item": "problem",
    "wrong_item": "problem",
    "marked_delivered": "problem",
}
"""Topics about an order, and the screen of the widget on which the shopper goes on."""

OF_ORDERS = frozenset({*TRACKED, *DOORS, "refund_status"})
HOURS = "opening_hours"
DISCOUNTS = "discounts"

_OFFERED = 3


def has(topic: str, doors: frozenset[Door] = frozenset(Door)) -> bool:
    """Whether there is a tool for a topic, so that no article has to answer it. `doors`: what the shop left open."""
    return _open(topic, doors) if topic in OF_ORDERS else topic in OF_PRODUCTS or topic in (HOURS, DISCOUNTS)


_LEADS_TO = {"order": Door.ORDERS, "back": Door.RETURNS, "problem": Door.CLAIMS}


def _open(topic: str, doors: frozenset[Door]) -> bool:
    """Whether customers find what a topic about orders leads to. How a return stands is told while anything is open."""
    if topic == "refund_status":
        return bool(doors)
    return _LEADS_TO[DOORS.get(topic, "order")] in doors


# Orders


async def order(tx: Tx, scene: Scene, topic: str, message: Message) -> Say | None:
    """About one of the shopper's own orders. Nothing is told of an order that is not proven to be theirs.

    None: the shop keeps this to itself.
    """
    if not _open(topic, scene.doors):
        return None
    views = await proof.theirs(tx, scene.shopper) if scene.shopper is not None and scene.chat else ()
    view, several = _which(list(views), scene, message)
    if several:
        return Say(
            Outcome.ASK, Reason.MISSING, topic, scene.t.gettext(_("Which order is it about?")),
            choices=[Choice(_called(scene.t, one), f"order:{one.order.id}") for one in several[:_OFFERED]],
            asked=("order",), tool="orders",
        )  # fmt: skip
    if view is None:
        return _unproven(scene, topic, message, known=bool(views))
    return await about(tx, scene, topic, view)


async def about(tx: Tx, scene: Scene, topic: str, view: OrderView) -> Say | None:
    """About this very order, which is proven to be theirs. None: the shop keeps this to itself."""
    if not _open(topic, scene.doors):
        return None
    returned = await _returned(tx, scene, view) if topic == "refund_status" else None
    if topic == "refund_status" and returned is None and Door.ORDERS not in scene.doors:
        return None
    usual = await orders.usual_times(tx, scene.store.id)
    one = view.order
    standing = tracking.standing(
        one.placed_at, one.fulfilment_status, one.cancelled_at, view.fulfilments, usual, scene.now
    )
    words, door = _standing(scene.t, view, standing), _door(scene, "order", {"id": str(one.id)}, _called(scene.t, view))
    choices: Sequence[Choice] = ()
    if returned is not None:
        words, door = returned
    elif topic in DOORS and not standing.cancelled:
        words, door = _onwards(scene, topic, view, standing)
    elif standing.late:
        choices = (Choice(scene.t.gettext(_("Ask a colleague about it")), "person"),)
    return Say(
        Outcome.ANSWER, Reason.SURE, topic, words, cards=[door], choices=choices, order=str(one.id), tool="orders",
        told=f"{topic} {one.id}", proof=await proof.way(tx, scene.shopper, one) if scene.shopper is not None else "",
    )  # fmt: skip


def _which(views: list[OrderView], scene: Scene, message: Message) -> tuple[OrderView | None, list[OrderView]]:
    """The order that is meant; else those among which to choose."""
    if message.orders:
        wanted = {number_of(found.value) for found in message.orders}
        return next((view for view in views if number_of(view.order.name) in wanted), None), []
    last = next((turn.data["order"] for turn in scene.before.said if turn.data.get("order")), "")
    if last and means_it(message.text):
        return next((view for view in views if str(view.order.id) == last), None), []
    if len(views) == 1:
        return views[0], []
    under_way = [view for view in views if not view.order.cancelled_at and not _arrived(view)]
    if len(under_way) == 1:
        return under_way[0], []
    return None, under_way or views


def _arrived(view: OrderView) -> bool:
    return bool(view.fulfilments) and all(one.delivered_at for one in view.fulfilments)


def _unproven(scene: Scene, topic: str, message: Message, *, known: bool) -> Say:
    """Whose order it is has to be shown first: the door to where that is done, with what was typed filled in."""
    number = message.orders[0].value if message.orders else ""
    t = scene.t
    if known and number:
        words = t.gettext(_("I cannot see order %(order)s here yet."), order=isolate(number, "ltr"))
    else:
        words = t.gettext(_("For that I have to know that the order is yours."))
    more = t.gettext(
        _("Tap “Find my order”, enter its number and its e-mail or phone, and type the code that we send.")
    )
    door = _door(scene, "find", {"number": number} if number else {}, t.gettext(_("Find my order")))
    return Say(
        Outcome.ASK, Reason.MISSING, topic, f"{words} {more}", cards=[door], asked=("proof",), tool="proof",
        told=f"{topic} proof {number}",
    )  # fmt: skip


def door_to_proof(scene: Scene) -> dict[str, Any]:
    """A card that opens the screen on which an order is proven to be somebody's."""
    return _door(scene, "find", {}, scene.t.gettext(_("Find my order")))


def _called(t: Translator, view: OrderView) -> str:
    return t.gettext(_("Order %(order)s"), order=isolate(view.order.name, "ltr"))


def _standing(t: Translator, view: OrderView, standing: Standing) -> str:
    """Where an order is, in a sentence or two."""
    name = isolate(view.order.name, "ltr")
    moments = dict(standing.moments)

    def day(step: Step) -> str:
        moment = moments.get(step)
        return t.format_date(moment, "long") if moment is not None else ""

    if standing.cancelled:
        return t.gettext(_("Order %(order)s was cancelled."), order=name)
    match standing.reached:
        case Step.DELIVERED:
            when = day(Step.DELIVERED)
            return (
                t.gettext(_("Order %(order)s was delivered on %(day)s."), order=name, day=when)
                if when
                else t.gettext(_("Order %(order)s was delivered."), order=name)
            )
        case Step.OUT_FOR_DELIVERY:
            said = [t.gettext(_("Order %(order)s is with the courier and arrives soon."), order=name)]
        case Step.SHIPPED:
            when = day(Step.SHIPPED)
            said = [
                t.gettext(_("Order %(order)s was sent on %(day)s."), order=name, day=when)
                if when
                else t.gettext(_("Order %(order)s is on its way."), order=name)
            ]
        case Step.PACKED:
            said = [t.gettext(_("Order %(order)s is packed and waits for the carrier."), order=name)]
        case _:
            said = [t.gettext(_("Order %(order)s is here and is being prepared."), order=name)]
    if standing.parts:
        said.append(t.gettext(_("Not everything is in the same parcel.")))
    for parcel in standing.parcels[:2]:
        if parcel.carrier and parcel.number:
            said.append(
                t.gettext(
                    _("Carrier: %(carrier)s, tracking number %(number)s."),
                    carrier=isolate(parcel.carrier), number=isolate(parcel.number, "ltr"),
                )
            )  # fmt: skip
        if parcel.link:
            said.append(parcel.link)
    if standing.late:
        said.append(t.gettext(_("That takes longer than usual here.")))
    elif standing.usual:
        days = -(-standing.usual // timedelta(days=1))
        said.append(t.ngettext("It usually takes up to %(num)s day.", "It usually takes up to %(num)s days.", days))
    return " ".join(said)


async def _returned(tx: Tx, scene: Scene, view: OrderView) -> tuple[str, dict[str, Any]] | None:
    """Where the latest return of an order is."""
    made = [one for one in await records.of_order(tx, view.order.id) if one.public_id]
    if not made:
        return None
    latest = max(made, key=lambda one: one.created_at)
    state = scene.t.gettext(return_words.STATES[State(latest.state)])
    words = scene.t.gettext(_("Your return %(number)s: %(state)s."), number=isolate(latest.number, "ltr"), state=state)
    return words, _door(scene, "made", {"id": latest.public_id}, scene.t.gettext(_("Look at the return")))


def _onwards(scene: Scene, topic: str, view: OrderView, standing: Standing) -> tuple[str, dict[str, Any]]:
    """What the shopper does next on a screen of their own, at this order."""
    t, name, id = scene.t, isolate(view.order.name, "ltr"), str(view.order.id)
    match DOORS[topic]:
        case "back":
            words = _(
                "You can send back from order %(order)s what the shop takes back: choose the items and the reason."
            )
            return t.gettext(words, order=name), _door(
                scene, "back", {"order": id, "step": 1}, t.gettext(_("Start the return"))
            )
        case "problem":
            words = _("I am sorry about that. Tell us on the next screen what is wrong with order %(order)s.")
            return t.gettext(words, order=name), _door(scene, "problem", {"id": id}, t.gettext(_("Report a problem")))
    if topic == "invoice":
        words = _("What was bought and paid is shown with order %(order)s.")
    elif standing.parcels:
        words = _("Order %(order)s is on its way already. What can still be done is shown with the order.")
    else:
        words = _("What can still be changed is shown with order %(order)s.")
    return t.gettext(words, order=name), _door(scene, "order", {"id": id}, _called(t, view))


def _door(scene: Scene, screen: str, given: dict[str, Any], title: str) -> dict[str, Any]:
    """A card that opens a screen of the widget; where there is no widget, the page of the shopper's orders."""
    page = urlencode({"store": scene.store.public_key, "locale": scene.language})
    return {
        "kind": "door", "title": title, "screen": screen, "given": given,
        "url": f"{scene.public_url}/widget/page?{page}",
    }  # fmt: skip


# Hours


async def opening(tx: Tx, scene: Scene) -> Say | None:
    """When somebody is there to answer. None where the team keeps no hours."""
    team = teams.responsible([one.rules() for one in await teams.all_teams(tx)], scene.store.id, scene.language)
    if team is None or all(day == (Span(0, DAY_MINUTES),) for day in team.hours.week):
        return None
    t = scene.t
    names = dates.get_day_names("wide", locale=t.language.locale)
    lines: list[tuple[list[int], str]] = []
    for weekday in [(t.first_weekday + ahead) % 7 for ahead in range(7)]:
        spans = team.hours.of_day_of_week(weekday)
        said = t.listing([f"{clock(one.start)}–{clock(one.end)}" for one in spans]) if spans else ""
        if lines and lines[-1][1] == said:
            lines[-1][0].append(weekday)
        else:
            lines.append(([weekday], said))
    open_days = [
        f"{names[days[0]]}{f' – {names[days[-1]]}' if len(days) > 1 else ''}: {isolate(said, 'ltr')}"
        for days, said in lines
        if said
    ]
    if not open_days:
        return None
    city = dates.get_timezone_location(team.hours.zone, locale=t.language.locale, return_city=True)
    head = t.gettext(_("Somebody answers here at these times (%(city)s time):"), city=city)
    return Say(
        Outcome.ANSWER, Reason.SURE, HOURS, "\n".join([head, *open_days]), tool="hours", told=HOURS,
    )  # fmt: skip
