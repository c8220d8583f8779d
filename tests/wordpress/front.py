"""What stands before a web server: TLS with an authority of our own and, if asked, a page cache that spares nobody."""

import asyncio
import contextlib
import datetime
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOSTS: Final = ("shop.localhost", "clone.localhost", "old.localhost", "net.localhost", "ahlan.localhost")
_AT_ONCE: Final = 64 * 1024
_LOST: Final = (ConnectionError, ssl.SSLError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, RuntimeError)


@dataclass(frozen=True)
class Certificates:
    """An authority of our own and one certificate for all hosts of the tests."""

    folder: Path

    @property
    def authority(self) -> Path:
        """The authority's certificate, which clients believe."""
        return self.folder / "authority.pem"

    def client_context(self) -> ssl.SSLContext:
        """What believes this authority alone."""
        return ssl.create_default_context(cafile=str(self.authority))

    def server_context(self) -> ssl.SSLContext:
        """What speaks with the hosts' certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "server.pem")
        return context

    @classmethod
    def make(cls, folder: Path) -> "Certificates":
        """Write an authority and a certificate into `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        made = cls(folder)
        root, leaf = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        signing = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        authority = _certificate("tests", root, root, [x509.BasicConstraints(ca=True, path_length=0), signing])
        names = x509.SubjectAlternativeName([x509.DNSName(host) for host in HOSTS])
        server = _certificate(HOSTS[0], leaf, root, [x509.BasicConstraints(ca=False, path_length=None), names])
        key = leaf.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        made.authority.write_bytes(authority)
        (folder / "server.pem").write_bytes(key + server)
        return made


def _certificate(
    name: str, key: ec.EllipticCurvePrivateKey, issuer: ec.EllipticCurvePrivateKey, extensions: Sequence[Any]
) -> bytes:
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()), critical=False)
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
    return builder.sign(issuer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


class LocalTransport(httpx.AsyncBaseTransport):
    """Real connections for names below localhost, which not every machine's resolver knows; nowhere else."""

    def __init__(self, certificates: Certificates) -> None:
        self._inner = httpx.AsyncHTTPTransport(verify=certificates.client_context())

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        host = request.url.host
        if host != "localhost" and not host.endswith(".localhost"):
            raise httpx.ConnectError(f"tests do not leave this machine: {request.method} {request.url}")
        onward = httpx.Request(
            request.method,
            request.url.copy_with(host="127.0.0.1"),
            headers=request.headers,
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": host},
        )
        return await self._inner.handle_async_request(onward)

    async def aclose(self) -> None:
        await self._inner.aclose()


@dataclass
class PageCache:
    """A full-page cache as careless hosts run it: a page is kept whoever asked for it, whatever its headers say.

    Only what is no page is kept by its headers; wp-admin and the sign-in are left alone, or nobody could sign in.
    """

    on: bool = False
    kept: dict[str, bytes] = field(default_factory=dict)
    hits: list[str] = field(default_factory=list)

    def look(self, method: str, target: str) -> bytes | None:
        """The kept answer, if there is one."""
        if not self.on or method != "GET" or target not in self.kept:
            return None
        self.hits.append(target)
        return self.kept[target]

    def offer(self, method: str, target: str, answer: bytes) -> None:
        """Keep an answer if this cache would."""
        head, _, body = answer.partition(b"\r\n\r\n")
        status, *lines = head.split(b"\r\n")
        if not self.on or method != "GET" or b" 200 " not in status + b" ":
            return
        if target.startswith(("/wp-admin", "/wp-login", "/wc-auth")):
            return
        headers = [line.partition(b":") for line in lines]
        named = {name.strip().lower(): value.strip().lower() for name, _colon, value in headers}
        page = named.get(b"content-type", b"").startswith(b"text/html")
        control = named.get(b"cache-control", b"")
        if not page and (b"no-store" in control or b"private" in control):
            return
        kept = [line for line, (name, _colon, _value) in zip(lines, headers, strict=True)
                if name.strip().lower() != b"set-cookie"]  # fmt: skip
        self.kept[target] = b"\r\n".join((status, *kept)) + b"\r\n\r\n" + body


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(*_LOST):
        while block := await reader.read(_AT_ONCE):
            writer.write(block)
            await writer.drain()
    with contextlib.suppress(*_LOST):
        writer.close()


@asynccontextmanager
async def _listening(port: int, certificates: Certificates, meet: Any) -> AsyncIterator[None]:
    meetings: set[asyncio.Task[None]] = set()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(meet(reader, writer))
        meetings.add(task)
        task.add_done_callback(meetings.discard)

    server = await asyncio.start_server(
        begin, "127.0.0.1", port, ssl=certificates.server_context(), limit=2 * _AT_ONCE, backlog=200
    )
    try:
        yield
    finally:
        server.close()
        for task in list(meetings):
            task.cancel()
        await asyncio.gather(*meetings, return_exceptions=True)


@asynccontextmanager
async def tls_before(port: int, behind: int, certificates: Certificates) -> AsyncIterator[None]:
    """TLS on `port`, its bytes passed on to `behind`."""

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            onward_reader, onward_writer = await asyncio.open_connection("127.0.0.1", behind)
        except OSError:
            writer.close()
            return
        try:
            await asyncio.gather(_pour(reader, onward_writer), _pour(onward_reader, writer))
        finally:
            onward_writer.close()
            writer.close()

    async with _listening(port, certificates, meet):
        yield


@asynccontextmanager
async def cache_before(port: int, behind: int, certificates: Certificates) -> AsyncIterator[PageCache]:
    """TLS on `port` and a page cache, switched off at first, before the site at `behind`."""
    cache = PageCache()

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(*_LOST):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next((int(line.partition(b":")[2]) for line in head.split(b"\r\n")
                               if line.lower().startswith(b"content-length:")), 0)  # fmt: skip
                body = await reader.readexactly(length) if length else b""
                method, target, _version = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
                answer = cache.look(method, target)
                if answer is None:
                    answer = await _asked(behind, head, body)
                    cache.offer(method, target, answer)
                writer.write(answer)
                await writer.drain()
        writer.close()

    async with _listening(port, certificates, meet):
        yield cache


async def _asked(behind: int, head: bytes, body: bytes) -> bytes:
    """One answer of the site, with its length, so that the connection can go on."""
    lines = [line for line in head[:-4].split(b"\r\n") if not line.lower().startswith((b"connection:", b"keep-alive:"))]
    reader, writer = await asyncio.open_connection("127.0.0.1", behind)
    writer.write(b"\r\n".join((*lines, b"Connection: close")) + b"\r\n\r\n" + body)
    whole = await reader.read(-1)
    writer.close()
    answered, _, content = whole.partition(b"\r\n\r\n")
    skipped = (b"connection:", b"keep-alive:", b"transfer-encoding:", b"content-length:")
    kept = [line for line in answered.split(b"\r\n") if not line.lower().startswith(skipped)]
    if any(line.lower() == b"transfer-encoding: chunked" for line in answered.split(b"\r\n")):
        content = _unchunked(content)
    return b"\r\n".join((*kept, b"Content-Length: %d" % len(content))) + b"\r\n\r\n" + content


def _unchunked(content: bytes) -> bytes:
    whole = bytearray()
    while content:
        size, _, rest = content.partition(b"\r\n")
        length = int(size.partition(b";")[0], 16)
        if not length:
            break
        whole += rest[:length]
        content = rest[length + 2 :]
    return bytes(whole)
