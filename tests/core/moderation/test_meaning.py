"""The second look: asked only where the first leaves it open, bounded, and never in the way."""

from __future__ import annotations

import asyncio
import struct
from dataclasses import replace

import pytest

from core.errors import ModelError, ModelFault
from core.moderation import meaning
from core.moderation.classify import LABELS, LANGUAGES, WEIGHTS, Scores
from core.moderation.meaning import LONGEST_READ, WAITING, Head, SecondLook, heads_of

HEAD = Head((2.0, -2.0), first=1.0, begin=0.0, unsure=(0.2, 0.8))
UNSURE = Scores(toxic=0.5, language="en")
BAD, GOOD = struct.pack("<2f", 2, 0), struct.pack("<2f", 0, 2)


class Reader:
    """Answers with a vector, or fails, or never answers."""

    def __init__(self, answer: bytes | Exception | None) -> None:
        self.answer = answer
        self.asked: list[str] = []

    async def __call__(self, text: str, /) -> bytes:
        self.asked.append(text)
        if self.answer is None:
            await asyncio.sleep(60)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer or b""


def look(reader: Reader) -> SecondLook:
    return SecondLook({"en": {"toxic": HEAD}}, reader)


async def test_an_unsure_score_is_decided_by_what_the_text_means() -> None:
    bad = await look(Reader(BAD)).judge("you know what you are", UNSURE)
    good = await look(Reader(GOOD)).judge("you know what you are", UNSURE)
    assert (bad.stage, good.stage) == ("meaning", "meaning")
    assert (good.toxic < 0.05, bad.toxic > 0.95) == (True, True)
    assert replace(bad, toxic=0.5, stage="pieces") == UNSURE


@pytest.mark.parametrize(
    "sure",
    [Scores(toxic=0.1, language="en"), Scores(toxic=0.8, language="en"), Scores(), Scores(toxic=0.5, language="zh")],
)
async def test_nobody_is_asked_about_what_is_sure_or_not_known(sure: Scores) -> None:
    reader = Reader(BAD)
    assert await look(reader).judge("text", sure) == sure
    assert reader.asked == []


@pytest.mark.parametrize(
    "answer", [ModelError(ModelFault.UNREACHABLE, "away"), OSError("gone"), b"", b"123", struct.pack("<3f", 1, 1, 1)]
)
async def test_without_an_answer_the_first_scores_stand(answer: bytes | Exception) -> None:
    assert await look(Reader(answer)).judge("text", UNSURE) == UNSURE


async def test_who_is_slow_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meaning, "SECONDS", 0.01)
    slow = look(Reader(None))
    found = await asyncio.gather(*(slow.judge(f"text {number}", UNSURE) for number in range(WAITING)))
    assert found == [UNSURE] * WAITING
    # And they make room again.
    slow_reader = Reader(BAD)
    assert (await look(slow_reader).judge("text", UNSURE)).stage == "meaning"


async def test_so_many_wait_and_no_more() -> None:
    reader = Reader(None)
    slow = look(reader)
    waiting = [asyncio.ensure_future(slow.judge(f"text {number}", UNSURE)) for number in range(WAITING)]
    await asyncio.sleep(0)
    assert await slow.judge("one too many", UNSURE) == UNSURE
    assert len(reader.asked) == WAITING
    for each in waiting:
        each.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    reader.answer = BAD
    assert (await slow.judge("there is room again", UNSURE)).stage == "meaning"


async def test_no_more_of_a_text_is_read_than_is_paid_for_in_time() -> None:
    reader = Reader(BAD)
    await look(reader).judge("x" * 100_000, UNSURE)
    assert [len(text) for text in reader.asked] == [LONGEST_READ]


def test_the_heads_that_ship_fit_the_packaged_model() -> None:
    heads = heads_of(WEIGHTS)
    assert {(language, label) for language in heads for label in heads[language]} == {
        (language, label) for language in LANGUAGES for label in LABELS
    }
    for labels in heads.values():
        for head in labels.values():
            assert len(head.weights) == 384
            assert 0 < head.unsure[0] < head.unsure[1] <= 1
