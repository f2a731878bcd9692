"""What the moderation classifiers learn from: sets of labelled messages in a folder, the project's own samples and
sentences. Pure, but for the reading of files."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from zlib import crc32

from core.moderation.classify import LABELS, Label
from core.training.order import TrainingError
from core.training.sentences import phrases, sentences

SAMPLES = Path(__file__).parents[1] / "moderation" / "samples.jsonl"
MOST_PHRASES = 120
_SHARES = {"davidson": 4, "cold": 3}
"""Of these sets every so-and-so-many'th text is read for what it means: reading all takes an hour."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """A text and what is known of it: 1 for what a moderator would act on; labels that are not there are not known."""

    text: str
    language: str
    source: str
    known: tuple[tuple[Label, float], ...]
    group: str = ""
    case: str = ""

    def target(self, label: Label) -> float | None:
        return dict(self.known).get(label)

    @property
    def is_read(self) -> bool:
        """Whether its meaning is looked at in training, beside its letters."""
        return crc32(self.text.encode()) % _SHARES.get(self.source, 1) == 0


def of_set(folder: Path, name: str) -> list[Labelled]:
    """``NAME.jsonl.gz``. Raises TrainingError where it is not there or no such file."""
    label: Label = "spam" if name == "sms" else "toxic"
    rows: list[Labelled] = []
    try:
        with gzip.open(folder / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
            for line in lines:
                row = cast("dict[str, Any]", json.loads(line))
                language = "zh" if row["lang"].startswith("zh") else "en"
                known: tuple[tuple[Label, float], ...] = ((label, float(row["label"])),)
                rows.append(Labelled(row["text"], language, name, known, row.get("group", ""), row.get("case", "")))
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise TrainingError(f"{folder / name}.jsonl.gz cannot be read ({type(error).__name__}: {error}).") from None
    return rows


def samples(split: str) -> list[Labelled]:
    """The project's own lines: ``train`` or ``test``."""
    found = [json.loads(line) for line in SAMPLES.read_text("utf-8").splitlines()]
    return [
        Labelled(
            row["text"],
            row["lang"],
            "samples",
            tuple((label, float(label in row["labels"])) for label in LABELS),
            case=row["kind"],
        )
        for row in found
        if row["split"] == split
    ]


def made() -> Iterator[Labelled]:
    """Sentences that are put together here."""
    for each in sentences():
        known: tuple[tuple[Label, float], ...] = (("toxic", float(each.is_toxic)), ("spam", 0.0), ("injection", 0.0))
        yield Labelled(each.text, each.language, "sentences", known)
    for phrase in phrases(MOST_PHRASES):
        # A lure is no insult, and an order none either.
        known = tuple((label, phrase.target if label == phrase.label else 0.0) for label in LABELS)
        yield Labelled(phrase.text, phrase.language, "phrases", known, case=phrase.kind)
