"""Retention: how long each kind of data is kept, what the merchant chose of it, and the nightly deletion.

The operator's settings are the longest that anything is kept; a merchant may shorten them within what makes sense.
"""

# ruff: noqa: S608 (statements are put together from constants only; values are bound)

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import select, text
from sqlalchemy.orm import Mapped, mapped_column

from plugin.app import App
from plugin.bot import coverage
from plugin.kernel import bulk
from plugin.kernel.config import Settings
from plugin.kernel.db import Base, Tenant, Tx
from plugin.kernel.errors import AhlanError
from plugin.kernel.jobs import TaskError
from plugin.kernel.lazy import _
from plugin.kernel.personal import nobody
from plugin.knowledge import importing, meaning, reading
from plugin.privacy.requests import OPEN, open_requests
from plugin.team import Agent

log = structlog.get_logger(__name__)

FOR_EVER = 0
CHOICES = (1, 3, 7, 14, 30, 60, 90, 180, 365, 730, 1095, 1825, 3650)
_CHUNK = 5000


class RetentionPeriod(Tenant, Base):
    """How many days the merchant wants a kind of data kept, where that is not the default; 0 is for ever."""

    __tablename__ = "retention_periods"
    __table_args__ = {"info": nobody("the merchant's own rules")}  # noqa: RUF012 - read once, by SQLAlchemy

    kind: Mapped[str] = mapped_column(primary_key=True)
    days: Mapped[int]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of data. `where` finds in `table` what is older than `:before`; `empties` says what becomes of it.

    `days` is the default, `least` and `most` are the merchant's limits in days; 0 as `most` allows for ever.
    """

    table: str
    where: str
    days: int
    least: int
    most: int
    empties: str = ""

    @property
    def floor(self) -> int:
        """The shortest that may be chosen: an operator who keeps it for less has the last word."""
        return min(self.least, self.most) if self.most else self.least

    @property
    def choices(self) -> Sequence[int]:
        """What the merchant may choose, the shortest first."""
        most = self.most or CHOICES[-1]
        found = sorted(
            {*(days for days in CHOICES if self.floor <= days <= most), *((self.days,) if self.days else ())}
        )
        return [*found, FOR_EVER] if self.most == FOR_EVER else found


def kinds(settings: Settings) -> Mapping[str, Kind]:
    """Every kind of data that is ever too old, with the operator's limits; the merchant sees and chooses each."""
    return {
        "conversations": Kind(
            "conversations", "status = 'resolved' AND last_message_at < :before",
            days=settings.conversation_retention_days, least=30, most=settings.conversation_retention_days,
        ),
        "carts": Kind("carts", "version < :before", days=180, least=7, most=730),
        "visitors": Kind(
            "visitors",
            "last_seen_at < :before AND NOT EXISTS (SELECT 1 FROM conversations c "
            "WHERE c.workspace_id = :workspace AND c.visitor_id = visitors.id)",
            days=180, least=7, most=730,
        ),
        # What shoppers wrote goes with the conversation; the rest is the merchant's books, as orders are.
        "returns": Kind(
            "return_requests",
            "state IN ('declined', 'closed', 'cancelled') AND moved_at < :before "
            # What became of a withdrawal hangs on its return, and is kept as long as the statement.
            "AND NOT EXISTS (SELECT 1 FROM withdrawals w WHERE w.workspace_id = :workspace "
            "AND w.request_id = return_requests.id)",
            days=3650, least=365, most=FOR_EVER,
        ),
        "timeline": Kind(
            "events", "at < :before", days=settings.event_retention_days, least=90, most=settings.event_retention_days
        ),
        # The row is another role's and stays until that one prunes; what it says goes.
        "webhooks": Kind(
            "webhook_inbox", "done_at < :before AND body <> ''",
            days=settings.webhook_retention_days, least=3, most=settings.webhook_retention_days or CHOICES[-1],
            empties="body = '', headers = '{}', error = ''",
        ),
        "exports": Kind(
            "privacy_requests", "state = 'ready' AND asked_at < :before", days=60, least=7, most=60,
            empties="result = result - 'export' - 'people' - 'locale' || '{\"reason\": \"never handed over\"}', "
            "state = 'skipped', done_at = now(), "
            "subject = jsonb_build_object('customer_id', subject -> 'customer_id', 'request', subject -> 'request')",
        ),
        "access_log": Kind(
            "access_log", "created_at < :before",
            days=settings.access_log_retention_days, least=90, most=settings.access_log_retention_days,
        ),
        "withdrawals": Kind(
            "withdrawal_statements",
            "created_at < :before AND NOT EXISTS (SELECT 1 FROM withdrawals w WHERE w.workspace_id = :workspace "
            "AND w.id = withdrawal_statements.id AND w.stage NOT IN ('done', 'refused'))",
            # A year and fourteen days at least: so long somebody can say that they withdrew in time (article 10).
            days=1095, least=380, most=3650,
        ),
        "evidence": Kind(
            "privacy_requests", "state IN ('done', 'skipped') AND done_at < :before", days=1095, least=365, most=3650
        ),
    }  # fmt: skip


# Strangers may upload too: what they never send must not fill the disk for ever. Nobody is asked about that.
_UNSENT = Kind("attachments", "message_id IS NULL AND created_at < :before", days=1, least=1, most=1)

# The log of rules: what one did for 90 days, why one did nothing for 7 (docs/rules.md). No choice of the merchant's.
_RULE_RUNS = Kind(
    "rule_runs",
    "created_at < :before OR (decided IS NOT NULL AND created_at < CAST(:before AS timestamptz) + interval '83 days')",
    days=90, least=90, most=90,
)  # fmt: skip

# Figures of a language model's calls, for its limits and the settings page; and what it wrote, which can be asked anew.
_MODEL_CALLS = Kind("model_calls", "created_at < :before", days=90, least=90, most=90)
_MODEL_TEXTS = Kind("model_texts", "created_at < :before", days=30, least=30, most=30)


async def periods(tx: Tx, settings: Settings) -> Mapping[str, int]:
    """The days that each kind is kept in this workspace: the merchant's choice within the limits, else the default."""
    chosen = {row.kind: row.days for row in await tx.scalars(
        select(RetentionPeriod).where(RetentionPeriod.workspace_id == tx.workspace_id)
    )}  # fmt: skip
    return {name: _within(kind, chosen.get(name, kind.days)) for name, kind in kinds(settings).items()}


def _within(kind: Kind, days: int) -> int:
    """A choice that the operator's limit has overtaken is cut to it."""
    if kind.most and (days == FOR_EVER or days > kind.most):
        return kind.most
    return max(days, kind.floor) if days else days


async def keep(tx: Tx, settings: Settings, name: str, days: int, by: Agent) -> None:
    """The merchant's choice for one kind. Raises AhlanError for one outside the limits."""
    kind = kinds(settings).get(name)
    if kind is None or days not in kind.choices:
        raise AhlanError(_("This cannot be chosen."), _("Choose one of the times in the list."), code="retention")
    before = (await periods(tx, settings))[name]
    if before == days:
        return
    await bulk.insert(tx, RetentionPeriod, [{"kind": name, "days": days}], key=("kind",), update=("days",))
    await tx.record("privacy.retention_changed", subject_id=tx.workspace_id, actor=f"agent:{by.id}",
                    data={"kind": name, "from": before, "to": days})  # fmt: skip


async def would_go(tx: Tx, settings: Settings, name: str, days: int) -> int:
    """How many would be deleted now if this kind were kept for `days`."""
    kind = kinds(settings)[name]
    if days == FOR_EVER:
        return 0
    parameters = {"workspace": tx.workspace_id, "before": datetime.now(UTC) - timedelta(days=days)}
    return int(
        await tx.scalar(
            text(f"SELECT count(*) FROM {kind.table} WHERE workspace_id = :workspace AND ({kind.where})"), parameters
        )
    )


async def retention(app: App, workspace_id: UUID) -> None:
    """Task, daily: delete what has been kept as long as it may; 0 days means for ever."""
    async with app.db.transaction(workspace_id) as tx:
        days = await periods(tx, app.settings)
    now = datetime.now(UTC)
    due = {name: (kind, days[name]) for name, kind in kinds(app.settings).items() if days[name]}
    due["unsent"] = (_UNSENT, _UNSENT.days)
    due["rule_runs"] = (_RULE_RUNS, _RULE_RUNS.days)
    due |= {kind.table: (kind, kind.days) for kind in (_MODEL_CALLS, _MODEL_TEXTS)}
    if audited := app.settings.audit_retention_days:
        # The operator's alone: who could shorten it could hide what they did.
        due["audit_log"] = (Kind("audit_log", "created_at < :before", audited, audited, audited), audited)
    deleted = {
        name: await _delete_aged(app, workspace_id, kind, now - timedelta(days=kept))
        for name, (kind, kept) in due.items()
    }
    log.info("retention", **deleted)
    async with app.db.transaction(workspace_id) as tx:
        await reading.prune(tx)
        await importing.prune(tx)
        await meaning.catch_up(tx)
        await coverage.prune(tx)
        late = [row.id for row in await open_requests(tx) if row.due_at < now + timedelta(days=3) and row.state == OPEN]
    if late:
        raise TaskError(f"{len(late)} privacy requests are close to their deadline and not done", retry=False)


async def _delete_aged(app: App, workspace_id: UUID, kind: Kind, before: datetime) -> int:
    """In chunks, so that nobody waits for a table."""
    deleted = 0
    verb = f"UPDATE {kind.table} SET {kind.empties}" if kind.empties else f"DELETE FROM {kind.table}"
    statement = text(
        f"{verb} WHERE workspace_id = :workspace AND id IN "
        f"(SELECT id FROM {kind.table} WHERE workspace_id = :workspace AND ({kind.where}) LIMIT {_CHUNK})"
    )
    while True:
        async with app.db.transaction(workspace_id) as tx:
            result = await tx.execute(statement, {"workspace": workspace_id, "before": before})
        count = max(0, int(result.rowcount))  # type: ignore[attr-defined]
        deleted += count
        if count < _CHUNK:
            return deleted
