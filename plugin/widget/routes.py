"""The storefront widget's server: loader, frame, session, messages, files, socket."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import mimetypes
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import cached_property
from typing import Any
from urllib.parse import quote
from uuid import UUID

import msgspec
from redis.exceptions import RedisError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from plugin import stores, workspaces
from plugin.app import App
from plugin.bot import bots, flow_book
from plugin.conversations import (
    attachments,
    changes,
    mailboxes,
    messages,
    place,
    presence,
    ratings,
    teams,
    transcripts,
    visits,
    waiting,
)
from plugin.conversations import conversations as threads
from plugin.conversations.visits import FOLLOWING
from plugin.conversations.waiting import Usual
from plugin.kernel.errors import AhlanError, NotFound
from plugin.kernel.lazy import _
from plugin.kernel.web import Web, own_origin
from plugin.knowledge import articles
from plugin.realtime import Listener
from plugin.stores import Store
from plugin.widget import account, doors, files, orders, readers, returning, session, ways, withdrawal
from plugin.widget import limits as allowed
from plugin.widget import page as panel
from plugin.widget.limits import Limits, address_of
from plugin.widget.remember import Remembered
from plugin.widget.session import Opening, Pass
from plugin.widget.socket import POLL_SECONDS, NewMessage, Read, Sockets, Typing, check_origin, tell_typing
from plugin.widget.strings import strings
from plugin.widget.visits import Visits
from plugin.widget.wire import body as _body
from plugin.widget.wire import held as _session
from plugin.widget.wire import json as _json
from plugin.workspaces import ChatRules

MAX_WAIT = 25
TICKET_SECONDS = 30

_PAGE = 200
_USUAL_SECONDS = 300
_AGENTS_SECONDS = 5
_SEEN_SECONDS = 60
_RULES_SECONDS = 15
_HELP_SECONDS = 30
_PUBLIC_ID = re.compile(r"[\w-]{10,60}")
_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:\d{1,5})?\Z")

Endpoint = Callable[[Request], Awaitable[Response]]


def routes(app: App, web: Web) -> list[BaseRoute]:
    """Everything below `/widget`, and `/files`: what a signed link of any edge opens."""
    widget = Widget(app, web)
    return [
        Route("/widget/loader.js", widget.loader),
        Route("/widget/static/{version}/{name:path}", widget.static),
        Route("/widget/frame", widget.frame),
        Route("/widget/visit", widget.visits.visit, methods=["POST"]),
        Route("/widget/page", widget.page),
        Route("/widget/page.js", widget.page_loader),
        Route("/widget/session", widget.session, methods=["POST"]),
        Route("/widget/messages", widget.messages),
        Route("/widget/messages", widget.send, methods=["POST"]),
        Route("/widget/attachments", widget.attach, methods=["POST"]),
        Route("/widget/typing", widget.typing, methods=["POST"]),
        Route("/widget/read", widget.read, methods=["POST"]),
        Route("/widget/email", widget.email, methods=["POST"]),
        Route("/widget/rating", widget.rating, methods=["POST"]),
        Route("/widget/sign", widget.sign, methods=["POST"]),
        Route("/widget/place", widget.place, methods=["POST"]),
        Route("/widget/transcript", widget.transcript, methods=["POST"]),
        Route("/widget/ticket", widget.ticket, methods=["POST"]),
        WebSocketRoute("/widget/socket", widget.socket),
        Route("/files/{token}", widget.file),
        *orders.routes(app, web, widget.limits),
        *returning.routes(app, web, widget.limits),
        *account.routes(app, web, widget.limits),
        *withdrawal.routes(app, web, widget.limits),
        *ways.routes(app, web, widget.limits),
    ]


class Email(msgspec.Struct):
    """An address that somebody typed."""

    email: str


class Rated(msgspec.Struct):
    """How a conversation was: one to five, and why."""

    score: int
    comment: str = ""


class Sign(msgspec.Struct):
    """A sign put on a message, or taken off."""

    seq: int
    sign: str
    on: bool = True


class Widget:
    """The endpoints, with what they share in this process."""

    def __init__(self, app: App, web: Web) -> None:
        self.app = app
        self.web = web
        self.limits = Limits(app.hub)
        self.sockets = Sockets(app, self._rules)
        self.visits = Visits(app, self.limits, self._origins)
        self.withdrawal = withdrawal.Doors(app)
        self._version = panel.version()
        self._loaders = {following: _File(panel.loader(following), "loader.js") for following in ("", *FOLLOWING)}
        self._page_loader = _File(panel.page_loader(app.catalogues), "page.js")
        self._files = {
            path.relative_to(panel.STATIC).as_posix(): _File(path.read_bytes(), path.name)
            for path in panel.STATIC.rglob("*")
            if path.is_file()
        }
        self._agents: Remembered[UUID, int] = Remembered(_AGENTS_SECONDS)
        self._usual: Remembered[UUID, Usual] = Remembered(_USUAL_SECONDS)
        self._seen: Remembered[UUID, bool] = Remembered(_SEEN_SECONDS)
        self._help: Remembered[UUID, bool] = Remembered(_HELP_SECONDS)
        self._chat: Remembered[UUID, ChatRules] = Remembered(_RULES_SECONDS)

    # What the browser loads

    async def loader(self, request: Request) -> Response:
        """The script that every storefront page has. Not hashed: its address is in the shops' themes.

        `store`: it knows whether that store looks at its visitors; without, its script tag says so.
        """
        asked = request.query_params.get("store", "")
        if not asked:
            return self._loaders[""].answer(request, "public, max-age=3600, stale-while-revalidate=604800")
        try:
            following = visits.rules(await self.visits.store(asked)).following
        except NotFound:
            following = "off"
        return self._loaders[following].answer(request, "public, max-age=600")

    async def static(self, request: Request) -> Response:
        """The panel's files: modules import each other by relative address, so one version is in front of them all."""
        file = self._files.get(request.path_params["name"])
        if file is None:
            raise HTTPException(404)
        current = request.path_params["version"] == self._version
        return file.answer(request, "public, max-age=31536000, immutable" if current else "no-cache")

    async def page_loader(self, request: Request) -> Response:
        """The script that puts a shopper's orders into a page of the store."""
        return self._page_loader.answer(request, "public, max-age=3600, stale-while-revalidate=604800")

    async def frame(self, request: Request) -> Response:
        """The panel's document. Only the store's own pages may frame it."""
        return await self._document(request)

    async def page(self, request: Request) -> Response:
        """The shopper's orders as a page of our own, for stores without one: `return` opens a return. Nobody frames it.

        Its address opens nothing: whoever has it proves whose order it is, as everywhere.
        """
        back = request.query_params.get("return", "")
        screen = "withdrawal" if request.query_params.get("screen") == "withdrawal" else "orders"
        return await self._document(request, {"back": back if _PUBLIC_ID.fullmatch(back) else "", "screen": screen})

    async def _document(self, request: Request, alone: dict[str, str] | None = None) -> Response:
        _workspace, store = await session.find_store(self.app, request.query_params.get("store", ""))
        translator = self.web.translator(request, request.query_params.get("locale", "") or store.locale)
        origins = [] if alone else self._origins(store)
        language = request.query_params.get("locale", "") or translator.locale
        country = request.headers.get(self.app.settings.country_header, "")[:2].upper()
        nonce = secrets.token_urlsafe(16)
        config = {
            **await self._config(store, translator.locale),
            "help": await self._has_help(store),
            "orders": await doors.orders(self.app, store, translator),
            "withdrawal": await self.withdrawal.door(store, translator, language, country),
            "labels": withdrawal.labels(language),
            "store": store.public_key,
            "base": "",
            "locale": translator.locale,
            "digits": store.widget.get("digits", "latn"),
            "origins": origins,
            "page": alone,
            "shop": store.widget.get("name") or store.name,
            "greeting": store.widget.get("greeting", ""),
            "time_zone": store.timezone,
            "max_text": messages.MAX_TEXT,
            "signs": changes.SIGNS,
            "attachments": {
                "max_bytes": attachments.MAX_BYTES,
                "max_count": attachments.MAX_PER_MESSAGE,
                "accept": attachments.ACCEPTED,
            },
            "strings": strings(translator.gettext, translator.ngettext),
        }
        page = self.web.render(
            "frame.html",
            translator,
            locale=translator.locale,
            nonce=nonce,
            config=config,
            static=f"/widget/static/{self._version}",
            modules=panel.modules(),
            icons=panel.ICONS,
        )
        if request.headers.get("sec-fetch-dest") == "iframe" and not self._seen.get(store.id):
            self._seen.put(store.id, True)
            await session.embedded(self.app, store)
        socket = self.web.public_url.replace("http", "ws", 1)
        framed_by = " ".join(origins) or "'none'"
        # What was bought is shown with the shop's own pictures, wherever it keeps them.
        pictures = " ".join(["https:", *self._origins(store)])
        policy = (
            f"default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self'; "
            f"img-src 'self' blob: data: {pictures}; connect-src 'self' {socket}; base-uri 'none'; form-action 'none'; "
            f"frame-ancestors {framed_by}"
        )
        headers = {
            "content-security-policy": policy,
            "cache-control": "no-store",
            "permissions-policy": "camera=(), microphone=(), geolocation=()",
        }
        return HTMLResponse(page, headers=headers)

    async def _has_help(self, store: Store) -> bool:
        known = self._help.get(store.id)
        if known is not None:
            return known
        async with self.app.db.transaction(store.workspace_id) as tx:
            return self._help.put(store.id, await articles.any_published(tx, store.id))

    def _origins(self, store: Store) -> list[str]:
        known = {*store.origins, *self.app.settings.demo.frame_ancestors}
        return sorted(origin for origin in known if _ORIGIN.match(origin))

    async def _config(self, store: Store, locale: str) -> dict[str, Any]:
        usual = await self._usually(store.workspace_id, store.id)
        async with self.app.db.transaction(store.workspace_id) as tx:
            back = await teams.back_at(tx, store.id, locale, datetime.now(UTC))
        return {
            "agents": await self._agents_here(store.workspace_id),
            "answers": waiting.honest(store.widget.get("answer_time", ""), usual),
            "reply_minutes": _minutes(usual.seconds),
            "away_minutes": _minutes(usual.at_this_hour),
            "back_at": back.isoformat().replace("+00:00", "Z") if back else None,
            "mails": await self._mails(store),
            "typing_preview": (await self._rules(store.workspace_id)).typing_preview,
            "accent": store.widget.get("accent", "#0b7a75"),
        }

    async def _mails(self, store: Store) -> bool:
        if mailboxes.mails(self.app):
            return True
        async with self.app.db.transaction(store.workspace_id) as tx:
            return await mailboxes.can_send(self.app, tx, store.id)

    async def _agents_here(self, workspace_id: UUID) -> int:
        known = self._agents.get(workspace_id)
        if known is not None:
            return known
        return self._agents.put(workspace_id, await presence.agents_here(self.app.hub, workspace_id))

    async def _rules(self, workspace_id: UUID) -> ChatRules:
        known = self._chat.get(workspace_id)
        if known is not None:
            return known
        async with self.app.db.transaction(workspace_id) as tx:
            return self._chat.put(workspace_id, await workspaces.chat_rules(tx))

    async def _usually(self, workspace_id: UUID, store_id: UUID) -> Usual:
        known = self._usual.get(store_id)
        if known is not None:
            return known
        async with self.app.db.transaction(workspace_id) as tx:
            return self._usual.put(store_id, await waiting.usual(tx, store_id))

    # The conversation

    async def session(self, request: Request) -> Response:
        """Who is there: a token, the visitor's secret, and where the conversation stands."""
        own_origin(request, self.web.public_url)
        opening = await _body(request, Opening)
        held, opened = await session.open_session(self.app, self.limits, opening, address_of(request), request.headers)
        async with self.app.db.transaction(held.workspace_id) as tx:
            store = await tx.get(Store, held.store_id)
        assert store is not None
        locale = opening.locale or store.locale
        flows = await self._buttons(store, locale, opening.page.url if opening.page is not None else "")
        return _json({**opened, "config": {**await self._config(store, locale), "flows": flows}})

    async def _buttons(self, store: Store, locale: str, page: str) -> list[str]:
        """What begins a flow of the store's bot on this page; nothing while it is off or somebody is there for it."""
        async with self.app.db.transaction(store.workspace_id) as tx:
            bot = await bots.of_store(tx, store.id)
            if bot is None or not (bot.enabled and bot.chat and bot.speaks(locale)):
                return []
            return await flow_book.buttons(tx, store.id, teams.language_of(locale), page)

    async def messages(self, request: Request) -> Response:
        """`after` a number, waiting up to `wait` seconds for something new; or the page `before` a number.

        `mark` is up to which change of earlier messages the browser knows; `changed` is what changed since.
        """
        held = self._held(request)
        await self.limits.spend(allowed.READING, visitor=str(held.visitor_id))
        limit = _number(request, "limit", _PAGE, 1, _PAGE)
        known = request.query_params.get("thread", "")[:60]
        if "before" in request.query_params:
            before = _number(request, "before", 0, 0, 2**31 - 1)
            return _json(await self._page(held, before=before, limit=limit, known=known))
        after, wait = _number(request, "after", 0, 0, 2**31 - 1), _number(request, "wait", 0, 0, MAX_WAIT)
        mark = request.query_params.get("mark")
        page = await self._page(held, after=after, limit=limit, mark=mark, known=known)
        if wait and not (page["messages"] or page["changed"] or _elsewhere(page, known)):
            page = await self._wait(held, after, limit, wait, page, mark, known)
        return _json(page)

    async def _page(
        self,
        held: Pass,
        *,
        after: int = 0,
        before: int | None = None,
        limit: int,
        mark: str | None = None,
        known: str = "",
    ) -> dict[str, Any]:
        rows: list[messages.Message] = []
        changed: list[messages.Message] = []
        async with self.app.db.transaction(held.workspace_id) as tx:
            head = await threads.shown(tx, held.shopper(), known=known)
            conversation = await session.conversation_json(tx, head) if head else None
            if head is not None and mark is not None:
                changed, mark = await changes.since(tx, head.id, mark)
            elif head is not None:
                # Before the rows: what changes while they are read is told again rather than never.
                mark = await changes.mark(tx, head.id)
            if head is None:
                # Gone with its store, or erased: the browser begins a new session instead of showing nothing.
                await session.visitor_of(tx, held)
            elif known and known != threads.known_as(head):
                # The browser's numbers are those of another thread: it begins at the end of this one.
                changed = []
            elif before is not None:
                rows = await messages.messages_before(tx, head.id, before, limit)
            else:
                rows = await messages.messages_after(tx, head.id, after, limit)
        return {
            "messages": [self._linked(held, messages.as_json(row)) for row in rows],
            "changed": [self._linked(held, messages.as_json(row)) for row in changed],
            "mark": mark or "",
            "last_seq": head.last_seq if head else 0,
            "seen_seq": head.agent_read_seq if head else 0,
            "agents": await self._agents_here(held.workspace_id),
            "conversation": conversation,
        }

    async def _wait(
        self, held: Pass, after: int, limit: int, wait: int, page: dict[str, Any], mark: str | None, thread: str
    ) -> dict[str, Any]:
        """Long polling: listen first, then look, then wait; the hint only says when to look again."""
        until = time.monotonic() + wait
        name = f"poll:{held.visitor_id}"
        started = {key: page[key] for key in ("seen_seq", "conversation")}
        while time.monotonic() < until:
            known = page["conversation"]
            talk = known["id"].partition("~")[0] if known else ""
            topic = f"conversation:{talk}" if talk else f"visitor:{held.visitor_id}"
            if talk:
                await presence.shopper_here(self.app.hub, held.workspace_id, UUID(talk), name)
            async with self.app.hub.listen(held.workspace_id, topic) as listener:
                page = await self._page(held, after=after, limit=limit, mark=mark, known=thread)
                if page["messages"] or page["changed"] or any(page[key] != value for key, value in started.items()):
                    return page
                await self._news(listener, until)
            page = await self._page(held, after=after, limit=limit, mark=mark, known=thread)
            if page["messages"] or page["changed"] or any(page[key] != value for key, value in started.items()):
                return page
        return page

    async def _news(self, listener: Listener, until: float) -> None:
        """Until a hint that changes what a poll answers, until the time is over, or until the table may know more."""
        while (left := until - time.monotonic()) > 0:
            try:
                patience = left if self.app.hub.live else min(left, POLL_SECONDS)
                async with asyncio.timeout(patience):
                    _topic, payload = await listener.get()
            except TimeoutError:
                return
            if payload.get("type") != "typing":
                return

    async def send(self, request: Request) -> Response:
        """A shopper's message; the same answer when it is sent again."""
        held = self._held(request)
        body = await _body(request, NewMessage)
        await self.limits.spend_message(held.visitor_id, held.store_id, address_of(request))
        async with self.app.db.transaction(held.workspace_id) as tx:
            await session.visitor_of(tx, held)
            await stores.standing_still(tx, held.store_id)
            message = await messages.receive(tx, held.shopper(), body.client_id, body.text, body.attachments)
        if message["seq"] == 1:
            await readers.has_written(self.app, held.workspace_id, held.store_id, request)
        return _json({"message": self._linked(held, message)})

    async def typing(self, request: Request) -> Response:
        """The shopper is typing, for those without a socket."""
        held = self._held(request)
        body = await _body(request, Typing)
        await self.limits.spend(allowed.READING, visitor=str(held.visitor_id))
        await tell_typing(self.app, held.workspace_id, held.conversation_id, body.text, self._rules)
        return Response(status_code=204)

    async def read(self, request: Request) -> Response:
        """The shopper has read up to a number."""
        held = self._held(request)
        seq = (await _body(request, Read)).seq
        await self.limits.spend(allowed.READING, visitor=str(held.visitor_id))
        async with self.app.db.transaction(held.workspace_id) as tx:
            head = await threads.shown(tx, held.shopper())
            if head is not None:
                await threads.mark_read(tx, head.id, who="shopper", seq=seq)
        return Response(status_code=204)

    async def email(self, request: Request) -> Response:
        """An address for the answer, typed: unverified, and for this conversation only."""
        held = self._held(request)
        typed = (await _body(request, Email)).email
        await self.limits.spend(allowed.EMAIL, visitor=str(held.visitor_id), address=address_of(request))
        kept = await session.keep_email(self.app, held, typed)
        if kept is None:
            raise AhlanError(_("This address looks incomplete."), _("Check it, then send it again."), code="email")
        return _json({"email": kept})

    async def rating(self, request: Request) -> Response:
        """How it was, where that was asked."""
        held = self._held(request)
        said = await _body(request, Rated)
        await self.limits.spend(allowed.RATING, visitor=str(held.visitor_id))
        async with self.app.db.transaction(held.workspace_id) as tx:
            await session.visitor_of(tx, held)
            await stores.standing_still(tx, held.store_id)
            rated = await ratings.rate(tx, held.shopper(), said.score, said.comment)
        return _json({"rating": rated})

    async def sign(self, request: Request) -> Response:
        """A sign on a message that the shopper sees, or off it."""
        held = self._held(request)
        wanted = await _body(request, Sign)
        await self.limits.spend(allowed.RATING, visitor=str(held.visitor_id))
        async with self.app.db.transaction(held.workspace_id) as tx:
            await session.visitor_of(tx, held)
            await stores.standing_still(tx, held.store_id)
            head = await threads.shown(tx, held.shopper())
            found = await messages.messages_after(tx, head.id, wanted.seq - 1, 1) if head else []
            if not found or found[0].seq != wanted.seq:
                raise NotFound(_("This message is no longer there."))
            await changes.react(tx, found[0], wanted.sign, by=held.shopper(), on=wanted.on)
            message = messages.as_json(found[0])
        return _json({"message": self._linked(held, message)})

    async def place(self, request: Request) -> Response:
        """How many wait before the shopper, and about how long; nothing while nobody is here to answer."""
        held = self._held(request)
        await self.limits.spend(allowed.PLACE, visitor=str(held.visitor_id))
        found = None
        if await self._agents_here(held.workspace_id):
            async with self.app.db.transaction(held.workspace_id) as tx:
                head = await threads.shown(tx, held.shopper())
                found = await place.place(tx, head.id) if head else None
        return _json({"place": {"position": found.position, "minutes": found.minutes} if found else None})

    async def transcript(self, request: Request) -> Response:
        """The conversation by e-mail, to the address that the store vouches for and to no other."""
        held = self._held(request)
        await self.limits.spend(allowed.TRANSCRIPT, visitor=str(held.visitor_id), address=address_of(request))
        async with self.app.db.transaction(held.workspace_id) as tx:
            await session.visitor_of(tx, held)
            head = await threads.shown(tx, held.shopper())
            to = await transcripts.ask(self.app, tx, head, held.customer_id, actor=held.shopper().actor)
        return _json({"email": to})

    # Files

    async def attach(self, request: Request) -> Response:
        """One file as multipart, checked and kept until a message names it."""
        held = self._held(request)
        return _json(await files.keep(self.app, self.limits, held, request))

    async def file(self, request: Request) -> Response:
        """The one file that a signed link names. Never a document of ours: a download, or a picture that we drew."""
        claims = self.app.vault.verify("file", request.path_params["token"])
        if claims is None:
            raise NotFound(_("This link is no longer good."), _("Open the file again from the conversation."))
        async with self.app.db.transaction(UUID(claims["w"])) as tx:
            served = await attachments.content(tx, UUID(claims["a"]), small="s" in claims)
        if served is None:
            raise NotFound(_("This file is no longer there."))
        disposition = "inline" if served.inline else "attachment"
        headers = {
            "content-disposition": f"{disposition}; filename*=UTF-8''{quote(served.name, safe='')}",
            "content-security-policy": "sandbox; default-src 'none'",
            "x-content-type-options": "nosniff",
            "cross-origin-resource-policy": "same-origin",
            "cache-control": f"private, max-age={attachments.LINK_SECONDS}",
            "referrer-policy": "no-referrer",
        }
        return Response(served.content, headers=headers, media_type=served.media_type)

    # The socket

    async def ticket(self, request: Request) -> Response:
        """A key to one socket, good once and for 30 s: a socket's address lands in logs, a session does not."""
        held = self._held(request)
        await self.limits.spend(allowed.TICKET, visitor=str(held.visitor_id), address=address_of(request))
        async with self.app.db.transaction(held.workspace_id) as tx:
            await session.visitor_of(tx, held)
        ticket = secrets.token_urlsafe(24)
        token = request.headers["authorization"][7:]
        try:
            async with asyncio.timeout(1):
                await self.app.hub.remember(_ticket(ticket), token.encode(), TICKET_SECONDS)
        except (OSError, RedisError, TimeoutError) as error:
            raise AhlanError(
                _("The live connection is not available just now."),
                _("Messages still arrive, a little later."),
                code="unavailable",
                status=503,
            ) from error
        return _json({"ticket": ticket})

    async def socket(self, websocket: WebSocket) -> None:
        """Messages both ways while the panel is open."""
        try:
            check_origin(websocket.headers.get("origin"), self.web.public_url)
            held = await self._ticket_holder(websocket.query_params.get("ticket", ""))
        except AhlanError:
            await websocket.close(4403)
            return
        after = websocket.query_params.get("after", "0")
        translator = self.web.translator(websocket, held.locale)
        mark = websocket.query_params.get("mark", "")[:40]
        seq = int(after) if re.fullmatch(r"\d{1,9}", after) else 0
        known = websocket.query_params.get("thread", "")[:60]
        await self.sockets.serve(websocket, held, seq, translator, mark, known)

    async def _ticket_holder(self, ticket: str) -> Pass:
        try:
            token = await self.app.hub.take(_ticket(ticket)) if 0 < len(ticket) < 100 else None
        except (OSError, RedisError, TimeoutError):
            token = None
        return session.read(self.app.vault, token.decode() if token else "")

    # Shared

    def _held(self, request: Request) -> Pass:
        """The session of a call. Raises Unauthorized."""
        return _session(self.app.vault, request)

    def _linked(self, held: Pass, message: dict[str, Any]) -> dict[str, Any]:
        return attachments.with_links(self.app.vault, held.workspace_id, message)


class _File:
    """One static file, compressed once, when somebody first asks for it so."""

    def __init__(self, content: bytes, name: str) -> None:
        self._content = content
        self._etag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        self._type = f"{kind}; charset=utf-8" if kind.startswith("text/") or kind.endswith("javascript") else kind

    @cached_property
    def _gzipped(self) -> bytes:
        return gzip.compress(self._content, 9, mtime=0)

    def answer(self, request: Request, caching: str) -> Response:
        """The file, compressed where the browser takes it, or 304 when it has it."""
        headers = {
            "cache-control": caching,
            "etag": self._etag,
            "vary": "accept-encoding",
            "access-control-allow-origin": "*",
            "cross-origin-resource-policy": "cross-origin",
        }
        # Proxies that compress for us make the tag weak.
        if self._etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(self._gzipped, headers={**headers, "content-encoding": "gzip"}, media_type=self._type)
        return Response(self._content, headers=headers, media_type=self._type)


def _number(request: Request, name: str, default: int, least: int, most: int) -> int:
    text = request.query_params.get(name, "")
    return min(most, max(least, int(text))) if re.fullmatch(r"\d{1,10}", text) else default


def _elsewhere(page: dict[str, Any], known: str) -> bool:
    """Whether the page is of another thread, or of other numbers, than the browser knows."""
    return bool(known and page["conversation"] and page["conversation"]["id"] != known)


def _minutes(seconds: int | None) -> int | None:
    """Rounded up: a promise is kept, not nearly kept."""
    return None if seconds is None else max(1, -(-seconds // 60))


def _ticket(ticket: str) -> str:
    return f"ticket:{ticket}"
