"""Attachments: files that people send. The type is sniffed, never believed; pictures are drawn anew.

A picture is decoded and encoded again, so what we serve holds no place of taking, no second format hidden behind the
first, and no more pixels than we allow. Everything else is kept as it is and only ever served as a download.
"""

import asyncio
import io
import re
import unicodedata
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Any, cast
from uuid import UUID

import filetype  # type: ignore[import-untyped]
from PIL import Image, ImageOps, UnidentifiedImageError
from sqlalchemy import Index, LargeBinary, Table, delete, func, select, text, update
from sqlalchemy.orm import Mapped, mapped_column

from plugin.kernel.crypto import Vault
from plugin.kernel.db import Base, TenantRow, Tx, new_id, tenant_key
from plugin.kernel.errors import AhlanError, TooLarge
from plugin.kernel.lazy import _

MAX_BYTES = 10 * 1024 * 1024
MAX_PER_MESSAGE = 5
MAX_PIXELS = 40_000_000
LINK_SECONDS = 60

_LONGEST_SIDE = 2560
_THUMBNAIL_SIDE = 640
_NAME_LENGTH = 120
_ORPHAN_AGE = timedelta(days=1)

# Sniffed type to file ending. What is not here is refused: nothing that a double click would run.
_KINDS = {
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/gif": "gif",
    "image/webp": "webp",
    "image/heic": "heic",
    "image/avif": "avif",
    "application/pdf": "pdf",
    "video/mp4": "mp4",
    "video/quicktime": "mov",
    "video/webm": "webm",
    "video/3gpp": "3gp",
    "audio/mpeg": "mp3",
    "audio/mp4": "m4a",
    "audio/ogg": "ogg",
    "audio/x-wav": "wav",
    "audio/amr": "amr",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/plain": "txt",
}
ACCEPTED = (*_KINDS, ".heic", ".txt")
"""What a file picker offers, as `accept` tokens: some systems know no type for these two endings."""

_DRAWN = {"image/jpeg": "JPEG", "image/png": "PNG", "image/gif": "GIF", "image/webp": "WEBP"}
_BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


class Attachment(TenantRow, Base):
    """A file. Uploaded first, then of the message that names it. `uploader` is `shopper:<id>` or `agent:<id>`."""

    __tablename__ = "attachments"
    __table_args__ = (
        Index(None, "workspace_id", "message_id"),
        Index(None, "workspace_id", "store_id"),
        Index(
            "ix_attachments_loose",
            "workspace_id",
            "uploader",
            "created_at",
            postgresql_where=text("message_id IS NULL"),
        ),
        tenant_key("conversation_id", "conversations"),
        tenant_key("message_id", "messages"),
    )

    store_id: Mapped[UUID | None]
    conversation_id: Mapped[UUID | None]
    message_id: Mapped[UUID | None]
    uploader: Mapped[str]
    name: Mapped[str]
    media_type: Mapped[str]
    size: Mapped[int]
    width: Mapped[int | None]
    height: Mapped[int | None]
    content: Mapped[bytes] = mapped_column(LargeBinary, deferred=True, deferred_raiseload=True)
    thumbnail: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True, deferred_raiseload=True)


_TABLE = cast(Table, Attachment.__table__)
_drawing = asyncio.Semaphore(2)


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that passed every check, ready to be stored."""

    name: str
    media_type: str
    content: bytes
    thumbnail: bytes | None = None
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True, slots=True)
class Served:
    """Bytes to send to a browser with exactly this type; `inline` only for pictures that we drew ourselves."""

    name: str
    media_type: str
    content: bytes
    inline: bool


async def inspect(name: str, content: bytes) -> Upload:
    """Check a file off the event loop. Raises TooLarge, or AhlanError for a type that we do not take."""
    if len(content) > MAX_BYTES:
        raise too_large()
    async with _drawing:
        return await asyncio.to_thread(read, name, content)


def read(name: str, content: bytes) -> Upload:
    """The same, blocking: sniff the type, draw pictures anew, give the name the ending that fits."""
    if not content:
        raise AhlanError(_("This file is empty."), _("Choose another one."), code="file_empty")
    media_type = _sniff(content)
    if media_type not in _KINDS:
        raise AhlanError(
            _("This type of file cannot be sent."),
            _("Pictures, PDF, video, sound, text and office documents can."),
            code="file_type",
            status=415,
        )
    if media_type in _DRAWN:
        return _draw(name, content, media_type)
    return Upload(clean_name(name, _KINDS[media_type]), media_type, content)


def _sniff(content: bytes) -> str:
    kind = filetype.guess(content)
    if kind is not None:
        return str(kind.mime)
    try:
        return "application/octet-stream" if "\x00" in content.decode("utf-8") else "text/plain"
    except UnicodeDecodeError:
        return "application/octet-stream"


def _draw(name: str, content: bytes, media_type: str) -> Upload:
    try:
        with warnings.catch_warnings():
            # Pillow only warns up to twice its limit; for us the size decides before a pixel is decoded.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image: Image.Image = Image.open(io.BytesIO(content), formats=(_DRAWN[media_type],))
        if image.width * image.height > MAX_PIXELS:
            raise AhlanError(
                _("This picture has too many pixels."), _("Send a smaller version of it."), code="picture_too_large"
            )
        image.draft("RGB", (_LONGEST_SIDE, _LONGEST_SIDE))
        image = ImageOps.exif_transpose(image)
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise AhlanError(
            _("This picture cannot be read."), _("Save it again, or send another one."), code="picture_broken"
        ) from error
    image.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
    width, height = image.size
    # A new image from pixels only: what encoders copy from `info` (EXIF, profiles, comments) stays behind.
    image = Image.frombytes(image.mode, image.size, image.tobytes())
    drawn_type, drawn = "image/jpeg", b""
    if media_type in ("image/png", "image/gif") or image.mode == "RGBA":
        drawn_type, drawn = "image/png", _png(image)
    if not drawn or len(drawn) > MAX_BYTES:
        drawn_type, drawn = "image/jpeg", _jpeg(image)
    small = image.copy()
    small.thumbnail((_THUMBNAIL_SIDE, _THUMBNAIL_SIDE))
    return Upload(clean_name(name, _KINDS[drawn_type]), drawn_type, drawn, _jpeg(small), width, height)


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def _jpeg(image: Image.Image) -> bytes:
    flat = Image.new("RGB", image.size, "white")
    flat.paste(image, mask=image.getchannel("A") if image.mode == "RGBA" else None)
    file = io.BytesIO()
    flat.save(file, "JPEG", quality=86, optimize=True)
    return file.getvalue()


def clean_name(name: str, ending: str) -> str:
    """`name` as a harmless file name with the ending that its sniffed type has."""
    name = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    name = "".join(character for character in _BIDI.sub("", name) if unicodedata.category(character)[0] != "C")
    name = re.sub(r'[<>:"|?*%;]', "_", name).strip(" ._")
    stem = PurePosixPath(name).stem if "." in name else name
    return f"{stem.strip(' ._')[:_NAME_LENGTH] or 'file'}.{ending}"


def shown_name(name: str) -> str:
    """A file's name as its sender wrote it, fit to be read: no direction marks, no control characters."""
    kept = "".join(character for character in _BIDI.sub("", name) if unicodedata.category(character)[0] != "C")
    return kept[:_NAME_LENGTH]


async def whole(tx: Tx, ids: Sequence[UUID]) -> list[tuple[str, str, bytes]]:
    """Name, type and bytes of files, in the order asked; those that are gone are left out."""
    rows = await tx.execute(
        select(_TABLE.c.id, _TABLE.c.name, _TABLE.c.media_type, _TABLE.c.content).where(
            _TABLE.c.workspace_id == tx.workspace_id, _TABLE.c.id.in_(ids)
        )
    )
    found = {row.id: (row.name, row.media_type, row.content) for row in rows}
    return [found[id] for id in ids if id in found]


async def save(tx: Tx, upload: Upload, *, uploader: str, store_id: UUID | None) -> dict[str, Any]:
    """Store a checked file that no message names yet, and drop this uploader's forgotten ones. Returns its JSON."""
    await tx.execute(
        delete(_TABLE).where(
            _TABLE.c.workspace_id == tx.workspace_id,
            _TABLE.c.uploader == uploader,
            _TABLE.c.message_id.is_(None),
            _TABLE.c.created_at < func.now() - _ORPHAN_AGE,
        )
    )
    attachment = Attachment(
        id=new_id(),
        store_id=store_id,
        uploader=uploader,
        name=upload.name,
        media_type=upload.media_type,
        size=len(upload.content),
        width=upload.width,
        height=upload.height,
        content=upload.content,
        thumbnail=upload.thumbnail,
    )
    tx.add(attachment)
    await tx.flush()
    return _as_json(attachment)


def _as_json(attachment: Any) -> dict[str, Any]:
    kind = "image" if attachment.width else "file"
    known = {"id": str(attachment.id), "name": attachment.name, "size": attachment.size, "kind": kind}
    return {**known, "width": attachment.width, "height": attachment.height} if attachment.width else known


async def find(tx: Tx, ids: Sequence[UUID], *, uploader: str, most: int = MAX_PER_MESSAGE) -> list[dict[str, Any]]:
    """What a new message may carry, in the order asked: this uploader's own files that no message names yet.

    Raises AhlanError when there are too many, or one is missing: gone, taken, or somebody else's.
    """
    if len(ids) > most:
        raise AhlanError(
            _("Too many files for one message."), _("Send them in several messages."), code="too_many_files"
        )
    rows = await tx.execute(
        select(_TABLE.c.id, _TABLE.c.name, _TABLE.c.size, _TABLE.c.width, _TABLE.c.height).where(
            _TABLE.c.workspace_id == tx.workspace_id,
            _TABLE.c.id.in_(ids),
            _TABLE.c.uploader == uploader,
            _TABLE.c.message_id.is_(None),
        )
    )
    found = {row.id: _as_json(row) for row in rows}
    if len(found) != len(set(ids)):
        raise AhlanError(_("A file of this message is no longer there."), _("Attach it again."), code="file_missing")
    return [found[id] for id in dict.fromkeys(ids)]


async def give(tx: Tx, ids: Sequence[UUID], *, conversation_id: UUID, message_id: UUID) -> None:
    """Hand uploaded files over to the message that names them."""
    await tx.execute(
        update(_TABLE)
        .where(_TABLE.c.workspace_id == tx.workspace_id, _TABLE.c.id.in_(ids), _TABLE.c.message_id.is_(None))
        .values(conversation_id=conversation_id, message_id=message_id)
    )


def link(
    vault: Vault, workspace_id: UUID, attachment_id: str, *, small: bool = False, seconds: int = LINK_SECONDS
) -> str:
    """A path that serves this one file for so long. Whoever makes it has checked that its reader may see it."""
    claims = {"w": str(workspace_id), "a": attachment_id, **({"s": 1} if small else {})}
    return f"/files/{vault.sign('file', claims, seconds)}"


def with_links(vault: Vault, workspace_id: UUID, message: dict[str, Any]) -> dict[str, Any]:
    """A message's JSON with the `url` (and for pictures `thumbnail`) of each attachment, card and link preview."""
    linked = dict(message)
    if message["attachments"]:
        linked["attachments"] = [linked_file(vault, workspace_id, file) for file in message["attachments"]]
    if "cards" in message:
        linked["cards"] = [_pictured(vault, workspace_id, card) for card in message["cards"]]
    if "link" in message:
        linked["link"] = _pictured(vault, workspace_id, message["link"])
    return linked


def _pictured(vault: Vault, workspace_id: UUID, shown: dict[str, Any]) -> dict[str, Any]:
    picture = shown.get("picture")
    return {**shown, "picture": linked_file(vault, workspace_id, picture)} if picture else shown


def linked_file(vault: Vault, workspace_id: UUID, file: dict[str, Any]) -> dict[str, Any]:
    """One attachment's JSON with its links."""
    url = link(vault, workspace_id, file["id"])
    if file["kind"] != "image":
        return {**file, "url": url}
    return {**file, "url": url, "thumbnail": link(vault, workspace_id, file["id"], small=True)}


async def content(tx: Tx, attachment_id: UUID, *, small: bool = False) -> Served | None:
    """The bytes behind a link, or None when the file is gone."""
    column = _TABLE.c.thumbnail if small else _TABLE.c.content
    result = await tx.execute(
        select(_TABLE.c.name, _TABLE.c.media_type, _TABLE.c.width, column.label("bytes")).where(
            _TABLE.c.workspace_id == tx.workspace_id, _TABLE.c.id == attachment_id
        )
    )
    row = result.one_or_none()
    if row is None or row.bytes is None:
        return None
    return Served(row.name, "image/jpeg" if small else row.media_type, row.bytes, inline=row.width is not None)


def too_large() -> TooLarge:
    """More bytes than a file may have."""
    return TooLarge(_("This file is larger than 10 MB."), _("Send a smaller one, or a link to it."))
