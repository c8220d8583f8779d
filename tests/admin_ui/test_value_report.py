"""The page of what support brings: numbers open their conversations, terms are kept, tables leave as files."""

import csv
import html
import io
import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from plugin.app import App
from plugin.conversations.conversations import Conversation
from plugin.conversations.messages import AGENT, MESSAGE, SHOPPER, Message
from plugin.kernel.db import new_id
from plugin.team import Agent
from plugin.workspaces import Workspace
from tests.admin_ui.conftest import Browser, SignIn
from tests.admin_ui.shop import Shop
from tests.analytics.test_value import order, person, put


@pytest.fixture
async def maya(app: App, shop: Shop, sign_in: SignIn) -> Browser:
    """The owner of a shop in which three wrote and one of them ordered after an answer."""
    store = next(iter(shop.stores.values()))
    now = datetime.now(UTC)
    async with app.db.transaction(shop.workspace_id) as tx:
        agent = (await tx.scalars(select(Agent.id).where(Agent.email == shop.email))).one()
        customer = await person(tx)
        for topic in ("track_order", "track_order", ""):
            begun = now - timedelta(days=3)
            it = Conversation(
                id=new_id(), store_id=store.id, customer_id=customer, channel="widget", topic=topic, created_at=begun,
                last_message_at=begun,
            )  # fmt: skip
            said = [
                Message(
                    id=new_id(), conversation_id=it.id, store_id=store.id, position=place, seq=place, author=author,
                    client_id=new_id(), kind=MESSAGE, text="…", created_at=begun + timedelta(minutes=place),
                    agent_id=agent if author == AGENT else None,
                )
                for place, author in ((1, SHOPPER), (2, AGENT))
            ]  # fmt: skip
            await put(tx, it, *said)
        bought = order(store, customer, now - timedelta(days=2), currency="SAR", total=12_345, name="#2001")
        await put(tx, bought)
    return await sign_in(shop.email)


async def test_numbers_open_as_many_conversations(maya: Browser) -> None:
    page = (await maya.get("/panel/reports/value")).text
    assert "Where is my order?" in page
    opened = 0
    for path, said in re.findall(r'<td class="number"><a href="(/panel/inbox[^"]+)">(\d+)</a>', page):
        shown = (await maya.get(html.unescape(path))).text
        assert shown.count('<li class="row-item">') == int(said) > 0
        opened += 1
    assert opened == 2
    assert "123.45" in page
    assert "#2001" in page


async def test_what_an_hour_costs_is_kept_and_used(app: App, shop: Shop, maya: Browser) -> None:
    said = {"minutes": "٥", "currency": "SAR", "hour": "36,50", "month": ""}
    answer = await maya.post("/panel/reports/value/terms?days=7", data=said)
    assert answer.status_code in (204, 303)
    async with app.db.transaction(shop.workspace_id) as tx:
        kept = (await tx.scalars(select(Workspace.value))).one()
    assert kept == {"minutes": 5, "currency": "SAR", "exponent": 2, "hour": 3650, "month": None}
    page = (await maya.get("/panel/reports/value")).text
    assert "36.50" in page
    log = (await maya.get("/panel/team/log")).text
    assert "An hour of your team" in log


@pytest.mark.parametrize(
    ("field", "typed"),
    [("minutes", "0"), ("minutes", "241"), ("minutes", "x"), ("hour", "-1"), ("hour", "1e9"),
     ("hour", "12.345"), ("month", "nan"), ("month", "9" * 400)],
)  # fmt: skip
async def test_what_is_no_number_is_said_at_the_field(
    app: App, shop: Shop, maya: Browser, field: str, typed: str
) -> None:
    said = {"minutes": "5", "currency": "SAR", "hour": "36", "month": "", field: typed}
    answer = await maya.post("/panel/reports/value/terms", data=said)
    assert answer.status_code == 422
    assert 'aria-invalid="true"' in answer.text
    assert html.escape(typed) in answer.text, "what was typed stays"
    async with app.db.transaction(shop.workspace_id) as tx:
        assert (await tx.scalars(select(Workspace.value))).one() == {}


async def test_only_who_may_change_settings_says_what_an_hour_costs(shop: Shop, maya: Browser, sign_in: SignIn) -> None:
    other = await sign_in(shop.colleagues["noa"].email or "")
    page = (await other.get("/panel/reports/value")).text
    assert "reports/value/terms" not in page
    assert "#2001" not in page, "a colleague's sales are for who leads the team"
    answer = await other.post("/panel/reports/value/terms", data={"minutes": "5"})
    assert answer.status_code == 403


async def test_tables_leave_as_files(maya: Browser) -> None:
    for table, least in (("topics", 3), ("products", 1), ("sales", 2), ("alone", 5)):
        link = (await maya.get(f"/panel/reports/value/export?table={table}")).json()["url"]
        rows = list(csv.reader(io.StringIO((await maya.get(link)).text.lstrip("\ufeff"))))
        assert len(rows) >= least, table
    assert (await maya.get("/panel/reports/value/export?table=nothing")).status_code == 400


async def test_a_choice_changes_the_page_alone(maya: Browser) -> None:
    parts = {"hx-request": "true", "hx-target": "main#page", "hx-request-type": "partial"}
    page = (await maya.get("/panel/reports/value?within=7", headers=parts)).text
    assert "<html" not in page
    assert '<option value="7" selected>' in page
