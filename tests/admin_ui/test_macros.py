"""Macros, calls and held replies over HTTP: who may, what is shown, what is sent."""

import asyncio
from uuid import UUID, uuid4

import pytest
from markupsafe import escape

from plugin import stores
from plugin.app import App
from plugin.conversations import macros, messages
from plugin.conversations.conversations import Conversation
from plugin.conversations.macros import Draft
from plugin.knowledge import articles, search, snippets
from plugin.knowledge.articles import Kind
from plugin.team import Agent
from tests.admin_ui.conftest import Browser, SignIn
from tests.admin_ui.shop import Shop

HX = {"hx-request": "true", "hx-request-type": "partial"}


@pytest.fixture
async def maya(shop: Shop, sign_in: SignIn) -> Browser:
    return await sign_in(shop.email)


async def make(app: App, shop: Shop, by: Agent, texts: dict[str, str], *actions: str, shared: bool = True) -> UUID:
    async with app.db.transaction(shop.workspace_id) as tx:
        return (await macros.write(tx, by, Draft("Where is it", texts, actions, shared))).id


async def state(app: App, shop: Shop, name: str) -> tuple[Conversation, list[str]]:
    async with app.db.transaction(shop.workspace_id) as tx:
        found = await tx.get(Conversation, shop.talks[name])
        said = [message.text for message in await messages.thread(tx, shop.talks[name])]
    assert found is not None
    return found, said


async def note(app: App, shop: Shop, name: str, by: str, text: str) -> None:
    async with app.db.transaction(shop.workspace_id) as tx:
        talk = await tx.get(Conversation, shop.talks[name])
        assert talk is not None
        await messages.note(tx, talk, shop.colleagues[by], uuid4(), text)


def talk(shop: Shop, name: str) -> str:
    return f"/panel/conversations/{shop.talks[name]}"


async def test_the_shoppers_language_chooses_and_what_is_missing_stays(app: App, shop: Shop, maya: Browser) -> None:
    texts = {"ar": "طلبكم {{ order.number }}: {{ tracking.link }}", "en": "Order {{ order.number }}"}
    id = await make(app, shop, shop.owner, texts, "tag:vip")
    strip = await maya.get(f"{talk(shop, 'huda')}/macros/{id}", headers=HX)
    assert 'data-text="طلبكم #1042: {{ tracking.link }}"' in strip.text
    assert 'data-deed="tag:vip"' in strip.text
    other = await maya.get(f"{talk(shop, 'huda')}/macros/{id}", params={"locale": "en"}, headers=HX)
    assert 'data-text="Order #1042"' in other.text
    assert 'data-text="Order #' in (await maya.get(f"{talk(shop, 'emma')}/macros/{id}", headers=HX)).text


async def snippet(app: App, shop: Shop, **texts: tuple[str, str]) -> UUID:
    """A published snippet; the first language is its source."""
    async with app.db.transaction(shop.workspace_id) as tx:
        made = await articles.create(tx, shop.owner.id, Kind.SNIPPET, next(iter(texts)))
        for code, (title, body) in texts.items():
            await articles.write(tx, made, code, title, body, by=shop.owner.id)
            await articles.publish(tx, made, code, by=shop.owner)
        await search.index(tx, [made.id])
        return made.id


async def test_a_macro_says_a_snippet_in_the_language_of_the_answer(app: App, shop: Shop, maya: Browser) -> None:
    await snippet(app, shop, en=("Opening hours", "We are open **from 9 to 5**."), ar=("مواعيد العمل", "من 9 إلى 5."))
    await snippet(app, shop, en=("Holidays", "Closed on Fridays."))
    texts = {"ar": "أهلًا. {{ snippet.opening-hours }} {{ snippet.holidays }}", "en": "{{ snippet.opening-hours }}"}
    id = await make(app, shop, shop.owner, texts)
    strip = (await maya.get(f"{talk(shop, 'huda')}/macros/{id}", headers=HX)).text
    assert 'data-text="أهلًا. من 9 إلى 5. Closed on Fridays."' in strip
    assert "Holidays\u2069: not there in the language of the answer" in strip, "what is in another language is said"
    assert "Opening hours\u2069: not there" not in strip
    english = (await maya.get(f"{talk(shop, 'emma')}/macros/{id}", headers=HX)).text
    assert 'data-text="We are open from 9 to 5."' in english
    assert "not there" not in english


async def test_a_macro_with_a_snippet_that_is_not_there_is_not_kept_and_one_that_went_is_told(
    app: App, shop: Shop, maya: Browser
) -> None:
    id = await snippet(app, shop, en=("Opening hours", "From 9 to 5."))
    form = {"name": "Hours", "text-en": "{{ snippet.no-such }}", "shared": "yes"}
    refused = await maya.post("/panel/settings/macros", data=form, headers=HX)
    assert (refused.status_code, "There is no snippet called no-such" in refused.text) == (422, True)
    kept = await maya.post(
        "/panel/settings/macros", data={**form, "text-en": "{{ snippet.opening-hours }}"}, headers=HX
    )
    assert kept.status_code in (200, 204, 303)
    async with app.db.transaction(shop.workspace_id) as tx:
        row = (await articles.find(tx, id)).article
        await articles.rename(tx, row, "en", "when-open", by=shop.owner)
        macro = next(one.macro.id for one in await macros.listed(tx, shop.owner) if one.macro.name == "Hours")
    address = f"{talk(shop, 'emma')}/macros/{macro}"
    assert 'data-text="From 9 to 5."' in (await maya.get(address, headers=HX)).text, "its former name leads to it"
    async with app.db.transaction(shop.workspace_id) as tx:
        await articles.remove(tx, (await articles.find(tx, id)).article, by=shop.owner)
    assert 'data-text="{{ snippet.opening-hours }}"' in (await maya.get(address, headers=HX)).text
    sent = await maya.post(
        f"{talk(shop, 'emma')}/reply",
        data={"text": "{{ snippet.opening-hours }}", "client_id": str(uuid4())},
        headers=HX,
    )
    assert sent.status_code == 409
    assert "the snippet \u2068opening-hours\u2069" in sent.json()["error"]["message"]


async def test_tags_of_a_macro_are_told_apart_by_arabic_commas_too(app: App, shop: Shop, maya: Browser) -> None:
    form = {"name": "Gift", "text-ar": "تم التغليف.", "tags": "هدية، عاجل, vip"}
    assert (await maya.post("/panel/settings/macros", data=form, headers=HX)).status_code in (200, 204, 303)
    async with app.db.transaction(shop.workspace_id) as tx:
        kept = next(one.macro for one in await macros.listed(tx, shop.owner) if one.macro.name == "Gift")
    assert list(kept.actions) == ["tag:هدية", "tag:عاجل", "tag:vip"]


async def test_snippets_are_found_by_their_titles_where_a_macro_is_written(app: App, shop: Shop, maya: Browser) -> None:
    await snippet(app, shop, en=("Opening hours", "From 9 to 5."))
    await snippet(app, shop, en=("Holidays", "Closed."))
    page = (await maya.get("/panel/settings/macros/new")).text
    assert 'data-put="{{ snippet.opening-hours }}"' in page
    found = (await maya.get("/panel/settings/macros/snippets", params={"find-snippet": "holi"}, headers=HX)).text
    assert 'data-put="{{ snippet.holidays }}"' in found
    assert "opening-hours" not in found


async def test_a_name_is_of_whom_it_is_today_and_of_any_language_that_a_snippet_had(
    app: App, shop: Shop, maya: Browser
) -> None:
    first = await snippet(app, shop, en=("Delivery", "Two days."), he=("משלוח", "יומיים."))
    async with app.db.transaction(shop.workspace_id) as tx:
        await articles.rename(tx, (await articles.find(tx, first)).article, "en", "shipping", by=shop.owner)
    await snippet(app, shop, en=("Delivery", "By bicycle."))
    async with app.db.transaction(shop.workspace_id) as tx:
        await articles.unpublish(tx, (await articles.find(tx, first)).article, "he", by=shop.owner)
        found = await snippets.named(tx, ["delivery", "shipping", "משלוח"], None, "en")
    assert {name: one.words for name, one in found.items()} == {
        "delivery": "By bicycle.", "shipping": "Two days.", "משלוח": "Two days."
    }  # fmt: skip


async def test_a_snippet_of_one_shop_names_it_where_a_macro_is_written(app: App, shop: Shop, maya: Browser) -> None:
    id = await snippet(app, shop, en=("Gift wrapping", "Five dinars."))
    async with app.db.transaction(shop.workspace_id) as tx:
        (found, *_others) = await stores.all_stores(tx)
        (await articles.find(tx, id)).article.store_id = found.id
    page = (await maya.get("/panel/settings/macros/new")).text
    assert f'<bdi>Gift wrapping</bdi> <bdi class="faint">· {escape(found.name)}</bdi>' in page


async def test_a_snippet_in_another_language_is_offered_as_such(app: App, shop: Shop, maya: Browser) -> None:
    await snippet(app, shop, en=("Zanzibar hours", "From 9 to 5."))
    offered = (await maya.get(f"{talk(shop, 'huda')}/macros", params={"q": "zanzibar"}, headers=HX)).text
    assert '<bdi lang="en">English</bdi>' in offered
    same = (await maya.get(f"{talk(shop, 'emma')}/macros", params={"q": "zanzibar"}, headers=HX)).text
    assert "Zanzibar" in same
    assert '<bdi lang="en">' not in same


async def test_the_palette_offers_what_one_may_use(app: App, shop: Shop, maya: Browser, sign_in: SignIn) -> None:
    own = await make(app, shop, shop.owner, {"en": "x"}, shared=False)
    path = f"{talk(shop, 'huda')}/macros"
    assert str(own) in (await maya.get(path, headers=HX)).text
    assert "No macro has these words." in (await maya.get(path, params={"q": "zebra"}, headers=HX)).text
    noa = await sign_in(shop.colleagues["noa"].email or "")
    assert str(own) not in (await noa.get(path, headers=HX)).text
    assert (await noa.get(f"{path}/{own}", headers=HX)).status_code == 404
    assert (await noa.post(f"{path}/{own}/do", data={"action": "status:resolved"}, headers=HX)).status_code == 404
    assert (await noa.get(f"/panel/settings/macros/{own}")).status_code == 404
    lior = await sign_in(shop.colleagues["lior"].email or "")
    for refused in (path, "/panel/settings/macros", f"{path}/{own}"):
        assert (await lior.get(refused, headers=HX)).status_code == 403, "who does not reply has no macros"


async def test_a_reply_does_what_is_left_of_its_macro_and_a_resend_nothing_more(
    app: App, shop: Shop, maya: Browser
) -> None:
    id = await make(app, shop, shop.owner, {"en": "x"}, "tag:vip", "priority:3", "status:resolved")
    form = {"client_id": str(uuid4()), "text": "Done", "macro": str(id),
            "action": ["priority:3", "status:resolved", "status:pending", "tag:never"]}  # fmt: skip
    assert (await maya.post(f"{talk(shop, 'emma')}/reply", data=form, headers=HX)).status_code == 200
    found, said = await state(app, shop, "emma")
    assert (found.status, found.priority, said[-1]) == ("resolved", 3, "Done")
    page = (await maya.get(f"/panel/inbox/{shop.talks['emma']}")).text
    assert '<form class="tag"' not in page, "left out, and what the macro does not say is not done either"
    assert (await maya.post(f"{talk(shop, 'emma')}/status", data={"to": "open"}, headers=HX)).status_code == 200
    assert (await maya.post(f"{talk(shop, 'emma')}/reply", data=form, headers=HX)).status_code == 200
    found, again = await state(app, shop, "emma")
    assert (found.status, again) == ("open", said), "a resend answers as before and does nothing"
    async with app.db.transaction(shop.workspace_id) as tx:
        assert [(one.mine, one.all) for one in await macros.available(tx, shop.owner)] == [(1, 1)]


async def test_a_reply_is_held_back_until_what_moved_was_confirmed(app: App, shop: Shop, maya: Browser) -> None:
    path = f"{talk(shop, 'emma')}/reply"
    form = {"client_id": str(uuid4()), "text": "Only ambers", "seen": "1"}
    await note(app, shop, "emma", "noa", "I asked the warehouse")
    held = await maya.post(path, data=form, headers=HX)
    assert held.status_code == 409
    said = held.json()
    assert said["error"]["code"] == "held_back"
    assert "נועה לוי" in said["error"]["message"]
    assert said["held"] == {"seen": 2, "as_it_is": ""}
    assert (await state(app, shop, "emma"))[1][-1] == "I asked the warehouse"
    confirmed = {**form, "seen": "2"}
    await note(app, shop, "emma", "karim", "me too")
    assert (await maya.post(path, data=confirmed, headers=HX)).json()["held"]["seen"] == 3
    both = await asyncio.gather(*(maya.post(path, data={**form, "seen": "3"}, headers=HX) for _ in range(2)))
    assert [answer.status_code for answer in both] == [200, 200]
    assert (await state(app, shop, "emma"))[1].count("Only ambers") == 1
    # One's own words, not shown yet, are no news.
    more = {"client_id": str(uuid4()), "text": "And more", "seen": "3"}
    assert (await maya.post(path, data=more, headers=HX)).status_code == 200


async def test_two_who_answer_at_once_are_told_of_each_other(
    app: App, shop: Shop, maya: Browser, sign_in: SignIn
) -> None:
    karim = await sign_in(shop.colleagues["karim"].email or "")
    path = f"{talk(shop, 'emma')}/reply"
    answers = await asyncio.gather(
        *(who.post(path, data={"client_id": str(uuid4()), "text": "Hi", "seen": "1"}, headers=HX)
          for who in (maya, karim))
    )  # fmt: skip
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    assert (await state(app, shop, "emma"))[1].count("Hi") == 1


async def test_a_name_that_nothing_filled_in_goes_only_as_one_says(app: App, shop: Shop, maya: Browser) -> None:
    path = f"{talk(shop, 'emma')}/reply"
    form = {"client_id": str(uuid4()), "text": "See {{ tracking.link }} and {{ tracking.number | your mail }}"}
    held = await maya.post(path, data=form, headers=HX)
    assert held.status_code == 409
    assert "the carrier's page and the tracking number" in held.json()["error"]["message"]
    assert (await maya.post(path, data={**form, "as_it_is": "yes"}, headers=HX)).status_code == 200
    braces = {"client_id": str(uuid4()), "text": "Write {{ anything }} or {size}"}
    assert (await maya.post(path, data=braces, headers=HX)).status_code == 200


async def test_a_note_calls_only_who_has_access(app: App, shop: Shop, maya: Browser) -> None:
    path = f"{talk(shop, 'emma')}/note"
    await maya.post(f"/panel/team/{shop.colleagues['noa'].id}/deactivate")
    people = (await maya.get("/panel/people", headers=HX)).text
    assert 'data-name="كريم سعيد"' in people
    assert 'data-name="نועה' not in people
    assert "Maya" not in people
    form = {"client_id": str(uuid4()), "text": "@x", "mention": str(shop.colleagues["noa"].id)}
    refused = await maya.post(path, data=form, headers=HX)
    assert refused.status_code == 422
    assert refused.json()["error"]["code"] == "mention_nobody"
    called = {"client_id": str(uuid4()), "text": "@كريم سعيد؟", "mention": str(shop.colleagues["karim"].id)}
    assert '<span class="mention">@كريم سعيد</span>؟' in (await maya.post(path, data=called, headers=HX)).text


async def test_the_teams_order_archive_and_words_are_for_whom_they_are(
    app: App, shop: Shop, maya: Browser, sign_in: SignIn
) -> None:
    id = await make(app, shop, shop.owner, {"en": "x"}, f"assign:{shop.colleagues['noa'].id}")
    noa = await sign_in(shop.colleagues["noa"].email or "")
    page = await noa.get(f"/panel/settings/macros/{id}")
    assert "Somebody else made this macro for the team." in page.text
    listed = await noa.get("/panel/settings/macros")
    assert f"macros/{id}/archive" not in listed.text
    for verb, form in (("", {"name": "mine", "text-en": "y"}), ("/archive", {}), ("/move", {"step": "up"})):
        assert (await noa.post(f"/panel/settings/macros/{id}{verb}", data=form, headers=HX)).status_code == 403, verb
    await maya.post(f"/panel/team/{shop.colleagues['noa'].id}/deactivate")
    assert "has no conversations any more" in (await maya.get("/panel/settings/macros")).text
    wrong = await maya.post(f"/panel/settings/macros/{id}", data={"name": "n", "text-en": "{{ x }}"}, headers=HX)
    assert wrong.status_code == 422
    assert "{{ x }}" in wrong.text
    assert "There is nothing called x to fill in." in wrong.text


async def test_the_line_of_colleagues_is_empty_when_nobody_else_is_here(shop: Shop, maya: Browser) -> None:
    assert (await maya.post(f"{talk(shop, 'emma')}/writing", headers=HX)).status_code == 204
    line = (await maya.get(f"{talk(shop, 'emma')}/colleagues", headers=HX)).text
    assert "hidden" in line.split(">")[0], "oneself is no colleague"
