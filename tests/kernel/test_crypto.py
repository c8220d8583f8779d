"""Sealed values open for their workspace, purpose and key alone, and outlive the master key they were sealed under."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text

from plugin.app import App
from plugin.kernel import crypto
from plugin.kernel.crypto import DataKey, Vault
from plugin.kernel.errors import SetupError

FIRST, SECOND = (crypto.new_master_key(name) for name in ("first", "second"))


def vault(*keys: str) -> Vault:
    return Vault(crypto.read_keys(keys))


async def seal(app: App, workspace: UUID, keys: Vault, plain: str, purpose: str = "token") -> bytes:
    async with app.db.transaction(workspace) as tx:
        return await keys.encrypt(tx, plain, purpose)


async def unseal(app: App, workspace: UUID, keys: Vault, sealed: bytes, purpose: str = "token") -> str:
    async with app.db.transaction(workspace) as tx:
        return await keys.decrypt(tx, sealed, purpose)


@dataclass
class Held:
    sealed: bytes
    keys: Vault


@pytest.fixture
async def held(app: App, workspace: UUID) -> Held:
    keys = vault(FIRST)
    return Held(await seal(app, workspace, keys, "shpat_secret ✓"), keys)


async def test_what_is_sealed_opens_again_also_in_another_process(app: App, workspace: UUID, held: Held) -> None:
    assert await unseal(app, workspace, held.keys, held.sealed) == "shpat_secret ✓"
    assert await unseal(app, workspace, vault(FIRST), held.sealed) == "shpat_secret ✓"
    assert b"shpat" not in held.sealed
    assert await seal(app, workspace, held.keys, "shpat_secret ✓") != held.sealed, "never twice the same"


async def test_it_opens_for_nothing_else(app: App, workspace: UUID, other_workspace: UUID, held: Held) -> None:
    with pytest.raises(SetupError, match="cannot be opened"):
        await unseal(app, workspace, held.keys, held.sealed, purpose="another")
    await seal(app, other_workspace, held.keys, "theirs")
    with pytest.raises(SetupError, match="missing"):
        await unseal(app, other_workspace, vault(FIRST), held.sealed)
    async with app.db.transaction(workspace) as tx:
        (mine,) = await tx.scalars(select(DataKey))
    async with app.db.transaction(other_workspace) as tx:
        # Even with the key smuggled over, the value stays its workspace's.
        tx.add(DataKey(id=mine.id, master=mine.master, wrapped=mine.wrapped))
    with pytest.raises(SetupError, match="cannot be opened"):
        await unseal(app, other_workspace, vault(FIRST), held.sealed)


@pytest.mark.parametrize("place", [16, 20, 30, -1])
async def test_a_changed_byte_is_noticed(app: App, workspace: UUID, held: Held, place: int) -> None:
    changed = bytearray(held.sealed)
    changed[place] ^= 1
    with pytest.raises(SetupError, match="it was changed"):
        await unseal(app, workspace, held.keys, bytes(changed))


async def test_a_wrong_and_a_missing_master_key_are_told_apart(app: App, workspace: UUID, held: Held) -> None:
    with pytest.raises(SetupError, match="'first' does not open"):
        await unseal(app, workspace, vault(crypto.new_master_key("first")), held.sealed)
    with pytest.raises(SetupError, match="not in AHLAN_ENCRYPTION_KEYS"):
        await unseal(app, workspace, vault(SECOND), held.sealed)


async def test_a_rotation_wraps_the_keys_anew_and_leaves_the_values(app: App, workspace: UUID, held: Held) -> None:
    both = vault(SECOND, FIRST)
    assert await unseal(app, workspace, both, held.sealed) == "shpat_secret ✓", "while it is under way"
    async with app.db.transaction(workspace) as tx:
        assert await both.rewrap(tx) == 1
        assert await both.rewrap(tx) == 0
    assert await unseal(app, workspace, vault(SECOND), held.sealed) == "shpat_secret ✓"
    with pytest.raises(SetupError):
        await unseal(app, workspace, vault(FIRST), held.sealed)


async def test_no_key_lies_open_in_the_database(app: App, workspace: UUID, held: Held) -> None:
    async with app.db.transaction(workspace) as tx:
        (key,) = await tx.scalars(select(DataKey))
        opened = await held.keys._data_key(tx, key.id)
        assert opened not in key.wrapped
        assert await tx.scalar(text("SELECT count(*) FROM data_keys WHERE position(:key IN wrapped) > 0"), {
            "key": opened
        }) == 0  # fmt: skip


@pytest.mark.parametrize(
    "entry", ["", "name", "name:", ":" + "A" * 43 + "=", "name:short", "name:" + "A" * 43, "name:é", "name:" + "A" * 88]
)
def test_an_entry_that_is_no_key_is_refused(entry: str) -> None:
    with pytest.raises(SetupError, match="32 bytes in base64"):
        crypto.read_keys((entry,))


def test_without_a_key_nothing_starts() -> None:
    with pytest.raises(SetupError, match="is empty"):
        Vault({})


def test_the_key_of_a_data_directory_is_its_owners_alone(tmp_path: Path) -> None:
    made = crypto.local_keys(tmp_path / "data")
    assert crypto.local_keys(tmp_path / "data") == made, "and the same at every start"
    assert (tmp_path / "data" / "encryption-keys").stat().st_mode & 0o777 == 0o600


# Tokens of our own


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=4).filter(lambda told: "exp" not in told))
def test_a_token_says_what_was_signed_for_its_purpose_only(told: dict[str, str]) -> None:
    keys = vault(FIRST)
    token = keys.sign("file", told, 60)
    read = keys.verify("file", token)
    assert read is not None
    assert {name: value for name, value in read.items() if name != "exp"} == told
    assert keys.verify("another", token) is None
    assert keys.verify("file", keys.sign("file", told, -1)) is None, "too old"
    assert vault(SECOND).verify("file", token) is None
    assert vault(SECOND, FIRST).verify("file", token) == read, "while a rotation is under way"


@given(st.text(max_size=80), st.integers(0, 200), st.characters(codec="ascii"))
def test_no_other_text_is_a_token(text: str, place: int, instead: str) -> None:
    keys = vault(FIRST)
    assert keys.verify("file", text) is None
    token = keys.sign("file", {"id": "1"}, 60)
    place %= len(token)
    changed = f"{token[:place]}{instead}{token[place + 1 :]}"
    # The last character of base64 carries bits that nobody reads: the same bytes are the same token.
    assert changed == token or place == len(token) - 1 or keys.verify("file", changed) is None
