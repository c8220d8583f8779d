"""Jobs carry the id of the request that asked for them, from the edge to the log of the last job behind it."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import httpx
import pytest
import structlog
from sqlalchemy import select
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from plugin.app import App
from plugin.kernel import jobs, log
from plugin.kernel.jobs import JobRow
from plugin.kernel.web import RequestId


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What is logged meanwhile, as in production."""
    root, kept, stream = logging.getLogger(), structlog.get_config(), io.StringIO()
    handlers, level = root.handlers[:], root.level
    log.configure(format="json", stream=stream)
    yield stream
    structlog.configure(**kept)
    root.handlers[:], root.level = handlers, level


async def _left(app: App, workspace: UUID) -> list[JobRow]:
    """Not those that every workspace has from its beginning."""
    mine = (JobRow.done_at.is_(None), JobRow.task.in_(["first", "second"]))
    async with app.db.transaction(workspace) as tx:
        return list(await tx.scalars(select(JobRow).where(*mine)))


@pytest.mark.parametrize("given", ["an-edges-own-id-1", None], ids=["given", "made"])
async def test_a_requests_id_is_in_every_line_of_the_jobs_behind_it(
    app: App, workspace: UUID, lines: io.StringIO, given: str | None
) -> None:
    async def ask(request: Request) -> Response:
        async with app.db.transaction(workspace) as tx:
            await tx.enqueue("first", number=1)
        structlog.get_logger("edge").info("asked")
        return Response(status_code=204)

    async def first(app: App, workspace_id: UUID, *, number: int) -> None:
        structlog.get_logger("job").info("worked", number=number)
        async with app.db.transaction(workspace_id) as tx:
            await tx.enqueue("second")
            await tx.complete_job()

    async def second(app: App, workspace_id: UUID) -> None:
        logging.getLogger("somebody.else").warning("worked as well")

    site = Starlette(routes=[Route("/ask", ask)], middleware=[Middleware(RequestId)])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(site), base_url="http://test") as http:
        answer = await http.get("/ask", headers={"x-request-id": given} if given else {})
    id = answer.headers["x-request-id"]
    assert given is None or id == given
    tasks: dict[str, Any] = {"first": first, "second": second}
    for name in tasks:
        (job,) = await _left(app, workspace)
        assert (job.task, job.request_id) == (name, id)
        assert await jobs.run(app.db, app, tasks, workspace, job.id)
    assert await _left(app, workspace) == []
    written = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert [line["event"] for line in written] == ["asked", "worked", "worked as well"]
    assert {line["request_id"] for line in written} == {id}
    assert log.request_id.get() is None, "and in no line after them"


@pytest.mark.parametrize("given", ["a b", "<script>", "é", "x" * 200, ""])
async def test_an_id_that_could_confuse_a_log_is_replaced(given: str) -> None:
    async def ask(request: Request) -> Response:
        return Response(status_code=204)

    site = Starlette(routes=[Route("/ask", ask)], middleware=[Middleware(RequestId)])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(site), base_url="http://test") as http:
        answer = await http.get("/ask", headers=[(b"x-request-id", given.encode())])
    assert answer.headers["x-request-id"] != given
    assert UUID(hex=answer.headers["x-request-id"])
