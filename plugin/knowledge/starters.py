"""Policy articles that a merchant gets by answering a few questions, in every language that has a catalogue."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import func, select

from plugin.kernel.db import Tx
from plugin.kernel.digits import whole
from plugin.kernel.errors import AhlanError
from plugin.kernel.i18n import Catalogues, Translator
from plugin.kernel.lazy import Lazy, _
from plugin.kernel.text import normalise
from plugin.knowledge import articles
from plugin.knowledge.articles import Article, Collection, Kind, Listed
from plugin.team import Agent

LONGEST_ANSWER = 200


@dataclass(frozen=True, slots=True)
class Question:
    """What a merchant is asked. `days`: a whole number; `choices`: one (or with `many`, several) of these keys.

    `optional` ones may stay empty: the sentence that needs them is left out then.
    """

    name: str
    label: Lazy
    days: bool = False
    choices: Mapping[str, Lazy] = field(default_factory=dict)
    many: bool = False
    optional: bool = False
    ltr: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """An article of the set. `parts` are its paragraphs, each with the names that it needs (empty: always there)."""

    key: str
    title: Lazy
    questions: Sequence[Question]
    parts: Sequence[tuple[Lazy, str]]


_METHODS = {
    "card": _("credit and debit cards"),
    "cod": _("cash on delivery"),
    "wallet": _("Apple Pay and Google Pay"),
    "transfer": _("bank transfer"),
    "instalments": _("instalments"),
}
_PAYS = {"shop": _("We pay for the way back."), "customer": _("You pay for the way back.")}
_UNTIL = {
    "shipped": _("until it leaves our warehouse"),
    "hours": _("in the first hours after ordering"),
    "never": _("only by writing to us"),
}

POLICIES: Sequence[Policy] = (
    Policy(
        "delivery",
        _("How long does delivery take, and what does it cost?"),
        (
            Question("pack", _("In how many days is an order packed?"), days=True),
            Question("arrive", _("In how many days after that does it arrive?"), days=True),
            Question("cost", _("What does delivery cost?"), ltr=True),
            Question("free", _("From which amount on is it free?"), optional=True, ltr=True),
        ),
        (
            (_("We pack your order %(pack)s and hand it to the carrier. It reaches you %(arrive)s after that."), ""),
            (_("Delivery costs %(cost)s."), "cost"),
            (_("From %(free)s on, delivery is free."), "free"),
            (_("As soon as your order is on its way, you get a message with its tracking number."), ""),
        ),
    ),
    Policy(
        "returns",
        _("How do I return something?"),
        (
            Question("days", _("In how many days may it be returned?"), days=True),
            Question("pays", _("Who pays for the way back?"), choices=_PAYS),
            Question("refund", _("In how many days is the money back?"), days=True),
        ),
        (
            (_("You can return what you bought %(days)s of receiving it, unused and in its packaging."), ""),
            (_("Write to us with your order number and say what you would like to send back."), ""),
            (Lazy("%(pays)s"), "pays"),
            (_("Once it has arrived, the money goes back the way you paid, %(refund)s."), ""),
        ),
    ),
    Policy(
        "payment",
        _("How can I pay?"),
        (
            Question("methods", _("How can shoppers pay?"), choices=_METHODS, many=True),
            Question("currency", _("In which currency?"), optional=True, ltr=True),
        ),
        (
            (_("You can pay by %(methods)s."), ""),
            (_("All prices are in %(currency)s."), "currency"),
            (_("Your card's number is never seen or kept by us: the payment provider of the shop takes it."), ""),
        ),
    ),
    Policy(
        "changes",
        _("Can I change or cancel my order?"),
        (Question("until", _("How long can an order be changed?"), choices=_UNTIL),),
        (
            (_("You can change the address or cancel your order %(until)s."), ""),
            (_("Write to us with your order number, as soon as you can. We answer what is still possible."), ""),
        ),
    ),
    Policy(
        "contact",
        _("How can I reach you?"),
        (
            Question("email", _("E-mail address"), optional=True, ltr=True),
            Question("phone", _("Phone or WhatsApp number"), optional=True, ltr=True),
            Question("answer", _("In how many days do you answer at the latest?"), days=True),
        ),
        (
            (_("Write to us in the chat of this shop at any time. We answer %(answer)s."), ""),
            (_("E-mail: %(email)s"), "email"),
            (_("Phone and WhatsApp: %(phone)s"), "phone"),
        ),
    ),
    Policy(
        "damaged",
        _("Something arrived damaged, or it is not what I ordered"),
        (Question("days", _("In how many days should shoppers tell you?"), days=True),),
        (
            (_("We are sorry. Tell us %(days)s of receiving it, with your order number and a photo."), ""),
            (_("We send it again or give the money back, as you prefer, and the way back costs you nothing."), ""),
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Standing:
    """A policy and the article that was made of it, if there is one."""

    policy: Policy
    listed: Listed | None

    @property
    def answers(self) -> Mapping[str, Sequence[str]]:
        """What it was written from the last time, to begin with the next."""
        return self.listed.article.answers if self.listed is not None else {}

    def changed(self, catalogues: Catalogues) -> list[str]:
        """The languages whose text somebody has changed since: written anew, those words are an earlier version."""
        if self.listed is None or not self.answers:
            return []
        return [
            code
            for code, row in sorted(self.listed.texts.items())
            if code in catalogues.codes and row.body != written(catalogues.translator(code), self.policy, self.answers)
        ]


async def standing(tx: Tx) -> list[Standing]:
    """The whole set, with what has been written of it."""
    rows = await tx.scalars(
        select(Article.id).where(
            Article.workspace_id == tx.workspace_id, Article.starter != "", Article.deleted_at.is_(None)
        )
    )
    made = {one.article.starter: one for one in await articles.by_ids(tx, list(rows))}
    return [Standing(policy, made.get(policy.key)) for policy in POLICIES]


async def fill_in(
    tx: Tx, catalogues: Catalogues, policy: Policy, answers: Mapping[str, Sequence[str]], *, by: Agent, source: str
) -> Article:
    """Write a policy from its answers in every language, as drafts. Answered again, the same article is written anew.

    Raises AhlanError where something is missing, or is no number of days.
    """
    checked = _checked(policy, answers)
    # Whoever clicks twice writes one article.
    await tx.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"starter {tx.workspace_id}", 0))))
    there = next((one.listed for one in await standing(tx) if one.policy is policy and one.listed), None)
    article = there.article if there is not None else None
    if article is None:
        shelf = await _shelf(tx, catalogues)
        article = await articles.create(
            tx, by.id, Kind.ARTICLE, source, collection_id=shelf.id, starter=policy.key
        )  # fmt: skip
    article.answers = {name: list(given) for name, given in checked.items()}
    for code in sorted(catalogues.codes, key=lambda code: code != source):
        t = catalogues.translator(code)
        await articles.write(tx, article, code, t.gettext(policy.title), written(t, policy, checked), by=by.id)
    return article


def written(t: Translator, policy: Policy, answers: Mapping[str, Sequence[str]]) -> str:
    """The article's text in one language. Pure."""
    values = {question.name: _said(t, question, answers.get(question.name, ())) for question in policy.questions}
    parts = [t.gettext(text, **values) for text, needs in policy.parts if not needs or values[needs]]
    return "\n\n".join(parts)


def _said(t: Translator, question: Question, given: Sequence[str]) -> str:
    if not given:
        return ""
    if question.days:
        number = int(given[0])
        return t.gettext("on the same day") if number == 0 else t.ngettext(
            "within %(num)s day", "within %(num)s days", number
        )  # fmt: skip
    if question.choices:
        return t.listing([t.gettext(question.choices[key]) for key in given])
    return given[0]


def _checked(policy: Policy, answers: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    checked: dict[str, list[str]] = {}
    for question in policy.questions:
        given = [" ".join(one.split())[:LONGEST_ANSWER] for one in answers.get(question.name, ()) if one.strip()]
        given = given if question.many else given[:1]
        if not given and not question.optional:
            raise AhlanError(
                _("Something is not answered yet."), _("Fill in everything that is not optional."), code="policy_empty"
            )
        if question.days and given and whole(normalise(given[0]), 365) is None:
            raise AhlanError(_("Give days as a whole number, up to 365."), code="policy_days")
        if question.choices and any(one not in question.choices for one in given):
            raise AhlanError(_("Choose again."), code="policy_choice")
        checked[question.name] = [str(int(given[0]))] if question.days and given else given
    return checked


async def _shelf(tx: Tx, catalogues: Catalogues) -> Collection:
    """Where the set stands: made with its first article, and made again where somebody took it away."""
    name = _("Orders, delivery and returns")
    names = {code: catalogues.translator(code).gettext(name) for code in catalogues.codes}
    for one in await articles.collections(tx):
        if set(names.values()) & set(one.names.values()):
            return one
    return await articles.write_collection(tx, names, {})


def known(key: str) -> Policy | None:
    """A policy of the set by its key."""
    return next((one for one in POLICIES if one.key == key), None)
