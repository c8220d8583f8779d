"""What the bot says about goods, from the shop's own catalogue: whether they are there, for how much, in which sizes,
how they differ.

A product is meant by its name, in whatever language its title is or the shop translated it into, by the words of its
address in the shop, or because it was shown before; it is called what the shop calls it in the shopper's language. What
titles mean was tried and is not asked: of a word or two the vectors say too little (docs/bot.md).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b
from uuid import UUID

from sqlalchemy import select

from plugin.bot import stocklist
from plugin.bot.decide import Outcome, Reason
from plugin.bot.goods import Found, Want, alike, fitting, naming, things, wants
from plugin.bot.memory import Choice, means_it, picked, points
from plugin.bot.scene import Say, Scene
from plugin.conversations import cards
from plugin.crm.products import Product, Variant
from plugin.kernel.db import Tx
from plugin.kernel.i18n import Translator
from plugin.kernel.lazy import _
from plugin.kernel.money import Money
from plugin.kernel.text import isolate, search_key

OF_PRODUCTS = frozenset({"availability", "back_in_stock"})
MOST_SHOWN = 4
_OFFERED = 3
_FEW = 3
_TURNS_BACK = 4
_FEW_OTHERS = 2
"""Words besides a whole name and a question for its price that leave no doubt about what is asked."""


async def product(tx: Tx, scene: Scene, topic: str, text: str, *, typed: str = "", unsure: bool = False) -> Say | None:
    """Whether something is there, for how much, and how it differs. None: no product of the shop is meant.

    `typed`: the same as it was typed, where `text` was Arabizi. `unsure`: the question may be about something else;
    then only what is clearly spoken of counts.
    """
    found, rows = await _named(tx, scene, text)
    if not rows and typed not in ("", text):
        found, rows = await _named(tx, scene, typed)
    asked = wants(text, found.title) | wants(typed, found.title)
    again = await _shown(tx, scene, text, asked, unsure=unsure)
    if again and not (found.whole or (found.sure and not _chooses(text, again))):
        rows, found = [row for row, _own in again], Found(sure=True)
    if rows and _meant(found, asked, unsure=unsure):
        say = await _about(tx, scene, topic, rows, text, asked)
        if say.told in scene.before.told and Want.CHOICE in asked:
            # Which sizes are there was said in passing; whoever asks for another one hears of each.
            return await _about(tx, scene, topic, rows, text, asked | {Want.PRICE})
        if say.told in scene.before.told and Want.PRICE in asked:
            # That it is there was said; asked for is what it costs.
            return await _about(tx, scene, topic, rows, text, asked, briefly=True)
        return say
    if unsure and not asked:
        return None
    return await _offered(tx, scene, topic, rows) if rows else None


def _meant(found: Found, asked: frozenset[Want], *, unsure: bool) -> bool:
    """Whether what is named is what is asked about: "the soap gave me a rash" names it and asks no price."""
    if found.sure or not found.whole:
        return found.sure
    return not unsure or (bool(asked) and found.left <= _FEW_OTHERS)


async def _offered(tx: Tx, scene: Scene, topic: str, rows: Sequence[Product]) -> Say:
    """Goods that may be meant, to choose from."""
    words = _("Which of these do you mean?") if len(rows) > 1 else _("Do you mean this one?")
    return Say(
        Outcome.ASK, Reason.MISSING, topic, scene.t.gettext(words),
        cards=await cards.of_products(tx, rows, scene.language), choices=_choices(scene.t, rows), asked=("product",),
        products=[str(row.id) for row in rows], tool="catalogue",
    )  # fmt: skip


async def chosen_product(tx: Tx, scene: Scene, topic: str, product_id: UUID) -> Say | None:
    """About a product that was chosen from what was offered; what was asked before about it is answered now."""
    row = await by_id(tx, scene, product_id)
    return await _about(tx, scene, topic, [row], "", frozenset()) if row is not None else None


_OF_WHAT_WAS_SHOWN = frozenset({Want.PRICE, Want.STOCK, Want.CHOICE, Want.CHEAPEST, Want.DEAREST})


async def points_back(tx: Tx, scene: Scene, text: str, *, sure: bool = False) -> bool:
    """Whether a question is about nothing but what was shown last: its price, its stock, one of its sizes.

    `sure`: by itself it is surely about something else, which "when will it come" may be and "how much in L" is not.
    """
    if not wants(text) or (sure and wants(text).isdisjoint(_OF_WHAT_WAS_SHOWN)):
        return False
    one = await _shown(tx, scene, text, wants(text), unsure=True)
    choices = _words_of_choices(one)
    return bool(one) and all(any(alike(word, other) for other in choices) for word in things(text))


async def names_one(tx: Tx, scene: Scene, text: str) -> bool:
    """Whether a text names goods of the shop."""
    found, _rows = await _named(tx, scene, text)
    return found.sure or found.whole


async def by_id(tx: Tx, scene: Scene, product_id: UUID) -> Product | None:
    """A product of this store that shoppers can see."""
    found: Product | None = await tx.scalar(
        select(Product).where(*stocklist.public(tx, scene.store.id), Product.id == product_id)
    )
    return found


# Which goods


async def _named(tx: Tx, scene: Scene, text: str) -> tuple[Found, list[Product]]:
    found = await stocklist.find(tx, scene.store.id, text)
    ids = [UUID(id) for id in found.ids[:MOST_SHOWN]]
    if not ids:
        return found, []
    public = stocklist.public(tx, scene.store.id)
    rows = {row.id: row for row in await tx.scalars(select(Product).where(*public, Product.id.in_(ids)))}
    return found, [rows[id] for id in ids if id in rows]


async def _shown(
    tx: Tx, scene: Scene, text: str, asked: frozenset[Want], *, unsure: bool
) -> list[tuple[Product, list[Variant]]]:
    """The products that were shown before and are pointed at now: "it", "the second one", "and in L?"."""
    # Choices that nobody took were about nothing else.
    turns = scene.before.said[scene.before.offered :]
    if unsure and not (turns and turns[0].data.get("products")):
        return []
    shown: list[str] = next((turn.data["products"] for turn in turns if turn.data.get("products")), [])
    at = picked(text, len(shown))
    if at is None and asked & {Want.CHEAPEST, Want.DEAREST, Want.COMPARE}:
        before = [id for turn in turns[:_TURNS_BACK] for id in turn.data.get("products", ())]
        ids = shown if len(shown) > 1 else list(dict.fromkeys(before))
        return await _with_variants(tx, scene, ids) if means_it(text) or not things(text) else []
    one = await _with_variants(tx, scene, [shown[at]] if at is not None else shown)
    if unsure and not asked:
        choices = _words_of_choices(one)
        if not all(points(word) or any(alike(word, own) for own in choices) for word in things(text)):
            # "The second parcel did not arrive" means no second product.
            return []
    if at is not None or not one:
        return one
    few = len(text.split()) <= _FEW
    pointed = _chooses(text, one) or bool(asked and not things(text)) or (few and not unsure)
    # "And if it does not fit?" points at it and asks something else.
    pointed = pointed or (means_it(text) and bool(asked or not unsure))
    return one if pointed and (len(one) == 1 or asked or _chooses(text, one)) else []


def _words_of_choices(shown: Sequence[tuple[Product, Sequence[Variant]]]) -> frozenset[str]:
    return frozenset(
        word for row, variants in shown for one in variants
        for title in _choices_of(row, one) for word in naming(title)
    )  # fmt: skip


async def _with_variants(tx: Tx, scene: Scene, ids: Sequence[str]) -> list[tuple[Product, list[Variant]]]:
    rows = [row for id in ids[:MOST_SHOWN] if (row := await by_id(tx, scene, UUID(id))) is not None]
    own = await _variants(tx, rows)
    return [(row, own.get(row.id, [])) for row in rows]


def _chooses(text: str, shown: Sequence[tuple[Product, Sequence[Variant]]]) -> bool:
    return any(_fitting(text, row, variants) for row, variants in shown if len(variants) > 1)


def _choices_of(row: Product, one: Variant) -> list[str]:
    """What a variant is called, in every language."""
    return [one.title, *(row.choice_in(code, one.title) for code in row.translations)]


def _fitting(text: str, row: Product, variants: Sequence[Variant]) -> list[int]:
    """The places of the variants that a text names, in the language in which it says most."""
    titles = zip(*(_choices_of(row, one) for one in variants), strict=True)
    return min((at for told in titles if (at := fitting(text, told))), key=len, default=[])


async def _variants(tx: Tx, rows: Sequence[Product]) -> dict[UUID, list[Variant]]:
    found = await tx.scalars(
        select(Variant)
        .where(Variant.workspace_id == tx.workspace_id, Variant.product_id.in_([row.id for row in rows]))
        .order_by(Variant.product_id, Variant.id)
    )
    made: dict[UUID, list[Variant]] = {}
    for one in found:
        made.setdefault(one.product_id, []).append(one)
    return made


# What is said of them


async def _about(
    tx: Tx,
    scene: Scene,
    topic: str,
    rows: Sequence[Product],
    text: str,
    asked: frozenset[Want],
    *,
    briefly: bool = False,
) -> Say:
    """Stock and price of these products, the variant that is named first of all. `briefly`: the price alone."""
    variants = await _variants(tx, rows)
    t = scene.t
    if len(rows) > 1 and (best := _extreme(t, rows, variants, asked)) is not None:
        words, row = best
        said, shown = words, [row]
    elif briefly:
        said, shown = "\n".join(_costs(t, row, variants.get(row.id, [])) for row in rows), list(rows)
    else:
        said, shown = "\n".join(_stock(t, row, variants.get(row.id, []), text, asked) for row in rows), list(rows)
    if Want.COMPARE in asked and len(rows) > 1:
        # The same sentence behind each says nothing about how they differ.
        told = [_sentence(row) for row in rows]
        told = [one if told.count(one) == 1 else "" for one in told]
        said = "\n".join(_described(t, row, variants.get(row.id, []), one) for row, one in zip(rows, told, strict=True))
        if (best := _extreme(t, rows, variants, frozenset({Want.CHEAPEST}))) is not None:
            said = f"{said}\n{best[0]}"
        shown = list(rows)
    gone = all(not one.available for row in rows for one in variants.get(row.id, []))
    # No store says when something is there again, so somebody who knows has to.
    later = gone and (topic == "back_in_stock" or Want.RESTOCK in asked)
    if later:
        said = " ".join((said, t.gettext(_("I do not know when it will be back in stock."))))
    return Say(
        Outcome.PERSON if later else Outcome.ANSWER, Reason.UNCOVERED if later else Reason.SURE, topic, said,
        cards=await cards.of_products(tx, shown, scene.language),
        choices=_choices(scene.t, rows) if len(shown) > 1 else (),
        products=[str(row.id) for row in shown], tool="catalogue",
        told=f"stock {blake2b(said.encode(), digest_size=6).hexdigest()}", sad=gone,
    )  # fmt: skip


def _choices(t: Translator, rows: Sequence[Product]) -> list[Choice]:
    return [Choice(short(row.title_in(t.locale)), f"product:{row.id}") for row in rows[:_OFFERED]]


def _name(t: Translator, row: Product) -> str:
    return isolate(row.title_in(t.locale))


def _variant_name(t: Translator, row: Product, one: Variant) -> str:
    return isolate(row.choice_in(t.locale, one.title))


def _extreme(
    t: Translator, rows: Sequence[Product], variants: dict[UUID, list[Variant]], asked: frozenset[Want]
) -> tuple[str, Product] | None:
    """The one that costs least, or most; None where nobody asks, or two cost the same."""
    if not asked & {Want.CHEAPEST, Want.DEAREST}:
        return None
    priced = []
    for row in rows:
        own = [one for one in variants.get(row.id, []) if one.price is not None]
        if own:
            priced.append((min(one.price or 0 for one in own), row, own))
    if not priced or len({own[0].currency for _least, _row, own in priced}) > 1:
        return None
    order = sorted(priced, key=lambda one: one[0], reverse=Want.CHEAPEST not in asked)
    if len(order) > 1 and order[0][0] == order[1][0]:
        return None
    _least, row, own = order[0]
    words = (
        _("%(product)s costs least: %(price)s.") if Want.CHEAPEST in asked else _("%(product)s costs most: %(price)s.")
    )
    return t.gettext(words, product=_name(t, row), price=price(t, own)), row


def _costs(t: Translator, row: Product, variants: Sequence[Variant]) -> str:
    return t.gettext(_("%(product)s costs %(price)s."), product=_name(t, row), price=price(t, variants))


def _described(t: Translator, row: Product, variants: Sequence[Variant], sentence: str) -> str:
    """A product beside another: price, choices, and how the shop describes it."""
    stock = _stock(t, row, variants, "", frozenset({Want.PRICE}))
    return f"• {stock} {isolate(sentence)}" if sentence else f"• {stock}"


def _sentence(row: Product) -> str:
    """How the shop describes a product, in its first sentence."""
    words = " ".join(row.description.split())
    said = re.split(r"(?<=[.!?؟])\s", words, maxsplit=1)[0]
    if search_key(said) == search_key(row.title):
        return ""
    return said if len(said) <= _LONGEST else f"{said[:_LONGEST].rstrip()}…"


_LONGEST = 160


_MOST_LISTED = 12


def _stock(t: Translator, row: Product, variants: Sequence[Variant], text: str, asked: frozenset[Want]) -> str:
    name = _name(t, row)
    meant = [variants[at] for at in _fitting(text, row, variants)] if len(variants) > 1 else []
    if meant and (len(meant) == 1 or not any(one.available for one in meant)):
        words = (
            _("%(product)s in %(variant)s is in stock: %(price)s.")
            if meant[0].available
            else _("%(product)s in %(variant)s is sold out at the moment.")
        )
        titles = t.listing([_variant_name(t, row, one) for one in meant[:_MOST_LISTED]])
        return t.gettext(words, product=name, variant=titles, price=price(t, meant))
    # "In L?" of "Red / L" and "Blue / L" is about both.
    variants = meant or variants
    there = [one for one in variants if one.available]
    if not variants:
        return t.gettext(_("%(product)s is on this page."), product=name)
    if not there:
        return t.gettext(_("%(product)s is sold out at the moment."), product=name)
    if len(variants) == 1:
        return t.gettext(_("%(product)s is in stock: %(price)s."), product=name, price=price(t, there))
    gone = [one for one in variants if not one.available]
    if Want.PRICE in asked and (Want.CHOICE in asked or len({one.price for one in there}) > 1):
        # Each size has its price: "from" would be half an answer to who asks for it.
        each = [f"{_variant_name(t, row, one)} {price(t, [one])}" for one in there[:_MOST_LISTED]]
        parts = [t.gettext(_("%(product)s is in stock: %(price)s."), product=name, price=t.listing(each))]
    else:
        parts = [
            t.gettext(
                _("%(product)s is in stock in %(variants)s: %(price)s."), product=name,
                variants=t.listing([_variant_name(t, row, one) for one in there[:_MOST_LISTED]]), price=price(t, there),
            )
        ]  # fmt: skip
    if gone:
        parts.append(
            t.gettext(
                _("Sold out: %(variants)s."),
                variants=t.listing([_variant_name(t, row, one) for one in gone[:_MOST_LISTED]]),
            )
        )
    return " ".join(parts)


def price(t: Translator, variants: Sequence[Variant]) -> str:
    """One price, or from the least on."""
    priced = [one for one in variants if one.price is not None and one.currency]
    if not priced:
        return t.gettext(_("the price is on its page"))
    least = min(priced, key=lambda one: one.price or 0)
    money = t.format_money(Money(least.price or 0, least.currency, least.exponent))
    same = len({one.price for one in priced}) == 1
    return money if same else t.gettext(_("from %(price)s"), price=money)


def short(title: str) -> str:
    """A title that fits a button."""
    return title if len(title) <= cards.LONGEST_ANSWER else f"{title[: cards.LONGEST_ANSWER - 1].rstrip()}…"
