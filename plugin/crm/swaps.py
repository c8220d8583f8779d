"""Other goods in an order that was not sent: what each line could become, and whether the shop has it.

Shoppers and agents ask for it by the same words; whether it can be done, and what it costs, is the store's own answer.
"""

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import select

from plugin.crm import orders
from plugin.crm.orders import OrderLine, OrderView
from plugin.crm.products import Product, Variant
from plugin.kernel.db import Tx
from plugin.kernel.errors import AhlanError
from plugin.kernel.lazy import _
from plugin.platform import Change, LineChange

MOST_LINES: Final = 100
MOST_OF_ONE: Final = 99
MOST_VARIANTS: Final = 100
_LONG: Final = 200

Choices = Mapping[str, Sequence[Variant]]
"""The variants that can be had, by their product."""


def lines(view: OrderView) -> Sequence[OrderLine]:
    """What is still in the order. Pure."""
    return [line for line in view.lines if orders.held(line)]


def own(line: OrderLine) -> str:
    """What a line is now: its variant, or the product that has none. Pure."""
    return line.variant_external_id or line.product_external_id


def most_of(line: OrderLine) -> int:
    """How many of a line somebody may ask for: what is in the order always. Pure."""
    return max(MOST_OF_ONE, orders.held(line))


def change(wanted: Sequence[LineChange], view: OrderView) -> Change:
    """What these lines become, for the platform. Raises AhlanError for what makes no sense of this order. Pure."""
    known = {line.external_id: most_of(line) for line in lines(view)}
    ids = [one.line_external_id for one in wanted]
    if (
        not wanted or len(wanted) > MOST_LINES or len(set(ids)) != len(ids) or any(id not in known for id in ids)
        or any(not 0 <= one.quantity <= known[one.line_external_id] for one in wanted)
        or any(len(one.variant_external_id) > _LONG for one in wanted)
    ):  # fmt: skip
        raise _elsewhere()
    return Change(tuple(wanted))


def _elsewhere() -> AhlanError:
    return AhlanError(_("These items are not in this order."), _("Choose them from its list once more."), code="lines")


async def choices(tx: Tx, store_id: UUID, view: OrderView) -> Choices:
    """What each line could be instead: the variants of its product that the shop has."""
    products = {line.product_external_id for line in view.lines} - {""}
    rows = await tx.execute(
        select(Variant, Product.external_id)
        .join(Product, (Product.workspace_id == Variant.workspace_id) & (Product.id == Variant.product_id))
        .where(
            Variant.workspace_id == tx.workspace_id, Product.store_id == store_id, Product.external_id.in_(products),
            Product.deleted_at.is_(None), Variant.available, Variant.stock.is_(None) | (Variant.stock > 0),
        )
        .order_by(Variant.title, Variant.external_id)
        .limit(MOST_LINES * MOST_VARIANTS)
    )  # fmt: skip
    found: dict[str, list[Variant]] = {}
    for row in rows:
        found.setdefault(row.external_id, []).append(row.Variant)
    return {product: held[:MOST_VARIANTS] for product, held in found.items()}


async def may_have(tx: Tx, store_id: UUID, view: OrderView, action: Change) -> None:
    """Raises AhlanError for a variant of another product, and for more than the shop has."""
    known = {line.external_id: line for line in view.lines}
    others = await choices(tx, store_id, view)
    for one in action.lines:
        line = known[one.line_external_id]
        wanted = one.variant_external_id or own(line)
        found = next((held for held in others.get(line.product_external_id, ()) if held.external_id == wanted), None)
        more = one.quantity - (orders.held(line) if wanted == own(line) else 0)
        if more > 0 and (found is None or (found.stock is not None and found.stock < more)):
            raise AhlanError(
                _("There is not enough of that."), _("Choose less, or something else."), code="out_of_stock"
            )
        if wanted != own(line) and (found is None or one.quantity == 0):
            raise _elsewhere()
