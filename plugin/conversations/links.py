"""What is behind an address in a message: fetched by us, so that nobody's browser calls a stranger's server.

Fetched through the guarded client (public addresses only, each hop checked anew), at most half a megabyte within a few
seconds, and only what says that it is a page or a picture. What was found is kept with the message as plain text and a
picture that we drew ourselves, and for an hour in Valkey, so that one address sent to many is fetched once.
"""

import asyncio
import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from html.parser import HTMLParser
from typing import Any, Final
from urllib.parse import urljoin, urlsplit
from uuid import UUID

import orjson
import structlog
from redis.exceptions import RedisError

from plugin.app import App
from plugin.conversations import attachments, cards, changes
from plugin.conversations.attachments import Upload
from plugin.conversations.cards import PICTURE_BY
from plugin.conversations.messages import SHOPPER, Message
from plugin.kernel.db import Tx
from plugin.kernel.errors import AhlanError
from plugin.kernel.http import HttpError, Response

log = structlog.get_logger(__name__)

SECONDS: Final = 5.0
MOST_BYTES: Final = 512 * 1024
MOST_PICTURE_BYTES: Final = 4 * 1024 * 1024
HOPS: Final = 3
KEPT_SECONDS: Final = 3600
FETCHES_A_MINUTE: Final = 60
"""Of one workspace: whoever writes addresses must not make us anybody's hammer."""

_ADDRESS = re.compile(r"""https?://[^\s<>"'«»]+""")
_ENDS = ".,;:!?؟،؛…"
# A name with a dot; what ends in digits is a number, whatever spelling of it.
_NAMED = re.compile(r".+\.[^.]*[^\W\d][^.]*\.?")
_PORTS = {None, 80, 443}
_TITLE, _DESCRIPTION, _SITE = 200, 300, 80
_LONGEST_TAG = 32 * 1024
_PAGES = ("text/html", "application/xhtml+xml")
_UNSEEN = re.compile("[\u0000-\u001f\u007f\u200b\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]")
_PATIENCE = 1.0


@dataclass(frozen=True, slots=True)
class Page:
    """What a page says of itself. Without a title there is nothing to show."""

    url: str
    title: str = ""
    description: str = ""
    site: str = ""
    picture: str = ""


async def preview_links(app: App, workspace_id: UUID, *, message_id: str) -> None:
    """After a message: fetch what its first address and its cards show. Nothing to fetch, nothing found: no change."""
    async with app.db.transaction(workspace_id) as tx:
        message = await _message(tx, UUID(message_id))
    if message is None:
        async with app.db.transaction(workspace_id) as tx:
            await tx.complete_job()
        return
    more, pictures = await _look(app, workspace_id, message)
    async with app.db.transaction(workspace_id) as tx:
        now = await tx.get(Message, message.id)
        # Edited meanwhile: that edit asked for a look of its own.
        if more and now is not None and now.deleted_at is None and now.edited_at == message.edited_at:
            for spot, upload in pictures:
                spot["picture"] = await attachments.save(tx, upload, uploader=PICTURE_BY, store_id=message.store_id)
                ids = [UUID(spot["picture"]["id"])]
                await attachments.give(tx, ids, conversation_id=message.conversation_id, message_id=message.id)
            await changes.amend(tx, message.id, **more)
        await tx.complete_job()


async def _message(tx: Tx, message_id: UUID) -> Message | None:
    """The message, where there is something to fetch for it and that was not done before."""
    found = await tx.get(Message, message_id)
    if found is None or found.deleted_at is not None or "link" in found.data:
        return None
    bare = [card for card in found.data.get("cards", ()) if card.get("image_url") and "picture" not in card]
    return found if bare or address_in(found.text, ours=found.author != SHOPPER) else None


async def _look(
    app: App, workspace_id: UUID, message: Message
) -> tuple[dict[str, Any], list[tuple[dict[str, Any], Upload]]]:
    """What to add to the message, and the pictures that belong into it."""
    more: dict[str, Any] = {}
    pictures: list[tuple[dict[str, Any], Upload]] = []
    address = address_in(message.text, ours=message.author != SHOPPER)
    if address and (page := await look(app, workspace_id, address)) is not None:
        more["link"] = {"url": address, "title": page.title, "description": page.description, "site": page.site}
        if page.picture and (upload := await picture(app, workspace_id, page.picture)) is not None:
            pictures.append((more["link"], upload))
    made = [dict(card) for card in message.data.get("cards", ())]
    for card in made:
        if card.get("image_url") and (upload := await picture(app, workspace_id, card["image_url"])) is not None:
            pictures.append((card, upload))
            more["cards"] = made
    return more, pictures


def address_in(text: str, *, ours: bool) -> str:
    """The first address worth a look, or nothing. Pure.

    Of a shopper's addresses those with a query are left alone: it may be a key that works once, and is theirs to use.
    """
    for found in _ADDRESS.finditer(text):
        address = found[0].rstrip(_ENDS)
        address = address[:-1] if address.endswith(")") and "(" not in address else address
        try:
            parts = urlsplit(address)
            plain = parts.port in _PORTS and not parts.username and bool(parts.hostname)
        except ValueError:
            continue
        if plain and _NAMED.fullmatch(parts.hostname or "") and (ours or not (parts.query or parts.fragment)):
            return address
    return ""


async def look(app: App, workspace_id: UUID, address: str) -> Page | None:
    """What is at an address; None when it says nothing, is no page, is slow, or is none of the public web's."""
    key = _key(workspace_id, "page", address)
    kept = await _kept(app, key)
    if kept is not None:
        page = Page(**orjson.loads(kept))
        return page if page.title else None
    page = Page(address)
    answer = await _fetch(app, workspace_id, address, MOST_BYTES, "text/html,application/xhtml+xml")
    if answer is not None and _kind(answer) in _PAGES:
        page = await asyncio.to_thread(read, answer.url, _text(answer))
    await _keep(app, key, orjson.dumps(asdict(page)))
    return page if page.title else None


async def picture(app: App, workspace_id: UUID, address: str) -> Upload | None:
    """A picture from the web, drawn anew and small; None when it is none."""
    key = _key(workspace_id, "picture", address)
    kept = await _kept(app, key)
    if kept is not None:
        content = base64.b64decode(kept)
    else:
        answer = await _fetch(app, workspace_id, address, MOST_PICTURE_BYTES, "image/*")
        content = b""
        if answer is not None and _kind(answer).startswith("image/"):
            try:
                drawn = await attachments.inspect("picture", answer.body)
                content = drawn.thumbnail or b""
            except AhlanError:
                pass
        await _keep(app, key, base64.b64encode(content))
    if not content:
        return None
    # The small one is all we show: what stands in the message is no larger than it has to be.
    return await attachments.inspect("picture.jpg", content)


async def _fetch(app: App, workspace_id: UUID, address: str, most: int, accept: str) -> Response | None:
    try:
        async with asyncio.timeout(_PATIENCE):
            if await app.hub.count(f"limit:links:{workspace_id}", 60) > FETCHES_A_MINUTE:
                return None
    except (OSError, RedisError, TimeoutError):
        # Without a count there is no limit; a preview is not worth being without one.
        return None
    try:
        async with asyncio.timeout(SECONDS):
            for _hop in range(HOPS):
                answer = await app.http.request(
                    "GET", address, headers={"accept": accept}, timeout=SECONDS, max_bytes=most, attempts=1
                )
                if answer.status not in (301, 302, 303, 307, 308):
                    return answer
                address = urljoin(address, answer.headers.get("location", ""))
                if not address_in(address, ours=True):
                    return None
    except (HttpError, TimeoutError, ValueError) as error:
        log.info("link_unread", error=type(error).__name__)
    return None


def _kind(answer: Response) -> str:
    return answer.headers.get("content-type", "").partition(";")[0].strip().lower() if answer.status == 200 else ""


_CHARSET = re.compile(rb"""<meta[^>]{0,200}charset=["']?([\w-]{2,30})""", re.IGNORECASE)


def _text(answer: Response) -> str:
    """The page as text: what its header says, else what it says of itself, else UTF-8."""
    said = re.search(r"charset=[\"']?([\w-]{2,30})", answer.headers.get("content-type", ""), re.IGNORECASE)
    inside = _CHARSET.search(answer.body[:4096])
    charset = said[1] if said else inside[1].decode("ascii") if inside else "utf-8"
    try:
        return answer.body.decode(charset, "replace")
    except LookupError:
        return answer.body.decode("utf-8", "replace")


class _Head(HTMLParser):
    """Collects `<title>` and what `<meta>` says, until the body begins."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.meta: dict[str, str] = {}
        self.title = ""
        self._inside = False
        self.done = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "body":
            self.done = True
        self._inside = tag == "title" and not self.title
        if tag == "meta":
            said = {name: value or "" for name, value in attrs}
            name = (said.get("property") or said.get("name") or "").lower()
            if name and said.get("content"):
                self.meta.setdefault(name, said["content"])

    def handle_endtag(self, tag: str) -> None:
        self._inside = False
        self.done = self.done or tag == "head"

    def handle_data(self, data: str) -> None:
        if self._inside and len(self.title) < _TITLE:
            self.title += data


def read(address: str, html: str) -> Page:
    """What a page says of itself in its head (title, Open Graph: https://ogp.me). Pure."""
    head = _Head()
    for start in range(0, min(len(html), MOST_BYTES), 4096):
        head.feed(html[start : start + 4096])
        # A tag that does not end would be read anew with each piece.
        if head.done or len(head.rawdata) > _LONGEST_TAG:
            break
    said: Mapping[str, str] = head.meta
    shown = said.get("og:image:secure_url") or said.get("og:image") or ""
    picture = urljoin(address, shown) if shown else ""
    return Page(
        address,
        _line(said.get("og:title") or head.title, _TITLE),
        _line(said.get("og:description") or said.get("description") or "", _DESCRIPTION),
        _line(said.get("og:site_name") or urlsplit(address).hostname or "", _SITE),
        cards.web_address(picture) if address_in(picture, ours=True) else "",
    )


def _line(text: str, length: int) -> str:
    """One line without signs that nobody sees: a page must not turn our sentence round."""
    return " ".join(_UNSEEN.sub(" ", text).split())[:length]


def _key(workspace_id: UUID, what: str, address: str) -> str:
    return f"link:{workspace_id}:{what}:{hashlib.sha256(address.encode()).hexdigest()}"


async def _kept(app: App, key: str) -> bytes | None:
    try:
        async with asyncio.timeout(_PATIENCE):
            return await app.hub.peek(key)
    except (OSError, RedisError, TimeoutError):
        return None


async def _keep(app: App, key: str, value: bytes) -> None:
    try:
        async with asyncio.timeout(_PATIENCE):
            await app.hub.remember(key, value, KEPT_SECONDS)
    except (OSError, RedisError, TimeoutError):
        return
