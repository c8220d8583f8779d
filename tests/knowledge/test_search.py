"""Finding an article: in every form of a word, with typing errors, across languages; and what is never found."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text, update

from plugin.app import App
from plugin.knowledge import articles, reading, search
from plugin.knowledge.articles import ArticleText, Kind
from plugin.knowledge.meaning import NOTHING, Meant, Near
from plugin.knowledge.search import Found
from plugin.team import Agent
from tests.knowledge.conftest import Write


async def ask(app: App, workspace: UUID, text: str, language: str = "en", **more: object) -> list[Found]:
    async with app.db.transaction(workspace) as tx:
        return await search.find(tx, None, text, language, 5, **more)


@pytest.fixture
async def shop(article: Write) -> dict[str, UUID]:
    return {
        "delivery": await article(
            en=("How long does delivery take?", "Parcels arrive within five days. Delivery to islands takes longer."),
            ar=("كم يستغرق التوصيل؟", "تصل الطرود خلال خمسة أيام."),
            he=("כמה זמן לוקח משלוח?", "חבילות מגיעות תוך חמישה ימים."),
        ),
        "returns": await article(
            en=("How do I return something?", "Send it back within 14 days. Refunds take a week."),
            ar=("كيف أرجع منتجًا؟", "أعيدوه خلال أسبوعين، والاسترداد خلال أسبوع."),
        ),
        "sizes": await article(he=("טבלת מידות", "מידות החולצות והמכנסיים")),
        "warranty": await article(en=("Warranty", "Two years on watches.")),
    }


@pytest.mark.parametrize(
    ("text", "language", "wanted"),
    [
        ("deliveries", "en", "delivery"),
        ("how long until my parcel arrives", "en", "delivery"),
        ("refund", "en", "returns"),
        ("returning", "en", "returns"),
        ("warr", "en", "warranty"),
        ("warrenty", "en", "warranty"),
        ("delivrey", "en", "delivery"),
        ("توصيل", "ar", "delivery"),
        ("للتوصيل", "ar", "delivery"),
        ("التوصيييل", "ar", "delivery"),
        ("استرداد", "ar", "returns"),
        ("משלוחים", "he", "delivery"),
        ("המידות", "he", "sizes"),
        ("טבלאת מידות", "he", "sizes"),
    ],
)
async def test_what_people_type_finds_its_article(
    app: App, workspace: UUID, shop: dict[str, UUID], text: str, language: str, wanted: str
) -> None:
    found = await ask(app, workspace, text, language)
    assert found
    assert found[0].article_id == shop[wanted]
    assert found[0].language == language
    assert not found[0].cross


async def test_an_article_in_another_language_is_found_and_marked(
    app: App, workspace: UUID, shop: dict[str, UUID]
) -> None:
    (found,) = await ask(app, workspace, "warranty", "ar")
    assert (found.language, found.cross, found.article_id) == ("en", True, shop["warranty"])
    # Asked in English on an Arabic page, an article that is there in Arabic is shown in Arabic.
    found = (await ask(app, workspace, "delivery", "ar"))[0]
    assert (found.language, found.cross) == ("ar", False)


async def test_what_was_asked_for_is_marked_in_the_writers_own_letters(
    app: App, workspace: UUID, shop: dict[str, UUID]
) -> None:
    (found,) = await ask(app, workspace, "warrenty", "en")
    assert [piece.text for piece in found.title if piece.found] == ["Warranty"]
    found = (await ask(app, workspace, "refunds", "en"))[0]
    assert "Refunds" in [piece.text for piece in found.excerpt if piece.found]


@pytest.mark.parametrize(
    "text", ["", "   ", "؟!…", "zzzzqqq", "😀😀", "\u202e\u202d", "x" * 20_000, "' OR 1=1 --", "%"]
)
async def test_nonsense_finds_nothing_and_breaks_nothing(
    app: App, workspace: UUID, shop: dict[str, UUID], text: str
) -> None:
    assert await ask(app, workspace, text) == []


async def test_only_what_shoppers_may_see_is_found(
    app: App, workspace: UUID, other_workspace: UUID, maya: Agent, article: Write, shop: dict[str, UUID]
) -> None:
    await article(publish=False, en=("Secret plan", "nothing"))
    snippet = await article(Kind.SNIPPET, en=("Opening hours", "From nine to five."))
    assert await ask(app, workspace, "secret plan") == []
    assert await ask(app, workspace, "opening hours") == []
    found = await ask(app, workspace, "opening hours", kinds=(Kind.ARTICLE, Kind.SNIPPET))
    assert [one.article_id for one in found] == [snippet]
    assert await ask(app, other_workspace, "delivery") == []
    async with app.db.transaction(workspace) as tx:
        row = (await articles.find(tx, shop["warranty"])).article
        await articles.write(tx, row, "en", "Warranty", "Three years, also for lamps.", by=maya.id)
        await search.index(tx, [row.id])
    assert await ask(app, workspace, "lamps") == []
    async with app.db.transaction(workspace) as tx:
        row = (await articles.find(tx, shop["warranty"])).article
        await articles.publish(tx, row, "en", by=maya)
        await search.index(tx, [row.id])
    assert len(await ask(app, workspace, "lamps")) == 1
    async with app.db.transaction(workspace) as tx:
        await articles.remove(tx, (await articles.find(tx, shop["warranty"])).article, by=maya)
    # Not in the index any more only later; not found from now on.
    assert await ask(app, workspace, "lamps") == []


async def test_an_article_of_one_shop_is_not_found_in_another(
    app: App, workspace: UUID, article: Write, shop: dict[str, UUID]
) -> None:
    id, here, there = shop["warranty"], UUID(int=1), UUID(int=2)
    async with app.db.transaction(workspace) as tx:
        row = (await articles.find(tx, id)).article
        await articles.arrange(tx, row, collection_id=None, related=[], store_id=here)
        assert len(await search.find(tx, here, "warranty", "en", 5)) == 1
        assert await search.find(tx, there, "warranty", "en", 5) == []


async def test_of_two_that_answer_alike_the_one_that_many_read_comes_first(
    app: App, workspace: UUID, article: Write
) -> None:
    one, other = [await article(en=("Gift wrapping", "We wrap gifts.")) for _time in range(2)]
    for id in (one, other):
        async with app.db.transaction(workspace) as tx:
            for _time in range(20):
                await reading.read(tx, id, "en")
        first = (await ask(app, workspace, "gift wrapping"))[0].article_id
        if id == one:
            assert first == one
            async with app.db.transaction(workspace) as tx:
                for _time in range(60):
                    await reading.read(tx, other, "en")
            assert (await ask(app, workspace, "gift wrapping"))[0].article_id == other


async def test_of_two_that_answer_alike_the_newer_one_comes_first(app: App, workspace: UUID, article: Write) -> None:
    both = [await article(en=("Gift wrapping", "We wrap gifts.")) for _time in range(2)]
    for old in both:
        async with app.db.transaction(workspace) as tx:
            for id in both:
                aged = timedelta(days=400 if id == old else 1)
                when = {"updated_at": datetime.now(UTC) - aged, "published_at": datetime.now(UTC) - aged}
                ours = (ArticleText.workspace_id == workspace, ArticleText.article_id == id)
                await tx.execute(update(ArticleText).where(*ours).values(when))
        assert [one.article_id for one in await ask(app, workspace, "gift wrapping")][-1] == old


@pytest.mark.parametrize("meant", [False, True])
async def test_what_many_read_and_what_is_new_never_go_before_a_better_answer(
    app: App, workspace: UUID, article: Write, meant: bool
) -> None:
    better = await article(en=("Gift wrapping", "We wrap gifts in red paper."))
    other = await article(en=("Gift cards", "Cards as gifts, by e-mail. Wrapping of cards is not needed."))
    async with app.db.transaction(workspace) as tx:
        for _time in range(200):
            await reading.read(tx, other, "en")
        aged = datetime.now(UTC) - timedelta(days=400)
        ours = (ArticleText.workspace_id == workspace, ArticleText.article_id == better)
        await tx.execute(update(ArticleText).where(*ours).values(updated_at=aged, published_at=aged))
    near = Near({(better, "en"): Meant(2.0, 0.9), (other, "en"): Meant(1.0, 0.87)}) if meant else NOTHING
    found = await ask(app, workspace, "gift wrapping", near=near)
    assert [one.article_id for one in found] == [better, other]


async def test_a_save_waits_for_no_index(app: App, workspace: UUID, maya: Agent, article: Write) -> None:
    id = await article(en=("Gift wrapping", "We wrap gifts."))
    async with app.db.transaction(workspace) as indexing:
        # Somebody else makes the index of this very article, and takes their time.
        await search.index(indexing, [id])
        await indexing.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:what, 0))"),
                               {"what": f"passages {workspace}"})  # fmt: skip
        async with asyncio.timeout(5), app.db.transaction(workspace) as tx:
            row = (await articles.find(tx, id)).article
            await articles.write(tx, row, "en", "Ribbons", "With a ribbon.", by=maya.id)
            await articles.publish(tx, row, "en", by=maya)
    async with app.db.transaction(workspace) as tx:
        await search.index(tx, [id])
    assert [one.article_id for one in await ask(app, workspace, "ribbons")] == [id]


async def test_searches_that_somebody_makes_up_do_not_pile_up(
    app: App, workspace: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MOST_A_DAY", 3, raising=False)
    async with app.db.transaction(workspace) as tx:
        for said in ("one", "two", "three", "four", "five", "one"):
            await reading.searched(tx, said, "en", 0)
        kept = {one.said: one.times for one in await reading.missed(tx, 1)}
    assert kept == {"one": 2, "two": 1, "three": 1}


@given(st.text("abcde", min_size=1, max_size=8), st.text("abcde", min_size=1, max_size=8))
def test_letters_in_any_order_say_how_alike_two_words_can_be_at_most(one: str, other: str) -> None:
    assert search.at_most(one, other) >= search.alike(one, other) - 1e-9
