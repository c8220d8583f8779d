"""From a message to what is said: heard by the models, decided, looked up, put into words. Writes nothing.

The chat's job and the playground run the same code. `hear` asks the language process and touches no database; `answer`
reads the database and asks nobody outside, so that no transaction waits for a model.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache
from typing import Any
from uuid import UUID

from plugin.app import App
from plugin.bot import gifts, seeds, sources, tools
from plugin.bot.alike import Phrasings
from plugin.bot.allowed import GIVES, Deed, Verdict, Wish
from plugin.bot.book import BOOK, examples, topics, version
from plugin.bot.decide import CHOICES, Decision, Outcome, Read, Reason, Said, decide
from plugin.bot.manners import Manner, manner
from plugin.bot.memory import Choice, chosen
from plugin.bot.scene import Say, Scene
from plugin.bot.sources import Source
from plugin.bot.tools import OF_ORDERS, OF_PRODUCTS
from plugin.bot.understand import Message, understand
from plugin.conversations import cards
from plugin.conversations.cards import LONGEST_ANSWER
from plugin.kernel.db import Tx
from plugin.kernel.i18n import Translator
from plugin.kernel.lazy import _
from plugin.knowledge import meaning
from plugin.knowledge.meaning import NOTHING, Near
from plugin.language.client import Away, NotStocked
from plugin.language.frames import Answered
from plugin.returns import proof

HUMAN = "human"
PERSON = "person"
OUTSIDE = "outside"
"""Where a correction leads when the bot must not answer."""

_ALIKE_ENOUGH = 0.66
"""How alike a question must be to a phrasing of the pack while the models are away."""


@cache
def _by_spelling() -> Phrasings:
    return Phrasings((one.text, one.topic or "") for one in examples())


@dataclass(frozen=True, slots=True)
class Known:
    """A book of the language process, by its name and version."""

    book: str
    version: str


@dataclass(frozen=True, slots=True)
class Heard:
    """One question as it was understood. `read` is None while the models are away; `untaught`: they know no topics.

    `text` is the question in Arabic letters where it was Arabizi, `near` the articles that mean what it asks. `behind`:
    it was read by the shared topics alone, because what the workspace taught is not there yet.
    """

    question: Message
    text: str
    language: str
    read: Read | None = None
    untaught: bool = False
    near: Near = NOTHING
    behind: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """What is done about one question, and everything that it was decided by."""

    heard: Heard
    say: Say
    confidence: float = 0.0
    candidates: Sequence[tuple[str, float]] = ()
    found: Sequence[Source] = ()
    learnt: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said behind a message; `parts` one for each of its questions. `text` empty: nothing is said.

    Of flows: `more` evidence, what was `collected`, the `team` that it goes to. `holds`: somebody still has to act.
    """

    outcome: Outcome
    reason: Reason
    text: str
    cards: Sequence[dict[str, Any]]
    choices: Sequence[Choice]
    parts: Sequence[Part]
    more: Mapping[str, Any] = field(default_factory=dict)
    collected: Mapping[str, str] = field(default_factory=dict)
    team: str = ""
    holds: bool = False

    @property
    def first(self) -> Part:
        """The question that the outcome is about."""
        return next((part for part in self.parts if part.say.outcome == self.outcome), self.parts[0])


# Hearing


async def hear(
    app: App, workspace_id: UUID, text: str, *, today: date, region: str, fallback: str, own: Known | None = None
) -> list[Heard]:
    """The questions of a message, each read by the models. `fallback` is the language of what has no letters.

    `own` is the workspace's own book; the shared one reads where it is not there.
    """
    whole = understand(text, today=today, region=region or None)
    asked = whole.questions or (whole.text,)
    found = []
    for one in asked:
        asked_here = understand(one, today=today, region=region or None)
        # What stands in one question is meant by the others too: "order 1001: where is it? can I cancel it?"
        question = replace(
            asked_here, orders=asked_here.orders or whole.orders, emails=asked_here.emails or whole.emails,
            phones=asked_here.phones or whole.phones, dates=asked_here.dates or whole.dates,
            language=asked_here.language or whole.language,
        )  # fmt: skip
        found.append(await _heard(app, workspace_id, question, masked(asked_here), fallback, own))
    return found


async def _heard(app: App, workspace_id: UUID, question: Message, text: str, fallback: str, own: Known | None) -> Heard:
    language = question.language if question.language in seeds.LANGUAGES else fallback
    if question.says_nothing:
        return Heard(question, question.text, language)
    try:
        answered, behind = await _asked(app, text, own)
    except Away:
        return Heard(question, question.text, language)
    except NotStocked:
        near = await meaning.near(app, workspace_id, text)
        return Heard(question, question.text, language, untaught=True, near=near)
    read = Read(
        tuple((topic.id, topic.score) for topic in answered.topics), answered.confidence, answered.gate,
        answered.answer_from, answered.offer_from,
    )  # fmt: skip
    spoken = answered.language if answered.language in seeds.LANGUAGES else language
    # What looks up an order needs no article; its vectors are remembered, so the others cost a look at the shelf.
    sure = read.topics and read.gate >= read.answer_from and read.topics[0][0] in {*OF_ORDERS, HUMAN}
    near = NOTHING if sure else await meaning.near(app, workspace_id, answered.text)
    heard = answered.text if answered.arabizi else question.text
    return Heard(question, heard, spoken or language, read, behind=behind, near=near)


async def _asked(app: App, text: str, own: Known | None) -> tuple[Answered, bool]:
    """What the models say, and whether that is without what the workspace taught."""
    if own is not None:
        try:
            return await app.language.ask(own.book, own.version, text), False
        except NotStocked:
            pass
    return await app.language.ask(BOOK, version(), text), own is not None


def masked(question: Message) -> str:
    """The question without order numbers and addresses, which say nothing about what it asks. Pure."""
    text = question.text
    found = (*question.orders, *question.emails, *question.phones)
    for one in sorted(found, key=lambda one: -one.start):
        text = f"{text[: one.start]} {text[one.end :]}"
    text = " ".join(text.replace("#", " ").split())
    return text if any(sign.isalpha() for sign in text) else question.text


def sure_of(heard: Heard) -> str:
    """The topic that a question is surely about; empty when it is not sure, or there are none."""
    if heard.read is not None:
        sure = heard.read.topics and heard.read.gate >= heard.read.answer_from
        return heard.read.topics[0][0] if sure else ""
    near = _by_spelling().nearest(heard.text, _ALIKE_ENOUGH) if not heard.question.says_nothing else None
    return near.target if near is not None else ""


# Answering


async def answer(tx: Tx, scene: Scene, heard: Sequence[Heard], lessons: Phrasings) -> Answer:
    """What is said to these questions. `lessons` are the corrections that count."""
    parts = [await _part(tx, scene, one, lessons) for one in heard]
    unique: list[Part] = []
    for part in parts:
        # Two questions with the same answer get it once.
        if not any(part.say.told and part.say.told == other.say.told for other in unique):
            unique.append(part)
    return together(scene, unique)


async def _part(tx: Tx, scene: Scene, heard: Heard, lessons: Phrasings) -> Part:
    asked = heard.question
    last = scene.before.turns[0] if scene.before.turns else None
    offered = [Choice(**one) for one in last.data.get("choices", ())] if last is not None else []
    older = [Choice(**one) for turn in scene.before.turns[1:] for one in turn.data.get("choices", ())]
    choice = chosen(asked.text, [one for one in offered if one.to != PERSON], [*offered, *older])
    if choice is not None:
        return Part(heard, await _follow(tx, scene, choice, heard), 1.0)
    if choice is None and (polite := manner(asked.text)) is not None:
        return Part(heard, _polite(scene, polite), 1.0)
    heard = await _for_store(tx, scene, heard)
    learnt = lessons.nearest(asked.text) or (lessons.nearest(heard.text) if heard.text != asked.text else None)
    said = Said(
        offered=scene.before.offered, asked=scene.before.asked - {"proof", "order", "product"},
        known=frozenset({"order", "proof"}),
    )  # fmt: skip
    decision = decide(asked, heard.read, said, heard=heard.text if heard.text != asked.text else "")
    if decision.reason is Reason.WANTED or (decision.outcome is Outcome.ANSWER and decision.topics == (HUMAN,)):
        return Part(heard, Say(Outcome.PERSON, Reason.WANTED, HUMAN), 1.0)
    pending = last.data.get("pending", "") if last is not None else ""
    if pending and (asked.orders or (pending in OF_PRODUCTS and decision.outcome is not Outcome.ANSWER)):
        named = pending in OF_ORDERS or bool(await tools.named_in(tx, scene, asked.text))
        if named and len(asked.text.split()) <= _SHORT:
            return Part(heard, await _act(tx, scene, pending, heard), 1.0)
    if learnt is not None:
        return replace(await _learnt(tx, scene, heard, learnt.target), confidence=learnt.likeness, learnt=learnt.target)
    if decision.reason is Reason.SILENT:
        return Part(heard, _nothing(scene))
    if decision.reason is Reason.ENOUGH and asked.says_nothing:
        return Part(heard, Say(Outcome.PERSON, Reason.ENOUGH))
    return await _decided(tx, scene, heard, decision)


ARTICLE = "article:"
"""What the id of a topic begins with that is one of the merchant's own articles."""


async def _for_store(tx: Tx, scene: Scene, heard: Heard) -> Heard:
    """Without the topics that are articles which this store does not show: the workspace may have others."""
    read = heard.read
    own = [topic for topic, _score in read.topics if topic.startswith(ARTICLE)] if read is not None else []
    if read is None or not own:
        return heard
    hidden = {topic for topic in own if await _article(tx, scene, topic, heard) is None}
    left = tuple(one for one in read.topics if one[0] not in hidden)
    # The gate is the best topic's score and more: without that topic it is as much lower.
    less = read.topics[0][1] - left[0][1] if left else 0.0
    return replace(heard, read=replace(read, topics=left, gate=read.gate - less))


async def _article(tx: Tx, scene: Scene, topic: str, heard: Heard) -> Source | None:
    return await sources.by_id(tx, scene.store.id, UUID(topic.removeprefix(ARTICLE)), heard.language, heard.text)


_SHORT = 8
"""Words of a message that only gives what was asked for."""


async def _decided(tx: Tx, scene: Scene, heard: Heard, decision: Decision) -> Part:
    candidates = heard.read.topics[:5] if heard.read is not None else ()
    if decision.outcome is Outcome.ANSWER:
        say = await _act(tx, scene, decision.topics[0], heard)
        return Part(heard, say, decision.confidence, candidates)
    question = heard.text
    if heard.read is None and (near := _by_spelling().nearest(question, _ALIKE_ENOUGH)) is not None:
        # The models are away: what is spelled like a phrasing of the pack is about the same.
        if near.target == HUMAN:
            return Part(heard, Say(Outcome.PERSON, Reason.WANTED, HUMAN), near.likeness)
        say = await _act(tx, scene, near.target, heard)
        return Part(heard, replace(say, reason=Reason.ALIKE) if say.reason is Reason.SURE else say, near.likeness)
    goods = next((topic for topic in decision.topics if topic in OF_PRODUCTS), "")
    if goods and not scene.bot.for_a_person(goods) and await tools.named_in(tx, scene, question):
        # It may be about goods, and the catalogue has what is named: that decides.
        say = await _act(tx, scene, goods, heard)
        return Part(heard, say, decision.confidence, candidates)
    found = await sources.find(tx, scene.store.id, question, heard.language, near=heard.near)
    best = sources.sure(found)
    # An offer of topics says that none was sure: an article that speaks of nearly every word is surer.
    if best is not None and not _told(scene, best):
        return Part(heard, _quoted(scene, best, "", Reason.FOUND), best.confidence, candidates, found)
    offers = await _offers(tx, scene, heard, decision, found)
    if offers and scene.before.offered < _MOST_OFFERS:
        text = scene.t.gettext(_("I am not sure that I understood. Is it one of these?"))
        say = Say(Outcome.OFFER, Reason.UNSURE, _topic(decision), text, choices=offers)
        return Part(heard, say, decision.confidence, candidates, found)
    reason = Reason.ENOUGH if offers else decision.reason if decision.outcome is Outcome.PERSON else Reason.UNCOVERED
    return Part(heard, Say(Outcome.PERSON, reason, _topic(decision)), decision.confidence, candidates, found)


_MOST_OFFERS = 2


def _topic(decision: Decision) -> str:
    return next((topic for topic in decision.topics[:1] if not topic.startswith(ARTICLE)), "")


async def _offers(tx: Tx, scene: Scene, heard: Heard, decision: Decision, found: Sequence[Source]) -> list[Choice]:
    """Up to three things that it may be about, and that there is something to say to."""
    made = [Choice(_short(one.title), f"article:{one.article_id}") for one in sources.likely(found)[:2]]
    taken = {one.to for one in made}
    if decision.outcome is Outcome.OFFER:
        for topic in decision.topics:
            if topic.startswith(ARTICLE):
                source = await _article(tx, scene, topic, heard) if topic not in taken else None
                if source is not None and len(made) < CHOICES:
                    made.append(Choice(_short(source.title), topic))
                continue
            article = scene.bot.article(topic)
            if topic == HUMAN or (article is not None and f"article:{article}" in taken) or len(made) >= CHOICES:
                continue
            if scene.bot.for_a_person(topic) or not (tools.has(topic, scene.doors) or article is not None):
                continue
            made.append(Choice(_short(title_of(topic, heard.language)), f"topic:{topic}"))
    return made


def title_of(topic: str, language: str) -> str:
    """What a topic is called; its id where it is none of the pack."""
    known = topics().get(topic)
    return known.title.get(language, known.title["en"]) if known is not None else topic


async def _follow(tx: Tx, scene: Scene, choice: str, heard: Heard) -> Say:
    """What was chosen from what was offered."""
    kind, _colon, value = choice.partition(":")
    if kind == "topic":
        # The choice names the topic; nothing in its own words is looked up.
        return await _act(tx, scene, value, heard)
    if kind == "article":
        source = await sources.by_id(tx, scene.store.id, UUID(value), heard.language, heard.text)
        return _quoted(scene, source, "", Reason.CHOSEN) if source is not None else _uncovered("")
    pending = next((turn.data["pending"] for turn in scene.before.turns if turn.data.get("pending")), "")
    if kind == "order" and scene.shopper is not None and _may(scene, pending or "track_order"):
        mine = {str(view.order.id): view for view in await proof.theirs(tx, scene.shopper)}
        topic = pending or "track_order"
        found = tools.about(tx, scene, topic, mine[value]) if value in mine else None
        return await (found or tools.order(tx, scene, topic, heard.question)) or _uncovered(topic)
    if kind == "product":
        row = await tools.by_id(tx, scene, UUID(value))
        if row is not None:
            return await tools.of_products(tx, scene, pending or "availability", [row], "")
        return _uncovered(pending)
    return Say(Outcome.PERSON, Reason.WANTED, HUMAN)


async def _learnt(tx: Tx, scene: Scene, heard: Heard, target: str) -> Part:
    """What somebody of the team said is the right answer."""
    kind, _colon, value = target.partition(":")
    if kind == "article":
        source = await sources.by_id(tx, scene.store.id, UUID(value), heard.language, heard.text)
        if source is not None:
            say = _quoted(scene, source, "", Reason.LEARNT)
            return Part(heard, _once(scene, say), found=[source])
        return Part(heard, _uncovered(""))
    if kind == "topic" and value in topics():
        say = await _act(tx, scene, value, heard)
        return Part(heard, replace(say, reason=Reason.LEARNT) if say.reason is Reason.SURE else say)
    return Part(heard, Say(Outcome.PERSON, Reason.LEARNT))


async def _act(tx: Tx, scene: Scene, topic: str, heard: Heard) -> Say:
    """Answer a topic: by a tool where there is one, else from what is published."""
    if topic == HUMAN:
        return Say(Outcome.PERSON, Reason.WANTED, HUMAN)
    if topic.startswith(ARTICLE):
        source = await _article(tx, scene, topic, heard)
        return _once(scene, _quoted(scene, source, "", Reason.SURE)) if source is not None else _uncovered("")
    if scene.bot.for_a_person(topic):
        return Say(Outcome.PERSON, Reason.RESERVED, topic)
    if not _may(scene, topic):
        return Say(Outcome.PERSON, Reason.RESERVED, topic)
    if topic == DISCOUNTS and (say := await _discount(tx, scene)) is not None:
        return _once(scene, say)
    if topic in OF_ORDERS and (say := await tools.order(tx, scene, topic, heard.question)) is not None:
        return _once(scene, say)
    if topic in OF_PRODUCTS and (say := await tools.product(tx, scene, topic, heard.question)) is not None:
        return _once(scene, say)
    if topic == tools.HOURS and scene.bot.article(topic) is None:
        say = await tools.opening(tx, scene)
        if say is not None:
            return _once(scene, say)
    return _once(scene, await _content(tx, scene, topic, heard))


DISCOUNTS = "discounts"


def _may(scene: Scene, topic: str) -> bool:
    """Whether the merchant lets the bot do what a topic takes, here, now and for them."""
    if topic in tools.DOORS:
        return scene.may(Deed.SCREENS)
    if topic in OF_ORDERS:
        return scene.may(Deed.ORDERS)
    return topic not in OF_PRODUCTS or scene.may(Deed.GOODS)


async def _discount(tx: Tx, scene: Scene) -> Say | None:
    """A code for whoever asks for one, where the merchant wants that; None: what is written about it is said."""
    percent = scene.bot.giving.asked_percent
    found = await gifts.look(tx, scene, Wish(percent=percent)) if percent else None
    if found is None or found.verdict not in (*GIVES, Verdict.UNPROVEN, Verdict.CUSTOMER):
        return None
    door = [tools.door_to_proof(scene)] if found.verdict is Verdict.UNPROVEN else []
    return Say(
        Outcome.ANSWER, Reason.SURE, DISCOUNTS, gifts.said(scene, found), cards=door, tool="discount",
        told=f"discount {found.verdict.value}", gift=found if found.gives else None,
    )  # fmt: skip


async def _content(tx: Tx, scene: Scene, topic: str, heard: Heard) -> Say:
    """What the shop has written about a topic."""
    article = scene.bot.article(topic)
    if article is not None:
        source = await sources.by_id(tx, scene.store.id, article, heard.language, heard.text)
        if source is not None:
            return _quoted(scene, source, topic, Reason.SURE)
    found = await sources.find(tx, scene.store.id, heard.text, heard.language, near=heard.near)
    best = sources.sure(found, known=True)
    if best is not None:
        return _quoted(scene, best, topic, Reason.FOUND)
    if topic in OF_PRODUCTS and "product" not in scene.before.asked:
        words = scene.t.gettext(_("Which product do you mean? Write its name, as it stands in the shop."))
        return Say(Outcome.ASK, Reason.MISSING, topic, words, asked=("product",), tool="catalogue")
    return _uncovered(topic)


def _uncovered(topic: str) -> Say:
    return Say(Outcome.PERSON, Reason.UNCOVERED, topic)


def _quoted(scene: Scene, source: Source, topic: str, reason: Reason) -> Say:
    """What an article says, with the article itself to open."""
    card = source.card(scene.public_url, scene.store)
    text = source.text or source.title
    if source.cross:
        note = scene.t.gettext(_("This is written in another language:"))
        text = f"{note}\n{text}"
    return Say(
        Outcome.ANSWER, reason, topic, text, cards=[card] if card is not None else [], source=str(source.article_id),
        title=source.title, told=f"article {source.article_id}",
    )  # fmt: skip


def _told(scene: Scene, source: Source) -> bool:
    return f"article {source.article_id}" in scene.before.told


def _once(scene: Scene, say: Say) -> Say:
    """What was said by the last answers is not said again: somebody else has to look."""
    if say.told and say.told in scene.before.told:
        return Say(Outcome.PERSON, Reason.REPEATED, say.topic, order=say.order, tool=say.tool)
    return say


def _polite(scene: Scene, said: Manner) -> Say:
    if said is Manner.THANKS:
        return Say(Outcome.ANSWER, Reason.MANNERS, text=scene.t.gettext(_("You are welcome.")), told="thanks")
    if "greeting" in scene.before.told:
        return Say(Outcome.ANSWER, Reason.MANNERS)
    text = scene.t.gettext(_("Hello. What is it about? Write it in your own words."))
    offered = [topic for topic in ("track_order", "return_item", "delivery_time") if _answers(scene, topic)]
    choices = [Choice(_short(title_of(topic, scene.language)), f"topic:{topic}") for topic in offered]
    return Say(Outcome.ANSWER, Reason.MANNERS, text=text, choices=choices, told="greeting")


def _answers(scene: Scene, topic: str) -> bool:
    return not scene.bot.for_a_person(topic) and (tools.has(topic, scene.doors) or scene.bot.article(topic) is not None)


def _nothing(scene: Scene) -> Say:
    if "words" in scene.before.asked:
        return Say(Outcome.PERSON, Reason.ENOUGH)
    words = scene.t.gettext(_("I understand words only. Write in a few of them what it is about."))
    return Say(Outcome.ASK, Reason.SILENT, text=words, asked=("words",))


def _short(title: str) -> str:
    return title if len(title) <= LONGEST_ANSWER else f"{title[: LONGEST_ANSWER - 1].rstrip()}…"


# Putting together

_RANK = {Outcome.PERSON: 0, Outcome.ASK: 1, Outcome.OFFER: 2, Outcome.ANSWER: 3}


def together(scene: Scene, parts: Sequence[Part]) -> Answer:
    """One message from the answers to all questions; where one needs a person, the others are answered all the same."""
    t = scene.t
    leading = min(parts, key=lambda part: _RANK[part.say.outcome])
    said = [part.say for part in parts if part.say.text]
    texts = [one.text for one in said]
    if texts and scene.bot.tone == "warm" and said[0].outcome is Outcome.ANSWER and (said[0].source or said[0].tool):
        gladly = t.gettext(_("Gladly."))
        texts[0] = f"{gladly} {texts[0]}"
    carried: list[dict[str, Any]] = []
    choices: list[Choice] = []
    for say in (part.say for part in parts):
        carried += [card for card in say.cards if card not in carried]
        choices += [choice for choice in say.choices if choice not in choices]
    person = Choice(t.gettext(_("Talk to a person")), PERSON)
    kept = [*choices[: cards.MOST - 1], person]
    if leading.say.outcome is Outcome.PERSON:
        kept = []
    return Answer(leading.say.outcome, leading.say.reason, "\n\n".join(texts), carried[: cards.MOST], kept, parts)


def spoken(scene_languages: Collection[str], heard: Sequence[Heard], fallback: str) -> str:
    """The language that is answered in: the message's own where we speak it. Pure."""
    return next((one.language for one in heard if one.language in scene_languages), fallback)


def translator_of(app: App, language: str, timezone: str, digits: str) -> Translator:
    """Words for a shopper of this store."""
    return app.catalogues.translator(language, timezone=timezone, digits=digits)
