"""The browser of the tests: which one, how it is started, and people who use it."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
import pytest_asyncio
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    Playwright,
    async_playwright,
    expect,
)

CHROME: Final = os.environ.get("AHLAN_BROWSER") or shutil.which("chromium") or shutil.which("google-chrome")
# Two pages of Chromium's own behind the address field of every window, which cost as much as ours in each new context.
_POPUPS: Final = ("WebUIOmniboxPopup", "WebUIOmniboxAimPopup")
# A process that is kept ready for the next site: a person of a test who opens one page leaves it behind unused.
_SPARE: Final = "SpareRendererForSitePerProcess"
# Chromium hears the last `--disable-features` only: these are Playwright's (chromiumSwitches.js of its driver).
_PLAYWRIGHTS: Final = (
    "AvoidUnnecessaryBeforeUnloadCheckSync", "DestroyProfileOnBrowserClose", "HttpsUpgrades",
    "HttpsFirstBalancedModeAutoEnable", "LensOverlay", "MediaRouter", "PaintHolding", "ThirdPartyStoragePartitioning",
    "AvoidCorsURLLoaderRestartOnRedirect", "TcpPortRandomizationWin", "OptimizationHints",
    "NetworkTimeServiceQuerying", "AimEnabled", "PreconnectToSearch", "msForceBrowserSignIn",
    "msEdgeUpdateLaunchServicesPreferredVersion",
)  # fmt: skip


def without(*features: str) -> str:
    """The argument that switches these features of Chromium off, beside those that no test wants."""
    return f"--disable-features={','.join((*_PLAYWRIGHTS, *_POPUPS, _SPARE, *features))}"


# Everything is painted by the processor, and what is painted need not go to another process for it.
ARGS: Final = ["--no-sandbox", "--disable-gpu", "--in-process-gpu", "--disable-background-networking",
               "--disable-component-update", "--disable-sync", "--no-first-run", without()]  # fmt: skip
PHONE: Final[dict[str, Any]] = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
DESKTOP: Final[dict[str, Any]] = {"viewport": {"width": 1440, "height": 900}}
# The launcher's root is closed to the shop's own scripts; the test looks in.
OPEN_ROOTS: Final = """const attach = Element.prototype.attachShadow;
Element.prototype.attachShadow = function () { return attach.call(this, { mode: 'open' }) }"""

# A small machine that runs two browsers and the servers behind them may stand still for longer than Playwright's 5 s.
expect.set_options(timeout=15_000)

# `make test` never comes here without a browser: it installs one, or says loudly what it left out.
needs_browser = pytest.mark.skipif(CHROME is None, reason="no Chrome or Chromium on PATH")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def playwright() -> AsyncIterator[Playwright]:
    async with async_playwright() as playwright:
        yield playwright


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(playwright: Playwright) -> AsyncIterator[Browser]:
    """Chromium as it comes: third-party cookies are blocked in its private windows, which Playwright's contexts are."""
    browser = await playwright.chromium.launch(executable_path=CHROME, args=ARGS)
    yield browser
    await browser.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def strict_chromium(playwright: Playwright) -> AsyncIterator[Browser]:
    """Chromium as it will be: no third-party cookies anywhere."""
    browser = await playwright.chromium.launch(
        executable_path=CHROME, args=[*ARGS, "--test-third-party-cookie-phaseout"]
    )
    yield browser
    await browser.close()


@pytest.fixture(name="browser", scope="session")
def strict_browser(strict_chromium: Browser) -> Browser:
    """That one, for a file that imports this."""
    return strict_chromium


def _is_held_back(said: ConsoleMessage) -> bool:
    """Whether this is the browser's own note of a reply that waits for a second look: its writer reads why."""
    return "409" in said.text and str(said.location.get("url", "")).endswith("/reply")


async def is_sent(locator: Callable[..., Locator], words: str) -> None:
    """The reply is out. Where something came while it was written (the bot may be late), it is sent all the same."""
    sent = locator(".message.by-agent:not(.is-pending):not(.is-held) .text", has_text=words)
    held = locator(".message.is-held [data-send-held]")
    await expect(sent.or_(held)).to_be_visible()
    if await held.is_visible():
        await held.press("Enter")
    await expect(sent).to_be_visible()


@dataclass
class Person:
    """One browser profile, fresh: no cookies, nothing stored, third-party cookies blocked."""

    context: BrowserContext
    errors: list[str] = field(default_factory=list)

    async def open(self, url: str) -> Page:
        """A new tab; what goes wrong in it is kept in `errors`."""
        page = await self.context.new_page()
        page.on("pageerror", lambda error: self.errors.append(f"{page.url}: {error}"))
        page.on(
            "console",
            lambda said: (
                self.errors.append(f"{page.url}: {said.text} {said.location.get('url', '')}")
                if said.type == "error" and not _is_held_back(said)
                else None
            ),
        )
        await page.goto(url)
        return page
