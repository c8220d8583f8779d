"""The socket of an open panel: frames in, frames out, no database session held.

What comes through the hub is a hint. `_last` is the newest number that this browser was sent; a hint that does not
continue it, a resync, or an absent Valkey makes us read the table.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import UUID

import msgspec
import orjson
import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect

from plugin import stores
from plugin.app import App
from plugin.conversations import attachments, changes, messages, presence
from plugin.conversations import conversations as threads
from plugin.kernel.errors import AhlanError, Forbidden
from plugin.kernel.i18n import Translator
from plugin.kernel.lazy import _
from plugin.realtime import Listener
from plugin.widget import readers
from plugin.widget.limits import Bucket
from plugin.widget.session import Pass, conversation_json, visitor_of
from plugin.workspaces import ChatRules

log = structlog.get_logger(__name__)

MAX_FRAME = 32 * 1024
LIFE_SECONDS = 3600
SILENCE_SECONDS = 150
"""A browser pings every 25 s, in a hidden tab at most once a minute."""

POLL_SECONDS = 2.0
"""How often the table is read while Valkey is away."""

_DOUBT_SECONDS = 90.0
_PULSE_SECONDS = 20.0
_PATIENCE = 2.0
_PAGE = 100
_PER_VISITOR = 12


MESSAGES_AT_ONCE, MESSAGES_A_SECOND = 20, 1

Rules = Callable[[UUID], Awaitable[ChatRules]]
"""How chat works in a workspace."""


class NewMessage(msgspec.Struct, tag="message"):
    """A shopper's message, over the socket or by request."""

    client_id: UUID
    text: str = ""
    attachments: list[UUID] = []


class Read(msgspec.Struct, tag="read"):
    """The shopper has read up to `seq`."""

    seq: int


class Typing(msgspec.Struct, tag="typing"):
    """The shopper is typing; `text` so far, where agents may read along."""

    text: str = ""


class Ping(msgspec.Struct, tag="ping"):
    """Are you there?"""


_frames: msgspec.json.Decoder[NewMessage | Read | Typing | Ping] = msgspec.json.Decoder(
    NewMessage | Read | Typing | Ping
)


class Sockets:
    """Every open socket of this process: one pulse for all of them."""

    def __init__(self, app: App, rules: Rules) -> None:
        self.app = app
        self.rules = rules
        self._open: set[Socket] = set()
        self._pulse: asyncio.Task[None] | None = None

    async def serve(
        self, websocket: WebSocket, held: Pass, after: int, translator: Translator, mark: str = "", known: str = ""
    ) -> None:
        """Hold one socket until either side leaves. `mark`: up to which change of messages its browser knows; `known`:
        which conversation, with which numbers (`conversations.known_as`), `after` is of.
        """
        if sum(other.held.visitor_id == held.visitor_id for other in self._open) >= _PER_VISITOR:
            await websocket.close(1008)
            return
        await websocket.accept()
        socket = Socket(
            self.app, websocket, held, after, translator, mark, self._bucket(held.visitor_id), self.rules, known
        )
        self._open.add(socket)
        if self._pulse is None or self._pulse.done():
            self._pulse = asyncio.create_task(self._beat())
        try:
            await socket.run()
        finally:
            self._open.discard(socket)
            await socket.leave()

    def _bucket(self, visitor_id: UUID) -> Bucket:
        """All tabs of a visitor share one: more tabs are not more messages."""
        others = (other.messages for other in self._open if other.held.visitor_id == visitor_id)
        return next(others, None) or Bucket(MESSAGES_AT_ONCE, MESSAGES_A_SECOND)

    async def _beat(self) -> None:
        while self._open:
            agents: dict[UUID, int] = {}
            for socket in tuple(self._open):
                workspace_id = socket.held.workspace_id
                if workspace_id not in agents:
                    agents[workspace_id] = await presence.agents_here(self.app.hub, workspace_id)
                if socket not in self._open:
                    # It has left meanwhile, and is not to be counted as present anew.
                    continue
                # One socket that is closing must not end the pulse of all, nor one hold it up that nobody reads from.
                with contextlib.suppress(Exception):
                    try:
                        async with asyncio.timeout(_PATIENCE):
                            await socket.pulse(agents[workspace_id])
                    except TimeoutError:
                        socket.drop()
            await asyncio.sleep(_PULSE_SECONDS)


class Socket:
    """One open socket."""

    def __init__(
        self,
        app: App,
        websocket: WebSocket,
        held: Pass,
        after: int,
        translator: Translator,
        mark: str,
        messages: Bucket,
        rules: Rules,
        known: str,
    ) -> None:
        self.app = app
        self.messages = messages
        self._rules = rules
        self._mark = mark
        self.held = held
        self._websocket = websocket
        self._translator = translator
        self._name = secrets.token_hex(8)
        self._conversation = held.conversation_id
        self._announced: UUID | None = None
        self._last = after
        self._known = known
        self._agents: int | None = None
        self._listener: Listener | None = None
        self._receiving: asyncio.Task[Any] | None = None
        self._dropped = False
        self._frames = Bucket(60, 4)
        self._heard = self._looked = self._born = time.monotonic()

    async def run(self) -> None:
        """Read frames here and send from a task beside, until one of them ends."""
        sending = asyncio.create_task(self._send_news())
        receiving = self._receiving = asyncio.current_task()
        assert receiving is not None
        sending.add_done_callback(lambda task: receiving.cancel() if not task.cancelled() else None)
        try:
            await self._receive()
        except WebSocketDisconnect:
            pass
        except asyncio.CancelledError:
            if self._dropped:
                return
            if not sending.done() or sending.cancelled():
                raise
            if (error := sending.exception()) is not None and not isinstance(error, WebSocketDisconnect):
                log.warning("socket_failed", error=repr(error))
            await self._close(1011)
        finally:
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await sending

    def drop(self) -> None:
        """End it without a word: the other side takes none."""
        self._dropped = True
        if self._receiving is not None:
            self._receiving.cancel()

    async def leave(self) -> None:
        """Say that this tab is gone, so that an answer may follow by other ways."""
        if self._conversation is not None:
            await presence.shopper_gone(self.app.hub, self.held.workspace_id, self._conversation, self._name)

    async def pulse(self, agents: int) -> None:
        """Every 20 s: who is here, is this browser still there, was the session long enough."""
        now = time.monotonic()
        if now - self._heard > SILENCE_SECONDS or now - self._born > LIFE_SECONDS:
            await self._close(1001)
            return
        if agents != self._agents:
            await self._greet(agents)
        if self._conversation is not None:
            await presence.shopper_here(self.app.hub, self.held.workspace_id, self._conversation, self._name)

    async def _greet(self, agents: int) -> None:
        self._agents = agents
        await self._send({"type": "presence", "agents": agents})

    # In

    async def _receive(self) -> None:
        while True:
            event = await self._websocket.receive()
            if event["type"] == "websocket.disconnect":
                return
            data = event.get("text") or event.get("bytes") or ""
            if len(data) > MAX_FRAME or not self._frames.take():
                await self._close(1009 if len(data) > MAX_FRAME else 1008)
                return
            self._heard = time.monotonic()
            try:
                frame = _frames.decode(data)
            except msgspec.MsgspecError:
                await self._send({"type": "error", "code": "bad_frame"})
                continue
            await self._take(frame)

    async def _take(self, frame: NewMessage | Read | Typing | Ping) -> None:
        match frame:
            case NewMessage():
                await self._message(frame)
            case Read(seq=seq):
                await self._read(seq)
            case Typing(text=text):
                await tell_typing(self.app, self.held.workspace_id, self._conversation, text, self._rules)
            case Ping():
                await self._send({"type": "pong"})
                if time.monotonic() - self._looked > _DOUBT_SECONDS and self._listener is not None:
                    # A hint can get lost on its way to us without anybody noticing.
                    self._listener.offer("hub.resync", {})

    async def _message(self, frame: NewMessage) -> None:
        if not self.messages.take():
            # The browser repeats it by request, whose refusal says how long to wait.
            await self._send({"type": "error", "client_id": str(frame.client_id), "code": "too_many"})
            return
        try:
            async with self.app.db.transaction(self.held.workspace_id) as tx:
                await visitor_of(tx, self.held)
                await stores.standing_still(tx, self.held.store_id)
                message = await messages.receive(
                    tx, self.held.shopper(self._conversation), frame.client_id, frame.text, frame.attachments
                )
        except AhlanError as error:
            said = self._translator.gettext(error.message)
            await self._send({"type": "error", "client_id": str(frame.client_id), "code": error.code, "message": said})
            return
        if message["seq"] == 1:
            await readers.has_written(self.app, self.held.workspace_id, self.held.store_id, self._websocket)
        if message["seq"] == self._last + 1 and self._conversation is not None:
            self._last += 1
        if self._conversation is None and self._listener is not None:
            self._listener.offer("hub.resync", {})
        await self._send({"type": "ack", "client_id": str(frame.client_id), "message": self._linked(message)})

    async def _read(self, seq: int) -> None:
        if self._conversation is None:
            return
        async with self.app.db.transaction(self.held.workspace_id) as tx:
            await threads.mark_read(tx, self._conversation, who="shopper", seq=seq)

    # Out

    async def _send_news(self) -> None:
        while True:
            followed = self._conversation
            topic = f"conversation:{followed}" if followed else f"visitor:{self.held.visitor_id}"
            async with self.app.hub.listen(self.held.workspace_id, topic, presence.AGENTS) as listener:
                self._listener = listener
                await self._look()
                if self._agents is None:
                    await self._greet(await presence.agents_here(self.app.hub, self.held.workspace_id))
                while self._conversation == followed:
                    await self._next(listener)

    async def _next(self, listener: Listener) -> None:
        try:
            async with asyncio.timeout(None if self.app.hub.live else POLL_SECONDS):
                _topic, payload = await listener.get()
        except TimeoutError:
            await self._look()
            return
        match payload.get("type"):
            case "message":
                await self._hint(payload["message"])
            case "typing":
                await self._send({"type": "typing", "who": payload.get("who") or None})
            case "read":
                await self._send({"type": "read", "seq": payload["seq"], "by": payload["who"]})
            case presence.AGENTS:
                if payload["agents"] != self._agents:
                    await self._greet(payload["agents"])
            case _:
                await self._look()

    async def _hint(self, message: dict[str, Any]) -> None:
        seq = message["seq"]
        if seq > self._last + 1:
            await self._look()
        elif seq == self._last + 1:
            self._last = seq
            await self._send({"type": "message", "message": self._linked(message)})

    async def _look(self) -> None:
        """Read the table: which conversation is ours, and what is newer than what this browser has."""
        self._looked = time.monotonic()
        while True:
            async with self.app.db.transaction(self.held.workspace_id) as tx:
                head = await threads.shown(tx, self.held.shopper(self._conversation), known=self._known)
                if head is not None and self._known != (name := threads.known_as(head)):
                    if self._known:
                        # What the browser has counts for nothing here: it begins at the end, and reads back from there.
                        self._last, self._mark = head.last_seq, await changes.mark(tx, head.id)
                    self._known = name
                newer = await messages.messages_after(tx, head.id, self._last, _PAGE) if head else []
                changed, mark = await changes.since(tx, head.id, self._mark) if head else ([], self._mark)
                shown = await conversation_json(tx, head) if head else {}
            if head is None:
                if self._conversation is not None:
                    # Its store is in another workspace now, or it was erased: the browser begins a new session.
                    await self._close(1001)
                return
            if not newer or self._conversation != head.id:
                await self._send({"type": "conversation", "conversation": shown})
            if self._announced != head.id:
                self._conversation = self._announced = head.id
                await presence.shopper_here(self.app.hub, self.held.workspace_id, head.id, self._name)
            for row in changed:
                if row.seq is not None and row.seq <= self._last:
                    await self._send({"type": "message", "message": self._linked(messages.as_json(row))})
            if mark != self._mark:
                self._mark = mark
                await self._send({"type": "mark", "mark": mark})
            for row in newer:
                if row.seq is not None and row.seq > self._last:
                    self._last = row.seq
                    await self._send({"type": "message", "message": self._linked(messages.as_json(row))})
            if len(newer) < _PAGE and len(changed) < changes.LIMIT:
                return

    def _linked(self, message: dict[str, Any]) -> dict[str, Any]:
        return attachments.with_links(self.app.vault, self.held.workspace_id, message)

    async def _send(self, frame: Mapping[str, Any]) -> None:
        await self._websocket.send_text(orjson.dumps(frame).decode())

    async def _close(self, code: int) -> None:
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):
            await self._websocket.close(code)


async def tell_typing(app: App, workspace_id: UUID, conversation_id: UUID | None, text: str, rules: Rules) -> None:
    """The team sees that the shopper is typing, and what, where the workspace asked for it and shoppers are told."""
    if conversation_id is not None:
        if (await rules(workspace_id)).typing_preview:
            await presence.shopper_types(app.hub, workspace_id, conversation_id, text)
        topic = f"panel:conversation:{conversation_id}"
        await app.hub.publish(workspace_id, [(topic, {"type": "typing", "who": "shopper"})])


def check_origin(origin: str | None, public_url: str) -> None:
    """Browsers always send Origin with a socket, and CORS does not hold sockets back. Raises Forbidden."""
    if origin is not None and origin != public_url:
        raise Forbidden(_("This came from another site and was refused."))
