"""How the bot gets better, at the desk: suggestions with a yes, a change or a no, models, and the weeks."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import select

from plugin import stores
from plugin.app import App
from plugin.bot import bots, coverage, drift, lessons, models
from plugin.bot.coverage import ArticleSuggestion
from plugin.bot.drift import BINS, BotWeek
from plugin.bot.lessons import BotLesson
from plugin.bot.models import BotModel
from plugin.conversations.conversations import Conversation
from plugin.kernel.db import new_id
from plugin.kernel.jobs import JobRow
from plugin.team import Agent, Role
from tests.admin_ui.conftest import Browser, SignIn
from tests.admin_ui.shop import Shop

PAGE = "/panel/settings/bot/learning"


@pytest.fixture
async def maya(shop: Shop, sign_in: SignIn) -> Browser:
    return await sign_in(shop.email)


@pytest.fixture
async def talk(app: App, shop: Shop) -> UUID:
    """Some conversation."""
    async with app.db.transaction(shop.workspace_id) as tx:
        found = await tx.scalar(select(Conversation.id).where(Conversation.workspace_id == tx.workspace_id).limit(1))
        assert found is not None
        return UUID(str(found))


@pytest.fixture
async def owner(app: App, shop: Shop) -> Agent:
    async with app.db.transaction(shop.workspace_id) as tx:
        found = await tx.scalar(select(Agent).where(Agent.workspace_id == tx.workspace_id, Agent.role == Role.OWNER))
        assert found is not None
        return found


async def test_a_way_to_ask_is_put_right_and_approved_and_another_declined(
    app: App, shop: Shop, maya: Browser, owner: Agent, talk: UUID
) -> None:
    async with app.db.transaction(shop.workspace_id) as tx:
        for said in ("is it possible to wrap it nicely", "do you sing"):
            assert await lessons.suggest(tx, owner.id, said, "topic:gift_wrap", conversation_id=talk) is not None
        first, second = await lessons.waiting(tx, lessons.SOLVED)
    page = await maya.get(PAGE)
    assert "is it possible to wrap it nicely" in page.text
    assert f"/panel/conversations/{talk}" in page.text
    form = {"to": "yes", "text": "can you wrap it nicely", "target": "outside"}
    assert (await maya.post(f"{PAGE}/phrasings/{first.id}", data=form)).status_code == 303
    assert (await maya.post(f"{PAGE}/phrasings/{second.id}", data={"to": "no"})).status_code == 303
    async with app.db.transaction(shop.workspace_id) as tx:
        rows = {
            one.id: one for one in await tx.scalars(select(BotLesson).where(BotLesson.id.in_([first.id, second.id])))
        }
    assert (rows[first.id].text, rows[first.id].target, rows[first.id].counts) == (
        "can you wrap it nicely", "outside", True
    )  # fmt: skip
    assert (rows[second.id].state, rows[second.id].counts) == ("declined", False)
    assert "Nothing waits." in (await maya.get(PAGE)).text


async def test_an_answer_becomes_a_draft_as_it_was_put_right_and_its_question_a_way_to_ask(
    app: App, shop: Shop, maya: Browser, owner: Agent, talk: UUID
) -> None:
    async with app.db.transaction(shop.workspace_id) as tx:
        row = ArticleSuggestion(
            id=new_id(), conversation_id=talk, language="en", topic="", title="do u wrap", body="We wrap.",
            state="open", article_id=None, agent_id=owner.id, question="do u wrap gifts",
        )  # fmt: skip
        tx.add(row)
    assert "do u wrap" in (await maya.get(PAGE)).text
    sent = await maya.post(f"{PAGE}/articles/{row.id}", data={"title": "Gift wrapping", "body": "We wrap every gift."})
    assert sent.status_code == 303
    async with app.db.transaction(shop.workspace_id) as tx:
        kept = await tx.get(ArticleSuggestion, row.id)
        assert kept is not None
        assert kept.article_id is not None
        found = await coverage.articles.find(tx, kept.article_id)
        assert (found.texts["en"].title, found.texts["en"].body) == ("Gift wrapping", "We wrap every gift.")
        lesson = await tx.scalar(select(BotLesson).where(BotLesson.target == f"article:{kept.article_id}"))
        assert lesson is not None
        assert lesson.text == "do u wrap gifts"


def model(number: int, state: str, **more: object) -> BotModel:
    compared = [
        {"name": "topic", "count": 3000, "before": 2400, "now": 2300, "worse": 110, "better": 10, "chance": 0.0,
         "lost": state == "refused"},
        {"name": "own", "count": 0, "before": 0, "now": 0, "worse": 0, "better": 0, "chance": 1.0, "lost": False},
    ]  # fmt: skip
    return BotModel(
        id=new_id(), number=number, state=state, digest=f"d{number}", contents={"lessons": [], "titles": []},
        vectors=b"", figures={"lessons": 3, "titles": 2}, compared=compared, agent_id=None, live_at=None,
    )  # fmt: skip


async def test_models_are_made_on_demand_and_an_older_one_answers_again(
    app: App, shop: Shop, maya: Browser, sign_in: SignIn, owner: Agent
) -> None:
    assert "No model of your own yet" in (await maya.get(PAGE)).text
    async with app.db.transaction(shop.workspace_id) as tx:
        tx.add(model(1, "kept"), model(2, "live"), model(3, "refused"))
    page = await maya.get(PAGE)
    assert "It loses more than chance takes" in page.text
    assert page.text.count("Let it answer") == 2, "the refused one has no way to answer"
    assert "kept aside" not in page.text, "what nothing was measured by is not shown"
    assert (await maya.post(f"{PAGE}/back", data={"number": "1"})).status_code == 303
    assert (await maya.post(f"{PAGE}/back", data={"number": "3"})).status_code == 404
    assert (await maya.post(f"{PAGE}/back", data={"number": "x"})).status_code == 404
    async with app.db.transaction(shop.workspace_id) as tx:
        assert [(one.number, one.state) for one in await models.listed(tx)] == [
            (3, "refused"),
            (2, "back"),
            (1, "live"),
        ]
    assert (await maya.post(f"{PAGE}/refit", data={})).status_code == 303
    async with app.db.transaction(shop.workspace_id) as tx:
        tasks = set(await tx.scalars(select(JobRow.task).where(JobRow.workspace_id == tx.workspace_id)))
    assert {"refit_bot", "bring_model"} <= tasks
    assert "An older model of the bot answers again" in (await maya.get("/panel/team/log")).text


async def test_weeks_stand_in_a_table_and_an_alarm_above_it(app: App, shop: Shop, maya: Browser, owner: Agent) -> None:
    now = datetime.now(UTC)
    async with app.db.transaction(shop.workspace_id) as tx:
        store = next(one for one in await stores.all_stores(tx) if one.status == stores.CONNECTED)
        bot = await bots.ready(tx, store.id)
        bot.enabled = True
        tx.add(bot)
        monday = drift.last_week("UTC", now)
        for back in range(5):
            week = monday - timedelta(weeks=back)
            tx.add(
                BotWeek(
                    store_id=store.id, week=week, talks=200, unsure=60, handed=50, corrected=4,
                    scores=[200, *[0] * (BINS - 1)], alarms=[] if back else ["handed"],
                )
            )  # fmt: skip
    page = await maya.get(PAGE)
    assert "last week was not like the weeks before" in page.text
    assert "More conversations handed over" in page.text
    assert page.text.count("Unlike the others") == 1
