"""The recorded samples are signed, and have the shape the simulator speaks today."""

import base64
import hmac
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent.parent / "payloads" / "shopify"
WEBHOOKS = sorted((FOLDER / "webhooks").glob("*.http"))


def read(raw: bytes) -> tuple[dict[str, str], bytes]:
    head, _, body = raw.partition(b"\n\n")
    return dict(line.split(": ", 1) for line in head.decode().splitlines()), body


def shapes(content: bytes, name: str) -> Any:
    if name.endswith(".jsonl"):
        kinds: dict[str, set[str]] = {}
        for line in content.decode().splitlines():
            held = json.loads(line)
            kinds.setdefault(held["id"].split("/")[3], set()).update(held)
        return kinds
    body = read(content)[1] if name.endswith(".http") else content
    return sorted(json.loads(body))


@pytest.mark.parametrize("path", WEBHOOKS, ids=lambda path: path.stem)
def test_every_webhook_is_signed(path: Path) -> None:
    headers, body = read(path.read_bytes())
    wanted = base64.b64encode(hmac.digest(b"hush", body, "sha256")).decode()
    assert headers["x-shopify-hmac-sha256"] == wanted
    assert headers["x-shopify-topic"].replace("/", ".") == path.stem
    assert json.loads(body)


async def test_the_samples_are_what_the_simulator_says_today() -> None:
    spec = importlib.util.spec_from_file_location("record", Path(__file__).parent / "record_shopify_samples.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    fresh = await module.record()
    held = {
        str(path.relative_to(FOLDER)): path.read_bytes() for path in FOLDER.rglob("*.*") if path.name != "README.md"
    }
    assert sorted(held) == sorted(fresh), "run tests/contracts/record_shopify_samples.py"
    for name, content in fresh.items():
        assert shapes(held[name], name) == shapes(content, name), name
