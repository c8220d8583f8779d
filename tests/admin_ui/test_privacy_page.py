"""Privacy requests in the panel: who sees them, by when, the copy for the shopper, and that ours goes."""

from __future__ import annotations

import io
import json
import re
import zipfile
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import select

from admin_ui.pages.privacy import KEPT
from plugin import privacy, stores
from plugin.app import App
from plugin.kernel import jobs
from plugin.kernel.jobs import JobRow
from plugin.privacy import AccessLog, PrivacyRequest
from plugin.reactions import TASKS
from plugin.team import Agent, Role
from tests.admin_ui.conftest import Browser, SignIn
from tests.admin_ui.shop import Shop

EMAIL = "huda@mail.example"


async def ask(app: App, shop: Shop, kind: str, *, days_ago: int = 0, email: str = EMAIL) -> UUID:
    """A platform's notice about somebody, and the job that answers it where it is a data request."""
    at = datetime.now(UTC) - timedelta(days=days_ago)
    async with app.db.transaction(shop.workspace_id) as tx:
        store = await stores.get(tx, shop.stores["oud"].id)
        assert store is not None
        notice = {"customer_external_id": "1", "email": email, "request_id": "9"}
        assert await privacy.receive(tx, store, kind, notice, at)
        row = (await tx.scalars(select(PrivacyRequest).where(PrivacyRequest.kind == kind))).one()
        job = await tx.scalar(select(JobRow.id).where(JobRow.task == "data_request", JobRow.done_at.is_(None)))
    if job is not None:
        await jobs.run(app.db, app, TASKS, shop.workspace_id, job)
    return row.id


async def test_open_requests_are_listed_with_their_deadlines_the_most_urgent_first(
    app: App, shop: Shop, sign_in: SignIn
) -> None:
    await ask(app, shop, privacy.CUSTOMER_REDACT, email="gone@example.com")
    await ask(app, shop, privacy.DATA_REQUEST, days_ago=40)
    browser = await sign_in(shop.email)
    assert "2 requests are open" in (await browser.get("/panel/settings")).text
    text = (await browser.get("/panel/settings/privacy")).text
    assert text.index("A shopper wants a copy of their data") < text.index("A shopper is to be forgotten")
    assert "Overdue since" in text
    assert text.count("Due by") == 1
    assert "In work, nothing to do for you" in text
    assert text.count("Download the copy") == 1, "only what is collected can be handed over"


async def test_the_copy_is_downloaded_logged_handed_over_and_then_gone(
    app: App, shop: Shop, sign_in: SignIn, visitor: Browser
) -> None:
    id = await ask(app, shop, privacy.DATA_REQUEST)
    browser = await sign_in(shop.email)
    page = await browser.get("/panel/settings/privacy")
    asked = re.search(r'data-file="([^"]+/export)"', page.text)
    assert asked is not None
    link = (await browser.get(asked[1])).json()["url"]
    # The link itself carries the right: an embedded panel has no cookie to send with a download.
    file = await visitor.get(link)
    assert file.headers["content-type"] == "application/zip"
    assert file.headers["content-disposition"].startswith("attachment;")
    assert file.headers["cache-control"] == "no-store"
    packed = zipfile.ZipFile(io.BytesIO(file.content))
    assert packed.testzip() is None
    export = json.loads(packed.read("data.json"))
    assert {"profiles", "orders", "messages", "handles"} <= export.keys()
    assert any(EMAIL in str(row) for row in export["profiles"])
    async with app.db.transaction(shop.workspace_id) as tx:
        seen = list(await tx.scalars(select(AccessLog).where(AccessLog.what == "export")))
    page = packed.read("data.html").decode()
    assert '<html lang="ar" dir="rtl">' in page, "in the customer's language"
    assert EMAIL in page
    assert "<script" not in page
    (person,) = {row["customer_id"] for row in export["profiles"]}
    assert {(row.agent_id, row.customer_id) for row in seen} == {(shop.owner.id, UUID(person))}
    await browser.post(f"/panel/settings/privacy/{id}/handed-over")
    async with app.db.transaction(shop.workspace_id) as tx:
        row = await tx.get(PrivacyRequest, id)
    assert row is not None
    assert row.state == privacy.DONE
    assert "export" not in row.result
    assert EMAIL not in f"{row.subject}{row.result}{row.fingerprint}", "the evidence names nobody"
    assert (await visitor.get(link)).status_code == 404
    assert (await browser.get(asked[1])).status_code == 404
    text = (await browser.get("/panel/settings/privacy")).text
    assert "Settled lately" in text
    assert EMAIL not in text


async def test_only_owners_and_admins_see_them(app: App, shop: Shop, sign_in: SignIn) -> None:
    id = await ask(app, shop, privacy.DATA_REQUEST)
    for name, agent in shop.colleagues.items():
        browser = await sign_in(agent.email or "")
        allowed = agent.role in ("owner", "admin")
        assert ('id="privacy"' in (await browser.get("/panel/settings")).text) is allowed, name
        for path in ("", "/access", f"/{id}/export"):
            answer = await browser.get(f"/panel/settings/privacy{path}")
            assert answer.status_code == (200 if allowed else 403), (name, path)


@pytest.mark.parametrize("link", ["nothing", "bm90aGluZw.bm90aGluZw"])
async def test_a_link_that_we_did_not_make_gives_nothing_out(visitor: Browser, link: str) -> None:
    assert (await visitor.get(f"/exports/{link}")).status_code == 404


async def test_a_link_is_worth_nothing_once_its_maker_may_not(
    app: App, shop: Shop, sign_in: SignIn, visitor: Browser
) -> None:
    id = await ask(app, shop, privacy.DATA_REQUEST)
    admin = next(agent for agent in shop.colleagues.values() if agent.role == Role.ADMIN)
    browser = await sign_in(admin.email or "")
    link = (await browser.get(f"/panel/settings/privacy/{id}/export")).json()["url"]
    assert (await visitor.get(link)).status_code == 200
    async with app.db.transaction(shop.workspace_id) as tx:
        agent = await tx.get(Agent, admin.id)
        assert agent is not None
        agent.role = Role.AGENT
    assert (await visitor.get(link)).status_code == 404


@pytest.mark.parametrize("days", ["9" * 5000, "²", "-1", "8", str(2**63), "soon"], ids=lambda days: days[:20])
async def test_a_time_that_nobody_can_choose_is_refused(shop: Shop, sign_in: SignIn, days: str) -> None:
    browser = await sign_in(shop.email)
    chosen = r'<option value="(\d+)" selected'
    before = re.findall(chosen, (await browser.get("/panel/settings/privacy")).text)
    assert len(before) == len(KEPT)
    refused = await browser.post("/panel/settings/privacy/keeping", data={"carts": days})
    assert refused.status_code == 400
    assert "This cannot be chosen." in refused.text
    shown = await browser.get("/panel/settings/privacy/keeping", params={"kind": "carts", "carts": days})
    assert shown.status_code == (200 if days == "8" else 404), "what eight days would delete can be said all the same"
    assert re.findall(chosen, (await browser.get("/panel/settings/privacy")).text) == before
