"""What Shopify says about an order's risk: assessments with facts, disputes at the bank, payments that failed.

Shopify assesses every order of its own checkout by itself; what nobody changed here is a low risk without facts.
"""

from __future__ import annotations

from collections.abc import Callable

from integrations.shopify.simulator import trade
from integrations.shopify.simulator.shop import Shop, gid
from integrations.shopify.simulator.state import Doc

_ADVICE = {"HIGH": "CANCEL", "MEDIUM": "INVESTIGATE", "LOW": "ACCEPT", "NONE": "NONE", "PENDING": "NONE"}


def assess(shop: Shop, number: int, sent: Doc) -> Doc:
    """Shopify, or an app, looks at the order: `level`, and `facts` with what speaks against it."""
    order = trade.need(shop, "orders", number)
    level = str(sent.get("level", "HIGH")).upper()
    if level not in _ADVICE:
        raise ValueError(f"no risk level: {level}")
    facts = [{"description": str(one)[:256], "sentiment": "NEGATIVE"} for one in sent.get("facts") or ()]
    order["_risk"] = {"recommendation": _ADVICE[level], "assessments": [{"riskLevel": level, "facts": facts}]}
    event = trade.save(shop, order)
    shop.emit("orders/risk_assessment_changed", {"order_id": order["id"], "risk_level": level.lower()}, event)
    return order


def dispute(shop: Shop, number: int, sent: Doc) -> Doc:
    """The customer contests the payment at their bank, or the bank decides: `status` as `DisputeStatus` says it."""
    order = trade.need(shop, "orders", number)
    status = str(sent.get("status", "NEEDS_RESPONSE")).upper()
    order["_disputes"] = [{"id": gid("OrderDisputeSummary", order["id"]), "status": status}]
    trade.save(shop, order)
    return order


def fail_payment(shop: Shop, number: int, sent: Doc) -> Doc:
    """So many tries to pay the order failed before it was paid."""
    order = trade.need(shop, "orders", number)
    order["_failed_payments"] = int(sent.get("times", 1))
    trade.save(shop, order)
    return order


def fields(order: Doc) -> Doc:
    """The part of an order's node that speaks of it."""
    lowest = {"recommendation": "ACCEPT", "assessments": [{"riskLevel": "LOW", "facts": []}]}
    return {"risk": order.get("_risk") or lowest, "disputes": order.get("_disputes") or []}


def failed(order: Doc, payment: Doc) -> list[Doc]:
    """The tries that failed, as transactions beside `payment`."""
    return [
        {**payment, "id": gid("OrderTransaction", order["id"] * 10 + 1_000 + place), "status": "FAILURE"}
        for place in range(int(order.get("_failed_payments", 0)))
    ]


VERBS: dict[str, Callable[[Shop, int, Doc], Doc]] = {
    "assess": assess, "dispute": dispute, "fail-payment": fail_payment,
}  # fmt: skip
"""What the control routes of an order offer."""
