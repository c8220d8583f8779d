"""Macros: who has which, in which order, in which language, what is filled in and what is done."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from plugin.app import App
from plugin.conversations import conversations, filling, macros, messages, starters, tags, wording
from plugin.conversations.conversations import Conversation, Shopper
from plugin.conversations.macros import Draft, Macro, parse
from plugin.conversations.wording import Name, WordingError
from plugin.crm import identities, sync
from plugin.crm.visitors import Visitor
from plugin.kernel import jobs
from plugin.kernel.db import new_id
from plugin.kernel.errors import AhlanError, Forbidden, NotFound
from plugin.kernel.jobs import JobRow
from plugin.kernel.money import Money
from plugin.platform import CustomerRecord, FulfilmentRecord, OrderRecord
from plugin.reactions import TASKS
from plugin.stores import Store
from plugin.team import Agent, Role

NOW = datetime.now(UTC)


async def write(app: App, workspace: UUID, by: Agent, name: str, *, shared: bool = True, **more: object) -> Macro:
    texts = more.get("texts", {"en": f"{name} text"})
    async with app.db.transaction(workspace) as tx:
        return await macros.write(tx, by, Draft(name, texts, more.get("actions", ()), shared))


async def found(app: App, workspace: UUID, agent: Agent, query: str = "") -> list[str]:
    async with app.db.transaction(workspace) as tx:
        return [one.macro.name for one in await macros.available(tx, agent, query=query)]


async def use(app: App, workspace: UUID, macro: Macro, agent: Agent, times: int) -> None:
    async with app.db.transaction(workspace) as tx:
        for _ in range(times):
            await macros.used(tx, macro, agent)


async def talk(app: App, workspace: UUID, shopper: Shopper) -> UUID:
    async with app.db.transaction(workspace) as tx:
        await messages.receive(tx, shopper, uuid4(), "hello")
        head = await conversations.current(tx, shopper)
    assert head is not None
    return head.id


async def test_ones_own_most_used_come_first_then_the_teams_then_as_ordered(
    app: App, workspace: UUID, noa: Agent, omar: Agent
) -> None:
    made = {name: await write(app, workspace, noa, name) for name in ("a", "b", "c", "d")}
    await use(app, workspace, made["d"], noa, 2)
    await use(app, workspace, made["c"], omar, 5)
    assert await found(app, workspace, noa) == ["d", "c", "a", "b"]
    assert await found(app, workspace, omar) == ["c", "d", "a", "b"]


async def test_a_colleagues_own_macro_is_neither_found_nor_opened_nor_changed(
    app: App, workspace: UUID, noa: Agent, omar: Agent
) -> None:
    own = await write(app, workspace, noa, "mine alone", shared=False)
    assert await found(app, workspace, noa) == ["mine alone"]
    assert await found(app, workspace, omar) == []
    async with app.db.transaction(workspace) as tx:
        with pytest.raises(NotFound):
            await macros.find(tx, omar, own.id)


async def test_the_teams_is_changed_by_whom_made_it_and_by_whom_the_settings_are(
    app: App, workspace: UUID, noa: Agent, omar: Agent
) -> None:
    shared = await write(app, workspace, noa, "ours")
    async with app.db.transaction(workspace) as tx:
        macro = await macros.find(tx, omar, shared.id)
        for attempt in (
            macros.write(tx, omar, Draft("theirs", {"en": "x"}, (), True), macro),
            macros.archive(tx, omar, macro),
            macros.move(tx, omar, macro, 1),
        ):
            with pytest.raises(Forbidden):
                await attempt
    async with app.db.transaction(workspace) as tx:
        boss = Agent(id=new_id(), name="Boss", email=f"{uuid4().hex}@shop.example", role=Role.ADMIN)
        tx.add(boss)
        await tx.flush()
        macro = await macros.find(tx, boss, shared.id)
        await macros.write(tx, boss, Draft("ours, better", {"en": "x"}, (), False), macro)
        assert macro.agent_id is None, "what a colleague shared is not taken away from the team"
    assert await found(app, workspace, omar) == ["ours, better"]


async def test_search_reads_names_and_texts_as_people_write_them(app: App, workspace: UUID, noa: Agent) -> None:
    await write(app, workspace, noa, "Refund", texts={"ar": "أُعيدَ المبلغُ إلى بطاقتكم", "he": "ההחזר בדרך"})
    await write(app, workspace, noa, "شحن الطلب", texts={"ar": "طلبكم في الطريق {{ tracking.link }}"})
    await write(app, workspace, noa, "Later", texts={"en": "the refund takes a week"})
    assert await found(app, workspace, noa, "اعيد المبلغ") == ["Refund"]
    assert await found(app, workspace, noa, "הַהֶחְזֵר") == ["Refund"]
    assert await found(app, workspace, noa, "شحن الطلب") == ["شحن الطلب"]
    assert await found(app, workspace, noa, "refund") == ["Refund", "Later"], "a name goes before a text"
    assert await found(app, workspace, noa, "tracking") == [], "names to fill in are no words"
    assert await found(app, workspace, noa, "100%_") == []


async def test_order_is_changed_by_one_place_within_its_list(app: App, workspace: UUID, noa: Agent) -> None:
    made = [await write(app, workspace, noa, name) for name in ("a", "b", "c")]
    await write(app, workspace, noa, "own", shared=False)

    async def step(macro: Macro, by: int) -> list[str]:
        async with app.db.transaction(workspace) as tx:
            await macros.move(tx, noa, await macros.find(tx, noa, macro.id), by)
        return await found(app, workspace, noa)

    assert [one for one in await step(made[2], -1) if one != "own"] == ["a", "c", "b"]
    assert [one for one in await step(made[0], -1) if one != "own"] == ["a", "c", "b"]
    assert [one for one in await step(made[0], 1) if one != "own"] == ["c", "a", "b"]


async def test_what_is_archived_is_not_offered_and_comes_back(app: App, workspace: UUID, noa: Agent) -> None:
    macro = await write(app, workspace, noa, "gone")
    async with app.db.transaction(workspace) as tx:
        await macros.archive(tx, noa, await macros.find(tx, noa, macro.id))
    assert await found(app, workspace, noa) == []
    async with app.db.transaction(workspace) as tx:
        assert [one.macro.name for one in await macros.listed(tx, noa, archived=True)] == ["gone"]
        await macros.archive(tx, noa, await macros.find(tx, noa, macro.id), back=True)
    assert await found(app, workspace, noa) == ["gone"]


@pytest.mark.parametrize(
    ("draft", "error"),
    [
        (Draft("", {"en": "x"}), "macro_name"),
        (Draft("x" * 81, {"en": "x"}), "macro_name"),
        (Draft("empty", {"en": "  "}), "macro_empty"),
        (Draft("long", {"en": "x" * 4001}), "macro_text"),
        (Draft("unknown", {"en": "{{ customer.card }}"}), "wording"),
        (Draft("bad", {}, ["status:open"]), "macro_action"),
        (Draft("bad", {}, ["priority:9"]), "macro_action"),
        (Draft("bad", {}, ["snooze:5"]), "macro_action"),
        (Draft("bad", {}, ["delete:all"]), "macro_action"),
        (Draft("bad", {}, ['tag:a"b']), "macro_action"),
        (Draft("nobody", {}, [f"assign:{uuid4()}"]), "not_found"),
    ],
)
async def test_what_is_no_macro_is_refused_with_its_reason(
    app: App, workspace: UUID, noa: Agent, draft: Draft, error: str
) -> None:
    async with app.db.transaction(workspace) as tx:
        with pytest.raises(AhlanError) as raised:
            await macros.write(tx, noa, draft)
    assert raised.value.code == error
    assert await found(app, workspace, noa) == []


def test_the_language_is_the_conversations_else_the_next_best() -> None:
    texts = {"ar": "أهلا", "he": "היי", "fr": ""}
    assert macros.in_language(texts, "ar-SA") == "ar"
    assert macros.in_language(texts, "", "he") == "he"
    assert macros.in_language(texts, "fr", "de") == "ar"
    assert macros.in_language({**texts, "en": "hi"}, "fr") == "en"
    assert macros.in_language({}, "ar") == ""


async def test_actions_are_done_once_and_a_status_last(
    app: App, workspace: UUID, shopper: Shopper, noa: Agent, omar: Agent
) -> None:
    id = await talk(app, workspace, shopper)
    said = ["status:resolved", "tag:vip", f"assign:{omar.id}", "priority:3"]
    for _ in range(2):
        async with app.db.transaction(workspace) as tx:
            conversation = await tx.get(Conversation, id)
            assert conversation is not None
            await macros.perform(tx, conversation, [parse(one) for one in said], by=noa)
    async with app.db.transaction(workspace) as tx:
        conversation = await tx.get(Conversation, id)
        assert conversation is not None
        assert (conversation.status, conversation.assignee_id, conversation.priority) == ("resolved", omar.id, 3)
        assert (await tags.of_conversations(tx, [id]))[id] == ["vip"]


async def test_a_snooze_a_me_and_whoever_left(app: App, workspace: UUID, shopper: Shopper, noa: Agent) -> None:
    id = await talk(app, workspace, shopper)
    async with app.db.transaction(workspace) as tx:
        gone = Agent(id=new_id(), name="Gone", email=None, role=Role.AGENT, deactivated_at=NOW)
        tx.add(gone)
        await tx.flush()
        conversation = await tx.get(Conversation, id)
        assert conversation is not None
        await macros.perform(tx, conversation, [parse("assign:me")], by=noa)
        await macros.perform(tx, conversation, [parse(f"assign:{gone.id}"), parse("snooze:24")], by=noa)
        assert conversation.assignee_id == noa.id, "who has left is given nothing"
        assert conversation.status == "snoozed"
        assert conversation.snoozed_until is not None
        assert timedelta(hours=23) < conversation.snoozed_until - datetime.now(UTC) <= timedelta(hours=24)
        await macros.perform(tx, conversation, [parse("assign:")], by=noa)
        assert conversation.assignee_id is None


async def test_a_conversation_full_of_tags_stops_no_other_action(
    app: App, workspace: UUID, shopper: Shopper, noa: Agent
) -> None:
    id = await talk(app, workspace, shopper)
    async with app.db.transaction(workspace) as tx:
        conversation = await tx.get(Conversation, id)
        assert conversation is not None
        for number in range(tags.MOST):
            await tags.put(tx, conversation, f"t{number}", by=noa)
        await macros.perform(tx, conversation, [parse("tag:more"), parse("status:pending")], by=noa)
        assert conversation.status == "pending"


async def test_names_are_filled_from_the_customer_their_latest_order_here_and_its_parcel(
    app: App, workspace: UUID, store: Store, noa: Agent
) -> None:
    async with app.db.transaction(workspace) as tx:
        huda = CustomerRecord("1", NOW, "huda@mail.example", "", "هدى", "القحطاني", "ar")
        parcel = FulfilmentRecord("f1", "in_transit", "AR1042SA", "https://track.example/1", "SMSA", NOW, None)
        orders = [
            OrderRecord(
                external_id=number, version=NOW, name=f"#{number}", placed_at=NOW - timedelta(days=days),
                total=Money(34800, "SAR", 2), payment_status="paid", fulfilment_status="fulfilled",
                customer_external_id="1", cancelled_at=NOW if number == "1050" else None,
                fulfilments=(parcel,) if number == "1042" else (),
            )
            for number, days in (("1042", 6), ("1017", 60), ("1050", 1))
        ]  # fmt: skip
        await sync.apply(tx, store, [huda, *orders])
        customer = await identities.customer_of_platform(tx, store.id, "1")
        visitor = Visitor(id=new_id(), store_id=store.id, secret_hash=uuid4().bytes)
        tx.add(visitor)
    id = await talk(app, workspace, Shopper(visitor.id, store.id, customer, locale="ar"))
    async with app.db.transaction(workspace) as tx:
        conversation = await tx.get(Conversation, id)
        assert conversation is not None
        values = await filling.values(tx, conversation, noa, app.catalogues.translator("ar"))
    assert values[Name.CUSTOMER_FIRST_NAME] == "هدى"
    assert values[Name.ORDER_NUMBER] == "#1042", "the newest was called off"
    assert "348.00" in values[Name.ORDER_TOTAL]
    assert values[Name.TRACKING_LINK] == "https://track.example/1"
    assert (values[Name.AGENT_FIRST_NAME], values[Name.STORE_NAME]) == ("Noa", "Dukkan")
    assert Name.ORDER_LINK not in values


async def test_of_somebody_unknown_nothing_is_made_up(
    app: App, workspace: UUID, shopper: Shopper, store: Store, noa: Agent
) -> None:
    id = await talk(app, workspace, shopper)
    async with app.db.transaction(workspace) as tx:
        visitor = await tx.get(Visitor, shopper.visitor_id)
        assert visitor is not None
        visitor.typed_name, visitor.typed_email = "عبد الله سالم", "victim@mail.example"
        conversation = await tx.get(Conversation, id)
        assert conversation is not None
        values = await filling.values(tx, conversation, noa, app.catalogues.translator("ar"))
    assert values[Name.CUSTOMER_FIRST_NAME] == "عبد الله"
    assert set(values) & {Name.CUSTOMER_EMAIL, Name.ORDER_NUMBER, Name.TRACKING_LINK} == set()


def test_the_starter_set_says_the_same_in_every_language(app: App) -> None:
    planted = starters.starters(app.catalogues, "he")
    assert len(planted) >= 6
    for draft in planted:
        assert set(draft.texts) == set(app.catalogues.codes)
        assert len(set(draft.texts.values())) == len(draft.texts), "each language has words of its own"
        used = set()
        for text in draft.texts.values():
            wording.check(text)
            used.add(wording.unfilled(text))
        assert len({frozenset(names) for names in used}) == 1
        assert [str(parse(said)) for said in draft.actions] == list(draft.actions)
    assert {draft.name for draft in planted}.isdisjoint(draft.name for draft in starters.starters(app.catalogues, "en"))


async def test_a_new_workspace_begins_with_the_set_once(app: App, workspace: UUID, noa: Agent) -> None:
    async with app.db.transaction(workspace) as tx:
        assert await starters.plant(tx, app.catalogues) >= 6
    async with app.db.transaction(workspace) as tx:
        assert await starters.plant(tx, app.catalogues) == 0
        for one in await macros.listed(tx, noa):
            one.macro.archived_at = NOW
    async with app.db.transaction(workspace) as tx:
        assert await starters.plant(tx, app.catalogues) == 0, "what was put away does not come back by itself"


async def test_an_unknown_name_is_told_by_name(app: App, workspace: UUID, noa: Agent) -> None:
    async with app.db.transaction(workspace) as tx:
        with pytest.raises(WordingError) as raised:
            await macros.write(tx, noa, Draft("x", {"en": "{{ order.colour }}"}))
    assert raised.value.values == {"name": "order.colour"}


async def test_the_job_of_a_new_workspace_plants_the_set(app: App, workspace: UUID, noa: Agent) -> None:
    async with app.db.transaction(workspace) as tx:
        job = await tx.scalar(select(JobRow.id).where(JobRow.task == "plant_macros"))
    await jobs.run(app.db, app, TASKS, workspace, job)
    async with app.db.transaction(workspace) as tx:
        planted = await macros.listed(tx, noa)
        assert [one.macro.name for one in planted] == [one.name for one in starters.starters(app.catalogues, "en")]
        assert await tx.scalar(select(JobRow.done_at).where(JobRow.id == job)) is not None
