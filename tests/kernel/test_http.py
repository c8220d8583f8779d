"""Outgoing HTTP against a real socket server on loopback, which is also exactly what the guard must refuse."""

from __future__ import annotations

import asyncio
import gzip
import ipaddress
import socket
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from plugin.kernel.errors import SetupError
from plugin.kernel.http import AddressRefused, Guard, Http, HttpError, Limiter, RoutedTransport, tls_context

Answer = Callable[[int, str], bytes]


def _reply(status: int = 200, body: bytes = b"{}", **headers: str) -> bytes:
    fields = {"content-length": str(len(body)), **{name.replace("_", "-"): value for name, value in headers.items()}}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} X\r\n{head}\r\n".encode() + body


class Server:
    """Counts requests and answers the n-th with what the test says."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.requests: list[str] = []
        self.connections = 0
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                length = next(
                    (int(line[15:]) for line in head.lower().splitlines() if line[:15] == "content-length:"), 0
                )
                await reader.readexactly(length)
                self.requests.append(head)
                reply = self.answer(len(self.requests), head)
                if not reply:
                    break
                writer.write(reply)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[tuple[Server, str]]:
    server = Server(answer)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server, f"http://127.0.0.1:{server.port}"
    finally:
        listener.close()


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    client = Http(allow_private_hosts=["127.0.0.0/8", "shop.test"])
    yield client
    await client.close()


async def _fails(call: Awaitable[Any]) -> HttpError:
    with pytest.raises(HttpError) as failure:
        await call
    return failure.value


async def test_reads_json_and_refuses_what_is_none(http: Http) -> None:
    async with serving(lambda n, head: _reply(body=b'{"a": 1}' if n == 1 else b"<html>")) as (_, url):
        assert (await http.request("GET", url)).json() == {"a": 1}
        answer = await http.request("GET", url)
        with pytest.raises(HttpError, match="JSON") as failure:
            answer.json()
        assert failure.value.retry is False


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "255.255.255.255", "192.0.2.1", "168.63.129.16", "::1", "::", "fe80::1", "fd00:ec2::254", "::ffff:127.0.0.1",
        "::ffff:169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::", "ff02::1", "240.0.0.1", "198.18.0.1",
        "fec0::2", "192.0.0.192", "::ffff:192.0.0.192", "::7f00:1", "64:ff9b:1::7f00:1",
        "2001:0:4136:e378:8000:63bf:80ff:fffe",
    ],
)  # fmt: skip
def test_private_addresses_are_refused(address: str) -> None:
    assert not Guard().permits("shop.example", ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "23.227.38.65", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
)
def test_public_addresses_are_permitted(address: str) -> None:
    assert Guard().permits("shop.example", ipaddress.ip_address(address))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0x7f.1", "2130706433", "127.1", "[::1]", "LOCALHOST."])
async def test_every_spelling_of_loopback_is_refused(host: str) -> None:
    async with serving(lambda n, head: _reply()) as (server, _):
        client = Http()
        failure = await _fails(client.request("GET", f"http://{host}:{server.port}/"))
        await client.close()
        assert failure.retry is False or "cannot be reached" in str(failure) or "cannot be found" in str(failure)
        assert server.connections == 0
    if host in {"127.0.0.1", "localhost", "127.1"}:
        assert isinstance(failure, AddressRefused)
        with pytest.raises(AddressRefused):
            Guard().check_host(host, 80)


async def test_the_checked_address_is_the_one_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding: a name that is public when asked first and private when asked again is asked once only."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def rebinding(host: str | bytes, port: int, *rest: Any, **options: Any) -> list[Any]:
        if host not in ("rebind.example", b"rebind.example"):
            return real(host, port, *rest, **options)
        asked.append(str(host))
        # 127.0.0.2 stands for the public address (allowed below), 127.0.0.1 for what must not be reached.
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.2" if len(asked) == 1 else "127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    client = Http(allow_private_hosts=["127.0.0.2"])
    async with serving(lambda n, head: _reply()) as (server, _):
        failure = await _fails(client.request("GET", f"http://rebind.example:{server.port}/", attempts=1))
        assert asked == ["rebind.example"]
        assert "cannot be reached" in str(failure)
        assert server.connections == 0
        with pytest.raises(AddressRefused):
            await client.request("GET", f"http://rebind.example:{server.port}/", attempts=1)
        assert server.connections == 0
    await client.close()


async def test_one_private_address_among_public_ones_refuses_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    both = [(2, 1, 6, "", ("1.1.1.1", 443)), (2, 1, 6, "", ("10.0.0.1", 443))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: both)
    with pytest.raises(AddressRefused):
        Guard().check_host("mixed.example")


def test_operators_can_allow_hosts_and_ranges() -> None:
    guard = Guard(["10.0.0.0/8", "shop.internal", "fd00::/8"])
    assert guard.permits("anything", ipaddress.ip_address("10.9.9.9"))
    assert guard.permits("SHOP.internal.", ipaddress.ip_address("192.168.0.5"))
    assert guard.permits("x", ipaddress.ip_address("fd00::5"))
    assert not guard.permits("other.internal", ipaddress.ip_address("192.168.0.5"))
    with pytest.raises(SetupError, match=r"10\.0\.0\.0/99"):
        Guard(["10.0.0.0/99"])


async def test_redirects_are_answers_not_orders(http: Http) -> None:
    async with serving(lambda n, head: _reply(302, b"", location="http://169.254.169.254/")) as (server, url):
        answer = await http.request("GET", url)
        assert answer.status == 302
        assert len(server.requests) == 1


@pytest.mark.parametrize("chunked", [False, True])
async def test_the_size_cap_holds_with_and_without_a_declared_length(http: Http, chunked: bool) -> None:
    body = b"x" * 5000
    reply = (
        b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n1388\r\n" + body + b"\r\n0\r\n\r\n"
        if chunked
        else _reply(body=body)
    )
    async with serving(lambda n, head: reply) as (server, url):
        failure = await _fails(http.request("GET", url, max_bytes=4999))
        assert "more than 4999 bytes" in str(failure)
        assert failure.retry is False
        assert len(server.requests) == 1
        assert len((await http.request("GET", url, max_bytes=5000)).body) == 5000


async def test_idempotent_requests_are_tried_again(http: Http) -> None:
    async with serving(lambda n, head: _reply(503, b"busy", retry_after="0") if n < 3 else _reply()) as (server, url):
        assert (await http.request("GET", url)).status == 200
        assert len(server.requests) == 3


async def test_a_post_is_not_repeated_once_it_arrived(http: Http) -> None:
    async with serving(lambda n, head: b"" if n == 1 else _reply(503, b"busy", retry_after="0")) as (server, url):
        assert (await _fails(http.request("POST", url, json={}))).retry is True
        assert len(server.requests) == 1
        assert (await _fails(http.request("POST", url, json={}))).status == 503
        assert len(server.requests) == 2


async def test_a_post_with_its_own_key_is_repeated_and_so_is_a_refused_one(http: Http) -> None:
    async with serving(lambda n, head: _reply(503, b"", retry_after="0") if n == 1 else _reply()) as (server, url):
        await http.request("POST", url, json={}, idempotent=True)
        assert len(server.requests) == 2
    async with serving(lambda n, head: _reply(429, b"", retry_after="0") if n == 1 else _reply()) as (server, url):
        await http.request("POST", url, json={})
        assert len(server.requests) == 2


async def test_a_long_retry_after_is_handed_to_the_caller(http: Http) -> None:
    async with serving(lambda n, head: _reply(429, b"slow down", retry_after="120")) as (server, url):
        failure = await _fails(http.request("GET", url))
        assert (failure.retry, failure.status, failure.retry_after) == (True, 429, 120.0)
        assert len(server.requests) == 1


async def test_a_retry_after_date_is_understood(http: Http) -> None:
    later = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 300))
    async with serving(lambda n, head: _reply(503, b"", retry_after=later)) as (_, url):
        failure = await _fails(http.request("GET", url))
        assert failure.retry_after is not None
        assert 290 < failure.retry_after <= 300


async def test_errors_carry_a_redacted_excerpt_and_no_query(http: Http) -> None:
    body = b'{"errors": "[API] Invalid token shpat_0123456789abcdef0123456789abcdef"}'
    async with serving(lambda n, head: _reply(401, body)) as (_, url):
        failure = await _fails(http.request("GET", f"{url}/admin", params={"access_token": "abcdef123456"}))
    assert failure.retry is False
    assert "Invalid token" in failure.excerpt
    assert "shpat_" not in str(failure)
    assert "abcdef123456" not in str(failure)


async def test_accepted_statuses_are_answers(http: Http) -> None:
    async with serving(lambda n, head: _reply(422, b"{}")) as (_, url):
        assert (await http.request("POST", url, json={}, accept={422})).status == 422


async def test_silence_ends_at_the_time_limit(http: Http) -> None:
    async with serving(lambda n, head: b"HTTP/1.1 200 X\r\ncontent-length: 10\r\n\r\nabc") as (_, url):
        begun = time.monotonic()
        failure = await _fails(http.request("GET", url, timeout=0.3, attempts=1))
        assert time.monotonic() - begun < 2
        assert "within 0.3 s" in str(failure)


@pytest.mark.parametrize(
    "url", ["ftp://example.com/", "file:///etc/passwd", "http://user:pw@example.com/", "http://", "x"]
)
async def test_only_plain_web_addresses(http: Http, url: str) -> None:
    failure = await _fails(http.request("GET", url))
    assert failure.retry is False
    assert "pw" not in str(failure)


async def test_lines_come_in_whole(http: Http) -> None:
    body = b'{"id":1}\n{"id":2}\n{"id":3}'
    async with serving(lambda n, head: _reply(body=body)) as (_, url), http.stream("GET", url) as answer:
        assert [line async for line in answer.lines()] == [b'{"id":1}', b'{"id":2}', b'{"id":3}']


async def test_routes_reach_the_simulator_under_the_platforms_name() -> None:
    async with serving(lambda n, head: _reply()) as (server, url):
        refusing = httpx.MockTransport(lambda request: httpx.Response(599))
        client = Http(transport=RoutedTransport({"ahlan-demo.myshopify.com": url}, refusing))
        assert (await client.request("GET", "https://ahlan-demo.myshopify.com/admin")).status == 200
        assert "host: ahlan-demo.myshopify.com" in server.requests[0].lower()
        assert (await client.request("GET", "https://elsewhere.example/", accept={599})).status == 599
        await client.close()


async def test_the_limiter_serves_a_burst_then_its_rate_and_keys_do_not_meet() -> None:
    limiter = Limiter(capacity=2, rate=20)
    begun = time.monotonic()
    for _ in range(4):
        await limiter.wait("a")
    assert 0.09 <= time.monotonic() - begun < 0.5
    begun = time.monotonic()
    await limiter.wait("b")
    assert time.monotonic() - begun < 0.05


async def test_the_limiter_follows_the_platform() -> None:
    limiter = Limiter(capacity=10, rate=10)
    limiter.observe("a", available=0, capacity=100, rate=100)
    begun = time.monotonic()
    await limiter.wait("a", cost=20)
    assert 0.15 <= time.monotonic() - begun < 0.6
    limiter.pause("a", 0.2)
    begun = time.monotonic()
    await limiter.wait("a")
    assert 0.15 <= time.monotonic() - begun < 0.6


def test_an_unusable_authority_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="AHLAN_EXTRA_CA_FILE"):
        tls_context(str(tmp_path / "missing.pem"))
    broken = tmp_path / "broken.pem"
    broken.write_text("no certificate")
    with pytest.raises(SetupError, match="PEM"):
        tls_context(str(broken))


async def test_an_answer_packed_twice_is_not_unpacked(http: Http) -> None:
    packed = gzip.compress(gzip.compress(bytes(64 * 1024 * 1024)))
    for body, coding in ((packed, "gzip, gzip"), (packed, "gzip,deflate"), (b"x", "gzip, gzip")):
        async with serving(lambda _n, _head, b=body, c=coding: _reply(body=b, content_encoding=c)) as (_, url):
            tracemalloc.start()
            error = await _fails(http.request("GET", url, max_bytes=1024))
            assert error.retry is False
            assert tracemalloc.get_traced_memory()[1] < 4 * 1024 * 1024
            tracemalloc.stop()


async def test_a_refusal_packed_twice_is_not_unpacked_either(http: Http) -> None:
    packed = gzip.compress(gzip.compress(bytes(64 * 1024 * 1024)))
    async with serving(lambda _n, _head: _reply(500, packed, content_encoding="gzip, gzip")) as (_, url):
        tracemalloc.start()
        await _fails(http.request("GET", url, attempts=1))
        assert tracemalloc.get_traced_memory()[1] < 4 * 1024 * 1024
        tracemalloc.stop()


async def test_an_answer_packed_once_is_unpacked_no_further_than_the_cap(http: Http) -> None:
    packed = gzip.compress(bytes(32 * 1024 * 1024))
    async with serving(lambda _n, _head: _reply(body=packed, content_encoding="gzip")) as (_, url):
        assert len((await http.request("GET", url, max_bytes=64 * 1024 * 1024)).body) == 32 * 1024 * 1024
        assert "more than 1024" in str(await _fails(http.request("GET", url, max_bytes=1024)))
