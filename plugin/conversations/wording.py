"""The words of macros: texts with `{{ names }}` that one conversation fills in. Pure.

A name is two words with a dot, `{{ customer.first_name }}`; behind a bar stands what is said where there is nothing to
fill in, `{{ customer.first_name | there }}`. `{{ snippet.delivery }}` stands for a snippet of the help centre. That is
the whole language: nothing can be called, looped over or reached through a name, and what is filled in is never read
again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from plugin.kernel.errors import AhlanError
from plugin.kernel.lazy import _


class Name(StrEnum):
    """Everything that can be filled in."""

    CUSTOMER_FIRST_NAME = "customer.first_name"
    CUSTOMER_NAME = "customer.name"
    CUSTOMER_EMAIL = "customer.email"
    ORDER_NUMBER = "order.number"
    ORDER_TOTAL = "order.total"
    ORDER_DATE = "order.date"
    ORDER_LINK = "order.link"
    TRACKING_NUMBER = "tracking.number"
    TRACKING_LINK = "tracking.link"
    TRACKING_CARRIER = "tracking.carrier"
    AGENT_FIRST_NAME = "agent.first_name"
    AGENT_NAME = "agent.name"
    STORE_NAME = "store.name"
    STORE_LINK = "store.link"


SNIPPET = "snippet."
"""What the name of a snippet begins with; the rest is the end of its address (plugin/knowledge/snippets.py)."""

_SNIPPET = re.compile(r"snippet\.[^\s{}|.,]+")
_PLACE = re.compile(r"\{\{([^{}]*)\}\}")
_LOOSE = re.compile(r"\{\{|\}\}")


class WordingError(AhlanError):
    """A text that names what does not exist; the words tell which."""

    status = 422
    code = "wording"


@dataclass(frozen=True, slots=True)
class Filled:
    """A text with its names filled in. What is `missing` still stands in it, as `{{ order.number }}`."""

    text: str
    missing: tuple[str, ...]


def check(text: str) -> None:
    """Raise WordingError for a name that does not exist and for braces that are not closed."""
    for place in _PLACE.finditer(text):
        said = _said(place)
        if not _is_name(said):
            raise WordingError(
                _("There is nothing called %(name)s to fill in."),
                _("Choose one from the list below the text."),
                values={"name": said or "{{ }}"},
            )
    if _LOOSE.search(_PLACE.sub("", text)):
        raise WordingError(_("Two braces are not closed."), _("Write them as {{ customer.name }}."))


def snippets(text: str) -> tuple[str, ...]:
    """What the snippets in a text are called, without `snippet.`."""
    said = (_said(place) for place in _PLACE.finditer(text))
    return tuple(dict.fromkeys(name.removeprefix(SNIPPET) for name in said if _SNIPPET.fullmatch(name)))


def fill(text: str, values: Mapping[str, str]) -> Filled:
    """Fill in what `values` have; else what stands behind the bar; else the name stays and is told as missing."""
    missing: list[str] = []

    def put(place: re.Match[str]) -> str:
        _name, bar, otherwise = place[1].partition("|")
        name = _said(place)
        if not _is_name(name):
            return place[0]
        if value := values.get(name, ""):
            return value
        if bar:
            return otherwise.strip()
        missing.append(name)
        return f"{{{{ {name} }}}}"

    filled = _PLACE.sub(put, text)
    return Filled(filled, tuple(dict.fromkeys(missing)))


def unfilled(text: str) -> tuple[str, ...]:
    """The names that still stand in a text that is about to be sent."""
    said = (_said(place) for place in _PLACE.finditer(text))
    return tuple(dict.fromkeys(name for name in said if _is_name(name)))


def glimpse(text: str) -> str:
    """A text on one line for a list: what stands behind a bar, and three dots for what each conversation fills in."""
    return " ".join(_PLACE.sub(lambda place: place[1].partition("|")[2].strip() or "…", text).split())


def plain(text: str) -> str:
    """A text without its names: what it is found by."""
    return _PLACE.sub(" ", text)


def _said(place: re.Match[str]) -> str:
    return str(place[1]).partition("|")[0].strip()


def _is_name(said: str) -> bool:
    return said in set(Name) or _SNIPPET.fullmatch(said) is not None
