"""Settings of one store: the only store's at once, else a choice; never those of a store that is gone."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from plugin import stores
from plugin.app import App
from tests.admin_ui.conftest import SignIn
from tests.admin_ui.shop import Shop

SETTINGS = ("returns", "self-service", "withdrawal")


@pytest.mark.parametrize("setting", SETTINGS)
async def test_stores_are_chosen_from_and_the_only_one_is_chosen_already(
    app: App, shop: Shop, sign_in: SignIn, setting: str
) -> None:
    maya = await sign_in(shop.email)
    page = await maya.get(f"/panel/settings/{setting}")
    oud, kad = shop.stores["oud"], shop.stores["kad"]
    for store in (oud, kad):
        assert f"/panel/settings/{setting}/{store.id}" in page.text
        assert store.name in page.text.replace("&amp;", "&")
    async with app.db.transaction(shop.workspace_id) as tx:
        gone = await tx.get(stores.Store, kad.id, lock=True)
        assert gone is not None
        assert await stores.uninstalled(tx, gone, datetime.now(UTC))
    only = await maya.get(f"/panel/settings/{setting}")
    assert (only.status_code, only.headers["location"]) == (303, f"/panel/settings/{setting}/{oud.id}")


@pytest.mark.parametrize("setting", SETTINGS)
async def test_without_a_store_it_says_what_comes_first(empty_shop: Shop, sign_in: SignIn, setting: str) -> None:
    maya = await sign_in(empty_shop.email)
    assert "Connect a store first" in (await maya.get(f"/panel/settings/{setting}")).text


@pytest.mark.parametrize("setting", ["self-service", "withdrawal", "shipping", "mail"])
async def test_a_store_that_is_gone_has_no_settings(app: App, shop: Shop, sign_in: SignIn, setting: str) -> None:
    maya = await sign_in(shop.email)
    oud = shop.stores["oud"]
    address = f"/panel/settings/{setting}/{oud.id}"
    assert (await maya.get(address)).status_code == 200
    async with app.db.transaction(shop.workspace_id) as tx:
        gone = await tx.get(stores.Store, oud.id, lock=True)
        assert gone is not None
        assert await stores.uninstalled(tx, gone, datetime.now(UTC))
    assert (await maya.get(address)).status_code == 404
