"""Calls to EasyPost (https://docs.easypost.com/docs), through the house's own outgoing HTTP.

The key is the name of Basic authentication without a password. EasyPost explains itself in `error.message`; its texts
about a 4xx are passed on, bodies are never logged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from plugin.kernel.http import AddressRefused, Http, HttpError, Response
from plugin.platform import PlatformError

HOST: Final = "api.easypost.com"
TIMEOUT: Final = 30.0
"""Seconds: rates are asked of every carrier of an account, one of which may be slow."""
MAX_BYTES: Final = 4 * 1024 * 1024
DOCUMENT_BYTES: Final = 10 * 1024 * 1024
_SAID: Final = (400, 401, 402, 403, 404, 405, 409, 422)


class Client:
    """One way to ask, for every account."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def call(self, key: str, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """`v2/<path>`. Raises PlatformError; what may have had its effect is `lost` and is never repeated here."""
        bucket = f"easypost:{key[-6:]}"
        await self._http.limiter.wait(bucket)
        try:
            async with asyncio.timeout(2 * TIMEOUT):
                answer = await self._http.request(
                    method, f"https://{HOST}/v2/{path}", json=body, auth=(key, ""), timeout=TIMEOUT,
                    max_bytes=MAX_BYTES, accept=_SAID, attempts=2, patience=5,
                )  # fmt: skip
        except TimeoutError as error:
            raise PlatformError("EasyPost did not answer in time", retry=True, code="unreachable", lost=True) from error
        except HttpError as error:
            if error.status == 429:
                pause = min(error.retry_after if error.retry_after is not None else 10.0, 120.0)
                self._http.limiter.pause(bucket, pause)
            raise _failed(error, "EasyPost") from error
        return _read(answer, method)

    async def document(self, url: str) -> bytes:
        """A label or a picture from where EasyPost says that it lies. Raises PlatformError."""
        try:
            async with asyncio.timeout(2 * TIMEOUT):
                return (await self._http.request("GET", url, timeout=TIMEOUT, max_bytes=DOCUMENT_BYTES)).body
        except TimeoutError as error:
            raise PlatformError("the label did not come in time", retry=True, code="unreachable") from error
        except HttpError as error:
            raise _failed(error, "the store of labels") from error


def _failed(error: HttpError, who: str) -> PlatformError:
    if isinstance(error, AddressRefused):
        return PlatformError(f"{who} has a private address", retry=False, code="private_address")
    if error.status is None:
        return PlatformError(f"{who} cannot be reached", retry=error.retry, code="unreachable", lost=error.lost)
    if error.status == 429:
        return PlatformError(f"{who} asks us to slow down", retry=True, after=error.retry_after, code="throttled")
    retry = error.retry or error.status >= 500
    said = f"{who} answered {error.status}"
    return PlatformError(said, retry=retry, after=error.retry_after, code="carrier_error", lost=error.lost)


def _read(answer: Response, method: str) -> dict[str, Any]:
    try:
        body = answer.json() if answer.body else {}
    except HttpError as error:
        # A proxy's page instead of an answer: what was asked for may have been done all the same.
        lost = method != "GET"
        raise PlatformError("EasyPost did not answer with JSON", retry=True, code="garbage", lost=lost) from error
    if not isinstance(body, dict):
        raise PlatformError("EasyPost answered with something else", retry=True, code="garbage", lost=method != "GET")
    if answer.status < 400:
        return body
    told = body.get("error")
    error_told: Mapping[str, Any] = told if isinstance(told, dict) else {}
    said = error_told.get("message")
    code = str(error_told.get("code") or f"status_{answer.status}")[:80]
    words = said if isinstance(said, str) and said else f"EasyPost answered {answer.status}"
    raise PlatformError(words[:300], retry=False, code=code, reauthorize=answer.status in (401, 403))
