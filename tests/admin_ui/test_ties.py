"""Numbers of the customer's orders in messages lead to the order, and to no stranger's; tying from the desk, undone."""

import json
import re
from html.parser import HTMLParser
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from admin_ui.look import typed
from plugin.app import App
from plugin.conversations import ties
from plugin.conversations.conversations import Conversation
from plugin.crm.orders import Order
from tests.admin_ui.conftest import Browser, SignIn
from tests.admin_ui.shop import Shop
from tests.admin_ui.test_work import at
from tests.browser.test_panel import shopper_writes

LINKS = {"1042": ("/o/1", "/o/1/sheet"), "ar 1003": ("/o/2", "/o/2/sheet"), "57": ("/o/3", "/o/3/sheet")}
_LINK = re.compile(r'<a class="order-link whole" href="(/o/\d)" data-sheet="/o/\d/sheet" dir="ltr">([^<]*)</a>')


@pytest.mark.parametrize(
    ("said", "linked"),
    [
        ("where is #1042?", ["#1042"]), ("where is 1042.", ["1042"]), ("(1042)", ["1042"]),
        ("وين طلبي ١٠٤٢؟", ["١٠٤٢"]),
        ("طلب رقم #١٠٤٢", ["#١٠٤٢"]), ("طلب۱۰۴۲", ["۱۰۴۲"]), ("מה עם הזמנה ל-1042?", ["1042"]), ("הזמנה1042", ["1042"]),
        ("AR-1003 and ar-1003", ["AR-1003", "ar-1003"]), ("AR1003", []), ("#57", ["#57"]), ("57 pieces", []),
        ("1042 and again #1042", ["1042", "#1042"]), ("11042", []), ("10420", []), ("1042.50 SAR", []), ("1,042", []),
        ("X-1042", []), ("10:1042", []), ("2026-1042", []), ("call +966 1042 1042 1042", []),
        ("https://shop.example/orders/1042", []), ("a1042", []), ("1042-1042", []), ("", []),
    ],
)  # fmt: skip
def test_numbers_of_known_orders_are_links_and_nothing_else_is(said: str, linked: list[str]) -> None:
    assert [found[1] for found in _LINK.findall(typed(said, orders=LINKS))] == linked
    assert _LINK.findall(typed(said)) == []


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert {name for name, _value in attrs} <= {"class", "href", "data-sheet", "dir", "target", "rel"}

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@given(
    st.lists(st.sampled_from(["<b>", "#1042", "١٠٤٢", '"', "'", "&", "AR-1003", " ", "/", "x", "</a>", "\u202e", "-"]))
)
def test_whatever_was_written_reads_as_it_was_and_makes_no_markup(parts: list[str]) -> None:
    said = "".join(parts)
    reader = _Words()
    reader.feed(typed(said, orders=LINKS))
    reader.close()
    assert "".join(reader.words) == said
    assert reader.tags <= {"a", "bdi"}
    assert typed(said, orders={}) == typed(said)


@pytest.fixture
async def maya(shop: Shop, sign_in: SignIn) -> Browser:
    return await sign_in(shop.email)


async def order(app: App, shop: Shop, name: str) -> Order:
    async with app.db.transaction(shop.workspace_id) as tx:
        found = await tx.scalar(select(Order).where(Order.name == name))
    assert found is not None
    return found


async def test_a_message_links_the_customers_own_order_and_only_those(app: App, shop: Shop, maya: Browser) -> None:
    own = await order(app, shop, "#1042")
    await shopper_writes(app, shop, "huda", "وين طلبي ١٠٤٢؟ <b>1042</b>")
    page = await maya.get(f"/panel/inbox/{shop.talks['huda']}")
    link = f'href="/panel/orders/{own.id}" data-sheet="/panel/orders/{own.id}/sheet?conversation={shop.talks["huda"]}"'
    assert page.text.count(link) == 3, "and in what stood there before"
    assert "&lt;b&gt;" in page.text
    more = await maya.get(at(shop, "huda", "/messages?after=0"))
    assert more.text.count(link) == 3
    await shopper_writes(app, shop, "emma", "is it #1042?")
    strangers = await maya.get(f"/panel/inbox/{shop.talks['emma']}")
    assert "#1042" in strangers.text
    assert "order-link" not in strangers.text, "somebody else's"


async def test_an_order_has_a_page_and_a_sheet_and_no_other_workspace_opens_it(
    app: App, shop: Shop, maya: Browser, empty_shop: Shop, sign_in: SignIn
) -> None:
    own = await order(app, shop, "#1042")
    page = await maya.get(f"/panel/orders/{own.id}")
    assert "<h1>Order <bdi" in page.text
    assert "Refund, cancel and more" in page.text
    sheet = await maya.get(f"/panel/orders/{own.id}/sheet?conversation={shop.talks['huda']}")
    assert "Tie the conversation to it" in sheet.text
    assert (await maya.get(f"/panel/orders/{uuid4()}")).status_code == 404
    stranger = await sign_in(empty_shop.email)
    for path in (f"orders/{own.id}", f"orders/{own.id}/sheet", f"conversations/{shop.talks['huda']}/ties"):
        assert (await stranger.get(f"/panel/{path}")).status_code == 404, path


async def test_a_conversation_is_tied_by_number_said_beside_it_and_undone(app: App, shop: Shop, maya: Browser) -> None:
    own = await order(app, shop, "#1042")
    dialog = await maya.get(at(shop, "emma", "/ties/choose"))
    assert str(own.id) not in dialog.text, "another customer's is offered to whoever asks for it by its number"
    dialog = await maya.get(at(shop, "emma", "/ties/choose?number=%D9%A1%D9%A0%D9%A4%D9%A2"))
    if own.store_id != await store_of(app, shop, "emma"):
        assert "No order of this store has this number." in dialog.text
    done = await tie(maya, shop, "huda", own.id)
    assert done["text"] == "Tied to the order \u2066#1042\u2069."
    beside = await maya.get(at(shop, "huda", "/ties"))
    assert "This conversation is about" in beside.text
    assert "#1042" in beside.text
    thread = await maya.get(f"/panel/inbox/{shop.talks['huda']}")
    assert "tied this to the order" in thread.text
    offered = await maya.get(at(shop, "huda", "/ties/choose"))
    assert offered.text.count(f'value="{own.id}"') == 1, "once, to be untied"
    listed = await maya.get("/panel/inbox", params={"q": "order:1042"})
    assert f'data-row="{shop.talks["huda"]}"' in listed.text
    assert f'data-row="{shop.talks["emma"]}"' not in listed.text
    back = await maya.post(str(done["action"]), data=done["values"])
    assert back.status_code == 204
    assert (await maya.get(at(shop, "huda", "/ties"))).text.strip() == ""
    assert "untied this from the order" in (await maya.get(f"/panel/inbox/{shop.talks['huda']}")).text


async def test_what_is_not_there_of_another_store_or_for_a_light_agent_is_refused(
    app: App, shop: Shop, maya: Browser, sign_in: SignIn
) -> None:
    own = await order(app, shop, "#1042")
    path = at(shop, "huda", "/ties")
    for what, id in (("order", uuid4()), ("return", own.id), ("cart", own.id)):
        assert (await maya.post(path, data={"what": what, "id": str(id)})).status_code == 404
    (elsewhere, *_rest) = [key for key in shop.talks if await store_of(app, shop, key) != own.store_id]
    refused = await maya.post(at(shop, elsewhere, "/ties"), data={"what": "order", "id": str(own.id)})
    assert refused.json()["error"]["code"] == "tie_store"
    light = next(agent for agent in shop.colleagues.values() if agent.role == "light")
    browser = await sign_in(light.email or "")
    assert (await browser.post(path, data={"what": "order", "id": str(own.id)})).status_code == 403
    assert (await browser.get(path)).status_code == 200


async def store_of(app: App, shop: Shop, name: str) -> UUID | None:
    async with app.db.transaction(shop.workspace_id) as tx:
        found: UUID | None = await tx.scalar(
            select(ties.Conversation.store_id).where(ties.Conversation.id == shop.talks[name])
        )
    return found


async def tie(browser: Browser, shop: Shop, name: str, id: UUID) -> dict[str, object]:
    answer = await browser.post(at(shop, name, "/ties"), data={"what": "order", "id": str(id)})
    assert answer.status_code == 204, answer.text
    return dict(json.loads(answer.headers["hx-trigger"])["ahlan:toast"])


async def test_whoever_called_a_visitor_back_ties_the_order_and_begins_the_return_from_there(
    app: App, shop: Shop, maya: Browser
) -> None:
    async with app.db.transaction(shop.workspace_id) as tx:
        talk = await tx.get(Conversation, UUID(str(shop.talks["emma"])))
        assert talk is not None
        talk.customer_id = None
        order_id = await tx.scalar(
            select(Order.id).where(Order.store_id == talk.store_id, Order.deleted_at.is_(None)).limit(1)
        )
    assert order_id is not None
    begin = f"/panel/orders/{order_id}/returns/new?conversation={shop.talks['emma']}"
    assert "Begin a return" not in (await maya.get(at(shop, "emma", "/returns"))).text, "nobody vouches for a visitor"
    await tie(maya, shop, "emma", order_id)
    assert begin in (await maya.get(at(shop, "emma", "/returns"))).text
