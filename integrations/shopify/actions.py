"""Acting on an order at Shopify: what would happen, doing it, and finding out whether it was done.

A refund carries our key (`@idempotent`, platforms.md A5.5), so asking again is safe. Everything else has no key of
Shopify's: it is either the same when done twice (tags, an address), or leaves something that can be looked for (an
order is cancelled once, a discount code is unique, a draft order has our tag).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from integrations.shopify import edits, identity, mapping
from integrations.shopify.client import AdminClient, UserErrors
from plugin import stores
from plugin.kernel.db import Database
from plugin.kernel.money import Money, parse
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
    Resource,
    Retag,
    still_open,
)

NEEDS: Final[Mapping[type[OrderAction], str]] = {
    **dict.fromkeys((Refund, Cancel, Readdress, Annotate, Retag), "write_orders"),
    **dict.fromkeys((Discount, EndDiscount), "write_discounts"),
    Duplicate: "write_draft_orders",
    Change: "write_order_edits",
}
"""The optional scope behind each action."""

_JOB_SECONDS: Final = (0.3, 0.5, 1.0, 2.0, 3.0, 4.0)
_REASONS: Final[Mapping[str, str]] = {
    "customer": "CUSTOMER", "stock": "INVENTORY", "fraud": "FRAUD", "declined": "DECLINED", "other": "OTHER",
}  # fmt: skip
_SENT: Final = frozenset({"FULFILLED", "PARTIALLY_FULFILLED", "IN_PROGRESS"})
_MOVED: Final = frozenset({"SUCCESS", "PENDING", "AWAITING_RESPONSE", "UNKNOWN"})
"""Statuses of a refund's transaction with which the money moves, or may."""


class OrderDesk:
    """The part of the port that acts on orders."""

    actions = frozenset(NEEDS)
    client: AdminClient
    _db: Database

    async def quote(self, connection: Connection, order: str, action: OrderAction) -> Quote:
        """See the port. A missing scope is told before anything is asked."""
        scopes = edits.SCOPES if isinstance(action, Change) else (NEEDS[type(action)],)
        async with self._db.transaction(connection.workspace_id) as tx:
            store = await stores.get(tx, connection.store_id)
        if store is None:
            return Quote(ask=scopes[0])
        missing = identity.missing_scopes(scopes, store.scopes)
        if missing:
            return Quote(ask=missing[0])
        if isinstance(action, Refund):
            return await self._quote_refund(connection, order, action)
        if isinstance(action, Change):
            return await edits.quote(self._runner(connection), order, action)
        state = await self._state(connection, order)
        return _QUOTES[type(action)](state, action)

    async def act(self, connection: Connection, order: str, action: OrderAction, quote: Quote, key: str) -> Done:
        """See the port."""
        return await _ACTS[type(action)](self, connection, order, action, quote, key)

    async def settle(
        self, connection: Connection, order: str, action: OrderAction, quote: Quote, key: str
    ) -> Done | None:
        """See the port: None only of changed goods, since all else can be repeated or found."""
        try:
            return await self._settle(connection, order, action, quote, key)
        except UserErrors:
            # Shopify looked at it and refuses: what was done before would have been its answer.
            raise
        except PlatformError as error:
            raise still_open(error) from error

    async def _settle(
        self, connection: Connection, order: str, action: OrderAction, quote: Quote, key: str
    ) -> Done | None:
        if isinstance(action, Change):
            return await edits.settle(self._runner(connection), order, action, quote, key)
        if isinstance(action, Cancel):
            state = await self._state(connection, order)
            if state.get("cancelledAt"):
                return Done(order, _word(state, "name"), quote.amount)
        if isinstance(action, Annotate) and action.text in _word(await self._state(connection, order), "note"):
            return Done(order)
        if isinstance(action, Discount):
            found = (await self._run(connection, "DiscountByCode", {"code": action.code}))["codeDiscountNodeByCode"]
            if found:
                return Done(found["id"], action.code)
        if isinstance(action, Duplicate):
            query = {"query": f"tag:'{_tag(key)}'"}
            nodes = (await self._run(connection, "DraftByTag", query))["draftOrders"]["nodes"]
            if nodes:
                return await self._invoice(connection, action, nodes[0], invoiced=bool(nodes[0]["invoiceSentAt"]))
        return await self.act(connection, order, action, quote, key)

    async def read_order(self, connection: Connection, order: str) -> Sequence[Record]:
        """The order as it is now, long ones to the end."""
        node = (await self._run(connection, "Order", {"id": order}))["order"]
        if node is None:
            return ()
        return mapping.nodes(Resource.ORDERS, [await self._whole(connection, Resource.ORDERS, node)], connection)

    def buy_link(self, connection: Connection, goods: Sequence[Bought]) -> str:
        """A cart permalink (https://shopify.dev/docs/apps/build/checkout/create-cart-permalinks)."""
        items = ",".join(f"{one.variant_external_id.rsplit('/', 1)[-1]}:{one.quantity}" for one in goods)
        return f"{connection.url.rstrip('/')}/cart/{items}" if items else ""

    async def pay_link(self, connection: Connection, order: str, made: str = "") -> str:
        """The draft order's invoice address, or the one that collects what is still owed for an order."""
        if made:
            draft = (await self._run(connection, "DraftLink", {"id": made}))["draftOrder"] or {}
            return _word(draft, "invoiceUrl") if draft.get("status") != "COMPLETED" else ""
        found = (await self._run(connection, "OrderLink", {"id": order}))["order"] or {}
        owed = _side(found.get("totalOutstandingSet"), "shopMoney")
        if found.get("cancelledAt") or owed is None or owed.amount <= 0:
            return ""
        return _word(found.get("paymentCollectionDetails") or {}, "additionalPaymentCollectionUrl")

    # Of the platform's own

    async def _whole(self, connection: Connection, resource: Resource, node: dict[str, Any]) -> dict[str, Any]:
        raise NotImplementedError

    async def _run(self, connection: Connection, operation: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        return await self.client.run(connection, operation, variables, foreground=True)

    def _runner(self, connection: Connection) -> edits.Run:
        return lambda operation, variables: self._run(connection, operation, variables)

    async def _state(self, connection: Connection, order: str) -> dict[str, Any]:
        found: dict[str, Any] | None = (await self._run(connection, "OrderState", {"id": order}))["order"]
        if found is None:
            raise PlatformError("Shopify has no such order, or does not show it", retry=False, code="order_gone")
        return found

    # Refund

    async def _quote_refund(self, connection: Connection, order: str, action: Refund) -> Quote:
        lines = [{"lineItemId": line.line_external_id, "quantity": line.quantity, "restockType": "NO_RESTOCK"}
                 for line in action.lines]  # fmt: skip
        variables = {
            "id": order,
            "lines": None if action.whole else lines,
            "shipping": action.shipping or action.whole,
            "whole": action.whole,
        }
        found = (await self._run(connection, "RefundQuote", variables))["order"]
        if found is None:
            raise PlatformError("Shopify has no such order, or does not show it", retry=False, code="order_gone")
        return _refund_quote(order, action, found)

    async def _refund(self, connection: Connection, order: str, action: OrderAction, quote: Quote, key: str) -> Done:
        assert isinstance(action, Refund)
        told = {**quote.plan, "orderId": order, "note": action.reason or None, "notify": action.notify}
        answer = await self._run(connection, "RefundCreate", {"input": told, "key": key})
        return _refunded(answer["refundCreate"]["refund"])

    # The others

    async def _cancel(self, connection: Connection, order: str, action: OrderAction, quote: Quote, key: str) -> Done:
        assert isinstance(action, Cancel)
        variables = {
            "id": order,
            "reason": _REASONS.get(action.reason, "OTHER"),
            "restock": action.restock,
            "refund": {"originalPaymentMethodsRefund": action.refund},
            "notify": action.notify,
            "note": action.note or None,
        }
        job = (await self._run(connection, "OrderCancel", variables))["orderCancel"]["job"]
        for seconds in _JOB_SECONDS:
            if job is None or job["done"]:
                break
            await asyncio.sleep(seconds)
            job = (await self._run(connection, "JobStatus", {"id": job["id"]}))["job"]
        state = await self._state(connection, order)
        if not state.get("cancelledAt"):
            # Shopify cancels in a job of its own, which says nothing when it fails.
            raise PlatformError("Shopify has not cancelled the order yet", retry=True, after=5, code="job", lost=True)
        return Done(order, _word(state, "name"), quote.amount)

    async def _readdress(self, connection: Connection, order: str, action: OrderAction, quote: Quote, key: str) -> Done:
        assert isinstance(action, Readdress)
        address = {
            "firstName": action.first_name, "lastName": action.last_name, "company": action.company,
            "address1": action.line1, "address2": action.line2, "city": action.city,
            "provinceCode": action.province or None, "zip": action.postcode,
            "countryCode": action.country.upper() or None, "phone": action.phone or None,
        }  # fmt: skip
        await self._run(connection, "OrderUpdate", {"input": {"id": order, "shippingAddress": address}})
        return Done(order)

    async def _annotate(self, connection: Connection, order: str, action: OrderAction, quote: Quote, key: str) -> Done:
        assert isinstance(action, Annotate)
        # The order has one note, which is replaced as a whole: what somebody wrote meanwhile stays.
        before = _word(await self._state(connection, order), "note").rstrip()
        note = f"{before}\n{action.text}" if before else action.text
        await self._run(connection, "OrderUpdate", {"input": {"id": order, "note": note}})
        return Done(order)

    async def _retag(self, connection: Connection, order: str, action: OrderAction, quote: Quote, key: str) -> Done:
        assert isinstance(action, Retag)
        for operation, tags in (("TagsAdd", action.add), ("TagsRemove", action.remove)):
            if tags:
                await self._run(connection, operation, {"id": order, "tags": list(tags)})
        return Done(order)

    async def _discount(self, connection: Connection, order: str, action: OrderAction, quote: Quote, key: str) -> Done:
        assert isinstance(action, Discount)
        answer = await self._run(connection, "DiscountCreate", {"discount": dict(quote.plan)})
        return Done(answer["discountCodeBasicCreate"]["codeDiscountNode"]["id"], action.code)

    async def _end_discount(
        self, connection: Connection, order: str, action: OrderAction, quote: Quote, key: str
    ) -> Done:
        assert isinstance(action, EndDiscount)
        await self._run(connection, "DiscountEnd", {"id": action.discount_external_id})
        return Done(action.discount_external_id, action.code)

    async def _change(self, connection: Connection, order: str, action: OrderAction, quote: Quote, key: str) -> Done:
        assert isinstance(action, Change)
        return await edits.carry_out(self._runner(connection), order, action, quote, key)

    async def _duplicate(self, connection: Connection, order: str, action: OrderAction, quote: Quote, key: str) -> Done:
        assert isinstance(action, Duplicate)
        told = {**quote.plan, "tags": [_tag(key)]}
        draft = (await self._run(connection, "DraftCreate", {"input": told}))["draftOrderCreate"]["draftOrder"]
        return await self._invoice(connection, action, draft, invoiced=False)

    async def _invoice(
        self, connection: Connection, action: Duplicate, draft: Mapping[str, Any], *, invoiced: bool
    ) -> Done:
        if action.place:
            return await self._placed(connection, draft)
        detail = ""
        if action.invoice and not invoiced:
            try:
                await self._run(connection, "DraftInvoice", {"id": draft["id"], "email": None})
            except UserErrors as error:
                # The draft is there all the same: its link can be handed over in the conversation.
                detail = error.said
        return Done(draft["id"], _word(draft, "name"), _side(draft.get("totalPriceSet"), "shopMoney"), detail)

    async def _placed(self, connection: Connection, draft: Mapping[str, Any]) -> Done:
        """The draft becomes an order. Completed before, it is one already."""
        made = draft.get("order")
        if not made:
            answer = await self._run(connection, "DraftComplete", {"id": draft["id"]})
            made = answer["draftOrderComplete"]["draftOrder"]["order"]
        return Done(made["id"], _word(made, "name"), _side(draft.get("totalPriceSet"), "shopMoney"))


def _tag(key: str) -> str:
    return f"ahlan-{key}"


def _word(node: Mapping[str, Any], name: str) -> str:
    return str(node.get(name) or "")


def _side(bag: Any, side: str) -> Money | None:
    found = (bag or {}).get(side) or {}
    return parse(str(found["amount"]), str(found["currencyCode"]))[0] if found.get("amount") is not None else None


def _refund_quote(order: str, action: Refund, found: Mapping[str, Any]) -> Quote:
    """Shopify's suggestion in our words. Pure."""
    suggested = found.get("suggestedRefund") or {}
    held = {line["id"]: line for line in found["lineItems"]["nodes"]}
    taken = {line["lineItem"]["id"]: line for line in suggested.get("refundLineItems") or ()}
    amount = _side(suggested.get("amountSet"), "shopMoney")
    charged = _side(suggested.get("amountSet"), "presentmentMoney")
    lines = [
        QuotedLine(
            id,
            " · ".join(part for part in (_word(line, "title"), _word(line, "variantTitle")) if part),
            int(line.get("refundableQuantity") or 0),
            int(taken[id]["quantity"]) if id in taken else 0,
            _side(taken[id]["subtotalSet"], "shopMoney") if id in taken else None,
        )
        for id, line in held.items()
    ]
    transactions = [
        {
            "orderId": order,
            "kind": "REFUND",
            "gateway": one["gateway"],
            "amount": one["amountSet"]["presentmentMoney"]["amount"],
            "parentId": (one.get("parentTransaction") or {}).get("id"),
        }
        for one in suggested.get("suggestedTransactions") or ()
    ]
    by_hand = any((one.get("parentTransaction") or {}).get("manualPaymentGateway")
                  for one in suggested.get("suggestedTransactions") or ())  # fmt: skip
    shipping = suggested.get("shipping") or {}
    wanted = [{"lineItemId": id, "quantity": int(line["quantity"]), "restockType": _restock(action, held.get(id), line)}
              for id, line in taken.items()]  # fmt: skip
    plan: dict[str, Any] = {
        "currency": found.get("presentmentCurrencyCode"),
        "refundLineItems": wanted,
        # Without them Shopify writes a refund that moves no money (platforms.md A5.5).
        "transactions": transactions,
    }
    if action.shipping or action.whole:
        plan["shipping"] = {"fullRefund": True}
    nothing = amount is None or amount.amount <= 0 or not transactions
    return Quote(
        amount=amount,
        charged=charged if charged is not None and amount is not None and charged.currency != amount.currency else None,
        most=_side(suggested.get("maximumRefundableSet"), "shopMoney"),
        # What delivery could bring, or does.
        shipping=_side(shipping.get("maximumRefundableSet") or shipping.get("amountSet"), "shopMoney"),
        tax=_side(suggested.get("totalTaxSet"), "shopMoney"),
        lines=tuple(lines),
        gateway=", ".join(
            dict.fromkeys(_word(one, "formattedGateway") or _word(one, "gateway")
                          for one in suggested.get("suggestedTransactions") or ())
        ),
        by_hand=by_hand,
        refusal="nothing_left" if nothing else "",
        plan=plan,
    )  # fmt: skip


def _restock(action: Refund, line: Mapping[str, Any] | None, taken: Mapping[str, Any]) -> str:
    """CANCEL for what was never sent, RETURN for what was (RefundLineItemRestockType)."""
    if not action.restock:
        return "NO_RESTOCK"
    unsent = int((line or {}).get("unfulfilledQuantity") or 0)
    return "CANCEL" if unsent >= int(taken["quantity"]) else "RETURN"


def _refunded(refund: Mapping[str, Any] | None) -> Done:
    """What became of a refund. Its record can be there although a payment provider refused its part of the money."""
    if refund is None:
        raise PlatformError("Shopify did not say what became of it", retry=True, code="no_payload", lost=True)
    transactions = refund["transactions"]["nodes"]
    failed = [one for one in transactions if one["status"] not in _MOVED]
    total = _side(refund["totalRefundedSet"], "shopMoney")
    moved = [_side(one["amountSet"], "shopMoney") for one in transactions if one["status"] in _MOVED]
    if failed:
        total = sum((one for one in moved[1:] if one), moved[0]) if moved and moved[0] else None
    detail = ", ".join(f"{one['gateway']}: {str(one['status']).lower()}" for one in failed)
    return Done(refund["id"], amount=total, detail=detail)


def _cancel_quote(state: Mapping[str, Any], action: OrderAction) -> Quote:
    assert isinstance(action, Cancel)
    back = _side((state.get("suggestedRefund") or {}).get("amountSet"), "shopMoney") if action.refund else None
    charged = _side((state.get("suggestedRefund") or {}).get("amountSet"), "presentmentMoney") if back else None
    refusal = ""
    if state.get("cancelledAt"):
        refusal = "cancelled_already"
    elif _word(state, "displayFulfillmentStatus") in _SENT:
        refusal = "sent_already"
    return Quote(
        amount=back if back and back.amount else None,
        charged=charged if charged and back and charged.currency != back.currency else None,
        refusal=refusal,
    )


def _readdress_quote(state: Mapping[str, Any], action: OrderAction) -> Quote:
    held = state.get("shippingAddress") or {}
    before = asdict(
        Readdress(
            first_name=_word(held, "firstName"), last_name=_word(held, "lastName"), company=_word(held, "company"),
            line1=_word(held, "address1"), line2=_word(held, "address2"), city=_word(held, "city"),
            province=_word(held, "provinceCode"), postcode=_word(held, "zip"), country=_word(held, "countryCodeV2"),
            phone=_word(held, "phone"),
        )
    )  # fmt: skip
    refusal = "sent_already" if _word(state, "displayFulfillmentStatus") in _SENT else ""
    return Quote(refusal="cancelled_already" if state.get("cancelledAt") else refusal, before=before)


def _plain_quote(state: Mapping[str, Any], action: OrderAction) -> Quote:
    return Quote(before={"tags": list(state.get("tags") or ()), "note": _word(state, "note")})


def _discount_quote(state: Mapping[str, Any], action: OrderAction) -> Quote:
    """The code as it will be made: for the order's customer if it has one, and good for one order."""
    assert isinstance(action, Discount)
    currency = _word(state, "currencyCode")
    now = datetime.now(UTC)
    off: dict[str, Any] = {"percentage": action.percent / 100}
    amount = None
    if action.amount:
        amount = Money(action.amount, *_scale(currency))
        off = {"discountAmount": {"amount": str(amount.decimal()), "appliesOnEachItem": False}}
    person = (state.get("customer") or {}).get("id")
    plan = {
        "title": action.code,
        "code": action.code,
        "startsAt": f"{now:%Y-%m-%dT%H:%M:%SZ}",
        "endsAt": f"{now + timedelta(days=action.days):%Y-%m-%dT%H:%M:%SZ}",
        "usageLimit": 1,
        "appliesOncePerCustomer": True,
        "context": {"customers": {"add": [person]}} if person else {"all": "ALL"},
        "customerGets": {"items": {"all": True}, "value": off},
    }
    return Quote(amount=amount, plan=plan, before={"personal": bool(person)})


def _scale(currency: str) -> tuple[str, int]:
    zero = parse("0", currency)[0]
    return zero.currency, zero.exponent


def _end_quote(state: Mapping[str, Any], action: OrderAction) -> Quote:
    return Quote()


def _duplicate_quote(state: Mapping[str, Any], action: OrderAction) -> Quote:
    """A draft order of the same goods, to the same place. What was no product of the catalogue keeps its price."""
    assert isinstance(action, Duplicate)
    lines: list[QuotedLine] = []
    wanted: list[dict[str, Any]] = []
    some = {line.line_external_id: line.quantity for line in action.lines}
    for line in state["lineItems"]["nodes"]:
        count = int(line.get("quantity") or 0)
        if some:
            count = min(count, some.get(line["id"], 0))
        if count <= 0:
            continue
        lines.append(QuotedLine(line["id"], _word(line, "title"), count, count))
        price = (line.get("originalUnitPriceSet") or {}).get("presentmentMoney") or {}
        if line.get("variant"):
            wanted.append({"variantId": line["variant"]["id"], "quantity": count})
        else:
            money = {"amount": price.get("amount"), "currencyCode": price.get("currencyCode")}
            wanted.append({"title": _word(line, "title"), "quantity": count, "originalUnitPriceWithCurrency": money})
    held = state.get("shippingAddress") or {}
    address = {
        "firstName": held.get("firstName"), "lastName": held.get("lastName"), "company": held.get("company"),
        "address1": held.get("address1"), "address2": held.get("address2"), "city": held.get("city"),
        "provinceCode": held.get("provinceCode"), "zip": held.get("zip"), "countryCode": held.get("countryCodeV2"),
        "phone": held.get("phone"),
    }  # fmt: skip
    person = (state.get("customer") or {}).get("id")
    plan: dict[str, Any] = {"lineItems": wanted, "note": _word(state, "name")}
    if held:
        plan["shippingAddress"] = address
    if person:
        plan["purchasingEntity"] = {"customerId": person}
    if state.get("email"):
        plan["email"] = state["email"]
    if action.free:
        plan["appliedDiscount"] = {"value": 100.0, "valueType": "PERCENTAGE", "title": _word(state, "name")}
    refusal = "" if wanted else "nothing_left"
    if action.invoice and not state.get("email"):
        refusal = "no_email"
    return Quote(lines=tuple(lines), refusal=refusal, plan=plan)


_QUOTES: Final[Mapping[type[OrderAction], Callable[[Mapping[str, Any], OrderAction], Quote]]] = {
    Cancel: _cancel_quote,
    Readdress: _readdress_quote,
    Annotate: _plain_quote,
    Retag: _plain_quote,
    Discount: _discount_quote,
    EndDiscount: _end_quote,
    Duplicate: _duplicate_quote,
}
_Act = Callable[[OrderDesk, Connection, str, OrderAction, Quote, str], Awaitable[Done]]
_ACTS: Final[Mapping[type[OrderAction], _Act]] = {
    Refund: OrderDesk._refund,
    Cancel: OrderDesk._cancel,
    Readdress: OrderDesk._readdress,
    Annotate: OrderDesk._annotate,
    Retag: OrderDesk._retag,
    Discount: OrderDesk._discount,
    EndDiscount: OrderDesk._end_discount,
    Duplicate: OrderDesk._duplicate,
    Change: OrderDesk._change,
}
