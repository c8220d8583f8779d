"""Whether a posted event is EasyPost's: the signature over the raw body. Pure.

Source: docs.easypost.com/guides/webhooks-guide.

Its form is that of EasyPost's own client libraries: `X-Hmac-Signature: hmac-sha256-hex=<hex>`, keyed with the secret in
normal form NFKD.
"""

from __future__ import annotations

import hashlib
import hmac
import unicodedata

import orjson

HEADER = "x-hmac-signature"
_PREFIX = "hmac-sha256-hex="


def signature(secret: str, body: bytes) -> str:
    """What the header of this body says."""
    key = unicodedata.normalize("NFKD", secret).encode()
    return _PREFIX + hmac.new(key, body, hashlib.sha256).hexdigest()


def event_id(secret: str, header: bytes, body: bytes) -> str:
    """The event's own id, empty for what was not signed with this secret or is no event."""
    if not secret or not hmac.compare_digest(signature(secret, body).encode(), header):
        return ""
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    id = told.get("id") if isinstance(told, dict) else None
    return id if isinstance(id, str) and 0 < len(id) <= 100 else ""
