"""WordPress's own tools for personal data, over what Ahlan holds."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import func, select

from plugin.conversations.conversations import Conversation
from plugin.crm.carts import Cart
from tests.wordpress.conftest import Shop, Visitor, chat_of, until
from tests.wordpress.test_carts import Classic, deliver, waiting

_TURNS = """
$all = apply_filters( "wp_privacy_personal_data_$tool", array() );
$said = array();
for ( $page = 1; $page <= 20; $page++ ) {
	$answer = call_user_func( $all['wc-ahlan']['callback'], $email, $page );
	$said[] = $answer;
	if ( $answer['done'] ) { break; }
}
return $said;
"""


async def turn(shop: Shop, tool: str, email: str) -> list[dict[str, Any]]:
    """The tool's pages, asked for one after another until it is done, as WordPress does it."""
    return list(await shop.site.run(_TURNS, tool=tool, email=email))


async def person(shop: Shop, visitor: Callable[[], Visitor], login: str) -> str:
    """A fresh customer who has written, with a cart that Ahlan knows and one that it does not know yet."""
    email = f"{login}@customers.example"
    await shop.site.run(
        "return wp_insert_user( array( 'user_login' => $login, 'user_pass' => 'a-password-for-tests',"
        " 'user_email' => $email, 'display_name' => $login, 'role' => 'customer' ) );",
        login=login, email=email,
    )  # fmt: skip
    browser = visitor()
    await browser.sign_in(shop.site, login)
    await Classic(shop, browser).add("soap", 1)
    await deliver(shop.site)
    await chat_of(shop, browser, f"my parcel was opened, says {login}")
    await Classic(shop, browser).add("oil", 1)
    return email


async def test_the_export_holds_what_ahlan_holds(shop: Shop, visitor: Callable[[], Visitor]) -> None:
    email = await person(shop, visitor, "salma")
    said = await turn(shop, "exporters", email)
    assert said[-1]["done"] is True
    items = [item for page in said for item in page["data"]]
    assert {"ahlan-messages", "ahlan-conversations", "ahlan-profiles"} <= {item["group_id"] for item in items}
    values = [str(pair["value"]) for item in items for pair in item["data"]]
    assert any("my parcel was opened, says salma" in value for value in values)
    assert any(email in value for value in values)
    assert not any("layla" in value for value in values), "nobody else's"


async def test_a_stranger_is_not_known(shop: Shop) -> None:
    said = await turn(shop, "exporters", "stranger@nowhere.example")
    assert said[-1]["done"] is True
    assert [item for page in said for item in page["data"] if item["group_id"] != "ahlan-notice"] == []


async def test_the_erasure_forgets_here_and_there(shop: Shop, visitor: Callable[[], Visitor]) -> None:
    email = await person(shop, visitor, "yael")
    assert [event for event in await waiting(shop.site) if event["cart"]["email"] == email]

    async def held() -> int:
        async with shop.ahlan.app.db.transaction(shop.store.workspace_id) as tx:
            carts = select(func.count()).select_from(Cart).where(
                Cart.workspace_id == shop.store.workspace_id, Cart.email == email
            )  # fmt: skip
            talks = select(func.count()).select_from(Conversation).where(
                Conversation.workspace_id == shop.store.workspace_id, Conversation.preview.contains("says yael")
            )  # fmt: skip
            return int(await tx.scalar(carts) or 0) + int(await tx.scalar(talks) or 0)

    async def known() -> bool:
        return await held() > 0

    await until(known, "something to forget")
    said = await turn(shop, "erasers", email)
    assert (said[-1]["done"], said[-1]["items_retained"]) == (True, False)
    assert any(page["items_removed"] for page in said)
    assert [event for event in await waiting(shop.site) if event["cart"]["email"] == email] == []

    async def gone() -> bool:
        return await held() == 0

    await until(gone, "the erasure")


async def test_while_ahlan_is_away_the_tools_say_so(shop: Shop) -> None:
    async with shop.ahlan.away():
        exported = await turn(shop, "exporters", "layla@customers.example")
        erased = await turn(shop, "erasers", "stranger@nowhere.example")
    assert [item["group_id"] for item in exported[-1]["data"]] == ["ahlan-notice"]
    assert erased[-1]["items_retained"] is True
    assert erased[-1]["messages"]


async def test_there_are_words_for_the_privacy_policy(shop: Shop) -> None:
    page = await shop.owner.get(f"{shop.site.url}/wp-admin/options-privacy.php?tab=policyguide")
    assert "We answer questions through a chat that Ahlan provides." in page.text
