"""WooCommerce behind the port: history and changes by pages, webhooks kept in order, health, who somebody is."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

import orjson
from sqlalchemy import delete

from integrations.woocommerce import identity, mapping, pairing, shipping, webhooks, writings
from integrations.woocommerce.actions import OrderDesk
from integrations.woocommerce.client import Keys, StoreClient
from integrations.woocommerce.returns import ReturnDesk
from plugin import stores
from plugin.kernel.config import Settings
from plugin.kernel.crypto import Vault
from plugin.kernel.db import Database, Tx
from plugin.kernel.digits import whole
from plugin.kernel.http import Http, HttpError, Response
from plugin.kernel.money import exponent_of
from plugin.platform import (
    AdminSession,
    Capability,
    Connection,
    Deliveries,
    Finding,
    Page,
    PlatformError,
    Record,
    Resource,
    ShopperIdentity,
    StaleToken,
    StoreProfile,
    WritingPage,
)
from plugin.returns import pages
from plugin.stores import Credential

KIND: Final = "woocommerce"
STORE_KIND: Final = "woocommerce"
"""Directory kind under which a delivery's path names a store: its id."""
PLUGIN: Final = "plugin"
PLUGIN_NEXT: Final = "plugin_next"
PLUGIN_PREVIOUS: Final = "plugin_previous"
"""Credential kinds of the pairing secret: in force, sent but not acknowledged, replaced a moment ago."""
BRIDGE: Final = "woocommerce/bridge.js"
CONNECT: Final = "/panel/connect/woocommerce"
# Below wp-admin/ of a store.
PLUGIN_SETTINGS: Final = "admin.php?page=wc-ahlan-settings"
SITE_VISIBILITY: Final = "admin.php?page=wc-settings&tab=site-visibility"
"""Asset that asks the wp-admin page around the panel for its tokens."""
PAGE: Final = 50
SWEEP: Final = "sweep"
OVERLAP: Final = timedelta(seconds=2)
"""`after` and `modified_after` are exclusive at one second (B25), so a poll begins a little earlier."""

_HOME: Final = re.compile(r"https?://[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]{1,5})?(/[A-Za-z0-9._~-]+)*")
_ORIGIN: Final = re.compile(r"https?://[a-z0-9][a-z0-9.-]*(:[0-9]{1,5})?(?=[/?#]|\Z)")
_HEALTH: Final = frozenset({"keys_refused", "read_only_key", "missing_right", "no_permalinks"})
_PATHS: Final = {Resource.ORDERS: "orders", Resource.CUSTOMERS: "customers", Resource.PRODUCTS: "products"}
_SINGULAR: Final = {Resource.ORDERS: "order", Resource.CUSTOMERS: "customer", Resource.PRODUCTS: "product"}


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a walk stands: everything after `bound` (UTC, its own second again), `page` while that second is full.

    Walking by time instead of by page number alone keeps its place when rows change or vanish meanwhile.
    """

    bound: str
    page: int = 1
    total: int | None = None
    part: str = ""

    def __str__(self) -> str:
        return f"{self.bound}|{self.page}|{'' if self.total is None else self.total}|{self.part}"

    @classmethod
    def read(cls, text: str) -> Cursor:
        """Raises ValueError on what `str` did not write."""
        bound, page, total, part = text.split("|")
        return cls(bound, int(page), int(total) if total else None, part)


class WooCommercePlatform(OrderDesk, ReturnDesk):
    """The port to WooCommerce stores."""

    kind = KIND
    capabilities = frozenset({Capability.REFUND_API})

    def __init__(self, db: Database, vault: Vault, http: Http, settings: Settings) -> None:
        self._db = db
        self._vault = vault
        self._http = http
        self._settings = settings

    async def profile(self, connection: Connection) -> StoreProfile:
        """Name, currency, time zone; its origins with those of a language plugin's domains."""
        told = await read_profile(self._http, connection.external_id, await self._client(connection))
        return replace(told, origins=tuple(sorted({*told.origins, *await self._languages(connection)})))

    async def _languages(self, connection: Connection) -> Sequence[str]:
        """Origins that our plugin tells of; while it is silent, those that are known. An older one tells none."""
        try:
            for secret in await self._plugin_secrets(connection.workspace_id, connection.store_id):
                answer = await self._call_plugin(connection, secret, "GET", "status")
                if answer.status == 200:
                    return _told_origins(connection, orjson.loads(answer.body))
        except HttpError:
            async with self._db.transaction(connection.workspace_id) as tx:
                store = await stores.get(tx, connection.store_id)
            return store.origins if store is not None else ()
        except orjson.JSONDecodeError:
            return ()
        return ()

    async def history(self, connection: Connection, resource: Resource, cursor: str | None) -> Page:
        """Everything, oldest first. Customers have no time to walk by and go by page number."""
        client = await self._client(connection)
        if resource is Resource.CUSTOMERS:
            return await self._customers(client, Cursor.read(cursor) if cursor else Cursor(""))
        position = Cursor.read(cursor) if cursor else Cursor("1970-01-01T00:00:00")
        return await self._walk(client, connection, resource, position, "after", "date", "date_created_gmt")

    async def changes(self, connection: Connection, resource: Resource, since: datetime, cursor: str | None) -> Page:
        """What changed since. Customers have no such question (B25): who registered since, and a share of all."""
        client = await self._client(connection)
        begin = _gmt(since - OVERLAP)
        if resource is Resource.CUSTOMERS:
            position = Cursor.read(cursor) if cursor else Cursor(begin)
            if position.part == SWEEP:
                return Page((await self._customers(client, position)).records, None)
            return await self._registered(client, since, position)
        position = Cursor.read(cursor) if cursor else Cursor(begin)
        page = await self._walk(
            client, connection, resource, position, "modified_after", "modified", "date_modified_gmt"
        )
        if page.cursor is None and resource is Resource.ORDERS and position.part == "":
            # status=any leaves out the bin (B26), and a lost order.deleted is never sent again (B3).
            return Page(page.records, str(Cursor(begin, part="trash")), page.total)
        return page

    async def writings(self, connection: Connection, cursor: str | None) -> WritingPage:
        """The site's published pages and posts; policies are pages there."""
        return await writings.read(self._http, connection, cursor)

    async def deliveries(self, connection: Connection) -> Deliveries:
        """The store's shipping zones; the keys of the connection show them."""
        return await shipping.read(await self._client(connection), connection)

    async def _walk(
        self,
        client: StoreClient,
        connection: Connection,
        resource: Resource,
        position: Cursor,
        parameter: str,
        order_by: str,
        column: str,
    ) -> Page:
        status = position.part or "any"
        answer = await client.get(
            _PATHS[resource],
            **{parameter: position.bound},
            dates_are_gmt=True,
            orderby=order_by,
            order="asc",
            status=status,
            per_page=PAGE,
            page=position.page,
        )
        rows = _rows(answer.body)
        total = position.total if position.total is not None else answer.total
        records = await self._records(client, connection, resource, rows)
        if len(rows) < PAGE:
            return Page(records, None, total)
        last = _gmt(datetime.fromisoformat(str(rows[-1][column])) - timedelta(seconds=1))
        onward = Cursor(last, 1, total, position.part)
        if last <= position.bound:
            onward = Cursor(position.bound, position.page + 1, total, position.part)
        return Page(records, str(onward), total)

    async def _customers(self, client: StoreClient, position: Cursor) -> Page:
        answer = await client.get("customers", role="all", orderby="id", order="asc", per_page=PAGE, page=position.page)
        rows = _rows(answer.body)
        records = [record for row in rows for record in mapping.record_of("customer", row)]
        more = position.page < (answer.pages or 1)
        return Page(records, str(Cursor("", position.page + 1, answer.total)) if more else None, answer.total)

    async def _registered(self, client: StoreClient, since: datetime, position: Cursor) -> Page:
        answer = await client.get(
            "customers", role="all", orderby="registered_date", order="desc", per_page=PAGE, page=position.page
        )
        rows = [row for row in _rows(answer.body) if str(row.get("date_created_gmt") or "") >= _gmt(since - OVERLAP)]
        records = [record for row in rows for record in mapping.record_of("customer", row)]
        pages = answer.pages or 1
        if len(rows) == PAGE and position.page < pages:
            return Page(records, str(Cursor(position.bound, position.page + 1)), None)
        # Nobody can ask who was edited (woocommerce/woocommerce#41371), and a lost customer.updated is never sent again
        # (B3): so each comparison also reads one page of all customers, the next one each time, by the clock.
        turn = int(time.time()) // stores.RECONCILE_SECONDS
        return Page(records, str(Cursor("", turn % pages + 1, None, SWEEP)), None)

    async def _records(
        self, client: StoreClient, connection: Connection, resource: Resource, rows: Sequence[Mapping[str, Any]]
    ) -> Sequence[Record]:
        records: list[Record] = []
        for row in rows:
            if resource is Resource.PRODUCTS and row.get("type") == "variable" and row.get("status") != "trash":
                # A page holds at most 100 (B26), and a size-and-colour grid soon has more.
                variations = await _all(client, f"products/{int(row['id'])}/variations")
                records.append(mapping.product(row, variations, currency=connection.currency))
                continue
            records.extend(mapping.record_of(_SINGULAR[resource], row, currency=connection.currency))
        return records

    # Webhooks

    async def register_webhooks(self, connection: Connection) -> Sequence[Finding]:
        """One active webhook per topic, with our secret: missing ones are made, doubles and broken ones replaced.

        Registering twice delivers twice, the secret is never given back (B13), and one that was disabled keeps its
        failure counter (B4): so what is not exactly ours and active is deleted and made anew.
        """
        client = await self._client(connection)
        url = f"{self._settings.public_url}/webhooks/woocommerce/{connection.store_id}"
        async with self._db.transaction(connection.workspace_id) as tx:
            found = await stores.credential(tx, self._vault, connection.store_id, "webhook")
        if found is None:
            raise PlatformError("this store has no webhook secret", retry=False, reauthorize=True, code="keys_refused")
        secret, known = found[0], {str(topic): int(key) for topic, key in found[1].data.get("ids", {}).items()}
        ours = set(known.values())
        kept: dict[str, int] = {}
        disabled, there = 0, set()
        for webhook in await _all(client, "webhooks"):
            if str(webhook.get("delivery_url")) != url and not _was_ours(webhook, connection.store_id):
                continue
            topic, identifier = str(webhook["topic"]), int(webhook["id"])
            there.add(identifier)
            good = webhook["status"] == "active" and str(webhook["delivery_url"]) == url and identifier in ours
            if good and topic in webhooks.TOPICS and topic not in kept:
                kept[topic] = identifier
                continue
            disabled += webhook["status"] == "disabled"
            await client.delete(f"webhooks/{identifier}", force=True)
        made = [topic for topic in webhooks.TOPICS if topic not in kept]
        for topic in made:
            answer = await client.post(
                "webhooks",
                {"name": f"Ahlan {topic}", "topic": topic, "delivery_url": url, "secret": secret, "status": "active"},
            )
            kept[topic] = int(answer.body["id"])
        if made:
            async with self._db.transaction(connection.workspace_id) as tx:
                await stores.put_credential(tx, self._vault, connection.store_id, "webhook", secret, data={"ids": kept})
        # Ones that we made and that are gone: deleted by hand, or by another plugin.
        missing = sorted(topic for topic, identifier in known.items() if topic in made and identifier not in there)
        return (
            Finding("webhooks", ok=True),
            Finding("webhooks_were_disabled", ok=not disabled, detail=str(disabled)),
            Finding("webhooks_were_missing", ok=not missing, detail=", ".join(missing)),
        )

    # Health

    async def check(self, connection: Connection) -> Sequence[Finding]:
        """Keys, permalinks, coming-soon mode, the plugin. Raises PlatformError only when nobody answers."""
        client = await self._client(connection)
        findings = []
        try:
            await client.get("orders", per_page=1)
            findings.append(Finding("keys", ok=True))
        except PlatformError as error:
            if error.retry:
                raise
            code = error.code if error.code in _HEALTH else "credentials"
            findings.append(Finding(code, ok=False, detail=error.said))
        soon = await self._coming_soon(connection.external_id)
        visibility = f"{connection.external_id}/wp-admin/{SITE_VISIBILITY}" if soon else ""
        findings.append(Finding("coming_soon", ok=not soon, detail=visibility))
        findings.append(await self.embed_state(connection))
        return findings

    async def _coming_soon(self, url: str) -> bool:
        try:
            page = await self._http.request("GET", f"{url}/", timeout=10, max_bytes=2_000_000, attempts=1)
        except HttpError:
            return False
        return b"woo-coming-soon-page" in page.body

    async def embed_state(self, connection: Connection) -> Finding:
        """Asked from our plugin with a signed request: is it paired, is the widget on, is this still the same site."""
        admin = f"{connection.external_id}/wp-admin"
        secrets = await self._plugin_secrets(connection.workspace_id, connection.store_id)
        if not secrets:
            return Finding("plugin_missing", ok=False, detail=f"{admin}/plugins.php")
        try:
            answer = await self._call_plugin(connection, secrets[0], "GET", "status")
            if answer.status == 401 and len(secrets) > 1:
                # The answer to a rotation was lost, and the site has the new secret already.
                answer = await self._call_plugin(connection, secrets[1], "GET", "status")
            said = orjson.loads(answer.body)
        except HttpError as error:
            return Finding("plugin_silent", ok=False, detail=str(error.status or ""))
        except orjson.JSONDecodeError:
            return Finding("plugin_missing", ok=False, detail=f"{admin}/plugins.php")
        if answer.status == 404:
            return Finding("plugin_missing", ok=False, detail=f"{admin}/plugins.php")
        if answer.status != 200 or not said.get("paired"):
            return Finding("plugin_unpaired", ok=False, detail=f"{admin}/{PLUGIN_SETTINGS}")
        if str(said.get("site", "")).rstrip("/") != connection.external_id:
            return Finding("site_cloned", ok=False, detail=str(said.get("site", ""))[:200])
        await self._keep_pages(connection, said.get("returns"))
        on = bool(said.get("widget"))
        return Finding("widget", ok=on, detail="" if on else f"{admin}/{PLUGIN_SETTINGS}")

    async def _keep_pages(self, connection: Connection, said: object) -> None:
        """Where the shop shows orders and returns, for letters. An older plugin does not say."""
        told = said if isinstance(said, dict) else {}
        async with self._db.transaction(connection.workspace_id) as tx:
            await pages.told(tx, connection.store_id, str(told.get("page") or ""), str(told.get("account") or ""))

    async def _call_plugin(
        self, connection: Connection, secret: str, method: str, route: str, body: bytes = b""
    ) -> Response:
        """One signed request to our plugin (docs/woocommerce-plugin-protocol.md). Raises HttpError.

        A nonce counts once, so a request whose answer was lost is not repeated as it is.
        """
        path = f"{urlsplit(connection.external_id).path}/wp-json/wc-ahlan/v1/{route}"
        headers = pairing.signed_headers(
            pairing.derive_keys(secret).requests, method=method, path=path, timestamp=int(time.time()), body=body
        )
        return await self._http.request(
            method,
            f"{connection.external_id}/wp-json/wc-ahlan/v1/{route}",
            headers={**headers, "Content-Type": "application/json"} if body else headers,
            content=body or None,
            accept=(401, 403, 404, 409),
            attempts=1,
        )

    # The pairing secret

    async def rotate(self, connection: Connection, older_than: timedelta) -> bool:
        """Have our plugin derive a new pairing secret from the old one and a salt that we send.

        The new one is stored before the salt is sent and the old one believed until nothing signed with it can be
        under way, so at no moment, not even after a lost answer or a killed process, does the site hold a secret that
        we lack.
        """
        async with self._db.transaction(connection.workspace_id) as tx:
            held = await stores.credential(tx, self._vault, connection.store_id, PLUGIN, lock=True)
            if held is None or not held[1].data.get("paired") or held[1].updated_at > datetime.now(UTC) - older_than:
                return False
            begun = await stores.credential(tx, self._vault, connection.store_id, PLUGIN_NEXT)
            salt = str(begun[1].data["salt"]) if begun else pairing.new_secret()
            fresh = pairing.renewed(held[0], salt)
            if begun is None or begun[0] != fresh:
                # A store that was paired anew meanwhile begins from another secret.
                await stores.put_credential(
                    tx, self._vault, connection.store_id, PLUGIN_NEXT, fresh, data={"salt": salt}
                )
        try:
            known = begun is not None and (await self._call_plugin(connection, fresh, "GET", "status")).status == 200
            if not known:
                body = orjson.dumps({"salt": salt})
                answer = await self._call_plugin(connection, held[0], "POST", "rotate", body)
                known = answer.status == 200
        except HttpError as error:
            raise PlatformError("the plugin does not answer", retry=True, code="plugin_silent") from error
        if not known:
            raise PlatformError("the plugin does not take a new secret", retry=False, code="plugin_unpaired")
        async with self._db.transaction(connection.workspace_id) as tx:
            await stores.put_credential(
                tx, self._vault, connection.store_id, PLUGIN_PREVIOUS, held[0],
                expires_at=datetime.now(UTC) + timedelta(seconds=pairing.PREVIOUS_LIFETIME),
            )  # fmt: skip
            await stores.put_credential(tx, self._vault, connection.store_id, PLUGIN, fresh, data=held[1].data)
            await tx.execute(
                delete(Credential).where(
                    Credential.workspace_id == tx.workspace_id,
                    Credential.store_id == connection.store_id,
                    Credential.kind == PLUGIN_NEXT,
                )
            )
        return True

    # Who somebody is

    async def admin_session(self, token: str) -> AdminSession:
        """Who opens the panel in wp-admin, from a token that our plugin signed. Raises StaleToken."""
        public_key = pairing.unverified_store(token)
        found = await self._db.lookup("widget", public_key) if public_key else []
        if not found or found[0][1] is None or public_key is None:
            raise StaleToken
        workspace_id, store_id = found[0][0], found[0][1]
        secrets = await self._plugin_secrets(workspace_id, store_id)
        agent = identity.agent(token, secrets=secrets, public_key=public_key, now=time.time())
        if agent is None:
            raise StaleToken
        async with self._db.transaction(workspace_id) as tx:
            store = await stores.get(tx, store_id)
        if store is None or store.status == stores.UNINSTALLED:
            raise StaleToken
        return AdminSession(
            workspace_id=workspace_id,
            store_id=store_id,
            staff_id=agent.user_id,
            staff_name=agent.name,
            staff_email=agent.email,
            # The plugin gives tokens only to who may `manage_woocommerce`: they run the shop, also as shop managers.
            administrator=True,
            frame_ancestors=tuple(store.origins),
            locale=agent.locale,
            expires_at=datetime.fromtimestamp(agent.expires_at, UTC),
        )

    async def shopper_identity(self, connection: Connection, token: str) -> ShopperIdentity | None:
        """The signed-in customer that the storefront's token speaks of."""
        async with self._db.transaction(connection.workspace_id) as tx:
            store = await stores.get(tx, connection.store_id)
            secrets = await secrets_of_plugin(tx, self._vault, connection.store_id)
        if store is None:
            return None
        shopper = identity.shopper(token, secrets=secrets, public_key=store.public_key, now=time.time())
        if shopper is None:
            return None
        return ShopperIdentity(connection.workspace_id, connection.store_id, shopper.customer_id)

    async def account_sign_in(self, connection: Connection) -> str:
        """None: the storefront's own token says who is signed in, on every page of it."""
        return ""

    async def account_identity(self, token: str) -> ShopperIdentity | None:
        """None: My Account is a page of the storefront, and our plugin stands in it."""
        return None

    def panel_head(self) -> Mapping[str, str]:
        """The script that asks the wp-admin page around the panel for its tokens, which the site itself signs."""
        return {"bridge": BRIDGE, "self_signed": "WordPress"}

    def ways_back(self, connection: Connection) -> Mapping[str, str]:
        """Our page that asks for approval once more, and our plugin's own settings, whose button also pairs it."""
        return {
            "form": CONNECT,
            "site": connection.external_id,
            "admin": f"{connection.external_id}/wp-admin/{PLUGIN_SETTINGS}",
        }

    def read_webhook(
        self, topic: str, body: bytes, received_at: datetime, connection: Connection | None = None
    ) -> Sequence[Record]:
        """Records of one delivery. Raises ValueError on broken JSON."""
        return mapping.read_webhook(topic, body, received_at, currency=connection.currency if connection else "")

    async def disconnected(self, tx: Tx, store_id: UUID) -> None:
        """Forget keys and secrets, and the address that deliveries come to."""
        await tx.execute(
            delete(Credential).where(Credential.workspace_id == tx.workspace_id, Credential.store_id == store_id)
        )
        await stores.release(tx, STORE_KIND, str(store_id))

    # Credentials

    async def _client(self, connection: Connection) -> StoreClient:
        async with self._db.transaction(connection.workspace_id) as tx:
            found = await stores.credential(tx, self._vault, connection.store_id, "key")
        if found is None:
            raise PlatformError("this store has no keys", retry=False, reauthorize=True, code="keys_refused")
        secret, row = orjson.loads(found[0]), found[1]
        keys = Keys(secret["consumer_key"], secret["consumer_secret"], query=bool(row.data.get("query")))
        return StoreClient(self._http, connection.external_id, keys)

    async def _plugin_secrets(self, workspace_id: UUID, store_id: UUID) -> tuple[str, ...]:
        async with self._db.transaction(workspace_id) as tx:
            return await secrets_of_plugin(tx, self._vault, store_id)


async def secrets_of_plugin(tx: Tx, vault: Vault, store_id: UUID) -> tuple[str, ...]:
    """Every pairing secret that our plugin may be signing with now: the one in force first, then a rotation's."""
    found = []
    for kind in (PLUGIN, PLUGIN_NEXT, PLUGIN_PREVIOUS):
        held = await stores.credential(tx, vault, store_id, kind)
        if held is not None and (held[1].expires_at is None or held[1].expires_at > datetime.now(UTC)):
            found.append(held[0])
    return tuple(found)


async def read_profile(http: Http, url: str, client: StoreClient) -> StoreProfile:
    """What the site says about itself: the open REST index, then currency and country from WooCommerce's settings."""
    try:
        index = (await http.request("GET", f"{url}/wp-json/", timeout=15, max_bytes=8_000_000)).json()
    except HttpError as error:
        raise PlatformError("the store's REST index does not answer", retry=error.retry, code="unreachable") from error
    settings = {
        str(row["id"]): str(row.get("value") or "") for row in _rows((await client.get("settings/general")).body)
    }
    currency = settings.get("woocommerce_currency", "")
    decimals = whole(settings.get("woocommerce_price_num_decimals", ""), 9)
    home = str(index.get("home") or "").rstrip("/")
    addresses = (url, home, str(index.get("url") or ""))
    origins = {origin for address in addresses if (origin := _origin(address))}
    return StoreProfile(
        name=str(index.get("name") or urlsplit(url).hostname or url),
        url=_visited(home, url),
        origins=tuple(sorted(origins)),
        currency=currency,
        currency_decimals=exponent_of(currency) if decimals is None else decimals,
        timezone=_timezone(index),
        locale=await _language(client),
        country=settings.get("woocommerce_default_country", "").partition(":")[0],
    )


async def _language(client: StoreClient) -> str:
    """The site's language (`ar`, `he_IL`): only the system report knows it, and not every host lets us read that."""
    try:
        report = (await client.get("system_status", _fields="environment")).body
    except PlatformError:
        return "en"
    return str(report["environment"].get("language") or "en").replace("-", "_").partition("_")[0].lower()


def _timezone(index: Mapping[str, Any]) -> str:
    """An IANA name; sites with a bare offset get the fixed zone of it (whose sign is turned round, as POSIX has it)."""
    name = str(index.get("timezone_string") or "")
    if name:
        return name
    offset = float(index.get("gmt_offset") or 0)
    return f"Etc/GMT{-int(offset):+d}" if offset and offset == int(offset) else "UTC"


def _visited(home: str, url: str) -> str:
    """Where the site's visitors are, as it says itself: www or not, and whatever was typed to connect it.

    The scheme is the one that answered us: behind a proxy that speaks TLS for it, WordPress may believe in http.
    """
    try:
        ours, theirs = urlsplit(url), urlsplit(home)
        theirs = theirs._replace(scheme=ours.scheme) if theirs.netloc.lower() == ours.netloc.lower() else theirs
    except ValueError:
        return url
    plain = theirs.geturl()
    return plain if _HOME.fullmatch(plain) else url


def _told_origins(connection: Connection, said: object) -> Sequence[str]:
    """What the plugin's status says of this very site's origins: at most 50."""
    told = said if isinstance(said, dict) else {}
    listed = told.get("origins")
    if not isinstance(listed, list) or str(told.get("site", "")).rstrip("/") != connection.external_id:
        return ()
    return [found for one in listed[:50] if (found := _origin(str(one)))]


def _origin(url: str) -> str:
    """Scheme and host of an address, or nothing: it goes into a Content-Security-Policy, and the site wrote it."""
    found = _ORIGIN.match(url.lower())
    return found[0] if found else ""


def _rows(body: object) -> list[Mapping[str, Any]]:
    if not isinstance(body, list) or not all(isinstance(row, dict) for row in body):
        raise PlatformError("the store answered with something else than a list", retry=True, code="garbage")
    return body


async def _all(client: StoreClient, path: str) -> list[Mapping[str, Any]]:
    """A whole list, by id so that what is added meanwhile moves nothing, counted by its pages (B23)."""
    rows: list[Mapping[str, Any]] = []
    page, pages = 1, 1
    while page <= pages:
        answer = await client.get(path, per_page=100, page=page, orderby="id", order="asc")
        rows.extend(_rows(answer.body))
        page, pages = page + 1, answer.pages or 1
    return rows


def _was_ours(webhook: Mapping[str, Any], store_id: UUID) -> bool:
    """Left from an earlier public address of ours: same path, another host."""
    return urlsplit(str(webhook.get("delivery_url") or "")).path == f"/webhooks/woocommerce/{store_id}"


def _gmt(moment: datetime) -> str:
    """UTC in whole seconds, as `dates_are_gmt` wants it."""
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S")
