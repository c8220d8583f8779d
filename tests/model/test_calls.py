"""The port to a model, against a real server: what is sent, what it costs, and every way in which it can fail."""

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from plugin.app import App
from plugin.kernel.http import Guard, Http
from plugin.model import calls, port, settings
from plugin.model.calls import ModelCall, Unavailable
from plugin.model.port import Endpoint, ModelError, Trouble
from plugin.model.settings import ModelSettings, Unfit, Use
from tests.model.conftest import KEY, Stub, said, set_model


async def _ask(app: App, workspace: UUID, use: Use = Use.BOT) -> str:
    return (await calls.ask(app, workspace, use, "Be brief.", '{"question": "hello"}', most=100)).text


async def _fails(app: App, workspace: UUID, use: Use = Use.BOT) -> str:
    with pytest.raises(Unavailable) as failure:
        await _ask(app, workspace, use)
    return failure.value.why


async def _log(app: App, workspace: UUID) -> list[ModelCall]:
    async with app.db.transaction(workspace) as tx:
        return list(
            await tx.scalars(select(ModelCall).where(ModelCall.workspace_id == workspace).order_by(ModelCall.id))
        )


async def test_a_question_is_sent_with_the_key_and_no_tools(
    local: App, workspace: UUID, stub: Stub, model: ModelSettings
) -> None:
    stub.says("hi")
    assert await _ask(local, workspace) == "hi"
    body = stub.bodies[0]
    assert body["model"] == "stub-1"
    assert body["max_tokens"] == 100
    assert [one["role"] for one in body["messages"]] == ["system", "user"]
    assert not {"tools", "functions", "tool_choice", "user", "metadata"} & set(body)
    assert f"authorization: bearer {KEY}" in stub.heads[0].lower()


async def test_the_log_holds_figures_and_no_words(
    local: App, workspace: UUID, stub: Stub, model: ModelSettings
) -> None:
    stub.says("a secret answer")
    await _ask(local, workspace)
    (line,) = await _log(local, workspace)
    assert (line.purpose, line.outcome, line.tokens_in, line.tokens_out, line.counted) == ("bot", "done", 120, 30, True)
    assert line.milliseconds >= 0
    kept = " ".join(str(getattr(line, column.name)) for column in ModelCall.__table__.columns)
    assert "secret" not in kept
    assert "hello" not in kept


async def test_tokens_that_nobody_counts_are_guessed_and_never_too_few(
    local: App, workspace: UUID, stub: Stub, model: ModelSettings
) -> None:
    stub.answer = lambda body: {"choices": [{"message": {"content": "word " * 40}}]}
    await _ask(local, workspace)
    (line,) = await _log(local, workspace)
    assert not line.counted
    assert line.tokens_out >= 80


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ((500, b"oh no", ""), Trouble.FAILED),
        ((429, {"error": {"message": "slow down"}}, ""), Trouble.BUSY),
        ((401, {"error": {"message": f"Incorrect API key provided: {KEY}"}}, ""), Trouble.KEY),
        ((404, {"error": "no such model"}, ""), Trouble.MISSING),
        ((400, {"error": {"message": "bad"}}, ""), Trouble.ASKED_WRONG),
        ((302, b"", "location: http://127.0.0.1/\r\n"), Trouble.ASKED_WRONG),
        (b"<html>", Trouble.GARBAGE),
        ([], Trouble.GARBAGE),
        ({"choices": []}, Trouble.GARBAGE),
        (
            {"choices": [{"message": {"content": None, "tool_calls": [{"function": {"name": "refund"}}]}}]},
            Trouble.GARBAGE,
        ),
        ({"choices": [{"message": {"content": "  "}}]}, Trouble.GARBAGE),
        (b"x" * (port.MOST_BYTES + 1), Trouble.TIMEOUT),
    ],
)
async def test_every_failure_has_a_name_and_a_line(
    local: App, workspace: UUID, stub: Stub, model: ModelSettings, answer: Any, why: str
) -> None:
    stub.answer = lambda body: answer
    with pytest.raises(Unavailable) as failure:
        await _ask(local, workspace)
    assert failure.value.why == why
    assert KEY not in failure.value.said
    (line,) = await _log(local, workspace)
    assert line.outcome == why
    assert why in calls.WHY


async def test_a_slow_server_is_left_after_its_time(local: App, workspace: UUID, stub: Stub) -> None:
    await set_model(local, workspace, stub, seconds=1)
    stub.delay = 8.0
    begun = time.monotonic()
    assert await _fails(local, workspace) == Trouble.TIMEOUT
    assert time.monotonic() - begun < 4
    (line,) = await _log(local, workspace)
    # Nobody knows what it thought of meanwhile: it counts.
    assert line.tokens_out == 100


async def test_nothing_of_the_database_is_held_while_it_thinks(
    local: App, workspace: UUID, stub: Stub, model: ModelSettings
) -> None:
    stub.says("late")
    stub.delay = 1.0
    waiting = asyncio.create_task(_ask(local, workspace))
    while not stub.bodies:
        await asyncio.sleep(0.01)
    begun = time.monotonic()
    async with local.db.transaction(workspace) as tx:
        assert await settings.of_workspace(tx, lock=True) is not None
    assert time.monotonic() - begun < 0.6
    assert await waiting == "late"


async def test_it_is_left_alone_after_failing_and_tried_again_once(
    local: App, workspace: UUID, stub: Stub, model: ModelSettings
) -> None:
    stub.answer = lambda body: (500, b"", "")
    for _at in range(3):
        assert await _fails(local, workspace) == Trouble.FAILED
    assert await _fails(local, workspace) == calls.PAUSED
    assert len(stub.bodies) == 3
    async with local.db.transaction(workspace) as tx:
        row = await settings.of_workspace(tx)
        assert row is not None
        row.paused_until = datetime.now(UTC) - timedelta(seconds=1)
    stub.says("well again")
    stub.delay = 0.3
    found = await asyncio.gather(*(_ask(local, workspace) for _at in range(4)), return_exceptions=True)
    assert [one for one in found if isinstance(one, str)] == ["well again"]
    assert len(stub.bodies) == 4
    assert await _ask(local, workspace) == "well again"


def test_a_pause_grows_and_is_never_longer_than_a_quarter_of_an_hour() -> None:
    now = datetime.now(UTC)
    pauses = [calls._paused(times, ModelError(Trouble.FAILED), now) for times in range(1, 40)]
    assert pauses[:2] == [None, None]
    lengths = [pause - now for pause in pauses[2:] if pause is not None]
    assert lengths[:3] == [timedelta(seconds=30), timedelta(seconds=60), timedelta(seconds=120)]
    assert set(lengths[8:]) == {timedelta(minutes=15)}


async def test_a_server_that_says_when_is_left_alone_until_then(
    local: App, workspace: UUID, stub: Stub, model: ModelSettings
) -> None:
    stub.answer = lambda body: (429, {}, "retry-after: 120\r\n")
    assert await _fails(local, workspace) == Trouble.BUSY
    assert await _fails(local, workspace) == calls.PAUSED
    async with local.db.transaction(workspace) as tx:
        row = await settings.of_workspace(tx)
        assert row is not None
        assert row.paused_until is not None
        assert timedelta(seconds=100) < row.paused_until - datetime.now(UTC) < timedelta(seconds=130)


async def test_a_days_tokens_end_and_many_at_once_do_not_pass_them(local: App, workspace: UUID, stub: Stub) -> None:
    one = port.guessed('Be brief.{"question": "hello"}') + 100
    await set_model(local, workspace, stub, tokens_day=3 * one)
    stub.says("ok")
    stub.delay = 0.3
    found = await asyncio.gather(*(_ask(local, workspace) for _at in range(8)), return_exceptions=True)
    assert [one for one in found if isinstance(one, str)] == ["ok"] * 3
    assert len(stub.bodies) == 3
    # The server counted 150 for each, more than was set aside: nothing is left.
    assert await _fails(local, workspace) == calls.BUDGET
    assert sum(line.outcome == calls.BUDGET for line in await _log(local, workspace)) == 6


@pytest.mark.parametrize("limit", ["money_day", "money_month"])
async def test_money_ends_too(local: App, workspace: UUID, stub: Stub, limit: str) -> None:
    million = settings.MILLION
    await set_model(
        local, workspace, stub, currency="USD", price_in=10 * million, price_out=40 * million, **{limit: 8_000}
    )
    async with local.db.transaction(workspace) as tx:
        # What was paid in another currency says nothing about this one.
        tx.add(ModelCall(purpose=Use.BOT, outcome=calls.DONE, model="stub", currency="ILS", cost=1_000_000))
    stub.says("ok")
    assert await _ask(local, workspace) == "ok"
    assert (await _log(local, workspace))[-1].cost == 120 * 10 + 30 * 40
    assert await _ask(local, workspace) == "ok"
    assert await _fails(local, workspace) == calls.BUDGET


async def test_what_it_is_not_meant_for_is_not_asked(local: App, workspace: UUID, stub: Stub) -> None:
    assert await _fails(local, workspace) == calls.OFF
    await set_model(local, workspace, stub, uses=[Use.DRAFT])
    assert await _fails(local, workspace, Use.BOT) == calls.OFF
    await set_model(local, workspace, stub, enabled=False)
    assert await _fails(local, workspace, Use.DRAFT) == calls.OFF
    assert stub.bodies == []
    assert await _log(local, workspace) == []


async def test_a_private_address_is_refused_unless_the_operator_allows_it(
    app: App, workspace: UUID, stub: Stub
) -> None:
    strict = Http()
    try:
        await set_model(app, workspace, stub)
        assert await _fails(replace(app, http=strict), workspace) == Trouble.PRIVATE
        assert stub.bodies == []
    finally:
        await strict.close()


async def test_what_a_server_does_not_know_is_left_out_once_and_remembered(
    local: App, workspace: UUID, stub: Stub, model: ModelSettings
) -> None:
    def picky(body: dict[str, Any]) -> Any:
        if "max_tokens" in body:
            return 400, {"error": {"message": "'max_tokens' is not supported. Use 'max_completion_tokens'."}}, ""
        if "temperature" in body:
            return 400, {"error": {"message": "'temperature' does not support 0"}}, ""
        return said("fine")

    stub.answer = picky
    assert await _ask(local, workspace) == "fine"
    assert stub.bodies[-1]["max_completion_tokens"] == 100
    asked = len(stub.bodies)
    assert await _ask(local, workspace) == "fine"
    assert len(stub.bodies) == asked + 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("endpoint", "http://api.example/v1"),
        ("endpoint", "ftp://api.example"),
        ("endpoint", "https://user:pass@api.example/v1"),
        ("endpoint", "https://api.example/v1?x=1"),
        ("endpoint", "https://[::1/v1"),
        ("endpoint", ""),
        ("model", ""),
        ("key", "a b"),
        ("key", "clé"),
        ("seconds", "1"),
        ("seconds", "600"),
        ("tokens_day", "-1"),
        ("tokens_month", "many"),
        ("price_in", "NaN"),
        ("price_out", "1e99"),
        ("currency", "US"),
    ],
)
def test_a_form_that_cannot_be_says_which_field(field: str, value: str) -> None:
    form = {"enabled": "1", "endpoint": "https://api.example/v1", "model": "m", "seconds": "8", field: value}
    with pytest.raises(Unfit) as unfit:
        settings.checked(form, ["bot"], Guard())
    assert field in unfit.value.fields


def test_amounts_are_exact_and_digits_of_any_script_count() -> None:
    form = {"endpoint": "https://api.example/v1/chat/completions", "model": "m", "seconds": "٨", "price_in": "0.15",
            "price_out": "٠٫٦", "currency": "usd", "tokens_day": "١٬٠٠٠", "money_day": "2"}  # fmt: skip
    wished = settings.checked(form, ["bot", "nonsense"], Guard())
    assert (wished.endpoint, wished.seconds, wished.tokens_day) == ("https://api.example/v1", 8, 1000)
    assert (wished.price_in, wished.price_out, wished.money_day, wished.currency) == (
        150_000,
        600_000,
        2_000_000,
        "USD",
    )
    assert list(wished.uses) == [Use.BOT]


async def test_a_kept_key_goes_to_no_other_place(local: App, workspace: UUID, stub: Stub, model: ModelSettings) -> None:
    form = {"enabled": "1", "endpoint": "https://thief.example/v1", "model": "m", "seconds": "8"}
    wished = settings.checked(form, ["bot"], local.http.guard)
    async with local.db.transaction(workspace) as tx:
        with pytest.raises(Unfit):
            await settings.save(tx, local.vault, wished)
        with pytest.raises(Unfit):
            await settings.tried_with(tx, local.vault, wished)
        row = await settings.of_workspace(tx)
        assert row is not None
        assert row.key is not None
        assert KEY.encode() not in row.key
        assert (await settings.endpoint_of(tx, local.vault, row)).key == KEY
        assert KEY not in repr(await settings.endpoint_of(tx, local.vault, row))
    assert settings.same_place(f"{stub.url}/other", stub.url)


async def test_a_test_says_what_is_wrong_and_heals_what_was_paused(
    local: App, workspace: UUID, stub: Stub, model: ModelSettings
) -> None:
    stub.answer = lambda body: (401, {"error": {"message": "no such key"}}, "")
    with pytest.raises(ModelError) as failure:
        await calls.test(local, workspace, Endpoint(stub.url, "stub-1", "wrong"), 5)
    assert failure.value.said == "no such key"
    assert await _fails(local, workspace) == Trouble.KEY
    assert await _fails(local, workspace) == calls.PAUSED
    stub.says('{"ok": true}')
    assert (await calls.test(local, workspace, Endpoint(stub.url, "stub-1", KEY), 5)).tokens_in == 120
    assert await _ask(local, workspace) == '{"ok": true}'


async def test_another_workspace_has_neither_model_nor_log(
    local: App, workspace: UUID, other_workspace: UUID, stub: Stub, model: ModelSettings
) -> None:
    stub.says("mine")
    await _ask(local, workspace)
    assert await _fails(local, other_workspace) == calls.OFF
    assert await _log(local, other_workspace) == []
