"""The right of withdrawal of the European Union, as a shop applies it: labels, exceptions, days. Pure.

Directive 2011/83/EU as amended by Directive (EU) 2023/2673, articles 9, 11a, 13 and 16 (docs/withdrawal.md has the
sources). The law goes before the shop's own policy: `statutory` makes of that a policy that only the law limits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum

from plugin.kernel.i18n import zone_of
from plugin.return_desk import ReturnableLine, ReturnableOrder
from plugin.returns.policy import DeliveryBack, Match, PayWhen, Policy, Reason, Resolution, Rule, Terms, eligibility

DAYS = 14
"""To withdraw (article 9), and to pay back (article 13)."""
REASON = "withdrawal"
"""The reason of a return that a withdrawal became: nobody is asked for another."""

EU = (
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT", "LT", "LU", "LV",
    "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK",
)  # fmt: skip
"""The members, ISO 3166-1."""

LABELS: Mapping[str, tuple[str, str]] = {
    "bg": ("Откажете се от договора тук", "Потвърждавам отказа"),
    "cs": ("Zde odstoupit od smlouvy", "Potvrdit odstoupení od smlouvy"),
    "da": ("Fortryd aftale", "Bekræft fortrydelse"),
    "de": ("Vertrag widerrufen", "Widerruf bestätigen"),
    "el": ("Πατήστε εδώ για υπαναχώρηση", "Επιβεβαίωση υπαναχώρησης"),
    "en": ("Withdraw from contract here", "Confirm withdrawal"),
    "es": ("Desistir del contrato aquí", "Confirmar desistimiento"),
    "et": ("Taganen lepingust", "Kinnitan taganemise"),
    "fi": ("Peruuta sopimus tästä", "Vahvista peruuttaminen"),
    "fr": ("Renoncer au contrat ici", "Confirmer la rétractation"),
    "ga": ("Tarraing siar ón gconradh anseo", "Dearbhaigh an tarraingt siar"),
    "hr": ("Odustati od ugovora", "Potvrditi odustajanje"),
    "hu": ("Elállás a szerződéstől", "Elállás megerősítése"),
    "it": ("Recedere dal contratto qui", "Conferma recesso"),
    "lt": ("Atsisakyti sutarties čia", "Patvirtinti sutarties atsisakymą"),
    "lv": ("Atteikties no līguma", "Apstiprināt atteikumu"),
    "mt": ("Irtira mill-kuntratt hawnhekk", "Ikkonferma r-reċess"),
    "nl": ("Hier de overeenkomst herroepen", "Herroeping bevestigen"),
    "pl": ("Odstąp od umowy tutaj", "Potwierdź odstąpienie od umowy"),
    "pt": ("Retrate-se do contrato aqui", "Confirmar retratação"),
    "ro": ("Retrageți-vă din contract aici", "Confirmați retragerea"),
    "sk": ("Odstúpiť od zmluvy tu", "Potvrdiť odstúpenie od zmluvy"),
    "sl": ("Kliknite tukaj za odstop od pogodbe", "Potrdi odstop od pogodbe"),
    "sv": ("Ångra avtalet här", "Bekräfta frånträde"),
    "ar": ("العدول عن العقد من هنا", "تأكيد العدول"),
    "he": ("לביטול העסקה כאן", "אישור הביטול"),
}
"""The function's label and its confirmation's, by language, with a capital where a button begins. All but the last two
are article 11a(1) and (3) of that language's own version of the directive; Arabic and Hebrew are ours."""
TRANSLATED = frozenset({"ar", "he"})
"""Languages of `LABELS` in which there is no official wording."""


class Ground(StrEnum):
    """Why there is no right of withdrawal: the letters of article 16, first paragraph."""

    SERVICE = "a"
    MARKET = "b"
    MADE_TO_ORDER = "c"
    PERISHABLE = "d"
    UNSEALED = "e"
    MIXED = "f"
    ALCOHOL = "g"
    REPAIR = "h"
    RECORDING = "i"
    NEWSPAPER = "j"
    AUCTION = "k"
    LEISURE = "l"
    DIGITAL = "m"


IF_OPENED = frozenset({Ground.UNSEALED, Ground.MIXED, Ground.RECORDING})
"""These hold only for what was opened or mixed since: nobody knows before the goods are here, so a person decides."""


class When(StrEnum):
    """When the function is shown. `auto`: while the shop sells into one of its countries."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Exemption:
    """Goods from whose purchase nobody can withdraw, and why."""

    ground: Ground
    match: Match


@dataclass(frozen=True, slots=True)
class Rules:
    """What a shop says about withdrawals. `countries`: whose shoppers have the right. `everyone`: it is shown to all,
    else only to whom we do not know to be elsewhere. `automatic`: what is clear becomes a return by itself. `words`:
    how the goods go back, by language, for the receipt.
    """

    when: When = When.AUTO
    countries: tuple[str, ...] = EU
    everyone: bool = True
    automatic: bool = True
    exemptions: tuple[Exemption, ...] = ()
    words: Mapping[str, str] = field(default_factory=dict)

    def shown_to(self, country: str, *, sells: bool) -> bool:
        """Whether somebody in `country` (empty: nobody knows) is shown the function. `sells`: into the countries."""
        places = self.places(sells=sells)
        return places != "off" and (places == "all" or not country or country in self.countries)

    def places(self, *, sells: bool) -> str:
        """To whom it is shown, as a theme reads it: `off`, `all`, or the countries in one line."""
        if self.when is When.OFF or (self.when is When.AUTO and not sells):
            return "off"
        return "all" if self.everyone or not self.countries else " ".join(self.countries)


@dataclass(frozen=True, slots=True)
class Sorted:
    """What of an order a withdrawal takes: `back` of lines were sent and go back, `unsent` units never left, `exempt`
    lines have no right of withdrawal, by ground. `late`: the days were over.
    """

    back: tuple[tuple[ReturnableLine, int], ...] = ()
    unsent: int = 0
    exempt: tuple[tuple[ReturnableLine, Ground], ...] = ()
    late: bool = False


def label(language: str) -> tuple[str, str]:
    """The two labels for a page in `language` (`de-AT` is `de`); English for a language without."""
    return LABELS.get(language.replace("_", "-").partition("-")[0].lower(), LABELS["en"])


def statutory(shop: Policy, rules: Rules) -> Policy:
    """The shop's policy with everything left out that would take less back, later or for less than the law says.

    Money back without fees, the delivery with it (article 13), no later than when the goods are here (13(3)) and no
    sooner than somebody of the shop knows of them: nobody proved whose the order is. When it may be asked for is not
    the policy's: `sort` looks at the days. What only a person can judge waits for one.
    """
    offered = Terms(days={Resolution.REFUND: None})
    looked_at, exempt = replace(offered, review=True), Terms(barred="exempt")
    exceptions = tuple(
        Rule(one.ground, one.match, looked_at if one.ground in IF_OPENED else exempt) for one in rules.exemptions
    )
    return Policy(
        terms=offered,
        rules=exceptions,
        reasons=(Reason(REASON),),
        automatic=rules.automatic,
        pay_when=PayWhen.IN_TRANSIT if shop.pay_when is PayWhen.IN_TRANSIT else PayWhen.RECEIVED,
        delivery=DeliveryBack.WHOLE,
        zone=shop.zone,
    )


def sort(law: Policy, order: ReturnableOrder, at: datetime) -> Sorted:
    """What a withdrawal declared at `at` takes of the order, judged by `statutory`."""
    day = at.astimezone(zone_of(law.zone)).date()
    back: list[tuple[ReturnableLine, int]] = []
    exempt: list[tuple[ReturnableLine, Ground]] = []
    unsent = 0
    for line in order.lines:
        judged = eligibility(law, order, line, day)
        if judged.code == "exempt":
            exempt.append((line, Ground(judged.rule)))
            continue
        if not judged.code and judged.most > 0:
            back.append((line, judged.most))
        if line.needs_shipping and not order.cancelled:
            # Where the store names no parcels, what can come back is what was sent.
            sent = sum(parcel.quantity for parcel in line.shipped) or line.returnable
            unsent += max(0, line.quantity - max(line.gone, sent))
    last = last_day(order, law.zone)
    return Sorted(tuple(back), unsent, tuple(exempt), late=last is not None and day > last)


def last_day(order: ReturnableOrder, zone: str) -> date | None:
    """The last day to withdraw, None where it has not begun or nobody knows when the goods arrived.

    Fourteen days after the last parcel of the order was handed over (article 9(2)(b)); that day itself is not counted,
    and what would end on a Saturday or Sunday ends on the Monday (Regulation (EEC, Euratom) No 1182/71, article 3).
    Public holidays move it too, which nobody here knows: a person decides about what is late.
    """
    parcels = [parcel.delivered_at for line in order.lines for parcel in line.shipped]
    missing = any(
        line.needs_shipping and line.gone + sum(parcel.quantity for parcel in line.shipped) < line.quantity
        for line in order.lines
    )
    delivered = [moment for moment in parcels if moment is not None]
    if missing or not delivered or len(delivered) < len(parcels):
        return None
    end = max(delivered).astimezone(zone_of(zone)).date() + timedelta(days=DAYS)
    return end + timedelta(days=max(0, 7 - end.weekday()) if end.weekday() > 4 else 0)


def pay_by(at: datetime, zone: str) -> date:
    """The last day to pay back what was paid: fourteen days from the day on which the shop was told (article 13)."""
    return at.astimezone(zone_of(zone)).date() + timedelta(days=DAYS)


def countries(text: str) -> Sequence[str]:
    """The two letters of the countries that somebody typed, each once, in their order."""
    found = [word.upper() for word in text.replace(",", " ").replace("،", " ").split() if word.isascii()]
    return tuple(dict.fromkeys(word for word in found if len(word) == 2 and word.isalpha()))
