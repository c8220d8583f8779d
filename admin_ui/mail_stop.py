"""`/mail/stop/<token>`: whoever gets a chat's answers by e-mail ends that, with one click or in their mail program.

Opening the link only asks, because mail scanners open every link; a POST does it (RFC 8058). The token is of one
conversation and one reader; it names nobody.
"""

from __future__ import annotations

from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from admin_ui.auth import public_page
from plugin import stores
from plugin.app import App
from plugin.conversations import delivery, letters
from plugin.conversations.conversations import Conversation
from plugin.kernel.errors import NotFound
from plugin.kernel.lazy import _
from plugin.kernel.web import Web


def route(app: App, web: Web) -> Route:
    """The page and its button."""

    async def serve(request: Request) -> Response:
        claims = app.vault.verify(delivery.STOP, request.path_params["token"])
        if claims is None:
            raise _gone()
        conversation_id = UUID(claims["c"])
        async with app.db.transaction(UUID(claims["w"])) as tx:
            talk = await tx.get(Conversation, conversation_id)
            store = await stores.get(tx, talk.store_id) if talk is not None and talk.store_id is not None else None
            if talk is None or store is None:
                raise _gone()
            done = request.method == "POST"
            if done and not await letters.stop(tx, app.vault, conversation_id, claims["m"]):
                raise _gone()
        t = web.translator(request, talk.locale or store.locale)
        return public_page(app, web, "mail_stop.html", t, request, done=done, shop=store)

    return Route(f"{delivery.STOP_PATH}/{{token}}", serve, methods=["GET", "POST"], name="mail_stop")


def _gone() -> NotFound:
    return NotFound(_("This link is no longer good."), _("Nothing more is sent about a conversation that is gone."))
