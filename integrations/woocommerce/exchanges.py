"""What goes out instead at WooCommerce, which knows no exchange: an order of its own, once.

Its lines cost what was promised; what came back stands in it as a fee below zero, named by our return. What is still
owed waits for its money as any order does (`pending`), the rest is to be packed (`processing`). Our key lies in the
order's metadata, so a lost answer is looked for and nothing is made twice (docs/decisions/order-actions.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from integrations.woocommerce import refund_mapping
from integrations.woocommerce.actions import MARK
from integrations.woocommerce.client import StoreClient
from plugin.kernel.money import Money, parse
from plugin.platform import Done, PlatformError
from plugin.return_desk import ReturnAction, ReturnQuote, SendInstead, mark

_EMAIL: Final = "email"
_LATEST: Final = 20


def quote(held: Mapping[str, Any], action: SendInstead) -> ReturnQuote:
    """The order as it will be made. Pure."""
    lines: list[dict[str, Any]] = []
    worth = 0
    for part in action.parts:
        variant, product = int(part.variant_external_id), int(part.product_external_id or part.variant_external_id)
        price = part.price if part.price is not None else Money(0, action.owed.currency, action.owed.exponent)
        total = str(Money(price.amount * part.quantity, price.currency, price.exponent).decimal())
        line = {"product_id": product, "quantity": part.quantity, "subtotal": total, "total": total}
        lines.append({**line, "variation_id": variant} if variant != product else line)
        worth += price.amount * part.quantity
    settled = Money(action.owed.amount - worth, action.owed.currency, action.owed.exponent)
    fee = {"name": action.number, "total": str(settled.decimal()), "tax_status": "none"}
    billing = dict(held.get("billing") or {})
    plan = {
        "line_items": lines,
        "fee_lines": [fee] if settled.amount else [],
        "billing": billing,
        "shipping": dict(held.get("shipping") or {}),
        "customer_id": int(held.get("customer_id") or 0),
        "currency": str(held["currency"]),
        "status": "pending" if action.owed.amount else "processing",
        "customer_note": action.number,
    }
    return ReturnQuote(plan=plan, notes=("store_mails",) if not action.owed.amount else ())


async def send(client: StoreClient, order: str, action: ReturnAction, quote: ReturnQuote, key: str) -> Done:
    """Make the order. What it comes to is brought to what was promised, should the shop's taxes say otherwise."""
    assert isinstance(action, SendInstead)
    marks = [{"key": MARK, "value": key}, {"key": "_ahlan_return", "value": mark(action.number, key)}]
    made = (await client.post("orders", {**quote.plan, "meta_data": marks})).body
    return await _evened(client, made, action)


async def found(client: StoreClient, action: SendInstead, quote: ReturnQuote, key: str) -> Done | None:
    """The order that we made, if it is there."""
    email = (quote.plan.get("billing") or {}).get(_EMAIL)
    latest = {"per_page": _LATEST, "orderby": "date", "order": "desc"}
    for row in (await client.get("orders", **latest, search=email or None)).body:
        if any(meta.get("key") == MARK and meta.get("value") == key for meta in row.get("meta_data") or ()):
            return await _evened(client, row, action)
    return None


async def _evened(client: StoreClient, made: Mapping[str, Any], action: SendInstead) -> Done:
    total = _total(made, action)
    if total != action.owed and made.get("fee_lines") and str(made.get("status")) in ("pending", "processing"):
        fee = made["fee_lines"][0]
        now = parse(str(fee["total"]), action.owed.currency, action.owed.exponent)[0]
        even = now + action.owed - total
        told = {"fee_lines": [{"id": fee["id"], "total": str(even.decimal())}]}
        try:
            made = (await client.put(f"orders/{int(made['id'])}", told)).body
        except PlatformError as error:
            if error.retry:
                raise PlatformError(error.said, retry=True, after=error.after, code=error.code, lost=True) from error
    total = _total(made, action)
    said = "" if total == action.owed else f"the order comes to {made['total']}"
    return Done(str(made["id"]), f"#{made.get('number') or made['id']}", total, said)


def _total(made: Mapping[str, Any], action: SendInstead) -> Money:
    places = max(refund_mapping.places(made), action.owed.exponent)
    return parse(str(made["total"]), action.owed.currency, places)[0]
