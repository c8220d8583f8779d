"""A withdrawal from its statement to the money: the receipt, the return, what waits for somebody, and the evidence."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import event, func, select, text, update
from sqlalchemy.exc import ProgrammingError
from starlette.applications import Starlette

import plugin.widget.routes as widget_routes
from integrations.channels.email.send import EmailChannel
from plugin import privacy
from plugin.conversations.conversations import EMAIL
from plugin.crm.orders import Order
from plugin.crm.visitors import Visitor
from plugin.kernel.db import new_id
from plugin.kernel.errors import AhlanError, Conflict
from plugin.kernel.jobs import TaskError
from plugin.kernel.web import Web
from plugin.platform import PlatformError
from plugin.privacy import keeping
from plugin.returns import records, withdrawal_rules, withdrawals, withdrawing
from plugin.returns.policy import Match, Policy, Terms
from plugin.returns.records import ReturnRequest
from plugin.returns.withdrawal_rules import Exemption, Ground, Rules
from plugin.returns.withdrawals import Stage, Withdrawal, WithdrawalCase
from plugin.stores import Store
from plugin.widget import session, withdrawal
from plugin.widget.session import Pass
from tests.mailroom import Post, smtp_server
from tests.returns.desk import MUG, SHIRT, Shop

MAIL = "mona@shop.example"
TASKS = ("sort_withdrawal", "send_withdrawal_receipt", "answer_withdrawal", "follow_withdrawal", "carry_return",
         "tell_return")  # fmt: skip
Declare = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture
async def till(shop: Shop) -> Any:
    """The shop with an order of Mona's that went to Germany and came there yesterday, and a real mail server."""
    shop.desk.order = replace(shop.desk.order, country="DE")
    await shop.policy(Policy(terms=Terms(barred="final_sale"), rules=()))
    async with shop.app.db.transaction(shop.workspace) as tx:
        await tx.execute(update(Order).where(Order.id == shop.order_id).values(email=MAIL, number="1001", name="#1001"))
    async with smtp_server() as post:
        email = EmailChannel(f"smtp://127.0.0.1:{post.port}", "noreply@ahlan.example")
        shop.app = replace(shop.app, channels={**shop.app.channels, EMAIL: email})
        yield shop, post
        await email.close()


@pytest.fixture
def shop_(till: tuple[Shop, Post]) -> Shop:
    return till[0]


@pytest.fixture
def post(till: tuple[Shop, Post]) -> Post:
    return till[1]


@pytest.fixture
async def declare(shop_: Shop) -> Any:
    """A stranger's browser on the shop's page declares, over the wire."""
    web = Web(shop_.app.catalogues, [Path(widget_routes.__file__).parent / "templates"], "https://ahlan.example")
    site = Starlette(routes=widget_routes.routes(shop_.app, web), exception_handlers=dict(web.handlers()))
    opened = []

    async def send(http: httpx.AsyncClient | None = None, *, status: int = 200, **said: Any) -> dict[str, Any]:
        """`status` 0: whatever the answer is."""
        if http is None:
            async with shop_.app.db.transaction(shop_.workspace) as tx:
                visitor = Visitor(id=new_id(), store_id=shop_.store.id, secret_hash=uuid4().bytes)
                tx.add(visitor)
            token = session.issue(shop_.app.vault, Pass(shop_.workspace, shop_.store.id, visitor.id, locale="en"))
            http = httpx.AsyncClient(
                transport=httpx.ASGITransport(site, client=(f"10.9.0.{len(opened) + 1}", 4000)),
                base_url="https://ahlan.example", headers={"authorization": f"Bearer {token}"},
            )  # fmt: skip
            opened.append(http)
        body = {"client_id": str(uuid4()), "name": "Mona Berg", "contract": "1001", "email": MAIL, "language": "en"}
        answer = await http.post("/widget/withdrawal", json={**body, **said})
        assert status == 0 or answer.status_code == status, answer.text
        return {**answer.json(), "http": http}

    yield send
    for http in opened:
        await http.aclose()


async def cases(shop: Shop) -> list[WithdrawalCase]:
    async with shop.app.db.transaction(shop.workspace) as tx:
        return list(await tx.scalars(select(WithdrawalCase).order_by(WithdrawalCase.id)))


async def case_of(shop: Shop) -> WithdrawalCase:
    (found,) = await cases(shop)
    return found


async def returns(shop: Shop) -> list[ReturnRequest]:
    async with shop.app.db.transaction(shop.workspace) as tx:
        return list(await records.of_order(tx, shop.order_id))


async def rules(shop: Shop, wanted: Rules) -> None:
    async with shop.app.db.transaction(shop.workspace) as tx:
        store = await tx.get(Store, shop.store.id, lock=True)
        assert store is not None
        await withdrawals.keep_rules(tx, store, wanted, by=shop.agent)


def letters(post: Post) -> list[tuple[str, str, str]]:
    """To whom, the subject and the words of each mail."""
    found = []
    for to, mail in zip(post.recipients, post.mails, strict=True):
        body = mail.get_body(("plain",))
        assert body is not None
        found.append((to, str(mail["subject"]), body.get_content()))
    return found


async def test_a_statement_becomes_a_return_outside_the_policy_and_the_money_goes_once_the_goods_are_here(
    shop_: Shop, post: Post, declare: Declare
) -> None:
    made = await declare(contract="#١٠٠١", name="Mona  Berg")
    await shop_.work(*TASKS)
    case = await case_of(shop_)
    (request,) = await returns(shop_)
    assert (case.stage, case.request_id, case.verified, case.receipt_state) == (Stage.RETURN, request.id, True, "sent")
    assert (request.state, request.worth, request.resolution) == ("approved", 12_000, "refund")
    async with shop_.app.db.transaction(shop_.workspace) as tx:
        lines = await records.lines_of(tx, request.id)
    assert {(line.line_external_id, line.quantity, line.reason, line.fee) for line in lines} == {
        (SHIRT, 2, "withdrawal", 0), (MUG, 1, "withdrawal", 0),
    }  # fmt: skip
    assert shop_.desk.moved == 0
    request = await shop_.move(request, "receive")
    await shop_.work(*TASKS)
    assert shop_.desk.moved == 12_000
    case = await case_of(shop_)
    assert (case.stage, case.why) == (Stage.DONE, "paid")
    assert made["reference"] in letters(post)[0][1]


async def test_the_receipt_says_what_was_declared_and_when_and_goes_to_the_address_that_was_given(
    shop_: Shop, post: Post, declare: Declare
) -> None:
    await rules(shop_, Rules(words={"en": "Send it to Main Street 1."}))
    made = await declare(contract="9999", email="Other@Shop.example", goods="the blue one", language="de")
    await shop_.work(*TASKS)
    ((to, subject, said),) = letters(post)
    assert to == "other@shop.example"
    assert made["reference"] in subject
    at = datetime.fromisoformat(made["at"]).astimezone(UTC)
    for words in (
        "Mona Berg", "9999", "the blue one", "other@shop.example", at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "Widerruf bestätigen", "Send it to Main Street 1.", made["reference"], "Das haben Sie erklärt:",
    ):  # fmt: skip
        assert words in said, words
    assert said.strip().replace("\r", "") == made["receipt"].strip()
    html = post.mails[0].get_body(("html",))
    assert html is not None
    assert 'dir="ltr"' in html.get_content()


async def test_right_and_wrong_pairs_get_the_same_answer_from_the_same_work(shop_: Shop, declare: Declare) -> None:
    asked: list[list[str]] = []
    engine = shop_.app.db.app.sync_engine
    answers = []
    first = await declare(contract="5", email="x@shop.example")  # so that nothing is new to this process
    for said in ({}, {"email": "nobody@shop.example"}, {"contract": "7777", "email": "nobody@shop.example"}):
        statements: list[str] = []

        def heard(_c: Any, _k: Any, statement: str, *_more: Any, into: list[str] = statements) -> None:
            into.append(statement)

        event.listen(engine, "before_cursor_execute", heard)
        try:
            answer = await declare(first["http"], **said)
        finally:
            event.remove(engine, "before_cursor_execute", heard)
        asked.append(statements)
        answers.append({key for key in answer if key != "http"})
    assert asked[0] == asked[1] == asked[2]
    assert len(asked[0]) > 3
    assert answers[0] == answers[1] == answers[2] == {"reference", "at", "email", "receipt", "mailed"}
    assert not any("orders" in statement for statement in asked[0])


async def test_confirmed_twice_it_is_one_statement_and_one_receipt(shop_: Shop, post: Post, declare: Declare) -> None:
    name = str(uuid4())
    first = await declare(client_id=name)
    second = await declare(first["http"], client_id=name, name="Somebody Else")
    assert {**first, "http": 0} == {**second, "http": 0}
    stranger = await declare(client_id=name)
    assert stranger["reference"] != first["reference"], "another browser's is another's"
    await shop_.work(*TASKS)
    assert sorted(reference in str(letters(post)) for reference in (first["reference"], stranger["reference"])) == [
        True, True,
    ]  # fmt: skip
    assert len(post.mails) == 2
    assert [case.why for case in await cases(shop_)] == ["", "twice"]
    assert len(await returns(shop_)) == 1


@pytest.mark.parametrize(
    ("said", "why"),
    [({"contract": "7777"}, "unmatched"), ({"email": "other@shop.example"}, "unmatched"),
     ({"contract": "the kettle of last week"}, "unmatched"), ({"goods": "only the mug"}, "part")],
)  # fmt: skip
async def test_what_is_not_clear_is_taken_and_waits_for_somebody(
    shop_: Shop, post: Post, declare: Declare, said: dict[str, str], why: str
) -> None:
    await declare(**said)
    await shop_.work(*TASKS)
    case = await case_of(shop_)
    assert (case.stage, case.why, case.receipt_state) == (Stage.OPEN, why, "sent")
    assert await returns(shop_) == []
    assert len(post.mails) == 1, "nobody is told whether there is such an order"


async def test_before_it_is_sent_it_is_a_wish_to_cancel_that_ends_when_the_order_does(
    shop_: Shop, declare: Declare
) -> None:
    order = shop_.desk.order
    shop_.desk.order = replace(order, lines=tuple(replace(one, shipped=(), returnable=0) for one in order.lines))
    await declare()
    await shop_.work(*TASKS)
    case = await case_of(shop_)
    assert (case.stage, case.unsent, await returns(shop_)) == (Stage.CANCEL, 3, [])
    async with shop_.app.db.transaction(shop_.workspace) as tx:
        await tx.execute(update(Order).where(Order.id == shop_.order_id).values(cancelled_at=func.now()))
        await tx.record("order.cancelled", subject_id=shop_.order_id, store_id=shop_.store.id)
    await shop_.work(*TASKS)
    case = await case_of(shop_)
    assert (case.stage, case.why) == (Stage.DONE, "cancelled")


@pytest.mark.parametrize("what", ["late", "outside", "exempt", "by_hand", "cancelled", "store"])
async def test_the_team_decides_what_the_law_leaves_open(shop_: Shop, declare: Declare, what: str) -> None:
    order = shop_.desk.order
    if what == "late":
        then = datetime.now(UTC) - timedelta(days=40)
        lines = tuple(
            replace(one, shipped=(replace(one.shipped[0], shipped_at=then, delivered_at=then),)) for one in order.lines
        )
        shop_.desk.order = replace(order, lines=lines)
    if what == "outside":
        shop_.desk.order = replace(order, country="SA")
    if what == "cancelled":
        shop_.desk.order = replace(order, cancelled=True)
    if what == "exempt":
        both = Exemption(Ground.MADE_TO_ORDER, Match(products=("p1", "p2")))
        await rules(shop_, Rules(exemptions=(both,)))
    if what == "by_hand":
        await rules(shop_, Rules(automatic=False))
    if what == "store":

        async def gone(*_given: Any) -> None:
            raise PlatformError("no", retry=False, code="refused")

        shop_.desk.returnable = gone
    await declare()
    await shop_.work(*TASKS)
    case = await case_of(shop_)
    assert (case.stage, case.why, case.order_id, await returns(shop_)) == (Stage.OPEN, what, shop_.order_id, [])
    if what == "exempt":
        assert case.exempt == [["Linen shirt", "c"], ["Mug", "c"]]


async def test_goods_that_are_exempt_once_opened_become_a_return_that_somebody_looks_at(
    shop_: Shop, declare: Declare
) -> None:
    await rules(shop_, Rules(exemptions=(Exemption(Ground.UNSEALED, Match(products=("p2",))),)))
    await declare()
    await shop_.work(*TASKS)
    (request,) = await returns(shop_)
    assert (request.state, request.review) == ("requested", ["terms"])


async def test_somebody_joins_the_order_and_makes_the_return_of_what_was_meant(shop_: Shop, declare: Declare) -> None:
    await declare(contract="the mug", email="work@shop.example")
    await shop_.work(*TASKS)
    case = await case_of(shop_)
    with pytest.raises(Conflict):
        await withdrawing.make_return(shop_.app, shop_.workspace, case.id, {MUG: 1}, by=shop_.agent)
    async with shop_.app.db.transaction(shop_.workspace) as tx:
        _statement, case = await withdrawals.held(tx, case.id)
        await withdrawing.link(tx, case, shop_.order_id, by=shop_.agent)
    for units in ({}, {MUG: 0}, {MUG: 7}, {"gid://line/9": 1}):
        with pytest.raises(AhlanError):
            await withdrawing.make_return(shop_.app, shop_.workspace, case.id, units, by=shop_.agent)
    request = await withdrawing.make_return(shop_.app, shop_.workspace, case.id, {MUG: 1}, by=shop_.agent)
    assert (request.worth, request.asked_by) == (2_000, "agent")
    assert (await case_of(shop_)).stage == Stage.RETURN
    with pytest.raises(Conflict):
        await withdrawing.make_return(shop_.app, shop_.workspace, case.id, {MUG: 1}, by=shop_.agent)


async def test_a_refusal_is_mailed_in_the_teams_words_and_can_be_taken_back(
    shop_: Shop, post: Post, declare: Declare
) -> None:
    await declare(contract="7777")
    await shop_.work(*TASKS)
    case = await case_of(shop_)
    async with shop_.app.db.transaction(shop_.workspace) as tx:
        _statement, case = await withdrawals.held(tx, case.id)
        with pytest.raises(AhlanError):
            await withdrawals.refuse(tx, case, "  ", by=shop_.agent)
        await withdrawals.refuse(tx, case, "It was cut to your measure.", by=shop_.agent)
        with pytest.raises(Conflict):
            await withdrawals.finish(tx, case, by=shop_.agent)
    await shop_.work(*TASKS)
    assert "It was cut to your measure." in letters(post)[-1][2]
    async with shop_.app.db.transaction(shop_.workspace) as tx:
        _statement, case = await withdrawals.held(tx, case.id)
        await withdrawals.reopen(tx, case, by=shop_.agent)
        await withdrawals.finish(tx, case, by=shop_.agent)
    assert (await case_of(shop_)).stage == Stage.DONE


async def test_a_return_that_ends_without_money_comes_back_to_the_list(shop_: Shop, declare: Declare) -> None:
    await declare()
    await shop_.work(*TASKS)
    (request,) = await returns(shop_)
    await shop_.move(request, "cancel")
    await shop_.work(*TASKS)
    case = await case_of(shop_)
    assert (case.stage, case.why, case.request_id) == (Stage.OPEN, "return_ended", None)


async def test_after_a_return_that_came_to_nothing_a_new_one_is_made(shop_: Shop, declare: Declare) -> None:
    await declare()
    await shop_.work(*TASKS)
    (first,) = await returns(shop_)
    await shop_.move(first, "cancel")
    await shop_.work(*TASKS)
    second = await withdrawing.make_return(
        shop_.app, shop_.workspace, (await case_of(shop_)).id, {MUG: 1}, by=shop_.agent
    )
    assert second.id != first.id
    assert (second.state, second.worth, (await case_of(shop_)).request_id) == ("approved", 2_000, second.id)


async def test_a_return_that_is_asked_for_while_a_statement_is_sorted_has_the_store_asked_anew(
    shop_: Shop, declare: Declare
) -> None:
    await shop_.policy(Policy())
    await declare()
    case, slow, told = await case_of(shop_), shop_.desk.returnable, []

    async def returnable(*asked: Any) -> Any:
        answer = await slow(*asked)
        if not told:
            told.append(answer)
            await shop_.submit()
        return answer

    shop_.desk.returnable = returnable
    with pytest.raises(TaskError) as again:
        await withdrawing.sort_withdrawal(shop_.app, shop_.workspace, withdrawal_id=str(case.id))
    assert again.value.retry
    (only,) = await returns(shop_)
    assert only.worth == 5_000, "what was read before the other return was asked for promises nothing"


async def test_what_became_of_a_statement_is_kept_as_long_as_the_statement(shop_: Shop, declare: Declare) -> None:
    await declare()
    await shop_.work(*TASKS)
    request = await shop_.move((await returns(shop_))[0], "receive")
    await shop_.work(*TASKS)
    request = await shop_.move(request, "close")
    async with shop_.app.db.transaction(shop_.workspace) as tx:
        await tx.execute(text("UPDATE return_requests SET moved_at = now() - interval '600 days'"))
        await keeping.keep(tx, shop_.app.settings, "returns", 365, shop_.agent)
    await privacy.retention(shop_.app, shop_.workspace)
    assert (await case_of(shop_)).request_id == request.id
    async with shop_.app.db.transaction(shop_.workspace) as tx:
        await tx.execute(text("DELETE FROM withdrawal_statements"))
    await privacy.retention(shop_.app, shop_.workspace)
    assert await returns(shop_) == []


async def test_the_team_is_warned_before_the_fourteen_days_end_and_after(
    shop_: Shop, post: Post, declare: Declare
) -> None:
    await declare()
    await shop_.work(*TASKS)
    case = await case_of(shop_)
    assert timedelta(days=14) < case.pay_by - case.created_at < timedelta(days=15, hours=1)
    before = len(post.mails)
    assert await shop_._due(("warn_withdrawal",)) == [], "not on the first day"
    await shop_.hurry("warn_withdrawal")
    await shop_.work("warn_withdrawal")
    told = letters(post)[before:]
    assert {to for to, _subject, _said in told} == {shop_.agent.email}
    assert sum("has to be paid back by" in subject for _to, subject, _said in told) == 1
    assert sum("is over" in subject for _to, subject, _said in told) == 1
    assert all(f"/panel/withdrawals/{case.id}" in said for _to, _subject, said in told)


async def test_what_is_paid_needs_no_warning(shop_: Shop, post: Post, declare: Declare) -> None:
    await declare()
    await shop_.work(*TASKS)
    await shop_.move((await returns(shop_))[0], "receive")
    await shop_.work(*TASKS)
    assert (await case_of(shop_)).stage == Stage.DONE
    before = len(post.mails)
    await shop_.hurry("warn_withdrawal")
    await shop_.work("warn_withdrawal")
    assert len(post.mails) == before


async def test_a_receipt_that_cannot_leave_is_known_and_can_be_sent_again(
    shop_: Shop, post: Post, declare: Declare
) -> None:
    channels = dict(shop_.app.channels)
    del channels[EMAIL]
    whole, shop_.app = shop_.app, replace(shop_.app, channels=channels)
    await declare()
    await shop_.work(*TASKS)
    assert (await case_of(shop_)).receipt_state == "failed"
    shop_.app = whole
    async with shop_.app.db.transaction(shop_.workspace) as tx:
        _statement, case = await withdrawals.held(tx, (await case_of(shop_)).id)
        await withdrawing.send_again(tx, case, by=shop_.agent)
    await shop_.work(*TASKS)
    assert (await case_of(shop_)).receipt_state == "sent"
    assert next(to for to, _subject, _said in letters(post)) == MAIL


async def test_a_statement_can_be_read_and_by_age_deleted_and_never_changed(shop_: Shop, declare: Declare) -> None:
    await declare()
    async with shop_.app.db.transaction(shop_.workspace) as tx:
        statement = (await tx.scalars(select(Withdrawal))).one()
        assert len(statement.digest) == 64
    with pytest.raises(ProgrammingError, match="permission denied"):
        async with shop_.app.db.transaction(shop_.workspace) as tx:
            await tx.execute(text("UPDATE withdrawal_statements SET name = 'Nobody'"))


@pytest.mark.parametrize(
    "said",
    [{"name": " "}, {"contract": ""}, {"email": "mona"}, {"email": "a@b"}, {"email": "x" * 300 + "@shop.example"}],
)
async def test_what_is_missing_is_asked_for(shop_: Shop, declare: Declare, said: dict[str, str]) -> None:
    answer = await declare(status=400, **said)
    assert answer["error"]["message"]
    assert await cases(shop_) == []


async def test_a_greek_page_speaks_greek_from_its_first_words_to_its_last(
    shop_: Shop, post: Post, declare: Declare
) -> None:
    """The screens, what is missing or too much, the receipt, and the team's answer; whatever the browser prefers."""
    refused = await declare(status=400, name=" ", language="el-GR")
    assert refused["error"]["message"] == "Γράψτε το όνομά σας."
    http = refused["http"]
    words = (await http.get("/widget/withdrawal/words?locale=el", headers={"accept-language": "he"})).json()
    assert (words["w.language"], words["w.direction"], words["w.check"]) == ("el", "ltr", "Ελέγξτε τη δήλωσή σας")
    made = await declare(http, language="el-GR", contract="9999")
    for _ in range(withdrawal.DECLARING.visitor):
        flooded = await declare(http, language="el", email="other@shop.example", status=0)
    assert flooded["error"]["message"] == "Έγιναν πολλές ενέργειες σε λίγο χρόνο."
    await shop_.work(*TASKS)
    (_to, subject, said) = next(one for one in letters(post) if made["reference"] in one[1])
    assert subject.startswith("Απόδειξη παραλαβής της υπαναχώρησής σας")
    assert "Αυτό δηλώσατε:" in said


async def test_floods_end_for_one_browser_and_for_one_address(shop_: Shop, declare: Declare) -> None:
    first = await declare(email="flood@shop.example")
    for _ in range(withdrawal.DECLARING.visitor - 1):
        await declare(first["http"], email="flood@shop.example")
    await declare(first["http"], status=429, email="other@shop.example")
    for _ in range(withdrawal.RECEIPTS.visitor - withdrawal.DECLARING.visitor):
        await declare(email="flood@shop.example")
    await declare(status=429, email="FLOOD@shop.example")
    await declare(email="quiet@shop.example")


async def test_it_is_shown_while_the_store_sells_there_and_taken_even_while_it_is_not(
    shop_: Shop, declare: Declare
) -> None:
    async def shown() -> bool:
        async with shop_.app.db.transaction(shop_.workspace) as tx:
            store = await tx.get(Store, shop_.store.id)
            assert store is not None
            return await withdrawals.shown(tx, store)

    assert not await shown()
    async with shop_.app.db.transaction(shop_.workspace) as tx:
        await tx.execute(
            update(Order)
            .where(Order.id == shop_.order_id)
            .values(shipping_address={"country": "FR"}, placed_at=func.now())
        )
    assert await shown()
    await rules(shop_, Rules(when=withdrawal_rules.When.OFF))
    assert not await shown()
    await declare()
    assert len(await cases(shop_)) == 1
