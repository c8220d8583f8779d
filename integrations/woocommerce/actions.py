"""Acting on an order at WooCommerce: what would happen, doing it, and finding out whether it was done.

WooCommerce knows no idempotency keys. What we make carries ours in its metadata, so that a lost answer is looked for
and never sent again blindly: a gateway refunds while the request still runs, and may go on after we stopped waiting.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from integrations.woocommerce import edits, gateways, mapping, refund_mapping, return_mapping
from integrations.woocommerce.client import StoreClient
from plugin.kernel.money import Money, exponent_of, parse
from plugin.platform import (
    Annotate,
    Bought,
    Cancel,
    Change,
    Connection,
    Discount,
    Done,
    Duplicate,
    EndDiscount,
    OrderAction,
    PlatformError,
    Quote,
    QuotedLine,
    Readdress,
    Record,
    Refund,
    still_open,
)

MARK: Final = "_ahlan_action"
"""Metadata under which our key stands at what we made."""
_REFUNDS = "refunds"
_UNPAID: Final = frozenset({"pending", "on-hold", "failed", "cancelled", "checkout-draft"})
_REFUSALS: Final[Mapping[str, str]] = {
    "cancelled": "cancelled_already",
    "refunded": "refunded_already",
    **dict.fromkeys(mapping.SENT, "sent_already"),
}
EXPLAINED: Final = (500,)
"""A refund that WooCommerce refuses is a 500 with words (B27)."""


class OrderDesk:
    """The part of the port that acts on orders. Orders have no tags here, so `Retag` is not among the actions."""

    actions = frozenset({Refund, Cancel, Readdress, Annotate, Discount, EndDiscount, Duplicate, Change})

    async def _client(self, connection: Connection) -> StoreClient:
        raise NotImplementedError

    async def quote(self, connection: Connection, order: str, action: OrderAction) -> Quote:
        """See the port."""
        client = await self._client(connection)
        held = await order_of(client, order)
        if isinstance(action, Refund):
            return await _quote_refund(client, held, action)
        if isinstance(action, Cancel):
            return await _quote_cancel(client, held, action)
        if isinstance(action, Change):
            gateway, automatic = await gateway_of(client, held)
            return await edits.quote(client, held, action, gateway=gateway, automatic=automatic)
        return _QUOTES[type(action)](held, action)

    async def act(self, connection: Connection, order: str, action: OrderAction, quote: Quote, key: str) -> Done:
        """See the port."""
        return await _ACTS[type(action)](await self._client(connection), order, action, quote, key)

    async def settle(
        self, connection: Connection, order: str, action: OrderAction, quote: Quote, key: str
    ) -> Done | None:
        """See the port: money is only looked for; what does no harm when it is there twice is sent again."""
        try:
            return await self._settle(connection, order, action, quote, key)
        except PlatformError as error:
            raise still_open(error) from error

    async def _settle(
        self, connection: Connection, order: str, action: OrderAction, quote: Quote, key: str
    ) -> Done | None:
        client = await self._client(connection)
        if isinstance(action, Refund):
            return await _refund_made(client, order, quote, key)
        if isinstance(action, Cancel):
            if quote.plan and await _refund_made(client, order, quote, key) is None:
                return None
            return await _called_off(client, order, quote)
        if isinstance(action, Change):
            return await edits.settle(client, await order_of(client, order), action, quote, key)
        if isinstance(action, Annotate):
            notes = (await client.get(f"orders/{int(order)}/notes", type="internal")).body
            if any(str(note.get("note")) == action.text for note in notes):
                return Done(order)
        if isinstance(action, Discount):
            found = (await client.get("coupons", code=action.code)).body
            if found:
                return Done(str(found[0]["id"]), action.code)
        if isinstance(action, Duplicate):
            made = await _marked_order(client, quote, key)
            return await _invoice(client, action, made) if made else None
        return await self.act(connection, order, action, quote, key)

    async def read_order(self, connection: Connection, order: str) -> Sequence[Record]:
        """The order as it is now."""
        client = await self._client(connection)
        return mapping.record_of("order", await order_of(client, order), currency=connection.currency)

    def buy_link(self, connection: Connection, goods: Sequence[Bought]) -> str:
        """WooCommerce's checkout link, since 10.0 (developer.woocommerce.com, Shareable Checkout URLs)."""
        items = ",".join(f"{int(one.variant_external_id)}:{one.quantity}" for one in goods)
        return f"{connection.url.rstrip('/')}/checkout-link/?products={items}" if items else ""

    async def pay_link(self, connection: Connection, order: str, made: str = "") -> str:
        """The order's own payment page, while it waits for its money."""
        found = await order_of(await self._client(connection), made or order)
        return str(found.get("payment_url") or "") if found.get("needs_payment") else ""


async def order_of(client: StoreClient, order: str) -> Mapping[str, Any]:
    """The order as it is now."""
    found: Mapping[str, Any] = (await client.get(f"orders/{int(order)}")).body
    return found


async def refunds_of(client: StoreClient, order: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The refunds of an order with their lines, which the order itself does not tell."""
    if not order.get(_REFUNDS):
        return []
    return list((await client.get(f"orders/{int(order['id'])}/refunds", per_page=100)).body)


# Refund


async def _quote_refund(client: StoreClient, order: Mapping[str, Any], action: Refund) -> Quote:
    refunds = await refunds_of(client, order)
    currency, decimals = str(order["currency"]), refund_mapping.places(order)
    parts = refund_mapping.parts_of(order, refunds)
    try:
        quantities = {int(line.line_external_id): line.quantity for line in action.lines}
        planned = refund_mapping.plan(
            order, refunds, quantities=quantities, shipping=action.shipping, whole=action.whole
        )
    except ValueError as error:
        raise PlatformError("somebody refunded part of this order meanwhile", retry=False, code="changed") from error
    gateway, automatic = await gateway_of(client, order)
    taken = {back.part.id: back for back in planned.parts}

    def money(amount: int) -> Money:
        return return_mapping.money_of(amount, decimals, currency)

    lines = tuple(
        QuotedLine(
            str(part.id), part.title, part.left, taken[part.id].quantity if part.id in taken else 0,
            money(taken[part.id].value) if part.id in taken else None,
        )
        for part in parts
        if part.kind == refund_mapping.ITEM
    )  # fmt: skip
    refusal = "not_paid" if _unpaid(order) else "nothing_left" if planned.amount <= 0 else ""
    return Quote(
        amount=money(planned.amount),
        most=money(planned.left),
        shipping=money(sum(part.value_left for part in parts if part.kind == refund_mapping.SHIPPING)),
        tax=money(sum(sum(back.taxes.values()) for back in planned.parts)),
        lines=lines,
        gateway=gateway,
        by_hand=not automatic,
        refusal=refusal,
        notes=("store_mails",),
        before={_REFUNDS: [int(one["id"]) for one in refunds]},
        plan={**refund_mapping.body(planned, decimals), "api_refund": automatic, "api_restock": action.restock},
    )


def _unpaid(order: Mapping[str, Any]) -> bool:
    return str(order["status"]) in _UNPAID and not order.get("date_paid_gmt")


async def gateway_of(client: StoreClient, order: Mapping[str, Any]) -> tuple[str, bool]:
    """How it was paid, and whether the gateway gives money back by itself; one that does not refuses (B27)."""
    name = str(order.get("payment_method") or "")
    title = str(order.get("payment_method_title") or name)
    if not name:
        return title, False
    known = (await client.get("payment_gateways", _fields="id,title,method_supports")).body
    found: Mapping[str, Any] = next((one for one in known if one.get("id") == name), {})
    # Paid by card at the door or by transfer there is no transaction to reverse.
    return title, "refunds" in (found.get("method_supports") or ())


async def _refund(client: StoreClient, order: str, action: OrderAction, quote: Quote, key: str) -> Done:
    assert isinstance(action, Refund)
    return await _give_back(client, order, quote, key, action.reason)


async def _give_back(client: StoreClient, order: str, quote: Quote, key: str, reason: str) -> Done:
    # WooCommerce would take the same line twice, as long as the order's total is not passed.
    now = {int(one["id"]) for one in (await order_of(client, order)).get(_REFUNDS) or ()}
    if now != set(quote.before.get(_REFUNDS) or ()):
        raise PlatformError("somebody refunded part of this order meanwhile", retry=False, code="changed")
    told = {**quote.plan, "reason": reason, "meta_data": [{"key": MARK, "value": key}]}
    with gateways.asked():
        made = (await client.post(f"orders/{int(order)}/refunds", told, said=EXPLAINED)).body
    return _refund_done(made, quote)


async def _refund_made(client: StoreClient, order: str, quote: Quote, key: str) -> Done | None:
    """The refund that we sent, if it is there: by our mark, else by its amount among those that came since.

    WooCommerce writes metadata last, so a request that died half-way leaves a refund without our mark; taking somebody
    else's of the same amount for ours only keeps money from moving twice. Raises PlatformError (`gateway_unknown`) for
    one that is there without a word about its money.
    """
    known = set(quote.before.get(_REFUNDS) or ())
    wanted = str(quote.plan.get("amount") or "")
    found = (await client.get(f"orders/{int(order)}/refunds", per_page=100)).body
    marked = (
        one
        for one in found
        if any(meta.get("key") == MARK and meta.get("value") == key for meta in one.get("meta_data") or ())
    )
    same = (one for one in found if int(one["id"]) not in known and str(one["amount"]) == wanted)
    ours = next(marked, None) or next(same, None)
    if ours is None:
        return None
    gateways.vouched(ours, automatic=bool(quote.plan.get("api_refund")))
    return _refund_done(ours, quote)


def _refund_done(made: Mapping[str, Any], quote: Quote) -> Done:
    like = quote.amount
    amount = parse(str(made["amount"]), like.currency, like.exponent)[0] if like else None
    return Done(str(made["id"]), amount=amount)


# Cancel


async def _quote_cancel(client: StoreClient, order: Mapping[str, Any], action: Cancel) -> Quote:
    refusal = _REFUSALS.get(str(order["status"]), "")
    # A cancelled order gives its goods back to the shelf by itself, and that cannot be asked otherwise.
    notes = ("store_mails",) if action.restock else ("store_mails", "restocks_anyway")
    # What was never paid has nothing to give back.
    if not action.refund or refusal or _unpaid(order) or not order.get("date_paid_gmt"):
        return Quote(refusal=refusal, notes=notes)
    back = await _quote_refund(client, order, Refund(whole=True, restock=action.restock))
    if back.amount is None or not back.amount.amount:
        return Quote(refusal=refusal, notes=notes)
    return Quote(
        amount=back.amount, gateway=back.gateway, by_hand=back.by_hand, notes=notes, before=back.before, plan=back.plan
    )


async def _cancel(client: StoreClient, order: str, action: OrderAction, quote: Quote, key: str) -> Done:
    assert isinstance(action, Cancel)
    if quote.plan:
        await _give_back(client, order, quote, key, action.note)
    return await _called_off(client, order, quote)


async def _called_off(client: StoreClient, order: str, quote: Quote) -> Done:
    try:
        await client.put(f"orders/{int(order)}", {"status": "cancelled"})
    except PlatformError as error:
        if not quote.plan:
            raise
        # The money went back already: what is left is repeated, and done twice it is the same.
        raise PlatformError(error.said, retry=True, after=5, code=error.code, lost=True) from error
    return Done(order, amount=quote.amount)


# The others


async def _readdress(client: StoreClient, order: str, action: OrderAction, quote: Quote, key: str) -> Done:
    assert isinstance(action, Readdress)
    address = {
        "first_name": action.first_name, "last_name": action.last_name, "company": action.company,
        "address_1": action.line1, "address_2": action.line2, "city": action.city, "state": action.province,
        "postcode": action.postcode, "country": action.country.upper(), "phone": action.phone,
    }  # fmt: skip
    await client.put(f"orders/{int(order)}", {"shipping": address})
    return Done(order)


async def _annotate(client: StoreClient, order: str, action: OrderAction, quote: Quote, key: str) -> Done:
    assert isinstance(action, Annotate)
    told = {"note": action.text, "customer_note": False, "added_by_user": True}
    made = (await client.post(f"orders/{int(order)}/notes", told)).body
    return Done(str(made["id"]))


async def _discount(client: StoreClient, order: str, action: OrderAction, quote: Quote, key: str) -> Done:
    assert isinstance(action, Discount)
    made = (await client.post("coupons", dict(quote.plan))).body
    return Done(str(made["id"]), action.code)


async def _end_discount(client: StoreClient, order: str, action: OrderAction, quote: Quote, key: str) -> Done:
    assert isinstance(action, EndDiscount)
    try:
        await client.delete(f"coupons/{int(action.discount_external_id)}", force=True)
    except PlatformError as error:
        # Gone is what was wanted.
        if "invalid_id" not in error.code:
            raise
    return Done(action.discount_external_id, action.code)


async def _change(client: StoreClient, order: str, action: OrderAction, quote: Quote, key: str) -> Done:
    assert isinstance(action, Change)
    return await edits.carry_out(client, await order_of(client, order), action, quote, key)


async def _duplicate(client: StoreClient, order: str, action: OrderAction, quote: Quote, key: str) -> Done:
    assert isinstance(action, Duplicate)
    # What is given for free has nobody to wait for.
    status = "processing" if action.place and action.free else "pending"
    told = {**quote.plan, "status": status, "meta_data": [{"key": MARK, "value": key}]}
    return await _invoice(client, action, (await client.post("orders", told)).body)


async def _invoice(client: StoreClient, action: Duplicate, made: Mapping[str, Any]) -> Done:
    """The order that waits for its money, and by wish WooCommerce's own mail with the link to pay (since 9.8)."""
    detail = ""
    if action.invoice:
        try:
            await client.post(f"orders/{int(made['id'])}/actions/send_email", {"template_id": "customer_invoice"})
        except PlatformError as error:
            # The order is there all the same: its link can be handed over in the conversation.
            detail = error.said
    total = parse(str(made["total"]), str(made["currency"]), refund_mapping.places(made))[0]
    return Done(str(made["id"]), f"#{made.get('number') or made['id']}", total, detail)


async def _marked_order(client: StoreClient, quote: Quote, key: str) -> Mapping[str, Any] | None:
    latest = {"per_page": 20, "orderby": "date", "order": "desc"}
    rows = (await client.get("orders", **latest, search=quote.before.get("email") or None)).body
    for row in rows:
        if any(meta.get("key") == MARK and meta.get("value") == key for meta in row.get("meta_data") or ()):
            found: Mapping[str, Any] = row
            return found
    return None


# Quotes of the others


def _readdress_quote(order: Mapping[str, Any], action: OrderAction) -> Quote:
    held = order.get("shipping") or {}
    before = asdict(
        Readdress(
            first_name=_word(held, "first_name"), last_name=_word(held, "last_name"), company=_word(held, "company"),
            line1=_word(held, "address_1"), line2=_word(held, "address_2"), city=_word(held, "city"),
            province=_word(held, "state"), postcode=_word(held, "postcode"), country=_word(held, "country"),
            phone=_word(held, "phone"),
        )
    )  # fmt: skip
    return Quote(refusal=_REFUSALS.get(str(order["status"]), ""), before=before)


def _plain_quote(order: Mapping[str, Any], action: OrderAction) -> Quote:
    return Quote()


def _discount_quote(order: Mapping[str, Any], action: OrderAction) -> Quote:
    """The coupon as it will be made: for the address of the order, and good once."""
    assert isinstance(action, Discount)
    currency, decimals = str(order["currency"]), refund_mapping.places(order)
    exponent = max(exponent_of(currency), decimals)
    amount = Money(action.amount, currency.upper(), exponent) if action.amount else None
    email = _word(order.get("billing") or {}, "email")
    plan = {
        "code": action.code,
        "discount_type": "fixed_cart" if amount else "percent",
        "amount": str(amount.decimal()) if amount else str(action.percent),
        "usage_limit": 1,
        "usage_limit_per_user": 1,
        "email_restrictions": [email] if email else [],
        "date_expires_gmt": f"{datetime.now(UTC) + timedelta(days=action.days):%Y-%m-%dT%H:%M:%S}",
    }
    return Quote(amount=amount, plan=plan, before={"personal": bool(email)})


def _duplicate_quote(order: Mapping[str, Any], action: OrderAction) -> Quote:
    assert isinstance(action, Duplicate)
    lines, wanted = [], []
    some = {line.line_external_id: line.quantity for line in action.lines}
    for line in order.get("line_items") or ():
        count = int(line.get("quantity") or 0)
        if some:
            count = min(count, some.get(str(line["id"]), 0))
        if count <= 0 or not line.get("product_id"):
            continue
        lines.append(QuotedLine(str(line["id"]), _word(line, "name"), count, count))
        one = {"product_id": line["product_id"], "variation_id": line.get("variation_id") or 0, "quantity": count}
        wanted.append({**one, "subtotal": "0", "total": "0"} if action.free else one)
    email = _word(order.get("billing") or {}, "email")
    plan = {
        "line_items": wanted,
        "billing": dict(order.get("billing") or {}),
        "shipping": dict(order.get("shipping") or {}),
        "customer_id": int(order.get("customer_id") or 0),
    }
    refusal = "" if wanted else "nothing_left"
    if action.invoice and not email:
        refusal = "no_email"
    return Quote(lines=tuple(lines), refusal=refusal, before={"email": email}, plan=plan)


def _word(document: Mapping[str, Any], name: str) -> str:
    return str(document.get(name) or "")


_QUOTES: Final[Mapping[type[OrderAction], Callable[[Mapping[str, Any], OrderAction], Quote]]] = {
    Readdress: _readdress_quote,
    Annotate: _plain_quote,
    Discount: _discount_quote,
    EndDiscount: _plain_quote,
    Duplicate: _duplicate_quote,
}
_Act = Callable[[StoreClient, str, OrderAction, Quote, str], Awaitable[Done]]
_ACTS: Final[Mapping[type[OrderAction], _Act]] = {
    Refund: _refund,
    Cancel: _cancel,
    Readdress: _readdress,
    Annotate: _annotate,
    Discount: _discount,
    EndDiscount: _end_discount,
    Duplicate: _duplicate,
    Change: _change,
}
