"""Secrets at rest (envelope encryption, one data key per workspace) and tokens that we sign ourselves.

Master keys come from AHLAN_ENCRYPTION_KEYS, `name:base64` separated by commas, the first one current. A data key is
wrapped by a master key; values are AES-256-GCM (https://cryptography.io/en/latest/hazmat/primitives/aead/) bound to
their workspace and purpose. `ahlan keys rotate` re-wraps data keys; the values themselves stay as they are.
"""

import base64
import binascii
import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import LargeBinary, delete, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import Mapped, mapped_column

from plugin.kernel.db import Base, TenantRow, Tx, new_id
from plugin.kernel.errors import SetupError
from plugin.kernel.personal import nobody

_ROOT = b"root"
_LOCK = 7_226_311_005


class DataKey(TenantRow, Base):
    """A workspace's data key, wrapped by the master key named `master`."""

    __tablename__ = "data_keys"
    __table_args__ = {"info": nobody("keys")}  # noqa: RUF012 - read once, by SQLAlchemy

    master: Mapped[str]
    wrapped: Mapped[bytes] = mapped_column(LargeBinary)


class KeyCheck(Base):
    """The installation's root secret under each master key in use: a wrong key is found at start, not at first use."""

    __tablename__ = "key_checks"
    # SQLAlchemy reads this name from the class and wants it plain, without ClassVar.
    __table_args__ = {"info": {"access": "none", "grants": "SELECT, INSERT, DELETE", **nobody("keys")}}  # noqa: RUF012 - read once, by SQLAlchemy

    master: Mapped[str] = mapped_column(primary_key=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)


class Vault:
    """Encrypts what must be read again, signs what comes back to us."""

    def __init__(self, keys: dict[str, bytes]) -> None:
        if not keys:
            raise SetupError("AHLAN_ENCRYPTION_KEYS is empty: set it to name:key, where key is 32 bytes in base64.")
        self._masters = keys
        self._current = next(iter(keys))
        self._root = b""
        self._data_keys: dict[tuple[UUID, UUID], bytes] = {}
        self._newest: dict[UUID, UUID] = {}

    @property
    def oldest(self) -> bytes:
        """The master key that a database role's password is derived from while a rotation is under way."""
        return self._masters[next(reversed(self._masters))]

    def opens(self, known: Mapping[str, bytes]) -> bytes:
        """The installation's root out of its copies, by master key; empty where there is none yet.

        Raises SetupError when a master key is missing or differs.
        """
        root = b""
        for name, sealed in known.items():
            if name not in self._masters:
                raise SetupError(
                    f"The encryption key {name!r} is missing from AHLAN_ENCRYPTION_KEYS; data is sealed with it."
                )
            opened = _open(self._masters[name], sealed, _ROOT)
            if opened is None:
                raise SetupError(
                    f"The encryption key {name!r} is not the one that this database's data is sealed with."
                )
            root = opened
        return root

    async def check(self, engine: AsyncEngine) -> None:
        """Open the installation's root, made at the first start. Refuses a master key that is missing or differs."""
        async with engine.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            known = {
                row.master: row.sealed for row in await connection.execute(select(KeyCheck.master, KeyCheck.sealed))
            }
            self._root = self.opens(known) or secrets.token_bytes(32)
            if self._current not in known:
                mine = _seal(self._masters[self._current], self._root, _ROOT)
                await connection.execute(insert(KeyCheck).values(master=self._current, sealed=mine))

    async def retire(self, engine: AsyncEngine) -> None:
        """Forget the other master keys, once every workspace was rewrapped: they need not be configured any more."""
        async with engine.begin() as connection:
            await connection.execute(delete(KeyCheck).where(KeyCheck.master != self._current))

    async def idle(self, engine: AsyncEngine) -> list[str]:
        """Configured master keys that nothing is sealed with."""
        async with engine.connect() as connection:
            used = set((await connection.execute(select(KeyCheck.master))).scalars())
        return [name for name in self._masters if name not in used]

    async def encrypt(self, tx: Tx, plain: str, purpose: str) -> bytes:
        """Seal `plain` for this workspace; it opens only with the same `purpose`."""
        key_id = self._newest.get(tx.workspace_id) or await self._new_or_newest(tx)
        key = await self._data_key(tx, key_id)
        return key_id.bytes + _seal(key, plain.encode(), _bound(tx.workspace_id, purpose))

    async def decrypt(self, tx: Tx, sealed: bytes, purpose: str) -> str:
        """Open what `encrypt` sealed. Raises SetupError when it cannot be opened: tampered, or a wrong key."""
        key = await self._data_key(tx, UUID(bytes=sealed[:16]))
        plain = _open(key, sealed[16:], _bound(tx.workspace_id, purpose))
        if plain is None:
            raise SetupError(f"A sealed {purpose} cannot be opened: it was changed, or belongs to another workspace.")
        return plain.decode()

    async def rewrap(self, tx: Tx) -> int:
        """Wrap this workspace's data keys with the current master key. Returns how many changed."""
        rows = list(await tx.scalars(select(DataKey).where(DataKey.master != self._current)))
        for row in rows:
            key = await self._data_key(tx, row.id)
            await tx.execute(
                update(DataKey)
                .where(DataKey.workspace_id == tx.workspace_id, DataKey.id == row.id)
                .values(master=self._current, wrapped=_seal(self._masters[self._current], key, row.id.bytes))
            )
        return len(rows)

    def sign(self, purpose: str, payload: dict[str, Any], seconds: int) -> str:
        """A token of ours: `payload` readable, not changeable, good for `seconds` and for `purpose` only."""
        body = _b64(orjson.dumps({**payload, "exp": int(time.time()) + seconds}))
        return f"{body}.{_b64(self._mac(self._current, purpose, body))}"

    def verify(self, purpose: str, token: str) -> dict[str, Any] | None:
        """The payload of a token of ours, or None when it is not ours, for something else, or too old."""
        body, _, mac = token.partition(".")
        try:
            given = _unb64(mac)
            if not any(hmac.compare_digest(self._mac(name, purpose, body), given) for name in self._masters):
                return None
            payload: dict[str, Any] = orjson.loads(_unb64(body))
        except (ValueError, binascii.Error):
            return None
        return payload if payload["exp"] >= time.time() else None

    def fingerprint(self, purpose: str, wanted: str) -> str:
        """A keyed hash for looking something up without storing it; the root makes it, so it survives rotations."""
        if not self._root:
            raise RuntimeError("check() opens what fingerprints are made with")
        return hmac.new(_derive(self._root, f"fingerprint {purpose}"), wanted.encode(), hashlib.sha256).hexdigest()

    def _mac(self, name: str, purpose: str, body: str) -> bytes:
        return hmac.new(_derive(self._masters[name], f"sign {purpose}"), body.encode(), hashlib.sha256).digest()

    async def _new_or_newest(self, tx: Tx) -> UUID:
        newest: UUID | None = await tx.scalar(select(DataKey.id).order_by(DataKey.id.desc()).limit(1))
        if newest is None:
            newest = new_id()
            wrapped = _seal(self._masters[self._current], AESGCM.generate_key(256), newest.bytes)
            tx.add(DataKey(id=newest, master=self._current, wrapped=wrapped))
            await tx.flush()
            return newest
        self._newest[tx.workspace_id] = newest
        return newest

    async def _data_key(self, tx: Tx, key_id: UUID) -> bytes:
        cached = self._data_keys.get((tx.workspace_id, key_id))
        if cached is not None:
            return cached
        row = await tx.get(DataKey, key_id)
        if row is None or row.master not in self._masters:
            raise SetupError("A workspace's data key is missing, or its master key is not in AHLAN_ENCRYPTION_KEYS.")
        key = _open(self._masters[row.master], row.wrapped, key_id.bytes)
        if key is None:
            raise SetupError(f"The encryption key {row.master!r} does not open this workspace's data key.")
        self._data_keys[(tx.workspace_id, key_id)] = key
        return key


def read_keys(configured: tuple[str, ...]) -> dict[str, bytes]:
    """Parse `name:base64` entries. Raises SetupError on one that is not 32 bytes."""
    keys: dict[str, bytes] = {}
    for entry in configured:
        name, _, encoded = entry.partition(":")
        try:
            key = base64.b64decode(encoded, validate=True)
        except ValueError:
            key = b""
        if not name or len(key) != 32:
            raise SetupError("AHLAN_ENCRYPTION_KEYS entries are name:key, where key is 32 bytes in base64.")
        keys[name] = key
    return keys


def local_keys(data_dir: Path) -> tuple[str, ...]:
    """The key file of an installation without configuration, made at first start and readable by its owner only."""
    path = data_dir / "encryption-keys"
    if not path.exists():
        data_dir.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(new_master_key("local") + "\n")
    return tuple(path.read_text().split())


def new_master_key(name: str) -> str:
    """A fresh `name:base64` entry."""
    return f"{name}:{base64.b64encode(secrets.token_bytes(32)).decode()}"


def derive(secret: bytes, info: str) -> bytes:
    """A 32-byte key for one use, derived from `secret` (HKDF-SHA256, RFC 5869)."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info.encode()).derive(secret)


_derived: dict[tuple[bytes, str], bytes] = {}


def _derive(secret: bytes, info: str) -> bytes:
    if (secret, info) not in _derived:
        _derived[(secret, info)] = derive(secret, info)
    return _derived[(secret, info)]


def _bound(workspace_id: UUID, purpose: str) -> bytes:
    return workspace_id.bytes + purpose.encode()


def _seal(key: bytes, plain: bytes, bound: bytes) -> bytes:
    nonce = os.urandom(12)
    return nonce + AESGCM(key).encrypt(nonce, plain, bound)


def _open(key: bytes, sealed: bytes, bound: bytes) -> bytes | None:
    try:
        return AESGCM(key).decrypt(sealed[:12], sealed[12:], bound)
    except InvalidTag:
        return None


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4))
