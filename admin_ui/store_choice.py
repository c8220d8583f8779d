"""Settings that each store has for itself: which store it is, and the page to choose one from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.responses import Response

from admin_ui.desk import Desk, nothing_here
from plugin import stores
from plugin.kernel.db import Tx
from plugin.kernel.lazy import Lazy, _
from plugin.stores import Store


@dataclass(frozen=True, slots=True)
class Setting:
    """What is chosen a store for. `path` leads to it with the store's id behind; `empty`: why a store is needed first.

    `further` are other settings beside it: path and name.
    """

    path: str
    heading: Lazy
    about: Lazy
    empty: Lazy
    icon: str
    further: Sequence[tuple[str, Lazy]] = ()


async def connected(tx: Tx) -> list[Store]:
    """The stores that are connected."""
    return [one for one in await stores.all_stores(tx) if one.status == stores.CONNECTED]


async def of_path(tx: Tx, desk: Desk, name: str = "id", *, connected: bool = True) -> Store:
    """The store that the path names; with `connected` false also one whose connection waits to be mended.

    Raises NotFound (404) where there is none, and for one that was uninstalled.
    """
    store = await stores.get(tx, desk.path_id(name))
    if store is None or store.status == stores.UNINSTALLED or (connected and store.status != stores.CONNECTED):
        raise nothing_here()
    return store


async def choose(desk: Desk, setting: Setting) -> Response:
    """The setting of the only store, or the stores to choose from."""
    async with desk.transaction() as tx:
        shops = await connected(tx)
    if len(shops) == 1:
        return desk.go(f"{setting.path}/{shops[0].id}")
    links = [*setting.further, (setting.path, _("Change"))]
    heading = desk.t.gettext(setting.heading)
    return desk.page("store_choice.html", heading=heading, setting=setting, shops=shops, links=links)
