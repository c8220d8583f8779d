"""A workspace's own model: what its team approved and what its merchant wrote about, on top of the shared topics.

Every night, and when somebody asks for it, a new one is made of what counts then. It answers only if it loses nothing
against the one that answers (`heldout`); else it stays off and says why. Each is kept as what it was made of, never as
its numbers, so that any of them can be made again, brought back, and forgets whom it must forget.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import blake2b
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Index, Integer, UniqueConstraint, delete, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from plugin import workspaces
from plugin.app import App
from plugin.bot import bots, drift, heldout, teaching
from plugin.bot.book import BOOK, examples, topics, version
from plugin.bot.decide import wants_person
from plugin.bot.heldout import Answers
from plugin.bot.lessons import BotLesson, may_decide
from plugin.bot.thinking import HUMAN, OUTSIDE, Known
from plugin.kernel.db import Base, TenantRow, Tx, new_id
from plugin.kernel.errors import Forbidden, NotFound
from plugin.kernel.i18n import zone_of
from plugin.kernel.jobs import TaskError
from plugin.kernel.lazy import _
from plugin.kernel.personal import nobody
from plugin.knowledge.articles import Article, ArticleText, Kind
from plugin.language.client import Away, NotStocked
from plugin.language.frames import Fit, Fitted, OwnExample
from plugin.team import Agent, audit

log = structlog.get_logger(__name__)

MOST_LESSONS = 1_600
MOST_TITLES = 600
"""Titles of articles that are topics of their own; a translation counts for itself."""

KEPT = 30
"""Models that are kept."""

NIGHT = 3
"""The hour of the workspace's own clock from which on its model is made anew; within the hour after it."""

_AGAIN = 120.0


class State(StrEnum):
    """live: answers · kept: did, or could · refused: lost too much · back: taken back by somebody."""

    LIVE = "live"
    KEPT = "kept"
    REFUSED = "refused"
    BACK = "back"


class BotModel(TenantRow, Base):
    """A model by what it was made of. `contents`: `lessons` ([id, topics]), `titles` ([topic, language, words]).

    `digest` names the contents and the shared topics below; `vectors` are the titles' own. `figures`: shares of its
    check; `compared`: the check against the model that answered then. `agent_id`: who asked for it, null by night.
    """

    __tablename__ = "bot_models"
    __table_args__ = (
        UniqueConstraint("workspace_id", "number"),
        Index("uq_bot_models_live", "workspace_id", unique=True, postgresql_where=text("state = 'live'")),
        {"info": {"moves": "stays", **nobody("ids of lessons, titles of articles, figures")}},
    )

    number: Mapped[int] = mapped_column(Integer)
    state: Mapped[str]
    digest: Mapped[str]
    contents: Mapped[dict[str, Any]]
    vectors: Mapped[bytes]
    figures: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    compared: Mapped[list[Any]] = mapped_column(JSONB, server_default=text("'[]'"))
    agent_id: Mapped[UUID | None]
    live_at: Mapped[datetime | None]


@dataclass(frozen=True, slots=True)
class Contents:
    """What a model is made of. `lessons`: id and topics, none is outside; `titles`: topic, language, words."""

    lessons: Sequence[tuple[str, tuple[str, ...]]] = ()
    titles: Sequence[tuple[str, str, str]] = ()

    @property
    def digest(self) -> str:
        """A name for these contents above the shared topics: another one when anything is another."""
        said = blake2b(digest_size=12)
        said.update(version().encode())
        for one in sorted((id, *targets) for id, targets in self.lessons):
            said.update(f"{one}\0".encode())
        for title in sorted(self.titles):
            said.update(f"{title}\0".encode())
        return said.hexdigest()

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> "Contents":
        """As a model keeps them."""
        return cls(
            [(id, tuple(targets)) for id, targets in kept["lessons"]],
            [(topic, language, words) for topic, language, words in kept["titles"]],
        )


@dataclass(frozen=True, slots=True)
class _Taught:
    """Contents as the language process gets them; `ids` are the lessons of the first ones, in order."""

    examples: Sequence[OwnExample]
    ids: Sequence[UUID]


# Asking


async def known(tx: Tx) -> Known | None:
    """The book that this workspace's messages are read by; None: the shared one."""
    found = await tx.scalar(
        select(BotModel.digest).where(BotModel.workspace_id == tx.workspace_id, BotModel.state == State.LIVE)
    )
    return Known(f"own {tx.workspace_id}", f"{version()} {found}") if found is not None else None


async def bring_model(app: App, workspace_id: UUID) -> None:
    """Task: have the language process make the workspace's model again, where it does not have it."""
    await bring(app, workspace_id)
    async with app.db.transaction(workspace_id) as tx:
        await tx.complete_job()


async def bring(app: App, workspace_id: UUID) -> bool:
    """Whether the language process has the workspace's model now; true where there is none to have."""
    async with app.db.transaction(workspace_id) as tx:
        wanted, live = await known(tx), await _live(tx)
        made = await _taught(tx, Contents.of(live.contents), live.vectors) if live is not None else None
    if wanted is None or made is None:
        return True
    try:
        await app.language.ask(wanted.book, wanted.version, "order", seconds=teaching.PATIENCE)
    except Away:
        return False
    except NotStocked:
        pass
    else:
        return True
    return (
        await _fit(app, Fit(wanted.book, wanted.version, BOOK, version(), tuple(made.examples), keep=True)) is not None
    )


async def _fit(app: App, fit: Fit) -> Fitted | None:
    """Made, with the shared topics learnt before where they were not; None while nobody is there."""
    try:
        return await app.language.fit(fit)
    except NotStocked:
        if not await teaching.teach(app):
            return None
    except Away:
        return None
    try:
        return await app.language.fit(fit)
    except (Away, NotStocked):
        return None


# Making


async def gather(tx: Tx) -> Contents:
    """What counts now: approved questions, and published articles that none of the shared topics leads to."""
    answers: dict[str, set[str]] = {}
    for bot in await bots.enabled(tx):
        for topic in topics():
            article = bot.article(topic)
            if article is not None and topic != HUMAN:
                answers.setdefault(str(article), set()).add(topic)
    rows = await tx.execute(
        select(Article.id, ArticleText.language, ArticleText.shown)
        .join(ArticleText, (ArticleText.workspace_id == Article.workspace_id) & (ArticleText.article_id == Article.id))
        .where(
            Article.workspace_id == tx.workspace_id,
            Article.deleted_at.is_(None),
            Article.kind.in_((Kind.ARTICLE, Kind.SNIPPET)),
            ArticleText.published.is_not(None),
        )
        .order_by(Article.id.desc(), ArticleText.language)
    )
    published = [(str(id), language, shown) for id, language, shown in map(tuple, rows)]
    there = {id for id, _language, _shown in published}
    lessons = []
    for lesson in await _counting(tx):
        kind, _colon, value = lesson.target.partition(":")
        if wants_person(lesson.text) or (kind == "article" and value not in there):
            continue
        # What leads to an article that a shared topic leads to as well is one more question about that topic.
        targets = sorted(answers.get(value, ())) or [lesson.target]
        taught = [] if lesson.target == OUTSIDE else targets if kind == "article" else [value]
        lessons.append((str(lesson.id), tuple(taught)))
    titles = [(f"article:{id}", language, shown) for id, language, shown in published if id not in answers]
    return Contents(lessons, titles[:MOST_TITLES])


async def _counting(tx: Tx) -> Sequence[BotLesson]:
    rows = await tx.scalars(
        select(BotLesson)
        .where(BotLesson.workspace_id == tx.workspace_id, BotLesson.counts)
        .order_by(BotLesson.id.desc())
        .limit(MOST_LESSONS)
    )
    return list(rows)


async def _taught(tx: Tx, contents: Contents, vectors: bytes = b"", *, held: bool = False) -> _Taught:
    """What is taught of contents, or held out; what was erased meanwhile is left out."""
    ids = [UUID(id) for id, _topics in contents.lessons]
    rows = await tx.scalars(select(BotLesson).where(BotLesson.workspace_id == tx.workspace_id, BotLesson.id.in_(ids)))
    there = {lesson.id: lesson for lesson in rows}
    own = [
        (there[id], targets)
        for id, (_text, targets) in zip(ids, contents.lessons, strict=True)
        if id in there and heldout.is_held_out(there[id].text) is held
    ]
    made = [OwnExample(one.text, targets, one.language, one.vectors or b"") for one, targets in own]
    width = len(vectors) // len(contents.titles) if contents.titles else 0
    if not held:
        made += [
            OwnExample(words, (topic,), language, vectors[at * width : (at + 1) * width])
            for at, (topic, language, words) in enumerate(contents.titles)
        ]
    return _Taught(made, [one.id for one, _targets in own])


async def refit_bot(app: App, workspace_id: UUID, *, agent_id: str = "") -> None:
    """Task: make a model of what counts now, check it against the one that answers, and let it answer or not.

    Nothing new to learn, or what was refused or taken back already: nothing is made.
    """
    async with app.db.transaction(workspace_id) as tx:
        contents, live = await gather(tx), await _live(tx)
        on = bool(await bots.enabled(tx))
        if not on or await _tried(tx, contents, live):
            await tx.complete_job()
            return
        made, held = await _taught(tx, contents), await _taught(tx, contents, held=True)
        answers_now = await _taught(tx, Contents.of(live.contents), live.vectors) if live is not None else None
    new = await _checked(app, made.examples, held.examples)
    old = await _checked(app, answers_now.examples if answers_now is not None else (), held.examples)
    if new is None or old is None:
        raise TaskError("the language process is away", retry=True, after=_AGAIN)
    compared = heldout.compare(_answers(new, len(held.examples)), _answers(old, len(held.examples)))
    good = not any(one.lost for one in compared)
    async with app.db.transaction(workspace_id) as tx:
        await _one_at_a_time(tx)
        there = await _live(tx)
        if (there.id if there is not None else None) != (live.id if live is not None else None):
            # Somebody brought another one back meanwhile: it is compared with that the next time.
            await tx.complete_job()
            return
        await _keep_vectors(tx, [*made.ids, *held.ids], new, len(made.ids), len(made.examples))
        if there is not None and good:
            there.state = State.KEPT
            await tx.flush()
        now = datetime.now(UTC)
        model = BotModel(
            id=new_id(), number=await latest(tx) + 1, state=State.LIVE if good else State.REFUSED,
            digest=contents.digest, vectors=b"".join(new.vectors[len(made.ids) : len(made.examples)]),
            contents={"lessons": [list(one) for one in contents.lessons], "titles": [list(t) for t in contents.titles]},
            figures={**heldout.shares(_answers(new, len(held.examples))), "lessons": len(made.ids),
                     "titles": len(contents.titles)},
            compared=[one.told() for one in compared], agent_id=UUID(agent_id) if agent_id else None,
            live_at=now if good else None,
        )  # fmt: skip
        tx.add(model)
        await tx.flush()
        await _prune(tx)
        tx.publish("bot", {"model": model.number})
        await tx.complete_job()
    log.info("bot_refitted", model=model.number, state=model.state)
    if good:
        await bring(app, workspace_id)


async def _checked(app: App, own: Sequence[OwnExample], held: Sequence[OwnExample]) -> Fitted | None:
    return await _fit(app, Fit("", "", BOOK, version(), tuple(own), tuple(held), checked=len(examples())))


def _answers(fitted: Fitted, held: int) -> Answers:
    count = len(examples())
    return Answers(
        _bits(fitted.first, count), _bits(fitted.answered, count), _bits(fitted.strange, count),
        _bits(fitted.held, held), [one.topic == HUMAN for one in examples()],
    )  # fmt: skip


def _bits(packed: bytes, count: int) -> list[bool]:
    return [bool(packed[at // 8] >> (7 - at % 8) & 1) for at in range(count)]


async def _keep_vectors(tx: Tx, ids: Sequence[UUID], fitted: Fitted, taught: int, examples: int) -> None:
    """Each lesson's vectors beside it: they go when it goes."""
    own = [*fitted.vectors[:taught], *fitted.vectors[examples:]]
    made = dict(zip(ids, own, strict=True))
    # Those of an earlier model are of another length: they are made anew, too.
    missing = or_(BotLesson.vectors.is_(None), func.octet_length(BotLesson.vectors) != len(next(iter(own), b"")))
    rows = await tx.scalars(
        select(BotLesson).where(BotLesson.workspace_id == tx.workspace_id, BotLesson.id.in_(ids), missing)
    )
    for lesson in rows:
        lesson.vectors = made[lesson.id]
    await tx.flush()


async def _tried(tx: Tx, contents: Contents, live: BotModel | None) -> bool:
    """Whether there is nothing new: it answers so already, or was refused or taken back as it is."""
    if live is None and not contents.lessons and not contents.titles:
        return True
    found = await tx.scalar(
        select(BotModel.id).where(
            BotModel.workspace_id == tx.workspace_id,
            BotModel.digest == contents.digest,
            BotModel.state.in_((State.LIVE, State.REFUSED, State.BACK)),
        )
    )
    return found is not None


async def _prune(tx: Tx) -> None:
    old = (
        select(BotModel.id)
        .where(BotModel.workspace_id == tx.workspace_id, BotModel.state != State.LIVE)
        .order_by(BotModel.number.desc())
        .offset(KEPT)
    )
    await tx.execute(delete(BotModel).where(BotModel.workspace_id == tx.workspace_id, BotModel.id.in_(old)))


# By night


async def plan(tx: Tx) -> None:
    """Have the next night's work done, where it is not planned yet."""
    workspace = await workspaces.current(tx)
    zone = workspace.timezone if workspace is not None else "UTC"
    await tx.enqueue("bot_by_night", delay=until_night(tx.workspace_id, zone, datetime.now(UTC)), unique="bot_by_night")


def until_night(workspace_id: UUID, timezone: str, now: datetime) -> float:
    """Seconds until a workspace's next night hour, each workspace in a minute of its own. Pure."""
    local = now.astimezone(zone_of(timezone))
    then = local.replace(hour=NIGHT, minute=workspace_id.int % 60, second=0, microsecond=0)
    if then <= local:
        then = (local + timedelta(days=1)).replace(hour=NIGHT, minute=workspace_id.int % 60, second=0, microsecond=0)
    return max(1.0, (then.astimezone(UTC) - now).total_seconds())


async def bot_by_night(app: App, workspace_id: UUID) -> None:
    """Task, each night by the workspace's clock where a bot is on: a new model, and last week against those before."""
    async with app.db.transaction(workspace_id) as tx:
        if await bots.enabled(tx):
            await tx.enqueue("refit_bot", unique="refit_bot")
            workspace = await workspaces.current(tx)
            await drift.keep_weeks(tx, workspace.timezone if workspace is not None else "UTC", datetime.now(UTC))
        await tx.complete_job()


async def keep_model(app: App, workspace_id: UUID) -> None:
    """Task, beside `keep_bot`: the night is planned, and the language process has the model."""
    async with app.db.transaction(workspace_id) as tx:
        wanted = bool(await bots.enabled(tx))
        if wanted:
            await plan(tx)
    if wanted:
        await bring(app, workspace_id)
    async with app.db.transaction(workspace_id) as tx:
        await tx.complete_job()


# On its screen


async def ask_refit(tx: Tx, *, by: Agent) -> None:
    """Have a model made now. Raises Forbidden."""
    _may(by)
    await tx.enqueue("refit_bot", unique="refit_bot", agent_id=str(by.id))


async def listed(tx: Tx) -> Sequence[BotModel]:
    """Every model that is kept, the newest first."""
    rows = await tx.scalars(
        select(BotModel).where(BotModel.workspace_id == tx.workspace_id).order_by(BotModel.number.desc())
    )
    return list(rows)


async def latest(tx: Tx) -> int:
    """The newest model's number; 0 before the first."""
    found: int = await tx.scalar(
        select(func.coalesce(func.max(BotModel.number), 0)).where(BotModel.workspace_id == tx.workspace_id)
    )
    return found


async def is_refitting(tx: Tx) -> bool:
    """Whether a model is being made."""
    found: bool = await tx.scalar(
        text(
            "SELECT EXISTS (SELECT FROM jobs WHERE workspace_id = :workspace AND unique_key = 'refit_bot' "
            "AND done_at IS NULL AND failed_at IS NULL)"
        ),
        {"workspace": tx.workspace_id},
    )
    return found


async def bring_back(tx: Tx, number: int, *, by: Agent) -> None:
    """Let an older model answer again; 0 is the shared topics alone. Newer ones that answered are not made again.

    Raises Forbidden, and NotFound for one that is gone or was refused.
    """
    _may(by)
    await _one_at_a_time(tx)
    live = await _live(tx)
    wanted = await tx.scalar(
        select(BotModel).where(BotModel.workspace_id == tx.workspace_id, BotModel.number == number)
    )
    if number and (wanted is None or wanted.state == State.REFUSED):
        raise NotFound(_("There is no such version."), _("Open the list again."))
    if wanted is not None and wanted.state == State.LIVE:
        return
    await tx.execute(
        update(BotModel)
        .where(
            BotModel.workspace_id == tx.workspace_id, BotModel.number > number,
            BotModel.state.in_((State.LIVE, State.KEPT)),
        )
        .values(state=State.BACK)
    )  # fmt: skip
    if live is not None:
        await tx.session.refresh(live)
        if live.state == State.LIVE:
            live.state = State.KEPT
    await tx.flush()
    if wanted is not None:
        wanted.state, wanted.live_at = State.LIVE, datetime.now(UTC)
    await tx.flush()
    audit.note(tx, "settings.bot_model_back", by=by.id, changes={"version": [live.number if live else 0, number]})
    await tx.enqueue("bring_model", unique="bring_model")


async def _live(tx: Tx) -> BotModel | None:
    found: BotModel | None = await tx.scalar(
        select(BotModel).where(BotModel.workspace_id == tx.workspace_id, BotModel.state == State.LIVE)
    )
    return found


def _may(by: Agent) -> None:
    if not may_decide(by):
        raise Forbidden(_("Only who may change settings decides what the bot learns."))


async def _one_at_a_time(tx: Tx) -> None:
    await tx.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"bot models {tx.workspace_id}", 0))))
