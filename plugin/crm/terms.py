"""The words by which people are found.

Words in a b-tree instead of trigrams: under row-level security PostgreSQL uses an index only for operators that cannot
leak (https://www.postgresql.org/docs/18/rules-privileges.html), and neither LIKE nor full-text matching is one.
"""

from collections.abc import Collection, Mapping
from uuid import UUID

from sqlalchemy import Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from plugin.kernel import bulk
from plugin.kernel.db import Base, Tenant, Tx, tenant_key
from plugin.kernel.text import normalise, search_key

PROFILE = "profile"
PROOF = "proof"


class SearchTerm(Tenant, Base):
    """A word that finds a customer row. `source`: profile (what the store says) or proof (what they proved to us)."""

    __tablename__ = "customer_terms"
    __table_args__ = (Index(None, "workspace_id", "customer_id"), tenant_key("customer_id", "customers"))

    term: Mapped[str] = mapped_column(String(collation="C"), primary_key=True)
    customer_id: Mapped[UUID] = mapped_column(primary_key=True)
    source: Mapped[str] = mapped_column(primary_key=True)


def words_of(name: str, email: str, phone: str) -> set[str]:
    """The words somebody is found by. Pure.

    Words of the name and of the e-mail address's local part, the address itself, and the phone number backwards, so
    that any number of its last digits finds it, with or without country code. Arabic names also without their article.
    """
    found = set(search_key(name).split())
    found |= {word[2:] for word in found if word.startswith("ال") and len(word) > 4}
    if email:
        address = normalise(email)
        found |= {address, *search_key(address.partition("@")[0]).split()}
    if phone:
        digits = "".join(filter(str.isdigit, normalise(phone)))
        if digits:
            found.add(backwards(digits))
    return found


def backwards(digits: str) -> str:
    """The last digits of a phone number as a prefix. 00966 50…, 050…: zeros in front are not part of the number."""
    return f"#{(digits.lstrip('0') or digits)[::-1]}"


async def write(tx: Tx, found: Mapping[UUID, Collection[str]], source: str) -> None:
    """Add words of customer rows."""
    await bulk.insert(
        tx,
        SearchTerm,
        [{"term": term, "customer_id": id, "source": source} for id, words in found.items() for term in words],
        key=("term", "customer_id", "source"),
        update=(),
    )


async def forget(tx: Tx, customer_ids: Collection[UUID], source: str) -> None:
    """Remove the words of customer rows."""
    if customer_ids:
        await tx.execute(
            text(
                "DELETE FROM customer_terms WHERE workspace_id = :workspace "
                "AND customer_id = ANY(CAST(:ids AS uuid[])) AND source = :source"
            ),
            {"workspace": tx.workspace_id, "ids": list(customer_ids), "source": source},
        )
