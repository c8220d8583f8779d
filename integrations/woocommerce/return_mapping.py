"""A WooCommerce order as something that may go back, and what we write on it about returns. Pure.

WooCommerce knows no returns: each of ours is an entry of the order's metadata, its units are known by the refunds that
carry its number, and what was sent is what was completed.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b32encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from integrations.woocommerce import mapping, refund_mapping
from integrations.woocommerce.refund_mapping import ITEM, SHIPPING, Json, Part, Plan
from plugin.kernel.digits import whole
from plugin.kernel.money import Money, exponent_of
from plugin.return_desk import (
    RISKS,
    Disposed,
    Disposition,
    Paid,
    PayReturn,
    ReturnableLine,
    ReturnableOrder,
    ReturnPart,
    Shipped,
    Sign,
    marked,
)

RETURN_META: Final = "_ahlan_return_"
"""Metadata of an order by the number of a return: its status and its parts."""
BEFORE_META: Final = "_ahlan_return_before"
"""The status that the order had before its first return; our plugin keeps it from being told to the customer twice."""
UNDER_WAY: Final = frozenset({"requested", "open"})
_GIFT_CARDS: Final = frozenset({"gift-card", "gift_card", "pw-gift-card"})


@dataclass(frozen=True, slots=True)
class Held:
    """A return as the order's metadata keeps it. `parts` are units by line."""

    number: str
    status: str
    parts: Mapping[int, int] = field(default_factory=dict)


# --- reading --------------------------------------------------------------------------------------------------------


def order(
    document: Json, refunds: Sequence[Json], products: Mapping[int, Json], *, gateway: str, automatic: bool,
    role: str = "",
) -> ReturnableOrder:  # fmt: skip
    """An order with everything that a policy asks about; `gateway` is how it was paid, `role` its user's."""
    decimals, currency = refund_mapping.places(document), str(document["currency"])

    def money(amount: int) -> Money:
        return money_of(amount, decimals, currency)

    parts = refund_mapping.parts_of(document, refunds)
    left = refund_mapping.left_of(document, refunds) if document.get("date_paid_gmt") else 0
    whole = refund_mapping.minor(document["total"], decimals) if document.get("date_paid_gmt") else 0
    sent = _time(document.get("date_completed_gmt"))
    waiting = under_way(document, refunds)
    delivery = [part for part in parts if part.kind == SHIPPING]
    paid = sum(value_of(part) for part in delivery)
    documents = {int(line["id"]): line for line in document.get("line_items") or ()}
    shipping, billing = document.get("shipping") or {}, document.get("billing") or {}
    return ReturnableOrder(
        external_id=str(document["id"]),
        name=f"#{document.get('number') or document['id']}",
        placed_at=_time(document.get("date_created_gmt")) or datetime.fromtimestamp(0, UTC),
        paid=money(whole),
        refunded=money(whole - left),
        delivery=money(paid),
        delivery_gone=money(paid - sum(part.value_left for part in delivery)),
        lines=tuple(
            _line(part, documents[part.id], products, money, sent, waiting.get(part.id, 0))
            for part in parts
            if part.kind == ITEM
        ),
        payments=(Paid(gateway, money(left), not automatic),) if whole else (),
        country=str(shipping.get("country") or billing.get("country") or ""),
        customer_external_id=str(document["customer_id"]) if document.get("customer_id") else "",
        customer_tags=(role,) if role else (),
        cancelled=document["status"] in ("cancelled", "trash"),
        store_credit=bool(billing.get("email")),
        signs=tuple(_signs(document)),
        risk_words=tuple(_risk_words(document)),
    )


_RISK_LEVEL, _OUTCOME, _BOX, _WARNING, _DISPUTES = (
    "_charge_risk_level", "_wcpay_fraud_outcome_status", "_wcpay_fraud_meta_box_type", "_wcpay_early_fraud_warning",
    "_wcpay_open_dispute_ids",
)  # fmt: skip
_APPROVED = ("allow", "review_allowed")
"""What the box on the order says once the merchant let a payment through that was held."""


def _signs(document: Json) -> Iterator[Sign]:
    """WooCommerce checks nothing itself; WooPayments leaves what it found in the order's metadata (B31).

    Disputes are there while they are open, and from WooCommerce 11.0 on.
    """
    if any(_risk_words(document)):
        yield Sign.RISK
    if _metas(document).get(_DISPUTES):
        yield Sign.DISPUTE
    billed, sent = ((document.get(part) or {}).get("country") for part in ("billing", "shipping"))
    if billed and sent and billed != sent:
        yield Sign.COUNTRIES


def _risk_words(document: Json) -> Iterator[str]:
    """What WooPayments found, by the names of `return_desk.RISKS`."""
    metas = _metas(document)
    level, outcome, warning = metas.get(_RISK_LEVEL), metas.get(_OUTCOME), metas.get(_WARNING)
    if level in ("elevated", "highest"):
        yield f"payments.risk_{level}"
    if outcome == "review" and metas.get(_BOX) not in _APPROVED:
        yield "payments.held"
    if outcome == "block":
        yield "payments.blocked"
    if isinstance(warning, Mapping):
        named = f"payments.warning.{warning.get('fraud_type')}"
        yield named if named in RISKS else "payments.warning"


def _metas(document: Json) -> dict[str, Any]:
    return {str(meta.get("key")): meta.get("value") for meta in document.get("meta_data") or ()}


def _line(
    part: Part, line: Json, products: Mapping[int, Json], money: Any, sent: datetime | None, waiting: int
) -> ReturnableLine:
    product = products.get(int(line.get("product_id") or 0)) or {}
    shown = [f"{meta['display_value']}" for meta in line.get("meta_data") or ()
             if meta.get("display_value") and not str(meta.get("key")).startswith("_")]  # fmt: skip
    brands = product.get("brands") or ()
    return ReturnableLine(
        external_id=str(part.id),
        title=part.title,
        quantity=part.quantity,
        gone=part.quantity - part.left,
        returnable=max(0, part.left - waiting) if sent else 0,
        paid=money(value_of(part)),
        tax=money(sum(part.taxes.values())),
        variant_title=", ".join(shown),
        sku=str(line.get("sku") or ""),
        image_url=str((line.get("image") or {}).get("src") or ""),
        product_external_id=str(line.get("product_id") or ""),
        # WooCommerce knows no product types: what kind of goods something is, its categories say.
        product_types=tuple(mapping.term_name(category) for category in product.get("categories") or ()),
        variant_external_id=str(line.get("variation_id") or line.get("product_id") or ""),
        vendor=mapping.term_name(brands[0]) if brands else "",
        tags=tuple(mapping.term_name(tag) for tag in product.get("tags") or ()),
        collections=tuple(str(category["slug"]) for category in product.get("categories") or ()),
        gift_card=str(product.get("type")) in _GIFT_CARDS,
        needs_shipping=not product.get("virtual", False),
        bundle=str(line.get("bundled_by") or ""),
        shipped=(Shipped("", part.quantity, sent),) if sent else (),
    )


def value_of(part: Part) -> int:
    """What a part cost, with its taxes."""
    return part.total + sum(part.taxes.values())


def returns_of(document: Json) -> list[Held]:
    """Every return that we wrote on the order."""
    found = []
    for meta in document.get("meta_data") or ():
        key = str(meta.get("key"))
        if key.startswith(RETURN_META) and key != BEFORE_META and meta.get("value"):
            told = json.loads(str(meta["value"]))
            parts = {int(line): int(count) for line, count in told["parts"].items()}
            found.append(Held(key.removeprefix(RETURN_META), str(told["status"]), parts))
    return found


def under_way(document: Json, refunds: Sequence[Json], apart: str = "") -> dict[int, int]:
    """Units by line that are in a return and were not given back yet; `apart` from one of them."""
    gone: dict[tuple[str, int], int] = {}
    for refund in refunds:
        mark = marked(str(refund.get("reason") or ""))
        for line in (refund.get(ITEM) or ()) if mark else ():
            key = (mark[0] if mark else "", refund_mapping.refunded_item(line))
            gone[key] = gone.get(key, 0) - int(line.get("quantity") or 0)
    found: dict[int, int] = {}
    for held in returns_of(document):
        if held.status in UNDER_WAY and held.number != apart:
            for line, count in held.parts.items():
                found[line] = found.get(line, 0) + max(0, count - gone.get((held.number, line), 0))
    return found


# --- writing --------------------------------------------------------------------------------------------------------


def entry(held: Held) -> dict[str, str]:
    """The metadata of a return."""
    parts = {str(line): count for line, count in held.parts.items()}
    return {"key": f"{RETURN_META}{held.number}", "value": json.dumps({"status": held.status, "parts": parts})}


def quantities(parts: Iterable[ReturnPart]) -> dict[int, int]:
    """Units by line. Raises ValueError for what is no line of WooCommerce's or no number of units."""
    found: dict[int, int] = {}
    for part in parts:
        line = whole(part.line_external_id, 2**63 - 1)
        if line is None or part.quantity <= 0:
            raise ValueError(f"no {part.quantity} of line {part.line_external_id}")
        found[line] = found.get(line, 0) + part.quantity
    return found


def plan(document: Json, refunds: Sequence[Json], action: PayReturn) -> tuple[Plan, int]:
    """What would go back, and what WooCommerce's own shares of these units are, without fees.

    Raises ValueError where it does not fit what is left. A shop that writes fewer decimals than the currency has gives
    back what it can write, never more.
    """
    decimals = refund_mapping.places(document)
    wanted = quantities(action.parts)
    delivery = in_shop(action.delivery, decimals) if action.delivery else 0
    made = refund_mapping.plan_return(
        document, refunds, quantities=wanted, delivery=delivery, amount=in_shop(action.amount, decimals)
    )
    own = delivery - sum(in_shop(off, decimals) for off in (action.fees, action.used) if off)
    for part in refund_mapping.parts_of(document, refunds):
        count = wanted.get(part.id, 0) if part.kind == ITEM else 0
        if count:
            gone = part.quantity - part.left
            own += _share(value_of(part), gone + count, part.quantity) - _share(value_of(part), gone, part.quantity)
    return made, max(0, own)


def _share(whole: int, count: int, of: int) -> int:
    return (2 * whole * count + of) // (2 * of)


def restocks(action: PayReturn) -> tuple[bool, bool]:
    """(put everything back, it has to be done by hand): WooCommerce restocks all units of a refund or none."""
    back: dict[str, int] = {}
    for good in action.restock:
        if good.disposition is Disposition.RESTOCK:
            back[good.line_external_id] = back.get(good.line_external_id, 0) + good.quantity
    if not back:
        return False, False
    units: dict[str, int] = {}
    for part in action.parts:
        units[part.line_external_id] = units.get(part.line_external_id, 0) + part.quantity
    return back == units, back != units


def units_only(planned: Plan) -> list[dict[str, Any]]:
    """The lines of a refund that takes units back and moves no money."""
    return [
        {"id": back.part.id, "quantity": back.quantity, "refund_total": "0"}
        for back in planned.parts
        if back.part.kind == ITEM
    ]


def credit_entry(planned: Plan, key: str, decimals: int) -> dict[str, str]:
    """Metadata that says what of each line became store credit; `refund_mapping.credits_of` reads it."""
    lines = [
        {
            "id": back.part.id,
            "total": refund_mapping.spelled(back.total, decimals),
            "taxes": {str(tax): refund_mapping.spelled(value, decimals) for tax, value in back.taxes.items()},
        }
        for back in planned.parts
    ]
    told = {"amount": refund_mapping.spelled(planned.amount, decimals), "lines": lines}
    return {"key": f"{refund_mapping.CREDIT_META}{key}", "value": json.dumps(told)}


def coupon_code(key: str) -> str:
    """The code of a credit: the same for the same step, and nothing that anybody guesses (80 bits)."""
    return "CREDIT-" + b32encode(hashlib.sha256(f"credit:{key}".encode()).digest()[:10]).decode()


def goods_note(goods: Iterable[Disposed], titles: Mapping[str, str]) -> str:
    """What became of the goods, for whoever reads the order's notes."""
    words = {Disposition.RESTOCK: "+", Disposition.DAMAGED: "damaged", Disposition.MISSING: "missing"}
    return ", ".join(
        f"{good.quantity} × {titles.get(good.line_external_id, good.line_external_id)} ({words[good.disposition]})"
        for good in goods
    )


# --- money ----------------------------------------------------------------------------------------------------------


def money_of(amount: int, decimals: int, currency: str) -> Money:
    """An amount in the shop's smallest unit as money."""
    exponent = max(exponent_of(currency), decimals)
    return Money(amount * 10 ** (exponent - decimals), currency.upper(), exponent)


def in_shop(amount: Money, decimals: int) -> int:
    """The inverse, rounded down."""
    return int(amount.amount // 10 ** (amount.exponent - decimals))


def _time(text: Any) -> datetime | None:
    return datetime.fromisoformat(f"{text}".rstrip("Z")).replace(tzinfo=UTC) if text else None
