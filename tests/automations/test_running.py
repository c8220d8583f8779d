"""Rules at work: what fires, what is done, what is done once, and what never goes round."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.event import listen, remove

from plugin.app import App
from plugin.automations import automation, running
from plugin.automations.automation import RuleRun
from plugin.automations.rules import Rule
from plugin.conversations import conversations, macros, messages, tags
from plugin.conversations.conversations import TABLE, Conversation, Shopper, Status
from plugin.conversations.macros import Draft as MacroDraft
from plugin.conversations.messages import Message
from plugin.kernel.db import Happening
from plugin.kernel.errors import AhlanError
from plugin.kernel.events import Event
from plugin.kernel.jobs import JobRow
from plugin.knowledge import articles
from plugin.knowledge.articles import Kind
from plugin.team import Agent
from tests.automations.conftest import Says, Write, deed, settle
from tests.conversations.conftest import MakeShopper


async def talk_of(app: App, workspace: UUID, id: UUID) -> Conversation:
    async with app.db.transaction(workspace) as tx:
        found = await tx.get(Conversation, id)
    assert found is not None
    return found


async def tags_of(app: App, workspace: UUID, id: UUID) -> list[str]:
    async with app.db.transaction(workspace) as tx:
        return list((await tags.of_conversations(tx, [id])).get(id, ()))


async def runs_of(app: App, workspace: UUID, id: UUID) -> list[RuleRun]:
    async with app.db.transaction(workspace) as tx:
        found = await automation.of_conversation(tx, id)
    # Sorted stably: events in the order in which they happened, the rules of each in theirs.
    return sorted(found, key=lambda run: run.created_at)


async def said(app: App, workspace: UUID, id: UUID) -> list[Message]:
    async with app.db.transaction(workspace) as tx:
        return await messages.thread(tx, id)


async def test_a_rule_fires_on_a_shoppers_message_and_the_log_says_why(
    app: App, workspace: UUID, shopper: Shopper, write: Write, says: Says
) -> None:
    fires = await write("received", 'says:"torn dress" channel:widget', deed("tag", "Damage"), deed("priority", "high"))
    passed = await write("received", "says:refund", deed("tag", "money"))
    id = await says(shopper, "My TORN dress!")
    await settle(app, workspace)
    talk = await talk_of(app, workspace, id)
    assert (talk.priority, await tags_of(app, workspace, id)) == (2, ["Damage"])
    first, second = await runs_of(app, workspace, id)
    assert (first.rule_id, first.decided, [one["why"] for one in first.done]) == (fires.id, None, ["", ""])
    assert (second.rule_id, second.decided, second.done) == (passed.id, "says:refund", [])
    async with app.db.transaction(workspace) as tx:
        actors = set(
            await tx.scalars(select(Event.actor).where(Event.subject_id == id, Event.kind == "conversation.tagged"))
        )
    assert actors == {f"rule:{fires.id}"}


async def test_rules_go_in_order_know_what_earlier_ones_did_and_one_can_end_it(
    app: App, workspace: UUID, shopper: Shopper, write: Write, says: Says
) -> None:
    await write("received", "", deed("tag", "one"))
    await write("received", "tag:one", deed("tag", "two"), stop=True)
    never = await write("received", "", deed("tag", "three"))
    id = await says(shopper, "hello")
    await settle(app, workspace)
    assert await tags_of(app, workspace, id) == ["one", "two"]
    assert never.id not in {run.rule_id for run in await runs_of(app, workspace, id)}


async def test_what_a_rule_did_is_no_reason_for_another(
    app: App, workspace: UUID, shopper: Shopper, write: Write, says: Says
) -> None:
    await write("received", "", deed("tag", "a"))
    await write("tagged", "", deed("untag", "a"), deed("tag", "b"))
    await write("tagged", "tag:b", deed("tag", "c"))
    id = await says(shopper, "hello")
    await settle(app, workspace)
    assert await tags_of(app, workspace, id) == ["a"]


async def test_a_person_tagging_is_a_reason(
    app: App, workspace: UUID, shopper: Shopper, noa: Agent, write: Write, says: Says
) -> None:
    await write("tagged", "tag:vip", deed("priority", "urgent"))
    id = await says(shopper, "hello")
    async with app.db.transaction(workspace) as tx:
        talk = await tx.get(Conversation, id)
        assert talk is not None
        await tags.put(tx, talk, "VIP", by=noa)
    await settle(app, workspace)
    assert (await talk_of(app, workspace, id)).priority == 3


async def test_the_same_event_twice_does_nothing_twice(
    app: App, workspace: UUID, shopper: Shopper, noa: Agent, write: Write, says: Says
) -> None:
    await write("received", "", deed("tag", "seen"), deed("note", "look here"), deed("reply", en="We are on it"))
    id = await says(shopper, "hello")
    await settle(app, workspace)
    async with app.db.transaction(workspace) as tx:
        talk = await tx.get(Conversation, id)
        assert talk is not None
        await tags.take_off(tx, talk, "seen", by=noa)
        event = await tx.scalar(select(Event.id).where(Event.subject_id == id, Event.kind == "message.received"))
    for _ in range(3):
        async with app.db.transaction(workspace) as tx:
            await running.on_event(app, tx, event)
    assert await tags_of(app, workspace, id) == [], "what a person took off is not put on by a repeated job"
    assert [one.text for one in await said(app, workspace, id)] == ["hello", "look here", "We are on it"]


async def test_a_worker_that_is_killed_before_the_commit_leaves_nothing_and_the_next_does_it_all(
    app: App, workspace: UUID, shopper: Shopper, write: Write, says: Says
) -> None:
    class Killed(BaseException):
        pass

    await write("received", "", deed("tag", "seen"), deed("reply", en="We are on it"))
    id = await says(shopper, "hello")
    async with app.db.transaction(workspace) as tx:
        event = await tx.scalar(select(Event.id).where(Event.subject_id == id, Event.kind == "message.received"))
    with pytest.raises(Killed):
        async with app.db.transaction(workspace) as tx:
            await running.on_event(app, tx, event)
            raise Killed
    assert (await tags_of(app, workspace, id), len(await said(app, workspace, id))) == ([], 1)
    await settle(app, workspace)
    assert (await tags_of(app, workspace, id), len(await said(app, workspace, id))) == (["seen"], 2)


async def test_history_that_an_import_brings_is_no_reason(
    app: App, workspace: UUID, shopper: Shopper, write: Write, says: Says
) -> None:
    await write("resolved", "", deed("tag", "done"))
    id = await says(shopper, "hello")
    await settle(app, workspace)
    async with app.db.transaction(workspace) as tx:
        await tx.record_many([Happening("conversation.resolved", id, datetime.now(UTC), quiet=True)])
        event = await tx.scalar(select(Event.id).where(Event.subject_id == id, Event.kind == "conversation.resolved"))
    await settle(app, workspace)
    async with app.db.transaction(workspace) as tx:
        assert await running.on_event(app, tx, event) == []
    assert await tags_of(app, workspace, id) == []


async def test_rules_of_another_workspace_are_not_asked(
    app: App, workspace: UUID, other_workspace: UUID, shopper: Shopper, write: Write, says: Says
) -> None:
    rule = await write("received", "", deed("tag", "ours"))
    id = await says(shopper, "hello")
    async with app.db.transaction(workspace) as tx:
        event = await tx.scalar(select(Event.id).where(Event.subject_id == id, Event.kind == "message.received"))
    async with app.db.transaction(other_workspace) as tx:
        assert await running.on_event(app, tx, event) == []
        assert rule.id not in {one.id for one in await automation.all_rules(tx)}
        assert await tx.get(automation.RuleRow, rule.id) is None


async def test_one_event_costs_a_handful_of_statements_however_many_rules_there_are(
    app: App, workspace: UUID, shopper: Shopper, write: Write, says: Says
) -> None:
    for number in range(40):
        await write("received", f"says:nothing{number}", deed("tag", f"t{number}"))
    id = await says(shopper, "hello")
    async with app.db.transaction(workspace) as tx:
        event = await tx.scalar(select(Event.id).where(Event.subject_id == id, Event.kind == "message.received"))
        sent: list[str] = []
        cursors = app.db.app.sync_engine
        count = lambda connection, cursor, statement, *rest: sent.append(statement)  # noqa: E731
        listen(cursors, "before_cursor_execute", count)
        try:
            assert len(await running.on_event(app, tx, event)) == 40
        finally:
            remove(cursors, "before_cursor_execute", count)
    assert len(sent) == 2, "everything that is known with every rule, and the log"


# Answers


async def test_an_answer_goes_out_once_in_the_shoppers_language_and_nobody_stops_waiting(
    app: App, workspace: UUID, make_shopper: MakeShopper, write: Write, says: Says
) -> None:
    await write("started", "", deed("reply", en="Hello {{ customer.first_name | there }}", ar="مرحبا", he="שלום"))
    await write("received", "", deed("reply", en="a second answer"))
    id = await says(await make_shopper(), "أين طلبي؟")
    await settle(app, workspace)
    thread = await said(app, workspace, id)
    assert [(one.author, one.text) for one in thread] == [("shopper", "أين طلبي؟"), ("bot", "مرحبا")]
    talk = await talk_of(app, workspace, id)
    assert (talk.status, talk.first_replied_at) == ("open", None)
    assert talk.waiting_since is not None
    second = (await runs_of(app, workspace, id))[1]
    assert [one["why"] for one in second.done] == ["answered"]


async def test_an_answer_with_a_name_that_nobody_knows_is_not_sent_and_the_log_says_which(
    app: App, workspace: UUID, shopper: Shopper, write: Write, says: Says
) -> None:
    await write("received", "", deed("reply", en="Order {{ order.number }} is on its way, {{ agent.name }}"))
    await write("received", "", deed("reply", en="We are on it"))
    id = await says(shopper, "where is it")
    await settle(app, workspace)
    assert [one.text for one in await said(app, workspace, id)] == ["where is it", "We are on it"]
    done = (await runs_of(app, workspace, id))[0].done
    assert (done[0]["why"], done[0]["detail"]) == ("missing", "order.number, agent.name")


async def test_a_snippet_is_said_in_the_conversations_language_or_not_at_all(
    app: App, workspace: UUID, boss: Agent, make_shopper: MakeShopper, write: Write, says: Says
) -> None:
    async with app.db.transaction(workspace) as tx:
        made = await articles.create(tx, boss.id, Kind.SNIPPET, "en")
        await articles.write(tx, made, "en", "Opening hours", "From 9 to 5.", by=boss.id)
        await articles.publish(tx, made, "en", by=boss)
    say = "{{ snippet.opening-hours }}"
    await write("started", "", deed("reply", en=f"Hello. {say}", ar=f"مرحبا. {say}"))
    with pytest.raises(AhlanError):
        await write("received", "", deed("reply", en="{{ snippet.nobody-wrote }}"))
    english, arabic = await says(await make_shopper(), "hello"), await says(await make_shopper(), "مرحبا، أين طلبي؟")
    await settle(app, workspace)
    assert [one.text for one in await said(app, workspace, english)] == ["hello", "Hello. From 9 to 5."]
    assert len(await said(app, workspace, arabic)) == 1, "nobody reads it before it goes"
    done = (await runs_of(app, workspace, arabic))[0].done
    assert (done[0]["why"], done[0]["detail"]) == ("missing", "snippet.opening-hours")


async def test_a_macro_is_sent_while_it_is_the_teams(
    app: App, workspace: UUID, boss: Agent, shopper: Shopper, write: Write, says: Says
) -> None:
    async with app.db.transaction(workspace) as tx:
        macro = await macros.write(tx, boss, MacroDraft("Busy", {"en": "All are busy", "he": "כולם עסוקים"}, (), True))
    await write("received", "", deed("reply", str(macro.id)))
    id = await says(shopper, "hello?")
    await settle(app, workspace)
    async with app.db.transaction(workspace) as tx:
        await macros.archive(tx, boss, await macros.find(tx, boss, macro.id))
    await says(shopper, "hello again")
    await settle(app, workspace)
    assert [one.text for one in await said(app, workspace, id)] == ["hello?", "All are busy", "hello again"]
    assert (await runs_of(app, workspace, id))[-1].done[0]["why"] == "gone"


async def test_no_conversation_gets_more_than_a_days_worth_of_answers(
    app: App, workspace: UUID, shopper: Shopper, write: Write, says: Says
) -> None:
    await write("received", "", deed("reply", en="I am a machine"))
    for number in range(running.AUTOMATIC_A_DAY + 3):
        id = await says(shopper, f"so am I {number}")
        await settle(app, workspace)
    assert sum(one.author == "bot" for one in await said(app, workspace, id)) == running.AUTOMATIC_A_DAY
    assert (await runs_of(app, workspace, id))[-1].done[0]["why"] == "often"


async def test_a_mere_thank_you_stays_resolved_and_a_question_does_not(
    app: App, workspace: UUID, noa: Agent, shopper: Shopper, write: Write, says: Says
) -> None:
    await write("received", 'before:resolved only:"thank you,thanks,so much"', deed("status", "resolved"), stop=True)
    id = await says(shopper, "hello")

    async def resolved_then(words: str) -> str:
        async with app.db.transaction(workspace) as tx:
            talk = await tx.get(Conversation, id)
            assert talk is not None
            await conversations.turn(tx, talk, Status.RESOLVED, by=noa)
        await says(shopper, words)
        await settle(app, workspace)
        return (await talk_of(app, workspace, id)).status

    assert await resolved_then("Thank you! Thanks so much") == "resolved"
    assert await resolved_then("Thank you! Where is the other one?") == "open"


async def test_people_are_given_work_called_and_told_and_who_left_is_passed_over(
    app: App, workspace: UUID, noa: Agent, omar: Agent, shopper: Shopper, write: Write, says: Says
) -> None:
    await write("started", "", deed("assign", str(noa.id)), deed("notify", str(omar.id)), deed("snooze", "3"))
    await write("received", "", deed("assign", str(omar.id)))
    async with app.db.transaction(workspace) as tx:
        gone = await tx.get(Agent, omar.id)
        assert gone is not None
        gone.deactivated_at = datetime.now(UTC)
    id = await says(shopper, "hello")
    await settle(app, workspace)
    talk = await talk_of(app, workspace, id)
    assert (talk.assignee_id, talk.status) == (noa.id, "snoozed")
    first, second = await runs_of(app, workspace, id)
    assert [one["why"] for one in first.done] == ["", "gone", ""]
    assert [one["why"] for one in second.done] == ["gone"]


# Time


async def age(app: App, workspace: UUID, id: UUID, **ages: timedelta) -> None:
    async with app.db.transaction(workspace) as tx:
        values = {name: TABLE.c[name] - span for name, span in ages.items()}
        await tx.execute(update(TABLE).where(TABLE.c.id == id).values(**values))
        seconds = max(ages.values()).total_seconds()
        await tx.execute(
            text("UPDATE messages SET created_at = created_at - make_interval(secs => :s) WHERE conversation_id = :id"),
            {"s": seconds, "id": id},
        )
        await tx.execute(text("UPDATE rules SET since = now() - interval '30 days'"))


async def test_a_wait_that_gets_too_long_is_told_once_and_a_new_wait_anew(
    app: App, workspace: UUID, noa: Agent, shopper: Shopper, write: Write, says: Says
) -> None:
    await write("waits", "priority:<high", deed("priority", "high"), deed("note", "waits"), after=timedelta(hours=1))
    id = await says(shopper, "hello?")
    await _watch(app, workspace)
    assert (await talk_of(app, workspace, id)).priority == 1
    await age(app, workspace, id, waiting_since=timedelta(hours=2), active_at=timedelta(hours=2))
    for _ in range(2):
        await _watch(app, workspace)
    assert (await talk_of(app, workspace, id)).priority == 2
    assert sum(one.kind == "note" for one in await said(app, workspace, id)) == 1


async def test_silence_of_the_customer_is_followed_up_then_resolved(
    app: App, workspace: UUID, noa: Agent, shopper: Shopper, write: Write, says: Says
) -> None:
    follow = deed("reply", en="Is there anything else?")
    await write("silent", "status:pending", follow, deed("tag", "followed up"), after=timedelta(days=2))
    await write("silent", 'status:pending tag:"followed up"', deed("status", "resolved"), after=timedelta(days=3))
    id = await says(shopper, "hello")
    async with app.db.transaction(workspace) as tx:
        talk = await tx.get(Conversation, id)
        assert talk is not None
        await messages.reply(tx, talk, noa, uuid4(), "Which order is it?")
        await conversations.turn(tx, talk, Status.PENDING, by=noa)
    await settle(app, workspace)
    await age(app, workspace, id, active_at=timedelta(days=2, hours=1))
    for _ in range(2):
        await _watch(app, workspace)
    assert [one.text for one in await said(app, workspace, id)][2:] == ["Is there anything else?"]
    assert (await talk_of(app, workspace, id)).status == "pending"
    await age(app, workspace, id, active_at=timedelta(days=3, hours=1))
    await _watch(app, workspace)
    assert (await talk_of(app, workspace, id)).status == "resolved"


async def test_a_conversation_that_was_put_to_the_customers_turn_without_a_word_falls_silent_too(
    app: App, workspace: UUID, noa: Agent, shopper: Shopper, write: Write, says: Says
) -> None:
    await write("silent", "status:pending", deed("status", "resolved"), after=timedelta(days=4))
    id = await says(shopper, "I will send the photo tomorrow")
    async with app.db.transaction(workspace) as tx:
        talk = await tx.get(Conversation, id)
        assert talk is not None
        await conversations.turn(tx, talk, Status.PENDING, by=noa)
    await age(app, workspace, id, active_at=timedelta(days=4, hours=1))
    await _watch(app, workspace)
    assert (await talk_of(app, workspace, id)).status == "resolved"


async def test_many_that_are_due_are_all_looked_at_and_what_is_not_due_after_all_holds_up_nobody(
    app: App, workspace: UUID, make_shopper: MakeShopper, write: Write, says: Says, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "_BATCH", 2)
    await write("waits", "", deed("tag", "late"), after=timedelta(hours=1))
    ids = [await says(await make_shopper(), f"hello {number}") for number in range(5)]
    await settle(app, workspace)
    for id in ids:
        await age(app, workspace, id, waiting_since=timedelta(hours=2), active_at=timedelta(hours=2))
    listens = Rule.listens
    monkeypatch.setattr(Rule, "listens", lambda rule, known: known.conversation_id != ids[0] and listens(rule, known))
    await _watch(app, workspace)
    assert [await tags_of(app, workspace, id) for id in ids] == [[], *[["late"]] * 4]


async def test_switching_a_rule_of_time_on_touches_nothing_that_is_old(
    app: App, workspace: UUID, shopper: Shopper, write: Write, says: Says
) -> None:
    id = await says(shopper, "hello?")
    await age(app, workspace, id, waiting_since=timedelta(days=3), active_at=timedelta(days=3))
    await write("waits", "", deed("tag", "old"), after=timedelta(hours=1))
    await _watch(app, workspace)
    assert await tags_of(app, workspace, id) == []


async def test_nobody_looks_at_the_clock_where_nothing_can_come_due(app: App, workspace: UUID, write: Write) -> None:
    await write("waits", "", deed("tag", "late"), after=timedelta(hours=1))
    for _ in range(3):
        await _watch(app, workspace)
    async with app.db.transaction(workspace) as tx:
        waiting = await tx.scalar(select(func.count()).where(JobRow.task == "watch_rules", JobRow.done_at.is_(None)))
    assert waiting == 0


async def _watch(app: App, workspace: UUID) -> None:
    """The round that stands in the table, now."""
    async with app.db.transaction(workspace) as tx:
        await tx.execute(
            update(JobRow).where(JobRow.task == "watch_rules", JobRow.done_at.is_(None)).values(run_at=func.now())
        )
    await settle(app, workspace)
