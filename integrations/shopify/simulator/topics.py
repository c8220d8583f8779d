"""Webhook topics: which scope each needs (platforms.md A2.8), and how REST and GraphQL spell one."""

from __future__ import annotations

from integrations.shopify.simulator.shop import Shop

COMPLIANCE_TOPICS = frozenset({"customers/data_request", "customers/redact", "shop/redact"})

_NO_SCOPE = frozenset(
    {
        "app/uninstalled",
        "app/scopes_update",
        "shop/update",
        "domains/create",
        "domains/update",
        "domains/destroy",
        "bulk_operations/finish",
        "app_subscriptions/update",
        "app_subscriptions/approaching_capped_amount",
        "customer_account_settings/update",
    }
)
_EXACT = {
    "customers/merge": ("read_customer_merge",),
    "returns/cancel": ("read_returns", "read_orders"),
    "returns/close": ("read_returns", "read_orders"),
    "returns/reopen": ("read_returns", "read_orders"),
}
_BY_FAMILY = {
    "orders": "read_orders",
    "order_transactions": "read_orders",
    "refunds": "read_orders",
    "carts": "read_orders",
    "checkouts": "read_orders",
    "fulfillments": "read_fulfillments",
    "fulfillment_events": "read_fulfillments",
    "returns": "read_returns",
    "reverse_deliveries": "read_returns",
    "reverse_fulfillment_orders": "read_returns",
    "customers": "read_customers",
    "customer": "read_customers",
    "customers_email_marketing_consent": "read_customers",
    "draft_orders": "read_draft_orders",
    "products": "read_products",
    "variants": "read_products",
    "inventory_items": "read_inventory",
    "inventory_levels": "read_inventory",
    "disputes": "read_shopify_payments_disputes",
    "discounts": "read_discounts",
}


def scopes_for(topic: str) -> tuple[str, ...]:
    """The scopes of which one is enough for ``topic``; empty for topics that need none.

    Raises LookupError for a topic the table does not know.
    """
    if topic in _NO_SCOPE or topic in COMPLIANCE_TOPICS:
        return ()
    if topic in _EXACT:
        return _EXACT[topic]
    family = topic.replace(".", "/").partition("/")[0]
    if family not in _BY_FAMILY:
        raise LookupError(topic)
    return (_BY_FAMILY[family],)


def allowed(shop: Shop, topic: str) -> bool:
    """Whether the app may hear of ``topic``; an unknown topic is heard of by nobody."""
    try:
        needed = scopes_for(topic)
    except LookupError:
        return False
    return not needed or any(shop.allows(scope) for scope in needed)


def enum_name(topic: str) -> str:
    """``orders/create`` as ``ORDERS_CREATE``."""
    return topic.replace("/", "_").replace(".", "_").upper()


def toml_subscriptions(shop: Shop) -> list[tuple[str, str, str | None]]:
    """(topic, uri, name) of every subscription of shopify.app.toml, compliance topics among them."""
    found = []
    for block in shop.config["webhooks"].get("subscriptions", []):
        for topic in [*block.get("topics", []), *block.get("compliance_topics", [])]:
            found.append((topic, shop.app_path(block["uri"]), block.get("name")))
    return found
