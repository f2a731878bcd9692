"""The speed of the rules is measured on what it says: fifty rules, a thousand words, messages that some of them hit."""

from __future__ import annotations

import random

from benchmarks.moderation_speed import RULES, WORDS, look, made, written
from core.moderation.rules import RuleSet


def test_what_is_measured() -> None:
    rules = RuleSet.parse(written(random.Random(8)))
    assert len(rules.rules) == RULES
    assert sum(len(rules.words_of(rule)) for rule in rules.rules) >= WORDS
    messages = made(60, random.Random(8))
    measured = look(rules, messages)
    assert len(measured.seconds) == len(messages)
    assert 0 < measured.hits < len(messages)
