"""Tokens and answers under stress: races, lost answers, refusals of every kind, points."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from integrations.shopify import client as client_module
from integrations.shopify import queries
from integrations.shopify.client import Throttle, UserErrors, turn
from integrations.shopify.simulator.shop import Fault
from plugin import stores
from plugin.platform import PlatformError
from tests.integrations.shopify.conftest import World

REFRESH = '"grant_type":"refresh_token"'


async def _expire(world: World) -> str:
    """Make the access token old by our book; returns it."""
    token, _ = await world.secret("access")
    await world.put("access", token, expires_at=datetime.now(UTC) + timedelta(minutes=4))
    return token


# --- renewal --------------------------------------------------------------------------------------------------------


async def test_a_token_with_less_than_five_minutes_is_renewed_first(world: World) -> None:
    connection = await world.connect()
    old = await _expire(world)
    await world.platform.client.run(connection, "Shop")
    new, row = await world.secret("access")
    assert new != old
    assert row.expires_at is not None
    assert row.expires_at - datetime.now(UTC) > timedelta(minutes=50)


async def test_many_workers_renew_once(world: World) -> None:
    connection = await world.connect()
    await _expire(world)
    before = world.wire.count(REFRESH)
    processes = [world.platform, world.another_process(), world.another_process()]
    tokens = await asyncio.gather(*(one.client.token(connection) for one in processes * 4))
    assert len(set(tokens)) == 1
    assert world.wire.count(REFRESH) - before == 1


async def test_a_lost_answer_is_repaired_with_the_old_refresh_token(world: World) -> None:
    connection = await world.connect()
    await _expire(world)
    lost: list[str] = []

    async def lose(request: httpx.Request, answer: httpx.Response) -> None:
        if REFRESH.encode() in request.content and len(lost) < 2:
            lost.append(json.loads(request.content)["refresh_token"])
            raise httpx.ReadError("gone")

    world.wire.after = lose
    await world.platform.client.run(connection, "Shop")
    assert lost == [lost[0]] * 2
    assert (await world.store()).status == stores.CONNECTED


async def test_a_failed_write_is_repaired_with_the_old_refresh_token(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = await world.connect()
    old_refresh = (await world.secret("refresh"))[0]
    await _expire(world)

    async def broken(*arguments: Any) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(client_module, "store_grant", broken)
        with pytest.raises(OSError, match="disk full"):
            await world.platform.client.token(connection)
    assert (await world.secret("refresh"))[0] == old_refresh
    await world.platform.client.run(connection, "Shop")
    assert (await world.secret("refresh"))[0] != old_refresh


async def test_an_answer_without_expires_in_does_not_mean_for_ever(world: World) -> None:
    connection = await world.connect()
    await _expire(world)

    async def silent(request: httpx.Request) -> httpx.Response | None:
        if REFRESH.encode() not in request.content:
            return None
        return httpx.Response(200, json={"access_token": "shpat_x", "scope": "read_orders", "refresh_token": "shprt_x"})

    world.wire.before = silent
    assert await world.platform.client.token(connection) == "shpat_x"
    _, row = await world.secret("access")
    assert row.expires_at is not None
    assert abs(row.expires_at - datetime.now(UTC) - timedelta(hours=1)) < timedelta(minutes=1)


async def test_an_answer_without_a_successor_keeps_the_refresh_token(world: World) -> None:
    connection = await world.connect()
    kept = (await world.secret("refresh"))[0]
    await _expire(world)

    async def silent(request: httpx.Request) -> httpx.Response | None:
        held = REFRESH.encode() in request.content
        return httpx.Response(200, json={"access_token": "shpat_x", "scope": "a,b"}) if held else None

    world.wire.before = silent
    await world.platform.client.token(connection)
    assert (await world.secret("refresh"))[0] == kept


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, content=b"<html>"),
        httpx.Response(200, json=[]),
        httpx.Response(200, json={"access_token": None}),
        httpx.Response(503),
    ],
)
async def test_garbage_at_renewal_costs_no_token(world: World, answer: httpx.Response) -> None:
    connection = await world.connect()
    kept = await _expire(world), (await world.secret("refresh"))[0]

    async def garbage(request: httpx.Request) -> httpx.Response | None:
        if REFRESH.encode() not in request.content:
            return None
        return httpx.Response(answer.status_code, content=answer.content)

    world.wire.before = garbage
    with pytest.raises(PlatformError) as error:
        await world.platform.client.token(connection)
    assert error.value.retry
    assert ((await world.secret("access"))[0], (await world.secret("refresh"))[0]) == kept
    assert (await world.store()).status == stores.CONNECTED


async def test_a_dead_refresh_token_puts_the_store_to_sleep(world: World) -> None:
    connection = await world.connect()
    await _expire(world)
    world.sim.shop.state.clear("refresh")
    with pytest.raises(PlatformError) as error:
        await world.platform.client.run(connection, "Shop")
    assert error.value.reauthorize
    assert not error.value.retry
    assert (await world.store()).status == stores.NEEDS_REAUTH


async def test_a_refresh_token_past_its_end_is_not_even_tried(world: World) -> None:
    connection = await world.connect()
    await _expire(world)
    refresh = (await world.secret("refresh"))[0]
    await world.put("refresh", refresh, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    before = world.wire.count(REFRESH)
    with pytest.raises(PlatformError) as error:
        await world.platform.client.token(connection)
    assert error.value.reauthorize
    assert world.wire.count(REFRESH) == before


async def test_a_killed_writer_holds_up_nobody(world: World) -> None:
    connection = await world.connect()
    await _expire(world)
    name = f"shopify:{connection.external_id}"

    async def hold() -> None:
        async with turn(world.app.db, name):
            await asyncio.sleep(60)

    holder = asyncio.create_task(hold())
    await asyncio.sleep(0.1)
    waiter = asyncio.create_task(world.platform.client.token(connection))
    await asyncio.sleep(0.2)
    assert not waiter.done()
    holder.cancel()
    assert (await asyncio.wait_for(waiter, 30)).startswith("shpat_")


async def test_a_turn_is_left_free_whatever_happens_in_it(world: World) -> None:
    for error in (ValueError, asyncio.CancelledError):
        with pytest.raises(error):
            async with turn(world.app.db, "x", patience=1):
                raise error
    async with turn(world.app.db, "x", patience=1):
        async with world.app.db.app.connect() as connection:
            open_transactions = await connection.scalar(
                text(
                    "SELECT count(*) FROM pg_stat_activity a JOIN pg_locks l USING (pid) "
                    "WHERE l.locktype = 'advisory' AND a.state = 'idle in transaction'"
                )
            )
        assert open_transactions == 0, "the lock is held outside any transaction"
        with pytest.raises(PlatformError) as busy:
            async with turn(world.app.db, "x", patience=0.2):
                pass
    assert busy.value.retry


# --- refused tokens -------------------------------------------------------------------------------------------------


async def test_a_refused_token_is_renewed_once_by_force(world: World) -> None:
    connection = await world.connect()
    world.sim.shop.state.clear("tokens")
    assert (await world.platform.client.run(connection, "Shop"))["shop"]["name"] == "Bustan"
    assert (await world.store()).status == stores.CONNECTED


async def test_two_workers_with_the_same_refused_token_renew_once(world: World) -> None:
    connection = await world.connect()
    world.sim.shop.state.clear("tokens")
    before = world.wire.count(REFRESH)
    other = world.another_process()
    await asyncio.gather(*(one.client.run(connection, "Shop") for one in (world.platform, other)))
    assert world.wire.count(REFRESH) - before == 1


async def test_refused_again_the_store_needs_its_merchant(world: World) -> None:
    connection = await world.connect()

    async def never(request: httpx.Request) -> httpx.Response | None:
        return httpx.Response(401, json={"errors": "no"}) if "graphql" in str(request.url) else None

    world.wire.before = never
    before = world.wire.count("graphql")
    with pytest.raises(PlatformError) as error:
        await world.platform.client.run(connection, "Shop")
    assert error.value.reauthorize
    assert world.wire.count("graphql") - before == 2
    assert (await world.store()).status == stores.NEEDS_REAUTH


# --- answers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "retry"),
    [
        (402, "shop_frozen", True), (403, "forbidden", False), (404, "not_found", False), (423, "shop_locked", True),
        (430, "rejected", True),
    ],
)  # fmt: skip
async def test_refusals_say_whether_asking_again_can_help(world: World, status: int, code: str, retry: bool) -> None:
    connection = await world.connect()
    world.sim.shop.faults.append(Fault(str(status)))
    with pytest.raises(PlatformError) as error:
        await world.platform.client.run(connection, "Shop")
    assert (error.value.code, error.value.retry) == (code, retry)
    assert (error.value.after is not None) is retry
    assert "shpat_" not in str(error.value)


@pytest.mark.parametrize("kind", ["500", "503", "429"])
async def test_a_read_survives_a_passing_failure(world: World, kind: str) -> None:
    connection = await world.connect()
    world.sim.shop.faults.append(Fault(kind, seconds=0.01))
    assert (await world.platform.client.run(connection, "Shop"))["shop"]


async def test_a_change_is_not_repeated_blindly(world: World) -> None:
    connection = await world.connect()
    world.sim.shop.faults.append(Fault("500"))
    before = world.wire.count("BulkRun")
    with pytest.raises(PlatformError) as error:
        await world.platform.client.run(connection, "BulkRun", {"query": queries.BULK_PRODUCTS})
    assert error.value.retry
    assert world.wire.count("BulkRun") - before == 1


async def test_garbage_is_an_error_that_passes(world: World) -> None:
    connection = await world.connect()
    world.sim.shop.faults.append(Fault("garbage"))
    with pytest.raises(PlatformError) as error:
        await world.platform.client.run(connection, "Shop")
    assert (error.value.code, error.value.retry) == ("garbage", True)


async def test_a_throttled_answer_with_status_200_is_repeated(world: World) -> None:
    connection = await world.connect()
    world.sim.shop.faults.append(Fault("throttled"))
    assert (await world.platform.client.run(connection, "Shop"))["shop"]


async def test_a_revoked_scope_is_access_denied_not_a_crash(world: World) -> None:
    connection = await world.connect()
    shop = world.sim.shop
    shop.state.set("granted", [scope for scope in shop.granted if scope != "read_customers"])
    with pytest.raises(PlatformError) as error:
        await world.platform.client.run(connection, "CustomersPage", {"first": 1})
    assert (error.value.code, error.value.retry, error.value.reauthorize) == ("access_denied", False, False)
    # Withheld inside an order, the order itself is still there.
    answer = await world.platform.client.answer(connection, "OrdersPage", {"first": 2})
    assert answer.data["orders"]["nodes"][0]["customer"] is None
    assert answer.withheld


async def test_user_errors_carry_what_was_said(world: World) -> None:
    connection = await world.connect()
    with pytest.raises(UserErrors) as error:
        await world.platform.client.run(connection, "WebhookDelete", {"id": "gid://shopify/WebhookSubscription/1"})
    assert error.value.said == "Webhook subscription does not exist"
    assert error.value.code == "user_error", "plain UserErrors have no code"


@pytest.mark.parametrize(
    "told",
    [
        {"errors": "Not Found"}, {"errors": [{"message": "Internal", "extensions": {"code": "INTERNAL_SERVER_ERROR"}}]},
        {"errors": [{"message": "x", "extensions": None}]}, {"errors": ["x"]}, {"data": None}, {"data": []}, {},
        {"data": {"shop": None}, "errors": [{"message": "denied", "extensions": {"code": "ACCESS_DENIED"}}]},
    ],
)  # fmt: skip
async def test_every_shape_of_failure_is_a_platform_error(world: World, told: dict[str, Any]) -> None:
    connection = await world.connect()

    async def tell(request: httpx.Request) -> httpx.Response | None:
        return httpx.Response(200, json=told)

    world.wire.before = tell
    with pytest.raises(PlatformError):
        await world.platform.client.run(connection, "Shop")


async def test_a_shop_that_is_none_is_never_asked(world: World) -> None:
    await world.connect()
    before = len(world.wire.requests)
    for name in ("evil.com", "acme.myshopify.com@evil.com", "acme.myshopify.com\n", ""):
        with pytest.raises(PlatformError):
            await world.platform.client.ask(name, "t", "Shop")
        with pytest.raises(PlatformError):
            await world.platform.client.tokens.refresh(name, "r")
    assert len(world.wire.requests) == before


# --- points ---------------------------------------------------------------------------------------------------------


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def _status(available: float, maximum: float = 1000, rate: float = 50) -> dict[str, float]:
    return {"currentlyAvailable": available, "maximumAvailable": maximum, "restoreRate": rate}


def test_background_work_leaves_a_fifth_to_the_panel() -> None:
    throttle = Throttle(Clock())
    throttle.observe("s", _status(250))
    assert throttle.pause("s", 100, foreground=True) == 0
    assert throttle.pause("s", 100, foreground=False) == pytest.approx((100 - (250 - 200)) / 50)
    assert throttle.pause("other", 100, foreground=False) == 0


def test_what_is_under_way_counts_and_time_gives_back() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    throttle.observe("s", _status(300))
    throttle.spend("s", 250)
    assert throttle.pause("s", 100, foreground=True) == pytest.approx(1.0)
    clock.now += 1
    assert throttle.pause("s", 100, foreground=True) == pytest.approx(0.0)
    clock.now += 1000
    assert throttle.pause("s", 800, foreground=False) == 0


def test_a_call_larger_than_the_share_is_not_waited_for_for_ever() -> None:
    throttle = Throttle(Clock())
    throttle.observe("s", _status(1000))
    assert throttle.pause("s", 5000, foreground=False) == 0


@pytest.mark.parametrize("status", [{}, {"currentlyAvailable": "x"}, {"currentlyAvailable": None}, _status(1, 0, 0)])
def test_a_strange_throttle_status_breaks_nothing(status: dict[str, Any]) -> None:
    throttle = Throttle(Clock())
    throttle.observe("s", status)
    assert throttle.pause("s", 10, foreground=True) < 1000


async def test_an_empty_bucket_is_waited_for(world: World) -> None:
    connection = await world.connect()
    bucket = world.sim.admin_api.throttle
    bucket.size, bucket.rate, bucket.level = 600.0, 2000.0, 0.0
    for _ in range(3):
        await world.platform.client.run(connection, "CustomersPage", {"first": 50})
    assert world.sim.admin_api.throttle.available() >= 0
