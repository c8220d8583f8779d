"""What is known where the bot speaks: whose shop, which language, who is there, and what was said before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from plugin.bot.allowed import Deed
from plugin.bot.bots import Bot
from plugin.bot.decide import Decision, Outcome, Reason
from plugin.bot.memory import Choice
from plugin.bot.turns import Before
from plugin.conversations.conversations import Shopper
from plugin.kernel.i18n import Translator
from plugin.returns.self_service import Door
from plugin.stores import Store


@dataclass(frozen=True, slots=True)
class Scene:
    """One message's surroundings. `shopper` is None where nothing can be proven (a letter, the playground).

    `back_at`: when somebody is there again (UTC), None while open or unknown; `here`: agents with the panel open.
    `segments`: of the customer, as far as they are known.
    `usual`: seconds that an answer usually takes, as measured. `address`: whether we know where to reach them.
    `doors`: what the shop leaves to its customers; no other door is offered, and nothing behind one is told.
    """

    store: Store
    bot: Bot
    t: Translator
    language: str
    public_url: str
    now: datetime
    shopper: Shopper | None = None
    chat: bool = True
    before: Before = field(default_factory=Before)
    back_at: datetime | None = None
    here: int = 0
    usual: int | None = None
    address: bool = False
    doors: frozenset[Door] = frozenset(Door)
    segments: frozenset[str] = frozenset()

    def may(self, deed: Deed) -> bool:
        """Whether the bot does something here, now and for them."""
        channel = "chat" if self.chat else "email"
        return self.bot.terms(deed).hold(channel=channel, open=self.back_at is None, segments=self.segments)

    @property
    def somebody(self) -> bool:
        """Whether a colleague can take over now."""
        return self.here > 0 and self.back_at is None


@dataclass(frozen=True, slots=True)
class Say:
    """What is said to one question, and why. `told` names what was said, so that it is not said again and again;
    `also_told` what was said beside it. `proof`: how it is known whose the `order` is.

    `sad`: nobody is glad to hear it, so no kind word goes before.
    """

    outcome: Outcome
    reason: Reason
    topic: str = ""
    text: str = ""
    cards: Sequence[dict[str, Any]] = ()
    choices: Sequence[Choice] = ()
    asked: Sequence[str] = ()
    products: Sequence[str] = ()
    order: str = ""
    proof: str = ""
    source: str = ""
    title: str = ""
    tool: str = ""
    told: str = ""
    also_told: Sequence[str] = ()
    gift: Any = None
    sad: bool = False

    @classmethod
    def person(cls, decision: Decision, topic: str = "") -> Say:
        """Somebody else has to answer this."""
        return cls(Outcome.PERSON, decision.reason, topic or next(iter(decision.topics), ""))
