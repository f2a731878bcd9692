"""How the moderation classifiers are taught: the regression, the texts, the thresholds."""

from __future__ import annotations

import gzip
import json
import tomllib
from pathlib import Path

import numpy as np
import pytest

from core.moderation.classify import LABELS
from core.moderation.folding import folded
from core.training import words
from core.training.cutoffs import ACT_ON_GROUPS, FLAG, Scored, thresholds
from core.training.logistic import Pieces, Vectors, fit, likelihood
from core.training.noise import noisy
from core.training.order import TrainingError
from core.training.sentences import GROUPS, LANGUAGES, phrases, sentences
from core.training.texts import made, of_set, samples


def test_the_regression_finds_what_made_the_targets() -> None:
    chance = np.random.default_rng(1)
    rows = chance.standard_normal((2000, 3)).astype(np.float32)
    chances = likelihood(rows.astype(float) @ np.array([2.0, -1.0, 0.0]) + 0.5)
    targets = (chance.random(2000) < chances).astype(float)
    weights, begin = fit(Vectors(rows), targets, np.full(2000, 10.0))
    assert weights == pytest.approx([2, -1, 0], abs=0.2)
    assert begin == pytest.approx(0.5, abs=0.2)


def test_pieces_are_rows_of_length_one() -> None:
    rows = Pieces.of([np.array([0, 2]), np.array([1]), np.array([0, 1, 2, 3])], 4)
    whole = np.array([[1, 0, 1, 0], [0, 1, 0, 0], [1, 1, 1, 1]]) / np.sqrt([[2], [1], [4]])
    weights = np.array([1.0, 2.0, 4.0, 8.0])
    assert rows.times(weights) == pytest.approx(whole @ weights)
    assert rows.back(np.array([1.0, -2.0, 3.0])) == pytest.approx(np.array([1.0, -2.0, 3.0]) @ whole)


def test_halves_of_a_target_teach_halves() -> None:
    rows = Vectors(np.zeros((4, 1), np.float32))
    _, begin = fit(rows, np.full(4, 0.25), np.ones(4))
    assert float(likelihood(np.array([begin]))[0]) == pytest.approx(0.25, abs=1e-3)


def test_every_group_has_the_same_sentences() -> None:
    found = list(sentences())
    for language, parts in tomllib.loads(GROUPS.read_text("utf-8")).items():
        some = [each for each in found if each.language == language]
        for group in parts["groups"]:
            about = [each for each in some if group.lower() in each.text.lower()]
            assert sum(not each.is_toxic for each in about) >= 20, group
    assert len({each.text for each in found}) == len(found)


def test_phrases_are_many_and_each_says_what_it_is() -> None:
    found = list(phrases(50))
    assert len({(each.text, each.label) for each in found}) == len(found)
    for language in LANGUAGES:
        for label in LABELS:
            targets = [each.target for each in found if (each.language, each.label) == (language, label)]
            assert min(targets.count(0.0), targets.count(1.0)) >= 50
    assert list(phrases(50)) == found


def test_nothing_that_is_learned_from_is_a_line_of_the_test() -> None:
    learned = {folded(row.text) for row in (*samples("train"), *made())}
    assert not learned & {folded(row.text) for row in samples("test")}


def test_the_shipped_lines_are_even() -> None:
    for split in ("train", "test"):
        rows = samples(split)
        assert len(rows) >= 200
        for language in ("en", "zh"):
            some = [row for row in rows if row.language == language]
            harmless = [row for row in some if not any(row.target(label) for label in LABELS)]
            assert len(some) >= 100
            assert len(harmless) * 10 >= len(some) * 4
            assert {row.case for row in harmless} == {"everyday", "group", "joy", "quote", "tech"}


def test_a_disguise_is_the_same_each_time_and_another_text() -> None:
    text = "what a wonderful example of a sentence"
    assert noisy(text) == noisy(text) != text
    assert [noisy(short) for short in ("", "a", "ab c")] == ["", "a", "ab c"]


def test_thresholds_keep_harmless_texts_below_them() -> None:
    chance = np.random.default_rng(2)
    count = 4000
    targets = (chance.random(count) < 0.5).astype(float)
    logits = chance.standard_normal(count) + 3 * targets - 1.5
    groups = (chance.random(500) < 0.5).astype(float)
    unfair = chance.standard_normal(500) + 1.5
    everything = np.ones(count, bool)
    scored = Scored.of(
        "toxic", targets, np.full(count, "surge"), logits, logits, everything, groups, unfair, unfair
    )  # fmt: skip
    found = thresholds(scored, "toxic")
    harmless = targets == 0
    for stage, scores, measured in (
        ("pieces", scored.first, scored.measured_first),
        ("meaning", scored.both, scored.measured_both),
    ):
        levels = found.values[stage]
        assert (scores[harmless] >= levels["flag"]).mean() <= FLAG["toxic"] + 0.005
        assert (measured[groups == 0] >= levels["act"]).mean() <= ACT_ON_GROUPS + 0.01
        assert levels["flag"] <= levels["act"]
    assert found.unsure[0] <= found.values["pieces"]["flag"] < found.unsure[1]


@pytest.mark.parametrize(
    "content",
    [None, b"no gzip", gzip.compress(b"{"), gzip.compress(b'{"text": "x"}\n')],
    ids=["none", "no gzip", "no json", "no label"],
)
def test_a_set_that_cannot_be_read_is_told(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "surge.jsonl.gz").write_bytes(content)
    with pytest.raises(TrainingError, match=r"surge\.jsonl\.gz"):
        of_set(tmp_path, "surge")


def test_a_training_without_its_sets_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["words", str(tmp_path), str(tmp_path / "out"), str(tmp_path / "cache.npz"), "1"])
    assert words.main() == 2
    assert "surge.jsonl.gz cannot be read" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_set_is_read_with_what_is_known_of_each_text(tmp_path: Path) -> None:
    row = {"text": "x", "label": 1, "kind": "spam", "lang": "en", "group": "", "case": "", "source": "sms"}
    (tmp_path / "sms.jsonl.gz").write_bytes(gzip.compress(json.dumps(row).encode()))
    (found,) = of_set(tmp_path, "sms")
    assert (found.target("spam"), found.target("toxic"), found.language) == (1.0, None, "en")
