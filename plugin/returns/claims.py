"""What a shopper tells about an order in words: something is wrong with it, or they can get no code.

Both become a message in the shopper's own conversation, tagged, so that the team finds them where it answers. What is
wrong is a claim besides: a record with the goods and the wish, which an agent settles beside the conversation.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Index, UniqueConstraint, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, mapped_column

from plugin.conversations import conversations as threads
from plugin.conversations import messages, tags, ties
from plugin.conversations.conversations import Conversation, Shopper
from plugin.crm.actions import FAILED, ActionRow
from plugin.crm.orders import Order, OrderView
from plugin.crm.tracking import COURSE, Standing, Step
from plugin.kernel.db import Base, TenantRow, Tx, new_id, tenant_key
from plugin.kernel.errors import AhlanError, Conflict
from plugin.kernel.i18n import Catalogues, Translator
from plugin.kernel.lazy import _
from plugin.kernel.personal import kept
from plugin.kernel.text import isolate
from plugin.platform import Duplicate, OrderAction, Refund, RefundLine
from plugin.returns import calls
from plugin.stores import Store
from plugin.team import Agent


class Claim(StrEnum):
    """What can be wrong with an order."""

    NOT_ARRIVED = "not_arrived"
    DAMAGED = "damaged"
    WRONG_ITEM = "wrong_item"
    MISSING_ITEM = "missing_item"
    OTHER = "other"


_NAMES = {
    Claim.NOT_ARRIVED: _("It has not arrived"),
    Claim.DAMAGED: _("Something arrived damaged"),
    Claim.WRONG_ITEM: _("A wrong item arrived"),
    Claim.MISSING_ITEM: _("An item is missing"),
    Claim.OTHER: _("Something else"),
}
_OF_GOODS = (Claim.DAMAGED, Claim.WRONG_ITEM, Claim.MISSING_ITEM)
PICTURED = (Claim.DAMAGED, Claim.WRONG_ITEM)
"""What is told with a photo."""


class Wish(StrEnum):
    """What the shopper would like for it."""

    REFUND = "refund"
    REPLACEMENT = "replacement"
    NONE = ""


_WISHED = {Wish.REFUND: _("I would like my money back."), Wish.REPLACEMENT: _("I would like it sent once more.")}
OPEN, SETTLED, DECLINED = "open", "settled", "declined"


class OrderClaim(TenantRow, Base):
    """Something is wrong with an order. `lines`: how many of which; `action_id` is what was done about it.

    A claim whose action failed is open again. No foreign keys on the conversation and on people: it outlives them.
    """

    __tablename__ = "order_claims"
    __table_args__ = (
        UniqueConstraint("workspace_id", "store_id", "client_id"),
        Index(None, "workspace_id", "order_id"),
        Index(None, "workspace_id", "conversation_id"),
        tenant_key("store_id", "stores"),
        tenant_key("order_id", "orders"),
        {
            "info": kept(
                "the merchant's books: what was wrong and what was given for it",
                blank=("said", "note"),
                plain=("kind", "wish", "state", "lines"),
            )
        },
    )

    store_id: Mapped[UUID]
    order_id: Mapped[UUID]
    conversation_id: Mapped[UUID | None]
    client_id: Mapped[UUID]
    kind: Mapped[str]
    wish: Mapped[str] = mapped_column(server_default="")
    state: Mapped[str] = mapped_column(server_default=OPEN)
    lines: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    said: Mapped[str] = mapped_column(server_default="")
    note: Mapped[str] = mapped_column(server_default="")
    action_id: Mapped[UUID | None]
    agent_id: Mapped[UUID | None]
    settled_at: Mapped[datetime | None]

    @property
    def goods(self) -> tuple[RefundLine, ...]:
        """What of the order it is about; empty: all of it."""
        return tuple(RefundLine(line, int(count)) for line, count in sorted(self.lines.items()))


def remedy(claim: OrderClaim, wish: Wish) -> OrderAction:
    """What settles a claim: the money of its goods, or the goods once more, free and at once. Pure."""
    if wish is Wish.REPLACEMENT:
        return Duplicate(free=True, lines=claim.goods, place=True)
    whole = not claim.goods
    return Refund(lines=claim.goods, shipping=whole, whole=whole, restock=False, reason=claim.kind)


async def of_conversation(tx: Tx, conversation_id: UUID) -> Sequence[OrderClaim]:
    """The claims that were made in a conversation and in those that were merged into it, the newest first."""
    rows = await tx.scalars(
        select(OrderClaim)
        .where(
            OrderClaim.workspace_id == tx.workspace_id,
            OrderClaim.conversation_id.in_(ties.family(tx, conversation_id)),
        )
        .order_by(OrderClaim.created_at.desc(), OrderClaim.id.desc())
        .limit(20)
    )
    return rows.all()


async def of_order(tx: Tx, order_id: UUID) -> Sequence[OrderClaim]:
    """The claims about an order, the newest first."""
    rows = await tx.scalars(
        select(OrderClaim)
        .where(OrderClaim.workspace_id == tx.workspace_id, OrderClaim.order_id == order_id)
        .order_by(OrderClaim.created_at.desc(), OrderClaim.id.desc())
        .limit(20)
    )
    return rows.all()


MOST_LISTED = 50
COUNT_LIMIT = 999


def _open() -> Any:
    """Claims that somebody has to settle: what the store refused settled nothing."""
    refused = (
        select(ActionRow.id)
        .where(ActionRow.workspace_id == OrderClaim.workspace_id, ActionRow.id == OrderClaim.action_id,
               ActionRow.state == FAILED)
        .exists()
    )  # fmt: skip
    return (OrderClaim.state == OPEN) | refused


async def listed(tx: Tx, *, every: bool = False, after: UUID | None = None) -> tuple[Sequence[OrderClaim], UUID | None]:
    """A page of the open claims, the oldest first; `every`: of all, the newest first. And where the next begins."""
    order = OrderClaim.id.desc() if every else OrderClaim.id
    asked = select(OrderClaim).where(OrderClaim.workspace_id == tx.workspace_id)
    if not every:
        asked = asked.where(_open())
    if after is not None:
        asked = asked.where(OrderClaim.id < after if every else OrderClaim.id > after)
    found = (await tx.scalars(asked.order_by(order).limit(MOST_LISTED + 1))).all()
    return found[:MOST_LISTED], found[MOST_LISTED - 1].id if len(found) > MOST_LISTED else None


async def count_open(tx: Tx) -> int:
    """How many wait for the team; counting stops at 999."""
    held = select(OrderClaim.id).where(OrderClaim.workspace_id == tx.workspace_id, _open()).limit(COUNT_LIMIT)
    return int(await tx.scalar(select(func.count()).select_from(held.subquery())) or 0)


async def open_one(tx: Tx, claim_id: UUID) -> OrderClaim:
    """A claim to settle, held. Raises Conflict when somebody settled it already."""
    claim = await tx.get(OrderClaim, claim_id, lock=True)
    action = await tx.get(ActionRow, claim.action_id) if claim is not None and claim.action_id else None
    # What the store refused settled nothing.
    waiting = claim is not None and (claim.state == OPEN or (action is not None and action.state == FAILED))
    if claim is None or not waiting:
        raise Conflict(_("This claim is settled already."), _("Look at what was done about it."))
    return claim


async def settle(tx: Tx, claim: OrderClaim, *, by: Agent, action: ActionRow | None, note: str = "") -> None:
    """It ends: with something that is done about it, or declined in words."""
    claim.state = SETTLED if action is not None else DECLINED
    claim.action_id = action.id if action is not None else None
    claim.agent_id, claim.settled_at, claim.note = by.id, datetime.now(UTC), note.strip()[:2000]
    await tx.record(
        "claim.settled" if action is not None else "claim.declined",
        subject_id=claim.order_id, store_id=claim.store_id, actor=by.actor,
        data={"claim": claim.kind, "how": action.kind if action is not None else ""},
    )  # fmt: skip
    if claim.conversation_id is not None:
        tx.publish(f"panel:conversation:{claim.conversation_id}", {"type": "assigned"})


def offered(standing: Standing) -> list[Claim]:
    """What can be wrong with an order that is so far. Pure."""
    if standing.cancelled or COURSE.index(standing.reached) < COURSE.index(Step.SHIPPED):
        return [Claim.OTHER]
    return list(Claim)


async def report(
    tx: Tx, shopper: Shopper, client_id: UUID, store: Store, view: OrderView, kind: Claim, lines: Mapping[str, int],
    said: str, photos: Sequence[UUID], *, words: Translator, catalogues: Catalogues, wish: Wish = Wish.NONE,
) -> None:  # fmt: skip
    """Say what is wrong with an order of theirs. The same `client_id` twice says it once.

    Raises AhlanError for lines that are not the order's, and where the items or a photo are missing.
    """
    known = {line.external_id: line for line in view.lines}
    for line_id, quantity in lines.items():
        if line_id not in known or not 1 <= quantity <= known[line_id].quantity:
            raise AhlanError(
                _("These items are not in this order."), _("Choose them from its list once more."), code="lines"
            )
    if kind in _OF_GOODS and not lines:
        raise AhlanError(_("Which item is it?"), _("Choose at least one."), code="nothing_chosen")
    if kind in PICTURED and not photos:
        raise AhlanError(_("A photo is needed for this."), _("Take one, then send it."), code="photo_needed")
    if kind is Claim.OTHER and not said.strip():
        raise AhlanError(_("What is it about?"), _("Write a few words."), code="words_needed")
    about = words.gettext(
        "Order %(order)s: %(what)s", order=isolate(view.order.name, "ltr"), what=words.gettext(_NAMES[kind])
    )
    goods = [f"{quantity} × {isolate(known[line_id].title)}" for line_id, quantity in sorted(lines.items())]
    wanted = words.gettext(_WISHED[wish]) if wish in _WISHED else ""
    whole = "\n".join(filter(None, (about, *goods, wanted, said.strip())))
    # One after the other: two that come at once see each other.
    await tx.get(Order, view.order.id, lock=True)
    await messages.receive(tx, shopper, client_id, whole, photos, request=True)
    await _tag(tx, shopper, catalogues.translator(store.locale).gettext("Claim"))
    if await _claimed_before(tx, view, kind, lines):
        return
    head = await threads.current(tx, shopper)
    added = await tx.scalar(
        insert(OrderClaim)
        .values(
            workspace_id=tx.workspace_id, id=new_id(), store_id=store.id, order_id=view.order.id,
            conversation_id=head.id if head is not None else None, client_id=client_id, kind=kind.value,
            wish=wish.value, lines=dict(lines), said=said.strip()[:2000],
        )
        .on_conflict_do_nothing()
        .returning(OrderClaim.id)
    )  # fmt: skip
    if added is not None:
        await tx.record(
            "claim.made", subject_id=view.order.id, store_id=store.id, customer_id=view.order.customer_id,
            actor=shopper.actor, data={"order": view.order.name, "claim": kind.value, "wish": wish.value},
        )  # fmt: skip


async def _claimed_before(tx: Tx, view: OrderView, kind: Claim, lines: Mapping[str, int]) -> bool:
    """Whether claims for all of it are there, open or settled: then it is a message, and nothing that one press gives.

    Of a line no more can be claimed than was bought, whatever is wrong with it.
    """
    rows = await tx.scalars(
        select(OrderClaim).where(
            OrderClaim.workspace_id == tx.workspace_id, OrderClaim.order_id == view.order.id,
            OrderClaim.state != DECLINED,
        )
    )  # fmt: skip
    known = rows.all()
    if not lines:
        return any(one.kind == kind and not one.lines for one in known)
    bought = {line.external_id: line.quantity for line in view.lines}
    claimed = Counter[str]()
    for one in known:
        claimed.update({line: int(count) for line, count in one.lines.items()})
    return any(claimed[line] + count > bought[line] for line, count in lines.items())


async def call_back(
    tx: Tx, shopper: Shopper, client_id: UUID, store: Store, *, number: str, phone: str, text: str, words: Translator,
    catalogues: Catalogues,
) -> None:  # fmt: skip
    """A request by somebody whom nothing vouches for: a person calls them before anything is shown or done.

    Raises AhlanError without a phone number, without words, and for what can be no order number.
    """
    if not phone:
        raise AhlanError(_("This is no phone number."), _("Write it with its country code."), code="phone")
    if not text.strip():
        raise AhlanError(_("What is it about?"), _("Write a few words."), code="words_needed")
    asked = words.gettext(
        "Order %(order)s, not verified. Please call %(phone)s.",
        order=isolate(number.strip()[:60]),
        phone=isolate(phone, "ltr"),
    )
    said = await messages.receive(tx, shopper, client_id, f"{asked}\n{text.strip()}", request=True)
    await _tag(tx, shopper, catalogues.translator(store.locale).gettext(calls.TAG))
    await calls.ask(tx, shopper, UUID(said["id"]), number, locale=words.locale)


async def _tag(tx: Tx, shopper: Shopper, name: str) -> None:
    head = await threads.current(tx, shopper)
    talk = await tx.get(Conversation, head.id) if head is not None else None
    if talk is not None:
        # A conversation that is full of tags is found by them already.
        with suppress(AhlanError):
            await tags.put(tx, talk, name, by=None)
