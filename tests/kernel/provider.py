"""An OpenID provider at the wire: discovery, keys that rotate, a token endpoint that checks what it is sent."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

ISSUER = "https://id.example/tenant"
CLIENT, SECRET = "ahlan client", "s3cret/+"
REDIRECT = "http://localhost:8000/sign-in/provider/callback"


@dataclass
class Code:
    """What an authorization gave out."""

    challenge: str
    nonce: str
    redirect_uri: str
    claims: dict[str, Any]


@dataclass
class OpenIdProvider:
    """State of one provider. `change` may spoil the claims, `header` the token's header, `sign` how it is signed."""

    keys: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    codes: dict[str, Code] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    change: Callable[[dict[str, Any]], None] = lambda claims: None
    header: dict[str, Any] = field(default_factory=dict)
    sign: Callable[[dict[str, Any], dict[str, Any]], str] | None = None
    down: bool = False

    def __post_init__(self) -> None:
        self.rotate("first")
        self.metadata = {
            "issuer": ISSUER,
            "authorization_endpoint": f"{ISSUER}/authorize",
            "token_endpoint": f"{ISSUER}/token",
            "jwks_uri": f"{ISSUER}/keys",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "ES256", "HS256"],
            "authorization_response_iss_parameter_supported": True,
        }

    def rotate(self, kid: str, kind: str = "RSA") -> None:
        """New keys in place of the old ones."""
        key = RSAKey.generate_key(2048, {"kid": kid}) if kind == "RSA" else ECKey.generate_key("P-256", {"kid": kid})
        self.keys = {kid: key}

    def transport(self) -> httpx.MockTransport:
        """The way out that leads here."""
        return httpx.MockTransport(self.answer)

    def authorize(self, url: str, subject: str, **claims: Any) -> dict[str, str]:
        """The person agrees; returns the query of the callback."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        assert url.startswith(f"{ISSUER}/authorize?")
        assert query["response_type"] == "code"
        assert "openid" in query["scope"].split()
        assert query["client_id"] == CLIENT
        assert query["code_challenge_method"] == "S256"
        code = f"code-{len(self.codes)}"
        self.codes[code] = Code(
            query["code_challenge"], query["nonce"], query["redirect_uri"], {"sub": subject, **claims}
        )
        return {"code": code, "state": query["state"], "iss": ISSUER}

    def answer(self, request: httpx.Request) -> httpx.Response:
        """One request to the provider's host."""
        path = str(request.url).removeprefix(ISSUER)
        self.asked.append(path)
        if self.down:
            return httpx.Response(503, text="later")
        if path == "/.well-known/openid-configuration":
            return httpx.Response(200, json=self.metadata)
        if path == "/keys":
            public = [{**key.as_dict(private=False), "use": "sig"} for key in self.keys.values()]
            return httpx.Response(200, json={"keys": [*public, {"kty": "oct", "k": "AA", "kid": "first"}, "garbage"]})
        if path == "/token":
            return self._token(request)
        return httpx.Response(404)

    def _token(self, request: httpx.Request) -> httpx.Response:
        form = dict(parse_qsl(request.content.decode()))
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        name, _, secret = base64.b64decode(given).decode().partition(":")
        if (scheme, unquote(name), unquote(secret)) != ("Basic", CLIENT, SECRET):
            return httpx.Response(401, json={"error": "invalid_client"})
        code = self.codes.pop(form.get("code", ""), None)
        verifier = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(verifier).rstrip(b"=").decode()
        if code is None or challenge != code.challenge or form.get("redirect_uri") != code.redirect_uri:
            return httpx.Response(400, json={"error": "invalid_grant"})
        now = int(time.time())
        claims = {
            "iss": ISSUER, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": code.nonce, **code.claims,
        }  # fmt: skip
        self.change(claims)
        return httpx.Response(
            200, json={"access_token": "at", "token_type": "Bearer", "id_token": self._signed(claims)}
        )

    def _signed(self, claims: Mapping[str, Any]) -> str:
        kid, key = next(iter(self.keys.items()))
        header = {"alg": "RS256" if isinstance(key, RSAKey) else "ES256", "kid": kid, **self.header}
        header = {name: value for name, value in header.items() if value is not None}
        if self.sign is not None:
            return self.sign(header, dict(claims))
        return jwt.encode(header, dict(claims), key)


def with_the_public_key(provider: OpenIdProvider) -> Callable[[dict[str, Any], dict[str, Any]], str]:
    """Signs with HMAC and the provider's public key, which everybody has: the classic confusion of algorithms."""

    def sign(header: dict[str, Any], claims: dict[str, Any]) -> str:
        public = next(iter(provider.keys.values())).as_pem(private=False)
        signed = b".".join(_b64(json.dumps(part).encode()) for part in ({**header, "alg": "HS256"}, claims))
        return b".".join((signed, _b64(hmac.digest(public, signed, "sha256")))).decode()

    return sign


def _b64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
