"""Jobs: a row in the transaction that needs it, a ring on Valkey after commit, a sweep for what was missed.

PostgreSQL is the truth and arq the doorbell. This is the only file that imports arq. arq runs a job at least once
(https://arq-docs.helpmanual.io/#retrying-jobs-and-cancellation), so a task stamps its row with `tx.complete_job()` in
the transaction of its effect, or must be safe to repeat.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import random
from typing import Any
from uuid import UUID

import orjson
import structlog
from arq import create_pool
from arq.connections import ArqRedis, RedisSettings
from arq.constants import default_queue_name, health_check_key_suffix, in_progress_key_prefix
from arq.cron import cron
from arq.worker import Worker as Worker
from arq.worker import func
from redis.exceptions import RedisError
from sqlalchemy import Index, insert, select, text, update
from sqlalchemy import func as sql
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Mapped, mapped_column

from plugin.kernel import bulk
from plugin.kernel.db import Base, Database, Happening, Outbox, TenantRow, Tx, new_id
from plugin.kernel.events import Event
from plugin.kernel.log import request_id
from plugin.kernel.personal import kept

log = structlog.get_logger(__name__)

Task = Callable[..., Awaitable[None]]

_REDIS_ERRORS = (RedisError,)
MAX_ATTEMPTS = 12
LEASE = timedelta(seconds=45)
HEARTBEAT_SECONDS = 15
TASK_LIMIT = 600
SWEEP_SECONDS = 5
LOOK_SECONDS = 0.5
RUN = "run_job"


class JobRow(TenantRow, Base):
    """A task to run. `every` (seconds) makes it run again for ever; `lease` is the run that holds it now."""

    __tablename__ = "jobs"
    __table_args__ = (
        Index("ix_jobs_due", "run_at", postgresql_where=text("done_at IS NULL AND failed_at IS NULL")),
        Index(
            "uq_jobs_unfinished",
            "workspace_id",
            "unique_key",
            unique=True,
            postgresql_where=text("done_at IS NULL AND failed_at IS NULL AND unique_key IS NOT NULL"),
        ),
        {
            "info": {
                "access": "queue",
                "grants": "SELECT, INSERT, UPDATE, DELETE",
                **kept(
                    "work goes on; jobs that speak of the person are deleted",
                    blank=("last_error",),
                    plain=("task", "arguments", "unique_key", "request_id"),
                ),
            }
        },
    )

    task: Mapped[str]
    arguments: Mapped[dict[str, Any]]
    run_at: Mapped[datetime] = mapped_column(server_default=sql.now())
    unique_key: Mapped[str | None]
    every: Mapped[int | None]
    request_id: Mapped[str | None]
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    lease: Mapped[UUID | None]
    leased_until: Mapped[datetime | None]
    last_error: Mapped[str | None]
    done_at: Mapped[datetime | None]
    failed_at: Mapped[datetime | None]


class JobAlreadyDone(Exception):
    """Another run of the same job was faster; this run's transaction rolls back."""


class TaskError(Exception):
    """A task that could not do its work; `retry` says whether trying again can help, `after` when (seconds)."""

    def __init__(self, message: str, *, retry: bool, after: float | None = None) -> None:
        super().__init__(message)
        self.retry = retry
        self.after = after


@dataclass(frozen=True, slots=True)
class _Running:
    workspace_id: UUID
    id: UUID
    lease: UUID
    every: int | None


_running: ContextVar[_Running | None] = ContextVar("running_job", default=None)


class Jobs(Outbox):
    """Writes events and job rows inside transactions, and rings for them after commit."""

    unavailable: tuple[type[Exception], ...] = (OSError, TimeoutError, RedisError)

    def __init__(self, redis_url: str, reactions: Mapping[str, Sequence[str]]) -> None:
        self._redis_url = redis_url
        self._reactions = reactions
        self._pool: ArqRedis | None = None
        self._pool_lock = asyncio.Lock()
        self.publisher: Callable[[UUID, Sequence[tuple[str, Any]]], Awaitable[None]] | None = None

    async def record(
        self,
        tx: Tx,
        kind: str,
        subject_id: UUID,
        store_id: UUID | None,
        customer_id: UUID | None,
        actor: str,
        data: dict[str, Any],
        at: datetime | None,
    ) -> None:
        event_id = new_id()
        values: dict[str, Any] = {
            "workspace_id": tx.workspace_id,
            "id": event_id,
            "kind": kind,
            "subject_id": subject_id,
            "store_id": store_id,
            "customer_id": customer_id,
            "actor": actor,
            "data": data,
        }
        if at is not None:
            values["at"] = at
        await tx.execute(insert(Event).values(**values))
        for task in self._reactions.get(kind, ()):
            await self.enqueue(tx, task, 0, None, None, {"event_id": event_id, "subject_id": subject_id})

    async def record_many(self, tx: Tx, happenings: Sequence[Happening]) -> None:
        events: list[dict[str, Any]] = []
        jobs: list[dict[str, Any]] = []
        for one in happenings:
            event_id = new_id()
            events.append(
                {
                    "id": event_id,
                    "kind": one.kind,
                    "subject_id": one.subject_id,
                    "store_id": one.store_id,
                    "customer_id": one.customer_id,
                    "actor": one.actor,
                    "data": {**one.data, "history": True} if one.quiet else one.data,
                    "at": one.at,
                }
            )
            for task in () if one.quiet else self._reactions.get(one.kind, ()):
                arguments = {"event_id": event_id, "subject_id": one.subject_id}
                jobs.append({"id": new_id(), "task": task, "arguments": arguments, "request_id": request_id.get()})
        await bulk.insert(tx, Event, events)
        await bulk.insert(tx, JobRow, jobs)
        tx.rings.extend((job["id"], 0) for job in jobs)

    async def enqueue(
        self, tx: Tx, task: str, delay: float, unique: str | None, every: int | None, arguments: dict[str, Any]
    ) -> None:
        job_id = new_id()
        written = await tx.scalar(
            upsert(JobRow)
            .values(
                workspace_id=tx.workspace_id,
                id=job_id,
                task=task,
                # asyncpg's own UUID class is none that orjson knows.
                arguments=orjson.loads(orjson.dumps(arguments, default=str)),
                run_at=sql.now() + timedelta(seconds=delay),
                unique_key=unique,
                every=every,
                request_id=request_id.get(),
            )
            .on_conflict_do_nothing()
            .returning(JobRow.id)
        )
        if written is not None:
            tx.rings.append((job_id, delay))

    async def complete(self, tx: Tx) -> None:
        running = _running.get()
        if running is None or running.workspace_id != tx.workspace_id:
            raise RuntimeError("complete_job() belongs into a task of this workspace")
        stamped = await tx.scalar(_finish(running).returning(JobRow.id))
        if stamped is None:
            raise JobAlreadyDone(str(running.id))

    async def committed(self, tx: Tx, published: Sequence[tuple[str, Any]]) -> None:
        try:
            if tx.rings:
                pool = await self.pool()
                for job_id, delay in tx.rings:
                    await ring(pool, tx.workspace_id, job_id, delay)
                await wake(pool)
            if published and self.publisher is not None:
                await self.publisher(tx.workspace_id, published)
        except self.unavailable as error:
            # Nothing is lost: the sweep rings again, and listeners catch up from the table.
            log.warning("ring_failed", error=repr(error))

    async def pool(self) -> ArqRedis:
        """The connection to Valkey, opened at first use."""
        async with self._pool_lock:
            if self._pool is None:
                self._pool = await create_pool(_redis(self._redis_url))
            return self._pool

    async def worker_alive(self) -> bool:
        """Whether a worker has said so within its health-check interval."""
        return bool(await (await self.pool()).exists(default_queue_name + health_check_key_suffix))

    async def close(self) -> None:
        """Close the connection to Valkey."""
        if self._pool is not None:
            await self._pool.aclose()
            self._pool = None


async def ring(pool: ArqRedis, workspace_id: UUID, job_id: UUID, delay: float = 0, mark: str = "") -> None:
    """Ask a worker to run a job row; asked twice while it waits, it still runs once.

    Valkey keeps what a killed worker had in hand under its name for TASK_LIMIT and more, and refuses that name: `mark`
    makes another one for every further attempt. The row's lease decides who runs.
    """
    await pool.enqueue_job(
        RUN, str(workspace_id), str(job_id), _job_id=f"{job_id}{mark}",
        _defer_by=timedelta(seconds=delay) if delay else None,
    )  # fmt: skip


async def wake(pool: ArqRedis) -> None:
    """Have a waiting worker look for work now, not at its next round."""
    # redis-py types its named list commands as maybe not awaitable, and this general one not at all.
    await pool.execute_command("LPUSH", _WAKE, b"")  # type: ignore[no-untyped-call]
    # Nobody may be there to take them.
    await pool.execute_command("LTRIM", _WAKE, 0, 15)  # type: ignore[no-untyped-call]


_WAKE = "ahlan:wake"


class _Wakeful(Worker):
    """arq looks for work in fixed steps; this one waits until it is woken, and looks every LOOK_SECONDS besides."""

    async def _poll_iteration(self) -> None:
        # As in `wake`; the named command also takes no fraction of a second.
        await self.pool.execute_command("BLPOP", _WAKE, LOOK_SECONDS)  # type: ignore[no-untyped-call]
        await super()._poll_iteration()


async def run(db: Database, app: Any, tasks: Mapping[str, Task], workspace_id: UUID, job_id: UUID) -> bool:
    """Run one job row now if it is due and nobody holds it. Returns whether it ran."""
    lease = new_id()
    async with db.queue.begin() as connection:
        claimed = (
            await connection.execute(
                update(JobRow)
                .where(
                    JobRow.workspace_id == workspace_id,
                    JobRow.id == job_id,
                    JobRow.done_at.is_(None),
                    JobRow.failed_at.is_(None),
                    JobRow.run_at <= sql.clock_timestamp(),
                    (JobRow.leased_until.is_(None)) | (JobRow.leased_until < sql.clock_timestamp()),
                )
                .values(lease=lease, leased_until=sql.clock_timestamp() + LEASE, attempts=JobRow.attempts + 1)
                .returning(JobRow.task, JobRow.arguments, JobRow.attempts, JobRow.every, JobRow.request_id)
            )
        ).one_or_none()
    if claimed is None:
        return False
    running = _Running(workspace_id, job_id, lease, claimed.every)
    token, request_token = _running.set(running), request_id.set(claimed.request_id)
    bound = structlog.contextvars.bind_contextvars(job=claimed.task, job_id=str(job_id))
    heartbeat = asyncio.create_task(_hold(db, running))
    try:
        async with asyncio.timeout(TASK_LIMIT):
            await tasks[claimed.task](app, workspace_id, **claimed.arguments)
    except JobAlreadyDone:
        return True
    except Exception as error:
        await _failed(db, running, claimed.attempts, error)
        return True
    finally:
        heartbeat.cancel()
        _running.reset(token)
        request_id.reset(request_token)
        structlog.contextvars.reset_contextvars(**bound)
    async with db.queue.begin() as connection:
        await connection.execute(_finish(running))
    return True


async def _hold(db: Database, running: _Running) -> None:
    """Renew the lease while the task runs, so that a killed worker's job is free again within LEASE."""
    while True:
        await asyncio.sleep(HEARTBEAT_SECONDS)
        try:
            async with db.queue.begin() as connection:
                await connection.execute(
                    update(JobRow)
                    .where(
                        JobRow.workspace_id == running.workspace_id,
                        JobRow.id == running.id,
                        JobRow.lease == running.lease,
                    )
                    .values(leased_until=sql.clock_timestamp() + LEASE)
                )
        except Exception as error:
            # The database may be back before the lease ends.
            log.warning("lease_not_renewed", error=repr(error))


def _finish(running: _Running) -> Any:
    held = update(JobRow).where(
        JobRow.workspace_id == running.workspace_id, JobRow.id == running.id, JobRow.lease == running.lease
    )
    if running.every is None:
        return held.where(JobRow.done_at.is_(None)).values(done_at=sql.now(), lease=None, leased_until=None)
    return held.values(
        run_at=sql.now() + timedelta(seconds=running.every), attempts=0, lease=None, leased_until=None, last_error=None
    )


async def _failed(db: Database, running: _Running, attempts: int, error: Exception) -> None:
    retry = getattr(error, "retry", True)
    final = not retry or attempts >= MAX_ATTEMPTS
    wait = getattr(error, "after", None) or min(3600.0, 2.0**attempts) * (0.75 + random() / 2)  # noqa: S311 - no secret
    if final and running.every is not None:
        wait, final = float(running.every), False
    log.warning("task_failed", error=repr(error), attempts=attempts, final=final, exc_info=not hasattr(error, "retry"))
    async with db.queue.begin() as connection:
        await connection.execute(
            update(JobRow)
            .where(JobRow.workspace_id == running.workspace_id, JobRow.id == running.id, JobRow.lease == running.lease)
            .values(
                last_error=f"{type(error).__name__}: {error}"[:2000],
                lease=None,
                leased_until=None,
                run_at=sql.clock_timestamp() + timedelta(seconds=wait),
                failed_at=sql.clock_timestamp() if final else None,
            )
        )


async def due(db: Database, limit: int = 1000, *, workspace_id: UUID | None = None) -> list[tuple[UUID, UUID, str]]:
    """(workspace, job, mark of this attempt) of rows that should run now and that nobody holds; or of one workspace."""
    async with db.queue.connect() as connection:
        rows = await connection.execute(
            select(JobRow.workspace_id, JobRow.id, JobRow.run_at, JobRow.attempts)
            .where(
                JobRow.done_at.is_(None),
                JobRow.failed_at.is_(None),
                JobRow.run_at <= sql.now(),
                (JobRow.leased_until.is_(None)) | (JobRow.leased_until < sql.now()),
                *([JobRow.workspace_id == workspace_id] if workspace_id is not None else []),
            )
            .order_by(JobRow.run_at)
            .limit(limit)
        )
        return [(row.workspace_id, row.id, f":{row.run_at.timestamp():.0f}:{row.attempts}") for row in rows]


async def drain(
    db: Database, app: Any, tasks: Mapping[str, Task], *, rounds: int = 50, workspace_id: UUID | None = None
) -> int:
    """Run every due job, or those of one workspace, in this process until none is left: for the command line, tests."""
    count = 0
    for _ in range(rounds):
        waiting = await due(db, workspace_id=workspace_id)
        if not waiting:
            break
        for its_workspace, job_id, _mark in waiting:
            count += await run(db, app, tasks, its_workspace, job_id)
    return count


async def prune(db: Database, days: int) -> int:
    """Delete finished job rows older than `days`. Returns how many."""
    async with db.queue.begin() as connection:
        result = await connection.execute(
            JobRow.__table__.delete().where(JobRow.done_at < sql.now() - timedelta(days=days))  # type: ignore[attr-defined]
        )
        return int(result.rowcount)


Bell = Callable[[], Awaitable[None]]


def worker(
    redis_url: str,
    db: Database,
    app: Any,
    tasks: Mapping[str, Task],
    *,
    bells: Mapping[str, Bell],
    sweeps: Sequence[Bell] = (),
    max_jobs: int = 16,
) -> Worker:
    """An arq worker for job rows, for `bells` (named work without a row: the inbox) and for `sweeps`.

    arq's default, a look every half second, makes pick-up 0.27 s; ours is woken by whoever asks for work, which takes
    some milliseconds and leaves an idle machine idle.
    """

    async def run_job(ctx: dict[str, Any], workspace_id: str, job_id: str) -> None:
        await run(db, app, tasks, UUID(workspace_id), UUID(job_id))

    async def sweep(ctx: dict[str, Any]) -> None:
        for workspace_id, job_id, mark in await due(db):
            await ring(ctx["redis"], workspace_id, job_id, mark=mark)
        await wake(ctx["redis"])
        for action in (*bells.values(), *sweeps):
            await action()

    def bell(name: str, action: Bell) -> Any:
        async def answer(ctx: dict[str, Any]) -> None:
            await action()

        return func(answer, name=name, keep_result=0, max_tries=1)

    async def forget_the_dead(ctx: dict[str, Any]) -> None:
        # A bell has one name; a worker killed while it answered one would keep it silent for TASK_LIMIT.
        await ctx["redis"].delete(*(in_progress_key_prefix + name for name in bells))

    async def make_room(ctx: dict[str, Any]) -> None:
        # More may wait than were taken at once.
        await wake(ctx["redis"])

    return _Wakeful(
        after_job_end=make_room,
        on_startup=forget_the_dead if bells else None,
        functions=[
            func(run_job, name=RUN, keep_result=0, max_tries=1000, timeout=TASK_LIMIT + 30),
            *(bell(name, action) for name, action in bells.items()),
        ],
        cron_jobs=[
            cron(sweep, second=set(range(0, 60, SWEEP_SECONDS)), keep_result=0, unique=True, run_at_startup=True)
        ],
        redis_settings=_redis(redis_url),
        poll_delay=0,
        max_jobs=max_jobs,
        keep_result=0,
        handle_signals=False,
        health_check_interval=30,
    )


async def run_worker(make: Callable[[], Worker], stop: asyncio.Event) -> None:
    """Run workers until `stop`; when Valkey goes away wait and start a fresh one."""
    while not stop.is_set():
        current = make()
        running = asyncio.ensure_future(current.async_run())
        stopping = asyncio.ensure_future(stop.wait())
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not running.done():
            running.cancel()
        with contextlib.suppress(asyncio.CancelledError, OSError, *_REDIS_ERRORS):
            await running
        with contextlib.suppress(asyncio.CancelledError, OSError, *_REDIS_ERRORS):
            # arq 0.28 closes its pool by a name that redis-py has given up.
            if current._pool is not None:
                current._pool.close = current._pool.aclose
            await current.close()
        if not stop.is_set():
            log.warning("worker_reconnects")
            await asyncio.sleep(1)


def _redis(url: str) -> RedisSettings:
    settings = RedisSettings.from_dsn(url)
    settings.conn_retries = 2
    settings.conn_retry_delay = 1
    return settings
