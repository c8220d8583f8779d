"""What is said to the language process and what it answers: MessagePack behind four bytes of length."""

from __future__ import annotations

import asyncio
from typing import Literal

import msgspec

MOST_BYTES = 32 * 1024 * 1024
"""A frame is no longer; passages are sent in as many as it takes."""


AHEAD = 0.5
"""What it counts in the gate by how much the best topic is ahead of the next: who takes topics away counts it anew."""


class PassageIn(msgspec.Struct, frozen=True):
    """A passage; `vectors` are those that `Prepared` gave back for the same text, or empty to have them made."""

    id: str
    text: str
    language: str
    phrasings: tuple[str, ...] = ()
    vectors: bytes = b""


class ExampleIn(msgspec.Struct, frozen=True):
    """A message with its topic; none is outside."""

    text: str
    topic: str | None
    language: str


class Ping(msgspec.Struct, frozen=True, tag="ping"):
    """How are you?"""


class Embed(msgspec.Struct, frozen=True, tag="embed"):
    """Vectors of texts: of messages at once, of passages when there is time."""

    texts: tuple[str, ...]
    kind: Literal["message", "passage"]


class Stock(msgspec.Struct, frozen=True, tag="stock"):
    """Put passages on a shelf, replace and take away. `base` is the version that this change builds on, or empty."""

    shelf: str
    version: str
    passages: tuple[PassageIn, ...]
    base: str = ""
    gone: tuple[str, ...] = ()


class Prepare(msgspec.Struct, frozen=True, tag="prepare"):
    """Vectors of passages that will stand on a shelf one day: what takes long about them."""

    passages: tuple[PassageIn, ...]


class Search(msgspec.Struct, frozen=True, tag="search"):
    """The best passages of a shelf; without a `version`, of it as it is."""

    shelf: str
    version: str
    text: str
    language: str | None = None
    count: int = 5


class Teach(msgspec.Struct, frozen=True, tag="teach"):
    """Train the topics of a workspace on examples; with a shelf, its passages are ranked along by their ids."""

    book: str
    version: str
    examples: tuple[ExampleIn, ...]


class OwnExample(msgspec.Struct, frozen=True):
    """A message that a workspace taught, with the topics that are right for it; none is outside.

    `vectors` are those that `Fitted` gave back for the same text, or empty to have them made.
    """

    text: str
    topics: tuple[str, ...]
    language: str
    vectors: bytes = b""


class Fit(msgspec.Struct, frozen=True, tag="fit"):
    """Add a workspace's own examples to a book. `keep`: to answer by it; `held`: only to check it by.

    `checked`: how many of the shared examples are asked about, 0 for no check.
    """

    book: str
    version: str
    base: str
    base_version: str
    examples: tuple[OwnExample, ...]
    held: tuple[OwnExample, ...] = ()
    keep: bool = False
    checked: int = 0


class Ask(msgspec.Struct, frozen=True, tag="ask"):
    """What is this message about?"""

    book: str
    version: str
    text: str


Request = Ping | Embed | Prepare | Stock | Search | Teach | Fit | Ask


class Pong(msgspec.Struct, frozen=True, tag="pong"):
    """Well, thank you."""

    pid: int
    megabytes: int
    shelves: int
    books: int


class Vectors(msgspec.Struct, frozen=True, tag="vectors"):
    """Vectors in the order of the texts, as little-endian 32-bit floats, `width` of them each."""

    width: int
    data: tuple[bytes, ...]


class Prepared(msgspec.Struct, frozen=True, tag="prepared"):
    """The vectors of each passage, packed as `plugin.language.shelf` does it: to be kept and sent along next time."""

    data: tuple[bytes, ...]


class Hit(msgspec.Struct, frozen=True):
    """A passage, its score in standard deviations, and the cosine with what of it is nearest to the question."""

    id: str
    score: float
    language: str
    likeness: float = 0.0


class Hits(msgspec.Struct, frozen=True, tag="hits"):
    """The best passages, best first, of the shelf in `version`. `text` is the question as it was understood."""

    hits: tuple[Hit, ...]
    text: str
    arabizi: bool
    version: str


class Taught(msgspec.Struct, frozen=True, tag="taught"):
    """A model is ready: how many examples, and the share of them that it had right without knowing them."""

    examples: int
    right: float


class Fitted(msgspec.Struct, frozen=True, tag="fitted"):
    """A workspace's book was made. `vectors` of its examples, then of those held out: to be kept and sent along.

    The rest is the check, one bit a message (`numpy.packbits`): of the shared examples, each as if it were unknown,
    whether the right topic came `first` and was `answered`, and whether it is answered (`strange`) with its topic held
    out whole; of the `held` ones whether what would be done is right.
    """

    vectors: tuple[bytes, ...]
    first: bytes = b""
    answered: bytes = b""
    strange: bytes = b""
    held: bytes = b""


class Topic(msgspec.Struct, frozen=True):
    """A topic and its score."""

    id: str
    score: float


class Answered(msgspec.Struct, frozen=True, tag="answered"):
    """What a message is about, best topics first, and the gates: `plugin.bot.decide` makes something of it."""

    topics: tuple[Topic, ...]
    confidence: float
    gate: float
    answer_from: float
    offer_from: float
    text: str
    language: str | None
    arabizi: bool


class Unknown(msgspec.Struct, frozen=True, tag="unknown"):
    """There is no such shelf or book in this version (any more): `version` is the one that there is, or empty."""

    version: str


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """This cannot be done; `why` is for the log."""

    why: str


Reply = Pong | Vectors | Prepared | Hits | Taught | Fitted | Answered | Unknown | Refused


class Asked(msgspec.Struct, frozen=True):
    """A request with its number; nobody waits for it any longer than `milliseconds`, 0 for ever."""

    number: int
    milliseconds: int
    request: Request


class Replied(msgspec.Struct, frozen=True):
    """The reply to the request of that number."""

    number: int
    reply: Reply


class Broken(Exception):
    """What was received is no frame of ours."""


_encoder = msgspec.msgpack.Encoder()
_asked = msgspec.msgpack.Decoder(Asked)
_replied = msgspec.msgpack.Decoder(Replied)


def write(frame: Asked | Replied) -> bytes:
    """The frame as bytes. Raises ValueError when it is too long."""
    body = _encoder.encode(frame)
    if len(body) > MOST_BYTES:
        raise ValueError(f"A frame of {len(body)} bytes is too long.")
    return len(body).to_bytes(4, "big") + body


async def _body(reader: asyncio.StreamReader) -> bytes:
    length = int.from_bytes(await reader.readexactly(4), "big")
    if length > MOST_BYTES:
        raise Broken(f"a frame of {length} bytes")
    return await reader.readexactly(length)


async def read_asked(reader: asyncio.StreamReader) -> Asked:
    """The next request. Raises Broken, or EOFError at the end."""
    try:
        return _asked.decode(await _body(reader))
    except msgspec.MsgspecError as error:
        raise Broken(str(error)) from error


async def read_replied(reader: asyncio.StreamReader) -> Replied:
    """The next reply. Raises Broken, or EOFError at the end."""
    try:
        return _replied.decode(await _body(reader))
    except msgspec.MsgspecError as error:
        raise Broken(str(error)) from error
