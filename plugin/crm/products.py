"""The catalogue, as far as support needs it."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, TypedDict
from uuid import UUID

from sqlalchemy import BigInteger, Index, Text, UniqueConstraint, select, text, tuple_
from sqlalchemy.orm import Mapped, mapped_column

from plugin.crm.batch import LONG_AGO, Batch, newest
from plugin.kernel import bulk
from plugin.kernel.db import Base, TenantRow, Tx, new_id, tenant_key
from plugin.kernel.personal import nobody
from plugin.platform import ProductRecord


class Translation(TypedDict):
    """What a store calls a product in one language; an empty title: nothing else. `choices`: words of its variants'
    titles, by what they are there.
    """

    title: str
    choices: dict[str, str]


_BETWEEN = " / "
"""What stands between the values of a variant's title, on both platforms."""


class Product(TenantRow, Base):
    """A product of one store."""

    __tablename__ = "products"
    __table_args__ = (
        UniqueConstraint("workspace_id", "store_id", "external_id"),
        tenant_key("store_id", "stores"),
        {"info": nobody("the shop's goods")},
    )

    store_id: Mapped[UUID]
    external_id: Mapped[str]
    version: Mapped[datetime]
    title: Mapped[str]
    status: Mapped[str]
    url: Mapped[str] = mapped_column(server_default="")
    image_url: Mapped[str] = mapped_column(server_default="")
    description: Mapped[str] = mapped_column(server_default="")
    vendor: Mapped[str] = mapped_column(server_default="")
    product_type: Mapped[str] = mapped_column(server_default="")
    tags: Mapped[list[str]] = mapped_column(server_default=text("'[]'"))
    raw: Mapped[str] = mapped_column(Text, server_default="{}")
    # `Translation` by language, as read for `translated_version` of the product; None: to be read anew.
    translations: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    translated_version: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]

    def title_in(self, language: str) -> str:
        """What the store calls it in a language, or else what it is called."""
        return (self.translations.get(language) or {}).get("title") or self.title

    def choice_in(self, language: str, title: str) -> str:
        """The same of the title of one of its variants: "Red / L"."""
        told = (self.translations.get(language) or {}).get("choices") or {}
        # What holds the mark itself is one value.
        return told.get(title) or _BETWEEN.join(told.get(part, part) for part in title.split(_BETWEEN))


class Variant(TenantRow, Base):
    """What can be bought."""

    __tablename__ = "variants"
    __table_args__ = (
        UniqueConstraint("workspace_id", "store_id", "external_id"),
        Index(None, "workspace_id", "product_id"),
        tenant_key("product_id", "products"),
        {"info": nobody("the shop's goods")},
    )

    store_id: Mapped[UUID]
    external_id: Mapped[str]
    version: Mapped[datetime]
    product_id: Mapped[UUID]
    title: Mapped[str]
    sku: Mapped[str] = mapped_column(server_default="")
    price: Mapped[int | None] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(server_default="")
    exponent: Mapped[int] = mapped_column(server_default=text("2"))
    stock: Mapped[int | None]
    available: Mapped[bool] = mapped_column(server_default=text("true"))


NEWER = "excluded.version >= stored.version"


async def write(batch: Batch, records: Sequence[ProductRecord]) -> None:
    """Write products and variants. A variation that comes alone makes a nameless product until its own record comes."""
    if records:
        whole = newest((one.external_id, one.version, one) for one in records if not one.parent_external_id)
        parents = {one.parent_external_id for one in records if one.parent_external_id} - whole.keys()
        ids = await _ids(batch, {*whole, *parents})
        fresh = {key for key in {*whole, *parents} if key not in ids}
        ids |= {key: new_id() for key in fresh}
        await bulk.insert(
            batch.tx,
            Product,
            [_row(batch, ids[key], ProductRecord(key, LONG_AGO, "")) for key in sorted(parents & fresh)],
            key=("store_id", "external_id"),
            update=(),
        )
        written = await bulk.insert(
            batch.tx,
            Product,
            [_row(batch, ids[key], one) for key, one in whole.items()],
            key=("store_id", "external_id"),
            rule=NEWER,
            returning=("external_id", "version"),
        )
        for row in written:
            batch.changed("products", row.external_id, row.version, created=row.external_id in fresh)
        await _write_variants(batch, records, ids)
    await _delete(batch)


async def _ids(batch: Batch, keys: set[str]) -> dict[str, UUID]:
    rows = await batch.tx.execute(
        text(
            "SELECT external_id, id FROM products WHERE workspace_id = :workspace AND store_id = :store "
            "AND external_id = ANY(CAST(:keys AS text[]))"
        ),
        batch.about(keys=list(keys)),
    )
    return {row.external_id: row.id for row in rows}


def _row(batch: Batch, id: UUID, record: ProductRecord) -> dict[str, Any]:
    return {
        "id": id,
        "store_id": batch.store.id,
        "external_id": record.external_id,
        "version": record.version,
        "title": record.title,
        "status": record.status,
        "url": record.url,
        "image_url": record.image_url,
        "description": record.description,
        "vendor": record.vendor,
        "product_type": record.product_type,
        "tags": record.tags,
        "raw": bulk.dump(record.raw),
        "deleted_at": batch.deleted_at("products", record.external_id, record.version),
    }


async def _write_variants(batch: Batch, records: Sequence[ProductRecord], ids: dict[str, UUID]) -> None:
    variants = newest(
        (variant.external_id, record.version, (record, variant)) for record in records for variant in record.variants
    )
    await bulk.insert(
        batch.tx,
        Variant,
        [
            {
                "id": new_id(),
                "store_id": batch.store.id,
                "external_id": variant.external_id,
                "version": record.version,
                "product_id": ids[record.parent_external_id or record.external_id],
                "title": variant.title,
                "sku": variant.sku,
                "price": variant.price.amount if variant.price else None,
                "currency": variant.price.currency if variant.price else "",
                "exponent": variant.price.exponent if variant.price else 2,
                "stock": variant.stock,
                "available": variant.available,
            }
            for record, variant in variants.values()
        ],
        key=("store_id", "external_id"),
        rule=NEWER,
    )


async def _delete(batch: Batch) -> None:
    gone = [{"external_id": id, "at": at} for (resource, id), at in batch.tombstones.items() if resource == "products"]
    if not gone:
        return
    # A deleted variation (WooCommerce) is a product to its store and a variant to us.
    for statement in (
        "UPDATE products p SET deleted_at = r.at FROM {} WHERE p.workspace_id = :workspace AND p.store_id = :store "
        "AND p.external_id = r.external_id AND p.version <= r.at AND p.deleted_at IS DISTINCT FROM r.at",
        "UPDATE variants v SET available = false FROM {} WHERE v.workspace_id = :workspace AND v.store_id = :store "
        "AND v.external_id = r.external_id AND v.version <= r.at AND v.available",
    ):
        await batch.tx.execute(
            text(statement.format(bulk.recordset({"external_id": "text", "at": "timestamptz"}))),
            batch.about(rows=bulk.dump(gone)),
        )


# Reading


async def pictures(tx: Tx, wanted: Collection[tuple[UUID, str]]) -> Mapping[tuple[UUID, str], str]:
    """The picture's address per store and the product's id there; those without one are left out."""
    if not wanted:
        return {}
    found = await tx.execute(
        select(Product.store_id, Product.external_id, Product.image_url).where(
            Product.workspace_id == tx.workspace_id,
            tuple_(Product.store_id, Product.external_id).in_(wanted),
            Product.image_url != "",
        )
    )
    return {(row.store_id, row.external_id): row.image_url for row in found}
