"""What both chat servers do with a message: who is it, one committed INSERT under the conversation's next number."""

from __future__ import annotations

import hashlib
import hmac
import os
from uuid import UUID

import asyncpg

SCHEMA = """
CREATE TABLE IF NOT EXISTS bench_talks (id uuid PRIMARY KEY, last_seq int NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS bench_lines (talk_id uuid NOT NULL, seq int NOT NULL, client_id uuid NOT NULL, text text
    NOT NULL, at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (talk_id, seq), UNIQUE (talk_id, client_id));
"""
_STORE = """
WITH numbered AS (UPDATE bench_talks SET last_seq = last_seq + 1 WHERE id = $1 RETURNING last_seq)
INSERT INTO bench_lines (talk_id, seq, client_id, text) SELECT $1, last_seq, $2, $3 FROM numbered RETURNING seq
"""


def token(talk: str) -> str:
    """What a client shows for its conversation."""
    return hmac.new(os.environ["BENCH_SECRET"].encode(), talk.encode(), hashlib.sha256).hexdigest()


def known(talk: str, shown: str) -> bool:
    """Whether the token is this conversation's."""
    return hmac.compare_digest(token(talk), shown)


async def pool() -> asyncpg.Pool:
    """Five connections a process."""
    return await asyncpg.create_pool(os.environ["BENCH_DATABASE_URL"], min_size=5, max_size=5)


async def store(connections: asyncpg.Pool, talk: UUID, client_id: UUID, text: str) -> int:
    """Keep a message; its number in the conversation."""
    seq: int = await connections.fetchval(_STORE, talk, client_id, text)
    return seq
