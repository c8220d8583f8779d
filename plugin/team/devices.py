"""Where somebody came from, told coarsely: enough to know one's own browsers again, too little to follow anybody."""

from __future__ import annotations

import ipaddress
import re
from contextvars import ContextVar
from dataclasses import dataclass

# The first that fits: the others' names are in every newer browser's.
_BROWSERS = (
    ("Edge", r"\bEdgA?/"),
    ("Opera", r"\bOPR/"),
    ("Samsung Internet", r"SamsungBrowser/"),
    ("Shopify", r"Shopify (?:Mobile|POS)"),
    ("Firefox", r"\b(?:Firefox|FxiOS)/"),
    ("Chrome", r"(?:Chrome|CriOS|Chromium)/"),
    ("Safari", r"\bSafari/"),
)
_SYSTEMS = (
    ("iPhone", r"\biPhone\b"),
    ("iPad", r"\biPad\b"),
    ("Android", r"\bAndroid\b"),
    ("Windows", r"\bWindows\b"),
    ("macOS", r"\bMac OS X\b|\bMacintosh\b"),
    ("ChromeOS", r"\bCrOS\b"),
    ("Linux", r"\bLinux\b"),
)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request came from. `address` is a network, `browser` two names, `way` the door: panel, shopify, …"""

    address: str = ""
    browser: str = ""
    way: str = ""


origin: ContextVar[Origin] = ContextVar("origin", default=Origin())  # noqa: B039 - frozen
"""Set by the door for the request at work, as the log's request id is: what is noted says where it came from."""


def browser_of(user_agent: str) -> str:
    """ "Firefox, Windows" from a User-Agent header; what is not known is left out."""
    text = user_agent[:500]
    found = (next((name for name, sign in names if re.search(sign, text)), "") for names in (_BROWSERS, _SYSTEMS))
    return ", ".join(name for name in found if name)


def network_of(address: str) -> str:
    """The network of an address, 256 neighbours (IPv4) or a site (IPv6, /48); empty for what is no address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
        parsed = parsed.ipv4_mapped
    prefix = 24 if parsed.version == 4 else 48
    return str(ipaddress.ip_network((parsed, prefix), strict=False))
