"""The quick classifiers on the lines that come with Parley and that they have not learned from, and what they read."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from core.moderation.classify import LABELS, LANGUAGES, WEIGHTS, Classifier, Label, Scores, Thresholds
from core.moderation.features import BUCKETS, pieces
from core.moderation.folding import LONGEST, folded
from core.training.texts import Labelled, samples

FLOORS = {
    # Least share that is flagged of what should be, and most of what should not: of lines made to be hard.
    ("toxic", "en"): (0.6, 0.06),
    ("toxic", "zh"): (0.7, 0.08),
    ("spam", "en"): (0.85, 0.04),
    ("spam", "zh"): (0.95, 0.08),
    ("injection", "en"): (0.9, 0.06),
    ("injection", "zh"): (0.75, 0.04),
}
MOST_ACTED_ON = 0.02
"""Share of harmless lines on which something is done without a human."""


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier.load()


@pytest.fixture(scope="module")
def judged(classifier: Classifier) -> list[tuple[Labelled, Scores]]:
    return [(row, classifier.scores(row.text)) for row in samples("test")]


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_unseen_lines_are_found_and_harmless_ones_left_alone(
    classifier: Classifier, judged: list[tuple[Labelled, Scores]], label: Label, language: str
) -> None:
    over = classifier.thresholds.over
    some = [(row, scores) for row, scores in judged if row.language == language]
    bad = [label in over(scores, "flag") for row, scores in some if row.target(label)]
    harmless = [label in over(scores, "flag") for row, scores in some if not row.target(label)]
    acted = [label in over(scores, "act") for row, scores in some if not row.target(label)]
    least, most = FLOORS[label, language]
    assert len(bad) >= 13
    assert len(harmless) >= 79
    assert sum(bad) / len(bad) >= least
    assert sum(harmless) / len(harmless) <= most
    assert sum(acted) / len(acted) <= MOST_ACTED_ON


def test_everyday_talk_and_talk_about_groups_is_never_acted_on(
    classifier: Classifier, judged: list[tuple[Labelled, Scores]]
) -> None:
    talk = [(row, scores) for row, scores in judged if row.case in ("everyday", "group", "joy", "tech")]
    assert len(talk) > 70
    found = [row.text for row, scores in talk if classifier.thresholds.over(scores, "act")]
    assert len(found) <= 1, found


@pytest.mark.parametrize(
    "disguised",
    ["Ｙｏｕ ｓｔｕｐｉｄ ｉｄｉｏｔ", "yоu stupіd іdіоt", "you stu\u200bpid id\u200diot", "y0u stup1d idi0t",
     "you s.t.u.p.i.d idiot",
     "𝓎𝑜𝓊 𝓈𝓉𝓊𝓅𝒾𝒹 𝒾𝒹𝒾𝑜𝓉", "YOU STUPID IDIOT"],
)  # fmt: skip
def test_a_disguise_changes_nothing(classifier: Classifier, disguised: str) -> None:
    plain = classifier.scores("you stupid idiot")
    # Rules, and who counts moods, ask about the same text: it is read once.
    assert classifier.scores("you stupid idiot") is plain
    assert plain.toxic > classifier.thresholds.of("toxic", "en", "flag")
    assert classifier.scores(disguised) == plain


def test_traditional_and_torn_chinese_is_read_as_plain(classifier: Classifier) -> None:
    plain = classifier.scores("你这个废物，滚出去，垃圾东西")
    assert plain.language == "zh"
    assert classifier.scores("你這個廢物，滾出去，垃圾東西") == plain
    assert classifier.scores("你 这 个 废*物，滚 出 去，垃 圾 东 西") == plain


@pytest.mark.parametrize(
    "text",
    ["Привет, как дела, друзья мои", "ich hasse dich, du bist der letzte Idiot", "これは日本語のテキストです",
     "안녕하세요 여러분",
     "je ne suis pas le seul qui est dans cette ville", "مرحبا بكم جميعا"],
)  # fmt: skip
def test_nothing_is_said_of_other_languages(classifier: Classifier, text: str) -> None:
    scores = classifier.scores(text)
    assert scores == Scores()
    assert (scores.language, classifier.thresholds.over(scores, "flag")) == ("", ())


@pytest.mark.parametrize(
    "text", ["", " ", "\u200b\u200b", "🙂", "\ud83d", "\0" * 50, "\n\t", "…", "a" * 1_000_000, "你" * 100_000]
)
def test_whatever_is_typed_has_scores(classifier: Classifier, text: str) -> None:
    scores = classifier.scores(text)
    assert all(0 <= scores[label] <= 1 and math.isfinite(scores[label]) for label in scores)
    assert classifier.thresholds.over(scores, "act") == ()


@pytest.mark.parametrize("text", ["666666", "老板666666", "老板", "1234567890", "test 123456789", "https://x.com/a/1"])
def test_a_number_and_a_word_are_no_advert(classifier: Classifier, text: str) -> None:
    assert classifier.thresholds.over(classifier.scores(text), "flag") == ()


def test_an_emoji_of_discords_is_no_number(classifier: Classifier) -> None:
    assert classifier.scores("that was nice <:wave:123456789012345678>") == classifier.scores("that was nice :wave:")


def test_a_long_text_is_read_at_both_ends(classifier: Classifier) -> None:
    middle = "the meeting is at noon and we will bring some cake. " * 400
    assert len(folded(middle)) <= LONGEST
    insult = "you are a stupid fucking idiot and everybody hates you. " * 6
    quiet = classifier.scores(middle).toxic
    assert classifier.scores(insult + middle).toxic > quiet
    assert classifier.scores(middle + insult).toxic > quiet
    assert classifier.scores(middle * 2 + insult + middle * 2).toxic == pytest.approx(quiet, abs=0.05)


def test_scores_are_a_value_that_reads_like_a_mapping() -> None:
    scores = Scores(0.5, 0.25, 0.125, "en")
    assert {label: scores[label] for label in scores} == {"toxic": 0.5, "spam": 0.25, "injection": 0.125}
    assert len(scores) == 3
    with pytest.raises(FrozenInstanceError):
        scores.toxic = 1.0  # pyright: ignore[reportAttributeAccessIssue]


def test_each_stage_and_language_has_thresholds_of_its_own() -> None:
    levels = {"en": {"toxic": {"flag": 0.5, "act": 0.9}}}
    thresholds = Thresholds({"pieces": levels, "meaning": {"en": {"toxic": {"flag": 0.2}}}})
    assert thresholds.over(Scores(toxic=0.5, spam=1.0, language="en"), "flag") == ("toxic",)
    assert thresholds.over(Scores(toxic=0.89, language="en"), "act") == ()
    assert thresholds.over(Scores(toxic=0.3, language="en", stage="meaning"), "flag") == ("toxic",)
    assert thresholds.over(Scores(toxic=1.0, language="zh"), "flag") == ()


def test_to_act_takes_more_than_to_flag(classifier: Classifier) -> None:
    for stage in ("pieces", "meaning"):
        for language in LANGUAGES:
            for label in LABELS:
                flag, act = (classifier.thresholds.of(label, language, level, stage) for level in ("flag", "act"))
                assert 0 < flag <= act < 1


def test_what_ships_is_small() -> None:
    assert sum(path.stat().st_size for path in WEIGHTS.iterdir()) <= 3_000_000


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="facts"):
        Classifier.load(tmp_path)
    (tmp_path / "facts.json").write_text("{")
    with pytest.raises(ValueError, match="Expecting"):
        Classifier.load(tmp_path)


def test_a_piece_is_counted_once() -> None:
    found = pieces("ab ab")
    assert len(set(found.tolist())) == len(found)
    assert 0 <= int(found.min()) <= int(found.max()) < BUCKETS
    assert len(pieces("")) > 0


def test_numpy_is_not_loaded_before_the_first_text() -> None:
    code = "import sys, core.moderation.meaning; sys.exit(len({'numpy', 'disarm'} & {*sys.modules}))"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
