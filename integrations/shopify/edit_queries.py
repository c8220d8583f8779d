"""Changing the goods of an order: Shopify's order editing, in the four steps that it has.

https://shopify.dev/docs/apps/build/orders-fulfillment/order-management-apps/edit-orders: a session is begun, changes
are staged in it, and only the commit changes the order. A session that is never committed leaves nothing behind.
"""

from __future__ import annotations

from typing import Final

_BOTH = "{ shopMoney { amount currencyCode } presentmentMoney { amount currencyCode } }"
_CALCULATED = f"id totalPriceSet {_BOTH}"

_STATE: Final = f"""
query EditState($id: ID!) {{
  order(id: $id) {{
    id name email cancelledAt displayFulfillmentStatus merchantEditable merchantEditableErrors presentmentCurrencyCode
    currentTotalPriceSet {_BOTH}
    totalOutstandingSet {_BOTH}
    lineItems(first: 100) {{
      nodes {{ id title variantTitle currentQuantity unfulfilledQuantity variant {{ id }} }}
    }}
    suggestedRefund(suggestFullRefund: true, refundShipping: true) {{
      suggestedTransactions {{
        gateway formattedGateway amountSet {_BOTH}
        parentTransaction {{ id manualPaymentGateway }}
      }}
    }}
  }}
}}
"""

_BEGIN: Final = f"""
mutation EditBegin($id: ID!) {{
  orderEditBegin(id: $id) {{
    calculatedOrder {{ {_CALCULATED} lineItems(first: 100) {{ nodes {{ id quantity editableQuantity }} }} }}
    userErrors {{ field message }}
  }}
}}
"""

_SET: Final = f"""
mutation EditSetQuantity($id: ID!, $line: ID!, $quantity: Int!) {{
  orderEditSetQuantity(id: $id, lineItemId: $line, quantity: $quantity, restock: true) {{
    calculatedOrder {{ {_CALCULATED} }}
    userErrors {{ field message }}
  }}
}}
"""

_ADD: Final = f"""
mutation EditAddVariant($id: ID!, $variant: ID!, $quantity: Int!) {{
  orderEditAddVariant(id: $id, variantId: $variant, quantity: $quantity, allowDuplicates: true) {{
    calculatedOrder {{ {_CALCULATED} }}
    userErrors {{ field message }}
  }}
}}
"""

_COMMIT: Final = """
mutation EditCommit($id: ID!, $notify: Boolean, $note: String) {
  orderEditCommit(id: $id, notifyCustomer: $notify, staffNote: $note) {
    order { id updatedAt }
    userErrors { field message }
  }
}
"""

_INVOICE: Final = """
mutation OrderInvoice($id: ID!) {
  orderInvoiceSend(id: $id) {
    order { id updatedAt }
    userErrors { field message }
  }
}
"""

_PLACE: Final = """
mutation DraftComplete($id: ID!) {
  draftOrderComplete(id: $id) {
    draftOrder { id status order { id name } }
    userErrors { field message }
  }
}
"""

OPERATIONS: Final[dict[str, str]] = {
    "EditState": _STATE,
    "EditBegin": _BEGIN,
    "EditSetQuantity": _SET,
    "EditAddVariant": _ADD,
    "EditCommit": _COMMIT,
    "OrderInvoice": _INVOICE,
    "DraftComplete": _PLACE,
}

SCOPES: Final[dict[str, tuple[str, ...]]] = {"EditState": ("read_orders", "read_products")}
"""What that needs which only reads."""

OPTIONAL: Final[dict[str, tuple[str, ...]]] = {
    **dict.fromkeys(("EditBegin", "EditSetQuantity", "EditAddVariant", "EditCommit"), ("write_order_edits",)),
    "OrderInvoice": ("write_orders",),
    "DraftComplete": ("write_draft_orders",),
}
"""What the others need (https://shopify.dev/docs/api/usage/access-scopes); nobody has to give it."""
