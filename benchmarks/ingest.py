"""Webhook ingest: a signed 2.7 KB order, durable before the 200, against the bare server and two peers.

Bars (docs: benchmarks/RESULTS.md): CPU at most twice that of bare uvicorn; at least nine times less CPU and three times
the throughput of Django + INSERT and of Shopify's own Node stack + INSERT.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import asyncpg

from benchmarks.measure import ROOT, Measured, free_port, interleaved, paired, process, python, ratio, round_of
from plugin.kernel import embedded, migrate
from plugin.schema import metadata

SECRET = "bench-secret"
REQUESTS = int(os.environ.get("BENCH_REQUESTS", "8000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "7"))
STORES = (1, 200)
_counter = 0


def order(number: int) -> bytes:
    """An order of about 2.7 KB as Shopify sends it."""
    paid = {"shop_money": {"amount": "360.00", "currency_code": "ILS"}, "presentment_money": {"amount": "360.00",
            "currency_code": "ILS"}}  # fmt: skip
    line = {
        "title": "Olive wood bowl", "quantity": 1, "price": "120.00", "sku": "BOWL-1", "variant_title": "Large",
        "product_id": 77, "variant_id": 78, "taxable": True, "vendor": "Atelier", "fulfillment_status": None,
        "total_discount": "0.00", "requires_shipping": True, "grams": 800, "gift_card": False, "properties": [],
        "tax_lines": [{"title": "VAT", "price": "20.40", "rate": 0.17}], "name": "Olive wood bowl - Large",
    }  # fmt: skip
    address = {"name": "ليلى حداد", "address1": "12 Herzl", "city": "Haifa", "country_code": "IL", "zip": "3303139"}
    body = {
        "id": number, "admin_graphql_api_id": f"gid://shopify/Order/{number}", "name": f"#{number}",
        "created_at": "2026-11-01T10:00:00+02:00", "updated_at": "2026-11-02T10:00:00+02:00", "currency": "ILS",
        "total_price": "360.00", "email": f"layla{number}@example.com", "phone": None, "financial_status": "paid",
        "customer": {"id": 7 + number, "first_name": "ليلى", "last_name": "حداد", "email": f"l{number}@example.com"},
        "shipping_address": address, "billing_address": address, "customer_locale": "he-IL", "tags": "gift, repeat",
        "payment_gateway_names": ["shopify_payments"], "cart_token": f"cart-{number}", "note": "Please ring twice",
        "order_status_url": f"https://shop.example/{number}/authenticate?key=0123456789abcdef0123456789abcdef",
        "fulfillment_status": None, "cancelled_at": None, "closed_at": None, "current_subtotal_price": "340.00",
        "current_total_discounts": "0.00", "current_total_tax": "52.31", "confirmed": True, "test": False,
        "total_price_set": paid, "subtotal_price_set": paid, "discount_codes": [], "source_name": "web",
        "landing_site": "/products/olive-wood-bowl?utm_source=newsletter", "referring_site": "https://shop.example/",
        "line_items": [{**line, "id": number * 10 + index} for index in range(2)],
    }  # fmt: skip
    return json.dumps(body, ensure_ascii=False).encode()


def requests(count: int, stores: int) -> list[bytes]:
    """Raw requests, each a delivery of its own, spread over `stores` shops."""
    global _counter
    made = []
    for _ in range(count):
        _counter += 1
        body = order(_counter)
        signature = base64.b64encode(hmac.new(SECRET.encode(), body, hashlib.sha256).digest()).decode()
        made.append(
            (
                "POST /webhooks/shopify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\nX-Shopify-Topic: orders/updated\r\n"
                f"X-Shopify-Hmac-Sha256: {signature}\r\n"
                f"X-Shopify-Shop-Domain: shop-{_counter % stores}.myshopify.com\r\n"
                f"X-Shopify-API-Version: 2026-07\r\nX-Shopify-Webhook-Id: {os.getpid()}-{_counter}\r\n"
                f"X-Shopify-Event-Id: event-{os.getpid()}-{_counter}\r\n"
                "X-Shopify-Triggered-At: 2026-11-02T08:00:00.000000Z\r\n\r\n"
            ).encode()
            + body
        )
    return made


async def prepare(database_url: str) -> str:
    """Our schema and the peers' table; returns the queue role's URL."""
    urls = await migrate.prepare(database_url, migrate.derived_passwords(b"bench"), metadata)
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "CREATE TABLE IF NOT EXISTS peer_inbox (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, key text UNIQUE, "
        "topic text, shop text, body bytea, received_at timestamptz DEFAULT now())"
    )
    await connection.close()
    return urls.queue


def express() -> Path | None:
    """The Node peer, installed beside its manifest; None when the registry cannot be reached."""
    folder = ROOT / "benchmarks" / "peers" / "express"
    if not (folder / "node_modules").is_dir():
        subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--no-package-lock"], cwd=folder)
    return folder / "server.mjs" if (folder / "node_modules").is_dir() else None


def main() -> int:
    """Measure and print."""
    data = Path(tempfile.mkdtemp(prefix="ahlan-bench-"))
    servers = asyncio.run(embedded.start(data))
    try:
        return compare(asyncio.run(prepare(servers.database_url)), str(servers.socket_dir))
    finally:
        asyncio.run(servers.stop())
        shutil.rmtree(data, ignore_errors=True)


def compare(queue_url: str, socket_dir: str) -> int:
    """All servers up, everybody loaded in turn."""
    uvicorn = [
        python(),
        "-m",
        "uvicorn",
        "--loop",
        "uvloop",
        "--http",
        "httptools",
        "--no-access-log",
        "--log-level",
        "error",
    ]
    peer = {"BENCH_SECRET": SECRET, "BENCH_SOCKET": socket_dir, "BENCH_DATABASE": "ahlan"}
    ports = {name: free_port() for name in ("bare", "ahlan", "django", "express")}
    node = express()
    with (
        process([*uvicorn, "--port", str(ports["bare"]), "benchmarks.peers.bare:application"], ports["bare"]) as bare,
        process(
            [*uvicorn, "--port", str(ports["ahlan"]), "--factory", "benchmarks.peers.ours:application"], ports["ahlan"],
            {"BENCH_QUEUE_URL": queue_url, "BENCH_SECRET": SECRET},
        ) as ours,
        process(
            [python(), "-m", "gunicorn", "-w", "1", "-b", f"127.0.0.1:{ports['django']}", "-k", "gthread", "--threads",
             "8", "--log-level", "error", "--keep-alive", "60", "benchmarks.peers.django_app:application"],
            ports["django"], peer,
        ) as django,
        process(
            ["node", str(node)] if node else [python(), "-m", "http.server", str(ports["express"])], ports["express"],
            {**peer, "PORT": str(ports["express"])},
        ) as shopify,
    ):  # fmt: skip
        good = True
        for stores in STORES:
            print(f"ingest, {stores} store(s):", flush=True)
            work = {
                "bare": lambda: round_of(bare, ports["bare"], requests(REQUESTS, stores)),  # noqa: B023
                "ahlan": lambda: round_of(ours, ports["ahlan"], requests(REQUESTS, stores)),  # noqa: B023
            }
            if stores == 1:
                work["django"] = lambda: round_of(django, ports["django"], requests(REQUESTS // 4, 1), 8)
                if node:
                    work["express"] = lambda: round_of(shopify, ports["express"], requests(REQUESTS // 4, 1))
            good &= verdict(interleaved(ROUNDS, work), stores)
        if not node:
            print("RATIO ingest_express left out: npm could not install the peer", flush=True)
        return 0 if good else 1


def verdict(seen: dict[str, list[Measured]], stores: int) -> bool:
    """The RATIO lines."""
    suffix = "" if stores == 1 else f"_{stores}_stores"
    cpu = {name: [one.cpu for one in rounds] for name, rounds in seen.items()}
    rate = {name: [one.rate for one in rounds] for name, rounds in seen.items()}
    good = ratio(f"ingest_cpu_to_bare_uvicorn{suffix}", paired(cpu["ahlan"], cpu["bare"]), "<=", 2.0)
    for peer in ("django", "express"):
        if peer in seen:
            good &= ratio(f"ingest_cpu_{peer}_to_ahlan", paired(cpu[peer], cpu["ahlan"]), ">=", 9)
            good &= ratio(f"ingest_throughput_ahlan_to_{peer}", paired(rate["ahlan"], rate[peer]), ">=", 3)
    return good


if __name__ == "__main__":
    sys.exit(main())
