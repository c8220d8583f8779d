"""What a shop calls its goods in other languages, with a permission that nobody has to give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from integrations.shopify.client import AdminClient
from integrations.shopify.translation_queries import PRODUCTS, TRANSLATIONS
from plugin.platform import ACCESS_DENIED, Connection, PlatformError, ProductTranslation

_TITLE: Final = "title"
_NAME: Final = "name"


async def read(
    client: AdminClient, connection: Connection, products: Sequence[str], languages: Sequence[str]
) -> list[ProductTranslation]:
    """The published translations of these products; a product without one in a language has no entry for it.

    Raises PlatformError (`ACCESS_DENIED` without the permission), also for an answer of another shape.
    """
    found: list[ProductTranslation] = []
    try:
        for language in languages:
            for at in range(0, len(products), PRODUCTS):
                asked = {"ids": list(products[at : at + PRODUCTS]), "locale": language}
                answer = await client.answer(connection, "ProductTranslations", asked)
                if answer.withheld:
                    raise PlatformError(f"{TRANSLATIONS} is not allowed", retry=False, code=ACCESS_DENIED)
                found += [one for node in answer.data["nodes"] if node and (one := _translation(node, language))]
    except (KeyError, TypeError, AttributeError) as error:
        raise PlatformError("Shopify's answer about translations is incomplete", retry=True, code="garbage") from error
    return found


def _translation(node: Mapping[str, Any], language: str) -> ProductTranslation | None:
    choices = {
        str(value["name"]): name
        for option in node.get("options") or ()
        for value in option["optionValues"]
        if (name := _value(value, _NAME))
    }
    title = _value(node, _TITLE)
    return ProductTranslation(str(node["id"]), language, title, choices) if title or choices else None


def _value(held: Mapping[str, Any], key: str) -> str:
    """A translated field; empty where it has none. A market's own words are not asked for."""
    return next((str(one["value"] or "").strip() for one in held["translations"] if one["key"] == key), "")
