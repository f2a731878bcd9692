"""How well, and how fast, passages are found: ``python -m benchmarks.knowledge --json FILE``.

The question set (``benchmarks/data/knowledge.json``) has sixty short documents of a workshop, a lamp maker, a library
and a tea shop, and questions that put them in other words, in English, Chinese, and across the two. Recall at 5 is the
share of questions whose document is among the first five passages. Vectors are those of the local model.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.figures import Row, milliseconds, percentile, table, write
from core.knowledge.asking import LEAST_ALSO, MOST_QUOTED
from core.knowledge.contents import BATCH, Contents
from core.knowledge.documents import Document, Draft, Entry, Found, Library, Passage
from core.knowledge.grounds import Grounds
from core.knowledge.libraries import Libraries
from core.knowledge.passages import Passages
from core.knowledge.ranking import rank
from core.knowledge.settings import KnowledgeSettings
from core.knowledge.shelf import Shelf, about, by_meaning
from core.models.breaker import Breaker
from core.models.catalog import Catalog
from core.models.embedding import AT_ONCE, Embedder
from core.models.openai_api import OpenAIApi
from core.models.router import Router
from core.models.servers.servers import LocalServers
from core.settings import Settings
from core.storage.client import Store
from core.storage.embedded import EmbeddedServer

DATA = Path(__file__).parent / "data" / "knowledge.json"
FIRST = 5
MANY = 10_000
IN_DOCUMENT = 100
DIMENSIONS = 384
SCOPE = "space:web:1:benchmark"
GOAL_RECALL, GOAL_MS = 90.0, 50.0
_CITED = re.compile(r"\[(\d{1,2})\]")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question and what answers it."""

    question: str
    language: str
    title: str
    fact: str
    """Stands in the passage that holds the answer."""


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer of a model, with the passages that it was shown as ``[1]``, ``[2]`` and so on."""

    asked: Asked
    answer: str
    shown: Sequence[Found]


def questions() -> tuple[list[Asked], list[dict[str, str]], list[str]]:
    """The questions, the documents, and questions that none of them is about."""
    data: dict[str, Any] = json.loads(DATA.read_text("utf-8"))
    return [Asked(**one) for one in data["questions"]], data["documents"], data["unrelated"]


def is_correct(answered: Answered) -> bool:
    """Whether an answer cites a passage that holds what is needed, and cites none that is not there."""
    cited = {int(number) for number in _CITED.findall(answered.answer)}
    if not cited or not cited <= set(range(1, len(answered.shown) + 1)):
        return False
    return any(answered.asked.fact in answered.shown[number - 1].passage.text for number in cited)


def citation_correctness(answers: Sequence[Answered]) -> float:
    """The share of answers whose citations are correct."""
    return sum(map(is_correct, answers)) / max(1, len(answers))


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        settings, catalog = Settings(data=folder), Catalog([], [])
        servers = LocalServers(settings, catalog)
        servers.open()
        stack.push_async_callback(servers.aclose)
        router = Router(catalog, settings.routing, Breaker(5, 1), OpenAIApi)
        stack.push_async_callback(router.aclose)
        store = Store(await stack.enter_async_context(EmbeddedServer(folder / "redis")))
        stack.push_async_callback(store.close)
        embedder = Embedder(catalog, router)
        rows = await quality(embedder)
        rows += await speed(store, embedder)
    print(table(rows))
    if options.json:
        write(options.json, rows)


async def quality(embedder: Embedder) -> list[Row]:
    """Recall at 5 by words, by meaning, and by both; and how far scores tell what is about something else."""
    asked, documents, unrelated = questions()
    passages = [Passage("", 0, one["text"]) for one in documents]
    titles = [one["title"] for one in documents]
    texts = [about(title, passage) for title, passage in zip(titles, passages, strict=True)]
    vectors = await _vectors(embedder, texts)
    shelves = [
        Shelf.of(title, [passage], vector) for title, passage, vector in zip(titles, passages, vectors, strict=True)
    ]
    near = embedder.near(embedder.model)
    found: dict[str, dict[str, list[bool]]] = {}
    scores: dict[str, list[float]] = {"right": [], "unrelated": []}
    answers: list[Answered] = []
    for one in asked:
        vector = (await embedder.query(one.question, embedder.model)).vectors[0]
        nearest = by_meaning(shelves, vector).argsort()[::-1][:FIRST]
        ranked = rank(shelves, one.question, vector, FIRST, near)
        ways: Mapping[str, list[str]] = {
            "words": [titles[hit.shelf] for hit in rank(shelves, one.question, b"", FIRST)],
            "vectors": [titles[int(index)] for index in nearest],
            "both": [titles[hit.shelf] for hit in ranked],
        }
        answers += _quoted(one, [(hit.shelf, hit.score) for hit in ranked], titles, passages)
        scores["right"] += [max((hit.score for hit in ranked if titles[hit.shelf] == one.title), default=0.0)]
        for way, hits in ways.items():
            found.setdefault(way, {}).setdefault(one.language, []).append(one.title in hits)
            found[way].setdefault("first", []).append(hits[:1] == [one.title])
    for question in unrelated:
        vector = (await embedder.query(question, embedder.model)).vectors[0]
        scores["unrelated"].append(max(hit.score for hit in rank(shelves, question, vector, FIRST, near)))
    named = {"en": "English", "zh": "Chinese", "across": "across both", "first": "in the first place, all"}
    rows = [
        Row(
            f"recall at 5, {named[language]}, by {way}",
            100 * sum(hits) / len(hits),
            "%",
            _goal(way, language),
            "higher",
        )
        for way, by_language in found.items()
        for language, hits in sorted(by_language.items())
    ]
    for least in (0.3, 0.45):
        kept = 100 * sum(score >= least for score in scores["right"]) / len(scores["right"])
        wrong = 100 * sum(score >= least for score in scores["unrelated"]) / len(scores["unrelated"])
        rows.append(Row(f"right passages with a score of {least} or more", kept, "%", None, "higher"))
        rows.append(Row(f"unrelated questions with such a passage, {least}", wrong, "%", None, "lower"))
    own = [answered for answered in answers if answered.asked.language != "across"]
    here = sum(one.language != "across" for one in asked)
    rows.append(
        Row(
            "citations that hold the answer, quoted without a model",
            100 * citation_correctness(own),
            "%",
            None,
            "higher",
        )
    )
    rows.append(Row("questions answered so, in their own language", 100 * len(own) / here, "%", None, "higher"))
    return rows


def _quoted(
    one: Asked, ranked: Sequence[tuple[int, float]], titles: Sequence[str], passages: Sequence[Passage]
) -> list[Answered]:
    """The answer of a bot without a model that reads: the best passages as they stand, or none."""
    shown = [
        Found(passages[index], Document("", 1, SCOPE, titles[index], "", "text"), score)
        for index, score in ranked
        if score >= LEAST_ALSO
    ]
    text = Grounds(shown, alone=True).quotes("en", MOST_QUOTED)
    return [Answered(one, text, shown)] if shown else []


def _goal(way: str, language: str) -> float | None:
    return GOAL_RECALL if way == "both" and language in ("en", "zh") else None


async def speed(store: Store, embedder: Embedder) -> list[Row]:
    """Searches of 10,000 passages with vectors, the question's own vector apart."""
    import numpy as np

    asked, documents, _ = questions()
    chance = random.Random(7)
    numbers = np.random.default_rng(7)
    sentences = [part for one in documents for part in re.split(r"(?<=[.。])\s*", one["text"]) if part]
    contents, entries = Contents(store), list[Entry]()
    for number in range(MANY // IN_DOCUMENT):
        texts = [" ".join(chance.choices(sentences, k=12)) for _ in range(IN_DOCUMENT)]
        draft = Draft(f"Document {number}", "", "file", [Passage("", at, text) for at, text in enumerate(texts)])
        id = draft.id(SCOPE)
        for batch, start in enumerate(range(0, IN_DOCUMENT, BATCH)):
            some = draft.passages[start : start + BATCH]
            rows = numbers.standard_normal((len(some), DIMENSIONS), dtype=np.float32)
            await contents.stage(SCOPE, id, batch, some, [row.tobytes() for row in rows], embedder.model)
        entries.append(
            Entry(
                id=id, number=number + 1, title=draft.title, source="", kind="file", passages=IN_DOCUMENT,
                model=embedder.model,
            )
        )  # fmt: skip
    libraries = Libraries(store)
    await libraries.records.change(SCOPE, lambda _: Library(entries=tuple(entries), last=len(entries)))
    known = Passages(store, KnowledgeSettings(), embedder, libraries)
    begun = time.perf_counter()
    await known.search(SCOPE, asked[0].question)
    first = time.perf_counter() - begun
    wholes, kept, alone = list[float](), list[float](), list[float]()
    for one in asked:
        begun = time.perf_counter()
        await known.search(SCOPE, one.question)
        middle = time.perf_counter()
        # The question's vector is known by now.
        await known.search(SCOPE, one.question)
        end = time.perf_counter()
        wholes.append(middle - begun)
        kept.append(end - middle)
    by_words = Passages(store, KnowledgeSettings(), None, libraries)
    await by_words.search(SCOPE, asked[0].question)
    for one in asked:
        begun = time.perf_counter()
        await by_words.search(SCOPE, one.question)
        alone.append(time.perf_counter() - begun)
    return [
        Row("10,000 passages searched by words and vectors, median", _ms(kept, 0.5), "ms", GOAL_MS),
        Row("10,000 passages searched by words and vectors, 95 of 100", _ms(kept, 0.95), "ms", GOAL_MS),
        Row("10,000 passages searched by words alone, median", _ms(alone, 0.5), "ms", GOAL_MS),
        Row("the same by both with the question's vector, made by the local model, median", _ms(wholes, 0.5), "ms"),
        Row("the first search: 10,000 passages read and made ready", milliseconds(first), "ms"),
        Row("memory for them", known.cached_bytes / 1e6, "MB"),
    ]


def _ms(values: Sequence[float], share: float) -> float | None:
    return milliseconds(percentile(values, share))


async def _vectors(embedder: Embedder, texts: Sequence[str]) -> list[bytes]:
    found: list[bytes] = []
    for start in range(0, len(texts), AT_ONCE):
        found += (await embedder.passages(texts[start : start + AT_ONCE], embedder.model)).vectors
    return found


if __name__ == "__main__":
    asyncio.run(main())
