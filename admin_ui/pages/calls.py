"""Requests for an order that nothing vouches for, above the thread that carries them: called, confirmed or closed."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import Response

from admin_ui import order_links
from admin_ui.desk import Desk, as_id
from admin_ui.pages import conversation
from plugin import privacy
from plugin.kernel.lazy import _
from plugin.returns import calls
from plugin.team import Permission


async def above(desk: Desk) -> Response:
    """What waits for a call, with the number on the order, and what a call opened; nothing for who may not reply."""
    return await _shown(desk)


async def confirm(desk: Desk) -> Response:
    """The agent called the number that was shown (`phone`), and the order (`order`) is theirs."""
    form = await desk.request.form()
    async with desk.transaction() as tx:
        talk = await conversation.find(tx, desk.path_id())
        await calls.confirm(
            tx, talk, desk.path_id("call"), as_id(str(form.get("order", ""))), str(form.get("phone", "")),
            by=desk.agent, catalogues=desk.app.catalogues,
        )  # fmt: skip
    return await _shown(desk)


async def decline(desk: Desk) -> Response:
    """Not them: the request ends, and nobody is told."""
    call_id = desk.path_id("call")
    async with desk.transaction() as tx:
        talk = await conversation.find(tx, desk.path_id())
        await calls.decline(tx, talk, call_id, by=desk.agent)
    shown = await _shown(desk)
    toast = {
        "text": desk.t.gettext(_("The request is closed. The shopper was told nothing about the order.")),
        "action": desk.url(f"conversations/{talk.id}/calls/{call_id}/undo"), "undo": desk.t.gettext("Undo"),
        "values": {},
    }  # fmt: skip
    shown.headers["hx-trigger"] = json.dumps({"ahlan:toast": toast})
    return shown


async def undo(desk: Desk) -> Response:
    """Take the answer back: what it opened is closed."""
    async with desk.transaction() as tx:
        talk = await conversation.find(tx, desk.path_id())
        await calls.undo(tx, talk, desk.path_id("call"), by=desk.agent, catalogues=desk.app.catalogues)
    return await _shown(desk)


async def _shown(desk: Desk) -> Response:
    found: list[tuple[calls.Call, list[Any]]] = []
    async with desk.transaction() as tx:
        talk = await conversation.find(tx, desk.path_id())
        for call in await calls.of_conversation(tx, talk.id) if desk.may(Permission.REPLY) else ():
            for one in call.meant:
                if one.order.customer_id is not None:
                    await privacy.log_access(tx, desk.agent, one.order.customer_id, "conversation")
            found.append((call, [(one, order_links.address(desk, one.order.id, talk.id)) for one in call.meant]))
    return desk.page("calls.html", block="calls", talk=talk, calls=found)
