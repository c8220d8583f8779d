"""Live chat at the desk: words changed, deleted and signed, cards, handing over, what is being typed, its rules."""

from __future__ import annotations

import re
from html import unescape
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, text, update

from plugin import workspaces
from plugin.app import App
from plugin.conversations import changes, presence, ratings
from plugin.conversations.conversations import Conversation
from plugin.conversations.messages import Message
from plugin.team import Agent, Role
from tests.admin_ui.conftest import Browser, SignIn
from tests.admin_ui.shop import Shop
from tests.admin_ui.test_work import at, said


@pytest.fixture
async def maya(shop: Shop, sign_in: SignIn) -> Browser:
    return await sign_in(shop.email)


async def written(app: App, shop: Shop, browser: Browser, words: str, name: str = "emma", kind: str = "reply") -> str:
    """An own message; returns where it is asked for."""
    client_id = uuid4()
    answer = await browser.post(at(shop, name, f"/{kind}"), data={"client_id": str(client_id), "text": words})
    assert answer.status_code == 200, answer.text
    async with app.db.transaction(shop.workspace_id) as tx:
        id = await tx.scalar(select(Message.id).where(Message.client_id == client_id))
    return at(shop, name, f"/messages/{id}")


async def test_an_agent_edits_their_own_words_and_the_team_sees_what_stood_there(
    app: App, shop: Shop, maya: Browser, sign_in: SignIn
) -> None:
    path = await written(app, shop, maya, "Only ambres")
    form = await maya.get(f"{path}?as=edit")
    assert ">Only ambres</textarea>" in form.text
    saved = await maya.post(f"{path}/edit", data={"text": "Only <ambers>"})
    assert "Only &lt;ambers&gt;" in saved.text
    assert "edited" in saved.text
    noa = await sign_in(shop.colleagues["noa"].email or "")
    assert (await noa.get(f"{path}?as=edit")).status_code == 404
    assert (await noa.post(f"{path}/edit", data={"text": "mine"})).status_code == 403
    tools = await noa.get(f"{path}/tools")
    assert "Only ambres" in tools.text
    assert "Maya Haddad" in tools.text
    assert "/edit" not in tools.text
    assert "/delete" not in tools.text


async def test_a_deleted_message_comes_back_by_undo(app: App, shop: Shop, maya: Browser) -> None:
    path = await written(app, shop, maya, "The code is 1234")
    gone = await maya.post(f"{path}/delete")
    assert "Message deleted" in gone.text
    assert "1234" not in gone.text
    page = await maya.get(f"/panel/inbox/{shop.talks['emma']}")
    assert "1234" not in page.text
    assert "1234" in (await maya.get(f"{path}/tools")).text
    back = await maya.post(f"{path}/delete", data={"undo": "1"})
    assert "The code is 1234" in back.text


async def test_a_message_of_another_conversation_is_not_there(app: App, shop: Shop, maya: Browser) -> None:
    path = await written(app, shop, maya, "Hello")
    elsewhere = path.replace(str(shop.talks["emma"]), str(shop.talks["huda"]))
    for answer in (
        await maya.get(elsewhere), await maya.get(f"{elsewhere}/tools"), await maya.post(f"{elsewhere}/delete"),
        await maya.post(f"{elsewhere}/edit", data={"text": "x"}),
        await maya.post(f"{elsewhere}/sign", data={"sign": "👍"}),
    ):  # fmt: skip
        assert answer.status_code == 404


async def test_what_changed_comes_with_what_is_new(app: App, shop: Shop, maya: Browser, sign_in: SignIn) -> None:
    path = await written(app, shop, maya, "First words")
    noa = await sign_in(shop.colleagues["noa"].email or "")
    page = await noa.get(f"/panel/inbox/{shop.talks['emma']}")
    mark = re.search(r'data-mark="([^"]*)"', page.text)
    last = (await said(app, shop, "emma"))[-1].position
    assert mark is not None
    await maya.post(f"{path}/edit", data={"text": "Second words"})
    more = await noa.get(at(shop, "emma", "/messages"), params={"after": last, "mark": mark[1]})
    assert more.text.count('class="message ') == 1
    assert "Second words" in more.text
    fresh = re.search(r'id="mark" data-mark="([^"]+)"', more.text)
    assert fresh is not None
    again = await noa.get(at(shop, "emma", "/messages"), params={"after": last, "mark": fresh[1]})
    assert 'class="message ' not in again.text


async def test_signs_are_put_on_and_taken_off(app: App, shop: Shop, maya: Browser, sign_in: SignIn) -> None:
    theirs = at(shop, "emma", f"/messages/{(await said(app, shop, 'emma'))[0].id}")
    put = await maya.post(f"{theirs}/sign", data={"sign": "👍"})
    assert 'aria-pressed="true"' in put.text
    off = await maya.post(f"{theirs}/sign", data={"sign": "👍", "on": "no"})
    assert "sign-chip" not in off.text
    light = await sign_in(shop.colleagues["lior"].email or "")
    assert (await light.post(f"{theirs}/sign", data={"sign": "👍"})).status_code == 403


async def test_who_lost_the_right_while_typing_is_told_and_nothing_is_sent(
    app: App, shop: Shop, sign_in: SignIn
) -> None:
    noa = await sign_in(shop.colleagues["noa"].email or "")
    path = await written(app, shop, noa, "Good so far")
    form = {"client_id": str(uuid4()), "text": "and one more thing"}
    async with app.db.transaction(shop.workspace_id) as tx:
        await tx.execute(update(Agent).where(Agent.id == shop.colleagues["noa"].id).values(role=Role.LIGHT))
    for answer in (
        await noa.post(at(shop, "emma", "/reply"), data=form),
        await noa.post(f"{path}/edit", data={"text": "changed"}),
        await noa.post(f"{path}/delete"),
        await noa.post(at(shop, "emma", "/hand-over"), data={"to": str(shop.owner.id)}),
        await noa.get(at(shop, "emma", "/cards")),
        await noa.post(at(shop, "emma", "/typing")),
    ):
        assert answer.status_code == 403
        assert answer.json()["error"]["message"] == "Your role does not allow that."
    assert [one.text for one in await said(app, shop, "emma")][-1] == "Good so far"
    assert (await noa.post(at(shop, "emma", "/note"), data=form)).status_code == 200


async def test_64_kilobytes_are_refused_in_words(shop: Shop, maya: Browser) -> None:
    form = {"client_id": str(uuid4()), "text": "x" * 65_536}
    for kind in ("reply", "note"):
        refused = await maya.post(at(shop, "emma", f"/{kind}"), data=form)
        assert refused.status_code == 400
        assert refused.json()["error"]["code"] == "message_too_long"


async def test_a_reply_carries_a_product_a_proven_order_and_answers(app: App, shop: Shop, maya: Browser) -> None:
    offer = await maya.get(at(shop, "emma", "/cards"))
    order = re.search(r'data-carry="(order:[^"]+)"', offer.text)
    assert order is not None
    assert "1051" in offer.text
    form = {"client_id": str(uuid4()), "text": "This one?", "card": order[1], "answer": ["Yes", "No"]}
    sent = await maya.post(at(shop, "emma", "/reply"), data=form)
    assert "sent-card" in sent.text
    assert "sent-answers" in sent.text
    last = (await said(app, shop, "emma"))[-1]
    assert last.data["cards"][0]["title"] == "#1051"
    assert [one["text"] for one in last.data["replies"]] == ["Yes", "No"]
    # Somebody else's order, by whatever way its number came here.
    refused = await maya.post(at(shop, "huda", "/reply"), data={**form, "client_id": str(uuid4())})
    assert refused.status_code == 403
    assert refused.json()["error"]["code"] == "order_unproven"
    stranger = await maya.get(at(shop, "visitor", "/cards"))
    assert "order:" not in stranger.text
    assert "signed in" in stranger.text


async def test_handing_over_gives_it_to_a_colleague_with_a_word_for_the_team(
    app: App, shop: Shop, maya: Browser
) -> None:
    form = {"to": str(shop.colleagues["noa"].id), "note": "She asked twice"}
    answer = await maya.post(at(shop, "emma", "/hand-over"), data=form)
    assert answer.status_code == 200
    assert 'id="thread-head"' in answer.text
    async with app.db.transaction(shop.workspace_id) as tx:
        talk = await tx.get(Conversation, shop.talks["emma"])
        assert talk is not None
        assert talk.assignee_id == shop.colleagues["noa"].id
    last = (await said(app, shop, "emma"))[-1]
    assert (last.kind, last.seq) == ("note", None)
    assert "She asked twice" in last.text
    assert "נועה לוי" in last.text
    light = {"to": str(shop.colleagues["lior"].id), "note": "x"}
    assert (await maya.post(at(shop, "emma", "/hand-over"), data=light)).status_code == 404


async def test_what_is_being_typed_is_shown_only_where_the_workspace_says_so(
    app: App, shop: Shop, maya: Browser, sign_in: SignIn
) -> None:
    await presence.shopper_types(app.hub, shop.workspace_id, shop.talks["emma"], "is it <b>oud")
    assert "oud" not in (await maya.get(at(shop, "emma", "/typed"))).text
    noa = await sign_in(shop.colleagues["noa"].email or "")
    assert (await noa.post("/panel/settings/chat", data={"typing_preview": "1"})).status_code == 403
    saved = await maya.post("/panel/settings/chat", data={"typing_preview": "1"})
    assert saved.status_code in (204, 303)
    async with app.db.transaction(shop.workspace_id) as tx:
        assert await workspaces.chat_rules(tx) == workspaces.ChatRules(typing_preview=True, ratings=False)
    assert "is it &lt;b&gt;oud" in (await maya.get(at(shop, "emma", "/typed"))).text
    page = await maya.get(f"/panel/inbox/{shop.talks['emma']}")
    assert "data-typed=" in page.text


async def test_a_rating_stands_on_the_conversation_with_its_comment(app: App, shop: Shop, maya: Browser) -> None:
    async with app.db.transaction(shop.workspace_id) as tx:
        tx.add(
            ratings.Rating(
                store_id=shop.stores["oud"].id, conversation_id=shop.talks["salem"], score=2,
                comment="took <long>", agent_id=shop.colleagues["karim"].id, rated_at=func.now(),
            )
        )  # fmt: skip
    page = await maya.get(f"/panel/inbox/{shop.talks['salem']}")
    assert "Rated 2 of 5" in unescape(page.text)
    assert "took &lt;long&gt;" in page.text
    rows = await maya.get("/panel/inbox", params={"filter": "rating:<=2"})
    assert rows.status_code == 200


async def test_history_and_what_was_deleted_go_with_an_erasure(app: App, shop: Shop, maya: Browser) -> None:
    path = await written(app, shop, maya, "The code is 1234")
    await maya.post(f"{path}/delete")
    async with app.db.transaction(shop.workspace_id) as tx:
        assert await changes.versions(tx, UUID(path.rsplit("/", 1)[1]))
        await tx.execute(text("DELETE FROM messages WHERE conversation_id = :id"), {"id": shop.talks["emma"]})
        left = await tx.scalar(text("SELECT count(*) FROM message_versions"))
    assert left == 0
