"""Flows at the desk: made, mended, tried, published, undone, brought back, switched; and what the bot may do."""

import re
from typing import Any
from uuid import UUID

from sqlalchemy import select

from plugin.app import App
from plugin.bot import bots, flow_book, gifts
from plugin.bot.allowed import Deed, Hours
from plugin.bot.flow_book import BotFlow
from plugin.bot.flows import Choice, Say
from plugin.bot.gifts import BotGift
from plugin.conversations.conversations import Conversation
from plugin.crm.orders import Order
from plugin.kernel.db import new_id
from tests.admin_ui.conftest import Browser, SignIn
from tests.admin_ui.shop import Shop
from tests.admin_ui.test_bot import maya as maya
from tests.admin_ui.test_bot import store as store

LIST = "/panel/settings/flows"


async def make(browser: Browser, name: str = "Parcels") -> str:
    answer = await browser.post(LIST, data={"name": name})
    assert answer.status_code == 303
    return str(answer.headers["location"]).split("?")[0].rsplit("/", 1)[-1]


def form(page: str) -> dict[str, Any]:
    """What the editor would send as it stands: names to values, several where there are several."""
    text = page[page.index('id="flow-editor"') : page.index("</form>", page.index('id="flow-editor"'))]
    found: dict[str, Any] = {}

    def put(name: str, value: str) -> None:
        found.setdefault(name, []).append(value)

    for tag in re.findall(r"<input[^>]*>", text):
        name, kind = re.search(r'name="([^"]*)"', tag), re.search(r'type="([^"]*)"', tag)
        value = re.search(r'value="([^"]*)"', tag)
        if name and not (kind and kind[1] == "checkbox" and " checked" not in tag):
            put(name[1], value[1] if value else "")
    for name, said in re.findall(r'<textarea[^>]*name="([^"]*)"[^>]*>([^<]*)</textarea>', text):
        put(name, said)
    for name, options in re.findall(r'<select[^>]*name="([^"]*)"[^>]*>(.*?)</select>', text, re.DOTALL):
        chosen = re.search(r'<option value="([^"]*)"\s+selected', options) or re.search(r'value="([^"]*)"', options)
        put(name, chosen[1] if chosen else "")
    return found


async def press(browser: Browser, id: str, act: str, page: str, **more: Any) -> str:
    answer = await browser.post(f"{LIST}/{id}", data={**form(page), "act": act, **more})
    assert answer.status_code == 200, answer.text
    return str(answer.text)


async def row_of(app: App, shop: Shop, id: str) -> BotFlow:
    async with app.db.transaction(shop.workspace_id) as tx:
        found = await tx.get(BotFlow, UUID(id))
    assert found is not None
    return found


def all_languages(name: str, *said: str) -> dict[str, str]:
    return {f"{name}.{code}": text for code, text in zip(("en", "ar", "he"), said, strict=True)}


async def test_a_flow_is_made_mended_published_and_switched_on(app: App, shop: Shop, maya: Browser) -> None:
    id = await make(maya)
    page = (await maya.get(f"{LIST}/{id}")).text
    page = await press(maya, id, "add:choice:", page)
    assert "Nothing begins this flow" in page
    assert "Words are missing in" in page
    page = await press(maya, id, "add:say:s1", page)
    page = await press(maya, id, "option:s1", page)
    page = await press(maya, id, "unoption:s1:2", page)
    words = {
        "words": "parcel, طرد",
        **all_languages("s1.text", "What is it?", "ما الأمر؟", "מה העניין?"),
        **all_languages("s1.o0.text", "Late", "متأخر", "מאחר"),
        **all_languages("s1.o1.text", "Lost", "مفقود", "אבוד"),
        **all_languages("s2.text", "Sorry.", "نعتذر.", "סליחה."),
    }
    page = await press(maya, id, "save", page, **words)
    assert "Words are missing" not in page
    row = await row_of(app, shop, id)
    assert [type(step) for step in row.flow.steps] == [Choice, Say]
    assert row.flow.trigger.words == ("parcel", "طرد")
    assert row.live is None
    page = await press(maya, id, "publish", page, on="1")
    row = await row_of(app, shop, id)
    assert (row.live, row.enabled) == (1, True)
    assert "Published as version" in page
    listed = (await maya.get(LIST)).text
    assert "Parcels" in listed
    log = (await maya.get("/panel/team/log")).text
    for said in ("Flow made", "Flow published", "Flow switched on"):
        assert said in log


async def test_steps_move_go_and_come_back(app: App, shop: Shop, maya: Browser) -> None:
    id = await make(maya)
    page = (await maya.get(f"{LIST}/{id}")).text
    for kind in ("say", "question", "hand_over"):
        page = await press(maya, id, f"add:{kind}:", page)
    assert re.findall(r'id="step-(\w+)"[^>]* autofocus', page) == ["s3"], "the added step has the focus"
    page = await press(maya, id, "down:s1", page)
    assert "autofocus" not in page, "the button that was pressed keeps it"
    assert [step.id for step in (await row_of(app, shop, id)).flow.steps] == ["s2", "s1", "s3"]
    page = await press(maya, id, "save", page, **{"s2.to": "s3"})
    page = await press(maya, id, "out:s3", page)
    assert "a step that is gone" in page
    assert "It leads to a step that is no longer there." in page
    page = await press(maya, id, "undo", page)
    assert [step.id for step in (await row_of(app, shop, id)).flow.steps] == ["s2", "s1", "s3"]
    # Somebody else changed it meanwhile: nothing is lost, and nothing overwritten.
    stale = {**form(page), "revision": "0", "act": "out:s1"}
    assert (await maya.post(f"{LIST}/{id}", data=stale)).status_code == 409
    refused = await maya.post(f"{LIST}/{id}", data={**form(page), "act": "publish"})
    assert refused.status_code == 400


async def test_it_is_tried_by_the_engine_in_any_language_and_nothing_happens(
    app: App, shop: Shop, maya: Browser
) -> None:
    assert (await maya.post(f"{LIST}/starters")).status_code == 303
    async with app.db.transaction(shop.workspace_id) as tx:
        row = next(one for one in await flow_book.all_flows(tx) if one.starter == "damaged")
    page = (await maya.get(f"{LIST}/{row.id}")).text
    assert '<option value="en" selected>' in page
    await maya.post("/panel/settings/me", data={"locale": "he"})
    hebrew = (await maya.get(f"{LIST}/{row.id}")).text
    assert '<option value="he" selected>' in hebrew, "it begins in the language of who tries it"
    await maya.post("/panel/settings/me", data={"locale": ""})
    whole = form(page)
    tried = (await maya.post(f"{LIST}/{row.id}/try", data={**whole, "try-language": "ar", "say": "2"})).text
    assert "ما رقم الطلب؟" in tried
    said = {"said": ["2", "hmm"], "try-language": "en"}
    again = (await maya.post(f"{LIST}/{row.id}/try", data={**whole, **said, "typed": "still none"})).text
    assert "That does not look like an order number." in again
    assert "Not understood twice, so a person takes over." in again
    done = {"said": ["2", "1001", "The lid is broken"], "try-language": "en"}
    walked = (await maya.post(f"{LIST}/{row.id}/try", data={**whole, **done})).text
    assert "Set the priority" in walked
    assert "A person takes over here." in walked
    over = (await maya.post(f"{LIST}/{row.id}/try", data={**whole, **done, "over": "1"})).text
    assert 'name="said"' not in over
    assert (await row_of(app, shop, str(row.id))).revision == 0


async def test_versions_are_brought_back_and_flows_deleted_and_restored(app: App, shop: Shop, maya: Browser) -> None:
    await maya.post(f"{LIST}/starters")
    async with app.db.transaction(shop.workspace_id) as tx:
        row = (await flow_book.all_flows(tx))[0]
    id = str(row.id)
    step_texts = [f"{at}. " for at in range(1, len(row.flow.steps) + 1)]
    page = await press(maya, id, "publish", (await maya.get(f"{LIST}/{id}")).text)
    page = await press(maya, id, "save", page, words="something else")
    page = await press(maya, id, "publish", page)
    assert (await row_of(app, shop, id)).live == 2
    page = (await maya.get(f"{LIST}/{id}")).text
    for text in step_texts:
        assert page.count(text) >= 3, "in the editor, and to be read in each of the two versions"
    assert (await maya.post(f"{LIST}/{id}/back", data={"version": "1"})).status_code == 303
    assert (await row_of(app, shop, id)).flow.trigger.words == ()
    assert (await row_of(app, shop, id)).live == 2
    await maya.post(f"{LIST}/{id}/move", data={"step": "down"})
    await maya.post(f"{LIST}/{id}/delete")
    assert "is deleted" in (await maya.get(f"{LIST}?deleted={id}")).text
    assert (await maya.get(f"{LIST}/{id}")).status_code == 404
    await maya.post(f"{LIST}/{id}/restore")
    assert not (await row_of(app, shop, id)).enabled
    await maya.post(f"{LIST}/{id}/switch", data={"to": "on"})
    assert (await row_of(app, shop, id)).enabled


async def test_the_editor_speaks_three_languages_and_every_kind_of_step(app: App, shop: Shop, maya: Browser) -> None:
    id = await make(maya)
    page = (await maya.get(f"{LIST}/{id}")).text
    for kind in ("say", "question", "choice", "condition", "action", "hand_over"):
        page = await press(maya, id, f"add:{kind}:", page)
    for about in ("language", "channel", "store", "segment", "order", "collected"):
        page = await press(maya, id, "shape", page, **{"s4.test": about})
    for do in ("team", "priority", "snooze", "note", "field", "article", "screen", "discount"):
        page = await press(maya, id, "shape", page, **{"s5.do": do})
    page = await press(maya, id, "save", page, **{"s5.value": "12.5", "s5.unit": "amount"})
    assert (await row_of(app, shop, id)).flow.steps[4].value == "1250"
    page = await press(maya, id, "save", page, **{"s5.value": "12", "s5.unit": "percent"})
    assert (await row_of(app, shop, id)).flow.steps[4].value == "12%"
    for language, word in (("ar", "خطوة"), ("he", "שלב")):
        shown = await maya.get(f"{LIST}/{id}", headers={"accept-language": language})
        assert shown.status_code == 200
        assert word or shown.text


# What the bot may do


async def test_whom_it_answers_and_what_it_may_do_is_set_for_a_store(
    app: App, shop: Shop, maya: Browser, store: UUID
) -> None:
    said = {
        "part": "terms", "segments": ["returning", "tag:vip"], "orders-on": "1", "goods-on": "1", "flows-on": "1",
        "flows-hours": "closed", "discount-on": "1", "discount-channels": ["chat"], "discount-segments": ["returning"],
    }  # fmt: skip
    assert (await maya.post(f"/panel/settings/bot/{store}/terms", data=said)).status_code == 303
    async with app.db.transaction(shop.workspace_id) as tx:
        bot = await bots.of_store(tx, store)
    assert bot is not None
    assert bot.segments == ["returning", "tag:vip"]
    assert not bot.terms(Deed.SCREENS).on
    assert bot.terms(Deed.FLOWS).hours is Hours.CLOSED
    assert bot.terms(Deed.DISCOUNT).segments == ("returning",)
    page = (await maya.get(f"/panel/settings/bot/{store}")).text
    assert 'value="tag:vip" checked' in page
    assert "under conditions" in page


async def test_discounts_are_off_until_they_are_set_and_bad_figures_are_refused(
    app: App, shop: Shop, maya: Browser, store: UUID
) -> None:
    figures = {
        "public_code": " AHLAN10 ",
        "part": "discount", "on": "1", "percent": "15", "amount": "25.50", "free_percent": "5", "free_amount": "",
        "per_customer": "1", "within_days": "30", "per_day": "10", "days": "14", "asked_percent": "5",
    }  # fmt: skip
    async with app.db.transaction(shop.workspace_id) as tx:
        assert not (await bots.ready(tx, store)).giving.on
    for wrong in (
        {"percent": "101"},
        {"percent": "x"},
        {"amount": "x"},
        {"asked_percent": "20"},
        {"days": "0"},
        {"public_code": "two words"},
    ):
        answer = await maya.post(f"/panel/settings/bot/{store}/terms", data={**figures, **wrong})
        assert answer.status_code == 400, wrong
    assert (await maya.post(f"/panel/settings/bot/{store}/terms", data=figures)).status_code == 303
    async with app.db.transaction(shop.workspace_id) as tx:
        giving = (await bots.ready(tx, store)).giving
    assert (giving.on, giving.percent, giving.amount, giving.free_amount, giving.days) == (True, 15, 2550, 0, 14)
    assert giving.public_code == "AHLAN10"
    assert "25.50" in (await maya.get(f"/panel/settings/bot/{store}")).text


async def gift(app: App, shop: Shop, store: UUID) -> BotGift:
    """A discount that an agent is asked for."""
    async with app.db.transaction(shop.workspace_id) as tx:
        order = (await tx.scalars(select(Order).where(Order.store_id == store).limit(1))).one()
        talk = (await tx.scalars(select(Conversation).where(Conversation.store_id == store).limit(1))).one()
        row = BotGift(
            id=new_id(), store_id=store, conversation_id=talk.id, order_id=order.id, visitor_id=new_id(),
            customer_id=None, key="test", percent=15, amount=0, days=30, code="ABCDEFGHJKLMN", locale="en",
            proof="code", counted={}, state=gifts.ASKED,
        )  # fmt: skip
        tx.add(row)
    return row


async def test_an_agent_decides_beside_the_conversation(
    app: App, shop: Shop, maya: Browser, store: UUID, sign_in: SignIn
) -> None:
    asked = await gift(app, shop, store)
    page = (await maya.get(f"/panel/conversations/{asked.conversation_id}/gifts")).text
    assert "15%" in page
    assert "Waits for you" in page
    assert asked.code not in page
    answer = await maya.post(f"/panel/gifts/{asked.id}/approve")
    assert "Being made" in answer.text
    assert (await maya.post(f"/panel/gifts/{asked.id}/decline")).status_code == 409
    async with app.db.transaction(shop.workspace_id) as tx:
        found = await tx.get(BotGift, asked.id)
    assert found is not None
    assert found.state == gifts.GOING
