"""shopify.app.toml and the theme extension: what `shopify app config validate` and the review would look at."""

import gzip
import json
import re
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from integrations.shopify import queries
from integrations.shopify.simulator import topics
from integrations.shopify.simulator.shop import Shop
from integrations.shopify.simulator.state import ShopState
from integrations.shopify.simulator.storefront import embed_tag

ROOT = Path(__file__).parent.parent.parent
APP = ROOT / "integrations/shopify/app"
TEXT = (APP / "shopify.app.toml").read_text(encoding="utf-8")
CONFIG = tomllib.loads(TEXT)
EXTENSION = APP / "extensions/support-widget"
LIQUID = (EXTENSION / "blocks/support.liquid").read_text(encoding="utf-8")
REQUIRED = [scope.strip() for scope in CONFIG["access_scopes"]["scopes"].split(",")]
OPTIONAL = CONFIG["access_scopes"]["optional_scopes"]
SUBSCRIPTIONS = CONFIG["webhooks"]["subscriptions"]
TOPICS = [topic for block in SUBSCRIPTIONS for topic in block.get("topics", [])]
COMPLIANCE = [topic for block in SUBSCRIPTIONS for topic in block.get("compliance_topics", [])]
# Tables of shopify.app.toml (PLATFORMS A4.2); anything else the CLI would refuse.
KNOWN = {
    "client_id", "name", "handle", "application_url", "embedded", "access_scopes", "auth", "access", "app_proxy",
    "webhooks", "pos", "build",
}  # fmt: skip


def implied(scopes: list[str]) -> set[str]:
    return set(scopes) | {f"read_{s.removeprefix('write_')}" for s in scopes if s.startswith("write_")}


def test_only_known_tables() -> None:
    assert set(CONFIG) <= KNOWN
    assert CONFIG["embedded"] is True
    assert CONFIG["access_scopes"]["use_legacy_install_flow"] is False
    assert CONFIG["access"]["admin"] == {"direct_api_mode": "offline", "embedded_app_direct_api_access": False}


def test_urls_are_https_without_credentials_or_wildcards() -> None:
    for url in [CONFIG["application_url"], *CONFIG["auth"]["redirect_urls"]]:
        parts = urlsplit(url)
        assert parts.scheme == "https"
        assert not parts.username
        assert "*" not in url
    for block in SUBSCRIPTIONS:
        assert block["uri"].startswith("/")


def test_the_version_is_the_one_we_speak() -> None:
    assert CONFIG["webhooks"]["api_version"] == queries.API_VERSION


def test_every_topic_is_covered_by_a_required_scope() -> None:
    held = implied(REQUIRED)
    uncovered = [t for t in TOPICS if topics.scopes_for(t) and not held & set(topics.scopes_for(t))]
    assert uncovered == []


def test_every_topic_is_a_real_one() -> None:
    with gzip.open(ROOT / "node_modules/@shopify/dev-mcp/dist/data/admin_2026-10.json.gz") as packed:
        answer = json.load(packed)
    types = answer.get("data", answer)["__schema"]["types"]
    real = {v["name"] for t in types if t["name"] == "WebhookSubscriptionTopic" for v in t["enumValues"]}
    assert [topic for topic in TOPICS if topics.enum_name(topic) not in real] == []


def test_no_topic_twice() -> None:
    assert len(TOPICS) == len(set(TOPICS))


def test_all_topics_of_the_required_scopes_that_feed_the_crm() -> None:
    families = {topic.replace(".", "/").split("/")[0] for topic in TOPICS}
    assert families >= {
        "orders", "refunds", "fulfillments", "fulfillment_events", "returns", "carts", "checkouts", "customers",
        "customer", "products", "variants", "app", "shop", "bulk_operations",
    }  # fmt: skip
    assert {"app/uninstalled", "app/scopes_update"} <= set(TOPICS)


def test_payloads_come_whole() -> None:
    """A filter or include_fields would make equal payloads that Shopify debounces, and lines that vanish."""
    assert all(set(block) <= {"name", "topics", "uri", "compliance_topics"} for block in SUBSCRIPTIONS)


def test_the_three_compliance_topics() -> None:
    assert set(COMPLIANCE) == {"customers/data_request", "customers/redact", "shop/redact"}
    assert [b["uri"] for b in SUBSCRIPTIONS if "compliance_topics" in b] == ["/webhooks/shopify/compliance"]


def test_every_scope_says_what_it_is_for() -> None:
    uses = dict(re.findall(r"^#   ([a-z_]+) +(\S.+)$", TEXT, re.MULTILINE))
    assert set(uses) == {*REQUIRED, *OPTIONAL}
    assert all(len(words) > 20 for words in uses.values())


def test_no_scope_is_both_required_and_optional_or_deprecated() -> None:
    assert not set(REQUIRED) & set(OPTIONAL)
    assert not {"read_script_tags", "write_script_tags"} & {*REQUIRED, *OPTIONAL}


def test_the_app_proxy_path_is_one_shopify_allows() -> None:
    proxy = CONFIG["app_proxy"]
    assert proxy["prefix"] in {"a", "apps", "community", "tools"}
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,30}", proxy["subpath"])
    assert proxy["subpath"] not in {"admin", "services", "password", "login"}
    assert "write_app_proxy" in REQUIRED


# --- the theme app embed --------------------------------------------------------------------------------------------


def schema() -> dict[str, object]:
    found = re.search(r"{% schema %}(.*){% endschema %}", LIQUID, re.DOTALL)
    assert found
    parsed: dict[str, object] = json.loads(found[1])
    return parsed


def test_the_extension_is_a_theme_extension() -> None:
    held = tomllib.loads((EXTENSION / "shopify.extension.toml").read_text(encoding="utf-8"))["extensions"]
    assert [(e["type"], e["handle"]) for e in held] == [("theme", "support-widget")]
    assert {path.name for path in EXTENSION.iterdir()} <= {"assets", "blocks", "snippets", "locales",
                                                          "shopify.extension.toml"}  # fmt: skip


def test_the_block_is_an_embed_in_the_body() -> None:
    held = schema()
    assert held["target"] == "body"
    assert set(held) <= {"name", "target", "settings", "javascript", "stylesheet", "enabled_on", "disabled_on", "class",
                         "tag", "default", "available_if"}  # fmt: skip


@pytest.mark.parametrize("locale", ["en.default", "ar", "he"])
def test_every_text_of_the_block_is_in_every_language(locale: str) -> None:
    words = json.loads((EXTENSION / f"locales/{locale}.schema.json").read_text(encoding="utf-8"))
    for key in re.findall(r'"t:([a-z_.]+)"', LIQUID):
        value = words
        for part in key.split("."):
            value = value[part]
        assert value
    # Shopify cuts a block's name at 25 characters.
    assert len(words["block"]["name"]) < 25
    assert (EXTENSION / f"locales/{locale}.json").stat().st_size < 15_000


def test_every_value_in_the_block_is_escaped_and_no_script_comes_from_elsewhere() -> None:
    tag = LIQUID[LIQUID.index("<script") : LIQUID.index("</script>")]
    outputs = re.findall(r"{{(.+?)}}", tag)
    assert outputs
    assert all("| escape" in output or "| asset_url" in output for output in outputs)
    assert re.search(r"src=\"{{ 'loader.js' \| asset_url }}\"", tag)
    assert "defer" in tag


def test_the_loader_is_shipped_with_the_extension_and_small() -> None:
    loader = EXTENSION / "assets/loader.js"
    assert loader.resolve() == (ROOT / "plugin/widget/static/loader.js").resolve()
    assert len(gzip.compress(loader.read_bytes())) < 10_000


def test_the_simulators_embed_prints_the_same_attributes() -> None:
    shop = Shop(ShopState(), "http://localhost:8000", "client", "hush", 8001)
    shop.state.set("installed", True)
    shop.state.set("embed", {"enabled": True, "side": "end", "accent": "#0b7a75"})
    shop.state.set("metafields", {"ahlan.public_key": "st_x", "ahlan.server": "http://localhost:8000"})
    printed = embed_tag(shop, "ar")
    assert printed is not None
    assert set(printed) == set(re.findall(r"^  ([a-z-]+)=", LIQUID, re.MULTILINE))
    shop.state.set("embed", {"enabled": False})
    assert embed_tag(shop, "ar") is None
