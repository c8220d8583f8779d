"""`python -m plugin.knowledge.reader`: reads one page or file that a stranger may have made, with little room and time.

Parsers of other people's formats run here and nowhere else: what makes one of them hang or grow ends this process and
nothing besides. It gets a line of JSON (`kind`, `name`, `url`, `charset`) and the bytes, knows no secret and no
database, and writes what it found as JSON.
"""

from __future__ import annotations

import asyncio
import resource
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import PurePath

import orjson

from plugin.knowledge import documents, files
from plugin.knowledge.files import Draft, Unreadable

SECONDS = 20
"""Of the processor; three times as much by the clock, as other work may be going on beside it."""
ROOM = 1024 * 1024 * 1024
"""Bytes of addresses, Python and its libraries included."""
MOST_OUT = 64 * 1024 * 1024
COMMAND = (sys.executable, "-m", "plugin.knowledge.reader")

_at_once = asyncio.Semaphore(2)


async def read(kind: str, content: bytes, *, name: str = "", url: str = "", charset: str = "") -> list[Draft]:
    """Read it in a process of its own. Raises Unreadable."""
    head = orjson.dumps({"kind": kind, "name": name, "url": url, "charset": charset})
    async with _at_once:
        child = await asyncio.create_subprocess_exec(
            *COMMAND, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={"PATH": "", "PYTHONPATH": ":".join(one for one in sys.path if one), "PYTHONHASHSEED": "0"},
        )  # fmt: skip
        try:
            async with asyncio.timeout(3 * SECONDS):
                said, _errors = await child.communicate(head + b"\n" + content)
        except TimeoutError as error:
            raise Unreadable from error
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
    if child.returncode != 0 or len(said) > MOST_OUT:
        raise Unreadable
    return [Draft(**one) for one in orjson.loads(said)]


def main() -> int:
    """Read standard input, write what was found; 1 where it is nothing that can be read."""
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (ROOM, ROOM))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    head, _line, content = sys.stdin.buffer.read().partition(b"\n")
    asked = orjson.loads(head)
    try:
        drafts = found(asked["kind"], content, asked["name"], asked["url"], asked["charset"])
    except (Unreadable, MemoryError, RecursionError):
        return 1
    sys.stdout.buffer.write(orjson.dumps([asdict(one) for one in drafts]))
    return 0


def found(kind: str, content: bytes, name: str, url: str, charset: str) -> Sequence[Draft]:
    """What is in it. Raises Unreadable."""
    if kind == "page":
        return files.read_page(content, charset=charset, url=url)
    if kind == "writings":
        return files.read_writings(orjson.loads(content))
    reader = documents.READERS.get(PurePath(name).suffix.lower())
    if reader is None:
        raise Unreadable
    return reader(content, name)


if __name__ == "__main__":
    sys.exit(main())
