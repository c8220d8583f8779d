"""Who is on a storefront now: seen only where the shop and its visitor agree, kept briefly, told to nobody else."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any
from uuid import uuid4

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from plugin.app import App
from plugin.conversations import first_word, visits, waiting
from plugin.conversations.conversations import Conversation, Status
from plugin.conversations.messages import Message
from plugin.conversations.visits import Rules, Visit, country_of, device_of
from plugin.crm.visitors import Visitor
from plugin.kernel.errors import AhlanError, Conflict, NotFound
from plugin.stores import Store
from plugin.team import Agent

SHOP = "https://dukkan.example"
PHONE = "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 Chrome/142.0 Mobile Safari/537.36"
YES: dict[str, Any] = {"consent": {"analytics": True}}


class Page:
    """A storefront page with the loader on it."""

    def __init__(self, site: Any, store: Store) -> None:
        self.site, self.store = site, store
        self.secret: str | None = None
        self.http = httpx.AsyncClient(
            base_url=site.url, timeout=20,
            headers={"origin": SHOP, "user-agent": PHONE, "accept-language": "ar-SA,ar;q=0.9"},
        )  # fmt: skip

    def body(self, path: str = "/lamps", **more: Any) -> bytes:
        told = {"store": self.store.public_key, "secret": self.secret, "url": f"{SHOP}{path}", "title": "Lamps",
                "zone": "Asia/Riyadh", **YES, **more}  # fmt: skip
        return json.dumps({name: value for name, value in told.items() if value is not None}).encode()

    @contextlib.asynccontextmanager
    async def view(self, path: str = "/lamps", **more: Any) -> AsyncIterator[httpx.Response]:
        """The page is open for as long as the block lasts."""
        headers = {"content-type": "text/plain", **more.pop("headers", {})}
        async with self.http.stream("POST", "/widget/visit", content=self.body(path, **more), headers=headers) as said:
            self.secret = said.headers.get("ahlan-secret", self.secret)
            yield said

    async def status(self, **more: Any) -> int:
        async with self.view(**more) as said:
            return said.status_code

    async def seen(self) -> list[Visit]:
        return list(await visits.here(self.site.app.hub, self.store.workspace_id))


@pytest.fixture
async def page(site: Any, store: Store) -> AsyncIterator[Page]:
    page = Page(site, store)
    yield page
    await page.http.aclose()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plugin.widget.visits.WAIT_SECONDS", 4.0)
    monkeypatch.setattr("plugin.widget.visits._TELL_SECONDS", 0.0)
    monkeypatch.setattr("plugin.widget.visits._RULES_SECONDS", 0)


async def set_rules(page: Page, rules: Rules) -> None:
    async with page.site.app.db.transaction(page.store.workspace_id) as tx:
        store = await tx.get(Store, page.store.id)
        store.widget = {**store.widget, "visits": asdict(rules)}


async def write(
    page: Page, noa: Agent, visit: Visit | None, text: str = "Hello", *, seen: int = 0, client_id: Any = None
) -> Any:
    async with page.site.app.db.transaction(page.store.workspace_id) as tx:
        store = await tx.get(Store, page.store.id)
        return await first_word.write(tx, store, visit, noa, client_id or uuid4(), text, seen=seen)


async def test_a_page_view_is_seen_and_leaves_no_row(page: Page) -> None:
    more = {"referrer": "www.google.com", "cart": "c1-abcdef012345"}
    async with page.view(**more) as said:
        assert said.status_code == 200
        assert said.headers["access-control-allow-origin"] == SHOP
        [visit] = await page.seen()
    assert (visit.url, visit.title, visit.referrer, visit.cart) == (
        f"{SHOP}/lamps", "Lamps", "www.google.com", "c1-abcdef012345",
    )  # fmt: skip
    assert (visit.country, visit.country_by, visit.language, visit.device) == ("SA", "zone", "ar-SA", "phone")
    assert (visit.times, visit.pages) == (1, 1)
    async with page.site.app.db.transaction(page.store.workspace_id) as tx:
        assert await tx.scalar(select(func.count()).select_from(Visitor)) == 0


async def test_the_same_browser_goes_on(page: Page) -> None:
    async with page.view(referrer="www.google.com"):
        pass
    async with page.view("/cups", referrer="dukkan.example"):
        [visit] = await page.seen()
    assert (visit.url, visit.pages, visit.times, visit.referrer) == (f"{SHOP}/cups", 2, 1, "www.google.com")


async def test_who_comes_back_another_day_is_known_to_have_been_here(page: Page, valkey: Any) -> None:
    async with page.view():
        pass
    for key in await valkey.keys("visit:*"):
        await valkey.delete(key)
    async with page.view():
        [visit] = await page.seen()
    assert visit.times == 2
    await set_rules(page, Rules(days=0))
    for key in await valkey.keys("visit*"):
        await valkey.delete(key)
    before = page.secret
    async with page.view():
        [visit] = [one for one in await page.seen() if one.times == 1]
    assert page.secret != before, "a browser that nobody remembers is a new one"
    assert not await valkey.keys(f"visited:*{visit.key}")


@pytest.mark.parametrize(
    ("following", "consent", "seen"),
    [("off", True, False), ("asked", True, True), ("asked", None, False), ("asked", False, False), ("all", None, True),
     ("all", True, True), ("all", False, False)],
)  # fmt: skip
async def test_only_who_may_be_seen(page: Page, following: Any, consent: bool | None, seen: bool) -> None:
    await set_rules(page, Rules(following=following))
    async with page.view(consent={"analytics": consent} if consent is not None else {}) as said:
        assert ("access-control-allow-origin" in said.headers) == seen
        assert said.status_code == (200 if seen else 403)
        assert bool(await page.seen()) == seen


async def test_the_loader_of_a_store_knows_whether_to_ask(page: Page) -> None:
    async def loader() -> str:
        return (await page.http.get("/widget/loader.js", params={"store": page.store.public_key})).text

    assert '"asked"==="all"' in await loader()
    await set_rules(page, Rules("all"))
    assert '"all"==="all"' in await loader()
    await set_rules(page, Rules("off"))
    assert 'if(!""||' in await loader()
    assert "dataset" in (await page.http.get("/widget/loader.js?store=st_unknown")).text


@pytest.mark.parametrize("origin", ["https://evil.example", "null", ""])
async def test_another_site_sees_and_is_seen_nothing(page: Page, origin: str) -> None:
    async with page.view(headers={"origin": origin}) as said:
        assert said.status_code == 403
        assert "access-control-allow-origin" not in said.headers
    assert await page.seen() == []


async def test_nobody_chooses_their_own_secret(page: Page) -> None:
    page.secret = "vs_" + "a" * 43
    async with page.view():
        assert page.secret != "vs_" + "a" * 43
        assert page.secret.startswith("vs_")


async def test_machines_and_nonsense_are_not_visitors(page: Page) -> None:
    assert await page.status(headers={"user-agent": "Googlebot/2.1"}) == 404
    assert await page.status(headers={"sec-purpose": "prefetch;prerender"}) == 404
    for body, status in ((b"{", 422), (b"x" * 3000, 413), (b'{"store":"st_none"}', 404)):
        answer = await page.http.post("/widget/visit", content=body, headers={"content-type": "text/plain"})
        assert (answer.status_code, "access-control-allow-origin" in answer.headers) == (status, False)
    assert await page.seen() == []


async def test_a_browser_that_asks_all_the_time_is_refused_and_others_are_not(page: Page) -> None:
    await set_rules(page, Rules(first_word=False))
    said = {await page.status() for _ in range(70)}
    assert said == {200, 429}
    page.secret = None
    assert await page.status() == 200


async def test_a_closed_page_is_left(page: Page, valkey: Any) -> None:
    async with page.view():
        [visit] = await page.seen()
    group = f"here:{page.store.workspace_id}:visitors"
    before = (await page.site.app.hub.members(group))[0]
    async with asyncio.timeout(30):
        while await valkey.zscore(group, before) > visit.at + visits.LEAVING_SECONDS + 10:
            await asyncio.sleep(0.05)


async def test_panels_are_told_that_somebody_moved(page: Page) -> None:
    async with page.site.app.hub.listen(page.store.workspace_id, visits.TOPIC) as listener, page.view():
        async with asyncio.timeout(30):
            while (await listener.get())[0] != visits.TOPIC:
                pass


async def test_whoever_is_written_to_sees_it_on_the_page_they_are_on(page: Page, noa: Agent, browser: Any) -> None:
    async with page.view(cart="c1-abcdef012345") as said:
        [visit] = await page.seen()
        await asyncio.sleep(0.1)
        talk_id, new = await write(page, noa, visit, "Can I help?")
        answer = json.loads(await said.aread())
    assert new
    assert (answer["unread"], answer["text"]) == (1, "\u2068Noa\u2069: Can I help?")
    async with page.view() as again:
        assert json.loads(await again.aread())["text"].endswith("Can I help?"), "until it is read"
    browser.secret = page.secret
    await browser.open()
    assert browser.secret == page.secret
    assert browser.session["conversation"]["id"] == str(talk_id)
    assert (await browser.texts()) == ["Can I help?"]
    await browser.say("Yes please")
    async with page.site.app.db.transaction(page.store.workspace_id) as tx:
        talk = (await tx.scalars(select(Conversation))).one()
        assert (talk.status, talk.assignee_id, talk.begun_by_us) == (Status.OPEN, noa.id, True)
        assert talk.waiting_since is not None
        visitor = (await tx.scalars(select(Visitor).where(Visitor.id == talk.visitor_id))).one()
        assert visitor.page["url"] == f"{SHOP}/lamps"
        assert visitor.cart_token == "c1-abcdef012345"
    async with page.view() as later:
        assert json.loads(await later.aread()) == {"unread": 0, "text": ""}


async def test_two_agents_write_once(page: Page, noa: Agent) -> None:
    async with page.view():
        [visit] = await page.seen()
    client_id = uuid4()
    said = await asyncio.gather(
        write(page, noa, visit, "First", client_id=client_id), write(page, noa, visit, "Second"), return_exceptions=True
    )
    assert sorted(type(one).__name__ for one in said) == ["Conflict", "tuple"]
    async with page.site.app.db.transaction(page.store.workspace_id) as tx:
        assert len((await tx.scalars(select(Message))).all()) == 1
        assert len((await tx.scalars(select(Conversation))).all()) == 1
    with pytest.raises(Conflict):
        await write(page, noa, visit, "Third")


async def test_a_resend_is_the_same_message(page: Page, noa: Agent) -> None:
    async with page.view():
        [visit] = await page.seen()
    client_id = uuid4()
    first = await write(page, noa, visit, client_id=client_id)
    assert (await write(page, noa, visit, client_id=client_id))[0] == first[0]
    async with page.site.app.db.transaction(page.store.workspace_id) as tx:
        assert len((await tx.scalars(select(Message))).all()) == 1


async def test_who_left_waved_it_away_or_may_not_be_written_to_gets_nothing(page: Page, noa: Agent) -> None:
    with pytest.raises(NotFound) as gone:
        await write(page, noa, None)
    assert gone.value.code == "visitor_left"
    async with page.view(hush="1") as said:
        assert json.loads(await said.aread())["text"] == ""
        [visit] = await page.seen()
    assert visit.hush
    with pytest.raises(AhlanError):
        await write(page, noa, visit)
    visit.hush = False
    await set_rules(page, Rules(first_word=False))
    with pytest.raises(AhlanError):
        await write(page, noa, visit)
    async with page.site.app.db.transaction(page.store.workspace_id) as tx:
        assert (await tx.scalars(select(Message))).all() == []


async def test_a_first_word_does_not_count_as_a_quick_first_answer(page: Page, noa: Agent) -> None:
    async with page.view():
        [visit] = await page.seen()
    await write(page, noa, visit)
    async with page.site.app.db.transaction(page.store.workspace_id) as tx:
        assert (await waiting.usual(tx, page.store.id)).seconds is None


async def test_a_visitor_who_opens_the_chat_stays_the_one_that_was_seen(page: Page, browser: Any) -> None:
    async with page.view():
        pass
    browser.secret = page.secret
    await browser.open()
    assert browser.secret == page.secret
    browser.secret = "vs_" + "b" * 43
    await browser.open()
    assert browser.secret != "vs_" + "b" * 43


async def test_somebody_the_shop_knows_is_not_read_to_whoever_sits_there_later(
    page: Page, noa: Agent, browser: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with page.view():
        [visit] = await page.seen()
    browser.secret = page.secret
    await browser.open(identity="signed:7")
    page.secret = browser.secret
    await write(page, noa, visit, "Your order 1042 is on its way")
    async with page.view() as said:
        assert "1042" in json.loads(await said.aread())["text"]
    monkeypatch.setattr("plugin.conversations.first_word._PROVEN_FOR", -first_word._PROVEN_FOR)
    async with page.view() as said:
        assert json.loads(await said.aread()) == {"unread": 1, "text": ""}


async def test_without_valkey_nobody_is_here_and_nothing_fails(without_valkey: Any, store: Store) -> None:
    page = Page(without_valkey, store)
    await set_rules(page, Rules(first_word=False))
    assert await page.status() == 200
    assert await page.seen() == []
    await page.http.aclose()


async def test_another_workspace_sees_nobody(page: Page, app: App, other_workspace: Any) -> None:
    async with page.view():
        assert await visits.here(app.hub, other_workspace) == []


def test_a_country_is_a_guess_that_says_so() -> None:
    assert country_of("IL", "Asia/Riyadh", "en-US") == ("IL", "proxy")
    assert country_of("XX", "Asia/Calcutta", "en-US") == ("IN", "zone")
    assert country_of("", "Etc/UTC", "he-IL") == ("IL", "language")
    assert country_of("", "Mars/Phobos", "ar") == ("", "")


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40), st.text(max_size=200))
def test_whatever_a_browser_says_is_read(proxy: str, zone: str, language: str, agent: str) -> None:
    code, by = country_of(proxy, zone, language)
    assert bool(code) == bool(by)
    assert code == "" or (len(code) == 2 and code.isascii() and code.isupper())
    assert device_of({"user-agent": agent}) in ("phone", "tablet", "computer")


@given(
    st.dictionaries(
        st.sampled_from(["following", "first_word", "days"]), st.one_of(st.none(), st.text(), st.integers())
    )
)
def test_rules_are_always_good(kept: dict[str, Any]) -> None:
    found = visits.rules(Store(widget={"visits": kept}))
    assert found.following in visits.FOLLOWING
    assert found.days in visits.DAYS
    assert not found.allow(False)
