"""What a platform says about goods that may go back, and what it is asked to do about a return: the shapes.

The verbs are the port's own: `returnable` reads an order, `act` and `settle` do one of `ReturnAction` once
(docs/decisions/order-actions.md). A platform without returns of its own writes down what it can and says so in `Done`.
Amounts are in the currency that the customer was charged in, minor units.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from plugin.kernel.money import Money

_MARK: Final = re.compile(r"(?P<number>\S{1,64}) \((?P<key>[0-9A-Za-z-]{1,64})\)")


def mark(number: str, key: str) -> str:
    """What a platform is told to write beside money that went back: our number, and the step that moved it.

    It comes back as `RefundRecord.reason`, whether the refund is read or told by a webhook.
    """
    return f"{number} ({key})"


def marked(text: str) -> tuple[str, str] | None:
    """(number, key) of a refund's reason that `mark` wrote, None for anybody else's words."""
    found = _MARK.match(text)
    return (found["number"], found["key"]) if found else None


class Sign(StrEnum):
    """Something about an order or its person that may ask for a second look; never a reason to say no.

    `risk`: the platform's own check of the order. `dispute`: the payment is contested at the bank, so that the money
    may be gone already. `payments`: payments failed again and again. `countries`: billed to one country, sent to
    another. `missing`: of an earlier return not everything was in the parcel. `blocked`: the person is blocked.
    """

    RISK = "risk"
    DISPUTE = "dispute"
    PAYMENTS = "payments"
    COUNTRIES = "countries"
    MISSING = "missing"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class Shipped:
    """So many of a line that left in one parcel. `external_id`: the platform's line of the parcel, where it has one."""

    external_id: str
    quantity: int
    shipped_at: datetime | None = None
    delivered_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ReturnableLine:
    """A line of an order as it stands today.

    `quantity` was bought, `gone` of it was given back, refunded or taken off the order, `returnable` can go back now:
    it was sent and is in no other return. `paid` is what was paid for all of `quantity`, after every discount and with
    its taxes, `tax` the taxes within. `bundle` names the line that this is a part of, where the platform knows.
    `product_types`: the kinds of goods that it is one of, by the store's own names.
    """

    external_id: str
    title: str
    quantity: int
    gone: int
    returnable: int
    paid: Money
    tax: Money
    variant_title: str = ""
    sku: str = ""
    image_url: str = ""
    product_external_id: str = ""
    variant_external_id: str = ""
    product_types: tuple[str, ...] = ()
    vendor: str = ""
    tags: tuple[str, ...] = ()
    collections: tuple[str, ...] = ()
    gift_card: bool = False
    needs_shipping: bool = True
    bundle: str = ""
    shipped: tuple[Shipped, ...] = ()


@dataclass(frozen=True, slots=True)
class Paid:
    """One way the order was paid. `left` can still go back to it; `by_hand`: the platform only writes it down."""

    gateway: str
    left: Money
    by_hand: bool = False


RISKS = frozenset({
    "payments.risk_elevated", "payments.risk_highest", "payments.held", "payments.blocked", "payments.warning",
    *(f"payments.warning.{kind}" for kind in (
        "made_with_stolen_card", "made_with_lost_card", "made_with_counterfeit_card", "card_never_received",
        "unauthorized_use_of_card", "fraudulent_card_application",
    )),
})  # fmt: skip
"""What a platform's check may tell by a code in `ReturnableOrder.risk_words`; the words are `policy_words.RISKS`."""


@dataclass(frozen=True, slots=True)
class ReturnableOrder:
    """An order as it stands today, with all that a policy asks about.

    `delivery` is what was paid for sending it, with taxes, `delivery_gone` what of that went back. `refunded` is all
    that went back. `store_credit`: the platform can give it. `customer_tags` are the store's own for its customer.

    `signs` are those that the platform knows of, and `risk_words` what its check of the order found: in its own words,
    or a name of `RISKS` for what it tells by a code.
    `failed_payments`: how often paying this order was tried in vain.
    """

    external_id: str
    name: str
    placed_at: datetime
    paid: Money
    refunded: Money
    delivery: Money
    delivery_gone: Money
    lines: tuple[ReturnableLine, ...]
    payments: tuple[Paid, ...] = ()
    country: str = ""
    customer_external_id: str = ""
    customer_tags: tuple[str, ...] = ()
    cancelled: bool = False
    store_credit: bool = False
    signs: tuple[Sign, ...] = ()
    risk_words: tuple[str, ...] = ()
    failed_payments: int = 0


class Disposition(StrEnum):
    """What became of goods that came back."""

    RESTOCK = "restock"
    DAMAGED = "damaged"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class ReturnPart:
    """So many of one line that go back. `reason` is our code, `words` what the shopper wrote about it."""

    line_external_id: str
    quantity: int
    reason: str = ""
    words: str = ""


@dataclass(frozen=True, slots=True)
class ExchangePart:
    """What is sent instead: so many of a variant, each at `price` (what the new goods count for; None: for nothing)."""

    variant_external_id: str
    quantity: int
    title: str = ""
    price: Money | None = None
    product_external_id: str = ""


@dataclass(frozen=True, slots=True)
class OpenReturn:
    """Have the store know of the return. `approved`: it is agreed already, otherwise it waits for a decision.

    `number` is ours and stands where the platform lets us write it. Its `Done` names the store's return. A request
    that is not approved holds no exchange (platforms.md A5.4): with one, it is quoted as `exchange_needs_approval`.
    `besides`: the store's own returns of this number that are over, and not what is opened now.
    """

    number: str
    parts: tuple[ReturnPart, ...]
    approved: bool
    exchange: tuple[ExchangePart, ...] = ()
    restocking_fee: Money | None = None
    shipping_fee: Money | None = None
    note: str = ""
    besides: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DecideReturn:
    """Say yes or no to a return that the store knows. `why` (when no): final_sale, too_late or other.

    `notify`, here and below: the platform itself writes to its customer, because nobody else does.
    """

    number: str
    return_external_id: str
    approve: bool
    why: str = ""
    note: str = ""
    notify: bool = False


@dataclass(frozen=True, slots=True)
class LabelReturn:
    """Put a parcel's number and, where there is one, its label on the return. `label_url` is good for a day."""

    number: str
    return_external_id: str
    tracking_number: str = ""
    tracking_url: str = ""
    carrier: str = ""
    label_url: str = ""
    notify: bool = False


@dataclass(frozen=True, slots=True)
class Disposed:
    """What became of so many of a line."""

    line_external_id: str
    quantity: int
    disposition: Disposition


@dataclass(frozen=True, slots=True)
class ReceiveReturn:
    """The goods are here: what of them goes back on the shelf."""

    number: str
    return_external_id: str
    goods: tuple[Disposed, ...]


@dataclass(frozen=True, slots=True)
class PayReturn:
    """Give back `amount` in all, for these parts and `delivery` of the order's delivery; never more than was quoted.

    `fees` were taken off the goods' worth already, and `used` is what of it new goods take: `amount` is what moves.
    `credit`: as store credit instead of to the original payment, with `bonus` on top of `amount`. `restock` is what
    `ReceiveReturn` has not put back yet. With it the return's exchange is released, so an `amount` of nothing is asked
    for too. `Done.amount` is what moved of `amount`, without the bonus; `Done.detail` says what did not, and names a
    credit that is a coupon.
    """

    number: str
    return_external_id: str
    parts: tuple[ReturnPart, ...]
    amount: Money
    delivery: Money | None = None
    fees: Money | None = None
    used: Money | None = None
    credit: bool = False
    bonus: Money | None = None
    restock: tuple[Disposed, ...] = ()


@dataclass(frozen=True, slots=True)
class SendInstead:
    """Have what was chosen instead go out: `parts`, of which the customer still pays `owed` before anything is sent.

    What they cost beyond that is settled by the goods that came back. Where the platform's own return holds the
    exchange, `PayReturn` has released it. `Done.external_id` is the order that it is on, `Done.amount` what is owed.
    """

    number: str
    return_external_id: str
    parts: tuple[ExchangePart, ...]
    owed: Money


class Ending(StrEnum):
    """How a return leaves its course, or comes back onto it."""

    CLOSE = "close"
    CANCEL = "cancel"
    REOPEN = "reopen"


@dataclass(frozen=True, slots=True)
class EndReturn:
    """Close the return on the store, call it off, or open it again."""

    number: str
    return_external_id: str
    how: Ending
    notify: bool = False


ReturnAction = OpenReturn | DecideReturn | LabelReturn | ReceiveReturn | PayReturn | SendInstead | EndReturn


@dataclass(frozen=True, slots=True)
class ReturnQuote:
    """What the platform says about money that is to go back. Nothing has happened.

    `amount` is what the platform itself would give for these parts; `ours` was asked for. `by_hand`: somebody has to
    move the money. `refusal`, `ask`, `notes`, `plan`: as in `plugin.platform.Quote`. Refusals of our own: `changed`
    (what the platform has no longer fits), `not_approved`, `ended`, `more_than_paid`, `exchange_needs_approval`,
    `no_customer`, `no_email`. Notes: `customer_owes` (the exchange costs more; `amount` is nothing), `restock_by_hand`
    (the platform does not put these goods back), `store_mails`.
    """

    ours: Money | None = None
    amount: Money | None = None
    by_hand: bool = False
    refusal: str = ""
    ask: str = ""
    notes: tuple[str, ...] = ()
    plan: Mapping[str, Any] = field(default_factory=dict)
