"""The demo's help centre: the starter set as its shops would answer it, their hours, and what each shop charges."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import select

from plugin import stores, workspaces
from plugin.app import App
from plugin.kernel.db import Tx
from plugin.kernel.i18n import Translator
from plugin.kernel.money import parse
from plugin.knowledge import articles, starters
from plugin.knowledge.articles import Article, Kind
from plugin.team import Agent, Role

_ANSWERS: dict[str, dict[str, list[str]]] = {
    "returns": {"days": ["14"], "pays": ["shop"], "refund": ["5"]},
    "payment": {"methods": ["card", "cod", "wallet"], "currency": []},
    "changes": {"until": ["shipped"]},
    "damaged": {"days": ["7"]},
}
_DAYS = {"pack": ["1"], "arrive": ["4"]}
# Delivery, free delivery from, gift wrapping, in whole units: what is usual in either shop's country.
_CHARGES: Mapping[str, tuple[int, int, int]] = {"ILS": (25, 300, 15), "JOD": (3, 50, 2)}
_HOURS = {
    "en": (
        "When are you open?",
        "Order whenever you like: the shop is open day and night. Write to us in the chat at any hour; what cannot be "
        "answered at once is answered within a day.",
    ),
    "ar": (
        "متى تفتحون؟",
        "يمكن الطلب في أي وقت، فالمتجر مفتوح ليلًا ونهارًا. راسلونا في المحادثة في أي ساعة، "
        "وما لا يمكن الرد عليه فورًا نرد عليه خلال يوم.",
    ),
    "he": (
        "מתי אתם פתוחים?",
        "אפשר להזמין מתי שנוח: החנות פתוחה יום ולילה. אפשר לכתוב לנו בצ׳אט בכל שעה, ועל מה שלא נענה מיד נענה בתוך יום.",
    ),
}
_WRAPPING = {
    "en": ("Gift wrapping", "We wrap gifts for {price}. Say so when you order."),
    "ar": ("تغليف الهدايا", "نغلّف الهدايا مقابل {price}. يكفي ذكر ذلك عند الطلب."),
    "he": ("אריזת מתנה", "אנחנו אורזים מתנות ב־{price}. אפשר לציין זאת בהזמנה."),
}


async def furnish(app: App, tx: Tx) -> int:
    """Write and publish it where there has never been an article. Returns how many were written."""
    owner = await tx.scalar(
        select(Agent).where(Agent.workspace_id == tx.workspace_id, Agent.role == Role.OWNER).limit(1)
    )
    if owner is None or await tx.scalar(select(Article.id).where(Article.workspace_id == tx.workspace_id).limit(1)):
        return 0
    workspace = await workspaces.current(tx)
    source = app.catalogues.negotiate(workspace.locale if workspace else "")
    translators = {code: app.catalogues.translator(code) for code in app.catalogues.codes}
    made: list[Article] = []
    for key, answers in _ANSWERS.items():
        policy = starters.known(key)
        assert policy is not None
        made.append(await starters.fill_in(tx, app.catalogues, policy, answers, by=owner, source=source))
    shelf = made[0].collection_id
    made.append(await _article(tx, owner, source, _HOURS, shelf=shelf))
    for store in await stores.all_stores(tx):
        if store.currency not in _CHARGES:
            continue
        cost, free, wrapping = _CHARGES[store.currency]
        answers = {**_DAYS, "cost": [f"{cost} {store.currency}"], "free": [f"{free} {store.currency}"]}
        delivery = await _article(
            tx, owner, source, _delivery(translators, answers), shelf=shelf, store=store.id, starter="delivery"
        )
        delivery.answers = answers
        made.append(delivery)
        price = parse(wrapping, store.currency)[0]
        wrapped = {
            code: (title, body.format(price=translators[code].format_money(price)))
            for code, (title, body) in _WRAPPING.items()
        }
        made.append(await _article(tx, owner, source, wrapped, kind=Kind.SNIPPET, store=store.id))
    for article in made:
        for code in app.catalogues.codes:
            await articles.publish(tx, article, code, by=owner)
    return len(made)


def _delivery(
    translators: Mapping[str, Translator], answers: Mapping[str, Sequence[str]]
) -> dict[str, tuple[str, str]]:
    policy = starters.known("delivery")
    assert policy is not None
    return {code: (t.gettext(policy.title), starters.written(t, policy, answers)) for code, t in translators.items()}


async def _article(
    tx: Tx,
    owner: Agent,
    source: str,
    texts: Mapping[str, tuple[str, str]],
    *,
    kind: Kind = Kind.ARTICLE,
    shelf: UUID | None = None,
    store: UUID | None = None,
    starter: str = "",
) -> Article:
    article = await articles.create(tx, owner.id, kind, source, collection_id=shelf, starter=starter)
    article.store_id = store
    for code, (title, body) in texts.items():
        await articles.write(tx, article, code, title, body, by=owner.id)
    return article
