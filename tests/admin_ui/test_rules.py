"""Rules over HTTP: who may, the editor, the try, the log, and what a history says."""

from html import unescape
from uuid import UUID, uuid4

import pytest

from plugin.app import App
from plugin.automations import automation
from plugin.automations.automation import RuleRow
from plugin.conversations import messages
from plugin.conversations.conversations import Conversation, Shopper
from plugin.kernel import jobs
from plugin.reactions import TASKS
from tests.admin_ui.conftest import Browser, SignIn
from tests.admin_ui.shop import Shop, seed

HX = {"hx-request": "true", "hx-request-type": "partial"}
PAGE = "/panel/settings/rules"
RULE = {
    "name": "Torn goods", "trigger": "received",
    "c-0-key": "says", "c-0-not": "no", "c-0-value": "torn, ripped\nممزق، قرع",
    "c-1-key": "priority", "c-1-compare": "<", "c-1-value": "urgent",
    "a-0-do": "tag", "a-0-value": "damage",
    "a-1-do": "reply", "a-1-value": "", "a-1-text-en": "We are sorry, {{ customer.first_name | and }} look into it",
    "stop": "yes",
}  # fmt: skip


@pytest.fixture
async def maya(app: App, shop: Shop, sign_in: SignIn) -> Browser:
    await jobs.drain(app.db, app, TASKS, workspace_id=shop.workspace_id)
    return await sign_in(shop.email)


async def rules_of(app: App, shop: Shop) -> list[RuleRow]:
    async with app.db.transaction(shop.workspace_id) as tx:
        return list(await automation.all_rules(tx))


async def made(app: App, shop: Shop, browser: Browser, **more: str) -> RuleRow:
    answer = await browser.post(PAGE, data={**RULE, **more}, headers=HX)
    assert answer.status_code == 204, answer.text
    return (await rules_of(app, shop))[-1]


async def says(app: App, shop: Shop, name: str, text: str) -> UUID:
    async with app.db.transaction(shop.workspace_id) as tx:
        talk = await tx.get(Conversation, shop.talks[name])
        assert talk is not None
        assert talk.visitor_id is not None
        assert talk.store_id is not None
        await messages.receive(tx, Shopper(talk.visitor_id, talk.store_id, talk.customer_id), uuid4(), text)
    await jobs.drain(app.db, app, TASKS, workspace_id=shop.workspace_id)
    return talk.id


async def test_an_agent_writes_a_rule_and_a_shoppers_message_fires_it(app: App, shop: Shop, maya: Browser) -> None:
    row = await made(app, shop, maya)
    assert row.conditions == "says:torn,ripped,ممزق,قرع priority:<urgent"
    assert [one["do"] for one in row.actions] == ["tag", "reply"]
    id = await says(app, shop, "emma", "My dress is TORN")
    page = unescape((await maya.get(f"/panel/inbox/{id}")).text)
    assert "added the tag \u2068damage\u2069" in page
    assert "The rule “Torn goods”" in page
    assert "By the rule “\u2068Torn goods\u2069”" in page, "the answer says whose it is"
    assert f"/panel/conversations/{id}/rules" in page
    log = unescape((await maya.get(f"/panel/conversations/{id}/rules")).text)
    assert "Torn goods" in log
    assert "Tag: \u2068damage\u2069" in log
    editor = unescape((await maya.get(f"{PAGE}/{row.id}")).text)
    assert "torn, ripped\nممزق, قرع" in editor
    assert f"/panel/conversations/{id}/rules" in editor
    assert "Acted 1 time in 30 days" in (await maya.get(PAGE)).text


async def test_why_a_rule_did_nothing_stands_in_the_log(app: App, shop: Shop, maya: Browser) -> None:
    await made(app, shop, maya)
    id = await says(app, shop, "emma", "All is well")
    log = unescape((await maya.get(f"/panel/conversations/{id}/rules")).text)
    assert "Did nothing, because this does not hold: The message has the words: “\u2068torn\u2069”" in log


async def test_what_is_no_rule_comes_back_with_what_was_written(app: App, shop: Shop, maya: Browser) -> None:
    before = len(await rules_of(app, shop))
    for wrong, said in (
        ({"name": ""}, "Give the rule a name"),
        ({"c-1-key": "orders", "c-1-value": "many"}, "orders cannot be"),
        ({"a-0-value": ""}, "One of the actions is not complete"),
        ({"trigger": "rated"}, "can only be asked when a message arrives"),
        ({"a-1-text-en": "{{ secret.word }}"}, "nothing called secret.word"),
    ):
        answer = await maya.post(PAGE, data={**RULE, **wrong}, headers=HX)
        assert answer.status_code == 422, wrong
        page = unescape(answer.text)
        assert said in page
        assert "torn, ripped" in page, "nothing is lost"
    assert len(await rules_of(app, shop)) == before


async def test_a_try_says_where_it_would_have_acted_and_does_nothing(app: App, shop: Shop, maya: Browser) -> None:
    id = await says(app, shop, "emma", "It arrived torn")
    count = len(await rules_of(app, shop))
    tried = unescape((await maya.post(f"{PAGE}/try", data=RULE, headers=HX)).text)
    assert "Would have acted on 1" in tried
    assert "It arrived torn" in tried
    assert "Tag: \u2068damage\u2069" in tried
    assert "<html" not in tried
    none = unescape((await maya.post(f"{PAGE}/try", data={**RULE, "c-0-value": "brocade"}, headers=HX)).text)
    assert "Would have acted on 0" in none
    assert "The message has the words: “\u2068brocade\u2069”" in none, "which condition decided"
    wrong = await maya.post(f"{PAGE}/try", data={**RULE, "c-0-value": "!"}, headers=HX)
    assert "Write words or numbers." in wrong.text
    async with app.db.transaction(shop.workspace_id) as tx:
        assert not [run for run in await automation.of_conversation(tx, id) if run.rule_id == UUID(int=0)]
        assert "damage" not in [message.text for message in await messages.thread(tx, id)]
    assert len(await rules_of(app, shop)) == count
    silent = {"trigger": "silent", "after": "4", "after-unit": "d", "a-0-do": "status", "a-0-value": "resolved"}
    assert (await maya.post(f"{PAGE}/try", data=silent, headers=HX)).status_code == 200


async def test_order_switch_copy_deletion_and_its_undo(app: App, shop: Shop, maya: Browser) -> None:
    row = await made(app, shop, maya)
    await maya.post(f"{PAGE}/{row.id}/move", data={"step": "up"})
    assert (await rules_of(app, shop))[-2].id == row.id
    await maya.post(f"{PAGE}/{row.id}/switch", data={"to": "off"})
    assert not next(one for one in await rules_of(app, shop) if one.id == row.id).enabled
    await maya.post(f"{PAGE}/{row.id}/copy")
    assert [one.name for one in await rules_of(app, shop)].count("Copy of Torn goods") == 1
    gone = await maya.post(f"{PAGE}/{row.id}/delete")
    page = unescape((await maya.get(gone.headers["location"])).text)
    assert "The rule “\u2068Torn goods\u2069” is deleted" in page
    assert row.id not in {one.id for one in await rules_of(app, shop)}
    await maya.post(f"{PAGE}/{row.id}/restore")
    assert row.id in {one.id for one in await rules_of(app, shop)}
    log = unescape((await maya.get("/panel/team/log")).text)
    assert all(said in log for said in ("Rule made", "Rule switched off", "Rule deleted", "Deleted rule brought back"))


async def test_rows_of_the_editor_follow_what_is_asked_and_done(maya: Browser) -> None:
    for key, part in (
        ("order", 'value="late"'),
        ("orders", 'inputmode="decimal"'),
        ("waiting", "-unit"),
        ("open", '<option value="yes">'),
        ("store", "checkbox"),
        ("says", "<textarea"),
        ("field", "size=42"),
        ("rating", '<option value="5"'),
    ):
        row = await maya.get(f"{PAGE}/row", params={"side": "condition", "row": "ab", "c-ab-key": key}, headers=HX)
        assert f'<option value="{key}" selected>' in row.text
        assert part in row.text, key
    for do in ("tag", "note", "assign", "reply", "snooze", "field", "status", "team", "notify", "priority", "untag"):
        row = await maya.get(f"{PAGE}/row", params={"side": "deed", "row": "ab", "a-ab-do": do}, headers=HX)
        assert f'<option value="{do}" selected>' in row.text
    assert (await maya.get(f"{PAGE}/row", params={"side": "deed", "row": '"><b'})).status_code == 404


async def test_a_rule_is_saved_again_as_its_editor_shows_it(app: App, shop: Shop, maya: Browser) -> None:
    asked = {
        "c-2-key": "hour", "c-2-compare": "as", "c-2-value": ">=20, <8",
        "c-3-key": "waiting", "c-3-compare": ">", "c-3-value": "90", "c-3-unit": "m",
        "c-4-key": "order", "c-4-not": "yes", "c-4-value": "delivered",
    }  # fmt: skip
    row = await made(app, shop, maya, **asked)
    assert row.conditions.endswith("hour:>=20,<8 waiting:>90m -order:delivered")
    page = (await maya.get(f"{PAGE}/{row.id}")).text
    assert 'value="&gt;=20, &lt;8"' in page
    again = await maya.post(f"{PAGE}/{row.id}", data={**RULE, **asked, "name": "Night"}, headers=HX)
    assert again.status_code == 204
    async with app.db.transaction(shop.workspace_id) as tx:
        kept = await automation.find(tx, row.id)
    assert (kept.name, kept.conditions) == ("Night", row.conditions)


async def test_whose_the_settings_are_not_reads_the_log_and_nothing_else(
    app: App, shop: Shop, maya: Browser, sign_in: SignIn
) -> None:
    row = await made(app, shop, maya)
    lior = await sign_in(shop.colleagues["lior"].email or "")
    for path in (PAGE, f"{PAGE}/new", f"{PAGE}/{row.id}", f"{PAGE}/row"):
        assert (await lior.get(path)).status_code == 403
    for path in ("", "/try", f"/{row.id}", f"/{row.id}/delete", f"/{row.id}/switch", f"/{row.id}/restore"):
        assert (await lior.post(PAGE + path, data=RULE)).status_code == 403
    assert (await lior.get(f"/panel/conversations/{shop.talks['emma']}/rules")).status_code == 200
    assert "settings/rules" not in (await lior.get("/panel/settings")).text


async def test_another_workspaces_rules_are_not_there(app: App, shop: Shop, maya: Browser, sign_in: SignIn) -> None:
    row = await made(app, shop, maya)
    stranger = await sign_in((await seed(app)).email)
    assert (await stranger.get(f"{PAGE}/{row.id}")).status_code == 404
    for verb in ("", "/move", "/switch", "/copy", "/delete", "/restore"):
        assert (await stranger.post(f"{PAGE}/{row.id}{verb}", data=RULE)).status_code == 404
    assert (await stranger.get(f"/panel/conversations/{shop.talks['emma']}/rules")).status_code == 404
    assert "Torn goods" not in (await stranger.get(PAGE)).text
