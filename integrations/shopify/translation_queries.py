"""The operation that reads what a shop calls its goods in other languages."""

from __future__ import annotations

from typing import Final

TRANSLATIONS: Final = "read_translations"
PRODUCTS: Final = 25
"""Products of one request: with their options each may cost a dozen points, and one request 1000."""

# `shopLocales` would say which languages a shop has published, but wants a scope of its own (`read_locales`): asked for
# a language that is none of them, a product has no translations.
PRODUCT_TRANSLATIONS: Final = """
query ProductTranslations($ids: [ID!]!, $locale: String!) {
  nodes(ids: $ids) {
    ... on Product {
      id
      translations(locale: $locale) { key value }
      options(first: 3) { optionValues { name translations(locale: $locale) { key value } } }
    }
  }
}
"""

OPERATIONS: Final[dict[str, str]] = {"ProductTranslations": PRODUCT_TRANSLATIONS}

OPTIONAL: Final[dict[str, tuple[str, ...]]] = dict.fromkeys(OPERATIONS, (TRANSLATIONS,))
"""What it needs (https://shopify.dev/docs/api/admin-graphql/latest/objects/Translation); nobody has to give it."""
