"""The list of who is in the shops now, writing first from it, and what each store allows."""

import re
from uuid import uuid4

import pytest
from sqlalchemy import select

from plugin.app import App
from plugin.conversations import visits
from plugin.conversations.conversations import Conversation, Status
from plugin.conversations.messages import Message
from plugin.conversations.visits import Around, Visit
from plugin.crm.visitors import hash_of, new_secret
from plugin.stores import Store
from tests.admin_ui.conftest import Browser, SignIn
from tests.admin_ui.shop import Shop

AROUND = Around(
    url="https://oud.example/lamps", title="Lamps · Oud", referrer="www.google.com", country="SA", country_by="zone",
    language="ar-SA", device="phone",
)  # fmt: skip


@pytest.fixture
async def maya(shop: Shop, sign_in: SignIn) -> Browser:
    return await sign_in(shop.email)


async def looks_around(app: App, shop: Shop, **more: object) -> Visit:
    key = hash_of(new_secret()).hex()
    return await visits.saw(app.hub, shop.workspace_id, shop.stores["oud"].id, key, AROUND, days=30, **more)


def address(visit: Visit) -> str:
    return f"/panel/visitors/{visit.store_id}/{visit.key}"


async def test_who_is_here_where_and_since_when(app: App, shop: Shop, maya: Browser) -> None:
    assert "Nobody is here now" in (await maya.get("/panel/visitors")).text
    visit = await looks_around(app, shop)
    page = (await maya.get("/panel/visitors")).text
    for words in ("1 person is here now", "Lamps · Oud", "Saudi Arabia", "Arabic", "Phone", "www.google.com", "New",
                  "As the time zone of their browser suggests", "Write first", AROUND.url):  # fmt: skip
        assert words in page, words
    assert address(visit) in page
    assert "visitors=1" in page, "its stream tells when somebody moves"


async def test_a_page_that_lies_about_its_address_makes_no_link(app: App, shop: Shop, maya: Browser) -> None:
    key = hash_of(new_secret()).hex()
    told = Around(url="javascript:alert(1)", title="<script>alert(1)</script>")
    await visits.saw(app.hub, shop.workspace_id, shop.stores["oud"].id, key, told, days=0)
    page = (await maya.get("/panel/visitors")).text
    assert "javascript:" not in page
    assert "<script>alert" not in page


async def test_an_agent_writes_first(app: App, shop: Shop, maya: Browser) -> None:
    visit = await looks_around(app, shop)
    form = (await maya.get(address(visit))).text
    client_id = re.search(r'name="client_id" value="([^"]+)"', form)
    assert client_id is not None
    data = {"client_id": client_id[1], "seen": "0", "text": "Can I help?"}
    sent = await maya.post(address(visit), data=data, headers={"hx-request": "true"})
    assert (sent.status_code, sent.headers["hx-trigger"]) == (204, "ahlan:went")
    async with app.db.transaction(shop.workspace_id) as tx:
        talk = (await tx.scalars(select(Conversation).where(Conversation.begun_by_us))).one()
        assert (talk.status, talk.assignee_id, talk.store_id) == (Status.PENDING, shop.owner.id, visit.store_id)
    assert str(talk.id) in sent.headers["hx-location"]
    beside = (await maya.get(f"/panel/inbox/{talk.id}")).text
    assert "Lamps · Oud" in beside
    assert "Saudi Arabia" in beside
    page = (await maya.get("/panel/visitors")).text
    assert f"/panel/inbox/{talk.id}" in page
    assert "Write first" not in page
    late = await maya.post(address(visit), data={**data, "client_id": str(uuid4())})
    assert "Something was just written" in late.text
    assert "Can I help?" in late.text, "the words stay"


async def test_somebody_who_left_gets_nothing_and_the_words_stay(app: App, shop: Shop, maya: Browser) -> None:
    gone = f"/panel/visitors/{shop.stores['oud'].id}/{hash_of(new_secret()).hex()}"
    assert "They have left" in (await maya.get(gone)).text
    said = await maya.post(gone, data={"client_id": str(uuid4()), "seen": "0", "text": "Hello?"})
    assert "They have just left, so nothing was sent." in said.text
    assert "Hello?" in said.text
    async with app.db.transaction(shop.workspace_id) as tx:
        assert (await tx.scalars(select(Message).where(Message.text == "Hello?"))).all() == []
    for made_up in ("x" * 64, "ab"):
        assert (await maya.get(f"/panel/visitors/{shop.stores['oud'].id}/{made_up}")).status_code == 404


async def test_each_store_decides_and_the_log_says_who(app: App, shop: Shop, maya: Browser, sign_in: SignIn) -> None:
    path = f"/panel/settings/visits/{shop.stores['oud'].id}"
    noa = await sign_in(shop.colleagues["noa"].email or "")
    assert (await noa.post(path, data={"following": "all"})).status_code == 403
    await maya.post(path, data={"following": "off", "days": "7"})
    async with app.db.transaction(shop.workspace_id) as tx:
        store = await tx.get(Store, shop.stores["oud"].id)
        assert visits.rules(store) == visits.Rules("off", False, 7)
        assert store.widget.get("greeting"), "what else is set for the chat stays"
    await maya.post(path, data={"following": "everybody", "days": "9999"})
    async with app.db.transaction(shop.workspace_id) as tx:
        assert visits.rules(await tx.get(Store, shop.stores["oud"].id)) == visits.Rules("off", False, 7)
    assert "Looking at visitors changed" in (await maya.get("/panel/team/log")).text


async def test_whoever_may_only_note_does_not_write_first(app: App, shop: Shop, sign_in: SignIn) -> None:
    visit = await looks_around(app, shop)
    light = await sign_in(shop.colleagues["lior"].email or "")
    page = (await light.get("/panel/visitors")).text
    assert "Lamps · Oud" in page
    assert "Write first" not in page
    assert (await light.get(address(visit))).status_code == 403
