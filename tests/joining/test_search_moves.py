"""What a store's conversations say is found where the store went, and no longer where it was."""

from uuid import UUID

from sqlalchemy import text

from plugin.app import App
from plugin.conversations import search
from tests.joining.conftest import Make, joined


async def found(app: App, workspace_id: UUID, *said: str) -> list[UUID]:
    await search.drain(app)
    async with app.db.transaction(workspace_id) as tx:
        return list((await search.conversations(tx, said)).ids)


async def test_words_go_where_the_conversation_goes(app: App, merchant: Make) -> None:
    guest, host = await merchant("oud"), await merchant("kad")
    assert await found(app, guest.workspace_id, "oud hello") == [guest.talk]
    await joined(app, guest, host)
    assert await found(app, host.workspace_id, "oud hello") == [guest.talk]
    assert await found(app, host.workspace_id, "kad hello") == [host.talk]
    assert set(await found(app, host.workspace_id, "answers")) == {guest.talk, host.talk}
    assert await found(app, guest.workspace_id, "oud hello") == []
    async with app.db.transaction(guest.workspace_id) as tx:
        assert await tx.scalar(text("SELECT count(*) FROM conversation_words")) == 0
