"""Teams: who looks after which conversations, and when they are there.

A workspace without teams is one team that is always there: nothing has to be set up.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select, text
from sqlalchemy.orm import Mapped, mapped_column

from plugin.conversations import hours as clock
from plugin.conversations.hours import ALWAYS, Hours
from plugin.kernel.db import Base, TenantRow, Tx
from plugin.kernel.errors import AhlanError
from plugin.kernel.i18n import zone_of
from plugin.kernel.lazy import _
from plugin.kernel.personal import nobody

MOST = 50
_NAME = 60


class Giving(StrEnum):
    """How a team's new conversations find somebody.

    manual: people take them · turns: whoever got one longest ago · load: whoever has the fewest open ones.
    """

    MANUAL = "manual"
    TURNS = "turns"
    LOAD = "load"


class Team(TenantRow, Base):
    """Some of the agents. Empty `members`: everybody; empty `stores`, `languages`, `skills`: all of them.

    `skills` are tags: a conversation that has one of them belongs to the team. `hours` is `hours.to_json`; empty: day
    and night.
    """

    __tablename__ = "teams"
    __table_args__ = {"info": nobody("how the merchant's own people are organised")}  # noqa: RUF012 - read once, by SQLAlchemy

    name: Mapped[str]
    members: Mapped[list[str]] = mapped_column(server_default=text("'[]'"))
    stores: Mapped[list[str]] = mapped_column(server_default=text("'[]'"))
    languages: Mapped[list[str]] = mapped_column(server_default=text("'[]'"))
    skills: Mapped[list[str]] = mapped_column(server_default=text("'[]'"))
    giving: Mapped[str] = mapped_column(server_default=Giving.MANUAL)
    timezone: Mapped[str] = mapped_column(server_default="UTC")
    hours: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))

    def rules(self) -> Rules:
        """The same without the row: what rules reckon with."""
        return Rules.of({name: getattr(self, name) for name in Rules.NAMES})


@dataclass(frozen=True, slots=True)
class Rules:
    """A team as rules see it; plain values only."""

    NAMES = ("id", "members", "stores", "languages", "skills", "giving", "timezone", "hours")

    id: UUID
    members: frozenset[str]
    stores: frozenset[str]
    languages: frozenset[str]
    skills: frozenset[str]
    giving: Giving
    hours: Hours

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Rules:
        """From a row, or from its JSON."""
        lists = {name: frozenset(row[name]) for name in ("members", "stores", "languages", "skills")}
        when = clock.from_json(row["hours"], zone_of(row["timezone"]))
        return cls(UUID(str(row["id"])), **lists, giving=Giving(row["giving"]), hours=when)

    def fits(self, store_id: UUID | None, language: str, tags: Collection[str]) -> bool:
        """Whether a conversation is this team's to answer."""
        return (
            (not self.stores or str(store_id) in self.stores)
            and (not self.languages or language in self.languages)
            and (not self.skills or not self.skills.isdisjoint(tags))
        )

    @property
    def narrow(self) -> tuple[bool, bool, bool]:
        """The more a team asks for, the sooner it is the right one: a skill before a language before a store."""
        return bool(self.skills), bool(self.languages), bool(self.stores)


def responsible(teams: Iterable[Rules], store_id: UUID | None, locale: str, tags: Collection[str] = ()) -> Rules | None:
    """The team that a conversation belongs to: of those that fit the narrowest, then the oldest; None: everybody's."""
    language = language_of(locale)
    return next((team for team in ranked(teams) if team.fits(store_id, language, tags)), None)


def ranked(teams: Iterable[Rules]) -> list[Rules]:
    """Whom to ask first whether a conversation is theirs."""
    # Ids are made in the order of time.
    return sorted(teams, key=lambda team: (*(not part for part in team.narrow), team.id.int))


def language_of(locale: str) -> str:
    """The language of a locale: `ar` of `ar-SA`."""
    return locale.replace("_", "-").partition("-")[0].lower()


def hours_of(team: Rules | None) -> Hours:
    """When somebody is there for what is this team's."""
    return team.hours if team is not None else ALWAYS


async def all_teams(tx: Tx) -> Sequence[Team]:
    """Every team, the oldest first."""
    rows = await tx.scalars(select(Team).where(Team.workspace_id == tx.workspace_id).order_by(Team.id))
    return list(rows)


async def back_at(tx: Tx, store_id: UUID, locale: str, now: datetime) -> datetime | None:
    """When somebody is there again for a store's shopper (UTC); None while open, or where nobody can tell."""
    team = responsible([one.rules() for one in await all_teams(tx)], store_id, locale)
    if team is None:
        return None
    opening = clock.next_opening(team.hours, now)
    return opening if opening is not None and opening > now else None


async def save(tx: Tx, team: Team) -> None:
    """Keep a new or a changed team; `clocks.reckon` follows. Raises AhlanError without a name, or beyond 50 teams."""
    team.name = " ".join(team.name.split())
    if not team.name or len(team.name) > _NAME:
        raise AhlanError(_("Give the team a name of at most 60 characters."), code="team_name")
    fresh = team.workspace_id is None
    if fresh and await _count(tx) >= MOST:
        raise AhlanError(_("There are 50 teams already."), _("Delete one first."), code="teams_full")
    tx.add(team)
    await tx.flush()


async def remove(tx: Tx, team_id: UUID) -> None:
    """Delete a team; its conversations and people stay, `clocks.reckon` follows."""
    await tx.execute(delete(Team).where(Team.workspace_id == tx.workspace_id, Team.id == team_id))


async def _count(tx: Tx) -> int:
    count: int = await tx.scalar(select(func.count()).select_from(Team).where(Team.workspace_id == tx.workspace_id))
    return count
