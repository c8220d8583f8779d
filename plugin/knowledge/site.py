"""The help centre that shoppers see, as pages: made here once, shown by our server, a shop's proxy, or WordPress.

Each page names one address as its own (canonical): that of the shop's domain as soon as it is known, so that search
engines see one help centre and not two.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlencode
from uuid import UUID
from xml.sax.saxutils import escape

from jinja2 import FileSystemLoader
from markupsafe import Markup

from plugin import stores
from plugin.app import App
from plugin.kernel.db import Tx
from plugin.kernel.digits import whole
from plugin.kernel.i18n import Translator
from plugin.kernel.web import Web, script_json
from plugin.knowledge import articles, extras, markdown, meaning, published, reading, search
from plugin.knowledge.articles import Article, Collection, Listed
from plugin.knowledge.meaning import Near
from plugin.knowledge.published import ALONE, Published, Text
from plugin.knowledge.search import Found
from plugin.platform import Capability
from plugin.stores import UNINSTALLED, Store

HELP_BASE = "help_base"
"""Key of a store's widget settings: where its help centre stands on its own domain, without a final stroke."""

HELP_ALONE = "help_alone"
"""Key of a store's widget settings: its help centre is a document of ours where it could stand inside the theme."""

RESULTS = 12
_HERE = Path(__file__).parent
_QUESTIONS = 40
A_PAGE = 50
"""Articles on a page of a collection."""
MOST_LOOSE = 30
"""Articles without a collection on the first page."""
_FIRST = 5
LOOSE = "-"
"""Where what is in no collection stands instead of a collection's own name."""
_ROBOTS = re.compile(r"bot\b|crawl|spider|slurp|preview|headless|monitor", re.IGNORECASE)


def safe(html: str) -> Markup:
    """HTML that `markdown.render` made, for a template."""
    return Markup(html)  # noqa: S704 - sanitised by markdown.render


def direct(public_url: str, store: Store) -> str:
    """Where the help centre stands on our own server."""
    return f"{public_url}/help/{store.public_key}"


def home(public_url: str, store: Store) -> str:
    """The address that a help centre is known by: on the shop's domain where it was seen there."""
    return str(store.widget.get(HELP_BASE) or direct(public_url, store))


def address(public_url: str, store: Store, language: str, slug: str) -> str:
    """An article's address."""
    return f"{home(public_url, store)}/{language}/{quote(slug)}"


def shelf_address(base: str, language: str, slug: str) -> str:
    """A collection's address below a help centre's (`LOOSE`: that of what stands in none)."""
    return f"{base}/{language}/c/{quote(slug)}"


def content_policy(public_url: str) -> str:
    """The Content-Security-Policy of a page, also where it stands on the shop's domain: our files come from us."""
    return (
        f"default-src 'none'; script-src {public_url}; style-src {public_url} 'unsafe-inline'; "
        f"img-src https: http: data:; connect-src {public_url} 'self'; frame-src {public_url}; base-uri 'none'; "
        f"form-action {public_url} 'self'; frame-ancestors 'self'"
    )


@dataclass(frozen=True, slots=True)
class Home:
    """Where a shop's help centre stands. `themed`: inside the shop's theme; None where that is nobody's choice."""

    store_id: UUID
    name: str
    address: str
    themed: bool | None


async def homes(app: App, tx: Tx) -> list[Home]:
    """The help centre of each shop that is here."""
    able = {name for name, one in app.platforms.items() if Capability.THEMED_PAGES in one.capabilities}
    return [
        Home(
            one.id,
            one.name,
            home(app.settings.public_url, one),
            not one.widget.get(HELP_ALONE) if one.platform in able else None,
        )
        for one in await stores.all_stores(tx)
        if one.status != UNINSTALLED
    ]


def liquid_text(html: str) -> str:
    """HTML in which Liquid finds nothing to run: a brace that could open something is written as a character reference.

    Shopify runs `{{ … }}` and `{% … %}` wherever they stand (https://shopify.dev/docs/api/liquid/basics); a text of the
    merchant's is quoted, never run. Not for the inside of a script: see `liquid_json`.
    """
    return html.replace("{", "&#123;")


def liquid_json(data: str) -> str:
    """JSON for a script element in which Liquid finds nothing to run: `{` before `{` or `%` is only inside a string."""
    return re.sub(r"\{(?=[{%])", r"\\u007b", data)


async def article_addresses(app: App, tx: Tx, found: Listed, language: str) -> list[tuple[str, str]]:
    """(shop, address) of a published text in each shop that it is for."""
    every = await stores.all_stores(tx)
    return [
        (one.name, address(app.settings.public_url, one, language, found.texts[language].slug))
        for one in every
        if one.status != UNINSTALLED and found.article.store_id in (None, one.id)
    ]


async def seen_at(tx: Tx, store_id: UUID, base: str) -> None:
    """The help centre was asked for by the shop itself at this address of its own: from now on it is known by it."""
    store = await tx.get(Store, store_id)
    if store is None or store.widget.get(HELP_BASE) == base:
        return
    # Read again under a lock: others write other words into `widget`.
    store = await tx.get(Store, store_id, lock=True) or store
    store.widget = {**store.widget, HELP_BASE: base}
    await tx.flush()


@dataclass(frozen=True, slots=True)
class Asked:
    """A page that is asked for. `base`: what its links begin with; `identity`: where the shop says who is signed in.

    `in_place`: whoever carries the answer to the shopper follows no redirects, so the page itself is made.
    `chat`: whether the chat can open on the page; `embedded`: whether the shop's own page stands around it.
    `silent`: no word of the request may stand in the answer; a script in the page says them.
    """

    path: str
    base: str
    query: Mapping[str, str] = field(default_factory=dict)
    languages: str = ""
    agent: str = ""
    in_place: bool = False
    chat: bool = False
    identity: str = ""
    embedded: bool = False
    silent: bool = False

    def said(self, name: str, longest: int) -> str:
        """A word of the request that the page may repeat."""
        return "" if self.silent else self.query.get(name, "")[:longest]


@dataclass(frozen=True, slots=True)
class Shown:
    """A page that is made. `location` set: go there instead. `kind` is its media type."""

    status: int = 200
    title: str = ""
    description: str = ""
    canonical: str = ""
    alternates: Sequence[tuple[str, str]] = ()
    language: str = ""
    direction: str = "ltr"
    data: Markup = field(default_factory=Markup)
    body: Markup = field(default_factory=Markup)
    index: bool = True
    location: str = ""
    kind: str = "text/html"
    article_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """An article in a list of the page."""

    title: str
    path: str
    summary: str = ""
    language: str = ""


@dataclass(frozen=True, slots=True)
class Shelf:
    """A collection with its first articles. `more`: there are others."""

    name: str
    about: str
    path: str
    cards: Sequence[Card]
    more: bool = False


class Site:
    """Makes the pages; one per process."""

    def __init__(self, app: App, web: Web) -> None:
        self.app = app
        self.web = web
        web.assets.add_folder("help", _HERE / "static")
        loader, folder = web.environment.loader, str(_HERE / "templates")
        if isinstance(loader, FileSystemLoader) and folder not in loader.searchpath:
            loader.searchpath.append(folder)

    async def page(self, store: Store, asked: Asked) -> Shown:
        """The page behind a path: the language's first page, a collection, an article, a search, the site map."""
        said = asked.query.get("q", "") if asked.path.rstrip("/").endswith("/search") else ""
        near = await meaning.near(self.app, store.workspace_id, said[: search.LONGEST_QUESTION])
        async with self.app.db.transaction(store.workspace_id) as tx:
            made = await self._page(tx, store, asked, near)
            if made.location and asked.in_place:
                there = replace(asked, path=unquote(made.location.removeprefix(asked.base)))
                made = await self._page(tx, store, there, near)
        return made

    async def _page(self, tx: Tx, store: Store, asked: Asked, near: Near) -> Shown:
        seen = self.published(tx, store)
        parts = [part for part in asked.path.split("/") if part]
        if parts == ["sitemap.xml"]:
            return await self._sitemap(store, seen)
        language, *rest = parts or [""]
        if language not in self.app.catalogues.codes:
            return await self._to_language(store, asked, seen, parts)
        page = _Page(self, store, asked, seen, language)
        match rest:
            case []:
                return await page.front()
            case ["search"]:
                return await page.search(tx, near)
            case ["c", slug]:
                return await page.shelf(tx, slug)
            case ["c", slug, number] if (at := whole(number, 10_000)) is not None and at > 1:
                return await page.shelf(tx, slug, at)
            case [slug]:
                return await page.article(tx, slug)
        return await page.missing()

    def published(self, tx: Tx, store: Store) -> Published:
        """What a shop's help centre holds."""
        return Published(tx, store.id, self.app.catalogues.codes)

    async def _to_language(self, store: Store, asked: Asked, seen: Published, parts: Sequence[str]) -> Shown:
        """Without a language in the address: to the reader's, if something is published in it."""
        there = await seen.languages() or [self.app.catalogues.negotiate(store.locale)]
        wanted = self.app.catalogues.negotiate(asked.languages, preferred=asked.query.get("locale", ""), default="")
        fallback = self.app.catalogues.negotiate(store.locale)
        chosen = next((code for code in (wanted, fallback, *there) if code in there), there[0])
        if parts:
            return await _Page(self, store, asked, seen, chosen).missing()
        return Shown(302, location=f"{asked.base}/{chosen}")

    async def _sitemap(self, store: Store, seen: Published) -> Shown:
        """https://www.sitemaps.org/protocol.html, with each page's other languages: 50 000 addresses are the most of a
        file, three languages of 10 000 articles fit."""
        every, fronts = await seen.every(), await seen.languages()
        slugs = {one.id: one.slug for one in await articles.collections(seen.tx)}
        # Fourteen megabytes at the most: made beside the event loop.
        text = await asyncio.to_thread(_map, home(self.app.settings.public_url, store), every, fronts, slugs)
        return Shown(body=Markup(text), kind="application/xml")  # noqa: S704 - `_map` escapes

    def document(self, store: Store, asked: Asked, made: Shown) -> str:
        """A made page as a whole document of our own, in the shop's name and colour."""
        translator = self.app.catalogues.translator(made.language or "en")
        return str(
            self.web.render(
                "help/document.html",
                translator,
                page=made,
                store=store,
                shop=store.widget.get("name") or store.name,
                accent=str(store.widget.get("accent") or "#0b7a75"),
                asked=asked,
                server=self.app.settings.public_url,
                languages=[one for one in self.app.catalogues.languages if one.code in dict(made.alternates)],
                places=dict(made.alternates),
            )
        )  # fmt: skip

    def themed(self, store: Store, asked: Asked, made: Shown) -> str:
        """A made page for the inside of a shop's theme, as Liquid that runs nothing.

        Of what search engines read, structured data may stand in a body
        (https://developers.google.com/search/docs/appearance/structured-data/intro-structured-data) and does; the
        theme's own head says the canonical address. A title, a description, other languages and `noindex` belong into
        the head, which is the theme's: the script puts them there. The site map has the other languages besides.
        """
        head = {
            "title": made.title,
            "description": made.description,
            "canonical": made.canonical if made.index else "",
            "alternates": list(made.alternates) if made.index else [],
        }
        page = self.web.render(
            "help/themed.html",
            self.app.catalogues.translator(made.language or "en"),
            page=made,
            server=self.app.settings.public_url,
            nav=self.languages(made),
        )
        scripts = f'<script type="application/json" id="hc-head">{liquid_json(script_json(head))}</script>'
        if made.data:
            scripts += f'<script type="application/ld+json">{liquid_json(made.data)}</script>'
        return liquid_text(str(page)) + scripts

    def languages(self, made: Shown) -> Markup:
        """The other languages that a page is in; empty where there is none."""
        return self.web.render(
            "help/languages.html",
            self.app.catalogues.translator(made.language or "en"),
            languages=[
                one
                for one in self.app.catalogues.languages
                if one.code in dict(made.alternates) and one.code != made.language
            ],
            places=dict(made.alternates),
        )

    async def find(self, store: Store, text: str, language: str, *, settled: bool, limit: int = 6) -> list[Found]:
        """Answers to what is being typed; `settled`: the shopper stopped there, so it counts as a search."""
        near = await meaning.near(self.app, store.workspace_id, text[: search.LONGEST_QUESTION])
        async with self.app.db.transaction(store.workspace_id) as tx:
            found = await search.find(tx, store.id, text, language, limit, near=near)
            if settled:
                await reading.searched(tx, text, language, len(found))
        return found

    async def below(self, tx: Tx, store: Store, article: Article, seen: Published, language: str, base: str) -> Markup:
        """What stands below an article: files, products of this shop, policies."""
        leads = extras.ids(article, extras.Link.POLICY)
        public = await seen.some(language, leads)
        files = await extras.files(tx, article.id)
        server = self.app.settings.public_url
        return self.web.render(
            "help/below.html",
            self.app.catalogues.translator(language),
            files=[
                (file, f"{server}/help/{store.public_key}/file/{file.id}/{quote(file.name, safe='')}") for file in files
            ],
            goods=await extras.goods(tx, article, store.id),
            policies=[
                (public[id].shown, f"{base}/{language}/{quote(public[id].slug)}") for id in leads if id in public
            ],
        )  # fmt: skip


def _map(base: str, every: Mapping[UUID, Sequence[Text]], fronts: Sequence[str], slugs: Mapping[UUID, str]) -> str:
    """`slugs`: the collections' own. A collection is there in the languages that something of it is in."""
    held: dict[UUID, set[str]] = {}
    for one in (one for texts in every.values() for one in texts):
        if one.collection_id is not None and one.collection_id in slugs:
            held.setdefault(one.collection_id, set()).add(one.language)
    lines = _entries([(code, f"{base}/{code}", None) for code in fronts])
    for id, codes in held.items():
        lines += _entries([(code, shelf_address(base, code, slugs[id]), None) for code in sorted(codes)])
    now = datetime.now(UTC)
    for texts in every.values():
        lines += _entries(
            [(one.language, f"{base}/{one.language}/{quote(one.slug)}", one.since or now) for one in texts]
        )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" '
        f'xmlns:xhtml="http://www.w3.org/1999/xhtml">{"".join(lines)}</urlset>'
    )


def _entries(places: Sequence[tuple[str, str, datetime | None]]) -> list[str]:
    """One page in its languages: code, address, and since when it is as it is."""
    links = "".join(
        f'<xhtml:link rel="alternate" hreflang="{code}" href="{escape(place)}"/>' for code, place, _since in places
    )
    return [
        f"<url><loc>{escape(place)}</loc>{f'<lastmod>{since.date().isoformat()}</lastmod>' if since else ''}"
        f"{links}</url>"
        for _code, place, since in places
    ]


class _Page:
    """One page in the making."""

    def __init__(self, site: Site, store: Store, asked: Asked, seen: Published, language: str) -> None:
        self.site, self.store, self.asked, self.seen, self.language = site, store, asked, seen, language
        self.t: Translator = site.app.catalogues.translator(language)
        self.shop = str(store.widget.get("name") or store.name)
        self.home = home(site.app.settings.public_url, store)

    def path(self, slug: str, language: str = "") -> str:
        return f"{self.asked.base}/{language or self.language}/{quote(slug)}"

    def _made(self, template: str, title: str, rest: str, **context: Any) -> Shown:
        page = self.site.web.render(
            f"help/{template}.html",
            self.t,
            shop=self.shop,
            store=self.store,
            asked=self.asked,
            language=self.language,
            front=f"{self.asked.base}/{self.language}",
            server=self.site.app.settings.public_url,
            key=self.store.public_key,
            query=self.asked.said("q", search.LONGEST_QUESTION),
            accent=str(self.store.widget.get("accent") or ""),
            names={one.code: one.name for one in self.site.app.catalogues.languages},
            **context,
        )
        return Shown(
            title=title, canonical=f"{self.home}/{self.language}{rest}", language=self.language,
            direction=self.t.direction, body=page,
        )  # fmt: skip

    async def front(self) -> Shown:
        heading = self.t.gettext("Help centre")
        held = await self.seen.shelves(self.language, _FIRST, MOST_LOOSE)
        collections = await articles.collections(self.seen.tx)
        shelves = [self._shelf(one, held[one.id]) for one in collections if one.id in held]
        alone = held.get(None)
        made = self._made("front", f"{heading} · {self.shop}", "", heading=heading, shelves=shelves,
                          loose=self._loose(alone) if alone is not None else None)  # fmt: skip
        asked = [*(text for one in collections if one.id in held for text in held[one.id].texts),
                 *(alone.texts if alone is not None else ())][:_QUESTIONS]  # fmt: skip
        words = await self.seen.some(self.language, [one.article_id for one in asked])
        return replace(
            made,
            description=self._about(),
            alternates=[(code, f"{self.home}/{code}") for code in await self.seen.languages()],
            data=self._questions([words[one.article_id] for one in asked]),
            index=bool(held),
        )

    async def shelf(self, tx: Tx, slug: str, number: int = 1) -> Shown:
        """A collection, fifty articles a page; `-` is what stands in none."""
        found = next((one for one in await articles.collections(tx) if one.slug == slug), None)
        if found is None and slug != LOOSE:
            return await self.missing()
        collection = found.id if found is not None else ALONE
        held = await self.seen.shelf(self.language, collection, (number - 1) * A_PAGE, A_PAGE)
        if not held.texts:
            return await self.missing()
        shelf = self._shelf(found, held) if found is not None else self._loose(held)
        where = f"/c/{quote(slug)}"
        path = f"{self.asked.base}/{self.language}{where}"
        rest = where if number == 1 else f"{where}/{number}"
        made = self._made(
            "shelf", f"{shelf.name} · {self.shop}", rest, shelf=shelf, number=number,
            before=path if number == 2 else f"{path}/{number - 1}" if number > 2 else "",
            after=f"{path}/{number + 1}" if held.more else "",
        )  # fmt: skip
        there = await self.seen.languages(collection)
        return replace(
            made,
            description=shelf.about or self._about(),
            alternates=[(code, f"{self.home}/{code}{where}") for code in there] if number == 1 else [],
            data=self._questions(held.texts),
        )

    async def article(self, tx: Tx, slug: str) -> Shown:
        row = await self.seen.named(self.language, slug)
        article = await tx.get(Article, row.article_id) if row is not None else None
        if row is None or article is None:
            return await self._moved(slug)
        if not _ROBOTS.search(self.asked.agent):
            await reading.read(tx, article.id, self.language)
        shelf = await tx.get(Collection, article.collection_id) if article.collection_id is not None else None
        others = await self.seen.texts(article.id)
        made = self._made(
            "article",
            f"{row.shown} · {self.shop}",
            f"/{quote(slug)}",
            row=row,
            html=safe(row.html),
            updated=row.since,
            article_id=article.id,
            shelf=self._shelf(shelf) if shelf is not None else None,
            related=await self._related(article),
            below=await self.site.below(tx, self.store, article, self.seen, self.language, self.asked.base),
            here=self.path(slug),
            thanks=self.asked.query.get("thanks", ""),
            vote=self.asked.said("vote", 600),
        )
        return replace(
            made,
            description=markdown.words_of(row.html).replace("\n", " ")[:160],
            alternates=[(code, f"{self.home}/{code}/{quote(text.slug)}") for code, text in sorted(others.items())],
            data=self._questions([row]),
            article_id=article.id,
        )

    async def _moved(self, slug: str) -> Shown:
        """A former address leads on; one of another language leads to this one's."""
        found = await self.seen.led(self.language, slug)
        if found is None:
            return await self.missing()
        text, own = found
        return Shown(301 if own else 302, location=self.path(text.slug))

    async def search(self, tx: Tx, near: Near) -> Shown:
        text = self.asked.query.get("q", "")
        found = await search.find(tx, self.store.id, text, self.language, RESULTS, near=near)
        if text.strip() and not _ROBOTS.search(self.asked.agent):
            await reading.searched(tx, text, self.language, len(found))
        heading = self.t.gettext("Search")
        made = self._made("search", f"{heading} · {self.shop}", f"/search?{urlencode({'q': text})}", heading=heading,
                          searched=bool(text.strip()),
                          found=[(one, self.path(one.slug, one.language)) for one in found])  # fmt: skip
        there = await self.seen.languages()
        return replace(made, index=False, alternates=[(code, f"{self.home}/{code}") for code in there])

    async def missing(self) -> Shown:
        heading = self.t.gettext("This page is not here any more")
        made = self._made("missing", f"{heading} · {self.shop}", "", heading=heading)
        return replace(
            made,
            status=404,
            index=False,
            alternates=[(one, f"{self.home}/{one}") for one in await self.seen.languages()],
        )

    def _about(self) -> str:
        return self.t.gettext("Answers from %(shop)s: orders, delivery, returns and more.", shop=self.shop)

    def _card(self, text: Text) -> Card:
        words = markdown.words_of(text.html).replace("\n", " ")
        return Card(text.shown, self.path(text.slug), words[:140])

    def _shelf(self, found: Collection, held: published.Shelf | None = None) -> Shelf:
        return Shelf(
            found.name(self.language), found.about(self.language) if found.words.get(self.language) else "",
            shelf_address(self.asked.base, self.language, found.slug),
            [self._card(one) for one in held.texts] if held is not None else [],
            held.more if held is not None else False,
        )  # fmt: skip

    def _loose(self, held: published.Shelf) -> Shelf:
        """What stands in no collection."""
        return Shelf(
            self.t.gettext("More answers"), "", shelf_address(self.asked.base, self.language, LOOSE),
            [self._card(one) for one in held.texts], held.more,
        )  # fmt: skip

    async def _related(self, article: Article) -> list[Card]:
        """Those that were chosen; without any, what stands on the same shelf."""
        public = await self.seen.some(self.language, [UUID(id) for id in article.related])
        chosen = [public[UUID(id)] for id in article.related if UUID(id) in public]
        if not chosen and article.collection_id is not None:
            near = await self.seen.shelf(self.language, article.collection_id, 0, 4)
            chosen = [one for one in near.texts if one.article_id != article.id][:3]
        return [self._card(one) for one in chosen]

    def _questions(self, texts: Sequence[Text]) -> Markup:
        """Structured data for search engines (https://schema.org/FAQPage)."""
        if not texts:
            return Markup("")
        return script_json(
            {
                "@context": "https://schema.org",
                "@type": "FAQPage",
                "inLanguage": self.language,
                "mainEntity": [
                    {
                        "@type": "Question",
                        "name": one.shown,
                        "acceptedAnswer": {"@type": "Answer", "text": markdown.words_of(one.html)[:2000]},
                    }
                    for one in texts[:_QUESTIONS]
                ],
            }
        )
