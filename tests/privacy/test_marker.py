"""A marker in every place that can hold a person's data, and none is left once they are erased.

The tables are walked through their metadata: what real flows do not fill is filled directly, and a table or a column
that nobody thought of fails here.
"""

import asyncio
import io
import logging
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
import structlog
from redis.asyncio import Redis
from sqlalchemy import Boolean, Column, DateTime, Integer, LargeBinary, MetaData, String, Table, UniqueConstraint, Uuid
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSONB

from plugin import privacy, stores
from plugin.app import App
from plugin.automations import automation
from plugin.automations.automation import RuleRow
from plugin.bot.gifts import BotGift
from plugin.conversations import changes, mentions, messages, presence, search, ties
from plugin.conversations.attachments import Attachment
from plugin.conversations.conversations import Conversation, Shopper, current, read_by
from plugin.crm import consents, customers, identities, sync, visitors
from plugin.crm.actions import ActionRow
from plugin.crm.identities import Proof
from plugin.kernel import jobs, log
from plugin.kernel.db import Base, Tx, new_id
from plugin.kernel.embedded import Servers
from plugin.kernel.jobs import JobRow
from plugin.kernel.money import Money
from plugin.kernel.personal import nobody
from plugin.platform import (
    Address,
    CartRecord,
    ConsentRecord,
    CustomerRecord,
    FulfilmentRecord,
    LineRecord,
    OrderRecord,
    Record,
    RefundRecord,
    ReturnRecord,
    StoreProfile,
)
from plugin.privacy import places
from plugin.reactions import TASKS
from plugin.returns.claims import OrderClaim
from plugin.returns.labels import ReturnLabel
from plugin.returns.records import ReturnLine, ReturnRequest
from plugin.returns.requests import next_serial
from plugin.returns.steps import ReturnStep
from plugin.returns.withdrawals import Withdrawal, WithdrawalCase
from plugin.stores import Store
from plugin.team import Agent, Role
from webhooks import handlers

T = datetime(2026, 7, 1, tzinfo=UTC)
PHONE = "+966501234567"


def records(mark: str, account: str, phone: str = "") -> list[Record]:
    """Everything that a store can tell about a person, each text of it marked."""
    email = f"{mark}@mail.example"
    address = Address(mark, mark, mark, mark, mark, mark, mark, "SA", mark)
    line = LineRecord("l", "Tea", 1, None)
    told = ConsentRecord("email_marketing", "granted", T, "single_opt_in")
    order = {
        "email": email, "phone": phone, "customer_name": mark, "note": mark, "tags": (mark,), "locale": "ar",
        "shipping_address": address, "cart_token": mark, "status_url": f"https://shop.example/{mark}", "lines": (line,),
        "fulfilments": (FulfilmentRecord(f"f-{account}", "in_transit", mark, f"https://carrier.example/{mark}",
                                         proof_url=f"https://carrier.example/{mark}.jpg"),),
        "refunds": (RefundRecord(f"r-{account}", Money(1, "SAR", 2), mark),),
        "returns": (ReturnRecord(f"b-{account}", "requested", "#1-R1", T),), "raw": {"said": mark},
    }  # fmt: skip
    return [
        CustomerRecord(account, T, email, phone, mark, mark, "ar", (mark,), mark, (address,), consents=(told,),
                       raw={"said": mark}),
        OrderRecord(f"{account}00", T, "#1", T, Money(1000, "SAR", 2), customer_external_id=account, **order),
        OrderRecord(f"{account}01", T, "#2", T, Money(1000, "SAR", 2),
                    **{**order, "fulfilments": (), "refunds": (), "returns": ()}),
        CartRecord(f"c-{account}", T, "checkout", "SAR", customer_external_id=account, email=email, phone=mark,
                   token=f"t{mark}", recovery_url=f"https://shop.example/{mark}",
                   lines=(LineRecord("l", mark, 1, None),)),
    ]  # fmt: skip


@dataclass
class Person:
    """Somebody whose data is everywhere, under one marker."""

    mark: str
    account: str
    store: Store
    id: UUID
    talk: UUID
    visitor: UUID


async def connect(tx: Tx, name: str) -> Store:
    profile = StoreProfile(name, f"https://{name}.example", (), "SAR", None, "UTC", "ar", country="SA")
    return await stores.connect(tx, platform="shopify", external_id=f"{name}-{tx.workspace_id}", profile=profile)


async def live(app: App, workspace: UUID, store: Store, mark: str, account: str, phone: str = "") -> Person:
    """A person's life in one store, through the product's own verbs."""
    async with app.db.transaction(workspace) as tx:
        await sync.apply(tx, store, records(mark, account, phone))
        id = await identities.customer_of_platform(tx, store.id, account)
        assert id is not None
        agent = Agent(id=new_id(), name="Agent", email=f"{uuid4().hex}@shop.example", role=Role.OWNER)
        tx.add(agent)
        visitor, _secret = await visitors.open_visitor(
            tx, store, None, locale="ar", page={"url": f"https://shop.example/{mark}", "title": mark}, cart_token=mark
        )
        await visitors.typed_email(tx, visitor, f"{mark}.typed@mail.example", mark)
        await visitors.identify(tx, visitor, id)
        for order_id in await tx.scalars(sql("SELECT id FROM orders WHERE customer_id = :id"), {"id": id}):
            tx.add(ActionRow(id=new_id(), store_id=store.id, order_id=order_id, customer_id=id, visitor_id=visitor.id,
                             agent_id=agent.id, kind="note", state="done", moves=False, wanted={"text": mark},
                             quote={"before": {"line1": mark}}, outcome={"name": mark}, said=mark))  # fmt: skip
        await consents.of_browser(tx, visitor, {"analytics": True, "preferences": False})
        # Chosen, and never sent.
        tx.add(Attachment(id=new_id(), store_id=store.id, uploader=f"shopper:{visitor.id}", name=mark,
                          media_type="text/plain", size=1, content=mark.encode()))  # fmt: skip
        await identities.typed(tx, id, "email", f"{mark}.claimed@mail.example", Proof.TYPED, store.id)
        await privacy.log_access(tx, agent, id, "customer")
        shopper = Shopper(visitor.id, store.id, id, locale="ar")
        await messages.receive(tx, shopper, uuid4(), f"My name is {mark}")
        head = await current(tx, shopper)
        assert head is not None
        await read_by(tx, head.id, agent, 1)
        colleague = Agent(id=new_id(), name="Colleague", email=f"{uuid4().hex}@shop.example", role=Role.AGENT)
        tx.add(colleague)
        await tx.flush()
        await mentions.remember(tx, head.id, 1, [colleague], by=agent.id)
        talk = await tx.get(Conversation, head.id)
        assert talk is not None
        said = await messages.reply(tx, talk, agent, uuid4(), f"Hello {mark}")
        for verb in (changes.take_back, changes.bring_back):
            answer = await changes.find(tx, head.id, UUID(said["id"]))
            await verb(tx, answer, agent)
        await changes.edit(tx, answer, agent, f"Good evening {mark}")
        file = Attachment(id=new_id(), store_id=store.id, conversation_id=head.id, uploader=shopper.actor, name=mark,
                          media_type="text/plain", size=1, content=mark.encode(), thumbnail=mark.encode())  # fmt: skip
        tx.add(file)
        rule = RuleRow(id=new_id(), position=0, name="Rule", event="received", conditions="", actions=[])
        tx.add(rule)
        for order_id in await tx.scalars(sql("SELECT id FROM orders WHERE customer_id = :id"), {"id": id}):
            tx.add(OrderClaim(id=new_id(), store_id=store.id, order_id=order_id, conversation_id=head.id,
                              client_id=uuid4(), kind="damaged", said=mark, note=mark))  # fmt: skip
            tx.add(BotGift(id=new_id(), store_id=store.id, conversation_id=head.id, order_id=order_id, customer_id=id,
                           visitor_id=visitor.id, key=mark, days=7, code=mark, proof="account", state="made",
                           counted={"why": mark}, said=mark))  # fmt: skip
            request = await send_back(tx, store, order_id, head.id, mark)
            await withdraw(tx, store, order_id, visitor.id, mark)
            for kind, about in ((ties.ORDER, order_id), (ties.RETURN, request)):
                await ties.tie(tx, talk, ties.Thing(kind, about, "#1", store.id), by=agent)
        await tx.flush()
        asked = {"rule_id": rule.id, "conversation_id": head.id, "event": "received", "event_key": "1", "done": [],
                 "decided": f"says:{mark}"}  # fmt: skip
        await automation.note_runs(tx, [asked])
    async with app.db.transaction(workspace) as tx:
        await privacy.receive(
            tx,
            store,
            "data_request",
            {"customer_external_id": account, "email": f"{mark}@mail.example", "request_id": mark[-4:]},
            T,
        )
        waiting = list(await tx.scalars(sql("SELECT id FROM jobs WHERE workspace_id = :w AND task = 'data_request' "
                                            "AND done_at IS NULL"), {"w": workspace}))  # fmt: skip
    for job in waiting:
        await jobs.run(app.db, app, TASKS, workspace, job)
    await search.drain(app)
    await presence.shopper_here(app.hub, workspace, head.id, str(visitor.id))
    return Person(mark, account, store, id, head.id, visitor.id)


async def send_back(tx: Tx, store: Store, order_id: UUID, talk: UUID, mark: str) -> UUID:
    """A return of the order, with what was written about it; its id."""
    whose = {"store_id": store.id, "order_id": order_id}
    request = ReturnRequest(id=new_id(), conversation_id=talk, client_id=uuid4(), serial=await next_serial(tx),
                            public_id=mark + uuid4().hex, choice={"words": mark}, note=mark, own_words=mark,
                            tracking_number=mark, tracking_url=mark, photos=[mark], **whose)  # fmt: skip
    tx.add(request)
    await tx.flush()
    tx.add(ReturnLine(id=new_id(), request_id=request.id, position=0, line_external_id="1", title="Shirt", quantity=1,
                      reason="other", words=mark, answers=[mark], **whose))  # fmt: skip
    tx.add(ReturnLabel(id=new_id(), request_id=request.id, method="label", tracking_number=mark, tracking_url=mark,
                       url=mark, said=mark, confirmation=mark, **whose))  # fmt: skip
    tx.add(ReturnStep(id=new_id(), request_id=request.id, position=1, kind="open", state="done", said=mark,
                      wanted={"note": mark}, quote={"notes": [mark]}, outcome={"name": mark}, **whose))  # fmt: skip
    return request.id


async def withdraw(tx: Tx, store: Store, order_id: UUID, visitor: UUID, mark: str) -> None:
    """A withdrawal from the order; the statement itself is evidence, and stays as long as the law wants it."""
    said = dict.fromkeys(("name", "contract", "email", "language", "label", "zone", "subject", "receipt", "digest"), "")
    statement = Withdrawal(id=new_id(), store_id=store.id, visitor_id=visitor, client_id=uuid4(), submitted_at=T,
                           reference=uuid4().hex, **said)  # fmt: skip
    tx.add(statement)
    await tx.flush()
    tx.add(WithdrawalCase(id=statement.id, store_id=store.id, order_id=order_id, pay_by=T, note=mark))


# Planting, by the metadata


def keys(table: Table) -> set[str]:
    """Columns that say which row it is: never written over."""
    unique = {column.name for one in table.constraints if isinstance(one, UniqueConstraint) for column in one.columns}
    unique |= {column.name for index in table.indexes if index.unique for column in index.columns}
    linked = {column.name for one in table.foreign_key_constraints for column in one.columns}
    return {column.name for column in table.primary_key} | unique | linked


def personal(metadata: MetaData) -> dict[str, list[Column[Any]]]:
    """Per table the columns that may hold a person's words and can be filled with any."""
    found = {}
    for place in places.places(metadata):
        table = metadata.tables[place.table]
        blank = {name for name, _ in place.blank}
        columns = [column for column in table.c if places.holds_words(column) and column.name not in keys(table)
                   and (not place.stays or column.name in blank)]  # fmt: skip
        if columns:
            found[place.table] = columns
    return found


def planted(column: Column[Any], mark: str) -> Any:
    """A value of the column's type that holds the marker."""
    if isinstance(column.type, JSONB):
        return f'["{mark}"]'
    return mark.encode() if isinstance(column.type, LargeBinary) else mark


def owner(person: Person) -> dict[str, UUID]:
    return {"customer_id": person.id, "conversation_id": person.talk, "visitor_id": person.visitor}


async def plant(connection: asyncpg.Connection, metadata: MetaData, person: Person) -> None:
    """Write the marker into whatever real flows left without it, and rows where there are none."""
    for place in places.places(metadata):
        owned = owner(person) | ({"id": person.id} if place.table == places.ROOT else {})
        by = next((link for link in owned if link in (*place.owners, "id")), None) if place.owners else "id"
        # Words are computed from the others; parts of an order are filled by flows.
        if by not in owned or place.table == "customer_terms":
            continue
        table, mine = metadata.tables[place.table], owned[by]
        theirs = f"FROM {place.table} WHERE workspace_id = $1 AND {by} = $2"
        if not await connection.fetchval(f"SELECT count(*) {theirs}", person.store.workspace_id, mine):
            await _insert(connection, table, person)
        for column in personal(metadata).get(place.table, ()):
            cast = "::jsonb" if isinstance(column.type, JSONB) else ""
            await connection.execute(
                f"UPDATE {place.table} SET {column.name} = $3{cast} WHERE workspace_id = $1 AND {by} = $2 "
                f"AND position($4 IN coalesce(to_jsonb({column.name})::text, '')) = 0",
                person.store.workspace_id, mine, planted(column, person.mark), person.mark,
            )  # fmt: skip


async def _insert(connection: asyncpg.Connection, table: Table, person: Person) -> None:
    """A row of a table that no flow fills: links by their names, everything else by its type."""
    values: dict[str, Any] = {
        "workspace_id": person.store.workspace_id, "id": uuid4(), "store_id": person.store.id, **owner(person)
    }  # fmt: skip
    for column in table.c:
        if column.name in values:
            continue
        if places.holds_words(column):
            values[column.name] = planted(column, person.mark)
        elif column.nullable or column.server_default is not None:
            continue
        elif isinstance(column.type, Uuid):
            values[column.name] = uuid4()
        elif isinstance(column.type, Boolean):
            values[column.name] = False
        elif isinstance(column.type, Integer):
            values[column.name] = 1
        elif isinstance(column.type, DateTime):
            values[column.name] = datetime.now(UTC)
    named = [name for name in values if name in table.c]
    marks = ", ".join(
        f"${number}{'::jsonb' if isinstance(table.c[name].type, JSONB) else ''}" for number, name in enumerate(named, 1)
    )
    await connection.execute(
        f"INSERT INTO {table.name} ({', '.join(named)}) VALUES ({marks})",
        *(values[name] for name in named),
    )


async def whereabouts(connection: asyncpg.Connection, metadata: MetaData, mark: str) -> Counter[str]:
    """How many rows hold the marker, per table and column: the whole database, every column of every table."""
    found: Counter[str] = Counter()
    for table in metadata.sorted_tables:
        # Binary too: as the text it was, whatever else it holds. Each table is read once, however many columns it has.
        names = {column.name: f'"{column.name}"' for column in table.c}
        shown = [
            f"encode({names[column.name]}, 'escape')"
            if isinstance(column.type, LargeBinary)
            else f"{names[column.name]}::text"
            for column in table.c
        ]
        counts = ", ".join(f"count(*) FILTER (WHERE position($1 IN lower({text})) > 0)" for text in shown)
        row = await connection.fetchrow(f"SELECT {counts} FROM {table.name}", mark)
        assert row is not None
        found.update({f"{table.name}.{name}": count for name, count in zip(names, row.values(), strict=True) if count})
    return found


@pytest.fixture
async def superuser(database_url: str, app: App) -> AsyncIterator[asyncpg.Connection]:
    """Sees every row of every tenant."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture
async def later(superuser: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MetaData]:
    """The product's tables and one that somebody adds tomorrow, with nothing said about it anywhere."""
    metadata = MetaData()
    for table in Base.metadata.sorted_tables:
        table.to_metadata(metadata)
    Table("later_embeddings", metadata, Column("workspace_id", Uuid, primary_key=True),
          Column("id", Uuid, primary_key=True), Column("store_id", Uuid), Column("customer_id", Uuid),
          Column("words", String), Column("vector", LargeBinary))  # fmt: skip
    await superuser.execute(
        "CREATE TABLE later_embeddings (workspace_id uuid, id uuid, store_id uuid, customer_id uuid, words text, "
        "vector bytea, PRIMARY KEY (workspace_id, id)); GRANT SELECT, DELETE ON later_embeddings TO ahlan_app"
    )
    known = places.places(metadata)
    monkeypatch.setattr(places, "known", lambda: known)
    yield metadata
    await superuser.execute("DROP TABLE later_embeddings")


@contextmanager
def logged() -> Iterator[io.StringIO]:
    """Everything that the product logs meanwhile, as it does in production, down to the last detail."""
    stream, root, kept = io.StringIO(), logging.getLogger(), structlog.get_config()
    handlers_before, level = root.handlers[:], root.level
    log.configure(format="json", level="debug", stream=stream)
    try:
        yield stream
    finally:
        structlog.configure(**kept)
        root.handlers[:], root.level = handlers_before, level


async def deliver(app: App, person: Person, body: bytes, *, ended: str | None) -> None:
    """A raw delivery about a person, handled, parked, or still waiting."""
    stamp = f", {ended}" if ended else ""
    async with app.db.queue.begin() as connection:
        await connection.execute(
            sql(f"INSERT INTO webhook_inbox (source, key, store_kind, store_key, topic, body, headers, error, "
                f"workspace_id, store_id{stamp}) VALUES ('shopify', :key, 'store', :store_key, 'customers/update', "
                f":body, CAST(:headers AS jsonb), :error, :workspace, :store{', now()' if ended else ''})"),
            {"key": uuid4().hex, "body": body, "workspace": person.store.workspace_id, "store": person.store.id,
             "store_key": f"shopify:{person.store.external_id}", "headers": f'{{"x": "{person.mark}"}}',
             "error": f"cannot read {person.mark}" if ended else ""},
        )  # fmt: skip


async def erase(app: App, workspace: UUID, person: Person) -> Mapping[str, Any]:
    async with app.db.transaction(workspace) as tx:
        notice = {"customer_external_id": person.account, "email": f"{person.mark}@mail.example"}
        assert await privacy.receive(tx, person.store, "customer_redact", notice, datetime.now(UTC))
        job = await tx.scalar(sql("SELECT id FROM jobs WHERE workspace_id = :w AND task = 'redact_customer' "
                                  "AND done_at IS NULL"), {"w": workspace})  # fmt: skip
    await jobs.run(app.db, app, TASKS, workspace, job)
    async with app.db.transaction(workspace) as tx:
        row = await tx.scalar(sql("SELECT last_error FROM jobs WHERE workspace_id = :w AND id = :id"),
                              {"w": workspace, "id": job})  # fmt: skip
        assert row is None
        done = (await tx.execute(sql("SELECT state, result FROM privacy_requests WHERE workspace_id = :w "
                                     "AND kind = 'customer_redact'"), {"w": workspace})).one()  # fmt: skip
    assert done.state == privacy.DONE
    return dict(done.result["counts"])


def new_mark(kind: str) -> str:
    return f"zq{kind}{uuid4().hex[:10].translate(str.maketrans('0123456789', 'ghijklmnop'))}"


async def test_erasure_leaves_no_trace_anywhere_and_touches_nobody_else(
    app: App,
    workspace: UUID,
    other_workspace: UUID,
    superuser: asyncpg.Connection,
    later: MetaData,
    valkey: Redis,
    servers: Servers,
) -> None:
    with logged() as lines:
        async with app.db.transaction(workspace) as tx:
            alpha, beta = await connect(tx, "alpha"), await connect(tx, "beta")
        async with app.db.transaction(other_workspace) as tx:
            elsewhere = await connect(tx, "elsewhere")
        # One person in two stores, another of the same store, and a namesake of another tenant.
        gone = await live(app, workspace, alpha, new_mark("gone"), "700001", PHONE)
        share = await live(app, workspace, beta, new_mark("share"), "700001", PHONE)
        other = await live(app, workspace, alpha, new_mark("other"), "700002")
        tenant = await live(app, other_workspace, elsewhere, new_mark("tenant"), "700001", PHONE)
        people = (gone, share, other, tenant)
        for person in people:
            await plant(superuser, later, person)
            for ended in ("done_at", "parked_at"):
                await deliver(app, person, f'{{"email":"{person.mark.upper()}@MAIL.example"}}'.encode(), ended=ended)
            async with app.db.transaction(person.store.workspace_id) as tx:
                mailbox = f"{person.mark}@mail.example"
                tx.add(JobRow(id=new_id(), task="deliver_reply", arguments={"to": mailbox}, done_at=datetime.now(UTC),
                              last_error=f"no such mailbox {mailbox}"))  # fmt: skip
                await tx.execute(
                    sql("INSERT INTO backfills (workspace_id, id, store_id, resource, last_error) VALUES "
                        "(:w, :id, :s, :r, :e)"),
                    {"w": person.store.workspace_id, "id": new_id(), "s": person.store.id, "r": person.mark[:6],
                     "e": f"the store said {person.mark}@mail.example"},
                )  # fmt: skip
                await tx.execute(sql("UPDATE customers SET note = :note WHERE workspace_id = :w AND id = :id"),
                                 {"note": person.mark, "w": person.store.workspace_id, "id": person.id})  # fmt: skip
        # A delivery that nobody can read is parked; what it holds is not told to the log.
        unreadable = f'{{"id":1,"email":"{gone.mark}@mail.example","updated_at":"{gone.mark}"}}'
        await deliver(app, gone, unreadable.encode(), ended=None)
        await handlers.drain(app)

        marked = await whereabouts(superuser, later, gone.mark)
        missed = {
            f"{name}.{column.name}" for name, columns in personal(later).items() for column in columns
        } - marked.keys()
        assert not missed, "no flow and no planting fills these: whose are they?"
        before = {person.mark: await whereabouts(superuser, later, person.mark) for person in people}

        counts = await erase(app, workspace, gone)

    assert await whereabouts(superuser, later, gone.mark) == Counter(), "nothing of them is left in any table"
    assert counts["later_embeddings"] == 1, "a table of tomorrow is erased without a word in the code"
    computed = {"customer_terms.term", *(f"customers.{name}" for name in ("name", "email", "phone", "locale", "value"))}
    for person in (share, other, tenant):
        left = await whereabouts(superuser, later, person.mark)
        assert left.keys() >= before[person.mark].keys() - computed, person.mark
        assert {key: count for key, count in left.items() if key not in computed} == {
            key: count for key, count in before[person.mark].items() if key not in computed
        }, person.mark
    async with app.db.transaction(workspace) as tx:
        (nura,) = (await customers.search(tx, share.mark)).customers
        assert (nura.name, nura.email) == (f"{share.mark} {share.mark}", f"{share.mark}@mail.example")
        assert nura.orders_count == 2
        assert (await customers.search(tx, gone.mark)).customers == []
    said = lines.getvalue()
    assert "webhook_parked" in said, "the log was listened to"
    assert not [line for line in said.splitlines() for person in people if person.mark in line.lower()]
    assert await _in_valkey(valkey, [person.mark for person in people]) == []
    await asyncio.to_thread(_nothing_in_files, [servers.data_dir, app.settings.data_dir], gone.mark)


async def _in_valkey(valkey: Redis, marks: list[str]) -> list[str]:
    """Keys that hold a marker in their name or their value."""
    found = []
    async for key in valkey.scan_iter(count=1000):
        value = await valkey.dump(key) or b""
        found += [key.decode() for mark in marks if mark.encode() in key + value]
    return found


def _nothing_in_files(folders: list[Path], mark: str) -> None:
    """No file of the data directory; PostgreSQL's own are looked at as tables, and lie on an encrypted volume."""
    looked_at = 0
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file() and "postgres" not in path.relative_to(folder).parts:
                looked_at += 1
                assert mark.encode() not in path.read_bytes(), path
    assert looked_at


# What nobody thought of


def copy() -> MetaData:
    metadata = MetaData()
    for table in Base.metadata.sorted_tables:
        table.to_metadata(metadata)
    return metadata


def test_every_column_is_thought_of() -> None:
    assert places.gaps(Base.metadata) == []


def test_a_new_column_in_a_row_that_stays_is_noticed() -> None:
    metadata = copy()
    metadata.tables["orders"].append_column(Column("gift_message", String))
    assert [gap.partition(":")[0] for gap in places.gaps(metadata)] == ["orders.gift_message"]


def test_a_new_table_that_says_nothing_is_noticed() -> None:
    metadata = copy()
    columns = (Column("workspace_id", Uuid, primary_key=True), Column("words", String))
    Table("diary", metadata, *columns)
    assert [gap.partition(":")[0] for gap in places.gaps(metadata)] == ["diary"]
    other = copy()
    Table("diary", other, Column("workspace_id", Uuid, primary_key=True), Column("words", String),
          info=nobody("the merchant's own"))  # fmt: skip
    assert places.gaps(other) == []


def test_a_new_table_of_a_person_goes_with_them() -> None:
    metadata = copy()
    Table("diary", metadata, Column("workspace_id", Uuid, primary_key=True), Column("customer_id", Uuid),
          Column("words", String))  # fmt: skip
    assert places.gaps(metadata) == []
    (place,) = [one for one in places.places(metadata) if one.table == "diary"]
    assert (place.owners, place.stays) == (("customer_id",), False)


def test_a_column_that_is_gone_is_not_still_listed() -> None:
    metadata = copy()
    table = metadata.tables["refunds"]
    table._columns.remove(table.c.reason)
    assert [gap.partition(":")[0] for gap in places.gaps(metadata)] == ["refunds.reason"]
