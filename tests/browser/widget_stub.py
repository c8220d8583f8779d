"""A test peer for the storefront widget: the widget protocol in memory, a shop page on another site, and levers.

It speaks only what the protocol says; what a test needs beyond that (an agent who answers, a server that restarts, a
socket that is cut) are methods of `Peer`, called from the test.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import jinja2
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect

from plugin.conversations import changes
from plugin.kernel.i18n import Catalogues, load
from plugin.kernel.web import Assets
from plugin.widget import page
from plugin.widget.strings import strings

STORE = "st_AbCdEfGhIjKlMnOpQrStUv"
SHOPS = {"en": "Noor & Co", "ar": "متجر نور", "he": "החנות של נור"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass
class Conversation:
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    status: str = "open"
    seen_seq: int = 0
    read_seq: int = 0
    rating: dict[str, Any] | None = None
    messages: list[dict[str, Any]] = field(default_factory=list)

    def public(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "status": self.status,
            "last_seq": len(self.messages),
            "seen_seq": self.seen_seq,
            "rating": self.rating,
        }

    def unread(self) -> int:
        return sum(m["seq"] > self.read_seq and m["author"] in ("agent", "bot") for m in self.messages)


@dataclass
class Visitor:
    id: str
    secret: str
    name: str | None = None
    email: str | None = None
    conversation: Conversation | None = None
    sockets: set[WebSocket] = field(default_factory=set)
    news: list[asyncio.Event] = field(default_factory=list)


class Peer:
    """The server under the widget, on `localhost`, and a shop, on `shop.localhost`."""

    def __init__(self) -> None:
        self.port, self.shop_port = free_port(), free_port()
        self.server_url = f"http://localhost:{self.port}"
        self.shop_url = f"http://shop.localhost:{self.shop_port}"
        self.visitors: dict[str, Visitor] = {}
        self.tokens: dict[str, tuple[str, float]] = {}
        self.tickets: dict[str, Visitor] = {}
        self.files: dict[str, tuple[dict[str, Any], bytes]] = {}
        self.calls: Counter[str] = Counter()
        self.identity: str | None = None
        self.identities: list[Any] = []
        self.config: dict[str, Any] = {
            "agents": 1,
            "answers": "",
            "reply_minutes": 5,
            "away_minutes": None,
            "back_at": None,
            "mails": True,
            "accent": "#0b7a75",
            "typing_preview": False,
        }
        self.place: dict[str, Any] | None = None
        self.typed: list[str] = []
        self.proven = False
        self.busy = 0
        self._lost: set[WebSocket] = set()
        self.greeting = ""
        self.first_word = ""
        self.visits: list[bytes] = []
        self.reaches = ""
        self.sockets_refused = False
        self._page: tuple[str, str, dict[str, str]] = ("", "", {})
        self.token_life = 900.0
        self.accepted = 0
        """How many messages were taken in, those that were here already among them."""
        # What waits until a test lets it go on.
        self._messages_go, self._shop_goes = asyncio.Event(), asyncio.Event()
        self._messages_go.set()
        self._shop_goes.set()
        self.catalogues: Catalogues = load()
        self._environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(page.STATIC.parent / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
        )
        self._environment.globals["icon"] = Assets().icon
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._server: tuple[uvicorn.Server, Any] | None = None
        self._shop = self._begin(self._shop_app(), self.shop_port)
        self.start()

    # Levers

    def start(self) -> None:
        self._server = self._begin(self._app(), self.port)

    def stop(self) -> None:
        """Like a restart's first half: listening ends, sockets close, what was acknowledged stays."""
        assert self._server
        server, future = self._server
        server.should_exit = True
        server.force_exit = True
        future.result(15)
        self._server = None

    def close(self) -> None:
        if self._server:
            self.stop()
        server, future = self._shop
        server.should_exit = server.force_exit = True
        future.result(15)

    def visitor(self) -> Visitor:
        """The one visitor of the test."""
        (visitor,) = self.visitors.values()
        return visitor

    def say(self, text: str, *, author: str = "agent", name: str | None = "Dana Levi", **more: Any) -> dict[str, Any]:
        """An agent (or bot, or the system) writes."""
        said: dict[str, Any] = self._do(
            self._append(self.visitor(), {"author": author, "author_name": name, "text": text, **more})
        )
        return said

    def tell(self, frame: dict[str, Any]) -> None:
        """A frame to every socket of the visitor."""
        self._do(self._broadcast(self.visitor(), frame))

    def seen(self, seq: int) -> None:
        conversation = self.visitor().conversation
        assert conversation
        conversation.seen_seq = seq
        self.tell({"type": "read", "seq": seq})

    def forget(self) -> None:
        """Erase the visitor, as privacy requests do."""
        gone = self.visitor()
        self.visitors.clear()
        self.tokens.clear()
        self.cut(gone)

    def cut(self, visitor: Visitor | None = None) -> None:
        """Close the visitor's sockets."""
        sockets = list((visitor or self.visitor()).sockets)

        async def cut() -> None:
            for channel in sockets:
                with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                    await channel.close(1012)

        self._do(cut())

    def lose(self) -> None:
        """The visitor's sockets are dead without a goodbye, as after a laptop slept: nothing more goes in or out."""
        self._lost |= self.visitor().sockets
        self.visitor().sockets.clear()

    def hold(self) -> None:
        """Messages that arrive from now on are neither taken in nor answered until `go_on`."""
        self._loop.call_soon_threadsafe(self._messages_go.clear)

    def go_on(self) -> None:
        self._loop.call_soon_threadsafe(self._messages_go.set)

    def hold_shop(self) -> None:
        """The shop does not say who is signed in until `shop_goes_on`."""
        self._loop.call_soon_threadsafe(self._shop_goes.clear)

    def shop_goes_on(self) -> None:
        self._loop.call_soon_threadsafe(self._shop_goes.set)

    def texts(self, author: str = "shopper") -> list[str]:
        """What was said in the conversation of the test, which the widget may not have begun yet."""
        conversation = self.visitor().conversation if self.visitors else None
        return [m["text"] for m in conversation.messages if m["author"] == author] if conversation else []

    def shop(self, locale: str = "en", extra: str = "", body: str = "", **data: str) -> str:
        """The address of a shop page with the widget; `data` are further data-* settings."""
        self._page = (extra, body, data)
        return f"{self.shop_url}/{locale}"

    # The protocol

    def _app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/widget/loader.js", self._loader),
                Route("/widget/visit", self._visit, methods=["POST"]),
                Route("/widget/frame", self._frame),
                Route("/widget/session", self._session, methods=["POST"]),
                Route("/widget/messages", self._messages),
                Route("/widget/messages", self._receive, methods=["POST"]),
                Route("/widget/attachments", self._attach, methods=["POST"]),
                Route("/widget/files/{id}", self._file),
                Route("/widget/typing", self._nothing, methods=["POST"]),
                Route("/widget/rating", self._rating, methods=["POST"]),
                Route("/widget/sign", self._sign, methods=["POST"]),
                Route("/widget/place", self._place, methods=["POST"]),
                Route("/widget/transcript", self._transcript, methods=["POST"]),
                Route("/widget/read", self._read, methods=["POST"]),
                Route("/widget/email", self._email, methods=["POST"]),
                Route("/widget/ticket", self._ticket, methods=["POST"]),
                WebSocketRoute("/widget/socket", self._socket),
                Mount(f"/widget/static/{page.version()}", StaticFiles(directory=page.STATIC)),
            ]
        )

    async def _loader(self, request: Request) -> Response:
        self.calls["loader"] += 1
        return Response(page.loader(), media_type="text/javascript")

    async def _visit(self, request: Request) -> Response:
        self.calls["visit"] += 1
        self.visits.append(await request.body())
        headers = {
            "access-control-allow-origin": self.shop_url,
            "access-control-expose-headers": "ahlan-secret",
            "ahlan-secret": "vs_given",
        }
        return JSONResponse({"unread": 1 if self.first_word else 0, "text": self.first_word}, headers=headers)

    async def _frame(self, request: Request) -> Response:
        self.calls["frame"] += 1
        translator = self.catalogues.translator(request.query_params["locale"])
        nonce = secrets.token_urlsafe(16)
        config = {
            **self.config,
            "store": STORE,
            "base": "",
            "locale": translator.locale,
            "digits": "latn",
            "origins": [self.shop_url],
            "shop": SHOPS[translator.locale],
            "greeting": self.greeting,
            "time_zone": "Asia/Jerusalem",
            "max_text": 4000,
            "signs": changes.SIGNS,
            "attachments": {
                "max_bytes": 1_000_000,
                "max_count": 3,
                "accept": ["image/png", "image/jpeg", "application/pdf"],
            },
            "strings": strings(translator.gettext, translator.ngettext),
        }
        html = self._environment.get_template("frame.html").render(
            lang=translator.locale,
            dir=translator.direction,
            nonce=nonce,
            config=config,
            static=f"/widget/static/{page.version()}",
            modules=page.modules(),
            icons=page.ICONS,
        )
        policy = (
            f"default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self'; img-src 'self' blob: data:; "
            f"connect-src 'self' ws://localhost:{self.port}; base-uri 'none'; form-action 'none'; "
            f"frame-ancestors {self.shop_url}"
        )
        return HTMLResponse(html, headers={"content-security-policy": policy, "cache-control": "no-store"})

    async def _session(self, request: Request) -> Response:
        self.calls["session"] += 1
        body = await request.json()
        self.identities.append(body.get("identity", ...))
        visitor = self.visitors.get(body.get("secret") or "")
        if visitor is None:
            visitor = Visitor(str(uuid.uuid4()), f"vs_{secrets.token_urlsafe(24)}")
            self.visitors[visitor.secret] = visitor
        if body.get("identity"):
            visitor.name = body["identity"]
        token = secrets.token_urlsafe(16)
        self.tokens[token] = (visitor.secret, time.monotonic() + self.token_life)
        conversation = visitor.conversation
        return JSONResponse(
            {
                "token": token,
                "expires_in": 900,
                "secret": visitor.secret,
                "visitor": {
                    "id": visitor.id,
                    "name": visitor.name,
                    "identified": bool(visitor.name),
                    "has_email": bool(visitor.email or visitor.name),
                    "proven_email": self.proven,
                },
                "config": self.config,
                "conversation": conversation.public() if conversation else None,
                "unread": conversation.unread() if conversation else 0,
            }
        )

    def _who(self, request: Request) -> Visitor | None:
        secret, until = self.tokens.get(request.headers.get("authorization", "")[7:], ("", 0.0))
        return self.visitors.get(secret) if time.monotonic() < until else None

    @staticmethod
    def _stranger() -> Response:
        return JSONResponse({"error": {"code": "unauthorized", "message": "Open the chat again."}}, 401)

    async def _messages(self, request: Request) -> Response:
        if not (visitor := self._who(request)):
            return self._stranger()
        self.calls["messages"] += 1
        query = request.query_params
        limit = int(query.get("limit", 200))
        if "before" in query:
            old = [m for m in self._list(visitor) if m["seq"] < int(query["before"])]
            return JSONResponse({"messages": old[-limit:], "last_seq": len(self._list(visitor))})
        after = int(query["after"])
        wait = float(query.get("wait", 0))
        if wait and len(self._list(visitor)) <= after:
            event = asyncio.Event()
            visitor.news.append(event)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(event.wait(), wait)
            visitor.news.remove(event)
        new = [m for m in self._list(visitor) if m["seq"] > after][:limit]
        conversation = visitor.conversation
        return JSONResponse(
            {
                "messages": new,
                "last_seq": len(self._list(visitor)),
                "seen_seq": conversation.seen_seq if conversation else 0,
                "agents": self.config["agents"],
                "conversation": conversation.public() if conversation else None,
            }
        )

    async def _receive(self, request: Request) -> Response:
        if not (visitor := self._who(request)):
            return self._stranger()
        self.calls["post"] += 1
        await self._messages_go.wait()
        body = await request.json()
        if body["text"] == "refuse this":
            return JSONResponse({"error": {"code": "refused", "message": "This message cannot be sent."}}, 422)
        if self.busy:
            self.busy -= 1
            said = {"error": {"code": "too_many", "message": "That was a lot in a short time."}}
            return JSONResponse(said, 429, headers={"retry-after": "2"})
        return JSONResponse({"message": await self._accept(visitor, body)})

    async def _accept(self, visitor: Visitor, body: dict[str, Any]) -> dict[str, Any]:
        self.accepted += 1
        for message in self._list(visitor):
            if message.get("client_id") == body["client_id"]:
                return message
        files = [self.files[id][0] for id in body["attachments"]]
        return await self._append(
            visitor, {"author": "shopper", "client_id": body["client_id"], "text": body["text"], "attachments": files}
        )

    async def _append(self, visitor: Visitor, message: dict[str, Any]) -> dict[str, Any]:
        begun = visitor.conversation is None
        visitor.conversation = conversation = visitor.conversation or Conversation()
        told = conversation.public()
        whole = {
            "attachments": [],
            "at": now(),
            **message,
            "id": str(uuid.uuid4()),
            "seq": len(self._list(visitor)) + 1,
        }
        # Here before anything is awaited: the same message may come another way at this very moment.
        conversation.messages.append(whole)
        if begun:
            await self._broadcast(visitor, {"type": "conversation", "conversation": told})
        await self._broadcast(visitor, {"type": "message", "message": whole})
        for event in visitor.news:
            event.set()
        return whole

    @staticmethod
    def _list(visitor: Visitor) -> list[dict[str, Any]]:
        return visitor.conversation.messages if visitor.conversation else []

    @staticmethod
    async def _broadcast(visitor: Visitor, frame: dict[str, Any]) -> None:
        for channel in list(visitor.sockets):
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                await channel.send_json(frame)

    async def _attach(self, request: Request) -> Response:
        if not self._who(request):
            return self._stranger()
        upload = (await request.form())["file"]
        assert not isinstance(upload, str)
        content = await upload.read()
        id = str(uuid.uuid4())
        kind = "image" if (upload.content_type or "").startswith("image/") else "file"
        public = {"id": id, "name": upload.filename, "size": len(content), "kind": kind, "url": f"/widget/files/{id}"}
        self.files[id] = (public, content)
        return JSONResponse({key: public[key] for key in ("id", "name", "size", "kind")})

    async def _file(self, request: Request) -> Response:
        public, content = self.files[request.path_params["id"]]
        return Response(content, media_type="image/png" if public["kind"] == "image" else "application/octet-stream")

    async def _nothing(self, request: Request) -> Response:
        self.calls["typing"] += 1
        return Response(status_code=204)

    async def _rating(self, request: Request) -> Response:
        if not (visitor := self._who(request)):
            return self._stranger()
        assert visitor.conversation
        visitor.conversation.rating = await request.json()
        return JSONResponse({"rating": visitor.conversation.rating})

    async def _sign(self, request: Request) -> Response:
        if not (visitor := self._who(request)):
            return self._stranger()
        wanted = await request.json()
        message = self._list(visitor)[wanted["seq"] - 1]
        message["signs"] = [{"sign": wanted["sign"], "own": True, "count": 1}] if wanted["on"] else []
        return JSONResponse({"message": message})

    async def _place(self, request: Request) -> Response:
        return JSONResponse({"place": self.place}) if self._who(request) else self._stranger()

    async def _transcript(self, request: Request) -> Response:
        return JSONResponse({"email": "ana@mail.example"}) if self._who(request) else self._stranger()

    async def _read(self, request: Request) -> Response:
        if not (visitor := self._who(request)):
            return self._stranger()
        await self._mark(visitor, (await request.json())["seq"])
        return Response(status_code=204)

    async def _mark(self, visitor: Visitor, seq: int) -> None:
        assert visitor.conversation
        visitor.conversation.read_seq = max(visitor.conversation.read_seq, seq)
        await self._broadcast(visitor, {"type": "read", "seq": seq, "by": "shopper"})

    async def _email(self, request: Request) -> Response:
        if not (visitor := self._who(request)):
            return self._stranger()
        visitor.email = (await request.json())["email"]
        return JSONResponse({"email": visitor.email})

    async def _ticket(self, request: Request) -> Response:
        if not (visitor := self._who(request)):
            return self._stranger()
        ticket = secrets.token_urlsafe(16)
        self.tickets[ticket] = visitor
        return JSONResponse({"ticket": ticket})

    async def _socket(self, channel: WebSocket) -> None:
        visitor = self.tickets.pop(channel.query_params.get("ticket", ""), None)
        if visitor is None or self.sockets_refused or channel.headers.get("origin") != self.server_url:
            await channel.close(4403)
            return
        await channel.accept()
        self.calls["socket"] += 1
        visitor.sockets.add(channel)
        try:
            for message in self._list(visitor)[int(channel.query_params["after"]) :]:
                await channel.send_json({"type": "message", "message": message})
            await channel.send_json({"type": "presence", "agents": self.config["agents"]})
            while True:
                await self._frame_in(visitor, channel, await channel.receive_json())
        except (WebSocketDisconnect, RuntimeError):
            pass
        finally:
            visitor.sockets.discard(channel)

    async def _frame_in(self, visitor: Visitor, channel: WebSocket, frame: dict[str, Any]) -> None:
        if channel in self._lost:
            return
        self.calls[f"socket {frame['type']}"] += 1
        match frame["type"]:
            case "ping":
                await channel.send_json({"type": "pong"})
            case "typing":
                self.typed.append(frame["text"])
            case "message" if self.busy:
                await channel.send_json({"type": "error", "client_id": frame["client_id"], "code": "too_many"})
            case "read":
                await self._mark(visitor, frame["seq"])
            case "message" if frame["text"] == "refuse this":
                await channel.send_json(
                    {"type": "error", "client_id": frame["client_id"], "code": "refused", "message": ""}
                )
            case "message":
                await self._messages_go.wait()
                message = await self._accept(visitor, frame)
                await channel.send_json({"type": "ack", "client_id": frame["client_id"], "message": message})

    # The shop

    def _shop_app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/who", self._who_is_signed_in),
                Route("/{locale}", self._shop_page),
                Route("/{locale}/{rest:path}", self._shop_page),
            ]
        )

    async def _who_is_signed_in(self, request: Request) -> Response:
        self.calls["identity"] += 1
        await self._shop_goes.wait()
        return JSONResponse({"token": self.identity}) if self.identity else Response(status_code=204)

    async def _shop_page(self, request: Request) -> Response:
        extra, body, settings_ = self._page
        locale = request.path_params["locale"]
        data = {"server": self.server_url, "store": STORE, "identity": "/who", "locale": locale, **settings_}
        settings = " ".join(f'data-{name}="{value}"' for name, value in data.items())
        direction = "rtl" if locale in ("ar", "he") else "ltr"
        html = f"""<!doctype html><html lang="{locale}" dir="{direction}"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{SHOPS.get(locale, "Shop")}</title>
<style>div{{display:block}} body{{margin:0;font:16px system-ui;background:#faf7f2;color:#333}}
main{{padding:32px;max-width:60em}}
.grid{{display:grid;grid-template-columns:repeat(auto-fill,minmax(160px,1fr));gap:16px}}
.grid i{{height:200px;background:linear-gradient(160deg,#e8ddcc,#d9c6ab);border-radius:6px}}</style>{extra}
<script defer src="{self.server_url}/widget/loader.js" {settings}></script></head>
<body><main><h1>{SHOPS.get(locale, "Shop")}</h1><p><a href="/{locale}/next" id="link">Link</a></p>
<div class="grid">{"<i></i>" * 24}</div></main>{body}</body></html>"""
        # A strict shop: the launcher has to live with the shop's own policy.
        policy = (
            f"default-src 'self'; script-src 'self' 'unsafe-inline' {self.server_url}; "
            "style-src 'self' 'unsafe-inline'; "
            f"frame-src 'self' data: {self.server_url}; connect-src 'self' {self.reaches}"
        )
        return HTMLResponse(html, headers={"content-security-policy": policy})

    # Threads

    def _begin(self, app: Starlette, port: int) -> tuple[uvicorn.Server, Any]:
        config = uvicorn.Config(
            app,
            "127.0.0.1",
            port,
            log_level="error",
            ws="websockets-sansio",
            lifespan="off",
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        server.install_signal_handlers = lambda: None
        server.capture_signals = contextlib.nullcontext
        future = asyncio.run_coroutine_threadsafe(server.serve(), self._loop)
        while not server.started:
            time.sleep(0.01)
            if future.done():
                future.result()
        return server, future

    def _do(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)


def history(peer: Peer, count: int) -> None:
    """A conversation of `count` messages over the last days, newest a few minutes old."""
    visitor = peer.visitor()
    visitor.conversation = Conversation()
    begin = datetime.now(UTC) - timedelta(minutes=40 * count)
    for number in range(1, count + 1):
        author = "shopper" if number % 3 == 1 else "agent"
        visitor.conversation.messages.append(
            {
                "id": str(uuid.uuid4()),
                "seq": number,
                "author": author,
                "author_name": None if author == "shopper" else "Dana Levi",
                "text": f"Message {number}",
                "attachments": [],
                "at": (begin + timedelta(minutes=40 * number - 3)).isoformat().replace("+00:00", "Z"),
            }
        )
