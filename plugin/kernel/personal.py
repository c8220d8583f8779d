"""What a table says about the shoppers in it, beside its columns: `plugin/privacy` erases and hands out by it.

Every text, JSON and binary column counts as personal, and the rows of a table go with the person whom they belong to,
unless the table's `info` says otherwise with one of these two. So a column or a table that nobody thought of is not
overlooked: it is erased, or `plugin.privacy.places.gaps` names it and a test fails.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_NAME = "personal"


@dataclass(frozen=True, slots=True)
class Kept:
    """A table whose rows outlive the person: `blank` columns are emptied, `plain` ones name nobody."""

    blank: tuple[str, ...] = ()
    plain: tuple[str, ...] = ()


NOBODY = "nobody"

# Plain values: a migration writes `info` down as it stands.


def nobody(why: str) -> dict[str, Any]:
    """`info` of a table that tells nothing about any shopper, and why."""
    return {_NAME: {NOBODY: why}}


def kept(why: str, *, blank: Sequence[str] = (), plain: Sequence[str] = ()) -> dict[str, Any]:
    """`info` of a table whose rows stay, and why: every text, JSON and binary column is in `blank` or in `plain`."""
    return {_NAME: {"kept": why, "blank": list(blank), "plain": list(plain)}}


def said(info: Mapping[Any, Any]) -> Kept | str | None:
    """What a table's `info` says: Kept, NOBODY, or None: its rows go with the person."""
    found = info.get(_NAME)
    if found is None:
        return None
    return NOBODY if NOBODY in found else Kept(tuple(found["blank"]), tuple(found["plain"]))
