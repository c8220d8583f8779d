"""Two workspaces with something secret in every place, and a client that sends whatever it is told to."""

import asyncio
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote
from uuid import UUID, uuid4

import httpx
import jwt
from sqlalchemy import select, text

from integrations.shopify.platform import ShopifyPlatform
from integrations.woocommerce import pairing
from integrations.woocommerce.platform import PLUGIN, WooCommercePlatform
from plugin import stores, team, workspaces
from plugin.app import App
from plugin.conversations import attachments, messages
from plugin.conversations.attachments import Attachment
from plugin.conversations.conversations import Conversation, Shopper
from plugin.conversations.messages import Message
from plugin.crm import identities, sync, visitors
from plugin.crm.customers import Customer
from plugin.crm.orders import Order
from plugin.kernel.http import Http
from plugin.kernel.money import Money
from plugin.platform import CustomerRecord, LineRecord, OrderRecord, StoreProfile
from plugin.schema import metadata
from plugin.stores import Store
from plugin.team import Agent, Role

PATIENCE = 20


@dataclass
class Side:
    """A workspace with a store on each platform, a talk under way, and something secret in every place."""

    workspace_id: UUID
    owner: Agent
    secret: str
    shop: str
    stores: dict[str, Store]
    pairing: str
    ids: dict[str, UUID] = field(default_factory=dict)
    planted: set[str] = field(default_factory=set)


async def build(app: App, mark: str) -> Side:
    """A side whose every private text holds `mark`; its credentials hold `hush-<mark>`."""
    workspace_id, shop, secret = workspaces.new_workspace_id(), f"{uuid4().hex}.myshopify.com", pairing.new_secret()
    async with app.db.transaction(workspace_id) as tx:
        await workspaces.create(tx, f"{mark} workspace", locale="en", timezone="UTC")
        owner = await team.add(tx, name=f"{mark} owner", email=f"{mark}@shop.example", role=Role.OWNER)
        await stores.claim(tx, "sign_in", app.vault.fingerprint("email", f"{mark}@shop.example"))
        browser = await team.open_session(tx, owner, "test")
        await team.invite(tx, email=f"{mark}-new@shop.example", role=Role.AGENT, by=owner)
        # A shop's name and address are on its storefront: no secret.
        profile = StoreProfile("Shop", "https://shop.example", ("https://shop.example",), "SAR", 2, "UTC", "ar")
        known = {
            platform: await stores.connect(tx, platform=platform, external_id=external_id, profile=profile)
            for platform, external_id in (("shopify", shop), ("woocommerce", f"https://{uuid4().hex}.example"))
        }
        later = datetime.now(UTC) + timedelta(days=1)
        await stores.put_credential(tx, app.vault, known["shopify"].id, "access", f"hush-{mark}", expires_at=later)
        await stores.put_credential(tx, app.vault, known["woocommerce"].id, PLUGIN, secret)
    async with app.db.transaction(workspace_id) as tx:
        for platform, store in known.items():
            record = CustomerRecord(
                f"{mark}-1", later, f"{platform}.{mark}@mail.example", "", f"{mark} Layla", mark, "ar", created_at=later
            )
            order = OrderRecord(
                f"{mark}-order", later, f"#{mark}", later, Money(100, "SAR", 2), customer_external_id=f"{mark}-1",
                lines=(LineRecord("1", f"{mark} lamp", 1, Money(100, "SAR", 2)),),
            )  # fmt: skip
            await sync.apply(tx, store, [record, order])
            customer_id = await identities.customer_of_platform(tx, store.id, f"{mark}-1")
            visitor, _secret = await visitors.open_visitor(tx, store, None, page={"url": "", "title": f"{mark} page"})
            file = await attachments.save(
                tx, attachments.Upload(f"{mark}.txt", "text/plain", mark.encode()),
                uploader=f"shopper:{visitor.id}", store_id=store.id,
            )  # fmt: skip
            shopper = Shopper(visitor.id, store.id, customer_id)
            await messages.receive(tx, shopper, uuid4(), f"{mark} said", [UUID(file["id"])])
            talk = (await tx.scalars(select(Conversation).where(Conversation.store_id == store.id))).one()
            await messages.note(tx, talk, owner, uuid4(), f"{mark} noted")
    side = Side(workspace_id, owner, browser, shop, known, secret)
    side.ids = await ids_of(app, workspace_id)
    side.planted = {mark, f"hush-{mark}", secret, browser, *await _words(app, workspace_id)}
    return side


async def ids_of(app: App, workspace_id: UUID) -> dict[str, UUID]:
    """One id of every kind of row that a workspace has, by table; the workspace's own too."""
    found = {"workspace": workspace_id}
    async with app.db.transaction(workspace_id) as tx:
        for table in metadata.sorted_tables:
            if table.info.get("access", "tenant") == "tenant" and "id" in table.c and "workspace_id" in table.c:
                value = await tx.scalar(select(table.c.id).limit(1))
                if isinstance(value, UUID):
                    found[table.name] = value
    return found


async def tables_of(app: App, workspace_id: UUID, id: UUID) -> set[str]:
    """The tables in which a workspace has a row of this id."""
    found = set()
    async with app.db.transaction(workspace_id) as tx:
        for table in metadata.sorted_tables:
            ours = table.info.get("access", "tenant") == "tenant" and {"id", "workspace_id"} <= set(table.c.keys())
            if ours and await tx.scalar(select(table.c.id).where(table.c.id == id)):
                found.add(table.name)
    return found


async def _words(app: App, workspace_id: UUID) -> set[str]:
    """Ids that only this workspace knows, in both spellings."""
    async with app.db.transaction(workspace_id) as tx:
        found = {workspace_id}
        for column in (Conversation.id, Customer.id, Store.id, Agent.id, Order.id, Message.id, Attachment.id):
            found |= set(await tx.scalars(select(column)))
    return {spelling for id in found for spelling in (str(id), id.hex)}


async def rows(app: App, workspace_id: UUID) -> dict[str, set[str]]:
    """A digest of every row of a workspace, by table, to see that nothing changed."""
    held = {}
    async with app.db.transaction(workspace_id) as tx:
        for table in metadata.sorted_tables:
            if table.info.get("access", "tenant") == "tenant":
                held[table.name] = set(await tx.scalars(text(f"SELECT md5(t::text) FROM {table.name} t")))
    return held


async def holds(app: App, workspace_id: UUID, word: str) -> bool:
    """Whether a row of this workspace says it: what somebody wrote down themselves may come back to them."""
    async with app.db.transaction(workspace_id) as tx:
        for table in metadata.sorted_tables:
            if table.info.get("access", "tenant") == "tenant":
                said = text(f"SELECT EXISTS (SELECT FROM {table.name} t WHERE t::text LIKE :word)")
                if await tx.scalar(said, {"word": f"%{word}%"}):
                    return True
    return False


# Asking, below every client that would refuse to send such a thing


@dataclass
class Asked:
    """One request as it goes over the wire."""

    method: str
    path: bytes
    query: bytes = b""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: list[bytes] = field(default_factory=list)
    kind: str = "http"
    who: str = ""

    def __str__(self) -> str:
        return (
            f"{self.who}: {self.method} {self.path!r}?{self.query[:300]!r} {[(k, v[:200]) for k, v in self.headers]} "
            f"{[piece[:200] for piece in self.body[:2]]} ({sum(map(len, self.body))} bytes)"
        )

    def said(self) -> bytes:
        """Everything in it: what somebody said themselves may come back to them."""
        headers = b"".join(value for _name, value in self.headers)
        return b"".join((self.path, self.query, headers, *self.body[:2]))


@dataclass
class Answer:
    """What came back; `status` 0 is a socket that was closed."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def said(self) -> bytes:
        return b"".join((self.body, *(name + b":" + value for name, value in self.headers)))


async def ask(site: Any, asked: Asked, address: str) -> Answer:
    """Send it, hang up, and collect the answer. Raises whatever the application lets out."""
    waiting: list[dict[str, Any]] = [{"type": "websocket.connect"}]
    if asked.kind == "http":
        pieces = asked.body or [b""]
        waiting = [
            {"type": "http.request", "body": piece, "more_body": at < len(pieces) - 1}
            for at, piece in enumerate(pieces)
        ]
    answer = Answer(0, [], b"")

    async def receive() -> dict[str, Any]:
        if waiting:
            return waiting.pop(0)
        await asyncio.sleep(0.05)
        return {"type": f"{asked.kind}.disconnect", "code": 1001}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            answer.status, answer.headers = message["status"], list(message.get("headers", []))
        answer.body += message.get("body", b"") or str(message.get("text") or "").encode()

    scope = {
        "type": asked.kind, "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1",
        "method": asked.method, "scheme": "http" if asked.kind == "http" else "ws", "root_path": "",
        "path": unquote(asked.path.decode("ascii", "replace")), "raw_path": asked.path, "query_string": asked.query,
        "headers": asked.headers, "client": (address, 5000), "server": ("localhost", 8000), "subprotocols": [],
        "extensions": {}, "state": {},
    }  # fmt: skip
    async with asyncio.timeout(PATIENCE):
        await site(scope, receive, send)
    return answer


def shopify_token(app: App, shop: str, **changes: Any) -> str:
    """The ID token of that shop's staff as Shopify would sign it, good for an hour."""
    now = int(time.time())
    claims = {
        "iss": f"https://{shop}/admin", "dest": f"https://{shop}", "aud": app.settings.shopify.client_id, "sub": "42",
        "exp": now + 3600, "nbf": now, "iat": now, "jti": "a", "sid": "s",
    }  # fmt: skip
    return jwt.encode({**claims, **changes}, app.settings.shopify.secret, "HS256")


def wordpress_token(secret: str, store: Store, **changes: Any) -> str:
    """The token of an administrator of the site that holds this pairing secret."""
    claims = {"site": "x", "store": store.public_key, "user_id": "7", "email": None, "name": "N", "locale": "en"}
    keys = pairing.derive_keys(secret)
    return pairing.agent_token(
        keys, **{**claims, "administrator": True, "now": int(time.time()), "lifetime": 900, **changes}
    )


def unreachable(app: App) -> App:
    """The same App whose platforms refuse at once whatever they are asked."""

    def refuse(request: httpx.Request) -> httpx.Response:
        return httpx.Response(404, json={"error": "nothing here"})

    http = Http(transport=httpx.MockTransport(refuse))
    parts: dict[str, Any] = {"db": app.db, "vault": app.vault, "http": http, "settings": app.settings}
    platforms = {"shopify": ShopifyPlatform(**parts), "woocommerce": WooCommercePlatform(**parts)}
    return replace(app, http=http, platforms=platforms)
