"""What a store has in stock and can be had instead of something, at the store's own prices."""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import or_, select

from plugin.crm.products import Product, Variant
from plugin.kernel.db import Tx


async def products_of(
    tx: Tx, store_id: UUID, currency: str, *, products: Collection[str] = (), variants: Collection[str] = (),
    words: str = "", most: int = 12,
) -> Sequence[tuple[Variant, Product]]:  # fmt: skip
    """What is in stock with a price in that currency: of these products, these variants, or by words of the title."""
    asked = []
    if products:
        asked.append(Product.external_id.in_(products))
    if variants:
        asked.append(Variant.external_id.in_(variants))
    if words.strip():
        asked.append(Product.title.ilike(_pattern(words), escape="\\"))
    if not asked:
        return []
    rows = await tx.execute(
        select(Variant, Product)
        .join(Product, (Product.workspace_id == Variant.workspace_id) & (Product.id == Variant.product_id))
        .where(
            Variant.workspace_id == tx.workspace_id,
            Product.store_id == store_id,
            or_(*asked),
            Product.deleted_at.is_(None),
            Variant.available,
            (Variant.stock.is_(None)) | (Variant.stock > 0),
            Variant.currency == currency,
            Variant.price.is_not(None),
        )
        .order_by(Product.title, Variant.title, Variant.external_id)
        .limit(most)
    )
    return [(row.Variant, row.Product) for row in rows]


def _pattern(words: str) -> str:
    """All words in their order, whatever stands between; signs of a pattern are letters here."""
    safe = [word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") for word in words.split()[:8]]
    return f"%{'%'.join(safe)}%"
