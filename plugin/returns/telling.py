"""What shoppers are told about their return: one message a step, in their language, in the chat and by e-mail.

Each follows an event, so that it is said once, whatever dies; the store's own returns are the store's to tell.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import func, select, tuple_

from plugin.app import App
from plugin.conversations import attachments, messages
from plugin.crm.orders import Order
from plugin.kernel.db import Tx
from plugin.kernel.events import Event
from plugin.kernel.i18n import Translator
from plugin.kernel.jobs import TaskError
from plugin.kernel.lazy import _
from plugin.kernel.money import Money
from plugin.kernel.text import isolate
from plugin.platform import PlatformError
from plugin.returns import pages, papers, policies, printing, self_service
from plugin.returns.policy import PayWhen, Resolution
from plugin.returns.records import OURS, ReturnRequest
from plugin.returns.shipping import Method, ReturnPlace
from plugin.returns.states import State
from plugin.stores import Store

TURN_SECONDS: Final = 15
"""How long what follows waits for the news that a return is agreed: a few tries, far from the last."""


async def tell_return(app: App, workspace_id: UUID, *, event_id: str, subject_id: str) -> None:
    """Task, after a step of a return: tell the shopper."""
    await _in_turn(app, workspace_id, UUID(event_id), UUID(subject_id))
    paper = await _paper(app, workspace_id, UUID(event_id), UUID(subject_id))
    link = await _pay_link(app, workspace_id, UUID(event_id), UUID(subject_id))
    async with app.db.transaction(workspace_id) as tx:
        event = await tx.get(Event, UUID(event_id))
        request = await tx.get(ReturnRequest, UUID(subject_id))
        if event is None or request is None or request.origin != OURS or request.conversation_id is None:
            await tx.complete_job()
            return
        if await _replaced(tx, event):
            await tx.complete_job()
            return
        store = await tx.get(Store, request.store_id)
        t = app.catalogues.translator(request.language or (store.locale if store is not None else ""))
        if said := "\n".join(filter(None, (await _said(tx, event, request, t), link))):
            files: tuple[UUID, ...] = ()
            uploader = ""
            if event.kind == "return_request.label_sent" and event.data.get("file"):
                files, uploader = (UUID(str(event.data["file"])),), event.actor
            if paper is not None:
                kept = await attachments.save(tx, paper, uploader="system", store_id=request.store_id)
                files, uploader = (UUID(kept["id"]),), "system"
                attached = t.gettext("What to do, and the slip for the parcel, is attached.")
                said = f"{said}\n\n{attached}"
            if store is not None and (led := await _led(app, tx, store, request, t)):
                said = f"{said}\n\n{led}"
            name = store.name if store is not None else ""
            told = await messages.tell(
                tx, request.conversation_id, event.id, said, name=name, files=files, uploader=uploader,
                language=t.locale,
            )  # fmt: skip
            if told and paper is not None:
                request.slip_file = files[0]
        await tx.complete_job()


_OF_WHAT_WAS_ASKED = frozenset({"return_request.requested", "return_request.changed", "return_request.approved"})


async def _replaced(tx: Tx, event: Event) -> bool:
    """Whether the shopper has asked for something else since: the news of that speak of the return as it is now."""
    if event.kind not in _OF_WHAT_WAS_ASKED:
        return False
    later = await tx.scalar(
        select(Event.id)
        .where(
            Event.workspace_id == tx.workspace_id,
            Event.subject_id == event.subject_id,
            Event.kind == "return_request.changed",
            # As `records.history` has them: what one transaction records has one moment.
            tuple_(Event.at, Event.id) > (event.at, event.id),
        )
        .limit(1)
    )
    return later is not None


async def _in_turn(app: App, workspace_id: UUID, event_id: UUID, request_id: UUID) -> None:
    """Raises TaskError while the news that a return is agreed, whose slip takes a moment to draw, is still to come.

    A label is ready within seconds: told first, it would be read as another parcel's. Nobody waits longer than
    `TURN_SECONDS` for a letter that cannot be written.
    """
    async with app.db.transaction(workspace_id) as tx:
        request = await tx.get(ReturnRequest, request_id)
        if request is None or request.conversation_id is None:
            return
        agreed = await tx.scalar(
            select(Event).where(
                Event.workspace_id == tx.workspace_id, Event.subject_id == request_id,
                Event.kind == "return_request.approved", Event.id < event_id,
                Event.at > func.clock_timestamp() - timedelta(seconds=TURN_SECONDS),
            )
            .order_by(Event.id.desc())
            .limit(1)
        )  # fmt: skip
        if agreed is None or await _replaced(tx, agreed):
            return
        if not await messages.is_there(tx, request.conversation_id, agreed.id):
            raise TaskError("the news that it is agreed comes first", retry=True, after=2.0)


async def _led(app: App, tx: Tx, store: Store, request: ReturnRequest, t: Translator) -> str:
    """The way to the return's own page."""
    page = await page_of(app, tx, store, request, t.locale)
    return "\n".join((t.gettext("See your return and what comes next:"), page)) if page else ""


async def page_of(app: App, tx: Tx, store: Store, request: ReturnRequest, language: str) -> str:
    """Where the return's own page is; empty where the shop keeps orders and returns to itself."""
    if not request.public_id or not (await self_service.rules_of(tx, store.id)).doors:
        return ""
    order = await tx.get(Order, request.order_id)
    account = order is not None and bool(order.customer_external_id)
    return pages.address(app.settings.public_url, store, language, request.public_id, account=account)


async def _paper(app: App, workspace_id: UUID, event_id: UUID, request_id: UUID) -> attachments.Upload | None:
    """The slip that goes with the news that a return is agreed, made off the event loop and outside any transaction."""
    async with app.db.transaction(workspace_id) as tx:
        event, request = await tx.get(Event, event_id), await tx.get(ReturnRequest, request_id)
        if event is None or request is None or event.kind != "return_request.approved":
            return None
        store = await tx.get(Store, request.store_id)
        t = app.catalogues.translator(request.language or (store.locale if store is not None else ""))
        slip = await papers.slip(app, tx, request, t)
    if slip is None:
        return None
    return await attachments.inspect(f"{request.number}.pdf", await printing.make(slip))


async def _pay_link(app: App, workspace_id: UUID, event_id: UUID, request_id: UUID) -> str:
    """Where the difference for something dearer is paid; empty where nothing is, or the store does not say."""
    async with app.db.transaction(workspace_id) as tx:
        event, request = await tx.get(Event, event_id), await tx.get(ReturnRequest, request_id)
        if event is None or request is None or event.kind != "return_request.sent_instead":
            return ""
        if not event.data.get("owed"):
            return ""
        store = await tx.get(Store, request.store_id)
    return await pay_link(app, store, request)


async def pay_link(app: App, store: Store | None, request: ReturnRequest) -> str:
    """Where what is still owed for an exchange is paid; empty when nothing is. A bearer link: never logged."""
    if store is None or not request.sent_external_id:
        return ""
    try:
        return await app.platforms[store.platform].pay_link(store.connection(), request.sent_external_id)
    except PlatformError as error:
        if error.retry:
            raise TaskError(error.said, retry=True, after=error.after or 5.0) from error
        return ""


async def _said(tx: Tx, event: Event, request: ReturnRequest, t: Translator) -> str:
    tell = _TOLD.get(event.kind)
    if tell is None:
        return ""
    place = await tx.get(ReturnPlace, request.place_id) if request.place_id is not None else None
    values = {
        "number": isolate(request.number, "ltr"),
        "order": isolate(str(event.data.get("order", "")), "ltr"),
        "place": isolate(place.name) if place is not None else "",
    }
    said = tell(t, request, event.data, values)
    if said and event.kind == "return_request.approved" and not request.keep:
        version = await policies.version(tx, request.policy_version) if request.policy_version else None
        said = "\n".join(filter(None, (said, _when_paid(t, request, version.policy.pay_when if version else ""))))
    return said


Tell = Callable[[Translator, ReturnRequest, Mapping[str, Any], Mapping[str, str]], str]


def _plain(message: str) -> Tell:
    return lambda t, request, data, values: t.gettext(message, **values)


def _with_note(message: str, *, reasons: bool = False) -> Tell:
    """With what the team wrote to them."""

    def tell(t: Translator, request: ReturnRequest, data: Mapping[str, Any], values: Mapping[str, str]) -> str:
        why = declined(t, request) if reasons else ""
        return "\n\n".join(filter(None, (t.gettext(message, **values), why, request.note)))

    return tell


_DECLINED: Mapping[str, str] = {
    "final_sale": _("These goods were sold without a right to return them."),
    "too_late": _("The time for sending them back is over."),
}


def declined(t: Translator, request: ReturnRequest) -> str:
    """Why it was declined, for its shopper; empty where the team's own words say it. Pure."""
    return t.gettext(_DECLINED[request.why]) if request.why in _DECLINED else ""


def _requested(t: Translator, request: ReturnRequest, data: Mapping[str, Any], values: Mapping[str, str]) -> str:
    if data.get("at_once"):
        # They are told that it is agreed, in the same moment.
        return ""
    return t.gettext(
        "We have your return request %(number)s for order %(order)s. We look at it and write to you here.", **values
    )


def _changed(t: Translator, request: ReturnRequest, data: Mapping[str, Any], values: Mapping[str, str]) -> str:
    if data.get("at_once"):
        return ""
    return t.gettext("Your return %(number)s is changed. We look at it and write to you here.", **values)


def _sent_instead(t: Translator, request: ReturnRequest, data: Mapping[str, Any], values: Mapping[str, str]) -> str:
    if not data.get("owed"):
        if not data.get("sent"):
            return t.gettext("What you get instead for your return %(number)s is ordered.", **values)
        return t.gettext(
            "What you get instead for your return %(number)s is ordered: %(sent)s.",
            **values, sent=isolate(str(data["sent"]), "ltr"),
        )  # fmt: skip
    owed = t.format_money(request.money(int(data["owed"])))
    return t.gettext(
        "For what you chose instead, %(amount)s is still to pay. It is sent once that is paid.", amount=owed
    )


def _approved(t: Translator, request: ReturnRequest, data: Mapping[str, Any], values: Mapping[str, str]) -> str:
    said = t.gettext("Your return %(number)s for order %(order)s is approved.", **values)
    if request.keep:
        nothing = t.gettext("You need not send anything back.")
        return f"{said} {nothing}"
    return f"{said} {_way(t, request, values)}"


def _way(t: Translator, request: ReturnRequest, values: Mapping[str, str]) -> str:
    """What comes next, by the way that was chosen."""
    label = t.gettext("The label for the parcel comes in a message of its own.")
    if request.method == Method.PICKUP and request.pickup_on is not None:
        fetched = t.gettext("The courier collects it on %(day)s.", day=t.format_date(request.pickup_on))
        return f"{fetched} {label}"
    if request.method == Method.LABEL:
        return label
    if request.method == Method.CODE:
        return t.gettext("The code for the counter comes in a message of its own.")
    if request.method == Method.POINT and values["place"]:
        return t.gettext("Bring the parcel to %(place)s.", place=values["place"])
    if request.method == Method.STORE and values["place"]:
        return t.gettext("Bring the goods to %(place)s.", place=values["place"])
    return t.gettext("We send you what you need for the parcel, unless you were told to send it yourself.")


def _when_paid(t: Translator, request: ReturnRequest, pays: str) -> str:
    """What comes back, and at which step."""
    if request.resolution == Resolution.EXCHANGE and not request.cash and not request.credit:
        owed = request.decided.owed
        if owed is not None and owed.amount:
            waits = (
                _("What you chose instead is sent once %(amount)s is paid. Please send the goods back all the same.")
                if request.pays == PayWhen.APPROVED
                else _("What you chose instead is sent once the goods are here and %(amount)s is paid.")
            )
            return t.gettext(waits, amount=t.format_money(owed))
        if request.pays == PayWhen.APPROVED:
            return t.gettext("What you chose instead does not wait for the goods. Please send them back all the same.")
        return t.gettext("What you chose instead is sent once the goods are here.")
    if request.resolution == Resolution.REPLACEMENT:
        return t.gettext("The replacement is sent to the address of the order.")
    message = _WHEN.get(pays if request.pays else "")
    if message is None or not request.promised.amount:
        return ""
    amount = request.promised + request.money(request.bonus)
    return t.gettext(message, amount=t.format_money(amount))


_WHEN: Mapping[str, str] = {
    "approved": _("%(amount)s is on its way to you now."),
    "in_transit": _("You get %(amount)s as soon as the parcel is on its way."),
    "received": _("You get %(amount)s as soon as the parcel is here."),
    "inspected": _("You get %(amount)s as soon as the parcel is here and we have looked at the goods."),
    "": _("You get %(amount)s once the return is done."),
}


_STICK = _("Print the label that is attached and put it on the parcel.")
_CODE = _("Show the code that is attached at the counter when you hand in the parcel. There is nothing to print.")


def _label(t: Translator, request: ReturnRequest, data: Mapping[str, Any], values: Mapping[str, str]) -> str:
    said = [t.gettext("This is for the parcel of your return %(number)s.", **values)]
    if data.get("file"):
        said.append(t.gettext(_CODE if request.method == Method.CODE else _STICK))
        if request.method == Method.PICKUP and request.pickup_on is not None:
            said.append(t.gettext("The courier collects it on %(day)s.", day=t.format_date(request.pickup_on)))
    if request.tracking_number:
        number = isolate(request.tracking_number, "ltr")
        carrier = isolate(request.carrier) if request.carrier else ""
        said.append(
            t.gettext("The parcel's number with %(carrier)s: %(tracking)s", carrier=carrier, tracking=number)
            if carrier
            else t.gettext("The parcel's number: %(tracking)s", tracking=number)
        )
    if request.tracking_url:
        said.append(request.tracking_url)
    return "\n".join(said)


def _paid(t: Translator, request: ReturnRequest, data: Mapping[str, Any], values: Mapping[str, str]) -> str:
    amount = Money(int(data.get("amount") or 0), str(data.get("currency") or request.currency),
                   int(data.get("exponent") or request.exponent))  # fmt: skip
    if not amount.amount:
        return t.gettext("Your return %(number)s is settled: what you chose instead is being prepared.", **values)
    told = {**values, "amount": t.format_money(amount)}
    if request.credit:
        return t.gettext("You have %(amount)s of store credit for your return %(number)s.", **told)
    return t.gettext(
        "We have sent back %(amount)s for your return %(number)s to the way you paid. A bank may take some days.",
        **told,
    )


def _closed(t: Translator, request: ReturnRequest, data: Mapping[str, Any], values: Mapping[str, str]) -> str:
    if data.get("why") != "not_sent":
        return ""
    return t.gettext(
        "Your return %(number)s was closed because no parcel came. Write to us here if you have sent it.", **values
    )


def _reminded(t: Translator, request: ReturnRequest, data: Mapping[str, Any], values: Mapping[str, str]) -> str:
    if data.get("state") == State.ASKED:
        return t.gettext("We still need your answer to go on with your return %(number)s.", **values)
    return t.gettext(
        "Have you sent the parcel of your return %(number)s? If you want to keep the goods, you can cancel it.",
        **values,
    )


_TOLD: Mapping[str, Tell] = {
    "return_request.requested": _requested,
    "return_request.approved": _approved,
    "return_request.changed": _changed,
    "return_request.sent_instead": _sent_instead,
    "return_request.declined": _with_note(_("We cannot accept your return %(number)s."), reasons=True),
    "return_request.asked": _with_note(_("To go on with your return %(number)s we need to know more:")),
    "return_request.label_sent": _label,
    "return_request.in_transit": _plain(_("The parcel of your return %(number)s is on its way to us.")),
    "return_request.received": _plain(_("The parcel of your return %(number)s is here.")),
    "return_request.inspected": _plain(_("We have looked at the goods of your return %(number)s.")),
    "return_request.paid": _paid,
    "return_request.closed": _closed,
    "return_request.cancelled": _plain(_("Your return %(number)s is cancelled. Nothing is sent and nothing is paid.")),
    "return_request.reopened": _plain(_("Your return %(number)s for order %(order)s is open again.")),
    "return_request.reminded": _reminded,
}
