"""A return policy as the fields of a form, and back. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from datetime import date
from enum import StrEnum
from typing import TypeVar

from starlette.datastructures import FormData

from plugin.kernel.digits import whole
from plugin.kernel.errors import AhlanError
from plugin.kernel.lazy import _
from plugin.kernel.money import Money, parse
from plugin.kernel.text import normalise
from plugin.return_desk import Sign
from plugin.returns.policy import (
    REASONS,
    Amounts,
    Condition,
    DeliveryBack,
    Fault,
    Holiday,
    Match,
    Otherwise,
    PayWhen,
    Policy,
    Reason,
    Resolution,
    Rule,
    Terms,
    leaves,
)
from plugin.returns.states import Times

CONDITIONS = ("unopened", "unused", "tags_on", "packaging")
BARRED = ("final_sale", "hygiene", "digital", "other")
LANGUAGES = ("ar", "he", "en")
HEADINGS = tuple(one.code for one in REASONS if one.children)
"""Reasons of ours that are made finer: one of the shop's own may stand among the finer ones."""
_LONGEST_WAIT = 365
_LONGEST, _MOST_RULES, _MOST_OWN, _MOST_WORDS = 3650, 50, 20, 200
_CURRENCY = re.compile(r"^[A-Za-z]{3}$")
_Word = TypeVar("_Word", bound=StrEnum)


def read_terms(form: FormData, currency: str) -> Terms:
    """The terms of a form. Raises AhlanError that names what cannot be read."""
    barred = _said(form, "barred")
    return Terms(
        days=dict(_days(form)),
        barred=barred if barred in BARRED else "",
        restocking_percent=_number(form, "restocking", 100) or 0,
        shipping_fee=_amounts(form, "shipping-fee", currency),
        fees_for=tuple(one for one in Resolution if one in form.getlist("fees-for")),
        conditions=tuple(_conditions(form)),
        photo="photo" in form,
        review="review" in form,
    )


def read_policy(form: FormData, before: Policy, currency: str) -> Policy:
    """The policy of a form; what it does not show (rules, the zone) stays as it was. Raises AhlanError."""
    return replace(
        before,
        terms=read_terms(form, currency),
        holidays=tuple(_holidays(form)),
        reasons=_reasons(form),
        automatic="automatic" in form,
        pay_when=_one_of(PayWhen, _said(form, "pay-when"), before.pay_when),
        delivery=_one_of(DeliveryBack, _said(form, "delivery"), before.delivery),
        keep_below=_amounts(form, "keep-below", currency),
        bonus_percent=_number(form, "bonus", 100) or 0,
        bonus_most=_amounts(form, "bonus-most", currency),
        review_above=_amounts(form, "review-above", currency),
        most_returns=_number(form, "most-returns", 1000),
        most_days=_number(form, "most-days", _LONGEST) or before.most_days,
        signs=tuple(one for one in Sign if one in form.getlist("sign")),
        most_failed=_number(form, "most-failed", 1000) or before.most_failed,
        whole_bundles="whole-bundles" in form,
        times=_times(form, before.times),
        instant_below=_amounts(form, "instant-below", currency),
        exchange_any="exchange-any" in form,
    )


def read_rule(form: FormData, policy: Policy, currency: str, products: Sequence[str]) -> Rule:
    """The rule of a form; `products` are the platform's ids of what it names. Raises AhlanError."""
    name = " ".join(_said(form, "name").split())[:60]
    if not name:
        raise AhlanError(_("Give the exception a name."), code="name")
    chosen = set(map(str, form.getlist("about-reason")))
    match = Match(
        products=tuple(products),
        collections=_words(form, "collections"),
        tags=_words(form, "tags"),
        vendors=_words(form, "vendors"),
        types=_words(form, "types"),
        countries=tuple(code.upper() for code in _words(form, "countries")),
        segments=_words(form, "segments"),
        reasons=tuple(one.code for one in leaves(policy.reasons) if one.code in chosen),
        price_from=_amounts(form, "price-from", currency),
        price_to=_amounts(form, "price-to", currency),
    )
    if match == Match():
        raise AhlanError(
            _("Say what the exception is about."),
            _("What holds for everything is set above the exceptions."),
            code="all",
        )
    return Rule(name, match, read_terms(form, currency))


def with_rule(policy: Policy, rule: Rule, position: int | None) -> Policy:
    """The policy with `rule` in the place of another, or behind the last. Raises AhlanError beyond what is sensible."""
    rules = list(policy.rules)
    if position is not None:
        rules[position] = rule
    elif len(rules) >= _MOST_RULES:
        raise AhlanError(_("More exceptions than that nobody can follow."), _("Join some of them first."), code="many")
    else:
        rules.append(rule)
    return replace(policy, rules=tuple(rules))


def without_rule(policy: Policy, position: int) -> Policy:
    """The policy without that rule."""
    return replace(policy, rules=policy.rules[:position] + policy.rules[position + 1 :])


def rule_first(policy: Policy, position: int) -> Policy:
    """The policy with that rule asked one place sooner."""
    if position < 1:
        return policy
    rules = list(policy.rules)
    rules[position - 1], rules[position] = rules[position], rules[position - 1]
    return replace(policy, rules=tuple(rules))


def amounts_text(amounts: Amounts, currency: str) -> str:
    """Amounts as `_amounts` reads them: the store's own currency without its name."""
    own = [one for one in amounts if one.currency == currency]
    others = [one for one in amounts if one.currency != currency]
    return ", ".join([*(f"{one.decimal()}" for one in own), *(f"{one.decimal()} {one.currency}" for one in others)])


def words_text(words: Iterable[str]) -> str:
    """Words as `_words` reads them."""
    return ", ".join(words)


def own_reasons(policy: Policy) -> list[Reason]:
    """The reasons that the shop wrote itself."""
    known = {one.code for one in leaves(REASONS)}
    return [one for one in leaves(policy.reasons) if one.code not in known]


def headings(policy: Policy) -> dict[str, str]:
    """Under which heading of ours each of the shop's own reasons stands, by their codes."""
    own = {one.code for one in own_reasons(policy)}
    return {one.code: heading.code for heading in policy.reasons for one in heading.children if one.code in own}


def own_conditions(terms: Terms) -> list[Condition]:
    """The conditions that the shop wrote itself."""
    return [one for one in terms.conditions if one.code not in CONDITIONS]


def _said(form: FormData, name: str) -> str:
    return str(form.get(name, "")).strip()


def _one_of(kind: type[_Word], said: str, otherwise: _Word) -> _Word:
    return kind(said) if said in set(kind) else otherwise


def _times(form: FormData, before: Times) -> Times:
    """How long a return may stand still; an empty field is never. A form without the fields changes nothing."""
    names = {one.name: f"time-{one.name.replace('_', '-')}" for one in fields(Times)}
    if not any(name in form for name in names.values()):
        return before
    said = {field: _number(form, name, _LONGEST_WAIT) for field, name in names.items()}
    # A day at least: what happens at once nobody asked to wait for.
    return Times(**{field: max(days, 1) if days is not None else None for field, days in said.items()})


def _number(form: FormData, name: str, most: int) -> int | None:
    said = normalise(_said(form, name))
    if not said:
        return None
    if (number := whole(said, most)) is None:
        raise _unreadable(said)
    return number


def _unreadable(said: str) -> AhlanError:
    return AhlanError(_("%(value)s is no number that can be used here."), values={"value": said[:20]}, code="number")


def _amounts(form: FormData, name: str, currency: str) -> Amounts:
    """ "20" in the store's currency, or several with theirs: "20, 75 SAR"."""
    found: dict[str, Money] = {}
    for part in filter(None, (normalise(one) for one in re.split(r"[,،;]", _said(form, name)))):
        amount, _space, unit = part.replace("٫", ".").partition(" ")
        if unit and not _CURRENCY.match(unit):
            raise _unreadable(part)
        try:
            money, exact = parse(amount, unit or currency)
        except ValueError as error:
            raise _unreadable(part) from error
        if money.amount < 0 or not exact or money.currency in found:
            raise _unreadable(_said(form, name))
        found[money.currency] = money
    return tuple(found.values())


def split(said: str) -> tuple[str, ...]:
    """Words with commas between them, each once."""
    parts = (" ".join(part.split()) for part in re.split(r"[,،;\n]", said))
    return tuple(dict.fromkeys(part[:120] for part in parts if part))[:_MOST_WORDS]


def _words(form: FormData, name: str) -> tuple[str, ...]:
    return split(_said(form, name))


def _days(form: FormData) -> Iterator[tuple[Resolution, int | None]]:
    for resolution in Resolution:
        if f"offer-{resolution}" not in form:
            continue
        days = _number(form, f"days-{resolution}", _LONGEST)
        yield resolution, days


def _conditions(form: FormData) -> Iterator[Condition]:
    for code in CONDITIONS:
        if (said := _said(form, f"condition-{code}")) in set(Otherwise):
            yield Condition(code, Otherwise(said))
    for code, words, row in _own_rows(form, "condition"):
        otherwise = _said(form, f"own-condition-{row}-otherwise")
        yield Condition(code, _one_of(Otherwise, otherwise, Otherwise.DENY), words)


def _own_rows(form: FormData, kind: str) -> Iterator[tuple[str, Mapping[str, str], int]]:
    """The shop's own rows: the code that they have had, or the next free one, and their words."""
    taken = {str(form.get(f"own-{kind}-{row}-code", "")) for row in range(_MOST_OWN)}
    free = (f"own_{kind}_{number}" for number in range(1, 10 * _MOST_OWN))
    for row in range(_MOST_OWN):
        words = {
            language: " ".join(text.split())[:120]
            for language in LANGUAGES
            if (text := _said(form, f"own-{kind}-{row}-{language}"))
        }
        if not words:
            continue
        code = _said(form, f"own-{kind}-{row}-code")
        if not re.fullmatch(rf"own_{kind}_\d{{1,4}}", code):
            code = next(one for one in free if one not in taken)
        yield code, words, row


def _reasons(form: FormData) -> tuple[Reason, ...]:
    """What is asked of our own tree, and the shop's own behind it. Raises AhlanError when nothing is."""
    own: dict[str, list[Reason]] = {}
    for code, words, row in _own_rows(form, "reason"):
        under = _said(form, f"own-reason-{row}-under")
        own.setdefault(under if under in HEADINGS else "", []).append(
            Reason(
                code,
                _one_of(Fault, _said(form, f"own-reason-{row}-fault"), Fault.SHOPPER),
                f"own-reason-{row}-photo" in form,
                _words(form, f"own-reason-{row}-types"),
                words,
            )
        )
    kept = tuple(_asked(form, REASONS, own))
    if not kept and not own.get(""):
        raise AhlanError(_("Ask for one reason at least."), code="reasons")
    asked = (*kept, *own.get("", ()))
    if all(one.types for one in leaves(asked)):
        raise AhlanError(
            _("Leave one reason at least for every kind of goods."),
            _("For goods that no reason is about, nobody could say why they come back."),
            code="reasons",
        )
    return asked


def _asked(form: FormData, reasons: Iterable[Reason], own: Mapping[str, Sequence[Reason]]) -> Iterator[Reason]:
    for one in reasons:
        children = (*_asked(form, one.children, own), *own.get(one.code, ()))
        if one.children and children:
            yield replace(one, children=children)
        elif not one.children and f"reason-{one.code}" in form:
            yield replace(
                one,
                fault=_one_of(Fault, _said(form, f"reason-{one.code}-fault"), one.fault),
                photo=f"reason-{one.code}-photo" in form,
                types=_words(form, f"reason-{one.code}-types"),
            )


def _holidays(form: FormData) -> Iterator[Holiday]:
    parts = [[str(value) for value in form.getlist(f"holiday-{name}")] for name in ("from", "to", "until")]
    for row in list(zip(*parts, strict=False))[:50]:
        if not any(row):
            continue
        try:
            first, last, until = map(date.fromisoformat, row)
        except ValueError as error:
            raise AhlanError(
                _("A holiday needs three days."), _("From, to, and until when goods may come back."), code="holiday"
            ) from error
        if not first <= last <= until:
            raise AhlanError(
                _("The days of a holiday are not in order."), _("From, to, until: each after the one before."),
                code="holiday",
            )  # fmt: skip
        yield Holiday(first, last, until)
