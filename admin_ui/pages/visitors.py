"""Who is in the shops now: where they are, what is in their cart, and the way to write to them first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from starlette.responses import Response

from admin_ui.desk import Desk, as_id, nothing_here
from admin_ui.pages.conversation import called
from admin_ui.pages.person import CartCard, card_of_cart
from admin_ui.store_choice import of_path
from admin_ui.whereabouts import Where, where
from plugin import stores
from plugin.conversations import first_word, visits
from plugin.conversations.conversations import Status
from plugin.conversations.first_word import Talk
from plugin.conversations.visits import Following, Rules, Visit
from plugin.crm import carts, customers
from plugin.crm.carts import Cart
from plugin.crm.customers import Customer
from plugin.kernel.db import Tx
from plugin.kernel.digits import whole
from plugin.kernel.errors import AhlanError
from plugin.stores import Store
from plugin.team import Permission, audit

_MOST_SEQ = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Row:
    """Somebody who is here. `seen` is the last message between us that the list knows of."""

    key: str
    store_id: UUID
    name: str
    customer_id: UUID | None
    times: int
    pages: int
    where: Where
    cart: CartCard | None
    began: datetime
    at: datetime
    store: str
    talk_id: UUID | None
    under_way: bool
    seen: int
    may_write: bool
    hush: bool


async def index(desk: Desk) -> Response:
    """Everybody who is here, whoever moved last first."""
    found = await visits.here(desk.app.hub, desk.workspace_id)
    async with desk.transaction() as tx:
        shops = [store for store in await stores.all_stores(tx) if store.status == stores.CONNECTED]
        rows = await _rows(tx, desk, shops, found[: visits.MOST])
    return desk.page(
        "visitors.html",
        rows=rows,
        count=len(found),
        connected=bool(shops),
        # One sentence for the loosest of them: what is not shown, and why.
        following=_loosest([visits.rules(store).following for store in shops]),
        several=len(shops) > 1,
        heading=desk.t.gettext("Visitors"),
    )


def _loosest(found: Sequence[Following]) -> Following:
    return next((one for one in reversed(visits.FOLLOWING) if one in found), "off")


async def _rows(tx: Tx, desk: Desk, shops: Sequence[Store], found: Sequence[Visit]) -> list[Row]:
    by_id = {store.id: store for store in shops}
    shown = [visit for visit in found if visit.store_id in by_id]
    talks = await first_word.talks(tx, [visit.key for visit in shown])
    people = await customers.named(
        tx, [talk.visitor.customer_id for talk in talks.values() if talk.visitor.customer_id is not None]
    )
    held = await carts.of_tokens(tx, {(visit.store_id, visit.cart) for visit in shown if visit.cart})
    return [
        _row(desk, visit, talks.get(visit.key), people, held.get((visit.store_id, visit.cart)), by_id[visit.store_id])
        for visit in shown
    ]


def _row(
    desk: Desk, visit: Visit, talk: Talk | None, people: Mapping[UUID, Customer], cart: Cart | None, store: Store
) -> Row:
    t, rules = desk.t, visits.rules(store)
    customer_id = talk.visitor.customer_id if talk is not None else None
    person = people.get(customer_id) if customer_id is not None else None
    typed = (talk.visitor.typed_name, talk.visitor.typed_email) if talk is not None else ("", "")
    under_way = talk is not None and talk.status not in (None, Status.RESOLVED)
    return Row(
        key=visit.key,
        store_id=visit.store_id,
        name=called(t, person.name if person else "", person.email if person else "", *typed),
        customer_id=person.id if person is not None else None,
        times=visit.times,
        pages=visit.pages,
        where=where(t, first_word.page_of(visit)),
        cart=card_of_cart(t, cart) if cart is not None else None,
        began=datetime.fromtimestamp(visit.began, UTC),
        at=datetime.fromtimestamp(visit.at, UTC),
        store=store.name,
        talk_id=talk.conversation_id if talk is not None else None,
        under_way=under_way,
        seen=talk.last_seq if talk is not None else 0,
        may_write=rules.first_word and not visit.hush and not under_way and desk.agent.may(Permission.REPLY),
        hush=visit.hush,
    )


async def look(desk: Desk) -> Response:
    """Somebody who is here, and the field to write to them."""
    visit = await _visit(desk)
    return await _asked(desk, visit, block="writing" if visit is not None else "gone")


async def write(desk: Desk) -> Response:
    """Write first. Somebody who left meanwhile gets nothing, and the words stay with the agent."""
    form = await desk.request.form()
    words, seen = str(form.get("text", "")), whole(str(form.get("seen", "0")), _MOST_SEQ) or 0
    client_id = as_id(str(form.get("client_id", "")))
    visit = await _visit(desk)
    try:
        async with desk.transaction() as tx:
            store = await of_path(tx, desk, "store")
            await stores.standing_still(tx, store.id)
            talk_id, _new = await first_word.write(tx, store, visit, desk.agent, client_id, words, seen=seen)
    except AhlanError as error:
        said = (desk.t.gettext(error.message), desk.t.gettext(error.hint) if error.hint else "")
        return await _asked(desk, visit, block="writing", words=words, client_id=client_id, said=said)
    answer = desk.go(f"inbox/{talk_id}")
    # The dialog stands above every page: it is told that we go.
    answer.headers["hx-trigger"] = "ahlan:went"
    return answer


async def _asked(
    desk: Desk,
    visit: Visit | None,
    *,
    block: str,
    words: str = "",
    client_id: UUID | None = None,
    said: tuple[str, str] | None = None,
) -> Response:
    async with desk.transaction() as tx:
        store = await of_path(tx, desk, "store")
        rows = await _rows(tx, desk, [store], [visit] if visit is not None else [])
    return desk.page(
        "visitor.html",
        block=block,
        row=rows[0] if rows else None,
        address=desk.url(f"visitors/{store.id}/{desk.request.path_params['key']}"),
        words=words,
        client_id=client_id or uuid4(),
        said=said,
    )


async def _visit(desk: Desk) -> Visit | None:
    key = str(desk.request.path_params["key"])
    if len(key) != 64 or set(key) - set("0123456789abcdef"):
        raise nothing_here()
    return await visits.find(desk.app.hub, desk.workspace_id, desk.path_id("store"), key)


def _chosen(form: Mapping[str, Any], before: Rules) -> Rules:
    following, days = str(form.get("following", "")), whole(str(form.get("days", "")), 999)
    return Rules(
        next((one for one in visits.FOLLOWING if one == following), before.following),
        "first_word" in form,
        days if days in visits.DAYS else before.days,
    )


async def save(desk: Desk) -> Response:
    """How one store looks at its visitors. The store is told, so that its pages ask for nothing they may not."""
    form = await desk.request.form()
    async with desk.transaction() as tx:
        store = await tx.get(Store, desk.path_id(), lock=True)
        if store is None:
            raise nothing_here()
        before = visits.rules(store)
        rules = _chosen(form, before)
        if changes := audit.changed(asdict(before), asdict(rules)):
            store.widget = {**store.widget, "visits": asdict(rules)}
            audit.note(tx, "settings.visits", by=desk.agent.id, changes={"store": [None, store.name], **changes})
            await tx.record("store.widget_changed", subject_id=store.id, store_id=store.id, actor=desk.actor)
            await tx.enqueue("check_store", unique=f"check-now:{store.id}", store_id=store.id)
    return desk.go("settings", saved=f"visits-{store.id}")
