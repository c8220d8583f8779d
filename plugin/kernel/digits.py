"""Numbers that somebody else wrote. Pure; apart from `text`, because settings are read before anything heavy loads."""

from __future__ import annotations


def whole(text: str, most: int) -> int | None:
    """The number from 0 to `most` that `text` is in ASCII digits; None for everything else.

    What somebody else wrote goes through here: `int` alone raises on "²", which `isdigit` lets pass, and on more than
    4300 digits.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(most))):
        return None
    value = int(text)
    return value if value <= most else None
