"""Who gets what: in turn, by load, by team; away, gone; and what nobody takes."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update

from plugin import team as people
from plugin import workspaces
from plugin.app import App
from plugin.conversations import conversations as threads
from plugin.conversations import hours, messages, routing, teams
from plugin.conversations.conversations import Conversation, Shopper, Status
from plugin.conversations.teams import Giving, Team
from plugin.kernel.db import new_id
from plugin.kernel.events import Event
from plugin.team import Agent, Role
from tests.conversations.conftest import MakeShopper
from tests.conversations.test_clocks import ask, back, read, watch


async def team(app: App, workspace: UUID, giving: Giving, **more: object) -> None:
    async with app.db.transaction(workspace) as tx:
        await teams.save(tx, Team(name="Team", giving=giving, **more))


async def change(app: App, workspace: UUID, agent: Agent, **values: object) -> None:
    async with app.db.transaction(workspace) as tx:
        await tx.execute(update(Agent).where(Agent.id == agent.id).values(**values))


async def give(app: App, workspace: UUID, id: UUID) -> UUID | None:
    async with app.db.transaction(workspace) as tx:
        return await routing.give(tx, id, datetime.now(UTC))


async def events(app: App, workspace: UUID, kind: str) -> list[Event]:
    async with app.db.transaction(workspace) as tx:
        return list(await tx.scalars(select(Event).where(Event.kind == kind).order_by(Event.id)))


async def test_in_turn_everybody_gets_the_next(
    app: App, workspace: UUID, make_shopper: MakeShopper, noa: Agent, omar: Agent
) -> None:
    await team(app, workspace, Giving.TURNS)
    got = []
    for _ in range(4):
        id = await ask(app, workspace, await make_shopper())
        await watch(app, workspace)
        got.append((await read(app, workspace, id)).assignee_id)
    assert got[0] != got[1]
    assert set(got) == {noa.id, omar.id}
    assert got[:2] == got[2:]
    told = await events(app, workspace, "conversation.assigned")
    assert [(event.actor, event.data["to"]) for event in told] == [("system", str(id)) for id in got]


async def test_by_load_the_one_with_room_gets_it_and_nobody_beyond_capacity(
    app: App, workspace: UUID, make_shopper: MakeShopper, noa: Agent, omar: Agent
) -> None:
    await team(app, workspace, Giving.LOAD)
    for agent, capacity in ((noa, 1), (omar, 2)):
        await change(app, workspace, agent, capacity=capacity)
    ids = [await ask(app, workspace, await make_shopper()) for _ in range(4)]
    got = [await give(app, workspace, id) for id in ids]
    assert sorted(map(str, got[:3])) == sorted(map(str, (noa.id, omar.id, omar.id)))
    assert got[3] is None
    async with app.db.transaction(workspace) as tx:
        talk = await tx.get(Conversation, ids[0])
        assert talk is not None
        await threads.turn(tx, talk, Status.RESOLVED, by=noa)
    await watch(app, workspace)
    assert (await read(app, workspace, ids[3])).assignee_id == got[0], "room came free, and the watch saw it"


async def test_only_who_is_there_of_the_team_and_only_while_it_is_open(
    app: App, workspace: UUID, make_shopper: MakeShopper, noa: Agent, omar: Agent
) -> None:
    async with app.db.transaction(workspace) as tx:
        light = Agent(id=new_id(), name="Lior", email=f"{uuid4().hex}@shop.example", role=Role.LIGHT)
        tx.add(light)
    await team(app, workspace, Giving.TURNS, members=[str(noa.id), str(light.id)], languages=["ar"])
    await team(app, workspace, Giving.TURNS, languages=["he"], hours=hours.to_json([[]] * 7, {}))

    async def asked(locale: str) -> UUID | None:
        shopper = await make_shopper()
        spoken = Shopper(shopper.visitor_id, shopper.store_id, locale=locale)
        return await give(app, workspace, await ask(app, workspace, spoken))

    assert await asked("ar-SA") == noa.id
    assert await asked("he") is None, "closed"
    assert await asked("en") is None, "nobody's team: people take it"
    await change(app, workspace, noa, available=False)
    assert await asked("ar") is None


async def test_without_a_team_that_gives_nothing_is_given(
    app: App, workspace: UUID, shopper: Shopper, noa: Agent
) -> None:
    await team(app, workspace, Giving.MANUAL)
    id = await ask(app, workspace, shopper)
    await watch(app, workspace)
    assert (await read(app, workspace, id)).assignee_id is None


async def test_two_workers_at_once_give_once(
    app: App, workspace: UUID, make_shopper: MakeShopper, noa: Agent, omar: Agent
) -> None:
    await team(app, workspace, Giving.LOAD)
    ids = [await ask(app, workspace, await make_shopper()) for _ in range(6)]
    await asyncio.gather(*(give(app, workspace, id) for id in ids for _ in range(2)))
    talks = [await read(app, workspace, id) for id in ids]
    assert [talk.assignee_id for talk in talks].count(noa.id) == 3
    assert [talk.assignee_id for talk in talks].count(omar.id) == 3
    assert len(await events(app, workspace, "conversation.assigned")) == 6


async def test_what_somebody_took_meanwhile_stays_theirs(
    app: App, workspace: UUID, shopper: Shopper, noa: Agent, omar: Agent
) -> None:
    await team(app, workspace, Giving.TURNS, members=[str(noa.id)])
    id = await ask(app, workspace, shopper)
    async with app.db.transaction(workspace) as tx:
        talk = await tx.get(Conversation, id)
        assert talk is not None
        await threads.assign(tx, talk, omar, by=omar, seen=None)
    await watch(app, workspace)
    assert (await read(app, workspace, id)).assignee_id == omar.id


async def test_an_agent_who_left_leaves_nothing_behind(
    app: App, workspace: UUID, make_shopper: MakeShopper, noa: Agent, omar: Agent
) -> None:
    await team(app, workspace, Giving.TURNS)
    await change(app, workspace, noa, role=Role.OWNER)
    waiting, pending, done = [await ask(app, workspace, await make_shopper()) for _ in range(3)]
    async with app.db.transaction(workspace) as tx:
        owner = await tx.get(Agent, noa.id)
        leaving = await tx.get(Agent, omar.id)
        assert owner is not None
        assert leaving is not None
        for id, status in ((waiting, None), (pending, Status.PENDING), (done, Status.RESOLVED)):
            talk = await tx.get(Conversation, id)
            assert talk is not None
            await threads.assign(tx, talk, leaving, by=owner, seen=None)
            if status is not None:
                await threads.turn(tx, talk, status, by=owner)
        await people.deactivate(tx, leaving, by=owner)
    await watch(app, workspace)
    assert (await read(app, workspace, waiting)).assignee_id == noa.id, "given on"
    assert (await read(app, workspace, pending)).assignee_id is None, "everybody's when the answer comes"
    assert (await read(app, workspace, done)).assignee_id == omar.id, "it tells who did it"


@pytest.mark.parametrize(("alone", "minutes", "freed"), [(False, 90, True), (False, 30, False), (True, 90, False)])
async def test_who_is_away_for_long_gives_back_what_waits_if_a_colleague_is_there(
    app: App, workspace: UUID, shopper: Shopper, noa: Agent, omar: Agent, alone: bool, minutes: int, freed: bool
) -> None:
    id = await ask(app, workspace, shopper)
    async with app.db.transaction(workspace) as tx:
        talk = await tx.get(Conversation, id)
        assert talk is not None
        await threads.assign(tx, talk, omar, by=omar, seen=None)
        away = await tx.get(Agent, omar.id)
        assert away is not None
        await people.set_available(tx, away, False)
        away.away_since = datetime.now(UTC) - timedelta(minutes=minutes)
    if alone:
        await change(app, workspace, noa, available=False, away_since=datetime.now(UTC))
    await watch(app, workspace)
    assert ((await read(app, workspace, id)).assignee_id is None) == freed


async def test_who_has_closed_the_panel_is_given_nothing_and_gives_back_what_waits(
    app: App, workspace: UUID, make_shopper: MakeShopper, noa: Agent, omar: Agent
) -> None:
    await team(app, workspace, Giving.TURNS)
    await change(app, workspace, noa, last_seen_at=datetime.now(UTC) - timedelta(minutes=11))
    ids = [await ask(app, workspace, await make_shopper()) for _ in range(3)]
    assert [await give(app, workspace, id) for id in ids] == [omar.id] * 3
    await change(app, workspace, omar, last_seen_at=datetime.now(UTC) - timedelta(minutes=61))
    await watch(app, workspace)
    assert (await read(app, workspace, ids[0])).assignee_id == omar.id, "nobody else is there either"
    await change(app, workspace, noa, last_seen_at=datetime.now(UTC))
    await watch(app, workspace)
    assert [(await read(app, workspace, id)).assignee_id for id in ids] == [noa.id] * 3


async def test_what_nobody_takes_is_told_once_and_until_somebody_does(
    app: App, workspace: UUID, shopper: Shopper, noa: Agent, omar: Agent
) -> None:
    id = await ask(app, workspace, shopper)
    await watch(app, workspace)
    assert await events(app, workspace, "conversation.unattended") == []
    await back(app, workspace, 70)
    await watch(app, workspace)
    await watch(app, workspace)
    assert [event.subject_id for event in await events(app, workspace, "conversation.unattended")] == [id]
    async with app.db.transaction(workspace) as tx:
        found = await routing.unattended(tx)
        assert found is not None
        assert found.count == 1
        talk = await tx.get(Conversation, id)
        assert talk is not None
        await threads.assign(tx, talk, noa, by=noa, seen=None)
        assert await routing.unattended(tx) is None
        await messages.reply(tx, talk, noa, uuid4(), "Here")
        await threads.assign(tx, talk, None, by=noa, seen=noa.id)
    await ask(app, workspace, shopper)
    await back(app, workspace, 70)
    await watch(app, workspace)
    assert len(await events(app, workspace, "conversation.unattended")) == 2, "another wait is another alert"


async def test_nights_do_not_count_and_nobody_is_told_then(
    app: App, workspace: UUID, shopper: Shopper, noa: Agent, omar: Agent
) -> None:
    now = datetime.now(UTC)
    soon = [[hours.span("00:00", "23:59")] if day == (now.weekday() + 3) % 7 else [] for day in range(7)]
    await team(app, workspace, Giving.MANUAL, hours=hours.to_json(soon, {}))
    await ask(app, workspace, shopper)
    await back(app, workspace, 24 * 60)
    async with app.db.transaction(workspace) as tx:
        assert await routing.tell_unattended(tx, now) == 0
        opening = hours.next_opening((await teams.all_teams(tx))[0].rules().hours, now)
        assert opening is not None
        assert await routing.tell_unattended(tx, opening + timedelta(minutes=59)) == 0
        assert await routing.tell_unattended(tx, opening + timedelta(minutes=61)) == 1


async def test_one_person_alone_is_told_nothing_and_the_limit_can_be_taken_out(
    app: App, workspace: UUID, shopper: Shopper, noa: Agent
) -> None:
    await ask(app, workspace, shopper)
    await back(app, workspace, 700)
    async with app.db.transaction(workspace) as tx:
        assert await routing.tell_unattended(tx, datetime.now(UTC)) == 0
        tx.add(Agent(id=new_id(), name="Omar", email=f"{uuid4().hex}@shop.example", role=Role.AGENT))
        workspace_row = await workspaces.current(tx)
        assert workspace_row is not None
        workspace_row.unattended_minutes = 0
        await tx.flush()
        assert await routing.tell_unattended(tx, datetime.now(UTC)) == 0
        workspace_row.unattended_minutes = 5
        assert await routing.tell_unattended(tx, datetime.now(UTC)) == 1
