"""The shop's new customer accounts: OpenID discovery, sign-in with PKCE, keys, logout, and the Customer Account API.

Everything that Shopify refuses is refused here. ``setting("accounts")`` is ``new`` or ``legacy`` (then there is no
discovery document); ``setting("account_fault")`` names what is wrong with the next answers, for tests.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import secrets
import time
import uuid
from datetime import timedelta
from functools import cache
from importlib import resources
from typing import Any
from urllib.parse import urlencode

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from graphql import GraphQLError, build_schema, execute_sync, parse, validate
from jwt.algorithms import RSAAlgorithm
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from integrations.shopify.simulator import extension, pages
from integrations.shopify.simulator import merchandise as goods
from integrations.shopify.simulator.shop import Shop, gid, iso, parse_iso
from integrations.shopify.simulator.state import Doc
from plugin.kernel.digits import whole

SHOP_ID = 58_562_052_201
SCHEMA = build_schema(resources.files(__package__).joinpath("customer_schema.graphql").read_text(encoding="utf-8"))
SCOPES = ("openid", "email", "customer-account-api:full")
API_SCOPE = "customer_read_customers"
CODE_LASTS = timedelta(minutes=5)
ACCESS_SECONDS = 7200
SESSION_TOKEN_SECONDS = 300
FAULTS = (
    "down", "garbage", "no_api", "issuer", "audience", "nonce", "expired", "early", "key", "unsigned", "token",
    "customer",
)  # fmt: skip
COOKIE = "demo_shop"


def _base(shop: Shop) -> str:
    return f"{shop.storefront_origin}/authentication/{SHOP_ID}"


def fault(shop: Shop) -> str:
    """What is wrong at the moment, or nothing."""
    return str(shop.state.setting("account_fault", ""))


def discovery(shop: Shop) -> Doc:
    """The two documents' contents in the shape that shops answer with."""
    base = _base(shop)
    return {
        "issuer": base,
        "token_endpoint": f"{base}/oauth/token",
        "authorization_endpoint": f"{base}/oauth/authorize",
        "end_session_endpoint": f"{base}/logout",
        "jwks_uri": f"{base}/.well-known/jwks.json",
        "scopes_supported": list(SCOPES),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        "code_challenge_methods_supported": ["S256"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
    }


@cache
def _fresh_key() -> str:
    key = rsa.generate_private_key(65537, 2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _key(shop: Shop) -> Any:
    held = shop.state.setting("account_key")
    if held is None:
        shop.state.set("account_key", held := _fresh_key())
    return load_pem_private_key(held.encode(), None)


def id_token(shop: Shop, customer: Doc, nonce: str) -> str:
    """What says who signed in, or what the fault of the moment makes of it."""
    wrong, now = fault(shop), int(time.time())
    claims: Doc = {
        "iss": _base(shop) + ("/other" if wrong == "issuer" else ""),
        "aud": "another-client" if wrong == "audience" else shop.client_id,
        # Shopify's own id of the person, which is not the customer's at this shop.
        "sub": str(uuid.uuid5(uuid.NAMESPACE_URL, str(customer["email"]))),
        "email": customer["email"],
        "email_verified": True,
        "nonce": "another" if wrong == "nonce" else nonce,
        "iat": now + (3600 if wrong == "early" else 0),
        "exp": now + (-3600 if wrong == "expired" else 3600),
    }
    if wrong == "unsigned":
        return jwt.encode(claims, "", "none")
    key = rsa.generate_private_key(65537, 2048) if wrong == "key" else _key(shop)
    return jwt.encode(claims, key, "RS256", {"kid": "shop_0"})


def session_token(shop: Shop, customer_id: int | None, **overrides: object) -> str:
    """What an extension of the account pages gets: five minutes, HS256 with the app's secret (platforms.md A1.4)."""
    now = int(shop.now().timestamp())
    claims: Doc = {
        "dest": shop.domain,
        "aud": shop.client_id,
        "sub": gid("Customer", customer_id) if customer_id else None,
        "exp": now + SESSION_TOKEN_SECONDS,
        "nbf": now,
        "iat": now,
        "jti": str(uuid.uuid4()),
        **overrides,
    }
    return jwt.encode({key: value for key, value in claims.items() if value is not None}, shop.client_secret, "HS256")


def check_authorize(shop: Shop, query: dict[str, str]) -> str | None:
    """What is wrong with an authorize request, in words, or None."""
    registered = shop.config.get("customer_authentication", {}).get("redirect_uris", [])
    if query.get("client_id") != shop.client_id:
        return "invalid_client: no such client"
    if query.get("redirect_uri") not in [shop.app_path(url) for url in registered]:
        return "invalid_redirect_uri"
    if query.get("response_type") != "code":
        return "unsupported_response_type"
    asked = query.get("scope", "").split()
    if "openid" not in asked or set(asked) - set(SCOPES):
        return "invalid_scope"
    if query.get("code_challenge_method") != "S256" or len(query.get("code_challenge", "")) != 43:
        return "invalid_request: a public client needs a code_challenge"
    return None if query.get("state") else "invalid_request: state is missing"


def grant(shop: Shop, query: dict[str, str], customer_id: int) -> str:
    """The shopper signed in: where the browser goes."""
    code = secrets.token_urlsafe(24)
    held = {name: query.get(name, "") for name in ("redirect_uri", "code_challenge", "nonce", "scope")}
    ends = iso(shop.now() + CODE_LASTS)
    shop.state.put("account_codes", code, {**held, "customer": customer_id, "expires_at": ends, "used": False})
    return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"


def redeem(shop: Shop, given: dict[str, str], origin: str) -> Response:
    """The token endpoint."""
    if given.get("client_id") != shop.client_id:
        return _wrong("invalid_client", 401)
    allowed = shop.config.get("customer_authentication", {}).get("javascript_origins", [])
    if origin not in [shop.app_path(url) for url in allowed]:
        return _wrong("invalid_origin", 401)
    if given.get("grant_type") == "refresh_token":
        held = shop.state.delete("account_refresh", given.get("refresh_token", ""))
        return _wrong("invalid_grant") if held is None else JSONResponse(_tokens(shop, held["customer"], ""))
    if given.get("grant_type") != "authorization_code":
        return _wrong("unsupported_grant_type")
    held = shop.state.get("account_codes", given.get("code", ""))
    if held is None or held["used"] or parse_iso(held["expires_at"]) <= shop.now():
        if held is not None and held["used"]:
            shop.state.clear("account_tokens")
        return _wrong("invalid_grant")
    challenge = base64.urlsafe_b64encode(hashlib.sha256(given.get("code_verifier", "").encode()).digest())
    fits = held["code_challenge"] == challenge.decode().rstrip("=")
    if given.get("redirect_uri") != held["redirect_uri"] or not fits:
        return _wrong("invalid_grant")
    shop.state.put("account_codes", given["code"], {**held, "used": True})
    return JSONResponse(_tokens(shop, held["customer"], held["nonce"]))


def _tokens(shop: Shop, customer_id: int, nonce: str) -> Doc:
    access, refresh = f"shcat_{secrets.token_hex(24)}", f"shcrt_{secrets.token_hex(24)}"
    ends = iso(shop.now() + timedelta(seconds=ACCESS_SECONDS))
    shop.state.put("account_tokens", access, {"customer": customer_id, "expires_at": ends})
    shop.state.put("account_refresh", refresh, {"customer": customer_id})
    customer = shop.state.get("customers", customer_id) or {"email": "nobody@example.com"}
    answer: Doc = {"access_token": access, "expires_in": ACCESS_SECONDS, "refresh_token": refresh,
                   "token_type": "Bearer", "scope": " ".join(SCOPES)}  # fmt: skip
    return answer if fault(shop) == "token" else {**answer, "id_token": id_token(shop, customer, nonce)}


def _wrong(error: str, status: int = 400) -> Response:
    return JSONResponse({"error": error}, status)


def execute(shop: Shop, token: str, asked: Doc) -> Response:
    """The Customer Account API: whoever the token is for, and nobody else."""
    held = shop.state.get("account_tokens", token)
    if held is None or parse_iso(held["expires_at"]) <= shop.now():
        return JSONResponse({"errors": [{"message": "Invalid token"}]}, 401)
    if not shop.allows(API_SCOPE):
        denied = {"message": "Access denied for customer field.", "extensions": {"code": "ACCESS_DENIED"}}
        return JSONResponse({"data": None, "errors": [denied]})
    try:
        document = parse(str(asked.get("query", "")))
    except GraphQLError as error:
        return JSONResponse({"errors": [error.formatted]})
    if wrong := validate(SCHEMA, document):
        return JSONResponse({"errors": [error.formatted for error in wrong]})
    number = held["customer"]
    found: Doc | None = {"id": gid("Customer", number)} if shop.state.get("customers", number) else None
    if fault(shop) == "customer":
        found = {"id": "gid://shopify/Company/7"}
    done = execute_sync(SCHEMA, document, root_value={"customer": found}, variable_values=asked.get("variables"))
    answer: Doc = {"data": done.data}
    if done.errors:
        answer["errors"] = [error.formatted for error in done.errors]
    return JSONResponse(answer)


# --- over the wire ----------------------------------------------------------------------------------------------------


def routes(shop: Shop) -> list[Route]:
    """Everything of the accounts that is asked over HTTP."""

    def spoiled() -> Response | None:
        wrong = fault(shop)
        if wrong == "down":
            return PlainTextResponse("Service Unavailable", 503)
        return Response("<html>Something went wrong", media_type="application/json") if wrong == "garbage" else None

    async def openid(_: Request) -> Response:
        if shop.state.setting("accounts", "new") != "new":
            return PlainTextResponse("Not Found", 404)
        return spoiled() or JSONResponse(discovery(shop))

    async def api_document(_: Request) -> Response:
        if shop.state.setting("accounts", "new") != "new":
            return PlainTextResponse("Not Found", 404)
        if fault(shop) == "no_api":
            return JSONResponse({})
        where = f"{shop.storefront_origin}/{SHOP_ID}/account/customer/api"
        return JSONResponse({"graphql_api": f"{where}/{shop.api_version}/graphql", "mcp_api": f"{where}/mcp"})

    async def keys(_: Request) -> Response:
        public = json.loads(RSAAlgorithm.to_jwk(_key(shop).public_key()))
        return JSONResponse({"keys": [{**public, "kid": "shop_0", "use": "sig", "alg": "RS256"}]})

    def signed_in(request: Request) -> int | None:
        session = shop.state.get("sessions", request.cookies.get(COOKIE, ""))
        return session.get("customer") if session else None

    async def authorize(request: Request) -> Response:
        query = dict(request.query_params)
        if wrong := check_authorize(shop, query):
            return pages.page("oauth_error.html", status=400, words=wrong)
        customer = signed_in(request)
        if customer is not None and query.get("prompt") != "login":
            return RedirectResponse(grant(shop, query, customer), 302)
        everyone = sorted(shop.state.all("customers"), key=lambda held: -held["_orders_count"])
        choices = {code: [held for held in everyone if held["_locale"] == code][:6] for code in goods.LOCALES}
        return pages.page("account_sign_in.html", choices=choices, fields=query, rtl=goods.RTL)

    async def chosen(request: Request) -> Response:
        form = {key: str(value) for key, value in (await request.form()).items()}
        number = whole(form.pop("customer", ""), 2**53)
        if form.pop("deny", ""):
            told = urlencode({"error": "access_denied", "state": form.get("state", "")})
            return RedirectResponse(f"{form.get('redirect_uri', '/')}?{told}", 303)
        if (wrong := check_authorize(shop, form)) or number is None or shop.state.get("customers", number) is None:
            return pages.page("oauth_error.html", status=400, words=wrong or "no such customer")
        answer = RedirectResponse(grant(shop, form, number), 303)
        session = request.cookies.get(COOKIE) or secrets.token_urlsafe(18)
        shop.state.put("sessions", session, {**(shop.state.get("sessions", session) or {}), "customer": number})
        answer.set_cookie(COOKIE, session, httponly=True, samesite="lax", max_age=30 * 86400, path="/")
        return answer

    async def token(request: Request) -> Response:
        given = {key: str(value) for key, value in (await request.form()).items()}
        return spoiled() or redeem(shop, given, request.headers.get("origin", ""))

    async def logout(request: Request) -> Response:
        session = request.cookies.get(COOKIE, "")
        held = shop.state.get("sessions", session)
        if held is not None:
            shop.state.put("sessions", session, {**held, "customer": None})
        return RedirectResponse(request.query_params.get("post_logout_redirect_uri") or "/", 302)

    async def graphql(request: Request) -> Response:
        try:
            asked = await request.json()
        except ValueError:
            return JSONResponse({"errors": [{"message": "unreadable"}]}, 400)
        answer = spoiled()
        return answer or execute(
            shop, request.headers.get("authorization", ""), asked if isinstance(asked, dict) else {}
        )

    def held(request: Request) -> Doc | None:
        """The order of the address, if it is of whoever is signed in."""
        order = shop.state.get("orders", whole(request.query_params.get("order", ""), 2**53) or 0)
        customer = signed_in(request)
        return order if order and customer and (order["customer"] or {}).get("id") == customer else None

    async def sandbox(request: Request) -> Response:
        """One target of the extension, in a document of its own, as Shopify keeps them apart."""
        order, target = held(request), request.query_params.get("target", "")
        if order is None or target not in extension.targets():
            return PlainTextResponse("Not Found", 404)
        asked = request.query_params.get("locale", "en")
        locale = asked if asked in goods.LOCALES else "en"
        told = {
            "target": target,
            "locale": locale,
            "order": {"id": order["admin_graphql_api_id"], "name": order["name"]},
            "words": extension.words(locale),
            "account": request.query_params.get("account", "fully_authenticated"),
        }
        direction = "rtl" if locale in goods.RTL else "ltr"
        return pages.page("account_extension.html", locale=locale, direction=direction, script=extension.PATH,
                          told=json.dumps(told, ensure_ascii=False))  # fmt: skip

    async def script(_: Request) -> Response:
        try:
            built = await asyncio.to_thread(extension.bundle, shop.app_path(shop.config["application_url"]))
        except extension.NotBuilt as missing:
            return PlainTextResponse(str(missing), 502)
        return Response(built, media_type="text/javascript", headers={"Cache-Control": "no-cache"})

    async def stand_in(_: Request) -> Response:
        return FileResponse(pages.STATIC / "account_extension.js", headers={"Cache-Control": "no-cache"})

    async def session_of_extension(request: Request) -> Response:
        """What ``shopify.sessionToken.get()`` gives to whoever is signed in."""
        return JSONResponse({"token": session_token(shop, signed_in(request))}, headers={"Cache-Control": "no-store"})

    base = f"/authentication/{SHOP_ID}"
    return [
        Route("/account/extension", sandbox),
        Route("/account/extension.js", stand_in),
        Route("/account/session-token", session_of_extension),
        Route(extension.PATH, script),
        Route("/.well-known/openid-configuration", openid),
        Route("/.well-known/customer-account-api", api_document),
        Route(f"{base}/.well-known/jwks.json", keys),
        Route(f"{base}/oauth/authorize", authorize),
        Route(f"{base}/oauth/authorize", chosen, methods=["POST"]),
        Route(f"{base}/oauth/token", token, methods=["POST"]),
        Route(f"{base}/logout", logout),
        Route(f"/{SHOP_ID}/account/customer/api/{{version}}/graphql", graphql, methods=["POST"]),
    ]
