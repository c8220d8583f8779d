"""The report of returns: what it counts is what the queue shows, recounted here from the rows by other means."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from math import ceil
from random import Random
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import insert, select

from plugin.analytics import return_figures
from plugin.analytics.reports import Days
from plugin.analytics.return_figures import By, Question, Way
from plugin.app import App
from plugin.crm.customers import Customer
from plugin.crm.orders import Order, OrderLine
from plugin.kernel.db import Tx, new_id
from plugin.kernel.events import Event
from plugin.returns import queue
from plugin.returns.narrowing import NOT_COUNTED, Narrowed, Part
from plugin.returns.policy import Resolution
from plugin.returns.queue import Asked, Tab
from plugin.returns.records import LINES, REQUESTS, ReturnRequest
from plugin.returns.states import State
from plugin.stores import Store

# A clock jumps in it.
DAYS = Days(date(2026, 3, 20), date(2026, 4, 20), ZoneInfo("Asia/Jerusalem"))
PRODUCTS = {"p1": ("Linen shirt", ("S", "M")), "p2": ("Mug", ("",))}
Row = dict[str, Any]


@pytest.fixture
async def shops(app: App, workspace: UUID) -> list[Store]:
    async with app.db.transaction(workspace) as tx:
        made = [
            Store(
                id=new_id(), platform="shopify", external_id=f"{uuid4().hex}.myshopify.com",
                public_key=f"st_{uuid4().hex[:22]}", name=name, url=f"https://{name.lower()}.example",
            )
            for name in ("Dukkan", "Souk")
        ]  # fmt: skip
        for one in made:
            tx.add(one)
    return made


async def fill(tx: Tx, shops: Sequence[Store], dice: Random, many: int = 120) -> list[Row]:
    """Orders and returns of them, before, in and after the days; each row knows its lines and its moments."""
    people = []
    for number in range(6):
        head = people[0].id if number == 1 else None
        people.append(Customer(id=new_id(), name=f"P{number}", orders_count=dice.randrange(2, 9), merged_into=head))
        tx.add(people[-1])
    await tx.flush()
    begins = datetime(2026, 3, 15, tzinfo=UTC)
    rows: list[Row] = []
    for number in range(many):
        at = begins + timedelta(seconds=dice.randrange(45 * 86_400))
        shop, person = dice.choice(shops), dice.choice([None, *people])
        order = Order(
            id=new_id(), store_id=shop.id, external_id=f"o{number}", version=at, name=f"#{number}", number=str(number),
            customer_id=person.id if person else None, placed_at=at, status="open", payment_status="paid",
            fulfilment_status="fulfilled", currency="ILS", exponent=2, total=1,
            cancelled_at=at if dice.random() < 0.1 else None,
        )  # fmt: skip
        tx.add(order)
        await tx.flush()
        kinds = dice.sample([("p1", "S"), ("p1", "M"), ("p2", "")], dice.randrange(1, 4))
        lines = [
            {"product": product, "variant": f"{product}{size}", "size": size, "quantity": dice.randrange(1, 4),
             "reason": dice.choice(["too_small", "too_large", "other"])}
            for product, size in kinds
        ]  # fmt: skip
        for place, line in enumerate(lines):
            tx.add(OrderLine(order_id=order.id, external_id=str(place), store_id=shop.id, version=at, position=place,
                             title="x", quantity=line["quantity"], product_external_id=line["product"],
                             variant_external_id=line["variant"]))  # fmt: skip
        asked = at + timedelta(seconds=dice.randrange(6 * 86_400))
        worth = dice.randrange(1000, 9000)
        resolution = dice.choice(list(Resolution))
        cash = {Resolution.REFUND: worth, Resolution.EXCHANGE: dice.choice([0, worth // 3])}.get(resolution, 0)
        credit = worth if resolution is Resolution.CREDIT else 0
        moments: list[datetime | None] = [asked]
        for _step in range(5):
            last = moments[-1]
            moments.append(last + timedelta(seconds=dice.randrange(1, 3 * 86_400))
                           if last and dice.random() < 0.8 else None)  # fmt: skip
        decided, sent, received, inspected, paid_at = moments[1:]
        row: Row = {
            "id": new_id(), "order": order, "store": shop.id, "at": asked, "lines": lines, "resolution": resolution,
            "state": dice.choice(list(State)), "worth": worth, "cash": cash, "credit": credit,
            "paid": dice.choice([cash + credit, (cash + credit) // 2]) if paid_at and cash + credit else None,
            "currency": dice.choice(["ILS", "SAR"]), "decided": decided, "sent": sent, "received_at": received,
            "inspected_at": inspected, "paid_at": paid_at,
            "person": person.merged_into or person.id if person else None,
        }  # fmt: skip
        rows.append(row)
        await tx.execute(
            insert(REQUESTS),
            [{"workspace_id": tx.workspace_id, "id": row["id"], "store_id": shop.id, "order_id": order.id,
              "client_id": uuid4(), "serial": 1001 + number, "public_id": f"{uuid4().hex}", "created_at": asked,
              "choice": {}, "decision": {}, "review": [], "photos": [],
              **{name: row[name] for name in ("state", "resolution", "worth", "cash", "credit", "paid", "currency",
                                              "received_at", "inspected_at", "paid_at")}}],
        )  # fmt: skip
        await tx.execute(
            insert(LINES),
            [{"workspace_id": tx.workspace_id, "id": new_id(), "store_id": shop.id, "order_id": order.id,
              "request_id": row["id"], "position": place, "line_external_id": str(place),
              "title": PRODUCTS[line["product"]][0], "variant_title": line["size"], "quantity": line["quantity"],
              "product_external_id": line["product"], "variant_external_id": line["variant"],
              "reason": line["reason"], "answers": []} for place, line in enumerate(lines)],
        )  # fmt: skip
        for kind, moment in (("approved", decided), ("in_transit", sent)):
            if moment is not None:
                tx.add(Event(id=new_id(), kind=f"return_request.{kind}", subject_id=row["id"], at=moment,
                             actor="system", data={}))  # fmt: skip
        await tx.flush()
    return rows


def within(row: Row) -> bool:
    return DAYS.first <= row["at"].astimezone(DAYS.zone).date() <= DAYS.last


async def queued(tx: Tx, asked: Asked) -> set[UUID]:
    return set(await tx.scalars(select(ReturnRequest.id).where(*queue.conditions(tx, asked))))


@pytest.mark.parametrize(("seed", "product"), [(1, ""), (2, "p1")])
async def test_every_table_counts_what_the_queue_shows(
    app: App, workspace: UUID, shops: list[Store], seed: int, product: str
) -> None:
    question = Question(DAYS, product=product)
    async with app.db.transaction(workspace) as tx:
        rows = await fill(tx, shops, Random(seed))
        for row in rows:
            row["lines"] = [line for line in row["lines"] if product in ("", line["product"])]
        counted = [row for row in rows if within(row) and row["state"] not in NOT_COUNTED and row["lines"]]
        assert counted
        sales = await return_figures.sold(tx, question)
        total = await return_figures.total(tx, question, sales)
        assert {row["id"] for row in counted} == await queued(tx, question.asked)
        assert total.returns == len(counted)
        assert total.pieces == sum(line["quantity"] for row in counted for line in row["lines"])
        bought = [
            (row, line) for row in rows for line in row["lines"]
            if row["order"].cancelled_at is None
            and DAYS.first <= row["order"].placed_at.astimezone(DAYS.zone).date() <= DAYS.last
        ]  # fmt: skip
        assert total.sold == sum(line["quantity"] for _row, line in bought)
        assert total.rate == total.pieces / total.sold
        for by, key in (
            (By.REASON, lambda row, line: line["reason"]),
            (By.RESOLUTION, lambda row, line: row["resolution"].value),
            (By.STORE, lambda row, line: str(row["store"])),
            (By.PRODUCT, lambda row, line: (row["store"], line["product"])),
            (By.SIZE, lambda row, line: (row["store"], line["variant"])),
            (By.DAY, lambda row, line: row["at"].astimezone(DAYS.zone).date().isoformat()),
        ):
            ids: dict[Any, set[UUID]] = defaultdict(set)
            pieces: dict[Any, int] = defaultdict(int)
            for row in counted:
                for line in row["lines"]:
                    if by is By.SIZE and not line["size"]:
                        continue
                    ids[key(row, line)].add(row["id"])
                    pieces[key(row, line)] += line["quantity"]
            found = await return_figures.lines(tx, question, by, sales)
            goods = by in (By.PRODUCT, By.SIZE)
            told = {((one.store_id, one.key) if goods else one.key): one.figures for one in found}
            assert {name: one.returns for name, one in told.items()} == {name: len(of) for name, of in ids.items()}, by
            assert {name: one.pieces for name, one in told.items()} == dict(pieces), by
            if goods:
                sold = {name: sum(line["quantity"] for row, line in bought if key(row, line) == name) for name in told}
                assert {name: one.sold for name, one in told.items()} == sold
        crossed = await return_figures.crossed(
            tx, question, await return_figures.lines(tx, question, By.PRODUCT, sales)
        )
        for (store, product, reason), count in crossed.items():
            narrowed = Narrowed(DAYS.first, DAYS.last, DAYS.zone, product=product, counted=True)
            shown = await queued(tx, Asked(Tab.ALL, store_id=store, reason=reason, narrowed=narrowed))
            same = {
                row["id"] for row in counted for line in row["lines"]
                if (row["store"], line["product"], line["reason"]) == (store, product, reason)
            }  # fmt: skip
            assert shown == same, "the reason is meant of the product, not of what else was sent along"
            assert count == len(same)


async def test_money_is_never_added_up_across_currencies_and_opens_what_it_counts(
    app: App, workspace: UUID, shops: list[Store]
) -> None:
    question = Question(DAYS, store_id=shops[0].id)
    async with app.db.transaction(workspace) as tx:
        rows = await fill(tx, shops, Random(7))
        counted = [
            row for row in rows
            if within(row) and row["state"] not in NOT_COUNTED and row["store"] == shops[0].id
        ]  # fmt: skip
        found = {one.back.currency: one for one in await return_figures.money(tx, question)}
        assert set(found) == {row["currency"] for row in counted} == {"ILS", "SAR"}
        for currency, one in found.items():
            mine = [row for row in counted if row["currency"] == currency]
            moved = {row["id"]: row["paid"] if row["paid"] is not None else row["cash"] + row["credit"] for row in mine}
            back = {row["id"]: moved[row["id"]] for row in mine if not row["credit"]}
            credit = {row["id"]: moved[row["id"]] for row in mine if row["credit"]}
            exchanged = {row["id"]: row["worth"] - row["cash"] for row in mine if row["resolution"] == "exchange"}
            replaced = {row["id"]: row["worth"] for row in mine if row["resolution"] == "replacement"}
            for part, amount, expected in (
                (Part.BACK, one.back, back), (Part.CREDIT, one.credit, credit),
                (Part.EXCHANGED, one.exchanged, exchanged), (Part.REPLACED, one.replaced, replaced),
            ):  # fmt: skip
                assert amount.amount == sum(expected.values()), (currency, part)
                asked = question.asked.narrowed
                shown = await queued(
                    tx,
                    Asked(Tab.ALL, store_id=shops[0].id, narrowed=Narrowed(
                        asked.first, asked.last, asked.zone, currency=currency, part=part, counted=True)),
                )  # fmt: skip
                assert shown == {id for id, much in expected.items() if much}
            assert one.kept.amount == one.credit.amount + one.exchanged.amount + one.replaced.amount
            assert one.share == one.kept.amount / (one.kept.amount + one.back.amount)


async def test_each_part_of_the_way_is_timed_over_those_that_have_it_behind_them(
    app: App, workspace: UUID, shops: list[Store]
) -> None:
    question = Question(DAYS)
    async with app.db.transaction(workspace) as tx:
        rows = [row for row in await fill(tx, shops, Random(3)) if within(row)]
        paces = await return_figures.paces(tx, question)
        assert set(paces) == set(Way)
        for way, (begin, end) in {
            Way.DECISION: ("at", "decided"), Way.SENDING: ("decided", "sent"), Way.TRAVEL: ("sent", "received_at"),
            Way.INSPECTION: ("received_at", "inspected_at"), Way.PAYMENT: ("inspected_at", "paid_at"),
            Way.WHOLE: ("at", "paid_at"),
        }.items():  # fmt: skip
            spans = sorted((row[end] - row[begin]).total_seconds() for row in rows if row[begin] and row[end])
            pace = paces[way]
            assert (pace.returns, pace.median, pace.p90) == (
                len(spans), spans[ceil(0.5 * len(spans)) - 1], spans[ceil(0.9 * len(spans)) - 1],
            ), way  # fmt: skip
            shown = await queued(tx, Asked(Tab.ALL, narrowed=Narrowed(DAYS.first, DAYS.last, DAYS.zone, way=way)))
            assert shown == {row["id"] for row in rows if row[begin] and row[end]}


async def test_who_returns_often_is_one_person_however_many_rows_they_have(
    app: App, workspace: UUID, shops: list[Store]
) -> None:
    async with app.db.transaction(workspace) as tx:
        rows = [row for row in await fill(tx, shops, Random(5)) if within(row) and row["state"] not in NOT_COUNTED]
        found = await return_figures.people(tx, Question(DAYS))
        assert found
        for one in found:
            theirs = {row["id"] for row in rows if row["person"] == one.id}
            assert one.returns == len(theirs) >= return_figures.SERIAL
            assert one.returns >= return_figures.SERIAL_SHARE * one.orders
            narrowed = Narrowed(DAYS.first, DAYS.last, DAYS.zone, customer_id=one.id, counted=True)
            assert await queued(tx, Asked(Tab.ALL, narrowed=narrowed)) == theirs
