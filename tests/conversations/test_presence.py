"""Who is here: asked of Valkey, which may be slow, away, or answer in the very moment when nobody listens any more."""

import asyncio

import pytest

from plugin.conversations.presence import answered


async def _after(steps: int) -> bool:
    for _ in range(steps):
        await asyncio.sleep(0)
    return True


@pytest.mark.parametrize("steps", range(6))
@pytest.mark.parametrize("moment", range(1, 8))
async def test_whoever_is_cancelled_ends_even_as_the_answer_comes(steps: int, moment: int) -> None:
    asking = asyncio.create_task(answered(_after(steps), False))
    await _after(moment)
    if asking.cancel():
        with pytest.raises(asyncio.CancelledError):
            await asking


async def test_an_answer_that_does_not_come_is_the_other_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plugin.conversations.presence._PATIENCE", 0.01)
    assert await answered(asyncio.sleep(5, "late"), "none") == "none"
    assert await answered(asyncio.sleep(0, "soon"), "none") == "soon"
