"""Tokens: code grant, token exchange, refresh with the real rotation rule, and how they end (platforms.md A1)."""

from __future__ import annotations

import secrets
import uuid
from datetime import timedelta

import jwt
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from integrations.shopify.simulator.shop import Shop, iso, parse_iso
from integrations.shopify.simulator.state import Doc

ACCESS_SECONDS = 3600
REFRESH_SECONDS = 7_776_000
GRACE = timedelta(days=30)
ID_TOKEN_SECONDS = 60
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"  # noqa: S105 - the name of a token type
OFFLINE = "urn:shopify:params:oauth:token-type:offline-access-token"
ONLINE = "urn:shopify:params:oauth:token-type:online-access-token"
STAFF = {
    "548380009": {"first_name": "Dana", "last_name": "Levi", "email": "dana@bustan.example.com", "locale": "he"},
    "548380010": {"first_name": "Rami", "last_name": "Haddad", "email": "rami@bustan.example.com", "locale": "ar"},
    "548380011": {"first_name": "Kate", "last_name": "Brown", "email": "kate@bustan.example.com", "locale": "en"},
}
OWNER = "548380009"


# --- ID tokens ------------------------------------------------------------------------------------------------------


def id_token(shop: Shop, user: str = OWNER, *, seconds: int = ID_TOKEN_SECONDS, **overrides: object) -> str:
    """The JWT App Bridge hands to the app (platforms.md A1.4). ``overrides`` spoil claims on purpose, in tests."""
    now = int(shop.now().timestamp())
    claims: Doc = {
        "iss": f"https://{shop.domain}/admin",
        "dest": f"https://{shop.domain}",
        "aud": shop.client_id,
        "sub": user,
        "exp": now + seconds,
        "nbf": now,
        "iat": now,
        "jti": str(uuid.uuid4()),
        "sid": str(uuid.uuid5(uuid.NAMESPACE_URL, user)),
        "sig": secrets.token_hex(16),
        **overrides,
    }
    return jwt.encode({key: value for key, value in claims.items() if value is not None}, shop.client_secret, "HS256")


def launch_url(shop: Shop, path: str = "", user: str = OWNER, locale: str | None = None) -> str:
    """The URL the admin frames: the application URL with what Shopify adds to it."""
    parameters = [
        ("embedded", "1"),
        ("host", shop.host_parameter),
        ("id_token", id_token(shop, user)),
        ("locale", locale or str(STAFF.get(user, STAFF[OWNER])["locale"])),
        ("session", secrets.token_hex(32)),
        ("shop", shop.domain),
        ("timestamp", str(int(shop.now().timestamp()))),
    ]
    base = shop.app_path(shop.config["application_url"]).rstrip("/")
    return f"{base}{f'/{path}' if path else ''}?{shop.sign_query(parameters)}"


# --- installing -----------------------------------------------------------------------------------------------------


def install(shop: Shop, extra: list[str] | None = None) -> list[str]:
    """The merchant agreed to the app: required scopes, and ``extra`` optional ones. Tells nobody, as Shopify does."""
    granted = [*shop.required_scopes, *(scope for scope in extra or [] if scope in shop.optional_scopes)]
    shop.state.set("installed", True)
    shop.state.set("installed_at", shop.stamp())
    shop.state.set("granted", granted)
    return granted


def uninstall(shop: Shop) -> None:
    """The merchant removed the app: tokens die at once, then ``app/uninstalled`` goes out."""
    if not shop.installed:
        return
    shop.emit("app/uninstalled", shop_payload(shop))
    for kind in ("tokens", "refresh", "codes", "subscriptions"):
        shop.state.clear(kind)
    shop.state.set("installed", False)
    shop.state.set("granted", [])
    shop.state.set("metafields", {})
    shop.state.set("embed", {**shop.state.setting("embed", {}), "enabled": False})


def change_scopes(shop: Shop, granted: list[str]) -> None:
    """Grants or revokes optional scopes: tokens keep working with the new set, ``app/scopes_update`` goes out."""
    previous = shop.granted
    shop.state.set("granted", granted)
    if sorted(previous) == sorted(granted):
        return
    shop.emit(
        "app/scopes_update",
        {
            "id": 700300101,
            "previous": previous,
            "current": granted,
            "updated_at": shop.stamp(),
            "shop_domain": shop.domain,
        },
    )


class ScopeRefused(Exception):
    """A list of scopes that App Bridge and the Admin API do not take; the words are for the app's developer."""


def requestable(shop: Shop, asked: list[str]) -> list[str]:
    """What of the asked scopes is not granted yet. Raises ScopeRefused for one that the app's file does not list."""
    strangers = sorted(set(asked) - {*shop.required_scopes, *shop.optional_scopes})
    if strangers or not asked:
        raise ScopeRefused(f"The app's configuration does not list: {', '.join(strangers) or 'nothing was asked for'}")
    return [scope for scope in dict.fromkeys(asked) if not shop.allows(scope)]


def revoke_scopes(shop: Shop, asked: list[str]) -> list[str]:
    """Give optional scopes back; returns what is gone. Raises ScopeRefused for a required or unknown one."""
    if set(asked) & set(shop.required_scopes):
        raise ScopeRefused("Required scopes cannot be revoked.")
    if set(asked) - set(shop.optional_scopes):
        raise ScopeRefused("The app's configuration does not list these scopes.")
    gone = [scope for scope in asked if scope in shop.granted]
    change_scopes(shop, [scope for scope in shop.granted if scope not in gone])
    return gone


def change_domains(shop: Shop, hosts: list[str], primary: str = "") -> None:
    """The merchant added or removed domains of the shop (``domains/*``), or chose another primary one (also
    ``shop/update``).

    ``primary`` empty: the demo's own storefront goes on being the primary one.
    """
    before: list[str] = shop.state.setting("domains", [])
    was_first = str(shop.state.setting("primary_domain", ""))
    shop.state.set("domains", hosts)
    shop.state.set("primary_domain", primary)
    chosen = {primary} & set(hosts) if primary != was_first else set()
    for topic, changed in (
        ("create", set(hosts) - set(before)), ("update", chosen), ("destroy", set(before) - set(hosts))
    ):  # fmt: skip
        for host in sorted(changed):
            localization: Doc = {"country": None, "default_locale": "en", "alternate_locales": []}
            shop.emit(
                f"domains/{topic}", {"id": 90001, "host": host, "ssl_enabled": True, "localization": localization}
            )
    if primary != was_first:
        shop.emit("shop/update", shop_payload(shop))


def shop_payload(shop: Shop) -> Doc:
    """The shop as webhooks carry it."""
    return {
        "id": 68001,
        "name": shop.state.setting("shop_name", "Bustan"),
        "email": "owner@bustan.example.com",
        "domain": shop.storefront_origin.partition("://")[2].partition(":")[0],
        "myshopify_domain": shop.domain,
        "currency": "ILS",
        "iana_timezone": "Asia/Jerusalem",
        "primary_locale": "en",
        "country_code": "IL",
        "plan_name": "partner_test",
        "shop_owner": "Dana Levi",
        "created_at": "2024-11-01T08:00:00Z",
        "updated_at": shop.stamp(),
    }


# --- tokens ---------------------------------------------------------------------------------------------------------


def refuse(shop: Shop, token: str) -> tuple[int, str] | None:
    """Why the Admin API does not take a token, as (status, words), or None."""
    held = shop.state.get("tokens", token) if token else None
    if held is None or (held["expires_at"] and parse_iso(held["expires_at"]) <= shop.now()):
        return 401, "[API] Invalid API key or access token (unrecognized login or wrong password)"
    if held["kind"] == "offline" and held["expires_at"] is None:
        # A public app made since April 2026 may not use one (platforms.md A1.6).
        return 403, "[API] Non-expiring access tokens are no longer accepted for the Admin API."
    return None


def _issue(shop: Shop, *, kind: str, expiring: bool, user: str | None = None, parent: str | None = None) -> Doc:
    token = f"shpat_{secrets.token_hex(16)}" if kind == "offline" else f"shpua_{secrets.token_hex(16)}"
    now = shop.now()
    lives = ACCESS_SECONDS if kind == "offline" else 24 * 3600
    ends = iso(now + timedelta(seconds=lives)) if expiring or kind == "online" else None
    shop.state.put("tokens", token, {"kind": kind, "expires_at": ends, "user": user})
    answer: Doc = {"access_token": token, "scope": ",".join(shop.granted)}
    if ends:
        answer["expires_in"] = lives
    if kind == "offline" and expiring:
        refresh = f"shprt_{secrets.token_hex(16)}"
        shop.state.put(
            "refresh",
            refresh,
            {
                "expires_at": iso(now + timedelta(seconds=REFRESH_SECONDS)),
                "first_used_at": None,
                "parent": parent,
                "retired": False,
            },
        )
        answer |= {"refresh_token": refresh, "refresh_token_expires_in": REFRESH_SECONDS}
    if kind == "online" and user:
        who = STAFF.get(user, STAFF[OWNER])
        answer["associated_user_scope"] = answer["scope"]
        answer["associated_user"] = {"id": int(user), **who, "account_owner": user == OWNER, "email_verified": True,
                                     "collaborator": False}  # fmt: skip
    return answer


def _wrong(error: str, words: str, status: int = 400) -> JSONResponse:
    return JSONResponse({"error": error, "error_description": words}, status)


async def access_token(shop: Shop, request: Request) -> Response:
    """``POST /admin/oauth/access_token``: all grants, JSON or form."""
    if "json" in request.headers.get("content-type", ""):
        try:
            sent = await request.json()
        except ValueError:
            return _wrong("invalid_request", "The body is not JSON")
        if not isinstance(sent, dict):
            return _wrong("invalid_request", "The body is not an object")
    else:
        sent = dict(await request.form())
    given = {key: str(value) for key, value in sent.items()}
    status = shop.state.setting("oauth_fault")
    if status:
        shop.state.set("oauth_fault", None)
        return JSONResponse({"error": "temporarily_unavailable"}, int(status), {"Retry-After": "1"})
    secret = given.get("client_secret", "").encode()
    if given.get("client_id") != shop.client_id or not secrets.compare_digest(secret, shop.client_secret.encode()):
        return _wrong("invalid_client", "The client is unknown or its secret is wrong", 401)
    grant = given.get("grant_type", "authorization_code")
    if grant == "authorization_code":
        return _code_grant(shop, given)
    if not shop.installed:
        return _wrong("invalid_client", "The app is not installed on this shop", 401)
    if grant == EXCHANGE:
        return _exchange(shop, given)
    if grant == "refresh_token":
        return _refresh(shop, given)
    return _wrong("unsupported_grant_type", f"{grant} is not supported")


def _code_grant(shop: Shop, given: dict[str, str]) -> Response:
    held = shop.state.delete("codes", given.get("code", ""))
    if held is None or parse_iso(held["expires_at"]) <= shop.now():
        return _wrong("invalid_request", "The authorization code was not found or was already used")
    return JSONResponse(_issue(shop, kind=held["kind"], expiring=given.get("expiring") == "1", user=held["user"]))


def _exchange(shop: Shop, given: dict[str, str]) -> Response:
    requested = given.get("requested_token_type")
    if requested not in {OFFLINE, ONLINE}:
        return _wrong("invalid_request", "requested_token_type is not supported")
    kind = "offline" if requested == OFFLINE else "online"
    expiring = given.get("expiring") == "1"
    if given.get("subject_token_type") == OFFLINE:
        old = shop.state.get("tokens", given.get("subject_token", ""))
        if old is None or old["kind"] != "offline" or not expiring:
            return _wrong("invalid_subject_token", "The old token is unknown")
        shop.state.delete("tokens", given["subject_token"])
        return JSONResponse(_issue(shop, kind="offline", expiring=True))
    if given.get("subject_token_type") != ID_TOKEN:
        return _wrong("invalid_request", "subject_token_type is not supported")
    try:
        claims = jwt.decode(
            given.get("subject_token", ""),
            shop.client_secret,
            algorithms=["HS256"],
            audience=shop.client_id,
            options={"require": ["exp", "nbf", "aud", "dest", "iss", "sub"], "verify_exp": False, "verify_nbf": False,
                     "verify_iat": False},
        )  # fmt: skip
        now = shop.now().timestamp()
        if claims["dest"] != f"https://{shop.domain}" or not claims["nbf"] - 10 <= now < claims["exp"]:
            raise jwt.InvalidTokenError("not for now or not for here")
    except jwt.InvalidTokenError:
        return _wrong("invalid_subject_token", "The ID token is not valid")
    return JSONResponse(_issue(shop, kind=kind, expiring=expiring, user=str(claims["sub"])))


def _refresh(shop: Shop, given: dict[str, str]) -> Response:
    """The rotation rule since 2026-08-28 (platforms.md A1.6).

    A used refresh token stays good until its replacement is first used, at most 30 days from its own first use and
    never past its 90 days.
    """
    name = given.get("refresh_token", "")
    held = shop.state.get("refresh", name)
    now = shop.now()
    dead = (
        held is None
        or held["retired"]
        or parse_iso(held["expires_at"]) <= now
        or (held["first_used_at"] is not None and now >= parse_iso(held["first_used_at"]) + GRACE)
    )
    if held is None or dead:
        return _wrong("invalid_grant", "The refresh token is not valid any more")
    parent = shop.state.get("refresh", held["parent"]) if held["parent"] else None
    if parent is not None and not parent["retired"]:
        shop.state.put("refresh", held["parent"], {**parent, "retired": True})
    if held["first_used_at"] is None:
        shop.state.put("refresh", name, {**held, "first_used_at": iso(now)})
    return JSONResponse(_issue(shop, kind="offline", expiring=True, parent=name))


# --- code grant, browser side ---------------------------------------------------------------------------------------


def check_authorize(shop: Shop, query: dict[str, str]) -> str | None:
    """What is wrong with an authorize request, in words, or None."""
    if query.get("client_id") != shop.client_id:
        return "No app with this client_id."
    allowed = [shop.app_path(url) for url in shop.config["auth"]["redirect_urls"]]
    if query.get("redirect_uri") not in allowed:
        return "The redirect_uri is not whitelisted."
    asked = {scope for scope in query.get("scope", "").split(",") if scope}
    unknown = asked - set(shop.required_scopes) - set(shop.optional_scopes)
    if unknown:
        return f"The app's configuration does not list these scopes: {', '.join(sorted(unknown))}."
    return None


def grant_code(shop: Shop, query: dict[str, str], user: str = OWNER) -> str:
    """The merchant agreed: where to send the browser, with code, state and hmac."""
    asked = [scope for scope in query.get("scope", "").split(",") if scope]
    kept = [scope for scope in shop.granted if scope not in asked] if shop.installed else []
    if not shop.installed:
        install(shop)
        kept = [scope for scope in shop.granted if scope not in asked]
    shop.state.set("granted", [*kept, *asked])
    code = secrets.token_hex(16)
    kind = "online" if query.get("grant_options[]") == "per-user" else "offline"
    ends = iso(shop.now() + timedelta(minutes=2))
    shop.state.put("codes", code, {"kind": kind, "user": user if kind == "online" else None, "expires_at": ends})
    parameters = [
        ("code", code),
        ("host", shop.host_parameter),
        ("shop", shop.domain),
        ("state", query.get("state", "")),
        ("timestamp", str(int(shop.now().timestamp()))),
    ]
    return f"{query['redirect_uri']}?{shop.sign_query(parameters)}"
