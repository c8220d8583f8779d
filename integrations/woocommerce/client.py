"""Calls to one store's REST API (wc/v3), through the house's own outgoing HTTP.

Over https keys go as Basic, or in the query for hosts that strip the Authorization header; over http only OAuth 1.0a
works (B21), signed by the official `woocommerce` package. Only that part of it is used: its network call goes through
`requests`, past our address guard, size caps and total time limits (docs/decisions/woocommerce-client.md). A contract
test holds all three ways to the official client. Nothing here logs a URL with its query, a header or a body.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from woocommerce.oauth import OAuth

from integrations.woocommerce import mapping
from plugin.kernel.digits import whole
from plugin.kernel.http import AddressRefused, Http, HttpError, Response
from plugin.platform import PlatformError

TIMEOUT: Final = 30.0
"""Seconds for one call as a whole: shared hosts take their time over a hundred orders."""
MAX_BYTES: Final = 20 * 1024 * 1024
_SAID: Final = (400, 401, 403, 404, 409, 410, 501)


@dataclass(frozen=True, slots=True)
class Keys:
    """API keys of one store; `query`: this host strips the Authorization header. `permissions` as it was granted."""

    consumer_key: str = field(repr=False)
    consumer_secret: str = field(repr=False)
    query: bool = False
    permissions: str = "read_write"


@dataclass(frozen=True, slots=True)
class Answer:
    """A decoded answer; `total` things and `pages` pages exist where it is a list (X-WP-Total, X-WP-TotalPages)."""

    body: Any
    total: int | None = None
    pages: int | None = None


class StoreClient:
    """One store. Every method raises PlatformError, which says whether trying again can help."""

    def __init__(self, http: Http, url: str, keys: Keys) -> None:
        self._http = http
        self._url = url.rstrip("/")
        self._keys = keys
        self._bucket = f"woocommerce:{urlsplit(url).netloc}"

    async def get(self, path: str, **params: object) -> Answer:
        """GET wc/v3/`path`."""
        return await self.call("GET", path, params=params)

    async def post(self, path: str, body: Mapping[str, Any], *, said: tuple[int, ...] = ()) -> Answer:
        """POST wc/v3/`path`; not repeated when the answer was lost. `said` as in `call`."""
        return await self.call("POST", path, json=body, said=said)

    async def put(self, path: str, body: Mapping[str, Any]) -> Answer:
        """PUT wc/v3/`path`."""
        return await self.call("PUT", path, json=body)

    async def delete(self, path: str, **params: object) -> Answer:
        """DELETE wc/v3/`path`."""
        return await self.call("DELETE", path, params=params)

    async def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, object] | None = None,
        json: Mapping[str, Any] | None = None,
        namespace: str = "wc/v3",
        said: tuple[int, ...] = (),
    ) -> Answer:
        """One call of any namespace that WooCommerce keys open (those that begin with `wc/` or `wc-`).

        `said`: further statuses with which the store explains itself.
        """
        await self._http.limiter.wait(self._bucket)
        query = {name: _text(value) for name, value in (params or {}).items() if value is not None}
        url, auth = self._authorized(method, f"{self._url}/wp-json/{namespace}/{path}", query)
        try:
            async with asyncio.timeout(3 * TIMEOUT):
                answer = await self._http.request(
                    method,
                    url,
                    auth=auth,
                    json=json,
                    timeout=TIMEOUT,
                    max_bytes=MAX_BYTES,
                    accept=(*_SAID, *said),
                    # An OAuth nonce counts once: a repetition needs a new signature, so the caller repeats.
                    attempts=3 if self._secure else 1,
                )
        except TimeoutError as error:
            raise PlatformError(
                "the store did not answer in time", retry=True, code="unreachable", lost=True
            ) from error
        except HttpError as error:
            raise self._failed(error) from error
        return self._read(answer)

    @property
    def _secure(self) -> bool:
        return self._url.startswith("https://")

    def _authorized(self, method: str, url: str, query: dict[str, str]) -> tuple[str, tuple[str, str] | None]:
        key, secret = self._keys.consumer_key, self._keys.consumer_secret
        if not self._secure:
            whole = f"{url}?{urlencode(query)}" if query else url
            return str(OAuth(whole, key, secret, version="wc/v3", method=method).get_oauth_url()), None
        if self._keys.query:
            return f"{url}?{urlencode({**query, 'consumer_key': key, 'consumer_secret': secret})}", None
        return (f"{url}?{urlencode(query)}" if query else url), (key, secret)

    def _failed(self, error: HttpError) -> PlatformError:
        if isinstance(error, AddressRefused):
            return PlatformError("the store has a private address", retry=False, code="private_address")
        if error.status is None:
            return PlatformError("the store cannot be reached", retry=error.retry, code="unreachable", lost=error.lost)
        if error.status == 429:
            pause = error.retry_after if error.retry_after is not None else 30.0
            self._http.limiter.pause(self._bucket, min(pause, 120.0))
            return PlatformError("the store asks us to slow down", retry=True, after=pause, code="throttled")
        retry = error.retry or error.status >= 500
        said = f"the store answered {error.status}"
        return PlatformError(said, retry=retry, after=error.retry_after, code="store_error", lost=error.lost)

    def _read(self, answer: Response) -> Answer:
        body: Any = None
        try:
            body = mapping.decode(answer.body) if answer.body else None
        except ValueError as error:
            if answer.status == 404:
                raise PlatformError("no REST API there", retry=False, code="no_permalinks") from error
            # A PHP warning before the JSON, a maintenance page, a firewall's captcha: often gone a minute later.
            refused = answer.status in (401, 403)
            code = "blocked" if refused else "garbage"
            raise PlatformError(
                "the store answered with something else than JSON", retry=True, code=code, lost=not refused
            ) from error
        if answer.status < 400:
            return Answer(body, _count(answer, "x-wp-total"), _count(answer, "x-wp-totalpages"))
        raise _said(answer.status, body if isinstance(body, dict) else {})


def _said(status: int, body: Mapping[str, Any]) -> PlatformError:
    """The store's own error object as ours. A read-only key on a write is a 401 of its own message (B28)."""
    code, message = str(body.get("code") or ""), str(body.get("message") or "")[:200]
    if status == 401 and "write permissions" in message:
        return PlatformError(message, retry=False, reauthorize=True, code="read_only_key")
    if status == 401:
        return PlatformError(message or "not authorized", retry=False, reauthorize=True, code="keys_refused")
    if status == 403:
        return PlatformError(message or "forbidden", retry=False, code="missing_right")
    if status == 404 and code == "rest_no_route":
        return PlatformError(message, retry=False, code="no_route")
    return PlatformError(f"{code}: {message}" if code else f"status {status}", retry=False, code=code or "refused")


def _count(answer: Response, name: str) -> int | None:
    return whole(answer.headers.get(name, ""), sys.maxsize)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
