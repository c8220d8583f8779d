"""What goes on by itself: reminders and ends, the store's own news, people who are erased, stores that move."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text

from plugin.conversations import attachments
from plugin.crm.orders import Order, OrderReturn, Refund
from plugin.kernel.db import new_id
from plugin.kernel.errors import Conflict
from plugin.privacy import places
from plugin.return_desk import DecideReturn, Ending, EndReturn, LabelReturn, OpenReturn
from plugin.returns import records, steps
from plugin.returns.policy import PayWhen, Policy
from plugin.returns.records import STORES, ReturnLine, ReturnRequest
from plugin.returns.states import State, Times, Who
from plugin.returns.steps import ReturnStep
from tests.returns.desk import MUG, Killed, Shop, want

BY_HAND = Policy(automatic=False)


async def _told(shop: Shop, external_id: str, status: str) -> None:
    """The store's news of a return of its own, as its webhook leaves them."""
    now = datetime.now(UTC)
    async with shop.app.db.transaction(shop.workspace) as tx:
        known = await tx.scalar(
            select(OrderReturn).where(
                OrderReturn.workspace_id == shop.workspace, OrderReturn.external_id == external_id
            )
        )
        if known is None:
            known = OrderReturn(
                id=new_id(), store_id=shop.store.id, external_id=external_id, order_id=shop.order_id,
                order_external_id="x", version=now, status=status, name="#1001-R1", requested_at=now,
            )  # fmt: skip
            tx.add(known)
        known.status, known.version = status, now
        await tx.record("return.requested", subject_id=shop.order_id, store_id=shop.store.id)


async def _all(shop: Shop) -> list[ReturnRequest]:
    async with shop.app.db.transaction(shop.workspace) as tx:
        return list(await records.of_order(tx, shop.order_id))


async def test_what_stands_still_is_reminded_of_and_then_closed(shop: Shop) -> None:
    await shop.policy(Policy(automatic=True))
    request = await shop.submit()
    await shop.work()
    await shop.hurry("wake_return")
    await shop.work()
    assert "Have you sent the parcel" in (await shop.said(request))[-1]
    assert (await shop.request(request)).state == State.APPROVED
    await shop.hurry("wake_return")
    await shop.work()
    request = await shop.request(request)
    assert (request.state, request.why) == (State.CLOSED, "not_sent")
    assert "no parcel came" in (await shop.said(request))[-1]
    assert shop.desk.told()[-1] == "EndReturn"
    assert (await shop.events(request)).count("reminded") == 1


async def test_a_timer_of_an_earlier_state_does_nothing(shop: Shop) -> None:
    await shop.policy(Policy(automatic=True))
    request = await shop.submit()
    await shop.hurry("wake_return")
    request = await shop.move(request, "ship", by=Who.SHOPPER)
    await shop.work()
    request = await shop.request(request)
    assert (request.state, request.overdue, request.waiting_since) == (State.IN_TRANSIT, "", None)
    assert "reminded" not in await shop.events(request)


async def test_who_does_not_answer_is_reminded_and_then_cancelled(shop: Shop) -> None:
    await shop.policy(BY_HAND)
    request = await shop.move(await shop.submit(), "ask", note="Which size?")
    for _time in range(2):
        await shop.hurry("wake_return")
        await shop.work()
    assert (await shop.request(request)).state == State.CANCELLED


async def test_a_parcel_that_does_not_arrive_becomes_a_matter_for_the_team(shop: Shop) -> None:
    await shop.policy(Policy(automatic=True))
    request = await shop.move(await shop.submit(), "ship", by=Who.SHOPPER)
    assert request.waiting_since is None
    await shop.hurry("wake_return")
    await shop.work()
    request = await shop.request(request)
    assert (request.state, request.waiting_since is not None) == (State.IN_TRANSIT, True)


async def test_a_return_that_was_made_in_the_store_stands_in_the_queue_and_nobody_is_written_to(shop: Shop) -> None:
    await _told(shop, "gid://return/9", "requested")
    await shop.work()
    (request,) = await _all(shop)
    assert (request.origin, request.state, request.name) == (STORES, State.REQUESTED, "#1001-R1")
    assert request.waiting_since is not None
    await _told(shop, "gid://return/9", "open")
    await shop.work()
    request = await shop.request(request)
    assert (request.state, request.conversation_id) == (State.APPROVED, None)
    assert shop.desk.heard == []
    await shop.move(request, "close")
    await shop.work()
    assert shop.desk.told() == ["EndReturn"]


async def _history(shop: Shop, *returns: tuple[str, str, int]) -> None:
    """The store's history was read: returns by id, status and days ago, of before the install, without their news."""
    async with shop.app.db.transaction(shop.workspace) as tx:
        for external_id, status, days in returns:
            at = datetime.now(UTC) - timedelta(days=days)
            moment = {"requested": {"requested_at": at}, "open": {"approved_at": at}, "closed": {"closed_at": at}}
            tx.add(
                OrderReturn(
                    id=new_id(), store_id=shop.store.id, external_id=external_id, order_id=shop.order_id,
                    order_external_id="x", version=datetime.now(UTC), status=status, name=f"#1001-{external_id}",
                    **moment[status],
                )
            )  # fmt: skip
        await tx.record("store.backfilled", subject_id=shop.store.id, store_id=shop.store.id)


async def test_what_lay_open_in_the_store_before_the_install_is_taken_over_once(shop: Shop) -> None:
    await _history(shop, ("R1", "requested", 3), ("R2", "open", 40), ("R3", "closed", 90))
    await shop.work("take_over_returns")
    found = {one.external_id: one for one in await _all(shop)}
    assert {id: (one.origin, one.state) for id, one in found.items()} == {
        "R1": (STORES, State.REQUESTED), "R2": (STORES, State.APPROVED),
    }  # fmt: skip
    three = datetime.now(UTC) - timedelta(days=3)
    waiting = found["R1"].waiting_since
    assert waiting is not None
    assert abs(waiting - three) < timedelta(minutes=1), "it has waited since it was asked for"
    assert abs(found["R1"].created_at - three) < timedelta(minutes=1), "and counts on that day"
    assert found["R2"].waiting_since is None
    await _history(shop)
    await _told(shop, "R1", "requested")
    await shop.work("take_over_returns")
    await shop.work()
    again = {one.external_id: one.id for one in await _all(shop)}
    assert {id: again[id] for id in found} == {id: one.id for id, one in found.items()}
    assert shop.desk.heard == []


async def test_what_the_store_shows_of_ours_is_not_taken_over_while_it_is_being_opened(shop: Shop) -> None:
    await shop.policy(Policy(automatic=True))
    request = await shop.submit()
    shop.desk.kill, shop.desk.of = "after", OpenReturn
    with pytest.raises(Killed):
        await shop.work("carry_return")
    await _history(shop, (f"return-{(await shop.steps(request))[0].key}", "open", 0))
    await shop.work("take_over_returns")
    assert [one.id for one in await _all(shop)] == [request.id]
    await shop.hurry()
    await shop.work("carry_return")
    await shop.hurry("take_over_returns")
    await shop.work("take_over_returns")
    (only,) = await _all(shop)
    assert (only.id, only.origin) == (request.id, "ahlan")


@pytest.mark.parametrize("name", ["approve", "decline", "cancel"])
async def test_what_is_decided_here_about_a_return_of_the_stores_own_reaches_it_and_its_customer(
    shop: Shop, name: str
) -> None:
    """A shopper asked in the store's own account: nobody but the store can tell them."""
    await _told(shop, "gid://return/9", "requested")
    await shop.work()
    (request,) = await _all(shop)
    request = await shop.move(request, name, **({"why": "too_late", "note": "Sorry."} if name == "decline" else {}))
    await shop.work()
    ((_key, told),) = shop.desk.heard
    assert told.return_external_id == "gid://return/9"
    assert told.notify
    assert told == (
        EndReturn(request.number, "gid://return/9", Ending.CANCEL, notify=True)
        if name == "cancel"
        else DecideReturn(request.number, "gid://return/9", name == "approve", request.why, request.note, notify=True)
    )
    assert (request.stuck, request.conversation_id) == (False, None)


async def test_a_return_of_the_stores_own_offers_nothing_that_would_reach_nobody(shop: Shop) -> None:
    await _told(shop, "gid://return/9", "requested")
    await shop.work()
    (request,) = await _all(shop)
    for name, more in (("ask", {"note": "Which size?"}), ("receive", {}), ("reopen", {})):
        with pytest.raises(Conflict):
            await shop.move(request, name, **more)
    request = await shop.move(request, "approve")
    with pytest.raises(Conflict):
        await shop.move(request, "receive")
    await shop.hurry("wake_return")
    await shop.work()
    assert (await shop.request(request)).state == State.APPROVED, "it ends where it was made"
    request = await shop.move(request, "label", tracking_number="RR1")
    await shop.work()
    label = shop.desk.heard[-1][1]
    assert isinstance(label, LabelReturn)
    assert label.notify


@pytest.mark.parametrize(
    ("path", "status", "state"),
    [
        ((), "open", State.APPROVED),
        (("ask",), "open", State.APPROVED),
        ((), "declined", State.DECLINED),
        ((), "cancelled", State.CANCELLED),
        (("approve",), "cancelled", State.CANCELLED),
        (("approve", "label"), "cancelled", State.CANCELLED),
        (("approve",), "closed", State.CLOSED),
        (("approve", "ship"), "closed", State.CLOSED),
        (("approve", "receive"), "closed", State.CLOSED),
        (("approve", "close"), "open", State.APPROVED),
        (("approve", "receive", "close"), "open", State.RECEIVED),
        (("approve", "receive"), "open", State.RECEIVED),
        (("approve", "receive"), "cancelled", State.RECEIVED),
    ],
)
async def test_what_somebody_does_to_ours_in_the_stores_admin_is_followed(
    shop: Shop, path: tuple[str, ...], status: str, state: State
) -> None:
    await shop.policy(BY_HAND)
    request = await shop.submit()
    more = {"ask": {"note": "Which size?"}, "label": {"tracking_number": "RR1"}}
    for name in path:
        request = await shop.move(request, name, **more.get(name, {}))
        await shop.work()
    await shop.work()
    heard = len(shop.desk.heard)
    await _told(shop, (await shop.request(request)).external_id, status)
    await shop.work()
    assert (await shop.request(request)).state == state
    assert len(shop.desk.heard) == heard, "the store need not be told what it said"


async def test_what_we_did_and_hear_of_again_changes_nothing(shop: Shop) -> None:
    await shop.policy(Policy(automatic=True))
    request = await shop.submit()
    shop.desk.kill, shop.desk.of = "after", OpenReturn
    try:
        await shop.work("carry_return")
    except Killed:
        # The store has made it, and tells so before we know its number.
        await _told(shop, f"return-{(await shop.steps(request))[0].key}", "open")
    await shop.work("follow_store")
    assert len(await _all(shop)) == 1
    await shop.hurry()
    await shop.work("carry_return")
    await shop.hurry("follow_store")
    await shop.work()
    (only,) = await _all(shop)
    assert (only.id, only.state, only.origin) == (request.id, State.APPROVED, "ahlan")
    before = only.moves
    await _told(shop, only.external_id, "open")
    await shop.work()
    assert (await shop.request(request)).moves == before


async def test_what_the_store_had_before_it_was_asked_for_again_is_nobodys_new_return(shop: Shop) -> None:
    """The store's first return of it is over, and its news come late: it is known as ours."""
    await shop.policy(BY_HAND)
    request = await shop.submit()
    await shop.work()
    first = (await shop.request(request)).external_id
    request = await shop.move(request, "decline", why="too_late")
    request = await shop.move(request, "reopen")
    await shop.work()
    assert (await shop.request(request)).external_id != first
    await _told(shop, first, "declined")
    await shop.work()
    (only,) = await _all(shop)
    assert (only.id, only.state) == (request.id, State.REQUESTED)


async def test_somebody_decides_in_the_stores_admin(shop: Shop) -> None:
    await shop.policy(BY_HAND)
    request = await shop.submit()
    await shop.work()
    external_id = (await shop.request(request)).external_id
    await _told(shop, external_id, "declined")
    await shop.work()
    request = await shop.request(request)
    assert request.state == State.DECLINED
    assert shop.desk.told() == ["OpenReturn"], "the store need not be told what it said"


async def test_a_refund_that_comes_back_is_shown_and_changes_nothing(shop: Shop) -> None:
    await shop.policy(Policy(automatic=True, pay_when=PayWhen.APPROVED))
    request = await shop.submit()
    await shop.work()
    step = (await shop.steps(request))[-1]
    before = await shop.request(request)
    async with shop.app.db.transaction(shop.workspace) as tx:
        tx.add(
            Refund(
                id=new_id(),
                store_id=shop.store.id,
                external_id=step.done.external_id,
                order_id=shop.order_id,
                order_external_id="x",
                version=datetime.now(UTC),
                amount=5_000,
                currency="ILS",
                exponent=2,
            )
        )
        await tx.record("order.refunded", subject_id=shop.order_id, store_id=shop.store.id)
    await shop.work()
    after = await shop.request(request)
    assert (after.moves, after.state, after.paid) == (before.moves, before.state, before.paid)
    assert shop.desk.moved == 5_000


# People and stores


async def test_a_message_goes_out_once_whatever_runs_twice(shop: Shop) -> None:
    await shop.policy(Policy(automatic=True))
    request = await shop.submit()
    await shop.work()
    async with shop.app.db.transaction(shop.workspace) as tx:
        event = next(one for one in await records.history(tx, request) if one.kind == "return_request.approved")
        await tx.enqueue("tell_return", event_id=event.id, subject_id=request.id)
    await shop.work()
    assert len(await shop.said(request)) == 1
    async with shop.app.db.transaction(shop.workspace) as tx:
        talk = await tx.execute(
            text("SELECT status, reply_email FROM conversations WHERE workspace_id = :w AND id = :c"),
            {"w": shop.workspace, "c": request.conversation_id},
        )
        assert tuple(talk.one()) == ("resolved", "layla@x.example"), "in nobody's queue"


async def test_messages_are_in_the_shoppers_language(shop: Shop) -> None:
    await shop.policy(Policy(automatic=True))
    for language, word in (("ar", "الموافقة"), ("he", "אושרה")):
        request = await shop.submit(language=language)
        await shop.work()
        assert word in (await shop.said(request))[0]


async def test_what_a_person_wrote_goes_with_them_and_the_books_stay(shop: Shop) -> None:
    await shop.policy(BY_HAND)
    upload = attachments.read("seam.txt", b"a photo of the seam")
    async with shop.app.db.transaction(shop.workspace) as tx:
        file = await attachments.save(tx, upload, uploader="shopper:x", store_id=shop.store.id)
    request = await shop.submit(photos=[UUID(file["id"])], uploader="shopper:x")
    assert request.photos == [file["id"]]
    await shop.work()
    await shop.move(request, "ask", note="Layla, which size?")
    await shop.submit()
    mine = {place.table: place for place in places.known()}
    for table, row in (("return_requests", ReturnRequest), ("return_lines", ReturnLine), ("return_steps", ReturnStep)):
        place = mine[table]
        assert "order_id" in place.owners
        assert place.stays
        async with shop.app.db.transaction(shop.workspace) as tx:
            await tx.execute(
                text(f"UPDATE {table} SET {place.emptied} WHERE workspace_id = :w AND order_id = :o"),
                {"w": shop.workspace, "o": shop.order_id},
            )
            kept = await tx.execute(
                text(f"SELECT to_jsonb(t) AS found FROM {table} t WHERE workspace_id = :w"),
                {"w": shop.workspace},
            )
            said = str([one.found for one in kept])
            assert "Layla" not in said, row.__name__
    # Its page and its steps go on without them.
    found = await shop.request(request)
    assert (found.chosen, found.worth, found.number) == (None, 5_000, request.number)
    await shop.work()
    assert {step.state for step in await shop.steps(request)} <= {steps.DONE, steps.SKIPPED}


async def test_numbers_go_on_and_links_cannot_be_guessed(shop: Shop) -> None:
    await shop.policy(BY_HAND)
    first, second = await shop.submit(), await shop.submit()
    assert (first.number, second.number) == ("R-1001", "R-1002")
    assert len(first.public_id) >= 20
    assert first.public_id != second.public_id
    async with shop.app.db.transaction(shop.workspace) as tx:
        found = await records.by_public_id(tx, second.public_id)
        assert found is not None
        assert found.id == second.id
        assert await records.by_public_id(tx, "") is None
        assert await records.by_public_id(tx, uuid4().hex) is None
        order = await tx.get(Order, shop.order_id)
        assert order is not None
        seen = await records.steps_of(tx, first)
    assert [state for state, _at in seen] == [State.REQUESTED]
    assert seen[0][1] > datetime.now(UTC) - timedelta(minutes=5)


async def test_a_shop_has_its_own_times_and_what_is_under_way_keeps_those_it_began_with(shop: Shop) -> None:
    await shop.policy(Policy(automatic=True, times=Times(parcel_reminder=None, parcel_end=5)))
    request = await shop.submit()
    await shop.policy(Policy(automatic=True, times=Times(parcel_reminder=2, parcel_end=None)))
    patient = await shop.submit(want((MUG, 1)))
    await shop.work()
    assert await _wakes(shop) == {str(request.id): 5, str(patient.id): 2}
    await shop.hurry("wake_return")
    await shop.work()
    assert (await shop.request(request)).state == State.CLOSED, "closed at once: this shop does not remind"
    assert "reminded" not in await shop.events(request)
    assert (await shop.request(patient)).state == State.APPROVED
    assert "reminded" in await shop.events(patient)
    assert str(patient.id) not in await _wakes(shop), "it may stand still for ever"


async def _wakes(shop: Shop) -> dict[str, int]:
    """In how many days a return that waits is looked at."""
    async with shop.app.db.queue.connect() as connection:
        rows = await connection.execute(
            text("SELECT arguments ->> 'request_id' AS id, extract(epoch FROM run_at - now()) AS seconds FROM jobs "
                 "WHERE workspace_id = :w AND task = 'wake_return' AND done_at IS NULL"),
            {"w": shop.workspace},
        )  # fmt: skip
        return {row.id: round(float(row.seconds) / 86_400) for row in rows}
