"""Loader, panel files and frame: cached as they may be, framed by the store's own pages only."""

import gzip
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text, update

from plugin.conversations import hours, teams
from plugin.conversations.hours import span
from plugin.conversations.teams import Team
from plugin.stores import Store


@pytest.fixture
def http(browser: Any) -> Any:
    return browser.http


async def test_loader(http: Any) -> None:
    loader = await http.get("/widget/loader.js")
    assert loader.status_code == 200
    assert loader.headers["content-type"].startswith("text/javascript")
    assert loader.headers["content-encoding"] == "gzip"
    assert loader.headers["cross-origin-resource-policy"] == "cross-origin"
    assert "max-age=3600" in loader.headers["cache-control"]
    assert len(gzip.compress(loader.content, 9)) <= 4000
    again = await http.get("/widget/loader.js", headers={"if-none-match": f"W/{loader.headers['etag']}"})
    assert (again.status_code, again.content) == (304, b"")
    plain = await http.get("/widget/loader.js", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == loader.content


async def frame(browser: Any, locale: str = "ar", **headers: str) -> Any:
    return await browser.http.get(
        "/widget/frame", params={"store": browser.store.public_key, "locale": locale}, headers=headers
    )


async def test_frame_is_for_the_stores_pages(browser: Any) -> None:
    page = await frame(browser)
    assert page.status_code == 200
    policy = page.headers["content-security-policy"]
    assert "frame-ancestors https://dukkan.example https://www.dukkan.example;" in policy + ";"
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert "x-frame-options" not in page.headers
    assert "set-cookie" not in page.headers
    assert page.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "origin", ["https://a.example; script-src *", "*", "https://a.example https://b.example", "javascript:1"]
)
async def test_an_origin_cannot_write_policy(browser: Any, origin: str) -> None:
    async with browser.site.app.db.transaction(browser.store.workspace_id) as tx:
        await tx.execute(update(Store).values(origins=[origin]))
    policy = (await frame(browser)).headers["content-security-policy"]
    assert policy.endswith("frame-ancestors 'none'")


@pytest.mark.parametrize(
    ("locale", "lang", "direction"),
    [("ar", "ar", "rtl"), ("he", "he", "rtl"), ("en", "en", "ltr"), ("xx", "en", "ltr")],
)
async def test_frame_speaks(browser: Any, locale: str, lang: str, direction: str) -> None:
    page = (await frame(browser, locale)).text
    assert f'lang="{lang}"' in page
    assert f'dir="{direction}"' in page
    config = json.loads(re.search(r'id="config"[^>]*>(.*?)</script>', page, re.DOTALL)[1])
    assert config["store"] == browser.store.public_key
    assert config["origins"] == ["https://dukkan.example", "https://www.dukkan.example"]
    assert config["max_text"] == 4000
    assert config["attachments"]["max_bytes"] == 10 * 1024 * 1024
    assert config["agents"] == 0
    assert config["strings"]["chat.send"]


async def test_the_frame_says_when_somebody_is_back(browser: Any) -> None:
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    week = [[span("12:00", "13:00")] if day == tomorrow.weekday() else [] for day in range(7)]
    async with browser.site.app.db.transaction(browser.store.workspace_id) as tx:
        await teams.save(tx, Team(name="Lunch", hours=hours.to_json(week, {}), languages=["ar"]))
    backs = []
    for locale in ("ar", "he"):
        page = (await frame(browser, locale)).text
        found = re.search(r'id="config"[^>]*>(.*?)</script>', page, re.DOTALL)
        assert found is not None
        backs.append(json.loads(found[1])["back_at"])
    assert backs == [f"{tomorrow}T12:00:00Z", None]


async def test_frame_names_files_that_are_there(browser: Any) -> None:
    page = (await frame(browser)).text
    named = set(re.findall(r'(?:src|href)="(/widget/static/[^"]+)"', page))
    assert any(name.endswith("main.js") for name in named)
    for name in named:
        file = await browser.http.get(name)
        assert file.status_code == 200, name
        assert "immutable" in file.headers["cache-control"]
        stale = await browser.http.get(re.sub(r"static/[^/]+", "static/0ld", name))
        assert "immutable" not in stale.headers["cache-control"]


@pytest.mark.parametrize("path", ["..%2froutes.py", "%2e%2e/routes.py", "panel/none.js", ""])
async def test_static_serves_nothing_else(browser: Any, path: str) -> None:
    assert (await browser.http.get(f"/widget/static/x/{path}")).status_code == 404


async def test_a_shown_frame_ticks_the_checklist(browser: Any) -> None:
    async def seen() -> Any:
        async with browser.site.app.db.transaction(browser.store.workspace_id) as tx:
            return await tx.scalar(select(Store.embed_seen_at))

    await frame(browser)
    assert await seen() is None, "opened as a page, not in a storefront"
    await frame(browser, **{"sec-fetch-dest": "iframe"})
    first = await seen()
    assert first is not None
    await frame(browser, **{"sec-fetch-dest": "iframe"})
    assert await seen() == first, "a busy storefront would write the row for every shopper"


async def test_a_shown_frame_has_the_store_looked_at_again(browser: Any) -> None:
    app, workspace_id = browser.site.app, browser.store.workspace_id

    async def asked() -> Any:
        async with app.db.queue.connect() as connection:
            jobs = text("SELECT count(*) FROM jobs WHERE workspace_id = :id AND task = 'check_store' AND every IS NULL")
            return await connection.scalar(jobs, {"id": workspace_id})

    before = await asked()
    async with app.db.transaction(workspace_id) as tx:
        store = await tx.get(Store, browser.store.id)
        store.findings = [{"code": "embed", "ok": False, "detail": ""}]
    await frame(browser, **{"sec-fetch-dest": "iframe"})
    assert await asked() == before + 1


async def test_an_unknown_store_has_no_frame(browser: Any) -> None:
    assert (await browser.http.get("/widget/frame?store=st_unknown&locale=ar")).status_code == 404
