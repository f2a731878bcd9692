"""What single messages show, and what they are about."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.mood.reading import MOST_WORDS, read

LINES = Path(__file__).with_name("lines.tsv")


def test_most_lines_are_read_rightly() -> None:
    rows = [line.split("\t") for line in LINES.read_text("utf-8").splitlines()]
    assert len(rows) == 40
    for is_english in (True, False):
        some = [(mood, text) for mood, text in rows if text.isascii() == is_english]
        assert sum(read(text).mood == mood for mood, text in some) >= 0.9 * len(some)


@pytest.mark.parametrize(
    ("text", "mood", "is_angry"),
    [
        ("not good", "low", False),
        ("I don't hate it", "high", True),
        ("不喜欢", "low", False),
        ("這個遊戲很好玩，謝謝", "high", False),
        ("you IDIOT", "low", True),
        ("Сегодня хороший день", "neutral", False),
        ("", "neutral", False),
        ("\ud800 nice", "high", False),
    ],
)
def test_a_mood_is_read_from_words(text: str, mood: str, is_angry: bool) -> None:
    found = read(text)
    assert (found.mood, found.is_angry) == (mood, is_angry)


def test_topics_hold_nothing_that_names_somebody_or_leads_somewhere() -> None:
    said = "Hi @anna <@123> mail bob@example.org see https://a.example/secret `token` #room 555-1234 pizza Pizza party"
    assert read(said).words == ("mail", "pizza", "party")
    assert read("周末去爬山").words == ("周末", "爬山")
    assert read("you idiot").words == ()
    assert len(read(" ".join(f"word{chr(97 + n)}x" * 1 for n in range(26))).words) == MOST_WORDS
