"""Consent in words: what holds, since when, who told us, and every change before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from admin_ui.words import State
from plugin.crm import consents
from plugin.crm.consents import Consent
from plugin.kernel.i18n import Translator
from plugin.kernel.lazy import Lazy, _

PURPOSES: Final[Mapping[str, Lazy]] = {
    "email_marketing": _("News by e-mail"),
    "sms_marketing": _("News by text message"),
    "preferences": _("Remembering choices in the browser"),
    "analytics": _("Following visits in the shop"),
    "marketing": _("Advertising by what they looked at"),
}
STATES: Final[Mapping[str, State]] = {
    "granted": State(_("Agreed"), "good", "check"),
    "denied": State(_("Refused"), "", "ban"),
    "pending": State(_("Confirmation awaited"), "warn", "clock"),
}
LEVELS: Final[Mapping[str, Lazy]] = {
    "single_opt_in": _("by signing up"),
    "confirmed_opt_in": _("confirmed by e-mail or text message"),
}
SOURCES: Final[Mapping[str, Lazy]] = {
    "store": _("told by the store"),
    "mailchimp": _("told by Mailchimp in the store"),
    "elsewhere": _("collected outside the store"),
    consents.STOREFRONT: _("chosen in the shop's cookie banner"),
}


@dataclass(frozen=True, slots=True)
class Stance:
    """One answer, or one change of it. `how` says by what way and who told."""

    purpose: str
    state: State
    store: str
    how: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Consents:
    """What holds now, and the whole history where anything ever changed."""

    now: Sequence[Stance]
    history: Sequence[Stance]


def read(t: Translator, rows: Sequence[Consent], names: Mapping[UUID, str]) -> Consents:
    """A person's consent in words; `names` are the stores', empty where there is only one. Pure."""
    order = list(PURPOSES)
    held = sorted(consents.current(rows), key=lambda row: (names.get(row.store_id, ""), order.index(row.purpose)))
    history = [_stance(t, row, names) for row in consents.changes(rows)]
    return Consents([_stance(t, row, names) for row in held], history if len(history) > len(held) else ())


def _stance(t: Translator, row: Consent, names: Mapping[UUID, str]) -> Stance:
    told = [LEVELS.get(row.level), SOURCES.get(row.source)]
    return Stance(
        purpose=t.gettext(PURPOSES[row.purpose]),
        state=STATES[row.state],
        store=names.get(row.store_id, ""),
        how=" · ".join(t.gettext(text) for text in told if text),
        at=row.at,
    )
