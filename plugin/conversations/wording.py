"""The words of macros: texts with `{{ names }}` that one conversation fills in. Pure.

A name is two words with a dot, `{{ customer.first_name }}`; behind a bar stands what is said where there is nothing to
fill in, `{{ customer.first_name | there }}`. That is the whole language: nothing can be called, looped over or reached
through a name, and what is filled in is never read again.
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
    missing: tuple[Name, ...]


def check(text: str) -> None:
    """Raise WordingError for a name that does not exist and for braces that are not closed."""
    for place in _PLACE.finditer(text):
        said = place[1].partition("|")[0].strip()
        if said not in set(Name):
            raise WordingError(
                _("There is nothing called %(name)s to fill in."),
                _("Choose one from the list below the text."),
                values={"name": said or "{{ }}"},
            )
    if _LOOSE.search(_PLACE.sub("", text)):
        raise WordingError(_("Two braces are not closed."), _("Write them as {{ customer.name }}."))


def fill(text: str, values: Mapping[Name, str]) -> Filled:
    """Fill in what `values` have; else what stands behind the bar; else the name stays and is told as missing."""
    missing: list[Name] = []

    def put(place: re.Match[str]) -> str:
        said, bar, otherwise = place[1].partition("|")
        if said.strip() not in set(Name):
            return place[0]
        name = Name(said.strip())
        if value := values.get(name, ""):
            return value
        if bar:
            return otherwise.strip()
        missing.append(name)
        return f"{{{{ {name.value} }}}}"

    filled = _PLACE.sub(put, text)
    return Filled(filled, tuple(dict.fromkeys(missing)))


def unfilled(text: str) -> tuple[Name, ...]:
    """The names that still stand in a text that is about to be sent."""
    said = (place[1].partition("|")[0].strip() for place in _PLACE.finditer(text))
    return tuple(dict.fromkeys(Name(name) for name in said if name in set(Name)))


def glimpse(text: str) -> str:
    """A text on one line for a list: what stands behind a bar, and three dots for what each conversation fills in."""
    return " ".join(_PLACE.sub(lambda place: place[1].partition("|")[2].strip() or "…", text).split())


def plain(text: str) -> str:
    """A text without its names: what it is found by."""
    return _PLACE.sub(" ", text)
