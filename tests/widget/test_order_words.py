"""The screens about orders: their words, their weight, and the pages that they stand in."""

import gzip
import json
import re
from typing import Any

import pytest

from plugin.crm.actions import DONE, FAILED, SENT, UNKNOWN
from plugin.crm.tracking import Step
from plugin.kernel import i18n
from plugin.returns import claims
from plugin.returns.claims import Claim, Wish
from plugin.returns.policy import Resolution
from plugin.returns.self_service import Doing
from plugin.returns.states import State
from plugin.widget import page
from plugin.widget.changing import Place
from plugin.widget.order_strings import strings
from plugin.widget.strings import SAMPLES

SCREENS = page.STATIC / "orders"
NAMED = {
    "o.step.": {*Step, "cancelled"},
    "o.do.": {*Doing, "again"},
    "o.yes.": set(Doing),
    "o.did.": set(Doing),
    "o.went.": {SENT, DONE, FAILED, UNKNOWN},
    "o.now.": {SENT, FAILED, UNKNOWN},
    "o.place.": set(Place.__struct_fields__) - {"company", "country"},
    "o.claim.": {claims.OPEN, claims.SETTLED, claims.DECLINED},
    "o.remedy.": {one for one in Wish if one},
    "o.problem.": set(Claim),
    "o.state.": {*State, "again"},
    "o.wish.": set(Resolution),
    "o.way.": {"pickup", "point", "store"},
    "o.then.": {*State, "refund", "credit", "keep", "sent_number", "sent_code", "sent_pickup"},
}


def test_the_screens_ask_for_exactly_the_words_there_are() -> None:
    source = "\n".join(path.read_text() for path in SCREENS.glob("*.js"))
    plurals = set(re.findall(r'plural\("([\w.]+)"', source))
    plain = set(re.findall(r'"(o\.[\w.]+\w)"', source)) - plurals
    families = set(re.findall(r"`(o\.\w+\.)\$\{", source))
    assert families == set(NAMED)
    wanted = plain | {f"{family}{name}" for family, names in NAMED.items() for name in names}
    words = set(strings(str, lambda one, many, n: one if n == 1 else many))
    assert words == wanted | {f"{key}.{category}" for key in plurals for category in SAMPLES}


def test_what_is_loaded_for_them_is_small() -> None:
    files = [*SCREENS.glob("*.js"), page.STATIC / "orders.css"]
    assert sum(len(gzip.compress(path.read_bytes(), 6)) for path in files) <= 28 * 1024
    assert len(gzip.compress(page.page_loader(i18n.load()), 6)) <= 2 * 1024


async def test_a_chat_loads_nothing_of_them(browser: Any) -> None:
    shown = await browser.http.get("/widget/frame", params={"store": browser.store.public_key, "locale": "ar"})
    assert "/orders/" not in shown.text
    assert "o.return" not in shown.text


async def test_the_script_of_a_page_is_anybodys(browser: Any) -> None:
    script = await browser.http.get("/widget/page.js")
    assert script.status_code == 200
    assert script.headers["access-control-allow-origin"] == "*"
    words = re.search(r"=(\{\"\w+\":\{.*?\}\})", script.text)
    assert words is not None
    said = json.loads(words[1])
    assert set(said) == set(i18n.load().codes), "in every language that there is a catalogue of"
    assert (said["he"]["orders"], said["en"]["withdrawal"]) == ("הזמנות והחזרות", "Withdrawal from the contract")
    assert len({one["late"] for one in said.values()}) == len(said)


@pytest.mark.parametrize(("asked", "opened"), [("abcDEF-_1234567", "abcDEF-_1234567"), ("<script>", ""), ("", "")])
async def test_a_page_of_our_own_is_framed_by_nobody_and_opens_nothing_by_itself(
    browser: Any, asked: str, opened: str
) -> None:
    address = {"store": browser.store.public_key, "locale": "he", "return": asked}
    shown = await browser.http.get("/widget/page", params=address)
    assert shown.headers["content-security-policy"].endswith("frame-ancestors 'none'")
    found = re.search(r'id="config"[^>]*>(.*?)</script>', shown.text, re.DOTALL)
    assert found is not None
    config = json.loads(found[1])
    assert config["page"] == {"back": opened, "screen": "orders"}
    assert config["origins"] == []
    assert 'dir="rtl"' in shown.text
