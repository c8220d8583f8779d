"""What the merchant may allow, and what only the store's own admin knows of its theme."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html import unescape
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select, text, update

from plugin.app import App
from plugin.stores import Store
from plugin.team import StaffIdentity
from tests.admin_ui.conftest import Browser, SignIn
from tests.admin_ui.shop import Admin, Shop


@pytest.fixture
async def maya(shop: Shop, sign_in: SignIn) -> Browser:
    return await sign_in(shop.email)


async def _standing(app: App, shop: Shop, name: str = "oud", **values: Any) -> None:
    async with app.db.transaction(shop.workspace_id) as tx:
        await tx.execute(update(Store).where(Store.id == shop.stores[name].id).values(**values))


async def _inside(app: App, admin: Admin, shop: Shop, name: str = "oud") -> dict[str, str]:
    """The admin of one of the shop's stores vouches for its owner."""
    admin.head["embed"] = "support"
    admin.workspace_id, admin.store_id = shop.workspace_id, shop.stores[name].id
    async with app.db.transaction(shop.workspace_id) as tx:
        key = {"workspace_id": shop.workspace_id, "store_id": admin.store_id, "external_id": "dana"}
        known = await tx.scalar(select(StaffIdentity.id).filter_by(**key))
        if known is None:
            tx.add(StaffIdentity(store_id=admin.store_id, external_id="dana", agent_id=shop.owner.id))
    return {"authorization": "Bearer good:dana:admin"}


HOME = "https://x.myshopify.com/admin/apps/1"
PERMISSIONS = [
    {"code": "history_limited", "ok": False, "detail": HOME, "ask": "read_all_orders"},
    {"code": "merges_unseen", "ok": True, "detail": "", "ask": "read_customer_merge"},
]


async def test_a_permission_is_asked_for_in_the_stores_own_admin_only(
    app: App, shop: Shop, maya: Browser, visitor: Browser, admin: Admin
) -> None:
    await _standing(app, shop, findings=PERMISSIONS)
    path = f"stores/{shop.stores['oud'].id}"
    inside = (await visitor.get(f"/shopify/{path}", headers=await _inside(app, admin, shop))).text
    assert re.findall(r'data-(ask|give-back)="(\w+)"', inside) == [
        ("ask", "read_all_orders"), ("give-back", "read_customer_merge"),
    ]  # fmt: skip
    alone = (await maya.get(f"/panel/{path}")).text
    elsewhere = (await visitor.get(f"/shopify/{path}", headers=await _inside(app, admin, shop, "kad"))).text
    for page in (alone, elsewhere):
        assert "data-ask" not in page
        assert "data-give-back" not in page
        assert f'href="{HOME}"' in page, "the way to where it can be asked"
    for page in (inside, alone, elsewhere):
        assert (page.count(">Not allowed<"), page.count(">Allowed<")) == (1, 1)
        assert "notice warn" not in page, "what may be allowed or not is nothing to mend"


async def test_an_agent_sees_permissions_and_cannot_ask(app: App, shop: Shop, visitor: Browser, admin: Admin) -> None:
    await _standing(app, shop, findings=PERMISSIONS)
    await _inside(app, admin, shop)
    page = await visitor.get(
        f"/shopify/stores/{shop.stores['oud'].id}", headers={"authorization": "Bearer good:sami:agent"}
    )
    assert ">Not allowed<" in page.text
    assert "data-ask" not in page.text
    assert "data-embed-report" not in page.text


async def test_what_the_admin_says_of_the_theme_is_kept_and_checked(
    app: App, shop: Shop, maya: Browser, visitor: Browser, admin: Admin
) -> None:
    headers, store = await _inside(app, admin, shop), shop.stores["oud"]
    told = f"/shopify/stores/{store.id}/embed"
    page = (await visitor.get("/shopify", headers=headers)).text
    assert f'data-embed-report="{told}" data-embed-told=""' in page
    assert 'data-embed-block="support"' in page
    for said, pill in (("no", "Chat is switched off"), ("yes", "Chat is on")):
        assert (await visitor.post(told, headers=headers, data={"active": said})).status_code == 204
        assert f'data-embed-told="{said}"' in (await visitor.get("/shopify", headers=headers)).text
        assert pill in (await maya.get(f"/panel/stores/{store.id}")).text
    async with app.db.transaction(shop.workspace_id) as tx:
        key = f"check-now:{store.id}"
        assert len(list(await tx.scalars(text("SELECT id FROM jobs WHERE unique_key = :key"), {"key": key}))) == 1


async def test_nobody_else_tells_of_a_stores_theme(
    app: App, shop: Shop, maya: Browser, visitor: Browser, admin: Admin
) -> None:
    store = shop.stores["oud"]
    answers = [
        await maya.post(f"/panel/stores/{store.id}/embed", data={"active": "yes"}),
        await visitor.post(
            f"/shopify/stores/{store.id}/embed", headers=await _inside(app, admin, shop, "kad"), data={"active": "yes"}
        ),
        await visitor.post(
            f"/shopify/stores/{uuid4()}/embed", headers=await _inside(app, admin, shop), data={"active": "yes"}
        ),
    ]
    assert [answer.status_code for answer in answers] == [404, 404, 404]
    agent = {"authorization": "Bearer good:sami:agent"}
    refused = await visitor.post(f"/shopify/stores/{store.id}/embed", headers=agent, data={"active": "yes"})
    assert refused.status_code == 403
    async with app.db.transaction(shop.workspace_id) as tx:
        assert (held := await tx.get(Store, store.id)) is not None
        assert held.embed_active is None


EDITOR = "https://x.myshopify.com/admin/themes/current/editor?context=apps&template=product&activateAppId=1/support"


@pytest.mark.parametrize(
    ("active", "seen", "words"),
    [(None, False, "this step ticks itself"), (False, True, "It is switched off in your theme")],
)
async def test_the_first_steps_lead_into_the_theme_editor(
    app: App, shop: Shop, visitor: Browser, admin: Admin, active: bool | None, seen: bool, words: str
) -> None:
    found = [{"code": "embed_unseen" if active is None else "embed", "ok": False, "detail": EDITOR}]
    await _standing(app, shop, embed_active=active, embed_seen_at=datetime.now(UTC) if seen else None, findings=found)
    page = (await visitor.get("/shopify", headers=await _inside(app, admin, shop))).text
    (step,) = [item for item in re.findall(r"<li .*?</li>", page, re.DOTALL) if "Show the chat" in item]
    assert words in step
    assert "is-done" not in step
    link = re.search(r'<a [^>]*href="([^"]+)"[^>]*target="_top"', step)
    assert link is not None
    assert unescape(link[1]) == EDITOR
    # Another store's theme is on, but this is not its admin.
    await _standing(app, shop, "kad", embed_active=True)
    assert "Show the chat" in (await visitor.get("/shopify", headers=await _inside(app, admin, shop))).text


@pytest.mark.parametrize(
    ("active", "seen", "words"),
    [(True, False, "Switched on in your theme."), (None, True, "Last seen on the storefront"),
     (True, True, "Last seen on the storefront")],
)  # fmt: skip
async def test_the_step_is_done_when_the_theme_or_a_storefront_says_so(
    app: App, shop: Shop, visitor: Browser, admin: Admin, active: bool | None, seen: bool, words: str
) -> None:
    await _standing(app, shop, embed_active=active, embed_seen_at=datetime.now(UTC) if seen else None, findings=[])
    headers = await _inside(app, admin, shop)
    assert "Show the chat" not in (await visitor.get("/shopify", headers=headers)).text
    assert words in (await visitor.get(f"/shopify/stores/{shop.stores['oud'].id}", headers=headers)).text


async def test_a_finding_that_is_no_address_becomes_no_link(
    app: App, shop: Shop, visitor: Browser, admin: Admin
) -> None:
    bad = "javascript:alert(1)"
    found = [{"code": "embed", "ok": False, "detail": bad}, {**PERMISSIONS[0], "detail": bad}]
    await _standing(app, shop, embed_active=False, findings=found)
    headers = await _inside(app, admin, shop, "kad")
    for path in ("", f"/stores/{shop.stores['oud'].id}"):
        assert f'href="{bad}' not in (await visitor.get(f"/shopify{path}", headers=headers)).text
