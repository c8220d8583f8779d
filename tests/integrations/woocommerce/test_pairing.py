"""The pairing protocol: what is believed, and everything that must not be."""

from __future__ import annotations

import base64
import hashlib
import hmac

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.woocommerce import identity, pairing
from integrations.woocommerce.client import Keys
from integrations.woocommerce.pairing import PairingError

NOW = 1_795_300_000
SECRET = base64.urlsafe_b64encode(bytes(range(32))).decode().rstrip("=")
KEYS = pairing.derive_keys(SECRET)
BODY = b'{"events":[]}'
PATH = "/webhooks/woocommerce/0190/cart"


def hkdf(info: bytes, salt: bytes = bytes(32)) -> bytes:
    """RFC 5869 by hand, for one block: extract (an absent salt is zeros), expand once."""
    extracted = hmac.new(salt, bytes(range(32)), hashlib.sha256).digest()
    return hmac.new(extracted, info + b"\x01", hashlib.sha256).digest()


def test_keys_are_plain_hkdf_and_all_different() -> None:
    assert hkdf(b"ahlan requests") == KEYS.requests
    assert hkdf(b"ahlan identity") == KEYS.identity
    assert hkdf(b"ahlan agent") == KEYS.agent
    assert len({KEYS.requests, KEYS.identity, KEYS.agent}) == 3


@pytest.mark.parametrize("secret", ["", "short", "a" * 42, "a" * 44, "!" * 43, "נ" * 43])
def test_only_256_bits_are_a_secret(secret: str) -> None:
    with pytest.raises(PairingError):
        pairing.derive_keys(secret)
    assert len(pairing.new_secret()) == 43


def test_a_renewed_secret_comes_from_the_old_one_and_the_salt() -> None:
    salt = bytes(range(100, 132))
    sent = base64.urlsafe_b64encode(salt).rstrip(b"=").decode()
    expected = base64.urlsafe_b64encode(hkdf(b"ahlan rotation", salt)).rstrip(b"=").decode()
    assert pairing.renewed(SECRET, sent) == expected
    pairing.derive_keys(expected)
    for bad in ("", sent[:-1], f"{sent}A"):
        with pytest.raises(PairingError):
            pairing.renewed(SECRET, bad)


def test_the_signature_is_what_the_documentation_says() -> None:
    text = f"POST\n{PATH}\n{NOW}\nnonce-nonce-nonce\n{hashlib.sha256(BODY).hexdigest()}"
    expected = hmac.new(KEYS.requests, text.encode(), hashlib.sha256).hexdigest()
    given = pairing.sign(KEYS.requests, method="post", path=PATH, timestamp=NOW, nonce="nonce-nonce-nonce", body=BODY)
    assert given == expected


def verified(
    headers: dict[str, str], *, method: str = "POST", path: str = PATH, body: bytes = BODY, now: float = NOW
) -> str:
    return pairing.verify(
        KEYS.requests,
        method=method,
        path=path,
        timestamp=headers.get(pairing.TIMESTAMP_HEADER),
        nonce=headers.get(pairing.NONCE_HEADER),
        signature=headers.get(pairing.SIGNATURE_HEADER),
        body=body,
        now=now,
    )


def signed() -> dict[str, str]:
    return pairing.signed_headers(KEYS.requests, method="POST", path=PATH, timestamp=NOW, body=BODY)


def test_a_good_request_gives_its_nonce() -> None:
    headers = signed()
    assert verified(headers) == headers[pairing.NONCE_HEADER]
    assert verified(headers, now=NOW + 300) == verified(headers, now=NOW - 300)


def code(headers: dict[str, str], **changes: object) -> str:
    with pytest.raises(PairingError) as caught:
        verified(headers, **changes)
    return caught.value.code


def test_every_part_is_signed() -> None:
    headers = signed()
    assert code(headers, method="GET") == "forged"
    assert code(headers, path=f"{PATH}?x=1") == "forged"
    assert code(headers, body=BODY + b" ") == "forged"
    assert code({**headers, pairing.NONCE_HEADER: pairing.new_nonce()}) == "forged"
    assert code({**headers, pairing.TIMESTAMP_HEADER: str(NOW + 1)}) == "forged"
    assert code(headers, now=NOW + 301) == "stale"
    assert code(headers, now=NOW - 301) == "stale"
    for name in headers:
        assert code({key: value for key, value in headers.items() if key != name}) == "missing"


@given(st.text(max_size=40), st.text(max_size=70), st.text(max_size=20))
def test_nothing_that_a_stranger_sends_crashes_or_passes(nonce: str, signature: str, timestamp: str) -> None:
    with pytest.raises(PairingError):
        verified(
            {
                pairing.NONCE_HEADER: nonce,
                pairing.SIGNATURE_HEADER: signature,
                pairing.TIMESTAMP_HEADER: timestamp,
            }
        )


def token(now: int = NOW, lifetime: int = 900) -> str:
    return pairing.shopper_token(
        KEYS, site="https://a.example", store="st_a", customer_id="7", email="a@example.com", name="نور", locale="ar",
        now=now, lifetime=lifetime,
    )  # fmt: skip


def test_a_shopper_token_says_who() -> None:
    known = identity.shopper(token(), secrets=[SECRET], public_key="st_a", now=NOW + 5)
    assert known is not None
    assert (known.customer_id, known.email, known.name, known.locale) == ("7", "a@example.com", "نور", "ar")


def forge(key: bytes | None = KEYS.identity, algorithm: str = "HS256", **changes: object) -> str:
    claims = {"iss": "x", "aud": "ahlan", "store": "st_a", "sub": "7", "iat": NOW, "exp": NOW + 900, **changes}
    return jwt.encode({name: value for name, value in claims.items() if value is not None}, key, algorithm=algorithm)


@pytest.mark.parametrize(
    "bad",
    [
        forge(KEYS.agent),
        forge(KEYS.requests),
        forge(None, algorithm="none"),
        forge(algorithm="HS512"),
        forge(aud="else"),
        forge(store="st_b"),
        forge(sub=None),
        forge(sub=""),
        forge(sub="7 OR 1"),
        forge(sub="0"),
        forge(exp=None),
        forge(iat=None),
        forge(exp=NOW + 901),
        forge(iat=NOW + 60, exp=NOW + 200),
        forge(iat=NOW - 2000, exp=NOW - 1100),
        forge(exp=True),
        "",
        "a.b.c",
        "نور",
    ],
)  # fmt: skip
def test_tokens_that_are_not_believed(bad: str) -> None:
    assert identity.shopper(bad, secrets=[SECRET], public_key="st_a", now=NOW) is None


def test_a_shopper_is_no_agent_and_an_agent_no_shopper() -> None:
    agent = pairing.agent_token(
        KEYS, site="https://a.example", store="st_a", user_id="1", email="o@example.com", name="Rania", locale="ar",
        administrator=True, now=NOW,
    )  # fmt: skip
    known = identity.agent(agent, secrets=[SECRET], public_key="st_a", now=NOW)
    assert known is not None
    assert (known.user_id, known.administrator) == ("1", True)
    assert identity.shopper(agent, secrets=[SECRET], public_key="st_a", now=NOW) is None
    assert identity.agent(token(), secrets=[SECRET], public_key="st_a", now=NOW) is None
    assert identity.agent(agent, secrets=[SECRET], public_key="st_a", now=NOW + 80) is None
    assert pairing.unverified_store(agent) == "st_a"
    assert pairing.unverified_store("garbage") is None


def test_secrets_do_not_show_themselves() -> None:
    assert SECRET not in repr(KEYS)
    assert "cs_secret" not in repr(Keys("ck_key", "cs_secret"))
    assert "ck_key" not in repr(Keys("ck_key", "cs_secret"))
