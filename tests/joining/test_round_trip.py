"""Whatever two stores hold: joined and split again, each is as it was."""

from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from plugin.app import App
from plugin.crm import identities, sync
from plugin.crm.identities import EMAIL, Proof
from plugin.platform import Record
from tests.crm.test_order_independence import RECORDS
from tests.joining.conftest import Make, Merchant, Rows, everything, joined, parted
from tests.joining.test_moving import of_store

_SOME = st.lists(RECORDS, max_size=8)


async def _tell(app: App, merchant: Merchant, records: list[Record], typed: str) -> None:
    async with app.db.transaction(merchant.workspace_id) as tx:
        for record in records:
            await sync.apply(tx, merchant.store, [record])
        customer_id = await identities.customer_of_platform(tx, merchant.store.id, "1")
        if customer_id is not None:
            # A handle without a store: it is the person's, and goes where the person goes.
            await identities.typed(tx, customer_id, EMAIL, typed, Proof.TYPED, None)


def different(one: Rows, other: Rows) -> dict[str, Any]:
    """What only one of them has, by table."""
    names = one.keys() | other.keys()
    pairs = {name: (one.get(name, []), other.get(name, [])) for name in names}
    found = {
        name: ([row for row in left if row not in right], [row for row in right if row not in left])
        for name, (left, right) in pairs.items()
    }
    return {name: rows for name, rows in found.items() if any(rows) or len(pairs[name][0]) != len(pairs[name][1])}


async def _of(app: App, workspace_id: UUID) -> Rows:
    return of_store(await everything(app, workspace_id))


@given(guests=_SOME, hosts=_SOME, merged=st.booleans(), apart=st.booleans())
@settings(max_examples=5, deadline=None, phases=(Phase.reuse, Phase.generate), suppress_health_check=list(HealthCheck))
async def test_joined_and_split_again_each_is_as_it_was(
    app: App, merchant: Make, guests: list[Any], hosts: list[Any], merged: bool, apart: bool
) -> None:
    guest, host = await merchant("oud", shared="nura@example.com"), await merchant("kad", shared="nura@example.com")
    await _tell(app, guest, guests, "typed.guest@example.com")
    await _tell(app, host, hosts, "typed.host@example.com")
    before, there = await _of(app, guest.workspace_id), await _of(app, host.workspace_id)
    await joined(app, guest, host)
    async with app.db.transaction(host.workspace_id) as tx:
        mine = await identities.customer_of_platform(tx, guest.store.id, "1")
        theirs = await identities.customer_of_platform(tx, host.store.id, "1")
        if mine is not None and theirs is not None:
            together = await identities.head(tx, mine) == await identities.head(tx, theirs)
            if merged and not together:
                await identities.merge(tx, theirs, mine, actor="agent:x")
            if apart and together:
                for merge in await identities.merges_of(tx, await identities.family(tx, mine)):
                    if merge.undone_at is None:
                        await identities.undo_merge(tx, merge.id, actor="agent:x")
                        break
    own = await parted(app, host, guest.store.id)
    if not apart:
        assert different(await _of(app, own), before) == {}
        assert different(await _of(app, host.workspace_id), there) == {}
        return
    # An agent who took two apart may have told something of one's own side: all but who is one person is as it was.
    for name in set(before) - {"customers", "customer_merges", "events"}:
        assert (await _of(app, own))[name] == before[name], name
    for name in set(there) - {"customers", "customer_merges", "events"}:
        assert (await _of(app, host.workspace_id))[name] == there[name], name
