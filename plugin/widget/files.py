"""Files that shoppers hand over: one a request, checked and kept until a message or a return names it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from plugin import stores
from plugin.app import App
from plugin.conversations import attachments
from plugin.kernel.errors import AhlanError
from plugin.kernel.lazy import _
from plugin.widget import limits as allowed
from plugin.widget import session
from plugin.widget.limits import Limits, address_of
from plugin.widget.session import Pass

_MULTIPART_ROOM = 64 * 1024


async def keep(app: App, limits: Limits, held: Pass, request: Request) -> dict[str, Any]:
    """Keep the one file of a multipart body; its id, name and links. Raises AhlanError for what is no file we take."""
    await limits.spend(allowed.UPLOAD, visitor=str(held.visitor_id), address=address_of(request))
    name, content = await _upload(request)
    checked = await attachments.inspect(name, content)
    size = len(checked.content) + len(checked.thumbnail or b"")
    await limits.spend_bytes(held.store_id, size, app.settings.upload_megabytes << 20)
    async with app.db.transaction(held.workspace_id) as tx:
        await session.visitor_of(tx, held)
        await stores.standing_still(tx, held.store_id)
        kept = await attachments.save(tx, checked, uploader=held.shopper().actor, store_id=held.store_id)
    return attachments.linked_file(app.vault, held.workspace_id, kept)


async def _upload(request: Request) -> tuple[str, bytes]:
    """The one file of a multipart body, read no further than a file may be long."""

    async def capped() -> AsyncIterator[bytes]:
        seen = 0
        async for chunk in request.stream():
            seen += len(chunk)
            if seen > attachments.MAX_BYTES + _MULTIPART_ROOM:
                raise attachments.too_large()
            yield chunk

    try:
        # Starlette asks for a generator's type and uses no more than an iterator.
        form = await MultiPartParser(request.headers, capped(), max_files=1, max_fields=4).parse()  # type: ignore[arg-type]
    except (MultiPartException, KeyError, ValueError) as error:
        raise AhlanError(_("That request could not be read."), code="malformed", status=422) from error
    try:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise AhlanError(_("There is no file in this request."), code="file_missing", status=422)
        return file.filename or "", await file.read()
    finally:
        await form.close()
