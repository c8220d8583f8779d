"""One timeline of a person, told in the reader's language."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from plugin.app import App
from plugin.crm import customers, sync, timeline
from plugin.crm.timeline import Entry
from plugin.kernel import i18n
from plugin.kernel.db import new_id
from plugin.kernel.errors import AhlanError
from plugin.kernel.i18n import Translator
from plugin.kernel.money import Money
from plugin.platform import CartRecord, CustomerRecord, LineRecord, OrderRecord
from plugin.stores import Store

T = datetime(2026, 7, 1, tzinfo=UTC)
LINE = LineRecord("l", "Tea", 2, Money(500, "SAR", 2))


def entry(kind: str, **data: Any) -> Entry:
    return Entry(new_id(), kind, T, new_id(), None, new_id(), "system", data)


@pytest.fixture(scope="module")
def readers() -> Mapping[str, Translator]:
    catalogues = i18n.load()
    return {code: catalogues.translator(code) for code in ("en", "ar", "he")}


async def test_both_stores_on_one_timeline_in_pages(
    app: App, workspace: UUID, store: Store, second_store: Store
) -> None:
    async with app.db.transaction(workspace) as tx:
        for number, one in enumerate((store, second_store)):
            records = [CustomerRecord("1", T, "nura@example.com", created_at=T)]
            orders = [
                OrderRecord(f"o{n}", T + timedelta(days=n), f"#{number}{n}", T + timedelta(days=n), Money(n, "SAR", 2),
                            customer_external_id="1")
                for n in range(10)
            ]  # fmt: skip
            await sync.apply(tx, one, [*records, *orders])
        (nura,) = (await customers.search(tx)).customers
        seen: list[Entry] = []
        cursor = None
        while True:
            page = await timeline.page(tx, nura.id, cursor, 6)
            seen += page.events
            if page.cursor is None:
                break
            cursor = page.cursor
        assert [one.at for one in seen] == sorted((one.at for one in seen), reverse=True)
        assert len({one.id for one in seen}) == len(seen)
        assert {one.store_id for one in seen if one.kind == "order.placed"} == {store.id, second_store.id}
        assert sum(one.kind == "order.placed" for one in seen) == 20
        assert sum(one.kind == "customer.merged" for one in seen) == 1
        with pytest.raises(AhlanError):
            await timeline.page(tx, nura.id, "made up")


async def test_of_a_carts_changes_only_the_last_is_told(app: App, workspace: UUID, store: Store) -> None:
    async with app.db.transaction(workspace) as tx:
        for n in range(1, 4):
            cart = CartRecord("c", T + timedelta(hours=n), "cart", "SAR", Money(n, "SAR", 2), customer_external_id="1",
                              lines=(LINE,) * n)  # fmt: skip
            await sync.apply(tx, store, [cart])
        (person,) = (await customers.search(tx)).customers
        told = [one for one in (await timeline.page(tx, person.id)).events if one.kind == "cart.updated"]
        assert [one.data["items"] for one in told] == [6]


def test_every_kind_has_words_in_every_language(readers: Mapping[str, Translator]) -> None:
    for kind in timeline.KINDS:
        said = {code: timeline.words(entry(kind, order="#1", items=3, score=4), t) for code, t in readers.items()}
        assert len(set(said.values())) == 3, said
        assert "%" not in "".join(said.values())


@pytest.mark.parametrize(
    ("language", "items", "words"),
    [
        ("en", 1, "1 item in the cart"), ("en", 2, "2 items in the cart"),
        ("ar", 0, "لا منتجات في السلّة"), ("ar", 1, "منتج واحد في السلّة"), ("ar", 2, "منتجان في السلّة"),
        ("ar", 5, "5 منتجات في السلّة"), ("ar", 11, "11 منتجًا في السلّة"), ("ar", 100, "100 منتج في السلّة"),
        ("he", 1, "פריט אחד בעגלה"), ("he", 2, "שני פריטים בעגלה"), ("he", 7, "7 פריטים בעגלה"),
    ],
)  # fmt: skip
def test_plural_forms(readers: Mapping[str, Translator], language: str, items: int, words: str) -> None:
    assert timeline.words(entry("cart.updated", items=items), readers[language]) == words


def test_details_stand_in_the_sentence(readers: Mapping[str, Translator]) -> None:
    t = readers["en"]
    placed = timeline.words(entry("order.placed", order="#1001", total=12345, currency="KWD", exponent=3), t)
    assert "\u2066#1001\u2069" in placed
    assert "12.345" in placed
    shipped = timeline.words(entry("order.fulfilled", order="#1", carrier="Aramex", tracking="RR1"), t)
    assert "Aramex" in shipped
    assert "RR1" in shipped
    changed = timeline.words(entry("order.updated", order="#1", changes=["total", "address", "unheard of"]), t)
    assert changed.endswith("total and delivery address")
    assert entry("order.placed", history=True).history


def test_a_return_is_told_of_its_order(readers: Mapping[str, Translator]) -> None:
    said = [timeline.words(entry("return.requested", order="#1001"), readers[code]) for code in ("en", "ar", "he")]
    assert said == [
        "Return of order \u2066#1001\u2069 requested",
        "طُلب إرجاع من الطلب \u2066#1001\u2069",
        "התבקשה החזרה מהזמנה \u2066#1001\u2069",
    ]
