"""Signing in with any OpenID provider: discovery, authorization code with PKCE, and an ID token that is believed.

Authlib knows the protocol (requests, challenges, claims); what goes over the wire goes through our guarded client.
https://openid.net/specs/openid-connect-core-1_0.html, https://openid.net/specs/openid-connect-discovery-1_0.html
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from authlib.oidc.discovery import OpenIDProviderMetadata, get_well_known_url
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import import_key
from joserfc.jws import JWSRegistry
from joserfc.jws import extract_compact as read_compact

from plugin.kernel.config import Oidc
from plugin.kernel.http import Http, HttpError

SCOPE = "openid profile email"
LEEWAY = 60
"""Seconds of clock difference allowed on an ID token."""
_KEEP_SECONDS = 3600
_KEYS_AGAIN_SECONDS = 30
_ANSWER_BYTES = 512 * 1024
# Signatures that only the provider can make: `none` and those with the shared secret are not among them.
_ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"})
_KEY_TYPES = frozenset({"RSA", "EC", "OKP"})


class OidcError(Exception):
    """The provider, or what came in its name, is not to be believed. `reason` is a stable word for the log."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Begun:
    """A sign-in under way: where the browser goes, and what has to fit when it comes back."""

    url: str
    state: str
    nonce: str
    verifier: str


@dataclass(frozen=True, slots=True)
class Person:
    """Whom the provider vouches for: (issuer, subject) is who they are, everything else is for showing.

    `proven_twice`: the provider itself asked for more than one factor (`amr` holds `mfa`, RFC 8176).
    """

    issuer: str
    subject: str
    name: str = ""
    email: str = ""
    proven_twice: bool = False


class Provider:
    """One OpenID provider; its documents are kept for an hour, its keys read again when one is unknown.

    `document`: its metadata lies there and not below its issuer, which is then whoever that document names: only for an
    address whose owner decides who signs people in. `plain`: it may name addresses without TLS. `origin`: said with
    what is sent, for providers that want it from clients without a secret.
    """

    def __init__(
        self, http: Http, settings: Oidc, *, document: str = "", scope: str = SCOPE, origin: str = "",
        plain: bool = False,
    ) -> None:  # fmt: skip
        self._http = http
        self._settings = settings
        self._document = document
        self._scope = scope
        self._origin = origin
        self._schemes = {"https", "http"} if plain else {"https", urlsplit(settings.issuer).scheme or "https"}
        self._metadata: tuple[float, Mapping[str, Any]] | None = None
        self._keys: tuple[float, list[dict[str, Any]]] | None = None
        self._lock = asyncio.Lock()

    async def begin(self, redirect_uri: str) -> Begun:
        """The address that the browser is sent to. Raises OidcError when the provider cannot be asked."""
        metadata = await self._discover()
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        url = prepare_grant_uri(
            metadata["authorization_endpoint"],
            self._settings.client_id,
            "code",
            redirect_uri=redirect_uri,
            scope=self._scope,
            state=state,
            nonce=nonce,
            code_challenge=create_s256_code_challenge(verifier),
            code_challenge_method="S256",
        )
        return Begun(url, state, nonce, verifier)

    async def redeem(self, code: str, *, redirect_uri: str, verifier: str, nonce: str, issuer: str = "") -> Person:
        """Turn the code of a callback into the person behind it.

        `issuer` is the callback's `iss` parameter, which tells a mixed-up provider (RFC 9207). Raises OidcError.
        """
        person, _access = await self.exchange(
            code, redirect_uri=redirect_uri, verifier=verifier, nonce=nonce, issuer=issuer
        )
        return person

    async def exchange(
        self, code: str, *, redirect_uri: str, verifier: str, nonce: str, issuer: str = ""
    ) -> tuple[Person, str]:
        """The same with the access token, for a provider that says by an API of its own who somebody is there."""
        metadata = await self._discover()
        demanded = metadata.get("authorization_response_iss_parameter_supported") is True
        if (issuer or demanded) and issuer != metadata["issuer"]:
            raise OidcError("issuer")
        answer = await self._token(metadata, code, redirect_uri, verifier)
        token, access = answer.get("id_token"), answer.get("access_token")
        if not isinstance(token, str) or not isinstance(access, str):
            raise OidcError("no_id_token")
        claims = await self._claims(metadata, token, access, nonce)
        methods = claims.get("amr") or []
        person = Person(
            issuer=str(claims["iss"]),
            subject=str(claims["sub"]),
            name=str(claims.get("name") or "")[:80],
            email=str(claims.get("email") or claims.get("preferred_username") or "")[:200],
            proven_twice="mfa" in methods,
        )
        return person, access

    async def _token(
        self, metadata: Mapping[str, Any], code: str, redirect_uri: str, verifier: str
    ) -> Mapping[str, Any]:
        settings = self._settings
        offered = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        basic = bool(settings.client_secret) and "client_secret_basic" in offered
        more = {} if basic else {"client_id": settings.client_id}
        if settings.client_secret and not basic:
            more["client_secret"] = settings.client_secret
        body = prepare_token_request(
            "authorization_code", redirect_uri=redirect_uri, code=code, code_verifier=verifier, **more
        )
        # Both are form-encoded before they are joined (RFC 6749, 2.3.1).
        auth = (quote(settings.client_id, safe=""), quote(settings.client_secret, safe="")) if basic else None
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        if self._origin:
            headers["Origin"] = self._origin
        return await self._ask("POST", metadata["token_endpoint"], headers=headers, content=body.encode(), auth=auth)

    async def _claims(self, metadata: Mapping[str, Any], token: str, access: str, nonce: str) -> Mapping[str, Any]:
        offered = metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
        algorithms = sorted(_ALGORITHMS.intersection(offered))
        try:
            header = read_compact(token.encode()).headers()
            if header.get("alg") not in algorithms:
                raise OidcError("algorithm")
            key = import_key(await self._key(metadata, header))
            registry = JWSRegistry(algorithms=algorithms, strict_check_header=False)
            decoded = jwt.decode(token, key, registry=registry)
            options = {
                "iss": {"essential": True, "value": metadata["issuer"]},
                "aud": {"essential": True, "value": self._settings.client_id},
                "sub": {"essential": True},
            }
            parameters = {"nonce": nonce, "client_id": self._settings.client_id, "access_token": access}
            claims = CodeIDToken(decoded.claims, decoded.header, options, parameters)
            claims.validate(now=int(time.time()), leeway=LEEWAY)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise OidcError("id_token") from error
        if not isinstance(claims["sub"], str) or not 0 < len(claims["sub"]) <= 255:
            raise OidcError("subject")
        return dict(claims)

    async def _key(self, metadata: Mapping[str, Any], header: Mapping[str, Any]) -> dict[str, Any]:
        """The provider's key that made this signature; read again when none has its id (rotation).

        A token without a key id is believed only where one key can be meant (Core, 10.1).
        """
        for again in (False, True):
            keys = [key for key in await self._key_set(metadata, again=again) if _fits(key, header)]
            if len(keys) == 1:
                return keys[0]
        raise OidcError("key")

    async def _key_set(self, metadata: Mapping[str, Any], *, again: bool) -> list[dict[str, Any]]:
        async with self._lock:
            age = time.monotonic() - self._keys[0] if self._keys else None
            if self._keys is None or age is None or age > (_KEYS_AGAIN_SECONDS if again else _KEEP_SECONDS):
                answer = await self._ask("GET", metadata["jwks_uri"])
                given = answer.get("keys")
                usable = [key for key in given if _usable(key)] if isinstance(given, list) else []
                self._keys = (time.monotonic(), usable)
            return self._keys[1]

    async def known(self) -> None:
        """Ask for the provider's metadata, unless it is known. Raises OidcError where there is no such provider."""
        await self._discover()

    async def _discover(self) -> Mapping[str, Any]:
        async with self._lock:
            if self._metadata is not None and time.monotonic() - self._metadata[0] < _KEEP_SECONDS:
                return self._metadata[1]
            issuer = self._settings.issuer
            address = self._document or get_well_known_url(issuer, external=True)
            found = OpenIDProviderMetadata(await self._ask("GET", address))
            # A document that speaks for another issuer could send people and codes anywhere (Discovery, 4.3).
            if not self._document and found.get("issuer") != issuer:
                raise OidcError("issuer")
            for name in ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri"):
                named = urlsplit(str(found.get(name) or ""))
                if not named.netloc or named.scheme not in self._schemes:
                    raise OidcError("metadata")
            self._metadata = (time.monotonic(), dict(found))
            return self._metadata[1]

    async def _ask(self, method: str, url: str, **more: Any) -> Mapping[str, Any]:
        attempts = 2 if method == "GET" else 1
        try:
            answer = await self._http.request(
                method, url, timeout=10.0, max_bytes=_ANSWER_BYTES, attempts=attempts, patience=2.0, **more
            )
            document = answer.json()
        except HttpError as error:
            raise OidcError("refused" if error.status in (400, 401, 403) else "unreachable") from error
        if not isinstance(document, dict):
            raise OidcError("garbage")
        return document


def _usable(key: Any) -> bool:
    return isinstance(key, dict) and key.get("kty") in _KEY_TYPES and key.get("use", "sig") == "sig"


def _fits(key: Mapping[str, Any], header: Mapping[str, Any]) -> bool:
    if header.get("kid"):
        return bool(key.get("kid") == header["kid"] and key.get("alg", header["alg"]) == header["alg"])
    family = {"R": "RSA", "P": "RSA", "E": "EC"}[str(header["alg"])[0]] if header["alg"] != "EdDSA" else "OKP"
    return bool(key.get("kty") == family)
