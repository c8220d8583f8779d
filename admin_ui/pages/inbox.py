"""The inbox: the lists to choose from, the list, and which conversation is open beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from starlette.responses import Response

from admin_ui import words
from admin_ui.desk import Desk, as_id
from admin_ui.pages import assist, conversation, threads
from admin_ui.pages.conversation import Clock
from plugin import team
from plugin.conversations import bulk, filters, search, tags, views
from plugin.conversations.bulk import Change, Verb
from plugin.conversations.conversations import Priority, Status
from plugin.conversations.filters import Filter, FilterError
from plugin.conversations.views import (
    BUILT_IN,
    COUNT_LIMIT,
    DEFAULT,
    UNREAD_MENTIONS,
    Listed,
    Reader,
    Sort,
    View,
)
from plugin.crm import stakes
from plugin.crm.stakes import OpenCart, OpenOrder
from plugin.kernel.db import Tx
from plugin.kernel.digits import whole
from plugin.kernel.errors import AhlanError
from plugin.kernel.i18n import Translator
from plugin.kernel.lazy import Lazy, _
from plugin.stores import all_stores

_MAX_ROWS = 200

_LABELS: dict[str, tuple[str, Lazy]] = {
    "open": ("inbox", _("Open")),
    "mine": ("user-check", _("Mine")),
    "unassigned": ("user-x", _("Unassigned")),
    "waiting": ("clock", _("Waiting longest")),
    "breaching": ("timer", _("Due soon")),
    "mentions": ("at-sign", _("Mentions")),
    "pending": ("hourglass", _("Waiting for the customer")),
    "snoozed": ("alarm-clock", _("Snoozed")),
    "resolved": ("archive", _("Resolved")),
    "spam": ("ban", _("Spam")),
}
# Lists whose number says that something is to be done; counting what is done and gone would only cost.
_COUNTED = ("open", "mine", "unassigned", "waiting", "breaching", "pending", "snoozed")
_SORTS: dict[Sort, Lazy] = {
    Sort.NEWEST: _("Newest first"),
    Sort.OLDEST: _("Oldest first"),
    Sort.WAITING: _("Longest waiting first"),
    Sort.DUE: _("Due first"),
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
    mentioned: bool
    waiting_since: datetime | None
    waiting_seconds: float
    clock: Clock | None
    snoozed_until: datetime | None
    priority: str
    tags: Sequence[str]
    assignee: str
    store: str
    channel: tuple[str, str]
    stake: Stake | None
    hit: search.Hit | None


@dataclass(frozen=True, slots=True)
class Tab:
    """A list that can be chosen. `mine`: this agent may delete it."""

    key: str
    label: str
    sign: str
    count: str
    mine: bool = False


@dataclass(frozen=True, slots=True)
class Blank:
    """What an empty list teaches. `meant` is a filter that may have been meant, `words` what it looks for."""

    sign: str
    heading: str
    text: str
    path: str = ""
    meant: str = ""
    words: str = ""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the address asks for. `place` names it in further addresses; `problem` says why it cannot be read."""

    view: View
    place: dict[str, str]
    typed: str = ""
    problem: str = ""


async def inbox(desk: Desk) -> Response:
    """The list: `view` names it, or `q` and `sort` describe it; `after` continues it, `rows` keeps its length."""
    return await _show(desk, None)


async def opened(desk: Desk) -> Response:
    """The list with one conversation open."""
    return await _show(desk, desk.path_id())


async def _show(desk: Desk, conversation_id: UUID | None) -> Response:
    wanted = desk.wanted("inbox.html")
    context: dict[str, Any] = {
        "rows": [], "groups": [], "cursor": None, "blank": None, "thread": None, "colleagues": [], "cut": False,
        "heading": desk.t.gettext("Inbox"),
    }  # fmt: skip
    shown = conversation_id if wanted in ("", "page", "thread") else None
    here = shown is not None and await conversation.is_here(desk, shown)
    async with desk.transaction() as tx:
        # Beside a list that is there already only the conversation is read.
        named = desk.request.query_params.get("view", DEFAULT.key)
        saved = [] if wanted == "thread" and named in BUILT_IN else await views.saved(tx, desk.agent)
        asked = _asked(desk, saved)
        context |= {"asked": asked, "place": asked.place, "sorts": _SORTS, "label": _label(desk.t, asked.view)}
        if wanted in ("", "page", "queue"):
            context |= await _list(tx, desk, asked, saved)
        if shown is not None:
            at = desk.request.query_params.get("at", "")
            context |= await conversation.context(tx, desk, shown, here, at=conversation.number(at))
            context["assist"] = await assist.beside(tx, desk, shown)
            context["marks"] = await _marks(tx, asked, shown) if at else []
    return desk.page("inbox.html", **context)


async def _marks(tx: Tx, asked: _Asked, shown: UUID) -> list[str]:
    """What was asked for, as it stands in the message that was found."""
    found = (await search.hits(tx, asked.view.filter.words, [shown])).get(shown)
    return sorted({piece.text for piece in found.pieces if piece.found}) if found else []


def _asked(desk: Desk, saved: Sequence[View]) -> _Asked:
    query = desk.request.query_params
    known = {**BUILT_IN, **{view.key: view for view in saved}}
    view = known.get(query.get("view", ""), DEFAULT)
    sort = Sort(query["sort"]) if query.get("sort") in set(Sort) else None
    if not (typed := query.get("q", "").strip()):
        return _Asked(view, {"view": view.key})
    place = {"q": typed, "sort": sort.value if sort else ""}
    try:
        return _Asked(View("", filters.parse(typed), sort or Sort.NEWEST), place, typed)
    except FilterError as error:
        said = [desk.t.gettext(part, **error.values) for part in (error.message, error.hint) if part]
        return _Asked(View("", Filter()), place, typed, " ".join(said))


def _label(t: Translator, view: View) -> str:
    if view.name:
        return view.name
    return t.gettext(_LABELS[view.key][1]) if view.key else t.gettext("Found")


async def _list(tx: Tx, desk: Desk, asked: _Asked, saved: Sequence[View]) -> dict[str, Any]:
    query = desk.request.query_params
    limit = max(views.PAGE, whole(query.get("rows", ""), _MAX_ROWS) or 0)
    reader = Reader(desk.agent.id, desk.t.timezone)
    page = views.Page([], None)
    if not asked.problem:
        page = await views.queue(
            tx, asked.view.filter, reader, sort=asked.view.sort, cursor=query.get("after"), limit=limit
        )
    counts = await views.counts(tx, [*(BUILT_IN[key] for key in _COUNTED), UNREAD_MENTIONS, *saved], reader)
    shops = await all_stores(tx)
    connected = any(store.status == "connected" for store in shops)
    names = {store.id: store.name for store in shops} if len(shops) > 1 else {}
    people = {row.conversation.customer_id for row in page.rows if row.conversation.customer_id is not None}
    open_things = await stakes.at_stake(tx, people)
    shown = [row.conversation.id for row in page.rows]
    tagged = await tags.of_conversations(tx, shown)
    hits = await search.hits(tx, asked.view.filter.words, shown)
    now = datetime.now(UTC)
    t = desk.t
    return {
        "rows": [
            _row(
                t,
                listed,
                now,
                names.get(_id(listed.conversation.store_id), ""),
                open_things.get(_id(listed.conversation.customer_id)),
                tagged.get(listed.conversation.id, ()),
                hits.get(listed.conversation.id),
            )
            for listed in page.rows
        ],
        "groups": _groups(t, desk, saved, counts),
        "colleagues": await team.colleagues(tx),
        "cursor": page.cursor,
        "cut": page.cut,
        "blank": await _meant(tx, asked, _blank(t, asked, connected)) if not shown else None,
    }


def _groups(t: Translator, desk: Desk, saved: Sequence[View], counts: dict[str, int]) -> list[tuple[str, list[Tab]]]:
    built = [Tab(key, t.gettext(label), sign, _count(t, counts.get(key, 0))) for key, (sign, label) in _LABELS.items()]
    may = desk.may("manage_team")
    kept = [
        Tab(
            view.key,
            view.name,
            "users-round" if view.shared else "bookmark",
            _count(t, counts.get(view.key, 0)),
            view.mine or (view.shared and may),
        )
        for view in saved
    ]
    groups = [("", built)]
    return [*groups, (t.gettext("Saved"), kept)] if kept else groups


async def save_view(desk: Desk) -> Response:
    """Keep the filter that is shown under a name."""
    form = await desk.request.form()
    sort = str(form.get("sort", ""))
    async with desk.transaction() as tx:
        view = await views.save(
            tx,
            desk.agent,
            str(form.get("name", "")),
            filters.parse(str(form.get("q", ""))),
            Sort(sort) if sort in set(Sort) else Sort.NEWEST,
            shared=form.get("shared") == "yes",
        )
    return desk.go("inbox", view=view.key)


async def forget_view(desk: Desk) -> Response:
    """Delete a saved list; the conversations in it stay."""
    async with desk.transaction() as tx:
        await views.forget(tx, desk.agent, desk.path_id())
    return desk.go("inbox")


async def change_many(desk: Desk) -> Response:
    """The same change to every chosen conversation; the answer is a toast that can take it back."""
    form = await desk.request.form()
    ids = [as_id(str(value)) for value in form.getlist("id")]
    if form.get("change") == "merge":
        return await threads.merge_many(desk, ids)
    t = desk.t
    async with desk.transaction() as tx:
        done = await bulk.apply(tx, ids, _change(desk, form), by=desk.agent)
    count = len(done.before)
    said = t.ngettext("%(count)s conversation changed.", "%(count)s conversations changed.", count, count=count)
    toast: dict[str, Any] = {"text": said if count else t.gettext("Nothing had to be changed.")}
    if count:
        toast |= {"action": desk.url(f"changes/{done.id}/undo"), "undo": t.gettext("Undo"), "values": {}}
    headers = {"hx-trigger": json.dumps({"ahlan:toast": toast, "ahlan:changed": {}})}
    return Response(status_code=204, headers={**desk.headers(), **headers})


def _change(desk: Desk, form: Any) -> Change:
    verb, _colon, value = str(form.get("change", "")).partition(":")
    value = value or str(form.get(verb, ""))
    if verb == Verb.STATUS and value in set(Status):
        until = conversation.moment_of(desk, str(form.get("until", ""))) if value == Status.SNOOZED else None
        return Change(Verb.STATUS, value, until)
    if verb == Verb.PRIORITY and value in {str(int(rank)) for rank in Priority}:
        return Change(Verb.PRIORITY, value)
    if verb in (Verb.ASSIGN, Verb.TAG, Verb.UNTAG):
        return Change(Verb(verb), value)
    raise AhlanError(_("That is not something that can be done."), code="change")


async def undo_many(desk: Desk) -> Response:
    """Take back one's last change to many."""
    async with desk.transaction() as tx:
        await bulk.undo(tx, desk.path_id(), by=desk.agent)
    return Response(status_code=204, headers={**desk.headers(), "hx-trigger": "ahlan:changed"})


def _id(found: UUID | None) -> UUID:
    return found or UUID(int=0)


def _row(
    t: Translator,
    listed: Listed,
    now: datetime,
    store: str,
    open_thing: OpenOrder | OpenCart | None,
    on: Sequence[str],
    hit: search.Hit | None,
) -> Row:
    talk = listed.conversation
    seconds = (now - talk.waiting_since).total_seconds() if talk.waiting_since else 0
    return Row(
        id=talk.id,
        key=str(talk.customer_id or talk.visitor_id or talk.id),
        name=conversation.called(
            t, listed.customer_name, listed.customer_email, listed.typed_name, listed.typed_email or talk.reply_email
        ),
        preview=talk.preview or t.gettext("No message yet"),
        ours=talk.preview_author == "agent",
        at=talk.last_message_at,
        unread=listed.unread,
        mentioned=listed.mentioned,
        waiting_since=talk.waiting_since,
        waiting_seconds=seconds,
        clock=conversation.clock_of(t, talk, now),
        snoozed_until=talk.snoozed_until,
        priority=words.PRIORITIES[Priority(talk.priority)][0] if talk.priority != Priority.NORMAL else "",
        tags=on,
        assignee=listed.assignee_name,
        store=store,
        channel=conversation.channel_of(t, talk.channel),
        stake=_stake(t, open_thing) if open_thing else None,
        hit=hit,
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


async def _meant(tx: Tx, asked: _Asked, blank: Blank) -> Blank:
    """With what may have been meant by words that find nothing."""
    said = asked.view.filter
    words = await search.meant(tx, said.words) if said.words and not asked.problem else ""
    return replace(blank, meant=str(replace(said, words=tuple(words.split()))), words=words) if words else blank


def _blank(t: Translator, asked: _Asked, connected: bool) -> Blank:
    _ = t.gettext
    if asked.problem:
        return Blank("list-filter", _("This filter cannot be read"), asked.problem)
    if not connected and asked.view is DEFAULT:
        text = _("Connect a store, and what its shoppers write arrives here.")
        return Blank("store", _("No store yet"), text, "stores")
    if asked.view.key == "breaching":
        return Blank("timer", _("Nothing is due soon"), _("What has to be answered within half an hour appears here."))
    if asked.view.key in ("open", "unassigned", "waiting"):
        return Blank("coffee", _("Everybody has an answer"), _("New messages appear here by themselves."))
    if asked.view.key == "mine":
        return Blank(
            "user-check",
            _("Nothing is yours"),
            _("Take a conversation with the key a, or answer one: it becomes yours."),
        )
    if asked.view.key == "mentions":
        return Blank(
            "at-sign", _("Nobody has mentioned you"), _("Notes that name you with @ bring their conversation here.")
        )
    if asked.view.key == "snoozed":
        return Blank("alarm-clock", _("Nothing is snoozed"), _("Put one off with the key s: it comes back by itself."))
    if asked.view.key == "pending":
        return Blank(
            "hourglass",
            _("You wait for nobody"),
            _("Conversations that need the customer's answer first stay here until it comes."),
        )
    if asked.view.key == "resolved":
        return Blank(
            "archive",
            _("Nothing resolved yet"),
            _("Resolved conversations stay here and open again by themselves when the customer writes."),
        )
    if asked.view.key == "spam":
        return Blank("ban", _("No spam"), _("What you mark as spam stays here and tells nobody when it goes on."))
    if asked.view.filter.words:
        text = _("Try fewer words, or the beginning of one. Names, e-mail addresses and order numbers are found too.")
        return Blank("search-x", _("Nothing found"), text)
    return Blank("list-filter", _("Nothing fits this filter"), _("Take a condition away, or look in another list."))
