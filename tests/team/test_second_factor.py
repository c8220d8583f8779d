"""The second step: codes of an app that count once, recovery codes that count once, and nothing readable at rest."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pyotp
import pytest
from sqlalchemy import text

from plugin import team
from plugin.app import App
from plugin.kernel.errors import Conflict, Forbidden
from plugin.team import Agent, Role, second_factor
from plugin.workspaces import current
from tests.team.conftest import Hire

NOW = datetime(2026, 11, 22, 9, 30, 10, tzinfo=UTC)


async def switch_on(app: App, agent: Agent, now: datetime = NOW) -> tuple[str, list[str]]:
    """The agent's secret and recovery codes."""
    async with app.db.transaction(agent.workspace_id) as tx:
        secret = await second_factor.begin_factor(tx, app.vault, agent)
        cookie = await team.open_session(tx, agent, "test")
        held = await team.session_agent(tx, cookie)
        assert held is not None
        code = pyotp.TOTP(secret).at(now)
        codes = await second_factor.confirm_factor(tx, app.vault, agent, code, now, session_id=held[0].id)
    assert codes is not None
    return secret, codes


async def proves(app: App, agent: Agent, code: str, now: datetime) -> bool:
    async with app.db.transaction(agent.workspace_id) as tx:
        return await second_factor.proves(tx, app.vault, agent, code, now)


async def test_a_code_counts_once_and_none_before_it_any_more(app: App, owner: Agent) -> None:
    secret, _codes = await switch_on(app, owner)
    app_ = pyotp.TOTP(secret)
    assert not await proves(app, owner, app_.at(NOW), NOW), "the code that switched it on was used"
    later = NOW + timedelta(seconds=90)
    assert await proves(app, owner, f" {app_.at(later)[:3]} {app_.at(later)[3:]} ", later), "typed with a gap"
    assert not await proves(app, owner, app_.at(later), later), "replayed"
    much_later = later + timedelta(hours=1)
    arabic = app_.at(much_later).translate(str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩"))
    assert await proves(app, owner, arabic, much_later), "typed on an Arabic keyboard"
    assert not await proves(app, owner, app_.at(later - timedelta(seconds=30)), later), "older than the last one"


@pytest.mark.parametrize(("seconds", "good"), [(-60, False), (-30, True), (0, True), (30, True), (60, False)])
async def test_a_clock_may_be_half_a_minute_off(app: App, owner: Agent, seconds: int, good: bool) -> None:
    secret, _codes = await switch_on(app, owner)
    later = NOW + timedelta(hours=1)
    code = pyotp.TOTP(secret).at(later + timedelta(seconds=seconds))
    assert await proves(app, owner, code, later) is good


async def test_of_two_requests_with_one_code_one_wins(app: App, owner: Agent) -> None:
    secret, _codes = await switch_on(app, owner)
    later = NOW + timedelta(hours=1)
    code = pyotp.TOTP(secret).at(later)
    answers = await asyncio.gather(*(proves(app, owner, code, later) for _ in range(5)))
    assert sorted(answers) == [False] * 4 + [True]


@pytest.mark.parametrize("typed", ["", "12345", "1234567", "abcdef", "0" * 40, "-1", "000000\n"])
async def test_what_is_no_code_proves_nothing(app: App, owner: Agent, typed: str) -> None:
    secret, _codes = await switch_on(app, owner)
    later = NOW + timedelta(hours=1)
    near = {pyotp.TOTP(secret).at(later + timedelta(seconds=seconds)) for seconds in (-30, 0, 30)}
    assert typed.strip() not in near, "one in a million"
    assert not await proves(app, owner, typed, later)


async def test_a_recovery_code_counts_once_also_without_its_dashes(app: App, owner: Agent) -> None:
    _secret, codes = await switch_on(app, owner)
    assert len(set(codes)) == second_factor.RECOVERY_CODES
    assert await proves(app, owner, codes[0].replace("-", "").upper(), NOW)
    assert not await proves(app, owner, codes[0], NOW)
    async with app.db.transaction(owner.workspace_id) as tx:
        assert await second_factor.codes_left(tx, owner) == len(codes) - 1
        fresh = await second_factor.renew_codes(tx, app.vault, owner)
    assert not await proves(app, owner, codes[1], NOW), "the old ones are gone"
    assert await proves(app, owner, fresh[1], NOW)


async def test_another_agents_codes_prove_nothing(app: App, owner: Agent, hire: Hire) -> None:
    noa = await hire(Role.AGENT)
    secret, codes = await switch_on(app, owner)
    await switch_on(app, noa)
    later = NOW + timedelta(hours=1)
    assert not await proves(app, noa, codes[0], later)
    assert not await proves(app, noa, pyotp.TOTP(secret).at(later), later)


async def test_nothing_of_it_can_be_read_at_rest(app: App, owner: Agent) -> None:
    secret, codes = await switch_on(app, owner)
    async with app.db.transaction(owner.workspace_id) as tx:
        held = ""
        for table in ("second_factors", "recovery_codes", "audit_log", "events"):
            held += "".join(await tx.scalars(text(f"SELECT t::text FROM {table} t")))
    assert held
    for hidden in (secret, secret.lower(), secret.encode().hex(), *codes, *(code.replace("-", "") for code in codes)):
        assert hidden not in held


async def test_before_its_first_code_it_is_not_on(app: App, owner: Agent) -> None:
    async with app.db.transaction(owner.workspace_id) as tx:
        secret = await second_factor.begin_factor(tx, app.vault, owner)
        assert await second_factor.unconfirmed(tx, app.vault, owner) == secret
        assert await second_factor.factor(tx, owner.id) is None
    assert not await proves(app, owner, pyotp.TOTP(secret).at(NOW), NOW)


async def test_switching_it_on_ends_the_other_sessions_and_it_cannot_begin_twice(app: App, owner: Agent) -> None:
    async with app.db.transaction(owner.workspace_id) as tx:
        elsewhere = await team.open_session(tx, owner, "test")
    await switch_on(app, owner)
    async with app.db.transaction(owner.workspace_id) as tx:
        assert await team.session_agent(tx, elsewhere) is None
        (here,) = await team.sessions(tx, owner)
        assert here.second_factor
        with pytest.raises(Conflict):
            await second_factor.begin_factor(tx, app.vault, owner)


async def test_where_the_role_needs_it_it_cannot_be_switched_off(app: App, owner: Agent) -> None:
    await switch_on(app, owner)
    async with app.db.transaction(owner.workspace_id) as tx:
        shop = await current(tx)
        assert shop is not None
        await second_factor.require_factor(tx, shop, [Role.OWNER], by=owner)
        with pytest.raises(Conflict):
            await second_factor.drop_factor(tx, shop, owner)
        await second_factor.require_factor(tx, shop, [], by=owner)
        await second_factor.drop_factor(tx, shop, owner)
        assert await second_factor.factor(tx, owner.id) is None


async def test_a_lost_phone_is_reset_by_whoever_runs_the_team(app: App, owner: Agent, hire: Hire) -> None:
    karim, noa = await hire(Role.ADMIN), await hire(Role.AGENT)
    await switch_on(app, noa)
    await switch_on(app, owner)
    async with app.db.transaction(owner.workspace_id) as tx:
        with pytest.raises(Forbidden):
            await second_factor.reset_factor(tx, owner, by=karim)
        with pytest.raises(Forbidden):
            await second_factor.reset_factor(tx, karim, by=noa)
        with pytest.raises(Forbidden):
            await second_factor.reset_factor(tx, owner, by=owner)
        await second_factor.reset_factor(tx, noa, by=karim)
        assert await second_factor.agents_with_factor(tx) == {owner.id}
        assert await team.sessions(tx, noa) == []


def test_what_the_qr_code_says_names_us_and_the_account() -> None:
    noa = Agent(name="נועה", email="noa@shop.example")
    address = second_factor.otpauth(noa, "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")
    assert address.startswith("otpauth://totp/Ahlan:noa%40shop.example?")
    assert "issuer=Ahlan" in address


async def test_every_part_is_of_one_workspace_only(app: App, owner: Agent, other_workspace: UUID) -> None:
    await switch_on(app, owner)
    async with app.db.transaction(other_workspace) as tx:
        assert await second_factor.factor(tx, owner.id) is None
        assert await second_factor.agents_with_factor(tx) == set()
