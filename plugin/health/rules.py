"""What is wrong with a store, from facts alone; when a mail about it is due. Pure: no database, network or clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from statistics import quantiles


class Severity(StrEnum):
    """bad: news do not arrive as they should, an incident, mailed · warn: shown · note: shown, nothing is late."""

    BAD = "bad"
    WARN = "warn"
    NOTE = "note"


class Remedy(StrEnum):
    """The one button beside a problem; NONE where only the store's own admin can help."""

    CHECK = "check"
    REPLAY = "replay"
    READ_ON = "read_on"
    CONNECT = "connect"
    NONE = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is not as it must be. `code` has words in `plugin.health.words`; `detail` is the platform's."""

    code: str
    severity: Severity
    remedy: Remedy = Remedy.NONE
    detail: str = ""
    count: int = 0
    since: datetime | None = None
    resources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about a store without asking it. Times are UTC.

    `missed`: orders that the platform's API showed, placed since anybody told us about one (`told_at`). `told`: when
    the latest deliveries about orders came, newest first. `drifted`: what the bot does worse than in the weeks before.
    """

    connected: bool
    installed_at: datetime
    checked_at: datetime | None = None
    findings: Sequence[Mapping[str, object]] = ()
    compared: Mapping[str, datetime] | None = None
    stopped: tuple[str, ...] = ()
    parked: int = 0
    parked_at: datetime | None = None
    waiting_since: datetime | None = None
    writing: float | None = None
    told_at: datetime | None = None
    told: Sequence[datetime] = ()
    missed: int = 0
    drifted: tuple[str, ...] = ()


# A check runs hourly and a comparison every quarter of an hour: two misses of the first, or eight of the other.
AWAY = timedelta(hours=2)
# Far beyond any batch; a worker that is busy or gone.
BEHIND = timedelta(minutes=10)

# One lost webhook is no silence: the next comparison has mended it.
_ENOUGH_MISSED = 2
_LEAST_PATIENCE = timedelta(hours=1)
_UNKNOWN_RHYTHM = timedelta(hours=24)
_MUCH_LONGER = 3
# One purchase is told in several deliveries at once; what counts is the time between purchases.
_BURST = timedelta(minutes=1)
_ENOUGH_GAPS = 10

# Findings of a check that keep news from us; all others are about the storefront and only shown.
_STOPS_NEWS = frozenset(
    {
        "credentials", "keys_refused", "read_only_key", "missing_right", "needs_reauth", "scope_missing",
        "no_permalinks", "site_cloned", "webhook_missing", "webhooks", "webhooks_were_disabled",
        "webhooks_were_missing",
    }
)  # fmt: skip
MENDED = frozenset({"webhooks_were_disabled", "webhooks_were_missing"})
"""What a check has mended already when it tells of it."""
_REMEDIES: Mapping[str, Remedy] = {
    **dict.fromkeys(("webhook_missing", "webhooks", "unreachable", "plugin_silent"), Remedy.CHECK),
    **dict.fromkeys(("credentials", "keys_refused", "read_only_key", "missing_right"), Remedy.CONNECT),
    **dict.fromkeys(("needs_reauth", "scope_missing", "site_cloned"), Remedy.CONNECT),
}
# Permissions that a merchant may give or not are shown as such and are nothing to mend.
_NO_PROBLEM = frozenset(
    {
        "history_limited", "merges_unseen", "orders_untouched", "drafts_untouched", "discounts_untouched",
        "goods_untouched", "returns_untouched", "shelves_unseen", "credit_ungiven", "credit_unseen",
        "pages_unread", "policies_unread", "navigation_untouched", "deliveries_unread",
        "titles_untranslated",
    }
)  # fmt: skip


def problems(facts: Facts, now: datetime) -> tuple[Problem, ...]:
    """Everything that is wrong, the worst first. What follows from another problem is not said beside it."""
    if not facts.connected:
        return (Problem("needs_reauth", Severity.BAD, Remedy.CONNECT),)
    found: list[Problem] = []
    away = _away(facts, now)
    if away is not None:
        found.append(away)
    else:
        found += _stale(facts, now)
    if silent(facts, now):
        found.append(Problem("silent", Severity.BAD, Remedy.CHECK, count=facts.missed, since=facts.told_at))
    if facts.parked:
        found.append(Problem("parked", Severity.BAD, Remedy.REPLAY, count=facts.parked, since=facts.parked_at))
    if facts.stopped:
        found.append(Problem("backfill_stopped", Severity.BAD, Remedy.READ_ON, resources=facts.stopped))
    found += _findings(facts)
    if facts.drifted:
        found.append(Problem("bot_drift", Severity.BAD))
    if facts.waiting_since is not None and now - facts.waiting_since > BEHIND:
        found.append(Problem("behind", Severity.WARN, since=facts.waiting_since))
    return tuple(sorted(found, key=lambda problem: list(Severity).index(problem.severity)))


def _away(facts: Facts, now: datetime) -> Problem | None:
    """Neither a check nor a comparison has succeeded for long."""
    answered = max(filter(None, (facts.checked_at, *(facts.compared or {}).values())), default=facts.installed_at)
    # A store that came back is as new: what was known before says nothing.
    answered = max(answered, facts.installed_at)
    if now - answered < AWAY:
        return None
    return Problem("unreachable", Severity.BAD, Remedy.CHECK, since=answered)


def _stale(facts: Facts, now: datetime) -> list[Problem]:
    """The store answers, but not about everything."""
    if facts.compared is None:
        return []
    old = {
        resource: max(at, facts.installed_at)
        for resource, at in facts.compared.items()
        if now - max(at, facts.installed_at) >= AWAY
    }
    if not old:
        return []
    return [Problem("stale", Severity.BAD, Remedy.CHECK, since=min(old.values()), resources=tuple(sorted(old)))]


def _findings(facts: Facts) -> list[Problem]:
    found = []
    for one in facts.findings:
        code = str(one.get("code") or "")
        if one.get("ok") or code in _NO_PROBLEM:
            continue
        severity = Severity.BAD if code in _STOPS_NEWS else Severity.NOTE
        remedy = _REMEDIES.get(code, Remedy.NONE)
        detail = str(one.get("detail") or "")
        # A bare number tells a reader nothing.
        found.append(Problem(code, severity, remedy, detail="" if detail.isdecimal() else detail))
    # Two checks may find the same thing.
    return list({problem.code: problem for problem in found}.values())


def silent(facts: Facts, now: datetime) -> bool:
    """Whether the store stopped telling us about orders.

    Its own rhythm sets the patience, and its API must have shown orders that nobody told us: a night, a holiday or a
    slow week has none, so they never alarm.
    """
    if facts.missed < _ENOUGH_MISSED:
        return False
    quiet_since = max(facts.told_at or facts.installed_at, facts.installed_at)
    return now - quiet_since >= patience(facts.told)


def patience(told: Sequence[datetime]) -> timedelta:
    """For how long a store may be quiet: three times nearly its longest usual pause, an hour at least.

    `told`: when it told us about orders, newest first. Pauses of a night are among the longest tenth of a busy shop's
    and do not count; of a slow shop's they are usual and do.
    """
    pauses = sorted(pause for later, earlier in pairwise(told) if (pause := later - earlier) > _BURST)
    if len(pauses) < _ENOUGH_GAPS:
        return _MUCH_LONGER * _UNKNOWN_RHYTHM
    usual = timedelta(seconds=quantiles([pause.total_seconds() for pause in pauses], n=10)[-1])
    return max(_LEAST_PATIENCE, _MUCH_LONGER * usual)


# Mail


class Notice(StrEnum):
    """What is told about an incident."""

    OPENED = "opened"
    REMINDER = "reminder"
    RECOVERED = "recovered"


MAILS_A_DAY = 10
"""Of one workspace, all stores together: an outage of a platform must not fill anybody's inbox."""
REMIND = timedelta(days=1)
SETTLE = timedelta(hours=1)
"""A problem that comes back within this is the same incident; only then is it said that it is over."""
DAY = timedelta(days=1)


def due(
    opened_at: datetime, recovered_at: datetime | None, told: Mapping[str, datetime], mails_today: int, now: datetime
) -> Notice | None:
    """Which mail about an incident is due now, if any. `told`: what was told when; `mails_today`: in the last 24 hours.

    One when it opens, one reminder after a day, one when it is over; what nobody was told about is not said to be over.
    """
    if mails_today >= MAILS_A_DAY:
        return None
    opened = told.get(Notice.OPENED)
    if opened is None:
        return Notice.OPENED if recovered_at is None else None
    if recovered_at is None:
        return Notice.REMINDER if Notice.REMINDER not in told and now - opened >= REMIND else None
    over = SETTLE <= now - recovered_at <= DAY
    return Notice.RECOVERED if over and Notice.RECOVERED not in told else None
