"""The withdrawal function in the widget and on the shop's pages: without signing in, in two steps.

Whoever declares gets the same answer whether there is such an order or not: it is looked for by a job.
"""

from __future__ import annotations

from datetime import UTC
from typing import Any
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from plugin import stores
from plugin.app import App
from plugin.conversations import mailboxes
from plugin.kernel.errors import AhlanError, NotFound
from plugin.kernel.i18n import Translator
from plugin.kernel.lazy import Lazy, _
from plugin.kernel.web import Web
from plugin.returns import withdrawal_rules, withdrawal_words, withdrawals
from plugin.stores import Store
from plugin.widget import session
from plugin.widget.limits import Limit, Limits, address_of
from plugin.widget.remember import Remembered
from plugin.widget.wire import body, held, json
from plugin.widget.withdrawal_strings import strings

_WORDS_SECONDS = 600
_SHOWN_SECONDS = 300
_NOWHERE = ("XX", "T1")
"""What proxies say of an address that they cannot place."""

DECLARING = Limit("withdrawal", 3600, visitor=6, address=60)
RECEIPTS = Limit("withdrawal to", 86_400, visitor=10)
"""Receipts that one address gets in a day, whoever asks: nobody's mailbox is flooded in the name of a shop."""


class Declared(msgspec.Struct):
    """A statement as it was confirmed. `language` is the page's own."""

    client_id: UUID
    name: str
    contract: str
    email: str
    goods: str = ""
    language: str = ""


def routes(app: App, web: Web, limits: Limits) -> list[BaseRoute]:
    """Everything below `/widget/withdrawal`."""
    edges = Withdrawals(app, web, limits)
    return [
        Route("/widget/withdrawal/words", edges.words),
        Route("/widget/withdrawal", edges.declare, methods=["POST"]),
    ]


class Withdrawals:
    """The endpoints."""

    def __init__(self, app: App, web: Web, limits: Limits) -> None:
        self.app = app
        self.web = web
        self.limits = limits

    async def words(self, request: Request) -> Response:
        """What these screens say, in the language of the page: one of the Union's, or ours."""
        words = self._words(request, request.query_params.get("locale", ""))
        answer = json({**strings(words.gettext), "w.language": words.locale, "w.direction": words.direction})
        answer.headers["cache-control"] = f"public, max-age={_WORDS_SECONDS}"
        return answer

    def _words(self, request: Request, language: str) -> Translator:
        negotiated = self.web.translator(request)
        return withdrawal_words.translator(self.app.catalogues, language or negotiated.locale)

    async def declare(self, request: Request) -> Response:
        """Take a statement down. Also while the function is not shown: whoever declares has declared."""
        passed = held(self.app.vault, request)
        declared = await body(request, Declared)
        try:
            return await self._declare(request, passed, declared)
        except AhlanError as error:
            # What is missing or too much is said in the language of the page, which may be none of the house's.
            words = self._words(request, declared.language[:20])
            error.message = Lazy(words.gettext(error.message))
            error.hint = Lazy(words.gettext(error.hint)) if error.hint is not None else None
            raise

    async def _declare(self, request: Request, passed: session.Pass, declared: Declared) -> Response:
        said = withdrawals.read(declared.name, declared.contract, declared.email, declared.goods)
        await self.limits.spend(DECLARING, visitor=str(passed.visitor_id), address=address_of(request))
        # What is counted about somebody's address lies in Valkey as a keyed hash.
        receipts = self.app.vault.fingerprint("withdrawal to", f"{passed.store_id} {said.email}")[:32]
        await self.limits.spend(RECEIPTS, visitor=receipts)
        async with self.app.db.transaction(passed.workspace_id) as tx:
            await session.visitor_of(tx, passed)
            await stores.standing_still(tx, passed.store_id)
            store = await stores.get(tx, passed.store_id)
            if store is None or store.status == stores.UNINSTALLED:
                raise NotFound(_("The chat of this shop is not available."))
            made = await withdrawals.declare(
                tx, store, passed.visitor_id, declared.client_id, said,
                language=declared.language[:20] or passed.locale or store.locale, catalogues=self.app.catalogues,
            )  # fmt: skip
            mailed = await mailboxes.can_send(self.app, tx, store.id)
        return json(
            {
                "reference": made.reference,
                "at": made.submitted_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
                "email": made.email,
                "receipt": made.receipt,
                "mailed": mailed,
            }
        )


class Doors:
    """Whether the way to the function is shown in the panel, and what it says there."""

    def __init__(self, app: App) -> None:
        self.app = app
        self._sells: Remembered[UUID, bool] = Remembered(_SHOWN_SECONDS)

    async def door(self, store: Store, words: Translator, language: str, country: str) -> dict[str, Any] | None:
        """What stands on it on a page in `language`; None where nobody in `country` (empty: unknown) is shown it."""
        sells = self._sells.get(store.id)
        if sells is None:
            async with self.app.db.transaction(store.workspace_id) as tx:
                sells = self._sells.put(store.id, await withdrawals.sells(tx, store))
        if not withdrawals.rules(store).shown_to("" if country in _NOWHERE else country, sells=sells):
            return None
        own = withdrawal_words.translator(self.app.catalogues, language or words.locale)
        return {**labels(language), "hint": own.gettext("Within 14 days, without a reason")}


def labels(language: str) -> dict[str, Any]:
    """What the two buttons say on a page in `language`."""
    opens, confirms = withdrawal_rules.label(language)
    return {"label": opens, "confirm": confirms, "language": language[:20]}
