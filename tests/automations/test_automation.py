"""The list of rules: what may be one, order, on and off, copies, deletion and its undo, the set of a new workspace."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from plugin.app import App
from plugin.automations import automation, starters
from plugin.automations.automation import Draft
from plugin.kernel import jobs
from plugin.kernel.errors import AhlanError, NotFound
from plugin.kernel.jobs import JobRow
from plugin.reactions import TASKS
from plugin.team import Agent, AuditEntry
from tests.automations.conftest import Write, deed, draft


async def order(app: App, workspace: UUID) -> list[str]:
    async with app.db.transaction(workspace) as tx:
        return [row.name for row in await automation.all_rules(tx)]


async def kinds(app: App, workspace: UUID) -> list[str]:
    async with app.db.transaction(workspace) as tx:
        return list(await tx.scalars(select(AuditEntry.kind).order_by(AuditEntry.id)))


async def test_rules_are_moved_switched_copied_deleted_and_brought_back_and_each_is_written_down(
    app: App, workspace: UUID, boss: Agent, write: Write
) -> None:
    rows = [await write("received", "", deed("tag", name), name=name) for name in ("a", "b", "c")]
    async with app.db.transaction(workspace) as tx:
        c = await automation.find(tx, rows[2].id)
        await automation.move(tx, c, -1, by=boss)
        await automation.switch(tx, c, False, by=boss)
        await automation.duplicate(tx, await automation.find(tx, rows[0].id), "a again", by=boss)
    assert await order(app, workspace) == ["a", "a again", "c", "b"]
    async with app.db.transaction(workspace) as tx:
        await automation.move(tx, await automation.find(tx, rows[0].id), -1, by=boss)
        await automation.remove(tx, await automation.find(tx, rows[2].id), by=boss)
    assert await order(app, workspace) == ["a", "a again", "b"]
    async with app.db.transaction(workspace) as tx:
        with pytest.raises(NotFound):
            await automation.find(tx, rows[2].id)
        await automation.restore(tx, await automation.find(tx, rows[2].id, deleted=True), by=boss)
    assert await order(app, workspace) == ["a", "a again", "c", "b"], "where it was"
    made = ["settings.rule_made"] * 3
    assert await kinds(app, workspace) == [
        *made, "settings.rule_moved", "settings.rule_off", "settings.rule_made", "settings.rule_deleted",
        "settings.rule_restored",
    ]  # fmt: skip


WRONG = {
    "rule_name": draft("received", "", deed("tag", "x"), name=" "),
    "rule_after": draft("waits", "", deed("tag", "x")),
    "rule_condition": draft("rated", "says:refund", deed("tag", "x")),
    "rule_empty": draft("received", ""),
    "rule_deeds": draft("received", "", *(deed("tag", f"t{at}") for at in range(11))),
    "rule_replies": draft("received", "", deed("reply", en="a"), deed("reply", en="b")),
}


@pytest.mark.parametrize("code", WRONG)
async def test_what_is_no_rule_is_told(app: App, workspace: UUID, boss: Agent, code: str) -> None:
    async with app.db.transaction(workspace) as tx:
        with pytest.raises(AhlanError) as error:
            await automation.save(tx, WRONG[code], by=boss)
    assert error.value.code == code


@pytest.mark.parametrize(
    "wrong",
    [
        deed("tag"), deed("priority", "soon"), deed("status", "gone"), deed("snooze", "-1"), deed("snooze", "99999"),
        deed("assign", "nobody"), deed("assign", str(uuid4())), deed("notify"), deed("team", str(uuid4())),
        deed("note", " "), deed("field", "size=42"), deed("reply"), deed("reply", str(uuid4())),
        deed("reply", en="Dear {{ customer.secret }}"),
    ],
)  # fmt: skip
async def test_what_cannot_be_done_is_told(app: App, workspace: UUID, boss: Agent, wrong: object) -> None:
    async with app.db.transaction(workspace) as tx:
        with pytest.raises(AhlanError):
            await automation.save(tx, draft("received", "", wrong), by=boss)


async def test_there_are_a_hundred_rules_at_most(app: App, workspace: UUID, boss: Agent, write: Write) -> None:
    first = await write("received", "", deed("tag", "x"))
    async with app.db.transaction(workspace) as tx:
        for at in range(automation.MOST - 1):
            tx.add(automation.RuleRow(position=at + 1, name=f"{at}", event="received", conditions="", actions=[]))
        await tx.flush()
        for attempt in (
            automation.save(tx, draft("received", "", deed("tag", "x")), by=boss),
            automation.duplicate(tx, await automation.find(tx, first.id), "copy", by=boss),
        ):
            with pytest.raises(AhlanError) as error:
                await attempt
            assert error.value.code == "rules_full"


@pytest.mark.parametrize("locale", ["en", "ar", "he"])
async def test_the_starter_set_is_made_of_rules_and_writes_to_nobody(
    app: App, workspace: UUID, boss: Agent, write: Write, locale: str
) -> None:
    drafts = starters.starters(app.catalogues.translator(locale))
    async with app.db.transaction(workspace) as tx:
        for one in drafts:
            kept = await automation.save(tx, one, by=boss)
            assert kept.draft() == Draft(one.name, one.trigger, one.terms, one.deeds, one.stop, one.after)
    assert not {one.do for each in drafts for one in each.deeds} & {"reply", "note", "notify"}
    assert len({one.name for one in drafts}) == len(drafts)


async def test_a_new_workspace_begins_with_the_set_once(app: App, other_workspace: UUID) -> None:
    await jobs.drain(app.db, app, TASKS, workspace_id=other_workspace)
    names = await order(app, other_workspace)
    assert names[0] == "A mere thank-you opens nothing again"
    assert len(names) > 8
    async with app.db.transaction(other_workspace) as tx:
        assert all(row.enabled for row in await automation.all_rules(tx))
        assert await starters.plant(tx, app.catalogues) == 0
        watching = select(JobRow.task).where(JobRow.task == "watch_rules", JobRow.done_at.is_(None))
        assert list(await tx.scalars(watching)) == ["watch_rules"]


async def test_changing_a_rule_of_time_begins_its_time_anew(
    app: App, workspace: UUID, boss: Agent, write: Write
) -> None:
    row = await write("waits", "", deed("tag", "x"), after=timedelta(hours=1))
    async with app.db.transaction(workspace) as tx:
        again = await automation.find(tx, row.id)
        await automation.save(tx, draft("waits", "", deed("tag", "x"), after=timedelta(hours=2)), again, by=boss)
    assert (again.after, again.since > row.since) == (120, True)
