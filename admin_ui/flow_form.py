"""From the form of the editor to a flow, and what its buttons do to the steps. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TypeVar

import msgspec
from starlette.datastructures import FormData

from plugin.bot import flows
from plugin.bot.flows import (
    END,
    KINDS,
    MOST_OPTIONS,
    MOST_STEPS,
    About,
    Action,
    Ask,
    Choice,
    Condition,
    Do,
    Flow,
    HandOver,
    Option,
    Question,
    Say,
    Step,
    Texts,
    Trigger,
)
from plugin.kernel.digits import whole
from plugin.kernel.text import normalise

_ID = re.compile(r"[a-z][a-z0-9]{0,15}")
_BETWEEN = re.compile(r"[,،;؛\n]")
_LONGEST = 4000
"""Characters of a field that are read; what is too long for a flow is told by its problems."""


_Name = TypeVar("_Name", Ask, About, Do)


def read(form: FormData, languages: Sequence[str], decimals: int) -> Flow:
    """The flow as the form says it; unknown kinds, and steps beyond the most, are left out."""
    spoken = tuple(code for code in languages if code in {str(one) for one in form.getlist("speaks")})
    ids = list(dict.fromkeys(id for one in form.getlist("step") if _ID.fullmatch(id := str(one))))[: MOST_STEPS + 1]
    steps = [step for id in ids if (step := _step(form, id, languages, decimals)) is not None]
    return Flow(_trigger(form, languages), tuple(steps), spoken or tuple(languages[:1]))


def _word(form: FormData, name: str) -> str:
    return str(form.get(name) or "")[:_LONGEST].strip()


def _texts(form: FormData, name: str, languages: Sequence[str]) -> Texts:
    return {code: said for code in languages if (said := _word(form, f"{name}.{code}").replace("\r\n", "\n"))}


def _list(form: FormData, name: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, (one.strip() for one in _BETWEEN.split(_word(form, name))))))


def _several(form: FormData, name: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(one)[:100] for one in form.getlist(name)))


def _trigger(form: FormData, languages: Sequence[str]) -> Trigger:
    return Trigger(
        _several(form, "topics"), _list(form, "words"), _texts(form, "button", languages), _list(form, "pages"),
        _several(form, "stores"), _several(form, "channels"),
    )  # fmt: skip


def _step(form: FormData, id: str, languages: Sequence[str], decimals: int) -> Step | None:
    texts, to = _texts(form, f"{id}.text", languages), _to(_word(form, f"{id}.to"))
    match _word(form, f"{id}.kind"):
        case "say":
            return Say(id, texts, to)
        case "question":
            return Question(id, texts, _one(Ask, _word(form, f"{id}.ask"), Ask.TEXT), _word(form, f"{id}.key"), to)
        case "choice":
            places = [place for one in form.getlist(f"{id}.option") if (place := str(one)).isdigit()][:MOST_OPTIONS]
            options = tuple(
                Option(_texts(form, f"{id}.o{place}.text", languages), _to(_word(form, f"{id}.o{place}.to")))
                for place in places
            )
            return Choice(id, texts, options, _word(form, f"{id}.key"))
        case "condition":
            test = _one(About, _word(form, f"{id}.test"), About.HOURS)
            words = test is About.COLLECTED
            values = _list(form, f"{id}.values") if words else _several(form, f"{id}.values")
            return Condition(id, test, values, _word(form, f"{id}.key") if words else "", to,
                             _to(_word(form, f"{id}.otherwise")))  # fmt: skip
        case "action":
            do = _one(Do, _word(form, f"{id}.do"), Do.TAG)
            return Action(id, do, _value(form, id, do, decimals), to)
        case "hand_over":
            return HandOver(id, texts, _word(form, f"{id}.team"))
    return None


def _to(said: str) -> str:
    return said if said in ("", END) or _ID.fullmatch(said) else ""


def _one(kind: type[_Name], said: str, otherwise: _Name) -> _Name:
    return kind(said) if said in set(kind) else otherwise


def _value(form: FormData, id: str, do: Do, decimals: int) -> str:
    value = _word(form, f"{id}.value")
    if do is Do.FIELD:
        field = _word(form, f"{id}.field")
        return f"{field}={value}" if field and value else ""
    if do is not Do.DISCOUNT:
        return value
    try:
        number = Decimal(normalise(value).replace("%", "").replace(",", "."))
    except InvalidOperation:
        return ""
    if not number.is_finite() or number <= 0 or number > 10**9:
        return ""
    if _word(form, f"{id}.unit") == "amount":
        return str(int(number.scaleb(decimals)))
    return f"{int(number)}%" if 1 <= number <= 100 else ""


# What the buttons do


@dataclass(frozen=True, slots=True)
class Changed:
    """The flow after a button, and the step that the eye goes to then."""

    flow: Flow
    at: str = ""


def act(flow: Flow, said: str) -> Changed:
    """What a button makes of it: `add:kind:after`, `up:id`, `down:id`, `out:id`, `option:id`, `unoption:id:n`."""
    verb, _colon, rest = said.partition(":")
    subject, _colon, more = rest.partition(":")
    steps = list(flow.steps)
    ids = [step.id for step in steps]
    if verb == "add" and subject in KINDS:
        fresh = _fresh(subject, ids)
        steps.insert(ids.index(more) + 1 if more in ids else len(steps), fresh)
        return Changed(_with(flow, steps), fresh.id)
    if subject not in ids:
        return Changed(flow)
    at = ids.index(subject)
    step = steps[at]
    match verb:
        case "up" | "down":
            other = at + (-1 if verb == "up" else 1)
            if 0 <= other < len(steps):
                steps[at], steps[other] = steps[other], steps[at]
        case "out":
            del steps[at]
            near = steps[min(at, len(steps) - 1)].id if steps else ""
            return Changed(_with(flow, steps), near)
        case "option" if isinstance(step, Choice) and len(step.options) < MOST_OPTIONS:
            steps[at] = msgspec.structs.replace(step, options=(*step.options, Option()))
        case "unoption" if isinstance(step, Choice) and (gone := whole(more, len(step.options) - 1)) is not None:
            kept = tuple(one for place, one in enumerate(step.options) if place != gone)
            steps[at] = msgspec.structs.replace(step, options=kept)
    return Changed(_with(flow, steps), subject)


def _with(flow: Flow, steps: Sequence[Step]) -> Flow:
    return msgspec.structs.replace(flow, steps=tuple(steps))


def _fresh(kind: str, taken: Sequence[str]) -> Step:
    id = next(id for number in range(1, len(taken) + 2) if (id := f"s{number}") not in taken)
    match kind:
        case "choice":
            return Choice(id, options=(Option(), Option()))
        case "question":
            return Question(id, key="answer")
        case "condition":
            return Condition(id, About.HOURS, ("open",))
    made: Step = flows.KINDS[kind](id)
    return made
