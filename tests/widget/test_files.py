"""Files travel: uploaded, named by a message, served for a minute by a signed link, never as a page of ours."""

import io
import time
from typing import Any
from uuid import UUID, uuid4

import pytest
from PIL import Image

from plugin.app import App
from plugin.conversations import attachments


def picture(format: str = "JPEG", size: tuple[int, int] = (80, 60)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, "teal").save(file, format)
    return file.getvalue()


async def upload(browser: Any, name: str, content: bytes, kind: str = "application/octet-stream") -> Any:
    return await browser.http.post("/widget/attachments", files={"file": (name, content, kind)})


async def test_a_picture_travels(browser: Any) -> None:
    uploaded = (await upload(browser, "شهادة.jpg", picture())).json()
    assert (uploaded["name"], uploaded["kind"]) == ("شهادة.jpg", "image")
    sent = await browser.say("", attachments=[uploaded["id"]])
    (file,) = sent["attachments"]
    assert (file["id"], file["width"], file["height"]) == (uploaded["id"], 80, 60)
    for link in (file["url"], file["thumbnail"]):
        served = await browser.http.get(link, headers={"authorization": ""})
        assert served.status_code == 200
        assert served.headers["content-type"] == "image/jpeg"
        assert served.headers["content-security-policy"] == "sandbox; default-src 'none'"
        assert served.headers["x-content-type-options"] == "nosniff"
        assert Image.open(io.BytesIO(served.content)).size == (80, 60)
    (again,) = (await browser.poll())["messages"][0]["attachments"]
    assert again["id"] == uploaded["id"]


async def test_other_files_are_downloads(browser: Any) -> None:
    uploaded = (await upload(browser, "receipt.html", b"<script>alert(1)</script>", "text/html")).json()
    assert uploaded["name"] == "receipt.txt"
    (file,) = (await browser.say("see", attachments=[uploaded["id"]]))["attachments"]
    served = await browser.http.get(file["url"])
    assert served.headers["content-disposition"] == "attachment; filename*=UTF-8''receipt.txt"
    assert served.headers["content-type"].startswith("text/plain")


async def test_links_run_out_and_open_one_file(browser: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    uploaded = (await upload(browser, "a.txt", b"hello")).json()
    token = uploaded["url"].rpartition("/")[2]
    assert (await browser.http.get(f"/files/{token[:-2]}xx")).status_code == 404
    session_token = browser.session["token"]
    assert (await browser.http.get(f"/files/{session_token}")).status_code == 404, "a session is no link"
    assert (await browser.http.get(uploaded["url"])).status_code == 200
    real = time.time
    monkeypatch.setattr("plugin.kernel.crypto.time.time", lambda: real() + attachments.LINK_SECONDS + 1)
    assert (await browser.http.get(uploaded["url"])).status_code == 404


async def test_a_file_belongs_to_who_uploaded_it(browser: Any, another: Any) -> None:
    uploaded = (await upload(browser, "mine.txt", b"hello")).json()
    await another.open()
    refused = await another.post("messages", client_id=str(uuid4()), text="x", attachments=[uploaded["id"]])
    assert refused.json()["error"]["code"] == "file_missing"
    await browser.say("mine", attachments=[uploaded["id"]])
    again = await browser.post("messages", client_id=str(uuid4()), text="x", attachments=[uploaded["id"]])
    assert again.json()["error"]["code"] == "file_missing", "a file belongs to one message"


async def test_resend_with_a_file_is_the_same_message(browser: Any) -> None:
    uploaded = (await upload(browser, "a.txt", b"hello")).json()
    client_id = str(uuid4())
    sent = [await browser.say("x", client_id=client_id, attachments=[uploaded["id"]]) for _ in range(2)]
    assert sent[0]["id"] == sent[1]["id"]
    assert [file["id"] for file in sent[1]["attachments"]] == [uploaded["id"]]


async def test_another_workspace_cannot_be_read_through_a_link(browser: Any, other_workspace: UUID) -> None:
    uploaded = (await upload(browser, "a.txt", b"hello")).json()
    link = attachments.link(browser.site.app.vault, other_workspace, uploaded["id"])
    assert (await browser.http.get(link)).status_code == 404


async def test_too_large(browser: Any) -> None:
    refused = await upload(browser, "big.txt", b"a" * (attachments.MAX_BYTES + 1))
    assert refused.status_code == 413
    assert refused.json()["error"]["message"] == "This file is larger than 10 MB."
    assert (await upload(browser, "big.txt", b"a" * attachments.MAX_BYTES)).status_code == 200


@pytest.mark.parametrize("body", [b"", b"--x\r\n", b"nonsense"])
async def test_broken_multipart(browser: Any, body: bytes) -> None:
    for kind in ("multipart/form-data; boundary=x", "multipart/form-data", "text/plain"):
        refused = await browser.http.post("/widget/attachments", content=body, headers={"content-type": kind})
        assert refused.status_code == 422, (body, kind)


async def test_strangers_cannot_fill_the_disk(browser: Any, app: App) -> None:
    """From however many addresses: a store's shoppers have one day's worth of bytes together."""
    first = await upload(browser, "a.jpg", picture())
    assert first.status_code == 200
    key = f"limit:bytes:{browser.store.id}"
    spent = await app.hub.count(key, 86_400, 0)
    await app.hub.count(key, 86_400, (1024 << 20) - spent - 1000)
    refused = await upload(browser, "b.jpg", picture(size=(900, 700)))
    assert refused.status_code == 413, "for good: what is a 429 would be sent again and again"
    assert refused.json()["error"]["code"] == "uploads_full"
    assert (await upload(browser, "c.txt", b"a" * 500)).status_code == 200, "what was refused took nothing of the day"
