"""What an agent may do: by their role, and by rights that were given to them beside it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from plugin.kernel.money import Money, exponent_of


class Role(StrEnum):
    """owner: everything · admin: all but ownership and money · agent: conversations and customers · light: notes."""

    OWNER = "owner"
    ADMIN = "admin"
    AGENT = "agent"
    LIGHT = "light"


class Permission(StrEnum):
    """What an action needs; every route of the panel names one."""

    READ = "read"
    NOTE = "note"
    REPLY = "reply"
    REFUND = "refund"
    EXPORT = "export"
    MANAGE_CUSTOMERS = "manage_customers"
    MANAGE_STORES = "manage_stores"
    MANAGE_SETTINGS = "manage_settings"
    MANAGE_TEAM = "manage_team"
    MANAGE_PRIVACY = "manage_privacy"
    MANAGE_WORKSPACE = "manage_workspace"


GIVEN = (Permission.REFUND, Permission.EXPORT, Permission.MANAGE_SETTINGS)
"""Rights that can be given to one agent beside their role."""

_LIGHT = frozenset({Permission.READ, Permission.NOTE})
_AGENT = _LIGHT | {Permission.REPLY, Permission.MANAGE_CUSTOMERS}
_ADMIN = _AGENT | {
    Permission.MANAGE_STORES,
    Permission.MANAGE_TEAM,
    Permission.MANAGE_PRIVACY,
    Permission.MANAGE_SETTINGS,
    Permission.EXPORT,
}
ALLOWED = {
    Role.LIGHT: _LIGHT,
    Role.AGENT: _AGENT,
    Role.ADMIN: _ADMIN,
    Role.OWNER: _ADMIN | {Permission.MANAGE_WORKSPACE, Permission.REFUND},
}
GRANTS = {
    Role.OWNER: frozenset(Role),
    Role.ADMIN: frozenset({Role.ADMIN, Role.AGENT, Role.LIGHT}),
    Role.AGENT: frozenset[Role](),
    Role.LIGHT: frozenset[Role](),
}
"""Whom each role may invite, change and let go, once it may manage the team at all."""


@dataclass(frozen=True, slots=True)
class Rights:
    """Rights beside the role. `limits`: currency → the most that may go back on one order, in its minor units
    (ISO 4217); nothing may in a currency without a limit, unless `unlimited`.
    """

    given: frozenset[Permission] = frozenset()
    unlimited: bool = False
    limits: Mapping[str, int] = field(default_factory=dict)

    def refunds(self, money: Money) -> bool:
        """Whether this much is within the limits."""
        if Permission.REFUND not in self.given:
            return False
        limit = self.limits.get(money.currency)
        return self.unlimited or (limit is not None and money.decimal() <= limit_in(money.currency, limit).decimal())

    def beyond(self, other: Rights) -> frozenset[Permission]:
        """What of this `other` does not have, a higher limit included."""
        more = self.given - other.given
        refunds = Permission.REFUND in self.given and not other.unlimited and (
            self.unlimited or any(limit > other.limits.get(currency, 0) for currency, limit in self.limits.items())
        )  # fmt: skip
        return more | {Permission.REFUND} if refunds else more


EVERYTHING = Rights(frozenset(GIVEN), unlimited=True)


def limit_in(currency: str, minor: int) -> Money:
    """A refund limit as money."""
    return Money(minor, currency, exponent_of(currency))
