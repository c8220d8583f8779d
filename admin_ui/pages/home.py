"""Home: what is left to set up, and how the day stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from starlette.responses import Response

from admin_ui.desk import Desk
from admin_ui.pages import stores as store_pages
from admin_ui.pages.stores import StoreCard
from plugin import team
from plugin.conversations import views
from plugin.conversations.conversations import OPEN, Conversation
from plugin.conversations.views import DEFAULT, Reader
from plugin.crm.customers import Customer
from plugin.crm.orders import Order
from plugin.kernel.db import Tx
from plugin.kernel.i18n import Translator


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the first run: where in the panel it is done, or, by `link`, where in the store's own admin."""

    key: str
    title: str
    text: str
    done: bool
    path: str
    action: str
    link: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """A number of the day that leads somewhere."""

    label: str
    value: str
    path: str
    meaning: str = ""


async def index(desk: Desk) -> Response:
    """The checklist while it has open steps, the numbers, the stores."""
    async with desk.transaction() as tx:
        shops = await store_pages.cards(tx, desk)
        steps = await _steps(tx, desk, shops)
        figures = await _figures(tx, desk)
        unowned = desk.embedded and await team.staff.may_confirm(tx, desk.agent)
    left = [step for step in steps if not step.done]
    return desk.page(
        "home.html",
        steps=steps,
        left=len(left),
        done=len(steps) - len(left),
        next_key=left[0].key if left else "",
        figures=figures,
        stores=shops,
        unowned=unowned,
        heading=desk.t.gettext("Home"),
    )


async def _steps(tx: Tx, desk: Desk, shops: list[StoreCard]) -> list[Step]:
    t = desk.t
    connected = [shop for shop in shops if shop.connected]
    reading = [shop for shop in connected if shop.reading]
    # Inside a store's admin it is about that store's theme.
    themes = [shop for shop in connected if desk.store_id in {None, shop.id}]
    shown = [shop for shop in themes if shop.embed == "on"]
    talks = await tx.scalar(select(Conversation.id).where(Conversation.workspace_id == tx.workspace_id).limit(1))
    people = [agent for agent in await team.agents(tx) if agent.deactivated_at is None]
    invited = len(people) > 1 or bool(await team.open_invitations(tx))
    history = t.gettext("Customers, orders and products of the past, so that nobody starts from zero.")
    if reading:
        history = t.gettext("Being read now; you can go on meanwhile.")
    embed = t.gettext("Switch it on in your theme; this step ticks itself at the first visit.")
    seen = [shop.embed_seen_at for shop in shown if shop.embed_seen_at]
    if seen:
        embed = t.gettext("Seen on the storefront %(when)s.", when=t.relative(max(seen)))
    elif shown:
        embed = t.gettext("Switched on in your theme. Open the shop and the chat once to see it.")
    elif any(shop.embed == "off" for shop in themes):
        embed = t.gettext("It is switched off in your theme. The theme editor opens at the right place.")
    link = next((shop.embed_link for shop in themes if shop.embed_link), "")
    read = any(shop.progress and not shop.reading for shop in connected)
    return [
        Step(
            "connect",
            t.gettext("Connect a store"),
            t.gettext("Shopify or WooCommerce, with two clicks and no keys to copy."),
            bool(connected),
            "stores",
            t.gettext("Connect"),
        ),
        Step("history", t.gettext("Read its history"), history, read, "stores", t.gettext("See how far it is")),
        Step(
            "embed",
            t.gettext("Show the chat on the storefront"),
            embed,
            bool(shown),
            f"stores/{themes[0].id}" if themes else "stores",
            t.gettext("Switch it on") if link else t.gettext("How to switch it on"),
            link,
        ),
        Step(
            "talk",
            t.gettext("Answer the first message"),
            t.gettext("Write to yourself from the storefront and answer here."),
            talks is not None,
            "inbox",
            t.gettext("Open the inbox"),
        ),
        Step(
            "team",
            t.gettext("Invite the team"),
            t.gettext("Everybody sees the same inbox. Alone is fine too."),
            invited,
            "team",
            t.gettext("Invite"),
        ),
    ]


async def _figures(tx: Tx, desk: Desk) -> list[Figure]:
    t = desk.t
    counts = await views.counts(tx, [DEFAULT], Reader(desk.agent.id, t.timezone))
    waiting = await tx.scalar(
        select(func.count()).select_from(Conversation).where(
            Conversation.workspace_id == tx.workspace_id, Conversation.status == OPEN,
            Conversation.waiting_since.is_not(None),
        )
    )  # fmt: skip

    async def some(model: Any, *conditions: Any) -> str:
        """Counted up to 10 000: a number for orientation is not worth a scan of everything."""
        rows = select(model.id).where(model.workspace_id == tx.workspace_id, *conditions).limit(10_001).subquery()
        count = int(await tx.scalar(select(func.count()).select_from(rows)))
        return _many(t, count)

    return [
        Figure(
            t.gettext("Waiting for an answer"), t.format_number(waiting or 0), "inbox", "warn" if waiting else "good"
        ),
        Figure(t.gettext("Open conversations"), t.format_number(counts[DEFAULT.key]), "inbox"),
        Figure(t.gettext("Customers"), await some(Customer, Customer.merged_into.is_(None)), "customers"),
        Figure(t.gettext("Orders"), await some(Order, Order.deleted_at.is_(None)), "customers"),
    ]


def _many(t: Translator, count: int) -> str:
    return t.format_number(10_000) + "+" if count > 10_000 else t.format_number(count)
