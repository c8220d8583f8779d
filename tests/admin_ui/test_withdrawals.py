"""Withdrawals in the panel: the list, one of them worked on, the rules of a store, and the evidence as files."""

from __future__ import annotations

import csv
import io
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import update

from plugin.app import App
from plugin.crm.orders import Order
from plugin.kernel import jobs
from plugin.reactions import TASKS
from plugin.returns import records, withdrawals
from plugin.returns.withdrawal_rules import EU, Ground, When
from plugin.returns.withdrawals import Stage, WithdrawalCase
from plugin.stores import Store
from tests.admin_ui.conftest import Browser, SignIn
from tests.admin_ui.shop import Admin, Shop
from tests.returns.desk import MUG, SHIRT, open_shop
from tests.returns.desk import Shop as Till

HX = {"hx-request": "true", "hx-request-type": "partial"}


@pytest.fixture
async def maya(shop: Shop, sign_in: SignIn) -> Browser:
    return await sign_in(shop.email)


@pytest.fixture
async def till(app: App, shop: Shop, admin: Admin) -> Till:
    """An order of the panel's shop that went to nobody knows where and came there yesterday."""
    store = next(iter(shop.stores.values()))
    till = await open_shop(app, shop.workspace_id, store, shop.owner, name="7001")
    for name in ("returnable", "quote_return", "act_return", "settle_return", "read_order"):
        setattr(admin, name, getattr(till.desk, name))
    return till


async def declare(till: Till, **said: str) -> UUID:
    """Somebody declares, and what follows by itself has been done."""
    words = {"name": "Layla H", "contract": "7001", "email": "layla@x.example", **said}
    async with till.app.db.transaction(till.workspace) as tx:
        store = await tx.get(Store, till.store.id)
        assert store is not None
        made = await withdrawals.declare(
            tx, store, uuid4(), uuid4(), withdrawals.read(**words), language="en", catalogues=till.app.catalogues
        )
    for _round in range(5):
        for id in await till._due(("sort_withdrawal", "send_withdrawal_receipt")):
            await jobs.run(till.app.db, till.app, TASKS, till.workspace, id)
    return made.id


async def case_of(till: Till, id: UUID) -> WithdrawalCase:
    async with till.app.db.transaction(till.workspace) as tx:
        found = await tx.get(WithdrawalCase, id)
    assert found is not None
    return found


async def act(browser: Browser, id: UUID, how: str, stage: str = "open", **form: str) -> Any:
    return await browser.post(f"/panel/withdrawals/{id}/{how}", data={"stage": stage, **form}, headers=HX)


async def test_the_list_shows_what_waits_and_by_when_it_has_to_be_paid(till: Till, maya: Browser) -> None:
    id = await declare(till, contract="the mug", email="work@x.example")
    case = await case_of(till, id)
    page = (await maya.get("/panel/withdrawals")).text
    assert "Layla H" in page
    assert "Needs a look" in page
    assert "Pay back by" in page
    assert "Receipt not sent" in page, "this shop has no mail: somebody should know"
    async with till.app.db.transaction(till.workspace) as tx:
        statement, _case = await withdrawals.held(tx, id)
    for query in ({"q": statement.reference}, {"q": "layla"}, {"q": "mug"}, {"tab": "open"}, {"tab": "all"}):
        assert statement.reference in (await maya.get("/panel/withdrawals", params=query)).text, query
    for query in ({"q": "W-NOTHING"}, {"tab": "done"}):
        assert statement.reference not in (await maya.get("/panel/withdrawals", params=query)).text, query
    assert "has to be paid back within four days" not in page
    async with till.app.db.transaction(till.workspace) as tx:
        await tx.execute(update(WithdrawalCase).values(pay_by=case.created_at))
    assert "has to be paid back within four days" in (await maya.get("/panel/withdrawals")).text
    assert "/panel/withdrawals" in (await maya.get("/panel/returns")).text


async def test_one_is_joined_to_its_order_and_becomes_a_return(till: Till, maya: Browser) -> None:
    id = await declare(till, contract="the mug", email="work@x.example", goods="only the mug")
    page = (await maya.get(f"/panel/withdrawals/{id}")).text
    for said in ("only the mug", "work@x.example", "No order has this number", "SHA-256", "What was declared"):
        assert said in page, said
    assert (await act(maya, id, "link", number="12345678")).status_code == 400
    assert (await act(maya, id, "link", number="#7001")).status_code == 204
    page = (await maya.get(f"/panel/withdrawals/{id}")).text
    assert "make sure whose it is" in page
    assert f'name="line:{MUG}"' in page
    made = await act(maya, id, "return", **{f"line:{MUG}": "1", f"line:{SHIRT}": "0"})
    assert made.status_code == 204
    async with till.app.db.transaction(till.workspace) as tx:
        (request,) = await records.of_order(tx, till.order_id)
    assert f"returns/{request.id}" in made.headers["hx-location"]
    page = (await maya.get(f"/panel/withdrawals/{id}")).text
    assert request.number in page
    assert (await act(maya, id, "done")).status_code == 409, "the page showed another stage"
    assert (await act(maya, id, "done", stage=Stage.RETURN)).status_code == 204
    assert "Settled" in (await maya.get(f"/panel/withdrawals/{id}")).text
    log = (await maya.get("/panel/team/log")).text
    assert "Withdrawal moved on" in log


async def test_one_is_refused_in_words_and_opened_again(till: Till, maya: Browser) -> None:
    id = await declare(till, contract="1")
    assert (await act(maya, id, "refuse", note=" ")).status_code == 400
    assert (await act(maya, id, "refuse", note="It was engraved for you.")).status_code == 204
    page = (await maya.get(f"/panel/withdrawals/{id}")).text
    assert "It was engraved for you." in page
    assert (await act(maya, id, "reopen", stage=Stage.REFUSED)).status_code == 204
    assert (await act(maya, id, "sing")).status_code == 404
    assert (await case_of(till, id)).stage == Stage.OPEN


async def test_a_receipt_that_did_not_leave_is_sent_again_from_here(till: Till, maya: Browser) -> None:
    id = await declare(till)
    assert "The receipt has not reached the customer" in (await maya.get(f"/panel/withdrawals/{id}")).text
    assert (await act(maya, id, "receipt", stage=(await case_of(till, id)).stage)).status_code == 204
    assert (await case_of(till, id)).receipt_state == "queued"


async def test_the_evidence_leaves_as_files_and_that_it_left_is_written_down(till: Till, maya: Browser) -> None:
    id = await declare(till, name="=cmd()")
    link = (await maya.get("/panel/withdrawals/export")).json()["url"]
    file = await maya.get(link)
    rows = list(csv.reader(io.StringIO(file.text.lstrip("\ufeff"))))
    assert len(rows) == 2
    assert rows[1][2] == "'=cmd()", "no spreadsheet takes it for a formula"
    assert len(rows[1][-1]) == 64
    one = (await maya.get("/panel/withdrawals/export", params={"id": str(id)})).json()["url"]
    text = (await maya.get(one)).text
    assert "layla@x.example" in text
    assert rows[1][-1] in text
    assert (await maya.get("/exports/withdrawals/made-up")).status_code == 404
    assert "Withdrawals were downloaded" in (await maya.get("/panel/team/log")).text


async def test_the_rules_are_kept_shown_and_told_to_the_store(till: Till, maya: Browser) -> None:
    where = f"/panel/settings/withdrawal/{till.store.id}"
    page = (await maya.get(where)).text
    assert "AT BE BG" in page
    assert "Withdraw from contract here" in page or "our translation" in page
    form = {
        "when": "on", "countries": "de, fr xx1 DE", "everyone": "no", "words-en": "Send it to Main Street 1.",
        "exempt-0-ground": "c", "exempt-0-tags": "engraved، gravé", "exempt-1-ground": "d",
        "exempt-2-ground": "zz", "exempt-2-tags": "never",
    }  # fmt: skip
    assert (await maya.post(where, data=form, headers=HX)).status_code == 204
    async with till.app.db.transaction(till.workspace) as tx:
        store = await tx.get(Store, till.store.id)
    assert store is not None
    held = withdrawals.rules(store)
    assert (held.when, held.countries, held.everyone, held.automatic) == (When.ON, ("DE", "FR"), False, False)
    assert [(one.ground, one.match.tags) for one in held.exemptions] == [(Ground.MADE_TO_ORDER, ("engraved", "gravé"))]
    assert held.words == {"en": "Send it to Main Street 1."}
    page = (await maya.get(where)).text
    assert "DE FR" in page
    assert "Shown now" in page
    assert (
        await maya.post(where, data={"exempt-0-ground": "c", "exempt-0-products": "No such"}, headers=HX)
    ).status_code == 400
    assert (await maya.post(where, data={"when": "maybe", "countries": "nowhere"}, headers=HX)).status_code == 204
    async with till.app.db.transaction(till.workspace) as tx:
        store = await tx.get(Store, till.store.id, lock=True)
        assert store is not None
        assert (withdrawals.rules(store).when, withdrawals.rules(store).countries) == (When.AUTO, EU)
        assert len(await till._due(("check_store",))) >= 1, "its pages hear of it"
    assert "Right of withdrawal changed" in (await maya.get("/panel/team/log")).text


async def test_what_somebody_wrote_is_text_and_goods_that_were_named_are_for_the_team_to_choose(
    till: Till, maya: Browser
) -> None:
    id = await declare(till, goods="one shirt")
    async with till.app.db.transaction(till.workspace) as tx:
        await tx.execute(update(Order).where(Order.id == till.order_id).values(customer_name="<b>Layla</b>"))
    page = (await maya.get(f"/panel/withdrawals/{id}")).text
    assert "<b>Layla</b>" not in page
    assert f'name="line:{SHIRT}" min="0" max="2" value="0"' in page, "they named goods: nothing is chosen for them"
    assert (await maya.get(f"/panel/withdrawals/{uuid4()}")).status_code == 404
