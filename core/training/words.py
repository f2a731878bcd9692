"""``python -m core.training.words``: trains the moderation classifiers that come with Parley. Started by
``parley train moderation``; needs no torch.

A text's meaning tells more than its letters do, and takes a hundred times as long to find. So a head on the packaged
embedding model learns from the sets first, and what it says of single words and of more texts is what the quick
table of pieces learns beside the sets themselves.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from core.moderation.classify import LABELS, Label
from core.moderation.features import BUCKETS, pieces
from core.moderation.folding import folded
from core.training import noise
from core.training.card import card
from core.training.cutoffs import Scored, thresholds
from core.training.logistic import Floats, Pieces, Vectors, fit, likelihood
from core.training.meanings import Meanings
from core.training.order import TrainingError
from core.training.texts import Labelled, made, of_set, samples

SETS = ("surge", "davidson", "sms", "cold")
MEASURED = ("hatecheck", "hatecheck-zh")
"""Never learned from: they tell how often harmless sentences are found."""
LANGUAGES = ("en", "zh")
FOLDS = 5
SHARPEN = 5.0
"""What vectors of length 1 are multiplied by, so that their weights may be small."""
SURE = 2.0
"""How much surer a table is to be than the head that it learns from."""
HEAD: dict[str, dict[str, float]] = {
    "en": {"surge": 3, "samples": 3, "davidson": 1, "sms": 1, "sentences": 1, "phrases": 0.4},
    # COLD knows slurs of groups, and next to no plain insults: those come from phrases.
    "zh": {"cold": 3, "samples": 10, "sentences": 1, "phrases": 4},
}
"""Importance of a text for a head, by where it is from."""
IMPORTANCE: dict[str, dict[str, float]] = {
    "toxic.en": {"surge": 50, "samples": 50, "sentences": 2, "phrases": 3, "sms": 2, "davidson": 7, "words": 15},
    "toxic.zh": {"cold": 10, "samples": 100, "sentences": 5, "phrases": 60},
    "spam.en": {"sms": 30, "samples": 50, "phrases": 10, "sentences": 2, "surge": 5, "davidson": 2},
    "spam.zh": {"samples": 50, "phrases": 20, "sentences": 2, "cold": 3},
    "injection.en": {"samples": 50, "phrases": 20, "sentences": 2, "surge": 5, "davidson": 2, "sms": 5},
    "injection.zh": {"samples": 50, "phrases": 20, "sentences": 2, "cold": 3},
}
"""The same for the table of pieces."""
DISGUISED = ("surge", "samples", "sentences", "phrases")
"""Sources whose texts are learned once more as those write who do not want to be found."""
_WORD = re.compile(r"[a-z][a-z']{1,19}")


@dataclass(frozen=True, slots=True)
class Texts:
    """All that is learned from in one language."""

    rows: Sequence[Labelled]
    pieces: Sequence[Any]
    vectors: Any
    """Of the rows that are read; the others are zero."""
    read: Any
    folds: Any

    @property
    def language(self) -> str:
        return self.rows[0].language

    def targets(self, label: Label) -> Floats:
        """-1 where it is not known."""
        found = [row.target(label) for row in self.rows]
        return np.array([-1.0 if target is None else target for target in found])


@dataclass(frozen=True, slots=True)
class Model:
    """Of one label in one language."""

    table: Floats
    table_begin: float
    head: Floats
    head_begin: float

    def first(self, found: Sequence[Any]) -> Floats:
        return np.array([self.table[row].sum() / np.sqrt(len(row)) for row in found]) + self.table_begin

    def second(self, vectors: Any) -> Floats:
        return vectors @ self.head + self.head_begin


def train(folder: Path, out: Path, cache: Path, threads: int) -> dict[str, Any]:
    """Writes ``pieces.npz``, ``meaning.npz`` and ``facts.json``. Gives the figures. Raises TrainingError."""
    meanings = Meanings(cache, threads)
    rows = [row for name in SETS for row in of_set(folder, name)] + samples("train") + list(made())
    measured = [row for name in MEASURED for row in of_set(folder, name)]
    tables: dict[str, Any] = {}
    heads: dict[str, Any] = {}
    facts: dict[str, Any] = {"pieces": {label: {} for label in LABELS}, "meaning": {}, "thresholds": {}, "figures": {}}
    for language in LANGUAGES:
        texts = gathered([row for row in rows if row.language == language], meanings)
        words = _words(texts) if language == "en" else []
        word_vectors = meanings.of(words) * SHARPEN if words else None
        checked = gathered([row for row in measured if row.language == language], meanings)
        for label in LABELS:
            tell(f"{label} {language}: {len(texts.rows)} texts")
            name = f"{label}.{language}"
            model, scored = _learned(texts, label, words, word_vectors, checked)
            scale = float(np.abs(model.table).max()) / 127
            tables[name] = np.round(model.table / scale).astype(np.int8)
            heads[name] = (model.head * SHARPEN * scored.share[1]).astype(np.float32)
            facts["pieces"][label][language] = {
                "scale": scale,
                "slope": scored.curve[0],
                "begin": model.table_begin * scored.curve[0] + scored.curve[1],
            }
            found = thresholds(scored, label)
            facts["meaning"].setdefault(language, {})[label] = {
                "first": scored.share[0],
                "begin": model.head_begin * scored.share[1] + scored.share[2],
                "unsure": found.unsure,
            }
            for stage, levels in found.values.items():
                facts["thresholds"].setdefault(stage, {}).setdefault(language, {})[label] = levels
            facts["figures"][name] = found.figures
            tell(json.dumps(found.figures))
    out.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(out / "pieces.npz", **tables)
    np.savez_compressed(out / "meaning.npz", **heads)
    (out / "facts.json").write_text(json.dumps(facts, indent=1) + "\n", "utf-8")
    (out / "README.md").write_text(card(facts), "utf-8")
    return facts["figures"]


def gathered(rows: Sequence[Labelled], meanings: Meanings) -> Texts:
    """What is seen of the texts. Those that are the same but for a few signs are in one fold, and so are phrases that
    are made of the same parts: what is learned of one would be found in the other."""
    plain = [folded(row.text) for row in rows]
    read = np.array([row.is_read for row in rows])
    vectors = np.zeros((len(rows), 384), np.float32)
    vectors[read] = meanings.of([row.text for row in rows if row.is_read]) * SHARPEN
    same = [
        row.case if row.source == "phrases" else re.sub(r"\W", "", text)[:40]
        for row, text in zip(rows, plain, strict=True)
    ]
    folds = np.array([crc32(text.encode()) % FOLDS for text in same])
    return Texts(rows, [pieces(text) for text in plain], vectors, read, folds)


def _learned(texts: Texts, label: Label, words: list[str], word_vectors: Any, checked: Texts) -> tuple[Model, Scored]:
    """The model of all texts, and how models of four fifths of them score the others."""
    count = len(texts.rows)
    first, second = np.zeros(count), np.zeros(count)
    extra = [pieces(word) for word in words] if label == "toxic" else []
    for fold in range(FOLDS):
        kept = texts.folds != fold
        model = _fitted(texts, label, kept, extra, word_vectors)
        first[~kept] = model.first([row for row, is_in in zip(texts.pieces, kept, strict=True) if not is_in])
        second[~kept] = model.second(texts.vectors[~kept])
    whole = _fitted(texts, label, np.ones(count, bool), extra, word_vectors)
    targets = texts.targets(label)
    sources = np.array([row.source for row in texts.rows])
    is_measured = checked.targets("toxic") if label == "toxic" else np.zeros(len(checked.rows))
    scored = Scored.of(
        label, targets, sources, first, second, texts.read,
        is_measured, whole.first(checked.pieces), whole.second(checked.vectors),
    )  # fmt: skip
    return whole, scored


def _fitted(texts: Texts, label: Label, kept: Any, extra: Sequence[Any], word_vectors: Any) -> Model:
    sources = np.array([row.source for row in texts.rows])
    targets = texts.targets(label)
    # The labels of davidson depend on the dialect: only what the head says of these texts is learned.
    is_soft = (sources == "davidson") & (label == "toxic")
    if label != "toxic":
        # Sets of insults hold next to no adverts and no orders to an assistant.
        targets = np.where(targets < 0, 0.0, targets)
        kept = kept & texts.read
    taught = kept & texts.read & (targets >= 0) & ~is_soft
    importance = np.array([HEAD[texts.language][source] for source in sources[taught]])
    head, begin = fit(Vectors(texts.vectors[taught]), targets[taught], importance)
    wanted = np.where(is_soft, likelihood(SURE * (texts.vectors @ head + begin)), targets)
    chosen = np.flatnonzero(kept & np.where(is_soft, texts.read, wanted >= 0))
    table, table_begin = _table(texts, label, chosen, wanted, extra, _said(word_vectors, head, begin, len(extra)))
    return Model(table, table_begin, head, begin)


def _said(word_vectors: Any, head: Floats, begin: float, count: int) -> Floats:
    """What a head says of words alone: most of them are harmless."""
    if not count:
        return np.zeros(0)
    logits = word_vectors @ head + begin
    return likelihood(SURE * (logits - logits.mean() - logits.std() / 2))


def _table(
    texts: Texts, label: Label, chosen: Any, wanted: Floats, extra: Sequence[Any], said: Floats
) -> tuple[Floats, float]:
    """Learned from the chosen texts, from some of them disguised, and from words."""
    by_source = IMPORTANCE[f"{label}.{texts.language}"]
    rows = [texts.rows[int(at)] for at in chosen]
    importance = np.array([by_source[row.source] for row in rows], float)
    is_disguised = np.array([row.source in DISGUISED for row in rows], bool)
    torn = [pieces(folded(noise.noisy(row.text))) for row, is_so in zip(rows, is_disguised, strict=True) if is_so]
    learned: list[Any] = [*(texts.pieces[int(at)] for at in chosen), *torn, *extra]
    aims = np.concatenate([wanted[chosen], wanted[chosen][is_disguised], said])
    weights = [importance, importance[is_disguised] / 3, np.full(len(said), by_source.get("words", 0.0))]
    return fit(Pieces.of(learned, BUCKETS), aims, np.concatenate(weights), steps=100)


def _words(texts: Texts) -> list[str]:
    """English words that are seen more than twice."""
    seen = Counter(word for row in texts.rows for word in set(_WORD.findall(folded(row.text))))
    return sorted(word for word, times in seen.items() if times > 2)


def tell(text: str) -> None:
    sys.stderr.write(text + "\n")


def main() -> int:
    """``python -m core.training.words DATA OUT CACHE THREADS``. Exit status 2 for a training that cannot go on."""
    data, out, cache = (Path(argument) for argument in sys.argv[1:4])
    try:
        train(data, out, cache, int(sys.argv[4]))
    except TrainingError as error:
        tell(f"parley: {error}")
        return 2
    except KeyboardInterrupt:
        return 130
    sys.stdout.write(f"Made {out}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
