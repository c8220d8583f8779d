"""What every edge shares: request ids, one error shape, templates in the reader's language, assets, origin checks."""

from __future__ import annotations

import gzip
import hashlib
import json
import mimetypes
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import structlog
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from prometheus_client import Counter, Histogram
from redis.exceptions import RedisError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from plugin.kernel.db import new_id, unavailable, unwritable
from plugin.kernel.errors import AhlanError, Forbidden, NotFound, TooLarge
from plugin.kernel.i18n import Catalogues, Translator
from plugin.kernel.lazy import _
from plugin.kernel.log import request_id

log = structlog.get_logger(__name__)

REQUESTS = Counter("ahlan_http_requests_total", "Requests answered", ["method", "route", "status"])
SECONDS = Histogram("ahlan_http_request_seconds", "Time to answer", ["route"])

NOTHING = "default-src 'none'; frame-ancestors 'none'"
"""The Content-Security-Policy of an answer that says none of its own: data, which no page frames or runs."""
_ERROR_PAGE = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors "
)
_FRAMED_BY = "ahlan.framed_by"
_NOBODY = "'none'"
_READER = "ahlan.reader"
_NO_ASCII = re.compile(rb"[\x80-\xff]")
_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{8,64}\Z")
_ROOT = Path(__file__).resolve().parent.parent.parent


class StrictTransport:
    """Tells browsers to come over TLS only, for a year, where that is how they come (RFC 6797).

    Only for this very host: what else lives on the operator's domain is not ours to decide about.
    """

    def __init__(self, app: ASGIApp, *, secure: bool) -> None:
        self.app = app
        self.secure = secure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["strict-transport-security"] = "max-age=31536000"
            await send(message)

        await self.app(scope, receive, answer if self.secure else send)


class RequestId:
    """Gives each request an id that its logs, jobs and error page carry, and counts it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        # Browsers encode these bytes; whoever sends them as they are is read as if they had, and not as a defect.
        scope["query_string"] = _NO_ASCII.sub(lambda byte: b"%%%02X" % ord(byte[0]), scope["query_string"])
        given = HTTPConnection(scope).headers.get("x-request-id", "")
        own = given if _REQUEST_ID.match(given) else new_id().hex
        token = request_id.set(own)
        structlog.contextvars.bind_contextvars(request_id=own)
        started = time.perf_counter()
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = own
                headers.setdefault("x-content-type-options", "nosniff")
                headers.setdefault("referrer-policy", "strict-origin-when-cross-origin")
                headers.setdefault("content-security-policy", NOTHING)
            await send(message)

        try:
            await self.app(scope, receive, answer)
        finally:
            structlog.contextvars.unbind_contextvars("request_id")
            request_id.reset(token)
            if scope["type"] == "http":
                # The route's pattern, never the path: paths hold ids and would make a label each.
                route = getattr(scope.get("route"), "path", "other")
                REQUESTS.labels(scope["method"], route, status).inc()
                SECONDS.labels(route).observe(time.perf_counter() - started)


class BodyLimit:
    """Refuses bodies over `limit` bytes with 413, whatever Content-Length claims."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app = app
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self.limit:
                raise too_large()
            return message

        await self.app(scope, counted, send)


class Web:
    """Templates, assets and errors, made once per process."""

    def __init__(
        self, catalogues: Catalogues, folders: Iterable[Path], public_url: str, *, fresh: bool = False
    ) -> None:
        self.catalogues = catalogues
        self.public_url = public_url
        self.assets = Assets()
        self.environment = Environment(
            loader=FileSystemLoader([str(folder) for folder in folders]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=fresh,
            extensions=["jinja2.ext.i18n"],
        )
        self.environment.globals.update(asset=self.assets.url, icon=self.assets.icon)

    def translator(self, request: HTTPConnection, preferred: str = "", timezone: str = "UTC") -> Translator:
        """The reader's language: their own setting, the `ahlan_locale` cookie, then what the browser asks for."""
        wanted = preferred or request.query_params.get("locale") or request.cookies.get("ahlan_locale") or ""
        accepted = request.headers.get("accept-language", "")
        return self.catalogues.translator(self.catalogues.negotiate(accepted, preferred=wanted))

    def render(self, name: str, translator: Translator, *, block: str = "", **context: Any) -> Markup:
        """Render a template, or one named block of it (a fragment), in the reader's language and time zone."""
        template = self.environment.get_template(name)
        words = {
            "_": translator.gettext,
            "gettext": translator.gettext,
            "ngettext": translator.ngettext,
            "pgettext": translator.pgettext,
            "t": translator,
            "lang": translator.locale,
            "dir": translator.direction,
            **context,
        }
        if not block:
            return Markup(template.render(words))  # noqa: S704 - autoescaped by the template itself
        return Markup("".join(template.blocks[block](template.new_context(words))))  # noqa: S704

    def error(self, request: Request, error: AhlanError, *, page: bool = True) -> Response:
        """The one error shape, as JSON, or as a page for a browser where one is wanted."""
        known: Translator | None = request.scope.get(_READER)
        translator = known or self.translator(request)
        values = error.values
        message = translator.gettext(error.message, **values)
        hint = translator.gettext(error.hint, **values) if error.hint is not None else ""
        headers = {"cache-control": "no-store"}
        if (retry_after := getattr(error, "retry_after", None)) is not None:
            headers["retry-after"] = str(retry_after)
        body = {"code": error.code, "message": message, "what_to_do": hint, "request_id": request_id.get()}
        if page and "text/html" in request.headers.get("accept", "") and "hx-request" not in request.headers:
            ancestors = request.scope.get(_FRAMED_BY, _NOBODY)
            again = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            text = self.render(
                "error.html",
                translator,
                error=body,
                path=request.url.path,
                bare=ancestors != _NOBODY,
                # What was sent by a form cannot be asked for again.
                here=again if request.method == "GET" else "/",
                languages=() if known else self.catalogues.languages,
            )
            headers["content-security-policy"] = _ERROR_PAGE + ancestors
            return HTMLResponse(text, error.status, headers)
        return JSONResponse({"error": body}, error.status, headers)

    def defect(self, request: Request, error: Exception) -> Response:
        """The answer to what nobody foresaw, which is logged whole."""
        log.error("unhandled", error=repr(error), exc_info=error)
        return self.error(request, unexpected())

    def handlers(self) -> Mapping[Any, Any]:
        """Starlette's exception handlers: every error leaves in the same shape."""

        async def known(request: Request, error: Exception) -> Response:
            assert isinstance(error, AhlanError)
            return self.error(request, error)

        async def http(request: Request, error: Exception) -> Response:
            assert isinstance(error, HTTPException)
            if error.status_code == 404:
                return self.error(request, not_found())
            # Starlette reads a form's field up to a megabyte, long before our own limit, and calls more a bad request.
            if error.status_code == 400 and "exceeded maximum size" in error.detail:
                return self.error(request, too_large())
            if error.status_code == 405:
                return self.error(request, wrong_method())
            return self.error(request, unreadable(error.status_code))

        async def unknown(request: Request, error: Exception) -> Response:
            return self.defect(request, error)

        async def away(request: Request, error: Exception) -> Response:
            if unwritable(error):
                log.warning("unwritable", error=repr(error))
                return self.error(request, unreadable())
            if not isinstance(error, RedisError) and not unavailable(error):
                return await unknown(request, error)
            log.warning("servers_away", error=repr(error))
            return self.error(request, AwayForNow())

        async def gone(request: Request, error: Exception) -> Response:
            # Whoever asked has left before the end of the question: nobody reads this, and nothing went wrong here.
            return Response(status_code=400)

        servers = dict.fromkeys((DBAPIError, PoolTimeout, RedisError, OSError), away)
        return {AhlanError: known, HTTPException: http, ClientDisconnect: gone, **servers, Exception: unknown}


class Defects:
    """Answers defects inside all other middleware: Starlette does so outside, where the request has no number, and the
    answer none of the headers, any more.
    """

    def __init__(self, app: ASGIApp, pages: Web) -> None:
        self.app = app
        self.pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def answer(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, receive, answer)
        except Exception as error:
            # A socket, or an answer that is under way, can only be broken off: that is the server's to do.
            if begun or scope["type"] != "http":
                raise
            response = self.pages.defect(Request(scope, receive), error)
            await response(scope, receive, send)


def framed_by(request: Request, ancestors: Sequence[str]) -> None:
    """Say who may frame what this request is answered with, should it be an error's page."""
    request.scope[_FRAMED_BY] = " ".join(ancestors) or _NOBODY


def read_by(request: Request, translator: Translator) -> None:
    """Say who reads what this request is answered with: from now on its errors are in their language too."""
    request.scope[_READER] = translator


def not_found() -> NotFound:
    """What a stranger's id and a missing one both get."""
    return NotFound(_("There is nothing here."), _("Check the address, or go back."))


def too_large() -> TooLarge:
    """More than anybody here reads."""
    return TooLarge(_("This is too large to send."), _("Send something smaller."))


def wrong_method() -> AhlanError:
    """An address asked in a way that it does not know."""
    return AhlanError(
        _("This address does not take that."), _("Go back, and begin again from there."), code="method", status=405
    )


def unreadable(status: int = 422) -> AhlanError:
    """What was sent is not what this address reads."""
    return AhlanError(_("That request could not be read."), _("Go back, and begin again from there."), status=status)


def unexpected() -> AhlanError:
    """A defect of ours; the request id leads to its log."""
    return AhlanError(
        _("Something went wrong on our side. Nothing was lost."),
        _("Try again in a moment. If it happens again, send us the request number below."),
        code="unexpected",
        status=500,
    )


class AwayForNow(AhlanError):
    """PostgreSQL or Valkey does not answer just now; nothing was changed."""

    status = 503
    code = "away"
    retry_after = 2

    def __init__(self) -> None:
        super().__init__(
            _("We cannot reach our own records just now."), _("Nothing was lost. Try again in a few seconds.")
        )


def own_origin(request: HTTPConnection, public_url: str) -> None:
    """Refuse a state change that another site's page made a browser send. Raises Forbidden.

    Browsers send Sec-Fetch-Site or Origin with every such request (https://web.dev/articles/fetch-metadata).
    """
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site in ("same-origin", "none") or (site is None and origin in (None, public_url)) or origin == public_url:
        return
    raise Forbidden(_("This came from another site and was refused."), _("Open the page again and repeat."))


class Assets:
    """Our static files and the npm packages', served under a hash of their content and cached for ever."""

    def __init__(self) -> None:
        self._files: dict[str, _Asset] = {}
        self._urls: dict[str, str] = {}
        self._icons: dict[str, Markup] = {}

    def add_folder(self, prefix: str, folder: Path) -> None:
        """Serve every file below `folder` as `prefix/<relative path>`."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.add_file(f"{prefix}/{path.relative_to(folder).as_posix()}", path)

    def add_file(self, name: str, path: Path) -> None:
        """Serve one file as `name`."""
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()[:12]
        media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        if media_type.startswith("text/") or media_type.endswith(("javascript", "json", "svg+xml")):
            media_type += "; charset=utf-8"
        self._files[name] = _Asset(content, media_type, digest)
        self._urls[name] = f"/assets/{digest}/{name}"

    def url(self, name: str) -> str:
        """The address of an asset; raises KeyError for one that does not exist."""
        return self._urls[name]

    def names(self) -> list[str]:
        """Every asset's name."""
        return sorted(self._files)

    def icon(self, name: str) -> Markup:
        """A lucide icon as inline SVG, decorative: the words stand beside it, or in an aria-label."""
        if name not in self._icons:
            path = _ROOT / "node_modules" / "lucide-static" / "icons" / f"{name}.svg"
            svg = re.sub(r"<!--.*?-->", "", path.read_text(), flags=re.DOTALL).strip()
            svg = re.sub(r"\s*\n\s*", " ", svg).replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)
            self._icons[name] = Markup(svg)  # noqa: S704 - a file of a pinned package
        return self._icons[name]

    async def serve(self, request: Request) -> Response:
        """The route `/assets/{digest}/{name:path}`."""
        asset = self._files.get(request.path_params["name"])
        if asset is None:
            return PlainTextResponse("", 404)
        fresh = request.path_params.get("digest") == asset.digest
        headers = {
            "cache-control": "public, max-age=31536000, immutable" if fresh else "public, max-age=300",
            "etag": f'"{asset.digest}"',
            "vary": "accept-encoding",
            "access-control-allow-origin": "*",
            "cross-origin-resource-policy": "cross-origin",
        }
        if request.headers.get("if-none-match") == headers["etag"]:
            return Response(status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(asset.gzipped, headers={**headers, "content-encoding": "gzip"}, media_type=asset.media_type)
        return Response(asset.content, headers=headers, media_type=asset.media_type)


@dataclass(frozen=True)
class _Asset:
    content: bytes
    media_type: str
    digest: str

    @cached_property
    def gzipped(self) -> bytes:
        """Compressed when somebody first asks: a process that serves no page is spared it."""
        return gzip.compress(self.content, 9, mtime=0)


def script_json(value: Any) -> Markup:
    """JSON that may stand inside a script element: no `<`, no line separators that end a script."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for character in ("<", ">", "&", "\u2028", "\u2029"):
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704 - nothing in it can end the element
