"""What is known when something happens to a conversation, read in one statement: of one event, or of past ones."""

# ruff: noqa: S608 (statements are put together from constants only; values are bound)

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB

from plugin.automations.automation import rule_of
from plugin.automations.conditions import Facts, OrderFacts, Spent
from plugin.automations.rules import KINDS, TIMED, Rule, Trigger
from plugin.conversations import hours
from plugin.conversations.teams import Rules, hours_of, language_of, responsible
from plugin.kernel import text as texts
from plugin.kernel.db import Tx
from plugin.kernel.i18n import zone_of
from plugin.kernel.text import folded

RULE = "rule:"
"""How an actor begins that is a rule: what one did is no reason for another."""


@dataclass(frozen=True, slots=True)
class Known:
    """Facts, and what they are of. `locale` is the language to answer in as far as it is known."""

    facts: Facts
    event_id: UUID | None
    actor: str
    at: datetime
    message_id: UUID | None
    preview: str
    name: str
    locale: str
    history: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """One event with the rules that are switched on, in their order."""

    known: Known
    rules: Sequence[Rule]


_COLUMNS = """
    e.event_id, e.kind, e.actor, e.at, e.data, w.timezone, clock_timestamp() AS now,
    c.id, c.status, c.priority, c.channel, c.subject, c.locale, c.store_id, c.customer_id, c.assignee_id, c.reply_email,
    c.waiting_since, c.active_at, c.first_replied_at, c.preview,
    m.id AS message_id, m.text, coalesce(jsonb_array_length(m.data -> 'attachments'), 0) AS files,
    m.created_at AS written_at,
    m.id IS NOT NULL AND NOT EXISTS (SELECT FROM messages b WHERE b.workspace_id = c.workspace_id
        AND b.conversation_id = c.id AND b.seq < m.seq AND b.author = 'shopper') AS first,
    EXISTS (SELECT FROM mail_letters l WHERE l.workspace_id = c.workspace_id AND l.message_id = m.id
        AND l.automatic <> '') AS machine,
    (SELECT n.author || ' ' || extract(epoch FROM n.created_at) FROM messages n WHERE n.workspace_id = c.workspace_id
        AND n.conversation_id = c.id AND n.seq IS NOT NULL ORDER BY n.seq DESC LIMIT 1) AS last_said,
    s.name AS store_name, s.url AS store_url, s.external_id AS store_external_id, s.currency,
    a.name AS assignee_name, a.email AS assignee_email,
    coalesce(nullif(p.name, ''), nullif(p.email, ''), nullif(v.typed_name, ''), nullif(v.typed_email, ''),
        c.reply_email) AS who,
    p.orders_count, p.value, coalesce(x.row, o.row) AS "order", r.score,
    (SELECT jsonb_agg(g.key) FROM conversation_tags g
        WHERE g.workspace_id = c.workspace_id AND g.conversation_id = c.id) AS tags,
    (SELECT jsonb_object_agg(f.key, f.value) FROM field_values f
        WHERE f.workspace_id = c.workspace_id AND f.conversation_id = c.id) AS fields,
    (SELECT jsonb_agg(DISTINCT word) FROM customers k
        JOIN store_customers q ON q.workspace_id = k.workspace_id AND q.customer_id = k.id AND q.deleted_at IS NULL
        CROSS JOIN LATERAL jsonb_array_elements_text(q.tags) word
        WHERE k.workspace_id = c.workspace_id AND (k.id = p.id OR k.merged_into = p.id)) AS customer_tags
"""

_ORDER = """jsonb_build_object(
        'id', d.id, 'total', d.total, 'exponent', d.exponent, 'placed_at', d.placed_at, 'payment', d.payment_status,
        'fulfilment', d.fulfilment_status, 'tags', d.tags,
        'cancelled', d.cancelled_at IS NOT NULL OR d.status = 'cancelled',
        'parcels', (SELECT jsonb_agg(jsonb_build_array(t.status, t.shipped_at)) FROM fulfilments t
            WHERE t.workspace_id = d.workspace_id AND t.order_id = d.id))"""

# The order that it was tied to, else the latest: in this store before elsewhere, one that stands before one that was
# called off.
_JOINS = f"""
JOIN conversations c ON c.workspace_id = :workspace AND c.id = e.conversation_id AND c.merged_into IS NULL
JOIN workspaces w ON w.workspace_id = c.workspace_id
LEFT JOIN messages m ON m.workspace_id = c.workspace_id AND m.id = e.message_id
LEFT JOIN stores s ON s.workspace_id = c.workspace_id AND s.id = c.store_id
LEFT JOIN agents a ON a.workspace_id = c.workspace_id AND a.id = c.assignee_id
LEFT JOIN visitors v ON v.workspace_id = c.workspace_id AND v.id = c.visitor_id
LEFT JOIN ratings r ON r.workspace_id = c.workspace_id AND r.conversation_id = c.id
LEFT JOIN customers h ON h.workspace_id = c.workspace_id AND h.id = c.customer_id
LEFT JOIN customers p ON p.workspace_id = c.workspace_id
    AND p.id = CASE WHEN h.merged_into IS NULL THEN h.id ELSE h.merged_into END
LEFT JOIN LATERAL (
    SELECT {_ORDER} AS row
    FROM customers k JOIN orders d ON d.workspace_id = k.workspace_id AND d.customer_id = k.id
    WHERE k.workspace_id = c.workspace_id AND (k.id = p.id OR k.merged_into = p.id) AND d.deleted_at IS NULL
    ORDER BY d.cancelled_at IS NOT NULL OR d.status = 'cancelled', d.store_id = c.store_id DESC, d.placed_at DESC
    LIMIT 1
) o ON true
LEFT JOIN LATERAL (
    SELECT {_ORDER} AS row FROM conversation_orders y
    JOIN orders d ON d.workspace_id = y.workspace_id AND d.id = y.order_id AND d.deleted_at IS NULL
    WHERE y.workspace_id = c.workspace_id AND y.conversation_id = c.id ORDER BY y.created_at DESC, d.id LIMIT 1
) x ON true
"""
_OF_EVENT = """
SELECT id AS event_id, kind, actor, at, data, subject_id AS conversation_id,
    CASE WHEN kind IN ('message.received', 'message.sent') THEN CAST(data ->> 'message_id' AS uuid) END AS message_id
FROM events WHERE workspace_id = :workspace AND {which}
"""
_OF_TIME = """
SELECT CAST(NULL AS uuid) AS event_id, '' AS kind, '' AS actor, now() AS at, CAST('{{}}' AS jsonb) AS data,
    id AS conversation_id, CAST(NULL AS uuid) AS message_id
FROM conversations WHERE workspace_id = :workspace AND {which}
"""
_TEAMS = "(SELECT jsonb_agg(to_jsonb(t)) FROM teams t WHERE t.workspace_id = :workspace) AS teams"
_RULES = """
(SELECT jsonb_agg(jsonb_build_object('id', r.id, 'name', r.name, 'event', r.event, 'after', r.after,
    'conditions', r.conditions, 'actions', r.actions, 'stop', r.stop) ORDER BY r.position, r.id)
    FROM rules r WHERE r.workspace_id = :workspace AND r.enabled AND r.deleted_at IS NULL) AS rules
"""
_JSON = ("data", "value", "order", "tags", "fields", "customer_tags", "teams")


def _statement(source: str, rules: str = "NULL AS rules") -> Any:
    sql = f"SELECT {_COLUMNS}, {_TEAMS}, {rules} FROM ({source}) e {_JOINS} ORDER BY e.at DESC, e.event_id DESC"
    return text(sql).columns(rules=JSONB, **dict.fromkeys(_JSON, JSONB))


_EVENT = _statement(_OF_EVENT.format(which="id = :event"), _RULES)
_MOMENT = _statement(_OF_TIME.format(which="id = :conversation"))
_NOT_OURS = "kind = :kind AND actor NOT LIKE 'rule:%' AND NOT data ? 'history'"
_PAST = _statement(_OF_EVENT.format(which=_NOT_OURS) + "ORDER BY at DESC, id DESC LIMIT :limit")
_PAST_FIRST = _statement(
    _OF_EVENT.format(which=f"{_NOT_OURS} AND data ->> 'seq' = '1'") + "ORDER BY at DESC, id DESC LIMIT :limit"
)
_NOW_WAITING = _statement(
    _OF_TIME.format(which="waiting_since IS NOT NULL AND status = 'open'") + "ORDER BY waiting_since DESC LIMIT :limit"
)
_NOW_SILENT = _statement(
    _OF_TIME.format(which="status IN ('open', 'pending') AND waiting_since IS NULL")
    + "ORDER BY active_at DESC LIMIT :limit"
)


async def of_event(tx: Tx, event_id: UUID) -> Asked | None:
    """What is known of an event now, and whom to ask. None when its conversation is gone, or part of another."""
    row = (await tx.execute(_EVENT, {"workspace": tx.workspace_id, "event": event_id})).one_or_none()
    return Asked(_known(row), [rule_of(one) for one in row.rules or ()]) if row is not None else None


async def of_moment(tx: Tx, conversation_id: UUID) -> Known | None:
    """What is known of a conversation where nothing happened but time."""
    bound = {"workspace": tx.workspace_id, "conversation": conversation_id}
    row = (await tx.execute(_MOMENT, bound)).one_or_none()
    return _known(row) if row is not None else None


async def of_the_past(tx: Tx, trigger: Trigger, limit: int) -> list[Known]:
    """The last times that something happened, the newest first: words as they were, all else as it is now.

    For what time alone makes due it is the conversations that wait now.
    """
    bound: dict[str, Any] = {"workspace": tx.workspace_id, "limit": limit}
    if trigger in TIMED:
        statement = _NOW_WAITING if trigger is Trigger.WAITS else _NOW_SILENT
    else:
        statement = _PAST_FIRST if trigger is Trigger.STARTED else _PAST
        bound["kind"] = KINDS[trigger]
    return [_known(row, past=trigger not in TIMED) for row in await tx.execute(statement, bound)]


def _known(row: Any, *, past: bool = False) -> Known:
    zone = zone_of(row.timezone)
    now = row.at if past else row.now
    tags = frozenset(row.tags or ())
    team = _team(row, tags)
    spoken = language_of(row.locale) or texts.language_of(row.text or row.preview) or ""
    author, _blank, said_at = (row.last_said or "").partition(" ")
    # Whoever put it to the customer's turn without a word has said so all the same.
    turn = row.status == "pending" or (row.status == "open" and author not in ("", "shopper"))
    silent = turn and row.waiting_since is None
    last = datetime.fromtimestamp(float(said_at), zone) if said_at else None
    facts = Facts(
        kind=row.kind,
        now=now.astimezone(zone),
        conversation_id=row.id,
        text=row.text if row.kind == "message.received" else None,
        first=row.first,
        before=row.data.get("was", ""),
        files=bool(row.files),
        machine=row.machine,
        subject=row.subject,
        channel=row.channel,
        language=spoken,
        stores=_names_of_store(row),
        status="open" if past and row.kind == "message.received" else row.status,
        assignee=str(row.assignee_id or ""),
        assignee_names=frozenset(folded(name) for name in (row.assignee_name, row.assignee_email) if name),
        team=next((one["name"] for one in row.teams or () if team and one["id"] == str(team.id)), ""),
        team_tags={one["id"]: one["skills"][0] for one in row.teams or () if one["skills"]},
        priority=row.priority,
        tags=tags,
        fields=row.fields or {},
        answered=row.first_replied_at is not None and row.first_replied_at < (row.written_at or row.now),
        waiting=now - row.waiting_since if row.waiting_since is not None and row.waiting_since <= now else None,
        idle=now - max(row.active_at, last) if silent and last is not None else None,
        rating=row.score,
        open=hours.is_open(hours_of(team), now),
        known=row.customer_id is not None,
        orders=row.orders_count or 0,
        spent=tuple(Spent(one["currency"], Decimal(one["amount"]).scaleb(-one["exponent"])) for one in row.value or ()),
        currency=row.currency or "",
        customer_tags=frozenset(map(folded, row.customer_tags or ())),
        order=_order(row.order),
    )
    return Known(
        facts,
        row.event_id,
        row.actor,
        row.at,
        row.message_id,
        row.text if row.text is not None else row.preview,
        row.who or "",
        row.locale or spoken,
        history="history" in row.data,
    )


def _team(row: Any, tags: frozenset[str]) -> Rules | None:
    return responsible([Rules.of(one) for one in row.teams or ()], row.store_id, row.locale, tags)


def _names_of_store(row: Any) -> frozenset[str]:
    """What a store is asked for by: its name, and its address without what stands before it."""
    host = urlsplit(row.store_url or "").netloc
    return frozenset(folded(name) for name in (row.store_name, row.store_external_id, host) if name)


def _order(said: dict[str, Any] | None) -> OrderFacts | None:
    if said is None:
        return None
    return OrderFacts(
        total=Decimal(said["total"]).scaleb(-said["exponent"]),
        placed_at=datetime.fromisoformat(said["placed_at"]),
        payment_status=said["payment"],
        fulfilment_status=said["fulfilment"],
        cancelled=said["cancelled"],
        tags=frozenset(map(folded, said["tags"])),
        parcels=tuple(
            (status, datetime.fromisoformat(left) if left else None) for status, left in said["parcels"] or ()
        ),
    )
