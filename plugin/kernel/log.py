"""Logs: one line per event, as JSON or for a terminal, with the request's id and without anything secret.

Everything goes through here, also what uvicorn, SQLAlchemy and the platform libraries log, so redaction has one place.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from contextvars import ContextVar
from typing import Any, TextIO

import orjson
import structlog

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""Id of the request at work, from the edge to the log of its jobs."""

HIDDEN = "[hidden]"

_SECRET_NAME = re.compile(
    r"authorization|cookie|token|secret|passw|api_?key|consumer_?key|private_?key|encryption|signature|hmac|credential"
    r"|\botp\b|one_time",
    re.IGNORECASE,
)
# Names that match above but hold nothing secret.
_HARMLESS_NAME = re.compile(r"(_id|_count|_type|_at|_seconds|_name|tokens_used)$|^tokens?_(per|left)", re.IGNORECASE)

_SECRET_TEXT = re.compile(
    "|".join(
        (
            r"(?P<scheme>\b(?:Bearer|Basic|Digest)\s+)[A-Za-z0-9._~+/=-]{8,}",
            r"\bshp(?:at|ca|pa|ss|rt|ua|it)_[A-Za-z0-9_-]{8,}",  # Shopify's tokens and secrets
            r"\b[cs]k_[0-9a-f]{32,}\b|\bcs_[0-9a-f]{32,}\b",  # WooCommerce's keys
            r"\bvs_[A-Za-z0-9_-]{16,}",  # a visitor's long-lived secret
            r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?",  # JSON web tokens
            r"(?P<userinfo>://)[^/\s:@]*:[^/\s@]+(?=@)",
            r"(?P<field>[\"']?\b\w*(?:token|secret|password|passwd|hmac|signature|api_?key|consumer_?key|client_?secret|code)"
            r"[\"']?\s*[=:]\s*[\"']?)(?!\[hidden\])[^\s\"'&,;<>}]{6,}",
        )
    ),
    re.IGNORECASE,
)
# Strangers choose what is logged: each part begins in one place and fits in one way, so that no text takes long.
_EMAIL = re.compile(r"(?<![\w.+%-])[\w.+%-]+@[\w-]+(?:\.[\w-]+)+")
_PHONE = re.compile(r"\+\d[\d\s().-]{6,}\d")
# What an exception quotes is somebody's data more often than not.
_QUOTED = re.compile(r"\\.|\"(?:\\.|[^\"\\])+\"|'(?:\\.|[^'\\])+'", re.DOTALL)
_TELLS_OF_FAULTS = frozenset({"error", "exception"})


def redact_text(text: str, *, emails: bool = True) -> str:
    """`text` without tokens, keys, passwords and (unless told otherwise) e-mail addresses and phone numbers."""
    text = _SECRET_TEXT.sub(_hide, text)
    return _PHONE.sub("[phone]", _EMAIL.sub("[e-mail]", text)) if emails else text


def redact_fault(text: str) -> str:
    """What went wrong, without what its message quotes; of a traceback the code lines, which are ours, stay."""
    if not text.startswith("Traceback"):
        return _QUOTED.sub(_unquote, text)
    return "\n".join(line if line.startswith(" ") else _QUOTED.sub(_unquote, line) for line in text.split("\n"))


def _unquote(match: re.Match[str]) -> str:
    found = match[0]
    return found if found[0] == "\\" else f"{found[0]}…{found[0]}"


def _hide(match: re.Match[str]) -> str:
    groups = match.groupdict()
    return (groups["scheme"] or groups["userinfo"] or groups["field"] or "") + HIDDEN


def redact(value: Any, *, emails: bool = True) -> Any:
    """The same for nested mappings and sequences, where a telling name hides its whole value."""
    if isinstance(value, str):
        return redact_text(value, emails=emails)
    if isinstance(value, Mapping):
        return {
            key: HIDDEN if item and _tells(str(key)) else redact(item, emails=emails) for key, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(item, emails=emails) for item in value]
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    if value is None or isinstance(value, bool | int | float):
        return value
    return redact_text(str(value), emails=emails)


def _tells(name: str) -> bool:
    return bool(_SECRET_NAME.search(name)) and not _HARMLESS_NAME.search(name)


def _redact_event(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    kept = {name: event.pop(name) for name in ("_record", "_from_structlog", "exc_info") if name in event}
    event.update(redact(event))
    event.update({name: redact_fault(said) for name in _TELLS_OF_FAULTS if isinstance(said := event.get(name), str)})
    event.update(kept)
    return event


def _add_request_id(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if (current := request_id.get()) is not None:
        event.setdefault("request_id", current)
    return event


def _json(event: Any, **options: Any) -> str:
    return orjson.dumps(event, default=str).decode()


def configure(*, format: str = "console", level: str = "info", stream: TextIO | None = None) -> None:
    """Set logging up for this process. `format` is `console` or `json`; call it once, before anything logs."""
    stream = stream or sys.stderr
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_request_id,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.format_exc_info,
        _redact_event,
    ]
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer(serializer=_json)
        if format == "json"
        else structlog.dev.ConsoleRenderer(colors=stream.isatty())
    )
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    # These print URLs, headers or bodies of other people's APIs below "warning"; alembic two lines at every start.
    for name in ("httpx", "httpcore", "urllib3", "pyactiveresource", "shopify", "arq", "sqlalchemy.engine", "asyncio",
                 "alembic"):  # fmt: skip
        logging.getLogger(name).setLevel(logging.WARNING)
