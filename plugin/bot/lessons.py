"""What the team teaches the bot: "the right answer was…", "this is outside", one question at a time.

Whoever answers customers may propose; whoever may change settings decides. What is approved counts at once, in a new
version; every version can be brought back. Nobody can teach much in a day, numbers and addresses are left out of what
is kept, and a lesson is erased with the customer whose words it holds.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Index, func, select
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from plugin.bot.alike import Phrasings
from plugin.bot.book import topics
from plugin.bot.thinking import OUTSIDE, masked
from plugin.bot.understand import understand
from plugin.kernel.db import Base, TenantRow, Tx, new_id, tenant_key
from plugin.kernel.errors import AhlanError, Conflict, Forbidden, NotFound
from plugin.kernel.lazy import _
from plugin.kernel.text import search_key
from plugin.knowledge.articles import Article
from plugin.team import Agent, Permission, audit

A_DAY = 30
"""Lessons that one agent may propose in 24 hours."""

MOST_WAITING = 100
"""Of one agent's that nobody has decided on."""

SUGGESTED_A_DAY = 10
"""Phrasings out of one agent's conversations in 24 hours; theirs alone are never a flood."""

MOST_SUGGESTED = 50
"""Phrasings out of conversations that wait, of all together."""

SOLVED = "solved"
"""The origin of what a conversation that went well suggested."""

MOST = 2_000
"""That count at once."""

LONGEST = 300

_PERSONAL = re.compile(r"[\w.+-]+@[\w.-]+\.\w+|https?://\S+|#?\w*\d{4,}\w*|(?:\+?\d[\s().-]?){6,}")


class State(StrEnum):
    """proposed: somebody has to look · approved: decided, and counts while its last span is open · declined."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    DECLINED = "declined"


class BotLesson(TenantRow, Base):
    """A question and what is right about it. `target`: `article:<id>`, `topic:<id>` or `outside`.

    `agent_id` and `decided_by` are kept as they were: an agent's row is never deleted.
    `origin`: `solved` where a conversation that went well suggested it, empty for a correction; `vectors`: what the
    models make of the text, once it was learnt. `spans`: [from version, until version or null, moment] for
    each time that it counted.
    """

    __tablename__ = "bot_lessons"
    __table_args__ = (
        Index(None, "workspace_id", "agent_id", "created_at"),
        Index("ix_bot_lessons_counting", "workspace_id", "id", postgresql_where=sql("counts")),
        tenant_key("conversation_id", "conversations"),
        # What a team taught stays with the team.
        {"info": {"moves": "stays"}},
    )

    text: Mapped[str]
    language: Mapped[str]
    target: Mapped[str]
    state: Mapped[str] = mapped_column(server_default=State.PROPOSED)
    counts: Mapped[bool] = mapped_column(server_default=sql("false"))
    spans: Mapped[list[Any]] = mapped_column(JSONB, server_default=sql("'[]'"))
    conversation_id: Mapped[UUID | None]
    agent_id: Mapped[UUID]
    decided_by: Mapped[UUID | None]
    decided_at: Mapped[datetime | None]
    origin: Mapped[str] = mapped_column(server_default="")
    vectors: Mapped[bytes | None]


def may_decide(agent: Agent) -> bool:
    """Whether what somebody teaches counts without another's look."""
    return agent.may(Permission.MANAGE_SETTINGS)


async def propose(tx: Tx, by: Agent, said: str, target: str, *, conversation_id: UUID | None = None) -> BotLesson:
    """Teach the bot one question; counts at once where `by` may decide. The same lesson twice is one.

    Raises AhlanError for an empty question, one answer that is none, or more than one agent may teach in a day.
    """
    kept = _plain(said)
    await _check(tx, target)
    await _one_at_a_time(tx)
    same = await _same(tx, kept, target)
    if same is not None and (same.counts or same.state == State.PROPOSED):
        return same
    since = datetime.now(UTC) - timedelta(days=1)
    mine = (BotLesson.workspace_id == tx.workspace_id, BotLesson.agent_id == by.id, BotLesson.origin == "")
    lately = await tx.scalar(select(func.count()).select_from(BotLesson).where(*mine, BotLesson.created_at > since))
    waiting = await tx.scalar(
        select(func.count()).select_from(BotLesson).where(*mine, BotLesson.state == State.PROPOSED)
    )
    if lately >= A_DAY or waiting >= MOST_WAITING:
        raise AhlanError(
            _("You have taught the bot as much as one person may in a day."),
            _("Somebody who may change settings looks at it first."),
            code="lessons_full",
        )
    lesson = BotLesson(
        id=new_id(), text=kept, language=understand(kept, today=today()).language or "", target=target,
        state=State.PROPOSED, counts=False, spans=[], conversation_id=conversation_id, agent_id=by.id,
    )  # fmt: skip
    tx.add(lesson)
    await tx.flush()
    if may_decide(by):
        await approve(tx, lesson, by=by)
    return lesson


async def suggest(tx: Tx, agent_id: UUID, said: str, target: str, *, conversation_id: UUID) -> BotLesson | None:
    """A phrasing out of a conversation that `agent_id` answered: waits for somebody, whoever answered.

    None where it was decided on or waits already, or as much waits as may. Raises AhlanError as `propose` does.
    """
    kept = _plain(said)
    await _check(tx, target)
    await _one_at_a_time(tx)
    here = (BotLesson.workspace_id == tx.workspace_id, BotLesson.origin == SOLVED)
    since = datetime.now(UTC) - timedelta(days=1)
    count = select(func.count()).select_from(BotLesson)
    of_one = await tx.scalar(count.where(*here, BotLesson.agent_id == agent_id, BotLesson.created_at > since))
    waits = await tx.scalar(count.where(*here, BotLesson.state == State.PROPOSED))
    if of_one >= SUGGESTED_A_DAY or waits >= MOST_SUGGESTED or await _same(tx, kept, target) is not None:
        return None
    lesson = BotLesson(
        id=new_id(), text=kept, language=understand(kept, today=today()).language or "", target=target,
        state=State.PROPOSED, counts=False, spans=[], conversation_id=conversation_id, agent_id=agent_id,
        origin=SOLVED,
    )  # fmt: skip
    tx.add(lesson)
    await tx.flush()
    return lesson


async def revise(tx: Tx, lesson: BotLesson, said: str, target: str, *, by: Agent) -> None:
    """Put what waits right before it is approved. Raises Forbidden, Conflict once decided, AhlanError as `propose`."""
    _may(by)
    if lesson.state != State.PROPOSED:
        raise Conflict(_("Somebody has decided on this already."), _("Open the list again."), code="lesson_decided")
    kept = _plain(said)
    await _check(tx, target)
    if kept != lesson.text:
        lesson.text, lesson.vectors = kept, None
    lesson.target = target
    await tx.flush()


def today() -> date:
    """The day of the server's clock: for reading days in a text, which lessons leave as they are."""
    return datetime.now(UTC).date()


def _plain(said: str) -> str:
    """A question without what it says of one person. Raises AhlanError for none."""
    kept = masked(understand(said[:LONGEST], today=today()))[:LONGEST].strip()
    kept = " ".join(_PERSONAL.sub(" ", kept).split())
    if not search_key(kept):
        raise AhlanError(_("There is no question in this message."), code="lesson_empty")
    return kept


async def find(tx: Tx, lesson_id: UUID) -> BotLesson:
    """A lesson, held. Raises NotFound."""
    found = await tx.get(BotLesson, lesson_id, lock=True)
    if found is None:
        raise NotFound(_("This lesson is no longer there."), _("Open the list again."))
    return found


async def approve(tx: Tx, lesson: BotLesson, *, by: Agent) -> None:
    """From now on it counts; what said something else about the same question no longer does. Raises Forbidden."""
    _may(by)
    await _one_at_a_time(tx)
    if lesson.counts:
        return
    counting = await _counting(tx)
    if len(counting) >= MOST:
        raise Conflict(_("The bot has 2000 lessons already."), _("Take some out first."), code="lessons_most")
    version, now = await latest(tx) + 1, datetime.now(UTC)
    key = search_key(lesson.text)
    for other in counting:
        if search_key(other.text) == key and other.id != lesson.id:
            _stop(other, version)
    _start(lesson, version, now)
    await _decided(tx, lesson, State.APPROVED, by, "settings.bot_taught")


async def decline(tx: Tx, lesson: BotLesson, *, by: Agent) -> None:
    """It does not count, or no longer. Raises Forbidden."""
    _may(by)
    await _one_at_a_time(tx)
    if lesson.counts:
        _stop(lesson, await latest(tx) + 1)
        await _unlearn(tx)
    await _decided(tx, lesson, State.DECLINED, by, "settings.bot_untaught")


async def roll_back(tx: Tx, version: int, *, by: Agent) -> int:
    """Make what counted in `version` count again, and nothing else. Returns the new version. Raises Forbidden."""
    _may(by)
    await _one_at_a_time(tx)
    last = await latest(tx)
    if not 0 <= version <= last:
        raise NotFound(_("There is no such version."), _("Open the list again."))
    rows = await tx.scalars(select(BotLesson).where(BotLesson.workspace_id == tx.workspace_id))
    now, gone = datetime.now(UTC), False
    for lesson in rows:
        then = counted(lesson.spans, version)
        if lesson.counts and not then:
            _stop(lesson, last + 1)
            gone = True
        elif then and not lesson.counts:
            _start(lesson, last + 1, now)
    await tx.flush()
    if gone:
        await _unlearn(tx)
    audit.note(tx, "settings.bot_rolled_back", by=by.id, changes={"version": [last, version]})
    return last + 1


async def _unlearn(tx: Tx) -> None:
    """What was taken out is in the model too (`models`): it is made anew now. What was added can wait for the night."""
    await tx.enqueue("refit_bot", unique="refit_bot")


def counted(spans: Sequence[Sequence[Any]], version: int) -> bool:
    """Whether a lesson counted in a version. Pure."""
    return any(one[0] <= version and (one[1] is None or version < one[1]) for one in spans)


_KEPT = 50
"""Workspaces whose lessons a process has at hand; what was not asked for the longest goes first."""

_kept: dict[UUID, tuple[tuple[Any, ...], Phrasings]] = {}


async def counting(tx: Tx, store_id: UUID) -> Phrasings:
    """What counts now, to be compared with a question. Read anew only after something of it changed."""
    of = (BotLesson.workspace_id == tx.workspace_id, BotLesson.counts)
    letters = func.sum(func.hashtextextended(BotLesson.target + " " + BotLesson.text, 0))
    stamp = tuple((await tx.execute(select(func.count(), letters).where(*of))).one())
    known = _kept.pop(tx.workspace_id, None)
    if known is None or known[0] != stamp:
        rows = await tx.execute(select(BotLesson.text, BotLesson.target).where(*of).order_by(BotLesson.id))
        known = stamp, Phrasings((row.text, row.target) for row in rows)
    _kept[tx.workspace_id] = known
    while len(_kept) > _KEPT:
        del _kept[next(iter(_kept))]
    return known[1]


async def latest(tx: Tx) -> int:
    """The number of the version that counts; 0 before anything was taught."""
    found: int = await tx.scalar(
        sql(
            "SELECT coalesce(max(greatest((span ->> 0)::int, coalesce((span ->> 1)::int, 0))), 0) FROM bot_lessons "
            "CROSS JOIN LATERAL jsonb_array_elements(spans) span WHERE workspace_id = :workspace"
        ),
        {"workspace": tx.workspace_id},
    )
    return found


@dataclass(frozen=True, slots=True)
class Version:
    """What one version brought: questions that came and went. `at` is when; None where only something went."""

    number: int
    at: datetime | None
    came: Sequence[str]
    went: Sequence[str]


async def versions(tx: Tx, limit: int = 20) -> list[Version]:
    """The latest versions, the newest first."""
    came: dict[int, list[str]] = {}
    went: dict[int, list[str]] = {}
    moments: dict[int, datetime] = {}
    for lesson in await tx.scalars(
        select(BotLesson).where(BotLesson.workspace_id == tx.workspace_id, BotLesson.spans != [])
    ):
        for begin, end, at in lesson.spans:
            came.setdefault(begin, []).append(lesson.text)
            moments[begin] = datetime.fromisoformat(at)
            if end is not None:
                went.setdefault(end, []).append(lesson.text)
    numbers = sorted({*came, *went}, reverse=True)[:limit]
    return [Version(one, moments.get(one), came.get(one, []), went.get(one, [])) for one in numbers]


async def waiting(tx: Tx, origin: str | None = None) -> Sequence[BotLesson]:
    """What somebody has to decide on, the oldest first; of one origin, or all."""
    return list(
        await tx.scalars(
            select(BotLesson)
            .where(BotLesson.workspace_id == tx.workspace_id, BotLesson.state == State.PROPOSED)
            .where(*((BotLesson.origin == origin,) if origin is not None else ()))
            .order_by(BotLesson.id)
            .limit(200)
        )
    )


async def listed(tx: Tx, limit: int = 200) -> Sequence[BotLesson]:
    """What counts, the newest first."""
    return (await _counting(tx))[::-1][:limit]


async def _counting(tx: Tx) -> list[BotLesson]:
    rows = await tx.scalars(
        select(BotLesson).where(BotLesson.workspace_id == tx.workspace_id, BotLesson.counts).order_by(BotLesson.id)
    )
    return list(rows)


async def _same(tx: Tx, said: str, target: str) -> BotLesson | None:
    rows = await tx.scalars(
        select(BotLesson).where(BotLesson.workspace_id == tx.workspace_id, BotLesson.target == target)
    )
    key = search_key(said)
    return next((one for one in rows if search_key(one.text) == key), None)


async def _check(tx: Tx, target: str) -> None:
    kind, _colon, value = target.partition(":")
    known = target == OUTSIDE or (kind == "topic" and value in topics())
    if kind == "article":
        try:
            article = await tx.get(Article, UUID(value))
        except ValueError:
            article = None
        known = article is not None and article.deleted_at is None
    if not known:
        raise AhlanError(_("Choose what the right answer is."), code="lesson_target")


def _start(lesson: BotLesson, version: int, now: datetime) -> None:
    lesson.spans = [*lesson.spans, [version, None, now.isoformat()]]
    lesson.counts = True


def _stop(lesson: BotLesson, version: int) -> None:
    *before, (begin, _end, at) = lesson.spans
    lesson.spans = [*before, [begin, version, at]]
    lesson.counts = False


async def _decided(tx: Tx, lesson: BotLesson, state: State, by: Agent, kind: str) -> None:
    lesson.state, lesson.decided_by, lesson.decided_at = state, by.id, datetime.now(UTC)
    await tx.flush()
    # The question's words stay out of a log that outlives them.
    if kind == "settings.bot_taught":
        audit.note(tx, "settings.bot_taught", by=by.id, subject=lesson.id, changes={"target": [None, lesson.target]})
    else:
        audit.note(tx, "settings.bot_untaught", by=by.id, subject=lesson.id, changes={"target": [lesson.target, None]})


def _may(by: Agent) -> None:
    if not may_decide(by):
        raise Forbidden(_("Only who may change settings decides what the bot learns."))


async def _one_at_a_time(tx: Tx) -> None:
    await tx.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"bot lessons {tx.workspace_id}", 0))))
