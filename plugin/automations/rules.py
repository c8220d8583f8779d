"""Rules: when something happens, if conditions hold, then this is done; in order, and a rule may end it. Pure.

Rules know no database and no clock: `decide` gets what is known (`Facts`) and says of every rule that listens to what
happened whether it acts and which condition decided. What an earlier rule does is known to the later ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from plugin.automations import conditions
from plugin.automations.conditions import Facts, Term
from plugin.conversations.filters import PRIORITIES
from plugin.kernel.text import folded, normalise


class Trigger(StrEnum):
    """What a rule listens to. `waits` and `silent` are of time: how long the customer waits for us, or we for them."""

    STARTED = "started"
    RECEIVED = "received"
    ANSWERED = "answered"
    ASSIGNED = "assigned"
    RESOLVED = "resolved"
    REOPENED = "reopened"
    PENDING = "pending"
    WOKEN = "woken"
    TAGGED = "tagged"
    RANKED = "ranked"
    RATED = "rated"
    OVERDUE = "overdue"
    UNATTENDED = "unattended"
    WAITS = "waits"
    SILENT = "silent"


TIMED = frozenset({Trigger.WAITS, Trigger.SILENT})
OF_MESSAGES = frozenset({Trigger.STARTED, Trigger.RECEIVED})
KINDS: Mapping[Trigger, str] = {
    Trigger.STARTED: "message.received",
    Trigger.RECEIVED: "message.received",
    Trigger.ANSWERED: "message.sent",
    Trigger.ASSIGNED: "conversation.assigned",
    Trigger.RESOLVED: "conversation.resolved",
    Trigger.REOPENED: "conversation.reopened",
    Trigger.PENDING: "conversation.pending",
    Trigger.WOKEN: "conversation.woken",
    Trigger.TAGGED: "conversation.tagged",
    Trigger.RANKED: "conversation.ranked",
    Trigger.RATED: "conversation.rated",
    Trigger.OVERDUE: "conversation.overdue",
    Trigger.UNATTENDED: "conversation.unattended",
}
"""The event behind each trigger that is one."""


class Do(StrEnum):
    """What a rule can do."""

    TAG = "tag"
    UNTAG = "untag"
    FIELD = "field"
    PRIORITY = "priority"
    ASSIGN = "assign"
    TEAM = "team"
    NOTE = "note"
    NOTIFY = "notify"
    REPLY = "reply"
    STATUS = "status"
    SNOOZE = "snooze"


class Held(StrEnum):
    """Why something that a rule would have done is not done."""

    ALREADY = "already"
    ANSWERED = "answered"
    MACHINE = "machine"
    SPAM = "spam"
    MISSING = "missing"
    NO_TEXT = "no_text"
    OFTEN = "often"
    GONE = "gone"
    FULL = "full"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing to do. `value`: a tag, `field=value`, a priority's name, an agent's id (empty: nobody), a team's id, a
    note's text, a macro's id (empty: `texts`, one a language), a status, hours.
    """

    do: Do
    value: str = ""
    texts: Mapping[str, str] = field(default_factory=dict, hash=False)

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Deed:
        """As a table kept it."""
        return cls(Do(said["do"]), said.get("value", ""), said.get("texts", {}))

    def kept(self) -> dict[str, Any]:
        """As a table keeps it."""
        return {"do": self.do.value, "value": self.value, **({"texts": dict(self.texts)} if self.texts else {})}


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as it is asked. `after`: how long time has to have passed; `stop`: rules behind it are not asked then."""

    id: UUID
    name: str
    trigger: Trigger
    terms: tuple[Term, ...] = ()
    deeds: tuple[Deed, ...] = ()
    stop: bool = False
    after: timedelta | None = None

    def listens(self, facts: Facts) -> bool:
        """Whether what happened is what this rule is about."""
        match self.trigger:
            case Trigger.WAITS:
                return not facts.kind and self._long_enough(facts.waiting)
            case Trigger.SILENT:
                return not facts.kind and self._long_enough(facts.idle)
        return facts.kind == KINDS[self.trigger] and (self.trigger is not Trigger.STARTED or facts.first)

    def _long_enough(self, span: timedelta | None) -> bool:
        return span is not None and self.after is not None and span >= self.after


@dataclass(frozen=True, slots=True)
class Planned:
    """A deed, and why it will not be done; None: it will."""

    deed: Deed
    held: Held | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one rule. `decided`: the condition that did not hold; None: the rule acts."""

    rule: Rule
    decided: Term | None
    planned: tuple[Planned, ...] = ()

    @property
    def acts(self) -> bool:
        """Whether all its conditions held."""
        return self.decided is None


def decide(rules: Sequence[Rule], facts: Facts) -> list[Outcome]:
    """Ask every rule that listens, in order, until one that acts ends it."""
    found = []
    for rule in rules:
        if not rule.listens(facts):
            continue
        outcome, facts = ask(rule, facts)
        found.append(outcome)
        if outcome.acts and rule.stop:
            break
    return found


def ask(rule: Rule, facts: Facts) -> tuple[Outcome, Facts]:
    """One rule: what it would do, and what is known after it."""
    decided = conditions.failing(rule.terms, facts)
    if decided is not None:
        return Outcome(rule, decided), facts
    planned = []
    for deed in sorted(rule.deeds, key=lambda one: _PLACE[one.do]):
        held = _held(deed, facts)
        planned.append(Planned(deed, held))
        if held is None:
            facts = _after(deed, facts)
    return Outcome(rule, None, tuple(planned)), facts


# A status comes last, and an answer before it: whatever order they were written in, a rule does not undo itself.
_PLACE = {do: place for place, do in enumerate(Do)}


def _held(deed: Deed, facts: Facts) -> Held | None:
    """What can be told before anything is done; the rest is found out while it is."""
    match deed.do:
        case Do.REPLY if facts.status == "spam":
            return Held.SPAM
        case Do.REPLY if facts.machine:
            return Held.MACHINE
        case Do.REPLY if facts.replied:
            return Held.ANSWERED
    return Held.ALREADY if _is_so(deed, facts) else None


def _is_so(deed: Deed, facts: Facts) -> bool:
    match deed.do:
        case Do.TAG:
            return folded(deed.value) in facts.tags
        case Do.UNTAG:
            return folded(deed.value) not in facts.tags
        case Do.PRIORITY:
            return facts.priority == PRIORITIES.index(deed.value)
        case Do.ASSIGN:
            return facts.assignee == deed.value
        case Do.STATUS:
            return facts.status == deed.value
        case Do.FIELD:
            name, _equals, value = deed.value.partition("=")
            return facts.fields.get(normalise(name), "") == value
        case Do.TEAM:
            return facts.team_tags.get(deed.value, "") in facts.tags
    return False


def _after(deed: Deed, facts: Facts) -> Facts:
    match deed.do:
        case Do.TAG:
            return replace(facts, tags=facts.tags | {folded(deed.value)})
        case Do.UNTAG:
            return replace(facts, tags=facts.tags - {folded(deed.value)})
        case Do.PRIORITY:
            return replace(facts, priority=PRIORITIES.index(deed.value))
        case Do.ASSIGN:
            return replace(facts, assignee=deed.value, assignee_names=frozenset())
        case Do.STATUS:
            return replace(facts, status=deed.value)
        case Do.SNOOZE:
            return replace(facts, status="snoozed")
        case Do.FIELD:
            name, _equals, value = deed.value.partition("=")
            return replace(facts, fields={**facts.fields, normalise(name): value})
        case Do.TEAM:
            tag = facts.team_tags.get(deed.value, "")
            return replace(facts, tags=facts.tags | {tag} if tag else facts.tags)
        case Do.REPLY:
            return replace(facts, replied=True)
    return facts
