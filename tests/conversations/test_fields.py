"""The team's own fields: what fits into which, what is kept, how lists ask for it."""

from contextlib import suppress
from datetime import UTC, date
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from plugin.app import App
from plugin.conversations import conversations, fields, filters, messages, views
from plugin.conversations.conversations import Conversation, Shopper
from plugin.conversations.fields import Asked, Field, Kind, Value
from plugin.conversations.views import Reader
from plugin.kernel.errors import AhlanError, Conflict
from plugin.kernel.events import Event
from plugin.team import Agent
from tests.conversations.conftest import MakeShopper


@pytest.mark.parametrize(
    ("kind", "said", "kept"),
    [
        (Kind.TEXT, "  رسالة   هدية ", Value("رسالة هدية")),
        (Kind.NUMBER, "42.50", Value("42.5", number=Decimal("42.5"))),
        (Kind.NUMBER, "٤٢", Value("42", number=Decimal(42))),
        (Kind.NUMBER, "-3", Value("-3", number=Decimal(-3))),
        (Kind.CHOICE, "damaged", Value("damaged")),
        (Kind.DATE, "2026-11-22", Value("2026-11-22", day=date(2026, 11, 22))),
    ],
)
def test_what_fits_is_kept_in_one_spelling(kind: Kind, said: str, kept: Value) -> None:
    assert fields.read(kind, said, ["damaged", "late"]) == kept


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Kind.NUMBER, "a lot"), (Kind.NUMBER, "1e9"), (Kind.NUMBER, "1" * 15), (Kind.NUMBER, "NaN"),
        (Kind.NUMBER, "0.1234567"), (Kind.CHOICE, "Damaged"), (Kind.DATE, "22.11.2026"), (Kind.DATE, "2026-02-30"),
        (Kind.TEXT, "x" * 201),
    ],
)  # fmt: skip
def test_what_is_none_of_its_kind_is_refused(kind: Kind, said: str) -> None:
    with pytest.raises(AhlanError):
        fields.read(kind, said, ["damaged", "late"])


def test_a_condition_names_a_field_and_compares_it() -> None:
    assert fields.asked("Order Size >= 42") == Asked("order size", ">=", "42")
    assert fields.asked("المقاس=٤٢") == Asked("المقاس", "=", "٤٢")
    assert fields.asked("reason") == Asked("reason")


@given(st.text(max_size=60))
def test_anything_may_be_asked_and_typed(said: str) -> None:
    assert isinstance(fields.asked(said), Asked)
    for kind in Kind:
        with suppress(AhlanError):
            assert isinstance(fields.read(kind, said, ["x"]), Value)


async def begin(app: App, workspace: UUID, make_shopper: MakeShopper) -> UUID:
    shopper: Shopper = await make_shopper()
    async with app.db.transaction(workspace) as tx:
        await messages.receive(tx, shopper, uuid4(), "hello")
        head = await conversations.current(tx, shopper)
    assert head is not None
    return head.id


async def fill(app: App, workspace: UUID, id: UUID, name: str, said: str, by: Agent) -> bool:
    async with app.db.transaction(workspace) as tx:
        talk = await tx.get(Conversation, id)
        field = await tx.scalar(select(Field).where(Field.key == fields.folded(name)))
        assert talk is not None
        return await fields.fill(tx, talk, field, said, by=by)


async def test_a_value_is_put_in_changed_and_taken_out_with_its_trail(
    app: App, workspace: UUID, make_shopper: MakeShopper, noa: Agent
) -> None:
    id = await begin(app, workspace, make_shopper)
    async with app.db.transaction(workspace) as tx:
        await fields.make(tx, "Size", Kind.NUMBER)
    assert await fill(app, workspace, id, "Size", "42", noa)
    assert not await fill(app, workspace, id, "Size", "42.0", noa), "the same number is no news"
    assert await fill(app, workspace, id, "Size", "43", noa)
    with pytest.raises(AhlanError):
        await fill(app, workspace, id, "Size", "large", noa)
    async with app.db.transaction(workspace) as tx:
        assert await fields.values(tx, id) == {"size": "43"}
    assert await fill(app, workspace, id, "Size", " ", noa)
    assert not await fill(app, workspace, id, "Size", "", noa)
    async with app.db.transaction(workspace) as tx:
        trail = list(await tx.scalars(select(Event.data).where(Event.kind == "conversation.field_changed")))
    assert trail == [{"field": "Size"}] * 3, "the event never says the value"


async def test_lists_ask_for_fields_by_presence_equality_and_size(
    app: App, workspace: UUID, make_shopper: MakeShopper, noa: Agent
) -> None:
    ids = [await begin(app, workspace, make_shopper) for _ in range(4)]
    async with app.db.transaction(workspace) as tx:
        await fields.make(tx, "Size", Kind.NUMBER)
        await fields.make(tx, "Due day", Kind.DATE)
        await fields.make(tx, "Reason", Kind.CHOICE, ["Damaged", "Too late"])
        await fields.make(tx, "ملاحظة", Kind.TEXT)
    said = [("Size", "9"), ("Size", "42"), ("Size", "100")]
    for id, (name, value) in zip(ids, said, strict=False):
        await fill(app, workspace, id, name, value, noa)
    await fill(app, workspace, ids[0], "Due day", "2026-11-30", noa)
    await fill(app, workspace, ids[1], "Due day", "2026-12-02", noa)
    await fill(app, workspace, ids[2], "Reason", "Too late", noa)
    await fill(app, workspace, ids[3], "ملاحظة", "هدية", noa)
    reader = Reader(noa.id, UTC)

    async def found(filter: str) -> set[int]:
        async with app.db.transaction(workspace) as tx:
            rows = (await views.queue(tx, filters.parse(filter), reader)).rows
        return {ids.index(row.conversation.id) for row in rows}

    assert await found("field:size") == {0, 1, 2}
    assert await found("-field:size") == {3}
    assert await found("field:size=42") == {1}
    assert await found("field:size=٤٢,9") == {1}, "behind a comma stands another field, and there is none called 9"
    assert await found("field:SIZE>9") == {1, 2}, "by number: 100 is more than 9"
    assert await found('field:"due day<2026-12-01"') == {0}
    assert await found('field:"reason=too late"') == {2}
    assert await found("field:ملاحظه=هدية status:open") == {3}
    assert await found("field:nothing") == set()
    for text in ('field:"due day<2026-12-01" -field:size', "field:size>=3"):
        assert str(filters.parse(text)) == text


async def test_fields_are_made_changed_ordered_and_put_away(app: App, workspace: UUID) -> None:
    async with app.db.transaction(workspace) as tx:
        size = await fields.make(tx, "Size", Kind.TEXT)
        reason = await fields.make(tx, "Reason", Kind.CHOICE, ["a", "b", "a", " "])
        assert reason.options == ["a", "b"]
        for name in ("size", "SIZE"):
            with pytest.raises(Conflict):
                await fields.make(tx, name, Kind.TEXT)
        for name, kind, options in (("", Kind.TEXT, []), ("a=b", Kind.TEXT, []), ("one", Kind.CHOICE, ["only"])):
            with pytest.raises(AhlanError):
                await fields.make(tx, name, kind, options)
        await fields.move(tx, reason, -1)
        assert [one.name for one in await fields.all_fields(tx)] == ["Reason", "Size"]
        await fields.change(tx, size, "Shoe size", [])
        assert (size.name, size.key) == ("Shoe size", "size"), "what is in it stays found"
        await fields.archive(tx, reason)
        assert [one.name for one in await fields.all_fields(tx)] == ["Shoe size"]
        await fields.archive(tx, reason, back=True)
        assert len(await fields.all_fields(tx)) == 2
