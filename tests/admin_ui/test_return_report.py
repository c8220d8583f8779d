"""The page of the returns report: every number opens as many returns, tables leave as files, the switch of hints."""

import csv
import html
import io
import re
from uuid import UUID

import pytest
from sqlalchemy import text

from plugin.app import App
from plugin.kernel.db import new_id
from plugin.returns.policy import PayWhen, Policy, Resolution
from plugin.stores import Store
from tests.admin_ui.conftest import Browser, SignIn
from tests.admin_ui.shop import Admin, Shop
from tests.returns.desk import MUG, SHIRT, open_shop, want
from tests.returns.desk import Shop as Till


@pytest.fixture
async def maya(shop: Shop, sign_in: SignIn) -> Browser:
    return await sign_in(shop.email)


@pytest.fixture
async def till(app: App, shop: Shop, admin: Admin) -> Till:
    """Orders of the panel's shop, some of which came back for different reasons."""
    store = next(iter(shop.stores.values()))
    till = await open_shop(app, shop.workspace_id, store, shop.owner, name="7001")
    for name in ("returnable", "quote_return", "act_return", "settle_return", "read_order"):
        setattr(admin, name, getattr(till.desk, name))
    await till.policy(Policy(automatic=False, pay_when=PayWhen.INSPECTED))
    first = await till.submit(want((SHIRT, 1)))
    await till.submit(want((SHIRT, 1), (MUG, 1), reason="too_large", resolution=Resolution.CREDIT))
    for number in range(2):
        row = await open_shop(app, shop.workspace_id, store, shop.owner, name=f"710{number}")
        row.desk.order = till.desk.order
        gone = await till_of(row, admin, till).submit(want((MUG, 1), reason="other"))
        await row.move(gone, "decline", why="too_late")
    approved = await till.move(first, "approve")
    for name in ("ship", "receive"):
        approved = await till.move(approved, name)
    return till


def till_of(row: Till, admin: Admin, till: Till) -> Till:
    row.app = till.app
    return row


def listed(page: str) -> int:
    return len(re.findall(r'class="return-row[" ]', page))


async def test_every_number_opens_as_many_returns(till: Till, maya: Browser) -> None:
    page = (await maya.get("/panel/reports/returns")).text
    opened = 0
    for path, said in re.findall(r'<td class="number"><a href="(/panel/returns[^"]+)">([\d,]+)</a>', page):
        if "Pieces" in page and (path, said) in seen_pieces(page):
            continue
        shown = (await maya.get(html.unescape(path))).text
        assert listed(shown) == int(said) > 0, path
        assert 'class="counted"' in shown, "the queue says what it is narrowed to"
        opened += 1
    for path, label in re.findall(r'<a href="(/panel/returns[^"]+)" title="([^"]+)"', page):
        assert listed((await maya.get(html.unescape(path))).text) == int(label.rpartition(": ")[2])
        opened += 1
    assert opened > 12
    tile = re.search(r'<dt>Returns</dt>\s*<dd><strong><a href="([^"]+)">(\d+)</a>', page)
    assert tile is not None
    assert listed((await maya.get(html.unescape(tile[1]))).text) == int(tile[2]) == 2, "declined ones count nowhere"
    assert "Too small" in page
    assert "Too large" in page
    assert "Another reason" not in page.split("Why it comes back", 1)[1].split("</section>")[0]


def seen_pieces(page: str) -> set[tuple[str, str]]:
    """Numbers that count pieces: they open the returns that hold them."""
    rows = re.findall(r"<tr><th scope=\"row\">.*?</tr>", page, re.DOTALL)
    found = set()
    for row in rows:
        numbers = re.findall(r'<td class="number"><a href="(/panel/returns[^"]+)">([\d,]+)</a>', row)
        if len(numbers) == 2 and numbers[0][0] == numbers[1][0] and numbers[0][1] != numbers[1][1]:
            found.add(numbers[1])
    return found


async def test_days_stores_and_products_narrow_it_and_wrong_ones_are_said(till: Till, maya: Browser) -> None:
    chosen = {"product": f"{till.store.id}/p2"}
    page = (await maya.get("/panel/reports/returns", params=chosen)).text
    tile = re.search(r'<dt>Returns</dt>\s*<dd><strong><a href="([^"]+)">(\d+)</a>', page)
    assert tile is not None
    assert int(tile[2]) == 1
    assert "Whole returns are counted" in page
    for query in ({"days": "own", "from": "soon"}, {"days": "own", "from": "2026-02-01", "to": "2026-01-01"}):
        assert "Choose two days" in (await maya.get("/panel/reports/returns", params=query)).text
    for query in ({"days": "x", "store": "'", "product": "x/y"}, {"product": "/" * 500}, {"days": "month"}):
        assert (await maya.get("/panel/reports/returns", params=query)).status_code == 200
    empty = {"days": "own", "from": "2020-01-01", "to": "2020-01-31"}
    assert "Nothing came back in these days" in (await maya.get("/panel/reports/returns", params=empty)).text
    for query in ({"from": "9999-12-31"}, {"way": "x", "part": "x", "customer": "x", "product": "'"}):
        assert (await maya.get("/panel/returns", params={"tab": "all", **query})).status_code == 200


@pytest.mark.parametrize(
    ("table", "first"),
    [("product", "What comes back"), ("size", "Which size or kind"), ("money", "Currency"), ("pace", "How long"),
     ("people", "Who returns often"), ("labels", "Currency"), ("day", "By day"), ("reason", "Why it comes back")],
)  # fmt: skip
async def test_a_table_leaves_as_a_file(till: Till, maya: Browser, visitor: Browser, table: str, first: str) -> None:
    link = (await maya.get("/panel/reports/returns/export", params={"table": table})).json()["url"]
    answer = await visitor.get(link)
    assert answer.headers["content-disposition"].startswith(f'attachment; filename="returns-{table}-')
    head, *rows = csv.reader(io.StringIO(answer.text.removeprefix("\ufeff")))
    assert head[0].startswith(first)
    if table == "money":
        assert rows == [["ILS", "2", "50.00", "70.00", "0.00", "0.00", "0.00"]]
    if table == "reason":
        assert sorted(rows) == [["Too large", "1", "2"], ["Too small", "1", "1"]]


@pytest.mark.parametrize("table", ["product", "size"])
async def test_goods_of_several_stores_are_told_apart(
    till: Till, shop: Shop, maya: Browser, visitor: Browser, table: str
) -> None:
    async def names(**query: str) -> list[str]:
        asked = {"table": table, **query}
        link = (await maya.get("/panel/reports/returns/export", params=asked)).json()["url"]
        _head, *rows = csv.reader(io.StringIO((await visitor.get(link)).text.removeprefix("\ufeff")))
        return [row[0] for row in rows]

    assert len(shop.stores) > 1
    alone, together = await names(store=str(till.store.id)), await names()
    assert together == [f"{name} · {till.store.name}" for name in alone] != []
    page = html.unescape((await maya.get("/panel/reports/returns")).text)
    assert all(name in page for name in together), "on the screen as in the file"


async def test_who_may_not_export_or_decide_does_not(till: Till, shop: Shop, sign_in: SignIn) -> None:
    noa = await sign_in(shop.colleagues["noa"].email or "")
    page = await noa.get("/panel/reports/returns")
    assert page.status_code == 200
    assert "data-file" not in page.text
    assert (await noa.get("/panel/reports/returns/export?table=day")).status_code == 403
    assert (await noa.post(f"/panel/reports/returns/hints/{till.store.id}", data={"said": "on"})).status_code == 403


async def test_a_hint_stands_on_the_page_and_its_switch_is_kept(
    app: App, till: Till, shop: Shop, maya: Browser
) -> None:
    async with app.db.transaction(shop.workspace_id) as tx:
        request = await tx.scalar(text("SELECT id FROM return_requests WHERE resolution = 'refund' LIMIT 1"))
        line = text(
            "INSERT INTO order_lines (workspace_id, order_id, external_id, store_id, version, position, title, "
            "quantity, product_external_id) SELECT workspace_id, id, :p, store_id, version, 0, 'x', 1, :p FROM orders "
            "WHERE id = :o"
        )
        await tx.execute(line, {"o": till.order_id, "p": "p1"})
        for number in range(8):
            order = new_id()
            await tx.execute(
                text("INSERT INTO orders (workspace_id, id, store_id, external_id, version, name, number, placed_at, "
                     "status, payment_status, fulfilment_status, currency, exponent, total) SELECT workspace_id, :n, "
                     "store_id, :e, version, name, '', now(), status, payment_status, fulfilment_status, currency, "
                     "exponent, total FROM orders WHERE id = :o"),
                {"n": order, "e": f"more-{number}", "o": till.order_id},
            )  # fmt: skip
            for product in ("p1", "p2"):
                await tx.execute(line, {"o": order, "p": product})
            fresh = new_id()
            await tx.execute(
                text("INSERT INTO return_requests (workspace_id, id, store_id, order_id, client_id, serial, public_id, "
                     "state, resolution, currency) SELECT workspace_id, :n, store_id, :o, :n, 5000 + :i, '', "
                     "'paid', 'refund', 'ILS' FROM return_requests WHERE id = :r"),
                {"n": fresh, "o": order, "i": number, "r": request},
            )  # fmt: skip
            await tx.execute(
                text("INSERT INTO return_lines (workspace_id, id, store_id, order_id, request_id, position, "
                     "line_external_id, title, variant_title, product_external_id, variant_external_id, quantity, "
                     "reason) SELECT workspace_id, :n, store_id, :o, :r, 0, '1', 'Linen shirt', 'M', 'p1', 'v1', 1, "
                     "'too_small' FROM orders WHERE id = :o"),
                {"n": new_id(), "o": order, "r": fresh},
            )  # fmt: skip
    page = (await maya.get("/panel/reports/returns")).text
    told = page.split('id="hints"', 1)[1].split("</section>")[0]
    assert "Runs small" in told
    assert "9 of 9 orders" in told, "its own order holds one more"
    path = re.search(r'<a href="(/panel/returns[^"]+)">', told)
    assert path is not None
    assert listed((await maya.get(html.unescape(path[1]))).text) == 9
    for form, wanted in (({"said": "on"}, True), ({}, False)):
        answer = await maya.post(f"/panel/reports/returns/hints/{till.store.id}", data=form)
        assert answer.status_code in (204, 302, 303)
        async with app.db.transaction(shop.workspace_id) as tx:
            store = await tx.get(Store, till.store.id)
            assert store is not None
            assert store.widget.get("fit") is wanted
    log = (await maya.get("/panel/team/log")).text
    assert "Chat settings changed" in log
    assert (await maya.post(f"/panel/reports/returns/hints/{UUID(int=5)}", data={})).status_code == 404
