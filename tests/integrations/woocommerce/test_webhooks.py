"""Signatures, pings and keys of WooCommerce deliveries, held to recorded requests (secret `s3cret`)."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.woocommerce import webhooks

SAMPLES = Path(__file__).parents[2] / "payloads" / "woocommerce"
SECRET = "s3cret"


def read(path: Path) -> tuple[dict[str, bytes], bytes]:
    """Headers (lower-case names) and the raw body of a recorded request."""
    head, _, body = path.read_bytes().replace(b"\r\n", b"\n").partition(b"\n\n")
    lines = head.split(b"\n")[1:]
    headers = {name.decode().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
    length = int(headers["content-length"])
    assert len(body.rstrip(b"\n")) == length
    return headers, body[:length]


SIGNED = sorted(path for path in SAMPLES.glob("*.http") if b"X-WC-Webhook-Signature" in path.read_bytes())


def test_all_nineteen_signed_samples_are_here() -> None:
    assert len(SIGNED) == 19


@pytest.mark.parametrize("path", SIGNED, ids=lambda path: path.stem)
def test_recorded_signature_verifies_and_no_other_body_does(path: Path) -> None:
    headers, body = read(path)
    signature = headers[webhooks.SIGNATURE]
    assert webhooks.verify(body, signature, SECRET)
    assert webhooks.sign(body, SECRET).encode() == signature
    assert not webhooks.verify(body + b" ", signature, SECRET)
    assert not webhooks.verify(body, signature, "S3cret")
    assert not webhooks.is_ping(headers, body)


def test_the_recorded_ping_is_the_only_unsigned_thing_taken() -> None:
    headers, body = read(SAMPLES / "ping.http")
    assert webhooks.is_ping(headers, body)
    assert not webhooks.is_ping({**headers, webhooks.TOPIC: b"order.created"}, body)
    assert not webhooks.is_ping({**headers, "content-type": b"application/json"}, body)
    assert not webhooks.is_ping(headers, b"webhook_id=1&x=2")
    assert not webhooks.is_ping(headers, b"webhook_id=")
    assert not webhooks.is_ping(headers, b'{"id":1}')


@given(st.binary(max_size=80), st.binary(max_size=64) | st.text(max_size=64))
def test_no_signature_that_a_stranger_can_send_crashes_or_passes(body: bytes, signature: bytes | str) -> None:
    good = webhooks.sign(body, SECRET)
    same = (signature.decode("latin-1") if isinstance(signature, bytes) else signature).strip() == good
    assert webhooks.verify(body, signature, SECRET) == same


def test_an_empty_secret_never_verifies() -> None:
    assert not webhooks.verify(b"{}", webhooks.sign(b"{}", ""), "")


def test_one_delivery_id_for_two_orders_gives_two_keys() -> None:
    keys, ids = set(), set()
    for name in ("order.created.delivery-id-collision-1", "order.created.delivery-id-collision-2"):
        headers, body = read(SAMPLES / f"{name}.http")
        ids.add(headers[webhooks.DELIVERY_ID])
        webhook_id, topic = headers[webhooks.WEBHOOK_ID].decode(), headers[webhooks.TOPIC].decode()
        keys.add(webhooks.dedup_key(webhook_id, topic, body, headers[webhooks.DELIVERY_ID].decode()))
    assert (len(ids), len(keys)) == (1, 2)


def test_the_same_thing_said_again_is_one_key_but_a_second_deletion_is_not() -> None:
    body = b'{"id":98}'
    assert webhooks.dedup_key("2", "order.updated", body, "a") == webhooks.dedup_key("2", "order.updated", body, "b")
    assert webhooks.dedup_key("3", "order.deleted", body, "a") != webhooks.dedup_key("3", "order.deleted", body, "b")
    assert webhooks.dedup_key("2", "order.updated", body) != webhooks.dedup_key("2", "order.created", body)
    assert webhooks.dedup_key("2", "order.updated", body) != webhooks.dedup_key("4", "order.updated", body)
