"""Every Admin GraphQL operation Ahlan sends to Shopify, as named strings, for API version 2026-10.

The three shapes of one thing (a page, a single read, a bulk export) share their selections, so one mapping reads all
of them. Bulk exports differ in two ways that Shopify imposes: connections are spelled ``edges { node { … } }``, and a
connection may not sit inside a list, so fulfilment and refund *lines* come only with ``ORDER`` (one order).

Money is asked for in the shop's currency everywhere, and in the shopper's (presentment) on the totals. Costs are per
object (platforms.md A5.2), a single operation may not ask for more than 1000 points: the page sizes below keep each
page under that with room to spare; ``lineItems`` of a page is cut at ``PAGE_LINES`` and a customer's addresses at
``PAGE_ADDRESSES`` (``ORDER_LINES`` and ``CUSTOMER_ADDRESSES`` read on).

``tests/contracts/test_shopify_schema.py`` validates all of it against Shopify's own schema.
"""

from __future__ import annotations

from typing import Final

from integrations.shopify import (
    action_queries,
    redirect_queries,
    return_queries,
    shipping_queries,
    translation_queries,
    writing_queries,
)

API_VERSION: Final = "2026-10"

PAGE_LINES: Final = 10
PAGE_ADDRESSES: Final = 5
ORDERS_PAGE: Final = 6
CUSTOMERS_PAGE: Final = 50
PRODUCTS_PAGE: Final = 20
WEBHOOKS_PAGE: Final = 100

_SHOP_MONEY = "{ shopMoney { amount currencyCode } }"
_BOTH_MONEY = "{ shopMoney { amount currencyCode } presentmentMoney { amount currencyCode } }"

_ADDRESS_FIELDS = """
  id name firstName lastName company address1 address2 city province provinceCode zip countryCodeV2 phone
"""

_LINE_FIELDS = f"""
  id title variantTitle sku vendor quantity currentQuantity refundableQuantity requiresShipping
  originalUnitPriceSet {_SHOP_MONEY}
  discountedTotalSet {_SHOP_MONEY}
  variant {{ id }}
  product {{ id }}
"""

_FULFILLMENT_FIELDS = """
  id name status displayStatus createdAt updatedAt inTransitAt estimatedDeliveryAt deliveredAt
  trackingInfo(first: 2) { company number url }
"""

_REFUND_FIELDS = f"id createdAt updatedAt note totalRefundedSet {_BOTH_MONEY}"

_RETURN_FIELDS = "id name status createdAt requestApprovedAt closedAt totalQuantity"

_ORDER_FIELDS = f"""
  id legacyResourceId name number email phone note tags test sourceName customerLocale
  createdAt updatedAt processedAt cancelledAt cancelReason closedAt
  displayFinancialStatus displayFulfillmentStatus returnStatus
  currencyCode presentmentCurrencyCode discountCodes paymentGatewayNames cartToken checkoutToken statusPageUrl
  totalPriceSet {_BOTH_MONEY}
  currentTotalPriceSet {_BOTH_MONEY}
  totalRefundedSet {_BOTH_MONEY}
  subtotalPriceSet {_SHOP_MONEY}
  totalDiscountsSet {_SHOP_MONEY}
  totalTaxSet {_SHOP_MONEY}
  totalShippingPriceSet {_SHOP_MONEY}
  shippingLine {{ title deliveryCategory }}
  metafield(namespace: "custom", key: "proof_of_delivery") {{ value }}
  customer {{
    id displayName firstName lastName
    defaultEmailAddress {{ emailAddress }}
    defaultPhoneNumber {{ phoneNumber }}
  }}
  shippingAddress {{ {_ADDRESS_FIELDS} }}
  billingAddress {{ {_ADDRESS_FIELDS} }}
"""

_CUSTOMER_FIELDS = f"""
  id legacyResourceId displayName firstName lastName locale state verifiedEmail tags note createdAt updatedAt
  numberOfOrders
  amountSpent {{ amount currencyCode }}
  defaultEmailAddress {{ emailAddress validFormat marketingState marketingOptInLevel marketingUpdatedAt }}
  defaultPhoneNumber {{ phoneNumber smsMarketingConsent {{ state optInLevel updatedAt }} }}
  defaultAddress {{ {_ADDRESS_FIELDS} }}
"""

_PRODUCT_FIELDS = """
  id legacyResourceId title handle descriptionHtml vendor productType status tags createdAt updatedAt publishedAt
  totalInventory tracksInventory onlineStoreUrl
  featuredMedia { id alt preview { image { url altText } } }
"""

_VARIANT_FIELDS = """
  id legacyResourceId title sku barcode price compareAtPrice position inventoryQuantity inventoryPolicy availableForSale
  createdAt updatedAt
  selectedOptions { name value }
"""

# --- who and where we are -------------------------------------------------------------------------------------------

# The language of the primary domain is the store's own: `shopLocales` would say it too, but wants a scope of its own
# (`read_locales`) that nothing else of ours uses.
#
# `domains` is marked deprecated in favour of `domainsPaginated`, a field that no published version has: the one
# exception in the contract test, which also fails on the day the replacement appears. The widget needs every domain
# of a store, not only the primary one, as its allowed origins (platforms.md A4.1).
SHOP: Final = """
query Shop {
  shop {
    id name email contactEmail myshopifyDomain url
    currencyCode ianaTimezone
    shopAddress { countryCodeV2 }
    primaryDomain { id host url sslEnabled localization { defaultLocale } }
    domains { id host url sslEnabled }
    plan { publicDisplayName shopifyPlus partnerDevelopment }
  }
}
"""

APP_INSTALLATION: Final = """
query AppInstallation {
  currentAppInstallation {
    id
    launchUrl
    accessScopes { handle }
  }
}
"""

# The theme app embed reads the widget's public key from app-owned metafields, which nobody but the app can write.
SET_APP_METAFIELDS: Final = """
mutation SetAppMetafields($metafields: [MetafieldsSetInput!]!) {
  metafieldsSet(metafields: $metafields) {
    metafields { id namespace key value compareDigest updatedAt }
    userErrors { field message code elementIndex }
  }
}
"""

# --- pages, by updated_at with overlap (platforms.md A5.2) ----------------------------------------------------------

ORDERS_PAGE_QUERY: Final = f"""
query OrdersPage($first: Int!, $after: String, $query: String) {{
  orders(first: $first, after: $after, query: $query, sortKey: UPDATED_AT) {{
    pageInfo {{ hasNextPage endCursor }}
    nodes {{
      {_ORDER_FIELDS}
      lineItems(first: {PAGE_LINES}) {{
        pageInfo {{ hasNextPage endCursor }}
        nodes {{ {_LINE_FIELDS} }}
      }}
      fulfillments(first: 5) {{ {_FULFILLMENT_FIELDS} }}
      refunds(first: 5) {{ {_REFUND_FIELDS} }}
      returns(first: 5) {{ nodes {{ {_RETURN_FIELDS} }} }}
    }}
  }}
}}
"""

CUSTOMERS_PAGE_QUERY: Final = f"""
query CustomersPage($first: Int!, $after: String, $query: String) {{
  customers(first: $first, after: $after, query: $query, sortKey: UPDATED_AT) {{
    pageInfo {{ hasNextPage endCursor }}
    nodes {{
      {_CUSTOMER_FIELDS}
      addressesV2(first: {PAGE_ADDRESSES}) {{
        pageInfo {{ hasNextPage endCursor }}
        nodes {{ {_ADDRESS_FIELDS} }}
      }}
    }}
  }}
}}
"""

PRODUCTS_PAGE_QUERY: Final = f"""
query ProductsPage($first: Int!, $after: String, $query: String) {{
  products(first: $first, after: $after, query: $query, sortKey: UPDATED_AT) {{
    pageInfo {{ hasNextPage endCursor }}
    nodes {{
      {_PRODUCT_FIELDS}
      variants(first: 10) {{
        pageInfo {{ hasNextPage endCursor }}
        nodes {{ {_VARIANT_FIELDS} }}
      }}
    }}
  }}
}}
"""

# --- one thing ------------------------------------------------------------------------------------------------------

ORDER: Final = f"""
query Order($id: ID!) {{
  order(id: $id) {{
    {_ORDER_FIELDS}
    lineItems(first: 30) {{
      pageInfo {{ hasNextPage endCursor }}
      nodes {{ {_LINE_FIELDS} }}
    }}
    fulfillments(first: 8) {{
      {_FULFILLMENT_FIELDS}
      fulfillmentLineItems(first: 10) {{ nodes {{ id quantity lineItem {{ id }} }} }}
    }}
    refunds(first: 8) {{
      {_REFUND_FIELDS}
      refundLineItems(first: 10) {{ nodes {{ id quantity restockType subtotalSet {_SHOP_MONEY} lineItem {{ id }} }} }}
    }}
    returns(first: 10) {{ nodes {{ {_RETURN_FIELDS} }} }}
  }}
}}
"""

ORDER_LINES: Final = f"""
query OrderLines($id: ID!, $first: Int!, $after: String) {{
  order(id: $id) {{
    id
    lineItems(first: $first, after: $after) {{
      pageInfo {{ hasNextPage endCursor }}
      nodes {{ {_LINE_FIELDS} }}
    }}
  }}
}}
"""

CUSTOMER: Final = f"""
query Customer($id: ID!) {{
  customer(id: $id) {{
    {_CUSTOMER_FIELDS}
    addressesV2(first: 20) {{ nodes {{ {_ADDRESS_FIELDS} }} }}
  }}
}}
"""

CUSTOMER_ADDRESSES: Final = f"""
query CustomerAddresses($id: ID!, $first: Int!, $after: String) {{
  customer(id: $id) {{
    id
    addressesV2(first: $first, after: $after) {{
      pageInfo {{ hasNextPage endCursor }}
      nodes {{ {_ADDRESS_FIELDS} }}
    }}
  }}
}}
"""

PRODUCT: Final = f"""
query Product($id: ID!) {{
  product(id: $id) {{
    {_PRODUCT_FIELDS}
    variants(first: 100) {{
      pageInfo {{ hasNextPage endCursor }}
      nodes {{ {_VARIANT_FIELDS} }}
    }}
  }}
}}
"""

PRODUCT_VARIANTS: Final = f"""
query ProductVariants($id: ID!, $first: Int!, $after: String) {{
  product(id: $id) {{
    id
    variants(first: $first, after: $after) {{
      pageInfo {{ hasNextPage endCursor }}
      nodes {{ {_VARIANT_FIELDS} }}
    }}
  }}
}}
"""

# --- a store's whole history ----------------------------------------------------------------------------------------

BULK_RUN: Final = """
mutation BulkRun($query: String!, $groupObjects: Boolean! = false) {
  bulkOperationRunQuery(query: $query, groupObjects: $groupObjects) {
    bulkOperation { id status createdAt }
    userErrors { field message code }
  }
}
"""

BULK_STATUS: Final = """
query BulkStatus($id: ID!) {
  bulkOperation(id: $id) {
    id type status errorCode createdAt completedAt objectCount rootObjectCount fileSize url partialDataUrl
  }
}
"""

BULK_LIST: Final = """
query BulkList($first: Int!, $query: String) {
  bulkOperations(first: $first, query: $query, sortKey: CREATED_AT, reverse: true) {
    nodes { id type status createdAt }
  }
}
"""

BULK_CANCEL: Final = """
mutation BulkCancel($id: ID!) {
  bulkOperationCancel(id: $id) {
    bulkOperation { id status }
    userErrors { field message }
  }
}
"""

# Children of an order arrive as own lines with `__parentId`; their kind is in their id (gid://shopify/LineItem/…).
BULK_ORDERS: Final = f"""
{{
  orders(sortKey: UPDATED_AT) {{
    edges {{ node {{
      {_ORDER_FIELDS}
      fulfillments {{ {_FULFILLMENT_FIELDS} }}
      refunds {{ {_REFUND_FIELDS} }}
      lineItems {{ edges {{ node {{ {_LINE_FIELDS} }} }} }}
      returns {{ edges {{ node {{ {_RETURN_FIELDS} }} }} }}
    }} }}
  }}
}}
"""

BULK_CUSTOMERS: Final = f"""
{{
  customers(sortKey: UPDATED_AT) {{
    edges {{ node {{
      {_CUSTOMER_FIELDS}
      addressesV2 {{ edges {{ node {{ {_ADDRESS_FIELDS} }} }} }}
    }} }}
  }}
}}
"""

BULK_PRODUCTS: Final = f"""
{{
  products(sortKey: UPDATED_AT) {{
    edges {{ node {{
      {_PRODUCT_FIELDS}
      variants {{ edges {{ node {{ {_VARIANT_FIELDS} }} }} }}
    }} }}
  }}
}}
"""

# --- shop-specific webhook subscriptions: topics of optional scopes only, the rest is in shopify.app.toml ------------

WEBHOOK_CREATE: Final = """
mutation WebhookCreate($topic: WebhookSubscriptionTopic!, $webhookSubscription: WebhookSubscriptionInput!) {
  webhookSubscriptionCreate(topic: $topic, webhookSubscription: $webhookSubscription) {
    webhookSubscription { id topic uri filter includeFields name createdAt }
    userErrors { field message }
  }
}
"""

WEBHOOK_DELETE: Final = """
mutation WebhookDelete($id: ID!) {
  webhookSubscriptionDelete(id: $id) {
    deletedWebhookSubscriptionId
    userErrors { field message }
  }
}
"""

WEBHOOKS_LIST: Final = """
query WebhooksList($first: Int!, $after: String) {
  webhookSubscriptions(first: $first, after: $after) {
    pageInfo { hasNextPage endCursor }
    nodes { id topic uri filter includeFields name createdAt updatedAt }
  }
}
"""

REVOKE_SCOPES: Final = """
mutation RevokeScopes($scopes: [String!]!) {
  appRevokeAccessScopes(scopes: $scopes) {
    revoked { handle }
    userErrors { field message code }
  }
}
"""

OPERATIONS: Final[dict[str, str]] = {
    "Shop": SHOP,
    "AppInstallation": APP_INSTALLATION,
    "SetAppMetafields": SET_APP_METAFIELDS,
    "OrdersPage": ORDERS_PAGE_QUERY,
    "CustomersPage": CUSTOMERS_PAGE_QUERY,
    "ProductsPage": PRODUCTS_PAGE_QUERY,
    "Order": ORDER,
    "OrderLines": ORDER_LINES,
    "Customer": CUSTOMER,
    "CustomerAddresses": CUSTOMER_ADDRESSES,
    "Product": PRODUCT,
    "ProductVariants": PRODUCT_VARIANTS,
    "BulkRun": BULK_RUN,
    "BulkStatus": BULK_STATUS,
    "BulkList": BULK_LIST,
    "BulkCancel": BULK_CANCEL,
    "WebhookCreate": WEBHOOK_CREATE,
    "WebhookDelete": WEBHOOK_DELETE,
    "WebhooksList": WEBHOOKS_LIST,
    "RevokeScopes": REVOKE_SCOPES,
    **action_queries.OPERATIONS,
    **return_queries.OPERATIONS,
    **redirect_queries.OPERATIONS,
    **writing_queries.OPERATIONS,
    **shipping_queries.OPERATIONS,
    **translation_queries.OPERATIONS,
}
"""Every operation by its operation name, as sent."""

SCOPES: Final[dict[str, tuple[str, ...]]] = {
    **dict.fromkeys(("OrdersPage", "Order"), ("read_orders", "read_customers", "read_products", "read_returns")),
    "OrderLines": ("read_orders", "read_products"),
    **dict.fromkeys(("CustomersPage", "Customer", "CustomerAddresses"), ("read_customers",)),
    **dict.fromkeys(("ProductsPage", "Product", "ProductVariants"), ("read_products",)),
    **action_queries.SCOPES,
    **return_queries.SCOPES,
}
"""The scopes that an operation needs (https://shopify.dev/docs/api/usage/access-scopes). The others ask about the shop,
our own installation, our own subscriptions and our own bulk operations, for which no scope is needed."""

BULK_SCOPES: Final[dict[str, tuple[str, ...]]] = {
    "products": ("read_products",),
    "customers": ("read_customers",),
    "orders": ("read_orders", "read_customers", "read_products", "read_returns"),
}
"""The same of the inner queries of a backfill."""

BULK_QUERIES: Final[dict[str, str]] = {
    "products": BULK_PRODUCTS,
    "customers": BULK_CUSTOMERS,
    "orders": BULK_ORDERS,
}
"""The inner queries of a backfill, in the order they should run: orders refer to customers and products."""
