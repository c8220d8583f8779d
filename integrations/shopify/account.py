"""Shoppers who sign in with their account at the shop (docs/decisions/account-sign-in.md).

Shopify's Customer Account API: OpenID Connect with PKCE against the shop's own discovery document. Our app is a public
client there, registered under `[customer_authentication]` of shopify.app.toml. The access token is used once, to ask
which customer of the shop that is, and then forgotten: we hold no token of a shopper's. Who came back gets a word of
ours, the same as the app proxy hands out, and the widget hands it in to show the orders of that account.
https://shopify.dev/docs/api/customer/2026-10
"""

import asyncio
import re
import time
from collections import OrderedDict
from dataclasses import dataclass
from secrets import compare_digest
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

import orjson
import structlog

from integrations.shopify import identity
from integrations.shopify.install import Installer
from plugin.kernel.config import Oidc, Settings
from plugin.kernel.crypto import Vault
from plugin.kernel.http import Http, HttpError
from plugin.kernel.oidc import OidcError, Provider
from plugin.platform import Connection, ShopperIdentity

log = structlog.get_logger(__name__)

SIGN_IN_PATH: Final = "/shopify/account/sign-in"
CALLBACK_PATH: Final = "/shopify/account/callback"
COOKIE: Final = "ahlan_shopify_account"
COOKIE_SECONDS: Final = 900
"""How long a shopper may look for the code that Shopify mails them."""
WORD_SECONDS: Final = 120
"""How long the word lasts that goes from the window of the sign-in to the widget: the widget hands it in at once."""
SCOPE: Final = "openid email customer-account-api:full"

QUERY: Final = """
query SignedIn {
  customer { id }
}
"""
SCOPES: Final = {"SignedIn": ("customer_read_customers",)}
"""Scopes of the Customer Account API stand in the same list of shopify.app.toml as those of the Admin API."""

_PURPOSE = "shopify-account"
_API_DOCUMENT = "/.well-known/customer-account-api"
_SHOPS = 1000
_YES_SECONDS = 3600
_NO_SECONDS = 300
_PATIENCE = 3.0
_ANSWER_BYTES = 256 * 1024
_GID = re.compile(r"gid://shopify/Customer/[0-9]{1,20}")
_MARK = re.compile(r"[A-Za-z0-9_-]{8,64}")


@dataclass(frozen=True, slots=True)
class Going:
    """A shopper on their way to Shopify: the address, and the cookie that ties the answer to this browser."""

    url: str
    cookie: str


@dataclass(frozen=True, slots=True)
class Came:
    """A shopper who came back: of which store, who they are there, and which window of the widget sent them."""

    workspace_id: UUID
    store_id: UUID
    customer_external_id: str
    mark: str
    locale: str


class Accounts:
    """The sign-in of every shop; what shops say of themselves is kept for an hour."""

    def __init__(self, vault: Vault, http: Http, settings: Settings) -> None:
        self._vault = vault
        self._http = http
        self._settings = settings
        self._providers: OrderedDict[str, Provider] = OrderedDict()
        self._offered: OrderedDict[str, tuple[float, bool]] = OrderedDict()

    async def offered(self, connection: Connection) -> bool:
        """Whether the shop has Shopify's new customer accounts: legacy ones have no discovery document.

        A shop that does not say so at once is taken to have none, for a few minutes.
        """
        shop, now = connection.external_id, time.monotonic()
        known = self._offered.get(shop)
        if known is not None and now - known[0] < (_YES_SECONDS if known[1] else _NO_SECONDS):
            return known[1]
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._provider(shop).known()
            answer = True
        except (OidcError, TimeoutError) as error:
            log.info("account_sign_in_not_offered", shop=shop, reason=getattr(error, "reason", "slow"))
            answer = False
        self._offered[shop] = (now, answer)
        while len(self._offered) > _SHOPS:
            self._offered.popitem(last=False)
        return answer

    async def begin(self, connection: Connection, mark: str, locale: str) -> Going:
        """Step one. `mark` is the widget's own word for this window. Raises Refused, OidcError."""
        if not _MARK.fullmatch(mark):
            raise identity.Refused("mark")
        begun = await self._provider(connection.external_id).begin(self._callback)
        held = {
            "state": begun.state,
            "nonce": begun.nonce,
            "verifier": begun.verifier,
            "workspace": connection.workspace_id.hex,
            "store": connection.store_id.hex,
            "shop": connection.external_id,
            "mark": mark,
            "locale": locale[:16],
        }
        return Going(begun.url, self._vault.sign(_PURPOSE, held, COOKIE_SECONDS))

    async def finish(self, query: bytes, cookie: str) -> Came:
        """Step two: the callback. The cookie first, then the code, then who that is at the shop.

        Raises Refused, OidcError.
        """
        held = self._vault.verify(_PURPOSE, cookie) if cookie else None
        pairs = identity.query_pairs(query)
        told = dict(pairs)
        if held is None or len(told) != len(pairs):
            raise identity.Refused("state")
        if not compare_digest(held["state"].encode(), told.get("state", "").encode("utf-8", "surrogateescape")):
            raise identity.Refused("state")
        if told.get("error") or not told.get("code"):
            raise identity.Refused("declined" if told.get("error") else "code")
        _person, access = await self._provider(held["shop"]).exchange(
            told["code"],
            redirect_uri=self._callback,
            verifier=held["verifier"],
            nonce=held["nonce"],
            issuer=told.get("iss", ""),
        )
        customer = await self._customer(held["shop"], access)
        return Came(UUID(hex=held["workspace"]), UUID(hex=held["store"]), customer, held["mark"], held["locale"])

    async def _customer(self, shop: str, access: str) -> str:
        """The shop's own id of whom a token is for. The `sub` of an ID token is Shopify's, of the person everywhere."""
        document = await self._ask("GET", f"https://{shop}{_API_DOCUMENT}")
        api = str(document.get("graphql_api") or "")
        parts = urlsplit(api)
        if not parts.netloc or parts.scheme not in {"https", *(("http",) if self._settings.demo else ())}:
            raise OidcError("metadata")
        answer = await self._ask(
            "POST",
            api,
            # Shopify takes the token as it is, without a scheme before it.
            headers={"Authorization": access, "Content-Type": "application/json", "Origin": self._settings.public_url},
            content=orjson.dumps({"query": QUERY, "operationName": "SignedIn"}),
        )
        try:
            found = answer["data"]["customer"]["id"]
        except (KeyError, TypeError) as error:
            raise OidcError("no_customer") from error
        if not isinstance(found, str) or not _GID.fullmatch(found):
            raise OidcError("no_customer")
        return found

    async def _ask(self, method: str, url: str, **more: Any) -> dict[str, Any]:
        try:
            answer = await self._http.request(
                method, url, timeout=10.0, max_bytes=_ANSWER_BYTES, attempts=2 if method == "GET" else 1,
                patience=2.0, **more,
            )  # fmt: skip
            document = answer.json()
        except HttpError as error:
            raise OidcError("refused" if error.status in (400, 401, 403) else "unreachable") from error
        if not isinstance(document, dict):
            raise OidcError("garbage")
        return document

    @property
    def _callback(self) -> str:
        return self._settings.public_url + CALLBACK_PATH

    def _provider(self, shop: str) -> Provider:
        """Shopify's accounts as one shop has them. Its permanent name is asked, which stays Shopify's own: a domain of
        the merchant's could run out and become somebody else's, who would then say who signs in.
        """
        known = self._providers.get(shop)
        if known is None:
            known = self._providers[shop] = Provider(
                self._http,
                Oidc(client_id=self._settings.shopify.client_id, name=shop),
                document=f"https://{shop}/.well-known/openid-configuration",
                scope=SCOPE,
                origin=self._settings.public_url,
                plain=bool(self._settings.demo),
            )
        self._providers.move_to_end(shop)
        while len(self._providers) > _SHOPS:
            self._providers.popitem(last=False)
        return known


class AccountDesk:
    """The part of the port that knows shoppers by the platform's own accounts."""

    accounts: Accounts
    installer: Installer
    _settings: Settings

    async def account_sign_in(self, connection: Connection) -> str:
        """See the port."""
        return SIGN_IN_PATH if await self.accounts.offered(connection) else ""

    async def account_identity(self, token: str) -> ShopperIdentity | None:
        """See the port. An extension's session token: signed for our app, five minutes, with or without a customer."""
        app = self._settings.shopify
        try:
            asked = identity.account_customer(token, app.client_id, app.secrets)
        except identity.Refused as error:
            log.info("account_token_refused", reason=error.reason)
            return None
        known = await self.installer.known(asked.shop)
        if known is None:
            return None
        return ShopperIdentity(known[0], known[1], asked.customer_external_id)
