"""Rules at work: after what happened, and after time has passed.

What was decided, what was done and that it was done commit together, and the log holds each rule at most once for an
event: a killed worker and a job that runs twice repeat nothing. What a rule did is no reason for another rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import text, update

from plugin import workspaces
from plugin.app import App
from plugin.automations import automation, facts, rules
from plugin.automations.automation import RUNS, RuleRow
from plugin.automations.facts import RULE, Known
from plugin.automations.rules import TIMED, Deed, Do, Held, Outcome, Planned, Rule, Trigger
from plugin.conversations import conversations as threads
from plugin.conversations import fields, filling, macros, messages, tags, wording
from plugin.conversations.conversations import ByRule, Conversation, Head, Priority, Status
from plugin.conversations.macros import Macro
from plugin.conversations.teams import Team
from plugin.kernel.db import Tx
from plugin.kernel.errors import AhlanError
from plugin.kernel.i18n import Translator
from plugin.kernel.lazy import _
from plugin.knowledge import snippets
from plugin.stores import Store
from plugin.team import Agent, Permission

AUTOMATIC_A_DAY = 5
"""Answers by rules that one conversation, or one address, gets in 24 hours (RFC 3834, 2: not for every message)."""
_MAILS_A_DAY = 20

_BATCH = 200
_LATE = timedelta(days=7)
_OFTEN, _SELDOM = 60, 600


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one deed: done, or held with why, and what was missing."""

    deed: Deed
    held: Held | None = None
    detail: str = ""

    def kept(self) -> dict[str, str]:
        """As the log keeps it; a text that was sent stands in the conversation."""
        value = self.deed.value if self.deed.do is not Do.NOTE else ""
        return {"do": self.deed.do.value, "value": value, "why": self.held or "", "detail": self.detail}


# After an event


async def apply_rules(app: App, workspace_id: UUID, *, event_id: str, subject_id: str) -> None:
    """Task, after what rules can listen to: ask them in their order, and do what they say, once."""
    async with app.db.transaction(workspace_id) as tx:
        await on_event(app, tx, UUID(event_id))
        await tx.complete_job()


async def on_event(app: App, tx: Tx, event_id: UUID) -> list[Outcome]:
    """Ask the rules about one event. Returns what came of those that listened and had not been asked before."""
    asked = await facts.of_event(tx, event_id)
    if asked is None or asked.known.actor.startswith(RULE) or asked.known.history:
        return []
    if any(rule.trigger in TIMED for rule in asked.rules):
        await automation.watch(tx)
    outcomes = rules.decide(asked.rules, asked.known.facts)
    key = str(event_id)
    if not any(outcome.acts for outcome in outcomes):
        await automation.note_runs(tx, [_row(asked.known, outcome, key) for outcome in outcomes])
        return outcomes
    # Whoever writes meanwhile waits, and what was decided on is looked at again.
    await threads.lock(tx, asked.known.facts.conversation_id)
    asked = await facts.of_event(tx, event_id)
    return await _ask_all(app, tx, asked.rules, asked.known, key) if asked is not None else []


async def _ask_all(app: App, tx: Tx, every: Sequence[Rule], known: Known, key: str) -> list[Outcome]:
    """The same as `rules.decide`, with what was really done known to the rules behind."""
    now, found, passed = known.facts, list[Outcome](), list[dict[str, Any]]()
    for rule in every:
        if not rule.listens(now):
            continue
        outcome, after = rules.ask(rule, now)
        found.append(outcome)
        if not outcome.acts:
            passed.append(_row(known, outcome, key))
            continue
        if await automation.note_runs(tx, [_row(known, outcome, key)]):
            done = await _perform(app, tx, known, outcome)
            await _write_done(tx, known, rule, key, done)
            answered = any(one.deed.do is Do.REPLY and one.held in (None, Held.ANSWERED) for one in done)
            after = replace(after, replied=now.replied or answered)
        now = after
        if rule.stop:
            break
    await automation.note_runs(tx, passed)
    return found


def _row(known: Known, outcome: Outcome, key: str) -> dict[str, Any]:
    return {
        "rule_id": outcome.rule.id,
        "conversation_id": known.facts.conversation_id,
        "event": outcome.rule.trigger.value,
        "event_key": key,
        "decided": None if outcome.decided is None else str(outcome.decided),
        "done": [],
    }


async def _write_done(tx: Tx, known: Known, rule: Rule, key: str, done: Sequence[Result]) -> None:
    await tx.execute(
        update(RUNS)
        .where(
            RUNS.c.workspace_id == tx.workspace_id,
            RUNS.c.conversation_id == known.facts.conversation_id,
            RUNS.c.event_key == key,
            RUNS.c.rule_id == rule.id,
        )
        .values(done=[one.kept() for one in done])
    )
    tx.publish(f"panel:conversation:{known.facts.conversation_id}", {"type": "assigned"})


# After time has passed


_DUE = {
    Trigger.WAITS: "c.status = 'open' AND c.waiting_since BETWEEN :earliest AND :latest",
    Trigger.SILENT: "c.status IN ('open', 'pending') AND c.waiting_since IS NULL "
    "AND c.active_at BETWEEN :earliest AND :latest",
}
# Since which message of a person: what a rule says meanwhile begins no new wait.
_ANCHOR = """
(SELECT CAST(:trigger AS text) || ' ' || n.id FROM messages n
    WHERE n.workspace_id = c.workspace_id AND n.conversation_id = c.id AND n.seq IS NOT NULL
        AND n.author IN ('shopper', 'agent') {which} ORDER BY n.seq {order} LIMIT 1)
"""
_ANCHORS = {
    Trigger.WAITS: _ANCHOR.format(which="AND n.created_at >= c.waiting_since", order="ASC"),
    Trigger.SILENT: _ANCHOR.format(which="", order="DESC"),
}
_CANDIDATES = {
    trigger: text(f"""
        SELECT c.id, k.key FROM conversations c CROSS JOIN LATERAL (SELECT {_ANCHORS[trigger]} AS key) k
        WHERE c.workspace_id = :workspace AND {which} AND k.key IS NOT NULL AND c.id > :behind
            AND NOT EXISTS (SELECT FROM rule_runs r WHERE r.workspace_id = c.workspace_id
                AND r.conversation_id = c.id AND r.event_key = k.key AND r.rule_id = :rule)
        ORDER BY c.id LIMIT :limit
    """)  # noqa: S608 - constants of ours only
    for trigger, which in _DUE.items()
}
_LEFT = text("""
SELECT EXISTS (SELECT FROM conversations WHERE workspace_id = :workspace AND waiting_since IS NOT NULL
        AND status = 'open' AND active_at > now() - CAST(:longest AS interval))
    OR EXISTS (SELECT FROM conversations WHERE workspace_id = :workspace AND status IN ('open', 'pending')
        AND waiting_since IS NULL AND active_at > now() - CAST(:longest AS interval))
""")


async def watch_rules(app: App, workspace_id: UUID, idle: bool = False) -> None:
    """Task, while a rule of time is on and a conversation may come to be due: do what has become due.

    It ends when twice in a row nothing was left: what is committed while it looks is seen the second time.
    """
    async with app.db.transaction(workspace_id) as tx:
        timed = [row for row in await automation.all_rules(tx) if row.enabled and row.event in TIMED]
    for row in timed:
        await _look(app, workspace_id, row)
    async with app.db.transaction(workspace_id) as tx:
        # First, so that the next round may stand in the table beside this one.
        await tx.complete_job()
        if not timed:
            return
        spans = [timedelta(minutes=row.after or 0) for row in timed]
        bound = {"workspace": workspace_id, "longest": max(spans) + _LATE}
        left = bool(await tx.scalar(_LEFT, bound))
        if left or not idle:
            often = min(spans) < timedelta(hours=1)
            await tx.enqueue(
                "watch_rules", delay=_OFTEN if often or not left else _SELDOM, unique="watch_rules",
                **({} if left else {"idle": True}),
            )  # fmt: skip


async def _look(app: App, workspace_id: UUID, row: RuleRow) -> None:
    rule = row.rule()
    assert rule.after is not None
    latest = datetime.now(UTC) - rule.after
    bound = {
        "workspace": workspace_id,
        "rule": rule.id,
        "trigger": rule.trigger.value,
        # What came due before the rule was there, or while nobody worked for a week, is left alone.
        "earliest": max(row.since - rule.after, latest - _LATE),
        "latest": latest,
        "limit": _BATCH,
        "behind": UUID(int=0),
    }
    while True:
        async with app.db.transaction(workspace_id) as tx:
            found = (await tx.execute(_CANDIDATES[rule.trigger], bound)).all()
        for one in found:
            # One by one: whoever writes meanwhile waits for one conversation, not for all.
            async with app.db.transaction(workspace_id) as tx:
                await on_time(app, tx, rule, one.id, one.key)
        if len(found) < _BATCH:
            return
        # Onwards: one that is not due after all must not be looked at for ever.
        bound["behind"] = found[-1].id


async def on_time(app: App, tx: Tx, rule: Rule, conversation_id: UUID, key: str) -> Outcome | None:
    """Ask one rule of time about one conversation, once a wait. None where it is no longer due, or was asked before."""
    await threads.lock(tx, conversation_id)
    known = await facts.of_moment(tx, conversation_id)
    if known is None or not rule.listens(known.facts):
        return None
    outcome, _after = rules.ask(rule, known.facts)
    if not await automation.note_runs(tx, [_row(known, outcome, key)]):
        return None
    if outcome.acts:
        await _write_done(tx, known, rule, key, await _perform(app, tx, known, outcome))
    return outcome


# What is done


async def _perform(app: App, tx: Tx, known: Known, outcome: Outcome) -> list[Result]:
    """Do what a rule says. The caller holds the conversation. What cannot be done is told and holds up nothing else."""
    talk = await tx.get(Conversation, known.facts.conversation_id)
    assert talk is not None
    await tx.session.refresh(talk)
    by = ByRule(outcome.rule.id, outcome.rule.name)
    found = []
    for planned in outcome.planned:
        found.append(await _do(app, tx, known, talk, planned, by))
        await tx.session.refresh(talk)
    return found


async def _do(app: App, tx: Tx, known: Known, talk: Conversation, planned: Planned, by: ByRule) -> Result:
    deed = planned.deed
    if planned.held is not None:
        return Result(deed, planned.held)
    try:
        return await _VERBS[deed.do](app, tx, known, talk, deed, by)
    except AhlanError as error:
        full = error.code == "tags_full"
        return Result(deed, Held.FULL if full else Held.WRONG, "" if full else str(error.message))


async def _tag(app: App, tx: Tx, known: Known, talk: Conversation, deed: Deed, by: ByRule) -> Result:
    return _news(deed, await tags.put(tx, talk, deed.value, by=by))


async def _untag(app: App, tx: Tx, known: Known, talk: Conversation, deed: Deed, by: ByRule) -> Result:
    return _news(deed, await tags.take_off(tx, talk, deed.value, by=by))


async def _field(app: App, tx: Tx, known: Known, talk: Conversation, deed: Deed, by: ByRule) -> Result:
    name, _equals, said = deed.value.partition("=")
    every = {field.key: field for field in await fields.all_fields(tx)}
    field = every.get(fields.folded(name))
    if field is None:
        return Result(deed, Held.GONE)
    return _news(deed, await fields.fill(tx, talk, field, said, by=by))


async def _priority(app: App, tx: Tx, known: Known, talk: Conversation, deed: Deed, by: ByRule) -> Result:
    return _news(deed, await threads.rank(tx, talk, Priority[deed.value.upper()], by=by))


async def _assign(app: App, tx: Tx, known: Known, talk: Conversation, deed: Deed, by: ByRule) -> Result:
    to = await _agent(tx, deed.value)
    if deed.value and to is None:
        return Result(deed, Held.GONE)
    if talk.assignee_id == (to.id if to else None):
        return Result(deed, Held.ALREADY)
    await threads.assign(tx, talk, to, by=by, seen=talk.assignee_id)
    return Result(deed)


async def _team(app: App, tx: Tx, known: Known, talk: Conversation, deed: Deed, by: ByRule) -> Result:
    """A conversation is a team's by the team's own tag; who of it gets it is then the team's way of giving."""
    with suppress(ValueError):
        team = await tx.get(Team, UUID(deed.value))
        if team is not None and team.skills:
            news = await tags.put(tx, talk, team.skills[0], by=by)
            await tx.enqueue("give_conversation", conversation_id=talk.id)
            return _news(deed, news)
    return Result(deed, Held.GONE)


async def _note(app: App, tx: Tx, known: Known, talk: Conversation, deed: Deed, by: ByRule) -> Result:
    return _news(deed, await _wrote_note(tx, known, talk, deed, by, deed.value, ()))


async def _notify(app: App, tx: Tx, known: Known, talk: Conversation, deed: Deed, by: ByRule) -> Result:
    agent = await _agent(tx, deed.value)
    if agent is None:
        return Result(deed, Held.GONE)
    workspace = await workspaces.current(tx)
    words = app.catalogues.translator(agent.locale or (workspace.locale if workspace else ""))
    body = words.gettext(
        _("@%(name)s, please look at this (the rule %(rule)s)"), name=agent.name, rule=words.quoted(by.name)
    )
    return _news(deed, await _wrote_note(tx, known, talk, deed, by, body, (agent,)))


async def _wrote_note(
    tx: Tx, known: Known, talk: Conversation, deed: Deed, by: ByRule, body: str, calls: Sequence[Agent]
) -> bool:
    # The same rule may note something else at another time: what it was about is in the name.
    about = f"note {known.event_id or known.at.isoformat()} {deed.do} {deed.value}"
    head = await _head(tx, talk)
    return await messages.note_by_rule(tx, head, uuid5(by.id, about), body, by=by, calls=calls) is not None


async def _status(app: App, tx: Tx, known: Known, talk: Conversation, deed: Deed, by: ByRule) -> Result:
    return _news(deed, await threads.turn(tx, talk, Status(deed.value), by=by))


async def _snooze(app: App, tx: Tx, known: Known, talk: Conversation, deed: Deed, by: ByRule) -> Result:
    until = datetime.now(UTC) + timedelta(hours=int(deed.value))
    return _news(deed, await threads.turn(tx, talk, Status.SNOOZED, by=by, until=until))


async def _reply(app: App, tx: Tx, known: Known, talk: Conversation, deed: Deed, by: ByRule) -> Result:
    """Answer in the conversation's language; with a name that nobody knows nothing is sent."""
    said = deed.texts
    if deed.value:
        macro = await tx.get(Macro, UUID(deed.value))
        if macro is None or macro.agent_id is not None or macro.archived_at is not None:
            return Result(deed, Held.GONE)
        said = macro.texts
    workspace = await workspaces.current(tx)
    code = macros.in_language(said, known.locale, workspace.locale if workspace else "")
    if not code:
        return Result(deed, Held.NO_TEXT)
    values = await filling.values(tx, talk, None, await _speaker(app, tx, talk, code))
    # Nobody reads it before it is sent: a snippet in another language is none.
    used = await snippets.named(tx, wording.snippets(said[code]), talk.store_id, code, across=False)
    texts = {f"{wording.SNIPPET}{name}": one.words for name, one in used.items()}
    filled = wording.fill(said[code], {**values, **texts})
    if filled.missing:
        return Result(deed, Held.MISSING, ", ".join(filled.missing))
    if await _too_often(tx, talk):
        return Result(deed, Held.OFTEN)
    if await messages.answer_by_rule(tx, await _head(tx, talk), filled.text, by=by) is None:
        return Result(deed, Held.ANSWERED)
    return Result(deed)


async def _speaker(app: App, tx: Tx, talk: Conversation, code: str) -> Translator:
    store = await tx.get(Store, talk.store_id) if talk.store_id else None
    return app.catalogues.translator(code, timezone=store.timezone if store is not None else "UTC")


# A machine that does not say that it is one answers every answer: by then it has had a day's worth.
_AUTOMATIC = text("""
SELECT (SELECT count(*) FROM messages m WHERE m.workspace_id = :workspace AND m.conversation_id = :conversation
        AND m.author = 'bot' AND m.data ? 'rule' AND m.seq IS NOT NULL AND m.created_at > now() - interval '1 day')
    AS here,
    (SELECT count(*) FROM mail_letters l WHERE l.workspace_id = :workspace AND l.store_id = :store
        AND l.party = :party AND l.party <> '' AND NOT l.incoming AND l.created_at > now() - interval '1 day') AS mails
""")


async def _too_often(tx: Tx, talk: Conversation) -> bool:
    row = (
        await tx.execute(
            _AUTOMATIC,
            {
                "workspace": tx.workspace_id, "conversation": talk.id, "store": talk.store_id,
                "party": talk.reply_email if talk.channel == threads.EMAIL else "",
            },
        )
    ).one()  # fmt: skip
    return bool(row.here >= AUTOMATIC_A_DAY or row.mails >= _MAILS_A_DAY)


async def _head(tx: Tx, talk: Conversation) -> Head:
    head = await threads.lock(tx, talk.id)
    assert head is not None
    return head


async def _agent(tx: Tx, value: str) -> Agent | None:
    if not value:
        return None
    with suppress(ValueError):
        agent = await tx.get(Agent, UUID(value), lock=True)
        return agent if agent is not None and agent.may(Permission.REPLY) else None
    return None


def _news(deed: Deed, news: bool) -> Result:
    return Result(deed, None if news else Held.ALREADY)


_VERBS = {
    Do.TAG: _tag,
    Do.UNTAG: _untag,
    Do.FIELD: _field,
    Do.PRIORITY: _priority,
    Do.ASSIGN: _assign,
    Do.TEAM: _team,
    Do.NOTE: _note,
    Do.NOTIFY: _notify,
    Do.REPLY: _reply,
    Do.STATUS: _status,
    Do.SNOOZE: _snooze,
}
