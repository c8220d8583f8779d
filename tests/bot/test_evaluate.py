"""What `ahlan bot evaluate` and its sisters say of files: the figures, and the sentence when a file cannot be used."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from plugin.bot import evaluate
from plugin.bot.measures import Tried, auroc, bot_figures, latency, search_figures
from tests.language.stand_in import WordEmbedder

ARTICLES = [
    {"id": "ship", "title": "Delivery", "body": "Delivery takes three days.", "language": "en",
     "phrasings": ["how long does delivery take", "when will delivery be"]},
    {"id": "return", "title": "Returns", "body": "Send it back for a refund.", "language": "en",
     "phrasings": ["how do i get a refund", "send a dress back"]},
    {"id": "return", "title": "החזרות", "body": "אפשר להחזיר לקבלת זיכוי.", "language": "he",
     "phrasings": ["איך מקבלים זיכוי"]},
]  # fmt: skip
QUESTIONS = [
    {"text": "how long is delivery", "topic": "ship", "language": "en"},
    {"text": "i want a refund", "topic": "return", "language": "en"},
    {"text": "מתי מקבלים זיכוי", "topic": "return", "language": "he"},
    {"text": "sing a song", "topic": None, "language": "en"},
]
MESSAGES = [
    {"text": text, "topic": topic, "language": "en"}
    for topic, texts in {
        "ship": ("how long is delivery", "when is delivery", "delivery time"),
        "return": ("i want a refund", "refund my dress", "get a refund"),
        None: ("sing a song", "tell a joke"),
    }.items()
    for text in texts
]
PASSAGES = [{"id": one["id"], "text": one["body"], "language": "en"} for one in ARTICLES[:2]]
WANTED = [{"text": "refund", "passage_id": "return", "language": "en"}]

Put = Callable[[str, Any], Path]


@pytest.fixture
def put(tmp_path: Path) -> Put:
    def write(name: str, lines: Any) -> Path:
        path = tmp_path / f"{name}.jsonl"
        text = lines if isinstance(lines, str) else "\n".join(json.dumps(one, ensure_ascii=False) for one in lines)
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture(autouse=True)
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "E5Embedder", WordEmbedder)


def test_a_help_centre_is_measured_in_every_language(put: Put, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["bot", str(put("q", QUESTIONS)), "--help-centre", str(put("a", ARTICLES)), "--seed", "3"]
    assert evaluate.main([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found["figures"]) == {"all", "en", "he"}
    whole = found["figures"]["all"]
    assert (whole["questions"], whole["outside"]) == (3, 1)
    assert (whole["accuracy"], whole["recall_at_1"], whole["recall_at_3"]) == (1.0, 1.0, 1.0)
    assert whole["auroc"] == 1.0
    assert whole["accuracy_low"] <= whole["accuracy"] <= whole["accuracy_high"]
    assert found["figures"]["he"]["outside"] == 0
    assert found["figures"]["he"]["auroc"] is None
    assert 0 < found["latency_ms"]["p50"] <= found["latency_ms"]["p95"]
    assert (found["seed"], found["articles"]) == (3, 3)
    assert evaluate.main(arguments) == 0
    said = capsys.readouterr().out
    assert "recall@3" in said
    assert "p95" in said


def test_topics_are_learnt_from_so_many_each_by_the_same_chance(put: Put, capsys: pytest.CaptureFixture[str]) -> None:
    train, test = put("train", MESSAGES), put("test", MESSAGES[:4])

    def run(*more: str) -> dict[str, Any]:
        assert evaluate.main(["train", "--train", str(train), "--test", str(test), "--json", *more]) == 0
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return {name: value for name, value in found.items() if name not in ("latency_ms", "training_seconds")}

    assert (run()["examples"], run()["topics"]) == (8, 2)
    few = run("--per-class", "2", "--seed", "1")
    assert few["examples"] == 2 * 2 + 2, "what is outside stays whole"
    assert few == run("--per-class", "2", "--seed", "1")


def test_search_is_measured_by_what_comes_first(put: Put, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        evaluate.main(["search", "--questions", str(put("w", WANTED)), "--passages", str(put("p", PASSAGES)), "--json"])
        == 0
    )
    found = json.loads(capsys.readouterr().out)
    assert found["figures"]["all"] == {"questions": 1, "recall_at_1": 1.0, "recall_at_5": 1.0}


GOOD = '{"text": "a refund", "topic": "return", "language": "en"}\n'


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (GOOD + "{", "line 2: Input data was truncated"),
        (GOOD + "[]", "line 2: Expected `object`"),
        (GOOD + '{"topic": null, "language": "en"}', "line 2: Object missing required field `text`"),
        (GOOD + '{"text": "a", "language": "en"}', "line 2: Object missing required field `topic`"),
        ('\n\n{"text": 7, "topic": null, "language": "en"}', "line 3: field 'text': expected `str`, got `int`"),
        ('{"text": " ", "topic": null, "language": "en"}', "line 1, field 'text': it is empty"),
        ('{"text": "a", "topic": "nothing", "language": "en"}', "line 1, field 'topic': 'nothing' is not in"),
        ("", "is empty"),
    ],
)
def test_a_bad_file_is_named_by_line_and_field(
    put: Put, capsys: pytest.CaptureFixture[str], lines: str, words: str
) -> None:
    assert evaluate.main(["bot", str(put("q", lines)), "--help-centre", str(put("a", ARTICLES))]) == 1
    said = capsys.readouterr().err
    assert "ahlan: " in said
    assert "q.jsonl" in said
    assert words in said
    assert "Traceback" not in said


def test_files_that_are_not_there_or_say_a_thing_twice_are_named(put: Put, capsys: pytest.CaptureFixture[str]) -> None:
    questions, passages = put("w", WANTED), put("p", [*PASSAGES, PASSAGES[0]])
    assert evaluate.main(["search", "--questions", str(questions), "--passages", str(passages)]) == 1
    assert "p.jsonl, line 3, field 'id': 'ship' was there before." in capsys.readouterr().err
    assert evaluate.main(["search", "--questions", str(questions), "--passages", "/nowhere.jsonl"]) == 1
    assert "/nowhere.jsonl cannot be read: No such file" in capsys.readouterr().err
    path = questions.with_name("latin.jsonl")
    path.write_bytes(b'{"text": "caf\xe9", "passage_id": "ship", "language": "en"}')
    assert evaluate.main(["search", "--questions", str(path), "--passages", str(put("p2", PASSAGES))]) == 1
    assert "latin.jsonl, line 1" in capsys.readouterr().err


def test_a_file_may_be_packed_and_begin_with_a_mark(put: Put, capsys: pytest.CaptureFixture[str]) -> None:
    path = put("q", QUESTIONS)
    packed = path.with_name("q.jsonl.gz")
    packed.write_bytes(gzip.compress(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n\r\n")))
    assert evaluate.main(["bot", str(packed), "--help-centre", str(put("a", ARTICLES)), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["figures"]["all"]["questions"] == 3


@pytest.mark.parametrize(
    ("written", "words"),
    [("a".encode("utf-16"), "is UTF-16, not UTF-8"), (gzip.compress(GOOD.encode())[:-9], "cannot be read")],
    ids=["another encoding", "half of a packed file"],
)
def test_a_file_of_another_kind_is_said(
    put: Put, capsys: pytest.CaptureFixture[str], written: bytes, words: str
) -> None:
    path = put("q", QUESTIONS)
    path.write_bytes(written)
    assert evaluate.main(["bot", str(path), "--help-centre", str(put("a", ARTICLES))]) == 1
    assert words in capsys.readouterr().err.replace("\n", " ")


def test_questions_that_are_all_outside_have_only_the_figures_of_those(
    put: Put, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["bot", str(put("q", QUESTIONS[3:])), "--help-centre", str(put("a", ARTICLES))]
    assert evaluate.main([*arguments, "--json"]) == 0
    whole = json.loads(capsys.readouterr().out)["figures"]["all"]
    assert whole["wrong_acceptance"] is not None
    assert {name for name, value in whole.items() if value is None} == {
        "accuracy", "accuracy_low", "accuracy_high", "recall_at_1", "recall_at_3", "auroc", "answered_correctly",
        "precision_at_80",
    }  # fmt: skip
    assert evaluate.main(arguments) == 0
    assert "wrong accepted" in capsys.readouterr().out


def test_messages_of_one_topic_teach_nothing(put: Put, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["train", "--train", str(put("t", MESSAGES[:3])), "--test", str(put("q", MESSAGES[:1]))]
    assert evaluate.main(arguments) == 1
    assert "messages of at least two topics" in capsys.readouterr().err.replace("\n", " ")


def test_precision_is_that_of_the_answers_that_are_the_most_certain_whatever_their_gate() -> None:
    """Of five the surest four: three are right by certainty; by the gate all four would be."""
    found = bot_figures(
        [
            tried(5), tried(4), tried(3),
            tried(2, certainty=0.1),
            tried(1, certainty=0.9, place=1),
        ],
        seed=0,
    )  # fmt: skip
    assert found.precision_at_80 == 0.75


def tried(
    gate: float, *, inside: bool = True, place: int | None = 0, accepted: bool = False, certainty: float | None = None
) -> Tried:
    return Tried("en", inside, place if inside else None, gate, gate / 5 if certainty is None else certainty, accepted)


def test_figures_are_what_they_are_called() -> None:
    found = bot_figures(
        [
            tried(5, accepted=True), tried(4, accepted=True, place=1), tried(3, accepted=True), tried(2),
            tried(1, place=7),
            tried(4.5, inside=False, accepted=True), tried(0, inside=False),
        ],
        seed=0,
    )  # fmt: skip
    assert (found.questions, found.outside) == (5, 2)
    assert (found.accuracy, found.recall_at_3) == (0.6, 0.8)
    assert found.answered_correctly == 0.4
    assert found.wrong_acceptance == 0.5
    assert found.precision_at_80 == 0.75
    assert found.auroc == 0.6


@pytest.mark.parametrize(
    ("inside", "outside", "area"),
    [([2, 3], [0, 1], 1.0), ([0], [1], 0.0), ([1, 1], [1], 0.5), ([1, 3], [2], 0.5), ([1], [], None)],
)
def test_auroc_is_the_chance_to_be_told_apart(inside: list[float], outside: list[float], area: float | None) -> None:
    assert auroc(inside, outside) == area


def test_recall_and_times() -> None:
    assert search_figures([0, 4, None, 0]).recall_at_1 == 0.5
    assert search_figures([0, 4, None, 0]).recall_at_5 == 0.75
    assert search_figures([]).recall_at_1 is None
    assert latency(list(range(101))) == {"p50": 50.0, "p95": 95.0}
