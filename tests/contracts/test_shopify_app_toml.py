"""shopify.app.toml and the theme extension: what `shopify app config validate` and the review would look at."""

import gzip
import json
import re
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from integrations.shopify import account, platform, queries, webhooks
from integrations.shopify.install import CALLBACK_PATH
from integrations.shopify.simulator import create_app, embed, topics
from integrations.shopify.simulator.shop import ADMIN_HOST, Shop
from integrations.shopify.simulator.state import ShopState

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
# Tables of shopify.app.toml (platforms.md A4.2); anything else the CLI would refuse.
KNOWN = {
    "client_id", "name", "handle", "application_url", "embedded", "access_scopes", "auth", "access", "app_proxy",
    "webhooks", "pos", "build", "customer_authentication",
}  # fmt: skip


def implied(scopes: list[str]) -> set[str]:
    return set(scopes) | {f"read_{s.removeprefix('write_')}" for s in scopes if s.startswith("write_")}


def test_only_known_tables() -> None:
    assert set(CONFIG) <= KNOWN
    assert CONFIG["embedded"] is True
    assert CONFIG["access_scopes"]["use_legacy_install_flow"] is False
    assert CONFIG["access"]["admin"] == {"direct_api_mode": "offline", "embedded_app_direct_api_access": False}


def test_urls_are_https_without_credentials_or_wildcards() -> None:
    """Written out and of one host: the CLI puts what begins with a slash behind application_url, path and all."""
    hooks = [block["uri"] for block in SUBSCRIPTIONS]
    accounts = CONFIG["customer_authentication"]
    urls = [CONFIG["application_url"], *CONFIG["auth"]["redirect_urls"], CONFIG["app_proxy"]["url"], *hooks,
            *accounts["redirect_uris"], *accounts["javascript_origins"]]  # fmt: skip
    for url in urls:
        parts = urlsplit(url)
        assert (parts.scheme, parts.netloc) == ("https", urlsplit(CONFIG["application_url"]).netloc)
        assert "@" not in parts.netloc
        assert "*" not in url
    assert {urlsplit(url).path for url in urls} == {
        "/shopify", CALLBACK_PATH, "/proxy", "/webhooks/shopify", "/webhooks/shopify/compliance",
        account.CALLBACK_PATH, "",
    }  # fmt: skip


def test_what_the_cli_reads_has_its_kind() -> None:
    """The fields of `shopify app config validate`; `name` and `handle` also have Shopify's lengths."""
    assert all(isinstance(CONFIG[key], str) and CONFIG[key] for key in ("client_id", "name", "handle"))
    assert len(CONFIG["name"]) <= 30
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", CONFIG["handle"])
    assert set(CONFIG["app_proxy"]) == {"url", "prefix", "subpath"}
    assert CONFIG["pos"] == {"embedded": False}
    assert set(CONFIG["build"]) <= {"automatically_update_urls_on_dev", "dev_store_url", "include_config_on_deploy"}
    assert set(CONFIG["access_scopes"]) <= {"scopes", "optional_scopes", "required_scopes", "use_legacy_install_flow"}
    assert set(TOPICS) | set(COMPLIANCE) | set(webhooks.OPTIONAL_TOPICS) == set(webhooks.TOPICS)


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
    assert [urlsplit(b["uri"]).path for b in SUBSCRIPTIONS if "compliance_topics" in b] == [
        "/webhooks/shopify/compliance"
    ]


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


LOADER = (ROOT / "plugin/widget/static/loader.js").read_text(encoding="utf-8")
PRINTED = set(re.findall(r"^  ([a-z-]+)=", LIQUID, re.MULTILINE))
SETTINGS = embed.settings()


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


async def test_the_deep_link_and_app_bridge_name_the_blocks_own_file() -> None:
    """The link activates `<client id>/<file>`, and `shopify.app.extensions()` calls the block by its file too."""
    assert sorted(path.stem for path in (EXTENSION / "blocks").iterdir()) == ["fit", platform.EMBED_BLOCK]
    simulator = create_app(
        None, app_url="http://localhost:8000", client_id="client", client_secret="hush", base_port=8001, seeded=False
    )
    transport = httpx.ASGITransport(simulator)
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{ADMIN_HOST}:8001") as browser:
        (extension,) = (await browser.get("/frame/extensions")).json()
    assert extension["type"] == "theme_app_extension"
    assert [one["handle"] for one in extension["activations"]] == [platform.EMBED_BLOCK]


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


@pytest.fixture
def shop() -> Shop:
    held = Shop(ShopState(), "http://localhost:8000", "client", "hush", 8001)
    held.state.set("installed", True)
    held.state.set("embed", {"enabled": True})
    held.state.set("metafields", {"ahlan.public_key": "st_x", "ahlan.server": "http://localhost:8000"})
    return held


def test_the_simulators_embed_prints_the_same_attributes(shop: Shop) -> None:
    printed = embed.tag(shop, "ar")
    assert printed is not None
    assert set(printed) == PRINTED
    shop.state.set("embed", {"enabled": False})
    assert embed.tag(shop, "ar") is None


def test_the_loader_reads_what_the_block_prints() -> None:
    """`hide` alone is for script tags put in by hand: the embed has its list of pages."""
    read = {f"data-{name}" for name in re.findall(r"\bset\.([a-z]+)", LOADER)}
    assert read == {f"data-{name}" for name in LOADER.split("// data-*: ", 1)[1].splitlines()[0].split()}
    assert read == {name for name in PRINTED if name.startswith("data-")} | {"data-hide"}


def test_the_loader_knows_the_values_that_the_block_offers() -> None:
    offered = {one["id"]: {option["value"] for option in one["options"]} for one in SETTINGS if "options" in one}
    assert offered == {"side": {"end", "start"}, "theme": {"auto", "light"}}
    assert 'set.side === "start"' in LOADER
    assert 'set.theme === "light"' in LOADER
    accent = next(one["default"] for one in SETTINGS if one.get("id") == "accent")
    assert f'set.accent : "{accent}"' in LOADER


def test_every_setting_is_used_and_every_page_has_its_own() -> None:
    ids = {one["id"] for one in SETTINGS if "id" in one}
    assert ids == set(re.findall(r"block\.settings\.(\w+)", LIQUID))
    types = re.findall(r"{%- when (.+?) -%}\s+{%- assign shown = block\.settings\.(\w+) -%}", LIQUID)
    assert {name for _, name in types} == {name for name in ids if name.startswith("on_")}
    pages = [page for listed, _ in types for page in re.findall(r"'([\w-]+)'", listed)]
    assert len(pages) == len(set(pages))
    assert {"index", "product", "collection", "search", "cart", "page", "article"} <= set(pages)


@pytest.mark.parametrize(
    ("template", "setting"), [("home.html", "on_home"), ("product.html", "on_products"), ("cart.html", "on_cart")]
)
def test_a_page_that_was_switched_off_has_no_launcher(shop: Shop, template: str, setting: str) -> None:
    assert embed.tag(shop, "en", template) is not None
    shop.state.set("embed", {"enabled": True, setting: False})
    assert embed.tag(shop, "en", template) is None
    assert embed.tag(shop, "en", "account.html") is not None


@pytest.mark.parametrize("locale", ["en", "ar", "he"])
def test_the_launcher_is_called_what_the_loader_calls_it(shop: Shop, locale: str) -> None:
    printed = embed.tag(shop, locale)
    assert printed is not None
    assert f'["{printed["data-label"]}",' in LOADER
    shop.state.set("embed", {"enabled": True, "label": "Ask Rana"})
    assert (embed.tag(shop, locale) or {})["data-label"] == "Ask Rana"
