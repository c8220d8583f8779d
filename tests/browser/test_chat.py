"""Live chat in real browsers: what messages carry and become, ratings, places, reading along, at both ends."""

from __future__ import annotations

import base64
import re
from uuid import UUID, uuid4

from playwright.async_api import expect
from sqlalchemy import select, update

from plugin.app import App
from plugin.conversations import changes, messages, presence
from plugin.conversations.conversations import Conversation
from plugin.conversations.messages import Message
from plugin.team import Agent, Role
from tests.admin_ui.shop import Panel, Shop
from tests.browser.chrome import needs_browser
from tests.browser.chrome import strict_browser as strict_browser
from tests.browser.test_panel import Open, hears, shopper_writes, texts
from tests.browser.test_panel import open_as as open_as
from tests.browser.test_panel import panel as panel
from tests.browser.test_panel import shop as shop
from tests.browser.test_widget import PHONE, PIXEL, Visit, until
from tests.browser.test_widget import peer as peer
from tests.browser.test_widget import visit as visit
from tests.browser.widget_stub import Peer

pytestmark = needs_browser
SOON = 15_000
# A picture pasted into a field, as browsers do it.
PASTED = """data => {
  const bytes = Uint8Array.from(atob(data), (sign) => sign.charCodeAt(0));
  const clipboardData = new DataTransfer();
  clipboardData.items.add(new File([bytes], "pasted.png", { type: "image/png" }));
  const pasted = new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true });
  document.querySelector("%s").dispatchEvent(pasted);
}"""


# The shopper's side


async def begun(visit: Visit, peer: Peer, locale: str = "en", **options: object):
    shopper = await visit(locale, **options)
    await shopper.chat()
    await shopper.on_line()
    await shopper.send("Hello")
    await until(lambda: len(peer.texts()) == 1)
    return shopper


async def test_a_deleted_message_says_so_and_shows_nothing_else(visit: Visit, peer: Peer) -> None:
    shopper = await begun(visit, peer)
    message = peer.say("The code is 1234")
    await shopper.shows("The code is 1234")
    message.update(text="", deleted_at=message["at"])
    peer.tell({"type": "message", "message": message})
    await shopper.shows("Message deleted")
    assert "1234" not in await shopper.find("body").inner_text()


async def test_cards_and_previews_are_read_at_a_glance_and_call_nobody(visit: Visit, peer: Peer) -> None:
    shopper = await begun(visit, peer, "ar", **PHONE)
    away: list[str] = []
    shopper.page.on("request", lambda asked: away.append(asked.url) if ".example" in asked.url else None)
    peer.files["pic"] = ({"kind": "image"}, PIXEL)
    picture = {"id": "pic", "kind": "image", "thumbnail": "/widget/files/pic", "width": 1, "height": 1}
    price = {"amount": 28900, "currency": "SAR", "exponent": 2}
    peer.say(
        "",
        cards=[
            {"kind": "product", "id": "1", "title": "عود كمبودي", "url": "https://shop.example/oud", "price": price,
             "from": True, "picture": picture},
            {"kind": "order", "id": "2", "title": "#1042", "url": "", "price": price, "state": "fulfilled"},
        ],
    )  # fmt: skip
    product = shopper.find(".card.product")
    await expect(product).to_contain_text("عود كمبودي", timeout=SOON)
    await expect(product).to_contain_text("289")
    await expect(product).to_have_attribute("rel", "noopener noreferrer")
    await expect(shopper.find(".card.order")).to_contain_text("#1042")
    peer.say(
        "https://shop.example/a",
        link={"url": "https://shop.example/a", "title": "Amber <b>", "description": "Five", "site": "shop.example"},
    )
    await expect(shopper.find(".link-card .title")).to_have_text("Amber <b>", timeout=SOON)
    assert away == []
    for card in await shopper.find(".card").all():
        box = await card.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390


async def test_how_it_was_is_told_with_stars_and_words(visit: Visit, peer: Peer) -> None:
    shopper = await begun(visit, peer, "he")
    peer.say("Done")
    conversation = peer.visitor().conversation
    assert conversation is not None
    conversation.status, conversation.rating = "resolved", {"score": None, "comment": ""}
    peer.tell({"type": "conversation", "conversation": conversation.public()})
    stars = shopper.find(".star")
    await expect(stars).to_have_count(5, timeout=SOON)
    await stars.nth(2).focus()
    await shopper.page.keyboard.press("ArrowLeft")  # onwards, in a right-to-left page
    await shopper.page.keyboard.press("Enter")
    await until(lambda: (conversation.rating or {}).get("score") == 4)
    await expect(shopper.find(".star.on")).to_have_count(4)
    await shopper.find(".rating textarea").fill("מהיר")
    await shopper.find(".rating .button").click()
    await until(lambda: (conversation.rating or {}).get("comment") == "מהיר")
    await expect(shopper.find(".rating .said")).to_have_text("מהיר")
    await expect(shopper.find(".rating textarea")).to_have_count(0)


async def test_a_sign_is_put_on_and_taken_off(visit: Visit, peer: Peer) -> None:
    shopper = await begun(visit, peer)
    message = peer.say("It is on its way")
    await shopper.shows("It is on its way")
    await shopper.find(".message.first.agent").hover()
    await shopper.find(".message.first.agent .sign-open").click()
    await shopper.find(".sign-choices:visible button").first.click()
    await expect(shopper.find(".message.first.agent .sign-chip")).to_have_text("👍", timeout=SOON)
    assert message["signs"][0]["sign"] == "👍"
    await shopper.find(".message.first.agent .sign-chip").click()
    await expect(shopper.find(".sign-chip")).to_have_count(0, timeout=SOON)
    await expect(shopper.find(".message.own .sign-open")).to_have_count(0)


async def test_who_waits_reads_their_place_and_nothing_that_nobody_knows(visit: Visit, peer: Peer) -> None:
    peer.place = {"position": 3, "minutes": 4}
    shopper = await begun(visit, peer)
    place = shopper.find(".place")
    await expect(place).to_have_text("2 before you. An answer takes about \u20684 minutes\u2069.", timeout=SOON)
    peer.place = {"position": 1, "minutes": None}
    await shopper.send("Anybody?")
    await expect(place).to_have_text("You are next.", timeout=SOON)
    peer.say("Here")
    await expect(place).to_be_hidden(timeout=SOON)


async def test_whoever_is_read_along_is_told_so(visit: Visit, peer: Peer) -> None:
    shopper = await begun(visit, peer)
    await expect(shopper.find(".told")).to_have_count(0)
    await shopper.find("textarea").press_sequentially("hi there")
    await until(lambda: bool(peer.typed))
    assert set(peer.typed) == {""}
    peer.config["typing_preview"] = True
    watched = await visit()
    await watched.chat()
    await watched.on_line()
    await expect(watched.find(".told")).to_be_visible()
    await watched.find("textarea").press_sequentially("is it oud")
    await until(lambda: "is it oud" in peer.typed)


async def test_too_many_messages_wait_with_polite_words_and_go_out(visit: Visit, peer: Peer) -> None:
    shopper = await begun(visit, peer)
    peer.busy = 2
    await shopper.send("one more")
    await expect(shopper.find(".state")).to_have_text("That was a lot in a short time.", timeout=SOON)
    await until(lambda: peer.texts()[-1] == "one more", 20)
    await expect(shopper.find(".state")).to_have_text("Sent", timeout=SOON)


async def test_emoji_and_pictures_go_into_the_message(visit: Visit, peer: Peer) -> None:
    shopper = await begun(visit, peer)
    await shopper.find(".emoji-open").click()
    await shopper.find(".emoji button:text-is('🎁')").click()
    await expect(shopper.find("textarea")).to_have_value("🎁")
    await shopper.find(".emoji button").first.press("Escape")
    await expect(shopper.find(".emoji")).to_be_hidden()
    await expect(shopper.find("textarea")).to_be_visible()
    await shopper.frame.evaluate(
        PASTED % "textarea",
        base64.b64encode(PIXEL).decode(),
    )
    await expect(shopper.find(".tray .file.here")).to_have_count(1, timeout=SOON)
    await shopper.find("textarea").press("Enter")
    await expect(shopper.find(".own a.image img")).to_be_visible(timeout=SOON)


async def test_a_copy_is_offered_only_to_a_proven_address(visit: Visit, peer: Peer) -> None:
    stranger = await begun(visit, peer)
    await expect(stranger.find(".copy")).to_have_count(0)
    peer.proven = True
    known = await visit(context=stranger.page.context)
    await known.open()
    await known.find(".door").first.click()
    await known.find(".copy").click()
    await expect(known.find(".line-note")).to_have_text("A copy goes to \u2068ana@mail.example\u2069", timeout=SOON)


# The agent's side


async def test_a_message_is_edited_in_place_and_the_other_window_follows(
    app: App, panel: Panel, shop: Shop, open_as: Open
) -> None:
    here = await open_as(shop.email, f"inbox/{shop.talks['emma']}")
    there = await open_as(shop.colleagues["karim"].email or "", f"inbox/{shop.talks['emma']}")
    await here.fill("#words", "All five are ambres")
    await here.press("#words", "Control+Enter")
    mine = here.locator(".message.by-agent", has_text="All five are ambres")
    await expect(there.locator(".by-agent .text")).to_have_text("All five are ambres", timeout=SOON)
    await mine.hover()
    await mine.locator(".tools summary").click()
    await here.get_by_role("button", name="Edit").click()
    await here.locator(".editing textarea").fill("All five are ambers")
    # Somebody else's sign arrives meanwhile: the words in the form stay.
    async with app.db.transaction(shop.workspace_id) as tx:
        message = (await tx.scalars(select(Message).where(Message.text == "All five are ambres"))).one()
        await changes.react(tx, message, "👍", by=shop.colleagues["karim"], on=True)
    await expect(there.locator(".by-agent .sign-chip")).to_have_text("👍", timeout=SOON)
    await expect(here.locator(".editing textarea")).to_have_value("All five are ambers")
    await here.locator(".editing textarea").press("Control+Enter")
    await expect(here.locator(".by-agent .text")).to_have_text("All five are ambers", timeout=SOON)
    await expect(there.locator(".by-agent .text")).to_have_text("All five are ambers", timeout=SOON)
    await expect(there.locator(".by-agent .meta")).to_contain_text("edited")
    line = here.locator(".message.by-agent")
    await line.hover()
    await line.locator(".tools summary").click()
    await expect(here.locator(".versions")).to_contain_text("All five are ambres", timeout=SOON)
    await here.get_by_role("button", name="Delete").click()
    await expect(there.locator(".by-agent .gone")).to_be_visible(timeout=SOON)
    await here.get_by_role("button", name="Undo").click()
    await expect(there.locator(".by-agent .text")).to_have_text("All five are ambers", timeout=SOON)


async def test_who_loses_the_right_while_typing_keeps_the_words(
    app: App, panel: Panel, shop: Shop, open_as: Open
) -> None:
    noa = shop.colleagues["noa"]
    page = await open_as(noa.email or "", f"inbox/{shop.talks['emma']}")
    await page.fill("#words", "I was about to say")
    async with app.db.transaction(shop.workspace_id) as tx:
        await tx.execute(update(Agent).where(Agent.id == noa.id).values(role=Role.LIGHT))
    await page.press("#words", "Control+Enter")
    await expect(page.locator(".toast")).to_contain_text("Your role does not allow that.", timeout=SOON)
    await expect(page.locator(".message.is-failed .text")).to_have_text("I was about to say")
    assert "I was about to say" not in await texts(app, shop, "emma")


async def test_a_product_goes_out_as_a_card_with_answers_to_choose_from(
    app: App, panel: Panel, shop: Shop, open_as: Open
) -> None:
    page = await open_as(shop.email, f"inbox/{shop.talks['emma']}")
    await page.locator("#carry summary").click()
    await page.locator(".offer", has_text="1051").click()
    await page.locator("#answers summary").click()
    await page.fill("[data-answers]", "Yes\nNo")
    await page.locator("[data-answers-add]").click()
    await expect(page.locator("#files .chip")).to_have_count(3)
    await page.press("#words", "Control+Enter")
    await expect(page.locator(".by-agent .sent-card")).to_contain_text("1051", timeout=SOON)
    await expect(page.locator(".by-agent .sent-answers li")).to_have_text(["Yes", "No"])
    await expect(page.locator("#files .chip")).to_have_count(0)


async def test_a_pasted_picture_and_an_emoji_land_in_the_composer(panel: Panel, shop: Shop, open_as: Open) -> None:
    page = await open_as(shop.email, f"inbox/{shop.talks['emma']}")
    await page.locator("[data-emoji]").click()
    await page.locator("#emoji button", has_text="🎉").click()
    await expect(page.locator("#words")).to_have_value("🎉")
    await page.evaluate(
        PASTED % "#words",
        base64.b64encode(PIXEL).decode(),
    )
    await expect(page.locator("#files .chip[data-id]")).to_contain_text("pasted.png", timeout=SOON)


async def test_handing_over_leaves_a_whisper(app: App, panel: Panel, shop: Shop, open_as: Open) -> None:
    page = await open_as(shop.email, f"inbox/{shop.talks['emma']}")
    karim = shop.colleagues["karim"]
    await page.locator("#hand-over summary").click()
    await page.locator("#hand-over select").select_option(str(karim.id))
    await page.locator("#hand-over textarea").fill("She asked twice")
    await page.locator("#hand-over button.primary").click()
    await expect(page.locator("#assign")).to_have_value(str(karim.id), timeout=SOON)
    await expect(page.locator(".message.is-note .text")).to_contain_text("She asked twice", timeout=SOON)


async def test_agents_read_along_and_it_is_gone_when_it_is_sent(
    app: App, panel: Panel, shop: Shop, open_as: Open
) -> None:
    page = await open_as(shop.email, "settings")
    await page.locator("#chat input[name=typing_preview]").check()
    await page.locator("#chat button").click()
    await expect(page.locator("#chat .saved")).to_be_visible(timeout=SOON)
    await page.goto(f"{panel.url}/panel/inbox/{shop.talks['emma']}")
    await hears(page)
    await presence.shopper_types(app.hub, shop.workspace_id, shop.talks["emma"], "is the oud <i>real")
    topic = f"panel:conversation:{shop.talks['emma']}"
    await app.hub.publish(shop.workspace_id, [(topic, {"type": "typing", "who": "shopper"})])
    await expect(page.locator("#typed .typed-words")).to_have_text("is the oud <i>real", timeout=SOON)
    await shopper_writes(app, shop, "emma", "is the oud real?")
    await expect(page.locator("#typed")).to_be_hidden(timeout=SOON)


async def test_a_chat_with_everything_sticks_out_nowhere(app: App, panel: Panel, shop: Shop, open_as: Open) -> None:
    async with app.db.transaction(shop.workspace_id) as tx:
        talk = await tx.get(Conversation, shop.talks["huda"])
        assert talk is not None
        said = await messages.reply(
            tx, talk, shop.owner, uuid4(), "x" * 300, (),
            {"replies": [{"id": "1", "text": "نعم"}],
             "cards": [{"kind": "product", "id": str(uuid4()), "title": "w" * 120, "url": "https://a.example/"}]},
        )  # fmt: skip
        message = await tx.get(Message, UUID(said["id"]))
        assert message is not None
        for who in (shop.owner, shop.colleagues["karim"]):
            await changes.react(tx, message, "👍", by=who, on=True)
    for size in ("phone", "desk"):
        page = await open_as(shop.email, f"inbox/{shop.talks['huda']}", size=size)
        wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, size
        await expect(page.locator(".sent-card")).to_be_visible()
        assert re.search("2", await page.locator(".sign-chip").inner_text())
