"""What a merchant sees of a store's health, and the buttons beside it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text

from plugin.app import App
from plugin.crm.backfill import Backfill
from plugin.health import alerts
from plugin.health.words import FINDINGS
from plugin.kernel import i18n
from plugin.kernel.jobs import JobRow
from plugin.stores import Store
from plugin.team import Agent
from tests.admin_ui.conftest import Browser, SignIn
from tests.admin_ui.shop import Shop, open_shop
from tests.admin_ui.test_work import deliver


@pytest.fixture
async def maya(shop: Shop, sign_in: SignIn) -> Browser:
    return await sign_in(shop.email)


async def find(app: App, store: Store, *findings: dict[str, Any]) -> None:
    """Let the last check have found this, and the store be looked at."""
    async with app.db.transaction(store.workspace_id) as tx:
        row = await tx.get(Store, store.id, lock=True)
        assert row is not None
        row.findings, row.checked_at = list(findings), datetime.now(UTC)
        await tx.flush()
        await alerts.look(tx, store.id, datetime.now(UTC), mail=False)


DISABLED = {"code": "webhooks_were_disabled", "ok": False, "detail": "7"}


async def test_a_store_that_is_well_says_so_and_asks_for_nothing(app: App, shop: Shop, maya: Browser) -> None:
    oud = shop.stores["oud"]
    await deliver(app, shop, oud, done=datetime.now(UTC))
    page = (await maya.get(f"/panel/stores/{oud.id}")).text
    assert "Everything is as it should be." in page
    assert 'class="notice' not in page
    assert "In the last 30 days nothing was missing." in page
    assert "Compared for the first time within a quarter of an hour" in page


@pytest.mark.parametrize("locale", ["en", "ar", "he"])
async def test_a_problem_is_one_sentence_and_one_button_in_the_readers_language(
    app: App, sign_in: SignIn, shop: Shop, locale: str
) -> None:
    async with app.db.transaction(shop.workspace_id) as tx:
        await tx.execute(text("UPDATE agents SET locale = :locale"), {"locale": locale})
    oud = shop.stores["oud"]
    await find(app, oud, DISABLED, {"code": "webhook_missing", "ok": False, "detail": ""})
    maya = await sign_in(shop.email)
    words = i18n.load().translator(locale)
    page = (await maya.get(f"/panel/stores/{oud.id}")).text
    for code in ("webhooks_were_disabled", "webhook_missing"):
        assert words.gettext(FINDINGS[code][0]) in page
    assert page.count(f"/panel/stores/{oud.id}/check") == 2, "beside the problem, and in its place"
    strip = (await maya.get("/panel/alerts")).text
    assert words.gettext(FINDINGS["webhook_missing"][0]) in strip, "what mended itself comes last"
    assert str(oud.id) in strip
    await find(app, oud)
    assert (await maya.get("/panel/alerts")).text.strip() == ""


async def test_the_strip_is_for_those_who_can_do_something(app: App, shop: Shop, sign_in: SignIn) -> None:
    await find(app, shop.stores["oud"], DISABLED)
    noa = await sign_in(shop.colleagues["noa"].email or "")
    assert (await noa.get("/panel/alerts")).text.strip() == ""
    page = (await noa.get(f"/panel/stores/{shop.stores['oud'].id}")).text
    assert "<form hx-post" not in page
    for path in ("check", "history", "read-on", "replay"):
        answer = await noa.post(f"/panel/stores/{shop.stores['oud'].id}/{path}")
        assert answer.status_code == 403, path
    assert (await noa.post("/panel/settings/alerts")).status_code == 403


async def test_reading_one_thing_again_twice_begins_once(app: App, shop: Shop, maya: Browser) -> None:
    oud = shop.stores["oud"]
    for _ in range(2):
        answer = await maya.post(f"/panel/stores/{oud.id}/history", data={"resource": "orders"})
        assert answer.status_code == 303
    assert (await maya.post(f"/panel/stores/{oud.id}/history", data={"resource": "secrets"})).status_code == 404
    async with app.db.transaction(shop.workspace_id) as tx:
        states = {
            row.resource: row.state for row in await tx.scalars(select(Backfill).where(Backfill.store_id == oud.id))
        }
        assert states == {"orders": "running", "customers": "done", "products": "done"}
        jobs = await tx.scalars(
            select(JobRow.unique_key).where(JobRow.unique_key == f"backfill:{oud.id}", JobRow.done_at.is_(None))
        )
        assert len(jobs.all()) == 1
    page = (await maya.get(f"/panel/stores/{oud.id}")).text
    assert "Being read" in page
    assert "<progress" in page


async def test_a_strangers_delivery_is_not_put_back(app: App, shop: Shop, maya: Browser, sign_in: SignIn) -> None:
    broken = await deliver(app, shop, shop.stores["oud"], parked=datetime.now(UTC), error="KeyError: 'id'")
    stranger = await sign_in((await open_shop(app)).email)
    for path in (f"/panel/stores/{shop.stores['oud'].id}", f"/panel/stores/{shop.stores['oud'].id}/replay"):
        answer = await (stranger.post(path, data={"delivery": str(broken)}) if "replay" in path else stranger.get(path))
        assert answer.status_code == 404, path
    for nonsense in ("x", "-1", "9" * 40, "١٢"):
        await maya.post(f"/panel/stores/{shop.stores['oud'].id}/replay", data={"delivery": nonsense})
        assert (await maya.get(f"/panel/stores/{shop.stores['oud'].id}?before={nonsense}")).status_code == 200
    assert "1 delivery could not be read" in (await maya.get(f"/panel/stores/{shop.stores['oud'].id}?parked=1")).text


async def test_a_page_that_shows_more_than_the_incidents_has_the_store_looked_at(
    app: App, shop: Shop, maya: Browser
) -> None:
    oud = shop.stores["oud"]
    await deliver(app, shop, oud, parked=datetime.now(UTC), error="KeyError: 'id'")
    await maya.get(f"/panel/stores/{oud.id}")
    async with app.db.transaction(shop.workspace_id) as tx:
        assert await tx.scalar(select(JobRow.task).where(JobRow.unique_key == f"watch:{oud.id}")) == "watch_store"


async def test_alerts_can_be_switched_off_and_on(app: App, shop: Shop, maya: Browser) -> None:
    async def on() -> bool:
        async with app.db.transaction(shop.workspace_id) as tx:
            agent = await tx.get(Agent, shop.owner.id)
            assert agent is not None
            return agent.alerts

    assert await on()
    await maya.post("/panel/settings/alerts")
    assert not await on()
    await maya.post("/panel/settings/alerts", data={"alerts": "1"})
    assert await on()


async def test_what_was_mended_and_what_went_wrong_are_told(app: App, shop: Shop, maya: Browser) -> None:
    oud = shop.stores["oud"]
    async with app.db.transaction(shop.workspace_id) as tx:
        data = {"resource": "orders", "count": 9, "missed": ["1042"]}
        await tx.record("store.gap", subject_id=oud.id, store_id=oud.id, data=data)
    await find(app, oud, DISABLED)
    async with app.db.transaction(shop.workspace_id) as tx:
        await tx.execute(text("UPDATE incidents SET opened_at = opened_at - interval '3 hours'"))
    await find(app, oud)
    page = (await maya.get(f"/panel/stores/{oud.id}")).text
    assert "9 orders" in page
    assert "\u2066#1042\u2069 and 8 more" in page
    assert "9 mended in 30 days" in page
    assert "lasted 3 hours" in page


async def test_older_deliveries_are_a_page_away(app: App, shop: Shop, maya: Browser) -> None:
    oud = shop.stores["oud"]
    ids = [await deliver(app, shop, oud, done=datetime.now(UTC) + timedelta(seconds=1)) for _ in range(30)]
    page = (await maya.get(f"/panel/stores/{oud.id}")).text
    assert f">{ids[-1]}<" in page
    assert f">{ids[0]}<" not in page
    older = page.split(f"/panel/stores/{oud.id}?before=")[1].split("#")[0]
    assert f">{ids[0]}<" in (await maya.get(f"/panel/stores/{oud.id}?before={older}")).text
