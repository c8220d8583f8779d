"""Rules in words: when, if, then, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from babel.dates import get_day_names

from admin_ui import words
from admin_ui.pages.conversation import channel_of
from admin_ui.pages.work import language_name
from plugin.automations.conditions import Key, Shape, Term, Value
from plugin.automations.rules import TIMED, Deed, Do, Held, Rule, Trigger
from plugin.conversations.conversations import Priority, Status
from plugin.conversations.filters import NOBODY, SOMEBODY, WEEKDAYS
from plugin.conversations.wording import SNIPPET, Name, glimpse
from plugin.kernel.i18n import Translator
from plugin.kernel.lazy import Lazy, _
from plugin.kernel.text import isolate

TRIGGERS: Mapping[Trigger, Lazy] = {
    Trigger.STARTED: _("A customer writes for the first time in a conversation"),
    Trigger.RECEIVED: _("A customer writes"),
    Trigger.ANSWERED: _("Somebody of the team answers"),
    Trigger.WAITS: _("The customer waits for an answer for"),
    Trigger.SILENT: _("The customer has not answered for"),
    Trigger.ASSIGNED: _("A conversation is given to somebody, or to nobody"),
    Trigger.TAGGED: _("A tag is put on"),
    Trigger.RANKED: _("The priority changes"),
    Trigger.PENDING: _("It is the customer's turn"),
    Trigger.WOKEN: _("A snooze is over"),
    Trigger.RESOLVED: _("A conversation is resolved"),
    Trigger.REOPENED: _("A conversation is opened again"),
    Trigger.RATED: _("A customer gives a rating"),
    Trigger.OVERDUE: _("An answer target is missed"),
    Trigger.UNATTENDED: _("Nobody has taken a conversation in time"),
}
TIMED_SAID: Mapping[Trigger, Lazy] = {
    Trigger.WAITS: _("The customer has waited for an answer for %(time)s"),
    Trigger.SILENT: _("The customer has not answered for %(time)s"),
}
KEYS: Mapping[Key, Lazy] = {
    Key.SAYS: _("The message has the words"),
    Key.ONLY: _("The message says nothing but"),
    Key.FILES: _("The message has files"),
    Key.BEFORE: _("Status before the message"),
    Key.SUBJECT: _("The subject has the words"),
    Key.CHANNEL: _("Channel"),
    Key.LANGUAGE: _("Language"),
    Key.STORE: _("Store"),
    Key.STATUS: _("Status"),
    Key.ASSIGNEE: _("Who has it"),
    Key.TEAM: _("Team"),
    Key.PRIORITY: _("Priority"),
    Key.TAG: _("Tag"),
    Key.FIELD: _("Field of the team's"),
    Key.ANSWERED: _("Somebody has answered before"),
    Key.WAITING: _("The customer waits"),
    Key.RATING: _("Rating"),
    Key.OPEN: _("In business hours"),
    Key.WEEKDAY: _("Day of the week"),
    Key.HOUR: _("Hour of the day"),
    Key.KNOWN: _("The customer is known to the store"),
    Key.ORDERS: _("Number of orders"),
    Key.SPENT: _("Spent in total"),
    Key.CUSTOMER: _("Tag of the customer in the store"),
    Key.ORDER: _("Latest order"),
    Key.TOTAL: _("Amount of the latest order"),
    Key.ORDERTAG: _("Tag of the latest order"),
    Key.ORDERED: _("Age of the latest order"),
}
GROUPS: tuple[tuple[Lazy, tuple[Key, ...]], ...] = (
    (_("The message"), (Key.SAYS, Key.ONLY, Key.FILES, Key.BEFORE)),
    (
        _("The conversation"),
        (Key.CHANNEL, Key.LANGUAGE, Key.STORE, Key.SUBJECT, Key.STATUS, Key.PRIORITY, Key.TAG, Key.ASSIGNEE, Key.TEAM,
         Key.FIELD, Key.ANSWERED, Key.WAITING, Key.RATING),
    ),
    (_("The time"), (Key.OPEN, Key.WEEKDAY, Key.HOUR)),
    (_("The customer"), (Key.KNOWN, Key.ORDERS, Key.SPENT, Key.CUSTOMER)),
    (_("Their latest order"), (Key.ORDER, Key.TOTAL, Key.ORDERED, Key.ORDERTAG)),
)  # fmt: skip
ORDER_STATES: Mapping[str, Lazy] = {
    "none": _("there is none"),
    "unpaid": _("not paid"),
    "unshipped": _("not shipped yet"),
    "shipped": _("shipped"),
    "delivered": _("delivered"),
    "late": _("late"),
    "failed": _("delivery failed"),
    "cancelled": _("cancelled"),
    "refunded": _("refunded"),
}
COMPARED: Mapping[str, Lazy] = {
    "=": _("exactly"),
    ">=": _("at least"),
    "<=": _("at most"),
    ">": _("more than"),
    "<": _("less than"),
}
_COMPARED_VALUE: Mapping[str, Lazy] = {
    ">=": _("at least %(value)s"),
    "<=": _("at most %(value)s"),
    ">": _("more than %(value)s"),
    "<": _("less than %(value)s"),
}
UNITS: Mapping[str, tuple[Lazy, int]] = {
    "m": (_("minutes"), 60),
    "h": (_("hours"), 3600),
    "d": (_("days of 24 hours"), 86_400),
    "w": (_("weeks"), 604_800),
}
DEEDS: Mapping[Do, tuple[str, Lazy]] = {
    Do.TAG: ("tag", _("Put on a tag")),
    Do.UNTAG: ("tag", _("Take off a tag")),
    Do.PRIORITY: ("flag", _("Set the priority")),
    Do.ASSIGN: ("user-check", _("Give it to")),
    Do.TEAM: ("users-round", _("Make it a team's")),
    Do.STATUS: ("check", _("Set the status")),
    Do.SNOOZE: ("alarm-clock", _("Snooze it")),
    Do.REPLY: ("reply", _("Answer the customer")),
    Do.NOTE: ("lock", _("Write a note")),
    Do.NOTIFY: ("at-sign", _("Mention a colleague in a note")),
    Do.FIELD: ("text-cursor-input", _("Fill in a field")),
}
WHY: Mapping[Held, Lazy] = {
    Held.ALREADY: _("it was so already"),
    Held.ANSWERED: _("this message was answered by itself already"),
    Held.MACHINE: _("nothing answers a newsletter or a machine"),
    Held.SPAM: _("nothing answers spam"),
    Held.MISSING: _("not sent, this is not known: %(detail)s"),
    Held.NO_TEXT: _("there is no text to send"),
    Held.OFTEN: _("enough automatic answers for one day"),
    Held.GONE: _("what it names is no longer there"),
    Held.FULL: _("there are as many tags as can be"),
    Held.WRONG: _("it could not be done"),
}
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Names:
    """What ids in rules stand for."""

    agents: Mapping[str, str] = field(default_factory=dict)
    teams: Mapping[str, str] = field(default_factory=dict)
    macros: Mapping[str, str] = field(default_factory=dict)
    stores: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Deedly:
    """A deed in words; `why` it was not done."""

    sign: str
    text: str
    why: str = ""


def when(t: Translator, rule: Rule) -> str:
    """What a rule listens to."""
    if rule.trigger in TIMED and rule.after is not None:
        return t.gettext(TIMED_SAID[rule.trigger], time=isolate(t.duration(rule.after.total_seconds())))
    return t.gettext(TRIGGERS[rule.trigger])


def condition(t: Translator, term: Term, names: Names) -> str:
    """A condition on one line."""
    values = [value(t, term.key, one, names) for one in term.values]
    shown = values[:_SHOWN] if len(values) > _SHOWN + 1 else values
    said = t.listing(shown, "or")
    if rest := len(values) - len(shown):
        said = t.ngettext("%(said)s and %(num)s more", "%(said)s and %(num)s more", rest, said=said)
    what = t.gettext(KEYS[term.key])
    if term.negated:
        return t.gettext("%(what)s, but not: %(values)s", what=what, values=said)
    return t.gettext("%(what)s: %(values)s", what=what, values=said)


def value(t: Translator, key: Key, one: Value, names: Names) -> str:
    """A value of a condition."""
    match key:
        case Key.FILES | Key.ANSWERED | Key.OPEN | Key.KNOWN:
            return t.gettext(_("yes")) if one.text == "yes" else t.gettext(_("no"))
        case Key.STATUS | Key.BEFORE:
            return t.gettext(words.STATUSES[Status(one.text)][1])
        case Key.PRIORITY:
            return _compared(t, one, t.gettext(words.PRIORITIES[Priority[one.text.upper()]][1]))
        case Key.CHANNEL:
            return channel_of(t, one.text)[1]
        case Key.LANGUAGE:
            return language_name(t, one.text)
        case Key.STORE:
            return isolate(names.stores.get(one.text.casefold(), one.text))
        case Key.ASSIGNEE:
            fixed = {NOBODY: _("nobody"), SOMEBODY: _("somebody")}
            return t.gettext(fixed[one.text]) if one.text in fixed else isolate(names.agents.get(one.text, one.text))
        case Key.ORDER:
            return t.gettext(ORDER_STATES[one.text])
        case Key.WEEKDAY:
            return str(get_day_names("wide", locale=t.language.locale)[WEEKDAYS.index(one.text)])
        case Key.HOUR | Key.ORDERS | Key.SPENT | Key.TOTAL | Key.RATING:
            number = one.number if one.number is not None else int(one.text)
            return _compared(t, one, t.format_number(number))
        case Key.WAITING | Key.ORDERED:
            assert one.span is not None
            return _compared(t, one, isolate(t.duration(one.span.total_seconds())))
    return t.quoted(isolate(one.text)) if key in (Key.SAYS, Key.ONLY, Key.SUBJECT) else isolate(one.text)


def _compared(t: Translator, one: Value, said: str) -> str:
    return t.gettext(_COMPARED_VALUE[one.compare], value=said) if one.compare in _COMPARED_VALUE else said


def deed(t: Translator, one: Deed, names: Names) -> Deedly:
    """What is done, on one line."""
    sign, text = DEEDS[one.do][0], isolate(one.value)
    match one.do:
        case Do.TAG:
            return Deedly(sign, t.gettext("Tag: %(tag)s", tag=text))
        case Do.UNTAG:
            return Deedly(sign, t.gettext("Take off the tag %(tag)s", tag=text))
        case Do.PRIORITY:
            rank = t.gettext(words.PRIORITIES[Priority[one.value.upper()]][1])
            return Deedly(sign, t.gettext("Priority: %(name)s", name=rank))
        case Do.ASSIGN:
            if not one.value:
                return Deedly("user-x", t.gettext("Give to nobody"))
            return Deedly(sign, t.gettext("Give to %(name)s", name=_named(t, names.agents, one.value)))
        case Do.TEAM:
            return Deedly(sign, t.gettext("Make it the team's: %(name)s", name=_named(t, names.teams, one.value)))
        case Do.STATUS:
            status = Status(one.value)
            return Deedly(
                words.STATUSES[status][0], t.gettext("Status: %(name)s", name=t.gettext(words.STATUSES[status][1]))
            )
        case Do.SNOOZE:
            return Deedly(sign, t.gettext("Snooze for %(time)s", time=isolate(t.duration(int(one.value) * 3600))))
        case Do.NOTE:
            return Deedly(sign, t.gettext("Note: %(text)s", text=t.quoted(isolate(one.value[:60]))) if one.value else
                          t.gettext("Write a note"))  # fmt: skip
        case Do.NOTIFY:
            return Deedly(sign, t.gettext("Mention %(name)s", name=_named(t, names.agents, one.value)))
        case Do.FIELD:
            name, _equals, said = one.value.partition("=")
            return Deedly(sign, t.gettext("%(field)s: %(value)s", field=isolate(name), value=isolate(said) or "–"))
        case Do.REPLY:
            if one.value:
                return Deedly(
                    sign, t.gettext("Answer with the macro %(name)s", name=_named(t, names.macros, one.value))
                )
            said = next((glimpse(text) for text in one.texts.values() if text), "")
            return Deedly(sign, t.gettext("Answer: %(text)s", text=t.quoted(isolate(said[:60]))) if said else
                          t.gettext("Answer the customer"))  # fmt: skip


def _named(t: Translator, known: Mapping[str, str], id: str) -> str:
    return isolate(known[id]) if id in known else t.gettext(_("who or what is no longer there"))


def why(t: Translator, held: str, detail: str = "") -> str:
    """Why something was not done; empty where it was."""
    if held not in set(Held):
        return ""
    if held == Held.MISSING:
        known = [words.filled(t, one) for one in detail.split(", ") if one in set(Name) or one.startswith(SNIPPET)]
        detail = t.listing(known)
    return t.gettext(WHY[Held(held)], detail=detail)


def shape_of(key: Key, shapes: Mapping[Key, Shape]) -> str:
    """Which control a condition is filled in with."""
    if key in (Key.FILES, Key.ANSWERED, Key.OPEN, Key.KNOWN):
        return "yes"
    if key in (Key.CHANNEL, Key.LANGUAGE, Key.STORE, Key.ASSIGNEE, Key.TEAM):
        return "several"
    return {Shape.WORD: "words", Shape.CHOICE: "several", Shape.RANK: "rank", Shape.NUMBER: "number",
            Shape.SPAN: "span"}[shapes[key]]  # fmt: skip
