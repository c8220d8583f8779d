"""What a store takes back: its policy with a live preview, exceptions, versions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import func, select
from starlette.datastructures import FormData
from starlette.responses import Response

from admin_ui import policy_form
from admin_ui.desk import Desk, as_id, nothing_here
from admin_ui.store_choice import Setting, choose
from plugin import stores, team
from plugin.crm.orders import Order
from plugin.crm.products import Product
from plugin.kernel.db import Tx
from plugin.kernel.errors import AhlanError
from plugin.kernel.i18n import zone_of
from plugin.kernel.lazy import Lazy, _
from plugin.kernel.text import isolate
from plugin.platform import PlatformError
from plugin.return_desk import ReturnableLine, ReturnableOrder, Sign
from plugin.returns import policies, signs
from plugin.returns import policy_words as words
from plugin.returns.policies import PolicyVersion
from plugin.returns.policy import (
    REASONS,
    Choice,
    ChoiceLine,
    Condition,
    Customer,
    DeliveryBack,
    Fault,
    Match,
    Otherwise,
    PayWhen,
    Policy,
    Reason,
    Resolution,
    Rule,
    Terms,
    eligibility,
    leaves,
    quote,
    reasons_for,
    signs_of,
)
from plugin.stores import Store

SETTING = Setting(
    "settings/returns",
    _("Return policy"),
    _("Each store takes back by its own policy."),
    _("Connect a store first; what it takes back is said here."),
    "undo-2",
    [("settings/shipping", _("Shipping"))],
)
_RECENT_ORDERS = 25
_COMMAS = r"[,،;\s]+"
"""What a title may hold that stands between titles in a field."""

PAY_WHEN: dict[PayWhen, tuple[Lazy, Lazy]] = {
    PayWhen.INSPECTED: (_("Once the goods were looked at"), _("You say what of them is fine, then it goes.")),
    PayWhen.RECEIVED: (_("Once the goods are here"), _("As soon as somebody says that they arrived.")),
    PayWhen.IN_TRANSIT: (
        _("Once the goods are on their way"),
        _("As soon as one of you says so. What the customer says is only shown to you."),
    ),
    PayWhen.APPROVED: (_("At once"), _("As soon as the return is agreed.")),
}
DELIVERY: dict[DeliveryBack, Lazy] = {
    DeliveryBack.WHOLE: _("When the whole order comes back"),
    DeliveryBack.FAULT: _("When the whole order comes back and the shop is at fault"),
    DeliveryBack.NEVER: _("Never"),
}
BARRED: dict[str, Lazy] = {
    "": _("May come back"),
    "final_sale": _("Never: sold as final"),
    "hygiene": _("Never: for reasons of hygiene"),
    "digital": _("Never: digital goods"),
    "other": _("Never: another reason"),
}
OTHERWISE: dict[str, Lazy] = {
    "": _("is not asked"),
    Otherwise.DENY: _("must be so"),
    Otherwise.REVIEW: _("else one of you looks"),
}
SIGNS: dict[Sign, tuple[Lazy, Lazy]] = {
    Sign.RISK: (
        _("The store's own check warns of the order"),
        _("Shopify's assessment of every order, or what WooPayments found."),
    ),
    Sign.DISPUTE: (
        _("The payment is contested at the bank"),
        _("The money may be gone already. Shopify and WooPayments tell of it."),
    ),
    Sign.PAYMENTS: (
        _("Payments failed again and again"),
        _("Shopify tells of tries for this order; at WooCommerce other unpaid orders of the same customer count."),
    ),
    Sign.COUNTRIES: (_("It was billed to one country and sent to another"), _("Presents are, too.")),
    Sign.MISSING: (
        _("Something was missing from an earlier parcel of theirs"),
        _("As one of you wrote down when looking at the goods, within the days above."),
    ),
    Sign.BLOCKED: (_("The customer is blocked"), _("Their address, or a browser that was theirs.")),
}
FAULTS: dict[Fault, Lazy] = {
    Fault.SHOPPER: _("The customer's choice"),
    Fault.SHOP: _("The shop's fault, without fees"),
}


async def index(desk: Desk) -> Response:
    """The only store's policy, or the stores to choose from."""
    return await choose(desk, SETTING)


async def one(desk: Desk) -> Response:
    """The policy of a store, or, with `version`, an older one to read and bring back."""
    asked = desk.request.query_params.get("version", "")
    async with desk.transaction() as tx:
        store = await _store(tx, desk)
        current = await policies.current(tx, store)
        shown = await policies.version(tx, as_id(asked)) if asked else current
        if shown is None or shown.store_id != store.id:
            raise nothing_here()
        context = await _form(tx, desk, store, current, shown.policy)
        context["shown"] = shown
    return desk.page("return_policy.html", saved=desk.request.query_params.get("saved", ""), **context)


async def save(desk: Desk) -> Response:
    """Publish what the form says; what cannot be read comes back with what is wrong about it."""
    form = await desk.request.form()
    async with desk.transaction() as tx:
        store = await _store(tx, desk)
        before = (await policies.current(tx, store)).policy
        policy = policy_form.read_policy(form, before, store.currency)
        await policies.publish(tx, store, policy, after=_after(form), by=desk.agent)
    return desk.go(f"settings/returns/{store.id}", saved="policy")


async def restore(desk: Desk) -> Response:
    """Publish an older version anew."""
    form = await desk.request.form()
    async with desk.transaction() as tx:
        store = await _store(tx, desk)
        older = await policies.version(tx, as_id(str(form.get("version", ""))))
        if older is None or older.store_id != store.id:
            raise nothing_here()
        await policies.publish(tx, store, older.policy, after=_after(form), by=desk.agent)
    return desk.go(f"settings/returns/{store.id}", saved="policy")


async def rule(desk: Desk) -> Response:
    """The form of an exception, or of a new one."""
    async with desk.transaction() as tx:
        store = await _store(tx, desk)
        current = await policies.current(tx, store)
        position = _position(desk, current.policy)
        edited = current.policy.rules[position] if position is not None else Rule("", Match(), current.policy.terms)
        names = await product_titles(tx, store, edited.match.products)
    return desk.page(
        "return_rule.html",
        heading=rule_name(desk, edited) or desk.t.gettext("New exception"),
        store=store, current=current, position=position, rule=edited, rule_name=rule_name(desk, edited),
        products=policy_form.words_text(names), countries=policy_form.words_text(edited.match.countries),
        asked=[(leaf.code, words.reason(desk.t, leaf)) for leaf in leaves(current.policy.reasons)],
        barred=_named(desk, BARRED), **_parts(desk, store, edited.terms),
    )  # fmt: skip


def rule_name(desk: Desk, one: Rule) -> str:
    """What an exception is called: by the shop's own word, or by ours for the one that every shop begins with."""
    return desk.t.gettext(_("Final sale")) if one.name == "final_sale" else one.name


async def save_rule(desk: Desk) -> Response:
    """Publish the policy with an exception as its form says."""
    form = await desk.request.form()
    async with desk.transaction() as tx:
        store = await _store(tx, desk)
        policy = (await policies.current(tx, store)).policy
        position = _position(desk, policy)
        products = await product_ids(tx, store, str(form.get("products", "")))
        edited = policy_form.read_rule(form, policy, store.currency, products)
        changed = policy_form.with_rule(policy, edited, position)
        await policies.publish(tx, store, changed, after=_after(form), by=desk.agent)
    return desk.go(f"settings/returns/{store.id}", saved="rules")


async def move_rule(desk: Desk) -> Response:
    """Ask an exception one place sooner, or take it out (`to` is `out`)."""
    form = await desk.request.form()
    async with desk.transaction() as tx:
        store = await _store(tx, desk)
        policy = (await policies.current(tx, store)).policy
        position = _position(desk, policy)
        if position is None:
            raise nothing_here()
        change = policy_form.without_rule if form.get("to") == "out" else policy_form.rule_first
        await policies.publish(tx, store, change(policy, position), after=_after(form), by=desk.agent)
    return desk.go(f"settings/returns/{store.id}", saved="rules")


async def preview(desk: Desk) -> Response:
    """This order, this item, today: what the policy of the form would say, published or not."""
    form = await desk.request.form()
    async with desk.transaction() as tx:
        store = await _store(tx, desk)
        before = (await policies.current(tx, store)).policy
        order = await tx.get(Order, as_id(str(form.get("order", ""))))
        if order is None or order.store_id != store.id:
            raise nothing_here()
        try:
            policy = policy_form.read_policy(form, before, store.currency)
        except AhlanError as error:
            return _told(desk, problem=desk.t.gettext(error.message, **error.values))
        customer = await signs.person_of(tx, order, policy, everything=True)
    try:
        standing = await desk.app.platforms[store.platform].returnable(store.connection(), order.external_id)
    except PlatformError:
        return _told(desk, problem=desk.t.gettext(_("The store does not answer just now; try again in a moment.")))
    if standing is None or not standing.lines:
        return _told(desk, problem=desk.t.gettext(_("There is nothing in this order that could come back.")))
    return _told(desk, **_judged(desk, policy, standing, customer, form))


def _told(desk: Desk, *, problem: str = "", **context: Any) -> Response:
    return desk.page("return_preview.html", block="preview", problem=problem, **context)


def _judged(desk: Desk, policy: Policy, order: ReturnableOrder, customer: Customer, form: FormData) -> dict[str, Any]:
    """What the preview shows of one line, for the reason and the resolution that were chosen, on the day chosen."""
    line = next((one for one in order.lines if one.external_id == form.get("line")), order.lines[0])
    asked = list(leaves(reasons_for(policy.reasons, line.product_types)))
    reason = next((one for one in asked if one.code == form.get("about")), asked[0] if asked else Reason("other"))
    said = str(form.get("resolution", ""))
    resolution = Resolution(said) if said in set(Resolution) else Resolution.REFUND
    today = _day(str(form.get("day", "")), policy)
    judged = eligibility(policy, order, line, today, reason=reason.code)
    kept = tuple(condition.code for condition in judged.terms.conditions)
    chosen = ChoiceLine(line.external_id, 1, reason.code, kept=kept, photos=1)
    decision = quote(policy, order, Choice((chosen,), resolution), today, customer=customer)
    t = desk.t
    return {
        "lines": [(one.external_id, _title(one)) for one in order.lines],
        "line": line,
        "asked": [(one.code, words.reason(t, one)) for one in asked],
        "reason": reason.code,
        "resolutions": [(one, words.resolution(t, one)) for one in Resolution if one is not Resolution.EXCHANGE],
        "resolution": resolution,
        "today": today,
        "judged": judged,
        "why": words.eligibility(t, judged),
        "last_days": [(words.resolution(t, one), last) for one, last in judged.last_days.items()],
        "decision": decision,
        "refused": [words.refusal(t, one, judged.terms.conditions) for one in decision.refused],
        "reviewed": [words.review(t, code) for code in decision.review],
        "risk_words": words.risks(t, order.risk_words) if Sign.RISK in decision.review else (),
        "unasked": [words.review(t, one) for one in signs_of(policy, order, customer) if one not in policy.signs],
        "rule": rule_name(desk, Rule(judged.rule, Match(), judged.terms)),
    }


def _title(line: ReturnableLine) -> str:
    return f"{line.title} · {line.variant_title}" if line.variant_title else line.title


def _day(said: str, policy: Policy) -> date:
    try:
        return date.fromisoformat(said)
    except ValueError:
        return datetime.now(UTC).astimezone(zone_of(policy.zone)).date()


def _after(form: FormData) -> int:
    said = str(form.get("after", ""))
    return int(said) if said.isascii() and said.isdigit() and len(said) < 9 else 0


def _position(desk: Desk, policy: Policy) -> int | None:
    """The place of the rule that the address names; None for a new one. Raises NotFound beyond the last."""
    said = str(desk.request.path_params.get("rule", ""))
    if said == "new":
        return None
    if not (said.isascii() and said.isdigit() and len(said) < 4 and int(said) < len(policy.rules)):
        raise nothing_here()
    return int(said)


async def _store(tx: Tx, desk: Desk) -> Store:
    # Also one that was uninstalled: its returns name the version that they were judged by.
    store = await stores.get(tx, desk.path_id())
    if store is None:
        raise nothing_here()
    return store


async def _form(tx: Tx, desk: Desk, store: Store, current: PolicyVersion, policy: Policy) -> dict[str, Any]:
    t, names = desk.t, {agent.id: agent.name for agent in await team.agents(tx)}
    orders = await tx.scalars(
        select(Order)
        .where(Order.workspace_id == tx.workspace_id, Order.store_id == store.id, Order.deleted_at.is_(None))
        .order_by(Order.placed_at.desc())
        .limit(_RECENT_ORDERS)
    )
    asked = {leaf.code: leaf for leaf in leaves(policy.reasons)}
    return {
        "heading": t.gettext("Return policy of %(store)s", store=isolate(store.name)),
        "store": store,
        "policy": policy,
        "current": current,
        "rules": [(rule_name(desk, one), _about(desk, one), _terms_said(desk, one.terms)) for one in policy.rules],
        "reasons": [
            (leaf.code, words.reason(t, leaf), leaf.code in asked, asked.get(leaf.code, leaf))
            for leaf in leaves(REASONS)
        ],
        "own_reasons": policy_form.own_reasons(policy),
        "under": policy_form.headings(policy),
        "headings": [(one.code, words.reason(t, one)) for one in REASONS if one.code in policy_form.HEADINGS],
        "signs": [(one, t.gettext(name), t.gettext(what), one in policy.signs) for one, (name, what) in SIGNS.items()],
        "faults": _named(desk, FAULTS),
        "pay_when": [(key, t.gettext(name), t.gettext(what)) for key, (name, what) in PAY_WHEN.items()],
        "deliveries": _named(desk, DELIVERY),
        "versions": [(one, names.get(one.agent_id, "") if one.agent_id else "") for one in
                     await policies.history(tx, store.id)],
        "orders": [(order.id, f"{isolate(order.name)} · {t.format_date(order.placed_at)}") for order in orders],
        **_parts(desk, store, policy.terms),
    }  # fmt: skip


def _parts(desk: Desk, store: Store, terms: Terms) -> dict[str, Any]:
    """What the fields of terms are made of, in the policy's form and in an exception's."""
    t = desk.t
    kept = {one.code: one.otherwise for one in terms.conditions}
    return {
        "terms": terms,
        "offers": [
            (one, words.resolution(t, one), one in terms.days, terms.days.get(one), one in terms.fees_for)
            for one in Resolution
        ],
        "conditions": [
            (code, words.condition(t, Condition(code)), kept.get(code, "")) for code in policy_form.CONDITIONS
        ],
        "own_conditions": policy_form.own_conditions(terms),
        "otherwise": _named(desk, OTHERWISE),
        "amounts": lambda amounts: policy_form.amounts_text(amounts, store.currency),
        "words_text": policy_form.words_text,
        "languages": [(one.code, one.name, one.direction) for one in _languages(desk)],
    }  # fmt: skip


def _languages(desk: Desk) -> Sequence[Any]:
    known = {language.code: language for language in desk.app.catalogues.languages}
    return [known[code] for code in policy_form.LANGUAGES if code in known]


def _named(desk: Desk, names: dict[Any, Lazy]) -> list[tuple[Any, str]]:
    return [(key, desk.t.gettext(name)) for key, name in names.items()]


def _about(desk: Desk, one: Rule) -> str:
    """What an exception speaks of, in a line."""
    t, match = desk.t, one.match
    parts = [
        t.ngettext("%(num)s product", "%(num)s products", len(match.products)) if match.products else "",
        *(t.listing([isolate(word) for word in found], "or") for found in
          (match.collections, match.tags, match.types, match.vendors, match.countries, match.segments)),
        t.listing([words.reason(t, Reason(code)) for code in match.reasons], "or"),
        *(t.gettext("from %(amount)s", amount=t.format_money(money)) for money in match.price_from),
        *(t.gettext("up to %(amount)s", amount=t.format_money(money)) for money in match.price_to),
    ]  # fmt: skip
    return " · ".join(part for part in parts if part)


def _terms_said(desk: Desk, terms: Terms) -> str:
    """What an exception offers, in a line."""
    t = desk.t
    if terms.barred:
        return t.gettext(BARRED[terms.barred])
    parts = [
        f"{words.resolution(t, one)}: "
        + (t.gettext("without end") if days is None else t.ngettext("%(num)s day", "%(num)s days", days))
        for one, days in terms.days.items()
    ]
    return " · ".join(parts) or t.gettext("Nothing is offered")


async def product_titles(tx: Tx, store: Store, ids: Sequence[str]) -> list[str]:
    """What the products of these ids are called, without what stands between names in a field."""
    if not ids:
        return []
    rows = await tx.execute(
        select(Product.external_id, Product.title).where(
            Product.workspace_id == tx.workspace_id, Product.store_id == store.id, Product.external_id.in_(ids)
        )
    )
    titles = {row.external_id: " ".join(re.split(_COMMAS, row.title)) for row in rows}
    return [titles.get(one, one) for one in ids]


async def product_ids(tx: Tx, store: Store, said: str) -> list[str]:
    """The platform's ids of the products that are named, by title or by id. Raises AhlanError on an unknown name."""
    found = []
    for name in policy_form.split(said):
        title = func.lower(func.regexp_replace(Product.title, _COMMAS, " ", "g"))
        row = await tx.scalar(
            select(Product.external_id).where(
                Product.workspace_id == tx.workspace_id,
                Product.store_id == store.id,
                Product.deleted_at.is_(None),
                (title == name.lower()) | (Product.external_id == name),
            )
        )
        if row is None:
            raise AhlanError(
                _("The store has no product called %(name)s."), _("Write its title as the store has it."),
                values={"name": isolate(name)}, code="product",
            )  # fmt: skip
        found.append(row)
    return found
