"""Two stores, one workspace: the code, the page that asks, the move under way; and the way out again.

The pages of joining stand alone in a window of their own: both sides must meet in one browser, and a frame inside a
store's admin has no cookie to know it by. The one who made the code is known by a cookie of this browser, the store's
administrator by a sealed word that only their store's own admin is given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from admin_ui.auth import Accounts, public_page
from admin_ui.desk import Desk, nothing_here, session_cookie
from plugin import joining, stores, team
from plugin.app import App
from plugin.joining import JoinError, StoreMove
from plugin.kernel.db import Tx
from plugin.kernel.errors import AhlanError
from plugin.kernel.i18n import Translator
from plugin.kernel.web import Web, own_origin
from plugin.team import Agent

PAGE: Final = "/panel/join"
COOKIE: Final = "ahlan-join"
_COOKIE_SECONDS: Final = 3600
_PLATFORMS: Final = {"shopify": "Shopify", "woocommerce": "WooCommerce"}
# What a browser's cookie holds: the secret of a code that was made here, then the move that it led to.
_MADE: Final = "join code made here"
_UNDER_WAY: Final = "join under way here"
_ASKED: Final = "join asked"
_ASKED_SECONDS: Final = 900


@dataclass(frozen=True, slots=True)
class Way:
    """How far a move is, as people read it."""

    state: str
    store: str
    parting: bool
    done: int
    total: int
    message: str
    hint: str

    @property
    def over(self) -> bool:
        """Whether there is nothing to wait for."""
        return self.state in (joining.DONE, joining.FAILED, joining.WITHDRAWN)


def way(t: Translator, row: StoreMove) -> Way:
    """A move's row in words. Pure."""
    message, hint = joining.words_of(row.reason or "failed")
    failed = row.state == joining.FAILED
    return Way(
        state=row.state,
        store=row.store_name,
        parting=row.parting,
        done=row.done_rows,
        total=row.total_rows,
        message=t.gettext(message) if failed else "",
        hint=t.gettext(hint) if failed else "",
    )


class Joining:
    """The pages in a window of their own."""

    def __init__(self, app: App, web: Web) -> None:
        self.app = app
        self.web = web

    def routes(self) -> list[Route]:
        """Their addresses; each proves for itself who is there."""
        return [
            Route(PAGE, self.under_way, methods=["GET"]),
            Route(PAGE, self.make, methods=["POST"]),
            Route(f"{PAGE}/code", self.ask, methods=["POST"]),
            Route(f"{PAGE}/confirm", self.confirm, methods=["POST"]),
        ]

    async def make(self, request: Request) -> Response:
        """An owner makes a code; it is shown now and never again, and this browser is remembered."""
        own_origin(request, self.app.settings.public_url)
        word = str((await request.form()).get("hand_over") or "")
        browser = joining.new_browser()
        who = team.handed_over(self.app.vault, word)
        held = session_cookie(self.app, request)
        try:
            if who is None and (held is None or word):
                raise JoinError("not_owner")
            workspace_id = who[0] if who is not None else held[0] if held is not None else None
            assert workspace_id is not None
            async with self.app.db.transaction(workspace_id) as tx:
                agent = await self._agent(tx, who, held)
                code = await joining.make_code(tx, self.app.vault, agent, browser)
        except AhlanError as error:
            return self._page(request, error=error)
        answer = self._page(request, code=code, minutes=joining.CODE_MINUTES)
        return self._remember(answer, _MADE, {"b": browser})

    async def _agent(self, tx: Tx, who: tuple[UUID, UUID] | None, held: tuple[UUID, str] | None) -> Agent:
        if who is not None:
            agent = await tx.get(Agent, who[1])
        else:
            found = await team.session_agent(tx, held[1]) if held is not None else None
            agent = found[1] if found is not None else None
            if found is not None:
                await team.second_factor.demand_factor(tx, found[1], found[0])
        if agent is None:
            raise JoinError("not_owner")
        return agent

    async def ask(self, request: Request) -> Response:
        """The store's administrator typed a code: what it would do, for them to confirm."""
        own_origin(request, self.app.settings.public_url)
        form = await request.form()
        word = str(form.get("side") or "")
        try:
            side = joining.read_side(self.app.vault, word)
            await joining.count_try(self.app, side)
            hashed = joining.fingerprint(self.app.vault, str(form.get("code") or ""))
            offer = await joining.look(self.app, side, hashed, self._browser(request))
        except AhlanError as error:
            return self._page(request, error=error)
        # The code itself goes no further: what is confirmed is exactly what was shown.
        asked = self.app.vault.sign(_ASKED, {"c": hashed, "m": offer.move_id.hex}, _ASKED_SECONDS)
        return self._page(
            request, offer=offer, side=word, asked=asked, platform=_PLATFORMS.get(offer.platform, offer.platform)
        )

    async def confirm(self, request: Request) -> Response:
        """They confirm: the move begins, and the page follows it."""
        own_origin(request, self.app.settings.public_url)
        form = await request.form()
        try:
            side = joining.read_side(self.app.vault, str(form.get("side") or ""))
            asked = self.app.vault.verify(_ASKED, str(form.get("asked") or ""))
            if asked is None or form.get("sure") != "yes":
                raise JoinError("stale_side")
            workspace_id, move_id = await joining.agree(self.app, side, asked["c"], self._browser(request))
        except AhlanError as error:
            return self._page(request, error=error)
        answer = RedirectResponse(PAGE, 303, {"cache-control": "no-store"})
        return self._remember(answer, _UNDER_WAY, {"w": workspace_id.hex, "m": move_id.hex})

    async def under_way(self, request: Request) -> Response:
        """How far the move is that was confirmed in this browser."""
        held = self.app.vault.verify(_UNDER_WAY, self._cookie(request))
        if held is None:
            return self._page(request)
        async with self.app.db.transaction(UUID(hex=held["w"])) as tx:
            row = await joining.standing(tx, UUID(hex=held["m"]))
        return self._page(request, way=way(self.web.translator(request), row) if row is not None else None)

    def _browser(self, request: Request) -> str:
        """The secret of this browser, if a code was made in it."""
        held = self.app.vault.verify(_MADE, self._cookie(request))
        return str(held["b"]) if held is not None else ""

    def _cookie(self, request: Request) -> str:
        return request.cookies.get(self._cookie_name, "")

    @property
    def _cookie_name(self) -> str:
        return f"__Host-{COOKIE}" if self.app.settings.secure else COOKIE

    def _remember(self, answer: Response, purpose: str, what: dict[str, str]) -> Response:
        """Only our own pages post here, so nobody is lent somebody else's browser by a link."""
        answer.set_cookie(
            self._cookie_name, self.app.vault.sign(purpose, what, _COOKIE_SECONDS), max_age=_COOKIE_SECONDS, path="/",
            secure=self.app.settings.secure, httponly=True, samesite="lax",
        )  # fmt: skip
        return answer

    def _page(self, request: Request, *, error: AhlanError | None = None, **context: Any) -> Response:
        t = self.web.translator(request)
        errors = {}
        if error is not None:
            errors = {"form": t.gettext(error.message), "hint": t.gettext(error.hint) if error.hint else ""}
        shown: dict[str, Any] = {"code": "", "offer": None, "way": None, **context}
        status = error.status if error else 200
        return public_page(self.app, self.web, "join.html", t, request, status=status, errors=errors, **shown)


# Inside the panel


async def parting(desk: Desk, *, problem: str = "") -> Response:
    """What would leave with a store, and who would stay; leaving needs its name typed."""
    async with desk.transaction() as tx:
        store = await stores.get(tx, desk.path_id())
        if store is None:
            raise nothing_here()
        inside = await joining.contents(tx, store.id)
        others = [one.name for one in await stores.all_stores(tx) if one.id != store.id]
    return desk.page(
        "part.html",
        status=422 if problem else 200,
        store=store,
        inside=inside,
        others=others,
        problem=problem,
        heading=desk.t.gettext("A workspace of its own"),
    )


async def part(desk: Desk) -> Response:
    """The name was typed: the store leaves."""
    typed = str((await desk.request.form()).get("name") or "")
    async with desk.transaction() as tx:
        store = await stores.get(tx, desk.path_id())
    if store is None:
        raise nothing_here()
    if " ".join(typed.split()).casefold() != " ".join(store.name.split()).casefold():
        return await parting(desk, problem=desk.t.gettext("Type the store's name exactly as it is shown."))
    move_id = await joining.part(desk.app, desk.workspace_id, store.id, by=desk.agent.id)
    return desk.go(f"stores/moves/{move_id}")


async def moving(desk: Desk) -> Response:
    """How far a move is."""
    async with desk.transaction() as tx:
        row = await joining.standing(tx, desk.path_id())
    if row is None:
        raise nothing_here()
    mine = row.side == joining.LEAVES and row.parting and row.agent_id == desk.agent.id and desk.session_id is not None
    return desk.page(
        "moving.html",
        way=way(desk.t, row),
        move_id=row.id,
        may_enter=mine and row.state == joining.DONE,
        heading=row.store_name,
    )


async def enter(desk: Desk) -> Response:
    """Into the workspace that a store left for: for the owner who decided it, signed in with a password.

    The session here stands for that password alone: one that was changed is asked for, as is a second step that was set
    up there.
    """
    async with desk.transaction() as tx:
        row = await joining.standing(tx, desk.path_id())
    if (row is None or row.other is None or row.side != joining.LEAVES or row.state != joining.DONE
            or not row.parting or row.agent_id != desk.agent.id or desk.session_id is None):  # fmt: skip
        raise nothing_here()
    async with desk.app.db.transaction(row.other) as tx:
        agent = await tx.get(Agent, desk.agent.id)
        if agent is None or agent.deactivated_at is not None or not agent.password_hash:
            raise nothing_here()
    accounts = Accounts(desk.app, desk.web)
    if agent.password_hash != desk.agent.password_hash:
        values = {"email": agent.email or ""}
        return accounts.page("sign_in.html", desk.t, desk.request, onward="", errors={}, values=values)
    return await accounts.proven(desk.request, [(row.other, agent.id)], "")
