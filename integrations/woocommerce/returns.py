"""Returns at WooCommerce, which has none of its own: order notes, metadata, a status, and refunds that move money once.

A refund moves its money inside the call, and knows no key (platforms.md B27). Its reason carries our mark and is
written before the gateway is asked, so after any unknown outcome the order's refunds are listed: ours is there, or it
is not, or it is there and the gateway's part is not known. Nothing is sent a second time; a person decides.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from integrations.woocommerce import exchanges, gateways, mapping, refund_mapping, return_mapping
from integrations.woocommerce.actions import EXPLAINED, MARK, gateway_of, order_of, refunds_of
from integrations.woocommerce.client import StoreClient
from integrations.woocommerce.return_mapping import Held
from plugin.kernel.money import Money, parse
from plugin.platform import Connection, Done, PlatformError, Record, still_open
from plugin.return_desk import (
    DecideReturn,
    Ending,
    EndReturn,
    LabelReturn,
    OpenReturn,
    PayReturn,
    ReceiveReturn,
    ReturnableOrder,
    ReturnAction,
    ReturnPart,
    ReturnQuote,
    SendInstead,
    mark,
    marked,
)

_LINES, _AMOUNT, _KNOWN, _BY_GATEWAY, _CREDIT, _UNITS, _RESTOCK, _EMAIL, _COUPON, _OWN = (
    "line_items", "amount", "known", "api_refund", "credit", "units", "api_restock", "email", "coupon", "own",
)  # fmt: skip
_STATUSES: Final[Mapping[Ending, str]] = {
    Ending.CLOSE: "closed", Ending.CANCEL: "cancelled", Ending.REOPEN: "open",
}  # fmt: skip


class ReturnDesk:
    """The part of the port that returns goods. WooCommerce itself knows refunds alone; the rest is written down."""

    returns: frozenset[type[ReturnAction]] = frozenset({PayReturn, SendInstead})

    async def returnable(self, connection: Connection, order: str) -> ReturnableOrder | None:
        """See the port."""
        client = await self._client(connection)
        try:
            held = await order_of(client, order)
        except PlatformError as error:
            if "invalid_id" in error.code:
                return None
            raise
        ids = sorted({int(line.get("product_id") or 0) for line in held.get("line_items") or ()} - {0})
        refunds, products, (gateway, automatic), role = await asyncio.gather(
            refunds_of(client, held), _products(client, ids), gateway_of(client, held), _role(client, held)
        )
        return return_mapping.order(held, refunds, products, gateway=gateway, automatic=automatic, role=role)

    async def read_return(self, connection: Connection, return_external_id: str) -> Sequence[Record]:
        """See the port: WooCommerce never tells of a return."""
        return ()

    async def return_parts(self, connection: Connection, return_external_id: str) -> Sequence[ReturnPart]:
        """See the port: WooCommerce has no returns of its own."""
        return ()

    async def quote_return(self, connection: Connection, order: str, action: ReturnAction) -> ReturnQuote:
        """See the port."""
        client = await self._client(connection)
        held = await order_of(client, order)
        refunds = await refunds_of(client, held)
        if isinstance(action, PayReturn):
            return await _quote_pay(client, held, refunds, action)
        if isinstance(action, SendInstead):
            return exchanges.quote(held, action)
        if isinstance(action, OpenReturn):
            return _quote_open(held, refunds, action)
        known = _known(held, action.return_external_id)
        return ReturnQuote(refusal="" if known is not None else "changed")

    async def act_return(
        self, connection: Connection, order: str, action: ReturnAction, quote: ReturnQuote, key: str
    ) -> Done:
        """See the port."""
        client = await self._client(connection)
        return await _ACTS[type(action)](client, order, action, quote, key)

    async def settle_return(
        self, connection: Connection, order: str, action: ReturnAction, quote: ReturnQuote, key: str
    ) -> Done | None:
        """See the port. Cash is only looked for; a coupon's code and a note's words say whether they are there."""
        try:
            client = await self._client(connection)
            if isinstance(action, SendInstead):
                return await exchanges.found(client, action, quote, key)
            if isinstance(action, PayReturn) and quote.plan.get(_AMOUNT):
                return await _refund_made(client, order, action, quote, key)
            return await _ACTS[type(action)](client, order, action, quote, key)
        except PlatformError as error:
            raise still_open(error) from error

    async def _client(self, connection: Connection) -> StoreClient:
        raise NotImplementedError


async def _products(client: StoreClient, ids: Sequence[int]) -> dict[int, Mapping[str, Any]]:
    """What the policy asks about the products of an order; those that were deleted are not there."""
    if not ids:
        return {}
    fields = "id,type,virtual,categories,tags,brands"
    found = (await client.get("products", include=",".join(map(str, ids[:100])), per_page=100, _fields=fields)).body
    return {int(one["id"]): one for one in found}


async def _role(client: StoreClient, held: Mapping[str, Any]) -> str:
    """What the order's user is to the shop: WooCommerce has no tags of customers, its roles are what divides them."""
    if not held.get("customer_id"):
        return ""
    try:
        found = (await client.get(f"customers/{held['customer_id']}", _fields="id,role")).body
    except PlatformError as error:
        if "invalid_id" in error.code:
            return ""
        raise
    return str(found.get("role") or "")


# Opening, deciding, ending: what is written on the order


def _quote_open(held: Mapping[str, Any], refunds: Sequence[Mapping[str, Any]], action: OpenReturn) -> ReturnQuote:
    if action.exchange and not action.approved:
        return ReturnQuote(refusal="exchange_needs_approval")
    try:
        wanted = return_mapping.quantities(action.parts)
    except ValueError:
        return ReturnQuote(refusal="changed")
    waiting = return_mapping.under_way(held, refunds, apart=action.number)
    left = {part.id: part.left - waiting.get(part.id, 0) for part in refund_mapping.parts_of(held, refunds)
            if part.kind == refund_mapping.ITEM}  # fmt: skip
    if not held.get("date_completed_gmt") or any(count > left.get(line, 0) for line, count in wanted.items()):
        return ReturnQuote(refusal="changed")
    return ReturnQuote()


async def _open(client: StoreClient, order: str, action: ReturnAction, quote: ReturnQuote, key: str) -> Done:
    assert isinstance(action, OpenReturn)
    parts = return_mapping.quantities(action.parts)
    status = "open" if action.approved else "requested"
    exchange = ", ".join(f"{one.quantity} × {one.title or one.variant_external_id}" for one in action.exchange)
    words = " ".join(filter(None, (action.note, f"→ {exchange}" if exchange else "")))
    await _write(client, order, Held(action.number, status, parts), f"{status} {words}".strip(), key)
    return Done(action.number, action.number)


async def _decide(client: StoreClient, order: str, action: ReturnAction, quote: ReturnQuote, key: str) -> Done:
    assert isinstance(action, DecideReturn)
    status = "open" if action.approve else "declined"
    await _move(client, order, action.return_external_id, status, action.note or action.why, key)
    return Done(action.return_external_id)


async def _end(client: StoreClient, order: str, action: ReturnAction, quote: ReturnQuote, key: str) -> Done:
    assert isinstance(action, EndReturn)
    await _move(client, order, action.return_external_id, _STATUSES[action.how], "", key)
    return Done(action.return_external_id)


async def _move(client: StoreClient, order: str, number: str, status: str, words: str, key: str) -> None:
    known = _known(await order_of(client, order), number)
    if known is None:
        raise PlatformError("the order does not know this return", retry=False, code="changed")
    await _write(client, order, Held(number, status, known.parts), f"{status} {words}".strip(), key)


async def _write(client: StoreClient, order: str, held: Held, words: str, key: str) -> None:
    """The return's metadata, the order's status and a note; done again it is the same."""
    now = await order_of(client, order)
    told: dict[str, Any] = {"meta_data": [return_mapping.entry(held)]}
    others = [one for one in return_mapping.returns_of(now) if one.number != held.number]
    status = str(now["status"])
    before = _meta(now, return_mapping.BEFORE_META)
    if held.status == "open" and status == "completed":
        told["status"] = mapping.RETURN_STATUS
        told["meta_data"].append({"key": return_mapping.BEFORE_META, "value": status})
    elif held.status != "open" and status == mapping.RETURN_STATUS and not any(one.status == "open" for one in others):
        told["status"] = before or "completed"
    try:
        await client.put(f"orders/{int(order)}", told)
    except PlatformError as error:
        if error.code != "rest_invalid_param" or "status" not in told:
            raise
        # A copy of our plugin that does not know the status, or none at all: the note and the metadata say it.
        told["meta_data"] = told["meta_data"][:1]
        await client.put(f"orders/{int(order)}", {"meta_data": told["meta_data"]})
    await _note(client, order, held.number, words, key)


async def _label(client: StoreClient, order: str, action: ReturnAction, quote: ReturnQuote, key: str) -> Done:
    assert isinstance(action, LabelReturn)
    words = (action.carrier, action.tracking_number, action.tracking_url)
    await _note(client, order, action.number, " ".join(filter(None, words)), key)
    return Done(action.return_external_id)


async def _receive(client: StoreClient, order: str, action: ReturnAction, quote: ReturnQuote, key: str) -> Done:
    assert isinstance(action, ReceiveReturn)
    titles = {str(line["id"]): str(line["name"]) for line in (await order_of(client, order))["line_items"]}
    await _note(client, order, action.number, return_mapping.goods_note(action.goods, titles), key)
    return Done(action.return_external_id)


async def _note(client: StoreClient, order: str, number: str, words: str, key: str) -> None:
    """A note for the shop's own people, once: our mark stands in it."""
    text = f"{mark(number, key)} {words}".strip()
    notes = (await client.get(f"orders/{int(order)}/notes", type="internal")).body
    if any(str(note.get("note")).startswith(mark(number, key)) for note in notes):
        return
    told = {"note": text, "customer_note": False, "added_by_user": True}
    await client.post(f"orders/{int(order)}/notes", told)


def _known(held: Mapping[str, Any], number: str) -> Held | None:
    return next((one for one in return_mapping.returns_of(held) if one.number == number), None)


def _meta(held: Mapping[str, Any], key: str) -> str:
    return next((str(meta["value"]) for meta in held.get("meta_data") or () if meta.get("key") == key), "")


# Money


async def _quote_pay(
    client: StoreClient, held: Mapping[str, Any], refunds: Sequence[Mapping[str, Any]], action: PayReturn
) -> ReturnQuote:
    decimals, currency = refund_mapping.places(held), str(held["currency"])
    email = str((held.get("billing") or {}).get("email") or "")
    if action.credit and not email:
        return ReturnQuote(ours=action.amount, refusal="no_email")
    if not held.get("date_paid_gmt") and action.amount.amount:
        return ReturnQuote(ours=action.amount, refusal="more_than_paid")
    try:
        planned, own = return_mapping.plan(held, refunds, action)
    except ValueError as error:
        return ReturnQuote(ours=action.amount, refusal="more_than_paid" if "more than" in str(error) else "changed")
    _, automatic = await gateway_of(client, held)
    restock, by_hand = return_mapping.restocks(action)
    plan: dict[str, Any] = {
        _KNOWN: [int(one["id"]) for one in refunds],
        _RESTOCK: restock,
        _OWN: return_mapping.quantities(action.parts),
        _UNITS: return_mapping.units_only(planned),
    }
    if action.credit and planned.amount:
        bonus = action.bonus if action.bonus is not None else Money(0, action.amount.currency, action.amount.exponent)
        worth = return_mapping.money_of(planned.amount, decimals, currency) + bonus
        plan |= {_CREDIT: True, _EMAIL: email, _COUPON: str(worth.decimal()), "decimals": decimals}
    elif planned.amount:
        plan |= {**refund_mapping.body(planned, decimals), _BY_GATEWAY: automatic}
    notes = ("store_mails",) if planned.amount and not action.credit else ()
    return ReturnQuote(
        ours=action.amount,
        amount=return_mapping.money_of(own, decimals, currency),
        by_hand=bool(planned.amount) and not action.credit and not automatic,
        notes=(*notes, *(("restock_by_hand",) if by_hand else ())),
        plan=plan,
    )


async def _pay(client: StoreClient, order: str, action: ReturnAction, quote: ReturnQuote, key: str) -> Done:
    assert isinstance(action, PayReturn)
    if not quote.plan.get(_AMOUNT):
        return await _credit(client, order, action, quote, key)
    now = [int(one["id"]) for one in (await order_of(client, order)).get("refunds") or ()]
    if set(now) != set(quote.plan[_KNOWN]):
        # WooCommerce would take the same line twice, as long as the order's total is not passed.
        raise PlatformError("somebody refunded part of this order meanwhile", retry=False, code="changed")
    told = {
        **{name: quote.plan[name] for name in (_AMOUNT, _LINES, _BY_GATEWAY, _RESTOCK)},
        "reason": mark(action.number, key),
        "meta_data": [{"key": MARK, "value": key}],
    }
    with gateways.asked():
        made = (await client.post(f"orders/{int(order)}/refunds", told, said=EXPLAINED)).body
    return _done(made, action)


async def _refund_made(client: StoreClient, order: str, action: PayReturn, quote: ReturnQuote, key: str) -> Done | None:
    """The refund that we sent, if it is there: by our mark, else by amount and units among those that came since.

    Raises PlatformError (`gateway_unknown`) for one that is there without a word about its money.
    """
    found = (await client.get(f"orders/{int(order)}/refunds", per_page=100)).body
    ours = next((one for one in found if _mark_of(one) == key), None)
    if ours is None:
        known = set(quote.plan[_KNOWN])
        unmarked = [one for one in found if int(one["id"]) not in known and _mark_of(one) is None]
        same = [one for one in unmarked if str(one["amount"]) == quote.plan[_AMOUNT] and _units(one) == _wanted(quote)]
        ours = same[0] if same else None
    if ours is None:
        return None
    gateways.vouched(ours, automatic=bool(quote.plan[_BY_GATEWAY]))
    return _done(ours, action)


def _mark_of(refund: Mapping[str, Any]) -> str | None:
    """The step whose refund this is; None for anybody else's."""
    for meta in refund.get("meta_data") or ():
        if meta.get("key") == MARK:
            return str(meta.get("value"))
    found = marked(str(refund.get("reason") or ""))
    return found[1] if found else None


def _units(refund: Mapping[str, Any]) -> dict[int, int]:
    lines = refund.get(_LINES) or ()
    return {refund_mapping.refunded_item(line): -int(line["quantity"]) for line in lines if line["quantity"]}


def _wanted(quote: ReturnQuote) -> dict[int, int]:
    return {int(line): int(count) for line, count in quote.plan[_OWN].items()}


def _done(made: Mapping[str, Any], action: PayReturn) -> Done:
    return Done(str(made["id"]), amount=parse(str(made["amount"]), *_like(action.amount))[0])


def _like(amount: Money) -> tuple[str, int]:
    return amount.currency, amount.exponent


async def _credit(client: StoreClient, order: str, action: PayReturn, quote: ReturnQuote, key: str) -> Done:
    """Store credit as a coupon for the customer's address, or nothing at all for an exchange; units come back.

    Each piece is looked for before it is made, so this is done as often as anybody likes.
    """
    done = Done(action.return_external_id, amount=action.amount)
    if quote.plan.get(_CREDIT):
        done = await _coupon_for(client, order, action, quote, key)
    if quote.plan[_UNITS]:
        try:
            await _take_units(client, order, action, quote, key)
        except PlatformError as error:
            if not quote.plan.get(_CREDIT):
                raise
            # The coupon is there already.
            raise still_open(error) from error
    return done


async def _coupon_for(client: StoreClient, order: str, action: PayReturn, quote: ReturnQuote, key: str) -> Done:
    """What becomes credit is written on the order before its coupon is made: it can go back no second time."""
    held = await order_of(client, order)
    decimals, meta = int(quote.plan["decimals"]), f"{refund_mapping.CREDIT_META}{key}"
    if not _meta(held, meta):
        try:
            planned, _ = return_mapping.plan(held, await refunds_of(client, held), action)
        except ValueError as error:
            raise PlatformError("part of this order went back meanwhile", retry=False, code="changed") from error
        await _set(client, order, return_mapping.credit_entry(planned, key, decimals))
    code = return_mapping.coupon_code(key)
    known = (await client.get("coupons", code=code)).body
    try:
        made = known[0] if known else (await client.post("coupons", _coupon(action, quote, code, key))).body
    except PlatformError as error:
        if not error.lost:
            await _set(client, order, {"key": meta, "value": ""})
        raise
    amount = return_mapping.in_shop(action.amount, decimals)
    return Done(str(made["id"]), code, return_mapping.money_of(amount, decimals, action.amount.currency), "coupon")


async def _set(client: StoreClient, order: str, entry: Mapping[str, str]) -> None:
    await client.put(f"orders/{int(order)}", {"meta_data": [entry]})


async def _take_units(client: StoreClient, order: str, action: PayReturn, quote: ReturnQuote, key: str) -> None:
    """A refund of units and of no money: they cannot be returned again, and go back on the shelf."""
    refunds = (await client.get(f"orders/{int(order)}/refunds", per_page=100)).body
    if any(_mark_of(one) == key for one in refunds):
        return
    told = {
        "amount": "0", _LINES: quote.plan[_UNITS], _BY_GATEWAY: False, _RESTOCK: quote.plan[_RESTOCK],
        "reason": mark(action.number, key), "meta_data": [{"key": MARK, "value": key}],
    }  # fmt: skip
    await client.post(f"orders/{int(order)}/refunds", told, said=EXPLAINED)


def _coupon(action: PayReturn, quote: ReturnQuote, code: str, key: str) -> dict[str, Any]:
    return {
        "code": code,
        "description": mark(action.number, key),
        "discount_type": "fixed_cart",
        "amount": quote.plan[_COUPON],
        "usage_limit": 1,
        "email_restrictions": [quote.plan[_EMAIL]],
    }


_Act = Callable[[StoreClient, str, ReturnAction, ReturnQuote, str], Awaitable[Done]]
_ACTS: Final[Mapping[type[ReturnAction], _Act]] = {
    OpenReturn: _open,
    DecideReturn: _decide,
    LabelReturn: _label,
    ReceiveReturn: _receive,
    PayReturn: _pay,
    SendInstead: exchanges.send,
    EndReturn: _end,
}
