"""How long an answer takes here: an honest line for whoever writes."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import case, func, select, union_all

from plugin.conversations.conversations import OPEN, WIDGET, Conversation
from plugin.kernel.db import Tx

MEASURED: Final = ""
SILENT: Final = "none"
PROMISES: Final = {"minutes": 60 * 60, "hours": 12 * 3600, "day": 24 * 3600}
"""What a shop may promise instead of what is measured, and the seconds from which the measure belies it."""

_ENOUGH = 3
_SAMPLE = 200
_DAYS = 28
_SAME_HOUR = 2 * 3600
_EARLIER = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Usual:
    """Seconds until the first answer, half the time less; None while there are too few answers to tell.

    `at_this_hour` looks only at earlier days, within two hours of the present time of day: at night it is what people
    wait who write at night, and an agent who was here an hour ago promises nothing for one who has left.
    """

    seconds: int | None = None
    at_this_hour: int | None = None


async def usual(tx: Tx, store_id: UUID) -> Usual:
    """In the chat, over the last four weeks. Whoever waits in vain for longer counts too, with the wait so far."""
    since = func.now() - timedelta(days=_DAYS)
    ours = (
        Conversation.workspace_id == tx.workspace_id,
        Conversation.store_id == store_id,
        Conversation.channel == WIDGET,
        Conversation.begun_by_us.is_(False),
    )
    answered = (
        select(Conversation.created_at.label("at"), Conversation.first_replied_at.label("until"))
        .where(*ours, Conversation.first_replied_at.is_not(None), Conversation.created_at > since)
        .order_by(Conversation.created_at.desc())
        .limit(_SAMPLE)
        .cte("answered")
    )
    waiting = (
        select(Conversation.created_at, func.now())
        .where(
            *ours,
            Conversation.status == OPEN,
            Conversation.first_replied_at.is_(None),
            Conversation.waiting_since.is_not(None),
            Conversation.created_at > since,
            func.now() - Conversation.created_at > select(_median(answered.c.until - answered.c.at)).scalar_subquery(),
        )
        .order_by(Conversation.created_at.desc())
        .limit(_SAMPLE)
    )
    every = union_all(select(answered.c.at, answered.c.until), waiting).subquery()
    took = every.c.until - every.c.at
    apart = func.abs(_second_of_day(every.c.at) - _second_of_day(func.now()))
    near = (func.least(apart, 86_400 - apart) <= _SAME_HOUR) & (every.c.at < func.now() - _EARLIER)
    found = (
        await tx.execute(
            select(
                func.count().label("all"),
                func.extract("epoch", _median(took)).label("median"),
                func.count().filter(near).label("near"),
                func.extract("epoch", _median(case((near, took)))).label("near_median"),
            ).select_from(every)
        )
    ).one()
    return Usual(
        int(found.median) if found.all >= _ENOUGH else None,
        int(found.near_median) if found.near >= _ENOUGH else None,
    )


def honest(promise: str, measured: Usual) -> str:
    """The shop's own promise while it holds; what is measured when the shop is slower than it says. Pure."""
    limit = PROMISES.get(promise)
    if limit is not None and measured.seconds is not None and measured.seconds > limit:
        return MEASURED
    return promise if limit is not None or promise == SILENT else MEASURED


def _median(column: Any) -> Any:
    return func.percentile_cont(0.5).within_group(column)


def _second_of_day(moment: Any) -> Any:
    return func.extract("epoch", func.timezone("UTC", moment)).op("%")(86_400)
