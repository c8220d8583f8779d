"""The gateway's part of a refund: what WooCommerce says about it, and what it does not (docs/platforms.md B27b).

WooCommerce writes a refund down before its gateway is asked, marks it `refunded_payment` when that paid, and takes
it back when that refused. So one that is there unmarked died in between, and a refusal that speaks of a time-out
comes from a bank that may have paid all the same. Neither is done and neither is tried again: somebody looks, with
the amount.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from plugin.platform import PlatformError

UNKNOWN: Final = "gateway_unknown"
_TIMED_OUT: Final = ("timed out", "timeout", "time-out", "curl error 28", "connection reset")
"""What a gateway's plugin says when the bank did not answer it: WooCommerce takes its refund back, the bank may not."""


@contextmanager
def asked() -> Iterator[None]:
    """Around the one request that has a gateway pay. Raises PlatformError, `gateway_unknown` for a mute bank."""
    try:
        yield
    except PlatformError as error:
        if error.lost or not any(words in error.said.lower() for words in _TIMED_OUT):
            raise
        raise PlatformError(error.said, retry=True, code=UNKNOWN, lost=True) from error


def vouched(refund: Mapping[str, Any], *, automatic: bool) -> None:
    """Raises PlatformError (`gateway_unknown`) for a refund that is there without a word about its money.

    `automatic`: the gateway was asked to pay it.
    """
    if automatic and not refund.get("refunded_payment"):
        said = f"WooCommerce wrote a refund of {refund['amount']} down and does not say whether the gateway paid it"
        raise PlatformError(said, retry=True, after=30, code=UNKNOWN, lost=True)
