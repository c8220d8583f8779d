"""Whose order it is: the store's own word for who is signed in, or a code sent to the address on the order.

A guest's request is only written down; a job looks for the order afterwards. So whoever asks gets the same answer from
the same statements in the same time, whether there is such an order or not, and nothing about an order is shown before
the code. The code is made from the installation's root and the request's number whenever it is needed: it lies nowhere.
Times are the database's own: a web process whose clock is wrong lets nobody in and keeps nobody out.
"""

import hmac
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Index, delete, func, or_, select, text, update
from sqlalchemy.orm import Mapped, mapped_column

from plugin import stores
from plugin.app import App
from plugin.channel import Outbound
from plugin.conversations import mailboxes
from plugin.conversations.conversations import EMAIL, Shopper
from plugin.crm import orders
from plugin.crm.orders import Order, OrderView, number_of
from plugin.kernel.crypto import Vault
from plugin.kernel.db import Base, TenantRow, Tx, new_id, tenant_key
from plugin.kernel.errors import AhlanError, NotFound
from plugin.kernel.i18n import Translator
from plugin.kernel.lazy import _
from plugin.kernel.text import isolate, normalise, normalise_email, normalise_phone, search_key
from plugin.stores import Store

log = structlog.get_logger(__name__)

SMS = "sms"
"""The channel that a code goes out by where the order has a phone number and no e-mail address."""

CALL = "call"
"""The way of a request that nothing vouches for: an agent calls the number on the order (`calls`)."""

DIGITS = 6
CODE_LASTS = timedelta(minutes=15)
TRIES = 5
"""Guesses at one code."""
GRANT_LASTS = timedelta(hours=24)
"""How long a browser that gave the code may see the order."""
CODES_AN_HOUR = 5
CODES_A_DAY = 10
"""Codes for one order, whoever asks for them: with TRIES each, 50 guesses a day at one in a million."""

_KEPT = timedelta(days=7)
_LONGEST = 200
_ALIKE = 50
_LISTED = 30


class OrderProof(TenantRow, Base):
    """A guest asked for an order in one browser. `order_id` is found later, or never: then no code is the right one.

    `typed` is what they wrote, until it was looked for. `way`: where the code went, email or sms; empty: nowhere;
    call: there is none, and the row is `calls`' to write.
    """

    __tablename__ = "order_proofs"
    __table_args__ = (
        Index(None, "workspace_id", "visitor_id", "order_id"),
        Index(None, "workspace_id", "order_id", "created_at"),
        tenant_key("store_id", "stores"),
        tenant_key("visitor_id", "visitors"),
        tenant_key("order_id", "orders"),
    )

    store_id: Mapped[UUID]
    visitor_id: Mapped[UUID]
    order_id: Mapped[UUID | None]
    typed: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    locale: Mapped[str] = mapped_column(server_default="")
    way: Mapped[str] = mapped_column(server_default="")
    tries: Mapped[int] = mapped_column(server_default=text("0"))
    expires_at: Mapped[datetime]
    proved_at: Mapped[datetime | None]
    ends_at: Mapped[datetime | None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a guest typed, in one spelling: the order's number, and an e-mail address or a phone number."""

    number: str
    name: str
    email: str = ""
    phone: str = ""

    @property
    def contact(self) -> str:
        """What they say is theirs."""
        return self.email or self.phone


def read_number(number: str) -> str:
    """An order's number without what stands around it. Pure. Raises AhlanError for what can be none."""
    found = number_of(number.strip()) if len(number) <= _LONGEST else ""
    if not found:
        raise AhlanError(
            _("This is no order number."), _("It is in the e-mail that confirms the order."), code="order_number"
        )
    return found


def read(number: str, contact: str, country: str) -> Wanted:
    """What was typed, whatever its digits and signs are: `#١٠٠١`, `AR-1001`, ` 1001 `. Pure.

    `country` is the store's, for phone numbers without their own. Raises AhlanError for what can be no order number or
    no address: that says nothing about any order.
    """
    number, contact = number.strip(), contact.strip()
    found = read_number(number)
    name = search_key(number)
    if len(contact) <= _LONGEST:
        if email := normalise_email(contact):
            return Wanted(found, name, email=email)
        if "@" not in contact and (phone := normalise_phone(normalise(contact), country or None)):
            return Wanted(found, name, phone=phone)
    raise AhlanError(
        _("This is neither an e-mail address nor a phone number."),
        _("Write the one that was given with the order; a phone number best with its country code."),
        code="contact",
    )


def code_of(vault: Vault, proof_id: UUID) -> str:
    """The code of a request: the same whenever it is asked for, and nothing that anybody could compute or look up."""
    # 64 bits: which of a million codes it is leans to none of them by more than one in 10^13.
    number = int(vault.fingerprint("order code", proof_id.hex)[:16], 16)
    return f"{number % 10**DIGITS:0{DIGITS}}"


async def ask(tx: Tx, store: Store, visitor_id: UUID, wanted: Wanted, *, locale: str) -> UUID:
    """Have a code sent if there is such an order. Returns the request's number; nobody learns here whether there is."""
    proof_id = new_id()
    typed = {"number": wanted.number, "name": wanted.name, "email": wanted.email, "phone": wanted.phone}
    tx.add(
        OrderProof(
            id=proof_id,
            store_id=store.id,
            visitor_id=visitor_id,
            typed=typed,
            locale=locale,
            expires_at=func.now() + CODE_LASTS,
        )
    )
    await tx.flush()
    await tx.enqueue("send_order_code", unique=f"order-code:{proof_id}", proof_id=proof_id)
    return proof_id


async def check(vault: Vault, tx: Tx, proof_id: UUID, visitor_id: UUID, code: str) -> UUID | None:
    """The order that the code opens to this browser; None: wrong, used, too old, tried too often, or of no order.

    Counted before it is compared. The caller commits also when it is None: the count must stay.
    """
    row = (
        await tx.execute(
            update(OrderProof)
            .where(
                OrderProof.workspace_id == tx.workspace_id,
                OrderProof.id == proof_id,
                OrderProof.visitor_id == visitor_id,
                OrderProof.proved_at.is_(None),
                OrderProof.expires_at > func.now(),
                OrderProof.tries < TRIES,
            )
            .values(tries=OrderProof.tries + 1)
            .returning(OrderProof.order_id, OrderProof.store_id)
            .execution_options(synchronize_session=False)
        )
    ).one_or_none()
    given = "".join(filter(str.isdigit, normalise(code[:40])))
    right = hmac.compare_digest(code_of(vault, proof_id).encode(), given.encode())
    if row is None or row.order_id is None or not right:
        return None
    order = await tx.get(Order, row.order_id)
    if order is None:
        return None
    await open_order(tx, proof_id, order, actor=f"shopper:{visitor_id}")
    return order.id


async def open_order(tx: Tx, proof_id: UUID, order: Order, *, actor: str, way: str = "") -> None:
    """From now on, for GRANT_LASTS, the order is open to the browser of this request. `way` where it was no code."""
    await tx.execute(
        update(OrderProof)
        .where(OrderProof.workspace_id == tx.workspace_id, OrderProof.id == proof_id)
        .values(order_id=order.id, proved_at=func.now(), ends_at=func.now() + GRANT_LASTS)
        .execution_options(synchronize_session=False)
    )
    await tx.record(
        "order.proved",
        subject_id=order.id,
        store_id=order.store_id,
        customer_id=order.customer_id,
        actor=actor,
        data={"order": order.name, **({"way": way} if way else {})},
    )


def _theirs(tx: Tx, shopper: Shopper) -> list[Any]:
    """The orders that this very session may see: its account's, and those that were opened to its browser."""
    proven = select(OrderProof.order_id).where(*_opened(tx, shopper))
    mine: Any = Order.id.in_(proven)
    if shopper.customer_id is not None:
        mine = or_(mine, Order.customer_id == shopper.customer_id)
    return [
        Order.workspace_id == tx.workspace_id,
        Order.store_id == shopper.store_id,
        Order.deleted_at.is_(None),
        Order.erased_at.is_(None),
        mine,
    ]


async def way(tx: Tx, shopper: Shopper, order: Order) -> str:
    """How one of `theirs` is known to be theirs: by their `account`, by a `code` that was sent to its address, or by
    a `call` to its number.
    """
    if shopper.customer_id is not None and order.customer_id == shopper.customer_id:
        return "account"
    opened = await tx.scalar(
        select(OrderProof.way)
        .where(*_opened(tx, shopper), OrderProof.order_id == order.id)
        .order_by(OrderProof.proved_at.desc())
        .limit(1)
    )
    return CALL if opened == CALL else "code"


def _opened(tx: Tx, shopper: Shopper) -> list[Any]:
    """The requests that hold an order open to this browser now."""
    return [
        OrderProof.workspace_id == tx.workspace_id,
        OrderProof.visitor_id == shopper.visitor_id,
        OrderProof.proved_at.is_not(None),
        OrderProof.ends_at > func.now(),
    ]


async def theirs(tx: Tx, shopper: Shopper, limit: int = _LISTED) -> Collection[OrderView]:
    """The orders that are proven to be this shopper's, the latest first."""
    rows = await tx.scalars(
        select(Order).where(*_theirs(tx, shopper)).order_by(Order.placed_at.desc(), Order.id.desc()).limit(limit)
    )
    return await orders.views(tx, rows.all())


async def order_of(tx: Tx, shopper: Shopper, order_id: UUID) -> OrderView:
    """One of their orders. Raises NotFound for one that is not there, is another's, or whose proof has ended."""
    row = await tx.scalar(select(Order).where(Order.id == order_id, *_theirs(tx, shopper)))
    if row is None:
        raise NotFound(
            _("This order is not open in this browser."), _("Find it by its number once more."), code="order_unproven"
        )
    return (await orders.views(tx, [row]))[0]


# Finding the order and sending the code


async def send_order_code(app: App, workspace_id: UUID, *, proof_id: str) -> None:
    """Task: look for the order that was asked for, and send the code to the address on it. Sent twice, it is one code.

    Nothing is said to whoever asked: an order that is not there, or has no address, is silence.
    """
    async with app.db.transaction(workspace_id) as tx:
        row = await tx.get(OrderProof, UUID(proof_id), lock=True)
        over = row is None or row.expires_at <= await tx.scalar(select(func.clock_timestamp()))
        store = await stores.get(tx, row.store_id) if row is not None else None
        letter = None
        if row is not None and store is not None and not over:
            if row.typed:
                found = await _find(tx, store, row)
                row.order_id, row.typed = (found.id if found is not None else None), {}
                await tx.flush()
            letter = await _letter(app, tx, store, row)
        if letter is None:
            await tx.complete_job()
            return
    channel, message = letter
    await app.channels[channel].send(message)
    async with app.db.transaction(workspace_id) as tx:
        await tx.execute(
            update(OrderProof)
            .where(OrderProof.workspace_id == workspace_id, OrderProof.id == UUID(proof_id))
            .values(way=channel)
        )
        await forget(tx)
        await tx.complete_job()


async def forget(tx: Tx) -> None:
    """Delete the requests that ended a week ago."""
    await tx.execute(
        delete(OrderProof).where(OrderProof.workspace_id == tx.workspace_id, OrderProof.expires_at < func.now() - _KEPT)
    )


async def _find(tx: Tx, store: Store, row: OrderProof) -> Order | None:
    """The order that was meant; None also when it was asked for too often."""
    wanted = Wanted(**row.typed)
    alike = await tx.scalars(
        select(Order)
        .where(
            Order.workspace_id == tx.workspace_id,
            Order.store_id == store.id,
            Order.number == wanted.number,
            Order.number != "",
            Order.deleted_at.is_(None),
            Order.erased_at.is_(None),
        )
        .order_by(Order.placed_at.desc(), Order.id.desc())
        .limit(_ALIKE)
    )
    meant: list[Order] = [order for order in alike if matches(order, wanted, store.country)]
    # The very name first: "AR-1001" and "EN-1001" may stand beside each other.
    meant.sort(key=lambda order: search_key(order.name) != wanted.name)
    if not meant:
        return None
    await tx.get(Order, meant[0].id, lock=True)
    asked = [
        int(await tx.scalar(
            select(func.count()).select_from(OrderProof).where(
                OrderProof.workspace_id == tx.workspace_id,
                OrderProof.order_id == meant[0].id,
                OrderProof.way != CALL,
                OrderProof.created_at > func.now() - within,
            )
        ))
        for within in (timedelta(hours=1), timedelta(days=1))
    ]  # fmt: skip
    if asked[0] >= CODES_AN_HOUR or asked[1] >= CODES_A_DAY:
        log.info("order_codes_enough", order=str(meant[0].id))
        return None
    return meant[0]


def matches(order: Order, wanted: Wanted, country: str) -> bool:
    """Whether what was typed is the order's own address or number. Pure."""
    if wanted.email:
        return normalise_email(order.email) == wanted.email
    return wanted.phone in _phones(order, country)


def phone_of(order: Order, country: str) -> str | None:
    """The order's own number before its parcel's: that one may be a neighbour's. `country` is the store's. Pure."""
    own = normalise_phone(normalise(order.phone), country or None) if order.phone else None
    return own or next(iter(sorted(_phones(order, country))), None)


def _phones(order: Order, country: str) -> set[str]:
    address = order.shipping_address or {}
    home = str(address.get("country") or "") or country or None
    return {
        number
        for one in (order.phone, str(address.get("phone") or ""))
        if one and (number := normalise_phone(normalise(one), home))
    }


async def _letter(app: App, tx: Tx, store: Store, row: OrderProof) -> tuple[str, Outbound] | None:
    """The code on its way: to the address on the order and never to one that was typed."""
    order = await tx.get(Order, row.order_id) if row.order_id is not None else None
    if order is None or order.erased_at is not None or order.deleted_at is not None:
        return None
    words = app.catalogues.translator(row.locale or order.locale or store.locale)
    code = code_of(app.vault, row.id)
    email = normalise_email(order.email)
    if email:
        if not await mailboxes.can_send(app, tx, store.id):
            return None
        box = await mailboxes.of_store(tx, store.id)
        return EMAIL, Outbound(
            key=f"order-code.{row.id}",
            workspace_id=tx.workspace_id,
            recipient=email,
            subject=words.gettext("Your code for %(shop)s", shop=store.name),
            text=_plain(words, store, order, code),
            html=_html(words, store, order, code),
            sender_name=store.name,
            reply_to=(box.inbox if box is not None else "") or normalise_email(store.email) or "",
            account=await mailboxes.account(tx, app.vault, box),
        )
    sms = app.channels.get(SMS)
    to = phone_of(order, store.country)
    if sms is None or not sms.ready(None) or to is None:
        return None
    return SMS, Outbound(
        key=f"order-code.{row.id}",
        workspace_id=tx.workspace_id,
        recipient=to,
        subject="",
        text=words.gettext("%(code)s is your code for %(shop)s.", code=code, shop=store.name),
        html="",
        sender_name=store.name,
    )


def _said(words: Translator, store: Store, order: Order) -> tuple[str, str, str]:
    """Above the code, and below it."""
    return (
        words.gettext(
            "Somebody wants to see order %(order)s at %(shop)s. This code opens it:",
            order=isolate(order.name, "ltr"),
            shop=isolate(store.name),
        ),
        words.gettext("It is good for 15 minutes, once, and only in the browser that asked for it."),
        words.gettext("If that was not you, there is nothing to do: without the code nobody sees anything."),
    )


def _plain(words: Translator, store: Store, order: Order, code: str) -> str:
    why, lasts, otherwise = _said(words, store, order)
    return "\n\n".join([why, isolate(code, "ltr"), lasts, "-- ", otherwise]) + "\n"


def _html(words: Translator, store: Store, order: Order, code: str) -> str:
    why, lasts, otherwise = _said(words, store, order)
    return (
        f'<!doctype html><html lang="{words.locale}" dir="{words.direction}"><head><meta charset="utf-8"></head>'
        f'<body style="font:16px/1.6 system-ui,sans-serif;color:#1c1c1c;margin:24px"><p>{escape(why)}</p>'
        f'<p style="font-size:32px;font-weight:600;letter-spacing:4px"><bdi dir="ltr">{code}</bdi></p>'
        f'<p>{escape(lasts)}</p><p style="color:#5c5c5c;font-size:14px;margin-block-start:32px">'
        f"{escape(otherwise)}</p></body></html>"
    )
