"""Writing, translating, publishing: what is kept, what shoppers see, and who may."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, text, update

from plugin import privacy
from plugin.app import App
from plugin.kernel import jobs
from plugin.kernel.errors import AhlanError, Conflict, Forbidden, NotFound
from plugin.knowledge import articles, importing, reading, snippets
from plugin.knowledge.articles import ArticleText, Kind, Listed
from plugin.knowledge.rules import State
from plugin.reactions import TASKS
from plugin.team import Agent, AuditEntry
from tests.knowledge.conftest import Write


async def look(app: App, workspace: UUID, id: UUID) -> Listed:
    async with app.db.transaction(workspace) as tx:
        return await articles.find(tx, id)


async def save(app: App, workspace: UUID, by: Agent, id: UUID, code: str, body: str, **more: bool) -> None:
    async with app.db.transaction(workspace) as tx:
        found = await articles.find(tx, id)
        title = found.texts[code].title if code in found.texts else f"Title {code}"
        await articles.write(tx, found.article, code, title, body, by=by.id, **more)


async def act(app: App, workspace: UUID, verb: str, id: UUID, code: str, by: Agent) -> None:
    async with app.db.transaction(workspace) as tx:
        await getattr(articles, verb)(tx, (await articles.find(tx, id)).article, code, by=by)


async def test_a_translation_is_behind_from_the_moment_shoppers_see_a_later_source(
    app: App, workspace: UUID, maya: Agent, article: Write
) -> None:
    id = await article(en=("Delivery", "Three days."), ar=("التوصيل", "ثلاثة أيام."))
    assert not (await look(app, workspace, id)).outdated("ar")
    await save(app, workspace, maya, id, "en", "Five days.")
    found = await look(app, workspace, id)
    assert found.state("en") is State.CHANGED
    assert not found.outdated("ar"), "shoppers still read the source that it was made from"
    await act(app, workspace, "publish", id, "en", maya)
    assert (await look(app, workspace, id)).outdated("ar")
    await save(app, workspace, maya, id, "ar", "خمسة أيام.")
    assert not (await look(app, workspace, id)).outdated("ar")


async def test_a_small_change_and_a_word_that_it_is_fine_keep_translations_up_to_date(
    app: App, workspace: UUID, maya: Agent, article: Write
) -> None:
    id = await article(en=("Delivery", "Thre days."), ar=("التوصيل", "ثلاثة أيام."))
    await save(app, workspace, maya, id, "en", "Three days.", small=True)
    await act(app, workspace, "publish", id, "en", maya)
    assert not (await look(app, workspace, id)).outdated("ar")
    await save(app, workspace, maya, id, "en", "Three days!")
    await act(app, workspace, "publish", id, "en", maya)
    assert (await look(app, workspace, id)).outdated("ar")
    async with app.db.transaction(workspace) as tx:
        await articles.up_to_date(tx, (await articles.find(tx, id)).article, "ar")
    assert not (await look(app, workspace, id)).outdated("ar")


async def test_versions_are_kept_and_one_is_taken_up_again_as_a_new_one(
    app: App, workspace: UUID, maya: Agent, article: Write
) -> None:
    id = await article(publish=False, en=("Delivery", "one"))
    for body in ("two", "two", "three"):
        await save(app, workspace, maya, id, "en", body)
    async with app.db.transaction(workspace) as tx:
        row = (await articles.find(tx, id)).article
        await articles.restore(tx, row, "en", 1, by=maya.id)
        kept = await articles.versions(tx, id, "en")
    assert [(one.number, one.body) for one in kept] == [(4, "one"), (3, "three"), (2, "two"), (1, "one")]
    assert {one.agent_id for one in kept} == {maya.id}


async def test_a_translation_that_is_taken_up_again_is_behind_where_its_source_went_on(
    app: App, workspace: UUID, maya: Agent, article: Write
) -> None:
    id = await article(en=("Delivery", "Three days."), ar=("التوصيل", "ثلاثة أيام."))
    await save(app, workspace, maya, id, "ar", "ثلاثة أيام!")
    async with app.db.transaction(workspace) as tx:
        await articles.restore(tx, (await articles.find(tx, id)).article, "ar", 1, by=maya.id)
    assert not (await look(app, workspace, id)).outdated("ar"), "its source is as it was"
    await save(app, workspace, maya, id, "en", "Five days.")
    await act(app, workspace, "publish", id, "en", maya)
    async with app.db.transaction(workspace) as tx:
        await articles.restore(tx, (await articles.find(tx, id)).article, "ar", 2, by=maya.id)
    assert (await look(app, workspace, id)).outdated("ar"), "it still says three"
    await save(app, workspace, maya, id, "ar", "خمسة أيام.")
    assert not (await look(app, workspace, id)).outdated("ar")
    async with app.db.transaction(workspace) as tx:
        await articles.restore(tx, (await articles.find(tx, id)).article, "ar", 1, by=maya.id)
    assert (await look(app, workspace, id)).outdated("ar")


async def test_so_many_versions_are_kept_and_the_one_that_shoppers_see(
    app: App, workspace: UUID, maya: Agent, article: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(articles, "MOST_VERSIONS", 2)
    id = await article(en=("Delivery", "one"))
    for body in ("two", "three", "four", "five"):
        await save(app, workspace, maya, id, "en", body)
    async with app.db.transaction(workspace) as tx:
        assert [one.number for one in await articles.versions(tx, id, "en")] == [5, 4, 1]


async def test_a_snippet_of_one_shop_is_not_there_in_another(app: App, workspace: UUID, article: Write) -> None:
    id = await article(Kind.SNIPPET, en=("Opening hours", "From nine to five."))
    here, there, names = UUID(int=1), UUID(int=2), ["opening-hours"]
    async with app.db.transaction(workspace) as tx:
        assert set(await snippets.named(tx, names, there, "en")) == {"opening-hours"}
        row = (await articles.find(tx, id)).article
        await articles.arrange(tx, row, collection_id=None, related=[], store_id=here)
        assert set(await snippets.named(tx, names, here, "en")) == {"opening-hours"}
        assert await snippets.named(tx, names, there, "en") == {}


async def test_who_saves_over_somebody_elses_words_is_told(
    app: App, workspace: UUID, maya: Agent, article: Write
) -> None:
    id = await article(publish=False, en=("Delivery", "one"))
    await save(app, workspace, maya, id, "en", "two")
    with pytest.raises(Conflict):
        async with app.db.transaction(workspace) as tx:
            row = (await articles.find(tx, id)).article
            await articles.write(tx, row, "en", "Delivery", "mine", by=maya.id, seen=1)
    assert (await look(app, workspace, id)).texts["en"].body == "two"


async def test_an_agent_writes_and_an_administrator_publishes(
    app: App, workspace: UUID, omar: Agent, maya: Agent, article: Write
) -> None:
    id = await article(publish=False, en=("Delivery", "one"))
    await save(app, workspace, omar, id, "en", "two")
    for verb in ("publish", "unpublish"):
        with pytest.raises(Forbidden):
            await act(app, workspace, verb, id, "en", omar)
    later = datetime.now(UTC) + timedelta(hours=1)
    async with app.db.transaction(workspace) as tx:
        row = (await articles.find(tx, id)).article
        for planning in (
            articles.schedule(tx, row, "en", later, by=omar),
            articles.unschedule(tx, row, "en", by=omar),
        ):
            with pytest.raises(Forbidden):
                await planning
    await act(app, workspace, "publish", id, "en", maya)
    with pytest.raises(Forbidden):
        async with app.db.transaction(workspace) as tx:
            await articles.remove(tx, (await articles.find(tx, id)).article, by=omar)
    async with app.db.transaction(workspace) as tx:
        kinds = list(await tx.scalars(select(AuditEntry.kind).where(AuditEntry.subject_id == id)))
    assert kinds == ["settings.article_published"]


async def test_who_may_not_publish_takes_nothing_from_shoppers_by_any_way(
    app: App, workspace: UUID, omar: Agent, maya: Agent, article: Write
) -> None:
    id = await article(en=("Delivery", "one"))
    planned = await article(publish=False, en=("Later", "one"))
    async with app.db.transaction(workspace) as tx:
        at = datetime.now(UTC) + timedelta(hours=1)
        await articles.schedule(tx, (await articles.find(tx, planned)).article, "en", at, by=maya)
    elsewhere = UUID(int=7)
    async with app.db.transaction(workspace) as tx:
        row, other = [(await articles.find(tx, one)).article for one in (id, planned)]
        with pytest.raises(Forbidden):
            await articles.remove(tx, row, by=omar)
        with pytest.raises(Forbidden):
            await articles.remove(tx, other, by=omar)
        with pytest.raises(Forbidden):
            await articles.arrange(tx, row, collection_id=None, related=[], store_id=elsewhere, by=omar)
        with pytest.raises(Forbidden):
            await articles.rename(tx, row, "en", "elsewhere", by=omar)
        # At its time it comes out with the words that it has then.
        with pytest.raises(Forbidden):
            await articles.write(tx, other, "en", "Later", "two", by=omar.id)
        # What shoppers do not notice is a writer's.
        await articles.arrange(tx, row, collection_id=None, related=[planned], store_id=None, by=omar)
        await articles.rename(tx, other, "en", "sooner", by=omar)
    found = await look(app, workspace, id)
    assert (found.article.deleted_at, found.article.store_id, found.texts["en"].slug) == (None, None, "delivery")


async def test_shoppers_see_the_published_words_until_the_next_are_published(
    app: App, workspace: UUID, maya: Agent, article: Write
) -> None:
    id = await article(en=("Delivery", "**one**"))
    await save(app, workspace, maya, id, "en", "two")
    assert "<strong>one</strong>" in (await look(app, workspace, id)).texts["en"].html
    await act(app, workspace, "publish", id, "en", maya)
    assert "two" in (await look(app, workspace, id)).texts["en"].html
    await act(app, workspace, "unpublish", id, "en", maya)
    row = (await look(app, workspace, id)).texts["en"]
    assert (row.html, row.published, row.body) == ("", None, "two")


async def test_a_planned_text_comes_out_at_its_time_and_not_when_the_plan_is_off(
    app: App, workspace: UUID, maya: Agent, article: Write
) -> None:
    id = await article(publish=False, en=("Sale", "one"), ar=("تخفيضات", "واحد"))
    later = datetime.now(UTC) + timedelta(hours=1)
    async with app.db.transaction(workspace) as tx:
        row = (await articles.find(tx, id)).article
        with pytest.raises(AhlanError):
            await articles.schedule(tx, row, "en", datetime.now(UTC) - timedelta(minutes=1), by=maya)
        for code in ("en", "ar"):
            await articles.schedule(tx, row, code, later, by=maya)
        await articles.unschedule(tx, row, "ar", by=maya)
    async with app.db.transaction(workspace) as tx:
        await tx.execute(
            update(ArticleText).where(ArticleText.publish_at.is_not(None)).values(publish_at=datetime.now(UTC))
        )
        await tx.execute(text("UPDATE jobs SET run_at = now() WHERE task = 'publish_article'"))
        rows = await tx.execute(text("SELECT id, arguments FROM jobs WHERE task = 'publish_article'"))
        rung = {row.arguments["language"]: row.id for row in rows}
    assert (await look(app, workspace, id)).state("en") is State.SCHEDULED
    for code in ("en", "ar"):
        assert await jobs.run(app.db, app, TASKS, workspace, rung[code])
    found = await look(app, workspace, id)
    assert (found.state("en"), found.state("ar")) == (State.PUBLISHED, State.DRAFT)


async def test_what_is_taken_off_does_not_come_back_by_an_earlier_plan(
    app: App, workspace: UUID, maya: Agent, article: Write
) -> None:
    id = await article(en=("Sale", "one"))
    async with app.db.transaction(workspace) as tx:
        row = (await articles.find(tx, id)).article
        await articles.schedule(tx, row, "en", datetime.now(UTC) + timedelta(hours=1), by=maya)
        await articles.unpublish(tx, row, "en", by=maya)
    assert (await look(app, workspace, id)).state("en") is State.DRAFT


async def test_a_plan_whose_job_comes_too_early_is_kept(app: App, workspace: UUID, maya: Agent, article: Write) -> None:
    """The database's clock may be ahead of ours, and a plan may be put off."""
    id = await article(publish=False, en=("Sale", "one"))
    at = datetime.now(UTC) + timedelta(seconds=60)
    async with app.db.transaction(workspace) as tx:
        await articles.schedule(tx, (await articles.find(tx, id)).article, "en", at, by=maya)
        await tx.execute(text("UPDATE jobs SET run_at = now() WHERE task = 'publish_article'"))
    await jobs.drain(app.db, app, TASKS, workspace_id=workspace)
    assert (await look(app, workspace, id)).state("en") is State.SCHEDULED
    async with app.db.transaction(workspace) as tx:
        waits = text("SELECT run_at FROM jobs WHERE task = 'publish_article' AND done_at IS NULL")
        assert abs(await tx.scalar(waits) - at) < timedelta(seconds=5)
        await tx.execute(update(ArticleText).values(publish_at=datetime.now(UTC)))
        await tx.execute(text("UPDATE jobs SET run_at = now() WHERE task = 'publish_article'"))
    await jobs.drain(app.db, app, TASKS, workspace_id=workspace)
    assert (await look(app, workspace, id)).state("en") is State.PUBLISHED


async def test_a_plan_whose_time_came_while_its_article_was_deleted_is_carried_out_when_that_is_back(
    app: App, workspace: UUID, maya: Agent, article: Write
) -> None:
    id = await article(publish=False, en=("Sale", "one"))
    async with app.db.transaction(workspace) as tx:
        row = (await articles.find(tx, id)).article
        await articles.schedule(tx, row, "en", datetime.now(UTC) + timedelta(seconds=60), by=maya)
        await articles.remove(tx, row, by=maya)
        await tx.execute(update(ArticleText).values(publish_at=datetime.now(UTC)))
        await tx.execute(text("UPDATE jobs SET run_at = now() WHERE task = 'publish_article'"))
    await jobs.drain(app.db, app, TASKS, workspace_id=workspace)
    assert (await look(app, workspace, id)).state("en") is State.SCHEDULED, "what is deleted does not come out"
    async with app.db.transaction(workspace) as tx:
        await articles.remove(tx, (await articles.find(tx, id)).article, by=maya, back=True)
    await jobs.drain(app.db, app, TASKS, workspace_id=workspace)
    assert (await look(app, workspace, id)).state("en") is State.PUBLISHED


async def test_deflection_is_two_bounds_of_people_and_of_readings(
    app: App, workspace: UUID, other_workspace: UUID, article: Write
) -> None:
    id = await article(en=("Delivery", "one"))
    long_ago = datetime.now(UTC).date() - timedelta(days=30)
    async with app.db.transaction(workspace) as tx:
        none = await reading.deflection(tx, 30)
        assert (none.most, none.least) == (None, None), "nothing is said of nobody"
        for at in range(8):
            await reading.reader(tx, wrote=False)
            await reading.reader(tx, wrote=False, day=long_ago)
            if at < 2:
                await reading.reader(tx, wrote=True)
                await reading.reader(tx, wrote=True, day=long_ago)
        for at in range(10):
            await reading.read(tx, id, "en")
            if at < 3:
                await reading.vote(tx, id, "en", helped=True)
            elif at < 5:
                await reading.vote(tx, id, "en", helped=False)
        found = await reading.deflection(tx, 30)
        assert (found.readers, found.wrote, found.helped, found.reads) == (8, 2, 3, 10)
        assert (found.most, found.least) == (0.75, 0.3)
    async with app.db.transaction(other_workspace) as tx:
        assert (await reading.deflection(tx, 30)).readers == 0


async def test_a_search_is_missed_as_long_as_it_found_nothing_the_last_time(
    app: App, workspace: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    today = date(2026, 11, 23)
    async with app.db.transaction(workspace) as tx:
        for ago, said, found in ((4, "gift card", 0), (3, "gift card", 2), (2, "vouchers", 3), (1, "vouchers", 0)):
            monkeypatch.setattr(reading, "_today", lambda ago=ago: today - timedelta(days=ago))
            await reading.searched(tx, said, "en", found)
        monkeypatch.setattr(reading, "_today", lambda: today)
        missed = await reading.missed(tx, 30)
        assert [(one.said, one.times) for one in missed] == [("vouchers", 2)], "of the other there is something now"
        assert await reading.missed(tx, 1) == []


async def test_a_deleted_article_comes_back_as_it_was(app: App, workspace: UUID, maya: Agent, article: Write) -> None:
    id = await article(en=("Delivery", "one"))
    async with app.db.transaction(workspace) as tx:
        row = (await articles.find(tx, id)).article
        await articles.remove(tx, row, by=maya)
        assert await articles.listed(tx, Kind.ARTICLE) == []
        assert len(await articles.listed(tx, Kind.ARTICLE, deleted=True)) == 1
        with pytest.raises(NotFound):
            await articles.publish(tx, row, "en", by=maya)
        await articles.remove(tx, row, by=maya, back=True)
        assert [one.state("en") for one in await articles.listed(tx, Kind.ARTICLE)] == [State.PUBLISHED]


async def test_an_address_follows_the_title_until_it_is_known_and_leads_on_afterwards(
    app: App, workspace: UUID, maya: Agent, article: Write
) -> None:
    id = await article(publish=False, en=("Delivry", "one"))
    async with app.db.transaction(workspace) as tx:
        row = (await articles.find(tx, id)).article
        await articles.write(tx, row, "en", "Delivery", "one", by=maya.id)
        await articles.publish(tx, row, "en", by=maya)
        await articles.write(tx, row, "en", "Delivery times", "one", by=maya.id)
        assert (await articles.find(tx, id)).texts["en"].slug == "delivery"
        await articles.rename(tx, row, "en", "Shipping")
        text_ = (await articles.find(tx, id)).texts["en"]
        assert (text_.slug, text_.former) == ("shipping", ["delivery"])
        other = await articles.create(tx, maya.id, Kind.ARTICLE, "en")
        made = await articles.write(tx, other, "en", "Shipping", "x", by=maya.id)
        assert made.slug == "shipping-2"


async def test_shelves_and_articles_change_places(app: App, workspace: UUID, maya: Agent, article: Write) -> None:
    first, second = await article(en=("One", "1")), await article(en=("Two", "2"))
    async with app.db.transaction(workspace) as tx:
        a = await articles.write_collection(tx, {"en": "Orders", "ar": "الطلبات"}, {})
        b = await articles.write_collection(tx, {"en": "Returns"}, {})
        await articles.move_collection(tx, b, -1)
        assert [one.name("en") for one in await articles.collections(tx)] == ["Returns", "Orders"]
        await articles.move_collection(tx, b, -1)
        assert a.name("he", "ar") == "الطلبات"
        row = (await articles.find(tx, second)).article
        await articles.move(tx, row, -1)
        assert [one.article.id for one in await articles.listed(tx, Kind.ARTICLE)] == [second, first]
        await articles.arrange(tx, row, collection_id=a.id, related=[first, second], store_id=None)
        assert row.related == [str(first)]
        await articles.remove_collection(tx, a)
        assert (await articles.find(tx, second)).article.collection_id is None
        with pytest.raises(AhlanError):
            await articles.write_collection(tx, {"en": " "}, {})


async def test_what_does_not_help_is_counted_without_who(app: App, workspace: UUID, article: Write) -> None:
    id = await article(en=("Delivery", "one"))
    async with app.db.transaction(workspace) as tx:
        await reading.read(tx, id, "en")
        await reading.read(tx, id, "en")
        assert await reading.vote(tx, id, "en", helped=False)
        assert not await reading.vote(tx, id, "ar", helped=False)
        await reading.explain(tx, id, "en", reading.Reason.MISSING, "my number is 0501234567, me@x.example")
        await reading.searched(tx, "ship to Cyprus", "en", 0)
        await reading.searched(tx, "Ship to  cyprus", "en", 0)
        await reading.searched(tx, "me@x.example", "en", 0)
        await reading.searched(tx, "order 100234", "en", 0)
        await reading.searched(tx, "returns", "en", 3)
        (told,) = await reading.told(tx, 30)
        missed = await reading.missed(tx, 30)
        for _again in range(3):
            await reading.vote(tx, id, "en", helped=False)
        (voted,) = await reading.told(tx, 30)
        assert (voted.reads, voted.failed) == (4, 4), "whoever voted has read it, whether that reached us or not"
        assert (await reading.deflection(tx, 30)).reads == 4
    assert (told.reads, told.failed, told.reasons) == (2, 1, {"missing": 1})
    assert "050" not in told.comments[0]
    assert "@" not in told.comments[0]
    assert [(one.said, one.times) for one in missed] == [("ship to Cyprus", 2)]


async def test_nothing_of_another_workspace_is_reached(
    app: App, other_workspace: UUID, maya: Agent, article: Write
) -> None:
    id = await article(en=("Delivery", "one"))
    async with app.db.transaction(other_workspace) as tx:
        with pytest.raises(NotFound):
            await articles.find(tx, id)
        assert await articles.listed(tx, Kind.ARTICLE) == []
        assert await articles.versions(tx, id, "en") == []
        for table in ("article_texts", "article_versions", "article_terms", "articles"):
            assert await tx.scalar(text(f"SELECT count(*) FROM {table}")) == 0


async def test_counts_reasons_and_imports_are_not_kept_for_ever(
    app: App, workspace: UUID, maya: Agent, article: Write
) -> None:
    id = await article(en=("Delivery", "one"))
    async with app.db.transaction(workspace) as tx:
        for _time in range(2):
            await reading.read(tx, id, "en")
            await reading.explain(tx, id, "en", reading.Reason.OTHER, "x")
            await reading.searched(tx, "gift card", "en", 0)
            await importing.keep(tx, maya, "file:x.md", [], "en")
            old = "WHERE workspace_id = :w"
            for table, column in (("article_days", "day"), ("help_searches", "day")):
                await tx.execute(text(f"UPDATE {table} SET {column} = {column} - 1000 {old}"), {"w": workspace})
            for table in ("article_reasons", "article_imports"):
                await tx.execute(
                    text(f"UPDATE {table} SET created_at = created_at - interval '1000 days' {old}"), {"w": workspace}
                )
        await reading.read(tx, id, "en")
    await privacy.retention(app, workspace)
    async with app.db.transaction(workspace) as tx:
        left = {}
        for table in ("article_days", "help_searches", "article_reasons", "article_imports"):
            left[table] = await tx.scalar(text(f"SELECT count(*) FROM {table}"))
    assert left == {"article_days": 1, "help_searches": 0, "article_reasons": 0, "article_imports": 0}
