"""The short address `/returns` of a storefront: a URL redirect to the page of orders and returns in our app proxy.

https://shopify.dev/docs/api/admin-graphql/2026-10/mutations/urlRedirectCreate: one redirect per path. What somebody
else made at that path stays theirs: we neither change nor remove it, and only what leads to our page counts as ours.
"""

from typing import Any, Final

from integrations.shopify.client import AdminClient, UserErrors
from integrations.shopify.install import DEFAULT_PROXY_PATH
from integrations.shopify.redirect_queries import NAVIGATION
from plugin.kernel.db import Database
from plugin.platform import Connection, PlatformError, ShortAddress
from plugin.returns import pages
from plugin.stores import get as get_store

PATH: Final = "/returns"


class RedirectDesk:
    """`ShortAddresses` of the port, as Shopify has it."""

    client: AdminClient
    _db: Database

    async def short_address(self, connection: Connection) -> ShortAddress:
        """How `/returns` stands: ours, somebody else's, or free."""
        target, scopes = await self._known(connection)
        if NAVIGATION not in scopes:
            return ShortAddress(PATH, target, ask=NAVIGATION)
        held = await self._held(connection)
        ours = held is not None and held["target"] == target
        return ShortAddress(PATH, target, ours=ours, other=held["target"] if held is not None and not ours else "")

    async def give_short_address(self, connection: Connection, *, on: bool) -> ShortAddress:
        """Make it, or take ours away. Done twice it is done once; another's stays. `said`: Shopify's refusal."""
        before = await self.short_address(connection)
        if before.ask or before.other or before.ours == on:
            return before
        try:
            if on:
                await self.client.run(
                    connection, "RedirectCreate", {"redirect": {"path": PATH, "target": before.target}}
                )
            else:
                held = await self._held(connection)
                if held is not None:
                    await self.client.run(connection, "RedirectDelete", {"id": held["id"]})
        except UserErrors as error:
            after = await self.short_address(connection)
            return ShortAddress(PATH, after.target, ours=after.ours, other=after.other, said=error.said)
        return await self.short_address(connection)

    async def _held(self, connection: Connection) -> dict[str, Any] | None:
        answer = await self.client.run(connection, "RedirectFind", {"query": f"path:{PATH}"}, foreground=True)
        try:
            # The search also finds what only begins so.
            return next((one for one in answer["urlRedirects"]["nodes"] if one["path"].rstrip("/") == PATH), None)
        except (KeyError, TypeError) as error:
            raise PlatformError("Shopify's answer about redirects is incomplete", retry=True, code="garbage") from error

    async def _known(self, connection: Connection) -> tuple[str, list[str]]:
        async with self._db.transaction(connection.workspace_id) as tx:
            store = await get_store(tx, connection.store_id)
        path = str(store.widget.get(pages.RETURNS_PATH) or "") if store is not None else ""
        return path or f"{DEFAULT_PROXY_PATH}/returns", list(store.scopes) if store is not None else []
