"""What Ahlan does to an order: the operations, and the optional scope that each of them needs.

None of them runs unless the merchant gave the scope; the panel asks for it when somebody wants to act
(platforms.md A1.8). `queries` holds them beside the others.
"""

from __future__ import annotations

from typing import Final

from integrations.shopify import edit_queries

_BOTH = "{ shopMoney { amount currencyCode } presentmentMoney { amount currencyCode } }"

# `@idempotent` is demanded when it runs and not shown by the schema (platforms.md A5.5).
_REFUND_QUOTE: Final = f"""
query RefundQuote($id: ID!, $lines: [RefundLineItemInput!], $shipping: Boolean, $whole: Boolean) {{
  order(id: $id) {{
    id cancelledAt presentmentCurrencyCode displayFinancialStatus
    lineItems(first: 100) {{ nodes {{ id title variantTitle refundableQuantity unfulfilledQuantity }} }}
    suggestedRefund(refundLineItems: $lines, refundShipping: $shipping, suggestFullRefund: $whole) {{
      amountSet {_BOTH}
      maximumRefundableSet {_BOTH}
      totalTaxSet {_BOTH}
      shipping {{ amountSet {_BOTH} maximumRefundableSet {_BOTH} }}
      refundLineItems {{ quantity subtotalSet {_BOTH} totalTaxSet {_BOTH} lineItem {{ id }} }}
      suggestedTransactions {{
        gateway formattedGateway amountSet {_BOTH}
        parentTransaction {{ id manualPaymentGateway }}
      }}
    }}
  }}
}}
"""

_REFUND_CREATE: Final = f"""
mutation RefundCreate($input: RefundInput!, $key: String!) {{
  refundCreate(input: $input) @idempotent(key: $key) {{
    refund {{
      id
      totalRefundedSet {_BOTH}
      transactions(first: 10) {{ nodes {{ id status gateway amountSet {_BOTH} }} }}
    }}
    userErrors {{ field message }}
  }}
}}
"""

_ORDER_STATE: Final = f"""
query OrderState($id: ID!) {{
  order(id: $id) {{
    id name email phone note tags cancelledAt displayFulfillmentStatus displayFinancialStatus
    customer {{ id }}
    currencyCode
    totalOutstandingSet {_BOTH}
    suggestedRefund(suggestFullRefund: true, refundShipping: true) {{ amountSet {_BOTH} }}
    shippingAddress {{
      firstName lastName company address1 address2 city province provinceCode zip countryCodeV2 phone
    }}
    lineItems(first: 100) {{
      nodes {{ id title quantity currentQuantity originalUnitPriceSet {_BOTH} variant {{ id }} }}
    }}
  }}
}}
"""

_ORDER_CANCEL: Final = """
mutation OrderCancel($id: ID!, $reason: OrderCancelReason!, $restock: Boolean!, $refund: OrderCancelRefundMethodInput!,
  $notify: Boolean, $note: String) {
  orderCancel(orderId: $id, reason: $reason, restock: $restock, refundMethod: $refund, notifyCustomer: $notify,
    staffNote: $note) {
    job { id done }
    orderCancelUserErrors { field message code }
  }
}
"""

_JOB: Final = """
query JobStatus($id: ID!) {
  job(id: $id) { id done }
}
"""

_ORDER_UPDATE: Final = """
mutation OrderUpdate($input: OrderInput!) {
  orderUpdate(input: $input) {
    order { id updatedAt }
    userErrors { field message }
  }
}
"""

_TAGS_ADD: Final = """
mutation TagsAdd($id: ID!, $tags: [String!]!) {
  tagsAdd(id: $id, tags: $tags) {
    node { id }
    userErrors { field message }
  }
}
"""

_TAGS_REMOVE: Final = """
mutation TagsRemove($id: ID!, $tags: [String!]!) {
  tagsRemove(id: $id, tags: $tags) {
    node { id }
    userErrors { field message }
  }
}
"""

_DISCOUNT_CREATE: Final = """
mutation DiscountCreate($discount: DiscountCodeBasicInput!) {
  discountCodeBasicCreate(basicCodeDiscount: $discount) {
    codeDiscountNode { id }
    userErrors { field message code }
  }
}
"""

_DISCOUNT_BY_CODE: Final = """
query DiscountByCode($code: String!) {
  codeDiscountNodeByCode(code: $code) { id }
}
"""

_DISCOUNT_END: Final = """
mutation DiscountEnd($id: ID!) {
  discountCodeDeactivate(id: $id) {
    codeDiscountNode { id }
    userErrors { field message code }
  }
}
"""

_DRAFT_CREATE: Final = f"""
mutation DraftCreate($input: DraftOrderInput!) {{
  draftOrderCreate(input: $input) {{
    draftOrder {{ id name totalPriceSet {_BOTH} }}
    userErrors {{ field message }}
  }}
}}
"""

_DRAFT_BY_TAG: Final = f"""
query DraftByTag($query: String!) {{
  draftOrders(first: 1, query: $query) {{ nodes {{ id name invoiceSentAt order {{ id name }} totalPriceSet {_BOTH} }} }}
}}
"""

_DRAFT_INVOICE: Final = """
mutation DraftInvoice($id: ID!, $email: EmailInput) {
  draftOrderInvoiceSend(id: $id, email: $email) {
    draftOrder { id invoiceSentAt }
    userErrors { field message }
  }
}
"""

# Both are bearer links (platforms.md A5.7): asked for when somebody wants one, and never written down.
_DRAFT_LINK: Final = """
query DraftLink($id: ID!) {
  draftOrder(id: $id) { id status invoiceUrl }
}
"""

_ORDER_LINK: Final = f"""
query OrderLink($id: ID!) {{
  order(id: $id) {{
    id cancelledAt totalOutstandingSet {_BOTH}
    paymentCollectionDetails {{ additionalPaymentCollectionUrl }}
  }}
}}
"""

OPERATIONS: Final[dict[str, str]] = {
    "RefundQuote": _REFUND_QUOTE,
    "RefundCreate": _REFUND_CREATE,
    "OrderState": _ORDER_STATE,
    "OrderCancel": _ORDER_CANCEL,
    "JobStatus": _JOB,
    "OrderUpdate": _ORDER_UPDATE,
    "TagsAdd": _TAGS_ADD,
    "TagsRemove": _TAGS_REMOVE,
    "DiscountCreate": _DISCOUNT_CREATE,
    "DiscountByCode": _DISCOUNT_BY_CODE,
    "DiscountEnd": _DISCOUNT_END,
    "DraftCreate": _DRAFT_CREATE,
    "DraftByTag": _DRAFT_BY_TAG,
    "DraftInvoice": _DRAFT_INVOICE,
    "DraftLink": _DRAFT_LINK,
    "OrderLink": _ORDER_LINK,
    **edit_queries.OPERATIONS,
}

SCOPES: Final[dict[str, tuple[str, ...]]] = {
    "RefundQuote": ("read_orders",),
    "OrderState": ("read_orders", "read_customers", "read_products"),
    "OrderLink": ("read_orders",),
    **edit_queries.SCOPES,
}
"""What those need that only read."""

OPTIONAL: Final[dict[str, tuple[str, ...]]] = {
    **dict.fromkeys(("RefundCreate", "OrderCancel", "OrderUpdate", "TagsAdd", "TagsRemove"), ("write_orders",)),
    **dict.fromkeys(("DiscountCreate", "DiscountByCode", "DiscountEnd"), ("write_discounts",)),
    **dict.fromkeys(("DraftCreate", "DraftByTag", "DraftInvoice", "DraftLink"), ("write_draft_orders",)),
    **edit_queries.OPTIONAL,
}
"""What the others need (https://shopify.dev/docs/api/usage/access-scopes); nobody has to give it."""
