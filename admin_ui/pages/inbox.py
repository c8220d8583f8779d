"""The inbox: the list, and which conversation is open beside it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from starlette.responses import Response

from admin_ui import words
from admin_ui.desk import Desk
from admin_ui.pages import conversation
from plugin.conversations import views
from plugin.conversations.views import COUNT_LIMIT, Listed, View
from plugin.crm import stakes
from plugin.crm.stakes import OpenCart, OpenOrder
from plugin.kernel.db import Tx
from plugin.kernel.i18n import Translator
from plugin.kernel.lazy import Lazy, _
from plugin.stores import all_stores

_MAX_ROWS = 200
# Minutes after which a wait is worth a colour; until workspaces set their own targets.
_SOON, _LATE = 5, 30

_LABELS: dict[View, Lazy] = {
    View.OPEN: _("Open"),
    View.MINE: _("Mine"),
    View.UNASSIGNED: _("Unassigned"),
    View.CLOSED: _("Closed"),
}


@dataclass(frozen=True, slots=True)
class Stake:
    """What hangs on it: the order's number or the cart's amount, and the whole of it for who stays on it."""

    sign: str
    text: str
    whole: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the list. `store` is empty where the workspace has only one; `channel` is a sign and its words."""

    id: UUID
    key: str
    name: str
    preview: str
    ours: bool
    at: datetime
    unread: int
    waiting_since: datetime | None
    waiting_seconds: float
    urgency: str
    assignee: str
    store: str
    channel: tuple[str, str]
    stake: Stake | None


@dataclass(frozen=True, slots=True)
class Tab:
    """A list that can be chosen, with how many are in it."""

    key: str
    label: str
    count: str


@dataclass(frozen=True, slots=True)
class Blank:
    """What an empty list teaches."""

    sign: str
    heading: str
    text: str
    path: str = ""


async def inbox(desk: Desk) -> Response:
    """The list; `view` chooses which, `after` continues it, `rows` keeps its length when it is read again."""
    return await _show(desk, None)


async def opened(desk: Desk) -> Response:
    """The list with one conversation open."""
    return await _show(desk, desk.path_id())


async def _show(desk: Desk, conversation_id: UUID | None) -> Response:
    query = desk.request.query_params
    view = View(query["view"]) if query.get("view") in set(View) else View.OPEN
    wanted = desk.wanted("inbox.html")
    context: dict[str, Any] = {
        "view": view.value, "rows": [], "tabs": [], "cursor": None, "blank": None, "thread": None,
        "heading": desk.t.gettext("Inbox"),
    }  # fmt: skip
    shown = conversation_id if wanted in ("", "page", "thread") else None
    here = shown is not None and await conversation.is_here(desk, shown)
    async with desk.transaction() as tx:
        if wanted in ("", "page", "queue"):
            context |= await _list(tx, desk, view)
        if shown is not None:
            context |= await conversation.context(tx, desk, shown, here)
    return desk.page("inbox.html", **context)


async def _list(tx: Tx, desk: Desk, view: View) -> dict[str, Any]:
    query = desk.request.query_params
    length = query.get("rows", "")
    limit = min(_MAX_ROWS, max(views.PAGE, int(length))) if length.isascii() and length.isdigit() else views.PAGE
    page = await views.queue(tx, view, agent_id=desk.agent.id, cursor=query.get("after"), limit=limit)
    counts = await views.counts(tx, desk.agent.id)
    shops = await all_stores(tx)
    connected = any(store.status == "connected" for store in shops)
    names = {store.id: store.name for store in shops} if len(shops) > 1 else {}
    people = {row.conversation.customer_id for row in page.rows if row.conversation.customer_id is not None}
    open_things = await stakes.at_stake(tx, people)
    now = datetime.now(UTC)
    t = desk.t
    tabs = [Tab(key.value, t.gettext(label), _count(t, counts.get(key, 0))) for key, label in _LABELS.items()]
    return {
        "rows": [
            _row(
                t,
                listed,
                now,
                names.get(_id(listed.conversation.store_id), ""),
                open_things.get(_id(listed.conversation.customer_id)),
            )
            for listed in page.rows
        ],
        "tabs": tabs,
        "cursor": page.cursor,
        "blank": _blank(t, view, connected),
    }


def _id(found: UUID | None) -> UUID:
    return found or UUID(int=0)


def _row(t: Translator, listed: Listed, now: datetime, store: str, open_thing: OpenOrder | OpenCart | None) -> Row:
    talk = listed.conversation
    seconds = (now - talk.waiting_since).total_seconds() if talk.waiting_since else 0
    urgency = "late" if seconds >= _LATE * 60 else "soon" if seconds >= _SOON * 60 else ""
    return Row(
        id=talk.id,
        key=str(talk.customer_id or talk.visitor_id or talk.id),
        name=conversation.called(t, listed.customer_name, listed.customer_email, listed.typed_name, listed.typed_email),
        preview=talk.preview or t.gettext("No message yet"),
        ours=talk.preview_author == "agent",
        at=talk.last_message_at,
        unread=talk.unread,
        waiting_since=talk.waiting_since,
        waiting_seconds=seconds,
        urgency=urgency,
        assignee=listed.assignee_name,
        store=store,
        channel=conversation.channel_of(t, talk.channel),
        stake=_stake(t, open_thing) if open_thing else None,
    )


def _stake(t: Translator, open_thing: OpenOrder | OpenCart) -> Stake:
    if isinstance(open_thing, OpenCart):
        amount = t.format_money(open_thing.total) if open_thing.total else ""
        what = t.gettext("Checkout under way") if open_thing.kind == "checkout" else t.gettext("Open cart")
        return Stake("shopping-cart", amount, f"{what} · {amount}" if amount else what, "")
    states = [words.PARCEL["failed"]] if open_thing.failed else []
    states += [
        state
        for state in (
            words.PAYMENT.get(open_thing.payment_status),
            words.FULFILMENT.get(open_thing.fulfilment_status),
        )
        if state
    ]
    name = words.order_name(open_thing.name)
    whole = " · ".join([t.gettext("Order %(name)s", name=name), *(t.gettext(state.text) for state in states)])
    bad = any(state.meaning == "bad" for state in states)
    return Stake("package", open_thing.name, whole, "bad" if bad else "")


def _count(t: Translator, number: int) -> str:
    if not number:
        return ""
    return t.gettext("many") if number >= COUNT_LIMIT else t.format_number(number)


def _blank(t: Translator, view: View, connected: bool) -> Blank:
    _ = t.gettext
    if not connected:
        text = _("Connect a store, and what its shoppers write arrives here.")
        return Blank("store", _("No store yet"), text, "stores")
    if view is View.CLOSED:
        return Blank(
            "archive",
            _("Nothing closed yet"),
            _("Closed conversations stay here and open again by themselves when the customer writes."),
        )
    if view is View.MINE:
        return Blank(
            "user-check",
            _("Nothing is yours"),
            _("Take a conversation with the key a, or answer one: it becomes yours."),
        )
    return Blank("coffee", _("Everybody has an answer"), _("New messages appear here by themselves."))
