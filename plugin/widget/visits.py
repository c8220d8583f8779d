"""The one sign that a storefront page gives of itself, once it is idle, where the shop and its visitor agree to it.

Its answer begins at once, with the browser's secret in a header; its body says how many answers are unread, and the
first word of an agent. While there is none it waits for a while: whoever is written to sees it on the page they are on,
and whoever closes the page is seen to leave.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from urllib.parse import urlsplit
from uuid import UUID

import msgspec
import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from plugin.app import App
from plugin.conversations import first_word, visits
from plugin.conversations.visits import Visit
from plugin.crm import visitors
from plugin.kernel.errors import AhlanError, Forbidden, NotFound, TooLarge
from plugin.kernel.lazy import _
from plugin.stores import Store
from plugin.widget.limits import NEW_VISIT, VISIT, Limits, address_of
from plugin.widget.remember import Remembered
from plugin.widget.session import Page, find_store

MAX_BODY = 2048
WAIT_SECONDS = 55.0
"""Below the minute after which proxies hang up."""

_MOST_WAITING = 2000
_RULES_SECONDS = 15
_TELL_SECONDS = 1.0
_SECRET_HEADER = "ahlan-secret"  # noqa: S105 - a header's name


class Told(Page, kw_only=True):
    """What a page says: which store, which browser, where it is. `hush`: first words are not wanted."""

    store: str
    secret: str = ""
    hush: str = ""


class Visits:
    """The endpoint, with what it shares in this process."""

    def __init__(self, app: App, limits: Limits, origins: Callable[[Store], Sequence[str]]) -> None:
        self._app = app
        self._limits = limits
        self._origins = origins
        self._stores: Remembered[str, Store] = Remembered(_RULES_SECONDS)
        self._telling: dict[UUID, asyncio.Task[None]] = {}
        self._waiting = 0

    async def visit(self, request: Request) -> Response:
        """A page view. Raises NotFound where visits are not looked at, Forbidden for another site and without consent.

        Refusals carry no leave to be read by the page: to the loader they are all silence.
        """
        told = await _read(request)
        store = await self.store(told.store)
        origin = request.headers.get("origin", "")
        rules = visits.rules(store)
        if origin not in self._origins(store) or not rules.allow(told.agreed()):
            raise Forbidden(_("This came from another site and was refused."))
        if visits.is_machine(request.headers):
            raise NotFound(_("There is nothing here."))
        address = f"{store.id}:{address_of(request)}"
        await self._limits.spend(VISIT, visitor=visitors.hash_of(told.secret).hex(), address=address)
        secret, known, since, unread, text = await self._browser(store, told.secret)
        key = visitors.hash_of(secret).hex()
        if not known:
            await self._limits.spend(NEW_VISIT, address=address)
        around = told.around(request.headers, urlsplit(origin).netloc, self._app.settings.country_header)
        visit = await visits.saw(
            self._app.hub, store.workspace_id, store.id, key, around,
            days=rules.days, hush=bool(told.hush), since=since,
        )  # fmt: skip
        self._tell(store.workspace_id)
        headers = {
            "access-control-allow-origin": origin,
            "access-control-expose-headers": _SECRET_HEADER,
            "cache-control": "no-store",
            "vary": "origin",
            "x-accel-buffering": "no",
            _SECRET_HEADER: secret,
        }
        if text or visit.hush or not rules.first_word or self._waiting >= _MOST_WAITING:
            said = _said(unread, "" if visit.hush else text)
            return Response(said, headers=headers, media_type="application/json")
        return StreamingResponse(self._wait(store, visit, unread), headers=headers, media_type="application/json")

    async def store(self, public_key: str) -> Store:
        """The store behind a public key, as it was some seconds ago. Raises NotFound."""
        known = self._stores.get(public_key)
        return (
            known if known is not None else self._stores.put(public_key, (await find_store(self._app, public_key))[1])
        )

    async def _browser(self, store: Store, secret: str) -> tuple[str, bool, float | None, int, str]:
        """The browser's secret, whether we know it and since when it talks to us, and what it has not read.

        A made-up secret gets a new one instead.
        """
        if secret.startswith("vs_"):
            async with self._app.db.transaction(store.workspace_id) as tx:
                visitor = await visitors.by_secret(tx, store.id, secret)
                if visitor is not None:
                    unread, text = await first_word.waiting(tx, visitor)
                    return secret, True, visitor.created_at.timestamp(), unread, text
            if await visits.issued(self._app.hub, store.workspace_id, store.id, secret):
                return secret, True, None, 0, ""
        return visitors.new_secret(), False, None, 0, ""

    async def _wait(self, store: Store, visit: Visit, unread: int) -> AsyncIterator[bytes]:
        """The body of an answer: what is unread when somebody writes first, or when the time is over."""
        until = time.monotonic() + WAIT_SECONDS
        self._waiting += 1
        done = False
        text = ""
        try:
            async with self._app.hub.listen(store.workspace_id, visits.knock(visit.key)) as listener:
                # From here on we hear of it; what was written before is looked for.
                unread, text = await self._unread(store, visit.key, unread)
                while not text and (left := until - time.monotonic()) > 0:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(left):
                            await listener.get()
                        unread, text = await self._unread(store, visit.key, unread)
            done = True
            yield _said(unread, text)
        finally:
            self._waiting -= 1
            if not done:
                self._leave(store.workspace_id, visit)

    async def _unread(self, store: Store, key: str, otherwise: int) -> tuple[int, str]:
        async with self._app.db.transaction(store.workspace_id) as tx:
            talk = (await first_word.talks(tx, [key])).get(key)
            return await first_word.waiting(tx, talk.visitor) if talk is not None else (otherwise, "")

    def _leave(self, workspace_id: UUID, visit: Visit) -> None:
        # As a task of its own: an answer that is hung up on may not wait any more.
        task = asyncio.create_task(visits.left(self._app.hub, workspace_id, visit))
        _leaving.add(task)
        task.add_done_callback(_leaving.discard)

    def _tell(self, workspace_id: UUID) -> None:
        """Panels hear that somebody moved, at most once a second: a busy shop moves all the time."""
        if workspace_id not in self._telling:
            self._telling[workspace_id] = asyncio.create_task(self._told(workspace_id))

    async def _told(self, workspace_id: UUID) -> None:
        await asyncio.sleep(_TELL_SECONDS)
        self._telling.pop(workspace_id, None)
        await self._app.hub.publish(workspace_id, [(visits.TOPIC, {"type": visits.TOPIC})])


_leaving: set[asyncio.Task[None]] = set()


def _said(unread: int, text: str) -> bytes:
    return orjson.dumps({"unread": unread, "text": text})


async def _read(request: Request) -> Told:
    # As text, which a page may send to another site without asking it first: a question more for every page view.
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise TooLarge(_("This is too large to send."), _("Send something smaller."))
    try:
        return msgspec.json.decode(body, type=Told)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise AhlanError(_("That request could not be read."), code="malformed", status=422) from error
