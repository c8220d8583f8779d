"""Shopify behind the port `plugin/platform.py`."""

import asyncio
import re
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import delete

from integrations.shopify import (
    identity,
    mapping,
    queries,
    return_queries,
    shipping,
    shipping_queries,
    translation_queries,
    translations,
    webhooks,
    writing_queries,
    writings,
)
from integrations.shopify.account import AccountDesk, Accounts
from integrations.shopify.actions import OrderDesk
from integrations.shopify.client import AdminClient, UserErrors
from integrations.shopify.install import DEFAULT_PROXY_PATH, REQUIRED_SCOPES, Installed, Installer, profile_of
from integrations.shopify.redirect_queries import NAVIGATION
from integrations.shopify.redirects import RedirectDesk
from integrations.shopify.returns import ReturnDesk
from plugin import stores
from plugin.conversations import visits
from plugin.kernel.config import Settings
from plugin.kernel.crypto import Vault
from plugin.kernel.db import Database, Tx
from plugin.kernel.http import Http, HttpError, Streamed
from plugin.platform import (
    TITLES_UNTRANSLATED,
    AdminSession,
    Capability,
    Connection,
    Deliveries,
    Finding,
    Page,
    PlatformError,
    ProductTranslation,
    Record,
    Resource,
    ShopperIdentity,
    StaleToken,
    StoreProfile,
    WritingPage,
)
from plugin.returns import pages, withdrawals

SHOPPER: Final = "shopper"
SHOPPER_SECONDS: Final = 900
APP_BRIDGE: Final = "https://cdn.shopify.com/shopifycloud/app-bridge.js"
EMBED_BLOCK: Final = "support"
METAFIELD_NAMESPACE: Final = "ahlan"
PROXY_PATH: Final = "proxy_path"
"""Where in `Store.widget` the storefront path of our app proxy is kept, once it was renamed."""
_PROXY_PREFIX: Final = re.compile(r"/[a-z]{1,20}/[A-Za-z0-9_-]{1,64}")
PERMISSIONS: Final = {
    "read_all_orders": "history_limited",
    "read_customer_merge": "merges_unseen",
    "write_orders": "orders_untouched",
    "write_draft_orders": "drafts_untouched",
    "write_discounts": "discounts_untouched",
    "write_order_edits": "goods_untouched",
    return_queries.RETURNS: "returns_untouched",
    return_queries.LOCATIONS: "shelves_unseen",
    return_queries.CREDIT: "credit_ungiven",
    return_queries.CREDIT_SEEN: "credit_unseen",
    NAVIGATION: "navigation_untouched",
    writing_queries.CONTENT: "pages_unread",
    writing_queries.POLICIES: "policies_unread",
    shipping_queries.SHIPPING: "deliveries_unread",
    translation_queries.TRANSLATIONS: TITLES_UNTRANSLATED,
}
"""Optional scopes, and what is found while one of them is not granted."""
VISIBLE: Final = timedelta(days=60)
"""How far back orders are shown to an app without `read_all_orders`."""
PAGE_ROOTS: Final = 250
"""Things per page of a bulk file: one transaction of the room that takes them."""
_POLL_SECONDS = (0.2, 0.3, 0.5, 1.0, 2.0, 3.0, 4.0, 4.0, 5.0)
_STORAGE = "storage.googleapis.com"
_PEOPLE_KEPT = 10_000
_EMBED_DAYS = 7

_BULK, _PAGE = "bulk:", "page:"
_PAGES: Final[Mapping[Resource, tuple[str, str, int]]] = {
    Resource.ORDERS: ("OrdersPage", "orders", queries.ORDERS_PAGE),
    Resource.CUSTOMERS: ("CustomersPage", "customers", queries.CUSTOMERS_PAGE),
    Resource.PRODUCTS: ("ProductsPage", "products", queries.PRODUCTS_PAGE),
}
_LISTED = 5
"""Parcels and refunds a page of orders shows of each; one that shows as many may have more."""


@dataclass(frozen=True, slots=True)
class _Person:
    """A staff member as Shopify describes them."""

    name: str
    email: str
    owner: bool
    locale: str
    until: datetime


class ShopifyPlatform(OrderDesk, ReturnDesk, AccountDesk, RedirectDesk):
    """What every platform offers, as Shopify has it. `installer` and `client` are for Shopify's own edges."""

    kind = "shopify"
    capabilities = frozenset(
        {
            Capability.BULK_HISTORY,
            Capability.COMPLIANCE_WEBHOOKS,
            Capability.CUSTOMER_MERGE,
            Capability.REFUND_API,
            Capability.WEBHOOK_RETRIES,
            Capability.CART_WEBHOOKS,
            Capability.THEMED_PAGES,
            Capability.QUIET_CHANGES,
        }
    )

    def __init__(self, *, db: Database, vault: Vault, http: Http, settings: Settings) -> None:
        self._db = db
        self._vault = vault
        self._http = http
        self._settings = settings
        self.client = AdminClient(db, vault, http, settings.shopify)
        self.installer = Installer(db, vault, self.client, settings)
        self.accounts = Accounts(vault, http, settings)
        self._reasons = {}
        self._people: OrderedDict[tuple[str, str], _Person] = OrderedDict()

    # --- the store itself

    async def profile(self, connection: Connection) -> StoreProfile:
        """Name, every domain (the widget's allowed origins), currency, time zone."""
        return profile_of(await self.client.run(connection, "Shop", foreground=True))

    async def check(self, connection: Connection) -> Sequence[Finding]:
        """Credentials, scopes, the version that answers. Uses the tokens, and so keeps them fresh."""
        try:
            _, granted, version = await self._installation(connection)
        except PlatformError as error:
            if not error.reauthorize:
                raise
            return [Finding("credentials", False, error.said)]
        found = [Finding("credentials", True)]
        missing = identity.missing_scopes(REQUIRED_SCOPES, granted)
        found += [Finding("scope_missing", False, scope) for scope in missing] or [Finding("scopes", True)]
        if version != queries.API_VERSION:
            found.append(Finding("api_version", False, version))
        if not missing:
            found.append(await self._whole_customers(connection))
        # The one place that tells what we hold is Shopify: the merchant takes optional scopes back without asking us.
        allowed = {scope: not identity.missing_scopes([scope], granted) for scope in PERMISSIONS}
        here = f"{self._shop_admin(connection)}/apps/{self._settings.shopify.client_id}"
        found += [Finding(PERMISSIONS[scope], ok, "" if ok else here, scope) for scope, ok in allowed.items()]
        return [*found, *await self._storefront(connection)]

    async def _whole_customers(self, connection: Connection) -> Finding:
        """Whether an order says whose it is: an app that was not approved for customers' data gets nothing in its
        place, beside an error and with status 200 (A5.1). One order is asked for as a page of changes would be.
        """
        answer = await self.client.answer(connection, "OrdersPage", {"first": 1, "after": None, "query": None})
        return Finding("data_withheld", not answer.withheld, "; ".join(answer.withheld)[:500])

    def _shop_admin(self, connection: Connection) -> str:
        """Shopify's admin of a shop; in the demo it stands where its stand-in App Bridge comes from."""
        stand_in = urlsplit(self._settings.demo.app_bridge_url)
        return (
            f"{stand_in.scheme}://{stand_in.netloc}" if stand_in.netloc else f"https://{connection.external_id}/admin"
        )

    async def _storefront(self, connection: Connection) -> list[Finding]:
        """Whether the storefront still leads to us where the theme thinks it does, and lets shoppers in at all.

        Merchants may rename the app proxy (A3) and no API tells: the old path is then a plain 404. The new one reaches
        us in the first request that comes through it (`proxy_seen`), so opening it once is the remedy. A shop that is
        not open yet sends everybody to its password page, and then says nothing about the proxy.
        """
        async with self._db.transaction(connection.workspace_id) as tx:
            store = await stores.get(tx, connection.store_id)
        path = str((store.widget.get(PROXY_PATH) if store else "") or DEFAULT_PROXY_PATH)
        try:
            answer = await self._http.request(
                "GET", f"{connection.url}{path}/identity", timeout=10, max_bytes=1_000_000, attempts=1, accept=(404,)
            )
        except HttpError:
            return []
        locked = urlsplit(answer.headers.get("location", "")).path.rstrip("/").endswith("/password")
        lost = answer.status == 404
        return [Finding("proxy_renamed", not lost, path if lost else ""), Finding("password_page", not locked)]

    async def proxy_seen(self, installed: tuple[UUID, UUID], path: str) -> None:
        """A signed request came through the app proxy at `path`: if it is another one than before, tell the theme."""
        if not _PROXY_PREFIX.fullmatch(path):
            return
        async with self._db.transaction(installed[0]) as tx:
            store = await stores.get(tx, installed[1])
            if store is None or (store.widget.get(PROXY_PATH) or DEFAULT_PROXY_PATH) == path:
                return
            # Read again under a lock: the panel writes other words into `widget`.
            store = await tx.get(stores.Store, store.id, lock=True) or store
            store.widget = {**store.widget, PROXY_PATH: path}
            await tx.enqueue("check_store", unique=f"check-now:{store.id}", store_id=store.id)

    async def _installation(self, connection: Connection) -> tuple[str, list[str], str]:
        """Our app on this shop: its id, the scopes it holds now (noted at the store), the version that answered."""
        answer = await self.client.answer(connection, "AppInstallation")
        try:
            held = answer.data["currentAppInstallation"]
            installation, granted = held["id"], sorted(scope["handle"] for scope in held["accessScopes"])
        except (KeyError, TypeError) as error:
            raise PlatformError("Shopify's answer about our app was incomplete", retry=True, code="garbage") from error
        async with self._db.transaction(connection.workspace_id) as tx:
            store = await stores.get(tx, connection.store_id)
            if store is not None and sorted(store.scopes) != granted:
                store.scopes = granted
        return installation, granted, answer.version

    async def embed_state(self, connection: Connection) -> Finding:
        """Whether the chat is switched on in the theme (`embed`), or, where nobody said, whether it was seen lately
        on the storefront (`embed_unseen`).

        The theme's own settings need a scope we do without: inside Shopify's admin `shopify.app.extensions()` tells
        the exact state, and the panel hands it on whenever it is opened there. The detail is the deep link that
        switches the embed on, to be opened in the top window.
        """
        async with self._db.transaction(connection.workspace_id) as tx:
            store = await stores.get(tx, connection.store_id)
        active, seen = (store.embed_active, store.embed_seen_at) if store is not None else (None, None)
        lately = seen is not None and seen > datetime.now(UTC) - timedelta(days=_EMBED_DAYS)
        if active or (active is None and lately):
            return Finding("embed", True)
        editor = f"{self._shop_admin(connection)}/themes/current/editor"
        block = f"{self._settings.shopify.client_id}/{EMBED_BLOCK}"
        link = f"{editor}?context=apps&template=product&activateAppId={block}"
        return Finding("embed_unseen" if active is None else "embed", False, link)

    async def writings(self, connection: Connection, cursor: str | None) -> WritingPage:
        """Policies, pages, posts; each kind with a permission of its own that the merchant may give."""
        return await writings.read(self.client, connection, cursor)

    async def deliveries(self, connection: Connection) -> Deliveries:
        """The general delivery profile, with a permission of its own that the merchant may give."""
        return await shipping.read(self.client, connection)

    async def product_translations(
        self, connection: Connection, products: Sequence[str], languages: Sequence[str]
    ) -> Sequence[ProductTranslation]:
        """Published translations, with a permission of its own that the merchant may give."""
        return await translations.read(self.client, connection, products, languages)

    # --- history

    async def history(self, connection: Connection, resource: Resource, cursor: str | None) -> Page:
        """Everything, by a bulk operation; by pages where a bulk operation cannot be had.

        Cursors are `bulk:<operation>:<byte>` (the file from that byte on) and `page:<Shopify's own>`. While the
        operation runs, an empty page with the same cursor comes back every few seconds, so the caller can stop.
        """
        if cursor is None:
            cursor = await self._start_bulk(connection, resource)
        if cursor.startswith(_PAGE):
            page = await self._page(connection, resource, "", cursor.removeprefix(_PAGE))
            following = None if page.cursor is None else _PAGE + page.cursor
            return await self._limited(connection, resource, page.records, following, None)
        operation, _, offset = cursor.removeprefix(_BULK).rpartition(":")
        status = await self._finished_bulk(connection, operation)
        if status is None:
            return await self._limited(connection, resource, (), cursor, None)
        if status.get("status") != "COMPLETED":
            return await self._limited(connection, resource, (), _PAGE, None)
        total = int(status.get("rootObjectCount") or 0)
        url = status.get("url")
        if url is None:
            return await self._limited(connection, resource, (), None, total)
        try:
            found, next_byte = await self._read_bulk(resource, url, int(offset), int(status.get("fileSize") or 0))
        except _Scattered:
            return await self._limited(connection, resource, (), _PAGE, None)
        records = mapping.nodes(resource, found, connection)
        following = None if next_byte is None else f"{_BULK}{operation}:{next_byte}"
        return await self._limited(connection, resource, records, following, total)

    async def _start_bulk(self, connection: Connection, resource: Resource) -> str:
        """Grouped, so that children follow their parent and a checkpoint can lie between two parents."""
        variables = {"query": queries.BULK_QUERIES[resource], "groupObjects": True}
        try:
            started = await self.client.run(connection, "BulkRun", variables)
        except UserErrors:
            return _PAGE
        return f"{_BULK}{started['bulkOperationRunQuery']['bulkOperation']['id']}:0"

    async def _finished_bulk(self, connection: Connection, operation: str) -> Mapping[str, Any] | None:
        """The operation once it has ended, or None when it still runs after a while. Gone means expired."""
        for seconds in _POLL_SECONDS:
            status = (await self.client.run(connection, "BulkStatus", {"id": operation}))["bulkOperation"]
            if status is None:
                return {"status": "EXPIRED"}
            if status["status"] not in {"CREATED", "RUNNING", "CANCELING"}:
                found: Mapping[str, Any] = status
                return found
            await asyncio.sleep(seconds)
        return None

    async def _read_bulk(
        self, resource: Resource, url: str, offset: int, size: int
    ) -> tuple[list[dict[str, Any]], int | None]:
        """Whole things of the file from a byte on, and the byte of the next one; None at the end."""
        found: list[dict[str, Any]] = []
        at = offset
        async with self._download(url, offset, size) as lines:
            async for line in lines:
                here, at = at, at + len(line) + 1
                if not line.strip():
                    continue
                node = _line(line)
                if "__parentId" not in node:
                    if len(found) == PAGE_ROOTS:
                        return found, here
                    found.append(mapping.whole(node, resource))
                elif not found or not mapping.adopt(found[-1], node):
                    raise _Scattered
        return found, None

    @asynccontextmanager
    async def _download(self, url: str, offset: int, size: int) -> AsyncIterator[AsyncIterator[bytes]]:
        # Unpacked, because a byte offset means nothing in a packed stream; a server may still send all of it.
        headers = {"Range": f"bytes={offset}-", "Accept-Encoding": "identity"}
        check_download(url)
        try:
            async with self._http.stream(
                "GET", url, headers=headers, timeout=300.0, max_bytes=max(size, 1024) + 1024, accept=(416,)
            ) as answer:
                yield _from_byte(answer, offset)
        except HttpError as error:
            # A signed address dies; the operation keeps its result for a week and gives a fresh one.
            again = error.retry or error.status in {400, 401, 403, 404}
            raise PlatformError(str(error), retry=again, after=error.retry_after, code="download") from error

    async def _limited(
        self,
        connection: Connection,
        resource: Resource,
        records: Sequence[Record],
        cursor: str | None,
        total: int | None,
    ) -> Page:
        if resource is not Resource.ORDERS:
            return Page(records, cursor, total)
        async with self._db.transaction(connection.workspace_id) as tx:
            store = await stores.get(tx, connection.store_id)
        if store is None or not identity.missing_scopes(["read_all_orders"], store.scopes):
            return Page(records, cursor, total)
        return Page(records, cursor, total, datetime.now(UTC) - VISIBLE, "read_all_orders")

    # --- changes

    async def changes(self, connection: Connection, resource: Resource, since: datetime, cursor: str | None) -> Page:
        """What changed at or after `since`, oldest change first. A cursor belongs to its `since`."""
        query = f"updated_at:>='{since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}'"
        return await self._page(connection, resource, query, cursor or "")

    async def _page(self, connection: Connection, resource: Resource, query: str, after: str) -> Page:
        operation, root, first = _PAGES[resource]
        variables = {"first": first, "after": after or None, "query": query or None}
        held = (await self.client.run(connection, operation, variables))[root]
        nodes = [await self._whole(connection, resource, node) for node in held["nodes"]]
        info = held["pageInfo"]
        following = info["endCursor"] if info["hasNextPage"] and nodes else None
        return Page(mapping.nodes(resource, nodes, connection), following)

    async def _whole(self, connection: Connection, resource: Resource, node: dict[str, Any]) -> dict[str, Any]:
        """Read on where a page cut something off: long orders, many addresses, products with many variants."""
        if resource is Resource.ORDERS:
            if max(len(node.get("fulfillments") or ()), len(node.get("refunds") or ())) >= _LISTED:
                found = (await self.client.run(connection, "Order", {"id": node["id"]}))["order"]
                node = found or node
            await self._read_on(connection, node, "lineItems", "OrderLines", "order")
        if resource is Resource.CUSTOMERS:
            await self._read_on(connection, node, "addressesV2", "CustomerAddresses", "customer")
        if resource is Resource.PRODUCTS:
            await self._read_on(connection, node, "variants", "ProductVariants", "product")
        return node

    async def _read_on(
        self, connection: Connection, node: dict[str, Any], name: str, operation: str, root: str
    ) -> None:
        info = (node.get(name) or {}).get("pageInfo") or {}
        while info.get("hasNextPage"):
            variables = {"id": node["id"], "first": 100, "after": info["endCursor"]}
            parent = (await self.client.run(connection, operation, variables))[root]
            if parent is None:
                return
            node[name]["nodes"] += parent[name]["nodes"]
            info = parent[name]["pageInfo"]

    # --- webhooks

    def read_webhook(
        self, topic: str, body: bytes, received_at: datetime, connection: Connection | None = None
    ) -> Sequence[Record]:
        """See `mapping.webhook`."""
        return mapping.webhook(topic, body, received_at, connection)

    async def register_webhooks(self, connection: Connection) -> Sequence[Finding]:
        """Subscribe this shop's optional topics, drop what is no longer wanted, and tell the theme who we are.

        Everything else is in shopify.app.toml, which the API neither lists nor changes.
        """
        installation, granted, _ = await self._installation(connection)
        await self._write_embed_settings(connection, installation)
        uri = f"{self._settings.public_url}/webhooks/shopify"
        wanted = {webhooks.enum_name(topic): topic for topic in webhooks.subscribable(granted)}
        done: list[Finding] = []
        removed: set[str] = set()
        for held in await self._subscriptions(connection):
            if held["uri"] == uri and not held.get("filter") and (kept := wanted.pop(held["topic"], None)):
                done.append(Finding("webhook_kept", True, kept))
                continue
            await self.client.run(connection, "WebhookDelete", {"id": held["id"]})
            done.append(Finding("webhook_removed", True, held["topic"]))
            removed.add(held["topic"])
        for enum, topic in wanted.items():
            subscription = {"uri": uri, "name": "ahlan", "format": "JSON"}
            variables = {"topic": enum, "webhookSubscription": subscription}
            try:
                await self.client.run(connection, "WebhookCreate", variables)
            except UserErrors as error:
                done.append(Finding("webhook_missing", False, f"{topic}: {error.said}"))
            else:
                # One that we took away ourselves, for its address was an old one, is not one that went missing.
                done.append(Finding("webhook_moved" if enum in removed else "webhook_added", True, topic))
        return done or [Finding("webhooks", True)]

    async def rotate(self, connection: Connection, older_than: timedelta) -> bool:
        """Nothing is shared with one shop: webhooks and the proxy are signed with the app's own secret (A1.9)."""
        return False

    async def _subscriptions(self, connection: Connection) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        after: str | None = None
        while True:
            variables = {"first": queries.WEBHOOKS_PAGE, "after": after}
            held = (await self.client.run(connection, "WebhooksList", variables))["webhookSubscriptions"]
            found += held["nodes"]
            if not held["pageInfo"]["hasNextPage"]:
                return found
            after = held["pageInfo"]["endCursor"]

    async def _write_embed_settings(self, connection: Connection, installation: str) -> None:
        """The theme block reads them as `app.metafields.ahlan.*`: the widget's public key, our address, whose
        visits may be looked at, whom the way out of a contract is shown to, nothing else.

        Owned by this app's installation on this shop, so neither a shop nor a value comes from a request.
        """
        async with self._db.transaction(connection.workspace_id) as tx:
            store = await stores.get(tx, connection.store_id)
            sells = await withdrawals.sells(tx, store) if store is not None else False
            page = f"{(store.widget.get(PROXY_PATH) if store else '') or DEFAULT_PROXY_PATH}/returns"
            if store is not None and store.widget.get(pages.RETURNS_PATH) != page:
                # Read again under a lock: the panel writes other words into `widget`.
                store = await tx.get(stores.Store, store.id, lock=True) or store
                store.widget = {**store.widget, pages.RETURNS_PATH: page}
        if store is None:
            return
        values = {
            "public_key": store.public_key,
            "server": self._settings.public_url,
            "proxy_path": str(store.widget.get(PROXY_PATH) or DEFAULT_PROXY_PATH),
            "visits": visits.rules(store).following,
            "withdrawal": withdrawals.rules(store).places(sells=sells),
        }
        metafields = [
            {
                "ownerId": installation,
                "namespace": METAFIELD_NAMESPACE,
                "key": key,
                "type": "single_line_text_field",
                "value": value,
            }
            for key, value in values.items()
        ]
        await self.client.run(connection, "SetAppMetafields", {"metafields": metafields})

    # --- who is asking

    async def admin_session(self, token: str) -> AdminSession:
        """The staff member behind an App Bridge ID token; the first good one of a shop installs it."""
        app = self._settings.shopify
        try:
            staff = identity.staff(token, app.client_id, app.secrets)
        except identity.Refused as error:
            raise StaleToken from error
        installed = await self.installer.by_id_token(staff.shop, token)
        person = await self._person(installed, staff, token)
        return AdminSession(
            workspace_id=installed.workspace_id,
            store_id=installed.store_id,
            staff_id=staff.staff_id,
            staff_name=person.name,
            staff_email=person.email,
            # The account's owner by Shopify's own word; an agency that installs confirms that it runs the store.
            administrator=person.owner,
            frame_ancestors=identity.frame_ancestors(staff.shop),
            locale=person.locale,
            expires_at=datetime.fromtimestamp(staff.expires_at, UTC),
        )

    async def _person(self, installed: Installed, staff: identity.Staff, token: str) -> _Person:
        """Name and address come with an online token, which is asked for once a day and thrown away."""
        key, now = (staff.shop, staff.staff_id), datetime.now(UTC)
        known = self._people.get(key)
        if known is not None and known.until > now:
            self._people.move_to_end(key)
            return known
        told: Mapping[str, Any] = {}
        # Without a name the panel works all the same; asked again at the next page.
        with suppress(PlatformError):
            told = (await self.client.tokens.exchange(staff.shop, token, online=True)).person
        person = _Person(
            name=" ".join(str(told[part]).strip() for part in ("first_name", "last_name") if told.get(part)),
            # An address nobody proved must not lead to an account of that address.
            email=str(told.get("email") or "") if told.get("email_verified") else "",
            owner=told.get("account_owner") is True,
            locale=str(told.get("locale") or ""),
            until=now + timedelta(days=1),
        )
        if told and str(told.get("id", "")) == staff.staff_id:
            self._people[key] = person
            if len(self._people) > _PEOPLE_KEPT:
                self._people.popitem(last=False)
            return person
        return _Person("", "", owner=False, locale="", until=now)

    def shopper_token(
        self, installed: tuple[UUID, UUID], customer_external_id: str, seconds: int = SHOPPER_SECONDS
    ) -> str:
        """What our app proxy hands to the storefront: who is signed in there, for a quarter of an hour; and to whoever
        has just signed in themselves, for the way to the widget.
        """
        payload = {"store": str(installed[1]), "customer": customer_external_id}
        return self._vault.sign(SHOPPER, payload, seconds)

    async def shopper_identity(self, connection: Connection, token: str) -> ShopperIdentity | None:
        """The customer in a token of `shopper_token` that was made for this very store."""
        payload = self._vault.verify(SHOPPER, token)
        if payload is None or payload.get("store") != str(connection.store_id):
            return None
        return ShopperIdentity(connection.workspace_id, connection.store_id, str(payload.get("customer", "")))

    def panel_head(self) -> Mapping[str, str]:
        """App Bridge, first in every document's head, and who may frame a page on which nobody is known yet."""
        return {
            "script": self._settings.demo.app_bridge_url or APP_BRIDGE,
            "api_key": self._settings.shopify.client_id,
            "frame_ancestors": identity.ADMIN,
            "embed": EMBED_BLOCK,
            "install_url": self._settings.shopify.listing_url,
        }

    def ways_back(self, connection: Connection) -> Mapping[str, str]:
        """The app inside Shopify's admin: opening it there is what renews the token."""
        return {"admin": f"{self._shop_admin(connection)}/apps/{self._settings.shopify.client_id}"}

    async def disconnected(self, tx: Tx, store_id: UUID) -> None:
        """The tokens are dead at Shopify already; ours go too."""
        await tx.execute(delete(stores.Credential).where(stores.Credential.store_id == store_id))


class _Scattered(Exception):
    """A bulk file whose children do not follow their parents."""


def check_download(url: str) -> None:
    """Bulk results lie at Google's storage and nowhere else. Raises PlatformError."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    storage = host == _STORAGE or host.endswith(f".{_STORAGE}")
    if parts.scheme != "https" or not storage or parts.port not in {None, 443}:
        raise PlatformError("Shopify named a download address that is not its storage", retry=False, code="download")


async def _from_byte(answer: Streamed, offset: int) -> AsyncIterator[bytes]:
    """The lines of the file from a byte on, also from a server that sent it from the start; none past its end."""
    if answer.status == 416:
        return
    skip = 0 if answer.status == 206 else offset
    async for line in answer.lines():
        if skip > 0:
            skip -= len(line) + 1
            continue
        yield line


def _line(line: bytes) -> dict[str, Any]:
    try:
        return mapping.parse(line)
    except ValueError as error:
        raise PlatformError("a line of the bulk file is not JSON", retry=True, code="garbage") from error
