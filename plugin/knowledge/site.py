"""The help centre that shoppers see, as pages: made here once, shown by our server, a shop's proxy, or WordPress.

Each page names one address as its own (canonical): that of the shop's domain as soon as it is known, so that search
engines see one help centre and not two.
"""

from __future__ import annotations

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
from sqlalchemy import select

from plugin import stores
from plugin.app import App
from plugin.kernel.db import Tx
from plugin.kernel.i18n import Translator
from plugin.kernel.web import Web, script_json
from plugin.knowledge import articles, extras, markdown, meaning, reading, search
from plugin.knowledge.articles import Article, ArticleText, Collection, Kind, Listed
from plugin.knowledge.meaning import Near
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
    """A collection with its first articles."""

    name: str
    about: str
    path: str
    cards: Sequence[Card]
    more: int = 0


@dataclass(slots=True)
class Content:
    """Everything that is published for a shop, read once for a page."""

    every: Sequence[Listed]
    collections: Sequence[Collection]

    def languages(self) -> list[str]:
        """Languages that something is published in."""
        return sorted({code for one in self.every for code, row in one.texts.items() if row.published is not None})

    def of(self, language: str, collection_id: UUID | None = None) -> list[tuple[Listed, ArticleText]]:
        """What is published in a language, of one shelf or of all."""
        return [
            (one, one.texts[language])
            for one in self.every
            if language in one.texts
            and one.texts[language].published is not None
            and collection_id in (None, one.article.collection_id)
        ]


async def content(tx: Tx, store: Store) -> Content:
    """What a shop's help centre holds."""
    ids = await tx.scalars(
        select(Article.id)
        .where(
            Article.workspace_id == tx.workspace_id,
            Article.kind == Kind.ARTICLE,
            Article.deleted_at.is_(None),
            (Article.store_id.is_(None)) | (Article.store_id == store.id),
            select(ArticleText.article_id)
            .where(
                ArticleText.workspace_id == tx.workspace_id,
                ArticleText.article_id == Article.id,
                ArticleText.published.is_not(None),
            )
            .exists(),
        )
        .order_by(Article.place, Article.id)
    )
    return Content(await articles.by_ids(tx, list(ids)), await articles.collections(tx))


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
        held = await content(tx, store)
        parts = [part for part in asked.path.split("/") if part]
        if parts == ["sitemap.xml"]:
            return self._sitemap(store, held)
        language, *rest = parts or [""]
        if language not in self.app.catalogues.codes:
            return self._to_language(store, asked, held, parts)
        page = _Page(self, store, asked, held, language)
        match rest:
            case []:
                return page.front()
            case ["search"]:
                return await page.search(tx, near)
            case ["c", slug]:
                return page.shelf(slug)
            case [slug]:
                return await page.article(tx, slug)
        return page.missing()

    def _to_language(self, store: Store, asked: Asked, held: Content, parts: Sequence[str]) -> Shown:
        """Without a language in the address: to the reader's, if something is published in it."""
        there = held.languages() or [self.app.catalogues.negotiate(store.locale)]
        wanted = self.app.catalogues.negotiate(asked.languages, preferred=asked.query.get("locale", ""), default="")
        fallback = self.app.catalogues.negotiate(store.locale)
        chosen = next((code for code in (wanted, fallback, *there) if code in there), there[0])
        if parts:
            return _Page(self, store, asked, held, chosen).missing()
        return Shown(302, location=f"{asked.base}/{chosen}")

    def _sitemap(self, store: Store, held: Content) -> Shown:
        """https://www.sitemaps.org/protocol.html, with each page's other languages."""
        base = home(self.app.settings.public_url, store)
        lines = []
        for one in held.every:
            public = {code: row for code, row in one.texts.items() if row.published is not None}
            links = "".join(
                f'<xhtml:link rel="alternate" hreflang="{code}" href="{escape(f"{base}/{code}/{quote(row.slug)}")}"/>'
                for code, row in sorted(public.items())
            )
            lines += [
                f"<url><loc>{escape(f'{base}/{code}/{quote(row.slug)}')}</loc>"
                f"<lastmod>{(row.published_at or datetime.now(UTC)).date().isoformat()}</lastmod>{links}</url>"
                for code, row in sorted(public.items())
            ]
        fronts = [f"<url><loc>{escape(f'{base}/{code}')}</loc></url>" for code in held.languages()]
        text = (
            '<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" '
            f'xmlns:xhtml="http://www.w3.org/1999/xhtml">{"".join(fronts + lines)}</urlset>'
        )
        return Shown(body=Markup(text), kind="application/xml")  # noqa: S704 - escaped above

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

    async def below(self, tx: Tx, store: Store, one: Listed, held: Content, language: str, base: str) -> Markup:
        """What stands below an article: files, products of this shop, policies."""
        leads = extras.ids(one.article, extras.Link.POLICY)
        public = {other.article.id: row for other, row in held.of(language)}
        files = await extras.files(tx, one.article.id)
        server = self.app.settings.public_url
        return self.web.render(
            "help/below.html",
            self.app.catalogues.translator(language),
            files=[
                (file, f"{server}/help/{store.public_key}/file/{file.id}/{quote(file.name, safe='')}") for file in files
            ],
            goods=await extras.goods(tx, one.article, store.id),
            policies=[
                (public[id].shown, f"{base}/{language}/{quote(public[id].slug)}") for id in leads if id in public
            ],
        )  # fmt: skip


class _Page:
    """One page in the making."""

    def __init__(self, site: Site, store: Store, asked: Asked, held: Content, language: str) -> None:
        self.site, self.store, self.asked, self.held, self.language = site, store, asked, held, language
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

    def front(self) -> Shown:
        heading = self.t.gettext("Help centre")
        shelves = [self._shelf(one, first=5) for one in self.held.collections]
        loose = [self._card(pair) for pair in self.held.of(self.language) if pair[0].article.collection_id is None]
        made = self._made("front", f"{heading} · {self.shop}", "", heading=heading,
                          shelves=[one for one in shelves if one.cards], loose=loose)  # fmt: skip
        there = self.held.languages()
        return replace(
            made,
            description=self._about(),
            alternates=[(code, f"{self.home}/{code}") for code in there],
            data=self._questions(self.held.of(self.language)),
            index=bool(self.held.of(self.language)),
        )

    def shelf(self, slug: str) -> Shown:
        found = next((one for one in self.held.collections if one.slug == slug), None)
        pairs = self.held.of(self.language, found.id) if found is not None else []
        if found is None or not pairs:
            return self.missing()
        shelf = self._shelf(found)
        made = self._made("shelf", f"{shelf.name} · {self.shop}", f"/c/{quote(slug)}", shelf=shelf)
        there = [code for code in self.held.languages() if self.held.of(code, found.id)]
        return replace(
            made,
            description=shelf.about or self._about(),
            alternates=[(code, f"{self.home}/{code}/c/{quote(slug)}") for code in there],
            data=self._questions(pairs),
        )  # fmt: skip

    async def article(self, tx: Tx, slug: str) -> Shown:
        found = next((pair for pair in self.held.of(self.language) if pair[1].slug == slug), None)
        if found is None:
            return self._moved(slug)
        one, row = found
        if not _ROBOTS.search(self.asked.agent):
            await reading.read(tx, one.article.id, self.language)
        shelf = next((shelf for shelf in self.held.collections if shelf.id == one.article.collection_id), None)
        others = {code: text for code, text in one.texts.items() if text.published is not None}
        made = self._made(
            "article",
            f"{row.shown} · {self.shop}",
            f"/{quote(slug)}",
            row=row,
            html=safe(row.html),
            updated=row.updated_at if row.published == row.version else row.published_at,
            article_id=one.article.id,
            shelf=self._shelf(shelf) if shelf is not None else None,
            related=self._related(one),
            below=await self.site.below(tx, self.store, one, self.held, self.language, self.asked.base),
            here=self.path(slug),
            thanks=self.asked.query.get("thanks", ""),
            vote=self.asked.said("vote", 600),
        )
        return replace(
            made,
            description=markdown.words_of(row.html).replace("\n", " ")[:160],
            alternates=[(code, f"{self.home}/{code}/{quote(text.slug)}") for code, text in sorted(others.items())],
            data=self._questions([found]),
            article_id=one.article.id,
        )

    def _moved(self, slug: str) -> Shown:
        """A former address leads on; one of another language leads to this one's."""
        for one, row in self.held.of(self.language):
            if slug in row.former:
                return Shown(301, location=self.path(row.slug))
            if any(slug in (text.slug, *text.former) for text in one.texts.values() if text.published is not None):
                return Shown(302, location=self.path(row.slug))
        return self.missing()

    async def search(self, tx: Tx, near: Near) -> Shown:
        text = self.asked.query.get("q", "")
        found = await search.find(tx, self.store.id, text, self.language, RESULTS, near=near)
        if text.strip() and not _ROBOTS.search(self.asked.agent):
            await reading.searched(tx, text, self.language, len(found))
        heading = self.t.gettext("Search")
        made = self._made("search", f"{heading} · {self.shop}", f"/search?{urlencode({'q': text})}", heading=heading,
                          searched=bool(text.strip()),
                          found=[(one, self.path(one.slug, one.language)) for one in found])  # fmt: skip
        return replace(made, index=False, alternates=[(code, f"{self.home}/{code}") for code in self.held.languages()])

    def missing(self) -> Shown:
        heading = self.t.gettext("This page is not here any more")
        made = self._made("missing", f"{heading} · {self.shop}", "", heading=heading)
        return replace(
            made, status=404, index=False, alternates=[(one, f"{self.home}/{one}") for one in self.held.languages()]
        )

    def _about(self) -> str:
        return self.t.gettext("Answers from %(shop)s: orders, delivery, returns and more.", shop=self.shop)

    def _card(self, pair: tuple[Listed, ArticleText]) -> Card:
        words = markdown.words_of(pair[1].html).replace("\n", " ")
        return Card(pair[1].shown, self.path(pair[1].slug), words[:140])

    def _shelf(self, found: Collection, first: int = 0) -> Shelf:
        pairs = self.held.of(self.language, found.id)
        shown = pairs[:first] if first else pairs
        return Shelf(
            found.name(self.language), found.about(self.language) if found.words.get(self.language) else "",
            f"{self.asked.base}/{self.language}/c/{quote(found.slug)}", [self._card(one) for one in shown],
            len(pairs) - len(shown),
        )  # fmt: skip

    def _related(self, one: Listed) -> list[Card]:
        """Those that were chosen; without any, what stands on the same shelf."""
        public = {str(other.article.id): (other, row) for other, row in self.held.of(self.language)}
        chosen = [public[id] for id in one.article.related if id in public]
        if not chosen and one.article.collection_id is not None:
            near = self.held.of(self.language, one.article.collection_id)
            chosen = [pair for pair in near if pair[0].article.id != one.article.id][:3]
        return [self._card(pair) for pair in chosen]

    def _questions(self, pairs: Sequence[tuple[Listed, ArticleText]]) -> Markup:
        """Structured data for search engines (https://schema.org/FAQPage)."""
        if not pairs:
            return Markup("")
        return script_json(
            {
                "@context": "https://schema.org",
                "@type": "FAQPage",
                "inLanguage": self.language,
                "mainEntity": [
                    {
                        "@type": "Question",
                        "name": row.shown,
                        "acceptedAnswer": {"@type": "Answer", "text": markdown.words_of(row.html)[:2000]},
                    }
                    for _one, row in pairs[:_QUESTIONS]
                ],
            }
        )
