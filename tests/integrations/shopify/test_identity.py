"""Signatures, tokens and names: vectors, our reading beside the official libraries', and what must never pass."""

import base64
import time
from typing import Any
from urllib.parse import quote, urlencode

import jwt
import pytest
import shopify
from hypothesis import given
from hypothesis import strategies as st
from shopify import session_token
from shopify.utils.shop_url import sanitize_shop_domain
from shopify_app import verify_app_proxy_req

from integrations.shopify import identity
from integrations.shopify.identity import Refused

SECRET, OLD, CLIENT = "a-client-secret-of-a-decent-length-0", "the-one-before-that-was-as-long-00001", "client-id"
SHOP = "acme.myshopify.com"
NOW = 1_795_300_800

pytestmark = pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")


# --- names ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["acme.myshopify.com", "a.myshopify.com", "a-1.myshopify.com", "ACME.MyShopify.com"])
def test_shop_names_pass_lower_cased(name: str) -> None:
    assert identity.shop_domain(name) == name.lower()


@pytest.mark.parametrize(
    "name",
    [
        "", ".myshopify.com", "-a.myshopify.com", "a-.myshopify.com", "a_b.myshopify.com", "a.b.myshopify.com",
        "acme.myshopify.com\n", " acme.myshopify.com", "acme.myshopify.com/", "https://acme.myshopify.com",
        "acme.myshopify.com.evil.com", "acme.myshopify.com@evil.com", "evil.com", "evil.com#.myshopify.com",
        "evil.com/.myshopify.com", "acme.myshopify.io", "acmemyshopify.com", "acme.myshopify.com:443",
        "ácme.myshopify.com", "аcme.myshopify.com", "acme.myshopify.com\x00", "a" * 250 + ".myshopify.com", None, 7,
        "ſhop.myshopify.com", "İ.myshopify.com",
        # Names of one letter pass by our own pattern alone, so its two ends are tried with them.
        "a.myshopify.com.evil.com", "a.myshopify.com\n", "a.myshopify.com/x", "x a.myshopify.com",
    ],
)  # fmt: skip
def test_everything_else_is_no_shop(name: object) -> None:
    assert identity.shop_domain(name) is None


@given(
    st.text(alphabet="aZ09-_.@/:\n\x00 éя", max_size=12), st.sampled_from(["", ".myshopify.com", ".myshopify.com\n"])
)
def test_shop_names_agree_with_shopifyapi(start: str, end: str) -> None:
    name = start + end
    ours = identity.shop_domain(name)
    if ours is not None and ours.index(".") > 1:
        assert sanitize_shop_domain(name) == ours
    if ours is None and identity._SHOP.fullmatch(name):
        assert sanitize_shop_domain(name) != name


def test_gid() -> None:
    assert identity.gid("Order", 7) == identity.gid("Order", "gid://shopify/Order/7") == "gid://shopify/Order/7"
    assert identity.gid("Order", None) == identity.gid("Order", "") == ""


def test_frame_ancestors_name_one_shop_and_refuse_what_is_none() -> None:
    assert identity.frame_ancestors(SHOP) == (f"https://{SHOP}", "https://admin.shopify.com")
    for name in ("evil.com; script-src *", "*.myshopify.com", "ACME.myshopify.com"):
        with pytest.raises(Refused):
            identity.frame_ancestors(name)


def _host(address: str) -> str:
    return base64.b64encode(address.encode()).decode().rstrip("=")


def test_the_way_back_leads_into_shopifys_admin_only() -> None:
    assert identity.admin_url(_host("admin.shopify.com/store/acme")) == "https://admin.shopify.com/store/acme"
    assert identity.admin_url(_host("acme.myshopify.com/admin")) == "https://acme.myshopify.com/admin"
    for bad in (
        "evil.com", "admin.shopify.com.evil.com", "evil.com/admin.shopify.com", "admin.shopify.com@evil.com",
        "admin.shopify.com/..//evil.com", "admin.shopify.com/?x", "admin.shopify.com\n", "shopify.com#",
    ):  # fmt: skip
        assert identity.admin_url(_host(bad)) is None, bad
    assert identity.admin_url("***") is None
    assert identity.admin_url("") is None
    assert identity.admin_url(_host("admin.shopify.com/störe")) is None


# --- scopes ---------------------------------------------------------------------------------------------------------


def test_writing_implies_reading_but_not_the_other_way_round() -> None:
    assert identity.missing_scopes(["read_orders"], ["write_orders"]) == []
    assert identity.missing_scopes(["write_orders"], ["read_orders"]) == ["write_orders"]
    assert identity.missing_scopes(["read_all_orders"], ["read_orders", "write_orders"]) == ["read_all_orders"]
    assert identity.missing_scopes(["unauthenticated_read_x"], ["write_x"]) == ["unauthenticated_read_x"]


def test_a_scope_nobody_can_read_harms_nothing() -> None:
    assert identity.missing_scopes(["read_orders"], ["customer-account-api:full", "read_orders"]) == []
    assert identity.split_scopes(" write_b,read_a read_a ,") == ["read_a", "write_b"]


# --- callback hmac --------------------------------------------------------------------------------------------------


def _launch(parameters: dict[str, str], secret: str = SECRET) -> bytes:
    message = identity.oauth_message(list(parameters.items()))
    return urlencode({**parameters, "hmac": identity.sign_hex(message, secret)}).encode()


def test_callback_vector() -> None:
    pairs = [("code", "0907a61c0c8d55e99db179b68161bc00"), ("shop", "some-shop.myshopify.com"),
             ("timestamp", "1337178173")]  # fmt: skip
    digest = "4712bf92ffc2917d15a2f5a273e39f0116667419aa4b6ac0b3baaf26fa3c4d20"
    assert identity.sign_hex(identity.oauth_message(pairs), "hush") == digest
    query = urlencode([*pairs, ("hmac", digest)]).encode()
    assert identity.launch(query, ["hush"], 1337178173)["shop"] == "some-shop.myshopify.com"


_WORDS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=12)


@given(
    st.dictionaries(_WORDS.filter(lambda name: name not in {"hmac", "signature"} and not name.endswith("]")), _WORDS)
)
def test_callback_signature_agrees_with_shopifyapi(parameters: dict[str, str]) -> None:
    shopify.Session.setup(api_key=CLIENT, secret=SECRET)
    pairs = list(parameters.items())
    assert identity.sign_hex(identity.oauth_message(pairs), SECRET) == shopify.Session.calculate_hmac(parameters)
    assert shopify.Session.validate_hmac(
        {**parameters, "hmac": identity.sign_hex(identity.oauth_message(pairs), SECRET)}
    )


def test_callback_with_a_list_agrees_with_shopifyapi() -> None:
    shopify.Session.setup(api_key=CLIENT, secret=SECRET)
    pairs = [("ids[]", "1"), ("ids[]", "2"), ("shop", SHOP)]
    assert identity.oauth_message(pairs) == f'ids=["1", "2"]&shop={SHOP}'
    ours = identity.sign_hex(identity.oauth_message(pairs), SECRET)
    assert ours == shopify.Session.calculate_hmac({"ids[]": ["1", "2"], "shop": SHOP})


def test_a_launch_under_either_secret_passes() -> None:
    parameters = {"shop": SHOP, "timestamp": str(NOW), "host": "aG9zdA"}
    assert identity.launch(_launch(parameters), [SECRET, OLD], NOW)["host"] == "aG9zdA"
    assert identity.launch(_launch(parameters, OLD), [SECRET, OLD], NOW + 90)["shop"] == SHOP


@pytest.mark.parametrize(
    ("query", "now", "reason"),
    [
        (_launch({"shop": SHOP, "timestamp": str(NOW)}, "wrong"), NOW, "hmac"),
        (_launch({"shop": SHOP, "timestamp": str(NOW)}), NOW + 91, "timestamp"),
        (_launch({"shop": SHOP, "timestamp": str(NOW)}), NOW - 91, "timestamp"),
        (_launch({"shop": SHOP, "timestamp": "abc"}), NOW, "timestamp"),
        (_launch({"shop": SHOP, "timestamp": "١٧٩٥٣٠٠٨٠٠"}), NOW, "timestamp"),
        (_launch({"shop": SHOP}), NOW, "timestamp"),
        (_launch({"shop": "evil.com", "timestamp": str(NOW)}), NOW, "shop"),
        (_launch({"timestamp": str(NOW)}), NOW, "shop"),
        (_launch({"shop": SHOP, "timestamp": str(NOW)}) + b"&shop=evil.myshopify.com", NOW, "repeated"),
        (_launch({"shop": SHOP, "timestamp": str(NOW)}) + b"&extra=1", NOW, "hmac"),
        (b"shop=acme.myshopify.com&hmac=%ff%fe", NOW, "hmac"),
        ("shop=acme.myshopify.com&hmac=é".encode(), NOW, "hmac"),
        (b"\xff\xfe&hmac=\xff", NOW, "hmac"),
        (b"", NOW, "hmac"),
        (b"&".join(b"a=%d" % n for n in range(500)), NOW, "query"),
    ],
)
def test_a_launch_that_is_refused(query: bytes, now: float, reason: str) -> None:
    with pytest.raises(Refused) as refused:
        identity.launch(query, [SECRET, OLD], now)
    assert refused.value.reason == reason


def test_without_a_configured_secret_nothing_passes() -> None:
    with pytest.raises(Refused):
        identity.launch(_launch({"shop": SHOP, "timestamp": str(NOW)}, ""), [], NOW)


@given(st.binary(max_size=60))
def test_any_bytes_in_a_query_are_refused_not_crashed_on(query: bytes) -> None:
    for read in (lambda: identity.launch(query, [SECRET], NOW), lambda: identity.proxy(query, [SECRET], NOW)):
        with pytest.raises(Refused):
            read()


# --- app proxy ------------------------------------------------------------------------------------------------------


def _proxied(pairs: list[tuple[str, str]], secret: str = SECRET) -> bytes:
    return urlencode([*pairs, ("signature", identity.sign_hex(identity.proxy_message(pairs), secret))]).encode()


def _proxy_pairs(customer: str = "7", timestamp: int = NOW, shop: str = SHOP) -> list[tuple[str, str]]:
    return [("shop", shop), ("logged_in_customer_id", customer), ("path_prefix", "/apps/support"),
            ("timestamp", str(timestamp))]  # fmt: skip


def test_proxy_vector() -> None:
    pairs = [("extra", "1"), ("extra", "2"), ("shop", "shop-name.myshopify.com"), ("logged_in_customer_id", "1"),
             ("path_prefix", "/apps/awesome_reviews"), ("timestamp", "1317327555")]  # fmt: skip
    digest = "4c68c8624d737112c91818c11017d24d334b524cb5c2b8ba08daa056f7395ddb"
    assert identity.sign_hex(identity.proxy_message(pairs), "hush") == digest
    asked = identity.proxy(urlencode([*pairs, ("signature", digest)]).encode(), ["hush"], 1317327555)
    assert asked.customer_external_id == "gid://shopify/Customer/1"
    assert asked.path_prefix == "/apps/awesome_reviews"


def test_a_guest_is_unknown_and_not_refused() -> None:
    asked = identity.proxy(_proxied(_proxy_pairs(customer="")), [SECRET], NOW)
    assert (asked.shop, asked.customer_external_id) == (SHOP, "")


def test_a_shoppers_own_parameters_of_any_spelling_are_signed_too() -> None:
    own = [("consentGiven", "1"), ("consented", "2"), ("_x", "ñ"), ("UP", "a b+c"), ("tags", "x"), ("tags", "")]
    assert identity.proxy(_proxied([*own, *_proxy_pairs()], OLD), [SECRET, OLD], NOW).shop == SHOP


def test_raw_bytes_come_back_as_they_were_signed() -> None:
    query = "&".join(f"{quote(key)}={quote(value)}" for key, value in _proxy_pairs()) + "&x=%ff%00"
    pairs = identity.query_pairs(query.encode())
    signed = f"{query}&signature={identity.sign_hex(identity.proxy_message(pairs), SECRET)}"
    assert identity.proxy(signed.encode(), [SECRET], NOW).shop == SHOP


@pytest.mark.parametrize("name", ["shop", "logged_in_customer_id", "path_prefix", "timestamp", "signature"])
def test_what_shopify_adds_must_be_there_once(name: str) -> None:
    """The shopper wrote a second one and Shopify signed it along: the official library returns the first."""
    pairs = _proxy_pairs()
    signed = _proxied([(name, "1"), *pairs])
    with pytest.raises(Refused) as twice:
        identity.proxy(signed, [SECRET], NOW)
    query = "&".join(part for part in _proxied(pairs).decode().split("&") if not part.startswith(f"{name}="))
    with pytest.raises(Refused) as never:
        identity.proxy(query.encode(), [SECRET], NOW)
    assert twice.value.reason == never.value.reason == name


@pytest.mark.parametrize(
    ("query", "now", "reason"),
    [
        (_proxied(_proxy_pairs(), "wrong"), NOW, "signature"),
        (_proxied(_proxy_pairs()), NOW + 91, "timestamp"),
        (_proxied(_proxy_pairs()), NOW - 91, "timestamp"),
        (_proxied(_proxy_pairs(shop="evil.com")), NOW, "shop"),
        (_proxied(_proxy_pairs(customer="7 or 1=1")), NOW, "logged_in_customer_id"),
        (_proxied(_proxy_pairs()).replace(b"_id=7", b"_id=8"), NOW, "signature"),
        (_proxied(_proxy_pairs())[:-64] + "é".encode() * 32, NOW, "signature"),
    ],
)
def test_a_proxied_request_that_is_refused(query: bytes, now: float, reason: str) -> None:
    with pytest.raises(Refused) as refused:
        identity.proxy(query, [SECRET, OLD], now)
    assert refused.value.reason == reason


@given(st.lists(st.tuples(_WORDS, _WORDS), max_size=5))
def test_proxy_signature_agrees_with_shopifys_python_library(own: list[tuple[str, str]]) -> None:
    reserved = {"shop", "logged_in_customer_id", "path_prefix", "timestamp", "signature"}
    own = [(key, value) for key, value in own if key not in reserved]
    now = int(time.time())
    query = _proxied([*own, *_proxy_pairs(timestamp=now)])
    theirs = verify_app_proxy_req(
        {"method": "GET", "headers": {}, "url": f"https://app.example.com/proxy/x?{query.decode()}", "body": ""},
        {"client_id": CLIENT, "client_secret": SECRET},
    )
    assert theirs.ok
    assert identity.proxy(query, [SECRET], now).customer_external_id.endswith(str(theirs.logged_in_customer_id))


# --- ID tokens ------------------------------------------------------------------------------------------------------


def _claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    claims: dict[str, Any] = {
        "iss": f"https://{SHOP}/admin", "dest": f"https://{SHOP}", "aud": CLIENT, "sub": "42", "exp": now + 60,
        "nbf": now, "iat": now, "jti": "a-b-c", "sid": "s-1", "sig": "x",
    } | changes  # fmt: skip
    return {name: value for name, value in claims.items() if value is not None}


def _token(secret: str = SECRET, algorithm: str = "HS256", **changes: Any) -> str:
    return jwt.encode(_claims(**changes), secret, algorithm=algorithm)


def test_a_good_token_names_shop_and_person() -> None:
    staff = identity.staff(_token(), CLIENT, [SECRET, OLD])
    assert (staff.shop, staff.staff_id, staff.session_id) == (SHOP, "42", "s-1")
    assert identity.staff(_token(OLD), CLIENT, [SECRET, OLD]).shop == SHOP


def test_clocks_may_differ_by_ten_seconds() -> None:
    now = int(time.time())
    assert identity.staff(_token(nbf=now + 8, iat=now + 8), CLIENT, [SECRET])
    assert identity.staff(_token(exp=now - 8), CLIENT, [SECRET])


_FORGED = {
    "another secret": {"secret": "another-secret-that-is-long-enough-000"},
    "another app": {"aud": "somebody-else"},
    "two audiences, none ours": {"aud": ["x", "y"]},
    "no audience": {"aud": None},
    "no exp": {"exp": None},
    "no nbf": {"nbf": None},
    "no iat": {"iat": None},
    "no dest": {"dest": None},
    "no iss": {"iss": None},
    "no sub": {"sub": None},
    "empty sub": {"sub": ""},
    "no sid": {"sid": None},
    "expired": {"exp": int(time.time()) - 11},
    "not yet": {"nbf": int(time.time()) + 100_000, "exp": int(time.time()) + 200_000},
    "another issuer": {"iss": "https://evil.myshopify.com/admin"},
    "another destination": {"dest": "https://evil.myshopify.com"},
    "no shop at all": {"iss": "https://evil.com/admin", "dest": "https://evil.com"},
    "a lookalike": {"iss": "https://acme.myshopify.com.evil.com/", "dest": "https://acme.myshopify.com.evil.com"},
    "user info": {"iss": "https://acme.myshopify.com@evil.com/", "dest": "https://acme.myshopify.com@evil.com"},
    "not https": {"iss": "http://acme.myshopify.com/admin", "dest": "http://acme.myshopify.com"},
    "not text": {"dest": 7},
    "exp is text": {"exp": "tomorrow"},
    "another algorithm": {"algorithm": "HS512"},
}


@pytest.mark.parametrize("name", _FORGED)
def test_a_token_that_must_not_open_the_panel(name: str) -> None:
    with pytest.raises(Refused):
        identity.staff(_token(**_FORGED[name]), CLIENT, [SECRET, OLD])


def test_a_token_without_signature_is_refused() -> None:
    unsigned = jwt.encode(_claims(), "", algorithm="none")
    for token in (unsigned, unsigned + "x", "", "a.b.c", "é.é.é", "Bearer " + _token(), " "):
        with pytest.raises(Refused):
            identity.staff(token, CLIENT, [SECRET])


@given(st.text(max_size=40))
def test_no_text_crashes_the_token_readers(token: str) -> None:
    for read in (identity.staff, identity.account_customer):
        with pytest.raises(Refused):
            read(token, CLIENT, [SECRET, OLD])


@given(
    st.dictionaries(
        st.sampled_from(["iss", "dest", "aud", "sub", "exp", "nbf", "iat", "sid"]),
        st.one_of(st.none(), st.integers(0, 2**40), st.text(max_size=5), st.booleans(), st.just(f"https://{SHOP}")),
        max_size=3,
    )
)
def test_we_never_believe_a_token_that_shopifyapi_refuses(changes: dict[str, Any]) -> None:
    try:
        token = _token(**changes)
    except TypeError:
        return
    try:
        ours = identity.staff(token, CLIENT, [SECRET])
    except Refused:
        return
    theirs = session_token.decode_from_header(f"Bearer {token}", CLIENT, SECRET)
    assert theirs["dest"] == f"https://{ours.shop}"


def test_shopifyapi_alone_would_take_an_endless_token() -> None:
    """Why the claims are demanded here: the day this fails, ShopifyAPI demands them itself."""
    endless = _token(exp=None, nbf=None)
    assert session_token.decode_from_header(f"Bearer {endless}", CLIENT, SECRET)
    with pytest.raises(Refused):
        identity.staff(endless, CLIENT, [SECRET])


# --- customer accounts ----------------------------------------------------------------------------------------------


def test_a_customer_account_token_names_the_customer() -> None:
    signed_in = _token(OLD, dest=SHOP, sub="gid://shopify/Customer/7", iss=None, sid=None)
    assert (
        identity.account_customer(signed_in, CLIENT, [SECRET, OLD]).customer_external_id == "gid://shopify/Customer/7"
    )
    guest = identity.account_customer(_token(dest=f"https://{SHOP}", sub=None), CLIENT, [SECRET])
    assert (guest.shop, guest.customer_external_id) == (SHOP, "")


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "somebody-else"}, {"aud": None}, {"dest": "evil.com"}, {"dest": None}, {"sub": "gid://shopify/Order/7"},
        {"sub": "7"}, {"exp": None}, {"nbf": None}, {"iat": None}, {"exp": 1}, {"secret": OLD + OLD},
    ],
)  # fmt: skip
def test_a_customer_account_token_that_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        identity.account_customer(
            _token(**{"dest": SHOP, "sub": "gid://shopify/Customer/7"} | changes), CLIENT, [SECRET]
        )
