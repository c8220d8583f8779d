"""Customers: everybody, searched in three scripts; and one person with everything we know and may know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from starlette.responses import Response

from admin_ui import words
from admin_ui.desk import Desk, as_id
from admin_ui.pages import consent, notes, person
from plugin import privacy, stores, team
from plugin.crm import consents, customers, identities, timeline
from plugin.crm.customers import Customer
from plugin.kernel.db import Tx
from plugin.privacy import access
from plugin.team import Permission

_PAGE = 50
_LOOKERS = 5


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the list."""

    id: UUID
    name: str
    email: str
    phone: str
    orders: int
    worth: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Moment:
    """Something on the timeline."""

    sign: str
    text: str
    at: datetime
    path: str


async def index(desk: Desk) -> Response:
    """The list; `q` searches name, e-mail, phone and order number, `after` continues."""
    query = desk.request.query_params.get("q", "").strip()[:200]
    async with desk.transaction() as tx:
        page = await customers.search(tx, query, desk.request.query_params.get("after") or None, _PAGE)
        meant = await customers.meant(tx, query) if query and not page.customers else ""
        connected = bool(page.customers) or any(
            store.status == stores.CONNECTED for store in await stores.all_stores(tx)
        )
    rows = [_row(desk, one) for one in page.customers]
    return desk.page(
        "customers.html",
        rows=rows,
        cursor=page.cursor,
        query=query,
        meant=meant,
        connected=connected,
        heading=desk.t.gettext("Customers"),
    )


def _row(desk: Desk, row: Customer) -> Row:
    worth = row.worth()
    return Row(
        id=row.id,
        name=row.name or row.email or row.phone or desk.t.gettext("Without a name"),
        email=row.email,
        phone=row.phone,
        orders=row.orders_count,
        worth=desk.t.format_money(worth[0]) if worth else "",
        at=row.last_activity_at,
    )


async def one(desk: Desk) -> Response:
    """One person: the same glance as beside a conversation, with the timeline; the look is logged."""
    async with desk.transaction() as tx:
        summary = await customers.summary(tx, desk.path_id())
        await privacy.log_access(tx, desk.agent, summary.customer.id, "customer")
        who = await person.of_customer(tx, desk.t, summary)
        who = replace(who, notes=await notes.of(tx, desk, summary.members))
        moments, before = await _moments(tx, desk, summary.customer.id, None)
        names = {store.id: store.name for store in await stores.all_stores(tx)}
        said = await consents.of_people(tx, summary.members)
        looked = await _looked(tx, desk, summary.members) if desk.may(Permission.MANAGE_PRIVACY) else ()
    merges = [
        {
            "id": merge.id,
            "name": _name(desk, summary.absorbed.get(merge.absorbed_id) or summary.absorbed.get(merge.survivor_id)),
            "reason": _reason(desk, merge.reason),
            "at": merge.created_at,
        }
        for merge in summary.merges
    ]
    profiles = [
        {"store": names.get(profile.store_id, ""), "name": f"{profile.first_name} {profile.last_name}".strip(),
         "email": profile.email, "phone": profile.phone, "tags": profile.tags,
         "since": profile.platform_created_at}
        for profile in summary.profiles
    ]  # fmt: skip
    return desk.page(
        "customer.html", person=who, moments=moments, before=before, merges=merges, profiles=profiles, heading=who.name,
        consent=consent.read(desk.t, said, names if len(names) > 1 else {}), looked=looked,
    )  # fmt: skip


async def _looked(tx: Tx, desk: Desk, members: Sequence[UUID]) -> Sequence[tuple[str, int]]:
    """Who of the team looked at this person, and how often, the most often first."""
    names = {one.id: one.name for one in await team.agents(tx)}
    times = await access.counts(tx, members)
    found = [(names.get(id, desk.t.gettext("Somebody")), count) for id, count in times.items()]
    return sorted(found, key=lambda one: (-one[1], one[0]))[:_LOOKERS]


def _reason(desk: Desk, reason: str) -> str:
    t = desk.t
    return {
        "agent": t.gettext("joined by the team"),
        "platform": t.gettext("joined in the store"),
        "email": t.gettext("same confirmed e-mail address"),
        "phone": t.gettext("same confirmed phone number"),
    }.get(reason, reason)


def _name(desk: Desk, row: Customer | None) -> str:
    return (row.name or row.email or row.phone) if row is not None else desk.t.gettext("Without a name")


async def _moments(tx: Tx, desk: Desk, customer_id: UUID, before: str | None) -> tuple[Sequence[Moment], str | None]:
    page = await timeline.page(tx, customer_id, before, _PAGE)
    shown = []
    for entry in page.events:
        path = f"inbox/{entry.subject_id}" if entry.kind.startswith(("conversation.", "note.")) else ""
        sign = words.SIGNS.get(entry.kind, "circle")
        shown.append(Moment(sign, timeline.words(entry, desk.t), entry.at, path))
    return shown, page.cursor


async def more(desk: Desk) -> Response:
    """The timeline further back."""
    async with desk.transaction() as tx:
        summary = await customers.summary(tx, desk.path_id(), orders_limit=1)
        await privacy.log_access(tx, desk.agent, summary.customer.id, "timeline")
        moments, before = await _moments(tx, desk, summary.customer.id, desk.request.query_params.get("before"))
        who = await person.of_customer(tx, desk.t, summary)
    return desk.page("customer.html", block="timeline_rows", person=who, moments=moments, before=before)


async def candidates(desk: Desk) -> Response:
    """Whom this person might be joined with."""
    query = desk.request.query_params.get("q", "").strip()[:200]
    me = desk.path_id()
    async with desk.transaction() as tx:
        await identities.head(tx, me)
        found = await customers.search(tx, query, None, 8) if query else None
    rows: list[Any] = [_row(desk, one) for one in found.customers if one.id != me] if found else []
    return desk.page("candidates.html", block="candidates", rows=rows, query=query, person_id=me)


async def merge(desk: Desk) -> Response:
    """Two profiles are one person. It can be taken back."""
    form = await desk.request.form()
    async with desk.transaction() as tx:
        await identities.merge(tx, desk.path_id(), as_id(str(form.get("other", ""))), reason="agent", actor=desk.actor)
        survivor = await identities.head(tx, desk.path_id())
    return desk.go(f"customers/{survivor}")


async def undo_merge(desk: Desk) -> Response:
    """They are two people after all."""
    form = await desk.request.form()
    async with desk.transaction() as tx:
        await identities.undo_merge(tx, as_id(str(form.get("merge", ""))), actor=desk.actor)
        survivor = await identities.head(tx, desk.path_id())
    return desk.go(f"customers/{survivor}")
