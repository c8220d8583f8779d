"""What belongs to a chat besides its messages: ratings, cards, places in the queue, link previews, copies by e-mail."""

import io
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import httpx
import pytest
from PIL import Image
from sqlalchemy import select, text, update

from integrations.channels.email.send import EmailChannel
from plugin import workspaces
from plugin.app import App
from plugin.conversations import attachments, cards, filters, links, messages, place, ratings, transcripts, views
from plugin.conversations import conversations as threads
from plugin.conversations.conversations import RESOLVED, Conversation, Shopper
from plugin.conversations.messages import Message
from plugin.crm import customers, sync
from plugin.kernel import jobs
from plugin.kernel.errors import AhlanError, Forbidden, NotFound
from plugin.kernel.http import Http
from plugin.kernel.money import Money
from plugin.platform import CustomerRecord, OrderRecord, ProductRecord, VariantRecord
from plugin.reactions import TASKS
from plugin.stores import Store
from plugin.team import Agent
from tests.conversations.conftest import MakeShopper
from tests.conversations.test_delivery import MailServer
from tests.conversations.test_delivery import mail as mail

NOW = datetime.now(UTC)


async def work(app: App, workspace: UUID) -> None:
    """Run what is due in this workspace."""
    for _round in range(2):
        for workspace_id, job_id, *_rest in await jobs.due(app.db, 100_000):
            if workspace_id == workspace:
                await jobs.run(app.db, app, TASKS, workspace_id, job_id)


async def talk_of(app: App, workspace: UUID, shopper: Shopper) -> Conversation:
    async with app.db.transaction(workspace) as tx:
        return (await tx.scalars(select(Conversation).where(Conversation.visitor_id == shopper.visitor_id))).one()


async def chat(app: App, workspace: UUID, shopper: Shopper, by: Agent | None = None, words: str = "Hi") -> Conversation:
    async with app.db.transaction(workspace) as tx:
        await messages.receive(tx, shopper, uuid4(), words)
    talk = await talk_of(app, workspace, shopper)
    if by is not None:
        async with app.db.transaction(workspace) as tx:
            found = await tx.get(Conversation, talk.id)
            assert found is not None
            await messages.reply(tx, found, by, uuid4(), "Hello")
    return talk


async def resolve(app: App, workspace: UUID, talk: Conversation, by: Agent) -> None:
    async with app.db.transaction(workspace) as tx:
        found = await tx.get(Conversation, talk.id)
        assert found is not None
        await threads.turn(tx, found, RESOLVED, by=by)
    await work(app, workspace)


# Ratings


async def asked(app: App, workspace: UUID, shopper: Shopper) -> dict | None:
    async with app.db.transaction(workspace) as tx:
        head = await threads.current(tx, shopper)
        assert head is not None
        return await ratings.open_question(tx, head)


async def test_a_shopper_is_asked_once_and_the_answer_stands_with_conversation_and_agent(
    app: App, workspace: UUID, shopper: Shopper, noa: Agent
) -> None:
    talk = await chat(app, workspace, shopper, noa)
    assert await asked(app, workspace, shopper) is None
    async with app.db.transaction(workspace) as tx:
        with pytest.raises(NotFound):
            await ratings.rate(tx, shopper, 5)
    await resolve(app, workspace, talk, noa)
    assert await asked(app, workspace, shopper) == {"score": None, "comment": ""}
    async with app.db.transaction(workspace) as tx:
        for score in (0, 6):
            with pytest.raises(AhlanError):
                await ratings.rate(tx, shopper, score)
        await ratings.rate(tx, shopper, 4)
        await ratings.rate(tx, shopper, 2, "  It took\nlong ")
    async with app.db.transaction(workspace) as tx:
        kept = (await tx.scalars(select(ratings.Rating))).one()
        assert (kept.conversation_id, kept.agent_id, kept.score, kept.comment) == (talk.id, noa.id, 2, "It took long")
        kinds = list(await tx.scalars(text("SELECT kind FROM events WHERE kind = 'conversation.rated'")))
        assert len(kinds) == 2
    # They come back, and it is resolved again: nobody is asked a second time.
    await chat(app, workspace, shopper)
    assert await asked(app, workspace, shopper) is None
    await resolve(app, workspace, talk, noa)
    async with app.db.transaction(workspace) as tx:
        assert len((await tx.scalars(select(ratings.Rating))).all()) == 1


async def test_nobody_is_asked_about_silence_or_where_the_workspace_asks_nobody(
    app: App, workspace: UUID, make_shopper: MakeShopper, noa: Agent
) -> None:
    silent = await make_shopper()
    await resolve(app, workspace, await chat(app, workspace, silent), noa)
    assert await asked(app, workspace, silent) is None
    async with app.db.transaction(workspace) as tx:
        found = await workspaces.current(tx)
        assert found is not None
        found.chat = {"ratings": False}
    unasked = await make_shopper()
    await resolve(app, workspace, await chat(app, workspace, unasked, noa), noa)
    assert await asked(app, workspace, unasked) is None


async def test_an_unanswered_question_goes_away_and_a_stranger_answers_none(
    app: App, workspace: UUID, make_shopper: MakeShopper, noa: Agent
) -> None:
    shopper, stranger = await make_shopper(), await make_shopper()
    talk = await chat(app, workspace, shopper, noa)
    await resolve(app, workspace, talk, noa)
    async with app.db.transaction(workspace) as tx:
        with pytest.raises(NotFound):
            await ratings.rate(tx, replace(stranger, conversation_id=talk.id), 1)
        await tx.execute(update(ratings.Rating).values(created_at=NOW - ratings.ASKED_FOR - timedelta(minutes=1)))
    assert await asked(app, workspace, shopper) is None


async def test_conversations_are_found_by_their_rating(
    app: App, workspace: UUID, make_shopper: MakeShopper, noa: Agent
) -> None:
    found = {}
    for score in (1, 3, 5, None):
        shopper = await make_shopper()
        talk = await chat(app, workspace, shopper, noa)
        await resolve(app, workspace, talk, noa)
        found[score] = talk.id
        if score is not None:
            async with app.db.transaction(workspace) as tx:
                await ratings.rate(tx, shopper, score)
    reader = views.Reader(noa.id, UTC)
    for asked_for, scores in (("rating:5", {5}), ("rating:<=3", {1, 3}), ("rating:>1", {3, 5}),
                              ("-rating:>=3", {1, None}), ("rating:1,5", {1, 5})):  # fmt: skip
        async with app.db.transaction(workspace) as tx:
            page = await views.queue(tx, filters.parse(asked_for), reader)
        assert {row.conversation.id for row in page.rows} == {found[score] for score in scores}, asked_for
    with pytest.raises(filters.FilterError):
        filters.parse("rating:6")


# Cards


async def signed_in(app: App, workspace: UUID, store: Store, shopper: Shopper, external_id: str) -> Shopper:
    """The same browser after the store vouched for an account."""
    async with app.db.transaction(workspace) as tx:
        customer_id = await tx.scalar(
            text("SELECT customer_id FROM store_customers WHERE store_id = :store AND external_id = :id"),
            {"store": store.id, "id": external_id},
        )
        await threads.attach(tx, shopper.visitor_id, customer_id)
    return replace(shopper, customer_id=customer_id)


@pytest.fixture
async def goods(app: App, workspace: UUID, store: Store) -> None:
    def sar(amount: int) -> Money:
        return Money(amount, "SAR", 2)

    ana = CustomerRecord("c1", NOW, "ana@mail.example", "", "Ana", "B", "ar")
    ben = CustomerRecord("c2", NOW, "ben@mail.example", "", "Ben", "C", "en")
    records = [
        ana,
        ben,
        ProductRecord("p1", NOW, "Oud 12 ml", status="active", url="https://dukkan.example/oud",
                      image_url="https://cdn.example/oud.jpg",
                      variants=(VariantRecord("v1", "S", price=sar(5000)), VariantRecord("v2", "L", price=sar(9000)))),
        ProductRecord("p2", NOW, "Hidden oud", status="draft", url="javascript:alert(1)"),
        *(
            OrderRecord(external_id=number, version=NOW, name=f"#{number}", placed_at=NOW, total=sar(12300),
                        payment_status="paid", fulfilment_status="fulfilled", customer_external_id=who)
            for number, who in (("1001", "c1"), ("2002", "c2"))
        ),
    ]  # fmt: skip
    async with app.db.transaction(workspace) as tx:
        row = await tx.get(Store, store.id)
        assert row is not None
        await sync.apply(tx, row, records)


async def test_products_go_to_anybody_and_orders_only_to_their_proven_owner(
    app: App, workspace: UUID, store: Store, shopper: Shopper, noa: Agent, goods: None
) -> None:
    talk = await chat(app, workspace, shopper)
    async with app.db.transaction(workspace) as tx:
        found = await cards.products(tx, talk, "oud")
        assert [card["title"] for card in found] == ["Oud 12 ml"]
        assert found[0]["price"] == {"amount": 5000, "currency": "SAR", "exponent": 2}
        assert found[0]["from"]
        assert await cards.products(tx, talk, "100%_") == []
        assert await cards.orders(tx, talk) == []
        mine, theirs = [
            str(id) for id in await tx.scalars(text("SELECT id FROM orders WHERE store_id = :s ORDER BY name"),
                                               {"s": store.id})
        ]  # fmt: skip
        with pytest.raises(Forbidden):
            await cards.chosen(tx, talk, [f"order:{mine}"])
    known = await signed_in(app, workspace, store, shopper, "c1")
    talk = await talk_of(app, workspace, known)
    async with app.db.transaction(workspace) as tx:
        assert [card["title"] for card in await cards.orders(tx, talk)] == ["#1001"]
        (card,) = await cards.chosen(tx, talk, [f"order:{mine}"])
        assert (card["title"], card["state"], card["price"]["amount"]) == ("#1001", "fulfilled", 12300)
        with pytest.raises(Forbidden):
            await cards.chosen(tx, talk, [f"order:{theirs}"])
        for wrong in ("order:nothing", f"product:{uuid4()}", f"customer:{mine}"):
            with pytest.raises(NotFound):
                await cards.chosen(tx, talk, [wrong])
        with pytest.raises(AhlanError):
            await cards.chosen(tx, talk, [f"order:{mine}"] * 6)


async def test_a_merge_by_hand_is_no_proof_towards_the_shopper(
    app: App, workspace: UUID, store: Store, shopper: Shopper, goods: None
) -> None:
    known = await signed_in(app, workspace, store, (await _with_talk(app, workspace, shopper)), "c1")
    async with app.db.transaction(workspace) as tx:
        other = await tx.scalar(text("SELECT customer_id FROM store_customers WHERE external_id = 'c2'"))
        await tx.execute(
            text("UPDATE customers SET merged_into = :head WHERE workspace_id = :w AND id = :other"),
            {"head": known.customer_id, "w": workspace, "other": other},
        )
        theirs = await tx.scalar(text("SELECT id FROM orders WHERE name = '#2002'"))
        talk = await tx.scalar(select(Conversation))
        assert talk is not None
        with pytest.raises(Forbidden):
            await cards.chosen(tx, talk, [f"order:{theirs}"])


async def _with_talk(app: App, workspace: UUID, shopper: Shopper) -> Shopper:
    await chat(app, workspace, shopper)
    return shopper


async def test_answers_to_choose_from_are_few_and_short() -> None:
    assert cards.answers([" Yes ", "No", "", "Yes"]) == [{"id": "1", "text": "Yes"}, {"id": "2", "text": "No"}]
    for wrong in (["x" * 61], list("abcdef")):
        with pytest.raises(AhlanError):
            cards.answers(wrong)


# The queue


async def wait(app: App, workspace: UUID, talk: Conversation, **values: object) -> None:
    async with app.db.transaction(workspace) as tx:
        await tx.execute(update(threads.TABLE).where(threads.TABLE.c.id == talk.id).values(**values))


async def place_of(app: App, workspace: UUID, talk: Conversation) -> place.Place | None:
    async with app.db.transaction(workspace) as tx:
        return await place.place(tx, talk.id)


async def test_the_place_counts_who_came_before_and_the_wait_is_said_only_when_it_is_known(
    app: App, workspace: UUID, make_shopper: MakeShopper, noa: Agent
) -> None:
    def ago(**parts: float) -> datetime:
        return datetime.now(UTC) - timedelta(**parts)

    first, second, stale = [await chat(app, workspace, await make_shopper()) for _ in range(3)]
    await wait(app, workspace, first, waiting_since=ago(minutes=2), created_at=ago(minutes=2))
    await wait(app, workspace, second, waiting_since=ago(minutes=1), created_at=ago(minutes=1))
    await wait(app, workspace, stale, waiting_since=ago(days=2), created_at=ago(days=2))
    assert await place_of(app, workspace, first) == place.Place(1, None)
    assert await place_of(app, workspace, second) == place.Place(2, None)
    assert await place_of(app, workspace, stale) is None
    for minutes in (4, 5, 6, 7):
        answered = await chat(app, workspace, await make_shopper(), noa)
        await wait(app, workspace, answered, created_at=ago(minutes=60), first_replied_at=ago(minutes=60 - minutes))
    known = await place_of(app, workspace, second)
    assert known is not None
    assert known.position == 2
    assert known.minutes in (5, 6)  # three of four waited at most 6.25 minutes, one is over
    # Longer than people usually wait: nothing is promised any more.
    await wait(app, workspace, second, waiting_since=ago(minutes=30), created_at=ago(minutes=30))
    late = await place_of(app, workspace, second)
    assert late == place.Place(1, None)
    async with app.db.transaction(workspace) as tx:
        found = await tx.get(Conversation, second.id)
        assert found is not None
        await messages.reply(tx, found, noa, uuid4(), "Here I am")
    assert await place_of(app, workspace, second) is None


async def test_answers_of_yesterday_say_nothing_about_now(
    app: App, workspace: UUID, make_shopper: MakeShopper, noa: Agent
) -> None:
    for _ in range(4):
        old = await chat(app, workspace, await make_shopper(), noa)
        yesterday = datetime.now(UTC) - timedelta(days=1)
        await wait(app, workspace, old, created_at=yesterday, first_replied_at=yesterday + timedelta(minutes=1))
    waiting = await chat(app, workspace, await make_shopper())
    assert await place_of(app, workspace, waiting) == place.Place(1, None)


# Links


@pytest.mark.parametrize(
    ("words", "ours", "found"),
    [
        ("look: https://dukkan.example/oud.", True, "https://dukkan.example/oud"),
        ("(see https://dukkan.example/oud)", False, "https://dukkan.example/oud"),
        ("https://shop.example/reset?token=abc", False, ""),
        ("https://shop.example/reset?token=abc", True, "https://shop.example/reset?token=abc"),
        ("https://shop.example/#key", False, ""),
        ("https://user:pw@shop.example/", True, ""),
        ("http://shop.example:8080/ and https://b.example/", True, "https://b.example/"),
        ("http://localhost/admin", True, ""),
        ("http://[::1", True, ""),
        ("http://127.0.0.1/x http://[::1]/ http://0x7f.1/", True, ""),
        ("no address, ftp://shop.example", True, ""),
    ],
)
def test_which_address_is_worth_a_look(words: str, ours: bool, found: str) -> None:
    assert links.address_in(words, ours=ours) == found


def test_what_a_page_says_of_itself_is_text_on_one_line() -> None:
    page = links.read(
        "https://shop.example/a",
        '<!doctype html><html><head><title>Plain\n title</title><meta property="og:title" content="Oud &amp; '
        '\u202eAmber"><meta name="description" content="<b>Best</b>\n\nof all"><meta property="og:image" '
        'content="/oud.jpg"></head><body><meta property="og:title" content="from a comment"></body></html>',
    )
    assert page.title == "Oud & Amber"
    assert page.description == "<b>Best</b> of all"
    assert page.picture == "https://shop.example/oud.jpg"
    assert page.site == "shop.example"
    assert links.read("https://a.example/", "<title>" + "x" * 9000).title == "x" * 200
    began = time.process_time()
    links.read("https://a.example/", "<a " + "a=b " * (links.MOST_BYTES // 4))
    assert time.process_time() - began < 1, "a tag that never ends keeps nobody busy"
    assert links.read("https://a.example/", "<meta property='og:image' content='http://127.0.0.1/x'>").picture == ""


def drawn() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (1200, 630), "teal").save(file, "PNG")
    return file.getvalue()


class Web:
    """The public web of a test."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.pages: dict[str, httpx.Response] = {
            "https://shop.example/oud": httpx.Response(
                200, headers={"content-type": "text/html; charset=windows-1256"},
                content='<title>عود كمبودي</title><meta property="og:image" content="https://shop.example/oud.png">'
                .encode("windows-1256"),
            ),
            "https://shop.example/oud.png": httpx.Response(200, headers={"content-type": "image/png"}, content=drawn()),
            "https://shop.example/moved": httpx.Response(301, headers={"location": "/oud"}),
            "https://shop.example/inside": httpx.Response(302, headers={"location": "http://127.0.0.1/secret"}),
            "https://shop.example/round": httpx.Response(302, headers={"location": "/round"}),
            "https://shop.example/large": httpx.Response(
                200, headers={"content-type": "text/html"}, content=b"<title>x</title>" + b"x" * links.MOST_BYTES
            ),
            "https://shop.example/file": httpx.Response(
                200, headers={"content-type": "application/pdf"}, content=b"<title>no page</title>"
            ),
        }  # fmt: skip

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(str(request.url))
        assert "cookie" not in request.headers
        assert "referer" not in request.headers
        return self.pages.get(str(request.url), httpx.Response(404))


@pytest.fixture
def web() -> Web:
    return Web()


@pytest.fixture
async def online(app: App, web: Web) -> AsyncIterator[App]:
    http = Http(transport=httpx.MockTransport(web.answer))
    yield replace(app, http=http)
    await http.close()


async def test_a_link_is_looked_at_once_and_its_picture_is_ours(
    online: App, workspace: UUID, make_shopper: MakeShopper, noa: Agent, web: Web
) -> None:
    for _ in range(2):
        talk = await chat(online, workspace, await make_shopper(), words="Is it https://shop.example/moved ?")
    await work(online, workspace)
    assert web.asked == [
        "https://shop.example/moved", "https://shop.example/oud", "https://shop.example/oud.png"
    ]  # fmt: skip
    async with online.db.transaction(workspace) as tx:
        message = (await tx.scalars(select(Message).where(Message.conversation_id == talk.id))).one()
        shown = attachments.with_links(online.vault, workspace, messages.as_json(message))
        link = shown["link"]
        assert (link["url"], link["title"], link["site"]) == (
            "https://shop.example/moved", "عود كمبودي", "shop.example"
        )  # fmt: skip
        assert link["picture"]["thumbnail"].startswith("/files/")
        assert "http" not in str({**link, "url": ""})
        served = await attachments.content(tx, UUID(link["picture"]["id"]), small=True)
        assert served is not None
        assert Image.open(io.BytesIO(served.content)).width <= 640
        assert message.changed_at is not None


@pytest.mark.parametrize("path", ["inside", "round", "large", "file", "nothing"])
async def test_what_is_no_page_of_the_public_web_shows_nothing(
    online: App, workspace: UUID, shopper: Shopper, web: Web, path: str
) -> None:
    await chat(online, workspace, shopper, words=f"https://shop.example/{path}")
    await work(online, workspace)
    assert not any("127.0.0.1" in url for url in web.asked)
    assert len(web.asked) <= links.HOPS
    async with online.db.transaction(workspace) as tx:
        message = (await tx.scalars(select(Message))).one()
    assert "link" not in messages.as_json(message)
    assert message.changed_at is None


async def test_the_guard_stands_before_every_fetch(
    app: App, workspace: UUID, shopper: Shopper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "socket.getaddrinfo", lambda host, port, **more: [(2, 1, 6, "", ("10.0.0.7", port))] if "." in str(host) else []
    )
    http = Http()
    try:
        assert await links.look(replace(app, http=http), workspace, "https://inside.example/") is None
    finally:
        await http.close()


async def test_a_card_gets_a_copy_of_its_picture_and_the_address_stays_with_us(
    online: App, workspace: UUID, store: Store, shopper: Shopper, noa: Agent, goods: None, web: Web
) -> None:
    web.pages["https://cdn.example/oud.jpg"] = web.pages["https://shop.example/oud.png"]
    talk = await chat(online, workspace, shopper)
    async with online.db.transaction(workspace) as tx:
        found = await tx.get(Conversation, talk.id)
        assert found is not None
        (card,) = await cards.products(tx, found, "oud")
        made = await cards.chosen(tx, found, [f"product:{card['id']}"])
        said = await messages.reply(tx, found, noa, uuid4(), "", (), {"cards": made})
    assert said["cards"][0]["title"] == "Oud 12 ml"
    assert "cdn.example" not in str(said)
    await work(online, workspace)
    async with online.db.transaction(workspace) as tx:
        message = await tx.get(Message, UUID(said["id"]))
        assert message is not None
        shown = messages.as_json(message)
    assert shown["cards"][0]["picture"]["kind"] == "image"
    assert "cdn.example" not in str(shown)
    async with online.db.transaction(workspace) as tx:
        again = await tx.get(Conversation, talk.id)
        assert again is not None
        assert again.preview == "Oud 12 ml"


async def test_strangers_cannot_make_us_anybodys_hammer(online: App, workspace: UUID, web: Web) -> None:
    for number in range(links.FETCHES_A_MINUTE + 20):
        await links.look(online, workspace, f"https://shop.example/{number}")
    assert len(web.asked) == links.FETCHES_A_MINUTE


# Copies


@pytest.fixture
def mailing(app: App, mail: MailServer) -> App:
    return replace(app, channels={"email": EmailChannel(mail.url, "chat@ahlan.example")})


async def test_a_copy_goes_to_the_proven_address_and_to_no_other(
    mailing: App, workspace: UUID, store: Store, shopper: Shopper, noa: Agent, goods: None, mail: MailServer
) -> None:
    talk = await chat(mailing, workspace, shopper, noa, words="Where <is> it?")
    async with mailing.db.transaction(workspace) as tx:
        await threads.ask_email(tx, shopper, "typed@mail.example")
        found = await tx.get(Conversation, talk.id)
        assert found is not None
        await messages.note(tx, found, noa, uuid4(), "secret of the team")
        head = await threads.current(tx, shopper)
        with pytest.raises(Forbidden):
            await transcripts.ask(mailing, tx, head, None, actor=shopper.actor)
    known = await signed_in(mailing, workspace, store, shopper, "c1")
    async with mailing.db.transaction(workspace) as tx:
        head = await threads.current(tx, known)
        with pytest.raises(Forbidden):
            await transcripts.ask(mailing, tx, head, uuid4(), actor=known.actor)
        for _ in range(2):
            assert await transcripts.ask(mailing, tx, head, known.customer_id, actor=known.actor) == "ana@mail.example"
        assert await customers.own_email(tx, known.customer_id or uuid4()) == "ana@mail.example"
    await work(mailing, workspace)
    (letter,) = mail.mails
    assert letter["To"] == "ana@mail.example"
    plain = letter.get_body(("plain",)).get_content()
    html = letter.get_body(("html",)).get_content()
    for part in (plain, html):
        assert "Hello" in part
        assert "secret" not in part
    assert "Where &lt;is&gt; it?" in html


async def test_without_mail_nothing_is_promised(app: App, workspace: UUID, shopper: Shopper, noa: Agent) -> None:
    await chat(app, workspace, shopper, noa)
    async with app.db.transaction(workspace) as tx:
        head = await threads.current(tx, shopper)
        with pytest.raises(AhlanError) as refused:
            await transcripts.ask(replace(app, channels={}), tx, head, uuid4(), actor=shopper.actor)
    assert refused.value.code == "no_mail"
