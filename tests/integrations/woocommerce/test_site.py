"""What our WordPress plugin asks of us, signed, and the panel's frame inside wp-admin."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import orjson
import pytest
from sqlalchemy import func, select

from integrations.woocommerce import pairing, site
from integrations.woocommerce.platform import STORE_KIND
from plugin import bootstrap, privacy, stores
from plugin.analytics import hints
from plugin.analytics.hints import Hint
from plugin.app import App
from plugin.conversations.messages import Message
from plugin.crm.orders import Order
from plugin.kernel import jobs
from plugin.kernel.db import Tx
from plugin.kernel.jobs import JobRow
from plugin.privacy import PrivacyRequest
from plugin.reactions import TASKS
from plugin.stores import Store
from tests.house.sides import Side, build

URL = "http://localhost:8000"


@pytest.fixture
async def side(app: App) -> Side:
    """A workspace with a store on each platform and a talk under way in both."""
    made = await build(app, f"mine{uuid4().hex[:10]}")
    await claim(app, made)
    return made


@pytest.fixture
async def other(app: App) -> Side:
    """Somebody else's."""
    made = await build(app, f"theirs{uuid4().hex[:10]}")
    await claim(app, made)
    return made


async def claim(app: App, made: Side) -> None:
    """What connecting does besides: deliveries find the store by its id."""
    async with app.db.transaction(made.workspace_id) as tx:
        store = made.stores["woocommerce"]
        await stores.claim(tx, STORE_KIND, str(store.id), store.id)


@pytest.fixture
async def http(app: App) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(bootstrap.serve(app))
    async with httpx.AsyncClient(transport=transport, base_url=URL) as client:
        yield client


def mark(side: Side) -> str:
    """The word that is in all that is private on that side."""
    return next(word for word in side.planted if word.startswith(("mine", "theirs")))


async def ask(
    http: httpx.AsyncClient, side: Side, verb: str, said: Any = None, *, secret: str = "", store: UUID | None = None,
    headers: dict[str, str] | None = None, now: int = 0,
) -> httpx.Response:  # fmt: skip
    """As the plugin asks."""
    path = f"/plugin/woocommerce/{store or side.stores['woocommerce'].id}/{verb}"
    body = orjson.dumps(said or {})
    if headers is None:
        keys = pairing.derive_keys(secret or side.pairing)
        headers = pairing.signed_headers(
            keys.requests, method="POST", path=path, timestamp=now or int(time.time()), body=body
        )
    return await http.post(path, content=body, headers=headers)


async def test_a_signed_question_is_answered(http: httpx.AsyncClient, side: Side) -> None:
    answer = await ask(http, side, "state", {"version": "0.1.0"})
    assert (answer.status_code, answer.json()) == (200, {"state": "connected", "reason": ""})
    assert answer.headers["cache-control"] == "no-store"


async def test_whoever_cannot_sign_for_the_store_learns_nothing(
    http: httpx.AsyncClient, side: Side, other: Side
) -> None:
    attempts = {
        "unsigned": await ask(http, side, "state", headers={}),
        "another secret": await ask(http, side, "state", secret=pairing.new_secret()),
        "another store's": await ask(http, other, "state", secret=side.pairing),
        "a store that is none": await ask(http, side, "state", store=uuid4()),
        "of an hour ago": await ask(http, side, "state", now=int(time.time()) - 3600),
        "a store of Shopify": await ask(http, side, "state", store=side.stores["shopify"].id),
    }
    assert {name: answer.status_code for name, answer in attempts.items()} == dict.fromkeys(attempts, 401)
    bodies = {answer.json()["error"]["code"] for answer in attempts.values()}
    assert bodies == {"not_signed"}, "one answer for all, which tells a guesser nothing"


async def test_a_signature_counts_for_one_verb_one_body_and_once(http: httpx.AsyncClient, side: Side) -> None:
    store = side.stores["woocommerce"].id
    path = f"/plugin/woocommerce/{store}/state"
    headers = pairing.signed_headers(
        pairing.derive_keys(side.pairing).requests, method="POST", path=path, timestamp=int(time.time()), body=b"{}"
    )
    assert (await ask(http, side, "goodbye", headers=headers)).status_code == 401
    assert (await ask(http, side, "state", {"version": "2"}, headers=headers)).status_code == 401
    assert (await ask(http, side, "state", headers=headers)).status_code == 200
    assert (await ask(http, side, "state", headers=headers)).status_code == 401


async def test_what_is_no_object_or_no_verb_is_refused(http: httpx.AsyncClient, side: Side) -> None:
    assert (await ask(http, side, "state", ["a list"])).status_code == 422
    assert (await ask(http, side, "anything")).status_code == 404
    assert (await ask(http, side, "state", {"much": "a" * 70_000})).status_code == 413
    assert (await ask(http, side, "export", {"request": "short", "email": "a@b.example"})).status_code == 422


# Conversations beside an order


async def test_an_orders_customer_has_conversations_without_their_words(http: httpx.AsyncClient, side: Side) -> None:
    said = mark(side)
    for question in ({"customer_id": f"{said}-1"}, {"customer_id": "", "order_id": f"{said}-order"}):
        answer = await ask(http, side, "conversations", {**question, "locale": "he_IL"})
        found = answer.json()
        (talk,) = found["conversations"]
        assert talk["title"] == "מחכה לתשובה שלכם"
        assert talk["path"].startswith("inbox/")
        assert found["customer"].startswith("customers/")
        assert said not in answer.text


async def test_conversations_of_another_store_stay_there(http: httpx.AsyncClient, app: App, side: Side) -> None:
    async with app.db.transaction(side.workspace_id) as tx:
        order = (await tx.scalars(select(Order).where(Order.store_id == side.stores["shopify"].id))).one()
    answer = await ask(http, side, "conversations", {"order_id": order.external_id, "customer_id": ""})
    mine = {talk["path"] for talk in answer.json()["conversations"]}
    async with app.db.transaction(side.workspace_id) as tx:
        theirs = select(Message.conversation_id).where(Message.workspace_id == side.workspace_id)
        assert len(set(await tx.scalars(theirs))) == 2
    assert len(mine) == 1, "the order number is in both stores, the conversation of one is told"


async def test_a_stranger_has_none(http: httpx.AsyncClient, side: Side) -> None:
    answer = await ask(http, side, "conversations", {"customer_id": "987654", "order_id": "1"})
    assert answer.json() == {"conversations": [], "customer": ""}


# WordPress's privacy tools


async def carry_out(app: App, side: Side, kind: str) -> PrivacyRequest:
    """Run the one job of the one request of this kind."""
    async with app.db.transaction(side.workspace_id) as tx:
        row = (await tx.scalars(select(PrivacyRequest).where(PrivacyRequest.kind == kind))).one()
        waiting = select(JobRow.id).where(
            JobRow.arguments["request_id"].astext == str(row.id), JobRow.done_at.is_(None)
        )
        job = (await tx.scalars(waiting)).one()
    assert await jobs.run(app.db, app, TASKS, side.workspace_id, job)
    return row


async def test_an_export_follows_and_is_asked_for_once(
    http: httpx.AsyncClient, app: App, side: Side, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site, "WAIT_SECONDS", 0.0)
    said = mark(side)
    question = {"request": uuid4().hex, "email": f"woocommerce.{said}@mail.example", "customer_id": f"{said}-1"[:20]}
    for _again in range(2):
        assert (await ask(http, side, "export", question)).json() == {"state": "open"}
    row = await carry_out(app, side, privacy.DATA_REQUEST)
    assert row.store_id == side.stores["woocommerce"].id
    answer = (await ask(http, side, "export", question)).json()
    assert answer["state"] == "ready"
    assert answer["data"]["messages"][0]["text"] == f"{said} said"
    keys = {key for rows in answer["data"].values() for record in rows for key in record}
    assert not keys & {"raw", "id", "store_id", "workspace_id", "customer_id"}
    # WordPress has it now: handed over, our copy gone, the evidence kept.
    assert (await ask(http, side, "export", question)).json() == {"state": "fetched"}
    async with app.db.transaction(side.workspace_id) as tx:
        evidence = await tx.get(privacy.PrivacyRequest, row.id)
        assert evidence is not None
        assert (evidence.state, evidence.result["handed_over_by"]) == (privacy.DONE, "wordpress")
        assert evidence.done_at is not None
        assert said not in str(evidence.result)
        assert "@" not in str(evidence.subject), "only the platform's own numbers stay"


async def test_an_erasure_is_done_and_says_so(
    http: httpx.AsyncClient, app: App, side: Side, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site, "WAIT_SECONDS", 0.0)
    said = mark(side)
    question = {"request": uuid4().hex, "email": f"woocommerce.{said}@mail.example", "customer_id": ""}
    assert (await ask(http, side, "erase", question)).json() == {"state": "open"}
    await carry_out(app, side, privacy.CUSTOMER_REDACT)
    answer = (await ask(http, side, "erase", question)).json()
    assert answer["state"] == "done"
    assert answer["erased"] > 0
    async with app.db.transaction(side.workspace_id) as tx:
        left = await tx.scalar(select(func.count()).select_from(Message).where(Message.text.contains(f"{said} said")))
    assert left == 1, "the other store's share stays"


@pytest.mark.parametrize("verb", ["export", "erase"])
@pytest.mark.parametrize("email", ["", "store_id", "@mail.example", "%"])
async def test_a_privacy_request_names_an_address(
    http: httpx.AsyncClient, app: App, side: Side, verb: str, email: str
) -> None:
    assert (await ask(http, side, verb, {"request": uuid4().hex, "email": email})).status_code == 422
    async with app.db.transaction(side.workspace_id) as tx:
        assert await tx.scalar(select(func.count()).select_from(PrivacyRequest)) == 0


async def test_goodbye_disconnects_the_store(http: httpx.AsyncClient, app: App, side: Side) -> None:
    assert (await ask(http, side, "goodbye")).json() == {"goodbye": True}
    async with app.db.transaction(side.workspace_id) as tx:
        store = await tx.get(Store, side.stores["woocommerce"].id)
        assert store is not None
        assert store.status == stores.UNINSTALLED
    assert (await ask(http, side, "state")).status_code == 401


# The frame in wp-admin


def token(side: Side, *, now: int = 0, store: str = "") -> str:
    return pairing.agent_token(
        pairing.derive_keys(side.pairing), site="https://shop.example",
        store=store or side.stores["woocommerce"].public_key, user_id="1", email="noor@shop.example", name="Noor",
        locale="ar", administrator=True, now=now or int(time.time()),
    )  # fmt: skip


async def test_only_the_stores_own_pages_frame_the_first_page(http: httpx.AsyncClient, side: Side) -> None:
    key = side.stores["woocommerce"].public_key
    answer = await http.get("/plugin/woocommerce/frame", params={"store": key, "to": "inbox/1-2"})
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"].endswith("frame-ancestors https://shop.example")
    assert 'data-to="inbox/1-2"' in answer.text
    assert 'data-origins="https://shop.example"' in answer.text


@pytest.mark.parametrize("place", ["//evil.example", "../admin", "https://evil.example", 'a"b', "inbox?x=1"])
async def test_a_place_is_a_page_of_the_panel_or_none(http: httpx.AsyncClient, side: Side, place: str) -> None:
    key = side.stores["woocommerce"].public_key
    framed = await http.get("/plugin/woocommerce/frame", params={"store": key, "to": place})
    assert 'data-to=""' in framed.text
    entered = await http.post("/plugin/woocommerce/enter", data={"token": token(side), "to": place})
    assert 'data-here="/woocommerce"' in entered.text


async def test_a_key_that_is_no_wordpress_stores_frames_nothing(http: httpx.AsyncClient, side: Side) -> None:
    for key in ("", "st_unknown", side.stores["shopify"].public_key):
        answer = await http.get("/plugin/woocommerce/frame", params={"store": key}, headers={"accept": "text/html"})
        assert answer.status_code == 404
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


async def test_the_token_in_a_form_opens_the_panel_and_stays_there(http: httpx.AsyncClient, side: Side) -> None:
    given = token(side)
    answer = await http.post("/plugin/woocommerce/enter", data={"token": given, "to": "inbox"})
    assert (answer.status_code, answer.headers.get("location")) == (200, None)
    assert 'lang="ar"' in answer.text
    assert 'data-here="/woocommerce/inbox"' in answer.text
    assert answer.headers["content-security-policy"].endswith("frame-ancestors https://shop.example")
    assert given not in answer.text + str(answer.headers)
    assert "set-cookie" not in answer.headers


async def test_a_token_that_is_not_good_opens_nothing(http: httpx.AsyncClient, side: Side, other: Side) -> None:
    refused = {
        "old": token(side, now=int(time.time()) - 600),
        "for another store": token(side, store=other.stores["woocommerce"].public_key),
    }
    for name, given in refused.items():
        answer = await http.post("/plugin/woocommerce/enter", data={"token": given, "to": "inbox"})
        assert "data-here" not in answer.text, name
        assert "data-to" not in answer.text, "it is not tried again by itself"
        assert "WordPress did not say who you are" in answer.text
        assert mark(side) not in answer.text
    assert (await http.post("/plugin/woocommerce/enter", data={"token": "no token", "to": ""})).status_code == 404


async def test_a_cookie_of_the_stand_alone_panel_enters_nothing(http: httpx.AsyncClient, side: Side) -> None:
    cookie = {"cookie": f"ahlan={side.workspace_id.hex}.{side.secret}"}
    answer = await http.post("/plugin/woocommerce/enter", data={"token": "", "to": "inbox"}, headers=cookie)
    assert answer.status_code == 404


async def test_a_product_page_is_told_what_runs_small_in_its_language(
    http: httpx.AsyncClient, app: App, side: Side, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_id = side.stores["woocommerce"].id
    question = {"product": "17", "locale": "ar"}
    assert (await ask(http, side, "fit", question)).json() == {"text": ""}

    async def sure(tx: Tx, store: UUID) -> list[Hint]:
        return [Hint(store, "17", "too_small", 12, 40, 0.01, 0.0001), Hint(store, "18", "defective", 9, 40, 0.0, 0.0)]

    monkeypatch.setattr(hints, "of_store", sure)
    assert (await ask(http, side, "fit", question)).json() == {"text": ""}, "the shop did not switch it on"
    async with app.db.transaction(side.workspace_id) as tx:
        store = await tx.get(Store, store_id, lock=True)
        assert store is not None
        store.widget = {**store.widget, hints.SWITCH: True}
    told = (await ask(http, side, "fit", question)).json()["text"]
    assert told == app.catalogues.translator("ar").gettext(hints.WORDS["too_small"])
    assert told != (await ask(http, side, "fit", {**question, "locale": "he_IL"})).json()["text"]
    for product in ("18", "99", ""):
        said = (await ask(http, side, "fit", {**question, "product": product})).json()
        assert said == {"text": ""}, "what is broken is the shop's to mend, not for shoppers to read"
