"""Settings: one's own, the workspace's, and what the widget says on each storefront."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from admin_ui import words
from admin_ui.auth import change_password
from admin_ui.desk import Desk, nothing_here
from admin_ui.zones import time_zones
from plugin import privacy, stores, workspaces
from plugin.conversations import mailboxes, visits, waiting
from plugin.kernel.db import Tx
from plugin.kernel.lazy import Lazy, _
from plugin.team import Agent, Permission, audit

ANSWER_TIMES: dict[str, Lazy] = {
    waiting.MEASURED: _("As the latest answers show"),
    "minutes": _("Usually within minutes"),
    "hours": _("Usually within a few hours"),
    "day": _("Usually within a day"),
    waiting.SILENT: _("Say nothing"),
}


async def index(desk: Desk) -> Response:
    """Everything that can be set."""
    async with desk.transaction() as tx:
        context = await _context(tx, desk)
    return desk.page("settings.html", **context)


async def _context(tx: Tx, desk: Desk, **more: Any) -> dict[str, Any]:
    t = desk.t
    me = await tx.get(Agent, desk.agent.id)
    shops = [store for store in await stores.all_stores(tx) if store.status != stores.UNINSTALLED]
    measured = [await waiting.usual(tx, shop.id) for shop in shops]
    return {
        "me": me,
        "shops": [
            (shop, t.duration(usual.seconds) if usual.seconds is not None else "", t.gettext(_look(shop.platform)))
            for shop, usual in zip(shops, measured, strict=True)
        ],
        "languages": [("", _usual_language(desk)), *_languages(desk)],
        "workspace_languages": _languages(desk),
        "timezones": time_zones(),
        "duties": len(await privacy.open_requests(tx)) if desk.may(Permission.MANAGE_PRIVACY) else 0,
        "answer_times": [(key, t.gettext(text)) for key, text in ANSWER_TIMES.items()],
        "mail": mailboxes.mails(desk.app),
        "heading": t.gettext("Settings"),
        "saved": desk.request.query_params.get("saved", ""),
        "errors": {},
        "chat": await workspaces.chat_rules(tx),
        "visit_rules": visits.rules,
        "visit_days": visits.DAYS,
        **more,
    }


def _look(platform: str) -> Lazy:
    return words.LOOKS.get(platform, Lazy(""))


def _usual_language(desk: Desk) -> str:
    """What the panel speaks to whom chose no language: what stands around it does too."""
    return desk.t.gettext("As in the store's admin") if desk.embedded else desk.t.gettext("As in the workspace")


def _languages(desk: Desk) -> list[tuple[str, str]]:
    return [(language.code, language.name) for language in desk.app.catalogues.languages]


async def save_me(desk: Desk) -> Response:
    """One's name, language and time zone. The language changes the whole page, so it is loaded anew."""
    form = await desk.request.form()
    locale, zone = str(form.get("locale", "")), str(form.get("timezone", ""))
    async with desk.transaction() as tx:
        me = await tx.get(Agent, desk.agent.id, lock=True)
        assert me is not None
        me.name = str(form.get("name", "")).strip()[:80] or me.name
        me.locale = locale if locale in ("", *desk.app.catalogues.codes) else me.locale
        me.timezone = zone if zone == "" or zone in time_zones() else me.timezone
    return _reload(desk, "me")


async def save_alerts(desk: Desk) -> Response:
    """Whether a store's problems are mailed to the one who asks."""
    form = await desk.request.form()
    async with desk.transaction() as tx:
        me = await tx.get(Agent, desk.agent.id, lock=True)
        assert me is not None
        me.alerts = "alerts" in form
    return desk.go("settings", saved="alerts")


async def save_password(desk: Desk) -> Response:
    """A new password; every other session ends."""
    form = await desk.request.form()
    errors = await change_password(desk, str(form.get("current", "")), str(form.get("new", "")))
    if errors:
        async with desk.transaction() as tx:
            context = await _context(tx, desk, errors=errors)
        block = "page" if "hx-request" in desk.request.headers else ""
        return desk.page("settings.html", status=422, block=block, **context)
    return desk.go("settings", saved="password")


async def save_workspace(desk: Desk) -> Response:
    """Name, default language, default time zone."""
    form = await desk.request.form()
    locale, zone = str(form.get("locale", "")), str(form.get("timezone", ""))
    async with desk.transaction() as tx:
        workspace = await workspaces.current(tx)
        assert workspace is not None
        before = {"name": workspace.name, "locale": workspace.locale, "timezone": workspace.timezone}
        workspace.name = str(form.get("name", "")).strip()[:80] or workspace.name
        workspace.locale = locale if locale in desk.app.catalogues.codes else workspace.locale
        workspace.timezone = zone if zone in time_zones() else workspace.timezone
        after = {"name": workspace.name, "locale": workspace.locale, "timezone": workspace.timezone}
        if changes := audit.changed(before, after):
            audit.note(tx, "settings.workspace", by=desk.agent.id, changes=changes)
    return _reload(desk, "workspace")


async def save_widget(desk: Desk) -> Response:
    """How the widget greets on one storefront, and what it promises."""
    form = await desk.request.form()
    answer_time = str(form.get("answer_time", ""))
    async with desk.transaction() as tx:
        store = await tx.get(stores.Store, desk.path_id(), lock=True)
        if store is None:
            raise nothing_here()
        before = {name: store.widget.get(name) for name in ("greeting", "answer_time")}
        store.widget = {
            **store.widget,
            "greeting": str(form.get("greeting", "")).strip()[:200],
            "answer_time": answer_time if answer_time in ANSWER_TIMES else waiting.MEASURED,
        }
        after = {name: store.widget.get(name) for name in before}
        if changes := audit.changed(before, after):
            # The name stands for itself: a store is no agent.
            audit.note(tx, "settings.widget", by=desk.agent.id, changes={"store": [None, store.name], **changes})
        await tx.record("store.widget_changed", subject_id=store.id, store_id=store.id, actor=desk.actor)
        tx.publish("stores", {"store_id": str(store.id)})
    return desk.go("settings", saved=f"widget-{store.id}")


def _reload(desk: Desk, saved: str) -> Response:
    """Load the whole document: its language, direction and navigation may have changed."""
    if "hx-request" not in desk.request.headers:
        return desk.go("settings", saved=saved)
    address = desk.url("settings", saved=saved)
    return Response(status_code=204, headers={**desk.headers(), "hx-trigger": f'{{"ahlan:renew":"{address}"}}'})
