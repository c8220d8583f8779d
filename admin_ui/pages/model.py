"""The settings of a language model: where it is, what it may be used for, how much, and what it was used for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.responses import Response

from admin_ui.desk import Desk
from plugin.kernel.db import Tx
from plugin.kernel.lazy import Lazy, _
from plugin.kernel.money import Money, exponent_of
from plugin.model import calls, settings
from plugin.model.port import ModelError
from plugin.model.settings import MILLION, ModelSettings, Unfit, Use
from plugin.team import audit

USES: Mapping[Use, tuple[Lazy, Lazy]] = {
    Use.BOT: (
        _("Answers of the bot"),
        _("Only in chat, where the bot is not sure by itself, and only with what your articles say."),
    ),
    Use.DRAFT: (_("Drafts for agents"), _("Beside the reply box. An agent reads, changes and sends them.")),
    Use.SUMMARY: (_("Summaries"), _("Of long conversations, and for whoever takes one over.")),
    Use.TRANSLATION: (
        _("Translation"),
        _("Of what customers write, and of answers into their language. The original stays beside it."),
    ),
}
_PURPOSES: Mapping[str, Lazy] = {**{use: name for use, (name, _hint) in USES.items()}, calls.TEST: _("Tests")}
_DAYS = 30
_FEW = (calls.DONE, calls.THROWN, calls.BUDGET)


async def index(desk: Desk) -> Response:
    """Everything about it."""
    async with desk.transaction() as tx:
        context = await _context(tx, desk)
    return desk.page("model.html", **context)


async def save(desk: Desk) -> Response:
    """Keep what the form says. A kept key stays with the address that it was typed for."""
    form = await _form(desk)
    try:
        wished = settings.checked(form, _uses(form), desk.app.http.guard)
        async with desk.transaction() as tx:
            was = settings.told(await settings.of_workspace(tx))
            row = await settings.save(tx, desk.app.vault, wished)
            changes = audit.changed(was, settings.told(row))
            if wished.key:
                changes["model_key"] = [was.get("model_key", False), True]
            if changes:
                audit.note(tx, "settings.model", by=desk.agent.id, changes=changes)
    except Unfit as unfit:
        return await _again(desk, form, unfit)
    return desk.go("settings/model", saved="model")


async def forget(desk: Desk) -> Response:
    """Take the key away; the model is off then."""
    async with desk.transaction() as tx:
        was = settings.told(await settings.of_workspace(tx))
        await settings.forget_key(tx)
        changes = audit.changed(was, settings.told(await settings.of_workspace(tx)))
        if changes:
            audit.note(tx, "settings.model", by=desk.agent.id, changes=changes)
    return desk.go("settings/model", saved="model")


async def attempt(desk: Desk) -> Response:
    """Ask what the form names, kept or not, and say what came of it."""
    form = await _form(desk)
    t = desk.t
    try:
        wished = settings.checked({**form, "enabled": "1"}, _uses(form), desk.app.http.guard)
        async with desk.transaction() as tx:
            endpoint = await settings.tried_with(tx, desk.app.vault, wished)
    except Unfit as unfit:
        words = " ".join(t.gettext(one) for one in unfit.fields.values())
        return desk.page("model.html", block="tested", trouble=words, said="", tested=None)
    try:
        reply = await calls.test(desk.app, desk.workspace_id, endpoint, wished.seconds)
    except ModelError as error:
        words = t.gettext(calls.WHY[error.trouble])
        return desk.page("model.html", block="tested", trouble=words, said=error.said, tested=None)
    return desk.page("model.html", block="tested", trouble="", said="", tested=reply)


async def _form(desk: Desk) -> dict[str, str]:
    return {name: str(value) for name, value in (await desk.request.form()).items()}


def _uses(form: Mapping[str, str]) -> list[str]:
    return [use for use in Use if form.get(f"use:{use}")]


async def _again(desk: Desk, form: Mapping[str, str], unfit: Unfit) -> Response:
    errors = {name: desk.t.gettext(words) for name, words in unfit.fields.items()}
    async with desk.transaction() as tx:
        context = await _context(tx, desk, form, errors)
    block = "page" if "hx-request" in desk.request.headers else ""
    return desk.page("model.html", status=422, block=block, **context)


@dataclass(frozen=True, slots=True)
class Line:
    """What a model was used for, in a table: answered, thrown away, over budget, failed."""

    name: str
    answered: int
    thrown: int
    budget: int
    failed: int


async def _context(
    tx: Tx, desk: Desk, form: Mapping[str, str] | None = None, errors: Mapping[str, str] | None = None
) -> dict[str, Any]:
    t, now = desk.t, datetime.now(UTC)
    row = await settings.of_workspace(tx)
    currency = row.currency if row is not None else ""
    today = await calls.used(tx, calls.day_of(now), currency)
    month = await calls.used(tx, calls.month_of(now), currency)
    ended = await calls.ended(tx, now - timedelta(days=_DAYS))
    lines = [
        Line(
            t.gettext(_PURPOSES[purpose]), how.get(calls.DONE, 0), how.get(calls.THROWN, 0), how.get(calls.BUDGET, 0),
            sum(count for outcome, count in how.items() if outcome not in _FEW),
        )
        for purpose, how in ended.items()
        if purpose in _PURPOSES
    ]  # fmt: skip
    paused = row is not None and row.paused_until is not None and row.paused_until > now
    return {
        "heading": t.gettext(_("Language model")),
        "row": row,
        "form": form if form is not None else as_form(row),
        "errors": errors or {},
        "uses": [(use, t.gettext(name), t.gettext(hint)) for use, (name, hint) in USES.items()],
        "keyed": row is not None and row.key is not None,
        "paused": paused,
        "why": t.gettext(calls.WHY[row.trouble]) if row is not None and paused and row.trouble in calls.WHY else "",
        "used": [
            (t.gettext(_("Today")), _tokens(desk, today.tokens, row.tokens_day if row else 0),
             _money(desk, today.cost, row.money_day if row else 0, currency)),
            (t.gettext(_("This month")), _tokens(desk, month.tokens, row.tokens_month if row else 0),
             _money(desk, month.cost, row.money_month if row else 0, currency)),
        ],
        "lines": lines,
        "saved": desk.request.query_params.get("saved", ""),
    }  # fmt: skip


def as_form(row: ModelSettings | None) -> dict[str, str]:
    """What the fields show of what is kept; the key never."""
    if row is None:
        return {"seconds": "8", "tokens_day": "200000", "tokens_month": "3000000"}
    return {
        "enabled": "1" if row.enabled else "", "endpoint": row.endpoint, "model": row.model,
        "seconds": str(row.seconds), "currency": row.currency,
        **{name: str(getattr(row, name) or "") for name in ("tokens_day", "tokens_month")},
        **{name: _units(getattr(row, name)) for name in ("price_in", "price_out", "money_day", "money_month")},
        **{f"use:{use}": "1" for use in row.uses},
    }  # fmt: skip


def _units(millionths: int) -> str:
    if not millionths:
        return ""
    whole, rest = divmod(millionths, MILLION)
    return f"{whole}.{rest:06}".rstrip("0").rstrip(".")


def _tokens(desk: Desk, used: int, limit: int) -> str:
    t = desk.t
    if not limit:
        return t.format_number(used)
    return t.gettext(_("%(used)s of %(limit)s"), used=t.format_number(used), limit=t.format_number(limit))


def _money(desk: Desk, used: int, limit: int, currency: str) -> str:
    """Rounded up: less than what it costs is never shown."""
    if not currency:
        return ""
    t, exponent = desk.t, exponent_of(currency)
    step = 10 ** (6 - exponent)
    said = t.format_money(Money(-(-used // step), currency, exponent))
    if not limit:
        return said
    return t.gettext(
        _("%(used)s of %(limit)s"), used=said, limit=t.format_money(Money(-(-limit // step), currency, exponent))
    )
