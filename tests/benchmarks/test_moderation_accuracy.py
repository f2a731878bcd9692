"""The accuracy benchmark counts what it says it counts."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from benchmarks.moderation_accuracy import Count, Judged, accuracy, counted, lines, missed
from core.moderation.classify import Scores
from core.training.order import TrainingError
from core.training.texts import Labelled


def judged(target: float, score: float) -> Judged:
    return Judged(Labelled("x", "en", "set", (("toxic", target),)), Scores(toxic=score, language="en"))


def test_hits_misses_and_false_alarms_are_told_apart() -> None:
    rows = [judged(1, 0.9), judged(1, 0.9), judged(1, 0.1), judged(0, 0.9), *[judged(0, 0.1)] * 3]
    count = counted(rows, "toxic", lambda scores: scores.toxic > 0.5)
    assert count == Count(hits=2, misses=1, alarms=1, quiet=3)
    assert (count.precision, count.recall, count.f1, count.false_alarms) == pytest.approx((2 / 3, 2 / 3, 2 / 3, 1 / 4))
    assert counted(rows, "spam", lambda _: True) == Count()


def test_a_folder_of_sets_is_measured_by_group_and_case(tmp_path: Path) -> None:
    rows = [
        {"text": "you fucking stupid idiot", "label": 1, "lang": "en", "group": "women", "case": "insult"},
        {"text": "see you tomorrow", "label": 0, "lang": "en", "group": "women", "case": "neutral"},
    ]
    text = "\n".join(json.dumps(row) for row in rows)
    (tmp_path / "hatecheck.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    report = accuracy(tmp_path)
    assert set(report) == {"samples", "hatecheck"}
    found = report["hatecheck"]["toxic en"]
    assert (found["flag"]["recall"], found["flag"]["false_alarms"]) == (1, 0)
    assert found["groups"]["women"]["flag"]["texts"] == 1
    assert set(found["cases"]) == {"insult", "neutral"}
    assert found["curve"][0.05]["recall"] >= found["curve"][0.95]["recall"]
    shown = "\n".join(lines(report))
    assert "| hatecheck | toxic en | women | 0.00 | 1.00 |" in shown


def test_a_floor_that_is_missed_is_told() -> None:
    def report(f1: float, alarms: float) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
        return {"surge": {"toxic en": {"flag": {"f1": f1, "false_alarms": alarms}}}}

    assert missed(report(0.85, 0.1)) == []
    assert missed(report(0.84, 0.1)) == ["surge, toxic en, flag: f1 is 0.840, the floor 0.85."]
    assert len(missed(report(0.84, 0.11))) == 2


def test_an_empty_folder_is_told_where_sets_come_from(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="thu-coai/COLDataset"):
        accuracy(tmp_path)
