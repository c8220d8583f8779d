"""What a shopper prints for a parcel: instructions, and the slip that goes into it, as one PDF.

`papers` finds the words, `slip_pages` draws them, `printing` has that done off the event loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

MOST_ITEMS: Final = 40
"""Lines of a slip. An order of more says how many more there are: a slip is for hands, not for books."""


@dataclass(frozen=True, slots=True)
class Item:
    """So many of something, and why it comes back."""

    title: str
    detail: str
    quantity: str


@dataclass(frozen=True, slots=True)
class Slip:
    """Everything that stands on it, in words of its reader's language.

    `code` is what the picture for the shop's own people holds. `facts` are names and what they name. Each line of `to`
    runs the way of its own first letter: a house number in front stays in front on a page from right to left.
    """

    rtl: bool
    shop: str
    title: str
    number: str
    facts: Sequence[tuple[str, str]]
    steps_title: str
    steps: Sequence[str]
    slip_title: str
    to_title: str
    to: Sequence[str]
    items_title: str
    quantity_title: str
    items: Sequence[Item]
    more: str
    cut: str
    code: str
