"""The short address `/returns`: made, seen, taken away, and left alone where somebody else's stands."""

from integrations.shopify.redirect_queries import NAVIGATION
from integrations.shopify.simulator import redirects
from plugin.platform import ShortAddress
from tests.integrations.shopify.conftest import World

TARGET = "/apps/support/returns"


async def test_without_the_permission_it_is_asked_for(world: World) -> None:
    connection = await world.connect()
    wanted = ShortAddress("/returns", TARGET, ask=NAVIGATION)
    assert await world.platform.short_address(connection) == wanted
    assert await world.platform.give_short_address(connection, on=True) == wanted
    assert world.sim.shop.state.all("redirects") == []
    found = {one.code: one for one in await world.platform.check(connection)}
    assert (found["navigation_untouched"].ok, found["navigation_untouched"].ask) == (False, NAVIGATION)


async def test_it_is_made_once_and_taken_away(world: World) -> None:
    connection = await world.connect(scopes=[NAVIGATION])
    for _time in range(2):
        assert (await world.platform.give_short_address(connection, on=True)).ours
    (held,) = world.sim.shop.state.all("redirects")
    assert (held["path"], held["target"]) == ("/returns", TARGET)
    assert (await world.platform.short_address(connection)).ours
    for _time in range(2):
        assert not (await world.platform.give_short_address(connection, on=False)).ours
    assert world.sim.shop.state.all("redirects") == []


async def test_what_somebody_else_made_stays(world: World) -> None:
    connection = await world.connect(scopes=[NAVIGATION])
    redirects.create(world.sim.shop, {"path": "/returns-and-more", "target": "/pages/more"})
    assert not (await world.platform.short_address(connection)).other, "it only begins so"
    redirects.create(world.sim.shop, {"path": "/returns", "target": "/pages/policy"})
    for on in (True, False):
        assert (await world.platform.give_short_address(connection, on=on)).other == "/pages/policy"
    assert redirects.target_of(world.sim.shop, "/returns") == "/pages/policy"


async def test_a_refusal_is_told_in_the_stores_words(world: World) -> None:
    connection = await world.connect(scopes=[NAVIGATION])
    seen = world.platform.short_address
    redirects.create(world.sim.shop, {"path": "/returns", "target": "/pages/policy"})
    answers = [ShortAddress("/returns", TARGET)]

    async def late(held: object) -> ShortAddress:
        return answers.pop() if answers else await seen(connection)

    world.platform.short_address = late
    told = await world.platform.give_short_address(connection, on=True)
    assert (told.said, told.other) == ("Path has already been taken", "/pages/policy")
