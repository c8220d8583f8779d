"""What a death leaves behind in PostgreSQL and Valkey, put there by hand: it must not stand in anybody's way."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from arq.constants import default_queue_name, in_progress_key_prefix, job_key_prefix
from redis.asyncio import Redis
from sqlalchemy import func, select, text, update
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route
from structlog.testing import capture_logs

from plugin.app import App
from plugin.kernel import jobs
from plugin.kernel.db import connect, unavailable
from plugin.kernel.jobs import JobRow
from plugin.kernel.web import Web


@pytest.fixture(autouse=True)
async def nothing_else_to_do(app: App, valkey: Redis) -> None:
    """What other tests of this process left to do, hundreds of jobs, is not the business of the workers of these."""
    async with app.db.queue.begin() as connection:
        await connection.execute(update(JobRow).where(JobRow.done_at.is_(None)).values(done_at=func.now()))
    await valkey.delete(default_queue_name)


@asynccontextmanager
async def working(app: App) -> AsyncIterator[list[str]]:
    """A worker, and what it runs: the names of tasks and bells."""
    done: list[str] = []

    async def task(app: App, workspace_id: UUID) -> None:
        done.append("task")

    async def bell() -> None:
        done.append("bell")

    stop = asyncio.Event()
    worker = asyncio.create_task(
        jobs.run_worker(
            lambda: jobs.worker(app.redis_url, app.db, app, {"of_the_dead": task}, bells={"bell_of_the_dead": bell}),
            stop,
        )
    )
    try:
        yield done
    finally:
        stop.set()
        await worker


async def _job_of_a_dead_worker(app: App, workspace: UUID, valkey: Redis) -> None:
    async with app.db.transaction(workspace) as tx:
        await tx.enqueue("of_the_dead")
    async with app.db.queue.begin() as connection:
        mine = JobRow.workspace_id == workspace, JobRow.task == "of_the_dead"
        job_id = (await connection.execute(select(JobRow.id).where(*mine))).scalar_one()
        expired = func.now() - timedelta(seconds=1)
        await connection.execute(update(JobRow).where(*mine).values(lease=uuid4(), leased_until=expired, attempts=1))
    assert await valkey.exists(f"{job_key_prefix}{job_id}")
    await valkey.set(f"{in_progress_key_prefix}{job_id}", b"1", ex=600)


async def _done(app: App, workspace: UUID) -> bool:
    async with app.db.transaction(workspace) as tx:
        return await tx.scalar(select(JobRow.done_at).where(JobRow.task == "of_the_dead")) is not None


async def test_a_killed_workers_job_runs_as_soon_as_its_lease_ends(app: App, workspace: UUID, valkey: Redis) -> None:
    await _job_of_a_dead_worker(app, workspace, valkey)
    async with working(app) as ran, asyncio.timeout(jobs.SWEEP_SECONDS + 25):
        while not await _done(app, workspace):
            await asyncio.sleep(0.02)
    assert ran.count("task") == 1


async def test_a_bell_that_a_killed_worker_held_rings_again(app: App, valkey: Redis) -> None:
    await valkey.set(f"{in_progress_key_prefix}bell_of_the_dead", b"1", ex=600)
    pool = await app.jobs.pool()
    async with working(app) as ran, asyncio.timeout(jobs.SWEEP_SECONDS + 25):
        while "bell" not in ran:  # the sweep of the start
            await asyncio.sleep(0.02)
        ran.clear()
        await pool.enqueue_job("bell_of_the_dead", _job_id="bell_of_the_dead")
        while "bell" not in ran:
            await asyncio.sleep(0.02)


async def _failure(app: App, workspace: UUID, statement: str, **values: Any) -> Exception:
    with pytest.raises(Exception) as caught:
        async with app.db.transaction(workspace) as tx:
            await tx.execute(text(statement), values)
    return caught.value


async def test_an_absent_database_is_told_from_bad_data(app: App, workspace: UUID, database_url: str) -> None:
    assert not unavailable(await _failure(app, workspace, "SELECT CAST(:n AS integer)", n=2**40))
    assert not unavailable(await _failure(app, workspace, "SELECT CAST(:t AS text)", t="x\x00y"))
    assert not unavailable(await _failure(app, workspace, "SELECT 1 / CAST(:n AS integer)", n=0))
    assert not unavailable(await _failure(app, workspace, "SELECT nothing FROM nowhere"))
    assert not unavailable(ValueError("ours"))
    assert unavailable(ConnectionRefusedError())

    nobody = connect("postgresql://ahlan_app:x@127.0.0.1:1/x", "postgresql://ahlan_app:x@127.0.0.1:1/x")
    with pytest.raises(OSError) as refused:
        async with nobody.transaction(workspace) as tx:
            await tx.scalar(select(1))
    assert unavailable(refused.value)
    await nobody.close()


async def test_a_killed_session_counts_as_absence_and_the_next_one_works(
    app: App, workspace: UUID, database_url: str
) -> None:
    admin = await asyncpg.connect(database_url)
    with pytest.raises(Exception) as caught:
        async with app.db.transaction(workspace) as tx:
            await admin.execute("SELECT pg_terminate_backend($1)", await tx.scalar(text("SELECT pg_backend_pid()")))
            await tx.scalar(text("SELECT pg_sleep(1)"))
    await admin.close()
    assert unavailable(caught.value)
    async with app.db.transaction(workspace) as tx:
        assert await tx.scalar(select(1)) == 1


async def test_absence_is_answered_with_503_and_a_defect_with_500(app: App, workspace: UUID) -> None:
    async def away(request: Request) -> None:
        raise ConnectionRefusedError(111, "nobody is there")

    async def defect(request: Request) -> None:
        async with app.db.transaction(workspace) as tx:
            await tx.execute(text("SELECT nothing FROM nowhere"))

    pages = Web(app.catalogues, [], "http://test")
    site = Starlette(routes=[Route("/away", away), Route("/defect", defect)], exception_handlers=dict(pages.handlers()))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(site), base_url="http://test") as http:
        answer = await http.get("/away")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert answer.json()["error"]["code"] == "away"
        with capture_logs() as logs:
            assert (await http.get("/defect")).status_code == 500
        assert [entry["event"] for entry in logs] == ["unhandled"]
