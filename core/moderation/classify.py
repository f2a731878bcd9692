"""How much a text looks like an insult or a threat, an advert, or an order to the assistant: quickly, and on a plain
processor. Good enough to show a text to a human; what it may do by itself must be easy to undo.

Small tables of weights lie in ``weights``, whose README says what they were made of and how good they are.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from core.models.language import language_of
from core.moderation.features import BUCKETS, pieces
from core.moderation.folding import folded

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Label = Literal["toxic", "spam", "injection"]
"""Insults, threats and hate; adverts and lures; orders to the assistant to forget its own."""
Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
Stage = Literal["pieces", "meaning"]
"""What a score was made of: letters and words alone, or what the text means as well."""
Level = Literal["flag", "act"]
"""From which score on a human is to look at it, and from which something may be done that is easy to undo."""
LABELS: tuple[Label, ...] = get_args(Label)
LEVELS: tuple[Level, ...] = get_args(Level)
WEIGHTS = Path(__file__).parent / "weights"
_OTHER_SCRIPT = re.compile(r"[\u0370-\u1fff\u3040-\u30ff\uac00-\ud7af]")
"""Letters that folding leaves as they are: Greek to Georgian, kana and hangul. Those that look Latin have become so."""
_WORD = re.compile(r"[^\W\d_]+")
_COMMON = (
    "i you he she it we they my your his her our their this that these those the an and or but not is are was"
    " were be been have has had will would can could should what who when where why how with from for of to in on at up"
    " out about all some any just like if so know get go want people never"
)
_ENGLISH = frozenset(_COMMON.split())
"""Where more than every fourth word is one of these, the text is English whatever else it looks like."""
LEAST_ADVERT = 12
"""Letters of a text that can be an advert; a Chinese character is as good as three. A word and a number are none."""
MOST_KNOWN = 256
"""Texts of which the scores are remembered: rules, and who counts moods, ask about the same ones."""
_FEW = 8
"""One of so many characters in another script is a foreign word in a text, or an ornament."""


@dataclass(frozen=True, slots=True)
class Scores:
    """How likely a text is of each kind, 0 to 1; ``scores["toxic"]`` is the same as ``scores.toxic``."""

    toxic: float = 0.0
    spam: float = 0.0
    injection: float = 0.0
    language: str = ""
    """``en`` or ``zh``; empty for a text in another language, of which nothing is known: all scores are 0."""
    stage: Stage = "pieces"

    def __getitem__(self, label: Label) -> float:
        return {"toxic": self.toxic, "spam": self.spam, "injection": self.injection}[label]

    def __iter__(self) -> Iterator[Label]:
        return iter(LABELS)

    def __len__(self) -> int:
        return len(LABELS)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From which score on a label counts: by stage, language, label and level."""

    values: Mapping[str, Mapping[str, Mapping[str, Mapping[str, float]]]]
    unsure: Mapping[str, Mapping[str, tuple[float, float]]] = field(
        default_factory=dict[str, Mapping[str, tuple[float, float]]]
    )
    """By language and label: first scores from the one on and below the other are better looked at again
    (``core/moderation/meaning.py``)."""

    def of(self, label: Label, language: str, level: Level, stage: Stage = "pieces") -> float:
        """Above 1, which no score reaches, where nothing was found that is sure enough, and for other languages."""
        return self.values.get(stage, {}).get(language, {}).get(label, {}).get(level, 2.0)

    def over(self, scores: Scores, level: Level) -> tuple[Label, ...]:
        """The labels that count."""
        return tuple(label for label in LABELS if scores[label] >= self.of(label, scores.language, level, scores.stage))

    def met(self, wanted: Mapping[Label, Level | float], scores: Scores) -> Label | None:
        """The first label whose score is as high as is wanted: a level, or the score itself; None for none."""
        for label, level in wanted.items():
            least = self.of(label, scores.language, level, scores.stage) if isinstance(level, str) else level
            if scores[label] >= least:
                return label
        return None

    def is_unsure(self, labels: Iterable[Label], scores: Scores) -> bool:
        """Whether a second look may change what is thought of any of the labels."""
        bands = self.unsure.get(scores.language)
        if bands is None or scores.stage != "pieces":
            return False
        return any(label in bands and bands[label][0] <= scores[label] < bands[label][1] for label in labels)


@dataclass(frozen=True, slots=True)
class Table:
    """Of one label in one language: what each piece weighs, and how their sum becomes a likelihood."""

    weights: NDArray[np.int8]
    slope: float
    begin: float

    def score(self, found: NDArray[np.int64]) -> float:
        """0 to 1."""
        total = float(self.weights[found].sum(dtype="int64")) / math.sqrt(len(found))
        return 1 / (1 + math.exp(-max(-30.0, min(30.0, self.slope * total + self.begin))))


class Classifier:
    """Scores texts in English and Chinese. May be used by several threads."""

    def __init__(self, tables: Mapping[str, Mapping[Label, Table]], thresholds: Thresholds) -> None:
        self._tables = tables
        self.thresholds = thresholds
        self._known = lru_cache(MOST_KNOWN)(self._score)

    @classmethod
    def load(cls, folder: Path = WEIGHTS) -> Classifier:
        """Reads some 3 MB and imports numpy: once in a process. Raises OSError, ValueError for no such folder."""
        import numpy as np

        facts = cast("dict[str, Any]", json.loads((folder / "facts.json").read_text("utf-8")))
        with np.load(folder / "pieces.npz", allow_pickle=False) as arrays:
            tables: dict[str, dict[Label, Table]] = {
                language: {
                    label: _table(arrays[f"{label}.{language}"], facts["pieces"][label][language]) for label in LABELS
                }
                for language in LANGUAGES
            }
        unsure = {
            language: {label: tuple(head["unsure"]) for label, head in heads.items()}
            for language, heads in facts["meaning"].items()
        }
        return cls(tables, Thresholds(facts["thresholds"], unsure))

    def scores(self, text: str) -> Scores:
        """Of a text of any length, of which the beginning and the end are looked at. Never fails."""
        return self._known(text)

    def _score(self, text: str) -> Scores:
        plain = folded(text)
        language = known_language(plain)
        # Numbers and links without a word say nothing: 666666 is praise.
        if not language or not any(map(str.isalpha, plain)):
            return Scores(language=language)
        found = pieces(plain)
        values = {label: table.score(found) for label, table in self._tables[language].items()}
        if sum(3 if letter > "\u2e7f" else 1 for letter in plain if letter.isalpha()) < LEAST_ADVERT:
            values["spam"] = 0.0
        return Scores(values["toxic"], values["spam"], values["injection"], language)


@cache
def shared_classifier() -> Classifier:
    """The one of this process, read when it is first asked for: in a thread, it takes a tenth of a second. Raises as
    :meth:`Classifier.load`."""
    return Classifier.load()


def known_language(plain: str) -> str:
    """``en`` or ``zh`` for a folded text; what shows no language, like a name or a smile, is taken for English. Else
    empty."""
    others = len(_OTHER_SCRIPT.findall(plain))
    if others > 1 and others * _FEW > len(plain):
        return ""
    words = _WORD.findall(plain)
    if sum(word in _ENGLISH for word in words) * 4 > len(words):
        return "en"
    found = language_of(plain)
    return found if found in LANGUAGES else "" if found else "en"


def _table(weights: NDArray[np.int8], facts: Mapping[str, float]) -> Table:
    if weights.shape != (BUCKETS,):
        raise ValueError(f"A table of {weights.shape} weights is not one of {BUCKETS}.")
    return Table(weights, facts["scale"] * facts["slope"], facts["begin"])
