"""`python -m benchmarks shop`: the questions stand apart from the seeds, and how the seeds alone answer them.

Takes three minutes on one thread. Exit code 1 when a question is near a seed or a bar is missed.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from benchmarks.shop import apart
from plugin.bot import evaluate, seeds
from plugin.language import place
from plugin.language.book import Listener
from plugin.language.embedder import E5Embedder

SEED = 0
BARS = {"recall_at_1": 0.90, "precision_at_80": 0.98}


def main() -> int:
    """Check and measure."""
    embedder = E5Embedder()
    near = [*apart.meant_alike(embedder, Listener(), [one.text for one in apart.frozen()], apart.phrasings())]
    for question, line in near:
        print(f"too near: {question!r} and the seed {line!r}")
    with tempfile.TemporaryDirectory() as folder:
        articles = Path(folder) / "articles.jsonl"
        lines = [json.dumps(article, ensure_ascii=False) for topic in seeds.pack() for article in topic.articles()]
        articles.write_text("\n".join(lines), encoding="utf-8")
        found = evaluate.bot(embedder, apart.QUESTIONS, articles, seed=SEED)
    console = Console(width=110)
    console.print(evaluate.shown(found["figures"]))
    console.print()
    console.print(evaluate.shown(found["varieties"]))
    missed = [name for name, bar in BARS.items() if found["figures"]["all"][name] < bar]
    for name, bar in BARS.items():
        print(f"BAR {name} {found['figures']['all'][name]:.3f} >= {bar} {'missed' if name in missed else 'met'}")
    return 1 if near or missed else 0


if __name__ == "__main__":
    # The libraries count their threads when they are loaded.
    if place.ENVIRONMENT.items() - os.environ.items():
        os.execve(sys.executable, [sys.executable, "-m", "benchmarks.shop"], {**os.environ, **place.ENVIRONMENT})
    sys.exit(main())
