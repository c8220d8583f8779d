"""Notes that call colleagues: who is meant, whose list it is in, until when it is unread."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from plugin.app import App
from plugin.conversations import changes, conversations, filters, macros, mentions, messages, views
from plugin.conversations.conversations import Conversation, Shopper
from plugin.conversations.macros import Draft
from plugin.conversations.messages import Message
from plugin.conversations.views import BUILT_IN, UNREAD_MENTIONS, Reader
from plugin.kernel.db import Tx, new_id
from plugin.kernel.errors import AhlanError
from plugin.team import Agent, Role


def somebody(name: str) -> Agent:
    return Agent(id=new_id(), name=name, email=None, role=Role.AGENT)


def test_whole_names_call_in_any_script_and_longer_names_first() -> None:
    noa, levi, karim = somebody("Noa"), somebody("נועה לוי"), somebody("Karim Said")
    full = somebody("Noa Levi")
    team = [noa, levi, karim, full]

    def called(text: str) -> set[str]:
        return {agent.name for agent in mentions.called(text, team, ())}

    assert called("@Noa Levi please look, and @noa too") == {"Noa Levi", "Noa"}
    assert called("@Noa Levi please") == {"Noa Levi"}
    assert called("תודה @נועה לוי!") == {"נועה לוי"}
    assert called("@KARIM  said: done") == {"Karim Said"}
    assert called("mail noa@Noa.example, @Noah, @Nobody") == set()


def test_of_two_with_one_name_only_the_chosen_one_is_called() -> None:
    one, other = somebody("Sara"), somebody("sara")
    assert mentions.called("@Sara?", [one, other], ()) == []
    assert mentions.called("@Sara?", [one, other], [other.id]) == [other]


def test_who_has_no_access_cannot_be_called() -> None:
    with pytest.raises(AhlanError) as raised:
        mentions.called("@Sara", [somebody("Noa")], [uuid4()])
    assert raised.value.code == "mention_nobody"


@pytest.mark.parametrize("text", ["@Noa hi", "hi (@noa)", "a@noa b", "@Noa@Noa", "no names", "@Noah"])
def test_the_pieces_of_a_note_are_the_note(text: str) -> None:
    pieces = mentions.parts(text, ["Noa", "Noa Levi"])
    assert "".join(piece for piece, _calls in pieces) == text
    assert all(piece.casefold() == "@noa" for piece, calls in pieces if calls)


async def begin(app: App, workspace: UUID, shopper: Shopper) -> UUID:
    async with app.db.transaction(workspace) as tx:
        await messages.receive(tx, shopper, uuid4(), "hello")
        head = await conversations.current(tx, shopper)
    assert head is not None
    return head.id


async def note(app: App, workspace: UUID, id: UUID, by: Agent, text: str, client_id: UUID | None = None) -> int:
    async with app.db.transaction(workspace) as tx:
        talk = await tx.get(Conversation, id)
        assert talk is not None
        await messages.note(tx, talk, by, client_id or uuid4(), text)
        return talk.last_position


async def lists(app: App, workspace: UUID, agent: Agent) -> tuple[int, int, bool]:
    """How many in the list, how many unread in its count, whether the first row is marked."""
    reader = Reader(agent.id, UTC)
    async with app.db.transaction(workspace) as tx:
        rows = (await views.queue(tx, BUILT_IN["mentions"].filter, reader)).rows
        unread = (await views.counts(tx, [UNREAD_MENTIONS], reader))["mentions"]
    return len(rows), unread, bool(rows) and rows[0].mentioned


async def test_a_call_is_in_the_list_and_unread_until_it_was_seen(
    app: App, workspace: UUID, shopper: Shopper, noa: Agent, omar: Agent
) -> None:
    id = await begin(app, workspace, shopper)
    position = await note(app, workspace, id, noa, "@Omar can you call them? @Noa me too")
    assert await lists(app, workspace, omar) == (1, 1, True)
    assert await lists(app, workspace, noa) == (0, 0, False), "nobody calls themselves"
    async with app.db.transaction(workspace) as tx:
        assert not await mentions.read(tx, id, omar, position - 1)
        assert await mentions.read(tx, id, omar, position)
        assert not await mentions.read(tx, id, omar, position)
    assert await lists(app, workspace, omar) == (1, 0, False), "it stays in the list, read"
    await note(app, workspace, id, noa, "@Omar again")
    assert await lists(app, workspace, omar) == (1, 1, True)


async def test_a_resent_note_calls_once(app: App, workspace: UUID, shopper: Shopper, noa: Agent, omar: Agent) -> None:
    id, client_id = await begin(app, workspace, shopper), uuid4()
    position = await note(app, workspace, id, noa, "@Omar", client_id)
    async with app.db.transaction(workspace) as tx:
        await mentions.read(tx, id, omar, position)
    await note(app, workspace, id, noa, "@Omar", client_id)
    assert await lists(app, workspace, omar) == (1, 0, False)


async def test_a_note_calls_whom_it_names_now(
    app: App, workspace: UUID, shopper: Shopper, noa: Agent, omar: Agent
) -> None:
    id = await begin(app, workspace, shopper)
    position = await note(app, workspace, id, noa, "can somebody call them?")

    async def change(how: Callable[[Tx, Message], Awaitable[bool]]) -> Sequence[str]:
        async with app.db.transaction(workspace) as tx:
            (message,) = await messages.thread(tx, id, after=position - 1, limit=1)
            assert await how(tx, message)
            return message.data.get("mentions", ())

    assert await change(lambda tx, said: changes.edit(tx, said, noa, "@Omar can you call them?")) == ["Omar"]
    assert await lists(app, workspace, omar) == (1, 1, True)
    async with app.db.transaction(workspace) as tx:
        await mentions.read(tx, id, omar, position)
    assert await change(lambda tx, said: changes.edit(tx, said, noa, "@Omar can you call them today?")) == ["Omar"]
    assert await lists(app, workspace, omar) == (1, 0, False), "what they have seen is no news"
    await change(lambda tx, said: changes.take_back(tx, said, noa))
    assert await lists(app, workspace, omar) == (0, 0, False)
    assert await change(lambda tx, said: changes.bring_back(tx, said, noa)) == ["Omar"]
    assert await lists(app, workspace, omar) == (1, 1, True)
    assert await change(lambda tx, said: changes.edit(tx, said, noa, "done")) == ()
    assert await lists(app, workspace, omar) == (0, 0, False)


async def test_who_left_is_not_called_and_not_offered(
    app: App, workspace: UUID, shopper: Shopper, noa: Agent, omar: Agent
) -> None:
    id = await begin(app, workspace, shopper)
    async with app.db.transaction(workspace) as tx:
        gone = await tx.get(Agent, omar.id)
        assert gone is not None
        gone.deactivated_at = datetime.now(UTC)
    async with app.db.transaction(workspace) as tx:
        assert [agent.name for agent in await mentions.people(tx)] == ["Noa"]
        talk = await tx.get(Conversation, id)
        assert talk is not None
        with pytest.raises(AhlanError):
            await messages.note(tx, talk, noa, uuid4(), "@Omar", chosen=[omar.id])
    await note(app, workspace, id, noa, "@Omar, if you still read this")
    assert await lists(app, workspace, omar) == (0, 0, False)


async def test_mentions_can_be_asked_for_in_a_filter(
    app: App, workspace: UUID, shopper: Shopper, noa: Agent, omar: Agent
) -> None:
    id = await begin(app, workspace, shopper)
    await note(app, workspace, id, noa, "@Omar")
    reader = Reader(omar.id, UTC)
    async with app.db.transaction(workspace) as tx:
        for asked, held in (("mentions:unread status:open", 1), ("-mentions:me", 0), ("mentions:me status:spam", 0)):
            assert len((await views.queue(tx, filters.parse(asked), reader)).rows) == held, asked


async def test_who_turns_out_to_be_somebody_else_takes_calls_and_macros_along(
    app: App, workspace: UUID, shopper: Shopper, noa: Agent, omar: Agent
) -> None:
    id = await begin(app, workspace, shopper)
    await note(app, workspace, id, noa, "@Omar")
    async with app.db.transaction(workspace) as tx:
        sara = Agent(id=new_id(), name="Sara", email=f"{uuid4().hex}@shop.example", role=Role.AGENT)
        tx.add(sara)
        await macros.write(tx, omar, Draft("own", {"en": "x"}))
        await note_both(tx, id, noa)
    async with app.db.transaction(workspace) as tx:
        await mentions.inherit(tx, omar.id, sara.id)
        await macros.inherit(tx, omar.id, sara.id)
    assert await lists(app, workspace, sara) == (1, 1, True)
    async with app.db.transaction(workspace) as tx:
        assert [one.macro.name for one in await macros.available(tx, sara)] == ["own"]
        assert await macros.available(tx, omar) == []


async def note_both(tx: Tx, id: UUID, by: Agent) -> None:
    talk = await tx.get(Conversation, id)
    assert talk is not None
    await messages.note(tx, talk, by, uuid4(), "@Omar and @Sara, both of you")
