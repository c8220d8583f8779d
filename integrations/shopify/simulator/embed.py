"""The theme app embed as the demo shop's theme shows it: settings and words are read from the extension's own files."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from integrations.shopify.simulator.shop import NAMESPACE, Shop
from integrations.shopify.simulator.state import Doc

LOADER_PATH = "/cdn/extensions/ahlan/support-widget/assets/loader.js"
_EXTENSION = Path(__file__).parents[1] / "app/extensions/support-widget"
_SCHEMA = re.compile(r"{% schema %}(.*){% endschema %}", re.DOTALL)
# Which setting of the block decides about a page of the demo shop; the others always have the launcher.
_SHOWN_ON = {"home.html": "on_home", "product.html": "on_products", "cart.html": "on_cart"}


@cache
def settings() -> list[dict[str, Any]]:
    """What the merchant may set in the theme editor, in the block's order, with its words in English."""
    found = _SCHEMA.search((_EXTENSION / "blocks/support.liquid").read_text(encoding="utf-8"))
    words = json.loads((_EXTENSION / "locales/en.default.schema.json").read_text(encoding="utf-8"))
    held: list[dict[str, Any]] = _worded(json.loads(found[1])["settings"] if found else [], words)
    return held


def _worded(held: Any, words: dict[str, Any]) -> Any:
    if isinstance(held, dict):
        return {key: _worded(value, words) for key, value in held.items()}
    if isinstance(held, list):
        return [_worded(value, words) for value in held]
    if not (isinstance(held, str) and held.startswith("t:")):
        return held
    block, key = held.removeprefix("t:").split(".")
    return words[block][key]


@cache
def _said(locale: str, block: str, key: str) -> str:
    """A text of the extension in a language, else in English, as Shopify looks for it."""
    words: dict[str, Any] = {}
    for name in ("en.default", locale):
        file = _EXTENSION / f"locales/{name}.json"
        words |= json.loads(file.read_text(encoding="utf-8")).get(block, {}) if file.exists() else {}
    return str(words[key])


def chosen(shop: Shop) -> Doc:
    """What is set now: the block's defaults and what the merchant changed; `enabled` says whether it is on."""
    defaults = {one["id"]: one.get("default", "") for one in settings() if "id" in one}
    held: Doc = {**defaults, **shop.state.setting("embed", {})}
    return held


def tag(shop: Shop, locale: str, template: str = "home.html") -> Doc | None:
    """The attributes of the embed's script on a page, or None where the block prints nothing."""
    embed = chosen(shop)
    metafields = shop.state.setting("metafields", {})
    key, server = metafields.get(f"{NAMESPACE}.public_key"), metafields.get(f"{NAMESPACE}.server")
    if not (shop.installed and embed.get("enabled") and key and server):
        return None
    if not embed.get(_SHOWN_ON.get(template, ""), True):
        return None
    path = metafields.get(f"{NAMESPACE}.proxy_path") or "/apps/support"
    return {
        "src": LOADER_PATH,
        "data-server": server,
        "data-store": key,
        "data-identity": f"{path}/identity",
        "data-locale": locale,
        "data-label": embed["label"] or _said(locale, "support", "launcher"),
        "data-side": embed["side"],
        "data-accent": embed["accent"],
        "data-theme": embed["theme"],
        "data-bottom": embed["bottom"],
        "data-visits": metafields.get(f"{NAMESPACE}.visits") or "",
    }


def withdrawal(shop: Shop, locale: str, country: str) -> Doc | None:
    """The link to the way out of a contract at the end of a page, or None where the block prints none."""
    embed = chosen(shop)
    metafields = shop.state.setting("metafields", {})
    to = metafields.get(f"{NAMESPACE}.withdrawal") or "off"
    if not (shop.installed and embed.get("enabled") and embed.get("withdrawal") and to != "off"):
        return None
    if to != "all" and country not in to:
        return None
    path = metafields.get(f"{NAMESPACE}.proxy_path") or "/apps/support"
    return {"href": f"{path}/withdrawal?locale={locale}", "label": _said(locale, "withdrawal", "label")}
