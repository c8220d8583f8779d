"""The port to a language model: one question, one answer, over the chat completions that many servers speak.

The request names no tool and no function, so no answer can call one; whatever an answer holds is text. Streaming,
pictures and several choices are not asked for. `max_tokens` is what most servers know; those that refuse it, or a
temperature, or the JSON format (the newer models of OpenAI do:
https://platform.openai.com/docs/api-reference/chat/create) say so with 400, are asked once more without, and are
remembered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import orjson

from plugin.kernel.digits import whole
from plugin.kernel.http import AddressRefused, Http, HttpError, Response

MOST_BYTES = 1024 * 1024
"""Of an answer: a page of text is a hundredth of it."""

_STATUSES = range(100, 600)
_SAID = 300
_LATER = 3600
_QUIRKS: dict[tuple[str, str], frozenset[str]] = {}


class Trouble(StrEnum):
    """Why there is no answer. The last four are set up wrong and stay so until somebody changes something."""

    TIMEOUT = "timeout"
    BUSY = "busy"
    FAILED = "failed"
    GARBAGE = "garbage"
    UNREACHABLE = "unreachable"
    KEY = "key_refused"
    MISSING = "not_found"
    ASKED_WRONG = "refused"
    PRIVATE = "private_address"


WRONG = frozenset({Trouble.KEY, Trouble.MISSING, Trouble.ASKED_WRONG, Trouble.PRIVATE})


class ModelError(Exception):
    """No answer. `said` is what the server said, without the key; `after` the seconds that it asks for."""

    def __init__(self, trouble: Trouble, said: str = "", after: float = 0.0) -> None:
        super().__init__(f"{trouble}: {said}" if said else str(trouble))
        self.trouble = trouble
        self.said = said
        self.after = after


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a model is asked. `url` is the base (`https://api.example/v1`), the key never appears in a repr."""

    url: str
    model: str
    key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. Tokens are the server's count; `counted` is False where it told none and we guessed."""

    text: str
    tokens_in: int
    tokens_out: int
    counted: bool


def guessed(text: str) -> int:
    """Tokens of a text when nobody counts them: never fewer than they are, by its bytes. Pure."""
    return len(text.encode()) // 2 + 1


async def complete(
    http: Http, endpoint: Endpoint, instructions: str, data: str, *, most: int, seconds: float, json: bool = True
) -> Reply:
    """Ask once: `instructions` are ours, `data` is what it is about. At most `most` tokens, `seconds` in all.

    Raises ModelError; nothing is tried again, the caller has something else to fall back on.
    """
    try:
        async with asyncio.timeout(seconds):
            answer = await _asked(http, endpoint, instructions, data, most, seconds, json)
    except TimeoutError:
        raise ModelError(Trouble.TIMEOUT) from None
    except AddressRefused:
        raise ModelError(Trouble.PRIVATE) from None
    except HttpError as error:
        raise ModelError(Trouble.UNREACHABLE if error.status is None and not error.lost else Trouble.TIMEOUT) from error
    return _read(answer, instructions + data, endpoint.key)


async def _asked(
    http: Http, endpoint: Endpoint, instructions: str, data: str, most: int, seconds: float, json: bool
) -> Response:
    where = (endpoint.url, endpoint.model)
    while True:
        quirks = _QUIRKS.get(where, frozenset())
        answer = await http.request(
            "POST", f"{endpoint.url}/chat/completions", json=_body(endpoint, instructions, data, most, json, quirks),
            headers={"Authorization": f"Bearer {endpoint.key}"} if endpoint.key else {},
            timeout=seconds, max_bytes=MOST_BYTES, attempts=1, accept=_STATUSES,
        )  # fmt: skip
        # What it does not know it names; each is left out once, so this ends.
        more = {name for name in ("max_tokens", "temperature", "response_format") if name in answer.text()} - quirks
        if answer.status != 400 or not more:
            return answer
        if len(_QUIRKS) > 1000:
            _QUIRKS.clear()
        _QUIRKS[where] = quirks | more


def _body(
    endpoint: Endpoint, instructions: str, data: str, most: int, json: bool, quirks: frozenset[str]
) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": endpoint.model,
        "messages": [{"role": "system", "content": instructions}, {"role": "user", "content": data}],
        "max_completion_tokens" if "max_tokens" in quirks else "max_tokens": most,
    }
    if "temperature" not in quirks:
        body["temperature"] = 0
    if json and "response_format" not in quirks:
        body["response_format"] = {"type": "json_object"}
    return body


def _read(answer: Response, asked: str, key: str) -> Reply:
    """The text of an answer. Raises ModelError for everything that is none."""
    try:
        body = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        body = None
    if answer.status != 200:
        raise _refusal(answer, body, key)
    choices: Sequence[Any] = body.get("choices") or () if isinstance(body, dict) else ()
    first = choices[0] if isinstance(choices, list) and choices else None
    message = first.get("message") if isinstance(first, dict) else None
    text = message.get("content") if isinstance(message, dict) else None
    if not isinstance(text, str) or not text.strip() or not isinstance(body, dict):
        raise ModelError(Trouble.GARBAGE)
    told = body.get("usage")
    usage: Mapping[str, Any] = told if isinstance(told, dict) else {}
    counts = [usage.get("prompt_tokens"), usage.get("completion_tokens")]
    if all(isinstance(one, int) and 0 <= one < 10_000_000 for one in counts):
        return Reply(text, int(counts[0] or 0), int(counts[1] or 0), True)
    return Reply(text, guessed(asked), guessed(text), False)


def _refusal(answer: Response, body: Any, key: str) -> ModelError:
    told = body.get("error") if isinstance(body, dict) else None
    said = told.get("message") if isinstance(told, dict) else told if isinstance(told, str) else ""
    words = " ".join(said.split())[:_SAID] if isinstance(said, str) else ""
    if key:
        words = words.replace(key, "…")
    after = float(whole(answer.headers.get("retry-after", "").strip(), _LATER) or 0)
    match answer.status:
        case 401 | 403:
            return ModelError(Trouble.KEY, words)
        case 404:
            return ModelError(Trouble.MISSING, words)
        case 429:
            return ModelError(Trouble.BUSY, words, after)
        case status if 300 <= status < 500:
            return ModelError(Trouble.ASKED_WRONG, words)
        case _:
            return ModelError(Trouble.FAILED, words, after)
