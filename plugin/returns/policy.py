"""What may come back, until when, for what, and how much of the money: a shop's policy and its judgement. Pure.

`eligibility` judges one line, `quote` a whole choice. Every answer carries a code; the words for codes are in
`plugin.returns.words`. Amounts are in the currency that the customer was charged in. Two laws hold, and property tests
hold them: what is given back never exceeds what was paid, to the minor unit; and with everything but the date fixed,
what is no longer possible does not become possible again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta, tzinfo
from enum import StrEnum
from fractions import Fraction
from functools import partial

from plugin.kernel.i18n import zone_of
from plugin.kernel.money import Money
from plugin.return_desk import ExchangePart, ReturnableLine, ReturnableOrder, Sign
from plugin.returns.states import Times

Amounts = tuple[Money, ...]
"""One amount a currency. A currency that is not among them has none: no fee, and nothing given by itself."""


class Resolution(StrEnum):
    """What a shopper gets for goods that come back."""

    REFUND = "refund"
    CREDIT = "credit"
    EXCHANGE = "exchange"
    REPLACEMENT = "replacement"


class Fault(StrEnum):
    """Whose doing a reason is: fees are the shopper's only for their own."""

    SHOP = "shop"
    SHOPPER = "shopper"


class Otherwise(StrEnum):
    """What follows when a condition is not kept."""

    DENY = "deny"
    REVIEW = "review"


class PayWhen(StrEnum):
    """The step of a return at which the money moves without anybody's doing."""

    APPROVED = "approved"
    IN_TRANSIT = "in_transit"
    RECEIVED = "received"
    INSPECTED = "inspected"


class DeliveryBack(StrEnum):
    """When what was paid for the delivery goes back too.

    `whole`: when nothing of the order stays with the customer, which the law of the European Union asks for after a
    withdrawal (Directive 2011/83/EU, article 13). `fault`: then, and only if it was the shop's doing.
    """

    NEVER = "never"
    WHOLE = "whole"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that the shopper is asked to confirm: unopened, unused, tags_on, packaging, or `words` of the shop's
    own by language.
    """

    code: str
    otherwise: Otherwise = Otherwise.DENY
    words: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why goods come back. Asked only about product types in `types`, about all when there are none.

    `children` make it finer: then one of them is chosen. `words` by language stand before those of the code.
    """

    code: str
    fault: Fault = Fault.SHOPPER
    photo: bool = False
    types: tuple[str, ...] = ()
    words: Mapping[str, str] = field(default_factory=dict)
    children: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class Match:
    """What a rule speaks of: every set that is not empty must hold the line, or something of it.

    Names compare without case. Prices are what was paid for one; `segments` are the store's tags of the customer.
    """

    products: tuple[str, ...] = ()
    collections: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    vendors: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    price_from: Amounts = ()
    price_to: Amounts = ()


@dataclass(frozen=True, slots=True)
class Terms:
    """What is offered: for each resolution the days after delivery, None without an end. What is not named is not
    offered, so that after the refund's days the exchange's may go on.

    `barred`: nothing at all, and why: final_sale, hygiene, digital or other. `fees_for`: the resolutions from which
    fees are taken. `review`: a person decides.
    """

    days: Mapping[Resolution, int | None] = field(default_factory=dict)
    barred: str = ""
    restocking_percent: int = 0
    shipping_fee: Amounts = ()
    fees_for: tuple[Resolution, ...] = (Resolution.REFUND,)
    conditions: tuple[Condition, ...] = ()
    photo: bool = False
    review: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """Other terms for some lines. The first rule that fits counts."""

    name: str
    match: Match
    terms: Terms


@dataclass(frozen=True, slots=True)
class Holiday:
    """What is ordered from `placed_from` to `placed_to` may come back until `until`, if that is longer."""

    placed_from: date
    placed_to: date
    until: date


_MONTH = dict.fromkeys(Resolution, 30)

REASONS: tuple[Reason, ...] = (
    Reason("size", children=(Reason("too_small"), Reason("too_large"))),
    Reason("changed_mind"),
    Reason("style"),
    Reason("not_as_described", Fault.SHOP, children=(
        Reason("other_colour", Fault.SHOP), Reason("other_quality", Fault.SHOP),
    )),
    Reason("defective", Fault.SHOP, photo=True),
    Reason("damaged_on_the_way", Fault.SHOP, photo=True),
    Reason("wrong_item", Fault.SHOP, photo=True),
    Reason("too_late_delivered", Fault.SHOP),
    Reason("other"),
)  # fmt: skip
"""What a shop asks until it asks something else."""

FINAL_SALE = ("final sale", "final-sale", "final_sale", "no return", "no-return", "no returns", "no-returns")


@dataclass(frozen=True, slots=True)
class Policy:
    """A shop's policy. `zone` is where its days end (an IANA name).

    `automatic`: what needs no review is agreed at once. `keep_below`: goods of less are not wanted back. `bonus`:
    percent on top of store credit, at most `bonus_most`. `review_above`: what gives back more is looked at by a person.
    `most_returns` in `most_days`: whoever had more is looked at by a person. `signs`: what else a person looks at, and
    `most_failed`: from how many failed payments on, in the same days, `Sign.PAYMENTS` holds. `whole_bundles`: parts
    of a bundle come back together. `instant_below`: what is sent instead of goods of less goes out once it is agreed,
    before anything came back, if it costs what they are worth and nobody of the team had a say in it. `exchange_any`:
    an exchange may be for something else of the shop.
    """

    terms: Terms = Terms(days=_MONTH)
    rules: tuple[Rule, ...] = (
        Rule("final_sale", Match(tags=FINAL_SALE), Terms(barred="final_sale")),
    )  # fmt: skip
    holidays: tuple[Holiday, ...] = ()
    reasons: tuple[Reason, ...] = REASONS
    automatic: bool = True
    pay_when: PayWhen = PayWhen.INSPECTED
    delivery: DeliveryBack = DeliveryBack.WHOLE
    keep_below: Amounts = ()
    bonus_percent: int = 0
    bonus_most: Amounts = ()
    review_above: Amounts = ()
    most_returns: int | None = None
    most_days: int = 180
    signs: tuple[Sign, ...] = ()
    most_failed: int = 3
    whole_bundles: bool = False
    times: Times = Times()  # noqa: RUF009 - it cannot be changed
    instant_below: Amounts = ()
    exchange_any: bool = True
    zone: str = "UTC"

    def reason(self, code: str) -> Reason | None:
        """The reason of that code at the end of a branch; None when it is not asked, or is only a heading."""
        return next((one for one in leaves(self.reasons) if one.code == code), None)


@dataclass(frozen=True, slots=True)
class Customer:
    """What of a customer a policy asks about, within its `most_days` before today.

    `returns`: requests. `failed_payments`: other orders that they could not pay. `signs`: what is known of the person.
    """

    returns: int = 0
    failed_payments: int = 0
    signs: tuple[Sign, ...] = ()


@dataclass(frozen=True, slots=True)
class Promised:
    """What other returns of the order will still take, as far as the store does not know: minor units, and units of
    lines by their id.
    """

    amount: int = 0
    delivery: int = 0
    units: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ChoiceLine:
    """So many of a line, why, and what was answered: `kept` are the codes of conditions that were confirmed."""

    line_external_id: str
    quantity: int
    reason: str
    words: str = ""
    kept: tuple[str, ...] = ()
    photos: int = 0


@dataclass(frozen=True, slots=True)
class Choice:
    """What a shopper wants. `gift`: they got it as a present, so that nothing goes back to whoever paid.

    `other`: something else of the shop is among what they want instead, not the same goods in another size.
    """

    lines: tuple[ChoiceLine, ...]
    resolution: Resolution
    exchange: tuple[ExchangePart, ...] = ()
    gift: bool = False
    other: bool = False


@dataclass(frozen=True, slots=True)
class Eligibility:
    """Whether a line may come back. `code`: why not, empty when it may: cancelled, gift_card, nothing_left, not_sent,
    too_late, not_offered, or the `barred` of its terms.

    `most` can come back. `last_days` of each resolution that is offered at all, None without an end. `since` is the day
    that they count from, and `counts_from` what happened on it: delivered, shipped or placed.
    """

    resolutions: frozenset[Resolution]
    code: str
    most: int
    terms: Terms
    rule: str = ""
    last_days: Mapping[Resolution, date | None] = field(default_factory=dict)
    since: date | None = None
    counts_from: str = ""

    @property
    def until(self) -> date | None:
        """The last day for anything; None when there is none, or it never ends."""
        days = list(self.last_days.values())
        return None if not days or None in days else max(day for day in days if day is not None)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a choice cannot be. Codes of `Eligibility`, and: nothing_chosen, unknown_line, quantity, unknown_reason,
    condition, photo_needed, bundle, not_this_way (the resolution), nothing_instead, other_currency, other_product,
    too_cheap. `detail` is what the code speaks of: a condition's code, the most that there is.
    """

    code: str
    line_external_id: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class LineDecision:
    """What a line brings: `goods` is its share of what was paid, `fee` the restocking fee off it."""

    line_external_id: str
    quantity: int
    reason: str
    goods: Money
    fee: Money


@dataclass(frozen=True, slots=True)
class Decision:
    """What comes of a choice. With `refused` nothing does.

    `worth` is what the goods count for after fees, with `delivery`, never more than is `left` of what was paid
    (`capped` says that it was cut). Of it, `cash` goes back to the original payment, `credit` becomes store credit with
    `bonus` on top, and an exchange uses up the rest; `owed` is what the shopper still pays for dearer goods.
    `keep`: the goods need not come back. `review`: why a person decides: terms, condition, value, returns, capped, or
    one of `Sign`. `instant`: what is sent instead does not wait for the goods.
    """

    refused: tuple[Refusal, ...]
    lines: tuple[LineDecision, ...] = ()
    goods: Money | None = None
    restocking_fee: Money | None = None
    shipping_fee: Money | None = None
    delivery: Money | None = None
    worth: Money | None = None
    cash: Money | None = None
    credit: Money | None = None
    bonus: Money | None = None
    owed: Money | None = None
    capped: bool = False
    keep: bool = False
    review: tuple[str, ...] = ()
    instant: bool = False

    @property
    def allowed(self) -> bool:
        """Whether it can be asked for."""
        return not self.refused


def leaves(reasons: Iterable[Reason]) -> Iterator[Reason]:
    """The reasons that can be chosen: those without finer ones."""
    for one in reasons:
        if one.children:
            yield from leaves(one.children)
        else:
            yield one


def reasons_for(reasons: Iterable[Reason], product_types: Sequence[str]) -> tuple[Reason, ...]:
    """The part of the tree that is asked about goods of such types."""
    found = []
    for one in reasons:
        if not _holds(one.types, product_types):
            continue
        children = reasons_for(one.children, product_types)
        if one.children and not children:
            continue
        found.append(Reason(one.code, one.fault, one.photo, one.types, one.words, children))
    return tuple(found)


def eligibility(
    policy: Policy, order: ReturnableOrder, line: ReturnableLine, today: date, *,
    reason: str | None = None, gift: bool = False, promised: Promised | None = None,
) -> Eligibility:  # fmt: skip
    """Whether a line may come back today, for that reason; without one, whether it may for any."""
    judged = partial(_judged, policy, order, line, today, gift=gift, promised=promised or Promised())
    if reason is not None:
        return judged(reason)
    asked = [one.code for one in leaves(reasons_for(policy.reasons, line.product_types))]
    found = [judged(code) for code in asked] or [judged("")]
    best = max(found, key=lambda one: (len(one.resolutions), one.until or date.max))
    last_days: dict[Resolution, date | None] = {}
    for resolution, last in (pair for one in found for pair in one.last_days.items() if not _always(one.code)):
        known = last_days.get(resolution, date.min)
        last_days[resolution] = None if known is None or last is None else max(known, last)
    return replace(best, resolutions=frozenset().union(*(one.resolutions for one in found)), last_days=last_days)


def _always(code: str) -> bool:
    """Whether a code stands against a line whatever the date, so that its days mean nothing."""
    return code not in ("", "too_late")


def _judged(
    policy: Policy, order: ReturnableOrder, line: ReturnableLine, today: date, reason: str, *,
    gift: bool, promised: Promised,
) -> Eligibility:  # fmt: skip
    terms, rule = _terms(policy, order, line, reason)
    most = max(0, line.returnable - promised.units.get(line.external_id, 0))
    since, counts_from = _since(order, line, zone_of(policy.zone))
    placed = order.placed_at.astimezone(zone_of(policy.zone)).date()
    last_days = {
        resolution: _last_day(policy, since, placed, days)
        for resolution, days in terms.days.items()
        if (resolution is not Resolution.CREDIT or order.store_credit)
        and (resolution is not Resolution.REFUND or not gift)
    }
    answer = partial(
        Eligibility, most=most, terms=terms, rule=rule, last_days=last_days, since=since, counts_from=counts_from
    )
    if code := _bar(order, line, terms, most):
        return answer(frozenset(), code)
    if not last_days:
        return answer(frozenset(), "not_offered")
    open_today = frozenset(one for one, last in last_days.items() if last is None or today <= last)
    return answer(open_today, "" if open_today else "too_late")


def _bar(order: ReturnableOrder, line: ReturnableLine, terms: Terms, most: int) -> str:
    """What stands against a line whatever the date."""
    if order.cancelled:
        return "cancelled"
    if line.gift_card:
        return "gift_card"
    if terms.barred:
        return terms.barred
    if most > 0:
        return ""
    sent = sum(parcel.quantity for parcel in line.shipped)
    return "nothing_left" if line.gone >= line.quantity or sent > line.gone else "not_sent"


def _terms(policy: Policy, order: ReturnableOrder, line: ReturnableLine, reason: str) -> tuple[Terms, str]:
    for rule in policy.rules:
        if _fits(rule.match, order, line, reason):
            return rule.terms, rule.name
    return policy.terms, ""


def _fits(match: Match, order: ReturnableOrder, line: ReturnableLine, reason: str) -> bool:
    return (
        _holds(match.products, (line.product_external_id,))
        and _holds(match.collections, line.collections)
        and _holds(match.tags, line.tags)
        and _holds(match.vendors, (line.vendor,))
        and _holds(match.types, line.product_types)
        and _holds(match.countries, (order.country,))
        and _holds(match.segments, order.customer_tags)
        and _holds(match.reasons, (reason,))
        and _price_fits(match, line)
    )


def _holds(wanted: Sequence[str], present: Sequence[str]) -> bool:
    return not wanted or not _folded(wanted).isdisjoint(_folded(present))


def _folded(words: Iterable[str]) -> set[str]:
    return {word.strip().casefold() for word in words}


def _price_fits(match: Match, line: ReturnableLine) -> bool:
    """A rule about prices says nothing about a currency that it does not name."""
    one = share(line.paid.amount, line.quantity, 0, 1)
    for bounds, fits in ((match.price_from, one.__ge__), (match.price_to, one.__le__)):
        if not bounds:
            continue
        bound = _in(bounds, line.paid)
        if bound is None or not fits(bound):
            return False
    return True


def _in(amounts: Amounts, like: Money) -> int | None:
    """The amount in the currency of `like`, minor units of its exponent; None when there is none."""
    for one in amounts:
        if one.currency == like.currency:
            shift = like.exponent - one.exponent
            return int(one.amount * 10**shift) if shift >= 0 else int(one.amount // 10**-shift)
    return None


def _since(order: ReturnableOrder, line: ReturnableLine, zone: tzinfo) -> tuple[date, str]:
    """The day from which days count: of the last parcel, because who waits for the rest cannot judge the whole."""
    delivered = [parcel.delivered_at for parcel in line.shipped]
    if delivered and all(delivered):
        return _latest(delivered, zone), "delivered"
    shipped = [parcel.delivered_at or parcel.shipped_at for parcel in line.shipped]
    if any(shipped):
        return _latest(shipped, zone), "shipped"
    return order.placed_at.astimezone(zone).date(), "placed"


def _latest(moments: Iterable[datetime | None], zone: tzinfo) -> date:
    return max(moment for moment in moments if moment).astimezone(zone).date()


def _last_day(policy: Policy, since: date, placed: date, days: int | None) -> date | None:
    if days is None:
        return None
    kept = [one.until for one in policy.holidays if one.placed_from <= placed <= one.placed_to]
    return max([since + timedelta(days=days), *kept])


def share(paid: int, quantity: int, gone: int, units: int) -> int:
    """What `units` of a line bring after `gone` were given back, minor units: all shares together are what was paid."""
    if quantity <= 0:
        return 0
    return paid * (gone + units) // quantity - paid * gone // quantity


def quote(
    policy: Policy, order: ReturnableOrder, choice: Choice, today: date, *,
    customer: Customer | None = None, promised: Promised | None = None,
) -> Decision:  # fmt: skip
    """What comes of a choice today: the same whatever order its lines are in. Changes nothing."""
    customer, promised = customer or Customer(), promised or Promised()
    lines = {line.external_id: line for line in order.lines}
    chosen = sorted(choice.lines, key=lambda one: (one.line_external_id, one.reason, one.words, one.quantity))
    refused = _refusals(policy, order, choice, chosen, lines, today, promised)
    if refused:
        return Decision(refused=refused)
    terms = [_terms(policy, order, lines[one.line_external_id], one.reason)[0] for one in chosen]
    nothing = Money(0, order.paid.currency, order.paid.exponent)
    charged = _as_charged(policy, choice, chosen, terms, lines, promised, nothing)
    decided = _lines(policy, charged, chosen, terms, lines, promised, nothing)
    goods, restocking = _sum((one.goods for one in decided), nothing), _sum((one.fee for one in decided), nothing)
    shipping = _shipping_fee(policy, charged, chosen, terms, goods - restocking)
    pays = choice.resolution in (Resolution.REFUND, Resolution.CREDIT)
    delivery = _delivery(policy, order, chosen, promised) if pays else nothing
    whole = goods - restocking - shipping + delivery
    left = max(0, order.paid.amount - order.refunded.amount - promised.amount)
    worth = Money(min(whole.amount, left), whole.currency, whole.exponent)
    cash, credit, owed = _moved(choice, worth, nothing)
    if choice.other and cash.amount:
        # For something small the rest would be a refund by another name.
        offered = _offered(policy, order, choice, chosen, lines, today, promised)
        if Resolution.REFUND not in offered and Resolution.CREDIT not in offered:
            return Decision(refused=(Refusal("too_cheap"),))
        if Resolution.REFUND not in offered:
            cash, credit = nothing, cash
    review = _review(policy, order, choice, chosen, terms, worth, customer, capped=worth != whole)
    keep_below = _in(policy.keep_below, goods)
    return Decision(
        refused=(),
        lines=decided,
        goods=goods,
        restocking_fee=restocking,
        shipping_fee=shipping,
        delivery=delivery,
        worth=worth,
        cash=cash,
        credit=credit,
        bonus=_bonus(policy, credit),
        owed=owed,
        capped=worth != whole,
        keep=(
            keep_below is not None
            and goods.amount < keep_below
            and choice.resolution is not Resolution.EXCHANGE
            and not review
        ),
        review=review,
        instant=(
            policy.automatic
            and not review
            # Worth what comes back: nothing is given besides, and nothing leaves that is still to be paid.
            and not (cash.amount or credit.amount or owed.amount)
            and _goes_at_once(policy, choice, goods)
        ),
    )


def _goes_at_once(policy: Policy, choice: Choice, goods: Money) -> bool:
    below = _in(policy.instant_below, goods)
    sends = choice.resolution in (Resolution.EXCHANGE, Resolution.REPLACEMENT)
    return sends and below is not None and goods.amount < below


def _as_charged(
    policy: Policy, choice: Choice, chosen: Sequence[ChoiceLine], terms: Sequence[Terms],
    lines: Mapping[str, ReturnableLine], promised: Promised, nothing: Money,
) -> Choice:  # fmt: skip
    """What fees are reckoned by: something else that is cheaper counts as the refund that its rest is."""
    if not choice.other:
        return choice
    goods = _sum((one.goods for one in _lines(policy, choice, chosen, terms, lines, promised, nothing)), nothing)
    return replace(choice, resolution=Resolution.REFUND) if _new(choice, nothing).amount < goods.amount else choice


def _offered(
    policy: Policy, order: ReturnableOrder, choice: Choice, chosen: Sequence[ChoiceLine],
    lines: Mapping[str, ReturnableLine], today: date, promised: Promised,
) -> frozenset[Resolution]:  # fmt: skip
    """What every chosen line may be given back for today."""
    found = [
        _judged(
            policy, order, lines[one.line_external_id], today, one.reason, gift=choice.gift, promised=promised
        ).resolutions
        for one in chosen
    ]
    return frozenset(Resolution).intersection(*found)


def _refusals(
    policy: Policy, order: ReturnableOrder, choice: Choice, chosen: Sequence[ChoiceLine],
    lines: Mapping[str, ReturnableLine], today: date, promised: Promised,
) -> tuple[Refusal, ...]:  # fmt: skip
    if not chosen:
        return (Refusal("nothing_chosen"),)
    found: list[Refusal] = []
    wanted: Counter[str] = Counter()
    for one in chosen:
        line = lines.get(one.line_external_id)
        if line is None:
            found.append(Refusal("unknown_line", one.line_external_id))
            continue
        wanted[line.external_id] += max(one.quantity, 0)
        found += _line_refusals(policy, order, choice, one, line, wanted[line.external_id], today, promised)
    if policy.whole_bundles:
        found += _broken_bundles(lines.values(), wanted)
    if choice.resolution is Resolution.EXCHANGE:
        if not choice.exchange or any(part.quantity < 1 for part in choice.exchange):
            found.append(Refusal("nothing_instead"))
        elif any(part.price is None or not _same(part.price, order.paid) for part in choice.exchange):
            found.append(Refusal("other_currency"))
        elif choice.other and not policy.exchange_any:
            found.append(Refusal("other_product"))
    return tuple(dict.fromkeys(found))


def _line_refusals(
    policy: Policy, order: ReturnableOrder, choice: Choice, one: ChoiceLine, line: ReturnableLine, wanted: int,
    today: date, promised: Promised,
) -> Iterator[Refusal]:  # fmt: skip
    refusal = partial(Refusal, line_external_id=line.external_id)
    known = any(leaf.code == one.reason for leaf in leaves(reasons_for(policy.reasons, line.product_types)))
    judged = _judged(policy, order, line, today, one.reason if known else "", gift=choice.gift, promised=promised)
    reason = policy.reason(one.reason) if known else None
    if judged.code:
        yield refusal(judged.code)
        return
    if one.quantity < 1 or wanted > judged.most:
        yield refusal("quantity", detail=str(judged.most))
    if reason is None:
        yield refusal("unknown_reason")
        return
    if choice.resolution not in judged.resolutions:
        offered = choice.resolution in judged.last_days
        yield refusal("too_late" if offered else "not_this_way", detail=choice.resolution)
    for condition in judged.terms.conditions:
        if condition.otherwise is Otherwise.DENY and condition.code not in one.kept:
            yield refusal("condition", detail=condition.code)
    if (judged.terms.photo or reason.photo) and one.photos < 1:
        yield refusal("photo_needed")


def _broken_bundles(lines: Iterable[ReturnableLine], wanted: Mapping[str, int]) -> Iterator[Refusal]:
    bundles: dict[str, list[ReturnableLine]] = {}
    for line in lines:
        if line.bundle:
            bundles.setdefault(line.bundle, []).append(line)
    for parts in bundles.values():
        if len({Fraction(wanted.get(part.external_id, 0), part.quantity) for part in parts}) > 1:
            yield from (Refusal("bundle", part.external_id) for part in parts)


def _lines(
    policy: Policy, choice: Choice, chosen: Sequence[ChoiceLine], terms: Sequence[Terms],
    lines: Mapping[str, ReturnableLine], promised: Promised, nothing: Money,
) -> tuple[LineDecision, ...]:  # fmt: skip
    taken: Counter[str] = Counter()
    decided = []
    for one, its in zip(chosen, terms, strict=True):
        line = lines[one.line_external_id]
        before = line.gone + promised.units.get(line.external_id, 0) + taken[line.external_id]
        taken[line.external_id] += one.quantity
        goods = max(0, share(line.paid.amount, line.quantity, before, one.quantity))
        percent = its.restocking_percent if _charged(policy, choice, one, its) else 0
        fee = min(goods, (goods * percent + 50) // 100)
        decided.append(
            LineDecision(
                line.external_id,
                one.quantity,
                one.reason,
                Money(goods, nothing.currency, nothing.exponent),
                Money(fee, nothing.currency, nothing.exponent),
            )
        )
    return tuple(decided)


def _charged(policy: Policy, choice: Choice, one: ChoiceLine, terms: Terms) -> bool:
    """Whether fees are taken: never for what was the shop's doing."""
    reason = policy.reason(one.reason)
    return choice.resolution in terms.fees_for and reason is not None and reason.fault is Fault.SHOPPER


def _shipping_fee(
    policy: Policy, choice: Choice, chosen: Sequence[ChoiceLine], terms: Sequence[Terms], net: Money
) -> Money:
    """One parcel, one fee: the highest among the lines, and never more than what the goods bring."""
    fees = [
        _in(its.shipping_fee, net) or 0
        for one, its in zip(chosen, terms, strict=True)
        if _charged(policy, choice, one, its)
    ]
    # What the shop has to answer for travels in the same parcel: then it pays for the way.
    fee = max(fees, default=0) if len(fees) == len(chosen) else 0
    return Money(max(0, min(fee, net.amount)), net.currency, net.exponent)


def _delivery(policy: Policy, order: ReturnableOrder, chosen: Sequence[ChoiceLine], promised: Promised) -> Money:
    left = max(0, order.delivery.amount - order.delivery_gone.amount - promised.delivery)
    back = Counter[str]()
    for one in chosen:
        back[one.line_external_id] += one.quantity
    whole = all(
        line.gone + promised.units.get(line.external_id, 0) + back[line.external_id] >= line.quantity
        for line in order.lines
        if line.needs_shipping
    )
    reasons = [policy.reason(one.reason) for one in chosen]
    fault = all(reason is not None and reason.fault is Fault.SHOP for reason in reasons)
    given = whole and (policy.delivery is DeliveryBack.WHOLE or (policy.delivery is DeliveryBack.FAULT and fault))
    return Money(left if given else 0, order.delivery.currency, order.delivery.exponent)


def _moved(choice: Choice, worth: Money, nothing: Money) -> tuple[Money, Money, Money]:
    """What goes back as money, as credit, and what the shopper still owes."""
    if choice.resolution is Resolution.CREDIT:
        return nothing, worth, nothing
    if choice.resolution is Resolution.REPLACEMENT:
        return nothing, nothing, nothing
    if choice.resolution is Resolution.REFUND:
        return worth, nothing, nothing
    new = _new(choice, nothing)
    if new.amount >= worth.amount:
        return nothing, nothing, new - worth
    # Who was given a present gets the difference as credit: nothing goes back to whoever paid.
    rest = worth - new
    return (nothing, rest, nothing) if choice.gift else (rest, nothing, nothing)


def _new(choice: Choice, nothing: Money) -> Money:
    """What is wanted instead costs."""
    return _sum(
        (Money(part.price.amount * part.quantity, *_kind(part.price)) for part in choice.exchange if part.price),
        nothing,
    )


def _bonus(policy: Policy, credit: Money) -> Money:
    bonus = credit.amount * policy.bonus_percent // 100
    most = _in(policy.bonus_most, credit)
    return Money(min(bonus, most) if most is not None else bonus, credit.currency, credit.exponent)


def _review(
    policy: Policy, order: ReturnableOrder, choice: Choice, chosen: Sequence[ChoiceLine], terms: Sequence[Terms],
    worth: Money, customer: Customer, *, capped: bool,
) -> tuple[str, ...]:  # fmt: skip
    """Why a person looks at it first. A limit that is not told in this currency asks a person too."""
    unkept = any(
        condition.otherwise is Otherwise.REVIEW and condition.code not in one.kept
        for one, its in zip(chosen, terms, strict=True)
        for condition in its.conditions
    )
    above = _in(policy.review_above, worth)
    gives = choice.resolution is not Resolution.REPLACEMENT
    codes = {
        "terms": any(its.review for its in terms),
        "condition": unkept,
        "value": bool(policy.review_above) and gives and (above is None or worth.amount > above),
        "returns": policy.most_returns is not None and customer.returns >= policy.most_returns,
        # The same again for goods whose money went back already would be both.
        "capped": capped,
        **{sign.value: sign in policy.signs for sign in signs_of(policy, order, customer)},
    }
    return tuple(code for code, holds in codes.items() if holds)


def signs_of(policy: Policy, order: ReturnableOrder, customer: Customer) -> tuple[Sign, ...]:
    """What is known against an order and its person, whether the policy asks for it or not, in one order always."""
    failed = order.failed_payments + customer.failed_payments >= max(policy.most_failed, 1)
    known = {*order.signs, *customer.signs, *([Sign.PAYMENTS] if failed else [])}
    return tuple(sign for sign in Sign if sign in known)


def _sum(amounts: Iterable[Money], nothing: Money) -> Money:
    return sum(amounts, nothing)


def _kind(money: Money) -> tuple[str, int]:
    return money.currency, money.exponent


def _same(one: Money, other: Money) -> bool:
    return _kind(one) == _kind(other)
