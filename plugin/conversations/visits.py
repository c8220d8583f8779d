"""Who is on a storefront now: one sign a page view, kept in Valkey for as long as a visit lasts and nowhere else.

No row is written for somebody who only looks around, and no history of pages is kept: a visit knows the page it is on,
where it came from, and how many pages it saw. What outlives it is that this browser was here before, and how often.
Nobody is here while Valkey is away.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast
from uuid import UUID

import msgspec
from babel import Locale, UnknownLocaleError
from babel.core import get_global

from plugin.conversations.presence import answered
from plugin.crm.visitors import hash_of
from plugin.realtime import Hub
from plugin.stores import Store

HERE_SECONDS = 300
"""A page view counts for so long; nobody asks browsers again before."""

VISIT_SECONDS = 1800
"""A page view after so long is another visit."""

LEAVING_SECONDS = 25
"""Between a page that was closed and the next one of the same browser."""

TOPIC = "visitors"
MOST = 200
DAYS = (0, 7, 30, 90)

_BOT = re.compile(r"bot\b|crawl|spider|slurp|lighthouse|preview", re.IGNORECASE)
_TABLET = re.compile(r"iPad|Tablet|PlayBook|Silk|Android(?!.*Mobile)", re.IGNORECASE)
_PHONE = re.compile(r"Mobi|iPhone|iPod|Android", re.IGNORECASE)
_CART = re.compile(r"[\w-]{8,120}\Z", re.ASCII)
_HOST = re.compile(r"[a-z0-9.-]{1,253}(:\d{1,5})?\Z")

Following = Literal["off", "asked", "all"]
FOLLOWING: tuple[Following, ...] = ("off", "asked", "all")


@dataclass(frozen=True, slots=True)
class Rules:
    """What a store lets us see. `following`: nobody; whom its banner asked and who agreed; all who did not refuse.

    `first_word`: agents may write first. `days`: how long a browser is remembered after its visit; 0: not at all.
    """

    following: Following = "asked"
    first_word: bool = True
    days: int = 30

    def allow(self, consent: bool | None) -> bool:
        """Whether a visitor may be seen who agreed (True), refused (False) or was never asked (None)."""
        return self.following != "off" and (consent if consent is not None else self.following == "all")


def rules(store: Store) -> Rules:
    """The rules of a store; what nobody decided is as in a new one."""
    kept = store.widget.get("visits", {})
    following = kept.get("following")
    days = kept.get("days")
    return Rules(
        cast(Following, following) if following in FOLLOWING else "asked",
        bool(kept.get("first_word", True)),
        days if days in DAYS else 30,
    )


class Around(msgspec.Struct, omit_defaults=True):
    """What a page view tells: where, whence, and on what. `country_by`: proxy, zone or language."""

    url: str = ""
    title: str = ""
    referrer: str = ""
    cart: str = ""
    country: str = ""
    country_by: str = ""
    language: str = ""
    device: str = ""


class Visit(Around, kw_only=True):
    """A visit under way. `key` is the hash of its browser's secret; `times` is which visit this is, 1: a new browser.

    Times are Unix seconds. `hush`: the shopper waved a first word away.
    """

    store_id: UUID
    key: str
    began: float
    at: float
    pages: int = 1
    first: float
    times: int = 1
    hush: bool = False


class Remembered(msgspec.Struct):
    """What is left of a browser when its visit is over."""

    first: float
    times: int


_visit = msgspec.json.Decoder(Visit)
_remembered = msgspec.json.Decoder(Remembered)


def is_machine(headers: Mapping[str, str]) -> bool:
    """Whether a page was opened by a crawler that says so, or only fetched in advance."""
    return bool(_BOT.search(headers.get("user-agent", ""))) or "prefetch" in headers.get("sec-purpose", "")


def around(
    headers: Mapping[str, str], *, url: str, title: str, referrer: str, zone: str, cart: str, home: str, proxy: str
) -> Around:
    """What a browser said of a page view and of itself. Pure.

    `home` is the shop's own host, which is no referrer; `proxy` the header in which a trusted proxy names the country.
    """
    language = headers.get("accept-language", "").partition(",")[0].partition(";")[0].strip()[:35]
    country, by = country_of(headers.get(proxy.lower(), "") if proxy else "", zone, language)
    host = referrer.lower()
    return Around(
        url=url[:500] if url.startswith(("https://", "http://")) else "",
        title=title[:200],
        referrer=host if _HOST.match(host) and host != home else "",
        cart=cart if _CART.match(cart) else "",
        country=country,
        country_by=by,
        language=language,
        device=device_of(headers),
    )


def country_of(proxy: str, zone: str, language: str) -> tuple[str, str]:
    """A country's code and who says so: the proxy, else the browser's time zone, else its language's country. Pure.

    The last two are settings of a browser: a good guess, no proof. ("", "") where nothing says it.
    """
    if re.fullmatch(r"[A-Z]{2}", proxy) and proxy not in ("XX", "T1"):
        return proxy, "proxy"
    territory = get_global("zone_territories").get(get_global("zone_aliases").get(zone, zone), "")
    if re.fullmatch(r"[A-Z]{2}", territory) and territory != "ZZ":
        return territory, "zone"
    try:
        said = Locale.parse(language, sep="-").territory if language else None
    except (ValueError, UnknownLocaleError):
        said = None
    return (said, "language") if said and re.fullmatch(r"[A-Z]{2}", said) else ("", "")


def device_of(headers: Mapping[str, str]) -> str:
    """phone, tablet or computer, by what the browser calls itself. Pure."""
    agent = headers.get("user-agent", "")
    if headers.get("sec-ch-ua-mobile") == "?1" or (_PHONE.search(agent) and not _TABLET.search(agent)):
        return "phone"
    return "tablet" if _TABLET.search(agent) else "computer"


async def saw(
    hub: Hub,
    workspace_id: UUID,
    store_id: UUID,
    key: str,
    page: Around,
    *,
    days: int,
    hush: bool = False,
    since: float | None = None,
) -> Visit:
    """A page view of the browser with this `key`; `since` is when it first talked to us, if it ever did."""
    now = time.time()
    before, known = await _held(hub, workspace_id, store_id, key)
    if before is not None:
        visit = Visit(
            **{field: getattr(page, field) for field in Around.__struct_fields__},
            store_id=store_id, key=key, began=before.began, at=now, pages=before.pages + 1, first=before.first,
            times=before.times, hush=hush,
        )  # fmt: skip
        visit.referrer = before.referrer or page.referrer
    else:
        times = known.times + 1 if known is not None else 2 if since is not None else 1
        first = known.first if known is not None else since if since is not None else now
        visit = Visit(
            **{field: getattr(page, field) for field in Around.__struct_fields__},
            store_id=store_id, key=key, began=now, at=now, first=first, times=times, hush=hush,
        )  # fmt: skip
    await answered(hub.remember(_doc(workspace_id, store_id, key), msgspec.json.encode(visit), VISIT_SECONDS), None)
    if days:
        memory = msgspec.json.encode(Remembered(visit.first, visit.times))
        await answered(hub.remember(_memory(workspace_id, store_id, key), memory, days * 86_400), None)
    await answered(hub.appear(_here(workspace_id), _member(store_id, key), HERE_SECONDS), False)
    return visit


async def issued(hub: Hub, workspace_id: UUID, store_id: UUID, secret: str) -> bool:
    """Whether we gave this secret to a browser of the store that only looked around so far."""
    before, known = await _held(hub, workspace_id, store_id, hash_of(secret).hex())
    return before is not None or known is not None


async def left(hub: Hub, workspace_id: UUID, visit: Visit) -> None:
    """The page was closed. Unless another one is opened soon, or was, its browser is gone."""
    before, _known = await _held(hub, workspace_id, visit.store_id, visit.key)
    if before is not None and before.at == visit.at:
        member = _member(visit.store_id, visit.key)
        await answered(hub.appear(_here(workspace_id), member, LEAVING_SECONDS), False)


async def here(hub: Hub, workspace_id: UUID) -> Sequence[Visit]:
    """Everybody who is on a store of the workspace now, whoever moved last first."""
    members = await answered(hub.members(_here(workspace_id)), [])
    docs = await answered(hub.peek_all([f"visit:{workspace_id}:{member}" for member in members]), [])
    found = [visit for doc in docs if doc is not None and (visit := _read(doc)) is not None]
    return sorted(found, key=lambda visit: -visit.at)


async def find(hub: Hub, workspace_id: UUID, store_id: UUID, key: str) -> Visit | None:
    """The visit of a browser that is here now; None when it left."""
    if not await answered(hub.among(_here(workspace_id), _member(store_id, key)), False):
        return None
    return (await _held(hub, workspace_id, store_id, key))[0]


async def of_browser(hub: Hub, workspace_id: UUID, store_id: UUID, key: str) -> Visit | None:
    """The visit of a browser, also one that ended a short while ago."""
    return (await _held(hub, workspace_id, store_id, key))[0]


def knock(key: str) -> str:
    """The topic on which the open page of a browser hears that there is a first word for it."""
    return f"visit:{key}"


async def _held(hub: Hub, workspace_id: UUID, store_id: UUID, key: str) -> tuple[Visit | None, Remembered | None]:
    keys = [_doc(workspace_id, store_id, key), _memory(workspace_id, store_id, key)]
    nothing: list[bytes | None] = [None, None]
    doc, memory = await answered(hub.peek_all(keys), nothing)
    try:
        return _read(doc) if doc else None, _remembered.decode(memory) if memory else None
    except msgspec.MsgspecError:
        return None, None


def _read(doc: bytes) -> Visit | None:
    try:
        return _visit.decode(doc)
    except msgspec.MsgspecError:
        # Written by another version of ours: the next page view writes it anew.
        return None


def _here(workspace_id: UUID) -> str:
    return f"here:{workspace_id}:visitors"


def _member(store_id: UUID, key: str) -> str:
    return f"{store_id}:{key}"


def _doc(workspace_id: UUID, store_id: UUID, key: str) -> str:
    return f"visit:{workspace_id}:{_member(store_id, key)}"


def _memory(workspace_id: UUID, store_id: UUID, key: str) -> str:
    return f"visited:{workspace_id}:{_member(store_id, key)}"
