"""Books of many workspaces in one language process: what they take, and how long a new one does.

`BENCH_WORKSPACES=50`, `BENCH_LESSONS=60`. Each workspace adds approved questions (phrasings of the pack, put in other
words by a prefix) and twenty titles of articles to the shared topics. Vectors are the model's, made once and sent
along, as they are kept beside each question. The baseline of the ratio is learning all of it anew, which is what one
book a workspace would need. Megabytes are the process's highest, learning the shared topics included and the
baseline, which comes last, not.
"""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

from benchmarks.measure import median, ratio
from plugin.bot.book import BOOK, examples, version
from plugin.language.book import Listener
from plugin.language.embedder import E5Embedder
from plugin.language.frames import Answered, Ask, Fit, Fitted, OwnExample, Taught, Teach
from plugin.language.server import Library

WORKSPACES = int(os.environ.get("BENCH_WORKSPACES", "50"))
LESSONS = int(os.environ.get("BENCH_LESSONS", "60"))
TITLES = 20
_TEXTS = 160


def main() -> int:
    """Teach, add the books, ask each, print."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    library = Library(E5Embedder(), Listener())
    shared = Teach(BOOK, version(), examples())
    library.patiently(shared)
    took = [_workspace(library, number) for number in range(WORKSPACES)]
    asked = [library.quickly([Ask(f"own {number}", "1", "where is my order")])[0] for number in range(WORKSPACES)]
    there = sum(isinstance(one, Answered) for one in asked)
    pages = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    began = time.perf_counter()
    anew = library.patiently(Teach(BOOK, f"{version()} anew", examples()))
    assert isinstance(anew, Taught)
    whole = time.perf_counter() - began
    print(f"{there} of {WORKSPACES} books there, {pages} MB, {peak} MB at most; a book {1000 * median(took):.0f} ms, "
          f"all anew {whole:.1f} s", flush=True)  # fmt: skip
    good = ratio("learn_book_to_all_anew", median(took) / whole, "<=", 0.1)
    good &= ratio("learn_books_kept", there / WORKSPACES, ">=", 1)
    good &= ratio("learn_process_peak_megabytes", peak, "<=", 400)
    return 0 if good else 1


def _workspace(library: Library, number: int) -> float:
    """Seconds that a workspace's book takes to be made and kept, its check not counted, vectors known."""
    pack = examples()
    # Workspaces draw from the same texts: the process remembers their vectors, and what is timed is the rest.
    some = [pack[(number * 7 + at) % _TEXTS * 19 % len(pack)] for at in range(LESSONS + TITLES)]
    own = [OwnExample(f"hello, {one.text}", (one.topic or "",), "en") for one in some[:LESSONS]]
    own += [OwnExample(f"hello, {one.text}", (f"article:{at}",), "en") for at, one in enumerate(some[LESSONS:])]
    made = library.patiently(Fit("", "", BOOK, version(), tuple(own)))
    assert isinstance(made, Fitted)
    known = tuple(
        OwnExample(one.text, one.topics, one.language, vectors) for one, vectors in zip(own, made.vectors, strict=True)
    )
    began = time.perf_counter()
    library.patiently(Fit(f"own {number}", "1", BOOK, version(), known, keep=True))
    return time.perf_counter() - began


if __name__ == "__main__":
    raise SystemExit(main())
