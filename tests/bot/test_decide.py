"""What is done about a question: answered, offered choices, asked back, or handed to a person; never in circles."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugin.bot.decide import CHOICES, MOST_OFFERS, Decision, Outcome, Read, Reason, Said, decide, wants_person
from plugin.bot.understand import Message, understand

TOPICS = (("track_order", 0.9), ("return_item", 0.3), ("delivery_cost", 0.2), ("size", 0.1))


def message(text: str) -> Message:
    return understand(text, today=date(2026, 11, 22), region="SA")


def read(gate: float) -> Read:
    return Read(TOPICS, 0.9, gate, answer_from=1.0, offer_from=0.4)


@pytest.mark.parametrize(
    ("gate", "outcome", "reason", "topics"),
    [
        (1.0, Outcome.ANSWER, Reason.SURE, 1),
        (0.99, Outcome.OFFER, Reason.UNSURE, CHOICES),
        (0.4, Outcome.OFFER, Reason.UNSURE, CHOICES),
        (0.39, Outcome.PERSON, Reason.OUTSIDE, 0),
    ],
)
def test_the_gates_part_answers_from_choices_and_from_people(
    gate: float, outcome: Outcome, reason: Reason, topics: int
) -> None:
    made = decide(message("where is it"), read(gate), Said())
    assert (made.outcome, made.reason, len(made.topics)) == (outcome, reason, topics)


@pytest.mark.parametrize(
    "text",
    [
        "I want to talk to a person", "can i speak to an agent please", "human", "connect me with someone",
        "stop talking to the bot i want a real person", "أبي أكلم موظف", "عايز أكلم حد من خدمة العملاء",
        "بدي احكي مع حدا", "بغيت نهدر مع شي واحد", "حولني على موظف", "אפשר לדבר עם נציג?",
        "רוצה בן אדם", "תעבירו אותי לנציגה",
        "is there a phone number i can call", "whats your whatsapp number", "can someone call me back please",
        "enough with the bots", "ممكن رقم تليفون", "شو رقمكن", "عندكم واتساب؟", "وين المدير", "وصلني بالمسؤول",
        "خلوا أحد يتصل فيني", "عيطو ليا", "زهقت من الرد الآلي", "عايزة موظفة", "حولني ع موظف",
        "מה הטלפון שלכם?", "יש מספר טלפון?", "שמישהו יחזור אליי", "איפה המנהל", "תעביר למישהו אמיתי",
        "נמאס מהבוט", "3ayez atkallem ma3 7ad", "momken ra2am el telefon", "wen el modir", "5ali 7ada yettesel fiyi",
    ],
)  # fmt: skip
def test_a_person_is_let_in_in_any_wording_and_before_everything(text: str) -> None:
    assert wants_person(text)
    made = decide(message(text), read(9.0), Said(chosen="track_order"))
    assert (made.outcome, made.reason) == (Outcome.PERSON, Reason.WANTED)


@pytest.mark.parametrize(
    "text", ["do you have an agent discount", "is the manager bag in stock", "صاحب المحل شخص طيب", "the bottom is torn",
             "who is the person in the picture", "a gift for someone special", "i want a replacement",
             "i need a personalised mug", "my phone number is wrong on the order", "call me before you deliver",
             "do you have the phone case", "أريد مسح بياناتي الشخصية", "عايز واحدة تانية", "اريد مقاس واحد اكبر",
             "بدي حدود التوصيل", "وصلني طلب شخص ثاني", "وصلني واحد مكسور", "نحب نبدلها بموديل واحد آخر من عندكم",
             "عايز أغير رقم التليفون في الطلب", "اتصلوا علي قبل التوصيل", "ما رقمكم الضريبي", "عندكم جوال سامسونج",
             "רוצה לשלוח מתנה למישהו", "תתקשרו אליי לפני המשלוח", "מספר הטלפון שלי השתנה", "יש טלפון של סמסונג",
             "لم يتصل بي أحد بعد موعد التسليم", "fin l commande dyali", "3ayez wa7da tanya", "ra2am el order 10234"],
)  # fmt: skip
def test_other_questions_are_not_taken_for_that_wish(text: str) -> None:
    assert not wants_person(text)


def test_arabizi_asks_for_a_person_in_arabic_letters() -> None:
    assert decide(message("bade a7ki ma3 7ada"), read(9.0), Said(), heard="بدي احكي مع حدا").reason == Reason.WANTED


def test_without_models_a_person_answers() -> None:
    assert decide(message("where is it"), None, Said()).outcome == Outcome.PERSON
    assert decide(message("where is it"), None, Said()).reason == Reason.AWAY


def test_pictures_alone_are_asked_about_once() -> None:
    first = decide(message("👍👍"), read(9.0), Said())
    assert (first.outcome, first.missing) == (Outcome.ASK, ("words",))
    assert decide(message("👍"), read(9.0), Said(asked=frozenset(first.missing))).outcome == Outcome.PERSON


def test_what_is_missing_is_asked_for_once_and_what_was_said_is_not() -> None:
    needs = ("order", "email")
    asked = decide(message("where is my order"), read(2.0), Said(), needs=needs)
    assert (asked.outcome, asked.missing, asked.topics) == (Outcome.ASK, needs, ("track_order",))
    half = decide(message("#1042"), read(2.0), Said(asked=frozenset(needs)), needs=needs)
    assert (half.outcome, half.missing) == (Outcome.PERSON, ("email",))
    whole = decide(message("order #1042, a@b.example"), read(2.0), Said(), needs=needs)
    assert whole.outcome == Outcome.ANSWER
    assert decide(message("and?"), read(2.0), Said(known=frozenset(needs)), needs=needs).outcome == Outcome.ANSWER


def test_a_choice_that_was_made_is_acted_on() -> None:
    made = decide(message("that one"), None, Said(chosen="return_item"))
    assert (made.outcome, made.topics) == (Outcome.ANSWER, ("return_item",))


@given(gates=st.lists(st.floats(-2, 3), min_size=1, max_size=20), needs=st.sets(st.sampled_from(["order", "proof"])))
def test_nothing_goes_round_in_circles(gates: list[float], needs: set[str]) -> None:
    """However the readings fall, a shopper is asked or offered things a bounded number of times."""
    said, turns = Said(), 0
    for gate in gates:
        made: Decision = decide(message("something about it"), read(gate), said, needs=tuple(sorted(needs)))
        assert not said.asked & set(made.missing) or made.outcome == Outcome.PERSON
        if made.outcome in (Outcome.PERSON, Outcome.ANSWER):
            break
        turns += 1
        said = Said(said.offered + (made.outcome == Outcome.OFFER), said.asked | set(made.missing))
    assert turns <= MOST_OFFERS + 1
