"""Who mistypes a word of a subject is asked what they meant, quickly at any size, in their workspace alone."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text

from plugin.app import App
from plugin.conversations import conversations as threads
from plugin.conversations import messages, search
from plugin.conversations.conversations import Conversation
from plugin.conversations.search import SubjectWord
from plugin.crm import sync
from plugin.kernel.db import Tx
from plugin.platform import CustomerRecord
from plugin.stores import Store
from plugin.team import Agent
from tests.conversations.conftest import MakeShopper

NOW = datetime(2026, 11, 1, tzinfo=UTC)
Begin = Callable[[str], Awaitable[UUID]]


@pytest.fixture
def begin(app: App, workspace: UUID, make_shopper: MakeShopper, noa: Agent) -> Begin:
    """A conversation with this subject, indexed."""

    async def begin(subject: str) -> UUID:
        who = await make_shopper()
        async with app.db.transaction(workspace) as tx:
            await messages.receive(tx, who, uuid4(), "warehouse")
            head = await threads.current(tx, who)
            assert head is not None
            await retitle(tx, head.id, subject, noa)
        await search.drain(app)
        return head.id

    return begin


async def retitle(tx: Tx, id: UUID, subject: str, by: Agent) -> None:
    talk = await tx.get(Conversation, id)
    assert talk is not None
    await threads.retitle(tx, talk, subject, by=by)


async def meant(app: App, workspace: UUID, *said: str) -> str:
    async with app.db.transaction(workspace) as tx:
        return await search.meant(tx, said)


@pytest.mark.parametrize(
    ("said", "better"),
    [
        ("discuont", "discount"), ("Discuont voucher", "discount voucher"), ("مرتحعات", "مرتجعات"),
        ("החלפוה", "החלפות"),
        ("discount", ""), ("disc", ""), ("warehouse", ""), ("zzzzz", ""), ("dis", ""), ("1234", ""), ("iscount", ""),
    ],
)  # fmt: skip
async def test_a_slip_in_a_word_of_a_subject_is_seen_through(
    app: App, workspace: UUID, other_workspace: UUID, begin: Begin, said: str, better: str
) -> None:
    await begin("Discount on مُرتجعات and החלפות")
    assert await meant(app, workspace, *said.split()) == better
    assert await meant(app, other_workspace, *said.split()) == ""


async def test_the_nearest_wins_among_names_and_subjects_and_a_known_name_stays(
    app: App, workspace: UUID, store: Store, begin: Begin
) -> None:
    await begin("Mandarin perfume")
    async with app.db.transaction(workspace) as tx:
        await sync.apply(tx, store, [CustomerRecord("1", NOW, "m@example.com", first_name="Mandana")])
    assert await meant(app, workspace, "mandanna") == "mandana"
    assert await meant(app, workspace, "mandarrin") == "mandarin"
    assert await meant(app, workspace, "mandana", "perfmue") == "mandana perfume"


async def test_a_subject_that_changed_is_known_by_its_new_words_and_goes_with_its_conversation(
    app: App, workspace: UUID, begin: Begin, noa: Agent
) -> None:
    id = await begin("Discount")
    async with app.db.transaction(workspace) as tx:
        await retitle(tx, id, "Exchange", noa)
    await search.drain(app)
    assert await meant(app, workspace, "discuont") == ""
    assert await meant(app, workspace, "exhcange") == "exchange"
    async with app.db.transaction(workspace) as tx:
        await tx.execute(text("DELETE FROM conversations WHERE workspace_id = :w"), {"w": workspace})
        assert list(await tx.scalars(select(SubjectWord.term))) == []


async def test_however_many_subjects_there_are_only_the_latest_are_looked_at(
    app: App, workspace: UUID, begin: Begin
) -> None:
    newest = await begin("Discount")
    async with app.db.transaction(workspace) as tx:
        await tx.execute(
            text(
                "INSERT INTO conversations (workspace_id, id, store_id, channel, subject) SELECT workspace_id, "
                "('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, store_id, channel, '' "
                "FROM conversations, generate_series(1, 3000) n WHERE id = :id"
            ),
            {"id": newest},
        )
        await tx.execute(
            text(
                "INSERT INTO subject_words (workspace_id, initial, conversation_id, term) "
                "SELECT workspace_id, initial, id, initial || substr(md5(n || initial || c.id), 1, 7) "
                "FROM conversations c, unnest(ARRAY['a', 'b', 'c', 'd', 'e', 'f']) initial, generate_series(1, 3) n "
                "WHERE id <> :id ON CONFLICT DO NOTHING"
            ),
            {"id": newest},
        )
    await app.db.analyze()
    async with app.db.transaction(workspace) as tx:
        asked = {"workspace": workspace, "word": "discuont", "initial": "d", "least": 6, "most": 10, "scan": 6000}
        plan = "\n".join(await tx.scalars(text(f"EXPLAIN {search._ALIKE.text}"), asked))
        assert "Scan Backward using pk_subject_words" in plan, plan
        assert await search.meant(tx, ["discuont"]) == "discount"
        await tx.execute(
            text("DELETE FROM subject_words WHERE workspace_id = :w AND conversation_id = :id"),
            {"w": workspace, "id": newest},
        )
        oldest = UUID("00000000-0000-7000-8000-000000000001")
        tx.add(SubjectWord(initial="d", conversation_id=oldest, term="discount"))
        await tx.flush()
        assert await search.meant(tx, ["discuont"]) == "", "9 000 words are later"
