"""Who is calling the REST API: Basic or query keys over https, OAuth 1.0a over http (B21), and what each error says.

The checks, their order and their messages are those of WooCommerce's own WC_REST_Authentication class.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from urllib.parse import quote, unquote

from integrations.woocommerce.simulator.database import Documents, Json
from integrations.woocommerce.simulator.wire import WpError

_OAUTH = ("oauth_consumer_key", "oauth_timestamp", "oauth_nonce", "oauth_signature", "oauth_signature_method")
_WINDOW = 15 * 60
_READS = ("GET", "HEAD", "OPTIONS")


def make_key(documents: Documents, *, description: str, permissions: str) -> Json:
    """A new API key of the administrator. Only here is its secret readable, as on the real screen."""
    identifier = documents.next_id("key")
    key = {
        "key_id": identifier,
        "consumer_key": f"ck_{secrets.token_hex(20)}",
        "consumer_secret": f"cs_{secrets.token_hex(20)}",
        "permissions": permissions,
        "description": description,
        "last_access": None,
    }
    return documents.put("key", identifier, key)


def authenticate(
    documents: Documents,
    *,
    method: str,
    url: str,
    https: bool,
    params: Mapping[str, str],
    authorization: str,
    now: float,
    used_nonces: dict[str, float],
) -> Json | None:
    """The API key of a request, or None when it carries none that counts here. Raises WpError for one that is wrong.

    `url` is without its query. Over http keys sent as Basic or in the query are not looked at: the caller becomes a
    stranger, and the answer is the same 401 as for missing rights.
    """
    key = _plain(documents, params, authorization) if https else None
    if key is None:
        key = _oauth(documents, method, url, params, now, used_nonces)
    if key is None:
        return None
    allowed = ("read", "read_write") if method in _READS else ("write", "read_write")
    if key["permissions"] not in allowed:
        right = "read" if method in _READS else "write"
        raise _error(f"The API key provided does not have {right} permissions.")
    key["last_access"] = int(now)
    return key


def _plain(documents: Documents, params: Mapping[str, str], authorization: str) -> Json | None:
    name, secret = params.get("consumer_key", ""), params.get("consumer_secret", "")
    if not (name and secret) and authorization.lower().startswith("basic "):
        try:
            name, _, secret = base64.b64decode(authorization[6:], validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
    if not (name and secret):
        return None
    key = _find(documents, name)
    if key is None:
        raise _error("Consumer key is invalid.")
    if not hmac.compare_digest(key["consumer_secret"].encode(), secret.encode()):
        raise _error("Consumer secret is invalid.")
    return key


def _oauth(
    documents: Documents, method: str, url: str, params: Mapping[str, str], now: float, used_nonces: dict[str, float]
) -> Json | None:
    missing = [name for name in _OAUTH if not params.get(name)]
    if len(missing) == len(_OAUTH):
        return None
    if missing:
        word = "parameter" if len(missing) == 1 else "parameters"
        message = f"Missing OAuth {word} {', '.join(missing)}"
        raise WpError("woocommerce_rest_authentication_missing_parameter", message, 401)
    key = _find(documents, params["oauth_consumer_key"])
    if key is None:
        raise _error("Consumer key is invalid.")
    if params["oauth_signature_method"] not in ("HMAC-SHA1", "HMAC-SHA256"):
        raise _error("Invalid signature - signature method is invalid.")
    given = unquote(params["oauth_signature"].replace(" ", "+"))
    expected = oauth_signature(method, url, params, key["consumer_secret"])
    if not hmac.compare_digest(expected.encode(), given.encode()):
        raise _error("Invalid signature - provided signature does not match.")
    stamp = params["oauth_timestamp"]
    if not stamp.isdecimal() or abs(int(stamp) - now) > _WINDOW:
        raise _error("Invalid timestamp.")
    for nonce, at in list(used_nonces.items()):
        if at < now - _WINDOW:
            del used_nonces[nonce]
    if params["oauth_nonce"] in used_nonces:
        raise _error("Invalid nonce - nonce has already been used.")
    used_nonces[params["oauth_nonce"]] = now
    return key


def oauth_signature(method: str, url: str, params: Mapping[str, str], secret: str) -> str:
    """WooCommerce's reading of RFC 5849: decode, encode again, sort by key, and no token secret."""
    pairs = sorted((key, value) for key, value in params.items() if key != "oauth_signature")
    joined = "%26".join(quote(f"{_rfc3986(key)}={_rfc3986(value)}", safe="") for key, value in pairs)
    text = f"{method.upper()}&{quote(url, safe='')}&{joined}"
    digest = hashlib.sha1 if params.get("oauth_signature_method") == "HMAC-SHA1" else hashlib.sha256
    return base64.b64encode(hmac.new(f"{secret}&".encode(), text.encode(), digest).digest()).decode()


def _rfc3986(text: str) -> str:
    return quote(unquote(text), safe="")


def _find(documents: Documents, name: str) -> Json | None:
    return next((key for key in documents.all("key") if key["consumer_key"] == name), None)


def _error(message: str) -> WpError:
    return WpError("woocommerce_rest_authentication_error", message, 401)
