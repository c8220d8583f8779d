"""Connecting a WooCommerce store: look at the site, send the merchant to wc-auth, try the keys, remember (B2, B4).

The callback carries neither a signature nor the store's address (B17). What binds it is `user_id`: an unguessable
one-time token of ours, tied to the store address that the merchant named, and the keys are tried against exactly that
address before they are believed.

A grant link can be forwarded: whoever approves one that a stranger began would hand their shop to the stranger's
workspace. So tried keys wait, sealed, until the browser comes back, and it must be signed in to the workspace that
began. Any other browser ends the grant, also one that was finished a moment before (the stranger knows the address to
come back to and may be faster than the merchant's own browser).
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode, urlsplit
from uuid import UUID

import orjson
import structlog
from sqlalchemy import delete, select, update

from integrations.woocommerce import pairing
from integrations.woocommerce.client import Keys, StoreClient
from integrations.woocommerce.platform import KIND, STORE_KIND, read_profile
from plugin import stores
from plugin.app import App
from plugin.kernel.db import Tx
from plugin.kernel.errors import AhlanError
from plugin.kernel.http import AddressRefused, HttpError
from plugin.kernel.lazy import Lazy, _
from plugin.platform import PlatformError
from plugin.stores import ConnectGrant

log = structlog.get_logger(__name__)

GRANT_KIND: Final = "woocommerce_grant"
GRANT_MINUTES: Final = 30
_REGRET: Final = timedelta(minutes=2)
"""How long after a store was connected another browser that comes back from the same approval undoes it."""
CALLBACK: Final = "/install/woocommerce/callback"
RETURN: Final = "/install/woocommerce/return"
COMING_SOON = re.compile(rb"<meta name=[\"']woo-coming-soon-page[\"']")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}\Z")
_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*\Z")
_WORDPRESS_PATHS = re.compile(r"/(wp-admin|wp-login\.php|wp-json|cart|checkout|my-account)(/.*)?\Z")

_WORDS: Final[Mapping[str, tuple[Lazy, Lazy]]] = {
    "bad_address": (
        _("This is not the address of a shop."),
        _("Type it as shoppers see it, for example shop.example.com."),
    ),
    "unreachable": (
        _("The shop cannot be reached."),
        _("Check the address, and that the shop is open to the internet. Nothing was changed."),
    ),
    "private_address": (
        _("The shop is on a private network, where Ahlan does not go."),
        _("Use its public address, or ask whoever runs this Ahlan to allow the host."),
    ),
    "no_https": (
        _("The shop does not answer over https."),
        _("WooCommerce needs https to hand out keys. Ask the hosting company for a certificate; most give free ones."),
    ),
    "not_woocommerce": (
        _("There is no WooCommerce at this address."),
        _("Check the address. If the shop is in a folder, add it: example.com/shop."),
    ),
    "no_permalinks": (
        _("The shop uses plain permalinks, and WooCommerce keys do not work with those."),
        _("In WordPress open Settings, Permalinks, choose any other structure, save, and connect again."),
    ),
    "keys_refused": (
        _("The shop does not accept its own keys."),
        _("A security plugin or the hosting company may remove the Authorization header. Allow it, and connect again."),
    ),
    "read_only_key": (
        _("The keys may only read, but Ahlan must also write."),
        _("Connect again and approve read and write access."),
    ),
    "missing_right": (
        _("The account that approved may not manage WooCommerce."),
        _("Sign in to WordPress as an administrator or shop manager, and connect again."),
    ),
    "blocked": (
        _("Something in front of the shop turns us away."),
        _("Allow Ahlan in the firewall or security plugin, and connect again."),
    ),
    "store_taken": (
        _("This shop is connected to another workspace already."),
        _("Disconnect it there first, or sign in to that workspace."),
    ),
    "expired": (
        _("This took too long, or was used already."),
        _("Begin again; nothing was changed."),
    ),
    "other_browser": (
        _("The approval came back in another browser than the one that began."),
        _("Nothing was connected. Begin and approve in one browser, signed in to your own workspace."),
    ),
    "denied": (
        _("The shop was not connected, because access was not granted."),
        _("Begin again and choose Approve."),
    ),
}


class ConnectError(AhlanError):
    """Why a store cannot be connected; `code` is one of `_WORDS`, with words and what to do."""

    def __init__(self, code: str) -> None:
        message, hint = _WORDS.get(code, _WORDS["unreachable"])
        super().__init__(message, hint, code=code, status=422)


@dataclass(frozen=True, slots=True)
class Site:
    """What a look at the address found."""

    url: str
    coming_soon: bool


def normalise_address(text: str) -> str:
    """The home URL in what a merchant typed or pasted. Raises ConnectError("bad_address").

    Lower-case host, https unless http was written, no query, and none of the paths that people paste from wp-admin.
    """
    text = text.strip()
    # urlsplit would silently drop line ends and tabs from the middle.
    if len(text) > 300 or any(character.isspace() or not character.isprintable() for character in text):
        raise ConnectError("bad_address")
    if "://" not in text:
        text = f"https://{text}"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise ConnectError("bad_address") from error
    try:
        host = (parts.hostname or "").encode("idna").decode().lower()
    except UnicodeError as error:
        raise ConnectError("bad_address") from error
    if parts.scheme not in ("http", "https") or parts.username or parts.password or not _HOST.match(host):
        raise ConnectError("bad_address")
    path = _WORDPRESS_PATHS.sub("", re.sub(r"/+", "/", parts.path)).rstrip("/")
    if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)*", path) or any(part in (".", "..") for part in path.split("/")):
        raise ConnectError("bad_address")
    standard = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}{f':{port}' if port and port != standard else ''}{path}"


async def look(app: App, address: str) -> Site:
    """Ask the site what it is, without any key. Raises ConnectError with the reason that fits best."""
    url = normalise_address(address)
    if url.startswith("http://"):
        secure = f"https://{url.removeprefix('http://')}"
        try:
            return await look(app, secure)
        except ConnectError as error:
            if error.code == "unreachable" and await _index(app, f"{url}/wp-json/") is not None:
                raise ConnectError("no_https") from None
            raise
    index = await _index(app, f"{url}/wp-json/")
    if index is None:
        root = url[: url.index("/", 8)] if "/" in url[8:] else ""
        if root and await _index(app, f"{root}/wp-json/") is not None:
            # A page of the shop was pasted, not the folder that it lives in.
            return await look(app, root)
        if await _index(app, f"{url}/?rest_route=/") is not None:
            raise ConnectError("no_permalinks")
        raise ConnectError("not_woocommerce")
    if "wc/v3" not in index.get("namespaces", ()):
        raise ConnectError("not_woocommerce")
    return Site(url, await is_coming_soon(app, url))


async def is_coming_soon(app: App, url: str) -> bool:
    """Whether strangers get WooCommerce's placeholder instead of the shop (B29): its page says so in a meta tag."""
    try:
        page = await app.http.request("GET", f"{url}/", timeout=10, max_bytes=2_000_000, attempts=1, accept=range(600))
    except HttpError:
        return False
    return COMING_SOON.search(page.body) is not None


async def _index(app: App, url: str) -> dict[str, Any] | None:
    """The REST index, or None when something else is there. Raises ConnectError when nobody answers."""
    try:
        answer = await app.http.request("GET", url, timeout=15, max_bytes=8_000_000, attempts=2, accept=range(400, 600))
        body = orjson.loads(answer.body)
    except AddressRefused as error:
        raise ConnectError("private_address") from error
    except HttpError as error:
        raise ConnectError("unreachable") from error
    except orjson.JSONDecodeError:
        return None
    return body if isinstance(body, dict) and "namespaces" in body else None


async def begin(app: App, workspace_id: UUID, address: str, *, nonce: str = "", browser: str = "") -> str:
    """Start connecting a store: where to send the browser. Raises ConnectError.

    `nonce` is the one-time value of our plugin's Connect button; without it the store is connected, but its plugin
    learns the pairing secret only when that button is pressed. `browser`: the session that begins, and must come back.
    """
    site = await look(app, address)
    taken = await app.db.lookup("store", f"{KIND}:{site.url}")
    if any(owner != workspace_id for owner, _store in taken):
        raise ConnectError("store_taken")
    token = secrets.token_urlsafe(32)
    hashed = _hash(token)
    async with app.db.transaction(workspace_id) as tx:
        tx.add(
            ConnectGrant(
                platform=KIND,
                token_hash=hashed,
                store_url=site.url,
                data={"browser": _hash(browser), **({"nonce": nonce} if nonce else {})},
                expires_at=datetime.now(UTC) + timedelta(minutes=GRANT_MINUTES),
            )
        )
        await stores.claim(tx, GRANT_KIND, hashed)
    public = app.settings.public_url
    query = {
        "app_name": "Ahlan",
        "scope": "read_write",
        "user_id": token,
        "return_url": f"{public}{RETURN}",
        "callback_url": f"{public}{CALLBACK}",
    }
    return f"{site.url}/wc-auth/v1/authorize?{urlencode(query)}"


async def callback(app: App, body: bytes) -> None:
    """The store's POST with fresh keys. Returns when they open the store: then answer exactly 200 (B18).

    Nothing is connected before `finish`.

    Raises ConnectError otherwise: any other status makes WooCommerce delete the key again, also the second key of a
    grant link that was opened twice (B19), because a token counts once.
    """
    token, keys = _read_callback(body)
    hashed = _hash(token)
    found = await app.db.lookup(GRANT_KIND, hashed)
    if not found:
        raise ConnectError("expired")
    workspace_id = found[0][0]
    async with app.db.transaction(workspace_id) as tx:
        grant = await _turn(tx, hashed, "open", state="trying")
    if grant is None:
        raise ConnectError("expired")
    try:
        if keys.permissions != "read_write":
            raise ConnectError("read_only_key")
        keys = await _tried(app, grant.store_url, keys)
    except (ConnectError, PlatformError) as error:
        raise ConnectError(await _failed(app, workspace_id, hashed, "trying", error)) from error
    held = orjson.dumps([keys.consumer_key, keys.consumer_secret, keys.query]).decode()
    async with app.db.transaction(workspace_id) as tx:
        sealed = base64.b64encode(await app.vault.encrypt(tx, held, GRANT_KIND)).decode()
        if not await _turn(tx, hashed, "trying", state="tried", data={**grant.data, "keys": sealed}):
            raise ConnectError("expired")


async def owner(app: App, token: str) -> UUID | None:
    """The workspace that began the grant of this one-time token."""
    found = await app.db.lookup(GRANT_KIND, _hash(token)) if _TOKEN.match(token) else []
    return found[0][0] if found else None


async def address(app: App, token: str) -> str:
    """The store that a grant of this one-time token is for; empty for no such grant."""
    workspace_id = await owner(app, token)
    if workspace_id is None:
        return ""
    async with app.db.transaction(workspace_id) as tx:
        known = await tx.scalar(
            select(ConnectGrant.store_url).where(ConnectGrant.platform == KIND, ConnectGrant.token_hash == _hash(token))
        )
    return known or ""


async def finish(app: App, token: str, workspace_id: UUID | None, *, browser: str = "") -> tuple[str, str]:
    """A browser is back, signed in to `workspace_id` or to none: connect, or end the grant. Returns `outcome`.

    Only the session that began it counts (`browser`), not another one of the same workspace.
    """
    hashed = _hash(token) if _TOKEN.match(token) else ""
    found = await app.db.lookup(GRANT_KIND, hashed) if hashed else []
    if not found:
        return "unknown", "expired"
    owner = found[0][0]
    if workspace_id != owner or not await _began_here(app, owner, hashed, browser):
        await _end(app, owner, hashed)
        return "failed", "other_browser"
    async with app.db.transaction(owner) as tx:
        grant = await _turn(tx, hashed, "tried", state="connecting")
        held = await app.vault.decrypt(tx, base64.b64decode(grant.data["keys"]), GRANT_KIND) if grant else ""
    if grant is None:
        return await outcome(app, token)
    key, secret, query = orjson.loads(held)
    try:
        await _connect(app, owner, grant.store_url, Keys(key, secret, query=query), str(grant.data.get("nonce") or ""))
    except (AhlanError, PlatformError) as error:
        await _failed(app, owner, hashed, "connecting", error)
        return await outcome(app, token)
    async with app.db.transaction(owner) as tx:
        done = {"done_at": datetime.now(UTC).isoformat(), "browser": grant.data.get("browser", _hash(""))}
        if not await _turn(tx, hashed, "connecting", state="done", data=done):
            await _disconnect(app, tx, grant.store_url)
    await _forget_old(app, owner)
    return await outcome(app, token)


async def _began_here(app: App, workspace_id: UUID, hashed: str, browser: str) -> bool:
    async with app.db.transaction(workspace_id) as tx:
        data = await tx.scalar(
            select(ConnectGrant.data).where(ConnectGrant.platform == KIND, ConnectGrant.token_hash == hashed)
        )
    # Once it is settled nothing is kept to compare with, and nothing happens any more either.
    return data is None or "browser" not in data or secrets.compare_digest(data["browser"], _hash(browser))


async def _end(app: App, workspace_id: UUID, hashed: str) -> None:
    """Another browser came back: nothing of this grant counts."""
    async with app.db.transaction(workspace_id) as tx:
        statement = select(ConnectGrant).where(ConnectGrant.platform == KIND, ConnectGrant.token_hash == hashed)
        grant = await tx.scalar(statement.with_for_update())
        if grant is None or grant.state == "failed":
            return
        if grant.state == "done":
            if datetime.now(UTC) - datetime.fromisoformat(grant.data["done_at"]) > _REGRET:
                return
            await _disconnect(app, tx, grant.store_url)
        log.warning("woocommerce_grant_in_another_browser", store=grant.store_url, state=grant.state)
        grant.state, grant.reason, grant.data = "failed", "other_browser", {}


async def _disconnect(app: App, tx: Tx, url: str) -> None:
    store = await tx.scalar(select(stores.Store).where(stores.Store.platform == KIND, stores.Store.external_id == url))
    if store is not None and await stores.uninstalled(tx, store, max(datetime.now(UTC), store.installed_at)):
        await app.platforms[KIND].disconnected(tx, store.id)


async def _turn(tx: Tx, hashed: str, was: str, **values: Any) -> Any:
    """The grant's address and data, if it was in the state `was`."""
    turned = await tx.execute(
        update(ConnectGrant)
        .where(
            ConnectGrant.workspace_id == tx.workspace_id,
            ConnectGrant.token_hash == hashed,
            ConnectGrant.state == was,
            ConnectGrant.expires_at > datetime.now(UTC),
        )
        .values(**values)
        .returning(ConnectGrant.store_url, ConnectGrant.data)
    )
    return turned.one_or_none()


async def _failed(app: App, workspace_id: UUID, hashed: str, was: str, error: AhlanError | PlatformError) -> str:
    code = error.code if error.code in _WORDS else "unreachable"
    async with app.db.transaction(workspace_id) as tx:
        await _turn(tx, hashed, was, state="failed", reason=code, data={})
    return code


def _read_callback(body: bytes) -> tuple[str, Keys]:
    try:
        given = orjson.loads(body)
        token, key, secret = given["user_id"], given["consumer_key"], given["consumer_secret"]
        permissions = given["key_permissions"]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise ConnectError("expired") from error
    parts = (token, key, secret, permissions)
    if not all(isinstance(part, str) and part.isascii() and len(part) < 200 for part in parts):
        raise ConnectError("expired")
    if not _TOKEN.match(token):
        raise ConnectError("expired")
    return token, Keys(key, secret, permissions=permissions)


async def _connect(app: App, workspace_id: UUID, url: str, keys: Keys, nonce: str) -> None:
    profile = await read_profile(app.http, url, StoreClient(app.http, url, keys))
    owners = await app.db.lookup("store", f"{KIND}:{url}")
    if any(owner != workspace_id for owner, _store in owners):
        raise ConnectError("store_taken")
    async with app.db.transaction(workspace_id) as tx:
        store = await stores.connect(tx, platform=KIND, external_id=url, profile=profile)
        await stores.claim(tx, STORE_KIND, str(store.id), store.id)
        secret = {"consumer_key": keys.consumer_key, "consumer_secret": keys.consumer_secret}
        await stores.put_credential(
            tx, app.vault, store.id, "key", orjson.dumps(secret).decode(), data={"query": keys.query}
        )
        if await stores.credential(tx, app.vault, store.id, "webhook") is None:
            await stores.put_credential(tx, app.vault, store.id, "webhook", secrets.token_urlsafe(32))
        known = await stores.credential(tx, app.vault, store.id, "plugin")
        paired = known[0] if known else pairing.new_secret()
        if known is None or nonce:
            # Fresh again, so that no rotation is due between what the plugin is told and what we note of it.
            state = known[1].data if known else {"paired": False}
            await stores.put_credential(tx, app.vault, store.id, "plugin", paired, data=state)
    if nonce:
        await _pair(app, workspace_id, store, keys, nonce, paired)


async def _tried(app: App, url: str, keys: Keys) -> Keys:
    """Keys that opened a real question at that address, as Basic or, for hosts that strip it, in the query (B21)."""
    try:
        await StoreClient(app.http, url, keys).get("orders", per_page=1)
    except PlatformError as error:
        if error.code != "keys_refused":
            raise
        keys = Keys(keys.consumer_key, keys.consumer_secret, query=True, permissions=keys.permissions)
        await StoreClient(app.http, url, keys).get("orders", per_page=1)
    return keys


async def _pair(app: App, workspace_id: UUID, store: stores.Store, keys: Keys, nonce: str, secret: str) -> None:
    """Give our plugin its store id and secret (B4). A failure leaves the store connected and its plugin unpaired."""
    body = {
        "nonce": nonce,
        "site": store.external_id,
        "store_id": str(store.id),
        "public_key": store.public_key,
        "secret": secret,
        "server": app.settings.public_url,
    }
    try:
        await StoreClient(app.http, store.external_id, keys).call("POST", "pair", json=body, namespace="wc-ahlan/v1")
    except PlatformError as error:
        log.warning("woocommerce_pairing_failed", store_id=str(store.id), code=error.code)
        return
    async with app.db.transaction(workspace_id) as tx:
        await stores.put_credential(tx, app.vault, store.id, "plugin", secret, data={"paired": True})


async def outcome(app: App, token: str) -> tuple[str, str]:
    """State and reason code of a grant, for the page that the browser comes back to: done, failed, open, unknown."""
    hashed = _hash(token) if _TOKEN.match(token) else ""
    found = await app.db.lookup(GRANT_KIND, hashed) if hashed else []
    if not found:
        return "unknown", "expired"
    async with app.db.transaction(found[0][0]) as tx:
        statement = ConnectGrant.__table__.select().where(ConnectGrant.token_hash == hashed)
        row = (await tx.execute(statement)).mappings().one_or_none()
    return (row["state"], row["reason"]) if row else ("unknown", "expired")


async def _forget_old(app: App, workspace_id: UUID) -> None:
    async with app.db.transaction(workspace_id) as tx:
        mine = (ConnectGrant.workspace_id == workspace_id, ConnectGrant.platform == KIND)
        old = datetime.now(UTC) - timedelta(days=1)
        gone = await tx.scalars(
            delete(ConnectGrant).where(*mine, ConnectGrant.expires_at < old).returning(ConnectGrant.token_hash)
        )
        for key in list(gone):
            await stores.release(tx, GRANT_KIND, key)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
