"""The law's words are the same wherever a shopper reads them: the server, Shopify's extension, the WordPress plugin."""

import json
import re
from pathlib import Path

from integrations.shopify.simulator import embed
from integrations.shopify.simulator.shop import Shop
from integrations.shopify.simulator.state import ShopState
from plugin.returns.withdrawal_rules import EU, LABELS

ROOT = Path(__file__).parents[2] / "integrations"
LOCALES = ROOT / "shopify/app/extensions/support-widget/locales"
PHP = (ROOT / "woocommerce/wordpress/wc-ahlan/includes/class-ahlan-withdrawal.php").read_text(encoding="utf-8")


def test_the_theme_extension_says_it_in_every_language() -> None:
    held = {
        path.name.removesuffix(".json"): json.loads(path.read_text(encoding="utf-8"))["withdrawal"]["label"]
        for path in LOCALES.glob("*.json")
        if not path.name.endswith(".schema.json")
    }
    assert {held.pop("pt-PT"), held.pop("pt-BR")} == {LABELS["pt"][0]}
    held["en"] = held.pop("en.default")
    assert held == {language: opens for language, (opens, _confirms) in LABELS.items() if language != "pt"}


def test_the_wordpress_plugin_says_it_in_every_language_and_knows_the_members() -> None:
    assert dict(re.findall(r"^\t\t\t'([a-z]{2})' => '(.+)',$", PHP, re.MULTILINE)) == {
        language: opens for language, (opens, _confirms) in LABELS.items()
    }
    members = re.search(r"\$members\s+= array\((.+?)\);", PHP)
    assert members is not None
    assert tuple(re.findall(r"'([A-Z]{2})'", members[1])) == EU


def test_the_theme_leads_to_the_words_of_the_page_that_one_comes_from() -> None:
    """The proxy's page is in the shop's first language: it cannot know another by itself."""
    block = (LOCALES.parent / "blocks/support.liquid").read_text(encoding="utf-8")
    links = re.findall(r'href="([^"]+/withdrawal[^"]*)"', block)
    assert links == ["{{ proxy | escape }}/withdrawal?locale={{ request.locale.iso_code | url_encode }}"]


def test_both_links_of_the_wordpress_plugin_lead_to_the_page_that_it_answers() -> None:
    does = dict(re.findall(r"public static function (\w+)\([^)]*\) \{\n(.*?)\n\t\}", PHP, re.DOTALL))
    path = re.search(r"const PATH\s+= '([^']+)';", PHP)
    assert path is not None
    assert path[1] == "withdrawal", "like the theme's, so that one address is known for both"
    assert "Ahlan_Address::of( self::PATH )" in does["address"]
    assert "esc_url( self::address() )" in does["link"]
    assert "'url'  => self::address()" in does["actions"]
    assert "'' === Ahlan_Address::below( $wp, self::PATH )" in does["route"]
    assert "'data-screen' => 'withdrawal'" in does["markup"]


def test_the_theme_shows_it_to_whom_the_app_says() -> None:
    shop = Shop(ShopState(), "http://localhost:8000", "client", "hush", 8001)
    shop.state.set("installed", True)
    shop.state.set("embed", {"enabled": True, "on_home": False})
    for to, country, shown in (
        ("", "DE", False), ("off", "DE", False), ("all", "US", True), ("DE FR", "FR", True), ("DE FR", "US", False),
    ):  # fmt: skip
        shop.state.set("metafields", {"ahlan.withdrawal": to, "ahlan.proxy_path": "/tools/help"})
        found = embed.withdrawal(shop, "he", country)
        assert (found is not None) is shown, (to, country)
        if found is not None:
            assert found == {"href": "/tools/help/withdrawal?locale=he", "label": LABELS["he"][0]}
    shop.state.set("embed", {"enabled": True, "withdrawal": False})
    shop.state.set("metafields", {"ahlan.withdrawal": "all"})
    assert embed.withdrawal(shop, "he", "DE") is None
