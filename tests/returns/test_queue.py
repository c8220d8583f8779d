"""Ten thousand open returns, and the first page, a page in the middle and the numbers come as fast as with a few."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event, text

from plugin.app import App
from plugin.returns import queue
from plugin.returns.narrowing import Narrowed
from plugin.returns.queue import Asked, Tab
from plugin.returns.states import State
from tests.returns.desk import Shop

MANY = 10_000


@pytest.fixture
async def full(shop: Shop) -> Shop:
    """A queue in which every second return waits for somebody."""
    async with shop.app.db.transaction(shop.workspace) as tx:
        await tx.execute(
            text("""
            INSERT INTO return_requests (workspace_id, id, store_id, order_id, client_id, serial, public_id, state,
                resolution, moved_at, created_at, waiting_since)
            SELECT :w, gen_random_uuid(), :s, :o, gen_random_uuid(), 2000 + n, 'p' || n,
                CASE n % 2 WHEN 0 THEN 'requested' ELSE 'approved' END, 'refund',
                now() - make_interval(mins => n), now() - make_interval(mins => n),
                CASE n % 2 WHEN 0 THEN now() - make_interval(mins => n) END
            FROM generate_series(1, :many) AS n
            """),
            {"w": shop.workspace, "s": shop.store.id, "o": shop.order_id, "many": MANY},
        )
    await shop.app.db.analyze()
    return shop


async def _rows_read(app: App, workspace: UUID, asked: Asked, cursor: str | None = None) -> int:
    """How many rows of returns PostgreSQL looks at for one page."""
    said: list[tuple[str, Any]] = []

    def keep(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        if "FROM return_requests" in statement and "LIMIT" in statement:
            said.append((statement, parameters))

    event.listen(app.db.app.sync_engine, "before_cursor_execute", keep)
    try:
        async with app.db.transaction(workspace) as tx:
            await queue.page(tx, asked, cursor=cursor)
    finally:
        event.remove(app.db.app.sync_engine, "before_cursor_execute", keep)
    if not said:
        return 0
    (statement, parameters) = said[0]
    async with app.db.transaction(workspace) as tx:
        connection = await tx.session.connection()
        plan = await connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters)
        return max(_looked_at(plan.scalar_one()[0]["Plan"]))


def _looked_at(plan: dict[str, Any]) -> list[int]:
    mine = [int((plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"])]
    return mine + [count for part in plan.get("Plans", ()) for count in _looked_at(part)]


@pytest.mark.parametrize("tab", [Tab.WAITING, Tab.OPEN, Tab.ALL])
async def test_a_page_reads_a_page_at_any_depth(full: Shop, tab: Tab) -> None:
    async with full.app.db.transaction(full.workspace) as tx:
        cursor = None
        seen: list[UUID] = []
        for _page in range(4):
            page = await queue.page(tx, Asked(tab), cursor=cursor)
            seen += [row.request.id for row in page.rows]
            cursor = page.cursor
    assert len(seen) == len(set(seen)) == 4 * queue.PAGE
    for at in (None, cursor):
        assert await _rows_read(full.app, full.workspace, Asked(tab), at) <= 4 * queue.PAGE


@pytest.mark.parametrize(
    ("reason", "product", "found"), [("small", "hat", 0), ("broken", "hat", 3), ("broken", "", 3), ("never", "", 0)]
)
async def test_goods_and_a_reason_that_few_have_together_are_not_looked_for_in_all(
    full: Shop, reason: str, product: str, found: int
) -> None:
    async with full.app.db.transaction(full.workspace) as tx:
        await tx.execute(
            text("""
            INSERT INTO return_lines (workspace_id, id, store_id, order_id, request_id, position, line_external_id,
                title, product_external_id, quantity, reason)
            SELECT workspace_id, gen_random_uuid(), store_id, order_id, id, 0, 'l', 'Hat',
                CASE WHEN serial % 2 = 0 THEN 'hat' ELSE 'shirt' END, 1,
                CASE WHEN serial IN (2010, 2020, 11000) THEN 'broken' WHEN serial % 2 = 0 THEN 'dull' ELSE 'small' END
            FROM return_requests WHERE workspace_id = :w
            """),
            {"w": full.workspace},
        )
    await full.app.db.analyze()
    asked = Asked(Tab.ALL, reason=reason, narrowed=Narrowed(product=product))
    async with full.app.db.transaction(full.workspace) as tx:
        assert [row.request.serial for row in (await queue.page(tx, asked)).rows] == [2010, 2020, 11000][:found]
        common = await queue.page(tx, Asked(Tab.ALL, reason="small", narrowed=Narrowed(product="shirt")))
    assert [row.request.serial for row in common.rows] == list(range(2001, 2101, 2)), "what many have stays in order"
    assert await _rows_read(full.app, full.workspace, asked) <= 20


async def test_the_filters_together_find_what_they_say(full: Shop) -> None:
    async with full.app.db.transaction(full.workspace) as tx:
        waiting = await queue.page(tx, Asked(Tab.WAITING, state=State.REQUESTED, days=3, store_id=full.store.id))
        assert waiting.rows
        ages = [row.request.waiting_since for row in waiting.rows]
        assert ages == sorted(ages, key=str), "who waits longest comes first"
        one = await queue.page(tx, Asked(Tab.ALL, words="R-2004"))
        assert [row.request.serial for row in one.rows] == [2004]
        assert not (await queue.page(tx, Asked(Tab.DONE))).rows
        assert not (await queue.page(tx, Asked(Tab.ALL, words="R-999999999999999999999"))).rows
        assert await queue.counts(tx) == {Tab.WAITING: queue.COUNT_LIMIT, Tab.OPEN: queue.COUNT_LIMIT}


@pytest.mark.parametrize("cursor", ["", "x", "e30", "W10", "WyJhIiwiYiJd", "💥"])
async def test_a_cursor_that_is_none_begins_at_the_top(shop: Shop, cursor: str) -> None:
    request = await shop.submit()
    async with shop.app.db.transaction(shop.workspace) as tx:
        page = await queue.page(tx, Asked(Tab.ALL), cursor=cursor)
    assert [row.request.id for row in page.rows] == [request.id]
