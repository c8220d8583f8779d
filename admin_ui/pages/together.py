"""Working side by side: who else has this conversation open, and whom a note can call."""

from __future__ import annotations

from starlette.responses import Response

from admin_ui.desk import Desk
from admin_ui.pages import conversation
from plugin import team
from plugin.conversations import mentions, presence
from plugin.kernel.text import isolate, search_key

_OFFERED = 8


async def colleagues(desk: Desk) -> Response:
    """The line above the reply box: who is writing, and who looks at this too."""
    conversation_id = desk.path_id()
    here = await presence.colleagues_here(desk.app.hub, desk.workspace_id, conversation_id, but=desk.agent.id)
    async with desk.transaction() as tx:
        await conversation.find(tx, conversation_id)
        everybody = await team.agents(tx) if here.writing or here.looking else []
    writing = [isolate(agent.name) for agent in everybody if agent.id in here.writing]
    looking = [isolate(agent.name) for agent in everybody if agent.id in here.looking]
    return desk.page("together.html", block="colleagues", writing=writing, looking=looking)


async def writing(desk: Desk) -> Response:
    """This agent is writing a reply or a note: colleagues with the same conversation open see it for a few seconds."""
    conversation_id = desk.path_id()
    async with desk.transaction() as tx:
        await conversation.find(tx, conversation_id)
    await presence.agent_writes(desk.app.hub, desk.workspace_id, conversation_id, desk.agent.id)
    return Response(status_code=204, headers=desk.headers())


async def people(desk: Desk) -> Response:
    """Whom a note can call, by the letters typed after @: names that begin with them first."""
    asked = search_key(desk.request.query_params.get("q", "")[:80])
    async with desk.transaction() as tx:
        everybody = await mentions.people(tx, but=desk.agent)
    fitting = [agent for agent in everybody if asked in search_key(agent.name)]
    fitting.sort(key=lambda agent: not search_key(agent.name).startswith(asked))
    return desk.page("together.html", block="people", people=fitting[:_OFFERED])
