"""What the parts of a flow are called, for the editor and its list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from plugin.bot import flows
from plugin.bot.flows import About, Ask, Do, Ending, Flow, Step, Wrong
from plugin.bot.thinking import title_of
from plugin.conversations.targets import Segment
from plugin.kernel.i18n import Translator
from plugin.kernel.lazy import Lazy, _
from plugin.kernel.text import isolate

KINDS: Mapping[str, tuple[str, Lazy, Lazy]] = {
    "say": ("message-circle", _("Say"), _("Says something, and goes on.")),
    "question": ("circle-help", _("Question"), _("Asks for something, and keeps the answer.")),
    "choice": ("list", _("Choice"), _("Shows buttons that lead to different steps.")),
    "condition": ("split", _("Condition"), _("Goes one way or another by what is known.")),
    "action": ("zap", _("Action"), _("Does something, and goes on.")),
    "hand_over": ("user-round", _("Hand over"), _("A person takes over, with everything that was answered.")),
}
ASKS: Mapping[Ask, Lazy] = {
    Ask.TEXT: _("Free words"),
    Ask.ORDER: _("An order number"),
    Ask.EMAIL: _("An e-mail address"),
    Ask.PHONE: _("A phone number"),
    Ask.NUMBER: _("A number"),
    Ask.DATE: _("A day"),
}
ABOUTS: Mapping[About, Lazy] = {
    About.LANGUAGE: _("The language is"),
    About.CHANNEL: _("They write by"),
    About.STORE: _("The store is"),
    About.HOURS: _("The team is"),
    About.SEGMENT: _("The customer is"),
    About.ORDER: _("Their order is"),
    About.COLLECTED: _("They answered"),
}
DOS: Mapping[Do, Lazy] = {
    Do.TAG: _("Put a tag on"),
    Do.TEAM: _("Give it to a team"),
    Do.PRIORITY: _("Set the priority"),
    Do.SNOOZE: _("Put it off"),
    Do.NOTE: _("Write a note for the team"),
    Do.FIELD: _("Fill in a field"),
    Do.ARTICLE: _("Send an article"),
    Do.SCREEN: _("Open one of their own screens"),
    Do.DISCOUNT: _("Give a discount code"),
}
SCREENS: Mapping[str, Lazy] = {
    "order": _("Their order"),
    "return": _("A return"),
    "problem": _("A problem with an order"),
}
CHANNELS: Mapping[str, Lazy] = {"chat": _("Chat"), "email": _("E-mail")}
HOURS: Mapping[str, Lazy] = {"open": _("there, by its hours"), "closed": _("away, by its hours")}
SEGMENTS: Mapping[str, Lazy] = {
    Segment.NEW: _("New, without an order"),
    Segment.ONCE: _("With one order"),
    Segment.RETURNING: _("With several orders"),
}
ORDERS: Mapping[str, Lazy] = {
    "unproven": _("not proven to be theirs"),
    "proven": _("proven to be theirs"),
    "unshipped": _("not sent yet"),
    "shipped": _("on its way"),
    "delivered": _("delivered"),
    "late": _("late"),
    "cancelled": _("cancelled"),
}
PRIORITIES: Mapping[str, Lazy] = {
    "low": _("Low"), "normal": _("Normal"), "high": _("High"), "urgent": _("Urgent"),
}  # fmt: skip
_WRONG: Mapping[Wrong, Lazy] = {
    Wrong.EMPTY: _("There is no step yet."),
    Wrong.TOO_MANY: _("A flow has at most 60 steps."),
    Wrong.NO_TRIGGER: _("Nothing begins this flow: choose topics, words, a button or pages."),
    Wrong.NO_CHANNEL: _("Choose where it may begin: chat, e-mail or both."),
    Wrong.WORDS: _("Words are missing in %(what)s."),
    Wrong.TOO_LONG: _("This is too long (%(what)s)."),
    Wrong.TARGET: _("It leads to a step that is no longer there."),
    Wrong.UNREACHABLE: _("No step leads here."),
    Wrong.CIRCLE: _("It comes back to itself without a question between."),
    Wrong.OPTIONS: _("A choice has two to five buttons."),
    Wrong.OPTIONS_ALIKE: _("Two buttons say the same in %(what)s."),
    Wrong.KEY: _("The answer needs a name of small Latin letters, digits and _, such as order."),
    Wrong.KEY_UNKNOWN: _("No question keeps an answer under this name."),
    Wrong.VALUES: _("Choose at least one."),
    Wrong.VALUE: _("Say what exactly."),
}
ENDINGS: Mapping[Ending, Lazy] = {
    Ending.DONE: _("The flow ends here."),
    Ending.HANDED: _("A person takes over here."),
    Ending.WANTED: _("They want a person, so one takes over."),
    Ending.UNCLEAR: _("Not understood twice, so a person takes over."),
    Ending.ASKED: _("It was asked twice already, so a person takes over."),
    Ending.LOOP: _("It goes in a circle, so a person takes over."),
    Ending.BROKEN: _("It leads nowhere, so a person takes over."),
}


def wrong(t: Translator, problem: flows.Problem, languages: Mapping[str, str]) -> str:
    """What is wrong, in a sentence."""
    return t.gettext(_WRONG[problem.wrong], what=isolate(languages.get(problem.detail, problem.detail)))


def step_name(t: Translator, step: Step, number: int, language: str, spoken: Sequence[str]) -> str:
    """A step as lists of targets name it: its number, its kind, and how it begins."""
    kind = t.gettext(KINDS[flows.kind_of(step)][1])
    said = ""
    match step:
        case flows.Say() | flows.Question() | flows.Choice() | flows.HandOver():
            said = flows.words(step.text, language, spoken)
        case flows.Condition():
            said = t.gettext(ABOUTS[step.test])
        case flows.Action():
            said = t.gettext(DOS[step.do])
    said = f"{said[:40].rstrip()}…" if len(said) > 41 else said
    return f"{t.format_number(number)}. {kind}{f' · {isolate(said)}' if said else ''}"


def outline(t: Translator, flow: Flow, language: str) -> list[tuple[str, list[str]]]:
    """The steps of a flow to be read, each with where it leads besides the step below."""
    names = {step.id: step_name(t, step, at, language, flow.languages) for at, step in enumerate(flow.steps, 1)}

    def ways(step: Step) -> list[str]:
        match step:
            case flows.Choice():
                said = [(flows.words(one.text, language, flow.languages), one.to) for one in step.options]
            case flows.Condition():
                said = [(t.gettext(_("If so, on to")), step.to), (t.gettext(_("If not, on to")), step.otherwise)]
            case flows.HandOver():
                said = []
            case _:
                said = [(t.gettext(_("Then on to")), step.to)] if step.to else []
        ends = {"end": t.gettext(_("the end")), "": t.gettext(_("the step below"))}
        gone = t.gettext(_("a step that is gone"))
        return [f"{isolate(words)} → {names.get(to) or ends.get(to, gone)}" for words, to in said]

    return [(names[step.id], ways(step)) for step in flow.steps]


def begins(t: Translator, flow: Flow) -> str:
    """What begins a flow, in a line."""
    trigger, language = flow.trigger, t.locale.partition("-")[0]
    said = []
    if trigger.topics:
        said.append(t.listing([t.quoted(title_of(topic, language)) for topic in trigger.topics[:3]]))
    if trigger.words:
        said.append(t.gettext(_("Words: %(words)s"), words=t.listing([isolate(one) for one in trigger.words[:4]])))
    if button := flows.words(trigger.button, language, flow.languages):
        said.append(t.gettext(_("Button: %(words)s"), words=t.quoted(button)))
    if trigger.pages:
        said.append(t.gettext(_("Pages: %(pages)s"), pages=t.listing([isolate(one, "ltr") for one in trigger.pages])))
    return " · ".join(said)


def deed(t: Translator, action: flows.Action, names: Mapping[str, str]) -> str:
    """What an action would do, for a try that does nothing."""
    value = names.get(action.value, action.value)
    if action.do is Do.SCREEN and action.value in SCREENS:
        value = t.gettext(SCREENS[action.value])
    if action.do is Do.PRIORITY and action.value in PRIORITIES:
        value = t.gettext(PRIORITIES[action.value])
    return f"{t.gettext(DOS[action.do])}: {isolate(value)}"
