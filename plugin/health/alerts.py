"""Alerts: a look at a store's health opens and closes incidents, and mails owners and admins about them.

One mail when something breaks, one reminder after a day, one when it is well again; never more than MAILS_A_DAY for a
workspace. What is due is written down before it is sent, each once, and who has it already beside it, so that a killed
worker goes on where it stopped; the one mail that it had in hand comes again with the same Message-ID.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from uuid import UUID

import structlog

from plugin import stores, team, workspaces
from plugin.app import App
from plugin.channel import Outbound
from plugin.conversations import mailboxes
from plugin.conversations.conversations import EMAIL
from plugin.health import incidents, state
from plugin.health.incidents import Incident, Mailing
from plugin.health.rules import Notice, Problem
from plugin.health.words import say
from plugin.kernel.db import Tx
from plugin.kernel.i18n import Translator
from plugin.kernel.jobs import TaskError
from plugin.kernel.text import isolate
from plugin.stores import Store
from plugin.team import Agent, Permission

log = structlog.get_logger(__name__)


async def watch_store(app: App, workspace_id: UUID, *, store_id: str) -> None:
    """Task, after each check and comparison of a store and when something breaks: keep its incidents and their mail."""
    async with app.db.transaction(workspace_id) as tx:
        await look(tx, UUID(store_id), datetime.now(UTC), mail=mailboxes.mails(app))


async def look(tx: Tx, store_id: UUID, now: datetime, *, mail: bool) -> None:
    """Compare the store's health at `now` with its incidents, and have due mails sent after commit."""
    store = await tx.get(Store, store_id, lock=True)
    if store is None:
        return
    health = await state.read(tx, store, now)
    if await incidents.keep(tx, store, health.problems, now):
        tx.publish("stores", {"store_id": str(store_id)})
    # Nobody waits for a store that was taken away to be well again.
    if not mail or store.status == stores.UNINSTALLED:
        return
    for mailing in await incidents.mails_due(tx, store_id, now):
        await tx.enqueue("mail_alert", unique=f"alert:{mailing.id}", mailing_id=mailing.id)


@dataclass(frozen=True, slots=True)
class _Letter:
    agent_id: str
    outbound: Outbound


async def mail_alert(app: App, workspace_id: UUID, *, mailing_id: str) -> None:
    """Task: send one alert to everybody whom it concerns and who does not have it yet, each in their own language."""
    id = UUID(mailing_id)
    channel = app.channels.get(EMAIL) if mailboxes.mails(app) else None
    async with app.db.transaction(workspace_id) as tx:
        letters = await _letters(app, tx, id) if channel is not None else []
    for letter in letters:
        assert channel is not None
        try:
            await channel.send(letter.outbound)
        except TaskError as error:
            if error.retry:
                raise
            # One address that does not exist must not keep the others from knowing.
            log.warning("alert_refused", agent=letter.agent_id, error=str(error))
        async with app.db.transaction(workspace_id) as tx:
            mailing = await tx.get(Mailing, id, lock=True)
            if mailing is not None:
                mailing.sent_to = [*mailing.sent_to, letter.agent_id]
                mailing.sent_at = mailing.sent_at or datetime.now(UTC)


async def recipients(tx: Tx) -> list[Agent]:
    """Who looks after stores, has an address, and has not switched alerts off."""
    return [
        agent for agent in await team.agents(tx) if agent.may(Permission.MANAGE_STORES) and agent.email and agent.alerts
    ]


async def _letters(app: App, tx: Tx, mailing_id: UUID) -> list[_Letter]:
    mailing = await tx.get(Mailing, mailing_id, lock=True)
    incident = await tx.get(Incident, mailing.incident_id) if mailing is not None else None
    store = await stores.get(tx, incident.store_id) if incident is not None else None
    workspace = await workspaces.current(tx)
    if mailing is None or incident is None or store is None or workspace is None:
        return []
    kind = Notice(mailing.kind)
    if kind != Notice.RECOVERED and incident.recovered_at is not None and not mailing.sent_to:
        # Over before anybody was told: then nobody need be told, of its end neither.
        await incidents.drop(tx, mailing)
        return []
    link = f"{app.settings.public_url}/panel/stores/{store.id}"
    letters = []
    for agent in await recipients(tx):
        if str(agent.id) in mailing.sent_to:
            continue
        t = app.catalogues.translator(agent.locale or workspace.locale, timezone=agent.timezone or workspace.timezone)
        subject, lines = letter(t, kind, store.name, incidents.remembered(incident), incident)
        outbound = Outbound(
            key=f"{mailing.id}.{agent.id}",
            workspace_id=tx.workspace_id,
            recipient=agent.email or "",
            subject=subject,
            text=_plain(t, lines, link),
            html=_html(t, lines, link),
            sender_name="Ahlan",
        )
        letters.append(_Letter(str(agent.id), outbound))
    return letters


def letter(
    t: Translator, kind: Notice, store_name: str, problem: Problem, incident: Incident
) -> tuple[str, tuple[str, ...]]:
    """Subject and paragraphs of an alert in the reader's language; the first paragraph is its heading. Pure."""
    said, store = say(t, problem), isolate(store_name)
    since = t.format_datetime(problem.since or incident.opened_at, "short")
    if kind == Notice.RECOVERED:
        until = t.format_datetime(incident.recovered_at or incident.last_seen_at, "short")
        heading = t.gettext("%(store)s is well again", store=store)
        return heading, (
            heading,
            t.gettext("This is over: %(what)s", what=said.what),
            t.gettext("It lasted from %(since)s to %(until)s.", since=isolate(since), until=isolate(until)),
            t.gettext("There is nothing to do. What was missed meanwhile has been read."),
        )
    subject = t.gettext("%(store)s: %(what)s", store=store, what=said.what.rstrip("."))
    first = said.what if kind == Notice.OPENED else t.gettext("Still so: %(what)s", what=said.what)
    return subject, (store, first, t.gettext("Since %(since)s.", since=isolate(since)), said.how)


def _closing(t: Translator) -> str:
    return t.gettext("You get this because you look after the stores here. It can be switched off in the settings.")


def _plain(t: Translator, lines: tuple[str, ...], link: str) -> str:
    button = t.gettext("How the store stands: %(address)s", address=link)
    return "\n\n".join([*lines, button, "-- ", _closing(t)]) + "\n"


def _html(t: Translator, lines: tuple[str, ...], link: str) -> str:
    heading, *rest = (escape(line) for line in lines)
    told = "".join(f'<p style="margin:0 0 12px">{line}</p>' for line in rest)
    # Mail programs drop the attributes of html and body: the direction stands on the text itself as well.
    side = f'lang="{t.locale}" dir="{t.direction}"'
    start = "right" if t.direction == "rtl" else "left"
    return (
        f'<!doctype html><html {side}><head><meta charset="utf-8"></head>'
        f'<body style="margin:0;padding:24px;background:#f6f7f7"><div {side} style="max-width:560px;margin:0 auto;'
        "padding:24px;border:1px solid #dde2e2;border-radius:12px;background:#ffffff;color:#1c2424;"
        "font:16px/1.65 system-ui,'Segoe UI',Roboto,'Noto Sans','Noto Sans Arabic','Noto Sans Hebrew',sans-serif;"
        f'text-align:{start}">'
        f'<h1 style="margin:0 0 12px;font-size:20px;line-height:1.4">{heading}</h1>{told}'
        f'<p style="margin:24px 0"><a href="{escape(link)}" style="display:inline-block;padding:10px 18px;'
        'border-radius:6px;background:#0b6b66;color:#ffffff;text-decoration:none">'
        f"{escape(t.gettext('Look at the store'))}</a></p>"
        f'<p style="margin:0;color:#5c6868;font-size:14px">{escape(_closing(t))}</p></div></body></html>'
    )
