"""Conversations put together and taken apart: every message exactly once, in order, and back again exactly."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from plugin.app import App
from plugin.conversations import attachments, blocked, history, mentions, merging, messages, tags, views, weaving
from plugin.conversations import conversations as threads
from plugin.conversations.blocked import Kind
from plugin.conversations.conversations import MERGED, Conversation, Priority, Shopper, Status
from plugin.conversations.filters import parse
from plugin.conversations.letters import Letter
from plugin.conversations.merging import Fit
from plugin.conversations.messages import Message
from plugin.conversations.views import Reader
from plugin.conversations.weaving import Line
from plugin.crm.customers import Customer
from plugin.crm.visitors import Visitor
from plugin.kernel.db import Tx, new_id
from plugin.kernel.errors import AhlanError, Conflict, NotFound
from plugin.stores import Store
from plugin.team import Agent

MakeShopper = Callable[[], Awaitable[Shopper]]
START = datetime(2026, 11, 22, 9, tzinfo=UTC)


# The order, without a database


@st.composite
def threads_of_lines(draw: st.DrawFn) -> list[Line]:
    """Several threads whose clocks need not agree with their order."""
    made = []
    for _thread in range(draw(st.integers(1, 4))):
        thread, seq = uuid4(), 0
        for position in range(1, draw(st.integers(0, 12)) + 1):
            seen = draw(st.booleans())
            seq += seen
            at = START + timedelta(seconds=draw(st.integers(0, 40)))
            made.append(Line(uuid4(), thread, position, seq if seen else None, at))
    return made


def places(lines: list[Line]) -> set[tuple[Any, ...]]:
    return {(line.id, line.thread, line.position, line.seq) for line in lines}


@given(threads_of_lines())
def test_what_is_woven_and_taken_apart_is_what_it_was(lines: list[Line]) -> None:
    here = uuid4()
    woven = weaving.numbered(weaving.woven(lines), here)
    assert [line.position for line in woven] == list(range(1, len(lines) + 1))
    assert [line.seq for line in woven if line.seq is not None] == list(range(1, sum(1 for x in lines if x.seq) + 1))
    again: list[Line] = []
    for thread in {line.thread for line in lines}:
        ours = {line.id for line in lines if line.thread == thread}
        again += weaving.numbered([line for line in woven if line.id in ours], thread)
    assert places(again) == places(lines)


@given(threads_of_lines(), st.data())
def test_a_mark_never_calls_read_what_was_not_and_comes_back_no_further(lines: list[Line], data: st.DataObject) -> None:
    here = uuid4()
    marks = {line.thread: data.draw(st.integers(0, 12)) for line in lines}
    woven = weaving.numbered(weaving.woven(lines), here)
    mark = weaving.read_up_to(lines, woven, marks)
    own = {line.id: line for line in lines}
    for line in woven:
        before = own[line.id]
        if line.seq is not None and line.seq <= mark:
            assert before.seq is not None
            assert before.seq <= marks[before.thread]
    for thread, said in marks.items():
        part = [line for line in lines if line.thread == thread]
        assert weaving.own_mark(woven, part, mark) <= said


# In the database


async def write(app: App, workspace: UUID, shopper: Shopper, *texts: str) -> UUID:
    async with app.db.transaction(workspace) as tx:
        for text in texts:
            await messages.receive(tx, shopper, uuid4(), text)
        head = await threads.current(tx, shopper)
        assert head is not None
        return head.id


async def answer(app: App, workspace: UUID, talk: UUID, by: Agent, text: str) -> None:
    async with app.db.transaction(workspace) as tx:
        await messages.reply(tx, await _talk(tx, talk), by, uuid4(), text)


async def _talk(tx: Tx, id: UUID) -> Conversation:
    talk = await tx.get(Conversation, id)
    assert talk is not None
    return talk


async def texts(app: App, workspace: UUID, talk: UUID) -> list[str]:
    async with app.db.transaction(workspace) as tx:
        rows = await messages.thread(tx, talk, limit=1000)
    assert [row.position for row in rows] == list(range(1, len(rows) + 1))
    assert [row.seq for row in rows if row.seq is not None] == list(range(1, sum(1 for r in rows if r.seq) + 1))
    return [row.text for row in rows]


async def whole(app: App, workspace: UUID, *ids: UUID) -> list[dict[str, Any]]:
    """All that these conversations are, but how often they were numbered."""
    found = []
    async with app.db.transaction(workspace) as tx:
        for id in ids:
            row = await _talk(tx, id)
            said = await tx.scalars(select(Message).where(Message.conversation_id == id).order_by(Message.position))
            on = await tags.of_conversations(tx, [id])
            reads = (await weaving.reads_of(tx, [id])).items()
            columns = {c.name: getattr(row, c.name) for c in Conversation.__table__.c if c.name != "numbering"}
            columns["messages"] = [(one.id, one.position, one.seq, one.text, one.client_id) for one in said]
            columns["tags"] = sorted(on.get(id, ()))
            columns["reads"] = {agent: marks[id] for agent, marks in reads}
            found.append(columns)
    return found


@pytest.fixture
async def pair(app: App, workspace: UUID, store: Store, make_shopper: MakeShopper, noa: Agent) -> list[UUID]:
    """Two conversations of one customer in two browsers, their messages in turn."""
    async with app.db.transaction(workspace) as tx:
        customer = Customer(id=new_id(), name="Layla")
        tx.add(customer)
    shoppers = []
    for _number in range(2):
        shopper = await make_shopper()
        async with app.db.transaction(workspace) as tx:
            await tx.execute(update(Visitor).where(Visitor.id == shopper.visitor_id).values(customer_id=customer.id))
        shoppers.append(shopper)
    ids = []
    for number, shopper in enumerate(shoppers):
        ids.append(await write(app, workspace, shopper, f"{number}a"))
    for number, shopper in enumerate(shoppers):
        await write(app, workspace, shopper, f"{number}b")
    async with app.db.transaction(workspace) as tx:
        await tx.execute(update(Conversation).where(Conversation.id.in_(ids)).values(customer_id=customer.id))
    await answer(app, workspace, ids[0], noa, "0c")
    return ids


async def merge(app: App, workspace: UUID, into: UUID, *others: UUID, by: Agent, sure: bool = False) -> UUID:
    async with app.db.transaction(workspace) as tx:
        return (await merging.merge(tx, into, others, by=by, sure=sure))[0].id


async def undo(app: App, workspace: UUID, join: UUID, by: Agent) -> None:
    async with app.db.transaction(workspace) as tx:
        await merging.undo(tx, join, by=by)


async def test_two_conversations_become_one_and_two_again_exactly(
    app: App, workspace: UUID, pair: list[UUID], noa: Agent, omar: Agent
) -> None:
    async with app.db.transaction(workspace) as tx:
        await tags.put(tx, await _talk(tx, pair[1]), "late", by=omar)
        await threads.rank(tx, await _talk(tx, pair[1]), Priority.HIGH, by=omar)
        await threads.read_by(tx, pair[1], omar, 1)
    before = await whole(app, workspace, *pair)
    join = await merge(app, workspace, pair[0], pair[1], by=noa)
    assert await texts(app, workspace, pair[0]) == ["0a", "1a", "0b", "1b", "0c"]
    assert await texts(app, workspace, pair[1]) == []
    async with app.db.transaction(workspace) as tx:
        one, other = await _talk(tx, pair[0]), await _talk(tx, pair[1])
        assert (one.priority, one.last_seq, one.status) == (Priority.HIGH, 5, "open")
        assert (await tags.of_conversations(tx, pair))[one.id] == ["late"]
        assert (other.status, other.merged_into) == (MERGED, one.id)
        listed = await views.queue(tx, parse(""), Reader(noa.id, UTC))
        assert [row.conversation.id for row in listed.rows] == [one.id], "it is in no list any more"
        kinds = {event.kind for event in await history.happenings(tx, one.id, since=START)}
        assert "conversation.merged" in kinds
    await undo(app, workspace, join, noa)
    assert await whole(app, workspace, *pair) == before
    async with app.db.transaction(workspace) as tx:
        with pytest.raises(NotFound):
            await merging.undo(tx, join, by=noa)


async def test_what_came_meanwhile_stays_with_the_one_that_goes_on(
    app: App, workspace: UUID, pair: list[UUID], noa: Agent
) -> None:
    before = await whole(app, workspace, *pair)
    join = await merge(app, workspace, pair[1], pair[0], by=noa)
    await answer(app, workspace, pair[1], noa, "new")
    await undo(app, workspace, join, noa)
    assert await texts(app, workspace, pair[1]) == ["1a", "1b", "new"]
    after = await whole(app, workspace, pair[0])
    assert after[0] == before[0]
    async with app.db.transaction(workspace) as tx:
        assert (await _talk(tx, pair[1])).waiting_since is None, "the new answer counts"


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["shopper", "agent", "note", "merge", "undo", "split"]), st.integers(0, 3)),
        max_size=14,
    )
)
@example(steps=[("merge", 0), ("split", 0), ("undo", 1)])
async def test_whatever_is_done_every_message_is_there_once_and_in_order(
    app: App, workspace: UUID, make_shopper: MakeShopper, noa: Agent, steps: list[tuple[str, int]]
) -> None:
    shopper = await make_shopper()
    ids: list[UUID] = []
    said: list[str] = []
    joins: list[UUID] = []
    for number in range(3):
        async with app.db.transaction(workspace) as tx:
            talk = Conversation(id=new_id(), store_id=shopper.store_id, visitor_id=shopper.visitor_id, channel="widget")
            tx.add(talk)
            await tx.flush()
            said.append(f"first {number}")
            await messages.receive(
                tx, Shopper(shopper.visitor_id, shopper.store_id, conversation_id=talk.id), uuid4(), said[-1]
            )
            ids.append(talk.id)
    for verb, which in steps:
        id = ids[which % len(ids)]
        try:
            async with app.db.transaction(workspace) as tx:
                match verb:
                    case "shopper" | "agent" | "note":
                        text = f"{verb} {len(said)}"
                        if verb == "shopper":
                            bound = Shopper(shopper.visitor_id, shopper.store_id, conversation_id=id)
                            await messages.receive(tx, bound, uuid4(), text)
                        else:
                            write_it = messages.reply if verb == "agent" else messages.note
                            await write_it(tx, await _talk(tx, id), noa, uuid4(), text)
                        said.append(text)
                    case "merge":
                        made = await merging.merge(tx, id, [ids[(which + 1) % len(ids)]], by=noa)
                        joins.append(made[0].id)
                    case "split":
                        join = await merging.split(tx, id, 2, by=noa)
                        ids.append(join.other_id)
                        joins.append(join.id)
                    case "undo" if joins:
                        await merging.undo(tx, joins[-1 - which % len(joins)], by=noa)
        except AhlanError:
            continue
    held: list[str] = []
    for id in ids:
        here = await texts(app, workspace, id)
        held += here
        async with app.db.transaction(workspace) as tx:
            row = await _talk(tx, id)
            seen = await messages.messages_after(tx, id, 0, 1000)
            assert (row.last_position, row.last_seq) == (len(here), len(seen))
            assert max(row.shopper_read_seq, row.agent_read_seq, row.emailed_seq) <= row.last_seq
            if row.status == MERGED:
                assert not here
                assert row.merged_into is not None
                assert (await _talk(tx, row.merged_into)).status != MERGED, "one step leads to the thread"
    assert sorted(held) == sorted(said)


async def test_a_shopper_who_writes_while_it_is_merged_is_heard_in_the_thread_that_goes_on(
    app: App, workspace: UUID, make_shopper: MakeShopper, noa: Agent
) -> None:
    shopper = await make_shopper()
    one = await write(app, workspace, shopper, "one")
    async with app.db.transaction(workspace) as tx:
        other = Conversation(id=new_id(), store_id=shopper.store_id, visitor_id=shopper.visitor_id, channel="widget")
        tx.add(other)
    bound = Shopper(shopper.visitor_id, shopper.store_id, conversation_id=other.id)

    async def say(text: str) -> None:
        async with app.db.transaction(workspace) as tx:
            await messages.receive(tx, bound, uuid4(), text)

    await say("first")
    written = [f"while {number}" for number in range(8)]
    await asyncio.gather(*(say(text) for text in written[:4]), merge(app, workspace, one, other.id, by=noa),
                         *(say(text) for text in written[4:]))  # fmt: skip
    assert sorted(await texts(app, workspace, one)) == sorted(["one", "first", *written])
    assert await texts(app, workspace, other.id) == []
    async with app.db.transaction(workspace) as tx:
        head = await threads.shown(tx, bound)
        assert head is not None
        assert head.id == one


async def test_of_two_agents_at_once_one_merges(
    app: App, workspace: UUID, pair: list[UUID], noa: Agent, omar: Agent
) -> None:
    done = await asyncio.gather(
        merge(app, workspace, pair[0], pair[1], by=noa),
        merge(app, workspace, pair[1], pair[0], by=omar),
        return_exceptions=True,
    )
    assert sorted(type(one).__name__ for one in done) == ["Conflict", "UUID"]
    both = [await texts(app, workspace, id) for id in pair]
    assert sorted(map(len, both)) == [0, 5]


async def test_an_agent_who_answers_the_merged_one_answers_in_the_thread(
    app: App, workspace: UUID, pair: list[UUID], noa: Agent
) -> None:
    await merge(app, workspace, pair[0], pair[1], by=noa)
    await answer(app, workspace, pair[1], noa, "late answer")
    assert (await texts(app, workspace, pair[0]))[-1] == "late answer"


async def test_another_tenants_conversations_cannot_be_named(
    app: App, workspace: UUID, other_workspace: UUID, pair: list[UUID], noa: Agent
) -> None:
    async with app.db.transaction(other_workspace) as tx:
        with pytest.raises(NotFound):
            await merging.merge(tx, pair[0], [pair[1]], by=noa)
        with pytest.raises(NotFound):
            await merging.split(tx, pair[0], 2, by=noa)
    join = await merge(app, workspace, pair[0], pair[1], by=noa)
    async with app.db.transaction(other_workspace) as tx:
        with pytest.raises(NotFound):
            await merging.undo(tx, join, by=noa)


def talk(**values: Any) -> Conversation:
    return Conversation(**{"id": uuid4(), "store_id": STORE, "channel": "widget", "reply_email": "", **values})


STORE, LAYLA, NOUR, BROWSER = uuid4(), uuid4(), uuid4(), uuid4()


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        (talk(customer_id=LAYLA), talk(customer_id=LAYLA), Fit.SAME),
        (talk(customer_id=LAYLA), talk(customer_id=NOUR), Fit.OTHER),
        (talk(customer_id=LAYLA), talk(visitor_id=BROWSER), Fit.UNSURE),
        (talk(visitor_id=BROWSER), talk(visitor_id=BROWSER), Fit.SAME),
        (talk(visitor_id=BROWSER), talk(visitor_id=uuid4()), Fit.UNSURE),
        (talk(channel="email", reply_email="a@x.example"), talk(channel="email", reply_email="a@x.example"), Fit.SAME),
        # Anybody may type anybody's address into a chat.
        (talk(channel="email", reply_email="a@x.example"), talk(reply_email="a@x.example"), Fit.UNSURE),
        (talk(customer_id=LAYLA), talk(customer_id=LAYLA, store_id=uuid4()), Fit.ELSEWHERE),
    ],
)
def test_only_what_surely_is_one_person_is_one_without_asking(
    one: Conversation, other: Conversation, found: Fit
) -> None:
    assert merging.fit(one, other, {}) is found
    assert merging.fit(other, one, {}) is found


def test_profiles_that_were_joined_are_one_person() -> None:
    one, other = talk(customer_id=LAYLA), talk(customer_id=NOUR)
    assert merging.fit(one, other, {NOUR: LAYLA, LAYLA: LAYLA}) is Fit.SAME


async def test_strangers_are_put_together_only_by_whoever_was_told_and_customers_never(
    app: App, workspace: UUID, pair: list[UUID], make_shopper: MakeShopper, noa: Agent
) -> None:
    stranger = await write(app, workspace, await make_shopper(), "I am Layla too")
    with pytest.raises(AhlanError) as refused:
        await merge(app, workspace, pair[0], stranger, by=noa)
    assert refused.value.code == "merge_unsure"
    async with app.db.transaction(workspace) as tx:
        nour = Customer(id=new_id(), name="Nour")
        tx.add(nour)
        await tx.flush()
        await tx.execute(update(Conversation).where(Conversation.id == pair[1]).values(customer_id=nour.id))
    with pytest.raises(AhlanError) as refused:
        await merge(app, workspace, pair[0], pair[1], by=noa, sure=True)
    assert refused.value.code == "merge_people"
    await merge(app, workspace, pair[0], stranger, by=noa, sure=True)
    assert "I am Layla too" in await texts(app, workspace, pair[0])


async def test_a_later_merge_is_undone_first(app: App, workspace: UUID, make_shopper: MakeShopper, noa: Agent) -> None:
    shopper = await make_shopper()
    ids = []
    for number in range(3):
        async with app.db.transaction(workspace) as tx:
            row = Conversation(id=new_id(), store_id=shopper.store_id, visitor_id=shopper.visitor_id, channel="widget")
            tx.add(row)
            await tx.flush()
            bound = Shopper(shopper.visitor_id, shopper.store_id, conversation_id=row.id)
            await messages.receive(tx, bound, uuid4(), str(number))
            ids.append(row.id)
    first = await merge(app, workspace, ids[1], ids[0], by=noa)
    second = await merge(app, workspace, ids[2], ids[1], by=noa)
    async with app.db.transaction(workspace) as tx:
        assert (await _talk(tx, ids[0])).merged_into == ids[2]
    with pytest.raises(Conflict):
        await undo(app, workspace, first, noa)
    await undo(app, workspace, second, noa)
    async with app.db.transaction(workspace) as tx:
        assert (await _talk(tx, ids[0])).merged_into == ids[1]
    await undo(app, workspace, first, noa)
    assert [await texts(app, workspace, id) for id in ids] == [["0"], ["1"], ["2"]]


async def test_calls_and_files_and_letters_come_along_and_go_back(
    app: App, workspace: UUID, pair: list[UUID], noa: Agent, omar: Agent, store: Store
) -> None:
    async with app.db.transaction(workspace) as tx:
        upload = attachments.read("slip.txt", b"a slip")
        saved = await attachments.save(tx, upload, uploader=noa.actor, store_id=store.id)
        note = await messages.note(tx, await _talk(tx, pair[1]), noa, uuid4(), "@Omar look", [UUID(saved["id"])])
        tx.add(Letter(id=new_id(), store_id=store.id, conversation_id=pair[1], incoming=True, external_id="<1@x>",
                      party="layla@x.example"))  # fmt: skip
    join = await merge(app, workspace, pair[0], pair[1], by=noa)

    async def where() -> list[UUID]:
        async with app.db.transaction(workspace) as tx:
            file = await tx.get(attachments.Attachment, UUID(saved["id"]))
            message = await tx.get(Message, UUID(note["id"]))
            assert file is not None
            assert message is not None
            call = (await tx.execute(select(mentions.Mention))).scalar_one()
            assert (call.conversation_id, call.position) == (message.conversation_id, message.position)
            letter = (await tx.scalars(select(Letter))).one()
            return [message.conversation_id, file.conversation_id or uuid4(), letter.conversation_id]

    assert await where() == [pair[0]] * 3
    await undo(app, workspace, join, noa)
    assert await where() == [pair[1]] * 3


async def test_the_end_of_a_thread_becomes_its_own_and_comes_back(
    app: App, workspace: UUID, pair: list[UUID], noa: Agent
) -> None:
    before = await whole(app, workspace, pair[0])
    async with app.db.transaction(workspace) as tx:
        join = await merging.split(tx, pair[0], 2, by=noa, subject="The other parcel")
    assert await texts(app, workspace, pair[0]) == ["0a"]
    assert await texts(app, workspace, join.other_id) == ["0b", "0c"]
    async with app.db.transaction(workspace) as tx:
        part, first = await _talk(tx, join.other_id), await _talk(tx, pair[0])
        assert (part.subject, part.customer_id, part.preview) == ("The other parcel", first.customer_id, "0c")
        assert first.waiting_since is not None, "the answer went with the other part"
        assert part.waiting_since is None
        for id, other in ((first.id, part.id), (part.id, first.id)):
            told = [event for event in await history.happenings(tx, id, since=START) if event.kind.endswith(".split")]
            assert [event.data["other"] for event in told] == [str(other)], "each names the other"
    await undo(app, workspace, join.id, noa)
    after = await whole(app, workspace, pair[0])
    assert after == before


async def test_a_part_brings_back_what_was_written_in_it(
    app: App, workspace: UUID, pair: list[UUID], noa: Agent
) -> None:
    async with app.db.transaction(workspace) as tx:
        join = await merging.split(tx, pair[0], 3, by=noa)
    await answer(app, workspace, join.other_id, noa, "in the part")
    await undo(app, workspace, join.id, noa)
    assert await texts(app, workspace, pair[0]) == ["0a", "0b", "0c", "in the part"]
    async with app.db.transaction(workspace) as tx:
        assert await merging.surviving(tx, join.other_id) == pair[0]


@pytest.mark.parametrize("position", [0, 1, 99])
async def test_both_parts_need_a_message(
    app: App, workspace: UUID, pair: list[UUID], noa: Agent, position: int
) -> None:
    async with app.db.transaction(workspace) as tx:
        with pytest.raises(AhlanError):
            await merging.split(tx, pair[0], position, by=noa)


async def test_other_unfinished_conversations_of_the_same_person_are_offered(
    app: App, workspace: UUID, pair: list[UUID], make_shopper: MakeShopper, noa: Agent
) -> None:
    await write(app, workspace, await make_shopper(), "somebody else")
    async with app.db.transaction(workspace) as tx:
        assert [one.id for one in await merging.twins(tx, await _talk(tx, pair[0]))] == [pair[1]]
        await threads.turn(tx, await _talk(tx, pair[1]), Status.RESOLVED, by=noa)
        assert await merging.twins(tx, await _talk(tx, pair[0])) == []


async def test_whoever_is_blocked_is_kept_as_spam_and_wakes_nobody(
    app: App, workspace: UUID, make_shopper: MakeShopper, noa: Agent
) -> None:
    shopper = await make_shopper()
    id = await write(app, workspace, shopper, "buy my pills")
    async with app.db.transaction(workspace) as tx:
        assert await blocked.block(tx, await _talk(tx, id), Kind.VISITOR, by=noa)
    await write(app, workspace, shopper, "more pills")
    async with app.db.transaction(workspace) as tx:
        row = await _talk(tx, id)
        assert (row.status, row.waiting_since, row.last_seq) == (Status.SPAM, None, 2)
        await tx.execute(update(Conversation).where(Conversation.id == id).values(visitor_id=None))
    fresh = await write(app, workspace, shopper, "a new thread")
    async with app.db.transaction(workspace) as tx:
        assert (await _talk(tx, fresh)).status == Status.SPAM
        row = (await blocked.everybody(tx))[0]
        await blocked.unblock(tx, row.id, by=noa)
        assert not await blocked.is_blocked(tx, visitor_id=shopper.visitor_id)


@pytest.mark.parametrize(
    ("said", "sender", "stopped"),
    [
        ("junk@spam.example", "junk@spam.example", True),
        ("junk@spam.example", "other@spam.example", False),
        ("@spam.example", "anybody@spam.example", True),
        ("spam.example", "anybody@mail.spam.example", True),
        ("spam.example", "anybody@notspam.example", False),
    ],
)
async def test_an_address_or_a_domain_is_blocked(
    app: App, workspace: UUID, noa: Agent, said: str, sender: str, stopped: bool
) -> None:
    async with app.db.transaction(workspace) as tx:
        await blocked.add(tx, said, by=noa)
        assert await blocked.is_blocked(tx, email=sender) is stopped


@pytest.mark.parametrize("said", ["", "@", "gmail.com", "two words", "a@b@c"])
async def test_everybodys_domain_and_what_is_no_address_is_not_blocked(
    app: App, workspace: UUID, noa: Agent, said: str
) -> None:
    async with app.db.transaction(workspace) as tx:
        with pytest.raises(AhlanError):
            await blocked.add(tx, said, by=noa)
