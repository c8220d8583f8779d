"""The flows that a workspace can begin with, in every language that there is a catalogue for; off until switched on."""

from __future__ import annotations

from collections.abc import Sequence

from plugin.bot import flow_book
from plugin.bot.flows import (
    END,
    About,
    Action,
    Ask,
    Choice,
    Condition,
    Do,
    Flow,
    HandOver,
    Option,
    Question,
    Say,
    Step,
    Texts,
    Trigger,
)
from plugin.kernel.db import Tx
from plugin.kernel.i18n import Catalogues
from plugin.kernel.lazy import Lazy, _

LANGUAGES = ("en", "ar", "he")


class _Words:
    """Puts a sentence into all languages at once."""

    def __init__(self, catalogues: Catalogues) -> None:
        self._speakers = {code: catalogues.translator(code) for code in LANGUAGES if code in catalogues.codes}

    def __call__(self, said: Lazy) -> Texts:
        return {code: t.gettext(said) for code, t in self._speakers.items()}

    @property
    def languages(self) -> tuple[str, ...]:
        return tuple(self._speakers)


def starters(catalogues: Catalogues, locale: str) -> list[tuple[str, str, Flow]]:
    """The starter flows: (id, name in `locale`, flow)."""
    t = _Words(catalogues)
    name = catalogues.translator(catalogues.negotiate(locale))
    made = [
        ("where", _("Where is my order?"), _where(t)),
        ("return", _("Send something back"), _return(t)),
        ("damaged", _("Wrong or damaged item"), _damaged(t)),
        ("product", _("Question about a product"), _product(t)),
        ("wholesale", _("Wholesale, and messages after hours"), _wholesale(t)),
    ]
    return [(id, name.gettext(called), flow) for id, called, flow in made]


def _flow(t: _Words, trigger: Trigger, *steps: Step) -> Flow:
    return Flow(trigger, steps, t.languages)


def _where(t: _Words) -> Flow:
    return _flow(
        t,
        Trigger(topics=("track_order", "delivery_late"), button=t(_("Where is my order?"))),
        Condition("proven", About.ORDER, ("proven",), to="show", otherwise="number"),
        Question("number", t(_("What is the number of the order? It is in the e-mail that confirms it.")),
                 Ask.ORDER, "order"),
        Action("show", Do.SCREEN, "order"),
        Condition("late", About.ORDER, ("late",), to="sorry", otherwise="helped"),
        Say("sorry", t(_("That takes longer than it should.")), to="helped"),
        Choice("helped", t(_("Does that answer it?")),
               (Option(t(_("Yes, thank you")), "bye"), Option(t(_("No, I need help")), "tag"))),
        Say("bye", t(_("You are welcome.")), to=END),
        Action("tag", Do.TAG, "delivery"),
        HandOver("person"),
    )  # fmt: skip


def _return(t: _Words) -> Flow:
    return _flow(
        t,
        Trigger(topics=("return_item", "exchange"), button=t(_("Send something back"))),
        Choice("why", t(_("What is it about?")),
               (Option(t(_("I do not want it any more")), "open"), Option(t(_("It does not fit")), "open"),
                Option(t(_("It is damaged or wrong")), "problem"), Option(t(_("Where is my refund?")), "open")),
               "reason"),
        Action("open", Do.SCREEN, "return", to="more"),
        Action("problem", Do.SCREEN, "problem", to="more"),
        Choice("more", t(_("Is there anything else?")),
               (Option(t(_("No, that is all")), "bye"), Option(t(_("Yes, I need help")), "person"))),
        Say("bye", t(_("You are welcome.")), to=END),
        HandOver("person"),
    )  # fmt: skip


def _damaged(t: _Words) -> Flow:
    return _flow(
        t,
        Trigger(topics=("damaged_item", "wrong_item", "missing_item")),
        Say("sorry", t(_("I am sorry about that. A few words, then it goes to the right people."))),
        Choice("what", t(_("What happened?")),
               (Option(t(_("It arrived damaged")), "number"), Option(t(_("It is the wrong item")), "number"),
                Option(t(_("Something is missing")), "number")), "problem"),
        Question("number", t(_("What is the number of the order?")), Ask.ORDER, "order"),
        Question("words", t(_("Which item is it, and what is wrong with it? Photos can be sent here too.")),
                 Ask.TEXT, "details"),
        Action("rank", Do.PRIORITY, "high"),
        Action("tag", Do.TAG, "damaged"),
        Condition("proven", About.ORDER, ("proven",), to="screen", otherwise="person"),
        Action("screen", Do.SCREEN, "problem", to="person"),
        HandOver("person", t(_("Thank you, everything needed is here."))),
    )  # fmt: skip


def _product(t: _Words) -> Flow:
    return _flow(
        t,
        Trigger(button=t(_("Question about a product"))),
        Choice("about", t(_("What would you like to know?")),
               (Option(t(_("Size or fit")), "which"), Option(t(_("Whether it is in stock")), "which"),
                Option(t(_("Material and care")), "which"), Option(t(_("Something else")), "which")), "about"),
        Question("which", t(_("Which product is it? Its name or the address of its page.")), Ask.TEXT, "product"),
        Question("ask", t(_("And the question itself?")), Ask.TEXT, "question"),
        Condition("hours", About.HOURS, ("open",), to="tag", otherwise="email"),
        Question("email", t(_("Nobody is here just now. To which e-mail address may the answer go?")), Ask.EMAIL,
                 "email"),
        Action("tag", Do.TAG, "product"),
        HandOver("person"),
    )  # fmt: skip


def _wholesale(t: _Words) -> Flow:
    return _flow(
        t,
        Trigger(topics=("wholesale",), button=t(_("Orders for companies"))),
        Say("hello", t(_("Good to hear. Three short questions, then the right person gets it."))),
        Question("company", t(_("What is the name of the company, and where is it?")), Ask.TEXT, "company"),
        Question("wants", t(_("Which products, and about how many?")), Ask.TEXT, "wants"),
        Question("email", t(_("To which e-mail address may the offer go?")), Ask.EMAIL, "email"),
        Action("tag", Do.TAG, "wholesale"),
        Condition("hours", About.HOURS, ("open",), to="person", otherwise="later"),
        Say("later", t(_("The team is not here now and answers by e-mail as soon as it is."))),
        HandOver("person", t(_("Thank you."))),
    )  # fmt: skip


async def plant(tx: Tx, catalogues: Catalogues, locale: str) -> int:
    """Write those that are not there yet, switched off, ready to be published. Returns how many were written."""
    made: Sequence[tuple[str, str, Flow]] = starters(catalogues, locale)
    return await flow_book.plant(tx, made)
