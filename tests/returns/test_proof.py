"""Whose order it is: codes to the address on the order, and nothing that tells a right pair from a wrong one."""

import asyncio
import time
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, func, select, text, update

from plugin.app import App
from plugin.conversations.conversations import Shopper
from plugin.conversations.messages import Message
from plugin.conversations.tags import ConversationTag
from plugin.crm.orders import Order
from plugin.kernel.errors import AhlanError, NotFound
from plugin.returns import claims, proof
from plugin.returns.claims import Claim
from plugin.returns.proof import OrderProof
from tests.returns.counter import HOME, Desk, Phone
from tests.returns.counter import desk as desk

MAIL = "mona@shop.example"
ARABIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")


async def ask(desk: Desk, shopper: Shopper, number: str = "1001", contact: str = MAIL) -> UUID:
    wanted = proof.read(number, contact, desk.store.country)
    async with desk.app.db.transaction(desk.workspace) as tx:
        return await proof.ask(tx, desk.store, shopper.visitor_id, wanted, locale="en")


async def check(desk: Desk, asked: UUID, shopper: Shopper, code: str) -> UUID | None:
    async with desk.app.db.transaction(desk.workspace) as tx:
        return await proof.check(desk.app.vault, tx, asked, shopper.visitor_id, code)


async def sees(desk: Desk, shopper: Shopper) -> list[UUID]:
    async with desk.app.db.transaction(desk.workspace) as tx:
        return [view.order.id for view in await proof.theirs(tx, shopper)]


async def proven(desk: Desk, shopper: Shopper, number: str = "1001", contact: str = MAIL) -> UUID:
    asked = await ask(desk, shopper, number, contact)
    await desk.work()
    opened = await check(desk, asked, shopper, desk.codes()[-1])
    assert opened is not None
    return opened


async def test_a_code_goes_to_the_address_on_the_order_and_opens_it_in_that_browser(desk: Desk) -> None:
    order = await desk.order(email="Mona@Shop.example", phone="+966501234567")
    mona, other = await desk.browser(), await desk.browser()
    asked = await ask(desk, mona)
    assert await sees(desk, mona) == []
    await desk.work()
    assert desk.post.recipients == [MAIL]
    assert await sees(desk, mona) == [], "asking shows nothing"
    code = desk.codes()[0]
    assert await check(desk, asked, other, code) is None, "a code of another browser's"
    assert await check(desk, asked, mona, code) == order
    assert await sees(desk, mona) == [order]
    assert await sees(desk, other) == []


@pytest.mark.parametrize(
    "number", ["1001", "#1001", " # 1001 ", "١٠٠١", "order 1001", "AR-1001", "ar-١٠٠١", "#AR-1001"]
)
@pytest.mark.parametrize("contact", [MAIL, " MONA@shop.example ", "0501234567", "٠٥٠١٢٣٤٥٦٧", "+966 50 123 4567"])
async def test_the_order_is_found_however_it_is_typed(desk: Desk, number: str, contact: str) -> None:
    order = await desk.order("#AR-1001", email=MAIL, phone="+966501234567")
    mona = await desk.browser()
    assert await proven(desk, mona, number, contact) == order
    assert desk.post.recipients == [MAIL], "the address on the order, whatever was typed"


async def test_the_very_name_goes_before_one_with_the_same_digits(desk: Desk) -> None:
    await desk.order("EN-1001", email=MAIL)
    wanted = await desk.order("AR-1001", email=MAIL)
    await desk.order("FR-1001", email=MAIL)
    assert await proven(desk, await desk.browser(), "ar-1001") == wanted


async def test_digits_of_a_code_may_be_arabic_and_spaced(desk: Desk) -> None:
    order = await desk.order(email=MAIL)
    mona = await desk.browser()
    asked = await ask(desk, mona)
    await desk.work()
    code = desk.codes()[0].translate(ARABIC)
    assert await check(desk, asked, mona, f" {code[:3]} {code[3:]} ") == order


async def test_a_code_is_good_once(desk: Desk) -> None:
    await desk.order(email=MAIL)
    mona = await desk.browser()
    asked = await ask(desk, mona)
    await desk.work()
    code = desk.codes()[0]
    both = await asyncio.gather(*(check(desk, asked, mona, code) for _ in range(4)))
    assert sum(found is not None for found in both) == 1
    assert await check(desk, asked, mona, code) is None


async def test_the_right_code_after_too_many_wrong_ones_is_wrong(desk: Desk) -> None:
    await desk.order(email=MAIL)
    mona = await desk.browser()
    asked = await ask(desk, mona)
    await desk.work()
    code = desk.codes()[0]
    wrong = f"{(int(code) + 1) % 10**6:06}"
    for _ in range(proof.TRIES):
        assert await check(desk, asked, mona, wrong) is None
    assert await check(desk, asked, mona, code) is None


async def test_a_code_ends_and_so_does_what_it_opened(desk: Desk) -> None:
    order = await desk.order(email=MAIL)
    mona = await desk.browser()
    asked = await ask(desk, mona)
    await desk.work()
    code = desk.codes()[0]
    async with desk.app.db.transaction(desk.workspace) as tx:
        await tx.execute(update(OrderProof).values(expires_at=func.now() - timedelta(seconds=1)))
    assert await check(desk, asked, mona, code) is None
    assert await proven(desk, mona) == order
    async with desk.app.db.transaction(desk.workspace) as tx:
        await tx.execute(update(OrderProof).values(ends_at=func.now() - timedelta(seconds=1)))
    assert await sees(desk, mona) == []
    async with desk.app.db.transaction(desk.workspace) as tx:
        with pytest.raises(NotFound):
            await proof.order_of(tx, mona, order)


async def test_a_wrong_clock_of_ours_neither_opens_nor_closes(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    order = await desk.order(email=MAIL)
    mona = await desk.browser()
    asked = await ask(desk, mona)
    await desk.work()
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 86_400)
    assert await check(desk, asked, mona, desk.codes()[0]) == order
    assert await sees(desk, mona) == [order]


async def test_nothing_of_a_code_lies_in_the_database(desk: Desk) -> None:
    await desk.order(email=MAIL)
    mona = await desk.browser()
    asked = await ask(desk, mona)
    await desk.work()
    async with desk.app.db.transaction(desk.workspace) as tx:
        row = await tx.scalar(text("SELECT row_to_json(p)::text FROM order_proofs p WHERE id = :id"), {"id": asked})
    assert desk.codes()[0] not in row.replace(str(asked), "")
    assert MAIL not in row, "what was typed is forgotten once it was looked for"


async def test_sent_again_after_a_crash_it_is_the_same_code(desk: Desk) -> None:
    await desk.order(email=MAIL)
    mona = await desk.browser()
    asked = await ask(desk, mona)
    await desk.work()
    async with desk.app.db.queue.begin() as queue:
        killed = text("UPDATE jobs SET done_at = NULL, run_at = now() WHERE arguments ->> 'proof_id' = :id")
        await queue.execute(killed, {"id": str(asked)})
    await desk.work()
    assert len(desk.codes()) == 2
    assert len(set(desk.codes())) == 1
    assert await sees(desk, mona) == []


# Nobody learns whether there is an order


async def test_right_and_wrong_pairs_do_the_same_work(desk: Desk) -> None:
    """The very statements, in the same order: what takes time depends on nothing that is secret."""
    await desk.order(email=MAIL)
    mona = await desk.browser()
    said: list[list[str]] = []
    for number, contact in (("1001", MAIL), ("1001", "other@shop.example"), ("7777", MAIL)):
        statements: list[str] = []

        def note(_c: object, _k: object, statement: str, *_rest: object, into: list[str] = statements) -> None:
            into.append(statement)

        event.listen(desk.app.db.app.sync_engine, "before_cursor_execute", note)
        asked = await ask(desk, mona, number, contact)
        await check(desk, asked, mona, "000000")
        event.remove(desk.app.db.app.sync_engine, "before_cursor_execute", note)
        said.append(statements)
    assert said[0]
    assert said[0] == said[1] == said[2]


async def test_wrong_pairs_are_silence(desk: Desk) -> None:
    await desk.order(email=MAIL)
    mona = await desk.browser()
    for number, contact in (("1001", "other@shop.example"), ("1002", MAIL), ("1001", "0501234567")):
        asked = await ask(desk, mona, number, contact)
        await desk.work()
        for code in ("000000", proof.code_of(desk.app.vault, asked)):
            assert await check(desk, asked, mona, code) is None
    assert desk.post.mails == []


async def test_one_order_gets_so_many_codes_and_no_more(desk: Desk) -> None:
    await desk.order(email=MAIL)
    for _ in range(proof.CODES_AN_HOUR + 2):
        await ask(desk, await desk.browser())
    await desk.work()
    assert len(desk.codes()) == proof.CODES_AN_HOUR


# Orders without an e-mail address


async def test_an_order_without_email_gets_its_code_by_phone_where_there_is_a_channel(desk: Desk) -> None:
    order = await desk.order(email="", phone="", shipping_address=HOME)
    mona = await desk.browser()
    asked = await ask(desk, mona, contact="0501234567")
    await desk.work()
    assert desk.post.mails == []
    phone = Phone()
    with_phone = replace(desk, app=replace(desk.app, channels={**desk.app.channels, "sms": phone}))
    other = await desk.browser()
    asked = await ask(with_phone, other, contact="+966501234567")
    await with_phone.work()
    assert [sent.recipient for sent in phone.sent] == ["+966501234567"]
    assert await check(with_phone, asked, other, phone.sent[0].text[:6]) == order
    assert desk.post.mails == []


async def test_without_any_way_the_request_is_taken_unverified_and_shows_nothing(desk: Desk) -> None:
    await desk.order(email="", shipping_address=HOME)
    mona = await desk.browser()
    words = desk.app.catalogues.translator("ar")
    for _ in range(2):
        async with desk.app.db.transaction(desk.workspace) as tx:
            await claims.call_back(
                tx, mona, UUID(int=7), desk.store, number="1001", phone="+966501234567", text="أريد إرجاعها",
                words=words, catalogues=desk.app.catalogues,
            )  # fmt: skip
    async with desk.app.db.transaction(desk.workspace) as tx:
        said = (await tx.scalars(select(Message))).one()
        assert "+966501234567" in said.text
        assert "أريد إرجاعها" in said.text
        tag = (await tx.scalars(select(ConversationTag.name))).one()
        assert tag == desk.app.catalogues.translator("ar").gettext("Not verified")
    assert await sees(desk, mona) == []


@pytest.mark.parametrize(("phone", "said"), [("", "return it"), ("+966501234567", "  ")])
async def test_a_call_needs_a_number_and_words(desk: Desk, phone: str, said: str) -> None:
    mona = await desk.browser()
    async with desk.app.db.transaction(desk.workspace) as tx:
        with pytest.raises(AhlanError):
            await claims.call_back(
                tx, mona, uuid4(), desk.store, number="1001", phone=phone, text=said,
                words=desk.app.catalogues.translator("en"), catalogues=desk.app.catalogues,
            )  # fmt: skip


# Whose orders


async def test_a_signed_in_shopper_sees_the_orders_of_their_account_alone(desk: Desk) -> None:
    mine = await desk.order("#1", customer_external_id="c1", email=MAIL)
    theirs = await desk.order("#2", customer_external_id="c2", email=MAIL)
    guest = await desk.order("#3", email=MAIL)
    async with desk.app.db.transaction(desk.workspace) as tx:
        customer = await tx.scalar(select(Order.customer_id).where(Order.id == mine))
    signed_in = replace(await desk.browser(), customer_id=customer)
    assert await sees(desk, signed_in) == [mine]
    for other in (theirs, guest):
        async with desk.app.db.transaction(desk.workspace) as tx:
            with pytest.raises(NotFound):
                await proof.order_of(tx, signed_in, other)


async def test_an_erased_order_is_nobodys(desk: Desk) -> None:
    order = await desk.order(email=MAIL)
    mona = await desk.browser()
    await proven(desk, mona)
    async with desk.app.db.transaction(desk.workspace) as tx:
        await tx.execute(update(Order).where(Order.id == order).values(erased_at=func.now()))
    assert await sees(desk, mona) == []


async def test_another_workspaces_request_is_not_there(desk: Desk, app: App, other_workspace: UUID) -> None:
    await desk.order(email=MAIL)
    mona = await desk.browser()
    asked = await ask(desk, mona)
    await desk.work()
    async with app.db.transaction(other_workspace) as tx:
        assert await proof.check(desk.app.vault, tx, asked, mona.visitor_id, desk.codes()[0]) is None
        assert await tx.scalar(select(func.count()).select_from(OrderProof)) == 0
    assert await check(desk, asked, mona, desk.codes()[0]) is not None


# What is typed


@pytest.mark.parametrize("number", ["", "  ", "#", "-", "\u200f", "x" * 300, "!?"])
def test_what_can_be_no_number_is_said_to_be_none(number: str) -> None:
    with pytest.raises(AhlanError) as refused:
        proof.read(number, MAIL, "SA")
    assert refused.value.code == "order_number"


@pytest.mark.parametrize("contact", ["", "mona", "mona@", "@shop.example", "12", "a@b", "x" * 400])
def test_what_can_be_no_address_is_said_to_be_none(contact: str) -> None:
    with pytest.raises(AhlanError) as refused:
        proof.read("1001", contact, "SA")
    assert refused.value.code == "contact"


@given(st.text(max_size=60), st.text(max_size=60))
def test_whatever_is_typed_is_read_or_refused(number: str, contact: str) -> None:
    try:
        wanted = proof.read(number, contact, "SA")
    except AhlanError:
        return
    assert wanted.number
    assert bool(wanted.email) != bool(wanted.phone)


# Claims


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ({"l1": 0}, "lines"), ({"l1": -1}, "lines"), ({"l1": 3}, "lines"), ({"l1": 1_000_000}, "lines"),
        ({"other": 1}, "lines"), ({}, "nothing_chosen"), ({"l1": 1}, "photo_needed"),
    ],
)  # fmt: skip
async def test_a_claim_is_about_the_orders_own_items(desk: Desk, lines: dict[str, int], code: str) -> None:
    order = await desk.order(email=MAIL)
    mona = await desk.browser()
    await proven(desk, mona)
    async with desk.app.db.transaction(desk.workspace) as tx:
        view = await proof.order_of(tx, mona, order)
        with pytest.raises(AhlanError) as refused:
            await claims.report(
                tx, mona, uuid4(), desk.store, view, Claim.DAMAGED, lines, "", [],
                words=desk.app.catalogues.translator("en"), catalogues=desk.app.catalogues,
            )  # fmt: skip
    assert refused.value.code == code
