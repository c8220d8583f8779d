"""What goes along with a reply: whether it is held back for another look, and what its macro does."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse, Response

from admin_ui.desk import Desk, as_id
from admin_ui.words import filled
from plugin.conversations import macros, meanwhile, wording
from plugin.conversations.conversations import Conversation
from plugin.conversations.meanwhile import News
from plugin.kernel.db import Tx
from plugin.kernel.digits import whole
from plugin.kernel.i18n import Translator
from plugin.kernel.text import isolate


async def held(tx: Tx, desk: Desk, talk: Conversation, form: Any) -> Response | None:
    """409 where the writer should look again first; None where the reply may go. The caller holds the conversation.

    `seen` is the position of the last thing that the writer had before their eyes: whatever others wrote since is told,
    with the position to confirm. `as_it_is` confirms a text with names that nothing filled in.
    """
    t = desk.t
    reasons: list[str] = []
    news = None
    seen = str(form.get("seen", ""))
    if (position := whole(seen, 999_999_999)) is not None:
        news = await meanwhile.since(tx, talk.id, position, by=desk.agent)
    if news is not None:
        reasons += _told(t, news)
    left = wording.unfilled(str(form.get("text", ""))) if not form.get("as_it_is") else ()
    if left:
        names = t.listing([filled(t, name) for name in left])
        reasons.append(t.gettext("Still to be filled in: %(names)s.", names=names))
    if not reasons:
        return None
    error = {
        "code": "held_back",
        "message": " ".join(reasons),
        "what_to_do": t.gettext("Look at it, then send or change your reply."),
    }
    again = {"seen": news.position if news else seen, "as_it_is": "yes" if left else ""}
    return JSONResponse({"error": error, "held": again}, 409, desk.headers())


def _told(t: Translator, news: News) -> list[str]:
    said = [t.gettext("%(name)s has answered meanwhile.", name=isolate(name)) for name in news.answered]
    said += [t.gettext("%(name)s has written a note meanwhile.", name=isolate(name)) for name in news.noted]
    if news.customer:
        said.append(t.gettext("The customer has written meanwhile."))
    return said or [t.gettext("Something came in meanwhile.")]


async def follow(tx: Tx, desk: Desk, talk: Conversation, form: Any) -> None:
    """Count the macro that the reply was made with, and do what is left of its actions."""
    if not form.get("macro"):
        return
    macro = await macros.find(tx, desk.agent, as_id(str(form["macro"])))
    kept = {str(said) for said in form.getlist("action")}
    # Only what the macro says: a form is no way to do more than one's page offered.
    await macros.perform(tx, talk, [action for action in macro.deeds() if str(action) in kept], by=desk.agent)
    await macros.used(tx, macro, desk.agent)
