"""A store joins only when both agree in one browser: codes, browsers, roles, races."""

import asyncio
from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import select, text, update

from plugin import joining, stores, team
from plugin.app import App
from plugin.kernel.errors import TooMany
from plugin.stores import Store
from plugin.team import Agent, Role
from tests.joining.conftest import Make, Merchant, agreed, code_of, joined, parted, run_move


async def refused(app: App, guest: Merchant, code: str, browser: str) -> str:
    """Why the page that asks refuses; the confirmation refuses for the same reason."""
    with pytest.raises(joining.JoinError) as looked:
        await joining.look(app, guest.side, code, browser)
    with pytest.raises(joining.JoinError):
        await joining.agree(app, guest.side, code, browser)
    async with app.db.transaction(guest.workspace_id) as tx:
        store = await stores.get(tx, guest.store.id)
        assert store is None or store.moving_since is None
    return looked.value.code


async def make(app: App, host: Merchant, by: UUID | None = None) -> tuple[str, str]:
    browser = joining.new_browser()
    async with app.db.transaction(host.workspace_id) as tx:
        agent = await tx.get(Agent, by or host.owner.id)
        assert agent is not None
        return await joining.make_code(tx, app.vault, agent, browser), browser


async def test_the_page_that_asks_names_both_sides_and_what_moves(app: App, merchant: Make) -> None:
    guest, host = await merchant("oud"), await merchant("kad")
    browser = joining.new_browser()
    offer = await joining.look(app, guest.side, await code_of(app, host, browser), browser)
    assert (offer.store, offer.leaving, offer.workspace) == ("oud store", "oud workspace", "kad workspace")
    assert (offer.owners, offer.readers, offer.stores) == (["kad owner"], 1, ["kad store"])
    inside = offer.contents
    assert (inside.customers, inside.orders, inside.conversations, inside.messages) == (2, 2, 1, 3)
    assert inside.staff == ["oud owner"]


async def test_a_code_is_typed_in_any_way_and_kept_nowhere(app: App, merchant: Make) -> None:
    guest, host = await merchant("oud"), await merchant("kad")
    code, browser = await make(app, host)
    assert len(code) == 9
    for typed in (code, code.lower(), code.replace("-", ""), f" {code[:4]} {code[5:]} "):
        offer = await joining.look(app, guest.side, joining.fingerprint(app.vault, typed), browser)
        assert offer.store == "oud store"
    async with app.db.transaction(host.workspace_id) as tx:
        kept = await tx.scalars(text("SELECT CAST(to_jsonb(t) AS text) FROM store_moves t UNION ALL "
                                     "SELECT CAST(to_jsonb(d) AS text) FROM directory d"))  # fmt: skip
        said = " ".join(kept)
    assert browser not in said
    for part in (code, code.replace("-", "")):
        assert part not in said


async def test_a_replayed_code_does_nothing(app: App, merchant: Make) -> None:
    guest, host, third = await merchant("oud"), await merchant("kad"), await merchant("third")
    browser = joining.new_browser()
    code = await code_of(app, host, browser)
    _host, move_id = await joining.agree(app, guest.side, code, browser)
    assert await refused(app, third, code, browser) == "wrong_code"
    assert await run_move(app, host.workspace_id, move_id) == joining.DONE
    assert await refused(app, third, code, browser) == "wrong_code"


async def test_a_code_ends_with_its_time(app: App, merchant: Make) -> None:
    guest, host = await merchant("oud"), await merchant("kad")
    browser = joining.new_browser()
    code = await code_of(app, host, browser)
    async with app.db.transaction(host.workspace_id) as tx:
        await tx.execute(update(joining.StoreMove).values(expires_at=text("now() - interval '1 second'")))
    assert await refused(app, guest, code, browser) == "wrong_code"


async def test_a_forwarded_code_ends_when_it_comes_up_in_another_browser(app: App, merchant: Make) -> None:
    guest, host = await merchant("oud"), await merchant("kad")
    browser = joining.new_browser()
    code = await code_of(app, host, browser)
    with pytest.raises(joining.JoinError) as elsewhere:
        await joining.look(app, guest.side, code, joining.new_browser())
    assert elsewhere.value.code == "other_browser"
    assert await refused(app, guest, code, browser) == "wrong_code", "whoever made it must begin anew"


async def test_a_new_code_ends_the_one_before(app: App, merchant: Make) -> None:
    guest, host = await merchant("oud"), await merchant("kad")
    first, browser = await make(app, host)
    second, other = await make(app, host)
    assert await refused(app, guest, joining.fingerprint(app.vault, first), browser) == "wrong_code"
    assert (await joining.look(app, guest.side, joining.fingerprint(app.vault, second), other)).store == "oud store"


@pytest.mark.parametrize("role", [Role.ADMIN, Role.AGENT, Role.LIGHT])
async def test_only_an_owner_makes_a_code_or_parts_a_store(app: App, merchant: Make, role: Role) -> None:
    guest, host = await merchant("oud"), await merchant("kad")
    await joined(app, guest, host)
    async with app.db.transaction(host.workspace_id) as tx:
        other = await team.add(tx, name="Other", email=None, role=role)
    with pytest.raises(joining.JoinError, match="Only an owner"):
        await make(app, host, other.id)
    with pytest.raises(joining.JoinError, match="Only an owner"):
        await joining.part(app, host.workspace_id, guest.store.id, by=other.id)


async def test_a_code_is_good_while_its_maker_is_an_owner(app: App, merchant: Make) -> None:
    guest, host = await merchant("oud"), await merchant("kad")
    browser = joining.new_browser()
    code = await code_of(app, host, browser)
    async with app.db.transaction(host.workspace_id) as tx:
        await tx.execute(update(Agent).where(Agent.id == host.owner.id).values(role=Role.ADMIN))
    assert await refused(app, guest, code, browser) == "not_owner"


async def test_only_the_owner_of_the_stores_workspace_lets_it_go(app: App, merchant: Make) -> None:
    guest, host = await merchant("oud"), await merchant("kad")
    browser = joining.new_browser()
    code = await code_of(app, host, browser)
    async with app.db.transaction(guest.workspace_id) as tx:
        await tx.execute(update(Agent).where(Agent.id == guest.owner.id).values(role=Role.ADMIN))
    assert await refused(app, guest, code, browser) == "not_administrator"


async def test_a_store_joins_no_workspace_that_it_is_in(app: App, merchant: Make) -> None:
    host = await merchant("kad")
    browser = joining.new_browser()
    assert await refused(app, host, await code_of(app, host, browser), browser) == "same_workspace"


async def test_a_store_that_is_already_elsewhere_is_not_here_to_give(app: App, merchant: Make) -> None:
    guest, host, third = await merchant("oud"), await merchant("kad"), await merchant("third")
    await joined(app, guest, host)
    browser = joining.new_browser()
    code = await code_of(app, third, browser)
    # The administrator's page still speaks of the workspace that the store left.
    assert await refused(app, guest, code, browser) in {"not_administrator", "store_gone"}
    # And nobody connects it anew past the one who has it.
    async with app.db.transaction(third.workspace_id) as tx:
        profile = stores.StoreProfile("x", "https://x.example", (), "SAR", 2, "UTC", "ar")
        with pytest.raises(stores.Conflict) as taken:
            await stores.connect(tx, platform="shopify", external_id=guest.store.external_id, profile=profile)
    assert taken.value.code == "store_taken"


async def test_an_uninstalled_store_joins_nothing(app: App, merchant: Make) -> None:
    guest, host = await merchant("oud"), await merchant("kad")
    browser = joining.new_browser()
    code = await code_of(app, host, browser)
    async with app.db.transaction(guest.workspace_id) as tx:
        store = await tx.get(Store, guest.store.id, lock=True)
        assert store is not None
        await stores.uninstalled(tx, store, datetime.now(UTC))
    assert await refused(app, guest, code, browser) == "store_gone"


async def test_two_owners_at_once_get_one_store_once(app: App, merchant: Make) -> None:
    guest, host, third = await merchant("oud"), await merchant("kad"), await merchant("third")
    one, two = joining.new_browser(), joining.new_browser()
    codes = [(await code_of(app, host, one), one), (await code_of(app, third, two), two)]
    answers = await asyncio.gather(
        *(joining.agree(app, guest.side, code, browser) for code, browser in codes), return_exceptions=True
    )
    went = [answer for answer in answers if isinstance(answer, tuple)]
    kept = [answer for answer in answers if isinstance(answer, joining.JoinError)]
    assert (len(went), [error.code for error in kept]) == (1, ["store_moving"])
    assert await run_move(app, *went[0]) == joining.DONE
    assert await app.db.lookup("widget", guest.store.public_key) == [(went[0][0], guest.store.id)]


async def test_one_code_confirmed_twice_at_once_counts_once(app: App, merchant: Make) -> None:
    guest, host, third = await merchant("oud"), await merchant("kad"), await merchant("third")
    browser = joining.new_browser()
    code = await code_of(app, host, browser)
    answers = await asyncio.gather(
        *(joining.agree(app, one.side, code, browser) for one in (guest, third)), return_exceptions=True
    )
    went = [answer for answer in answers if isinstance(answer, tuple)]
    (kept,) = [answer for answer in answers if isinstance(answer, joining.JoinError)]
    assert len(went) == 1
    assert kept.code in {"used", "wrong_code"}
    for one in (guest, third):
        async with app.db.transaction(one.workspace_id) as tx:
            assert len((await tx.scalars(select(joining.StoreMove))).all()) == (
                await tx.scalar(text("SELECT count(*) FROM stores WHERE moving_since IS NOT NULL"))
            )


async def test_guesses_are_counted(app: App, merchant: Make) -> None:
    guest = await merchant("oud", talk=False)
    for _guess in range(10):
        await joining.count_try(app, guest.side)
    with pytest.raises(TooMany):
        await joining.count_try(app, guest.side)


async def test_the_stores_word_is_sealed_and_short_lived(app: App, merchant: Make) -> None:
    guest = await merchant("oud", talk=False)
    word = joining.store_side(app.vault, guest.owner, guest.store.id)
    assert joining.read_side(app.vault, word) == guest.side
    late = app.vault.sign("store's side of a join", {"w": guest.workspace_id.hex, "s": "", "a": ""}, -1)
    for bad in ("", word + "x", late, team.hand_over(app.vault, guest.owner)):
        with pytest.raises(joining.JoinError) as error:
            joining.read_side(app.vault, bad)
        assert error.value.code == "stale_side"


async def test_a_store_that_is_alone_has_nothing_to_leave(app: App, merchant: Make) -> None:
    host = await merchant("kad")
    with pytest.raises(joining.JoinError) as error:
        await joining.part(app, host.workspace_id, host.store.id, by=host.owner.id)
    assert error.value.code == "alone"


async def test_a_store_joins_leaves_and_joins_again(app: App, merchant: Make) -> None:
    guest, host = await merchant("oud"), await merchant("kad")
    await joined(app, guest, host)
    own = await parted(app, host, guest.store.id)
    async with app.db.transaction(own) as tx:
        await tx.execute(update(Agent).where(Agent.id == guest.owner.id).values(role=Role.OWNER))
    guest.workspace_id = own
    await joined(app, guest, host)
    assert await app.db.lookup("widget", guest.store.public_key) == [(host.workspace_id, guest.store.id)]


async def test_everything_that_is_agreed_is_told(app: App, merchant: Make) -> None:
    guest, host = await merchant("oud"), await merchant("kad")
    move_id = await agreed(app, guest, host)
    assert await run_move(app, host.workspace_id, move_id) == joining.DONE
    await parted(app, host, guest.store.id)
    async with app.db.transaction(host.workspace_id) as tx:
        kinds = "kind LIKE 'store.jo%' OR kind LIKE 'store.le%'"
        told = list(await tx.execute(text(f"SELECT kind, actor FROM events WHERE {kinds} ORDER BY at, id")))
    owner = f"agent:{host.owner.id}"
    assert [tuple(row) for row in told] == [
        ("store.join_code_made", owner), ("store.join_agreed", f"agent:{guest.owner.id}"), ("store.left", owner),
    ]  # fmt: skip
