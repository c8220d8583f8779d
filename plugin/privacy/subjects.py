"""Whom a request is about: their rows in one store, and the words by which raw texts name them."""

# ruff: noqa: S608 (statements are put together from constants only; values are bound)

import re
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text

from plugin import stores
from plugin.kernel.db import Tx
from plugin.kernel.text import normalise_email, normalise_phone

OF_STORE = "workspace_id = :workspace AND store_id = :store"
OF_PEOPLE = f"{OF_STORE} AND customer_id = ANY(CAST(:ids AS uuid[]))"

# Conversations of a person are also those that their browser began before it was known, and what those were merged
# into: their words stand there, among the answers to them.
_OWN = "({which} OR (workspace_id = :workspace AND visitor_id IN (SELECT id FROM visitors WHERE {which})))"
TALKS = (
    f"SELECT id FROM conversations WHERE {_OWN} UNION SELECT merged_into FROM conversations "
    f"WHERE merged_into IS NOT NULL AND {_OWN}"
)

# A notice may say 7 where our id is a path that ends in it.
ENDS = "right('/' || {0}, length({1}) + 1) = '/' || {1}"
_IS_ACCOUNT = f":account <> '' AND {ENDS.format('p.external_id', ':account')}"


def about(tx: Tx, store_id: UUID, **parameters: Any) -> dict[str, Any]:
    """Parameters of a statement about one store's share."""
    return {"workspace": tx.workspace_id, "store": store_id, **parameters}


async def people(tx: Tx, store_id: UUID, subject: Mapping[str, Any]) -> list[UUID]:
    """Customer rows of one store whom a request names: by account, and by e-mail or phone where it knows no other.

    A notice may carry only an id or only an address (platforms.md A2.9), and a guest has no account: all are matched.
    But one that names an account reaches no other account: two may share a number, and a shopper who is signed in may
    order with anybody's address.
    """
    store = await stores.get(tx, store_id)
    handles = _handles(subject, store.country if store is not None else "")
    account = str(subject.get("customer_id") or "")
    rows = await tx.scalars(
        text(
            "SELECT p.customer_id FROM store_customers p WHERE p.workspace_id = :workspace AND p.store_id = :store "
            f"AND {_IS_ACCOUNT} "
            "UNION SELECT f.customer_id FROM ("
            "SELECT i.customer_id FROM identities i WHERE i.workspace_id = :workspace AND i.store_id = :store "
            "AND i.value = ANY(CAST(:handles AS text[])) AND i.proven_at IS NOT NULL "
            "UNION SELECT o.customer_id FROM orders o WHERE o.workspace_id = :workspace AND o.store_id = :store "
            "AND o.customer_id IS NOT NULL AND lower(o.email) = ANY(CAST(:handles AS text[]))) f "
            "WHERE :account = '' OR NOT EXISTS (SELECT 1 FROM store_customers other "
            "WHERE other.workspace_id = :workspace AND other.store_id = :store "
            "AND other.customer_id = f.customer_id AND NOT starts_with(other.external_id, 'guest:'))"
        ),
        about(tx, store_id, account=account, handles=handles),
    )
    return list(rows)


def _handles(subject: Mapping[str, Any], country: str) -> list[str]:
    email, phone = subject.get("email", ""), subject.get("phone", "")
    found = (normalise_email(email), normalise_phone(phone, country or None) if phone else None)
    return [value for value in found if value]


async def browsers(tx: Tx, store_id: UUID, ids: Sequence[UUID], subject: Mapping[str, Any]) -> list[UUID]:
    """Visitors of one store who are these people, or who are nobody yet and left the address that a request names."""
    handles = [value for value in (normalise_email(subject.get("email", "")),) if value]
    rows = await tx.scalars(
        text(
            f"SELECT id FROM visitors WHERE {OF_STORE} AND (customer_id = ANY(CAST(:ids AS uuid[])) "
            "OR customer_id IS NULL AND typed_email <> '' AND typed_email = ANY(CAST(:handles AS text[])))"
        ),
        about(tx, store_id, ids=list(ids), handles=handles),
    )
    return list(rows)


_TELLING = 20


async def spoken(tx: Tx, parameters: Mapping[str, Any], subject: Mapping[str, Any]) -> list[str]:
    """Words by which raw texts name the person, in small letters: ids, addresses, numbers.

    A return's body quotes the shopper and names nothing but the order; a short order number says too little.
    """
    found = await tx.scalars(
        text(
            f"SELECT unnest(ARRAY[external_id, email, phone]) FROM store_customers WHERE {OF_PEOPLE} "
            f"UNION SELECT value FROM identities WHERE {OF_PEOPLE} "
            f"UNION SELECT unnest(ARRAY[email, phone]) FROM orders WHERE {OF_PEOPLE} "
            f"UNION SELECT unnest(ARRAY[email, phone]) FROM carts WHERE {OF_PEOPLE} "
            f"UNION SELECT external_id FROM orders WHERE {OF_PEOPLE} AND length(external_id) > {_TELLING}"
        ),
        parameters,
    )
    given = (subject.get("email", ""), subject.get("phone", ""))
    said = {str(word).removeprefix("guest:").rpartition("/")[2].lower() for word in (*found, *given) if word}
    return sorted(word for word in said if _tells_of_somebody(word))


def _tells_of_somebody(word: str) -> bool:
    """Whether a word names a person: an address, or a long number.

    A short number, or a word like "store_id" that was given as an address, would be found in half the workspace.
    """
    return len(word) >= 5 and (_ADDRESS.search(word) is not None or sum(map(str.isdigit, word)) >= 5)


_ADDRESS = re.compile(r"[^\s@]@[^\s@]{3}")
