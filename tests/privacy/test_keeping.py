"""How long things are kept: the merchant's choice within the operator's limits, and what is said to go is what goes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from plugin import privacy
from plugin.app import App
from plugin.crm import visitors
from plugin.kernel.config import Settings
from plugin.kernel.db import Tx, new_id
from plugin.kernel.errors import AhlanError
from plugin.privacy import access, keeping
from plugin.team import Agent, Role
from tests.privacy.test_privacy import connect, talk


def agent(tx: Tx, name: str = "A") -> Agent:
    row = Agent(id=new_id(), name=name, email=f"{new_id()}@example.com", role=Role.OWNER)
    tx.add(row)
    return row


async def aged(tx: Tx, days: int) -> None:
    """A closed conversation, a cart, an idle browser, a delivery and a look, all so old."""
    store = await connect(tx, f"of{new_id().hex[-6:]}")
    old = await talk(tx, store, None, f"{days} days ago")
    at = datetime.now(UTC) - timedelta(days=days, minutes=1)
    old.status, old.last_message_at = "resolved", at
    idle, _ = await visitors.open_visitor(tx, store, None)
    idle.last_seen_at = at
    await tx.flush()
    about = {"w": tx.workspace_id, "s": store.id, "id": new_id(), "at": at, "k": new_id().hex}
    await tx.execute(text("INSERT INTO carts (workspace_id, id, store_id, kind, external_id, version) "
                          "VALUES (:w, :id, :s, 'cart', :k, :at)"), about)  # fmt: skip
    await tx.execute(text("INSERT INTO access_log (workspace_id, id, agent_id, customer_id, what, created_at) "
                          "VALUES (:w, :id, :id, :id, 'customer', :at)"), about)  # fmt: skip
    await tx.execute(text("INSERT INTO events (workspace_id, id, kind, subject_id, actor, data, at) "
                          "VALUES (:w, :id, 'order.placed', :id, 'system', '{}', :at)"), about)  # fmt: skip
    await tx.execute(text("INSERT INTO orders (workspace_id, id, store_id, external_id, version, name, number, "
                          "placed_at, status, payment_status, fulfilment_status, currency, exponent, total) "
                          "VALUES (:w, :id, :s, :k, :at, '#1', '1', :at, 'open', 'paid', 'fulfilled', 'SAR', 2, 100)"),
                     about)  # fmt: skip
    for number, state in enumerate(("closed", "received")):
        held = {**about, "r": new_id(), "n": days * 10 + number, "state": state}
        await tx.execute(text("INSERT INTO return_requests (workspace_id, id, store_id, order_id, client_id, serial, "
                              "public_id, state, moved_at) "
                              "VALUES (:w, :r, :s, :id, :r, :n, :k || :state, :state, :at)"),
                         held)  # fmt: skip
        await tx.execute(text("INSERT INTO return_lines (workspace_id, id, store_id, order_id, request_id, position, "
                              "line_external_id, title, quantity, reason) "
                              "VALUES (:w, gen_random_uuid(), :s, :id, :r, 0, '1', 'Shirt', 1, 'other')"),
                         held)  # fmt: skip
    # One that is settled, and one that somebody still has to look at: that one stays.
    for stage in ("done", "open"):
        statement = {**about, "id": new_id(), "stage": stage, "r": new_id().hex}
        await tx.execute(text("INSERT INTO withdrawal_statements (workspace_id, id, store_id, visitor_id, client_id, "
                              "reference, name, contract, email, language, label, submitted_at, zone, subject, "
                              "receipt, digest, created_at) VALUES (:w, :id, :s, :id, :id, :r, '', '', '', '', '', "
                              ":at, '', '', '', '', :at)"), statement)  # fmt: skip
        await tx.execute(text("INSERT INTO withdrawals (workspace_id, id, store_id, stage, pay_by) "
                              "VALUES (:w, :id, :s, :stage, :at)"), statement)  # fmt: skip
    for state in ("ready", "done"):
        await tx.execute(
            text("INSERT INTO privacy_requests (workspace_id, id, store_id, kind, fingerprint, subject, state, result, "
                 "asked_at, due_at, done_at) VALUES (:w, gen_random_uuid(), :s, 'data_request', :k || :state, "
                 "'{\"email\": \"x@y.example\"}', :state, '{\"export\": {}, \"people\": []}', :at, :at, "
                 "CASE WHEN :state = 'done' THEN CAST(:at AS timestamptz) END)"), {**about, "state": state}
        )  # fmt: skip


async def deliveries(app: App, workspace: UUID, days: int) -> None:
    async with app.db.queue.begin() as connection:
        await connection.execute(
            text("INSERT INTO webhook_inbox (source, key, store_kind, store_key, topic, body, headers, workspace_id, "
                 "done_at) VALUES ('shopify', :key, 'store', 'x', 'orders/create', 'said', '{}', :w, :at)"),
            {"key": new_id().hex, "w": workspace, "at": datetime.now(UTC) - timedelta(days=days, minutes=1)},
        )  # fmt: skip


async def test_what_is_said_to_go_is_what_goes_and_nothing_else(app: App, workspace: UUID) -> None:
    ages = (2, 20, 200, 2000)
    async with app.db.transaction(workspace) as tx:
        for days in ages:
            await aged(tx, days)
        by = agent(tx)
        await tx.flush()
    for days in ages:
        await deliveries(app, workspace, days)
    chosen = {"conversations": 180, "carts": 7, "visitors": 30, "timeline": 365, "webhooks": 14, "exports": 60,
              "access_log": 180, "withdrawals": 730, "evidence": 1825, "returns": 1095}  # fmt: skip
    assert chosen.keys() == keeping.kinds(app.settings).keys()
    async with app.db.transaction(workspace) as tx:
        for name, days in chosen.items():
            await keeping.keep(tx, app.settings, name, days, by)
        said = {name: await keeping.would_go(tx, app.settings, name, days) for name, days in chosen.items()}
        every = {name: await keeping.would_go(tx, app.settings, name, 1) for name in chosen}
    assert said == {name: sum(age > days for age in ages) for name, days in chosen.items()}
    await privacy.retention(app, workspace)
    async with app.db.transaction(workspace) as tx:
        left = {name: await keeping.would_go(tx, app.settings, name, 1) for name in chosen}
        assert {name: every[name] - left[name] for name in chosen} == said
        named = text("SELECT count(*) FROM privacy_requests WHERE state = 'skipped' AND (subject ? 'email' "
                     "OR result ? 'export')")  # fmt: skip
        assert await tx.scalar(named) == 0, "a copy that is too old names nobody any more"
        assert await tx.scalar(text("SELECT count(*) FROM events WHERE kind = 'privacy.retention_changed'")) > 0
        under_way = "SELECT count(*) FROM return_requests WHERE state = 'received'"
        assert await tx.scalar(text(under_way)) == len(ages), "what has not ended is not too old"
        orphans = "SELECT count(*) FROM return_lines l WHERE NOT EXISTS (SELECT FROM return_requests r WHERE r.id = "
        assert await tx.scalar(text(orphans + "l.request_id)")) == 0
        assert await tx.scalar(text("SELECT count(*) FROM orders")) == len(ages)


async def test_another_workspace_keeps_what_it_wants(app: App, workspace: UUID, other_workspace: UUID) -> None:
    async with app.db.transaction(workspace) as tx:
        by = agent(tx)
        await tx.flush()
        await keeping.keep(tx, app.settings, "carts", 7, by)
    async with app.db.transaction(other_workspace) as tx:
        assert (await keeping.periods(tx, app.settings))["carts"] == 180


@pytest.mark.parametrize(("kind", "days"), [("carts", 1), ("carts", 0), ("access_log", 30), ("evidence", 30),
                                            ("nonsense", 30), ("webhooks", 365), ("conversations", 1)])  # fmt: skip
async def test_a_choice_outside_the_limits_is_refused(app: App, workspace: UUID, kind: str, days: int) -> None:
    async with app.db.transaction(workspace) as tx:
        by = agent(tx)
        await tx.flush()
        with pytest.raises(AhlanError):
            await keeping.keep(tx, app.settings, kind, days, by)


@given(operator=st.integers(0, 4000), chosen=st.sampled_from((0, *keeping.CHOICES)))
def test_nothing_is_kept_longer_than_the_operator_says(operator: int, chosen: int) -> None:
    settings = Settings(data_dir=None, conversation_retention_days=operator, webhook_retention_days=operator,
                        access_log_retention_days=operator, event_retention_days=operator)  # fmt: skip
    for name, kind in keeping.kinds(settings).items():
        held = keeping._within(kind, chosen)
        if kind.most:
            assert 0 < held <= kind.most, name
        assert held == 0 or held >= kind.floor, name
        assert kind.choices, name
        assert all(keeping._within(kind, days) == days for days in kind.choices), name


async def test_a_look_that_goes_on_is_one_line(app: App, workspace: UUID) -> None:
    async with app.db.transaction(workspace) as tx:
        maya, noa = agent(tx, "Maya"), agent(tx, "Noa")
        await tx.flush()
        huda, omar = new_id(), new_id()
        for _ in range(5):
            await privacy.log_access(tx, maya, huda, "conversation")
        await privacy.log_access(tx, maya, omar, "conversation")
        await privacy.log_access(tx, noa, huda, "conversation")
        for _ in range(2):
            await privacy.log_access(tx, maya, huda, "export")
        await tx.execute(text("UPDATE access_log SET created_at = now() - interval '50 minutes', "
                              "until = now() - interval '50 minutes' WHERE what = 'conversation'"))  # fmt: skip
        await privacy.log_access(tx, maya, huda, "conversation")
        lines = await access.looks(tx, customers=[huda])
        assert sorted((row.agent_id == maya.id, row.what) for row in lines.rows) == [
            (False, "conversation"), (True, "conversation"), (True, "export"), (True, "export")
        ]  # fmt: skip
        (long,) = [row for row in lines.rows if row.agent_id == maya.id and row.what == "conversation"]
        assert (long.until - long.created_at) > timedelta(minutes=45), "it says until when"
        assert {row.customer_id for row in (await access.looks(tx, agent_id=maya.id)).rows} == {huda, omar}
        await tx.execute(text("UPDATE access_log SET created_at = created_at - interval '1 hour'"))
        await privacy.log_access(tx, maya, huda, "conversation")
        assert len((await access.looks(tx, customers=[huda], agent_id=maya.id)).rows) == 4, (
            "an hour later: another look"
        )


async def test_the_read_log_is_paged_without_a_gap(app: App, workspace: UUID) -> None:
    async with app.db.transaction(workspace) as tx:
        maya = agent(tx, "Maya")
        await tx.flush()
        for _ in range(7):
            await privacy.log_access(tx, maya, new_id(), "customer")
        seen, before = [], None
        while True:
            page = await access.looks(tx, before=before, limit=3)
            seen += [row.id for row in page.rows]
            if page.before is None or page.before_id is None:
                break
            before = (page.before, page.before_id)
        assert len(seen) == len(set(seen)) == 7


async def test_the_operators_shorter_time_wins_over_an_older_choice(app: App, workspace: UUID) -> None:
    async with app.db.transaction(workspace) as tx:
        by = agent(tx)
        await tx.flush()
        await keeping.keep(tx, app.settings, "conversations", 365, by)
        strict = replace(app.settings, conversation_retention_days=60)
        assert (await keeping.periods(tx, strict))["conversations"] == 60
