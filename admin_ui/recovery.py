"""The page behind an operator's link for a lone owner without phone and recovery codes (`ahlan owner recover`)."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from admin_ui.auth import MAX_PASSWORD, Accounts, limit_recovery, password_fits, placed
from plugin import team, workspaces
from plugin.kernel.errors import TooMany
from plugin.team import Agent, recovery
from plugin.workspaces import Workspace


class Recovery:
    """Asks for the password once more, then the second step is off."""

    def __init__(self, accounts: Accounts) -> None:
        self.accounts = accounts
        self.app = accounts.app

    def routes(self) -> list[Route]:
        """The one address, which needs no session."""
        return [Route(f"{recovery.PATH}/{{word}}", placed(self.page), methods=["GET", "POST"])]

    async def page(self, request: Request) -> Response:
        """Looking at it uses nothing up: mail programs look at links too."""
        word = request.path_params["word"]
        found = await self._found(word)
        if found is None:
            return self._shown(request, None, status=404)
        if request.method == "GET":
            return self._shown(request, found)
        t = self.accounts.web.translator(request)
        password = (await self.accounts.form(request)).get("password", "")[:MAX_PASSWORD]
        agent, _workspace = found
        try:
            await limit_recovery(self.app, agent.id)
        except TooMany as error:
            errors = {"form": t.gettext(error.message), "hint": t.gettext(error.hint) if error.hint else ""}
            return self._shown(request, found, status=429, errors=errors)
        if not await password_fits(agent.password_hash, password):
            async with self.app.db.transaction(agent.workspace_id) as tx:
                team.audit.note(tx, "sign_in.failed", by=None, subject=agent.id, changes={"step": [None, "password"]})
            errors = {"password": t.gettext("This is not your current password.")}
            return self._shown(request, found, status=422, errors=errors)
        async with self.app.db.transaction(agent.workspace_id) as tx:
            recovered = await recovery.recover(tx, self.app.vault, word)
        if recovered is None:
            return self._shown(request, None, status=404)
        return await self.accounts.let_in(request, agent.workspace_id, agent.id, "/panel/settings/security")

    async def _found(self, word: str) -> tuple[Agent, Workspace] | None:
        meant = recovery.meant(self.app.vault, word)
        if meant is None:
            return None
        async with self.app.db.transaction(meant[0]) as tx:
            agent = await recovery.recoverable(tx, self.app.vault, word)
            workspace = await workspaces.current(tx)
        return (agent, workspace) if agent is not None and workspace is not None else None

    def _shown(
        self,
        request: Request,
        found: tuple[Agent, Workspace] | None,
        *,
        status: int = 200,
        errors: dict[str, str] | None = None,
    ) -> Response:
        t = self.accounts.web.translator(request)
        agent, workspace = found or (None, None)
        return self.accounts.page(
            "recover.html", t, request, status=status, owner=agent, shop=workspace, errors=errors or {}
        )
