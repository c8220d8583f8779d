"""What the labels of returns cost, a row for each currency."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from plugin.analytics.return_figures import Question
from plugin.kernel.db import Tx
from plugin.kernel.money import Money
from plugin.returns import queue
from plugin.returns.records import REQUESTS


@dataclass(frozen=True, slots=True)
class Labels:
    """Labels that have a price, and what they cost together, in one currency."""

    returns: int
    cost: Money

    @property
    def each(self) -> Money:
        """The average, to the minor unit."""
        return Money(round(self.cost.amount / self.returns), self.cost.currency, self.cost.exponent)


def price() -> tuple[Any, Any, Any] | None:
    """Amount (minor units), currency and decimals of a return's label, as columns beside its row.

    The one place that knows where they stand; None where labels are not bought here but brought along.
    """
    names = ("label_cost", "label_currency", "label_exponent")
    if not all(name in REQUESTS.c for name in names):
        return None
    amount, currency, exponent = (REQUESTS.c[name] for name in names)
    return amount, currency, exponent


async def costs(tx: Tx, question: Question) -> Sequence[Labels]:
    """Of the returns asked about, never added up across currencies."""
    columns = price()
    if columns is None:
        return []
    amount, currency, exponent = columns
    rows = await tx.execute(
        select(
            currency.label("currency"),
            exponent.label("exponent"),
            func.count().label("returns"),
            func.sum(amount).label("cost"),
        )
        .where(*queue.conditions(tx, question.asked), amount.is_not(None))
        .group_by(currency, exponent)
        .order_by(func.count().desc(), currency)
    )
    return [Labels(row.returns, Money(int(row.cost), row.currency, row.exponent)) for row in rows]
