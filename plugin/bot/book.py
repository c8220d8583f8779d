"""The topics that the language process learns for everybody: one book, whoever asks it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from hashlib import blake2b

from plugin.bot import seeds
from plugin.language.frames import ExampleIn

BOOK = "seeds"
"""The book of the topics that come with the product: one for all workspaces."""


@cache
def topics() -> Mapping[str, seeds.Topic]:
    """The topics of the pack by id."""
    return {topic.id: topic for topic in seeds.pack()}


@cache
def examples() -> tuple[ExampleIn, ...]:
    """What the models learn the topics from."""
    return tuple(ExampleIn(text, topic.id, language) for topic in seeds.pack() for text, language in topic.examples())


@cache
def version() -> str:
    """A name for these examples: another one when any of them is another."""
    digest = blake2b(digest_size=8)
    for one in examples():
        digest.update(f"{one.topic}\0{one.text}\0".encode())
    return digest.hexdigest()
