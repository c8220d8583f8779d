"""The macros that a new workspace begins with, in every language that has a catalogue."""

from uuid import UUID

from plugin import workspaces
from plugin.app import App
from plugin.conversations import macros
from plugin.conversations.macros import Draft
from plugin.kernel.db import Tx
from plugin.kernel.i18n import Catalogues
from plugin.kernel.lazy import Lazy, _

_STARTERS: tuple[tuple[Lazy, Lazy, tuple[str, ...]], ...] = (
    (
        _("Looking into it"),
        _(
            "Hello {{ customer.first_name | there }}, thank you for writing. I am looking into it and come back to you "
            "shortly."
        ),
        ("assign:me",),
    ),
    (
        _("Which order is it?"),
        _(
            "Hello {{ customer.first_name | there }}, could you tell me the number of your order? It begins with # and "
            "is in the confirmation e-mail."
        ),
        ("status:pending",),
    ),
    (
        _("Where the order is"),
        _(
            "Hello {{ customer.first_name | there }}, your order {{ order.number }} is on its way. You can follow it "
            "here: {{ tracking.link }}"
        ),
        (),
    ),
    (
        _("The order has not left yet"),
        _(
            "Hello {{ customer.first_name | there }}, your order {{ order.number }} of {{ order.date }} is being "
            "prepared. You get the tracking number as soon as it leaves."
        ),
        (),
    ),
    (
        _("Ask for a photo"),
        _(
            "I am sorry about that, {{ customer.first_name | and thank you for telling us }}. Could you send a photo "
            "here? Then we put it right straight away."
        ),
        ("status:pending",),
    ),
    (
        _("The refund is on its way"),
        _(
            "The refund for order {{ order.number }} is on its way. Depending on the bank it arrives within 5 to 10 "
            "working days."
        ),
        ("tag:refund",),
    ),
    (
        _("Goodbye"),
        _(
            "Thank you, {{ customer.first_name | it was a pleasure }}. If anything else comes up, write here at any "
            "time. {{ agent.first_name }}, {{ store.name }}"
        ),
        ("status:resolved",),
    ),
)


def starters(catalogues: Catalogues, locale: str) -> list[Draft]:
    """The set: names in the language of the workspace, texts in every language. Pure."""
    named = catalogues.translator(locale)
    return [
        Draft(
            named.gettext(name),
            {code: catalogues.translator(code).gettext(text) for code in catalogues.codes},
            actions,
            shared=True,
        )
        for name, text, actions in _STARTERS
    ]


async def plant(tx: Tx, catalogues: Catalogues) -> int:
    """Write the set where there has never been a macro. Returns how many were written."""
    workspace = await workspaces.current(tx)
    return await macros.plant(tx, starters(catalogues, workspace.locale if workspace else ""))


async def plant_macros(app: App, workspace_id: UUID) -> None:
    """A new workspace begins with the starter set."""
    async with app.db.transaction(workspace_id) as tx:
        await plant(tx, app.catalogues)
        await tx.complete_job()
