"""The team's own fields in the panel: set up by whom the settings are, filled in beside the conversation, in lists."""

import re
from uuid import UUID

import pytest

from tests.admin_ui.conftest import Browser, SignIn
from tests.admin_ui.shop import Shop

HX = {"hx-request": "true", "hx-request-type": "partial"}


@pytest.fixture
async def maya(shop: Shop, sign_in: SignIn) -> Browser:
    return await sign_in(shop.email)


async def make(maya: Browser, name: str, kind: str, options: str = "") -> UUID:
    made = await maya.post("/panel/settings/fields", data={"name": name, "kind": kind, "options": options})
    assert made.status_code == 303, made.text
    page = await maya.get("/panel/settings/fields")
    return UUID(re.findall(r'id="row-([0-9a-f-]{36})"', page.text)[-1])


async def test_a_field_is_filled_in_beside_the_conversation_and_found(shop: Shop, maya: Browser) -> None:
    size = await make(maya, "Size", "number")
    reason = await make(maya, "Reason", "choice", "Damaged\nToo late")
    talk = f"/panel/conversations/{shop.talks['huda']}"
    shown = await maya.get(f"/panel/inbox/{shop.talks['huda']}")
    assert f'for="field-{size}"' in shown.text
    assert "<option >Damaged</option>" in shown.text
    filled = await maya.post(f"{talk}/fields/{size}", data={"value": "٤٢"}, headers=HX)
    assert 'value="42"' in filled.text
    chosen = await maya.post(f"{talk}/fields/{reason}", data={"value": "Too late"}, headers=HX)
    assert "<option selected>Too late</option>" in chosen.text
    refused = await maya.post(f"{talk}/fields/{size}", data={"value": "large"}, headers=HX)
    assert refused.status_code == 400
    assert refused.json()["error"]["message"] == "This field holds a number."
    found = await maya.get("/panel/inbox", params={"q": 'field:size>=42 field:"reason=too late"'})
    assert re.findall(r'data-row="([0-9a-f-]+)"', found.text) == [str(shop.talks["huda"])]
    assert "changed the field" in (await maya.get(f"/panel/inbox/{shop.talks['huda']}")).text


async def test_without_fields_nothing_is_in_the_way(shop: Shop, maya: Browser) -> None:
    shown = await maya.get(f"/panel/inbox/{shop.talks['huda']}")
    assert re.search(r'id="fields"[^>]*hidden', shown.text)


async def test_what_is_no_field_comes_back_with_its_reason(maya: Browser) -> None:
    wrong = await maya.post(
        "/panel/settings/fields", data={"name": "Reason", "kind": "choice", "options": "one"}, headers=HX
    )
    assert wrong.status_code == 422
    assert "Give at least two choices" in wrong.text
    assert 'value="Reason"' in wrong.text
    assert (await maya.post("/panel/settings/fields", data={"name": "x", "kind": "file"})).status_code == 404


async def test_fields_belong_to_whom_the_settings_are_and_values_to_whom_replies(
    shop: Shop, maya: Browser, sign_in: SignIn
) -> None:
    size = await make(maya, "Size", "number")
    path = f"/panel/conversations/{shop.talks['huda']}/fields"
    noa = await sign_in(shop.colleagues["noa"].email or "")
    for verb in ("", f"/{size}", f"/{size}/move", f"/{size}/archive"):
        assert (await noa.post(f"/panel/settings/fields{verb}", data={"name": "x", "kind": "text"})).status_code == 403
    assert (await noa.post(f"{path}/{size}", data={"value": "42"}, headers=HX)).status_code == 200
    lior = await sign_in(shop.colleagues["lior"].email or "")
    assert (await lior.post(f"{path}/{size}", data={"value": "1"}, headers=HX)).status_code == 403
    assert ">42</span>" in (await lior.get(path, headers=HX)).text
    assert (await maya.post(f"/panel/settings/fields/{size}/archive")).status_code == 303
    assert "field-" not in (await maya.get(path, headers=HX)).text
    assert (await maya.post(f"/panel/settings/fields/{size}/archive", data={"back": "yes"})).status_code == 303
    assert 'value="42"' in (await maya.get(path, headers=HX)).text, "what was in it has stayed"
