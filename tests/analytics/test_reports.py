"""The service report: what it counts is what the inbox shows, by the clock and in business hours."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from math import ceil
from random import Random
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import insert

from plugin.analytics import reports
from plugin.analytics.reports import By, Days, Figures, Question
from plugin.app import App
from plugin.conversations import filters, hours, teams, views
from plugin.conversations.conversations import TABLE, Status
from plugin.conversations.filters import WEEKDAYS, Filter
from plugin.conversations.ratings import Rating
from plugin.conversations.tags import ConversationTag
from plugin.conversations.teams import Team, responsible
from plugin.conversations.views import Reader
from plugin.kernel.db import Tx, new_id
from plugin.kernel.events import Event
from plugin.stores import Store
from plugin.team import Agent, Role

AMMAN = ZoneInfo("Asia/Amman")
# Twice in it a clock jumps: Cairo's in the spring, Jerusalem's too.
DAYS = Days(date(2026, 3, 20), date(2026, 4, 30), ZoneInfo("Asia/Jerusalem"))
WEEK = [["09:00-17:00", "20:00-01:00"], ["09:00-17:00"], [], ["09:00-17:00"], [], ["22:00-06:00"], ["10:00-14:00"]]
HOURS = {"week": WEEK, "special": [{"day": "2026-04-02", "name": "Pesach", "spans": []}]}


@pytest.fixture
async def people(app: App, workspace: UUID) -> list[Agent]:
    async with app.db.transaction(workspace) as tx:
        made = [
            Agent(id=new_id(), name=name, email=f"{uuid4().hex}@shop.example", role=Role.AGENT)
            for name in ("Noa", "Omar")
        ]
        for one in made:
            tx.add(one)
    return made


@pytest.fixture
async def stores(app: App, workspace: UUID) -> list[Store]:
    async with app.db.transaction(workspace) as tx:
        made = [
            Store(
                id=new_id(),
                platform="shopify",
                external_id=f"{uuid4().hex}.myshopify.com",
                public_key=f"st_{uuid4().hex[:22]}",
                name=name,
                url=f"https://{name.lower()}.example",
            )
            for name in ("Dukkan", "Souk")
        ]
        for one in made:
            tx.add(one)
    return made


async def fill(
    tx: Tx, stores: Sequence[Store], people: Sequence[Agent], dice: Random, many: int
) -> list[dict[str, object]]:
    """Conversations with a past: some answered, resolved, rated, tagged, spam, before and after the days too."""
    begins = datetime(2026, 3, 15, tzinfo=UTC)
    rows: list[dict[str, object]] = []
    for _number in range(many):
        created = begins + timedelta(seconds=dice.randrange(50 * 86_400))
        answered = created + timedelta(seconds=dice.randrange(1, 3 * 86_400)) if dice.random() < 0.8 else None
        status = dice.choice([*Status, Status.RESOLVED])
        resolved = created + timedelta(seconds=dice.randrange(3600, 6 * 86_400))
        rows.append(
            {
                "workspace_id": tx.workspace_id,
                "id": new_id(),
                "store_id": dice.choice(stores).id,
                "channel": dice.choice(["widget", "email"]),
                "topic": dice.choice(["", "track_order", "return_item"]),
                "locale": dice.choice(["ar", "ar-SA", "he", "en", ""]),
                "status": status,
                "assignee_id": dice.choice([None, *(one.id for one in people)]),
                "created_at": created,
                "first_replied_at": answered,
                "resolved_at": resolved if status is Status.RESOLVED else None,
            }
        )
    await tx.execute(insert(TABLE), rows)
    for row in rows:
        row["tags"] = set(dice.sample(["vip", "gift card"], dice.randrange(3)))
        for tag in row["tags"]:
            tx.add(ConversationTag(conversation_id=row["id"], key=tag, name=tag))
        # Asked, and mostly answered: a question that nobody answered is no rating.
        row["score"] = dice.choice([None, 1, 2, 3, 4, 5])
        if dice.random() < 0.5:
            tx.add(Rating(conversation_id=row["id"], score=row["score"]))
        else:
            row["score"] = None
    await tx.flush()
    return rows


def share(of: Sequence[float], part: float) -> float | None:
    return sorted(of)[ceil(part * len(of)) - 1] if of else None


def expected(rows: Sequence[dict[str, object]], seconds: object) -> Figures:
    first = [seconds(row, row["first_replied_at"]) for row in rows if row["first_replied_at"]]
    done = [seconds(row, row["resolved_at"]) for row in rows if row["resolved_at"]]
    scores = [row["score"] for row in rows if row["score"]]
    return Figures(
        len(rows), len(first), share(first, 0.5), share(first, 0.9), len(done), share(done, 0.5), share(done, 0.9),
        rated=len(scores), pleased=sum(score in (4, 5) for score in scores),
    )  # fmt: skip


def groups(by: By, row: dict[str, object], theirs: object) -> list[str]:
    wall = row["created_at"].astimezone(DAYS.zone)
    match by:
        case By.ALL:
            return [""]
        case By.DAY:
            return [wall.date().isoformat()]
        case By.HOUR:
            return [f"{WEEKDAYS[wall.weekday()]} {wall.hour}"]
        case By.CHANNEL:
            return [row["channel"]]
        case By.STORE:
            return [str(row["store_id"])]
        case By.LANGUAGE:
            return [row["locale"].partition("-")[0]]
        case By.TOPIC:
            return [row["topic"]]
        case By.TAG:
            return list(row["tags"])
        case By.AGENT:
            return [str(row["assignee_id"] or "")]
        case By.TEAM:
            return [str(theirs.id) if theirs else ""]


@pytest.mark.parametrize("business", [False, True], ids=["by the clock", "in business hours"])
async def test_every_table_is_what_counting_by_hand_gives(
    app: App, workspace: UUID, stores: list[Store], people: list[Agent], business: bool
) -> None:
    dice = Random(7)
    async with app.db.transaction(workspace) as tx:
        rows = await fill(tx, stores, people, dice, 400)
        await teams.save(tx, Team(name="Arabic", languages=["ar"], timezone="Africa/Cairo", hours=HOURS))
        await teams.save(tx, Team(name="Gifts", skills=["gift card"], timezone="America/New_York", hours=HOURS))
        await teams.save(tx, Team(name="Souk", stores=[str(stores[1].id)]))
        rules = [team.rules() for team in await teams.all_teams(tx)]
    began = [
        (row, responsible(rules, row["store_id"], row["locale"], row["tags"]))
        for row in rows
        if row["status"] != Status.SPAM and DAYS.first <= row["created_at"].astimezone(DAYS.zone).date() <= DAYS.last
    ]

    def seconds(row: dict[str, object], end: datetime) -> float:
        if not business:
            return (end - row["created_at"]).total_seconds()
        team = responsible(rules, row["store_id"], row["locale"], row["tags"])
        return hours.elapsed(teams.hours_of(team), row["created_at"], end)

    question = Question(Filter(), DAYS, Reader(people[0].id, DAYS.zone), business)
    for by in By:
        by_hand: dict[str, list[dict[str, object]]] = defaultdict(list)
        for row, team in began:
            for group in groups(by, row, team):
                by_hand[group].append(row)
        async with app.db.transaction(workspace) as tx:
            found = await reports.figures(tx, question, by)
        assert found.keys() == by_hand.keys(), by
        for group, figures in found.items():
            wanted = expected(by_hand[group], seconds)
            assert figures == wanted or _nearly(figures, wanted), (by, group)


def _nearly(one: Figures, other: Figures) -> bool:
    """The same to a millisecond: sums of floating seconds."""
    mine, theirs = ([getattr(each, name) for name in each.__slots__] for each in (one, other))
    return all(
        a == b or (a is not None and b is not None and abs(float(a) - b) < 0.001)
        for a, b in zip(mine, theirs, strict=True)
    )


async def test_the_inbox_shows_what_a_number_counts(
    app: App, workspace: UUID, stores: list[Store], people: list[Agent]
) -> None:
    async with app.db.transaction(workspace) as tx:
        await fill(tx, stores, people, Random(11), 300)
    reader = Reader(people[0].id, DAYS.zone)
    for asked in (
        "",
        "store:souk",
        "language:ar answered:no",
        "topic:track_order",
        "-topic:none",
        "team:none -tag:vip",
        "rating:<=4",
    ):
        question = Question(filters.parse(asked), DAYS, reader)
        async with app.db.transaction(workspace) as tx:
            total = (await reports.figures(tx, question)).get("", Figures())
            shown = await views.queue(tx, filters.parse(str(question.filter)), reader, limit=1000)
            assert len(shown.rows) == total.begun > 0
            for term, number in (
                (" answered:yes", total.answered),
                (" status:resolved", total.resolved),
                (" rating:>=1", total.rated),
                (" rating:>=4", total.pleased),
            ):
                listed = await views.queue(tx, filters.parse(str(question.filter) + term), reader, limit=1000)
                assert len(listed.rows) == number
            for group, figures in (await reports.figures(tx, question, By.HOUR)).items():
                weekday, hour = group.split()
                place = f"{question.filter} weekday:{weekday} hour:{hour}"
                assert len((await views.queue(tx, filters.parse(place), reader, limit=1000)).rows) == figures.begun


async def test_the_backlog_of_a_day_is_what_was_unfinished_at_its_end(
    app: App, workspace: UUID, stores: list[Store], people: list[Agent]
) -> None:
    dice, begins = Random(3), datetime(2026, 3, 10, tzinfo=UTC)
    kinds = {
        "conversation.reopened": Status.OPEN,
        "conversation.pending": Status.PENDING,
        "conversation.snoozed": Status.SNOOZED,
        "conversation.resolved": Status.RESOLVED,
        "conversation.marked_spam": Status.SPAM,
    }
    past: list[tuple[datetime, UUID, bool]] = []
    async with app.db.transaction(workspace) as tx:
        for _number in range(60):
            id, at = new_id(), begins + timedelta(hours=dice.randrange(24 * 45))
            told = ["conversation.started", *dice.choices(list(kinds), k=dice.randrange(6))]
            status: Status = Status.OPEN
            events = []
            for kind in told:
                status = kinds.get(kind, Status.OPEN)
                events.append(Event(kind=kind, subject_id=id, store_id=stores[0].id, actor="system", data={}, at=at))
                past.append((at, id, status not in (Status.RESOLVED, Status.SPAM)))
                at += timedelta(hours=dice.randrange(1, 200))
            await tx.execute(
                insert(TABLE).values(
                    workspace_id=workspace, id=id, store_id=stores[0].id, channel="widget", status=status
                )
            )
            for event in events:
                tx.add(event)
            await tx.flush()
    async with app.db.transaction(workspace) as tx:
        left = await reports.backlog(tx, Question(Filter(), DAYS, Reader(people[0].id, DAYS.zone)))
    assert list(left) == [day.isoformat() for day in DAYS.days]
    ends = dict(zip(left, DAYS.bounds[1:], strict=True))
    for day, number in left.items():
        last = {id: unfinished for at, id, unfinished in sorted(past, key=lambda one: one[0]) if at < ends[day]}
        assert number == Counter(last.values())[True], day


async def test_another_workspace_counts_for_nothing(
    app: App, workspace: UUID, other_workspace: UUID, stores: list[Store], people: list[Agent]
) -> None:
    async with app.db.transaction(workspace) as tx:
        await fill(tx, stores, people, Random(5), 20)
    question = Question(Filter(), DAYS, Reader(people[0].id, DAYS.zone))
    async with app.db.transaction(other_workspace) as tx:
        assert await reports.figures(tx, question) == {}
        assert set((await reports.backlog(tx, question)).values()) == {0}
