"""What the shop has written: pages, posts of its blogs, policies. Read when the merchant brings them into the help
centre, each with its own permission that nobody has to give.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from integrations.shopify.client import AdminClient
from integrations.shopify.writing_queries import OPTIONAL, PAGE
from plugin.platform import ACCESS_DENIED, Connection, PlatformError, Writing, WritingPage

_PARTS: Final = ("policies", "pages", "posts")


async def read(client: AdminClient, connection: Connection, cursor: str | None) -> WritingPage:
    """Policies first, then pages, then posts; a part that we may not see is left out and its permission named."""
    part, _colon, after = (cursor or "policies").partition(":")
    if part == "policies":
        name, variables = "PoliciesList", None
    else:
        name = "PagesPage" if part == "pages" else "PostsPage"
        variables = {"first": PAGE, "after": after or None}
    try:
        data = await client.run(connection, name, variables)
    except PlatformError as error:
        if error.code != ACCESS_DENIED:
            raise
        return WritingPage((), _next(part), OPTIONAL[name])
    if part == "policies":
        policies = (data.get("shop") or {}).get("shopPolicies") or ()
        return WritingPage(tuple(_policy(one) for one in policies if one.get("body")), _next(part))
    found = data.get("pages" if part == "pages" else "articles") or {}
    info = found.get("pageInfo") or {}
    items = tuple(_text(connection, part, one) for one in found.get("nodes") or () if one.get("isPublished"))
    more = f"{part}:{info['endCursor']}" if info.get("hasNextPage") and info.get("endCursor") else _next(part)
    return WritingPage(items, more)


def _next(part: str) -> str | None:
    at = _PARTS.index(part) + 1
    return _PARTS[at] if at < len(_PARTS) else None


def _policy(one: Mapping[str, Any]) -> Writing:
    return Writing(str(one["id"]), "policy", str(one.get("title") or ""), str(one["body"]), str(one.get("url") or ""))


def _text(connection: Connection, part: str, one: Mapping[str, Any]) -> Writing:
    blog = one.get("blog") or {}
    path = f"/blogs/{blog.get('handle', '')}" if part == "posts" else "/pages"
    return Writing(
        str(one["id"]), "page" if part == "pages" else "post", str(one.get("title") or ""), str(one.get("body") or ""),
        f"{connection.url}{path}/{one.get('handle', '')}", collection=str(blog.get("title") or ""),
    )  # fmt: skip
