"""What a stranger, a shopper or a merchant with bad intent might try across rooms, and must not get."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import orjson
import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import DBAPIError

from plugin import bootstrap, privacy, stores, team
from plugin.app import App
from plugin.conversations import attachments, delivery, messages
from plugin.conversations import conversations as threads
from plugin.conversations.attachments import Attachment
from plugin.conversations.conversations import Shopper
from plugin.crm import customers, identities, sync, visitors
from plugin.crm.orders import Order
from plugin.kernel.db import Tx
from plugin.kernel.errors import Conflict, NotFound
from plugin.kernel.money import Money
from plugin.platform import CustomerRecord, OrderRecord, StoreProfile
from plugin.privacy import subjects
from plugin.stores import Store
from plugin.team import Agent, Role
from webhooks import handlers
from webhooks.inbox import InboxRow
from webhooks.receiver import Inbox

LONG_AGO, NOW = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)

VICTIM = {"email": "layla@example.com", "phone": "+966501111111", "first_name": "Layla"}
STRANGER = {"email": "mallory@example.com", "phone": "+966502222222", "first_name": "Mallory"}


async def connect(app: App, workspace: UUID, platform: str = "shopify") -> Store:
    name = f"attacks-{uuid4().hex[:12]}"
    external_id = f"{name}.myshopify.com" if platform == "shopify" else f"https://{name}.example"
    profile = StoreProfile(name, f"https://{name}.example", (), "SAR", 2, "UTC", "ar", country="SA")
    async with app.db.transaction(workspace) as tx:
        return await stores.connect(tx, platform=platform, external_id=external_id, profile=profile)


def account(external_id: str, version: datetime = NOW, **known: str) -> CustomerRecord:
    return CustomerRecord(external_id, version, created_at=LONG_AGO, **known)


def order(external_id: str, **more: Any) -> OrderRecord:
    return OrderRecord(external_id, NOW, f"#{external_id}", NOW, Money(100, "SAR", 2), **more)


async def row_of(tx: Tx, store: Store, external_id: str) -> UUID:
    found = await identities.customer_of_platform(tx, store.id, external_id)
    assert found is not None
    return found


async def add_agent(tx: Tx, role: Role) -> Agent:
    return await team.add(tx, name=role.value, email=f"{uuid4().hex}@shop.example", role=role)


# A guest checkout or an account with somebody else's handles


@pytest.mark.parametrize("registered_first", ["victim", "stranger"])
async def test_an_order_with_two_peoples_handles_does_not_make_them_one(
    app: App, workspace: UUID, registered_first: str
) -> None:
    """Anybody may check out as a guest with a victim's address and their own number: that bridges no accounts."""
    store = await connect(app, workspace)
    both = [account("1", **VICTIM), account("2", **STRANGER)]
    async with app.db.transaction(workspace) as tx:
        for record in both if registered_first == "victim" else both[::-1]:
            await sync.apply(tx, store, [record])
        await sync.apply(tx, store, [order("bridge", email=VICTIM["email"], phone=STRANGER["phone"])])
        victim, stranger = await row_of(tx, store, "1"), await row_of(tx, store, "2")
        assert await identities.head(tx, victim) != await identities.head(tx, stranger)
        beside_stranger = await customers.summary(tx, stranger)
    assert VICTIM["email"] not in {handle.value for handle in beside_stranger.handles}
    assert beside_stranger.orders == []


async def test_a_typed_number_of_a_guest_is_shown_as_unconfirmed(app: App, workspace: UUID) -> None:
    store = await connect(app, workspace)
    async with app.db.transaction(workspace) as tx:
        await sync.apply(tx, store, [order("1", email=VICTIM["email"], phone=STRANGER["phone"])])
        (guest,) = (await customers.search(tx)).customers
        handles = {handle.value: handle.proven_at is not None for handle in await identities.of_family(tx, [guest.id])}
    assert handles == {VICTIM["email"]: True, STRANGER["phone"]: False}


@pytest.mark.parametrize("registered_first", ["victim", "stranger"])
async def test_replies_go_to_the_account_that_wrote_and_to_no_relative(
    app: App, workspace: UUID, registered_first: str
) -> None:
    """Two rows that count as one person (another store's account with the same number) still have two letter boxes."""
    first, second = await connect(app, workspace), await connect(app, workspace, "woocommerce")
    known = [
        (first, account("1", **VICTIM)),
        (second, account("2", NOW + timedelta(days=1), **{**STRANGER, "phone": VICTIM["phone"]})),
    ]
    async with app.db.transaction(workspace) as tx:
        for store, record in known if registered_first == "victim" else known[::-1]:
            await sync.apply(tx, store, [record])
        rows = {"victim": await row_of(tx, first, "1"), "stranger": await row_of(tx, second, "2")}
        assert await identities.head(tx, rows["victim"]) == await identities.head(tx, rows["stranger"])
        found = {}
        for (store, _record), who in zip(known, rows, strict=True):
            visitor, _secret = await visitors.open_visitor(tx, store, None)
            shopper = Shopper(visitor.id, store.id, rows[who])
            await messages.receive(tx, shopper, uuid4(), "hello")
            head = await threads.current(tx, shopper)
            assert head is not None
            talk = await tx.get(threads.Conversation, head.id)
            assert talk is not None
            found[who] = await delivery.recipient(tx, talk)
    assert found == {"victim": VICTIM["email"], "stranger": STRANGER["email"]}


@pytest.mark.parametrize("registered_first", ["victim", "stranger"])
async def test_the_chat_greets_nobody_by_a_relatives_name(app: App, workspace: UUID, registered_first: str) -> None:
    first, second = await connect(app, workspace), await connect(app, workspace, "woocommerce")
    known = [
        (first, account("1", NOW + timedelta(days=1), **VICTIM)),
        (second, account("2", **{**STRANGER, "phone": VICTIM["phone"]})),
    ]
    async with app.db.transaction(workspace) as tx:
        for store, record in known if registered_first == "victim" else known[::-1]:
            await sync.apply(tx, store, [record])
        named = {
            who: await customers.own_name(tx, await row_of(tx, store, record.external_id))
            for (store, record), who in zip(known, ("victim", "stranger"), strict=True)
        }
    assert named == {"victim": "Layla", "stranger": "Mallory"}


# Privacy requests reach the person they name


async def test_a_request_of_one_account_takes_and_hands_out_nothing_of_another(app: App, workspace: UUID) -> None:
    """Accounts may carry any phone number, and a signed-in shopper may check out with any address."""
    store = await connect(app, workspace)
    async with app.db.transaction(workspace) as tx:
        await sync.apply(
            tx,
            store,
            [
                account("1", **VICTIM),
                account("2", **{**STRANGER, "phone": VICTIM["phone"]}),
                order("theirs", customer_external_id="1", email=STRANGER["email"]),
                order("guest", email=STRANGER["email"]),
            ],
        )
        victim, stranger = await row_of(tx, store, "1"), await row_of(tx, store, "2")
        asked = {"customer_id": "2", "email": STRANGER["email"], "phone": VICTIM["phone"]}
        found = set(await subjects.people(tx, store.id, asked))
        guest = await row_of(tx, store, f"guest:{STRANGER['email']}")
        by_address = set(await subjects.people(tx, store.id, {"email": VICTIM["email"]}))
    assert victim not in found
    assert found == {stranger, guest}
    assert by_address == {victim}


# A merchant's poisoned deliveries


@pytest.fixture
async def door(app: App) -> AsyncIterator[Inbox]:
    async def silent() -> None:
        """No worker listens."""

    made = Inbox(app.queue_url, silent)
    yield made
    await made.close()


_ORDER = {"id": 1, "status": "processing", "currency": "SAR", "total": "1", "date_modified_gmt": "2026-01-01T00:00:00"}


@pytest.mark.parametrize(
    "body",
    [
        orjson.dumps({**_ORDER, "billing": "no object"}),
        orjson.dumps({**_ORDER, "line_items": ["no line"]}),
        orjson.dumps({**_ORDER, "total": "1e999999999"}),
        orjson.dumps({**_ORDER, "date_modified_gmt": "0001-01-01T00:00:00+23:00"}),
        b'{"id":1,"x":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    ],
    ids=["text for an object", "text for a line", "huge amount", "impossible time", "deep"],
)
async def test_what_one_merchant_signs_stops_no_other_merchants_orders(
    app: App, workspace: UUID, other_workspace: UUID, door: Inbox, body: bytes
) -> None:
    """The inbox is shared: a body that no reader foresaw is parked, whatever it raises."""
    evil, good = await connect(app, other_workspace, "woocommerce"), await connect(app, workspace, "woocommerce")
    for store, workspace_id in ((evil, other_workspace), (good, workspace)):
        async with app.db.transaction(workspace_id) as tx:
            await stores.claim(tx, "woocommerce", str(store.id), store.id)
    keys = {store.id: str(uuid4()) for store in (evil, good)}
    for store, content in ((evil, body), (good, orjson.dumps(_ORDER))):
        await door.put(("woocommerce", keys[store.id], "woocommerce", str(store.id), "order.created", content, "{}"))
    await handlers.drain(app)
    async with app.db.queue.connect() as connection:
        parked = (await connection.execute(select(InboxRow).where(InboxRow.key == keys[evil.id]))).one()
    async with app.db.transaction(workspace) as tx:
        assert (await tx.scalars(select(Order.external_id))).all() == ["1"]
    assert parked.parked_at is not None
    assert parked.error


# Stores belong to one workspace


async def test_two_workspaces_that_connect_one_store_at_once_do_not_both_get_it(
    app: App, workspace: UUID, other_workspace: UUID
) -> None:
    profile = StoreProfile("Shop", "https://shop.example", (), "SAR", 2, "UTC", "ar")
    address = f"https://{uuid4().hex}.example"

    async def take(workspace_id: UUID) -> None:
        async with app.db.transaction(workspace_id) as tx:
            await stores.connect(tx, platform="woocommerce", external_id=address, profile=profile)
            await asyncio.sleep(0.1)

    outcomes = await asyncio.gather(take(workspace), take(other_workspace), return_exceptions=True)
    assert sorted(type(outcome) for outcome in outcomes if outcome) == [Conflict]
    assert len(await app.db.lookup("store", f"woocommerce:{address}")) == 1


# Former members


async def test_an_invitation_ends_with_the_right_of_who_gave_it(app: App, workspace: UUID) -> None:
    async with app.db.transaction(workspace) as tx:
        owner, admin = await add_agent(tx, Role.OWNER), await add_agent(tx, Role.ADMIN)
        _row, back_door = await team.invite(tx, email="me-again@shop.example", role=Role.ADMIN, by=admin)
        assert await team.invitation(tx, back_door) is not None
        await team.change_role(tx, admin, Role.AGENT, by=owner)
        assert await team.invitation(tx, back_door) is None
        await team.change_role(tx, admin, Role.ADMIN, by=owner)
        await team.deactivate(tx, admin, by=owner)
        assert await team.invitation(tx, back_door) is None
        assert await team.open_invitations(tx) == []
        with pytest.raises(NotFound):
            await team.accept(tx, back_door, name="Me", password_hash="x")


# Strangers at the door


@pytest.fixture
async def stranger(app: App) -> AsyncIterator[httpx.AsyncClient]:
    """Anybody on the internet, before the whole web process."""
    transport = httpx.ASGITransport(bootstrap.serve(app), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=app.settings.public_url) as client:
        yield client


@pytest.mark.parametrize(
    "hostile",
    [
        {"store": "st_\x00"},
        {"locale": "\x00"},
        {"page": {"url": "https://shop.example/\x00", "title": ""}},
        {"page": {"url": "", "title": "\x00"}},
    ],
    ids=["store", "locale", "page", "title"],
)
async def test_what_no_database_can_hold_is_a_bad_request_and_no_alarm(
    app: App, workspace: UUID, stranger: httpx.AsyncClient, hostile: dict[str, Any]
) -> None:
    store = await connect(app, workspace)
    answer = await stranger.post("/widget/session", json={"store": store.public_key, **hostile})
    assert answer.status_code in (404, 422), answer.text
    assert answer.json()["error"]["code"] in ("not_found", "bad_request")


async def test_a_store_is_asked_for_by_no_broken_name(stranger: httpx.AsyncClient) -> None:
    assert (await stranger.get("/widget/frame?store=st_%00")).status_code in (404, 422)


async def test_files_that_nobody_ever_sent_do_not_stay(app: App, workspace: UUID) -> None:
    store = await connect(app, workspace)
    async with app.db.transaction(workspace) as tx:
        upload = attachments.Upload("a.txt", "text/plain", b"a")
        await attachments.save(tx, upload, uploader=f"shopper:{uuid4()}", store_id=store.id)
        two_days = datetime.now(UTC) - timedelta(days=2)
        await tx.execute(update(Attachment).values(created_at=two_days))
        await attachments.save(tx, upload, uploader=f"shopper:{uuid4()}", store_id=store.id)
    await privacy.retention(app, workspace)
    async with app.db.transaction(workspace) as tx:
        assert await tx.scalar(select(func.count()).select_from(Attachment)) == 1


# The database as the last wall


async def test_functions_that_run_as_the_owner_cannot_be_shadowed(app: App) -> None:
    """A temporary table comes before `public` unless pg_temp is named last."""
    async with app.db.app.connect() as connection:
        rows = await connection.execute(text("SELECT proname, proconfig FROM pg_proc WHERE prosecdef"))
        paths = {row.proname: row.proconfig for row in rows if row.proname.startswith("ahlan_")}
    assert paths
    assert all("search_path=pg_catalog, public, pg_temp" in path for path in paths.values()), paths


async def test_errors_of_the_database_name_no_values(app: App, workspace: UUID) -> None:
    with pytest.raises(DBAPIError) as caught:
        async with app.db.transaction(workspace) as tx:
            await tx.execute(text("SELECT 1 / (length(:said) - 20)"), {"said": "what a shopper wrote"})
    assert "what a shopper wrote" not in f"{caught.value} {caught.value!r}"
