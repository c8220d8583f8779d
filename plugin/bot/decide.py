"""What is done about a question: answer, offer choices, ask back, or a person. Pure: what it knows it is told.

The gates come with the reading: they were measured on messages that the model did not know (`plugin.language.topics`).
What is decided here on top is manners: a person is always let in, nothing is asked twice, nothing goes in circles, and
whatever touches an order goes through proof of ownership, never through free text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from plugin.bot.understand import Message
from plugin.kernel.text import search_key

CHOICES = 3
MOST_OFFERS = 2
"""Times in a conversation that choices may be offered in a row: then it is somebody's turn who understands."""


class Outcome(StrEnum):
    """What becomes of a question."""

    ANSWER = "answer"
    OFFER = "offer"
    ASK = "ask"
    PERSON = "person"


class Reason(StrEnum):
    """Why, in a word: for the agent's line and for reports."""

    SURE = "sure"
    UNSURE = "unsure"
    OUTSIDE = "outside"
    WANTED = "person_wanted"
    AWAY = "models_away"
    SILENT = "nothing_said"
    MISSING = "details_missing"
    ENOUGH = "asked_enough"
    CHOSEN = "chosen"
    LEARNT = "learnt"
    FOUND = "found_in_articles"
    WRITTEN = "written_by_model"
    ALIKE = "alike"
    UNCOVERED = "nothing_written"
    RESERVED = "for_a_person"
    REPEATED = "said_already"
    MANNERS = "manners"
    ADDRESS = "address_given"
    FLOW = "flow"


@dataclass(frozen=True, slots=True)
class Read:
    """What the models make of a question: topics with their scores, best first, and the gates."""

    topics: tuple[tuple[str, float], ...]
    confidence: float
    gate: float
    answer_from: float
    offer_from: float


@dataclass(frozen=True, slots=True)
class Said:
    """What was said before in this conversation that matters now."""

    offered: int = 0
    asked: frozenset[str] = frozenset()
    chosen: str | None = None
    known: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do: `topics` are the answer, or the choices; `missing` is what to ask for."""

    outcome: Outcome
    reason: Reason
    topics: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    confidence: float = 0.0


# A person, please: whole wishes, not words that also stand in other questions. Compared by `search_key`, so final
# letters of Hebrew and marks of Arabic are folded. Whoever wants to *speak* may name anybody; whoever just *wants* must
# name staff, and at once: "I want to send it to someone" is about a parcel.
_STAFF = (
    r"(?:person|human|agent|representative|rep|operator|someone|somebody|manager|supervisor|staff"
    r"|support team|employee|advisor)"
)
_PHONE = r"(?:phone|telephone|whatsapp|contact|support|customer service|customer care)"
_AR_STAFF = (
    r"(?:ال|لل|ل|ب|بال|ع|عال)?(?:موظفا?|موظفه|شخصا?|انسانا?|بشر|حد|احدا?|حدا|خدم[هت] (?:ال)?(?:عمل[اه]|زباين)"
    r"|سرفيس كليان|ممثل|مندوب خدمه|مشرف|مشرفه|مدير|مديره|مسوول|مسؤول|مسءول|مسيول)(?:كم|كن|كو)?"
)
_AR_PHONE = r"(?:ال|لل|ل)?(?:هاتف|تليفون|تلفون|تيليفون|جوال|موبايل|محمول|واتس|واتساب|واتس اب)"
_AR_ASKED = (
    r"(?:ممكن|ابي|ابغي|ابغا|اريد|عايز|عايزه|عاوز|عاوزه|بدي|بغيت|عطني|عطيني|عطوني|عطيوني|اعطني|اعطوني|اعطيني|هات|فيه|في"
    r"|هل يوجد|هل هناك|عندكم|عندكن|عندكو|كاين|ما|ما هو|شو|ايش|وش|شنو|ايه)"
)
_HE_STAFF = (
    r"(?:ה|ל)?(?:נציג|נציגה|נציגת|בנ אדמ|בנאדמ|אדמ אמיתי|מישהו|מישהי|גורמ אנושי|מענה אנושי|מנהל|מנהלת|שירות לקוחות"
    r"|שירות הלקוחות|מוקדנ|מוקדנית)"
)
# Not "call me before you come": that is for the courier.
_NOT_FOR_COURIER = r"(?! (?:before|when|if|once|قبل|لما|عند|اذا|لو وصل|לפני|כש|אמ|ברגע))"
_PERSON = (
    r"\b(?:(?:talk|speak|chat|connect me|transfer me|put me through|get me)(?: (?:to|with))?"
    r"|(?:want|need|give me|can i have|call)) "
    rf"(?:an? |the |some |your |with |to )*(?:real |live |actual |human )*{_STAFF}\b",
    r"\b(?:real|live|human|actual) (?:person|human|agent|being|support)\b",
    r"^(?:agent|human|person|operator|representative|customer service|support)(?: please| pls)?$",
    r"\b(?:human|agent|representative|operator) (?:please|pls|plz)\b",
    r"\b(?:not|stop|hate|no|enough)(?: of)?(?: with)?(?: a| the| talking to(?: an?| the)?| this)? (?:ro)?bots?\b",
    rf"\b(?:is there|have you got|do you have|what s|whats|what is|give me|send me|need|want|can i (?:have|get)|your)"
    rf"(?: an?| the| your)? {_PHONE} (?:phone )?(?:number|line)\b",
    rf"^{_PHONE} (?:phone )?number\b",
    r"\bnumber (?:i can|to|can i|that i can) (?:call|ring|phone|text)\b",
    r"\b(?:someone|somebody|anyone|anybody)(?: please)? (?:to )?(?:call|phone|ring) me\b" + _NOT_FOR_COURIER,
    r"\bcall me back\b" + _NOT_FOR_COURIER,
    # Arabic
    r"\b(?:[انتي]?(?:كلم|تكلم|حكي|حاكي)|نهدر|نهضر|[ان]?تواصل|التواصل|التحدث|[انت]?تحدث|مخاطبه|[ان]خاطب|حولني|حولوني)"
    rf"(?: \S+){{0,2}}? (?:مع |الي |علي |ل |ب )?(?:{_AR_STAFF}|(?:شي )?واحد|عبد)\b",
    r"\b(?:اريد|ابي|ابغي|ابغا|عايز|عايزه|عاوز|عاوزه|بدي|بغيت|نحب|هاتلي|هاتولي|هاتوا|عطني|اعطوني)"
    rf" (?:شي |اي )?{_AR_STAFF}\b",
    r"\b(?:وين|فين|اين|مين|شكون) (?:هو )?ال(?:مدير|مديره|مسوول|مسؤول|مسءول|مشرف)\b",
    rf"\bوصل(?:ني|وني|يني) (?:مع |الي )?(?:ب|بال){_AR_STAFF}\b",
    r"^(?:موظف|انسان|خدمه العملا|شخص حقيقي)(?: لو سمحت| من فضلك)?$",
    r"\b(?:رقم|نمره|نمرت)(?:كم|كن|كو)\b(?! ال?ضريبي)",
    rf"\b(?:رقم|نمره) {_AR_PHONE}(?:كم|كن|كو| (?:الخاص ب\S+|بتاعكم|بتاعكو|تاعكم|تبعكن|تبعكم|حقكم|ديالكم))\b",
    rf"\b{_AR_ASKED} (?:شي |اي )?(?:رقم|نمره) (?:{_AR_PHONE}|خدم[هت] (?:ال)?(?:عمل[اه]|زباين)|ال?دعم|ديالكم|تاعكم)\b",
    r"\b(?:فيه|في|عندكم|عندكن|عندكو|كاين|هل يوجد|هل لديكم) (?:رقم )?(?:ال)?(?:واتس|واتساب|واتس اب)\b",
    r"\b(?:حد|احد|حدا|واحد)(?: \S+){0,2}? (?:يكلمني|يحاكيني|يسمعني|(?:يتصل|يتسل|يرد|يدق|يعيط)"
    r" (?:علي|في|ب|ل)\S*)" + _NOT_FOR_COURIER,
    r"(?<!لم )\bيتصل بي[ا]? (?:احد|حد|حدا|شخص)\b" + _NOT_FOR_COURIER,
    r"\b(?:كلموني|عيطو لي[ا]?|عيطوا لي[ا]?|اتصلوا (?:بي|بيا|فيني|فيي|علي))\b" + _NOT_FOR_COURIER,
    r"\b(?:لا اريد|ما ابي|مابي|مش عايز|ما بدي|كفايه|باراكا|بركا|زهقت|مليت|طفشت)(?: \S+){0,2}? (?:ال)?"
    r"(?:بوت|روبوت|روبو|(?:رد|ردود|ردودا) (?:ال)?(?:الي|اليه|اوتوماتيك\S*))\b",
    # Hebrew
    r"(?<!\w)(?:לדבר|לשוחח|להתכתב|תעביר[וי]? (?:אותי )?|העביר[וי]? (?:אותי )?|תחבר[וי]? אותי|חבר[וי]? אותי)"
    rf"(?: ?\S+){{0,2}}? ?(?:עמ |אל |ל)?{_HE_STAFF}\b",
    rf"(?<!\w)(?:צריכ|צריכה|רוצה|תנו לי|אפשר|מבקש|מבקשת|איפה)(?: איזה)? (?:עמ |אל |את )?{_HE_STAFF}\b",
    r"^(?:נציג|נציגה|נציג אנושי|בנ אדמ|שירות לקוחות)(?: בבקשה)?$",
    r"(?<!\w)(?:מה|תנו לי|אפשר|יש)(?: לכמ)?(?: את)? (?:ה?טלפונ|ה?ווטסאפ|ה?וואטסאפ)"
    r" (?:שלכמ|של (?:החנות|השירות|שירות|הנציג)\S*|לשירות|שאפשר|להתקשר|לבירורימ)",
    r"(?<!\w)(?:מה|תנו לי|אפשר|יש)(?: לכמ)? (?:ה?מספר(?: ה?(?:טלפונ|ווטסאפ|וואטסאפ))(?: שלכמ)?)(?! שלי|\w)",
    r"(?<!\w)(?:ש?מישהו י|ש?מישהי ת|ת|שי)(?:חזור|חזרו|תקשר|תקשרו) אלי+\b" + _NOT_FOR_COURIER,
    r"(?<!\w)(?:נמאס|די|מספיק)(?: לי)? (?:מ|עמ )(?:ה)?(?:בוט\S*|תשובות (?:ה?אוטומטיות)|מענה אוטומטי)",
    # Arabizi as it was typed: a transliteration may miss the word that counts
    r"\b(?:[ant]*kal+[ei]m|at?kal+em|[anet]*7ki|[anet]*hki|nhd?er|nahdar|7aw+[ei]lni|hawelni)\b(?: \S+){0,3}? "
    r"(?:7ada?|hada?|wa7ed|wahed|mowaz+af\w*|mwaz+af\w*|mowadhaf\w*|shakhs|insan|ensan|bashar|3abd|modir|mudir|mas2ou?l\w*"
    r"|khed?me?t el 3omala\w*)\b",
    r"(?:^|\b(?:3a?tini|a3tini|momken|mumkin|shu|ma|abi|bde|baddi|3ayez|3ayza|fi|fih|wesh|chno) )"
    r"(?:ra2a?m|raqa?m|rakam|nemra|nimra|nemret)(?: el| l| al)?"
    r" (?:te?le?(?:ph|f)one?|tilifon|whats\w*|wats\w*|phone|hatef|jawal|khed?me?t|dyalkom|dyalkum)"
    r"(?= ?$| law| lw| 3afak| please| pls| a7ki| ahki)",
    r"\b(?:fin|wein|wen|wain|wayn|fein|feen) (?:el |al |l)?(?:modir|mudir|mudeer|mas2ou?l)\b",
    r"\b(?:7ada?|hada?) y[ei]t+[ae]s+[ei]l\b",
)  # fmt: skip
_WANTS_PERSON = re.compile("|".join(f"(?:{pattern})" for pattern in _PERSON))


def wants_person(text: str) -> bool:
    """Whether somebody asks for a person, in any of our languages; Arabizi as it was transliterated."""
    return _WANTS_PERSON.search(search_key(text)) is not None


_CALL = re.compile(
    r"\b(?:call|phone|ring) me\b|\bcall(?: me)? back\b|\bcallback\b|\bgive me a (?:call|ring)\b"
    r"|\b(?:اتصل|اتصلو|اتصلوا|يتصل|تتصل|تتصلو|تتصلوا|يكلمني|كلموني|تكلموني|دقو|دقوا|تدقو|رنو|رنوا|عيطو|عيطوا|يعيط|تعيطو"
    r"|يدق|مكالمه|هاتفوني)\b"
    r"|(?<!\w)(?:תתקשר[וי]?|שיתקשרו|שיתקשר|שתתקשרו|התקשרו|תחזרו אליי|תחזרו אלי|שיחזרו אליי|שיחזרו אלי|חזרו אליי"
    r"|שיחה חוזרת|תצלצלו)\b"
    r"|\b(?:it+as+l[iou]+|yetesel|tetes[ie]l\w*|kal+[ei]?mo?u?ni|3ay+[ei]?to?u?li?|do2o?u?li?)\b"
)


def wants_call(text: str) -> bool:
    """Whether somebody who wants a person wants to be called."""
    return _CALL.search(search_key(text)) is not None


def decide(message: Message, read: Read | None, said: Said, *, heard: str = "", needs: Sequence[str] = ()) -> Decision:
    """What to do about one question.

    `read` is None when the models are away. `heard` is the text in Arabic letters where it was Arabizi. `needs` is what
    the best topic cannot go without (`order`, `proof`, …): what is neither known nor in the message is asked for, once.
    """
    if wants_person(message.text) or (heard and wants_person(heard)):
        return Decision(Outcome.PERSON, Reason.WANTED)
    if said.chosen is not None:
        return _act(said.chosen, 1.0, message, said, needs)
    if message.says_nothing:
        return Decision(Outcome.PERSON, Reason.ENOUGH) if "words" in said.asked else Decision(
            Outcome.ASK, Reason.SILENT, missing=("words",)
        )  # fmt: skip
    if read is None or not read.topics:
        return Decision(Outcome.PERSON, Reason.AWAY)
    if read.gate >= read.answer_from:
        return _act(read.topics[0][0], read.confidence, message, said, needs)
    if read.gate < read.offer_from:
        return Decision(Outcome.PERSON, Reason.OUTSIDE, confidence=read.confidence)
    if said.offered >= MOST_OFFERS:
        return Decision(Outcome.PERSON, Reason.ENOUGH, confidence=read.confidence)
    choices = tuple(topic for topic, _ in read.topics[:CHOICES])
    return Decision(Outcome.OFFER, Reason.UNSURE, choices, confidence=read.confidence)


def _act(topic: str, confidence: float, message: Message, said: Said, needs: Sequence[str]) -> Decision:
    """Answer, or ask for what is missing; what was asked before and did not come is for a person to find out."""
    there = said.known | _named(message)
    missing = tuple(need for need in needs if need not in there)
    if not missing:
        return Decision(Outcome.ANSWER, Reason.SURE, (topic,), confidence=confidence)
    if said.asked.issuperset(missing):
        return Decision(Outcome.PERSON, Reason.ENOUGH, (topic,), missing, confidence)
    return Decision(Outcome.ASK, Reason.MISSING, (topic,), tuple(n for n in missing if n not in said.asked), confidence)


def _named(message: Message) -> frozenset[str]:
    found = {"order": message.orders, "email": message.emails, "phone": message.phones, "date": message.dates,
             "product": message.products}  # fmt: skip
    return frozenset(name for name, values in found.items() if values)
