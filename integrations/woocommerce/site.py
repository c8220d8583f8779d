"""What our WordPress plugin asks of us, signed, and the frame that it puts into wp-admin (the protocol's page in docs).

A signed request speaks for its own store and for nothing else: every answer is that store's share.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import select
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from integrations.woocommerce import pairing
from integrations.woocommerce.pairing import PairingError
from integrations.woocommerce.platform import BRIDGE, KIND, STORE_KIND, secrets_of_plugin
from plugin import privacy, stores
from plugin.analytics.hints import Shelf
from plugin.app import App
from plugin.conversations import views
from plugin.conversations.conversations import RESOLVED, Conversation
from plugin.crm import identities
from plugin.crm.orders import Order
from plugin.kernel.db import Tx
from plugin.kernel.errors import AhlanError, NotFound, TooLarge, Unauthorized
from plugin.kernel.i18n import Translator
from plugin.kernel.lazy import _
from plugin.kernel.text import normalise_email
from plugin.kernel.web import Web, framed_by
from plugin.knowledge import site as help_site
from plugin.platform import StaleToken
from plugin.privacy import PrivacyRequest
from plugin.stores import Store

BASE: Final = "/plugin/woocommerce"
ENTER: Final = f"{BASE}/enter"
WAIT_SECONDS: Final = 12.0
"""How long a privacy request of WordPress waits for its task, which asks for 20 s."""
_LOOK_SECONDS: Final = 0.4
_BODY_BYTES: Final = 65_536
_TALKS: Final = 5
_HELP_BASE: Final = re.compile(r"https?://[^\s<>\"'?#\\]{1,280}")
_ORIGIN: Final = re.compile(r"https?://[a-z0-9.-]+(:\d{1,5})?\Z")
_PLACE: Final = re.compile(r"[a-z0-9/-]{0,100}\Z")
_REQUEST: Final = re.compile(r"[0-9a-f]{32}\Z")
_INNER: Final = frozenset({"raw", "id", "store_id", "customer_id", "visitor_id", "assignee_id", "version"})
"""Columns of an export that say something to us alone."""
_EMPTY: Final[tuple[Any, ...]] = (None, "", [], {})

Said = Mapping[str, Any]


class Site:
    """The routes, with what they share in this process."""

    def __init__(self, app: App, web: Web) -> None:
        self.app = app
        self.web = web
        self._help_centre = help_site.Site(app, web)
        self._shelf = Shelf(app)
        web.assets.add_file(BRIDGE, Path(__file__).parent / "static" / "bridge.js")
        self._verbs: dict[str, Callable[[UUID, UUID, Said], Awaitable[Said]]] = {
            "state": self._state,
            "conversations": self._conversations,
            "export": self._export,
            "erase": self._erase,
            "help": self._help,
            "fit": self._fit,
            "goodbye": self._goodbye,
        }

    # Signed requests of the plugin

    async def call(self, request: Request) -> Response:
        """One question or notice, as JSON. Raises Unauthorized for whoever does not hold the store's secret."""
        verb = self._verbs.get(request.path_params["verb"])
        store_id = _uuid(request.path_params["store"])
        if verb is None or store_id is None:
            raise NotFound(_("There is nothing here."))
        body = await request.body()
        if len(body) > _BODY_BYTES:
            raise TooLarge(_("This is too large to send."))
        workspace_id = await self._signed(request, store_id, body)
        try:
            said = orjson.loads(body)
        except orjson.JSONDecodeError:
            said = None
        if not isinstance(said, dict):
            raise AhlanError(_("That request could not be read."), status=422)
        answer = await verb(workspace_id, store_id, said)
        return JSONResponse(dict(answer), headers={"cache-control": "no-store"})

    async def _signed(self, request: Request, store_id: UUID, body: bytes) -> UUID:
        """The workspace of a store whose secret signed this request, which has not come before."""
        names = (pairing.TIMESTAMP_HEADER, pairing.NONCE_HEADER, pairing.SIGNATURE_HEADER)
        timestamp, nonce, signature = (request.headers.get(name) for name in names)
        found = await self.app.db.lookup(STORE_KIND, str(store_id)) if timestamp and nonce and signature else []
        if not found:
            raise _not_signed()
        workspace_id = found[0][0]
        async with self.app.db.transaction(workspace_id) as tx:
            secrets = await secrets_of_plugin(tx, self.app.vault, store_id)
        path = f"{BASE}/{store_id}/{request.path_params['verb']}"
        for secret in secrets:
            with suppress(PairingError):
                seen = pairing.verify(
                    pairing.derive_keys(secret).requests,
                    method="POST", path=path, timestamp=timestamp, nonce=nonce, signature=signature, body=body,
                    now=time.time(),
                )  # fmt: skip
                # Longer than a signature lives either side of our clock.
                kept = 2 * pairing.REQUEST_LIFETIME + pairing.LEEWAY
                if await self.app.hub.count(f"woocommerce:nonce:{store_id}:{seen}", kept) == 1:
                    return workspace_id
        raise _not_signed()

    async def _state(self, workspace_id: UUID, store_id: UUID, said: Said) -> Said:
        """How the connection stands, for the plugin's settings page."""
        async with self.app.db.transaction(workspace_id) as tx:
            store = await self._store(tx, store_id)
            return {"state": store.status, "reason": store.status_reason}

    async def _conversations(self, workspace_id: UUID, store_id: UUID, said: Said) -> Said:
        """Heads of the conversations in this store of an order's customer: no word that anybody wrote."""
        t = self.app.catalogues.translator(str(said.get("locale") or "")[:20].replace("_", "-"))
        async with self.app.db.transaction(workspace_id) as tx:
            customer_id = await _customer(tx, store_id, said)
            if customer_id is None:
                return {"conversations": [], "customer": ""}
            members = await identities.family(tx, customer_id)
            talks = [talk for talk in await views.of_customer(tx, members) if talk.store_id == store_id]
        return {"conversations": [_head(t, talk) for talk in talks[:_TALKS]], "customer": f"customers/{members[0]}"}

    async def _export(self, workspace_id: UUID, store_id: UUID, said: Said) -> Said:
        """What this store's share holds of a person, once: `open` while it is being collected, then `fetched`.

        WordPress puts it into the file that the person gets, so the copy counts as handed over. The plugin drops the
        number with the answer: who never got it asks again under a new one.
        """
        row = await self._asked(workspace_id, store_id, privacy.DATA_REQUEST, said)
        if row.state == privacy.OPEN:
            return {"state": "open"}
        async with self.app.db.transaction(workspace_id) as tx:
            export = await privacy.fetched(tx, row.id, by="wordpress")
        return {"state": "ready", "data": _readable(export)} if export is not None else {"state": "fetched"}

    async def _erase(self, workspace_id: UUID, store_id: UUID, said: Said) -> Said:
        """Forget a person's share of this store; `open` while that is under way."""
        row = await self._asked(workspace_id, store_id, privacy.CUSTOMER_REDACT, said)
        if row.state == privacy.DONE:
            counts = row.result.get("counts") or {}
            return {"state": "done", "erased": sum(count for count in counts.values() if isinstance(count, int))}
        return {"state": "open"}

    async def _asked(self, workspace_id: UUID, store_id: UUID, kind: str, said: Said) -> PrivacyRequest:
        """The request of this number, taken now if it is new, after some waiting for its task."""
        number, email = str(said.get("request") or ""), str(said.get("email") or "")[:320]
        if not _REQUEST.match(number) or normalise_email(email) is None:
            raise AhlanError(_("That request could not be read."), status=422)
        subject = {"customer_external_id": str(said.get("customer_id") or "")[:20], "email": email}
        async with self.app.db.transaction(workspace_id) as tx:
            store = await self._store(tx, store_id)
            await privacy.receive(tx, store, kind, {**subject, "request_id": number}, datetime.now(UTC))
        until = time.monotonic() + WAIT_SECONDS
        while True:
            async with self.app.db.transaction(workspace_id) as tx:
                row: PrivacyRequest | None = await tx.scalar(
                    select(PrivacyRequest).where(
                        PrivacyRequest.workspace_id == workspace_id,
                        PrivacyRequest.store_id == store_id,
                        PrivacyRequest.kind == kind,
                        PrivacyRequest.subject["request"].astext == number,
                    )
                )
            if row is None:
                raise NotFound(_("There is nothing here."))
            if row.state != privacy.OPEN or time.monotonic() > until:
                return row
            await asyncio.sleep(_LOOK_SECONDS)

    async def _help(self, workspace_id: UUID, store_id: UUID, said: Said) -> Said:
        """A page of the help centre in parts, for the shop's own theme to stand around."""
        async with self.app.db.transaction(workspace_id) as tx:
            store = await self._store(tx, store_id)
            base = str(said.get("base") or "")[:300].rstrip("/")
            own = any(base.startswith(f"{origin}/") for origin in store.origins)
            if not own or not _HELP_BASE.fullmatch(base):
                raise AhlanError(_("That request could not be read."), status=422)
            await help_site.seen_at(tx, store.id, base)
        query = said.get("query")
        asked = help_site.Asked(
            path=str(said.get("path") or "")[:500],
            base=base,
            query={str(name): str(value)[:600] for name, value in query.items()} if isinstance(query, dict) else {},
            languages=str(said.get("languages") or "")[:200],
            agent=str(said.get("agent") or "")[:300],
            in_place=False,
            embedded=True,
        )
        made = await self._help_centre.page(store, asked)
        server = self.app.settings.public_url
        return {
            "status": made.status, "location": made.location, "kind": made.kind, "title": made.title,
            "description": made.description, "canonical": made.canonical, "index": made.index,
            "alternates": [list(pair) for pair in made.alternates], "language": made.language,
            "data": str(made.data),
            "body": f"{made.body}{self._help_centre.languages(made)}" if made.kind == "text/html" else str(made.body),
            "style": f"{server}{self.web.assets.url('help/help.css')}",
            "script": f"{server}{self.web.assets.url('help/help.js')}",
        }  # fmt: skip

    async def _fit(self, workspace_id: UUID, store_id: UUID, said: Said) -> Said:
        """Whether a product runs small or large, in words for its page; empty: nothing to say."""
        async with self.app.db.transaction(workspace_id) as tx:
            store = await self._store(tx, store_id)
        locale = str(said.get("locale") or "")[:20].replace("_", "-")
        return {"text": await self._shelf.words(store, str(said.get("product") or "")[:20], locale)}

    async def _goodbye(self, workspace_id: UUID, store_id: UUID, said: Said) -> Said:
        """The merchant disconnected the store in WordPress, or deleted the plugin."""
        async with self.app.db.transaction(workspace_id) as tx:
            store = await self._store(tx, store_id)
            if await stores.uninstalled(tx, store, max(datetime.now(UTC), store.installed_at)):
                await self.app.platforms[KIND].disconnected(tx, store.id)
        return {"goodbye": True}

    async def _store(self, tx: Tx, store_id: UUID) -> Store:
        store = await stores.get(tx, store_id)
        if store is None:
            raise NotFound(_("There is nothing here."))
        return store

    # The frame inside wp-admin

    async def frame(self, request: Request) -> Response:
        """The frame's first page, which only this store's own pages may frame: it asks them for a token."""
        origins = await self._origins(request.query_params.get("store", ""))
        place = request.query_params.get("to", "")
        return self._first(request, origins, place if _PLACE.match(place) else "")

    async def enter(self, request: Request) -> Response:
        """The panel itself, for the token that came in the body of this form: it never is in an address."""
        form = await request.form()
        token, place = str(form.get("token") or ""), str(form.get("to") or "")
        try:
            await self.app.platforms[KIND].admin_session(token)
        except StaleToken:
            origins = await self._origins(pairing.unverified_store(token) or "")
            return self._first(request, origins, "", refused=True)
        path = f"/{KIND}/{place}".rstrip("/") if _PLACE.match(place) else f"/{KIND}"
        return _Inside(path, token)

    async def _origins(self, public_key: str) -> Sequence[str]:
        """The origins of a store by its public key; none for a key that is not known."""
        found = await self.app.db.lookup("widget", public_key) if public_key else []
        if not found or found[0][1] is None:
            return ()
        async with self.app.db.transaction(found[0][0]) as tx:
            store = await stores.get(tx, found[0][1])
        if store is None or store.platform != KIND or store.status == stores.UNINSTALLED:
            return ()
        known = {*store.origins, *self.app.settings.demo.frame_ancestors}
        return sorted(origin for origin in known if _ORIGIN.match(origin))

    def _first(self, request: Request, origins: Sequence[str], place: str, *, refused: bool = False) -> Response:
        if not origins:
            framed_by(request, ())
            raise NotFound(
                _("There is nothing here."), _("Connect the shop again in WordPress, under Ahlan, Settings.")
            )
        t = self.web.translator(request)
        page = self.web.render("frame_woocommerce.html", t, origins=origins, enter=ENTER, to=place, refused=refused)
        policy = (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; base-uri 'none'; "
            f"form-action 'self'; frame-ancestors {' '.join(origins)}"
        )
        headers = {"cache-control": "no-store", "content-security-policy": policy, "vary": "Accept-Language"}
        return HTMLResponse(page, headers=headers)


class _Inside(Response):
    """The answer of another address of ours, asked with the token in its header as a fetch would."""

    def __init__(self, path: str, token: str) -> None:
        super().__init__()
        self._path = path
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        dropped = (b"authorization", b"content-type", b"content-length", b"cookie")
        headers = [(name, value) for name, value in scope["headers"] if name not in dropped]
        inner = {
            **{name: value for name, value in scope.items() if name not in ("endpoint", "path_params", "route")},
            "method": "GET",
            "path": self._path,
            "raw_path": self._path.encode(),
            "query_string": b"",
            "headers": [*headers, (b"authorization", b"Bearer " + self._token.encode("latin-1", "ignore"))],
        }

        async def nothing() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        await scope["router"](inner, nothing, send)


def routes(app: App, web: Web) -> list[BaseRoute]:
    """Every route that our plugin and its frame use."""
    site = Site(app, web)
    return [
        Route(f"{BASE}/frame", site.frame, methods=["GET"]),
        Route(ENTER, site.enter, methods=["POST"]),
        Route(f"{BASE}/{{store}}/{{verb}}", site.call, methods=["POST"]),
    ]


async def _customer(tx: Tx, store_id: UUID, said: Said) -> UUID | None:
    """The customer of an order: by account, else by the order itself, which a guest placed."""
    account, order = str(said.get("customer_id") or "")[:20], str(said.get("order_id") or "")[:20]
    found = await identities.customer_of_platform(tx, store_id, account) if account else None
    if found is not None or not order:
        return found
    statement = select(Order.customer_id).where(
        Order.workspace_id == tx.workspace_id, Order.store_id == store_id, Order.external_id == order
    )
    by_order: UUID | None = await tx.scalar(statement)
    return by_order


def _head(t: Translator, talk: Conversation) -> Said:
    if talk.status == RESOLVED:
        title = t.gettext("Resolved conversation")
    elif talk.waiting_since is not None:
        title = t.gettext("Waiting for your answer")
    else:
        title = t.gettext("Answered conversation")
    # Nobody in particular asks: unread is what no agent has seen.
    unread = max(0, talk.last_seq - talk.agent_read_seq)
    return {
        "title": title,
        "state": t.ngettext("%(num)s new message", "%(num)s new messages", unread) if unread else "",
        "at": talk.last_message_at.astimezone(UTC).isoformat(timespec="seconds"),
        "path": f"inbox/{talk.id}",
    }


def _readable(export: Mapping[str, Sequence[Mapping[str, Any]]]) -> Mapping[str, list[Mapping[str, Any]]]:
    """An export without what only we can read."""
    return {kind: [_told(row) for row in rows] for kind, rows in export.items() if rows}


def _told(row: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: value for name, value in row.items() if name not in _INNER and value not in _EMPTY}


def _not_signed() -> Unauthorized:
    return Unauthorized(_("This request is not signed as it must be."), code="not_signed")


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
