"""Returns at Shopify: its native returns, from the request to the money, each step once.

None of these mutations takes a key of ours (platforms.md A5.4). What guards them: our number on the lines of a return,
our mark in a refund's note, Shopify's own count of what may still be processed, and reading before anything is asked a
second time. Money is asked for a second time only where Shopify itself would refuse to give it twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from integrations.shopify import identity, return_mapping, return_queries
from integrations.shopify.client import AdminClient, UserErrors
from integrations.shopify.return_mapping import Changed, Unit
from integrations.shopify.return_queries import TRIES
from plugin import stores
from plugin.kernel.db import Database
from plugin.kernel.money import Money
from plugin.platform import Connection, Done, PlatformError, Record, still_open
from plugin.return_desk import (
    DecideReturn,
    Disposition,
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
)

CREDIT_AFTER: Final = timedelta(seconds=60)
"""Nothing that we sent can still be under way so long after the refund that it belongs to: a call ends after 30 s."""
_INPUT, _KNOWN, _CREDITS, _AGAIN, _OWNER, _SEEN = "input", "known", "credits", "again", "owner", "seen"
_MOVES: Final[Mapping[str, tuple[str, frozenset[str]]]] = {
    "ApproveReturn": ("OPEN", frozenset({"REQUESTED"})),
    "DeclineReturn": ("DECLINED", frozenset({"REQUESTED"})),
    "CloseReturn": ("CLOSED", frozenset({"OPEN"})),
    "CancelReturn": ("CANCELED", frozenset({"OPEN"})),
    "ReopenReturn": ("OPEN", frozenset({"CLOSED"})),
}
"""To where a mutation brings a return, and from where."""
_ENDINGS: Final[Mapping[Ending, str]] = {
    Ending.CLOSE: "CloseReturn", Ending.CANCEL: "CancelReturn", Ending.REOPEN: "ReopenReturn",
}  # fmt: skip
_PAGES = 40
"""Pages of lines or parcels of one order; nobody sends so many."""


class ReturnDesk:
    """The part of the port that returns goods."""

    returns: frozenset[type[ReturnAction]] = frozenset(
        {OpenReturn, DecideReturn, LabelReturn, ReceiveReturn, PayReturn, SendInstead, EndReturn}
    )
    client: AdminClient
    _db: Database
    _reasons: dict[str, Mapping[str, str]]
    """Shopify's library of reasons by handle, once a shop was asked for it."""

    async def returnable(self, connection: Connection, order: str) -> ReturnableOrder | None:
        """See the port."""
        head, lines, units = await asyncio.gather(
            self._head(connection, order),
            self._lines(connection, order),
            self._units(connection, order),
        )
        return return_mapping.order(head, lines, units) if head else None

    async def _head(self, connection: Connection, order: str) -> dict[str, Any] | None:
        """An order without its lines, with all that was paid however often that was tried; None where it is gone."""
        found: dict[str, Any] | None = (await self._ask(connection, "ReturnableOrder", {"id": order}))["order"]
        if found is not None and len(found["transactions"]) >= TRIES:
            more = (await self._ask(connection, "OrderPayments", {"id": order}))["order"]
            return {**found, "transactions": more["transactions"]}
        return found

    async def read_return(self, connection: Connection, return_external_id: str) -> Sequence[Record]:
        """See the port."""
        found = (await self._ask(connection, "ReturnOrder", {"id": return_external_id}))["return"]
        return await self.read_order(connection, found["order"]["id"]) if found else ()

    async def return_parts(self, connection: Connection, return_external_id: str) -> Sequence[ReturnPart]:
        """See the port."""
        found = (await self._ask(connection, "ReturnGoods", {"id": return_external_id}))["return"]
        return return_mapping.parts(found) if found else ()

    async def quote_return(self, connection: Connection, order: str, action: ReturnAction) -> ReturnQuote:
        """See the port. A missing scope is told before anything is asked."""
        missing = await self._missing(connection, _needs(action))
        if missing:
            return ReturnQuote(ask=missing)
        try:
            return await _QUOTES[type(action)](self, connection, order, action)
        except Changed:
            return ReturnQuote(refusal="changed")

    async def act_return(
        self, connection: Connection, order: str, action: ReturnAction, quote: ReturnQuote, key: str
    ) -> Done:
        """See the port."""
        try:
            return await _ACTS[type(action)](self, connection, order, action, quote, key)
        except Changed as error:
            raise PlatformError(str(error), retry=False, code="changed") from error

    async def settle_return(
        self, connection: Connection, order: str, action: ReturnAction, quote: ReturnQuote, key: str
    ) -> Done | None:
        """See the port. None only for money of which there is no trace, and which Shopify might give a second time."""
        try:
            return await self._settle_return(connection, order, action, quote, key)
        except Changed as error:
            raise PlatformError(str(error), retry=False, code="changed") from error
        except UserErrors:
            raise
        except PlatformError as error:
            raise still_open(error) from error

    async def _settle_return(
        self, connection: Connection, order: str, action: ReturnAction, quote: ReturnQuote, key: str
    ) -> Done | None:
        if isinstance(action, PayReturn):
            return await self._settle_pay(connection, order, action, quote, key)
        if isinstance(action, OpenReturn) and (found := await self._opened(connection, order, action)):
            return found
        if isinstance(action, ReceiveReturn):
            parcels = await self._parcels(connection, action.return_external_id)
            if return_mapping.disposed(parcels) > int(quote.plan.get(_SEEN, 0)):
                return Done(action.return_external_id)
        # The rest reads how far the return is before it moves it.
        return await self.act_return(connection, order, action, quote, key)

    # Of the platform's own

    async def read_order(self, connection: Connection, order: str) -> Sequence[Record]:
        """See the port."""
        raise NotImplementedError

    # Asking

    async def _ask(self, connection: Connection, operation: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        return await self.client.run(connection, operation, variables, foreground=True)

    async def _missing(self, connection: Connection, scopes: Sequence[str]) -> str:
        async with self._db.transaction(connection.workspace_id) as tx:
            store = await stores.get(tx, connection.store_id)
        if store is None:
            return scopes[0]
        return next(iter(identity.missing_scopes(list(scopes), store.scopes)), "")

    async def _pages(
        self, connection: Connection, operation: str, order: str, size: int, read: Callable[[dict[str, Any]], Any]
    ) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        after: str | None = None
        for _ in range(_PAGES):
            page = read(await self._ask(connection, operation, {"id": order, "first": size, "after": after}))
            found += page["nodes"] if page else ()
            if not page or not page["pageInfo"]["hasNextPage"]:
                break
            after = page["pageInfo"]["endCursor"]
        return found

    async def _lines(self, connection: Connection, order: str) -> list[dict[str, Any]]:
        size = return_queries.LINES_PAGE
        return await self._pages(
            connection, "ReturnableLines", order, size, lambda told: (told["order"] or {}).get("lineItems")
        )

    async def _units(self, connection: Connection, order: str) -> list[Unit]:
        size = return_queries.UNITS_PAGE
        return return_mapping.units(
            await self._pages(connection, "ReturnableUnits", order, size, lambda told: told["returnableFulfillments"])
        )

    async def _handles(self, connection: Connection) -> Mapping[str, str]:
        known = self._reasons.get(connection.external_id)
        if known is None:
            told = await self._ask(connection, "ReturnReasons", {"first": 250, "after": None})
            library = told["returnReasonDefinitions"]["nodes"]
            known = {one["handle"]: one["id"] for one in library if not one["deleted"]}
            self._reasons[connection.external_id] = known
        return known

    async def _return(self, connection: Connection, return_id: str) -> dict[str, Any]:
        return self._there((await self._ask(connection, "ReturnState", {"id": return_id}))["return"])

    async def _parcels(self, connection: Connection, return_id: str) -> dict[str, Any]:
        return self._there((await self._ask(connection, "ReturnParcels", {"id": return_id}))["return"])

    @staticmethod
    def _there(found: dict[str, Any] | None) -> dict[str, Any]:
        if found is None:
            raise PlatformError("Shopify has no such return, or does not show it", retry=False, code="return_gone")
        return found

    # Opening

    async def _quote_open(self, connection: Connection, order: str, action: ReturnAction) -> ReturnQuote:
        assert isinstance(action, OpenReturn)
        if action.exchange and not action.approved:
            return ReturnQuote(refusal="exchange_needs_approval")
        found, units, handles = await asyncio.gather(
            self.returnable(connection, order), self._units(connection, order), self._handles(connection)
        )
        plan = return_mapping.opening(action, order, units, found.lines if found else (), handles)
        return ReturnQuote(plan={_INPUT: plan})

    async def _open(
        self, connection: Connection, order: str, action: ReturnAction, quote: ReturnQuote, key: str
    ) -> Done:
        assert isinstance(action, OpenReturn)
        operation, field = ("CreateReturn", "returnCreate") if action.approved else ("RequestReturn", "returnRequest")
        made = (await self._ask(connection, operation, {"input": quote.plan[_INPUT]}))[field]["return"]
        return Done(made["id"], str(made["name"]))

    async def _opened(self, connection: Connection, order: str, action: OpenReturn) -> Done | None:
        """The return of our number, whatever became of it; not one of those that were over before."""
        found = (await self._ask(connection, "OrderReturns", {"id": order}))["order"] or {}
        for held in (found.get("returns") or {}).get("nodes") or ():
            if held["id"] in action.besides:
                continue
            if any(return_mapping.is_ours(line, action.number) for line in held["returnLineItems"]["nodes"]):
                return Done(held["id"], str(held["name"]))
        return None

    # Deciding and ending: how far it is is read first, so that twice is once

    async def _quote_moved(self, connection: Connection, order: str, action: ReturnAction) -> ReturnQuote:
        assert isinstance(action, DecideReturn | EndReturn)
        status = await self._status(connection, action.return_external_id)
        wanted, origins = _MOVES[_move_of(action, status)]
        return ReturnQuote(refusal="" if status == wanted or status in origins else "changed")

    async def _moved(
        self, connection: Connection, order: str, action: ReturnAction, quote: ReturnQuote, key: str
    ) -> Done:
        assert isinstance(action, DecideReturn | EndReturn)
        id = action.return_external_id
        status = await self._status(connection, id)
        operation = _move_of(action, status)
        wanted, origins = _MOVES[operation]
        if status == wanted:
            return Done(id)
        if status not in origins:
            raise Changed(f"the return is {status.lower()} at Shopify")
        told: dict[str, Any] = {"id": id}
        if operation in ("ApproveReturn", "DeclineReturn"):
            told = {"input": {"id": id, "notifyCustomer": action.notify}}
        if operation == "DeclineReturn":
            told["input"] |= _no(action)
        try:
            await self._ask(connection, operation, told)
        except UserErrors:
            # Somebody in the admin may have been first by a moment.
            if await self._status(connection, id) != wanted:
                raise
        return Done(id)

    async def _status(self, connection: Connection, id: str) -> str:
        return str((await self._parcels(connection, id))["status"])

    # The way back

    async def _quote_label(self, connection: Connection, order: str, action: ReturnAction) -> ReturnQuote:
        assert isinstance(action, LabelReturn)
        parcels = await self._parcels(connection, action.return_external_id)
        return ReturnQuote(refusal="" if parcels["status"] == "OPEN" else "changed")

    async def _label(
        self, connection: Connection, order: str, action: ReturnAction, quote: ReturnQuote, key: str
    ) -> Done:
        assert isinstance(action, LabelReturn)
        tracking = {"number": action.tracking_number or None, "url": action.tracking_url or None}
        told = {
            "tracking": tracking if any(tracking.values()) else None,
            "label": {"fileUrl": action.label_url} if action.label_url else None,
        }
        notify = {"notify": action.notify}
        parcels = await self._parcels(connection, action.return_external_id)
        if parcels["status"] != "OPEN":
            raise Changed(f"the return is {str(parcels['status']).lower()} at Shopify")
        made = ""
        for parcel in parcels["reverseFulfillmentOrders"]["nodes"]:
            there = parcel["reverseDeliveries"]["nodes"]
            if not any(told.values()):
                break
            if any(_carries(one, action) for one in there):
                made = made or there[0]["id"]
            elif there:
                # A second parcel would stand beside the first: a new label takes the place of the old one.
                await self._ask(connection, "RelabelReturn", {"id": there[0]["id"], **told, **notify})
                made = made or there[0]["id"]
            else:
                lines = [{"reverseFulfillmentOrderLineItemId": line["id"], "quantity": line["totalQuantity"]}
                         for line in parcel["lineItems"]["nodes"]]  # fmt: skip
                wanted = {"order": parcel["id"], "lines": lines, **told, **notify}
                answer = await self._ask(connection, "LabelReturn", wanted)
                made = made or answer["reverseDeliveryCreateWithShipping"]["reverseDelivery"]["id"]
        return Done(made or action.return_external_id)

    async def _quote_receive(self, connection: Connection, order: str, action: ReturnAction) -> ReturnQuote:
        assert isinstance(action, ReceiveReturn)
        parcels = await self._parcels(connection, action.return_external_id)
        goods = return_mapping.disposals(parcels, action.goods, await self._shelves(connection, order, action))
        return ReturnQuote(plan={_INPUT: [what for _, what in goods], _SEEN: return_mapping.disposed(parcels)})

    async def _receive(
        self, connection: Connection, order: str, action: ReturnAction, quote: ReturnQuote, key: str
    ) -> Done:
        assert isinstance(action, ReceiveReturn)
        if quote.plan[_INPUT]:
            await self._ask(connection, "DisposeReturn", {"goods": quote.plan[_INPUT]})
        return Done(action.return_external_id)

    async def _shelves(
        self, connection: Connection, order: str, action: ReceiveReturn | PayReturn
    ) -> Mapping[str, str]:
        if not any(good.disposition is Disposition.RESTOCK for good in _goods(action)):
            return {}
        return return_mapping.shelves((await self._ask(connection, "Shelves", {"id": order}))["order"] or {})

    # What goes out instead: with `returnProcess` it became lines of the order

    async def _quote_instead(self, connection: Connection, order: str, action: ReturnAction) -> ReturnQuote:
        return ReturnQuote()

    async def _instead(
        self, connection: Connection, order: str, action: ReturnAction, quote: ReturnQuote, key: str
    ) -> Done:
        assert isinstance(action, SendInstead)
        state = await self._return(connection, action.return_external_id)
        if return_mapping.exchange_to_process(state):
            raise Changed("the exchange was not released")
        return Done(order, "", action.owed)

    # Money

    async def _quote_pay(self, connection: Connection, order: str, action: ReturnAction) -> ReturnQuote:
        assert isinstance(action, PayReturn)
        state = await self._return(connection, action.return_external_id)
        if state["status"] != "OPEN":
            return ReturnQuote(ours=action.amount, refusal=_NOT_OPEN.get(str(state["status"]), "ended"))
        customer = str((state["order"].get("customer") or {}).get("id") or "")
        if (action.credit or action.bonus) and not customer:
            return ReturnQuote(ours=action.amount, refusal="no_customer")
        lines = return_mapping.lines_to_process(state, action.parts)
        exchange = return_mapping.exchange_to_process(state)
        sources = await self._head(connection, order)
        if sources is None:
            raise Changed("the order is gone")
        shipping = return_mapping.shipping_refund(sources, action.delivery)
        asked = {"id": action.return_external_id, "lines": lines, "exchange": exchange, "shipping": shipping}
        told = await self._ask(connection, "ReturnOutcome", asked)
        outcome = told["return"]["suggestedFinancialOutcome"] or {}
        transfer = outcome.get("financialTransfer") or {}
        payments = return_mapping.payments(sources)
        left = sum(one.left.amount for one in payments)
        suggested = return_mapping.charged(transfer.get("amount")) or Money(0, *_like(action.amount))
        refunds = "suggestedTransactions" in transfer
        if action.amount.amount > left or (suggested.currency, suggested.exponent) != _like(action.amount):
            return ReturnQuote(ours=action.amount, amount=suggested, refusal="more_than_paid")
        transactions = transfer.get("suggestedTransactions") or ()
        first = [str((one.get("parentTransaction") or {}).get("id") or "") for one in transactions]
        taken = [] if action.credit else return_mapping.spread(action.amount, payments, first)
        if action.restock:
            parcels = await self._parcels(connection, action.return_external_id)
            places = await self._shelves(connection, order, action)
            lines = return_mapping.with_dispositions(
                state, lines, return_mapping.disposals(parcels, action.restock, places)
            )
        plan: dict[str, Any] = {
            _INPUT: _process(action, lines, exchange, shipping, taken),
            _KNOWN: [one["id"] for one in state["refunds"]["nodes"]],
            _AGAIN: return_mapping.repeat_is_refused(state, lines),
            _OWNER: customer,
            _CREDITS: await self._credits(connection, customer) if action.bonus else [],
        }
        return ReturnQuote(
            ours=action.amount,
            amount=suggested if refunds else Money(0, *_like(action.amount)),
            by_hand=bool(taken) and all(source.by_hand for source, _ in taken),
            notes=() if refunds or not transfer else ("customer_owes",),
            plan=plan,
        )

    async def _pay(
        self, connection: Connection, order: str, action: ReturnAction, quote: ReturnQuote, key: str
    ) -> Done:
        assert isinstance(action, PayReturn)
        told = {**quote.plan[_INPUT], "note": mark(action.number, key)}
        made = (await self._ask(connection, "ProcessReturn", {"input": told}))["returnProcess"]["return"]
        refund = return_mapping.own_refund(made["refunds"]["nodes"], quote.plan[_KNOWN], key, action.amount)
        done = _paid(refund, action)
        if done is None:
            raise PlatformError("Shopify did not say what became of it", retry=True, code="no_payload", lost=True)
        return await self._with_bonus(connection, action, quote, done, since=None)

    async def _settle_pay(
        self, connection: Connection, order: str, action: PayReturn, quote: ReturnQuote, key: str
    ) -> Done | None:
        state = await self._return(connection, action.return_external_id)
        refund = return_mapping.own_refund(state["refunds"]["nodes"], quote.plan[_KNOWN], key, action.amount)
        done = _paid(refund, action) if refund is not None or _processed(state, action) else None
        if done is not None:
            since = datetime.fromisoformat(refund["createdAt"]) if refund else None
            return await self._with_bonus(connection, action, quote, done, since=since or datetime.now(UTC))
        if _processed(state, action) or not quote.plan.get(_AGAIN):
            return None
        try:
            return await self._pay(connection, order, action, quote, key)
        except UserErrors:
            # The first request may have come through between our look and this: then this one was refused.
            state = await self._return(connection, action.return_external_id)
            if return_mapping.own_refund(state["refunds"]["nodes"], quote.plan[_KNOWN], key, action.amount):
                raise PlatformError("it was done just now", retry=True, after=1, code="settling", lost=True) from None
            raise

    async def _credits(self, connection: Connection, customer: str) -> list[str]:
        found = (await self._ask(connection, "StoreCredit", {"id": customer}))["customer"]
        return [id for id, _ in return_mapping.credits_of(found)] if found else []

    async def _with_bonus(
        self, connection: Connection, action: PayReturn, quote: ReturnQuote, done: Done, *, since: datetime | None
    ) -> Done:
        """The credit on top, which has neither a key nor a note. `since`: when its refund was made, where it was found.

        An answer that was lost may still be under way, so a credit that is not there is waited for before it is given.
        """
        if action.bonus is None or action.bonus.amount <= 0:
            return done
        owner = str(quote.plan[_OWNER])
        if since is not None:
            found = (await self._ask(connection, "StoreCredit", {"id": owner}))["customer"]
            if found and return_mapping.new_credit(found, quote.plan[_CREDITS], action.bonus):
                return done
            if datetime.now(UTC) - since < CREDIT_AFTER:
                raise PlatformError(
                    "the refund is done, and the credit on top may be on its way", retry=True,
                    after=CREDIT_AFTER.total_seconds(), code="settling", lost=True,
                )  # fmt: skip
        credit = {"creditAmount": return_mapping.money(action.bonus), "notify": False}
        try:
            await self._ask(connection, "GiveCredit", {"id": owner, "credit": credit})
        except UserErrors as error:
            # The money went back already: what failed is told beside it.
            return Done(done.external_id, done.name, done.amount, "; ".join(filter(None, (done.detail, error.said))))
        except PlatformError as error:
            raise still_open(error) from error
        return done


def _needs(action: ReturnAction) -> list[str]:
    """The optional scopes behind a step."""
    wanted = [return_queries.RETURNS]
    if any(good.disposition is Disposition.RESTOCK for good in _goods(action)):
        wanted.append(return_queries.LOCATIONS)
    if isinstance(action, PayReturn) and action.bonus is not None and action.bonus.amount > 0:
        wanted += [return_queries.CREDIT, return_queries.CREDIT_SEEN]
    return wanted


def _goods(action: ReturnAction) -> Sequence[Any]:
    return (
        action.goods if isinstance(action, ReceiveReturn) else action.restock if isinstance(action, PayReturn) else ()
    )


def _move_of(action: DecideReturn | EndReturn, status: str) -> str:
    if isinstance(action, DecideReturn):
        return "ApproveReturn" if action.approve else "DeclineReturn"
    if action.how is Ending.CANCEL and status in ("REQUESTED", "DECLINED"):
        # Only what is open can be called off: a request that nobody wants any more is declined, without a mail.
        return "DeclineReturn"
    return _ENDINGS[action.how]


def _no(action: DecideReturn | EndReturn) -> dict[str, Any]:
    if isinstance(action, EndReturn):
        return {"declineReason": "OTHER"}
    words = action.note[: return_mapping.DECLINE_LIMIT]
    return {"declineReason": return_mapping.DECLINED.get(action.why, "OTHER"), "declineNote": words or None}


_NOT_OPEN: Final[Mapping[str, str]] = {"REQUESTED": "not_approved"}


def _carries(delivery: Mapping[str, Any], action: LabelReturn) -> bool:
    """Whether this parcel has our label already. Shopify copies the file: a parcel's number counts where it has one."""
    held = delivery.get("deliverable") or {}
    number = str((held.get("tracking") or {}).get("number") or "")
    link = str((held.get("label") or {}).get("publicFileUrl") or "")
    if action.tracking_number:
        return number == action.tracking_number and (bool(link) or not action.label_url)
    return bool(link) and link == action.label_url


def _like(amount: Money) -> tuple[str, int]:
    return amount.currency, amount.exponent


def _process(
    action: PayReturn, lines: Sequence[Mapping[str, Any]], exchange: Sequence[Mapping[str, Any]],
    shipping: Mapping[str, Any] | None, taken: Sequence[tuple[return_mapping.Payment, Money]],
) -> dict[str, Any]:  # fmt: skip
    """The input of `returnProcess`: money goes to where it came from, or becomes store credit (A5.5)."""
    told: dict[str, Any] = {
        "returnId": action.return_external_id,
        "returnLineItems": list(lines),
        "exchangeLineItems": list(exchange),
        "notifyCustomer": False,
    }
    if shipping:
        told["refundShipping"] = dict(shipping)
    if action.amount.amount > 0:
        issue: dict[str, Any] = {
            "orderTransactions": [
                {"parentId": source.id, "transactionAmount": return_mapping.money(part)} for source, part in taken
            ],
            "allowOverRefunding": False,
        }
        if action.credit:
            issue["refundMethods"] = [{"storeCreditRefund": {"amount": return_mapping.money(action.amount)}}]
        told["financialTransfer"] = {"issueRefund": issue}
    return told


def _paid(refund: Mapping[str, Any] | None, action: PayReturn) -> Done | None:
    """What a step made; nothing was to move where there is no record of it. None: the record is missing."""
    if refund is None:
        return None if action.amount.amount else Done(action.return_external_id, amount=action.amount)
    amount, failed = return_mapping.moved(refund)
    return Done(str(refund["id"]), amount=amount, detail=failed)


def _processed(state: Mapping[str, Any], action: PayReturn) -> bool:
    """Whether what was to be processed is not there to be processed any more."""
    if not action.parts:
        return False
    try:
        return_mapping.lines_to_process(state, action.parts)
    except Changed:
        return True
    return False


_Quote = Callable[[ReturnDesk, Connection, str, ReturnAction], Awaitable[ReturnQuote]]
_QUOTES: Final[Mapping[type[ReturnAction], _Quote]] = {
    OpenReturn: ReturnDesk._quote_open,
    DecideReturn: ReturnDesk._quote_moved,
    LabelReturn: ReturnDesk._quote_label,
    ReceiveReturn: ReturnDesk._quote_receive,
    PayReturn: ReturnDesk._quote_pay,
    SendInstead: ReturnDesk._quote_instead,
    EndReturn: ReturnDesk._quote_moved,
}
_Act = Callable[[ReturnDesk, Connection, str, ReturnAction, ReturnQuote, str], Awaitable[Done]]
_ACTS: Final[Mapping[type[ReturnAction], _Act]] = {
    OpenReturn: ReturnDesk._open,
    DecideReturn: ReturnDesk._moved,
    LabelReturn: ReturnDesk._label,
    ReceiveReturn: ReturnDesk._receive,
    PayReturn: ReturnDesk._pay,
    SendInstead: ReturnDesk._instead,
    EndReturn: ReturnDesk._moved,
}
