"""Every address of the product: who it is for, and that no other tenant gets anything through it."""

import re
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import select
from starlette.routing import BaseRoute, Route, WebSocketRoute

from admin_ui.desk import GuardedRoute
from plugin import bootstrap, stores, team
from plugin.app import App
from plugin.conversations.conversations import Conversation
from plugin.conversations.messages import Message
from plugin.crm.customers import Customer
from plugin.crm.orders import Order
from plugin.stores import Store
from plugin.team import Agent, Role
from tests.admin_ui.shop import PASSWORD, Shop, assemble, open_shop, seed
from tests.admin_ui.shop import Admin as Vouching
from tests.copies import Original
from tests.house.sides import ids_of, rows, tables_of

URL = "http://localhost:8000"

# Who may come without a session of the panel, and what they prove instead.
Intruder = tuple[httpx.AsyncClient, list[GuardedRoute]]

PUBLIC = {
    "/": "nothing: a newcomer's first page",
    "/healthz": "nothing",
    "/readyz": "nothing",
    "/metrics": "this machine, or the operator's token",
    "/assets/{digest}/{name:path}": "nothing: our own files",
    "/sign-in": "a password",
    "/sign-in/code": "the sealed word of a first step, and a code",
    "/sign-in/recover/{word}": "the sealed word of an operator's link, and a password",
    "/sign-in/workspace": "the sealed word of a first step, or sessions of this browser",
    "/sign-in/provider": "nothing: it sends the browser to the operator's provider",
    "/sign-in/provider/callback": "this browser's cookie and the provider's answer",
    "/panel/link": "a session, and the sealed word of a store's admin",
    "/live/socket": "a one-time ticket",
    "/sign-up": "nothing: it makes a workspace of one's own",
    "/sign-out": "the session that ends",
    "/language": "nothing: a cookie",
    "/invitations/{workspace}/{secret}": "the secret of an invitation",
    "/shopify/patch": "nothing: an empty page that loads the admin's bridge",
    "/woocommerce/patch": "nothing: an empty page",
    "/shopify/install": "Shopify's signature",
    "/shopify/callback": "Shopify's signature and this browser's cookie",
    "/shopify/account/sign-in": "a store's public key: it sends a browser to sign in there",
    "/shopify/account/callback": "this browser's cookie and Shopify's answer",
    "/proxy/identity": "Shopify's signature",
    "/proxy/help": "Shopify's signature: what its merchant publishes",
    "/proxy/help/{path:path}": "Shopify's signature: what its merchant publishes",
    "/proxy/returns": "Shopify's signature",
    "/proxy/fit": "Shopify's signature",
    "/proxy/withdrawal": "Shopify's signature",
    "/proxy/{rest:path}": "Shopify's signature, and then nothing",
    "/install/woocommerce": "nothing: it carries a request to a page that asks",
    "/install/woocommerce/callback": "a one-time token of a grant",
    "/install/woocommerce/return": "a one-time token of a grant",
    "/panel/join": "a panel session or an embedded panel's word, which it checks itself; GET: this browser's cookie",
    "/panel/join/code": "a store's admin's word and this browser's cookie",
    "/panel/join/confirm": "a store's admin's word and this browser's cookie",
    "/plugin/woocommerce/frame": "a store's public key",
    "/plugin/woocommerce/enter": "a token of the site's own signature",
    "/plugin/woocommerce/{store}/{verb}": "the site's signature",
    "/panel/connect/woocommerce": "a panel session, which it checks itself",
    "/widget/loader.js": "nothing: our own file",
    "/widget/static/{version}/{name:path}": "nothing: our own files",
    "/widget/frame": "a store's public key",
    "/widget/page": "a store's public key",
    "/widget/page.js": "nothing: our own file",
    "/widget/orders/words": "nothing: our own words",
    "/widget/session": "a store's public key",
    "/widget/visit": "a page of the store, by its origin, and its visitor's consent",
    "/widget/messages": "a widget session",
    "/widget/attachments": "a widget session",
    "/widget/typing": "a widget session",
    "/widget/read": "a widget session",
    "/widget/email": "a widget session",
    "/widget/rating": "a widget session",
    "/widget/sign": "a widget session",
    "/widget/place": "a widget session",
    "/widget/transcript": "a widget session",
    "/widget/ticket": "a widget session",
    "/widget/orders": "a widget session",
    "/widget/orders/find": "a widget session",
    "/widget/orders/code": "a widget session",
    "/widget/orders/call": "a widget session",
    "/widget/orders/{order:uuid}": "a widget session",
    "/widget/orders/{order:uuid}/problem": "a widget session",
    "/widget/orders/{order:uuid}/goods": "a widget session",
    "/widget/orders/{order:uuid}/address": "a widget session",
    "/widget/orders/{order:uuid}/again": "a widget session",
    "/widget/orders/{order:uuid}/look": "a widget session",
    "/widget/orders/{order:uuid}/do": "a widget session",
    "/widget/orders/{order:uuid}/pay": "a widget session",
    "/widget/orders/{order:uuid}/ask": "a widget session",
    "/widget/orders/{order:uuid}/doings/{doing:uuid}": "a widget session",
    "/widget/orders/{order:uuid}/offer": "a widget session",
    "/widget/orders/{order:uuid}/decision": "a widget session",
    "/widget/orders/{order:uuid}/returns": "a widget session",
    "/widget/returns/{id}": "a widget session",
    "/widget/returns/{id}/cancel": "a widget session",
    "/widget/returns/{id}/answer": "a widget session",
    "/widget/returns/{id}/sent": "a widget session",
    "/widget/orders/sign-in": "a widget session",
    "/widget/orders/sign-out": "a widget session",
    **{
        f"/widget/account/{{platform}}/{path}": "the platform's token for its account pages"
        for path in (
            "order",
            "photos",
            "orders/{order:uuid}",
            "orders/{order:uuid}/offer",
            "orders/{order:uuid}/places",
            "orders/{order:uuid}/decision",
            "orders/{order:uuid}/returns",
            "returns/{id}",
            "returns/{id}/cancel",
        )
    },
    "/widget/withdrawal": "a widget session",
    "/widget/withdrawal/words": "nothing: our own words",
    "/widget/orders/{order:uuid}/instead": "a widget session",
    "/widget/orders/{order:uuid}/places": "a widget session",
    "/widget/returns/{id}/offer": "a widget session",
    "/widget/returns/{id}/decision": "a widget session",
    "/widget/returns/{id}/change": "a widget session",
    "/widget/returns/{id}/pay": "a widget session",
    "/widget/socket": "a one-time ticket",
    "/mail-pictures/{token}": "a signed link, good for minutes, to one picture of one letter",
    "/mail/stop/{token}": "the signed link in a mail; opening it changes nothing",
    "/files/{token}": "a signed link",
    "/help/{store}": "a store's public key: what its merchant publishes",
    "/help/{store}/{path:path}": "a store's public key: what its merchant publishes",
    "/help/{store}/search.json": "a store's public key: what its merchant publishes",
    "/help/{store}/home.json": "a store's public key: what its merchant publishes",
    "/help/{store}/article.json": "a store's public key: what its merchant publishes",
    "/help/{store}/file/{file}/{name}": "a store's public key: files of what its merchant publishes",
    "/help/{store}/feedback": "a store's public key; it counts, and says nothing about who",
    "/exports/{token}": "a signed link",
    "/exports/audit/{token}": "a signed link",
    "/exports/report/{token}": "a signed link",
    "/exports/return-report/{token}": "a signed link",
    "/exports/value-report/{token}": "a signed link",
    "/exports/transcript/{token}": "a signed link",
    "/exports/withdrawals/{token}": "a signed link",
}


def _routes(app: App) -> list[BaseRoute]:
    site: Any = bootstrap.serve(app)
    return list(site._inner.routes)


def test_every_route_names_a_permission_or_is_public_on_purpose(app: App) -> None:
    open_doors = set()
    for route in _routes(app):
        assert isinstance(route, Route | WebSocketRoute), route
        if not isinstance(route, GuardedRoute):
            open_doors.add(route.path)
    assert open_doors == set(PUBLIC)


WIDGET = [path for path, proof in PUBLIC.items() if proof == "a widget session"]


@pytest.mark.parametrize("path", WIDGET)
async def test_a_widget_address_needs_its_session(app: App, path: str) -> None:
    methods = {
        method for route in _routes(app) if route.path == path for method in getattr(route, "methods", None) or ()
    }
    method = "POST" if "POST" in methods else "GET"
    path = re.sub(r"\{\w+(:\w+)?\}", str(uuid4()), path)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(bootstrap.serve(app)), base_url=URL) as stranger:
        for token in ("", "Bearer x.y", f"Bearer {app.vault.sign('something else', {'w': uuid4().hex}, 60)}"):
            headers = {"authorization": token} if token else {}
            answer = await stranger.request(method, path, json={}, headers=headers)
            assert answer.status_code == 401, (path, token, answer.status_code)


async def test_no_page_of_the_panel_opens_without_a_session(app: App) -> None:
    transport = httpx.ASGITransport(bootstrap.serve(app))
    async with httpx.AsyncClient(transport=transport, base_url=URL) as stranger:
        for route in _routes(app):
            if isinstance(route, GuardedRoute):
                path = re.sub(r"\{\w+\}", str(uuid4()), route.path)
                method = "POST" if "POST" in (route.methods or ()) else "GET"
                answer = await stranger.request(method, path, headers={"sec-fetch-site": "same-origin"})
                assert answer.status_code in (302, 303, 401), (method, path, answer.status_code)


# Another tenant


@pytest.fixture
async def theirs(app: App) -> Shop:
    """The workspace that nobody else may see."""
    return await seed(app)


@pytest.fixture
async def mine(app: App) -> Shop:
    """The workspace of the one who tries: its owner may do everything there."""
    return await open_shop(app)


@pytest.fixture
async def admin(app: App, mine: Shop) -> Vouching:
    """A store of `mine`, whose admin vouches for its owner."""
    vouching = Vouching()
    async with app.db.transaction(mine.workspace_id) as tx:
        profile = stores.StoreProfile("Mine", "https://mine.example", ("https://mine.example",), "ILS", 2, "UTC", "he")
        shop = f"{uuid4().hex}.myshopify.com"
        store = await stores.connect(tx, platform="shopify", external_id=shop, profile=profile)
    vouching.workspace_id, vouching.store_id = mine.workspace_id, store.id
    return vouching


@pytest.fixture
async def intruder(app: App, mine: Shop, admin: Vouching) -> AsyncIterator[Intruder]:
    """A browser signed in to `mine` on both ways in, and every guarded route."""
    _served, site = assemble(app, URL, admin)
    routes = [route for route in site.routes if isinstance(route, GuardedRoute)]
    headers = {"sec-fetch-site": "same-origin", "authorization": "Bearer good:maya:admin"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(site, raise_app_exceptions=False), base_url=URL, headers=headers
    ) as client:
        page = await client.get("/sign-in")
        token = page.text.split('name="csrf" value="')
        form = {"email": mine.email, "password": PASSWORD, "csrf": token[1].split('"')[0] if len(token) > 1 else ""}
        assert (await client.post("/sign-in", data=form)).status_code == 303
        settings = await client.get("/panel/settings")
        client.headers["x-csrf-token"] = settings.text.split('"x-csrf-token": "')[1].split('"')[0]
        yield client, routes


WHO, WHOM = ("to", "agent", "assignee"), ("other", "merge", "customer")
# Taking back what is not there is no error, and does nothing.
HARMLESS = "/team/invitations/{id}/withdraw"
FORM = {
    "text": "mine now", "role": "light", "name": "x", "email": "thief@example.com", "status": "",
}  # fmt: skip


async def test_another_tenants_ids_open_nothing_and_change_nothing(app: App, theirs: Shop, intruder: Intruder) -> None:
    client, routes = intruder
    # One id for a row of every kind: whatever an address means by it, there it is, in somebody else's workspace.
    id = uuid4()
    kinds = await ids_of(app, theirs.workspace_id)
    same = await Original.of(app, theirs.workspace_id)
    others = {word: f"{uuid4().hex}.example" for one in theirs.stores.values() for word in (one.external_id,)}
    others |= {one.public_key: f"st_{uuid4().hex[:22]}" for one in theirs.stores.values()}
    others |= {
        spelling: f"{uuid4().hex}@dukkan.example"
        for one in (theirs.owner, *theirs.colleagues.values())
        for spelling in (one.email or "", app.vault.fingerprint("email", one.email or ""))
    }
    fresh = await same.copied(app, others, fixed={kinds[kind]: id for kind in kinds if kind != "workspace"})
    workspace_id = fresh[theirs.workspace_id]
    held = await tables_of(app, workspace_id, id)
    assert held == kinds.keys() - {"workspace"}
    assert {"conversations", "customers", "stores", "agents", "messages", "orders"} <= held
    before = await rows(app, workspace_id)
    tried = 0
    for route in routes:
        if "{" not in route.path:
            continue
        method = "POST" if "POST" in (route.methods or ()) else "GET"
        for name in (str(id), str(workspace_id)):
            path = re.sub(r"\{\w+\}", name, route.path)
            # Their ids in the form too: a colleague to assign, a customer to merge, a file to attach.
            form = {**FORM, "client_id": str(uuid4()), **dict.fromkeys((*WHO, *WHOM), str(id))}
            answer = await client.request(method, path, data=form if method == "POST" else None)
            if not (answer.status_code == 303 and route.path.endswith(HARMLESS)):
                assert 400 <= answer.status_code < 500, f"{method} {path}: {answer.status_code}"
            tried += 1
    assert tried > 100
    assert await rows(app, workspace_id) == before


async def test_no_list_shows_another_tenants_rows(app: App, theirs: Shop, intruder: Intruder) -> None:
    client, routes = intruder
    secrets = await _words_of(app, theirs.workspace_id)
    assert len(secrets) > 20
    for route in routes:
        if "{" in route.path or "GET" not in (route.methods or ()) or route.path.endswith("/live"):
            continue
        for query in ("", "?q=Emma&view=all", f"?query=huda@mail.example&id={theirs.talks['huda']}"):
            answer = await client.get(f"{route.path}{query}")
            assert answer.status_code < 500, (route.path, query)
            shown = [word for word in secrets if word in answer.text]
            assert not shown, (route.path, query, shown)


async def _words_of(app: App, workspace_id: UUID) -> set[str]:
    """What only that workspace knows: ids, addresses, order numbers, what was said."""
    async with app.db.transaction(workspace_id) as tx:
        words = {str(workspace_id)}
        for column in (Conversation.id, Customer.id, Store.id, Store.public_key, Agent.id, Agent.email, Order.id,
                       Customer.email, Message.text):  # fmt: skip
            words |= {str(value) for value in await tx.scalars(select(column))}
    # What the intruder types into the address bar themselves comes back in a search field.
    return {word for word in words if len(word) > 8} - {"huda@mail.example"}


async def test_a_light_agent_of_another_workspace_is_nobody_here(app: App, theirs: Shop, mine: Shop) -> None:
    """A session's secret only counts in its own workspace."""
    async with app.db.transaction(mine.workspace_id) as tx:
        owner = await tx.get(Agent, mine.owner.id)
        assert owner is not None
        assert owner.role == Role.OWNER
        secret = await team.open_session(tx, owner, "test")
    async with app.db.transaction(theirs.workspace_id) as tx:
        assert await team.session_agent(tx, secret) is None
    transport = httpx.ASGITransport(bootstrap.serve(app))
    async with httpx.AsyncClient(transport=transport, base_url=URL) as client:
        cookie = {"cookie": f"ahlan={theirs.workspace_id.hex}.{secret}"}
        assert (await client.get("/panel", headers=cookie)).status_code == 303
