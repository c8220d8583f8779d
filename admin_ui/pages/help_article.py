"""One article in the panel: its editor, languages side by side, versions, publishing; and in the reply box."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from starlette.responses import Response

from admin_ui.desk import Desk, as_id, nothing_here
from admin_ui.pages import help, help_choice
from plugin import team
from plugin.conversations.conversations import Conversation
from plugin.conversations.messages import Message
from plugin.kernel.db import Tx, new_id
from plugin.kernel.digits import whole
from plugin.kernel.errors import AhlanError, Conflict
from plugin.kernel.lexemes import Piece
from plugin.knowledge import articles, extras, markdown, meaning, rules, search, site
from plugin.knowledge.articles import Kind, Listed
from plugin.knowledge.meaning import Near
from plugin.stores import Store

_OFFERED = 5
_SUGGESTED = 3


async def new(desk: Desk) -> Response:
    """An empty article or snippet."""
    asked = desk.request.query_params
    kind = Kind.SNIPPET if asked.get("kind") == Kind.SNIPPET else Kind.ARTICLE
    language = _language(desk, asked.get("language", "") or desk.workspace.locale)
    async with desk.transaction() as tx:
        context = await _form(tx, desk, None, kind, language, asked.get("title", "")[:200], "")
    return desk.page("help_article.html", **context)


async def one(desk: Desk) -> Response:
    """An article in one of its languages, its source beside it."""
    async with desk.transaction() as tx:
        found = await articles.find(tx, desk.path_id())
        language = _language(desk, desk.request.query_params.get("language", "") or _first(desk, found))
        text = found.texts.get(language)
        words = (text.title, text.body) if text is not None else ("", "")
        context = await _form(tx, desk, found, Kind(found.article.kind), language, *words)
    return desk.page("help_article.html", **context)


async def save(desk: Desk) -> Response:
    """Keep a text, and publish it where that was asked for. What cannot be kept comes back as it was written."""
    form = await desk.request.form()
    language, title, body = _language(desk, str(form.get("language", ""))), str(form["title"]), str(form["body"])
    kind = Kind.SNIPPET if form.get("kind") == Kind.SNIPPET else Kind.ARTICLE
    there = "id" in desk.request.path_params
    # `over`: what somebody else saved meanwhile has been looked at, and goes.
    seen = str(form.get("over") or form.get("seen", ""))
    once = str(form.get("once", ""))
    try:
        async with desk.transaction() as tx:
            article = (
                (await articles.find(tx, desk.path_id())).article
                if there
                else await articles.create(tx, desk.agent.id, kind, language, once=as_id(once) if once else None)
            )
            await articles.write(
                tx, article, language, title, body, by=desk.agent.id,
                seen=whole(seen, 10**9), small=form.get("small") == "yes",
            )  # fmt: skip
            if form.get("then") == "publish":
                await articles.publish(tx, article, language, by=desk.agent)
    except AhlanError as error:
        if error.status not in (400, 409, 422):
            raise
        async with desk.transaction() as tx:
            found = await articles.find(tx, desk.path_id()) if there else await _begun(tx, once)
            context = await _form(tx, desk, found, kind, language, title, body, once=once)
            # A conflict keeps being one until it is looked at: saving again would overwrite.
            kept = await _meanwhile(tx, found, language, title, body, seen) if isinstance(error, Conflict) else {}
        block = "page" if "hx-request" in desk.request.headers else ""
        return desk.page(
            "help_article.html", status=422, block=block, **{**context, **kept, "errors": help.said(desk, error)}
        )
    return desk.go(f"help/{article.id}", language=language, saved=str(form.get("then", "")) or "save")


async def _begun(tx: Tx, once: str) -> Listed | None:
    """The article that a first save has made whose answer never came; None: it made none."""
    return next(iter(await articles.by_ids(tx, [as_id(once)])), None) if once else None


async def _meanwhile(tx: Tx, found: Listed | None, language: str, title: str, body: str, seen: str) -> dict[str, Any]:
    """What somebody else saved while this was written, against it."""
    theirs = found.texts.get(language) if found is not None else None
    if theirs is None:
        return {"seen": seen}
    people = {agent.id: agent.name for agent in await team.agents(tx)}
    mine = body.replace("\r\n", "\n").strip()
    return {
        "seen": seen,
        "theirs": theirs,
        "theirs_by": people.get(theirs.edited_by, "") if theirs.edited_by is not None else "",
        "theirs_lines": rules.difference(f"{theirs.title}\n\n{theirs.body}", f"{title}\n\n{mine}"),
    }


async def preview(desk: Desk) -> Response:
    """What is being written, as shoppers will see it."""
    form = await desk.request.form()
    language = _language(desk, str(form.get("language", "")))
    body = str(form.get("body", ""))[: articles.LONGEST_BODY]
    return desk.page(
        "help_article.html", block="preview", title_now=str(form.get("title", ""))[: articles.LONGEST_TITLE],
        html=site.safe(await markdown.rendered(body)),
        language=language, direction=_direction(desk, language),
    )  # fmt: skip


Change = Callable[[Tx, Listed, str, Any], Awaitable[object]]


async def _change(desk: Desk, change: Change, saved: str) -> Response:
    form = await desk.request.form()
    language = str(form.get("language", ""))
    async with desk.transaction() as tx:
        found = await articles.find(tx, desk.path_id())
        if language not in found.texts:
            raise nothing_here()
        await change(tx, found, language, form)
    return desk.go(f"help/{desk.path_id()}", language=language, saved=saved)


async def publish(desk: Desk) -> Response:
    """Show the latest words to shoppers."""
    return await _change(
        desk, lambda tx, one, code, _: articles.publish(tx, one.article, code, by=desk.agent), "publish"
    )


async def unpublish(desk: Desk) -> Response:
    """Take them off the help centre."""
    return await _change(desk, lambda tx, one, code, _: articles.unpublish(tx, one.article, code, by=desk.agent), "off")


async def schedule(desk: Desk) -> Response:
    """Publish by itself at a time of the agent's own clock."""

    async def change(tx: Tx, found: Listed, code: str, form: Any) -> None:
        if form.get("off"):
            return await articles.unschedule(tx, found.article, code, by=desk.agent)
        try:
            local = datetime.fromisoformat(str(form.get("at", "")))
        except ValueError:
            raise nothing_here() from None
        at = local if local.tzinfo else local.replace(tzinfo=desk.t.timezone)
        return await articles.schedule(tx, found.article, code, at, by=desk.agent)

    return await _change(desk, change, "planned")


async def current(desk: Desk) -> Response:
    """A translation needs no change."""
    return await _change(desk, lambda tx, one, code, _: articles.up_to_date(tx, one.article, code), "current")


async def restore(desk: Desk) -> Response:
    """Take an earlier version up again."""

    async def change(tx: Tx, found: Listed, code: str, form: Any) -> None:
        number = str(form.get("number", ""))
        await articles.restore(tx, found.article, code, whole(number, 10**9) or 0, by=desk.agent.id)

    return await _change(desk, change, "restored")


async def arrange(desk: Desk) -> Response:
    """Shelf, shop, related articles, address."""

    async def change(tx: Tx, found: Listed, code: str, form: Any) -> None:
        shelf, shop = str(form.get("collection", "")), str(form.get("store", ""))
        related = [as_id(str(one)) for one in form.getlist("related") if str(one)]
        known = {one.id for one in await help.shops(tx)}
        await articles.arrange(
            tx, found.article, collection_id=as_id(shelf) if shelf else None, related=related,
            store_id=as_id(shop) if shop and as_id(shop) in known else None, by=desk.agent,
        )  # fmt: skip
        if wanted := str(form.get("slug", "")).strip():
            await articles.rename(tx, found.article, code, wanted, by=desk.agent)

    return await _change(desk, change, "arranged")


async def move(desk: Desk) -> Response:
    """One place up or down on its shelf."""
    form = await desk.request.form()
    async with desk.transaction() as tx:
        found = await articles.find(tx, desk.path_id())
        await articles.move(tx, found.article, -1 if form.get("step") == "up" else 1)
    return desk.go("help", kind=found.article.kind)


async def remove(desk: Desk) -> Response:
    """Delete an article, or bring it `back`."""
    form = await desk.request.form()
    async with desk.transaction() as tx:
        found = await articles.find(tx, desk.path_id())
        await articles.remove(tx, found.article, by=desk.agent, back=form.get("back") == "yes")
    if form.get("back") == "yes":
        return desk.go("help", kind=found.article.kind)
    return desk.go("help", kind=found.article.kind, deleted=str(found.article.id))


async def versions(desk: Desk) -> Response:
    """What was saved of a text, and what one of them changed."""
    asked = desk.request.query_params
    async with desk.transaction() as tx:
        found = await articles.find(tx, desk.path_id())
        language = _language(desk, asked.get("language", "") or _first(desk, found))
        every = await articles.versions(tx, found.article.id, language)
        if not every:
            raise nothing_here()
        wanted = asked.get("number", "")
        shown = next((one for one in every if str(one.number) == wanted), every[0])
        before = next((one for one in every if one.number < shown.number), None)
        people = {agent.id: agent.name for agent in await team.agents(tx)}
    return desk.page(
        "help_versions.html",
        heading=found.texts[language].title,
        listed=found,
        language=language,
        every=every,
        shown=shown,
        lines=rules.difference(
            f"{before.title}\n\n{before.body}" if before else "", f"{shown.title}\n\n{shown.body}"
        ),
        people=people,
        first=before is None,
        published=found.texts[language].published,
        latest=every[0].number,
    )  # fmt: skip


def _language(desk: Desk, wanted: str) -> str:
    if wanted not in desk.app.catalogues.codes:
        raise nothing_here()
    return wanted


def _first(desk: Desk, found: Listed) -> str:
    return desk.t.locale if desk.t.locale in found.texts else found.article.source_language


def _direction(desk: Desk, code: str) -> str:
    return desk.app.catalogues.translator(code).direction


async def _form(
    tx: Tx, desk: Desk, found: Listed | None, kind: Kind, language: str, title: str, body: str, *, once: str = ""
) -> dict[str, Any]:
    text = found.texts.get(language) if found is not None else None
    source = found.source if found is not None and language != found.article.source_language else None
    shelves, shops = await articles.collections(tx), await help.shops(tx)
    local = text.publish_at.astimezone(desk.t.timezone) if text is not None and text.publish_at else None
    public = text is not None and text.published is not None and kind is Kind.ARTICLE
    people = {agent.id: agent.name for agent in await team.agents(tx)} if text is not None else {}
    return {
        "heading": title or (
            desk.t.gettext("New snippet") if kind is Kind.SNIPPET else desk.t.gettext("New article")
        ),
        "listed": found,
        "kind": kind,
        "language": language,
        "direction": _direction(desk, language),
        "text": text,
        "state": text.standing().state if text is not None else None,
        "outdated": found is not None and found.outdated(language),
        "source": source,
        "source_html": site.safe(await markdown.rendered(source.body)) if source is not None else "",
        "source_changes": await _since(tx, found, language) if found is not None else [],
        "tongues": help.tongues(desk, found) if found is not None else [],
        "tongues_new": [(one.code, one.name) for one in desk.app.catalogues.languages],
        "states": help.STATES,
        "title_now": title,
        "body_now": body,
        "html": site.safe(await markdown.rendered(body)),
        "seen": text.version if text is not None else 0,
        "shelves": help.shelf_choices(desk, shelves),
        "shops": _shop_choices(desk, shops),
        "publishes": articles.may_publish(desk.agent),
        "files": await extras.files(tx, found.article.id) if found is not None else [],
        "choices": await help_choice.choices(tx, desk, found) if found is not None and kind is Kind.ARTICLE else {},
        "planned": local,
        "theirs": None,
        "once": "" if found is not None else once or str(new_id()),
        "author": people.get(found.article.created_by, "") if found is not None and found.article.created_by else "",
        "editor": people.get(text.edited_by, "") if text is not None and text.edited_by is not None else "",
        "addresses": await site.article_addresses(desk.app, tx, found, language) if public and found else [],
        "saved": desk.request.query_params.get("saved", ""),
        "errors": {},
    }  # fmt: skip


def _shop_choices(desk: Desk, shops: list[Store]) -> list[tuple[str, str]]:
    """Shops to choose from, where there are several."""
    if len(shops) < 2:
        return []
    return [("", desk.t.gettext("All shops")), *((str(one.id), one.name) for one in shops)]


async def _since(tx: Tx, found: Listed, language: str) -> list[rules.Line]:
    """What the source changed since this translation was made."""
    source, text = found.source, found.texts.get(language)
    if source is None or text is None or not found.outdated(language):
        return []
    try:
        old = await articles.version(tx, found.article.id, source.language, text.source_version)
        now = await articles.version(tx, found.article.id, source.language, source.standing().counts)
    except AhlanError:
        return []
    return rules.difference(f"{old.title}\n\n{old.body}", f"{now.title}\n\n{now.body}")


# In the reply box


@dataclass(frozen=True, slots=True)
class Offer:
    """An article or snippet to put into a reply: `words` is what is put in; `language` and `written_in`, its name,
    where that is another one than the conversation's."""

    name: str
    excerpt: Sequence[Piece]
    words: str
    snippet: bool
    language: str
    written_in: str
    suggested: bool


async def offers(desk: Desk, talk: Conversation, query: str) -> list[Offer]:
    """What answers `query`; without one, what answers the shopper's last message."""
    suggested = not query.strip()
    text = query
    if suggested:
        async with desk.transaction() as tx:
            text = await _last_said(tx, talk)
    if not text.strip():
        return []
    near = await meaning.near(desk.app, desk.workspace.workspace_id, text[: search.LONGEST_QUESTION])
    async with desk.transaction() as tx:
        return await _offers(tx, desk, talk, text, suggested, near)


async def _offers(tx: Tx, desk: Desk, talk: Conversation, text: str, suggested: bool, near: Near) -> list[Offer]:
    language = desk.app.catalogues.negotiate(talk.locale, default=desk.workspace.locale)
    limit = _SUGGESTED if suggested else _OFFERED
    found = await search.find(
        tx, talk.store_id, text, language, limit, kinds=(Kind.ARTICLE, Kind.SNIPPET), near=near
    )  # fmt: skip
    every = {one.article.id: one for one in await articles.by_ids(tx, [one.article_id for one in found])}
    store = await tx.get(Store, talk.store_id) if talk.store_id else None
    names = {one.code: one.name for one in desk.app.catalogues.languages}
    return [
        Offer(
            name=one.name,
            excerpt=one.excerpt,
            words=_words(desk, store, every[one.article_id], one.language, one.slug),
            snippet=one.kind == Kind.SNIPPET,
            language=one.language if one.cross else "",
            written_in=names[one.language] if one.cross else "",
            suggested=suggested,
        )
        for one in found
    ]


def _words(desk: Desk, store: Store | None, found: Listed, language: str, slug: str) -> str:
    text = found.texts[language]
    if found.article.kind == Kind.SNIPPET or store is None:
        return markdown.words_of(text.html)
    return f"{text.shown}\n{site.address(desk.app.settings.public_url, store, language, slug)}"


async def _last_said(tx: Tx, talk: Conversation) -> str:
    said: str | None = await tx.scalar(
        select(Message.text)
        .where(Message.workspace_id == tx.workspace_id, Message.conversation_id == talk.id, Message.author == "shopper")
        .order_by(Message.position.desc())
        .limit(1)
    )
    return (said or "")[: search.LONGEST_QUESTION]
