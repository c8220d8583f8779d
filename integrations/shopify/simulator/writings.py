"""What the shop has written: pages, a blog, policies, as merchants of three languages write them."""

from __future__ import annotations

from html import escape
from typing import Any

from integrations.shopify.simulator import nodes
from integrations.shopify.simulator.shop import Shop, gid
from integrations.shopify.simulator.state import Doc

PAGES: tuple[Doc, ...] = (
    {"id": 501, "title": "Shipping information", "handle": "shipping", "published": True,
     "body": "<p>Parcels leave our workshop within <strong>one working day</strong>.</p><h2>How long it takes</h2>"
             "<ul><li>Israel: two to four days</li><li>Jordan and the Gulf: five to eight days</li></ul>"
             '<p>See also our <a href="/policies/refund-policy">returns</a>.</p><script>track()</script>'},
    {"id": 502, "title": "مقاسات الملابس", "handle": "sizes-ar", "published": True,
     "body": "<p>المقاسات أوروبية. إن احترتم بين مقاسين فخذوا الأكبر.</p>"
             "<table><tr><th>المقاس</th><th>الصدر</th></tr><tr><td>M</td><td>98 سم</td></tr></table>"},
    {"id": 503, "title": "שאלות נפוצות", "handle": "faq-he", "published": True,
     "body": "<h3>אפשר לארוז כמתנה?</h3><p>כן, בתוספת 10 ש״ח.</p><h3>יש חנות פיזית?</h3><p>כן, בחיפה.</p>"},
    {"id": 504, "title": "Ramadan collection (not ready)", "handle": "ramadan", "published": False,
     "body": "<p>Nobody should see this.</p>"},
)  # fmt: skip
POSTS: tuple[Doc, ...] = (
    {"id": 601, "title": "How to wash linen", "handle": "wash-linen", "published": True, "blog": ("care", "Care"),
     "body": "<p>Wash linen at 30 degrees and dry it in the shade.</p>"
             "<img src='https://cdn.example/linen.jpg' alt=''>"},
    {"id": 602, "title": "العناية بالسيراميك", "handle": "ceramics-ar", "published": True, "blog": ("care", "Care"),
     "body": "<p>اغسلوا القطع باليد، ولا تضعوها في الميكروويف.</p>"},
)  # fmt: skip
POLICIES: tuple[Doc, ...] = (
    {"id": 701, "type": "REFUND_POLICY", "title": "Refund policy", "handle": "refund-policy",
     "body": "<p>Send it back within 14 days of receipt. We refund within a week, to the way it was paid.</p>"},
    {"id": 702, "type": "SHIPPING_POLICY", "title": "Shipping policy", "handle": "shipping-policy",
     "body": "<p>Delivery is free from 300 ILS. Below that it costs 25 ILS.</p>"},
    {"id": 703, "type": "PRIVACY_POLICY", "title": "Privacy policy", "handle": "privacy-policy", "body": ""},
)  # fmt: skip


def held(shop: Shop, kind: str) -> list[Doc]:
    """The texts of a kind (pages, posts, policies): those that were set, else those that every shop has."""
    first = {"pages": PAGES, "posts": POSTS, "policies": POLICIES}[kind]
    return list(shop.state.setting(f"written_{kind}", list(first)))


def questions(shop: Shop) -> Doc:
    """The queries, by their names."""
    return {
        "pages": lambda **asked: _listing(shop, "pages", "Page", asked),
        "articles": lambda **asked: _listing(shop, "posts", "Article", asked),
    }


def shop_policies(shop: Shop) -> list[Doc]:
    """`Shop.shopPolicies`."""
    if not shop.allows("read_legal_policies"):
        raise nodes.Denied("shopPolicies", "read_legal_policies")
    return [
        {
            "id": gid("ShopPolicy", one["id"]),
            "title": one["title"],
            "body": one["body"],
            "type": one["type"],
            "url": f"{shop.storefront_origin}/policies/{one['handle']}",
        }
        for one in held(shop, "policies")
    ]


def _listing(shop: Shop, kind: str, name: str, asked: dict[str, Any]) -> Doc:
    if not shop.allows("read_content"):
        raise nodes.Denied(kind if kind == "pages" else "articles", "read_content")
    published = "published_status:published" in (asked.get("query") or "")
    items = [one for one in held(shop, kind) if one["published"] or not published]
    return nodes.connection(
        items, lambda one: _node(one, name), lambda one: one["id"], binding=kind, first=asked.get("first"),
        after=asked.get("after"),
    )  # fmt: skip


def _node(one: Doc, name: str) -> Doc:
    handle, title = one.get("blog", ("", ""))
    return {
        "id": gid(name, one["id"]),
        "title": one["title"],
        "handle": one["handle"],
        "body": one["body"],
        "isPublished": one["published"],
        "blog": {"handle": handle, "title": title},
    }


def shown(shop: Shop, kind: str, handle: str) -> str | None:
    """A text as the storefront shows it; None when there is none."""
    found = next((one for one in held(shop, kind) if one["handle"] == handle and one.get("published", True)), None)
    if found is None or not found["body"]:
        return None
    return f"<h1>{escape(found['title'])}</h1>{found['body']}"
