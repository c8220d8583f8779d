"""Progress bars on the command line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from uuid import UUID

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from plugin.app import App
from plugin.crm import backfill
from plugin.kernel import jobs
from plugin.reactions import TASKS
from plugin.seed import Made

_LOOK_SECONDS = 0.2


def _columns() -> Sequence[ProgressColumn]:
    return (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )


async def follow(steps: AsyncIterator[Made], console: Console) -> None:
    """Show how far something is, one bar for each kind of thing that it makes."""
    with Progress(*_columns(), console=console) as shown:
        bars: dict[str, TaskID] = {}
        async for made in steps:
            if made.what not in bars:
                bars[made.what] = shown.add_task(made.what, total=made.total)
            shown.update(bars[made.what], completed=made.done)


async def follow_backfills(
    app: App, followed: Sequence[tuple[UUID, UUID, str]], console: Console, *, work: bool
) -> None:
    """Show the backfills of (workspace, store, name) until the last is over; with `work` run due jobs here too."""
    with Progress(*_columns(), console=console) as shown:
        bars: dict[tuple[UUID, str], TaskID] = {}
        while True:
            if work:
                await jobs.drain(app.db, app, TASKS, rounds=1)
            waiting = False
            for workspace_id, store_id, name in followed:
                async with app.db.transaction(workspace_id) as tx:
                    rows = await backfill.progress(tx, store_id)
                waiting |= not rows or any(row.state == "running" for row in rows)
                for row in rows:
                    key = (store_id, row.resource)
                    if key not in bars:
                        bars[key] = shown.add_task(f"{name}: {row.resource}", total=row.total)
                    total = row.total if row.state == "running" else row.done_count
                    shown.update(bars[key], completed=row.done_count, total=total)
            if not waiting:
                return
            await asyncio.sleep(_LOOK_SECONDS)
