"""What we know of a conversation's customer, so that a mask hides it: names, addresses, order numbers, our team too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import select

from plugin import team
from plugin.conversations.conversations import Conversation
from plugin.crm import identities
from plugin.crm.customers import Customer, StoreCustomer
from plugin.crm.orders import Order
from plugin.crm.visitors import Visitor
from plugin.kernel.db import Tx
from plugin.model.masking import Mask

_ORDERS = 50
_PRIVATE = ("name", "company", "line1", "line2", "postcode", "phone")
"""Of an address; a town or a country alone says nobody's name, and "do you deliver to Jeddah" has to be understood."""


async def mask_of(tx: Tx, talk: Conversation) -> Mask:
    """A mask that knows the customer of a conversation and everybody of the team."""
    names = {agent.name for agent in await team.agents(tx)}
    addresses: set[str] = set()
    numbers: set[str] = set()
    visitor = await tx.get(Visitor, talk.visitor_id) if talk.visitor_id is not None else None
    if visitor is not None:
        names.add(visitor.typed_name)
    if talk.customer_id is not None:
        members = await identities.family(tx, talk.customer_id)
        await _people(tx, members, names, addresses)
        await _orders(tx, members, names, addresses, numbers)
    return Mask(names=names, addresses=addresses, numbers=numbers)


async def _people(tx: Tx, members: Iterable[UUID], names: set[str], addresses: set[str]) -> None:
    people = await tx.scalars(
        select(Customer.name).where(Customer.workspace_id == tx.workspace_id, Customer.id.in_(members))
    )
    names |= set(people)
    profiles = await tx.execute(
        select(StoreCustomer.first_name, StoreCustomer.last_name, StoreCustomer.addresses).where(
            StoreCustomer.workspace_id == tx.workspace_id, StoreCustomer.customer_id.in_(members)
        )
    )
    for row in profiles:
        names |= {row.first_name, row.last_name, f"{row.first_name} {row.last_name}"}
        for address in row.addresses:
            _address(address, names, addresses)


async def _orders(tx: Tx, members: Iterable[UUID], names: set[str], addresses: set[str], numbers: set[str]) -> None:
    rows = await tx.execute(
        select(Order.name, Order.customer_name, Order.shipping_address)
        .where(Order.workspace_id == tx.workspace_id, Order.customer_id.in_(members))
        .order_by(Order.placed_at.desc())
        .limit(_ORDERS)
    )
    for row in rows:
        numbers |= {row.name, row.name.lstrip("#")}
        names.add(row.customer_name)
        _address(row.shipping_address, names, addresses)


def _address(kept: Any, names: set[str], addresses: set[str]) -> None:
    if not isinstance(kept, Mapping):
        return
    for part in _PRIVATE:
        value = kept.get(part)
        if isinstance(value, str) and value.strip():
            (names if part == "name" else addresses).add(value)
