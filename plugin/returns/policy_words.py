"""The words for what a policy says: for whoever edits it, and for the shopper whom it answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from plugin.kernel.i18n import Translator
from plugin.kernel.lazy import Lazy, _
from plugin.return_desk import Sign
from plugin.returns.policy import Condition, Eligibility, Reason, Refusal, Resolution

RESOLUTIONS: Mapping[Resolution, Lazy] = {
    Resolution.REFUND: _("Money back"),
    Resolution.CREDIT: _("Store credit"),
    Resolution.EXCHANGE: _("Exchange"),
    Resolution.REPLACEMENT: _("The same again"),
}
REASONS: Mapping[str, Lazy] = {
    "size": _("The size does not fit"),
    "too_small": _("Too small"),
    "too_large": _("Too large"),
    "changed_mind": _("No longer wanted"),
    "style": _("Does not suit"),
    "not_as_described": _("Not as described"),
    "other_colour": _("Another colour than shown"),
    "other_quality": _("Another quality than described"),
    "defective": _("Does not work"),
    "damaged_on_the_way": _("Arrived damaged"),
    "wrong_item": _("Something else arrived"),
    "too_late_delivered": _("Arrived too late"),
    "withdrawal": _("Withdrawal from the contract"),
    "other": _("Another reason"),
}
CONDITIONS: Mapping[str, Lazy] = {
    "unopened": _("It is unopened"),
    "unused": _("It is unused"),
    "tags_on": _("All labels are still on it"),
    "packaging": _("It is in its original packaging"),
}
_BARRED: Mapping[str, Lazy] = {
    "cancelled": _("The order was cancelled."),
    "gift_card": _("Gift cards cannot be returned."),
    "nothing_left": _("All of it was returned already, or is on its way back."),
    "not_sent": _("It has not been sent yet."),
    "too_late": _("The time for returning it is over."),
    "not_offered": _("This shop does not take it back."),
    "final_sale": _("It was sold as final."),
    "hygiene": _("For reasons of hygiene it cannot be returned."),
    "digital": _("Digital goods cannot be returned."),
}
_REFUSED: Mapping[str, Lazy] = {
    **_BARRED,
    "nothing_chosen": _("Choose what you want to return."),
    "unknown_line": _("This is not part of the order."),
    "quantity": _("At most %(most)s of it can be returned."),
    "unknown_reason": _("Choose a reason."),
    "condition": _("It can only be returned if this is so: %(condition)s."),
    "photo_needed": _("Add a photo, so that the shop sees what is wrong."),
    "bundle": _("What was bought as a set can only be returned together."),
    "not_this_way": _("This cannot be had for it: %(resolution)s."),
    "nothing_instead": _("Choose what you want instead."),
    "other_product": _("It can only be exchanged for the same product."),
    "too_cheap": _("It can only be exchanged for something that costs as much, or more."),
    "other_currency": _("What you want instead has no price in the currency of the order."),
}
_REVIEWED: Mapping[str, Lazy] = {
    "terms": _("A person looks at returns of this kind."),
    "condition": _("Something that you ask for was not confirmed."),
    "value": _("More money than goes by itself."),
    "returns": _("This customer has returned often."),
    Sign.RISK: _("The store's own check of this order asks for a second look."),
    Sign.DISPUTE: _("The payment is contested at the bank: the money may be gone already."),
    Sign.PAYMENTS: _("Several payments of this customer failed."),
    Sign.COUNTRIES: _("It was billed to one country and sent to another."),
    Sign.MISSING: _("Of an earlier return of this customer, not everything was in the parcel."),
    Sign.BLOCKED: _("This customer is blocked."),
    "capped": _("Less of the order's money is left than the goods are worth."),
}


RISKS: Mapping[str, Lazy] = {
    "payments.risk_elevated": _("The payment provider sees a raised risk."),
    "payments.risk_highest": _("The payment provider sees a very high risk."),
    "payments.held": _("The payment was held for a person to look at, and nobody has let it through."),
    "payments.blocked": _("The payment was blocked by the rules against fraud."),
    "payments.warning": _("The card's bank warns of fraud."),
    "payments.warning.made_with_stolen_card": _("The card's bank warns of fraud: the card was stolen."),
    "payments.warning.made_with_lost_card": _("The card's bank warns of fraud: the card was lost."),
    "payments.warning.made_with_counterfeit_card": _("The card's bank warns of fraud: the card was forged."),
    "payments.warning.card_never_received": _("The card's bank warns of fraud: the card never reached its owner."),
    "payments.warning.unauthorized_use_of_card": _("The card's bank warns of fraud: the owner did not allow it."),
    "payments.warning.fraudulent_card_application": _(
        "The card's bank warns of fraud: the card was applied for in another's name."
    ),
}


def risks(t: Translator, found: Iterable[str]) -> list[str]:
    """What a platform's check found: its codes in our words, its own words as they are; for the team only."""
    return [t.gettext(RISKS[one]) if one in RISKS else one for one in found]


def resolution(t: Translator, one: Resolution) -> str:
    """What a shopper gets."""
    return t.gettext(RESOLUTIONS[one])


def reason(t: Translator, one: Reason) -> str:
    """A reason in the reader's language: by the shop's own words where it has some."""
    return _own(t, one.words) or (t.gettext(REASONS[one.code]) if one.code in REASONS else one.code)


def condition(t: Translator, one: Condition) -> str:
    """A condition as the shopper confirms it."""
    return _own(t, one.words) or (t.gettext(CONDITIONS[one.code]) if one.code in CONDITIONS else one.code)


def eligibility(t: Translator, judged: Eligibility) -> str:
    """Why something cannot come back; empty when it may."""
    return t.gettext(_BARRED.get(judged.code, _BARRED["not_offered"])) if judged.code else ""


def refusal(t: Translator, refused: Refusal, terms: tuple[Condition, ...] = ()) -> str:
    """Why a choice cannot be. `terms` are the conditions among which a broken one is looked for."""
    broken = next((one for one in terms if one.code == refused.detail), Condition(refused.detail))
    values = {
        "quantity": {"most": refused.detail},
        "condition": {"condition": condition(t, broken)},
        "not_this_way": {"resolution": _resolution_named(t, refused.detail)},
    }.get(refused.code, {})
    return t.gettext(_REFUSED.get(refused.code, _BARRED["not_offered"]), **values)


def review(t: Translator, code: str) -> str:
    """Why a person looks first; for the team only."""
    return t.gettext(_REVIEWED[code])


def _resolution_named(t: Translator, code: str) -> str:
    return resolution(t, Resolution(code)) if code in set(Resolution) else code


def _own(t: Translator, words: Mapping[str, str]) -> str:
    """The reader's language, else English, else any."""
    return words.get(t.language.code) or words.get("en") or next(iter(words.values()), "")
