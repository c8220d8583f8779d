"""How the widget's edges read what a browser sends and say what they answer."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeVar

import msgspec
import orjson
from starlette.requests import Request
from starlette.responses import Response

from plugin.kernel.crypto import Vault
from plugin.kernel.errors import AhlanError, TooLarge
from plugin.kernel.lazy import _
from plugin.kernel.money import Money
from plugin.widget import session
from plugin.widget.session import Pass

MAX_JSON = 32 * 1024
PASS = "ahlan.pass"  # noqa: S105 - the place in a request's scope
"""Where an edge that has found out itself who asks leaves the session that it stands for."""

T = TypeVar("T")


def held(vault: Vault, request: Request) -> Pass:
    """The session of a call. Raises Unauthorized."""
    known: Pass | None = request.scope.get(PASS)
    if known is not None:
        return known
    scheme, _space, token = request.headers.get("authorization", "").partition(" ")
    return session.read(vault, token if scheme.lower() == "bearer" else "")


def json(value: Any) -> Response:
    """An answer that nobody on the way may keep."""
    return Response(orjson.dumps(value), media_type="application/json", headers={"cache-control": "no-store"})


async def body(request: Request, kind: type[T]) -> T:
    """What was sent, as `kind`. Raises AhlanError for anything else, TooLarge beyond MAX_JSON."""
    # A plain form of another site cannot send this type without asking first (CORS), and we never agree.
    if not request.headers.get("content-type", "").startswith("application/json"):
        raise AhlanError(_("That request could not be read."), code="content_type", status=415)
    sent = bytearray()
    async for chunk in request.stream():
        sent += chunk
        if len(sent) > MAX_JSON:
            raise TooLarge(_("This is too large to send."), _("Send something smaller."))
    try:
        return msgspec.json.decode(sent, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise AhlanError(_("That request could not be read."), code="malformed", status=422) from error


def money(amount: Money | None) -> dict[str, Any] | None:
    """An amount as the widget's `money` writes it."""
    if amount is None:
        return None
    return {"amount": amount.amount, "currency": amount.currency, "exponent": amount.exponent}


def moment(at: datetime | None) -> str | None:
    """A moment as the widget's dates are made of it."""
    return at.isoformat().replace("+00:00", "Z") if at else None


def web_address(address: str) -> str:
    """An address that a browser may open or load, or nothing."""
    return address if address.startswith(("https://", "http://")) else ""
