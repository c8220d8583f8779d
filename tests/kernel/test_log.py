"""Nothing secret reaches a log line, whichever way it is logged."""

from __future__ import annotations

import io
import json
import logging
import time
from collections.abc import Iterator
from datetime import datetime

import pytest
import structlog

from plugin.kernel.log import HIDDEN, configure, redact, redact_text, request_id

_JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure(format="json", level="info", stream=stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Authorization: Bearer abcdefgh12345678", "abcdefgh12345678"),
        ("Basic Y2tfYWJjOmNzX2RlZg==", "Y2tfYWJjOmNzX2RlZg=="),
        ("token shpat_0123456789abcdef0123456789abcdef is bad", "shpat_0123456789abcdef"),
        ("ck_0123456789abcdef0123456789abcdef01234567", "ck_0123456789"),
        ("cs_0123456789abcdef0123456789abcdef01234567", "cs_0123456789"),
        ("vs_AbCdEfGhIjKlMnOpQrSt", "AbCdEfGh"),
        (f"session {_JWT} expired", "eyJhbGci"),
        ("GET /auth?code=0907a61c0c8d55e9&shop=a.myshopify.com", "0907a61c"),
        ("GET /x?hmac=700e2dadb827fcc8609e9d5ce208b2e9", "700e2dad"),
        ("postgresql://ahlan:hunter22@db/ahlan", "hunter22"),
        ('{"access_token": "f85632530bf277ec9ac6f649fc327f17"}', "f85632530bf"),
        ("consumer_secret='0123456789'", "0123456789"),
    ],
)
def test_secrets_in_text(text: str, secret: str) -> None:
    redacted = redact_text(text)
    assert secret not in redacted
    assert HIDDEN in redacted


@pytest.mark.parametrize(
    "text",
    ["Order #1001 was paid", "POST /webhooks/shopify 200", "the token expired", "secret: no", "gid://shopify/Order/1"],
)
def test_ordinary_text_stays(text: str) -> None:
    assert redact_text(text) == text


def test_telling_names_hide_their_value_at_any_depth() -> None:
    assert redact({"a": [{"Authorization": "x y"}, {"client_secret": ["z"]}], "token": "", "store_id": 7}) == {
        "a": [{"Authorization": HIDDEN}, {"client_secret": HIDDEN}],
        "token": "",
        "store_id": 7,
    }


def test_addresses_and_numbers_of_people_are_not_told() -> None:
    assert redact_text("mail to dana.levi@example.co.il failed") == "mail to [e-mail] failed"
    assert redact_text("no answer from +972 50-123 4567 yet") == "no answer from [phone] yet"
    assert redact_text("2026-11-22T09:00:00+00:00 took 20 s") == "2026-11-22T09:00:00+00:00 took 20 s"


@pytest.mark.parametrize("said", ["Dana Levi", 'Dana "the boss" Levi', "Dana\nLevi", "O'Hara, Dana Levi"])
def test_what_a_fault_quotes_is_not_told(stream: io.StringIO, said: str) -> None:
    try:
        datetime.fromisoformat(said)
    except ValueError as error:
        structlog.get_logger("test").warning("parked", error=repr(error))
        structlog.get_logger("test").exception("failed")
    parked, failed = map(json.loads, stream.getvalue().splitlines())
    assert "Dana" not in stream.getvalue()
    assert parked["error"].startswith("ValueError(")
    assert "datetime.fromisoformat(said)" in failed["exception"], "our own lines stay"


@pytest.mark.parametrize(
    "said",
    ["a" * 60_000, "a." * 30_000, "can't " + r"\a" * 30_000, '"' + r"\"" * 30_000, "'\"" * 30_000, "+1" * 30_000,
     "a@" * 30_000],
    ids=["word", "dots", "escapes", "escaped quotes", "quotes", "numbers", "at signs"],
)  # fmt: skip
def test_no_text_of_a_stranger_takes_long_to_redact(stream: io.StringIO, said: str) -> None:
    started = time.perf_counter()
    logging.getLogger("somebody.else").warning("GET /%s 404", said)
    structlog.get_logger("test").warning("parked", error=f"cannot read {said}")
    assert time.perf_counter() - started < 2
    assert len(stream.getvalue().splitlines()) == 2


def test_lines_are_json_with_the_request_id_and_without_secrets(stream: io.StringIO) -> None:
    token = request_id.set("req-1")
    try:
        structlog.get_logger("plugin.test").info("store.connected", access_token="shpat_secret", shop="a.myshopify.com")
        logging.getLogger("somebody.else").warning("calling https://x/?token=%s", "abcdef123456")
    finally:
        request_id.reset(token)
    ours, theirs = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (ours["event"], ours["access_token"], ours["request_id"]) == ("store.connected", HIDDEN, "req-1")
    assert (ours["level"], ours["logger"]) == ("info", "plugin.test")
    assert theirs["event"] == f"calling https://x/?token={HIDDEN}"
    assert theirs["request_id"] == "req-1"


def test_tracebacks_are_redacted_too(stream: io.StringIO) -> None:
    try:
        raise ValueError("bad key ck_0123456789abcdef0123456789abcdef01234567")
    except ValueError:
        structlog.get_logger("x").exception("failed")
        logging.getLogger("y").exception("failed")
    for line in stream.getvalue().splitlines():
        written = json.loads(line)
        assert "ValueError" in written["exception"]
        assert "ck_0123" not in line


def test_chatty_libraries_are_quiet(stream: io.StringIO) -> None:
    logging.getLogger("httpx").info("HTTP Request: GET https://x/?access_token=abcdefgh")
    logging.getLogger("pyactiveresource.connection").debug("body")
    assert stream.getvalue() == ""
