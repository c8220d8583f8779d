"""The help centre on our own server, and what its pages and the chat ask for from wherever they stand."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlsplit
from uuid import UUID

import orjson
from redis.exceptions import RedisError
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from plugin import stores
from plugin.app import App
from plugin.kernel.digits import whole
from plugin.kernel.errors import AhlanError, NotFound, TooMany
from plugin.kernel.i18n import Translator
from plugin.kernel.lazy import _
from plugin.kernel.web import Web, not_found, unreadable
from plugin.knowledge import articles, extras, markdown, reading, search, site
from plugin.knowledge.articles import Article
from plugin.knowledge.published import Shelf
from plugin.knowledge.reading import Reason
from plugin.knowledge.site import Asked, Site
from plugin.stores import Store
from plugin.widget import readers, session
from plugin.widget.limits import Limit, Limits, address_of
from plugin.widget.strings import help_strings

SEARCH = Limit("help_search", 60, address=600)
VOTE = Limit("help_vote", 86_400, visitor=1)
FEEDBACK = Limit("help_feedback", 3600, address=120)
PAGE = Limit("help_page", 60, address=600)
FILE = Limit("help_file", 60, address=120)

_VOTE = "help vote"
_VOTE_SECONDS = 3600
_MAX_FORM = 8 * 1024
# What is published is everybody's: any page may read it, nobody's name goes along.
_OPEN = {"access-control-allow-origin": "*", "cache-control": "no-store"}
_SEEN = {"cache-control": "no-store"}


def routes(app: App, web: Web) -> list[BaseRoute]:
    """Everything below `/help`."""
    edge = Help(app, web)
    return [
        Route("/help/{store}/search.json", edge.search),
        Route("/help/{store}/home.json", edge.home),
        Route("/help/{store}/article.json", edge.article),
        Route("/help/{store}/file/{file}/{name}", edge.file),
        Route("/help/{store}/feedback", edge.feedback, methods=["POST"]),
        Route("/help/{store}", edge.page),
        Route("/help/{store}/{path:path}", edge.page),
    ]


class Help:
    """The endpoints."""

    def __init__(self, app: App, web: Web) -> None:
        self.app = app
        self.web = web
        self.site = Site(app, web)
        self.limits = Limits(app.hub)

    async def page(self, request: Request) -> Response:
        """A page of the help centre at our own address."""
        await self.limits.spend(PAGE, address=address_of(request))
        store = await self._store(request)
        asked = Asked(
            request.path_params.get("path", ""),
            f"/help/{store.public_key}",
            dict(request.query_params),
            request.headers.get("accept-language", ""),
            request.headers.get("user-agent", ""),
        )
        made = await self.site.page(store, asked)
        if made.article_id is not None:
            await readers.has_read(self.app, store.workspace_id, store.id, request)
        if made.location:
            return RedirectResponse(made.location, made.status, _SEEN)
        if made.kind != "text/html":
            return Response(str(made.body), made.status, _SEEN, media_type=made.kind)
        headers = {**_SEEN, "content-security-policy": site.content_policy(self.app.settings.public_url)}
        return HTMLResponse(self.site.document(store, asked, made), made.status, headers)

    async def search(self, request: Request) -> Response:
        """Answers while somebody types."""
        store, language = await self._asked(request)
        await self.limits.spend(SEARCH, address=address_of(request))
        text = request.query_params.get("q", "")[: search.LONGEST_QUESTION]
        settled = request.query_params.get("settled") == "1"
        found = await self.site.find(store, text, language, settled=settled)
        t = self.app.catalogues.translator(language)
        names = {one.code: one.name for one in self.app.catalogues.languages}
        lines = [
            {
                "title": [[piece.text, piece.found] for piece in one.title],
                "excerpt": [[piece.text, piece.found] for piece in one.excerpt],
                "language": one.language,
                "slug": one.slug,
                "where": t.gettext("in %(language)s", language=names[one.language]) if one.cross else "",
            }
            for one in found
        ]
        return _json({"found": lines})

    async def home(self, request: Request) -> Response:
        """What the chat shows first: collections with their articles, by title; and what it says itself."""
        store, language = await self._asked(request)
        await self.limits.spend(PAGE, address=address_of(request))
        base = site.home(self.app.settings.public_url, store)
        async with self.app.db.transaction(store.workspace_id) as tx:
            held = await self.site.published(tx, store).shelves(language, site.A_PAGE, site.A_PAGE)
            shelves = [(one.name(language), one.slug, held[one.id]) for one in await articles.collections(tx)
                       if one.id in held]  # fmt: skip
        shelves += [("", site.LOOSE, held[None])] if None in held else []
        t = self.app.catalogues.translator(language)
        return _json(
            {
                "shelves": [
                    _shelf(t, name, site.shelf_address(base, language, slug), one) for name, slug, one in shelves
                ],
                "strings": help_strings(t.gettext),
            }
        )

    async def article(self, request: Request) -> Response:
        """One article for the chat; its HTML is the sanitised one of the pages."""
        store, language = await self._asked(request)
        await self.limits.spend(PAGE, address=address_of(request))
        slug = request.query_params.get("slug", "")
        async with self.app.db.transaction(store.workspace_id) as tx:
            seen = self.site.published(tx, store)
            row = await seen.named(language, slug)
            article = await tx.get(Article, row.article_id) if row is not None else None
            if row is None or article is None:
                raise not_found()
            await reading.read(tx, article.id, language)
            below = await self.site.below(tx, store, article, seen, language, site.home(self.web.public_url, store))
        await readers.has_read(self.app, store.workspace_id, store.id, request)
        t = self.app.catalogues.translator(language)
        return _json(
            {
                "id": str(article.id), "language": language, "title": row.shown, "html": f"{row.html}{below}",
                "direction": t.direction, "summary": markdown.words_of(row.html)[:140],
                "address": site.address(self.app.settings.public_url, store, language, slug),
            }
        )  # fmt: skip

    async def file(self, request: Request) -> Response:
        """A file of a published article. Pictures that we drew are shown, everything else is a download."""
        await self.limits.spend(FILE, address=address_of(request))
        store = await self._store(request)
        async with self.app.db.transaction(store.workspace_id) as tx:
            try:
                found = await extras.public_file(tx, _as_id(request.path_params["file"]), store.id)
            except NotFound:
                raise not_found() from None
            content, kind = found.content, found.media_type if found.picture else "application/octet-stream"
            place = "inline" if found.picture else "attachment"
            headers = {
                "content-disposition": f"{place}; filename*=UTF-8''{quote(found.name, safe='')}",
                "content-security-policy": "sandbox; default-src 'none'",
                "x-content-type-options": "nosniff",
                "cache-control": "public, max-age=300",
            }
        return Response(content, headers=headers, media_type=kind)

    async def feedback(self, request: Request) -> Response:
        """Whether an article helped, then why not. From any page of the shop, so without cookies and without a name."""
        store = await self._store(request)
        await self.limits.spend(FEEDBACK, address=address_of(request))
        length = request.headers.get("content-length", "")
        if whole(length, _MAX_FORM) is None:
            raise unreadable(413)
        form = await request.form(max_files=0, max_fields=8, max_part_size=_MAX_FORM)
        said = {name: str(value) for name, value in form.items()}
        thanks, vote = await self._voted(request, store, said)
        if said.get("json"):
            return await self._voted_part(store, said, thanks, vote)
        return RedirectResponse(self._back(store, said.get("back", ""), thanks, vote), 303, _SEEN)

    async def _voted(self, request: Request, store: Store, said: dict[str, str]) -> tuple[str, str]:
        """(what is said in return, the sealed word with which a reason may follow)."""
        if "vote" in said:
            claims = self.app.vault.verify(_VOTE, said["vote"])
            reason = said.get("reason", "")
            if claims is None or claims["s"] != str(store.id) or reason not in set(Reason):
                raise AhlanError(_("This took too long to be kept."), _("Open the article again."), code="vote_old")
            # Once: the same word would write as many reasons as somebody likes.
            if await self._first(f"why:{said['vote'][-40:]}"):
                async with self.app.db.transaction(store.workspace_id) as tx:
                    await reading.explain(tx, UUID(claims["a"]), claims["l"], Reason(reason), said.get("comment", ""))
            return "why", ""
        article, language, helped = _as_id(said.get("article", "")), said.get("language", ""), said.get("helped")
        if helped not in ("yes", "no"):
            raise unreadable()
        if await self._first(f"{article}:{language}:{address_of(request)}"):
            async with self.app.db.transaction(store.workspace_id) as tx:
                if not await reading.vote(tx, article, language, helped=helped == "yes"):
                    raise not_found()
        if helped == "yes":
            return "yes", ""
        claims = {"s": str(store.id), "a": str(article), "l": language}
        return "no", self.app.vault.sign(_VOTE, claims, _VOTE_SECONDS)

    async def _first(self, what: str) -> bool:
        try:
            await self.limits.spend(VOTE, visitor=what)
        except TooMany:
            return False
        except (OSError, RedisError):
            return True
        return True

    async def _voted_part(self, store: Store, said: dict[str, str], thanks: str, vote: str) -> Response:
        """The part of the page that changes, for pages that send the vote by themselves."""
        language = said.get("language", "") or str(
            (self.app.vault.verify(_VOTE, said.get("vote", "")) or {}).get("l", "")
        )
        t = self.app.catalogues.translator(self.app.catalogues.negotiate("", preferred=language))
        html = self.web.render(
            "help/voted.html", t, thanks=thanks, vote=vote, server=self.app.settings.public_url,
            key=store.public_key, here=said.get("back", ""),
        )  # fmt: skip
        return _json({"html": str(html)})

    def _back(self, store: Store, wanted: str, thanks: str, vote: str) -> str:
        """Where the shopper came from, if that is a page of this help centre; else its first page."""
        bases = (site.home(self.app.settings.public_url, store), f"/help/{store.public_key}")
        path = urlsplit(wanted).path
        for base in bases:
            if path.startswith(f"{urlsplit(base).path}/") and "//" not in path and "\\" not in path:
                root = base.removesuffix(urlsplit(base).path)
                more = f"&vote={vote}" if vote else ""
                return f"{root}{path}?thanks={thanks}{more}#hc-vote"
        return bases[0]

    async def _store(self, request: Request) -> Store:
        key = request.path_params["store"]
        try:
            _workspace, store = await session.find_store(self.app, key)
        except AhlanError:
            raise not_found() from None
        if store.status == stores.UNINSTALLED:
            raise not_found()
        return store

    async def _asked(self, request: Request) -> tuple[Store, str]:
        language = request.query_params.get("language", "")
        if language not in self.app.catalogues.codes:
            raise not_found()
        return await self._store(request), language


def _shelf(t: Translator, name: str, address: str, held: Shelf) -> dict[str, Any]:
    """A collection for the chat; where it holds more than is sent, the page that shows all of it."""
    said: dict[str, Any] = {
        "name": name, "articles": [{"title": one.shown, "slug": one.slug} for one in held.texts],
    }  # fmt: skip
    if held.more:
        said["all"] = {"words": t.gettext("All articles"), "address": address}
    return said


def _as_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise not_found() from None


def _json(value: Any) -> Response:
    return Response(orjson.dumps(value), media_type="application/json", headers=_OPEN)
