"""The pack of phrasings: every file is whole, and one that is not says what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugin.bot import seeds
from plugin.kernel.text import language_of, search_key
from plugin.language.arabizi import is_arabizi

WHOLE = (Path(seeds.__file__).parent / "track_order.toml").read_text()


def test_every_topic_is_there_in_every_variety() -> None:
    topics = seeds.pack()
    assert {"track_order", "return_item", "delivery_cost"} <= {topic.id for topic in topics}
    assert len(topics) >= 30
    assert {"en", "ar", "ar-gulf", "ar-egypt", "ar-levant", "ar-maghreb", "ar-latin", "he"} == set(seeds.VARIETIES)
    for topic in topics:
        for variety, lines in topic.phrasings.items():
            # Not one again with other marks or letters.
            assert len({search_key(line) for line in lines}) == len(lines) >= 8, (topic.id, variety)
        assert set(topic.phrasings) == set(seeds.VARIETIES)
        assert len(list(topic.examples())) >= len(seeds.VARIETIES) * seeds.LEAST + len(seeds.LANGUAGES)


def test_phrasings_are_in_the_script_of_their_variety() -> None:
    for topic in seeds.pack():
        for variety, lines in topic.phrasings.items():
            script = "en" if variety == "ar-latin" else variety.partition("-")[0]
            assert {language_of(line) for line in lines} == {script}, (topic.id, variety)
        heard = [is_arabizi(line) for line in topic.phrasings["ar-latin"]]
        assert sum(heard) >= len(heard) - 1, topic.id
        assert not any(is_arabizi(line) for line in topic.phrasings["en"]), topic.id


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace('id = "track_order"', 'id = "other"'), "its id must be 'track_order'"),
        (lambda text: text.replace('he = "איפה ההזמנה שלי?"', ""), "a title in each"),
        (lambda text: text.replace("ar-gulf", "ar-mars"), "'ar-mars' is no variety"),
        (lambda text: text.replace("where is my order\nhas my parcel been shipped yet\n", ""), "en has 7 phrasings"),
        (lambda text: text.replace("has my parcel been shipped yet", "where is my order"), "a phrasing twice"),
        (lambda text: text.replace('["order"]', '["blood"]'), "'blood' cannot be needed"),
        (lambda text: text.replace("needs", "wants"), "'wants' is not known"),
        (lambda text: text + '"""', "track_order.toml"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, change: object, words: str) -> None:
    path = tmp_path / "track_order.toml"
    path.write_text(change(WHOLE))
    with pytest.raises(seeds.BadSeed, match=words):
        seeds.read(path)
