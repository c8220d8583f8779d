"""The port to a messaging channel: verify what came in, read it, send what we answer. A vendor is one folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Inbound:
    """One message that came through a channel; `proof` says how its sender is known (see crm.identities)."""

    external_id: str
    sender: str
    sender_name: str
    proof: str
    text: str
    raw: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Outbound:
    """One message to send; `key` makes sending it twice harmless where the vendor allows that."""

    key: str
    workspace_id: UUID
    recipient: str
    subject: str
    text: str
    html: str
    thread: Sequence[str] = ()
    sender_name: str = ""
    reply_to: str = ""


class Channel(Protocol):
    """What every vendor offers. Unsupported is an error that says so, never silence."""

    kind: str

    async def send(self, message: Outbound) -> str:
        """Hand the message over; returns the vendor's id. Raises TaskError(retry=…)."""
        ...
