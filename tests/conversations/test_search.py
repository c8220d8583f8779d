"""What was written, or who wrote it, is found in any spelling, in this workspace alone, and nowhere once it is gone."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, select, text, update
from sqlalchemy.exc import DBAPIError

from plugin.app import App
from plugin.conversations import changes, filters, messages, search, views
from plugin.conversations import conversations as threads
from plugin.conversations.conversations import Conversation, Shopper
from plugin.conversations.messages import Message
from plugin.conversations.search import ConversationWords, Hit, SearchQueue
from plugin.conversations.views import Reader
from plugin.crm import sync, visitors
from plugin.crm.visitors import Visitor
from plugin.kernel.db import FINDER, new_id
from plugin.kernel.money import Money
from plugin.platform import CustomerRecord, OrderRecord
from plugin.stores import Store
from plugin.team import Agent

MakeShopper = Callable[[], Awaitable[Shopper]]
Say = Callable[..., Awaitable[UUID]]
NOW = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture
def say(app: App, workspace: UUID, make_shopper: MakeShopper) -> Say:
    """A conversation with these messages; its id."""

    async def begin(*said: str, shopper: Shopper | None = None) -> UUID:
        who = shopper or await make_shopper()
        async with app.db.transaction(workspace) as tx:
            for one in said:
                await messages.receive(tx, who, uuid4(), one)
            head = await threads.current(tx, who)
            assert head is not None
        return head.id

    return begin


async def ask(app: App, workspace: UUID, *said: str) -> list[UUID]:
    await search.drain(app)
    async with app.db.transaction(workspace) as tx:
        return list((await search.conversations(tx, said)).ids)


async def hit(app: App, workspace: UUID, id: UUID, *said: str) -> Hit | None:
    await search.drain(app)
    async with app.db.transaction(workspace) as tx:
        return (await search.hits(tx, said, [id])).get(id)


def shown(found: Hit | None) -> str:
    assert found is not None
    return "".join(f"[{piece.text}]" if piece.found else piece.text for piece in found.pieces)


async def test_words_of_messages_find_their_conversation_in_any_order(app: App, workspace: UUID, say: Say) -> None:
    one = await say("Where is my parcel?", "I ordered a blue dress")
    await say("A blue parcel")
    assert await ask(app, workspace, "dress", "parcel") == [one]
    assert await ask(app, workspace, "DRESSES") == [one]
    assert await ask(app, workspace, "dres") == [one], "its beginning"
    assert await ask(app, workspace, "ess") == []
    assert await ask(app, workspace, "dress", "refund") == []


async def test_a_phrase_is_words_in_a_row_of_one_message(app: App, workspace: UUID, say: Say) -> None:
    one = await say("my gift card", "second line")
    await say("a card, a gift")
    await say("it was a gift", "card number 5")
    assert await ask(app, workspace, "gift card") == [one]
    assert len(await ask(app, workspace, "gift", "card")) == 3
    assert await ask(app, workspace, "card second") == [], "not across two messages"


async def test_the_latest_come_first(app: App, workspace: UUID, say: Say) -> None:
    ids = [await say("kettle") for _ in range(3)]
    assert await ask(app, workspace, "kettle") == ids[::-1]


async def test_common_words_are_cut_at_the_latest(
    app: App, workspace: UUID, say: Say, noa: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [await say("kettle") for _ in range(4)]
    await search.drain(app)
    monkeypatch.setattr(search, "MOST", 3)
    async with app.db.transaction(workspace) as tx:
        found = await search.conversations(tx, ["kettle"])
        assert (list(found.ids), found.more) == (ids[:0:-1], True)
        assert (await views.queue(tx, filters.parse("kettle"), Reader(noa.id, UTC))).cut
        assert not (await views.queue(tx, filters.parse("teapot"), Reader(noa.id, UTC))).cut


async def test_every_week_is_looked_at_once_and_the_latest_first(
    app: App, workspace: UUID, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = [0, 6, 8, 34, 36, 150, 160, 600, 700, 2000]
    ids = [await say("kettle") for _ in days]
    async with app.db.transaction(workspace) as tx:
        for id, days_ago in zip(ids, days, strict=True):
            moment = datetime.now(UTC) - timedelta(days=days_ago)
            await tx.execute(update(Message).where(Message.conversation_id == id).values(created_at=moment))
            await tx.execute(update(Conversation).where(Conversation.id == id).values(last_message_at=moment))
            await search.index(tx, {id: 0})
    assert await ask(app, workspace, "kettle") == ids
    for most in range(1, len(ids) + 1):
        monkeypatch.setattr(search, "MOST", most)
        assert await ask(app, workspace, "kettle") == ids[:most]


_WORDS = {
    "الطلب": ["الطَّلَب", "الطـلـب", "طلبي", "وطلب", "ٱلطلب"],
    "إرجاع": ["ارجاع", "إِرْجَاع", "أرجاع", "الارجاع"],
    "هدية": ["هديه", "هَدِيَّة", "الهدية"],
    "הזמנה": ["הַזְמָנָה", "ההזמנה", "להזמנה"],
    "צה״ל": ["צהל", 'צה"ל', "צה״ל"],
    "שלום": ["שלום", "שָׁלוֹם"],
    "refund": ["REFUND", "refunds", "ｒｅｆｕｎｄ", "refunded"],
    "٥٠٠١٢٣": ["500123", "#500123", "۵۰۰۱۲۳"],
}  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=12, deadline=None)
@given(st.sampled_from(sorted(_WORDS)).flatmap(lambda key: st.permutations([key, *_WORDS[key]])))
async def test_written_one_way_found_every_other(app: App, workspace: UUID, say: Say, forms: Sequence[str]) -> None:
    written, typed = forms[:2]
    mark = uuid4().hex[:12]
    id = await say(f"{mark} … {written}!")
    assert await ask(app, workspace, mark, typed) == [id]
    assert f"[{written.lstrip('#')}]" in shown(await hit(app, workspace, id, typed))


async def test_another_workspaces_words_never_come(
    app: App, workspace: UUID, other_workspace: UUID, say: Say, database_url: str
) -> None:
    id = await say("xylophone for sale")
    assert await ask(app, workspace, "xylophone") == [id]
    assert await ask(app, other_workspace, "xylophone") == []
    lead = search.leading(workspace)
    theirs = {"asked": f"{lead}xylophone", "lead": lead}
    find = text("SELECT count(*) FROM ahlan_find(CAST(:asked AS tsquery), NULL, :lead, 10)")
    async with app.db.transaction(other_workspace) as tx:
        assert await tx.scalar(find, theirs) == 0, "even with the other's own letters"
    async with app.db.transaction(workspace) as tx:
        assert await tx.scalar(find, theirs) == 1
    async with app.db.app.connect() as connection:
        assert (await connection.execute(find, theirs)).scalar_one() == 0, "and with none"
    for engine in (app.db.app, app.db.queue):
        async with engine.connect() as connection:
            with pytest.raises(DBAPIError, match="permission denied"):
                await connection.execute(text(f"SET ROLE {FINDER}"))
    async with app.db.queue.connect() as connection:
        with pytest.raises(DBAPIError, match="permission denied"):
            await connection.execute(find, {"asked": "x", "lead": "x"})
    admin = await asyncpg.connect(database_url)
    try:
        assert await admin.fetchrow(
            "SELECT rolcanlogin, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = $1", FINDER
        ) == (False, False, False)
        readable = await admin.fetch(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace "
            "AND has_table_privilege($1, oid, 'SELECT, INSERT, UPDATE, DELETE')", FINDER,
        )  # fmt: skip
        assert [row[0] for row in readable] == ["conversation_words"]
    finally:
        await admin.close()


async def test_the_index_is_used_and_nothing_else(app: App, workspace: UUID, say: Say, database_url: str) -> None:
    await say("kettle")
    await search.drain(app)
    admin = await asyncpg.connect(database_url)
    try:
        async with admin.transaction():
            await admin.execute("LOAD 'auto_explain'")
            await admin.execute("SET LOCAL auto_explain.log_min_duration = 0")
            await admin.execute("SET LOCAL auto_explain.log_nested_statements = on")
            await admin.execute("SET LOCAL client_min_messages = log")
            await admin.execute(f"SET LOCAL ahlan.workspace_id = '{workspace}'")
            said: list[str] = []
            admin.add_log_listener(lambda _connection, message: said.append(str(message)))
            await admin.execute("SET LOCAL ROLE ahlan_app")
            await admin.fetch("SELECT * FROM ahlan_find('x'::tsquery, NULL, 'x', 10)")
    finally:
        await admin.close()
    plans = [one for one in said if "conversation_words" in one]
    assert len(plans) == 2, "the latest weeks, and what is left"
    for plan in plans:
        assert "Bitmap Index Scan on ix_conversation_words" in plan
        assert "Seq Scan" not in plan


async def test_people_are_found_and_what_they_wrote(app: App, workspace: UUID, store: Store, say: Say) -> None:
    async with app.db.transaction(workspace) as tx:
        for number, name in enumerate(("ليلى", "Omar")):
            at = NOW + timedelta(hours=number)
            await sync.apply(tx, store, [
                CustomerRecord(f"{number}", at, f"{number}@mail.example", "", name, "Haddad"),
                OrderRecord(f"9{number}", at, f"#10{number}1", at, Money(1, "SAR", 2),
                            customer_external_id=f"{number}"),
            ])  # fmt: skip
        rows = await tx.execute(text("SELECT external_id, customer_id FROM store_customers ORDER BY 1"))
        layla, omar = [row.customer_id for row in rows]
    hers, his = await say("the dress is torn", "refund it"), await say("the dress is fine")
    async with app.db.transaction(workspace) as tx:
        for id, person in ((hers, layla), (his, omar)):
            await tx.execute(update(Conversation).where(Conversation.id == id).values(customer_id=person))
    assert set(await ask(app, workspace, "haddad")) == {hers, his}
    assert await ask(app, workspace, "ليلي") == [hers]
    assert set(await ask(app, workspace, "haddad", "dress")) == {hers, his}, "who it is, and what was said"
    assert await ask(app, workspace, "dress", "omar", "haddad") == [his]
    assert await ask(app, workspace, "haddad", "torn", "dress") == [hers]
    assert await ask(app, workspace, "#1001") == [hers]
    assert await ask(app, workspace, "١٠١١") == [his]
    assert await ask(app, workspace, "1011", "fine") == [his]
    assert await ask(app, workspace, "1011", "torn") == []
    assert await ask(app, workspace, "1@mail.example") == [his]


async def test_what_a_visitor_calls_themselves_finds_them(
    app: App, workspace: UUID, make_shopper: MakeShopper, say: Say
) -> None:
    shopper = await make_shopper()
    id = await say("hello", shopper=shopper)
    assert await ask(app, workspace, "Rivka") == []
    async with app.db.transaction(workspace) as tx:
        visitor = await tx.get(Visitor, shopper.visitor_id)
        assert visitor is not None
        await visitors.typed_email(tx, visitor, "rivka@mail.example", "Rivka Cohen")
    assert await ask(app, workspace, "rivka cohen") == [id]
    assert await ask(app, workspace, "rivka@mail.example") == [id]
    assert await hit(app, workspace, id, "rivka") is None, "no line of the conversation says it"
    async with app.db.transaction(workspace) as tx:
        await threads.ask_email(tx, shopper, "other@mail.example")
    assert await ask(app, workspace, "other@mail.example") == [id]


async def test_subjects_notes_and_changes_reach_the_index(app: App, workspace: UUID, say: Say, noa: Agent) -> None:
    id = await say("hello")
    async with app.db.transaction(workspace) as tx:
        talk = await tx.get(Conversation, id)
        assert talk is not None
        await threads.retitle(tx, talk, "Broken teapot", by=noa)
        await messages.note(tx, talk, noa, uuid4(), "ask the supplier")
        said = await messages.reply(tx, talk, noa, uuid4(), "We send a new one")
    assert await ask(app, workspace, "teapot", "supplier") == [id]
    assert shown(await hit(app, workspace, id, "teapot")) == "Broken [teapot]"
    found = await hit(app, workspace, id, "suppliers")
    assert found is not None
    assert (found.position, found.note, found.author) == (2, True, "agent")
    async with app.db.transaction(workspace) as tx:
        message = await tx.get(Message, UUID(said["id"]))
        assert message is not None
        await changes.edit(tx, message, noa, "We refund it")
        await threads.retitle(tx, await _talk(tx, id), "Something else", by=noa)
    assert await ask(app, workspace, "send") == []
    assert await ask(app, workspace, "teapot") == []
    assert await ask(app, workspace, "refund") == [id]
    async with app.db.transaction(workspace) as tx:
        await tx.execute(delete(Message).where(Message.id == UUID(said["id"])))
    assert await ask(app, workspace, "refund") == []
    assert await ask(app, workspace, "supplier") == [id]


async def _talk(tx: object, id: UUID) -> Conversation:
    found = await tx.get(Conversation, id)
    assert isinstance(found, Conversation)
    return found


async def test_a_message_that_goes_elsewhere_is_found_there(app: App, workspace: UUID, say: Say) -> None:
    one, two = await say("first", "stray parcel"), await say("second")
    assert await ask(app, workspace, "stray") == [one]
    async with app.db.transaction(workspace) as tx:
        await tx.execute(
            update(Message).where(Message.conversation_id == one, Message.position == 2).values(conversation_id=two)
        )
    assert await ask(app, workspace, "stray", "second") == [two]
    assert await ask(app, workspace, "stray", "first") == []


async def test_what_is_erased_is_in_no_index(app: App, workspace: UUID, say: Say) -> None:
    id = await say("xylophone")
    assert await ask(app, workspace, "xylophone") == [id]
    async with app.db.transaction(workspace) as tx:
        await tx.execute(delete(Message).where(Message.conversation_id == id))
        await tx.execute(delete(Conversation).where(Conversation.id == id))
        assert await tx.scalar(select(func.count()).select_from(ConversationWords)) == 0
    assert await ask(app, workspace, "xylophone") == []
    async with app.db.queue.connect() as connection:
        left = select(func.count()).select_from(SearchQueue).where(SearchQueue.workspace_id == workspace)
        assert (await connection.execute(left)).scalar_one() == 0


async def test_the_best_line_is_the_one_with_the_most_words(app: App, workspace: UUID, say: Say) -> None:
    id = await say("my dress", "the blue dress <b>is</b> torn", "a dress again")
    found = await hit(app, workspace, id, "dress", "torn")
    assert shown(found) == "the blue [dress] <b>is</b> [torn]"
    assert found is not None
    assert found.position == 2
    latest = await hit(app, workspace, id, "dress")
    assert latest is not None
    assert latest.position == 3


async def test_long_conversations_and_long_messages_are_found_to_their_end(
    app: App, workspace: UUID, shopper: Shopper, say: Say
) -> None:
    long = " ".join(f"w{number}" for number in range(700))
    said = [f"line{number}" for number in range(70)]
    id = await say(*said, long, "quite the end", shopper=shopper)
    for word, position in (("line0", 1), ("line63", 64), ("line69", 70), ("w699", 71), ("end", 72)):
        assert await ask(app, workspace, word) == [id], word
        found = await hit(app, workspace, id, word)
        assert found is not None
        assert found.position == position, word
    assert await ask(app, workspace, "w500 w501") == [id]
    assert await ask(app, workspace, "w699 quite") == []
    async with app.db.transaction(workspace) as tx:
        before = await tx.scalar(text("SELECT max(start) FROM conversation_words"))
        assert before > 0
        await messages.receive(tx, shopper, uuid4(), "one more")
    assert await ask(app, workspace, "one more") == [id]
    assert await ask(app, workspace, "line5") == [id]


async def test_more_words_than_a_document_holds_are_left_out_alone(
    app: App, workspace: UUID, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "_BYTES", 10_000_000)
    huge = await say(*("first" for _ in range(60)))
    async with app.db.transaction(workspace) as tx:
        await tx.execute(
            text(
                "UPDATE messages SET text = (SELECT string_agg(translate(md5(g || id::text), '0123456789abcdef', "
                "'אבגדהוזחטיכלמנסע'), ' ') FROM generate_series(1, 700) g) WHERE conversation_id = :id"
            ),
            {"id": huge},
        )
    good = await say("xylophone")
    assert await ask(app, workspace, "xylophone") == [good]
    async with app.db.transaction(workspace) as tx:
        indexed = list(await tx.scalars(select(ConversationWords.conversation_id)))
    assert indexed == [good]
    # As it is, the same conversation is in as many documents as it needs.
    monkeypatch.undo()
    async with app.db.transaction(workspace) as tx:
        await search.index(tx, {huge: 0})
        parts = await tx.scalar(select(func.count()).select_from(ConversationWords))
        last = await tx.scalar(text("SELECT text FROM messages ORDER BY position DESC LIMIT 1"))
    assert parts > 2
    assert await ask(app, workspace, last.split()[-1]) == [huge]


async def test_saving_waits_for_no_index(app: App, workspace: UUID, say: Say) -> None:
    """The index is being made while somebody writes into the same conversation."""
    shopper_id = await say("first words")
    async with app.db.transaction(workspace) as indexing:
        await search.index(indexing, {shopper_id: 0})
        async with app.db.transaction(workspace) as tx:
            await tx.execute(text("SET LOCAL lock_timeout = '2s'"))
            head = await threads.lock(tx, shopper_id)
            assert head is not None
            await tx.execute(
                text(
                    "INSERT INTO messages "
                    "(workspace_id, id, conversation_id, store_id, seq, position, client_id, author, text) "
                    "VALUES (:w, :id, :c, :s, 2, 2, :id, 'shopper', 'second words')"
                ),
                {"w": workspace, "id": new_id(), "c": shopper_id, "s": head.store_id},
            )
    assert await ask(app, workspace, "second") == [shopper_id], "and what came meanwhile is noted"


async def test_two_that_fill_the_index_at_once_share_the_work(app: App, workspace: UUID, say: Say) -> None:
    ids = {await say(f"umbrella {number}") for number in range(12)}
    await asyncio.gather(*(search.drain(app) for _ in range(3)))
    async with app.db.transaction(workspace) as tx:
        assert set((await search.conversations(tx, ["umbrella"])).ids) == ids


async def test_a_list_takes_words_and_conditions(app: App, workspace: UUID, say: Say, noa: Agent) -> None:
    mine, other = await say("blue dress"), await say("blue dress")
    async with app.db.transaction(workspace) as tx:
        await tx.execute(update(Conversation).where(Conversation.id == mine).values(assignee_id=noa.id))
    await search.drain(app)
    reader = Reader(noa.id, UTC)
    async with app.db.transaction(workspace) as tx:
        page = await views.queue(tx, filters.parse('"blue dress" assignee:me'), reader)
        assert [row.conversation.id for row in page.rows] == [mine]
        first = await views.queue(tx, filters.parse("dress"), reader, limit=1)
        second = await views.queue(tx, filters.parse("dress"), reader, limit=1, cursor=first.cursor)
        assert [row.conversation.id for row in (*first.rows, *second.rows)] == [other, mine]
        assert second.cursor is None
        counted = await views.counts(tx, [views.View("w", filters.parse("dress -assignee:me"))], reader)
        assert counted == {"w": 1}
        assert (await views.queue(tx, filters.parse("?!"), reader)).rows == []


async def test_no_question_breaks_it(app: App, workspace: UUID) -> None:
    for said in ("'", "\\", "a' | b", ":*", "!x", "a & b", "%", "_", "ـ", "\u200f", "x" * 500, "ﷺ", "½", "'':*"):
        assert await ask(app, workspace, said) == []
    assert await ask(app, workspace, *(f"word{number}" for number in range(12))) == []


async def test_a_word_with_a_minus_leaves_out_who_says_it_even_alone(
    app: App, workspace: UUID, say: Say, noa: Agent
) -> None:
    blue, red = await say("A blue parcel"), await say("A red parcel")
    nothing = await say("Hello")
    await search.drain(app)

    async def listed(asked: str) -> set[UUID]:
        async with app.db.transaction(workspace) as tx:
            page = await views.queue(tx, filters.parse(asked), Reader(noa.id, UTC))
            return {row.conversation.id for row in page.rows}

    assert await listed("-blue") == {red, nothing}
    assert await listed("parcel -blue") == {red}
    assert await listed("-blue -red") == {nothing}
    assert await listed('-"red parcel"') == {blue, nothing}
    assert await listed("-... parcel") == {blue, red}, "signs that say nothing leave nobody out"
