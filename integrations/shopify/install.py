"""How a shop becomes a store here: token exchange, the authorization code grant, and what both end in.

Shopify's managed install calls nobody: the first good ID token of a shop is the install. A shop that the directory
does not know begins a workspace of its own. Safe to repeat, and one at a time per shop.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from secrets import compare_digest, token_urlsafe
from typing import Any, Final
from urllib.parse import urlencode, urlsplit
from uuid import UUID

from integrations.shopify import identity
from integrations.shopify.client import AdminClient, Grant, Obtain, store_grant, turn
from integrations.shopify.identity import Refused
from plugin import stores, workspaces
from plugin.kernel.config import Settings
from plugin.kernel.crypto import Vault
from plugin.kernel.db import Database
from plugin.platform import PlatformError, StoreProfile

PLATFORM: Final = "shopify"
STATE_COOKIE: Final = "ahlan_shopify_state"
STATE_SECONDS: Final = 600
"""How long a merchant may look at the consent screen. Shopify's library gives one minute, too short to sign in."""
CALLBACK_PATH: Final = "/shopify/callback"
_STATE = "shopify-oauth"


def _app_config() -> Mapping[str, Any]:
    """shopify.app.toml, which the operator deploys: what it asks for is what we check."""
    return tomllib.loads(resources.files("integrations.shopify.app").joinpath("shopify.app.toml").read_text("utf-8"))


_CONFIG = _app_config()
_SCOPES = _CONFIG["access_scopes"]
DEFAULT_PROXY_PATH: Final = f"/{_CONFIG['app_proxy']['prefix']}/{_CONFIG['app_proxy']['subpath']}"
"""Where on a storefront our app proxy lives unless its merchant renamed it."""
REQUIRED_SCOPES: Final = tuple(identity.split_scopes(_SCOPES["scopes"]))


@dataclass(frozen=True, slots=True)
class Begun:
    """An authorization under way: where the browser goes, and the cookie that ties the answer to this browser."""

    url: str
    cookie: str


@dataclass(frozen=True, slots=True)
class Installed:
    """A store that is connected. `fresh`: it was not before. `missing`: required scopes that were not granted."""

    workspace_id: UUID
    store_id: UUID
    shop: str
    fresh: bool
    missing: tuple[str, ...] = ()


class Installer:
    """Turns a proof of Shopify's into a connected store."""

    def __init__(self, db: Database, vault: Vault, client: AdminClient, settings: Settings) -> None:
        self._db = db
        self._vault = vault
        self._client = client
        self._settings = settings

    async def known(self, shop: str) -> tuple[UUID, UUID] | None:
        """(workspace, store) of a shop that was installed before, also when it is gone or asleep."""
        for workspace_id, store_id in await self._db.lookup("store", f"{PLATFORM}:{shop}"):
            if store_id is not None:
                return workspace_id, store_id
        return None

    async def healthy(self, shop: str) -> Installed | None:
        """The store of this shop if it is connected and has credentials."""
        found = await self.known(shop)
        if found is None:
            return None
        workspace_id, store_id = found
        async with self._db.transaction(workspace_id) as tx:
            store = await stores.get(tx, store_id)
            if store is None or store.status != stores.CONNECTED:
                return None
            if await stores.credential(tx, self._vault, store_id, "access") is None:
                return None
        return Installed(workspace_id, store_id, shop, fresh=False)

    async def by_id_token(self, shop: str, id_token: str) -> Installed:
        """Install, or wake, by token exchange; a healthy store is left alone. Raises StaleToken, PlatformError."""
        healthy = await self.healthy(shop)
        if healthy is not None:
            return healthy
        async with turn(self._db, f"shopify-install:{shop}"):
            healthy = await self.healthy(shop)
            if healthy is not None:
                return healthy
            return await self._connect(shop, lambda: self._client.tokens.exchange(shop, id_token))

    async def _connect(self, shop: str, obtain: Obtain) -> Installed:
        grant = await obtain()
        profile = await self._profile(shop, grant)
        found = await self.known(shop)
        workspace_id = found[0] if found else workspaces.new_workspace_id()
        async with self._db.transaction(workspace_id) as tx:
            if found is None:
                await workspaces.create(tx, profile.name, timezone=profile.timezone)
            before = await stores.get(tx, found[1]) if found else None
            fresh = before is None or before.status == stores.UNINSTALLED
            store = await stores.connect(tx, platform=PLATFORM, external_id=shop, profile=profile)
            await store_grant(tx, self._vault, store.id, grant)
        missing = tuple(identity.missing_scopes(REQUIRED_SCOPES, grant.scopes))
        return Installed(workspace_id, store.id, shop, fresh, missing)

    async def _profile(self, shop: str, grant: Grant) -> StoreProfile:
        return profile_of((await self._client.ask(shop, grant.access_token, "Shop", foreground=True)).data)

    # --- authorization code grant

    def begin(self, query: bytes, now: float) -> Begun:
        """Step one, from a launch that Shopify signed: nobody types a shop's name, and none is believed unsigned."""
        launch = identity.launch(query, self._settings.shopify.secrets, now)
        state = token_urlsafe(24)
        parameters = {
            "client_id": self._settings.shopify.client_id,
            "scope": ",".join(REQUIRED_SCOPES),
            "redirect_uri": self._settings.public_url + CALLBACK_PATH,
            "state": state,
        }
        cookie = self._vault.sign(_STATE, {"state": state, "shop": launch["shop"]}, STATE_SECONDS)
        return Begun(f"https://{launch['shop']}/admin/oauth/authorize?{urlencode(parameters)}", cookie)

    async def finish(self, query: bytes, cookie: str, now: float) -> tuple[Installed, str]:
        """Step two: the callback. Returns the store and where in Shopify's admin the merchant goes on.

        All checks are mandatory and in this order: state, hmac, timestamp, shop, the shop that began.
        Raises Refused, PlatformError.
        """
        begun = self._vault.verify(_STATE, cookie) if cookie else None
        claimed = dict(identity.query_pairs(query))
        if begun is None or not compare_digest(begun["state"].encode(), claimed.get("state", "").encode()):
            raise Refused("state")
        told = identity.launch(query, self._settings.shopify.secrets, now)
        if told["shop"] != begun["shop"]:
            raise Refused("shop")
        code, home = told.get("code", ""), identity.admin_url(told.get("host", ""))
        if not code or home is None:
            raise Refused("code" if not code else "host")
        shop = told["shop"]
        async with turn(self._db, f"shopify-install:{shop}"):
            installed = await self._connect(shop, lambda: self._client.tokens.redeem(shop, code))
        return installed, f"{self._admin(home)}/apps/{self._settings.shopify.client_id}"

    def _admin(self, home: str) -> str:
        """In the demo the admin stands where its stand-in App Bridge comes from."""
        stand_in = urlsplit(self._settings.demo.app_bridge_url)
        if not stand_in.netloc:
            return home
        return home.replace(identity.ADMIN, f"{stand_in.scheme}://{stand_in.netloc}", 1)


def profile_of(data: Mapping[str, Any]) -> StoreProfile:
    """A store's profile from the answer to `Shop`. Raises PlatformError when the answer is not of that shape.

    Its origins are every domain that Shopify names and the permanent one, on which a shop answers while a new domain
    is being set up and in the theme editor (A4.1). Nothing is taken from a page: addresses of shared theme previews
    (`*.shopifypreview.com`) are nobody's in particular and so are not among them.
    """
    try:
        shop = data["shop"]
        domains = [shop["primaryDomain"], *shop["domains"], {"url": f"https://{shop['myshopifyDomain']}"}]
        return StoreProfile(
            name=shop["name"],
            url=shop["primaryDomain"]["url"].rstrip("/"),
            origins=tuple(sorted({origin for domain in domains if domain and (origin := _origin(domain["url"]))})),
            currency=shop["currencyCode"],
            currency_decimals=None,
            timezone=shop["ianaTimezone"] or "UTC",
            locale=_language(shop["primaryDomain"].get("localization")),
            email=shop.get("contactEmail") or shop.get("email") or "",
            country=str((shop.get("shopAddress") or {}).get("countryCodeV2") or ""),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise PlatformError("Shopify's answer about the shop was incomplete", retry=True, code="garbage") from error


def _language(localization: Mapping[str, Any] | None) -> str:
    """The language of the primary domain (`he`, of `he` or `he-IL`), or nothing when Shopify does not say."""
    return str((localization or {}).get("defaultLocale") or "").partition("-")[0].lower()


def _origin(url: str) -> str:
    """The origin as browsers spell it: lower-case, and a name in Arabic or Hebrew letters in its ASCII form."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").encode("idna").decode(), parts.port
    except ValueError:
        return ""
    if parts.scheme not in {"http", "https"} or not host:
        return ""
    usual = port in {None, {"http": 80, "https": 443}[parts.scheme]}
    return f"{parts.scheme}://{host}" + ("" if usual else f":{port}")
