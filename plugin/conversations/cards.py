"""What an agent's message carries besides words: cards of products and orders, and answers to choose from.

A card is a snapshot: what was shown is what was said. An order's card is made only for whom the store itself vouches as
its owner; a merge that a colleague made by hand is no proof towards the shopper.
"""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import func, or_, select

from plugin.conversations.conversations import Conversation
from plugin.crm.orders import Order
from plugin.crm.products import Product, Variant
from plugin.kernel.db import Tx
from plugin.kernel.errors import AhlanError, Forbidden, NotFound
from plugin.kernel.lazy import _

MOST: Final = 5
"""Cards on one message, and answers to choose from."""

LONGEST_ANSWER: Final = 60
FOUND: Final = 8

PRODUCT, ORDER = "product", "order"


async def products(tx: Tx, conversation: Conversation, words: str = "") -> list[dict[str, Any]]:
    """Cards of the conversation's store that `words` name, by title; the newest ones without words."""
    shown = [
        Product.workspace_id == tx.workspace_id,
        Product.store_id == conversation.store_id,
        Product.deleted_at.is_(None),
        Product.title != "",
        # Drafts and archived goods have no page that a shopper could open.
        or_(func.lower(Product.status).in_(("active", "publish", "published")), Product.status == ""),
    ]
    for word in words.split()[:6]:
        escaped = word.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
        shown.append(Product.title.ilike(f"%{escaped}%"))
    rows = await tx.scalars(select(Product).where(*shown).order_by(Product.version.desc(), Product.id).limit(FOUND))
    return await _products(tx, list(rows))


async def of_products(tx: Tx, rows: Sequence[Product], language: str = "") -> list[dict[str, Any]]:
    """Cards of these products, in their order, called what the store calls them in a language."""
    return await _products(tx, rows, language)


async def orders(tx: Tx, conversation: Conversation) -> list[dict[str, Any]]:
    """Cards of the orders that this conversation may show, the latest first; none for somebody unproven."""
    if conversation.customer_id is None:
        return []
    rows = await tx.scalars(
        select(Order).where(*_theirs(tx, conversation)).order_by(Order.placed_at.desc(), Order.id.desc()).limit(FOUND)
    )
    return [_order(row) for row in rows]


def _theirs(tx: Tx, conversation: Conversation) -> list[Any]:
    """The very account that the shopper was signed in with wrote the conversation and placed the order."""
    return [
        Order.workspace_id == tx.workspace_id,
        Order.customer_id == conversation.customer_id,
        Order.store_id == conversation.store_id,
        Order.deleted_at.is_(None),
        Order.erased_at.is_(None),
    ]


async def chosen(tx: Tx, conversation: Conversation, wanted: Sequence[str]) -> list[dict[str, Any]]:
    """The cards of `product:<id>` and `order:<id>`, made anew, in their order.

    Raises Forbidden for an order that is not proven to be the shopper's, NotFound for what is not there.
    """
    if len(wanted) > MOST:
        raise AhlanError(_("A message carries at most five cards."), code="too_many_cards")
    made = []
    for one in wanted:
        kind, _colon, id = one.partition(":")
        made.append(await _card(tx, conversation, kind, _id(id)))
    return made


async def _card(tx: Tx, conversation: Conversation, kind: str, id: UUID) -> dict[str, Any]:
    if kind == PRODUCT:
        product = await tx.get(Product, id)
        if product is None or product.store_id != conversation.store_id or product.deleted_at is not None:
            raise _gone()
        return (await _products(tx, [product]))[0]
    if kind != ORDER:
        raise _gone()
    order = await tx.get(Order, id)
    if order is None or order.deleted_at is not None:
        raise _gone()
    proven = conversation.customer_id is not None and order.customer_id == conversation.customer_id
    if not proven or order.store_id != conversation.store_id:
        raise Forbidden(
            _("This order is not proven to be theirs, so it cannot be shown."),
            _("They can sign in to the shop; then it can."),
            code="order_unproven",
        )
    return _order(order)


async def _products(tx: Tx, rows: Sequence[Product], language: str = "") -> list[dict[str, Any]]:
    prices = await tx.execute(
        select(
            Variant.product_id,
            func.min(Variant.price).label("least"),
            func.max(Variant.price).label("most"),
            func.max(Variant.currency).label("currency"),
            func.max(Variant.exponent).label("exponent"),
        )
        .where(
            Variant.workspace_id == tx.workspace_id,
            Variant.product_id.in_([row.id for row in rows]),
            Variant.price.is_not(None),
        )
        .group_by(Variant.product_id)
    )
    known = {row.product_id: row for row in prices}
    made = []
    for row in rows:
        title = row.title_in(language)
        card: dict[str, Any] = {"kind": PRODUCT, "id": str(row.id), "title": title, "url": web_address(row.url)}
        if (price := known.get(row.id)) is not None and price.currency:
            card["price"] = {"amount": price.least, "currency": price.currency, "exponent": price.exponent}
            card["from"] = price.least != price.most
        if picture := web_address(row.image_url):
            card["image_url"] = picture
        made.append(card)
    return made


def _order(row: Order) -> dict[str, Any]:
    return {
        "kind": ORDER,
        "id": str(row.id),
        "title": row.name,
        "url": web_address(row.status_url),
        "price": {"amount": row.total, "currency": row.currency, "exponent": row.exponent},
        "at": row.placed_at.isoformat(),
        "state": "cancelled" if row.cancelled_at else row.fulfilment_status,
    }


def web_address(url: str) -> str:
    """An address that may be opened from a message, or nothing."""
    return url if url.startswith(("https://", "http://")) else ""


def answers(texts: Sequence[str]) -> list[dict[str, str]]:
    """Answers to choose from as the widget shows them. Raises AhlanError for too many, or one that is too long."""
    said = list(dict.fromkeys(" ".join(text.split()) for text in texts if text.strip()))
    if len(said) > MOST or any(len(text) > LONGEST_ANSWER for text in said):
        raise AhlanError(_("At most five answers of up to 60 characters each."), code="answers")
    return [{"id": str(place), "text": text} for place, text in enumerate(said, 1)]


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise _gone() from None


def _gone() -> NotFound:
    return NotFound(_("This product or order is no longer there."))


PICTURE_BY: Final = "system:preview"
"""The uploader of pictures that we fetched ourselves for a card or a link."""
