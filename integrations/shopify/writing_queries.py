"""The operations that read what the shop has written: pages, posts of its blogs, policies."""

from __future__ import annotations

from typing import Final

CONTENT: Final = "read_content"
POLICIES: Final = "read_legal_policies"
PAGE: Final = 25
"""Texts of a page: each may be 512 KB (https://shopify.dev/docs/api/admin-graphql/latest/objects/Page)."""

PAGES_PAGE: Final = """
query PagesPage($first: Int!, $after: String) {
  pages(first: $first, after: $after, query: "published_status:published") {
    pageInfo { hasNextPage endCursor }
    nodes { id title handle body isPublished }
  }
}
"""

POSTS_PAGE: Final = """
query PostsPage($first: Int!, $after: String) {
  articles(first: $first, after: $after, query: "published_status:published") {
    pageInfo { hasNextPage endCursor }
    nodes { id title handle body isPublished blog { handle title } }
  }
}
"""

POLICIES_LIST: Final = """
query PoliciesList {
  shop { shopPolicies { id title body url type } }
}
"""

OPERATIONS: Final[dict[str, str]] = {
    "PagesPage": PAGES_PAGE,
    "PostsPage": POSTS_PAGE,
    "PoliciesList": POLICIES_LIST,
}

OPTIONAL: Final[dict[str, tuple[str, ...]]] = {
    **dict.fromkeys(("PagesPage", "PostsPage"), (CONTENT,)),
    "PoliciesList": (POLICIES,),
}
"""What they need (https://shopify.dev/docs/api/admin-graphql/latest/queries/pages, …/queries/articles,
…/objects/ShopPolicy); nobody has to give it."""
