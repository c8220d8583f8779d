"""What is known of a customer is hidden from a language model, whatever shape it has, and nobody else's is not."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update

from plugin.app import App
from plugin.bot.hiding import mask_of
from plugin.conversations import conversations, messages
from plugin.conversations.conversations import TABLE, Conversation, Shopper
from plugin.crm import identities, sync
from plugin.crm.customers import StoreCustomer
from plugin.crm.visitors import Visitor
from plugin.kernel.money import Money
from plugin.model.masking import Mask
from plugin.platform import Address, CustomerRecord, OrderRecord
from plugin.stores import Store
from plugin.team import Agent

NOW = datetime(2026, 11, 22, tzinfo=UTC)
HOME = Address(name="Um Khalid", company="Noor Trading", line1="Villa Jasmine", line2="behind the mosque",
               city="Jeddah", postcode="B-77", country="SA")  # fmt: skip
GIFT = Address(name="Layla Nasser", line1="Orchid Tower", line2="Flat C", city="Amman", country="JO")


@pytest.fixture
async def mask(app: App, workspace: UUID, store: Store, shopper: Shopper, noa: Agent) -> Mask:
    """Of a conversation whose customer has a profile, an address and an order with another one."""
    async with app.db.transaction(workspace) as tx:
        row = await tx.get(Store, store.id)
        assert row is not None
        person = CustomerRecord("c1", NOW, email="s@x.example", first_name="Samira", last_name="Haddad",
                                addresses=(HOME,))  # fmt: skip
        stranger = CustomerRecord("c2", NOW, email="z@x.example", first_name="Zaynab", last_name="Qasim")
        joined = CustomerRecord("c3", NOW, email="old@x.example", first_name="Widad", last_name="Sabbagh")
        await sync.apply(tx, row, [person, stranger, joined])
        order = {"version": NOW, "placed_at": NOW, "total": Money(100, "SAR", 2)}
        await sync.apply(tx, row, [
            OrderRecord("o1", name="EID-9", customer_external_id="c1", customer_name="Abu Fadi", shipping_address=GIFT,
                        **order),
            OrderRecord("o2", name="EID-8", customer_external_id="c2", **order),
        ])  # fmt: skip
        # Somebody joined their records: they are one person.
        rows = await tx.execute(select(StoreCustomer.external_id, StoreCustomer.customer_id))
        customers = {row.external_id: row.customer_id for row in rows}
        known = customers["c1"]
        await identities.merge(tx, known, customers["c3"], actor=str(noa.id))
        # In this shop they go by another name than the one that we know them by.
        await tx.execute(update(StoreCustomer).where(StoreCustomer.external_id == "c1").values(first_name="Sumaya"))
        await messages.receive(tx, shopper, uuid4(), "hello")
        head = await conversations.current(tx, shopper)
        assert head is not None
        await tx.execute(update(TABLE).where(TABLE.c.id == head.id).values(customer_id=known))
        await tx.execute(update(Visitor).where(Visitor.id == shopper.visitor_id).values(typed_name="Simsim"))
    async with app.db.transaction(workspace) as tx:
        talk = await tx.get(Conversation, head.id)
        assert talk is not None
        return await mask_of(tx, talk)


@pytest.mark.parametrize(
    ("said", "private"),
    [
        ("it is Samira here", "Samira"),
        ("the Haddad family", "Haddad"),
        ("Simsim again", "Simsim"),
        ("Sumaya as always", "Sumaya"),
        ("Um Khalid is not at home", "Khalid"),
        ("bring it to Villa  Jasmine please", "Jasmine"),
        ("it is behind the mosque", "mosque"),
        ("invoice to noor trading", "noor"),
        ("postcode b-77", "b-77"),
        ("order EID-9 is late", "EID-9"),
        ("it was for Abu Fadi", "Fadi"),
        ("Layla Nasser should get it", "Layla"),
        ("at Orchid Tower", "Orchid"),
        ("Noa said so", "Noa"),
        ("or under Widad", "Widad"),
    ],
)
async def test_what_we_know_of_the_customer_and_the_team_is_hidden(mask: Mask, said: str, private: str) -> None:
    hidden = mask.hide(said)
    assert private not in hidden
    assert mask.show(hidden) == said


async def test_what_says_nothing_of_the_person_can_be_understood(mask: Mask) -> None:
    said = "do you deliver to Jeddah in SA, or to Amman?"
    assert mask.hide(said) == said


async def test_what_we_know_of_others_is_not_looked_for(mask: Mask) -> None:
    """A mask of everybody would hide half of all words."""
    assert mask.hide("Zaynab") == "Zaynab"
