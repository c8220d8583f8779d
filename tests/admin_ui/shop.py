"""A shop as it is on a Tuesday: two stores, people of three languages, talks under way; and the panel over it."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4
from weakref import WeakKeyDictionary

import uvicorn
from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route

import admin_ui.routes
import plugin.widget.help
import plugin.widget.routes
from admin_ui.auth import hash_password
from plugin import stores, team, workspaces
from plugin.app import App
from plugin.conversations import conversations, messages
from plugin.conversations.conversations import Conversation, Shopper
from plugin.crm import identities, sync, visitors
from plugin.crm.backfill import Backfill
from plugin.kernel.config import Demo
from plugin.kernel.db import Tx, new_id
from plugin.kernel.money import Money
from plugin.kernel.web import Defects, RequestId, Web
from plugin.platform import (
    Address,
    AdminSession,
    Capability,
    CartRecord,
    Connection,
    CustomerRecord,
    FulfilmentRecord,
    LineRecord,
    OrderRecord,
    RefundRecord,
    ReturnRecord,
    StaleToken,
    StoreProfile,
)
from plugin.stores import Store
from plugin.team import Agent, Role
from tests.copies import Original

PASSWORD = "a long and quiet evening"
NOW = datetime.now(UTC)


class Admin:
    """A store's admin that vouches for staff: `good:<name>:<role>` is a token, everything else is stale."""

    kind = "shopify"
    capabilities = frozenset({Capability.THEMED_PAGES})

    def __init__(self, head: Mapping[str, str] | None = None) -> None:
        self.head = dict(
            head or {"api_key": "test-client-id", "script": "", "frame_ancestors": "https://admin.example"}
        )
        self.workspace_id = UUID(int=0)
        self.store_id = UUID(int=0)
        self.asked: list[str] = []
        self.expires_at: datetime | None = None
        self.locale = ""

    async def admin_session(self, token: str) -> AdminSession:
        self.asked.append(token)
        word, _, rest = token.partition(":")
        if word != "good":
            raise StaleToken
        name, _, role = rest.partition(":")
        return AdminSession(
            self.workspace_id,
            self.store_id,
            name,
            name.title(),
            f"{name}@dukkan.example",
            role == "admin",
            ("https://dukkan.myshopify.com", "https://admin.shopify.com"),
            locale=self.locale,
            expires_at=self.expires_at,
        )

    def panel_head(self) -> Mapping[str, str]:
        return self.head

    def ways_back(self, connection: Connection) -> Mapping[str, str]:
        return {"admin": f"https://{connection.external_id}/admin/apps/ours"}


@dataclass
class Panel:
    """The panel on a real port."""

    app: App
    url: str
    site: Starlette = field(repr=False)
    admin: Admin = field(repr=False)


def assemble(app: App, url: str, admin: Admin) -> tuple[App, Starlette]:
    """The panel's and the widget's routes of `app` as they are served, with a stand-in for the platforms' admins."""
    app = replace(app, settings=replace(app.settings, public_url=url), platforms={"shopify": admin})
    folders = [Path(module.__file__ or "").parent / "templates" for module in (admin_ui.routes, plugin.widget.routes)]
    web = Web(app.catalogues, folders, url)
    site = Starlette(
        routes=[
            Route("/assets/{digest}/{name:path}", web.assets.serve),
            *plugin.widget.routes.routes(app, web),
            *plugin.widget.help.routes(app, web),
            *admin_ui.routes.routes(app, web),
        ],
        middleware=[Middleware(RequestId), Middleware(Defects, pages=web)],
        exception_handlers=dict(web.handlers()),
    )
    return app, site


@asynccontextmanager
async def serving(
    app: App, admin: Admin | None = None, port: int = 0, demo: Demo | None = None
) -> AsyncIterator[Panel]:
    """The panel behind uvicorn, in this very loop."""
    admin = admin or Admin()
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
    url = f"http://localhost:{listening.getsockname()[1]}"
    if demo is not None:
        app = replace(app, settings=replace(app.settings, demo=demo))
    app, site = assemble(app, url, admin)
    config = uvicorn.Config(site, log_level="warning", lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext
    running = asyncio.create_task(server.serve(sockets=[listening]))
    publisher, app.jobs.publisher = app.jobs.publisher, app.hub.publish
    while not server.started:
        await asyncio.sleep(0.01)
    yield Panel(app, url, site, admin)
    server.should_exit = True
    await running
    app.jobs.publisher = publisher


@dataclass
class Shop:
    """What the seed made, by name."""

    workspace_id: UUID
    owner: Agent
    colleagues: dict[str, Agent]
    stores: dict[str, Store]
    talks: dict[str, UUID] = field(default_factory=dict)
    people: dict[str, UUID] = field(default_factory=dict)
    email: str = ""


def sar(amount: str) -> Money:
    return Money(int(amount.replace(".", "")), "SAR", 2)


def ils(amount: str) -> Money:
    return Money(int(amount.replace(".", "")), "ILS", 2)


def ago(**parts: float) -> datetime:
    return NOW - timedelta(**parts)


def _address(name: str) -> str:
    return f"{name}-{uuid4().hex[:6]}@dukkan.example"


async def member(
    app: App, workspace_id: UUID, key: str, name: str, role: Role, password_hash: str, **more: Any
) -> Agent:
    """An agent who can sign in."""
    email = _address(key)
    async with app.db.transaction(workspace_id) as tx:
        agent = await team.add(tx, name=name, email=email, role=role, password_hash=password_hash, **more)
        await stores.claim(tx, "sign_in", app.vault.fingerprint("email", email))
    return agent


async def open_shop(app: App, *, locale: str = "en", email: str = "") -> Shop:
    """A workspace with an owner and nothing else."""
    workspace_id = workspaces.new_workspace_id()
    async with app.db.transaction(workspace_id) as tx:
        await workspaces.create(tx, "Dukkan", locale=locale, timezone="Asia/Jerusalem")
    owner = await member(
        app, workspace_id, "maya", "Maya Haddad", Role.OWNER, await hash_password(PASSWORD), locale=locale
    )
    return Shop(workspace_id, owner, {}, {}, email=owner.email or "")


async def seed(app: App, *, locale: str = "en") -> Shop:
    """The whole Tuesday: lived through once in each language, and from then on written again."""
    known = _TUESDAYS.setdefault(app.db.app, {})
    if locale not in known:
        shop = await _live_through(app, locale)
        known[locale] = (shop, await Original.of(app, shop.workspace_id))
        return shop
    first, original = known[locale]
    agents, shops = {"maya": first.owner, **first.colleagues}, first.stores.values()
    emails = {one.email or "": _address(name) for name, one in agents.items()}
    names = {one.external_id: f"{uuid4().hex}.example" for one in shops} | {
        one.public_key: f"st_{secrets.token_urlsafe(16)}" for one in shops
    }
    marks = {app.vault.fingerprint("email", old): app.vault.fingerprint("email", new) for old, new in emails.items()}
    new = await original.copied(app, {**emails, **names, **marks})
    async with app.db.transaction(new[first.workspace_id]) as tx:
        people = {name: await tx.get(Agent, new[one.id]) for name, one in agents.items()}
        stores_ = {name: await tx.get(Store, new[one.id]) for name, one in first.stores.items()}
    return Shop(
        new[first.workspace_id],
        people.pop("maya"),
        people,
        stores_,
        {name: new[id] for name, id in first.talks.items()},
        {name: new[id] for name, id in first.people.items()},
        emails[first.email],
    )


_TUESDAYS: WeakKeyDictionary[AsyncEngine, dict[str, tuple[Shop, Original]]] = WeakKeyDictionary()


async def _live_through(app: App, locale: str) -> Shop:
    shop = await open_shop(app, locale=locale)
    shop.colleagues = {
        name: await member(app, shop.workspace_id, name, full, role, shop.owner.password_hash)
        for name, full, role in (
            ("noa", "נועה לוי", Role.AGENT),
            ("karim", "كريم سعيد", Role.ADMIN),
            ("lior", "Lior Ben-Ami", Role.LIGHT),
        )
    }
    async with app.db.transaction(shop.workspace_id) as tx:
        shop.stores["oud"] = await _store(tx, "shopify", "Oud & Amber", "https://oud-amber.example", "SAR", "ar")
        shop.stores["kad"] = await _store(tx, "woocommerce", "כד וקערה", "https://kad.example", "ILS", "he")
    async with app.db.transaction(shop.workspace_id) as tx:
        await sync.apply(tx, shop.stores["oud"], oud_records())
        await sync.apply(tx, shop.stores["kad"], kad_records())
        await _standing(tx, shop)
    await _talks(app, shop)
    return shop


async def _store(tx: Tx, platform: str, name: str, url: str, currency: str, locale: str) -> Store:
    profile = StoreProfile(name, url, (url,), currency, 2, "Asia/Riyadh", locale)
    return await stores.connect(tx, platform=platform, external_id=f"{uuid4().hex}.example", profile=profile)


def oud_records() -> list[Any]:
    """What the Shopify store says."""
    huda = CustomerRecord(
        "gid://shopify/Customer/1",
        ago(days=2),
        "huda@mail.example",
        "+966501234567",
        "هدى",
        "القحطاني",
        "ar",
        created_at=ago(days=700),
        accepts_marketing=True,
    )
    emma = CustomerRecord(
        "gid://shopify/Customer/2",
        ago(days=1),
        "emma.clarke@mail.example",
        "",
        "Emma",
        "Clarke",
        "en",
        created_at=ago(days=90),
    )
    salem = CustomerRecord("gid://shopify/Customer/3", ago(days=9), "salem@mail.example", "", "سالم", "الدوسري", "ar")
    return [
        huda, emma, salem,
        _order(1042, ago(days=6), huda, "348.00", sar, [("عود كمبودي معتّق ١٢ مل", "12 ml", 1, "289.00"),
               ("مبخرة نحاس صغيرة", "", 1, "59.00")], "الرياض"),
        _order(1017, ago(days=61), huda, "214.50", sar, [("دهن العنبر", "6 ml", 1, "214.50")], "الرياض",
               shipped=ago(days=59), delivered=ago(days=57), returned="requested"),
        _order(988, ago(days=140), huda, "96.00", sar, [("بخور مبسوس", "50 g", 2, "48.00")], "الرياض",
               shipped=ago(days=138), delivered=ago(days=135), refunded="48.00",
               returned="closed"),
        _order(1051, ago(hours=30), emma, "129.00", sar, [("Amber discovery set", "5 × 2 ml", 1, "129.00")], "London",
               shipped=ago(hours=6)),
        _order(1029, ago(days=25), salem, "75.00", sar, [("بخور مبسوس", "100 g", 1, "75.00")], "جدة",
               shipped=ago(days=24), failed=True),
        CartRecord("cart-1", ago(minutes=50), "cart", "SAR", sar("178.00"), "gid://shopify/Customer/2",
                   lines=(LineRecord("1", "Oud travel spray", 1, sar("178.00")),)),
    ]  # fmt: skip


def kad_records() -> list[Any]:
    """What the WooCommerce store says."""
    tamar = CustomerRecord(
        "7", ago(days=3), "tamar@mail.example", "+972541234567", "תמר", "אברהמי", "he", created_at=ago(days=400)
    )
    huda = CustomerRecord("12", ago(days=30), "huda@mail.example", "", "Huda", "Al-Qahtani", "en")
    return [
        tamar, huda,
        _order(2310, ago(days=2), tamar, "419.00", ils, [("קערת הגשה גדולה, כחול קובלט", "", 1, "289.00"),
               ("ספל קרמיקה", "לבן", 2, "65.00")], "חיפה", shipped=ago(days=1)),
        _order(2204, ago(days=95), tamar, "180.00", ils, [("כד אבן", "", 1, "180.00")], "חיפה", shipped=ago(days=94),
               delivered=ago(days=92)),
    ]  # fmt: skip


def _order(
    number: int, at: datetime, who: CustomerRecord, total: str, money: Any, lines: list[tuple[str, str, int, str]],
    city: str, *, shipped: datetime | None = None, delivered: datetime | None = None, failed: bool = False,
    refunded: str = "", returned: str = "",
) -> OrderRecord:  # fmt: skip
    status = "failed" if failed else "delivered" if delivered else "in_transit"
    parcels = (
        (
            FulfilmentRecord(
                f"f{number}", status, f"AR{number}77SA", "https://track.example/AR", "SMSA", shipped, delivered
            ),
        )
        if shipped
        else ()
    )
    return OrderRecord(
        external_id=str(number), version=max(filter(None, (at, shipped, delivered))), name=f"#{number}", placed_at=at,
        total=money(total), payment_status="partially_refunded" if refunded else "paid",
        fulfilment_status="fulfilled" if shipped else "unfulfilled", customer_external_id=who.external_id,
        email=who.email, customer_name=f"{who.first_name} {who.last_name}", locale=who.locale,
        shipping_address=Address(city=city, country="SA"), refunded=money(refunded) if refunded else None,
        lines=tuple(LineRecord(f"{number}-{at_}", title, count, money(price), variant)
                    for at_, (title, variant, count, price) in enumerate(lines)),
        fulfilments=parcels,
        refunds=(RefundRecord(f"r{number}", money(refunded), "", ago(days=130)),) if refunded else (),
        returns=(ReturnRecord(f"b{number}", returned, f"#{number}-R1", max(ago(days=130), at + timedelta(days=6))),)
                if returned else None,
    )  # fmt: skip


async def _standing(tx: Tx, shop: Shop) -> None:
    """How the stores stand: one finished and seen, one still being read and with something to mend."""
    oud, kad = await tx.get(Store, shop.stores["oud"].id), await tx.get(Store, shop.stores["kad"].id)
    assert oud is not None
    assert kad is not None
    oud.embed_seen_at, oud.checked_at = ago(minutes=4), ago(minutes=20)
    oud.history_from, oud.history_limited_by = ago(days=60), "read_all_orders"
    oud.widget = {"greeting": "أهلًا وسهلًا"}
    kad.checked_at = ago(minutes=12)
    kad.findings = [{"code": "plugin_missing", "ok": False, "detail": ""}, {"code": "keys", "ok": True, "detail": ""}]
    for resource, count in (("customers", 1840), ("products", 96), ("orders", 5312)):
        tx.add(Backfill(id=new_id(), store_id=oud.id, resource=resource, state="done", done_count=count, total=count,
                        finished_at=ago(hours=2)))  # fmt: skip
    tx.add(Backfill(id=new_id(), store_id=kad.id, resource="customers", state="done", done_count=611, total=611))
    tx.add(Backfill(id=new_id(), store_id=kad.id, resource="orders", state="running", done_count=1450, total=3900))


def author(shop: Shop, name: str) -> Agent:
    return shop.owner if name == "maya" else shop.colleagues[name]


TALKS: list[tuple[str, str, str | None, str, dict[str, Any], list[tuple[str, str, float]]]] = [
    # name, store, customer's external id, locale, visitor, [(who, text, minutes ago)]
    ("huda", "oud", "gid://shopify/Customer/1", "ar", {"title": "عود كمبودي", "url": "https://oud-amber.example/p/1"}, [
        ("shopper", "السلام عليكم، طلبت قبل ستة أيام ولم يصلني أي خبر عن الشحن. رقم الطلب #1042", 55),
        ("maya", "وعليكم السلام هدى، شكرًا للتواصل. أتحقق الآن من المستودع وأعود إليكم خلال دقائق.", 51),
        ("note:maya", "المستودع: الدفعة الجديدة تصل غدًا، نرسل الطلب أولًا.", 49),
        ("maya", "الطلب يخرج من المستودع غدًا صباحًا عبر SMSA، ويصل رقم التتبع برسالة فور الشحن.", 44),
        ("shopper", "شكرًا جزيلًا! وهل يمكن إضافة عينة من دهن العنبر إلى الطرد؟", 38),
    ]),
    ("tamar", "kad", "7", "he", {}, [
        ("shopper", "היי, הקערה הגיעה עם סדק קטן בשוליים. אפשר להחליף?", 190),
        ("noa", "היי תמר, מצטערים לשמוע. אפשר לשלוח תמונה? נשלח קערה חדשה מיד.", 180),
        ("shopper", "בטח, מצלמת ושולחת", 12),
    ]),
    ("emma", "oud", "gid://shopify/Customer/2", "en", {"title": "Amber set", "url": "https://oud-amber.example/2"}, [
        ("shopper", "Hi! Does the discovery set include the cambodi oud, or only ambers?", 4),
    ]),
    ("visitor", "oud", None, "ar", {"title": "الصفحة الرئيسية", "url": "https://oud-amber.example/"}, [
        ("shopper", "عندكم توصيل للكويت؟ وكم ياخذ وقت؟", 1),
    ]),
    ("salem", "oud", "gid://shopify/Customer/3", "ar", {}, [
        ("shopper", "الطرد رجع للشركة وما أحد اتصل فيني، وش الحل؟", 1500),
        ("karim", "نعتذر سالم، رتّبنا محاولة ثانية غدًا بين 4 و 8 مساءً على نفس العنوان.", 1480),
    ]),
]  # fmt: skip


async def _talks(app: App, shop: Shop) -> None:
    for name, store_name, customer, locale, page, said in reversed(TALKS):
        store = shop.stores[store_name]
        async with app.db.transaction(shop.workspace_id) as tx:
            visitor, _secret = await visitors.open_visitor(tx, store, None, locale=locale, page=page)
            customer_id = await identities.customer_of_platform(tx, store.id, customer) if customer else None
            if customer_id is not None:
                await visitors.identify(tx, visitor, customer_id)
                shop.people[name] = customer_id
            else:
                await visitors.typed_email(tx, visitor, "abu.fahad@mail.example", "أبو فهد")
        shopper = Shopper(visitor.id, store.id, customer_id, locale=locale)
        for who, words, minutes in said:
            shop.talks[name] = await _say(app, shop, shopper, shop.talks.get(name), who, words, minutes)
    async with app.db.transaction(shop.workspace_id) as tx:
        salem = await tx.get(Conversation, shop.talks["salem"])
        assert salem is not None
        await conversations.turn(tx, salem, conversations.RESOLVED, by=shop.colleagues["karim"])


async def _say(
    app: App, shop: Shop, shopper: Shopper, conversation_id: UUID | None, who: str, words: str, minutes: float
) -> UUID:
    client_id = uuid4()
    async with app.db.transaction(shop.workspace_id) as tx:
        if who == "shopper":
            await messages.receive(tx, shopper, client_id, words)
            head = await conversations.current(tx, shopper)
            assert head is not None
            conversation_id = head.id
        else:
            assert conversation_id is not None
            talk = await tx.get(Conversation, conversation_id)
            assert talk is not None
            kind, _, name = who.rpartition(":")
            verb = messages.note if kind == "note" else messages.reply
            await verb(tx, talk, author(shop, name), client_id, words)
        at = ago(minutes=minutes)
        await tx.execute(
            update(messages.Message).where(messages.Message.client_id == client_id).values(created_at=at)
            .execution_options(synchronize_session=False)
        )  # fmt: skip
        await tx.execute(
            text(
                "UPDATE conversations SET last_message_at = :at, active_at = :at, created_at = least(created_at, :at), "
                "waiting_since = CASE WHEN waiting_since IS NULL THEN NULL ELSE least(waiting_since, :at) END "
                "WHERE workspace_id = :workspace AND id = :id"
            ),
            {"at": at, "workspace": shop.workspace_id, "id": conversation_id},
        )
        await tx.execute(
            text("UPDATE events SET at = :at WHERE workspace_id = :workspace AND subject_id = :id AND at > :at"),
            {"at": at, "workspace": shop.workspace_id, "id": conversation_id},
        )
    return conversation_id
