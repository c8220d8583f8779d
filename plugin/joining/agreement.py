"""Two sides agree that a store goes over: codes, what would move, the two rows that allow it."""

import hashlib
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from sqlalchemy import Select, func, select, text, update
from sqlalchemy.orm import Mapped, mapped_column

from plugin import stores, team, workspaces
from plugin.app import App
from plugin.kernel.crypto import Vault
from plugin.kernel.db import Base, TenantRow, Tx, new_id
from plugin.kernel.errors import AhlanError, TooMany
from plugin.kernel.lazy import Lazy, _
from plugin.kernel.personal import nobody
from plugin.stores import Store
from plugin.team import Agent, Role, StaffIdentity

log = structlog.get_logger(__name__)

RECEIVES: Final = "receives"
LEAVES: Final = "leaves"

OPEN: Final = "open"
AGREED: Final = "agreed"
MOVING: Final = "moving"
DONE: Final = "done"
FAILED: Final = "failed"
WITHDRAWN: Final = "withdrawn"

CODE_MINUTES: Final = 15
CODE_KIND: Final = "join_code"
SIDE_SECONDS: Final = 900
_SIDE: Final = "store's side of a join"
_TRIES: Final = 10
_WINDOW: Final = 900
# Without the letters and digits that are taken for one another: 30^8 codes, of which one is good for 15 minutes.
_LETTERS: Final = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
_CODE: Final = 8


class StoreMove(TenantRow, Base):
    """One workspace's side of a move; the two sides have the same id. `side`: receives, or leaves.

    `state`: open (a code was made), agreed, moving, done, failed, withdrawn. The database moves a store between two
    workspaces only when both sides say so here, each written under its own workspace's row-level security.
    """

    __tablename__ = "store_moves"
    __table_args__ = {"info": {"moves": "agreement", **nobody("which store goes where")}}  # noqa: RUF012 - read once, by SQLAlchemy

    side: Mapped[str]
    state: Mapped[str]
    agent_id: Mapped[UUID]
    store_id: Mapped[UUID | None]
    other: Mapped[UUID | None]
    browser_hash: Mapped[str] = mapped_column(server_default="")
    code_hash: Mapped[str] = mapped_column(server_default="")
    store_name: Mapped[str] = mapped_column(server_default="")
    reason: Mapped[str] = mapped_column(server_default="")
    parting: Mapped[bool] = mapped_column(server_default=text("false"))
    done_rows: Mapped[int] = mapped_column(server_default=text("0"))
    total_rows: Mapped[int] = mapped_column(server_default=text("0"))
    expires_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


_WORDS: Final[Mapping[str, tuple[Lazy, Lazy]]] = {
    "wrong_code": (
        _("There is no such code, or it is no longer good."),
        _("Codes are good for 15 minutes and once. Make a new one in the workspace that the store is to join."),
    ),
    "used": (
        _("This code was used already."),
        _("Nothing more was changed. Make a new one if another store is to join."),
    ),
    "other_browser": (
        _("This code was made in another browser, so it ends here."),
        _("Nothing was changed. Make the code and confirm it in one browser, and never pass it on."),
    ),
    "stale_side": (
        _("This page stood open for too long."),
        _("Open Ahlan in the store's own admin again, and type the code there."),
    ),
    "not_administrator": (
        _("Only an administrator of the store who owns its workspace may let it join another."),
        _("Ask whoever installed Ahlan in this store."),
    ),
    "not_owner": (
        _("Only an owner of a workspace may bring stores into it."),
        _("Ask an owner to make the code."),
    ),
    "same_workspace": (
        _("This store is in that workspace already."),
        _("There is nothing to do."),
    ),
    "store_gone": (
        _("The store was disconnected meanwhile."),
        _("Nothing was moved. Install Ahlan in the store again, then begin anew."),
    ),
    "store_moving": (
        _("This store is on its way already."),
        _("Wait until that is done."),
    ),
    "alone": (
        _("This store has a workspace of its own already."),
        _("There is nothing to split."),
    ),
    "failed": (
        _("The move did not work."),
        _("Everything is where it was. Try again, and tell us if it goes on."),
    ),
}


def words_of(reason: str) -> tuple[Lazy, Lazy]:
    """What is said of a join or a move that did not work, and what to do; `failed` where no more is known."""
    return _WORDS.get(reason, _WORDS["failed"])


class JoinError(AhlanError):
    """Why a store cannot join or leave; `code` is one of `_WORDS`, with words and what to do."""

    def __init__(self, code: str) -> None:
        message, hint = words_of(code)
        super().__init__(message, hint, code=code, status=422)


@dataclass(frozen=True, slots=True)
class Side:
    """The store's side, as its own admin vouched for it: an administrator of this store, who owns its workspace."""

    workspace_id: UUID
    store_id: UUID
    agent_id: UUID


@dataclass(frozen=True, slots=True)
class Contents:
    """How much a store would take along."""

    customers: int
    orders: int
    products: int
    conversations: int
    messages: int
    staff: Sequence[str]


@dataclass(frozen=True, slots=True)
class Offer:
    """What is agreed on: shown before anybody confirms. `readers`: who will see the store's data, by name."""

    move_id: UUID
    workspace_id: UUID
    workspace: str
    owners: Sequence[str]
    readers: int
    stores: Sequence[str]
    store: str
    platform: str
    leaving: str
    contents: Contents


def store_side(vault: Vault, agent: Agent, store_id: UUID) -> str:
    """A sealed word, good for a quarter of an hour: this agent came as an administrator through this store's admin.

    Its page stands in the admin's frame, which has no cookie; the page that confirms stands alone.
    """
    claims = {"w": agent.workspace_id.hex, "s": store_id.hex, "a": agent.id.hex}
    return vault.sign(_SIDE, claims, SIDE_SECONDS)


def read_side(vault: Vault, word: str) -> Side:
    """Whom a word of `store_side` names. Raises JoinError when it is none, or too old."""
    said = vault.verify(_SIDE, word) if word else None
    if said is None:
        raise JoinError("stale_side")
    return Side(UUID(hex=said["w"]), UUID(hex=said["s"]), UUID(hex=said["a"]))


def new_browser() -> str:
    """A secret for the browser in which both sides must agree."""
    return secrets.token_urlsafe(32)


async def make_code(tx: Tx, vault: Vault, by: Agent, browser: str) -> str:
    """An owner asks a store in: the code for its administrator, good once, for 15 minutes, in this browser.

    An earlier open code of the same owner ends. Raises JoinError for everybody else.
    """
    if by.deactivated_at is not None or by.role != Role.OWNER:
        raise JoinError("not_owner")
    await _end(tx, select(StoreMove).where(StoreMove.agent_id == by.id), WITHDRAWN)
    code = "".join(secrets.choice(_LETTERS) for _letter in range(_CODE))
    hashed = fingerprint(vault, code)
    row = StoreMove(
        id=new_id(), side=RECEIVES, state=OPEN, agent_id=by.id, browser_hash=_hash(browser), code_hash=hashed,
        expires_at=datetime.now(UTC) + timedelta(minutes=CODE_MINUTES),
    )  # fmt: skip
    tx.add(row)
    await stores.claim(tx, CODE_KIND, hashed)
    await tx.flush()
    await tx.record("store.join_code_made", subject_id=row.id, actor=f"agent:{by.id}")
    return f"{code[:4]}-{code[4:]}"


async def _end(tx: Tx, found: Any, state: str, reason: str = "") -> None:
    """Open codes among `found` are good no longer."""
    mine = (StoreMove.workspace_id == tx.workspace_id, StoreMove.side == RECEIVES, StoreMove.state == OPEN)
    for row in list(await tx.scalars(found.where(*mine).with_for_update())):
        await stores.release(tx, CODE_KIND, row.code_hash)
        row.state, row.reason, row.code_hash = state, reason, ""
    await tx.flush()


def fingerprint(vault: Vault, typed: str) -> str:
    """What is kept of a code, and looked up: however it was typed, small letters, hyphens and spaces do not matter."""
    return vault.fingerprint("join code", re.sub(r"[\W_]+", "", typed)[:64].upper())


async def count_try(app: App, side: Side) -> None:
    """Count a code that somebody types. Raises TooMany."""
    if await app.hub.count(f"join:{side.workspace_id}:{side.agent_id}", _WINDOW) > _TRIES:
        raise TooMany(
            _("That was tried too often."), _("Wait a quarter of an hour, then try again."), retry_after=_WINDOW
        )


async def look(app: App, side: Side, code_hash: str, browser: str) -> Offer:
    """What this code would do with this store, for the page that asks. Raises JoinError.

    A code that comes up in another browser than the one that it was made in ends at once: somebody passed it on.
    """
    found = await app.db.lookup(CODE_KIND, code_hash)
    if not found:
        raise JoinError("wrong_code")
    receiving = found[0][0]
    async with app.db.transaction(side.workspace_id) as tx:
        store, shop = await _may_leave(tx, side), await workspaces.current(tx)
        inside = await contents(tx, store.id)
    async with app.db.transaction(receiving) as tx:
        row = await _open(tx, code_hash)
        known = row is not None and secrets.compare_digest(row.browser_hash, _hash(browser))
        if row is not None and not known:
            log.warning("join_code_in_another_browser", move_id=str(row.id))
            await _end(tx, select(StoreMove).where(StoreMove.id == row.id), WITHDRAWN, "other_browser")
        maker = await tx.get(Agent, row.agent_id) if row is not None else None
        host = await workspaces.current(tx)
        people = [one for one in await team.agents(tx) if one.deactivated_at is None]
        others = [one.name for one in await stores.all_stores(tx) if one.status != stores.UNINSTALLED]
    if row is None or host is None or shop is None:
        raise JoinError("wrong_code")
    if not known:
        raise JoinError("other_browser")
    if maker is None or maker.deactivated_at is not None or maker.role != Role.OWNER:
        raise JoinError("not_owner")
    if receiving == side.workspace_id:
        raise JoinError("same_workspace")
    return Offer(
        move_id=row.id,
        workspace_id=receiving,
        workspace=host.name,
        owners=[one.name for one in people if one.role == Role.OWNER],
        readers=len(people),
        stores=others,
        store=store.name,
        platform=store.platform,
        leaving=shop.name,
        contents=inside,
    )


async def _open(tx: Tx, code_hash: str) -> StoreMove | None:
    found: StoreMove | None = await tx.scalar(
        select(StoreMove).where(
            StoreMove.workspace_id == tx.workspace_id,
            StoreMove.side == RECEIVES,
            StoreMove.code_hash == code_hash,
            StoreMove.state == OPEN,
            StoreMove.expires_at > func.now(),
        )
    )
    return found


async def _may_leave(tx: Tx, side: Side, *, lock: bool = False) -> Store:
    """The store, if this side may still give it away. Raises JoinError."""
    agent = await tx.get(Agent, side.agent_id)
    if agent is None or agent.deactivated_at is not None or agent.role != Role.OWNER:
        raise JoinError("not_administrator")
    store = await tx.get(Store, side.store_id, lock=lock)
    if store is None or store.status == stores.UNINSTALLED:
        raise JoinError("store_gone")
    if store.moving_since is not None:
        raise JoinError("store_moving")
    return store


async def agree(app: App, side: Side, code_hash: str, browser: str) -> tuple[UUID, UUID]:
    """Both have agreed: the code is used up and the move is asked for, in one transaction. Raises JoinError.

    Returns the receiving workspace and the move. Two who confirm at once are one after the other, and the second is
    told that the code was used.
    """
    offer = await look(app, side, code_hash, browser)
    async with app.db.transaction(offer.workspace_id) as tx:
        async with app.db.crossing(tx, side.workspace_id) as theirs:
            store = await _may_leave(theirs, side, lock=True)
            store.moving_since = datetime.now(UTC)
            name = store.name
            theirs.add(side_of(offer.move_id, LEAVES, side.agent_id, store.id, offer.workspace_id, name))
            theirs.publish("stores", {"store_id": str(store.id)})
        used = await tx.scalar(
            update(StoreMove)
            .where(
                StoreMove.workspace_id == tx.workspace_id,
                StoreMove.id == offer.move_id,
                StoreMove.state == OPEN,
                StoreMove.expires_at > func.now(),
            )
            .values(state=AGREED, store_id=side.store_id, other=side.workspace_id, store_name=name, code_hash="",
                    browser_hash="")
            .returning(StoreMove.id)
        )  # fmt: skip
        if used is None:
            raise JoinError("used")
        await stores.release(tx, CODE_KIND, code_hash)
        await tx.record(
            "store.join_agreed", subject_id=offer.move_id, actor=f"agent:{side.agent_id}", data={"store": name}
        )
        await tx.enqueue("move_store", unique=f"move:{offer.move_id}", move_id=offer.move_id)
    return offer.workspace_id, offer.move_id


def side_of(move_id: UUID, side: str, agent_id: UUID, store_id: UUID, other: UUID, name: str) -> StoreMove:
    """One workspace's word that a store may go over; it counts only together with the other's."""
    return StoreMove(
        id=move_id, side=side, state=AGREED, agent_id=agent_id, store_id=store_id, other=other, store_name=name,
        expires_at=datetime.now(UTC),
    )  # fmt: skip


async def contents(tx: Tx, store_id: UUID) -> Contents:
    """What a store would take along."""
    names = ("store_customers", "orders", "products", "conversations", "messages")
    counted = ", ".join(  # names of our own tables
        f"(SELECT count(*) FROM {name} WHERE workspace_id = :workspace AND store_id = :store)"  # noqa: S608 - names of our tables
        for name in names
    )
    counts = await tx.execute(text(f"SELECT {counted}"), {"workspace": tx.workspace_id, "store": store_id})
    row: Any = counts.one()
    staff = await tx.scalars(
        select(Agent.name)
        .where(Agent.id.in_(staff_of(store_id)), Agent.deactivated_at.is_(None))
        .order_by(func.lower(Agent.name))
    )
    return Contents(row[0], row[1], row[2], row[3], row[4], list(staff))


def staff_of(store_id: UUID) -> Select[UUID]:
    """The ids of the agents who came in through this store's admin."""
    return select(StaffIdentity.agent_id).where(StaffIdentity.store_id == store_id)


async def part(app: App, workspace_id: UUID, store_id: UUID, *, by: UUID) -> UUID:
    """An owner gives a store a workspace of its own, into which its share is moved. Returns the move's id.

    Raises JoinError: not an owner, the store is gone or on its way, or it is alone here already.
    """
    own = workspaces.new_workspace_id()
    move_id = new_id()
    async with app.db.transaction(workspace_id) as tx:
        agent = await tx.get(Agent, by)
        if agent is None or agent.deactivated_at is not None or agent.role != Role.OWNER:
            raise JoinError("not_owner")
        store = await _may_leave(tx, Side(workspace_id, store_id, by), lock=True)
        if len(await stores.all_stores(tx)) < 2:
            raise JoinError("alone")
        store.moving_since = datetime.now(UTC)
        leaving = side_of(move_id, LEAVES, by, store.id, own, store.name)
        leaving.parting = True
        tx.add(leaving)
        tx.publish("stores", {"store_id": str(store.id)})
        async with app.db.crossing(tx, own) as theirs:
            await workspaces.create(theirs, store.name, locale=store.locale, timezone=store.timezone)
            receiving = side_of(move_id, RECEIVES, by, store.id, workspace_id, store.name)
            receiving.parting = True
            theirs.add(receiving)
            await theirs.enqueue("move_store", unique=f"move:{move_id}", move_id=move_id)
    return move_id


async def standing(tx: Tx, move_id: UUID) -> StoreMove | None:
    """This workspace's side of a move, as it is now."""
    return await tx.session.get(StoreMove, (tx.workspace_id, move_id), populate_existing=True)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
