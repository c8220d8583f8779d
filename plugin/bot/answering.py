"""The bot at work: a job behind every message of a shopper's.

It looks, asks the models outside of any transaction, looks again under the conversation's lock, and writes what it
says, why, and that it is done in one transaction. One automatic answer stands behind a message, whoever writes it
(`messages.automatic_id`), and a person of the team who wrote silences the bot until the conversation is resolved.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import func, select, text

from plugin import workspaces
from plugin.app import App
from plugin.bot import bots, composing, flowing, gifts, lessons, models, people, seeds, turns, words
from plugin.bot.allowed import Verdict
from plugin.bot.bots import Bot, When
from plugin.bot.composing import Composed
from plugin.bot.decide import Outcome, Reason, wants_call, wants_person
from plugin.bot.scene import Say, Scene
from plugin.bot.thinking import Answer, Heard, Part, answer, hear, spoken, together
from plugin.bot.turns import Before
from plugin.bot.understand import dialled
from plugin.conversations import conversations as threads
from plugin.conversations import messages, presence, teams, waiting
from plugin.conversations.conversations import EMAIL, Conversation, Head, Shopper, Status
from plugin.conversations.messages import AGENT, MESSAGE, SHOPPER, Message
from plugin.conversations.teams import language_of
from plugin.crm import visitors
from plugin.crm.orders import Order
from plugin.crm.visitors import Visitor
from plugin.kernel.db import Tx
from plugin.kernel.events import Event
from plugin.kernel.i18n import Translator, zone_of
from plugin.kernel.lazy import _
from plugin.kernel.text import isolate
from plugin.model.settings import Use, offered
from plugin.returns import self_service
from plugin.stores import Store

MOST_A_DAY = 40
"""Answers in one conversation in 24 hours; then people have it to themselves."""

MOST_LETTERS_A_DAY = 5
"""The same by e-mail, where a machine may be at the other end (RFC 3834, 2)."""

_LATE = timedelta(hours=1)
"""What could not be looked at for longer is for people: nobody waits in a chat any more."""

_TOGETHER = 4
"""Messages that were written one after the other and are answered together."""

_PROVEN_FOR = timedelta(minutes=30)
"""How long the store's word for who is signed in lasts without being given again; sessions renew every 15 minutes."""

_SURE = frozenset({Reason.SURE, Reason.FOUND, Reason.LEARNT, Reason.CHOSEN, Reason.ALIKE, Reason.FLOW})


@dataclass(frozen=True, slots=True)
class Seen:
    """A message that the bot may answer, with its surroundings."""

    talk: Conversation
    message: Message
    said: str
    store: Store
    bot: Bot
    before: Before
    visitor: Visitor | None
    resolved: datetime | None = None


async def answer_by_bot(app: App, workspace_id: UUID, *, event_id: str, subject_id: str) -> None:
    """Task, after a shopper's message: answer it, offer choices, ask back or hand over; or say nothing."""
    async with app.db.transaction(workspace_id) as tx:
        seen = await _see(tx, UUID(event_id))
        if seen is None:
            await tx.complete_job()
            return
        own = await models.known(tx)
    here = await presence.agents_here(app.hub, workspace_id)
    locale = language_of(seen.talk.locale or seen.store.locale)
    fallback = locale if locale in seeds.LANGUAGES else seeds.LANGUAGES[0]
    # "L?" or a smile is in the language that was spoken before.
    fallback = next((one.language for one in seen.before.turns if one.language in seeds.LANGUAGES), fallback)
    now = datetime.now(UTC)
    today = now.astimezone(zone_of(seen.store.timezone)).date()
    heard = await hear(app, workspace_id, seen.said, today=today, region=seen.store.country, fallback=fallback, own=own)
    composed = await _composed(app, workspace_id, seen, heard, fallback, here, now)
    async with app.db.transaction(workspace_id) as tx:
        # First the lock, then the look: whoever wrote meanwhile is seen, whoever writes now waits.
        head = await threads.lock_living(tx, seen.talk.id)
        again = await _see(tx, UUID(event_id))
        if head is not None and again is not None and again.said == seen.said:
            if any(one.untaught for one in heard):
                await tx.enqueue("teach_bot", unique="teach_bot_now")
            if any(one.behind for one in heard):
                await tx.enqueue("bring_model", unique="bring_model")
            language = spoken(app.catalogues.codes, heard, fallback)
            if again.bot.speaks(language):
                scene = await _scene(app, tx, again, language, here, now)
                await _answer(app, tx, head, again, heard, scene, composed)
        await tx.complete_job()


# Looking


async def _see(tx: Tx, event_id: UUID) -> Seen | None:
    """The message behind an event with its surroundings; None where the bot has nothing to say."""
    event = await tx.get(Event, event_id)
    message = await tx.get(Message, UUID(str(event.data["message_id"]))) if event is not None else None
    if event is None or message is None or message.deleted_at is not None or event.data.get("history"):
        return None
    if message.data.get("request"):
        return None
    if datetime.now(UTC) - message.created_at > _LATE:
        return None
    talk = await tx.get(Conversation, message.conversation_id)
    if talk is None or talk.status == Status.SPAM or talk.store_id is None or talk.merged_into is not None:
        return None
    await tx.session.refresh(talk)
    bot = await bots.of_store(tx, talk.store_id)
    if bot is None or not bot.enabled or not bot.on_channel(talk) or talk.status == Status.SPAM:
        return None
    store = await tx.get(Store, talk.store_id)
    if store is None or await _by_a_machine(tx, message.id):
        return None
    if await messages.last_by_a_person(tx, talk.id) != message.id or await turns.behind(tx, talk.id, message.id):
        return None
    resolved = await _resolved(tx, talk.id)
    if await _somebody_wrote(tx, talk.id, resolved):
        return None
    visitor = await tx.get(Visitor, talk.visitor_id) if talk.visitor_id is not None else None
    before = await turns.since(tx, talk.id, resolved)
    return Seen(talk, message, await _unanswered(tx, talk.id, message), store, bot, before, visitor, resolved)


async def _by_a_machine(tx: Tx, message_id: UUID) -> bool:
    found: bool = await tx.scalar(
        text(
            "SELECT EXISTS (SELECT FROM mail_letters WHERE workspace_id = :workspace AND message_id = :message "
            "AND automatic <> '')"
        ),
        {"workspace": tx.workspace_id, "message": message_id},
    )
    return found


async def _resolved(tx: Tx, conversation_id: UUID) -> datetime | None:
    """When the conversation was resolved last: what comes after is another matter."""
    found: datetime | None = await tx.scalar(
        select(func.max(Event.at)).where(
            Event.workspace_id == tx.workspace_id,
            Event.subject_id == conversation_id,
            Event.kind == "conversation.resolved",
        )
    )
    return found


async def _somebody_wrote(tx: Tx, conversation_id: UUID, since: datetime | None) -> bool:
    """Whether a person of the team wrote to the shopper: then it is theirs."""
    found = await tx.scalar(
        select(Message.id)
        .where(
            Message.workspace_id == tx.workspace_id,
            Message.conversation_id == conversation_id,
            Message.author == AGENT,
            Message.kind == MESSAGE,
            *((Message.created_at > since,) if since is not None else ()),
        )
        .limit(1)
    )
    return found is not None


async def _unanswered(tx: Tx, conversation_id: UUID, message: Message) -> str:
    """What the shopper wrote in a row up to this message, without an answer between and not looked at before."""
    rows = await tx.scalars(
        select(Message)
        .where(
            Message.workspace_id == tx.workspace_id,
            Message.conversation_id == conversation_id,
            Message.kind == MESSAGE,
            Message.seq <= message.seq,
        )
        .order_by(Message.seq.desc())
        .limit(_TOGETHER)
    )
    said: list[str] = []
    for row in rows:
        if row.author != SHOPPER or (row.id != message.id and await turns.behind(tx, conversation_id, row.id)):
            break
        if row.deleted_at is None and not row.data.get("request"):
            said.append(row.text)
    return "\n".join(reversed(said))


async def _scene(app: App, tx: Tx, seen: Seen, language: str, here: int, now: datetime) -> Scene:
    talk, store = seen.talk, seen.store
    back = await teams.back_at(tx, store.id, language, now)
    shopper = None
    if talk.channel != EMAIL and talk.visitor_id is not None:
        shopper = Shopper(talk.visitor_id, store.id, _vouched_for(seen), talk.id, talk.locale)
    known = talk.reply_email or (seen.visitor.typed_email if seen.visitor is not None else "")
    return Scene(
        store=store, bot=seen.bot, t=_words(app, store, language), language=language,
        public_url=app.settings.public_url, now=now, shopper=shopper, chat=talk.channel != EMAIL, before=seen.before,
        back_at=back, here=here, usual=(await waiting.usual(tx, store.id)).seconds if here else None,
        address=bool(known) or talk.channel == EMAIL or talk.customer_id is not None,
        doors=(await self_service.rules_of(tx, store.id)).doors,
        segments=await people.segments(tx, talk.customer_id),
    )  # fmt: skip


def _words(app: App, store: Store, language: str) -> Translator:
    return app.catalogues.translator(language, timezone=store.timezone, digits=store.widget.get("digits", "latn"))


def _vouched_for(seen: Seen) -> UUID | None:
    """The customer whom the store vouched for in this very browser, a short while ago; nobody's guess counts."""
    visitor = seen.visitor
    if visitor is None or visitor.customer_id is None or visitor.customer_id != seen.talk.customer_id:
        return None
    recent = visitor.identified_at is not None and datetime.now(UTC) - visitor.identified_at < _PROVEN_FOR
    return visitor.customer_id if recent else None


# Answering


async def _composed(
    app: App, workspace_id: UUID, seen: Seen, heard: Sequence[Heard], fallback: str, here: int, now: datetime
) -> Composed | None:
    """What a language model writes, where there is one and the bot by itself is not sure; waited for by nobody else."""
    language = spoken(app.catalogues.codes, heard, fallback)
    if seen.talk.channel == EMAIL or seen.before.handed is not None or not seen.bot.speaks(language):
        return None
    async with app.db.transaction(workspace_id) as tx:
        if Use.BOT not in await offered(tx) or await turns.sent_today(tx, seen.talk.id) >= MOST_A_DAY:
            return None
        scene = await _scene(app, tx, seen, language, here, now)
        if seen.bot.hours == When.AWAY and scene.somebody and not scene.before.turns:
            return None
        if not seen.bot.serves(scene.segments) or await flowing.leads(tx, scene, _behind(seen), heard):
            return None
        light = await answer(tx, scene, heard, await lessons.counting(tx, scene.store.id))
        asked = await composing.wanted(tx, scene, light, seen.talk)
    return await composing.ask(app, workspace_id, asked) if asked is not None else None


async def _answer(
    app: App, tx: Tx, head: Head, seen: Seen, heard: Sequence[Heard], scene: Scene, composed: Composed | None
) -> None:
    handed = scene.before.handed
    if seen.bot.hours == When.AWAY and scene.somebody and handed is None and not scene.before.turns:
        return
    if handed is not None and await _address(app, tx, head, seen, heard, scene):
        return
    if not seen.bot.serves(scene.segments):
        return
    today = await turns.sent_today(tx, seen.talk.id)
    full = today >= (MOST_A_DAY if scene.chat else MOST_LETTERS_A_DAY)
    # Whoever asks for a person hears that one comes, however much was said before.
    if full and (handed is not None or not any(wants_person(text) for one in heard for text in _both(one))):
        return
    found = await _led(tx, seen, heard, scene) if handed is None else None
    model = ""
    if found is None:
        light = await answer(tx, scene, heard, await lessons.counting(tx, scene.store.id))
        found, model = await composing.put(tx, scene, light, composed)
    else:
        # A flow's steps may have written notes: the conversation's numbers are others now.
        head = await threads.lock(tx, seen.talk.id) or head
    known: list[Part] = []
    if handed is not None and scene.chat and found.reason not in (Reason.WANTED, Reason.FLOW):
        # A colleague answers the rest.
        known = _known(found)
        found = together(scene, known) if known else found
    sure = bool(known) or found.reason is Reason.FLOW or _is_sure(found)
    # Who asks for a person hears that one comes, once, although it was handed over for another reason.
    hears = handed is not None and handed.reason != Reason.WANTED and found.reason is Reason.WANTED
    if handed is not None and not hears and (not sure or handed.reason == Reason.WANTED):
        await _remember(tx, seen, found, sent=False)
        return
    if not scene.chat and not sure:
        # A letter gets an answer or a colleague, and no questions back.
        await _remember(tx, seen, found, sent=False)
        return
    said = found.text
    person = found.outcome is Outcome.PERSON
    call = person and found.reason is Reason.WANTED and any(wants_call(text) for one in heard for text in _both(one))
    phone = _number(heard)
    if person:
        said = "\n\n".join(filter(None, (said, handing(scene, found, call=call, phone=phone))))
    if not said:
        await _remember(tx, seen, found, sent=False)
        return
    more: dict[str, Any] = {"bot": words.evidence(found, model)}
    if found.cards:
        more["cards"] = list(found.cards)
    if found.choices:
        more["replies"] = [{"id": str(at), "text": one.text} for at, one in enumerate(found.choices, 1)]
    name = seen.bot.name or scene.t.gettext(_("Assistant"))
    told = await messages.answer_by_bot(
        tx, head, seen.message.id, said, name=name, more=more,
        settles=not person and handed is None and not found.holds and not _asks_colleague(found),
    )  # fmt: skip
    if told is not None:
        await _give(tx, seen, scene, found)
    await _remember(
        tx, seen, found, sent=told is not None, scene=scene, call=call and not phone,
        **({"model": model} if model else {}),
    )  # fmt: skip
    if told is not None and person and handed is None:
        await _hand_over(app, tx, seen, heard, found, name, call=call)


def _is_sure(found: Answer | Say) -> bool:
    return found.outcome is Outcome.ANSWER and found.reason in _SURE


def _known(found: Answer) -> list[Part]:
    """Of several questions those with a sure answer, or with the way to the shopper's own order."""
    return [part for part in found.parts if _is_sure(part.say) or _opens_a_door(part.say)]


def _opens_a_door(say: Say) -> bool:
    return say.outcome is Outcome.ASK and say.tool == "proof"


def _number(heard: Sequence[Heard], *, alone: bool = False) -> str:
    """Where to call somebody; as they typed it where the store's country is not known. Empty: they named none.

    `alone`: what was typed so counts only where it says little else.
    """
    known = next((one.value for each in heard for one in each.question.phones), "")
    return known or next((typed for each in heard if (typed := dialled(each.question.text, alone=alone))), "")


def _both(heard: Heard) -> tuple[str, str]:
    return heard.question.text, heard.text


async def _led(tx: Tx, seen: Seen, heard: Sequence[Heard], scene: Scene) -> Answer | None:
    """What a flow says, where one is under way or begins."""
    return await flowing.answer(tx, scene, _behind(seen), heard)


def _behind(seen: Seen) -> flowing.Behind:
    return flowing.Behind(seen.talk, seen.message.id, seen.said, seen.resolved, seen.visitor)


def _asks_colleague(found: Answer) -> bool:
    return any(part.say.gift is not None and part.say.gift.verdict is Verdict.ASKED for part in found.parts)


async def _give(tx: Tx, seen: Seen, scene: Scene, found: Answer) -> None:
    """What was promised to somebody who asked for a discount: once behind a message."""
    for part in found.parts:
        if part.say.gift is not None:
            key = f"message {seen.message.id}"
            await gifts.ask(tx, scene, part.say.gift, conversation_id=seen.talk.id, key=key)


async def _remember(
    tx: Tx, seen: Seen, found: Answer, *, sent: bool, scene: Scene | None = None, call: bool = False, **more: Any
) -> None:
    """The turn in the log, with what later messages may mean by "it" and "the second one"."""
    says = [part.say for part in found.parts]
    pending = next((say.topic for say in says if say.outcome is Outcome.ASK and say.topic), "")
    asked = [need for say in says for need in say.asked]
    if call:
        asked.append("phone")
    if scene is not None and found.outcome is Outcome.PERSON and not scene.address and not scene.somebody:
        asked.append("email")
    data: dict[str, Any] = {
        **words.evidence(found),
        "choices": [{"text": one.text, "to": one.to} for one in found.choices if not one.to.startswith(flowing.OPTION)],
        "asked": asked,
        "told": [told for say in says for told in (say.told, *say.also_told) if told],
        "products": next((list(say.products) for say in says if say.products), []),
        "order": next((say.order for say in says if say.order), ""),
        "proof": next((say.proof for say in says if say.proof), ""),
        "pending": pending,
        **({"handed": True} if found.outcome is Outcome.PERSON and sent else {}),
        **({"gift": gift.evidence()} if (gift := next((one.gift for one in says if one.gift), None)) else {}),
        **more,
    }
    await turns.write(
        tx, conversation_id=seen.talk.id, store_id=seen.store.id, message_id=seen.message.id, sent=sent,
        outcome=found.outcome.value, reason=found.reason.value, language=found.parts[0].heard.language,
        topic=found.first.say.topic, confidence=found.first.confidence, data=data,
    )  # fmt: skip


async def _address(app: App, tx: Tx, head: Head, seen: Seen, heard: Sequence[Heard], scene: Scene) -> bool:
    """The shopper gives an address or a number, or both, after the hand-over asked for it: kept for this conversation's
    replies, a number in a note to the team."""
    if seen.visitor is None or scene.shopper is None:
        return False
    name = seen.bot.name or scene.t.gettext(_("Assistant"))
    typed = next((one.value for each in heard for one in each.question.emails), "")
    kept = await threads.ask_email(tx, scene.shopper, typed) if typed and "email" in scene.before.asked else None
    wanted = "phone" in scene.before.asked or kept is not None
    phone = _number(heard, alone=True) if wanted else ""
    if kept is not None:
        await visitors.typed_email(tx, seen.visitor, kept)
    if phone:
        note = await _to_the_team(app, tx, seen)
        words_of_note = note.gettext(_("To be called back at: %(phone)s"), phone=isolate(phone, "ltr"))
        await messages.note_by_bot(tx, head, uuid5(seen.talk.id, f"call {seen.message.id}"), words_of_note, name=name)
        head = await threads.lock(tx, seen.talk.id) or head
    if kept is None and not phone:
        return False
    said = _thanks(scene.t, isolate(kept, "ltr") if kept else "", isolate(phone, "ltr") if phone else "")
    told = await messages.answer_by_bot(
        tx, head, seen.message.id, said, name=name, settles=False,
        more={"bot": {"parts": [_plain(Outcome.ANSWER, Reason.ADDRESS)], "language": scene.language}},
    )  # fmt: skip
    await turns.write(
        tx, conversation_id=seen.talk.id, store_id=seen.store.id, message_id=seen.message.id, sent=told is not None,
        outcome=Outcome.ANSWER.value, reason=Reason.ADDRESS.value, language=scene.language, topic="", confidence=1.0,
        data={"parts": [_plain(Outcome.ANSWER, Reason.ADDRESS)]},
    )  # fmt: skip
    return True


def _thanks(t: Translator, email: str, phone: str) -> str:
    """For an address, a number, or both."""
    if not phone:
        return t.gettext(_("Thank you. The answer comes to %(email)s too."), email=email)
    if not email:
        return t.gettext(_("Thank you. I have passed on %(phone)s."), phone=phone)
    return t.gettext(
        _("Thank you. I have passed on %(phone)s, and the answer comes to %(email)s too."), phone=phone, email=email
    )


def _plain(outcome: Outcome, reason: Reason) -> dict[str, Any]:
    return {"outcome": outcome.value, "reason": reason.value, "topic": "", "confidence": 0, "tool": "", "title": "",
            "source": "", "candidates": []}  # fmt: skip


# Handing over


def handing(scene: Scene, found: Answer, *, call: bool = False, phone: str = "") -> str:
    """What the shopper is told: that a person takes over, when, and how the answer finds them. `call`: they want to be
    called back, at `phone` where they said it."""
    t = scene.t
    answered = any(part.say.outcome is Outcome.ANSWER and part.say.text for part in found.parts)
    match found.reason:
        case Reason.WANTED if call and phone:
            said = [
                t.gettext(_("I have passed on that you want to be called at %(phone)s."), phone=isolate(phone, "ltr"))
            ]
        case Reason.WANTED if call:
            said = [t.gettext(_("I have passed on that you want to be called. Write your phone number here."))]
        case Reason.WANTED | Reason.FLOW:
            said = [t.gettext(_("A colleague takes over from here."))]
        case Reason.REPEATED | Reason.ENOUGH:
            said = [t.gettext(_("That did not help yet, so a colleague looks into it."))]
        case Reason.RESERVED:
            said = [t.gettext(_("A colleague answers this."))]
        case _:
            said = [
                t.gettext(_("A colleague answers the rest."))
                if answered
                else t.gettext(_("I have no sure answer to that. A colleague takes over."))
            ]
    said.append(t.gettext(_("They see what was written here.")))
    if scene.somebody:
        if scene.usual:
            said.append(t.gettext(_("It usually takes about %(time)s."), time=t.duration(scene.usual)))
    elif scene.back_at is not None:
        said.append(t.gettext(_("Somebody is here again %(when)s."), when=when(t, scene.back_at, scene.now)))
    else:
        said.append(t.gettext(_("Nobody is here just now; the answer comes as soon as somebody is.")))
    if not scene.somebody and not scene.address and not (call and phone):
        said.append(t.gettext(_("Write your e-mail address here, and the answer reaches you there too.")))
    return " ".join(said)


def when(t: Translator, moment: datetime, now: datetime) -> str:
    """A moment to come, as it is said: today, tomorrow, or on a day, with the time of day."""
    day, today = moment.astimezone(t.timezone).date(), now.astimezone(t.timezone).date()
    time = isolate(t.format_time(moment))
    if day == today:
        return t.gettext(_("today at %(time)s"), time=time)
    if day == today + timedelta(days=1):
        return t.gettext(_("tomorrow at %(time)s"), time=time)
    return t.gettext(_("on %(day)s at %(time)s"), day=t.format_date(moment, "full"), time=time)


async def _to_the_team(app: App, tx: Tx, seen: Seen) -> Translator:
    """Words for colleagues, in the workspace's language."""
    workspace = await workspaces.current(tx)
    return app.catalogues.translator(
        app.catalogues.negotiate(workspace.locale if workspace else ""), timezone=seen.store.timezone
    )


async def _hand_over(
    app: App, tx: Tx, seen: Seen, heard: Sequence[Heard], found: Answer, name: str, *, call: bool
) -> None:
    """To the right team, with a summary for whoever takes it."""
    t = await _to_the_team(app, tx, seen)
    order_id = next((turn.data["order"] for turn in seen.before.turns if turn.data.get("order")), "")
    order = await tx.get(Order, UUID(order_id)) if order_id else None
    before = [
        part["title"] or words.tool(t, part["tool"])
        for turn in reversed(seen.before.turns)
        if turn.sent
        for part in turn.data.get("parts", ())
        if part["title"] or part["tool"] in words.TOOLS
    ]
    note = words.summary(t, found, heard, before, isolate(order.name, "ltr") if order is not None else "")
    if call:
        note = "\n".join((note, t.gettext(_("They want to be called back."))))
    head = await threads.lock(tx, seen.talk.id)
    assert head is not None
    await messages.note_by_bot(tx, head, uuid5(seen.talk.id, f"bot {seen.message.id}"), note, name=name)
    await _to_team(tx, seen, found.team or seen.bot.teams.get(bots.group_of(found.first.say.topic), ""))


async def _to_team(tx: Tx, seen: Seen, team_id: str) -> None:
    await flowing.to_team(tx, seen.talk, team_id)
    await tx.enqueue("give_conversation", conversation_id=seen.talk.id)
