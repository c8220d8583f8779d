"""URL redirects of the online store: finding one, making one, taking one away."""

from typing import Final

NAVIGATION: Final = "write_online_store_navigation"

_FIND: Final = """
query RedirectFind($query: String!) {
  urlRedirects(first: 10, query: $query) { nodes { id path target } }
}
"""

_CREATE: Final = """
mutation RedirectCreate($redirect: UrlRedirectInput!) {
  urlRedirectCreate(urlRedirect: $redirect) {
    urlRedirect { id path target }
    userErrors { field message code }
  }
}
"""

_DELETE: Final = """
mutation RedirectDelete($id: ID!) {
  urlRedirectDelete(id: $id) {
    deletedUrlRedirectId
    userErrors { field message code }
  }
}
"""

OPERATIONS: Final[dict[str, str]] = {"RedirectFind": _FIND, "RedirectCreate": _CREATE, "RedirectDelete": _DELETE}
OPTIONAL: Final[dict[str, tuple[str, ...]]] = dict.fromkeys(OPERATIONS, (NAVIGATION,))
"""What they need (https://shopify.dev/docs/api/usage/access-scopes); nobody has to give it."""
