"""What a task or an edge may use. One instance per process, made by `plugin/bootstrap.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from plugin.carrier import Carrier
from plugin.channel import Channel
from plugin.kernel.config import Settings
from plugin.kernel.crypto import Vault
from plugin.kernel.db import Database
from plugin.kernel.http import Http
from plugin.kernel.i18n import Catalogues
from plugin.kernel.jobs import Jobs
from plugin.language.client import Language
from plugin.platform import Platform
from plugin.realtime import Hub


@dataclass(frozen=True, slots=True)
class App:
    """Everything with a life of its own; rooms get `Tx`, tasks and edges get this."""

    settings: Settings
    db: Database
    jobs: Jobs
    http: Http
    vault: Vault
    hub: Hub
    catalogues: Catalogues
    platforms: Mapping[str, Platform]
    channels: Mapping[str, Channel]
    carriers: Mapping[str, Carrier]
    language: Language
    queue_url: str = field(repr=False)
    redis_url: str = field(repr=False)
