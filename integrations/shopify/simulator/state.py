"""The demo shop's memory: documents in dictionaries, written through to one SQLite file so that they survive."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

Doc = dict[str, Any]
Key = int | str

# Shopify's ids are large and of different ranges per kind; these look alike and never meet.
FIRST_IDS = {
    "customers": 7_810_000_000_001,
    "addresses": 9_120_000_000_001,
    "products": 8_330_000_000_001,
    "variants": 45_100_000_000_001,
    "inventory": 47_200_000_000_001,
    "orders": 6_020_000_000_001,
    "lines": 15_300_000_000_001,
    "fulfillments": 5_410_000_000_001,
    "fulfillment_lines": 12_700_000_000_001,
    "refunds": 930_000_000_001,
    "refund_lines": 580_000_000_001,
    "returns": 4_120_000_001,
    "return_lines": 677_610_001,
    "exchange_lines": 88_120_001,
    "reverse_orders": 4_390_001,
    "reverse_lines": 5_510_001,
    "reverse_deliveries": 2_910_001,
    "credit_accounts": 61_001,
    "credit_transactions": 71_001,
    "transactions": 7_240_000_000_001,
    "subscriptions": 1_480_000_000_001,
    "bulk": 5_900_000_000_001,
    "metafields": 33_100_000_000_001,
    "disputes": 10_001,
}


class ShopState:
    """Documents by kind and key. ``path`` is the SQLite file, or None for a shop that is forgotten at the end."""

    def __init__(self, path: Path | str | None = None) -> None:
        if path is not None:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(str(path) if path is not None else ":memory:", isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute("CREATE TABLE IF NOT EXISTS doc (kind TEXT, key TEXT, body TEXT, PRIMARY KEY (kind, key))")
        self.forgetful = path is None
        self._docs: dict[str, dict[Key, Doc]] = {}
        self._unread: dict[str, bytes] = {}
        for kind, body in self._db.execute("SELECT kind, body FROM doc ORDER BY rowid"):
            held = json.loads(body)
            self._docs.setdefault(kind, {})[held["key"]] = held["doc"]

    def get(self, kind: str, key: Key) -> Doc | None:
        return self._held(kind).get(key)

    def all(self, kind: str) -> list[Doc]:
        return list(self._held(kind).values())

    def count(self, kind: str) -> int:
        return len(self._held(kind))

    def put(self, kind: str, key: Key, doc: Doc) -> Doc:
        self._held(kind)[key] = doc
        body = json.dumps({"key": key, "doc": doc}, ensure_ascii=False)
        self._db.execute(
            "INSERT INTO doc VALUES (?, ?, ?) ON CONFLICT (kind, key) DO UPDATE SET body = excluded.body",
            (kind, str(key), body),
        )
        return doc

    def delete(self, kind: str, key: Key) -> Doc | None:
        self._db.execute("DELETE FROM doc WHERE kind = ? AND key = ?", (kind, str(key)))
        return self._held(kind).pop(key, None)

    def clear(self, kind: str) -> None:
        self._db.execute("DELETE FROM doc WHERE kind = ?", (kind,))
        self._unread.pop(kind, None)
        self._docs.pop(kind, None)

    def _held(self, kind: str) -> dict[Key, Doc]:
        if kind in self._unread:
            self._docs[kind] = dict(orjson.loads(self._unread.pop(kind)))
        return self._docs.setdefault(kind, {})

    def written(self) -> dict[str, bytes]:
        """Everything that is kept, as `read` takes it."""
        return {
            kind: orjson.dumps(list(docs.items()), option=orjson.OPT_NON_STR_KEYS) for kind, docs in self._docs.items()
        } | self._unread

    def read(self, written: dict[str, bytes]) -> None:
        """Hold this instead of what is held, each kind once it is asked for; only for a shop that is forgotten."""
        self._docs, self._unread = {}, dict(written)

    def next_id(self, kind: str) -> int:
        """A new id of Shopify's look; never handed out twice, also after a restart."""
        counter = self.get("counters", kind) or {"next": FIRST_IDS.get(kind, 1)}
        self.put("counters", kind, {"next": counter["next"] + 1})
        return int(counter["next"])

    def setting(self, name: str, default: Any = None) -> Any:
        held = self.get("settings", name)
        return default if held is None else held["value"]

    def set(self, name: str, value: Any) -> None:
        self.put("settings", name, {"value": value})

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Many writes as one; nested batches join the outer one."""
        if self._db.in_transaction:
            yield
            return
        self._db.execute("BEGIN")
        try:
            yield
        finally:
            self._db.execute("COMMIT")

    def close(self) -> None:
        self._db.close()
