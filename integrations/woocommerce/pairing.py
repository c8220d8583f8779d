"""What our WordPress plugin and our server sign to each other (docs/woocommerce-plugin-protocol.md).

Pure functions over bytes: no clock, no network, no storage. The caller passes the time and keeps the nonces.
One 256-bit pairing secret; a key of its own for every purpose, so that a leaked shopper token key signs no request.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

TIMESTAMP_HEADER: Final = "X-Ahlan-Timestamp"
NONCE_HEADER: Final = "X-Ahlan-Nonce"
SIGNATURE_HEADER: Final = "X-Ahlan-Signature"

REQUEST_LIFETIME: Final = 300
"""Seconds either side of the signed time during which a request is believed (platforms.md B4)."""
TOKEN_LIFETIME: Final = 900
"""Seconds an identity token may live, at most."""
PREVIOUS_LIFETIME: Final = TOKEN_LIFETIME + REQUEST_LIFETIME
"""Seconds for which a secret that was replaced is still believed: whatever was signed with it is old by then."""
LEEWAY: Final = 10
"""Seconds by which two honest clocks may differ."""
TOKEN_AUDIENCE: Final = "ahlan"  # noqa: S105

_NONCE = re.compile(r"[A-Za-z0-9_-]{16,64}\Z")
_SIGNATURE = re.compile(r"[0-9a-f]{64}\Z")
_SUBJECT = re.compile(r"[1-9][0-9]{0,18}\Z")
_TIMESTAMP = re.compile(r"[0-9]{9,11}\Z")


class PairingError(ValueError):
    """A request or token that must not be believed. `code` is a stable reason, never shown with the secret."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class PairingKeys:
    """Keys derived from one pairing secret, 32 bytes each."""

    requests: bytes = field(repr=False)
    identity: bytes = field(repr=False)
    agent: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ShopperToken:
    """A verified statement of the WordPress site: this browser is signed in as this customer."""

    customer_id: str
    email: str | None
    name: str | None
    locale: str | None
    expires_at: int
    """Unix seconds."""


@dataclass(frozen=True, slots=True)
class AgentToken:
    """A verified statement of the WordPress site: this browser is signed in to wp-admin as this member of staff."""

    user_id: str
    email: str
    name: str
    locale: str
    administrator: bool
    expires_at: int


def new_secret() -> str:
    """A fresh pairing secret: 256 random bits, unpadded URL-safe base64 (43 characters)."""
    return secrets.token_urlsafe(32)


def renewed(secret: str, salt: str) -> str:
    """The secret that follows `secret`; `salt`, of the form of a secret itself, is all that is sent for it.

    Both sides derive it (HKDF-SHA256), so whoever answers at the site's address without the old secret, because the
    domain changed hands, does not learn the new one. Raises PairingError("bad_secret") unless both are 256 bits.
    """
    derived = HKDF(algorithm=SHA256(), length=32, salt=_bytes(salt), info=b"ahlan rotation").derive(_bytes(secret))
    return base64.urlsafe_b64encode(derived).rstrip(b"=").decode()


def new_nonce() -> str:
    """A fresh one-time nonce: 192 random bits in [A-Za-z0-9_-]."""
    return secrets.token_urlsafe(24)


def derive_keys(secret: str) -> PairingKeys:
    """Derive the purpose keys with HKDF-SHA256 (no salt). Raises PairingError("bad_secret") unless it is 256 bits."""
    raw = _bytes(secret)
    return PairingKeys(
        requests=_derive(raw, b"ahlan requests"),
        identity=_derive(raw, b"ahlan identity"),
        agent=_derive(raw, b"ahlan agent"),
    )


def _bytes(secret: str) -> bytes:
    try:
        raw = base64.b64decode(secret + "=" * (-len(secret) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise PairingError("bad_secret") from error
    if len(raw) != 32:
        raise PairingError("bad_secret")
    return raw


def _derive(raw: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(raw)


def sign(key: bytes, *, method: str, path: str, timestamp: int, nonce: str, body: bytes) -> str:
    """Hex HMAC-SHA256 over method, path (with its query, as sent), Unix time, nonce and the hash of the body."""
    text = "\n".join((method.upper(), path, str(timestamp), nonce, hashlib.sha256(body).hexdigest()))
    return hmac.new(key, text.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()


def signed_headers(
    key: bytes, *, method: str, path: str, timestamp: int, body: bytes, nonce: str | None = None
) -> dict[str, str]:
    """The three headers that make a request believable, with a fresh nonce unless one is given."""
    nonce = nonce or new_nonce()
    signature = sign(key, method=method, path=path, timestamp=timestamp, nonce=nonce, body=body)
    return {TIMESTAMP_HEADER: str(timestamp), NONCE_HEADER: nonce, SIGNATURE_HEADER: signature}


def verify(
    key: bytes,
    *,
    method: str,
    path: str,
    timestamp: str | None,
    nonce: str | None,
    signature: str | None,
    body: bytes,
    now: float,
) -> str:
    """Check a signed request and give back its nonce, which the caller must store against replay.

    Raises PairingError: "missing" (a header is absent or malformed), "forged" (signature), "stale" (older or newer
    than REQUEST_LIFETIME). The signature is checked before the time, so a stranger learns nothing about our clock.
    """
    if not (timestamp and nonce and signature):
        raise PairingError("missing")
    if not (_TIMESTAMP.match(timestamp) and _NONCE.match(nonce) and _SIGNATURE.match(signature)):
        raise PairingError("missing")
    expected = sign(key, method=method, path=path, timestamp=int(timestamp), nonce=nonce, body=body)
    if not hmac.compare_digest(expected.encode(), signature.encode()):
        raise PairingError("forged")
    if abs(now - int(timestamp)) > REQUEST_LIFETIME:
        raise PairingError("stale")
    return nonce


def shopper_token(
    keys: PairingKeys,
    *,
    site: str,
    store: str,
    customer_id: str,
    email: str | None,
    name: str | None,
    locale: str | None,
    now: int,
    lifetime: int = TOKEN_LIFETIME,
) -> str:
    """A signed identity token for one signed-in customer of one store (HS256 JWT, Unix seconds)."""
    optional = {"email": email, "name": name, "locale": locale}
    return _token(keys.identity, site, store, customer_id, optional, now, lifetime)


def agent_token(
    keys: PairingKeys,
    *,
    site: str,
    store: str,
    user_id: str,
    email: str | None,
    name: str | None,
    locale: str | None,
    administrator: bool,
    now: int,
    lifetime: int = 60,
) -> str:
    """A signed token for one member of the site's staff who may manage WooCommerce."""
    optional = {"email": email, "name": name, "locale": locale, "role": "administrator" if administrator else "staff"}
    return _token(keys.agent, site, store, user_id, optional, now, lifetime)


def _token(
    key: bytes, site: str, store: str, subject: str, optional: Mapping[str, str | None], now: int, lifetime: int
) -> str:
    claims: dict[str, str | int] = {
        "iss": site,
        "aud": TOKEN_AUDIENCE,
        "store": store,
        "sub": subject,
        "iat": now,
        "exp": now + min(lifetime, TOKEN_LIFETIME),
        "jti": secrets.token_urlsafe(12),
    }
    claims.update({name: value for name, value in optional.items() if value})
    return jwt.encode(claims, key, algorithm="HS256")


def read_shopper_token(keys: PairingKeys, token: str, *, store: str, now: float) -> ShopperToken:
    """Verify an identity token for `store` (its public key).

    Raises PairingError: "forged" (signature, algorithm, claims missing or of another store), "stale" (expired, not
    yet valid, or made to live longer than TOKEN_LIFETIME).
    """
    claims = _claims(keys.identity, token, store, now)
    return ShopperToken(
        customer_id=str(claims["sub"]),
        email=_text(claims.get("email")),
        name=_text(claims.get("name")),
        locale=_text(claims.get("locale")),
        expires_at=int(claims["exp"]),
    )


def read_agent_token(keys: PairingKeys, token: str, *, store: str, now: float) -> AgentToken:
    """Verify a staff token for `store`. Raises PairingError like `read_shopper_token`."""
    claims = _claims(keys.agent, token, store, now)
    return AgentToken(
        user_id=str(claims["sub"]),
        email=_text(claims.get("email")) or "",
        name=_text(claims.get("name")) or "",
        locale=_text(claims.get("locale")) or "",
        administrator=claims.get("role") == "administrator",
        expires_at=int(claims["exp"]),
    )


def unverified_store(token: str) -> str | None:
    """The store a token says it is for, to find the key that can prove it. Believe nothing else of it before that."""
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        return None
    return _text(claims.get("store"))


def _claims(key: bytes, token: str, store: str, now: float) -> dict[str, Any]:
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=["HS256"],
            audience=TOKEN_AUDIENCE,
            options={
                "require": ["iat", "exp", "sub", "store"],
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
            },
        )
    except jwt.InvalidTokenError as error:
        raise PairingError("forged") from error
    issued, expires, subject = claims["iat"], claims["exp"], claims["sub"]
    if not (_is_time(issued) and _is_time(expires) and isinstance(subject, str) and _SUBJECT.match(subject)):
        raise PairingError("forged")
    if not isinstance(claims["store"], str) or not hmac.compare_digest(claims["store"].encode(), store.encode()):
        raise PairingError("forged")
    if expires - issued > TOKEN_LIFETIME or not issued - LEEWAY <= now <= expires + LEEWAY:
        raise PairingError("stale")
    return claims


def _is_time(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
