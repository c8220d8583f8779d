"""Where somebody is in a shop and on what, in the reader's words; what is a guess is said to be one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from babel import Locale, UnknownLocaleError

from plugin.kernel.i18n import Translator
from plugin.kernel.lazy import Lazy, _

DEVICES: Mapping[str, tuple[str, Lazy]] = {
    "phone": ("smartphone", _("Phone")),
    "tablet": ("tablet", _("Tablet")),
    "computer": ("monitor", _("Computer")),
}
_SAID_BY: Mapping[str, Lazy] = {
    "proxy": _("As the network in front of this server says"),
    "zone": _("As the time zone of their browser suggests"),
    "language": _("As the language of their browser suggests"),
}


@dataclass(frozen=True, slots=True)
class Where:
    """Where somebody is and on what, in words. `country_why` is how we know the country: a guess is said to be one."""

    url: str
    title: str
    referrer: str
    country: str
    country_why: str
    language: str
    device: str
    device_sign: str


def where(t: Translator, said: Mapping[str, Any]) -> Where:
    """What is kept of a page view (`first_word.page_of`), in the reader's words."""
    sign, device = DEVICES.get(str(said.get("device", "")), ("", Lazy("")))
    country = str(said.get("country", ""))
    url = str(said.get("url", ""))
    return Where(
        # It may be anything that a page said.
        url=url if url.startswith(("https://", "http://")) else "",
        title=str(said.get("title", "")) or url.partition("://")[2],
        referrer=str(said.get("referrer", "")),
        country=str(Locale.parse(t.locale).territories.get(country, "")) if country else "",
        country_why=t.gettext(_SAID_BY.get(str(said.get("country_by", "")), Lazy(""))) if country else "",
        language=_language(t, str(said.get("language", ""))),
        device=t.gettext(device) if sign else "",
        device_sign=sign,
    )


def _language(t: Translator, tag: str) -> str:
    try:
        found = Locale.parse(tag, sep="-") if tag else None
    except (ValueError, UnknownLocaleError):
        return ""
    return (found.get_language_name(t.locale) or "") if found else ""
