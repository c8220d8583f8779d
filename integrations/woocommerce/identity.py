"""Who somebody is, by the WordPress site's own signature: a shopper in the storefront, an agent in wp-admin. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from integrations.woocommerce import pairing
from integrations.woocommerce.pairing import PairingError, ShopperToken


def shopper(token: str, *, secrets: Sequence[str], public_key: str, now: float) -> ShopperToken | None:
    """The signed-in customer a token speaks of, or None when it is not good for this store (docs, "Who shops").

    `secrets` are all that are in force: two while one is rotated.
    """
    for secret in secrets:
        with suppress(PairingError):
            return pairing.read_shopper_token(pairing.derive_keys(secret), token, store=public_key, now=now)
    return None


def agent(token: str, *, secrets: Sequence[str], public_key: str, now: float) -> pairing.AgentToken | None:
    """The member of staff a token speaks of, or None when it is not good for this store."""
    for secret in secrets:
        with suppress(PairingError):
            return pairing.read_agent_token(pairing.derive_keys(secret), token, store=public_key, now=now)
    return None
