"""The simulated site's memory: JSON documents, read from a dict, written through to SQLite: a kill loses nothing."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Json = dict[str, Any]
Key = int | str


class Documents:
    """Documents by kind and id. Mutate a document, then `put` it; without a directory it lives in memory only."""

    def __init__(self, directory: Path | None) -> None:
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)
        self._sql = sqlite3.connect(
            ":memory:" if directory is None else directory / "woocommerce.sqlite3", check_same_thread=False
        )
        self._sql.execute("PRAGMA journal_mode=WAL")
        self._sql.execute("PRAGMA synchronous=OFF")
        self._sql.execute("CREATE TABLE IF NOT EXISTS documents (kind TEXT, id, body TEXT, PRIMARY KEY (kind, id))")
        self.forgetful = directory is None
        self._kinds: dict[str, dict[Key, Json]] = {}
        for kind, key, body in self._sql.execute("SELECT kind, id, body FROM documents ORDER BY rowid"):
            self._kinds.setdefault(kind, {})[key] = json.loads(body)

    def get(self, kind: str, key: Key) -> Json | None:
        """The live document, or None."""
        return self._kinds.get(kind, {}).get(key)

    def all(self, kind: str) -> Iterator[Json]:
        """Every document of a kind, oldest first; a snapshot, so it may be changed meanwhile."""
        return iter(list(self._kinds.get(kind, {}).values()))

    def put(self, kind: str, key: Key, document: Json) -> Json:
        """Keep `document` and write it through."""
        self._kinds.setdefault(kind, {})[key] = document
        with self._sql:
            self._sql.execute("INSERT OR REPLACE INTO documents VALUES (?, ?, ?)", (kind, key, json.dumps(document)))
        return document

    def delete(self, kind: str, key: Key) -> None:
        """Forget a document; absent is fine."""
        self._kinds.get(kind, {}).pop(key, None)
        with self._sql:
            self._sql.execute("DELETE FROM documents WHERE kind = ? AND id = ?", (kind, key))

    def clear(self) -> None:
        """Forget everything."""
        self._kinds.clear()
        with self._sql:
            self._sql.execute("DELETE FROM documents")

    def written(self) -> str:
        """Everything that is kept, as `read` takes it."""
        return json.dumps([[kind, list(documents.items())] for kind, documents in self._kinds.items()])

    def read(self, written: str) -> None:
        """Hold this instead of what is held; only for a site that lives in memory."""
        self._kinds = {kind: dict(documents) for kind, documents in json.loads(written)}

    def next_id(self, sequence: str, step: int = 1) -> int:
        """The next number of a sequence, 1 at first."""
        counters = self.get("option", "sequences") or {}
        counters[sequence] = int(counters.get(sequence, 0)) + step
        self.put("option", "sequences", counters)
        return int(counters[sequence])

    def close(self) -> None:
        """Close the file."""
        self._sql.close()
