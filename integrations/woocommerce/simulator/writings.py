"""`wp/v2/pages` and `wp/v2/posts`: what the site has written, as WordPress tells everybody.

https://developer.wordpress.org/rest-api/reference/posts/
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from integrations.woocommerce.simulator.database import Json
from integrations.woocommerce.simulator.rest import Answer
from integrations.woocommerce.simulator.shop import Shop
from integrations.woocommerce.simulator.wire import WpError

PAGES: tuple[Json, ...] = (
    {"id": 9001, "slug": "shipping-policy", "title": "Shipping &#038; delivery",
     "html": "<p>We ship from Nazareth on the same day.</p><h2>Costs</h2><p>Free from 200 ILS.</p>"
             "<script>alert(1)</script>"},
    {"id": 9002, "slug": "refund-ar", "title": "سياسة الإرجاع",
     "html": "<p>أعيدوا المنتج خلال أربعة عشر يومًا، وتسترجعون ثمنه خلال أسبوع.</p>"},
    {"id": 9003, "slug": "cart", "title": "Cart", "html": '<div class="wp-block-woocommerce-cart">…</div>'},
    {"id": 9004, "slug": "secret", "title": "Wholesale", "html": "", "protected": True},
    {"id": 9005, "slug": "draft", "title": "Not ready", "html": "<p>Nobody should see this.</p>", "status": "draft"},
)  # fmt: skip
POSTS: tuple[Json, ...] = (
    {"id": 9101, "slug": "olive-soap", "title": "How to keep olive soap",
     "html": "<p>Keep it dry between uses, and it lasts for two months.</p>"},
    {"id": 9102, "slug": "zaatar-he", "title": "איך שומרים זעתר",
     "html": "<p>בצנצנת סגורה, במקום חשוך ויבש, עד שנה.</p>"},
)  # fmt: skip


def listing(shop: Shop, kind: str, params: Mapping[str, str], base: str) -> Answer:
    """A page of published texts; past the last one it is an error, as WordPress has it. Raises WpError."""
    held: Any = shop.option(f"written_{kind}", list(PAGES if kind == "pages" else POSTS))
    rows = sorted((one for one in held if one.get("status", "publish") == "publish"), key=lambda one: int(one["id"]))
    size, number = int(params.get("per_page") or 10), int(params.get("page") or 1)
    if not 1 <= size <= 100:
        raise WpError("rest_invalid_param", "Invalid parameter(s): per_page", 400)
    pages = math.ceil(len(rows) / size)
    if number > max(pages, 1):
        message = "The page number requested is larger than the number of pages available."
        raise WpError("rest_post_invalid_page_number", message, 400)
    wanted = [name for name in (params.get("_fields") or "").split(",") if name]
    body = [_shown(one, kind, base, wanted) for one in rows[(number - 1) * size : number * size]]
    return Answer(body, headers={"X-WP-Total": str(len(rows)), "X-WP-TotalPages": str(pages)})


def _shown(one: Json, kind: str, base: str, wanted: list[str]) -> dict[str, Any]:
    whole = {
        "id": one["id"],
        "slug": one["slug"],
        "status": "publish",
        "type": kind.removesuffix("s"),
        "link": f"{base}/{one['slug']}/",
        "title": {"rendered": one["title"]},
        "content": {"rendered": one["html"], "protected": bool(one.get("protected"))},
    }
    return {name: value for name, value in whole.items() if name in wanted} if wanted else whole
