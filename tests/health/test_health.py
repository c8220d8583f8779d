"""A store's state, read from what is stored; incidents that open and close with it; the mails about them."""

import email
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from integrations.channels.email.send import compose
from plugin import deliveries, doctor, stores
from plugin.app import App
from plugin.crm import backfill, reconcile
from plugin.crm.backfill import Backfill
from plugin.health import alerts, incidents, rules, words
from plugin.health.incidents import Incident, Mailing
from plugin.health.rules import Notice, Problem, Severity
from plugin.kernel import i18n
from plugin.kernel.jobs import JobRow
from plugin.platform import Finding, Resource
from plugin.stores import Store
from plugin.team import Role
from tests.health.conftest import Add, World, connect

DISABLED = Finding("webhooks_were_disabled", False, "7")


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def headers(triggered_at: str) -> str:
    return orjson.dumps({"triggered_at": triggered_at}).decode()


# What is read


async def test_a_store_that_is_well(world: World) -> None:
    told = headers((world.now - minutes(2)).isoformat())
    await world.delivered(world.now - minutes(1), headers=told)
    health = await world.health()
    assert health.problems == ()
    assert health.tally.last_at == world.now - minutes(1)
    assert (health.lag.arriving, health.lag.writing) == (60, 1)
    assert {one.resource: one.compared_until for one in health.freshness} == dict.fromkeys(
        Resource, world.now - minutes(5)
    )


async def test_a_header_that_is_no_time_breaks_nothing(world: World) -> None:
    for said in ("yesterday", "0001-01-01T00:00:00+23:59"):
        await world.delivered(world.now, headers=headers(said))
    assert (await world.health()).lag.arriving is None


async def test_a_store_that_went_silent_is_noticed_by_its_own_rhythm(world: World) -> None:
    # An order every twenty minutes; nothing for two hours, and meanwhile the API showed three that nobody told.
    world.now += timedelta(hours=2)
    await world.compared(world.now - minutes(5))
    assert (await world.health()).problems == ()
    await world.missed(world.now - minutes(10), 3)
    (problem,) = (await world.health()).problems
    assert (problem.code, problem.count) == ("silent", 3)
    # What cannot be read was told all the same, and so the store is not silent.
    await world.delivered(world.now, topic="orders/create", done=None, parked=world.now, error="KeyError: 'id'")
    assert [one.code for one in (await world.health()).problems] == ["parked"]


async def test_a_quiet_night_alarms_nobody_and_carts_do_not_hide_a_silence(world: World) -> None:
    world.now += timedelta(hours=9)
    await world.compared(world.now - minutes(5))
    await world.look()
    assert await world.open() == []
    await world.missed(world.now - minutes(10), 4)
    await world.delivered(world.now - minutes(2), topic="carts/update")
    await world.look()
    assert await world.open() == ["silent"]


async def test_gaps_from_before_the_last_delivery_are_no_silence(world: World) -> None:
    await world.missed(world.now - timedelta(hours=1), 9)
    await world.gap(world.now - timedelta(hours=1), 9)
    world.now += timedelta(hours=5)
    # So fresh that its webhook may be under way.
    await world.missed(world.now - minutes(1), 9)
    await world.compared(world.now)
    assert (await world.health()).problems == ()


async def test_a_disabled_webhook_opens_an_incident_and_the_next_good_check_closes_it(world: World) -> None:
    await world.found(DISABLED, Finding("coming_soon", False))
    await world.look()
    assert await world.open() == ["webhooks_were_disabled"], "a shop that is closed to visitors keeps no news from us"
    world.now += timedelta(hours=1)
    await world.compared(world.now)
    await world.found(Finding("webhooks_were_disabled", True))
    await world.look()
    (incident,) = await world.incidents()
    assert (incident.last_seen_at, incident.recovered_at) == (world.now - timedelta(hours=1), world.now)


async def test_a_history_that_nobody_reads_any_more_has_stopped(world: World) -> None:
    async with world.app.db.transaction(world.workspace) as tx:
        await tx.execute(text("UPDATE jobs SET done_at = now() WHERE task IN ('start_backfill', 'backfill_resource')"))
        await tx.execute(text("UPDATE backfills SET state = 'running' WHERE resource = 'orders'"))
        await tx.execute(text("UPDATE backfills SET state = 'failed' WHERE resource = 'products'"))
    (problem,) = (await world.health()).problems
    assert (problem.code, problem.resources) == ("backfill_stopped", ("orders", "products"))
    async with world.app.db.transaction(world.workspace) as tx:
        await tx.enqueue("backfill_resource", store_id=world.store.id, resource="orders")
    assert (await world.health()).problems[0].resources == ("products",)


async def test_what_was_missed_is_named(world: World) -> None:
    async with world.app.db.transaction(world.workspace) as tx:
        await tx.execute(
            text("INSERT INTO orders (workspace_id, id, store_id, external_id, version, name, number, placed_at, "
                 "status, payment_status, fulfilment_status, currency, exponent, total) VALUES (:w, "
                 "gen_random_uuid(), :s, 'o7', now(), '#1007', '1007', now(), 'open', 'paid', '', 'SAR', 2, 100)"),
            {"w": world.workspace, "s": world.store.id},
        )  # fmt: skip
    await world.gap(world.now - minutes(30), 2, ("o7", "unknown"))
    health = await world.health()
    (gap,) = health.gaps
    assert (gap.resource, gap.count, gap.names) == ("orders", 2, ("#1007",))
    assert {one.resource: one.mended for one in health.freshness}[Resource.ORDERS] == 2


# Incidents


async def test_a_problem_that_comes_back_soon_is_the_same_incident(world: World) -> None:
    for found in (DISABLED, Finding("webhooks", True), DISABLED, Finding("webhooks", True)):
        await world.found(found)
        await world.look()
        world.now += minutes(20)
        await world.compared(world.now)
    (incident,) = await world.incidents()
    assert incident.recovered_at is not None
    world.now += timedelta(hours=3)
    await world.compared(world.now)
    await world.found(DISABLED)
    await world.look()
    assert len(await world.incidents()) == 2


async def test_a_store_that_was_taken_away_has_no_problem_and_no_mail(world: World, add: Add) -> None:
    await add("owner", Role.OWNER)
    await world.found(DISABLED)
    await world.look()
    async with world.app.db.transaction(world.workspace) as tx:
        store = await tx.get(Store, world.store.id, lock=True)
        assert store is not None
        await stores.uninstalled(tx, store, datetime.now(UTC))
    await world.look()
    world.now += timedelta(hours=2)
    await world.look()
    assert await world.open() == []
    assert len(world.post.mails) == 1


async def test_two_looks_at_once_make_one_incident_and_one_mail(world: World, add: Add) -> None:
    await add("owner", Role.OWNER)
    await world.found(DISABLED)
    await alerts.watch_store(world.app, world.workspace, store_id=str(world.store.id))
    await alerts.watch_store(world.app, world.workspace, store_id=str(world.store.id))
    await world.mail()
    await world.mail()
    assert len(await world.incidents()) == len(world.post.mails) == 1


# Mail


async def test_one_mail_a_reminder_after_a_day_and_one_when_it_is_over(world: World, add: Add) -> None:
    await add("owner", Role.OWNER)
    await world.found(DISABLED)
    for _ in range(2 * 48):
        await world.compared(world.now)
        await world.look()
        world.now += minutes(30)
    assert [mail.subject for mail in world.post.mails] == [
        "\u2068dukkan\u2069: The store had stopped telling us news"
    ] * 2
    assert "Still so:" in world.post.mails[1].text
    await world.found(Finding("webhooks", True))
    for _ in range(8):
        await world.compared(world.now)
        await world.look()
        world.now += minutes(20)
    assert world.post.mails[2].subject == "\u2068dukkan\u2069 is well again"
    assert len(world.post.mails) == 3
    async with world.app.db.transaction(world.workspace) as tx:
        (past,) = await incidents.history(tx, world.store.id)
        assert past.mailed_at is not None


async def test_only_those_who_look_after_stores_and_did_not_switch_it_off_get_mail(world: World, add: Add) -> None:
    await add("owner", Role.OWNER)
    await add("admin", Role.ADMIN)
    await add("quiet", Role.ADMIN, alerts=False)
    await add("gone", Role.ADMIN, deactivated_at=datetime.now(UTC))
    await add("agent", Role.AGENT)
    await world.found(DISABLED)
    await world.look()
    assert sorted(mail.recipient for mail in world.post.mails) == ["admin@shop.example", "owner@shop.example"]


async def test_a_worker_that_dies_between_two_mails_sends_the_rest_and_none_twice(world: World, add: Add) -> None:
    for name in ("one", "two", "three"):
        await add(name, Role.ADMIN)
    world.post.dies_after = 1
    await world.found(DISABLED)
    await world.look()
    assert sorted(mail.recipient for mail in world.post.mails) == [
        "one@shop.example", "three@shop.example", "two@shop.example",
    ]  # fmt: skip
    assert len({mail.key for mail in world.post.mails}) == 3


async def test_an_address_that_is_refused_does_not_keep_the_others_from_knowing(world: World, add: Add) -> None:
    await add("a", Role.ADMIN)
    await add("b", Role.ADMIN)
    world.post.refused = {"a@shop.example"}
    await world.found(DISABLED)
    await world.look()
    assert [mail.recipient for mail in world.post.mails] == ["b@shop.example"]


async def test_what_was_over_before_it_could_be_mailed_is_not_mailed(world: World, add: Add) -> None:
    await add("owner", Role.OWNER)
    await world.found(DISABLED)
    async with world.app.db.transaction(world.workspace) as tx:
        await alerts.look(tx, world.store.id, world.now, mail=True)
    await world.found(Finding("webhooks", True))
    async with world.app.db.transaction(world.workspace) as tx:
        await alerts.look(tx, world.store.id, world.now, mail=True)
    await world.mail()
    world.now += timedelta(hours=2)
    await world.compared(world.now)
    await world.look()
    assert world.post.mails == []


Steps = st.lists(
    st.tuples(st.integers(5, 900), st.sets(st.sampled_from(["keys_refused", "webhook_missing", "scope_missing"]))),
    max_size=25,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(Steps)
async def test_whatever_breaks_and_mends_whenever_nobody_is_flooded(
    app: App, workspace: UUID, steps: list[tuple[int, set[str]]]
) -> None:
    """The clock moves, problems come and go: the limits hold for every incident and for every day."""
    now = datetime.now(UTC)
    async with app.db.transaction(workspace) as tx:
        store = await connect(tx, f"s{now.timestamp():.6f}")
        before = {row.id for row in await tx.scalars(select(Mailing))}
    for pause, broken in steps:
        now += minutes(pause)
        async with app.db.transaction(workspace) as tx:
            problems = [Problem(code, Severity.BAD) for code in sorted(broken)]
            await incidents.keep(tx, store, problems, now)
            await incidents.mails_due(tx, store.id, now)
            open_codes = [row.code for row in await tx.scalars(
                select(Incident).where(Incident.store_id == store.id, Incident.recovered_at.is_(None)))]  # fmt: skip
            assert sorted(open_codes) == sorted(broken)
    async with app.db.transaction(workspace) as tx:
        rows = {row.id: row for row in await tx.scalars(select(Incident).where(Incident.store_id == store.id))}
        mails = [row for row in await tx.scalars(select(Mailing).order_by(Mailing.at)) if row.id not in before]
        every = list(await tx.scalars(select(Mailing.at).order_by(Mailing.at)))
    told: dict[UUID, dict[str, datetime]] = {}
    for mail in mails:
        assert mail.kind not in told.setdefault(mail.incident_id, {})
        told[mail.incident_id][mail.kind] = mail.at
    for incident_id, kinds in told.items():
        assert Notice.OPENED in kinds
        if Notice.REMINDER in kinds:
            assert kinds[Notice.REMINDER] - kinds[Notice.OPENED] >= rules.REMIND
        if Notice.RECOVERED in kinds:
            recovered = rows[incident_id].recovered_at
            assert recovered is not None
            assert recovered + rules.SETTLE <= kinds[Notice.RECOVERED]
            assert Notice.REMINDER not in kinds or kinds[Notice.REMINDER] <= recovered
    for first, last in zip(every, every[rules.MAILS_A_DAY :], strict=False):
        assert last - first >= rules.DAY, "more in a day than anybody reads"


LETTERS = {
    "en": ("dukkan", "ltr", "left", "The store had stopped telling us news"),
    "ar": ("dukkan", "rtl", "right", "كان المتجر قد توقف عن إرسال الجديد"),
    "he": ("dukkan", "rtl", "right", "החנות הפסיקה לעדכן אותנו"),
}


@pytest.mark.parametrize("locale", LETTERS)
async def test_the_mail_is_in_the_readers_language_and_direction(world: World, add: Add, locale: str) -> None:
    await add("reader", Role.OWNER, locale)
    await world.found(DISABLED)
    await world.look()
    (mail,) = world.post.mails
    name, direction, start, says = LETTERS[locale]
    assert says in mail.subject
    assert name in mail.subject
    mime = email.message_from_bytes(compose(mail, "alerts@ahlan.example").as_bytes(), policy=email.policy.default)
    plain, html = (part.get_content() for part in mime.iter_parts())
    for part in (plain, html):
        assert says in part
        assert f"/panel/stores/{world.store.id}" in part
    assert f'<html lang="{locale}" dir="{direction}">' in html
    assert f'<div lang="{locale}" dir="{direction}"' in html
    assert f"text-align:{start}" in html
    catalogues = i18n.load()
    t, source = catalogues.translator(locale), catalogues.translator("en")
    for kind in Notice:
        for code in ("silent", "parked", "stale", "unreachable", *words.FINDINGS):
            problem = Problem(code, Severity.BAD, count=3, resources=("orders",) if code == "stale" else ())
            incident = Incident(opened_at=world.now, last_seen_at=world.now, recovered_at=world.now)
            subject, lines = alerts.letter(t, kind, "X", problem, incident)
            assert subject
            assert all(lines)
            if locale != "en":
                english = alerts.letter(source, kind, "X", problem, incident)[1]
                assert not set(lines[1:]) & set(english[1:]), (code, kind)


async def test_a_name_that_is_code_stays_a_name(world: World, add: Add) -> None:
    await add("owner", Role.OWNER)
    async with world.app.db.transaction(world.workspace) as tx:
        await tx.execute(text("UPDATE stores SET name = '<img src=x>' || chr(10) || 'Bcc: x@y.example'"))
    await world.found(DISABLED)
    await world.look()
    (mail,) = world.post.mails
    assert "<img" not in mail.html
    mime = compose(mail, "alerts@ahlan.example")
    assert mime["Bcc"] is None


# The operator


async def test_doctor_and_the_page_say_the_same(world: World) -> None:
    await world.found(DISABLED, Finding("webhooks_were_missing", False, "order.created"), Finding("embed", False))
    await world.delivered(world.now, done=None, parked=world.now, error="KeyError: 'id'")
    health = await world.health()
    english = world.app.catalogues.translator("en")
    lines = doctor.of_store(english, health)
    assert [line.what for line in lines if not line.ok] == [
        f"dukkan ({world.store.external_id}): {words.say(english, problem).what}"
        + (f" ({problem.detail})" if problem.detail else "")
        for problem in health.problems if problem.severity != Severity.NOTE
    ]  # fmt: skip
    assert [line.remedy for line in lines] == [words.say(english, problem).how for problem in health.problems]
    seen = [finding async for finding in doctor._stores(world.app)]
    assert [one for one in seen if one.store == world.store.external_id] == lines


# Reading again


async def test_reading_again_begins_once_however_often_it_is_pressed(world: World) -> None:
    async with world.app.db.transaction(world.workspace) as tx:
        await tx.execute(text("UPDATE jobs SET done_at = now()"))
        assert await backfill.resync(tx, world.store.id, Resource.ORDERS) == ["orders"]
    async with world.app.db.transaction(world.workspace) as tx:
        await tx.execute(text("UPDATE backfills SET cursor = '40', done_count = 40 WHERE resource = 'orders'"))
        assert await backfill.resync(tx, world.store.id, Resource.ORDERS) == [], "it goes on where it is"
        assert await backfill.resync(tx, world.store.id) == ["customers", "products"]
    async with world.app.db.transaction(world.workspace) as tx:
        waiting = list(await tx.scalars(select(JobRow.task).where(JobRow.done_at.is_(None))))
        assert waiting.count("start_backfill") == 1
        row = (await tx.scalars(select(Backfill).where(Backfill.resource == "orders"))).one()
        assert (row.state, row.done_count, row.cursor) == ("running", 40, "40")


async def test_a_check_that_mended_webhooks_has_the_store_compared_at_once(world: World) -> None:
    async with world.app.db.transaction(world.workspace) as tx:
        await reconcile.compare_now(tx, world.store.id)
    async with world.app.db.transaction(world.workspace) as tx:
        row = (await tx.scalars(select(JobRow).where(JobRow.task == "reconcile_store"))).one()
        assert row.run_at <= datetime.now(UTC)
        assert row.every is not None


async def test_webhooks_that_vanished_are_told_apart_from_new_ones(world: World) -> None:
    store: Any = world.store
    store.findings = [{"code": "webhook_kept", "detail": "customers/merge"}, {"code": "webhooks", "detail": "x"}]
    added = [Finding("webhook_added", True, "customers/merge"), Finding("webhook_added", True, "draft_orders/create")]
    (lost,) = reconcile._lost(store, added)
    assert (lost.code, lost.ok, lost.detail) == ("webhooks_were_missing", False, "customers/merge")
    assert reconcile._lost(store, [Finding("webhook_moved", True, "customers/merge")]) == []


# Deliveries


async def test_deliveries_show_everything_but_what_they_held(world: World) -> None:
    (broken,) = await world.delivered(world.now, done=None, parked=world.now, error="ValueError: Fatima Ali is no id")
    (fresh,) = await world.delivered(world.now + minutes(1), done=None)
    async with world.app.db.transaction(world.workspace) as tx:
        first, second, *rest = await deliveries.latest(tx, world.store.id)
        assert (first.id, first.state, second.id, second.state) == (fresh, "waiting", broken, "parked")
        assert {one.state for one in rest} == {"done"}
        seen, before = {first.id, second.id, *(one.id for one in rest)}, rest[-1].id
        while page := await deliveries.latest(tx, world.store.id, before=before):
            assert not seen & {one.id for one in page}
            seen |= {one.id for one in page}
            before = page[-1].id
        assert len(seen) == 62
        tally = await deliveries.tally(tx, world.store.id)
        assert (tally.parked, tally.waiting, tally.last_at) == (1, 1, world.now + minutes(1))
    english = i18n.load().translator("en")
    assert words.cause(english, second.error) == "It is not written as the platform describes it."
    assert not hasattr(second, "body")


@pytest.mark.parametrize(
    ("error", "says"),
    [
        ("KeyError: 'id'", "not written"),
        ("record 0: total is too large", "cannot be kept"),
        ("<class 'asyncpg.exceptions.NumericValueOutOfRangeError'>: out of range", "cannot be kept"),
        ("<class 'asyncpg.exceptions.ConnectionDoesNotExistError'>: closed", "could not take it"),
        ("ConnectionError: gone", "could not take it"),
        ("the store is gone", "not connected"),
        ("Zebra", "look into it"),
    ],
)
def test_errors_in_words(error: str, says: str) -> None:
    assert says in words.cause(i18n.load().translator("en"), error)


async def test_a_parked_delivery_is_put_back_and_nobody_elses_is(world: World, other_workspace: UUID) -> None:
    one, two = await world.delivered(world.now, world.now, done=None, parked=world.now, error="KeyError: 'id'")
    async with world.app.db.transaction(other_workspace) as tx:
        assert await deliveries.replay(tx, world.store.id, delivery_id=one) == 0
        assert await deliveries.replay(tx, world.store.id) == 0
    async with world.app.db.transaction(world.workspace) as tx:
        assert await deliveries.replay(tx, world.store.id, delivery_id=one) == 1
        assert await deliveries.replay(tx, world.store.id, delivery_id=one) == 0, "a double click finds nothing more"
        assert await deliveries.replay(tx, world.store.id) == 1
        assert {row.id for row in await deliveries.latest(tx, world.store.id) if row.state == "waiting"} == {one, two}


async def test_state_of_a_store_is_read_by_index(world: World) -> None:
    """The inbox is everybody's: no page and no look may read all of it."""
    async with world.app.db.transaction(world.workspace) as tx:
        about = {"workspace": world.workspace, "store": world.store.id, "limit": 25, "before": None, "looked_at": 100}
        for statement in (deliveries._ALL.format(older=""), deliveries._TALLY.text, deliveries._TOOK.text,
                          deliveries._TIMES.text, deliveries._LAST_UNDONE.text):  # fmt: skip
            plan = "\n".join(await tx.scalars(text(f"EXPLAIN {statement}"), about))
            assert "Seq Scan on webhook_inbox" not in plan
            assert "webhook_inbox_pkey" not in plan, plan
