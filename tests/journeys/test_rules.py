"""An agent writes a rule, a shopper's message fires it, and everybody sees why."""

from collections.abc import Callable
from html import unescape
from typing import Any
from uuid import uuid4

from plugin.automations.automation import RuleRow
from plugin.conversations.conversations import Conversation
from plugin.stores import Store
from tests.journeys.conftest import Owner, Shopper, World, csrf


async def test_a_rule_answers_a_shopper_through_the_worker_and_the_conversation_says_why(
    world: World, woo_store: Store, owner: Owner, shopper: Callable[[Store], Shopper]
) -> None:
    page = await owner.browser.get(f"{world.url}/panel/settings/rules/new")
    assert page.status_code == 200
    form = {
        "name": "Broken goods", "trigger": "received",
        "c-0-key": "says", "c-0-not": "no", "c-0-value": "שבור, مكسور, broken",
        "a-0-do": "tag", "a-0-value": "broken",
        "a-1-do": "reply", "a-1-value": "", "a-1-text-he": "סליחה, בודקים", "a-1-text-en": "Sorry, we look into it",
    }  # fmt: skip
    saved = await owner.browser.post(f"{world.url}/panel/settings/rules", form, **{"x-csrf-token": csrf(page.text)})
    assert saved.status_code < 400, saved.text
    visitor = shopper(woo_store)
    await visitor.open(locale="he")
    await visitor.say("הצלחת הגיעה שבורה", str(uuid4()))
    [heard] = await visitor.hear(after=1, wait=25)
    assert (heard["author"], heard["text"]) == ("bot", "סליחה, בודקים")
    assert "rule" not in heard, "which rule it was stays in the team"

    async def found() -> Any:
        rows = await world.all(woo_store.workspace_id, Conversation, Conversation.preview == "סליחה, בודקים")
        return rows[0] if rows else None

    talk = await world.until(found, what="the conversation")
    shown = unescape((await owner.browser.get(f"{world.url}/panel/inbox/{talk.id}")).text)
    assert "By the rule “\u2068Broken goods\u2069”" in shown
    why = unescape((await owner.browser.get(f"{world.url}/panel/conversations/{talk.id}/rules")).text)
    assert "Broken goods" in why
    assert len(await world.all(woo_store.workspace_id, RuleRow)) > 8, "the first set was there before"
