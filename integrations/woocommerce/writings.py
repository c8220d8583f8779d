"""What a WordPress site has written: its published posts and pages, from the part of its API that is everybody's.

https://developer.wordpress.org/rest-api/reference/posts/ and …/pages/. No keys go along: what strangers may not read
is not brought into a help centre either.
"""

from __future__ import annotations

from html import unescape
from typing import Any, Final
from urllib.parse import urlencode

import orjson

from plugin.kernel.digits import whole
from plugin.kernel.http import Http, HttpError
from plugin.platform import Connection, PlatformError, Writing, WritingPage

PAGE: Final = 20
_FIELDS: Final = "id,link,title,content,status,lang"
_MAX_BYTES: Final = 10 * 1024 * 1024
# Pages that WooCommerce makes by itself, and whose text is a shortcode or a block of the shop.
_SHOP_PAGES: Final = ("[woocommerce_", "wp-block-woocommerce-", "wc-block-")


async def read(http: Http, connection: Connection, cursor: str | None) -> WritingPage:
    """Pages first, then posts. Raises PlatformError."""
    part, _colon, number = (cursor or "pages:1").partition(":")
    page = whole(number, 10_000) or 1
    query = urlencode({"status": "publish", "per_page": PAGE, "page": page, "orderby": "id", "order": "asc",
                       "_fields": _FIELDS})  # fmt: skip
    try:
        answer = await http.request(
            "GET", f"{connection.external_id}/wp-json/wp/v2/{part}?{query}", timeout=20, max_bytes=_MAX_BYTES,
            attempts=2, accept=(400, 401, 403, 404),
        )  # fmt: skip
    except HttpError as error:
        raise PlatformError("the store did not show its pages", retry=error.retry, code="unreachable") from error
    if answer.status >= 400:
        # A site that keeps this part of its API to itself, or has no posts: the other part may be there all the same.
        return WritingPage((), _next(part))
    try:
        found = orjson.loads(answer.body)
    except orjson.JSONDecodeError as error:
        raise PlatformError("the store answered with something else than JSON", retry=True, code="garbage") from error
    items = tuple(text for one in found if (text := _text(part, one)) is not None) if isinstance(found, list) else ()
    pages = whole(answer.headers.get("x-wp-totalpages", ""), 10_000) or 1
    return WritingPage(items, f"{part}:{page + 1}" if page < pages else _next(part))


def _next(part: str) -> str | None:
    return "posts:1" if part == "pages" else None


def _text(part: str, one: Any) -> Writing | None:
    if not isinstance(one, dict):
        return None
    content, title = one.get("content"), one.get("title")
    if not isinstance(content, dict) or not isinstance(title, dict) or content.get("protected"):
        return None
    html = str(content.get("rendered") or "")
    if any(sign in html for sign in _SHOP_PAGES):
        return None
    lang = one.get("lang")
    return Writing(
        str(one.get("id")), "page" if part == "pages" else "post", unescape(str(title.get("rendered") or "")), html,
        str(one.get("link") or ""), language=lang if isinstance(lang, str) else "",
    )  # fmt: skip
