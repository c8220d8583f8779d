"""Believing an OpenID provider: what it has to say, and everything that must not be believed."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import httpx
import pytest

from plugin.kernel import config
from plugin.kernel.config import Oidc
from plugin.kernel.errors import SetupError
from plugin.kernel.http import Http
from plugin.kernel.oidc import LEEWAY, OidcError, Person, Provider
from tests.kernel.provider import CLIENT, ISSUER, REDIRECT, SECRET, OpenIdProvider, with_the_public_key

SETTINGS = Oidc(ISSUER, CLIENT, SECRET, "Example ID")


@pytest.fixture
def wire() -> OpenIdProvider:
    return OpenIdProvider()


@pytest.fixture
def provider(wire: OpenIdProvider) -> Provider:
    return Provider(Http(transport=wire.transport()), SETTINGS)


async def sign_in(
    wire: OpenIdProvider, provider: Provider, claims: dict[str, Any] | None = None, **change: str
) -> Person:
    begun = await provider.begin(REDIRECT)
    back = wire.authorize(begun.url, "subject-1", **(claims or {}))
    assert back["state"] == begun.state
    told = {"code": back["code"], "verifier": begun.verifier, "nonce": begun.nonce, "issuer": back["iss"], **change}
    return await provider.redeem(told.pop("code"), redirect_uri=REDIRECT, **told)


async def test_a_person_is_issuer_and_subject_and_the_rest_is_for_showing(
    wire: OpenIdProvider, provider: Provider
) -> None:
    person = await sign_in(wire, provider, {"name": "Noa Levi", "email": "noa@shop.example"})
    assert person == Person(ISSUER, "subject-1", "Noa Levi", "noa@shop.example", proven_twice=False)
    twice = await sign_in(wire, provider, {"amr": ["pwd", "mfa"]})
    assert twice.proven_twice
    assert not (await sign_in(wire, provider, {"amr": ["pwd"]})).proven_twice


async def test_each_sign_in_has_its_own_state_nonce_and_verifier(provider: Provider) -> None:
    one, other = await provider.begin(REDIRECT), await provider.begin(REDIRECT)
    values = {one.state, one.nonce, one.verifier, other.state, other.nonce, other.verifier}
    assert len(values) == 6
    assert all(len(value) >= 43 for value in values)
    assert one.verifier not in one.url


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://id.example/other"}, {"iss": ISSUER + "/"}, {"iss": None}, {"aud": "another client"},
        {"aud": ["another client"]}, {"aud": [CLIENT, "another"], "azp": "another"}, {"aud": [CLIENT, "another"]},
        {"azp": "another"}, {"aud": None}, {"exp": -LEEWAY - 5}, {"exp": None}, {"exp": "soon"},
        {"iat": None}, {"iat": 3600}, {"nbf": 3600}, {"nonce": "another"},
        {"nonce": None}, {"sub": None}, {"sub": ""}, {"sub": 7}, {"sub": "x" * 256}, {"at_hash": "another"},
        {"amr": "mfa"},
    ],
    ids=str,
)  # fmt: skip
async def test_a_token_that_says_the_wrong_thing_is_not_believed(
    wire: OpenIdProvider, provider: Provider, claims: dict[str, Any]
) -> None:
    def spoil(said: dict[str, Any]) -> None:
        # Moments are said from now: what they are when the test runs names no test.
        now = int(time.time())
        said.update({name: now + value if isinstance(value, int) and name != "sub" else value
                     for name, value in claims.items()})  # fmt: skip
        for name in [name for name, value in claims.items() if value is None]:
            del said[name]

    wire.change = spoil
    with pytest.raises(OidcError):
        await sign_in(wire, provider)


def unsigned(header: dict[str, Any], claims: dict[str, Any]) -> str:
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
             for part in ({**header, "alg": "none"}, claims)]  # fmt: skip
    return ".".join([*parts, ""])


async def test_a_token_that_anybody_could_have_signed_is_not_believed(wire: OpenIdProvider, provider: Provider) -> None:
    for sign in (unsigned, with_the_public_key(wire), lambda header, claims: "garbage", lambda header, claims: "a.b.c"):
        wire.sign = sign
        with pytest.raises(OidcError):
            await sign_in(wire, provider)


async def test_a_key_that_the_provider_never_showed_is_not_believed(wire: OpenIdProvider, provider: Provider) -> None:
    stranger = OpenIdProvider()
    wire.sign = lambda header, claims: stranger._signed(claims)
    with pytest.raises(OidcError):
        await sign_in(wire, provider)


@pytest.mark.parametrize("kind", ["RSA", "EC"])
async def test_keys_that_rotate_are_read_again_once(
    wire: OpenIdProvider, provider: Provider, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sign_in(wire, provider)
    await sign_in(wire, provider)
    assert wire.asked.count("/keys") == 1, "kept"
    wire.rotate("second", kind)
    with pytest.raises(OidcError):
        await sign_in(wire, provider)
    assert wire.asked.count("/keys") == 1, "a made-up key id must not make us ask at every try"
    later = time.monotonic() + 31
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert (await sign_in(wire, provider)).subject == "subject-1"
    assert wire.asked.count("/keys") == 2


async def test_without_a_key_id_it_counts_where_one_key_can_be_meant(wire: OpenIdProvider, provider: Provider) -> None:
    wire.header = {"kid": None}
    assert (await sign_in(wire, provider)).subject == "subject-1"
    two = OpenIdProvider(header={"kid": None})
    two.keys |= {"other": OpenIdProvider().keys["first"]}
    with pytest.raises(OidcError):
        await sign_in(two, Provider(Http(transport=two.transport()), SETTINGS))


@pytest.mark.parametrize(
    "change",
    [{"verifier": "another" * 8}, {"nonce": "another"}, {"issuer": "https://evil.example"}, {"issuer": ""},
     {"code": "made up"}],
    ids=str,
)  # fmt: skip
async def test_what_does_not_belong_to_this_sign_in_is_refused(
    wire: OpenIdProvider, provider: Provider, change: dict[str, str]
) -> None:
    with pytest.raises(OidcError):
        await sign_in(wire, provider, **change)


async def test_a_code_is_redeemed_once(wire: OpenIdProvider, provider: Provider) -> None:
    begun = await provider.begin(REDIRECT)
    back = wire.authorize(begun.url, "subject-1")
    told = {"redirect_uri": REDIRECT, "verifier": begun.verifier, "nonce": begun.nonce, "issuer": back["iss"]}
    await provider.redeem(back["code"], **told)
    with pytest.raises(OidcError):
        await provider.redeem(back["code"], **told)


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": "https://evil.example"}, {"issuer": None}, {"token_endpoint": "http://id.example/token"},
        {"jwks_uri": "file:///etc/passwd"}, {"authorization_endpoint": "javascript:alert(1)"}, {"jwks_uri": None},
    ],
    ids=str,
)  # fmt: skip
async def test_a_document_that_leads_elsewhere_is_not_followed(
    wire: OpenIdProvider, provider: Provider, change: dict[str, Any]
) -> None:
    wire.metadata.update(change)
    with pytest.raises(OidcError):
        await provider.begin(REDIRECT)


async def test_a_provider_that_is_away_is_told_from_one_that_refuses(wire: OpenIdProvider, provider: Provider) -> None:
    wire.down = True
    with pytest.raises(OidcError) as away:
        await provider.begin(REDIRECT)
    assert away.value.reason == "unreachable"
    wire.down = False
    wrong = Provider(Http(transport=wire.transport()), Oidc(ISSUER, CLIENT, "not the secret", "x"))
    with pytest.raises(OidcError) as refused:
        await sign_in(wire, wrong)
    assert refused.value.reason == "refused"


async def test_the_guard_holds_for_the_provider_too() -> None:
    inside = Provider(Http(), Oidc("https://127.0.0.1", "x", "y", "z"))
    with pytest.raises(OidcError):
        await inside.begin(REDIRECT)


async def test_a_secret_that_the_provider_wants_in_the_form_goes_there(wire: OpenIdProvider) -> None:
    wire.metadata["token_endpoint_auth_methods_supported"] = ["client_secret_post"]
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return wire.answer(request)

    provider = Provider(Http(transport=httpx.MockTransport(answer)), SETTINGS)
    with pytest.raises(OidcError):
        await sign_in(wire, provider)
    assert "authorization" not in seen[-1].headers
    assert b"client_secret=s3cret%2F%2B" in seen[-1].content


def test_settings_name_the_provider_whole_or_not_at_all() -> None:
    env = {"AHLAN_OIDC_ISSUER": ISSUER, "AHLAN_OIDC_CLIENT_ID": CLIENT}
    assert config.load(env).oidc.name == "id.example"
    assert not config.load({}).oidc
    with pytest.raises(SetupError):
        config.load({"AHLAN_OIDC_ISSUER": ISSUER})
    with pytest.raises(SetupError):
        config.load({**env, "AHLAN_OIDC_ISSUER": "http://id.example", "AHLAN_PUBLIC_URL": "https://a.example"})
