"""Below an article: its files, and the products and policies that it leads to."""

from __future__ import annotations

from starlette.datastructures import UploadFile
from starlette.responses import Response

from admin_ui.desk import Desk, as_id
from admin_ui.pages import help
from plugin.conversations import attachments
from plugin.kernel.errors import AhlanError
from plugin.knowledge import articles, extras

MAX_BYTES = attachments.MAX_BYTES


async def add_file(desk: Desk) -> Response:
    """Put a file below an article: checked, and pictures drawn anew, as everything that people send."""
    async with desk.transaction() as tx:
        await articles.find(tx, desk.path_id())
    form = await desk.request.form(max_files=1, max_part_size=MAX_BYTES + 1024)
    file, language = form.get("file"), str(form.get("language", ""))
    if isinstance(file, UploadFile) and file.filename:
        checked = await attachments.inspect(file.filename, await file.read(MAX_BYTES + 1))
        async with desk.transaction() as tx:
            found = await articles.find(tx, desk.path_id())
            await extras.attach(tx, found.article, checked.name, checked.media_type, checked.content, by=desk.agent)
    return desk.go(f"help/{desk.path_id()}", language=language, saved="extras")


async def remove_file(desk: Desk) -> Response:
    """Take one away."""
    form = await desk.request.form()
    async with desk.transaction() as tx:
        found = await articles.find(tx, desk.path_id())
        await extras.detach(tx, found.article, as_id(str(form.get("file", ""))), by=desk.agent)
    return desk.go(f"help/{desk.path_id()}", language=str(form.get("language", "")), saved="extras")


async def lead(desk: Desk) -> Response:
    """Which products and policies an article leads to."""
    form = await desk.request.form()
    chosen = {name: [as_id(str(one)) for one in form.getlist(name) if str(one)] for name in ("product", "policy")}
    if any(len(ids) > extras.MOST_LINKS for ids in chosen.values()):
        raise AhlanError(help.MANY_LINKS, code="article_links")
    async with desk.transaction() as tx:
        found = await articles.find(tx, desk.path_id())
        await extras.lead(tx, found.article, chosen["product"], chosen["policy"], by=desk.agent)
    return desk.go(f"help/{desk.path_id()}", language=str(form.get("language", "")), saved="extras")
