"""The words for what can be wrong with a store: one sentence that says what, one that says what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from plugin.health.rules import Problem
from plugin.kernel.i18n import Translator
from plugin.kernel.lazy import Lazy, _

RESOURCES: Mapping[str, Lazy] = {
    "customers": _("Customers"), "products": _("Products"), "orders": _("Orders"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Said:
    """A problem in the reader's language."""

    what: str
    how: str


_CONNECT_AGAIN = _("Connect the store again; nothing is lost meanwhile.")
_BY_ITSELF = _("It is mended by itself; if it stays, look into the store's own list of webhooks.")
_PAIR = _("In WordPress open the Ahlan plugin and press Connect.")
_MENDED = _("It is switched on again, and what was missed is being read.")
_ASK_ANYWAY = _(
    "Nothing is lost: we ask the store every quarter of an hour and fetch what is new. If a check does not help, ask "
    "whoever runs the shop's server whether it may reach us."
)

FINDINGS: Mapping[str, tuple[Lazy, Lazy]] = {
    # What the stored state shows.
    "silent": (_("The store no longer tells us about new orders"), _ASK_ANYWAY),
    "unreachable": (_("The store does not answer"), _("Check that the store is online; we try again by ourselves.")),
    "stale": (
        _("Part of the store is out of date here"),
        _("We try again every quarter of an hour. If it stays, check the store now and see what it says."),
    ),
    "backfill_stopped": (
        _("Reading the history has stopped"),
        _("What was read stays. Read on, and it continues where it stopped."),
    ),
    "bot_drift": (
        _("The bot understands less than in the weeks before"),
        _("Under Settings, Bot, its models stand with what has changed; an older one can be chosen there."),
    ),
    "behind": (_("News wait longer than they should"), _("Nothing is lost and there is nothing to do for you.")),
    # What a check of the store finds.
    "credentials": (_("The store refuses our access"), _CONNECT_AGAIN),
    "keys_refused": (_("The store refuses our access"), _CONNECT_AGAIN),
    "read_only_key": (_("The store lets us read only"), _("Connect again and approve reading and writing.")),
    "missing_right": (_("The connected user lacks a right"), _("Connect again as a user who may manage the shop.")),
    "needs_reauth": (_("The store refuses our access"), _CONNECT_AGAIN),
    "scope_missing": (_("A right is missing"), _("Open the app in the store's admin and accept the missing right.")),
    "data_withheld": (
        _("Customers' details are hidden from us"),
        _("Names and addresses are missing until the platform has approved the app for them; nothing to do for you."),
    ),
    "api_version": (_("The store answers in another version"), _("Nothing to do for you; we look into it.")),
    "webhook_missing": (_("The store does not tell us everything"), _BY_ITSELF),
    "webhooks": (_("The store does not tell us everything"), _BY_ITSELF),
    "webhooks_were_disabled": (_("The store had stopped telling us news"), _MENDED),
    "webhooks_were_missing": (_("Some of our webhooks had vanished from the store"), _MENDED),
    "no_https": (_("The store has no secure address"), _("Switch on https for the store, then connect it.")),
    "no_permalinks": (
        _("WordPress uses plain addresses"),
        _("In WordPress open Settings, Permalinks and choose anything but Plain."),
    ),
    "coming_soon": (
        _("The store is closed to visitors"),
        _("In WooCommerce open Settings, Site visibility and choose Live."),
    ),
    "embed": (_("The chat is switched off in the theme"), _("Switch it on in the theme editor under App embeds.")),
    "embed_unseen": (
        _("The chat has not been seen on the storefront lately"),
        _("Switch it on in the theme editor under App embeds, then open the shop and the chat once."),
    ),
    "password_page": (
        _("The shop is behind a password"),
        _("Shoppers see the shop and the chat once you take it off: Online Store, Preferences."),
    ),
    "proxy_renamed": (
        _("The store's address for the chat was renamed"),
        _("In Shopify open Settings, Apps, Ahlan, App proxy, and visit the address there with /identity behind it."),
    ),
    "widget": (_("The chat is switched off"), _("Switch it on in WordPress, in the settings of the Ahlan plugin.")),
    "plugin_missing": (_("The chat is not installed"), _("Install and switch on the Ahlan plugin in WordPress.")),
    "plugin_silent": (_("The plugin does not answer"), _("Check that the store is online; we try again by ourselves.")),
    "plugin_unpaired": (_("The plugin is not connected"), _PAIR),
    "site_cloned": (_("The plugin runs on another address"), _("If the shop moved, connect it again from there.")),
}
UNKNOWN_FINDING = (_("Something is not as it should be"), _("Check the store; we look again within the hour."))


def say(t: Translator, problem: Problem) -> Said:
    """The problem in the reader's language. Pure."""
    if problem.code == "parked":
        return Said(
            t.ngettext(
                "%(num)s delivery could not be read and was set aside.",
                "%(num)s deliveries could not be read and were set aside.",
                problem.count,
            ),
            t.gettext("Nothing is lost. Once the cause is gone they can be read again."),
        )
    what, how = FINDINGS.get(problem.code, UNKNOWN_FINDING)
    said = t.gettext(what)
    if problem.resources:
        said = t.gettext(
            "%(what)s: %(which)s", what=said, which=t.listing([t.gettext(RESOURCES[one]) for one in problem.resources])
        )
    return Said(said, t.gettext(how))


# Why a delivery could not be read, by what was raised. What the error says besides may hold values of the delivery,
# which are somebody's data. The first that fits counts.
_CAUSES: tuple[tuple[re.Pattern[str], Lazy], ...] = (
    (re.compile(r"the store is gone|no store of that name"), _("It belongs to a store that is not connected.")),
    (
        re.compile(r"(<class ')?[\w.]*(Connect|Shutdown|Deadlock|TooMany|Timeout|OSError)"),
        _("Our database could not take it at that moment."),
    ),
    (re.compile(r"PoisonedRecord|record \d|<class 'asyncpg"), _("It holds a value that cannot be kept.")),
    (
        re.compile(r"(JSONDecode|UnicodeDecode|Key|Type|Value|Attribute|Index)Error"),
        _("It is not written as the platform describes it."),
    ),
)
_UNKNOWN_CAUSE = _("It could not be read; we look into it.")


def cause(t: Translator, error: str) -> str:
    """Why a delivery was set aside, in the reader's language and without anything that it held. Pure."""
    return t.gettext(next((words for pattern, words in _CAUSES if pattern.match(error)), _UNKNOWN_CAUSE))
