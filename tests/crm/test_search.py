"""Finding people by name, e-mail, phone and order number in three scripts, in pages that never skip or repeat."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, text

from plugin.app import App
from plugin.crm import customers, sync, terms
from plugin.crm.customers import Customer
from plugin.kernel.errors import AhlanError
from plugin.kernel.money import Money
from plugin.platform import CustomerRecord, Deletion, OrderRecord
from plugin.stores import Store

T = datetime(2026, 7, 1, tzinfo=UTC)

PEOPLE = [
    CustomerRecord("1", T, "nura.ahmed@example.com", "+966501234567", "نُورة", "الأحمد", created_at=T),
    CustomerRecord("2", T, "dana@חנות.example", "+972541112233", "דנה", "לוי־כהן", created_at=T),
    CustomerRecord("3", T, "jose@example.com", "+34600111222", "José", "Núñez", created_at=T),
]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("نورة", "1"), ("نوره", "1"), ("الاحمد", "1"), ("أحمد", "1"), ("nura", "1"), ("ahmed", "1"),
        ("NURA.AHMED@EXAMPLE.COM", "1"), ("nura.ah", "1"), ("0501234567", "1"), ("+966 50 123 4567", "1"),
        ("00966501234567", "1"), ("4567", "1"), ("٤٥٦٧", "1"), ("1007", "1"), ("#1007", "1"), ("AR-1007", "1"),
        ("نورة 1007", "1"), ("dana1007@", ""), ("jose@example.com", "3"),
        ("דנה", "2"), ("לוי", "2"), ("כהן דנה", "2"), ("054-111-2233", "2"),
        ("jose nunez", "3"), ("JOSÉ", "3"),
        ("دانا", ""), ("nura dana", ""), ("9999", ""), ("!!!", ""), ("example", ""),
    ],
)  # fmt: skip
async def test_finds(app: App, workspace: UUID, store: Store, query: str, found: str) -> None:
    async with app.db.transaction(workspace) as tx:
        order = OrderRecord("o", T, "AR-1007", T, Money(1, "SAR", 2), customer_external_id="1")
        await sync.apply(tx, store, [*PEOPLE, order])
        names = {record.external_id: f"{record.first_name} {record.last_name}" for record in PEOPLE}
        page = await customers.search(tx, query)
        assert [person.name for person in page.customers] == ([names[found]] if found else [])


@pytest.mark.parametrize(
    ("query", "meant"),
    [
        ("nuura", "nura"), ("ahmad nuura", "ahmed nura"), ("nunes", "nunez"), ("الأحمند", "الاحمد"),
        ("joze@example.com", "jose@example.com"), ("nura", ""), ("nur", ""), ("zzzz", ""), ("9999", ""), ("!!!", ""),
        ("nu", ""),
    ],
)  # fmt: skip
async def test_a_slip_of_the_finger_is_seen_through(
    app: App, workspace: UUID, other_workspace: UUID, store: Store, query: str, meant: str
) -> None:
    async with app.db.transaction(workspace) as tx:
        await sync.apply(tx, store, PEOPLE)
        assert await customers.meant(tx, query) == meant
    async with app.db.transaction(other_workspace) as tx:
        assert await customers.meant(tx, query) == ""


async def test_a_changed_name_is_found_and_the_old_one_is_not(app: App, workspace: UUID, store: Store) -> None:
    async with app.db.transaction(workspace) as tx:
        await sync.apply(tx, store, [CustomerRecord("1", T, first_name="Before")])
        await sync.apply(tx, store, [CustomerRecord("1", T + timedelta(1), first_name="After")])
        assert (await customers.search(tx, "before")).customers == []
        assert len((await customers.search(tx, "after")).customers) == 1
        await sync.apply(tx, store, [Deletion("customers", "1", T + timedelta(2))])
        assert (await customers.search(tx, "after")).customers == []


async def test_pages_of_everybody(app: App, workspace: UUID, store: Store) -> None:
    async with app.db.transaction(workspace) as tx:
        records = [
            CustomerRecord(str(n), T, first_name=f"P{n}", created_at=T + timedelta(hours=n // 3)) for n in range(25)
        ]
        await sync.apply(tx, store, records)
        seen: list[str] = []
        cursor, pages = None, 0
        while True:
            page = await customers.search(tx, "", cursor, 7)
            seen += [person.name for person in page.customers]
            pages += 1
            if page.cursor is None:
                break
            cursor = page.cursor
        assert pages == 4
        assert len(seen) == len(set(seen)) == 25
        hours = [int(name[1:]) // 3 for name in seen]
        assert hours == sorted(hours, reverse=True)


@pytest.mark.parametrize("cursor", ["x", "AAAA", "WzEsMl0", "bnVsbA"])
async def test_a_made_up_cursor_is_refused(app: App, workspace: UUID, cursor: str) -> None:
    async with app.db.transaction(workspace) as tx:
        with pytest.raises(AhlanError):
            await customers.search(tx, "", cursor)


async def test_another_workspace_finds_nobody(app: App, workspace: UUID, other_workspace: UUID, store: Store) -> None:
    async with app.db.transaction(workspace) as tx:
        await sync.apply(tx, store, PEOPLE)
    async with app.db.transaction(other_workspace) as tx:
        assert (await customers.search(tx, "nura")).customers == []
        assert (await customers.search(tx)).customers == []
        assert await tx.scalar(text("SELECT count(*) FROM customer_terms")) == 0


async def test_a_word_is_looked_up_in_an_index_under_row_level_security(
    app: App, workspace: UUID, store: Store
) -> None:
    """The reason for a table of words: PostgreSQL would not use a trigram index here, see plugin/crm/terms.py."""
    async with app.db.transaction(workspace) as tx:
        await sync.apply(tx, store, PEOPLE)
        somebody = await tx.scalar(select(Customer.id).limit(1))
        # Of a handful of rows it does not matter how they are found.
        await terms.write(tx, {somebody: {f"word{number}" for number in range(3000)}}, terms.PROFILE)
    await app.db.analyze()
    async with app.db.transaction(workspace) as tx:
        plan = "\n".join(
            await tx.scalars(
                text(
                    "EXPLAIN SELECT customer_id FROM customer_terms WHERE workspace_id = :workspace "
                    "AND term >= 'nura' AND term < 'nurb'"
                ),
                {"workspace": workspace},
            )
        )
        (condition,) = [line for line in plan.splitlines() if "Index Cond" in line]
        assert "term" in condition


def test_words_of_a_person() -> None:
    assert terms.words_of("نورة الأحمد", "N.Ahmed+shop@Example.com", "+966 50-1") == {
        "نوره", "الاحمد", "احمد", "n.ahmed+shop@example.com", "n", "ahmed", "shop", "#105669",
    }  # fmt: skip
    assert terms.words_of("", "", "") == set()
