"""Who sees what: a secret opens its own conversation, a proof the customer's, a typed address nothing at all."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, update

from plugin import stores
from plugin.conversations.conversations import Conversation
from plugin.crm import identities, sync
from plugin.crm.customers import Customer
from plugin.crm.identities import Identity
from plugin.crm.visitors import Visitor
from plugin.kernel.events import Event
from plugin.platform import CustomerRecord
from plugin.stores import Store


async def know(browser: Any, external_id: str, **more: str) -> UUID:
    """The store has told us about a customer. Returns their row."""
    store: Store = browser.store
    async with browser.site.app.db.transaction(store.workspace_id) as tx:
        await sync.apply(tx, store, [CustomerRecord(external_id, datetime.now(UTC), **more)])
        found = await identities.customer_of_platform(tx, store.id, external_id)
    assert found is not None
    return found


async def conversations(browser: Any) -> list[Conversation]:
    async with browser.site.app.db.transaction(browser.store.workspace_id) as tx:
        return list(await tx.scalars(select(Conversation).order_by(Conversation.id)))


async def test_a_returning_browser_resumes(browser: Any) -> None:
    await browser.say("hello")
    before = browser.secret
    session = await browser.open()
    assert browser.secret == before
    assert session["conversation"]["last_seq"] == 1
    assert await browser.texts() == ["hello"]


@pytest.mark.parametrize("secret", [None, "", "vs_", "vs_" + "a" * 43, "x" * 500, "vs_\x00"])
async def test_a_made_up_secret_is_a_new_visitor(browser: Any, another: Any, secret: str | None) -> None:
    await browser.say("hello")
    another.secret = secret
    session = await another.open()
    assert session["secret"] not in (secret, browser.secret)
    assert session["conversation"] is None
    assert await another.texts() == []


async def test_a_secret_is_worth_nothing_on_another_store(
    browser: Any, another: Any, app: Any, workspace: UUID
) -> None:
    from_conftest = type(browser)
    await browser.say("hello")
    async with app.db.transaction(workspace) as tx:
        twin = Store(
            platform="shopify", external_id="twin", public_key="st_" + "b" * 22, name="Twin", url="https://t.example"
        )
        tx.add(twin)
        await tx.flush()
        await stores.claim(tx, "widget", twin.public_key, twin.id)
    elsewhere = from_conftest(browser.site, twin)
    elsewhere.secret = browser.secret
    assert (await elsewhere.open())["conversation"] is None
    assert elsewhere.secret != browser.secret
    await elsewhere.http.aclose()


async def test_a_signed_in_customer_sees_their_conversation_on_another_device(browser: Any, another: Any) -> None:
    customer = await know(browser, "gid://shopify/Customer/7", first_name="Layla", email="layla@example.com")
    await browser.open(identity="signed:gid://shopify/Customer/7")
    await browser.say("from the phone")
    session = await another.open(identity="signed:gid://shopify/Customer/7")
    assert session["visitor"] == {**session["visitor"], "identified": True, "name": "Layla", "has_email": True}
    assert await another.texts() == ["from the phone"]
    assert (await another.say("from the laptop"))["seq"] == 2
    (conversation,) = await conversations(browser)
    assert conversation.customer_id == customer


async def test_what_was_said_before_signing_in_becomes_the_customers(browser: Any) -> None:
    customer = await know(browser, "7")
    await browser.say("anonymous")
    await browser.open(identity="signed:7")
    assert await browser.texts() == ["anonymous"]
    (conversation,) = await conversations(browser)
    assert conversation.customer_id == customer
    async with browser.site.app.db.transaction(browser.store.workspace_id) as tx:
        told = select(Event.customer_id).where(Event.subject_id == conversation.id).distinct()
        assert list(await tx.scalars(told)) == [customer]


async def test_an_account_younger_than_its_webhook_is_met(browser: Any) -> None:
    session = await browser.open(identity="signed:gid://shopify/Customer/99")
    assert session["visitor"]["identified"]
    await browser.say("hello")
    await know(browser, "gid://shopify/Customer/99", first_name="Sara")
    assert (await browser.open(identity="signed:gid://shopify/Customer/99"))["visitor"]["name"] == "Sara"
    assert await browser.texts() == ["hello"]


@pytest.mark.parametrize("forged", ["7", "forged:7", "signed", "", "x" * 5000])
async def test_an_unsigned_identity_is_nobody(browser: Any, another: Any, forged: str) -> None:
    await know(browser, "7")
    await browser.open(identity="signed:7")
    await browser.say("mine")
    session = await another.open(identity=forged)
    assert not session["visitor"]["identified"]
    assert session["conversation"] is None
    assert await another.texts() == []


async def test_signing_out_leaves_nothing_on_a_shared_browser(browser: Any) -> None:
    await know(browser, "7")
    await browser.open(identity="signed:7")
    await browser.say("private")
    first = browser.secret
    session = await browser.open(identity=None)
    assert browser.secret != first
    assert session["conversation"] is None
    assert await browser.texts() == []
    await browser.open(identity="signed:7")
    assert await browser.texts() == ["private"]


async def test_another_account_on_the_same_browser_starts_anew(browser: Any) -> None:
    await know(browser, "7")
    await know(browser, "8")
    await browser.open(identity="signed:7")
    await browser.say("of seven")
    await browser.open(identity="signed:8")
    assert await browser.texts() == []
    await browser.say("of eight")
    assert [c.last_seq for c in await conversations(browser)] == [1, 1]


async def test_a_shop_that_could_not_be_asked_does_not_sign_anybody_out(browser: Any) -> None:
    await know(browser, "7")
    await browser.open(identity="signed:7")
    await browser.say("hello")
    secret = browser.secret
    session = await browser.open()
    assert browser.secret == secret
    assert not session["visitor"]["identified"], "nor is anybody proven by it"
    assert await browser.texts() == ["hello"]
    async with browser.site.app.db.transaction(browser.store.workspace_id) as tx:
        await tx.execute(update(Visitor).values(identified_at=datetime.now(UTC) - timedelta(hours=1)))
    assert (await browser.open())["conversation"] is None


async def test_a_strangers_address_opens_nothing(browser: Any, another: Any) -> None:
    """Somebody types the e-mail of a customer who has a conversation, orders and a name."""
    victim = await know(
        browser, "7", first_name="Layla", last_name="Haddad", email="layla@example.com", phone="+966501234567"
    )
    await browser.open(identity="signed:7")
    await browser.say("my order of the red dress")

    await another.open()
    for typed in ("layla@example.com", " LAYLA@Example.com ", "mailto:layla@example.com"):
        assert (await another.post("email", email=typed)).status_code == 200
    await another.say("I am layla@example.com, +966 50 123 4567, where is my order?")
    session = await another.open()
    assert session["visitor"]["name"] is None
    assert not session["visitor"]["identified"]
    assert session["visitor"]["has_email"]
    assert await another.texts() == ["I am layla@example.com, +966 50 123 4567, where is my order?"]
    seen = str(session) + str(await another.poll())
    assert "Layla" not in seen
    assert "red dress" not in seen

    app, workspace_id = browser.site.app, browser.store.workspace_id
    async with app.db.transaction(workspace_id) as tx:
        theirs = (await tx.scalars(select(Conversation).where(Conversation.reply_email != ""))).one()
        assert theirs.customer_id is None, "typing joins nobody"
        assert theirs.reply_email == "layla@example.com"
        hers = (await tx.scalars(select(Conversation).where(Conversation.customer_id == victim))).one()
        assert hers.reply_email == "", "nothing of hers goes anywhere new"
        assert await tx.scalar(select(func.count()).select_from(Customer)) == 1
        proofs = set(await tx.scalars(select(Identity.proof)))
    assert proofs <= {"platform", "typed"}
    assert await browser.texts() == ["my order of the red dress"]


@pytest.mark.parametrize("typed", ["", "x", "a@b", "a b@c.example", "a@b.example\r\nBcc: x@y.example"])
async def test_what_is_no_address_is_refused(browser: Any, typed: str) -> None:
    refused = await browser.post("email", email=typed)
    assert refused.status_code == 400
    assert refused.json()["error"]["code"] == "email"
    assert await conversations(browser) == []


@pytest.mark.parametrize("key", ["", "st_nonsense", "shopify:x", "st_" + "a" * 5000])
async def test_an_unknown_store(site: Any, browser: Any, key: str) -> None:
    browser.store = Store(public_key=key)
    response = await browser.http.post("/widget/session", json={"store": key})
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "not_found"


async def test_a_store_that_left(browser: Any) -> None:
    async with browser.site.app.db.transaction(browser.store.workspace_id) as tx:
        await tx.execute(update(Store).values(status="uninstalled"))
    assert (await browser.http.post("/widget/session", json={"store": browser.store.public_key})).status_code == 404


async def test_a_page_of_another_site_cannot_open_a_session(browser: Any) -> None:
    for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}):
        response = await browser.http.post("/widget/session", json={"store": browser.store.public_key}, headers=headers)
        assert response.status_code == 403
        assert "access-control-allow-origin" not in response.headers


async def test_an_old_session_is_refused(browser: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real = time.time
    monkeypatch.setattr("plugin.kernel.crypto.time.time", lambda: real() + 901)
    assert (await browser.post("ticket")).status_code == 401


async def test_a_page_is_kept_only_where_visits_may_be_followed(browser: Any) -> None:
    where = {"url": "https://dukkan.example/lamps", "title": "Lamps"}
    kept = {**where, "device": "computer"}
    workspace = browser.store.workspace_id

    async def opened(page: dict[str, Any]) -> dict[str, Any]:
        answer = await browser.http.post("/widget/session", json={
            "store": browser.store.public_key, "secret": browser.secret, "locale": "en", "page": page
        })  # fmt: skip
        assert answer.status_code == 200
        async with browser.site.app.db.transaction(workspace) as tx:
            visitor = await tx.scalar(select(Visitor).order_by(Visitor.id.desc()).limit(1))
            assert visitor is not None
            return dict(visitor.page)

    await browser.open()
    assert await opened({**where, "consent": {}}) == kept, "a shop without a banner asks nobody"
    assert await opened({**where, "consent": {"analytics": True, "preferences": True}}) == kept
    assert await opened({**where, "consent": {"analytics": False}}) == {}, "also what was kept before goes"
