"""The help centre at its largest: 10 000 articles, found by words and by meaning, database and language included; and
its pages as shoppers see them, against those of one of 100 articles in turn.

`BENCH_ARTICLES=10000`, `BENCH_SAMPLES=300`, `BENCH_PAGES=60`. Texts are put together from the phrasings that the
product comes with, four sentences each; a sentence's vector is the model's, the vector of the whole is their mean: how
long an answer takes does not hang on what the numbers are, and making ten thousand more takes half an hour. Questions
are the frozen ones of the shop set, each asked once, so that none is remembered. The baseline of the ratio is the
search by words alone, in turn.
Milliseconds are of the processor: this process, the PostgreSQL backends and the language process together.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import UUID

import numpy as np
import orjson
import psutil
import uvloop
from sqlalchemy import insert, text

from benchmarks.measure import ROOT, median, ratio
from plugin import bootstrap, stores, workspaces
from plugin.app import App
from plugin.bot import bots, lessons
from plugin.bot.book import BOOK, examples, version
from plugin.bot.scene import Scene
from plugin.bot.seeds import pack
from plugin.bot.stocklist import KEPT
from plugin.bot.thinking import answer, hear
from plugin.crm.products import Product
from plugin.kernel import bulk, embedded
from plugin.kernel.config import Settings
from plugin.kernel.db import new_id
from plugin.kernel.web import Web
from plugin.knowledge import articles, markdown, meaning, search
from plugin.knowledge.articles import Article, ArticleText, Kind
from plugin.knowledge.meaning import ArticlePassage
from plugin.knowledge.search import ArticleTerm
from plugin.knowledge.site import Asked, Site
from plugin.language.frames import Embed, PassageIn, Prepare, Teach
from plugin.language.place import ENVIRONMENT, MODULE, socket_path
from plugin.language.shelf import WIDTH, packed
from plugin.stores import Store

ARTICLES = int(os.environ.get("BENCH_ARTICLES", "10000"))
SAMPLES = int(os.environ.get("BENCH_SAMPLES", "300"))
PAGES = int(os.environ.get("BENCH_PAGES", "60"))
FEW = 100
SENTENCES = 4


async def main() -> int:
    """Make the data, start the language process, measure, print."""
    data = Path(tempfile.mkdtemp(prefix="ahlan-bench-"))
    servers = await embedded.start(data)
    settings = Settings(data_dir=data)
    environment = {**os.environ, **ENVIRONMENT, "AHLAN_LANGUAGE_SOCKET": str(socket_path(settings))}
    language = _language(environment)
    try:
        async with bootstrap.start(settings, database_url=servers.database_url, redis_url=servers.redis_url) as app:
            await _there(app)
            sentences, vectors = await _sentences(app)
            workspace_id = await _workspace(app, sentences, vectors, ARTICLES)
            small = await _workspace(app, sentences, vectors, FEW)
            process = psutil.Process(language.pid)
            good = await pages(app, workspace_id, small, process)
            good &= await questions(app, workspace_id, process)
            good &= await replies(app, workspace_id, process)
            return 0 if good else 1
    finally:
        language.terminate()
        language.wait()
        await servers.stop()
        shutil.rmtree(data, ignore_errors=True)


def _language(environment: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", MODULE], cwd=ROOT, env=environment)


async def _there(app: App) -> None:
    async with asyncio.timeout(120):
        while True:
            try:
                await app.language.ping()
            except Exception:  # Whatever it says while it starts: it is asked until it answers or time is over.
                await asyncio.sleep(0.2)
            else:
                return


async def _sentences(app: App) -> tuple[dict[str, list[str]], dict[str, np.ndarray]]:
    """The phrasings that articles are put together from, by language, and the model's vector of each."""
    sentences = {
        code: sorted({line for topic in pack() for line, spoken in topic.examples() if spoken == code})
        for code in ("en", "ar", "he")
    }
    vectors: dict[str, np.ndarray] = {}
    for lines in sentences.values():
        for at in range(0, len(lines), 32):
            some = lines[at : at + 32]
            made = await app.language.prepare(Prepare(tuple(PassageIn(line, line, "") for line in some)))
            for line, own in zip(some, made.data, strict=True):
                rows = np.frombuffer(own, dtype=np.uint8).reshape(-1, WIDTH)[:1]
                scale = np.ascontiguousarray(rows[:, :4]).view("<f4")[:, 0]
                vectors[line] = (rows[:, 4:].view(np.int8) * scale[:, None]).astype(np.float32)[0]
    return sentences, vectors


async def _workspace(app: App, sentences: dict[str, list[str]], vectors: dict[str, np.ndarray], count: int) -> UUID:
    """So many articles of four sentences on two shelves, a third in each language, published and indexed."""
    workspace_id = workspaces.new_workspace_id()
    async with app.db.transaction(workspace_id) as tx:
        await workspaces.create(tx, f"Help centre of {count}")
        shelves = [(await articles.write_collection(tx, {"en": name}, {})).id for name in ("Orders", "Returns")]
    rng = random.Random(7)
    for begin in range(0, count, 500):
        async with app.db.transaction(workspace_id) as tx:
            await _some(tx, rng, sentences, vectors, range(begin, min(begin + 500, count)), shelves)
    await app.db.analyze()
    return workspace_id


async def _some(tx, rng, sentences, vectors, numbers, shelves) -> None:  # type: ignore[no-untyped-def] # numpy arrays
    heads, texts, terms, passages = [], [], [], []
    for number in numbers:
        code = ("en", "ar", "he")[number % 3]
        lines = rng.sample(sentences[code], SENTENCES)
        id, title = new_id(), f"{lines[0]} {number}"
        html = markdown.render("\n\n".join(lines[1:]))
        words = markdown.words_of(html)
        whole = np.mean([vectors[line] for line in lines], axis=0)
        own = np.vstack([whole / np.linalg.norm(whole), *(vectors[line] for line in lines)]).astype(np.float32)
        base = {"workspace_id": tx.workspace_id, "article_id": id, "language": code}
        heads.append({"workspace_id": tx.workspace_id, "id": id, "kind": Kind.ARTICLE, "source_language": code,
                      "place": number, "collection_id": shelves[number // 3 % 2]})  # fmt: skip
        texts.append({**base, "slug": f"a-{number}", "title": title, "body": words, "key": title, "version": 1,
                      "published": 1, "shown": title, "html": html})  # fmt: skip
        passages.append({**base, "version": number + 1, "words": f"{title}\n{words}", "vectors": packed(own).tobytes()})
        terms += [
            {"term": term, "article_id": id, "language": code, "weight": round(weight, 3)}
            for term, weight in search.terms(title, words).items()
        ]
    for model, rows in ((Article, heads), (ArticleText, texts), (ArticlePassage, passages)):
        await tx.execute(insert(model), rows)
    await bulk.insert(tx, ArticleTerm, terms, key=("term", "article_id", "language"))


async def pages(app: App, large: UUID, small: UUID, process: psutil.Process) -> bool:
    """The same pages of a large help centre and of a small one, in turn: the first one and an article's show as much in
    both, a shelf as many articles as it has, fifty at the most."""
    site = Site(app, Web(app.catalogues, (), app.settings.public_url))
    shops = {workspace_id: await _store(app, workspace_id) for workspace_id in (large, small)}
    took: dict[tuple[str, UUID], list[float]] = {}
    for number in range(PAGES + 5):
        # The first on each shelf, and others from there on: no page twice.
        for kind, path in (("first page", "en"), ("article", f"en/a-{3 * (number % 30)}"), ("shelf", "en/c/orders")):
            for workspace_id, store in shops.items():
                backends = await _backends(app)
                begun = _spent(process.pid, backends)
                made = await site.page(store, Asked(path, f"/help/{store.public_key}"))
                took.setdefault((kind, workspace_id), []).append(_spent(process.pid, backends) - begun)
                if made.status != 200:
                    raise SystemExit(f"{path} of {store.name} is not there")
    good = True
    for kind in ("first page", "article", "shelf"):
        many, few = (median(took[kind, workspace_id][5:]) for workspace_id in (large, small))
        print(f"  {kind:<13} {many:6.1f} ms of {ARTICLES} articles, {few:6.1f} ms of {FEW}", flush=True)
        good &= ratio(f"help.{kind.replace(' ', '_')}_of_{ARTICLES}_to_{FEW}", many / few, "<=", 2)
    return good


async def _store(app: App, workspace_id: UUID) -> Store:
    async with app.db.transaction(workspace_id) as tx:
        store = Store(id=new_id(), platform="shopify", external_id=f"{workspace_id}.example",
                      public_key=f"st_{workspace_id.hex[:22]}", name="Bench", url="https://bench.example")  # fmt: skip
        tx.add(store)
        await tx.flush()
        return store


async def questions(app: App, workspace_id: UUID, process: psutil.Process) -> bool:
    """Every question by words alone and with what it means, in turn."""
    began = time.perf_counter()
    await meaning.bring(app, workspace_id, "")
    print(f"  {ARTICLES} articles on the shelf in {time.perf_counter() - began:.1f} s", flush=True)
    asked = _asked(1_000)
    words: list[float] = []
    both: list[float] = []
    wall: list[float] = []
    found = away = 0
    for said, language in asked[: SAMPLES + 20]:
        backends = await _backends(app)
        begun = _spent(process.pid, backends)
        async with app.db.transaction(workspace_id) as tx:
            await search.find(tx, None, said, language, 6)
        words.append(_spent(process.pid, backends) - begun)
        begun, began = _spent(process.pid, backends), time.perf_counter()
        near = await meaning.near(app, workspace_id, said)
        async with app.db.transaction(workspace_id) as tx:
            found += bool(await search.find(tx, None, said, language, 6, near=near))
        both.append(_spent(process.pid, backends) - begun)
        wall.append(1000 * (time.perf_counter() - began))
        away += not near.texts
    # The first ones warm the caches of everybody.
    words, both, wall = [sorted(times[20:]) for times in (words, both, wall)]
    for name, times in (("by words", words), ("with meaning", both), ("by the clock", wall)):
        print(
            f"  {name:<13} median {median(times):6.1f} ms, p95 {times[int(len(times) * 0.95)]:6.1f} ms "
            f"({len(times)} questions)", flush=True,
        )  # fmt: skip
    print(f"  found something: {found} of {len(both) + 20}; the language process did not answer in time: {away}")
    good = ratio("help.search.p95_ms", both[int(len(both) * 0.95)], "<=", 60)
    good &= ratio("help.search.median_with_meaning_over_words", median(both) / median(words), "<=", 5)
    return good


async def replies(app: App, workspace_id: UUID, process: psutil.Process) -> bool:
    """What the bot would say to every question: heard by the models, decided, looked up and put into words."""
    async with app.db.transaction(workspace_id) as tx:
        store = next(iter(await stores.all_stores(tx)))
        bot = await bots.ready(tx, store.id)
        await tx.execute(insert(Product), _goods(workspace_id, store.id))
    taught = await app.language.teach(Teach(BOOK, version(), examples()), seconds=1_200)
    print(f"  {taught.examples} phrasings learnt", flush=True)
    t = app.catalogues.translator("en")
    took: list[float] = []
    vectors: list[float] = []
    outcomes: dict[str, int] = {}
    for said, language in _asked(SAMPLES + 20):
        # What no answer goes without: the model's two vectors, of the same words in another order.
        begun = _spent(process.pid, [])
        await app.language.embed(Embed((" ".join(reversed(said.split())) + " -",), "message"))
        vectors.append(_spent(process.pid, []) - begun)
        backends = await _backends(app)
        begun = _spent(process.pid, backends)
        heard = await hear(app, workspace_id, said, today=date(2026, 1, 5), region="", fallback=language)
        async with app.db.transaction(workspace_id) as tx:
            scene = Scene(store=store, bot=bot, t=t, language=language, public_url="", now=datetime.now(UTC))
            found = await answer(tx, scene, heard, await lessons.counting(tx, store.id))
        took.append(_spent(process.pid, backends) - begun)
        outcomes[found.outcome.value] = outcomes.get(found.outcome.value, 0) + 1
    share = median([one / other for one, other in zip(took[20:], vectors[20:], strict=True)])
    took, vectors = sorted(took[20:]), sorted(vectors[20:])
    for name, times in (("replies", took), ("their vectors", vectors)):
        print(f"  {name:<13} median {median(times):6.1f} ms, p95 {times[int(len(times) * 0.95)]:6.1f} ms", flush=True)
    print(f"  {outcomes}", flush=True)
    peak, own = _peak(process.pid), psutil.Process().memory_info().rss >> 20
    print(
        f"  language process: {process.memory_info().rss >> 20} MB, {peak} MB at most; this one: {own} MB", flush=True
    )
    good = ratio("bot.reply.p95_ms", took[int(len(took) * 0.95)], "<=", 60)
    good &= ratio("bot.reply.over_its_vectors", share, "<=", 3.5)
    return good & ratio("help.language.peak_mb", peak, "<=", 400)


def _goods(workspace_id: UUID, store_id: UUID) -> list[dict[str, object]]:
    """As many goods as a process keeps the names of, named in all three languages."""
    kinds = ("Linen shirt", "Olive oil soap", "قميص كتان", "صابون زيت زيتون", "חולצת פשתן", "סבון שמן זית")
    changed = datetime(2026, 1, 1, tzinfo=UTC)
    return [
        {
            "workspace_id": workspace_id,
            "id": new_id(),
            "store_id": store_id,
            "external_id": f"p{at}",
            "version": changed,
            "title": f"{kinds[at % len(kinds)]} {at:x}",
            "status": "active",
        }
        for at in range(KEPT)
    ]


def _asked(count: int) -> list[tuple[str, str]]:
    """Frozen questions from the end of the shuffled ones: the models remember what they were asked before."""
    lines = (ROOT / "benchmarks/shop/questions.jsonl").read_text(encoding="utf-8").splitlines()
    asked = [(one["text"], one["language"]) for one in map(orjson.loads, lines)]
    random.Random(hashlib.sha256(b"help").digest()).shuffle(asked)
    return asked[-count:] if count < len(asked) else asked


async def _backends(app: App) -> list[int]:
    async with app.db.app.connect() as connection:
        found = await connection.execute(text("SELECT pid FROM pg_stat_activity WHERE usename = current_user"))
        return list(found.scalars())


def _peak(pid: int) -> int:
    """The most megabytes that a process ever had."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM"))


def _spent(language: int, backends: list[int]) -> float:
    """Milliseconds on the processor so far. https://docs.kernel.org/scheduler/sched-stats.html"""
    paths = [Path(f"/proc/{pid}/schedstat") for pid in backends]
    paths += [one / "schedstat" for one in Path(f"/proc/{language}/task").iterdir()]
    return 1000 * time.process_time() + sum(int(path.read_text().split()[0]) for path in paths) / 1_000_000


if __name__ == "__main__":
    sys.exit(uvloop.run(main()))
