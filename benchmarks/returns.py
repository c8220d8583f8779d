"""The queue and the report of a shop with 10 000 open returns, as pages over HTTP under row-level security.

Bars: a page at depth takes at most twice as long as the first, one of 10 000 returns at most twice as long as one of
100, and the report of 90 days with all of them at most a second. Milliseconds are of the processor (see
`benchmarks.inbox.Clock`).
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from html import unescape
from pathlib import Path

import httpx
import uvloop
from sqlalchemy import text

from admin_ui.desk import cookie_name
from benchmarks.inbox import Clock
from benchmarks.measure import median, ratio
from plugin import bootstrap, processes, stores, workspaces
from plugin.app import App
from plugin.kernel import embedded
from plugin.kernel.config import Settings
from plugin.kernel.db import new_id
from plugin.platform import StoreProfile
from plugin.team import Agent, Role
from plugin.team.sessions import open_session

MANY = int(os.environ.get("BENCH_RETURNS", "10000"))
FEW = 100
DEPTH = 100
"""Pages of fifty from the top."""
SAMPLES = int(os.environ.get("BENCH_SAMPLES", "30"))
# The last one matches nothing: no shirt of that number came back for it.
_QUEUES = ("tab=waiting", "tab=open", "tab=all", "tab=all&reason=too_small", "tab=all&reason=too_small&product=p1")
_REASONS = "ARRAY['too_small', 'other']"


async def main() -> int:
    """Fill two shops, measure, print."""
    data = Path(tempfile.mkdtemp(prefix="ahlan-bench-"))
    servers = await embedded.start(data)
    try:
        async with bootstrap.start(
            Settings(data_dir=data), database_url=servers.database_url, redis_url=servers.redis_url
        ) as app:
            many, few = await filled(app, MANY), await filled(app, FEW)
            await app.db.analyze()
            processes.settle()
            good = await pages(app, many, few)
            good &= await report(app, many)
            return 0 if good else 1
    finally:
        await servers.stop()
        shutil.rmtree(data, ignore_errors=True)


async def filled(app: App, count: int) -> httpx.AsyncClient:
    """A shop with that many open returns of as many orders; its owner's browser."""
    workspace_id = workspaces.new_workspace_id()
    async with app.db.transaction(workspace_id) as tx:
        await workspaces.create(tx, "Shop")
        profile = StoreProfile("Shop", "https://shop.example", (), "SAR", 2, "UTC", "en")
        name = f"{workspace_id.hex}.myshopify.com"
        store = await stores.connect(tx, platform="shopify", external_id=name, profile=profile)
        agent = Agent(id=new_id(), name="Noa", email=f"noa-{workspace_id.hex}@shop.example", role=Role.OWNER)
        tx.add(agent)
        await tx.flush()
        bound = {"w": workspace_id, "s": store.id, "n": count}
        for statement in _FILL:
            await tx.execute(text(statement), bound)
        secret = await open_session(tx, agent, "benchmark")
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(bootstrap.serve(app)),
        base_url=app.settings.public_url,
        cookies={cookie_name(app): f"{workspace_id.hex}.{secret}"},
    )


_FILL = (
    "INSERT INTO orders (workspace_id, id, store_id, external_id, version, name, number, placed_at, status, "
    "payment_status, fulfilment_status, currency, exponent, total, customer_name) SELECT :w, gen_random_uuid(), :s, "
    "'o' || n, now(), '#' || n, n::text, now() - make_interval(mins => 10 * n), 'open', 'paid', 'fulfilled', 'SAR', "
    "2, 10000, 'Layla' FROM generate_series(1, :n) n",
    "INSERT INTO order_lines (workspace_id, order_id, external_id, store_id, version, position, title, quantity, "
    "product_external_id, variant_external_id) SELECT :w, id, p::text, :s, now(), p, 'Shirt ' || p, 1, "
    "'p' || (number::int + p) % 40, 'v' || (number::int + p) % 160 FROM orders, generate_series(0, 1) p "
    "WHERE workspace_id = :w",
    "INSERT INTO return_requests (workspace_id, id, store_id, order_id, client_id, serial, public_id, state, "
    "resolution, created_at, moved_at, waiting_since, currency, worth, cash) SELECT :w, gen_random_uuid(), :s, id, "
    "gen_random_uuid(), 1000 + number::int, external_id, CASE number::int % 2 WHEN 0 THEN 'requested' ELSE 'approved' "
    "END, 'refund', placed_at, placed_at, CASE number::int % 2 WHEN 0 THEN placed_at END, 'SAR', 5000, 5000 "
    "FROM orders WHERE workspace_id = :w",
    "INSERT INTO return_lines (workspace_id, id, store_id, order_id, request_id, position, line_external_id, title, "
    "variant_title, product_external_id, variant_external_id, quantity, reason) SELECT :w, gen_random_uuid(), :s, "
    f"order_id, id, 0, '0', 'Shirt ' || serial % 40, 'M', 'p' || serial % 40, 'v' || serial % 160, 1, "
    f"({_REASONS})[1 + serial % 2] FROM return_requests WHERE workspace_id = :w",
    "INSERT INTO events (workspace_id, id, kind, subject_id, at, actor, data) SELECT :w, gen_random_uuid(), "
    "'return_request.approved', id, created_at + interval '1 hour', 'system', '{}' FROM return_requests "
    "WHERE workspace_id = :w AND state = 'approved'",
)


async def pages(app: App, many: httpx.AsyncClient, few: httpx.AsyncClient) -> bool:
    """Each list of the queue: its first page, one far down and the same of a small shop in turn; the worst counts."""
    timed = Clock(app)
    depth = size = 0.0
    for asked in _QUEUES:
        far = await _far(many, asked)
        taken: dict[str, list[float]] = {"first": [], "far": [], "small": []}
        for number in range(SAMPLES + 5):
            if number < 5:
                await timed.look()
            top = f"/panel/returns?{asked}"
            for name, who, path in (("first", many, top), ("far", many, far), ("small", few, top)):
                spent = await timed(lambda who=who, path=path: _get(who, path))
                if number >= 5:
                    taken[name].append(spent)
        first, deep, small = (median(taken[name]) for name in ("first", "far", "small"))
        print(f"  {asked:<44} first {first:6.1f} ms, far {deep:6.1f} ms, of {FEW} {small:6.1f} ms", flush=True)
        depth, size = max(depth, deep / first), max(size, first / small)
    good = ratio("returns_page_at_depth_to_first", depth, "<=", 2)
    return ratio(f"returns_queue_of_{MANY}_to_{FEW}", size, "<=", 2) and good


async def _far(who: httpx.AsyncClient, asked: str) -> str:
    """The address of a page far down: what "Show more" leads to, again and again."""
    path = f"/panel/returns?{asked}"
    for _page in range(DEPTH):
        found = re.search(r'hx-get="([^"]*[?&amp;;]after=[^"]+)"', await _get(who, path))
        if found is None:
            break
        path = unescape(found[1])
    return path


async def _get(who: httpx.AsyncClient, path: str) -> str:
    answer = await who.get(path)
    if answer.status_code != 200 or 'id="returns"' not in answer.text:
        raise SystemExit(f"the page did not open: {answer.status_code} {answer.text[:300]}")
    return answer.text


async def report(app: App, many: httpx.AsyncClient) -> bool:
    """The whole report with every return in it."""
    timed = Clock(app)
    taken = []
    for number in range(SAMPLES // 3 + 2):
        if number < 2:
            await timed.look()

        async def get() -> None:
            answer = await many.get("/panel/reports/returns?days=90")
            if answer.status_code != 200 or "What comes back" not in answer.text:
                raise SystemExit(f"the report did not open: {answer.status_code} {answer.text[:300]}")

        spent = await timed(get)
        if number >= 2:
            taken.append(spent)
    print(f"  the report of {MANY} returns: median {median(taken):.0f} ms", flush=True)
    return ratio("returns_report_ms", median(taken), "<=", 1000)


if __name__ == "__main__":
    sys.exit(uvloop.run(main()))
