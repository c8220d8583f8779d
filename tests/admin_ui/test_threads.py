"""Merging, splitting, forwarding, blocking and copying at the desk; notes on a customer."""

from __future__ import annotations

import json
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import delete, select, update

from plugin.app import App
from plugin.conversations import blocked, merging, messages
from plugin.conversations.conversations import Conversation, Status
from plugin.crm.customers import Customer
from plugin.crm.notes import CustomerNote
from plugin.crm.orders import Order, OrderReturn
from plugin.kernel.db import new_id
from plugin.returns.records import ReturnRequest
from plugin.returns.requests import next_serial
from plugin.returns.states import State
from plugin.team import AuditEntry
from tests.admin_ui.conftest import Browser, SignIn
from tests.admin_ui.shop import Shop
from tests.admin_ui.test_work import at, said


@pytest.fixture
async def maya(shop: Shop, sign_in: SignIn) -> Browser:
    return await sign_in(shop.email)


@pytest.fixture
async def twin(app: App, shop: Shop) -> UUID:
    """A second open conversation of Emma's."""
    async with app.db.transaction(shop.workspace_id) as tx:
        first = await tx.get(Conversation, shop.talks["emma"])
        assert first is not None
        other = Conversation(
            id=new_id(), store_id=first.store_id, visitor_id=first.visitor_id, customer_id=first.customer_id,
            channel="widget",
        )  # fmt: skip
        tx.add(other)
        await tx.flush()
        await messages.reply(tx, other, shop.owner, uuid4(), "About your other question")
    return other.id


def toast(answer: httpx.Response) -> dict[str, object]:
    assert answer.status_code == 204, answer.text
    events = json.loads(answer.headers["hx-trigger"])
    assert "id" in events["ahlan:thread"]
    return dict(events["ahlan:toast"])


async def test_the_other_open_one_is_offered_and_one_click_makes_one(
    app: App, shop: Shop, maya: Browser, twin: UUID
) -> None:
    page = await maya.get(f"/panel/inbox/{shop.talks['emma']}")
    assert "1 more open with this customer" in page.text
    dialog = await maya.get(at(shop, "emma", "/twins"))
    assert "About your other question" in dialog.text
    done = toast(await maya.post(at(shop, "emma", "/merge"), data={"other": str(twin)}))
    assert done["undo"] == "Undo"
    after = await maya.get(f"/panel/inbox/{twin}")
    assert f'data-conversation="{shop.talks["emma"]}"' in after.text, "who knows the other is led here"
    assert "put another conversation into this one" in after.text
    assert "Take it back" in after.text
    assert "more open with this customer" not in after.text
    back = await maya.post(str(done["action"]), data=done["values"])
    assert toast(back)["text"] == "As it was before."
    assert [one.text for one in await said(app, shop, "emma")] == [
        "Hi! Does the discovery set include the cambodi oud, or only ambers?"
    ]
    again = await maya.get(f"/panel/inbox/{shop.talks['emma']}")
    assert "Take it back" not in again.text
    assert "took another conversation out" in again.text


async def test_two_customers_are_not_merged_and_a_stranger_only_by_whoever_says_so(
    app: App, shop: Shop, maya: Browser
) -> None:
    refused = await maya.post(at(shop, "emma", "/merge"), data={"other": str(shop.talks["huda"])})
    assert refused.json()["error"]["code"] == "merge_people"
    dialog = await maya.get(
        at(shop, "emma", "/twins"), params={"other": f"https://x/panel/inbox/{shop.talks['huda']}?view=open"}
    )
    assert "Another customer" in dialog.text
    assert f"/panel/customers/{shop.people['emma']}" in dialog.text
    stranger = str(shop.talks["visitor"])
    dialog = await maya.get(at(shop, "emma", "/twins"), params={"other": stranger})
    assert "Nobody has confirmed that these are the same person" in dialog.text
    refused = await maya.post(at(shop, "emma", "/merge"), data={"other": stranger})
    assert refused.json()["error"]["code"] == "merge_unsure"
    toast(await maya.post(at(shop, "emma", "/merge"), data={"other": stranger, "sure": "yes"}))
    missing = await maya.get(at(shop, "emma", "/twins"), params={"other": str(uuid4())})
    assert "There is no other conversation at this address" in missing.text


async def test_the_list_merges_what_is_chosen(app: App, shop: Shop, maya: Browser, twin: UUID) -> None:
    ids = [str(twin), str(shop.talks["emma"])]
    one = await maya.post("/panel/changes", data={"id": ids[:1], "change": "merge"})
    assert one.json()["error"]["code"] == "merge_few"
    done = toast(await maya.post("/panel/changes", data={"id": ids, "change": "merge"}))
    assert done["text"] == "2 conversations are one now."
    async with app.db.transaction(shop.workspace_id) as tx:
        assert await merging.surviving(tx, shop.talks["emma"]) == twin, "into the one that was written in last"


async def test_the_end_is_split_off_and_each_names_the_other(app: App, shop: Shop, maya: Browser) -> None:
    third = (await said(app, shop, "huda"))[3]
    path = at(shop, "huda", f"/messages/{third.id}")
    tools = await maya.get(f"{path}/tools")
    assert f"{path}/split" in tools.text
    first = (await said(app, shop, "huda"))[0]
    assert "/split" not in (await maya.get(at(shop, "huda", f"/messages/{first.id}/tools"))).text
    dialog = await maya.get(f"{path}/split")
    assert "2 messages go there" in dialog.text
    done = toast(await maya.post(f"{path}/split", data={"subject": "A sample"}))
    async with app.db.transaction(shop.workspace_id) as tx:
        part = await tx.scalar(select(Conversation.id).where(Conversation.subject == "A sample"))
    page = await maya.get(f"/panel/inbox/{shop.talks['huda']}")
    assert f"/panel/inbox/{part}" in page.text
    assert f"/panel/inbox/{shop.talks['huda']}" in (await maya.get(f"/panel/inbox/{part}")).text
    toast(await maya.post(str(done["action"]), data=done["values"]))
    assert len(await said(app, shop, "huda")) == 5


async def test_whoever_may_not_reply_neither_sees_nor_does_it(shop: Shop, sign_in: SignIn, twin: UUID) -> None:
    light = await sign_in(shop.colleagues["lior"].email or "")
    page = (await light.get(f"/panel/inbox/{shop.talks['emma']}")).text
    for word in ("more open with this customer", "Merge with another", 'value="forward"', "Block the sender"):
        assert word not in page
    for path in ("/merge", "/block", "/forward", "/copy"):
        assert (await light.post(at(shop, "emma", path), data={})).status_code == 403


async def test_a_letter_to_somebody_outside_is_refused_in_words(shop: Shop, maya: Browser) -> None:
    page = await maya.get(f"/panel/inbox/{shop.talks['emma']}")
    assert 'value="forward"' in page.text
    form = {"client_id": str(uuid4()), "text": "Where is it?", "to": "no address"}
    refused = await maya.post(at(shop, "emma", "/forward"), data=form)
    assert refused.status_code == 422
    assert refused.json()["error"]["message"] == "This is no e-mail address."


async def test_a_sender_is_blocked_from_the_conversation_and_heard_again_from_the_settings(
    app: App, shop: Shop, maya: Browser
) -> None:
    dialog = await maya.get(at(shop, "visitor", "/block"))
    assert "This browser" in dialog.text
    toast(await maya.post(at(shop, "visitor", "/block"), data={"kind": "visitor"}))
    async with app.db.transaction(shop.workspace_id) as tx:
        row = await tx.get(Conversation, shop.talks["visitor"])
        assert row is not None
        assert row.status == Status.SPAM
        (one,) = await blocked.everybody(tx)
    page = await maya.get(f"/panel/inbox/{shop.talks['visitor']}")
    assert "blocked whoever writes here" in page.text
    listed = await maya.get("/panel/settings/blocked")
    assert one.value[-6:] in listed.text
    assert (await maya.post(f"/panel/settings/blocked/{one.id}/unblock")).status_code == 303
    async with app.db.transaction(shop.workspace_id) as tx:
        assert await blocked.everybody(tx) == []


async def test_an_address_is_blocked_in_the_settings_and_the_log_says_who_did_it(
    app: App, shop: Shop, maya: Browser
) -> None:
    wrong = await maya.post("/panel/settings/blocked", data={"sender": "gmail.com"})
    assert wrong.status_code == 422
    assert "Half of all customers write from there." in wrong.text
    assert (await maya.post("/panel/settings/blocked", data={"sender": "Junk@Spam.example"})).status_code == 303
    assert "junk@spam.example" in (await maya.get("/panel/settings/blocked")).text
    async with app.db.transaction(shop.workspace_id) as tx:
        (entry,) = await tx.scalars(select(AuditEntry).where(AuditEntry.kind == "settings.blocked"))
        assert entry.agent_id == shop.owner.id
    assert "junk@spam.example" in (await maya.get("/panel/team/log")).text


async def test_a_copy_is_downloaded_without_notes(shop: Shop, maya: Browser) -> None:
    dialog = await maya.get(at(shop, "huda", "/copy"))
    assert "Download it" in dialog.text
    link = (await maya.get(at(shop, "huda", "/copy/file"))).json()["url"]
    file = await maya.get(link)
    assert file.headers["content-disposition"].startswith("attachment")
    assert "#1042" in file.text
    assert "المستودع: الدفعة" not in file.text, "a note of the team's"
    assert (await maya.get(f"{link}x")).status_code == 404


async def test_notes_on_a_customer_are_beside_the_conversation_and_on_their_page(
    app: App, shop: Shop, maya: Browser, sign_in: SignIn
) -> None:
    path = f"/panel/customers/{shop.people['emma']}/notes"
    added = await maya.post(path, data={"text": "Allergic to <musk>"})
    assert "Allergic to &lt;musk&gt;" in added.text
    for page in (f"/panel/inbox/{shop.talks['emma']}", f"/panel/customers/{shop.people['emma']}"):
        assert "Allergic to &lt;musk&gt;" in (await maya.get(page)).text
    async with app.db.transaction(shop.workspace_id) as tx:
        (note,) = await tx.scalars(select(CustomerNote))
    noa = await sign_in(shop.colleagues["noa"].email or "")
    assert (await noa.post(f"{path}/{note.id}", data={"text": "mine"})).status_code == 403
    assert (await noa.post(f"{path}/{note.id}/delete")).status_code == 403
    assert "Allergic to roses" in (await maya.post(f"{path}/{note.id}", data={"text": "Allergic to roses"})).text
    assert "edited" in (await maya.get(path)).text
    assert "Allergic" not in (await maya.post(f"{path}/{note.id}/delete")).text
    assert (await maya.post(path, data={"text": "  "})).status_code == 422


async def test_how_often_orders_were_refunded_is_said(app: App, shop: Shop, maya: Browser) -> None:
    async with app.db.transaction(shop.workspace_id) as tx:
        theirs = Order.customer_id == shop.people["emma"]
        await tx.execute(update(Order).where(theirs).values(payment_status="paid", refunded=0))
        orders = list(await tx.scalars(select(Order).where(theirs)))
        orders[0].refunded, count = 100, len(orders)
    page = await maya.get(at(shop, "emma", "/customer"))
    assert f"1 of {count}" in page.text
    assert f"{round(100 / count)}%" in page.text


@pytest.mark.parametrize("more_orders", [0, 30])
async def test_goods_that_went_back_are_counted_where_the_store_has_no_returns(
    app: App, shop: Shop, maya: Browser, more_orders: int
) -> None:
    """Beside a few orders that were read anyway, and beside more of them than are read."""
    async with app.db.transaction(shop.workspace_id) as tx:
        theirs = Order.customer_id == shop.people["emma"]
        await tx.execute(delete(OrderReturn))
        await tx.execute(update(Order).where(theirs).values(payment_status="paid"))
        order = (await tx.scalars(select(Order).where(theirs).limit(1))).one()
        await tx.execute(
            update(Customer).where(Customer.id == shop.people["emma"]).values(
                orders_count=Customer.orders_count + more_orders
            )
        )  # fmt: skip
        request = ReturnRequest(id=new_id(), store_id=order.store_id, order_id=order.id, client_id=uuid4(),
                                serial=await next_serial(tx), public_id=uuid4().hex)  # fmt: skip
        tx.add(request)
    for state, counted in ((State.REQUESTED, 0), (State.RECEIVED, 1), (State.DECLINED, 0)):
        async with app.db.transaction(shop.workspace_id) as tx:
            await tx.execute(update(ReturnRequest).where(ReturnRequest.id == request.id).values(state=state))
        assert ("1 sent back" in (await maya.get(at(shop, "emma", "/customer"))).text) is bool(counted), state
