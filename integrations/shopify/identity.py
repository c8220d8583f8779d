"""Who is asking: everything Shopify signs towards us, checked. Pure: bytes, secrets and the time come from the caller.

Signatures are compared as bytes in constant time, under the current and the previous client secret (a rotation leaves
Shopify signing with the old one for up to an hour). A shop is only ever what came out of something signed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import jwt
from shopify import session_token
from shopify.api_access import ApiAccess, ApiAccessError
from shopify.utils.shop_url import sanitize_shop_domain

LEEWAY: Final = 10
"""Seconds of clock difference allowed on a token, as in both official libraries."""
FRESH: Final = 90
"""Seconds either side of its timestamp during which a signed query is believed, as in Shopify's own library."""
ADMIN: Final = "https://admin.shopify.com"

_SHOP = re.compile(r"[a-z0-9][a-z0-9-]*\.myshopify\.com")
_ADMIN_HOST = re.compile(r"(?:admin\.shopify\.com|[a-z0-9][a-z0-9-]*\.myshopify\.com)(?:/[A-Za-z0-9_-]+)*/?")
_CUSTOMER = re.compile(r"gid://shopify/Customer/[0-9]+")
_DIGITS = re.compile(r"[0-9]{1,20}")
PROXY_FIELDS = ("shop", "logged_in_customer_id", "path_prefix", "timestamp", "signature")


class Refused(Exception):
    """Something that claims to come from Shopify and must not be believed. `reason` is a stable word for logs."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Staff:
    """A staff member of a shop's admin, as an ID token names them."""

    shop: str
    staff_id: str
    session_id: str
    expires_at: int


@dataclass(frozen=True, slots=True)
class AccountCustomer:
    """A visitor of the new customer accounts or the checkout; an empty id is somebody who is not signed in."""

    shop: str
    customer_external_id: str


@dataclass(frozen=True, slots=True)
class ProxyRequest:
    """A storefront request that came through the app proxy. An empty customer id means "unknown", never "refused"."""

    shop: str
    customer_external_id: str
    path_prefix: str


# --- names ----------------------------------------------------------------------------------------------------------


def shop_domain(text: object) -> str | None:
    """The permanent name of a shop (`acme.myshopify.com`), or None for anything else.

    No URL is ever built, and no header filled, from a name that has not passed here. ShopifyAPI's own check has to
    agree; it also refuses names of one letter, which exist.
    """
    if not isinstance(text, str) or len(text) > 255:
        return None
    return _shop_named(text.lower())


@lru_cache(maxsize=4096)
def _shop_named(name: str) -> str | None:
    if not _SHOP.fullmatch(name):
        return None
    return name if name.index(".") == 1 or sanitize_shop_domain(name) == name else None


def gid(kind: str, number: object) -> str:
    """The GraphQL id of a REST id; a gid stays as it is, nothing stays nothing."""
    if type(number) is int:
        return f"gid://shopify/{kind}/{number}"
    text = "" if number is None else str(number)
    return text if not text or text.startswith("gid://") else f"gid://shopify/{kind}/{text}"


def frame_ancestors(shop: str, also: Iterable[str] = ()) -> tuple[str, ...]:
    """CSP `frame-ancestors` for one verified shop: its own admin address and Shopify's. Raises Refused on no shop."""
    if shop_domain(shop) != shop:
        raise Refused("shop")
    return (f"https://{shop}", ADMIN, *also)


def admin_url(host: str) -> str | None:
    """Where in Shopify's admin an app lives, from the base64 `host` of a launch or callback; None when it is no admin.

    It becomes a redirect, so only Shopify's two admin addresses pass.
    """
    try:
        decoded = base64.b64decode(host + "=" * (-len(host) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        return None
    return f"https://{decoded.rstrip('/')}" if _ADMIN_HOST.fullmatch(decoded) else None


# --- scopes ---------------------------------------------------------------------------------------------------------


def missing_scopes(wanted: Iterable[str], granted: Iterable[str]) -> list[str]:
    """What of `wanted` was not granted; write_x grants read_x. A scope whose name nobody can read counts as absent.

    Those of the Customer Account API (`customer_read_x`) are unknown to ShopifyAPI and imply nothing.
    """
    granted = set(granted)
    held = ApiAccess([scope for scope in granted if _is_scope(scope)])
    return [
        scope
        for scope in wanted
        if scope not in granted and (scope.startswith("customer_") or not held.covers(ApiAccess([scope])))
    ]


def split_scopes(text: str) -> list[str]:
    """A comma or space separated list, sorted."""
    return sorted({scope for scope in re.split(r"[,\s]+", text) if scope})


def _is_scope(scope: str) -> bool:
    try:
        ApiAccess([scope])
    except ApiAccessError:
        return False
    return True


# --- ID tokens ------------------------------------------------------------------------------------------------------


def staff(token: str, client_id: str, secrets: Sequence[str]) -> Staff:
    """Who opened the embedded panel, from an App Bridge ID token. Raises Refused.

    ShopifyAPI decodes (HS256 pinned, audience, issuer and destination of one shop, 10 s leeway); it would take a token
    without `exp`, `nbf` or `iat`, so those are demanded here.
    """
    for secret in secrets:
        try:
            claims: Mapping[str, Any] = session_token.decode_from_header(f"Bearer {token}", client_id, secret)
        except (session_token.SessionTokenError, ValueError, TypeError, AttributeError) as error:
            if not isinstance(error.__cause__, jwt.InvalidSignatureError):
                raise Refused("token") from error
            continue
        _demand_times(claims)
        address = _https_host(claims["dest"])
        shop, subject, session = shop_domain(address), claims["sub"], claims["sid"]
        if shop is None or not isinstance(subject, str) or not subject or not isinstance(session, str):
            raise Refused("claims")
        return Staff(shop, subject, session, int(claims["exp"]))
    raise Refused("signature")


def account_customer(token: str, client_id: str, secrets: Sequence[str]) -> AccountCustomer:
    """Who uses a customer-account or checkout extension. Raises Refused.

    Shopify's JavaScript library skips the audience of these tokens; a token made for another app must not open ours.
    `dest` may be a bare domain, `iss` and `sid` cannot be counted on, and the token is not exchangeable.
    """
    for secret in secrets:
        try:
            claims: Mapping[str, Any] = jwt.decode(
                token,
                secret,
                algorithms=["HS256"],
                audience=client_id,
                leeway=LEEWAY,
                options={"require": ["exp", "nbf", "iat", "aud", "dest"]},
            )
        except jwt.InvalidSignatureError:
            continue
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise Refused("token") from error
        _demand_times(claims)
        dest, subject = claims["dest"], claims.get("sub", "")
        shop = shop_domain(_https_host(dest) if isinstance(dest, str) and "//" in dest else dest)
        if shop is None or not isinstance(subject, str) or (subject and not _CUSTOMER.fullmatch(subject)):
            raise Refused("claims")
        return AccountCustomer(shop, subject)
    raise Refused("signature")


def _demand_times(claims: Mapping[str, Any]) -> None:
    for name in ("exp", "nbf", "iat"):
        if not isinstance(claims.get(name), int | float) or isinstance(claims[name], bool):
            raise Refused(name)
    if "aud" not in claims:
        raise Refused("aud")


def _https_host(url: object) -> str | None:
    parts = urlsplit(url) if isinstance(url, str) else None
    return parts.netloc if parts is not None and parts.scheme == "https" else None


# --- signed queries -------------------------------------------------------------------------------------------------


def launch(query: bytes, secrets: Sequence[str], now: float | None) -> dict[str, str]:
    """The parameters of an app launch or OAuth callback whose `hmac` and `timestamp` are good. Raises Refused.

    `query` is the raw query string. `now` (Unix seconds) of None skips the timestamp, for uses where an old launch
    does no harm. `shop` in the answer has passed `shop_domain`.
    """
    pairs = query_pairs(query)
    single = dict(pairs)
    if any(len(values) > 1 and not name.endswith("[]") for name, values in _grouped(pairs).items()):
        raise Refused("repeated")
    given = single.pop("hmac", "")
    if not _matches(given, oauth_message(pairs), secrets):
        raise Refused("hmac")
    if now is not None and not _fresh(single.get("timestamp", ""), now):
        raise Refused("timestamp")
    shop = shop_domain(single.get("shop"))
    if shop is None:
        raise Refused("shop")
    return {**single, "shop": shop}


def oauth_message(pairs: Sequence[tuple[str, str]]) -> str:
    """What Shopify signs of a callback: without `hmac`, sorted, `k=v` joined by `&`, delimiters in them escaped.

    `ids[]=1&ids[]=2` is signed as `ids=["1", "2"]`.
    """
    parts = []
    for name, values in _grouped(pairs).items():
        if name in {"hmac", "signature"}:
            continue
        value = json.dumps(values) if name.endswith("[]") else values[0]
        key = name.removesuffix("[]").replace("%", "%25").replace("=", "%3D")
        parts.append(f"{key}={value.replace('%', '%25')}".replace("&", "%26"))
    return "&".join(sorted(parts))


def proxy(query: bytes, secrets: Sequence[str], now: float) -> ProxyRequest:
    """A request through the app proxy whose `signature` and `timestamp` are good. Raises Refused.

    The signature covers repeated parameters too, so a second `logged_in_customer_id` that the shopper wrote would
    verify: what Shopify adds must be there exactly once.
    """
    pairs = query_pairs(query)
    grouped = _grouped(pairs)
    for name in PROXY_FIELDS:
        if len(grouped.get(name, ())) != 1:
            raise Refused(name)
    if not _matches(grouped["signature"][0], proxy_message(pairs), secrets):
        raise Refused("signature")
    if not _fresh(grouped["timestamp"][0], now):
        raise Refused("timestamp")
    shop, customer = shop_domain(grouped["shop"][0]), grouped["logged_in_customer_id"][0]
    if shop is None:
        raise Refused("shop")
    if customer and not _DIGITS.fullmatch(customer):
        raise Refused("logged_in_customer_id")
    return ProxyRequest(shop, gid("Customer", customer), grouped["path_prefix"][0])


def proxy_message(pairs: Sequence[tuple[str, str]]) -> str:
    """What Shopify signs of a proxied request: sorted by code point, values of one key joined by `,`, no separator."""
    grouped = _grouped(pairs)
    return "".join(f"{name}={','.join(grouped[name])}" for name in sorted(grouped) if name != "signature")


def sign_hex(message: str, secret: str) -> str:
    """Lower-case hex HMAC-SHA256."""
    return hmac.new(secret.encode(), message.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()


def query_pairs(query: bytes) -> list[tuple[str, str]]:
    """A raw query string as pairs, as signed. Raises Refused on one that is too long or broken."""
    # Blank values are signed; bytes that are no UTF-8 must come out as they went in.
    try:
        text = query.decode("utf-8", "surrogateescape")
        return parse_qsl(text, keep_blank_values=True, errors="surrogateescape", max_num_fields=100)
    except ValueError as error:
        raise Refused("query") from error


def _grouped(pairs: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for name, value in pairs:
        grouped.setdefault(name, []).append(value)
    return grouped


def _matches(given: str, message: str, secrets: Sequence[str]) -> bool:
    sent = given.encode("utf-8", "surrogateescape")
    return any(hmac.compare_digest(sign_hex(message, secret).encode(), sent) for secret in secrets)


def _fresh(timestamp: str, now: float) -> bool:
    return bool(_DIGITS.fullmatch(timestamp)) and abs(now - int(timestamp)) <= FRESH
