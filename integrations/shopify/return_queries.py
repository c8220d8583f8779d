"""What Ahlan asks and does about returns at Shopify: the operations, and the scopes that each of them needs.

`read_returns` and `read_fulfillments` are there from the start; whatever writes runs only after the merchant gave its
optional scope (platforms.md A5.4). `queries` holds these beside the others.
"""

from __future__ import annotations

from typing import Final

LINES_PAGE: Final = 25
UNITS_PAGE: Final = 8
TRIES: Final = 20
"""As many transactions as are asked for with the order; with so many there may be more (`OrderPayments`)."""

_BOTH = "{ shopMoney { amount currencyCode } presentmentMoney { amount currencyCode } }"
# The customer's own currency: what they paid is what goes back.
_CHARGED = "{ presentmentMoney { amount currencyCode } }"

_RETURNABLE_ORDER: Final = f"""
query ReturnableOrder($id: ID!) {{
  order(id: $id) {{
    id name processedAt cancelledAt taxesIncluded presentmentCurrencyCode
    totalRefundedSet {_CHARGED}
    customer {{ id tags }}
    shippingAddress {{ countryCodeV2 }}
    billingAddress {{ countryCodeV2 }}
    shippingLines(first: 5) {{ nodes {{ id discountedPriceSet {_CHARGED} taxLines {{ priceSet {_CHARGED} }} }} }}
    transactions(first: {TRIES}) {{
      id kind status gateway formattedGateway manualPaymentGateway amountSet {_CHARGED}
      parentTransaction {{ id }}
    }}
    risk {{ recommendation assessments {{ riskLevel facts {{ description sentiment }} }} }}
    disputes {{ id status }}
    refunds(first: 15) {{
      id refundShippingLines(first: 3) {{ nodes {{ id subtotalAmountSet {_CHARGED} taxAmountSet {_CHARGED} }} }}
    }}
    fulfillments(first: 8) {{
      id status createdAt deliveredAt
      events(first: 3, sortKey: HAPPENED_AT, reverse: true) {{ nodes {{ id status happenedAt }} }}
      fulfillmentLineItems(first: 30) {{ nodes {{ id quantity lineItem {{ id }} }} }}
    }}
  }}
}}
"""

# Every try is one of them, and the one that paid is among the last.
_ORDER_PAYMENTS: Final = f"""
query OrderPayments($id: ID!) {{
  order(id: $id) {{
    id
    transactions(first: 200) {{
      id kind status gateway formattedGateway manualPaymentGateway amountSet {_CHARGED}
      parentTransaction {{ id }}
    }}
  }}
}}
"""

# `discountAllocations` hold the order's own discounts too, which `discountedTotalSet` leaves out.
_RETURNABLE_LINES: Final = f"""
query ReturnableLines($id: ID!, $first: Int!, $after: String) {{
  order(id: $id) {{
    id
    lineItems(first: $first, after: $after) {{
      pageInfo {{ hasNextPage endCursor }}
      nodes {{
        id title variantTitle sku vendor quantity currentQuantity refundableQuantity requiresShipping isGiftCard
        originalTotalSet {_CHARGED}
        discountAllocations {{ allocatedAmountSet {_CHARGED} }}
        taxLines {{ priceSet {_CHARGED} }}
        image {{ url }}
        variant {{ id }}
        product {{ id productType tags collections(first: 10) {{ nodes {{ id handle }} }} }}
        lineItemGroup {{ id }}
      }}
    }}
  }}
}}
"""

_RETURNABLE_UNITS: Final = """
query ReturnableUnits($id: ID!, $first: Int!, $after: String) {
  returnableFulfillments(orderId: $id, first: $first, after: $after) {
    pageInfo { hasNextPage endCursor }
    nodes {
      id
      returnableFulfillmentLineItems(first: 30) {
        nodes { quantity fulfillmentLineItem { id lineItem { id } } }
      }
    }
  }
}
"""

_RETURN_REASONS: Final = """
query ReturnReasons($first: Int!, $after: String) {
  returnReasonDefinitions(first: $first, after: $after) {
    pageInfo { hasNextPage endCursor }
    nodes { id handle deleted }
  }
}
"""

_ORDER_RETURNS: Final = """
query OrderReturns($id: ID!) {
  order(id: $id) {
    id
    returns(first: 20, reverse: true) {
      nodes {
        id name status
        returnLineItems(first: 20) { nodes { id quantity customerNote returnReasonNote } }
      }
    }
  }
}
"""

_RETURN_GOODS: Final = """
query ReturnGoods($id: ID!) {
  return(id: $id) {
    id
    returnLineItems(first: 50) {
      nodes {
        id quantity customerNote returnReasonNote
        ... on ReturnLineItem { fulfillmentLineItem { id lineItem { id } } }
      }
    }
  }
}
"""

_RETURN_STATE: Final = f"""
query ReturnState($id: ID!) {{
  return(id: $id) {{
    id name status
    order {{ id taxesIncluded presentmentCurrencyCode customer {{ id }} }}
    returnLineItems(first: 50) {{
      nodes {{
        id quantity processableQuantity processedQuantity refundableQuantity
        ... on ReturnLineItem {{ fulfillmentLineItem {{ id lineItem {{ id }} }} }}
      }}
    }}
    exchangeLineItems(first: 20) {{ nodes {{ id quantity processableQuantity }} }}
    refunds(first: 20) {{
      nodes {{
        id note createdAt totalRefundedSet {_BOTH}
        transactions(first: 5) {{ nodes {{ id status gateway amountSet {_BOTH} }} }}
      }}
    }}
  }}
}}
"""

_RETURN_PARCELS: Final = """
query ReturnParcels($id: ID!) {
  return(id: $id) {
    id status
    reverseFulfillmentOrders(first: 5) {
      nodes {
        id status
        lineItems(first: 20) {
          nodes {
            id totalQuantity
            fulfillmentLineItem { id lineItem { id } }
            dispositions { type quantity }
          }
        }
        reverseDeliveries(first: 5) {
          nodes {
            id
            deliverable {
              ... on ReverseDeliveryShippingDeliverable { tracking { number url } label { publicFileUrl } }
            }
          }
        }
      }
    }
  }
}
"""

_RETURN_OUTCOME: Final = f"""
query ReturnOutcome($id: ID!, $lines: [SuggestedOutcomeReturnLineItemInput!]!,
  $exchange: [SuggestedOutcomeExchangeLineItemInput!]!, $shipping: RefundShippingInput) {{
  return(id: $id) {{
    id
    suggestedFinancialOutcome(returnLineItems: $lines, exchangeLineItems: $exchange, refundShipping: $shipping) {{
      maximumRefundable {_CHARGED}
      totalAdditionalFees {_CHARGED}
      shipping {{ maximumRefundableSet {_CHARGED} }}
      financialTransfer {{
        ... on RefundReturnOutcome {{
          amount {_CHARGED}
          suggestedTransactions {{
            gateway formattedGateway amountSet {_CHARGED} maximumRefundableSet {_CHARGED}
            parentTransaction {{ id manualPaymentGateway }}
          }}
        }}
        ... on InvoiceReturnOutcome {{ amount {_CHARGED} }}
      }}
    }}
  }}
}}
"""

_RETURN_ORDER: Final = """
query ReturnOrder($id: ID!) {
  return(id: $id) { id order { id } }
}
"""

_REQUEST_RETURN: Final = """
mutation RequestReturn($input: ReturnRequestInput!) {
  returnRequest(input: $input) {
    return { id name status }
    userErrors { field message code }
  }
}
"""

_CREATE_RETURN: Final = """
mutation CreateReturn($input: ReturnInput!) {
  returnCreate(returnInput: $input) {
    return { id name status }
    userErrors { field message code }
  }
}
"""

_APPROVE_RETURN: Final = """
mutation ApproveReturn($input: ReturnApproveRequestInput!) {
  returnApproveRequest(input: $input) {
    return { id name status }
    userErrors { field message code }
  }
}
"""

_DECLINE_RETURN: Final = """
mutation DeclineReturn($input: ReturnDeclineRequestInput!) {
  returnDeclineRequest(input: $input) {
    return { id name status }
    userErrors { field message code }
  }
}
"""

_CANCEL_RETURN: Final = """
mutation CancelReturn($id: ID!) {
  returnCancel(id: $id) {
    return { id name status }
    userErrors { field message code }
  }
}
"""

_CLOSE_RETURN: Final = """
mutation CloseReturn($id: ID!) {
  returnClose(id: $id) {
    return { id name status }
    userErrors { field message code }
  }
}
"""

_REOPEN_RETURN: Final = """
mutation ReopenReturn($id: ID!) {
  returnReopen(id: $id) {
    return { id name status }
    userErrors { field message code }
  }
}
"""

# Shopify would write to the customer unless it is told not to (platforms.md A5.4): the return's own messages are ours.
_LABEL_RETURN: Final = """
mutation LabelReturn($order: ID!, $lines: [ReverseDeliveryLineItemInput!]!, $label: ReverseDeliveryLabelInput,
  $tracking: ReverseDeliveryTrackingInput, $notify: Boolean!) {
  reverseDeliveryCreateWithShipping(reverseFulfillmentOrderId: $order, reverseDeliveryLineItems: $lines,
    labelInput: $label, trackingInput: $tracking, notifyCustomer: $notify) {
    reverseDelivery { id }
    userErrors { field message code }
  }
}
"""

_RELABEL_RETURN: Final = """
mutation RelabelReturn($id: ID!, $label: ReverseDeliveryLabelInput, $tracking: ReverseDeliveryTrackingInput,
  $notify: Boolean!) {
  reverseDeliveryShippingUpdate(reverseDeliveryId: $id, labelInput: $label, trackingInput: $tracking,
    notifyCustomer: $notify) {
    reverseDelivery { id }
    userErrors { field message code }
  }
}
"""

_DISPOSE_RETURN: Final = """
mutation DisposeReturn($goods: [ReverseFulfillmentOrderDisposeInput!]!) {
  reverseFulfillmentOrderDispose(dispositionInputs: $goods) {
    reverseFulfillmentOrderLineItems { id }
    userErrors { field message code }
  }
}
"""

_PROCESS_RETURN: Final = f"""
mutation ProcessReturn($input: ReturnProcessInput!) {{
  returnProcess(input: $input) {{
    return {{
      id status
      refunds(first: 20) {{
        nodes {{
          id note createdAt totalRefundedSet {_BOTH}
          transactions(first: 5) {{ nodes {{ id status gateway amountSet {_BOTH} }} }}
        }}
      }}
    }}
    userErrors {{ field message code }}
  }}
}}
"""

# The parcels say where they were sent from; goods that go back on a shelf go back on that one.
_SHELVES: Final = """
query Shelves($id: ID!) {
  order(id: $id) {
    id
    fulfillments(first: 20) { id location { id } fulfillmentLineItems(first: 30) { nodes { id } } }
  }
}
"""

_STORE_CREDIT: Final = """
query StoreCredit($id: ID!) {
  customer(id: $id) {
    id
    storeCreditAccounts(first: 10) {
      nodes {
        id
        balance { currencyCode }
        transactions(first: 20, sortKey: CREATED_AT, reverse: true) {
          nodes { createdAt amount { amount currencyCode } ... on StoreCreditAccountCreditTransaction { id } }
        }
      }
    }
  }
}
"""

_GIVE_CREDIT: Final = """
mutation GiveCredit($id: ID!, $credit: StoreCreditAccountCreditInput!) {
  storeCreditAccountCredit(id: $id, creditInput: $credit) {
    storeCreditAccountTransaction { id }
    userErrors { field message code }
  }
}
"""

OPERATIONS: Final[dict[str, str]] = {
    "ReturnableOrder": _RETURNABLE_ORDER,
    "OrderPayments": _ORDER_PAYMENTS,
    "ReturnableLines": _RETURNABLE_LINES,
    "ReturnableUnits": _RETURNABLE_UNITS,
    "ReturnReasons": _RETURN_REASONS,
    "OrderReturns": _ORDER_RETURNS,
    "ReturnGoods": _RETURN_GOODS,
    "ReturnState": _RETURN_STATE,
    "ReturnParcels": _RETURN_PARCELS,
    "ReturnOutcome": _RETURN_OUTCOME,
    "ReturnOrder": _RETURN_ORDER,
    "RequestReturn": _REQUEST_RETURN,
    "CreateReturn": _CREATE_RETURN,
    "ApproveReturn": _APPROVE_RETURN,
    "DeclineReturn": _DECLINE_RETURN,
    "CancelReturn": _CANCEL_RETURN,
    "CloseReturn": _CLOSE_RETURN,
    "ReopenReturn": _REOPEN_RETURN,
    "LabelReturn": _LABEL_RETURN,
    "RelabelReturn": _RELABEL_RETURN,
    "DisposeReturn": _DISPOSE_RETURN,
    "ProcessReturn": _PROCESS_RETURN,
    "Shelves": _SHELVES,
    "StoreCredit": _STORE_CREDIT,
    "GiveCredit": _GIVE_CREDIT,
}

SCOPES: Final[dict[str, tuple[str, ...]]] = {
    "ReturnableOrder": ("read_orders", "read_customers", "read_fulfillments"),
    "OrderPayments": ("read_orders",),
    "ReturnableLines": ("read_orders", "read_products"),
    "ReturnGoods": ("read_orders", "read_returns"),
    "ReturnState": ("read_orders", "read_customers", "read_returns"),
    **dict.fromkeys(
        ("ReturnableUnits", "OrderReturns", "ReturnParcels", "ReturnOutcome", "ReturnOrder"),
        ("read_orders", "read_returns"),
    ),
    "ReturnReasons": ("read_returns",),
}
"""What those need that only read (https://shopify.dev/docs/api/usage/access-scopes)."""

CREDIT: Final = "write_store_credit_account_transactions"
CREDIT_SEEN: Final = "read_store_credit_accounts"
LOCATIONS: Final = "read_locations"
RETURNS: Final = "write_returns"

OPTIONAL: Final[dict[str, tuple[str, ...]]] = {
    **dict.fromkeys(
        (
            "RequestReturn", "CreateReturn", "ApproveReturn", "DeclineReturn", "CancelReturn", "CloseReturn",
            "ReopenReturn", "LabelReturn", "RelabelReturn", "DisposeReturn", "ProcessReturn",
        ),
        (RETURNS,),
    ),
    "Shelves": (LOCATIONS,),
    "StoreCredit": (CREDIT_SEEN, CREDIT),
    "GiveCredit": (CREDIT,),
}  # fmt: skip
"""The others: nobody has to give these scopes."""
