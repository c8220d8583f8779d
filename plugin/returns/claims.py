"""What a shopper tells about an order in words: something is wrong with it, or they can get no code.

Both become a message in the shopper's own conversation, tagged, so that the team finds them where it answers.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from enum import StrEnum
from uuid import UUID

from plugin.conversations import conversations as threads
from plugin.conversations import messages, tags
from plugin.conversations.conversations import Conversation, Shopper
from plugin.crm.orders import OrderView
from plugin.crm.tracking import COURSE, Standing, Step
from plugin.kernel.db import Tx
from plugin.kernel.errors import AhlanError
from plugin.kernel.i18n import Catalogues, Translator
from plugin.kernel.lazy import _
from plugin.kernel.text import isolate
from plugin.stores import Store


class Claim(StrEnum):
    """What can be wrong with an order."""

    NOT_ARRIVED = "not_arrived"
    DAMAGED = "damaged"
    WRONG_ITEM = "wrong_item"
    MISSING_ITEM = "missing_item"
    OTHER = "other"


_NAMES = {
    Claim.NOT_ARRIVED: _("It has not arrived"),
    Claim.DAMAGED: _("Something arrived damaged"),
    Claim.WRONG_ITEM: _("A wrong item arrived"),
    Claim.MISSING_ITEM: _("An item is missing"),
    Claim.OTHER: _("Something else"),
}
_OF_GOODS = (Claim.DAMAGED, Claim.WRONG_ITEM, Claim.MISSING_ITEM)
PICTURED = (Claim.DAMAGED, Claim.WRONG_ITEM)
"""What is told with a photo."""


def offered(standing: Standing) -> list[Claim]:
    """What can be wrong with an order that is so far. Pure."""
    if standing.cancelled or COURSE.index(standing.reached) < COURSE.index(Step.SHIPPED):
        return [Claim.OTHER]
    return list(Claim)


async def report(
    tx: Tx, shopper: Shopper, client_id: UUID, store: Store, view: OrderView, kind: Claim, lines: Mapping[str, int],
    said: str, photos: Sequence[UUID], *, words: Translator, catalogues: Catalogues,
) -> None:  # fmt: skip
    """Say what is wrong with an order of theirs. The same `client_id` twice says it once.

    Raises AhlanError for lines that are not the order's, and where the items or a photo are missing.
    """
    known = {line.external_id: line for line in view.lines}
    for line_id, quantity in lines.items():
        if line_id not in known or not 1 <= quantity <= known[line_id].quantity:
            raise AhlanError(
                _("These items are not in this order."), _("Choose them from its list once more."), code="lines"
            )
    if kind in _OF_GOODS and not lines:
        raise AhlanError(_("Which item is it?"), _("Choose at least one."), code="nothing_chosen")
    if kind in PICTURED and not photos:
        raise AhlanError(_("A photo is needed for this."), _("Take one, then send it."), code="photo_needed")
    if kind is Claim.OTHER and not said.strip():
        raise AhlanError(_("What is it about?"), _("Write a few words."), code="words_needed")
    about = words.gettext(
        "Order %(order)s: %(what)s", order=isolate(view.order.name, "ltr"), what=words.gettext(_NAMES[kind])
    )
    goods = [f"{quantity} × {isolate(known[line_id].title)}" for line_id, quantity in sorted(lines.items())]
    text = "\n".join([about, *goods, *([said.strip()] if said.strip() else [])])
    await messages.receive(tx, shopper, client_id, text, photos)
    await _tag(tx, shopper, catalogues.translator(store.locale).gettext("Claim"))


async def call_back(
    tx: Tx, shopper: Shopper, client_id: UUID, store: Store, *, number: str, phone: str, text: str, words: Translator,
    catalogues: Catalogues,
) -> None:  # fmt: skip
    """A request by somebody whom nothing vouches for: a person calls them before anything is shown or done.

    Raises AhlanError without a phone number or without words.
    """
    if not phone:
        raise AhlanError(_("This is no phone number."), _("Write it with its country code."), code="phone")
    if not text.strip():
        raise AhlanError(_("What is it about?"), _("Write a few words."), code="words_needed")
    asked = words.gettext(
        "Order %(order)s, not verified. Please call %(phone)s.",
        order=isolate(number.strip()[:60]),
        phone=isolate(phone, "ltr"),
    )
    await messages.receive(tx, shopper, client_id, f"{asked}\n{text.strip()}")
    await _tag(tx, shopper, catalogues.translator(store.locale).gettext("Not verified"))


async def _tag(tx: Tx, shopper: Shopper, name: str) -> None:
    head = await threads.current(tx, shopper)
    talk = await tx.get(Conversation, head.id) if head is not None else None
    if talk is not None:
        # A conversation that is full of tags is found by them already.
        with suppress(AhlanError):
            await tags.put(tx, talk, name, by=None)
