"""Every question to a model: within its limits, not while it fails, written down without a word of what was said.

Before a call the most that it can use is set aside under a lock on the settings, so that ten at once cannot pass a
limit together; afterwards what it used replaces that. A process that dies in between leaves what was set aside: a limit
is kept rather than passed. The lock and both transactions are over before anything is sent and begin after it came.
"""

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import BigInteger, Index, text, update
from sqlalchemy.orm import Mapped, mapped_column

from plugin.app import App
from plugin.kernel.db import Base, TenantRow, Tx, new_id
from plugin.kernel.lazy import Lazy, _
from plugin.kernel.personal import nobody
from plugin.model import settings
from plugin.model.port import WRONG, Endpoint, ModelError, Reply, Trouble, complete, guessed
from plugin.model.settings import ModelSettings, Use

ASKED, DONE, THROWN = "asked", "done", "thrown"
BUDGET, PAUSED, OFF = "budget", "paused", "off"
TEST = "test"

_FAILURES = 3
"""In a row; then it is left alone for a while, and one question after that tries it again."""

_PAUSE, _LONGEST_PAUSE = timedelta(seconds=30), timedelta(minutes=15)
_WRONG_PAUSE = timedelta(minutes=5)
_MOST_ASKED = 60_000
"""Characters of one question: what is longer is a mistake of ours."""


class ModelCall(TenantRow, Base):
    """One question: for what (`purpose`), how it ended (`outcome`), tokens, millionths of `currency`, milliseconds."""

    __tablename__ = "model_calls"
    __table_args__ = (
        Index(None, "workspace_id", "created_at"),
        {"info": {"moves": "stays", **nobody("figures of calls; no words, nobody's id")}},
    )

    purpose: Mapped[str]
    outcome: Mapped[str]
    model: Mapped[str]
    tokens_in: Mapped[int] = mapped_column(server_default=text("0"))
    tokens_out: Mapped[int] = mapped_column(server_default=text("0"))
    counted: Mapped[bool] = mapped_column(server_default=text("false"))
    cost: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    currency: Mapped[str] = mapped_column(server_default="")
    milliseconds: Mapped[int] = mapped_column(server_default=text("0"))


class Unavailable(Exception):
    """There is no answer of a model. `why` is off, budget, paused, or a `Trouble`; `said` what its server said."""

    def __init__(self, why: str, said: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.said = said


@dataclass(frozen=True, slots=True)
class Answered:
    """A model's answer and the line that it has in the log."""

    call_id: UUID
    text: str


@dataclass(frozen=True, slots=True)
class Used:
    """What was used since a moment, set aside included. `cost` in millionths of the currency of now."""

    tokens: int
    cost: int


async def ask(
    app: App, workspace_id: UUID, use: Use, instructions: str, data: str, *, most: int, json: bool = True
) -> Answered:
    """One answer of the workspace's model. Raises Unavailable, soon, for every other way that it can end.

    Nothing of a database is held while the model thinks. `data` is masked already.
    """
    asked = (instructions + data)[: _MOST_ASKED + 1]
    if len(asked) > _MOST_ASKED:
        raise ValueError("this question to a model is too long")
    async with app.db.transaction(workspace_id) as tx:
        row = await settings.of_workspace(tx, lock=True)
        if row is None or not row.offers(use):
            raise Unavailable(OFF)
        call = _reserved(row, use, guessed(asked), most)
        refused = await _refused(tx, row, call)
        if refused:
            call.outcome, call.tokens_in, call.tokens_out, call.cost = refused, 0, 0, 0
        tx.add(call)
        await tx.flush()
        endpoint = await settings.endpoint_of(tx, app.vault, row)
        seconds, call_id, trouble = row.seconds, call.id, row.trouble
    if refused:
        raise Unavailable(refused, trouble if refused == PAUSED else "")
    started = time.monotonic()
    try:
        reply = await complete(app.http, endpoint, instructions, data, most=most, seconds=seconds, json=json)
    except ModelError as error:
        await _ended(app, workspace_id, call_id, error, started)
        raise Unavailable(error.trouble, error.said) from error
    await _ended(app, workspace_id, call_id, reply, started)
    return Answered(call_id, reply.text)


async def throw_away(app: App, workspace_id: UUID, call_id: UUID) -> None:
    """An answer that could not be used: the log says so."""
    async with app.db.transaction(workspace_id) as tx:
        await tx.execute(
            update(ModelCall)
            .where(ModelCall.workspace_id == workspace_id, ModelCall.id == call_id)
            .values(outcome=THROWN)
        )


async def test(app: App, workspace_id: UUID, endpoint: Endpoint, seconds: int) -> Reply:
    """A short question to what a form names, which need not be kept yet. Raises ModelError.

    It counts as used, and is not kept back by a limit or a pause: whoever asks wants to know.
    """
    started = time.monotonic()
    try:
        reply = await complete(
            app.http, endpoint, "You are being tested. Answer with JSON only.", 'Answer exactly {"ok": true}.',
            most=200, seconds=seconds,
        )  # fmt: skip
    except ModelError as error:
        await _tested(app, workspace_id, endpoint, error.trouble, None, started)
        raise
    await _tested(app, workspace_id, endpoint, DONE, reply, started)
    return reply


async def used(tx: Tx, since: datetime, currency: str) -> Used:
    """Tokens since a moment, and money in one currency."""
    row = (
        await tx.execute(
            text(
                "SELECT coalesce(sum(tokens_in + tokens_out), 0) AS tokens, "
                "coalesce(sum(cost) FILTER (WHERE currency = :currency), 0) AS cost FROM model_calls "
                "WHERE workspace_id = :workspace AND created_at >= :since"
            ),
            {"workspace": tx.workspace_id, "since": since, "currency": currency},
        )
    ).one()
    return Used(int(row.tokens), int(row.cost))


async def ended(tx: Tx, since: datetime) -> Mapping[str, Mapping[str, int]]:
    """How the calls since a moment ended: purpose to outcome to how many."""
    rows = await tx.execute(
        text(
            "SELECT purpose, outcome, count(*) AS calls FROM model_calls WHERE workspace_id = :workspace "
            "AND created_at >= :since GROUP BY 1, 2 ORDER BY 1, 3 DESC"
        ),
        {"workspace": tx.workspace_id, "since": since},
    )
    found: dict[str, dict[str, int]] = {}
    for row in rows:
        found.setdefault(row.purpose, {})[row.outcome] = row.calls
    return found


def day_of(now: datetime) -> datetime:
    """When the day began that limits count (UTC)."""
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def month_of(now: datetime) -> datetime:
    """When the month began that limits count (UTC)."""
    return day_of(now).replace(day=1)


def _reserved(row: ModelSettings, use: Use, tokens_in: int, most: int) -> ModelCall:
    return ModelCall(
        id=new_id(), purpose=use, outcome=ASKED, model=row.model, tokens_in=tokens_in, tokens_out=most, counted=False,
        cost=row.cost(tokens_in, most), currency=row.currency, milliseconds=0,
    )  # fmt: skip


async def _refused(tx: Tx, row: ModelSettings, call: ModelCall) -> str:
    """Why this call must not be made now; empty when it may. One is let through after a pause, to try."""
    now = datetime.now(UTC)
    limits = ((day_of(now), row.tokens_day, row.money_day), (month_of(now), row.tokens_month, row.money_month))
    for since, tokens, money in limits:
        so_far = await used(tx, since, row.currency) if tokens or money else Used(0, 0)
        if tokens and so_far.tokens + call.tokens_in + call.tokens_out > tokens:
            return BUDGET
        if money and so_far.cost + call.cost > money:
            return BUDGET
    if row.paused_until is None:
        return ""
    if now < row.paused_until:
        return PAUSED
    row.paused_until = now + timedelta(seconds=row.seconds + 5)
    return ""


async def _ended(app: App, workspace_id: UUID, call_id: UUID, how: Reply | ModelError, started: float) -> None:
    took = int((time.monotonic() - started) * 1000)
    async with app.db.transaction(workspace_id) as tx:
        row = await settings.of_workspace(tx, lock=True)
        call = await tx.get(ModelCall, call_id)
        if call is None or row is None:
            return
        call.milliseconds = took
        if isinstance(how, Reply):
            call.outcome, call.counted = DONE, how.counted
            call.tokens_in, call.tokens_out = how.tokens_in, how.tokens_out
            call.cost = row.cost(how.tokens_in, how.tokens_out)
            row.failures, row.paused_until, row.trouble = 0, None, ""
            return
        call.outcome = how.trouble
        # It never thought about this: what was not answered is not paid for either.
        if how.trouble not in (Trouble.TIMEOUT, Trouble.GARBAGE):
            call.tokens_in = call.tokens_out = call.cost = 0
        row.failures += 1
        row.trouble = how.trouble
        row.paused_until = _paused(row.failures, how, datetime.now(UTC))


def _paused(failures: int, error: ModelError, now: datetime) -> datetime | None:
    """Until when it is left alone after failing so often in a row; None: it may be asked. Pure."""
    if error.trouble in WRONG:
        return now + _WRONG_PAUSE
    pause = timedelta(seconds=error.after)
    if failures >= _FAILURES:
        with suppress(OverflowError):
            pause = max(pause, min(_PAUSE * 2 ** min(failures - _FAILURES, 10), _LONGEST_PAUSE))
    return now + pause if pause else None


async def _tested(
    app: App, workspace_id: UUID, endpoint: Endpoint, outcome: str, reply: Reply | None, started: float
) -> None:
    async with app.db.transaction(workspace_id) as tx:
        row = await settings.of_workspace(tx, lock=True)
        tokens_in, tokens_out = (reply.tokens_in, reply.tokens_out) if reply is not None else (0, 0)
        tx.add(
            ModelCall(
                id=new_id(), purpose=TEST, outcome=outcome, model=endpoint.model, tokens_in=tokens_in,
                tokens_out=tokens_out, counted=reply is not None and reply.counted,
                cost=row.cost(tokens_in, tokens_out) if row is not None else 0,
                currency=row.currency if row is not None else "",
                milliseconds=int((time.monotonic() - started) * 1000),
            )
        )  # fmt: skip
        kept = row is not None and (row.endpoint, row.model) == (endpoint.url, endpoint.model)
        if row is not None and kept and reply is not None:
            row.failures, row.paused_until, row.trouble = 0, None, ""


WHY: Mapping[str, Lazy] = {
    OFF: _("The language model is off, or not to be used for this."),
    BUDGET: _("The language model's budget is used up. It goes on tomorrow, next month, or with a higher limit."),
    PAUSED: _("The language model failed several times and is left alone for a while."),
    Trouble.TIMEOUT: _("The language model did not answer in time."),
    Trouble.BUSY: _("The language model's provider takes no more questions just now."),
    Trouble.FAILED: _("The language model's server failed."),
    Trouble.GARBAGE: _("The server answered with something that is no answer of a language model."),
    Trouble.UNREACHABLE: _("The language model's server cannot be reached."),
    Trouble.KEY: _("The language model's provider refuses the key."),
    Trouble.MISSING: _("There is no such model, or nothing at this address."),
    Trouble.ASKED_WRONG: _("The language model's provider refuses the question."),
    Trouble.PRIVATE: _("This address is inside a private network, and your operator has not allowed it."),
    THROWN: _("The language model's answer could not be used."),
}
"""Why there is no answer, for people."""
