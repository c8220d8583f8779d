"""Two stores, one workspace: a store joins another workspace with all its data, and leaves into one of its own.

A store joins only when an owner of the workspace and an administrator of the store agree in one browser. The owner
makes a code in their panel; the administrator types it in the store's own admin, in the same browser, sees both names
and what will move, and confirms: the last word is with the side that gives its data away. Leaving is decided by an
owner of the workspace.

Both ways are one task that moves the store in one transaction: killed anywhere, everything is where it was, and the
next run begins again. Why a database function does the crossing: docs/decisions/joining-stores.md.
"""

from plugin.joining.agreement import (
    AGREED,
    CODE_MINUTES,
    DONE,
    FAILED,
    LEAVES,
    MOVING,
    OPEN,
    RECEIVES,
    WITHDRAWN,
    JoinError,
    Offer,
    Side,
    StoreMove,
    agree,
    contents,
    count_try,
    fingerprint,
    look,
    make_code,
    new_browser,
    part,
    read_side,
    standing,
    store_side,
    words_of,
)
from plugin.joining.move import move_store

__all__ = [
    "AGREED",
    "CODE_MINUTES",
    "DONE",
    "FAILED",
    "LEAVES",
    "MOVING",
    "OPEN",
    "RECEIVES",
    "WITHDRAWN",
    "JoinError",
    "Offer",
    "Side",
    "StoreMove",
    "agree",
    "contents",
    "count_try",
    "fingerprint",
    "look",
    "make_code",
    "move_store",
    "new_browser",
    "part",
    "read_side",
    "standing",
    "store_side",
    "words_of",
]
