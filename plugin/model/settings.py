"""Which model a workspace uses, for what, and how much of it: kept with its key sealed, off until it is switched on.

A key belongs to the address that it was typed for: another address needs it typed again, so that nobody who may change
settings can have a kept key sent somewhere else and read it there.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from urllib.parse import urlsplit

from sqlalchemy import BigInteger, LargeBinary, func, text
from sqlalchemy.orm import Mapped, mapped_column

from plugin.kernel.crypto import Vault
from plugin.kernel.db import Base, Tenant, Tx
from plugin.kernel.digits import whole
from plugin.kernel.http import Guard
from plugin.kernel.lazy import Lazy, _
from plugin.kernel.personal import nobody
from plugin.kernel.text import normalise
from plugin.model.port import Endpoint

_PURPOSE = "model key"
LEAST_SECONDS, MOST_SECONDS = 2, 60
MILLION = 1_000_000
"""Prices are a currency's millionths for a million tokens; what a call costs and the limits are millionths too."""

_MOST_TOKENS = 10_000_000_000
_MOST_MONEY = 1_000_000
_LONGEST_URL, _LONGEST_KEY, _LONGEST_MODEL = 300, 500, 200


class Use(StrEnum):
    """What a model may be used for."""

    BOT = "bot"
    DRAFT = "draft"
    SUMMARY = "summary"
    TRANSLATION = "translation"


class ModelSettings(Tenant, Base):
    """A workspace's model. A limit of 0 is none; money in millionths of `currency`, prices for a million tokens.

    `failures` in a row, and until when it is left alone (`paused_until`); `trouble` is why, the last time.
    """

    __tablename__ = "model_settings"
    __table_args__ = (
        {"info": {"moves": "stays", **nobody("the merchant's own, with a sealed key")}},
    )  # fmt: skip

    enabled: Mapped[bool] = mapped_column(server_default=text("false"))
    endpoint: Mapped[str] = mapped_column(server_default="")
    key: Mapped[bytes | None] = mapped_column(LargeBinary)
    model: Mapped[str] = mapped_column(server_default="")
    uses: Mapped[list[str]] = mapped_column(server_default=text("'[]'"))
    seconds: Mapped[int] = mapped_column(server_default=text("8"))
    tokens_day: Mapped[int] = mapped_column(BigInteger, server_default=text("200000"))
    tokens_month: Mapped[int] = mapped_column(BigInteger, server_default=text("3000000"))
    currency: Mapped[str] = mapped_column(server_default="")
    price_in: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    price_out: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    money_day: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    money_month: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    failures: Mapped[int] = mapped_column(server_default=text("0"))
    paused_until: Mapped[datetime | None]
    trouble: Mapped[str] = mapped_column(server_default="")
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())

    def offers(self, use: Use) -> bool:
        """Whether it may be used for this."""
        return self.enabled and bool(self.endpoint and self.model) and use in self.uses

    def cost(self, tokens_in: int, tokens_out: int) -> int:
        """What a call costs, in millionths, never less than it does."""
        return -(-(tokens_in * self.price_in + tokens_out * self.price_out) // MILLION)


@dataclass(frozen=True, slots=True)
class Wished:
    """What a form asks for. `key` empty: the one that is kept."""

    enabled: bool
    endpoint: str
    key: str = field(repr=False)
    model: str
    uses: Collection[Use]
    seconds: int
    tokens_day: int
    tokens_month: int
    currency: str
    price_in: int
    price_out: int
    money_day: int
    money_month: int


class Unfit(Exception):
    """What of a form cannot be: field to words."""

    def __init__(self, fields: Mapping[str, Lazy]) -> None:
        super().__init__(", ".join(fields))
        self.fields = fields


async def of_workspace(tx: Tx, *, lock: bool = False) -> ModelSettings | None:
    """The workspace's model; None where nobody ever set one."""
    found: ModelSettings | None = await tx.session.get(
        ModelSettings, tx.workspace_id, with_for_update=lock or None, populate_existing=lock
    )
    return found


async def offered(tx: Tx) -> frozenset[Use]:
    """What a model may be used for here; nothing while it is off."""
    row = await of_workspace(tx)
    return frozenset(use for use in Use if row is not None and row.offers(use))


def checked(form: Mapping[str, str], uses: Collection[str], guard: Guard) -> Wished:
    """What a form asks for. Raises Unfit. Pure but for what the operator allows (`guard`)."""
    wrong: dict[str, Lazy] = {}
    endpoint = form.get("endpoint", "").strip().rstrip("/").removesuffix("/chat/completions")
    model, key = form.get("model", "").strip(), form.get("key", "").strip()
    enabled = bool(form.get("enabled"))
    if (said := _address(endpoint, guard)) is not None and (endpoint or enabled):
        wrong["endpoint"] = said
    if len(model) > _LONGEST_MODEL or (enabled and not model):
        wrong["model"] = _("Name the model as its provider does.")
    if len(key) > _LONGEST_KEY or any(not "\x20" < sign < "\x7f" for sign in key):
        wrong["key"] = _("This is no key: it has letters, digits and signs without blanks.")
    limits = {name: _tokens(form, name, wrong) for name in ("tokens_day", "tokens_month")}
    money = {name: _money(form, name, wrong) for name in ("price_in", "price_out", "money_day", "money_month")}
    seconds = whole(normalise(form.get("seconds", "")), MOST_SECONDS) or 0
    if not LEAST_SECONDS <= seconds <= MOST_SECONDS:
        wrong["seconds"] = _("From 2 to 60 seconds.")
    currency = form.get("currency", "").strip().upper()
    if (any(money.values()) or currency) and not re.fullmatch("[A-Z]{3}", currency):
        wrong["currency"] = _("Three letters, such as USD.")
    if (money["money_day"] or money["money_month"]) and not (money["price_in"] or money["price_out"]):
        wrong["price_in"] = _("A limit in money needs the price.")
    if wrong:
        raise Unfit(wrong)
    return Wished(
        enabled=enabled, endpoint=endpoint, key=key, model=model, uses=[use for use in Use if use in uses],
        seconds=seconds, currency=currency, **limits, **money,
    )  # fmt: skip


def _address(endpoint: str, guard: Guard) -> Lazy | None:
    """What is wrong with an address; None when nothing is."""
    try:
        parts = urlsplit(endpoint)
        host, _port = parts.hostname or "", parts.port
    except ValueError:
        return _("This is no web address.")
    odd = parts.username is not None or parts.query or parts.fragment or not host or len(endpoint) > _LONGEST_URL
    if parts.scheme not in ("https", "http") or odd or any(sign <= " " or sign == "\x7f" for sign in endpoint):
        return _("A web address such as https://api.example.com/v1 is needed.")
    if parts.scheme == "http" and not guard.names(host):
        return _("It has to begin with https. Only a host that your operator allows may do without.")
    return None


def _tokens(form: Mapping[str, str], name: str, wrong: dict[str, Lazy]) -> int:
    said = normalise(form.get(name, "")).replace(",", "").replace(" ", "")
    found = whole(said, _MOST_TOKENS) if said else 0
    if found is None:
        wrong[name] = _("A number of tokens, or nothing for no limit.")
    return found or 0


def _money(form: Mapping[str, str], name: str, wrong: dict[str, Lazy]) -> int:
    """An amount in millionths."""
    said = normalise(form.get(name, "")).replace(",", ".")
    if not said:
        return 0
    try:
        found = Decimal(said)
    except InvalidOperation:
        found = Decimal("NaN")
    if not found.is_finite() or not 0 <= found <= _MOST_MONEY:
        wrong[name] = _("An amount such as 0.15, or nothing.")
        return 0
    return int((found * MILLION).to_integral_value())


def same_place(one: str, other: str) -> bool:
    """Whether two addresses are of one server, so that a key for one may be sent to the other. Pure."""
    first, second = urlsplit(one), urlsplit(other)
    return (first.scheme, first.netloc.lower()) == (second.scheme, second.netloc.lower())


async def endpoint_of(tx: Tx, vault: Vault, row: ModelSettings) -> Endpoint:
    """Where to ask, with the key opened."""
    key = await vault.decrypt(tx, row.key, _PURPOSE) if row.key else ""
    return Endpoint(row.endpoint, row.model, key)


async def tried_with(tx: Tx, vault: Vault, wished: Wished) -> Endpoint:
    """Where a form asks for, with the key typed, else the kept one. Raises Unfit where that is of another place."""
    row = await of_workspace(tx)
    if wished.key or row is None or not row.key:
        return Endpoint(wished.endpoint, wished.model, wished.key)
    if not same_place(row.endpoint, wished.endpoint):
        raise Unfit({"key": _("Another address needs its key typed again.")})
    return Endpoint(wished.endpoint, wished.model, await vault.decrypt(tx, row.key, _PURPOSE))


async def save(tx: Tx, vault: Vault, wished: Wished) -> ModelSettings:
    """Keep what a form asks for; whatever went wrong before is forgotten. Raises Unfit as `tried_with`."""
    key = (await tried_with(tx, vault, wished)).key
    row = await of_workspace(tx, lock=True)
    if row is None:
        row = ModelSettings(workspace_id=tx.workspace_id)
        tx.add(row)
    row.enabled, row.endpoint, row.model = wished.enabled, wished.endpoint, wished.model
    row.uses, row.seconds, row.currency = [str(use) for use in wished.uses], wished.seconds, wished.currency
    row.tokens_day, row.tokens_month = wished.tokens_day, wished.tokens_month
    row.price_in, row.price_out = wished.price_in, wished.price_out
    row.money_day, row.money_month = wished.money_day, wished.money_month
    if wished.key or not row.key:
        row.key = await vault.encrypt(tx, key, _PURPOSE) if key else None
    row.failures, row.paused_until, row.trouble = 0, None, ""
    row.updated_at = await tx.scalar(func.now().select())
    await tx.flush()
    return row


async def forget_key(tx: Tx) -> None:
    """Take the key away, and switch the model off."""
    row = await of_workspace(tx, lock=True)
    if row is not None:
        row.key, row.enabled = None, False
        await tx.flush()


def told(row: ModelSettings | None) -> dict[str, object]:
    """What the audit log keeps of it: whether there is a key, never which."""
    if row is None:
        return {}
    return {
        "enabled": row.enabled, "endpoint": row.endpoint, "model": row.model, "uses": ", ".join(sorted(row.uses)),
        "seconds": row.seconds, "tokens_day": row.tokens_day, "tokens_month": row.tokens_month,
        "model_price": f"{row.price_in / MILLION:g} / {row.price_out / MILLION:g} {row.currency}".strip(),
        "model_money": f"{row.money_day / MILLION:g} / {row.money_month / MILLION:g} {row.currency}".strip(),
        "model_key": bool(row.key),
    }  # fmt: skip
