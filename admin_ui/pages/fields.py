"""The team's own fields: beside a conversation, and in the settings."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from admin_ui.desk import Desk, nothing_here
from admin_ui.pages import conversation
from plugin.conversations import fields
from plugin.conversations.fields import Kind
from plugin.kernel.errors import AhlanError
from plugin.kernel.lazy import Lazy, _

KINDS: dict[Kind, Lazy] = {
    Kind.TEXT: _("A text"),
    Kind.NUMBER: _("A number"),
    Kind.CHOICE: _("One of several"),
    Kind.DATE: _("A day"),
}


async def beside(desk: Desk) -> Response:
    """The fields of one conversation, with what it has in them."""
    return await _shown(desk)


async def fill(desk: Desk) -> Response:
    """Put a value into a field, or take it out."""
    form = await desk.request.form()
    async with desk.transaction() as tx:
        talk = await conversation.find(tx, desk.path_id())
        field = await fields.find(tx, desk.path_id("field"))
        await fields.fill(tx, talk, field, str(form.get("value", "")), by=desk.agent)
    return await _shown(desk)


async def _shown(desk: Desk) -> Response:
    async with desk.transaction() as tx:
        talk = await conversation.find(tx, desk.path_id())
        every = await fields.all_fields(tx)
        values = await fields.values(tx, talk.id) if every else {}
    return desk.page("fields_pane.html", block="fields", every=every, values=values, conversation_id=talk.id)


async def index(desk: Desk) -> Response:
    """The team's fields."""
    return await _index(desk)


async def _index(desk: Desk, *, status: int = 200, **more: Any) -> Response:
    async with desk.transaction() as tx:
        every, away = await fields.all_fields(tx), await fields.all_fields(tx, archived=True)
    context = {
        "heading": desk.t.gettext("Fields of conversations"),
        "every": every,
        "away": away,
        "kinds": [(kind.value, desk.t.gettext(name)) for kind, name in KINDS.items()],
        "kind_names": KINDS,
        "errors": {},
        "typed": {},
        "saved": desk.request.query_params.get("saved", ""),
    }
    block = "page" if status != 200 and "hx-request" in desk.request.headers else ""
    return desk.page("team_fields.html", status=status, block=block, **{**context, **more})


async def make(desk: Desk) -> Response:
    """A new field; what cannot be one comes back with what is wrong about it."""
    form = await desk.request.form()
    kind, name, options = str(form.get("kind", "")), str(form.get("name", "")), str(form.get("options", ""))
    if kind not in set(Kind):
        raise nothing_here()
    try:
        async with desk.transaction() as tx:
            await fields.make(tx, name, Kind(kind), options.splitlines())
    except AhlanError as error:
        said = {"form": desk.t.gettext(error.message), "hint": desk.t.gettext(error.hint) if error.hint else ""}
        typed = {"name": name, "kind": kind, "options": options}
        return await _index(desk, status=422, errors=said, typed=typed)
    return desk.go("settings/fields", saved="field")


async def change(desk: Desk) -> Response:
    """Another name or other choices."""
    form = await desk.request.form()
    async with desk.transaction() as tx:
        field = await fields.find(tx, desk.path_id())
        await fields.change(tx, field, str(form.get("name", "")), str(form.get("options", "")).splitlines())
    return desk.go("settings/fields", saved=f"field-{field.id}")


async def move(desk: Desk) -> Response:
    """One place up or down."""
    form = await desk.request.form()
    async with desk.transaction() as tx:
        await fields.move(tx, await fields.find(tx, desk.path_id()), -1 if form.get("step") == "up" else 1)
    return desk.go("settings/fields")


async def archive(desk: Desk) -> Response:
    """Put a field away, or take it out again (`back`)."""
    form = await desk.request.form()
    async with desk.transaction() as tx:
        await fields.archive(tx, await fields.find(tx, desk.path_id()), back=form.get("back") == "yes")
    return desk.go("settings/fields")
