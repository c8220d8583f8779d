"""The operations that read where a shop delivers, and at what price."""

from __future__ import annotations

from typing import Final

SHIPPING: Final = "read_shipping"
PROFILES: Final = 10
ZONES: Final = 12
"""Zones of a page: with their rates they may cost 1000 points together."""

PROFILES_LIST: Final = """
query DeliveryProfilesList($first: Int!) {
  shop { taxShipping taxesIncluded }
  deliveryProfiles(first: $first) { nodes { id default } }
}
"""

ZONES_PAGE: Final = """
query DeliveryZonesPage($id: ID!, $group: ID, $first: Int!, $after: String) {
  deliveryProfile(id: $id) {
    profileLocationGroups(locationGroupId: $group) {
      locationGroup { id }
      locationGroupZones(first: $first, after: $after) {
        pageInfo { hasNextPage endCursor }
        nodes {
          zone { countries { code { countryCode restOfWorld } provinces { name } } }
          methodDefinitions(first: 10) {
            pageInfo { hasNextPage }
            nodes {
              name active description
              rateProvider {
                ... on DeliveryRateDefinition { price { amount currencyCode } }
                ... on DeliveryParticipant { id }
              }
              methodConditions {
                field operator
                conditionCriteria { ... on MoneyV2 { amount currencyCode } ... on Weight { unit } }
              }
            }
          }
        }
      }
    }
  }
}
"""

OPERATIONS: Final[dict[str, str]] = {"DeliveryProfilesList": PROFILES_LIST, "DeliveryZonesPage": ZONES_PAGE}

OPTIONAL: Final[dict[str, tuple[str, ...]]] = dict.fromkeys(OPERATIONS, (SHIPPING,))
"""What they need (https://shopify.dev/docs/api/admin-graphql/latest/objects/DeliveryProfile); nobody has to give it."""
