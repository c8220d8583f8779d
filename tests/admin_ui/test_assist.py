"""A language model at the desk: set and tested on a screen; beside a conversation, where nothing is sent by itself."""

import json
import re
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import func, select

from plugin import privacy, stores
from plugin.app import App
from plugin.bot.helping import ModelText
from plugin.conversations import conversations, messages
from plugin.conversations.conversations import Conversation, Shopper
from plugin.conversations.messages import Message
from plugin.crm.customers import Customer
from plugin.crm.visitors import Visitor
from plugin.kernel.db import new_id
from plugin.knowledge import articles, search
from plugin.knowledge.articles import Kind
from plugin.model import settings
from plugin.model.calls import ModelCall
from plugin.team import Agent, Role
from tests.admin_ui.conftest import URL, Browser, SignIn
from tests.admin_ui.shop import Admin, Shop, assemble
from tests.model.conftest import KEY, Stub, set_model
from tests.model.conftest import local as local
from tests.model.conftest import stub as stub


@pytest.fixture
def panel(local: App, admin: Admin) -> httpx.ASGITransport:
    """The panel of an operator who allows this machine."""
    _app, site = assemble(local, URL, admin)
    return httpx.ASGITransport(site, raise_app_exceptions=False)


@pytest.fixture
async def maya(shop: Shop, sign_in: SignIn) -> Browser:
    return await sign_in(shop.email)


BODY = "אנחנו חורטים עד עשר אותיות על טבעות. זה לוקח 2 ימים."


@pytest.fixture
async def talk(app: App, shop: Shop) -> UUID:
    """A customer writes in Hebrew, with what is personal in it; an article speaks of it."""
    async with app.db.transaction(shop.workspace_id) as tx:
        store = next(one for one in await stores.all_stores(tx) if one.status == stores.CONNECTED)
        owner = await tx.scalar(select(Agent).where(Agent.workspace_id == tx.workspace_id, Agent.role == Role.OWNER))
        assert owner is not None
        made = await articles.create(tx, owner.id, Kind.ARTICLE, "en")
        await articles.write(tx, made, "en", "חריטה על טבעות", BODY, by=owner.id)
        await articles.publish(tx, made, "en", by=owner)
        await search.index(tx, [made.id])
        customer = Customer(id=new_id(), name="דנה לוי", email="dana@mail.example")
        visitor = Visitor(id=new_id(), store_id=store.id, secret_hash=uuid4().bytes, customer_id=customer.id)
        tx.add(customer)
        await tx.flush()
        tx.add(visitor)
        await tx.flush()
        shopper = Shopper(visitor.id, store.id, customer.id)
        await messages.receive(tx, shopper, uuid4(), "שלום, כאן דנה לוי, הטלפון שלי 050-1234567")
        await messages.receive(tx, shopper, uuid4(), "חריטה על טבעות אפשר? הזמנה #1001")
        head = await conversations.current(tx, shopper)
        assert head is not None
    return head.id


FORM = {"enabled": "1", "model": "stub-1", "seconds": "5", "tokens_day": "1000", "use:bot": "1", "use:draft": "1"}


async def test_it_is_set_on_a_screen_and_off_before(app: App, shop: Shop, maya: Browser, stub: Stub) -> None:
    page = await maya.get("/panel/settings/model")
    assert "Off, nothing is sent to anybody." in page.text
    assert 'name="enabled" value="1" >' in page.text
    saved = await maya.post("/panel/settings/model", data={**FORM, "endpoint": stub.url, "key": KEY})
    assert saved.status_code == 303
    async with app.db.transaction(shop.workspace_id) as tx:
        row = await settings.of_workspace(tx)
        assert row is not None
        assert (row.enabled, row.model, row.tokens_day, row.uses) == (True, "stub-1", 1000, ["bot", "draft"])
    page = await maya.get("/panel/settings/model")
    assert KEY not in page.text
    assert "A key is kept" in page.text
    log = (await maya.get("/panel/team/log")).text
    assert "Language model changed" in log
    assert KEY not in log
    assert (await maya.post("/panel/settings/model/forget")).status_code == 303
    async with app.db.transaction(shop.workspace_id) as tx:
        row = await settings.of_workspace(tx)
        assert row is not None
        assert (row.enabled, row.key) == (False, None)


async def test_what_cannot_be_is_said_beside_its_field_and_a_key_goes_nowhere_else(
    app: App, shop: Shop, maya: Browser, stub: Stub
) -> None:
    wrong = await maya.post("/panel/settings/model", data={**FORM, "endpoint": "http://api.example/v1", "key": KEY})
    assert wrong.status_code == 422
    assert "It has to begin with https." in wrong.text
    assert KEY not in wrong.text
    await set_model(app, shop.workspace_id, stub)
    moved = await maya.post("/panel/settings/model", data={**FORM, "endpoint": "https://thief.example/v1"})
    assert "Another address needs its key typed again." in moved.text
    tried = await maya.post("/panel/settings/model/test", data={**FORM, "endpoint": "https://thief.example/v1"})
    assert "Another address needs its key typed again." in tried.text
    assert stub.bodies == []


async def test_a_test_says_what_is_wrong_in_words(maya: Browser, stub: Stub) -> None:
    form = {**FORM, "endpoint": stub.url, "key": KEY}
    stub.says('{"ok": true}')
    assert "It answers" in (await maya.post("/panel/settings/model/test", data=form)).text
    stub.answer = lambda body: (401, {"error": {"message": "Unknown key <b>x</b>"}}, "")
    tried = (await maya.post("/panel/settings/model/test", data=form)).text
    assert "refuses the key" in html_words(tried)
    assert "Unknown key &lt;b&gt;" in tried
    page = (await maya.get("/panel/settings/model")).text
    assert "Tests" in page


def html_words(text: str) -> str:
    return text.replace("&#39;", "'")


async def test_off_nothing_of_it_is_on_the_page_and_nothing_is_asked(maya: Browser, talk: UUID, stub: Stub) -> None:
    page = (await maya.get(f"/panel/inbox/{talk}")).text
    assert "data-assist-ask" not in page
    drafted = await maya.post(f"/panel/conversations/{talk}/draft")
    assert drafted.status_code == 200
    assert "The language model is off" in drafted.text
    assert stub.bodies == []


PRIVATE = ("דנה", "לוי", "050", "1234567", "#1001", "dana@")


async def test_a_draft_names_its_sources_and_what_it_made_up(
    app: App, shop: Shop, maya: Browser, talk: UUID, stub: Stub
) -> None:
    await set_model(app, shop.workspace_id, stub)
    assert "/draft" in (await maya.get(f"/panel/inbox/{talk}")).text
    stub.says({"answer": "שלום [NAME_1], חורטים עד עשר אותיות תוך 5 ימים. https://evil.example", "citations": [1]})
    before = await count(app, shop)
    drafted = (await maya.post(f"/panel/conversations/{talk}/draft")).text
    assert "שלום דנה לוי" in drafted
    assert "חריטה על טבעות" in drafted
    assert re.search(r"Neither in the articles.*evil\.example.*5<", drafted, re.DOTALL)
    assert all(private not in stub.raw[0] for private in PRIVATE)
    assert await count(app, shop) == before


async def test_whoever_hands_over_can_have_it_summed_up_whatever_has_moved_meanwhile(
    app: App, shop: Shop, maya: Browser, talk: UUID, stub: Stub
) -> None:
    head = f"/panel/conversations/{talk}/head"
    assert "assist-handing" not in (await maya.get(head)).text
    await set_model(app, shop.workspace_id, stub)
    assert "assist-handing" in (await maya.get(f"/panel/inbox/{talk}")).text
    assert "assist-handing" in (await maya.get(head)).text, "the head comes anew with each change"


async def count(app: App, shop: Shop) -> int:
    async with app.db.transaction(shop.workspace_id) as tx:
        return int(await tx.scalar(select(func.count()).select_from(Message)))


async def test_a_summary_is_kept_until_the_conversation_moves_on(
    app: App, shop: Shop, maya: Browser, talk: UUID, stub: Stub
) -> None:
    await set_model(app, shop.workspace_id, stub)
    stub.says({"summary": "[NAME_1] wants an engraving for [NUMBER_1]."})
    asked = f"/panel/conversations/{talk}/summary"
    assert "דנה לוי wants an engraving for #1001." in (await maya.post(asked)).text
    assert "דנה לוי wants" in (await maya.post(asked)).text
    assert len(stub.bodies) == 1
    assert all(private not in stub.raw[0] for private in PRIVATE)
    reply = {"client_id": str(uuid4()), "text": "Yes"}
    assert (await maya.post(f"/panel/conversations/{talk}/reply", data=reply)).status_code == 200
    await maya.post(asked)
    assert len(stub.bodies) == 2
    assert stub.data()["conversation"][-1] == {"who": "shop", "text": "Yes"}


def translating(body: dict[str, Any]) -> dict[str, Any]:
    """Puts "In <language>:" before each text, and keeps its placeholders."""
    data = json.loads(body["messages"][1]["content"])
    texts = {
        name: f"In {data['into']}: " + " ".join(re.findall(r"\[\w+\]", one)) for name, one in data["texts"].items()
    }
    return {"choices": [{"message": {"content": json.dumps({"texts": texts})}}]}


async def test_what_a_customer_wrote_is_translated_once(
    app: App, shop: Shop, maya: Browser, talk: UUID, stub: Stub
) -> None:
    await set_model(app, shop.workspace_id, stub)
    stub.answer = translating
    page = (await maya.get(f"/panel/inbox/{talk}")).text
    names = re.findall(r'data-assist-message="([0-9a-f-]+)" data-assist-spoken="he"', page)
    assert len(names) == 2
    asked = f"/panel/conversations/{talk}/translations"
    made = (await maya.post(asked, data={"message": names})).text
    assert f'data-assist-for="{names[0]}">In English: דנה לוי 050-1234567' in made
    assert "In English: #1001" in made
    assert (await maya.post(asked, data={"message": names})).text.count("In English") == 2
    assert len(stub.bodies) == 1
    assert all(private not in stub.raw[0] for private in PRIVATE)
    stub.answer = lambda body: {"choices": [{"message": {"content": '{"texts": {"1": "lost everything"}}'}}]}
    async with app.db.transaction(shop.workspace_id) as tx:
        await tx.execute(ModelText.__table__.delete())
    assert "could not be used" in (await maya.post(asked, data={"message": names})).text


async def test_an_answer_is_translated_before_it_is_sent_and_the_original_stays_with_the_team(
    app: App, shop: Shop, maya: Browser, talk: UUID, stub: Stub
) -> None:
    await set_model(app, shop.workspace_id, stub)
    stub.says({"texts": {"1": "כן, תוך 3 ימים."}})
    before = await count(app, shop)
    made = (await maya.post(f"/panel/conversations/{talk}/translate-reply", data={"text": "Yes, in 2 days."})).text
    assert "כן, תוך 3 ימים." in made
    assert "Yes, in 2 days." in made
    assert re.search(r"look again:.*2.*3", made, re.DOTALL)
    assert await count(app, shop) == before
    form = {"client_id": str(uuid4()), "text": "כן, תוך 2 ימים.", "original": "Yes, in 2 days."}
    sent = await maya.post(f"/panel/conversations/{talk}/reply", data=form)
    assert "Sent translated. As it was written" in sent.text
    assert "Yes, in 2 days." in sent.text
    async with app.db.transaction(shop.workspace_id) as tx:
        message = await tx.scalar(select(Message).where(Message.client_id == UUID(form["client_id"])))
        assert message is not None
        assert message.data["original"] == {"text": "Yes, in 2 days."}
        assert "Yes" not in json.dumps(messages.as_json(message))
    edited = await maya.post(f"/panel/conversations/{talk}/messages/{message.id}/edit", data={"text": "תוך 4 ימים."})
    assert "Yes, in 2 days." not in edited.text
    private = {"text": "Dear דנה לוי, #1001 is on its way. We call you at 050-1234567."}
    stub.says({"texts": {"1": "[NAME_1], [NUMBER_1] בדרך. נתקשר אל [NUMBER_2]."}})
    made = (await maya.post(f"/panel/conversations/{talk}/translate-reply", data=private)).text
    assert "דנה לוי, #1001 בדרך. נתקשר אל 050-1234567." in made
    assert all(one not in stub.raw[-1] for one in PRIVATE)


@pytest.mark.parametrize(
    ("answer", "words"),
    [((500, b"", ""), "server failed"), ({"choices": [{"message": {"content": "hm"}}]}, "could not be used")],
)
async def test_a_model_that_fails_says_so_where_it_was_asked(
    app: App, shop: Shop, maya: Browser, talk: UUID, stub: Stub, answer: Any, words: str
) -> None:
    await set_model(app, shop.workspace_id, stub)
    stub.answer = lambda body: answer
    for name in ("draft", "summary", "translate-reply"):
        told = await maya.post(f"/panel/conversations/{talk}/{name}", data={"text": "Hello"})
        assert told.status_code == 200
        assert words in told.text
        await set_model(app, shop.workspace_id, stub)
    await set_model(app, shop.workspace_id, stub, tokens_day=1)
    assert "budget is used up" in (await maya.post(f"/panel/conversations/{talk}/draft")).text


async def test_what_a_model_wrote_goes_with_the_customer_and_its_figures_with_time(
    app: App, local: App, shop: Shop, maya: Browser, talk: UUID, stub: Stub
) -> None:
    await set_model(app, shop.workspace_id, stub)
    stub.says({"summary": "about a ring"})
    await maya.post(f"/panel/conversations/{talk}/summary")
    async with app.db.transaction(shop.workspace_id) as tx:
        assert await tx.scalar(select(func.count()).select_from(ModelText)) == 1
        (call,) = await tx.scalars(select(ModelCall))
        call.created_at = call.created_at.replace(year=call.created_at.year - 1)
        found = await tx.get(Conversation, talk)
        assert found is not None
        await tx.session.delete(found)
    await privacy.retention(app, shop.workspace_id)
    async with app.db.transaction(shop.workspace_id) as tx:
        assert await tx.scalar(select(func.count()).select_from(ModelText)) == 0
        assert await tx.scalar(select(func.count()).select_from(ModelCall)) == 0


async def test_the_playground_asks_it_only_when_told_to(
    app: App, shop: Shop, maya: Browser, talk: UUID, stub: Stub
) -> None:
    await set_model(app, shop.workspace_id, stub)
    async with app.db.transaction(shop.workspace_id) as tx:
        store = next(one.id for one in await stores.all_stores(tx) if one.status == stores.CONNECTED)
    asked = "חורטים עד עשר אותיות, לוקח ימים?"
    stub.says({"answer": "חורטים עד עשר אותיות, וזה לוקח 2 ימים.", "citations": [1]})
    path = f"/panel/settings/bot/{store}/try"
    assert "Ask with the language model" in (await maya.get(path)).text
    await maya.get(f"{path}/answer", params={"q": asked})
    assert stub.bodies == []
    tried = (await maya.post(f"{path}/answer", data={"q": asked})).text
    assert len(stub.bodies) == 1
    assert "וזה לוקח 2 ימים" in tried
    assert "written by the language model" in tried
