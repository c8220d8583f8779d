"""Greetings, thanks and goodbyes: what people say without asking anything. Pure."""

from __future__ import annotations

from enum import StrEnum

from plugin.bot import lexicon
from plugin.kernel.text import search_key


class Manner(StrEnum):
    """What a message is besides a question."""

    GREETING = "greeting"
    THANKS = "thanks"


_SAID = {
    Manner.GREETING: lexicon.keys(lambda one: one.manners.greetings),
    Manner.THANKS: lexicon.keys(lambda one: one.manners.thanks),
}
_LONGEST = 6
"""Words of a message that is only a manner."""


def manner(text: str) -> Manner | None:
    """What a message is that asks nothing; None when it may ask something."""
    words = search_key(text).split()
    if not words or len(words) > _LONGEST:
        return None
    found: Manner | None = None
    at = 0
    while at < len(words):
        for end in range(len(words), at, -1):
            known = next((one for one, said in _SAID.items() if " ".join(words[at:end]) in said), None)
            if known is not None:
                found = found or known
                at = end
                break
        else:
            return None
    return found
