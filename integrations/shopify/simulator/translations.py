"""What the demo shop calls its goods in other languages. Settings: `translations`, by product id and locale, instead of
what the shop's own goods are called; each with a `title` and `choices`.
"""

from __future__ import annotations

from typing import Any

from integrations.shopify.simulator import merchandise as goods
from integrations.shopify.simulator import nodes
from integrations.shopify.simulator.shop import Shop, number_of
from integrations.shopify.simulator.state import Doc

SCOPE = "read_translations"


def questions(shop: Shop) -> Doc:
    """The queries, by their names."""

    def some(**asked: Any) -> list[Doc | None]:
        return [_node(shop, id) for id in asked["ids"]]

    return {"nodes": some}


def _node(shop: Shop, id: str) -> Doc | None:
    """A product by its id; the demo shop looks up nothing else so."""
    doc = shop.state.get("products", number_of(id, "Product") or 0)
    if doc is None:
        return None
    if not shop.allows("read_products"):
        raise nodes.Denied("nodes", "read_products")

    def told(key: str, words: str, original: str) -> Any:
        def translations(locale: str, **_: Any) -> list[Doc]:
            if not shop.allows(SCOPE):
                raise nodes.Denied("translations", SCOPE)
            held = words_of(shop, doc, locale)
            value = held.get("title", "") if words == "title" else held.get("choices", {}).get(original, "")
            return [{"key": key, "value": value}] if value else []

        return translations

    def value(name: str) -> Doc:
        return {"name": name, "translations": told("name", "choices", name)}

    def options(**_: Any) -> list[Doc]:
        return [{"optionValues": [value(name) for name in option["values"]]} for option in doc["options"]]

    return {
        "__typename": "Product",
        **nodes.product(shop, doc),
        "translations": told("title", "title", doc["title"]),
        "options": options,
    }


def words_of(shop: Shop, doc: Doc, locale: str) -> Doc:
    """The title and the choices of a product in a language; empty in its own, and in one that is not published."""
    own = shop.state.setting("translations")
    if own is not None:
        found: Doc = own.get(str(doc["id"]), {}).get(locale, {})
        return found
    index = doc.get("_index")
    if index is None or locale not in goods.LOCALES or locale == shop.state.setting("primary_locale", "en"):
        return {}
    item = goods.ITEMS[index]
    if doc["title"] not in (item.en, item.ar, item.he) or doc["title"] == item.name(locale):
        return {}
    options = {one["title"]: one["_option"] for one in doc["variants"]}
    choices = {
        title: goods.OPTION_WORDS[option][locale] for title, option in options.items() if option in goods.OPTION_WORDS
    }
    return {"title": item.name(locale), "choices": choices}
