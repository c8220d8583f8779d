"""A language model's words where the bot has none of its own: asked outside of any transaction, said only if grounded.

It is asked when the light bot is not sure, may answer, and the shop has published something on the question. What it
says is judged (`grounding`) and said under the conversation's lock only if the cited articles still say the same. For
everything else, and for each way in which a model can fail, what the light bot decided stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit
from uuid import UUID

import structlog

from plugin.app import App
from plugin.bot import grounding, sources
from plugin.bot.decide import Outcome, Reason
from plugin.bot.grounding import Flaw, Passage, Written
from plugin.bot.hiding import mask_of
from plugin.bot.scene import Say, Scene
from plugin.bot.sources import Source
from plugin.bot.thinking import Answer, Part, together
from plugin.conversations.conversations import Conversation
from plugin.kernel.db import Tx
from plugin.model import calls
from plugin.model.calls import Unavailable
from plugin.model.masking import Mask
from plugin.model.settings import Use, offered

log = structlog.get_logger(__name__)

_PASSAGES = 4
_RELATED = 0.2
"""How much of a question an article must speak of to be shown to a model."""

_CARDS = 2
_UNSURE = frozenset({Reason.OUTSIDE, Reason.AWAY, Reason.UNSURE, Reason.UNCOVERED})
_SHORTEST = 3
"""Letters of a question that a model is asked about."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A question for a model: what is asked (masked), on what, in which language."""

    question: str
    passages: Sequence[Passage]
    language: str
    hosts: frozenset[str]


@dataclass(frozen=True, slots=True)
class Composed:
    """What became of it: words that may be said, or why there are none (a flaw, or why a model is unavailable)."""

    written: Written | None = None
    why: str = ""


async def wanted(tx: Tx, scene: Scene, light: Answer, talk: Conversation | None = None) -> Wanted | None:
    """What a model is asked, where the light bot's answer leaves something open; None where nothing is.

    `talk` is whose personal data are hidden; without one (the playground) what has the shape of some is.
    """
    open_parts = _open(scene, light)
    if not open_parts or Use.BOT not in await offered(tx):
        return None
    found = await _found(tx, scene, open_parts)
    question = "\n".join(part.heard.question.text for part in open_parts)
    if not found or sum(sign.isalpha() for sign in question) < _SHORTEST:
        return None
    mask = await mask_of(tx, talk) if talk is not None else Mask()
    passages = [_passage(number, one) for number, one in enumerate(found, 1)]
    return Wanted(mask.hide(question), passages, open_parts[0].heard.language, _hosts(scene))


async def ask(app: App, workspace_id: UUID, asked: Wanted) -> Composed:
    """The model's answer, judged. Never raises for what a model or its server does."""
    data = grounding.asked(asked.question, asked.passages, asked.language)
    try:
        answered = await calls.ask(app, workspace_id, Use.BOT, grounding.INSTRUCTIONS, data, most=grounding.MOST_TOKENS)
    except Unavailable as error:
        log.info("model_not_asked", why=error.why)
        return Composed(why=error.why)
    judged = grounding.judged(answered.text, asked.question, asked.passages, language=asked.language, hosts=asked.hosts)
    if isinstance(judged, Written):
        return Composed(judged)
    if judged is not Flaw.REFUSED:
        await calls.throw_away(app, workspace_id, answered.call_id)
    return Composed(why=judged)


async def put(tx: Tx, scene: Scene, light: Answer, composed: Composed | None) -> tuple[Answer, str]:
    """What is said now, and what became of the model's words: empty where it was not asked.

    `light` is what the light bot decides now; another answer than before, or an article that says something else by
    now, and the model's words are left away.
    """
    if composed is None or composed.written is None:
        return light, composed.why if composed is not None else ""
    open_parts = _open(scene, light)
    if not open_parts:
        return light, ""
    found = {str(one.article_id): one for one in await _found(tx, scene, open_parts)}
    cited = [found.get(one.article_id) for one in composed.written.cited]
    sources_now = [one for one in cited if one is not None]
    same = all(
        now is not None and (now.title, now.text) == (then.title, then.text)
        for now, then in zip(cited, composed.written.cited, strict=True)
    )
    if not same:
        return light, Flaw.GONE
    first = open_parts[0]
    say = Say(
        Outcome.ANSWER, Reason.WRITTEN, first.say.topic, composed.written.text,
        cards=[card for one in sources_now[:_CARDS] if (card := one.card(scene.public_url, scene.store)) is not None],
        source=str(sources_now[0].article_id), title=sources_now[0].title, told=_told(sources_now),
    )  # fmt: skip
    if say.told in scene.before.told:
        return light, ""
    parts = [
        replace(part, say=say) if part is first else part
        for part in light.parts
        if part is first or part not in open_parts
    ]
    return together(scene, parts), "written"


def _told(some: Sequence[Source]) -> str:
    return " ".join(["written", *(str(one.article_id) for one in some)])


def _open(scene: Scene, light: Answer) -> list[Part]:
    """The questions that the light bot is not sure of and that a model may answer."""
    if any(part.say.reason is Reason.WANTED for part in light.parts):
        return []
    return [part for part in light.parts if _is_open(scene, part)]


def _is_open(scene: Scene, part: Part) -> bool:
    if part.say.outcome not in (Outcome.OFFER, Outcome.PERSON) or part.say.reason not in _UNSURE or part.learnt:
        return False
    # What the merchant keeps for people stays theirs, also where it is only the likeliest.
    topics = [part.say.topic, *(topic for topic, _score in part.candidates[:1])]
    return not any(topic and scene.bot.for_a_person(topic) for topic in topics)


async def _found(tx: Tx, scene: Scene, parts: Sequence[Part]) -> list[Source]:
    """What the shop has published on these questions, the best first."""
    every: dict[UUID, Source] = {}
    for part in parts:
        some = part.found or await sources.find(tx, scene.store.id, part.heard.text, part.heard.language)
        for one in some:
            if one.strength >= _RELATED:
                every.setdefault(one.article_id, one)
    return sorted(every.values(), key=lambda one: -one.strength)[:_PASSAGES]


def _passage(number: int, source: Source) -> Passage:
    return Passage(number, str(source.article_id), source.title, source.text or source.title)


def _hosts(scene: Scene) -> frozenset[str]:
    """Where a link may lead: the shop and its help centre."""
    found = (urlsplit(one).hostname or "" for one in (scene.store.url, *scene.store.origins, scene.public_url))
    return frozenset(host.removeprefix("www.") for host in found if host)
