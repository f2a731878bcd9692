from __future__ import annotations

import itertools
import re

import pytest

from core.document_text import Piece
from core.knowledge.splitting import OVERLAP, TOKENS, split, tokens_of
from core.knowledge.words import words


def test_sections_stand_alone_with_their_headings_and_pages() -> None:
    pieces = [Piece("One.", 1, "A"), Piece("Two.", 1, "A"), Piece("Three.", 2, "A"), Piece("Four.", 2, "B")]
    found = split(pieces, "https://example.org/")
    assert [(one.number, one.text, one.page, one.heading, one.link) for one in found] == [
        (0, "One.\nTwo.", 1, "A", "https://example.org/"),
        (1, "Three.", 2, "A", "https://example.org/"),
        (2, "Four.", 2, "B", "https://example.org/"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        " ".join(f"This is sentence number {number}, and it says a little." for number in range(200)),
        "".join(f"这是第{number}句话，它说了一点东西。" for number in range(300)),
        "\n".join(f"Row {number}: some words about it" for number in range(300)),
    ],
)
def test_long_texts_are_cut_between_sentences_and_overlap(text: str) -> None:
    found = split([Piece(text)])
    assert len(found) > 5
    for one in found:
        assert tokens_of(one.text) <= TOKENS * 1.3
        assert one.text.endswith((".", "。", "it"))
    for before, after in itertools.pairwise(found):
        shared = next(size for size in range(len(after.text), 0, -1) if before.text.endswith(after.text[:size]))
        assert 0 < tokens_of(after.text[:shared]) <= OVERLAP
    joined = " ".join(one.text for one in found)
    assert {int(number) for number in re.findall(r"\d+", joined)} == {int(n) for n in re.findall(r"\d+", text)}


@pytest.mark.parametrize("text", ["a" * 50_000, "字" * 1_000_000, ("word " * 10_000).strip()])
def test_what_has_no_end_is_cut_and_nothing_is_lost(text: str) -> None:
    found = split([Piece(text)])
    assert all(tokens_of(one.text) <= TOKENS + 1 for one in found)
    assert sum(one.text.count(text[0]) for one in found) >= text.count(text[0])


def test_nothing_is_no_passage() -> None:
    assert split([]) == []
    assert split([Piece(" \n ")]) == []


def test_words_are_known_in_any_script_and_number() -> None:
    assert words("The Library's books — ＢＯＯＫ, cities!") == ["library", "book", "book", "city"]
    assert words("营业时间 x 是什么") == ["营业", "业时", "时间", "x"]
    assert words("猫") == ["猫"]
    assert len(words("x" * 100_000)[0]) == 40
