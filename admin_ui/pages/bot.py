"""The bot at the desk: its settings, the playground, what it says to which topic, and what it learns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from starlette.datastructures import FormData
from starlette.responses import Response

from admin_ui.carried import Card, card_of
from admin_ui.desk import Desk, as_id, nothing_here
from admin_ui.pages import bot_terms, conversation
from plugin import privacy, stores, team
from plugin.bot import answering, bots, composing, lessons, models, seeds, tools, turns, words
from plugin.bot.book import topics
from plugin.bot.bots import PERSON, Bot, Group, Tone, When
from plugin.bot.decide import Outcome
from plugin.bot.lessons import BotLesson
from plugin.bot.scene import Scene
from plugin.bot.thinking import ARTICLE, HUMAN, OUTSIDE, Heard, Part, answer, hear, spoken, title_of
from plugin.conversations import changes, messages, presence, teams, waiting
from plugin.conversations.messages import SHOPPER, Message
from plugin.conversations.teams import Team, language_of
from plugin.kernel.db import Tx
from plugin.kernel.i18n import zone_of
from plugin.kernel.lazy import Lazy, _
from plugin.kernel.text import isolate
from plugin.knowledge import articles
from plugin.knowledge.articles import Article, ArticleText, Kind
from plugin.language.client import Away
from plugin.model.settings import Use, offered
from plugin.returns import self_service
from plugin.stores import Store

WHEN: Mapping[str, Lazy] = {
    When.ALWAYS: _("Always"),
    When.AWAY: _("Only while nobody is there"),
}
TONES: Mapping[str, Lazy] = {
    Tone.PLAIN: _("To the point"),
    Tone.WARM: _("With a kind word before"),
}
_MOST_ARTICLES = 500
LONGEST_TRIED = 4_000


async def index(desk: Desk) -> Response:
    """The only store's bot, or the stores to choose from."""
    async with desk.transaction() as tx:
        shops = [one for one in await stores.all_stores(tx) if one.status == stores.CONNECTED]
        on = {bot.store_id for bot in await bots.enabled(tx)}
        waiting_lessons = len(await lessons.waiting(tx))
    if len(shops) == 1:
        return desk.go(f"settings/bot/{shops[0].id}")
    return desk.page(
        "bots.html", heading=desk.t.gettext("Bot"), shops=shops, on=on, waiting_lessons=waiting_lessons,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class TopicLine:
    """A topic, what answers it now, and what was chosen for it."""

    id: str
    title: str
    chosen: str
    found: str
    tool: bool


async def one(desk: Desk) -> Response:
    """The bot of a store."""
    async with desk.transaction() as tx:
        store = await _store(tx, desk)
        bot = await bots.ready(tx, store.id)
        known = await _articles(tx, desk, store)
        figures = await turns.figures(tx, store.id)
        every = [(str(one.id), one.name) for one in await teams.all_teams(tx) if one.skills]
        waiting_lessons = len(await lessons.waiting(tx))
        terms = await bot_terms.shown(tx, desk, store, bot)
    names = dict(known)
    lines = [
        TopicLine(
            topic.id, title_of(topic.id, _code(desk)), str(bot.answers.get(topic.id, "")),
            names.get(str(bot.found.get(topic.id, "")), ""), tools.has(topic.id),
        )
        for topic in seeds.pack()
        if topic.id != HUMAN
    ]  # fmt: skip
    return desk.page(
        "bot.html",
        heading=desk.t.gettext("Bot"), store=store, bot=bot, lines=lines, articles=known, figures=figures,
        groups=[(group.value, desk.t.gettext(words.GROUPS[group])) for group in Group], teams=every,
        languages=[(one.code, one.name) for one in desk.app.catalogues.languages if one.code in seeds.LANGUAGES],
        whens=_named(desk, WHEN), tones=_named(desk, TONES), waiting_lessons=waiting_lessons,
        topic_names={topic: title_of(topic, _code(desk)) for topic in topics()}, person=PERSON,
        models=await _there(desk), saved=desk.request.query_params.get("saved", ""),
        several=len(known) > 0, **terms,
    )  # fmt: skip


async def _there(desk: Desk) -> bool:
    try:
        await desk.app.language.ping()
    except Away:
        return False
    return True


async def save(desk: Desk) -> Response:
    """Keep what the form says: one part of the page at a time, as `part` names it."""
    form = await desk.request.form()
    async with desk.transaction() as tx:
        store = await _store(tx, desk)
        bot = await bots.ready(tx, store.id)
        before = bots.told(bot)
        part = str(form.get("part", ""))
        if part == "answers":
            bot.answers = {
                topic: said for topic in topics() if (said := str(form.get(f"answer-{topic}", ""))) and _fits(said)
            }
        elif part == "teams":
            bot.teams = {group.value: said for group in Group if (said := str(form.get(f"team-{group.value}", "")))}
            for said in bot.teams.values():
                if await tx.get(Team, as_id(said)) is None:
                    raise nothing_here()
        else:
            part = "bot"
            _read(bot, form)
        await bots.save(tx, bot, before, by=desk.agent, languages=seeds.LANGUAGES)
    return desk.go(f"settings/bot/{store.id}", saved=part)


def _fits(said: str) -> bool:
    return said == PERSON or bool(as_id(said))


def _read(bot: Bot, form: FormData) -> None:
    bot.enabled = "enabled" in form
    bot.chat = "chat" in form
    bot.email = "email" in form
    bot.hours = When(said) if (said := str(form.get("hours", ""))) in set(When) else When.ALWAYS
    bot.tone = Tone(said) if (said := str(form.get("tone", ""))) in set(Tone) else Tone.PLAIN
    bot.name = str(form.get("name", ""))
    chosen = sorted({str(one) for one in form.getlist("languages")})
    bot.languages = [] if set(chosen) >= set(seeds.LANGUAGES) else chosen


# The playground


@dataclass(frozen=True, slots=True)
class Candidate:
    """A topic or an article that was weighed, with its figure in words."""

    name: str
    figure: str


@dataclass(frozen=True, slots=True)
class Tried:
    """One question of the playground: what was understood and what was decided."""

    question: str
    language: str
    heard: str
    outcome: str
    reason: str
    topic: str
    confidence: str
    gate: str
    candidates: Sequence[Candidate]
    found: Sequence[Candidate]
    title: str


async def attempt(desk: Desk) -> Response:
    """What the bot would say to a question, and why. Nothing is written to anybody."""
    return await _attempted(desk, desk.request.query_params.get("q", ""), model=False)


async def attempt_with_model(desk: Desk) -> Response:
    """The same with the language model, which is asked and paid for."""
    return await _attempted(desk, str((await desk.request.form()).get("q", "")), model=True)


async def _attempted(desk: Desk, typed: str, *, model: bool) -> Response:
    said = typed[:LONGEST_TRIED].strip()
    async with desk.transaction() as tx:
        store = await _store(tx, desk)
        bot = await bots.ready(tx, store.id)
        own = await models.known(tx)
    if not said:
        return desk.page("bot_try.html", store=store, block="tried", said="")
    now = datetime.now(UTC)
    locale = language_of(store.locale)
    fallback = locale if locale in seeds.LANGUAGES else seeds.LANGUAGES[0]
    here = await presence.agents_here(desk.app.hub, desk.workspace_id)
    heard = await hear(
        desk.app, desk.workspace_id, said, today=now.astimezone(zone_of(store.timezone)).date(), region=store.country,
        fallback=fallback, own=own,
    )  # fmt: skip
    async with desk.transaction() as tx:
        scene = await _scene(tx, desk, store, bot, spoken(desk.app.catalogues.codes, heard, fallback), now, here)
        found = await answer(tx, scene, heard, await lessons.counting(tx, store.id))
        asked = await composing.wanted(tx, scene, found) if model else None
        untaught = any(one.untaught for one in heard)
        if untaught:
            await tx.enqueue("teach_bot", unique="teach_bot_now")
        if any(one.behind for one in heard):
            await tx.enqueue("bring_model", unique="bring_model")
        names = await _own_topics(tx, desk, found.parts)
    became = ""
    if asked is not None:
        composed = await composing.ask(desk.app, desk.workspace_id, asked)
        async with desk.transaction() as tx:
            found, became = await composing.put(tx, scene, found, composed)
    return desk.page(
        "bot_try.html", store=store, block="tried", said=said, answer=found, language=scene.t,
        cards=[_card(desk, card) for card in found.cards], tried=[_tried(desk, part, names) for part in found.parts],
        model=desk.t.gettext(words.MODEL[became]) if became in words.MODEL else "", asked_model=asked is not None,
        with_model=model, untaught=untaught, speaks=bot.speaks(scene.language),
        away=not untaught and all(one.read is None for one in heard if not one.question.says_nothing),
        handing=answering.handing(scene, found) if found.outcome is Outcome.PERSON else "",
    )  # fmt: skip


async def _scene(tx: Tx, desk: Desk, store: Store, bot: Bot, language: str, now: datetime, here: int) -> Scene:
    t = desk.app.catalogues.translator(language, timezone=store.timezone, digits=store.widget.get("digits", "latn"))
    return Scene(
        store=store, bot=bot, t=t, language=language, public_url=desk.app.settings.public_url, now=now, here=here,
        back_at=await teams.back_at(tx, store.id, language, now), usual=(await waiting.usual(tx, store.id)).seconds,
        doors=(await self_service.rules_of(tx, store.id)).doors,
    )  # fmt: skip


def _card(desk: Desk, card: Mapping[str, Any]) -> Card:
    return card_of(desk.t, card, str(card.get("image_url", "")))


async def _own_topics(tx: Tx, desk: Desk, parts: Sequence[Part]) -> dict[str, str]:
    """What the topics are called that are articles of the merchant's own."""
    weighed = {topic for part in parts for topic, _score in part.candidates if topic.startswith(ARTICLE)}
    every = await articles.by_ids(tx, [UUID(topic.removeprefix(ARTICLE)) for topic in sorted(weighed)])
    return {f"{ARTICLE}{one.article.id}": one.title(_code(desk)) for one in every}


def _tried(desk: Desk, part: Part, names: Mapping[str, str]) -> Tried:
    t, heard = desk.t, part.heard
    read = heard.read
    gate = ""
    if read is not None:
        gate = t.gettext(
            _("Gate %(gate)s; answers from %(answer)s, offers from %(offer)s"),
            gate=t.format_number(round(read.gate, 2)), answer=t.format_number(round(read.answer_from, 2)),
            offer=t.format_number(round(read.offer_from, 2)),
        )  # fmt: skip
    return Tried(
        question=heard.question.text,
        language=_spoken(desk, heard),
        heard=heard.text if heard.text != heard.question.text else "",
        outcome=t.gettext(words.OUTCOMES[part.say.outcome]),
        reason=t.gettext(words.REASONS[part.say.reason]),
        topic=title_of(part.say.topic, _code(desk)) if part.say.topic else "",
        confidence=t.format_percent(min(1.0, part.confidence)) if part.confidence else "",
        gate=gate,
        candidates=[
            Candidate(names.get(topic) or title_of(topic, _code(desk)), t.format_number(round(score, 2)))
            for topic, score in part.candidates
        ],
        found=[Candidate(one.title, t.format_percent(one.confidence)) for one in part.found],
        title=part.say.title or words.tool(t, part.say.tool),
    )  # fmt: skip


def _spoken(desk: Desk, heard: Heard) -> str:
    names = {one.code: one.name for one in desk.app.catalogues.languages}
    name = names.get(heard.language, heard.language)
    return (
        desk.t.gettext(_("%(language)s in Latin letters"), language=isolate(name)) if heard.question.arabizi else name
    )


async def playground(desk: Desk) -> Response:
    """The page to try it on."""
    async with desk.transaction() as tx:
        store = await _store(tx, desk)
        bot = await bots.of_store(tx, store.id)
        modelled = Use.BOT in await offered(tx)
    return desk.page(
        "bot_try.html", heading=desk.t.gettext("Try the bot"), store=store, said="", modelled=modelled,
        on=bot is not None and bot.enabled,
    )  # fmt: skip


# Learning


@dataclass(frozen=True, slots=True)
class LessonLine:
    """A lesson as a list shows it."""

    id: UUID
    text: str
    says: str
    outside: bool
    who: str
    at: datetime


async def learnt(desk: Desk) -> Response:
    """What waits for a decision, what counts, and the versions."""
    async with desk.transaction() as tx:
        proposed, counting = await lessons.waiting(tx), await lessons.listed(tx)
        versions = await lessons.versions(tx)
        names = await _targets(tx, desk, [*proposed, *counting])
        people = {agent.id: agent.name for agent in await team.agents(tx)}
        last = await lessons.latest(tx)

    def line(one: BotLesson) -> LessonLine:
        return LessonLine(
            one.id, one.text, names.get(one.target, one.target), one.target == OUTSIDE,
            people.get(one.agent_id, ""), one.created_at,
        )  # fmt: skip

    return desk.page(
        "bot_lessons.html", heading=desk.t.gettext("What the bot learns"), proposed=[line(one) for one in proposed],
        counting=[line(one) for one in counting], versions=versions, last=last, decides=lessons.may_decide(desk.agent),
        saved=desk.request.query_params.get("saved", ""),
    )  # fmt: skip


async def decide(desk: Desk) -> Response:
    """Approve a lesson, or decline it or take it out."""
    form = await desk.request.form()
    async with desk.transaction() as tx:
        lesson = await lessons.find(tx, desk.path_id())
        verb = lessons.approve if form.get("to") == "yes" else lessons.decline
        await verb(tx, lesson, by=desk.agent)
    return desk.go("settings/bot/lessons", saved="lessons")


async def back(desk: Desk) -> Response:
    """Make an older version count again."""
    form = await desk.request.form()
    wanted = str(form.get("version", ""))
    if not wanted.isascii() or not wanted.isdigit():
        raise nothing_here()
    async with desk.transaction() as tx:
        await lessons.roll_back(tx, int(wanted[:9]), by=desk.agent)
    return desk.go("settings/bot/lessons", saved="versions")


async def correct(desk: Desk) -> Response:
    """The form under a message of the bot's: what would have been right."""
    async with desk.transaction() as tx:
        talk = await conversation.find(tx, desk.path_id())
        message = await changes.find(tx, talk.id, desk.path_id("message"))
        asked = await _behind(tx, message)
        store = await tx.get(Store, talk.store_id) if talk.store_id else None
        if store is None or "bot" not in message.data:
            raise nothing_here()
        known = await _articles(tx, desk, store)
        if talk.customer_id is not None:
            await privacy.log_access(tx, desk.agent, talk.customer_id, "conversation")
    return desk.page(
        "bot_correct.html", block="correct", talk=talk, message=message, asked=asked.text if asked else "",
        articles=known, topics=_topic_choices(desk), decides=lessons.may_decide(desk.agent), outside=OUTSIDE,
    )  # fmt: skip


async def teach(desk: Desk) -> Response:
    """Keep a correction; it counts at once where its writer may decide."""
    form = await desk.request.form()
    async with desk.transaction() as tx:
        talk = await conversation.find(tx, desk.path_id())
        message = await changes.find(tx, talk.id, desk.path_id("message"))
        asked = await _behind(tx, message)
        if asked is None or "bot" not in message.data:
            raise nothing_here()
        said = str(form.get("text", "")).strip() or asked.text
        lesson = await lessons.propose(tx, desk.agent, said, str(form.get("target", "")), conversation_id=talk.id)
    return desk.page("bot_correct.html", block="taught", counts=lesson.counts)


async def _behind(tx: Tx, message: Message) -> Message | None:
    """What the shopper had written before a message of the bot's."""
    found: Message | None = await tx.scalar(
        select(Message)
        .where(
            Message.workspace_id == tx.workspace_id,
            Message.conversation_id == message.conversation_id,
            Message.author == SHOPPER,
            Message.kind == messages.MESSAGE,
            Message.position < message.position,
            Message.deleted_at.is_(None),
        )
        .order_by(Message.position.desc())
        .limit(1)
    )
    return found


async def _targets(tx: Tx, desk: Desk, some: Sequence[BotLesson]) -> dict[str, str]:
    """What the answers of lessons are called."""
    found = {OUTSIDE: desk.t.gettext("Outside: a person answers")}
    ids = [as_id(one.target.partition(":")[2]) for one in some if one.target.startswith("article:")]
    for one in await articles.by_ids(tx, list(dict.fromkeys(ids))):
        found[f"article:{one.article.id}"] = one.title(_code(desk))
    found.update({f"topic:{topic}": title_of(topic, _code(desk)) for topic in topics()})
    return found


# Shared


async def _store(tx: Tx, desk: Desk) -> Store:
    store = await stores.get(tx, desk.path_id())
    if store is None:
        raise nothing_here()
    return store


async def articles_of(tx: Tx, desk: Desk, store: Store | None) -> list[tuple[str, str]]:
    """What is published, as a lesson names it, by title in the reader's language; for a store, or for any."""
    return [(f"article:{id}", title) for id, title in await _articles(tx, desk, store)]


async def _articles(tx: Tx, desk: Desk, store: Store | None) -> list[tuple[str, str]]:
    """What is published for a store, or for any, by title in the reader's language."""
    here = (Article.store_id.is_(None) | (Article.store_id == store.id),) if store is not None else ()
    rows = await tx.execute(
        select(Article.id, Article.source_language, ArticleText.language, ArticleText.shown)
        .join(ArticleText, (ArticleText.workspace_id == Article.workspace_id) & (ArticleText.article_id == Article.id))
        .where(
            Article.workspace_id == tx.workspace_id,
            Article.deleted_at.is_(None),
            Article.kind.in_((Kind.ARTICLE, Kind.SNIPPET)),
            *here,
            ArticleText.published.is_not(None),
        )
        .limit(_MOST_ARTICLES * 3)
    )
    best: dict[str, tuple[int, str]] = {}
    for row in rows:
        rank = 0 if row.language == _code(desk) else 1 if row.language == row.source_language else 2
        key = str(row.id)
        if key not in best or rank < best[key][0]:
            best[key] = (rank, row.shown)
    return sorted(((id, title) for id, (_rank, title) in best.items()), key=lambda pair: pair[1])


def _topic_choices(desk: Desk) -> list[tuple[str, str]]:
    return sorted(
        ((f"topic:{topic}", title_of(topic, _code(desk))) for topic in topics() if tools.has(topic)),
        key=lambda pair: pair[1],
    )


def _named(desk: Desk, said: Mapping[str, Lazy]) -> list[tuple[str, str]]:
    return [(key, desk.t.gettext(name)) for key, name in said.items()]


def _code(desk: Desk) -> str:
    return desk.t.locale.partition("-")[0]
