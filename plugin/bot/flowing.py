"""Flows at work: which one a message begins, a step on in the one under way, and what its steps do.

Runs under the conversation's lock, in the transaction of the bot's answer: what was said, where the shopper stands and
what was done commit together, and a step is taken by whoever names its number (`flow_book.go_on`).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import func, select

from plugin.bot import flow_book, flows, gifts, people, sources, tools
from plugin.bot.allowed import Deed, Verdict, Wish
from plugin.bot.decide import Outcome, Reason, wants_person
from plugin.bot.flow_book import BotFlowRun, Live
from plugin.bot.flows import Action, Ask, Do, Ending, Facts, Flow, Opening, Question, Turn
from plugin.bot.memory import Choice, chosen
from plugin.bot.scene import Say, Scene
from plugin.bot.thinking import HUMAN, PERSON, Answer, Heard, Part, sure_of
from plugin.bot.understand import Message, understand
from plugin.conversations import cards, fields, messages, tags
from plugin.conversations import conversations as threads
from plugin.conversations.conversations import Conversation, Priority, Status
from plugin.conversations.teams import Team
from plugin.crm import customers, orders, tracking
from plugin.crm.orders import OrderView
from plugin.crm.tracking import Step
from plugin.crm.visitors import Visitor, typed_email
from plugin.kernel.db import Tx
from plugin.kernel.errors import AhlanError
from plugin.kernel.i18n import Translator, zone_of
from plugin.kernel.lazy import Lazy, _
from plugin.kernel.text import isolate, search_key
from plugin.returns import proof

SCREENS = {"order": "track_order", "return": "return_item", "problem": "damaged_item"}
"""What an action can open, and the topic of the bot's that opens it."""
OPTION = "flow:"
"""How a choice of a flow's is kept apart from what the bot itself offers."""
MOST_WALKS = 2
"""How often one flow begins in a conversation before it is resolved."""

UNLIKE: dict[Ask, Lazy] = {
    Ask.TEXT: _("I did not understand that."),
    Ask.ORDER: _("That does not look like an order number."),
    Ask.EMAIL: _("That does not look like an e-mail address."),
    Ask.PHONE: _("That does not look like a phone number."),
    Ask.NUMBER: _("One number is needed here."),
    Ask.DATE: _("A day is needed here, such as 24/12."),
}


@dataclass(frozen=True, slots=True)
class Behind:
    """The message that is answered: `said` with those before it, `since` when the conversation was resolved last."""

    talk: Conversation
    message_id: UUID
    said: str
    since: datetime | None
    visitor: Visitor | None = None


@dataclass
class _Done:
    """What the steps of one turn came to."""

    texts: list[str] = field(default_factory=list)
    cards: list[dict[str, Any]] = field(default_factory=list)
    choices: list[Choice] = field(default_factory=list)
    says: list[Say] = field(default_factory=list)
    gifts: list[dict[str, Any]] = field(default_factory=list)
    holds: bool = False


async def answer(tx: Tx, scene: Scene, behind: Behind, heard: Sequence[Heard]) -> Answer | None:
    """What a flow says behind a message; None where none is under way and none begins. The caller holds the talk."""
    if await messages.is_there(tx, behind.talk.id, messages.automatic_id(behind.talk.id, behind.message_id)):
        return None
    walk = await flow_book.under_way(tx, behind.talk.id, behind.since)
    segments = await people.segments(tx, behind.talk.customer_id)
    terms = scene.bot.terms(Deed.FLOWS)
    if not terms.hold(channel=_channel(scene), open=scene.back_at is None, segments=segments):
        if walk is not None:
            await flow_book.leave(tx, walk.run)
        return None
    message = _understood(scene, behind.said)
    person = _wants_person(scene, behind.said, heard)
    facts = await facts_of(tx, scene, behind, segments)
    other = None if person else await _begun(tx, scene, behind, heard)
    if walk is not None:
        pressed = other is not None and other[1] == _PRESSED
        turn = flows.answer(walk.flow, walk.run.stands, message, facts, person=person)
        if not pressed and not _elsewhere(walk.flow, turn, heard):
            one = Live(walk.run.flow_id, walk.name, walk.run.number, walk.flow)
            if not await flow_book.go_on(tx, walk.run, turn):
                return None
            return await _answered(tx, scene, behind, heard, one, turn, walk.run.id)
        await flow_book.leave(tx, walk.run)
        if not pressed:
            return None
    if other is None or await _walked(tx, behind, other[0].id) >= MOST_WALKS:
        return None
    turn = flows.start(other[0].flow, facts)
    run_id = await flow_book.begin(tx, behind.talk.id, other[0], turn)
    if run_id is None:
        return None
    return await _answered(tx, scene, behind, heard, other[0], turn, run_id)


async def leads(tx: Tx, scene: Scene, behind: Behind, heard: Sequence[Heard]) -> bool:
    """Whether a flow is under way or would begin with this message; nothing is changed."""
    if await flow_book.under_way(tx, behind.talk.id, behind.since) is not None:
        return True
    return await _begun(tx, scene, behind, heard) is not None


_PRESSED = 4
"""`flows.begins` of a flow's own button."""


def _channel(scene: Scene) -> str:
    return "chat" if scene.chat else "email"


def _understood(scene: Scene, said: str) -> Message:
    today = scene.now.astimezone(zone_of(scene.store.timezone)).date()
    return understand(said, today=today, region=scene.store.country or None)


def _wants_person(scene: Scene, said: str, heard: Sequence[Heard]) -> bool:
    button = scene.t.gettext(_("Talk to a person"))
    return (
        wants_person(said)
        or any(wants_person(one.text) or sure_of(one) == HUMAN for one in heard)
        or search_key(said) == search_key(button)
    )


def _elsewhere(flow: Flow, turn: Turn, heard: Sequence[Heard]) -> bool:
    """Whether what was said is no answer here and surely a question about something else."""
    if not turn.again and turn.ending is not Ending.UNCLEAR:
        return False
    topics = {topic for one in heard if (topic := sure_of(one))}
    return bool(topics) and topics.isdisjoint(flow.trigger.topics)


async def _begun(tx: Tx, scene: Scene, behind: Behind, heard: Sequence[Heard]) -> tuple[Live, int] | None:
    """The flow that a message begins: the one that it fits closest, of those the first."""
    last = scene.before.said[0] if scene.before.said else None
    offered = [Choice(**one) for one in last.data.get("choices", ())] if last is not None else []
    picked = chosen(behind.said, offered) or ""
    topics = [picked.removeprefix("topic:")] if picked.startswith("topic:") else [sure_of(one) for one in heard]
    page = str((behind.visitor.page or {}).get("url", "")) if behind.visitor is not None else ""
    best: tuple[Live, int] | None = None
    for one in await flow_book.live(tx):
        fits = max(
            flows.begins(
                one.flow.trigger,
                Opening(behind.said, topic, page, str(scene.store.id), _channel(scene), not scene.before.turns),
            )
            for topic in topics or [""]
        )
        if fits > (best[1] if best is not None else 0):
            best = (one, fits)
    return best


async def _walked(tx: Tx, behind: Behind, flow_id: UUID) -> int:
    found = await tx.scalar(
        select(func.count())
        .select_from(BotFlowRun)
        .where(
            BotFlowRun.workspace_id == tx.workspace_id,
            BotFlowRun.conversation_id == behind.talk.id,
            BotFlowRun.flow_id == flow_id,
            *((BotFlowRun.created_at > behind.since,) if behind.since is not None else ()),
        )
    )
    return int(found)


# What is known


async def facts_of(tx: Tx, scene: Scene, behind: Behind, segments: frozenset[str]) -> Facts:
    """What the conditions of a flow may ask, and what need not be asked. Of orders only those that are proven."""
    views = list(await proof.theirs(tx, scene.shopper)) if scene.shopper is not None else []
    known: dict[str, str] = {}
    if len(views) == 1:
        known[Ask.ORDER] = views[0].order.name
    if email := await _email(tx, scene, behind):
        known[Ask.EMAIL] = email
    usual = await orders.usual_times(tx, scene.store.id) if views else None
    states = order_states(views[0], tracking.standing(
        views[0].order.placed_at, views[0].order.fulfilment_status, views[0].order.cancelled_at,
        views[0].fulfilments, usual, scene.now,
    )) if views and usual is not None else frozenset[str]()  # fmt: skip
    return Facts(
        scene.language, _channel(scene), str(scene.store.id), scene.back_at is None, segments, states, known
    )  # fmt: skip


async def _email(tx: Tx, scene: Scene, behind: Behind) -> str:
    """Where the answer reaches them, as far as they said so themselves or the store vouches for it."""
    if said := behind.talk.reply_email or (behind.visitor.typed_email if behind.visitor is not None else ""):
        return said
    if scene.shopper is not None and scene.shopper.customer_id is not None:
        return await customers.own_email(tx, scene.shopper.customer_id) or ""
    return ""


ORDER_STATES = ("unproven", "proven", "unshipped", "shipped", "delivered", "late", "cancelled")


def order_states(view: OrderView, standing: tracking.Standing) -> frozenset[str]:
    """Everything that is true of a proven order, of ORDER_STATES. Pure."""
    found = {"proven"}
    if standing.cancelled:
        return frozenset({*found, "cancelled"})
    if standing.reached is Step.DELIVERED:
        found.add("delivered")
    elif standing.reached in (Step.SHIPPED, Step.OUT_FOR_DELIVERY):
        found.add("shipped")
    else:
        found.add("unshipped")
    return frozenset({*found, "late"} if standing.late else found)


# What is said and done


async def _answered(
    tx: Tx, scene: Scene, behind: Behind, heard: Sequence[Heard], one: Live, turn: Turn, run_id: UUID
) -> Answer:
    t, flow = scene.t, one.flow
    await _keep_email(tx, scene, behind, flow, turn)
    done = _Done()
    for step in turn.passed:
        if isinstance(step, flows.Say):
            done.texts.append(said(flow, step.text, scene.language, turn.collected))
        else:
            await _do(tx, scene, behind, flow, step, turn, run_id, done)
    choices = list(done.choices)
    if turn.asks is not None:
        asks = said(flow, turn.asks.text, scene.language, turn.collected)
        done.texts.append(f"{unlike(t, turn)} {asks}" if turn.again else asks)
        choices = []
        if isinstance(turn.asks, flows.Choice):
            labels = [flows.words(option.text, scene.language, flow.languages) for option in turn.asks.options]
            choices = [Choice(label, f"{OPTION}{at}") for at, label in enumerate(labels, 1)]
            if not scene.chat:
                done.texts.append("\n".join(f"{at}. {label}" for at, label in enumerate(labels, 1)))
    if turn.hands is not None:
        done.texts.append(said(flow, turn.hands.text, scene.language, turn.collected))
    outcome, reason = _outcome(turn)
    if outcome is Outcome.PERSON:
        choices = []
    elif turn.asks is not None or choices:
        choices.append(Choice(t.gettext(_("Talk to a person")), PERSON))
    text = "\n\n".join(filter(None, done.texts))
    topic = flow.trigger.topics[0] if flow.trigger.topics else ""
    say = Say(outcome, reason, topic, text, tool="flow", title=one.name)
    more = {
        "flow": {"id": str(one.id), "number": one.number, "path": list(turn.path), "ending": turn.ending.value},
        **({"gifts": done.gifts} if done.gifts else {}),
    }
    return Answer(
        outcome, reason, text, done.cards[: cards.MOST], choices,
        [Part(heard[0], say, 1.0), *(Part(heard[0], other) for other in done.says)], more=more,
        collected=dict(turn.collected), team=turn.hands.team if turn.hands is not None else "", holds=done.holds,
    )  # fmt: skip


def said(flow: Flow, texts: dict[str, str], language: str, collected: Any) -> str:
    """A text of a flow's in a language, with the answers in it, each kept from reaching beyond itself. Pure."""
    kept = {key: isolate(value) for key, value in collected.items()}
    return flows.filled(flows.words(texts, language, flow.languages), kept)


def unlike(t: Translator, turn: Turn) -> str:
    """What is said before a question that is asked once more."""
    if isinstance(turn.asks, Question):
        return t.gettext(UNLIKE[turn.asks.ask])
    return t.gettext(_("Please choose one of these."))


def _outcome(turn: Turn) -> tuple[Outcome, Reason]:
    match turn.ending:
        case Ending.WAITS:
            return Outcome.ASK, Reason.FLOW
        case Ending.DONE:
            return Outcome.ANSWER, Reason.FLOW
        case Ending.HANDED:
            return Outcome.PERSON, Reason.FLOW
        case Ending.WANTED:
            return Outcome.PERSON, Reason.WANTED
    return Outcome.PERSON, Reason.ENOUGH


async def _keep_email(tx: Tx, scene: Scene, behind: Behind, flow: Flow, turn: Turn) -> None:
    """An address that was asked for is where the answer goes too."""
    keys = {step.key for step in flow.steps if isinstance(step, Question) and step.ask is Ask.EMAIL}
    given = next((value for key, value in turn.collected.items() if key in keys), "")
    if not given or scene.shopper is None or behind.visitor is None or behind.talk.reply_email:
        return
    if (kept := await threads.ask_email(tx, scene.shopper, given)) is not None:
        await typed_email(tx, behind.visitor, kept)


async def _do(
    tx: Tx, scene: Scene, behind: Behind, flow: Flow, step: Action, turn: Turn, run_id: UUID, done: _Done
) -> None:
    talk, value = behind.talk, step.value
    await tx.session.refresh(talk)
    # What cannot be done, as a tag too many, holds up nothing else.
    with suppress(AhlanError, ValueError, KeyError):
        match step.do:
            case Do.TAG:
                await tags.put(tx, talk, value, by=None)
            case Do.TEAM:
                await to_team(tx, talk, value)
            case Do.PRIORITY:
                await threads.rank(tx, talk, Priority[value.upper()], by=None)
            case Do.SNOOZE:
                until = datetime.now(UTC) + timedelta(hours=int(value))
                await threads.turn(tx, talk, Status.SNOOZED, by=None, until=until)
            case Do.NOTE:
                head = await threads.lock(tx, talk.id)
                assert head is not None
                note = flows.filled(value, {key: isolate(one) for key, one in turn.collected.items()})
                name = scene.bot.name or scene.t.gettext(_("Assistant"))
                await messages.note_by_bot(tx, head, uuid5(run_id, f"{step.id} {behind.message_id}"), note, name=name)
            case Do.FIELD:
                name, _equals, wanted = value.partition("=")
                known = {one.key: one for one in await fields.all_fields(tx)}
                await fields.fill(
                    tx, talk, known[fields.folded(name)], flows.filled(wanted, turn.collected), by=None
                )  # fmt: skip
            case Do.ARTICLE:
                source = await sources.by_id(tx, scene.store.id, UUID(value), scene.language, behind.said)
                if source is not None:
                    done.texts.append(source.text or source.title)
                    card = source.card(scene.public_url, scene.store)
                    done.cards += [card] if card is not None else []
            case Do.SCREEN:
                await _open(tx, scene, flow, turn, value, done)
            case Do.DISCOUNT:
                await _give(tx, scene, talk.id, f"flow {run_id} {step.id}", value, done)


async def _open(tx: Tx, scene: Scene, flow: Flow, turn: Turn, screen: str, done: _Done) -> None:
    """A screen of the shopper's own, at the order that was named where it is proven; else the door to proving it."""
    keys = {step.key for step in flow.steps if isinstance(step, Question) and step.ask is Ask.ORDER}
    number = next((value for key, value in turn.collected.items() if key in keys), "")
    say = await tools.order(tx, scene, SCREENS[screen], _understood(scene, f"#{number.lstrip('#')}" if number else ""))
    if say is None:
        # The shop keeps this door closed: somebody of the team does it.
        done.texts.append(scene.t.gettext(_("Somebody of the team does this for you.")))
        done.choices.append(Choice(scene.t.gettext(_("Talk to a person")), PERSON))
        return
    done.texts.append(say.text)
    done.cards += say.cards
    done.choices += say.choices
    done.says.append(say)


async def _give(tx: Tx, scene: Scene, conversation_id: UUID, key: str, value: str, done: _Done) -> None:
    wish = Wish.of(value)
    if wish is None:
        return
    found = await gifts.look(tx, scene, wish)
    gift_id = await gifts.ask(tx, scene, found, conversation_id=conversation_id, key=key)
    done.texts.append(gifts.said(scene, found))
    if found.verdict is Verdict.UNPROVEN:
        done.cards.append(tools.door_to_proof(scene))
    done.holds = done.holds or found.verdict is Verdict.ASKED
    done.gifts.append({**found.evidence(), "id": str(gift_id or "")})


async def to_team(tx: Tx, talk: Conversation, team_id: str) -> None:
    """A conversation is a team's by the team's own tag; who of it gets it is then the team's way of giving."""
    with suppress(ValueError):
        team = await tx.get(Team, UUID(team_id)) if team_id else None
        if team is not None and team.skills:
            await tx.session.refresh(talk)
            # With as many tags as a conversation can have it stays where it is.
            with suppress(AhlanError):
                await tags.put(tx, talk, team.skills[0], by=None)
