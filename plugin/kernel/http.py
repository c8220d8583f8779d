"""Outgoing HTTP: time limits, size caps, retries only where they are safe, and no way into the private network.

Every address is resolved by us, checked, and then connected to as checked, so a name cannot answer twice (DNS
rebinding). Redirects are not followed. Operators who self-host on a private network name their hosts or ranges in
AHLAN_ALLOW_PRIVATE_HOSTS, and their own certificate authority in AHLAN_EXTRA_CA_FILE.
"""

from __future__ import annotations

import asyncio
import email.utils
import ipaddress
import random
import socket
import ssl
import sys
import time
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import anyio
import httpcore
import httpx
import orjson

from plugin.kernel.digits import whole
from plugin.kernel.errors import SetupError
from plugin.kernel.log import redact_text

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
_TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
# Public by what Python says of their numbers, and inside a network all the same: Azure's metadata and host agent, what
# the IETF keeps for protocols (RFC 6890; Oracle's metadata is there), and the local addresses of old (RFC 3879).
_NEVER = tuple(ipaddress.ip_network(one) for one in ("168.63.129.16/32", "192.0.0.0/24", "fec0::/10"))
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_EXCERPT = 500


class HttpError(Exception):
    """A request that failed. `retry`: the same may succeed later. `excerpt`: what the other side said, redacted.

    `status` is None when no answer came. `retry_after` is in seconds, when the other side named it.
    """

    def __init__(
        self,
        message: str,
        *,
        retry: bool,
        status: int | None = None,
        excerpt: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{message}: {excerpt}" if excerpt else message)
        self.retry = retry
        self.status = status
        self.excerpt = excerpt
        self.retry_after = retry_after

    @property
    def lost(self) -> bool:
        """Whether the request may have had its effect although we have no answer that says so."""
        return self.status is None or self.status >= 500


class AddressRefused(HttpError):
    """The host is, or resolves to, an address that is not public."""

    lost = False

    def __init__(self, host: str) -> None:
        super().__init__(f"{host} is not a public address; AHLAN_ALLOW_PRIVATE_HOSTS can allow it", retry=False)


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer, within the size cap."""

    status: int
    headers: httpx.Headers
    body: bytes
    url: str

    def json(self) -> Any:
        """The body as JSON. Raises HttpError (not to be retried) when it is none."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            raise HttpError(
                f"{_where(self.url)} did not answer with JSON", retry=False, status=self.status, excerpt=self.excerpt
            ) from None

    def text(self) -> str:
        """The body as UTF-8, what does not decode replaced."""
        return self.body.decode(errors="replace")

    @property
    def excerpt(self) -> str:
        """The first words of the body, redacted: for errors and logs."""
        return redact_text(" ".join(self.body[: _EXCERPT * 4].decode(errors="replace").split())[:_EXCERPT])


class Guard:
    """Decides which hosts may be connected to."""

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self._names: set[str] = set()
        self._networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        for entry in allowed:
            try:
                self._networks.append(ipaddress.ip_network(entry.strip("[]"), strict=False))
            except ValueError:
                if "/" in entry or not entry:
                    raise SetupError(
                        f"AHLAN_ALLOW_PRIVATE_HOSTS: {entry!r} is neither a host nor a range like 10.0.0.0/8."
                    ) from None
                self._names.add(entry.rstrip(".").lower())

    def permits(self, host: str, address: Address) -> bool:
        """Whether `address`, which `host` resolved to, may be connected to."""
        if host.rstrip(".").lower() in self._names:
            return True
        address = _innermost(address)
        if any(address in network for network in self._networks):
            return True
        inside = address.is_multicast or address.is_reserved or any(address in network for network in _NEVER)
        return address.is_global and not inside

    def names(self, host: str) -> bool:
        """Whether the operator named this host, or a range that this address is in."""
        with suppress(ValueError):
            address = ipaddress.ip_address(host.strip("[]"))
            return any(address in network for network in self._networks)
        return host.rstrip(".").lower() in self._names

    def check_host(self, host: str, port: int = 443) -> list[str]:
        """Resolve `host` (blocking; not on the event loop) and return its permitted addresses.

        For clients that bring their own sockets. Raises AddressRefused, or HttpError when the name does not resolve.
        """
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError) as error:
            raise HttpError(f"{host} cannot be found", retry=True) from error
        return self._permitted(host, found)

    async def resolve(self, host: str, port: int) -> list[str]:
        """The same without blocking."""
        return await asyncio.to_thread(self.check_host, host, port)

    def _permitted(self, host: str, found: Iterable[tuple[Any, Any, Any, Any, Any]]) -> list[str]:
        addresses = dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found)
        # All of them, not any: a name with one private address is refused rather than half reachable.
        if not addresses or not all(self.permits(host, ipaddress.ip_address(address)) for address in addresses):
            raise AddressRefused(host)
        return list(addresses)


def _innermost(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one that is only its wrapping."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        return inner or address
    return address


class _GuardedBackend(httpcore.AsyncNetworkBackend):
    """Connects to the address that was checked; TLS still verifies the name, which httpcore passes separately."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            with anyio.fail_after(timeout):
                addresses = await self._guard.resolve(host, port)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(f"{host} did not resolve in time") from error
        for address in addresses[:-1]:
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._inner.connect_tcp(addresses[-1], port, timeout, local_address, socket_options)

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.AsyncNetworkStream:
        raise httpcore.ConnectError("unix sockets are not for outgoing requests")

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


def tls_context(extra_ca_file: str = "") -> ssl.SSLContext:
    """The system's (certifi's) authorities and the operator's own. Raises SetupError when the file cannot be used."""
    context = httpx.create_ssl_context(trust_env=False)
    if extra_ca_file:
        try:
            context.load_verify_locations(extra_ca_file)
        except (OSError, ssl.SSLError) as error:
            raise SetupError(f"AHLAN_EXTRA_CA_FILE {extra_ca_file!r} cannot be read as PEM certificates.") from error
    return context


def guarded_transport(guard: Guard, *, extra_ca_file: str = "") -> httpx.AsyncBaseTransport:
    """A transport whose every connection passes `guard`."""
    context = tls_context(extra_ca_file)
    transport = httpx.AsyncHTTPTransport(verify=context, trust_env=False)
    # httpx offers no argument for a network backend; its transport is a thin mapping around this one pool.
    transport._pool = httpcore.AsyncConnectionPool(
        ssl_context=context,
        max_connections=200,
        max_keepalive_connections=50,
        keepalive_expiry=30.0,
        network_backend=_GuardedBackend(guard),
    )
    return transport


class RoutedTransport(httpx.AsyncBaseTransport):
    """Sends requests for certain host names elsewhere, with their Host header kept and the original
    scheme in X-Forwarded-Proto; all others go their usual way.

    This is how the demo's platform hosts reach the simulators: `{"ahlan-demo.myshopify.com": "http://127.0.0.1:8001"}`.
    """

    def __init__(self, routes: Mapping[str, str], otherwise: httpx.AsyncBaseTransport) -> None:
        self._routes = {host.lower(): httpx.URL(target) for host, target in routes.items()}
        self._direct = httpx.AsyncHTTPTransport(trust_env=False)
        self._otherwise = otherwise

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        target = self._routes.get(request.url.host.lower())
        if target is None:
            return await self._otherwise.handle_async_request(request)
        # A request of its own: redirects and cookies of the answer go by the address that was asked for.
        routed = httpx.Request(
            request.method,
            request.url.copy_with(scheme=target.scheme, host=target.host, port=target.port),
            headers=[*request.headers.raw, (b"X-Forwarded-Proto", request.url.scheme.encode())],
            stream=request.stream,
            extensions=request.extensions,
        )
        return await self._direct.handle_async_request(routed)

    async def aclose(self) -> None:
        await self._direct.aclose()
        await self._otherwise.aclose()


@dataclass(slots=True)
class _Bucket:
    capacity: float
    rate: float
    level: float
    at: float


class Limiter:
    """A leaky bucket per key (a store), which follows what the platform itself reports about its own."""

    def __init__(self, *, capacity: float = 40.0, rate: float = 2.0) -> None:
        self._capacity = capacity
        self._rate = rate
        self._buckets: dict[str, _Bucket] = {}

    async def wait(self, key: str, cost: float = 1.0) -> None:
        """Take `cost` from the bucket, sleeping until it holds as much. Callers of one key are served in turn."""
        bucket = self._bucket(key)
        self._drip(bucket)
        bucket.level -= min(cost, bucket.capacity)
        if bucket.level < 0:
            await asyncio.sleep(-bucket.level / bucket.rate)

    def pause(self, key: str, seconds: float) -> None:
        """The platform said "not before": nobody gets anything for that long."""
        bucket = self._bucket(key)
        self._drip(bucket)
        bucket.level = min(bucket.level, -seconds * bucket.rate)

    def observe(self, key: str, *, available: float, capacity: float, rate: float) -> None:
        """The platform's own state of its bucket (Shopify: `throttleStatus`), rate in units per second."""
        bucket = self._bucket(key)
        self._drip(bucket)
        bucket.capacity, bucket.rate = max(capacity, 1.0), max(rate, 0.01)
        bucket.level = min(bucket.level if bucket.level < 0 else available, available)

    def _bucket(self, key: str) -> _Bucket:
        if key not in self._buckets:
            if len(self._buckets) >= 10_000:
                self._forget_full()
            self._buckets[key] = _Bucket(self._capacity, self._rate, self._capacity, time.monotonic())
        return self._buckets[key]

    def _forget_full(self) -> None:
        for key, bucket in list(self._buckets.items()):
            self._drip(bucket)
            if bucket.level >= bucket.capacity:
                del self._buckets[key]

    @staticmethod
    def _drip(bucket: _Bucket) -> None:
        now = time.monotonic()
        bucket.level = min(bucket.capacity, bucket.level + (now - bucket.at) * bucket.rate)
        bucket.at = now


class Http:
    """The one client for everything that leaves the house. `transport` replaces the guarded one (demo, tests)."""

    def __init__(
        self,
        *,
        allow_private_hosts: Iterable[str] = (),
        extra_ca_file: str = "",
        transport: httpx.AsyncBaseTransport | None = None,
        user_agent: str = "Ahlan/0.1",
    ) -> None:
        self.guard = Guard(allow_private_hosts)
        self.limiter = Limiter()
        self._client = httpx.AsyncClient(
            transport=transport or guarded_transport(self.guard, extra_ca_file=extra_ca_file),
            headers={"User-Agent": user_agent},
            follow_redirects=False,
            trust_env=False,
        )

    def check_host(self, host: str, port: int = 443) -> list[str]:
        """See `Guard.check_host`."""
        return self.guard.check_host(host, port)

    async def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        data: Mapping[str, Any] | None = None,
        content: bytes | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float = 20.0,
        max_bytes: int = 10 * 1024 * 1024,
        idempotent: bool | None = None,
        attempts: int = 3,
        patience: float = 30.0,
        accept: Collection[int] = (),
    ) -> Response:
        """Send a request and read the whole answer.

        `timeout` (seconds) is for each attempt as a whole, `patience` the longest pause between two. Attempts are
        repeated only where that cannot do the same thing twice: an idempotent method, or `idempotent=True` for a call
        that carries its own key; otherwise only when the request never arrived, or was refused with 429. Raises
        HttpError for a status of 400 or more that is not in `accept`, for no answer, and for more than `max_bytes`.
        """
        if json is not None:
            content = orjson.dumps(json)
            headers = {"Content-Type": "application/json", **(headers or {})}
        safe = method.upper() in _IDEMPOTENT if idempotent is None else idempotent
        for attempt in range(1, attempts + 1):
            pause = random.uniform(0.5, 1.0) * 0.5 * 2**attempt  # noqa: S311 - no secret
            try:
                async with self.stream(
                    method, url, params=params, headers=headers, data=data, content=content, auth=auth,
                    timeout=timeout, max_bytes=max_bytes, accept=accept,
                ) as answer:  # fmt: skip
                    body = b"".join([chunk async for chunk in answer.chunks()])
                return Response(answer.status, answer.headers, body, url)
            except HttpError as error:
                again = error.retry and (safe or isinstance(error, _NeverArrived) or error.status == 429)
                pause = pause if error.retry_after is None else error.retry_after
                if not again or attempt == attempts or pause > patience:
                    raise
            await asyncio.sleep(pause)
        raise ValueError("attempts must be at least 1")

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        data: Mapping[str, Any] | None = None,
        content: bytes | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float = 20.0,
        max_bytes: int = 1024 * 1024 * 1024,
        accept: Collection[int] = (),
    ) -> AsyncIterator[Streamed]:
        """One attempt, the body in pieces (bulk files); `timeout` is for the whole. Raises HttpError like `request`."""
        where = _where(url)
        _check_url(url)
        try:
            async with (
                asyncio.timeout(timeout),
                self._client.stream(
                    method, url, params=params, headers=headers, data=data, content=content, timeout=timeout,
                    auth=auth or httpx.USE_CLIENT_DEFAULT,
                ) as answer,
            ):  # fmt: skip
                if "," in answer.headers.get("content-encoding", ""):
                    # Unpacked before anybody counts: each coding makes a thousand bytes of one.
                    raise HttpError(f"{where} answered packed more than once", retry=False, status=answer.status_code)
                streamed = Streamed(answer, max_bytes, where)
                if answer.status_code >= 400 and answer.status_code not in accept:
                    raise await streamed.failure()
                yield streamed
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise _NeverArrived(f"{where} cannot be reached ({type(error).__name__})", retry=True) from error
        except (httpx.TimeoutException, TimeoutError) as error:
            raise HttpError(f"{where} did not answer within {timeout:g} s", retry=True) from error
        except (httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.LocalProtocolError) as error:
            raise HttpError(f"{where} is no address that can be asked", retry=False) from error
        except httpx.HTTPError as error:
            raise HttpError(f"{where} broke off ({type(error).__name__})", retry=True) from error

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose()


class _NeverArrived(HttpError):
    """No connection: the request cannot have had an effect."""

    lost = False


class Streamed:
    """An answer under way."""

    def __init__(self, answer: httpx.Response, max_bytes: int, where: str) -> None:
        self._answer = answer
        self._max_bytes = max_bytes
        self._where = where
        self.status = answer.status_code
        self.headers = answer.headers

    async def chunks(self) -> AsyncIterator[bytes]:
        """The decoded body in pieces. Raises HttpError once it exceeds the cap, before holding it."""
        if (whole(self.headers.get("content-length", ""), sys.maxsize) or 0) > self._max_bytes:
            raise self._too_large()
        total = 0
        async for chunk in self._answer.aiter_bytes():
            total += len(chunk)
            if total > self._max_bytes:
                raise self._too_large()
            yield chunk

    async def lines(self) -> AsyncIterator[bytes]:
        """The body line by line, without line ends (JSONL)."""
        rest = b""
        async for chunk in self.chunks():
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield line
        if rest:
            yield rest

    async def failure(self) -> HttpError:
        """The error for a status that is none we accept, with the first words of its body."""
        body = b""
        async for chunk in self._answer.aiter_bytes():
            body += chunk
            if len(body) > _EXCERPT * 4:
                break
        excerpt = Response(self.status, self.headers, body, "").excerpt
        return HttpError(
            f"{self._where} answered {self.status}",
            retry=self.status in _TRY_AGAIN,
            status=self.status,
            excerpt=excerpt,
            retry_after=_retry_after(self.headers),
        )

    def _too_large(self) -> HttpError:
        return HttpError(f"{self._where} answered with more than {self._max_bytes} bytes", retry=False)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds of a Retry-After header, which may be a number or a date (RFC 9110, 10.2.3)."""
    text = headers.get("retry-after", "").strip()
    try:
        return max(0.0, min(float(text), 86_400.0))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError):
        return None


def spelled(url: str) -> str:
    """A web address as it is asked for, however it was written: host in small letters, no port that goes without
    saying, everything that is no ASCII escaped. Raises HttpError when it is none.
    """
    try:
        return str(httpx.URL(url))
    except httpx.InvalidURL as error:
        raise HttpError("this is no web address", retry=False) from error


def _check_url(url: str) -> None:
    """Refuse what is no plain web address: another scheme, no host, or a password in it."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise HttpError("this is no web address", retry=False) from error
    if parsed.scheme not in {"http", "https"} or not parsed.host or parsed.userinfo:
        raise HttpError(f"{_where(url)} is no plain http or https address", retry=False)


def _where(url: str) -> str:
    """Host and path for messages: queries carry secrets."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return "the address"
    return redact_text(f"{parsed.host}{parsed.path}")
