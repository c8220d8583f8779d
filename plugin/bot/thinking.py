"""From a message to what is said: heard by the models, decided, looked up, put into words. Writes nothing.

The chat's job and the playground run the same code. `hear` asks the language process and touches no database; `answer`
reads the database and asks nobody outside, so that no transaction waits for a model.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache
from typing import Any
from uuid import UUID

from plugin.app import App
from plugin.bot import catalogue, delivering, gifts, lexicon, places, seeds, sources, tools
from plugin.bot.alike import Near as Alike
from plugin.bot.alike import Phrasings
from plugin.bot.allowed import GIVES, Deed, Verdict, Wish
from plugin.bot.book import BOOK, examples, topics, version
from plugin.bot.catalogue import OF_PRODUCTS, short
from plugin.bot.decide import CHOICES, Decision, Outcome, Read, Reason, Said, decide
from plugin.bot.goods import Want, things, wants
from plugin.bot.manners import Manner, manner
from plugin.bot.memory import Choice, chosen
from plugin.bot.scene import Say, Scene
from plugin.bot.sources import Source
from plugin.bot.tools import DISCOUNTS, OF_ORDERS
from plugin.bot.understand import Message, continues, understand, without_and
from plugin.conversations import cards
from plugin.kernel.db import Tx
from plugin.kernel.i18n import Translator
from plugin.kernel.lazy import _
from plugin.kernel.text import isolate, search_key
from plugin.knowledge import meaning
from plugin.knowledge.meaning import NOTHING, Near
from plugin.language.client import Away, NotStocked
from plugin.language.frames import AHEAD, Answered
from plugin.returns import proof

HUMAN = "human"
PERSON = "person"
OUTSIDE = "outside"
"""Where a correction leads when the bot must not answer."""

_ALIKE_ENOUGH = 0.66
"""How alike a question must be to a phrasing of the pack while the models are away."""

_ALIKE_WITH_PLACE = 0.6
"""The same of what is asked about a place that something goes to, where the phrasing is about delivery too."""


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
    found: list[Heard] = []
    for one in asked:
        asked_here = understand(one, today=today, region=region or None)
        # What stands in one question is meant by the others too: "order 1001: where is it? can I cancel it?"
        question = replace(
            asked_here, orders=asked_here.orders or whole.orders, emails=asked_here.emails or whole.emails,
            phones=asked_here.phones or whole.phones, dates=asked_here.dates or whole.dates,
            language=asked_here.language or whole.language,
        )  # fmt: skip
        heard = await _heard(app, workspace_id, question, masked(asked_here), fallback, own)
        if found and continues(one) and heard.read is not None and not sure_of(heard):
            # "And how long does it take?" says by itself not what is spoken of: it is read behind what it goes on from.
            joined = f"{masked(found[-1].question)} {masked(asked_here)}"
            again = await _heard(app, workspace_id, question, joined, fallback, own)
            sure = sure_of(again)
            # Where it names something itself, the same topic once more would leave that without an answer.
            lost = sure == sure_of(found[-1]) and bool(sources.content(without_and(one)))
            heard = replace(again, text=joined) if sure and not lost and not again.question.arabizi else heard
        found.append(heard)
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
    # The models hear Arabizi; whose words stand around a product's name in another script `understand` knows.
    spoken = answered.language if answered.arabizi and answered.language in seeds.LANGUAGES else language
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
    near = _spelled_like(heard.text) if not heard.question.says_nothing else None
    return near.target if near is not None else ""


def _spelled_like(text: str) -> Alike | None:
    """The topic of the pack that a question is spelled like; a place that something goes to says only that it is about
    delivery. None while it is like none."""
    near = _by_spelling().nearest(text, _ALIKE_ENOUGH)
    if near is None and (rest := places.without(text)) != search_key(text):
        near = _by_spelling().nearest(rest, _ALIKE_WITH_PLACE)
        return near if near is not None and near.target in delivering.TOPICS else None
    return near


# Answering


async def answer(tx: Tx, scene: Scene, heard: Sequence[Heard], lessons: Phrasings) -> Answer:
    """What is said to these questions. `lessons` are the corrections that count."""
    parts: list[Part] = []
    for one in heard:
        if parts and parts[-1].say.products and wants(one.text) and not things(one.text):
            # "Do you have it? And how much?" is one question about goods.
            before = parts[-1]
            joined = replace(one, text=f"{before.heard.text} {one.text}", question=before.heard.question)
            say = await _goods(tx, scene, joined, Decision(Outcome.OFFER, Reason.UNSURE, (before.say.topic,)))
            if say is not None and say.outcome is Outcome.ANSWER:
                parts[-1] = replace(before, heard=joined, say=say)
                continue
        parts.append(await _part(tx, scene, one, lessons))
    if any(part.say.outcome is Outcome.ANSWER for part in parts):
        # Beside what was answered nobody is asked what the whole is about.
        parts = [part for part in parts if tuple(part.say.asked) != ("words",)]
    unique: list[Part] = []
    sources_said = {part.say.source for part in parts if part.say.outcome is Outcome.ANSWER and part.say.source}
    for part in parts:
        # What it would offer first another question has got as its answer.
        if part.say.outcome is Outcome.OFFER and _leads_to(scene, part.say) in sources_said:
            continue
        # Two questions with the same answer get it once.
        if not any(part.say.told and part.say.told == other.say.told for other in unique):
            unique.append(part)
    return together(scene, unique)


async def _part(tx: Tx, scene: Scene, heard: Heard, lessons: Phrasings) -> Part:
    asked = heard.question
    last = scene.before.said[0] if scene.before.said else None
    offered = [Choice(**one) for one in last.data.get("choices", ())] if last is not None else []
    older = [Choice(**one) for turn in scene.before.said[1:] for one in turn.data.get("choices", ())]
    choice = chosen(asked.text, [one for one in offered if one.to != PERSON], [*offered, *older])
    if choice is not None:
        return Part(heard, await _follow(tx, scene, choice, heard), 1.0)
    if (polite := manner(asked.text)) is not None:
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
        named = pending in OF_ORDERS or await catalogue.names_one(tx, scene, heard.text)
        if named and len(asked.text.split()) <= _ONLY_NAMES:
            return Part(heard, await _act(tx, scene, pending, heard), 1.0)
    if learnt is not None:
        return replace(await _learnt(tx, scene, heard, learnt.target), confidence=learnt.likeness, learnt=learnt.target)
    if asked.says_nothing and search_key(asked.text) and (say := await _goods(tx, scene, heard, decision)) is not None:
        # "L" or "2" says something behind a product.
        return Part(heard, say, 1.0)
    if decision.reason is Reason.SILENT:
        return Part(heard, _nothing(scene))
    if decision.reason is Reason.ENOUGH and asked.says_nothing:
        return Part(heard, Say(Outcome.PERSON, Reason.ENOUGH))
    return await _decided(tx, scene, heard, decision)


def _leads_to(scene: Scene, offer: Say) -> str:
    """The article behind the first of the choices."""
    kind, _colon, value = offer.choices[0].to.partition(":") if offer.choices else ("", "", "")
    return value if kind == "article" else str(scene.bot.article(value) or "") if kind == "topic" else ""


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
    # The gate is the best topic's score, how far it is ahead, and more: without these topics both are others.
    less = read.topics[0][1] - left[0][1] + AHEAD * (_ahead(read.topics) - _ahead(left)) if left else 0.0
    return replace(heard, read=replace(read, topics=left, gate=read.gate - less))


def _ahead(topics: Sequence[tuple[str, float]]) -> float:
    return topics[0][1] - topics[1][1] if len(topics) > 1 else 0.0


async def _article(tx: Tx, scene: Scene, topic: str, heard: Heard) -> Source | None:
    return await sources.by_id(tx, scene.store.id, UUID(topic.removeprefix(ARTICLE)), heard.language, heard.text)


_ONLY_NAMES = 8
"""Words of a message that only gives what was asked for."""


async def _decided(tx: Tx, scene: Scene, heard: Heard, decision: Decision) -> Part:
    candidates = heard.read.topics[:5] if heard.read is not None else ()
    # "And how much is the large one?" behind a product is about that, whatever it would be about by itself.
    sure = decision.outcome is Outcome.ANSWER
    back = await catalogue.points_back(tx, scene, heard.text, sure=sure)
    if back and (say := await _goods(tx, scene, heard, decision)):
        return Part(heard, say, decision.confidence, candidates)
    if delivering.asks_time(heard.question.text) or delivering.asks_time(heard.text):
        # A place and "how many days" are too few words for the models, and say it all.
        return Part(heard, await _act(tx, scene, delivering.TIME, heard), decision.confidence, candidates)
    if sure:
        say = await _act(tx, scene, decision.topics[0], heard)
        return Part(heard, say, decision.confidence, candidates)
    question = heard.text
    if heard.read is None and (near := _spelled_like(question)) is not None:
        # The models are away: what is spelled like a phrasing of the pack is about the same.
        if near.target == HUMAN:
            return Part(heard, Say(Outcome.PERSON, Reason.WANTED, HUMAN), near.likeness)
        say = await _act(tx, scene, near.target, heard)
        return Part(heard, replace(say, reason=Reason.ALIKE) if say.reason is Reason.SURE else say, near.likeness)
    # Cost, area and time of delivery lie near together, and where a place is named any of them is told by it.
    if decision.topics and (placed := _placed(scene, decision.topics[0], heard)) is not None:
        return Part(heard, placed, decision.confidence, candidates)
    # It may be about goods, and the catalogue has what is named or was shown: that decides.
    if (say_goods := await _goods(tx, scene, heard, decision)) is not None:
        return Part(heard, say_goods, decision.confidence, candidates)
    found = await sources.find(tx, scene.store.id, question, heard.language, near=heard.near)
    best = sources.sure(found)
    # An offer of topics says that none was sure: an article that speaks of nearly every word is surer.
    if best is not None and not _told(scene, best):
        return Part(heard, _quoted(scene, best, "", Reason.FOUND), best.confidence, candidates, found)
    if (missing := _which_product(scene, question)) is not None:
        return Part(heard, missing, decision.confidence, candidates, found)
    offers = await _offers(tx, scene, heard, decision, found)
    if offers and scene.before.offered < _MOST_OFFERS:
        text = before_choices(scene.t)
        say = Say(Outcome.OFFER, Reason.UNSURE, _topic(decision), text, choices=offers)
        return Part(heard, say, decision.confidence, candidates, found)
    if decision.reason is Reason.OUTSIDE and (again := _not_understood(scene, question)) is not None:
        return Part(heard, again, decision.confidence, candidates, found)
    reason = Reason.ENOUGH if offers else decision.reason if decision.outcome is Outcome.PERSON else Reason.UNCOVERED
    return Part(heard, Say(Outcome.PERSON, reason, _topic(decision)), decision.confidence, candidates, found)


_MOST_OFFERS = 2


async def _goods(tx: Tx, scene: Scene, heard: Heard, decision: Decision) -> Say | None:
    """About goods, where it is not sure that the question is: only what the catalogue clearly has. None: it is not."""
    topic = next((topic for topic in decision.topics if topic in OF_PRODUCTS), "availability")
    if scene.bot.for_a_person(topic) or not _may(scene, topic):
        return None
    say = await catalogue.product(
        tx, scene, topic, heard.text, typed=heard.question.text, unsure=True
    )  # fmt: skip
    return _once(scene, say) if say is not None else None


_ABOUT_ONE = frozenset({Want.PRICE, Want.CHOICE, Want.STOCK})


def _which_product(scene: Scene, text: str) -> Say | None:
    """Back to whoever asks for a price or a size and names nothing that has one."""
    if "product" in scene.before.asked or things(text) or wants(text).isdisjoint(_ABOUT_ONE):
        return None
    if scene.bot.for_a_person("availability") or not scene.may(Deed.GOODS):
        return None
    words = scene.t.gettext(_("Which product do you mean? Write its name as the shop shows it."))
    return Say(Outcome.ASK, Reason.MISSING, "availability", words, asked=("product",), tool="catalogue")


_MUMBLED = 2


def _not_understood(scene: Scene, text: str) -> Say | None:
    """Back, once, to whoever wrote a word or two that mean nothing here."""
    if "words" in scene.before.asked or len(text.split()) > _MUMBLED:
        return None
    words = scene.t.gettext(_("I did not understand that. What is it about? A sentence is enough."))
    return Say(Outcome.ASK, Reason.UNSURE, text=words, choices=_first_choices(scene), asked=("words",))


def _topic(decision: Decision) -> str:
    return next((topic for topic in decision.topics[:1] if not topic.startswith(ARTICLE)), "")


async def _offers(tx: Tx, scene: Scene, heard: Heard, decision: Decision, found: Sequence[Source]) -> list[Choice]:
    """Up to three things that it may be about, and that there is something to say to; topics before articles."""
    made: list[Choice] = []
    taken: set[str] = set()
    for topic in decision.topics if decision.outcome is Outcome.OFFER else ():
        if topic.startswith(ARTICLE):
            source = await _article(tx, scene, topic, heard)
            if source is not None and topic not in taken:
                made.append(Choice(short(source.title), topic))
                taken.add(topic)
            continue
        article = f"{ARTICLE}{scene.bot.article(topic)}"
        if topic == HUMAN or scene.bot.for_a_person(topic) or not _answers(scene, topic):
            continue
        # Two topics that the same article answers are one choice.
        if tools.has(topic, scene.doors) or article not in taken:
            made.append(Choice(short(title_of(topic, heard.language)), f"topic:{topic}"))
            taken.add(article)
    for one in sources.likely(found)[:2]:
        if f"{ARTICLE}{one.article_id}" not in taken:
            made.append(Choice(short(one.title), f"{ARTICLE}{one.article_id}"))
    return made[:CHOICES]


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
    pending = next((turn.data["pending"] for turn in scene.before.said if turn.data.get("pending")), "")
    if kind == "order" and scene.shopper is not None and _may(scene, pending or "track_order"):
        mine = {str(view.order.id): view for view in await proof.theirs(tx, scene.shopper)}
        topic = pending or "track_order"
        found = tools.about(tx, scene, topic, mine[value]) if value in mine else None
        return await (found or tools.order(tx, scene, topic, heard.question)) or _uncovered(topic)
    if kind == "product":
        say = await catalogue.chosen_product(tx, scene, pending or "availability", UUID(value))
        if say is not None:
            return say
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
    if topic == DISCOUNTS:
        return _once(scene, await _discount(tx, scene, heard))
    if topic in OF_ORDERS and (say := await tools.order(tx, scene, topic, heard.question)) is not None:
        return _once(scene, await _with_rules(tx, scene, topic, heard, say))
    if topic in OF_PRODUCTS:
        say = await catalogue.product(
            tx, scene, topic, heard.text, typed=heard.question.text
        )  # fmt: skip
        if say is not None:
            return _once(scene, say)
    if (placed := _placed(scene, topic, heard)) is not None:
        return placed
    if topic == tools.HOURS and scene.bot.article(topic) is None:
        say = await tools.opening(tx, scene)
        if say is not None:
            return _once(scene, say)
    return _once(scene, await _content(tx, scene, topic, heard))


def _placed(scene: Scene, topic: str, heard: Heard) -> Say | None:
    """What delivery to the place costs that is named, where the store's zones decide it."""
    placed = delivering.to_place(scene, topic, f"{heard.question.text}\n{heard.text}")
    return _once(scene, placed) if placed is not None else None


_ASKS = re.compile(
    rf"^(?:{lexicon.any_key(lambda one: one.manners.greetings)} )*{lexicon.any_key(lambda one: one.questions.asks)}\b"
)
_RULES = frozenset({"return_item", "exchange", "cancel_order", "change_address", "change_order"})


async def _with_rules(tx: Tx, scene: Scene, topic: str, heard: Heard, say: Say) -> Say:
    """Who asks how something is returned is told that, before being asked whose order it is."""
    article = scene.bot.article(topic)
    if say.tool != "proof" or topic not in _RULES or article is None or not _ASKS.search(search_key(heard.text)):
        return say
    source = await sources.by_id(tx, scene.store.id, article, heard.language, heard.text)
    if source is None or _told(scene, source):
        return say
    quoted = _quoted(scene, source, topic, Reason.SURE)
    return replace(
        say, text=f"{quoted.text}\n\n{say.text}", cards=[*quoted.cards, *say.cards], source=quoted.source,
        title=quoted.title, also_told=(quoted.told,),
    )  # fmt: skip


def _may(scene: Scene, topic: str) -> bool:
    """Whether the merchant lets the bot do what a topic takes, here, now and for them."""
    if topic in tools.DOORS:
        return scene.may(Deed.SCREENS)
    if topic in OF_ORDERS:
        return scene.may(Deed.ORDERS)
    return topic not in OF_PRODUCTS or scene.may(Deed.GOODS)


async def _discount(tx: Tx, scene: Scene, heard: Heard) -> Say:
    """To whoever asks for a discount: a code of their own, the one for everybody, what is written, or an honest no."""
    giving = scene.bot.giving
    found = await gifts.look(tx, scene, Wish(percent=giving.asked_percent)) if giving.asked_percent else None
    gives = found if found is not None and found.gives else None
    if gives is None and giving.public_code and scene.may(Deed.DISCOUNT):
        words = scene.t.gettext(
            _("With the code %(code)s you get a discount. Enter it when you pay."),
            code=isolate(giving.public_code, "ltr"),
        )
        return _of_discount(words, "public")
    if found is not None and found.verdict in (*GIVES, Verdict.UNPROVEN, Verdict.CUSTOMER):
        door = [tools.door_to_proof(scene)] if found.verdict is Verdict.UNPROVEN else []
        return replace(_of_discount(gifts.said(scene, found), found.verdict.value), cards=door, gift=gives)
    written = await _content(tx, scene, DISCOUNTS, heard)
    if written.outcome is Outcome.ANSWER:
        return written
    words = scene.t.gettext(_("There is no discount code that I could give just now."))
    return replace(_of_discount(words, "none"), sad=True)


def _of_discount(words: str, what: str) -> Say:
    return Say(Outcome.ANSWER, Reason.SURE, DISCOUNTS, words, tool="discount", told=f"discount {what}")


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
        words = scene.t.gettext(_("Which product do you mean? Write its name as the shop shows it."))
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
        return Say(Outcome.PERSON, Reason.REPEATED, say.topic, order=say.order, proof=say.proof, tool=say.tool)
    return say


def _polite(scene: Scene, said: Manner) -> Say:
    if said is Manner.THANKS:
        return Say(Outcome.ANSWER, Reason.MANNERS, text=scene.t.gettext(_("You are welcome.")), told="thanks")
    if "greeting" in scene.before.told:
        return Say(Outcome.ANSWER, Reason.MANNERS)
    text = scene.t.gettext(_("Hello. What is it about? Write it in your own words."))
    return Say(Outcome.ANSWER, Reason.MANNERS, text=text, choices=_first_choices(scene), told="greeting")


def _first_choices(scene: Scene) -> list[Choice]:
    """What most people come with, as far as there is something to say to it."""
    offered = [topic for topic in ("track_order", "return_item", "delivery_time") if _answers(scene, topic)]
    return [Choice(short(title_of(topic, scene.language)), f"topic:{topic}") for topic in offered]


def _answers(scene: Scene, topic: str) -> bool:
    return not scene.bot.for_a_person(topic) and (tools.has(topic, scene.doors) or scene.bot.article(topic) is not None)


def _nothing(scene: Scene) -> Say:
    if "words" in scene.before.asked:
        return Say(Outcome.PERSON, Reason.ENOUGH)
    words = scene.t.gettext(_("I understand words only. Write in a few of them what it is about."))
    return Say(Outcome.ASK, Reason.SILENT, text=words, asked=("words",))


# Putting together


def before_choices(t: Translator) -> str:
    """What stands before choices that nobody is sure of."""
    return t.gettext(_("I am not sure that I understood. Is it one of these?"))


_RANK = {Outcome.PERSON: 0, Outcome.ASK: 1, Outcome.OFFER: 2, Outcome.ANSWER: 3}


def together(scene: Scene, parts: Sequence[Part]) -> Answer:
    """One message from the answers to all questions; where one needs a person, the others are answered all the same."""
    t = scene.t
    leading = min(parts, key=lambda part: _RANK[part.say.outcome])
    # What is known comes first, what is asked back stands last, beside the buttons; nothing is said twice.
    said = sorted((part.say for part in parts if part.say.text), key=lambda one: -_RANK[one.outcome])
    if leading.say.outcome is Outcome.PERSON:
        # Nothing is asked back beside "a colleague takes over": they ask.
        said = [one for one in said if one.outcome in (Outcome.ANSWER, Outcome.PERSON)]
    texts = list(dict.fromkeys(one.text for one in said))
    if len(texts) > 1 and any(one.outcome is Outcome.OFFER for one in said):
        texts = [t.gettext(_("Of the rest I am not sure. Is it one of these?")) if text == before_choices(t) else text
                 for text in texts]  # fmt: skip
    begins = not scene.before.said
    first = said[0] if said else None
    glad = first is not None and first.outcome is Outcome.ANSWER and not first.sad and (first.source or first.tool)
    if glad and begins and scene.bot.tone == "warm":
        gladly = t.gettext(_("Gladly."))
        # A list stands below it, by itself.
        between = "\n" if texts[0].startswith("•") else " "
        texts[0] = f"{gladly}{between}{texts[0]}"
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
