"""Who is at the other end of the widget: a browser with a secret, and a customer only when the store vouches for one.

A session is a signed token of 15 minutes. It names the visitor, the customer whose proof came with this very opening,
and the conversation that is shown, so that every later call costs no lookup and can reach nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import msgspec
import structlog
from sqlalchemy import func, select

from plugin import stores
from plugin.app import App
from plugin.conversations import blocked, first_word, messages, ratings, visits
from plugin.conversations import conversations as threads
from plugin.conversations.conversations import Head, Shopper
from plugin.crm import consents, customers, identities, sync, visitors
from plugin.crm.visitors import Visitor
from plugin.kernel.crypto import Vault
from plugin.kernel.db import Tx
from plugin.kernel.errors import NotFound, Unauthorized
from plugin.kernel.lazy import _
from plugin.platform import CustomerRecord, PlatformError
from plugin.stores import Store
from plugin.widget.limits import NEW_VISITOR, SESSION, Limits

log = structlog.get_logger(__name__)

SECONDS = 900

_GRACE = timedelta(minutes=30)


class Allowed(msgspec.Struct):
    """What the shop's cookie banner allows; null: it has none, or does not ask."""

    analytics: bool | None = None
    preferences: bool | None = None

    def said(self) -> dict[str, bool]:
        """The answers that were given."""
        given = {"analytics": self.analytics, "preferences": self.preferences}
        return {purpose: answer for purpose, answer in given.items() if answer is not None}


class Page(msgspec.Struct):
    """A storefront page as it tells of itself, and what its banner allows. `referrer` is a host, `zone` a time zone."""

    url: str = ""
    title: str = ""
    referrer: str = ""
    zone: str = ""
    cart: str = ""
    consent: Allowed | None = None

    def agreed(self) -> bool | None:
        """Whether visits may be followed; None where nobody was asked."""
        return self.consent.analytics if self.consent is not None else None

    def around(self, headers: Mapping[str, str], home: str, country_header: str) -> visits.Around:
        """The page with what the browser's own headers say; nothing where visits may not be followed.

        `home` is the shop's host; see `visits.around`.
        """
        if self.agreed() is False or not (self.url or self.title):
            return visits.Around()
        return visits.around(
            headers, url=self.url, title=self.title, referrer=self.referrer, zone=self.zone, cart=self.cart,
            home=home, proxy=country_header,
        )  # fmt: skip


class Opening(msgspec.Struct):
    """What a browser says to begin. `identity`: absent, the shop could not be asked; null, nobody is signed in."""

    store: str
    secret: str | None = None
    identity: str | msgspec.UnsetType | None = msgspec.UNSET
    locale: str = ""
    page: Page | None = None


@dataclass(frozen=True, slots=True)
class Pass:
    """What a session token says."""

    workspace_id: UUID
    store_id: UUID
    visitor_id: UUID
    customer_id: UUID | None = None
    conversation_id: UUID | None = None
    locale: str = ""

    def shopper(self, conversation_id: UUID | None = None) -> Shopper:
        """The same for the conversations room; `conversation_id` when a newer one is known."""
        return Shopper(
            self.visitor_id, self.store_id, self.customer_id, conversation_id or self.conversation_id, self.locale
        )


def issue(vault: Vault, held: Pass) -> str:
    """The token of a session."""
    claims = {
        "w": held.workspace_id.hex,
        "s": held.store_id.hex,
        "v": held.visitor_id.hex,
        "c": held.customer_id.hex if held.customer_id else None,
        "t": held.conversation_id.hex if held.conversation_id else None,
        "l": held.locale,
    }
    return vault.sign("widget", claims, SECONDS)


def _over() -> Unauthorized:
    return Unauthorized(_("This chat was open for a long time."), _("It opens again by itself."))


async def visitor_of(tx: Tx, held: Pass) -> Visitor:
    """Who holds the session. Raises Unauthorized when they were erased meanwhile: the browser opens a new one."""
    visitor = await tx.get(Visitor, held.visitor_id)
    if visitor is None:
        raise _over()
    return visitor


def read(vault: Vault, token: str) -> Pass:
    """What a token says. Raises Unauthorized when it is not ours or too old: the browser opens the session again."""
    claims = vault.verify("widget", token)
    if claims is None:
        raise _over()
    return Pass(
        UUID(hex=claims["w"]),
        UUID(hex=claims["s"]),
        UUID(hex=claims["v"]),
        UUID(hex=claims["c"]) if claims["c"] else None,
        UUID(hex=claims["t"]) if claims["t"] else None,
        claims["l"],
    )


async def open_session(
    app: App, limits: Limits, opening: Opening, address: str, headers: Mapping[str, str]
) -> tuple[Pass, dict[str, Any]]:
    """Begin or renew a session. Raises NotFound for a store that is not there, or no longer."""
    await limits.spend(SESSION, address=address)
    workspace_id, store = await find_store(app, opening.store)
    external_id = await vouched(app, store, opening.identity)
    async with app.db.transaction(workspace_id) as tx:
        await stores.standing_still(tx, store.id)
        customer_id = await customer(tx, store, external_id) if external_id else None
        known = await visitors.by_secret(tx, store.id, opening.secret) if opening.secret else None
        if known is not None and customer_id is None:
            customer_id = await visitors.signed_in(tx, known)
        # A browser that only looked around so far stays the one that the team sees.
        stray = opening.secret if known is None else None
        issued = bool(stray) and await visits.issued(app.hub, workspace_id, store.id, stray or "")
        if known is not None and not _still_theirs(known, opening, customer_id):
            known = None
        if known is None:
            await limits.spend(NEW_VISITOR, address=f"{store.id}:{address}")
        home = urlsplit(opening.page.url).netloc if opening.page else ""
        around = opening.page.around(headers, home, app.settings.country_header) if opening.page else None
        visitor, secret = await visitors.open_visitor(
            tx, store, opening.secret if known or issued else None, locale=opening.locale[:16],
            page=first_word.page_of(around) if around else None, cart_token=around.cart if around else "",
            issued=issued,
        )  # fmt: skip
        if customer_id is not None and await visitors.identify(tx, visitor, customer_id):
            visitor.identified_at = datetime.now(UTC)
            await threads.attach(tx, visitor.id, customer_id)
        if opening.page is not None and opening.page.consent is not None:
            await consents.of_browser(tx, visitor, opening.page.consent.said())
        held = Pass(workspace_id, store.id, visitor.id, customer_id, None, opening.locale[:16])
        head = await threads.current(tx, held.shopper())
        unread = await messages.unread_by_shopper(tx, head.id, head.shopper_read_seq) if head else 0
        conversation = await conversation_json(tx, head) if head else None
        name = await customers.own_name(tx, customer_id) if customer_id else ""
        proven_email = bool(customer_id and await customers.own_email(tx, customer_id))
        has_email = bool(visitor.typed_email or proven_email)
    held = replace(held, conversation_id=head.id if head else None)
    return held, {
        "token": issue(app.vault, held),
        "expires_in": SECONDS,
        "secret": secret,
        "visitor": {
            "id": str(visitor.id),
            "name": name or None,
            "identified": customer_id is not None,
            "has_email": has_email,
            "proven_email": proven_email,
        },
        "conversation": conversation,
        "unread": unread,
    }


async def find_store(app: App, public_key: str) -> tuple[UUID, Store]:
    """The store behind a public key. Raises NotFound, also for one that has uninstalled us."""
    found = await app.db.lookup("widget", public_key) if public_key.startswith("st_") else []
    if found and found[0][1] is not None:
        workspace_id, store_id = found[0][0], found[0][1]
        async with app.db.transaction(workspace_id) as tx:
            store = await stores.get(tx, store_id)
        if store is not None and store.status != stores.UNINSTALLED:
            return workspace_id, store
    raise NotFound(_("The chat of this shop is not available."), _("Look for another way to reach it on its pages."))


async def vouched(app: App, store: Store, identity: str | msgspec.UnsetType | None) -> str:
    """The platform's own id of whom it vouches for, or empty. What cannot be checked now counts as nobody."""
    if not isinstance(identity, str) or not identity:
        return ""
    try:
        shopper = await app.platforms[store.platform].shopper_identity(store.connection(), identity)
    except PlatformError as error:
        log.warning("identity_unchecked", error=repr(error))
        return ""
    if shopper is None or (shopper.workspace_id, shopper.store_id) != (store.workspace_id, store.id):
        return ""
    return shopper.customer_external_id


async def customer(tx: Tx, store: Store, external_id: str) -> UUID | None:
    """The customer row of an account that the store vouches for; one that is newer than its webhook is met here."""
    found = await identities.customer_of_platform(tx, store.id, external_id)
    if found is None:
        # Older than anything the store will tell, so that its first word about them wins.
        await sync.apply(tx, store, [CustomerRecord(external_id, datetime.fromtimestamp(0, UTC))])
        found = await identities.customer_of_platform(tx, store.id, external_id)
    return found


def _still_theirs(visitor: Visitor, opening: Opening, customer_id: UUID | None) -> bool:
    """Whether the secret may go on: after signing out, or with another account, a shared browser starts anew."""
    if visitor.customer_id is None or visitor.customer_id == customer_id:
        return True
    if customer_id is not None or opening.identity is not msgspec.UNSET:
        return False
    return visitor.identified_at is not None and datetime.now(UTC) - visitor.identified_at < _GRACE


async def keep_email(app: App, held: Pass, address: str) -> str | None:
    """Keep what somebody typed: for this conversation's replies, unverified. None: not an address."""
    async with app.db.transaction(held.workspace_id) as tx:
        visitor = await visitor_of(tx, held)
        await stores.standing_still(tx, held.store_id)
        email = await threads.ask_email(tx, held.shopper(), address)
        if email is None:
            return None
        await visitors.typed_email(tx, visitor, email)
    return email


async def embedded(app: App, store: Store) -> None:
    """A storefront has just shown our frame: the checklist in the panel says so."""
    async with app.db.transaction(store.workspace_id) as tx:
        row = await stores.get(tx, store.id)
        if row is not None:
            row.embed_seen_at = await tx.scalar(select(func.now()))
            if row.embed_active is False:
                row.embed_active = True
            if any(one["code"] in {"embed", "embed_unseen"} and not one["ok"] for one in row.findings):
                await tx.enqueue("check_store", unique=f"check-now:{row.id}", store_id=row.id)
            tx.publish("stores", {"store_id": str(store.id)})


async def conversation_json(tx: Tx, head: Head) -> dict[str, Any]:
    """A conversation as the widget gets it. `rating`: what is asked, or was said, about one that was resolved; `id`
    changes with the numbers of its messages; `closed`: whoever writes in it is blocked.
    """
    closed = head.status == threads.Status.SPAM and await blocked.is_blocked(tx, visitor_id=head.visitor_id)
    return {
        **({"closed": True} if closed else {}),
        "rating": await ratings.open_question(tx, head),
        "id": threads.known_as(head),
        "status": head.status,
        "last_seq": head.last_seq,
        "seen_seq": head.agent_read_seq,
        "read_seq": head.shopper_read_seq,
    }
