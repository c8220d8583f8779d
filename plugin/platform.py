"""The port to a commerce platform: our words for its things, and the few questions we ask it.

Everything that speaks a platform's own JSON lives behind this in `integrations/`. Differences are named
capabilities: what a platform cannot do is not among them, and is not asked for. Records carry the platform's own id as
text in `external_id`, times in UTC, and `version`: the platform's `updated_at`, by which a newer record wins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable
from uuid import UUID

from plugin.kernel.money import Money
from plugin.return_desk import ReturnableOrder, ReturnAction, ReturnPart, ReturnQuote

if TYPE_CHECKING:
    from plugin.kernel.db import Tx


class Capability(StrEnum):
    """What a platform can do that another cannot."""

    BULK_HISTORY = "bulk_history"
    COMPLIANCE_WEBHOOKS = "compliance_webhooks"
    CUSTOMER_MERGE = "customer_merge"
    REFUND_API = "refund_api"
    WEBHOOK_RETRIES = "webhook_retries"
    CART_WEBHOOKS = "cart_webhooks"
    THEMED_PAGES = "themed_pages"
    # Whether the customer hears of other goods in their order is ours to say.
    QUIET_CHANGES = "quiet_changes"


class Resource(StrEnum):
    """What can be paged through: history, reconciliation."""

    CUSTOMERS = "customers"
    PRODUCTS = "products"
    ORDERS = "orders"


class PlatformError(Exception):
    """The platform said no, or nothing. `retry`: trying again can help, `after` seconds from now at the earliest.

    `reauthorize`: our credentials are dead and only the merchant can renew them. `said` is the platform's own text,
    without anything secret. `lost`: the request may have arrived and only its answer did not, so it may have happened.
    """

    def __init__(
        self,
        said: str,
        *,
        retry: bool,
        after: float | None = None,
        reauthorize: bool = False,
        code: str = "",
        lost: bool = False,
    ) -> None:
        super().__init__(said)
        self.said = said
        self.retry = retry
        self.after = after
        self.reauthorize = reauthorize
        self.code = code
        self.lost = lost


def still_open(error: PlatformError) -> PlatformError:
    """The same trouble, met while an earlier answer was looked for: it says nothing about what was done before."""
    return PlatformError(
        error.said, retry=error.retry, after=error.after, reauthorize=error.reauthorize, code=error.code, lost=True
    )


@dataclass(frozen=True, slots=True)
class Address:
    """A postal address as the platform keeps it; empty strings where it has nothing."""

    name: str = ""
    company: str = ""
    line1: str = ""
    line2: str = ""
    city: str = ""
    province: str = ""
    postcode: str = ""
    country: str = ""
    phone: str = ""


@dataclass(frozen=True, slots=True)
class ConsentRecord:
    """A person's answer to one purpose: email_marketing or sms_marketing. `state`: granted, denied, pending.

    `at` is when it was given or withdrawn; where the platform does not say that (`dated` False), when it last said so.
    `level` is the platform's word for how (single_opt_in, confirmed_opt_in), `source` who holds it: store, mailchimp,
    elsewhere.
    """

    purpose: str
    state: str
    at: datetime
    level: str = ""
    source: str = "store"
    dated: bool = True


@dataclass(frozen=True, slots=True)
class CustomerRecord:
    """A person as one store knows them. Guests come from orders and have the order's contact data only.

    What is None was not told and is kept as it was, and so is an empty `locale`; what else is empty is empty.
    """

    external_id: str
    version: datetime
    email: str = ""
    phone: str = ""
    first_name: str = ""
    last_name: str = ""
    locale: str = ""
    tags: tuple[str, ...] | None = ()
    note: str = ""
    addresses: tuple[Address, ...] = ()
    accepts_marketing: bool | None = None
    orders_count: int | None = None
    total_spent: Money | None = None
    created_at: datetime | None = None
    consents: tuple[ConsentRecord, ...] = ()
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CustomerPart:
    """A few things about a customer that arrived on their own; the rest stays, and an unknown customer stays unknown.

    `version` orders these parts among themselves only: it is no `updated_at` of the customer.
    """

    external_id: str
    version: datetime
    tags_added: tuple[str, ...] = ()
    tags_removed: tuple[str, ...] = ()
    orders_count: int | None = None
    total_spent: Money | None = None
    accepts_marketing: bool | None = None
    consents: tuple[ConsentRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class LineRecord:
    """One line of an order or a cart."""

    external_id: str
    title: str
    quantity: int
    unit_price: Money | None
    variant_title: str = ""
    sku: str = ""
    product_external_id: str = ""
    variant_external_id: str = ""
    image_url: str = ""
    refunded_quantity: int = 0


@dataclass(frozen=True, slots=True)
class FulfilmentRecord:
    """A parcel. `status`: pending, ready_for_pickup, in_transit, out_for_delivery, delivered, failed, cancelled or
    unknown.

    `estimated_at`: when the carrier expects to deliver it. `proof_url`: a picture of where it was left, where the store
    has one.
    """

    external_id: str
    status: str
    tracking_number: str = ""
    tracking_url: str = ""
    carrier: str = ""
    shipped_at: datetime | None = None
    delivered_at: datetime | None = None
    estimated_at: datetime | None = None
    proof_url: str = ""


@dataclass(frozen=True, slots=True)
class RefundRecord:
    """Money given back."""

    external_id: str
    amount: Money | None
    reason: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ReturnRecord:
    """Goods that go back. `status`: requested, open, declined, cancelled, closed or unknown.

    `at`: when it came to be in that status; None where the platform does not say, then it is the time of the telling.
    An empty name was not told and keeps what is stored.
    """

    external_id: str
    status: str
    name: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class OrderRecord:
    """An order. `customer_external_id` is empty for a guest; then e-mail and phone are all there is.

    `total` is of all that was ordered, before returns; `current_total` what it comes to as it stands, after changes and
    returns. `pickup`: what the store calls the way in which the shopper fetches it themselves; empty where it is sent.
    """

    external_id: str
    version: datetime
    name: str
    placed_at: datetime
    total: Money
    status: str = "open"
    payment_status: str = ""
    fulfilment_status: str = ""
    customer_external_id: str = ""
    email: str = ""
    phone: str = ""
    customer_name: str = ""
    locale: str = ""
    cancelled_at: datetime | None = None
    subtotal: Money | None = None
    shipping_total: Money | None = None
    discount_total: Money | None = None
    tax_total: Money | None = None
    refunded: Money | None = None
    current_total: Money | None = None
    payment_method: str = ""
    note: str = ""
    tags: tuple[str, ...] = ()
    shipping_address: Address | None = None
    cart_token: str = ""
    status_url: str = ""
    pickup: str = ""
    lines: tuple[LineRecord, ...] | None = None
    fulfilments: tuple[FulfilmentRecord, ...] | None = None
    refunds: tuple[RefundRecord, ...] | None = None
    returns: tuple[ReturnRecord, ...] | None = None
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OrderPart:
    """A fulfilment, refund or return that arrived on its own; it belongs to `order_external_id`, which may come later.

    Empty texts of its fulfilment were not told (a scan event carries no tracking number) and keep what is stored.
    """

    order_external_id: str
    version: datetime
    fulfilment: FulfilmentRecord | None = None
    refund: RefundRecord | None = None
    returned: ReturnRecord | None = None


@dataclass(frozen=True, slots=True)
class CartRecord:
    """A cart or a checkout. `kind`: cart or checkout; `completed_order_external_id` once it became an order."""

    external_id: str
    version: datetime
    kind: str
    currency: str = ""
    total: Money | None = None
    customer_external_id: str = ""
    email: str = ""
    phone: str = ""
    token: str = ""
    recovery_url: str = ""
    completed_at: datetime | None = None
    lines: tuple[LineRecord, ...] = ()
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VariantRecord:
    """What can be bought. `stock` is None where the store does not count it."""

    external_id: str
    title: str
    price: Money | None
    sku: str = ""
    stock: int | None = None
    available: bool = True


@dataclass(frozen=True, slots=True)
class ProductRecord:
    """A product with its variants; a simple product has one variant with the product's own id.

    A WooCommerce variation that arrives alone has `variants` of one and `parent_external_id` set: it is merged.
    """

    external_id: str
    version: datetime
    title: str
    status: str = "active"
    url: str = ""
    image_url: str = ""
    description: str = ""
    vendor: str = ""
    product_type: str = ""
    tags: tuple[str, ...] = ()
    variants: tuple[VariantRecord, ...] = ()
    parent_external_id: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProductTranslation:
    """What a store calls a product in one more language. `choices`: its options' values, by what they are without it.

    An empty title has none.
    """

    external_id: str
    language: str
    title: str = ""
    choices: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Deletion:
    """The platform no longer has it: leaves a tombstone, so that an older update cannot bring it back."""

    resource: str
    external_id: str
    version: datetime


@dataclass(frozen=True, slots=True)
class MergeRecord:
    """The platform merged two customers: `loser` is gone and everything of it belongs to `survivor`."""

    survivor_external_id: str
    loser_external_id: str
    version: datetime


@dataclass(frozen=True, slots=True)
class StoreNotice:
    """Something about the store itself: `uninstalled`, `scopes_updated`, `shop_updated`, `data_request`,
    `customer_redact`, `shop_redact`, `bulk_finished`, `webhook_owner_demoted`, `unknown_topic`; or `return_changed`, of
    which no more is told than its `return_external_id`.

    `data` of the two about a person: `customer_external_id`, `email`, `phone`, `orders` (external ids), `request_id`.
    """

    kind: str
    at: datetime
    data: Mapping[str, Any] = field(default_factory=dict)


Record = (
    CustomerRecord
    | CustomerPart
    | OrderRecord
    | OrderPart
    | CartRecord
    | ProductRecord
    | Deletion
    | MergeRecord
    | StoreNotice
)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of history. `cursor` None: that was the last. `total` is an estimate for the progress bar, or None.

    `limited_before`: older things exist, but the platform does not show them to us; `limited_by` names the scope.
    """

    records: Sequence[Record]
    cursor: str | None
    total: int | None = None
    limited_before: datetime | None = None
    limited_by: str = ""


@dataclass(frozen=True, slots=True)
class Connection:
    """A store to talk to. Credentials are fetched by the platform itself under a lock, never passed around."""

    workspace_id: UUID
    store_id: UUID
    external_id: str
    url: str
    timezone: str = "UTC"
    currency: str = ""


@dataclass(frozen=True, slots=True)
class StoreProfile:
    """What the platform says about the store itself."""

    name: str
    url: str
    origins: tuple[str, ...]
    currency: str
    currency_decimals: int | None
    timezone: str
    locale: str
    email: str = ""
    country: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a health check found; `code` has words and a remedy in the panel's catalogue.

    `ask`: the platform's name of a permission that the merchant may give or not, and that would make it good. Inside
    the store's admin the panel asks for it there; `detail` is then where that admin is, for everybody else.
    """

    code: str
    ok: bool
    detail: str = ""
    ask: str = ""


@dataclass(frozen=True, slots=True)
class ShortAddress:
    """A short path of the storefront that leads to the page of orders and returns.

    `ours`: it does. `other`: where somebody else made it lead. `ask`: the permission that is missing for looking at it
    at all. `said`: why the platform refused the last wish.
    """

    path: str
    target: str
    ours: bool = False
    other: str = ""
    ask: str = ""
    said: str = ""


@runtime_checkable
class ShortAddresses(Protocol):
    """What a platform offers whose storefront lets such a path be made. Errors are PlatformError."""

    async def short_address(self, connection: Connection) -> ShortAddress:
        """How it stands."""
        ...

    async def give_short_address(self, connection: Connection, *, on: bool) -> ShortAddress:
        """Make it, or take ours away; another's stays as it is. Safe to repeat."""
        ...


TITLES_UNTRANSLATED = "titles_untranslated"
"""`Finding.code` of whether we may read what a store calls its goods in other languages."""


@runtime_checkable
class Translating(Protocol):
    """What a platform offers whose products have translations; elsewhere each language is a product of its own."""

    async def product_translations(
        self, connection: Connection, products: Sequence[str], languages: Sequence[str]
    ) -> Sequence[ProductTranslation]:
        """The translations of some products, by their platform's ids; nothing for a language that they lack.

        Raises PlatformError, with `ACCESS_DENIED` where the merchant has not allowed it.
        """
        ...


@dataclass(frozen=True, slots=True)
class AdminSession:
    """A staff member of a store's admin whose token was good. `frame_ancestors` are CSP sources for this shop only.

    `administrator`: the platform names them as who runs the store. `expires_at` is when their token ends: nothing that
    was opened with it stays open for longer.
    """

    workspace_id: UUID
    store_id: UUID
    staff_id: str
    staff_name: str
    staff_email: str
    administrator: bool
    frame_ancestors: tuple[str, ...]
    locale: str = ""
    expires_at: datetime | None = None


ACCESS_DENIED = "access_denied"
"""`PlatformError.code` of what the platform shows only with a permission that we do not hold."""


class StaleToken(Exception):
    """The admin token is missing, wrong or too old: the embedding page must fetch a fresh one and come again."""


@dataclass(frozen=True, slots=True)
class ShopperIdentity:
    """A shopper whom the platform itself vouches for; empty `customer_external_id`: signed, but a guest."""

    workspace_id: UUID
    store_id: UUID
    customer_external_id: str


class Delivery(NamedTuple):
    """A webhook whose signature was good. `key` deduplicates within a source, `store_key` is the store as the sender
    names it (directory kind `store_kind`), `headers` are the few that reading the body later needs.
    """

    key: str
    store_kind: str
    store_key: str
    topic: str
    headers: Mapping[str, str]


class Answer(StrEnum):
    """What a webhook edge answers without storing anything."""

    UNSIGNED = "unsigned"
    INCOMPLETE = "incomplete"
    PING = "ping"
    UNKNOWN_TOPIC = "unknown_topic"
    UNKNOWN_STORE = "unknown_store"


WEBHOOK_LIMIT = 5 * 1024 * 1024
"""Bytes of a platform's delivery: the largest orders of either are far below."""


class WebhookSource(Protocol):
    """One vendor's deliveries at `/webhooks/<name>[/<tail>]`: verify the raw bytes, name the delivery, nothing else."""

    name: str
    body_limit: int
    """The most bytes that a delivery may have; above WEBHOOK_LIMIT, `knows` is asked before the first is read."""

    async def knows(self, tail: str) -> bool:
        """Whether anybody at all may send to this address: strangers cannot make us hold large bodies."""
        ...

    async def read(self, tail: str, headers: Mapping[str, bytes], body: bytes) -> Delivery | Answer:
        """`headers` have lower-case names. The signature is checked before anything else is missed."""
        ...


# What the shop has written


@dataclass(frozen=True, slots=True)
class Writing:
    """A text that the shop shows on its own pages. `kind`: page, post (of a blog) or policy; `html` as it was written.

    An empty `language` was not told.
    """

    external_id: str
    kind: str
    title: str
    html: str
    url: str
    language: str = ""
    collection: str = ""


@dataclass(frozen=True, slots=True)
class WritingPage:
    """Some of them. `asks`: permissions that the merchant may give, and without which some kinds are not shown."""

    items: tuple[Writing, ...]
    cursor: str | None
    asks: tuple[str, ...] = ()


# Where the shop delivers


@dataclass(frozen=True, slots=True)
class DeliveryRate:
    """A way of delivering to a zone. `price` None: the store reckons it when the address is known.

    `least` and `most`: only for baskets worth so much. `by_weight`: only for some weights. `about` is what the checkout
    shows beside the name, mostly how long it takes.
    """

    name: str
    price: Money | None
    least: Money | None = None
    most: Money | None = None
    by_weight: bool = False
    about: str = ""


@dataclass(frozen=True, slots=True)
class DeliveryZone:
    """Places that cost the same. `countries`: ISO 3166 codes, each with the names of those of its regions that are
    meant; none: all of it. `everywhere`: every country that no zone before it has. `partly`: only some postcodes of it.
    """

    countries: dict[str, tuple[str, ...]]
    rates: tuple[DeliveryRate, ...]
    everywhere: bool = False
    partly: bool = False


@dataclass(frozen=True, slots=True)
class Deliveries:
    """Where a store delivers, its zones in the order in which they count. `varies`: some goods cost something else.
    `taxed`: tax comes on top of the prices. `only`: the ISO 3166 codes of the countries that it delivers to at all,
    whatever its zones say; None for all. `never`: those that it does not.

    `ask`: the permission that is missing for looking at it; then there are no zones.
    """

    zones: tuple[DeliveryZone, ...] = ()
    varies: bool = False
    taxed: bool = False
    ask: str = ""
    only: tuple[str, ...] | None = None
    never: tuple[str, ...] = ()


# Acting on an order


@dataclass(frozen=True, slots=True)
class RefundLine:
    """So many of one line of the order."""

    line_external_id: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Refund:
    """Give money back: for these lines, for delivery, or (`whole`) everything that is left.

    `restock`: the goods go back on the shelf. `notify`: the store writes to the customer, where it leaves that to us.
    """

    lines: tuple[RefundLine, ...] = ()
    shipping: bool = False
    whole: bool = False
    restock: bool = False
    notify: bool = True
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Cancel:
    """Call an order off. `refund`: what was paid goes back with it.

    `reason`: customer, stock, fraud, declined or other.
    """

    reason: str = "customer"
    refund: bool = True
    restock: bool = True
    notify: bool = True
    note: str = ""


@dataclass(frozen=True, slots=True)
class Readdress:
    """Send the order somewhere else. `country` is an ISO 3166 code, `province` the platform's own code or name."""

    first_name: str = ""
    last_name: str = ""
    company: str = ""
    line1: str = ""
    line2: str = ""
    city: str = ""
    province: str = ""
    postcode: str = ""
    country: str = ""
    phone: str = ""


@dataclass(frozen=True, slots=True)
class Annotate:
    """Write a note for the shop's own people onto the order."""

    text: str = ""


@dataclass(frozen=True, slots=True)
class Retag:
    """Put tags on the order, and take some off."""

    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Discount:
    """A code for the customer of the order, good once: `percent` (1 to 100) or `amount` (minor units) off."""

    code: str = ""
    percent: int = 0
    amount: int = 0
    days: int = 30


@dataclass(frozen=True, slots=True)
class EndDiscount:
    """Make a code that we made worthless. `discount_external_id` is from its `Done`."""

    discount_external_id: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The same goods to the same person once more, as something that is not an order yet. `free`: at no charge.

    `lines`: only so many of these; empty: all of it. `place`: it becomes an order at once.
    """

    free: bool = False
    invoice: bool = False
    lines: tuple[RefundLine, ...] = ()
    place: bool = False


@dataclass(frozen=True, slots=True)
class LineChange:
    """What a line becomes: `quantity` of it, or of `variant_external_id` instead. 0 takes it out."""

    line_external_id: str
    quantity: int
    variant_external_id: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """Other goods in an order that was not sent: the difference is paid afterwards, or goes back with it."""

    lines: tuple[LineChange, ...] = ()
    notify: bool = True
    reason: str = ""


OrderAction = Refund | Cancel | Readdress | Annotate | Retag | Discount | EndDiscount | Duplicate | Change


@dataclass(frozen=True, slots=True)
class Bought:
    """So many of a variant, as a link to buy it again names them."""

    variant_external_id: str
    quantity: int


@dataclass(frozen=True, slots=True)
class QuotedLine:
    """A line as the platform would take it back. `left`: how many can be, `amount`: what `quantity` of them bring."""

    external_id: str
    title: str
    left: int
    quantity: int = 0
    amount: Money | None = None


@dataclass(frozen=True, slots=True)
class Quote:
    """What the platform says would happen. Nothing has.

    `amount` is what moves, in the store's currency; `charged` the same as the customer is charged, where that is
    another currency; `most` what could go back at all; `owed` what would be left to pay. `by_hand`: the platform writes
    it down and somebody has to move the money. `refusal`: it would refuse, in its own words or with one of our codes.
    `ask`: a permission that the merchant has to give first. `notes` are codes of what is good to know
    before. `before`: how it is now, for whoever takes it back. `plan` is the
    adapter's own, kept for `act`: what was confirmed is what is sent.
    """

    amount: Money | None = None
    charged: Money | None = None
    most: Money | None = None
    shipping: Money | None = None
    tax: Money | None = None
    lines: tuple[QuotedLine, ...] = ()
    gateway: str = ""
    by_hand: bool = False
    refusal: str = ""
    ask: str = ""
    notes: tuple[str, ...] = ()
    before: Mapping[str, Any] = field(default_factory=dict)
    plan: Mapping[str, Any] = field(default_factory=dict)
    owed: Money | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """It happened. `external_id` is what it made, `name` how the store calls that. `amount`: what really moved."""

    external_id: str = ""
    name: str = ""
    amount: Money | None = None
    detail: str = ""


class OrderDesk(Protocol):
    """What a platform offers about acting on one order. Errors are PlatformError; `lost` on one: it may have happened.

    `order` is the platform's id of it; `key` is ours, one per decision of a person.
    """

    actions: frozenset[type[OrderAction]]

    async def quote(self, connection: Connection, order: str, action: OrderAction) -> Quote:
        """What would happen. Changes nothing."""
        ...

    async def act(self, connection: Connection, order: str, action: OrderAction, quote: Quote, key: str) -> Done:
        """Do it, as it was quoted. Called once per `key`; afterwards it is `settle`."""
        ...

    async def settle(
        self, connection: Connection, order: str, action: OrderAction, quote: Quote, key: str
    ) -> Done | None:
        """After an answer was lost: bring it to an end without doing it twice, or find it done. None: no trace of it.

        An error without `lost` says that it was not done, and will not be.
        """
        ...

    async def read_order(self, connection: Connection, order: str) -> Sequence[Record]:
        """The order as it is now."""
        ...

    def buy_link(self, connection: Connection, goods: Sequence[Bought]) -> str:
        """Where these goods lie in a cart of the storefront, ready to be ordered. Pure; nothing is bought by it."""
        ...

    async def pay_link(self, connection: Connection, order: str, made: str = "") -> str:
        """Where what is owed for the order is paid, or for `made` by a Duplicate or a Change; empty when nothing is.

        A bearer link: whoever has it sees the order. It is never stored or logged.
        """
        ...


class ReturnDesk(Protocol):
    """What a platform offers about a return (plugin/return_desk.py). Errors and `lost` as with `OrderDesk`.

    `key` is ours, one per step of a return.
    """

    returns: frozenset[type[ReturnAction]]
    """What the platform knows of itself; asked for anything else, its adapter writes a note on the order."""

    async def returnable(self, connection: Connection, order: str) -> ReturnableOrder | None:
        """The order as it stands at this moment; None when the platform has it no more."""
        ...

    async def return_parts(self, connection: Connection, return_external_id: str) -> Sequence[ReturnPart]:
        """What a return that was made in the store itself sends back; `words` are what its customer wrote."""
        ...

    async def quote_return(self, connection: Connection, order: str, action: ReturnAction) -> ReturnQuote:
        """What would happen. Changes nothing."""
        ...

    async def act_return(
        self, connection: Connection, order: str, action: ReturnAction, quote: ReturnQuote, key: str
    ) -> Done:
        """Do it. Called once per `key`; afterwards it is `settle_return`."""
        ...

    async def settle_return(
        self, connection: Connection, order: str, action: ReturnAction, quote: ReturnQuote, key: str
    ) -> Done | None:
        """After an answer was lost: find it done, or bring it to an end without doing it twice. None: no trace of it.

        An error without `lost` says that it was not done, and will not be.
        """
        ...

    async def read_return(self, connection: Connection, return_external_id: str) -> Sequence[Record]:
        """The order of a return as it is now, after the platform told no more than that the return changed."""
        ...


class Platform(OrderDesk, ReturnDesk, Protocol):
    """What every platform offers. Errors are PlatformError; nothing here is called inside a transaction."""

    kind: str
    capabilities: frozenset[Capability]

    async def profile(self, connection: Connection) -> StoreProfile:
        """Name, addresses, currency: refreshed on install, when the platform says so, and daily."""
        ...

    async def history(self, connection: Connection, resource: Resource, cursor: str | None) -> Page:
        """The next page of everything the store has, oldest first; `cursor` resumes where a page ended."""
        ...

    async def changes(self, connection: Connection, resource: Resource, since: datetime, cursor: str | None) -> Page:
        """The next page of what changed at or after `since` (UTC): reconciliation overlaps on purpose."""
        ...

    async def writings(self, connection: Connection, cursor: str | None) -> WritingPage:
        """The next of the shop's published pages, posts and policies; `cursor` is that of the page before."""
        ...

    async def deliveries(self, connection: Connection) -> Deliveries:
        """Where the shop delivers and at what price, as its checkout goes by it; read once a day."""
        ...

    async def register_webhooks(self, connection: Connection) -> Sequence[Finding]:
        """Compare what is subscribed with what we need, mend it, and say what was wrong. Safe to repeat."""
        ...

    async def check(self, connection: Connection) -> Sequence[Finding]:
        """Is everything as it must be: credentials, scopes, settings that hide us from shoppers."""
        ...

    async def embed_state(self, connection: Connection) -> Finding:
        """Whether the widget is switched on in the storefront, as far as the platform tells."""
        ...

    async def rotate(self, connection: Connection, older_than: timedelta) -> bool:
        """Renew the secret that the store's own side shares with us, if it is that old; says whether it was.

        The old one stays good until nothing signed with it can be under way. False where there is no such secret.
        Raises PlatformError when the store does not take the new one: then the old one goes on, and it is tried again.
        """
        ...

    async def admin_session(self, token: str) -> AdminSession:
        """Who opens the embedded panel, from the platform's signed token alone, never from a `shop` parameter.

        The first good token of a store installs it (Shopify's token exchange). Raises StaleToken, PlatformError.
        """
        ...

    async def shopper_identity(self, connection: Connection, token: str) -> ShopperIdentity | None:
        """Who chats, from a short-lived token that the storefront got from the platform; None when it is not good."""
        ...

    async def account_sign_in(self, connection: Connection) -> str:
        """The path of ours at which a shopper signs in with the platform's own account; empty where a store has none.

        It takes `store` (a public key), `mark` (the widget's word for this window) and `locale`, and ends in a page
        that hands the widget a token for `shopper_identity`. May ask the store; what it says is kept for a while.
        """
        ...

    async def account_identity(self, token: str) -> ShopperIdentity | None:
        """Who looks at the platform's own account pages, from the token that our extension there got from it.

        None when it is not good. Of an installed store, also of one that was uninstalled since.
        """
        ...

    def panel_head(self) -> Mapping[str, str]:
        """What the embedding admin wants in the document's head: `script` (App Bridge) and `api_key`; or empty.

        `embed` is the name under which its bridge knows our block in a theme. `self_signed` names the software of a
        store whose own server says who its staff are, so that whoever runs it can speak as each of them.
        """
        ...

    def ways_back(self, connection: Connection) -> Mapping[str, str]:
        """Where a merchant lets us in again: `admin`, an address in the store's own admin, and `form`, a page of ours
        that takes the store's address, here `site`, where there is one.
        """
        ...

    def read_webhook(
        self, topic: str, body: bytes, received_at: datetime, connection: Connection | None = None
    ) -> Sequence[Record]:
        """Pure: our records from a delivered body whose signature was good.

        `connection` is the store the delivery was addressed to: prices without a currency are in its currency, and a
        body that names another store is refused. Raises ValueError on that and on broken JSON.
        """
        ...

    async def disconnected(self, tx: Tx, store_id: UUID) -> None:
        """Forget credentials; called in the transaction that marks the store as uninstalled."""
        ...
