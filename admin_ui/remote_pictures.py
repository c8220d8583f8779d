"""Pictures that a mail only points at: fetched by the server once somebody asked, drawn anew, and served by us.

The sender learns that some server asked, not who read the mail, where, or in which browser. A link names a picture of a
stored letter by its place in it, so it opens no way to any other address.
"""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit
from uuid import UUID

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from plugin.app import App
from plugin.conversations import attachments
from plugin.conversations.conversations import EMAIL
from plugin.conversations.letters import Letter
from plugin.kernel.errors import AhlanError, NotFound
from plugin.kernel.http import HttpError
from plugin.kernel.lazy import _

log = structlog.get_logger(__name__)

LINK_SECONDS = 300
"""Pictures far down a mail are asked for when somebody gets there."""

_PURPOSE = "remote picture"
_MOST_BYTES = 8 * 1024 * 1024
_SECONDS = 8.0
_HOPS = 4
_MOVED = frozenset({301, 302, 303, 307, 308})


def link(app: App, workspace_id: UUID, letter_id: UUID, number: int) -> str:
    """A path to one picture of a letter, good for some minutes. Whoever makes it has checked who may see it."""
    claims = {"w": str(workspace_id), "l": str(letter_id), "n": number}
    return f"/mail-pictures/{app.vault.sign(_PURPOSE, claims, LINK_SECONDS)}"


def route(app: App) -> Route:
    """What the links lead to."""

    async def serve(request: Request) -> Response:
        claims = app.vault.verify(_PURPOSE, request.path_params["token"])
        if claims is None:
            raise NotFound(_("This link is no longer good."), _("Open the file again from the conversation."))
        async with app.db.transaction(UUID(claims["w"])) as tx:
            letter = await tx.get(Letter, UUID(claims["l"]))
        sources = app.channels[EMAIL].elsewhere(letter.html) if letter is not None else ()
        if claims["n"] >= len(sources):
            raise NotFound(_("This file is no longer there."))
        drawn = await _drawn(app, sources[claims["n"]])
        headers = {
            "content-disposition": "inline",
            "content-security-policy": "sandbox; default-src 'none'",
            "x-content-type-options": "nosniff",
            "cross-origin-resource-policy": "same-origin",
            "cache-control": f"private, max-age={LINK_SECONDS}",
            "referrer-policy": "no-referrer",
        }
        return Response(drawn.content, headers=headers, media_type=drawn.media_type)

    return Route("/mail-pictures/{token}", serve, methods=["GET"])


async def _drawn(app: App, source: str) -> attachments.Upload:
    try:
        drawn = await attachments.inspect("picture", await _fetched(app, source))
    except (HttpError, AhlanError, ValueError) as error:
        # ValueError: an address, or where it leads, that is none (`http://[`).
        log.info("picture_not_fetched", reason=type(error).__name__)
        raise NotFound(_("This picture cannot be loaded.")) from error
    if drawn.width is None:
        raise NotFound(_("This picture cannot be loaded."))
    return drawn


async def _fetched(app: App, source: str) -> bytes:
    """The bytes behind an address, through the guarded client: each hop is checked anew. Raises HttpError."""
    for _hop in range(_HOPS):
        if urlsplit(source).scheme not in ("http", "https"):
            break
        answer = await app.http.request(
            "GET", source, headers={"Accept": "image/*"}, timeout=_SECONDS, max_bytes=_MOST_BYTES, attempts=1,
            accept=_MOVED,
        )  # fmt: skip
        if answer.status not in _MOVED:
            return answer.body
        source = urljoin(source, answer.headers.get("location", ""))
    raise HttpError("the picture leads nowhere", retry=False)
