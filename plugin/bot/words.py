"""What the bot's outcomes and reasons are called, for the team: under its messages, in notes, in the playground."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from plugin.bot.bots import Group
from plugin.bot.decide import Outcome, Reason
from plugin.bot.grounding import Flaw
from plugin.bot.thinking import HUMAN, Answer, Heard, title_of
from plugin.kernel.i18n import Translator
from plugin.kernel.lazy import Lazy, _
from plugin.kernel.text import isolate
from plugin.model import calls

OUTCOMES: Mapping[str, Lazy] = {
    Outcome.ANSWER: _("Answered"),
    Outcome.OFFER: _("Offered choices"),
    Outcome.ASK: _("Asked back"),
    Outcome.PERSON: _("Handed over"),
}
REASONS: Mapping[str, Lazy] = {
    Reason.SURE: _("sure of the topic"),
    Reason.UNSURE: _("not sure of the topic"),
    Reason.OUTSIDE: _("outside of what it knows"),
    Reason.WANTED: _("a person was asked for"),
    Reason.AWAY: _("its models were away"),
    Reason.SILENT: _("nothing was said in words"),
    Reason.MISSING: _("something was missing"),
    Reason.ENOUGH: _("asked and offered enough"),
    Reason.CHOSEN: _("chosen by the customer"),
    Reason.LEARNT: _("learnt from a correction"),
    Reason.FOUND: _("found in the help centre"),
    Reason.WRITTEN: _("written by the language model from the help centre"),
    Reason.ALIKE: _("spelled like a known question"),
    Reason.UNCOVERED: _("nothing is written about it"),
    Reason.RESERVED: _("kept for a person"),
    Reason.REPEATED: _("it had said that already"),
    Reason.MANNERS: _("a greeting or thanks"),
    Reason.ADDRESS: _("an address was given"),
    Reason.FLOW: _("led by a flow"),
}
TOOLS: Mapping[str, Lazy] = {
    "orders": _("looked at the proven order"),
    "proof": _("asked for proof of the order"),
    "catalogue": _("looked into the catalogue"),
    "hours": _("looked at the team's hours"),
    "deliveries": _("looked at the store's delivery zones"),
    "discount": _("weighed a discount"),
}
MODEL: Mapping[str, Lazy] = {
    **calls.WHY,
    Flaw.REFUSED: _("The language model found no answer in the articles."),
    Flaw.GARBAGE: _("The language model's answer could not be read."),
    Flaw.UNCITED: _("The language model named no source; its answer was thrown away."),
    Flaw.LANGUAGE: _("The language model wrote another language; its answer was thrown away."),
    Flaw.LINK: _("The language model named an address that its sources do not; its answer was thrown away."),
    Flaw.NUMBER: _("The language model named a number that its sources do not; its answer was thrown away."),
    Flaw.PROMISE: _("The language model promised what its sources do not; its answer was thrown away."),
    Flaw.UNSUPPORTED: _("The language model said what its sources do not; its answer was thrown away."),
    Flaw.REPEATS: _("The language model repeated what it was told; its answer was thrown away."),
    Flaw.GONE: _("The article changed while the language model wrote; its answer was thrown away."),
}
"""What became of a language model's answer that was not said."""

GROUPS: Mapping[Group, Lazy] = {
    Group.ORDERS: _("Orders"),
    Group.RETURNS: _("Returns and complaints"),
    Group.DELIVERY: _("Delivery"),
    Group.PAYMENT: _("Payment and discounts"),
    Group.PRODUCTS: _("Products"),
    Group.OTHER: _("Everything else"),
}


def tool(t: Translator, name: str) -> str:
    """What the bot looked at; empty for nothing."""
    known = TOOLS.get(name)
    return t.gettext(known) if known is not None else ""


def evidence(answer: Answer, model: str = "") -> dict[str, Any]:
    """Why an answer is as it is, in plain values: topics, figures, articles; nothing that anybody wrote.

    `model`: what became of a language model's words, where one was asked.
    """
    parts = []
    for part in answer.parts:
        say, read = part.say, part.heard.read
        parts.append(
            {
                "outcome": say.outcome.value,
                "reason": say.reason.value,
                "topic": say.topic,
                "confidence": round(part.confidence, 3),
                "gate": round(read.gate, 3) if read is not None else None,
                "answer_from": round(read.answer_from, 3) if read is not None else None,
                "candidates": [[topic, round(score, 3)] for topic, score in part.candidates],
                "source": say.source,
                "title": say.title,
                "tool": say.tool,
                "learnt": part.learnt,
            }
        )
    return {
        "parts": parts,
        "language": answer.parts[0].heard.language,
        "latin": answer.parts[0].heard.question.arabizi,
        **answer.more,
        **({"model": model} if model else {}),
    }


def line(t: Translator, evidence: Mapping[str, Any]) -> str:
    """Why the bot said that, in one line."""
    said = " / ".join(_part(t, part) for part in evidence.get("parts", ()))
    thrown = MODEL.get(str(evidence.get("model", "")))
    return f"{said} · {t.gettext(thrown)}" if thrown is not None else said


def _part(t: Translator, part: Mapping[str, Any]) -> str:
    outcome, reason = OUTCOMES[part["outcome"]], REASONS[part["reason"]]
    said = [t.gettext(outcome)]
    if part["topic"] and part["topic"] != HUMAN:
        said.append(t.quoted(title_of(part["topic"], t.locale.partition("-")[0])))
    why = t.gettext(reason)
    if part["reason"] in (Reason.SURE, Reason.UNSURE, Reason.OUTSIDE, Reason.ALIKE) and part["confidence"]:
        why = f"{why} ({t.format_percent(part['confidence'])})"
    said.append(why)
    if looked := tool(t, part["tool"]):
        said.append(looked)
    if part["title"]:
        said.append(t.quoted(part["title"]))
    return " · ".join(said)


def summary(t: Translator, answer: Answer, heard: Sequence[Heard], before: Sequence[str], order: str) -> str:
    """What a colleague has to know who takes over: why, about what, and what was collected."""
    lines = [t.gettext(_("The bot hands over: %(why)s."), why=t.gettext(REASONS[answer.reason]))]
    topics = [part.say.topic for part in answer.parts if part.say.topic and part.say.topic != HUMAN]
    if topics:
        about = t.listing([t.quoted(title_of(topic, t.locale.partition("-")[0])) for topic in dict.fromkeys(topics)])
        lines.append(t.gettext(_("It seems to be about: %(topics)s"), topics=about))
    if order:
        lines.append(t.gettext(_("Order, proven to be theirs: %(order)s"), order=order))
    typed = {
        _("Order numbers written"): {one.value for each in heard for one in each.question.orders},
        _("E-mail addresses written"): {one.value for each in heard for one in each.question.emails},
        _("Phone numbers written"): {one.value for each in heard for one in each.question.phones},
        _("Days named"): {one.value for each in heard for one in each.question.dates},
    }
    lines += [f"{t.gettext(label)}: {t.listing(sorted(values))}" for label, values in typed.items() if values]
    lines += [f"{key}: {isolate(value)}" for key, value in answer.collected.items()]
    if before:
        lines.append(t.gettext(_("The bot said before: %(what)s"), what=t.listing(list(dict.fromkeys(before)))))
    return "\n".join(lines)
