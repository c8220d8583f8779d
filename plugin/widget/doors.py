"""What the widget's first page leads to of a shopper's own orders: as much as the shop leaves to its customers."""

from collections.abc import Mapping

from plugin.app import App
from plugin.kernel.i18n import Translator
from plugin.kernel.lazy import Lazy, _
from plugin.returns import self_service
from plugin.returns.self_service import Door
from plugin.stores import Store

_TITLES: Mapping[bool, Lazy] = {True: _("Orders & returns"), False: _("Your orders")}
_HINTS: Mapping[frozenset[Door], Lazy] = {
    frozenset(Door): _("Where is my order, sending something back"),
    frozenset({Door.ORDERS, Door.RETURNS}): _("Where is my order, sending something back"),
    frozenset({Door.ORDERS, Door.CLAIMS}): _("Where is my order, something is wrong with it"),
    frozenset({Door.RETURNS, Door.CLAIMS}): _("Sending something back, something is wrong with it"),
    frozenset({Door.ORDERS}): _("Where is my order"),
    frozenset({Door.RETURNS}): _("Sending something back"),
    frozenset({Door.CLAIMS}): _("Something is wrong with an order"),
}


async def orders(app: App, store: Store, t: Translator) -> dict[str, str] | None:
    """The door to their orders: its title and what is behind it; None where the shop keeps all of it to itself."""
    async with app.db.transaction(store.workspace_id) as tx:
        found = (await self_service.rules_of(tx, store.id)).doors
    if not found:
        return None
    return {"label": t.gettext(_TITLES[Door.RETURNS in found]), "hint": t.gettext(_HINTS[found])}
