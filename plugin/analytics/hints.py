"""What stands out among the reasons for which a product comes back: a hint for the shop, and one for its product page.

A hint is a claim about a product, so it is made only where chance is a poor explanation (docs/return-report.md):

- a purchase is one order with the product, however many pieces; it counts for a reason once,
- at least LEAST purchases came back for the reason,
- asked is how likely chance alone gives so many: beside the shop's other products (R. A. Fisher's exact test, one
  side), and if the true share were FLOOR (exact binomial test); the larger of the two answers counts,
- "runs small" is said only where "too small" beats "too large" by more than FALSE of coin tosses would, and the other
  way round,
- many products are many chances to be fooled: all together are held to FALSE by the procedure of Y. Benjamini and
  Y. Hochberg (J. R. Statist. Soc. B 57, 1995). Of the hints that are shown, at most that share is chance on average.
"""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import and_, func, select

from plugin.app import App
from plugin.crm.orders import Order, OrderLine
from plugin.kernel.db import Tx
from plugin.kernel.lazy import Lazy, _
from plugin.returns.narrowing import NOT_COUNTED
from plugin.returns.records import ReturnLine, ReturnRequest
from plugin.stores import Store

SPAN = timedelta(days=365)
"""Orders and their returns from so long ago count."""
LEAST = 5
FLOOR = 0.02
FALSE = 0.05

SMALL, LARGE = "too_small", "too_large"
SAID_TO_SHOPPERS = (SMALL, LARGE)
"""What helps somebody who is about to buy; the rest is for the shop to mend."""
WORDS: Mapping[str, Lazy] = {
    SMALL: _("Runs small: when in doubt, choose one size larger. Others sent it back as too small."),
    LARGE: _("Runs large: when in doubt, choose one size smaller. Others sent it back as too large."),
}
"""What a product's page says."""
SWITCH = "fit"
"""Of `Store.widget`: whether product pages may say it."""

_OPPOSITE = {SMALL: LARGE, LARGE: SMALL}
_FRESH = 3600.0
_MOST_KEPT = 2_000


@dataclass(frozen=True, slots=True)
class Hint:
    """`returned` of `bought` purchases came back for `reason`; `elsewhere` is the share of the shop's other products.

    `chance`: how likely so many are by chance alone.
    """

    store_id: UUID
    product: str
    reason: str
    returned: int
    bought: int
    elsewhere: float
    chance: float

    @property
    def share(self) -> float:
        """The share of its purchases that came back for it."""
        return self.returned / self.bought


def at_least(hits: int, of: int, share: float) -> float:
    """How likely `hits` or more of `of` are where each is with probability `share`. Pure."""
    if hits <= 0:
        return 1.0
    logs = (math.log(share), math.log1p(-share))
    return _sum(_choose(of, one) + one * logs[0] + (of - one) * logs[1] for one in range(hits, of + 1))


def as_uneven(hits: int, of: int, all_hits: int, all_of: int) -> float:
    """How likely `hits` or more of all hits fall on these `of` of `all_of` by chance (Fisher, one side). Pure."""
    whole, others = _choose(all_of, all_hits), all_of - of
    first = max(hits, all_hits - others)
    return _sum(
        _choose(of, one) + _choose(others, all_hits - one) - whole for one in range(first, min(of, all_hits) + 1)
    )


def _choose(of: int, many: int) -> float:
    """The logarithm of the binomial coefficient."""
    return math.lgamma(of + 1) - math.lgamma(many + 1) - math.lgamma(of - many + 1)


def _sum(logs: Iterable[float]) -> float:
    return min(1.0, math.fsum(math.exp(one) for one in logs))


def standing_out(store_id: UUID, bought: Mapping[str, int], returned: Mapping[tuple[str, str], int]) -> Sequence[Hint]:
    """The hints of a store, the surest first, at most one a product. Pure.

    `bought`: purchases by product; `returned`: those of them that came back, by product and reason.
    """
    every = sum(bought.values())
    # A return may be known of an order whose lines are not.
    returned = {key: min(count, bought.get(key[0], 0)) for key, count in returned.items()}
    by_reason: Counter[str] = Counter()
    for (_product, reason), count in returned.items():
        by_reason[reason] += count
    # What could have stood out, whether it did or not.
    looked_at = sum(count >= LEAST for count in bought.values()) * len(by_reason)
    found = []
    for (product, reason), count in returned.items():
        against = returned.get((product, _OPPOSITE.get(reason, "")), 0)
        if count < LEAST or (reason in _OPPOSITE and at_least(count, count + against, 0.5) > FALSE):
            continue
        purchases = bought[product]
        others = every - purchases
        chances = [at_least(count, purchases, FLOOR)]
        if others:
            chances.append(as_uneven(count, purchases, by_reason[reason], every))
        elsewhere = (by_reason[reason] - count) / others if others else 0.0
        found.append(Hint(store_id, product, reason, count, purchases, elsewhere, max(chances)))
    found.sort(key=lambda one: (one.chance, one.product, one.reason))
    sure = max((rank for rank, one in enumerate(found, 1) if one.chance <= FALSE * rank / looked_at), default=0)
    best: dict[str, Hint] = {}
    for one in found[:sure]:
        best.setdefault(one.product, one)
    return list(best.values())


async def of_store(tx: Tx, store_id: UUID) -> Sequence[Hint]:
    """The hints of a store as of now."""
    since = datetime.now(UTC) - SPAN
    orders: list[Any] = [
        Order.workspace_id == tx.workspace_id,
        Order.store_id == store_id,
        Order.placed_at >= since,
        Order.cancelled_at.is_(None),
        Order.deleted_at.is_(None),
    ]
    purchases = await tx.execute(
        select(OrderLine.product_external_id, func.count(OrderLine.order_id.distinct()).label("orders"))
        .join(Order, and_(Order.workspace_id == OrderLine.workspace_id, Order.id == OrderLine.order_id))
        .where(*orders, OrderLine.product_external_id != "")
        .group_by(OrderLine.product_external_id)
    )
    back = await tx.execute(
        select(
            ReturnLine.product_external_id,
            ReturnLine.reason,
            func.count(ReturnLine.order_id.distinct()).label("orders"),
        )
        .join(
            ReturnRequest,
            and_(ReturnRequest.workspace_id == ReturnLine.workspace_id, ReturnRequest.id == ReturnLine.request_id),
        )
        .join(Order, and_(Order.workspace_id == ReturnLine.workspace_id, Order.id == ReturnLine.order_id))
        .where(*orders, ReturnRequest.state.not_in(NOT_COUNTED), ReturnLine.product_external_id != "")
        .group_by(ReturnLine.product_external_id, ReturnLine.reason)
    )
    bought = {row.product_external_id: row.orders for row in purchases}
    returned = {(row.product_external_id, row.reason): row.orders for row in back}
    return standing_out(store_id, bought, returned)


class Shelf:
    """The hints that product pages ask for, an hour long in this process: a crowd of shoppers is one question."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._kept: dict[UUID, tuple[float, Mapping[str, str]]] = {}
        self._one_at_a_time = asyncio.Lock()

    async def said(self, store: Store, product: str) -> str:
        """What a product's page may say: too_small, too_large, or nothing: also where the shop wants none said.

        `product` is the store's own id of it.
        """
        if not store.widget.get(SWITCH):
            return ""
        async with self._one_at_a_time:
            at, found = self._kept.get(store.id, (-math.inf, {}))
            if time.monotonic() - at > _FRESH:
                async with self._app.db.transaction(store.workspace_id) as tx:
                    hints = await of_store(tx, store.id)
                found = {one.product: one.reason for one in hints if one.reason in SAID_TO_SHOPPERS}
                while len(self._kept) >= _MOST_KEPT:
                    self._kept.pop(next(iter(self._kept)))
                self._kept[store.id] = (time.monotonic(), found)
        return found.get(product, "")

    async def words(self, store: Store, product: str, locale: str) -> str:
        """The same in words, in the language of the page; empty where there is nothing to say."""
        reason = await self.said(store, product)
        return self._app.catalogues.translator(locale or store.locale).gettext(WORDS[reason]) if reason else ""
