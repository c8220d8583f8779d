"""Lists by filter: each key means what it says, at any depth, with counts that agree, saved under a name."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from plugin.app import App
from plugin.conversations import conversations as threads
from plugin.conversations import filters, messages, tags, teams, views
from plugin.conversations.conversations import Conversation, Priority, Shopper, Status
from plugin.conversations.teams import Team
from plugin.conversations.views import BUILT_IN, Reader, Sort, View
from plugin.crm.customers import Customer
from plugin.crm.terms import PROFILE, write
from plugin.kernel.db import Tx, new_id
from plugin.kernel.errors import AhlanError, Forbidden, NotFound
from plugin.team import Agent, Role

RIYADH = ZoneInfo("Asia/Riyadh")
Make = Callable[..., Awaitable[UUID]]


@pytest.fixture
def make(app: App, workspace: UUID, make_shopper: Callable[[], Awaitable[Shopper]]) -> Make:
    async def begin(**values: object) -> UUID:
        async with app.db.transaction(workspace) as tx:
            shopper = await make_shopper()
            await messages.receive(tx, shopper, uuid4(), "hello")
            head = await threads.current(tx, shopper)
            assert head is not None
            if values:
                await tx.execute(update(Conversation).where(Conversation.id == head.id).values(**values))
        return head.id

    return begin


async def found(app: App, workspace: UUID, asked: str, reader: Reader, sort: Sort = Sort.NEWEST) -> list[UUID]:
    async with app.db.transaction(workspace) as tx:
        return [row.conversation.id for row in (await views.queue(tx, filters.parse(asked), reader, sort=sort)).rows]


async def conversation(tx: Tx, id: UUID) -> Conversation:
    row = await tx.get(Conversation, id)
    assert row is not None
    return row


async def test_each_key_means_what_it_says(app: App, workspace: UUID, make: Make, noa: Agent, omar: Agent) -> None:
    now = datetime.now(UTC)
    old = await make(created_at=now - timedelta(days=9), active_at=now - timedelta(days=8), locale="ar-SA")
    mine = await make(assignee_id=noa.id, priority=Priority.HIGH, locale="he")
    theirs = await make(assignee_id=omar.id, priority=Priority.LOW, waiting_since=None, channel="email")
    spam = await make(status=Status.SPAM)
    async with app.db.transaction(workspace) as tx:
        await tags.put(tx, await conversation(tx, old), "Gift  card", by=noa)
        await tags.put(tx, await conversation(tx, mine), "VIP", by=noa)
        await threads.read_by(tx, theirs, noa, 1)
    reader = Reader(noa.id, UTC)

    async def ask(text: str) -> set[UUID]:
        return set(await found(app, workspace, text, reader))

    everything = {old, mine, theirs, spam}
    assert await ask("") == everything
    assert await ask("status:open") == everything - {spam}
    assert await ask("status:spam,resolved") == {spam}
    assert await ask("-status:open") == {spam}
    assert await ask("assignee:me") == {mine}
    assert await ask("assignee:none") == {old, spam}
    assert await ask("assignee:any") == {mine, theirs}
    assert await ask("assignee:omar,me") == {mine, theirs}
    assert await ask(f"assignee:{omar.email}") == {theirs}
    assert await ask("-assignee:me") == everything - {mine}, "nobody is not me"
    assert await ask("priority:>=high") == {mine}
    assert await ask("priority:<normal") == {theirs}
    assert await ask("priority:low,high") == {mine, theirs}
    assert await ask('tag:"gift CARD"') == {old}
    assert await ask("tag:vip,nosuch") == {mine}
    assert await ask("-tag:vip") == everything - {mine}
    assert await ask("channel:email") == {theirs}
    assert await ask("store:dukkan") == everything
    assert await ask("store:dukkan.example -channel:widget") == {theirs}
    assert await ask("store:nowhere") == set()
    assert await ask("language:ar") == {old}
    assert await ask("language:he,ar-EG") == {old, mine}
    assert await ask("unread:no") == {theirs}
    assert await ask("unread:yes status:open") == {old, mine}
    assert await ask("waiting:>=0m") == everything - {theirs}
    assert await ask("waiting:>1h") == set()
    assert await ask("created:>1w") == {old}
    assert await ask("created:<1w") == everything - {old}
    assert await ask("active:>1w active:<2w") == {old}


async def test_when_it_began_is_asked_by_the_readers_clock(app: App, workspace: UUID, make: Make, noa: Agent) -> None:
    # Saturday evening in London is Sunday morning in Riyadh.
    late = await make(created_at=datetime(2026, 11, 21, 22, 30, tzinfo=UTC), first_replied_at=datetime.now(UTC))
    early = await make(created_at=datetime(2026, 11, 21, 6, 30, tzinfo=UTC))
    here, there = Reader(noa.id, UTC), Reader(noa.id, RIYADH)
    assert await found(app, workspace, "weekday:sat hour:22", here) == [late]
    assert await found(app, workspace, "weekday:sun hour:1", there) == [late]
    assert await found(app, workspace, "weekday:sat,mon hour:<12", there) == [early]
    assert await found(app, workspace, "-weekday:sat", here) == []
    assert await found(app, workspace, "answered:yes", here) == [late]
    assert await found(app, workspace, "answered:no", here) == [early]


async def test_a_team_is_asked_for_by_name(app: App, workspace: UUID, make: Make, noa: Agent) -> None:
    reader = Reader(noa.id, UTC)
    hebrew, arabic, gift = await make(locale="he"), await make(locale="ar-SA"), await make(locale="ar")
    async with app.db.transaction(workspace) as tx:
        await teams.save(tx, Team(name="Arabic desk", languages=["ar"]))
        await teams.save(tx, Team(name="Gifts", skills=["gift"]))
        await tags.put(tx, await conversation(tx, gift), "Gift", by=noa)
    assert await found(app, workspace, 'team:"arabic DESK"', reader) == [arabic]
    assert await found(app, workspace, "team:gifts", reader) == [gift]
    assert await found(app, workspace, "team:none", reader) == [hebrew]
    assert await found(app, workspace, "-team:gifts,none", reader) == [arabic]
    assert await found(app, workspace, "team:nosuch", reader) == []


async def test_a_day_is_the_readers_own(app: App, workspace: UUID, make: Make, noa: Agent) -> None:
    # Half past ten in the evening of the 3rd in London is the 4th in Riyadh.
    late = await make(created_at=datetime(2026, 11, 3, 22, 30, tzinfo=UTC))
    here, there = Reader(noa.id, UTC), Reader(noa.id, RIYADH)
    assert await found(app, workspace, "created:2026-11-03", here) == [late]
    assert await found(app, workspace, "created:2026-11-03", there) == []
    assert await found(app, workspace, "created:2026-11-04", there) == [late]
    assert await found(app, workspace, "created:>2026-11-03 created:<=2026-11-04", there) == [late]
    assert await found(app, workspace, "created:<2026-11-04", here) == [late]
    assert await found(app, workspace, "created:>=2026-11-04", here) == []


async def test_words_find_the_person(app: App, workspace: UUID, make: Make, noa: Agent) -> None:
    async with app.db.transaction(workspace) as tx:
        head, part = Customer(id=new_id(), name="ليلى حداد"), Customer(id=new_id(), name="Layla")
        tx.add(head, part)
        await tx.flush()
        part.merged_into = head.id
        await tx.flush()
        await write(tx, {part.id: {"layla", "haddad"}}, PROFILE)
    hers = await make(customer_id=part.id)
    await make()
    reader = Reader(noa.id, UTC)
    assert await found(app, workspace, "layla status:open", reader) == [hers]
    assert await found(app, workspace, "nobody", reader) == []


async def test_counts_are_those_of_the_lists(app: App, workspace: UUID, make: Make, noa: Agent, omar: Agent) -> None:
    await make(assignee_id=noa.id)
    await make(assignee_id=omar.id, status=Status.PENDING)
    await make()
    reader = Reader(noa.id, UTC)
    asked = [*BUILT_IN.values(), View("u", filters.parse("unread:yes")), View("t", filters.parse("-tag:vip"))]
    async with app.db.transaction(workspace) as tx:
        counted = await views.counts(tx, asked, reader)
    for view in asked:
        assert counted[view.key] == len(await found(app, workspace, str(view.filter), reader)), view.key


@pytest.mark.parametrize("sort", Sort)
async def test_pages_join_without_a_gap_in_every_order(
    app: App, workspace: UUID, make: Make, noa: Agent, sort: Sort
) -> None:
    moment = datetime.now(UTC) - timedelta(hours=1)
    # Three share a moment: only the id tells them apart.
    ids = [
        await make(active_at=at, waiting_since=at, due_at=at)
        for at in (moment, moment, moment, moment + timedelta(minutes=1))
    ]
    reader, seen, cursor = Reader(noa.id, UTC), [], None
    while True:
        async with app.db.transaction(workspace) as tx:
            page = await views.queue(tx, filters.parse("status:open"), reader, sort=sort, cursor=cursor, limit=1)
        seen += [row.conversation.id for row in page.rows]
        if (cursor := page.cursor) is None:
            break
    assert len(seen) == 4
    assert set(seen) == set(ids)
    assert seen == (sorted(ids, reverse=True) if sort is Sort.NEWEST else sorted(ids))


_TERMS = st.sampled_from(
    ["status:open", "status:pending,spam", "-status:snoozed", "assignee:me", "-assignee:me", "assignee:none",
     "priority:>=high", "-priority:low", "tag:vip", "-tag:vip", "unread:yes", "unread:no", "waiting:>1h", "waiting:<1h",
     "-waiting:>1h", "created:<1d", "-created:<1d", "language:ar", "-language:ar"]
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20, deadline=None)
@given(st.lists(_TERMS, min_size=1, max_size=4, unique=True))
async def test_a_condition_and_its_contrary_part_the_whole(
    app: App, workspace: UUID, make: Make, noa: Agent, terms: list[str]
) -> None:
    async with app.db.transaction(workspace) as tx:
        if await tx.scalar(select(Conversation.id).limit(1)) is None:
            now = datetime.now(UTC)
            await make(assignee_id=noa.id, priority=Priority.URGENT, locale="ar")
            await make(status=Status.PENDING, waiting_since=None, created_at=now - timedelta(days=3))
            await make(waiting_since=now - timedelta(hours=2), locale="")
    reader = Reader(noa.id, UTC)
    first, *rest = terms
    turned = first.removeprefix("-") if first.startswith("-") else f"-{first}"
    kept = " ".join(rest)
    whole = set(await found(app, workspace, kept, reader))
    inside = set(await found(app, workspace, f"{first} {kept}", reader))
    outside = set(await found(app, workspace, f"{turned} {kept}", reader))
    assert inside | outside == whole
    assert not inside & outside


async def test_a_saved_view_is_ones_own_or_the_teams(app: App, workspace: UUID, noa: Agent, omar: Agent) -> None:
    asked = filters.parse("status:open tag:vip")
    async with app.db.transaction(workspace) as tx:
        own = await views.save(tx, noa, " My  VIPs ", asked, Sort.WAITING, shared=False)
        shared = await views.save(tx, noa, "VIPs", asked, Sort.NEWEST, shared=True)
    async with app.db.transaction(workspace) as tx:
        assert [(view.name, view.shared, view.mine) for view in await views.saved(tx, noa)] == [
            ("VIPs", True, True), ("My VIPs", False, True),
        ]  # fmt: skip
        assert [(view.name, view.sort, str(view.filter)) for view in await views.saved(tx, omar)] == [
            ("VIPs", Sort.NEWEST, "status:open tag:vip")
        ]
        with pytest.raises(NotFound):
            await views.forget(tx, omar, UUID(own.key))
        with pytest.raises(Forbidden):
            await views.forget(tx, omar, UUID(shared.key))
        omar.role = Role.ADMIN
        await views.forget(tx, omar, UUID(shared.key))
        await views.forget(tx, noa, UUID(own.key))
        assert await views.saved(tx, noa) == []


async def test_saved_views_have_a_name_and_an_end(app: App, workspace: UUID, noa: Agent) -> None:
    async with app.db.transaction(workspace) as tx:
        for name in ("", "  ", "x" * 61):
            with pytest.raises(AhlanError):
                await views.save(tx, noa, name, filters.Filter(), Sort.NEWEST, shared=False)
        for number in range(views.MOST_SAVED):
            await views.save(tx, noa, f"{number}", filters.Filter(), Sort.NEWEST, shared=False)
        with pytest.raises(AhlanError):
            await views.save(tx, noa, "one more", filters.Filter(), Sort.NEWEST, shared=False)


async def test_tags_are_one_in_every_spelling(app: App, workspace: UUID, make: Make, noa: Agent) -> None:
    id = await make()
    async with app.db.transaction(workspace) as tx:
        talk = await conversation(tx, id)
        assert await tags.put(tx, talk, "Gift", by=noa)
        assert not await tags.put(tx, talk, " gift ", by=noa)
        assert await tags.put(tx, talk, "هدية", by=noa)
        assert await tags.of_conversations(tx, [id]) == {id: ["Gift", "هدية"]}
        assert await tags.take_off(tx, talk, "GIFT", by=noa)
        assert not await tags.take_off(tx, talk, "GIFT", by=noa)
        assert await tags.all_tags(tx) == ["Gift", "هدية"]
        for wrong in ("", " ", "x" * 41, 'a"b'):
            with pytest.raises(AhlanError):
                await tags.put(tx, talk, wrong, by=noa)
        for number in range(tags.MOST - 1):
            await tags.put(tx, talk, f"{number}", by=noa)
        with pytest.raises(AhlanError):
            await tags.put(tx, talk, "one too many", by=noa)
