"""The demo's help centre: the starter set as a shop would answer it, and a few snippets."""

from sqlalchemy import select

from plugin import workspaces
from plugin.app import App
from plugin.kernel.db import Tx
from plugin.knowledge import articles, starters
from plugin.knowledge.articles import Article, Kind
from plugin.team import Agent, Role

_ANSWERS: dict[str, dict[str, list[str]]] = {
    "delivery": {"pack": ["1"], "arrive": ["4"], "cost": ["25 SAR"], "free": ["300 SAR"]},
    "returns": {"days": ["14"], "pays": ["shop"], "refund": ["5"]},
    "payment": {"methods": ["card", "cod", "wallet"], "currency": []},
    "changes": {"until": ["shipped"]},
    "damaged": {"days": ["7"]},
}
_SNIPPETS = (
    {
        "en": ("Gift wrapping", "We wrap gifts for 15 SAR. Say so when you order."),
        "ar": ("تغليف الهدايا", "نغلّف الهدايا مقابل 15 ريالًا. يكفي ذكر ذلك عند الطلب."),
        "he": ("אריזת מתנה", "אנחנו אורזים מתנות ב־15 ריאל. אפשר לציין זאת בהזמנה."),
    },
)


async def furnish(app: App, tx: Tx) -> int:
    """Write and publish it where there has never been an article. Returns how many were written."""
    owner = await tx.scalar(
        select(Agent).where(Agent.workspace_id == tx.workspace_id, Agent.role == Role.OWNER).limit(1)
    )
    if owner is None or await tx.scalar(select(Article.id).where(Article.workspace_id == tx.workspace_id).limit(1)):
        return 0
    workspace = await workspaces.current(tx)
    source = app.catalogues.negotiate(workspace.locale if workspace else "")
    for key, answers in _ANSWERS.items():
        policy = starters.known(key)
        assert policy is not None
        article = await starters.fill_in(tx, app.catalogues, policy, answers, by=owner, source=source)
        for code in app.catalogues.codes:
            await articles.publish(tx, article, code, by=owner)
    for texts in _SNIPPETS:
        snippet = await articles.create(tx, owner.id, Kind.SNIPPET, source)
        for code, (title, body) in texts.items():
            await articles.write(tx, snippet, code, title, body, by=owner.id)
            await articles.publish(tx, snippet, code, by=owner)
    return len(_ANSWERS) + len(_SNIPPETS)
