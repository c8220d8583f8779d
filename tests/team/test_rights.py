"""What may be given back, taken out and set: by role, by right, up to an amount; and who may give a right on."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugin import team
from plugin.app import App
from plugin.kernel.errors import Forbidden
from plugin.kernel.money import Money, exponent_of
from plugin.team import ALLOWED, EVERYTHING, GIVEN, Agent, Permission, Rights, Role, audit
from plugin.team.audit import Wanted
from tests.team.conftest import Hire

CURRENCIES = st.sampled_from(["SAR", "ILS", "USD", "JPY", "KWD"])
REFUND = frozenset({Permission.REFUND})


def money(units: str, currency: str = "SAR", exponent: int | None = None) -> Money:
    exponent = exponent_of(currency) if exponent is None else exponent
    return Money(int(Decimal(units).scaleb(exponent)), currency, exponent)


NONE = Rights()


def agent(role: Role, rights: Rights = NONE) -> Agent:
    return Agent(
        name="x", role=role.value, rights=sorted(rights.given), refund_unlimited=rights.unlimited,
        refund_limits=dict(rights.limits),
    )  # fmt: skip


@pytest.mark.parametrize("role", [Role.ADMIN, Role.AGENT, Role.LIGHT])
def test_no_role_but_the_owners_moves_money_by_itself(role: Role) -> None:
    assert not agent(role).may(Permission.REFUND)
    assert not agent(role).may_refund(money("0.01"))
    assert agent(Role.OWNER).may_refund(money("99999999"))


def test_an_agent_has_no_separate_right_before_it_is_given() -> None:
    assert not [right for right in GIVEN if agent(Role.AGENT).may(right)]
    for right in GIVEN:
        one = agent(Role.AGENT, Rights(frozenset({right}), unlimited=True))
        assert [other for other in GIVEN if one.may(other)] == [right]


def test_a_limit_counts_to_the_last_unit_in_its_own_currency_only() -> None:
    noa = agent(Role.AGENT, Rights(REFUND, limits={"SAR": 10000, "KWD": 5000}))
    assert noa.may_refund(money("100.00"))
    assert not noa.may_refund(money("100.01"))
    assert noa.may_refund(money("5.000", "KWD"))
    assert not noa.may_refund(money("0.01", "ILS")), "no limit in a currency is no money in it"
    assert noa.may_refund(money("100.000", "SAR", 3)), "a shop that writes more decimals means the same amount"
    assert not noa.may_refund(money("100.001", "SAR", 3))


def test_what_went_back_on_the_order_before_counts() -> None:
    noa = agent(Role.AGENT, Rights(REFUND, limits={"SAR": 10000}))
    assert noa.may_refund(money("40"), already=money("60"))
    assert not noa.may_refund(money("40.01"), already=money("60"))
    with pytest.raises(ValueError, match="cannot combine"):
        noa.may_refund(money("40"), already=money("60", "ILS"))


@pytest.mark.parametrize("amount", ["0", "-5"])
def test_nothing_and_less_than_nothing_is_no_refund(amount: str) -> None:
    assert not agent(Role.OWNER).may_refund(money(amount))


limits = st.dictionaries(CURRENCIES, st.integers(0, 10**9), max_size=3)
rights = st.builds(Rights, st.frozensets(st.sampled_from(GIVEN)), st.booleans(), limits)


@given(rights, CURRENCIES, st.integers(1, 10**9))
def test_a_refund_is_allowed_exactly_up_to_the_limit(held: Rights, currency: str, amount: int) -> None:
    wanted = Money(amount, currency, exponent_of(currency))
    expected = Permission.REFUND in held.given and (held.unlimited or amount <= held.limits.get(currency, -1))
    assert agent(Role.AGENT, held).may_refund(wanted) is expected


@given(rights, rights, CURRENCIES, st.integers(1, 10**9))
def test_rights_that_are_not_beyond_others_allow_nothing_more(one: Rights, other: Rights, currency: str,
                                                              amount: int) -> None:  # fmt: skip
    if one.beyond(other):
        return
    assert one.given <= other.given
    wanted = Money(amount, currency, exponent_of(currency))
    assert not one.refunds(wanted) or other.refunds(wanted)


def test_the_owner_has_every_permission_there_is() -> None:
    assert ALLOWED[Role.OWNER] == set(Permission)
    assert not EVERYTHING.beyond(EVERYTHING)


# Giving


async def give(app: App, workspace: UUID, to: Agent, what: Rights, by: Agent) -> Agent:
    async with app.db.transaction(workspace) as tx:
        row, giver = await tx.get(Agent, to.id, lock=True), await tx.get(Agent, by.id)
        assert row is not None
        assert giver is not None
        await team.give_rights(tx, row, what, by=giver)
        return row


async def test_an_owner_gives_rights_and_the_log_says_what_changed(
    app: App, workspace: UUID, hire: Hire, owner: Agent
) -> None:
    noa = await hire(Role.AGENT)
    what = Rights(REFUND | {Permission.EXPORT}, limits={"SAR": 20000})
    noa = await give(app, workspace, noa, what, owner)
    assert noa.beside == what
    assert noa.may_refund(money("200"))
    async with app.db.transaction(workspace) as tx:
        (entry,) = await audit.entries(tx, Wanted(topic="team"))
    assert (entry.kind, entry.agent_id, entry.subject_id) == ("team.rights_changed", owner.id, noa.id)
    assert entry.changes == {"refund": [False, "200.00 SAR"], "export": [False, True]}


async def test_nobody_gives_what_they_do_not_have(app: App, workspace: UUID, hire: Hire, owner: Agent) -> None:
    karim, noa = await hire(Role.ADMIN), await hire(Role.AGENT)
    for beyond in (Rights(REFUND, unlimited=True), Rights(REFUND, limits={"SAR": 1})):
        with pytest.raises(Forbidden):
            await give(app, workspace, noa, beyond, karim)
    await give(app, workspace, noa, Rights(frozenset({Permission.EXPORT})), karim)
    await give(app, workspace, karim, Rights(REFUND, limits={"SAR": 5000}), owner)
    noa = await give(app, workspace, noa, Rights(REFUND, limits={"SAR": 5000}), karim)
    with pytest.raises(Forbidden):
        await give(app, workspace, noa, Rights(REFUND, limits={"SAR": 5001}), karim)
    with pytest.raises(Forbidden):
        await give(app, workspace, noa, Rights(REFUND, limits={"SAR": 100, "ILS": 1}), karim)


async def test_what_an_owner_gave_stays_when_an_admin_saves_the_rest(
    app: App, workspace: UUID, hire: Hire, owner: Agent
) -> None:
    karim, noa = await hire(Role.ADMIN), await hire(Role.AGENT)
    await give(app, workspace, noa, Rights(REFUND, unlimited=True), owner)
    noa = await give(app, workspace, noa, Rights(REFUND | {Permission.EXPORT}, unlimited=True), karim)
    assert noa.beside == Rights(REFUND | {Permission.EXPORT}, unlimited=True)
    noa = await give(app, workspace, noa, Rights(), karim)
    assert noa.beside == Rights()


async def test_nobody_decides_about_themselves_or_their_betters(
    app: App, workspace: UUID, hire: Hire, owner: Agent
) -> None:
    karim, noa = await hire(Role.ADMIN), await hire(Role.AGENT)
    for to, by in ((karim, karim), (owner, karim), (karim, noa), (owner, owner)):
        with pytest.raises(Forbidden):
            await give(app, workspace, to, Rights(frozenset({Permission.EXPORT})), by)


async def test_a_smaller_role_takes_the_rights_along(app: App, workspace: UUID, hire: Hire, owner: Agent) -> None:
    karim = await hire(Role.ADMIN)
    await give(app, workspace, karim, Rights(REFUND, unlimited=True), owner)
    async with app.db.transaction(workspace) as tx:
        row = await tx.get(Agent, karim.id, lock=True)
        assert row is not None
        await team.change_role(tx, row, Role.OWNER, by=owner)
        assert row.beside.unlimited
        await team.change_role(tx, row, Role.AGENT, by=owner)
        assert row.beside == Rights()
        assert not row.may_refund(money("0.01"))


async def test_who_is_let_go_may_nothing(app: App, workspace: UUID, hire: Hire, owner: Agent) -> None:
    noa = await hire(Role.AGENT)
    await give(app, workspace, noa, Rights(frozenset(GIVEN), unlimited=True), owner)
    async with app.db.transaction(workspace) as tx:
        row = await tx.get(Agent, noa.id, lock=True)
        assert row is not None
        await team.deactivate(tx, row, by=owner)
        assert not [permission for permission in Permission if row.may(permission)]
        assert not row.may_refund(money("1"))
